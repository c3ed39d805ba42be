/*
 * Normalisations as nodes. Of the operators there is only InstanceNormalization in the opset
 * that is written: groups become instances meanwhile, and the others means, arithmetic and a
 * square root.
 */
#include "onnx/export.h"

#include "base/status.h"

static const char *tensor(const hsi_onnx_export *e, hsched_tensor t)
{
    return hsi_onnx_tensor_name(e, t);
}

static hsched_dtype type_of(const hsi_onnx_export *e, const hsi_layer *layer)
{
    return e->graph->tensors[layer->output].dtype;
}

/* x * scale + bias, where they are there, to the layer's output. `channels`: they are vectors of
 * those. */
static void scale_and_shift(hsi_onnx_export *e, const hsi_layer *layer, const char *x,
                            int channels)
{
    static const char *const ops[] = { NULL, "Mul", "Add" };
    const char *y = tensor(e, layer->output);
    const uint32_t rank = e->graph->tensors[layer->output].rank;
    int64_t axes[HSCHED_MAX_DIMS];
    for (uint32_t k = 0; k + 2 < rank; k++)
        axes[k] = k + 1;
    for (uint32_t i = 1; i < 3; i++) {
        if (layer->inputs[i] == HSCHED_NO_TENSOR)
            continue;
        const int last = i == 2 || layer->inputs[2] == HSCHED_NO_TENSOR;
        const char *by = tensor(e, layer->inputs[i]);
        if (channels && rank > 2)
            by = hsi_onnx_put(e, "Unsqueeze", NULL, by,
                              hsi_onnx_put_ints(e, y, axes, rank - 2));
        x = hsi_onnx_put(e, ops[i], last ? y : NULL, x, by);
    }
}

static int has_parameters(const hsi_layer *layer)
{
    return layer->inputs[1] != HSCHED_NO_TENSOR || layer->inputs[2] != HSCHED_NO_TENSOR;
}

static const char *mean(hsi_onnx_export *e, const char *x, const int64_t *axes,
                        uint32_t count)
{
    const char *y = hsi_onnx_new_name(e, x);
    hsi_onnx_node_begin(e, "ReduceMean", y, x, NULL, NULL);
    hsi_onnx_node_ints(e, "axes", axes, count);
    hsi_onnx_node_int(e, "keepdims", 1);
    hsi_onnx_node_end(e);
    return y;
}

static void last_dimensions(hsi_onnx_export *e, const hsi_layer *layer)
{
    const char *x = tensor(e, layer->inputs[0]), *y = tensor(e, layer->output);
    const uint32_t rank = e->graph->tensors[layer->output].rank;
    int64_t axes[HSCHED_MAX_DIMS];
    uint32_t count = 0;
    for (uint32_t d = (uint32_t)layer->attrs.norm.axis; d < rank; d++)
        axes[count++] = d;
    if (layer->attrs.norm.kind == HSI_NORM_LAYER)
        x = hsi_onnx_put(e, "Sub", NULL, x, mean(e, x, axes, count));
    const char *variance = mean(e, hsi_onnx_put(e, "Mul", NULL, x, x), axes, count);
    variance = hsi_onnx_put(
        e, "Add", NULL, variance,
        hsi_onnx_put_number(e, y, type_of(e, layer), (double)layer->attrs.norm.epsilon));
    const char *deviation = hsi_onnx_put(e, "Sqrt", NULL, variance, NULL);
    x = hsi_onnx_put(e, "Div", has_parameters(layer) ? NULL : y, x, deviation);
    scale_and_shift(e, layer, x, 0);
}

static const char *instances(hsi_onnx_export *e, const hsi_layer *layer, const char *y,
                             const char *x, const char *scale, const char *bias)
{
    hsi_onnx_node_begin(e, "InstanceNormalization", y, x, scale, bias);
    hsi_onnx_node_float(e, "epsilon", layer->attrs.norm.epsilon);
    hsi_onnx_node_end(e);
    return y;
}

static hsched_status groups(hsi_onnx_export *e, const hsi_layer *layer)
{
    const char *x = tensor(e, layer->inputs[0]), *y = tensor(e, layer->output);
    const int64_t count = layer->attrs.norm.groups, apart[3] = { 0, count, -1 };
    const char *ones = hsi_onnx_put_repeated(e, y, type_of(e, layer), count, 1),
               *zeros = hsi_onnx_put_repeated(e, y, type_of(e, layer), count, 0);
    if (!*ones || !*zeros)
        return hsi_out_of_memory("a constant of an ONNX model");
    const char *shape = hsi_onnx_put(e, "Shape", NULL, x, NULL);
    x = hsi_onnx_put(e, "Reshape", NULL, x, hsi_onnx_put_ints(e, y, apart, 3));
    x = instances(e, layer, hsi_onnx_new_name(e, y), x, ones, zeros);
    x = hsi_onnx_put(e, "Reshape", has_parameters(layer) ? NULL : y, x, shape);
    scale_and_shift(e, layer, x, 1);
    return HSCHED_OK;
}

hsched_status hsi_onnx_export_norm(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsi_graph_tensor *x = &e->graph->tensors[layer->inputs[0]];
    const char *y = tensor(e, layer->output), *parameters[3];
    switch (layer->attrs.norm.kind) {
    case HSI_NORM_LAYER:
    case HSI_NORM_RMS:
        last_dimensions(e, layer);
        return HSCHED_OK;
    case HSI_NORM_GROUP:
        return groups(e, layer);
    case HSI_NORM_INSTANCE:
        break;
    }
    for (uint32_t i = 1; i < 3; i++) {
        parameters[i] = layer->inputs[i] != HSCHED_NO_TENSOR
                            ? tensor(e, layer->inputs[i])
                            : hsi_onnx_put_repeated(e, y, x->dtype, x->dims[1], i == 1);
        if (!*parameters[i])
            return hsi_out_of_memory("a constant of an ONNX model");
    }
    instances(e, layer, y, tensor(e, layer->inputs[0]), parameters[1], parameters[2]);
    return HSCHED_OK;
}
