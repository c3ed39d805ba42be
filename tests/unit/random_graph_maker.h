/* Inside the random graph maker: the tensors so far, and a function for each kind of
 * layer. */
#ifndef TESTS_UNIT_RANDOM_GRAPH_MAKER_H
#define TESTS_UNIT_RANDOM_GRAPH_MAKER_H

#include "unit/random_graph.h"

enum {
    MAX_TENSORS = 512,
    MAX_ELEMENTS = 6000,
    MAX_OPERANDS = 6
};
#define MAX_SIZE 48.0 /* estimated magnitude */

typedef struct item {
    hsched_tensor tensor;
    hsched_dtype dtype;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    double size; /* estimated magnitude */
    int constant;
    int given; /* an input or a constant: nothing has computed, or rounded, it */
    int used;
} item;

typedef struct maker {
    hsched_graph *graph;
    uint64_t random;
    item items[MAX_TENSORS];
    uint32_t count;
    int indexing;         /* layers on integers, by indices and in order are made, too */
    hsched_status status; /* of the first call that failed */
} maker;

int64_t maker_range(maker *m, int64_t low, int64_t high); /* both included */
int maker_chance(maker *m, int percent);
int64_t maker_elements(uint32_t rank, const int64_t *dims);

/* Remembers what a call made; NULL if it failed or there is no room. */
item *maker_made(maker *m, hsched_status status, const hsched_tensor *tensor,
                 double size);
hsched_tensor maker_constant(maker *m, uint32_t rank, const int64_t *dims, double low,
                             double high);
/* A tensor of at least (at most) so many dimensions; late ones are likelier. NULL: none
 * found. */
item *maker_pick(maker *m, uint32_t rank_min, uint32_t rank_max, int any_type);

/* Layers on top of x, or NULL if x is NULL or they do not fit. */
item *maker_add_conv(maker *m, item *x, int64_t filters, int64_t kernel, int64_t stride,
                     int same);
item *maker_add_batch_norm(maker *m, item *x);
item *maker_add_activation(maker *m, item *x);
item *maker_add_pool(maker *m, item *x);
item *maker_add_fully_connected(maker *m, item *x);
item *maker_add_matmul(maker *m, item *x);
item *maker_add_binary(maker *m, item *x);
item *maker_add_concat(maker *m, item *x);
item *maker_add_slice(maker *m, item *x);
item *maker_add_pad(maker *m, item *x);
item *maker_add_reshape(maker *m, item *x);
item *maker_add_transpose(maker *m, item *x);
item *maker_add_reduce(maker *m, item *x);
item *maker_add_expand(maker *m, item *x);
item *maker_add_lrn(maker *m, item *x);
item *maker_add_softmax(maker *m, item *x);
item *maker_add_norm(maker *m, item *x); /* random_graph_norm.c */
/* random_graph_window.c: x has one to three spatial dimensions. */
item *maker_add_conv_any(maker *m, item *x);
item *maker_add_conv_transpose(maker *m, item *x);
item *maker_add_pool_any(maker *m, item *x);
item *maker_add_resize(maker *m, item *x); /* of any shape */
/* random_graph_recurrent.c; x may have to become a sequence first. */
item *maker_add_recurrent(maker *m, item *x);

/* random_graph_double.c */
item *maker_add_doubles(maker *m, item *x);

/* random_graph_types.c: integers and bool; `size` bounds them. */
hsched_tensor maker_integers_constant(maker *m, hsched_dtype dtype, uint32_t rank,
                                      const int64_t *dims, int64_t low, int64_t high);
item *maker_pick_integers(maker *m, uint32_t rank_min, uint32_t rank_max);
item *maker_cast(maker *m, item *x, hsched_dtype dtype, double size);
/* Integers made 0 to count - 1 (119 at most), of type `dtype`; NULL if x is NULL. */
item *maker_modulo(maker *m, item *x, int64_t count, hsched_dtype dtype);
item *maker_add_typed(maker *m);

/* random_graph_index.c */
item *maker_add_indexed(maker *m);
item *maker_add_ordered(maker *m);

#endif
