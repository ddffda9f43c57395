# Where the key comes from, in order; and a key file that others can read is refused.
. "$(dirname "$0")/lib.sh"

sandbox_start
expect_log '^pixal3dfs: warn: .*refused' 'others may use it' '^pixal3dfs: warning: no key' 'not a regular file' \
	'No such file' 'visible ASCII'

common=${OPTIONS/key_file=*\/key,/}
posts=0

# The sandbox refuses all of these keys, and shows which one was sent.
put() { # file key
	mkdir -p "$(dirname "$1")"
	(umask 077 && echo "$2" >"$1")
}
sent_key() {
	sandbox_call "$GATEWAY/sandbox/received" | jq -r '.[-1].headers["ocp-apim-subscription-key"]'
}
uses() { # key, for the driver that runs
	refuses bash -c "echo https://images.example/$1.png >$M/new/$1.url"
	matches "$(cat "$T/refused")" 'Key was rejected by service' "what the shell says of $1"
	eq "$(sent_key)" "$1" "the key that was sent"
	posts=$((posts + 1))
	posts_are $posts "with $1"
	driver_stop
}

put "$T/key" from-the-option
put "$T/credentials/pixal3d-key" from-the-credentials
chmod 440 "$T/credentials/pixal3d-key" # systemd's ACL shows so
put "$HOME/.config/pixal3dfs/key" from-the-config
put "$HOME/.pixazo/api-key" from-pixazo

driver() { # options
	OPTIONS=$common${1:+,$1} driver_start
}
PIXAZO_API_KEY=from-the-environment CREDENTIALS_DIRECTORY=$T/credentials driver "key_file=$T/key"
uses from-the-option
PIXAZO_API_KEY=from-the-environment CREDENTIALS_DIRECTORY=$T/credentials driver
uses from-the-environment
CREDENTIALS_DIRECTORY=$T/credentials driver
uses from-the-credentials
CREDENTIALS_DIRECTORY=$T/empty driver
uses from-the-config
mv "$HOME/.config/pixal3dfs/key" "$T/config-key"
driver
uses from-pixazo
mv "$HOME/.pixazo/api-key" "$T/pixazo-key"

# None: the mount works and says so, only buying does not; and a key that comes later is found.
driver
matches "$(grep 'no key' "$DRIVER_LOG")" 'PIXAZO_API_KEY.*key_file=.*\.config/pixal3dfs/key' "the warning"
cat "$M/README" >"$T/readme"
refuses bash -c "echo https://images.example/none.png >$M/new/none.url"
matches "$(cat "$T/refused")" 'Required key not available' "what the shell says without a key"
matches "$(cat "$M/new/none.url.error")" 'Nothing was sent.*no API key' "the error file without a key"
posts_are $posts "without a key"
put "$HOME/.config/pixal3dfs/key" "$KEY"
complete_job at-last
posts=$((posts + 1))
posts_are $posts "with a key at last"
driver_stop

# What others can read, or is no key, is refused: with a reason, and mount(8)'s status.
mount_fails() { # words option...
	: >"$DRIVER_LOG"
	OPTIONS=$common${2:+,$2} driver_try "$GATEWAY" && fail "mounted with $2"
	driver_wait 10
	eq "$DRIVER_STATUS" 32 "status for $2"
	matches "$(cat "$DRIVER_LOG")" "$1" "words for $2"
}
for mode in 0640 0604 0660 0666; do
	chmod $mode "$T/key"
	mount_fails "$T/key: others may use it \(mode $mode\), try chmod 600" "key_file=$T/key"
done
chmod 600 "$T/key"
chmod 644 "$HOME/.config/pixal3dfs/key"
mount_fails 'config/pixal3dfs/key: others may use it' ''
chmod 444 "$T/credentials/pixal3d-key"
CREDENTIALS_DIRECTORY=$T/credentials mount_fails 'pixal3d-key: others may use it' ''
mount_fails "$T/missing: No such file" "key_file=$T/missing"
mount_fails 'not a regular file' "key_file=$T"
put "$T/key" "two words"
mount_fails 'visible ASCII' "key_file=$T/key"
posts_are $posts "in the end"
