# limit: 240
# The server dies at every point of the exchange, in clear and under TLS: what may have been bought is
# never sent again, what was not sent is sent once, and polls go on.
. "$(dirname "$0")/lib.sh"

command -v openssl >/dev/null || skip "no openssl"
expect_log '^pixal3dfs: warn: .*(UNCERTAIN|may have been|not sent|generation failed|is not known)'

# A certificate for localhost, its own authority.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost -keyout "$T/tls.key" -out "$T/tls.crt" 2>"$T/openssl"

CONTROL=
gateway_start() { # [certificate key]
	rm -f "$T/ready"
	python3 "$(dirname "$0")/../tools/dying_gateway.py" "$T/ready" "$@" 2>>"$T/sandbox.log" &
	DYING=$!
	await 10 test -s "$T/ready"
	# shellcheck source=/dev/null
	. "$T/ready"
}

ask() { # path
	curl -sS --max-time 20 "$CONTROL/$1"
}

count() { # filter
	ask counts | jq -r "$1"
}

counted() { # filter value
	[ "$(count "$1")" = "$2" ]
}

answered() { # more than
	[ "$(count .answered)" -gt "$1" ]
}

bodies() { # image: whole POST bodies for it
	count ".bodies[\"https://images.example/$1\"] // 0"
}

declare -A sent # what was counted for each image, which must stay so

# A submission dies at a point. Its kind: sent (UNCERTAIN, with so many whole bodies received), unsent
# (sent again, and received once), or any of both.
submission() { # point how kind bodies
	local row=$name-$1-$2 job=$M/$name-$1-$2 state
	ask "die?at=submit&point=$1&how=$2" >/dev/null
	mkdir "$job"
	within $((20 * SLOW)) bash -c "echo https://images.example/$row > $job/image_url" 2>"$T/writer" || :
	eq "$(count ".fired[\"submit.$1.$2\"]")" 1 "$row has fired"
	state=$(within $((20 * SLOW)) cat "$job/wait")
	case $3.$state in
	sent.UNCERTAIN | any.UNCERTAIN)
		eq "$(bodies "$row")" "$4" "$row: whole bodies"
		matches "$(cat "$job/error")" 'params.json' "$row: one way out"
		matches "$(cat "$job/error")" 'request_id' "$row: the other"
		;;
	unsent.FAILED | any.FAILED)
		eq "$(bodies "$row")" 1 "$row: whole bodies"
		matches "$(cat "$job/log")" 'WAITING.*not sent' "$row: its log"
		;;
	*) fail "$row ended as $state: $(cat "$job/log")" ;;
	esac
	sent[$row]=$(bodies "$row")
}

# A poll dies at a point; the job does not notice.
poll() { # point how
	local row="poll $name $1 $2" answers posts
	posts=$(count .posts)
	ask "die?at=poll&point=$1&how=$2" >/dev/null
	await 10 counted ".fired[\"poll.$1.$2\"]" 1
	answers=$(count .answered)
	await 10 answered $((answers + 2))
	eq "$(cat "$M/warm/status")" PROCESSING "$row: status"
	[ ! -e "$M/warm/error" ] || fail "$row: $(cat "$M/warm/error")"
	eq "$(count .posts)" "$posts" "$row: POSTs"
}

warmed_up() {
	[ "$(count .kept)" -ge 3 ]
}

transport() { # name options
	local how point row
	name=$1
	driver_start "$2,state_dir=$T/state-$name"
	mkdir "$M/warm"
	echo "https://images.example/stay" >"$M/warm/image_url"
	await 10 warmed_up
	for how in fin rst; do
		submission before-accept "$how" any 0
		if [ "$name" = tls ]; then
			submission accepted "$how" unsent
			submission tls-hello "$how" unsent
			submission tls-half "$how" unsent
		else
			submission accepted "$how" sent 0
		fi
		for point in head-half head body-half; do
			submission "$point" "$how" sent 0
		done
		for point in body continue status-half fields-half fields answer-half; do
			submission "$point" "$how" sent 1
		done
		for point in before-accept accepted head-half head body status-half fields-half fields \
			answer-half; do
			poll "$point" "$how"
		done
	done
	# Nothing that comes later sends any of it again: polls, a restart, another submission.
	driver_stop
	driver_start "$2,state_dir=$T/state-$name"
	point=$(count .answered)
	await 10 answered "$point"
	ask end >/dev/null
	eq "$(within $((20 * SLOW)) cat "$M/warm/wait")" FAILED "the job that was polled all the time"
	driver_stop
	for row in "${!sent[@]}"; do
		eq "$(bodies "$row")" "${sent[$row]}" "$row: whole bodies in the end"
	done
	sent=()
}

gateway_start
transport clear ""
kill "$DYING"
gateway_start "$T/tls.crt" "$T/tls.key"
transport tls "ca_file=$T/tls.crt"
kill "$DYING"
GATEWAY=
