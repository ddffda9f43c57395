# What every sandbox test starts with: . "$(dirname "$0")/lib.sh"
#
# A test runs below tests/run, with $T its own directory and $B the build. The gateways that it starts
# end with it, and each must end with status 0. Nothing sleeps for a guess: requests are put where the
# test wants them by times, "advance" and barriers.

set -Eeuo pipefail
: "${T:?run it with tests/run}" "${B:?}" "${SLOW:=1}"

PIDS=()
# What the tests read: the last code, curl's status, the last accepted id.
CODE=
# shellcheck disable=SC2034
CURL=0 ID=
SUBMIT=/pixal3d/v1/pixal3d-request
STATUS=/v2/requests/status

fail() {
	echo "FAILED: $*" >&2
	trap - ERR
	exit 1
}

eq() { # actual expected what
	[ "$1" = "$2" ] || fail "$3: got '$1', expected '$2'"
}

matches() { # text extended-regular-expression what
	grep -Eq -- "$2" <<<"$1" || fail "$3: '$1' does not match '$2'"
}

# Starts a gateway and reads its ready file: GATEWAY, CDN, PID.
start() { # option...
	local i
	rm -f "$T/ready"
	"$B/pixal3d-sandbox" --ready "$T/ready" --queue-time 0 --process-time 0 "$@" \
		>>"$T/sandbox.log" 2>&1 &
	PIDS+=($!)
	for ((i = 0; i < 500 * SLOW && ${#PIDS[@]}; i++)); do
		[ ! -s "$T/ready" ] || break
		sleep 0.02
	done
	# shellcheck source=/dev/null
	. "$T/ready"
}

stop() { # [pid]
	local status=0 pid=${1:-$PID}
	kill "$pid"
	wait "$pid" || status=$?
	eq $status 0 "exit status of the sandbox"
	forget "$pid"
}

# It has ended already.
forget() { # pid
	local pid left=()
	for pid in "${PIDS[@]}"; do
		[ "$pid" = "$1" ] || left+=("$pid")
	done
	PIDS=("${left[@]}")
}

call() { # curl arguments
	curl -sS --max-time $((20 * SLOW)) "$@"
}

# A request of the API: its status is in CODE, its body in $T/body, its header fields in $T/head.
api() { # curl arguments
	rm -f "$T/body"
	CODE=$(call -o "$T/body" -D "$T/head" -w '%{http_code}' -H 'Ocp-Apim-Subscription-Key: k' "$@") ||
		CURL=$?
}

submit() { # JSON [curl argument...]
	local json=$1
	shift
	CURL=0
	api -H 'Content-Type: application/json' --data-binary "$json" "$@" "$GATEWAY$SUBMIT"
}

# Submits a small job; its id is in ID.
accept() { # [member of the JSON...]
	local more=
	[ $# -eq 0 ] || more=,$1
	submit '{"image_url":"https://images.example/dog.png","seed":1,"decimation_target":500,"texture_size":1024'"$more}"
	eq "$CODE" 202 "code of an accepted POST"
	# shellcheck disable=SC2034
	ID=$(body .request_id)
}

status() { # id
	CURL=0
	api "$GATEWAY$STATUS/$1"
}

body() { # jq filter
	jq -cr "$1" "$T/body"
}

# The value of a header field of the last answer.
head_of() { # name
	sed -n "s/^$1: *\(.*\)\r$/\1/Ip" "$T/head"
}

ledger() { # jq filter
	call "$GATEWAY/sandbox/ledger" | jq -cr "$1"
}

count() { # name
	call "$GATEWAY/sandbox/count?what=$1"
}

control() { # JSON
	local code
	code=$(call -o "$T/control" -w '%{http_code}' --data-binary "$1" "$GATEWAY/sandbox/control")
	eq "$code" 200 "control $1: $(cat "$T/control")"
}

faults() { # fault...
	local IFS=,
	control "{\"faults\":[$*]}"
}

fired() { # name count
	eq "$(count "$1")" "$2" "fault $1 has fired"
}

# Waits until so many have reached a point.
arrived() { # point [count]
	eq "$(call -o "$T/arrived" -w '%{http_code}' \
		"$GATEWAY/sandbox/wait?point=$1&count=${2:-1}&timeout=$((10 * SLOW))")" 200 "arrived at $1"
}

release() { # point [count]
	call -o "$T/released" -X POST "$GATEWAY/sandbox/release?point=$1&count=${2:-0}"
}

get() { # curl arguments, from the CDN
	CURL=0
	rm -f "$T/body"
	# shellcheck disable=SC2034
	CODE=$(call -o "$T/body" -D "$T/head" -w '%{http_code}' "$@") || CURL=$?
}

slice() { # file offset bytes
	dd if="$1" iflag=skip_bytes,count_bytes skip="$2" count="$3" bs=65536 status=none
}

size() { # file
	stat -c %s "$1"
}

at_exit() {
	local status=$? pid
	trap - ERR EXIT
	if [ $status -eq 0 ]; then
		for pid in "${PIDS[@]}"; do
			kill "$pid"
			wait "$pid" || { status=1 && echo "a sandbox ended with an error"; }
		done
	else
		for pid in "${PIDS[@]}"; do
			kill -9 "$pid"
		done
	fi
	[ $status -eq 0 ] || [ ! -s "$T/sandbox.log" ] || tail -n 30 "$T/sandbox.log"
	exit $status
}

trap at_exit EXIT
trap 'echo "FAILED: $0 line $LINENO: $BASH_COMMAND" >&2' ERR
