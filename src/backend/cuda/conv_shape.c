#include "backend/cuda/conv_shape.h"

#include <math.h>

#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"
#include "backend/cuda/record.h"

/* Sums of an offset and a few steps of a window must stay below 2^31. */
#define MOST_ELEMENTS (INT32_MAX / 2)

/* The stride between pixels of a channels-last tensor [N,C,H,W], or of the rows of [M,K].
 * Strides of dimensions of size 1 mean nothing. 0: it lies otherwise, or is too large. */
static int32_t pixel_stride(const hsched_operand *t)
{
    const int64_t pixels[3] = { 1, t->rank == 4 ? t->dims[3] : 1,
                                t->rank == 4 ? t->dims[2] : 1 };
    const uint32_t dims[3] = { 3, 2, 0 };
    int64_t pixel = 0, count = 1; /* 0: not known yet */
    if (t->rank != 4 && t->rank != 2)
        return 0;
    if (t->dims[1] > 1 && t->strides[1] != 1)
        return 0;
    for (int i = t->rank == 4 ? 0 : 2; i < 3; i++) {
        const uint32_t d = dims[i];
        if (__builtin_mul_overflow(count, pixels[i], &count) || count > MOST_ELEMENTS)
            return 0;
        if (t->dims[d] < 2)
            continue;
        if (!pixel)
            pixel = t->strides[d] / count;
        if (pixel < 1 || pixel > MOST_ELEMENTS || t->strides[d] != pixel * count)
            return 0;
    }
    if (!pixel)
        pixel = t->dims[1];
    int64_t extent;
    if (pixel < t->dims[1] || __builtin_mul_overflow(count, t->dims[0], &extent) ||
        __builtin_mul_overflow(extent, pixel, &extent) || extent > MOST_ELEMENTS)
        return 0;
    return (int32_t)pixel;
}

static int is_present(const hsched_step *step, uint32_t i)
{
    return i < step->input_count && step->in[i].dtype != HSCHED_DTYPE_NONE;
}

static void set_fc(hsi_cuda_window *v)
{
    v->height = v->width = v->out_height = v->out_width = 1;
    v->kernel_h = v->kernel_w = v->stride_h = v->stride_w = 1;
    v->dilation_h = v->dilation_w = 1;
}

/* 1 if the numbers fit. */
static int set_conv(const hsched_step *s, hsi_cuda_window *v)
{
    const hsched_operand *x = &s->in[0], *w = &s->in[1];
    const int64_t values[] = { x->dims[2],
                               x->dims[3],
                               s->out.dims[2],
                               s->out.dims[3],
                               w->dims[2],
                               w->dims[3],
                               s->u.conv2d.strides[0],
                               s->u.conv2d.strides[1],
                               s->u.conv2d.dilations[0],
                               s->u.conv2d.dilations[1],
                               s->u.conv2d.pads[0] + 1,
                               s->u.conv2d.pads[1] + 1 };
    int32_t *const to[] = {
        &v->height,     &v->width,      &v->out_height, &v->out_width,
        &v->kernel_h,   &v->kernel_w,   &v->stride_h,   &v->stride_w,
        &v->dilation_h, &v->dilation_w, &v->pad_top,    &v->pad_left
    };
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        if (values[i] < 1 || values[i] > INT32_MAX / 32)
            return 0;
        *to[i] = (int32_t)values[i];
    }
    v->pad_top--;
    v->pad_left--;
    return (int64_t)v->kernel_h * v->dilation_h <= INT32_MAX / 8 &&
           (int64_t)v->kernel_w * v->dilation_w <= INT32_MAX / 8 &&
           (int64_t)v->out_height * v->stride_h <= INT32_MAX / 8 &&
           (int64_t)v->out_width * v->stride_w <= INT32_MAX / 8;
}

/* Windows that begin in the padding, or end behind x, are reached from inside x by offsets
 * that must fit as well. */
static int fits(const hsi_cuda_conv *c, int64_t images)
{
    const hsi_cuda_window *v = &c->window;
    const int64_t rows =
        images * v->height + v->pad_top + (int64_t)v->kernel_h * v->dilation_h + 1;
    const int64_t columns =
        (int64_t)v->width + v->pad_left + (int64_t)v->kernel_w * v->dilation_w;
    int64_t reach;
    return !__builtin_mul_overflow(rows, columns, &reach) &&
           !__builtin_mul_overflow(reach, v->pixel, &reach) && reach < INT32_MAX;
}

hsched_status hsi_cuda_find_conv(const hsi_cuda_step *step, hsi_cuda_conv *c)
{
    const hsched_step *s = &step->step;
    const hsched_operand *x = &s->in[0], *w = &s->in[1];
    *c = (hsi_cuda_conv){ .groups = 1 };
    hsi_cuda_window *v = &c->window;
    if (s->kind == HSCHED_STEP_FC)
        set_fc(v);
    else if (s->kind != HSCHED_STEP_CONV2D || x->rank != 4 || w->rank != 4 ||
             !set_conv(s, v))
        return hsi_cuda_unsupported("no convolution, or one too large");
    const int64_t groups = s->kind == HSCHED_STEP_FC ? 1 : s->u.conv2d.groups;
    const int64_t pixels = s->out.dims[0] * v->out_height * v->out_width;
    const int64_t k = w->dims[1] * v->kernel_h * v->kernel_w;
    if (groups < 1 || w->dims[1] < 1 || k > MOST_ELEMENTS || pixels < 1 ||
        pixels > MOST_ELEMENTS || w->dims[0] < 1 || k * w->dims[0] > MOST_ELEMENTS ||
        x->dims[1] != w->dims[1] * groups || w->dims[0] % groups != 0)
        return hsi_cuda_unsupported("a convolution too large");
    c->groups = (int32_t)groups;
    c->m = (int32_t)pixels;
    c->n = (int32_t)w->dims[0];
    c->k = (int32_t)k;
    v->channels = (int32_t)w->dims[1];
    v->pixel = pixel_stride(x);
    c->out_pixel = pixel_stride(&s->out);
    c->has_bias = is_present(s, 2);
    c->has_residual = s->kind == HSCHED_STEP_CONV2D && is_present(s, 3);
    c->residual_pixel = c->has_residual ? pixel_stride(&s->in[3]) : c->out_pixel;
    if (!v->pixel || !c->out_pixel || !c->residual_pixel || !fits(c, x->dims[0]))
        return hsi_cuda_unsupported("a convolution that is not channels-last");
    v->out_image = v->out_height * v->out_width;
    v->by_channels = hsi_cuda_divide_by((uint32_t)v->channels);
    v->by_kernel_w = hsi_cuda_divide_by((uint32_t)v->kernel_w);
    v->by_out_width = hsi_cuda_divide_by((uint32_t)v->out_width);
    v->by_out_image = hsi_cuda_divide_by((uint32_t)v->out_image);
    return HSCHED_OK;
}

static int is_wide(const hsi_cuda_step *step, uint32_t alignment, int32_t pixel,
                   int32_t width)
{
    return alignment % (width * hsi_cuda_type_size(step->type)) == 0 &&
           pixel % width == 0;
}

int hsi_cuda_conv_reads_wide(const hsi_cuda_step *step, const hsi_cuda_conv *c,
                             int32_t width)
{
    return c->window.channels * c->groups % width == 0 &&
           is_wide(step, step->alignment[0], c->window.pixel, width);
}

int hsi_cuda_conv_writes_wide(const hsi_cuda_step *step, const hsi_cuda_conv *c,
                              int32_t width)
{
    return c->n % width == 0 && is_wide(step, step->out_alignment, c->out_pixel, width) &&
           (!c->has_residual ||
            is_wide(step, step->alignment[3], c->residual_pixel, width));
}

hsi_cuda_conv_out hsi_cuda_conv_output(const hsi_cuda_step *step, const hsi_cuda_conv *c)
{
    const hsched_activation act = step->step.act;
    const int is_clip = act.kind == HSCHED_ACTIVATION_CLIP,
              is_relu = act.kind == HSCHED_ACTIVATION_RELU;
    return (hsi_cuda_conv_out){ .m = c->m,
                                .n = c->n,
                                .out_pixel = c->out_pixel,
                                .residual_pixel = c->residual_pixel,
                                .wide = hsi_cuda_conv_writes_wide(step, c, 4),
                                .clamps = is_clip || is_relu ||
                                          act.kind == HSCHED_ACTIVATION_NONE,
                                .low = is_clip   ? act.a
                                       : is_relu ? 0.0f
                                                 : -INFINITY,
                                .high = is_clip ? act.b : INFINITY,
                                .act = act };
}

void hsi_cuda_conv_addresses(hsi_cuda_conv_out *out, const hsi_cuda_call *call)
{
    out->bias = call->in[2];
    out->residual = call->in[3];
    out->out = call->out;
}

int hsi_cuda_is_kernel_90(const hsi_cuda_device *device, CUfunction function)
{
    int version =
        0; /* of the code that was compiled, also where it is translated later */
    return CU(cuKernelGetAttribute, &version, CU_FUNC_ATTRIBUTE_PTX_VERSION,
              (CUkernel)function, device->device) == CUDA_SUCCESS &&
           version >= 90;
}

hsched_status hsi_cuda_conv_launch(const char *name, CUfunction function,
                                   const hsi_cuda_grid *grid, const hsi_cuda_call *call,
                                   void *params)
{
    CUlaunchAttribute attributes[2];
    CUlaunchConfig config = { .gridDimX = grid->x,
                              .gridDimY = grid->y ? grid->y : 1,
                              .gridDimZ = 1,
                              .blockDimX = grid->threads,
                              .blockDimY = 1,
                              .blockDimZ = 1,
                              .sharedMemBytes = grid->shared_bytes,
                              .attrs = attributes };
    if (grid->cluster_y > 1) {
        CUlaunchAttribute *a = &attributes[config.numAttrs++];
        *a = (CUlaunchAttribute){ .id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION };
        a->value.clusterDim.x = 1;
        a->value.clusterDim.y = grid->cluster_y;
        a->value.clusterDim.z = 1;
    }
    if (grid->early) {
        CUlaunchAttribute *a = &attributes[config.numAttrs++];
        *a = (CUlaunchAttribute){
            .id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
        };
        a->value.programmaticStreamSerializationAllowed = 1;
    }
    void *arguments[] = { params };
    return hsi_cuda_launch_kernel(name, call, function, &config, arguments);
}
