# mvm-guest: a builder agent for microVMs, in C. `make help` lists the targets.
CROSS_COMPILE ?=
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
ifeq ($(origin AR),default)
# clang's LTO objects want an ar that can read them.
AR := $(or $(if $(findstring clang,$(CC)),$(shell command -v llvm-ar)),$(CROSS_COMPILE)ar)
endif
PREFIX  ?= /usr/local
BUILD   ?= build
CFLAGS  ?= -O2 -g
# The protobuf wire wants nanopb, Debian's or a checkout of it; PROTOBUF=no does without both.
PROTOBUF   ?= yes
NANOPB_DIR ?= build/cache/nanopb
WARN    := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
ALL_CFLAGS = -std=c11 $(WARN) $(CFLAGS) $(EXTRA_CFLAGS)
VERSION  = $(shell sed -n 's/^.define MVM_VERSION "\(.*\)"/\1/p' include/mvm_version.h)

# A module sees its own headers and those of the modules it may use, and no others.
SEES_text       := include
SEES_codec      := $(SEES_text) text
SEES_executor   := $(SEES_text) text
SEES_codec/json := $(SEES_codec) codec
SEES_codec/proto := $(SEES_codec) codec codec/json
SEES_session    := $(SEES_codec) codec codec/json codec/proto executor
SEES_port/posix := $(SEES_text) text executor
SEES_port/sim   := $(SEES_text) text executor
SEES_server     := $(SEES_session) session port/posix
SEES_agent      := $(SEES_server) server
SEES_host       := $(SEES_session) session
SEES_examples/embed := $(SEES_agent)
SEES_examples/init := $(SEES_agent)
SEES_examples/sigwait := $(SEES_agent)
SEES_examples/supervisor := $(SEES_agent)
SEES_examples/events := $(SEES_agent)
SEES_examples/port := $(SEES_executor) executor
SEES_tests/simulation := $(SEES_session) session port/sim
SEES_fuzz       := $(SEES_tests/simulation) tests/simulation
SEES_tests      := $(SEES_agent) port/sim tests/simulation
SEES_bench      := $(SEES_session)

# Inits with a builder in them and without; the one around libsystemd's loop if that is installed.
INITS := sigwait supervisor $(if $(wildcard /usr/include/systemd/sd-event.h),events)

LIBRARY := text codec codec/json codec/proto executor session port/posix server
MODULES := $(LIBRARY) port/sim agent host examples/embed examples/init examples/port $(INITS:%=examples/%) tests/simulation tests/vsock-device fuzz tests bench

ifeq ($(PROTOBUF),yes)
LEFT_OUT  := codec/proto/absent.c
GENERATED := $(addprefix $(BUILD)/codec/proto/,mvm.pb.o pb_common.o pb_decode.o pb_encode.o)
else
LEFT_OUT  := codec/proto/decoder.c codec/proto/encoder.c codec/proto/tables.c codec/proto/artifacts.c tests/test_proto.c tests/test_proto_protoc.c
GENERATED :=
endif

sources = $(filter-out $(LEFT_OUT),$(foreach m,$(1),$(wildcard $(m)/*.c)))
objects = $(patsubst %.c,$(BUILD)/%.o,$(call sources,$(1)))

# `make V=1` shows the commands.
ifeq ($(V),1)
say = @:
run :=
else
say = @echo '  $(1)'
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
	@echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(PROTOBUF)' | cmp -s - $@ || \
	    echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(PROTOBUF)' >$@

define module
$(BUILD)/$(1)/%.o: $(1)/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call say,CC   $$@)
	$$(run)$$(CC) $$(ALL_CFLAGS) $$(ALSO_FLAGS) -MMD -MP $$(addprefix -I,$(1) $$(SEES_$(1)) $$(SEES_ALSO)) -c -o $$@ $$<
endef
$(foreach m,$(MODULES),$(eval $(call module,$(m))))

# ---- the protobuf wire ----

build/cache/nanopb/pb.h:
	@scripts/need nanopb
	codec/proto/nanopb $(@D)

$(BUILD)/codec/proto/mvm.pb.h $(BUILD)/codec/proto/mvm.pb.c &: codec/proto/mvm.proto codec/proto/mvm.options \
		| $(NANOPB_DIR)/pb.h
	@mkdir -p $(@D)
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

$(BUILD)/libmvm-guest.a: $(call objects,$(LIBRARY)) $(GENERATED)
	$(call say,AR   $@)
	$(run)rm -f $@ && $(AR) rcs $@ $^

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
STATIC_CFLAGS  = -Oz -flto=auto -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-pie
STATIC_LDFLAGS = -static -no-pie -s -Wl,--gc-sections,-z,noseparate-code,-z,norelro,-z,common-page-size=64,--build-id=none
STATIC_MAKE = CC='$(MUSL_GCC)' BUILD=$(BUILD)/static EXTRA_CFLAGS= CFLAGS='$(STATIC_CFLAGS)' LDFLAGS='$(STATIC_LDFLAGS)'

.PHONY: static
static: ## build the agent as one small static program, BUILD/static/mvm-builder-agent, with musl
	@scripts/need gcc libc6-dev binutils musl-tools nanopb
	@$(MAKE) --no-print-directory $(STATIC_MAKE) $(BUILD)/static/mvm-builder-agent

.PHONY: static-aarch64
static-aarch64: ## … and for aarch64, in BUILD/cross/aarch64/static
	@scripts/need gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	@specs=$$(tests/cross/musl-arm64) && $(MAKE) --no-print-directory static-programs BUILD=$(BUILD)/cross/aarch64 \
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

# ---- tests ----

but_main = $(filter-out %/main.o,$(call objects,$(1)))

# Each tests/test_*.c is a program. Those of agent and host also see and link that program's inner
# parts; support*.c and the simulated port go with all.
TESTS   := $(patsubst %.c,$(BUILD)/%,$(filter-out $(LEFT_OUT),$(wildcard tests/test_*.c)))
SUPPORT := $(call objects,port/sim) $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support*.c)) $(BUILD)/simulation.a \
    $(BUILD)/libmvm-guest.a

$(BUILD)/tests/test_agent_%.o: SEES_ALSO := agent
$(BUILD)/tests/test_host_%.o: SEES_ALSO := host

$(BUILD)/tests/test_agent_%: $(BUILD)/tests/test_agent_%.o $(call but_main,agent) $(SUPPORT)
	$(call say,LINK $@)
	$(link) -lcmocka

$(BUILD)/tests/test_host_%: $(BUILD)/tests/test_host_%.o $(call but_main,host) $(SUPPORT)
	$(call say,LINK $@)
	$(link) -lcmocka

$(BUILD)/tests/test_posix_start: LINK_ALSO := -Wl,--wrap=pipe2 -pthread
$(BUILD)/tests/test_posix_interrupted: LINK_ALSO := -Wl,--wrap=read,--wrap=write,--wrap=sendfile,--wrap=sync_file_range

$(BUILD)/tests/test_server_peers: LINK_ALSO := -Wl,--wrap=getsockopt,--wrap=getpeername

# Other people's loops, as far as they are installed.
$(BUILD)/tests/test_server_loops: LOOPS := $(if $(wildcard /usr/include/ev.h),-lev) \
    $(if $(wildcard /usr/include/systemd/sd-event.h),-lsystemd)

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(SUPPORT)
	$(call say,LINK $@)
	$(link) -lcmocka $(LOOPS)

VSOCK_DEVICE := $(BUILD)/tests/vsock-device/vsock-device
$(VSOCK_DEVICE): $(call objects,tests/vsock-device)
	$(call say,LINK $@)
	$(link)

$(BUILD)/tests/soak: $(BUILD)/tests/soak.o $(SUPPORT)
	$(call say,LINK $@)
	$(link) -lcmocka

$(BUILD)/tests/vectors: tests/vectors/vectors.c $(BUILD)/libmvm-guest.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(run)$(CC) $(ALL_CFLAGS) $(addprefix -I,$(SEES_tests)) $(LDFLAGS) -o $@ $< $(filter %.a,$^)

.PHONY: tests tests/vectors
tests: all examples $(TESTS) $(BUILD)/tests/vectors ## build the test programs
tests/vectors: $(BUILD)/tests/vectors ## build the program that checks recorded frames

# ---- simulation ----

$(BUILD)/simulation.a: $(call but_main,tests/simulation)
	$(call say,AR   $@)
	$(run)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/simulate: $(BUILD)/tests/simulation/main.o $(call objects,port/sim) $(BUILD)/simulation.a $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

# ---- fuzzing ----

# Each fuzz/fuzz_*.c is a target. LIB_FUZZING_ENGINE links it to an engine, as OSS-Fuzz sets it; without
# one it is a program that replays files.
OUT     ?= $(BUILD)/fuzz
FUZZERS := $(patsubst fuzz/%.c,$(OUT)/%,$(wildcard fuzz/fuzz_*.c))
FUZZ_SUPPORT := $(call objects,port/sim) $(BUILD)/fuzz/json_frames.o $(BUILD)/simulation.a $(BUILD)/libmvm-guest.a

$(OUT)/fuzz_%: $(BUILD)/fuzz/fuzz_%.o $(FUZZ_SUPPORT) $(if $(LIB_FUZZING_ENGINE),,$(BUILD)/fuzz/standalone.o)
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(run)$(if $(LIB_FUZZING_ENGINE),$(CXX) $(CXXFLAGS),$(CC)) $(CFLAGS) $(EXTRA_CFLAGS) $(LDFLAGS) -o $@ \
	    $(filter %.o,$^) $(filter %.a,$^) $(LIB_FUZZING_ENGINE)

$(BUILD)/fuzz/seeds: $(BUILD)/fuzz/seeds.o $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

.PHONY: fuzzers
fuzzers: $(FUZZERS) ## build the fuzz targets: CC, CFLAGS, LIB_FUZZING_ENGINE, OUT as OSS-Fuzz has them

# ---- measuring ----

$(BUILD)/bench/codec: $(BUILD)/bench/codec.o $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

# The same for this machine, with AVX2 or AVX-512 where it has them, which the compiler must be told.
$(BUILD)/bench/codec-native: force
	$(run)$(MAKE) --no-print-directory BUILD=$(BUILD)/native EXTRA_CFLAGS=-march=native $(BUILD)/native/bench/codec
	$(run)cp $(BUILD)/native/bench/codec $@

$(addprefix $(BUILD)/bench/,agent stage growth nix): $(BUILD)/bench/%: $(BUILD)/bench/%.o
	$(call say,LINK $@)
	$(link)

$(BUILD)/bench/echo $(BUILD)/bench/boot_echo: $(BUILD)/bench/%: bench/%.c
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(run)musl-gcc -std=c11 $(WARN) -O2 -static -s -o $@ $<

# The agent as it goes into a guest.
$(BUILD)/bench/static-agent: force
	$(run)$(MAKE) --no-print-directory $(STATIC_MAKE) $(BUILD)/static/mvm-builder-agent
	$(run)cp $(BUILD)/static/mvm-builder-agent $@

# Peers, with the same optimisation as ours; Rust's by cargo's release profile.
PEERS := cjson jansson rapidjson simdjson
$(BUILD)/bench/cjson: LDLIBS := -lcjson
$(BUILD)/bench/jansson: LDLIBS := -ljansson
$(BUILD)/bench/simdjson: LDLIBS := -lsimdjson
PEER_FLAGS := -std=c++17 -O2 -g -Wall -Wextra

$(addprefix $(BUILD)/bench/,$(PEERS)): $(BUILD)/bench/%: bench/peers/%.cc bench/peers/works.h bench/bench.h
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(run)$(CXX) $(PEER_FLAGS) -o $@ $< $(LDLIBS)

# Our schema, with texts inside the messages.
$(BUILD)/bench/nanopb: bench/peers/nanopb.cc bench/peers/nanopb.options codec/proto/mvm.proto bench/bench.h \
		| $(BUILD)/codec/proto/mvm.pb.h
	@mkdir -p $@.pb
	$(call say,LINK $@)
	$(run)cp codec/proto/mvm.proto $@.pb/ && cp bench/peers/nanopb.options $@.pb/mvm.options
	$(run)$(or $(wildcard $(NANOPB_DIR)/generator/nanopb_generator),nanopb_generator.py) -q -Q '#include "%s"' \
	    -D $@.pb -I $@.pb mvm.proto
	$(run)cd $@.pb && $(CC) -O2 -g -w $(NANOPB_FLAGS) -I. -I$(abspath $(NANOPB_DIR)) -c mvm.pb.c \
	    $(addprefix $(abspath $(NANOPB_DIR))/,pb_common.c pb_decode.c pb_encode.c)
	$(run)$(CXX) $(PEER_FLAGS) $(NANOPB_FLAGS) -I$@.pb -I$(NANOPB_DIR) -o $@ $< $@.pb/*.o

$(BUILD)/bench/cargo/release/bench-%: bench/peers/%/src/main.rs bench/peers/%/Cargo.toml bench/peers/Cargo.toml
	$(call say,CARGO $@)
	$(run)cd bench/peers && cargo build --quiet --offline --release -p bench-$* --target-dir $(abspath $(BUILD))/bench/cargo
	@touch $@

.PHONY: bench-programs
bench-programs: $(addprefix $(BUILD)/bench/,codec $(if $(filter x86_64,$(shell uname -m)),codec-native) agent stage growth nix echo static-agent nanopb $(PEERS) cargo/release/bench-serde cargo/release/bench-agent)

.SECONDARY:

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
	@$(MAKE) --no-print-directory deps FOR=demo
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) scripts/demo

check: ## build with gcc and clang, run every test, plain, sanitized and under valgrind
	@$(MAKE) --no-print-directory deps FOR=check
	@BUILD=$(BUILD) scripts/check

check-vm: ## boot the static agent as process 1 in QEMU, ask it for builds, look at its disks
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static e2fsprogs squashfs-tools socat \
	    nanopb
	@$(MAKE) --no-print-directory all $(VSOCK_DEVICE)
	@$(MAKE) --no-print-directory static-programs
	@BUILD=$(BUILD) tests/vm/check

check-nix: ## docs/builder-vm.md as printed: a machine with a real nix builds a flake, what it built boots; a store that lasts
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static e2fsprogs debootstrap nanopb
	@$(MAKE) --no-print-directory all static-programs
	@BUILD=$(BUILD) tests/vm/run-nix

.PHONY: check-remote
check-remote: ## two machines: what the agent is asked for on one is built on the other, or comes from its cache
	@scripts/need gcc libc6-dev binutils musl-tools busybox-static e2fsprogs debootstrap mount procps iproute2 nanopb
	@$(MAKE) --no-print-directory all static
	@BUILD=$(BUILD) tests/remote/run

.PHONY: compilers
compilers: ## build and test with every gcc and clang that this Debian has
	@scripts/need gcc libc6-dev binutils nanopb libcmocka-dev protobuf-compiler libev-dev libsystemd-dev
	@tests/compilers

.PHONY: check-release
check-release: ## demo, check and the other targets on fresh roots of RELEASE, bookworm or trixie: some hours, as root
	@scripts/need mmdebstrap mount
	@tests/release/run $(RELEASE) $(RUNS)

power-cuts: ## kill the machine after Ok, 50 times, and in staging, 100 times: some fifteen minutes
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static e2fsprogs nanopb
	@$(MAKE) --no-print-directory all static-programs
	@BUILD=$(BUILD) tests/vm/power-cuts

cross: ## run the freestanding part's tests on a Cortex-M0, s390x and aarch64, the agent's on aarch64, emulated; sizes
	@scripts/need gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm gcc-s390x-linux-gnu \
	    libc6-dev-s390x-cross gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static libcmocka-dev nanopb
	@BUILD=$(BUILD) tests/cross/run

coverage: ## lines and branches that the unit tests reach, by file
	@scripts/need gcc libc6-dev libcmocka-dev nanopb protobuf-compiler
	@BUILD=$(BUILD) tests/coverage

# CBMC 6: Debian has it from trixie on; CBMC_DIR names a folder with another.
CBMC_DIR ?= build/cache/cbmc
build/cache/cbmc/cbmc:
	@proof/cbmc $(@D)

prove: $(CBMC_DIR)/cbmc ## prove decoder and encoder free of undefined behaviour, see proof/README.md
	@scripts/need gcc libc6-dev
	@BUILD=$(BUILD) proof/run $(CBMC_DIR)

MUTANTS ?= 200
.PHONY: mutants
mutants: ## change one token of text/, codec/, session/ at a time, MUTANTS of them: each must fail a unit test
	@scripts/need gcc libc6-dev libcmocka-dev nanopb protobuf-compiler python3
	@BUILD=$(BUILD) tests/mutants -n $(MUTANTS)

SEEDS ?= 100000
simulate: ## run SEEDS random worlds with clients, faults and delays
	@scripts/need gcc libc6-dev binutils nanopb
	@$(MAKE) --no-print-directory $(BUILD)/simulate
	@BUILD=$(BUILD) tests/simulation/run $(SEEDS)

faults: ## each system call of the agent fails once, and each that may wait for a disk is delayed, by strace
	@scripts/need gcc libc6-dev binutils nanopb strace procps
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) tests/faults
	@BUILD=$(BUILD) tests/delays

soak: ## a thousand cancels and kills, ten thousand connections, 8 GiB of log: some ten minutes
	@scripts/need gcc libc6-dev binutils nanopb libcmocka-dev e2fsprogs mount
	@$(MAKE) --no-print-directory all $(BUILD)/tests/soak $(BUILD)/tests/test_posix_process
	MVM_CANCELS=500 $(BUILD)/tests/test_posix_process 'cancels*'
	MVM_BUILD=$(BUILD) $(BUILD)/tests/soak

.PHONY: matrix starts
matrix: ## end builds in every environment, not only the usual ones: some two minutes, as root
	@scripts/need gcc libc6-dev binutils nanopb libcmocka-dev
	@$(MAKE) --no-print-directory $(BUILD)/tests/test_posix_matrix
	MVM_MATRIX=all $(BUILD)/tests/test_posix_matrix

starts: ## start ten thousand programs that fork twice at once, in each way: some ten minutes
	@scripts/need gcc libc6-dev binutils nanopb libcmocka-dev
	@$(MAKE) --no-print-directory $(BUILD)/tests/test_posix_start
	MVM_STARTS=10000 $(BUILD)/tests/test_posix_start 'no_grandchild*'

FUZZ_SECONDS ?= 60
fuzz: ## run each fuzz target for FUZZ_SECONDS on two cores
	@scripts/need clang libclang-rt-dev binutils nanopb
	@BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/run

.PHONY: oss-fuzz
oss-fuzz: ## build and try the fuzz targets as OSS-Fuzz does, with each of its sanitizers and with AFL++
	@scripts/need clang llvm libclang-rt-dev binutils nanopb afl++ zip unzip
	@FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/oss-fuzz/try

bench: ## measure against what else people would use; writes docs/benchmarks
	@scripts/need gcc libc6-dev binutils g++ cargo librust-serde-json-dev librust-serde-derive-dev libcjson-dev \
	    libjansson-dev rapidjson-dev libsimdjson-dev nanopb musl-tools strace qemu-guest-agent btrfs-progs mount
	@$(MAKE) --no-print-directory bench-programs
	@BUILD=$(BUILD) NANOPB_DIR=$(NANOPB_DIR) CC=$(CC) CXX=$(CXX) bench/run

.PHONY: bench-boot
bench-boot: ## from a machine's kernel to the first Pong, beside an init that only echoes; writes docs/benchmarks/boot.md
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static socat nanopb
	@$(MAKE) --no-print-directory all static-programs $(VSOCK_DEVICE) $(BUILD)/bench/boot_echo
	@BUILD=$(BUILD) bench/run-boot

bench-count: ## count the codec's instructions; fails where they grew by more than 5 %
	@scripts/need gcc libc6-dev binutils valgrind nanopb
	@BUILD=$(BUILD) bench/count

bench-count-accept: ## make the present counts the ones to compare with
	@scripts/need gcc libc6-dev binutils valgrind nanopb
	@BUILD=$(BUILD) bench/count --accept

lint: ## look for what compilers do not: clang-format, cppcheck, clang-tidy, gcc's analyzer, shellcheck, mandoc
	@scripts/need gcc libc6-dev clang-format cppcheck clang-tidy shellcheck mandoc nanopb
	@$(MAKE) --no-print-directory $(BUILD)/libmvm-guest.a >/dev/null
	@BUILD=$(BUILD) scripts/lint

format: ## format every C file
	@scripts/need clang-format
	clang-format -i $$(scripts/files '*.c' '*.h')

# ---- installing ----

BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/mvm-guest
UNITDIR    ?= $(PREFIX)/lib/systemd/system
BASHDIR    ?= $(PREFIX)/share/bash-completion/completions

# The library as others link it, with the protobuf wire and without: the same headers and the same
# names. Before 1.0 a minor release may change a struct, so it is part of the shared one's name.
LIBRARIES  := $(if $(filter yes,$(PROTOBUF)),mvm-guest) mvm-guest-json
SOVERSION   = $(shell echo $(VERSION) | sed -E 's/^(0\.[0-9]+|[1-9][0-9]*)\..*/\1/')
OBJCOPY    ?= $(CROSS_COMPILE)objcopy

# All but what is for the library's own use.
INCLUDES := $(filter-out %/mvm_run.h %/mvm_escape.h,$(wildcard $(addsuffix /mvm_*.h,include $(LIBRARY))))

$(BUILD)/exports.map: packaging/exports $(INCLUDES)
	$(run)packaging/exports $(INCLUDES) >$@

$(BUILD)/library.so: $(call objects,$(LIBRARY)) $(GENERATED) $(BUILD)/exports.map
	$(call say,LINK $@)
	$(run)$(CC) -shared $(CFLAGS) $(EXTRA_CFLAGS) $(LDFLAGS) -Wl,-soname,$(SONAME) -Wl,-z,defs \
	    -Wl,--version-script=$(BUILD)/exports.map -o $@ $(filter %.o,$^)

# The static one keeps nanopb's names to itself: its user may have a nanopb of another making. objcopy can hide
# names in machine code alone, so this part is not compiled for LTO.
$(BUILD)/library.a: $(BUILD)/proto.o $(call objects,$(filter-out codec/proto,$(LIBRARY)))
	$(call say,AR   $@)
	$(run)rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/proto.o: $(call objects,codec/proto) $(GENERATED)
	$(run)$(CC) -r -nostdlib -o $@ $^
	$(run)$(OBJCOPY) --wildcard --localize-symbol='pb_*' --localize-symbol='mvm_guest_v1_*' $@

.PHONY: libraries $(LIBRARIES)
libraries: $(LIBRARIES)
$(LIBRARIES):
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/$@ SONAME=lib$@.so.$(SOVERSION) EXTRA_CFLAGS='$(EXTRA_CFLAGS) -fPIC' \
	    PROTO_FLAGS=-fno-lto PROTOBUF=$(if $(filter %-json,$@),no,yes) $(BUILD)/$@/library.a $(BUILD)/$@/library.so

.PHONY: amalgamation
amalgamation: $(BUILD)/codec/proto/mvm.pb.h ## the library as mvm_guest.h and mvm_guest.c, in BUILD/amalgamation
	scripts/amalgamate $(BUILD)/amalgamation $(<D) $(NANOPB_DIR)

MANUALS  := $(wildcard man/*.[1-9])

# The simulated machine, for those who test what they make of the library.
$(BUILD)/libmvm-guest-sim.a: $(call objects,port/sim)
	$(call say,AR   $@)
	$(run)rm -f $@ && $(AR) rcs $@ $^

# What is read, not run: pages, clients and examples, at the same places below DOCDIR, so that their links hold.
PAGES = README.md CHANGELOG.md SECURITY.md LICENSE $(wildcard include/mvm_limits.h codec/proto/mvm.proto docs/*.md docs/*/*.md \
    docs/clients/*.py examples/*/*)

# Puts a file of packaging/ where it belongs, its @NAMES@ filled in; a place below PREFIX is said to be so.
below_prefix = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))
fill = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(call below_prefix,$(LIBDIR))|' \
    -e 's|@INCLUDEDIR@|$(call below_prefix,$(INCLUDEDIR))|' -e 's|@BINDIR@|$(BINDIR)|' -e 's|@VERSION@|$(VERSION)|'

install: all libraries $(BUILD)/libmvm-guest-sim.a ## install programs, libraries, headers, manual and what goes with them, see BINDIR …
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR)/mvm-guest $(UNITDIR) $(BASHDIR))
	install -m 755 $(BUILD)/mvm-builder-agent $(BUILD)/mvm-builder $(DESTDIR)$(BINDIR)
	install -m 644 $(INCLUDES) port/sim/mvm_sim.h $(DESTDIR)$(INCLUDEDIR)/mvm-guest
	install -m 644 $(BUILD)/libmvm-guest-sim.a $(DESTDIR)$(LIBDIR)
	$(fill) packaging/sim.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/mvm-guest-sim.pc
	set -e; for lib in $(LIBRARIES); do \
	    install -m 644 $(BUILD)/$$lib/library.a $(DESTDIR)$(LIBDIR)/lib$$lib.a; \
	    install -m 644 $(BUILD)/$$lib/library.so $(DESTDIR)$(LIBDIR)/lib$$lib.so.$(VERSION); \
	    ln -sf lib$$lib.so.$(VERSION) $(DESTDIR)$(LIBDIR)/lib$$lib.so.$(SOVERSION); \
	    ln -sf lib$$lib.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/lib$$lib.so; \
	    $(fill) -e "s|@NAME@|$$lib|" packaging/library.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/$$lib.pc; \
	done
	set -e; for page in $(MANUALS); do \
	    install -m 644 -D -t $(DESTDIR)$(MANDIR)/man$${page##*.} $$page; \
	done
	set -e; for page in $(PAGES); do \
	    install -m $$(test -x $$page && echo 755 || echo 644) -D $$page $(DESTDIR)$(DOCDIR)/$$page; \
	done
	$(fill) packaging/mvm-builder-agent.service.in >$(DESTDIR)$(UNITDIR)/mvm-builder-agent.service
	install -m 644 packaging/completion.bash $(DESTDIR)$(BASHDIR)/mvm-builder
	install -m 644 packaging/completion.bash $(DESTDIR)$(BASHDIR)/mvm-builder-agent
	@[ -n '$(DESTDIR)' ] || echo 'The shared library is found after `ldconfig`, as root, or by LD_LIBRARY_PATH=$(LIBDIR).'

.PHONY: dist
dist: ## make a source archive of HEAD in BUILD, the same bytes each time
	@packaging/dist $(BUILD)

.PHONY: deb
deb: | $(NANOPB_DIR)/pb.h ## build Debian packages into BUILD/deb, and have lintian look at them
	@scripts/need build-essential nanopb dpkg-dev debhelper lintian
	packaging/deb $(BUILD)/deb $(NANOPB_DIR)

clean: ## remove everything that was built; what was downloaded stays in BUILD/cache
	[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name cache ! -name release -exec rm -rf {} +

.PHONY: distclean
distclean: ## … and what was downloaded
	rm -rf $(BUILD)

help: ## list the targets
	@sed -n 's/^\([a-z0-9/-]*\):.* ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 27
	@echo 'Variables: CC AR CFLAGS EXTRA_CFLAGS LDFLAGS CROSS_COMPILE MUSL_GCC PROTOBUF=no NANOPB_DIR BUILD V=1 (shows commands);'
	@echo '  install: DESTDIR PREFIX BINDIR LIBDIR INCLUDEDIR MANDIR DOCDIR UNITDIR BASHDIR; deps: FOR="demo check";'
	@echo '  simulate: SEEDS; fuzz: FUZZ_SECONDS; check-release: RELEASE RUNS; compilers: COMPILERS; tests: TMPDIR.'

-include $(wildcard $(patsubst %.o,%.d,$(call objects,$(MODULES))))
