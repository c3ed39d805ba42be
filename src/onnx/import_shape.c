/* Operators that change a tensor's shape or nothing at all; and the mean. */
#include "onnx/ops.h"

#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "base/tensor.h"
#include "graph/build.h"
#include "graph/compose.h"

/* The new shape is constant, or was computed: then what is a symbol stays one. */
hsched_status hsi_onnx_build_reshape(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *shape = hsi_onnx_constant_input(im, node, 1);
    int64_t dims[HSCHED_MAX_DIMS], allowzero;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_attr_int(node, "allowzero", 0, &allowzero);
    if (status)
        return status;
    if (!shape)
        return hsi_onnx_unsupported(im, node,
                                    "a shape that is computed from data at run time");
    if (shape->rank > 1 || (shape->dtype != HSCHED_INT64 && shape->dtype != HSCHED_INT32))
        return hsi_onnx_malformed(node, "its shape is no list of integers");
    if (shape->count > HSCHED_MAX_DIMS)
        return hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    for (size_t k = 0; k < shape->count; k++) {
        int64_t value = hsi_onnx_get_int(shape, k);
        if (value < -1)
            return hsi_onnx_malformed(node, "dimension %zu of its shape is %lld", k,
                                      (long long)value);
        if (value == 0 && allowzero)
            return hsi_onnx_unsupported(im, node, "an empty result (allowzero)");
        dims[k] = hsi_onnx_symbolic(im, value, shape->tags ? shape->tags[k] : 0);
    }
    status = hsi_onnx_at_node(
        node, hsched_graph_add_reshape(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                       (uint32_t)shape->count, dims, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* One of the dimensions that x is repeated to is 0. */
static hsched_status expand_to_nothing(hsi_onnx_import *im, const hsi_onnx_node *node,
                                       hsched_tensor x, const hsi_onnx_constant *shape)
{
    hsi_onnx_constant from = { .rank = hsi_onnx_rank(im, x) };
    hsi_onnx_constant to = { .rank = (uint32_t)shape->count };
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t rank;
    hsi_onnx_dims(im, x, from.dims);
    for (uint32_t k = 0; k < from.rank; k++)
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
    for (uint32_t k = 0; k < to.rank; k++) {
        to.dims[k] = hsi_onnx_get_int(shape, k);
        if (to.dims[k] < 0)
            return hsi_onnx_malformed(node, "dimension %u is negative", k);
    }
    hsched_status status = hsi_onnx_broadcast(node, &from, &to, &rank, dims);
    return status ? status
                  : hsi_onnx_set_empty(im, node, 0, im->graph->tensors[x].dtype, rank,
                                       dims, NULL);
}

hsched_status hsi_onnx_build_expand(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *shape = hsi_onnx_constant_input(im, node, 1);
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_tensor x, y;
    if (!shape)
        return hsi_onnx_unsupported(im, node,
                                    "a shape that is computed from data at run time");
    if (shape->rank > 1 || shape->dtype != HSCHED_INT64 || shape->count > HSCHED_MAX_DIMS)
        return hsi_onnx_unsupported(im, node, "a shape that is no list of integers");
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    for (size_t k = 0; k < shape->count; k++)
        dims[k] = hsi_onnx_symbolic(im, hsi_onnx_get_int(shape, k),
                                    shape->tags ? shape->tags[k] : 0);
    for (size_t k = 0; k < shape->count && !status; k++)
        if (dims[k] == 0)
            return expand_to_nothing(im, node, x, shape);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_expand(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                          (uint32_t)shape->count, dims, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

static hsched_status tile_to_nothing(hsi_onnx_import *im, const hsi_onnx_node *node,
                                     hsched_tensor x, const int64_t *repeats)
{
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_onnx_dims(im, x, dims);
    for (uint32_t k = 0; k < hsi_onnx_rank(im, x); k++) {
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
        if (repeats[k] < 0 || !hsi_mul_i64(dims[k], repeats[k], &dims[k]))
            return hsi_onnx_malformed(node, "a repeat is negative or too large");
    }
    return hsi_onnx_empty_part(im, node, 0, x, dims);
}

hsched_status hsi_onnx_build_tile(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const int64_t *repeats;
    uint32_t count;
    hsched_tensor x, y;
    if (node->version < 6)
        return hsi_onnx_unsupported(im, node, "one axis only, as before opset 6");
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_ints_input(im, node, 1, &repeats, &count);
    if (status)
        return status;
    if (count != hsi_onnx_rank(im, x))
        return hsi_onnx_malformed(node, "%u repeats for %u dimensions", count,
                                  hsi_onnx_rank(im, x));
    for (uint32_t k = 0; k < count; k++)
        if (repeats[k] == 0)
            return tile_to_nothing(im, node, x, repeats);
    for (uint32_t k = 0; k < count; k++) { /* the sizes are numbers from here on */
        if (repeats[k] < 1)
            return hsi_onnx_malformed(node, "a repeat is negative");
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
    }
    const char *const names[3] = { hsi_onnx_made_name(im, node->label, "split"),
                                   hsi_onnx_made_name(im, node->label, "repeated"),
                                   hsi_onnx_output_name(im, node, 0) };
    if (!names[0] || !names[1] || !names[2])
        return hsi_onnx_no_memory(im, node);
    status = hsi_compose_tile(im->graph, names, x, repeats, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

hsched_status hsi_onnx_build_flatten(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t given;
    uint32_t axis;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_attr_int(node, "axis", 1, &given);
    if (!status)
        status = hsi_onnx_axis(node, given, hsi_onnx_rank(im, x),
                               hsi_onnx_rank(im, x) + 1, &axis);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_flatten(im->graph, hsi_onnx_output_name(im, node, 0),
                                           x, (int)axis, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* The list `given` with each axis in 0..rank-1, none twice. */
static hsched_status plain_axes(hsi_onnx_import *im, const hsi_onnx_node *node,
                                const int64_t *given, uint32_t count, uint32_t rank,
                                int64_t *axes)
{
    uint32_t seen = 0;
    if (rank > HSCHED_MAX_DIMS)
        return hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t at;
        hsched_status status = hsi_onnx_axis(node, given[k], rank, rank, &at);
        if (!status && seen >> at & 1)
            status = hsi_onnx_malformed(node, "axis %u is listed twice", at);
        if (status)
            return status;
        seen |= 1u << at;
        axes[k] = at;
    }
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_squeeze(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const int64_t *given;
    int64_t axes[HSCHED_MAX_DIMS];
    uint32_t count;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_ints(im, node, "axes", 13, 1, &given, &count);
    if (!status)
        status = plain_axes(im, node, given, count, hsi_onnx_rank(im, x), axes);
    if (status)
        return status;
    if (given && count == 0) {
        status = hsi_onnx_alias(im, node, 0); /* no axis is named: nothing goes */
        return status;
    }
    for (uint32_t k = 0; !given && k < hsi_onnx_rank(im, x); k++)
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k)); /* which go depends on the sizes */
    status = hsi_onnx_at_node(
        node, hsched_graph_add_squeeze(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                       count, axes, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_unsqueeze(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const int64_t *given;
    int64_t axes[HSCHED_MAX_DIMS];
    uint32_t count;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_ints(im, node, "axes", 13, 1, &given, &count);
    if (!status && !given)
        status = hsi_onnx_malformed(node, "axes are missing");
    if (!status && count > HSCHED_MAX_DIMS)
        status =
            hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    if (!status)
        status = plain_axes(im, node, given, count, hsi_onnx_rank(im, x) + count, axes);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_unsqueeze(im->graph, hsi_onnx_output_name(im, node, 0),
                                             x, count, axes, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_transpose(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const int64_t *perm;
    uint32_t count;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_attr_ints(node, "perm", &perm, &count);
    if (!status && perm && count != hsi_onnx_rank(im, x))
        status = hsi_onnx_malformed(node, "perm has %u entries for %u dimensions", count,
                                    hsi_onnx_rank(im, x));
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_transpose(im->graph, hsi_onnx_output_name(im, node, 0),
                                             x, perm, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

static hsched_reduce_kind reduce_kind(const char *op)
{
    static const struct {
        const char *op;
        hsched_reduce_kind kind;
    } kinds[] = { { "ReduceMean", HSCHED_REDUCE_MEAN },
                  { "ReduceSum", HSCHED_REDUCE_SUM },
                  { "ReduceMax", HSCHED_REDUCE_MAX },
                  { "ReduceMin", HSCHED_REDUCE_MIN },
                  { "ReduceProd", HSCHED_REDUCE_PROD },
                  { "ReduceL1", HSCHED_REDUCE_L1 },
                  { "ReduceL2", HSCHED_REDUCE_L2 },
                  { "ReduceLogSum", HSCHED_REDUCE_LOG_SUM },
                  { "ReduceLogSumExp", HSCHED_REDUCE_LOG_SUM_EXP },
                  { "ReduceSumSquare", HSCHED_REDUCE_SUM_SQUARE } };
    size_t k = 0;
    while (strcmp(kinds[k].op, op) != 0) /* the table of operators has no other */
        k++;
    return kinds[k].kind;
}

hsched_status hsi_onnx_build_reduce(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsched_reduce_kind kind = reduce_kind(node->op);
    const int64_t *given;
    int64_t axes[HSCHED_MAX_DIMS], keep, noop;
    uint32_t count;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        status = hsi_onnx_ints(im, node, "axes", kind == HSCHED_REDUCE_SUM ? 13 : 18, 1,
                               &given, &count);
    if (!status)
        status = hsi_onnx_attr_int(node, "keepdims", 1, &keep);
    if (!status)
        status = hsi_onnx_attr_int(node, "noop_with_empty_axes", 0, &noop);
    if (!status && count == 0 && noop)
        return hsi_onnx_reduce_nothing(im, node, kind, x);
    if (!status)
        status = plain_axes(im, node, given, count, hsi_onnx_rank(im, x), axes);
    if (!status && im->graph->tensors[x].dtype == HSCHED_BOOL)
        return hsi_onnx_reduce_bools(im, node, kind, x, count, axes, keep != 0);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_reduce(im->graph, hsi_onnx_output_name(im, node, 0),
                                          kind, x, count, axes, keep != 0, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

/* ---- Nothing changes ------------------------------------------------------ */

hsched_status hsi_onnx_build_identity(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    return hsi_onnx_alias(im, node, 0);
}

/* Training with the ratio 0. */
static int drops_nothing(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *ratio = hsi_onnx_constant_input(im, node, 1);
    float given;
    if (node->version < 12) /* an attribute */
        return hsi_onnx_attr_float(node, "ratio", 0.5f, &given) == HSCHED_OK &&
               given == 0;
    return ratio && ratio->count == 1 && hsi_onnx_get_float(ratio, 0) == 0;
}

/* All is kept: ones, of bool from opset 10 on. */
static hsched_status dropout_mask(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_tensor x;
    hsi_onnx_draft *draft;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    const hsi_graph_tensor *t = &im->graph->tensors[x];
    for (uint32_t k = 0; k < t->rank; k++)
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, k));
    status = hsi_onnx_draft_make(im, node, node->version < 10 ? t->dtype : HSCHED_BOOL,
                                 t->rank, t->dims, 0, &draft);
    if (status)
        return status;
    for (size_t k = 0; k < draft->result.count; k++)
        hsi_onnx_put_int(draft, k, 1);
    hsi_onnx_set_constant(im, node, 1, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_dropout(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *training = hsi_onnx_constant_input(im, node, 2);
    int64_t is_test = 1;
    hsched_status status =
        node->version < 7 ? hsi_onnx_attr_int(node, "is_test", 0, &is_test) : HSCHED_OK;
    if (status)
        return status;
    if (!is_test && !drops_nothing(im, node))
        return hsi_onnx_unsupported(im, node,
                                    "training mode (is_test 0); export the model for "
                                    "inference");
    if (hsi_onnx_has_input(node, 2) &&
        (!training || training->count != 1 || hsi_onnx_get_int(training, 0) != 0) &&
        !drops_nothing(im, node))
        return hsi_onnx_unsupported(im, node,
                                    "training mode; export the model for inference");
    if (hsi_onnx_output_used(im, node, 1))
        status = dropout_mask(im, node);
    return status ? status : hsi_onnx_alias(im, node, 0);
}
