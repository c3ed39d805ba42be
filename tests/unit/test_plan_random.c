/*
 * Property: for any graph, any configuration and any order of sections that the plan
 * allows, the plan computes what the graph means. HSCHED_TEST_SEEDS=first:count runs
 * others than the usual seeds.
 */
#include "common/support.h"

#include "plan/plan.h"
#include "unit/plan_run.h"
#include "unit/random_graph.h"

enum {
    USUAL_SEEDS = 1500,
    MAX_TAPS = 3
};

/* The layer_type policy's: convolutions apart from all else. */
static int cut_at_convolutions(uint32_t before, uint32_t after)
{
    return ((before ^ after) & HSCHED_CLASS_CONVOLUTION) != 0;
}

static int cut_everywhere(uint32_t before, uint32_t after)
{
    (void)before;
    (void)after;
    return 1;
}

static hsi_plan_config random_config(uint64_t *random, const hsched_graph *graph,
                                     const char **taps)
{
    hsi_plan_config config = { .max_parts =
                                   1 + (uint32_t)(random_graph_next(random) % 4) };
    const uint64_t bits = random_graph_next(random);
    config.input_layout = bits & 1 ? HSCHED_LAYOUT_NHWC : HSCHED_LAYOUT_DENSE;
    config.output_layout = bits & 2 ? HSCHED_LAYOUT_NHWC : HSCHED_LAYOUT_DENSE;
    config.no_fusion = (bits & 28) == 0;
    config.preserve_section_inputs = (bits & 32) != 0;
    config.parallel_steps = (bits & 512) != 0;
    config.cut =
        (bits & 64) ? ((bits & 128) ? cut_everywhere : cut_at_convolutions) : NULL;
    config.taps = taps;
    if (bits & 256)
        config.tap_count = (uint32_t)random_graph_range(random, 1, MAX_TAPS);
    for (uint32_t i = 0; i < config.tap_count; i++)
        taps[i] =
            graph->tensors[random_graph_range(random, 0, graph->tensor_count - 1)].name;
    return config;
}

static void test_one(uint64_t seed)
{
    hsched_graph *graph, *special;
    uint64_t random = seed;
    const char *taps[MAX_TAPS];
    hsi_plan *plan;
    if (random_graph_make(seed, (uint32_t)(3 + seed % 38), &graph) != HSCHED_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, hsched_error_detail());
    assert_ok(hsi_graph_specialise(graph, NULL, 0, &special));
    const hsi_plan_config config = random_config(&random, special, taps);
    if (hsi_plan_create(special, &config, &plan) != HSCHED_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, hsched_error_detail());
    const char *wrong = plan_check(plan, &config);
    if (wrong != NULL)
        fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
    wrong = plan_compare(special, plan, seed,
                         config.preserve_section_inputs ? (int)(seed % 3) * 15 : 0);
    if (wrong != NULL)
        fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
    if (config.parallel_steps)
        wrong = plan_compare(special, plan, seed, PLAN_STEPS_APART);
    if (wrong != NULL)
        fail_msg("seed %llu, steps apart: %s", (unsigned long long)seed, wrong);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(special);
    hsched_graph_destroy(graph);
}

static void test_random_graphs(void **state)
{
    (void)state;
    unsigned long long first = 0, count = USUAL_SEEDS;
    const char *seeds = getenv("HSCHED_TEST_SEEDS");
    if (seeds != NULL)
        assert_int_equal(sscanf(seeds, "%llu:%llu", &first, &count), 2);
    for (unsigned long long k = 0; k < count; k++)
        test_one(first + k);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_graphs) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
