# limit: 120
# Lists are batches: one job a line, each bought once whatever happens, each with an outcome.
. "$(dirname "$0")/lib.sh"

expect_log '^pixal3dfs: warn: .*(refused|balance|UNCERTAIN|[Uu]ncertain|may have|taken)'
sandbox_start --balance 100000
driver_start
posts=0

image() { # name: a line of a batch
	printf '{"image_url": "https://images.example/%s.png", "texture_size": 1024}\n' "$1"
}

images() { # name...
	local name
	for name; do image "$name"; done
}

bought() { # count what
	posts=$((posts + $1))
	posts_are $posts "$2"
}

named() { # drop line...: exactly these lines of new/DROP.error were refused
	local drop=$1
	shift
	eq "$(sed -n 's/^line \([0-9]*\): .*/\1/p' "$M/new/$drop.error" | xargs)" "$*" "lines of $drop.error"
}

# --- one job a line

{ echo '# three dogs'; image rex; echo; image fido; printf '   '; image bello; } >"$T/dogs.jsonl"
cp "$T/dogs.jsonl" "$M/new/"
bought 3 "a batch of three"
[ ! -e "$M/new/dogs.jsonl.error" ] || fail "an error for a batch without one"
cmp "$T/dogs.jsonl" "$M/new/dogs.jsonl"
eq "$(cd "$M/by-name" && echo dogs*)" "dogs-2 dogs-4 dogs-5" "names by line"
for line in '2 rex' '4 fido' '5 bello'; do
	eq "$(within $((20 * SLOW)) cat "$M/by-name/dogs-${line% *}/wait")" COMPLETED "wait of line $line"
	eq "$(cat "$M/by-name/dogs-${line% *}/image_url")" "https://images.example/${line#* }.png" "line $line"
done
cp "$T/dogs.jsonl" "$M/new/"
rsync -a "$T/dogs.jsonl" "$M/new/"
touch "$M/new/dogs.jsonl"
bought 0 "the same batch again"
{ cat "$T/dogs.jsonl"; image waldi; } >"$T/more" && cp "$T/more" "$M/new/dogs.jsonl"
bought 1 "a line more"
driver_stop
driver_start
cp "$T/more" "$M/new/dogs.jsonl"
bought 0 "the same batch after a remount"
cp "$T/more" "$M/new/others.jsonl"
bought 4 "the same lines below another name"

# The same line twice is two jobs, with a seed each.
{ images twin twin; } >"$M/new/twins.jsonl"
bought 2 "the same line twice"
[ "$(jq .seed "$M/by-name/twins-1/params.json")" != "$(jq .seed "$M/by-name/twins-2/params.json")" ] ||
	fail "twins have the same seed"
rm "$M/new/twins.jsonl"
{ images twin twin twin; } >"$M/new/twins.jsonl"
bought 1 "the same line a third time"

# --- submitted at close, and never at write

exec 5>"$M/new/slow.jsonl"
images a b >&5 # a child has closed it now: cat and printf differ in nothing for the driver
exec 5>&-
bought 2 "a batch that was closed"
python3 - "$M/new/held.jsonl" "$GATEWAY/sandbox/ledger" <<'END'
import json, os, sys, urllib.request
posts = lambda: json.load(urllib.request.urlopen(sys.argv[2]))["posts"]
line = b'{"image_url": "https://images.example/held-%d.png"}\n'
before = posts()
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for i in range(3):
    os.write(fd, line % i)
os.write(fd, (line % 3)[:20])
assert posts() == before, "bought at write"
os.write(fd, (line % 3)[20:].rstrip())
os.close(fd)
assert posts() == before + 4, "bought at close: %d" % (posts() - before)
END
posts=$((posts + 4))

# --- lines that are wrong

{ image good; echo '{"image_url": "https://images.example/x.png", "texture_size": 3000}'; echo nonsense
	image better; echo '{"image_url": "https://images.example/x.png", "remesh": tru'; } >"$T/mixed.jsonl"
refuses cp "$T/mixed.jsonl" "$M/new/"
matches "$(cat "$T/refused")" 'Invalid argument' "cp of a batch with wrong lines"
bought 2 "the right lines of a batch with wrong ones"
named mixed.jsonl 2 3 5
grep -q '^line 2: texture_size: 3000 is not one of 1024, 2048, 4096$' "$M/new/mixed.jsonl.error"
grep -q '^3 of 5 lines were not taken' "$M/new/mixed.jsonl.error"
sed -i -e 's/3000/4096/' -e 's/tru$/true}/' "$M/new/mixed.jsonl" 2>"$T/refused" && fail "sed -i with a wrong line"
bought 2 "corrected by sed -i"
named mixed.jsonl 3
sed -e '/nonsense/d' -e 's/3000/4096/' -e 's/tru$/true}/' "$T/mixed.jsonl" >"$M/new/mixed.jsonl"
bought 0 "without the wrong line"
[ ! -e "$M/new/mixed.jsonl.error" ] || fail "the error of a corrected batch stays: $(cat "$M/new/mixed.jsonl.error")"

# --- lines that the service refuses

control '{"add_faults": [{"at": "submit", "do": "http", "status": 402, "match": "poor", "times": 2},
	{"at": "submit", "do": "http", "status": 400, "match": "bad"}]}'
images rich poor bad >"$T/money.jsonl"
refuses cp "$T/money.jsonl" "$M/new/"
matches "$(cat "$T/refused")" 'Disk quota exceeded' "the first refused line's errno"
bought 3 "a batch with refused lines"
named money.jsonl 2 3
grep -q '^line 2: .*402' "$M/new/money.jsonl.error"
eq "$(cat "$M/by-name/money-2/status")" REFUSED "a refused line"
jobs=$(wc -l <"$M/jobs")
refuses cp "$T/money.jsonl" "$M/new/"
bought 2 "refused lines again"
named money.jsonl 2
cp "$T/money.jsonl" "$M/new/"
bought 1 "the last refused line again"
[ ! -e "$M/new/money.jsonl.error" ] || fail "the error stays"
eq "$(wc -l <"$M/jobs")" "$jobs" "jobs after refused lines were tried again"
eq "$(within $((20 * SLOW)) cat "$M/by-name/money-2/wait")" COMPLETED "a refused line that was tried again"
fired submit.http 3

# --- lists of URLs

url=https://images.example
printf '%s\n' "# cats" $url/cat-1.png "" $url/cat-2.png >"$T/cats.url"
dd if="$T/cats.url" of="$M/new/cats.url" bs=16 status=none
bought 2 "a list of URLs in pieces"
eq "$(cat "$M/by-name/cats-4/image_url")" $url/cat-2.png "the name of a URL's line"
printf '%s\n' $url/one.png >"$M/new/list.url"
bought 1 "one URL"
[ -d "$M/by-name/list" ] || fail "one URL has the list's name"
printf '%s\n' $url/two.png $url/three.png >>"$M/new/list.url"
bought 2 "two URLs more"
printf '%s\n' $url/one.png $url/two.png $url/three.png >"$T/list.url"
driver_stop
driver_start
cp "$T/list.url" "$M/new/"
dd if="$T/list.url" of="$M/new/list.url" bs="$(head -n 1 "$T/list.url" | wc -c)" status=none
bought 0 "a list again, its first line in a write of its own"
echo $url/single.png >"$M/new/single.url"
echo $url/single.png >"$M/new/single.url"
bought 2 "one URL twice"
printf '%s\n' $url/a.png nonsense "$url/b.png $url/c.png" $url/d.png >"$T/bad.url"
refuses cp "$T/bad.url" "$M/new/"
bought 2 "a list with wrong URLs"
named bad.url 2 3

# --- programs that save lists

images vim-1 vim-2 >"$M/new/edited.jsonl"
bought 2 "before the editor"
image vim-3 >"$T/line"
vim -u DEFAULTS -es -c "\$r $T/line" -c wq "$M/new/edited.jsonl"
bought 1 "a line that vim added"
images rsync-1 rsync-2 >"$T/rsync.jsonl"
rsync -a "$T/rsync.jsonl" "$M/new/"
bought 2 "rsync"
cp "$T/rsync.jsonl" "$M/new/.rsync.jsonl.tmp"
cp "$T/rsync.jsonl" "$M/new/rsync.jsonl~"
bought 0 "temporary names"
mv "$M/new/.rsync.jsonl.tmp" "$M/new/moved.jsonl"
bought 2 "a list that was moved to its name"
printf '# nothing\n\n' >"$M/new/none.jsonl"
: >"$M/new/empty.jsonl"
: >"$M/new/empty2.url"
bought 0 "lists of nothing"

# --- a crash in the middle

# Each picture was in how many POSTs: the most that any was in.
most_posts() { # pattern
	sandbox_call "$GATEWAY/sandbox/received" | grep -o "$1-[0-9]*\\.png" | sort | uniq -c |
		awk '{ if ($1 > most) most = $1 } END { print most + 0 }'
}
images crash-{1..12} >"$T/crash.jsonl"
hold submit.received
cp "$T/crash.jsonl" "$M/new/" 2>"$T/writer" &
writer=$!
arrived submit.received 3
sandbox_call -o /dev/null -X POST "$GATEWAY/sandbox/release?point=submit.received&count=3"
arrived submit.received 6
driver_kill
wait $writer || :
hold
driver_start
status=0
cp "$T/crash.jsonl" "$M/new/" 2>"$T/refused" || status=$?
await 10 bash -c "! cut -f 3 '$M/jobs' | grep -Eq 'WAITING|SUBMITTING'"
uncertain=$(cut -f 3 "$M/jobs" | grep -c UNCERTAIN || :)
[ "$uncertain" -gt 0 ] || fail "nothing was under way at the crash"
[ $status -ne 0 ] || fail "cp of lines that may have been bought says nothing"
eq "$(grep -c '^line ' "$M/new/crash.jsonl.error")" "$uncertain" "lines that may have been bought"
eq "$(find "$M/by-name/" -name "crash-*" | wc -l)" 12 "jobs of a batch with a crash in its middle"
cp "$T/crash.jsonl" "$M/new/" 2>"$T/refused" || :
eq "$(most_posts crash)" 1 "POSTs for a line of a batch with a crash in its middle"
sent=$(sandbox_call "$GATEWAY/sandbox/received" | grep -o 'crash-[0-9]*\.png' | sort -u | wc -l)
[ "$sent" -ge $((12 - uncertain)) ] || fail "$sent of 12 lines were sent, $uncertain are uncertain"
posts=$(ledger posts)

# --- a writer that does not wait to the end

driver_stop
driver_start submit_wait=0.2
hold submit.received
control '{"add_faults": [{"at": "submit", "do": "http", "status": 400, "match": "late-2", "name": "late"}]}'
images late-1 late-2 >"$T/late.jsonl"
within 10 cp "$T/late.jsonl" "$M/new/" || fail "a batch that is in the books was not taken"
[ ! -e "$M/new/late.jsonl.error" ] || fail "an error before the outcome"
hold
await 10 test -s "$M/new/late.jsonl.error"
named late.jsonl 2
fired late

# Of a list that was removed meanwhile nothing is told, but by its jobs.
hold submit.received
control '{"add_faults": [{"at": "submit", "do": "http", "status": 400, "match": "gone-", "times": 0}]}'
images gone-1 gone-2 >"$T/gone.jsonl"
within 10 cp "$T/gone.jsonl" "$M/new/"
rm "$M/new/gone.jsonl"
hold
for i in 1 2; do
	await 10 file_is "$M/by-name/gone-$i/status" REFUSED
done
cp "$T/gone.jsonl" "$M/new/told.jsonl" || :
await 10 test -s "$M/new/told.jsonl.error" # so what was to be told before is told
[ ! -e "$M/new/gone.jsonl.error" ] || fail "an error file beside no list"
driver_stop
driver_start
hold submit.received
images int-{1..8} >"$T/int.jsonl"
cp "$T/int.jsonl" "$M/new/" 2>"$T/writer" &
writer=$!
arrived submit.received 4
kill -9 $writer
await 5 is_gone $writer
hold
await 10 bash -c "[ \$(cut -f 3 '$M/jobs' | grep -c COMPLETED) -ge 8 ]"
cp "$T/int.jsonl" "$M/new/"
eq "$(most_posts int)" 1 "POSTs for a line whose writer was killed"

# --- a thousand lines

posts=$(ledger posts)
images many-{1..1000} >"$T/many.jsonl"
begin=$EPOCHREALTIME
cp "$T/many.jsonl" "$M/new/" &
writer=$!
await 10 bash -c "[ \$(wc -l <'$M/jobs') -gt 1000 ]"
looks=0 slowest=0
while is_running $writer; do
	look=$EPOCHREALTIME
	within 5 ls "$M/new" >"$T/listing"
	took=$(milliseconds "$look")
	[ "$took" -le "$slowest" ] || slowest=$took
	looks=$((looks + 1))
done
wait $writer || fail "a batch of 1000: $(cat "$M/new/many.jsonl.error")"
# On a slow machine the writer does not wait for all of them.
all_sent() { [ "$(ledger posts)" -ge $((posts + 1000)) ]; }
await 60 all_sent
took=$(milliseconds "$begin")
echo "1000 lines took $took ms; the slowest of $looks looks meanwhile $slowest ms"
[ "$slowest" -lt $((2000 * SLOW)) ] || fail "a look during a batch took $slowest ms"
bought 1000 "a thousand lines"
begin=$EPOCHREALTIME
cp "$T/many.jsonl" "$M/new/"
echo "again, buying nothing: $(milliseconds "$begin") ms"
bought 0 "a thousand lines again"
