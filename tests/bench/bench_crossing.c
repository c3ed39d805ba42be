/*
 * What it costs to hand a small tensor from the GPU to the CPU or back, everything included:
 * notice, scheduling, launch, copy if there is one.
 *
 * A chain of PAIRS times (1x1 convolution, 3x3 max pooling) on a tensor of 4 KiB, compiled
 * with the policy layer_type, has its convolutions on the GPU and its poolings on the CPU:
 * 2 * PAIRS - 1 crossings inside. A chain of PAIRS convolutions on the GPU alone and one of
 * PAIRS poolings on the CPU alone do the same computing. Each of the three is built short and
 * long; what a long one takes more than a short one holds none of the cost of submitting and
 * of entering and leaving the network:
 *
 *     crossing = (more(both) - more(convolutions) - more(poolings)) / crossings more
 *
 * One estimate a round, in which all six are run once; prints one line of JSON.
 *
 *     bench_crossing [ROUNDS]
 */
#include "bench.h"

enum {
    CHANNELS = 16,
    SIZE = 8,
    ELEMENTS = CHANNELS * SIZE * SIZE,
    SHORT = 2,
    LONG = 10,
    WARM_UP_ROUNDS = 50,
    ROUNDS_MAX = 100000
};

typedef struct chain {
    int with_convs, with_pools;
    hsched_policy policy;
    hsched_model *models[2]; /* short, long */
    uint32_t crossings[2];   /* of one run */
} chain;

static hsched_status add_conv(hsched_graph *graph, hsched_tensor *x)
{
    static float weights[CHANNELS * CHANNELS];
    static const int64_t dims[] = { CHANNELS, CHANNELS, 1, 1 };
    hsched_tensor w;
    for (uint32_t c = 0; c < CHANNELS; c++)
        weights[c * CHANNELS + c] = 1;
    hsched_status status =
        hsched_graph_add_constant(graph, NULL, HSCHED_FLOAT32, 4, dims, weights,
                                  sizeof weights, HSCHED_DATA_COPY, &w);
    return status != HSCHED_OK
               ? status
               : hsched_graph_add_conv2d(graph, NULL, *x, w, HSCHED_NO_TENSOR, NULL, x);
}

static hsched_status add_pool(hsched_graph *graph, hsched_tensor *x)
{
    hsched_pool2d_config config = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 3, 3 },
                                    .pads = { 1, 1, 1, 1 } };
    return hsched_graph_add_pool2d(graph, NULL, HSCHED_POOL_MAX, *x, &config, x);
}

static hsched_status compile(hsched_runtime *runtime, const chain *c, uint32_t pairs,
                             hsched_model **model)
{
    static const int64_t dims[] = { 1, CHANNELS, SIZE, SIZE };
    hsched_graph *graph = NULL;
    hsched_tensor x;
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                   .policy = c->policy,
                                   .max_parts = 1,
                                   .max_batch = 1,
                                   .input_layout = HSCHED_LAYOUT_NHWC,
                                   .output_layout = HSCHED_LAYOUT_NHWC };
    hsched_status status = hsched_graph_create("chain", &graph);
    if (status == HSCHED_OK)
        status = hsched_graph_add_input(graph, "x", HSCHED_FLOAT32, 4, dims, &x);
    for (uint32_t i = 0; i < pairs && status == HSCHED_OK; i++) {
        if (c->with_convs)
            status = add_conv(graph, &x);
        if (status == HSCHED_OK && c->with_pools)
            status = add_pool(graph, &x);
    }
    if (status == HSCHED_OK)
        status = hsched_graph_add_output(graph, x);
    if (status == HSCHED_OK)
        status = hsched_model_compile(runtime, graph, &config, model);
    hsched_graph_destroy(graph);
    return status;
}

/* One run on buffers that both devices reach; its time, and its crossings. */
static hsched_status run_once(hsched_model *model, hsched_buffer *const buffers[2],
                              double *microseconds, uint32_t *crossings)
{
    hsched_binding in = HSCHED_BUFFER(buffers[0]), out = HSCHED_BUFFER(buffers[1]);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in, .outputs = &out };
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    hsched_run *run = NULL;
    double begin = now_us();
    hsched_status status = hsched_submit(model, &config, &run);
    if (status == HSCHED_OK)
        status = hsched_run_wait(run, HSCHED_FOREVER);
    *microseconds = now_us() - begin;
    if (status == HSCHED_OK)
        status = hsched_run_get_times(run, &times);
    *crossings = times.crossings;
    hsched_run_release(run);
    return status;
}

/* more[k]: how much longer the long form of chain k took than its short form. */
static int run_round(chain chains[3], hsched_buffer *const buffers[2], double more[3])
{
    for (int k = 0; k < 3; k++) {
        double took[2];
        for (int l = 0; l < 2; l++)
            if (!bench_ok(run_once(chains[k].models[l], buffers, &took[l],
                                   &chains[k].crossings[l]),
                          "a run"))
                return 0;
        more[k] = took[1] - took[0];
    }
    return 1;
}

static int measure(hsched_runtime *runtime, chain chains[3],
                   hsched_buffer *const buffers[2], uint32_t rounds)
{
    double more[3], *samples = calloc(rounds, sizeof *samples);
    int ok = samples ? 1 : bench_failed("crossing", "no memory");
    for (uint32_t i = 0; i < 2 * WARM_UP_ROUNDS && ok; i++) {
        ok = run_round(chains, buffers, more);
        if (i == WARM_UP_ROUNDS)
            ok = ok && bench_ok(hsched_runtime_settle(runtime), "settling");
    }
    uint32_t crossings = chains[0].crossings[1] - chains[0].crossings[0];
    if (ok && crossings == 0)
        ok = bench_failed("crossing",
                          "the chain does not cross: is it all on one device?");
    if (ok)
        printf("{\"crossings\": %u, \"rounds\": [", crossings);
    for (uint32_t i = 0; i < rounds && ok; i++) {
        ok = run_round(chains, buffers, more);
        samples[i] = (more[0] - more[1] - more[2]) / crossings;
        if (ok)
            printf("%s[%.3f, %.3f, %.3f]", i ? ", " : "", more[0], more[1], more[2]);
    }
    if (ok) {
        printf("], ");
        print_samples("samples_us", samples, rounds);
        printf("}\n");
    }
    free(samples);
    return ok;
}

int main(int argc, char **argv)
{
    chain chains[3] = { { 1, 1, HSCHED_POLICY_LAYER_TYPE, { NULL, NULL }, { 0, 0 } },
                        { 1, 0, HSCHED_POLICY_GPU_ONLY, { NULL, NULL }, { 0, 0 } },
                        { 0, 1, HSCHED_POLICY_CPU_ONLY, { NULL, NULL }, { 0, 0 } } };
    hsched_buffer *buffers[2] = { NULL, NULL };
    hsched_runtime *runtime = NULL;
    uint32_t gpu;
    void *data;
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 200;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        return fprintf(stderr, "usage: bench_crossing [ROUNDS]\n"), 2;
    int ok = open_gpu("quick", &runtime, &gpu);
    for (int i = 0; i < 2 && ok; i++)
        ok =
            bench_ok(hsched_buffer_create(runtime, ELEMENTS * sizeof(float), &buffers[i]),
                     "a buffer") &&
            bench_ok(hsched_buffer_map(buffers[i], &data), "a buffer") &&
            memset(data, 0, ELEMENTS * sizeof(float)) != NULL;
    for (int k = 0; k < 3; k++)
        for (int l = 0; l < 2 && ok; l++)
            ok = bench_ok(
                compile(runtime, &chains[k], l ? LONG : SHORT, &chains[k].models[l]),
                "a chain");
    ok = ok && measure(runtime, chains, buffers, (uint32_t)rounds);
    for (int k = 0; k < 3; k++)
        for (int l = 0; l < 2; l++)
            hsched_model_release(chains[k].models[l]);
    hsched_buffer_release(buffers[0]);
    hsched_buffer_release(buffers[1]);
    hsched_runtime_destroy(runtime);
    return ok ? 0 : 1;
}
