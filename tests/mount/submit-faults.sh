# Whatever happens to a POST: it is never sent twice when it may have been taken, and is sent again when
# it provably was not.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: '

posts=0
# One job under a fault of its own: its status afterwards, and by how much the POSTs have grown.
row() { # name status posts fault-members
	local name=$1 status=$2 job=$M/$1
	control "{\"faults\": [{\"at\": \"submit\", \"name\": \"$name\", $4}]}"
	mkdir "$job"
	within $((20 * SLOW)) bash -c "echo https://images.example/$name.png >$job/image_url" 2>"$T/refused" || :
	await 20 file_is "$job/status" "$status"
	posts=$((posts + $3))
	posts_are $posts "after $name"
	fired "$name"
	case $status in
	UNCERTAIN)
		matches "$(cat "$job/error")" 'request_id' "the error of $name"
		[ -s "$T/refused" ] || fail "the writer was not told that $name is uncertain"
		;;
	WAITING) [ -s "$job/error" ] || fail "no reason for WAITING after $name" ;;
	COMPLETED) [ ! -e "$job/error" ] || fail "an error of a job that was taken: $(cat "$job/error")" ;;
	esac
}

# Taken, perhaps: never again.
row close UNCERTAIN 1 '"do": "close"'
row reset UNCERTAIN 1 '"do": "reset"'
row close-early UNCERTAIN 0 '"do": "close", "after": "headers"'
row truncated UNCERTAIN 1 '"do": "truncate"'
row not-json UNCERTAIN 1 '"do": "not_json", "body": "<html>oops</html>"'
row no-id UNCERTAIN 1 '"do": "answer", "drop": ["request_id"]'
row bad-id UNCERTAIN 1 '"do": "answer", "set": {"request_id": "../../etc/passwd"}'
row huge UNCERTAIN 1 '"do": "huge"'
# 503 without Retry-After may come from a proxy that lost what it had passed on.
for status in 500 502 503 504; do
	row http-$status UNCERTAIN 1 "\"do\": \"http\", \"status\": $status, \"body\": {\"message\": \"oops\"}"
done
for status in 301 302 303 307 308; do
	row redirect-$status UNCERTAIN 1 "\"do\": \"redirect\", \"status\": $status, \"location\": \"%CDN%/elsewhere\""
done

# ... nor by another mv of what is uncertain: the answer is the same.
control '{"faults": [{"at": "submit", "name": "moved", "do": "close", "times": 0}]}'
params "$M/new/.moved" https://images.example/moved.png
refuses mv "$M/new/.moved" "$M/new/moved.json"
mv "$M/new/.moved" "$M/new/.moved.again"
refuses mv "$M/new/.moved.again" "$M/new/moved.json"
matches "$(cat "$T/refused")" 'I/O error' "mv of what is uncertain"
posts=$((posts + 1))
posts_are $posts "after mv again"
fired moved

# Not taken: sent again, and then once.
for status in 429 503; do
	row busy-$status COMPLETED 2 "\"do\": \"http\", \"status\": $status, \"headers\": {\"Retry-After\": \"1\"}"
done
# ... when it was asked for, within bounds.
for after in 120 1e23 3600000 'Wed, 21 Oct 2099 07:28:00 GMT'; do
	row "later-${after//[^0-9a-z]/-}" WAITING 1 \
		"\"do\": \"http\", \"status\": 429, \"headers\": {\"Retry-After\": \"$after\"}"
done
row fraction COMPLETED 2 '"do": "http", "status": 429, "headers": {"Retry-After": "1.5"}'
row negative COMPLETED 2 '"do": "http", "status": 429, "headers": {"Retry-After": "-5"}'
row past-date COMPLETED 2 \
	'"do": "http", "status": 429, "headers": {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}'

# A polling_url that leads elsewhere is not followed with the key.
row elsewhere COMPLETED 1 '"do": "answer", "set": {"polling_url": "%CDN%/v2/requests/status/%ID%"}'
row file-url COMPLETED 1 '"do": "answer", "set": {"polling_url": "file:///etc/passwd"}'
eq "$(ledger keys_seen_at_cdn)" 0 "keys that the CDN has seen"

# A remount sends nothing of what is uncertain.
control '{"faults": []}'
driver_stop
driver_start
eq "$(cat "$M/close/status")" UNCERTAIN "after a remount"
complete_job another
posts_are $((posts + 1)) "after a remount"

# A service that takes long: the writer has its answer within submit_wait, the job goes on.
driver_stop
driver_start submit_wait=1
mkdir "$M/slow"
hold submit.received
start=$EPOCHREALTIME
within $((15 * SLOW)) bash -c "echo https://images.example/slow.png >$M/slow/image_url" || :
took=$(milliseconds "$start")
[ "$took" -lt $((4000 * SLOW)) ] || fail "submit_wait=1 took $took ms"
eq "$(cat "$M/slow/status")" SUBMITTING "a submission whose answer is late"
release submit.received
hold
await 10 file_is "$M/slow/status" COMPLETED
posts_are $((posts + 2)) "after a late answer"

# A rename, which locks its directory, waits five seconds at most: who lists new/ waits with it.
driver_stop
driver_start
params "$M/new/.renamed" https://images.example/renamed.png
hold submit.received
mv "$M/new/.renamed" "$M/new/renamed.json" &
writer=$!
arrived submit.received
within $((9 * SLOW)) ls "$M/new" >"$T/listing"
wait $writer || fail "mv says that a job was refused that goes on"
eq "$(cat "$M/by-name/renamed/status")" SUBMITTING "a rename whose answer is late"
release submit.received
hold
await 10 file_is "$M/by-name/renamed/status" COMPLETED
posts=$((posts + 1))

# submit=sync: what is not taken at once is refused, and nothing of it is sent later.
driver_stop
driver_start submit=sync
control '{"faults": [{"at": "submit", "do": "http", "status": 429, "headers": {"Retry-After": "1"}}]}'
params "$T/sync.json"
refuses cp "$T/sync.json" "$M/new/"
matches "$(cat "$T/refused")" 'Device or resource busy' "429 with submit=sync"
posts_are $((posts + 3)) "after a synchronous refusal"
complete_job later
posts_are $((posts + 4)) "in the end"
