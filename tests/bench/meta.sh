#!/bin/bash
# tests/bench/meta.sh - the metadata of many finished jobs: mount, listings, attributes
#
# Cold is a new mount, of which nothing is in the kernel's caches and nothing was asked yet; warm is the
# same once more. `ls` compares with a minfs of as many directories; the others, which walk the whole tree,
# with one of as many entries (files, directories and links), for our directories have more files.
#
# Environment: META_JOBS (10000).
. "$(dirname "$0")/lib.sh"
META_JOBS=${META_JOBS:-10000}
need sqlite3

files_of() { # directory
	step 60 find "$1" -mindepth 2 -maxdepth 2 -type f -printf '%P\n' | sort
}

entries_of() { # directory
	step 60 find "$1" -mindepth 1 | wc -l
}

ours_up() { # nothing that concerns us
	driver_start
}

ours_down() {
	driver_stop
}

mount_of() { # ours|minfs
	if [ "$1" = ours ]; then echo "$M"; else echo "$T/minfs"; fi
}

# A command on a new mount, and once more; the mount is its last argument.
twice() { # ours|minfs options name command...
	local dir
	dir=$(mount_of "$1")
	"$1_up" "$2"
	timed "cold_$3_ms" "${@:4}" "$dir"
	timed "warm_$3_ms" "${@:4}" "$dir"
	"$1_down"
}

stats() { # ours|minfs options
	local dir
	dir=$(mount_of "$1")
	"$1_up" "$2"
	step 60 "${STAT[@]}" "$dir" "$T/files.$1" $((META_JOBS * 4)) | sed 's/^/cold_/'
	step 60 "$T/find_size" "$dir" >/dev/null
	step 60 "${STAT[@]}" "$dir" "$T/files.$1" $((META_JOBS * 40)) | sed 's/^/warm_/'
	"$1_down"
}

workloads() { # ours|minfs options-for-ls options-for-the-tree
	twice "$1" "$2" ls_U ls -U
	twice "$1" "$2" ls_l ls -l
	twice "$1" "$3" find find
	twice "$1" "$3" find_size "$T/find_size"
	stats "$1" "$3"
}

# shellcheck disable=SC2016
printf '#!/bin/sh\nexec find "$1" -type f -size +1\n' >"$T/find_size"
chmod +x "$T/find_size"
sandbox_start
plant_jobs "$META_JOBS"
driver_start
files_of "$M" >"$T/files.ours"
entries=$(entries_of "$M")
driver_stop
deep=n=$(((entries + 3) / 7))
if [ "$MINFS" ]; then
	minfs_up "$deep"
	files_of "$T/minfs" >"$T/files.minfs"
	minfs_down
fi
for ((r = 0; r <= ROUNDS; r++)); do
	start=$EPOCHREALTIME
	driver_start
	elapsed "$start" | note start ours $r
	memory | note memory ours $r
	driver_stop
	workloads ours "" "" | note meta ours $r
	[ -z "$MINFS" ] || workloads minfs "n=$META_JOBS" "$deep" | note meta minfs $r
done

table
echo "$entries entries of ours, minfs has as many; $(wc -l <"$T/files.ours") files below jobs"
row "mount with $META_JOBS jobs, ms" start.ms - '100 000: < 2000'
row "resident memory then, MiB" memory.mib - '100 000: < 120'
for heat in cold warm; do
	row "ls -U of $META_JOBS jobs, $heat, ms" meta.${heat}_ls_U_ms minfs 'minfs; <= 1.11'
	row "ls -l of $META_JOBS jobs, $heat, ms" meta.${heat}_ls_l_ms minfs 'minfs; <= 1.11'
	row "find, $heat, ms" meta.${heat}_find_ms minfs 'minfs; <= 1.11'
	row "find -size, $heat, ms" meta.${heat}_find_size_ms minfs 'minfs; <= 1.11'
done
row "stat of their files, cold, 1/s" meta.cold_stat_s minfs 'minfs; >= 0.9'
row "stat of their files, warm, 1/s" meta.warm_stat_s minfs 'minfs; >= 0.9, ours >= 450000'
