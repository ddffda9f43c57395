#!/bin/bash
# tests/bench/heads.sh - who looks at 100 models of 20 MiB and reads the start only, or what file(1) reads: 7 MiB at each end
#
# Beside ours: rclone and httpdirfs, where they are installed. Bytes are those that nginx has sent.
. "$(dirname "$0")/lib.sh"

rounds=$((ROUNDS < 5 ? ROUNDS : 5))
COUNT=100
export NGINX_LOG=$T/access.log
PEER=$T/peer
mkdir "$PEER" "$T/www/glb"

plant_model "$T/www/model.glb" $((20 << 20))
names=()
for ((i = 100; i < 100 + COUNT; i++)); do
	names+=("m$i")
	ln "$T/www/model.glb" "$T/www/glb/m$i.glb"
done
nginx_start
[ "$NGINX" ] || { echo "$PART: NOTHING MEASURED: no nginx here"; exit 0; }

sent() {
	awk '/^GET/ { sum += $2 } END { printf "%.0f\n", sum }' "$NGINX_LOG"
}

# What is still on its way is logged when it ends.
at_rest() {
	local before=$1
	sleep 0.5
	[ "$(sent)" = "$before" ]
}

read_heads() { # file...
	local file
	for file; do
		head -c 4096 "$file"
	done
}

# One way of looking at all; the peer is unmounted in between, so that its requests end and are logged.
look() { # way subject round directory pattern
	local before files
	mapfile -t files < <(compgen -G "$4/$5")
	stat -L -c %s "${files[@]}" >"$T/sizes"
	before=$(sent)
	export -f read_heads
	case $1 in
	heads) timed ms bash -c 'read_heads "$@"' bash "${files[@]}" ;;
	file) timed ms file -L "${files[@]}" ;;
	esac | note "$1" "$2" "$3"
	end_"$2"
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		at_rest "$(sent)" && break
	done
	awk -v bytes=$(($(sent) - before)) 'BEGIN { print "mib", bytes / 1048576 }' | note "$1" "$2" "$3"
}

end_ours() {
	driver_stop
	rm -rf "$T/cache"
	settle
}

start_peer() { # command...
	mkdir -p "$T/peer.cache"
	"$@" >"$T/peer.log" 2>&1 &
	PEER_PID=$!
	await 10 mountpoint -q "$PEER"
}

end_peer() {
	umount -l "$PEER"
	await 20 is_gone "$PEER_PID" || kill "$PEER_PID"
	rm -rf "$T/peer.cache"
}

end_rclone() { end_peer; }
end_httpdirfs() { end_peer; }

peers=()
for peer in ${PEERS-rclone httpdirfs}; do
	if command -v "$peer" >/dev/null; then peers+=("$peer"); else left_out+=("$peer: not installed"); fi
done

sandbox_start --balance 1000
driver_start
control "$(for name in "${names[@]}"; do echo "$name glb/$name.glb"; done | media_of)"
submit_images "${names[@]}"
end_ours
for ((r = 0; r <= rounds; r++)); do
	for way in heads file; do
		driver_start
		look $way ours $r "$M/by-name" 'm1*/output.glb'
		for peer in "${peers[@]}"; do
			# It takes most of a minute, whatever the round.
			[ "$peer$way" != httpdirfsfile ] || continue
			case $peer in
			rclone) start_peer rclone mount :http: "$PEER" --http-url "${NGINX%/*}/" --read-only --config /dev/null \
				--cache-dir "$T/peer.cache" --vfs-cache-mode off ;;
			httpdirfs) start_peer httpdirfs -f --no-range-check --cache --cache-location "$T/peer.cache" "${NGINX%/*}/" "$PEER" ;;
			esac
			look $way "$peer" $r "$PEER/glb" '*.glb'
		done
	done
done

table
for peer in "${peers[@]:--}"; do
	row "4 KiB from the head of 100 models, ms" heads.ms "$peer" "$peer; ours <= 300"
	row "  MiB sent" heads.mib "$peer" "$peer; ours <= 26"
	[ "$peer" != httpdirfs ] || continue
	row "file(1) of 100 models, ms" file.ms "$peer" "$peer; < 1"
	row "  MiB sent" file.mib "$peer" "$peer; ours <= 1500"
done
nginx_stop
