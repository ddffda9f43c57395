# What is refused, with the documented codes and bodies; every POST counts, none of these is charged.
. "$(dirname "$0")/lib.sh"

start --key secret --balance 1 --queue-time 3600
POSTS=0

refused() { # code error what, then curl arguments
	local code=$1 error=$2 what=$3
	shift 3
	CODE=$(call -o "$T/body" -w '%{http_code}' "$@" "$GATEWAY$SUBMIT")
	eq "$CODE" "$code" "code of $what ($(cat "$T/body"))"
	[[ $(<"$T/body") = '{"error":"'$error'","message":"'?*'"}' ]] || fail "answer to $what: $(<"$T/body")"
	POSTS=$((POSTS + 1))
}

KEY='Ocp-Apim-Subscription-Key: secret'
JSON='Content-Type: application/json'
GOOD='{"image_url":"https://h.example/a.png"}'
refused 401 Unauthorized "no key" -H "$JSON" -d "$GOOD"
refused 401 Unauthorized "empty key" -H "$JSON" -H 'Ocp-Apim-Subscription-Key;' -d "$GOOD"
refused 401 Unauthorized "wrong key" -H "$JSON" -H "${KEY}x" -d "$GOOD"
refused 400 "Bad Request" "form type" -H "$KEY" -d "$GOOD"
refused 400 "Bad Request" "no type" -H "$KEY" -H 'Content-Type:' -d "$GOOD"
refused 400 "Bad Request" "near type" -H "$KEY" -H 'Content-Type: application/jsonx' -d "$GOOD"

bad() { # JSON
	refused 400 "Bad Request" "$1" -H "$KEY" -H "$JSON" --data-binary "$1"
}

bad ''
bad 'null'
bad '{'
bad '[]'
bad '{}'
bad "$GOOD$GOOD"
bad '{"image_url":"https://h.example/a.png","image_url":"https://h.example/a.png"}'
for url in '""' '"dog.png"' '"file:///etc/passwd"' '"https://"' '"https:///x"' '"https://h/a b"' 7 null '["https://h/a"]'; do
	bad "{\"image_url\":$url}"
done

bad_param() { # name value...
	local name=$1 value
	shift
	for value; do
		bad "{\"image_url\":\"https://h.example/a.png\",\"$name\":$value}"
	done
}

bad_param colour 1
bad_param Seed 1
bad_param seed 1.5 1.0 '"1"' null true 99999999999999999999
bad_param resolution 1023 '"1024"' 1024.0 2048 null
bad_param texture_size 512 '"2048"' 8192 null
bad_param remesh 1 '"true"' null
for name in ss_sampling_steps shape_slat_sampling_steps tex_slat_sampling_steps max_num_tokens decimation_target; do
	bad_param $name 12.5 '"12"' null
done
for name in ss_guidance_strength ss_guidance_rescale ss_rescale_t shape_slat_guidance_strength \
	shape_slat_guidance_rescale shape_slat_rescale_t tex_slat_guidance_strength \
	tex_slat_guidance_rescale tex_slat_rescale_t mesh_scale; do
	bad_param $name '"1"' null true
done

# More than a service would read.
head -c 3000000 /dev/zero | tr '\0' ' ' >"$T/large"
refused 400 "Bad Request" "large body" -H "$KEY" -H "$JSON" --data-binary "@$T/large"

# What the documentation lists is taken: all 20 parameters, integers for floats, every enum value.
all='{"image_url":"https://h.example/a.png","seed":-5,"resolution":1536,"ss_guidance_strength":7,
"ss_guidance_rescale":0.7,"ss_sampling_steps":12,"ss_rescale_t":5,"shape_slat_guidance_strength":7.5,
"shape_slat_guidance_rescale":0.5,"shape_slat_sampling_steps":12,"shape_slat_rescale_t":3.0,
"tex_slat_guidance_strength":1,"tex_slat_guidance_rescale":0,"tex_slat_sampling_steps":12,
"tex_slat_rescale_t":3,"mesh_scale":1e-1,"max_num_tokens":49152,"decimation_target":5000,
"texture_size":1024,"remesh":false}'
taken() { # JSON price
	local before
	before=$(count charged_usd)
	CODE=$(call -o "$T/body" -w '%{http_code}' -H "$KEY" -H "$JSON; charset=utf-8" -d "$1" "$GATEWAY$SUBMIT")
	eq "$CODE" 202 "code of $1 ($(cat "$T/body"))"
	eq "$(jq -n "$(count charged_usd)-$before|.*100|round")" "$2" "price of $1"
}
eq "$(ledger '[.posts,.accepted,.charged_usd,.balance_usd]')" "[$POSTS,0,0,1]" "ledger after refusals"
control '{"balance":1.56}'
taken "$all" 30
taken '{"image_url":"HTTP://h.example/a.png"}' 42
taken '{"image_url":"https://h.example/a.png","texture_size":2048,"resolution":1024}' 42
taken '{"image_url":"https://h.example/a.png","texture_size":4096}' 42

# The wallet is empty to the cent.
eq "$(count balance_usd)" 0.00 "balance"
CODE=$(call -o "$T/body" -w '%{http_code}' -H "$KEY" -H "$JSON" -d "$all" "$GATEWAY$SUBMIT")
eq "$CODE" 402 "code without balance"
eq "$(body .)" '{"error":"Insufficient Balance","message":"Your wallet does not have enough balance."}' "documented 402"
eq "$(count accepted)" 4 "accepted"

CODE=$(call -o "$T/body" -w '%{http_code}' -H "$KEY" -H "$JSON" -d "$all" "$GATEWAY/nemo/v1/nemo-request")
eq "$CODE" 400 "another model"
eq "$(body .)" "{\"error\":\"Model not found\",\"message\":\"Model 'nemo' not found or is disabled\"}" "documented 400"

for try in "404 -X GET $GATEWAY/" "404 -X GET $GATEWAY$STATUS/pixal3d_none" "405 -X GET $GATEWAY$SUBMIT" \
	"405 -X POST $GATEWAY$STATUS/x" "404 -X POST $GATEWAY/pixal3d/v1/other" "404 -X GET $GATEWAY/sandbox/none" \
	"404 -X GET $GATEWAY$STATUS/"; do
	# shellcheck disable=SC2086
	set -- $try
	eq "$(call -o "$T/body" -w '%{http_code}' -H "$KEY" "${@:2}")" "$1" "code of $try"
done
eq "$(call -o "$T/body" -w '%{http_code}' "$GATEWAY$STATUS/x")" 401 "status without a key"
eq "$(call -o "$T/body" -w '%{http_code}' -H "${KEY}x" "$GATEWAY$STATUS/x")" 401 "status with a wrong key"
