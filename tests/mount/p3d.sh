# limit: 120
# shellcheck disable=SC2016
# The command for people: submits, lists, waits, fetches and shows, with the mount's own words, on a terminal and in
# a script.
. "$(dirname "$0")/lib.sh"

P3D=$ROOT/contrib/p3d
export P3D_MOUNT=$M
odd=$'a b\nç'

p3d() { # in $T/out and $T/err; the status in $STATUS
	STATUS=0
	within $((40 * SLOW)) "$P3D" "$@" >"$T/out" 2>"$T/err" </dev/null || STATUS=$?
}

says() { # status output what
	eq "$STATUS" "$1" "status of $3 ($(cat "$T/err"))"
	eq "$(cat "$T/out")" "$2" "output of $3"
}

complains() { # extended-regular-expression what
	eq "$STATUS" 1 "status of $2"
	matches "$(cat "$T/err")" "$1" "what is said of $2"
	eq "$(cat "$T/out")" "" "output of $2"
}

sent() { # job jq-filter value
	eq "$(jq -c "$2" "$M/$1/params.json")" "$3" "$2 of $1"
}

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: .*(refused|balance|lines)'

# --- submit: the path is known, values have their types, and nothing is left of what was not sent

p3d submit 'https://images.example/a/dog.v2.png?x=1#y'
says 0 "$M/dog.v2" "a URL"
p3d submit texture_size=1024 https://images.example/cat.png remesh=false mesh_scale=1.5 seed=7
says 0 "$M/cat" "a URL with parameters"
sent cat '[.texture_size, .remesh, .mesh_scale, .seed, .image_url]' \
	'[1024,false,1.5,7,"https://images.example/cat.png"]'
p3d submit https://images.example/cat.png https://images.example/.png
says 0 "$M/cat-2"$'\n'"$M/image" "two URLs, one of a name that is taken"
params "$T/$odd.json" https://images.example/odd.png
p3d submit "$T/$odd.json"
says 0 "$M/$odd" "a file of an odd name"
p3d submit -n fox "$T/$odd.json" texture_size=4096 'image_url=https://images.example/"q\,x}.png'
says 0 "$M/fox" "a file with parameters"
sent fox '[.texture_size, .decimation_target, .image_url]' '[4096,5000,"https://images.example/\"q\\,x}.png"]'
posts=6
posts_are $posts "after six submissions"

p3d submit https://images.example/bad.png texture_siez=1024
complains '^p3d: bad: .*texture_siez: unknown parameter, did you mean texture_size' "a wrong parameter"
[ ! -e "$M/bad" ] || fail "a directory of what was not sent"
p3d submit "$T/none.json"
complains 'none.json: there is no such file' "a file that is not there"
echo '{"image_url": ' >"$T/part.json"
p3d submit "$T/part.json"
complains 'no whole JSON object' "half a request"
[ ! -e "$M/part" ] || fail "a directory of half a request"
echo hello >"$T/note.txt"
p3d submit "$T/note.txt"
complains 'nothing was sent' "a file that is no request"
[ ! -e "$M/new/note.txt" ] || fail "what is no request stays in new/"
control '{"balance": 0.01}'
p3d submit https://images.example/dear.png
complains '^p3d: dear: .*Insufficient Balance.*HTTP 402' "an empty wallet"
eq "$(cat "$M/dear/status")" REFUSED "a refused job"
control '{"balance": 100}'
posts_are $((posts + 1)) "after refusals"

printf 'https://images.example/1.png\n\n# three\nhttps://images.example/4.png' >"$T/pack.url"
p3d submit "$T/pack.url"
says 0 "$M/by-name/pack-1"$'\n'"$M/by-name/pack-4" "a list"
{ head -c -1 "$T/pack.url" && printf 'x\nnonsense\n'; } >"$T/worse.url"
p3d submit "$T/worse.url"
eq $STATUS 1 "status of a list with a wrong line"
eq "$(cat "$T/out")" "$M/by-name/worse-1"$'\n'"$M/by-name/worse-4" "the jobs of a list with a wrong line"
matches "$(cat "$T/err")" 'line 5' "what is said of a wrong line"
p3d submit "$T/pack.url" seed=1
complains 'KEY=VALUE' "parameters of a list"

# --- images of one's own, with parameters beside them

"$B/tools/small_image" png >"$T/own.png"
p3d submit "$T/own.png"
complains 'own.png: .*upload=' "an image without upload="
driver_stop
printf '#!/bin/sh\necho https://images.example/own.png\n' >"$T/publish"
chmod +x "$T/publish"
driver_start "upload=exec:$T/publish"
p3d submit "$T/own.png" seed=7
says 0 "$M/by-name/own" "an image"
await 20 file_is "$M/by-name/own/status" COMPLETED
sent by-name/own '[.seed, .image_url]' '[7,"https://images.example/own.png"]'
cp "$T/own.png" "$T/other.PNG"
p3d submit "$T/other.PNG" seed=x
complains 'other.PNG: .*seed' "an image with a wrong parameter"
eq "$(find "$M/new" -name "other*" ! -name "*.error")" "" "what stays of it in new/"

# --- wait and ls

p3d wait
p3d wait
says 0 "" "waiting when all have ended"
control '{"queue_time": 1000}'
p3d submit https://images.example/slow.png
"$P3D" wait >"$T/waited" &
waiter=$!
opened() {
	{ readlink /proc/[0-9]*/fd/* 2>/dev/null || :; } | grep -qx "$M/slow/wait"
}
await 10 opened
is_running $waiter || fail "wait did not wait: $(cat "$T/waited")"
control '{"queue_time": 0}'
advance COMPLETED
wait $waiter
eq "$(cat "$T/waited")" "COMPLETED  slow" "waiting for what has not ended"
p3d wait cat "$M/by-name/pack-4" "$odd"
says 0 "COMPLETED  cat"$'\n'"COMPLETED  pack-4"$'\n'"COMPLETED  \$'a b\\nç'" "wait"
p3d submit https://images.example/owl-fail.png
p3d wait cat owl-fail
eq "$STATUS" 1 "waiting for one that failed"
matches "$(tr '\n' ' ' <"$T/out")" '^COMPLETED  cat FAILED     owl-fail +The generation failed' "a failed job"
p3d wait nobody
complains 'no job nobody' "waiting for no job"
p3d ls
eq "$(awk 'NR == 1 || $NF == "cat" { print $1, $NF }' "$T/out")" $'STATUS JOB\nCOMPLETED cat' ls
matches "$(cat "$T/out")" "COMPLETED .* 0\.30 +[0-9.]+ MB  pixal3d_[-0-9a-f]+  \(pack-1\)|0\.42" "a dropped job in ls"
eq "$(wc -l <"$T/out")" "$(wc -l <"$M/jobs")" "lines of ls"

# --- get: whole, with where it is from

mkdir "$T/in to"
p3d get cat "$odd" by-name/../pack-1 "$T/in to/"
eq "$STATUS" 1 "get with one that is not there"
for name in cat "$odd"; do
	cmp "$M/$name/output.glb" "$T/in to/$name.glb"
	cmp "$M/$name/params.json" "$T/in to/$name.params.json"
	[ ! -e "$M/$name/output.json" ] || cmp "$M/$name/output.json" "$T/in to/$name.output.json"
	[ -w "$T/in to/$name.glb" ] || fail "a copy that cannot be written"
	eq "$(stat -c %Y "$T/in to/$name.glb")" "$(stat -c %Y "$M/$name/output.glb")" "mtime of the copy of $name"
done
eq "$(cat "$T/out")" "$T/in to/cat.glb"$'\n'"$T/in to/$odd.glb" "what get prints"
eq "$(find "$T/in to" -name '.*')" "" "hidden files left by get"
if command -v getfattr >"$T/which" && setfattr -n user.probe -v 1 "$T/note.txt" 2>"$T/which"; then
	eq "$(getfattr --only-values -n user.pixal3d.seed "$T/in to/cat.glb")" 7 "the seed of a copy"
	eq "$(getfattr --only-values -n user.pixal3d.sha256 "$T/in to/cat.glb")" "$(digest "$M/cat/output.glb")" "the digest of a copy"
else
	skip_row "get keeps attributes" "no getfattr here, or no attributes on ${T%/*}"
fi
p3d get cat "$T/nowhere"
eq $STATUS 2 "get into no directory"
p3d get owl-fail "$T/in to"
eq $STATUS 1 "get of a failed job"
p3d get latest pack-1 "$T/in to"
[ -e "$T/in to/pack-1.glb" ] || fail "no pack-1.glb"
p3d submit "$T/in to/cat.params.json"
says 0 "$M/cat-3" "what get has brought, again"

# --- open

printf '#!/bin/sh\necho "showing $1"\n' >"$T/viewer"
chmod +x "$T/viewer"
export P3D_VIEWER=$T/viewer
p3d open cat
says 0 "showing $M/cat/output.glb" open

# --- which mount

P3D_MOUNT=$T p3d ls
eq "$STATUS" 2 "a mount that is none"
if unshare -m --propagation private true 2>"$T/which"; then
	# Those of other tests, and then this one too, are taken out of a namespace of its own.
	unshare -m --propagation private bash -c '
		unset P3D_MOUNT
		mapfile -t dirs < <(sed -n "s/^[^ ]* \([^ ]*\) fuse.pixal3dfs .*/\1/p" /proc/mounts)
		for dir in "${dirs[@]}"; do
			[ "$dir" = "$1" ] || umount -l "$dir"
		done
		mkdir "$3/a b" && "$2" wait cat && mount --bind "$1" "$3/a b" && ! "$2" ls && umount "$3/a b" &&
			umount -l "$1" && ! "$2" ls' - "$M" "$P3D" "$T" >"$T/out" 2>"$T/err" ||
		fail "the mount that is found: $(cat "$T/out" "$T/err")"
	eq "$(cat "$T/out")" "COMPLETED  cat" "the only mount"
	matches "$(cat "$T/err")" "several mounts; .*$T/a b" "two mounts"
	matches "$(cat "$T/err")" "no pixal3dfs is mounted" "no mount"
else
	skip_row "finding the mount" "wants a mount namespace of its own: $(cat "$T/which")"
fi

# --- on a terminal

command -v tmux >"$T/which" || { skip_row terminal "no tmux here"; exit 0; }
tmux=(tmux -S "$T/tmux" -f /dev/null)
TERM=xterm "${tmux[@]}" new-session -d -x 90 -y 12 "PS1='> ' bash --norc"
"${tmux[@]}" set -g status off

typed() { # text key
	"${tmux[@]}" send-keys -t 0 "$@"
}

screen_has() { # extended-regular-expression
	"${tmux[@]}" capture-pane -p -t 0 >"$T/screen"
	grep -Eq -- "$1" "$T/screen"
}

shows() { # extended-regular-expression what
	(await 15 screen_has "$1") || fail "$2, on the screen: $(cat "$T/screen")"
}

cursor_is_there() {
	eq "$("${tmux[@]}" display-message -p -t 0 '#{cursor_flag}')" 1 "the cursor after $1"
}

control '{"queue_time": 1000, "process_time": 1000}'
p3d submit https://images.example/t1.png https://images.example/t2.png
shows '^>' "a prompt"
typed "clear; $P3D wait; echo status \$?" Enter
shows '^QUEUED     t1$' "a row"
shows '^QUEUED     t2$' "the other row"
shows '^[-─]{30} 0 of 2  0:0|^\.{30} 0 of 2  0:' "the bar"
advance PROCESSING "$(cat "$M/t2/request_id")"
shows '^PROCESSING t2$' "a row that changes"
advance COMPLETED "$(cat "$M/t1/request_id")"
shows '1 of 2  0:' "the bar at one half"
shows '^COMPLETED  t1$' "the line of a job that has ended"
typed C-c
shows '^(\^C)?status 130$' "the status after Ctrl-C"
screen_has '1 of 2' && fail "the picture stays after Ctrl-C: $(cat "$T/screen")"
cursor_is_there Ctrl-C
typed "clear; $P3D wait t1 t2; echo status \$?" Enter
shows '^PROCESSING t2$' "the table again"
advance COMPLETED
shows '^status 0$' "the end"
eq "$(grep -c '^COMPLETED  t[12]$' "$T/screen")" 2 "lines at the end"
cursor_is_there wait

control '{"queue_time": 0, "process_time": 0, "output_bytes": 10000000, "faults":
	[{"at": "cdn", "do": "stall_after", "bytes": 1000000, "times": 0}]}'
p3d submit https://images.example/big.png
p3d wait big
typed "clear; $P3D get big $T; echo status \$?" Enter
shows '[━#]+[─.]+ big.glb +[0-9]+%  [0-9]\.[0-9] of 10\.0 MB  [0-9.]+ MB/s$' "the bar of a download"
typed C-c
shows '^(\^C)?status 130$' "the status of a download that was broken off"
cursor_is_there "a download that was broken off"
await 5 test ! -e "$T/.big.glb.part"
control '{"faults": []}'
release stall
typed "clear; $P3D get big $T; echo status \$?" Enter
shows '^status 0$' "a download"
cmp "$M/big/output.glb" "$T/big.glb"
"${tmux[@]}" kill-server
