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
