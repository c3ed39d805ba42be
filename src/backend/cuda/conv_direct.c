/* CONV2D of any kind in plain float arithmetic (kernels/conv_direct.cu): strict, and what
 * nothing else takes. */
#include "backend/cuda/kernels/conv_direct.h"

#include <stdio.h>

#include "backend/cuda/conv_shape.h"
#include "backend/cuda/host.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

typedef struct direct_op {
    hsi_cuda_op op; /* first: the op is a direct_op */
    CUfunction function;
    hsi_cuda_grid grid;
    hsi_cuda_direct_params params;
    size_t partials; /* where they begin in the workspace */
} direct_op;

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    const direct_op *o = (const direct_op *)op;
    hsi_cuda_direct_params params = o->params;
    params.x = call->in[0];
    params.weights = call->in[1];
    params.tickets = call->workspace;
    params.partials = call->workspace + o->partials;
    hsi_cuda_conv_addresses(&params.out, call);
    return hsi_cuda_conv_launch(op->name, o->function, &o->grid, call, &params);
}

static void destroy(hsi_cuda_op *op)
{
    hsi_cuda_host->free(op);
}

/* Weights that op.h lays out as [kh][kw][O]. */
static int is_depthwise(const hsi_cuda_conv *c)
{
    return c->groups > 1 && c->window.channels == 1 && c->groups == c->n;
}

static void fill_params(const hsi_cuda_step *step, const hsi_cuda_conv *c,
                        hsi_cuda_direct_params *p)
{
    const int outputs = c->n / c->groups;
    p->window = c->window;
    p->out = hsi_cuda_conv_output(step, c);
    p->out.wide &= outputs % 4 == 0; /* no 4 channels of two groups */
    p->by_outputs = hsi_cuda_divide_by((uint32_t)c->n);
    p->by_group_outputs = hsi_cuda_divide_by((uint32_t)outputs);
    p->k = c->k;
    p->weight_output = is_depthwise(c) ? 1 : c->k;
    p->weight_tap = is_depthwise(c) ? c->n : c->window.channels;
}

/* One thread for each element of out. */
static hsched_status plan_each(const hsi_cuda_conv *c, direct_op *o)
{
    const int64_t count = (int64_t)c->m * c->n;
    if (count > INT32_MAX / 2)
        return hsi_cuda_unsupported("a convolution too large");
    o->params.count = (int32_t)count;
    o->grid = (hsi_cuda_grid){ .x = (uint32_t)((count + 127) / 128), .threads = 128 };
    snprintf(o->op.name, sizeof o->op.name, "own/direct each");
    return HSCHED_OK;
}

enum {
    MOST_SPLITS = 32,
    LEAST_K_TILES = 8 /* of a split */
};

/* Tiles of size * size; with few of them, the blocks share k. */
static hsched_status plan_tiles(const hsi_cuda_step *step, const hsi_cuda_conv *c,
                                int size, direct_op *o)
{
    hsi_cuda_direct_params *p = &o->params;
    const int64_t tiles_m = ((int64_t)c->m + size - 1) / size;
    const int64_t tiles_n = (c->n / c->groups + size - 1) / size;
    const int64_t tiles = tiles_m * tiles_n * c->groups;
    if (tiles > INT32_MAX / 2)
        return hsi_cuda_unsupported("a convolution too large");
    p->by_tiles_m = hsi_cuda_divide_by((uint32_t)tiles_m);
    p->by_tiles_n = hsi_cuda_divide_by((uint32_t)tiles_n);
    p->k_tiles = (c->k + HSI_CUDA_DIRECT_K - 1) / HSI_CUDA_DIRECT_K;
    int64_t splits = 3 * (int64_t)step->device->sm_count / tiles;
    splits = splits < p->k_tiles / LEAST_K_TILES ? splits : p->k_tiles / LEAST_K_TILES;
    splits = splits < MOST_SPLITS ? splits : MOST_SPLITS;
    p->splits = splits > 1 ? (int32_t)splits : 1;
    if (p->splits >
        1) { /* fewer than 4 blocks a multiprocessor: the partials are small */
        o->op.zeroed = o->partials = ((size_t)tiles * 4 + 255) / 256 * 256;
        o->op.workspace =
            o->partials + (size_t)(tiles * splits) * (size_t)(size * size) * 4;
    }
    o->grid = (hsi_cuda_grid){ .x = (uint32_t)tiles,
                               .y = (uint32_t)p->splits,
                               .threads = (uint32_t)(size * size / 16) };
    snprintf(o->op.name, sizeof o->op.name, "own/direct %dx%d k%d", size, size,
             p->splits);
    return HSCHED_OK;
}

static hsched_status plan(const hsi_cuda_step *step, const hsi_cuda_conv *c, direct_op *o)
{
    char kernel[32];
    const char *suffix = hsi_cuda_type_suffix(step->type);
    const int outputs = c->n / c->groups;
    hsched_status status;
    fill_params(step, c, &o->params);
    if (is_depthwise(c) || (c->groups > 1 && outputs < 16)) {
        status = plan_each(c, o);
        snprintf(kernel, sizeof kernel, "direct_each_%s", suffix);
    } else {
        const int64_t large =
            (((int64_t)c->m + 63) / 64) * ((outputs + 63) / 64) * c->groups;
        const int size = large >= step->device->sm_count && outputs > 32 ? 64 : 32;
        status = plan_tiles(step, c, size, o);
        snprintf(kernel, sizeof kernel, "direct_%dx%d_%s", size, size, suffix);
    }
    if (status == HSCHED_OK)
        status = hsi_cuda_kernel(step->device, HSI_CUDA_MODULE_CONV_DIRECT, kernel, 0,
                                 &o->function);
    if (status == HSCHED_OK)
        o->grid.early = hsi_cuda_is_kernel_90(step->device, o->function);
    return status;
}

hsched_status hsi_cuda_make_conv_direct(const hsi_cuda_step *step, hsi_cuda_op **op)
{
    hsi_cuda_conv c;
    *op = NULL;
    if (step->step.kind != HSCHED_STEP_CONV2D)
        return hsi_cuda_unsupported("no convolution");
    hsched_status status = hsi_cuda_find_conv(step, &c);
    if (status != HSCHED_OK)
        return status;
    direct_op *o = HSI_CUDA_NEW(direct_op);
    if (!o)
        return hsi_cuda_no_memory("an operation");
    o->op.enqueue = enqueue;
    o->op.destroy = destroy;
    status = plan(step, &c, o);
    if (status != HSCHED_OK) {
        destroy(&o->op);
        return status;
    }
    *op = &o->op;
    return HSCHED_OK;
}
