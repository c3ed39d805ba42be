/*
 * Symbols through layers: for each layer kind, what the dimensions of its output depend
 * on, given what those of its inputs depend on. Too much dependence is safe: a symbol is
 * then pinned without need. Too little would make a graph that is wrong for other values
 * of the symbol.
 */
#include "onnx/import.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

typedef struct view {
    const hsi_graph_tensor *tensor;
    const uint64_t *tags;
} view;

static view view_of(const hsi_onnx_import *im, hsched_tensor tensor)
{
    return (view){ &im->graph->tensors[tensor], im->dim_tags[tensor].tags };
}

/* A number computed from others. */
static uint64_t mixed(uint64_t a, uint64_t b)
{
    return (a | b) & ~HSI_ONNX_EXACT;
}

/* A dimension that is equal in both. */
static uint64_t joined(uint64_t a, uint64_t b)
{
    return a == b || b == 0 ? a : a == 0 ? b : mixed(a, b);
}

static uint64_t all_of(view x, uint32_t from, uint32_t to)
{
    uint64_t tags = 0;
    for (uint32_t k = from; k < to; k++)
        tags = mixed(tags, x.tags[k]);
    return tags;
}

/* Dimension k of a broadcast result of rank `rank`, from one operand. */
static void broadcast_one(view operand, uint32_t rank, uint32_t k, int64_t size,
                          uint64_t *tag)
{
    uint32_t missing = rank - operand.tensor->rank;
    if (k < missing)
        return;
    uint64_t own = operand.tags[k - missing];
    *tag =
        operand.tensor->dims[k - missing] == size ? joined(*tag, own) : mixed(*tag, own);
}

static void broadcast(view a, view b, const hsi_graph_tensor *y, uint32_t count,
                      uint64_t *out)
{
    for (uint32_t k = 0; k < count; k++) {
        broadcast_one(a, y->rank, k, y->dims[k], &out[k]);
        broadcast_one(b, y->rank, k, y->dims[k], &out[k]);
    }
}

static void matmul(view a, view b, const hsi_graph_tensor *y, uint64_t *out)
{
    uint32_t ra = a.tensor->rank, rb = b.tensor->rank;
    if (ra < 2 || rb < 2) {
        for (uint32_t k = 0; k < y->rank; k++)
            out[k] = mixed(all_of(a, 0, ra), all_of(b, 0, rb));
        return;
    }
    broadcast(a, b, y, y->rank - 2, out);
    out[y->rank - 2] = a.tags[ra - 2];
    out[y->rank - 1] = b.tags[rb - 1];
}

static void concat(const hsi_onnx_import *im, const hsi_layer *layer, uint32_t rank,
                   uint64_t *out)
{
    for (uint32_t i = 0; i < layer->input_count; i++) {
        view x = view_of(im, layer->inputs[i]);
        for (uint32_t k = 0; k < rank; k++)
            out[k] = (int)k == layer->attrs.concat.axis ? mixed(out[k], x.tags[k])
                                                        : joined(out[k], x.tags[k]);
    }
}

static uint64_t tag_of_code(const hsi_onnx_import *im, int64_t code)
{
    for (uint32_t k = 0; k < im->symbol_count; k++)
        if (im->symbols[k].declared && im->symbols[k].code == code)
            return HSI_ONNX_EXACT | UINT64_C(1) << k;
    return 0;
}

/* The inferred dimension is the quotient of all others: what stands on both sides cancels
 * out. */
static void reshape(const hsi_onnx_import *im, view x, const hsi_layer *layer,
                    uint64_t *out)
{
    const int64_t *dims = layer->given.reshape.dims;
    uint32_t rank = layer->given.reshape.rank, inferred = HSI_NO_INDEX;
    uint64_t left[HSCHED_MAX_DIMS], rest = 0;
    memcpy(left, x.tags, sizeof left);
    for (uint32_t k = 0; k < rank; k++) {
        if (dims[k] == HSCHED_DIM_INFER)
            inferred = k;
        else if (dims[k] == 0 && k < x.tensor->rank)
            out[k] = x.tags[k];
        else if (HSI_IS_SYMBOL_CODE(dims[k]))
            out[k] = tag_of_code(im, dims[k]);
    }
    if (inferred == HSI_NO_INDEX)
        return;
    for (uint32_t k = 0; k < rank; k++) {
        uint32_t i = 0;
        while (i < x.tensor->rank && (out[k] == 0 || left[i] != out[k]))
            i++;
        if (i < x.tensor->rank)
            left[i] = 0;
        else
            rest = mixed(rest, out[k]);
    }
    out[inferred] = mixed(rest, all_of((view){ x.tensor, left }, 0, x.tensor->rank));
}

static void flatten(view x, uint32_t axis, uint64_t *out)
{
    uint32_t rank = x.tensor->rank;
    out[0] = axis == 1 ? x.tags[0] : all_of(x, 0, axis);
    out[1] = axis + 1 == rank ? x.tags[axis] : all_of(x, axis, rank);
}

/* Squeeze, unsqueeze and mean: dimensions that stay keep their dependence, in order. */
static void drop_or_add(view x, const hsi_layer *layer, uint32_t rank, uint64_t *out)
{
    uint32_t axes = 0, from = 0;
    int adds = layer->kind == HSI_LAYER_UNSQUEEZE;
    for (uint32_t k = 0; k < layer->attrs.axes.count; k++)
        axes |= 1u << layer->attrs.axes.axes[k];
    if (layer->kind == HSI_LAYER_REDUCE && layer->attrs.axes.keep_dims) {
        for (uint32_t k = 0; k < rank; k++)
            out[k] = axes >> k & 1 ? 0 : x.tags[k];
        return;
    }
    for (uint32_t k = 0; k < rank; k++) {
        if (adds && axes >> k & 1)
            continue;
        while (!adds && from < x.tensor->rank && axes >> from & 1)
            from++;
        if (from < x.tensor->rank)
            out[k] = x.tags[from++];
    }
}

static void slice_or_pad(view x, const hsi_layer *layer, const hsi_graph_tensor *y,
                         uint64_t *out)
{
    for (uint32_t k = 0; k < y->rank; k++) {
        int whole =
            layer->kind == HSI_LAYER_SLICE
                ? layer->attrs.slice.starts[k] == 0 && layer->attrs.slice.steps[k] == 1 &&
                      x.tensor->dims[k] == y->dims[k]
                : layer->attrs.pad.before[k] == 0 && layer->attrs.pad.after[k] == 0;
        out[k] = whole ? x.tags[k] : mixed(x.tags[k], 0);
    }
}

/* [T,N,I] to [T+1,D,N,H] or [T+2,D,N,H] */
static void recurrent(view x, uint64_t *out)
{
    out[0] = mixed(x.tags[0], 0);
    out[2] = x.tags[1];
}

/* The T rows of hidden states again: they depend on T as the layer's input does. */
static int is_all_times(const hsi_onnx_import *im, const hsi_layer *layer,
                        uint64_t *times)
{
    uint32_t producer = im->graph->tensors[layer->inputs[0]].producer;
    if (layer->kind != HSI_LAYER_SLICE || producer == HSI_NO_INDEX ||
        im->graph->layers[producer].kind != HSI_LAYER_RECURRENT)
        return 0;
    hsched_tensor x = im->graph->layers[producer].inputs[0];
    *times = im->dim_tags[x].tags[0];
    return layer->given.slice.count == 1 && layer->given.slice.axes[0] == 0 &&
           layer->given.slice.starts[0] == 0 && layer->given.slice.steps[0] == 1 &&
           layer->given.slice.ends[0] < 0 &&
           im->graph->tensors[layer->output].dims[0] == im->graph->tensors[x].dims[0];
}

static void window(view x, const hsi_layer *layer, uint64_t *out)
{
    const int pools = layer->kind == HSI_LAYER_POOL2D || layer->kind == HSI_LAYER_POOL ||
                      layer->kind == HSI_LAYER_MAX_POOL_INDICES ||
                      layer->kind == HSI_LAYER_GLOBAL_POOL;
    out[0] = x.tags[0];
    out[1] = pools ? x.tags[1] : 0;
    if (layer->kind == HSI_LAYER_GLOBAL_POOL)
        return;
    for (uint32_t k = 2; k < x.tensor->rank; k++)
        out[k] = mixed(x.tags[k], 0);
}

/* Sizes that were asked for are what they are; scaled ones are computed. */
static void resize(view x, const hsi_layer *layer, uint64_t *out)
{
    const hsched_resize_config *c = &layer->given.resize;
    for (uint32_t k = 0; k < x.tensor->rank; k++)
        out[k] = c->sizes[k] > 0                          ? 0
                 : c->scales[k] == 0 || c->scales[k] == 1 ? x.tags[k]
                                                          : mixed(x.tags[k], 0);
}

/* What x has is x's; what is repeated was given: a symbol, or a number. */
static void expand(const hsi_onnx_import *im, view x, const hsi_layer *layer,
                   uint32_t rank, uint64_t *out)
{
    const uint32_t given = layer->given.reshape.rank, have = x.tensor->rank;
    for (uint32_t k = 0; k < rank; k++) {
        if (k + have >= rank && x.tensor->dims[k + have - rank] != 1) {
            out[k] = x.tags[k + have - rank];
            continue;
        }
        const int64_t dim =
            k + given >= rank ? layer->given.reshape.dims[k + given - rank] : 1;
        out[k] = HSI_IS_SYMBOL_CODE(dim) ? tag_of_code(im, dim) : 0;
    }
}

/* The indices' dimensions stand in place of the axis; of elements they are all there is. */
static void gather(view x, view indices, const hsi_layer *layer, uint32_t rank,
                   uint64_t *out)
{
    const uint32_t axis =
        layer->kind == HSI_LAYER_GATHER ? (uint32_t)layer->attrs.softmax.axis : 0;
    const uint32_t more = indices.tensor->rank;
    for (uint32_t k = 0; k < rank; k++)
        out[k] = k < axis          ? x.tags[k]
                 : k < axis + more ? indices.tags[k - axis]
                                   : x.tags[k - more + 1];
}

/* The tuples' dimensions but the last, then what is left of x. */
static void gather_nd(view x, view tuples, const hsi_layer *layer, uint32_t rank,
                      uint64_t *out)
{
    const uint32_t last = tuples.tensor->rank - 1;
    const uint32_t first =
        (uint32_t)(layer->attrs.batch_dims + tuples.tensor->dims[last]);
    for (uint32_t k = 0; k < rank; k++)
        out[k] = k < last ? tuples.tags[k] : x.tags[first + k - last];
}

/* A dimension that is found by number, dropped where it is not kept. */
static void arg(view x, const hsi_layer *layer, uint32_t rank, uint64_t *out)
{
    const uint32_t axis = (uint32_t)layer->attrs.arg.axis;
    const int dropped = !layer->attrs.arg.keep_dims;
    for (uint32_t k = 0; k < rank; k++)
        out[k] = !dropped && k == axis ? 0 : x.tags[k + (dropped && k >= axis)];
}

/* Images and channels of x, points of the grid. */
static void grid_sample(view x, view grid, uint64_t *out)
{
    out[0] = x.tags[0];
    out[1] = x.tags[1];
    for (uint32_t k = 2; k < x.tensor->rank; k++)
        out[k] = grid.tags[k - 1];
}

static void track_layer(const hsi_onnx_import *im, const hsi_layer *layer, uint64_t *out)
{
    view x = view_of(im, layer->inputs[0]);
    const hsi_graph_tensor *y = &im->graph->tensors[layer->output];
    uint64_t times;
    switch (layer->kind) {
    case HSI_LAYER_CONV2D:
    case HSI_LAYER_POOL2D:
    case HSI_LAYER_GLOBAL_POOL:
    case HSI_LAYER_CONV:
    case HSI_LAYER_POOL:
    case HSI_LAYER_MAX_POOL_INDICES:
    case HSI_LAYER_CONV_TRANSPOSE:
        window(x, layer, out);
        break;
    case HSI_LAYER_RESIZE:
        resize(x, layer, out);
        break;
    case HSI_LAYER_FULLY_CONNECTED:
        out[0] = x.tags[0];
        break;
    case HSI_LAYER_MATMUL:
        matmul(x, view_of(im, layer->inputs[1]), y, out);
        break;
    case HSI_LAYER_RECURRENT:
        recurrent(x, out);
        break;
    case HSI_LAYER_BINARY:
        broadcast(x, view_of(im, layer->inputs[1]), y, y->rank, out);
        break;
    case HSI_LAYER_WHERE:
        broadcast(x, view_of(im, layer->inputs[1]), y, y->rank, out);
        for (uint32_t k = 0; k < y->rank; k++)
            broadcast_one(view_of(im, layer->inputs[2]), y->rank, k, y->dims[k], &out[k]);
        break;
    case HSI_LAYER_CONCAT:
        concat(im, layer, y->rank, out);
        break;
    case HSI_LAYER_SLICE:
    case HSI_LAYER_PAD:
        slice_or_pad(x, layer, y, out);
        if (is_all_times(im, layer, &times))
            out[0] = times;
        break;
    case HSI_LAYER_GATHER:
    case HSI_LAYER_GATHER_ELEMENTS:
        gather(x, view_of(im, layer->inputs[1]), layer, y->rank, out);
        break;
    case HSI_LAYER_GATHER_ND:
        gather_nd(x, view_of(im, layer->inputs[1]), layer, y->rank, out);
        break;
    case HSI_LAYER_NMS:
        out[0] = mixed(all_of(x, 0, 2), 0);
        out[0] = mixed(out[0], view_of(im, layer->inputs[1]).tags[1]);
        break;
    case HSI_LAYER_ROI_ALIGN:
        out[0] = view_of(im, layer->inputs[1]).tags[0];
        out[1] = x.tags[1];
        break;
    case HSI_LAYER_GRID_SAMPLE:
        grid_sample(x, view_of(im, layer->inputs[1]), out);
        break;
    case HSI_LAYER_ARG:
        arg(x, layer, y->rank, out);
        break;
    case HSI_LAYER_TOP_K:
        memcpy(out, x.tags, sizeof(hsi_onnx_dim_tags));
        out[layer->attrs.top_k.axis] = 0;
        break;
    case HSI_LAYER_EXPAND:
        expand(im, x, layer, y->rank, out);
        break;
    case HSI_LAYER_RESHAPE:
        reshape(im, x, layer, out);
        break;
    case HSI_LAYER_FLATTEN:
        flatten(x, (uint32_t)layer->attrs.flatten.axis, out);
        break;
    case HSI_LAYER_SQUEEZE:
    case HSI_LAYER_UNSQUEEZE:
    case HSI_LAYER_REDUCE:
        drop_or_add(x, layer, y->rank, out);
        break;
    case HSI_LAYER_TRANSPOSE:
        for (uint32_t k = 0; k < y->rank; k++)
            out[k] = x.tags[layer->attrs.transpose.perm[k]];
        break;
    case HSI_LAYER_CUMSUM:
    case HSI_LAYER_SCATTER_ELEMENTS:
    case HSI_LAYER_SCATTER_ND:
    case HSI_LAYER_BATCH_NORM:
    case HSI_LAYER_LRN:
    case HSI_LAYER_SOFTMAX:
    case HSI_LAYER_NORM:
    case HSI_LAYER_ACTIVATION:
    case HSI_LAYER_CAST:
        memcpy(out, x.tags, sizeof(hsi_onnx_dim_tags));
        break;
    default: /* not made by the importer: depends on everything */
        for (uint32_t k = 0; k < y->rank; k++)
            out[k] = all_of(x, 0, x.tensor->rank);
    }
}

hsched_status hsi_onnx_track(hsi_onnx_import *im)
{
    if (im->symbol_count == 0)
        return HSCHED_OK;
    for (; im->tracked_tensors < im->graph->tensor_count; im->tracked_tensors++) {
        if (!HSI_GROW(im->dim_tags, im->tracked_tensors, im->tracked_capacity))
            return hsi_out_of_memory("what dimensions depend on");
        im->dim_tags[im->tracked_tensors] = (hsi_onnx_dim_tags){ { 0 } };
    }
    for (; im->tracked_layers < im->graph->layer_count; im->tracked_layers++) {
        const hsi_layer *layer = &im->graph->layers[im->tracked_layers];
        track_layer(im, layer, im->dim_tags[layer->output].tags);
    }
    return HSCHED_OK;
}
