# What the mount says it has spent is what the service has charged; a budget refuses before sending.
. "$(dirname "$0")/lib.sh"

sandbox_start --balance 1000
driver_start
expect_log '^pixal3dfs: warn: '

spend() { # row
	awk -v row="$1" '$1 == row { print $2 }' "$M/spend"
}
# The books of both sides agree.
agree() { # what
	eq "$(spend ever)" "$(printf '%.2f' "$(ledger charged_usd)")" "spend after $1"
	eq "$(spend today)" "$(spend ever)" "spend today after $1"
	eq "$(spend month)" "$(spend ever)" "spend this month after $1"
}
# One job of an image's name; its cost when it has ended.
job_costs() { # name texture_size final-status cost-pattern
	printf '{"image_url": "https://images.example/%s.png", "texture_size": %s}\n' "$1" "$2" >"$T/$1.json"
	cp "$T/$1.json" "$M/new/"
	eq "$(within $((20 * SLOW)) cat "$M/by-name/$1/wait")" "$3" "the end of $1"
	matches "$(cat "$M/by-name/$1/cost")" "$4" "cost of $1"
	agree "$1"
}

# Every row of the price list, and every end.
agree nothing
eq "$(spend budget)" none "no budget"
job_costs small 1024 COMPLETED '^0\.30 USD \(estimate: .*texture_size 1024\)$'
job_costs middle 2048 COMPLETED '^0\.42 USD \(estimate: .*texture_size 2048\)$'
job_costs large 4096 COMPLETED '^0\.42 USD \(estimate: .*texture_size 4096\)$'
job_costs fail 4096 FAILED '^0\.42 USD, perhaps: .*FAILED.*estimate'
job_costs error 1024 ERROR '^0\.00 USD \(ERROR is not charged\)$'
eq "$(spend ever)" 1.56 "0.30 + 0.42 + 0.42 + 0.42"

# Drafts cost nothing, and say what they would. Defaults count.
mkdir "$M/draft"
matches "$(cat "$M/draft/cost")" '^0\.42 USD if it is submitted \(estimate' "cost of a draft"
eq "$(stat -c %s "$M/draft/cost")" "$(wc -c <"$M/draft/cost")" "size of a draft's cost"
echo '{"texture_size": 1024}' >"$M/defaults.json"
matches "$(cat "$M/draft/cost")" '^0\.30 USD if .*texture_size 1024' "cost of a draft with defaults"
echo '{}' >"$M/defaults.json"
matches "$(cat "$M/draft/cost")" '^0\.42 USD if ' "cost of a draft without defaults"
echo '{"texture_size": 1024}' >"$M/draft/params.json"
matches "$(cat "$M/draft/cost")" '^0\.30 USD if .*texture_size 1024' "cost of a small draft"
agree "a draft"

# What the service refuses is given back.
control '{"faults": [{"at": "submit", "do": "http", "status": 402, "body": {"message": "poor"}}]}'
refuses bash -c "echo https://images.example/refused.png >$M/draft/image_url"
matches "$(cat "$M/draft/cost")" '^0\.00 USD \(.*refused' "cost of a refused job"
agree "a refusal"

# The same job again, taken: its earlier attempts are told apart; attached ones are free.
echo https://images.example/fail-again.png >"$M/draft/image_url"
eq "$(within $((20 * SLOW)) cat "$M/draft/wait")" FAILED "the second attempt"
echo https://images.example/third.png >"$M/draft/image_url"
eq "$(within $((20 * SLOW)) cat "$M/draft/wait")" COMPLETED "the third attempt"
eq "$(awk '{ sum += $1 } END { print sum }' "$M/draft/cost")" 0.6 "two attempts at 0.30"
agree "three attempts"
mkdir "$M/attached"
cat "$M/by-name/large/request_id" >"$T/id"
job=$(readlink "$M/by-name/large")
rm -r "$M/by-name/${job:?}"
cat "$T/id" >"$M/attached/request_id"
eq "$(within $((20 * SLOW)) cat "$M/attached/wait")" COMPLETED "the attached job"
matches "$(cat "$M/attached/cost")" '^0\.00 USD \(attached' "cost of an attached job"
agree "attaching"

# No answer: counted, and said to be uncertain, whether or not it was charged.
control '{"faults": [{"at": "submit", "do": "close", "name": "charged"}]}'
mkdir "$M/taken"
refuses bash -c "echo https://images.example/taken.png >$M/taken/image_url"
fired charged
eq "$(cat "$M/taken/status")" UNCERTAIN "no answer"
matches "$(cat "$M/taken/cost")" '^0\.42 USD, perhaps: .*bought.*estimate' "cost of an uncertain job"
eq "$(spend uncertain)" 0.42 "what is uncertain"
agree "an answer that was lost"

# The column of `jobs`: name, request id, status, created, cost, bytes.
eq "$(head -n 1 "$M/jobs" | tr '\t' ' ')" "name request_id status created cost bytes" "head of jobs"
eq "$(awk -F '\t' '$1 == "draft" { print $3, $5 }' "$M/jobs")" "COMPLETED 0.60" "cost in jobs"
eq "$(awk -F '\t' '$3 == "ERROR" { print $5 }' "$M/jobs")" 0.00 "cost of ERROR in jobs"

# Forgetting and mounting anew forget no money.
before=$(grep -v '^$' "$M/spend")
find "$M/" -mindepth 1 -maxdepth 1 -type d ! -name new ! -name by-name -exec rm -r {} +
eq "$(wc -l <"$M/jobs")" 1 "jobs after rm -r"
eq "$(grep -v '^$' "$M/spend")" "$before" "spend after rm -r"
driver_stop
driver_start
eq "$(grep -v '^$' "$M/spend")" "$before" "spend after a remount"
agree "rm -r and a remount"

# A budget: 2.88 are spent, room for two of 0.30.
spent=$(spend ever)
driver_stop
driver_start "budget=$(awk -v a="$spent" 'BEGIN { print a + 0.85 }')/day"
eq "$(spend left)" 0.85 "what is left"
posts=$(ledger posts)
params "$T/one.json"
cp "$T/one.json" "$M/new/"
posts_are $((posts + 1)) "within the budget"
eq "$(spend left)" 0.55 "what is left"
jobs=$(wc -l <"$M/jobs")
url=https://images.example/dear.png
words="it would pass the budget: this costs 0.60 USD, and [0-9.]+ of [0-9.]+ USD a day are spent"
over() { # program
	local file=$M/new/over-$1.json
	local json="{\"image_url\": \"$url\"}"
	case $1 in
	cp)
		echo "$json" >"$T/over-cp.json"
		refuses cp "$T/over-cp.json" "$M/new/"
		;;
	bash | dash) refuses "$1" -c "echo '$json' >'$file'" ;;
	mv)
		echo "$json" >"$M/new/.over"
		refuses mv "$M/new/.over" "$file"
		;;
	mkdir)
		mkdir "$M/over"
		refuses bash -c "echo $url >$M/over/image_url"
		file=$M/over/params.json
		;;
	esac
	if [ "$1" != dash ]; then matches "$(cat "$T/refused")" 'Disk quota exceeded' "$1"; fi
	[ "$1" = mkdir ] || matches "$(cat "$file.error")" "$words" "error file after $1"
	posts_are $((posts + 1)) "after $1 beyond the budget"
}
# At 0.60 a piece for the default size; 0.55 are left.
driver_stop
driver_start "budget=$(awk -v a="$spent" 'BEGIN { print a + 0.85 }')/day,prices=2048:0.60"
for way in cp bash dash mv mkdir; do
	over $way
done
matches "$(cat "$M/over/error")" "$words" "error of a job"
matches "$(cat "$M/over/error")" 'Nothing was sent, nothing was charged' "error of a job"
eq "$(cat "$M/over/status")" DRAFT "status beyond the budget"
eq "$(wc -l <"$M/jobs")" $((jobs + 1)) "jobs: none was made but the draft"
eq "$(spend left)" 0.55 "what is left"
# A smaller one fits, from the same draft.
echo '{"image_url": "https://images.example/small.png", "texture_size": 1024}' >"$M/over/params.json"
posts_are $((posts + 2)) "a smaller one"
eq "$(spend left)" 0.25 "what is left"
[ ! -e "$M/over/error" ] || fail "an error that is over: $(cat "$M/over/error")"

# Yesterday's money is not today's; last month's not this month's.
age() { # days
	driver_stop
	sqlite3 "$T/state/jobs.db" "UPDATE charge SET at_ms = at_ms - $1 * 86400000"
}
age 1
driver_start budget=0.30/day
eq "$(spend today)" 0.00 "today, after a day"
params "$T/today.json"
cp "$T/today.json" "$M/new/"
refuses cp "$T/today.json" "$M/new/again.json"
posts_are $((posts + 3)) "on the next day"
age 32
driver_start budget=0.30/month
eq "$(spend month)" 0.00 "this month, after a month"
cp "$T/today.json" "$M/new/"
refuses cp "$T/today.json" "$M/new/again.json"
posts_are $((posts + 4)) "in the next month"
agree_ever=$(printf '%.2f' "$(ledger charged_usd)")
eq "$(spend ever)" "$agree_ever" "all of it"

# However many come at once.
driver_stop
driver_start "budget=$(awk -v a="$agree_ever" 'BEGIN { print a + 1.50 }'),submit_wait=0"
for i in $(seq 20); do
	params "$T/many-$i.json"
	cp "$T/many-$i.json" "$M/new/" 2>/dev/null &
	pids[i]=$!
done
taken=0
for i in $(seq 20); do
	if wait "${pids[i]}"; then
		taken=$((taken + 1))
		[ ! -e "$M/new/many-$i.json.error" ] || fail "taken, and an error: $i"
	else
		matches "$(cat "$M/new/many-$i.json.error")" 'pass the budget' "error of $i"
	fi
done
eq $taken 5 "taken of those that came at once"
all_sent() { [ "$(ledger posts)" -ge $((posts + 9)) ]; }
await 20 all_sent
posts_are $((posts + 9)) "of those that came at once"
eq "$(spend left)" 0.00 "what is left"
eq "$(spend ever)" "$(printf '%.2f' "$(ledger charged_usd)")" "spend, in the end"

# A batch buys what fits; with a larger budget the same list buys the rest.
driver_stop
driver_start "budget=$(awk -v a="$(ledger charged_usd)" 'BEGIN { print a + 0.60 }')"
for i in 1 2 3 4; do
	printf '{"image_url": "https://images.example/line-%s.png", "texture_size": 1024}\n' $i
done >"$T/list.jsonl"
refuses cp "$T/list.jsonl" "$M/new/"
matches "$(cat "$T/refused")" 'Disk quota exceeded' "a list beyond the budget"
matches "$(cat "$M/new/list.jsonl.error")" '^line 3: it would pass the budget: this costs 0.30 USD' "error file"
matches "$(cat "$M/new/list.jsonl.error")" '^line 4: it would pass the budget' "error file"
posts_are $((posts + 11)) "of a list beyond the budget"
eq "$(spend left)" 0.00 "what is left after a list"
driver_stop
driver_start
cp "$T/list.jsonl" "$M/new/"
posts_are $((posts + 13)) "of the list once more"
eq "$(spend ever)" "$(printf '%.2f' "$(ledger charged_usd)")" "spend after the list"
