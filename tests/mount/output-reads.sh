# What a read costs: the head alone costs the head; a reader that goes on has several parts on their way; one that stops, ends
# them. And what a server cannot do (ranges, HEAD, lengths) costs no more than time.
. "$(dirname "$0")/lib.sh"

MIB=$((1024 * 1024))
size=$((20 * MIB))

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: '
control "{\"output_bytes\": $size}"

new_model() { # name: sets F and U, and makes the object at the CDN
	complete_job "$1"
	F=$M/by-name/$1/output.glb
	U=$(media_url "$M/by-name/$1")
	curl -sSI -o "$T/headers" "$U"
}

cached() {
	getfattr --only-values -n user.pixal3d.cached "$F"
}

# The heads of ten models.
before=$(ledger cdn_bytes)
for i in 0 1 2 3 4 5 6 7 8 9; do
	new_model head-$i
	head -c 4096 "$F" >"$T/head"
	cmp "$T/head" <(curl -sS -r 0-4095 "$U") || fail "another head"
done
arrived cdn.done 20
fetched=$(($(ledger cdn_bytes) - before - 10 * 4096))
[ $fetched -le $((10 * 262144)) ] || fail "ten heads of 4 KiB fetched $fetched bytes"

# One part stalls, and those behind it come all the same.
new_model parts
control "{\"rate\": 4000000, \"faults\": [{\"at\": \"cdn\", \"do\": \"stall_after\", \"offset\": $((size / 4)), \"times\": 0}]}"
cat "$F" >"$T/got" &
reader=$!
arrived stall
most_came() {
	[ "$(cached)" -ge $((size * 7 / 10)) ]
}
await 20 most_came
[ "$(stat -c %s "$T/got")" -le $((size / 4)) ] || fail "the reader has bytes that did not come"
control '{"rate": 0, "faults": []}'
release stall
wait $reader
curl -sS -o "$T/direct" "$U"
cmp "$T/got" "$T/direct" || fail "the parts make another model"

# Ctrl-C: the reader is gone, and so is what nobody waits for.
new_model stopped
control '{"rate": 300000}'
env --default-signal=INT cat "$F" >"$T/got" 2>"$T/refused" &
reader=$!
begun() {
	[ "$(cached)" -ge $MIB ]
}
await 20 begun
kill -INT $reader
await 2 is_gone $reader
without_transfers() {
	[ -z "$(ss -Htn state established "sport = :${CDN##*:}" | awk '$1 > 0 || $2 > 0')" ]
}
await 5 without_transfers
at=$(cached)
[ "$at" -lt $((size / 2)) ] || fail "$at bytes came for a reader that stopped at once"
control '{"rate": 0}'
curl -sS -o "$T/direct" "$U"
cmp "$F" "$T/direct" || fail "what came before and what came later make another model"

# No HEAD, no ranges, no lengths: the size is found out, and everybody sees the same one.
control '{"faults": [{"at": "head", "do": "http", "status": 405, "times": 0}, {"at": "cdn", "do": "no_length", "bytes": 0, "times": 0}]}'
new_model bare
eq "$(stat -c %s "$F")" $size "a size that nobody told"
fired cdn.no_length
python3 - "$F" >"$T/digests" <<'END'
import hashlib, mmap, os, socket, sys
f = open(sys.argv[1], "rb")
size = os.fstat(f.fileno()).st_size
print(hashlib.sha256(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)).hexdigest())
out = os.memfd_create("copy")
sent = 0
while sent < size:
    sent += os.sendfile(out, f.fileno(), sent, size - sent)
print(hashlib.sha256(os.pread(out, size, 0)).hexdigest())
print(hashlib.sha256(f.read()).hexdigest())
END
sum=$(curl -sS "$U" | sha256sum | cut -d ' ' -f 1)
eq "$(sort -u "$T/digests")" "$sum" "digests by mmap, sendfile and read"
cmp <(tail -c 100000 "$F") <(curl -sS "$U" | tail -c 100000) || fail "another tail"
control '{"faults": []}'

# And one that breaks off without having told a length: its file's own tells.
control '{"faults": [{"at": "head", "do": "no_length", "times": 0}, {"at": "cdn", "do": "no_length", "bytes": 500000, "times": 0}]}'
new_model short
eq "$(stat -c %s "$F")" $size "the size of what breaks off"
refuses cat "$F"
matches "$(cat "$T/refused")" 'Input/output error' "a body that breaks off: words"
control '{"faults": []}'
curl -sS -o "$T/direct" "$U"
await 20 cmp "$F" "$T/direct"

# A size that cannot be had: there is no file, until there is.
control '{"faults": [{"at": "head", "do": "http", "status": 503, "times": 0}]}'
params "$T/unknown.json"
cp "$T/unknown.json" "$M/new/"
eq "$(within $((30 * SLOW)) cat "$M/by-name/unknown/wait")" COMPLETED "wait without a size"
[ ! -e "$M/by-name/unknown/output.glb" ] || fail "a file without a size"
matches "$(cat "$M/by-name/unknown/error")" 'size' "why there is no file"
control '{"faults": []}'
await 20 test -e "$M/by-name/unknown/output.glb"
eq "$(stat -L -c %s "$M/by-name/unknown/output.glb")" $size "the size, once it is known"
