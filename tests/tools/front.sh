# nginx with TLS and HTTP/2 in front of the sandbox, for mount tests: source it after lib.sh.
#
# certificate makes them, front_start serves with one, front_shows changes it. $T/front/log has a line
# for each request: PROTOCOL METHOD PATH STATUS CONNECTION.

F=$T/front
FRONT_PID=
mkdir -p "$F/tmp"

command -v nginx >"$T/which" || skip "no nginx here"

new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

authority() { # name
	openssl req -x509 "${new_key[@]}" -days 2 -subj "/CN=$1" -keyout "$F/$1.key" -out "$F/$1.crt" \
		2>>"$T/openssl"
}

certificate() { # name authority days host...
	local names
	names=$(printf ',DNS:%s' "${@:4}")
	openssl req "${new_key[@]}" -subj "/CN=$1" -addext "subjectAltName=${names#,}" \
		-keyout "$F/$1.key" -out "$F/$1.csr" 2>>"$T/openssl"
	openssl x509 -req -in "$F/$1.csr" -CA "$F/$2.crt" -CAkey "$F/$2.key" -days "$3" \
		-copy_extensions copyall -out "$F/$1.crt" 2>>"$T/openssl"
}

front_install() { # certificate
	cp "$F/$1.crt" "$F/live.crt"
	cp "$F/$1.key" "$F/live.key"
}

front_serves() { # certificate
	openssl s_client -connect "127.0.0.1:$FRONT_PORT" </dev/null 2>>"$T/openssl" |
		openssl x509 -outform DER 2>>"$T/openssl" | cmp -s - <(openssl x509 -in "$F/$1.crt" -outform DER)
}

# The server blocks: all that comes to the port goes to the gateway, unless $F/servers says more.
front_configure() { # port
	FRONT_PORT=$1
	[ -e "$F/servers" ] || : >"$F/servers"
	cat >"$F/nginx.conf" <<-END
		user root;
		daemon off;
		worker_processes 1;
		pid $F/pid;
		events { worker_connections 512; }
		http {
			client_body_temp_path $F/tmp/body;
			proxy_temp_path $F/tmp/proxy;
			fastcgi_temp_path $F/tmp/fastcgi;
			uwsgi_temp_path $F/tmp/uwsgi;
			scgi_temp_path $F/tmp/scgi;
			log_format line '\$server_protocol \$request_method \$uri \$status \$connection';
			access_log $F/log line;
			# However long a slow machine polls: only we end connections.
			keepalive_requests 1000000;
			ssl_certificate $F/live.crt;
			ssl_certificate_key $F/live.key;
			server {
				listen $1 ssl http2;
				location / { proxy_pass $GATEWAY; proxy_buffering off; }
			}
			include $F/servers;
		}
	END
}

front_start() { # port certificate
	front_install "$2"
	front_configure "$1"
	nginx -p "$F" -c "$F/nginx.conf" -e "$F/errors" 2>>"$F/started" &
	FRONT_PID=$!
	await 10 front_serves "$2"
}

front_shows() { # certificate
	local worker
	worker=$(pgrep -P "$FRONT_PID")
	front_install "$1"
	kill -HUP "$FRONT_PID"
	await 10 front_serves "$1"
	# Until it is gone the old one may take a connection, and shows what it has.
	await 10 is_gone "$worker"
}

# Its worker dies, with all connections; another one takes its place.
front_crash() {
	local worker
	worker=$(pgrep -P "$FRONT_PID")
	# shellcheck disable=SC2086  # a reload may have left two
	kill -9 $worker
	await 10 front_replaced "$worker"
}

front_replaced() { # pid
	pgrep -P "$FRONT_PID" | grep -qv "^$1\$"
}

front_stop() {
	kill "$FRONT_PID"
	wait "$FRONT_PID" || :
	FRONT_PID=
}
