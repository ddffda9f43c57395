# limit: 120
# upload=s3:// with a store that checks signatures: an image is in the bucket once and whole, its URL is all that is
# needed to fetch it, and each way to fail says what to do.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tools/s3.sh"
. "$(dirname "$0")/../tools/front.sh"

expect_log '^pixal3dfs: (warn|error): .*([Ii]mage|upload|WAITING|REFUSED|published)' '^pixal3dfs: warning: no credentials for upload='
PLAIN=$OPTIONS
s3_start
sandbox_start

mounted() { # target [options]
	OPTIONS=$PLAIN driver_start "upload=$1,s3_endpoint=$S3,s3_credentials=$T/credentials${2:+,$2}"
}

completes() { # job...
	local job
	for job; do
		eq "$(within $((30 * SLOW)) cat "$M/by-name/$job/wait")" COMPLETED "$job"
	done
}

peak() { # KiB of memory
	awk '/^VmHWM/ { print $2 }' "/proc/$DRIVER_PID/status"
}

# Published, sent and served, below a prefix with odd characters. The same bytes are sent once. 20 MB go through and
# do not stay in memory; a store that dies in their middle is asked again.
BUCKET="s3://models/in/a b+c&d=ü"
noise 40 30 1 >"$T/dog.png"
noise 2600 2600 2 >"$T/big.png"
mounted "$BUCKET"
before=$(peak)
: >"$Z/cut"
cp "$T/dog.png" "$T/big.png" "$M/new/"
cp "$T/dog.png" "$M/new/same.png"
completes dog same big
after=$(peak)
[ "$SLOW" != 1 ] || [ $((after - before)) -lt 10240 ] || fail "it took $((after - before)) KiB for an image of 20 MB"
matches "$(url_of dog)" "^$S3/models/in/a%20b%2Bc%26d%3D%C3%BC/$(digest "$T/dog.png").png\?X-Amz-.*&X-Amz-Expires=604800&" "URL"
serves dog "$T/dog.png"
serves big "$T/big.png"
eq "$(s3_count PUT 0)" 1 "PUTs that were cut"
matches "$(cat "$M/by-name/big/log")" 'could not be published yet' "log of big"
driver_stop

# Other books know nothing of the bucket, and find it.
PLAIN=${PLAIN/\/state,/\/state2,} mounted "$BUCKET"
cp "$T/dog.png" "$M/new/other.png"
completes other
serves other "$T/dog.png"
driver_stop
eq "$(s3_count PUT 200)" 2 "PUTs"
posts_are 4

# Killed in the middle of an upload, and when the store has it and the books do not know: the next mount makes the
# one whole, sends the other one no more, and buys each once.
noise 2600 2600 3 >"$T/half.png"
noise 40 30 4 >"$T/late.png"
touch "$Z/hold" "$Z/hold-answer"
mounted s3://models/in
cp "$T/half.png" "$T/late.png" "$M/new/"
await 10 grep -qx hold "$Z/held"
await 10 grep -qx hold-answer "$Z/held"
driver_kill
rm "$Z/hold" "$Z/hold-answer"
await 10 s3_counts PUT 0 3
posts_are 4 "while they are uploaded"
mounted s3://models/in
completes half late
serves half "$T/half.png"
serves late "$T/late.png"
eq "$(s3_count PUT 200)" 3 "PUTs after the kill"
posts_are 6 "after the kill"

# What is not right says so and costs nothing.
says() { # job status extended-regular-expression
	await 20 grep -Eqs -- "$3" "$M/by-name/$1/error"
	eq "$(cat "$M/by-name/$1/status")" "$2" "status of $1"
	matches "$(cat "$M/by-name/$1/error")" 'nothing was charged' "$1: what it cost"
}
s3_credentials "$T/credentials" "$S3_ID" "another-secret"
noise 40 30 5 >"$T/wrong.png"
cp "$T/wrong.png" "$M/new/" || :
says wrong REFUSED 's3://models/in at 127\.0\.0\.1:[0-9]+: HTTP 403 SignatureDoesNotMatch: .*secret access key'
# ... and what signs is read again.
s3_credentials "$T/credentials" "$S3_ID" "$S3_SECRET"
cp "$T/wrong.png" "$M/new/right.png"
completes right
driver_stop
# Without credentials it waits for them.
OPTIONS=$PLAIN driver_start "upload=s3://nowhere,s3_endpoint=$S3"
noise 40 30 6 >"$T/nowhere.png"
cp "$T/nowhere.png" "$M/new/"
says nowhere WAITING 'no credentials for the bucket'
mkdir -p "$HOME/.aws"
cp "$T/credentials" "$HOME/.aws/"
says nowhere REFUSED 'HTTP 404 NoSuchBucket: .*; make the bucket, or correct upload='
driver_stop
posts_are 7 "of what was refused"

# With a wrong clock it waits for a right one.
s3_kill
s3_start 3600
mounted s3://models/in
noise 40 30 7 >"$T/early.png"
cp "$T/early.png" "$M/new/"
says early WAITING 'HTTP 403 RequestTimeTooSkewed: .*clock.*tried again by itself'
driver_stop
posts_are 7 "of what waits"
s3_kill
s3_start

# Over TLS, through nginx, with a certificate that is trusted.
authority ours
certificate good ours 2 localhost
port=$(free_port)
store=$(free_port)
cat >"$F/servers" <<-END
	server {
		listen $store ssl;
		client_max_body_size 64m;
		location / { proxy_pass $S3; proxy_request_buffering off; proxy_set_header Host \$http_host; }
	}
END
front_start "$port" good
S3=https://localhost:$store mounted s3://models/tls
says early WAITING 'certificate'
driver_stop
S3=https://localhost:$store mounted s3://models/tls "ca_file=$F/ours.crt"
noise 600 600 8 >"$T/tls.png"
cp "$T/tls.png" "$M/new/"
completes early tls
matches "$(url_of tls)" "^https://localhost:$store/models/tls/" "URL"
serves early "$T/early.png" --cacert "$F/ours.crt"
serves tls "$T/tls.png" --cacert "$F/ours.crt"
driver_stop
front_stop
posts_are 9 "in all"

# The store was sent what was signed for, but where it was cut, and nobody saw what signs.
eq "$(grep ' wrong$' "$Z/log" | grep -vc ' 0 [0-9]* wrong$' || :)" 0 "damaged images"
for secret in "$S3_SECRET" another-secret; do
	if grep -raqF -- "$secret" "$DRIVER_LOG" "$T/state" "$T/state2" "$T/cache"; then
		fail "what signs is on the disk"
	fi
done
s3_kill
