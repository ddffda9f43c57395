# The key changes while mounted: it is read again; while it is refused, jobs wait and say why.
. "$(dirname "$0")/lib.sh"

sandbox_start --queue-time 1000
expect_log '^pixal3dfs: warn: .*(does not accept the API key|HTTP 401|others may use it|No such file|is not known)'

key_is() { # key
	(umask 077 && echo "$1" >"$T/key.new")
	mv "$T/key.new" "$T/key"
}
drop() { # name
	echo "https://images.example/$1.png" >"$M/new/$1.url"
}
says() { # file words
	grep -q -- "$2" "$1"
}
has_polled() { # more than
	[ "$(ledger polls)" -gt "$1" ]
}

# A key that never worked: who buys is told.
key_is wrong-from-the-start
driver_start
refuses drop never
matches "$(cat "$T/refused")" 'Key was rejected by service' "a key that never worked"
matches "$(cat "$M/new/never.url.error")" 'Check the API key' "its error file"
posts_are 1
eq "$(ledger accepted)" 0 accepted

# Set right: the next one is bought.
key_is "$KEY"
drop first
J=$M/by-name/first
eq "$(cat "$J/status")" QUEUED "with the right key"
posts_are 2

# It expires. What was bought is asked for again and again; what comes now waits.
key_is expired-in-the-night
await 10 says "$J/error" 'does not accept the API key'
eq "$(cat "$J/status")" QUEUED "a job whose polls are refused"
drop second || fail "a job that can wait was refused"
W=$M/by-name/second
eq "$(cat "$W/status")" WAITING "a job that waits for a key"
matches "$(cat "$W/error")" 'HTTP 401.*Nothing was charged.*mend the API key' "its error"
eq "$(ledger accepted)" 1 "accepted meanwhile"

# Also over a remount, where the driver has not seen any key work.
driver_stop
driver_start
polls=$(ledger polls)
await 10 has_polled "$polls"
posts=$(ledger posts)
posted() { [ "$(ledger posts)" -gt "$posts" ]; }
await 20 posted
eq "$(cat "$W/status")" WAITING "after a remount"
matches "$(cat "$W/error")" 'mend the API key' "its error after a remount"

# The new key: all goes on, without a remount, and each is bought once.
key_is "$KEY"
await 30 file_is "$W/status" QUEUED
[ ! -e "$W/error" ] || fail "an error that is over: $(cat "$W/error")"
eq "$(ledger accepted)" 2 "accepted with the new key"
no_error() { [ ! -e "$J/error" ]; }
await 30 no_error

# A file that cannot be used does not take the place of the key that works.
warnings() { grep -c "$1" "$DRIVER_LOG" || :; }
echo open-to-all >"$T/key.new"
chmod 644 "$T/key.new"
mv "$T/key.new" "$T/key"
drop third
eq "$(cat "$M/by-name/third/status")" QUEUED "with a key file that others can read"
eq "$(warnings 'others may use it')" 1 "warnings of it"
rm "$T/key"
drop fourth
eq "$(cat "$M/by-name/fourth/status")" QUEUED "without the key file"
eq "$(ledger accepted)" 4 "accepted in the end"
advance COMPLETED
for name in first second third fourth; do
	eq "$(within $((20 * SLOW)) cat "$M/by-name/$name/wait")" COMPLETED "$name in the end"
done
