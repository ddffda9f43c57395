# Callbacks in both modes, received by a second sandbox.
. "$(dirname "$0")/lib.sh"

start
RECEIVER=$GATEWAY
control '{"faults":[{"at":"submit","do":"http","status":200,"times":0}]}'
start --allow-http-webhook
HOOK="X-Webhook-URL: $RECEIVER$SUBMIT"

received() { # how many there are
	local GATEWAY=$RECEIVER
	arrived submit.received "$1"
	eq "$(count posts)" "$1" "callbacks received"
	call "$GATEWAY/sandbox/received" | jq -r '.[-1].body' >"$T/callback"
}
hook() { # jq filter
	jq -cr "$1" "$T/callback"
}

# terminal: one at the end, with the status answer's members and the other time format.
control '{"queue_time":3600}'
submit '{"image_url":"https://h.example/a.png"}' -H "$HOOK"
id=$(body .request_id)
eq "$(count webhooks)" 0 "callbacks before the end"
control "{\"advance\":{\"request\":\"$id\",\"to\":\"COMPLETED\"}}"
received 1
eq "$(hook '[.request_id,.status,.model_id,.error,.output.media_type]')" "[\"$id\",\"COMPLETED\",\"pixal3d\",null,\"model/glb\"]" "callback"
matches "$(hook .created_at)" 'T.*\.[0-9]{3}Z$' "created_at"
matches "$(hook .completed_at)" '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$' "completed_at"
arrived webhook.done 1
control '{"advance":{"request":"*","to":"ERROR"}}'
eq "$(count webhooks)" 1 "callbacks in mode terminal"

# sync: at progress too.
control '{"process_time":3600}'
submit '{"image_url":"https://h.example/a.png"}' -H "$HOOK" -H 'X-Webhook-Mode: sync'
id=$(body .request_id)
control "{\"advance\":{\"request\":\"$id\",\"to\":\"PROCESSING\"}}"
received 2
eq "$(hook '[.status,.output,.completed_at]')" '["PROCESSING",null,null]' "callback of mode sync"
control "{\"advance\":{\"request\":\"$id\",\"to\":\"ERROR\"}}"
received 3
eq "$(hook '[.status,.output]')" '["ERROR",null]' "last callback"

# Duplicates, losses, refusals by the receiver.
control '{"reset":true,"faults":[{"at":"webhook","do":"duplicate","copies":3},{"at":"webhook","do":"lose","when":"FAILED"}]}'
submit '{"image_url":"https://h.example/a.png"}' -H "$HOOK"
received 6
submit '{"image_url":"https://h.example/fail.png"}' -H "$HOOK"
arrived webhook.done 2
eq "$(count webhook.lose)" 1 "lost"
GATEWAY=$RECEIVER control '{"faults":[{"at":"submit","do":"http","status":500},{"at":"submit","do":"http","status":204,"body":""}]}'
submit '{"image_url":"https://h.example/a.png"}' -H "$HOOK"
received 8
arrived webhook.done 3

# https is taken and never called; what is neither is refused.
submit '{"image_url":"https://h.example/a.png"}' -H 'X-Webhook-URL: https://127.0.0.1:1/x'
eq "$CODE" 202 "https callback"
for url in ftp://h/ nonsense https:// http://h.example/ http://127.0.0.1.example/ http://10.0.0.1/ 'http://'; do
	submit '{"image_url":"https://h.example/a.png"}' -H "X-Webhook-URL: $url"
	eq "$CODE" 400 "callback to $url"
done
submit '{"image_url":"https://h.example/a.png"}' -H "$HOOK" -H 'X-Webhook-Mode: often'
eq "$CODE" 400 "unknown mode"
start
submit '{"image_url":"https://h.example/a.png"}' -H "$HOOK"
eq "$CODE" 400 "http without --allow-http-webhook"
