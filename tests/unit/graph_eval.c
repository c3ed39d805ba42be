#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "unit/graph_eval_call.h"

size_t graph_tensor_bytes(const hsi_graph_tensor *tensor)
{
    return (size_t)element_count(tensor) * hsched_dtype_size(tensor->dtype);
}

static float broadcast_at(const hsi_graph_tensor *t, const float *data, uint32_t out_rank,
                          const int64_t *index)
{
    return data[broadcast_index(t, out_rank, index)];
}

/* ---- Sums ---- */

static void eval_conv2d(const call *c)
{
    const hsched_conv2d_config *a = &c->layer->attrs.conv2d;
    const int64_t *xd = c->in[0]->dims, *wd = c->in[1]->dims;
    const int64_t per_group = wd[0] / a->groups;
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        unflatten(c->out, k, at);
        double sum = c->x[2] != NULL ? c->x[2][at[1]] : 0;
        for (int64_t ch = 0; ch < wd[1]; ch++)
            for (int64_t i = 0; i < wd[2]; i++)
                for (int64_t j = 0; j < wd[3]; j++) {
                    int64_t h = at[2] * a->strides[0] - a->pads[0] + i * a->dilations[0];
                    int64_t w = at[3] * a->strides[1] - a->pads[1] + j * a->dilations[1];
                    int64_t from = at[1] / per_group * wd[1] + ch;
                    if (h < 0 || h >= xd[2] || w < 0 || w >= xd[3])
                        continue;
                    sum += (double)
                               c->x[0][((at[0] * xd[1] + from) * xd[2] + h) * xd[3] + w] *
                           c->x[1][((at[1] * wd[1] + ch) * wd[2] + i) * wd[3] + j];
                }
        c->y[k] = (float)sum;
    }
}

static void eval_fully_connected(const call *c)
{
    const int64_t inner = c->in[1]->dims[1], width = c->in[1]->dims[0];
    for (int64_t m = 0; m < c->out->dims[0]; m++)
        for (int64_t o = 0; o < width; o++) {
            double sum = c->x[2] != NULL ? c->x[2][o] : 0;
            for (int64_t k = 0; k < inner; k++)
                sum += (double)c->x[0][m * inner + k] * c->x[1][o * inner + k];
            c->y[m * width + o] = (float)sum;
        }
}

static void eval_matmul(const call *c)
{
    hsi_graph_tensor a = *c->in[0], b = *c->in[1], y = *c->out;
    if (a.rank == 1) { /* a row */
        a.rank = 2;
        a.dims[1] = a.dims[0];
        a.dims[0] = 1;
        int64_t last = y.rank > 0 && c->in[1]->rank > 1 ? y.dims[--y.rank] : 0;
        y.dims[y.rank++] = 1;
        if (c->in[1]->rank > 1)
            y.dims[y.rank++] = last;
    }
    if (b.rank == 1) { /* a column */
        b.rank = 2;
        b.dims[1] = 1;
        y.dims[y.rank++] = 1;
    }
    const int64_t inner = a.dims[a.rank - 1];
    for (int64_t k = 0; k < element_count(&y); k++) {
        int64_t at[HSCHED_MAX_DIMS], ai[HSCHED_MAX_DIMS], bi[HSCHED_MAX_DIMS];
        unflatten(&y, k, at);
        for (uint32_t i = 0; i < a.rank; i++)
            ai[i] = a.dims[i] == 1 ? 0 : at[i + y.rank - a.rank];
        for (uint32_t i = 0; i < b.rank; i++)
            bi[i] = b.dims[i] == 1 ? 0 : at[i + y.rank - b.rank];
        double sum = 0;
        for (int64_t l = 0; l < inner; l++) {
            ai[a.rank - 1] = l;
            bi[b.rank - 2] = l;
            sum += (double)c->x[0][flatten(&a, ai)] * c->x[1][flatten(&b, bi)];
        }
        c->y[k] = (float)sum;
    }
}

/* ---- Pooling and normalization ---- */

static void eval_pool(const call *c, hsched_pool_kind kind, const hsched_pool2d_config *a)
{
    const int64_t *xd = c->in[0]->dims;
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS], inside = 0, padded = 0;
        double sum = 0, most = -INFINITY;
        unflatten(c->out, k, at);
        for (int64_t i = 0; i < a->kernel[0]; i++)
            for (int64_t j = 0; j < a->kernel[1]; j++) {
                int64_t h = at[2] * a->strides[0] - a->pads[0] + i * a->dilations[0];
                int64_t w = at[3] * a->strides[1] - a->pads[1] + j * a->dilations[1];
                padded += h < xd[2] + a->pads[2] && w < xd[3] + a->pads[3];
                if (h < 0 || h >= xd[2] || w < 0 || w >= xd[3])
                    continue;
                double v = c->x[0][((at[0] * xd[1] + at[1]) * xd[2] + h) * xd[3] + w];
                inside++;
                sum += v;
                most = v > most ? v : most;
            }
        if (kind == HSCHED_POOL_MAX)
            c->y[k] = (float)most;
        else
            c->y[k] = (float)(sum / (double)(a->count_include_pad ? padded : inside));
    }
}

static int64_t inner_count(const hsi_graph_tensor *t, uint32_t axis)
{
    int64_t inner = 1;
    for (uint32_t i = axis + 1; i < t->rank; i++)
        inner *= t->dims[i];
    return inner;
}

static void eval_batch_norm(const call *c)
{
    const int64_t inner = inner_count(c->in[0], 1), channels = c->in[0]->dims[1];
    for (int64_t k = 0; k < element_count(c->out); k++) {
        const int64_t ch = k / inner % channels;
        c->y[k] =
            (float)((c->x[0][k] - (double)c->x[3][ch]) /
                        sqrt((double)c->x[4][ch] + c->layer->attrs.batch_norm.epsilon) *
                        c->x[1][ch] +
                    c->x[2][ch]);
    }
}

/* The window of ONNX: floor((size-1)/2) channels before, ceil((size-1)/2) after. */
static void eval_lrn(const call *c)
{
    const hsched_lrn_config *a = &c->layer->attrs.lrn;
    const int64_t inner = inner_count(c->in[0], 1), channels = c->in[0]->dims[1];
    for (int64_t k = 0; k < element_count(c->out); k++) {
        const int64_t ch = k / inner % channels;
        double squares = 0;
        for (int64_t o = ch - (a->size - 1) / 2; o <= ch + a->size / 2; o++)
            if (o >= 0 && o < channels) {
                double v = c->x[0][k + (o - ch) * inner];
                squares += v * v;
            }
        c->y[k] = (float)(c->x[0][k] /
                          pow(a->bias + a->alpha / (double)a->size * squares, a->beta));
    }
}

static void eval_softmax(const call *c)
{
    const uint32_t axis = (uint32_t)c->layer->attrs.softmax.axis;
    const int64_t inner = inner_count(c->in[0], axis), size = c->in[0]->dims[axis];
    for (int64_t k = 0; k < element_count(c->out); k++) {
        const int64_t first = k - k / inner % size * inner;
        double most = -INFINITY, sum = 0;
        for (int64_t i = 0; i < size; i++)
            most = fmax(most, c->x[0][first + i * inner]);
        for (int64_t i = 0; i < size; i++)
            sum += exp(c->x[0][first + i * inner] - most);
        c->y[k] = (float)(c->layer->attrs.softmax.log ? c->x[0][k] - most - log(sum)
                                                      : exp(c->x[0][k] - most) / sum);
    }
}

/* ---- Element by element ---- */

double eval_activation(hsched_activation act, double x)
{
    const double a = act.a, b = act.b;
    switch (act.kind) {
    case HSCHED_ACTIVATION_NONE:
        return x;
    case HSCHED_ACTIVATION_RELU:
        return fmax(x, 0);
    case HSCHED_ACTIVATION_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case HSCHED_ACTIVATION_CLIP:
        return fmin(fmax(x, a), b);
    case HSCHED_ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-x));
    case HSCHED_ACTIVATION_TANH:
        return tanh(x);
    case HSCHED_ACTIVATION_HARD_SIGMOID:
        return fmin(fmax(a * x + b, 0), 1);
    case HSCHED_ACTIVATION_HARD_SWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case HSCHED_ACTIVATION_ELU:
        return x < 0 ? a * (exp(x) - 1) : x;
    case HSCHED_ACTIVATION_SELU:
        return b * (x < 0 ? a * (exp(x) - 1) : x);
    case HSCHED_ACTIVATION_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case HSCHED_ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case HSCHED_ACTIVATION_SOFTPLUS:
        return log(1 + exp(x));
    case HSCHED_ACTIVATION_SOFTSIGN:
        return x / (1 + fabs(x));
    case HSCHED_ACTIVATION_MISH:
        return x * tanh(log(1 + exp(x)));
    case HSCHED_ACTIVATION_ABS:
        return fabs(x);
    case HSCHED_ACTIVATION_NEG:
        return -x;
    case HSCHED_ACTIVATION_EXP:
        return exp(x);
    case HSCHED_ACTIVATION_LOG:
        return log(x);
    case HSCHED_ACTIVATION_SQRT:
        return sqrt(x);
    case HSCHED_ACTIVATION_RECIPROCAL:
        return 1 / x;
    case HSCHED_ACTIVATION_ERF:
        return erf(x);
    case HSCHED_ACTIVATION_FLOOR:
        return floor(x);
    case HSCHED_ACTIVATION_CEIL:
        return ceil(x);
    case HSCHED_ACTIVATION_GELU_TANH:
        return 0.5 * x *
               (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
        return x > a ? x : 0;
    case HSCHED_ACTIVATION_FAKE_QUANTIZE:
        return a * fmin(fmax(nearbyint(x / a), b), b + 255);
    default: /* not made at random */
        break;
    }
    return NAN;
}

double eval_binary(hsched_binary_kind kind, double a, double b)
{
    switch (kind) {
    case HSCHED_BINARY_ADD:
        return a + b;
    case HSCHED_BINARY_SUB:
        return a - b;
    case HSCHED_BINARY_MUL:
        return a * b;
    case HSCHED_BINARY_DIV:
        return a / b;
    case HSCHED_BINARY_MIN:
        return fmin(a, b);
    case HSCHED_BINARY_MAX:
        return fmax(a, b);
    case HSCHED_BINARY_POW:
        return pow(a, b);
    case HSCHED_BINARY_PRELU:
        return a < 0 ? a * b : a;
    default: /* not made at random */
        break;
    }
    return NAN;
}

static void eval_elementwise(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        unflatten(c->out, k, at);
        if (c->layer->kind == HSI_LAYER_ACTIVATION)
            c->y[k] = (float)eval_activation(c->layer->attrs.activation, c->x[0][k]);
        else
            c->y[k] = (float)eval_binary(
                c->layer->attrs.binary, broadcast_at(c->in[0], c->x[0], c->out->rank, at),
                broadcast_at(c->in[1], c->x[1], c->out->rank, at));
    }
}

static void eval_where(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        unflatten(c->out, k, at);
        const int64_t condition = broadcast_index(c->in[0], c->out->rank, at);
        const uint32_t i = ((const uint8_t *)c->x[0])[condition] != 0 ? 1 : 2;
        copy_element(c, k, i, broadcast_index(c->in[i], c->out->rank, at));
    }
}

static void eval_expand(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        unflatten(c->out, k, at);
        copy_element(c, k, 0, broadcast_index(c->in[0], c->out->rank, at));
    }
}

static void eval_reduce(const call *c)
{
    const hsi_graph_tensor *x = c->in[0];
    int64_t keep[HSCHED_MAX_DIMS];
    const int64_t count = element_count(c->out);
    const hsched_reduce_kind kind = c->layer->attrs.axes.reduce;
    double *sums = calloc((size_t)count, sizeof *sums);
    char *seen = calloc((size_t)count, 1);
    for (uint32_t i = 0; i < x->rank; i++)
        keep[i] = 1;
    for (uint32_t i = 0; i < c->layer->attrs.axes.count; i++)
        keep[c->layer->attrs.axes.axes[i]] = 0;
    for (int64_t k = 0; sums != NULL && seen != NULL && k < element_count(x); k++) {
        int64_t at[HSCHED_MAX_DIMS], to = 0;
        unflatten(x, k, at);
        for (uint32_t i = 0; i < x->rank; i++)
            if (keep[i])
                to = to * x->dims[i] + at[i];
        const double v = c->x[0][k];
        if (kind == HSCHED_REDUCE_MEAN || kind == HSCHED_REDUCE_SUM)
            sums[to] += v;
        else if (kind == HSCHED_REDUCE_L1)
            sums[to] += fabs(v);
        else if (kind == HSCHED_REDUCE_L2 || kind == HSCHED_REDUCE_SUM_SQUARE)
            sums[to] += v * v;
        else if (!seen[to] || (kind == HSCHED_REDUCE_MAX) == (v > sums[to]))
            sums[to] = v;
        seen[to] = 1;
    }
    for (int64_t k = 0; k < count; k++)
        c->y[k] = sums == NULL || seen == NULL ? NAN
                  : kind == HSCHED_REDUCE_MEAN
                      ? (float)(sums[k] * (double)count / (double)element_count(x))
                  : kind == HSCHED_REDUCE_L2 ? (float)sqrt(sums[k])
                                             : (float)sums[k];
    free(seen);
    free(sums);
}

static void eval_image(const call *c)
{
    const hsched_image_config *a = &c->layer->attrs.image;
    const uint8_t *pixels = (const uint8_t *)c->x[0];
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        unflatten(c->out, k, at);
        int64_t from = a->swap_red_blue && at[1] < 3 ? 2 - at[1] : at[1];
        const int64_t pixel[4] = { at[0], at[2], at[3], from };
        c->y[k] = (float)((pixels[flatten(c->in[0], pixel)] - (double)a->mean[at[1]]) *
                          a->scale[at[1]]);
    }
}

static void eval_pad(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        int outside = 0;
        unflatten(c->out, k, at);
        for (uint32_t i = 0; i < c->out->rank; i++) {
            const int64_t size = c->in[0]->dims[i];
            at[i] -= c->layer->attrs.pad.before[i];
            outside |= at[i] < 0 || at[i] >= size;
            const int reflect = c->layer->attrs.pad.mode == HSCHED_PAD_MODE_REFLECT;
            if (at[i] < 0)
                at[i] = reflect ? -at[i] : 0;
            else if (at[i] >= size)
                at[i] = reflect ? 2 * (size - 1) - at[i] : size - 1;
        }
        if (!outside || c->layer->attrs.pad.mode != HSCHED_PAD_MODE_CONSTANT)
            copy_element(c, k, 0, flatten(c->in[0], at));
        else if (c->out->dtype == HSCHED_FLOAT32)
            c->y[k] = c->layer->attrs.pad.value;
        else
            eval_put(c->out->dtype, c->y, k, (int64_t)c->layer->attrs.pad.value);
    }
}

/* ---- Moving data of any type ---- */

static void eval_move(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS], from[HSCHED_MAX_DIMS], source = k;
        unflatten(c->out, k, at);
        if (c->layer->kind == HSI_LAYER_SLICE) {
            for (uint32_t i = 0; i < c->out->rank; i++)
                from[i] = c->layer->attrs.slice.starts[i] +
                          at[i] * c->layer->attrs.slice.steps[i];
            source = flatten(c->in[0], from);
        } else if (c->layer->kind == HSI_LAYER_TRANSPOSE) {
            for (uint32_t i = 0; i < c->out->rank; i++)
                from[c->layer->attrs.transpose.perm[i]] = at[i];
            source = flatten(c->in[0], from);
        }
        copy_element(c, k, 0, source);
    }
}

static void eval_concat(const hsched_graph *graph, const hsi_layer *layer,
                        const graph_values *values, char *y)
{
    const hsi_graph_tensor *out = &graph->tensors[layer->output];
    const uint32_t axis = (uint32_t)layer->attrs.concat.axis;
    const size_t size = hsched_dtype_size(out->dtype);
    for (int64_t k = 0; k < element_count(out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        uint32_t input = 0;
        unflatten(out, k, at);
        while (at[axis] >= graph->tensors[layer->inputs[input]].dims[axis])
            at[axis] -= graph->tensors[layer->inputs[input++]].dims[axis];
        const hsi_graph_tensor *x = &graph->tensors[layer->inputs[input]];
        memcpy(y + (size_t)k * size,
               (const char *)values->data[layer->inputs[input]] +
                   (size_t)flatten(x, at) * size,
               size);
    }
}

/* ---- The whole ---- */

/* What computes on float64, or casts from or to it; what moves elements takes any type. */
static int is_of_double(const call *c)
{
    const hsi_layer_kind kind = c->layer->kind;
    return (c->in[0]->dtype == HSCHED_FLOAT64 || c->out->dtype == HSCHED_FLOAT64) &&
           (kind == HSI_LAYER_CAST || kind == HSI_LAYER_ACTIVATION ||
            kind == HSI_LAYER_BINARY || kind == HSI_LAYER_SOFTMAX ||
            kind == HSI_LAYER_NORM || kind == HSI_LAYER_REDUCE ||
            kind == HSI_LAYER_MATMUL || kind == HSI_LAYER_FULLY_CONNECTED);
}

static int eval_layer(const call *c)
{
    if (is_of_double(c))
        return eval_double(c);
    switch (c->layer->kind) {
    case HSI_LAYER_CONV2D:
        eval_conv2d(c);
        return 1;
    case HSI_LAYER_FULLY_CONNECTED:
        eval_fully_connected(c);
        return 1;
    case HSI_LAYER_MATMUL:
        eval_matmul(c);
        return 1;
    case HSI_LAYER_POOL2D:
        eval_pool(c, c->layer->attrs.pool2d.kind, &c->layer->attrs.pool2d.config);
        return 1;
    case HSI_LAYER_GLOBAL_POOL:
    case HSI_LAYER_POOL:
        eval_pool_any(c);
        return 1;
    case HSI_LAYER_RESIZE:
        eval_resize(c);
        return 1;
    case HSI_LAYER_CONV:
        eval_conv(c);
        return 1;
    case HSI_LAYER_CONV_TRANSPOSE:
        eval_conv_transpose(c);
        return 1;
    case HSI_LAYER_BATCH_NORM:
        eval_batch_norm(c);
        return 1;
    case HSI_LAYER_LRN:
        eval_lrn(c);
        return 1;
    case HSI_LAYER_SOFTMAX:
        eval_softmax(c);
        return 1;
    case HSI_LAYER_NORM:
        eval_norm(c);
        return 1;
    case HSI_LAYER_ACTIVATION:
    case HSI_LAYER_BINARY:
        if (c->in[0]->dtype != HSCHED_FLOAT32)
            return eval_typed(c);
        eval_elementwise(c);
        return 1;
    case HSI_LAYER_CAST:
        eval_cast(c);
        return 1;
    case HSI_LAYER_WHERE:
        eval_where(c);
        return 1;
    case HSI_LAYER_PAD:
        eval_pad(c);
        return 1;
    case HSI_LAYER_REDUCE:
        if (c->in[0]->dtype != HSCHED_FLOAT32)
            return eval_typed_reduce(c);
        eval_reduce(c);
        return 1;
    case HSI_LAYER_IMAGE_INPUT:
        eval_image(c);
        return 1;
    case HSI_LAYER_EXPAND:
        eval_expand(c);
        return 1;
    case HSI_LAYER_SLICE:
    case HSI_LAYER_RESHAPE:
    case HSI_LAYER_FLATTEN:
    case HSI_LAYER_SQUEEZE:
    case HSI_LAYER_UNSQUEEZE:
    case HSI_LAYER_TRANSPOSE:
        eval_move(c);
        return 1;
    case HSI_LAYER_GATHER:
    case HSI_LAYER_GATHER_ELEMENTS:
    case HSI_LAYER_GATHER_ND:
        eval_gather(c);
        return 1;
    case HSI_LAYER_SCATTER_ELEMENTS:
    case HSI_LAYER_SCATTER_ND:
        eval_scatter(c);
        return 1;
    case HSI_LAYER_ARG:
        eval_arg(c);
        return 1;
    case HSI_LAYER_TOP_K:
        eval_top_k(c);
        return 1;
    case HSI_LAYER_CUMSUM:
        eval_cumsum(c);
        return 1;
    case HSI_LAYER_RECURRENT:
        return eval_recurrent(c);
    case HSI_LAYER_MAX_POOL_INDICES: /* tests/unit/test_unpool.c */
    case HSI_LAYER_ROI_ALIGN:
    case HSI_LAYER_NMS:         /* tests/unit/test_nms_layers.c */
    case HSI_LAYER_GRID_SAMPLE: /* tests/unit/test_sample_layers.c */
    case HSI_LAYER_CONCAT:      /* by the caller: it may have many operands */
    case HSI_LAYER_KINDS:
        break;
    }
    return 0;
}

static int keep_copy(graph_values *values, const hsched_graph *graph, uint32_t tensor,
                     const void *data)
{
    const size_t bytes = graph_tensor_bytes(&graph->tensors[tensor]);
    values->data[tensor] = malloc(bytes);
    if (values->data[tensor] != NULL && data != NULL)
        memcpy(values->data[tensor], data, bytes);
    return values->data[tensor] != NULL;
}

static void keep_as_it_is(void *user, uint32_t tensor, void *data)
{
    (void)user;
    (void)tensor;
    (void)data;
}

/* Everything that is there before the first layer. */
static int keep_given(const hsched_graph *graph, const void *const *inputs,
                      graph_change *change, void *user, graph_values *values)
{
    for (uint32_t i = 0; i < graph->input_count; i++) {
        if (!keep_copy(values, graph, graph->inputs[i], inputs[i]))
            return 0;
        change(user, graph->inputs[i], values->data[graph->inputs[i]]);
    }
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        if (graph->tensors[t].data == NULL)
            continue;
        if (!keep_copy(values, graph, t, graph->tensors[t].data))
            return 0;
        change(user, t, values->data[t]);
    }
    return 1;
}

int graph_eval_changed(const hsched_graph *graph, const void *const *inputs,
                       graph_change *change, void *user, graph_values *values)
{
    values->count = graph->tensor_count;
    values->data = calloc(graph->tensor_count, sizeof *values->data);
    int done = values->data != NULL && keep_given(graph, inputs, change, user, values);
    for (uint32_t l = 0; l < graph->layer_count && done; l++) {
        const hsi_layer *layer = &graph->layers[l];
        done = keep_copy(values, graph, layer->output, NULL);
        if (!done)
            break;
        call c = { .layer = layer, .out = &graph->tensors[layer->output] };
        c.y = values->data[layer->output];
        for (uint32_t i = 0; i < layer->input_count && i < EVAL_OPERANDS; i++)
            if (layer->inputs[i] != HSCHED_NO_TENSOR) {
                c.in[i] = &graph->tensors[layer->inputs[i]];
                c.x[i] = values->data[layer->inputs[i]];
            }
        if (layer->kind == HSI_LAYER_CONCAT)
            eval_concat(graph, layer, values, values->data[layer->output]);
        else
            done = eval_layer(&c);
        if (done)
            change(user, layer->output, values->data[layer->output]);
    }
    if (!done)
        graph_values_free(values);
    return done;
}

int graph_eval(const hsched_graph *graph, const void *const *inputs, graph_values *values)
{
    return graph_eval_changed(graph, inputs, keep_as_it_is, NULL, values);
}

void graph_values_free(graph_values *values)
{
    for (uint32_t t = 0; values->data != NULL && t < values->count; t++)
        free(values->data[t]);
    free(values->data);
    values->data = NULL;
}
