/* UNARY, BINARY and SCALE, of floats. */
#include <stdio.h>

#include "backend/cuda/kernels/elementwise.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"
#include "backend/cuda/op_types.h"

/* 1 if out and `inputs` inputs of the nest can be taken 16 bytes at a time. SCALE's
 * constants are aligned and dense already. */
static int is_wide(const hsi_cuda_step *s, const hsi_cuda_nest *nest, uint32_t inputs)
{
    const uint32_t width = 16 / (uint32_t)hsi_cuda_type_size(s->type);
    if (!hsi_cuda_nest_is_wide(nest, 0, width, 0) || s->out_alignment % 16 != 0)
        return 0;
    for (uint32_t i = 0; i < inputs; i++) {
        const int constants = i == 1 && s->step.kind == HSCHED_STEP_SCALE;
        if (!hsi_cuda_nest_is_wide(nest, 1 + i, width, 1))
            return 0;
        if (nest->strides[1 + i][0] != 0 && !constants && s->alignment[i] % 16 != 0)
            return 0;
    }
    return 1;
}

static hsched_status make(const hsi_cuda_step *s, const char *kind, uint32_t inputs,
                          const int64_t *const *strides, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    hsi_cuda_elementwise_params p = { .act = step->act };
    *op = NULL;
    if (step->kind == HSCHED_STEP_BINARY)
        p.binary = (int32_t)step->u.binary.kind;
    hsched_status status =
        hsi_cuda_nest_make(&p.nest, step->out.rank, step->out.dims, 1 + inputs, strides);
    if (status != HSCHED_OK)
        return status;
    const int wide = is_wide(s, &p.nest, inputs);
    const uint32_t width = wide ? 16 / (uint32_t)hsi_cuda_type_size(s->type) : 1;
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_ELEMENTWISE,
                                            .blocks = hsi_cuda_loop_blocks(
                                                s->device, p.nest.count / width,
                                                HSI_CUDA_ELEMENTWISE_THREADS),
                                            .threads = HSI_CUDA_ELEMENTWISE_THREADS,
                                            .params = &p,
                                            .params_size = sizeof p };
    char kernel[32];
    snprintf(kernel, sizeof kernel, "%s%s_%s", kind, wide ? "_wide" : "",
             hsi_cuda_type_suffix(s->type));
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

hsched_status hsi_cuda_make_unary(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    if (s->step.out.dtype != HSCHED_FLOAT32)
        return hsi_cuda_make_typed_unary(s, op);
    return make(s, "unary", 1,
                (const int64_t *const[]){ s->step.out.strides, s->step.in[0].strides },
                op);
}

hsched_status hsi_cuda_make_binary(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    if (s->step.out.dtype != HSCHED_FLOAT32)
        return hsi_cuda_make_typed_binary(s, op);
    return make(s, "binary", 2,
                (const int64_t *const[]){ s->step.out.strides, s->step.in[0].strides,
                                          s->step.in[1].strides },
                op);
}

hsched_status hsi_cuda_make_scale(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const int64_t channel[HSCHED_MAX_DIMS] = { 0, 1 };
    return make(
        s, "scale", 2,
        (const int64_t *const[]){ s->step.out.strides, s->step.in[0].strides, channel },
        op);
}
