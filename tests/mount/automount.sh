# x-systemd.automount: mounted by the first look, which waits for it. The kernel lets only the automount's own process group
# pass meanwhile: a driver that left it before it has mounted would wait for itself.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root, for an autofs mount"

first_look() { # options
	mkfifo "$T/armed"
	python3 "$ROOT/tests/tools/automount.py" "$M" "$B/pixal3dfs" "$GATEWAY" "$M" -o "$OPTIONS$1" \
		>"$T/armed" 2>"$T/automount" &
	automount=$!
	IFS= read -r -t 20 _ <"$T/armed" || skip "$(cat "$T/automount")"
	rm "$T/armed"
	eq "$(findmnt -n -o FSTYPE "$M")" autofs "type before the first look"
	status=0
	within $((20 * SLOW)) cat "$M/README" >"$T/looked" 2>&1 || status=$?
}

sandbox_start
first_look ''
eq $status 0 "status of the first look ($(cat "$T/looked" "$T/automount"))"
matches "$(cat "$T/looked")" 'as files' "what the first look has seen"
wait $automount || fail "the driver did not mount: $(cat "$T/automount")"
eq "$(findmnt -n -o FSTYPE "$M" | tail -n 1)" fuse.pixal3dfs "type after the first look"
complete_job dog

# A driver that dies leaves both; the next mount takes its own away, and not the automount's.
kill -9 "$(pgrep -f "pixal3dfs $GATEWAY $M")"
await 5 not ls "$M"
"$B/pixal3dfs" "$GATEWAY" "$M" -o "$OPTIONS" 2>"$T/again" || fail "mount after a crash: $(cat "$T/again")"
eq "$(findmnt -n -o FSTYPE "$M" | tr '\n' ' ')" 'autofs fuse.pixal3dfs ' "types after a crash"
eq "$(cat "$M/by-name/dog/status")" COMPLETED "the job after a crash"
await 5 umount "$M"
await 5 umount "$M"

# A mount that fails is a look that fails.
first_look ,key_file="$T/none"
[ $status -ne 0 ] || fail "a look at what could not be mounted has succeeded"
matches "$(cat "$T/automount")" 'key file' "why it was not mounted"
await 5 umount "$M"
