# A listing that goes on while jobs come and go has every entry that stayed exactly once, also after
# telldir and seekdir; the kernel keeps listings and attributes, and they are always what is there.
. "$(dirname "$0")/lib.sh"
sandbox_start --queue-time 1000 --process-time 1000
driver_start

# Long names: a request of the kernel brings a part of them only.
tail=$(printf '%0150d' 0)
for i in $(seq 100); do
	mkdir "$M/stay$i-$tail" "$M/go$i-$tail"
done
perl -e '
	use strict;
	my ($m, $tail) = @ARGV;
	opendir(my $d, $m) or die;
	my (%seen, @places);
	for (1 .. 60) {
		push @places, telldir $d;
		my $name = readdir $d;
		$name =~ s/-$tail//;
		$seen{$name}++;
	}
	# Others come and go meanwhile, before and behind this place.
	for (1 .. 100) { rmdir "$m/go$_-$tail" or die "go$_: $!"; mkdir "$m/new$_" or die "new$_: $!" if $_ <= 20; }
	while (defined(my $name = readdir $d)) { $name =~ s/-$tail//; $seen{$name}++; }
	for my $name (map { "stay$_" } 1 .. 100) {
		die "$name was listed " . ($seen{$name} // 0) . " times" unless ($seen{$name} // 0) == 1;
	}
	for (grep { $seen{$_} > 1 } keys %seen) { die "$_ was listed $seen{$_} times"; }
	# From a place that was told before, what stayed follows in the same order.
	seekdir $d, $places[40];
	my $first = readdir $d;
	seekdir $d, $places[40];
	die "seekdir gives another entry" unless readdir($d) eq $first;
	rewinddir $d;
	my %now;
	while (defined(my $name = readdir $d)) { $name =~ s/-$tail//; $now{$name}++; }
	for (1 .. 100) {
		die "new$_" if $_ <= 20 && ($now{"new$_"} // 0) != 1;
		die "stay$_" unless ($now{"stay$_"} // 0) == 1;
		die "go$_ is listed still" if $now{"go$_"};
	}
' "$M" "$tail"

# What the driver changes by itself is seen at once: by a process that lists and looks again and again.
params "$T/dog.json"
ls -l "$M" "$M/by-name" "$M/new" >"$T/list"
refuses ls "$M/by-name/dog"
python3 - "$M" "$T/dog.json" <<-'END'
	import os, shutil, sys
	m, drop = sys.argv[1:]
	for i in range(8):
	    before = set(os.listdir(m))
	    labels = set(os.listdir(m + "/by-name"))
	    shutil.copy(drop, f"{m}/new/d{i}.json")
	    came = set(os.listdir(m)) - before
	    assert len(came) == 1, f"drop {i}: {came}"
	    assert set(os.listdir(m + "/by-name")) - labels == {f"d{i}"}
	    assert f"d{i}.json" in os.listdir(m + "/new")
	    job = os.path.join(m, came.pop())
	    assert os.path.samefile(job, f"{m}/by-name/d{i}")
	    # The newest of a name is who is asked, also when an older one was looked at before.
	    shutil.copy(drop, f"{m}/new/d{i}.json")
	    assert not os.path.samefile(job, f"{m}/by-name/d{i}"), f"by-name/d{i} is an older job"
	    try:
	        with open(f"{m}/new/bad{i}.json", "w") as f:
	            f.write("{nonsense}")
	    except OSError:
	        pass
	    assert f"bad{i}.json.error" in os.listdir(m + "/new")
	os.mkdir(m + "/hand")
	assert "error" not in os.listdir(m + "/hand")
	try:
	    with open(m + "/hand/params.json", "w") as f:
	        f.write('{"seed": "x"}')
	except OSError:
	    pass
	assert "error" in os.listdir(m + "/hand")
END
advance COMPLETED
for i in $(seq 0 7); do
	eq "$(within 10 cat "$M/by-name/d$i/wait")" COMPLETED "wait of d$i"
	# Listed before it was complete, kept by the kernel, and true.
	ls "$M/by-name/d$i/" >"$T/list"
	grep -qx output.glb "$T/list" || fail "output.glb of d$i is not listed: $(cat "$T/list")"
done

# Sizes are told without reading: those that reading gives.
python3 - "$M" <<-'END'
	import os, sys
	count = 0
	for entry in os.scandir(sys.argv[1]):
	    if not entry.is_dir() or entry.name in ("new", "by-name"):
	        continue
	    for file in os.scandir(entry.path):
	        told = file.stat().st_size
	        with open(file.path, "rb") as f:
	            assert len(f.read()) == told, file.path
	        count += 1
	assert count > 300, count
END
rm -r "$M/hand"
refuses ls "$M/hand"
! listed "$M" hand || fail "hand is listed still"
