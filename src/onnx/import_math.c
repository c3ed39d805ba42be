/* Matrix products and arithmetic. */
#include "onnx/ops.h"

#include <string.h>

#include "base/element.h"
#include "base/status.h"
#include "base/tensor.h"

#include "onnx/file.h"

/* ---- Products with constant matrices -------------------------------------- */

/* The constant b as weights [O,K] of a fully connected layer: as it is if it is so and
 * alpha is 1, else a copy that belongs to the graph. `transposed`: b is [O,K] already. */
static hsched_status matrix_weights(hsi_onnx_import *im, const hsi_onnx_node *node,
                                    int transposed, float alpha, hsched_tensor *weights)
{
    const hsi_onnx_constant *b = hsi_onnx_constant_input(im, node, 1);
    if (transposed && alpha == 1)
        return hsi_onnx_weights(im, node, 1, weights);
    if (b->dtype != HSCHED_FLOAT32 && !hsi_is_narrow_float(b->dtype))
        return hsi_onnx_unsupported(im, node,
                                    "weights of %s; convert the model to float32",
                                    hsched_dtype_name(b->dtype));
    size_t rows = (size_t)b->dims[0], columns = (size_t)b->dims[1];
    int64_t dims[2] = { b->dims[!transposed], b->dims[transposed] };
    const char *name = hsi_onnx_made_name(im, node->label, "weights");
    if (!name || b->count == 0)
        return name ? hsi_onnx_malformed(node, "its matrix is empty")
                    : hsi_onnx_no_memory(im, node);
    hsi_onnx_draft draft = { .result = *b };
    draft.data = hsi_onnx_graph_memory(im->graph, b->size);
    if (!draft.data)
        return hsi_onnx_at_node(node, hsi_out_of_memory("its weights"));
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            hsi_onnx_put_float(
                &draft, transposed ? r * columns + c : c * rows + r,
                (double)(alpha * (float)hsi_onnx_get_float(b, r * columns + c)));
    hsched_status status =
        hsched_graph_add_constant(im->graph, name, b->dtype, 2, dims, draft.data, b->size,
                                  HSCHED_DATA_BORROW, weights);
    return hsi_onnx_at_node(node, status ? status : hsi_onnx_track(im));
}

/* c as the bias [O] of a fully connected layer, times beta: HSCHED_NO_TENSOR if it is not
 * the same for all rows or not constant. */
static hsched_status vector_bias(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 int64_t outputs, float beta, hsched_tensor *bias)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, 2);
    *bias = HSCHED_NO_TENSOR;
    if (!c || (c->count != 1 && c->count != (size_t)outputs) ||
        (c->rank == 2 && c->dims[0] != 1) || c->rank > 2)
        return HSCHED_OK;
    if (hsi_is_narrow_float(c->dtype) && (beta != 1 || c->rank != 1 || c->count == 1))
        return HSCHED_OK;
    if (c->dtype != HSCHED_FLOAT32 && !hsi_is_narrow_float(c->dtype))
        return HSCHED_OK;
    if (beta == 1 && c->rank == 1 && c->count == (size_t)outputs)
        return hsi_onnx_weights(im, node, 2, bias);
    float *data = HSI_ONNX_NEW_ARRAY(&im->arena, float, (size_t)outputs);
    if (!data)
        return hsi_onnx_no_memory(im, node);
    for (size_t k = 0; k < (size_t)outputs; k++)
        data[k] = beta * (float)hsi_onnx_get_float(c, c->count == 1 ? 0 : k);
    return hsi_onnx_add_floats(im, node, "bias", 1, &outputs, data, bias);
}

/* *x becomes the product with a number, unless that is 1. */
static hsched_status scale(hsi_onnx_import *im, const hsi_onnx_node *node, float factor,
                           const char *suffix, hsched_tensor *x)
{
    hsched_tensor constant;
    if (factor == 1)
        return HSCHED_OK;
    hsched_status status = hsi_onnx_add_number(im, node, im->graph->tensors[*x].dtype,
                                               (double)factor, &constant);
    if (status)
        return status;
    const char *name = hsi_onnx_made_name(im, node->label, suffix);
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_at_node(
        node,
        hsched_graph_add_binary(im->graph, name, HSCHED_BINARY_MUL, *x, constant, x));
}

static hsched_status transpose(hsi_onnx_import *im, const hsi_onnx_node *node,
                               hsched_tensor *x)
{
    static const int64_t perm[2] = { 1, 0 };
    const char *name = hsi_onnx_made_name(im, node->label, "transposed");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_at_node(node,
                            hsched_graph_add_transpose(im->graph, name, *x, perm, x));
}

typedef struct gemm {
    float alpha, beta;
    int64_t trans_a, trans_b;
    hsched_tensor a;
    int adds_c; /* a sum with C is still to be made */
} gemm;

/* 1 if B is a constant that a fully connected layer takes: products of float64 are left to
 * matmul, and scaled in float64. */
static int is_weights(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *b = hsi_onnx_constant_input(im, node, 1);
    return b && b->dtype != HSCHED_FLOAT64;
}

/* alpha * A * B; with the constant's scale and transposition folded into it. */
static hsched_status gemm_product(hsi_onnx_import *im, const hsi_onnx_node *node, gemm *g,
                                  hsched_tensor *y)
{
    const hsi_onnx_constant *b =
        is_weights(im, node) ? hsi_onnx_constant_input(im, node, 1) : NULL;
    hsched_tensor other, bias = HSCHED_NO_TENSOR;
    hsched_status status = HSCHED_OK;
    g->adds_c = hsi_onnx_has_input(node, 2) && g->beta != 0;
    if (b) {
        if (b->rank != 2)
            return hsi_onnx_malformed(node, "B has %u dimensions instead of 2", b->rank);
        status = matrix_weights(im, node, g->trans_b != 0, g->alpha, &other);
        if (!status && g->adds_c)
            status = vector_bias(im, node, b->dims[!g->trans_b], g->beta, &bias);
        if (bias != HSCHED_NO_TENSOR)
            g->adds_c = 0;
    } else {
        status = hsi_onnx_input(im, node, 1, &other);
        if (!status && hsi_onnx_rank(im, other) != 2)
            status = hsi_onnx_malformed(node, "B does not have two dimensions");
        if (!status && g->trans_b)
            status = transpose(im, node, &other);
    }
    if (status)
        return status;
    int scales = !b && g->alpha != 1;
    const char *name = g->adds_c || scales
                           ? hsi_onnx_made_name(im, node->label, "product")
                           : hsi_onnx_output_name(im, node, 0);
    if (!name)
        return hsi_onnx_no_memory(im, node);
    status = b ? hsched_graph_add_fully_connected(im->graph, name, g->a, other, bias, y)
               : hsched_graph_add_matmul(im->graph, name, g->a, other, y);
    return hsi_onnx_at_node(node, status);
}

static hsched_status gemm_add(hsi_onnx_import *im, const hsi_onnx_node *node,
                              const gemm *g, hsched_tensor *y)
{
    hsched_tensor c;
    hsched_status status = hsi_onnx_input(im, node, 2, &c);
    if (!status)
        status = scale(im, node, g->beta, "addend", &c);
    if (status)
        return status;
    return hsi_onnx_at_node(
        node, hsched_graph_add_binary(im->graph, hsi_onnx_output_name(im, node, 0),
                                      HSCHED_BINARY_ADD, *y, c, y));
}

/* *x under the node's output name, for results that were made under another. */
static hsched_status rename_output(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   hsched_tensor *x)
{
    static const hsched_activation none = { .kind = HSCHED_ACTIVATION_NONE };
    return hsi_onnx_at_node(
        node, hsched_graph_add_activation(im->graph, hsi_onnx_output_name(im, node, 0),
                                          *x, none, x));
}

hsched_status hsi_onnx_build_gemm(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    gemm g;
    hsched_tensor y;
    hsched_status status = hsi_onnx_attr_float(node, "alpha", 1, &g.alpha);
    if (!status)
        status = hsi_onnx_attr_float(node, "beta", 1, &g.beta);
    if (!status)
        status = hsi_onnx_attr_int(node, "transA", 0, &g.trans_a);
    if (!status)
        status = hsi_onnx_attr_int(node, "transB", 0, &g.trans_b);
    if (!status)
        status = hsi_onnx_input(im, node, 0, &g.a);
    if (!status && hsi_onnx_rank(im, g.a) != 2)
        status = hsi_onnx_malformed(node, "A has %u dimensions instead of 2",
                                    hsi_onnx_rank(im, g.a));
    if (!status && g.trans_a)
        status = transpose(im, node, &g.a);
    if (!status)
        status = gemm_product(im, node, &g, &y);
    int scales = !is_weights(im, node) && g.alpha != 1;
    if (!status && scales)
        status = scale(im, node, g.alpha, "scaled", &y);
    if (!status && g.adds_c)
        status = gemm_add(im, node, &g, &y);
    else if (!status && scales)
        status = rename_output(im, node, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_matmul(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *constant = hsi_onnx_constant_input(im, node, 1);
    hsched_tensor a, b, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &a);
    if (status)
        return status;
    if (constant && constant->rank == 2 && hsi_onnx_rank(im, a) == 2 &&
        is_weights(im, node)) {
        status = matrix_weights(im, node, 0, 1, &b);
        if (!status)
            status =
                hsi_onnx_at_node(node, hsched_graph_add_fully_connected(
                                           im->graph, hsi_onnx_output_name(im, node, 0),
                                           a, b, HSCHED_NO_TENSOR, &y));
    } else {
        status = hsi_onnx_input(im, node, 1, &b);
        if (!status)
            status = hsi_onnx_at_node(
                node, hsched_graph_add_matmul(
                          im->graph, hsi_onnx_output_name(im, node, 0), a, b, &y));
    }
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* ---- Element by element --------------------------------------------------- */

static hsched_binary_kind binary_kind(const char *op)
{
    static const struct {
        const char *op;
        hsched_binary_kind kind;
    } kinds[] = {
        { "Add", HSCHED_BINARY_ADD },
        { "Sub", HSCHED_BINARY_SUB },
        { "Mul", HSCHED_BINARY_MUL },
        { "Div", HSCHED_BINARY_DIV },
        { "Min", HSCHED_BINARY_MIN },
        { "Max", HSCHED_BINARY_MAX },
        { "Pow", HSCHED_BINARY_POW },
        { "Sum", HSCHED_BINARY_ADD },
        { "Mean", HSCHED_BINARY_ADD },
        { "Equal", HSCHED_BINARY_EQUAL },
        { "Greater", HSCHED_BINARY_GREATER },
        { "GreaterOrEqual", HSCHED_BINARY_GREATER_OR_EQUAL },
        { "Less", HSCHED_BINARY_LESS },
        { "LessOrEqual", HSCHED_BINARY_LESS_OR_EQUAL },
        { "And", HSCHED_BINARY_AND },
        { "Or", HSCHED_BINARY_OR },
        { "Xor", HSCHED_BINARY_XOR },
        { "BitwiseAnd", HSCHED_BINARY_BIT_AND },
        { "BitwiseOr", HSCHED_BINARY_BIT_OR },
        { "BitwiseXor", HSCHED_BINARY_BIT_XOR },
        { "Mod", HSCHED_BINARY_MOD },
        { "BitShift", HSCHED_BINARY_SHIFT_LEFT },
    };
    size_t k = 0;
    while (strcmp(kinds[k].op, op) != 0) /* the table of operators names no other */
        k++;
    return kinds[k].kind;
}

/* The kind, by the node's attributes, too. */
static hsched_status binary_kind_of(const hsi_onnx_node *node, hsched_binary_kind *kind)
{
    int64_t fmod_like;
    int left, right;
    hsched_status status = HSCHED_OK;
    *kind = binary_kind(node->op);
    if (*kind == HSCHED_BINARY_MOD) {
        status = hsi_onnx_attr_int(node, "fmod", 0, &fmod_like);
        if (!status && fmod_like)
            *kind = HSCHED_BINARY_FMOD;
    } else if (*kind == HSCHED_BINARY_SHIFT_LEFT) {
        status = hsi_onnx_attr_is(node, "direction", "", "LEFT", &left);
        if (!status)
            status = hsi_onnx_attr_is(node, "direction", "", "RIGHT", &right);
        if (!status && !left && !right)
            status = hsi_onnx_malformed(
                node, "attribute 'direction' is neither LEFT nor RIGHT");
        if (!status && right)
            *kind = HSCHED_BINARY_SHIFT_RIGHT;
    }
    return status;
}

static hsched_status cast_operand(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  hsched_dtype dtype, hsched_tensor *x)
{
    const char *name = hsi_onnx_made_name(im, node->label, "cast");
    if (im->graph->tensors[*x].dtype == dtype)
        return HSCHED_OK;
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_at_node(node, hsched_graph_add_cast(im->graph, name, *x, dtype, x));
}

/* The exponent may be of another type than the base, which is the result's. Integers to
 * the power of floats are computed as floats. */
hsched_status hsi_onnx_build_pow(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor a, b, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &a);
    if (!status)
        status = hsi_onnx_input(im, node, 1, &b);
    if (status)
        return status;
    const hsched_dtype to = im->graph->tensors[a].dtype, by = im->graph->tensors[b].dtype;
    const int as_floats = hsi_is_integer(to) && !hsi_is_integer(by);
    if (as_floats && by == HSCHED_FLOAT64) /* which no layer computes on */
        status = cast_operand(im, node, HSCHED_FLOAT32, &b);
    if (!status)
        status = as_floats ? cast_operand(im, node, im->graph->tensors[b].dtype, &a)
                           : cast_operand(im, node, to, &b);
    if (!status)
        status = hsi_onnx_add_pair(im, node, !as_floats, HSCHED_BINARY_POW, a, b, &y);
    if (!status && as_floats)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_cast(im->graph, hsi_onnx_output_name(im, node, 0), y,
                                        to, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* Before opset 7 both operands had one shape, or `broadcast` said that b is repeated. Where it
 * stands at an axis, legacy.c has made that its end. */
static hsched_status check_ranks(const hsi_onnx_import *im, const hsi_onnx_node *node,
                                 hsched_tensor a, hsched_tensor b)
{
    int64_t broadcast;
    const uint32_t rank = hsi_onnx_rank(im, a), own = hsi_onnx_rank(im, b);
    if (node->version >= 7)
        return HSCHED_OK;
    hsched_status status = hsi_onnx_attr_int(node, "broadcast", 0, &broadcast);
    if (!status && (own > rank || (!broadcast && own != rank)))
        status = hsi_onnx_malformed(node, "operands of %u and %u dimensions", rank, own);
    return status;
}

hsched_status hsi_onnx_build_binary(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor a, b, y;
    hsched_binary_kind kind;
    hsched_status status = binary_kind_of(node, &kind);
    if (!status)
        status = hsi_onnx_input(im, node, 0, &a);
    if (!status)
        status = hsi_onnx_input(im, node, 1, &b);
    if (!status)
        status = check_ranks(im, node, a, b);
    if (!status)
        status = hsi_onnx_add_pair(im, node, 1, kind, a, b, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* Min, Max, Sum and Mean of any number of inputs: a chain. */
hsched_status hsi_onnx_build_variadic(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int mean = strcmp(node->op, "Mean") == 0;
    hsched_tensor y, x;
    if (node->input_count == 1)
        return hsi_onnx_alias(im, node, 0);
    hsched_status status = hsi_onnx_input(im, node, 0, &y);
    if (!status && mean && hsi_is_integer(im->graph->tensors[y].dtype))
        return hsi_onnx_malformed(node, "its inputs are integers");
    for (uint32_t k = 1; k < node->input_count && !status; k++) {
        int last = k + 1 == node->input_count && !mean;
        const char *name = last ? hsi_onnx_output_name(im, node, 0)
                                : hsi_onnx_made_name(im, node->label, "partial");
        if (!name)
            return hsi_onnx_no_memory(im, node);
        status = hsi_onnx_input(im, node, k, &x);
        if (!status)
            status = hsi_onnx_at_node(node, hsched_graph_add_binary(im->graph, name,
                                                                    binary_kind(node->op),
                                                                    y, x, &y));
    }
    if (!status && mean) {
        status = hsi_onnx_add_number(im, node, im->graph->tensors[y].dtype,
                                     1.0 / node->input_count, &x);
        if (!status)
            status = hsi_onnx_at_node(
                node,
                hsched_graph_add_binary(im->graph, hsi_onnx_output_name(im, node, 0),
                                        HSCHED_BINARY_MUL, y, x, &y));
    }
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
