/* What the operators share that slide a window over an image. */
#ifndef HSI_ONNX_WINDOW_H
#define HSI_ONNX_WINDOW_H

#include "onnx/ops.h"

/* `count` numbers of an attribute, or each `fallback`. */
hsched_status hsi_onnx_read_numbers(const hsi_onnx_node *node, const char *name,
                                    uint32_t count, int64_t fallback, int64_t *numbers);
hsched_status hsi_onnx_read_window(const hsi_onnx_node *node, uint32_t spatial,
                                   int64_t *strides, int64_t *pads, int64_t *dilations,
                                   hsched_auto_pad *auto_pad);
/* Input 0, an image of so many spatial dimensions. */
hsched_status hsi_onnx_read_image(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  hsched_tensor *x, uint32_t *spatial);
/* Inputs 1 and 2 of a convolution, and its groups. */
hsched_status hsi_onnx_read_kernel(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   uint32_t spatial, hsched_tensor *weights,
                                   hsched_tensor *bias, int64_t *groups);
hsched_status hsi_onnx_read_pool(const hsi_onnx_node *node, uint32_t spatial,
                                 hsched_pool_config *config);

/* The second output of a MaxPool of x: import_unpool.c. */
hsched_status hsi_onnx_build_pool_indices(hsi_onnx_import *im, const hsi_onnx_node *node,
                                          hsched_tensor x,
                                          const hsched_pool_config *config);

#endif
