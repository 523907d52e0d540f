# router: `make demo` shows it, `make check` tests it, `make` builds build/router. See README.md.

PREFIX ?= /usr/local
DESTDIR ?=
# The configuration and what systemd reads go where this machine looks for them, PREFIX or not.
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),,$(PREFIX))/etc
UNITDIR ?= $(if $(filter /usr,$(PREFIX)),,$(PREFIX))/lib/systemd/system
SANITIZE ?=
SECONDS ?= 60

# What Debian 12 calls the things we need. `make demo`, `make check`, `make bench`, `make fuzz` and
# `make lint` install what is missing of them; `make` installs nothing.
BUILD_PACKAGES := gcc libc6-dev libuv1-dev libhiredis-dev libinih-dev libssl-dev
DEMO_PACKAGES := python3 redis-server
CHECK_PACKAGES := python3 python3-pytest libcmocka-dev redis-server redis-tools haproxy mandoc \
    chromium mariadb-server mariadb-client galera-4 rsync python3-pymysql python3-cryptography \
    postgresql-15 patroni etcd-server python3-psycopg2 openssl ca-certificates debootstrap nginx \
    libnginx-mod-stream iproute2 faketime prometheus systemd lintian mmdebstrap dpkg-dev binutils \
    python3-yaml keepalived nutcracker sysbench python3-redis php-cli php-redis php-mysql nodejs npm
BENCH_PACKAGES := python3 redis-server haproxy nginx libnginx-mod-stream strace openssl
POOL_PACKAGES := python3 redis-server haproxy nutcracker strace
MYSQL_PACKAGES := python3 python3-pytest python3-pymysql python3-cryptography mariadb-server \
    debootstrap haproxy sysbench openssl
FAILOVER_PACKAGES := python3 python3-pytest python3-pymysql python3-psycopg2 python3-yaml \
    redis-server haproxy mariadb-server postgresql-15 patroni etcd-server
DEB_PACKAGES := dpkg-dev binutils
LINT_PACKAGES := python3 clang-format clang-tidy cppcheck mandoc
FUZZ_PACKAGES := clang libclang-rt-dev

# A sanitizer build lives beside the plain one.
empty :=
space := $(empty) $(empty)
comma := ,
BUILD := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))

CFLAGS ?= -O2 -g -D_FORTIFY_SOURCE=2
LDFLAGS ?= -Wl,-z,now
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -pthread $(WARN) -Isrc -Iinclude -MMD -MP \
    -fno-omit-frame-pointer -fstack-protector-strong \
    $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -O1 -g,$(CFLAGS))
LIBS := -luv -lhiredis -linih -lssl -lcrypto -lm -pthread
ALL_LDFLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)

# routerctl is a program of its own, with little of the router's in it.
ROUTERCTL_SOURCES := $(sort $(wildcard src/routerctl/*.c))
ROUTERCTL_OBJECTS := $(ROUTERCTL_SOURCES:src/routerctl/%.c=$(BUILD)/people/%.o)
ROUTERCTL_LIBRARY := $(filter-out $(BUILD)/people/main.o,$(ROUTERCTL_OBJECTS))

SOURCES := $(filter-out $(ROUTERCTL_SOURCES),$(sort $(wildcard src/*.c src/*/*.c)))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/%.o)
# What the binaries of tests are linked with.
LIBRARY := $(filter-out $(BUILD)/main.o,$(OBJECTS)) $(ROUTERCTL_LIBRARY)

UNIT_SOURCES := $(sort $(wildcard test/unit/test_*.c))
UNIT := $(UNIT_SOURCES:test/unit/%.c=$(BUILD)/unit/%)

FUZZ_SOURCES := $(sort $(wildcard test/fuzz/fuzz_*.c))
FUZZ := $(FUZZ_SOURCES:test/fuzz/%.c=$(BUILD)/%)
FUZZ_RUNS := $(FUZZ:$(BUILD)/%=run-%)
# What a target begins with, beside test/fuzz/seeds/TARGET.
SEEDS_haproxy_import := test/integration/haproxy

C_FILES := $(sort $(wildcard src/*.[ch] src/*/*.[ch] include/*.h test/unit/*.[ch] test/fuzz/*.[ch] \
    bench/*.[ch] man/*.c))
MANUALS := $(BUILD)/man/router.8 $(BUILD)/man/router.ini.5 $(BUILD)/man/routerctl.1
VERSION := $(shell sed -n 's/^\#define ROUTER_VERSION "\(.*\)"/\1/p' include/router.h)
DEB = router_$(VERSION)_$(shell dpkg --print-architecture).deb
DOCUMENTS := $(PREFIX)/share/doc/router
INSTALLED_EXAMPLES := $(sort $(wildcard examples/*.ini))

# Without no_debug_ranges two threads that tell of errors at once end the run: Python 3.11 parses the
# source for it, and its parser is not made for threads (python/cpython issue 106905).
PYTHON := /usr/bin/python3 -B -X no_debug_ranges
# With SANITIZE: what the sanitizers are told, and the tests that are worth their price. TSan of
# gcc 12 needs the old address layout where the kernel randomises more bits than it knows.
SANITIZE_ENV := ROUTER_SANITIZE=1 \
    ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:check_initialization_order=1 \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$(CURDIR)/test/tsan.supp
FIXED_LAYOUT = $(if $(findstring thread,$(SANITIZE)),$(shell setarch -R true 2>/dev/null && echo setarch -R))

PYTEST = $(if $(SANITIZE),$(SANITIZE_ENV)) ROUTER_BUILD=$(abspath $(BUILD)) $(FIXED_LAYOUT) \
    $(PYTHON) -m pytest -p no:cacheprovider

# Sub-makes use every CPU unless the caller chose.
JOBS := $(shell nproc)
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))

# `make V=1` shows the commands, `make -s` nothing.
Q := $(if $(V),,@)
SAY = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@echo '  $1  $@')

.DEFAULT_GOAL := all
all: $(BUILD)/router $(BUILD)/routerctl

$(BUILD)/router: $(OBJECTS)
	$(call SAY,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/routerctl: $(ROUTERCTL_OBJECTS) $(BUILD)/base/mem.o $(BUILD)/base/text.o
	$(call SAY,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The binary has the name that their folder would have.
$(BUILD)/people/%.o: src/routerctl/%.c
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The page is part of the binary: an edit of it rebuilds what embeds it.
$(BUILD)/ctl/page.o: $(wildcard src/ctl/page/*)

$(BUILD)/unit/%: test/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call SAY,LD)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIBRARY) -lcmocka $(LIBS)

unit: $(UNIT)

# The manuals: prose from man/, options and metrics from the tables.
man: $(MANUALS)

$(BUILD)/man/gen: man/gen.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call SAY,LD)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIBRARY) $(LIBS)

$(MANUALS): $(BUILD)/man/%: man/%.in $(BUILD)/man/gen
	$(call SAY,GEN)
	$(Q)$(BUILD)/man/gen $< >$@

demo:
	@.ci/need 'make demo' $(BUILD_PACKAGES) $(DEMO_PACKAGES)
	@$(SUBMAKE) --question all 2>/dev/null || echo 'make demo: building'
	@$(SUBMAKE) --silent all
	@$(PYTHON) examples/demo/demo.py --router $(BUILD)/router

# What `make check` needs, before two of them run side by side.
needs:
	@.ci/need 'make check' $(BUILD_PACKAGES) $(CHECK_PACKAGES)

check: needs
	@$(SUBMAKE) all unit
	@$(PYTEST) test $(if $(SANITIZE),-m sanitize)

bench:
	@.ci/need 'make bench' $(BUILD_PACKAGES) $(BENCH_PACKAGES)
	@$(SUBMAKE) all
	@$(PYTHON) bench/run.py

# The same with TLS towards the clients.
bench-tls:
	@.ci/need 'make bench-tls' $(BUILD_PACKAGES) $(BENCH_PACKAGES)
	@$(SUBMAKE) all
	@$(PYTHON) bench/run.py --tls

# Redis pooling, beside a proxy that pools and one that does not.
bench-pool:
	@.ci/need 'make bench-pool' $(BUILD_PACKAGES) $(POOL_PACKAGES)
	@$(SUBMAKE) all
	@$(PYTHON) bench/run.py --pool

# MySQL pooling, beside a proxy that does not pool and no proxy.
bench-mysql:
	@.ci/need 'make bench-mysql' $(BUILD_PACKAGES) $(MYSQL_PACKAGES)
	@$(SUBMAKE) all
	@$(PYTHON) bench/mysql.py

# What a failover costs clients: ONLY="redis mariadb pgsql", ROUNDS=3.
bench-failover:
	@.ci/need 'make bench-failover' $(BUILD_PACKAGES) $(FAILOVER_PACKAGES)
	@$(SUBMAKE) all
	@ROUTER_BUILD=$(abspath $(BUILD)) $(PYTHON) bench/failover.py $(foreach o,$(ONLY),--only $(o)) \
	    $(if $(ROUNDS),--rounds $(ROUNDS))

# What /metrics costs, and whether clients notice it.
bench-metrics:
	@.ci/need 'make bench-metrics' $(BUILD_PACKAGES) python3
	@$(SUBMAKE) all
	@ROUTER_BUILD=$(abspath $(BUILD)) $(PYTHON) bench/metrics.py

# What a reload costs with 5,000 living sessions.
bench-reload:
	@.ci/need 'make bench-reload' $(BUILD_PACKAGES) python3
	@$(SUBMAKE) all
	@ROUTER_BUILD=$(abspath $(BUILD)) $(PYTHON) bench/reload.py

# Every rule is tried, so that one run tells everything.
lint:
	@.ci/need 'make lint' $(BUILD_PACKAGES) $(LINT_PACKAGES) libcmocka-dev
	@$(SUBMAKE) --keep-going lint-house lint-format lint-cppcheck lint-tidy lint-man
	@echo 'lint: nothing to say'

lint-house:
	@$(PYTHON) test/lint/lint.py

lint-format:
	@clang-format --dry-run -Werror $(C_FILES)

# The page's length is the distance of two symbols of the linker; gcc's -Wsequence-point knows more
# about the order of evaluation than this cppcheck.
lint-cppcheck:
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --error-exitcode=1 --suppress=missingIncludeSystem --suppress=unknownEvaluationOrder \
	    --suppress=comparePointers:src/ctl/page.c -D_GNU_SOURCE -Isrc -Iinclude \
	    $(SOURCES) $(ROUTERCTL_SOURCES) $(wildcard bench/*.c)

lint-man: man
	@mandoc -Tlint -Wwarning $(MANUALS)

TIDY := $(SOURCES:%=tidy-%) $(ROUTERCTL_SOURCES:%=tidy-%)
lint-tidy: $(TIDY)

$(TIDY): tidy-%:
	@clang-tidy --quiet --warnings-as-errors='*' $* -- \
	    -std=c11 -D_GNU_SOURCE -Isrc -Iinclude 2>/dev/null

format:
	@.ci/need 'make format' clang-format
	@clang-format -i $(C_FILES)

# All targets together run for SECONDS, as many at once as there are CPUs.
fuzz:
	@.ci/need 'make fuzz' $(BUILD_PACKAGES) $(FUZZ_PACKAGES)
	@$(SUBMAKE) CC=clang SANITIZE=fuzzer-no-link,address,undefined BUILD=build/fuzz fuzz-run

FUZZ_ROUNDS = (($(words $(FUZZ)) + $(JOBS) - 1) / $(JOBS))
fuzz-run: $(FUZZ_RUNS)

$(BUILD)/fuzz_%: test/fuzz/fuzz_%.c $(LIBRARY)
	$(call SAY,LD)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(ALL_LDFLAGS) -o $@ $< $(LIBRARY) $(LIBS)

# None starts before all are built, so that the time is spent on fuzzing.
$(FUZZ_RUNS): run-fuzz_%: $(FUZZ)
	@mkdir -p $(BUILD)/corpus/$* $(BUILD)/findings
	@echo "fuzz: $* for $$(($(SECONDS) / $(FUZZ_ROUNDS))) s"
	@$(BUILD)/fuzz_$* -max_total_time=$$(($(SECONDS) / $(FUZZ_ROUNDS))) -timeout=10 \
	    -artifact_prefix=$(BUILD)/findings/$*- $(BUILD)/corpus/$* \
	    $(wildcard test/fuzz/seeds/$*) $(SEEDS_$*) >$(BUILD)/$*.log 2>&1 \
	    || { tail -n 60 $(BUILD)/$*.log; exit 1; }
	@tail -n 1 $(BUILD)/$*.log | sed 's/^/fuzz: $*: /'

# A file of the machine's owner is never overwritten.
install: all man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(DOCUMENTS)/examples $(DESTDIR)$(UNITDIR) \
	    $(addprefix $(DESTDIR)$(PREFIX)/share/man/man,1 5 8) \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(SYSCONFDIR)/router $(DESTDIR)$(SYSCONFDIR)/default
	install -m 755 $(BUILD)/router $(BUILD)/routerctl $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(BUILD)/man/routerctl.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(BUILD)/man/router.ini.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 $(BUILD)/man/router.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 completion/routerctl.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/routerctl
	install -m 644 README.md COPYING $(DESTDIR)$(DOCUMENTS)
	install -m 644 $(INSTALLED_EXAMPLES) $(DESTDIR)$(DOCUMENTS)/examples
	install -d $(addprefix $(DESTDIR)$(DOCUMENTS)/examples/,kubernetes keepalived)
	install -m 644 $(wildcard examples/kubernetes/*) $(DESTDIR)$(DOCUMENTS)/examples/kubernetes
	install -m 644 $(wildcard examples/keepalived/*) $(DESTDIR)$(DOCUMENTS)/examples/keepalived
	sed -e 's|/usr/bin/|$(PREFIX)/bin/|' -e 's|/etc/|$(SYSCONFDIR)/|' \
	    examples/systemd/router.service >$(DESTDIR)$(UNITDIR)/router.service
	chmod 644 $(DESTDIR)$(UNITDIR)/router.service
	@for file in router/router.ini default/router; do \
	    test -e $(DESTDIR)$(SYSCONFDIR)/$$file || \
	    install -m 644 examples/debian/$${file##*/} $(DESTDIR)$(SYSCONFDIR)/$$file; \
	done

# $(BUILD)/router_VERSION_ARCHITECTURE.deb
deb:
	@.ci/need 'make deb' $(BUILD_PACKAGES) $(DEB_PACKAGES)
	@$(SUBMAKE) --silent all man
	@rm -rf $(BUILD)/deb
	@$(MAKE) --no-print-directory --silent install PREFIX=/usr DESTDIR=$(abspath $(BUILD))/deb
	@examples/debian/build $(BUILD)/deb $(VERSION) $(BUILD)/$(DEB)
	@echo '  DEB  $(BUILD)/$(DEB)'

clean:
	rm -rf build

-include $(OBJECTS:.o=.d) $(ROUTERCTL_OBJECTS:.o=.d) $(UNIT:=.d) $(FUZZ:=.d) $(BUILD)/man/gen.d
.PHONY: all unit man demo needs check bench bench-tls bench-pool bench-mysql bench-failover bench-metrics bench-reload lint lint-house lint-format lint-cppcheck lint-tidy lint-man \
    format fuzz fuzz-run install deb clean $(FUZZ_RUNS) $(TIDY)
.DELETE_ON_ERROR:
