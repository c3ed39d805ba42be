/* Adding the layers that take tensors of several types. */
#include "graph/build.h"

HSCHED_API hsched_status hsched_graph_add_cast(hsched_graph *graph, const char *name,
                                               hsched_tensor x, hsched_dtype dtype,
                                               hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_CAST, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.cast = dtype;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_where(hsched_graph *graph, const char *name,
                                                hsched_tensor condition, hsched_tensor a,
                                                hsched_tensor b, hsched_tensor *y)
{
    const hsched_tensor inputs[] = { condition, a, b };
    hsi_draft d = { graph, HSI_LAYER_WHERE, name, inputs, 3, y };
    hsched_status status = hsi_draft_begin(&d);
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}
