# While a new media URL is asked for, readers can be interrupted, others go on, and the driver can end.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: '

# Starts a reader of a model that expired, in PID; its poll is held by the gateway.
read_expired() { # name
	control '{"expire": true}'
	cat "$M/by-name/$1/output.glb" >"$T/$1.got" 2>"$T/$1.error" &
	PID=$!
	arrived status.received
}

# Interrupted: gone at once; one who stays gets it all, from one poll.
complete_job dog
sum=$(digest <(curl -sS "$(media_url "$M/by-name/dog")"))
hold status.received
read_expired dog
reader=$PID
cat "$M/by-name/dog/output.glb" >"$T/other.got" &
other=$!
start=$EPOCHREALTIME
kill -KILL $reader
await 5 is_gone $reader
took=$(milliseconds "$start")
[ "$took" -lt $((1000 * SLOW)) ] || fail "a reader took $took ms to end after SIGKILL"
wait $reader || :
is_running $other || fail "the other reader has ended too"
eq "$(within $((5 * SLOW)) cat "$M/by-name/dog/status")" COMPLETED "status meanwhile"
[ ! -e "$M/by-name/dog/error" ] || fail "an error before it is one: $(cat "$M/by-name/dog/error")"
polls=$(ledger polls)
release status.received
await 20 is_gone $other
wait $other || fail "the reader who stayed has failed"
eq "$(digest "$T/other.got")" "$sum" "the model that was read with a new URL"
[ "$(ledger polls)" -le $((polls + 1)) ] || fail "more than one poll"
[ ! -e "$M/by-name/dog/error" ] || fail "an error after all went well"

# The service cannot be asked: a clear error, in bounded time.
complete_job cat
control '{"faults": [{"at": "status", "do": "http", "status": 500, "times": 0}]}'
control '{"expire": true}'
refuses within $((30 * SLOW)) cat "$M/by-name/cat/output.glb"
fired status.http
matches "$(cat "$M/by-name/cat/error")" 'HTTP 403' "the error without an answer"
control '{"faults": []}'

# The driver ends meanwhile: the reader is answered, and nothing is blamed on it.
complete_job eel
hold status.received
read_expired eel
kill -TERM "$DRIVER_PID"
driver_wait 15
eq "$DRIVER_STATUS" 0 "the driver's exit status"
await 5 is_gone $PID
release status.received
driver_start
[ ! -e "$M/by-name/eel/error" ] || fail "blamed: $(cat "$M/by-name/eel/error")"
within $((30 * SLOW)) cat "$M/by-name/eel/output.glb" >"$T/got"
eq "$(digest "$T/got")" "$(digest <(curl -sS "$(media_url "$M/by-name/eel")"))" "after the restart"
