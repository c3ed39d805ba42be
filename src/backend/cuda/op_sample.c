/* GRID_SAMPLE and ROI_ALIGN. */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/kernels/sample.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

static hsched_status launch(const hsi_cuda_step *s, const void *params, size_t size,
                            uint32_t items, const char *kernel, hsi_cuda_op **op)
{
    const hsi_cuda_kernel_launch launch = {
        .device = s->device,
        .module = HSI_CUDA_MODULE_SAMPLE,
        .blocks = hsi_cuda_loop_blocks(s->device, items, HSI_CUDA_SAMPLE_THREADS),
        .threads = HSI_CUDA_SAMPLE_THREADS,
        .params = params,
        .params_size = size
    };
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

/* 1 if `width` channels at a time can be taken: those of out and of x lie one behind the other, and
 * along them nothing else moves. */
static int is_wide(const hsi_cuda_step *s, const hsi_cuda_nest *nest, uint32_t width)
{
    const hsched_operand *x = &s->step.in[0];
    if (!hsi_cuda_nest_is_wide(nest, 0, width, 0) ||
        !hsi_cuda_nest_is_wide(nest, 1, width, 0) || nest->strides[2][0] != 0 ||
        nest->strides[3][0] != 0)
        return 0;
    for (uint32_t d = 0; d < x->rank; d++)
        if (d != 1 && x->dims[d] > 1 && x->strides[d] % (int64_t)width != 0)
            return 0;
    return s->alignment[0] % 16 == 0 && s->out_alignment % 16 == 0;
}

hsched_status hsi_cuda_make_grid_sample(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const hsched_operand *x = &step->in[0], *grid = &step->in[1], *out = &step->out;
    const uint32_t spatial = out->rank - 2;
    int64_t image[HSCHED_MAX_DIMS] = { x->strides[0], x->strides[1] },
            point[HSCHED_MAX_DIMS] = { grid->strides[0], 0 };
    hsi_cuda_grid_params p = { .way = hsi_grid_way_of(step),
                               .coordinate_stride = grid->strides[spatial + 1] };
    char kernel[32];
    *op = NULL;
    for (uint32_t d = 0; d < spatial; d++) {
        point[2 + d] = grid->strides[1 + d];
        p.sizes[3 - spatial + d] = x->dims[2 + d];
        p.strides[3 - spatial + d] = x->strides[2 + d];
    }
    hsched_status status =
        hsi_cuda_nest_make(&p.nest, out->rank, out->dims, 3,
                           (const int64_t *const[]){ out->strides, image, point });
    if (status != HSCHED_OK)
        return status;
    const uint32_t width = 16 / (uint32_t)hsi_cuda_type_size(s->type);
    const int wide = is_wide(s, &p.nest, width);
    snprintf(kernel, sizeof kernel, "grid_%u_%d%s_%s", spatial,
             hsi_grid_taps(step->u.grid_sample.mode), wide ? "_wide" : "",
             hsi_cuda_type_suffix(s->type));
    return launch(s, &p, sizeof p, p.nest.count / (wide ? width : 1), kernel, op);
}

hsched_status hsi_cuda_make_roi_align(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const hsched_operand *x = &step->in[0], *out = &step->out;
    const int64_t channel[4] = { 0, x->strides[1], 0, 0 }, region[4] = { 1, 0, 0, 0 },
                  bin[4] = { 0, 0, out->dims[3], 1 };
    hsi_cuda_roi_params p = { .way = hsi_roi_way_of(step),
                              .region_stride = step->in[1].strides[0],
                              .number_stride = step->in[1].strides[1],
                              .index_stride = step->in[2].strides[0],
                              .images = x->dims[0],
                              .image_stride = x->strides[0],
                              .sizes = { x->dims[2], x->dims[3] },
                              .strides = { x->strides[2], x->strides[3] },
                              .wide_index = step->in[2].dtype == HSCHED_INT64 };
    char kernel[32];
    *op = NULL;
    hsched_status status = hsi_cuda_nest_make(
        &p.nest, out->rank, out->dims, 4,
        (const int64_t *const[]){ out->strides, channel, region, bin });
    if (status != HSCHED_OK)
        return status;
    p.columns = hsi_cuda_divide_by((uint32_t)out->dims[3]);
    const uint32_t width = 16 / (uint32_t)hsi_cuda_type_size(s->type);
    const int wide = is_wide(s, &p.nest, width);
    snprintf(kernel, sizeof kernel, "roi_%s%s_%s",
             step->u.roi_align.max ? "max" : "average", wide ? "_wide" : "",
             hsi_cuda_type_suffix(s->type));
    return launch(s, &p, sizeof p, p.nest.count / (wide ? width : 1), kernel, op);
}
