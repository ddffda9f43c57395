# Polling goes on through whatever the service answers, and a job ends only when the service says so.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: '

row() { # name fault-members
	control "{\"faults\": [{\"at\": \"status\", \"name\": \"$1\", \"match\": \"/$1.png\", $2}]}"
	complete_job "$1"
	[ "$(ledger "faults_fired[\"$1\"] // 0")" -ge 1 ] || fail "$1 has not fired"
	cmp "$M/by-name/$1/output.glb" <(curl -sS "$(media_url "$M/by-name/$1")") || fail "model after $1"
	[ ! -e "$M/by-name/$1/error" ] || fail "an error that is over: $(cat "$M/by-name/$1/error")"
}

for status in 401 403 404 408 429 500 502 503; do
	row "http-$status" "\"do\": \"http\", \"status\": $status, \"body\": {\"message\": \"oops\"}"
done
row close '"do": "close", "times": 2'
row reset '"do": "reset", "times": 2'
row truncated '"do": "truncate"'
row not-json '"do": "not_json", "body": "<html>"'
row huge '"do": "huge"'
row other-id '"do": "answer", "set": {"request_id": "pixal3d_other", "status": "FAILED"}'
row no-status '"do": "answer", "drop": ["status"]'
row no-output '"do": "answer", "set": {"output": null}'
row redirect '"do": "redirect", "status": 302, "location": "%CDN%/elsewhere"'
row unknown-word '"do": "answer", "set": {"status": "REVIEWING", "output": null}'
matches "$(cat "$M/by-name/unknown-word/log")" REVIEWING "an unknown word in the log"
row lower-case '"do": "answer", "times": 0, "set": {"status": "completed"}'
row a-string '"do": "answer", "times": 0, "set": {"output": {"media_url": "%MEDIA%", "media_type": "model/glb"}}'

# The media must not come from anywhere.
for url in file:///etc/passwd http://169.254.169.254/latest/meta-data ftp://127.0.0.1/x; do
	control "{\"faults\": [{\"at\": \"status\", \"do\": \"answer\", \"times\": 0,
		\"set\": {\"output\": {\"media_url\": [\"$url\"], \"media_type\": \"model/glb\"}}}]}"
	name=from-${url%%:*}
	params "$T/$name.json"
	cp "$T/$name.json" "$M/new/"
	within $((20 * SLOW)) cat "$M/by-name/$name/wait" >"$T/waited"
	await 10 test -s "$M/by-name/$name/error"
	[ ! -e "$M/by-name/$name/output.glb" ] || refuses within 20 cat "$M/by-name/$name/output.glb"
	rm -r "${M:?}/$(readlink "$M/latest")"
done
control '{"faults": []}'

# How jobs end that do not complete: the word, the reason, no output.
for outcome in FAILED ERROR; do
	control "{\"outcome\": \"$outcome\"}"
	name=ends-$outcome
	params "$T/$name.json"
	cp "$T/$name.json" "$M/new/"
	eq "$(within $((20 * SLOW)) cat "$M/by-name/$name/wait")" $outcome "wait of $name"
	eq "$(cat "$M/by-name/$name/status")" $outcome "status of $name"
	[ -s "$M/by-name/$name/error" ] || fail "no error file of $name"
	why=$(jq -r .error "$M/by-name/$name/status.json")
	grep -qF "$why" "$M/by-name/$name/error" || fail "the error file lacks the service's words: $why"
	[ ! -e "$M/by-name/$name/output.glb" ] || fail "an output of $name"
done
matches "$(cat "$M/by-name/ends-ERROR/error")" 'not charged' "the error of a job that was not charged"
control '{"outcome": null}'

# More than one output.
control '{"outputs": 3}'
complete_job many
J=$(cd "$M/by-name/many" && pwd -P)
for name in output.glb output-2.glb output-3.glb; do
	await 5 test -s "$J/$name"
	eq "$(head -c 4 "$J/$name")" glTF "magic of $name"
done
