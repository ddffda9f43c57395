# Ctrl-C and SIGKILL end whoever waits, at once; the others go on waiting, and no job is lost.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start

complete_job model
control '{"queue_time": 1000}'
params "$T/dog.json"
cp "$T/dog.json" "$M/new/"
id=$(cat "$M/by-name/dog/request_id")
posts=2

# Starts a program as a terminal would, in PID.
start() { # command...
	env --default-signal=INT "$@" >"$T/started" 2>&1 &
	PID=$!
}

gone_after() { # signal pid what
	local start
	start=$EPOCHREALTIME
	kill "-$1" "$2"
	await 5 is_gone "$2"
	took=$(milliseconds "$start")
	[ "$took" -lt $((1000 * SLOW)) ] || fail "$3 took $took ms to end after SIG$1"
	wait "$2" || :
}

for signal in INT TERM KILL; do
	start cat "$M/$id/wait"
	await 10 is_blocked "$PID"
	gone_after $signal "$PID" "a reader of wait"
done
# Also where nothing else happens that the driver would wake for.
driver_stop
driver_start poll=1000
start cat "$M/$id/wait"
await 10 is_blocked "$PID"
gone_after INT "$PID" "a reader of wait in a driver that sleeps"
driver_stop
driver_start

# The output on a CDN that stalls: by read and by page fault.
control '{"faults": [{"at": "cdn", "do": "stall", "times": 0}]}'
stalled=0
for signal in INT TERM KILL; do
	for how in cat mmap; do
		complete_again() { # a model that nobody has read
			control '{"queue_time": 0}'
			complete_job "$how-$signal"
			control '{"queue_time": 1000}'
			posts=$((posts + 1))
		}
		complete_again
		file=$M/by-name/$how-$signal/output.glb
		case $how in
		cat) start cat "$file" ;;
		mmap)
			[ $signal = KILL ] || continue # a page fault ends for SIGKILL only, on any filesystem
			start python3 -c 'import mmap, sys
with open(sys.argv[1], "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
    m[0]' "$file"
			;;
		esac
		stalled=$((stalled + 1))
		arrived stall $stalled
		gone_after $signal "$PID" "a reader of output.glb ($how)"
	done
done

# One of two readers: the other one stays, and gets its bytes.
cat "$M/by-name/model/output.glb" >"$T/stays" &
stays=$!
start cat "$M/by-name/model/output.glb"
stalled=$((stalled + 1))
arrived stall $stalled
gone_after INT "$PID" "one of two readers"
is_running $stays || fail "the other reader ended, too"
control '{"faults": []}'
release stall
wait $stays || fail "the reader that stayed failed"
curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/model")"
cmp "$T/stays" "$T/direct.glb" || fail "the reader that stayed got something else"

# A writer whose POST is under way: it goes, the POST stays, and its answer is not lost.
for signal in INT KILL; do
	hold submit.received
	mkdir "$M/held-$signal"
	start bash -c "echo https://images.example/$signal.png >$M/held-$signal/image_url"
	arrived submit.received
	gone_after $signal "$PID" "a writer in a submission"
	eq "$(cat "$M/held-$signal/status")" SUBMITTING "the job of a writer that has gone"
	release submit.received
	hold
	posts=$((posts + 1))
	await 10 file_is "$M/held-$signal/status" QUEUED
	posts_are $posts "after SIG$signal to a writer"
done
hold submit.received
params "$T/cp.json"
start cp "$T/cp.json" "$M/new/"
arrived submit.received
gone_after INT "$PID" "cp in a submission"
release submit.received
hold
posts=$((posts + 1))
await 10 file_is "$M/by-name/cp/status" QUEUED
posts_are $posts "after Ctrl-C of cp"

# One that lives on with a handler is told that its write was taken: told EINTR, it would write, and pay, again.
hold submit.received
mkdir "$M/handled"
# shellcheck disable=SC2016
start perl -MPOSIX -e 'sigaction(SIGUSR1, POSIX::SigAction->new(sub {})); # without SA_RESTART
	sysopen(my $file, "$ARGV[0]/image_url", O_WRONLY) or die "$!";
	print syswrite($file, "https://images.example/handled.png\n") // $!;' "$M/handled"
arrived submit.received
gone_after USR1 "$PID" "a writer with a handler"
eq "$(cat "$T/started")" 35 "what it was told"
eq "$(cat "$M/handled/status")" SUBMITTING "its job"
release submit.received
hold
posts=$((posts + 1))
await 10 file_is "$M/handled/status" QUEUED
posts_are $posts "after a signal that is handled"

# Nothing is left in an uninterruptible sleep.
for status in /proc/[0-9]*/status; do
	if grep -qs '^State:[[:space:]]*D' "$status" && grep -qs "$M" "${status%status}cmdline"; then
		fail "in D state: $(tr '\0' ' ' <"${status%status}cmdline")"
	fi
done
