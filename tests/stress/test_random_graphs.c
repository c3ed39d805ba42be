/* Seeded random networks of all layer kinds through the whole library, on several kinds
 * of runtime, against an evaluation of the graph by plain loops that share no code with
 * it. HSCHED_TEST_SEED=N tries one seed, HSCHED_TEST_GRAPHS=N so many graphs. */
#include "common/support.h"

#include "unit/graph_compare.h"
#include "unit/graph_eval.h"
#include "unit/random_graph.h"

enum {
    MAX_IO = 32
};

typedef struct device_set {
    const char *name;
    hsched_runtime_config config;
    uint32_t model_flags;
    hsched_layout layout;
} device_set;

static hsched_sim_config sims[2] = {
    { HSCHED_SIM_CONFIG_INIT, .name = "conv", .layer_classes = HSCHED_CLASS_CONVOLUTION },
    { HSCHED_SIM_CONFIG_INIT, .name = "rest", .layer_classes = HSCHED_CLASS_POOLING },
};

static const device_set sets[] = {
    { "cpu", { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2 }, 0, HSCHED_LAYOUT_DENSE },
    { "cpu without oneDNN, nhwc, mapped weights",
      { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 3,
        .cpu_libraries = HSCHED_LIBRARY_OWN | HSCHED_LIBRARY_OPENBLAS },
      HSCHED_MODEL_MAP_WEIGHTS,
      HSCHED_LAYOUT_NHWC },
    { "cpu without fusion, step by step",
      { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1 },
      HSCHED_MODEL_NO_FUSION | HSCHED_MODEL_STEP_JOBS,
      HSCHED_LAYOUT_DENSE },
    { "layer_type on simulated devices",
      { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2, .policy = HSCHED_POLICY_LAYER_TYPE,
        .sims = sims, .sim_count = 2 },
      0,
      HSCHED_LAYOUT_DENSE },
};

static void compare(uint64_t seed, const char *name, const hsched_tensor_info *info,
                    const void *got, const void *expected)
{
    double norm;
    const double error = graph_error(info, got, expected, &norm);
    if (!(error <= GRAPH_TOLERANCE * norm + GRAPH_FLOOR))
        fail_msg("seed %llu, %s, output '%s': error %g of %g", (unsigned long long)seed,
                 name, info->name, error, norm);
}

static void run_on(uint64_t seed, const device_set *set, hsched_graph *g,
                   void *const *inputs, const graph_values *values)
{
    hsched_runtime *rt;
    hsched_model *model;
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT, .flags = set->model_flags,
                                   .input_layout = set->layout,
                                   .output_layout = set->layout };
    assert_ok(hsched_runtime_create(&set->config, &rt));
    if (hsched_model_compile(rt, g, &config, &model) != HSCHED_OK)
        fail_msg("seed %llu, %s: %s", (unsigned long long)seed, set->name,
                 hsched_error_detail());
    hsched_binding in[MAX_IO] = { { 0 } }, out[MAX_IO] = { { 0 } };
    void *in_data[MAX_IO], *out_data[MAX_IO];
    uint32_t in_count = hsched_model_input_count(model);
    uint32_t out_count = hsched_model_output_count(model);
    assert_true(in_count <= MAX_IO && out_count <= MAX_IO);
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    for (uint32_t i = 0; i < in_count; i++) {
        assert_ok(hsched_model_input_info(model, i, &info));
        in_data[i] = malloc(info.byte_size);
        graph_to_layout(&info, inputs[i], in_data[i]);
        in[i] = (hsched_binding)HSCHED_DATA(in_data[i], info.byte_size);
    }
    for (uint32_t i = 0; i < out_count; i++) {
        assert_ok(hsched_model_output_info(model, i, &info));
        out_data[i] = malloc(info.byte_size);
        memset(out_data[i], 0xff, info.byte_size);
        out[i] = (hsched_binding)HSCHED_DATA(out_data[i], info.byte_size);
    }
    /* Twice: the second run reuses a slot that the first one has left full. */
    for (int round = 0; round < 2; round++) {
        assert_ok(hsched_infer(model, in, in_count, out, out_count));
        for (uint32_t i = 0; i < out_count; i++) {
            assert_ok(hsched_model_output_info(model, i, &info));
            void *dense = malloc(info.byte_size);
            graph_to_dense(&info, out_data[i], dense);
            compare(seed, set->name, &info, dense,
                    values->data[hsched_graph_output(g, i)]);
            free(dense);
            memset(out_data[i], 0xff, info.byte_size);
        }
    }
    for (uint32_t i = 0; i < in_count; i++)
        free(in_data[i]);
    for (uint32_t i = 0; i < out_count; i++)
        free(out_data[i]);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void try_seed(uint64_t seed)
{
    hsched_graph *g;
    void *inputs[MAX_IO];
    graph_values values;
    assert_ok(random_graph_make(seed, 4 + (uint32_t)(seed % 20), &g));
    uint32_t count = hsched_graph_input_count(g);
    assert_true(count <= MAX_IO);
    for (uint32_t i = 0; i < count; i++) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        assert_ok(hsched_graph_tensor_info(g, hsched_graph_input(g, i), &info));
        inputs[i] = malloc(info.byte_size);
        random_graph_fill(seed + i, &info, inputs[i]);
    }
    assert_int_equal(graph_eval(g, (const void *const *)inputs, &values), 1);
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++)
        run_on(seed, &sets[k], g, inputs, &values);
    graph_values_free(&values);
    for (uint32_t i = 0; i < count; i++)
        free(inputs[i]);
    hsched_graph_destroy(g);
}

static void random_graphs_agree(void **state)
{
    (void)state;
    const char *seed = getenv("HSCHED_TEST_SEED"), *graphs = getenv("HSCHED_TEST_GRAPHS");
    const char *mode = getenv("HSCHED_TEST_MODE");
    if (seed) {
        try_seed(strtoull(seed, NULL, 10));
        return;
    }
    uint64_t count = mode && strcmp(mode, "all") != 0 ? 60 : 400;
    if (graphs)
        count = strtoull(graphs, NULL, 10);
    for (uint64_t s = 1; s <= count; s++)
        try_seed(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_graphs_agree) };
    return cmocka_run_group_tests_name("random graphs", tests, NULL, NULL);
}
