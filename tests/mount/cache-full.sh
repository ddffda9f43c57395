# limit: 90
# Row 29: the cache's disk is full. What is read comes through, whole, at random places, by mmap; what is submitted is
# submitted; and when there is room again it is cached again.
. "$(dirname "$0")/lib.sh"

mkdir -p "$T/cache"
mount -t tmpfs -o size=3m tmpfs "$T/cache" 2>"$T/refused" || skip "no tmpfs here: $(cat "$T/refused")"
unmount_cache() { umount "$T/cache"; }

size=$((20 * 1024 * 1024))
sandbox_start
control "{\"output_bytes\": $size}"
expect_log 'takes no more; what is read goes past it: No space left' 'cannot save which bytes .*: No space left'
driver_start
complete_job model
F=$M/by-name/model/output.glb
curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/model")"

cmp "$F" "$T/direct.glb" || fail "other bytes past a full disk"
grep -q 'No space left' "$DRIVER_LOG" || fail "the disk was not full"
[ "$(df --output=avail -B1 "$T/cache" | tail -n 1)" -lt 200000 ] || fail "the disk has room"
eq "$(stat -c %s "$F")" $size "size"

python3 - "$F" "$T/direct.glb" <<'END'
import mmap, os, random, sys
random.seed(int(os.environ.get("SEED", "7")))
fd, want = os.open(sys.argv[1], os.O_RDONLY), open(sys.argv[2], "rb").read()
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
for _ in range(60):
    at, size = random.randrange(len(want)), random.randrange(1, 200000)
    assert os.pread(fd, size, at) == want[at:at + size], at
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
pages = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
for _ in range(60):
    at = random.randrange(len(want))
    assert pages[at:at + 5000] == want[at:at + 5000], at
END

# Readers at once, and little memory for all of them.
for i in 1 2 3 4 5 6 7 8; do
	cmp "$F" "$T/direct.glb" >"$T/cmp.$i" 2>&1 &
	readers[i]=$!
done
for i in 1 2 3 4 5 6 7 8; do
	wait "${readers[i]}" || fail "reader $i: $(cat "$T/cmp.$i")"
done
[ "$SLOW" -gt 1 ] || [ "$(awk '/^VmHWM:/ { print $2 }' "/proc/$DRIVER_PID/status")" -lt 65536 ] ||
	fail "memory: $(grep VmHWM "/proc/$DRIVER_PID/status")"

# Money is spent as before.
complete_job another
posts_are 2
eq "$(cat "$M/by-name/another/status")" COMPLETED "a job while the cache is full"
eq "$(df --output=size -B1 "$M" | tail -n 1)" "$(df --output=size -B1 "$T/cache" | tail -n 1)" "the mount's size by df"
eq "$(df --output=avail -B1 "$M" | tail -n 1)" "$(df --output=avail -B1 "$T/cache" | tail -n 1)" "what df has left"

# Room again: what is read now stays.
mount -o remount,size=64m "$T/cache"
cached() {
	cat "$F" >"$T/got"
	grep -q " 100% " "$M/by-name/model/progress"
}
drop() { python3 -c 'import os, sys; os.posix_fadvise(os.open(sys.argv[1], os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)' "$F"; }
again() { drop && cached; }
await 20 again
sha_is_there() { json_is "$M/by-name/model/output.json" '.outputs[0].sha256' "$(digest "$T/direct.glb")"; }
await 10 sha_is_there
driver_stop
unmount_cache
