/*
 * What a trace costs while it records: two networks at once, one run of each in flight, in
 * blocks of PAIRS runs of each; or a model of a file, one run at a time, in blocks of ALONE runs.
 * A round has three blocks, in an order that changes from round to round: two without a trace and
 * one with. Two ratios of a round, with / without and without / without (what noise makes of the
 * same), and of all rounds their medians and quartiles, in one line of JSON; `us`: the least that
 * a run of all its models took without a trace. Starting and stopping, and writing the file, are
 * not timed.
 *
 *     bench_trace [ROUNDS] [PATH] [MODEL.onnx]
 */
#include "bench.h"

#include "zoo/zoo.h"

enum {
    PAIRS = 8,
    ALONE = 1000,
    MODELS = 2,
    BLOCKS = 3,
    PIXELS = 3 * 224 * 224,
    ROUNDS_MAX = 100000
};

static const char *const names[MODELS] = { "mobilenet_v2", "squeezenet1_1" };

typedef struct bench {
    hsched_runtime *runtime;
    hsched_model *models[MODELS];
    int count, runs; /* of models; of each in a block */
    float *image;
    size_t bytes;
    const char *path, *file;
    hsched_trace_stats last;
    double least_us; /* of a block without a trace */
} bench;

static int load(bench *b)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT,
                                     .flags = HSCHED_RUNTIME_NO_GPU };
    if (!bench_ok(hsched_runtime_create(&config, &b->runtime), "the runtime"))
        return 0;
    b->image = calloc(PIXELS, sizeof *b->image);
    if (!b->image)
        return bench_failed("the input", "out of memory");
    if (b->file) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        b->count = 1;
        b->runs = ALONE;
        if (!bench_ok(hsched_model_load(b->runtime, b->file, NULL, &b->models[0]),
                      b->file) ||
            !bench_ok(hsched_model_input_info(b->models[0], 0, &info), b->file))
            return 0;
        b->bytes = info.byte_size;
        return b->bytes <= PIXELS * sizeof *b->image ||
               bench_failed(b->file, "its input is too large");
    }
    b->count = MODELS;
    b->runs = PAIRS;
    b->bytes = PIXELS * sizeof *b->image;
    for (int m = 0; m < MODELS; m++) {
        hsched_graph *graph;
        hsched_status status = zoo_build(names[m], 1, &graph);
        if (!bench_ok(status, names[m]))
            return 0;
        status = hsched_model_compile(b->runtime, graph, NULL, &b->models[m]);
        hsched_graph_destroy(graph);
        if (!bench_ok(status, names[m]))
            return 0;
    }
    return 1;
}

/* So many runs of each model, one of each in flight. */
static int run_block(const bench *b, double *took_us)
{
    const hsched_binding in = HSCHED_DATA(b->image, b->bytes);
    const hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    const double began = now_us();
    for (int i = 0; i < b->runs; i++) {
        hsched_run *runs[MODELS];
        hsched_status status = HSCHED_OK;
        int count = 0;
        while (count < b->count && status == HSCHED_OK) {
            status = hsched_submit(b->models[count], &config, &runs[count]);
            count += status == HSCHED_OK;
        }
        for (int m = 0; m < count; m++) {
            hsched_status ended = hsched_run_wait(runs[m], HSCHED_FOREVER);
            status = status == HSCHED_OK ? ended : status;
            hsched_run_release(runs[m]);
        }
        if (!bench_ok(status, "a run"))
            return 0;
    }
    *took_us = now_us() - began;
    return 1;
}

static int run_traced(bench *b, double *took_us)
{
    const hsched_trace_config config = { HSCHED_TRACE_CONFIG_INIT, .path = b->path };
    b->last = (hsched_trace_stats){ HSCHED_TRACE_STATS_INIT };
    return bench_ok(hsched_trace_start(b->runtime, &config), "the trace") &&
           run_block(b, took_us) &&
           bench_ok(hsched_trace_stop(b->runtime, &b->last), "the trace");
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_ratios(const char *name, double *ratios, uint32_t count)
{
    qsort(ratios, count, sizeof *ratios, by_value);
    printf("\"%s\": {\"median\": %.4f, \"quartiles\": [%.4f, %.4f]}", name,
           ratios[count / 2], ratios[count / 4], ratios[count - 1 - count / 4]);
}

/* Blocks 0 and 1 are without a trace, 2 is with one. */
static int measure(bench *b, uint32_t rounds, double *traced, double *plain)
{
    double took[BLOCKS];
    for (int i = 0; i < 3; i++) /* warm up */
        if (!run_block(b, took))
            return 0;
    for (uint32_t r = 0; r < rounds; r++) {
        for (uint32_t i = 0; i < BLOCKS; i++) {
            const uint32_t block = (r + (r / BLOCKS % 2 ? BLOCKS - 1 - i : i)) % BLOCKS;
            if (block == 2 ? !run_traced(b, &took[2]) : !run_block(b, &took[block]))
                return 0;
        }
        traced[r] = 2 * took[2] / (took[0] + took[1]);
        plain[r] = took[1] / took[0];
        if (r == 0 || took[0] < b->least_us)
            b->least_us = took[0];
    }
    return 1;
}

int main(int argc, char **argv)
{
    bench b = { .path = argc > 2 ? argv[2] : "/dev/null",
                .file = argc > 3 ? argv[3] : NULL };
    const long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 200;
    if (rounds < 4 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_trace [ROUNDS] [PATH] [MODEL.onnx]\n");
        return 2;
    }
    double *traced = calloc((size_t)rounds, sizeof *traced);
    double *plain = calloc((size_t)rounds, sizeof *plain);
    int ok = traced && plain ? load(&b) && measure(&b, (uint32_t)rounds, traced, plain)
                             : bench_failed("the results", "out of memory");
    if (ok) {
        printf("{\"rounds\": %ld, \"us\": %.1f, \"events\": %llu, \"dropped\": %llu, ",
               rounds, b.least_us / b.runs, (unsigned long long)b.last.events,
               (unsigned long long)b.last.dropped);
        print_ratios("with", traced, (uint32_t)rounds);
        printf(", ");
        print_ratios("without", plain, (uint32_t)rounds);
        printf("}\n");
    }
    for (int m = 0; m < MODELS; m++)
        hsched_model_release(b.models[m]);
    hsched_runtime_destroy(b.runtime);
    free(b.image);
    free(traced);
    free(plain);
    return ok ? 0 : 1;
}
