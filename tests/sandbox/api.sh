# Submit and status as documented: the way of a request from QUEUED to its end, and every field.
. "$(dirname "$0")/lib.sh"

start --queue-time 3600 --process-time 3600 --balance 5
accept
matches "$ID" '^pixal3d_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' "request id"
eq "$(body 'keys_unsorted|join(" ")')" "request_id status polling_url" "members of the first answer"
eq "$(body .status)" QUEUED "status of the first answer"
eq "$(body .polling_url)" "$GATEWAY$STATUS/$ID" "polling_url"
eq "$(head_of content-type)" application/json "Content-Type"

iso='^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$'
members="request_id status model_id error output created_at updated_at completed_at"
for state in QUEUED PROCESSING COMPLETED; do
	[ $state = QUEUED ] || control "{\"advance\":{\"request\":\"$ID\",\"to\":\"$state\"}}"
	status "$ID"
	eq "$CODE" 200 "code in $state"
	eq "$(body 'keys_unsorted|join(" ")')" "$members" "members in $state"
	eq "$(body .status)" $state "status"
	eq "$(body .model_id)" pixal3d "model_id"
	eq "$(body .error)" null "error in $state"
	matches "$(body .created_at)" "$iso" "created_at"
	matches "$(body .updated_at)" "$iso" "updated_at"
	[ $state = COMPLETED ] || eq "$(body '.output,.completed_at')" $'null\nnull' "output in $state"
done
matches "$(body .completed_at)" "$iso" "completed_at"
eq "$(body .output.media_url)" "[\"$CDN/v1/$ID/output.glb\"]" "media_url"
eq "$(body .output.media_type)" model/glb "media_type"

# FAILED is charged, ERROR is not; the image URL decides.
for end in fail:FAILED error:ERROR; do
	submit "{\"image_url\":\"https://images.example/error/fail/${end%:*}-1.png?x=fail\"}"
	id=$(body .request_id)
	control '{"queue_time":0,"process_time":0}'
	submit "{\"image_url\":\"https://error.example/fail/x-${end%:*}.png\"}"
	status "$(body .request_id)"
	eq "$(body .status)" "${end#*:}" "status by image URL"
	matches "$(body .error)" . "error text"
	eq "$(body .output)" null "output of ${end#*:}"
	matches "$(body .completed_at)" "$iso" "completed_at of ${end#*:}"
	status "$id"
	eq "$(body .status)" QUEUED "status of what is not advanced"
	control '{"queue_time":3600,"process_time":3600}'
done
eq "$(ledger '[.accepted,.refunded_usd,.charged_usd,.balance_usd]')" '[5,0.42,1.56,3.44]' "money"

# The directory and the host do not decide.
control '{"queue_time":0,"process_time":0}'
for url in https://error.example/fail/dog.png https://fail.example https://h.example/dog.png?fail; do
	submit "{\"image_url\":\"$url\"}"
	status "$(body .request_id)"
	eq "$(body .status)" COMPLETED "status of $url"
done

# By control.
for end in FAILED ERROR COMPLETED; do
	control "{\"outcome\":\"$end\"}"
	accept
	status "$ID"
	eq "$(body .status)" $end "outcome by control"
done

control '{"outcome":null,"outputs":3,"time_format":"sql"}'
accept
status "$ID"
eq "$(body '.output.media_url|length')" 3 "several outputs"
matches "$(body .completed_at)" '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$' "the other time format"
get "$CDN/v1/$ID/output-3.glb"
eq "$CODE" 200 "third output"
get "$CDN/v1/$ID/output-4.glb"
eq "$CODE" 404 "fourth output"

# Time alone moves a request.
control '{"reset":true,"queue_time":0.05,"process_time":0.05}'
accept
eq "$(call "$GATEWAY/sandbox/wait?request=$ID&state=COMPLETED")" COMPLETED "state after waiting"
eq "$(count posts)" "$(ledger .accepted)" "posts"
