# inotifywait and gio monitor see jobs come, change and finish: CREATE, CLOSE_WRITE, MODIFY through the
# mount itself, by a process that changes nothing, costs nothing of what nobody knows, and does not live
# longer than the driver.
. "$(dirname "$0")/lib.sh"
command -v inotifywait >"$T/which" || skip "inotify-tools is not installed"

watch() { # log directory
	inotifywait -m -r --format '%w%f %e' "$2" >"$1" 2>"$1.err" &
	WATCHER=$!
	await 10 grep -q 'Watches established' "$1.err"
}

unwatch() {
	kill "$WATCHER"
	wait "$WATCHER" 2>/dev/null || :
}

saw() { # log path event
	grep -qxF -- "$2 $3" "$1"
}

helper() {
	pgrep -P "$DRIVER_PID" -x pixal3dfs-touch
}

one_socket_open() { # pid
	[ "$(find "/proc/$1/fd" -mindepth 1 -printf '%l\n' | grep -v '/dev/null' | sed 's/:.*//')" = socket ]
}

# --- one job, watched before it is submitted
sandbox_start --queue-time 1000 --process-time 1000
driver_start
mkdir "$M/dog"
watch "$T/dog.log" "$M/dog"
if command -v gio >"$T/which"; then
	gio monitor -d "$M/dog" >"$T/gio.log" 2>&1 &
	MONITOR=$!
fi
echo https://images.example/dog.png >"$M/dog/image_url"
await 10 saw "$T/dog.log" "$M/dog/status" MODIFY
: >"$T/dog.log"
advance PROCESSING
await 10 saw "$T/dog.log" "$M/dog/status" MODIFY
await 10 saw "$T/dog.log" "$M/dog/log" MODIFY
! grep -q 'output' "$T/dog.log" || fail "an output before it is there: $(cat "$T/dog.log")"
advance COMPLETED
await 10 saw "$T/dog.log" "$M/dog/output.glb" CREATE
await 10 saw "$T/dog.log" "$M/dog/output.glb" CLOSE_WRITE,CLOSE
eq "$(grep -cxF "$M/dog/output.glb CREATE" "$T/dog.log")" 1 "times that it came"
[ ! "${MONITOR-}" ] || {
	await 10 grep -q "dog/output.glb: created" "$T/gio.log"
	await 10 grep -q "dog/output.glb: changes done" "$T/gio.log"
	await 10 grep -q "dog/status: changed" "$T/gio.log"
	kill "$MONITOR"
	wait "$MONITOR" || :
}
# The events are of what is there: nothing was made, changed, or sent.
eq "$(stat -c %a "$M/dog/output.glb")" 444 "mode"
[ -s "$M/dog/output.glb" ] || fail "it is empty"
! grep -q 'output.glb ATTRIB' "$T/dog.log" || fail "told that it is here, before it is"
mtime=$(stat -c %.Y "$M/dog/output.glb")
curl -sSf "$(media_url "$M/dog")" | cmp - "$M/dog/output.glb"
await 10 saw "$T/dog.log" "$M/dog/output.glb" ATTRIB
eq "$(stat -c %.Y "$M/dog/output.glb")" "$mtime" "its time, after it came in"
posts_are 1
unwatch

# --- the root: a drop becomes a directory, and a refusal an error file
watch "$T/root.log" "$M"
params "$T/cat.json"
cp "$T/cat.json" "$M/new/"
id=$(basename "$(readlink "$M/by-name/cat")")
await 10 saw "$T/root.log" "$M/$id" CREATE,ISDIR
await 10 saw "$T/root.log" "$M/by-name/cat" CREATE
echo '{"seed": "x"}' >"$T/wrong.json"
refuses cp "$T/wrong.json" "$M/new/"
await 10 saw "$T/root.log" "$M/new/wrong.json.error" CREATE
grep -q seed "$M/new/wrong.json.error"
# A tool that watches recursively follows into what it was told of.
advance COMPLETED
await 10 saw "$T/root.log" "$M/$id/output.glb" CREATE
posts_are 2
unwatch

# --- nobody can be let down, or held up
# One who was there first: the name exists already, and a change is told instead.
eq "$(helper | wc -l)" 1 "processes that touch"
H=$(helper)
kill -STOP "$H"
for name in a b c; do
	params "$T/$name.json"
	within 10 cp "$T/$name.json" "$M/new/"
done
advance COMPLETED
for name in a b c; do
	eq "$(within 10 cat "$M/by-name/$name/wait")" COMPLETED "wait with a stopped helper"
	within 5 ls -l "$M/by-name/$name/" >"$T/list"
	grep -q output.glb "$T/list"
done
kill -CONT "$H"
# It has no key and no file of the driver, and nothing of it is in the mount.
refuses grep -qaF "$KEY" "/proc/$H/environ" "/proc/$H/cmdline"
eq "$(tr -d '\0' <"/proc/$H/cmdline")" pixal3dfs-touch "its command line"
# (For the moment of a touch it has the mount open.)
await 5 one_socket_open "$H"
case $(readlink "/proc/$H/cwd") in "$M"*) fail "it is in the mount" ;; esac

# A forger: what another process makes is not taken for the helper's.
refuses mkdir "$M/$id"
refuses touch "$M/$id/output-9.glb"
refuses ln -s . "$M/by-name/cat"

# It ends with the driver, also with one that is killed, and a umount is not held up by it.
driver_stop
await 5 is_gone "$H"
driver_start
H=$(helper)
driver_kill
await 5 is_gone "$H"
driver_start
posts_are 5
