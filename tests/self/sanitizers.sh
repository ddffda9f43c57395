# In a build with sanitizers they are alive: a deliberate error is caught, and the programs carry them.
set -Eeuo pipefail

san=$(grep -o -e '-fsanitize=[^ ]*' "$B/flags" | head -n 1 || :)
case $san in
*address*) ;;
*)
	echo "a build without AddressSanitizer"
	exit 77
	;;
esac
status=0
ASAN_OPTIONS="log_path=$T/caught" "$B/tools/overflow" || status=$?
[ $status -ne 0 ]
grep -q heap-buffer-overflow "$T"/caught.*
for program in pixal3dfs pixal3d-sandbox; do
	grep -q __asan_init "$B/$program"
	grep -q __ubsan_handle "$B/$program"
done
