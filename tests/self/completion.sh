# bash completes options and their values, in a real bash on a terminal.
set -euo pipefail

completion=/usr/share/bash-completion/bash_completion
for need in $completion "$(command -v expect || echo expect)"; do
	[ -e "$need" ] || { echo "no $need here" && exit 77; }
done
mkdir "$T/state"
export PATH=$B:$PATH INPUTRC=/dev/null
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
completes 'pixal3dfs sandbox state -o poll=1:2,nofa' 'pixal3dfs sandbox state -o poll=1:2,nofail'
completes 'pixal3d-sandbox --que' 'pixal3d-sandbox --queue-time '
