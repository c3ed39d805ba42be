/*
 * Random graphs of all layer kinds, made through the public API alone: for comparing what
 * executes graphs with what is right. The same seed gives the same graph everywhere.
 *
 * Values stay small (estimated magnitudes are bounded), and functions that jump or
 * amplify without bound are left out, so that results may be compared with a tolerance
 * relative to the largest element.
 */
#ifndef TESTS_UNIT_RANDOM_GRAPH_H
#define TESTS_UNIT_RANDOM_GRAPH_H

#include <hsched/hsched.h>

/* About `layers` layers (motifs may add a few more). The caller destroys the graph. */
hsched_status random_graph_make(uint64_t seed, uint32_t layers, hsched_graph **graph);

/* Data for an input: floats in [-1,1), whole numbers of the type's range. */
void random_graph_fill(uint64_t seed, const hsched_tensor_info *info, void *data);

/* A small generator: the same everywhere. */
uint64_t random_graph_next(uint64_t *state);
int64_t random_graph_range(uint64_t *state, int64_t low,
                           int64_t high); /* both included */

#endif
