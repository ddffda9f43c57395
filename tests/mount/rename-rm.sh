# mv renames a job, rm -r forgets it, rmdir takes drafts only; drops are files that can be removed.
. "$(dirname "$0")/lib.sh"

sandbox_start --queue-time 1000 --process-time 1000
driver_start

# mv of a draft, of a running job, of a dropped job.
mkdir "$M/one"
mv "$M/one" "$M/two"
[ ! -e "$M/one" ] || fail "the old name is still there"
eq "$(cat "$M/two/status")" DRAFT "a renamed draft"
echo https://images.example/two.png >"$M/two/image_url"
mv "$M/two" "$M/three"
eq "$(cat "$M/three/status")" QUEUED "a renamed job"
params "$T/dog.json"
cp "$T/dog.json" "$M/new/"
id=$(cat "$M/latest/request_id")
mv "$M/$id" "$M/my dog"
eq "$(cat "$M/my dog/request_id")" "$id" "a renamed drop"
listed "$M" 'my dog' || fail "not listed under its new name"
! listed "$M" "$id" || fail "listed under its old name"
eq "$(cat "$M/$id/status")" QUEUED "lookup by request id after mv"
grep -q "^my dog	$id	" "$M/jobs" || fail "jobs: $(cat "$M/jobs")"
eq "$(stat -c %s "$M/jobs")" "$(wc -c < <(cat "$M/jobs"))" "the size of jobs after a change"

# A wait goes on through a rename.
cat "$M/three/wait" >"$T/waited" &
waiter=$!
await 10 is_blocked $waiter
mv "$M/three" "$M/four"
advance COMPLETED "$(cat "$M/four/request_id")"
await 10 is_gone $waiter
eq "$(cat "$T/waited")" COMPLETED "a wait through a rename"

# Names are unique, the mount's own are taken, files do not leave their job.
mkdir "$M/five"
refuses mv -T "$M/five" "$M/four"
refuses mv -T "$M/four" "$M/five"
for name in new by-name README jobs; do
	refuses mv -T "$M/five" "$M/$name"
	refuses mkdir "$M/$name"
	refuses rm -d "$M/$name"
done
refuses mv "$M/four/status" "$M/four/other"
refuses mv "$M/four/output.glb" "$M/five/output.glb"
refuses mv "$M/five" "$M/four/"
eq "$(cat "$M/five/status")" DRAFT "after refused renames"

# rmdir: a draft yes, anything with files no.
refuses rmdir "$M/four"
matches "$(cat "$T/refused")" 'Directory not empty' "rmdir of a job"
rmdir "$M/five"
[ ! -e "$M/five" ] || fail "rmdir of a draft"
mkdir "$M/five"
rm -r "$M/five"
mkdir "$M/six"
refuses bash -c "echo nonsense >$M/six/image_url"
[ -s "$M/six/error" ] || fail "no error beside what was refused"
rm -r "$M/six"

# rm -r forgets: a finished job with its cached output, and a running one.
await 10 test -s "$M/four/output.glb"
cat "$M/four/output.glb" >"$T/four.glb"
cached() {
	find "$T/cache" -type f -size +4k | grep -q .
}
not_cached() {
	! cached
}
cached || fail "the output is not in the cache"
rm -r "$M/four"
[ ! -e "$M/four" ] || fail "rm -r left it"
await 5 not_cached
rm -r "$M/my dog"
[ ! -e "$M/$id" ] || fail "a forgotten job is found by its request id"
for link in by-name/dog latest; do
	[ ! -L "$M/$link" ] || fail "$link leads to a forgotten job"
done
eq "$(wc -l <"$M/jobs")" 1 "lines of jobs"
eq "$(stat -c %s "$M/jobs")" "$(wc -c < <(cat "$M/jobs"))" "the size of jobs without any"

# Drops: rm takes the file, not the job; mv inside renames the drop.
params "$T/fox.json"
cp "$T/fox.json" "$M/new/"
mv "$M/new/fox.json" "$M/new/.fox"
rm "$M/new/dog.json" "$M/new/.fox"
eq "$(find "$M/new/" -mindepth 1)" '' "new/ after rm"
eq "$(cat "$M/by-name/fox/status")" QUEUED "the job of a removed drop"
posts_are 3 "in the end"

# An editor that moves the old file away and writes the name anew: nothing is bought where nothing has
# changed, and what has changed is.
params "$T/wolf.json"
cp "$T/wolf.json" "$M/new/"
for count in 4 4 5; do
	[ $count = 4 ] || sed -i s/5000/6000/ "$T/wolf.json"
	mv "$M/new/wolf.json" "$M/new/wolf.json~"
	cp "$T/wolf.json" "$M/new/"
	rm "$M/new/wolf.json~"
	posts_are $count "after a save with a backup"
done
rm -r "$(readlink -f "$M/by-name/wolf")"
rm -r "$(readlink -f "$M/by-name/wolf")"

# ... and all of it is true after a remount.
driver_stop
driver_start
eq "$(wc -l <"$M/jobs")" 2 "lines of jobs after the remount"
for job in four 'my dog'; do
	[ ! -e "$M/$job" ] || fail "$job came back"
done
