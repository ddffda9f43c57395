#!/bin/bash
# tests/bench/books.sh - the scale of the books: 100 000 jobs at rest, and 10 000 in flight.
#
# At rest: the time until the mount serves, and the driver's memory then, after listing every job, and after reading `jobs`.
# In flight: requests of the sandbox that stay QUEUED, polled every 10 seconds: the driver's share of one core, its connections,
# and the most polls in a second after a restart beside the average, which is what a storm would show in.
#
# Environment: AT_REST (100000), IN_FLIGHT (10000), WATCH seconds of each measurement in flight (30).
. "$(dirname "$0")/lib.sh"
AT_REST=${AT_REST:-100000} IN_FLIGHT=${IN_FLIGHT:-10000} WATCH=${WATCH:-30}
need sqlite3

figure() { # text value target
	printf '%-58s %12s   %s\n' "$@"
}

memory_of() { # VmRSS|VmHWM
	awk -v what="$1:" '$1 == what { printf "%.0f MiB", $2 / 1024 }' "/proc/$DRIVER_PID/status"
}

cpu_ticks() {
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$DRIVER_PID/stat"
}

table
# --- at rest: one real job, copied in the books
sandbox_start
plant_jobs "$AT_REST"
start=$EPOCHREALTIME
driver_start
figure "mount with $AT_REST jobs, ms" "$(milliseconds "$start")" "< 2000"
figure "resident then" "$(memory_of VmRSS)" "< 120 MiB"
eq "$(find "$M/" -maxdepth 1 -name 'j0*' | wc -l)" "$AT_REST" "jobs listed"
figure "resident after a listing" "$(memory_of VmRSS)" ""
wc -l <"$M/jobs" >"$T/lines"
figure "resident after reading jobs" "$(memory_of VmRSS)" ""
figure "at its most" "$(memory_of VmHWM)" ""
driver_stop
sandbox_stop

# --- in flight
in_flight() { # text
	local ticks polls at most=0 last now
	ticks=$(cpu_ticks) polls=$(ledger polls) at=$EPOCHREALTIME last=$polls
	for ((i = 0; i < WATCH; i++)); do
		sleep 1
		now=$(sandbox_call "$GATEWAY/sandbox/count?what=polls")
		[ $((now - last)) -le $most ] || most=$((now - last))
		last=$now
	done
	awk -v t=$(($(cpu_ticks) - ticks)) -v p=$((last - polls)) -v a="$at" -v b="$EPOCHREALTIME" -v hz="$(getconf CLK_TCK)" \
		-v text="$1" -v most="$most" 'BEGIN {
		printf "%-58s %11.2f%%   %s\n", text ": of one core", 100 * t / hz / (b - a), "< 5 %"
		printf "%-58s %12.0f   at most %d in a second\n", text ": polls a second", p / (b - a), most }'
}

all_accepted() {
	[ "$(ledger accepted)" = "$IN_FLIGHT" ]
}

rm -rf "$T/state" "$T/cache"
sandbox_start --queue-time 1000000 --balance 1000000
OPTIONS=${OPTIONS/poll=0.05:0.1/poll=10:10}
driver_start max_inflight=8
seq -f '{"image_url": "https://images.example/%.0f.png"}' "$IN_FLIGHT" >"$T/many.jsonl"
start=$EPOCHREALTIME
cp "$T/many.jsonl" "$M/new/"
await 240 all_accepted
figure "$IN_FLIGHT jobs submitted from one list, ms" "$(milliseconds "$start")" ""
sleep 10
in_flight "$IN_FLIGHT in flight"
figure "connections to the gateway" \
	"$(ss -Htnp state established "dport = :${GATEWAY##*:}" | grep -c "pid=$DRIVER_PID,")" "<= 8"
figure "resident" "$(memory_of VmRSS)" ""
driver_stop
driver_start
in_flight "after a restart"
driver_stop
