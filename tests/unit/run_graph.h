/* From a graph to its result, in one call: compiled, run once, destroyed. */
#ifndef TESTS_UNIT_RUN_GRAPH_H
#define TESTS_UNIT_RUN_GRAPH_H

#include "common/support.h"

static inline void run_graph(hsched_graph *g, const hsched_binding *in, uint32_t inputs,
                             void *y, size_t bytes)
{
    hsched_runtime *rt;
    hsched_model *model;
    hsched_binding out = HSCHED_DATA(y, bytes);
    assert_ok(hsched_runtime_create(NULL, &rt));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    assert_ok(hsched_infer(model, in, inputs, &out, 1));
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
}

static inline void run_graph_of_one(hsched_graph *g, const void *x, size_t x_bytes,
                                    void *y, size_t y_bytes)
{
    const hsched_binding in = HSCHED_DATA(x, x_bytes);
    run_graph(g, &in, 1, y, y_bytes);
}

#endif
