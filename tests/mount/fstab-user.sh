# `user` mounts from fstab, as a person on a workstation has them: `mount DIR` without root.
#
# mount(8) gives its privilege away before it runs the helper, so the driver is the user's own: the books and the key
# are in the user's home, and fusermount3 does the mounting. In a mount namespace of its own, with an /etc, a /mnt and a
# /dev/fuse of its own.
if [ ! "${INSIDE-}" ]; then
	if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
		echo "needs root and a private mount namespace, to make a user"
		exit 77
	fi
	INSIDE=1 exec "$(dirname "$0")/../tools/private" -- bash "$0"
fi
. "$(dirname "$0")/lib.sh"
# shellcheck source=../tools/sbin.sh
. "$ROOT/tests/tools/sbin.sh"

for program in fusermount3 useradd; do
	command -v $program >"$T/which" || skip "no $program here"
done
mount -t tmpfs none /mnt
mkdir -p /run/mount && mount -t tmpfs none /run/mount
mknod -m 666 /mnt/fuse c 10 229
mount --bind /mnt/fuse /dev/fuse
install_below /mnt/prefix || fail "make install"
sbin_with_helpers /mnt/prefix

for user in p3danna p3dbert; do
	useradd --create-home --home-dir "/mnt/$user" "$user"
	install -d -o $user -m 700 "/mnt/$user/.config/pixal3dfs"
	install -o $user -m 600 "$T/key" "/mnt/$user/.config/pixal3dfs/key"
done
as() { # user command... : a login's environment, without HOME, as mount(8) would have it
	setpriv --reuid "$1" --regid "$1" --init-groups env -i PATH="$PATH" LC_ALL=C.UTF-8 \
		ASAN_OPTIONS="${ASAN_OPTIONS-}" "${@:2}"
}
driver() { # its pid
	pgrep -f "pixal3dfs $GATEWAY /mnt/p3d"
}
# A sanitizer's report is written by whoever finds something.
chmod 711 "$(dirname "$T")" "$T" && chmod 1777 "$T/san"

sandbox_start
install -d -o p3danna -m 755 /mnt/p3d
cat >>/etc/fstab <<END
$GATEWAY /mnt/p3d pixal3dfs noauto,user,_netdev,nofail,x-systemd.automount,poll=0.05:0.1,log=info,upload=exec:/mnt/publish 0 0
END
cat >/mnt/publish <<'END'
#!/bin/sh
echo "https://images.example/$(id -un)/$(basename "$1")"
END
chmod 755 /mnt/publish
"$B/tools/small_image" png >/mnt/cat.png

# Mounted by who may not, with all that fstab says.
as p3danna mount /mnt/p3d >"$T/mounted" 2>&1 || fail "mount as a user: status $?: $(cat "$T/mounted")"
pid=$(driver)
matches "$(findmnt -n -o FSTYPE,OPTIONS /mnt/p3d)" 'fuse.pixal3dfs.*nosuid,nodev,noexec.*user_id='"$(id -u p3danna)" \
	"the user's mount"
eq "$(stat -c %U /mnt/p3danna/.local/state/pixal3dfs/*/jobs.db)" p3danna "owner of the books"
as p3danna sh -c 'echo https://images.example/dog.png >/mnt/p3d/new/dog.url'
eq "$(as p3danna cat /mnt/p3d/by-name/dog/wait)" COMPLETED "wait of the user's job"
posts_are 1

# An image of the user's own is published by the user's command.
as p3danna cp /mnt/cat.png /mnt/p3d/new/
eq "$(as p3danna cat /mnt/p3d/by-name/cat/wait)" COMPLETED "wait of the image's job"
matches "$(as p3danna cat /mnt/p3d/by-name/cat/image_url)" '^https://images.example/p3danna/[0-9a-f]+\.png$' "where the image is"
posts_are 2

# It is the user's alone, and so is its end. (mount(8) unmounts a FUSE mount for who made it.)
refuses as p3dbert ls /mnt/p3d
refuses as p3dbert umount /mnt/p3d
as p3danna umount /mnt/p3d
await 10 is_gone "$pid"

# Killed: the user's next mount takes the dead one away, and another user's would not.
as p3danna mount /mnt/p3d
kill -9 "$(driver)"
await 5 not as p3danna ls /mnt/p3d
refuses as p3dbert mount /mnt/p3d
as p3danna mount /mnt/p3d >"$T/mounted" 2>&1 || fail "mount over a dead one: status $?: $(cat "$T/mounted")"
eq "$(findmnt -n -o SOURCE /mnt/p3d | wc -l)" 1 "mounts"
eq "$(as p3danna cat /mnt/p3d/by-name/dog/status)" COMPLETED "the job after that"
as p3danna umount /mnt/p3d

# Failures reach the user's terminal with mount(8)'s status.
fails() { # status text command...
	local status=0
	"${@:3}" >"$T/refused" 2>&1 || status=$?
	eq $status "$1" "status of ${*:3} ($(cat "$T/refused"))"
	matches "$(cat "$T/refused")" "$2" "words of ${*:3}"
}
fails 32 'no write access' as p3dbert mount /mnt/p3d
chmod 644 /mnt/p3danna/.config/pixal3dfs/key
fails 32 'others may use it' as p3danna mount /mnt/p3d
chmod 600 /mnt/p3danna/.config/pixal3dfs/key

# allow_other: only where root has allowed it.
sed -i 's/noauto,user/noauto,user,allow_other/' /etc/fstab
sed -i '/^user_allow_other/d' /etc/fuse.conf
fails 32 'user_allow_other' as p3danna mount /mnt/p3d
echo user_allow_other >>/etc/fuse.conf
as p3danna mount /mnt/p3d
eq "$(as p3dbert cat /mnt/p3d/by-name/dog/status)" COMPLETED "a look by another user"
refuses as p3dbert sh -c 'echo https://images.example/cat.png >/mnt/p3d/new/cat.url'
matches "$(cat "$T/refused")" 'Permission denied' "another user's drop"
as p3danna umount /mnt/p3d

# ro in fstab: never spends.
sed -i 's/noauto,user/noauto,ro,user/' /etc/fstab
as p3danna mount /mnt/p3d
refuses as p3danna sh -c 'echo https://images.example/cat.png >/mnt/p3d/new/cat.url'
matches "$(cat "$T/refused")" 'Read-only file system' "a drop into a read-only mount"
as p3danna umount /mnt/p3d

# `users`: whoever, each with books of their own.
sed -i 's/,ro,user/,users/; s/,allow_other//' /etc/fstab
chmod 777 /mnt/p3d
as p3dbert mount /mnt/p3d
eq "$(as p3dbert ls /mnt/p3d/by-name)" '' "jobs of another user"
as p3dbert umount /mnt/p3d

# Not in fstab: mount(8) refuses, pixal3dfs does not need it.
sed -i '/pixal3dfs/d' /etc/fstab
fails 1 'only root|must be superuser|find' as p3danna mount /mnt/p3d
as p3danna /mnt/prefix/bin/pixal3dfs "$GATEWAY" /mnt/p3d
as p3danna umount /mnt/p3d
posts_are 2 "in the end"
await 10 not driver
