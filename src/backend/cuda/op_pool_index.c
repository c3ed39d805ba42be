/* POOL_INDEX. */
#include <stdio.h>

#include "backend/cuda/kernels/pool_index.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

/* One further dimension of x as number d of three; what is not there is one element. */
static void describe(hsi_cuda_pool_index_params *p, const hsched_step *s, uint32_t d,
                     uint32_t of)
{
    p->sizes[d] = s->in[0].dims[2 + of];
    p->in_strides[d] = s->in[0].strides[2 + of];
    p->kernel[d] = s->u.pool_index.kernel[of];
    p->strides[d] = s->u.pool_index.strides[of];
    p->before[d] = s->u.pool_index.before[of];
    p->dilations[d] = s->u.pool_index.dilations[of];
}

/* What an element of x counts for along each dimension. Returns the elements of an image. */
static int64_t count_elements(hsi_cuda_pool_index_params *p, int column_major,
                              uint32_t spatial)
{
    int64_t all = 1;
    for (uint32_t k = 0; k < spatial; k++) {
        const uint32_t d = column_major ? 3 - spatial + k : 2 - k;
        p->number_strides[d] = all;
        all *= p->sizes[d];
    }
    return all;
}

hsched_status hsi_cuda_make_pool_index(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const hsched_operand *x = &step->in[0], *out = &step->out;
    const uint32_t spatial = out->rank - 2;
    hsi_cuda_pool_index_params p = { .sizes = { 1, 1, 1 },
                                     .kernel = { 1, 1, 1 },
                                     .strides = { 1, 1, 1 },
                                     .dilations = { 1, 1, 1 } };
    int64_t image[HSCHED_MAX_DIMS] = { x->strides[0], x->strides[1] },
            number[HSCHED_MAX_DIMS] = { 0 }, window[HSCHED_MAX_DIMS] = { 0 };
    char kernel[32];
    *op = NULL;
    for (uint32_t d = 0; d < spatial; d++)
        describe(&p, step, 3 - spatial + d, d);
    number[1] = count_elements(&p, step->u.pool_index.column_major, spatial);
    number[0] = x->dims[1] * number[1];
    for (uint32_t d = spatial, windows = 1; d-- > 0;
         windows *= (uint32_t)out->dims[2 + d])
        window[2 + d] = windows;
    hsched_status status = hsi_cuda_nest_make(
        &p.nest, out->rank, out->dims, 4,
        (const int64_t *const[]){ out->strides, image, number, window });
    if (status != HSCHED_OK)
        return status;
    p.columns = hsi_cuda_divide_by((uint32_t)out->dims[out->rank - 1]);
    p.rows = hsi_cuda_divide_by(spatial > 1 ? (uint32_t)out->dims[out->rank - 2] : 1);
    snprintf(kernel, sizeof kernel, "pool_index_%s", hsi_cuda_type_suffix(s->type));
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_POOL_INDEX,
                                            .blocks = hsi_cuda_loop_blocks(
                                                s->device, p.nest.count,
                                                HSI_CUDA_POOL_INDEX_THREADS),
                                            .threads = HSI_CUDA_POOL_INDEX_THREADS,
                                            .params = &p,
                                            .params_size = sizeof p };
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}
