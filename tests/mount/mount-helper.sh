# mount -t pixal3dfs after make install: for the sandbox and for a URL, with a truthful exit status.
#
# In a mount namespace of its own, whose /sbin has the helpers.
if [ ! "${INSIDE-}" ]; then
	if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
		echo "needs root and a private mount namespace, for a helper in /sbin"
		exit 77
	fi
	INSIDE=1 exec "$(dirname "$0")/../tools/private" -- bash "$0"
fi
. "$(dirname "$0")/lib.sh"

# What a package would contain.
make -s -C "$ROOT" B="$B" -o all install DESTDIR="$T/package" >"$T/make" 2>&1 || fail "make install: $(cat "$T/make")"
for program in pixal3dfs pixal3d-sandbox; do
	[ -x "$T/package/usr/local/bin/$program" ] || fail "make install installs no $program"
done
for link in mount.pixal3dfs mount.fuse.pixal3dfs; do
	eq "$(readlink "$T/package/sbin/$link")" /usr/local/bin/pixal3dfs "the mount helper $link"
done
for file in share/man/man1/pixal3dfs.1 share/man/man8/mount.pixal3dfs.8 share/man/man7/pixal3dfs-semantics.7 \
	share/bash-completion/completions/pixal3dfs lib/systemd/system/pixal3dfs@.service; do
	[ -s "$T/package/usr/local/$file" ] || fail "make install installs no $file"
done
make -s -C "$ROOT" B="$B" uninstall DESTDIR="$T/package"
eq "$(find "$T/package" ! -type d)" '' "what make uninstall leaves"

# shellcheck source=../tools/sbin.sh
. "$ROOT/tests/tools/sbin.sh"
install_below "$T/prefix" || fail "make install"
sbin_with_helpers "$T/prefix"
PATH=$T/prefix/bin:$PATH

sandbox_start
export M GATEWAY OPTIONS

# A script that must end well.
succeeds() { # what script
	bash -euc "$2" >"$T/helped" 2>&1 || fail "$1: status $?: $(cat "$T/helped")"
}

fails() { # what status text mount-arguments
	local status=0
	"${@:4}" >"$T/helped" 2>&1 || status=$?
	eq $status "$2" "status of $1 ($(cat "$T/helped"))"
	matches "$(cat "$T/helped")" "$3" "words of $1"
}

# shellcheck disable=SC2016
ended='for i in $(seq 200); do pgrep -f "$M" >"$T/alive" || exit 0; sleep 0.05; done; cat "$T/alive"; exit 1'

# A URL, with options; mount(8) returns when it serves, and umount ends the driver.
# shellcheck disable=SC2016
succeeds "mount of a URL" '
	mount -t pixal3dfs "$GATEWAY" "$M" -o "$OPTIONS"
	mountpoint "$M"
	cat "$M/README" >/dev/null
	echo https://images.example/helper.png >"$M/new/helper.url"
	test "$(cat "$M/by-name/helper/wait")" = COMPLETED
	test "$(head -c 4 "$M/by-name/helper/output.glb")" = glTF
	findmnt -n -o FSTYPE,SOURCE "$M"
	umount "$M"'
matches "$(cat "$T/helped")" "^fuse.pixal3dfs +" "type of the mount"
posts_are 1

# mount removes HOME, passes options of fstab, and knows ro.
# shellcheck disable=SC2016
succeeds "mount with options of fstab" '
	mount -t pixal3dfs "$GATEWAY" "$M" -o "$OPTIONS,_netdev,nofail,user,noexec,nosuid,nodev"
	findmnt -n -o OPTIONS "$M" | grep noexec
	umount "$M"
	mount -r -t pixal3dfs "$GATEWAY" "$M" -o "$OPTIONS"
	if echo https://images.example/ro.png >"$M/new/ro.url"; then exit 1; fi
	umount "$M"'
posts_are 1 "after a read-only mount"

# The type as it shows in /proc/mounts; -v tells, -n and -s are taken; no remount, nor silently another mount.
# shellcheck disable=SC2016
succeeds "mount -t fuse.pixal3dfs" '
	mount -v -n -s -t fuse.pixal3dfs "$GATEWAY" "$M" -o "$OPTIONS,colour=blue,noatime,user,users,group"
	findmnt -n -o OPTIONS "$M" | grep noatime
	if mount -o remount,ro "$M" 2>"$T/remount"; then exit 1; fi
	grep "umount DIR && mount DIR" "$T/remount"
	grep "$M fuse.pixal3dfs rw" /proc/mounts
	umount "$M"'
matches "$(cat "$T/helped")" "mounted on $M" "what -v says"

# /etc/fstab as it is written by hand.
# shellcheck disable=SC2016
succeeds "mount by fstab" '
	echo "$GATEWAY $M pixal3dfs $OPTIONS,noauto,_netdev,nofail 0 0" >"$T/fstab"
	mount -T "$T/fstab" "$M"
	mountpoint "$M"
	umount "$M"'

# The sandbox needs nothing.
# shellcheck disable=SC2016
succeeds "mount of the sandbox" '
	mount -t pixal3dfs sandbox "$M" -o "state_dir=$T/state-2,cache_dir=$T/cache-2,poll=0.05:0.1"
	echo https://images.example/sandbox.png >"$M/new/one.url"
	grep -q . "$M/by-name/one/request_id"
	umount "$M"
	'"$ended"

# Failures: the reason on the terminal, and mount(8)'s status: 1 for bad usage, 32 for the rest.
fails "mount on a missing directory" 32 'nowhere' mount -t pixal3dfs "$GATEWAY" "$T/nowhere" -o "$OPTIONS"
fails "mount of nonsense" 1 'ftp:' mount -t pixal3dfs ftp://127.0.0.1/ "$M" -o "$OPTIONS"
fails "mount with an unknown option" 1 'colour' mount -t pixal3dfs "$GATEWAY" "$M" -o "$OPTIONS,colour=red"
fails "mount with a missing key file" 32 'no-key' mount -t pixal3dfs "$GATEWAY" "$M" \
	-o "${OPTIONS/key_file=*\/key,/key_file=$T/no-key,}"
chmod 644 "$T/key"
fails "mount with a key that all may read" 32 'key' mount -t pixal3dfs "$GATEWAY" "$M" -o "$OPTIONS"
chmod 600 "$T/key"
mkdir "$T/full" && : >"$T/full/file"
fails "mount on a directory that is not empty" 32 'empty' mount -t pixal3dfs "$GATEWAY" "$T/full" -o "$OPTIONS"

# mount -N: in the other namespace, and not in ours. ThreadSanitizer has a thread of its own from the
# start, and only a process without threads may change its namespace.
# shellcheck disable=SC2016
grep -q -e -fsanitize=thread "$B/flags" || succeeds "mount in another namespace" '
	unshare -m --propagation private sleep 60 &
	other=$!
	trap "kill $other" EXIT
	until [ "$(readlink /proc/$other/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.02; done
	mount -N $other -t pixal3dfs "$GATEWAY" "$M" -o "$OPTIONS"
	if mountpoint "$M"; then exit 1; fi
	nsenter -m -t $other cat "$M/README" >"$T/readme"
	nsenter -m -t $other umount "$M"'

# --version and help need no mount.
matches "$("$T/prefix/bin/pixal3dfs" --version)" '^pixal3dfs [0-9.]+$' "--version"
matches "$("$T/prefix/bin/pixal3dfs" -o help)" 'budget=USD' "-o help"

# A dead mount of the same place does not stop mount(8) either.
# shellcheck disable=SC2016
succeeds "mount over a dead mount" '
	echo "$GATEWAY $M pixal3dfs $OPTIONS,noauto 0 0" >"$T/fstab"
	mount -T "$T/fstab" "$M"
	kill -9 "$(pgrep -f "mount.pixal3dfs $GATEWAY $M")"
	for i in $(seq 200); do if ! ls "$M"; then break; fi; sleep 0.02; done
	mount -T "$T/fstab" "$M"
	test "$(cat "$M/by-name/helper/status")" = COMPLETED
	umount "$M"'

# -f is "fake" for mount(8): nothing is mounted.
# shellcheck disable=SC2016
succeeds "a fake mount" '
	mount -f -t pixal3dfs "$GATEWAY" "$M" -o "$OPTIONS"
	if mountpoint "$M"; then exit 1; fi'
