# Requests stop where they are held, in any number, and block nobody else.
. "$(dirname "$0")/lib.sh"

start
GOOD='{"image_url":"https://h.example/a.png"}'

post() {
	call -o /dev/null -w '%{http_code}\n' -H 'Ocp-Apim-Subscription-Key: k' \
		-H 'Content-Type: application/json' -d "$GOOD" "$GATEWAY$SUBMIT"
}

# 64 held at once; none is accepted, status and ledger answer.
control '{"hold":["submit.received"]}'
clients=()
for i in {1..64}; do
	post >"$T/post.$i" &
	clients+=($!)
done
arrived submit.received 64
eq "$(ledger '[.posts,.accepted,.charged_usd]')" '[64,0,0]' "ledger while held"
status x
eq "$CODE" 404 "a status while 64 POSTs are held"

# Three pass, then all; then nothing is held any more.
release submit.received 3
while [ "$(count accepted)" -lt 3 ]; do :; done
eq "$(count accepted)" 3 "accepted after three were let go"
release submit.received
wait "${clients[@]}"
eq "$(cat "$T"/post.* | sort | uniq -c | tr -s ' ')" " 64 202" "answers"
eq "$(post)" 202 "a POST after the release"

# Accepted, not answered.
control '{"hold":["submit.accepted"]}'
post >"$T/post" &
client=$!
arrived submit.accepted
eq "$(count accepted)" 66 "accepted before the answer"
control '{"hold":[]}'
wait $client

control '{"hold":["status.received"]}'
status x &
client=$!
arrived status.received
control '{"reset":true}'
wait $client

# Waiting is bounded; nonsense is refused.
eq "$(call -o /dev/null -w '%{http_code}' "$GATEWAY/sandbox/wait?point=cdn.body&timeout=0.05")" 408 "time over"
eq "$(call -o /dev/null -w '%{http_code}' "$GATEWAY/sandbox/wait?point=nowhere")" 400 "no such point"
eq "$(call -o /dev/null -w '%{http_code}' -X POST "$GATEWAY/sandbox/release?point=nowhere")" 400 "no such point"
eq "$(call -o /dev/null -w '%{http_code}' "$GATEWAY/sandbox/wait?request=none")" 404 "no such request"

# What was sent can be seen.
eq "$(call "$GATEWAY/sandbox/received" | jq -c '[length,.[-1].headers["content-type"],.[-1].body]')" \
	'[32,"application/json","{\"image_url\":\"https://h.example/a.png\"}"]' "received"

# Held requests do not keep it from ending.
control '{"hold":["submit.received","status.received"]}'
post >"$T/post" 2>&1 &
post >"$T/post" 2>&1 &
arrived submit.received 2
stop
wait
