/* Adding the layers that pick, and put, by indices. */
#include "base/status.h"
#include "graph/build.h"

static hsched_status add(hsched_graph *graph, hsi_layer_kind kind, const char *name,
                         hsched_tensor x, hsched_tensor indices, int axis,
                         hsched_tensor *y)
{
    const hsched_tensor inputs[2] = { x, indices };
    hsi_draft d = { graph, kind, name, inputs, 2, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.softmax.axis = axis;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_gather(hsched_graph *graph, const char *name,
                                                 hsched_tensor x, hsched_tensor indices,
                                                 int axis, hsched_tensor *y)
{
    return add(graph, HSI_LAYER_GATHER, name, x, indices, axis, y);
}

HSCHED_API hsched_status hsched_graph_add_gather_elements(hsched_graph *graph,
                                                          const char *name,
                                                          hsched_tensor x,
                                                          hsched_tensor indices, int axis,
                                                          hsched_tensor *y)
{
    return add(graph, HSI_LAYER_GATHER_ELEMENTS, name, x, indices, axis, y);
}

HSCHED_API hsched_status hsched_graph_add_gather_nd(hsched_graph *graph, const char *name,
                                                    hsched_tensor x,
                                                    hsched_tensor indices, int batch_dims,
                                                    hsched_tensor *y)
{
    const hsched_tensor inputs[2] = { x, indices };
    hsi_draft d = { graph, HSI_LAYER_GATHER_ND, name, inputs, 2, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.batch_dims = batch_dims;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

static hsched_status add_scatter(hsched_graph *graph, hsi_layer_kind layer,
                                 const char *name, const hsched_tensor *inputs, int axis,
                                 hsched_scatter_kind kind, hsched_tensor *y)
{
    hsi_draft d = { graph, layer, name, inputs, 3, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.scatter.axis = axis;
    d.given.scatter.kind = kind;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_scatter_elements(
    hsched_graph *graph, const char *name, hsched_tensor x, hsched_tensor indices,
    hsched_tensor updates, int axis, hsched_scatter_kind kind, hsched_tensor *y)
{
    const hsched_tensor inputs[3] = { x, indices, updates };
    return add_scatter(graph, HSI_LAYER_SCATTER_ELEMENTS, name, inputs, axis, kind, y);
}

HSCHED_API hsched_status hsched_graph_add_scatter_nd(
    hsched_graph *graph, const char *name, hsched_tensor x, hsched_tensor indices,
    hsched_tensor updates, hsched_scatter_kind kind, hsched_tensor *y)
{
    const hsched_tensor inputs[3] = { x, indices, updates };
    return add_scatter(graph, HSI_LAYER_SCATTER_ND, name, inputs, 0, kind, y);
}
