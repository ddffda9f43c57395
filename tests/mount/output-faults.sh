# Whatever the CDN does: a reader gets the bytes of one version of the model, or an error; never less.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: '

# A model read cold, whole, under a fault. The fault must fire.
row() { # name fault-members
	complete_job "$1"
	F=$M/by-name/$1/output.glb
	control "{\"faults\": [{\"at\": \"cdn\", \"name\": \"$1\", $2}]}"
	status=0
	within $((30 * SLOW)) cat "$F" >"$T/got" 2>"$T/refused" || status=$?
	[ "$(ledger "faults_fired[\"$1\"] // 0")" -ge 1 ] || fail "$1 has not fired"
	control '{"faults": []}'
	curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/$1")"
}

# The reader notices nothing.
heals() { # name fault-members
	row "$@"
	eq $status 0 "status of a reader after $1 ($(cat "$T/refused"))"
	cmp "$T/got" "$T/direct.glb" || fail "$1: other bytes"
}

# What came before an error is right.
begins_right() { # name
	[ ! -s "$T/got" ] || cmp -n "$(stat -c %s "$T/got")" "$T/got" "$T/direct.glb" || fail "$1: other bytes before the error"
}

# What was read before the fault ended is right and an error told of the rest; later it heals.
right_or_error() { # name fault-members
	row "$@"
	if [ $status -eq 0 ]; then
		cmp "$T/got" "$T/direct.glb" || fail "$1: other bytes, and no error"
	else
		matches "$(cat "$T/refused")" 'Input/output error|Stale' "$1: words"
		[ -s "$M/by-name/$1/error" ] || fail "$1: no reason in the error file"
		begins_right "$1"
	fi
	await 20 cmp "$F" "$T/direct.glb"
}

heals close '"do": "close"'
heals reset '"do": "reset"'
heals close-after '"do": "close_after", "offset": 1000000'
heals reset-after '"do": "reset_after", "offset": 1000000'
heals http-500 '"do": "http", "status": 500'
heals http-503 '"do": "http", "status": 503, "headers": {"Retry-After": "1"}'
heals no-range '"do": "no_range", "times": 0'
right_or_error wrong-range '"do": "wrong_range"'
right_or_error gzip '"do": "gzip"'
right_or_error no-length '"do": "no_length", "bytes": 500000'
right_or_error short '"do": "short", "bytes": 500000'
right_or_error corrupt '"do": "corrupt", "offset": 0'
right_or_error huge '"do": "huge", "bytes": 1000000000'
[ "$(du -sm "$T/cache" | cut -f 1)" -lt 100 ] || fail "a model without an end fills the cache: $(du -sm "$T/cache")"
right_or_error redirect '"do": "redirect", "status": 302, "location": "%GATEWAY%/elsewhere"'

forever=0
# For ever: an error within bounded time, never a short file.
for fault in '"do": "close"' '"do": "http", "status": 500' '"do": "corrupt", "offset": 0'; do
	name=forever-$((++forever))
	row $name "$fault, \"times\": 0"
	[ $status -ne 0 ] || fail "$fault for ever: the reader got $(stat -c %s "$T/got") bytes and no error"
	matches "$(cat "$T/refused")" 'Input/output error' "$fault for ever: words"
	[ -s "$M/by-name/$name/error" ] || fail "$fault for ever: no reason in the error file"
	begins_right "$fault for ever"
	eq "$(cat "$M/by-name/$name/status")" COMPLETED "status after $fault"
	await 20 cmp "$F" "$T/direct.glb"
done

# The cache on disk is damaged while nobody looks: noticed, or at least never served as whole.
complete_job damaged
F=$M/by-name/damaged/output.glb
cat "$F" >"$T/whole.glb"
driver_stop
for data in "$T"/cache/*.data; do
	truncate -s 1000 "$data"
done
driver_start
cmp "$F" "$T/whole.glb" || fail "a truncated cache was served"
