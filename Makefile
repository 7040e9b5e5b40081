# mvm-guest: a builder agent for microVMs, in C. `make help` lists the targets.
CROSS_COMPILE ?=
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
AR      ?= $(CROSS_COMPILE)ar
PREFIX  ?= /usr/local
BUILD   ?= build
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
ALL_CFLAGS = -std=c11 $(WARN) -MMD -MP $(CFLAGS) $(EXTRA_CFLAGS)

# A module sees its own headers and those of the modules it may use, and no others.
SEES_text       := include
SEES_codec      := $(SEES_text) text
SEES_executor   := $(SEES_text) text
SEES_session    := $(SEES_codec) codec executor
SEES_port/posix := $(SEES_text) text executor
SEES_port/sim   := $(SEES_text) text executor
SEES_agent      := $(SEES_session) session port/posix
SEES_host       := $(SEES_session) session
SEES_tests      := $(SEES_agent) agent host port/sim tests
SEES_tests/vectors := $(SEES_codec) codec

LIBRARY := text codec executor session port/posix
MODULES := $(LIBRARY) port/sim agent host tests

sources  = $(wildcard $(addsuffix /*.c,$(1)))
objects  = $(patsubst %.c,$(BUILD)/%.o,$(call sources,$(1)))
link     = $(CC) $(CFLAGS) $(EXTRA_CFLAGS) $(LDFLAGS) -o $@ $^ $(1)

.PHONY: all
all: $(BUILD)/libmvm-guest.a $(BUILD)/mvm-builder-agent $(BUILD)/mvm-builder ## build library, agent and host tool

define module
$(BUILD)/$(1)/%.o: $(1)/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_CFLAGS) $$(addprefix -I,$(1) $$(SEES_$(1))) -c -o $$@ $$<
endef
$(foreach m,$(MODULES),$(eval $(call module,$(m))))

$(BUILD)/libmvm-guest.a: $(call objects,$(LIBRARY))
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/mvm-builder-agent: $(call objects,agent) $(BUILD)/libmvm-guest.a
	$(call link)

$(BUILD)/mvm-builder: $(call objects,host) $(BUILD)/libmvm-guest.a
	$(call link)

# ---- the jobs people come for ---------------------------------------------------------------

.PHONY: demo
demo: needs-demo ## build a real flake with the installed nix, through agent and host tool
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) scripts/demo

.PHONY: check
check: needs-check ## build everything, with gcc and clang, and pass every test
	@BUILD=$(BUILD) scripts/check

.PHONY: needs-build needs-demo needs-check
needs-build:
	@scripts/need gcc=gcc libc6-dev=/usr/include/stdio.h binutils=ar
needs-demo: needs-build
	@scripts/need nix-bin=nix busybox-static=busybox e2fsprogs=e2fsck dpkg=dpkg-deb
needs-check: needs-demo
	@scripts/need clang=clang libclang-rt-14-dev=/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.asan-x86_64.a \
	    libcmocka-dev=/usr/include/cmocka.h valgrind=valgrind socat=socat squashfs-tools=mksquashfs procps=pgrep

# ---- tests ----------------------------------------------------------------------------------

# Every tests/test_*.c is a program; the other files of tests/ are what they share.
TESTS   := $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
SHARED  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/test_%.c,$(wildcard tests/*.c)))

.PHONY: tests
tests: all $(addprefix $(BUILD)/tests/,$(TESTS)) tests/vectors ## build the test programs
.PRECIOUS: $(BUILD)/tests/%.o

$(BUILD)/tests/test_agent_%: $(BUILD)/tests/test_agent_%.o $(filter-out %/main.o,$(call objects,agent)) \
		$(SHARED) $(call objects,port/sim) $(BUILD)/libmvm-guest.a
	$(call link,-lcmocka)

$(BUILD)/tests/test_host_%: $(BUILD)/tests/test_host_%.o $(filter-out %/main.o,$(call objects,host)) \
		$(SHARED) $(call objects,port/sim) $(BUILD)/libmvm-guest.a
	$(call link,-lcmocka)

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(SHARED) $(call objects,port/sim) $(BUILD)/libmvm-guest.a
	$(call link,-lcmocka)

.PHONY: tests/vectors
tests/vectors: $(BUILD)/tests/vectors ## build build/tests/vectors, which replays recorded verdicts
$(BUILD)/tests/vectors: tests/vectors/vectors.c $(BUILD)/libmvm-guest.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(addprefix -I,$(SEES_tests/vectors)) $(LDFLAGS) -o $@ $^

# ---- the rest -------------------------------------------------------------------------------

.PHONY: install
install: all ## install programs, library and headers below DESTDIR PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/mvm-guest
	install $(BUILD)/mvm-builder-agent $(BUILD)/mvm-builder $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(BUILD)/libmvm-guest.a $(DESTDIR)$(PREFIX)/lib
	install -m 644 $(wildcard $(addsuffix /mvm_*.h,include $(LIBRARY))) $(DESTDIR)$(PREFIX)/include/mvm-guest
	sed -e 's|@PREFIX@|$(PREFIX)|' -e "s|@VERSION@|$$(sed -n 's/.*MVM_VERSION "\(.*\)"/\1/p' include/mvm_version.h)|" \
	    mvm-guest.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/mvm-guest.pc

SOURCES = $(shell git ls-files '*.c' '*.h')

.PHONY: format lint clean help
format: ## lay the sources out as .clang-format says
	@scripts/need clang-format=clang-format
	clang-format -i $(SOURCES)

lint: ## look for what compilers do not: layout, cppcheck, clang-tidy
	@scripts/need clang-format=clang-format cppcheck=cppcheck clang-tidy=clang-tidy
	@scripts/lint

clean: ## remove everything that was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z/-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
