/* For graph_eval.c: layers on other types than float32. */
#ifndef TESTS_UNIT_GRAPH_EVAL_TYPES_H
#define TESTS_UNIT_GRAPH_EVAL_TYPES_H

#include <hsched/hsched.h>

void graph_eval_cast(hsched_dtype from, const void *x, hsched_dtype to, void *y,
                     int64_t count);
/* An activation, and a comparison of operands of one shape; 0 for a kind that random graphs
 * do not have. */
int graph_eval_integers(hsched_activation_kind kind, hsched_dtype dtype, const void *x,
                        void *y, int64_t count);
int graph_eval_less(hsched_binary_kind kind, hsched_dtype dtype, const void *a,
                    const void *b, void *y, int64_t count);

#endif
