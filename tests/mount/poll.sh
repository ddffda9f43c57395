# poll(2), select and epoll on `status` wake at a change, for many at once; what polls an ordinary file
# before it reads still reads it; `tail -f` and `less +F` follow the log.
. "$(dirname "$0")/lib.sh"
sandbox_start --queue-time 1000 --process-time 1000
driver_start
params "$T/dog.json"
cp "$T/dog.json" "$M/new/"
job=$(readlink -f "$M/by-name/dog")
eq "$(cat "$job/status")" QUEUED status

# Everybody sleeps until told: the polls of the service are held, so that nothing else wakes them.
python3 "$(dirname "$0")/../tools/poll_status.py" "$job/status" >"$T/polled" 2>&1 &
poller=$!
await 10 grep -q watching "$T/polled"
# From the shell: perl has select, and GNU tail follows.
perl -e 'open F, "<", $ARGV[0] or die; $_ = <F>; my $set = ""; vec($set, fileno(F), 1) = 1;
	my $e = $set; select(undef, undef, $e, 30) == 1 or die "not woken"; seek F, 0, 0; print scalar <F>;' \
	"$job/status" >"$T/perl" &
perl=$!
tail -n +1 -f -s 0.05 "$job/log" >"$T/tail" 2>&1 &
tail=$!
within 10 bash -c "until grep -q QUEUED '$T/tail'; do sleep 0.02; done"
advance PROCESSING
within 10 bash -c "until [ -s '$T/perl' ]; do sleep 0.02; done"
eq "$(cat "$T/perl")" PROCESSING "what perl was woken for"
wait "$perl"
advance COMPLETED
within 20 tail --pid="$poller" -f /dev/null
wait "$poller" || fail "poll_status: $(cat "$T/polled")"
eq "$(grep -c '^many .*COMPLETED' "$T/polled")" 100 "handles that were told"
for how in poll epoll select; do
	matches "$(grep "^$how " "$T/polled")" "^$how (QUEUED )?(PROCESSING )?COMPLETED$" "what $how saw"
done
grep -q 'QUEUED PROCESSING COMPLETED' "$T/polled" || fail "nobody saw every state: $(cat "$T/polled")"
await 10 grep -q 'PROCESSING -> COMPLETED' "$T/tail"
kill "$tail"
wait "$tail" 2>/dev/null || :
cmp "$T/tail" "$job/log"

# less polls before it reads; with +F it waits for more.
eq "$(less "$job/status" | cat)" COMPLETED "status through less"
if command -v script >"$T/which"; then
	mkdir "$M/cat"
	echo https://images.example/cat.png >"$M/cat/image_url"
	script -qefc "env TERM=xterm LESS= less +F '$M/cat/log'" "$T/less" </dev/null >"$T/script" 2>&1 &
	less=$!
	await 10 grep -q QUEUED "$T/less"
	advance COMPLETED
	await 10 grep -q COMPLETED "$T/less"
	kill "$less"
	wait "$less" 2>/dev/null || :
fi

# `wait` can be read when that does not block; an interrupted poll leaves nothing behind.
mkdir "$M/cow"
echo https://images.example/cow.png >"$M/cow/image_url"
python3 - "$M/cow/wait" "$M/cow/status" <<-'END'
	import os, select, sys
	fd = os.open(sys.argv[1], os.O_RDONLY)
	assert select.select([fd], [], [], 0)[0] == []
	for _ in range(200):  # handles that are closed while they are polled
	    s = os.open(sys.argv[2], os.O_RDONLY)
	    os.read(s, 10)
	    p = select.poll()
	    p.register(s, select.POLLPRI)
	    assert p.poll(1) == []
	    os.close(s)
END
python3 - "$M/cow/wait" >"$T/ready" <<-'END' &
	import os, select, sys
	fd = os.open(sys.argv[1], os.O_RDONLY)
	print("polling", flush=True)
	select.select([fd], [], [])
	print(os.read(fd, 100).decode(), end="")
END
ready=$!
await 10 grep -q polling "$T/ready"
advance COMPLETED
wait "$ready"
eq "$(tail -n 1 "$T/ready")" COMPLETED "what a wait that was polled gave"

# Polls that are under way when the mount ends do not keep the driver.
mkdir "$M/eel"
python3 -c 'import os, select, sys
fd = os.open(sys.argv[1], os.O_RDONLY); os.read(fd, 10)
p = select.poll(); p.register(fd, select.POLLPRI); print("polling", flush=True); p.poll()' "$M/eel/status" >"$T/last" 2>&1 &
last=$!
await 10 grep -q polling "$T/last"
kill -TERM "$DRIVER_PID"
driver_wait 10
eq "$DRIVER_STATUS" 0 "exit status with a poll under way"
kill "$last" 2>/dev/null || :
wait "$last" 2>/dev/null || :
