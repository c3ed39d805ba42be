/*
 * Pooling as nodes. What readers of ONNX agree on is floor mode with pads smaller than
 * the kernel, so ceil_mode becomes padding at the end; pads as large as the kernel become
 * a Pad of their own; and an average with dilations, which opset 13 lacks, or one whose
 * windows hang over counted padding becomes a convolution that sums and a division.
 */
#include "onnx/export.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

typedef struct pool {
    const hsched_pool_config *config;
    int spatial;          /* dimensions */
    hsched_auto_pad same; /* as given */
    hsched_pool_kind kind;
    const char *x, *y;
    const int64_t *in, *out; /* [N,C,D1..Dk] of x and y */
    int64_t pads[6];         /* such that floor mode gives the output's size */
    int grows;               /* pads differ from the layer's */
} pool;

static int64_t extent(const hsched_pool_config *c, int axis)
{
    return (c->kernel[axis] - 1) * c->dilations[axis] + 1;
}

/* Windows that hang over the end get padding to hang over. */
static void grow_pads(pool *p)
{
    const hsched_pool_config *c = p->config;
    memcpy(p->pads, c->pads, sizeof p->pads);
    for (int axis = 0; axis < p->spatial; axis++) {
        int64_t end = (p->out[2 + axis] - 1) * c->strides[axis] + extent(c, axis);
        int64_t need = end - p->in[2 + axis] - c->pads[axis];
        if (need > p->pads[axis + p->spatial]) {
            p->pads[axis + p->spatial] = need;
            p->grows = 1;
        }
    }
}

static int pads_are_small(const pool *p)
{
    for (int k = 0; k < 2 * p->spatial; k++)
        if (p->pads[k] >= p->config->kernel[k % p->spatial])
            return 0;
    return 1;
}

static void window_attributes(hsi_onnx_export *e, const pool *p)
{
    hsi_onnx_node_ints(e, "kernel_shape", p->config->kernel, (uint32_t)p->spatial);
    hsi_onnx_node_ints(e, "strides", p->config->strides, (uint32_t)p->spatial);
}

/* x with its padding written out. */
static const char *padded(hsi_onnx_export *e, const pool *p, float value)
{
    int64_t amounts[10] = { 0 };
    const uint32_t spatial = (uint32_t)p->spatial;
    memcpy(amounts + 2, p->pads, spatial * sizeof *amounts);
    memcpy(amounts + 4 + spatial, p->pads + spatial, spatial * sizeof *amounts);
    const char *name = hsi_onnx_new_name(e, p->y);
    const char *pads = hsi_onnx_put_ints(e, p->y, amounts, 4 + 2 * spatial);
    hsi_onnx_node_begin(e, "Pad", name, p->x, pads, hsi_onnx_put_scalar(e, p->y, value));
    hsi_onnx_node_text(e, "mode", "constant");
    hsi_onnx_node_end(e);
    return name;
}

static void max_pool(hsi_onnx_export *e, const pool *p)
{
    int apart = !pads_are_small(p);
    const char *x = apart ? padded(e, p, -INFINITY) : p->x;
    hsi_onnx_node_begin(e, "MaxPool", p->y, x, NULL, NULL);
    window_attributes(e, p);
    hsi_onnx_node_ints(e, "dilations", p->config->dilations, (uint32_t)p->spatial);
    if (!apart)
        hsi_onnx_node_ints(e, "pads", p->pads, 2 * (uint32_t)p->spatial);
    hsi_onnx_node_end(e);
}

/* How many elements the window at `at` covers along one axis. */
static int64_t covered(const pool *p, int axis, int64_t at)
{
    const hsched_pool_config *c = p->config;
    int64_t count = 0;
    int64_t before = c->count_include_pad ? c->pads[axis] : 0;
    int64_t after = c->count_include_pad ? c->pads[axis + p->spatial] : 0;
    for (int64_t k = 0; k < c->kernel[axis]; k++) {
        int64_t from = at * c->strides[axis] - p->pads[axis] + k * c->dilations[axis];
        count += from >= -before && from < p->in[2 + axis] + after;
    }
    return count;
}

/* How many elements each window covers. */
static void count_elements(const pool *p, size_t count, float *counts)
{
    for (size_t k = 0; k < count; k++) {
        size_t rest = k;
        int64_t product = 1;
        for (int axis = p->spatial; axis-- > 0;) {
            const size_t size = (size_t)p->out[2 + axis];
            product *= covered(p, axis, (int64_t)(rest % size));
            rest /= size;
        }
        counts[k] = (float)product;
    }
}

/* Sums by a depthwise convolution with ones, divided by how many elements each window
 * covers. */
static hsched_status average_by_convolution(hsi_onnx_export *e, const pool *p)
{
    const hsched_pool_config *c = p->config;
    const uint32_t rank = 2 + (uint32_t)p->spatial;
    int64_t ones_dims[5] = { p->in[1], 1 }, count_dims[5] = { 1, 1 };
    size_t ones_count = (size_t)p->in[1], counts = 1;
    int fits = 1;
    for (int axis = 0; axis < p->spatial; axis++) {
        ones_dims[2 + axis] = c->kernel[axis];
        count_dims[2 + axis] = p->out[2 + axis];
        fits &= hsi_mul_size(ones_count, (size_t)c->kernel[axis], &ones_count) &&
                hsi_mul_size(counts, (size_t)p->out[2 + axis], &counts);
    }
    if (!fits)
        return hsi_error(HSCHED_ERROR_LIMIT, "the pooling is too large to be written");
    float *ones = HSI_NEW_ARRAY(float, ones_count),
          *divisors = HSI_NEW_ARRAY(float, counts);
    hsched_status status = HSCHED_OK;
    if (!ones || !divisors) {
        status = hsi_out_of_memory("an average pooling for ONNX");
        goto done;
    }
    for (size_t k = 0; k < ones_count; k++)
        ones[k] = 1;
    count_elements(p, counts, divisors);
    const char *sum = hsi_onnx_new_name(e, p->y);
    hsi_onnx_node_begin(e, "Conv", sum, p->x,
                        hsi_onnx_put_floats(e, p->y, rank, ones_dims, ones), NULL);
    window_attributes(e, p);
    hsi_onnx_node_ints(e, "dilations", c->dilations, (uint32_t)p->spatial);
    hsi_onnx_node_ints(e, "pads", p->pads, 2 * (uint32_t)p->spatial);
    hsi_onnx_node_int(e, "group", p->in[1]);
    hsi_onnx_node_end(e);
    hsi_onnx_put(e, "Div", p->y, sum,
                 hsi_onnx_put_floats(e, p->y, rank, count_dims, divisors));
done:
    hsi_free(ones);
    hsi_free(divisors);
    return status;
}

static int is_dilated(const pool *p)
{
    int dilated = 0;
    for (int axis = 0; axis < p->spatial; axis++)
        dilated |= p->config->dilations[axis] != 1;
    return dilated;
}

static hsched_status average_pool(hsi_onnx_export *e, const pool *p)
{
    const hsched_pool_config *c = p->config;
    int dilated = is_dilated(p);
    /* Where a window hangs over the padding, readers disagree on what it is divided by. */
    int overhanging = c->count_include_pad && p->grows;
    if (dilated || overhanging || !pads_are_small(p)) {
        if (e->graph->symbol_count && (overhanging || !c->count_include_pad))
            return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                             "an average with dilations, large pads or ceil_mode cannot "
                             "be written for a "
                             "graph with symbols; build it with numbers");
        return average_by_convolution(e, p);
    }
    hsi_onnx_node_begin(e, "AveragePool", p->y, p->x, NULL, NULL);
    window_attributes(e, p);
    hsi_onnx_node_ints(e, "pads", p->pads, 2 * (uint32_t)p->spatial);
    hsi_onnx_node_int(e, "count_include_pad", c->count_include_pad != 0);
    hsi_onnx_node_end(e);
    return HSCHED_OK;
}

/* With symbols the size of the input is open: auto_pad and ceil_mode are written as such.
 */
static hsched_status symbolic_pool(hsi_onnx_export *e, const pool *p)
{
    const hsched_pool_config *c = p->config;
    int average = p->kind == HSCHED_POOL_AVERAGE;
    hsched_auto_pad same = p->same;
    if (average && (is_dilated(p) || (c->ceil_mode && c->count_include_pad)))
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "this average (dilations, or ceil_mode with count_include_pad) cannot be "
            "written for a graph with symbols; build it with numbers");
    hsi_onnx_node_begin(e, average ? "AveragePool" : "MaxPool", p->y, p->x, NULL, NULL);
    window_attributes(e, p);
    if (average)
        hsi_onnx_node_int(e, "count_include_pad", c->count_include_pad != 0);
    else
        hsi_onnx_node_ints(e, "dilations", c->dilations, (uint32_t)p->spatial);
    hsi_onnx_node_int(e, "ceil_mode", c->ceil_mode != 0);
    if (same == HSCHED_PAD_SAME_UPPER || same == HSCHED_PAD_SAME_LOWER)
        hsi_onnx_node_text(e, "auto_pad",
                           same == HSCHED_PAD_SAME_UPPER ? "SAME_UPPER" : "SAME_LOWER");
    else
        hsi_onnx_node_ints(e, "pads", c->pads, 2 * (uint32_t)p->spatial);
    hsi_onnx_node_end(e);
    return HSCHED_OK;
}

/* The numbers of a pool2d layer as those of one of any number of dimensions. */
static hsched_pool_config flat_config(const hsched_pool2d_config *from)
{
    hsched_pool_config c = { HSCHED_POOL_CONFIG_INIT, .ceil_mode = from->ceil_mode,
                             .count_include_pad = from->count_include_pad };
    memcpy(c.kernel, from->kernel, sizeof from->kernel);
    memcpy(c.strides, from->strides, sizeof from->strides);
    memcpy(c.pads, from->pads, sizeof from->pads);
    memcpy(c.dilations, from->dilations, sizeof from->dilations);
    return c;
}

hsched_status hsi_onnx_export_pool(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsi_graph_tensor *x = &e->graph->tensors[layer->inputs[0]];
    hsched_pool_config flat;
    pool p = { .config = &layer->attrs.pool.config,
               .spatial = (int)x->rank - 2,
               .same = layer->given.pool.config.auto_pad,
               .kind = layer->attrs.pool.kind,
               .x = hsi_onnx_tensor_name(e, layer->inputs[0]),
               .y = hsi_onnx_tensor_name(e, layer->output),
               .in = x->dims,
               .out = e->graph->tensors[layer->output].dims };
    if (layer->kind == HSI_LAYER_POOL2D) {
        flat = flat_config(&layer->attrs.pool2d.config);
        p.config = &flat;
        p.same = layer->given.pool2d.config.auto_pad;
        p.kind = layer->attrs.pool2d.kind;
    }
    grow_pads(&p);
    if (e->graph->symbol_count && pads_are_small(&p) &&
        (p.config->ceil_mode || p.same == HSCHED_PAD_SAME_UPPER ||
         p.same == HSCHED_PAD_SAME_LOWER))
        return symbolic_pool(e, &p);
    if (p.kind == HSCHED_POOL_AVERAGE)
        return average_pool(e, &p);
    max_pool(e, &p);
    return HSCHED_OK;
}

/* The second output of a pooling whose first one nobody reads. */
hsched_status hsi_onnx_export_pool_indices(hsi_onnx_export *e, const hsi_layer *layer)
{
    const hsi_graph_tensor *x = &e->graph->tensors[layer->inputs[0]];
    pool p = { .config = &layer->attrs.pool.config,
               .spatial = (int)x->rank - 2,
               .x = hsi_onnx_tensor_name(e, layer->inputs[0]),
               .y = hsi_onnx_tensor_name(e, layer->output),
               .in = x->dims,
               .out = e->graph->tensors[layer->output].dims };
    grow_pads(&p);
    if (e->graph->symbol_count || !pads_are_small(&p))
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "the indices of a pooling with pads as large as the kernel, or "
                         "of a graph with "
                         "symbols, cannot be written");
    hsi_onnx_node_begin(e, "MaxPool", hsi_onnx_new_name(e, p.y), p.x, NULL, NULL);
    hsi_onnx_node_output(e, p.y);
    window_attributes(e, &p);
    hsi_onnx_node_ints(e, "dilations", p.config->dilations, (uint32_t)p.spatial);
    hsi_onnx_node_ints(e, "pads", p.pads, 2 * (uint32_t)p.spatial);
    hsi_onnx_node_int(e, "storage_order", layer->attrs.pool.column_major);
    hsi_onnx_node_end(e);
    return HSCHED_OK;
}
