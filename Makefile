# pixal3dfs: build, test and install.  `make`, `make check`, `make demo`; the rest is listed in README.md.

CC      ?= gcc
B       ?= build
PREFIX  ?= /usr/local
SBINDIR ?= /sbin
VERSION := 0.1

# SAN=address,undefined or SAN=thread builds with sanitizers; WERROR=1 makes warnings errors; V=1 shows every command.
SAN      ?=
WERROR   ?=
V        ?=
OPT      ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314 -DVERSION='"$(VERSION)"' -iquote src
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wformat=2 \
            -Wcast-align -Wimplicit-fallthrough -Wnull-dereference
CFLAGS   += -std=c17 $(OPT) $(WARN) $(if $(WERROR),-Werror) -fno-omit-frame-pointer -pthread \
            $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
LDFLAGS  += -pthread $(if $(SAN),-fsanitize=$(SAN))

DRIVER_PKGS  := fuse3 libcurl jansson sqlite3 libmicrohttpd libcrypto
SANDBOX_PKGS := libmicrohttpd jansson zlib
TEST_PKGS    := check

Q    := $(if $(V),,@)
quiet = $(or $(V),$(findstring s,$(firstword -$(MAKEFLAGS))))
say   = $(if $(quiet),@:,@printf '  %-4s %s\n' $(1) $@)
# The warnings of a library's headers are its own.
pkgs  = $(patsubst -I%,-isystem%,$(shell pkg-config --$(1) $(2)))

DRIVER_OBJS  := $(patsubst src/%.c,$(B)/obj/%.o,$(wildcard src/*.c))
SANDBOX_OBJS := $(patsubst src/%.c,$(B)/obj/%.o,$(wildcard src/sandbox/*.c))
UNIT_TESTS   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
TEST_TOOLS   := $(patsubst tests/tools/%.c,$(B)/tools/%,$(wildcard tests/tools/*.c))
TEST_PRELOAD := $(patsubst tests/preload/%.c,$(B)/preload/%.so,$(wildcard tests/preload/*.c))
LIB_OBJS     := $(filter-out $(B)/obj/main.o,$(DRIVER_OBJS))

all: $(B)/pixal3dfs $(B)/pixal3d-sandbox

$(B)/pixal3dfs: $(DRIVER_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call pkgs,libs,$(DRIVER_PKGS)) -lm

$(B)/pixal3d-sandbox: $(SANDBOX_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call pkgs,libs,$(SANDBOX_PKGS)) -lm

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(LIB_OBJS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call pkgs,libs,$(DRIVER_PKGS) $(TEST_PKGS)) -lm

$(B)/tools/%: $(B)/obj/tests/tools/%.o
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

# Goes into other programs: without sanitizers.
$(B)/preload/%.so: tests/preload/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) -D_GNU_SOURCE -std=c17 $(OPT) $(WARN) $(if $(WERROR),-Werror) -fPIC -shared -o $@ $< -pthread

$(B)/obj/sandbox/%.o: src/sandbox/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(call pkgs,cflags,$(SANDBOX_PKGS)) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/tests/%.o: tests/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(call pkgs,cflags,$(DRIVER_PKGS) $(TEST_PKGS)) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/%.o: src/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(call pkgs,cflags,$(DRIVER_PKGS)) $(CFLAGS) -MMD -MP -c -o $@ $<

# Objects are rebuilt when the compiler or its flags change.
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS))' > $@
FORCE:

tests: all $(UNIT_TESTS) $(TEST_TOOLS) $(TEST_PRELOAD)

check: tests
	B=$(B) tests/run

asan:
	$(MAKE) B=build/asan SAN=address,undefined check

tsan:
	$(MAKE) B=build/tsan SAN=thread check

# Random histories: so many of the state machine, a fiftieth of it through engine and store. SEED=N begins elsewhere.
HISTORIES ?= 1000000
histories: $(B)/unit/test_job_history $(B)/unit/test_history
	HISTORIES=$(HISTORIES) $(B)/unit/test_job_history
	HISTORIES=$$(($(HISTORIES) / 50)) $(B)/unit/test_history 2>$(B)/histories.log

demo: all
	B=$(B) contrib/demo

# The README's, of a session on the sandbox. Needs python3 and tmux.
picture: all
	B=$(B) contrib/picture contrib/session.svg

# PARTS="cold meta" runs these alone; all of them are named in tests/bench/run.
bench: all
	B=$(B) tests/bench/run $(PARTS)

layers:
	tests/layers

SOURCES := $(wildcard src/*.[ch] src/sandbox/*.[ch] tests/unit/*.[ch] tests/tools/*.[ch] tests/preload/*.c)
lint:
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
	  --inline-suppr --suppress=missingIncludeSystem -Isrc -D_GNU_SOURCE $(filter src/%.c,$(SOURCES))
	$(MAKE) -s -j"$$(nproc)" $(TIDY)

# One process a file: it is what takes the time.
TIDY := $(patsubst src/%.c,tidy/%,$(filter src/%.c,$(SOURCES)))
$(TIDY): tidy/%:
	clang-tidy --quiet --warnings-as-errors='*' src/$*.c -- -std=c17 \
	  $(CPPFLAGS) $(call pkgs,cflags,$(DRIVER_PKGS) $(SANDBOX_PKGS))

format:
	clang-format -i $(SOURCES)

# mount(8) looks for its helpers in /sbin, by either name of the type.
HELPERS     := mount.pixal3dfs mount.fuse.pixal3dfs
MAN         := $(PREFIX)/share/man
COMPLETIONS := $(PREFIX)/share/bash-completion/completions
UNITS       := $(PREFIX)/lib/systemd/system
USER_UNITS  := $(PREFIX)/lib/systemd/user
THUMBNAILERS := $(PREFIX)/share/thumbnailers
MAN_PAGES   := $(notdir $(wildcard contrib/man/*.[178]))
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SBINDIR) $(DESTDIR)$(COMPLETIONS) $(DESTDIR)$(UNITS) \
	  $(DESTDIR)$(USER_UNITS) $(DESTDIR)$(THUMBNAILERS)
	install -m 755 $(B)/pixal3dfs $(B)/pixal3d-sandbox contrib/p3d $(DESTDIR)$(PREFIX)/bin/
	for helper in $(HELPERS); do ln -sf $(PREFIX)/bin/pixal3dfs $(DESTDIR)$(SBINDIR)/$$helper; done
	for page in $(MAN_PAGES); do \
	  install -D -m 644 contrib/man/$$page $(DESTDIR)$(MAN)/man$${page##*.}/$$page; done
	ln -sf mount.pixal3dfs.8 $(DESTDIR)$(MAN)/man8/mount.fuse.pixal3dfs.8
	install -m 644 contrib/completion/pixal3dfs $(DESTDIR)$(COMPLETIONS)/
	for other in pixal3d-sandbox p3d; do ln -sf pixal3dfs $(DESTDIR)$(COMPLETIONS)/$$other; done
	install -m 644 contrib/systemd/pixal3dfs@.service $(DESTDIR)$(UNITS)/
	install -m 644 contrib/systemd/user/pixal3dfs@.service $(DESTDIR)$(USER_UNITS)/
	install -m 644 contrib/desktop/pixal3dfs.thumbnailer $(DESTDIR)$(THUMBNAILERS)/

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/pixal3dfs $(DESTDIR)$(PREFIX)/bin/pixal3d-sandbox $(DESTDIR)$(PREFIX)/bin/p3d
	rm -f $(HELPERS:%=$(DESTDIR)$(SBINDIR)/%)
	for page in $(MAN_PAGES) mount.fuse.pixal3dfs.8; do rm -f $(DESTDIR)$(MAN)/man$${page##*.}/$$page; done
	rm -f $(DESTDIR)$(COMPLETIONS)/pixal3dfs $(DESTDIR)$(COMPLETIONS)/pixal3d-sandbox $(DESTDIR)$(COMPLETIONS)/p3d
	rm -f $(DESTDIR)$(UNITS)/pixal3dfs@.service $(DESTDIR)$(USER_UNITS)/pixal3dfs@.service
	rm -f $(DESTDIR)$(THUMBNAILERS)/pixal3dfs.thumbnailer

# A Debian package in $(B)/deb; what it is made of is in contrib/debian. The same source makes the same bytes.
DEB := $(B)/deb/pixal3dfs-$(VERSION)
deb:
	rm -rf $(B)/deb
	mkdir -p $(DEB)
	cp -r Makefile README.md LICENSE src contrib $(DEB)/
	cp -r contrib/debian $(DEB)/debian
	cd $(DEB) && env -u MAKEFLAGS dpkg-buildpackage -us -uc -b
	@ls $(B)/deb/*.deb

clean:
	rm -rf build

.PHONY: all tests check asan tsan histories demo picture bench layers lint format install uninstall deb clean $(TIDY) FORCE
.SECONDARY:
-include $(DRIVER_OBJS:.o=.d) $(SANDBOX_OBJS:.o=.d) $(wildcard $(B)/obj/tests/*/*.d)
