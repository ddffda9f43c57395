# The object at the CDN changes: a reader never gets two versions, and later ones get the new one, whole.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: '

# In the middle of a download.
complete_job changed
F=$M/by-name/changed/output.glb
control '{"faults": [{"at": "cdn", "do": "bump_after", "offset": 300000}]}'
status=0
within $((30 * SLOW)) cat "$F" >"$T/got" 2>"$T/refused" || status=$?
fired cdn.bump_after
curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/changed")"
[ $status -ne 0 ] || cmp "$T/got" "$T/direct.glb" || fail "two versions in one read"
# What the kernel keeps of the old version's pages does not count any more.
await 20 cmp "$F" "$T/direct.glb"

# Between its size and its first byte.
complete_job between
F=$M/by-name/between/output.glb
control '{"bump": true}'
status=0
within $((30 * SLOW)) cat "$F" >"$T/got" 2>"$T/refused" || status=$?
curl -sS -o "$T/direct.glb" "$(media_url "$M/by-name/between")"
[ $status -ne 0 ] || cmp "$T/got" "$T/direct.glb" || fail "another version than the CDN's"
await 20 cmp "$F" "$T/direct.glb"

# After it was read: the copy on the disk is what was bought, and stays.
control '{"bump": true}'
requests=$(ledger cdn_requests)
cmp "$F" "$T/direct.glb" || fail "a whole copy has changed"
eq "$(ledger cdn_requests)" "$requests" "requests for a whole copy"
