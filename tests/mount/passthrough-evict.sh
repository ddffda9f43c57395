# A model that the kernel reads by itself stays in a cache that is full for as long as it is open, and is the next to go, and the
# next to be fetched, when it is not.
. "$(dirname "$0")/lib.sh"
expect_log '^fuse: passthrough' # a newer libfuse says itself what the kernel refuses
[ "$(id -u)" = 0 ] || skip "needs root"
[ "$(printf '%s\n' 6.9 "$(uname -r)" | sort -V | head -n 1)" = 6.9 ] || skip "needs Linux 6.9"

sandbox_start
control '{"output_bytes": 4000000}'
driver_start cache_size=9M # two of them
F=$M/by-name/first/output.glb
complete_job first
curl -sS -o "$T/first.glb" "$(media_url "$M/by-name/first")"
cmp "$F" "$T/first.glb"
data=$(echo "$T"/cache/*-0.data)
without_driver() { # it is read while the driver is stopped
	local status=0
	timeout $((3 * SLOW)) python3 "$ROOT/tests/tools/ways.py" "$F" "$T/first.glb" "$DRIVER_PID" || status=$?
	kill -CONT "$DRIVER_PID"
	return $status
}
await 10 without_driver
evictions() { grep -c 'leaves the cache' "$DRIVER_LOG" || :; }

exec 5<"$F"
for name in second third fourth; do
	complete_job $name
	cat "$M/by-name/$name/output.glb" >"$T/$name.glb"
	curl -sS "$(media_url "$M/by-name/$name")" | cmp - "$T/$name.glb"
done
[ "$(evictions)" -ge 2 ] || fail "nothing had to go"
[ -e "$data" ] || fail "an open model left the cache"
kill -STOP "$DRIVER_PID"
timeout $((3 * SLOW)) python3 -c 'import os, sys; assert os.pread(5, 1 << 23, 0) == open(sys.argv[1], "rb").read()' "$T/first.glb" ||
	{ kill -CONT "$DRIVER_PID" && fail "an open model cannot be read without the driver"; }
kill -CONT "$DRIVER_PID"
requests=$(ledger cdn_requests)
cmp "$F" "$T/first.glb"
eq "$(ledger cdn_requests)" "$requests" "requests for an open model"

# A mapping counts as open; when that is gone, it is the one that was used the longest ago.
exec 5<&-
complete_job fifth
python3 - "$F" "$T/first.glb" "$M/by-name/fifth/output.glb" "$data" <<'END2'
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
pages, truth = mmap.mmap(fd, 0, prot=mmap.PROT_READ), open(sys.argv[2], "rb").read()
os.close(fd)
assert len(open(sys.argv[3], "rb").read()) == len(truth)
assert os.path.exists(sys.argv[4]) and pages[:] == truth
END2
for name in sixth seventh; do
	complete_job $name
	cat "$M/by-name/$name/output.glb" >"$T/$name.glb"
done
await 10 test ! -e "$data"
cmp "$F" "$T/first.glb"
[ "$(ledger cdn_requests)" -gt "$requests" ] || fail "read again, and nothing was fetched"
await 10 without_driver
