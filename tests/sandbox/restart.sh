# The ledger file: after kill -9 and a new start requests, money and outputs are what they were.
. "$(dirname "$0")/lib.sh"

start --ledger "$T/ledger" --balance 2 --queue-time 3600
accept
queued=$ID
control '{"queue_time":0}'
accept
completed=$ID
submit '{"image_url":"https://h.example/error.png","texture_size":1024}'
errored=$(body .request_id)
submit '{"image_url":"https://h.example/dog.png","decimation_target":300,"texture_size":1024}'
drawn=$(body .request_id)
submit '{'
eq "$CODE" 400 "a refused POST"
before=$(ledger '[.posts,.accepted,.charged_usd,.refunded_usd,.balance_usd,.requests]')
eq "$(jq -c '.[0:5]' <<<"$before")" '[5,4,0.9,0.3,1.1]' "ledger"
get "$CDN/v1/$drawn/output.glb"
cp "$T/body" "$T/drawn"
etag=$(head_of etag)
kill -9 "$PID"
wait "$PID" 2>/dev/null || :
forget "$PID"
printf '{"event":"accept","request_id":"pixal3d_half' >>"$T/ledger"

for round in 1 2; do
	start --ledger "$T/ledger" --balance 2
	eq "$(ledger '[.posts,.accepted,.charged_usd,.refunded_usd,.balance_usd,.requests]')" "$before" "ledger, start $round"
	status "$queued"
	eq "$(body .status)" QUEUED "a queued request"
	status "$errored"
	eq "$(body .status)" ERROR "an error"
	status "$completed"
	eq "$(body .output.media_url)" "[\"$CDN/v1/$completed/output.glb\"]" "media URL on the new port"
	get "$CDN/v1/$drawn/output.glb"
	eq "$(head_of etag)" "$etag" "ETag, with a seed that was drawn"
	cmp "$T/body" "$T/drawn"
	stop
done

# A control's advance and balance are remembered too.
start --ledger "$T/ledger" --balance 2
control "{\"balance\":7,\"advance\":{\"request\":\"$queued\",\"to\":\"FAILED\"}}"
stop
start --ledger "$T/ledger" --balance 2
eq "$(count balance_usd)" 7.00 "balance"
status "$queued"
eq "$(body .status)" FAILED "an advanced request"
eq "$(jq -s 'map(.event)|group_by(.)|map("\(.[0]) \(length)")|join(" ")' -r < <(grep -v half "$T/ledger"))" \
	"accept 4 advance 1 balance 1 charge 4 post 5 refund 1" "events on file"
