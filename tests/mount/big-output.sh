# limit: 180
# A model of 512 MiB: its size is there at once, its end is read without its beginning, and the driver
# stays small.
. "$(dirname "$0")/lib.sh"

size=$((512 * 1024 * 1024))
free=$(df --output=avail -B1 "$T" | tail -n 1)
[ "$free" -gt $((3 * size)) ] || skip "no 1.5 GiB of disk in ${T%/*}"

sandbox_start
driver_start
control "{\"output_bytes\": $size}"
complete_job big
J=$(cd "$M/by-name/big" && pwd -P)
eq "$(stat -c %s "$J/output.glb")" $size "size by stat"
eq "$(ledger cdn_requests)" 0 "requests before anybody read"

resident() { # MiB
	awk '/^VmHWM:/ { print int($2 / 1024) }' "/proc/$DRIVER_PID/status"
}

# The tail first: far less than all of it is fetched.
tail -c 65536 "$J/output.glb" >"$T/tail"
url=$(media_url "$J")
cmp "$T/tail" <(curl -sS -r -65536 "$url") || fail "another tail"
[ "$(ledger cdn_bytes)" -lt $((size / 4)) ] || fail "the tail fetched $(ledger cdn_bytes) bytes"

before=$(ledger cdn_bytes)
sum=$(digest "$J/output.glb")
fetched=$(($(ledger cdn_bytes) - before))
[ $fetched -le $size ] || fail "a model of $size bytes fetched $fetched"
eq "$(curl -sS "$url" | sha256sum | cut -d ' ' -f 1)" "$sum" "the digest"
echo "resident at most $(resident) MiB"
[ "$SLOW" -gt 1 ] || [ "$(resident)" -lt 100 ] || fail "the driver has grown to $(resident) MiB"

# kill -9 now: it is whole on the disk.
before=$(ledger cdn_bytes)
driver_kill
driver_start
eq "$(digest "$J/output.glb")" "$sum" "the digest after kill -9"
eq "$(ledger cdn_bytes)" "$before" "bytes fetched again after kill -9"
