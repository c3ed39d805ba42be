/* Layers that look elements up by indices, or put them by indices. */
#include "unit/graph_eval_call.h"

/* Element k of the indices into a dimension of this size; -1: out of range. */
static int64_t index_at(const call *c, int64_t k, int64_t size)
{
    const int64_t i = eval_get(c->in[1]->dtype, c->x[1], k);
    const int64_t from_start = i < 0 ? i + size : i;
    return from_start < 0 || from_start >= size ? -1 : from_start;
}

/* y's dimensions are x's before the axis, those of the indices, x's behind it. */
static int64_t gathered(const call *c, const int64_t *at)
{
    const uint32_t axis = (uint32_t)c->layer->attrs.softmax.axis, more = c->in[1]->rank;
    const int64_t index = index_at(c, flatten(c->in[1], at + axis), c->in[0]->dims[axis]);
    int64_t from[HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < c->in[0]->rank; d++)
        from[d] = d < axis ? at[d] : d == axis ? index : at[d - 1 + more];
    return index < 0 ? -1 : flatten(c->in[0], from);
}

static int64_t gathered_element(const call *c, const int64_t *at)
{
    const uint32_t axis = (uint32_t)c->layer->attrs.softmax.axis;
    int64_t from[HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < c->in[0]->rank; d++)
        from[d] = at[d];
    from[axis] = index_at(c, flatten(c->in[1], at), c->in[0]->dims[axis]);
    return from[axis] < 0 ? -1 : flatten(c->in[0], from);
}

/* The element of `t` that a tuple names, and behind it `rest`; the first `batch` dimensions
 * are where the tuple is. The tuple's own place is `at`, in the indices but for the last
 * dimension. -1: out of range. */
static int64_t named(const call *c, const hsi_graph_tensor *t, uint32_t batch,
                     const int64_t *at)
{
    const hsi_graph_tensor *indices = c->in[1];
    const uint32_t places = indices->rank - 1;
    const uint32_t m = (uint32_t)indices->dims[places];
    int64_t from[HSCHED_MAX_DIMS], tuple[HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < places; d++)
        tuple[d] = at[d];
    for (uint32_t d = 0; d < t->rank; d++) {
        if (d < batch) {
            from[d] = at[d];
        } else if (d < batch + m) {
            tuple[places] = d - batch;
            from[d] = index_at(c, flatten(indices, tuple), t->dims[d]);
            if (from[d] < 0)
                return -1;
        } else {
            from[d] = at[places + d - batch - m];
        }
    }
    return flatten(t, from);
}

void eval_gather(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        unflatten(c->out, k, at);
        copy_element(c, k, 0,
                     c->layer->kind == HSI_LAYER_GATHER ? gathered(c, at)
                     : c->layer->kind == HSI_LAYER_GATHER_ELEMENTS
                         ? gathered_element(c, at)
                         : named(c, c->in[0], (uint32_t)c->layer->attrs.batch_dims, at));
    }
}

static int64_t combine(hsched_scatter_kind kind, int64_t a, int64_t b)
{
    switch (kind) {
    case HSCHED_SCATTER_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case HSCHED_SCATTER_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case HSCHED_SCATTER_MAX:
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

static float combine_floats(hsched_scatter_kind kind, float a, float b)
{
    switch (kind) {
    case HSCHED_SCATTER_ADD:
        return a + b;
    case HSCHED_SCATTER_MUL:
        return a * b;
    case HSCHED_SCATTER_MAX:
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

static void put(const call *c, int64_t to, int64_t k)
{
    const hsched_scatter_kind kind = c->layer->attrs.scatter.kind;
    const hsched_dtype dtype = c->out->dtype;
    if (kind == HSCHED_SCATTER_SET)
        copy_element(c, to, 2, k);
    else if (dtype == HSCHED_FLOAT32)
        c->y[to] = combine_floats(kind, c->y[to], c->x[2][k]);
    else
        eval_put(dtype, c->y, to,
                 combine(kind, eval_get(dtype, c->y, to), eval_get(dtype, c->x[2], k)));
}

void eval_scatter(const call *c)
{
    const uint32_t axis = (uint32_t)c->layer->attrs.scatter.axis;
    for (int64_t k = 0; k < element_count(c->out); k++)
        copy_element(c, k, 0, k);
    for (int64_t k = 0; k < element_count(c->in[2]); k++) {
        int64_t at[HSCHED_MAX_DIMS], to;
        unflatten(c->in[2], k, at);
        if (c->layer->kind == HSI_LAYER_SCATTER_ND) {
            to = named(c, c->out, 0, at);
        } else {
            at[axis] = index_at(c, k, c->out->dims[axis]);
            to = at[axis] < 0 ? -1 : flatten(c->out, at);
        }
        if (to >= 0)
            put(c, to, k);
    }
}
