# Outputs are GLB files that follow the parameters, and the same for the same parameters.
. "$(dirname "$0")/lib.sh"

start

le32() { # offset
	od -An -tu4 -j"$1" -N4 "$T/body" | tr -d ' '
}

# Gets the output of a request with these members; its JSON chunk is in $T/gltf.
make() { # members
	submit "{\"image_url\":\"https://h.example/${2:-dog}.png\",$1}"
	eq "$CODE" 202 "code of $1"
	get "$CDN/v1/$(body .request_id)/output.glb"
	eq "$(head -c 4 "$T/body") $(le32 4) $(le32 8)" "glTF 2 $(size "$T/body")" "GLB header"
	eq "$(od -An -c -j16 -N4 "$T/body" | tr -d ' ')" JSON "first chunk"
	slice "$T/body" 20 "$(le32 12)" | jq -c . >"$T/gltf"
	eq "$(jq '.buffers[0].byteLength' "$T/gltf")" "$(le32 $((20 + $(le32 12))))" "BIN chunk"
	eq $((28 + $(le32 12) + $(jq '.buffers[0].byteLength' "$T/gltf"))) "$(size "$T/body")" "chunks and file"
}
near() { # actual wanted percent what
	awk -v a="$1" -v b="$2" -v p="$3" 'BEGIN { exit !(a > b * (1 - p / 100) && a < b * (1 + p / 100)) }' ||
		fail "$4: $1 is not near $2"
}
extent() {
	jq '.accessors[0]|.max[1]-.min[1]' "$T/gltf"
}

for n in 500 5000 50000; do
	make "\"decimation_target\":$n,\"texture_size\":1024,\"seed\":4"
	near "$(jq '.accessors[0].count' "$T/gltf")" $n 10 "vertices"
	eq "$(jq '[.accessors[].count]|.[0]==.[1] and .[0]==.[2]' "$T/gltf")" true "attributes"
done
height=$(extent)
make '"decimation_target":50000,"texture_size":1024,"seed":4,"mesh_scale":2.5'
near "$(extent)" "$(jq -n "$height*2.5")" 0.01 "mesh_scale"

# Textures are PNG images of their size.
for n in 1024 2048 4096; do
	make "\"decimation_target\":500,\"texture_size\":$n,\"seed\":4"
	for view in 4 5; do
		at=$((28 + $(le32 12) + $(jq ".bufferViews[$view].byteOffset" "$T/gltf")))
		eq "$(od -An -tx1 -j$at -N8 "$T/body" | tr -d ' ')" 89504e470d0a1a0a "PNG"
		eq "$(od -An --endian=big -tu4 -j$((at + 16)) -N8 "$T/body" | tr -s ' ')" " $n $n" "its size"
	done
done

# The default's size is that of a real one.
make '"seed":1'
near "$(size "$T/body")" 13000000 54 "bytes of a default output"
make '"seed":1,"texture_size":4096'
near "$(size "$T/body")" 45000000 34 "bytes with a large texture"

# Equal parameters, equal files; a default given is a default left out.
small='"decimation_target":800,"texture_size":1024'
make "$small,\"seed\":1"
cp "$T/body" "$T/first"
etag=$(head_of etag)
make "$small,\"seed\":1,\"resolution\":1024,\"mesh_scale\":1"
cmp "$T/body" "$T/first"
eq "$(head_of etag)" "$etag" "ETag of an equal file"
for other in "$small,\"seed\":2" "$small,\"seed\":1,\"remesh\":false" "$small,\"seed\":1,\"resolution\":1536"; do
	make "$other"
	! cmp -s "$T/body" "$T/first" || fail "the same file for $other"
	[ "$(head_of etag)" != "$etag" ] || fail "the same ETag for $other"
done
make "$small,\"seed\":1" cat
! cmp -s "$T/body" "$T/first" || fail "the same file for another image"

# Numbers that make no sense make a file all the same.
for odd in '"decimation_target":-5' '"decimation_target":0' '"mesh_scale":0' '"mesh_scale":-1e300' \
	'"mesh_scale":1e-300' '"seed":-9223372036854775808' '"seed":9223372036854775807'; do
	make "\"texture_size\":1024,$odd"
done

# Exact sizes.
for n in 8192 100000 1048576 67108864; do
	control "{\"output_bytes\":$n}"
	make '"seed":1'
	eq "$(size "$T/body")" $n "output_bytes"
done
