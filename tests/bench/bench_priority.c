/*
 * A network of high priority, alone and beside others of low priority that keep the machine busy:
 * how long its runs take, and what becomes of the others.
 *
 *     bench_priority [NETWORK [BACKGROUND [SECONDS [POLICY [SEGMENT_US [MATH]]]]]]
 *
 * NETWORK      of the zoo; resnet50
 * BACKGROUND   NETWORK[:RUNS],... of the zoo, so many runs of each in flight; vgg16:4,densenet121:4
 * SECONDS      for each measurement; 5
 * POLICY       default, cpu_only, layer_type, gpu_only, cost
 * SEGMENT_US   hsched_runtime_config.max_segment_us; default, or never
 * MATH         tf32, strict, fp16, bf16: on a GPU
 *
 * Runs of the network come one at a time, each a while after the last one has ended: half as long
 * to one and a half times as long as it takes alone, at random, so that they meet the others in
 * every state. The priorities are so far apart that ageing takes 20 s to make up for it. Measured
 * in three rounds, in which these take turns: the network alone, the others alone, both. Prints a
 * table and a line of JSON. Ends with 1 if something failed, or if the background stood still.
 */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>

#include "zoo/zoo.h"

enum {
    KINDS_MOST = 16,
    FLIGHTS_MOST = 64,
    ROUNDS = 3,
    WARM_UP = 40,
    SAMPLES_MOST = 1 << 20,
    HIGH = 50,
    LOW = -50
};

typedef struct network {
    hsched_model *model;
    char name[40];
} network;

/* What one run in flight is bound to. */
typedef struct flight {
    network *net;
    hsched_buffer *input, *output;
    hsched_run *run;
} flight;

typedef struct bench {
    hsched_runtime *runtime;
    hsched_math math;
    double seconds, gap_us;
    network networks[KINDS_MOST + 1]; /* the first is the one of high priority */
    uint32_t network_count;
    flight high, low[FLIGHTS_MOST];
    uint32_t low_count;
    double *alone, *beside; /* microseconds of runs */
    uint32_t alone_count, beside_count;
    double low_alone, low_beside; /* runs a second */
} bench;

/* ---- Setting up -------------------------------------------------------------- */

static int load(bench *b, const char *name, network **result)
{
    hsched_graph *graph = NULL;
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT, .math = b->math };
    for (uint32_t i = 1; i < b->network_count; i++)
        if (strcmp(b->networks[i].name, name) == 0) {
            *result = &b->networks[i];
            return 1;
        }
    if (b->network_count == KINDS_MOST + 1)
        return bench_failed(name, "too many networks");
    network *net = &b->networks[b->network_count];
    snprintf(net->name, sizeof net->name, "%s", name);
    hsched_status status = zoo_build(name, 1, &graph);
    if (status == HSCHED_ERROR_NOT_FOUND)
        return bench_failed(name, "is no network of the zoo");
    if (status == HSCHED_OK)
        status = hsched_model_compile(b->runtime, graph, &config, &net->model);
    hsched_graph_destroy(graph);
    if (!bench_ok(status, name))
        return 0;
    b->network_count++;
    *result = net;
    return 1;
}

static int fill(hsched_buffer *buffer, size_t bytes)
{
    void *data;
    if (!bench_ok(hsched_buffer_map(buffer, &data), "a buffer"))
        return 0;
    uint32_t random = 1;
    for (size_t i = 0; i < bytes / sizeof(float); i++) {
        random = random * 1664525u + 1013904223u;
        ((float *)data)[i] = (float)(random >> 8) / (float)(1 << 24);
    }
    return 1;
}

static int make_flight(bench *b, network *net, flight *f)
{
    hsched_tensor_info in = { HSCHED_TENSOR_INFO_INIT },
                       out = { HSCHED_TENSOR_INFO_INIT };
    f->net = net;
    return bench_ok(hsched_model_input_info(net->model, 0, &in), net->name) &&
           bench_ok(hsched_model_output_info(net->model, 0, &out), net->name) &&
           bench_ok(hsched_buffer_create(b->runtime, in.byte_size, &f->input),
                    "a buffer") &&
           bench_ok(hsched_buffer_create(b->runtime, out.byte_size, &f->output),
                    "a buffer") &&
           fill(f->input, in.byte_size);
}

static int make_background(bench *b, char *text)
{
    char *rest = NULL;
    for (char *part = strtok_r(text, ",", &rest); part;
         part = strtok_r(NULL, ",", &rest)) {
        char *colon = strchr(part, ':');
        const long count = colon ? strtol(colon + 1, NULL, 10) : 1;
        network *net;
        if (colon)
            *colon = '\0';
        if (count < 1 || b->low_count + (uint64_t)count > FLIGHTS_MOST)
            return bench_failed(part, "give 1 run or more, and at most 64 in all");
        if (!load(b, part, &net))
            return 0;
        for (long i = 0; i < count; i++)
            if (!make_flight(b, net, &b->low[b->low_count++]))
                return 0;
    }
    return b->low_count > 0 ? 1 : bench_failed("background", "is empty");
}

/* ---- Runs ----------------------------------------------------------------------- */

static hsched_status submit(flight *f, int priority)
{
    const hsched_binding in = HSCHED_BUFFER(f->input), out = HSCHED_BUFFER(f->output);
    const hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                       .outputs = &out, .priority = priority };
    return hsched_submit(f->net->model, &config, &f->run);
}

static hsched_status finish(flight *f)
{
    const hsched_status status = hsched_run_wait(f->run, HSCHED_FOREVER);
    hsched_run_release(f->run);
    f->run = NULL;
    return status;
}

/* As `hsched_submit` to the return of `hsched_run_wait`. */
static int time_one(bench *b, double *us)
{
    const double began = now_us();
    hsched_status status = submit(&b->high, HIGH);
    if (status == HSCHED_OK)
        status = finish(&b->high);
    *us = now_us() - began;
    return bench_ok(status, "a run of high priority");
}

static void pause_us(double us)
{
    struct timespec t = { .tv_sec = (time_t)(us / 1e6),
                          .tv_nsec = (long)(fmod(us, 1e6) * 1e3) };
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
        ;
}

static int measure_high(bench *b, double *samples, uint32_t *count)
{
    const double end = now_us() + b->seconds * 1e6;
    while (now_us() < end && *count < SAMPLES_MOST) {
        pause_us(b->gap_us * (0.5 + (double)rand() / RAND_MAX));
        if (!time_one(b, &samples[(*count)++]))
            return 0;
    }
    return 1;
}

/* ---- The background --------------------------------------------------------------- */

typedef struct background {
    bench *b;
    pthread_t thread;
    pthread_mutex_t mutex;
    int stop;
    uint64_t ended;
    hsched_status status;
    char detail[512];
    double began_us, rate;
} background;

static int is_stopped(background *g)
{
    pthread_mutex_lock(&g->mutex);
    const int stop = g->stop;
    pthread_mutex_unlock(&g->mutex);
    return stop;
}

/* Keeps all flights in the air. */
static void *background_main(void *argument)
{
    background *g = argument;
    bench *b = g->b;
    for (uint32_t i = 0; i < b->low_count && g->status == HSCHED_OK; i++)
        g->status = submit(&b->low[i], LOW);
    for (uint32_t i = 0; g->status == HSCHED_OK && !is_stopped(g);
         i = (i + 1) % b->low_count) {
        g->status = finish(&b->low[i]);
        g->ended++;
        if (g->status == HSCHED_OK)
            g->status = submit(&b->low[i], LOW);
    }
    if (g->status != HSCHED_OK)
        snprintf(g->detail, sizeof g->detail, "%s", hsched_error_detail());
    g->rate = (double)g->ended / (now_us() - g->began_us) * 1e6;
    for (uint32_t i = 0; i < b->low_count; i++)
        if (b->low[i].run)
            (void)finish(&b->low[i]); /* what ended meanwhile is not counted */
    return NULL;
}

static int begin_background(bench *b, background *g)
{
    *g = (background){ .b = b, .began_us = now_us() };
    pthread_mutex_init(&g->mutex, NULL);
    const int error = pthread_create(&g->thread, NULL, background_main, g);
    return error == 0 ? 1 : bench_failed("the background", strerror(error));
}

static int end_background(background *g)
{
    pthread_mutex_lock(&g->mutex);
    g->stop = 1;
    pthread_mutex_unlock(&g->mutex);
    pthread_join(g->thread, NULL);
    pthread_mutex_destroy(&g->mutex);
    if (g->status != HSCHED_OK)
        return bench_failed("a run of low priority", g->detail);
    return 1;
}

/* ---- Measuring ---------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, uint32_t count, double q)
{
    return sorted[(uint32_t)(q * (count - 1) + 0.5)];
}

/* Until nothing is tuned or captured any more; and finds out how long the network takes. */
static int warm_up(bench *b)
{
    double us[WARM_UP];
    background g;
    for (uint32_t i = 0; i < WARM_UP; i++) {
        if (!time_one(b, &us[i]))
            return 0;
        if (i % 10 == 0 && !bench_ok(hsched_runtime_settle(b->runtime), "settling"))
            return 0;
    }
    qsort(us, WARM_UP, sizeof *us, compare);
    b->gap_us = us[WARM_UP / 4];
    /* Batches and segments, too: together, as they will be. */
    const double seconds = b->seconds;
    b->seconds = seconds < 2 ? seconds : 2;
    uint32_t count = 0;
    for (int i = 0; i < 2; i++) {
        if (!begin_background(b, &g))
            return 0;
        const int measured = measure_high(b, b->beside, &count);
        if (!end_background(&g) || !measured ||
            !bench_ok(hsched_runtime_settle(b->runtime), "settling"))
            return 0;
    }
    b->seconds = seconds;
    return 1;
}

static int measure_round(bench *b)
{
    background g;
    if (!measure_high(b, b->alone, &b->alone_count) || !begin_background(b, &g))
        return 0;
    pause_us(b->seconds * 1e6);
    if (!end_background(&g))
        return 0;
    b->low_alone += g.rate / ROUNDS;
    if (!begin_background(b, &g))
        return 0;
    const int measured = measure_high(b, b->beside, &b->beside_count);
    if (!end_background(&g) || !measured)
        return 0;
    b->low_beside += g.rate / ROUNDS;
    return 1;
}

static int report(bench *b)
{
    uint64_t pauses = 0, long_segments = 0;
    for (uint32_t d = 0; d < hsched_runtime_device_count(b->runtime); d++) {
        hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
        if (!bench_ok(hsched_runtime_get_device_stats(b->runtime, d, &stats), "counts"))
            return 0;
        pauses += stats.pauses;
        long_segments += stats.long_segments;
    }
    qsort(b->alone, b->alone_count, sizeof *b->alone, compare);
    qsort(b->beside, b->beside_count, sizeof *b->beside, compare);
    const double qs[] = { 0.5, 0.9, 0.99, 1 };
    const char *const names[] = { "P50", "P90", "P99", "max" };
    double alone[4], beside[4];
    printf("%s, us       alone    beside   ratio   (%u, %u runs)\n", b->networks[0].name,
           b->alone_count, b->beside_count);
    for (int i = 0; i < 4; i++) {
        alone[i] = quantile(b->alone, b->alone_count, qs[i]);
        beside[i] = quantile(b->beside, b->beside_count, qs[i]);
        printf("%-12s %9.0f %9.0f %7.2f\n", names[i], alone[i], beside[i],
               beside[i] / alone[i]);
    }
    printf(
        "background, runs/s %.2f alone, %.2f beside; %llu pauses, %llu long segments\n",
        b->low_alone, b->low_beside, (unsigned long long)pauses,
        (unsigned long long)long_segments);
    printf(
        "{\"network\": \"%s\", \"alone_us\": [%.1f, %.1f], \"beside_us\": [%.1f, %.1f], "
        "\"p99_ratio\": %.3f, \"background_alone\": %.3f, \"background_beside\": %.3f, "
        "\"pauses\": %llu, \"long_segments\": %llu}\n",
        b->networks[0].name, alone[0], alone[2], beside[0], beside[2],
        beside[2] / alone[2], b->low_alone, b->low_beside, (unsigned long long)pauses,
        (unsigned long long)long_segments);
    return b->low_beside > 0 ? 1 : bench_failed("the background", "stood still");
}

/* ---- Arguments ------------------------------------------------------------------------ */

static int find(const char *text, const char *const *names, int count, int *index)
{
    for (*index = 0; *index < count; ++*index)
        if (strcmp(text, names[*index]) == 0)
            return 1;
    return bench_failed(text,
                        "is not known; see the top of tests/bench/bench_priority.c");
}

static int open_runtime(bench *b, const char *policy, const char *segment,
                        const char *math)
{
    static const char *const policies[] = { "default", "cpu_only", "layer_type",
                                            "gpu_only", "cost" };
    static const hsched_policy policy_of[] = {
        HSCHED_POLICY_DEFAULT, HSCHED_POLICY_CPU_ONLY, HSCHED_POLICY_LAYER_TYPE,
        HSCHED_POLICY_GPU_ONLY, HSCHED_POLICY_COST
    };
    static const char *const maths[] = { "tf32", "strict", "fp16", "bf16" };
    static const hsched_math math_of[] = { HSCHED_MATH_DEFAULT, HSCHED_MATH_STRICT,
                                           HSCHED_MATH_FP16, HSCHED_MATH_BF16 };
    int p, m;
    if (!find(policy, policies, 5, &p) || !find(math, maths, 4, &m))
        return 0;
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .policy = policy_of[p] };
    if (strcmp(segment, "never") == 0)
        config.max_segment_us = HSCHED_NEVER;
    else if (strcmp(segment, "default") != 0)
        config.max_segment_us = (uint32_t)strtoul(segment, NULL, 10);
    b->math = math_of[m];
    return bench_ok(hsched_runtime_create(&config, &b->runtime), "the runtime");
}

static void clean_up(bench *b)
{
    for (uint32_t i = 0; i <= b->low_count; i++) {
        flight *f = i < b->low_count ? &b->low[i] : &b->high;
        hsched_buffer_release(f->input);
        hsched_buffer_release(f->output);
    }
    for (uint32_t i = 0; i < b->network_count; i++)
        hsched_model_release(b->networks[i].model);
    hsched_runtime_destroy(b->runtime);
    free(b->alone);
    free(b->beside);
}

int main(int argc, char **argv)
{
    const char *given[6] = { "resnet50", "vgg16:4,densenet121:4",
                             "5",        "default",
                             "default",  "tf32" };
    bench b = { .alone = malloc(SAMPLES_MOST * sizeof(double)),
                .beside = malloc(SAMPLES_MOST * sizeof(double)) };
    network *high;
    for (int i = 1; i < argc && i <= 6; i++)
        given[i - 1] = argv[i];
    char *text = strdup(given[1]);
    b.seconds = atof(given[2]);
    int ok = b.alone && b.beside && text ? 1 : bench_failed("memory", "there is none");
    if (ok && !(b.seconds > 0))
        ok = bench_failed(given[2], "give seconds");
    ok = ok && open_runtime(&b, given[3], given[4], given[5]) &&
         load(&b, given[0], &high) && make_flight(&b, high, &b.high) &&
         make_background(&b, text) && warm_up(&b);
    for (int i = 0; i < ROUNDS && ok; i++)
        ok = measure_round(&b);
    ok = ok && report(&b);
    clean_up(&b);
    free(text);
    return ok ? 0 : 1;
}
