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
CFLAGS_ALL = -std=c11 $(OPT) $(WARN) -fPIC -fvisibility=hidden -pthread -fno-math-errno $(CFLAGS)
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

$(BUILD)/tests/%: tests/%.c $(ZOO_OBJ) $(STATIC)
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	$(Q)$(CC) $(CPPFLAGS) -Itests $(CFLAGS_ALL) $(LDFLAGS) -MMD -MP $< $(ZOO_OBJ) $(STATIC) -o $@ \
	    -lcmocka $(LIBS)

-include $(shell find $(BUILD)/obj $(BUILD)/tests -name '*.d' 2>/dev/null)
