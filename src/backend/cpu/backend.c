/* The CPU as a device. */
#include "backend/backend.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/libraries.h"
#include "backend/cpu/tuned.h"
#include "backend/ref/ref.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"

static char describe_text[256];

static void make_describe_text(void)
{
    hsi_cpu_libraries_describe(hsi_cpu_libraries_built(), describe_text,
                               sizeof describe_text);
}

static const char *cpu_describe(int *available)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_describe_text);
    *available = 1;
    return describe_text;
}

/* The processor's name for people: the system's, or the machine's architecture. */
static void read_processor_name(char *text, size_t size)
{
    char line[256];
    text[0] = 0;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && !text[0] && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (value && !strncmp(line, "model name", 10))
            snprintf(text, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
    }
    if (file)
        fclose(file);
    struct utsname system;
    if (!text[0])
        snprintf(text, size, "%s processor",
                 uname(&system) == 0 ? system.machine : "unknown");
}

/* Choices depend on the processor, on the libraries and on this library. */
static hsched_status open_tuned(const hsched_device_config *config,
                                hsched_backend_device *device)
{
    char key[HSI_TUNE_DEVICE_KEY];
    if (config->reference)
        return HSCHED_OK;
    device->measures = config->cpu_tuning != HSCHED_CPU_TUNING_NONE;
    snprintf(key, sizeof key, "%.60s;%.120s;%s", device->description,
             device->library_text, HSCHED_VERSION_STRING);
    hsched_status status = hsi_cpu_tuned_open(config->cache_dir, key, &device->tuned);
    if (status != HSCHED_OK || !hsi_cpu_tuned_folder(device->tuned)[0])
        return status;
    device->packed_folder =
        hsi_asprintf("%s/packed-weights", hsi_cpu_tuned_folder(device->tuned));
    if (!device->packed_folder) {
        hsi_cpu_tuned_close(device->tuned);
        return hsi_out_of_memory("the name of a folder");
    }
    return HSCHED_OK;
}

static hsched_status cpu_device_open(const hsched_device_config *config,
                                     hsched_backend_device **device)
{
    *device = NULL;
    uint32_t built = hsi_cpu_libraries_built();
    uint32_t wanted = config->cpu_libraries ? config->cpu_libraries : built;
    uint32_t known = HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_OPENBLAS |
                     HSCHED_LIBRARY_ONEDNN | HSCHED_LIBRARY_XNNPACK;
    if (wanted & ~known)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "cpu_libraries: 0x%x has unknown bits; use HSCHED_LIBRARY_... values",
            (unsigned)wanted);
    if ((unsigned)config->cpu_tuning > HSCHED_CPU_TUNING_MEASURE)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "cpu_tuning is %d, none of hsched_cpu_tuning",
                         (int)config->cpu_tuning);
    hsched_backend_device *made = HSI_NEW(hsched_backend_device);
    if (!made)
        return hsi_out_of_memory("the CPU device");
    if (wanted & ~built)
        hsi_log(HSCHED_LOG_WARNING,
                "cpu_libraries: 0x%x is not built into this library (XNNPACK: make "
                "XNNPACK=1); other kernels are taken",
                (unsigned)(wanted & ~built));
    made->libraries = (wanted & built) | HSCHED_LIBRARY_OWN;
    made->reference = config->reference;
    made->workers = config->workers;
    hsi_cpu_libraries_start(config->keep_openblas_threads);
    hsi_cpu_libraries_describe(made->libraries, made->library_text,
                               sizeof made->library_text);
    read_processor_name(made->description, sizeof made->description);
    hsched_status status = open_tuned(config, made);
    if (status != HSCHED_OK) {
        hsi_free(made);
        return status;
    }
    *device = made;
    return HSCHED_OK;
}

static void cpu_device_close(hsched_backend_device *device)
{
    hsi_cpu_tuned_close(device->tuned);
    hsi_free(device->packed_folder);
    hsi_free(device);
}

static void cpu_device_info(const hsched_backend_device *device, hsched_device_info *info)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);
    *info = (hsched_device_info){
        HSCHED_DEVICE_INFO_INIT,
        .name = "cpu",
        .description = device->description,
        .libraries = device->library_text,
        .kind = HSCHED_DEVICE_CPU,
        .workers = device->workers,
        .memory_bytes =
            pages > 0 && page_size > 0 ? (uint64_t)pages * (uint64_t)page_size : 0,
    };
}

static int is_float(const hsched_operand *operand)
{
    return operand->dtype == HSCHED_FLOAT32 || operand->dtype == HSCHED_DTYPE_NONE;
}

/* The reference kernels take what others do not, so all that a step may be. */
static int cpu_supports(const hsched_backend_device *device, const hsched_step *step)
{
    (void)device;
    if (hsched_step_kind_class(step->kind) == 0 ||
        step->input_count > HSCHED_STEP_MAX_INPUTS)
        return 0;
    if (step->kind == HSCHED_STEP_COPY || (step->kind == HSCHED_STEP_RESIZE &&
                                           step->u.resize.mode == HSCHED_RESIZE_NEAREST))
        return step->in[0].dtype == step->out.dtype;
    if (step->kind == HSCHED_STEP_IMAGE)
        return step->in[0].dtype == HSCHED_UINT8 && step->out.dtype == HSCHED_FLOAT32;
    if (step->kind == HSCHED_STEP_PAD || step->kind == HSCHED_STEP_GATHER ||
        step->kind == HSCHED_STEP_TUPLE_INDEX || step->kind == HSCHED_STEP_SCATTER ||
        step->kind == HSCHED_STEP_ARG || step->kind == HSCHED_STEP_CUMSUM ||
        step->kind == HSCHED_STEP_TOP_K || step->kind == HSCHED_STEP_NORM ||
        step->kind == HSCHED_STEP_MATMUL || step->kind == HSCHED_STEP_SOFTMAX ||
        step->kind == HSCHED_STEP_REDUCE || step->kind == HSCHED_STEP_UNARY ||
        step->kind == HSCHED_STEP_BINARY || step->kind == HSCHED_STEP_CAST ||
        step->kind == HSCHED_STEP_WHERE || step->kind == HSCHED_STEP_NMS ||
        step->kind == HSCHED_STEP_POOL_INDEX || step->kind == HSCHED_STEP_ROI_ALIGN)
        return hsi_ref_fault(step) == NULL;
    for (uint32_t i = 0; i < step->input_count; i++)
        if (!is_float(&step->in[i]) && (step->kind != HSCHED_STEP_RECURRENT || i != 4 ||
                                        step->in[i].dtype != HSCHED_INT32))
            return 0;
    return step->out.dtype == HSCHED_FLOAT32;
}

const hsched_backend hsi_backend_cpu = {
    .struct_size = sizeof(hsched_backend),
    .abi = HSCHED_BACKEND_ABI,
    .name = "cpu",
    .kind = HSCHED_DEVICE_CPU,
    .describe = cpu_describe,
    .device_open = cpu_device_open,
    .device_close = cpu_device_close,
    .device_info = cpu_device_info,
    .supports = cpu_supports,
    .section_prepare = hsi_cpu_section_prepare,
    .section_destroy = hsi_cpu_section_destroy,
    .kernel_name = hsi_cpu_kernel_name,
    .weight_bytes = hsi_cpu_weight_bytes,
    .scratch_size = hsi_cpu_scratch_size,
    .slot_create = hsi_cpu_slot_create,
    .slot_destroy = hsi_cpu_slot_destroy,
    .run_part = hsi_cpu_run_part,
};
