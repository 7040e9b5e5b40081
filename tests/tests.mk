# The test programs, the simulation, and what runs them. Included by the Makefile.

but_main = $(filter-out %/main.o,$(call objects,$(1)))

# Each tests/test_*.c is a program. Those of agent and host also see and link that program's inner
# parts; support*.c and the simulated port go with all.
TESTS   := $(patsubst %.c,$(BUILD)/%,$(filter-out $(LEFT_OUT),$(wildcard tests/test_*.c)))
SUPPORT := $(call objects,port/sim) $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support*.c)) $(BUILD)/simulation.a \
    $(BUILD)/libmvm-guest.a

$(BUILD)/tests/test_agent_%.o: SEES_ALSO := agent
$(BUILD)/tests/test_host_%.o: SEES_ALSO := host

# Static rules: an implicit one whose objects are not all there yet may lose against the rule of all the others.
of_agent := $(filter $(BUILD)/tests/test_agent_%,$(TESTS))
of_host  := $(filter $(BUILD)/tests/test_host_%,$(TESTS))

$(of_agent): %: %.o $(call but_main,agent) $(SUPPORT)
	$(call say,LINK $@)
	$(link) -lcmocka

$(of_host): %: %.o $(call but_main,host) $(SUPPORT)
	$(call say,LINK $@)
	$(link) -lcmocka

$(BUILD)/tests/test_posix_start: LINK_ALSO := -Wl,--wrap=pipe2 -pthread
$(BUILD)/tests/test_posix_bulk: LINK_ALSO := -Wl,--wrap=lseek64
$(BUILD)/tests/test_posix_interrupted: LINK_ALSO := -Wl,--wrap=read,--wrap=write,--wrap=sendfile64,--wrap=sync_file_range
$(BUILD)/tests/test_host_status: LINK_ALSO := -Wl,--wrap=mvm_clock_ms

# The tool's clock, signals and connection are the simulation's.
$(BUILD)/tests/test_host_cuts: LINK_ALSO := $(foreach f,clock_ms clock_us clock_after waiter_wait waiter_hold \
    $(addprefix connection_,open read write close abandon),-Wl,--wrap=mvm_$f) -Wl,--wrap=fsync
$(BUILD)/tests/test_server_peers: LINK_ALSO := -Wl,--wrap=getsockopt,--wrap=getpeername
$(BUILD)/tests/test_agent_modules: LINK_ALSO := -Wl,--wrap=syscall

# Other people's loops, as far as they are installed.
$(BUILD)/tests/test_server_loops: LOOPS := $(if $(wildcard /usr/include/ev.h),-lev) \
    $(if $(wildcard /usr/include/systemd/sd-event.h),-lsystemd)

$(filter-out $(of_agent) $(of_host),$(TESTS)): %: %.o $(SUPPORT)
	$(call say,LINK $@)
	$(link) -lcmocka $(LOOPS)

VSOCK_DEVICE := $(BUILD)/tests/vsock-device/vsock-device
$(VSOCK_DEVICE): $(call objects,tests/vsock-device)
	$(call say,LINK $@)
	$(link)

$(BUILD)/tests/soak $(BUILD)/tests/pings: %: %.o $(SUPPORT)
	$(call say,LINK $@)
	$(link) -lcmocka

$(BUILD)/tests/vectors: tests/vectors/vectors.c $(BUILD)/libmvm-guest.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(run)$(CC) $(ALL_CFLAGS) $(addprefix -I,$(SEES_tests)) $(LDFLAGS) -o $@ $< $(filter %.a,$^)

.PHONY: tests tests/all tests/vectors
tests: ## build the test programs
	@scripts/need gcc libc6-dev binutils libcmocka-dev libev-dev libsystemd-dev nanopb protobuf-compiler
	@$(MAKE) --no-print-directory tests/all
tests/all: all examples $(TESTS) $(BUILD)/tests/vectors
tests/vectors: $(BUILD)/tests/vectors ## build the program that checks recorded frames

$(BUILD)/simulation.a: $(call but_main,tests/simulation)
	$(call say,AR   $@)
	$(run)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/simulate: $(BUILD)/tests/simulation/main.o $(call objects,port/sim) $(BUILD)/simulation.a $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

check-vm: ## boot the static agent as process 1 in QEMU, ask it for builds, look at its disks
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static e2fsprogs squashfs-tools socat \
	    nanopb
	@$(MAKE) --no-print-directory all $(VSOCK_DEVICE)
	@$(MAKE) --no-print-directory static-programs
	@BUILD=$(BUILD) tests/vm/check

check-nix: ## docs/builder-vm.md as printed: a machine with a real nix builds a flake, what it built boots; a store that lasts
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static e2fsprogs debootstrap nanopb
	@$(MAKE) --no-print-directory all static-programs $(VSOCK_DEVICE)
	@BUILD=$(BUILD) tests/vm/run-nix

.PHONY: check-sanitized
check-sanitized: ## every test under the sanitizers; `make check` leaves out those that start programs
	@$(MAKE) --no-print-directory deps FOR=check
	@UNSANITIZED='^$$' STEPS='sanitize' BUILD=$(BUILD) scripts/check

.PHONY: check-modules
check-modules: ## a machine with the kernel of Debian 13, whose modules are compressed
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static e2fsprogs nanopb
	@$(MAKE) --no-print-directory all static-programs
	@BUILD=$(BUILD) tests/vm/run-modules

$(BUILD)/tests/vm/hang: tests/vm/hang.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(run)$(CC) $(ALL_CFLAGS) -static -s -o $@ $<

.PHONY: check-suspend
check-suspend: ## a machine whose output disk the device mapper suspends in each call of a job; PINGS meanwhile
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static e2fsprogs python3 nanopb
	@$(MAKE) --no-print-directory all static-programs $(VSOCK_DEVICE) $(BUILD)/tests/vm/hang
	@BUILD=$(BUILD) tests/vm/run-suspend

.PHONY: check-store
check-store: ## a nix store on a disk of its own: two machines at once, a power cut, errors
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static e2fsprogs nanopb
	@$(MAKE) --no-print-directory all static-programs
	@BUILD=$(BUILD) tests/vm/run-store

.PHONY: check-remote
check-remote: ## two machines: what the agent is asked for on one is built on the other, or comes from its cache
	@scripts/need gcc libc6-dev binutils musl-tools busybox-static e2fsprogs debootstrap mount procps iproute2 nanopb
	@$(MAKE) --no-print-directory all static
	@BUILD=$(BUILD) tests/remote/run

.PHONY: compilers
compilers: ## build and test with every gcc and clang that this Debian has; as one file, at every level of optimisation
	@$(MAKE) --no-print-directory deps FOR=check
	@BUILD=$(BUILD) tests/compilers

.PHONY: check-release
check-release: ## demo, check and the other targets on fresh roots of RELEASE, bookworm or trixie: some hours, as root
	@scripts/need mmdebstrap mount
	@BUILD=$(BUILD) tests/release/run $(RELEASE) $(RUNS)

power-cuts: ## kill the machine after Ok, in staging, and after its agent was killed: some thirty minutes
	@scripts/need gcc libc6-dev binutils musl-tools qemu-system-x86 busybox-static e2fsprogs nanopb
	@$(MAKE) --no-print-directory all static-programs
	@BUILD=$(BUILD) tests/vm/power-cuts

cross: ## run the freestanding part's tests on a Cortex-M0, s390x and aarch64, the agent's on aarch64 and i386, emulated; sizes
	@scripts/need gcc libc6-dev binutils gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm gcc-s390x-linux-gnu \
	    libc6-dev-s390x-cross gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-i686-linux-gnu libc6-dev-i386-cross \
	    qemu-user-static libcmocka-dev nanopb
	@BUILD=$(BUILD) tests/cross/run

coverage: ## lines and branches that the unit tests reach, by file
	@scripts/need gcc libc6-dev libcmocka-dev nanopb protobuf-compiler
	@BUILD=$(BUILD) tests/coverage

# MUTANTS_OF: files or folders, of text/, codec/, session/, executor/ and port/posix/. As root for the last.
MUTANTS ?= 200
MUTANTS_OF ?= text/ codec/ session/
MUTANTS_SEED ?= 1
.PHONY: mutants
mutants: ## change one token at a time, MUTANTS of MUTANTS_OF by MUTANTS_SEED: 95 % must fail a unit test
	@scripts/need gcc libc6-dev libcmocka-dev nanopb protobuf-compiler python3
	@BUILD=$(BUILD) tests/mutants -n $(MUTANTS) -s $(MUTANTS_SEED) $(MUTANTS_OF)

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
