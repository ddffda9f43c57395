# limit: 90
# cache_size= bounds the cache while models are read, the oldest go first and an open one never; prefetch fetches what nobody
# has read; what belongs to no job is swept; and output.json has the digest of what was read whole, of every output.
. "$(dirname "$0")/lib.sh"

sandbox_start
control '{"output_bytes": 4000000, "outputs": 2}'
mkdir -p "$T/cache"
touch "$T/cache/9999-0.data" "$T/cache/9999-0.map" "$T/cache/notes.txt"
driver_start cache_size=20M
await 10 test ! -e "$T/cache/9999-0.data"
await 10 test ! -e "$T/cache/9999-0.map"
[ -e "$T/cache/notes.txt" ] || fail "what is not ours was swept"

used() { du -s -B1 "$T/cache" | cut -f 1; }
names=(one two three four five)
for name in "${names[@]}"; do
	complete_job "$name"
	for file in "$M/by-name/$name"/output*.glb; do
		digest "$file" >"$T/sum.$name.$(basename "$file")"
		[ "$(used)" -le $((20 * 1024 * 1024)) ] || fail "the cache takes $(used) bytes"
	done
done
for name in "${names[@]}"; do
	job=$M/by-name/$name
	for file in output.glb output-2.glb; do
		known() { json_is "$job/output.json" ".outputs[] | select(.file == \"$file\").sha256" "$(cat "$T/sum.$name.$file")"; }
		await 10 known
	done
	eq "$(jq -r .params.image_url "$job/output.json")" "$(jq -r .image_url "$job/params.json")" "image of $name"
	eq "$(jq -r '.outputs | length' "$job/output.json")" 2 "outputs of $name"
	eq "$(stat -c %s "$job/output.json")" "$(wc -c <"$job/output.json")" "size of output.json"
done
grep -q '  *0%' "$M/by-name/one/progress" || fail "the oldest is still there: $(cat "$M/by-name/one/progress")"
grep -q '100%' "$M/by-name/five/progress" || fail "the newest is gone: $(cat "$M/by-name/five/progress")"

# What was evicted can be read again, and what is open stays.
exec 5<"$M/by-name/five/output.glb"
for name in one two three four; do
	eq "$(digest "$M/by-name/$name/output.glb")" "$(cat "$T/sum.$name.output.glb")" "$name again"
done
grep -q '100% output.glb' "$M/by-name/five/progress" || fail "an open output went"
exec 5<&-
[ "$(used)" -le $((20 * 1024 * 1024)) ] || fail "the cache takes $(used) bytes"

# A bound that is less than one model: it streams.
driver_stop
driver_start cache_size=1M
eq "$(digest "$M/by-name/one/output.glb")" "$(cat "$T/sum.one.output.glb")" "through a cache that is too small"
within_bound() { [ "$(used)" -le $((1024 * 1024)) ]; }
await 10 within_bound

# Fetched before anybody reads.
driver_stop
driver_start prefetch,cache_size=50%
complete_job early
all_there() { [ "$(grep -c '100%' "$M/by-name/early/progress")" = 2 ]; }
await 20 all_there

# Cut short by an unmount, and gone on with by the next driver, though nobody reads.
hold cdn.received
complete_job late
arrived cdn.received
driver_stop
release cdn.received
driver_start prefetch,cache_size=50%
late_is_there() { [ "$(grep -c '100%' "$M/by-name/late/progress")" = 2 ]; }
await 20 late_is_there
refuses "$B/pixal3dfs" "$GATEWAY" "$M" -o cache_size=10Q
matches "$(cat "$T/refused")" 'cache_size' "words about a wrong size"
