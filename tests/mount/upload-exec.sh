# limit: 90
# upload=exec: a command is given the image and no secret, says where it is public, may fail in two ways, and ends with
# the mount, however that ends.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../tools/images.sh"

# It notes what it has, and does what $T/do says.
cat >"$T/publish" <<'END'
#!/bin/sh
at=${0%/*}
cmp - "$1" && cp "$1" "$at/public/$PIXAL3DFS_NAME" || exit 78
env >"$at/environment"
echo "$PIXAL3DFS_NAME $PIXAL3DFS_MEDIA_TYPE" >>"$at/runs"
. "$at/do"
END
chmod +x "$T/publish"
mkdir "$T/public"
: >"$T/runs"
runs_are() { # count what
	eq "$(wc -l <"$T/runs")" "$1" "runs $2"
}
# shellcheck disable=SC2016  # the command expands it
ANSWER='echo "https://images.example/$PIXAL3DFS_NAME"'

completes() { # job
	eq "$(within $((20 * SLOW)) cat "$M/by-name/$1/wait")" COMPLETED "$1"
}

says() { # job status extended-regular-expression
	await 20 grep -Eqs -- "$3" "$M/by-name/$1/error"
	eq "$(cat "$M/by-name/$1/status")" "$2" "status of $1"
	matches "$(cat "$M/by-name/$1/error")" 'nothing was charged' "$1: what it cost"
}

expect_log '^pixal3dfs: (warn|error): .*([Ii]mage|upload|WAITING|REFUSED|published)'
OPTIONS=${OPTIONS/key_file=*\/key,/},upload=exec:$T/publish
DRIVER_ENV=(PIXAZO_API_KEY="$KEY" AWS_ACCESS_KEY_ID=AKIA-secret AWS_SECRET_ACCESS_KEY=aws-secret AWS_SESSION_TOKEN=token-secret OTHER=kept)
sandbox_start
driver_start

# Published; the same bytes are not, where the URL lasts, and are, where it does not last for a day.
echo "$ANSWER" >"$T/do"
noise 40 30 1 >"$T/dog.png"
cp "$T/dog.png" "$M/new/"
completes dog
name=$(digest "$T/dog.png").png
eq "$(jq -r .image_url "$M/by-name/dog/params.json")" "https://images.example/$name" "the URL"
eq "$(cat "$T/runs")" "$name image/png" "the name and type"
cmp "$T/dog.png" "$T/public/$name" || fail "another image is public"
grep -qx OTHER=kept "$T/environment" || fail "the command does not have the environment"
if grep -E "$KEY|-secret" "$T/environment"; then
	fail "the command has secrets"
fi
cp "$T/dog.png" "$M/new/same.png"
completes same
runs_are 1 "for the same bytes"
noise 40 30 2 >"$T/short.png"
echo "$ANSWER 3600" >"$T/do"
cp "$T/short.png" "$M/new/"
completes short
cp "$T/short.png" "$M/new/again.png"
completes again
runs_are 3 "for a URL that does not last"

# One that fails for now is run again; one that fails for good says why.
noise 40 30 3 >"$T/later.png"
echo 'echo the store is full for now >&2; exit 75' >"$T/do"
cp "$T/later.png" "$M/new/"
says later WAITING 'exec:.*/publish failed with status 75: the store is full for now.*tried again by itself'
echo "$ANSWER" >"$T/do"
completes later
noise 40 30 4 >"$T/never.png"
echo 'echo you may not >&2; exit 77' >"$T/do"
cp "$T/never.png" "$M/new/" || :
says never REFUSED 'failed with status 77: you may not'
echo 'echo http://images.example/plain' >"$T/do"
cp "$T/never.png" "$M/new/plain.png" || :
says plain REFUSED 'printed something else than an https:// URL'
posts_are 5

# It ends with the mount, and with all that it has started, and is run again by the next one.
# shellcheck disable=SC2016  # the command expands it
echo 'sleep 1000 & echo $! $$ >"$at/pids"; wait' >"$T/do"
noise 40 30 5 >"$T/stuck.png"
for end in driver_stop driver_kill; do
	rm -f "$T/pids"
	[ "$DRIVER_PID" ] || driver_start
	[ -e "$M/by-name/stuck" ] || cp "$T/stuck.png" "$M/new/"
	await 10 test -s "$T/pids"
	read -r child command <"$T/pids"
	is_running "$child" || fail "the command's child does not run"
	$end
	await 10 is_gone "$child"
	await 10 is_gone "$command"
done
posts_are 5 "while it is not published"
echo "$ANSWER" >"$T/do"
driver_start
completes stuck
posts_are 6 "in all"
