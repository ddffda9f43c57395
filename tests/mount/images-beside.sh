# Parameters beside an image, directories of images, a budget, a kill: bought once, with what belongs to it.
. "$(dirname "$0")/lib.sh"
# shellcheck source=../tools/images.sh
. "$ROOT/tests/tools/images.sh"
publisher
OPTIONS+=",upload=exec:$T/publish"
expect_log '^pixal3dfs: warn: .*(upload|publish)'
texture_is() { # by-name size
	await 20 file_is "$M/by-name/$1/status" COMPLETED
	eq "$(jq .texture_size "$M/by-name/$1/params.json")" "$2" "texture_size of $1"
}

sandbox_start
driver_start

# A directory, in whatever order it is copied: each image once, with the parameters beside it.
mkdir -p "$T/photos/more"
for i in $(seq 8); do
	image jpg "$i" >"$T/photos/p$i.jpg"
done
for i in 2 5 8; do
	echo '{"texture_size": 4096}' >"$T/photos/p$i.json"
done
image png more >"$T/photos/more/dog.png"
echo '{"image_url": "https://images.example/own.png", "texture_size": 1024}' >"$T/photos/own.json"
cp -r "$T/photos" "$M/new/"
diff -r "$T/photos" "$M/new/photos" || fail "the directory is not what was copied"
for i in $(seq 8); do
	case $i in 2 | 5 | 8) size=4096 ;; *) size=null ;; esac
	texture_is "photos-p$i" $size
done
texture_is photos-more-dog null
texture_is photos-own 1024
posts_are 10 "a directory of images"
eq "$(wc -l <"$T/published")" 9 "uploads"
eq "$(find "$M/new/photos" -name '*.error')" "" "error files"

# By hand: parameters first; parameters a moment later; too late; wrong ones.
image png first >"$T/first.png"
echo '{"texture_size": 1024}' >"$M/new/first.json"
cp "$T/first.png" "$M/new/"
texture_is first 1024
image png second >"$T/second.png"
cp "$T/second.png" "$M/new/"
echo '{"texture_size": 1024}' >"$M/new/second.json"
texture_is second 1024
refuses cp "$T/photos/p2.json" "$M/new/second.json"
matches "$(cat "$M/new/second.json.error")" 'submitted already.*next time' "parameters that come too late"
cp "$T/second.png" "$M/new/"
texture_is second 4096
[ ! -e "$M/new/second.png.error" ] || fail "an error of what was taken"
posts_are 13 "parameters beside"

image png third >"$T/third.png"
: >"$T/held"
cp "$T/third.png" "$M/new/"
matches "$(cat "$M/by-name/third/error")" 'being uploaded' "while it is uploaded"
echo '{"texture_siez": 1024}' >"$T/third.json"
refuses cp "$T/third.json" "$M/new/"
await 10 file_is "$M/by-name/third/status" REFUSED
matches "$(cat "$M/new/third.png.error")" 'third.json.*texture_size' "an image with wrong parameters"
refuses cp "$T/third.png" "$M/new/"
matches "$(cat "$M/new/third.png.error")" 'third.json.*texture_size' "an image beside wrong parameters"
rm "$T/held"
posts_are 13 "wrong parameters"
rm -r "$M/new/photos" "${M:?}/$(basename "$(readlink "$M/by-name/third")")"
rm "$M"/new/*

# Killed while it is uploaded, and before it is sent: once published, once bought.
for moment in upload send; do
	image png "$moment" >"$T/$moment.png"
	: >"$T/begun"
	: >"$T/published"
	[ $moment = send ] || : >"$T/held"
	cp "$T/$moment.png" "$M/new/"
	if [ $moment = upload ]; then
		await 10 test -s "$T/begun"
	else
		await 10 grep -q 'is published at' "$M/by-name/send/log"
	fi
	driver_kill
	rm -f "$T/held"
	driver_start
	await 20 file_is "$M/by-name/$moment/status" COMPLETED
	matches "$(wc -l <"$T/published")" '^[12]$' "published, killed at the $moment"
	eq "$(ls "$T/state/images")" "" "images, killed at the $moment"
done
posts_are 15 "killed"
driver_stop

# The budget refuses at the copy.
driver_start budget=0.10
refuses cp "$T/first.png" "$M/new/"
matches "$(cat "$T/refused")" 'quota' "over the budget"
matches "$(cat "$M/new/first.png.error")" 'pass the budget' "over the budget"
driver_stop

# Mounted without upload=, what waits says so, and goes on when it can.
: >"$T/held"
driver_start
image png wait >"$T/wait.png"
cp "$T/wait.png" "$M/new/"
driver_stop
rm "$T/held"
WITH=$OPTIONS OPTIONS=${OPTIONS%,upload=*}
driver_start
await 10 grep -q 'upload=' "$M/by-name/wait/error"
eq "$(cat "$M/by-name/wait/status")" WAITING "without upload="
driver_stop
OPTIONS=$WITH
driver_start
await 20 file_is "$M/by-name/wait/status" COMPLETED
posts_are 16 "in the end"

# Many large ones: the memory of the driver does not grow with them.
mkdir "$T/large"
for i in $(seq 12); do
	{ image jpg "$i" && head -c 8M /dev/zero; } >"$T/large/$i.jpg"
done
before=$(awk '/VmHWM/ { print $2 }' "/proc/$DRIVER_PID/status")
: >"$T/held"
cp -r "$T/large" "$M/new/"
after=$(awk '/VmHWM/ { print $2 }' "/proc/$DRIVER_PID/status")
[ $((after - before)) -lt 40000 ] || [ "$SLOW" != 1 ] || fail "96 MiB of images took $((after - before)) KiB of memory"
rm -r "$M/new/large"
for job in "$M"/by-name/large-*; do
	rm -r "${M:?}/$(basename "$(readlink "$job")")"
done
rm "$T/held"
no_images() {
	[ -z "$(ls "$T/state/images")" ]
}
await 10 no_images
driver_stop
