# limit: 300
# Every program that opens a model gets the CDN's bytes, cold, and they are fetched once: what it says of the model in the
# mount is what it says of a copy.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start

# A job of its own for each client: nothing of it is in a cache.
cold() { # name: makes F the path of a model that nobody has read, and DIRECT a copy from the CDN
	params "$T/$1.json"
	cp "$T/$1.json" "$M/new/"
	eq "$(within $((30 * SLOW)) cat "$M/by-name/$1/wait")" COMPLETED "wait of $1"
	F=$M/by-name/$1/output.glb
	await 10 test -e "$F"
	DIRECT=$T/$1.glb
	curl -sS -o "$DIRECT" "$(media_url "$M/by-name/$1")"
	SIZE=$(stat -c %s "$DIRECT")
	eq "$(stat -L -c %s "$F")" "$SIZE" "size before $1 reads"
	SUM=$(digest "$DIRECT")
	bytes=$(ledger cdn_bytes)
	before=$(received)
}

# By the driver. (The gateway counts a transfer when it ends.)
received() { awk '$1 == "bytes" { print $2 }' "$M/stats"; }

# After the client: it fetched of the model what it wanted, and the rest of it, once read, makes it once.
once() { # name
	local fetched=$(($(received) - before))
	[ $fetched -gt 0 ] || fail "$1 fetched nothing"
	[ $fetched -le "$SIZE" ] || fail "$1 fetched $fetched bytes of a model of $SIZE"
	eq "$(digest "$F")" "$SUM" "the model after $1"
	eq $(($(received) - before)) "$SIZE" "bytes fetched by $1 and a whole read"
	await 5 sent_is $((bytes + SIZE))
}

sent_is() { # bytes
	[ "$(ledger cdn_bytes)" = "$1" ]
}

# In the file itself.
vertices() { # file
	python3 -c 'import json, struct, sys
data = open(sys.argv[1], "rb").read()
gltf = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
primitives = [p for mesh in gltf["meshes"] for p in mesh["primitives"]]
print(sum(gltf["accessors"][p["attributes"]["POSITION"]]["count"] for p in primitives))' "$1"
}

same() { # file what
	cmp "$1" "$DIRECT" || fail "$2 got something else"
}

have() { # row program
	command -v "$2" >"$T/which" || { skip_row "$1" "no $2 here"; return 1; }
}

client() { # name
	case $1 in
	cat) cat "$F" >"$T/got" && same "$T/got" cat ;;
	busybox-cat) busybox cat "$F" >"$T/got" && same "$T/got" "busybox cat" ;;
	cp) cp "$F" "$T/got" && same "$T/got" cp ;;
	cp-sparse) cp --sparse=always "$F" "$T/got" && same "$T/got" "cp --sparse" ;;
	rsync) rsync -aL "$F" "$T/got" && same "$T/got" rsync ;;
	tar)
		# All of the directory, which is to stay as it is while its model comes in.
		tar -chf "$T/tar" -C "$M/by-name" tar && tar -xf "$T/tar" -O tar/output.glb >"$T/got" && same "$T/got" tar
		;;
	sha256sum) eq "$(sha256sum "$F" | cut -d ' ' -f 1)" "$SUM" sha256sum ;;
	dd-backwards)
		python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
size, parts = os.fstat(fd).st_size, []
step = 65536
for at in reversed(range(0, size, step)):
    parts.append(os.pread(fd, step, at))
open(sys.argv[2], "wb").write(b"".join(reversed(parts)))' "$F" "$T/got" && same "$T/got" pread
		;;
	tail-first)
		tail -c 4096 "$F" >"$T/got"
		cmp "$T/got" <(tail -c 4096 "$DIRECT") || fail "tail got something else"
		cat "$F" >"$T/got" && same "$T/got" "cat after tail"
		;;
	mmap)
		python3 -c 'import hashlib, mmap, sys
with open(sys.argv[1], "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
    print(hashlib.sha256(m).hexdigest())' "$F" >"$T/got" && eq "$(cat "$T/got")" "$SUM" mmap
		;;
	sendfile)
		python3 -c 'import os, sys
src, dst = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
at = 0
while n := os.sendfile(dst, src, at, 1 << 20):
    at += n' "$F" "$T/got" && same "$T/got" sendfile
		;;
	grep)
		grep -rc JSON "${F%/*}/" >"$T/got"
		grep -qxF "$F:$(grep -c JSON "$DIRECT")" "$T/got" || fail "grep -r: $(cat "$T/got")"
		;;
	file) matches "$(file -bL "$F")" "^glTF binary model, version 2, length $SIZE bytes" file ;;
	assimp)
		within $((60 * SLOW)) assimp info "$F" >"$T/got" 2>&1 || fail "assimp: $(cat "$T/got")"
		eq "$(sed -n 's/^Vertices: *\([0-9]*\).*/\1/p' "$T/got")" "$(vertices "$DIRECT")" "vertices by assimp"
		;;
	f3d)
		within $((120 * SLOW)) xvfb-run -a f3d --output="$T/f3d.png" --resolution=320,240 "$F" \
			>"$T/got" 2>&1 || fail "f3d: $(cat "$T/got")"
		colours=$(python3 "$ROOT/tests/tools/png_colours.py" "$T/f3d.png")
		[ "$colours" -ge 50 ] || fail "f3d draws $colours colours"
		;;
	blender)
		# The importer of Blender 3.4 wants numpy.bool, which Debian 12's numpy has no more.
		within $((120 * SLOW)) blender --background --factory-startup --python-exit-code 1 --python-expr \
			'import bpy, numpy, sys
hasattr(numpy, "bool") or setattr(numpy, "bool", bool)
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=sys.argv[-1])
print("VERTICES", sum(len(o.data.vertices) for o in bpy.data.objects if o.type == "MESH"))' \
			-- "$F" >"$T/got" 2>&1 || fail "blender: $(cat "$T/got")"
		eq "$(sed -n 's/^VERTICES //p' "$T/got")" "$(vertices "$DIRECT")" "vertices by blender"
		;;
	gltf-transform)
		NODE_PATH=$B/npm/node_modules node -e '
			const { NodeIO } = require("@gltf-transform/core");
			new NodeIO().read(process.argv[1]).then((document) => {
				const positions = document.getRoot().listMeshes()[0].listPrimitives()[0].getAttribute("POSITION");
				console.log(positions.getCount());
			}, (e) => { console.log(e); process.exit(2); });' "$F" >"$T/got" || fail "gltf-transform: $(cat "$T/got")"
		eq "$(cat "$T/got")" "$(vertices "$DIRECT")" "vertices by gltf-transform"
		;;
	gltfpack)
		for file in "$F" "$DIRECT"; do
			node "$B/npm/node_modules/gltfpack/cli.js" -i "$file" -o "$T/packed-${#file}.glb" >"$T/got" 2>&1 ||
				fail "gltfpack: $(cat "$T/got")"
		done
		eq "$(head -c 4 "$T/packed-${#F}.glb")" glTF "what gltfpack makes"
		cmp "$T/packed-${#F}.glb" "$T/packed-${#DIRECT}.glb" || fail "gltfpack makes something else of it"
		;;
	gltf-validator)
		node -e '
			const fs = require("fs"), [module, file] = process.argv.slice(1);
			require(module).validateBytes(new Uint8Array(fs.readFileSync(file))).then((r) => {
				console.log(JSON.stringify(r.issues));
				process.exit(r.issues.numErrors || r.issues.numWarnings ? 1 : 0);
			}, (e) => { console.log(e); process.exit(2); });' \
			"$B/npm/node_modules/gltf-validator" "$F" >"$T/got" || fail "validator: $(cat "$T/got")"
		;;
	esac
}

# These come from npm, once for a build.
modules() { # row
	local packages=(gltf-validator@2.0.0-dev.3.10 gltfpack@1.3.0 @gltf-transform/core@4.1.2)
	have "$1" npm && have "$1" node || return 1
	[ -e "$B/npm/installed" ] || {
		HOME=$REAL_HOME timeout 120 npm install --silent --no-audit --no-fund --prefix "$B/npm" "${packages[@]}" \
			>"$T/npm" 2>&1 && : >"$B/npm/installed"
	} || {
		skip_row "$1" "npm cannot install ${packages[*]}: $(tail -n 1 "$T/npm")"
		return 1
	}
}

can() { # name: its programs are here
	case $1 in
	rsync | assimp | file | blender) have "$1" "$1" ;;
	busybox-cat) have "$1" busybox ;;
	f3d) have f3d f3d && have f3d xvfb-run ;;
	gltf-* | gltfpack) modules "$1" ;;
	esac
}

for name in cat busybox-cat cp cp-sparse rsync tar sha256sum dd-backwards tail-first mmap sendfile grep file \
	assimp f3d blender gltf-validator gltf-transform gltfpack; do
	can $name || continue
	cold $name
	rm -rf "$T/got"
	client $name || fail "$name: status $?"
	once $name
done

# Those who only look fetch nothing, and ask for nothing.
cold look
requests=$(ledger cdn_requests)
D=$(cd "$M/by-name/look" && pwd -P)
looks() { # row command...: the command succeeds, and no byte is fetched
	local row=$1
	shift
	have "$row" "$1" || return 0
	"$@" >"$T/got" 2>&1 </dev/null || fail "$row: status $?: $(cat "$T/got")"
	eq "$(ledger cdn_requests) $(received)" "$requests $before" "requests, and bytes fetched, by $row"
}

looks ls ls -lR --color=always "$D"
looks stat stat "$D/output.glb"
looks find find "$M/" -name '*.glb' -size +1k
looks du du -s "$D"
looks tree tree -sh "$D"
looks "rsync -n" rsync -anL "$D/" "$T/nowhere/"
looks test test -r "$D/output.glb"
looks "head -c 0" head -c 0 "$D/output.glb"
looks getfattr getfattr -d "$D/output.glb"
looks "cat progress" cat "$D/progress"
looks "gio info" gio info "$D/output.glb"
# As under a desktop; without one it runs file(1), which reads.
! have xdg-mime xdg-mime || looks xdg-mime env XDG_CURRENT_DESKTOP=GNOME xdg-mime query filetype "$D/output.glb"
looks updatedb updatedb -l 0 --prunefs '' --prunepaths '' --prune-bind-mounts no -U "$M" -o "$T/db"
[ ! -e "$T/db" ] || plocate -d "$T/db" "$D/output.glb" >"$T/got" || fail "updatedb has not seen the model"

# More than one at once, by different names, is one download.
for i in 1 2 3 4 5 6 7 8; do
	cat "$F" "$D/output.glb" >"$T/got.$i" &
	readers[i]=$!
done
for i in 1 2 3 4 5 6 7 8; do
	wait "${readers[i]}" || fail "reader $i: status $?"
	cat "$DIRECT" "$DIRECT" | cmp - "$T/got.$i" || fail "reader $i got something else"
done
once "eight readers"
