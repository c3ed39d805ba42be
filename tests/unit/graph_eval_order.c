/* Layers that compare, or add up, the elements along an axis. */
#include "unit/graph_eval_call.h"

/* How many of x's elements are between neighbours along the axis. */
static int64_t step_along(const hsi_graph_tensor *x, int axis)
{
    int64_t step = 1;
    for (uint32_t d = (uint32_t)axis + 1; d < x->rank; d++)
        step *= x->dims[d];
    return step;
}

/* -1, 0, 1: element a of x is less than b, equal, more. */
static int compare(const call *c, int64_t a, int64_t b)
{
    if (c->in[0]->dtype == HSCHED_FLOAT32)
        return (c->x[0][a] > c->x[0][b]) - (c->x[0][a] < c->x[0][b]);
    const int64_t va = eval_get(c->in[0]->dtype, c->x[0], a),
                  vb = eval_get(c->in[0]->dtype, c->x[0], b);
    return (va > vb) - (va < vb);
}

/* y has one element for each line of x, in the order of the lines. */
void eval_arg(const call *c)
{
    const hsi_graph_tensor *x = c->in[0];
    const int axis = c->layer->attrs.arg.axis;
    const int sign = c->layer->attrs.arg.kind == HSCHED_ARG_MAX ? 1 : -1;
    const int64_t step = step_along(x, axis), size = x->dims[axis];
    for (int64_t k = 0; k < element_count(c->out); k++) {
        const int64_t first = k / step * step * size + k % step;
        int64_t best = 0;
        for (int64_t i = 1; i < size; i++) {
            const int more = sign * compare(c, first + i * step, first + best * step);
            if (more > 0 || (more == 0 && c->layer->attrs.arg.select_last))
                best = i;
        }
        eval_put(HSCHED_INT64, c->y, k, best);
    }
}

/* Place r is that of the element before which r others come. */
void eval_top_k(const call *c)
{
    const hsi_graph_tensor *x = c->in[0];
    const int axis = c->layer->attrs.top_k.axis;
    const int sign = c->layer->attrs.top_k.largest ? 1 : -1;
    const int64_t step = step_along(x, axis), size = x->dims[axis];
    for (int64_t k = 0; k < element_count(x); k++) {
        int64_t at[HSCHED_MAX_DIMS], place = 0;
        unflatten(x, k, at);
        const int64_t own = at[axis], first = k - own * step;
        for (int64_t i = 0; i < size; i++) {
            const int more = sign * compare(c, first + i * step, k);
            place += more > 0 || (more == 0 && i < own);
        }
        at[axis] = place;
        if (place < c->out->dims[axis])
            eval_put(HSCHED_INT64, c->y, flatten(c->out, at), own);
    }
}

void eval_cumsum(const call *c)
{
    const hsi_graph_tensor *x = c->in[0];
    const int axis = c->layer->attrs.cumsum.axis;
    const int exclusive = c->layer->attrs.cumsum.exclusive,
              reverse = c->layer->attrs.cumsum.reverse;
    const int64_t step = step_along(x, axis), size = x->dims[axis];
    for (int64_t k = 0; k < element_count(x); k++) {
        const int64_t own = k / step % size, first = k - own * step;
        double sum = 0;
        uint64_t whole = 0;
        for (int64_t i = 0; i < size; i++) {
            if (i == own ? exclusive : reverse != (i > own))
                continue;
            if (x->dtype == HSCHED_FLOAT32)
                sum += c->x[0][first + i * step];
            else
                whole += (uint64_t)eval_get(x->dtype, c->x[0], first + i * step);
        }
        if (x->dtype == HSCHED_FLOAT32)
            c->y[k] = (float)sum;
        else
            eval_put(x->dtype, c->y, k, (int64_t)whole);
    }
}
