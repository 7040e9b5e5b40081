# The fuzz targets. Included by the Makefile.

# Each fuzz/fuzz_*.c is a target. LIB_FUZZING_ENGINE links it to an engine, as OSS-Fuzz sets it; without
# one it is a program that replays files.
OUT     ?= $(BUILD)/fuzz
FUZZERS := $(patsubst fuzz/%.c,$(OUT)/%,$(wildcard fuzz/fuzz_*.c))
FUZZ_SUPPORT := $(call objects,port/sim) $(BUILD)/fuzz/json_frames.o $(BUILD)/simulation.a $(BUILD)/libmvm-guest.a

$(OUT)/fuzz_%: $(BUILD)/fuzz/fuzz_%.o $(FUZZ_SUPPORT) $(if $(LIB_FUZZING_ENGINE),,$(BUILD)/fuzz/standalone.o)
	@mkdir -p $(@D)
	$(call say,LINK $@)
	$(run)$(if $(LIB_FUZZING_ENGINE),$(CXX) $(CXXFLAGS),$(CC)) $(CFLAGS) $(EXTRA_CFLAGS) $(LDFLAGS) -o $@ \
	    $(filter %.o,$^) $(filter %.a,$^) $(LINK_ALSO) $(LIB_FUZZING_ENGINE)

# The host tool, all of it but its main; its clock, signals, connection and output are the target's.
$(OUT)/fuzz_host: $(filter-out $(BUILD)/host/main.o,$(call objects,host))
$(OUT)/fuzz_host: LINK_ALSO := $(foreach f,clock_ms clock_us clock_after waiter_wait waiter_hold \
    $(addprefix connection_,open read write close abandon),-Wl,--wrap=mvm_$f) -Wl,--wrap=write

# The host tool's files, without its main.
$(OUT)/fuzz_host_stream: $(addprefix $(BUILD)/host/,stream.o artifacts.o output_folder.o local_path.o quote.o visible.o tree.o nar.o sha256.o child.o wait.o)

$(BUILD)/fuzz/seeds: $(BUILD)/fuzz/seeds.o $(BUILD)/libmvm-guest.a
	$(call say,LINK $@)
	$(link)

.PHONY: fuzzers
fuzzers: $(FUZZERS) ## build the fuzz targets: CC, CFLAGS, LIB_FUZZING_ENGINE, OUT as OSS-Fuzz has them

FUZZ_SECONDS ?= 60
fuzz: ## run each fuzz target for FUZZ_SECONDS on two cores
	@scripts/need clang lld libclang-rt-dev binutils nanopb
	@BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/run

.PHONY: oss-fuzz
oss-fuzz: ## build and try the fuzz targets as OSS-Fuzz does, with each of its sanitizers and with AFL++
	@scripts/need clang llvm libclang-rt-dev binutils nanopb afl++ zip unzip
	@BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/oss-fuzz/try
