# What the service refuses reaches the program that wrote, in its own words, and costs nothing.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: .*(refused|key|balance)'

posts=0
# Tries one refusal through each kind of program: who sees which words?
refused() { # name what-the-program-says what-the-error-file-says fault...
	local name=$1 said=$2 text=$3 url=https://images.example/$1.png file
	local way
	for way in cp bash dash mkdir; do
		file=$M/new/$name-$way.json
		params "$T/$name-$way.json" "$url"
		case $way in
		cp) refuses cp "$T/$name-$way.json" "$M/new/" ;;
		bash | dash) refuses $way -c "echo '{\"image_url\": \"$url\"}' > '$file'" ;;
		mkdir)
			mkdir "$M/$name-job"
			refuses bash -c "echo $url > '$M/$name-job/image_url'"
			file=$M/$name-job/params.json
			;;
		esac
		case $way in
		dash) matches "$(cat "$T/refused")" 'I/O error' "$name by dash, which has no other words" ;;
		*) matches "$(cat "$T/refused")" "$said" "$name by $way" ;;
		esac
		if [ $way = mkdir ]; then
			matches "$(cat "$M/$name-job/error")" "$text" "error of the job"
			eq "$(cat "$M/$name-job/status")" "$4" "status of the job"
		else
			matches "$(cat "$file.error")" "$text" "error file of $name by $way"
		fi
		posts=$((posts + $5))
		posts_are $posts "after $name by $way"
	done
}
answer() { # HTTP status, JSON body: to every submission from now on
	control "{\"faults\": [{\"at\": \"submit\", \"do\": \"http\", \"times\": 0, \"status\": $1, \"body\": $2}]}"
}

# From the service.
answer 400 '{"error": "Model not found", "message": "Model pixal3d not found or is disabled"}'
refused bad 'Invalid argument' 'Model pixal3d not found or is disabled' REFUSED 1
matches "$(cat "$M/new/bad-cp.json.error")" 400 "the error file has the code"
answer 401 '{"error": "Unauthorized", "message": "Access denied: bad subscription key"}'
refused nokey 'Key was rejected by service' 'bad subscription key' REFUSED 1
answer 402 '{"error": "Insufficient Balance", "message": "Your wallet does not have enough balance."}'
refused poor 'Disk quota exceeded' 'Your wallet does not have enough balance' REFUSED 1
answer 403 '{"error": "Forbidden", "message": "Not for you"}'
refused forbidden 'Permission denied' 'Not for you' REFUSED 1
control '{"faults": []}'

# An empty wallet for real, and its end.
control '{"balance": 0.1}'
refused wallet 'Disk quota exceeded' 'Insufficient Balance|enough balance' REFUSED 1
control '{"balance": 100}'

# Found here, nothing sent.
local_refusal() { # name content pattern
	local way
	printf '%s' "$2" >"$T/$1.json"
	for way in cp bash dash; do
		case $way in
		cp) refuses cp "$T/$1.json" "$M/new/" ;;
		*) refuses $way -c "cat '$T/$1.json' > '$M/new/$1.json'" ;;
		esac
		matches "$(cat "$T/refused")" 'Invalid argument' "$1 by $way"
		matches "$(cat "$M/new/$1.json.error")" "$3" "error file of $1 by $way"
		rm -f "$M/new/$1.json"
	done
	posts_are $posts "after $1"
}
local_refusal malformed '{"image_url": "https://images.example/a.png",, }' 'line 1'
local_refusal unknown '{"image_url": "https://images.example/a.png", "texture_siez": 1024}' \
	'texture_siez.*texture_size'
local_refusal type '{"image_url": "https://images.example/a.png", "seed": "seven"}' seed
local_refusal value '{"image_url": "https://images.example/a.png", "texture_size": 3000}' \
	'texture_size.*3000'
local_refusal no-image '{"seed": 7}' image_url
local_refusal no-url '{"image_url": "not a url"}' image_url
local_refusal array '[1, 2]' .

# rename of a bad file: EBADMSG, so that mv says something sensible.
printf '{"nonsense": 1}' >"$M/new/.hidden"
refuses mv "$M/new/.hidden" "$M/new/renamed.json"
matches "$(cat "$T/refused")" 'Bad message' "mv of a bad file onto a submitting name"
posts_are $posts "after the rename"

# Two write one name, the first is refused while the second has it open: each is told of its own. The
# first asks by its close, for the kernel lets one write at a time.
control '{"faults": [{"at": "submit", "do": "http", "name": "first", "status": 402, "match": "first", "body": {"message": "no"}}]}'
hold submit.received
printf https://images.example/first.png >"$T/first.url"
cp "$T/first.url" "$M/new/both.url" 2>"$T/refused" &
first=$!
arrived submit.received
python3 -c 'import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)
os.write(fd, b"https://images.example/second.png\n")
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
os.close(fd)' "$M/new/both.url" "$T/first-was-told" 2>"$T/second" &
second=$!
arrived submit.received 2
release submit.received
hold
if wait $first; then fail "the first writer was not told of its refusal"; fi
: >"$T/first-was-told"
wait $second || fail "the second writer, whose job was taken, was told: $(cat "$T/second")"
[ ! -e "$M/new/both.url.error" ] || fail "beside what was taken: $(cat "$M/new/both.url.error")"
eq "$(cat "$M/by-name/both/image_url")" https://images.example/second.png "the newest job of both"
fired first
control '{"faults": []}'
posts=$((posts + 2)) taken=1
posts_are $posts "after two writers of one name"

# What was refused is asked for again by the same mv; what was taken is not.
control '{"balance": 0.1}'
params "$M/new/.later" https://images.example/later.png
refuses mv "$M/new/.later" "$M/new/later.json"
matches "$(cat "$T/refused")" 'Disk quota exceeded' "mv with an empty wallet"
control '{"balance": 100}'
mv "$M/new/.later" "$M/new/later.json"
mv "$M/new/later.json" "$M/new/.later"
mv "$M/new/.later" "$M/new/later.json"
posts=$((posts + 2)) taken=$((taken + 1))
posts_are $posts "after mv again and again"

# No refusal was charged or accepted; and the mount works.
eq "$(ledger accepted)" $taken accepted
complete_job fine
posts_are $((posts + 1)) "after a good one"

# A refused job is tried again by writing its parameters again: the same job, its log kept.
echo https://images.example/again.png >"$M/poor-job/image_url"
posts_are $((posts + 2)) "after the new attempt"
eq "$(within $((20 * SLOW)) cat "$M/poor-job/wait")" COMPLETED "the new attempt"
matches "$(tr '\n' ' ' <"$M/poor-job/log")" 'REFUSED.*COMPLETED' "log of both attempts"
[ ! -e "$M/poor-job/error" ] || fail "an error that is over: $(cat "$M/poor-job/error")"
