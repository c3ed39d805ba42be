/* Convolution and pooling by their definitions, for any number of spatial dimensions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "unit/graph_eval_call.h"

/* Goes through all taps of a kernel: `tap` has `spatial` numbers. 0 after the last. */
static int next_tap(uint32_t spatial, const int64_t *kernel, int64_t *tap)
{
    for (uint32_t i = spatial; i-- > 0;) {
        if (++tap[i] < kernel[i])
            return 1;
        tap[i] = 0;
    }
    return 0;
}

void eval_conv(const call *c)
{
    const hsched_conv_config *a = &c->layer->attrs.conv;
    const hsi_graph_tensor *x = c->in[0], *w = c->in[1];
    const uint32_t spatial = x->rank - 2;
    const int64_t per_group = w->dims[0] / a->groups;
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS], from[HSCHED_MAX_DIMS], of[HSCHED_MAX_DIMS];
        unflatten(c->out, k, at);
        double sum = c->x[2] != NULL ? c->x[2][at[1]] : 0;
        for (int64_t ch = 0; ch < w->dims[1]; ch++) {
            int64_t tap[3] = { 0 };
            do {
                int inside = 1;
                from[0] = at[0];
                from[1] = at[1] / per_group * w->dims[1] + ch;
                of[0] = at[1];
                of[1] = ch;
                for (uint32_t i = 0; i < spatial; i++) {
                    of[2 + i] = tap[i];
                    from[2 + i] =
                        at[2 + i] * a->strides[i] - a->pads[i] + tap[i] * a->dilations[i];
                    inside &= from[2 + i] >= 0 && from[2 + i] < x->dims[2 + i];
                }
                if (inside)
                    sum += (double)c->x[0][flatten(x, from)] * c->x[1][flatten(w, of)];
            } while (next_tap(spatial, w->dims + 2, tap));
        }
        c->y[k] = (float)sum;
    }
}

/* Every element of x adds the kernel times itself. */
void eval_conv_transpose(const call *c)
{
    const hsched_conv_transpose_config *a = &c->layer->attrs.conv_transpose;
    const hsi_graph_tensor *x = c->in[0], *w = c->in[1], *y = c->out;
    const uint32_t spatial = x->rank - 2;
    const int64_t inputs = x->dims[1] / a->groups;
    double *sums = calloc((size_t)element_count(y), sizeof *sums);
    for (int64_t k = 0; sums != NULL && k < element_count(x); k++) {
        int64_t at[HSCHED_MAX_DIMS], to[HSCHED_MAX_DIMS], of[HSCHED_MAX_DIMS];
        unflatten(x, k, at);
        for (int64_t o = 0; o < w->dims[1]; o++) {
            int64_t tap[3] = { 0 };
            do {
                int inside = 1;
                to[0] = at[0];
                to[1] = at[1] / inputs * w->dims[1] + o;
                of[0] = at[1];
                of[1] = o;
                for (uint32_t i = 0; i < spatial; i++) {
                    of[2 + i] = tap[i];
                    to[2 + i] =
                        at[2 + i] * a->strides[i] + tap[i] * a->dilations[i] - a->pads[i];
                    inside &= to[2 + i] >= 0 && to[2 + i] < y->dims[2 + i];
                }
                if (inside)
                    sums[flatten(y, to)] += (double)c->x[0][k] * c->x[1][flatten(w, of)];
            } while (next_tap(spatial, w->dims + 2, tap));
        }
    }
    for (int64_t k = 0; k < element_count(y); k++) {
        int64_t at[HSCHED_MAX_DIMS];
        unflatten(y, k, at);
        c->y[k] = sums == NULL
                      ? NAN
                      : (float)(sums[k] + (c->x[2] != NULL ? c->x[2][at[1]] : 0));
    }
    free(sums);
}

void eval_pool_any(const call *c)
{
    hsched_pool_config all = { .strides = { 1, 1, 1 }, .dilations = { 1, 1, 1 } };
    const hsched_pool_config *a = &all;
    hsched_pool_kind kind = c->layer->attrs.global_pool;
    const hsi_graph_tensor *x = c->in[0];
    const uint32_t spatial = x->rank - 2;
    if (c->layer->kind == HSI_LAYER_POOL) {
        a = &c->layer->attrs.pool.config;
        kind = c->layer->attrs.pool.kind;
    } else {
        memcpy(all.kernel, x->dims + 2, spatial * sizeof *all.kernel);
    }
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS], from[HSCHED_MAX_DIMS], tap[3] = { 0 }, count = 0;
        double sum = 0, most = -INFINITY;
        unflatten(c->out, k, at);
        do {
            int inside = 1, padded = 1;
            memcpy(from, at, sizeof from);
            for (uint32_t i = 0; i < spatial; i++) {
                from[2 + i] =
                    at[2 + i] * a->strides[i] - a->pads[i] + tap[i] * a->dilations[i];
                inside &= from[2 + i] >= 0 && from[2 + i] < x->dims[2 + i];
                padded &= from[2 + i] < x->dims[2 + i] + a->pads[spatial + i];
            }
            count += a->count_include_pad ? padded : inside;
            if (!inside)
                continue;
            const double v = c->x[0][flatten(x, from)];
            sum += v;
            most = v > most ? v : most;
        } while (next_tap(spatial, a->kernel, tap));
        c->y[k] = (float)(kind == HSCHED_POOL_MAX ? most : sum / (double)count);
    }
}
