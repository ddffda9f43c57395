# README's "When something is wrong": what it says that is seen is what is seen, and what it says to do helps.
. "$(dirname "$0")/lib.sh"

# The row that begins with what is seen, now $SEEN; what to do is in $REMEDY.
row() { # what is seen
	SEEN=$1
	REMEDY=$(sed -n '/^## When something is wrong/,/^## What/p' "$ROOT/README.md" | grep -F "| \`$1" | cut -d '|' -f 3) ||
		fail "no row for: $1"
}

# The command says so.
seen() { # command...
	"$@" >"$T/seen" 2>&1 || :
	grep -qF -- "$SEEN" "$T/seen" || fail "not seen: $SEEN, but: $(cat "$T/seen")"
}

remedy_has() { # command
	grep -qF -- "$1" <<<"$REMEDY" || fail "$SEEN: not to be done: $1"
}

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: .*(took away|seed|balance)'

row 'not empty, its files would be hidden'
mkdir "$T/full" && : >"$T/full/file"
seen "$B/pixal3dfs" sandbox "$T/full" -o "state_dir=$T/books"

row 'is in use by process'
mkdir "$T/other"
seen "$B/pixal3dfs" "$GATEWAY" "$T/other" -o "$OPTIONS"
remedy_has 'state_dir='

row 'others may use it (mode 0644), try chmod 600'
cp "$T/key" "$T/key2" && chmod 644 "$T/key2"
seen "$B/pixal3dfs" "$GATEWAY" "$T/other" -o "state_dir=$T/books,key_file=$T/key2"
remedy_has 'chmod 600'

row 'Invalid argument'
echo '{"seed": "x"}' >"$T/wrong.json"
seen cp "$T/wrong.json" "$M/new/"
remedy_has 'new/NAME.json.error'
matches "$(cat "$M/new/wrong.json.error")" 'seed' "the error file"

row 'Device or resource busy'
(cd "$M" && exec sleep 100) &
sitter=$!
await 5 test "$M" -ef "/proc/$sitter/cwd"
if [ "$(id -u)" = 0 ]; then
	LC_ALL=C refuses umount "$M"
	matches "$(cat "$T/refused")" 'busy' "an unmount of what is in use"
else
	seen fusermount3 -u "$M"
fi
remedy_has 'fuser -vm DIR'
if command -v fuser >"$T/which"; then
	fuser -vm "$M" >"$T/seen" 2>&1 || fail "fuser: $(cat "$T/seen")"
	grep -q sleep "$T/seen" || fail "fuser does not name it: $(cat "$T/seen")"
fi
kill $sitter
wait $sitter || :

row 'Transport endpoint is not connected'
complete_job dog
kill -9 "$DRIVER_PID"
wait "$DRIVER_PID" || :
DRIVER_PID=
seen ls "$M"
remedy_has 'mount again'
driver_start
eq "$(cat "$M/by-name/dog/status")" COMPLETED "the job, after mounting again"
driver_stop

row 'no key: set PIXAZO_API_KEY or key_file='
OPTIONS=${OPTIONS/,key_file=$T\/key/}
expect_log 'no key: set PIXAZO_API_KEY or key_file='
DRIVER_ENV=("HOME=$T/nowhere")
driver_start
grep -qF "$SEEN" "$DRIVER_LOG" || fail "not said: $SEEN"
params "$T/cat.json"
refuses cp "$T/cat.json" "$M/new/"
matches "$(cat "$T/refused")" 'Required key not available' "a copy without a key"
