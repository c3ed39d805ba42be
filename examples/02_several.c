/*
 * Several networks at once on one runtime, with priorities: every network gets its runs
 * submitted together; the scheduler shares the cores among them, and the first network
 * named goes first.
 *
 *     build/examples/02_several [MODEL.onnx or ZOO NAME]...
 */
#include <hsched/hsched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "zoo/zoo.h"

enum {
    RUNS = 8,
    MODELS_MAX = 16,
    INPUTS_MAX = 8
};

typedef struct network {
    hsched_model *model;
    hsched_binding inputs[INPUTS_MAX];
    hsched_run *runs[RUNS];
} network;

static int check(hsched_status status, const char *what)
{
    if (status != HSCHED_OK)
        fprintf(stderr, "%s: %s\n%s\n", what, hsched_status_text(status),
                hsched_error_detail());
    return status == HSCHED_OK;
}

/* An ONNX file, or a network of the zoo. */
static int load(hsched_runtime *runtime, const char *name, network *net)
{
    struct stat found;
    if (stat(name, &found) == 0)
        return check(hsched_model_load(runtime, name, NULL, &net->model), name);
    hsched_graph *graph;
    hsched_status built = zoo_build(name, 1, &graph);
    if (built == HSCHED_ERROR_NOT_FOUND)
        fprintf(stderr, "there is no file '%s' and no network of that name\n", name);
    int ok = built != HSCHED_ERROR_NOT_FOUND && check(built, name) &&
             check(hsched_model_compile(runtime, graph, NULL, &net->model), name);
    hsched_graph_destroy(graph);
    return ok;
}

/* The same zeros for every run: inputs may be shared, since the library never writes to
 * them. */
static int make_inputs(network *net)
{
    uint32_t count = hsched_model_input_count(net->model);
    if (count > INPUTS_MAX) {
        fprintf(stderr, "%s has too many inputs\n", hsched_model_name(net->model));
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        if (!check(hsched_model_input_info(net->model, i, &info), "input"))
            return 0;
        net->inputs[i].size = info.byte_size;
        net->inputs[i].data = calloc(1, info.byte_size);
        if (!net->inputs[i].data)
            return 0;
    }
    return 1;
}

static int submit(network *net, int priority)
{
    for (int r = 0; r < RUNS; r++) {
        hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = net->inputs,
                                     .priority = priority };
        if (!check(hsched_submit(net->model, &config, &net->runs[r]), "submit"))
            return 0;
    }
    return 1;
}

/* Waits for all runs of a network and says when the first started and the last ended. */
static int report(network *net, const char *name, uint64_t begin_us)
{
    uint64_t first = UINT64_MAX, last = 0;
    int ok = 1;
    for (int r = 0; r < RUNS; r++) {
        hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
        ok = check(hsched_run_wait(net->runs[r], HSCHED_FOREVER), "run") && ok;
        ok = check(hsched_run_get_times(net->runs[r], &times), "times") && ok;
        first = times.started_us < first ? times.started_us : first;
        last = times.ended_us > last ? times.ended_us : last;
    }
    if (ok)
        printf("%-32s %d runs, from %8.2f ms to %8.2f ms\n", name, RUNS,
               (double)(first - begin_us) / 1e3, (double)(last - begin_us) / 1e3);
    return ok;
}

int main(int argc, char **argv)
{
    static const char *const defaults[] = { "examples/data/digits-cnn.onnx",
                                            "squeezenet1_1", "mobilenet_v2" };
    const char *const *names = argc > 1 ? (const char *const *)argv + 1 : defaults;
    int count = argc > 1 ? argc - 1 : 3, ok;
    network networks[MODELS_MAX] = { 0 };
    hsched_runtime *runtime = NULL;

    if (count > MODELS_MAX) {
        fprintf(stderr, "at most %d networks\n", MODELS_MAX);
        return 2;
    }
    ok = check(hsched_runtime_create(NULL, &runtime), "runtime");
    for (int i = 0; i < count && ok; i++)
        ok = load(runtime, names[i], &networks[i]) && make_inputs(&networks[i]);
    for (int i = 0; i < count && ok; i++)
        ok = submit(&networks[i], HSCHED_PRIORITY_MAX - i);

    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    ok = ok && check(hsched_run_get_times(networks[0].runs[0], &times), "times");
    for (int i = 0; i < count && ok; i++)
        ok = report(&networks[i], names[i], times.submitted_us);

    for (int i = 0; i < count; i++) {
        for (int r = 0; r < RUNS && networks[i].runs[r]; r++) {
            hsched_run_cancel(
                networks[i].runs[r]); /* does nothing to runs that have ended */
            (void)hsched_run_wait(networks[i].runs[r], HSCHED_FOREVER);
            hsched_run_release(networks[i].runs[r]);
        }
        for (int k = 0; k < INPUTS_MAX; k++)
            free(networks[i].inputs[k].data);
        hsched_model_release(networks[i].model);
    }
    hsched_runtime_destroy(runtime);
    return ok ? 0 : 1;
}
