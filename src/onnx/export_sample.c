/* Layers that sample images, and choose boxes, as nodes. */
#include "base/status.h"
#include "onnx/export.h"

/* Opset 13 has no GridSample: it came with 16. */
hsched_status hsi_onnx_export_grid_sample(hsi_onnx_export *e, const hsi_layer *layer)
{
    (void)e;
    return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                     "layer '%.200s': opset %d, in which models are written, has no "
                     "GridSample",
                     layer->name, HSI_ONNX_EXPORT_OPSET);
}
