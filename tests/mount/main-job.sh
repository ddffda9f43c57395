# The main job: drop parameters, watch the job, open the model; again offline after a remount.
. "$(dirname "$0")/lib.sh"

sandbox_start --queue-time 1000 --process-time 1000
driver_start

# An empty mount explains itself.
ls "$M" >"$T/root"
for name in README new by-name jobs; do
	grep -qx "$name" "$T/root" || fail "no $name in: $(cat "$T/root")"
done
grep -q 'new/' "$M/README" || fail "README does not tell of new/"
grep -qx latest "$T/root" && fail "latest without a job"
eq "$(wc -l <"$M/jobs")" 1 "lines of jobs without a job"

# The drop submits, once.
params "$T/dog.json"
cp "$T/dog.json" "$M/new/"
posts_are 1 "after cp"
eq "$(ledger accepted)" 1 "requests accepted"

# It has a directory named by its request id, and two links.
J=$(cd "$M/by-name/dog" && pwd -P)
id=$(cat "$J/request_id")
eq "${J##*/}" "$id" "the directory of a dropped job"
eq "$(readlink "$M/by-name/dog")" "../$id" "by-name/dog"
eq "$(readlink "$M/latest")" "$id" latest
eq "$(cat "$M/new/dog.json")" "$(cat "$T/dog.json")" "what was dropped"
[ ! -e "$M/new/dog.json.error" ] || fail "an error file for a job that was taken"

# What was sent, seed included.
sandbox_call "$GATEWAY/sandbox/received" >"$T/received"
eq "$(jq -rj '.[0].body' "$T/received" | jq -cS .)" "$(jq -cS . "$J/params.json")" "params.json and what was sent"
eq "$(jq -r .image_url "$J/params.json")" https://images.example/dog.png "image_url that was sent"
eq "$(jq -r .texture_size "$J/params.json")" 1024 "texture_size that was sent"
eq "$(jq -r '.seed | type' "$J/params.json")" number "a seed was drawn"
eq "$(cat "$J/image_url")" https://images.example/dog.png image_url

# Its status follows the service, its output is not there yet, wait waits and is not listed.
no_output() {
	[ ! -e "$J/output.glb" ] || fail "output.glb before the end"
	! listed "$J" 'output*' || fail "an output is listed"
	! listed "$J" wait || fail "wait is listed"
}
eq "$(cat "$J/status")" QUEUED status
eq "$(jq -r .request_id "$J/status.json")" "$id" "request id in status.json"
no_output
cat "$J/wait" >"$T/waited" &
waiter=$!
advance PROCESSING
await 10 file_is "$J/status" PROCESSING
await 10 json_is "$J/status.json" .status PROCESSING
no_output
is_running $waiter || fail "wait did not wait: $(cat "$T/waited")"
advance COMPLETED
await 10 is_gone $waiter
wait $waiter
eq "$(cat "$T/waited")" COMPLETED wait
eq "$(cat "$J/status")" COMPLETED status
eq "$(jq -r .status "$J/status.json")" COMPLETED "status in status.json"

# The log has a line for each transition, with its time.
for word in QUEUED PROCESSING COMPLETED; do
	grep -Eq "^20[0-9-]+T[0-9:.]+Z .*$word" "$J/log" || fail "no $word in log: $(cat "$J/log")"
done
[ ! -e "$J/error" ] || fail "error: $(cat "$J/error")"
awk -F '\t' -v id="$id" 'NR == 2 && $2 == id && $3 == "COMPLETED" { found = 1 } END { exit !found }' \
	"$M/jobs" || fail "jobs: $(cat "$M/jobs")"

# The true size, before a byte of it was fetched.
await 10 test -e "$J/output.glb"
listed "$J" output.glb || fail "output.glb is not listed"
size=$(stat -c %s "$J/output.glb")
eq "$(ledger cdn_requests)" 0 "requests for the body after stat"
eq "$(ledger cdn_bytes)" 0 "bytes of the body after stat"

# The content is the CDN's, and is fetched once.
sum=$(digest "$J/output.glb")
eq "$(head -c 4 "$J/output.glb")" glTF "magic of the GLB"
fetched=$(ledger cdn_requests)
[ "$fetched" -gt 0 ] || fail "read without a request?"
eq "$(ledger cdn_bytes)" "$size" "bytes that were fetched"
cp "$J/output.glb" "$T/copy.glb"
eq "$(digest "$T/copy.glb")" "$sum" "the second read"
eq "$(digest "$M/latest/output.glb")" "$sum" "the third, by another path"
eq "$(ledger cdn_requests)" "$fetched" "requests after reading again"
curl -sS -o "$T/direct.glb" "$(media_url "$J")"
eq "$(stat -c %s "$T/direct.glb")" "$size" "size at the CDN"
eq "$(digest "$T/direct.glb")" "$sum" "digest at the CDN"
posts_are 1 "in all"

# After a remount everything is there, without any network.
driver_stop
sandbox_stop
driver_start
eq "$(cat "$J/status")" COMPLETED "status after the remount"
eq "$(stat -c %s "$J/output.glb")" "$size" "size after the remount"
eq "$(digest "$J/output.glb")" "$sum" "digest after the remount"
eq "$(readlink "$M/by-name/dog")" "../$id" "by-name/dog after the remount"
