/* One-hot: indices compared with all places. */
#include "base/alloc.h"
#include "base/status.h"
#include "graph/build.h"

/* The layers and constants under the result's name, in the order in which they are made. */
typedef enum part {
    ZERO,
    DEPTH,
    PLACES,
    BELOW,  /* the index is negative */
    RAISED, /* counted from the end */
    PLACE,
    APART, /* with a dimension of its own */
    SAME,
    PARTS
} part;

typedef struct one_hot {
    hsi_draft draft;
    uint32_t tensors, layers; /* before */
    char *name, *parts[PARTS];
    hsched_tensor made[PARTS];
    hsched_dtype index_dtype;
    int64_t depth, axis;
    hsched_dtype dtype;
} one_hot;

static hsched_status check(one_hot *o, int axis)
{
    const hsi_graph_tensor *x = &o->draft.graph->tensors[o->draft.inputs[0]];
    const int64_t rank = x->rank + 1;
    o->index_dtype = x->dtype;
    o->axis = axis < 0 ? axis + rank : axis;
    if (x->dtype != HSCHED_INT64 && x->dtype != HSCHED_INT32)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "indices are %s; cast them to int64 or int32",
                         hsched_dtype_name(x->dtype));
    if (rank > HSCHED_MAX_DIMS || o->axis < 0 || o->axis >= rank)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "axis %d is none of a result of %lld dimensions; at most %d are "
                         "possible",
                         axis, (long long)rank, HSCHED_MAX_DIMS);
    if (o->depth < 1 || o->depth > INT32_MAX)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "depth is %lld; give 1 or more, and at most 2147483647",
                         (long long)o->depth);
    return HSCHED_OK;
}

static hsched_status begin(one_hot *o)
{
    static const char *const names[PARTS] = { "zero",   "depth", "places", "below",
                                              "raised", "place", "apart",  "same" };
    hsched_graph *graph = o->draft.graph;
    hsched_status status = hsi_draft_begin(&o->draft);
    if (status != HSCHED_OK)
        return status;
    o->tensors = graph->tensor_count;
    o->layers = graph->layer_count;
    status = hsi_names_choose(graph, o->draft.name, "one_hot", &o->name);
    for (int k = 0; k < PARTS && status == HSCHED_OK; k++)
        status = hsi_names_choose_like(graph, o->name, names[k], &o->parts[k]);
    return status;
}

/* `count` numbers from `first` on, of the indices' type, along the axis of `rank`. */
static hsched_status numbers(one_hot *o, part which, uint32_t rank, int64_t count,
                             int64_t first)
{
    const int narrow = o->index_dtype == HSCHED_INT32;
    int64_t dims[HSCHED_MAX_DIMS], *values = HSI_NEW_ARRAY(int64_t, (size_t)count);
    if (!values)
        return hsi_out_of_memory("the places of a one-hot");
    for (uint32_t k = 0; k < rank; k++)
        dims[k] = k == o->axis ? count : 1;
    for (int64_t k = 0; k < count; k++) {
        if (narrow)
            ((int32_t *)values)[k] = (int32_t)(first + k);
        else
            values[k] = first + k;
    }
    hsched_status status = hsched_graph_add_constant(
        o->draft.graph, o->parts[which], o->index_dtype, rank, dims, values,
        (size_t)count * (narrow ? sizeof(int32_t) : sizeof(int64_t)), HSCHED_DATA_COPY,
        &o->made[which]);
    hsi_free(values);
    return status;
}

/* An index that is out of range is no place. */
static hsched_status place(one_hot *o)
{
    hsched_graph *graph = o->draft.graph;
    const hsched_tensor x = o->draft.inputs[0];
    hsched_tensor *made = o->made;
    hsched_status status = numbers(o, ZERO, 0, 1, 0);
    if (status == HSCHED_OK)
        status = numbers(o, DEPTH, 0, 1, o->depth);
    if (status == HSCHED_OK)
        status = hsched_graph_add_binary(graph, o->parts[BELOW], HSCHED_BINARY_LESS, x,
                                         made[ZERO], &made[BELOW]);
    if (status == HSCHED_OK)
        status = hsched_graph_add_binary(graph, o->parts[RAISED], HSCHED_BINARY_ADD, x,
                                         made[DEPTH], &made[RAISED]);
    if (status == HSCHED_OK)
        status = hsched_graph_add_where(graph, o->parts[PLACE], made[BELOW], made[RAISED],
                                        x, &made[PLACE]);
    if (status == HSCHED_OK)
        status = hsched_graph_add_unsqueeze(graph, o->parts[APART], made[PLACE], 1,
                                            &o->axis, &made[APART]);
    return status;
}

static hsched_status compare(one_hot *o, hsched_tensor *y)
{
    hsched_graph *graph = o->draft.graph;
    const uint32_t rank = graph->tensors[o->made[APART]].rank;
    const int is_bool = o->dtype == HSCHED_BOOL;
    hsched_status status = numbers(o, PLACES, rank, o->depth, 0);
    if (status == HSCHED_OK)
        status = hsched_graph_add_binary(graph, is_bool ? o->name : o->parts[SAME],
                                         HSCHED_BINARY_EQUAL, o->made[APART],
                                         o->made[PLACES], is_bool ? y : &o->made[SAME]);
    if (status == HSCHED_OK && !is_bool)
        status = hsched_graph_add_cast(graph, o->name, o->made[SAME], o->dtype, y);
    return status;
}

HSCHED_API hsched_status hsched_graph_add_one_hot(hsched_graph *graph, const char *name,
                                                  hsched_tensor indices, int64_t depth,
                                                  int axis, hsched_dtype dtype,
                                                  hsched_tensor *y)
{
    one_hot o = { .draft = { graph, HSI_LAYER_CAST, name, &indices, 1, y },
                  .depth = depth,
                  .dtype = dtype };
    hsched_status status = begin(&o);
    if (status == HSCHED_OK)
        status = check(&o, axis);
    if (status == HSCHED_OK)
        status = place(&o);
    if (status == HSCHED_OK)
        status = compare(&o, y);
    if (status != HSCHED_OK && o.name) {
        hsi_graph_rewind(graph, o.tensors, o.layers);
        *y = HSCHED_NO_TENSOR;
        status = hsi_error_prefix(status, "layer '%.200s' (one_hot): ", o.name);
    }
    hsi_free(o.name);
    for (int k = 0; k < PARTS; k++)
        hsi_free(o.parts[k]);
    return status;
}
