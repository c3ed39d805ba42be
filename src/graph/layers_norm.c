/* Adding the layers that normalise by statistics of their input. */
#include "base/status.h"
#include "graph/build.h"

static hsched_status add(hsched_graph *graph, const char *name, hsi_norm_kind kind,
                         const hsched_tensor *inputs, int axis, int64_t groups,
                         float epsilon, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_NORM, name, inputs, 3, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.norm.kind = kind;
    d.given.norm.axis = axis;
    d.given.norm.groups = groups;
    d.given.norm.epsilon = epsilon;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_layer_norm(hsched_graph *graph,
                                                     const char *name, hsched_tensor x,
                                                     hsched_tensor scale,
                                                     hsched_tensor bias, int axis,
                                                     float epsilon, hsched_tensor *y)
{
    const hsched_tensor inputs[] = { x, scale, bias };
    return add(graph, name, HSI_NORM_LAYER, inputs, axis, 0, epsilon, y);
}

HSCHED_API hsched_status hsched_graph_add_rms_norm(hsched_graph *graph, const char *name,
                                                   hsched_tensor x, hsched_tensor scale,
                                                   hsched_tensor bias, int axis,
                                                   float epsilon, hsched_tensor *y)
{
    const hsched_tensor inputs[] = { x, scale, bias };
    return add(graph, name, HSI_NORM_RMS, inputs, axis, 0, epsilon, y);
}

HSCHED_API hsched_status hsched_graph_add_instance_norm(hsched_graph *graph,
                                                        const char *name, hsched_tensor x,
                                                        hsched_tensor scale,
                                                        hsched_tensor bias, float epsilon,
                                                        hsched_tensor *y)
{
    const hsched_tensor inputs[] = { x, scale, bias };
    return add(graph, name, HSI_NORM_INSTANCE, inputs, 1, 0, epsilon, y);
}

HSCHED_API hsched_status hsched_graph_add_group_norm(hsched_graph *graph,
                                                     const char *name, hsched_tensor x,
                                                     int64_t groups, hsched_tensor scale,
                                                     hsched_tensor bias, float epsilon,
                                                     hsched_tensor *y)
{
    const hsched_tensor inputs[] = { x, scale, bias };
    return add(graph, name, HSI_NORM_GROUP, inputs, 1, groups, epsilon, y);
}
