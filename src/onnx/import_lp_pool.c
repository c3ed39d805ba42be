/* LpPool and GlobalLpPool: powers, their mean times how many there are, a root. */
#include "onnx/window.h"

/* One layer on top of another; the last one has the node's name. */
typedef struct chain {
    hsi_onnx_import *im;
    const hsi_onnx_node *node;
    hsched_tensor x;
} chain;

static const char *name_of(const chain *c, int last)
{
    return last ? hsi_onnx_output_name(c->im, c->node, 0)
                : hsi_onnx_made_name(c->im, c->node->label, "norm");
}

static hsched_status activation(chain *c, hsched_activation_kind kind, int last)
{
    const hsched_activation act = { kind };
    const char *name = name_of(c, last);
    if (!name)
        return hsi_onnx_no_memory(c->im, c->node);
    return hsi_onnx_at_node(
        c->node, hsched_graph_add_activation(c->im->graph, name, c->x, act, &c->x));
}

static hsched_status with_number(chain *c, hsched_binary_kind kind, double number,
                                 int last)
{
    const float value = (float)number;
    hsched_tensor constant;
    hsched_status status =
        hsi_onnx_add_floats(c->im, c->node, "number", 0, NULL, &value, &constant);
    const char *name = status ? NULL : name_of(c, last);
    if (status || !name)
        return status ? status : hsi_onnx_no_memory(c->im, c->node);
    return hsi_onnx_at_node(c->node, hsched_graph_add_binary(c->im->graph, name, kind,
                                                             c->x, constant, &c->x));
}

/* |x|^p */
static hsched_status raise(chain *c, int64_t p)
{
    const char *name;
    if (p == 2) {
        name = name_of(c, 0);
        if (!name)
            return hsi_onnx_no_memory(c->im, c->node);
        return hsi_onnx_at_node(c->node, hsched_graph_add_binary(c->im->graph, name,
                                                                 HSCHED_BINARY_MUL, c->x,
                                                                 c->x, &c->x));
    }
    hsched_status status = activation(c, HSCHED_ACTIVATION_ABS, 0);
    if (!status && p != 1)
        status = with_number(c, HSCHED_BINARY_POW, (double)p, 0);
    return status;
}

/* What is the mean of `count` powers becomes the p-th root of their sum. */
static hsched_status take_root(chain *c, int64_t p, double count)
{
    hsched_status status = with_number(c, HSCHED_BINARY_MUL, count, p == 1);
    if (!status && p == 2)
        status = activation(c, HSCHED_ACTIVATION_SQRT, 1);
    else if (!status && p != 1)
        status = with_number(c, HSCHED_BINARY_POW, 1 / (double)p, 1);
    if (!status)
        hsi_onnx_set_tensor(c->im, c->node, 0, c->x);
    return status;
}

static hsched_status read_p(const hsi_onnx_node *node, int64_t *p)
{
    hsched_status status = hsi_onnx_attr_int(node, "p", 2, p);
    if (!status && *p < 1)
        status = hsi_onnx_malformed(node, "attribute 'p' is not positive");
    return status;
}

/* With padding for what ceil_mode lets hang over, every window covers as many elements. */
static void grow_pads(chain *c, uint32_t spatial, hsched_pool_config *config)
{
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_onnx_dims(c->im, c->x, dims);
    for (uint32_t k = 0; k < spatial; k++) {
        const int64_t extent = (config->kernel[k] - 1) * config->dilations[k] + 1;
        const int64_t room =
            dims[2 + k] + config->pads[k] + config->pads[spatial + k] - extent;
        const int64_t stride = config->strides[k], over = room > 0 ? room % stride : 0;
        hsi_onnx_pin(c->im, hsi_onnx_dim_tag(c->im, c->x, 2 + k));
        /* No window starts past the input and its leading padding. */
        if (over != 0 && (room / stride + 1) * stride < dims[2 + k] + config->pads[k])
            config->pads[spatial + k] += stride - over;
    }
    config->ceil_mode = 0;
}

hsched_status hsi_onnx_build_lp_pool(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsched_pool_config config = { HSCHED_POOL_CONFIG_INIT };
    chain c = { im, node, HSCHED_NO_TENSOR };
    uint32_t spatial;
    int64_t p = 0;
    double count = 1;
    hsched_status status = hsi_onnx_read_image(im, node, &c.x, &spatial);
    if (!status)
        status = read_p(node, &p);
    if (!status)
        status = hsi_onnx_read_pool(node, spatial, &config);
    if (status)
        return status;
    config.count_include_pad = 1;
    for (uint32_t k = 0; k < spatial; k++) {
        count *= (double)config.kernel[k];
        if (config.kernel[k] < 1 || config.kernel[k] > (int64_t)1 << 20 ||
            config.dilations[k] > (int64_t)1 << 20 || config.pads[k] > (int64_t)1 << 20 ||
            config.pads[spatial + k] > (int64_t)1 << 20)
            return hsi_onnx_unsupported(im, node, "windows as large as these");
    }
    if (config.ceil_mode && config.auto_pad == HSCHED_PAD_EXPLICIT)
        grow_pads(&c, spatial, &config);
    status = raise(&c, p);
    const char *name = status ? NULL : name_of(&c, 0);
    if (status || !name)
        return status ? status : hsi_onnx_no_memory(im, node);
    status =
        hsi_onnx_at_node(node, hsched_graph_add_pool(im->graph, name, HSCHED_POOL_AVERAGE,
                                                     c.x, &config, &c.x));
    return status ? status : take_root(&c, p, count);
}

hsched_status hsi_onnx_build_global_lp_pool(hsi_onnx_import *im,
                                            const hsi_onnx_node *node)
{
    chain c = { im, node, HSCHED_NO_TENSOR };
    int64_t p = 0, dims[HSCHED_MAX_DIMS];
    double count = 1;
    hsched_status status = hsi_onnx_input(im, node, 0, &c.x);
    if (!status)
        status = read_p(node, &p);
    if (status)
        return status;
    const uint32_t rank = hsi_onnx_rank(im, c.x);
    if (rank < 3)
        return hsi_onnx_unsupported(im, node, "an input of %u dimensions", rank);
    hsi_onnx_dims(im, c.x, dims);
    for (uint32_t k = 2; k < rank; k++) {
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, c.x, k));
        count *= (double)dims[k];
    }
    status = raise(&c, p);
    const char *name = status ? NULL : name_of(&c, 0);
    if (status || !name)
        return status ? status : hsi_onnx_no_memory(im, node);
    status = hsi_onnx_at_node(node, hsched_graph_add_global_pool(
                                        im->graph, name, HSCHED_POOL_AVERAGE, c.x, &c.x));
    return status ? status : take_root(&c, p, count);
}
