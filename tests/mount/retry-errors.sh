# retry_errors=N: what ended in ERROR, which is not charged, is submitted again, N times and no more.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start retry_errors=2
expect_log '^pixal3dfs: warn: '

drop() { # name
	params "$T/$1.json"
	cp "$T/$1.json" "$M/new/"
}

# It ends in ERROR every time. Who waits, waits for the last one.
drop error-always
eq "$(within $((30 * SLOW)) cat "$M/by-name/error-always/wait")" ERROR "the end"
posts_are 3 "of a job that always ends in ERROR"
eq "$(ledger charged_usd)" 0 charged
matches "$(cat "$M/by-name/error-always/cost")" '^0\.00 USD' cost
matches "$(cat "$M/spend")" '^ever +0\.00 USD' spend
for n in 1 2; do
	grep -q "submitted again by itself, $n of 2 times" "$M/by-name/error-always/log" ||
		fail "log: $(cat "$M/by-name/error-always/log")"
done
bodies=$(sandbox_call "$GATEWAY/sandbox/received" | jq -c '[.[] | .body] | unique | length')
eq "$bodies" 1 "different bodies of one job's attempts"

# Once: the second attempt is the one that is paid for and kept.
control '{"outcome": "ERROR"}'
hold status.received
drop once
arrived status.received
control '{"outcome": null}'
hold
eq "$(within $((30 * SLOW)) cat "$M/by-name/once/wait")" COMPLETED "the second attempt"
posts_are 5 "after a job that ended in ERROR once"
eq "$(ledger charged_usd)" 0.3 charged
matches "$(cat "$M/by-name/once/cost")" '^0\.30 USD \(estimate' cost
await 10 test -s "$M/by-name/once/output.glb"

# FAILED is not ERROR.
drop fail
eq "$(within $((20 * SLOW)) cat "$M/by-name/fail/wait")" FAILED "the end of a failure"
posts_are 6 "after FAILED"

# Killed while the retry is due: it is made once.
control '{"outcome": "ERROR"}'
drop killed
await 10 file_is "$M/by-name/killed/status" ERROR
control '{"outcome": null}'
driver_kill
driver_start retry_errors=2
eq "$(within $((30 * SLOW)) cat "$M/by-name/killed/wait")" COMPLETED "the retry of the next mount"
posts_are 8 "after a crash between ERROR and its retry"

# Not asked for: no retry.
driver_stop
driver_start
drop error-plain
eq "$(within $((20 * SLOW)) cat "$M/by-name/error-plain/wait")" ERROR "without the option"
matches "$(cat "$M/by-name/error-plain/error")" 'not charged' error
posts_are 9 "without the option"
