# Without root: mounted by fusermount3, served to its owner only, unmounted by fusermount3.
#
# In a mount namespace of its own, where /dev/fuse is for everybody, as udev makes it, and /mnt is empty.
if [ ! "${INSIDE-}" ]; then
	if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
		echo "needs root and a private mount namespace, to become somebody else"
		exit 77
	fi
	INSIDE=1 exec "$(dirname "$0")/../tools/private" -- bash "$0"
fi
. "$(dirname "$0")/lib.sh"

command -v fusermount3 >"$T/which" || skip "no fusermount3 here"
somebody=65534

U=/mnt
mount -t tmpfs none $U
mknod -m 666 $U/fuse c 10 229
mount --bind $U/fuse /dev/fuse
install -m 755 "$B/pixal3dfs" $U/
install -d -o $somebody -m 700 $U/mnt $U/state $U/cache
install -o $somebody -m 600 "$T/key" $U/key
as_somebody() { # command...
	setpriv --reuid $somebody --regid $somebody --clear-groups env HOME=$U "$@"
}

sandbox_start
params $U/dog.json
chmod 644 $U/dog.json

run() { # options: in the background, as a user starts it
	as_somebody timeout $((20 * SLOW)) $U/pixal3dfs "$GATEWAY" $U/mnt \
		-o "state_dir=$U/state,cache_dir=$U/cache,key_file=$U/key,poll=0.05:0.1$1" >"$T/started" 2>&1
}
run '' || fail "status $?: $(cat "$T/started")"
pid=$(pgrep -u $somebody -f "pixal3dfs $GATEWAY $U/mnt")
eq "$(stat -c %u "/proc/$pid")" $somebody "owner of the driver"
# Its memory has the key: other programs of the same user do not look into it.
eq "$(stat -c %u "/proc/$pid/mem")" 0 "owner of the driver's memory"
refuses as_somebody cat "/proc/$pid/environ"
as_somebody cp $U/dog.json $U/mnt/new/
eq "$(as_somebody cat $U/mnt/by-name/dog/wait)" COMPLETED wait
await 10 as_somebody test -s $U/mnt/by-name/dog/output.glb
eq "$(as_somebody head -c 4 $U/mnt/by-name/dog/output.glb)" glTF "magic of the GLB"
# Through the driver: the kernel takes backing files from root alone.
curl -sS -o "$T/dog.glb" "$(as_somebody cat $U/mnt/by-name/dog/status.json | jq -er '.output.media_url | if type == "array" then .[0] else . end')"
for _ in cold warm; do
	cmp <(as_somebody cat $U/mnt/by-name/dog/output.glb) "$T/dog.glb"
done
posts_are 1

# Without allow_other not even root looks in, nor spends.
refuses ls $U/mnt/new
refuses cp "$T/key" $U/mnt/new/root.json

as_somebody fusermount3 -u $U/mnt
await 10 is_gone "$pid"

# ro: nobody spends.
run ,ro || fail "ro: status $?: $(cat "$T/started")"
pid=$(pgrep -u $somebody -f "pixal3dfs $GATEWAY $U/mnt")
refuses as_somebody cp $U/dog.json $U/mnt/new/again.json
matches "$(cat "$T/refused")" 'Read-only file system' "a drop into a read-only mount"
as_somebody cat $U/mnt/README >"$T/readme"
as_somebody fusermount3 -u $U/mnt
await 10 is_gone "$pid"
posts_are 1 "in the end"
