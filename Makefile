# libhsched. `make help` lists the targets.
#
# Variables: BUILD (folder), CC, CFLAGS, SANITIZE=address|thread, ONEDNN=0 (build without oneDNN),
# PREFIX, DESTDIR, HSCHED_NO_INSTALL=1 (never install packages), V=1 (show commands).

BUILD ?= build
CC ?= gcc
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR ?= $(PREFIX)/lib
V ?= 0
Q = $(if $(filter 1,$(V)),,@)
VERSION := $(shell awk '/define HSCHED_VERSION_STRING/ { gsub("\"", ""); print $$3 }' include/hsched/hsched.h)
SOVERSION := 0
ONEDNN ?= $(if $(wildcard /usr/include/dnnl.h /usr/include/oneapi/dnnl/dnnl.h),1,0)

OPT ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
        -Wno-missing-field-initializers
CPPFLAGS += -Iinclude -Isrc -I$(BUILD)/gen -D_GNU_SOURCE -DHSI_HAVE_ONEDNN=$(ONEDNN)
CFLAGS_ALL = -std=c11 $(OPT) $(WARN) -fPIC -fvisibility=hidden -pthread -fno-math-errno -fno-trapping-math $(CFLAGS)
LIBS := -lopenblas -lprotobuf-c $(if $(filter 1,$(ONEDNN)),-ldnnl -lgomp) -lm -pthread
SANITIZE ?=
ifneq ($(SANITIZE),)
ifeq ($(SANITIZE),address)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else
SAN := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
endif
CFLAGS_ALL += $(SAN)
endif

LIB_DIRS := base buffer graph onnx backend backend/ref backend/cpu backend/sim plan sched worker runtime
LIB_SRC := $(wildcard $(LIB_DIRS:%=src/%/*.c))
ZOO_SRC := $(wildcard src/zoo/*.c)
CLI_SRC := $(wildcard src/cli/*.c)
EXAMPLES := $(patsubst examples/%.c,%,$(wildcard examples/[0-9]*.c))
TESTS := $(patsubst tests/%.c,%,$(wildcard tests/*/test_*.c))

# What several tests share; fuzz_*.c and outside.c are programs of their own.
TEST_SUPPORT := $(filter-out tests/fuzz/fuzz_% tests/abi/%,\
    $(filter-out $(TESTS:%=tests/%.c),$(wildcard tests/*/*.c)))

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC)) $(if $(wildcard src/onnx/onnx.proto),$(BUILD)/obj/gen/onnx.pb-c.o)
ZOO_OBJ := $(call obj,$(ZOO_SRC))
CLI_OBJ := $(call obj,$(CLI_SRC))
STATIC := $(BUILD)/libhsched.a
SHARED := $(BUILD)/libhsched.so.$(VERSION)

.PHONY: all
all: $(STATIC) $(SHARED) $(BUILD)/hsched examples   ## build the library, the program, the examples


.PHONY: examples tests
examples: $(EXAMPLES:%=$(BUILD)/examples/%)
tests: $(TESTS:%=$(BUILD)/tests/%)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# Changed flags rebuild everything.
.PHONY: force
$(BUILD)/flags: force
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS_ALL)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS_ALL)' > $@

$(BUILD)/gen/onnx.pb-c.c $(BUILD)/gen/onnx.pb-c.h &: src/onnx/onnx.proto
	@mkdir -p $(BUILD)/gen
	@echo "  PROTO $<"
	$(Q)protoc-c --c_out=$(BUILD)/gen --proto_path=src/onnx $<
$(call obj,$(wildcard src/onnx/*.c)): | $(if $(wildcard src/onnx/onnx.proto),$(BUILD)/gen/onnx.pb-c.h)
$(BUILD)/obj/gen/onnx.pb-c.o: $(BUILD)/gen/onnx.pb-c.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -w -c $< -o $@

$(STATIC): $(LIB_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@ && ar rcs $@ $^

$(SHARED): $(LIB_OBJ) lib/hsched.map
	@echo "  LD    $@"
	$(Q)$(CC) -shared $(CFLAGS_ALL) $(LDFLAGS) -Wl,-soname,libhsched.so.$(SOVERSION) \
	    -Wl,--version-script=lib/hsched.map $(if $(SANITIZE),,-Wl,-z,defs) $(LIB_OBJ) -o $@ $(LIBS)
	$(Q)ln -sf $(@F) $(BUILD)/libhsched.so.$(SOVERSION)
	$(Q)ln -sf libhsched.so.$(SOVERSION) $(BUILD)/libhsched.so

RPATH := -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..'

$(BUILD)/hsched: $(CLI_OBJ) $(ZOO_OBJ) $(SHARED)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(CLI_OBJ) $(ZOO_OBJ) -o $@ -L$(BUILD) -lhsched \
	    -ljansson -lturbojpeg -lm -pthread $(RPATH)

$(BUILD)/examples/%: examples/%.c $(ZOO_OBJ) $(SHARED)
	@mkdir -p $(@D)
	@echo "  EX    $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(LDFLAGS) $< $(ZOO_OBJ) -o $@ -L$(BUILD) -lhsched \
	    -lturbojpeg -lm -pthread $(RPATH)

$(call obj,$(TEST_SUPPORT)): CPPFLAGS += -Itests
$(BUILD)/libtests.a: $(call obj,$(TEST_SUPPORT))
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/tests/%: tests/%.c $(BUILD)/libtests.a $(ZOO_OBJ) $(STATIC)
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	$(Q)$(CC) $(CPPFLAGS) -Itests $(CFLAGS_ALL) $(LDFLAGS) -MMD -MP $< $(BUILD)/libtests.a \
	    $(ZOO_OBJ) $(STATIC) -o $@ -lcmocka $(LIBS)

-include $(shell find $(BUILD)/obj $(BUILD)/tests -name '*.d' 2>/dev/null)

# ---- Targets for people ----

DEPS := sh tests/setup/packages.sh

.PHONY: deps
deps:                                   ## install the Debian packages that are missing
	@$(DEPS) build

.PHONY: demo
demo:                                   ## several networks at once, from nothing: start here
	@$(DEPS) build
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/examples/00_demo
	@$(BUILD)/examples/00_demo examples/data

.PHONY: check
check:                                  ## build everything and run all tests
	@$(DEPS) build test
	@$(MAKE) --no-print-directory -j$$(nproc) all tests
	@BUILD=$(BUILD) sh tests/setup/python.sh
	@BUILD=$(BUILD) bash tests/run.sh all

.PHONY: check-sanitize
check-sanitize:                         ## the C tests under AddressSanitizer + UBSan, then ThreadSanitizer
	@$(DEPS) build test
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/asan SANITIZE=address OPT="-O1 -g" tests
	@BUILD=$(BUILD)/asan bash tests/run.sh asan
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/tsan SANITIZE=thread OPT="-O1 -g" ONEDNN=0 tests
	@BUILD=$(BUILD)/tsan bash tests/run.sh tsan

.PHONY: bench
bench:                                  ## beside ONNX Runtime, on the same networks, in one run
	@$(DEPS) build test
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@BUILD=$(BUILD) sh tests/setup/python.sh
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE BUILD=$(BUILD) \
	    $(BUILD)/venv/bin/python tests/bench/bench.py $(BENCH)

.PHONY: lint
lint:                                   ## include order of the folders, format, shell scripts
	@python3 tests/setup/lint.py

.PHONY: format
format:                                 ## apply clang-format
	@clang-format -i $$(find src tests examples -name '*.[ch]')

.PHONY: install
install: $(STATIC) $(SHARED) $(BUILD)/hsched ## install to PREFIX (DESTDIR is put in front)
	install -d $(DESTDIR)$(PREFIX)/include/hsched $(DESTDIR)$(LIBDIR)/pkgconfig \
	    $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 include/hsched/*.h $(DESTDIR)$(PREFIX)/include/hsched
	install -m 755 $(SHARED) $(DESTDIR)$(LIBDIR)
	ln -sf libhsched.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libhsched.so.$(SOVERSION)
	ln -sf libhsched.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libhsched.so
	install -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' \
	    -e 's|@LIBS@|$(LIBS)|' lib/hsched.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/hsched.pc
	$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(CLI_OBJ) $(ZOO_OBJ) -o $(DESTDIR)$(PREFIX)/bin/hsched \
	    -L$(BUILD) -lhsched -ljansson -lturbojpeg -lm -pthread -Wl,-rpath,'$$ORIGIN/../lib'
	install -m 644 docs/man/hsched.1 $(DESTDIR)$(PREFIX)/share/man/man1

.PHONY: uninstall
uninstall:                              ## remove what install put there
	rm -rf $(DESTDIR)$(PREFIX)/include/hsched
	rm -f $(DESTDIR)$(LIBDIR)/libhsched.* $(DESTDIR)$(LIBDIR)/pkgconfig/hsched.pc \
	    $(DESTDIR)$(PREFIX)/bin/hsched $(DESTDIR)$(PREFIX)/share/man/man1/hsched.1

.PHONY: clean
clean:                                  ## remove the build folder
	rm -rf $(BUILD)

.PHONY: help
help:                                   ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
