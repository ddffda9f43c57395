# limit: 120
# Books that cannot be written, cannot be read, or are another driver's: nothing is sent that is not in
# them, what was paid for is kept, and what we do not understand is left as it is.
. "$(dirname "$0")/lib.sh"

expect_log '^pixal3dfs: error: .*could not be recorded' '^pixal3dfs: error: .*its request id is' \
	'^pixal3dfs: warn: .*(could not|disk)'
sandbox_start --queue-time 1000 --process-time 1000
params "$T/dog.json"

fails_with() { # words command...
	local words=$1
	shift
	refuses "$@"
	matches "$(cat "$T/refused")" "$words" "what $* says"
}

# The driver does not mount, says why, and touches nothing.
refused() { # what words [mountpoint]
	local status=0 before
	before=$(digests)
	within $((20 * SLOW)) "$B/pixal3dfs" "$GATEWAY" "${3-$M}" -f -o "$OPTIONS" \
		</dev/null >"$T/refused" 2>&1 || status=$?
	eq $status 32 "$1: the exit status"
	matches "$(cat "$T/refused")" "$2" "$1: the message"
	eq "$(digests)" "$before" "$1: the books afterwards"
}

digests() {
	find "$T/state" -type f -size +0 ! -name lock ! -name '*-shm' -exec sha256sum {} + | sort
}

# --- row 14: one state directory, one driver

driver_start
mkdir "$T/second"
refused "a second driver" "$T/state is in use by process $DRIVER_PID, mounted on $M\$" "$T/second"
driver_stop

# --- rows 13 and 15: the disk is full

fill() {
	dd if=/dev/zero of="$T/state/filling" bs=4k 2>"$T/dd" || :
	grep -q 'No space left' "$T/dd" || fail "the disk is not full: $(cat "$T/dd")"
}

recorded_late() { # job directory
	grep -q "recorded late" "$1/log"
}

full_disk() {
	local id
	driver_start
	cp "$T/dog.json" "$M/new/"
	posts_are 1
	id=$(cat "$M/by-name/dog/request_id")
	fill
	fails_with 'No space left' cp "$T/dog.json" "$M/new/cat.json"
	fails_with 'No space left' mkdir "$M/job"
	posts_are 1 "when the disk is full"
	# Shown from memory, recorded when the disk has room; and still so after a crash.
	advance PROCESSING "$id"
	await 10 file_is "$M/$id/status" PROCESSING
	rm "$T/state/filling"
	await 20 recorded_late "$M/$id"
	driver_kill
	driver_start
	eq "$(cat "$M/$id/status")" PROCESSING "what was recorded late"
	cp "$T/dog.json" "$M/new/cat.json"
	posts_are 2 "when there is room again"

	# It becomes full between the POST and its answer.
	hold submit.accepted
	cp "$T/dog.json" "$M/new/late.json" &
	arrived submit.accepted
	fill
	release submit.accepted
	hold
	wait $!
	id=$(ledger 'requests[-1]')
	eq "$(cat "$M/by-name/late/request_id")" "$id" "the id of an answer that found the disk full"
	rm "$T/state/filling"
	await 20 recorded_late "$M/$id"
	grep -q "$id" "$M/$id/log" || fail "the log does not have the request id: $(cat "$M/$id/log")"
	driver_kill
	driver_start
	eq "$(cat "$M/by-name/late/status")" QUEUED "after the crash"
	posts_are 3 "in the end"

	# The same, and a crash before there is room: it is in doubt, and is not sent again.
	hold submit.accepted
	cp "$T/dog.json" "$M/new/lost.json" &
	arrived submit.accepted
	fill
	release submit.accepted
	hold
	wait $!
	driver_kill
	rm "$T/state/filling"
	driver_start
	eq "$(cat "$M/by-name/lost/status")" UNCERTAIN "the answer that neither disk nor memory kept"
	ledger 'requests[-1]' >"$M/by-name/lost/request_id"
	await 10 file_is "$M/by-name/lost/status" QUEUED
	posts_are 4 "after the crash"
}

# --- the disk is read-only

read_only_disk() {
	driver_kill
	mount -o remount,ro "$T/state"
	refused "a read-only state directory" 'Read-only file system'
	mount -o remount,rw "$T/state"
	driver_start
	eq "$(cat "$M/by-name/late/status")" QUEUED "after the disk can be written again"
	driver_stop
}

mkdir -p "$T/state"
if mount -t tmpfs -o size=1m,mode=700 none "$T/state" 2>"$T/tmpfs"; then
	full_disk
	read_only_disk
	umount "$T/state"
else
	skip_row "full and read-only disks" "no tmpfs here: $(cat "$T/tmpfs")"
fi

# --- row 13: the disk does not sync

gone=$(ledger posts)
export CRASH=$T/crash
mkdir "$CRASH"
[ "$SLOW" = 1 ] || export ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0"
DRIVER_ENV=("LD_PRELOAD=$B/preload/crash.so")
driver_start
touch "$CRASH/fail" "$CRASH/armed"
fails_with 'Input/output error' cp "$T/dog.json" "$M/new/unsynced.json"
grep -q fdatasync "$CRASH/calls" || fail "no sync has failed"
driver_kill
rm "$CRASH/armed"
driver_start
# Had it come back, it would be sent now, before the next one.
echo https://images.example/next.png >"$M/new/next.url"
posts_are $((gone + 1)) "of a job whose writer was told EIO"
[ ! -e "$M/by-name/unsynced" ] || fail "a job is back whose writer was told EIO"
driver_stop
DRIVER_ENV=()

# --- books that are removed under the mount

driver_start
gone=$(ledger posts)
mv "$T/state" "$T/taken"
fails_with 'Identifier removed' cp "$T/dog.json" "$M/new/forgotten.json"
matches "$(cat "$M/new/forgotten.json.error")" 'books were removed or moved.*put them back' "the error file"
mv "$T/taken" "$T/state"
cp "$T/dog.json" "$M/new/forgotten.json"
posts_are $((gone + 1)) "once the books are back"
driver_stop

# --- books that are not ours to write

sql() { # statement
	python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()' \
		"$T/state/jobs.db" "$1"
}

cp -r "$T/state" "$T/good"
restore() {
	rm -r "$T/state"
	cp -r "$T/good" "$T/state"
}

sql 'PRAGMA user_version = 99'
refused "a newer version's books" 'newer pixal3dfs \(format 99'
restore
sql 'PRAGMA application_id = 7'
refused "another program's database" "another program's database"
restore

echo 'This is no database, but somebody may still want it.' >"$T/state/jobs.db"
refused "no database" 'damaged, or is no store'
restore
dd if=/dev/zero of="$T/state/jobs.db" bs=16 count=1 conv=notrunc status=none
refused "a header of zeros" 'damaged, or is no store'
restore
truncate -s 5000 "$T/state/jobs.db"
refused "half of it gone" 'damaged'
restore
dd if=/dev/urandom of="$T/state/jobs.db" bs=4096 seek=1 count=1 conv=notrunc status=none
refused "a page of garbage" 'damaged'

# The last driver was killed, so its log is there.
restore
driver_start
mkdir "$M/job"
driver_kill
rm -r "$T/good"
cp -r "$T/state" "$T/good"
dd if=/dev/urandom of="$T/state/jobs.db" bs=4096 seek=3 count=1 conv=notrunc status=none
refused "a page of garbage beside a log" 'damaged'
restore
: >"$T/state/jobs.db"
refused "a log without its books" 'is gone, but its log'
restore
# Another gateway's: what waits in these would be bought there.
driver_start
control '{"faults": [{"at": "submit", "do": "http", "status": 429, "headers": {"Retry-After": "3600"}}]}'
echo https://images.example/waits.png >"$M/new/waits.url"
eq "$(cat "$M/by-name/waits/status")" WAITING "a job that waits for its gateway"
driver_stop
gone=$(ledger posts)
here=$GATEWAY
for GATEWAY in sandbox https://gateway.example; do
	refused "books of another gateway" "$T/state: the books are of jobs at $here, and not at $GATEWAY"
done
GATEWAY=$here
posts_are "$gone" "by mounts of other gateways"

driver_start
eq "$(cat "$M/job/status")" DRAFT "the books as they were"
eq "$(cat "$M/by-name/next/status")" QUEUED "the books as they were"
posts_are "$gone" "in the end"
