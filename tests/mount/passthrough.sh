# A whole model is read by the kernel itself, without the driver, where the kernel can; everywhere, and
# however the two ways of reading meet, the bytes are the same and nothing fails.
. "$(dirname "$0")/lib.sh"
expect_log '^fuse: passthrough' # a newer libfuse says itself what the kernel refuses

MIB=$((1 << 20))
sandbox_start
control "{\"output_bytes\": $((5 * MIB + 124))}"

# Is F read without the driver? A handle that was closed a moment ago may still count.
without_driver() {
	local status=0
	timeout $((3 * SLOW)) python3 "$ROOT/tests/tools/ways.py" "$F" "$TRUTH" "$DRIVER_PID" || status=$?
	kill -CONT "$DRIVER_PID"
	return $status
}

driver_holds() { # pattern: a file that the driver has open
	readlink "/proc/$DRIVER_PID"/fd/* | grep -q "$1"
}

driver_holds_none() {
	! driver_holds "$1"
}

can_pass() {
	[ "$(id -u)" = 0 ] && [ "$(printf '%s\n' 6.9 "$(uname -r)" | sort -V | head -n 1)" = 6.9 ]
}

# --- through the driver alone

driver_start passthrough=off
model off
ways
ways
if timeout 1 python3 "$ROOT/tests/tools/ways.py" "$F" "$TRUTH" "$DRIVER_PID"; then
	fail "passthrough=off, and it is read without the driver"
fi
kill -CONT "$DRIVER_PID"
ways
driver_stop

# --- by the kernel

driver_start
ways
if can_pass; then
	await 10 without_driver
	driver_holds cache/.*data && fail "the driver holds what nobody reads"
else
	skip_row "passthrough" "needs root and Linux 6.9"
fi

# Cold: the one who begins the download reads through the driver, and so does everybody until he is
# gone; then the kernel reads.
model mixed
control '{"faults": [{"at": "cdn", "do": "stall_after", "offset": 1000000}]}'
exec 5<"$F"
cat <&5 >"$T/first" &
first=$!
arrived stall
exec 6<"$F"
cat <&6 >"$T/second" &
second=$!
control '{"faults": []}'
release stall
wait $first $second
cmp "$T/first" "$TRUTH"
cmp "$T/second" "$TRUTH"
exec 6<&-
ways
cat "$F" >"$T/third"
cmp "$T/third" "$TRUTH"
exec 5<&-
can_pass && await 10 without_driver
exec 5<"$F"
ways
exec 6<"$F"
exec 5<&-
ways
exec 6<&-

# Many at once, in and out: whatever way each of them gets, it is open and has the bytes.
model crowd
cat >"$T/crowd.py" <<'END'
import os, random, sys
path, truth, seed = sys.argv[1], open(sys.argv[2], "rb").read(), int(sys.argv[3])
chance = random.Random(seed)
for _ in range(150):
    fd = os.open(path, os.O_RDONLY)
    at = chance.randrange(len(truth))
    assert os.pread(fd, 5000, at) == truth[at : at + 5000]
    os.close(fd)
END
crowd=()
for i in 1 2 3 4 5 6; do
	python3 "$T/crowd.py" "$F" "$TRUTH" $i &
	crowd+=($!)
done
for pid in "${crowd[@]}"; do
	wait "$pid" || fail "one of the crowd has failed"
done

# rm -r under a reader: it has the whole model to the end, and then nothing is left of it.
cat "$F" >"$T/got"
exec 5<"$F"
head -c 1000 <&5 >"$T/begun"
rm -r "$(readlink -f "$M/by-name/crowd")"
[ ! -e "$F" ] || fail "forgotten, and still there"
cat <&5 >"$T/rest"
cat "$T/begun" "$T/rest" | cmp - "$TRUTH"
driver_holds '(deleted)' || fail "the driver does not hold what is being read"
exec 5<&-
await 10 driver_holds_none '(deleted)'

# The driver dies under a reader: what the kernel reads by itself goes on.
model killed
cat "$F" >"$T/got"
can_pass && await 10 without_driver
exec 5<"$F"
driver_kill
if can_pass; then
	python3 -c 'import os, sys
truth = open(sys.argv[1], "rb").read()
assert os.pread(5, len(truth) + 1, 0) == truth' "$TRUTH"
fi
exec 5<&-
driver_start
ways
can_pass && await 10 without_driver


