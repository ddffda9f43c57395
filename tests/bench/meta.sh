#!/bin/bash
# tests/bench/meta.sh - the metadata of many jobs: mount, listings, attributes
. "$(dirname "$0")/lib.sh"

# A directory of directories on a new mount: nothing of it is in the kernel's caches.
listings() { # directory list
	local files=(find "$1" -mindepth 2 -maxdepth 2 -type f -size +1)
	timed cold_ls_ms ls -l "$1"
	timed warm_ls_ms ls -l "$1"
	step 60 "${STAT[@]}" "$1" "$2" $((JOBS * 5)) | sed 's/^/cold_/'
	step 60 "${files[@]}" >/dev/null
	step 60 "${STAT[@]}" "$1" "$2" $((JOBS * 50)) | sed 's/^/warm_/'
}

files_of() { # directory
	step 60 find "$1" -mindepth 2 -maxdepth 2 -type f ! -path "$1/new/*" -printf '%P\n' | sort
}

# What stands in for minfs: as many files on the disk. Their pages are in memory from the start.
plant() { # directory
	local i
	for ((i = 0; i < JOBS; i++)); do
		mkdir -p "$1/$i"
		touch "$1/$i"/{status,params.json,created,updated,url,error}
	done
}

metadata() {
	local r start
	files_of "$M" >"$T/files"
	driver_stop
	if [ "$MINFS" ]; then
		minfs_up "n=$JOBS"
		files_of "$T/minfs" >"$T/files.minfs"
		minfs_down
	else
		plant "$T/tree"
		files_of "$T/tree" >"$T/files.disk"
	fi
	for ((r = 0; r <= ROUNDS; r++)); do
		start=$EPOCHREALTIME
		driver_start
		elapsed "$start" | note start ours $r
		listings "$M" "$T/files" | note meta ours $r
		memory | note memory-jobs ours $r
		driver_stop
		if [ "$MINFS" ]; then
			minfs_up "n=$JOBS"
			listings "$T/minfs" "$T/files.minfs" | note meta minfs $r
			minfs_down
		else
			listings "$T/tree" "$T/files.disk" | note meta disk $r
		fi
	done
}

sandbox_start --balance 1000000
driver_start
make_drops
step 120 cp -t "$M/new" "$T"/drops/*.json
wait_for_jobs
metadata

table
row "mount with $JOBS jobs, ms" start.ms - ''
row "ls -l of $JOBS jobs, cold, ms" meta.cold_ls_ms minfs 'minfs; <= 1.1'
row "ls -l of $JOBS jobs, warm, ms" meta.warm_ls_ms minfs 'minfs; <= 1.1'
row "stat of their files, cold, 1/s" meta.cold_stat_s minfs 'minfs; >= 0.9'
row "stat of their files, warm, 1/s" meta.warm_stat_s minfs 'minfs; >= 0.9, ours >= 450000'
row "ls -l of $JOBS jobs, cold, ms" meta.cold_ls_ms disk "$disk, never cold"
row "ls -l of $JOBS jobs, warm, ms" meta.warm_ls_ms disk "$disk"
row "stat of their files, cold, 1/s" meta.cold_stat_s disk "$disk, never cold"
row "stat of their files, warm, 1/s" meta.warm_stat_s disk "$disk"
row "most memory of the daemon, $JOBS jobs, MiB" memory-jobs.mib - ''
