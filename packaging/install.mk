# Installing and packaging. Included by the Makefile.

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

$(BUILD)/$(NAME).so: $(call objects,$(LIBRARY)) $(GENERATED) $(BUILD)/exports.map
	$(call say,LINK $@)
	$(run)$(CC) -shared $(CFLAGS) $(EXTRA_CFLAGS) $(LDFLAGS) -Wl,-soname,lib$(NAME).so.$(SOVERSION) -Wl,-z,defs \
	    -Wl,--version-script=$(BUILD)/exports.map -o $@ $(filter %.o,$^)

# The static one keeps nanopb's names to itself: its user may have a nanopb of another making. objcopy can hide
# names in machine code alone, so this part is not compiled for LTO.
$(BUILD)/$(NAME).a: $(BUILD)/$(NAME).o $(call objects,$(filter-out codec/proto,$(LIBRARY)))
	$(call say,AR   $@)
	$(run)rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/$(NAME).o: $(call objects,codec/proto) $(GENERATED)
	$(run)$(CC) -r -nostdlib -o $@ $^
	$(run)$(OBJCOPY) --wildcard --localize-symbol='pb_*' --localize-symbol='mvm_guest_v1_*' $@

# Of the same objects but for the protobuf part, and so one after the other.
.PHONY: libraries $(LIBRARIES)
libraries: $(LIBRARIES) $(BUILD)/libmvm-guest-sim.a
$(filter %-json,$(LIBRARIES)): | $(filter-out %-json,$(LIBRARIES))
LIBRARY_FILES = $(BUILD)/library/$@.a $(BUILD)/library/$@.so
$(LIBRARIES):
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/library NAME=$@ EXTRA_CFLAGS='$(EXTRA_CFLAGS) -fPIC' PROTO_FLAGS=-fno-lto \
	    PROTOBUF=$(if $(filter %-json,$@),no,yes) $(LIBRARY_FILES)

.PHONY: amalgamation
amalgamation: $(BUILD)/codec/proto/mvm.pb.h ## the library as mvm_guest.h and mvm_guest.c, in BUILD/amalgamation
	scripts/amalgamate $(BUILD)/amalgamation $(<D) $(NANOPB_DIR)

MANUALS  := $(wildcard man/*.[1-9])

# The simulated machine, for tests of programs that use the library.
$(BUILD)/libmvm-guest-sim.a: $(call objects,port/sim)
	$(call say,AR   $@)
	$(run)rm -f $@ && $(AR) rcs $@ $^

# What is read, not run: pages, clients and examples, and what pages link to, at the same places below DOCDIR, so that
# their links hold.
PAGES = README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE $(wildcard include/mvm_layout.h include/mvm_limits.h \
    codec/proto/mvm.proto docs/*.md docs/*.svg $(addprefix docs/*/*.,md svg txt) docs/clients/*.py examples/*/*)

# Puts a file of packaging/ where it belongs, its @NAMES@ filled in; a place below PREFIX is said to be so.
below_prefix = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))
fill = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(call below_prefix,$(LIBDIR))|' \
    -e 's|@INCLUDEDIR@|$(call below_prefix,$(INCLUDEDIR))|' -e 's|@BINDIR@|$(BINDIR)|' -e 's|@VERSION@|$(VERSION)|'

# Puts its input there, readable to all whatever the umask.
to = install -m 644 /dev/stdin

install: all libraries ## install programs, libraries, headers, manual and what goes with them, see BINDIR …
	install -d $(foreach d,BINDIR LIBDIR INCLUDEDIR UNITDIR BASHDIR,"$(DESTDIR)$($(d))") \
	    "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(INCLUDEDIR)/mvm-guest"
	install -m 755 $(BUILD)/mvm-builder-agent $(BUILD)/mvm-builder "$(DESTDIR)$(BINDIR)"
	install -m 644 $(INCLUDES) port/sim/mvm_sim.h "$(DESTDIR)$(INCLUDEDIR)/mvm-guest"
	install -m 644 $(BUILD)/libmvm-guest-sim.a "$(DESTDIR)$(LIBDIR)"
	$(fill) packaging/sim.pc.in | $(to) "$(DESTDIR)$(LIBDIR)/pkgconfig/mvm-guest-sim.pc"
	set -e; for lib in $(LIBRARIES); do \
	    install -m 644 $(BUILD)/library/$$lib.a "$(DESTDIR)$(LIBDIR)/lib$$lib.a"; \
	    install -m 644 $(BUILD)/library/$$lib.so "$(DESTDIR)$(LIBDIR)/lib$$lib.so.$(VERSION)"; \
	    ln -sf lib$$lib.so.$(VERSION) "$(DESTDIR)$(LIBDIR)/lib$$lib.so.$(SOVERSION)"; \
	    ln -sf lib$$lib.so.$(SOVERSION) "$(DESTDIR)$(LIBDIR)/lib$$lib.so"; \
	    $(fill) -e "s|@NAME@|$$lib|" packaging/library.pc.in | $(to) "$(DESTDIR)$(LIBDIR)/pkgconfig/$$lib.pc"; \
	done
	set -e; for page in $(MANUALS); do \
	    install -m 644 -D -t "$(DESTDIR)$(MANDIR)/man$${page##*.}" $$page; \
	done
	set -e; for page in $(PAGES); do \
	    install -m $$(test -x $$page && echo 755 || echo 644) -D $$page "$(DESTDIR)$(DOCDIR)/$$page"; \
	done
	$(fill) packaging/mvm-builder-agent.service.in | $(to) "$(DESTDIR)$(UNITDIR)/mvm-builder-agent.service"
	install -m 644 packaging/completion.bash "$(DESTDIR)$(BASHDIR)/mvm-builder"
	install -m 644 packaging/completion.bash "$(DESTDIR)$(BASHDIR)/mvm-builder-agent"
	@[ -n '$(DESTDIR)' ] || echo 'The shared library is found after `ldconfig`, as root, or by LD_LIBRARY_PATH=$(LIBDIR).'

# What install has put there, also an earlier version; folders of our own if nothing else is in them. What is not
# there, or is gone with its folder, is not missed.
remove = [ ! -d "$(DESTDIR)$(1)" ] || { cd "$(DESTDIR)$(1)" && rm -f $(2); }
remove_empty = [ ! -d "$(DESTDIR)$(1)" ] || find "$(DESTDIR)$(1)" -depth -type d -empty -delete
.PHONY: uninstall
uninstall: ## … and remove them, with the same variables
	$(call remove,$(BINDIR),mvm-builder-agent mvm-builder)
	$(call remove,$(INCLUDEDIR)/mvm-guest,mvm_*.h)
	$(call remove,$(LIBDIR),$(foreach l,mvm-guest mvm-guest-json,lib$(l).a lib$(l).so lib$(l).so.[0-9]* pkgconfig/$(l).pc) \
	    libmvm-guest-sim.a pkgconfig/mvm-guest-sim.pc)
	$(call remove,$(MANDIR),$(foreach m,$(notdir $(MANUALS)),man$(subst .,,$(suffix $(m)))/$(m)))
	$(call remove,$(DOCDIR),$(PAGES))
	$(call remove,$(UNITDIR),mvm-builder-agent.service)
	$(call remove,$(BASHDIR),mvm-builder mvm-builder-agent)
	$(call remove_empty,$(DOCDIR))
	$(call remove_empty,$(INCLUDEDIR)/mvm-guest)

.PHONY: dist
dist: ## make a source archive of HEAD in BUILD, the same bytes each time
	@packaging/dist $(BUILD)

.PHONY: deb
deb: | $(NANOPB_DIR)/pb.h ## build Debian packages into BUILD/deb, and have lintian look at them
	@scripts/need build-essential nanopb dpkg-dev debhelper lintian
	packaging/deb $(BUILD)/deb $(NANOPB_DIR)
