# Proofs. Included by the Makefile.

# CBMC 6: Debian has it from trixie on; CBMC_DIR names a folder with another.
CBMC_DIR ?= $(BUILD)/cache/cbmc
$(BUILD)/cache/cbmc/cbmc:
	@proof/cbmc $(@D)

prove: $(CBMC_DIR)/cbmc ## prove JSON parser, encoder and source ring free of undefined behaviour, see proof/README.md
	@scripts/need gcc libc6-dev
	@BUILD=$(BUILD) proof/run $(CBMC_DIR)

.PHONY: prove-hard
prove-hard: $(CBMC_DIR)/cbmc ## … the harnesses that have not ended yet: an hour each at most
	@scripts/need gcc libc6-dev
	@BUILD=$(BUILD) PROVE_SECONDS=3600 proof/run $(CBMC_DIR) hard
