# limit: 120
# shellcheck disable=SC2016
# defaults.json: below every job's own parameters, validated, kept, and saved by every editor.
. "$(dirname "$0")/lib.sh"

expect_log '^pixal3dfs: warn: .*outside the usual'
sandbox_start
driver_start
D=$M/defaults.json
posts=0

sent() { # drop filter value: what the newest job of that name was sent with
	posts=$((posts + 1))
	posts_are $posts "after $1"
	eq "$(jq -c "$2" "$M/by-name/$1/params.json")" "$3" "$2 of $1"
	jq -S . "$M/by-name/$1/params.json" >"$T/shown"
	sandbox_call "$GATEWAY/sandbox/received" | jq -S '.[-1].body | if type == "string" then fromjson else . end' |
		cmp - "$T/shown" || fail "params.json of $1 is not what was sent"
}

drop() { # name
	echo "https://images.example/$1.png" >"$M/new/$1.url"
}

in_force() { # text
	eq "$(cat "$D")" "$1" "the defaults"
}

in_force '{}'
eq "$(stat -c '%a %s' "$D")" "644 3" "defaults.json"
listed "$M" defaults.json || fail "defaults.json is not listed"
drop bare
sent bare .texture_size null

# --- below a job's own parameters

text='{"texture_size": 4096,   "ss_sampling_steps": 25}'
echo "$text" >"$D"
in_force "$text"
eq "$(stat -c %s "$D")" $((${#text} + 1)) "size of defaults.json"
drop url
sent url '[.texture_size, .ss_sampling_steps]' '[4096,25]'
echo '{"image_url": "https://images.example/x.png", "texture_size": 1024}' >"$M/new/own.json"
sent own '[.texture_size, .ss_sampling_steps]' '[1024,25]'
mkdir "$M/draft"
echo '{"ss_sampling_steps": 13}' >"$M/draft/params.json"
eq "$(jq -c . "$M/draft/params.json")" '{"ss_sampling_steps":13}' "a draft's parameters"
echo https://images.example/draft.png >"$M/draft/image_url"
sent draft '[.texture_size, .ss_sampling_steps]' '[4096,13]'
printf '{"image_url": "https://images.example/line.png", "texture_size": 2048}\n' >"$M/new/batch.jsonl"
sent batch-1 '[.texture_size, .ss_sampling_steps]' '[2048,25]'

# --- durable

driver_stop
driver_start
in_force "$text"
driver_kill
driver_start
in_force "$text"
drop kept
sent kept .texture_size 4096

# --- validated: what is refused changes nothing

refused() { # text pattern
	refuses bash -c 'echo "$1" >"$2"' - "$1" "$D"
	matches "$(cat "$T/refused")" 'Invalid argument' "$1"
	matches "$(cat "$D.error")" "$2" "defaults.json.error"
	matches "$(cat "$D.error")" 'The defaults are as they were' "defaults.json.error"
	in_force "$text"
}
refused '{"texture_size": 3000}' '^defaults.json: texture_size: 3000 is not one of 1024, 2048, 4096$'
refused '{"texture_siez": 1024}' 'did you mean texture_size'
refused '{"seed": 1}' 'seed: every job would get the same one'
refused '{"image_url": "https://images.example/x.png"}' 'image_url: it belongs to a job'
refused '{"seed": 1e}' 'line 1, column'
refused '[]' 'not an object'
refuses cp "$T/key" "$D"
printf '{"texture_size": 10' >"$D" # its end may yet come, and never does
await 5 grep -q 'ends before' "$D.error"
in_force "$text"
: >"$D"
in_force "$text"
drop same
sent same .texture_size 4096
echo '{"ss_sampling_steps": 70}' >"$D"
[ ! -e "$D.error" ] || fail "the error stays: $(cat "$D.error")"
drop warned
sent warned .ss_sampling_steps 70
matches "$(cat "$M/by-name/warned/error")" '70 is outside the usual 1 to 50' "a default outside of the usual"

# --- saved by programs

saved() { # how steps
	in_force "$(printf '{\n  "ss_sampling_steps": %s\n}' "$2")"
	drop "$1"
	sent "$1" .ss_sampling_steps "$2"
	eq "$(find "$M/" -maxdepth 1 ! -type d ! -type l -printf '%f\n' | sort | xargs)" "${3-}README defaults.json index.html jobs spend stats" \
		"files of the root after $1"
}
file() { # steps
	printf '{\n  "ss_sampling_steps": %s\n}\n' "$1" >"$T/new.json"
}
file 11; cp "$T/new.json" "$D"; saved cp 11
file 12; cp -p "$T/new.json" "$D"; saved cp-p 12
file 13; install -m 644 "$T/new.json" "$D"; saved install 13
file 14; rsync -aI "$T/new.json" "$D"; saved rsync 14
file 15; tee "$D" <"$T/new.json" >"$T/tee"; saved tee 15
file 16; dd if="$T/new.json" of="$D" bs=8 conv=fsync status=none; saved dd 16
sed -i 's/16/17/' "$D"; saved sed-i 17
perl -i -pe 's/17/18/' "$D"; saved perl-i 18
file 19; mv "$T/new.json" "$D"; saved mv 19
file 20; cp "$T/new.json" "$D.tmp"; mv "$D.tmp" "$D"; saved tmp-and-mv 20
vim -u DEFAULTS -es -c '%s/20/21/' -c wq "$D"; saved vim 21
vim -u DEFAULTS -es -c 'set backup' -c '%s/21/22/' -c wq "$D"; rm -f "$D~"; saved vim-backup 22
emacs -Q --batch --eval "(progn (find-file \"$D\") (while (search-forward \"22\" nil t) (replace-match \"23\"))
	(save-buffer))" >"$T/emacs" 2>&1
rm -f "$D~"
saved emacs 23
file 24; gio save "$D" <"$T/new.json"; saved gio-save 24
file 25; gio copy "$T/new.json" "$D"; saved gio-copy 25
jq '.ss_sampling_steps = 26' "$T/new.json" >"$D"; saved jq 26
python3 -c 'import sys; open(sys.argv[1], "w").write("{\n  \"ss_sampling_steps\": 27\n}\n")' "$D"; saved python 27
# What sed makes of it is not valid: sed says so.
refuses sed -i 's/ss_sampling_steps/ss_samplin_steps/' "$D"
matches "$(cat "$T/refused")" 'Bad message' "sed -i with an unknown parameter"
matches "$(cat "$D.error")" 'did you mean ss_sampling_steps' "sed -i with an unknown parameter"
rm -f "$M"/sed??????
cp "$D" "$T/again.json"
cp "$T/again.json" "$D"
saved again 27

# --- no defaults

rm "$D"
[ ! -e "$D" ] || fail "defaults.json is there after rm"
drop without
sent without .ss_sampling_steps null
driver_stop
driver_start
in_force '{}'
echo '{"mesh_scale": 2}' >"$D"
rm "$D"
echo '{"mesh_scale": 3}' >"$D"
in_force '{"mesh_scale": 3}'
drop scaled
sent scaled .mesh_scale 3

# --- nothing else is written in the root

for name in file dog.json .hidden sediment defaults.jsn README jobs by-name latest; do
	if [ -d "$M/$name" ] || [ -L "$M/$name" ]; then continue; fi
	refuses cp "$T/again.json" "$M/$name"
	refuses mv "$T/again.json" "$M/$name"
done
refuses mv "$D" "$M/elsewhere"
refuses rm "$M/README"
in_force '{"mesh_scale": 3}'
mv "$D" "$M/new/from-root.json" 2>"$T/refused" && fail "the defaults were moved away"
posts_are $posts "in the end"

# On a mount that never spends they cannot be changed.
driver_stop
driver_start ro
in_force '{"mesh_scale": 3}'
refuses cp "$T/again.json" "$D"
