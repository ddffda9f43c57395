# Whatever is sent, it goes on serving.
. "$(dirname "$0")/lib.sh"

trap '' PIPE # the other side hangs up on some of this
start --balance 100000
port=${GATEWAY##*:} cdn=${CDN##*:}

say() { # port text: sends it, reads what comes for a moment, and hangs up
	exec 9<>"/dev/tcp/127.0.0.1/$1"
	printf '%b' "$2" >&9 || :
	timeout 0.1 cat <&9 >/dev/null || :
	exec 9>&-
}

head=' HTTP/1.1\r\nHost: x\r\n'
post="POST $SUBMIT$head""Ocp-Apim-Subscription-Key: k\r\nContent-Type: application/json\r\n"
for text in '' '\n' 'GET' 'GET / HTTP/9.9\r\n\r\n' '\x00\xff\xfe\r\n\r\n' "GET /%ff%00$head\r\n" \
	"GET $STATUS/%s%n%s%n$head""Ocp-Apim-Subscription-Key: k\r\n\r\n" "$post\r\n" \
	"${post}Content-Length: 1000\r\n\r\n{" "${post}Content-Length: -5\r\n\r\n{}" \
	"${post}Content-Length: 99999999999999999999\r\n\r\n{}" "${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n" \
	"${post}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" "${post}Content-Length: 2\r\n\r\n\xff\x00" \
	"GET /sandbox/wait$head\r\n" "GET /sandbox/wait?point&count=x&timeout=nan$head\r\n" \
	"GET /sandbox/count?what$head\r\n" "POST /sandbox/release?point=stall&count=-1$head""Content-Length: 0\r\n\r\n" \
	"POST /sandbox/control$head""Content-Length: 1\r\n\r\n\xff"; do
	say "$port" "$text"
	say "$cdn" "$text"
done

long=$(head -c 100000 /dev/zero | tr '\0' a)
say "$port" "GET /$long$head\r\n"
say "$cdn" "GET /v1/$long/output.glb$head\r\n"
say "$cdn" "GET /images/$long.png$head\r\n"
deep=$(head -c 100000 /dev/zero | tr '\0' '[')
for json in "$deep" "{\"image_url\":$deep" "{\"image_url\":\"https://h/$long\"}" '{"image_url":"https://h/\u0000"}' \
	"{\"image_url\":\"https://h/%s%n%MEDIA%\"}" "{\"$long\":1}" $'{"image_url":"https://h/\xff"}'; do
	printf '%s' "$json" >"$T/json"
	CODE=$(call -o "$T/body" -w '%{http_code}' -H 'Ocp-Apim-Subscription-Key: k' \
		-H 'Content-Type: application/json' --data-binary "@$T/json" "$GATEWAY$SUBMIT")
	matches "$CODE" '^(202|400)$' "code of ${json:0:40}"
	call -o "$T/control" --data-binary "@$T/json" "$GATEWAY/sandbox/control"
	matches "$(cat "$T/control")" '"error"' "a control of nonsense"
done

# Header fields of all kinds on an output.
accept
for field in 'Range: bytes=-' 'Range: bytes=18446744073709551616-' 'Range: bytes=0-18446744073709551615' \
	'Range: bytes=-18446744073709551615' "Range: $(head -c 3000 /dev/zero | tr '\0' 9)" 'If-Range: ' \
	'If-None-Match: ,' 'If-Match: "' 'Range: bytes=0-0,0-0' 'Range: bytes = 0-0'; do
	get -H "$field" "$CDN/v1/$ID/output.glb"
	matches "$CODE" '^(200|206|304|412|416)$' "code of ${field:0:40}"
done

# Random bytes, a little.
for _ in {1..20}; do
	for p in $port $cdn; do
		exec 9<>"/dev/tcp/127.0.0.1/$p"
		head -c 300 /dev/urandom >&9 2>/dev/null || :
		exec 9>&-
	done
done
accept
eq "$(ledger '.accepted == .posts')" false "refused POSTs count"
