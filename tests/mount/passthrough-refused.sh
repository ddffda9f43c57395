# Where the kernel takes no backing file, reads go through the driver and nobody notices: a cache on a
# filesystem that is stacked itself, root of a user namespace. Where it takes one, the last close gives it
# back: what was forgotten leaves the disk.
if [ ! "${INSIDE-}" ]; then
	if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
		echo "needs root and a private mount namespace"
		exit 77
	fi
	INSIDE=system "$(dirname "$0")/../tools/private" -- bash "$0" || exit
	if ! unshare -rm test -w /dev/fuse; then
		echo "user namespace: no FUSE in one here" >>"$T/skipped"
		exit 0
	fi
	mkdir "$T/user"
	T=$T/user INSIDE=user exec unshare -rm --propagation private bash "$0"
fi
. "$(dirname "$0")/lib.sh"
OPTIONS=${OPTIONS/log=info/log=debug}
expect_log '^fuse: passthrough' # a newer libfuse says itself what the kernel refuses

sandbox_start
control "{\"output_bytes\": $((2 << 20))}"

refused() { # name why
	: >"$DRIVER_LOG"
	driver_start
	model "$1"
	ways
	ways
	matches "$(cat "$DRIVER_LOG")" "the kernel does not read outputs by itself: $2" "the log"
	driver_stop
}

if [ "$INSIDE" = user ]; then
	refused user 'Operation not permitted'
	exit 0
fi

[ "$(printf '%s\n' 6.9 "$(uname -r)" | sort -V | head -n 1)" = 6.9 ] || skip "needs Linux 6.9"

mkdir -p "$T/tmpfs" "$T/cache"
mount -t tmpfs none "$T/tmpfs"
mkdir "$T/tmpfs"/{upper,work,lower}
if mount -t overlay -o "lowerdir=$T/tmpfs/lower,upperdir=$T/tmpfs/upper,workdir=$T/tmpfs/work" none "$T/cache" \
	2>"$T/overlay"; then
	refused stacked 'Too many levels of symbolic links'
	umount "$T/cache"
else
	skip_row overlayfs "$(cat "$T/overlay")"
fi

mount -t tmpfs none "$T/cache"
used() {
	df --output=used -B1 "$T/cache" | tail -n 1
}
is_used() { # at most bytes
	[ "$(used)" -le "$1" ]
}
driver_start
model released
ways
ways "$DRIVER_PID"
exec 5<"$F" 6<"$F"
rm -r "$(readlink -f "$M/by-name/released")"
exec 5<&-
ways=$(cmp - "$TRUTH" <&6) || fail "a forgotten model: $ways"
[ "$(used)" -ge $((2 << 20)) ] || fail "it has left the disk, and is read"
exec 6<&-
await 10 is_used 65536

# An unmount gives back all, too, and a driver that is killed.
for end in driver_stop driver_kill; do
	model $end
	ways
	$end
	rm -r "$T/cache"/*
	await 10 is_used 65536
	[ $end = driver_kill ] || driver_start
done
umount "$T/cache" "$T/tmpfs"
