# Images for mount tests: source it after lib.sh.

# A real PNG file of noise, which is another one for each seed: 3 bytes a pixel, and few more.
noise() { # width height seed
	python3 - "$@" <<-'END'
		import random, struct, sys, zlib
		width, height, seed = map(int, sys.argv[1:])
		noise = random.Random(seed)
		def chunk(kind, data):
		    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
		rows = b"".join(b"\0" + noise.randbytes(3 * width) for _ in range(height))
		sys.stdout.buffer.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
		    + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))
	END
}

image() { # type text: another image for each text
	"$B/tools/small_image" "$1"
	printf %s "$2"
}

# $T/publish, for upload=exec: keeps each image in $T/bucket and tells it by a line in $T/begun and one in $T/published.
# It waits while $T/held is there, and refuses while $T/denied is.
publisher() {
	cat >"$T/publish" <<-'END'
		#!/bin/sh
		name=$(basename "$1")
		echo "$name" >>"$UPLOADS/begun"
		while [ -e "$UPLOADS/held" ]; do sleep 0.02; done
		if [ -e "$UPLOADS/denied" ]; then echo "bucket: access denied" >&2; exit 77; fi
		cp "$1" "$UPLOADS/bucket/$name" && echo "$name" >>"$UPLOADS/published"
		echo "https://images.example/$name"
	END
	chmod +x "$T/publish"
	mkdir "$T/bucket"
	: >"$T/published"
	export UPLOADS=$T
}
