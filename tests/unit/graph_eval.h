/*
 * What a graph means, computed layer by layer on dense tensors by plain loops of its own:
 * nothing of the compiler or of the kernels is used. Slow; sums are in double.
 */
#ifndef TESTS_UNIT_GRAPH_EVAL_H
#define TESTS_UNIT_GRAPH_EVAL_H

#include "graph/graph.h"

typedef struct graph_values {
    uint32_t count;
    void **data; /* by tensor; dense; NULL for what no layer makes and is no input or
                    constant */
} graph_values;

/* inputs[i] is the data of input i, dense. 1 on success; the caller frees with
 * graph_values_free. */
int graph_eval(const hsched_graph *graph, const void *const *inputs,
               graph_values *values);

/* The same, and `change` may change each input, constant and layer's output as soon as it
 * has its value, before a layer reads it. */
typedef void graph_change(void *user, uint32_t tensor, void *data);
int graph_eval_changed(const hsched_graph *graph, const void *const *inputs,
                       graph_change *change, void *user, graph_values *values);
void graph_values_free(graph_values *values);

/* Bytes of a tensor, densely packed. */
size_t graph_tensor_bytes(const hsi_graph_tensor *tensor);

#endif
