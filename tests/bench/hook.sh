#!/bin/bash
# tests/bench/hook.sh - from the end at the service to the return of `wait`: callbacks beside polls at the default pace
. "$(dirname "$0")/lib.sh"

COUNT=$((3 * ROUNDS))

# When each job's wait has returned: "JOB SECONDS".
reader() { # job
	cat "$M/$1/wait" >"$T/word.$1"
	echo "$1 $EPOCHREALTIME" >>"$T/returned"
}

# COUNT jobs end one after the other, a quarter of a second apart: at any moment between two polls.
measure() { # subject options
	local i readers=()
	rm -f "$T/ended" "$T/returned"
	driver_start "poll=5:10,$2"
	for ((i = 1; i <= COUNT; i++)); do
		mkdir "$M/$1-$i"
		echo "https://images.example/$1-$i.png" >"$M/$1-$i/image_url"
		reader "$1-$i" &
		readers+=($!)
	done
	sleep 6
	for ((i = 1; i <= COUNT; i++)); do
		echo "$1-$i $EPOCHREALTIME" >>"$T/ended"
		advance COMPLETED "$(cat "$M/$1-$i/request_id")"
		sleep 0.25
	done
	for i in "${readers[@]}"; do
		wait "$i"
	done
	eq "$(cat "$T/word.$1-"* | sort | uniq -c | awk '{ print $2, $1 }')" "COMPLETED $COUNT" "ends of the jobs"
	i=0
	while read -r ms; do
		i=$((i + 1))
		echo "ms $ms" | note hook "$1" $i
	done < <(join <(sort "$T/ended") <(sort "$T/returned") | awk '{ printf "%.2f\n", ($3 - $2) * 1e3 }')
	driver_stop
}

port=$((20000 + RANDOM % 12000))
sandbox_start --allow-http-webhook --queue-time 0 --process-time 3600
measure ours "webhook_url=http://127.0.0.1:$port,webhook_listen=127.0.0.1:$port"
measure polls ''
posts_are $((2 * COUNT))

table
row "end of a job to the return of wait, ms" hook.ms polls 'polls, poll=5:10 (the default)'
