/* CONV2D with groups == C == O (kernels/conv_direct.cu). */
#include <stdio.h>

#include "backend/cuda/conv_shape.h"
#include "backend/cuda/host.h"
#include "backend/cuda/kernels/conv_direct.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

typedef struct depthwise_op {
    hsi_cuda_op op; /* first: the op is a depthwise_op */
    CUfunction function;
    hsi_cuda_grid grid;
    hsi_cuda_depthwise_params params;
} depthwise_op;

static hsched_status enqueue(const hsi_cuda_op *op, const hsi_cuda_call *call)
{
    const depthwise_op *o = (const depthwise_op *)op;
    hsi_cuda_depthwise_params params = o->params;
    params.x = call->in[0];
    params.weights = call->in[1];
    hsi_cuda_conv_addresses(&params.out, call);
    return hsi_cuda_conv_launch(op->name, o->function, &o->grid, call, &params);
}

static void destroy(hsi_cuda_op *op)
{
    hsi_cuda_host->free(op);
}

static int64_t threads_for(const hsi_cuda_conv *c, int channels, int across)
{
    const hsi_cuda_window *v = &c->window;
    return (int64_t)c->m / v->out_width * ((v->out_width + across - 1) / across) *
           (c->n / channels);
}

/* Which kernel, and how many channels and pixels are a thread's: more pixels read x less
 * often, but only where enough threads remain. */
static const char *choose(const hsi_cuda_step *step, const hsi_cuda_conv *c,
                          int *channels, int *across)
{
    const hsi_cuda_window *v = &c->window;
    const int64_t enough = (int64_t)step->device->sm_count * 512;
    *across = 1;
    *channels = 4;
    if (!hsi_cuda_conv_reads_wide(step, c, 4) || !hsi_cuda_conv_writes_wide(step, c, 4)) {
        *channels = 1;
        return "one";
    }
    if (v->kernel_h != 3 || v->kernel_w != 3 || v->dilation_h != 1 ||
        v->dilation_w != 1 || v->stride_w > 2)
        return "any";
    for (int more = v->stride_w == 1 ? 4 : 2; more > 1; more /= 2)
        if (threads_for(c, 4, more) >= enough) {
            *across = more;
            break;
        }
    if (v->stride_w == 2)
        return *across == 2 ? "s2x2" : "s2x1";
    return *across == 4 ? "s1x4" : *across == 2 ? "s1x2" : "s1x1";
}

static hsched_status plan(const hsi_cuda_step *step, const hsi_cuda_conv *c,
                          depthwise_op *o)
{
    char kernel[32];
    int channels, across;
    hsi_cuda_depthwise_params *p = &o->params;
    const char *which = choose(step, c, &channels, &across);
    const int64_t count = threads_for(c, channels, across);
    if (count > INT32_MAX / 2)
        return hsi_cuda_unsupported("a convolution too large");
    p->window = c->window;
    p->out = hsi_cuda_conv_output(step, c);
    p->by_channel_groups = hsi_cuda_divide_by((uint32_t)(c->n / channels));
    p->by_column_groups =
        hsi_cuda_divide_by((uint32_t)((c->window.out_width + across - 1) / across));
    p->by_rows = hsi_cuda_divide_by((uint32_t)c->window.out_height);
    p->count = (int32_t)count;
    const uint32_t threads = count < (int64_t)step->device->sm_count * 256 ? 64 : 128;
    o->grid = (hsi_cuda_grid){ .x = (uint32_t)((count + threads - 1) / threads),
                               .threads = threads };
    snprintf(o->op.name, sizeof o->op.name, "own/depthwise %s", which);
    snprintf(kernel, sizeof kernel, "depthwise_%s_%s", which,
             hsi_cuda_type_suffix(step->type));
    hsched_status status = hsi_cuda_kernel(step->device, HSI_CUDA_MODULE_CONV_DIRECT,
                                           kernel, 0, &o->function);
    if (status == HSCHED_OK)
        o->grid.early = hsi_cuda_is_kernel_90(step->device, o->function);
    return status;
}

hsched_status hsi_cuda_make_conv_depthwise(const hsi_cuda_step *step, hsi_cuda_op **op)
{
    hsi_cuda_conv c;
    *op = NULL;
    if (step->step.kind != HSCHED_STEP_CONV2D)
        return hsi_cuda_unsupported("no convolution");
    hsched_status status = hsi_cuda_find_conv(step, &c);
    if (status == HSCHED_OK && (c.window.channels != 1 || c.groups != c.n))
        status = hsi_cuda_unsupported("not depthwise");
    if (status != HSCHED_OK)
        return status;
    depthwise_op *o = HSI_CUDA_NEW(depthwise_op);
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
