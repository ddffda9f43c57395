# `stats` counts what was done, as the service has counted it too.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start

stat_of() { # name
	awk -v name="$1" '$1 == name { print $2 }' "$M/stats"
}

for name in submissions polls heads fetches bytes reads waits callbacks refused; do
	eq "$(stat_of $name)" 0 "$name of a mount that has done nothing"
done
complete_job dog
eq "$(stat_of submissions)" "$(ledger posts)" "submissions"
eq "$(stat_of polls)" "$(ledger polls)" "polls"
eq "$(stat_of heads)" "$(ledger heads)" "heads"
eq "$(stat_of fetches)" 0 "fetches before the model was read"

# The first reading comes from the network, all of it, the second one asks it nothing.
size=$(stat -L -c %s "$M/by-name/dog/output.glb")
cat "$M/by-name/dog/output.glb" >"$T/dog.glb"
fetched() {
	[ "$(stat_of fetches)" -ge 1 ] && [ "$(stat_of bytes)" -ge "$size" ]
}
await 10 fetched
[ "$(stat_of reads)" -gt 0 ] || fail "no read is counted"
[ "$(stat_of waits)" -gt 0 ] || fail "a model came from the network, and nobody has waited"
waits=$(stat_of waits) bytes=$(stat_of bytes) requests=$(ledger cdn_requests)
cmp "$T/dog.glb" "$M/by-name/dog/output.glb"
head -c 1000000 "$M/by-name/dog/output.glb" | cmp -n 1000000 - "$T/dog.glb"
eq "$(stat_of waits)" "$waits" "waits for what is on disk"
eq "$(stat_of bytes)" "$bytes" "bytes that were fetched for what is on disk"
eq "$(ledger cdn_requests)" "$requests" "requests for what is on disk"
