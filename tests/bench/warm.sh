#!/bin/bash
# tests/bench/warm.sh - a model of 64 MiB that is whole in our cache, read again
. "$(dirname "$0")/lib.sh"

warm_of() { # subject round file
	step 60 "$RD" seq- "$3" | note warm "$1" "$2"
	step 60 "$RD" rand- "$3" | note warm "$1" "$2"
	step 60 cat "$3" >/dev/null
	step 60 "$RD" seq "$3" | note hot "$1" "$2"
	step 60 "$RD" rand "$3" | note hot "$1" "$2"
}

warm() {
	local r
	[ -z "$MINFS" ] || minfs_up "n=1,copy,big=$T/www/model.glb"
	for ((r = 0; r <= ROUNDS; r++)); do
		step 60 cat "$T/www/model.glb" >/dev/null
		warm_of ours $r "$(big model)"
		[ -z "$MINFS" ] || warm_of minfs $r "$T/minfs/big.glb"
		# No FUSE: its pages are all there is, and stay.
		{
			step 60 "$RD" seq "$T/www/model.glb"
			step 60 "$RD" rand "$T/www/model.glb"
		} >"$T/disk"
		note warm disk $r <"$T/disk"
		note hot disk $r <"$T/disk"
	done
	[ -z "$MINFS" ] || minfs_down
}

sandbox_start
driver_start
control "{\"output_bytes\": $SIZE}"
submit_big model
step 60 cp "$(big model)" "$T/www/model.glb"
warm

table
row "read again, hot, MiB/s" hot.mib_s disk "$disk"
row "" hot.mib_s minfs minfs
row "read again, hot, 4 KiB at random, 1/s" hot.iops disk "$disk"
row "" hot.iops minfs minfs
row "read from our cache, MiB/s" warm.mib_s disk "$disk, hot; >= 0.95 with passthrough"
row "" warm.mib_s minfs 'minfs; >= 0.95'
row "read from our cache, 4 KiB at random, 1/s" warm.iops disk "$disk, hot; >= 0.85 with passthrough"
row "" warm.iops minfs 'minfs; >= 0.95'
