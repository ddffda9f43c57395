# SOURCE sandbox: needs no key and no gateway, and its gateway ends with the mount, however that ends.
. "$(dirname "$0")/lib.sh"

OPTIONS="state_dir=$T/state,cache_dir=$T/cache,poll=0.05:0.1,log=info"

gateways() { # of this driver: children that are a pixal3d-sandbox
	pgrep -P "$DRIVER_PID" -f pixal3d-sandbox || :
}

driver_start '' sandbox
gateway=$(gateways)
[ "$gateway" ] || fail "the driver has no gateway of its own"
grep -q "the sandbox: it costs nothing" "$M/README" || fail "README does not tell of the sandbox"

# The main job works; the times are the sandbox's own.
params "$T/dog.json"
cp "$T/dog.json" "$M/new/"
eq "$(within $((50 * SLOW)) cat "$M/by-name/dog/wait")" COMPLETED wait
await 10 test -e "$M/by-name/dog/output.glb"
eq "$(head -c 4 "$M/by-name/dog/output.glb")" glTF "magic of the GLB"
size=$(stat -L -c %s "$M/by-name/dog/output.glb")
eq "$(wc -c <"$M/by-name/dog/output.glb")" "$size" "size of the GLB"
sum=$(digest "$M/by-name/dog/output.glb")

# It ends with umount.
driver_stop
await 5 is_gone "$gateway"

# The next mount has another gateway; what was cached stays.
driver_start '' sandbox
eq "$(digest "$M/by-name/dog/output.glb")" "$sum" "the model after a remount"

# It ends with SIGTERM.
gateway=$(gateways)
kill -TERM "$DRIVER_PID"
driver_wait 10
eq "$DRIVER_STATUS" 0 "status after SIGTERM"
await 5 is_gone "$gateway"

# It ends with kill -9.
driver_start '' sandbox
gateway=$(gateways)
[ "$gateway" ] || fail "no gateway"
driver_kill
await 5 is_gone "$gateway"

# In the background, from a directory that goes away, the terminal closed: the same.
mkdir "$T/gone"
(cd "$T/gone" && within $((20 * SLOW)) "$B/pixal3dfs" sandbox "$M" -o "$OPTIONS" </dev/null >"$T/started" 2>&1) ||
	fail "in the background: status $?: $(cat "$T/started")"
mountpoint -q "$M" || fail "status 0, and not mounted"
rmdir "$T/gone" || fail "the driver sits in the directory where it was started"
DRIVER_PID=$(pgrep -f "pixal3dfs sandbox $M")
gateway=$(gateways)
[ "$gateway" ] || fail "no gateway"
params "$T/fox.json"
cp "$T/fox.json" "$M/new/"
umount "$M"
await 10 is_gone "$DRIVER_PID"
await 5 is_gone "$gateway"
DRIVER_PID=

# A gateway that dies under the mount is said so, and nothing hangs.
expect_log '^pixal3dfs: (warn|error): .*'
driver_start '' sandbox
gateway=$(gateways)
kill -9 "$gateway"
within 10 cp "$T/fox.json" "$M/new/" || :
within 5 ls -lR "$M" >"$T/listing"
