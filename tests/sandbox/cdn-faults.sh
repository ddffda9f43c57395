# Each fault of the CDN.
. "$(dirname "$0")/lib.sh"

start
control '{"output_bytes":1048576}'
accept
URL=$CDN/v1/$ID/output.glb
get "$URL"
cp "$T/body" "$T/whole"
ETAG=$(head_of etag)

fault() { # do [members]
	faults "{\"at\":\"${3:-cdn}\",\"do\":\"$1\"${2:+,$2}}"
}
is_prefix() { # bytes
	eq "$(size "$T/body")" "$1" "size of what came"
	cmp -n "$1" "$T/body" "$T/whole"
}

fault no_range
get -H 'Range: bytes=10-19' "$URL"
eq "$CODE $(size "$T/body")" "200 1048576" "Range ignored"
fault wrong_range
get -H 'Range: bytes=10-19' "$URL"
eq "$CODE $(head_of content-range) $(size "$T/body")" "206 bytes 1010-1019/1048576 10" "wrong Content-Range"
fault close_after '"bytes":500000'
get "$URL"
eq "$CURL $CODE $(head_of content-length)" "18 200 1048576" "close after"
is_prefix 500000
fault close_after '"bytes":0'
get "$URL"
eq "$CURL $CODE" "18 200" "close after nothing"
fault reset_after '"bytes":500000'
get "$URL"
eq "$CURL" 56 "reset after"
fault close_after '"bytes":100'
get -H 'Range: bytes=1000-1999' "$URL"
eq "$CURL $CODE $(size "$T/body")" "18 206 100" "close after a part of a range"
cmp "$T/body" <(slice "$T/whole" 1000 100)
fault no_length '"bytes":600000'
get "$URL"
eq "$CURL $CODE $(head_of content-length)" "0 200 " "no Content-Length"
is_prefix 600000
fault no_length
get "$URL"
is_prefix 1048576
fault corrupt '"offset":1000000'
get "$URL"
eq "$(cmp -l "$T/body" "$T/whole" | awk '{print $1, NR}')" "1000001 1" "one byte inverted"
fault short '"bytes":777776'
get "$URL"
eq "$CURL $CODE $(head_of content-length)" "0 200 777776" "short"
is_prefix 777776
fault gzip
get "$URL"
eq "$CODE $(head_of content-encoding)" "200 gzip" "unsolicited gzip"
gzip -dc <"$T/body" | cmp - "$T/whole"
fault slow '"rate":2000000'
eq "$(call -o "$T/body" -w '%{time_total}' "$URL" | awk '{print ($1 > 0.4 && $1 < 5)}')" 1 "slow"
cmp "$T/body" "$T/whole"
for code in 403 404 410 503; do
	fault http "\"status\":$code"
	get "$URL"
	eq "$CODE" $code "code"
done
fault http '"status":405' head
get -I "$URL"
eq "$CODE" 405 "no HEAD"
fault no_length '' head
get -I "$URL"
eq "$CODE $(head_of content-length)" "200 " "HEAD without a length"
fault length '"bytes":1099511627776' head
get -I "$URL"
eq "$CODE $(head_of content-length)" "200 1099511627776" "HEAD with another length"
for at in head cdn; do
	fault answer '"drop":["Accept-Ranges","Last-Modified"],"set":{"ETag":"W/\"weak\"","X-Id":"a"}' $at
	if [ $at = head ]; then get -I "$URL"; else get "$URL"; fi
	eq "$CODE $(head_of etag) $(head_of accept-ranges) $(head_of x-id)" '200 W/"weak"  a' "header fields at $at"
done
fault huge '"bytes":70000'
get "$URL"
eq "$CURL $(head_of content-length) $(size "$T/body")" "0  $((1048576 + 70000))" "more than the object"
fault huge
get --max-time 0.2 "$URL"
eq "$CURL" 28 "an endless body"
fault redirect '"location":"http://other.example/","status":307'
get "$URL"
eq "$CODE $(head_of location)" "307 http://other.example/" "redirect"
for way in close:52 reset:56; do
	for at in cdn head; do
		fault "${way%:*}" '' $at
		if [ $at = head ]; then get -I "$URL"; else get "$URL"; fi
		eq "$CURL" "${way#*:}" "${way%:*} at $at"
	done
done

# A stall in the middle, seen by its client, gone on with by a release.
fault stall_after '"bytes":300000'
get "$URL" >"$T/out" &
client=$!
arrived stall
release stall
wait $client
cmp "$T/body" "$T/whole"

# The content changes between two requests.
fault bump_after '"bytes":300000'
get "$URL"
is_prefix 300000
get -H 'Range: bytes=300000-' -H "If-Range: $ETAG" "$URL"
eq "$CODE $(size "$T/body")" "200 1048576" "resumed with an ETag of before"
! cmp -s "$T/body" "$T/whole" || fail "the content has not changed"
ETAG=$(head_of etag)
fault bump
get "$URL"
[ "$(head_of etag)" != "$ETAG" ] || fail "bump: the same ETag"

# Bodies held in the middle: the client has the first bytes, and others are served.
control '{"hold":["cdn.body"]}'
rm "$T/body"
call -o "$T/held" "$URL" &
client=$!
arrived cdn.body
control '{"output_bytes":8192}'
accept
release cdn.body
wait $client
eq "$(size "$T/held")" 1048576 "a held body in the end"

# A pace for all.
control '{"rate":4000000}'
eq "$(call -o "$T/body" -w '%{time_total}' "$URL" | awk '{print ($1 > 0.2 && $1 < 5)}')" 1 "rate"
control '{"rate":0}'
eq "$(count cdn.close_after)" 3 "faults fired"
