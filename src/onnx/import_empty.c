/*
 * Tensors of no elements. They are constants of which only the shape counts: nothing is computed
 * of them, and no graph has any. What joins them leaves them out; what computes on them element by
 * element gives another one.
 */
#include "onnx/ops.h"

#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "base/tensor.h"

static int is_empty(const hsi_onnx_constant *c)
{
    return c && c->count == 0;
}

hsched_status hsi_onnx_set_empty(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 uint32_t k, hsched_dtype dtype, uint32_t rank,
                                 const int64_t *dims, const uint64_t *tags)
{
    hsi_onnx_draft *draft;
    uint64_t *copy, any = 0;
    hsched_status status = hsi_onnx_draft_make(im, node, dtype, rank, dims, 0, &draft);
    if (status)
        return status;
    for (uint32_t d = 0; d < rank && tags; d++) {
        if (dims[d] == 0) /* there would be elements for other values */
            hsi_onnx_pin(im, tags[d]);
        any |= tags[d];
    }
    if (any) {
        copy = HSI_ONNX_NEW_ARRAY(&im->arena, uint64_t, rank);
        if (!copy)
            return hsi_onnx_no_memory(im, node);
        memcpy(copy, tags, rank * sizeof *tags);
        draft->result.dim_tags = copy;
    }
    hsi_onnx_set_constant(im, node, k, &draft->result);
    return HSCHED_OK;
}

hsched_status hsi_onnx_empty_part(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  uint32_t k, hsched_tensor x, const int64_t *dims)
{
    const hsi_graph_tensor *t = &im->graph->tensors[x];
    uint64_t tags[HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < t->rank; d++)
        tags[d] = hsi_onnx_dim_tag(im, x, d);
    return hsi_onnx_set_empty(im, node, k, t->dtype, t->rank, dims, tags);
}

/* Only a Concat with other tensors makes no use of the shape. */
void hsi_onnx_pin_empty(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int others = 0;
    for (uint32_t k = 0; k < node->input_count; k++)
        others |= hsi_onnx_has_input(node, k) && !hsi_onnx_constant_input(im, node, k);
    if (others && strcmp(node->op, "Concat") == 0)
        return;
    for (uint32_t k = 0; k < node->input_count; k++) {
        const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, k);
        for (uint32_t d = 0; c && c->dim_tags && d < c->rank; d++)
            hsi_onnx_pin(im, c->dim_tags[d]);
    }
}

/* ---- What becomes of them ---------------------------------------------------- */

/* Type and shape of input k, which are numbers from here on; data is not looked at. */
static int shape_of(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k,
                    hsi_onnx_constant *shape)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, k);
    *shape = (hsi_onnx_constant){ .rank = 0 };
    if (!hsi_onnx_has_input(node, k))
        return 0;
    if (c) {
        *shape = *c;
        return 1;
    }
    const hsched_tensor x = im->states[node->inputs[k]].tensor;
    shape->dtype = im->graph->tensors[x].dtype;
    shape->rank = hsi_onnx_rank(im, x);
    hsi_onnx_dims(im, x, shape->dims);
    for (uint32_t d = 0; d < shape->rank; d++)
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, d));
    return 1;
}

static hsched_status set(hsi_onnx_import *im, const hsi_onnx_node *node,
                         const hsi_onnx_constant *shape)
{
    return hsi_onnx_set_empty(im, node, 0, shape->dtype, shape->rank, shape->dims, NULL);
}

static int gives_bool(const hsi_onnx_node *node)
{
    static const char *const names[] = { "Equal", "Greater",     "GreaterOrEqual",
                                         "Less",  "LessOrEqual", "IsNaN",
                                         "IsInf" };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strcmp(node->op, names[k]) == 0)
            return 1;
    return 0;
}

/* An operator of one tensor, element by element or along an axis. */
static hsched_status same(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_onnx_constant x, like;
    shape_of(im, node, 0, &x);
    if (strcmp(node->op, "CastLike") == 0 && shape_of(im, node, 1, &like))
        x.dtype = like.dtype;
    if (gives_bool(node))
        x.dtype = HSCHED_BOOL;
    return set(im, node, &x);
}

/* Of several that broadcast. */
static hsched_status joined(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_onnx_constant y, next;
    hsched_status status = HSCHED_OK;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t rank;
    if (!shape_of(im, node, 0, &y))
        return hsi_onnx_malformed(node, "input 0 is missing");
    for (uint32_t k = 1; k < node->input_count && !status; k++) {
        if (!shape_of(im, node, k, &next))
            return hsi_onnx_malformed(node, "input %u is missing", k);
        status = hsi_onnx_broadcast(node, &y, &next, &rank, dims);
        if (status)
            return status;
        y.rank = rank;
        memcpy(y.dims, dims, rank * sizeof *dims);
        if (strcmp(node->op, "Where") == 0)
            y.dtype = next.dtype;
    }
    if (gives_bool(node))
        y.dtype = HSCHED_BOOL;
    return set(im, node, &y);
}

/* The dimensions of the indices in place of the axis. */
static hsched_status picked(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_onnx_constant x, indices, y = { .rank = 0 };
    int64_t given;
    uint32_t axis = 0;
    hsched_status status = hsi_onnx_attr_int(node, "axis", 0, &given);
    if (!status && (!shape_of(im, node, 0, &x) || !shape_of(im, node, 1, &indices)))
        status = hsi_onnx_malformed(node, "an input is missing");
    if (!status)
        status = hsi_onnx_axis(node, given, x.rank, x.rank, &axis);
    if (status)
        return status;
    if (x.rank + indices.rank > HSCHED_MAX_DIMS)
        return hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    y.dtype = x.dtype;
    for (uint32_t k = 0; k < axis; k++)
        y.dims[y.rank++] = x.dims[k];
    for (uint32_t k = 0; k < indices.rank; k++)
        y.dims[y.rank++] = indices.dims[k];
    for (uint32_t k = axis + 1; k < x.rank; k++)
        y.dims[y.rank++] = x.dims[k];
    return set(im, node, &y);
}

/* Rows of none, or none at all; sums of nothing are left to the caller's error. */
static hsched_status multiplied(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_onnx_constant a, b, y;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t rank;
    if (!shape_of(im, node, 0, &a) || !shape_of(im, node, 1, &b) || a.rank < 2 ||
        b.rank < 2)
        return HSCHED_OK;
    const int64_t rows = a.dims[a.rank - 2], cols = b.dims[b.rank - 1];
    a.dims[a.rank - 2] = a.dims[a.rank - 1] = 1;
    b.dims[b.rank - 2] = b.dims[b.rank - 1] = 1;
    hsched_status status = hsi_onnx_broadcast(node, &a, &b, &rank, dims);
    if (status)
        return status;
    y = (hsi_onnx_constant){ .dtype = a.dtype, .rank = rank };
    memcpy(y.dims, dims, rank * sizeof *dims);
    y.dims[rank - 2] = rows;
    y.dims[rank - 1] = cols;
    if (!hsi_onnx_check_shape(&y) || y.count)
        return HSCHED_OK;
    return set(im, node, &y);
}

/* Nothing is put into it. */
static hsched_status unchanged(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    return is_empty(hsi_onnx_constant_input(im, node, 1)) ? hsi_onnx_alias(im, node, 0)
                                                          : HSCHED_OK;
}

typedef struct rule {
    hsi_onnx_builder *of;
    int of_first; /* only where input 0 is empty */
    hsched_status (*apply)(hsi_onnx_import *im, const hsi_onnx_node *node);
} rule;

static const rule rules[] = {
    { hsi_onnx_build_activation, 1, same },   { hsi_onnx_build_softmax, 1, same },
    { hsi_onnx_build_clip, 1, same },         { hsi_onnx_build_cumsum, 1, same },
    { hsi_onnx_build_lrn, 1, same },          { hsi_onnx_build_batch_norm, 1, same },
    { hsi_onnx_build_layer_norm, 1, same },   { hsi_onnx_build_instance_norm, 1, same },
    { hsi_onnx_build_group_norm, 1, same },   { hsi_onnx_build_mean_variance, 1, same },
    { hsi_onnx_build_lp_norm, 1, same },      { hsi_onnx_build_celu, 1, same },
    { hsi_onnx_build_swish, 1, same },        { hsi_onnx_build_shrink, 1, same },
    { hsi_onnx_build_cast_like, 1, same },    { hsi_onnx_build_is_nan, 1, same },
    { hsi_onnx_build_is_inf, 1, same },       { hsi_onnx_build_not, 1, same },
    { hsi_onnx_build_hardmax, 1, same },      { hsi_onnx_build_binary, 0, joined },
    { hsi_onnx_build_variadic, 0, joined },   { hsi_onnx_build_pow, 0, joined },
    { hsi_onnx_build_where, 0, joined },      { hsi_onnx_build_prelu, 1, joined },
    { hsi_onnx_build_gather, 0, picked },     { hsi_onnx_build_matmul, 0, multiplied },
    { hsi_onnx_build_scatter, 0, unchanged },
};

hsched_status hsi_onnx_build_empty(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   hsi_onnx_builder *build)
{
    int any = 0;
    for (uint32_t k = 0; k < node->input_count; k++)
        any |= is_empty(hsi_onnx_constant_input(im, node, k));
    for (size_t k = 0; any && k < sizeof rules / sizeof *rules; k++)
        if (rules[k].of == build &&
            (!rules[k].of_first || is_empty(hsi_onnx_constant_input(im, node, 0))))
            return rules[k].apply(im, node);
    return HSCHED_OK;
}

/* ---- Inputs of the model ------------------------------------------------------ */

hsched_status hsi_onnx_empty_input(hsi_onnx_import *im, uint32_t value,
                                   hsched_dtype dtype, uint32_t rank, const int64_t *dims)
{
    hsi_onnx_constant *c = HSI_ONNX_NEW(&im->arena, hsi_onnx_constant);
    const char *name = im->model->values[value].name;
    if (!c)
        return hsi_onnx_arena_error(&im->arena, "the inputs");
    *c = (hsi_onnx_constant){ .dtype = dtype, .rank = rank, .data = "" };
    memcpy(c->dims, dims, rank * sizeof *dims);
    if (!hsi_onnx_check_shape(c))
        return hsi_error(HSCHED_ERROR_LIMIT, "input '%.128s' of shape %s is too large",
                         name, hsi_shape_text(rank, dims));
    im->states[value].constant = c;
    hsi_log(HSCHED_LOG_INFO,
            "ONNX: input '%.128s' of shape %s has no elements; the graph has no such "
            "input",
            name, hsi_shape_text(rank, dims));
    return HSCHED_OK;
}
