# limit: 120
# What a file manager shows of a folder of models: a picture of each that is on this disk. A look at a folder fetches
# nothing; a model that appears, and one that has come in, is drawn without a reload.
. "$(dirname "$0")/lib.sh"

for program in f3d getfattr xvfb-run; do
	command -v $program >"$T/which" || skip "there is no $program here"
done

draw() { # model
	rm -f "$T/picture.png"
	"$ROOT/contrib/p3d" thumbnail "$1" "$T/picture.png" 128 >"$T/drawn" 2>&1
}

is_drawn() { # what
	local colours
	colours=$(python3 "$ROOT/tests/tools/png_colours.py" "$T/picture.png") || fail "$1: no picture"
	[ "$colours" -ge 50 ] || fail "$1: $colours colours"
}

fetched() { # bytes what
	eq "$(ledger cdn_bytes)" "$1" "bytes fetched $2"
}

sandbox_start
driver_start

# --- what the thumbnailer does

complete_job dog
dog=$M/by-name/dog/output.glb
size=$(stat -L -c %s "$dog")
refuses draw "$dog"
matches "$(cat "$T/drawn")" "0 of its $size bytes are here; no more are fetched" "why there is no picture"
[ ! -e "$T/picture.png" ] || fail "a picture of what is not here"
fetched 0 "for a picture"

cp -L "$dog" "$T/copy.glb"
draw "$dog" || fail "no picture: $(cat "$T/drawn")"
is_drawn "a model that is here"
draw "$T/copy.glb" || fail "no picture: $(cat "$T/drawn")"
is_drawn "a file that is no mount's"
fetched "$size" "in all"

# One that is coming in is waited for; one that has stopped in the middle is not.
control '{"output_bytes": 10000000, "faults": [{"at": "cdn", "do": "stall_after", "bytes": 1000000, "times": 0}]}'
complete_job cat
cat=$M/by-name/cat/output.glb
(cat "$cat" >"$T/cat.glb") &
reader=$!
has_some() {
	[ "$(getfattr --only-values -n user.pixal3d.cached "$cat")" -gt 0 ]
}
await 10 has_some
refuses draw "$cat"
matches "$(cat "$T/drawn")" 'no more are fetched' "a model that has stopped"
control '{"output_bytes": 0, "faults": []}'
release stall
wait $reader
draw "$cat" || fail "no picture: $(cat "$T/drawn")"
is_drawn "a model that came in"

# --- a file manager

for program in thunar dbus-run-session Xvfb; do
	command -v $program >"$T/which" || { skip_row "file manager" "there is no $program here"; exit 0; }
done
[ -x "$(find /usr/lib -name tumblerd -print -quit)" ] || { skip_row "file manager" "there is no tumbler here"; exit 0; }

# Each time that it wants a picture is noted.
mkdir -p "$HOME/.local/share/thumbnailers" "$T/bin"
cp "$ROOT/contrib/desktop/pixal3dfs.thumbnailer" "$HOME/.local/share/thumbnailers/"
cat >"$T/bin/p3d" <<END
#!/bin/bash
"$ROOT/contrib/p3d" "\$@" 2>>"$T/thumbnailer.err"
status=\$?
echo "\$2 \$status" >>"$T/asked"
exit \$status
END
chmod +x "$T/bin/p3d"
: >"$T/asked"

Xvfb -displayfd 8 -screen 0 800x600x24 -nolisten tcp 8>"$T/display" >"$T/xvfb.log" 2>&1 &
xvfb=$!
await 10 test -s "$T/display"
# It shows a draft, which becomes a model before its eyes.
mkdir "$M/fox"
mkdir -m 700 "$T/run"
mkfifo "$T/end"
# shellcheck disable=SC2016  # for the shell below the bus
PATH=$T/bin:$PATH DISPLAY=:$(cat "$T/display") XDG_RUNTIME_DIR=$T/run dbus-run-session -- \
	bash -c 'thunar "$1" & read -r _ <"$2"; kill $!' - "$M/fox" "$T/end" >"$T/thunar.log" 2>&1 &
desktop=$!

asked() { # status
	grep -qxF "$M/fox/output.glb $1" "$T/asked"
}

shown() {
	local pid inode
	inode=$(stat -c %i "$M/fox")
	pid=$(pgrep -x thunar -P "$(pgrep -x bash -P $desktop)") &&
		grep -qs "^inotify .* ino:$(printf %x "$inode") " "/proc/$pid/fdinfo/"*
}
await 30 shown
bytes=$(ledger cdn_bytes)
echo https://images.example/fox.png >"$M/fox/image_url"
await 30 asked 1
fetched "$bytes" "by a file manager that shows a new model"
cat "$M/fox/output.glb" >"$T/fox.glb"
await 30 asked 0
fetched $((bytes + $(stat -c %s "$M/fox/output.glb"))) "by who has read the model"
picture=$HOME/.cache/thumbnails/normal/$(printf 'file://%s' "$M/fox/output.glb" | md5sum | cut -d ' ' -f 1).png
await 10 test -s "$picture"
cp "$picture" "$T/picture.png"
is_drawn "the model in the file manager"

echo >"$T/end"
wait $desktop || :
kill $xvfb
wait $xvfb || :
