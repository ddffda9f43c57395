#!/bin/bash
# tests/bench/cold.sh - a model of 64 MiB that nobody has read: first byte, all of it, processor time
. "$(dirname "$0")/lib.sh"

make_models() {
	local names=() r
	for ((r = 0; r <= ROUNDS; r++)); do
		names+=("sandbox-$r")
	done
	control "{\"output_bytes\": $SIZE}"
	submit_big "${names[@]}"
	serve_model sandbox-0
	[ "$NGINX" ] || return 0
	control "$(jq -cn --arg url "$NGINX" '{faults: [{at: "status", do: "answer", times: 0, when: "COMPLETED",
		set: {output: {media_url: [$url]}}}]}')"
	submit_big "${names[@]/sandbox/nginx}"
	eq "$(media_url "$M/by-name/nginx-0")" "$NGINX" "media URL"
	control '{"faults": []}'
}

curl_to_file() { # url
	local TIMEFORMAT='%U %S' times
	rm -f "$T/curled"
	settle
	{
		time step 60 curl -sSf -o "$T/curled" -w '%{time_starttransfer} %{time_total}\n' "$1" >"$T/times"
	} 2>"$T/cpu"
	read -r -a times <"$T/times"
	awk -v a="${times[0]}" -v b="${times[1]}" 'BEGIN { printf "ttfb_ms %.3f\ntotal_ms %.2f\n", a * 1e3, b * 1e3 }'
	awk -v size=$SIZE 'NF == 2 { printf "cpu_s_gib %.3f\n", ($1 + $2) * 1024 * 1048576 / size }' "$T/cpu"
}

cold_read() { # file
	step 5 ls -lL "$1" >/dev/null
	settle
	step 60 "$RD" cold "$1"
}

# Processor time comes in steps of 10 ms: one figure for all rounds together. It has the work until the
# copy is safe on the disk, with its digest.
cold() { # server url
	local r before cpu=0
	for ((r = 0; r <= ROUNDS; r++)); do
		curl_to_file "$2" | note "cold-$1" curl $r
		before=$(cpu_ms "$DRIVER_PID")
		cold_read "$(big "$1-$r")" | note "cold-$1" ours $r
		await_digest "$1-$r"
		settle
		[ $r -eq 0 ] || cpu=$((cpu + $(cpu_ms "$DRIVER_PID") - before))
		step 10 cmp "$(big "$1-$r")" "$T/www/model.glb"
		[ $r -eq "$ROUNDS" ] || step 10 rm -r "$(readlink -f "$M/by-name/$1-$r")"
	done
	awk -v ms=$cpu -v mib=$((ROUNDS * SIZE >> 20)) 'BEGIN { print "cpu_s_gib", ms / 1000 * 1024 / mib }' |
		note "cold-$1" ours 1
}

sandbox_start
driver_start
make_models
[ ! "$NGINX" ] || cold nginx "$NGINX"
cold sandbox "$SANDBOX_URL"
memory | note memory-reads ours 1

table
for from in nginx sandbox; do
	row "cold read of 64 MiB from $from, ms" cold-$from.total_ms curl 'curl -o FILE; <= 1.1'
	row "first byte from $from, ms" cold-$from.ttfb_ms curl 'curl; <= 1.5'
	row "processor time from $from, s/GiB" cold-$from.cpu_s_gib curl 'curl; ours <= 1.2 s'
done
row "most memory of the daemon, cold reads, MiB" memory-reads.mib - ''
nginx_stop
