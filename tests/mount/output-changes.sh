# The object at the CDN changes: a reader never gets two versions, and later ones get the new one, whole.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: '

# What came is of one version, also before an error.
one_version() { # what
	local file
	for file in old direct; do
		cmp -n "$(stat -c %s "$T/got")" "$T/got" "$T/$file.glb" >"$T/differs" 2>&1 && return
	done
	fail "two versions in one read, $1"
}

# In the middle of a download.
complete_job changed
F=$M/by-name/changed/output.glb
curl -sS -o "$T/old.glb" "$(media_url "$M/by-name/changed")"
control '{"faults": [{"at": "cdn", "do": "bump_after", "offset": 300000}]}'
status=0
within $((30 * SLOW)) cat "$F" >"$T/got" 2>"$T/refused" || status=$?
fired cdn.bump_after
curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/changed")"
! cmp -s "$T/old.glb" "$T/direct.glb" || fail "the object has not changed"
if [ $status -eq 0 ]; then
	cmp "$T/got" "$T/direct.glb" || fail "another version than the CDN's"
fi
one_version "in the middle"
# What the kernel keeps of the old version's pages does not count any more.
await 20 cmp "$F" "$T/direct.glb"

# Between its size and its first byte.
complete_job between
F=$M/by-name/between/output.glb
curl -sS -o "$T/old.glb" "$(media_url "$M/by-name/between")"
control '{"bump": true}'
status=0
within $((30 * SLOW)) cat "$F" >"$T/got" 2>"$T/refused" || status=$?
curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/between")"
! cmp -s "$T/old.glb" "$T/direct.glb" || fail "the object has not changed before it was read"
if [ $status -eq 0 ]; then
	cmp "$T/got" "$T/direct.glb" || fail "another version than the CDN's"
fi
one_version "between size and first byte"
await 20 cmp "$F" "$T/direct.glb"

# After it was read: the copy on the disk is what was bought, and stays.
control '{"bump": true}'
! cmp -s <(curl -sS "$(media_url "$M/by-name/between")") "$T/direct.glb" || fail "the object has not changed after it was read"
requests=$(ledger cdn_requests)
cmp "$F" "$T/direct.glb" || fail "a whole copy has changed"
eq "$(ledger cdn_requests)" "$requests" "requests for a whole copy"
