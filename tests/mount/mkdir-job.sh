# Jobs made with mkdir: their path is known beforehand, the drafts are files, echo submits.
. "$(dirname "$0")/lib.sh"

sandbox_start --queue-time 1000 --process-time 1000
driver_start

url=https://images.example/cat.png
posts=0
submitted() { # job: one more POST, with the image
	posts=$((posts + 1))
	posts_are $posts "after $1"
	eq "$(cat "$M/$1/status")" QUEUED "status of $1"
	eq "$(cat "$M/$1/image_url")" "$url" "image_url of $1"
	eq "$(jq -r .image_url "$M/$1/params.json")" "$url" "params.json of $1"
	matches "$(cat "$M/$1/request_id")" '^pixal3d_' "request_id of $1"
}

# image_url alone submits with the defaults, from every shell, by the newline.
mkdir "$M/by-bash"
eq "$(cat "$M/by-bash/status")" DRAFT "status of a draft"
posts_are 0 "after mkdir"
for shell in bash dash; do
	mkdir -p "$M/by-$shell"
	$shell -c "echo $url > $M/by-$shell/image_url"
	submitted by-$shell
done
mkdir "$M/by-printf"
printf %s "$url" >"$M/by-printf/image_url" # no newline: the end of the file is the end
submitted by-printf

# params.json first: kept, not sent; then image_url submits both.
mkdir "$M/params-first"
printf '{"texture_size": 1024, "seed": 7}\n' >"$M/params-first/params.json"
posts_are $posts "after parameters without an image"
eq "$(cat "$M/params-first/status")" DRAFT "status with parameters only"
eq "$(jq -c '[.texture_size, .seed]' "$M/params-first/params.json")" '[1024,7]' "parameters of a draft"
echo "$url" >"$M/params-first/image_url"
submitted params-first
eq "$(jq -c '[.texture_size, .seed]' "$M/params-first/params.json")" '[1024,7]' "parameters sent"

# Complete parameters submit at once; cp writes them like the shell does.
mkdir "$M/complete"
params "$T/params.json" "$url"
cp "$T/params.json" "$M/complete/"
submitted complete

# So do those that remove a file first and insist that they make it; what was removed is gone, and
# what it had said is forgotten.
for way in mv install "cp --remove-destination"; do
	mkdir "$M/by-${way%% *}"
	params "$T/again.json" "$url"
	$way "$T/again.json" "$M/by-${way%% *}/params.json"
	submitted "by-${way%% *}"
done
mkdir "$M/removed"
echo '{"texture_size": 2048}' >"$M/removed/params.json"
rm "$M/removed/params.json"
[ ! -e "$M/removed/params.json" ] || fail "removed, and still there"
: >"$M/removed/params.json"
rm "$M/removed/image_url"
echo "$url" >"$M/removed/image_url"
submitted removed
eq "$(jq .texture_size "$M/removed/params.json")" null "a parameter of the file that was removed"
control '{"balance": 0.1}'
mkdir "$M/refused"
refuses bash -c "echo $url >'$M/refused/image_url'"
posts=$((posts + 1))
control '{"balance": 100}'
mv "$T/params.json" "$M/refused/"
submitted refused
params "$T/params.json" "$url"
mkdir "$M/empty"
rm -r "$M/empty"

# What was refused of one file is over once the job is submitted.
mkdir "$M/mended"
refuses bash -c "echo '{\"textur_size\": 1024}' >'$M/mended/params.json'"
matches "$(cat "$M/mended/error")" 'did you mean texture_size' "the error of a draft"
echo "$url" >"$M/mended/image_url"
submitted mended
[ ! -e "$M/mended/error" ] || fail "a refusal outlives the submission: $(cat "$M/mended/error")"

# A submitted job is not overwritten, and nothing is sent again.
refuses cp "$T/params.json" "$M/complete/"
matches "$(cat "$T/refused")" 'Read-only file system' "cp over a submitted job"
refuses bash -c "echo $url > $M/complete/image_url"
posts_are $posts "after attempts to overwrite"

# The name stays, whatever the request id; the id finds it, too.
id=$(cat "$M/complete/request_id")
[ -d "$M/$id" ] || fail "no lookup by request id"
eq "$(cat "$M/$id/status")" QUEUED "status by request id"
listed "$M" complete || fail "the job is not listed under its name"
! listed "$M" "$id" || fail "a named job is listed twice"
refuses mkdir "$M/complete"
matches "$(cat "$T/refused")" 'File exists' "mkdir of a job that is there"

# A request id attaches a draft to a request that exists, free of charge.
mkdir "$M/attached"
echo "$id" >"$T/id"
advance COMPLETED "$id"
eq "$(within $((10 * SLOW)) cat "$M/complete/wait")" COMPLETED "wait by path"
rm -r "$M/complete"
cat "$T/id" >"$M/attached/request_id"
await 10 file_is "$M/attached/status" COMPLETED
await 10 test -s "$M/attached/output.glb"
posts_are $posts "after attaching"
