# How much of a model has come in can be watched, in a file and an attribute, without making it come.
. "$(dirname "$0")/lib.sh"

command -v getfattr >"$T/which" || skip "no getfattr here"
sandbox_start
driver_start

size=$((20 * 1024 * 1024))
control "{\"output_bytes\": $size}"
mkdir "$M/cat"
[ ! -e "$M/cat/progress" ] || fail "progress of a draft"
complete_job dog
J=$(cd "$M/by-name/dog" && pwd -P)

progress() { # field
	awk -v n="$1" '{ print $n }' "$J/progress"
}

# Sizes by stat are those of the text, whatever it says, and however often it is looked at.
looked() {
	eq "$(stat -c %s "$J/progress")" "$(wc -c <"$J/progress")" "the size of progress"
	eq "$(wc -l <"$J/progress")" 1 "lines of progress"
	eq "$(progress 2)" $size "the size in it"
	local before cached
	before=$(progress 1)
	cached=$(getfattr --absolute-names --only-values -n user.pixal3d.cached "$J/output.glb")
	eq "$(printf '%s\n' "$before" "$cached" "$(progress 1)" | sort -nc 2>&1)" "" "user.pixal3d.cached, in between"
}

listed "$J" progress || fail "progress is not listed"
looked
eq "$(cat "$J/progress")" "       0 $size   0% output.glb" "progress before a read"
eq "$(ledger cdn_bytes)" 0 "bytes fetched by looking"

# Half of it comes, and no more.
half=$((size / 2))
control "{\"faults\": [{\"at\": \"cdn\", \"do\": \"stall_after\", \"offset\": $half, \"times\": 0}]}"
cat "$J/output.glb" >"$T/got" &
reader=$!
arrived stall
came() {
	[ "$(progress 1)" -ge $half ]
}
await 10 came
looked
read -r at _ percent name <"$J/progress"
[ "$at" -lt $size ] || fail "all came: $at"
eq "$percent $name" "$((at * 100 / size))% output.glb" "the rest of the line"

# It goes on when the server does.
control '{"faults": []}'
release stall
wait $reader
eq "$(digest "$T/got")" "$(curl -sS "$(media_url "$J")" | sha256sum | cut -d ' ' -f 1)" "the model"
looked
eq "$(cat "$J/progress")" "$size $size 100% output.glb" "progress at the end"

# After a restart it is known without opening the model, and without the network.
driver_stop
before=$(ledger cdn_requests)
driver_start
eq "$(cat "$J/progress")" "$size $size 100% output.glb" "progress after a remount"
eq "$(ledger cdn_requests)" "$before" "requests for it"
rm -r "$T/cache"/*-0.*
driver_stop
driver_start
eq "$(progress 1)" 0 "progress of a cache that somebody emptied"
