# Media URLs expire: one look at the status for a new one, and the reader notices nothing.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: '

for code in 403 404 410; do
	complete_job expired-$code
	F=$M/by-name/expired-$code/output.glb
	url=$(media_url "$M/by-name/expired-$code")
	sum=$(digest <(curl -sS "$url"))
	control "{\"expired_status\": $code, \"expire\": true}"
	eq "$(curl -sS -o "$T/refused" -w '%{http_code}' "$url")" $code "answer to the URL that has expired"
	posts=$(ledger posts)
	polls=$(ledger polls)
	within $((30 * SLOW)) cat "$F" >"$T/got" || fail "reading after the URL expired with $code"
	eq "$(ledger polls)" $((polls + 1)) "looks at the status for a new URL, after $code"
	eq "$(digest "$T/got")" "$sum" "the model after its URL expired with $code"
	eq "$(cat "$M/by-name/expired-$code/status")" COMPLETED "status after $code"
	posts_are "$posts" "after $code"
done

# For good: a clear error, the job stays what it is, and the status is not asked without end.
complete_job gone
F=$M/by-name/gone/output.glb
control '{"faults": [{"at": "cdn", "do": "http", "status": 404, "times": 0}]}'
polls=$(ledger polls)
refuses within $((30 * SLOW)) cat "$F"
matches "$(cat "$T/refused")" 'Input/output error' "a model that is gone"
matches "$(cat "$M/by-name/gone/error")" 404 "the error of a model that is gone"
eq "$(cat "$M/by-name/gone/status")" COMPLETED "status of a model that is gone"
for _ in 1 2 3; do
	refuses within $((30 * SLOW)) cat "$F"
done
polls=$(($(ledger polls) - polls))
[ $polls -le 4 ] || fail "$polls polls for a model that is gone"
