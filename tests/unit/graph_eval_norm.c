/* Normalisations by statistics of their input, by the formula. */
#include "unit/graph_eval_call.h"

#include <math.h>

/* Which group element k of x belongs to. */
static int64_t group_of(const call *c, int64_t k)
{
    const hsi_graph_tensor *x = c->in[0];
    const hsi_norm_kind kind = c->layer->attrs.norm.kind;
    int64_t inner = 1;
    if (kind == HSI_NORM_LAYER || kind == HSI_NORM_RMS) {
        for (uint32_t d = (uint32_t)c->layer->attrs.norm.axis; d < x->rank; d++)
            inner *= x->dims[d];
        return k / inner;
    }
    for (uint32_t d = 2; d < x->rank; d++)
        inner *= x->dims[d];
    const int64_t each =
        kind == HSI_NORM_GROUP ? x->dims[1] / c->layer->attrs.norm.groups : 1;
    return k / (inner * each); /* `each` divides the channels */
}

/* Scale or bias at an index of x. */
static double parameter(const call *c, int input, const int64_t *at)
{
    const hsi_graph_tensor *p = c->in[input];
    int64_t index[HSCHED_MAX_DIMS];
    if (c->layer->attrs.norm.kind >= HSI_NORM_INSTANCE)
        return c->x[input][at[1]];
    for (uint32_t d = 0; d < p->rank; d++)
        index[d] = p->dims[d] == 1 ? 0 : at[c->out->rank - p->rank + d];
    return c->x[input][flatten(p, index)];
}

void eval_norm(const call *c)
{
    const int rms = c->layer->attrs.norm.kind == HSI_NORM_RMS;
    const int64_t count = element_count(c->out);
    for (int64_t first = 0, end; first < count; first = end) {
        double mean = 0, variance = 0;
        for (end = first; end < count && group_of(c, end) == group_of(c, first); end++)
            mean += c->x[0][end];
        mean = rms ? 0 : mean / (double)(end - first);
        for (int64_t k = first; k < end; k++)
            variance += (c->x[0][k] - mean) * (c->x[0][k] - mean);
        variance /= (double)(end - first);
        for (int64_t k = first; k < end; k++) {
            int64_t at[HSCHED_MAX_DIMS];
            unflatten(c->out, k, at);
            double y = (c->x[0][k] - mean) /
                       sqrt(variance + (double)c->layer->attrs.norm.epsilon);
            if (c->in[1] != NULL)
                y *= parameter(c, 1, at);
            if (c->in[2] != NULL)
                y += parameter(c, 2, at);
            c->y[k] = (float)y;
        }
    }
}
