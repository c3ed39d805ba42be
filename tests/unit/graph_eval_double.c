/* Layers on float64. */
#include "unit/graph_eval_call.h"

#include <math.h>

static double get(const call *c, uint32_t i, int64_t k)
{
    return ((const double *)(const void *)c->x[i])[k];
}

static void put(const call *c, int64_t k, double value)
{
    ((double *)(void *)c->y)[k] = value;
}

/* To float32 and from it or what is no float. */
static int cast(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++)
        if (c->in[0]->dtype == HSCHED_FLOAT32)
            put(c, k, (double)c->x[0][k]);
        else if (c->in[0]->dtype != HSCHED_FLOAT64)
            put(c, k, (double)eval_get(c->in[0]->dtype, c->x[0], k));
        else
            c->y[k] = (float)get(c, 0, k);
    return c->in[0]->dtype != HSCHED_FLOAT64 || c->out->dtype == HSCHED_FLOAT32;
}

static int activation(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++)
        put(c, k, eval_activation(c->layer->attrs.activation, get(c, 0, k)));
    return 1;
}

static int binary(const call *c)
{
    const hsched_binary_kind kind = c->layer->attrs.binary;
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        unflatten(c->out, k, at);
        const double a = get(c, 0, broadcast_index(c->in[0], c->out->rank, at)),
                     b = get(c, 1, broadcast_index(c->in[1], c->out->rank, at));
        if (kind == HSCHED_BINARY_GREATER)
            eval_put(HSCHED_BOOL, c->y, k, a > b);
        else
            put(c, k, eval_binary(kind, a, b));
    }
    return kind == HSCHED_BINARY_GREATER || c->out->dtype == HSCHED_FLOAT64;
}

static int softmax(const call *c)
{
    const hsi_graph_tensor *x = c->in[0];
    const uint32_t axis = (uint32_t)c->layer->attrs.softmax.axis;
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        double sum = 0;
        unflatten(x, k, at);
        for (at[axis] = 0; at[axis] < x->dims[axis]; at[axis]++)
            sum += exp(get(c, 0, flatten(x, at)) - get(c, 0, k));
        put(c, k, c->layer->attrs.softmax.log ? -log(sum) : 1 / sum);
    }
    return 1;
}

/* Of layers, over the dimensions from the axis on. */
static int norm(const call *c)
{
    const hsi_graph_tensor *x = c->in[0];
    int64_t inner = 1;
    for (uint32_t d = (uint32_t)c->layer->attrs.norm.axis; d < x->rank; d++)
        inner *= x->dims[d];
    for (int64_t k = 0; k < element_count(x); k++) {
        const int64_t first = k / inner * inner;
        int64_t at[HSCHED_MAX_DIMS];
        double sum = 0, squares = 0;
        unflatten(x, k, at);
        for (int64_t i = 0; i < inner; i++)
            sum += get(c, 0, first + i);
        for (int64_t i = 0; i < inner; i++)
            squares += pow(get(c, 0, first + i) - sum / (double)inner, 2);
        double y = (get(c, 0, k) - sum / (double)inner) /
                   sqrt(squares / (double)inner + c->layer->attrs.norm.epsilon);
        if (c->x[1] != NULL)
            y *= get(c, 1, broadcast_index(c->in[1], x->rank, at));
        if (c->x[2] != NULL)
            y += get(c, 2, broadcast_index(c->in[2], x->rank, at));
        put(c, k, y);
    }
    return c->layer->attrs.norm.kind == HSI_NORM_LAYER;
}

/* Along axes whose elements are far apart or not. */
static int reduce(const call *c)
{
    const hsi_graph_tensor *x = c->in[0];
    const hsched_reduce_kind kind = c->layer->attrs.axes.reduce;
    const int64_t count = element_count(c->out), each = element_count(x) / count;
    int64_t keep[HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < x->rank; d++)
        keep[d] = 1;
    for (uint32_t i = 0; i < c->layer->attrs.axes.count; i++)
        keep[c->layer->attrs.axes.axes[i]] = 0;
    for (int64_t to = 0; to < count; to++)
        put(c, to, kind == HSCHED_REDUCE_MEAN ? 0 : NAN);
    for (int64_t k = 0; k < element_count(x); k++) {
        int64_t at[HSCHED_MAX_DIMS], to = 0;
        unflatten(x, k, at);
        for (uint32_t d = 0; d < x->rank; d++)
            if (keep[d])
                to = to * x->dims[d] + at[d];
        const double v = get(c, 0, k), so_far = ((double *)(void *)c->y)[to];
        put(c, to,
            kind == HSCHED_REDUCE_MEAN  ? so_far + v / (double)each
            : kind == HSCHED_REDUCE_MAX ? fmax(so_far, v)
                                        : fmin(so_far, v));
    }
    return kind == HSCHED_REDUCE_MEAN || kind == HSCHED_REDUCE_MAX ||
           kind == HSCHED_REDUCE_MIN;
}

/* [...,K] by a matrix [K,N], or [N,K] of a fully connected layer. */
static int product(const call *c, int turned)
{
    const int64_t *w = c->in[1]->dims, inner = w[turned], width = w[!turned];
    for (int64_t k = 0; k < element_count(c->out); k++) {
        const int64_t row = k / width, column = k % width;
        double sum = turned && c->x[2] != NULL ? get(c, 2, column) : 0;
        for (int64_t i = 0; i < inner; i++)
            sum += get(c, 0, row * inner + i) *
                   get(c, 1, turned ? column * inner + i : i * width + column);
        put(c, k, sum);
    }
    return c->in[1]->rank == 2;
}

int eval_double(const call *c)
{
    switch (c->layer->kind) {
    case HSI_LAYER_CAST:
        return cast(c);
    case HSI_LAYER_ACTIVATION:
        return activation(c);
    case HSI_LAYER_BINARY:
        return binary(c);
    case HSI_LAYER_SOFTMAX:
        return softmax(c);
    case HSI_LAYER_NORM:
        return norm(c);
    case HSI_LAYER_REDUCE:
        return reduce(c);
    case HSI_LAYER_MATMUL:
        return product(c, 0);
    case HSI_LAYER_FULLY_CONNECTED:
        return product(c, 1);
    default:
        return 0;
    }
}
