# In the background the driver speaks to the system log, in the words and at the level of log=; until it serves, to the terminal.
#
# In a mount namespace of its own, where /dev is its own, and so is the system log.
if [ ! "${INSIDE-}" ]; then
	if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
		echo "needs root and a private mount namespace, for a system log of its own"
		exit 77
	fi
	INSIDE=1 exec "$(dirname "$0")/../tools/private" -- bash "$0"
fi
. "$(dirname "$0")/lib.sh"

mkdir "$T/dev"
mount -t tmpfs -o mode=755 none "$T/dev"
for node in null:1:3 zero:1:5 random:1:8 urandom:1:9 fuse:10:229; do
	IFS=: read -r name major minor <<<"$node"
	mknod -m 666 "$T/dev/$name" c "$major" "$minor"
done
ln -s /proc/self/fd "$T/dev/fd"
mount --move "$T/dev" /dev

python3 - >"$T/syslog" <<'END' &
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/dev/log")
while True:
    print(s.recv(4096).decode().replace("\0", ""), flush=True)
END
logger=$!
await 10 test -S /dev/log
logged() { # extended-regular-expression
	grep -Eq "$1" "$T/syslog"
}

sandbox_start
background() { # level
	"$B/pixal3dfs" "$GATEWAY" "$M" -o "${OPTIONS%,log=*},log=$1" >"$T/terminal" 2>&1 || fail "$(cat "$T/terminal")"
	DRIVER_PID=$(pgrep -f "pixal3dfs $GATEWAY $M")
}
unmount() {
	local pid=$DRIVER_PID
	DRIVER_PID=
	umount "$M"
	await 10 is_gone "$pid"
}

# <30> is daemon.info.
background info
touch "$T/key"
complete_job dog
await 5 logged '^<30>.* pixal3dfs\[[0-9]+\]: the key was read again'
eq "$(cat "$T/terminal")" '' "what the terminal sees of a mount that serves"
unmount

# Less is less; a warning is a warning.
: >"$T/syslog"
background warn
touch "$T/key"
complete_job cat
chmod 644 "$T/key"
complete_job cow
await 5 logged '^<28>.* key file .*: others may use it'
refuses logged 'the key was read again'
chmod 600 "$T/key"
unmount

# What fails at the start is told to who has started it.
refuses "$B/pixal3dfs" "$GATEWAY" "$T/nowhere" -o "$OPTIONS"
matches "$(cat "$T/refused")" 'nowhere: No such file' "a failing start"
refuses logged nowhere
kill $logger
