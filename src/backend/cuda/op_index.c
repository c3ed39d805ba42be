/* GATHER, TUPLE_INDEX and SCATTER. */
#include <stdio.h>
#include <string.h>

#include "backend/cuda/kernels/index.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

static hsched_status launch(const hsi_cuda_step *s, const void *params, size_t size,
                            uint32_t items, const char *kernel, hsi_cuda_op **op)
{
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_INDEX,
                                            .blocks = hsi_cuda_loop_blocks(
                                                s->device, items, HSI_CUDA_INDEX_THREADS),
                                            .threads = HSI_CUDA_INDEX_THREADS,
                                            .params = params,
                                            .params_size = size };
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

/* ---- GATHER --------------------------------------------------------------- */

/* The largest words that rows of elements, which one index is for, can be copied in. */
static uint32_t word_size(const hsi_cuda_step *s, const hsi_cuda_gather_params *p,
                          uint32_t element)
{
    if (p->nest.rank == 0 || p->nest.strides[2][0] != 0)
        return element;
    for (uint32_t size = 16; size > element; size /= 2)
        if (hsi_cuda_nest_is_wide(&p->nest, 0, size / element, 0) &&
            hsi_cuda_nest_is_wide(&p->nest, 1, size / element, 0) &&
            p->stride % (int64_t)(size / element) == 0 && s->alignment[0] % size == 0 &&
            s->out_alignment % size == 0)
            return size;
    return element;
}

static void count_in_words(hsi_cuda_gather_params *p, uint32_t elements)
{
    if (elements == 1)
        return;
    p->nest.count /= elements;
    p->nest.dims[0] = hsi_cuda_divide_by(p->nest.dims[0].divisor / elements);
    for (uint32_t d = 1; d < p->nest.rank; d++)
        for (uint32_t k = 0; k < 2; k++)
            p->nest.strides[k][d] /= (int64_t)elements;
    p->stride /= (int64_t)elements;
}

hsched_status hsi_cuda_make_gather(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_operand *in = &s->step.in[0], *indices = &s->step.in[1],
                         *out = &s->step.out;
    const uint32_t axis = s->step.u.gather.axis;
    const uint32_t element = (uint32_t)hsi_cuda_element_size(out, s->type);
    int64_t others[HSCHED_MAX_DIMS];
    hsi_cuda_gather_params p = { .size = in->dims[axis],
                                 .stride = in->strides[axis],
                                 .wide_index = indices->dtype == HSCHED_INT64 };
    char kernel[32];
    *op = NULL;
    memcpy(others, in->strides, sizeof others);
    others[axis] = 0;
    hsched_status status = hsi_cuda_nest_make(
        &p.nest, out->rank, out->dims, 3,
        (const int64_t *const[]){ out->strides, others, indices->strides });
    if (status != HSCHED_OK)
        return status;
    const uint32_t word = word_size(s, &p, element);
    count_in_words(&p, word / element);
    snprintf(kernel, sizeof kernel, "gather_%u", word);
    return launch(s, &p, sizeof p, p.nest.count, kernel, op);
}

/* ---- TUPLE_INDEX ---------------------------------------------------------- */

hsched_status hsi_cuda_make_tuple_index(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_operand *in = &s->step.in[0], *out = &s->step.out;
    const uint32_t last = in->rank - 1;
    hsi_cuda_tuple_params p = { .length = (uint32_t)in->dims[last],
                                .stride = in->strides[last],
                                .all = 1,
                                .wide_index = in->dtype == HSCHED_INT64 };
    *op = NULL;
    for (uint32_t k = 0; k < p.length; k++) {
        p.dims[k] = s->step.u.tuple_index.dims[k];
        p.all *= p.dims[k]; /* that fits is part of the contract */
    }
    hsched_status status =
        hsi_cuda_nest_make(&p.nest, out->rank, out->dims, 2,
                           (const int64_t *const[]){ out->strides, in->strides });
    if (status != HSCHED_OK)
        return status;
    return launch(s, &p, sizeof p, p.nest.count, "tuple_index", op);
}

/* ---- SCATTER -------------------------------------------------------------- */

/* Every element of out looks at all updates along its line: that is fast for few of them, and what
 * it costs in the end is limited to milliseconds. */
#define MOST_LOOKS (INT64_C(1) << 31)

int hsi_cuda_takes_scatter(const hsched_step *step)
{
    int64_t looks = step->in[2].dims[step->u.scatter.axis];
    for (uint32_t d = 0; d < step->out.rank; d++)
        if (__builtin_mul_overflow(looks, step->out.dims[d], &looks) ||
            looks > MOST_LOOKS)
            return 0;
    return 1;
}

static void add_dim(hsi_cuda_scatter_params *p, const hsched_step *s, uint32_t d)
{
    const int is_axis = d == s->u.scatter.axis;
    const uint32_t k = p->rank;
    if (!is_axis && s->out.dims[d] == 1)
        return;
    if (is_axis)
        p->axis = k;
    p->dims[k] = hsi_cuda_divide_by((uint32_t)s->out.dims[d]);
    p->update_dims[k] = is_axis ? s->out.dims[d] : s->in[2].dims[d];
    p->out_strides[k] = s->out.strides[d];
    p->in_strides[k] = s->in[0].strides[d];
    p->index_strides[k] = is_axis ? 0 : s->in[1].strides[d];
    p->update_strides[k] = is_axis ? 0 : s->in[2].strides[d];
    p->rank++;
}

/* What the kernel's name ends in: a size in bytes, or a type. */
static void scatter_suffix(const hsi_cuda_step *s, char *suffix, size_t size)
{
    const hsched_dtype dtype = s->step.out.dtype;
    if (s->step.u.scatter.kind == HSCHED_SCATTER_SET)
        snprintf(suffix, size, "%u",
                 (uint32_t)hsi_cuda_element_size(&s->step.out, s->type));
    else
        snprintf(suffix, size, "%s",
                 dtype == HSCHED_FLOAT32 ? hsi_cuda_type_suffix(s->type)
                 : dtype == HSCHED_INT64 ? "i64"
                 : dtype == HSCHED_INT32 ? "i32"
                 : dtype == HSCHED_INT8  ? "i8"
                                         : "u8");
}

hsched_status hsi_cuda_make_scatter(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    const uint32_t axis = step->u.scatter.axis;
    uint32_t order[HSCHED_MAX_DIMS];
    hsi_cuda_nest whole; /* for its check of the size, and its count */
    char suffix[8], kernel[32];
    *op = NULL;
    hsched_status status =
        hsi_cuda_nest_make(&whole, step->out.rank, step->out.dims, 1,
                           (const int64_t *const[]){ step->out.strides });
    if (status != HSCHED_OK)
        return status;
    if (step->in[2].dims[axis] > INT32_MAX)
        return hsi_cuda_unsupported("a tensor of 2^31 or more elements");
    hsi_cuda_scatter_params p = { .count = whole.count,
                                  .updates = (uint32_t)step->in[2].dims[axis],
                                  .size = step->out.dims[axis],
                                  .index_stride = step->in[1].strides[axis],
                                  .update_stride = step->in[2].strides[axis],
                                  .kind = (int32_t)step->u.scatter.kind,
                                  .wide_index = step->in[1].dtype == HSCHED_INT64 };
    hsi_cuda_order_dims(step->out.rank, step->out.strides, order);
    for (uint32_t k = step->out.rank; k-- > 0;)
        add_dim(&p, step, order[k]);
    scatter_suffix(s, suffix, sizeof suffix);
    snprintf(kernel, sizeof kernel, "scatter_%s", suffix);
    return launch(s, &p, sizeof p, p.count, kernel, op);
}
