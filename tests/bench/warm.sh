#!/bin/bash
# tests/bench/warm.sh - a model of 64 MiB that is whole in our cache, read again: by the kernel itself
# (passthrough), against the file in our cache itself (a copy may lie in larger pieces in the page cache,
# which reads faster); and through the driver, against minfs.
#
# "Anew": the pages that the kernel keeps of this file are dropped before; those of the file behind it
# stay. On a disk that would be all there is, so that the disk is always hot. With passthrough there are
# no pages but the disk's.
. "$(dirname "$0")/lib.sh"

WAYS=(seq rand mmapseq)

measure() { # workload subject round file [-]
	local way
	for way in "${WAYS[@]}"; do
		step 60 "$RD" "$way${5-}" "$4" | note "$1-$way" "$2" "$3"
	done
}

# In one run, in turns. A disk is always hot.
turn() { # round subject file
	step 60 cat "$3" >/dev/null
	if [ "$2" = disk ]; then
		measure hot disk "$1" "$3"
		measure anew disk "$1" "$3"
	else
		measure anew "$2" "$1" "$3" -
		step 60 cat "$3" >/dev/null
		measure hot "$2" "$1" "$3"
	fi
}

rounds() { # subject file subject file
	local r
	for ((r = 0; r <= ROUNDS; r++)); do
		turn $r "$1" "$2"
		turn $r "$3" "$4"
	done
}

# The rows of a run, whose yardstick is the last subject.
rows() { # yardstick words targets: sequential, random, mmap
	local state
	for state in hot anew; do
		row "read $state, MiB/s" $state-seq.mib_s "$1" "$2; >= $3"
		row "read $state, 4 KiB at random, 1/s" $state-rand.iops "$1" "$2; >= $4"
		row "read $state, mmap, MiB/s" $state-mmapseq.mib_s "$1" "$2; >= $5"
	done
}

sandbox_start
driver_start
control "{\"output_bytes\": $SIZE}"
submit_big model
step 60 cat "$(big model)" >/dev/null
copy=$(find "$T/cache" -name '*.data')
rounds ours "$(big model)" disk "$copy"
driver_stop
table
echo "by the kernel, passthrough=auto ($(id -un), Linux $(uname -r)):"
rows disk "$disk" 0.95 0.85 0.95

[ "$MINFS" ] || exit 0
: >"$T/measured"
driver_start passthrough=off
# Without "copy" it would move the pages of the file behind it into its own: the next reader of that file, us, would
# find none, and so would minfs itself.
minfs_up "n=1,big=$copy,copy"
rounds ours "$(big model)" minfs "$T/minfs/big.glb"
minfs_down
echo "through the driver, passthrough=off:"
rows minfs minfs 0.95 0.95 0.95
