# An S3 store that checks signatures, for mount tests: source it after lib.sh.
#
# s3_start serves the bucket `models` at $S3; $Z/log has a line for each request: METHOD PATH STATUS BYTES
# DIGEST. s3_server.js says what else is in $Z. S3_ID and S3_SECRET may write; $T/credentials has them.

. "$ROOT/tests/tools/images.sh"

Z=$T/s3
S3_ID=AKIAOFTHISTEST
S3_SECRET=secret/of+this=test-$$
S3=
S3_PID=
mkdir -p "$Z/objects"

# It comes from npm, once for a build.
S3_MODULES=$B/npm-s3
if ! command -v node >"$T/which" || ! command -v npm >"$T/which"; then
	skip "no npm here"
fi
[ -e "$S3_MODULES/installed" ] || {
	HOME=$REAL_HOME timeout 120 npm install --silent --no-audit --no-fund --prefix "$S3_MODULES" @20minutes/s3rver@4.0.4 \
		>"$T/npm" 2>&1 && : >"$S3_MODULES/installed"
} || skip "npm cannot install an S3 server: $(tail -n 1 "$T/npm")"

s3_credentials() { # file id secret
	(umask 077 && printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$2" "$3" >"$1.new")
	mv "$1.new" "$1"
}
s3_credentials "$T/credentials" "$S3_ID" "$S3_SECRET"

s3_start() { # [seconds that its clock is ahead]
	rm -f "$Z/port"
	node "$ROOT/tests/tools/s3_server.js" "$S3_MODULES" "$Z" models "$S3_ID" "$S3_SECRET" "${1-0}" >>"$Z/output" 2>&1 &
	S3_PID=$!
	await 10 test -e "$Z/port"
	# shellcheck disable=SC2034  # tests use it
	S3=http://127.0.0.1:$(cat "$Z/port")
}

s3_kill() {
	kill -9 "$S3_PID"
	wait "$S3_PID" 2>/dev/null || :
	S3_PID=
}

# How many requests have ended so.
s3_count() { # METHOD STATUS
	grep -c "^$1 [^ ]* $2 " "$Z/log" || :
}

s3_counts() { # METHOD STATUS count: for await
	[ "$(s3_count "$1" "$2")" = "$3" ]
}

url_of() { # job
	jq -er .image_url "$M/by-name/$1/params.json"
}

# What the service would fetch for a job, with nothing but its URL, is the file.
serves() { # job file [curl arguments]
	curl -sS --fail-with-body "${@:3}" -o "$T/served" "$(url_of "$1")" || fail "$1: $(cat "$T/served")"
	cmp "$T/served" "$2" || fail "$1: another image is served"
}
