# The page of all jobs: its rows are those of `jobs`, its length is known before it is read, whatever changes.
. "$(dirname "$0")/lib.sh"

sandbox_start
driver_start

# Each row, as a script reads it, beside the line of `jobs` that it stands for.
cat >"$T/compare.py" <<'END'
import ast, re, sys
from urllib.parse import unquote_to_bytes as decoded
page = open(sys.argv[1], encoding="ascii").read()
rows = ast.literal_eval(re.search(r"const rows = (\[\n.*?\n?\]);\n", page, re.S).group(1))
lines = [line.split("\t") for line in open(sys.argv[2], encoding="utf-8").read().splitlines()[1:]]
assert len(rows) == len(lines) == int(sys.argv[3]), (len(rows), len(lines), sys.argv[3])
for row, line in zip(rows, lines):
    path, label, status, created, cost, image, output, size = row
    shown = [decoded(path).decode(), status, cost, str(size)]
    assert shown == [line[0], line[2], line[4], line[5]], (row, line)
    print(decoded(label).decode(), status, image, output)
END

page_is() { # jobs: and prints their rows
	local file
	for file in index.html jobs; do
		eq "$(stat -c %s "$M/$file")" "$(wc -c < <(cat "$M/$file"))" "the size of $file"
	done
	python3 "$T/compare.py" "$M/index.html" "$M/jobs" "$1" >"$T/rows" || fail "the page has other rows"
}

listed "$M" index.html || fail "not listed"
page_is 0
mkdir "$M/a <b> & 'c' é"
page_is 1
complete_job dog
page_is 2
matches "$(cat "$T/rows")" '^dog COMPLETED https?://.* output\.glb$' "the row of a model"
mv "$M/$(cat "$M/latest/request_id")" "$M/a much longer name than before"
page_is 2
control '{"queue_time": 1000}'
params "$T/cat.json"
cp "$T/cat.json" "$M/new/"
page_is 3
rm -r "$M/a much longer name than before"
page_is 2
refuses mkdir "$M/index.html"

# What was measured at the start is right, too.
driver_stop
driver_start
page_is 2
eq "$(ledger posts)" 2 "POSTs"
