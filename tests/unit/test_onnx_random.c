/*
 * Random graphs of all layer kinds, saved as ONNX and read again: the same inputs and outputs, and
 * the same values in them. What cannot be written is refused, which some graphs are.
 * HSCHED_TEST_SEEDS=first:count tries others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "unit/graph_compare.h"
#include "unit/graph_eval.h"
#include "unit/random_graph.h"

enum {
    USUAL_SEEDS = 150,
    MAX_IO = 32
};

static char path[] = "/tmp/hsched-random-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static hsched_tensor_info info_of(const hsched_graph *graph, hsched_tensor tensor)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    assert_int_equal(hsched_graph_tensor_info(graph, tensor, &info), HSCHED_OK);
    return info;
}

static void assert_same_tensor(uint64_t seed, const hsched_tensor_info *a,
                               const hsched_tensor_info *b)
{
    if (strcmp(a->name, b->name) != 0 || a->dtype != b->dtype || a->rank != b->rank ||
        memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) != 0)
        fail_msg("seed %llu: '%s' came back as '%s'", (unsigned long long)seed, a->name,
                 b->name);
}

/* Both graphs on the same inputs. */
static void compare(uint64_t seed, const hsched_graph *graph, const hsched_graph *again)
{
    void *inputs[MAX_IO];
    graph_values values, others;
    assert_int_equal(graph->input_count, again->input_count);
    assert_int_equal(graph->output_count, again->output_count);
    assert_in_range(graph->input_count, 1, MAX_IO);
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const hsched_tensor_info a = info_of(graph, graph->inputs[i]),
                                 b = info_of(again, again->inputs[i]);
        assert_same_tensor(seed, &a, &b);
        inputs[i] = malloc(a.byte_size);
        assert_non_null(inputs[i]);
        random_graph_fill(seed + i, &a, inputs[i]);
    }
    assert_true(graph_eval(graph, (const void *const *)inputs, &values));
    if (!graph_eval(again, (const void *const *)inputs, &others))
        fail_msg("seed %llu: what was read has a layer that graph_eval does not know",
                 (unsigned long long)seed);
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const hsched_tensor_info a = info_of(graph, graph->outputs[i]),
                                 b = info_of(again, again->outputs[i]);
        double norm;
        assert_same_tensor(seed, &a, &b);
        const double error = graph_error(&a, others.data[again->outputs[i]],
                                         values.data[graph->outputs[i]], &norm);
        if (!(error <= GRAPH_TOLERANCE * norm + GRAPH_FLOOR))
            fail_msg("seed %llu, output '%s': error %g of %g", (unsigned long long)seed,
                     a.name, error, norm);
    }
    graph_values_free(&values);
    graph_values_free(&others);
    for (uint32_t i = 0; i < graph->input_count; i++)
        free(inputs[i]);
}

/* 1 if it could be written. */
static int test_one(uint64_t seed)
{
    hsched_graph *graph, *again;
    assert_int_equal(random_graph_make(seed, (uint32_t)(2 + seed % 14), &graph),
                     HSCHED_OK);
    const hsched_status status = hsched_graph_save_onnx(graph, path);
    if (status != HSCHED_OK && status != HSCHED_ERROR_UNSUPPORTED)
        fail_msg("seed %llu: %s", (unsigned long long)seed, hsched_error_detail());
    if (getenv("HSCHED_TEST_TELL") && status != HSCHED_OK)
        print_message("%llu: %s\n", (unsigned long long)seed, hsched_error_detail());
    if (status == HSCHED_OK) {
        if (hsched_graph_load_onnx(path, NULL, &again) != HSCHED_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, hsched_error_detail());
        compare(seed, graph, again);
        hsched_graph_destroy(again);
    }
    hsched_graph_destroy(graph);
    return status == HSCHED_OK;
}

static void test_random_graphs(void **state)
{
    (void)state;
    unsigned long long first = 0, count = USUAL_SEEDS, written = 0;
    const char *seeds = getenv("HSCHED_TEST_SEEDS");
    if (seeds != NULL)
        assert_int_equal(sscanf(seeds, "%llu:%llu", &first, &count), 2);
    for (unsigned long long k = 0; k < count; k++)
        written += (unsigned long long)test_one(first + k);
    print_message("%llu of %llu graphs were written\n", written, count);
    assert_true(written >= count / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_graphs) };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
