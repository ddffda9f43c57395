# limit: 180
# kill -9 between every two steps of the main job: nothing is lost, nothing is paid twice.
. "$(dirname "$0")/lib.sh"

sandbox_start --queue-time 1000 --process-time 1000
expect_log '^pixal3dfs: warn: .*([Uu]ncertain|UNCERTAIN|may have|not sent|refused|connect|gateway)'

url=https://images.example
posts=0

# Every step has books of its own.
step() { # name
	STEP=$1
	rm -rf "$T/state" "$T/cache"
	driver_start
}

# Kills the driver, mounts again.
crash() {
	driver_kill
	driver_start
}

new_post() {
	posts=$((posts + 1))
	posts_are $posts "$STEP"
}

# From QUEUED to the model, for the job in directory $1.
finish() {
	local id
	id=$(cat "$1/request_id")
	advance COMPLETED "$id"
	eq "$(within $((20 * SLOW)) cat "$1/wait")" COMPLETED "$STEP: wait"
	await 10 test -e "$1/output.glb"
	curl -sS -o "$T/direct.glb" "$(media_url "$1")"
	cmp "$1/output.glb" "$T/direct.glb" || fail "$STEP: another model"
	posts_are $posts "$STEP, in the end"
	driver_stop
}

step "after mkdir"
mkdir "$M/job"
crash
eq "$(cat "$M/job/status")" DRAFT "$STEP"
echo $url/1.png >"$M/job/image_url"
new_post
finish "$M/job"

step "after a draft's parameters"
mkdir "$M/job"
printf '{"seed": 21, "texture_size": 1024}\n' >"$M/job/params.json"
crash
eq "$(jq .seed "$M/job/params.json")" 21 "$STEP: the seed"
echo $url/2.png >"$M/job/image_url"
new_post
eq "$(jq .seed "$M/job/params.json")" 21 "$STEP: the seed that was sent"
finish "$M/job"

# The POST is fully there, the answer is not: the driver cannot know, and says so.
uncertain() { # job directory
	await 10 file_is "$1/status" UNCERTAIN
	matches "$(cat "$1/error")" 'params.json' "$STEP: the error tells of writing again"
	matches "$(cat "$1/error")" 'request_id' "$STEP: the error tells of the request id"
	eq "$(within 10 cat "$1/wait")" UNCERTAIN "$STEP: wait of a job that will not go on by itself"
}

accepted() { # count
	[ "$(ledger accepted)" = "$1" ]
}
taken=$(ledger accepted)
for point in submit.received submit.accepted; do
	step "while the POST is held at $point"
	mkdir "$M/job"
	hold $point
	bash -c "echo $url/$point.png >$M/job/image_url" 2>"$T/writer" &
	writer=$!
	arrived $point
	driver_kill
	await 5 is_gone $writer
	release $point
	hold
	taken=$((taken + 1))
	await 5 accepted $taken
	driver_start
	new_post
	uncertain "$M/job"
	# It stays so, whatever else happens, and over another crash.
	id=$(ledger 'requests[-1]')
	mkdir "$M/other"
	echo $url/other.png >"$M/other/image_url"
	new_post
	taken=$((taken + 1))
	crash
	uncertain "$M/job"
	posts_are $posts "$STEP, after a second crash"
	# The way out that costs nothing: the id, as the service's dashboard shows it.
	echo "$id" >"$M/job/request_id"
	await 10 file_is "$M/job/status" QUEUED
	finish "$M/job"
done

# The deliberate second purchase.
step "UNCERTAIN, bought again"
mkdir "$M/job"
hold submit.accepted
bash -c "echo $url/again.png >$M/job/image_url" 2>"$T/writer" &
writer=$!
arrived submit.accepted
driver_kill
await 5 is_gone $writer
release submit.accepted
hold
driver_start
new_post
uncertain "$M/job"
params "$T/params.json" $url/again.png
cp "$T/params.json" "$M/job/params.json"
new_post
finish "$M/job"

step "after the service has taken it"
params "$T/dog.json"
cp "$T/dog.json" "$M/new/"
id=$(cat "$M/by-name/dog/request_id")
crash
new_post
eq "$(cat "$M/by-name/dog/request_id")" "$id" "$STEP: the request id"
await 10 file_is "$M/$id/status" QUEUED
finish "$M/$id"

step "while PROCESSING"
cp "$T/dog.json" "$M/new/"
id=$(cat "$M/by-name/dog/request_id")
advance PROCESSING "$id"
await 10 file_is "$M/$id/status" PROCESSING
crash
new_post
await 10 file_is "$M/$id/status" PROCESSING
finish "$M/$id"

step "while a waiter waits, and it ends meanwhile"
cp "$T/dog.json" "$M/new/"
id=$(cat "$M/by-name/dog/request_id")
cat "$M/$id/wait" >"$T/waited" 2>&1 &
waiter=$!
await 10 is_blocked $waiter
driver_kill
await 5 is_gone $waiter
advance COMPLETED "$id"
driver_start
new_post
finish "$M/$id"

completed() {
	cp "$T/dog.json" "$M/new/"
	id=$(cat "$M/by-name/dog/request_id")
	advance COMPLETED "$id"
	eq "$(within $((20 * SLOW)) cat "$M/$id/wait")" COMPLETED "$STEP: wait"
	await 10 test -e "$M/$id/output.glb"
	size=$(stat -c %s "$M/$id/output.glb")
}

step "COMPLETED, before anybody read"
completed
crash
new_post
eq "$(stat -c %s "$M/$id/output.glb")" "$size" "$STEP: the size"
finish "$M/$id"

step "in the middle of the download"
completed
control "{\"faults\": [{\"at\": \"cdn\", \"do\": \"stall_after\", \"offset\": $((size / 2)), \"times\": 0}]}"
cat "$M/$id/output.glb" >"$T/half.glb" 2>"$T/reader" &
reader=$!
arrived stall
driver_kill
await 5 is_gone $reader
control '{"faults": []}'
release stall
driver_start
new_post
eq "$(stat -c %s "$M/$id/output.glb")" "$size" "$STEP: the size"
finish "$M/$id"

step "after the download"
completed
cat "$M/$id/output.glb" >"$T/whole.glb"
fetched=$(ledger cdn_bytes)
crash
new_post
cmp "$M/$id/output.glb" "$T/whole.glb" || fail "$STEP: another model"
eq "$(ledger cdn_bytes)" "$fetched" "$STEP: bytes fetched again"
finish "$M/$id"

# What is waiting for a gateway that was not there is sent once it is.
step "WAITING for the gateway"
port=${GATEWAY##*:}
gone=$(ledger posts)
eq "$gone" $posts "POSTs of the first gateway"
driver_stop
sandbox_stop
driver_start
echo "$url/late.png" >"$M/new/late.url"
eq "$(cat "$M/by-name/late/status")" WAITING "$STEP"
matches "$(cat "$M/by-name/late/error")" '[Nn]ot sent|sent nothing|nothing was sent' "$STEP: the error"
crash
eq "$(cat "$M/by-name/late/status")" WAITING "$STEP, after the crash"
sandbox_start --port "$port"
eq "$(within $((60 * SLOW)) cat "$M/by-name/late/wait")" COMPLETED "$STEP: wait"
posts_are 1 "$STEP: of the second gateway"
