#include "backend/cuda/device.h"

#include <stdio.h>
#include <string.h>

#include "backend/cuda/host.h"
#include "backend/cuda/tune.h"

enum {
    MAPPED_MOST = 16384 /* bytes that a kernel may read over the bus more than once */
};

/* ---- What there is -------------------------------------------------------- */

static pthread_once_t describe_once = PTHREAD_ONCE_INIT;
static char description[400];
static int device_count;

static void version_text(size_t version, int by, char *text, size_t size)
{
    snprintf(text, size, "%zu.%zu", version / (size_t)by,
             version % (size_t)by / (by == 1000 ? 10 : 100));
}

/* Driver, cuDNN and cuBLASLt, as "CUDA driver 13.0, cuDNN 9.14.0, cuBLASLt 13.1". */
static void libraries_text(char *text, size_t size)
{
    int driver = 0;
    char cuda_text[24], lt_text[24];
    if (hsi_cuda.cuDriverGetVersion(&driver) != CUDA_SUCCESS)
        driver = 0;
    version_text((size_t)driver, 1000, cuda_text, sizeof cuda_text);
    version_text(hsi_cuda.cublasLtGetVersion(), 10000, lt_text, sizeof lt_text);
    size_t dnn = hsi_cuda.cudnnGetVersion();
    snprintf(text, size, "CUDA driver %s, cuDNN %zu.%zu.%zu, cuBLASLt %s", cuda_text,
             dnn / 10000, dnn / 100 % 100, dnn % 100, lt_text);
}

static void describe(void)
{
    const char *why;
    if (!hsi_cuda_load(&why)) {
        snprintf(description, sizeof description, "no GPU: %s", why);
        return;
    }
    CUresult result = hsi_cuda.cuInit(0);
    if (result == CUDA_SUCCESS)
        result = hsi_cuda.cuDeviceGetCount(&device_count);
    if (result != CUDA_SUCCESS || device_count == 0) {
        const char *name = NULL;
        device_count = 0;
        if (result == CUDA_SUCCESS)
            name = "the driver finds none";
        else if (hsi_cuda.cuGetErrorString(result, &name) != CUDA_SUCCESS || !name)
            name = "the driver cannot be used";
        snprintf(description, sizeof description, "no GPU: %s (cuInit)", name);
        return;
    }
    char libraries[160];
    libraries_text(libraries, sizeof libraries);
    snprintf(description, sizeof description, "%d GPU%s; %s", device_count,
             device_count == 1 ? "" : "s", libraries);
}

const char *hsi_cuda_describe(int *available)
{
    pthread_once(&describe_once, describe);
    *available = device_count > 0;
    return description;
}

uint32_t hsi_cuda_device_count(void)
{
    int available;
    hsi_cuda_describe(&available);
    return (uint32_t)device_count;
}

/* ---- Entering ------------------------------------------------------------- */

hsched_status hsi_cuda_enter(hsi_cuda_device *device)
{
    pthread_mutex_lock(&device->use);
    hsched_status status =
        CU_CHECK("making the context current", cuCtxPushCurrent, device->context);
    if (status != HSCHED_OK)
        pthread_mutex_unlock(&device->use);
    return status;
}

void hsi_cuda_leave(hsi_cuda_device *device)
{
    CUcontext mine;
    hsi_cuda.cuCtxPopCurrent(&mine);
    pthread_mutex_unlock(&device->use);
}

hsched_status hsi_cuda_finish_default(void)
{
    return CU_CHECK("waiting for a copy", cuStreamSynchronize, CU_STREAM_LEGACY);
}

/* ---- Opening -------------------------------------------------------------- */

static int attribute(const hsi_cuda_device *d, CUdevice_attribute which)
{
    int value = 0;
    return hsi_cuda.cuDeviceGetAttribute(&value, which, d->device) == CUDA_SUCCESS ? value
                                                                                   : 0;
}

static hsched_status look_at(hsi_cuda_device *d, int ordinal)
{
    d->ordinal = ordinal;
    hsched_status status = CU_CHECK("finding the GPU", cuDeviceGet, &d->device, ordinal);
    char model[96] = "";
    size_t memory = 0;
    if (status == HSCHED_OK)
        status = CU_CHECK("asking for the GPU's name", cuDeviceGetName, model,
                          (int)sizeof model - 1, d->device);
    if (status == HSCHED_OK)
        status =
            CU_CHECK("asking for the GPU's memory", cuDeviceTotalMem, &memory, d->device);
    if (status != HSCHED_OK)
        return status;
    d->memory_bytes = memory;
    d->capability = 10 * attribute(d, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
                    attribute(d, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    d->sm_total = d->sm_count = attribute(d, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    d->integrated = attribute(d, CU_DEVICE_ATTRIBUTE_INTEGRATED);
    d->mapped_most = d->integrated ? SIZE_MAX : MAPPED_MOST;
    snprintf(d->name, sizeof d->name, "gpu%d", ordinal);
    snprintf(d->description, sizeof d->description, "%s", model);
    libraries_text(d->libraries, sizeof d->libraries);
    if (d->capability < 80)
        return hsi_cuda_host->set_error(
            HSCHED_ERROR_UNSUPPORTED,
            "GPU %d (%s) has compute capability %d.%d; 8.0 or later is needed", ordinal,
            model, d->capability / 10, d->capability % 10);
    return HSCHED_OK;
}

/* Confines the device to a part of its multiprocessors. */
static hsched_status make_partition(hsi_cuda_device *d, uint32_t wanted)
{
    if (!hsi_cuda.cuDeviceGetDevResource || !hsi_cuda.cuDevSmResourceSplitByCount ||
        !hsi_cuda.cuDevResourceGenerateDesc || !hsi_cuda.cuGreenCtxCreate ||
        !hsi_cuda.cuGreenCtxStreamCreate || !hsi_cuda.cuGreenCtxDestroy ||
        !hsi_cuda.cuCtxFromGreenCtx)
        return hsi_cuda_host->set_error(
            HSCHED_ERROR_UNSUPPORTED,
            "gpu_sm_count: this driver has no green contexts (CUDA 12.4 or later has); "
            "leave it 0");
    if (wanted >= (uint32_t)d->sm_total)
        return hsi_cuda_host->set_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "gpu_sm_count is %u; GPU %d has %d multiprocessors: give fewer, or 0 for all",
            wanted, d->ordinal, d->sm_total);
    CUdevResource all, part, rest;
    CUdevResourceDesc resource;
    unsigned int groups = 1;
    hsched_status status =
        CU_CHECK("asking for the multiprocessors", cuDeviceGetDevResource, d->device,
                 &all, CU_DEV_RESOURCE_TYPE_SM);
    if (status == HSCHED_OK)
        status =
            CU_CHECK("splitting the multiprocessors (gpu_sm_count)",
                     cuDevSmResourceSplitByCount, &part, &groups, &all, &rest, 0, wanted);
    if (status == HSCHED_OK)
        status = CU_CHECK("splitting the multiprocessors (gpu_sm_count)",
                          cuDevResourceGenerateDesc, &resource, &part, 1);
    if (status == HSCHED_OK)
        status = CU_CHECK("making a green context (gpu_sm_count)", cuGreenCtxCreate,
                          &d->green, resource, d->device, CU_GREEN_CTX_DEFAULT_STREAM);
    if (status == HSCHED_OK)
        status = CU_CHECK("making a green context (gpu_sm_count)", cuCtxFromGreenCtx,
                          &d->kernel_context, d->green);
    if (status == HSCHED_OK)
        d->sm_count = (int)part.sm.smCount;
    return status;
}

hsched_status hsi_cuda_stream_create(hsi_cuda_device *d, int level, CUstream *stream)
{
    int least = 0, greatest = 0; /* the greater, the smaller the number */
    hsched_status status =
        CU_CHECK("making a stream", cuCtxGetStreamPriorityRange, &least, &greatest);
    const int priority = least + (greatest - least) * level / (HSI_CUDA_LEVELS - 1);
    if (status != HSCHED_OK)
        return status;
    if (d->green)
        return CU_CHECK("making a stream", cuGreenCtxStreamCreate, stream, d->green,
                        CU_STREAM_NON_BLOCKING, priority);
    return CU_CHECK("making a stream", cuStreamCreateWithPriority, stream,
                    CU_STREAM_NON_BLOCKING, priority);
}

static hsched_status make_lane(hsi_cuda_device *d, hsi_cuda_lane *lane)
{
    hsched_status status = HSCHED_OK;
    for (int level = 0; level < HSI_CUDA_LEVELS && status == HSCHED_OK; level++)
        status = hsi_cuda_stream_create(d, level, &lane->streams[level]);
    lane->stream = lane->streams[0];
    return status == HSCHED_OK ? CU_CHECK("making an event", cuEventCreate, &lane->event,
                                          CU_EVENT_DISABLE_TIMING)
                               : status;
}

/* Can streams write words in mapped memory, in order with kernels? Where not, the ends of
 * jobs are marked with events. */
static int try_stream_writes(hsi_cuda_device *d)
{
    CUstream stream = d->lanes[0].stream;
    int works =
        hsi_cuda.cuStreamWriteValue32(stream, d->done_device, 1, 0) == CUDA_SUCCESS &&
        hsi_cuda.cuStreamSynchronize(stream) == CUDA_SUCCESS && d->done[0] == 1;
    d->done[0] = 0;
    return works;
}

static hsched_status make_lanes(hsi_cuda_device *d, uint32_t count)
{
    void *flags = NULL;
    hsched_status status =
        CU_CHECK("mapped memory for flags", cuMemHostAlloc, &flags,
                 HSI_CUDA_MAX_LANES * HSI_CUDA_DONE_STRIDE * sizeof(uint32_t),
                 CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
    if (status == HSCHED_OK) {
        memset(flags, 0, HSI_CUDA_MAX_LANES * HSI_CUDA_DONE_STRIDE * sizeof(uint32_t));
        d->done = flags;
        status = CU_CHECK("mapped memory for flags", cuMemHostGetDevicePointer,
                          &d->done_device, flags, 0);
    }
    for (uint32_t i = 0; i < count && status == HSCHED_OK; i++) {
        status = make_lane(d, &d->lanes[i]);
        d->lane_count = i + 1;
    }
    if (status == HSCHED_OK)
        status = hsi_cuda_stream_create(d, 0, &d->capture_stream);
    if (status == HSCHED_OK)
        d->stream_writes = try_stream_writes(d);
    return status;
}

static void make_key(hsi_cuda_device *d)
{
    int driver = 0;
    CU(cuDriverGetVersion, &driver);
    snprintf(d->key, sizeof d->key, "%s|sm%d/%d|cuda%d|cudnn%zu|lt%zu", d->description,
             d->sm_count, d->sm_total, driver, hsi_cuda.cudnnGetVersion(),
             hsi_cuda.cublasLtGetVersion());
}

static hsched_status open_entered(hsi_cuda_device *d, const hsched_device_config *config)
{
    hsched_status status =
        hsi_cuda_memory_init(&d->memory, config->memory_limit, config->pool);
    if (status == HSCHED_OK && config->sm_count)
        status = make_partition(d, config->sm_count);
    if (status == HSCHED_OK)
        status = make_lanes(d, config->workers);
    if (status == HSCHED_OK)
        status = DNN_CHECK("starting cuDNN", cudnnCreate, &d->cudnn);
    if (status == HSCHED_OK)
        status = LT_CHECK("starting cuBLASLt", cublasLtCreate, &d->lt);
    if (status != HSCHED_OK)
        return status;
    make_key(d);
    const hsi_tune_cache_config cache = { .host = hsi_cuda_host,
                                          .kind = "gpu",
                                          .folder = config->cache_dir,
                                          .device_key = d->key };
    return hsi_tune_cache_open(&cache, &d->tune_cache);
}

/* No meter is no error: it is logged, and what needs one says so. */
static void open_meter(hsi_cuda_device *d)
{
    char bus_id[32] = "";
    const char *why;
    const hsi_nvml_table *table = hsi_nvml_load(&why);
    if (!table ||
        hsi_cuda.cuDeviceGetPCIBusId(bus_id, sizeof bus_id, d->device) != CUDA_SUCCESS)
        d->host->log(HSCHED_LOG_INFO, "%s has no meters: %s", d->name,
                     table ? "its address on the bus is not known" : why);
    else if (!hsi_nvml_open(&d->nvml, table, bus_id))
        d->host->log(HSCHED_LOG_INFO, "%s has no meters: NVML does not know a GPU at %s",
                     d->name, bus_id);
}

hsched_status hsi_cuda_device_open(const hsched_device_config *config,
                                   hsi_cuda_device **device)
{
    *device = NULL;
    int available;
    const char *text = hsi_cuda_describe(&available);
    if (!available)
        return hsi_cuda_host->set_error(HSCHED_ERROR_NOT_FOUND, "%s", text);
    if (config->ordinal < 0 || config->ordinal >= device_count)
        return hsi_cuda_host->set_error(HSCHED_ERROR_INVALID_ARGUMENT,
                                        "there is no GPU %d; CUDA counts %d, from 0 "
                                        "(CUDA_VISIBLE_DEVICES may hide some)",
                                        config->ordinal, device_count);
    if (config->workers < 1 || config->workers > HSI_CUDA_MAX_LANES)
        return hsi_cuda_host->set_error(HSCHED_ERROR_INVALID_ARGUMENT,
                                        "gpu_streams is %u; give 1 to %d",
                                        config->workers, HSI_CUDA_MAX_LANES);
    if (config->pool == HSCHED_GPU_POOL_FIXED && !config->memory_limit)
        return hsi_cuda_host->set_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "gpu_pool is FIXED, which needs a gpu_memory_limit: set it, or use GROWING");
    hsi_cuda_device *d = HSI_CUDA_NEW(hsi_cuda_device);
    if (!d)
        return hsi_cuda_no_memory("a GPU");
    if (pthread_mutex_init(&d->use, NULL) != 0 ||
        pthread_cond_init(&d->changed, NULL) != 0) {
        hsi_cuda_host->free(d);
        return hsi_cuda_host->set_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    }
    d->host = hsi_cuda_host;
    d->tuning = config->tuning;
    d->no_graphs = config->no_graphs;
    hsched_status status = look_at(d, config->ordinal);
    if (status == HSCHED_OK)
        status = CU_CHECK("making a context", cuDevicePrimaryCtxRetain, &d->context,
                          d->device);
    d->kernel_context = d->context;
    if (status == HSCHED_OK)
        status = hsi_cuda_enter(d);
    if (status == HSCHED_OK) {
        status = open_entered(d, config);
        hsi_cuda_leave(d);
    }
    if (status != HSCHED_OK) {
        hsi_cuda_device_close(d);
        return status;
    }
    open_meter(d);
    *device = d;
    return HSCHED_OK;
}

static void close_entered(hsi_cuda_device *d)
{
    for (uint32_t i = 0; i < d->lane_count; i++) {
        if (d->lanes[i].event)
            hsi_cuda.cuEventDestroy(d->lanes[i].event);
        for (int level = 0; level < HSI_CUDA_LEVELS; level++)
            if (d->lanes[i].streams[level])
                hsi_cuda.cuStreamDestroy(d->lanes[i].streams[level]);
    }
    if (d->capture_stream)
        hsi_cuda.cuStreamDestroy(d->capture_stream);
    if (d->done)
        hsi_cuda.cuMemFreeHost((void *)d->done);
    if (d->lt)
        LT(cublasLtDestroy, d->lt);
    if (d->cudnn)
        DNN(cudnnDestroy, d->cudnn);
    for (uint32_t i = 0; i < HSI_CUDA_MODULE_COUNT; i++)
        if (d->modules[i])
            hsi_cuda.cuLibraryUnload(d->modules[i]);
    if (d->green)
        hsi_cuda.cuGreenCtxDestroy(d->green);
    hsi_cuda_memory_clear(&d->memory);
}

void hsi_cuda_device_close(hsi_cuda_device *d)
{
    if (!d)
        return;
    hsi_tune_cache_close(d->tune_cache);
    hsi_nvml_close(&d->nvml);
    if (d->context) {
        /* On a lost context the calls fail and there is nothing left to give back. */
        if (hsi_cuda_enter(d) == HSCHED_OK) {
            close_entered(d);
            hsi_cuda_leave(d);
        }
        hsi_cuda.cuDevicePrimaryCtxRelease(d->device);
    }
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->use);
    hsi_cuda_host->free(d);
}
