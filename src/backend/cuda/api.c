#include "backend/cuda/api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/host.h"

hsi_cuda_table hsi_cuda;

/* ---- Opening the libraries ------------------------------------------------ */

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static char load_problem[400]; /* "": all was found */

static void *open_library(const char *const *names, const char *what)
{
    char first[200] = "";
    for (; *names; names++) {
        void *library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
        if (library)
            return library;
        const char *why = dlerror();
        if (!first[0])
            snprintf(first, sizeof first, "%s", why ? why : *names);
    }
    snprintf(load_problem, sizeof load_problem, "%s was not found (%s)", what, first);
    return NULL;
}

static void *look_up(void *library, const char *name, int required, const char *what)
{
    void *symbol = library ? dlsym(library, name) : NULL;
    if (!symbol && required && !load_problem[0])
        snprintf(load_problem, sizeof load_problem,
                 "%s is too old for this plug-in: it has no %s", what, name);
    return symbol;
}

#define TEXT_(name) #name
#define TEXT(name)  TEXT_(name)

#define LIBRARY_NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A part of cuDNN, which opens it itself when it is needed. */
static int has_dnn_part(const char *part)
{
    char name[40];
    snprintf(name, sizeof name, "libcudnn_%s.so.%d", part, CUDNN_MAJOR);
    return dlopen(name, RTLD_LAZY | RTLD_LOCAL) != NULL;
}

static void load(void)
{
    static const char driver_text[] = "the NVIDIA driver (libcuda.so.1)";
    void *driver = open_library(LIBRARY_NAMES("libcuda.so.1"), driver_text);
    if (!driver)
        return;
    char dnn_text[64], lt_text[64], dnn_name[32], lt_name[32];
    /* The versions whose headers this was compiled with: their binary interface is ours. */
    snprintf(dnn_name, sizeof dnn_name, "libcudnn.so.%d", CUDNN_MAJOR);
    snprintf(lt_name, sizeof lt_name, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
    snprintf(dnn_text, sizeof dnn_text, "cuDNN %d (%s)", CUDNN_MAJOR, dnn_name);
    snprintf(lt_text, sizeof lt_text, "cuBLASLt %d (%s)", CUBLAS_VER_MAJOR, lt_name);
    void *lt = open_library(LIBRARY_NAMES(lt_name), lt_text);
    void *dnn = lt ? open_library(LIBRARY_NAMES(dnn_name), dnn_text) : NULL;
    if (!lt || !dnn)
        return;
#define LOOK_UP_CU(name) hsi_cuda.name = look_up(driver, TEXT(name), 1, driver_text);
#define LOOK_UP_OPTIONAL(name)                                                           \
    hsi_cuda.name = look_up(driver, TEXT(name), 0, driver_text);
#define LOOK_UP_DNN(name)          hsi_cuda.name = look_up(dnn, TEXT(name), 1, dnn_text);
#define LOOK_UP_DNN_OPTIONAL(name) hsi_cuda.name = look_up(dnn, TEXT(name), 0, dnn_text);
#define LOOK_UP_LT(name)           hsi_cuda.name = look_up(lt, TEXT(name), 1, lt_text);
    HSI_CU_LIST(LOOK_UP_CU)
    HSI_CU_OPTIONAL_LIST(LOOK_UP_OPTIONAL)
    HSI_DNN_LIST(LOOK_UP_DNN)
    HSI_DNN_OPTIONAL_LIST(LOOK_UP_DNN_OPTIONAL)
    if (has_dnn_part("ops") && has_dnn_part("adv")) {
        HSI_RNN_LIST(LOOK_UP_DNN)
    }
    HSI_LT_LIST(LOOK_UP_LT)
}

int hsi_cuda_load(const char **why)
{
    pthread_once(&load_once, load);
    *why = load_problem;
    return load_problem[0] == '\0';
}

/* ---- Failing on demand ---------------------------------------------------- */

static _Atomic uint64_t calls_until_failure; /* 0: none fails */
static atomic_int failure_is_sticky;

void hsi_cuda_fail_call(uint64_t k, int sticky)
{
    atomic_store(&failure_is_sticky, sticky);
    atomic_store(&calls_until_failure, k);
}

int hsi_cuda_fault(void)
{
    uint64_t left = atomic_load_explicit(&calls_until_failure, memory_order_relaxed);
    while (left > 0)
        if (atomic_compare_exchange_weak(&calls_until_failure, &left, left - 1))
            return left == 1;
    return 0;
}

CUresult hsi_cuda_fault_result(void)
{
    return atomic_load(&failure_is_sticky) ? CUDA_ERROR_LAUNCH_FAILED
                                           : CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- Results -------------------------------------------------------------- */

/* After these the context is of no more use, whatever is called (CUDA's error list). */
static int poisons_context(CUresult result)
{
    switch (result) {
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_DEINITIALIZED:
    case CUDA_ERROR_SYSTEM_NOT_READY:
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
    case CUDA_ERROR_EXTERNAL_DEVICE:
    case CUDA_ERROR_MPS_RPC_FAILURE:
        return 1;
    default:
        return 0;
    }
}

/* The libraries say "execution failed" of much. What poisons the context shows at the next call. */
static int context_is_poisoned(void)
{
    return hsi_cuda.cuStreamQuery && poisons_context(hsi_cuda.cuStreamQuery(NULL));
}

hsched_status hsi_cuda_check(CUresult result, const char *call, const char *doing)
{
    if (result == CUDA_SUCCESS)
        return HSCHED_OK;
    const char *name = NULL;
    if (!hsi_cuda.cuGetErrorName ||
        hsi_cuda.cuGetErrorName(result, &name) != CUDA_SUCCESS || !name)
        name = "unknown error";
    hsched_status status = HSCHED_ERROR_INTERNAL;
    if (result == CUDA_ERROR_OUT_OF_MEMORY)
        status = HSCHED_ERROR_OUT_OF_MEMORY;
    else if (poisons_context(result))
        status = HSCHED_ERROR_DEVICE;
    else if (result == CUDA_ERROR_NOT_SUPPORTED || result == CUDA_ERROR_NO_DEVICE ||
             result == CUDA_ERROR_NO_BINARY_FOR_GPU)
        status = HSCHED_ERROR_UNSUPPORTED;
    return hsi_cuda_host->set_error(status, "GPU: %s: %s (%s)", doing, name, call);
}

hsched_status hsi_cuda_check_dnn(cudnnStatus_t result, const char *call,
                                 const char *doing)
{
    if (result == CUDNN_STATUS_SUCCESS)
        return HSCHED_OK;
    /* The thousands say which sort of error it is (cudnn_graph.h). */
    hsched_status status = HSCHED_ERROR_INTERNAL;
    if (result == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
        result == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)
        status = HSCHED_ERROR_OUT_OF_MEMORY;
    else if (
        result / 1000 == CUDNN_STATUS_NOT_SUPPORTED / 1000 ||
        result / 1000 == CUDNN_STATUS_BAD_PARAM / 1000 ||
        result == CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED || /* a part is not installed */
        /* Engines that compile their kernels fail so on shapes they were not made for. */
        result == CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED)
        status = HSCHED_ERROR_UNSUPPORTED;
    else if (context_is_poisoned())
        status = HSCHED_ERROR_DEVICE;
    return hsi_cuda_host->set_error(
        status, "GPU: %s: %s (%s)", doing,
        hsi_cuda.cudnnGetErrorString ? hsi_cuda.cudnnGetErrorString(result) : "cuDNN",
        call);
}

hsched_status hsi_cuda_check_lt(cublasStatus_t result, const char *call,
                                const char *doing)
{
    if (result == CUBLAS_STATUS_SUCCESS)
        return HSCHED_OK;
    hsched_status status = HSCHED_ERROR_INTERNAL;
    if (result == CUBLAS_STATUS_ALLOC_FAILED)
        status = HSCHED_ERROR_OUT_OF_MEMORY;
    else if (result == CUBLAS_STATUS_NOT_SUPPORTED ||
             result == CUBLAS_STATUS_INVALID_VALUE ||
             result == CUBLAS_STATUS_ARCH_MISMATCH)
        status = HSCHED_ERROR_UNSUPPORTED;
    else if (context_is_poisoned())
        status = HSCHED_ERROR_DEVICE;
    return hsi_cuda_host->set_error(status, "GPU: %s: %s (%s)", doing,
                                    hsi_cuda.cublasLtGetStatusString
                                        ? hsi_cuda.cublasLtGetStatusString(result)
                                        : "cuBLASLt",
                                    call);
}
