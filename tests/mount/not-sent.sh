# What was provably not sent waits, says so, and is sent once when the way is free: no such host, refused,
# and certificates that are somebody else's, expired, or another host's.
#
# In a mount namespace of its own, with names of its own.
if [ ! "${INSIDE-}" ]; then
	if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
		echo "needs root and a private mount namespace, for names of its own"
		exit 77
	fi
	INSIDE=1 exec "$(dirname "$0")/../tools/private" -- bash "$0"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tools/front.sh"

echo 127.0.0.1 localhost >"$T/hosts"
echo nameserver 127.0.0.1 >"$T/resolv.conf"
mount --bind "$T/hosts" /etc/hosts
mount --bind "$T/resolv.conf" /etc/resolv.conf

authority ours
authority theirs
certificate good ours 2 gateway.test
certificate stranger theirs 2 gateway.test
certificate expired ours -1 gateway.test
certificate other ours 2 other.test

sandbox_start
port=$(free_port)
expect_log '^pixal3dfs: warn: .*(was not sent|generation failed)'
driver_start "ca_file=$F/ours.crt" "https://gateway.test:$port"

waits() { # name words
	local job=$M/fail-$1 start=$EPOCHREALTIME took
	mkdir "$job"
	bash -c "echo https://images.example/fail-$1.png >$job/image_url" || fail "$1: the writer was refused"
	took=$(milliseconds "$start")
	[ "$took" -lt $((10000 * SLOW)) ] || fail "$1: took $took ms"
	eq "$(cat "$job/status")" WAITING "$1: status"
	matches "$(cat "$job/error")" 'was not sent.*Nothing was charged' "$1: that nothing was sent"
	matches "$(cat "$job/error")" "$2" "$1: the reason"
	posts_are 0 "after $1"
}

waits dns '[Rr]esolve'
echo 127.0.0.1 gateway.test >>"$T/hosts"
waits refused "connect"
front_start "$port" stranger
waits stranger 'certificate'
front_shows expired
waits expired 'expired'
front_shows other
waits other 'gateway\.test'
eq "$(grep -c . "$F/log" || :)" 0 "requests that passed the handshake"

front_shows good
for name in dns refused stranger expired other; do
	eq "$(within $((60 * SLOW)) cat "$M/fail-$name/wait")" FAILED "$name, in the end"
done
posts_are 5 "in the end"
eq "$(ledger accepted)" 5 "accepted"
eq "$(grep -c ' POST ' "$F/log")" 5 "POSTs on the wire"
driver_stop
front_stop
