# Each promise of the manual names a test that is there: ".Bq unit/FILE:NAME", or ".Bq mount/FILE" and, hidden below, words
# that stand in it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

check() { # page: says what is wrong
	local line promise='' test=''
	while IFS= read -r line; do
		case $line in
		'.\" says '*)
			names_a_test "$test" "${line#'.\" says '}" || echo "no ${line#'.\" says '} in $test"
			test=
			continue
			;;
		esac
		[ -z "$test" ] || names_a_test "$test" || echo "no test $test, or no words of it"
		test=
		case $line in
		.It* | .El*)
			[ -z "$promise" ] || echo "a promise without a test before: $line"
			promise=
			[[ $line = .El* ]] || promise=open
			;;
		'.Bq '*) test=${line#.Bq } promise= ;;
		esac
	done <"$1"
}

page=$ROOT/contrib/man/pixal3dfs-semantics.7
check "$page" | tee "$T/wrong"
[ ! -s "$T/wrong" ]

# A wrong test, words that are not there, and a promise without a test are found.
sed -e 's/^\.Bq unit\/test_http:.*/&_not/' -e 's/^\(\.\\" says \)answer 402/\1nobody says this/' \
	-e '/^\.Bq mount\/stale/d' "$page" >"$T/page"
check "$T/page" >"$T/found"
for words in 'no_intent_no_byte_not' 'nobody says this' 'without a test'; do
	grep -qF "$words" "$T/found" || { echo "not found: $words" && exit 1; }
done
