/* Adding the layers that move data, and those that take a list of axes. */
#include "base/status.h"
#include "graph/build.h"

/* More entries than dimensions can never be right, and would not fit. */
static hsched_status check_list(const char *what, uint32_t count, const void *list)
{
    if (count > HSCHED_MAX_DIMS)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "%s has %u entries, but tensors have at most %d dimensions; give "
            "one for each at most",
            what, count, HSCHED_MAX_DIMS);
    if (count > 0 && !list)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "%s is NULL, but %u entries are needed; pass an array", what,
                         count);
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_graph_add_concat(hsched_graph *graph, const char *name,
                                                 const hsched_tensor *inputs,
                                                 uint32_t count, int axis,
                                                 hsched_tensor *y)
{
    /* The inputs are looked at only once it is known that there are any. */
    hsi_draft d = { graph, HSI_LAYER_CONCAT, name, inputs, inputs ? count : 0, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    if (d.input_count == 0)
        return hsi_draft_fail(&d,
                              hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                                        "there are no inputs (count %u, inputs %s); pass "
                                        "at least one",
                                        count, inputs ? "given" : "NULL"));
    d.given.concat.axis = axis;
    return hsi_draft_append(&d);
}

HSCHED_API hsched_status hsched_graph_add_slice(hsched_graph *graph, const char *name,
                                                hsched_tensor x, uint32_t count,
                                                const int64_t *starts,
                                                const int64_t *ends, const int64_t *axes,
                                                const int64_t *steps, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_SLICE, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = check_list("starts", count, starts);
    if (status == HSCHED_OK)
        status = check_list("ends", count, ends);
    if (status != HSCHED_OK)
        return hsi_draft_fail(&d, status);
    d.given.slice.count = count;
    for (uint32_t k = 0; k < count; k++) {
        d.given.slice.starts[k] = starts[k];
        d.given.slice.ends[k] = ends[k];
        d.given.slice.axes[k] = axes ? axes[k] : k;
        d.given.slice.steps[k] = steps ? steps[k] : 1;
    }
    return hsi_draft_append(&d);
}

HSCHED_API hsched_status hsched_graph_add_pad(hsched_graph *graph, const char *name,
                                              hsched_tensor x, const int64_t *before,
                                              const int64_t *after, hsched_pad_mode mode,
                                              float value, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_PAD, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    uint32_t rank = graph->tensors[x].rank;
    status = check_list("before", rank, before);
    if (status == HSCHED_OK)
        status = check_list("after", rank, after);
    if (status != HSCHED_OK)
        return hsi_draft_fail(&d, status);
    for (uint32_t i = 0; i < rank; i++) {
        d.given.pad.before[i] = before[i];
        d.given.pad.after[i] = after[i];
    }
    d.given.pad.mode = mode;
    d.given.pad.value = value;
    return hsi_draft_append(&d);
}

static hsched_status add_with_dims(hsi_draft *d, uint32_t rank, const int64_t *dims)
{
    hsched_status status = hsi_draft_begin(d);
    if (status != HSCHED_OK)
        return status;
    status = check_list("dims", rank, dims);
    if (status != HSCHED_OK)
        return hsi_draft_fail(d, status);
    d->given.reshape.rank = rank;
    for (uint32_t i = 0; i < rank; i++)
        d->given.reshape.dims[i] = dims[i];
    return hsi_draft_append(d);
}

HSCHED_API hsched_status hsched_graph_add_reshape(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, uint32_t rank,
                                                  const int64_t *dims, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_RESHAPE, name, &x, 1, y };
    return add_with_dims(&d, rank, dims);
}

HSCHED_API hsched_status hsched_graph_add_expand(hsched_graph *graph, const char *name,
                                                 hsched_tensor x, uint32_t rank,
                                                 const int64_t *dims, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_EXPAND, name, &x, 1, y };
    return add_with_dims(&d, rank, dims);
}

HSCHED_API hsched_status hsched_graph_add_flatten(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, int axis,
                                                  hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_FLATTEN, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.flatten.axis = axis;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

/* `kind`: of a reduction, else 0. */
static hsched_status add_with_axes(hsi_draft *d, uint32_t count, const int64_t *axes,
                                   int keep_dims, hsched_reduce_kind kind)
{
    hsched_status status = hsi_draft_begin(d);
    if (status != HSCHED_OK)
        return status;
    status = check_list("axes", count, axes);
    if (status != HSCHED_OK)
        return hsi_draft_fail(d, status);
    d->given.axes.count = count;
    d->given.axes.keep_dims = keep_dims != 0;
    d->given.axes.reduce = kind;
    for (uint32_t i = 0; i < count; i++)
        d->given.axes.axes[i] = axes[i];
    return hsi_draft_append(d);
}

HSCHED_API hsched_status hsched_graph_add_squeeze(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, uint32_t count,
                                                  const int64_t *axes, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_SQUEEZE, name, &x, 1, y };
    return add_with_axes(&d, count, axes, 0, 0);
}

HSCHED_API hsched_status hsched_graph_add_unsqueeze(hsched_graph *graph, const char *name,
                                                    hsched_tensor x, uint32_t count,
                                                    const int64_t *axes, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_UNSQUEEZE, name, &x, 1, y };
    return add_with_axes(&d, count, axes, 0, 0);
}

HSCHED_API hsched_status hsched_graph_add_transpose(hsched_graph *graph, const char *name,
                                                    hsched_tensor x, const int64_t *perm,
                                                    hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_TRANSPOSE, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    uint32_t rank = graph->tensors[x].rank;
    for (uint32_t i = 0; i < rank; i++)
        d.given.transpose.perm[i] = perm ? perm[i] : (int64_t)(rank - 1 - i);
    return hsi_draft_append(&d);
}

HSCHED_API hsched_status hsched_graph_add_reduce(hsched_graph *graph, const char *name,
                                                 hsched_reduce_kind kind, hsched_tensor x,
                                                 uint32_t count, const int64_t *axes,
                                                 int keep_dims, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_REDUCE, name, &x, 1, y };
    return add_with_axes(&d, count, axes, keep_dims, kind);
}

HSCHED_API hsched_status hsched_graph_add_reduce_mean(hsched_graph *graph,
                                                      const char *name, hsched_tensor x,
                                                      uint32_t count, const int64_t *axes,
                                                      int keep_dims, hsched_tensor *y)
{
    return hsched_graph_add_reduce(graph, name, HSCHED_REDUCE_MEAN, x, count, axes,
                                   keep_dims, y);
}
