/*
 * How far the rounding of a number format may move a network's outputs, found by trying: the
 * graph is evaluated several times with every value that the format rounds moved at random,
 * by as much as rounding moves it (Monte Carlo arithmetic). That takes account of what the
 * network does to errors: differences of large numbers amplify them, saturated activations
 * swallow them. No bound, but what it misses it misses by a small factor.
 */
#ifndef TESTS_UNIT_GRAPH_ROUNDING_H
#define TESTS_UNIT_GRAPH_ROUNDING_H

#include "unit/graph_eval.h"

/* A unit is half the distance from 1 to the next number. */
typedef struct graph_rounding {
    double unit;
    double operand_unit; /* of what convolutions and matrix products multiply */
    double smallest;     /* half the smallest number above 0; 0: of no account */
} graph_rounding;

/* spreads[i] is the root mean square of the norms of output i's deviations from `values`,
 * which is what graph_eval gave for these inputs; 0 for types other than float32. Infinite in
 * formats narrower than float32 for what depends on choices that floats make (arg, comparisons,
 * casts to integers). 1 on success. */
int graph_rounding_spread(const hsched_graph *graph, const void *const *inputs,
                          const graph_values *values, const graph_rounding *rounding,
                          uint64_t seed, double *spreads);

#endif
