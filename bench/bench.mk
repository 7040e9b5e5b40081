# Measurements. Included by the Makefile.

$(BUILD)/bench/codec: $(BUILD)/bench/codec.o $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

# The same compiled for this machine (-march=native), with AVX2 or AVX-512 if it has them.
$(BUILD)/bench/codec-native: force
	$(run)$(MAKE) --no-print-directory BUILD=$(BUILD)/native EXTRA_CFLAGS=-march=native $(BUILD)/native/bench/codec
	$(run)cp $(BUILD)/native/bench/codec $@

$(addprefix $(BUILD)/bench/,agent bulk stage growth nix): $(BUILD)/bench/%: $(BUILD)/bench/%.o
	$(call say,LINK $@)
	$(link)

$(BUILD)/bench/echo $(BUILD)/bench/boot_echo: $(BUILD)/bench/%: bench/%.c
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(run)musl-gcc -std=c11 $(WARN) -O2 -static -s -Itransport -o $@ $<

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
bench-programs: $(addprefix $(BUILD)/bench/,codec $(if $(filter x86_64,$(shell uname -m)),codec-native) agent bulk stage growth nix echo static-agent nanopb $(PEERS) cargo/release/bench-serde cargo/release/bench-agent)

.SECONDARY:

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

.PHONY: bench-bulk
bench-bulk: ## artifacts over a Unix socket, beside socat; writes docs/benchmarks/bulk.md
	@scripts/need gcc libc6-dev binutils musl-tools socat nanopb mount
	@$(MAKE) --no-print-directory all $(addprefix $(BUILD)/bench/,bulk stage nix static-agent)
	@BUILD=$(BUILD) bench/run-bulk

.PHONY: bench-disks
bench-disks: ## Pings while disks hang, are slow, or busy with 10 GiB; prints the table of docs/disks.md
	@scripts/need gcc libc6-dev binutils libcmocka-dev e2fsprogs mount nanopb
	@$(MAKE) --no-print-directory all $(addprefix $(BUILD)/tests/,pings test_e2e_hangs)
	@BUILD=$(BUILD) bench/run-disks

bench-count: ## count the codec's instructions; fails if they grew by more than 5 %
	@scripts/need gcc libc6-dev binutils valgrind nanopb
	@BUILD=$(BUILD) bench/count

bench-count-accept: ## make the present counts the ones to compare with
	@scripts/need gcc libc6-dev binutils valgrind nanopb
	@BUILD=$(BUILD) bench/count --accept
