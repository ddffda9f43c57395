# Under systemd: readiness, the journal, the units and what becomes of a line in fstab. The units are checked by systemd's own
# tools; they need no running systemd.
. "$(dirname "$0")/lib.sh"

sandbox_start

# Type=notify: ready when it serves and not before, and told when it ends; a journal gets each line's priority.
python3 - "$T/notify" >"$T/notified" <<'END' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(100)
while True:
    text = s.recv(4096).decode()
    mounted = any("pixal3dfs" in line for line in open("/proc/mounts") if os.path.dirname(sys.argv[1]) in line)
    print(text.replace("\n", " "), "mounted" if mounted else "not mounted", flush=True)
    if "STOPPING=1" in text:
        break
END
listener=$!
await 10 test -S "$T/notify"
export NOTIFY_SOCKET=$T/notify
JOURNAL_STREAM=$(stat -c %d:%i "$DRIVER_LOG")
export JOURNAL_STREAM
expect_log '^<[0-7]>'
driver_start
touch "$T/key"
complete_job dog
driver_stop
wait $listener
eq "$(cat "$T/notified")" "READY=1 STATUS=$GATEWAY on $M mounted
STOPPING=1 not mounted" "what the service manager was told"
matches "$(cat "$DRIVER_LOG")" '^<6>the key was read again' "a line of the journal"

# A start that fails is never ready.
JOURNAL_STREAM='' refuses "$B/pixal3dfs" "$GATEWAY" "$M" -f -o "$OPTIONS,budgt=1"
unset NOTIFY_SOCKET JOURNAL_STREAM

generator=/lib/systemd/system-generators/systemd-fstab-generator
if ! command -v systemd-analyze >"$T/which" || [ ! -x $generator ]; then
	skip_row units "no systemd-analyze here"
	exit 0
fi

# The units as they are, but for the place of the program, and for the key's, which this machine lacks.
mkdir "$T/units"
cp "$ROOT"/contrib/systemd/*.*mount "$T/units/"
sed "s|^ExecStart=pixal3dfs|ExecStart=$B/pixal3dfs|" "$ROOT/contrib/systemd/pixal3dfs@.service" \
	>"$T/units/pixal3dfs@mnt-p3d.service"
analyze() { # argument...
	systemd-analyze "$@" >"$T/analyzed" 2>&1 || fail "systemd-analyze $*: $(cat "$T/analyzed")"
	! grep -E "$T/(units|user)" "$T/analyzed" || fail "systemd-analyze $*: $(cat "$T/analyzed")"
}
analyze verify --man=no "$T"/units/*
# 4.0 of 10. What is left is CAP_SYS_ADMIN, the network, and what would hide the mount from others.
analyze security --offline=true --threshold=40 "$T/units/pixal3dfs@mnt-p3d.service"

# The one of users, for their own manager.
mkdir "$T/user"
sed "s|^ExecStart=pixal3dfs|ExecStart=$B/pixal3dfs|" "$ROOT/contrib/systemd/user/pixal3dfs@.service" \
	>"$T/user/pixal3dfs@p3d.service"
XDG_RUNTIME_DIR=$T/user analyze --user verify --man=no "$T/user/pixal3dfs@p3d.service"

# What systemd makes of fstab is what the examples say.
mkdir "$T"/generated "$T"/early "$T"/late
becomes() { # unit line-of-the-unit...
	local unit=$1 line
	shift
	for line; do
		grep -qxF "$line" "$T/generated/$unit" || fail "no $line in $unit: $(cat "$T/generated/$unit")"
	done
}
echo 'pixal3d /mnt/p3d pixal3dfs key_file=/etc/pixal3dfs/key,allow_other,_netdev,nofail,x-systemd.automount 0 0' >"$T/fstab"
SYSTEMD_FSTAB=$T/fstab $generator "$T/generated" "$T/early" "$T/late" 2>"$T/generator" ||
	fail "the generator: $(cat "$T/generator")"
becomes mnt-p3d.mount What=pixal3d Where=/mnt/p3d Type=pixal3dfs
becomes mnt-p3d.automount Where=/mnt/p3d
[ -e "$T/generated/remote-fs.target.requires/mnt-p3d.automount" ] || [ -e "$T/generated/remote-fs.target.wants/mnt-p3d.automount" ] ||
	fail "not part of remote-fs.target: $(find "$T/generated")"
for unit in mnt-p3d.mount mnt-p3d.automount; do
	grep -E '^(What|Where|Type)=' "$T/generated/$unit" | while read -r line; do
		grep -qxF "$line" "$ROOT/contrib/systemd/$unit" || fail "the example $unit lacks $line"
	done
done
