/* Convolution and pooling of one to three spatial dimensions. */
#include "onnx/window.h"

#include <string.h>

#include "base/status.h"
#include "base/tensor.h"

hsched_status hsi_onnx_read_numbers(const hsi_onnx_node *node, const char *name,
                                    uint32_t count, int64_t fallback, int64_t *numbers)
{
    const int64_t *given;
    uint32_t given_count;
    hsched_status status = hsi_onnx_attr_ints(node, name, &given, &given_count);
    if (status)
        return status;
    if (given && given_count != count)
        return hsi_onnx_malformed(node, "attribute '%s' has %u numbers instead of %u",
                                  name, given_count, count);
    for (uint32_t k = 0; k < count; k++)
        numbers[k] = given ? given[k] : fallback;
    return HSCHED_OK;
}

/* As above, for numbers that the graph would take as left out if they were 0. */
static hsched_status read_positive(const hsi_onnx_node *node, const char *name,
                                   uint32_t count, int64_t *numbers)
{
    hsched_status status = hsi_onnx_read_numbers(node, name, count, 1, numbers);
    for (uint32_t k = 0; k < count && !status; k++)
        if (numbers[k] < 1)
            status = hsi_onnx_malformed(node, "attribute '%s' is not positive", name);
    return status;
}

static hsched_status read_auto_pad(const hsi_onnx_node *node, hsched_auto_pad *auto_pad)
{
    static const struct {
        const char *text;
        hsched_auto_pad value;
    } modes[] = {
        { "NOTSET", HSCHED_PAD_EXPLICIT },
        { "SAME_UPPER", HSCHED_PAD_SAME_UPPER },
        { "SAME_LOWER", HSCHED_PAD_SAME_LOWER },
        { "VALID", HSCHED_PAD_VALID },
    };
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
        int equal;
        hsched_status status =
            hsi_onnx_attr_is(node, "auto_pad", "NOTSET", modes[k].text, &equal);
        if (status)
            return status;
        if (equal) {
            *auto_pad = modes[k].value;
            return HSCHED_OK;
        }
    }
    return hsi_onnx_malformed(node, "attribute 'auto_pad' has an unknown value");
}

/* pads are all begins, then all ends in ONNX too; with auto_pad they do not count. */
hsched_status hsi_onnx_read_window(const hsi_onnx_node *node, uint32_t spatial,
                                   int64_t *strides, int64_t *pads, int64_t *dilations,
                                   hsched_auto_pad *auto_pad)
{
    hsched_status status = read_auto_pad(node, auto_pad);
    if (!status)
        status = read_positive(node, "strides", spatial, strides);
    if (!status)
        status = read_positive(node, "dilations", spatial, dilations);
    if (!status && *auto_pad == HSCHED_PAD_EXPLICIT)
        status = hsi_onnx_read_numbers(node, "pads", 2 * spatial, 0, pads);
    return status;
}

hsched_status hsi_onnx_read_image(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  hsched_tensor *x, uint32_t *spatial)
{
    hsched_status status = hsi_onnx_input(im, node, 0, x);
    if (status)
        return status;
    const uint32_t rank = hsi_onnx_rank(im, *x);
    if (rank < 3 || rank > 5)
        return hsi_onnx_unsupported(im, node,
                                    "an input of %u dimensions; only [N,C,D1..Dk] with "
                                    "k = 1, 2 or 3 are supported",
                                    rank);
    *spatial = rank - 2;
    return HSCHED_OK;
}

hsched_status hsi_onnx_read_kernel(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   uint32_t spatial, hsched_tensor *weights,
                                   hsched_tensor *bias, int64_t *groups)
{
    int64_t kernel[HSCHED_MAX_DIMS], dims[HSCHED_MAX_DIMS];
    hsched_status status = hsi_onnx_input(im, node, 1, weights);
    *bias = HSCHED_NO_TENSOR;
    if (!status && hsi_onnx_has_input(node, 2))
        status = hsi_onnx_input(im, node, 2, bias);
    if (!status)
        status = hsi_onnx_attr_int(node, "group", 1, groups);
    if (!status && *groups < 1)
        status = hsi_onnx_malformed(node, "attribute 'group' is not positive");
    if (status)
        return status;
    const uint32_t rank = hsi_onnx_rank(im, *weights);
    if (rank != spatial + 2)
        return hsi_onnx_malformed(node, "its weights have %u dimensions instead of %u",
                                  rank, spatial + 2);
    hsi_onnx_dims(im, *weights, dims);
    for (uint32_t k = 0; k < rank; k++) /* computed ones may depend on a symbol */
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, *weights, k));
    memcpy(kernel, dims + 2, spatial * sizeof *kernel);
    if (hsi_onnx_attr(node, "kernel_shape"))
        status = hsi_onnx_read_numbers(node, "kernel_shape", spatial, 0, kernel);
    if (!status && memcmp(kernel, dims + 2, spatial * sizeof *kernel) != 0)
        status = hsi_onnx_malformed(node, "kernel_shape is not that of its weights, %s",
                                    hsi_shape_text(rank, dims));
    return status;
}

hsched_status hsi_onnx_build_conv(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_conv_config config = { HSCHED_CONV_CONFIG_INIT };
    hsched_tensor x, weights, bias, y;
    uint32_t spatial;
    hsched_status status = hsi_onnx_read_image(im, node, &x, &spatial);
    if (!status)
        status = hsi_onnx_read_kernel(im, node, spatial, &weights, &bias, &config.groups);
    if (!status)
        status = hsi_onnx_read_window(node, spatial, config.strides, config.pads,
                                      config.dilations, &config.auto_pad);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_conv(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                        weights, bias, &config, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_read_pool(const hsi_onnx_node *node, uint32_t spatial,
                                 hsched_pool_config *config)
{
    int64_t ceil_mode, include_pad;
    if (!hsi_onnx_attr(node, "kernel_shape"))
        return hsi_onnx_malformed(node, "attribute 'kernel_shape' is missing");
    hsched_status status =
        hsi_onnx_read_window(node, spatial, config->strides, config->pads,
                             config->dilations, &config->auto_pad);
    if (!status)
        status = hsi_onnx_read_numbers(node, "kernel_shape", spatial, 0, config->kernel);
    if (!status)
        status = hsi_onnx_attr_int(node, "ceil_mode", 0, &ceil_mode);
    if (!status)
        status = hsi_onnx_attr_int(node, "count_include_pad", 0, &include_pad);
    if (status)
        return status;
    config->ceil_mode = ceil_mode != 0;
    config->count_include_pad = include_pad != 0;
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_pool(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_pool_config config = { HSCHED_POOL_CONFIG_INIT };
    int average = strcmp(node->op, "AveragePool") == 0;
    uint32_t spatial;
    hsched_tensor x, y;
    if (!average && hsi_onnx_has_input(node, 0) && im->states[node->inputs[0]].levels &&
        !hsi_onnx_output_used(im, node, 1))
        return hsi_onnx_pool_levels(im, node);
    hsched_status status = hsi_onnx_read_image(im, node, &x, &spatial);
    if (status)
        return status;
    const hsched_dtype dtype = im->graph->tensors[x].dtype;
    if (!average && (dtype == HSCHED_UINT8 || dtype == HSCHED_INT8) &&
        !hsi_onnx_output_used(im, node, 1))
        return hsi_onnx_pool_levels(im, node);
    status = hsi_onnx_read_pool(node, spatial, &config);
    if (!status && hsi_onnx_output_used(im, node, 1))
        status = hsi_onnx_build_pool_indices(im, node, x, &config);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_pool(im->graph, hsi_onnx_output_name(im, node, 0),
                                        average ? HSCHED_POOL_AVERAGE : HSCHED_POOL_MAX,
                                        x, &config, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_global_pool(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int average = strcmp(node->op, "GlobalAveragePool") == 0;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    if (hsi_onnx_rank(im, x) < 3)
        return hsi_onnx_alias(im, node, 0); /* nothing to take a mean or maximum of */
    status = hsched_graph_add_global_pool(im->graph, hsi_onnx_output_name(im, node, 0),
                                          average ? HSCHED_POOL_AVERAGE : HSCHED_POOL_MAX,
                                          x, &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}
