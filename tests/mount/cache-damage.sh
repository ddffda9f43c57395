# limit: 90
# Rows 27 and 28. A download that kill -9 ends goes on at the next mount and gives the source's digest. A copy on the disk
# that was cut, zeroed or changed while nobody looked is noticed and fetched again; without a network it is an error, never
# wrong bytes. A copy that is only touched is kept.
. "$(dirname "$0")/lib.sh"

sandbox_start
control '{"output_bytes": 8000000}'
driver_start
expect_log 'what is cached is dropped' 'the file is damaged'
complete_job model
F=$M/by-name/model/output.glb
curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/model")"
sum=$(digest "$T/direct.glb")
data=$(echo "$T"/cache/*-0.data)
whole() { json_is "$M/by-name/model/output.json" '.outputs[0].sha256' "$sum"; }
fetched() { ledger cdn_bytes; }

# Row 27: killed in the middle.
control '{"rate": 1000000}'
cat "$F" >"$T/half" 2>"$T/killed" &
reader=$!
data_is_growing() {
	data=$(echo "$T"/cache/*-0.data)
	[ "$(stat -c %b "$data")" -gt 2000 ] && [ "$(recorded)" -gt 0 ]
}
recorded() { awk -F '[- ]' '/^[0-9]+-/ { sum += $2 - $1 } END { print sum + 0 }' "${data%.data}.map"; }
await 20 data_is_growing
driver_kill
wait $reader && fail "a reader got all of it"
control '{"rate": 0}'
missing=$((8000000 - $(recorded)))
driver_start
eq "$(digest "$F")" "$sum" "row 27: digest after kill -9"
taken() { awk '$1 == "bytes" { print $2 }' "$M/stats"; } # the gateway counts late what it sent to the killed one
missing_came() { [ "$(taken)" -ge $missing ]; }
await 10 missing_came
eq "$(taken)" $missing "row 27: bytes fetched, of which the map named none"
await 10 whole

damage() { # how: what is done to the data file of a driver that is stopped
	case $1 in
	truncate) truncate -s 1000 "$data" ;;
	zero) dd if=/dev/zero of="$data" bs=4096 seek=100 count=10 conv=notrunc status=none ;;
	zeroed) truncate -s 0 "$data" && truncate -s 8000000 "$data" ;;
	flip) printf x | dd of="$data" bs=1 seek=5000000 conv=notrunc status=none ;;
	flip-in-secret) # with its times set back
		touch -r "$data" "$T/times"
		printf x | dd of="$data" bs=1 seek=5000000 conv=notrunc status=none
		touch -r "$T/times" "$data"
		;;
	lost) rm "$data" ;;
	esac
}

for how in truncate zero zeroed flip flip-in-secret lost; do
	driver_stop
	damage $how
	before=$(fetched)
	driver_start
	eq "$(digest "$F")" "$sum" "row 28: digest after $how"
	[ $(($(fetched) - before)) -ge 8000000 ] || fail "row 28: $how was not noticed"
	await 10 whole
	await 10 grep -q "^sha256 $sum" "${data%.data}.map"
done

# Nothing of it was damaged: touched, and left by a driver that was killed.
for how in touch kill; do
	[ $how = touch ] && { driver_stop && touch "$data"; }
	[ $how = kill ] && driver_kill
	before=$(fetched)
	driver_start
	eq "$(digest "$F")" "$sum" "digest after $how"
	eq "$(fetched)" "$before" "bytes fetched after $how"
done

# While it is mounted, and nobody has it open.
printf x | dd of="$data" bs=1 seek=5000000 conv=notrunc status=none
python3 -c 'import os, sys; os.posix_fadvise(os.open(sys.argv[1], os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)' "$F"
eq "$(digest "$F")" "$sum" "digest after damage below the mount"

# Without a network: an error, and nothing else.
await 10 grep -q "^sha256 $sum" "${data%.data}.map"
driver_stop
damage flip
expect_log 'could not connect|failed|refused|Connection'
url=$GATEWAY
sandbox_kill
driver_start "" "$url"
if within $((30 * SLOW)) cat "$F" >"$T/got" 2>"$T/refused"; then fail "row 28: a damaged copy was served offline"; fi
matches "$(cat "$T/refused")" 'Input/output error' "row 28: words"
[ ! -s "$T/got" ] || cmp -n "$(stat -c %s "$T/got")" "$T/got" "$T/direct.glb" || fail "row 28: wrong bytes offline"
