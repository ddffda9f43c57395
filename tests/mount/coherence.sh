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

# What the driver itself puts into new/, also where no event is made of it.
for helper in $(pgrep -P "$DRIVER_PID" -x pixal3dfs-touch); do
	kill -STOP "$helper"
done
exec 5>"$M/new/late.json"
ls "$M/new" >"$T/before"
changed=$(stat -c %.Y "$M/new")
refuses bash -c 'echo "{\"seed\": \"x\"}" >&5'
exec 5>&-
[ "$(stat -c %.Y "$M/new")" != "$changed" ] || fail "the time of new/ has not changed"
listed "$M/new" late.json.error || fail "an error file that is not listed: $(ls "$M/new")"
for helper in $(pgrep -P "$DRIVER_PID" -x pixal3dfs-touch); do
	kill -CONT "$helper"
done

# Who has waited sees the end, whichever of many jobs it is.
for i in {1..30}; do
	drop "herd-$i"
done
python3 - "$M"/by-name/herd-* >"$T/seen" <<'END' &
import os, sys, threading
jobs = sys.argv[1:]
sizes = {}
for job in jobs: # the kernel believes this from now on
    assert os.stat(job + "/status").st_size == len("QUEUED\n")
def wait(job):
    fd = os.open(job + "/wait", os.O_RDONLY)
    os.read(fd, 100)
    sizes[job] = os.stat(job + "/status").st_size
threads = [threading.Thread(target=wait, args=(job,)) for job in jobs]
for thread in threads:
    thread.start()
print("waiting", flush=True)
for thread in threads:
    thread.join()
stale = [job for job in jobs if sizes[job] != len("COMPLETED\n")]
sys.exit(f"{len(stale)} of {len(jobs)} saw another size than of COMPLETED" if stale else 0)
END
waiters=$!
await 10 grep -q waiting "$T/seen"
advance COMPLETED
wait $waiters || fail "who waits is told before the kernel is"

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
