/* Random graphs have all kinds of layers in them, and the evaluator knows all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "unit/graph_eval.h"
#include "unit/random_graph.h"

enum {
    GRAPHS = 600,
    LAYERS = 24,
    ENOUGH = 20, /* layers of each kind */
    MAX_IO = 32
};

/* Kinds that random graphs need not have: each with the reason. */
static const char *const excluded[HSI_LAYER_KINDS] = {
    [HSI_LAYER_GRID_SAMPLE] = "tests/unit/test_sample_layers.c has them",
    [HSI_LAYER_ROI_ALIGN] = "tests/unit/test_sample_layers.c",
    [HSI_LAYER_MAX_POOL_INDICES] = "tests/unit/test_unpool.c",
    [HSI_LAYER_NMS] = "its output depends on comparisons: tests/unit/test_nms_layers.c",
};

static const char *const names[] = {
#define NAME(name, text) text,
    HSI_LAYER_LIST(NAME)
#undef NAME
};

static void evaluate(const hsched_graph *graph, uint64_t seed)
{
    void *inputs[MAX_IO];
    graph_values values;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        assert_int_equal(hsched_graph_tensor_info(graph, graph->inputs[i], &info),
                         HSCHED_OK);
        inputs[i] = malloc(info.byte_size);
        assert_non_null(inputs[i]);
        random_graph_fill(seed + i, &info, inputs[i]);
    }
    if (!graph_eval(graph, (const void *const *)inputs, &values))
        fail_msg("seed %llu: a layer that graph_eval does not know",
                 (unsigned long long)seed);
    graph_values_free(&values);
    for (uint32_t i = 0; i < graph->input_count; i++)
        free(inputs[i]);
}

static void test_all_kinds(void **state)
{
    uint32_t made[HSI_LAYER_KINDS] = { 0 };
    (void)state;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        hsched_graph *graph;
        assert_int_equal(random_graph_make(seed, LAYERS, &graph), HSCHED_OK);
        for (uint32_t l = 0; l < graph->layer_count; l++)
            made[graph->layers[l].kind]++;
        if (seed % 10 == 0)
            evaluate(graph, seed);
        hsched_graph_destroy(graph);
    }
    for (int kind = 0; kind < HSI_LAYER_KINDS; kind++) {
        if (excluded[kind])
            continue;
        if (made[kind] < ENOUGH)
            fail_msg("%u layers of kind %s in %d random graphs; give it a maker in "
                     "random_graph.c and an evaluation in graph_eval.c",
                     made[kind], names[kind], GRAPHS);
        if (getenv("HSCHED_TEST_TELL"))
            print_message("%6u %s\n", made[kind], names[kind]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all_kinds) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
