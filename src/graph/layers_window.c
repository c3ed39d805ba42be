/* Adding the layers that slide a window over images of 1 to 3 spatial dimensions. */
#include <string.h>

#include "base/status.h"
#include "graph/build.h"

/* Which of the two kinds: images [N,C,H,W] have one of their own. */
static int is_flat(const hsched_graph *graph, hsched_tensor x)
{
    return graph != NULL && x < graph->tensor_count && graph->tensors[x].rank == 4;
}

/* A number that the two-dimensional layer has no place for may not be set. */
static hsched_status third_unused(const int64_t *pads, const int64_t *const numbers[],
                                  uint32_t count)
{
    int64_t any = pads[4] | pads[5];
    for (uint32_t i = 0; i < count; i++)
        any |= numbers[i][2];
    if (any == 0)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                     "numbers for a third spatial dimension were given, but x is "
                     "[N,C,H,W]; leave them 0");
}

HSCHED_API hsched_status hsched_graph_add_conv(hsched_graph *graph, const char *name,
                                               hsched_tensor x, hsched_tensor weights,
                                               hsched_tensor bias,
                                               const hsched_conv_config *config,
                                               hsched_tensor *y)
{
    const hsched_tensor inputs[] = { x, weights, bias };
    hsched_conv_config c;
    const int flat = is_flat(graph, x);
    hsi_draft d = { graph, flat ? HSI_LAYER_CONV2D : HSI_LAYER_CONV, name, inputs, 3, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = hsi_config_read(config, &c, sizeof c, "hsched_conv_config");
    if (status == HSCHED_OK && flat)
        status =
            third_unused(c.pads, (const int64_t *const[]){ c.strides, c.dilations }, 2);
    if (status != HSCHED_OK)
        return hsi_draft_fail(&d, status);
    if (flat) {
        hsched_conv2d_config *to = &d.given.conv2d;
        *to = (hsched_conv2d_config){ HSCHED_CONV2D_CONFIG_INIT, .groups = c.groups,
                                      .auto_pad = c.auto_pad };
        memcpy(to->strides, c.strides, sizeof to->strides);
        memcpy(to->pads, c.pads, sizeof to->pads);
        memcpy(to->dilations, c.dilations, sizeof to->dilations);
    } else {
        d.given.conv = c;
    }
    return hsi_draft_append(&d);
}

HSCHED_API hsched_status hsched_graph_add_pool(hsched_graph *graph, const char *name,
                                               hsched_pool_kind kind, hsched_tensor x,
                                               const hsched_pool_config *config,
                                               hsched_tensor *y)
{
    hsched_pool_config c;
    const int flat = is_flat(graph, x);
    hsi_draft d = { graph, flat ? HSI_LAYER_POOL2D : HSI_LAYER_POOL, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = hsi_config_read(config, &c, sizeof c, "hsched_pool_config");
    if (status == HSCHED_OK && flat)
        status = third_unused(
            c.pads, (const int64_t *const[]){ c.kernel, c.strides, c.dilations }, 3);
    if (status != HSCHED_OK)
        return hsi_draft_fail(&d, status);
    if (flat) {
        hsched_pool2d_config *to = &d.given.pool2d.config;
        *to = (hsched_pool2d_config){ HSCHED_POOL2D_CONFIG_INIT, .auto_pad = c.auto_pad,
                                      .ceil_mode = c.ceil_mode,
                                      .count_include_pad = c.count_include_pad };
        memcpy(to->kernel, c.kernel, sizeof to->kernel);
        memcpy(to->strides, c.strides, sizeof to->strides);
        memcpy(to->pads, c.pads, sizeof to->pads);
        memcpy(to->dilations, c.dilations, sizeof to->dilations);
        d.given.pool2d.kind = kind;
    } else {
        d.given.pool.config = c;
        d.given.pool.kind = kind;
    }
    return hsi_draft_append(&d);
}

HSCHED_API hsched_status hsched_graph_add_max_pool_indices(
    hsched_graph *graph, const char *name, hsched_tensor x,
    const hsched_pool_config *config, int column_major, hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_MAX_POOL_INDICES, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = hsi_config_read(config, &d.given.pool.config, sizeof d.given.pool.config,
                             "hsched_pool_config");
    if (status == HSCHED_OK && is_flat(graph, x))
        status = third_unused(d.given.pool.config.pads,
                              (const int64_t *const[]){ d.given.pool.config.kernel,
                                                        d.given.pool.config.strides,
                                                        d.given.pool.config.dilations },
                              3);
    d.given.pool.kind = HSCHED_POOL_MAX;
    d.given.pool.column_major = column_major != 0;
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}

HSCHED_API hsched_status hsched_graph_add_conv_transpose(
    hsched_graph *graph, const char *name, hsched_tensor x, hsched_tensor weights,
    hsched_tensor bias, const hsched_conv_transpose_config *config, hsched_tensor *y)
{
    const hsched_tensor inputs[] = { x, weights, bias };
    hsi_draft d = { graph, HSI_LAYER_CONV_TRANSPOSE, name, inputs, 3, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status =
        hsi_config_read(config, &d.given.conv_transpose, sizeof d.given.conv_transpose,
                        "hsched_conv_transpose_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}

HSCHED_API hsched_status hsched_graph_add_resize(hsched_graph *graph, const char *name,
                                                 hsched_tensor x,
                                                 const hsched_resize_config *config,
                                                 hsched_tensor *y)
{
    hsi_draft d = { graph, HSI_LAYER_RESIZE, name, &x, 1, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = hsi_config_read(config, &d.given.resize, sizeof d.given.resize,
                             "hsched_resize_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}
