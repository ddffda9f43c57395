# limit: 200
# SIGKILL before every sync by which the drop of an image becomes durable, and before what is sent: one
# purchase at most, none that was promised is lost, and nothing is left of what nobody needs.
. "$(dirname "$0")/lib.sh"

export CRASH=$T/crash
mkdir "$CRASH"
[ "$SLOW" = 1 ] || export ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0"
DRIVER_ENV=("LD_PRELOAD=$B/preload/crash.so")
cat >"$T/publish" <<-'EOF'
	#!/bin/sh
	unset LD_PRELOAD
	echo "https://images.example/$(basename "$1")"
EOF
chmod +x "$T/publish"
OPTIONS+=",upload=exec:$T/publish"
expect_log '^pixal3dfs: warn: .*(UNCERTAIN|uncertain|may have)' 'could not be published' '^pixal3dfs: warn: '
sandbox_start
"$B/tools/small_image" png >"$T/dog.png"

settled() {
	case $(cat "$M/by-name/dog/status") in COMPLETED | UNCERTAIN) ;; *) false ;; esac
}

dropped() { # name n: dies at that call, or there is none
	local told=0 before state=none
	before=$(ledger posts)
	rm -rf "$T/state" "$T/cache" "${CRASH:?}"/*
	driver_start
	echo "$1 $2" >"$CRASH/at"
	: >"$CRASH/armed"
	cp "$T/dog.png" "$M/new/" 2>"$T/writer" || told=$?
	until is_gone "$DRIVER_PID" || settled; do sleep 0.05; done
	is_gone "$DRIVER_PID" || { driver_kill && return 1; }
	wait "$DRIVER_PID" 2>/dev/null || :
	DRIVER_PID=
	umount -l "$M"
	rm -f "$CRASH/armed"
	driver_start
	if [ -e "$M/by-name/dog" ]; then
		await 20 settled
		state=$(cat "$M/by-name/dog/status")
	else
		[ $told != 0 ] || fail "$1 $2: cp was told that it was taken, and it is gone"
	fi
	posts=$(($(ledger posts) - before))
	[ $posts -le 1 ] || fail "$1 $2: $posts POSTs"
	[ "$state" != COMPLETED ] || eq $posts 1 "$1 $2: POSTs of what is done"
	[ "$state" = UNCERTAIN ] || [ -z "$(ls "$T/state/images" 2>/dev/null)" ] || fail "$1 $2: an image is left"
	echo "$1: $state" >>"$T/told"
	driver_kill
}

for call in fdatasync fsync connect; do
	for ((n = 1; n < 20; n++)); do
		dropped $call $n || break
	done
	[ $n -lt 20 ] || fail "$call: no end of them"
done
for what in 'fdatasync: none' 'fdatasync: COMPLETED' 'fdatasync: UNCERTAIN' 'fsync: none' 'connect: COMPLETED'; do
	grep -q "$what" "$T/told" || fail "nothing became $what: $(sort "$T/told" | uniq -c)"
done
