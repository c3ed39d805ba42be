/*
 * What the runtime costs for a job: models of a few numbers, whose steps take next to nothing, on
 * one CPU worker and, with `sim`, on a simulated accelerator that takes no time of its own.
 *
 *     bench_dispatch [SECONDS [cpu|sim]]        for each line and round; 0.2 cpu
 *
 * A line keeps so many runs of so many models in flight: one thread waits for the oldest and
 * submits it again. A model is one section, so a job is a whole run. `ns a job` is CPU time of the
 * whole process for each: submitting, scheduling, executing, ending, waiting and waking. Each line
 * is the best of three rounds. Lines with * have grown by more than 1.5x from the first of their
 * table; it ends with 2 then, with 1 if a call failed.
 */
#include "bench.h"

enum {
    WIDTH = 4,
    MODELS_MOST = 1000,
    RUNS_MOST = 100000,
    ROUNDS = 3,
    LINES_MOST = 8
};

typedef struct line {
    uint32_t models, runs;
    double ns;
} line;

typedef struct bench {
    hsched_runtime *runtime;
    double seconds;
    hsched_model *models[MODELS_MOST];
    hsched_run **runs;
    float in[WIDTH];
} bench;

static double spent_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t count_jobs(const bench *b)
{
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    (void)hsched_runtime_get_stats(b->runtime, &stats); /* cannot fail with a runtime */
    return stats.jobs;
}

static int make_model(bench *b, hsched_model **model)
{
    static const int64_t dims[] = { 1, WIDTH };
    hsched_graph *graph = NULL;
    hsched_tensor x, y;
    hsched_status status = hsched_graph_create("tiny", &graph);
    if (status == HSCHED_OK)
        status = hsched_graph_add_input(graph, "x", HSCHED_FLOAT32, 2, dims, &x);
    if (status == HSCHED_OK)
        status = hsched_graph_add_softmax(graph, "y", x, -1, &y);
    if (status == HSCHED_OK)
        status = hsched_graph_add_output(graph, y);
    if (status == HSCHED_OK)
        status = hsched_model_compile(b->runtime, graph, NULL, model);
    hsched_graph_destroy(graph);
    return bench_ok(status, "a model");
}

static int submit(bench *b, uint32_t model, hsched_run **run)
{
    const hsched_binding in = HSCHED_DATA(b->in, sizeof b->in);
    const hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    return bench_ok(hsched_submit(b->models[model], &config, run), "a submission");
}

static int finish(hsched_run **run)
{
    const hsched_status status = hsched_run_wait(*run, HSCHED_FOREVER);
    hsched_run_release(*run);
    *run = NULL;
    return bench_ok(status, "a run");
}

/* All in flight, each waited for and submitted again in turn. */
static int keep_flying(bench *b, const line *l, double *ns)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < l->runs; i++)
        if (!submit(b, i % l->models, &b->runs[i]))
            return 0;
    const uint64_t before = count_jobs(b);
    const double began = spent_ns(), end = now_us() + b->seconds * 1e6;
    while (now_us() < end) {
        if (!finish(&b->runs[next]) || !submit(b, next % l->models, &b->runs[next]))
            return 0;
        next = next + 1 < l->runs ? next + 1 : 0;
    }
    const uint64_t jobs = count_jobs(b) - before;
    *ns = (spent_ns() - began) / (double)(jobs ? jobs : 1);
    return 1;
}

static int measure(bench *b, const line *l, double *ns)
{
    int ok = keep_flying(b, l, ns);
    for (uint32_t i = 0; i < l->runs; i++)
        if (b->runs[i] && !finish(&b->runs[i]))
            ok = 0;
    return ok;
}

/* 0: a call failed; 2: it grows too fast. */
static int table(bench *b, int by_models)
{
    line lines[LINES_MOST];
    uint32_t count = 0;
    int grows = 0;
    for (uint32_t n = by_models ? 1 : 10; n <= (by_models ? MODELS_MOST : RUNS_MOST);
         n *= 10)
        lines[count++] =
            (line){ .models = by_models ? n : 10, .runs = by_models ? 1000 : n };
    for (uint32_t round = 0; round < ROUNDS; round++)
        for (uint32_t i = 0; i < count; i++) {
            double ns = 0;
            if (!measure(b, &lines[i], &ns))
                return 0;
            lines[i].ns = round == 0 || ns < lines[i].ns ? ns : lines[i].ns;
        }
    puts("models     runs  ns a job  growth");
    for (uint32_t i = 0; i < count; i++) {
        const double growth = lines[i].ns / lines[0].ns;
        printf("%6u  %7u  %8.0f  %6.2f%s\n", lines[i].models, lines[i].runs, lines[i].ns,
               growth, growth > 1.5 ? "  *" : "");
        grows |= growth > 1.5;
    }
    fflush(stdout);
    return grows ? 2 : 1;
}

static int open_runtime(bench *b, int simulated)
{
    static const hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT };
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT,
                                           .cpu_workers = 1,
                                           .flags = HSCHED_RUNTIME_NO_GPU,
                                           .policy = simulated ? HSCHED_POLICY_GPU_ONLY
                                                               : HSCHED_POLICY_CPU_ONLY,
                                           .sims = simulated ? &sim : NULL,
                                           .sim_count = simulated != 0 };
    if (!bench_ok(hsched_runtime_create(&config, &b->runtime), "the runtime"))
        return 0;
    for (uint32_t i = 0; i < MODELS_MOST; i++)
        if (!make_model(b, &b->models[i]))
            return 0;
    return 1;
}

int main(int argc, char **argv)
{
    bench b = { .seconds = argc > 1 ? atof(argv[1]) : 0.2,
                .runs = calloc(RUNS_MOST, sizeof(hsched_run *)) };
    int models = 0, runs = 0;
    int ok = b.runs ? 1 : bench_failed("memory", "there is none");
    ok = ok && open_runtime(&b, argc > 2 && strcmp(argv[2], "sim") == 0);
    ok = ok && (models = table(&b, 1)) != 0 && (runs = table(&b, 0)) != 0;
    for (uint32_t i = 0; i < MODELS_MOST; i++)
        hsched_model_release(b.models[i]);
    hsched_runtime_destroy(b.runtime);
    free(b.runs);
    return !ok ? 1 : models == 2 || runs == 2 ? 2 : 0;
}
