#!/bin/bash
# tests/bench/wan.sh - a model of 64 MiB that nobody has read, 40 ms away: with 8 MiB/s for each connection, and without a limit;
# and the first 4 KiB of 100 of 20 MiB
#
# Gateway, nginx and driver are in a network namespace of their own, whose loopback delays every packet by 20 ms.
# The yardstick is curl with 8 parallel ranges. The delay and the limit come from $SHARED/tools.
if [ -z "${IN_NAMESPACE-}" ]; then
	unshare -n true 2>/dev/null || { echo "wan: NOTHING MEASURED: no network namespace of our own here"; exit 0; }
	IN_NAMESPACE=1 exec unshare -n bash "$0"
fi
. "$(dirname "$0")/lib.sh"

rounds=$((ROUNDS < 5 ? ROUNDS : 5))
PATH=$PATH:/usr/sbin:/sbin
need iptables-legacy
need ip
DELAY_PID=
end_delay() {
	[ "$DELAY_PID" ] || return 0
	iptables-legacy -w -F INPUT # else every packet waits for the one that has ended
	kill "$DELAY_PID"
}
trap 'end_delay; bench_exit' EXIT
[ -r "$SHARED/tools/nfqdelay.c" ] || { echo "$PART: NOTHING MEASURED: there is no $SHARED"; exit 0; }
compile nfqdelay "$SHARED/tools/nfqdelay.c" -lnetfilter_queue -lnfnetlink || {
	echo "$PART: NOTHING MEASURED: no libnetfilter-queue-dev here"
	exit 0
}
compile paced.so "$SHARED/tools/paced.c" -shared -fPIC -ldl

plant_model "$T/www/model.glb" $SIZE
ip link set lo up mtu 1500
iptables-legacy -w -A INPUT -i lo -j NFQUEUE --queue-num 0
"$TOOLS/nfqdelay" 20 >"$T/delay" 2>&1 &
DELAY_PID=$!
await 5 grep -q ready "$T/delay"

curl8() { # url
	local part=$((SIZE / 8)) args=() i
	for ((i = 0; i < 8; i++)); do
		args+=(-o /dev/null -r $((i * part))-$(((i + 1) * part - 1)) "$1")
	done
	timed total_ms curl -sSf --parallel --parallel-immediate --parallel-max 8 "${args[@]}"
}

# Its size was just learnt, which leaves a connection.
far_read() { # workload name
	local r
	for ((r = 0; r <= rounds; r++)); do
		curl8 "$NGINX" | note "$1" curl8 $r
		control "$(echo "$2-$r model.glb?$2-$r" | media_of)"
		submit_images "$2-$r"
		step 60 "$RD" cold "$(big "$2-$r")" | note "$1" ours $r
		step 10 cmp "$(big "$2-$r")" "$T/www/model.glb"
	done
}

# One round: it takes its time. The least for it are as many ranges on one connection.
far_heads() {
	local names=() files=() urls=() i
	plant_model "$T/www/head.glb" $((20 << 20))
	for ((i = 100; i < 200; i++)); do
		names+=("h$i")
		files+=("$(big "h$i")")
		urls+=(-o /dev/null "${NGINX%/*}/head.glb?h$i")
	done
	control "$(for name in "${names[@]}"; do echo "$name head.glb?$name"; done | media_of)"
	submit_images "${names[@]}"
	timed ms curl -sSf -r 0-131071 "${urls[@]}" | note heads curl 1
	# shellcheck disable=SC2016
	timed ms bash -c 'for file; do head -c 4096 "$file" || exit; done' bash "${files[@]}" | note heads ours 1
}

sandbox_start
driver_start
LD_PRELOAD=$TOOLS/paced.so P3D_PACE=8388608 nginx_start
[ "$NGINX" ] || { echo "$PART: NOTHING MEASURED: no nginx here"; exit 0; }
far_read capped c
nginx_stop
nginx_start
far_read free f
far_heads

table
row "64 MiB, 40 ms, 8 MiB/s a connection, ms" capped.total_ms curl8 'curl, 8 ranges; <= 1.1'
row "  first byte, ms" capped.ttfb_ms - '   <= 60'
row "64 MiB, 40 ms, no limit, ms" free.total_ms curl8 'curl, 8 ranges; <= 1.1'
row "  first byte, ms" free.ttfb_ms - '   <= 60'
row "4 KiB from the head of 100 models, 40 ms, ms" heads.ms curl 'curl, one connection; ours <= 8000'
nginx_stop
