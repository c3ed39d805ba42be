/* Convolution and pooling. */
#include "onnx/ops.h"

#include <string.h>

#include "base/status.h"
#include "base/tensor.h"

/* `count` numbers of an attribute, or each `fallback`. */
static hsched_status read_numbers(const hsi_onnx_node *node, const char *name,
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
                                   int64_t *numbers)
{
    hsched_status status = read_numbers(node, name, 2, 1, numbers);
    if (!status && (numbers[0] < 1 || numbers[1] < 1))
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

/* pads are {top, left, bottom, right} in ONNX too; with auto_pad they do not count. */
static hsched_status read_window(const hsi_onnx_node *node, int64_t *strides,
                                 int64_t *pads, int64_t *dilations,
                                 hsched_auto_pad *auto_pad)
{
    hsched_status status = read_auto_pad(node, auto_pad);
    if (!status)
        status = read_positive(node, "strides", strides);
    if (!status)
        status = read_positive(node, "dilations", dilations);
    if (!status && *auto_pad == HSCHED_PAD_EXPLICIT)
        status = read_numbers(node, "pads", 4, 0, pads);
    return status;
}

hsched_status hsi_onnx_build_conv(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT };
    hsched_tensor x, weights, bias, y;
    int64_t kernel[2];
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    if (hsi_onnx_rank(im, x) != 4)
        return hsi_onnx_unsupported(im, node,
                                    "an input of %u dimensions; only images "
                                    "[N,C,H,W] are supported",
                                    hsi_onnx_rank(im, x));
    status = hsi_onnx_weights(im, node, 1, &weights);
    if (!status && weights == HSCHED_NO_TENSOR)
        status = hsi_onnx_malformed(node, "its weights are missing");
    if (!status)
        status = hsi_onnx_weights(im, node, 2, &bias);
    if (!status)
        status = read_window(node, config.strides, config.pads, config.dilations,
                             &config.auto_pad);
    if (!status)
        status = hsi_onnx_attr_int(node, "group", 1, &config.groups);
    if (!status && config.groups < 1)
        status = hsi_onnx_malformed(node, "attribute 'group' is not positive");
    if (status)
        return status;
    const hsi_onnx_constant *w = hsi_onnx_constant_input(im, node, 1);
    if (w->rank != 4)
        return hsi_onnx_malformed(node, "its weights have %u dimensions instead of 4",
                                  w->rank);
    memcpy(kernel, w->dims + 2, sizeof kernel);
    if (hsi_onnx_attr(node, "kernel_shape"))
        status = read_numbers(node, "kernel_shape", 2, 0, kernel);
    if (!status && memcmp(kernel, w->dims + 2, sizeof kernel) != 0)
        status = hsi_onnx_malformed(node, "kernel_shape is not that of its weights, %s",
                                    hsi_shape_text(w->rank, w->dims));
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_conv2d(im->graph, hsi_onnx_output_name(im, node, 0), x,
                                          weights, bias, &config, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

static hsched_status read_pool(const hsi_onnx_node *node, hsched_pool2d_config *config)
{
    int64_t ceil_mode, include_pad;
    if (!hsi_onnx_attr(node, "kernel_shape"))
        return hsi_onnx_malformed(node, "attribute 'kernel_shape' is missing");
    hsched_status status = read_window(node, config->strides, config->pads,
                                       config->dilations, &config->auto_pad);
    if (!status)
        status = read_numbers(node, "kernel_shape", 2, 0, config->kernel);
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
    hsched_pool2d_config config = { HSCHED_POOL2D_CONFIG_INIT };
    int average = strcmp(node->op, "AveragePool") == 0;
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    if (hsi_onnx_rank(im, x) != 4)
        return hsi_onnx_unsupported(im, node,
                                    "an input of %u dimensions; only images "
                                    "[N,C,H,W] are supported",
                                    hsi_onnx_rank(im, x));
    if (hsi_onnx_output_used(im, node, 1))
        return hsi_onnx_unsupported(im, node, "its second output, the indices");
    status = read_pool(node, &config);
    if (!status)
        status = hsi_onnx_at_node(
            node, hsched_graph_add_pool2d(im->graph, hsi_onnx_output_name(im, node, 0),
                                          average ? HSCHED_POOL_AVERAGE : HSCHED_POOL_MAX,
                                          x, &config, &y));
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return status;
}

hsched_status hsi_onnx_build_global_pool(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const int64_t spatial[HSCHED_MAX_DIMS - 2] = { 2, 3, 4, 5, 6, 7 };
    int average = strcmp(node->op, "GlobalAveragePool") == 0;
    const char *name = hsi_onnx_output_name(im, node, 0);
    hsched_tensor x, y;
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (status)
        return status;
    uint32_t rank = hsi_onnx_rank(im, x);
    if (rank == 4)
        status = hsched_graph_add_global_pool(
            im->graph, name, average ? HSCHED_POOL_AVERAGE : HSCHED_POOL_MAX, x, &y);
    else if (average && rank > 2)
        status =
            hsched_graph_add_reduce_mean(im->graph, name, x, rank - 2, spatial, 1, &y);
    else
        return hsi_onnx_unsupported(im, node,
                                    "an input of %u dimensions; only images "
                                    "[N,C,H,W] are supported",
                                    rank);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}
