# What the driver knows survives unmounting and mounting: jobs, drafts, refusals; polling goes on.
. "$(dirname "$0")/lib.sh"

sandbox_start --queue-time 1000 --process-time 1000
driver_start

mkdir "$M/draft"
printf '{"seed": 11}\n' >"$M/draft/params.json"
mkdir "$M/queued"
echo https://images.example/queued.png >"$M/queued/image_url"
params "$T/done.json"
cp "$T/done.json" "$M/new/"
done_id=$(cat "$M/by-name/done/request_id")
queued_id=$(cat "$M/queued/request_id")
advance COMPLETED "$done_id"
eq "$(within $((20 * SLOW)) cat "$M/by-name/done/wait")" COMPLETED "the first job"
control '{"faults": [{"at": "submit", "do": "http", "status": 403, "body": {"message": "Not for you"}}]}'
expect_log '^pixal3dfs: warn: .*refused'
mkdir "$M/refused"
refuses bash -c "echo https://images.example/refused.png >$M/refused/image_url"
posts=$(ledger posts)

picture() { # what a user sees
	local job
	sort "$M/jobs" | cut -f 1-4
	find "$M/" -mindepth 1 -maxdepth 1 -printf '%f %y %l\n' | sort
	for job in draft queued refused "$done_id"; do
		cat "$M/$job/status" "$M/$job/params.json" "$M/$job/log"
		stat -c '%n %s %Y %a %i' "$M/$job"
	done
}
picture >"$T/before"

for round in 1 2; do
	driver_stop
	[ ! -e "$M/README" ] || fail "still mounted"
	driver_start
	picture >"$T/after"
	diff "$T/before" "$T/after" || fail "round $round: something changed"
done
posts_are "$posts" "after remounts"
matches "$(cat "$M/refused/error")" 'Not for you' "the refusal's words after a remount"

# Polling goes on where it was; a wait of the new mount sees the end.
cat "$M/queued/wait" >"$T/waited" &
waiter=$!
advance PROCESSING "$queued_id"
await 10 file_is "$M/queued/status" PROCESSING
# The waiter keeps the mount busy; SIGTERM ends them both.
kill -TERM "$DRIVER_PID"
driver_wait 10
eq "$DRIVER_STATUS" 0 "status after SIGTERM"
await 5 is_gone $waiter
wait $waiter || :
advance COMPLETED "$queued_id" # while nobody looks
driver_start
eq "$(within $((20 * SLOW)) cat "$M/queued/wait")" COMPLETED "wait after the end"
await 10 test -s "$M/queued/output.glb"

# Drafts can still be sent; names are still taken; numbers are not used again.
refuses mkdir "$M/draft"
echo https://images.example/draft.png >"$M/draft/image_url"
eq "$(jq -r .seed "$M/draft/params.json")" 11 "the draft's seed"
posts_are $((posts + 1)) "in the end"
inodes=$(stat -c %i "$M/queued" "$M/draft" "$M/refused" "$M/$done_id" | sort)
mkdir "$M/newer"
if grep -qx "$(stat -c %i "$M/newer")" <<<"$inodes"; then fail "an inode number was used again"; fi

# A forgotten job stays forgotten, also after a remount.
number=$(stat -c %i "$M/newer")
rmdir "$M/newer"
driver_stop
driver_start
[ ! -e "$M/newer" ] || fail "a removed draft came back"
mkdir "$M/newest"
[ "$(stat -c %i "$M/newest")" -gt "$number" ] || fail "a removed job's number was used again"
