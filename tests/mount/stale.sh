# A driver that was killed leaves a dead mount. The next mount on the same directory takes it away: when it
# is ours, and dead. All else stays as it is.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root, to make other people's mounts"

kill_driver() { # and leave what it leaves
	kill -9 "$DRIVER_PID"
	wait "$DRIVER_PID" 2>/dev/null || :
	DRIVER_PID=
	refuses ls "$M"
	matches "$(cat "$T/refused")" 'Transport endpoint is not connected' "a dead mount"
}

mounts() { # on $M
	findmnt -n -o SOURCE "$M" | wc -l
}

sandbox_start
driver_start
complete_job dog
sum=$(digest "$M/by-name/dog/output.glb")
expect_log 'took away the mount of http://127.0.0.1:[0-9]+, whose driver had died$'

# Killed and mounted again, as if nothing had been.
kill_driver
driver_start
eq "$(mounts)" 1 "mounts after a mount over a dead one"
eq "$(digest "$M/by-name/dog/output.glb")" "$sum" "the model"
posts_are 1

# The same by another name of the directory, in the background.
kill_driver
ln -s "$M" "$T/link"
"$B/pixal3dfs" "$GATEWAY" "$T/link/" -o "$OPTIONS" 2>>"$DRIVER_LOG" || fail "status $? by another name"
eq "$(mounts)" 1 "mounts after a mount by another name"
eq "$(cat "$M/by-name/dog/status")" COMPLETED "status by another name"

# One that serves is said so, and goes on.
refuses "$B/pixal3dfs" "$GATEWAY" "$M" -o "$OPTIONS"
matches "$(cat "$T/refused")" 'mounted there already' "a second mount"
eq "$(cat "$M/by-name/dog/status")" COMPLETED "status after a second mount was refused"
DRIVER_PID=$(pgrep -f "pixal3dfs $GATEWAY $T/link/")
kill -9 "$DRIVER_PID"
await 5 is_gone "$DRIVER_PID"
DRIVER_PID=

# Another program's, and another user's, over it: neither is touched.
stays() { # type uid
	python3 "$ROOT/tests/tools/dead_mount.py" "$1" "$M" "$2"
	refuses "$B/pixal3dfs" "$GATEWAY" "$M" -o "$OPTIONS"
	matches "$(cat "$T/refused")" 'not ours to take away|mounted there already' "a mount over $1 of $2"
	eq "$(findmnt -n -o FSTYPE "$M" | tail -n 1)" "$1" "type of what must stay"
	umount "$M"
}
stays fuse.sshfs 0
stays fuse 0
stays fuse.pixal3dfs 12001

# Several dead ones of ours, one over the other.
python3 "$ROOT/tests/tools/dead_mount.py" fuse.pixal3dfs "$M" 0
eq "$(mounts)" 2 "dead mounts"
expect_log 'took away the mount of somebody, whose driver had died$'
driver_start
eq "$(mounts)" 1 "mounts after a mount over two dead ones"
eq "$(cat "$M/by-name/dog/status")" COMPLETED "status in the end"
