#!/bin/bash
# tests/bench/readers.sh - ten readers at once, each of a model of 512 MiB that nobody has read: memory and processor time
#
# Beside them ten `curl -o`. Both write each byte into a page that the page cache did not have before, ours into a second
# one for its readers; on a virtual machine whose host gives memory by the page, these pages are most of the time.
. "$(dirname "$0")/lib.sh"

rounds=$((ROUNDS < 3 ? ROUNDS : 3))
COUNT=10
LARGE=$((512 << 20))

# The processor time of "user system" seconds.
per_gib() {
	awk -v gib=$((COUNT * LARGE >> 30)) 'NF == 2 { print "cpu_s_gib", ($1 + $2) / gib }'
}

all_curl() {
	local pids=() i TIMEFORMAT='%U %S' start=$EPOCHREALTIME
	{
		time {
			for ((i = 0; i < COUNT; i++)); do
				curl -sSf -o "$T/curled.$i" "$NGINX?$i" &
				pids+=($!)
			done
			wait "${pids[@]}"
		}
	} 2>"$T/cpu"
	elapsed "$start"
	per_gib <"$T/cpu"
	rm "$T/curled".*
	settle
}

# The processor time has the work until all copies are safe on the disk, with their digests.
all_read() { # round
	local pids=() i cpu start=$EPOCHREALTIME
	cpu=$(cpu_ms "$DRIVER_PID")
	for ((i = 0; i < COUNT; i++)); do
		cat "$(big "large-$1-$i")" >/dev/null &
		pids+=($!)
	done
	wait "${pids[@]}"
	elapsed "$start"
	settle
	for ((i = 0; i < COUNT; i++)); do
		await_digest "large-$1-$i"
	done
cpu=$(($(cpu_ms "$DRIVER_PID") - cpu))
	echo "$((cpu / 1000)).$(printf %03d $((cpu % 1000))) 0" | per_gib
	for ((i = 0; i < COUNT; i++)); do
		step 10 rm -r "$(readlink -f "$M/by-name/large-$1-$i")"
	done
	settle
}

plant_model "$T/www/model.glb" $LARGE
nginx_start
[ "$NGINX" ] || { echo "$PART: NOTHING MEASURED: no nginx here"; exit 0; }
sandbox_start
driver_start
names=()
for ((i = 0; i < rounds * COUNT; i++)); do
	names+=("large-$((i / COUNT + 1))-$((i % COUNT))")
done
control "$(for name in "${names[@]}"; do echo "$name model.glb?$name"; done | media_of)"
submit_images "${names[@]}"
settle
for ((r = 1; r <= rounds; r++)); do
	all_curl | note readers curl $r
	all_read $r | note readers ours $r
done
memory | note readers ours 1

table
row "$COUNT readers of 512 MiB, most memory, MiB" readers.mib - '   <= 64'
row "processor time, s/GiB" readers.cpu_s_gib curl 'curl; ours <= 1.2 s'
row "all of it, ms" readers.ms curl 'curl'
nginx_stop
