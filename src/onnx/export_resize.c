/* Resizing as a node. */
#include "base/status.h"
#include "onnx/export.h"

static const char *const modes[] = { "", "nearest", "linear", "cubic" };
static const char *const coordinates[] = {
    [HSCHED_RESIZE_HALF_PIXEL] = "half_pixel",
    [HSCHED_RESIZE_ALIGN_CORNERS] = "align_corners",
    [HSCHED_RESIZE_ASYMMETRIC] = "asymmetric",
    [HSCHED_RESIZE_PYTORCH_HALF_PIXEL] = "pytorch_half_pixel",
    [HSCHED_RESIZE_CROP] = "tf_crop_and_resize",
    [HSCHED_RESIZE_TF_HALF_PIXEL] = NULL,
};
static const char *const roundings[] = { "round_prefer_floor", "round_prefer_ceil",
                                         "floor", "ceil" };

hsched_status hsi_onnx_export_resize(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsched_resize_config *c = &layer->attrs.resize, *given = &layer->given.resize;
    const hsi_graph_tensor *x = &e->graph->tensors[layer->inputs[0]],
                           *out = &e->graph->tensors[layer->output];
    const char *y = hsi_onnx_tensor_name(e, layer->output), *roi = "", *scales, *sizes;
    const uint32_t rank = x->rank;
    float region[2 * HSCHED_MAX_DIMS];
    int scaled = 0, sized = 0;
    if (coordinates[c->coordinates] == NULL || c->antialias)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "opset %d, in which models are written, has no antialias and "
                         "none of these coordinates; resize in another way",
                         HSI_ONNX_EXPORT_OPSET);
    for (uint32_t k = 0; k < rank; k++) {
        region[k] = c->roi_start[k];
        region[rank + k] = c->roi_end[k];
        scaled |= given->scales[k] > 0 && given->scales[k] != 1;
        sized |= given->sizes[k] > 0 && given->sizes[k] != x->dims[k];
    }
    if (scaled && sized)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "a resizing by both scales and sizes cannot be written; give one "
            "of them");
    const int64_t length = rank, twice = 2 * (int64_t)rank;
    if (c->coordinates == HSCHED_RESIZE_CROP)
        roi = hsi_onnx_put_floats(e, y, 1, &twice, region);
    scales = scaled ? hsi_onnx_put_floats(e, y, 1, &length, c->scales) : "";
    sizes = scaled ? NULL : hsi_onnx_put_ints(e, y, out->dims, rank);
    hsi_onnx_node_begin(e, "Resize", y, hsi_onnx_tensor_name(e, layer->inputs[0]), roi,
                        scales);
    if (sizes != NULL)
        hsi_onnx_node_input(e, sizes);
    hsi_onnx_node_text(e, "mode", modes[c->mode]);
    hsi_onnx_node_text(e, "coordinate_transformation_mode", coordinates[c->coordinates]);
    hsi_onnx_node_text(e, "nearest_mode", roundings[c->rounding]);
    hsi_onnx_node_float(e, "cubic_coeff_a", c->cubic_a);
    hsi_onnx_node_int(e, "exclude_outside", c->exclude_outside != 0);
    hsi_onnx_node_float(e, "extrapolation_value", c->extrapolation_value);
    hsi_onnx_node_end(e);
    return HSCHED_OK;
}
