# 64 readers that wait for a job and 64 for a CDN that stalls: everybody else is served at once, then
# all of them are.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start passthrough=off # what is read, is read through the driver

complete_job known
cat "$M/by-name/known/output.glb" >"$T/known"
complete_job model
control '{"queue_time": 1000}'
params "$T/dog.json"
cp "$T/dog.json" "$M/new/"
id=$(cat "$M/by-name/dog/request_id")
control '{"faults": [{"at": "cdn", "do": "stall", "times": 0}]}'

for ((i = 0; i < 64; i++)); do
	cat "$M/by-name/dog/wait" >"$T/wait.$i" &
	waiters[i]=$!
	cat "$M/by-name/model/output.glb" >"$T/output.$i" &
	readers[i]=$!
	# Each waits for a page of its own.
	tail -c $((40000 * (i + 1))) "$M/by-name/model/output.glb" >"$T/tail.$i" &
	tails[i]=$!
done
arrived stall
# All of them are inside of a read by now, or will be without anybody's help: the file is open.
all_opened() {
	local pid
	for pid in "${waiters[@]}" "${readers[@]}" "${tails[@]}"; do
		readlink "/proc/$pid"/fd/3 | grep -q "^$M/" || return 1
	done
}
await 20 all_opened

read -r median maximum < <("$B/tools/latency" 200 "$M/$id" "$M/$id/status")
echo "median $median us, maximum $maximum us"
[ "$median" -lt $((50000 * SLOW)) ] || fail "a look takes $median us"
read -r median maximum < <("$B/tools/latency" 50 "$M/" "$M/jobs")
[ "$median" -lt $((50000 * SLOW)) ] || fail "a look at the root takes $median us"

# A model that is here is read, though nothing of it is in the kernel's page cache.
python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)' "$M/by-name/known/output.glb"
within $((5 * SLOW)) cmp "$M/by-name/known/output.glb" "$T/known"

# Work goes on, too.
control '{"queue_time": 0}'
params "$T/fox.json"
within $((5 * SLOW)) cp "$T/fox.json" "$M/new/"
eq "$(within $((10 * SLOW)) cat "$M/by-name/fox/wait")" COMPLETED "a job beside 128 readers"

for pid in "${waiters[@]}" "${readers[@]}"; do
	is_running "$pid" || fail "a reader has ended before there was an answer"
done
advance COMPLETED "$id"
wait "${waiters[@]}" || fail "a waiter has failed"
for ((i = 0; i < 64; i++)); do
	eq "$(cat "$T/wait.$i")" COMPLETED "waiter $i"
done

control '{"faults": []}'
release stall
wait "${readers[@]}" || fail "a reader has failed"
wait "${tails[@]}" || fail "a reader of the end has failed"
curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/model")"
for ((i = 0; i < 64; i++)); do
	cmp "$T/output.$i" "$T/direct.glb" || fail "reader $i got something else"
	tail -c $((40000 * (i + 1))) "$T/direct.glb" | cmp - "$T/tail.$i" || fail "tail $i got something else"
done
once=$(cat "$T/known" "$T/direct.glb" "$T/direct.glb" | wc -c)
[ "$(ledger cdn_bytes)" -lt $((once + (1 << 20))) ] || fail "128 readers fetched $(ledger cdn_bytes) bytes, not $once"
posts_are 4
