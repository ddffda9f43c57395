# What every mount test starts with: . "$(dirname "$0")/lib.sh"
#
# A test runs below tests/run, with $T its own directory and $B the build. It starts a gateway with
# sandbox_start, a driver with driver_start, and works in $M, the mount. At its end, and however it
# ends, both are stopped; when it ended well it passes only if the driver ended with status 0, logged no
# warning or error that expect_log did not announce, no request for a file had the key, and the key is
# in no log.
#
# Nothing here sleeps for a guess: await polls a condition with a time limit, the sandbox's barriers
# (hold, arrived, release) put requests where the test wants them.

set -Eeuo pipefail
: "${T:?run it with tests/run}" "${B:?}" "${SLOW:=1}"

M=$T/mnt
KEY=key-of-this-test-$$
DRIVER_LOG=$T/driver.log
DRIVER_PID=
SANDBOX_PID=
GATEWAY=
# shellcheck disable=SC2034  # the ready file sets it, tests use it
CDN=
# Options of every driver; a test may change or add to them.
OPTIONS="state_dir=$T/state,cache_dir=$T/cache,key_file=$T/key,poll=0.05:0.1,log=info"
# Variables NAME=VALUE of the driver alone.
DRIVER_ENV=()
expected_log=('^$')

mkdir -p "$M"
(umask 077 && echo "$KEY" >"$T/key")
: >"$DRIVER_LOG"

fail() {
	echo "FAILED: $*" >&2
	trap - ERR
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

# A part of this test that cannot be tried here.
skip_row() { # row reason
	echo "$1: $2" >>"$T/skipped"
}

eq() { # actual expected what
	[ "$1" = "$2" ] || fail "$3: got '$1', expected '$2'"
}

matches() { # text extended-regular-expression what
	grep -Eq -- "$2" <<<"$1" || fail "$3: '$1' does not match '$2'"
}

# Runs a command that must fail; its output is in $T/refused.
refuses() { # command...
	if "$@" >"$T/refused" 2>&1; then
		fail "succeeded, and should not have: $*"
	fi
}

not() { # command...: for await
	! "$@"
}

# Waits until a command succeeds, at most so many seconds (more when sanitizers slow it down).
await() { # seconds command...
	local seconds=$1 end
	shift
	end=$((SECONDS + seconds * SLOW + 1))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -le $end ] || fail "not within $seconds s: $*"
		sleep 0.02
	done
}

# Runs a command that must be over within so many seconds.
within() { # seconds command...
	local seconds=$1 status=0
	shift
	timeout -k 1 "$seconds" "$@" || status=$?
	case $status in 124 | 137) fail "took longer than $seconds s: $*" ;; esac
	return $status
}

milliseconds() { # since an earlier $EPOCHREALTIME
	awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%d\n", (b - a) * 1000 }'
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

is_running() { # pid
	[ -e "/proc/$1" ] && ! grep -q '^State:[[:space:]]*[ZX]' "/proc/$1/status"
}

is_gone() { # pid
	! is_running "$1"
}

file_is() { # file content
	[ "$(cat "$1" 2>/dev/null)" = "$2" ]
}

json_is() { # file filter value
	[ "$(jq -r "$2" "$1" 2>/dev/null)" = "$3" ]
}

# It sleeps inside of a system call on the mount (read, or write for the shell's echo).
is_blocked() { # pid
	local call rest
	read -r call rest <"/proc/$1/syscall"
	case $call in 0 | 1 | 3 | 17 | 74) grep -q '^State:[[:space:]]*[SD]' "/proc/$1/status" ;; *) false ;; esac
}

listed() { # directory name
	find "$1/" -maxdepth 1 -name "$2" | grep -q .
}

digest() { # file
	sha256sum <"$1" | cut -d ' ' -f 1
}

# --- the gateway

sandbox_start() { # option...
	rm -f "$T/ready"
	"$B/pixal3d-sandbox" --port 0 --cdn-port 0 --ready "$T/ready" --key "$KEY" \
		--queue-time 0 --process-time 0 "$@" >>"$T/sandbox.log" 2>&1 &
	SANDBOX_PID=$!
	await 10 test -s "$T/ready"
	# shellcheck source=/dev/null
	. "$T/ready"
}

# The checks at the end of a gateway's life, then its end.
sandbox_stop() {
	local status=0 keys
	[ "$SANDBOX_PID" ] || return 0
	keys=$(ledger keys_seen_at_cdn)
	kill "$SANDBOX_PID"
	wait "$SANDBOX_PID" || status=$?
	SANDBOX_PID=
	eq "$keys" 0 "requests for files with the key"
	eq $status 0 "the sandbox's exit status"
}

sandbox_kill() {
	kill -9 "$SANDBOX_PID"
	wait "$SANDBOX_PID" 2>/dev/null || :
	SANDBOX_PID=
}

sandbox_call() { # curl arguments
	curl -sS --fail-with-body --max-time $((20 * SLOW)) "$@"
}

ledger() { # member
	sandbox_call "$GATEWAY/sandbox/ledger" | jq -r ".$1"
}

control() { # JSON object
	sandbox_call -o "$T/control" --data-binary "$1" "$GATEWAY/sandbox/control" ||
		fail "control $1: $(cat "$T/control")"
}

# All requests, or one, go on to a state now.
advance() { # state [request id]
	control "{\"advance\": {\"request\": \"${2:-*}\", \"to\": \"$1\"}}"
}

# Requests stop at exactly these points.
hold() { # point...
	control "$(jq -cn '{hold: $ARGS.positional}' --args -- "$@")"
}

# Waits until so many requests have arrived at a point.
arrived() { # point [count]
	sandbox_call -o /dev/null "$GATEWAY/sandbox/wait?point=$1&count=${2:-1}&timeout=$((10 * SLOW))" ||
		fail "nothing arrived at $1"
}

release() { # point
	sandbox_call -o /dev/null -X POST "$GATEWAY/sandbox/release?point=$1"
}

posts_are() { # count [what]
	eq "$(ledger posts)" "$1" "POSTs ${2-}"
}

fired() { # fault [count]
	eq "$(ledger "faults_fired[\"$1\"] // 0")" "${2:-1}" "fault $1 has fired"
}

# --- the driver

# The driver may log warnings and errors that match.
expect_log() { # extended-regular-expression...
	expected_log+=("$@")
}

# Starts a driver in the foreground. Status 1 when it ended instead of serving.
driver_try() { # source [options]
	local fifo=$T/serving
	rm -f "$fifo"
	mkfifo "$fifo"
	# A shell starts what it puts into the background with SIGINT ignored.
	env --default-signal=INT,QUIT "${DRIVER_ENV[@]}" "$B/pixal3dfs" "$1" "$M" -f -o "$OPTIONS,ready_fd=7${2:+,$2}" \
		7>"$fifo" </dev/null 2>>"$DRIVER_LOG" &
	DRIVER_PID=$!
	IFS= read -r -t $((20 * SLOW)) _ <"$fifo"
}

driver_start() { # [options [source]]
	driver_try "${2:-$GATEWAY}" "${1-}" || fail "the driver does not serve"
	mountpoint -q "$M" || fail "the driver says that it serves, and nothing is mounted"
}

# Waits for its end, bounded; its status is in DRIVER_STATUS.
driver_wait() { # seconds
	local status=0
	await "$1" is_gone "$DRIVER_PID"
	wait "$DRIVER_PID" || status=$?
	DRIVER_PID=
	DRIVER_STATUS=$status
}

driver_stop() {
	[ "$DRIVER_PID" ] || return 0
	await 5 umount "$M"
	driver_wait 10
	eq "$DRIVER_STATUS" 0 "the driver's exit status"
}

driver_kill() { # signal -9, and the dead mount is taken away
	kill -9 "$DRIVER_PID"
	wait "$DRIVER_PID" 2>/dev/null || :
	DRIVER_PID=
	umount -l "$M"
}

# --- jobs

# Writes parameters to a file outside of the mount.
params() { # file [image url]
	printf '{\n  "image_url": "%s",\n  "decimation_target": 5000,\n  "texture_size": 1024\n}\n' \
		"${2:-https://images.example/$(basename "$1" .json).png}" >"$1"
}

# Drops NAME and waits for its end: COMPLETED at once with the times of sandbox_start.
complete_job() { # name
	params "$T/$1.json"
	cp "$T/$1.json" "$M/new/"
	eq "$(within $((20 * SLOW)) cat "$M/by-name/$1/wait")" COMPLETED "wait of $1"
	await 10 test -e "$M/by-name/$1/output.glb"
}

media_url() { # job directory
	jq -er '.output.media_url | if type == "array" then .[0] else . end' "$1/status.json"
}

# A model that nobody has read: $F, and what is in it: $TRUTH.
model() { # name
	complete_job "$1"
	F=$M/by-name/$1/output.glb
	TRUTH=$T/$1.glb
	curl -sS -o "$TRUTH" "$(media_url "$M/by-name/$1")"
}

# Reads $F in every way that a program can; with a driver's pid, while that driver is stopped.
ways() { # [pid]
	within $((10 * SLOW)) python3 "$ROOT/tests/tools/ways.py" "$F" "$TRUTH" "$@"
}

# --- the end

log_is_clean() {
	local expected
	expected=$(printf '%s\n' "${expected_log[@]}")
	if grep -Ev '^pixal3dfs: (info|debug): ' "$DRIVER_LOG" | grep -Ev -f <(echo "$expected") \
		>"$T/unexpected"; then
		echo "unexpected in the driver's log:"
		cat "$T/unexpected"
		return 1
	fi
	if grep -qF -- "$KEY" "$DRIVER_LOG"; then
		echo "the key is in the driver's log"
		return 1
	fi
}

tell() { # what a failing test should show
	echo "--- driver's log"
	tail -n 60 "$DRIVER_LOG"
	if [ "$GATEWAY" ] && [ "$SANDBOX_PID" ] && is_running "$SANDBOX_PID"; then
		echo "--- sandbox's ledger"
		curl -sS --max-time 2 "$GATEWAY/sandbox/ledger"
	fi
	if [ -s "$T/sandbox.log" ]; then
		echo "--- sandbox's log"
		tail -n 30 "$T/sandbox.log"
	fi
	if [ -s "$T/refused" ]; then
		echo "--- the last refusal"
		cat "$T/refused"
	fi
}

# Whatever happened: nothing of it stays.
end_all() {
	local pid
	[ "$DRIVER_PID" ] && kill -9 "$DRIVER_PID"
	while mountpoint -q "$M" || ! stat "$M" >/dev/null; do
		umount -l "$M" || break
	done
	for pid in $(jobs -p); do
		kill -9 "$pid"
	done
} 2>/dev/null

at_exit() {
	local status=$?
	trap - ERR
	if [ $status -eq 0 ]; then
		trap at_exit_again EXIT
		driver_stop
		sandbox_stop
		log_is_clean || status=1
		trap - EXIT
	fi
	set +e
	[ $status -eq 0 ] || [ $status -eq 77 ] || tell
	end_all
	exit $status
}

# A check of at_exit has failed.
at_exit_again() {
	set +e
	tell
	end_all
	exit 1
}

trap at_exit EXIT
trap 'echo "FAILED: $0 line $LINENO: $BASH_COMMAND" >&2' ERR
