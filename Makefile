# libhsched. `make help` lists the targets.
#
# Variables: BUILD (folder), CC, CFLAGS, SANITIZE=address|thread, ONEDNN=0 (build without oneDNN),
# XNNPACK=1|0 (build with XNNPACK or without; by default with it on AArch64, where it is installed),
# CUDA=0 (build without the GPU plug-in), CUDA_HOME, PREFIX, DESTDIR, HSCHED_NO_INSTALL=1 (never install
# packages), V=1 (show commands).

BUILD ?= build
CC ?= gcc
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR ?= $(PREFIX)/lib
V ?= 0
Q = $(if $(filter 1,$(V)),,@)
VERSION := $(shell awk '/define HSCHED_VERSION_STRING/ { gsub("\"", ""); print $$3 }' include/hsched/hsched.h)
SOVERSION := 0

# What `make kit` has gathered is used where the system lacks any of these.
KIT := kit
KIT_HEADERS := protobuf-c/protobuf-c.h jansson.h turbojpeg.h cmocka.h dnnl.h uthash.h
KIT_LACKS := $(filter-out $(wildcard $(KIT_HEADERS:%=/usr/include/%)),$(KIT_HEADERS:%=/usr/include/%))
KIT_ROOT := $(if $(KIT_LACKS),$(wildcard $(KIT)/root/usr))
ifneq ($(KIT_ROOT),)
KIT_LIBS := $(wildcard $(KIT_ROOT)/lib/*-linux-gnu)
CPPFLAGS += -isystem $(KIT_ROOT)/include
# The old kind of tag serves what the libraries themselves need, too.
LDFLAGS += -L$(KIT_LIBS) -Wl,--disable-new-dtags,-rpath,$(abspath $(KIT_LIBS))
endif

ONEDNN ?= $(if $(wildcard /usr/include/dnnl.h /usr/include/oneapi/dnnl/dnnl.h $(KIT_ROOT)/include/dnnl.h),1,0)

# XNNPACK is ARM's first choice; on x86-64 it is built in for who asks for it. Its functions are those of
# 2022 (Debian 12): later a setup has two halves.
XNNPACK_HEADERS := $(and $(wildcard /usr/include/pthreadpool.h),$(wildcard /usr/include/xnnpack.h))
XNNPACK_FITS := $(if $(XNNPACK_HEADERS),$(shell grep -L xnn_reshape_convolution2d_nhwc_f32 /usr/include/xnnpack.h))
IS_AARCH64 := $(findstring aarch64,$(shell $(CC) -dumpmachine))
XNNPACK ?= $(if $(and $(IS_AARCH64),$(XNNPACK_FITS)),1,0)
ifeq ($(XNNPACK)$(if $(XNNPACK_HEADERS),$(if $(XNNPACK_FITS),,later)),1later)
$(error XNNPACK=1: /usr/include/xnnpack.h is of a later version than that of Debian 12, whose functions it no longer has; leave it out)
endif
XNNPACK_MISSING := $(if $(filter 1,$(XNNPACK)),,$(if $(XNNPACK_HEADERS),$(if $(XNNPACK_FITS),XNNPACK=0 was given,\
    /usr/include/xnnpack.h is of a later version than Debian 12 has),xnnpack.h and pthreadpool.h were not found \
    in /usr/include (Debian: libxnnpack-dev libpthreadpool-dev)))

# The GPU plug-in is built where nvcc and cuDNN's headers are: CUDA=0 leaves it out.
CUDA_HOME ?= $(firstword $(wildcard /usr/local/cuda /usr/lib/cuda /opt/cuda) \
    $(patsubst %/bin/nvcc,%,$(realpath $(shell command -v nvcc))) /usr/local/cuda)
NVCC ?= $(firstword $(wildcard $(CUDA_HOME)/bin/nvcc) $(shell command -v nvcc))
CUDNN_INCLUDE ?= $(patsubst %/cudnn_backend.h,%,$(firstword $(wildcard \
    $(CUDA_HOME)/include/cudnn_backend.h /usr/include/cudnn_backend.h \
    /usr/include/x86_64-linux-gnu/cudnn_backend.h /usr/include/aarch64-linux-gnu/cudnn_backend.h)))
CUDA ?= $(if $(and $(NVCC),$(CUDNN_INCLUDE)),1,0)
CUDA_MISSING := $(if $(filter 1,$(CUDA)),,$(if $(NVCC),$(if $(CUDNN_INCLUDE),CUDA=0 was given,the headers \
    of cuDNN 9 (cudnn_backend.h) were not found),nvcc was not found on PATH or in $(CUDA_HOME)/bin))
# Machine code for these compute capabilities, and PTX of the first for newer ones.
CUDA_ARCHS ?= 80 90
# Compiled once for all builds, those with sanitizers too.
KERNELS ?= $(BUILD)/kernels

OPT ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
        -Wno-missing-field-initializers
CPPFLAGS += -Iinclude -Isrc -I$(BUILD)/gen -D_GNU_SOURCE -DHSI_HAVE_ONEDNN=$(ONEDNN) -DHSI_HAVE_XNNPACK=$(XNNPACK)
CFLAGS_ALL = -std=c11 $(OPT) $(WARN) -fPIC -fvisibility=hidden -pthread -fno-math-errno -fno-trapping-math $(CFLAGS)
LIBS := -lopenblas -lprotobuf-c $(if $(filter 1,$(ONEDNN)),-ldnnl -lgomp) $(if $(filter 1,$(XNNPACK)),-lXNNPACK) -lm -pthread
SANITIZE ?=
ifneq ($(SANITIZE),)
ifeq ($(SANITIZE),address)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else
SAN := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
endif
CFLAGS_ALL += $(SAN)
endif

LIB_DIRS := base meter trace buffer graph onnx backend backend/ref backend/cpu backend/sim cost plan sched simulator worker runtime
LIB_SRC := $(wildcard $(LIB_DIRS:%=src/%/*.c))
ZOO_SRC := $(wildcard src/zoo/*.c)
CLI_SRC := $(wildcard src/cli/*.c)
EXAMPLES := $(patsubst examples/%.c,%,$(wildcard examples/[0-9]*.c))
TEST_SRC := $(if $(filter 1,$(CUDA)),$(wildcard tests/*/*.c),$(filter-out tests/gpu/%,$(wildcard tests/*/*.c)))
TESTS := $(patsubst tests/%.c,%,$(filter $(wildcard tests/*/test_*.c),$(TEST_SRC)))
GPU_TESTS := $(filter gpu/%,$(TESTS))
GPU_PROGRAMS := $(patsubst tests/%.c,%,$(filter tests/gpu/bench_%,$(TEST_SRC)))

# What several tests share; these others are programs of their own.
TEST_SUPPORT := $(filter-out tests/fuzz/fuzz_% tests/abi/% tests/bench/% tests/gpu/bench_%,\
    $(filter-out $(TESTS:%=tests/%.c),$(TEST_SRC)))

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJ := $(call obj,$(LIB_SRC)) $(if $(wildcard src/onnx/onnx.proto),$(BUILD)/obj/gen/onnx.pb-c.o)
ZOO_OBJ := $(call obj,$(ZOO_SRC))
CLI_OBJ := $(call obj,$(CLI_SRC))
STATIC := $(BUILD)/libhsched.a
SHARED := $(BUILD)/libhsched.so.$(VERSION)

.PHONY: all plugin-or-why xnnpack-or-why
all: $(STATIC) $(SHARED) $(BUILD)/hsched examples plugin-or-why xnnpack-or-why ## build the library, the program, the examples

# Where it would be the first choice.
xnnpack-or-why:
	$(if $(and $(IS_AARCH64),$(XNNPACK_MISSING)),@echo "  --    XNNPACK is left out: $(XNNPACK_MISSING)",@:)

.PHONY: examples tests
examples: $(EXAMPLES:%=$(BUILD)/examples/%)
tests: $(TESTS:%=$(BUILD)/tests/%) $(BUILD)/bench/repeat.so

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# Changed flags rebuild everything that was compiled with them: $(call stamp,FILE,FLAGS).
define stamp
$(1): force
	@mkdir -p $$(@D)
	@echo '$(2)' | cmp -s - $$@ || echo '$(2)' > $$@
endef
.PHONY: force
$(eval $(call stamp,$(BUILD)/flags,$(CC) $(CPPFLAGS) $(CFLAGS_ALL)))

$(BUILD)/gen/onnx.pb-c.c $(BUILD)/gen/onnx.pb-c.h &: src/onnx/onnx.proto
	@mkdir -p $(BUILD)/gen
	@echo "  PROTO $<"
	$(Q)if command -v protoc-c >/dev/null; then \
	    protoc-c --c_out=$(BUILD)/gen --proto_path=src/onnx $<; \
	elif cmp -s $< $(KIT)/gen/onnx.proto; then \
	    cp $(KIT)/gen/onnx.pb-c.[ch] $(BUILD)/gen; \
	else \
	    echo "protoc-c is missing (Debian: protobuf-c-compiler), and there is no kit made from this $<" >&2; \
	    exit 1; \
	fi
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

# ---- The GPU plug-in: C against headers only, kernels as embedded fat binaries ----

# What backends share is linked into the plug-in once more.
CUDA_SHARED := $(call obj,src/backend/tune_cache.c)
CUDA_OBJ := $(call obj,$(wildcard src/backend/cuda/*.c)) $(CUDA_SHARED)
CUDA_FATBINS := $(patsubst src/backend/cuda/kernels/%.cu,$(KERNELS)/%.fatbin,\
    $(wildcard src/backend/cuda/kernels/*.cu))
PLUGIN := $(BUILD)/libhsched_cuda.so
CUDA_CPPFLAGS := $(patsubst %,-isystem %,$(filter-out /usr/include,$(sort $(CUDA_HOME)/include $(CUDNN_INCLUDE))))
CUDA_ARCH := $(firstword $(CUDA_ARCHS))
CUDA_GENCODE := -gencode "arch=compute_$(CUDA_ARCH),code=[sm_$(CUDA_ARCH),compute_$(CUDA_ARCH)]" \
    $(foreach a,$(wordlist 2,9,$(CUDA_ARCHS)),-gencode arch=compute_$(a),code=sm_$(a))
# -t0: a thread for each capability, so that the slowest file does not keep all but one core idle.
NVCCFLAGS := -std=c++17 -O3 -t0 -Iinclude -Isrc $(CUDA_GENCODE)

$(eval $(call stamp,$(BUILD)/flags-cuda,$(CUDA_CPPFLAGS) $(abspath $(KERNELS))))
$(eval $(call stamp,$(KERNELS)/flags,$(NVCC) $(NVCCFLAGS)))

$(KERNELS)/%.fatbin: src/backend/cuda/kernels/%.cu $(KERNELS)/flags
	@mkdir -p $(@D)
	@echo "  NVCC  $<"
	$(Q)$(NVCC) $(NVCCFLAGS) -MMD -MP -MF $(@:.fatbin=.d) -MT $@ -fatbin $< -o $@

# Where samples are taken depends on every bit: products and sums are rounded each, as they are elsewhere.
$(KERNELS)/sample.fatbin: private NVCCFLAGS += -fmad=false

# A file that needs none of CUDA's headers: it is tested where there are none.
CUDA_PLAIN := $(call obj,src/backend/cuda/order.c)
$(filter-out $(CUDA_SHARED) $(CUDA_PLAIN),$(CUDA_OBJ)): $(BUILD)/flags-cuda
$(filter-out $(CUDA_SHARED) $(CUDA_PLAIN),$(CUDA_OBJ)): private CPPFLAGS += $(CUDA_CPPFLAGS) \
    -DHSI_CUDA_KERNEL_DIR='"$(abspath $(KERNELS))"'
$(BUILD)/obj/src/backend/cuda/module.o: $(CUDA_FATBINS)

$(PLUGIN): $(CUDA_OBJ) lib/plugin.map
	@echo "  LD    $@"
	$(Q)$(CC) -shared $(CFLAGS_ALL) $(LDFLAGS) -Wl,--version-script=lib/plugin.map \
	    $(if $(SANITIZE),,-Wl,-z,defs) $(CUDA_OBJ) -o $@ -ldl -lm -pthread

ifeq ($(CUDA),1)
plugin-or-why: $(PLUGIN)
else
plugin-or-why:
	@echo "  --    the GPU plug-in is left out: $(CUDA_MISSING)"
endif

.PHONY: cuda
cuda: $(PLUGIN)                         ## build the GPU plug-in alone

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

$(call obj,$(TEST_SUPPORT)): private CPPFLAGS += -Itests
$(call obj,$(filter tests/gpu/%,$(TEST_SUPPORT))): private CPPFLAGS += $(CUDA_CPPFLAGS)
# Its simulated device stands in for the GPU plug-in in programs that call it, and is not linked into others.
$(BUILD)/libtests.a: $(call obj,$(TEST_SUPPORT))
	$(Q)rm -f $@ && ar rcs $@ $^

# XNNPACK is tested wherever it is installed: what knows of it is compiled once more for these tests, and takes
# the place of what the library has.
XNNPACK_TESTS := $(patsubst %,$(BUILD)/tests/%,backend/test_xnnpack unit/test_cpu_xnnpack)
$(XNNPACK_TESTS): tests/backend/test_backend.c
ifeq ($(XNNPACK)$(if $(XNNPACK_FITS),1),01)
XNNPACK_FLAGS := -UHSI_HAVE_XNNPACK -DHSI_HAVE_XNNPACK=1
XNNPACK_OBJ := $(patsubst %,$(BUILD)/obj/xnnpack/%.o,xnnpack conv2d_xnnpack fc_xnnpack conv2d fc libraries)
$(XNNPACK_TESTS): private CPPFLAGS += $(XNNPACK_FLAGS)
$(XNNPACK_TESTS): private TEST_OBJ = $(XNNPACK_OBJ)
$(XNNPACK_TESTS): private LIBS += -lXNNPACK
$(XNNPACK_TESTS): $(XNNPACK_OBJ)
$(BUILD)/obj/xnnpack/%.o: src/backend/cpu/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC    $< with XNNPACK"
	$(Q)$(CC) $(CPPFLAGS) $(XNNPACK_FLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
endif

# Tests of the plug-in's insides are linked with its objects.
$(BUILD)/tests/unit/test_order: private TEST_OBJ = $(CUDA_PLAIN)
$(BUILD)/tests/unit/test_order: $(CUDA_PLAIN)
NVML_OBJ := $(call obj,src/backend/cuda/nvml.c)
$(BUILD)/tests/unit/test_nvml: private TEST_OBJ = $(NVML_OBJ)
$(BUILD)/tests/unit/test_nvml: $(NVML_OBJ)
# The plain loops that the GPU programs of the benchmarks are checked with are tested themselves.
LOAD_OBJ := $(call obj,$(wildcard tests/bench/loads/*.c))
$(BUILD)/tests/unit/test_loads: private TEST_OBJ = $(LOAD_OBJ)
$(BUILD)/tests/unit/test_loads: $(LOAD_OBJ)
# What the program draws and computes by itself is tested with its objects.
CLI_PLAIN := $(call obj,$(wildcard src/cli/svg*.c) \
    $(patsubst %,src/cli/%.c,statistics messages files bench_loadstep_find))
CLI_TESTS := $(patsubst %,$(BUILD)/tests/unit/%,test_svg test_statistics test_loadstep)
$(CLI_TESTS): private TEST_OBJ = $(CLI_PLAIN)
$(CLI_TESTS): $(CLI_PLAIN)
WITH_PLUGIN := $(patsubst %,$(BUILD)/tests/%,$(GPU_TESTS) $(GPU_PROGRAMS))
$(WITH_PLUGIN): private TEST_OBJ = $(CUDA_OBJ)
$(WITH_PLUGIN): private CPPFLAGS += $(CUDA_CPPFLAGS)
$(WITH_PLUGIN): $(CUDA_OBJ)

$(BUILD)/tests/%: tests/%.c $(BUILD)/libtests.a $(ZOO_OBJ) $(STATIC)
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	$(Q)$(CC) $(CPPFLAGS) -Itests $(CFLAGS_ALL) $(LDFLAGS) -MMD -MP $< $(BUILD)/libtests.a \
	    $(TEST_OBJ) $(ZOO_OBJ) $(STATIC) -o $@ -lcmocka -ljansson $(LIBS)

# ---- What make bench and make bench-gpu measure with ----

$(BUILD)/bench/%: tests/bench/%.c $(ZOO_OBJ) $(SHARED)
	@mkdir -p $(@D)
	@echo "  BENCH $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(LDFLAGS) -MMD -MP $< $(ZOO_OBJ) -o $@ -L$(BUILD) -lhsched \
	    -lm -pthread $(RPATH)

# Calls for Python to make, which has loaded the library.
$(BUILD)/bench/repeat.so: tests/bench/repeat.c $(SHARED)
	@mkdir -p $(@D)
	@echo "  BENCH $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(LDFLAGS) -MMD -MP -shared $< -o $@ -L$(BUILD) -lhsched \
	    -Wl,-rpath,'$$ORIGIN/..'

# Its figures are those of the machine, not of the code that the library has for it.
$(BUILD)/bench/ceilings: private override CFLAGS += -O3 -march=native -ffp-contract=fast

$(BUILD)/bench/%: tests/bench/%.cu $(KERNELS)/flags
	@mkdir -p $(@D)
	@echo "  NVCC  $@"
	$(Q)$(NVCC) $(NVCCFLAGS) -MMD -MP -MF $@.d $< -o $@

GPU_LOAD_OBJ := $(patsubst tests/%.cu,$(BUILD)/%.o,tests/bench/gpu_load.cu $(wildcard tests/bench/loads/*.cu))
$(GPU_LOAD_OBJ): $(BUILD)/%.o: tests/%.cu $(KERNELS)/flags
	@mkdir -p $(@D)
	@echo "  NVCC  $<"
	$(Q)$(NVCC) $(NVCCFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@

$(BUILD)/bench/gpu_load: $(GPU_LOAD_OBJ) $(LOAD_OBJ)
	@echo "  LD    $@"
	$(Q)$(NVCC) $(NVCCFLAGS) $^ -o $@ -ldl

-include $(shell find $(BUILD)/obj $(BUILD)/tests $(BUILD)/bench $(KERNELS) -name '*.d' 2>/dev/null)

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
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/asan KERNELS=$(KERNELS) SANITIZE=address \
	    OPT="-O1 -g" tests
	@BUILD=$(BUILD)/asan bash tests/run.sh asan
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/tsan KERNELS=$(KERNELS) SANITIZE=thread \
	    OPT="-O1 -g" ONEDNN=0 tests
	@BUILD=$(BUILD)/tsan bash tests/run.sh tsan

.PHONY: conformance
conformance: $(SHARED) $(if $(filter cuda,$(DEVICE)),$(PLUGIN)) ## the ONNX package's own backend tests; CASES=REGEX|--update, DEVICE=cuda
	@$(DEPS) build test
	@if [ '$(DEVICE)' = cuda ] && python3 -c 'import onnx' 2>/dev/null; then python=python3; else \
	    BUILD=$(BUILD) sh tests/setup/python.sh && python=$(BUILD)/venv/bin/python; fi; \
	BUILD=$(BUILD) $$python tests/conformance/onnx_suite.py $(DEVICE:%=--device %) '$(CASES)'

.PHONY: wild
wild: $(SHARED)                         ## networks of torchvision as PyTorch exports them; NETWORKS=REGEX
	@$(DEPS) build test
	@BUILD=$(BUILD) python3 tests/conformance/wild.py '$(NETWORKS)'

.PHONY: bench
bench:                                  ## beside ONNX Runtime, on the same networks; BENCH="--peers onnxruntime,openvino,ncnn"
	@$(DEPS) build test
	@$(MAKE) --no-print-directory -j$$(nproc) all $(BUILD)/bench/ceilings $(BUILD)/bench/repeat.so
	@BUILD=$(BUILD) sh tests/setup/python.sh $(if $(findstring openvino,$(BENCH))$(findstring ncnn,$(BENCH)),peers)
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE BUILD=$(BUILD) \
	    $(BUILD)/venv/bin/python tests/bench/bench.py $(BENCH)

.PHONY: bench-ops
bench-ops: $(BUILD)/bench/repeat.so              ## operators one by one beside ONNX Runtime; ONLY=REGEX
	@$(DEPS) build test
	@BUILD=$(BUILD) sh tests/setup/python.sh
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE BUILD=$(BUILD) \
	    $(BUILD)/venv/bin/python tests/bench/bench_ops.py --only '$(ONLY)' $(BENCH)

# Both end with 2 where a figure is worse than it should be, and say where.
.PHONY: bench-core
bench-core: $(BUILD)/tests/bench/bench_core $(BUILD)/bench/bench_dispatch ## what a dispatch costs, for more models and runs
	@$(BUILD)/tests/bench/bench_core || test $$? = 2
	@$(BUILD)/bench/bench_dispatch || test $$? = 2

.PHONY: bench-priority
bench-priority: $(BUILD)/bench/bench_priority plugin-or-why ## a network of high priority beside others; PRIORITY="NETWORK OTHERS ..."
	@$(BUILD)/bench/bench_priority $(PRIORITY)

.PHONY: kit
kit: $(BUILD)/gen/onnx.pb-c.c           ## what a machine with a GPU and no network lacks, into kit/
	@BUILD=$(BUILD) KIT=$(KIT) sh tests/setup/kit.sh

# Both take PART=NAME[,NAME...] (default: all) and add to one JSON file in $(BUILD)/gpu.
.PHONY: check-gpu
check-gpu:                              ## the tests that need a GPU; PART=ops|graphs|runtime|onnx|...
	@$(DEPS) build gpu
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/hsched $(if $(filter 1,$(CUDA)),gpu-programs)
	@BUILD=$(BUILD) sh tests/setup/python.sh
	@BUILD=$(BUILD) CUDA_MISSING="$(CUDA_MISSING)" $(BUILD)/venv/bin/python tests/gpu/check.py $(PART)

.PHONY: bench-gpu
bench-gpu:                              ## beside PyTorch on one GPU; PART=single|compile|mixes|crossing|latency|cpu|tune
	@$(DEPS) build gpu
	@$(MAKE) --no-print-directory -j$$(nproc) $(if $(filter 1,$(CUDA)),bench-gpu-programs)
	@BUILD=$(BUILD) CUDA_MISSING="$(CUDA_MISSING)" python3 tests/bench/bench_gpu.py $(PART)

.PHONY: gpu-programs bench-gpu-programs
gpu-programs: $(PLUGIN) $(WITH_PLUGIN) $(BUILD)/bench/gpu_load $(BUILD)/bench/hog
bench-gpu-programs: $(PLUGIN) $(patsubst %,$(BUILD)/bench/%,bench_gpu bench_crossing hog gpu_load)

.PHONY: docs-operators
docs-operators:                         ## docs/operators.md, from src/onnx/ops.c
	@python3 tests/setup/operators.py

.PHONY: lint
lint:                                   ## include order of the folders, format, shell scripts
	@python3 tests/setup/lint.py

.PHONY: format
format:                                 ## apply clang-format
	@clang-format -i $$(find src tests examples -name '*.[ch]')

.PHONY: install
install: $(STATIC) $(SHARED) $(BUILD)/hsched plugin-or-why ## install to PREFIX (DESTDIR is put in front)
	install -d $(DESTDIR)$(PREFIX)/include/hsched $(DESTDIR)$(LIBDIR)/pkgconfig \
	    $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/hsched/platforms
	install -m 644 include/hsched/*.h $(DESTDIR)$(PREFIX)/include/hsched
	install -m 755 $(SHARED) $(DESTDIR)$(LIBDIR)
	ln -sf libhsched.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libhsched.so.$(SOVERSION)
	ln -sf libhsched.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libhsched.so
	$(if $(filter 1,$(CUDA)),install -m 755 $(PLUGIN) $(DESTDIR)$(LIBDIR))
	install -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' \
	    -e 's|@LIBS@|$(LIBS)|' lib/hsched.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/hsched.pc
	$(CC) $(CFLAGS_ALL) $(LDFLAGS) $(CLI_OBJ) $(ZOO_OBJ) -o $(DESTDIR)$(PREFIX)/bin/hsched \
	    -L$(BUILD) -lhsched -ljansson -lturbojpeg -lm -pthread -Wl,-rpath,'$$ORIGIN/../lib'
	install -m 644 docs/man/hsched.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 examples/platforms/* $(DESTDIR)$(PREFIX)/share/hsched/platforms

.PHONY: uninstall
uninstall:                              ## remove what install put there
	rm -rf $(DESTDIR)$(PREFIX)/include/hsched $(DESTDIR)$(PREFIX)/share/hsched
	rm -f $(DESTDIR)$(LIBDIR)/libhsched.* $(DESTDIR)$(LIBDIR)/libhsched_cuda.so \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/hsched.pc $(DESTDIR)$(PREFIX)/bin/hsched $(DESTDIR)$(PREFIX)/share/man/man1/hsched.1

.PHONY: clean
clean:                                  ## remove the build folder
	rm -rf $(BUILD)

.PHONY: help
help:                                   ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
