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
SEES_tests      := $(SEES_agent) port/sim tests

LIBRARY := text codec executor session port/posix
FREE    := text codec executor session

sources  = $(wildcard $(1)/*.c)
objects  = $(patsubst %.c,$(BUILD)/%.o,$(foreach m,$(1),$(call sources,$(m))))

.PHONY: all
all: $(BUILD)/libmvm-guest.a $(BUILD)/mvm-builder-agent $(BUILD)/mvm-builder ## build library, agent and host tool

define module
$(BUILD)/$(1)/%.o: $(1)/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_CFLAGS) $$(addprefix -I,$(1) $$(SEES_$(1))) -c -o $$@ $$<
endef
MODULES := $(LIBRARY) port/sim agent host tests
$(foreach m,$(MODULES),$(eval $(call module,$(m))))

$(BUILD)/libmvm-guest.a: $(call objects,$(LIBRARY))
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/mvm-builder-agent: $(call objects,agent) $(BUILD)/libmvm-guest.a
	$(CC) $(CFLAGS) $(EXTRA_CFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/mvm-builder: $(call objects,host) $(BUILD)/libmvm-guest.a
	$(CC) $(CFLAGS) $(EXTRA_CFLAGS) $(LDFLAGS) -o $@ $^

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
