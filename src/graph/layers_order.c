/* Adding the layers that compare, or add up, the elements along an axis. */
#include "base/alloc.h"
#include "base/status.h"
#include "graph/build.h"

HSCHED_API hsched_status hsched_graph_add_arg(hsched_graph *graph, const char *name,
                                              hsched_arg_kind kind, hsched_tensor x,
                                              int axis, int keep_dims, int select_last,
                                              hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_ARG, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.arg.axis = axis;
    d.given.arg.kind = kind;
    d.given.arg.keep_dims = keep_dims != 0;
    d.given.arg.select_last = select_last != 0;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

static hsched_status add_indices(hsched_graph *graph, const char *name, hsched_tensor x,
                                 int64_t k, int axis, int largest, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_TOP_K, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.top_k.k = k;
    d.given.top_k.axis = axis;
    d.given.top_k.largest = largest != 0;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

/* What can fail does so before the first of the two layers is there. */
HSCHED_API hsched_status hsched_graph_add_top_k(hsched_graph *graph, const char *name,
                                                hsched_tensor x, int64_t k, int axis,
                                                int largest, hsched_tensor *y_values,
                                                hsched_tensor *y_indices)
{
    hsched_tensor indices = HSCHED_NO_TENSOR;
    char *values_name = NULL, *indices_name = NULL;
    if (!y_indices)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "y_indices is NULL; pass where to put the tensor");
    *y_indices = HSCHED_NO_TENSOR;
    if (!y_values)
        return add_indices(graph, name, x, k, axis, largest, y_indices);
    *y_values = HSCHED_NO_TENSOR;
    hsched_status status = hsi_graph_check_mutable(graph);
    if (status == HSCHED_OK)
        status = hsi_names_choose(graph, name, "top_k", &values_name);
    if (status != HSCHED_OK)
        return status;
    indices_name = hsi_asprintf("%s/indices", values_name);
    status = indices_name
                 ? add_indices(graph, indices_name, x, k, axis, largest, &indices)
                 : hsi_out_of_memory("a layer's name");
    if (status == HSCHED_OK)
        status = hsched_graph_add_gather_elements(graph, values_name, x, indices, axis,
                                                  y_values);
    if (status == HSCHED_OK)
        *y_indices = indices;
    hsi_free(values_name);
    hsi_free(indices_name);
    return status;
}

static hsched_status add_running(hsched_graph *graph, const char *name, hsched_tensor x,
                                 int axis, int exclusive, int reverse, int product,
                                 hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_CUMSUM, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.cumsum.axis = axis;
    d.given.cumsum.exclusive = exclusive != 0;
    d.given.cumsum.reverse = reverse != 0;
    d.given.cumsum.product = product;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_cumsum(hsched_graph *graph, const char *name,
                                                 hsched_tensor x, int axis, int exclusive,
                                                 int reverse, hsched_tensor *y)
{
    return add_running(graph, name, x, axis, exclusive, reverse, 0, y);
}

HSCHED_API hsched_status hsched_graph_add_cumprod(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, int axis,
                                                  int exclusive, int reverse,
                                                  hsched_tensor *y)
{
    return add_running(graph, name, x, axis, exclusive, reverse, 1, y);
}
