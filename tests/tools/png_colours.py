"""Prints how many different colours a PNG has (8 bits a channel, not interlaced)."""
import struct
import sys
import zlib

data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
at, pixels = 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at : at + 8])
    body = data[at + 8 : at + 8 + size]
    if kind == b"IHDR":
        width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
    elif kind == b"IDAT":
        pixels += body
    at += 12 + size
assert depth == 8 and interlace == 0
channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
raw = zlib.decompress(pixels)
stride = width * channels
before, colours = bytearray(stride), set()
for y in range(height):
    start = y * (stride + 1)
    kind, line = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
    for x in range(stride):
        left = line[x - channels] if x >= channels else 0
        up = before[x]
        corner = before[x - channels] if x >= channels else 0
        if kind == 1:
            add = left
        elif kind == 2:
            add = up
        elif kind == 3:
            add = (left + up) // 2
        elif kind == 4:
            p = left + up - corner
            add = min((left, up, corner), key=lambda v: abs(p - v))
        else:
            add = 0
        line[x] = (line[x] + add) & 255
    colours.update(bytes(line[x : x + channels]) for x in range(0, stride, channels))
    before = line
print(len(colours))
