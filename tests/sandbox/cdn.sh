# The CDN: size before body, ranges, validators, no key, keep-alive; bodies are whole and the same.
. "$(dirname "$0")/lib.sh"

start
accept
URL=$CDN/v1/$ID/output.glb
get -I "$URL"
TOTAL=$(head_of content-length)
ETAG=$(head_of etag)
DATE=$(head_of last-modified)
eq "$CODE $(head_of accept-ranges) $(head_of content-type)" "200 bytes model/gltf-binary" "HEAD"
matches "$ETAG" '^"[0-9a-f]{16}"$' "ETag is strong"
matches "$DATE" '^[A-Z][a-z]{2}, .* GMT$' "Last-Modified"
get "$URL"
eq "$CODE $(size "$T/body") $(head_of etag)" "200 $TOTAL $ETAG" "GET"
cp "$T/body" "$T/whole"
get -I -H 'Range: bytes=0-0' "$URL"
eq "$CODE $(head_of content-length)" "200 $TOTAL" "HEAD takes no range"

part() { # range first last
	get -H "Range: bytes=$1" "$URL"
	eq "$CODE $(head_of content-range)" "206 bytes $2-$3/$TOTAL" "answer to $1"
	eq "$(head_of content-length) $(head_of etag)" "$(($3 - $2 + 1)) $ETAG" "fields of $1"
	cmp "$T/body" <(slice "$T/whole" "$2" $(($3 - $2 + 1)))
}
part 0-0 0 0
part 0-4095 0 4095
part 100- 100 $((TOTAL - 1))
part -7 $((TOTAL - 7)) $((TOTAL - 1))
part -999999999999 0 $((TOTAL - 1))
part 5-999999999999 5 $((TOTAL - 1))
part "$((TOTAL - 1))-" $((TOTAL - 1)) $((TOTAL - 1))
for range in "bytes=$TOTAL-" "bytes=999999999-" "bytes=-0"; do
	get -H "Range: $range" "$URL"
	eq "$CODE $(head_of content-range) $(head_of content-length)" "416 bytes */$TOTAL 0" "answer to $range"
done
for range in bytes=5-4 bytes=a-b bytes=0-1,4-5 bytes= bytes=- lines=0-1 bytes=1 bytes=99999999999999999999999-; do
	get -H "Range: $range" "$URL"
	eq "$CODE $(size "$T/body")" "200 $TOTAL" "answer to $range"
done
get -H 'Range: bytes=1-2' -H "If-Range: $ETAG" "$URL"
eq "$CODE" 206 "If-Range of this version"
get -H 'Range: bytes=1-2' -H "If-Range: $DATE" "$URL"
eq "$CODE" 206 "If-Range of this date"
get -H 'Range: bytes=1-2' -H 'If-Range: "other"' "$URL"
eq "$CODE $(size "$T/body")" "200 $TOTAL" "If-Range of another version"
get -H "If-None-Match: \"x\", $ETAG" "$URL"
eq "$CODE $(head_of etag)" "304 $ETAG" "If-None-Match"
get -H 'If-Match: "x"' "$URL"
eq "$CODE" 412 "If-Match"

# Several requests on one connection.
eq "$(call -o "$T/1" -o "$T/2" -o "$T/3" -w '%{num_connects} ' -H 'Range: bytes=0-9' "$URL" "$URL" "$URL")" "1 0 0 " "connections"

# What is not there.
control '{"queue_time":3600}'
accept
for path in "/v1/$ID/output.glb" /v1/x/output.glb "/v1/$ID/output-2.glb" / /v1/ /v1//output.glb "/v1/$ID/output.glbx"; do
	get "$CDN$path"
	eq "$CODE" 404 "code of $path"
done
get -X POST -d x "$URL"
eq "$CODE" 405 "POST"
get "$CDN/images/dog.png"
eq "$CODE $(head_of content-type) $(slice "$T/body" 1 3)" "200 image/png PNG" "a picture"

# The ledger counts bodies, and keys that should not have come.
before=$(count cdn_bytes)
control '{"hold":["cdn.done"]}'
get -H 'Range: bytes=0-999' "$URL"
arrived cdn.done
eq $(($(count cdn_bytes) - before)) 1000 "cdn_bytes"
release cdn.done
eq "$(count keys_seen_at_cdn)" 0 "keys at the CDN"
get -I -H 'Ocp-Apim-Subscription-Key: k' "$URL"
eq "$(count keys_seen_at_cdn)" 1 "keys at the CDN"
eq "$(count heads)" 3 "heads"

# Expired URLs, new ones, and new content.
control '{"reset":true,"expire":true}'
get "$URL"
eq "$CODE" 403 "an expired URL"
control '{"expired_status":410}'
get -I "$URL"
eq "$CODE" 410 "an expired URL's other code"
status "$(basename "$(dirname "$URL")")"
URL=$(body '.output.media_url[0]')
get "$URL"
eq "$CODE" 200 "the new URL"
cmp "$T/body" "$T/whole"
control '{"bump":true}'
get "$URL"
[ "$(head_of etag)" != "$ETAG" ] || fail "the same ETag for other content"
! cmp -s "$T/body" "$T/whole" || fail "the same content for another ETag"
eq "$(size "$T/body")" "$TOTAL" "size of the other content"
