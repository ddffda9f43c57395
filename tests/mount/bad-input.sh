# limit: 120
# Bad input of every kind: a clear error, nothing lost, nothing hung, nothing charged.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
posts=0

resident() { # MiB of the driver
	awk '/^VmHWM:/ { print int($2 / 1024) }' "/proc/$DRIVER_PID/status"
}

free_of_charge() { # what
	posts_are $posts "after $1"
	is_running "$DRIVER_PID" || fail "the driver ended by $1"
	within 5 ls "$M/new" >"$T/listing" || fail "ls after $1"
}

# Drops content that must be refused with these errors of write or close.
rejects() { # what file pattern
	refuses within 30 cp "$2" "$M/new/bad.json"
	matches "$(cat "$T/refused")" "$3" "$1"
	[ -s "$M/new/bad.json.error" ] || fail "no error file for $1"
	rm -f "$M/new/bad.json"
	free_of_charge "$1"
}

# --- content

image='"image_url": "https://images.example/bad.png"'
printf '{%s, "seed": }' "$image" >"$T/in"
rejects "malformed JSON" "$T/in" 'Invalid argument'
# A beginning may go on after a close (two programs in turn write to one descriptor of the shell), so
# it is refused by the last close, which nobody hears: the error file says it.
printf '{%s, "seed": 7' "$image" >"$T/in"
cp "$T/in" "$M/new/half.json"
await 5 test -s "$M/new/half.json.error"
rm "$M/new/half.json"
free_of_charge "truncated JSON"
printf '{%s, "texture_siez": 1024}' "$image" >"$T/in"
rejects "an unknown parameter" "$T/in" 'Invalid argument'
printf '{%s, "remesh": "yes"}' "$image" >"$T/in"
rejects "a wrong type" "$T/in" 'Invalid argument'
printf '{%s, "resolution": 1025}' "$image" >"$T/in"
rejects "a value that is not allowed" "$T/in" 'Invalid argument'
printf '{%s, "seed": 1e400}' "$image" >"$T/in"
rejects "a number beyond all bounds" "$T/in" 'Invalid argument'
printf '{%s, "seed": 1, "seed": 2}' "$image" >"$T/in"
rejects "a parameter twice" "$T/in" 'Invalid argument'
printf '{%s} {%s}' "$image" "$image" >"$T/in"
rejects "two objects" "$T/in" 'Invalid argument'
for url in '' ' ' 'dog.png' 'file:///etc/passwd' 'http://' 'https:// /x' 'javascript:alert(1)'; do
	printf '{"image_url": "%s"}' "$url" >"$T/in"
	rejects "the URL '$url'" "$T/in" 'Invalid argument'
done
printf '{"image_url": "https://images.example/\\u0000.png"}' >"$T/in"
rejects "a NUL in the URL" "$T/in" 'Invalid argument'
head -c 300000 "$B/pixal3dfs" >"$T/in"
rejects "a program" "$T/in" 'Invalid argument'
head -c 70000 /dev/urandom >"$T/in"
rejects "random bytes" "$T/in" 'Invalid argument'
head -c 4096 /dev/zero >"$T/in"
rejects "NUL bytes" "$T/in" 'Invalid argument'
printf '\xff\xfe{\0}\0' >"$T/in"
rejects "UTF-16" "$T/in" 'Invalid argument'
printf '{%s, "seed": "\xff\xfe"}' "$image" >"$T/in"
rejects "broken UTF-8" "$T/in" 'Invalid argument'
head -c 100000 /dev/zero | tr '\0' '[' >"$T/in"
rejects "100000 brackets" "$T/in" 'Invalid argument'
{ printf '{"image_url": '; head -c 100000 /dev/zero | tr '\0' '['; } >"$T/in"
rejects "100000 brackets in an object" "$T/in" 'Invalid argument'
printf '{%s, "seed": %s}' "$image" "$(head -c 100000 /dev/zero | tr '\0' 9)" >"$T/in"
rejects "a number of 100000 digits" "$T/in" 'Invalid argument'

# 1 GiB: of white space, of a string without end, of nothing; refused early, in bounded memory.
truncate -s 1G "$T/in"
rejects "1 GiB of NUL" "$T/in" 'Invalid argument|File too large'
gigabyte() { # byte: a stream
	printf '{%s, "x": "' "$image"
	head -c 1G /dev/zero | tr '\0' "$1"
}
for byte in ' ' x; do
	# shellcheck disable=SC2016
	refuses within 60 bash -c 'cat >"$1"' - "$M/new/huge.json" < <(gigabyte "$byte" || :)
	matches "$(cat "$T/refused")" 'File too large|Invalid argument|No space left' "1 GiB of '$byte'"
	rm -f "$M/new/huge.json"
	free_of_charge "1 GiB"
done
refuses truncate -s 1G "$M/new/huge.json"
rm -f "$M/new/huge.json"
refuses dd if=/dev/zero of="$M/new/huge.json" bs=1 count=1 seek=1G status=none
rm -f "$M/new/huge.json"
free_of_charge "holes"
[ "$(resident)" -lt $((256 * SLOW)) ] || fail "the driver has grown to $(resident) MiB"

# No URL in a file of URLs.
refuses bash -c "echo nonsense >$M/new/bad.url"
refuses bash -c "printf 'https://images.example/a.png https://images.example/b.png\n' >$M/new/bad2.url"
mkdir "$M/draft"
for content in nonsense '' 'https://' '{}'; do
	[ -z "$content" ] || refuses bash -c "echo '$content' >$M/draft/image_url"
	eq "$(cat "$M/draft/status")" DRAFT "a draft after '$content'"
done
refuses bash -c "echo '{\"seed\": \"x\"}' >$M/draft/params.json"
for id in '../../etc/passwd' '..' 'a b' "$(head -c 300 /dev/zero | tr '\0' a)"; do
	refuses bash -c "echo '$id' >$M/draft/request_id"
	matches "$(cat "$T/refused")" 'Invalid argument' "the request id '$id'"
done
free_of_charge "nonsense in a draft"
: >"$M/new/empty.json"
: >"$M/new/empty.url"
printf '  \n\n' >"$M/new/blank.json"
free_of_charge "empty files"
rm "$M/new/"*

# --- names

params "$T/in"
drop() { # name: a good job
	cp "$T/in" "$M/new/$1.json"
	posts=$((posts + 1))
	posts_are $posts "after a drop named $1"
	[ -f "$M/new/$1.json" ] || fail "a drop named $1 is not there"
}
drop 'Hündchen 犬 🐕'
[ -d "$M/by-name/Hündchen 犬 🐕" ] || fail "by-name with UTF-8"
drop $'two\nlines'
drop ' -rf *?"\\ '
drop $'\xff\xfe'
drop "$(printf 'x%.0s' {1..250})" # 255 bytes with .json
eq "$(wc -l <"$M/jobs")" $((posts + 2)) "lines of jobs with odd names and a draft"
refuses cp "$T/in" "$M/new/$(printf 'x%.0s' {1..251}).json"
matches "$(cat "$T/refused")" 'File name too long' "a name of 256 bytes"
long=$(printf 'y%.0s' {1..255})
mkdir "$M/$long" "$M/$(printf 'é\n%.0s' {1..20})"
mv "$M/$long" "$M/${long/y/z}"
refuses mkdir "$M/y$long"
printf '{"nonsense": 1}' >"$T/bad"
refuses cp "$T/bad" "$M/new/${long:0:250}.json" # has no room for .error beside it
rm "$M/new/${long:0:250}.json"
free_of_charge "long names"
refuses mkdir "$M/.."
refuses mkdir "$M/new/../new"
refuses mkdir "$M/new/.Trash-0"
refuses mkdir "$M/.Trash-0"
refuses touch "$M/file"
refuses touch "$M/by-name/file"
refuses ln "$T/in" "$M/new/hard.json"
refuses mknod "$M/new/pipe" p
free_of_charge "things that cannot be made"
mkdir "$M/pixal3d_fake" # looks like a request id, and is a name
rmdir "$M/pixal3d_fake"

# --- at the same time

# Two drops of one name at once: each is a job of its own or an error, none is half of another.
before=$(($(wc -l <"$M/jobs") - 1))
for i in 1 2 3 4; do
	params "$T/race.$i" "https://images.example/race-$i.png"
	cp "$T/race.$i" "$M/new/race.json" 2>"$T/raced.$i" &
	racers[i]=$!
done
taken=0
for i in 1 2 3 4; do
	if wait "${racers[i]}"; then taken=$((taken + 1)); fi
done
[ $taken -gt 0 ] || fail "of four drops at once none was taken: $(cat "$T"/raced.*)"
made=$(($(wc -l <"$M/jobs") - 1 - before))
eq "$(($(ledger posts) - posts))" "$made" "POSTs of $made jobs by drops at once"
case $made in [1-4]) ;; *) fail "four drops at once made $made jobs" ;; esac
posts=$((posts + made))
# mkdir of one name at once: one wins.
for i in 1 2 3 4; do
	mkdir "$M/only-one" 2>"$T/made.$i" &
	racers[i]=$!
done
made=0
for i in 1 2 3 4; do
	if wait "${racers[i]}"; then made=$((made + 1)); fi
done
eq $made 1 "mkdir of one name at once"

# Unlinked while it is open: before it was complete it asks for nothing; after, the job stays.
exec 5>"$M/new/unlinked.json"
printf '{%s' "$image" >&5
rm "$M/new/unlinked.json"
echo '}' >&5 || :
exec 5>&-
free_of_charge "a file that was removed before it was complete"
exec 5<>"$M/new/after.json"
cat "$T/in" >&5
rm "$M/new/after.json"
posts=$((posts + 1))
posts_are $posts "a file that was removed after it was complete"
eq "$(head -c 1 <"/proc/$$/fd/5")" '{' "reading a file that was removed"
exec 5>&-
eq "$(within $((20 * SLOW)) cat "$M/by-name/after/wait")" COMPLETED "the job of a removed drop"

# A model that is forgotten while it is open: what was read stays right, and nothing hangs.
complete_job open
J=$(cd "$M/by-name/open" && pwd -P)
posts=$((posts + 1))
curl -sS -o "$T/direct.glb" "$(media_url "$J")"
exec 5<"$J/output.glb"
head -c 4 <&5 >"$T/head"
rm -r "$J"
within 10 cat <&5 >"$T/rest" 2>"$T/refused" || :
exec 5<&-
rest=$(stat -c %s "$T/rest")
cmp -n "$rest" "$T/rest" <(tail -c +5 "$T/direct.glb") || fail "a forgotten model gave other bytes"
free_of_charge "a model that was forgotten while open"

driver_stop

# --- starting

# A start that must fail: soon, with a status of mount(8) and a reason; nothing is mounted.
fails_with() { # status pattern arguments
	local status=0
	within 20 "$B/pixal3dfs" "${@:3}" >"$T/refused" 2>&1 || status=$?
	matches "$(cat "$T/refused")" "$2" "pixal3dfs ${*:3}"
	eq $status "$1" "status of pixal3dfs ${*:3}: $(cat "$T/refused")"
	eq "$(grep -c " $T/.* fuse.pixal3dfs " /proc/self/mountinfo || :)" "$([ "$DRIVER_PID" ] && echo 1 || echo 0)" \
		"mounts after pixal3dfs ${*:3}"
}
bad_usage() { # pattern arguments
	fails_with 1 "$@"
}
no_start() { # pattern arguments
	fails_with 32 "$@"
}

mkdir "$T/full"
: >"$T/full/file"
no_start 'not empty' "$GATEWAY" "$T/full" -o "$OPTIONS"
no_start 'No such file' "$GATEWAY" "$T/missing" -o "$OPTIONS"
no_start 'Not a directory|not a directory' "$GATEWAY" "$T/full/file" -o "$OPTIONS"
bad_usage 'ftp' ftp://127.0.0.1/ "$M" -o "$OPTIONS"
bad_usage 'https' http://gateway.example/ "$M" -o "$OPTIONS"
bad_usage 'nonsense' nonsense "$M" -o "$OPTIONS"
bad_usage 'colour' "$GATEWAY" "$M" -o "$OPTIONS,colour=red"
for bad in poll=never poll=-1 poll=0.2:0.1 submit=perhaps submit_wait=x log=loud ready_fd=x; do
	bad_usage "${bad%%=*}" "$GATEWAY" "$M" -o "$OPTIONS,$bad"
done
no_start 'state_dir|/dev/null' "$GATEWAY" "$M" -o "${OPTIONS/state_dir=*\/state,/state_dir=/dev/null,}"
bad_usage '[Uu]sage' "$GATEWAY"
bad_usage '[Uu]sage'

# The key.
no_key_options=${OPTIONS/key_file=*\/key,/}
for key in '' $'two\nlines' "$(head -c 600 /dev/zero | tr '\0' k)" $'control\x01character'; do
	(umask 077 && printf '%s' "$key" >"$T/bad-key")
	no_start 'key' "$GATEWAY" "$M" -o "$no_key_options,key_file=$T/bad-key"
done
chmod 640 "$T/key"
no_start 'key' "$GATEWAY" "$M" -o "$OPTIONS"
chmod 600 "$T/key"

# Books that are none are not overwritten.
mkdir "$T/strange"
driver_start "state_dir=$T/strange"
driver_stop
for file in "$T/strange"/*; do
	[ ! -s "$file" ] || echo "these are no books" >"$file"
done
find "$T/strange" -type f ! -name lock -exec md5sum {} + >"$T/before"
no_start 'state_dir|strange|store|books|database' "$GATEWAY" "$M" -o "$OPTIONS,state_dir=$T/strange"
md5sum -c --quiet "$T/before" || fail "strange books were overwritten"

# One state directory, one driver.
driver_start
mkdir "$T/second"
no_start "$DRIVER_PID|$M" "$GATEWAY" "$T/second" -o "$OPTIONS"
eq "$(cat "$M/by-name/after/status")" COMPLETED "the first driver after the second one's attempt"
no_start 'not empty|busy|mounted|state' "$GATEWAY" "$M" -o "$OPTIONS"
driver_stop

# A wrong key: it mounts, and says so when it is used.
expect_log '^pixal3dfs: warn: .*(refused|key|401)'
(umask 077 && echo wrong >"$T/wrong-key")
driver_start "key_file=$T/wrong-key"
refuses cp "$T/in" "$M/new/wrong.json"
matches "$(cat "$T/refused")" 'Key was rejected by service' "a wrong key"
matches "$(cat "$M/new/wrong.json.error")" '401' "the error file for a wrong key"
posts=$(ledger posts)
driver_stop
OPTIONS=$no_key_options
expect_log '^pixal3dfs: warn(ing)?: no key'
driver_start
refuses cp "$T/in" "$M/new/none.json"
matches "$(cat "$T/refused")" 'Required key not available' "no key"
matches "$(cat "$M/new/none.json.error")" 'PIXAZO_API_KEY' "the error file without a key"
posts_are "$posts" "without a key"
driver_stop
PIXAZO_API_KEY=$KEY driver_start
cp "$T/in" "$M/new/env.json"
! tr '\0' '\n' <"/proc/$DRIVER_PID/environ" | grep -q "$KEY" || fail "the key is in the environment"
! tr '\0' '\n' <"/proc/$DRIVER_PID/cmdline" | grep -q "$KEY" || fail "the key is on the command line"
driver_stop
OPTIONS+=",key_file=$T/key"

# --- a gateway that is none

port_of_nobody() {
	python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}
expect_log '^pixal3dfs: warn: '
dead=http://127.0.0.1:$(port_of_nobody)
driver_start "state_dir=$T/state-dead" "$dead"
within 10 cp "$T/in" "$M/new/queued.json" || fail "a drop that can wait was not taken"
eq "$(cat "$M/by-name/queued/status")" WAITING "a job for a closed port"
[ -s "$M/by-name/queued/error" ] || fail "no word of a closed port"
driver_stop
driver_start "state_dir=$T/state-dead,submit=sync" "$dead"
refuses within 10 cp "$T/in" "$M/new/sync.json"
matches "$(cat "$T/refused")" 'Connection refused' "a closed port with submit=sync"
driver_stop

mkdir "$T/web"
port=$(port_of_nobody)
python3 -m http.server --bind 127.0.0.1 --directory "$T/web" "$port" >"$T/web.log" 2>&1 &
web=$!
await 10 bash -c "exec 9<>/dev/tcp/127.0.0.1/$port"
driver_start "state_dir=$T/state-web" "http://127.0.0.1:$port"
within 10 cp "$T/in" "$M/new/web.json" || :
matches "$(cat "$M/by-name/web/status")" 'UNCERTAIN|REFUSED' "a job for a web server"
matches "$(cat "$M/by-name/web/error")" '501' "the error of a job for a web server"
within 5 cat "$M/by-name/web/wait" >"$T/waited"
driver_stop
kill $web
