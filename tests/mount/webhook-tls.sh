# Callbacks over TLS through nginx, with the location block that README.md shows.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tools/front.sh"

authority ours
certificate good ours 2 localhost
port=$(free_port)
tls=$(free_port)
# The lines between ```nginx and ```.
# shellcheck disable=SC2016
block=$(sed -n '/^```nginx$/,/^```$/{/^```/!p}' "$ROOT/README.md")
matches "$block" 'proxy_pass http://127\.0\.0\.1:8090' "README's location block"
cat >"$F/servers" <<-END
	server {
		listen $tls ssl;
		server_name localhost;
		${block//127.0.0.1:8090/127.0.0.1:$port}
	}
END
sandbox_start --queue-time 1000
gateway=$(free_port)
front_start "$gateway" good
# The sandbox takes https URLs and calls none: the test calls in its place.
driver_start "poll=30,ca_file=$F/ours.crt,webhook_url=https://localhost:$tls/pixal3dfs,webhook_listen=127.0.0.1:$port" "https://localhost:$gateway"

mkdir "$M/job"
echo https://images.example/job.png >"$M/job/image_url"
url=$(sandbox_call "$GATEWAY/sandbox/received" | jq -er '.[-1].headers."x-webhook-url"')
matches "$url" "^https://localhost:$tls/pixal3dfs/[0-9]+-[0-9a-f]{32}\$" "X-Webhook-URL"

code_of() { # curl argument...
	curl -sS -o "$T/answer" -w '%{http_code}' --cacert "$F/ours.crt" --max-time $((10 * SLOW)) "$@"
}
eq "$(code_of -d '{}' "${url%?}x")" 404 "a forged callback"
eq "$(head -c 70000 /dev/zero | code_of --data-binary @- "$url")" 413 "a huge body"
eq "$(cat "$M/job/status")" QUEUED "before the callback"
advance COMPLETED
id=$(cat "$M/job/request_id")
eq "$(code_of -H 'Content-Type: application/json' -d "{\"request_id\": \"$id\", \"status\": \"COMPLETED\"}" "$url")" \
	200 "the callback"
eq "$(within $((15 * SLOW)) cat "$M/job/wait")" COMPLETED "wait of a job that was called about"
posts_are 1

# nginx has logged what it passed on to the gateway, and no secret.
matches "$(cat "$F/log")" ' POST /pixal3d/v1/pixal3d-request 202 ' "nginx's log"
! grep -qF -e "${url##*-}" "$F/log" || fail "nginx's log has the token"
driver_stop
front_stop
