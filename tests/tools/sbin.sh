# Where mount(8) looks for helpers: in a private mount namespace, /sbin with what `make install` puts there.

# Installs below a prefix; the helpers are links in prefix/sbin.
install_below() { # prefix
	make -s -C "$ROOT" B="$B" -o all install PREFIX="$1" SBINDIR="$1/sbin" >"$T/make" 2>&1 ||
		{ cat "$T/make" && return 1; }
}

# /sbin as it was, and the helpers.
sbin_with_helpers() { # prefix
	local sbin real=$T/real-sbin
	sbin=$(readlink -f /sbin)
	mkdir -p "$real"
	mount --bind "$sbin" "$real"
	mount -t tmpfs -o mode=755 none "$sbin"
	ln -s "$real"/* "$sbin/"
	cp -Pf "$1"/sbin/mount.* "$sbin/"
}
