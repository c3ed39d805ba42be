/* CAST, WHERE, comparisons, and UNARY and BINARY of integers and bool. */
#include "backend/cuda/op_types.h"

#include <stdio.h>

#include "backend/cuda/launch.h"
#include "backend/cuda/nest.h"

hsi_cuda_stored hsi_cuda_stored_as(hsched_dtype dtype, hsi_cuda_type type)
{
    switch (dtype) {
    case HSCHED_FLOAT16:
        return HSI_CUDA_STORED_F16;
    case HSCHED_BFLOAT16:
        return HSI_CUDA_STORED_BF16;
    case HSCHED_FLOAT64:
        return HSI_CUDA_STORED_F64;
    case HSCHED_INT64:
        return HSI_CUDA_STORED_I64;
    case HSCHED_INT32:
        return HSI_CUDA_STORED_I32;
    case HSCHED_INT8:
        return HSI_CUDA_STORED_I8;
    case HSCHED_UINT8:
        return HSI_CUDA_STORED_U8;
    case HSCHED_BOOL:
        return HSI_CUDA_STORED_BOOL;
    default:
        return type == HSI_CUDA_F16    ? HSI_CUDA_STORED_F16
               : type == HSI_CUDA_BF16 ? HSI_CUDA_STORED_BF16
                                       : HSI_CUDA_STORED_F32;
    }
}

/* A nest over out and the inputs. */
static hsched_status make_nest(hsi_cuda_nest *nest, const hsched_step *s)
{
    const int64_t *strides[HSI_CUDA_NEST_OPERANDS] = { s->out.strides };
    for (uint32_t i = 0; i < s->input_count; i++)
        strides[1 + i] = s->in[i].strides;
    return hsi_cuda_nest_make(nest, s->out.rank, s->out.dims, 1 + s->input_count,
                              strides);
}

static hsched_status launch(const hsi_cuda_step *s, const void *params, size_t size,
                            uint32_t items, const char *kernel, hsi_cuda_op **op)
{
    const hsi_cuda_kernel_launch launch = { .device = s->device,
                                            .module = HSI_CUDA_MODULE_TYPES,
                                            .blocks = hsi_cuda_loop_blocks(
                                                s->device, items, HSI_CUDA_TYPES_THREADS),
                                            .threads = HSI_CUDA_TYPES_THREADS,
                                            .params = params,
                                            .params_size = size };
    return hsi_cuda_make_launch(&launch, kernel, op, "own/%s", kernel);
}

hsched_status hsi_cuda_make_cast(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const hsched_step *step = &s->step;
    hsi_cuda_cast_params p = {
        .from = (int32_t)hsi_cuda_stored_as(step->in[0].dtype, s->type),
        .to = (int32_t)hsi_cuda_stored_as(step->out.dtype, s->type),
        .to_float32 = step->out.dtype == HSCHED_FLOAT32
    };
    *op = NULL;
    hsched_status status = make_nest(&p.nest, step);
    if (status != HSCHED_OK)
        return status;
    return launch(s, &p, sizeof p, p.nest.count, "types_cast", op);
}

hsched_status hsi_cuda_make_where(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    hsi_cuda_where_params p;
    char kernel[32];
    *op = NULL;
    hsched_status status = make_nest(&p.nest, &s->step);
    if (status != HSCHED_OK)
        return status;
    snprintf(kernel, sizeof kernel, "types_where_%u",
             (uint32_t)hsi_cuda_element_size(&s->step.out, s->type));
    return launch(s, &p, sizeof p, p.nest.count, kernel, op);
}

static hsched_status make_typed(const hsi_cuda_step *s, int32_t kind, const char *kernel,
                                hsi_cuda_op **op)
{
    const hsched_operand *in = &s->step.in[0];
    hsi_cuda_typed_params p = { .stored = (int32_t)hsi_cuda_stored_as(in->dtype, s->type),
                                .bits = 8 * (int32_t)hsi_cuda_element_size(in, s->type),
                                .kind = kind };
    *op = NULL;
    hsched_status status = make_nest(&p.nest, &s->step);
    if (status != HSCHED_OK)
        return status;
    return launch(s, &p, sizeof p, p.nest.count, kernel, op);
}

hsched_status hsi_cuda_make_typed_unary(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    return make_typed(s, (int32_t)s->step.act.kind, "types_unary", op);
}

hsched_status hsi_cuda_make_typed_binary(const hsi_cuda_step *s, hsi_cuda_op **op)
{
    const int floats = s->step.in[0].dtype == HSCHED_FLOAT32;
    return make_typed(s, (int32_t)s->step.u.binary.kind,
                      floats ? "types_compare" : "types_binary", op);
}
