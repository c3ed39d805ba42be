/* What the tests of graphs share: short ways to add things, and checks of shapes and
 * failures. */
#ifndef TEST_GRAPH_H
#define TEST_GRAPH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <hsched/hsched.h>

#include "base/tensor.h"
#include "graph/graph.h"

#define NONE HSCHED_NO_TENSOR

/* A list of dimensions: its length, then the list. */
#define DIMS(...)                                                                        \
    (uint32_t)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),              \
        (const int64_t[])                                                                \
    {                                                                                    \
        __VA_ARGS__                                                                      \
    }
#define LIST(...)                                                                        \
    (const int64_t[])                                                                    \
    {                                                                                    \
        __VA_ARGS__                                                                      \
    }
#define OK(call) assert_int_equal((call), HSCHED_OK)

static inline hsched_graph *new_graph(void)
{
    hsched_graph *graph = NULL;
    OK(hsched_graph_create("net", &graph));
    return graph;
}

/* One worker, no other device. */
static inline hsched_runtime *cpu_runtime(void)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                     .policy = HSCHED_POLICY_CPU_ONLY };
    hsched_runtime *rt;
    OK(hsched_runtime_create(&config, &rt));
    return rt;
}

/* Inputs and constants without a name of their own. */
static inline hsched_tensor typed_input(hsched_graph *graph, hsched_dtype dtype,
                                        uint32_t rank, const int64_t *dims)
{
    hsched_tensor tensor;
    OK(hsched_graph_add_input(graph, NULL, dtype, rank, dims, &tensor));
    return tensor;
}

static inline hsched_tensor input(hsched_graph *graph, uint32_t rank, const int64_t *dims)
{
    return typed_input(graph, HSCHED_FLOAT32, rank, dims);
}

static inline hsched_tensor constant(hsched_graph *graph, uint32_t rank,
                                     const int64_t *dims)
{
    size_t bytes;
    hsched_tensor tensor;
    assert_true(hsi_byte_size(HSCHED_FLOAT32, rank, dims, &bytes));
    void *data = calloc(1, bytes);
    assert_non_null(data);
    OK(hsched_graph_add_constant(graph, NULL, HSCHED_FLOAT32, rank, dims, data, bytes,
                                 HSCHED_DATA_COPY, &tensor));
    free(data);
    return tensor;
}

static inline void expect_shape(const hsched_graph *graph, hsched_tensor tensor,
                                uint32_t rank, const int64_t *dims)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    OK(hsched_graph_tensor_info(graph, tensor, &info));
    assert_string_equal(hsi_shape_text(info.rank, info.dims), hsi_shape_text(rank, dims));
}

static inline const hsi_layer_attrs *attrs_of(const hsched_graph *graph,
                                              hsched_tensor output)
{
    return &graph->layers[graph->tensors[output].producer].attrs;
}

/* Every one of the words, which '|' separates, stands in the detail. */
static inline void expect_detail(const char *words)
{
    char copy[256], *rest = copy;
    assert_true(strlen(words) < sizeof copy);
    strcpy(copy, words);
    for (char *word; (word = strsep(&rest, "|"));)
        if (!strstr(hsched_error_detail(), word))
            fail_msg("'%s' is not in the detail: %s", word, hsched_error_detail());
}

/* What a failed call must leave as it was. */
typedef struct counts {
    uint32_t tensors, layers, inputs, outputs, symbols;
} counts;

static inline counts counts_of(const hsched_graph *graph)
{
    return (counts){ graph->tensor_count, graph->layer_count, graph->input_count,
                     graph->output_count, graph->symbol_count };
}

static inline void expect_unchanged(const hsched_graph *graph, counts before)
{
    counts now = counts_of(graph);
    assert_memory_equal(&now, &before, sizeof now);
}

/* The call fails with that status and these words in its detail, sets its result `y` to
 * HSCHED_NO_TENSOR and changes nothing. */
#define FAILS(graph, y, call, status, words)                                             \
    do {                                                                                 \
        counts before_ = counts_of(graph);                                               \
        (y) = 12345;                                                                     \
        hsched_status got_ = (call);                                                     \
        if (got_ != (status))                                                            \
            fail_msg("%s:%d: %s, wanted %s; detail: %s", __FILE__, __LINE__,             \
                     hsched_status_name(got_), hsched_status_name(status),               \
                     hsched_error_detail());                                             \
        assert_int_equal((y), HSCHED_NO_TENSOR);                                         \
        expect_detail(words);                                                            \
        expect_unchanged((graph), before_);                                              \
    } while (0)

#endif
