# Hundreds of jobs are polled over few connections: eight kept ones in clear, one under TLS by HTTP/2.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tools/front.sh"

command -v ss >"$T/which" || skip "no ss here"
jobs=300

sandbox_start --queue-time 1000 --balance 1000
authority ours
certificate good ours 2 localhost
port=$(free_port)
front_start "$port" good
OPTIONS=${OPTIONS/poll=*,log/poll=0.3:0.5,log}

connections() { # port: the driver's, in any state but gone
	ss -Htanp "dport = :$1" | grep -c "pid=$DRIVER_PID," || :
}
polls_reach() { # count
	[ "$(ledger polls)" -ge "$1" ]
}
# Each job is polled several times; at most so many connections at any moment, and so many made.
watch() { # port most
	local seen most=0 end=$(($(ledger polls) + 6 * jobs))
	until polls_reach $end; do
		seen=$(connections "$1")
		[ "$seen" -le "$most" ] || most=$seen
		[ $SECONDS -lt $((120 * SLOW)) ] || fail "too slow"
	done
	[ "$most" -ge 1 ] || fail "no connection seen"
	[ "$most" -le "$2" ] || fail "$most connections at once"
}

fly() { # POSTs so far
	local i
	for ((i = 0; i < jobs; i++)); do
		echo "https://images.example/$i.png" >"$M/new/$i.url"
	done
	posts_are $(($1 + jobs))
	eq "$(grep -c QUEUED "$M/jobs")" $jobs "jobs in flight"
}

driver_start
fly 0
watch "${GATEWAY##*:}" 8
driver_stop

# By way of nginx; the polling_url that they are given is another origin's.
: >"$F/log"
driver_start "ca_file=$F/ours.crt,state_dir=$T/state-tls" "https://localhost:$port"
fly $jobs
watch "$port" 8
made=$(awk '/^HTTP\/2.0 GET/{print $5}' "$F/log" | sort -u | wc -l)
[ "$made" -le 8 ] || fail "$made connections were made over TLS"
posts_are $((2 * jobs)) "in the end"
driver_stop
front_stop
