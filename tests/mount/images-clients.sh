# limit: 120
# shellcheck disable=SC2016
# Every program that can write an image into new/ buys it once, and what is published is what it wrote in the end.
. "$(dirname "$0")/lib.sh"

# Columns: name, program.
rows() {
	cat <<-END
		cp              cp
		cp-reflink      cp
		cp-sparse       cp
		cp-a-xattr      setfattr
		cp-xattr        setfattr
		mv-in           mv
		mv-xattr        setfattr
		install         install
		tee             tee
		cat             cat
		two-cats        cat
		dd-7            dd
		dd-notrunc      dd
		dd-append       dd
		dd-truncated    dd
		two-dds         dd
		rsync           rsync
		rsync-inplace   rsync
		rsync-partial   rsync
		rsync-append    rsync
		rsync-prealloc  rsync
		curl            curl
		curl-http       curl
		curl-xattr      curl
		curl-continue   curl
		wget            wget
		wget-continue   wget
		tar             tar
		gio-copy        gio
		gio-save        gio
		busybox-cp      busybox
		python-shutil   python3
		seeks-back      python3
		backwards       python3
		fsync-seek-back python3
		as-vscode       python3
		as-nvim         python3
		as-thunar       python3
		as-gedit        python3
		as-dolphin      mv
		as-firefox      mv
		as-chromium     mv
		vim-wq          vim
	END
}

# Cut off with a part of the source there, as by a lost connection, and begun again.
beginning() { # source destination
	refuses cp "$T/part" "$2"
	matches "$(cat "$2.error")" 'ends early' "the beginning of an image"
}

write_pieces() { # source destination (offset length|fsync)...
	python3 -c 'import os, sys
data = open(sys.argv[1], "rb").read()
fd = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
for piece in sys.argv[3:]:
    if piece == "fsync":
        os.fsync(fd)
        continue
    at, end = (int(x) if x else None for x in piece.split(":"))
    os.pwrite(fd, data[at:end], at if at >= 0 else len(data) + at)
os.close(fd)' "$@"
}

save() { # name source destination
	local src=$2 dst=$3 server=http://127.0.0.1:$PORT
	case $1 in
	cp) cp "$src" "$dst" ;;
	cp-reflink) cp --reflink=auto "$src" "$dst" ;;
	cp-sparse) cp --sparse=always "$src" "$dst" ;;
	cp-a-xattr) cp -a "$src" "$dst" ;;
	cp-xattr) cp --preserve=xattr "$src" "$dst" || [ -s "$dst" ] ;;
	mv-in | mv-xattr) mv "$src" "$dst" ;;
	install) install -m 640 "$src" "$dst" ;;
	tee) tee "$dst" <"$src" >"$T/tee" ;;
	cat) cat "$src" >"$dst" ;;
	two-cats) bash -c '{ cat "$1"; cat "$2"; } >"$3"' - <(head -c 100 "$src") <(tail -c +101 "$src") "$dst" ;;
	dd-7) dd if="$src" of="$dst" bs=7 status=none ;;
	dd-notrunc) dd if="$src" of="$dst" conv=notrunc,fsync status=none ;;
	dd-append) dd if="$src" of="$dst" oflag=append conv=notrunc status=none ;;
	dd-truncated) dd if="$src" of="$dst" bs=100 seek=1 skip=1 status=none ||
		dd if="$src" of="$dst" bs=100 count=1 conv=notrunc status=none ;;
	two-dds) ! dd if="$src" of="$dst" bs=100 count=1 status=none &&
		dd if="$src" of="$dst" bs=100 skip=1 seek=1 conv=notrunc status=none ;;
	rsync) rsync -a "$src" "$dst" ;;
	rsync-inplace) rsync -a --inplace "$src" "$dst" ;;
	rsync-partial) beginning "$src" "$dst" && rsync -a --partial --no-whole-file "$src" "$dst" ;;
	rsync-append) beginning "$src" "$dst" && rsync -a --append-verify "$src" "$dst" ;;
	rsync-prealloc) rsync -a --preallocate "$src" "$dst" || rsync -a "$src" "$dst" ;;
	curl) curl -sS -o "$dst" "file://$src" ;;
	curl-http) curl -sS -o "$dst" "$server/${src##*/}" ;;
	curl-xattr) curl -sS --xattr -o "$dst" "$server/${src##*/}" ;;
	curl-continue) beginning "$src" "$dst" && curl -sS -C - -o "$dst" "file://$src" ;;
	wget) wget -q -O "$dst" "$server/${src##*/}" ;;
	wget-continue) beginning "$src" "$dst" && wget -q -c -P "${dst%/*}" "$server/${src##*/}" ;;
	tar) tar -C "${src%/*}" -c "${src##*/}" | tar -C "${dst%/*}" -x ;;
	gio-copy) gio copy "$src" "$dst" ;;
	gio-save) gio save "$dst" <"$src" ;;
	busybox-cp) busybox cp "$src" "$dst" ;;
	python-shutil) python3 -c 'import shutil, sys; shutil.copy2(*sys.argv[1:])' "$src" "$dst" ;;
	seeks-back) write_pieces "$src" "$dst" 40: 0:40 ;;
	backwards) write_pieces "$src" "$dst" 200: 100:200 1:100 0:1 ;;
	fsync-seek-back) write_pieces "$src" "$dst" 0:8 fsync 40: fsync 8:40 fsync 0:8 fsync ;;
	as-dolphin) cp "$src" "$dst.part" && mv "$dst.part" "$dst" ;;
	as-firefox) : >"$dst" && cp "$src" "${dst%.png}.a1B2c3.png.part" && mv "${dst%.png}.a1B2c3.png.part" "$dst" ;;
	as-chromium) cp "$src" "${dst%/*}/Unconfirmed 12.crdownload" && mv "${dst%/*}/Unconfirmed 12.crdownload" "$dst" ;;
	as-*) python3 "$ROOT/tests/tools/save_as.py" "${1#as-}" "$src" "$dst" ;;
	vim-wq) vim -u DEFAULTS -i NONE -es -c 'set binary' -c 'wq! '"$dst" "$src" ;;
	*) fail "no such row: $1" ;;
	esac
}

cat >"$T/publish" <<-'EOF'
	#!/bin/sh
	cp "$1" "$UPLOADS/bucket/" && echo "https://images.example/${1##*/}"
EOF
chmod +x "$T/publish"
mkdir "$T/bucket" "$T/source"
export UPLOADS=$T
OPTIONS+=",upload=exec:$T/publish"
PORT=$(free_port)
python3 -m http.server --bind 127.0.0.1 --directory "$T/source" "$PORT" >"$T/http.log" 2>&1 &
await 10 curl -sSf -o "$T/listing" "http://127.0.0.1:$PORT/"

image() { # name
	"$B/tools/small_image" png
	printf '%s %4000s' "$1" ''
}
"$B/tools/small_image" png | head -c 100 >"$T/part"

sandbox_start
control '{"balance": 1000}'
driver_start
written=()
while read -r name program; do
	if ! command -v "$program" >"$T/which"; then
		skip_row "$name" "no $program here"
		continue
	fi
	src=$T/source/$name.png
	image "$name" >"$src"
	cp "$src" "$T/kept-$name.png"
	case $name in
	*xattr) setfattr -n user.comment -v dog "$src" || skip_row "$name" "no xattrs here" ;;
	esac
	save "$name" "$src" "$M/new/$name.png" >"$T/saved" 2>&1 </dev/null ||
		fail "$name: status $?: $(cat "$T/saved")"
	written+=("$name")
done < <(rows)

for name in "${written[@]}"; do
	await 20 file_is "$M/by-name/$name/status" COMPLETED
	cmp "$M/new/$name.png" "$T/kept-$name.png" || fail "$name: another file"
	[ ! -e "$M/new/$name.png.error" ] || fail "$name: $(cat "$M/new/$name.png.error")"
	public=$T/bucket/$(basename "$(cat "$M/by-name/$name/image_url")")
	cmp "$public" "$T/kept-$name.png" || fail "$name: another image is public"
done
posts_are ${#written[@]} "in all"

# Programs that export an image write it, and then once more with what describes it: one image. Another picture by the
# same name is another one, and so is the same file copied twice.
described() { # image of the standard input, with a comment
	python3 -c 'import sys, zlib
data, text = sys.stdin.buffer.read(), b"Comment\0" + sys.argv[1].encode()
if data.startswith(b"\x89PNG"):
    chunk = b"tEXt" + text
    at, more = 33, len(text).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
else:
    at, more = 2, b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
sys.stdout.buffer.write(data[:at] + more + data[at:])' "$1"
}
posts_reach() { # count
	[ "$(ledger posts)" = "$1" ]
}
bought=${#written[@]}
for type in png jpg; do
	"$B/tools/small_image" $type >"$T/plain.$type"
	described gimp <"$T/plain.$type" >"$T/gimp-$type.$type"
	cat "$T/plain.$type" >"$M/new/gimp-$type.$type"
	cat "$T/gimp-$type.$type" >"$M/new/gimp-$type.$type"
	described exiftool <"$T/plain.$type" >"$T/exiftool-$type.$type"
	cp "$T/plain.$type" "$M/new/exiftool-$type.$type"
	cp "$T/exiftool-$type.$type" "$M/new/exiftool-$type.${type}_exiftool_tmp"
	mv "$M/new/exiftool-$type.${type}_exiftool_tmp" "$M/new/exiftool-$type.$type"
	{ cat "$T/plain.$type" && echo; } >"$M/new/twice-$type.$type"
	cp "$T/plain.$type" "$T/twice-$type.$type"
	cp "$T/plain.$type" "$M/new/twice-$type.$type"
	cp "$T/plain.$type" "$M/new/twice-$type.$type"
	for name in gimp exiftool twice; do
		job=$M/by-name/$name-$type
		await 20 file_is "$job/status" COMPLETED
		cmp "$T/bucket/$(basename "$(cat "$job/image_url")")" "$T/$name-$type.$type" || fail "$name: not the last"
		[ ! -e "$M/new/$name-$type.$type.error" ] || fail "$name: $(cat "$M/new/$name-$type.$type.error")"
	done
	bought=$((bought + 4))
	await 10 posts_reach $bought
done
eq "$(cut -f 3 "$M/jobs" | grep -cv -e COMPLETED -e status)" 0 "jobs that were called off"

python3 -c 'import sys, zlib
for n in (1, 2):
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    open(f"{sys.argv[1]}/palette{n}.png", "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR",
        bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0])) + chunk(b"PLTE", bytes([n, n, n])) +
        chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b""))' "$T"
cp "$T/palette1.png" "$M/new/palette.png"
cp "$T/palette2.png" "$M/new/palette.png"
await 20 file_is "$M/by-name/palette/status" COMPLETED
await 10 posts_reach $((bought + 2))
