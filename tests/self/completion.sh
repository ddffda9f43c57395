# bash completes options and their values, in a real bash on a terminal.
set -euo pipefail

completion=/usr/share/bash-completion/bash_completion
for need in $completion "$(command -v expect || echo expect)"; do
	[ -e "$need" ] || { echo "no $need here" && exit 77; }
done
mkdir -p "$T/state" "$T/mount/by-name/doghouse" "$T/mount/by-name/old house"
printf '      "texture_size": 2048,\n' >"$T/mount/README"
printf 'name\ncathouse\n' >"$T/mount/jobs"
export PATH=$B:$ROOT/contrib:$PATH INPUTRC=/dev/null P3D_MOUNT=$T/mount
cd "$T"

# What the line is after TAB.
completes() { # typed expected
	local line
	line=$(expect "$ROOT/tests/tools/complete.exp" "$ROOT/contrib/completion/pixal3dfs" "$1") || echo "no answer"
	[ "$line" = "$2" ] || { echo "$1 became: $line, not: $2" && exit 1; }
}
completes 'pixal3dfs sand' 'pixal3dfs sandbox '
completes 'pixal3dfs sandbox sta' 'pixal3dfs sandbox state/'
completes 'pixal3dfs sandbox state -o bud' 'pixal3dfs sandbox state -o budget='
completes 'pixal3dfs sandbox state -o ro,key_f' 'pixal3dfs sandbox state -o ro,key_file='
completes 'pixal3dfs sandbox state -o ro,submit=q' 'pixal3dfs sandbox state -o ro,submit=queue'
completes 'pixal3dfs sandbox state -o poll=1:2,state_dir=sta' 'pixal3dfs sandbox state -o poll=1:2,state_dir=state'
completes 'pixal3dfs sandbox state -o upload=s3://b,s3_cr' 'pixal3dfs sandbox state -o upload=s3://b,s3_credentials='
completes 'pixal3dfs sandbox state -o poll=1:2,nofa' 'pixal3dfs sandbox state -o poll=1:2,nofail'
completes 'pixal3d-sandbox --que' 'pixal3d-sandbox --queue-time '
completes 'p3d sub' 'p3d submit '
completes 'p3d submit text' 'p3d submit texture_size='
completes 'p3d open dog' 'p3d open doghouse '
completes 'p3d get cat' 'p3d get cathouse '
completes 'p3d get cathouse sta' 'p3d get cathouse state/'
completes 'p3d open ol' 'p3d open old\ house '
