# limit: 300
# shellcheck disable=SC2016
# Every program that saves a file buys exactly once, and the others see what it wrote; when the
# service refuses, those that can tell it do.
. "$(dirname "$0")/lib.sh"

# Columns: name, program, place, who sees a refusal.
#   place   new: creates new/NAME.json; over: replaces an earlier drop of that name, which is another
#           job; draft: completes the params.json of a job directory
#   refusal told: status not 0 and the errno's text; failed: status not 0 only; silent: nothing
rows() {
	cat <<-END
		cp              cp      new     told
		cp-over         cp      over    told
		cp-draft        cp      draft   told
		cp-a            cp      new     told
		cp-p-over       cp      over    told
		mv-in           mv      new     told
		mv-inside       mv      new     -
		install         install new     told
		rsync           rsync   new     told
		rsync-over      rsync   over    told
		rsync-inplace   rsync   new     told
		tee             tee     new     told
		dd-fsync        dd      new     told
		dd-16           dd      new     told
		dd-notrunc      dd      new     told
		dd-stdout       dd      new     told
		curl            curl    new     failed
		bash-echo       bash    new     told
		dash-echo       dash    new     failed
		bash-echo-draft bash    draft   told
		two-echos       bash    new     told
		two-bin-echos   dash    new     told
		exec-child      bash    new     -
		bin-echo        dash    new     told
		cat             cat     new     told
		jq              jq      new     failed
		python-with     python3 new     told
		python-noclose  python3 new     -
		python-pathlib  python3 over    told
		python-shutil   python3 new     told
		perl            perl    new     -
		node            node    new     told
		busybox-cp      busybox new     told
		sed-i-over      sed     over    told
		sed-i-draft     sed     draft   told
		perl-i-over     perl    over    -
		vim-es          vim     new     failed
		vim-es-over     vim     over    -
		vim-es-draft    vim     draft   -
		vim-pty         vim     new     -
		vim-pty-draft   vim     draft   -
		nano-pty        nano    new     -
		nano-pty-draft  nano    draft   -
		emacs-batch     emacs   new     told
		emacs-batch-draft emacs draft   -
		emacs-pty       emacs   new     -
		emacs-pty-draft emacs   draft   -
		gio-copy        gio     new     told
		gio-copy-over   gio     over    told
		gio-save        gio     new     told
		gio-save-over   gio     over    told
		as-busybox      python3 new     told
		as-vscode       python3 new     told
		as-vscode-over  python3 over    told
		as-vscode-draft python3 draft   told
		as-micro        python3 new     told
		as-micro-over   python3 over    told
		as-micro-draft  python3 draft   told
		as-nvim         python3 new     told
		as-nvim-over    python3 over    told
		as-nvim-draft   python3 draft   told
		as-thunar       python3 new     told
		as-gedit        python3 new     told
		as-gedit-over   python3 over    told
		as-gedit-draft  python3 draft   -
	END
}

# save NAME SOURCE DESTINATION: what the program does. SOURCE is a file outside with the new content.
save() {
	local src=$2 dst=$3
	case $1 in
	cp | cp-over | cp-draft) cp "$src" "$dst" ;;
	cp-a) cp -a "$src" "$dst" ;;
	cp-p-over) cp -p "$src" "$dst" ;;
	mv-in) mv "$src" "$dst" ;;
	mv-inside) cp "$src" "${dst%/*}/.part" && mv "${dst%/*}/.part" "$dst" ;;
	install) install -m 640 "$src" "$dst" ;;
	rsync | rsync-over) rsync -a "$src" "$dst" ;;
	rsync-inplace) rsync -a --inplace "$src" "$dst" ;;
	tee) tee "$dst" <"$src" >"$T/tee" ;;
	dd-fsync) dd if="$src" of="$dst" conv=fsync status=none ;;
	dd-16) dd if="$src" of="$dst" bs=16 status=none ;;
	dd-notrunc) dd if="$src" of="$dst" conv=notrunc status=none ;;
	dd-stdout) dd if="$src" bs=64 status=none >"$dst" ;;
	curl) curl -sS -o "$dst" "file://$src" ;;
	bash-echo | bash-echo-draft) bash -c 'echo "$(<"$1")" >"$2"' - "$src" "$dst" ;;
	dash-echo) dash -c 'echo "$(cat "$1")" >"$2"' - "$src" "$dst" ;;
	two-echos) bash -c '{ head -n 2 "$1"; echo; tail -n +3 "$1"; } >"$2"' - "$src" "$dst" ;;
	two-bin-echos)
		dash -c '{ /bin/echo "$(head -n 1 "$1")"; /bin/echo "$(tail -n +2 "$1")"; } >"$2"' - \
			"$src" "$dst"
		;;
	exec-child) bash -c 'exec 5>"$2"; sleep 0.05 & cat "$1" >&5; wait; exec 5>&-' - "$src" "$dst" ;;
	bin-echo) dash -c '/bin/echo "$(cat "$1")" >"$2"' - "$src" "$dst" ;;
	cat) cat "$src" >"$dst" ;;
	jq) jq . "$src" >"$dst" ;;
	python-with)
		python3 -c 'import json, sys
with open(sys.argv[2], "w") as f:
    json.dump(json.load(open(sys.argv[1])), f, indent=2)' "$src" "$dst"
		;;
	python-noclose)
		python3 -c 'import sys
open(sys.argv[2], "w").write(open(sys.argv[1]).read())' "$src" "$dst"
		;;
	python-pathlib)
		python3 -c 'import pathlib, sys
pathlib.Path(sys.argv[2]).write_bytes(pathlib.Path(sys.argv[1]).read_bytes())' "$src" "$dst"
		;;
	python-shutil) python3 -c 'import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])' "$src" "$dst" ;;
	perl) perl -MFile::Copy -e 'copy($ARGV[0], $ARGV[1]) or die "$!"' "$src" "$dst" ;;
	node)
		node -e 'const fs = require("fs"); const [src, dst] = process.argv.slice(1);
			fs.writeFileSync(dst, fs.readFileSync(src));' "$src" "$dst"
		;;
	busybox-cp) busybox cp "$src" "$dst" ;;
	sed-i-*) sed -i -e "1r $src" -e d "$dst" ;;
	perl-i-over)
		perl -i -e 'BEGIN { open F, shift; local $/; $c = <F> } while (<>) { print $c if $. == 1 }' \
			"$src" "$dst"
		;;
	vim-es*) vim -u DEFAULTS -es -c '%d' -c "call setline(1, readfile('$src'))" -c 'wq' "$dst" ;;
	vim-pty*) interact vim "vim -u DEFAULTS -i NONE $dst" ":%d\r:0r $src\r:\$d\r" ':wq\r' ;;
	nano-pty*) interact nano "nano -I -U $dst" "\013\013\013\013\022$src\r" '\017\r' '\030' ;;
	emacs-batch*)
		emacs -Q --batch --eval "(progn (find-file \"$dst\") (erase-buffer)
			(insert-file-contents \"$src\") (save-buffer))"
		;;
	emacs-pty*)
		interact emacs "emacs -Q -nw $dst" '\030h\027' "\030i$src\r" '\030\023' '\030\003'
		;;
	gio-copy*) gio copy "$src" "$dst" ;;
	gio-save*) gio save "$dst" <"$src" ;;
	as-*)
		local program=${1#as-}
		python3 "$(dirname "$0")/../tools/save_as.py" "${program%%-*}" "$src" "$dst"
		;;
	*) fail "no such row: $1" ;;
	esac
}

# A program on a terminal: sends it each string once it is quiet, waits for its end.
interact() { # name command string...
	local command=$2
	shift 2
	TERM=xterm expect -f - -- "$command" "$@" >"$T/terminal" 2>&1 <<-'END'
		set timeout 20
		proc quiet {} {
			set patience 100
			while {[incr patience -1] > 0} {
				expect {
					-timeout 1
					-re ".+" { continue }
					timeout { break }
					eof { puts "ended too early"; exit 3 }
				}
			}
			set ::timeout 20
		}
		spawn -noecho sh -c "stty rows 24 cols 80; exec [lindex $argv 0]"
		foreach text [lrange $argv 1 end-1] {
			quiet
			send -- [subst -nocommands -novariables $text]
		}
		quiet
		send -- [subst -nocommands -novariables [lindex $argv end]]
		expect {
			eof {}
			timeout { puts "does not end"; exit 4 }
		}
		exit [lindex [wait] 3]
	END
}

sandbox_start
driver_start
expect_log '^pixal3dfs: warn: .*(refused|balance)'

posts=0
destination() { # name place
	case $2 in
	draft) echo "$M/$1/params.json" ;;
	*) echo "$M/new/$1.json" ;;
	esac
}

prepare() { # name place
	local dst
	dst=$(destination "$1" "$2")
	case $2 in
	draft)
		mkdir "$M/$1"
		printf '{\n  "seed": 5\n}\n' >"$dst"
		;;
	over)
		params "$T/old.json" "https://images.example/$1-old.png"
		cp "$T/old.json" "$dst"
		posts=$((posts + 1))
		;;
	esac
}

row() { # name program place refusal
	local name=$1 place=$3 dst job
	prepare "$name" "$place"
	dst=$(destination "$name" "$place")
	params "$T/$name.json"
	cp "$T/$name.json" "$T/kept.json"
	touch -d @1700000000 "$T/$name.json"
	save "$name" "$T/$name.json" "$dst" >"$T/saved" 2>&1 ||
		fail "$name: status $?: $(cat "$T/saved" "$T/terminal" 2>/dev/null)"
	posts=$((posts + 1))
	case $name in python-noclose | exec-child) await 5 test -e "$M/by-name/$name" ;; esac
	posts_are $posts "after $name"
	job=$M/by-name/$name
	[ "$place" != draft ] || job=$M/$name
	eq "$(cat "$job/image_url")" "https://images.example/$name.png" "what $name has sent"
	if [ "$place" != draft ]; then
		eq "$(jq -cS . "$dst")" "$(jq -cS . "$T/kept.json")" "what $name has written"
	fi
	case $name in
	cp-a | cp-p-over | rsync*) eq "$(stat -c %Y "$dst")" 1700000000 "mtime by $name" ;;
	install) eq "$(stat -c %a "$dst")" 640 "mode by $name" ;;
	esac
}

# The same, when the wallet is empty: one POST, the program says so, and nothing is lost.
refused_row() { # name program place refusal
	local name=$1 place=$3 refusal=$4 dst status=0
	[ "$refusal" != - ] || return 0
	local new=refused-$name
	prepare "$new" "$place"
	control '{"balance": 0.01}'
	dst=$(destination "$new" "$place")
	params "$T/$new.json"
	save "$name" "$T/$new.json" "$dst" >"$T/saved" 2>&1 || status=$?
	posts=$((posts + 1))
	posts_are $posts "after $name was refused"
	control '{"balance": 100}'
	[ $status -ne 0 ] || fail "$name says nothing of a refusal: $(cat "$T/saved")"
	[ "$refusal" != told ] || matches "$(tr '\n' ' ' <"$T/saved")" \
		'Disk quota exceeded|error -122|unknown error, (close|write)' "what $name says of a refusal"
	[ "$name" != mv-in ] || [ -s "$T/$new.json" ] || fail "mv removed the source of a refused drop"
}

while read -r name program place refusal; do
	if ! command -v "$program" >"$T/which"; then
		skip_row "$name" "no $program here"
		continue
	fi
	case $name in
	*pty*)
		if ! command -v expect >"$T/which"; then
			skip_row "$name" "no expect here"
			continue
		fi
		;;
	esac
	row "$name" "$program" "$place" "$refusal" </dev/null
	refused_row "$name" "$program" "$place" "$refusal" </dev/null
done < <(rows)

# What close() and the last release did is over by now: still the same number.
posts_are $posts "after all"

# The same file twice by cp is two jobs; rsync run again is none; touching and looking is free.
params "$T/twice.json"
cp "$T/twice.json" "$M/new/"
cp "$T/twice.json" "$M/new/"
posts=$((posts + 2))
posts_are $posts "after cp twice"
rsync -a "$T/cp.json" "$M/new/rsync-again.json"
posts=$((posts + 1))
posts_are $posts "after rsync"
rsync -a "$T/cp.json" "$M/new/rsync-again.json"
rsync -a --ignore-times "$T/cp.json" "$M/new/rsync-again.json"
posts_are $posts "after rsync of the same again"
touch "$M/new/cp.json"
chmod 600 "$M/new/cp.json"
: >>"$M/new/cp.json"
grep -r image_url "$M/new/" >"$T/grep"
posts_are $posts "after touch, chmod, an empty append, and grep"

# Nor is what an editor saves unchanged, once it has moved the old file out of the way.
mv "$M/new/cp.json" "$M/new/cp.json~"
cp "$T/cp.json" "$M/new/"
posts_are $posts "after the same beside its backup"

# Names that editors use submit nothing, whatever they hold.
for name in .dog.json.swp .#dog.json dog.json~ '#dog.json#' 4913 .dog.json.aXb2c3 \
	.goutputstream-ABC123 sedAbCdEf dog.txt; do
	cp "$T/cp.json" "$M/new/$name"
done
posts_are $posts "after temporary names"
eq "$(ledger accepted)" "$(($(wc -l <"$M/jobs") - 1 - $(cut -f 3 "$M/jobs" | grep -c REFUSED)))" \
	"jobs that were accepted"
