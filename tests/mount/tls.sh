# Over TLS with nginx in front: each POST on a connection of its own, by HTTP/1.1; polls by HTTP/2 on one
# that they share; and when nginx dies at any moment, nothing is bought twice and polls go on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tools/front.sh"

authority ours
certificate good ours 2 localhost
sandbox_start --queue-time 1000
port=$(free_port)
front_start "$port" good
expect_log '^pixal3dfs: warn: .*(UNCERTAIN|may have been|not sent|is not known)'
driver_start "ca_file=$F/ours.crt" "https://localhost:$port"

lines() { # pattern [file]
	grep -Ec -- "$1" "${2:-$F/log}" || :
}

polled() { # more than
	[ "$(lines ' GET /v2/requests/status/.* 200 ')" -gt "$1" ]
}

goes_on() { # polls are answered again
	await 20 polled "$(lines ' GET /v2/requests/status/.* 200 ')"
}

mkdir "$M/warm" "$M/other"
echo https://images.example/warm.png >"$M/warm/image_url"
echo https://images.example/other.png >"$M/other/image_url"
await 20 polled 20
posts_are 2
eq "$(lines '^HTTP/1.1 POST /pixal3d/v1/pixal3d-request 202 ')" 2 "POSTs by HTTP/1.1"
eq "$(lines '^HTTP/1.* GET ')" 0 "polls that are not by HTTP/2"
eq "$(awk '/ POST /{print $5}' "$F/log" | sort -u | wc -l)" 2 "connections of POSTs"
eq "$(awk '/ GET /{print $5}' "$F/log" | sort -u | wc -l)" 1 "connections of polls"
eq "$(awk '{print $5}' "$F/log" | sort -u | wc -l)" 3 "connections"

# The kept connection dies: between polls, and with polls on it.
front_crash
goes_on
hold status.received
arrived status.received
front_crash
release status.received
hold
goes_on
eq "$(cat "$M/warm/status")" QUEUED "status after polls that died"

# ... with a POST under way, before and after it was accepted.
posts=2
for point in submit.received submit.accepted; do
	job=$M/$point
	mkdir "$job"
	hold $point
	bash -c "echo https://images.example/$point.png >$job/image_url" 2>"$T/writer" &
	writer=$!
	arrived $point
	front_crash
	await 10 is_gone $writer
	eq "$(cat "$job/status")" UNCERTAIN "$point: status"
	matches "$(cat "$job/error")" 'request_id' "$point: its way out"
	release $point
	hold
	posts=$((posts + 1))
	goes_on
	posts_are $posts "$point"
	eq "$(cat "$job/status")" UNCERTAIN "$point: status later"
done

# It is gone for a while: nothing is sent, nothing is lost.
front_stop
mkdir "$M/later"
echo https://images.example/later.png >"$M/later/image_url"
eq "$(cat "$M/later/status")" WAITING "without a gateway"
matches "$(cat "$M/later/error")" 'was not sent' "without a gateway: its error"
posts_are $posts "without a gateway"
front_start "$port" good
for job in warm other later; do
	await 20 file_is "$M/$job/status" QUEUED
done
posts_are $((posts + 1)) "with a gateway again"
advance COMPLETED
for job in warm other later; do
	eq "$(within $((30 * SLOW)) cat "$M/$job/wait")" COMPLETED "$job in the end"
	await 10 test -s "$M/$job/output.glb"
	eq "$(head -c 4 "$M/$job/output.glb")" glTF "model of $job"
done
posts_are $((posts + 1)) "in the end"
# The two whose worker died are not in its log.
eq "$(lines ' POST ')" $((posts - 1)) "POSTs that nginx has answered"
driver_stop
front_stop
