# The network is gone: looking is as quick as ever, what is on this disk can be read, also after a remount,
# and a reader of what is not gets an error after a bounded time, and can be interrupted before.
. "$(dirname "$0")/lib.sh"
expect_log '^pixal3dfs: (warn|error): '
sandbox_start
driver_start
complete_job here
complete_job away
complete_job later
curl -sSf -o "$T/here.glb" "$(media_url "$M/by-name/here")"
cmp "$M/by-name/here/output.glb" "$T/here.glb"
params "$T/queued.json"
control '{"queue_time": 1000}'
cp "$T/queued.json" "$M/new/"

look() { # what
	local start=$EPOCHREALTIME
	ls -l "$M" "$M/by-name/"*/ >"$T/list" || fail "ls, $1"
	grep -q output.glb "$T/list"
	eq "$(cat "$M/by-name/queued/status")" QUEUED "status, $1"
	eq "$(cat "$M/by-name/here/status")" COMPLETED "status, $1"
	find "$M" -type f -size +1 >"$T/list"
	cmp "$M/by-name/here/output.glb" "$T/here.glb"
	# 50 ms each on a quiet machine; nothing of it may wait for a network that does not answer.
	[ "$(milliseconds "$start")" -lt $((2000 * SLOW)) ] || fail "looking took $(milliseconds "$start") ms, $1"
}

# A black hole: everything is taken, and nothing comes back.
kill -STOP "$SANDBOX_PID"
cat "$M/by-name/away/output.glb" >"$T/away.glb" 2>"$T/away.err" &
reader=$!
look "while the network is a black hole"
kill "$reader"
await 2 is_gone "$reader"
wait "$reader" 2>/dev/null || :

# Nobody there: an error, soon, and its reason for the person.
kill -CONT "$SANDBOX_PID"
sandbox_kill
look "while there is nobody"
refuses within $((60 * SLOW)) cat "$M/by-name/later/output.glb"
grep -q 'Input/output error' "$T/refused" || fail "it says: $(cat "$T/refused")"
driver_stop
driver_start
look "after a remount without a network"
GATEWAY=
