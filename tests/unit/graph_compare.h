/* Comparing what a runtime made of a graph with what graph_eval says: layouts, and errors. */
#ifndef TESTS_UNIT_GRAPH_COMPARE_H
#define TESTS_UNIT_GRAPH_COMPARE_H

#include <hsched/hsched.h>

/* What float32 may differ by, relative to the norm of the output: fused networks some twenty
 * layers deep; one step stays under 1e-5. */
#define GRAPH_TOLERANCE 5e-5
#define GRAPH_FLOOR     1e-6 /* and this much more, whatever the norm */

/* Between the dense order and the layout that `info` describes. */
void graph_to_layout(const hsched_tensor_info *info, const void *dense, void *memory);
void graph_to_dense(const hsched_tensor_info *info, const void *memory, void *dense);

/* The norm of the difference of two tensors in dense order, and that of `expected`. Other
 * types than float32: 0 if they are equal, else infinite. */
double graph_error(const hsched_tensor_info *info, const void *got, const void *expected,
                   double *norm);

#endif
