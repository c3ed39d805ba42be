/* Layers that sample images, and choose boxes, as nodes. */
#include <math.h>

#include "base/status.h"
#include "onnx/export.h"

/* Opset 13 has no GridSample: it came with 16. */
hsched_status hsi_onnx_export_grid_sample(hsi_onnx_export *e, const hsi_layer *layer)
{
    (void)e;
    (void)layer;
    return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                     "opset %d, in which models are written, has no "
                     "GridSample",
                     HSI_ONNX_EXPORT_OPSET);
}

/* 1 if the layer's output is one of the model's, and nothing else reads it. */
static int only_goes_out(const hsi_onnx_export *e, const hsi_layer *layer)
{
    for (uint32_t k = 0; k < e->graph->layer_count; k++)
        for (uint32_t i = 0; i < e->graph->layers[k].input_count; i++)
            if (e->graph->layers[k].inputs[i] == layer->output)
                return 0;
    return 1;
}

/* Where other layers read the result, the rows of -1 are put behind it. */
void hsi_onnx_export_nms(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsched_nms_config *c = &layer->attrs.nms;
    const char *y = hsi_onnx_tensor_name(e, layer->output);
    const char *chosen = only_goes_out(e, layer) ? y : hsi_onnx_new_name(e, y);
    const int64_t one = 1, *rows = e->graph->tensors[layer->output].dims;
    const char *most = hsi_onnx_put_ints(e, y, &c->max_per_class, 1);
    const char *iou = hsi_onnx_put_floats(e, y, 1, &one, &c->iou_threshold);
    const char *least = isinf(c->score_threshold) && c->score_threshold < 0
                            ? NULL
                            : hsi_onnx_put_floats(e, y, 1, &one, &c->score_threshold);
    hsi_onnx_node_begin(e, "NonMaxSuppression", chosen,
                        hsi_onnx_tensor_name(e, layer->inputs[0]),
                        hsi_onnx_tensor_name(e, layer->inputs[1]), most);
    hsi_onnx_node_input(e, iou);
    if (least != NULL)
        hsi_onnx_node_input(e, least);
    hsi_onnx_node_int(e, "center_point_box", c->center_point_box != 0);
    hsi_onnx_node_end(e);
    if (chosen == y)
        return;
    const int64_t none = -1, zero = 0;
    const char *row = hsi_onnx_put_ints(e, y, &none, 1);
    const char *padding =
        hsi_onnx_put(e, "Expand", NULL, row, hsi_onnx_put_ints(e, y, rows, 2));
    const char *all = hsi_onnx_new_name(e, y);
    hsi_onnx_node_begin(e, "Concat", all, chosen, padding, NULL);
    hsi_onnx_node_int(e, "axis", 0);
    hsi_onnx_node_end(e);
    hsi_onnx_node_begin(e, "Slice", y, all, hsi_onnx_put_ints(e, y, &zero, 1),
                        hsi_onnx_put_ints(e, y, rows, 1));
    hsi_onnx_node_end(e);
}

/* Opset 13 knows one sort of coordinates. */
hsched_status hsi_onnx_export_roi_align(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsched_roi_align_config *c = &layer->attrs.roi_align;
    if (!c->output_half_pixel)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "opset %d, in which models are written, has no "
                         "half pixels in RoiAlign; use output_half_pixel",
                         HSI_ONNX_EXPORT_OPSET);
    hsi_onnx_node_begin(e, "RoiAlign", hsi_onnx_tensor_name(e, layer->output),
                        hsi_onnx_tensor_name(e, layer->inputs[0]),
                        hsi_onnx_tensor_name(e, layer->inputs[1]),
                        hsi_onnx_tensor_name(e, layer->inputs[2]));
    hsi_onnx_node_text(e, "mode", c->kind == HSCHED_POOL_MAX ? "max" : "avg");
    hsi_onnx_node_int(e, "output_height", c->height);
    hsi_onnx_node_int(e, "output_width", c->width);
    hsi_onnx_node_int(e, "sampling_ratio", c->sampling_ratio);
    hsi_onnx_node_float(e, "spatial_scale", c->spatial_scale);
    hsi_onnx_node_end(e);
    return HSCHED_OK;
}
