# limit: 120
# shellcheck disable=SC2016
# Parameters: what is asked for is what is sent, byte for byte; what is wrong is named precisely and
# costs nothing; what is unusual is warned of and sent.
. "$(dirname "$0")/lib.sh"

expect_log '^pixal3dfs: warn: .*outside the usual'
sandbox_start --balance 1000
driver_start
posts=0
image='"image_url": "https://images.example/p.png"'

drop() { # name text
	printf '%s' "$2" >"$T/$1.json"
	cp "$T/$1.json" "$M/new/" || fail "$1 was refused: $(cat "$M/new/$1.json.error")"
	posts=$((posts + 1))
	posts_are $posts "after $1"
}

# The last body that the gateway received, as it was on the wire.
received() {
	sandbox_call "$GATEWAY/sandbox/received" | jq -j '.[-1].body'
}

is_what_was_sent() { # job directory
	received >"$T/body"
	cmp "$1/params.json" "$T/body" || fail "params.json of $1 is not what was sent"
	eq "$(stat -c %s "$1/params.json")" "$(stat -c %s "$T/body")" "its size"
}

# --- the README's example job

grep -q '"texture_size": 2048, *# one of 1024, 2048, 4096: ' "$M/README" || fail "no comment on texture_size"
grep -q '"ss_sampling_steps": 12, *# usually 1 to 50: ' "$M/README" || fail "no comment on ss_sampling_steps"
sed -n '/^    {$/,/^    }$/{s/ *#.*//;p}' "$M/README" >"$T/example"
eq "$(jq length "$T/example")" 20 "parameters of the example"
drop example "$(cat "$T/example")"
is_what_was_sent "$M/by-name/example"
jq -S . "$T/example" | cmp - <(jq -S . "$M/by-name/example/params.json") || fail "the example is not what was sent"
eq "$(within $((20 * SLOW)) cat "$M/by-name/example/wait")" COMPLETED "the example job"
[ ! -e "$M/by-name/example/error" ] || fail "the example job has an error: $(cat "$M/by-name/example/error")"
# ... whose defaults are the service's own.
drop minimal "{$image}"
for name in $(jq -r 'keys[] | select(. != "image_url" and . != "seed")' "$T/example"); do
	eq "$(jq "has(\"$name\")" "$M/by-name/minimal/params.json")" false "$name, which was not given"
done

# --- exactly what was sent

is_what_was_sent "$M/by-name/minimal"
matches "$(jq .seed "$M/by-name/minimal/params.json")" '^[0-9]+$' "the drawn seed"
drop other "{$image}"
[ "$(jq .seed "$M/by-name/minimal/params.json")" != "$(jq .seed "$M/by-name/other/params.json")" ] ||
	fail "two jobs have drawn the same seed"
drop numbers "{$image, \"seed\": -7, \"mesh_scale\": 0.1, \"ss_guidance_strength\": 3e0,
	\"ss_guidance_rescale\": 0.30000000000000004, \"remesh\": false, \"max_num_tokens\": 9007199254740993}"
is_what_was_sent "$M/by-name/numbers"
eq "$(sed 's/[ ,]//g' "$M/by-name/numbers/params.json" | grep -v image_url | xargs)" \
	"{ seed:-7 ss_guidance_strength:3 ss_guidance_rescale:0.30000000000000004 mesh_scale:0.1 max_num_tokens:9007199254740993 remesh:false }" \
	"numbers as they were written"
drop utf8 '{"image_url": "https://images.example/H\u00fcndchen/犬.png?a=\"b\"&c=\\d"}'
is_what_was_sent "$M/by-name/utf8"
eq "$(cat "$M/by-name/utf8/image_url")" 'https://images.example/Hündchen/犬.png?a="b"&c=\d' "a URL with every kind of character"
mkdir "$M/job"
echo '{"seed": 5, "texture_size": 1024}' >"$M/job/params.json"
echo https://images.example/job.png >"$M/job/image_url"
posts=$((posts + 1))
is_what_was_sent "$M/job"
before=$(digest "$M/job/params.json")
within $((20 * SLOW)) cat "$M/job/wait" >"$T/waited"
driver_stop
driver_start
eq "$(digest "$M/job/params.json")" "$before" "params.json after a remount"

# --- what is wrong

wrong() { # what text pattern
	printf '%s' "$2" >"$T/wrong.json"
	refuses cp "$T/wrong.json" "$M/new/"
	matches "$(cat "$T/refused")" 'Invalid argument' "$1"
	grep -Eqe "^wrong.json: $3\$" "$M/new/wrong.json.error" ||
		fail "$1: '$(head -n 1 "$M/new/wrong.json.error")' is not '$3'"
	grep -q 'Nothing was sent, nothing was charged' "$M/new/wrong.json.error"
	posts_are $posts "after $1"
	rm "$M/new/wrong.json"
}

wrong "a value that is not allowed" "{$image, \"texture_size\": 3000}" 'texture_size: 3000 is not one of 1024, 2048, 4096'
wrong "another one" "{$image, \"resolution\": 2048}" 'resolution: 2048 is not one of 1024, 1536'
wrong "an unknown name" "{$image, \"texture_siez\": 1024}" 'texture_siez: unknown parameter, did you mean texture_size\?'
wrong "a name in capitals" "{$image, \"Remesh\": true}" 'Remesh: unknown parameter, did you mean remesh\?'
wrong "a name like none" "{$image, \"colour_of_the_sky\": 1}" 'colour_of_the_sky: unknown parameter'
wrong "text for a number" "{$image, \"seed\": \"7\"}" 'seed: "7" is a string, an integer is needed'
wrong "a float for an integer" "{$image, \"texture_size\": 1024.0}" 'texture_size: 1024.0 is a float, an integer is needed'
wrong "a boolean for a float" "{$image, \"mesh_scale\": true}" 'mesh_scale: true is a boolean, a number is needed'
wrong "a number for a boolean" "{$image, \"remesh\": 1}" 'remesh: 1 is an integer, true or false is needed'
wrong "null" "{$image, \"seed\": null}" 'seed: null is no value, an integer is needed'
wrong "an object" "{$image, \"seed\": {}}" 'seed: \{\} is an object, an integer is needed'
wrong "no image" '{"seed": 1}' 'image_url is missing'
wrong "an image that is no URL" '{"image_url": "dog.png"}' 'image_url: an http:// or https:// URL is needed'
for number in NaN Infinity -Infinity nan 1e999 -1e999; do
	wrong "$number" "{$image, \"mesh_scale\": $number}" 'line 1, column [0-9]+: .*'
done
for number in 9223372036854775808 -9223372036854775809 99999999999999999999999; do
	wrong "$number" "{$image, \"seed\": $number}" 'line 1, column [0-9]+: too big.*'
done
for number in 01 +1 .5 1. 0x10 1_000 --1; do
	wrong "$number" "{$image, \"seed\": $number}" 'line 1, column [0-9]+: .*'
done
wrong "a name twice" "{$image, \"seed\": 1, \"seed\": 1}" 'line 1, column [0-9]+: duplicate object key.*'
wrong "a name twice, escaped" "{$image, \"seed\": 1, \"s\\u0065ed\": 1}" 'line 1, column [0-9]+: duplicate object key.*'
wrong "two objects" "{$image}{$image}" 'line 1, column [0-9]+: end of file expected.*'
wrong "garbage after the object" "{$image} x" 'line 1, column [0-9]+: end of file expected.*'
wrong "a comma too many" $'{\n  '"$image"$',\n}' 'line 3, column 1: .*'
wrong "a missing comma" $'{\n  '"$image"$'\n  "seed": 1\n}' 'line 3, column 8: .*'
wrong "a missing quote" $'{\n  '"$image"$',\n  seed: 1\n}' 'line 3, column [0-9]+: .*'
wrong "single quotes" "{'seed': 1}" 'line 1, column 2: .*'
wrong "a comment" $'{\n  // an image\n  '"$image"$'\n}' 'line 2, column [0-9]+: .*'
wrong "an array" "[{$image}]" 'this is not an object: a JSON object is needed'

# The same in a job's own files, told in its `error`.
mkdir "$M/own"
refuses bash -c 'echo "{\"texture_siez\": 1024}" >"$1"' - "$M/own/params.json"
matches "$(cat "$M/own/error")" '^params.json: texture_siez: unknown parameter, did you mean texture_size\?' "error of a draft"
echo '{"texture_size": 1024}' >"$M/own/params.json"
[ ! -e "$M/own/error" ] || fail "the error stays: $(cat "$M/own/error")"
posts_are $posts "after parameters without an image"

# --- what is unusual

unusual() { # name value usual
	drop "unusual-$1" "{$image, \"$1\": $2}"
	J=$M/by-name/unusual-$1
	grep -qx "$1: $2 is outside the usual $3" "$J/error" || fail "no warning of $1 in error"
	grep -q "$1: $2 is outside the usual $3" "$J/log" || fail "no warning of $1 in log"
	eq "$(jq ".$1" "$J/params.json")" "$2" "$1"
}
unusual ss_guidance_strength 10.5 '0 to 10'
unusual tex_slat_guidance_rescale -0.5 '0 to 1'
unusual shape_slat_sampling_steps 51 '1 to 50'
unusual ss_rescale_t 0.5 '1 to 6'
unusual decimation_target 4999 '5000 to 1500000'
eq "$(within $((20 * SLOW)) cat "$J/wait")" COMPLETED "a job with an unusual value"
grep -q 'outside the usual' "$J/error" || fail "the warning is gone when the job has ended"
eq "$(grep -c '^pixal3dfs: warn: .*outside the usual' "$DRIVER_LOG")" 5 "warnings in the driver's log"
drop usual "{$image, \"ss_guidance_strength\": 10, \"ss_rescale_t\": 1, \"decimation_target\": 1500000}"
[ ! -e "$M/by-name/usual/error" ] || fail "a warning of what is usual: $(cat "$M/by-name/usual/error")"
