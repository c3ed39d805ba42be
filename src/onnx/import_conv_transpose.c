/* ConvTranspose. */
#include <string.h>

#include "onnx/window.h"

/* output_shape: the spatial sizes, or, as older exporters write it, all sizes. */
static hsched_status read_output_sizes(const hsi_onnx_node *node, uint32_t spatial,
                                       hsched_conv_transpose_config *config)
{
    const int64_t *given;
    uint32_t count;
    hsched_status status = hsi_onnx_attr_ints(node, "output_shape", &given, &count);
    if (status || !given)
        return status;
    if (count != spatial && count != spatial + 2)
        return hsi_onnx_malformed(node,
                                  "attribute 'output_shape' has %u numbers instead "
                                  "of %u",
                                  count, spatial);
    memcpy(config->output_sizes, given + (count - spatial), spatial * sizeof *given);
    for (uint32_t k = 0; k < spatial; k++)
        if (config->output_sizes[k] < 1)
            return hsi_onnx_malformed(node, "attribute 'output_shape' is not positive");
    memset(config->pads, 0, sizeof config->pads); /* they follow from it */
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_conv_transpose(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    hsched_conv_transpose_config config = { HSCHED_CONV_TRANSPOSE_CONFIG_INIT };
    hsched_tensor x, weights, bias, y;
    uint32_t spatial;
    hsched_status status = hsi_onnx_read_image(im, node, &x, &spatial);
    if (!status)
        status = hsi_onnx_read_kernel(im, node, spatial, &weights, &bias, &config.groups);
    if (!status)
        status = hsi_onnx_read_window(node, spatial, config.strides, config.pads,
                                      config.dilations, &config.auto_pad);
    if (!status)
        status = hsi_onnx_read_numbers(node, "output_padding", spatial, 0,
                                       config.output_padding);
    if (!status)
        status = read_output_sizes(node, spatial, &config);
    if (!status)
        status = hsi_onnx_at_node(node, hsched_graph_add_conv_transpose(
                                            im->graph, hsi_onnx_output_name(im, node, 0),
                                            x, weights, bias, &config, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}
