/* Floats to levels and back: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear. */
#include "onnx/quant.h"

#include "onnx/fold.h"

#include <math.h>

/* Input 0's scheme: inputs 1 and 2, axis and block_size. x has `rank` dimensions. */
static hsched_status read_scheme(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 uint32_t rank, hsi_onnx_scheme *scheme)
{
    int64_t axis;
    uint32_t place = 0;
    *scheme = (hsi_onnx_scheme){ .scale = 1, .zero_point = 2 };
    hsched_status status = hsi_onnx_attr_int(node, "axis", 1, &axis);
    if (!status)
        status = hsi_onnx_attr_int(node, "block_size", 0, &scheme->block);
    if (!status && scheme->block < 0)
        status = hsi_onnx_malformed(node, "attribute 'block_size' is negative");
    if (status)
        return status;
    const hsi_onnx_constant *scale = hsi_onnx_constant_input(im, node, 1);
    hsched_tensor computed = HSCHED_NO_TENSOR;
    if (!scale)
        status = hsi_onnx_input(im, node, 1, &computed);
    if (status)
        return status;
    const uint32_t scale_rank = scale ? scale->rank : hsi_onnx_rank(im, computed);
    const int64_t size = scale             ? scale->dims[0]
                         : scale_rank == 1 ? im->graph->tensors[computed].dims[0]
                                           : 0;
    if (scheme->block && scale_rank != rank)
        return hsi_onnx_malformed(node,
                                  "block_size needs a scale of its input's dimensions");
    if (!scheme->block && scale_rank > 1)
        return hsi_onnx_malformed(node, "a scale of %u dimensions", scale_rank);
    /* Of one scale for all the axis does not count. */
    if (scheme->block || (scale_rank == 1 && (size != 1 || axis < (int64_t)rank)))
        status =
            rank || size != 1 ? hsi_onnx_axis(node, axis, rank, rank, &place) : HSCHED_OK;
    scheme->axis = place;
    return status;
}

/* The type that attribute output_dtype names, or `fallback`. */
static hsched_status read_type(hsi_onnx_import *im, const hsi_onnx_node *node,
                               hsched_dtype fallback, hsched_dtype *dtype)
{
    int64_t type;
    hsched_status status = hsi_onnx_attr_int(node, "output_dtype", 0, &type);
    *dtype = fallback;
    if (status || type == 0)
        return status;
    *dtype = type > 0 && type < 64 ? hsi_onnx_dtype((int32_t)type) : HSCHED_DTYPE_NONE;
    if (*dtype == HSCHED_DTYPE_NONE)
        return hsi_onnx_unsupported(
            im, node, "levels of %s",
            hsi_onnx_type_name(type > 0 && type < 64 ? (int32_t)type : -1));
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_quantize(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    hsi_onnx_scheme scheme;
    hsched_dtype dtype;
    hsched_tensor x = hsi_compose_input(&c, 0);
    if (c.status == HSCHED_OK)
        c.status = read_scheme(im, node, hsi_compose_rank(&c, x), &scheme);
    if (c.status == HSCHED_OK)
        c.status = read_type(im, node, HSCHED_UINT8, &dtype);
    if (c.status == HSCHED_OK) {
        dtype = hsi_quant_dtype(&c, 2, dtype);
        hsi_quant_output(&c, x, 0, &scheme, dtype);
    }
    return c.status;
}

hsched_status hsi_onnx_build_dequantize(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    hsi_onnx_scheme scheme;
    hsched_dtype dtype;
    const uint32_t rank = hsi_quant_rank(&c, 0);
    if (c.status == HSCHED_OK)
        c.status = read_scheme(im, node, rank, &scheme);
    if (c.status != HSCHED_OK)
        return c.status;
    c.status = read_type(im, node, hsi_quant_dtype(&c, 1, HSCHED_FLOAT32), &dtype);
    const hsched_tensor meant = hsi_quant_meant(&c, 0, &scheme);
    const hsched_tensor y = hsi_compose_cast(&c, meant, dtype);
    if (c.status == HSCHED_OK)
        hsi_onnx_set_tensor(im, node, 0, y);
    return c.status;
}

/* ---- Scales that are found at run time --------------------------------------- */

/* The range of x, and 0, in 255 steps. Where all is 0 any step will do: 1, as ONNX Runtime has
 * it. */
hsched_status hsi_onnx_build_dynamic_quantize(hsi_onnx_import *im,
                                              const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    int64_t axes[HSCHED_MAX_DIMS];
    hsched_tensor x = hsi_compose_input(&c, 0);
    const uint32_t rank = hsi_compose_rank(&c, x);
    for (uint32_t d = 0; d < rank; d++)
        axes[d] = d;
    hsched_tensor high = x, low = x;
    if (rank) {
        high = hsi_compose_reduce(&c, HSCHED_REDUCE_MAX, x, rank, axes, 0);
        low = hsi_compose_reduce(&c, HSCHED_REDUCE_MIN, x, rank, axes, 0);
    }
    const hsched_tensor zero = hsi_compose_number(&c, HSCHED_FLOAT32, 0);
    high = hsi_compose_pair(&c, HSCHED_BINARY_MAX, high, zero);
    low = hsi_compose_pair(&c, HSCHED_BINARY_MIN, low, zero);
    hsched_tensor scale = hsi_compose_pair(&c, HSCHED_BINARY_SUB, high, low);
    scale = hsi_compose_pair(&c, HSCHED_BINARY_DIV, scale,
                             hsi_compose_number(&c, HSCHED_FLOAT32, 255));
    scale = hsi_compose_where(&c, hsi_compose_pair(&c, HSCHED_BINARY_EQUAL, scale, zero),
                              hsi_compose_number(&c, HSCHED_FLOAT32, 1), scale);
    hsched_tensor point = hsi_compose_pair(&c, HSCHED_BINARY_DIV, low, scale);
    point = hsi_compose_pair(&c, HSCHED_BINARY_SUB, zero, point);
    point = hsi_compose_cast(&c, hsi_compose_act(&c, HSCHED_ACTIVATION_ROUND, point),
                             HSCHED_UINT8);
    hsched_tensor y = hsi_compose_pair(&c, HSCHED_BINARY_DIV, x, scale);
    y = hsi_compose_act(&c, HSCHED_ACTIVATION_ROUND, y);
    y = hsi_compose_pair(&c, HSCHED_BINARY_ADD, y,
                         hsi_compose_cast(&c, point, HSCHED_FLOAT32));
    hsi_compose_output(&c, 0, hsi_compose_cast(&c, y, HSCHED_UINT8));
    if (hsi_onnx_output_used(im, node, 1))
        hsi_compose_output(&c, 1, scale);
    if (hsi_onnx_output_used(im, node, 2))
        hsi_compose_output(&c, 2, point);
    return c.status;
}

/* ---- Constants ------------------------------------------------------------------ */

/* Which number of a scheme's counts for element i of x. */
static size_t place_of(const hsi_onnx_constant *x, const hsi_onnx_scheme *scheme,
                       const hsi_onnx_constant *numbers, size_t i)
{
    size_t inner = 1;
    if (numbers->count == 1)
        return 0;
    for (uint32_t d = (uint32_t)scheme->axis + 1; d < x->rank; d++)
        inner *= (size_t)x->dims[d];
    const size_t size = (size_t)x->dims[scheme->axis], along = i / inner % size;
    if (!scheme->block)
        return along;
    const size_t blocks = (size_t)numbers->dims[scheme->axis];
    return (i / inner / size * blocks + along / (size_t)scheme->block) * inner +
           i % inner;
}

/* 1 if there is a number of `numbers` for each element of x. */
static int fits(const hsi_onnx_constant *x, const hsi_onnx_scheme *scheme,
                const hsi_onnx_constant *numbers)
{
    if (numbers->count == 1)
        return 1;
    if (!scheme->block)
        return numbers->rank == 1 && scheme->axis < x->rank &&
               numbers->dims[0] == x->dims[scheme->axis];
    for (uint32_t d = 0; d < x->rank; d++) {
        const int64_t size = x->dims[d], along = scheme->block;
        if (numbers->dims[d] != (d == scheme->axis ? (size - 1) / along + 1 : size))
            return 0;
    }
    return numbers->rank == x->rank;
}

/* Both ways of a constant x; what it gives is as the layers would, in floats. */
static hsched_status fold(hsi_onnx_import *im, const hsi_onnx_node *node, int back)
{
    const hsi_onnx_constant *x = hsi_onnx_constant_input(im, node, 0);
    const hsi_onnx_constant *scale = hsi_onnx_constant_input(im, node, 1);
    const hsi_onnx_constant *zero = hsi_onnx_constant_input(im, node, 2);
    hsi_onnx_scheme scheme;
    hsi_onnx_draft *draft;
    hsched_dtype dtype;
    if (!x || !scale || x->count == 0)
        return HSCHED_OK; /* the layer says what is wrong */
    hsched_status status = read_scheme(im, node, x->rank, &scheme);
    if (!status)
        status = read_type(im, node,
                           back   ? scale->dtype
                           : zero ? zero->dtype
                                  : HSCHED_UINT8,
                           &dtype);
    if (status)
        return status;
    const int levels =
        dtype == HSCHED_UINT8 || dtype == HSCHED_INT8 || dtype == HSCHED_INT32;
    if (!fits(x, &scheme, scale) || (zero && !fits(x, &scheme, zero)))
        return hsi_onnx_malformed(node, "its scale or zero point does not fit its input");
    if (x->tags || scale->tags || (!back && !levels) || !hsi_onnx_can_make(dtype))
        return HSCHED_OK;
    status = hsi_onnx_draft_make(im, node, dtype, x->rank, x->dims, 0, &draft);
    if (status)
        return status;
    const double low = dtype == HSCHED_UINT8  ? 0
                       : dtype == HSCHED_INT8 ? -128
                                              : (double)INT32_MIN;
    const double high = dtype == HSCHED_INT32 ? (double)INT32_MAX : low + 255;
    for (size_t i = 0; i < x->count; i++) {
        const float step =
            (float)hsi_onnx_get_float(scale, place_of(x, &scheme, scale, i));
        const double from =
            zero ? hsi_onnx_get_float(zero, place_of(x, &scheme, zero, i)) : 0;
        const double value = hsi_onnx_get_float(x, i);
        if (back) {
            hsi_onnx_put_float(draft, i, (double)((float)(value - from) * step));
            continue;
        }
        const double level = rint((double)((float)value / step)) + from;
        hsi_onnx_put_int(draft, i, (int64_t)fmin(fmax(level, low), high));
    }
    hsi_onnx_set_constant(im, node, 0, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_fold_quantize(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    return fold(im, node, 0);
}

hsched_status hsi_onnx_fold_dequantize(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    return fold(im, node, 1);
}
