# Images of one's own: a drop in new/ is published once, bought once, and says why where it is not taken.
. "$(dirname "$0")/lib.sh"
# shellcheck source=../tools/images.sh
. "$ROOT/tests/tools/images.sh"
publisher
uploads_are() { # count what
	eq "$(wc -l <"$T/published")" "$1" "uploads $2"
}
expect_log '^pixal3dfs: warn: .*upload' 'could not be published' '^pixal3dfs: warn: .*(published|publish)'

sandbox_start
image png dog >"$T/dog.png"

# Without upload= it is refused before anything is kept, and the words say what to do.
driver_start
refuses cp "$T/dog.png" "$M/new/"
matches "$(cat "$T/refused")" 'not supported' "cp without upload="
matches "$(cat "$M/new/dog.png.error")" 'upload=s3://.*image_url' "the error file without upload="
refuses cp "$T/dog.png" "$M/new/.x.png" "$M/new/y.png"
echo '{"texture_size": 1024}' >"$T/alone.json"
refuses cp "$T/alone.json" "$M/new/"
matches "$(cat "$M/new/alone.json.error")" 'image_url is missing' "parameters alone"
driver_stop
posts_are 0 "without upload="

OPTIONS+=",upload=exec:$T/publish"
driver_start

# Each kind, by what it is and not by its name; readable as it was; what was sent is in params.json.
image jpg cat >"$T/DSC_1.JPG"
image webp bird >"$T/bird.png"
cp "$T/dog.png" "$T/DSC_1.JPG" "$T/bird.png" "$M/new/"
for file in dog.png DSC_1.JPG bird.png; do
	job=$M/by-name/${file%.*}
	eq "$(within $((20 * SLOW)) cat "$job/wait")" COMPLETED "$file"
	cmp "$T/$file" "$M/new/$file" || fail "$file is not what was dropped"
	sum=$(digest "$T/$file")
	matches "$(cat "$job/image_url")" "^https://images.example/$sum\.(png|jpg|webp)$" "URL of $file"
	eq "$(jq -r .image_url "$job/params.json")" "$(cat "$job/image_url")" "URL in params.json"
	cmp "$T/$file" "$T/bucket/$(basename "$(cat "$job/image_url")")" || fail "$file: another image is public"
	matches "$(cat "$job/log")" "its image is published at" "log of $file"
done
matches "$(cat "$M/by-name/bird/image_url")" 'webp$' "a WebP by another name"
posts_are 3 "three images"
uploads_are 3 "of three images"

# The same bytes again: bought, as every second copy of a file, and not published again.
cp "$T/dog.png" "$M/new/"
cp "$T/dog.png" "$M/new/hound.png"
await 20 file_is "$M/by-name/hound/status" COMPLETED
posts_are 5 "the same image again"
uploads_are 3 "of the same image"

# Other ways to write.
rsync -a "$T/dog.png" "$M/new/rsync.png"
install -m 644 "$T/dog.png" "$M/new/install.png"
cat "$T/dog.png" >"$M/new/cat.png"
cp "$T/dog.png" "$M/new/.part" && mv "$M/new/.part" "$M/new/mv.png"
python3 - "$T/dog.png" "$M/new/bytes.png" <<-'EOF'
	import os, sys
	data = open(sys.argv[1], "rb").read()
	fd = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
	for i in range(len(data)):
	    os.write(fd, data[i : i + 1])
	    os.fsync(fd)
	os.close(fd)
EOF
for name in rsync install cat mv bytes; do
	await 20 file_is "$M/by-name/$name/status" COMPLETED
done
posts_are 10 "other ways to write"
rsync -a "$T/dog.png" "$M/new/rsync.png"
rsync -a --ignore-times "$T/dog.png" "$M/new/rsync.png"
touch "$M/new/mv.png"
: >"$M/new/empty.png"
posts_are 10 "nothing new was written"
uploads_are 3 "of one image by many ways"

# What is none is named, and nothing is sent.
rejected() { # name words
	refuses cp "$T/$1" "$M/new/"
	matches "$(cat "$T/refused")" "${3-Invalid argument}" "cp $1"
	matches "$(cat "$M/new/$1.error")" "$2.*" "error file of $1"
	matches "$(cat "$M/new/$1.error")" 'Nothing was sent, nothing was charged' "error file of $1"
}
head -c 100 "$T/dog.png" >"$T/short.png"
rejected short.png 'ends early'
head -c 300 "$T/DSC_1.JPG" >"$T/short.jpg"
rejected short.jpg 'ends early'
printf 'GIF89a\1\0\1\0\0\0\0' >"$T/gif.png"
rejected gif.png 'a GIF image.*PNG, JPEG and WebP'
printf '\0\0\0\30ftypheic\0\0\0\0' >"$T/phone.HEIC"
rejected phone.HEIC 'a HEIC image'
echo '{"image_url": "https://images.example/dog.png"}' >"$T/text.jpg"
rejected text.jpg 'a text'
echo '<!DOCTYPE html><title>404</title>' >"$T/page.webp"
rejected page.webp 'an HTML page'
{ cat "$T/dog.png" && head -c 34M /dev/zero; } >"$T/huge.png"
refuses cp "$T/huge.png" "$M/new/"
matches "$(cat "$T/refused")" 'File too large' "too large"
matches "$(cat "$M/new/huge.png.error")" 'as a whole: File too large' "too large"
posts_are 10 "of no images"
uploads_are 3 "of no images"
cp "$T/dog.png" "$M/new/gif.png"
await 20 file_is "$M/by-name/gif/status" COMPLETED
[ ! -e "$M/new/gif.png.error" ] || fail "the error file of what was mended is still there"
posts_are 11 "mended"

# In the directory of a job of one's own.
mkdir "$M/mine"
echo '{"texture_size": 1024, "seed": 5}' >"$M/mine/params.json"
cp "$T/dog.png" "$M/mine/"
eq "$(within $((20 * SLOW)) cat "$M/mine/wait")" COMPLETED "an image in a job"
eq "$(jq -c '[.texture_size, .seed]' "$M/mine/params.json")" '[1024,5]' "its parameters"
mkdir "$M/wrong"
refuses cp "$T/gif.png" "$M/wrong/"
matches "$(cat "$M/wrong/error")" 'a GIF image' "error of a job"
posts_are 12 "jobs of one's own"
rm -r "$M/mine" "$M/wrong"

# Nothing is kept of what is done and not listed any more.
rm "$M"/new/*
eq "$(ls "$T/state/images")" "" "images that nobody needs"

# What the bucket refuses is told where the drop is, and costs nothing.
: >"$T/denied"
image png denied >"$T/denied.png"
cp "$T/denied.png" "$M/new/"
await 20 test -s "$M/new/denied.png.error"
matches "$(cat "$M/new/denied.png.error")" 'access denied.*Nothing was sent' "a refused upload"
eq "$(cat "$M/by-name/denied/status")" REFUSED "a refused upload"
rm "$T/denied"
echo '{}' >"$M/by-name/denied/params.json"
await 20 file_is "$M/by-name/denied/status" COMPLETED
posts_are 13 "the upload that was refused at first"
driver_stop
