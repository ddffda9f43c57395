# limit: 300
# SIGKILL before every single call by which a submission leaves a trace, on disk or on the wire, one
# after the other: nothing is paid twice, nothing that was paid for is lost, every state is explained.
#
# A library in the driver (tests/preload/crash.c) ends it at the Nth call of a name, for every name, and
# every N until a submission has no more of them: exhaustive, and not a sample. Then come kills at
# random times (SEED=N for others). EXHAUSTIVE=1 also dies in the middle of every write to the books,
# and 200 random deaths.
. "$(dirname "$0")/lib.sh"

export CRASH=$T/crash
mkdir "$CRASH"
[ "$SLOW" = 1 ] || export ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0"
DRIVER_ENV=("LD_PRELOAD=$B/preload/crash.so")
OPTIONS=${OPTIONS/poll=0.05:0.1/poll=5}
expect_log '^pixal3dfs: warn: .*(UNCERTAIN|uncertain|may have)'

sandbox_start --queue-time 1000 --process-time 1000
control '{"balance": 1000000}'
url=https://images.example/dog.png
posts=0
ids=0

passed() { # name: so many calls of that name were made, and not only begun
	head -n -1 "$CRASH/calls" | grep -c "^$1 " || :
}

# A submission that ends at call "NAME N", or, "half", in the middle of it.
submit() { # name n [half]
	rm -rf "$T/state" "$T/cache" "${CRASH:?}"/*
	driver_start
	mkdir "$M/job"
	echo "$1 $2" >"$CRASH/at"
	[ -z "${3-}" ] || : >"$CRASH/half"
	: >"$CRASH/armed"
	told=0
	bash -c "echo $url >$M/job/image_url" 2>"$T/writer" || told=$?
}

# The driver is dead; mounts again and looks at what came of it.
look() { # what
	local state error
	wait "$DRIVER_PID" 2>/dev/null || :
	DRIVER_PID=
	umount -l "$M"
	rm -f "$CRASH/armed"
	driver_start poll=0.05:0.1
	await 10 settled
	state=$(cat "$M/job/status")
	read -r new_posts new_ids id < <(sandbox_call "$GATEWAY/sandbox/ledger" |
		jq -r "[.posts - $posts, .accepted - $ids, .requests[-1]] | @tsv")
	posts=$((posts + new_posts)) ids=$((ids + new_ids))
	[ "$new_posts" -le 1 ] || fail "$1: $new_posts POSTs"
	case $state in
	QUEUED)
		eq "$new_ids" 1 "$1: accepted"
		eq "$(cat "$M/job/request_id")" "$id" "$1: the request id"
		advance COMPLETED "$id"
		eq "$(within $((20 * SLOW)) cat "$M/job/wait")" COMPLETED "$1: goes on"
		;;
	UNCERTAIN)
		error=$(cat "$M/job/error")
		matches "$error" 'params.json' "$1: the error tells of writing again"
		matches "$error" 'request_id' "$1: the error tells of the request id"
		;;
	DRAFT)
		eq "$new_posts" 0 "$1: POSTs of a draft"
		[ "$told" != 0 ] || fail "$1: the writer was told that a draft was taken"
		;;
	*) fail "$1: $state" ;;
	esac
	matches "$state" "$2" "$1: the state"
	echo "$1: $state, $new_posts POSTs" >>"$T/told"
	driver_kill
}

settled() {
	case $(cat "$M/job/status") in WAITING | SUBMITTING) return 1 ;; esac
}

# What must come of it, by what is on disk for certain: commits end with a sync. A commit that was
# written but not yet synced counts after a kill, too.
expected() {
	case $(passed fdatasync) in
	0) echo 'DRAFT|QUEUED' ;;          # nothing; or WAITING, which is sent
	1) echo 'QUEUED|UNCERTAIN' ;;      # WAITING; or the intent
	2) echo 'UNCERTAIN|QUEUED' ;;      # the intent; or the answer
	*) echo 'QUEUED' ;;                # the answer
	esac
}

point() { # name n [half]: false when a submission has fewer of them
	submit "$@"
	if ! grep -qx "$1 $2" "$CRASH/calls"; then
		eq $told 0 "the writer's status without a crash"
		driver_kill
		posts=$((posts + 1)) ids=$((ids + 1))
		return 1
	fi
	await 5 is_gone "$DRIVER_PID"
	eq "$(tail -n 1 "$CRASH/calls")" "$1 $2" "the call at which it died"
	look "$*" "$(expected)"
}

for call in pwrite ftruncate fdatasync fsync connect send recv writev; do
	for ((n = 1; ; n++)); do
		point $call $n || break
		case $call${EXHAUSTIVE:+.} in
		send* | pwrite.) point $call $n half ;;
		esac
	done
done

# That the loop saw what it was made for.
for call in fdatasync connect send recv writev; do
	grep -q "^$call 1:" "$T/told" || fail "it never died at $call"
done
for outcome in 'DRAFT, 0' 'UNCERTAIN, 0' 'UNCERTAIN, 1' 'QUEUED, 1'; do
	grep -q ": $outcome POSTs" "$T/told" || fail "nothing became $outcome"
done

RANDOM=${SEED:-1}
deaths=15
[ -z "${EXHAUSTIVE-}" ] || deaths=200
for ((i = 0; i < deaths; i++)); do
	at=$(printf '0.%04d' $((RANDOM % 160 * SLOW)))
	rm -rf "$T/state" "$T/cache" "${CRASH:?}"/*
	driver_start
	mkdir "$M/job"
	bash -c "echo $url >$M/job/image_url" 2>"$T/writer" &
	writer=$!
	sleep "$at"
	kill -9 "$DRIVER_PID"
	told=0
	wait $writer || told=$?
	look "random death after $at s" .
done
cat "$T/told"
