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

driver_start
for i in $(seq $jobs); do
	echo "https://images.example/$i.png" >"$M/new/$i.url"
done
posts_are $jobs
eq "$(grep -c QUEUED "$M/jobs")" $jobs "jobs in flight"
watch "${GATEWAY##*:}" 8
driver_stop

# The same jobs by way of nginx: the books know them, their polling_url is another origin's.
: >"$F/log"
driver_start "ca_file=$F/ours.crt" "https://localhost:$port"
eq "$(grep -c QUEUED "$M/jobs")" $jobs "jobs in flight over TLS"
watch "$port" 8
made=$(awk '/^HTTP\/2.0 GET/{print $5}' "$F/log" | sort -u | wc -l)
[ "$made" -le 8 ] || fail "$made connections were made over TLS"
posts_are $jobs "in the end"
driver_stop
front_stop
