/*
 * A green context is made with the driver's calls, which are looked up at run time: not every
 * driver has them. It is made current, so that all that follows belongs to it, kernels that
 * are launched through the runtime library too.
 */
#include "partition.cuh"

#include <cuda.h>
#include <dlfcn.h>

#include "gpu.cuh"

namespace
{

/* Names as the headers' macros make them, and the symbols that are looked up. */
#define DRIVER_LIST(X)                                                                   \
    X(cuGetErrorString)                                                                  \
    X(cuDeviceGet)                                                                       \
    X(cuDeviceGetDevResource)                                                            \
    X(cuDevSmResourceSplitByCount)                                                       \
    X(cuDevResourceGenerateDesc)                                                         \
    X(cuGreenCtxCreate)                                                                  \
    X(cuGreenCtxDestroy)                                                                 \
    X(cuGreenCtxStreamCreate)                                                            \
    X(cuCtxFromGreenCtx)                                                                 \
    X(cuCtxSetCurrent)

#define TEXT_(name) #name
#define TEXT(name)  TEXT_(name)

struct {
#define MEMBER(name) decltype(&::name) name;
    DRIVER_LIST(MEMBER)
} driver;

void look_up()
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
#define LOOK_UP(name)                                                                    \
    driver.name = library ? (decltype(driver.name))dlsym(library, TEXT(name)) : nullptr; \
    if (!driver.name) {                                                                  \
        fprintf(stderr,                                                                  \
                "gpu_load: --sms: this driver has no green contexts (%s is missing; "    \
                "CUDA 12.4 or later has them)\n",                                        \
                TEXT(name));                                                             \
        exit(77);                                                                        \
    }
    DRIVER_LIST(LOOK_UP)
}

void driver_ok(CUresult result, const char *call)
{
    const char *why = nullptr;
    if (result == CUDA_SUCCESS)
        return;
    if (driver.cuGetErrorString(result, &why) != CUDA_SUCCESS || !why)
        why = "an error without a name";
    fprintf(stderr, "gpu_load: --sms: %s: %s (%d)\n", call, why, (int)result);
    exit(result == CUDA_ERROR_NOT_SUPPORTED ? 77 : 1);
}

#define DRIVER_OK(name, ...) driver_ok(driver.name(__VA_ARGS__), #name)

} // namespace

void partition::confine(int wanted)
{
    if (wanted >= multiprocessors_) {
        fprintf(stderr,
                "gpu_load: --sms %d: this GPU has %d multiprocessors; give fewer\n",
                wanted, multiprocessors_);
        exit(2);
    }
    look_up();
    CUdevice device;
    CUdevResource all, part, rest;
    CUdevResourceDesc resource;
    CUgreenCtx green;
    CUcontext context;
    unsigned groups = 1;
    DRIVER_OK(cuDeviceGet, &device, 0);
    DRIVER_OK(cuDeviceGetDevResource, device, &all, CU_DEV_RESOURCE_TYPE_SM);
    DRIVER_OK(cuDevSmResourceSplitByCount, &part, &groups, &all, &rest, 0,
              (unsigned)wanted);
    if (groups != 1) {
        fprintf(stderr, "gpu_load: --sms %d: this GPU cannot be parted so; give fewer\n",
                wanted);
        exit(2);
    }
    DRIVER_OK(cuDevResourceGenerateDesc, &resource, &part, 1);
    DRIVER_OK(cuGreenCtxCreate, &green, resource, device, CU_GREEN_CTX_DEFAULT_STREAM);
    green_ = green;
    DRIVER_OK(cuCtxFromGreenCtx, &context, green);
    DRIVER_OK(cuCtxSetCurrent, context);
    DRIVER_OK(cuGreenCtxStreamCreate, &stream_, green, CU_STREAM_NON_BLOCKING, 0);
    multiprocessors_ = (int)part.sm.smCount;
}

partition::partition(int wanted)
{
    /* Waiting must not keep a CPU core busy, too: the program is a load of the GPU. */
    GPU_OK(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync));
    GPU_OK(cudaSetDevice(0));
    GPU_OK(cudaFree(nullptr)); /* the context is there from here on */
    GPU_OK(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, 0));
    if (wanted)
        confine(wanted);
    else
        GPU_OK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}

partition::~partition()
{
    GPU_OK(cudaStreamDestroy(stream_));
    if (green_) {
        GPU_OK(cudaSetDevice(0)); /* the whole GPU's context is current again */
        DRIVER_OK(cuGreenCtxDestroy, (CUgreenCtx)green_);
    }
}
