# limit: 120
# A reader sees one version of a file or an error, never a mix: reads at random places, whole and by mmap, compared with the
# original, while the CDN fails, copies are evicted and damaged, and drivers are killed. SEED=N begins elsewhere, ROUNDS=N
# goes on longer (3).
. "$(dirname "$0")/lib.sh"

SEED=${SEED:-11}
ROUNDS=${ROUNDS:-3}
RANDOM=$SEED
echo "SEED=$SEED ROUNDS=$ROUNDS"
expect_log '^pixal3dfs: (warn|error): '
sandbox_start
control '{"output_bytes": 3000000}'
driver_start
names=(one two three)
for name in "${names[@]}"; do
	complete_job "$name"
	curl -sS -o "$T/$name.glb" "$(media_url "$M/by-name/$name")"
done

cat >"$T/read.py" <<'END'
import os, random, sys, time
seed, until, mount, originals = int(sys.argv[1]), time.time() + float(sys.argv[2]), sys.argv[3], sys.argv[4]
rng = random.Random(seed)
want = {n: open(f"{originals}/{n}.glb", "rb").read() for n in ("one", "two", "three")}
good = errors = 0

def one(name):
    path, data = f"{mount}/by-name/{name}/output.glb", want[name]
    fd = os.open(path, os.O_RDONLY)
    try:
        assert os.fstat(fd).st_size == len(data), "size"
        if rng.random() < 0.3:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        how, at, size = rng.randrange(4), rng.randrange(len(data)), rng.randrange(1, 300000)
        if how == 0:
            got = b""
            while len(got) < len(data):
                part = os.read(fd, 131072)
                assert part, "a short file"
                got += part
            assert got == data, "whole"
        else:
            # What came before the first byte that failed is given, and the error to who reads on.
            end = min(at + size, len(data))
            while at < end:
                part = os.pread(fd, end - at, at)
                assert part and part == data[at:at + len(part)], at
                at += len(part)
    finally:
        os.close(fd)

while time.time() < until:
    try:
        one(rng.choice(list(want)))
        good += 1
    except OSError:
        errors += 1
        time.sleep(0.01)
print(good, errors)
END

# Pages that cannot be had are SIGBUS, so the mapping has a process of its own.
cat >"$T/map.py" <<'END'
import mmap, os, random, sys
rng = random.Random(int(sys.argv[1]))
try:
    fd = os.open(sys.argv[2], os.O_RDONLY)
except OSError:
    sys.exit(0)
data, pages = open(sys.argv[3], "rb").read(), mmap.mmap(fd, 0, prot=mmap.PROT_READ)
for _ in range(40):
    at = rng.randrange(len(data))
    if pages[at:at + 9000] != data[at:at + 9000]:
        sys.exit(1)
END

faults=('"do": "close"' '"do": "reset"' '"do": "close_after", "bytes": 100000' '"do": "http", "status": 500'
	'"do": "corrupt", "offset": 0' '"do": "no_range"' '"do": "short", "bytes": 50000' '"do": "wrong_range"')
sizes=("" cache_size=4M cache_size=1M cache_size=7M)
injected=0 kills=0 good=0 failed=0

round() { # N
	local readers=() i file
	for i in 1 2; do
		python3 "$T/read.py" $((SEED * 1000 + $1 * 10 + i)) 1 "$M" "$T" >"$T/reader.$i" 2>&1 &
		readers+=($!)
	done
	for i in 1 2 3 4; do
		control "{\"faults\": [{\"at\": \"cdn\", \"name\": \"random\", ${faults[RANDOM % ${#faults[@]}]}}]}"
		file=${names[RANDOM % 3]}
		python3 "$T/map.py" $((RANDOM)) "$M/by-name/$file/output.glb" "$T/$file.glb" 2>"$T/bus" || [ $? -eq 135 ] ||
			fail "round $1: other bytes by mmap of $file"
		injected=$((injected + 1))
	done
	if ((RANDOM % 2)); then
		driver_kill
		kills=$((kills + 1))
	fi
	for i in 1 2; do
		wait "${readers[i - 1]}" || fail "round $1, reader $i: $(cat "$T/reader.$i")"
		good=$((good + $(cut -d ' ' -f 1 "$T/reader.$i"))) failed=$((failed + $(cut -d ' ' -f 2 "$T/reader.$i")))
	done
}

for ((n = 1; n <= ROUNDS; n++)); do
	round $n
	driver_stop
	for data in "$T"/cache/*.data; do # a bit of one of them
		((RANDOM % 3)) || printf x | dd of="$data" bs=1 seek=$((RANDOM * 60)) conv=notrunc status=none
	done
	driver_start "${sizes[n % ${#sizes[@]}]}"
done
[ "$kills" -gt 0 ] || { driver_kill && driver_start cache_size=4M && kills=1; }
control '{"faults": []}'
for name in "${names[@]}"; do
	await 20 cmp "$M/by-name/$name/output.glb" "$T/$name.glb"
done
fired=$(ledger 'faults_fired["random"] // 0')
evicted=$(grep -c 'leaves the cache' "$DRIVER_LOG") || :
echo "$good reads right, $failed failed; $fired of $injected faults fired, $kills kills, $evicted evictions"
[ "$fired" -gt 0 ] || fail "no fault has fired"
[ "$evicted" -gt 0 ] || fail "nothing was evicted"
[ "$good" -gt 0 ] || fail "nothing was read"
