/* Inside the evaluator of graphs: one layer with its operands, and indices of tensors. */
#ifndef TESTS_UNIT_GRAPH_EVAL_CALL_H
#define TESTS_UNIT_GRAPH_EVAL_CALL_H

#include <string.h>

#include "unit/graph_eval.h"

#define EVAL_OPERANDS 7 /* but for concat, which may have more */

typedef struct call {
    const hsi_layer *layer;
    const hsi_graph_tensor *in[EVAL_OPERANDS], *out;
    const float *x[EVAL_OPERANDS]; /* whatever the type is; NULL: absent */
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

/* The index into an operand that broadcasts to `out`, at out's index. */
static inline int64_t broadcast_index(const hsi_graph_tensor *t, uint32_t out_rank,
                                      const int64_t *index)
{
    int64_t own[HSCHED_MAX_DIMS];
    for (uint32_t i = 0; i < t->rank; i++)
        own[i] = t->dims[i] == 1 ? 0 : index[i + out_rank - t->rank];
    return flatten(t, own);
}

/* An element of y, which is of any type, becomes one of operand i; -1: zeros. */
static inline void copy_element(const call *c, int64_t to, uint32_t i, int64_t from)
{
    const size_t size = hsched_dtype_size(c->out->dtype);
    if (from < 0)
        memset((char *)c->y + (size_t)to * size, 0, size);
    else
        memcpy((char *)c->y + (size_t)to * size,
               (const char *)c->x[i] + (size_t)from * size, size);
}

/* graph_eval.c */
double eval_activation(hsched_activation act, double x);
double eval_binary(hsched_binary_kind kind, double a, double b);
/* graph_eval_double.c; 0: not a kind that random graphs have. */
int eval_double(const call *c);

/* graph_eval_types.c: integers and bool; 0: not a kind that random graphs have. */
void eval_cast(const call *c);
int eval_typed(const call *c);        /* ACTIVATION, BINARY */
int eval_typed_reduce(const call *c); /* REDUCE */
int64_t eval_get(hsched_dtype dtype, const void *data, int64_t k);
void eval_put(hsched_dtype dtype, void *data, int64_t k, int64_t value);

/* graph_eval_index.c */
void eval_gather(const call *c); /* all that look elements up */
void eval_scatter(const call *c);
/* graph_eval_order.c */
void eval_arg(const call *c);
void eval_top_k(const call *c);
void eval_cumsum(const call *c);

int eval_recurrent(const call *c); /* graph_eval_recurrent.c; 0: no memory */

/* graph_eval_window.c: images of any number of spatial dimensions. */
void eval_conv(const call *c);
void eval_conv_transpose(const call *c);
void eval_pool_any(const call *c);
void eval_resize(const call *c); /* graph_eval_resize.c */
void eval_norm(const call *c);   /* graph_eval_norm.c */

#endif
