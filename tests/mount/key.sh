# The key goes to the gateway and is nowhere else: not in /proc, the mount, the books, the cache, the log,
# a core, a child, a system call for anybody else.
. "$(dirname "$0")/lib.sh"

sandbox_start --queue-time 1000
expect_log '^pixal3dfs: warn: ' '^pixal3dfs: (info|debug)'

absent() { # what file...
	grep -qa . "${@:2}" || fail "$1: nothing to look at"
	if grep -qaF -- "$KEY" "${@:2}"; then
		fail "the key is in $1"
	fi
}

# By the environment, as mount(8) passes it. What /proc shows of others is seen by this check.
PIXAZO_API_KEY=$KEY sleep 1000 &
other=$!
await 5 grep -qaF "$KEY" /proc/$other/environ
kill $other
OPTIONS=${OPTIONS/key_file=*\/key,/},log=debug PIXAZO_API_KEY=$KEY driver_start
absent "the environment" /proc/$DRIVER_PID/environ
absent "the command line" /proc/$DRIVER_PID/cmdline
absent "the mount table" /proc/self/mountinfo
eq "$(sed -n 's/^Max core file size *//p' /proc/$DRIVER_PID/limits | tr -s ' ')" '0 0 bytes ' "its core dumps"
# Its one child makes events for inotify, and has the key nowhere in its memory.
for child in $(pgrep -P "$DRIVER_PID"); do
	eq "$(cat "/proc/$child/comm")" pixal3dfs-touch "a child"
	absent "the child's environment" "/proc/$child/environ"
	# A sanitizer keeps a copy of the environment that it started in.
	[ "$SLOW" = 1 ] || continue
	python3 - "$child" "$KEY" <<-'END' || fail "the key is in the child's memory"
		import sys
		pid, key = sys.argv[1:]
		mem = open(f"/proc/{pid}/mem", "rb", buffering=0)
		seen = 0
		for line in open(f"/proc/{pid}/maps"):
		    span, mode = line.split()[:2]
		    if mode[0] != "r" or "[v" in line:
		        continue
		    start, end = (int(x, 16) for x in span.split("-"))
		    mem.seek(start)
		    part = mem.read(end - start)
		    seen += len(part)
		    if key.encode() in part:
		        sys.exit(1)
		sys.exit(seen < 100000)
	END
done

# The one place where it is wanted, and system calls that give it to any other.
traced=
if strace -V >"$T/strace-version" 2>&1; then
	strace -f -yy -s 65536 -e trace=sendto,sendmsg,write,writev,pwrite64,connect,execve,openat \
		-o "$T/strace" -p "$DRIVER_PID" 2>"$T/attached" &
	tracer=$!
	await 10 grep -q attached "$T/attached"
	traced=1
else
	skip_row "system calls" "no strace here"
fi

mkdir "$M/job"
echo https://images.example/job.png >"$M/job/image_url"
advance COMPLETED
eq "$(within $((30 * SLOW)) cat "$M/job/wait")" COMPLETED "wait"
await 10 test -s "$M/job/output.glb"
cat "$M/job/output.glb" >"$T/model.glb"

# A service that repeats the key, wherever it can.
control "{\"faults\": [{\"at\": \"submit\", \"do\": \"http\", \"status\": 400, \"name\": \"echo\",
	\"body\": {\"error\": \"Bad key $KEY\", \"$KEY\": \"$KEY$KEY\"}}]}"
mkdir "$M/refused"
refuses bash -c "echo https://images.example/r.png >$M/refused/image_url"
fired echo
matches "$(cat "$M/refused/error")" 'Bad key \*\*\*\*' "the service's words without the key"
control "{\"faults\": [
	{\"at\": \"submit\", \"do\": \"answer\", \"name\": \"echo-2\",
	 \"set\": {\"polling_url\": \"%GATEWAY%/v2/requests/status/%ID%?key=$KEY\", \"note\": \"$KEY\"}},
	{\"at\": \"status\", \"do\": \"answer\", \"name\": \"echo-3\", \"times\": 0,
	 \"set\": {\"status\": \"FAILED\", \"error\": \"for $KEY\", \"output\": null}}]}"
mkdir "$M/echoed"
echo https://images.example/e.png >"$M/echoed/image_url"
eq "$(within $((30 * SLOW)) cat "$M/echoed/wait")" FAILED "wait of a job whose answers have the key"
fired echo-2
[ "$(ledger 'faults_fired["echo-3"]')" -ge 1 ] || fail "no status answer had the key"
matches "$(cat "$M/echoed/error")" 'for \*\*\*\*' "its reason without the key"

if [ "$traced" ]; then
	kill -INT "$tracer"
	wait "$tracer" 2>/dev/null || :
	port=${GATEWAY##*:}
	grep -aF -- "$KEY" "$T/strace" >"$T/calls"
	grep -qaE "(send|write).*->127\.0\.0\.1:$port\]" "$T/calls" || fail "no system call sends the key"
	if grep -avE "<TCP:\[[^]]*->127\.0\.0\.1:$port\]>" "$T/calls" >"$T/elsewhere"; then
		fail "system calls with the key: $(cut -c 1-300 "$T/elsewhere")"
	fi
	grep -qaE "\->127\.0\.0\.1:${CDN##*:}\]>" "$T/strace" || fail "the CDN's connection was not seen"
fi

# Every file and directory of the mount, and their attributes.
grep -raF -- "$KEY" "$M" >"$T/in-mount" 2>"$T/unreadable" && fail "in the mount: $(cat "$T/in-mount")"
find "$M" -printf '%p %l\n' >"$T/names"
absent "names and links" "$T/names"
if command -v getfattr >"$T/which"; then
	getfattr -Rd -m - "$M" >"$T/attributes" 2>&1 || :
	absent "extended attributes" "$T/attributes"
fi
driver_stop
for dir in state cache home tmp; do
	if grep -raF -- "$KEY" "$T/$dir" >"$T/found" 2>&1; then
		fail "in $dir: $(cat "$T/found")"
	fi
done

# A sandbox of its own is a child: it has no use for the user's key.
OPTIONS=${OPTIONS/key_file=*\/key,/},state_dir=$T/own PIXAZO_API_KEY=$KEY driver_start "" sandbox
child=$(pgrep -P "$DRIVER_PID" -x pixal3d-sandbox)
for file in environ cmdline; do
	absent "the child's $file" /proc/"$child"/$file
	absent "the driver's $file" /proc/"$DRIVER_PID"/$file
done
driver_stop

# No core, whatever the limits are when it starts; a program that does not care leaves one.
mkdir "$T/cores"
core() { # command...
	python3 "$(dirname "$0")/../tools/core.py" "$T/cores" "$@" 2>>"$DRIVER_LOG"
}
if [ "$(core sleep 100 2>"$T/core-error")" = dumped ]; then
	eq "$(core "$B/pixal3dfs" "$GATEWAY" "$M" -f -o "$OPTIONS,ready_fd=@FD")" none "core of the driver"
	umount -l "$M"
	rm -rf "$T/cores"
else
	skip_row "core" "this system makes no cores"
fi
