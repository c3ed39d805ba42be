/*
 * Operators on levels that ONNX Runtime adds to ONNX's, as its tool for quantising models writes
 * them: what the levels stand for goes through the float operator, and becomes levels. A MaxPool
 * of levels, which is ONNX's, too.
 */
#include "onnx/quant.h"

#include "onnx/fold.h"
#include "onnx/window.h"

#include <string.h>

/* X, its scale and zero point, then those of Y. */
static const hsi_onnx_scheme one_in = { .scale = 1, .zero_point = 2 };
static const hsi_onnx_scheme one_out = { .scale = 3, .zero_point = 4 };

static hsched_status finish(hsi_composer *c, hsched_tensor y,
                            const hsi_onnx_scheme *scheme, hsched_dtype fallback)
{
    hsi_quant_output(c, y, 0, scheme, hsi_quant_dtype(c, scheme->zero_point, fallback));
    return c->status;
}

/* ---- Sums and products ---------------------------------------------------------- */

/* A and B with what they stand for, then the scheme of C. Where scales are known, those of A and C
 * are one factor. */
static hsched_tensor addend(hsi_composer *c, uint32_t k)
{
    const hsi_onnx_scheme in = { .scale = k + 1, .zero_point = k + 2 };
    double own, last;
    if (!hsi_quant_number(c, k + 1, &own) || !hsi_quant_number(c, 6, &last))
        return hsi_compose_pair(
            c, HSCHED_BINARY_DIV, hsi_quant_meant(c, k, &in),
            hsi_compose_cast(c, hsi_compose_input(c, 6), HSCHED_FLOAT32));
    return hsi_compose_pair(
        c, HSCHED_BINARY_MUL, hsi_quant_whole(c, k, &in),
        hsi_compose_number(c, HSCHED_FLOAT32, (double)((float)own / (float)last)));
}

hsched_status hsi_onnx_build_qlinear_add(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const hsi_onnx_scheme out = { .scale = 6, .zero_point = 7 };
    const hsched_tensor a = addend(&c, 0), b = addend(&c, 3);
    const hsched_tensor y = hsi_compose_pair(&c, HSCHED_BINARY_ADD, a, b);
    hsi_quant_output(&c, y, 1, &out, hsi_quant_dtype(&c, 7, HSCHED_UINT8));
    return c.status;
}

hsched_status hsi_onnx_build_qlinear_mul(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const hsi_onnx_scheme a = { .scale = 1, .zero_point = 2 };
    const hsi_onnx_scheme b = { .scale = 4, .zero_point = 5 };
    const hsi_onnx_scheme out = { .scale = 6, .zero_point = 7 };
    double first, second, last;
    if (!hsi_quant_number(&c, 1, &first) || !hsi_quant_number(&c, 4, &second) ||
        !hsi_quant_number(&c, 6, &last)) {
        const hsched_tensor x = hsi_quant_meant(&c, 0, &a);
        return finish(
            &c, hsi_compose_pair(&c, HSCHED_BINARY_MUL, x, hsi_quant_meant(&c, 3, &b)),
            &out, HSCHED_UINT8);
    }
    const float factor = (float)first * (float)second / (float)last;
    hsched_tensor y = hsi_quant_whole(&c, 0, &a);
    y = hsi_compose_pair(&c, HSCHED_BINARY_MUL, y, hsi_quant_whole(&c, 3, &b));
    y = hsi_compose_pair(&c, HSCHED_BINARY_MUL, y,
                         hsi_compose_number(&c, HSCHED_FLOAT32, (double)factor));
    hsi_quant_output(&c, y, 1, &out, hsi_quant_dtype(&c, 7, HSCHED_UINT8));
    return c.status;
}

/* ---- Of one tensor ---------------------------------------------------------------- */

hsched_status hsi_onnx_build_qlinear_sigmoid(hsi_onnx_import *im,
                                             const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const hsched_tensor x = hsi_quant_meant(&c, 0, &one_in);
    return finish(&c, hsi_compose_act(&c, HSCHED_ACTIVATION_SIGMOID, x), &one_out,
                  HSCHED_UINT8);
}

hsched_status hsi_onnx_build_qlinear_leaky_relu(hsi_onnx_import *im,
                                                const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    float alpha;
    hsched_tensor y = hsi_quant_meant(&c, 0, &one_in);
    if (!c.status)
        c.status = hsi_onnx_attr_float(node, "alpha", 0.01f, &alpha);
    if (!c.status)
        c.status = hsi_onnx_add_act(
            im, node, 0,
            (hsched_activation){ .kind = HSCHED_ACTIVATION_LEAKY_RELU, .a = alpha }, y,
            &y);
    return finish(&c, y, &one_out, HSCHED_UINT8);
}

/* Over all dimensions from the axis on where `opset` is before 13. */
hsched_status hsi_onnx_build_qlinear_softmax(hsi_onnx_import *im,
                                             const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    int64_t axis, opset;
    uint32_t place = 0;
    hsched_tensor x = hsi_quant_meant(&c, 0, &one_in);
    const uint32_t rank = hsi_compose_rank(&c, x);
    if (!c.status)
        c.status = hsi_onnx_attr_int(node, "axis", -1, &axis);
    if (!c.status)
        c.status = hsi_onnx_attr_int(node, "opset", 13, &opset);
    if (!c.status)
        c.status = hsi_onnx_axis(node, axis, rank, rank, &place);
    if (!c.status && opset < 13 && place + 1 != rank)
        c.status = hsi_onnx_unsupported(
            im, node, "a softmax over several dimensions, as before opset 13");
    return finish(&c, hsi_compose_softmax(&c, x, (int)place), &one_out, HSCHED_UINT8);
}

hsched_status hsi_onnx_build_qlinear_reduce_mean(hsi_onnx_import *im,
                                                 const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const int64_t *axes;
    int64_t keep, all[HSCHED_MAX_DIMS];
    uint32_t count = 0;
    const hsched_tensor x = hsi_quant_meant(&c, 0, &one_in);
    if (!c.status)
        c.status = hsi_onnx_attr_ints(node, "axes", &axes, &count);
    if (!c.status)
        c.status = hsi_onnx_attr_int(node, "keepdims", 1, &keep);
    if (c.status)
        return c.status;
    if (!axes || count == 0) {
        count = hsi_compose_rank(&c, x);
        for (uint32_t d = 0; d < count; d++)
            all[d] = d;
        axes = all;
    }
    return finish(&c,
                  hsi_compose_reduce(&c, HSCHED_REDUCE_MEAN, x, count, axes, keep != 0),
                  &one_out, HSCHED_UINT8);
}

hsched_status hsi_onnx_build_qlinear_where(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const hsi_onnx_scheme a = { .scale = 2, .zero_point = 3 };
    const hsi_onnx_scheme b = { .scale = 5, .zero_point = 6 };
    const hsi_onnx_scheme out = { .scale = 7, .zero_point = 8 };
    const hsched_tensor which = hsi_compose_input(&c, 0), x = hsi_quant_meant(&c, 1, &a);
    return finish(&c, hsi_compose_where(&c, which, x, hsi_quant_meant(&c, 4, &b)), &out,
                  HSCHED_UINT8);
}

/* The scheme of Y, then X, its scale and zero point, for each. */
hsched_status hsi_onnx_build_qlinear_concat(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const hsi_onnx_scheme out = { .scale = 0, .zero_point = 1 };
    const uint32_t count = node->input_count / 3;
    int64_t axis;
    hsched_tensor *parts = HSI_ONNX_NEW_ARRAY(&im->arena, hsched_tensor, count + 1);
    if (!parts)
        return hsi_onnx_no_memory(im, node);
    if (count == 0 || node->input_count != 2 + 3 * count)
        return hsi_onnx_malformed(node, "it has %u inputs", node->input_count);
    for (uint32_t k = 0; k < count; k++) {
        const hsi_onnx_scheme in = { .scale = 3 + 3 * k, .zero_point = 4 + 3 * k };
        parts[k] = hsi_quant_meant(&c, 2 + 3 * k, &in);
    }
    if (!c.status)
        c.status = hsi_onnx_attr_int(node, "axis", 0, &axis);
    if (!c.status && (axis < -HSCHED_MAX_DIMS || axis >= HSCHED_MAX_DIMS))
        c.status = hsi_onnx_malformed(node, "axis %lld", (long long)axis);
    if (c.status)
        return c.status;
    return finish(&c, hsi_compose_concat(&c, parts, count, (int)axis), &out,
                  HSCHED_UINT8);
}

/* ---- Poolings ---------------------------------------------------------------------- */

/* Channels go to place 1, or back, where they come last. */
static hsched_tensor move_channels(hsi_composer *c, hsched_tensor x, int64_t last,
                                   int back)
{
    const uint32_t rank = hsi_compose_rank(c, x);
    int64_t perm[HSCHED_MAX_DIMS] = { 0 };
    if (!last || rank < 3)
        return x;
    for (uint32_t d = 1; d < rank; d++)
        perm[d] = back ? d + 1 < rank ? d + 1 : 1 : d == 1 ? rank - 1 : d - 1;
    return hsi_compose_transpose(c, x, perm);
}

hsched_status hsi_onnx_build_qlinear_average_pool(hsi_onnx_import *im,
                                                  const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    const int global = strcmp(node->op, "QLinearGlobalAveragePool") == 0;
    hsched_pool_config config = { HSCHED_POOL_CONFIG_INIT };
    int64_t last;
    c.status = hsi_onnx_attr_int(node, "channels_last", 0, &last);
    hsched_tensor x = hsi_quant_meant(&c, 0, &one_in), y = HSCHED_NO_TENSOR;
    x = move_channels(&c, x, last, 0);
    const uint32_t rank = hsi_compose_rank(&c, x);
    if (!c.status && (rank < 3 || rank > 5))
        c.status = hsi_onnx_unsupported(im, node, "an input of %u dimensions", rank);
    if (!c.status && !global)
        c.status = hsi_onnx_read_pool(node, rank - 2, &config);
    const char *name = hsi_onnx_made_name(im, node->label, "pooled");
    if (!c.status && !name)
        c.status = hsi_onnx_no_memory(im, node);
    if (!c.status)
        c.status = hsi_onnx_at_node(
            node, global ? hsched_graph_add_global_pool(im->graph, name,
                                                        HSCHED_POOL_AVERAGE, x, &y)
                         : hsched_graph_add_pool(im->graph, name, HSCHED_POOL_AVERAGE, x,
                                                 &config, &y));
    if (!c.status)
        c.status = hsi_onnx_track(im);
    return finish(&c, move_channels(&c, y, last, 1), &one_out, HSCHED_UINT8);
}

hsched_status hsi_onnx_pool_levels(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    hsched_pool_config config = { HSCHED_POOL_CONFIG_INIT };
    const hsi_onnx_levels *l = im->states[node->inputs[0]].levels;
    hsched_tensor y = HSCHED_NO_TENSOR;
    hsched_tensor x = l ? hsi_quant_levels_whole(&c, 0)
                        : hsi_compose_cast(&c, hsi_compose_input(&c, 0), HSCHED_FLOAT32);
    const hsched_dtype dtype = l ? l->dtype : hsi_quant_dtype(&c, 0, HSCHED_UINT8);
    const uint32_t rank = hsi_compose_rank(&c, x);
    if (!c.status && (rank < 3 || rank > 5))
        c.status = hsi_onnx_unsupported(im, node, "an input of %u dimensions", rank);
    if (!c.status)
        c.status = hsi_onnx_read_pool(node, rank - 2, &config);
    const char *name = hsi_onnx_made_name(im, node->label, "pooled");
    if (!c.status && !name)
        c.status = hsi_onnx_no_memory(im, node);
    if (!c.status)
        c.status =
            hsi_onnx_at_node(node, hsched_graph_add_pool(im->graph, name, HSCHED_POOL_MAX,
                                                         x, &config, &y));
    if (!c.status)
        c.status = hsi_onnx_track(im);
    if (l)
        hsi_quant_same_output(&c, y, 0);
    else
        hsi_compose_output(&c, 0, hsi_compose_cast(&c, y, dtype));
    return c.status;
}
