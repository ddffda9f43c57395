#!/bin/bash
# tests/bench/submit.sh - many jobs: from the drop to the answer, and to the output
. "$(dirname "$0")/lib.sh"

# The same jobs once more, straight to the gateway, over one connection.
post_jobs() {
	local file
	for file in "$T"/drops/*.json; do
		printf '%s\n' "url = \"$GATEWAY/pixal3d/v1/pixal3d-request\"" "data-binary = \"@$file\"" \
			'header = "Content-Type: application/json"' \
			"header = \"Ocp-Apim-Subscription-Key: $KEY\"" 'output = "/dev/null"' fail next
	done | sed '$d' >"$T/posts"
	timed ms curl -sS -K "$T/posts"
}

per_second() {
	awk -v n="$JOBS" '{ print "per_s", n / $2 * 1e3 }'
}

sandbox_start --balance 1000000
driver_start
make_drops
start=$EPOCHREALTIME
timed ms cp -t "$M/new" "$T"/drops/*.json | per_second | note submit ours 1
wait_for_jobs
elapsed "$start" | per_second | note finish ours 1
posts_are "$JOBS"
post_jobs | per_second | note submit curl 1
posts_are $((2 * JOBS))

table
row "submit $JOBS jobs, 1/s" submit.per_s curl 'curl, one connection, nothing kept'
row "$JOBS jobs from drop to output.glb, 1/s" finish.per_s - ''
