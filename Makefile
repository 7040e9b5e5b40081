# mvm-guest: a builder agent for microVMs, in C. `make help` lists the targets.
CROSS_COMPILE ?=
ifneq ($(filter default undefined,$(origin CC)),)
CC := $(CROSS_COMPILE)gcc
endif
ifneq ($(filter default undefined,$(origin AR)),)
# clang's LTO objects want an ar that can read them.
AR := $(or $(if $(findstring clang,$(CC)),$(shell command -v llvm-ar)),$(CROSS_COMPILE)ar)
endif
PREFIX  ?= /usr/local
BUILD   ?= build
CFLAGS  ?= -O2 -g
# The protobuf wire needs nanopb, Debian's or a checkout of it; PROTOBUF=no needs neither.
PROTOBUF   ?= yes
NANOPB_DIR ?= $(BUILD)/cache/nanopb
# The same one for what is built below BUILD by another make.
export NANOPB_DIR
WARN    := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
ALL_CFLAGS = -std=c11 -D_FILE_OFFSET_BITS=64 $(WARN) $(CFLAGS) $(EXTRA_CFLAGS)
VERSION  = $(shell sed -n 's/^.define MVM_VERSION "\(.*\)"/\1/p' include/mvm_version.h)

# Scripts read what other programs print, which is translated if LANGUAGE or the locale says so.
export LC_ALL := C.UTF-8
export LANGUAGE :=

# A module sees its own headers and those of the modules it may use, and no others.
SEES_text       := include
SEES_codec      := $(SEES_text) text
SEES_executor   := $(SEES_text) text
SEES_codec/json := $(SEES_codec) codec
SEES_codec/proto := $(SEES_codec) codec codec/json
SEES_session    := $(SEES_codec) codec codec/json codec/proto executor
SEES_port/posix := $(SEES_text) text executor
SEES_port/sim   := $(SEES_text) text executor
SEES_server     := $(SEES_session) session port/posix transport
SEES_agent      := $(SEES_server) server
SEES_host       := $(SEES_session) session transport
SEES_examples/embed := $(SEES_agent)
SEES_examples/init := $(SEES_agent)
SEES_examples/sigwait := $(SEES_agent)
SEES_examples/supervisor := $(SEES_agent)
SEES_examples/events := $(SEES_agent)
SEES_examples/port := $(SEES_executor) executor
SEES_tests/simulation := $(SEES_session) session port/sim
SEES_fuzz       := $(SEES_tests/simulation) tests/simulation transport host
SEES_tests      := $(SEES_agent) port/sim tests/simulation
SEES_bench      := $(SEES_session) transport

# Inits with a builder in them and without; the one around libsystemd's loop if that is installed.
INITS := sigwait supervisor $(if $(wildcard /usr/include/systemd/sd-event.h),events)

LIBRARY := text codec codec/json codec/proto executor session port/posix transport server
MODULES := $(LIBRARY) port/sim agent host examples/embed examples/init examples/port $(INITS:%=examples/%) tests/simulation tests/vsock-device fuzz tests bench

# BUILD is a folder of its own, since `make clean` empties it, and its name is in rules and recipes as it is.
BREAKS := : ; , = % * ? ~ \ | & < > ( ) [ ] { } ' " ` $$ \#
$(foreach c,$(BREAKS),$(if $(findstring $c,$(value BUILD)),$(error BUILD: its name has a $c, which make or the shell would interpret)))
$(if $(strip $(BUILD)),,$(error BUILD: is empty))
$(if $(subst |$(firstword $(BUILD))|,,|$(BUILD)|),$(error BUILD: its name has a blank))
$(if $(filter -%,$(BUILD)),$(error BUILD: its name begins with -, as an option))
HERE  := $(realpath .)
THERE := $(or $(realpath $(BUILD)),$(abspath $(BUILD)))
$(if $(findstring |$(THERE:/=)/,|$(HERE)/),$(error BUILD: $(BUILD) holds the source))
SOURCES := .ci .git debian docs include man packaging proof scripts $(foreach m,$(MODULES),$(firstword $(subst /, ,$(m))))
$(if $(filter $(SOURCES),$(firstword $(subst /, ,$(subst |$(HERE)/,,|$(THERE))))),$(error BUILD: $(BUILD) is in a folder of the source))

ifeq ($(PROTOBUF),yes)
LEFT_OUT  := codec/proto/absent.c
GENERATED := $(addprefix $(BUILD)/codec/proto/,mvm.pb.o pb_common.o pb_decode.o pb_encode.o)
else ifeq ($(PROTOBUF),no)
LEFT_OUT  := codec/proto/decoder.c codec/proto/encoder.c codec/proto/tables.c codec/proto/proto_schema.c codec/proto/artifacts.c tests/test_proto.c tests/test_proto_protoc.c \
             tests/test_scheduler_stream.c tests/test_scheduler_get.c tests/test_host_cuts.c
GENERATED :=
else
$(error PROTOBUF: yes or no, not '$(PROTOBUF)')
endif

sources = $(filter-out $(LEFT_OUT),$(foreach m,$(1),$(wildcard $(m)/*.c)))
objects = $(patsubst %.c,$(BUILD)/%.o,$(call sources,$(1)))

# `make V=1` shows the commands.
ifeq ($(V),1)
say = @:
run :=
else
say = @$(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,echo) '  $(1)'
run := @
endif

.DELETE_ON_ERROR:

.PHONY: all
all: $(BUILD)/libmvm-guest.a $(BUILD)/mvm-builder-agent $(BUILD)/mvm-builder ## build library, agent and host tool

# ---- compiling ----

# Changes when compiler or flags do, so that what other flags made is made again.
.PHONY: force
$(BUILD)/flags: force
	@[ -e $@ ] || echo '#include <stdio.h>' | $(CC) -E - >/dev/null 2>&1 || scripts/need gcc libc6-dev binutils
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS)' >$@

# The same for what a library is made of.
$(BUILD)/wires: force
	@mkdir -p $(@D)
	@echo '$(PROTOBUF)' | cmp -s - $@ || echo '$(PROTOBUF)' >$@

define module
$(BUILD)/$(1)/%.o: $(1)/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call say,CC   $$@)
	$$(run)$$(CC) $$(ALL_CFLAGS) $$(ALSO_FLAGS) -MMD -MP $$(addprefix -I,$(1) $$(SEES_$(1)) $$(SEES_ALSO)) -c -o $$@ $$<
endef
$(foreach m,$(MODULES),$(eval $(call module,$(m))))

# ---- the protobuf wire ----

%/cache/nanopb/pb.h:
	@scripts/need nanopb
	codec/proto/nanopb $(@D)

$(BUILD)/codec/proto/mvm.pb.h $(BUILD)/codec/proto/mvm.pb.c &: codec/proto/mvm.proto codec/proto/mvm.options \
		| $(NANOPB_DIR)/pb.h
	@mkdir -p $(@D)
	$(if $(filter-out %/cache/nanopb,$(NANOPB_DIR)),@echo 'nanopb: $(NANOPB_DIR) (NANOPB_DIR)')
	$(call say,GEN  $@)
	$(run)$(or $(wildcard $(NANOPB_DIR)/generator/nanopb_generator),nanopb_generator.py) -q -Q '#include "%s"' \
	    -D $(@D) -I codec/proto mvm.proto

# nanopb's macros, the same wherever its headers are included: those its library was built with, if it came built,
# else no error texts, since no code here prints them. Read when a recipe runs: the folder may be made by then.
NANOPB_FLAGS = $(shell cat $(NANOPB_DIR)/flags 2>/dev/null || echo -DPB_NO_ERRMSG)

ifeq ($(PROTOBUF),yes)
$(call objects,codec/proto): SEES_ALSO := $(BUILD)/codec/proto $(NANOPB_DIR)
$(call objects,codec/proto): ALSO_FLAGS = $(NANOPB_FLAGS) $(PROTO_FLAGS)
$(call objects,codec/proto): $(BUILD)/codec/proto/mvm.pb.h
endif

# Other people's code, with their warnings.
theirs = $(CC) -std=c11 $(CFLAGS) $(EXTRA_CFLAGS) $(NANOPB_FLAGS) $(PROTO_FLAGS) -w -I$(NANOPB_DIR) -I$(@D) -c -o $@
$(BUILD)/codec/proto/pb_%.o: $(BUILD)/codec/proto/mvm.pb.h $(BUILD)/flags
	$(call say,CC   $@)
	$(run)if [ -e $(NANOPB_DIR)/pb_$*.c ]; then $(theirs) $(NANOPB_DIR)/pb_$*.c; \
	    else codec/proto/nanopb-object $(NANOPB_DIR)/pb_$*.o $@ $(CC); fi
$(BUILD)/codec/proto/mvm.pb.o: $(BUILD)/codec/proto/mvm.pb.c $(BUILD)/flags
	$(call say,CC   $@)
	$(run)$(theirs) $<

$(BUILD)/libmvm-guest.a: $(call objects,$(LIBRARY)) $(GENERATED) $(BUILD)/wires
	$(call say,AR   $@)
	$(run)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

link = $(run)$(CC) $(CFLAGS) $(EXTRA_CFLAGS) $(LDFLAGS) $(LINK_ALSO) -o $@ $(filter %.o,$^) $(filter %.a,$^)

$(BUILD)/mvm-builder-agent: $(call objects,agent) $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

$(BUILD)/mvm-builder: $(call objects,host) $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

$(BUILD)/examples/embed/embed: $(BUILD)/examples/embed/embed.o $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

$(BUILD)/examples/init/init: $(BUILD)/examples/init/init.o $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

INIT_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(wildcard $(INITS:%=examples/%/*.c)))
$(INIT_PROGRAMS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link) $(if $(findstring events,$@),-lsystemd)

$(BUILD)/examples/port/port: $(BUILD)/examples/port/port.o $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

# musl's C library for this machine's architecture; MUSL_GCC names another, such as a cross compiler.
MUSL_GCC ?= musl-gcc

# For size: one program, optimised as a whole, without the tables that unwinding would need, without RELRO, which
# protects what a dynamic linker has relocated, and without padding between code and data.
STATIC_CFLAGS  = -Oz -flto=auto -fno-asynchronous-unwind-tables -fno-pie
STATIC_LDFLAGS = -static -no-pie -s -Wl,--gc-sections,-z,noseparate-code,-z,norelro,-z,common-page-size=64
STATIC_MAKE = CC='$(MUSL_GCC)' BUILD=$(BUILD)/static EXTRA_CFLAGS= CFLAGS='$(STATIC_CFLAGS)' LDFLAGS='$(STATIC_LDFLAGS)'

.PHONY: static
static: ## build the agent as one small static program, BUILD/static/mvm-builder-agent, with musl
	@scripts/need gcc libc6-dev binutils musl-tools nanopb
	@$(MAKE) --no-print-directory $(STATIC_MAKE) $(BUILD)/static/mvm-builder-agent

.PHONY: static-aarch64
static-aarch64: ## … and for aarch64, in BUILD/cross/aarch64/static
	@scripts/need gcc binutils gcc-aarch64-linux-gnu libc6-dev-arm64-cross nanopb
	@specs=$$(BUILD=$(BUILD) tests/cross/musl-arm64) && $(MAKE) --no-print-directory static-programs BUILD=$(BUILD)/cross/aarch64 \
	    CROSS_COMPILE=aarch64-linux-gnu- MUSL_GCC="aarch64-linux-gnu-gcc -specs=$$specs"

.PHONY: static-programs
static-programs:
	@$(MAKE) --no-print-directory $(STATIC_MAKE) $(addprefix $(BUILD)/static/,mvm-builder-agent mvm-builder examples/init/init)

# An init without a builder and with one, as small as they can be.
.PHONY: small-inits
small-inits:
	@$(MAKE) --no-print-directory $(subst BUILD=$(BUILD)/static,BUILD=$(BUILD)/small PROTOBUF=no,$(STATIC_MAKE)) \
	    $(addprefix $(BUILD)/small/examples/sigwait/,plain init)

.PHONY: examples
examples: $(foreach e,embed init port,$(BUILD)/examples/$(e)/$(e)) $(INIT_PROGRAMS) ## build the embedding examples

# ---- for people ----

.PHONY: demo check check-vm check-nix power-cuts cross coverage prove simulate faults soak fuzz bench bench-count bench-count-accept lint
.PHONY: format install clean help

# What demo and check use, by Debian's names; make deps FOR=demo is for the one alone.
NEEDS_demo  := gcc libc6-dev binutils nix-bin busybox-static e2fsprogs nanopb
NEEDS_check := $(NEEDS_demo) clang lld llvm libclang-rt-dev valgrind libcmocka-dev squashfs-tools btrfs-progs xfsprogs mount \
    procps socat protobuf-compiler musl-tools qemu-system-x86 g++ pkgconf mandoc python3 python3-protobuf cmake meson \
    libev-dev libsystemd-dev

.PHONY: deps
deps: FOR = demo check
deps: ## install the Debian packages that demo and check use
	@scripts/need $(sort $(foreach each,$(FOR),$(NEEDS_$(each))))

demo: ## build a real flake with the installed nix, through agent and host tool
	@scripts/writable $(BUILD)
	@$(MAKE) --no-print-directory deps FOR=demo
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) scripts/demo

check: ## build with gcc and clang, run every test, most of them sanitized, many under valgrind: some fourteen minutes
	@scripts/writable $(BUILD)
	@$(MAKE) --no-print-directory deps FOR=check
	@BUILD=$(BUILD) scripts/check

lint: ## look for what compilers do not: clang-format, cppcheck, clang-tidy, gcc's analyzer, shellcheck, mandoc
	@scripts/need gcc libc6-dev clang-format cppcheck clang-tidy shellcheck mandoc libcmocka-dev libev-dev libsystemd-dev nanopb
	@$(MAKE) --no-print-directory all >/dev/null
	@BUILD=$(BUILD) scripts/lint

format: ## format every C file
	@scripts/need clang-format
	clang-format -i $$(scripts/files '*.c' '*.h')

# What is built beside the product, each where it is.
MORE := tests/tests.mk fuzz/fuzz.mk bench/bench.mk proof/proof.mk packaging/install.mk
include $(MORE)

clean: ## remove everything that was built; what was downloaded stays in BUILD/cache
	[ ! -d '$(BUILD)' ] || find '$(BUILD)' -mindepth 1 -maxdepth 1 ! -name cache ! -name release -exec rm -rf {} +

.PHONY: distclean
distclean: ## … and what was downloaded
	rm -rf '$(BUILD)'

help: ## list the targets
	@sed -n 's/^\([a-z0-9/-]*\):.* ## \(.*\)/  make \1\t\2/p' Makefile $(MORE) | expand -t 27
	@echo 'Variables: CC AR CFLAGS EXTRA_CFLAGS LDFLAGS CROSS_COMPILE MUSL_GCC PROTOBUF=no NANOPB_DIR BUILD V=1 (shows commands);'
	@echo '  install: DESTDIR PREFIX BINDIR LIBDIR INCLUDEDIR MANDIR DOCDIR UNITDIR BASHDIR; deps: FOR="demo check";'
	@echo '  simulate: SEEDS; fuzz: FUZZ_SECONDS; check-release: RELEASE RUNS; compilers: COMPILERS; tests: TMPDIR.'

-include $(wildcard $(patsubst %.o,%.d,$(call objects,$(MODULES))))
