/* Inside the evaluator of graphs: one layer with its operands, and indices of tensors. */
#ifndef TESTS_UNIT_GRAPH_EVAL_CALL_H
#define TESTS_UNIT_GRAPH_EVAL_CALL_H

#include "unit/graph_eval.h"

typedef struct call {
    const hsi_layer *layer;
    const hsi_graph_tensor *in[5], *out;
    const float *x[5];
    float *y;
} call;

static inline int64_t element_count(const hsi_graph_tensor *t)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        count *= t->dims[i];
    return count;
}

/* The index of element k in row-major order, and back. */
static inline void unflatten(const hsi_graph_tensor *t, int64_t k, int64_t *index)
{
    for (uint32_t i = t->rank; i-- > 0;) {
        index[i] = k % t->dims[i];
        k /= t->dims[i];
    }
}

static inline int64_t flatten(const hsi_graph_tensor *t, const int64_t *index)
{
    int64_t k = 0;
    for (uint32_t i = 0; i < t->rank; i++)
        k = k * t->dims[i] + index[i];
    return k;
}

/* graph_eval_window.c: images of any number of spatial dimensions. */
void eval_conv(const call *c);
void eval_conv_transpose(const call *c);
void eval_pool_any(const call *c);
void eval_resize(const call *c); /* graph_eval_resize.c */
void eval_norm(const call *c);   /* graph_eval_norm.c */

#endif
