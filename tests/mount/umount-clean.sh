# umount and SIGTERM end the driver cleanly and soon, whatever is going on.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
# libfuse says so when the kernel ends a mount in the middle of a read of the device.
expect_log '^fuse: reading device: Software caused connection abort'
expect_log '^pixal3dfs: warn: .*([Uu]ncertain|UNCERTAIN|may have|under way|in flight)'

complete_job model
posts=1

# Nothing going on.
start=$EPOCHREALTIME
umount "$M"
driver_wait 10
eq "$DRIVER_STATUS" 0 "status after umount"
took=$(milliseconds "$start")
[ "$took" -lt $((3000 * SLOW)) ] || fail "umount of an idle mount took $took ms"
# Nor does what makes inotify's events hold it: a job has just ended.
if [ "$(id -u)" = 0 ]; then
	for i in 1 2 3 4 5 6 7 8; do
		driver_start
		complete_job "model$i"
		posts=$((posts + 1))
		umount "$M"
		driver_wait 10
	done
fi
for signal in TERM INT; do
	driver_start
	kill -$signal "$DRIVER_PID"
	driver_wait 10
	eq "$DRIVER_STATUS" 0 "status after SIG$signal"
	! mountpoint -q "$M" || fail "mounted after SIG$signal"
done

# umount while a file is open: EBUSY, and nothing changes; lazily: the file is served to its end.
driver_start
exec 5<"$M/by-name/model/output.glb"
status=0
umount "$M" 2>"$T/refused" || status=$?
eq $status 32 "status of umount while a file is open"
matches "$(cat "$T/refused")" 'busy' "umount while a file is open"
eq "$(cat "$M/by-name/model/status")" COMPLETED "after a refused umount"
umount -l "$M"
! mountpoint -q "$M" || fail "mounted after umount -l"
is_running "$DRIVER_PID" || fail "the driver ended before the last file was closed"
cat <&5 >"$T/late.glb" || fail "reading after umount -l"
exec 5<&-
driver_wait 10
eq "$DRIVER_STATUS" 0 "status after umount -l and the last close"

# SIGTERM with readers of wait and of a stalled CDN, and a POST that gets no answer.
driver_start
curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/model")"
cmp "$T/late.glb" "$T/direct.glb" || fail "what was read after umount -l is something else"
complete_job fresh
control '{"queue_time": 1000}'
params "$T/dog.json"
cp "$T/dog.json" "$M/new/"
posts=$((posts + 2))
for signal in TERM INT; do
	mkdir "$M/held-$signal"
	control '{"faults": [{"at": "cdn", "do": "stall", "times": 0}], "hold": ["submit.received"]}'
	cat "$M/by-name/dog/wait" >"$T/waited" 2>&1 &
	waiter=$!
	cat "$M/by-name/fresh/output.glb" >"$T/read" 2>&1 &
	reader=$!
	dd if="$M/by-name/fresh/output.glb" iflag=direct bs=4k count=1 of="$T/read-direct" 2>"$T/direct" &
	direct=$!
	bash -c "echo https://images.example/$signal.png >$M/held-$signal/image_url" 2>"$T/written" &
	writer=$!
	arrived stall
	arrived submit.received
	for pid in $waiter $reader $direct $writer; do
		await 10 is_blocked "$pid"
	done
	kill -$signal "$DRIVER_PID"
	driver_wait 20
	eq "$DRIVER_STATUS" 0 "status after SIG$signal with work under way"
	! mountpoint -q "$M" || fail "mounted after SIG$signal with work under way"
	for pid in $waiter $reader $direct $writer; do
		await 5 is_gone "$pid"
		wait "$pid" && [ "$pid" != $writer ] && fail "a reader was told of success at SIG$signal"
	done
	# What was parked was answered. (For a reader through its page cache the kernel then asks once more, of nobody.)
	for answer in waited direct; do
		matches "$(cat "$T/$answer")" 'Input/output error' "what a reader was told at SIG$signal ($answer)"
	done
	[ ! -s "$T/read" ] || matches "$(cat "$T/read")" '^cat: .*(Input/output error|connection abort|not connected)$' "what cat was told"
	eq "$(cat "$T/written")" '' "what a writer was told whose submission is in the books"
	posts=$((posts + 1))
	release submit.received
	release stall
	control '{"faults": [], "hold": []}'
	driver_start
	# The POST was not answered in time: it may have been taken, and is not sent again.
	eq "$(cat "$M/held-$signal/status")" UNCERTAIN "the job whose POST was under way"
	eq "$(cat "$M/by-name/dog/status")" QUEUED "the job that was waited for"
	posts_are $posts "after SIG$signal"
done

# The grace period is worth something: an answer that comes in it is kept.
mkdir "$M/graceful"
hold submit.received
bash -c "echo https://images.example/grace.png >$M/graceful/image_url" 2>"$T/written" &
writer=$!
arrived submit.received
kill -TERM "$DRIVER_PID"
release submit.received
driver_wait 20
eq "$DRIVER_STATUS" 0 "status after a graceful end"
await 5 is_gone $writer
wait $writer || :
driver_start
posts=$((posts + 1))
eq "$(cat "$M/graceful/status")" QUEUED "the job whose answer came in the grace period"
posts_are $posts "in the end"

# Mounted again at once, while the driver before still waits for that answer, and is told a second time to go, as at a
# shutdown: the next one waits for its end.
mkdir "$M/again"
hold submit.received
bash -c "echo https://images.example/again.png >$M/again/image_url" 2>"$T/written" &
writer=$!
arrived submit.received
first=$DRIVER_PID
kill -TERM "$first"
await 5 not mountpoint -q "$M"
kill -TERM "$first"
"$B/pixal3dfs" "$GATEWAY" "$M" -o "$OPTIONS" 2>"$T/next" &
next=$!
await 5 pgrep -P $next pixal3dfs
is_running "$first" || fail "a driver whose POST is under way has ended"
release submit.received
wait $next || fail "status $? of a mount right after an unmount: $(cat "$T/next")"
driver_wait 10
eq "$DRIVER_STATUS" 0 "status of a driver that was told twice"
await 5 is_gone $writer
wait $writer || :
posts=$((posts + 1))
eq "$(cat "$M/again/status")" QUEUED "the job whose answer came while the next driver waited"
posts_are $posts "after a mount right after an unmount"
next=$(pgrep -f "pixal3dfs $GATEWAY $M")
umount "$M"
await 10 is_gone "$next"
driver_start

# The mount is whole again.
control '{"queue_time": 0}'
complete_job after
cmp "$M/by-name/fresh/output.glb" <(curl -sS "$(media_url "$M/by-name/fresh")") ||
	fail "the model whose reader was ended"
