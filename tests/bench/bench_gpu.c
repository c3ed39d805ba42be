/*
 * libhsched's side of make bench-gpu: networks of the zoo on the first GPU, timed on demand.
 * It reads commands from standard input and answers each with one line of JSON, so that it
 * and the peer's process can take turns on one GPU:
 *
 *   time MIX MATH ROUNDS    MIX is NETWORK[:COUNT],...; a round submits that many runs of each
 *                           network and waits for all; a sample is the time that took. With
 *                           one run it is the latency of one inference, submit to wait.
 *   cpu MIX MATH SECONDS    keeps that many runs in flight; CPU time beside wall time
 *   forget                  releases all models
 *
 * NETWORK is one of the zoo, or "tiny": a softmax of four numbers, one kernel.
 *
 * MATH is tf32, fp16, bf16 or strict. Inputs (channels-last) and outputs lie in the GPU's
 * memory. Before anything is timed there are warm-up rounds until the library has nothing
 * left to tune or capture.
 *
 *     bench_gpu [none|quick|full]      how kernels are chosen; quick
 */
#include "bench.h"

#include <math.h>
#include <sys/resource.h>

#include "zoo/zoo.h"

enum {
    NETWORKS_MAX = 32,
    INSTANCES_MAX = 32, /* of one network in a mix */
    RUNS_MAX = 128,     /* of a mix */
    WARM_UP_ROUNDS = 20,
    ROUNDS_MAX = 100000
};

typedef struct network {
    char name[40], math[8];
    hsched_model *model;
    hsched_buffer *inputs[INSTANCES_MAX], *outputs[INSTANCES_MAX];
    uint32_t instances; /* that have buffers */
} network;

typedef struct bench {
    hsched_runtime *runtime;
    uint32_t gpu;
    network networks[NETWORKS_MAX];
    uint32_t network_count;
} bench;

/* What a round submits, in this order. */
typedef struct mix {
    struct {
        network *network;
        uint32_t instance;
    } runs[RUNS_MAX];
    uint32_t count;
    double start_us;    /* of the last run of the last round: submitted to started */
    uint32_t batch_max; /* of all runs since it was set to 0 */
} mix;

/* ---- Networks ------------------------------------------------------------- */

/* A network that only copies: it brings data into memory that the CPU cannot address. */
static int make_copier(bench *b, int64_t count, hsched_model **copier)
{
    hsched_graph *graph = NULL;
    hsched_tensor x, y;
    hsched_activation none = { .kind = HSCHED_ACTIVATION_ABS };
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                   .policy = HSCHED_POLICY_CPU_ONLY };
    hsched_status status = hsched_graph_create("copy", &graph);
    if (status == HSCHED_OK)
        status = hsched_graph_add_input(graph, "x", HSCHED_FLOAT32, 1, &count, &x);
    if (status == HSCHED_OK)
        status = hsched_graph_add_activation(graph, "y", x, none, &y);
    if (status == HSCHED_OK)
        status = hsched_graph_add_output(graph, y);
    if (status == HSCHED_OK)
        status = hsched_model_compile(b->runtime, graph, &config, copier);
    hsched_graph_destroy(graph);
    return bench_ok(status, "filling a buffer of the GPU");
}

static int fill(bench *b, hsched_buffer *buffer, size_t bytes)
{
    size_t count = bytes / sizeof(float);
    hsched_model *copier = NULL;
    float *data = malloc(bytes);
    uint32_t random = 1;
    if (!data)
        return bench_failed("filling a buffer of the GPU", "no memory");
    for (size_t i = 0; i < count; i++) {
        random = random * 1664525u + 1013904223u;
        data[i] = (float)(random >> 8) / (float)(1 << 24);
    }
    hsched_binding in = HSCHED_DATA(data, bytes), out = HSCHED_BUFFER(buffer);
    int ok =
        make_copier(b, (int64_t)count, &copier) &&
        bench_ok(hsched_infer(copier, &in, 1, &out, 1), "filling a buffer of the GPU");
    hsched_model_release(copier);
    free(data);
    return ok;
}

/* What is timed is right at least in that its output is a probability distribution. */
static int check_output(network *net)
{
    hsched_binding in = HSCHED_BUFFER(net->inputs[0]);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    hsched_run *run = NULL;
    const void *data = NULL;
    size_t size = 0;
    double sum = 0;
    hsched_status status = hsched_submit(net->model, &config, &run);
    if (status == HSCHED_OK)
        status = hsched_run_wait(run, HSCHED_FOREVER);
    if (status == HSCHED_OK)
        status = hsched_run_output(run, 0, &data, &size);
    for (size_t i = 0; status == HSCHED_OK && i < size / sizeof(float); i++)
        sum += (double)((const float *)data)[i];
    hsched_run_release(run);
    if (!bench_ok(status, net->name))
        return 0;
    return fabs(sum - 1) < 0.02
               ? 1
               : bench_failed(net->name, "its output is no probability distribution");
}

static int add_instance(bench *b, network *net)
{
    hsched_tensor_info in = { HSCHED_TENSOR_INFO_INIT },
                       out = { HSCHED_TENSOR_INFO_INIT };
    uint32_t i = net->instances;
    hsched_status status = hsched_model_input_info(net->model, 0, &in);
    if (status == HSCHED_OK)
        status = hsched_model_output_info(net->model, 0, &out);
    if (status == HSCHED_OK)
        status =
            hsched_buffer_create_on(b->runtime, b->gpu, in.byte_size, &net->inputs[i]);
    if (status == HSCHED_OK)
        status =
            hsched_buffer_create_on(b->runtime, b->gpu, out.byte_size, &net->outputs[i]);
    net->instances++; /* what was made is released with the network */
    return bench_ok(status, "buffers in the GPU's memory") &&
           fill(b, net->inputs[i], in.byte_size);
}

static int parse_math(const char *text, hsched_math *math)
{
    static const char *const names[] = { "tf32", "strict", "fp16", "bf16" };
    static const hsched_math values[] = { HSCHED_MATH_DEFAULT, HSCHED_MATH_STRICT,
                                          HSCHED_MATH_FP16, HSCHED_MATH_BF16 };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *math = values[i];
            return 1;
        }
    return bench_failed(text, "is not tf32, strict, fp16 or bf16");
}

static hsched_status build_tiny(hsched_graph **graph)
{
    static const int64_t dims[] = { 1, 4 };
    hsched_tensor x, y;
    hsched_status status = hsched_graph_create("tiny", graph);
    if (status == HSCHED_OK)
        status = hsched_graph_add_input(*graph, "x", HSCHED_FLOAT32, 2, dims, &x);
    if (status == HSCHED_OK)
        status = hsched_graph_add_softmax(*graph, "y", x, -1, &y);
    return status == HSCHED_OK ? hsched_graph_add_output(*graph, y) : status;
}

static int load(bench *b, network *net)
{
    hsched_graph *graph = NULL;
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                   .input_layout = HSCHED_LAYOUT_NHWC };
    if (!parse_math(net->math, &config.math))
        return 0;
    hsched_status status = strcmp(net->name, "tiny") == 0
                               ? build_tiny(&graph)
                               : zoo_build(net->name, 1, &graph);
    if (status == HSCHED_ERROR_NOT_FOUND)
        return bench_failed(net->name, "is no network of the zoo");
    if (status == HSCHED_OK)
        status = hsched_model_compile(b->runtime, graph, &config, &net->model);
    hsched_graph_destroy(graph);
    return bench_ok(status, net->name) && add_instance(b, net) && check_output(net);
}

static void unload(network *net)
{
    for (uint32_t i = 0; i < net->instances; i++) {
        hsched_buffer_release(net->inputs[i]);
        hsched_buffer_release(net->outputs[i]);
    }
    hsched_model_release(net->model);
    memset(net, 0, sizeof *net);
}

static network *find_network(bench *b, const char *name, const char *math)
{
    for (uint32_t i = 0; i < b->network_count; i++)
        if (strcmp(b->networks[i].name, name) == 0 &&
            strcmp(b->networks[i].math, math) == 0)
            return &b->networks[i];
    if (b->network_count == NETWORKS_MAX) {
        bench_failed(name, "too many networks; forget some");
        return NULL;
    }
    network *net = &b->networks[b->network_count];
    snprintf(net->name, sizeof net->name, "%s", name);
    snprintf(net->math, sizeof net->math, "%s", math);
    if (!load(b, net)) {
        unload(net);
        return NULL;
    }
    b->network_count++;
    return net;
}

static void forget(bench *b)
{
    while (b->network_count > 0)
        unload(&b->networks[--b->network_count]);
}

/* ---- Mixes ---------------------------------------------------------------- */

/* "resnet50:2,vgg16": loads what is not loaded yet. */
static int parse_mix(bench *b, char *text, const char *math, mix *m)
{
    char *rest = NULL;
    m->count = 0;
    for (char *part = strtok_r(text, ",", &rest); part;
         part = strtok_r(NULL, ",", &rest)) {
        char *colon = strchr(part, ':');
        long count = colon ? strtol(colon + 1, NULL, 10) : 1;
        if (colon)
            *colon = '\0';
        if (count < 1 || count > INSTANCES_MAX || m->count + (uint32_t)count > RUNS_MAX)
            return bench_failed(part, "is asked for too often");
        network *net = find_network(b, part, math);
        if (!net)
            return 0;
        for (uint32_t i = 0; i < (uint32_t)count; i++) {
            if (i == net->instances && !add_instance(b, net))
                return 0;
            m->runs[m->count].network = net;
            m->runs[m->count++].instance = i;
        }
    }
    return m->count > 0 ? 1 : bench_failed("mix", "is empty");
}

static hsched_status submit(const mix *m, uint32_t i, hsched_run **run)
{
    const network *net = m->runs[i].network;
    hsched_binding in = HSCHED_BUFFER(net->inputs[m->runs[i].instance]);
    hsched_binding out = HSCHED_BUFFER(net->outputs[m->runs[i].instance]);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in, .outputs = &out };
    return hsched_submit(net->model, &config, run);
}

/* Waits, notes what the run says of itself, releases it. */
static hsched_status end_run(mix *m, hsched_run *run)
{
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    hsched_status status = hsched_run_wait(run, HSCHED_FOREVER);
    if (status == HSCHED_OK)
        status = hsched_run_get_times(run, &times);
    m->start_us = (double)(times.started_us - times.submitted_us);
    m->batch_max = times.batch > m->batch_max ? times.batch : m->batch_max;
    hsched_run_release(run);
    return status;
}

/* Submits all, waits for all; the clock stops when the last has been waited for. */
static int run_round(mix *m, double *microseconds)
{
    hsched_run *runs[RUNS_MAX];
    hsched_status status = HSCHED_OK;
    uint32_t submitted = 0;
    double begin = now_us();
    for (; submitted < m->count && status == HSCHED_OK; submitted++) {
        runs[submitted] = NULL;
        status = submit(m, submitted, &runs[submitted]);
    }
    for (uint32_t i = 0; i < submitted && status == HSCHED_OK; i++)
        status = hsched_run_wait(runs[i], HSCHED_FOREVER);
    *microseconds = now_us() - begin;
    for (uint32_t i = 0; i < submitted; i++) {
        hsched_status ended = runs[i] ? end_run(m, runs[i]) : HSCHED_OK;
        status = status == HSCHED_OK ? ended : status;
    }
    return bench_ok(status, "a run");
}

typedef struct counters {
    hsched_runtime_stats runtime;
    hsched_device_stats gpu;
} counters;

static int read_counters(bench *b, counters *c)
{
    c->runtime = (hsched_runtime_stats){ HSCHED_RUNTIME_STATS_INIT };
    c->gpu = (hsched_device_stats){ HSCHED_DEVICE_STATS_INIT };
    return bench_ok(hsched_runtime_get_stats(b->runtime, &c->runtime), "counters") &&
           bench_ok(hsched_runtime_get_device_stats(b->runtime, b->gpu, &c->gpu),
                    "counters");
}

/* Calls `some` until it leaves the library nothing to tune or to capture. */
static int warm_up(bench *b, mix *m, int (*some)(mix *m))
{
    counters before, after;
    if (!read_counters(b, &after))
        return 0;
    for (int attempt = 0; attempt < 40; attempt++) {
        before = after;
        if (!some(m) || !bench_ok(hsched_runtime_settle(b->runtime), "settling") ||
            !read_counters(b, &after))
            return 0;
        if (after.gpu.captures == before.gpu.captures &&
            after.gpu.tunings == before.gpu.tunings &&
            after.gpu.allocations == before.gpu.allocations)
            return 1;
    }
    return bench_failed("warm-up", "the library goes on tuning or capturing");
}

static int some_rounds(mix *m)
{
    double ignored;
    for (int i = 0; i < WARM_UP_ROUNDS; i++)
        if (!run_round(m, &ignored))
            return 0;
    return 1;
}

/* Keeps all in flight for so long: each is submitted again when it has ended. */
static int run_steadily(mix *m, double microseconds, uint64_t *ended)
{
    hsched_run *runs[RUNS_MAX] = { 0 };
    hsched_status status = HSCHED_OK;
    const double end = now_us() + microseconds;
    for (uint32_t i = 0; i < m->count && status == HSCHED_OK; i++)
        status = submit(m, i, &runs[i]);
    for (uint32_t i = 0; status == HSCHED_OK && now_us() < end; i = (i + 1) % m->count) {
        status = end_run(m, runs[i]);
        runs[i] = NULL;
        ++*ended;
        if (status == HSCHED_OK)
            status = submit(m, i, &runs[i]);
    }
    for (uint32_t i = 0; i < m->count; i++) {
        if (!runs[i])
            continue;
        hsched_status last = end_run(m, runs[i]);
        status = status == HSCHED_OK ? last : status;
        ++*ended;
    }
    return bench_ok(status, "a run");
}

static int some_seconds(mix *m)
{
    uint64_t ignored = 0;
    return run_steadily(m, 300000, &ignored);
}

/* ---- Commands ------------------------------------------------------------- */

static void print_counters(const counters *before, const counters *after)
{
#define DELTA(member) ((unsigned long long)(after->member - before->member))
    printf("\"host_allocations\": %llu, \"gpu_allocations\": %llu, \"tunings\": %llu, "
           "\"captures\": %llu, \"graph_launches\": %llu, \"direct_launches\": %llu, "
           "\"staged_bytes\": %llu, \"joined\": %llu, \"gpu_memory_bytes\": %llu}\n",
           DELTA(runtime.allocations), DELTA(gpu.allocations), DELTA(gpu.tunings),
           DELTA(gpu.captures), DELTA(gpu.graph_launches), DELTA(gpu.direct_launches),
           DELTA(gpu.staged_bytes), DELTA(runtime.runs_joined),
           (unsigned long long)after->gpu.memory_bytes);
#undef DELTA
}

static int command_time(bench *b, mix *m, uint32_t rounds)
{
    counters before, after;
    double *samples = calloc(rounds, sizeof *samples);
    double *starts = calloc(rounds, sizeof *starts);
    int ok = samples && starts ? warm_up(b, m, some_rounds)
                               : bench_failed("time", "no memory");
    ok = ok && read_counters(b, &before);
    m->batch_max = 0;
    for (uint32_t i = 0; i < rounds && ok; i++) {
        ok = run_round(m, &samples[i]);
        starts[i] = m->start_us;
    }
    ok = ok && read_counters(b, &after);
    if (ok) {
        printf("{");
        print_samples("samples_us", samples, rounds);
        printf(", ");
        print_samples("start_us", starts, rounds);
        printf(", \"batch_max\": %u, ", m->batch_max);
        print_counters(&before, &after);
    }
    free(samples);
    free(starts);
    return ok;
}

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int command_cpu(bench *b, mix *m, double seconds)
{
    uint64_t ended = 0;
    if (!warm_up(b, m, some_seconds))
        return 0;
    const double begin = now_us(), cpu_begin = cpu_us();
    if (!run_steadily(m, seconds * 1e6, &ended))
        return 0;
    const double wall = now_us() - begin, cpu = cpu_us() - cpu_begin;
    printf(
        "{\"in_flight\": %u, \"wall_us\": %.0f, \"cpu_us\": %.0f, \"cpu_share\": %.4f, "
        "\"runs\": %llu, \"runs_per_second\": %.1f}\n",
        m->count, wall, cpu, cpu / wall, (unsigned long long)ended,
        (double)ended * 1e6 / wall);
    return 1;
}

static void execute(bench *b, char *line)
{
    static mix m;
    char *rest = NULL, *verb = strtok_r(line, " \n", &rest);
    char *text = strtok_r(NULL, " \n", &rest), *math = strtok_r(NULL, " \n", &rest);
    char *amount = strtok_r(NULL, " \n", &rest);
    double number = amount ? strtod(amount, NULL) : 0;
    if (verb && strcmp(verb, "forget") == 0) {
        forget(b);
        printf("{}\n");
    } else if (!verb || !(number > 0) || number > ROUNDS_MAX) {
        bench_failed(verb ? verb : "nothing", "is not a whole command");
    } else if (parse_mix(b, text, math, &m)) {
        if (strcmp(verb, "time") == 0)
            (void)command_time(b, &m, (uint32_t)number);
        else if (strcmp(verb, "cpu") == 0)
            (void)command_cpu(b, &m, number);
        else
            bench_failed(verb, "is no command");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static bench b;
    char line[4096];
    int ok = open_gpu(argc > 1 ? argv[1] : "quick", &b.runtime, &b.gpu);
    if (ok) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        (void)hsched_runtime_device_info(b.runtime, b.gpu, &info);
        printf("{\"libhsched\": \"%s\", \"device\": \"%s\", \"libraries\": \"%s\"}\n",
               hsched_version(), info.description, info.libraries);
        fflush(stdout);
        while (fgets(line, sizeof line, stdin))
            execute(&b, line);
    }
    forget(&b);
    hsched_runtime_destroy(b.runtime);
    return ok ? 0 : 1;
}
