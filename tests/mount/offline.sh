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
	local start=$EPOCHREALTIME median maximum
	ls -l "$M" "$M/by-name/"*/ >"$T/list" || fail "ls, $1"
	grep -q output.glb "$T/list"
	eq "$(cat "$M/by-name/queued/status")" QUEUED "status, $1"
	eq "$(cat "$M/by-name/here/status")" COMPLETED "status, $1"
	find "$M" -type f -size +1 >"$T/list"
	cmp "$M/by-name/here/output.glb" "$T/here.glb"
	# Nothing of it may wait for a network that does not answer.
	[ "$(milliseconds "$start")" -lt $((2000 * SLOW)) ] || fail "looking took $(milliseconds "$start") ms, $1"
	read -r median maximum < <("$B/tools/latency" 50 "$M/by-name/queued" "$M/by-name/queued/status")
	[ "$median" -lt $((50000 * SLOW)) ] || fail "a look takes $median us (at most $maximum), $1"
}

# A black hole: everything is taken, and nothing comes back.
kill -STOP "$SANDBOX_PID"
cat "$M/by-name/away/output.glb" >"$T/away.glb" 2>"$T/away.err" &
reader=$!
await 10 is_blocked $reader
look "while the network is a black hole"
is_blocked $reader || fail "the network is no black hole: $(cat "$T/away.err")"
kill "$reader"
await 2 is_gone "$reader"
wait "$reader" 2>/dev/null || :
[ ! -s "$T/away.glb" ] || fail "$(stat -c %s "$T/away.glb") bytes out of a black hole"

# Nobody there: an error, soon, and its reason for the person.
kill -CONT "$SANDBOX_PID"
sandbox_kill
look "while there is nobody"
is_an_error() { # what
	refuses within $((60 * SLOW)) cat "$M/by-name/later/output.glb"
	matches "$(cat "$T/refused")" 'Input/output error' "reading what is not here, $1"
	[ -s "$M/by-name/later/error" ] || fail "no reason in the error file, $1"
}
is_an_error "while there is nobody"
driver_stop
driver_start
look "after a remount without a network"
is_an_error "after a remount"
GATEWAY=
