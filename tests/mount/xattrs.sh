# A model says by itself where it came from: extended attributes, read by getfattr, carried along by cp -a and
# rsync -X, and no burden to those who ask for others of every file.
. "$(dirname "$0")/lib.sh"

for program in getfattr python3 rsync strace; do
	command -v $program >"$T/which" || skip "no $program here"
done

sandbox_start
driver_start
complete_job dog
J=$(cd "$M/by-name/dog" && pwd -P)
F=$J/output.glb
id=$(cat "$J/request_id")
mkdir "$M/draft"

attr() { # name file
	getfattr --absolute-names --only-values -n "$1" "$2"
}

errno_of() { # call file argument...: the name of the error of an os.CALL
	python3 -c 'import errno, os, sys
try:
    getattr(os, sys.argv[1])(sys.argv[2], *[a.encode() if i else a for i, a in enumerate(sys.argv[3:])])
    print("none")
except OSError as e:
    print(errno.errorcode[e.errno])' "$@"
}

# --- what is there

attrs() { # file
	getfattr --absolute-names -d -m - "$1" | sed '/^#/d'
}

names() { # file
	attrs "$1" | cut -d = -f 1 | xargs
}

of_job="user.pixal3d.image_url user.pixal3d.request_id user.pixal3d.seed user.pixal3d.status"
for file in "$J" "$J/status" "$J/log" "$M/by-name/dog" "$M/new/dog.json"; do
	eq "$(names "$file")" "$of_job" "attributes of $file"
done
eq "$(names "$F")" "user.mime_type $of_job user.xdg.origin.url" "attributes of the model"
eq "$(names "$M/draft")" user.pixal3d.status "attributes of a draft"
for file in "$M" "$M/README" "$M/new" "$M/jobs"; do
	eq "$(names "$file")" "" "attributes of $file"
done

for file in "$J" "$F" "$M/new/dog.json" "$M/by-name/dog/cost"; do
	eq "$(attr user.pixal3d.request_id "$file")" "$id" "request id of $file"
	eq "$(attr user.pixal3d.status "$file")" COMPLETED "status of $file"
	eq "$(attr user.pixal3d.image_url "$file")" https://images.example/dog.png "image of $file"
	eq "$(attr user.pixal3d.seed "$file")" "$(jq .seed "$J/params.json")" "seed of $file"
done
eq "$(attr user.xdg.origin.url "$F")" "$(media_url "$J")" "origin of the model"
eq "$(attr user.mime_type "$F")" model/gltf-binary "type of the model"
eq "$(attr user.pixal3d.status "$M/draft")" DRAFT "status of a draft"
eq "$(attr user.pixal3d.cached "$F")" 0 "bytes here before a read"
cat "$F" >"$T/got"
eq "$(attr user.pixal3d.cached "$F")" "$(stat -c %s "$F")" "bytes here after it"
has_digest() {
	[ "$(attr user.pixal3d.sha256 "$F")" = "$(digest "$T/got")" ]
}
await 10 has_digest

# What is attached was sent by somebody else: nothing is known of it, and nothing is listed.
sandbox_call -H "Ocp-Apim-Subscription-Key: $KEY" -H 'Content-Type: application/json' -d "@$T/dog.json" \
	"$GATEWAY/pixal3d/v1/pixal3d-request" | jq -r .request_id >"$M/draft/request_id"
await 10 file_is "$M/draft/status" COMPLETED
eq "$(names "$M/draft")" "user.pixal3d.request_id user.pixal3d.status" "attributes of an attached job"
eq "$(errno_of getxattr "$M/draft" user.pixal3d.seed)" ENODATA "the seed of an attached job"

# --- sizes

python3 - "$F" "$id" <<-'END'
	import ctypes, errno, os, sys
	path, id = os.fsencode(sys.argv[1]), sys.argv[2].encode()
	libc = ctypes.CDLL(None, use_errno=True)
	def get(size):
	    buf = ctypes.create_string_buffer(1000)
	    n = libc.getxattr(path, b"user.pixal3d.request_id", buf, size)
	    return (n, ctypes.get_errno() if n < 0 else 0, buf.raw[:max(n, 0)] if size else b"")
	assert get(0) == (len(id), 0, b""), get(0)
	assert get(len(id)) == (len(id), 0, id), get(len(id))
	assert get(len(id) - 1)[:2] == (-1, errno.ERANGE), get(len(id) - 1)
	want = libc.listxattr(path, None, 0)
	buf = ctypes.create_string_buffer(want)
	assert libc.listxattr(path, buf, want) == want
	assert libc.listxattr(path, buf, want - 1) == -1 and ctypes.get_errno() == errno.ERANGE
	assert sorted(buf.raw[:-1].split(b"\0")) == sorted(n.encode() for n in os.listxattr(path)), buf.raw
END

# --- what is not there, and what cannot be set

eq "$(errno_of getxattr "$F" user.nothing)" ENODATA "an unknown attribute"
eq "$(errno_of getxattr "$M/README" user.pixal3d.status)" ENODATA "an attribute of no job"
eq "$(errno_of getxattr "$J" user.mime_type)" ENODATA "a type of a directory"
for name in security.selinux security.capability system.posix_acl_access trusted.overlay.opaque; do
	eq "$(errno_of getxattr "$F" $name)" ENOTSUP "getxattr $name"
done
eq "$(errno_of setxattr "$F" user.pixal3d.seed 5)" ENOTSUP setxattr
eq "$(errno_of setxattr "$M/new/dog.json" user.note hello)" ENOTSUP "setxattr on a drop"
eq "$(errno_of removexattr "$F" user.pixal3d.seed)" ENOTSUP removexattr

# --- who takes them along

: >"$T/probe"
if setfattr -n user.probe -v 1 "$T/probe" 2>"$T/which"; then
	cp -a "$F" "$T/cp.glb"
	rsync -aX "$F" "$T/rsync.glb"
	for copy in cp rsync; do
		cmp "$T/got" "$T/$copy.glb"
		eq "$(attrs "$T/$copy.glb")" "$(attrs "$F")" "attributes by $copy"
	done
	eq "$(rsync -aXi "$F" "$T/rsync.glb")" "" "a second rsync"
else
	skip_row "cp -a, rsync -X" "no user attributes on ${T%/*}"
fi
cp -a "$T/dog.json" "$M/new/again.json"
install -m 600 "$T/dog.json" "$M/new/third.json"
for name in again third; do
	eq "$(within $((20 * SLOW)) cat "$M/by-name/$name/wait")" COMPLETED "wait of $name"
done
tar --xattrs --xattrs-include='user.*' -cf "$T/dog.tar" -C "$M" by-name latest -h
tar --xattrs -tvvf "$T/dog.tar" >"$T/tar"
grep -q user.pixal3d.seed "$T/tar" || fail "no attributes in tar: $(cat "$T/tar")"

# --- ls asks one file only, whatever there is

ls -l "$J" >"$T/ls"
strace -f -e trace=getxattr,lgetxattr,fgetxattr,listxattr,llistxattr -o "$T/trace" ls -l "$J" >"$T/ls"
asked=$(grep -c 'xattr("' "$T/trace" || :)
[ "$(wc -l <"$T/ls")" -gt 8 ] || fail "ls: $(cat "$T/ls")"
[ "$asked" -le 4 ] || fail "ls asked $asked times: $(cat "$T/trace")"
