# The runner itself: what fails, leaks or hangs is reported so, and nothing of it stays behind.
# shellcheck disable=SC2016
set -Eeuo pipefail
trap 'echo "line $LINENO: $BASH_COMMAND"; cat "$T/out"' ERR

suite=$T/suite
mkdir -p "$suite/self" "$suite/mount"
write() { # name script: a test of the suite
	printf '%s\n' "$2" >"$suite/self/$1.sh"
}
# Runs the suite's test NAME; its status and closing line are what is given.
expect() { # status closing-line name
	local status=0
	TESTS=$suite "$ROOT/tests/run" "$3" >"$T/out" 2>&1 || status=$?
	[ "$status" = "$1" ]
	[ "$(tail -n 1 "$T/out")" = "$2" ]
}

write good 'true'
expect 0 '1 passed, 0 failed, 0 skipped' good
grep -Eq '^PASS self/good \([0-9]+\.[0-9]\)$' "$T/out"

write bad 'echo the reason; exit 3'
expect 1 '0 passed, 1 failed, 0 skipped' bad
grep -Eq '^FAIL self/bad \(' "$T/out"
grep -q 'the reason' "$T/out"

write skip 'echo no such thing here; exit 77'
expect 0 '0 passed, 0 failed, 1 skipped' skip
grep -q '^SKIP self/skip .*: no such thing here$' "$T/out"

write rows 'echo "one row: no such client" >>"$T/skipped"'
expect 0 '1 passed, 0 failed, 1 skipped' rows
grep -q '^SKIP self/rows: one row: no such client$' "$T/out"

# A process that escaped from its session and parent is found, named, and ended.
write leak 'setsid sleep 987 & exit 0'
expect 1 '0 passed, 1 failed, 0 skipped' leak
grep -q 'left running: [0-9]* sleep 987' "$T/out"
pid=$(sed -n 's/.*left running: \([0-9]*\) sleep 987.*/\1/p' "$T/out")
[ ! -e "/proc/$pid" ]

# A test that hangs is ended with what it started.
write hang '# limit: 1
sleep 986 & wait'
expect 1 '0 passed, 1 failed, 0 skipped' hang
grep -q 'took longer than its limit' "$T/out"

# A failing command in the middle of a library test is a failure.
write set_e '. "$ROOT/tests/mount/lib.sh"; false; exit 0'
expect 1 '0 passed, 1 failed, 0 skipped' set_e

# What a sanitizer has written fails a test that ended well.
write sanitized 'echo "ERROR: something" >"$T/san/asan.1"'
expect 1 '0 passed, 1 failed, 0 skipped' sanitized
grep -q 'ERROR: something' "$T/out"

status=0
TESTS=$suite "$ROOT/tests/run" no-such-test >"$T/out" 2>&1 || status=$?
[ $status = 2 ]

# A mount that is left is a failure and is unmounted.
if [ "$(id -u)" = 0 ] && mount -t tmpfs none "$T/tmp" 2>/dev/null; then
	umount "$T/tmp"
	write mount 'mkdir "$T/m" && mount -t tmpfs none "$T/m"'
	expect 1 '0 passed, 1 failed, 0 skipped' mount
	left=$(sed -n 's/.*left mounted: //p' "$T/out")
	[ "$left" ]
	if grep -qF " $left " /proc/self/mountinfo; then false; fi
else
	echo "a leaked mount: may not mount here" >>"$T/skipped"
fi

# A machine without FUSE skips the mount tests, and says so.
printf '%s\n' 'exit 1' >"$suite/mount/any.sh"
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	TESTS=$suite "$ROOT/tests/tools/private" -- bash -c 'mount --bind /dev/null /dev/fuse && exec "$ROOT/tests/run" any' >"$T/out" 2>&1
	grep -q '^!!! No usable FUSE on this machine' "$T/out"
	grep -q '^SKIP mount/any .*: no FUSE here: ' "$T/out"
	[ "$(tail -n 1 "$T/out")" = '0 passed, 0 failed, 1 skipped' ]
else
	echo "a machine without FUSE: no private mount namespace" >>"$T/skipped"
fi
