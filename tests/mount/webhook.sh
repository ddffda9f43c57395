# Callbacks: polls are 30 s apart, so that whatever goes on within seconds was told by a callback.
. "$(dirname "$0")/lib.sh"

url=https://images.example
port=$(free_port)
hook=http://127.0.0.1:$port/p3d
options="poll=30,webhook_url=$hook,webhook_listen=127.0.0.1:$port"
sandbox_start --allow-http-webhook --queue-time 1000 --process-time 1000
driver_start "$options"
expect_log '^pixal3dfs: warn: .*(UNCERTAIN|may have been)'
posts=0

# One job, submitted as JOB.
submit() { # job
	mkdir "$M/$1"
	echo "$url/$1.png" >"$M/$1/image_url"
	posts=$((posts + 1))
	posts_are $posts "$1"
}

# Where the last POST wants to be called back; its header fields are in $T/headers.
callback_url() {
	sandbox_call "$GATEWAY/sandbox/received" | jq '.[-1].headers' >"$T/headers"
	jq -er '."x-webhook-url"' "$T/headers"
}

ends() { # job word
	eq "$(within $((15 * SLOW)) cat "$M/$1/wait")" "$2" "wait of $1"
}

delivered() { # callbacks that were answered with 2xx
	[ "$(ledger webhooks)" -ge "$1" ]
}

code_of() { # curl argument...
	curl -sS -o "$T/answer" -w '%{http_code}' --max-time $((10 * SLOW)) "$@"
}

# Mode terminal: called at the end, and the model is there when wait returns.
submit terminal
matches "$(callback_url)" "^$hook/[0-9]+-[0-9a-f]{32}\$" "X-Webhook-URL"
eq "$(jq -r '."x-webhook-mode"' "$T/headers")" terminal "X-Webhook-Mode"
polls=$(ledger polls)
advance COMPLETED
ends terminal COMPLETED
eq "$(head -c 4 "$M/terminal/output.glb")" glTF "the model of a job that was called about"
eq "$(ledger polls)" $((polls + 1)) "polls that one callback has led to"

# A failure, with the service's words from the poll.
submit failing
advance FAILED
ends failing FAILED
matches "$(cat "$M/failing/error")" 'could not process' "the error of a failure that was called about"

# The same callback many times, also when it is long over.
control '{"faults": [{"at": "webhook", "do": "duplicate", "copies": 20}]}'
submit many
called=$(ledger webhooks)
polls=$(ledger polls)
advance COMPLETED
ends many COMPLETED
await 10 delivered $((called + 20))
fired webhook.duplicate
[ "$(ledger polls)" -le $((polls + 5)) ] || fail "20 duplicates led to $(($(ledger polls) - polls)) polls"
eq "$(code_of -d '{}' "$(callback_url)")" 200 "a callback for a job that has ended"

# The answer to the POST is lost: the callback brings the request id, and it costs nothing.
control '{"faults": [{"at": "submit", "do": "close"}]}'
mkdir "$M/lost"
refuses bash -c "echo $url/lost.png >$M/lost/image_url"
posts=$((posts + 1))
fired submit.close
eq "$(cat "$M/lost/status")" UNCERTAIN "a job whose answer was lost"
matches "$(cat "$M/lost/error")" 'call back' "what may happen by itself"
advance COMPLETED
await 15 file_is "$M/lost/status" COMPLETED
eq "$(head -c 4 "$M/lost/output.glb")" glTF "the model of a job whose answer was lost"
[ ! -e "$M/lost/error" ] || fail "an error of what was resolved: $(cat "$M/lost/error")"
matches "$(cat "$M/lost/log")" 'UNCERTAIN -> QUEUED, request pixal3d_' "the log of what was resolved"
posts_are $posts "a job whose answer was lost"

# Killed before the answer: a callback after the remount finds its job.
killed_at_the_answer() { # job
	mkdir "$M/$1"
	hold submit.accepted
	bash -c "echo $url/$1.png >$M/$1/image_url" 2>"$T/writer" &
	writer=$!
	arrived submit.accepted
	posts=$((posts + 1))
}
killed_at_the_answer killed
driver_kill
await 5 is_gone $writer
release submit.accepted
hold
driver_start "$options"
eq "$(cat "$M/killed/status")" UNCERTAIN "after the remount"
advance COMPLETED
await 15 file_is "$M/killed/status" COMPLETED
posts_are $posts "killed before the answer"

# The callback is faster than the answer, which then comes ...
killed_at_the_answer early
called=$(ledger webhooks)
advance COMPLETED
await 10 delivered $((called + 1))
eq "$(cat "$M/early/status")" SUBMITTING "called back before the answer"
release submit.accepted
hold
ends early COMPLETED
await 5 is_gone $writer
posts_are $posts "called back before the answer"

# ... or never does: what was called is in the books.
killed_at_the_answer claimed
called=$(ledger webhooks)
advance COMPLETED
await 10 delivered $((called + 1))
driver_kill
await 5 is_gone $writer
release submit.accepted
hold
driver_start "$options"
await 15 file_is "$M/claimed/status" COMPLETED
matches "$(cat "$M/claimed/log")" 'a callback names request pixal3d_' "the log of what was called"
posts_are $posts "called back, and killed"

# What is forged is refused, and nobody is told why; it asks nothing of the service.
submit target
secret=$(callback_url)
polls=$(ledger polls)
forged=$(tr 0-9a-f 1-9a-f0 <<<"${secret##*-}")
eq "$(code_of -d '{}' "${secret%-*}-$forged")" 404 "another token"
eq "$(code_of -d '{}' "$hook/999999-${secret##*-}")" 404 "another job"
eq "$(code_of -d '{}' "$hook/")" 404 "no token"
eq "$(code_of "$secret")" 405 "a GET"
eq "$(head -c 100000 /dev/zero | code_of --data-binary @- "$secret")" 413 "a huge body"
eq "$(ledger polls)" "$polls" "polls that forged callbacks have led to"
# With the token its content is not believed all the same.
eq "$(code_of -d '{"request_id": "pixal3d_x", "status": "FAILED", "error": "forged"}' "$secret")" 200 "a lie"
await 10 [ "$(ledger polls)" -gt "$polls" ]
eq "$(cat "$M/target/status")" QUEUED "after a lie"
rm -r "$M/target"
eq "$(code_of -d '{}' "$secret")" 404 "a callback for a job that was forgotten"

eq "$(awk '$1 == "refused" { print $2 }' "$M/stats")" 6 "refused calls, as stats has them"
[ "$(awk '$1 == "callbacks" { print $2 }' "$M/stats")" -ge 1 ] || fail "no callback is counted"

# The secret is in no file of the mount, and in no log.
secret=${secret##*-}
submit secret
again=$(callback_url)
! grep -rqF -e "$secret" -e "${again##*-}" "$M" "$DRIVER_LOG" || fail "a token is to be seen"

# Mode sync: called at progress too. The port is free as soon as the mount is gone.
driver_stop
driver_start "$options,webhook_mode=sync"
submit sync
callback_url >"$T/url"
eq "$(jq -r '."x-webhook-mode"' "$T/headers")" sync "X-Webhook-Mode"
advance PROCESSING
await 15 file_is "$M/sync/status" PROCESSING
advance COMPLETED
ends sync COMPLETED
posts_are $posts "in the end"

# A second one finds the port taken: it says so, mounts nothing, and mount(8) hears of it.
other=$T/other
mkdir "$other"
status=0
"$B/pixal3dfs" "$GATEWAY" "$other" -o "$options,key_file=$T/key,state_dir=$T/other-state" \
	>"$T/refused" 2>&1 || status=$?
eq $status 32 "status of a mount whose port is taken"
matches "$(cat "$T/refused")" "cannot listen on 127.0.0.1:$port .*Address already in use" "its words"
! mountpoint -q "$other" || fail "it is mounted"

# In the background too, and when callbacks get lost polls go on.
driver_stop
control '{"reset": true, "faults": [{"at": "webhook", "do": "lose"}]}'
"$B/pixal3dfs" "$GATEWAY" "$M" -o "$OPTIONS,$options"
submit background
advance COMPLETED "$(cat "$M/background/request_id")"
arrived webhook.done
fired webhook.lose
fired webhook.lose
eq "$(cat "$M/background/status")" QUEUED "whose callback was lost"
eq "$(code_of -d '{}' "$(callback_url)")" 200 "the callback, late"
ends background COMPLETED
umount "$M"
