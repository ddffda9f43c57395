# What every part of the benchmark starts with: . "$(dirname "$0")/lib.sh"
#
# A part is one subject, run by tests/bench/run in a directory of its own, $T. It starts a gateway and a
# driver as the tests do, measures with note, and ends with table and its rows. Ours and its yardstick
# take turns within every round. Each row: the median of ours, the median of the yardstick, the median of
# the rounds' ratios (ours / yardstick), and the ratio of the best round of each, which a busy machine
# disturbs less. A rate wants a high ratio, a time a low one. Everything is on loopback.
#
# The measuring programs and `minfs`, the least that a FUSE filesystem can do, come from $SHARED; where
# it is not there, probe.c measures, and the rows of minfs are left out. What is left out is named.
set -Eeuo pipefail
: "${B:?run it with tests/bench/run}" "${ROUNDS:?}" "${JOBS:?}" "${SHARED:?}" "${LIMIT:?}"

root=$PWD
PART=$(basename "$0" .sh)
T=$B/bench/$PART
TOOLS=$B/bench/tools
SIZE=$((64 << 20))
SECONDS=0
rm -rf --one-file-system "$T"
mkdir -p "$T/www" "$T/minfs" "$TOOLS"

# Gateway, driver, control and cleanup are those of the tests.
# shellcheck source=tests/mount/lib.sh
. "$root/tests/mount/lib.sh"
OPTIONS=${OPTIONS/log=info/log=warn}

NGINX='' NGINX_PID='' MINFS='' MINFS_PID='' RD=''
STAT=()
left_out=()

# --- measuring

# A step of the run: bounded by itself and by what is left for all.
step() { # seconds command...
	local left=$((LIMIT - SECONDS))
	[ $left -gt 0 ] || fail "the run took longer than $LIMIT s"
	[ "$1" -lt $left ] || set -- $left "${@:2}"
	within "$@"
}

# Notes "NAME VALUE" lines as one round's measurements of a subject.
note() { # workload subject round
	awk -v w="$1" -v s="$2" -v r="$3" 'r > 0 && NF == 2 { print w "." $1, s, r, $2 }' >>"$T/measured"
}

elapsed() { # since an earlier $EPOCHREALTIME
	awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "ms %.2f\n", (b - a) * 1e3 }'
}

# Runs a command with its output thrown away; prints "NAME milliseconds" of it alone.
timed() { # name command...
	# shellcheck disable=SC2016
	step 60 bash -c 'start=$EPOCHREALTIME
		"${@:2}" >/dev/null || exit
		echo "$1 $start $EPOCHREALTIME"' bash "$@" | awk '{ printf "%s %.2f\n", $1, ($3 - $2) * 1e3 }'
}

# User and system time of a process so far, in milliseconds (steps of a clock tick).
cpu_ms() { # pid
	awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hz }' "/proc/$1/stat"
}

# The most that the driver had in memory.
memory() {
	awk '/^VmHWM/ { print "mib", $2 / 1024 }' "/proc/$DRIVER_PID/status"
}

# What other measurements wrote is no business of the next one.
settle() {
	step 30 sync -f "$T"
}

# One row from the measurements; nothing when they were not made.
row() { # text metric yardstick words
	awk -v text="$1" -v metric="$2" -v yard="$3" -v words="$4" '
	function median(v, n,    i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
	}
	function best(v, n, time,    i, x) {
		for (x = v[i = 1]; i <= n; i++)
			if (time ? v[i] < x : v[i] > x) x = v[i]
		return x
	}
	function show(x) { return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : "%.2f", x) }
	$1 == metric && $2 == "ours" { a[++n] = ours[$3] = $4 }
	$1 == metric && $2 == yard { b[++m] = other[$3] = $4 }
	END {
		if (!n || (yard != "-" && !m)) exit
		for (i in ours) if (other[i] > 0) q[++k] = ours[i] / other[i]
		time = metric !~ /_s$|iops$/
		printf "%-46s %10s", text, show(median(a, n))
		if (yard == "-") printf "%s\n", words
		else printf " %10s %7.2f %7.2f   %s\n", show(median(b, m)), median(q, k),
			best(a, n, time) / best(b, m, time), words
	}' "$T/measured"
}

load() {
	cut -d ' ' -f 1-3 /proc/loadavg
}

# What the rows of this part stand under; after all was measured.
table() {
	local what
	printf '\n%s: %s rounds, %s processors, Linux %s, %s; load %s before, %s after; %s s\n' "$PART" "$ROUNDS" \
		"$(nproc)" "$(uname -r)" "$disk" "$before" "$(load)" $SECONDS
	for what in "${left_out[@]}"; do
		echo "left out: $what"
	done
	printf '%-46s %10s %10s %7s %7s   %s\n' "" ours yardstick ratio best "yardstick; target"
}

# --- tools and yardsticks

compile() { # program source [flag...]
	step 60 "${CC:-cc}" -O2 -D_GNU_SOURCE -o "$TOOLS/$1" "${@:2}" 2>>"$T/compiler.log"
}

# shellcheck disable=SC2034  # the parts use RD and STAT
tools() {
	local flags
	if [ -r "$SHARED/tools/rd.c" ] && compile rd "$SHARED/tools/rd.c" &&
		compile statbench "$SHARED/tools/statbench.c"; then
		RD=$TOOLS/rd STAT=("$TOOLS/statbench")
	else
		compile probe "$root/tests/bench/probe.c" || fail "no compiler: $(cat "$T/compiler.log")"
		RD=$TOOLS/probe STAT=("$TOOLS/probe" stat)
	fi
	if [ ! -r "$SHARED/tools/minfs.c" ]; then
		left_out+=("minfs: there is no $SHARED")
	elif ! read -r -a flags < <(pkg-config --cflags --libs fuse3 2>/dev/null) ||
		! compile minfs "$SHARED/tools/minfs.c" "${flags[@]}"; then
		left_out+=("minfs: it cannot be built (libfuse's headers?)")
	else
		MINFS=$TOOLS/minfs
	fi
}

minfs_up() { # options
	"$MINFS" -f -o "$1" "$T/minfs" >"$T/minfs.log" 2>&1 &
	MINFS_PID=$!
	await 10 mountpoint -q "$T/minfs"
}

minfs_down() {
	await 5 umount "$T/minfs"
	await 5 is_gone "$MINFS_PID"
	wait "$MINFS_PID" || :
	MINFS_PID=
}

nginx_conf() { # port
	cat <<-END
		daemon off;
		master_process off;
		pid $T/nginx.pid;
		error_log $T/nginx.err warn;
		env P3D_PACE;
		events { worker_connections 256; }
		http {
			log_format sent '\$request_method \$bytes_sent';
			access_log ${NGINX_LOG:-off} ${NGINX_LOG:+sent};
			autoindex on;
			sendfile on;
			tcp_nopush on;
			tcp_nodelay on;
			keepalive_requests 1000000;
			types { model/gltf-binary glb; }
			client_body_temp_path $T/nginx;
			proxy_temp_path $T/nginx;
			fastcgi_temp_path $T/nginx;
			uwsgi_temp_path $T/nginx;
			scgi_temp_path $T/nginx;
			server { listen 127.0.0.1:$1; root $T/www; }
		}
	END
}

nginx_answers() { # url: true too when it has ended
	curl -sfI -o /dev/null --max-time 2 "$1" || is_gone "$NGINX_PID"
}

# It cannot take a port of the kernel's choice: a few are tried.
nginx_start() {
	local program port try
	program=$(PATH=$PATH:/usr/sbin:/sbin command -v nginx) || {
		left_out+=("nginx: not installed; the sandbox alone serves")
		return 0
	}
	for try in 1 2 3 4 5; do
		port=$((20000 + (RANDOM + try) % 12000))
		nginx_conf "$port" >"$T/nginx.conf"
		"$program" -e "$T/nginx.err" -p "$T" -c "$T/nginx.conf" 2>"$T/nginx.said" &
		NGINX_PID=$!
		await 5 nginx_answers "http://127.0.0.1:$port/model.glb"
		if is_running "$NGINX_PID"; then
			NGINX=http://127.0.0.1:$port/model.glb
			return 0
		fi
		wait "$NGINX_PID" || :
	done
	left_out+=("nginx: it does not start: $(tail -n 1 "$T/nginx.said")")
}

nginx_stop() {
	[ "$NGINX" ] || return 0
	kill "$NGINX_PID"
	wait "$NGINX_PID" || :
}

# --- a model of 64 MiB

big() { # job
	echo "$M/by-name/$1/output.glb"
}

# Its copy is whole, and all that is to be done for it was done.
await_digest() { # job
	await 30 grep -q '"sha256": "' "$M/by-name/$1/output.json"
}

# All these jobs are of the same object, which is made once.
submit_big() { # name...
	local name
	for name; do
		printf '{"image_url": "https://images.example/big.png", "seed": 7}\n' >"$T/$name.json"
		step 30 cp "$T/$name.json" "$M/new/"
	done
	for name; do
		eq "$(step 30 cat "$M/by-name/$name/wait")" COMPLETED "wait of $name"
		await 10 test -e "$(big "$name")"
		eq "$(stat -L -c %s "$(big "$name")")" $SIZE "size of $name"
	done
}

# The yardsticks' copy of the model of a job; by nginx too, where there is one.
serve_model() { # job
	SANDBOX_URL=$(media_url "$M/by-name/$1")
	step 60 curl -sSf -o "$T/www/model.glb" "$SANDBOX_URL"
	nginx_start
}

# The control that makes jobs of these images have files at nginx: lines "image path".
media_of() {
	jq -Rcn --arg nginx "${NGINX%/*}" '{faults: [inputs | split(" ") | {at: "status", do: "answer", times: 0,
		when: "COMPLETED", match: "/\(.[0]).png", set: {output: {media_url: ["\($nginx)/\(.[1])"]}}}]}'
}

submit_images() { # name...
	local name
	for name; do
		printf '{"image_url": "https://images.example/%s.png"}\n' "$name" >"$T/$name.json"
	done
	(cd "$T" && step 60 cp -t "$M/new" "${@/%/.json}")
	for name; do
		eq "$(step 30 cat "$M/by-name/$name/wait")" COMPLETED "wait of $name"
		await 10 test -e "$(big "$name")"
	done
}

# A file that looks like a model, of zeros.
plant_model() { # path bytes
	printf 'glTF\x02\0\0\0' >"$1"
	printf '%08x' "$2" | sed 's/\(..\)\(..\)\(..\)\(..\)/\\x\4\\x\3\\x\2\\x\1/' | xargs -0 printf >>"$1"
	truncate -s "$2" "$1"
}

# --- many jobs

make_drops() {
	local i
	mkdir "$T/drops"
	for ((i = 0; i < JOBS; i++)); do
		printf '{"image_url": "https://images.example/%d.png"}\n' $i >"$T/drops/$(printf 'j%05d' $i).json"
	done
	settle
}

outputs_known() {
	[ "$(find "$M" -mindepth 2 -maxdepth 2 -name output.glb | wc -l)" = "$JOBS" ]
}

wait_for_jobs() {
	(cd "$M/by-name" && printf '%s/wait\n' j* | step 120 xargs cat) >"$T/ends"
	eq "$(sort "$T/ends" | uniq -c | awk '{ print $2, $1 }')" "COMPLETED $JOBS" "ends of the jobs"
	await 60 outputs_known
}

# Books of so many finished jobs: one real one, copied; each has a name as long as minfs's.
plant_jobs() { # count
	local columns
	driver_start
	complete_job model
	driver_stop
	columns=$(sqlite3 "$T/state/jobs.db" "SELECT group_concat(name, ', ') FROM pragma_table_info('job')
		WHERE name NOT IN ('number', 'name', 'label', 'request_id')")
	step 120 sqlite3 "$T/state/jobs.db" "
		CREATE TEMP TABLE n AS WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < $1) SELECT n FROM c;
		UPDATE job SET name = 'j0000001' WHERE number = 1;
		INSERT INTO job (number, name, label, request_id, $columns) SELECT n, printf('j%07d', n), 'model-' || n,
			'pixal3d_019d0000-0000-7000-8000-' || printf('%012d', n), $columns FROM job, n WHERE number = 1;
		INSERT INTO output (number, position, url, name, media_type, etag, size, mtime_ms)
			SELECT n, position, url, name, media_type, etag, size, mtime_ms FROM output, n WHERE number = 1;
		INSERT INTO text SELECT n, which, body FROM text, n WHERE number = 1;
		INSERT INTO log SELECT n, position, line FROM log, n WHERE number = 1;"
}

# --- beginning and end

need() { # program
	command -v "$1" >"$T/which" || { echo "$PART: NOTHING MEASURED: no $1 here"; exit 0; }
}

minfs_end() {
	[ ! "$MINFS_PID" ] || kill -9 "$MINFS_PID"
	umount -l "$T/minfs"
} 2>/dev/null

bench_exit() {
	local status=$?
	trap - ERR
	set +e
	minfs_end
	# A broken part keeps what explains it.
	[ $status -eq 0 ] || rm -rf --one-file-system "$T/www" "$T/cache" "$T/curled"
	(exit $status)
	at_exit
}

trap bench_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

: >"$T/measured"
disk=$(stat -f -c %T "$T")
[ "$disk" != ext2/ext3 ] || disk=ext4
before=$(load)
tools
