/* RESIZE. */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/kernels/resize.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

/* The output has not simply the input's elements along this dimension. */
static int is_resized(const hsched_step *s, uint32_t d)
{
    const int crops = s->u.resize.coordinates == HSCHED_RESIZE_CROP;
    return s->in[0].dims[d] != s->out.dims[d] || s->u.resize.scales[d] != 1 ||
           (crops && (s->u.resize.roi_start[d] != 0 || s->u.resize.roi_end[d] != 1));
}

static uint32_t count_axes(const hsched_step *s)
{
    uint32_t count = 0;
    for (uint32_t d = 0; d < s->out.rank; d++)
        count += is_resized(s, d);
    return count;
}

int hsi_cuda_takes_resize(const hsched_step *step)
{
    return count_axes(step) <= HSI_CUDA_RESIZE_AXES;
}

static void add_axis(hsi_cuda_resize_params *p, const hsched_step *s, uint32_t d)
{
    p->axes[p->axis_count] =
        (hsi_cuda_resize_axis){ .in_size = s->in[0].dims[d],
                                .out_size = s->out.dims[d],
                                .in_stride = s->in[0].strides[d],
                                .scale = s->u.resize.scales[d],
                                .length = s->u.resize.lengths[d],
                                .roi_start = s->u.resize.roi_start[d],
                                .roi_end = s->u.resize.roi_end[d] };
    p->axis[p->rank] = (int32_t)p->axis_count++;
}

/* 1 if dimension d of out continues the last one of p, and neither is resized. */
static int continues(const hsi_cuda_resize_params *p, const hsched_step *s, uint32_t d)
{
    if (p->rank == 0 || p->axis[p->rank - 1] >= 0)
        return 0;
    const uint32_t last = p->rank - 1;
    const int64_t size = p->dims[last].divisor;
    return s->in[0].strides[d] == p->in_strides[last] * size &&
           s->out.strides[d] == p->out_strides[last] * size;
}

static void add_dim(hsi_cuda_resize_params *p, const hsched_step *s, uint32_t d)
{
    const uint32_t size = (uint32_t)s->out.dims[d];
    const int resized = is_resized(s, d);
    if (!resized && size == 1)
        return;
    if (!resized && continues(p, s, d)) {
        const uint32_t last = p->rank - 1;
        p->dims[last] = hsi_cuda_divide_by(p->dims[last].divisor * size);
        return;
    }
    p->dims[p->rank] = hsi_cuda_divide_by(size);
    p->in_strides[p->rank] = s->in[0].strides[d];
    p->out_strides[p->rank] = s->out.strides[d];
    p->axis[p->rank] = -1;
    if (resized)
        add_axis(p, s, d);
    p->rank++;
}

static hsched_status describe(const hsi_cuda_step *s, hsi_cuda_resize_params *p)
{
    const hsched_step *step = &s->step;
    uint32_t order[HSCHED_MAX_DIMS];
    hsi_cuda_nest whole; /* for its check of the size, and its count */
    hsched_status status =
        hsi_cuda_nest_make(&whole, step->out.rank, step->out.dims, 1,
                           (const int64_t *const[]){ step->out.strides });
    if (status != HSCHED_OK)
        return status;
    *p = (hsi_cuda_resize_params){ .count = whole.count,
                                   .mode = (int32_t)step->u.resize.mode,
                                   .coordinates = (int32_t)step->u.resize.coordinates,
                                   .rounding = (int32_t)step->u.resize.rounding,
                                   .exclude_outside = step->u.resize.exclude_outside,
                                   .antialias = step->u.resize.antialias,
                                   .cubic_a = step->u.resize.cubic_a,
                                   .extrapolation_value =
                                       step->u.resize.extrapolation_value };
    hsi_cuda_order_dims(step->out.rank, step->out.strides, order);
    for (uint32_t k = step->out.rank; k-- > 0;)
        add_dim(p, step, order[k]);
    return HSCHED_OK;
}

/* 1 if `width` elements at a time can be taken: they lie one behind the other, and what is
 * innermost is not resized. */
static int is_wide(const hsi_cuda_step *s, const hsi_cuda_resize_params *p, int64_t width,
                   uint32_t bytes)
{
    if (p->rank == 0 || p->axis[0] >= 0 || p->dims[0].divisor % width != 0 ||
        p->in_strides[0] != 1 || p->out_strides[0] != 1)
        return 0;
    for (uint32_t d = 1; d < p->rank; d++)
        if (p->in_strides[d] % width != 0 || p->out_strides[d] % width != 0)
            return 0;
    return s->alignment[0] % bytes == 0 && s->out_alignment % bytes == 0;
}

static void count_in_words(hsi_cuda_resize_params *p, uint32_t width)
{
    if (width == 1)
        return;
    p->count /= width;
    p->dims[0] = hsi_cuda_divide_by(p->dims[0].divisor / width);
    for (uint32_t d = 1; d < p->rank; d++) {
        p->in_strides[d] /= width;
        p->out_strides[d] /= width;
    }
}

static hsched_status launch(const hsi_cuda_step *s, const hsi_cuda_resize_params *p,
                            uint32_t items, const char *kernel, hsi_cuda_op **op)
{
    const hsi_cuda_kernel_launch launch = {
        .device = s->device,
        .module = HSI_CUDA_MODULE_RESIZE,
        .blocks = hsi_cuda_loop_blocks(s->device, items, HSI_CUDA_RESIZE_THREADS),
        .threads = HSI_CUDA_RESIZE_THREADS,
        .params = p,
        .params_size = sizeof *p
    };
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

static hsched_status make_nearest(const hsi_cuda_step *s, hsi_cuda_resize_params *p,
                                  hsi_cuda_op **op)
{
    const uint32_t element = (uint32_t)hsi_cuda_element_size(&s->step.out, s->type);
    uint32_t word = 16;
    char kernel[32];
    while (word > element && !is_wide(s, p, word / element, word))
        word /= 2;
    count_in_words(p, word / element);
    for (uint32_t at = 0; at < sizeof p->fill; at += element)
        if (s->step.out.dtype == HSCHED_FLOAT32) /* others are never outside */
            hsi_cuda_store_float((char *)p->fill + at, s->type, p->extrapolation_value);
    snprintf(kernel, sizeof kernel, "nearest_%u", word);
    return launch(s, p, p->count, kernel, op);
}

hsched_status hsi_cuda_make_resize(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    hsi_cuda_resize_params p;
    char kernel[32];
    *op = NULL;
    if (!hsi_cuda_takes_resize(&s->step))
        return hsi_cuda_unsupported("more than three dimensions to be resized");
    if (count_axes(&s->step) == 0)
        return hsi_cuda_make_copy(s, op);
    hsched_status status = describe(s, &p);
    if (status != HSCHED_OK)
        return status;
    if (s->step.u.resize.mode == HSCHED_RESIZE_NEAREST)
        return make_nearest(s, &p, op);
    const uint32_t width = 16 / (uint32_t)hsi_cuda_type_size(s->type);
    const int wide = is_wide(s, &p, width, 16);
    snprintf(kernel, sizeof kernel, "resize_%u%s_%s", p.axis_count, wide ? "_wide" : "",
             hsi_cuda_type_suffix(s->type));
    return launch(s, &p, p.count / (wide ? width : 1), kernel, op);
}
