# The command line, the ready file, the ends of a life.
. "$(dirname "$0")/lib.sh"

matches "$("$B/pixal3d-sandbox" --version)" '^pixal3d-sandbox [0-9]' "--version"
help=$("$B/pixal3d-sandbox" --help)
for word in --listen --port --cdn-port --ready --ledger --balance --key --queue-time --process-time --rate \
	--control --allow-http-webhook --lifeline 'never fetched' truncate no_range submit.received; do
	[[ $help = *"$word"* ]] || fail "--help says nothing of $word"
done
for bad in --nonsense --port=x --port=70000 --port=-1 --balance=1x --queue-time=nan --rate=1.5 more; do
	status=0
	"$B/pixal3d-sandbox" "$bad" >"$T/out" 2>&1 || status=$?
	eq $status 2 "status of $bad"
done
status=0
"$B/pixal3d-sandbox" --control "$T/none" >"$T/out" 2>&1 || status=$?
eq $status 1 "status without the control file"
echo '{"balance":5,"nonsense":1}' >"$T/control.json"
status=0
"$B/pixal3d-sandbox" --control "$T/control.json" >"$T/out" 2>&1 || status=$?
eq $status 1 "status with a wrong control"
matches "$(cat "$T/out")" nonsense "what it says"

# A control to begin with; the ready file is whole, and nothing else is left beside it.
echo '{"balance":0.3,"faults":[{"at":"status","do":"http","status":418}]}' >"$T/control.json"
mkdir "$T/dir"
start --control "$T/control.json" --ready "$T/dir/ready" --ready "$T/ready"
eq "$(sed 's/[0-9][0-9]*$/N/' "$T/ready")" $'GATEWAY=http://127.0.0.1:N\nCDN=http://127.0.0.1:N\nPID=N' "ready file"
eq "$(find "$T" -name 'ready*' -type f)" "$T/ready" "ready files"
eq "$PID" "${PIDS[0]}" "PID"
eq "$(count balance_usd)" 0.30 "balance by control"
status x
eq "$CODE" 418 "fault by control"
[ "${GATEWAY##*:}" != "${CDN##*:}" ] || fail "one port for both"

# A port that is taken.
status=0
"$B/pixal3d-sandbox" --port "${GATEWAY##*:}" >"$T/out" 2>&1 || status=$?
eq $status 1 "status when the port is taken"
kill -INT "$PID"
status=0
wait "$PID" || status=$?
eq $status 0 "status after SIGINT"
forget "$PID"

# Its parent's end is its end, with the pipe that only the parent holds.
mkfifo "$T/line"
start_parent() {
	"$B/pixal3d-sandbox" --ready "$T/ready" --lifeline 8 8<"$T/line" &
}
rm "$T/ready"
start_parent
child=$!
PIDS+=("$child")
exec 7>"$T/line"
while [ ! -s "$T/ready" ]; do sleep 0.02; done
kill -0 "$child"
exec 7>&-
status=0
wait "$child" || status=$?
eq $status 0 "status at the lifeline's end"
forget "$child"
