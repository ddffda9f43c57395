#!/bin/bash
# tests/bench/readers.sh - ten readers at once, each of a model of 512 MiB that nobody has read: memory and processor time
. "$(dirname "$0")/lib.sh"

COUNT=10
LARGE=$((512 << 20))

plant_model "$T/www/model.glb" $LARGE
nginx_start
[ "$NGINX" ] || { echo "$PART: NOTHING MEASURED: no nginx here"; exit 0; }
sandbox_start
driver_start
names=()
for ((i = 0; i < COUNT; i++)); do
	names+=("large-$i")
done
control "$(for name in "${names[@]}"; do echo "$name model.glb?$name"; done | media_of)"
submit_images "${names[@]}"
settle
cpu=$(cpu_ms "$DRIVER_PID")
start=$EPOCHREALTIME
for name in "${names[@]}"; do
	cat "$(big "$name")" >/dev/null &
	readers+=($!)
done
wait "${readers[@]}"
elapsed "$start" | note readers ours 1
memory | note readers ours 1
cpu=$(($(cpu_ms "$DRIVER_PID") - cpu))
awk -v ms=$cpu -v gib=$((COUNT * LARGE >> 30)) 'BEGIN { print "cpu_s_gib", ms / 1000 / gib }' | note readers ours 1

table
row "$COUNT readers of 512 MiB, most memory, MiB" readers.mib - '   <= 64'
row "processor time, s/GiB" readers.cpu_s_gib - '   <= 1.2'
row "all of it, ms" readers.ms - ''
nginx_stop
