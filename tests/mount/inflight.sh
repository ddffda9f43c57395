# max_inflight= bounds the POSTs that are under way; the others wait in the books, in sight, and none is lost or sent twice, also
# through a crash.
. "$(dirname "$0")/lib.sh"

sandbox_start
hold submit.received
driver_start max_inflight=2,submit_wait=0.2
for i in 1 2 3 4 5; do
	params "$T/job$i.json"
	cp "$T/job$i.json" "$M/new/" || fail "a drop that has to wait is an error"
done
arrived submit.received 2
states() {
	cat "$M"/by-name/job*/status | sort | uniq -c | awk '{ printf "%s %s ", $1, $2 }'
}
eq "$(states)" '2 SUBMITTING 3 WAITING ' "states with two POSTs under way"
posts_are 2 "under way"
release submit.received
for i in 1 2 3 4 5; do
	eq "$(within $((20 * SLOW)) cat "$M/by-name/job$i/wait")" COMPLETED "wait of job$i"
done
posts_are 5 "in the end"

# Their first names, which links told a moment ago, still lead to them.
eq "$(readlink "$M/job-1")" "$(cat "$M/by-name/job1/request_id")" "a job's first name"
eq "$(cat "$M/job-1/status")" COMPLETED "status by its first name"
! listed "$M" job-1 || fail "a job is listed twice"
for name in job-0 job-01 job-6 job-1x job--1 'job- 1' job-99999999999999999999; do
	[ ! -e "$M/$name" ] || fail "$name leads somewhere"
done

# Killed with two under way and three waiting: the two are UNCERTAIN, the three are sent.
hold submit.received
for i in 6 7 8 9 10; do
	params "$T/job$i.json"
	cp "$T/job$i.json" "$M/new/"
done
arrived submit.received 2
driver_kill
release submit.received
driver_start max_inflight=2
uncertain=0
for i in 6 7 8 9 10; do
	case $(within $((20 * SLOW)) cat "$M/by-name/job$i/wait") in
	UNCERTAIN) uncertain=$((uncertain + 1)) ;;
	COMPLETED) ;;
	*) fail "job$i: $(cat "$M/by-name/job$i/status")" ;;
	esac
done
eq $uncertain 2 "UNCERTAIN jobs after the crash"
posts_are 10 "after the crash"
