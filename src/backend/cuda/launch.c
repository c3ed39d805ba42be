#include "backend/cuda/launch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/cuda/host.h"
#include "backend/cuda/kernels/nest.h"
#include "backend/cuda/record.h"

typedef struct launch_op {
    hsi_cuda_op op; /* first: the op is a launch_op */
    CUfunction function;
    uint32_t blocks, rows, threads;
    _Alignas(16) unsigned char params[];
} launch_op;

const char *hsi_cuda_type_suffix(hsi_cuda_type type)
{
    return type == HSI_CUDA_F32 ? "f32" : type == HSI_CUDA_F16 ? "f16" : "bf16";
}

hsched_status hsi_cuda_unsupported(const char *why)
{
    return hsi_cuda_host->set_error(HSCHED_ERROR_UNSUPPORTED, "GPU: %s", why);
}

uint64_t hsi_cuda_loop_blocks(const hsi_cuda_device *device, uint64_t items,
                              uint32_t each)
{
    const uint64_t blocks = hsi_cuda_blocks(items, each),
                   most = (uint64_t)device->sm_count * 256;
    return blocks < most ? blocks : most;
}

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    const launch_op *o = (const launch_op *)op;
    hsi_cuda_addresses addresses = { .out = call->out, .workspace = call->workspace };
    /* No kernel of the plug-in's own reads more inputs than have a place here. */
    for (size_t i = 0; i < sizeof addresses.in / sizeof addresses.in[0]; i++)
        addresses.in[i] = call->in[i];
    void *arguments[] = { (void *)(uintptr_t)o->params, &addresses };
    CUlaunchConfig config = { .gridDimX = o->blocks,
                              .gridDimY = o->rows,
                              .gridDimZ = 1,
                              .blockDimX = o->threads,
                              .blockDimY = 1,
                              .blockDimZ = 1 };
    return hsi_cuda_launch_kernel(op->name, call, o->function, &config, arguments);
}

static void destroy(hsi_cuda_op *op)
{
    hsi_cuda_host->free(op);
}

hsched_status hsi_cuda_make_launch(const hsi_cuda_kernel_launch *launch,
                                   const char *kernel, hsi_cuda_op **op,
                                   const char *format, ...)
{
    *op = NULL;
    const uint32_t rows = launch->rows ? launch->rows : 1;
    if (launch->blocks < 1 || launch->blocks > INT32_MAX || rows > 65535)
        return hsi_cuda_unsupported("a tensor too large for one launch");
    CUfunction function;
    hsched_status status =
        hsi_cuda_kernel(launch->device, launch->module, kernel, 0, &function);
    if (status != HSCHED_OK)
        return status;
    launch_op *o = hsi_cuda_host->alloc(sizeof *o + launch->params_size);
    if (!o)
        return hsi_cuda_no_memory("an operation");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(o->op.name, sizeof o->op.name, format, arguments);
    va_end(arguments);
    o->op.enqueue = enqueue;
    o->op.destroy = destroy;
    o->function = function;
    o->blocks = (uint32_t)launch->blocks;
    o->rows = rows;
    o->threads = launch->threads;
    memcpy(o->params, launch->params, launch->params_size);
    *op = &o->op;
    return HSCHED_OK;
}
