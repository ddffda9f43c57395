# limit: 180
# The service says where to poll and where the models are, and is not believed: no redirect, no other
# origin gets the key; no address that is not public is connected to, however it is named; answers without
# an end cost neither memory nor disk.
#
# In network and mount namespaces of its own, with addresses and names of its own.
if [ ! "${INSIDE-}" ]; then
	if [ "$(id -u)" != 0 ] || ! unshare -n -m true 2>/dev/null; then
		echo "needs root and private namespaces, for addresses of its own"
		exit 77
	fi
	INSIDE=1 exec "$(dirname "$0")/../tools/private" -n -- bash "$0"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tools/front.sh"

command -v ip >"$T/which" || skip "no ip here"
ip link set lo up
public=9.9.9.9
traps=(127.0.0.1 127.9.9.9 10.0.0.5 172.16.0.5 192.168.7.7 100.64.0.9 169.254.169.254 192.0.0.192
	168.63.129.16)
for address in $public "${traps[@]:2}"; do
	ip address add "$address/32" dev lo
done
if ip -6 address add fd00::7/128 dev lo 2>"$T/ip"; then
	ip -6 address add 2001:4860::7/128 dev lo
	traps+=(::1 fd00::7)
fi
{
	echo "127.0.0.1 localhost gateway.test"
	echo "$public cdn.test"
	for address in "${traps[@]}" ::ffff:10.0.0.5; do
		echo "$address at-${address//[:.]/-}.test"
	done
} >"$T/hosts"
echo nameserver 127.0.0.1 >"$T/resolv.conf"
mount --bind "$T/hosts" /etc/hosts
mount --bind "$T/resolv.conf" /etc/resolv.conf

authority ours
certificate good ours 2 gateway.test cdn.test
sandbox_start
# The CDN on a public address; which key it is sent.
cat >"$F/servers" <<-END
	log_format keyed '\$uri [\$http_ocp_apim_subscription_key]';
	server {
		listen $public:443 ssl;
		server_name cdn.test;
		access_log $F/cdn-log keyed;
		location / { proxy_pass $CDN; }
	}
END
front_start 8443 good
python3 "$(dirname "$0")/../tools/trap.py" "$T/traps" "$T/trapped" "${traps[@]}" &
await 10 test -e "$T/traps"
: >"$T/trapped"
gateway=https://gateway.test:8443
expect_log '^pixal3dfs: warn: '
driver_start "ca_file=$F/ours.crt" "$gateway"

nobody_knocked() { # what
	[ ! -s "$T/trapped" ] || fail "$1: a connection to $(tr '\n' ' ' <"$T/trapped")"
}
# The media_url of jobs with this image; goes on until faults are replaced.
media() { # image URL
	control "{\"add_faults\": [{\"at\": \"status\", \"do\": \"answer\", \"name\": \"media-$1\", \"times\": 0,
		\"when\": \"COMPLETED\", \"match\": \"/$1.png\",
		\"set\": {\"output\": {\"media_url\": [\"$2\"], \"media_type\": \"model/glb\"}}}]}"
}
# What is well: the model comes from the public address, without the key.
well=https://cdn.test/v1/%ID%/output.glb
media well $well
mkdir "$M/well"
echo https://images.example/well.png >"$M/well/image_url"
eq "$(within $((20 * SLOW)) cat "$M/well/wait")" COMPLETED "a model on a public address"
await 10 test -e "$M/well/output.glb"
eq "$(head -c 4 "$M/well/output.glb")" glTF "a model from a public address"
posts=1
posts_are 1

# A model elsewhere is refused, without a connection: by number, by name, by any spelling. A public place
# that points to a private one is not followed there. All at once, as each is asked for again.
urls=(http://cdn.test/x.glb http://127.0.0.1/x.glb http://localhost/x.glb https://localhost/x.glb
	file:///etc/passwd ftp://cdn.test/x.glb gopher://127.0.0.1/x https://cdn.test@127.0.0.1/x.glb
	https://2130706433/x.glb https://0x7f000001/x.glb https://127.1/x.glb)
for address in "${traps[@]}" ::ffff:10.0.0.5; do
	case $address in
	*:*) urls+=("https://[$address]/x.glb") ;;
	*) urls+=("https://$address/x.glb") ;;
	esac
	urls+=("https://at-${address//[:.]/-}.test/x.glb")
done
names=()
for i in "${!urls[@]}"; do
	media "forbidden-$i" "${urls[i]}"
	names+=("forbidden-$i")
done
pointers=(https://at-169-254-169-254.test/latest http://127.0.0.1/x file:///etc/passwd)
for i in "${!pointers[@]}"; do
	media "pointer-$i" $well
	control "{\"add_faults\": [{\"at\": \"head\", \"do\": \"redirect\", \"name\": \"pointer-$i\", \"times\": 0,
		\"match\": \"/pointer-$i.png\", \"status\": 302, \"location\": \"${pointers[i]}\"}]}"
	urls+=("a redirect to ${pointers[i]}")
	names+=("pointer-$i")
done
for i in "${!urls[@]}"; do
	echo "https://images.example/${names[i]}.png" >"$M/new/${names[i]}.url"
done
posts=$((posts + ${#urls[@]}))
for i in "${!urls[@]}"; do
	job=$M/by-name/${names[i]}
	await 20 test -s "$job/error"
	matches "$(cat "$job/error")" 'not public|may be fetched|not followed' "error for ${urls[i]}"
	[ "$(ledger "faults_fired[\"media-${names[i]}\"]")" -ge 1 ] || fail "${urls[i]} was not given"
	[ ! -e "$job/output.glb" ] || refuses within 20 cat "$job/output.glb"
done
nobody_knocked "models elsewhere"
posts_are $posts "models elsewhere"
for i in "${!pointers[@]}"; do
	[ "$(ledger "faults_fired[\"pointer-$i\"]")" -ge 1 ] || fail "no redirect to ${pointers[i]}"
done
rm -r "$M"/pixal3d_*
control '{"faults": []}'

number=0
# polling_url: another origin is not asked, the documented URL is.
polling() { # URL
	local job=$M/polling-$((number += 1)) asked
	control "{\"faults\": [{\"at\": \"submit\", \"do\": \"answer\", \"name\": \"polling-$number\",
		\"set\": {\"polling_url\": \"$1\"}}]}"
	: >"$F/cdn-log"
	mkdir "$job"
	echo "https://images.example/fail-$number.png" >"$job/image_url"
	posts=$((posts + 1))
	eq "$(within $((20 * SLOW)) cat "$job/wait")" FAILED "polling_url $1"
	fired "polling-$number"
	nobody_knocked "polling_url $1"
	asked=$(grep -c /v2/ "$F/cdn-log" || :)
	eq "$asked" 0 "polls at the CDN for $1"
	posts_are $posts "polling_url $1"
}
for url in https://cdn.test/v2/requests/status/%ID% http://gateway.test/v2/requests/status/%ID% \
	https://gateway.test/v2/requests/status/%ID% https://127.0.0.1/v2/requests/status/%ID% \
	https://gateway.test:8443@cdn.test/v2/requests/status/%ID% file:///etc/passwd \
	https://at-169-254-169-254.test/v2/requests/status/%ID%; do
	polling "$url"
done

# Redirects of the gateway itself.
for status in 301 302 303 307 308; do
	for location in https://cdn.test/elsewhere https://at-10-0-0-5.test/ http://127.0.0.1/; do
		job=$M/moved-$((number += 1))
		control "{\"faults\": [{\"at\": \"submit\", \"do\": \"redirect\", \"status\": $status,
			\"name\": \"moved-$number\", \"location\": \"$location\"}]}"
		: >"$F/cdn-log"
		mkdir "$job"
		refuses bash -c "echo https://images.example/$number.png >$job/image_url"
		posts=$((posts + 1))
		eq "$(cat "$job/status")" UNCERTAIN "a submission answered $status"
		fired "moved-$number"
		posts_are $posts "a submission answered $status"
		job=$M/asked-$number
		control "{\"faults\": [{\"at\": \"status\", \"do\": \"redirect\", \"status\": $status,
			\"name\": \"asked-$number\", \"location\": \"$location\"}]}"
		mkdir "$job"
		echo "https://images.example/fail-$number.png" >"$job/image_url"
		posts=$((posts + 1))
		eq "$(within $((20 * SLOW)) cat "$job/wait")" FAILED "a poll answered $status"
		fired "asked-$number"
		nobody_knocked "$status to $location"
		eq "$(wc -c <"$F/cdn-log")" 0 "requests at the CDN after $status"
	done
done

# Answers without an end: told, and bounded.
memory() {
	awk '/^VmHWM/ { print $2 }' "/proc/$DRIVER_PID/status"
}
used() {
	du -sk "$T/state" "$T/cache" | awk '{ sum += $1 } END { print sum }'
}
memory_before=$(memory)
used_before=$(used)
for i in 1 2 3; do
	control '{"faults": [{"at": "submit", "do": "huge", "name": "endless"}]}'
	mkdir "$M/endless-$i"
	refuses bash -c "echo https://images.example/endless-$i.png >$M/endless-$i/image_url"
	posts=$((posts + 1))
	eq "$(cat "$M/endless-$i/status")" UNCERTAIN "an endless answer"
	matches "$(cat "$M/endless-$i/error")" 'no end' "an endless answer: why"
	control '{"faults": [{"at": "status", "do": "huge", "name": "endless-poll", "times": 3}]}'
	mkdir "$M/polled-$i"
	echo "https://images.example/fail-$i.png" >"$M/polled-$i/image_url"
	posts=$((posts + 1))
	eq "$(within $((60 * SLOW)) cat "$M/polled-$i/wait")" FAILED "after endless answers to polls"
done
fired endless 3
fired endless-poll 9
posts_are $posts "after endless answers"
[ "$(($(used) - used_before))" -lt 16384 ] || fail "endless answers took $(($(used) - used_before)) KiB of disk"
if [ "$SLOW" = 1 ]; then
	[ "$(($(memory) - memory_before))" -lt 32768 ] ||
		fail "endless answers took $(($(memory) - memory_before)) KiB of memory"
fi
eq "$(grep -cv '\[-\]$' "$F/cdn-log" || :)" 0 "requests for models with the key"

# The traps do catch.
curl -s --max-time 5 https://at-169-254-169-254.test/ >"$T/caught" || :
await 5 grep -q '^169.254.169.254 443' "$T/trapped"
driver_stop
front_stop
