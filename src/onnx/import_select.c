/*
 * Operators that choose by places: one-hot, the largest as one-hot, triangles, sequences
 * reversed. Compositions of comparisons with constants that number the places.
 */
#include "onnx/ops.h"

#include <string.h>

typedef struct selection {
    hsi_onnx_import *im;
    const hsi_onnx_node *node;
    hsched_status status; /* once it is an error, nothing more is added */
} selection;

static hsched_dtype dtype_of(const selection *s, hsched_tensor x)
{
    return s->im->graph->tensors[x].dtype;
}

/* The name of the next layer; NULL once there was an error. `last`: the node's output. */
static const char *name_of(selection *s, int last)
{
    if (s->status != HSCHED_OK)
        return NULL;
    const char *name = last ? hsi_onnx_output_name(s->im, s->node, 0)
                            : hsi_onnx_made_name(s->im, s->node->label, "part");
    if (!name)
        s->status = hsi_onnx_no_memory(s->im, s->node);
    return name;
}

static hsched_tensor input(selection *s, uint32_t k)
{
    hsched_tensor t = HSCHED_NO_TENSOR;
    if (s->status == HSCHED_OK)
        s->status = hsi_onnx_input(s->im, s->node, k, &t);
    return t;
}

static hsched_tensor number(selection *s, hsched_dtype dtype, double value)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (s->status == HSCHED_OK)
        s->status = hsi_onnx_add_number(s->im, s->node, dtype, value, &y);
    return y;
}

static hsched_tensor pair(selection *s, int last, hsched_binary_kind kind,
                          hsched_tensor a, hsched_tensor b)
{
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (s->status == HSCHED_OK)
        s->status = hsi_onnx_add_pair(s->im, s->node, last, kind, a, b, &y);
    return y;
}

static hsched_tensor where(selection *s, int last, hsched_tensor condition,
                           hsched_tensor a, hsched_tensor b)
{
    const char *name = name_of(s, last);
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (name)
        s->status = hsi_onnx_at_node(
            s->node, hsched_graph_add_where(s->im->graph, name, condition, a, b, &y));
    return y;
}

static hsched_tensor cast(selection *s, int last, hsched_tensor x, hsched_dtype dtype)
{
    if (s->status == HSCHED_OK && !last && dtype_of(s, x) == dtype)
        return x;
    const char *name = name_of(s, last);
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (name)
        s->status = hsi_onnx_at_node(
            s->node, hsched_graph_add_cast(s->im->graph, name, x, dtype, &y));
    return y;
}

static hsched_tensor reshape(selection *s, int last, hsched_tensor x, uint32_t rank,
                             const int64_t *dims)
{
    const char *name = name_of(s, last);
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (name)
        s->status = hsi_onnx_at_node(
            s->node, hsched_graph_add_reshape(s->im->graph, name, x, rank, dims, &y));
    return y;
}

static hsched_status end(selection *s, hsched_tensor y)
{
    if (s->status == HSCHED_OK)
        hsi_onnx_set_tensor(s->im, s->node, 0, y);
    return s->status;
}

/* A constant to be filled in by the caller, and then added. */
static hsi_onnx_draft *draft(selection *s, hsched_dtype dtype, uint32_t rank,
                             const int64_t *dims)
{
    hsi_onnx_draft *made = NULL;
    if (s->status == HSCHED_OK)
        s->status = hsi_onnx_draft_make(s->im, s->node, dtype, rank, dims, 0, &made);
    return made;
}

static hsched_tensor constant(selection *s, const hsi_onnx_draft *made)
{
    const char *name = name_of(s, 0);
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (!name)
        return y;
    const hsi_onnx_constant *c = &made->result;
    s->status = hsched_graph_add_constant(s->im->graph, name, c->dtype, c->rank, c->dims,
                                          c->data, c->size, HSCHED_DATA_COPY, &y);
    if (s->status == HSCHED_OK)
        s->status = hsi_onnx_track(s->im);
    s->status = hsi_onnx_at_node(s->node, s->status);
    return y;
}

/* 0, 1, ... count - 1 along dimension `axis` of `rank`, all others 1. */
static hsched_tensor places(selection *s, int64_t count, uint32_t axis, uint32_t rank)
{
    int64_t dims[HSCHED_MAX_DIMS];
    for (uint32_t k = 0; k < rank; k++)
        dims[k] = k == axis ? count : 1;
    hsi_onnx_draft *made = draft(s, HSCHED_INT64, rank, dims);
    for (int64_t k = 0; made && k < count; k++)
        hsi_onnx_put_int(made, (size_t)k, k);
    return made ? constant(s, made) : HSCHED_NO_TENSOR;
}

/* The size of a dimension, which is a number from here on. */
static int64_t size_of(selection *s, hsched_tensor x, uint32_t axis)
{
    hsi_onnx_pin(s->im, hsi_onnx_dim_tag(s->im, x, axis));
    return s->im->graph->tensors[x].dims[axis];
}

/* ---- One-hot --------------------------------------------------------------- */

/* Number k of the two values: of those for the places that are not named, and that are. */
static hsched_tensor value_of(selection *s, int k)
{
    const hsi_onnx_constant *values = hsi_onnx_constant_input(s->im, s->node, 2);
    int64_t start = k, along = 0;
    const int64_t end_at = k + 1;
    hsched_tensor y = HSCHED_NO_TENSOR, x;
    if (s->status != HSCHED_OK)
        return y;
    if (values && values->count == 2) {
        hsi_onnx_draft *made = draft(s, values->dtype, 0, NULL);
        if (!made)
            return y;
        hsi_onnx_copy_elements(made, 0, values, (size_t)k, 1);
        return constant(s, made);
    }
    x = input(s, 2);
    if (s->status == HSCHED_OK && (hsi_onnx_rank(s->im, x) != 1 || size_of(s, x, 0) != 2))
        s->status = hsi_onnx_malformed(s->node, "its values are not a list of two");
    const char *name = name_of(s, 0);
    if (name)
        s->status = hsi_onnx_at_node(
            s->node, hsched_graph_add_slice(s->im->graph, name, x, 1, &start, &end_at,
                                            &along, NULL, &y));
    return y;
}

/* Each index gets a dimension of its own, in which its place is compared with all; negative
 * ones count from the end, and what is out of range is nowhere. */
hsched_status hsi_onnx_build_one_hot(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *depth = hsi_onnx_constant_input(im, node, 1);
    selection s = { im, node, HSCHED_OK };
    int64_t given, along, count;
    uint32_t axis;
    if (!depth || depth->count != 1)
        return hsi_onnx_unsupported(im, node,
                                    "a depth other than one number that is known "
                                    "while loading");
    if (depth->tags)
        hsi_onnx_pin(im, depth->tags[0]);
    count = hsi_onnx_get_int(depth, 0);
    if (count < 1)
        return hsi_onnx_malformed(node, "its depth is %lld", (long long)count);
    hsched_tensor x = input(&s, 0), index = HSCHED_NO_TENSOR;
    if (s.status == HSCHED_OK)
        s.status = hsi_onnx_attr_int(node, "axis", -1, &given);
    if (s.status != HSCHED_OK)
        return s.status;
    const uint32_t rank = hsi_onnx_rank(im, x) + 1;
    if (rank > HSCHED_MAX_DIMS)
        return hsi_onnx_unsupported(im, node, "more than %d dimensions", HSCHED_MAX_DIMS);
    s.status = hsi_onnx_axis(node, given, rank, rank, &axis);
    along = s.status == HSCHED_OK ? axis : 0;
    hsched_tensor whole = cast(&s, 0, x, HSCHED_INT64);
    hsched_tensor below =
        pair(&s, 0, HSCHED_BINARY_LESS, whole, number(&s, HSCHED_INT64, 0));
    hsched_tensor raised =
        pair(&s, 0, HSCHED_BINARY_ADD, whole, number(&s, HSCHED_INT64, (double)count));
    whole = where(&s, 0, below, raised, whole);
    const char *name = name_of(&s, 0);
    if (name)
        s.status = hsi_onnx_at_node(
            node, hsched_graph_add_unsqueeze(im->graph, name, whole, 1, &along, &index));
    hsched_tensor here =
        pair(&s, 0, HSCHED_BINARY_EQUAL, index, places(&s, count, (uint32_t)along, rank));
    return end(&s, where(&s, 1, here, value_of(&s, 1), value_of(&s, 0)));
}

/* 1 at the first place of the largest element, else 0; before opset 13 over all dimensions
 * from the axis on. */
hsched_status hsi_onnx_build_hardmax(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const int joined = node->version < 13;
    selection s = { im, node, HSCHED_OK };
    int64_t given, dims[HSCHED_MAX_DIMS];
    uint32_t axis;
    hsched_tensor x = input(&s, 0), y = HSCHED_NO_TENSOR, largest = HSCHED_NO_TENSOR;
    if (s.status == HSCHED_OK)
        s.status = hsi_onnx_attr_int(node, "axis", joined ? 1 : -1, &given);
    if (s.status != HSCHED_OK)
        return s.status;
    uint32_t rank = hsi_onnx_rank(im, x);
    const uint32_t had = rank;
    s.status = hsi_onnx_axis(node, given, rank, rank, &axis);
    if (s.status != HSCHED_OK)
        return s.status;
    const int flat = joined && !(rank == 2 && axis == 1);
    if (flat) {
        hsi_onnx_symbolic_dims(im, x, dims);
        const char *name = name_of(&s, 0);
        if (name)
            s.status = hsi_onnx_at_node(
                node, hsched_graph_add_flatten(im->graph, name, x, (int)axis, &x));
        if (s.status == HSCHED_OK)
            s.status = hsi_onnx_track(im);
        axis = 1;
        rank = 2;
    }
    const char *name = name_of(&s, 0);
    if (name)
        s.status =
            hsi_onnx_at_node(node, hsched_graph_add_arg(im->graph, name, HSCHED_ARG_MAX,
                                                        x, (int)axis, 1, 0, &largest));
    if (s.status != HSCHED_OK)
        return s.status;
    y = pair(&s, 0, HSCHED_BINARY_EQUAL, largest,
             places(&s, size_of(&s, x, axis), axis, rank));
    y = cast(&s, !flat, y, dtype_of(&s, x));
    return end(&s, flat ? reshape(&s, 1, y, had, dims) : y);
}

/* ---- Triangles ------------------------------------------------------------- */

/* How far each place of a matrix is right of the diagonal. */
static hsched_tensor distances(selection *s, int64_t rows, int64_t cols)
{
    const int64_t dims[2] = { rows, cols };
    hsi_onnx_draft *made = draft(s, HSCHED_INT64, 2, dims);
    for (int64_t i = 0; made && i < rows; i++)
        for (int64_t k = 0; k < cols; k++)
            hsi_onnx_put_int(made, (size_t)(i * cols + k), k - i);
    return made ? constant(s, made) : HSCHED_NO_TENSOR;
}

static hsched_tensor triangle(selection *s, int64_t rows, int64_t cols, int upper,
                              int64_t diagonal)
{
    const int64_t dims[2] = { rows, cols };
    hsi_onnx_draft *made = draft(s, HSCHED_BOOL, 2, dims);
    for (int64_t i = 0; made && i < rows; i++)
        for (int64_t k = 0; k < cols; k++)
            hsi_onnx_put_int(made, (size_t)(i * cols + k),
                             upper ? k - i >= diagonal : k - i <= diagonal);
    return made ? constant(s, made) : HSCHED_NO_TENSOR;
}

/* What is outside of the triangle becomes 0, whatever it is. */
hsched_status hsi_onnx_build_trilu(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *k = hsi_onnx_constant_input(im, node, 1);
    selection s = { im, node, HSCHED_OK };
    int64_t upper;
    hsched_tensor inside, x = input(&s, 0);
    if (s.status == HSCHED_OK)
        s.status = hsi_onnx_attr_int(node, "upper", 1, &upper);
    if (s.status != HSCHED_OK)
        return s.status;
    const uint32_t rank = hsi_onnx_rank(im, x);
    if (rank < 2)
        return hsi_onnx_malformed(node, "its input has %u dimensions", rank);
    const int64_t rows = size_of(&s, x, rank - 2), cols = size_of(&s, x, rank - 1);
    if (hsi_onnx_has_input(node, 1) && !k) {
        inside = pair(
            &s, 0, upper ? HSCHED_BINARY_GREATER_OR_EQUAL : HSCHED_BINARY_LESS_OR_EQUAL,
            distances(&s, rows, cols), input(&s, 1));
    } else {
        if (k && k->count != 1)
            return hsi_onnx_malformed(node, "its diagonal is not one number");
        if (k && k->tags)
            hsi_onnx_pin(im, k->tags[0]);
        inside = triangle(&s, rows, cols, upper != 0, k ? hsi_onnx_get_int(k, 0) : 0);
    }
    return end(&s, where(&s, 1, inside, x, number(&s, dtype_of(&s, x), 0)));
}

/* ---- Sequences ------------------------------------------------------------- */

/* Where each place of the first two dimensions, times and sequences or the other way round,
 * is taken from: the first `length` times backwards, the rest as it is. */
static hsched_tensor sources(selection *s, hsched_tensor lengths, int64_t times,
                             int64_t count, uint32_t time_axis)
{
    const int64_t across[2] = { time_axis == 0 ? 1 : count, time_axis == 0 ? count : 1 };
    hsched_tensor time = places(s, times, time_axis, 2);
    hsched_tensor one = number(s, HSCHED_INT64, 1);
    hsched_tensor length = reshape(s, 0, cast(s, 0, lengths, HSCHED_INT64), 2, across);
    hsched_tensor within = pair(s, 0, HSCHED_BINARY_LESS, time, length);
    hsched_tensor last = pair(s, 0, HSCHED_BINARY_SUB, length, one);
    hsched_tensor mirrored = pair(s, 0, HSCHED_BINARY_SUB, last, time);
    return where(s, 0, within, mirrored, time);
}

/* The number of each sequence, [times,count,1]. */
static hsched_tensor sequence_numbers(selection *s, int64_t times, int64_t count)
{
    const int64_t dims[3] = { times, count, 1 };
    hsi_onnx_draft *made = draft(s, HSCHED_INT64, 3, dims);
    for (int64_t t = 0; made && t < times; t++)
        for (int64_t k = 0; k < count; k++)
            hsi_onnx_put_int(made, (size_t)(t * count + k), k);
    return made ? constant(s, made) : HSCHED_NO_TENSOR;
}

hsched_status hsi_onnx_build_reverse_sequence(hsi_onnx_import *im,
                                              const hsi_onnx_node *node)
{
    selection s = { im, node, HSCHED_OK };
    int64_t time_axis, batch_axis;
    hsched_tensor y = HSCHED_NO_TENSOR, tuples[2], x = input(&s, 0),
                  lengths = input(&s, 1);
    if (s.status == HSCHED_OK)
        s.status = hsi_onnx_attr_int(node, "time_axis", 0, &time_axis);
    if (s.status == HSCHED_OK)
        s.status = hsi_onnx_attr_int(node, "batch_axis", 1, &batch_axis);
    if (s.status != HSCHED_OK)
        return s.status;
    if (hsi_onnx_rank(im, x) < 2 || time_axis < 0 || time_axis > 1 ||
        batch_axis != 1 - time_axis)
        return hsi_onnx_malformed(node, "its axes are not 0 and 1");
    const int64_t times = size_of(&s, x, (uint32_t)time_axis);
    const int64_t count = size_of(&s, x, (uint32_t)batch_axis);
    const int64_t dims[3] = { time_axis == 0 ? times : count,
                              time_axis == 0 ? count : times, 1 };
    tuples[0] =
        reshape(&s, 0, sources(&s, lengths, times, count, (uint32_t)time_axis), 3, dims);
    if (time_axis == 0) {
        tuples[1] = sequence_numbers(&s, times, count);
        const char *name = name_of(&s, 0);
        if (name)
            s.status = hsi_onnx_at_node(
                node, hsched_graph_add_concat(im->graph, name, tuples, 2, 2, &tuples[0]));
    }
    const char *name = name_of(&s, 1);
    if (name)
        s.status = hsi_onnx_at_node(
            node, hsched_graph_add_gather_nd(im->graph, name, x, tuples[0],
                                             time_axis == 0 ? 0 : 1, &y));
    return end(&s, y);
}
