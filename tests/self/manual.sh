# The manual is well made, and tells of every option: no more and no less than the programs take.
set -euo pipefail

pages=$ROOT/contrib/man
for page in "$pages"/*.[178]; do
	for section in NAME SYNOPSIS DESCRIPTION ENVIRONMENT FILES 'EXIT STATUS' EXAMPLES 'SEE ALSO' BUGS; do
		case $page:$section in
		*.7:SYNOPSIS | *.7:E* | *.7:FILES | *sandbox.1:ENVIRONMENT | *sandbox.1:FILES | *.8:ENVIRONMENT) continue ;;
		esac
		grep -qx "\.Sh $section" "$page" || { echo "${page##*/}: no section $section" && exit 1; }
	done
done

# Options of the mount and of the sandbox, in --help and in the manual.
same() { # what file-of-help file-of-page
	sort -u "$2" >"$T/a" && sort -u "$3" >"$T/b"
	diff "$T/a" "$T/b" >"$T/diff" || { echo "$1: < is in --help only, > in the manual only:" && cat "$T/diff" && exit 1; }
}
"$B/pixal3dfs" --help | sed -nE 's/^    ([a-z0-9_]+)(=|  ).*/\1/p' >"$T/help"
# Up to `help` the page lists our own options, then those of every mount.
sed -n '/^\.Ss Options/,/^\.It Cm help/p' "$pages/mount.pixal3dfs.8" | grep '^\.It Cm' |
	grep -oE '(^\.It|,) Cm [a-z0-9_]+' | sed 's/.* //' | grep -vx help >"$T/page"
same "mount.pixal3dfs(8)" "$T/help" "$T/page"
"$B/pixal3d-sandbox" --help | grep -E '^  --' | grep -oE -- '--[a-z-]+' >"$T/help"
grep -E '^\.It Fl -' "$pages/pixal3d-sandbox.1" | grep -oE 'Fl -[a-z-]+' | sed 's/Fl /-/' >"$T/page"
same "pixal3d-sandbox(1)" "$T/help" "$T/page"

command -v mandoc >"$T/which" || { echo "no mandoc here, the rest holds" && exit 77; }
# Its index, and manuals of programs that are not installed here, are this machine's matter.
mandoc -T lint "$pages"/*.[178] 2>"$T/index" | grep -Ev 'outdated mandoc.db|referenced manual not found' >"$T/lint" || :
[ ! -s "$T/lint" ] || { cat "$T/lint" && exit 1; }
