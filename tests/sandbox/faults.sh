# Each fault of submit and status does what it says, fires as often as it says, and charges as it says.
. "$(dirname "$0")/lib.sh"

start --balance 1000
GOOD='{"image_url":"https://h.example/a.png"}'

# skip, times, order, match, name.
faults '{"at":"submit","do":"http","status":503,"skip":1,"times":2,"name":"busy"}' \
	'{"at":"submit","do":"http","status":418,"match":"cat.png"}'
codes=
for _ in 1 2 3 4 5; do
	submit "$GOOD"
	codes+="$CODE "
done
eq "$codes" "202 503 503 202 202 " "skip and times"
submit '{"image_url":"https://h.example/cat.png"}'
eq "$CODE" 418 "match"
fired busy 2
fired submit.http 1
fired never 0
eq "$(ledger '[.posts,.accepted]')" '[6,3]' "posts and accepted"

accepted() { # how many more since the last call
	local now
	now=$(count accepted)
	eq $((now - SEEN)) "$1" "accepted after $2"
	SEEN=$now
}
SEEN=$(count accepted)

# The documented codes with both error bodies, and header fields.
for code in 400 401 402 403 429 500; do
	faults "{\"at\":\"submit\",\"do\":\"http\",\"status\":$code,\"headers\":{\"Retry-After\":\"120\",\"X-A\":\"%CDN%\"}}"
	submit "$GOOD"
	eq "$CODE" $code "injected code"
	eq "$(body 'keys_unsorted|join(" ")')" "error message" "queue error body"
	eq "$(head_of retry-after)" 120 "Retry-After"
	eq "$(head_of x-a)" "$CDN" "a placeholder in a header field"
done
faults '{"at":"submit","do":"http","status":500,"shape":"status"}' '{"at":"submit","do":"http","body":"plain %ID%"}' \
	'{"at":"submit","do":"http","status":500,"body":{"a":[1,null]}}' \
	'{"at":"submit","do":"http","status":500,"charge":true}'
submit "$GOOD"
eq "$(body '[keys_unsorted,.status,.model_id,.output]')" '[["request_id","status","model_id","error","output"],"ERROR","pixal3d",null]' "status error body"
submit "$GOOD"
matches "$(cat "$T/body")" '^plain pixal3d_' "text body"
submit "$GOOD"
eq "$(body .)" '{"a":[1,null]}' "JSON body"
accepted 0 "http"
submit "$GOOD"
accepted 1 "http with charge"

# No answer: what curl says is 52 for FIN, 56 for RST. Each with the request taken and not.
for charge in true false; do
	for way in close:52 reset:56; do
		faults "{\"at\":\"submit\",\"do\":\"${way%:*}\",\"charge\":$charge}"
		submit "$GOOD"
		eq "$CURL" "${way#*:}" "curl's status of ${way%:*}"
		[ $charge = true ] && more=1 || more=0
		accepted "$more" "${way%:*} charge=$charge"
	done
done
posts=$(count posts)
faults '{"at":"submit","do":"close","after":"headers"}'
submit "$GOOD"
matches "$CURL" '^(52|55|56)$' "curl's status of a close before the body"
eq "$(count posts)" "$posts" "posts of a body that was not read"
accepted 0 "close after headers"

# The same on a connection that has served before.
faults '{"at":"submit","do":"close","skip":1}'
CURL=0
codes=$(call -o "$T/body" -w '%{http_code} ' -H 'Ocp-Apim-Subscription-Key: k' "$GATEWAY$STATUS/x" \
	--next -sS --max-time 20 -o "$T/body" -w '%{http_code} ' -H 'Ocp-Apim-Subscription-Key: k' \
	-H 'Content-Type: application/json' -d "$GOOD" "$GATEWAY$SUBMIT") || CURL=$?
eq "$CURL $codes" "0 404 202 " "keep-alive"
accepted 1 "skip"
submit "$GOOD"
eq "$CURL" 52 "close after a skip"
accepted 1 "close"

# Spoilt answers, all of them charged.
faults '{"at":"submit","do":"truncate"}' '{"at":"submit","do":"truncate","bytes":0}' \
	'{"at":"submit","do":"not_json"}' '{"at":"submit","do":"not_json","body":"{\"request_id\":"}' \
	'{"at":"submit","do":"answer","drop":["request_id"]}' \
	'{"at":"submit","do":"answer","set":{"request_id":null,"polling_url":"http://other.example/%ID%","x":{"y":[1]}}}'
submit "$GOOD"
eq "$CURL $CODE" "18 202" "truncated answer"
[ "$(size "$T/body")" -lt "$(head_of content-length)" ] || fail "not truncated"
submit "$GOOD"
eq "$CURL $(size "$T/body" 2>/dev/null || echo 0)" "18 0" "answer without its body"
submit "$GOOD"
eq "$CODE $(cut -c1-6 "$T/body")" "202 <html>" "HTML"
submit "$GOOD"
eq "$(cat "$T/body")" '{"request_id":' "half a JSON"
submit "$GOOD"
eq "$(body 'keys_unsorted|join(" ")')" "status polling_url" "no request_id"
submit "$GOOD"
matches "$(body .)" '^\{"request_id":null,"status":"QUEUED","polling_url":"http://other.example/pixal3d_[-0-9a-f]*","x":\{"y":\[1\]\}\}$' "set"
accepted 6 "spoilt answers"

# Endless: bounded by the reader here, by bytes there.
faults '{"at":"submit","do":"huge"}' '{"at":"submit","do":"huge","bytes":1000000}'
submit "$GOOD" --max-time 0.3
eq "$CURL" 28 "curl's status of an endless body"
[ "$(size "$T/body")" -gt 1000000 ] || fail "the endless body is short"
submit "$GOOD"
eq "$CURL $(size "$T/body")" "0 $((1000000 + 23))" "a large body: the beginning of an id, and so many bytes"

for code in 301 302 303 307 308; do
	faults "{\"at\":\"submit\",\"do\":\"redirect\",\"status\":$code,\"location\":\"%CDN%/images/a.png\"}"
	submit "$GOOD"
	eq "$CODE $(head_of location)" "$code $CDN/images/a.png" "redirect"
done
accepted 2 "huge, redirect"

# A stall ends by release, with the normal answer; or with its client.
faults '{"at":"submit","do":"stall","times":2}'
submit "$GOOD" --max-time 0.2
eq "$CURL" 28 "curl's status of a stall"
submit "$GOOD" >"$T/stalled" &
waiting=$!
arrived stall 2
release stall
wait $waiting
eq "$(body .status)" QUEUED "answer after a stall"
accepted 2 "stalls"

# Status answers, when the request is in a state.
accept
SEEN=$(count accepted)
faults '{"at":"status","do":"answer","when":"QUEUED","set":{"status":"WRONG"}}' \
	'{"at":"status","do":"answer","when":"COMPLETED","set":{"status":"completed","output":{"media_url":"%MEDIA%"}}}' \
	'{"at":"status","do":"answer","match":"'"$ID"'","set":{"status":"CANCELLED","output":null}}' \
	'{"at":"status","do":"http","status":429,"headers":{"Retry-After":"1.5"}}' \
	'{"at":"status","do":"not_json"}' '{"at":"status","do":"close"}' '{"at":"status","do":"reset"}' \
	'{"at":"status","do":"truncate"}' '{"at":"status","do":"delay","seconds":0.01}'
status "$ID"
eq "$(body '[.status,.output.media_url,.output.media_type]')" "[\"completed\",\"$CDN/v1/$ID/output.glb\",\"model/glb\"]" "set by state"
status "$ID"
eq "$(body '[.status,.output]')" '["CANCELLED",null]' "unknown word"
status "$ID"
eq "$CODE $(head_of retry-after)" "429 1.5" "429"
status "$ID"
eq "$CODE $(cut -c1-6 "$T/body")" "200 <html>" "HTML"
for want in 52 56 18 0; do
	status "$ID"
	eq "$CURL" $want "curl's status of a status"
done
eq "$(ledger '.faults_fired|[.["status.answer"],.["status.delay"]]')" '[2,1]' "fired"
accepted 0 "status faults"

# A wrong control is refused as a whole and says why.
for bad in '{"queue_tim":1}' '{"queue_time":"1"}' '{"faults":{}}' '{"faults":[{"at":"submit"}]}' \
	'{"faults":[{"at":"submit","do":"no_range"}]}' '{"faults":[{"at":"cdn","do":"slow"}]}' \
	'{"faults":[{"at":"submit","do":"close","byte":1}]}' '{"faults":[{"at":"submit","do":"close","skip":-1}]}' \
	'{"faults":[{"at":"submit","do":"redirect"}]}' '{"faults":[{"at":"submit","do":"http","status":7}]}' \
	'{"faults":[{"at":"cdn","do":"close","charge":true}]}' '{"faults":[3]}' '{"hold":["nowhere"]}' \
	'{"outcome":"QUEUED"}' '{"output_bytes":8193}' '{"output_bytes":100}' '{"advance":{"to":"ERROR"}}' \
	'{"balance":1,"rate":-1}' '[]' '' '{"reset":false}' '{"advance":{"request":"none","to":"ERROR"}}'; do
	CODE=$(call -o "$T/body" -w '%{http_code}' --data-binary "$bad" "$GATEWAY/sandbox/control")
	eq "$CODE" 400 "code of $bad"
	matches "$(body .message)" . "reason of $bad"
done
[ "$(count balance_usd)" != 1.00 ] || fail "a refused control was applied in part"
