# mkdir, mv, rmdir and rm -r on a job in every state, and what a remount shows of it.
# limit: 120
. "$(dirname "$0")/lib.sh"

sandbox_start --queue-time 1000 --process-time 1000
driver_start submit_wait=0.2
expect_log '^pixal3dfs: (warn|error): '

# A job in each state: its image says what shall happen to it.
control '{"faults": [
	{"at": "submit", "do": "http", "match": "WAITING", "times": 0, "status": 429, "headers": {"Retry-After": "3600"}},
	{"at": "submit", "do": "close", "after": "body", "match": "UNCERTAIN"},
	{"at": "submit", "do": "http", "match": "REFUSED", "status": 402},
	{"at": "submit", "do": "stall", "after": "body", "match": "SUBMITTING"}]}'
states='DRAFT WAITING UNCERTAIN REFUSED QUEUED PROCESSING COMPLETED FAILED ERROR SUBMITTING'
has_another_size() { # file size
	[ "$(stat -c %s "$1")" != "$2" ]
}
for state in $states; do
	mkdir "$M/$state"
	[ "$state" = DRAFT ] || echo "https://images.example/$state.png" >"$M/$state/image_url" 2>"$T/said" || :
	case $state in
	PROCESSING | COMPLETED | FAILED | ERROR)
		size=$(stat -c %s "$M/$state/status.json") # which the kernel remembers until it is told
		advance "$state" "$(cat "$M/$state/request_id")"
		await 10 file_is "$M/$state/status" "$state"
		await 5 has_another_size "$M/$state/status.json" "$size"
		;;
	esac
	await 10 file_is "$M/$state/status" "$state"
done
bought='QUEUED PROCESSING COMPLETED FAILED ERROR'
posts=$(ledger posts)
eq "$posts" 9 "a POST for each but the draft"

# mv, and everything is where it was; the name is taken; rmdir takes drafts only.
for state in $states; do
	id=$(cat "$M/$state/request_id" 2>/dev/null || :)
	mv "$M/$state" "$M/my $state"
	[ ! -e "$M/$state" ] || fail "$state: the old name is there after mv"
	eq "$(cat "$M/my $state/status")" "$state" "$state: status after mv"
	eq "$(cat "$M/by-name/my $state/status")" "$state" "$state: by-name after mv"
	[ -z "$id" ] || eq "$(readlink "$M/$id")" "my $state" "$state: the link of the request id"
	refuses mkdir "$M/my $state"
	matches "$(cat "$T/refused")" 'File exists' "$state: mkdir of a name that is taken"
	[ "$state" = DRAFT ] && continue
	refuses rmdir "$M/my $state"
	matches "$(cat "$T/refused")" 'Directory not empty' "$state: rmdir"
done

# What is being sent cannot be forgotten.
refuses rm -r "$M/my SUBMITTING"
matches "$(cat "$T/refused")" 'busy' "rm -r while it is being sent"

# A crash, and a remount: names and states are kept; what was being sent is UNCERTAIN.
driver_kill
driver_start submit_wait=0.2
for state in $states; do
	now=$state
	[ "$state" != SUBMITTING ] || now=UNCERTAIN
	eq "$(cat "$M/my $state/status")" "$now" "$state: after a crash"
	[ "$now" != UNCERTAIN ] || grep -q request_id "$M/my $state/error" || fail "$state: no way out in error"
done
for state in $bought; do
	eq "$(readlink "$M/$(cat "$M/my $state/request_id")")" "my $state" "$state: its link after a crash"
done
posts_are "$posts" "after the crash"

# rm -r forgets each, for good.
for state in $states; do
	rm -r "$M/my $state" || fail "$state: rm -r"
	[ ! -e "$M/my $state" ] || fail "$state: it is there after rm -r"
done
driver_stop
driver_start
eq "$(wc -l <"$M/jobs")" 1 "lines of jobs in the end"
[ ! -L "$M/latest" ] || fail "latest in the end"
posts_are "$posts" "in the end"
