/* Operators on tensors of several types: casts, choices, comparisons, logic and bits. */
#include "onnx/quant.h"

#include <string.h>

#include "base/status.h"
#include "base/tensor.h"
#include "graph/build.h"

static hsched_dtype dtype_of(const hsi_onnx_import *im, hsched_tensor x)
{
    return im->graph->tensors[x].dtype;
}

hsched_status hsi_onnx_add_number(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  hsched_dtype dtype, double value, hsched_tensor *tensor)
{
    hsi_onnx_draft *draft;
    hsched_status status = hsi_onnx_draft_make(im, node, dtype, 0, NULL, 0, &draft);
    if (status)
        return status;
    hsi_onnx_put_float(draft, 0, value);
    const char *name = hsi_onnx_made_name(im, node->label, "number");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    status = hsched_graph_add_constant(im->graph, name, dtype, 0, NULL, draft->data,
                                       draft->result.size, HSCHED_DATA_COPY, tensor);
    return hsi_onnx_at_node(node, status ? status : hsi_onnx_track(im));
}

hsched_status hsi_onnx_add_pair(hsi_onnx_import *im, const hsi_onnx_node *node, int last,
                                hsched_binary_kind kind, hsched_tensor a, hsched_tensor b,
                                hsched_tensor *y)
{
    const char *name = last ? hsi_onnx_output_name(im, node, 0)
                            : hsi_onnx_made_name(im, node->label, "part");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_at_node(node,
                            hsched_graph_add_binary(im->graph, name, kind, a, b, y));
}

hsched_status hsi_onnx_add_act(hsi_onnx_import *im, const hsi_onnx_node *node, int last,
                               hsched_activation act, hsched_tensor x, hsched_tensor *y)
{
    const char *name = last ? hsi_onnx_output_name(im, node, 0)
                            : hsi_onnx_made_name(im, node->label, "part");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_at_node(node,
                            hsched_graph_add_activation(im->graph, name, x, act, y));
}

/* ---- Types ---------------------------------------------------------------- */

static int is_camera_frame(const hsi_onnx_import *im, hsched_tensor x)
{
    const hsi_graph_tensor *t = &im->graph->tensors[x];
    return t->is_input && t->dtype == HSCHED_UINT8 && t->rank == 4 && t->dims[3] <= 4;
}

/* An input uint8 [N,H,W,C] made float: an image layer that changes no value, [N,C,H,W],
 * looked at in the order of the node's output. */
static hsched_status build_frame(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 hsched_tensor frame)
{
    static const int64_t channels_last[4] = { 0, 2, 3, 1 };
    hsched_tensor image, y;
    const char *name = hsi_onnx_made_name(im, node->label, "image");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    hsched_status status = hsi_graph_add_image(im->graph, name, frame, NULL, &image);
    if (!status)
        status = hsched_graph_add_transpose(im->graph, hsi_onnx_output_name(im, node, 0),
                                            image, channels_last, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

static hsched_status cast_to(hsi_onnx_import *im, const hsi_onnx_node *node,
                             hsched_tensor x, hsched_dtype dtype)
{
    hsched_tensor y;
    if (dtype_of(im, x) == dtype)
        return hsi_onnx_alias(im, node, 0);
    if (dtype == HSCHED_FLOAT32 && is_camera_frame(im, x))
        return build_frame(im, node, x);
    hsched_status status = hsi_onnx_at_node(
        node, hsched_graph_add_cast(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                    dtype, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_cast(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    hsched_tensor x;
    int64_t to;
    hsched_status status = hsi_onnx_attr_int(node, "to", 0, &to);
    if (status)
        return status;
    int32_t type = to > 0 && to < 64 ? (int32_t)to : -1;
    if (hsi_onnx_dtype(type) == HSCHED_FLOAT32) {
        x = hsi_quant_cast_levels(&c);
        if (c.status || x != HSCHED_NO_TENSOR) {
            hsi_onnx_set_tensor(im, node, 0, x);
            return c.status;
        }
    }
    status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    if (hsi_onnx_dtype(type) == HSCHED_DTYPE_NONE)
        return hsi_onnx_unsupported(im, node, "a cast from %s to %s at run time",
                                    hsched_dtype_name(dtype_of(im, x)),
                                    hsi_onnx_type_name(type));
    return cast_to(im, node, x, hsi_onnx_dtype(type));
}

/* To the type of the second input, whose values do not matter: what is known stays so. */
hsched_status hsi_onnx_build_cast_like(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *like = hsi_onnx_constant_input(im, node, 1);
    const hsi_onnx_constant *known = hsi_onnx_constant_input(im, node, 0), *result;
    hsched_tensor x, other;
    hsched_status status = HSCHED_OK;
    if (!like)
        status = hsi_onnx_input(im, node, 1, &other);
    if (status)
        return status;
    const hsched_dtype to = like ? like->dtype : dtype_of(im, other);
    if (known) {
        status = hsi_onnx_cast(im, node, known, to, &result);
        if (!status)
            hsi_onnx_set_constant(im, node, 0, result);
        return status;
    }
    status = hsi_onnx_input(im, node, 0, &x);
    return status ? status : cast_to(im, node, x, to);
}

/* ---- Choices and comparisons ----------------------------------------------- */

hsched_status hsi_onnx_build_where(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor in[3], y;
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < 3 && !status; k++)
        status = hsi_onnx_input(im, node, k, &in[k]);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_where(im->graph, hsi_onnx_output_name(im, node, 0),
                                         in[0], in[1], in[2], &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* Not is exclusive or with true, BitwiseNot with all bits. */
hsched_status hsi_onnx_build_not(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const int bits = strcmp(node->op, "BitwiseNot") == 0;
    hsched_tensor x, all, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    const double ones = !bits ? 1 : dtype_of(im, x) == HSCHED_UINT8 ? 255 : -1;
    status = hsi_onnx_add_number(im, node, dtype_of(im, x), ones, &all);
    if (!status)
        status = hsi_onnx_add_pair(
            im, node, 1, bits ? HSCHED_BINARY_BIT_XOR : HSCHED_BINARY_XOR, x, all, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* Only not-a-number is not equal to itself. */
hsched_status hsi_onnx_build_is_nan(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor x, yes, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_add_pair(im, node, 0, HSCHED_BINARY_EQUAL, x, x, &y);
    if (!status)
        status = hsi_onnx_add_number(im, node, HSCHED_BOOL, 1, &yes);
    if (!status)
        status = hsi_onnx_add_pair(im, node, 1, HSCHED_BINARY_XOR, y, yes, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_is_inf(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t negative, positive;
    hsched_tensor x, bound, y;
    hsched_status status = hsi_onnx_attr_int(node, "detect_negative", 1, &negative);
    if (!status)
        status = hsi_onnx_attr_int(node, "detect_positive", 1, &positive);
    if (!status)
        status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    if (!negative && !positive) { /* nothing is less than itself */
        status = hsi_onnx_add_pair(im, node, 1, HSCHED_BINARY_LESS, x, x, &y);
    } else {
        if (negative && positive)
            status = hsi_onnx_add_act(
                im, node, 0, (hsched_activation){ .kind = HSCHED_ACTIVATION_ABS }, x, &x);
        if (!status)
            status = hsi_onnx_add_number(im, node, dtype_of(im, x),
                                         positive ? __builtin_inf() : -__builtin_inf(),
                                         &bound);
        if (!status)
            status = hsi_onnx_add_pair(im, node, 1, HSCHED_BINARY_EQUAL, x, bound, &y);
    }
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* ---- Activations that are compositions ------------------------------------- */

/* x < -lambd ? x + bias : x > lambd ? x - bias : 0 */
hsched_status hsi_onnx_build_shrink(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    float bias, lambd;
    hsched_tensor x, zero, below, above, bound, shift, y;
    hsched_status status = hsi_onnx_attr_float(node, "bias", 0, &bias);
    if (!status)
        status = hsi_onnx_attr_float(node, "lambd", 0.5f, &lambd);
    if (!status)
        status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    const hsched_dtype dtype = dtype_of(im, x);
    status = hsi_onnx_add_number(im, node, dtype, 0, &zero);
    if (!status)
        status = hsi_onnx_add_number(im, node, dtype, (double)bias, &shift);
    if (!status)
        status = hsi_onnx_add_number(im, node, dtype, (double)lambd, &bound);
    if (!status)
        status = hsi_onnx_add_pair(im, node, 0, HSCHED_BINARY_GREATER, x, bound, &above);
    if (!status)
        status = hsi_onnx_add_number(im, node, dtype, -(double)lambd, &bound);
    if (!status)
        status = hsi_onnx_add_pair(im, node, 0, HSCHED_BINARY_LESS, x, bound, &below);
    if (!status)
        status = hsi_onnx_add_pair(im, node, 0, HSCHED_BINARY_SUB, x, shift, &y);
    if (!status)
        status = hsi_onnx_at_node(
            node,
            hsched_graph_add_where(im->graph, hsi_onnx_made_name(im, node->label, "part"),
                                   above, y, zero, &y));
    if (!status)
        status = hsi_onnx_add_pair(im, node, 0, HSCHED_BINARY_ADD, x, shift, &x);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_where(im->graph, hsi_onnx_output_name(im, node, 0),
                                         below, x, y, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* x * sigmoid(alpha * x) */
hsched_status hsi_onnx_build_swish(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const hsched_activation sigmoid = { .kind = HSCHED_ACTIVATION_SIGMOID };
    static const hsched_activation silu = { .kind = HSCHED_ACTIVATION_SILU };
    float alpha;
    hsched_tensor x, gate, y;
    hsched_status status = hsi_onnx_attr_float(node, "alpha", 1, &alpha);
    if (!status)
        status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    if (alpha == 1) {
        status = hsi_onnx_add_act(im, node, 1, silu, x, &y);
    } else {
        status = hsi_onnx_add_number(im, node, dtype_of(im, x), (double)alpha, &gate);
        if (!status)
            status = hsi_onnx_add_pair(im, node, 0, HSCHED_BINARY_MUL, x, gate, &gate);
        if (!status)
            status = hsi_onnx_add_act(im, node, 0, sigmoid, gate, &gate);
        if (!status)
            status = hsi_onnx_add_pair(im, node, 1, HSCHED_BINARY_MUL, x, gate, &y);
    }
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* alpha * elu(x / alpha) */
hsched_status hsi_onnx_build_celu(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const hsched_activation elu = { .kind = HSCHED_ACTIVATION_ELU, .a = 1 };
    float alpha;
    hsched_tensor x, factor, y;
    hsched_status status = hsi_onnx_attr_float(node, "alpha", 1, &alpha);
    if (!status)
        status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    if (alpha == 1) {
        status = hsi_onnx_add_act(im, node, 1, elu, x, &y);
    } else {
        status = hsi_onnx_add_number(im, node, dtype_of(im, x), (double)alpha, &factor);
        if (!status)
            status = hsi_onnx_add_pair(im, node, 0, HSCHED_BINARY_DIV, x, factor, &y);
        if (!status)
            status = hsi_onnx_add_act(im, node, 0, elu, y, &y);
        if (!status)
            status = hsi_onnx_add_pair(im, node, 1, HSCHED_BINARY_MUL, y, factor, &y);
    }
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
