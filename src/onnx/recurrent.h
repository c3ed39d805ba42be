/* Recurrent networks that are no layers. */
#ifndef HSI_ONNX_RECURRENT_H
#define HSI_ONNX_RECURRENT_H

#include "onnx/import.h"

/* Step by step: for peepholes, and for weights that are computed. `layout`: ONNX's attribute. */
hsched_status hsi_onnx_write_out_recurrent(hsi_onnx_import *im, const hsi_onnx_node *node,
                                           const hsched_recurrent_config *config,
                                           int layout);

#endif
