# router: `make demo` shows it, `make check` tests it. See README.md.

PREFIX ?= /usr/local
DESTDIR ?=
SANITIZE ?=

# A sanitizer build lives beside the plain one.
empty :=
space := $(empty) $(empty)
comma := ,
BUILD := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))

CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -pthread $(WARN) -Isrc -Iinclude -MMD -MP \
    -fno-omit-frame-pointer -fstack-protector-strong \
    $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -O1 -g,$(CFLAGS))
LIBS := -luv -lhiredis -linih -lcrypto -lm -pthread
ALL_LDFLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)

SOURCES := $(sort $(wildcard src/*.c src/*/*.c))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/%.o)
LIBRARY := $(filter-out $(BUILD)/main.o,$(OBJECTS))

UNIT_SOURCES := $(sort $(wildcard test/unit/test_*.c))
UNIT := $(UNIT_SOURCES:test/unit/%.c=$(BUILD)/unit/%)

PYTHON := /usr/bin/python3
PYTEST := ROUTER_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -p no:cacheprovider

.DEFAULT_GOAL := all
all: $(BUILD)/router

$(BUILD)/router: $(OBJECTS)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The page is part of the binary: an edit of it rebuilds what embeds it.
$(BUILD)/ctl/page.o: src/ctl/page.html

$(BUILD)/unit/%: test/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIBRARY) -lcmocka $(LIBS)

unit: $(UNIT)

clean:
	rm -rf build

-include $(OBJECTS:.o=.d) $(UNIT:=.d)
.PHONY: all unit clean
.DELETE_ON_ERROR:
