# Writing a request id into a directory takes over a request that was made before, free of charge; the
# service is asked at once, and an id that it does not know is refused.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start

# A request of yesterday, made by hand.
answer=$(curl -sf -H "Ocp-Apim-Subscription-Key: $KEY" -H 'Content-Type: application/json' \
	-d '{"image_url": "https://example.com/cat.png", "texture_size": 1024, "decimation_target": 5000}' \
	"$GATEWAY/pixal3d/v1/pixal3d-request")
id=$(jq -r .request_id <<<"$answer")

mkdir "$M/cat"
echo "$id" >"$M/cat/request_id"
eq "$(cat "$M/cat/request_id")" "$id" "request_id of the attached job"
eq "$(readlink "$M/$id")" cat "the link of the request id"
eq "$(cat "$M/cat/wait")" COMPLETED "the attached job"
[ -s "$M/cat/output.glb" ] || fail "no output.glb"
posts_are 1 "POSTs: attaching is free"

# The same id in another job, an id that nobody gave out, and what is no id.
mkdir "$M/other"
refuses bash -c "echo $id >'$M/other/request_id'"
matches "$(cat "$T/refused")" 'File exists' "the id of another job"
refuses bash -c "echo pixal3d_019d0000-0000-7000-8000-000000000000 >'$M/other/request_id'"
matches "$(cat "$T/refused")" 'No such file' "an id that the service does not know"
matches "$(cat "$M/other/error")" 'does not know' "error after an unknown id"
eq "$(cat "$M/other/status")" DRAFT "status after an unknown id"
refuses bash -c "echo 'two words' >'$M/other/request_id'"
matches "$(cat "$T/refused")" 'Invalid argument' "what is no id"

# It is a draft still, also after a restart, and can be corrected or submitted.
driver_stop
driver_start
eq "$(cat "$M/other/status")" DRAFT "status after a restart"
rm -r "$M/cat"
echo "$id" >"$M/other/request_id"
eq "$(cat "$M/other/wait")" COMPLETED "the corrected job"
[ ! -e "$M/other/error" ] || fail "error after the correction: $(cat "$M/other/error")"
posts_are 1 "POSTs in the end"
