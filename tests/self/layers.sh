# tests/layers: holds for the sources, and reports each kind of violation.
set -Eeuo pipefail
trap 'echo "line $LINENO: $BASH_COMMAND"; cat "$T/out"' ERR

"$ROOT/tests/layers" "$ROOT/src" >"$T/out"

src=$T/src
fresh() {
	rm -rf "$src"
	mkdir -p "$src/sandbox"
	printf '%s\n' '# comment' 'low:' 'mid: low' 'top: low mid' '<curl/: top' >"$src/LAYERS"
	: >"$src/low.h"
	: >"$src/sandbox/box.h"
	echo '#include "low.h"' >"$src/mid.h"
	printf '%s\n' '#include "mid_part.h"' '#include "low.h"' >"$src/mid_part.c"
	: >"$src/mid_part.h"
	printf '%s\n' '#include "mid.h"' '#include <curl/curl.h>' '#include <stdio.h>' >"$src/top.c"
	echo '#include "box.h"' >"$src/sandbox/box.c"
}
violation() { # text
	local status=0
	"$ROOT/tests/layers" "$src" >"$T/out" 2>&1 || status=$?
	[ $status = 1 ]
	grep -qF -- "$1" "$T/out"
	[ "$(tail -n 1 "$T/out")" = "1 violations" ]
}

fresh
"$ROOT/tests/layers" "$src" >"$T/out"

echo '#include "mid.h"' >"$src/low.c"
violation 'low.c:1: low may not include "mid.h"'
fresh
echo '  #  include <curl/multi.h>' >>"$src/mid.h"
violation 'mid.h:2: mid may not include <curl/multi.h>'
fresh
echo '#include "gone.h"' >>"$src/top.c"
violation 'top.c:4: there is no'
fresh
: >"$src/stray.c"
violation 'stray.c: belongs to no module'
fresh
echo 'late: later' >>"$src/LAYERS"
violation 'late names later, which does not stand above it'
fresh
echo '#include "low.h"' >>"$src/sandbox/box.c"
violation 'the sandbox includes "low.h", which is not its own'
fresh
echo '#include "sandbox/box.h"' >>"$src/top.c"
violation 'the driver includes "sandbox/box.h" of the sandbox'
