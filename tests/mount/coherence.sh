# What the kernel was told once, it is told anew when it changes: sizes, listings and links, which it may
# believe for a day, are what they are a moment later, without anybody opening anything.
. "$(dirname "$0")/lib.sh"

sandbox_start --queue-time 1000 --process-time 1000
driver_start

size_is() { # file bytes
	[ "$(stat -c %s "$1")" = "$2" ]
}

as_long_as_its_text() { # file
	size_is "$1" "$(wc -c <"$1")"
}

drop() { # name
	params "$T/$1.json"
	cp "$T/$1.json" "$M/new/"
}

# Sizes of a job's files, and its listing.
drop dog
J=$(readlink -f "$M/by-name/dog")
size_is "$J/status" 7 || fail "QUEUED is not 7 bytes"
log_size=$(stat -c %s "$J/log")
stat "$J"/* >"$T/before" # all of it is believed from now on
answer_size=$(stat -c %s "$J/status.json")
advance PROCESSING
await 10 file_is "$J/status" PROCESSING
await 5 size_is "$J/status" 11
advance COMPLETED
await 10 file_is "$J/status" COMPLETED
await 5 size_is "$J/status" 10
await 5 not size_is "$J/status.json" "$answer_size"
await 5 as_long_as_its_text "$J/status.json"
await 5 as_long_as_its_text "$J/log"
[ "$(stat -c %s "$J/log")" -gt "$log_size" ] || fail "the log has not grown"
await 5 listed "$J" output.glb

# The reason of a refusal is another one, though the job is what it was: what was written to it is no request.
control '{"faults": [{"at": "submit", "do": "http", "status": 400, "body": {"error": "No"}}]}'
mkdir "$M/fox"
refuses bash -c "echo https://images.example/fox.png >'$M/fox/image_url'"
await 5 file_is "$M/fox/status" REFUSED
reason=$(stat -c %s "$M/fox/error")
refuses bash -c "echo '{\"seed\": \"a word that is as long as it takes\"}' >'$M/fox/params.json'"
! size_is "$M/fox/error" "$reason" || fail "the error file is as long as before"
matches "$(cat "$M/fox/error")" 'Write it again.$' "the end of the new reason"

# The root, by-name/ and the page of all jobs.
ls "$M" "$M/by-name" >"$T/before"
rows=$(stat -c %s "$M/jobs")
latest=$(readlink "$M/latest")
first=$(readlink "$M/by-name/dog")
size_is "$M/by-name/dog" ${#first} || fail "the length of a link"
drop cat
cat=$(basename "$(readlink -f "$M/by-name/cat")")
await 5 listed "$M" "$cat"
await 5 listed "$M/by-name" cat
[ "$(readlink "$M/latest")" != "$latest" ] || fail "latest is not the newest"
[ "$(stat -c %s "$M/jobs")" -gt "$rows" ] || fail "no row for a new job"

# The newest of a name, and a job that gets another one.
drop dog
[ "$(readlink "$M/by-name/dog")" != "$first" ] || fail "by-name/ leads to the older job"
stat "$M/$cat" "$M/by-name/cat" >"$T/before"
mv "$M/$cat" "$M/tiger"
await 5 test ! -L "$M/by-name/cat"
eq "$(readlink "$M/by-name/tiger")" ../tiger "the new label"
await 5 listed "$M/by-name" tiger
size_is "$M/by-name/tiger" 8 || fail "the length of the new label's link"
mv "$M/tiger" "$M/lion-and-tiger"
eq "$(readlink "$M/by-name/lion-and-tiger")" ../lion-and-tiger "the label after another mv"

# What is forgotten is nowhere.
ls "$M" "$M/by-name" >"$T/before"
rm -r "$M/lion-and-tiger"
[ ! -e "$M/lion-and-tiger" ] || fail "forgotten, and there"
await 5 test ! -L "$M/by-name/lion-and-tiger"
await 5 not listed "$M" lion-and-tiger
await 5 not listed "$M/by-name" lion-and-tiger
