/* Adding the layers that sample images at places that come at run time. */
#include "base/status.h"
#include "graph/build.h"

HSCHED_API hsched_status hsched_graph_add_grid_sample(
    hsched_graph *graph, const char *name, hsched_tensor x, hsched_tensor grid,
    const hsched_grid_sample_config *config, hsched_tensor *y)
{
    const hsched_tensor inputs[2] = { x, grid };
    hsi_draft d = { graph, HSI_LAYER_GRID_SAMPLE, name, inputs, 2, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = hsi_config_read(config, &d.given.grid_sample, sizeof d.given.grid_sample,
                             "hsched_grid_sample_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}

HSCHED_API hsched_status hsched_graph_add_non_max_suppression(
    hsched_graph *graph, const char *name, hsched_tensor boxes, hsched_tensor scores,
    const hsched_nms_config *config, hsched_tensor *y)
{
    const hsched_tensor inputs[2] = { boxes, scores };
    hsi_draft d = { graph, HSI_LAYER_NMS, name, inputs, 2, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status =
        hsi_config_read(config, &d.given.nms, sizeof d.given.nms, "hsched_nms_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}

HSCHED_API hsched_status hsched_graph_add_roi_align(
    hsched_graph *graph, const char *name, hsched_tensor x, hsched_tensor regions,
    hsched_tensor images, const hsched_roi_align_config *config, hsched_tensor *y)
{
    const hsched_tensor inputs[3] = { x, regions, images };
    hsi_draft d = { graph, HSI_LAYER_ROI_ALIGN, name, inputs, 3, y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = hsi_config_read(config, &d.given.roi_align, sizeof d.given.roi_align,
                             "hsched_roi_align_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}
