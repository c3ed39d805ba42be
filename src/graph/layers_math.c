/* Adding the layers that compute. */
#include "base/status.h"
#include "graph/build.h"

HSCHED_API hsched_status hsched_graph_add_conv2d(hsched_graph *graph, const char *name,
                                                 hsched_tensor x, hsched_tensor weights,
                                                 hsched_tensor bias,
                                                 const hsched_conv2d_config *config,
                                                 hsched_tensor *y)
{
    const hsched_tensor inputs[] = { x, weights, bias };
    hsi_draft d = { graph, HSI_LAYER_CONV2D, name, inputs, 3, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = hsi_config_read(config, &d.given.conv2d, sizeof d.given.conv2d,
                             "hsched_conv2d_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}

HSCHED_API hsched_status hsched_graph_add_fully_connected(
    hsched_graph *graph, const char *name, hsched_tensor x, hsched_tensor weights,
    hsched_tensor bias, hsched_tensor *y)
{
    const hsched_tensor inputs[] = { x, weights, bias };
    hsi_draft d = { graph, HSI_LAYER_FULLY_CONNECTED, name, inputs, 3, y };
    hsched_status status = hsi_draft_begin(&d);
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_matmul(hsched_graph *graph, const char *name,
                                                 hsched_tensor a, hsched_tensor b,
                                                 hsched_tensor *y)
{
    const hsched_tensor inputs[] = { a, b };
    hsi_draft d = { graph, HSI_LAYER_MATMUL, name, inputs, 2, y };
    hsched_status status = hsi_draft_begin(&d);
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_pool2d(hsched_graph *graph, const char *name,
                                                 hsched_pool_kind kind, hsched_tensor x,
                                                 const hsched_pool2d_config *config,
                                                 hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_POOL2D, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    d.given.pool2d.kind = kind;
    status = hsi_config_read(config, &d.given.pool2d.config, sizeof d.given.pool2d.config,
                             "hsched_pool2d_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}

HSCHED_API hsched_status hsched_graph_add_global_pool(hsched_graph *graph,
                                                      const char *name,
                                                      hsched_pool_kind kind,
                                                      hsched_tensor x, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_GLOBAL_POOL, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.global_pool = kind;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status
hsched_graph_add_batch_norm(hsched_graph *graph, const char *name, hsched_tensor x,
                            hsched_tensor scale, hsched_tensor shift, hsched_tensor mean,
                            hsched_tensor variance, float epsilon, hsched_tensor *y)
{
    const hsched_tensor inputs[] = { x, scale, shift, mean, variance };
    hsi_draft d = { graph, HSI_LAYER_BATCH_NORM, name, inputs, 5, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.batch_norm.epsilon = epsilon;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_lrn(hsched_graph *graph, const char *name,
                                              hsched_tensor x,
                                              const hsched_lrn_config *config,
                                              hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_LRN, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status =
        hsi_config_read(config, &d.given.lrn, sizeof d.given.lrn, "hsched_lrn_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}

static hsched_status add_softmax(hsched_graph *graph, const char *name, hsched_tensor x,
                                 int axis, int log, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_SOFTMAX, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.softmax.axis = axis;
    d.given.softmax.log = log;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_softmax(hsched_graph *graph, const char *name,
                                                  hsched_tensor x, int axis,
                                                  hsched_tensor *y)
{
    return add_softmax(graph, name, x, axis, 0, y);
}

HSCHED_API hsched_status hsched_graph_add_log_softmax(hsched_graph *graph,
                                                      const char *name, hsched_tensor x,
                                                      int axis, hsched_tensor *y)
{
    return add_softmax(graph, name, x, axis, 1, y);
}

HSCHED_API hsched_status hsched_graph_add_activation(hsched_graph *graph,
                                                     const char *name, hsched_tensor x,
                                                     hsched_activation activation,
                                                     hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_ACTIVATION, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.activation = activation;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}

HSCHED_API hsched_status hsched_graph_add_binary(hsched_graph *graph, const char *name,
                                                 hsched_binary_kind kind, hsched_tensor a,
                                                 hsched_tensor b, hsched_tensor *y)
{
    const hsched_tensor inputs[] = { a, b };
    hsi_draft d = { graph, HSI_LAYER_BINARY, name, inputs, 2, y };
    hsched_status status = hsi_draft_begin(&d);
    d.given.binary = kind;
    return status == HSCHED_OK ? hsi_draft_append(&d) : status;
}
