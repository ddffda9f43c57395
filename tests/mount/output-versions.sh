# Another object is another file: one who is still reading the old one never sees a byte of the new.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: '

complete_job dog
F=$M/by-name/dog/output.glb
curl -sS -o "$T/old.glb" "$(media_url "$M/by-name/dog")"
inode=$(stat -c %i "$F")
exec 5<"$F"
head -c 4096 <&5 >"$T/begun"
control '{"bump": true}'
curl -sS -o "$T/new.glb" "$(media_url "$M/by-name/dog")"
cmp -s "$T/old.glb" "$T/new.glb" && fail "the object did not change"
cat "$F" >"$T/rest" 2>"$T/refused" || : # whoever reads on notices
await 20 cmp "$F" "$T/new.glb"
eq "$(stat -c %s "$F")" "$(stat -c %s "$T/new.glb")" "the size"
[ "$(stat -c %i "$F")" != "$inode" ] || fail "the same inode for another object"
eq "$(find "$M/by-name/dog/" -name output.glb -printf %i)" "$(stat -c %i "$F")" "the inode listed"
[ ! -e "$M/by-name/dog/error" ] || fail "an error after all went well"

# The old reader, from its beginning and to its end.
cat <&5 >"$T/rest" 2>"$T/refused" && fail "the old version was read to its end"
cat "$T/begun" "$T/rest" >"$T/got"
cmp -n "$(stat -c %s "$T/got")" "$T/got" "$T/old.glb" || fail "bytes of another version"
exec 5<&-

# Another mount has the new one from the start.
driver_stop
driver_start
cmp "$F" "$T/new.glb"
