/* Layers as nodes, kind by kind. */
#include "onnx/export.h"

#include <string.h>

#include "base/element.h"
#include "base/status.h"

static const char *input(const hsi_onnx_export *e, const hsi_layer *layer, uint32_t k)
{
    return k < layer->input_count ? hsi_onnx_tensor_name(e, layer->inputs[k]) : "";
}

static const char *output(const hsi_onnx_export *e, const hsi_layer *layer)
{
    return hsi_onnx_tensor_name(e, layer->output);
}

static uint32_t rank_of(const hsi_onnx_export *e, hsched_tensor tensor)
{
    return e->graph->tensors[tensor].rank;
}

/* NULL instead of "" where it would be the last input. */
static const char *if_any(const char *name)
{
    return *name ? name : NULL;
}

static void fully_connected(hsi_onnx_export *e, const hsi_layer *layer)
{
    const char *x = input(e, layer, 0);
    if (rank_of(e, layer->inputs[0]) != 2) {
        const char *flat = hsi_onnx_new_name(e, output(e, layer));
        hsi_onnx_node_begin(e, "Flatten", flat, x, NULL, NULL);
        hsi_onnx_node_int(e, "axis", 1);
        hsi_onnx_node_end(e);
        x = flat;
    }
    hsi_onnx_node_begin(e, "Gemm", output(e, layer), x, input(e, layer, 1),
                        if_any(input(e, layer, 2)));
    hsi_onnx_node_int(e, "transB", 1);
    hsi_onnx_node_end(e);
}

static void batch_norm(hsi_onnx_export *e, const hsi_layer *layer)
{
    hsi_onnx_node_begin(e, "BatchNormalization", output(e, layer), input(e, layer, 0),
                        input(e, layer, 1), input(e, layer, 2));
    hsi_onnx_node_input(e, input(e, layer, 3));
    hsi_onnx_node_input(e, input(e, layer, 4));
    hsi_onnx_node_float(e, "epsilon", layer->attrs.batch_norm.epsilon);
    hsi_onnx_node_end(e);
}

static void lrn(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsched_lrn_config *c = &layer->attrs.lrn;
    hsi_onnx_node_begin(e, "LRN", output(e, layer), input(e, layer, 0), NULL, NULL);
    hsi_onnx_node_int(e, "size", c->size);
    hsi_onnx_node_float(e, "alpha", c->alpha);
    hsi_onnx_node_float(e, "beta", c->beta);
    hsi_onnx_node_float(e, "bias", c->bias);
    hsi_onnx_node_end(e);
}

static void with_axis(hsi_onnx_export *e, const hsi_layer *layer, const char *op,
                      int axis)
{
    hsi_onnx_node_begin(e, op, output(e, layer), NULL, NULL, NULL);
    for (uint32_t k = 0; k < layer->input_count; k++)
        hsi_onnx_node_input(e, input(e, layer, k));
    hsi_onnx_node_int(e, "axis", axis);
    hsi_onnx_node_end(e);
}

static int is_shift(hsched_binary_kind kind)
{
    return kind == HSCHED_BINARY_SHIFT_LEFT || kind == HSCHED_BINARY_SHIFT_RIGHT;
}

/* Opset 13 has no arithmetic on int8 and uint8: it is done in int32, and the lower bits stay. */
static int goes_through_int32(hsched_binary_kind kind, hsched_dtype dtype)
{
    return (dtype == HSCHED_INT8 || dtype == HSCHED_UINT8) &&
           (kind == HSCHED_BINARY_ADD || kind == HSCHED_BINARY_SUB ||
            kind == HSCHED_BINARY_MUL || kind == HSCHED_BINARY_DIV ||
            kind == HSCHED_BINARY_POW);
}

static hsched_status binary(hsi_onnx_export *e, const hsi_layer *layer)
{
    static const char *const ops[] = {
        [HSCHED_BINARY_ADD] = "Add",
        [HSCHED_BINARY_SUB] = "Sub",
        [HSCHED_BINARY_MUL] = "Mul",
        [HSCHED_BINARY_DIV] = "Div",
        [HSCHED_BINARY_MIN] = "Min",
        [HSCHED_BINARY_MAX] = "Max",
        [HSCHED_BINARY_POW] = "Pow",
        [HSCHED_BINARY_PRELU] = "PRelu",
        [HSCHED_BINARY_MOD] = "Mod",
        [HSCHED_BINARY_FMOD] = "Mod",
        [HSCHED_BINARY_EQUAL] = "Equal",
        [HSCHED_BINARY_GREATER] = "Greater",
        [HSCHED_BINARY_GREATER_OR_EQUAL] = "GreaterOrEqual",
        [HSCHED_BINARY_LESS] = "Less",
        [HSCHED_BINARY_LESS_OR_EQUAL] = "LessOrEqual",
        [HSCHED_BINARY_AND] = "And",
        [HSCHED_BINARY_OR] = "Or",
        [HSCHED_BINARY_XOR] = "Xor",
        [HSCHED_BINARY_SHIFT_LEFT] = "BitShift",
        [HSCHED_BINARY_SHIFT_RIGHT] = "BitShift",
    };
    const hsched_binary_kind kind = layer->attrs.binary;
    const hsched_dtype dtype = e->graph->tensors[layer->inputs[0]].dtype;
    const char *a = input(e, layer, 0), *b = input(e, layer, 1), *y = output(e, layer);
    if ((size_t)kind >= sizeof ops / sizeof *ops || !ops[kind])
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "opset %d has no operator for binary kind %d",
                         HSI_ONNX_EXPORT_OPSET, (int)kind);
    if (is_shift(kind) && dtype != HSCHED_UINT8)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "ONNX has no shifts of %s; shift uint8, or multiply and divide",
                         hsched_dtype_name(dtype));
    const int narrow = goes_through_int32(kind, dtype);
    if (narrow) {
        a = hsi_onnx_put_cast(e, NULL, a, HSCHED_INT32);
        b = hsi_onnx_put_cast(e, NULL, b, HSCHED_INT32);
    }
    const char *result = narrow ? hsi_onnx_new_name(e, y) : y;
    hsi_onnx_node_begin(e, ops[kind], result, a, b, NULL);
    if (kind == HSCHED_BINARY_FMOD)
        hsi_onnx_node_int(e, "fmod", 1);
    if (is_shift(kind))
        hsi_onnx_node_text(e, "direction",
                           kind == HSCHED_BINARY_SHIFT_LEFT ? "LEFT" : "RIGHT");
    hsi_onnx_node_end(e);
    if (narrow)
        hsi_onnx_put_cast(e, y, result, dtype);
    return HSCHED_OK;
}

static void cast(hsi_onnx_export *e, const hsi_layer *layer)
{
    hsi_onnx_put_cast(e, output(e, layer), input(e, layer, 0), layer->attrs.cast);
}

static void where(hsi_onnx_export *e, const hsi_layer *layer)
{
    hsi_onnx_node_begin(e, "Where", output(e, layer), input(e, layer, 0),
                        input(e, layer, 1), input(e, layer, 2));
    hsi_onnx_node_end(e);
}

static void slice(hsi_onnx_export *e, const hsi_layer *layer)
{
    uint32_t count = layer->given.slice.count;
    const char *y = output(e, layer);
    if (count == 0) {
        hsi_onnx_put(e, "Identity", y, input(e, layer, 0), NULL);
        return;
    }
    const char *starts = hsi_onnx_put_ints(e, y, layer->given.slice.starts, count);
    const char *ends = hsi_onnx_put_ints(e, y, layer->given.slice.ends, count);
    const char *axes = hsi_onnx_put_ints(e, y, layer->given.slice.axes, count);
    const char *steps = hsi_onnx_put_ints(e, y, layer->given.slice.steps, count);
    hsi_onnx_node_begin(e, "Slice", y, input(e, layer, 0), starts, ends);
    hsi_onnx_node_input(e, axes);
    hsi_onnx_node_input(e, steps);
    hsi_onnx_node_end(e);
}

static void pad(hsi_onnx_export *e, const hsi_layer *layer)
{
    static const char *const modes[] = { [HSCHED_PAD_MODE_CONSTANT] = "constant",
                                         [HSCHED_PAD_MODE_REFLECT] = "reflect",
                                         [HSCHED_PAD_MODE_EDGE] = "edge" };
    int64_t pads[2 * HSCHED_MAX_DIMS];
    uint32_t rank = rank_of(e, layer->inputs[0]);
    const char *y = output(e, layer), *value = NULL;
    memcpy(pads, layer->attrs.pad.before, rank * sizeof *pads);
    memcpy(pads + rank, layer->attrs.pad.after, rank * sizeof *pads);
    const char *amounts = hsi_onnx_put_ints(e, y, pads, 2 * rank);
    if (layer->attrs.pad.mode == HSCHED_PAD_MODE_CONSTANT)
        value = hsi_onnx_put_number(e, y, e->graph->tensors[layer->inputs[0]].dtype,
                                    (double)layer->attrs.pad.value);
    hsi_onnx_node_begin(e, "Pad", y, input(e, layer, 0), amounts, value);
    hsi_onnx_node_text(e, "mode", modes[layer->attrs.pad.mode]);
    hsi_onnx_node_end(e);
}

static void with_axes(hsi_onnx_export *e, const hsi_layer *layer, const char *op)
{
    const char *y = output(e, layer);
    if (layer->kind == HSI_LAYER_REDUCE &&
        layer->attrs.axes.reduce == HSCHED_REDUCE_SUM) { /* in opset 13 the only one so */
        const char *axes = NULL;
        if (layer->attrs.axes.count)
            axes =
                hsi_onnx_put_ints(e, y, layer->attrs.axes.axes, layer->attrs.axes.count);
        hsi_onnx_node_begin(e, op, y, input(e, layer, 0), axes, NULL);
        hsi_onnx_node_int(e, "keepdims", layer->attrs.axes.keep_dims != 0);
        hsi_onnx_node_end(e);
    } else if (layer->kind == HSI_LAYER_REDUCE) {
        hsi_onnx_node_begin(e, op, y, input(e, layer, 0), NULL, NULL);
        if (layer->attrs.axes.count)
            hsi_onnx_node_ints(e, "axes", layer->attrs.axes.axes,
                               layer->attrs.axes.count);
        hsi_onnx_node_int(e, "keepdims", layer->attrs.axes.keep_dims != 0);
        hsi_onnx_node_end(e);
    } else if (layer->attrs.axes.count == 0) {
        hsi_onnx_put(e, "Identity", y, input(e, layer, 0), NULL);
    } else {
        hsi_onnx_put(
            e, op, y, input(e, layer, 0),
            hsi_onnx_put_ints(e, y, layer->attrs.axes.axes, layer->attrs.axes.count));
    }
}

static const char *reduce_operator(hsched_reduce_kind kind)
{
    static const char *const names[] = { [HSCHED_REDUCE_MEAN] = "ReduceMean",
                                         [HSCHED_REDUCE_SUM] = "ReduceSum",
                                         [HSCHED_REDUCE_MAX] = "ReduceMax",
                                         [HSCHED_REDUCE_MIN] = "ReduceMin",
                                         [HSCHED_REDUCE_PROD] = "ReduceProd",
                                         [HSCHED_REDUCE_L1] = "ReduceL1",
                                         [HSCHED_REDUCE_L2] = "ReduceL2",
                                         [HSCHED_REDUCE_LOG_SUM] = "ReduceLogSum",
                                         [HSCHED_REDUCE_LOG_SUM_EXP] = "ReduceLogSumExp",
                                         [HSCHED_REDUCE_SUM_SQUARE] = "ReduceSumSquare" };
    return names[kind];
}

static void transpose(hsi_onnx_export *e, const hsi_layer *layer)
{
    hsi_onnx_node_begin(e, "Transpose", output(e, layer), input(e, layer, 0), NULL, NULL);
    hsi_onnx_node_ints(e, "perm", layer->attrs.transpose.perm, rank_of(e, layer->output));
    hsi_onnx_node_end(e);
}

/* uint8 [N,H,W,C] -> float32 [N,C,H,W], (pixel - mean) * scale, red and blue swapped if
 * asked. */
static void image_input(hsi_onnx_export *e, const hsi_layer *layer)
{
    static const int64_t swapped[4] = { 2, 1, 0, 3 }, perm[4] = { 0, 3, 1, 2 };
    const hsched_image_config *c = &layer->attrs.image;
    int64_t channels = e->graph->tensors[layer->inputs[0]].dims[3];
    const char *y = output(e, layer), *x = hsi_onnx_new_name(e, y);
    hsi_onnx_node_begin(e, "Cast", x, input(e, layer, 0), NULL, NULL);
    hsi_onnx_node_int(e, "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    hsi_onnx_node_end(e);
    if (c->swap_red_blue) {
        const char *order = hsi_onnx_put_ints(e, y, swapped, (uint32_t)channels);
        const char *result = hsi_onnx_new_name(e, y);
        hsi_onnx_node_begin(e, "Gather", result, x, order, NULL);
        hsi_onnx_node_int(e, "axis", 3);
        hsi_onnx_node_end(e);
        x = result;
    }
    x = hsi_onnx_put(e, "Sub", NULL, x, hsi_onnx_put_floats(e, y, 1, &channels, c->mean));
    x = hsi_onnx_put(e, "Mul", NULL, x,
                     hsi_onnx_put_floats(e, y, 1, &channels, c->scale));
    hsi_onnx_node_begin(e, "Transpose", y, x, NULL, NULL);
    hsi_onnx_node_ints(e, "perm", perm, 4);
    hsi_onnx_node_end(e);
}

/* Where a symbol's value can be read at run time: a dimension of an input. */
static int find_symbol(const hsi_onnx_export *e, uint32_t symbol, const char **name,
                       int64_t *dimension)
{
    for (uint32_t i = 0; i < e->graph->input_count; i++) {
        const hsi_graph_tensor *t = &e->graph->tensors[e->graph->inputs[i]];
        for (uint32_t k = 0; k < t->rank; k++)
            if (t->symbols[k] == symbol) {
                *name = t->name;
                *dimension = k;
                return 1;
            }
    }
    return 0;
}

/* The shape as one constant; or, where symbols stand in it, joined from constants and
 * dimensions. */
hsched_status hsi_onnx_export_reshape(hsi_onnx_export *e, const hsi_layer *layer)
{
    const int64_t *dims = layer->given.reshape.dims;
    const char *y = output(e, layer), *parts[HSCHED_MAX_DIMS];
    uint32_t rank = layer->given.reshape.rank, symbols = 0;
    int64_t numbers[HSCHED_MAX_DIMS];
    for (uint32_t k = 0; k < rank; k++) {
        const char *name;
        int64_t dimension;
        numbers[k] = dims[k];
        if (!HSI_IS_SYMBOL_CODE(dims[k]))
            continue;
        if (find_symbol(e, HSI_SYMBOL_INDEX(dims[k]), &name, &dimension))
            symbols |= 1u << k;
        else
            numbers[k] = e->graph->symbols[HSI_SYMBOL_INDEX(dims[k])].value;
    }
    if (!symbols) {
        hsi_onnx_put(e, "Reshape", y, input(e, layer, 0),
                     hsi_onnx_put_ints(e, y, numbers, rank));
        return HSCHED_OK;
    }
    for (uint32_t k = 0; k < rank; k++) {
        const char *name;
        int64_t dimension;
        if (!(symbols >> k & 1)) {
            parts[k] = hsi_onnx_put_ints(e, y, &numbers[k], 1);
            continue;
        }
        if (!find_symbol(e, HSI_SYMBOL_INDEX(dims[k]), &name, &dimension))
            return hsi_error(HSCHED_ERROR_INTERNAL, "a symbol's input was lost");
        const char *shape = hsi_onnx_put(e, "Shape", NULL, name, NULL);
        parts[k] = hsi_onnx_put(e, "Gather", NULL, shape,
                                hsi_onnx_put_ints(e, y, &dimension, 1));
    }
    const char *shape = hsi_onnx_new_name(e, y);
    hsi_onnx_node_begin(e, "Concat", shape, NULL, NULL, NULL);
    for (uint32_t k = 0; k < rank; k++)
        hsi_onnx_node_input(e, parts[k]);
    hsi_onnx_node_int(e, "axis", 0);
    hsi_onnx_node_end(e);
    hsi_onnx_put(e, "Reshape", y, input(e, layer, 0), shape);
    return HSCHED_OK;
}

static void global_pool(hsi_onnx_export *e, const hsi_layer *layer)
{
    int max = layer->attrs.global_pool == HSCHED_POOL_MAX;
    hsi_onnx_put(e, max ? "GlobalMaxPool" : "GlobalAveragePool", output(e, layer),
                 input(e, layer, 0), NULL);
}

/* The constants that compositions need are written as float32 and float64 only. */
static int needs_float32(const hsi_onnx_export *e, const hsi_layer *layer)
{
    if (layer->input_count == 0 ||
        !hsi_is_narrow_float(e->graph->tensors[layer->inputs[0]].dtype))
        return 0;
    return layer->kind == HSI_LAYER_POOL2D || layer->kind == HSI_LAYER_PAD ||
           layer->kind == HSI_LAYER_NORM ||
           (layer->kind == HSI_LAYER_ACTIVATION &&
            hsi_onnx_is_composed(layer->attrs.activation.kind));
}

hsched_status hsi_onnx_export_layer(hsi_onnx_export *e, const hsi_layer *layer)
{
    if (needs_float32(e, layer))
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "in %s it cannot be written; cast to float32 before it",
                         hsched_dtype_name(e->graph->tensors[layer->inputs[0]].dtype));
    switch (layer->kind) {
    case HSI_LAYER_CONV2D:
    case HSI_LAYER_CONV:
    case HSI_LAYER_CONV_TRANSPOSE:
        hsi_onnx_export_conv(e, layer);
        break;
    case HSI_LAYER_RESIZE:
        return hsi_onnx_export_resize(e, layer);
    case HSI_LAYER_NMS:
        hsi_onnx_export_nms(e, layer);
        break;
    case HSI_LAYER_ROI_ALIGN:
        return hsi_onnx_export_roi_align(e, layer);
    case HSI_LAYER_GRID_SAMPLE:
        return hsi_onnx_export_grid_sample(e, layer);
    case HSI_LAYER_FULLY_CONNECTED:
        fully_connected(e, layer);
        break;
    case HSI_LAYER_MATMUL:
        hsi_onnx_put(e, "MatMul", output(e, layer), input(e, layer, 0),
                     input(e, layer, 1));
        break;
    case HSI_LAYER_POOL2D:
    case HSI_LAYER_POOL:
        return hsi_onnx_export_pool(e, layer);
    case HSI_LAYER_MAX_POOL_INDICES:
        return hsi_onnx_export_pool_indices(e, layer);
    case HSI_LAYER_GLOBAL_POOL:
        global_pool(e, layer);
        break;
    case HSI_LAYER_BATCH_NORM:
        batch_norm(e, layer);
        break;
    case HSI_LAYER_LRN:
        lrn(e, layer);
        break;
    case HSI_LAYER_SOFTMAX:
        with_axis(e, layer, layer->attrs.softmax.log ? "LogSoftmax" : "Softmax",
                  layer->attrs.softmax.axis);
        break;
    case HSI_LAYER_NORM:
        return hsi_onnx_export_norm(e, layer);
    case HSI_LAYER_ACTIVATION:
        hsi_onnx_export_activation(e, layer);
        break;
    case HSI_LAYER_BINARY:
        return binary(e, layer);
    case HSI_LAYER_CAST:
        cast(e, layer);
        break;
    case HSI_LAYER_WHERE:
        where(e, layer);
        break;
    case HSI_LAYER_CONCAT:
        with_axis(e, layer, "Concat", layer->attrs.concat.axis);
        break;
    case HSI_LAYER_SLICE:
        slice(e, layer);
        break;
    case HSI_LAYER_PAD:
        pad(e, layer);
        break;
    case HSI_LAYER_RESHAPE:
        return hsi_onnx_export_reshape(e, layer);
    case HSI_LAYER_GATHER:
    case HSI_LAYER_GATHER_ELEMENTS:
    case HSI_LAYER_GATHER_ND:
        return hsi_onnx_export_gather(e, layer);
    case HSI_LAYER_SCATTER_ELEMENTS:
    case HSI_LAYER_SCATTER_ND:
        return hsi_onnx_export_scatter(e, layer);
    case HSI_LAYER_CUMSUM:
        return hsi_onnx_export_cumsum(e, layer);
    case HSI_LAYER_ARG:
        hsi_onnx_export_arg(e, layer);
        break;
    case HSI_LAYER_TOP_K:
        hsi_onnx_export_top_k(e, layer);
        break;
    case HSI_LAYER_EXPAND: {
        const hsi_graph_tensor *t = &e->graph->tensors[layer->output];
        hsi_onnx_put(e, "Expand", output(e, layer), input(e, layer, 0),
                     hsi_onnx_put_ints(e, output(e, layer), t->dims, t->rank));
        break;
    }
    case HSI_LAYER_FLATTEN:
        with_axis(e, layer, "Flatten", layer->attrs.flatten.axis);
        break;
    case HSI_LAYER_SQUEEZE:
        with_axes(e, layer, "Squeeze");
        break;
    case HSI_LAYER_UNSQUEEZE:
        with_axes(e, layer, "Unsqueeze");
        break;
    case HSI_LAYER_TRANSPOSE:
        transpose(e, layer);
        break;
    case HSI_LAYER_REDUCE:
        with_axes(e, layer, reduce_operator(layer->attrs.axes.reduce));
        break;
    case HSI_LAYER_RECURRENT:
        return hsi_onnx_export_recurrent(e, layer);
    case HSI_LAYER_IMAGE_INPUT:
        image_input(e, layer);
        break;
    default:
        return hsi_error(HSCHED_ERROR_INTERNAL, "this kind has no ONNX operator");
    }
    return HSCHED_OK;
}
