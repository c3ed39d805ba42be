/*
 * Seeded random networks of all layer kinds through a runtime with a GPU, against an
 * evaluation of the graph by plain loops (tests/unit/graph_eval.h): with the policies gpu_only
 * and layer_type and one that throws dice, in every number format, in all kinds of memory, alone
 * and joined with other runs; and while calls of CUDA fail. Skips, saying why, without a GPU.
 *
 * Every run has inputs of its own. Its outputs hold NaNs before, and in all the memory that
 * runs are bound to nothing but their outputs may change.
 *
 * Tolerance. One step is within 1e-5 (strict), 2e-3 (tf32), 1e-2 (fp16), 8e-2 (bf16) of the
 * reference (test_ops.c), but a network amplifies that without bound: where it subtracts
 * numbers that nearly agree, for example. So how far rounding may move an output is found by
 * trying (graph_rounding.h), with the unit of the format, and TIMES_SPREAD times as much is
 * allowed, besides what float32 may err on any device. Of 30,000 graphs that were evaluated
 * with every value rounded, the worst was off by 7.4 times the spread; and fewer than one
 * output in 100 has a tolerance of more than a third of its norm.
 *
 * HSCHED_TEST_SEED=N tries one seed, HSCHED_TEST_GRAPHS=N so many graphs with each policy,
 * HSCHED_TEST_FILTER sets the tests by name.
 */
#include "gpu/gpu_runtime.h"

#include <math.h>
#include <time.h>

#include "backend/cuda/api.h"
#include "common/dice_policy.h"
#include "common/support.h"
#include "unit/graph_compare.h"
#include "unit/graph_eval.h"
#include "unit/graph_rounding.h"
#include "unit/random_graph.h"

#define TIMES_SPREAD 16
#define MEMORY_SIZE  ((size_t)4 << 20) /* of each kind */

enum {
    MAX_IO = 32,
    RUNS = 10,           /* a batch of 8, and 2 */
    GRAPHS = 100,        /* with each policy, */
    SECONDS = 60,        /*   or as many as these are enough for */
    ENOUGH_TO_JOIN = 20, /* graphs, that some runs of them must have been joined */
    FAULT_GRAPHS = 4,    /* with each policy */
    FAULTS = 12          /* of each of those */
};

typedef struct number_format {
    hsched_math math;
    const char *name;
    graph_rounding rounding;
} number_format;

/* To tf32 some kernels of the libraries do not round: they cut off. */
static const number_format formats[] = {
    { HSCHED_MATH_STRICT, "strict", { 0x1p-24, 0x1p-24, 0 } },
    { HSCHED_MATH_DEFAULT, "tf32", { 0x1p-24, 0x1p-10, 0 } },
    { HSCHED_MATH_FP16, "fp16", { 0x1p-11, 0x1p-11, 0x1p-25 } },
    { HSCHED_MATH_BF16, "bf16", { 0x1p-8, 0x1p-8, 0 } },
};
enum {
    FORMATS = sizeof formats / sizeof formats[0]
};

static const char *policy_name(hsched_policy policy)
{
    return policy == HSCHED_POLICY_GPU_ONLY     ? "gpu_only"
           : policy == HSCHED_POLICY_LAYER_TYPE ? "layer_type"
                                                : "dice";
}

/* ---- A graph, inputs for several runs, and what is right ------------------ */

typedef struct problem {
    uint64_t seed;
    hsched_graph *graph;
    uint32_t in_count, out_count;
    void *inputs[RUNS][MAX_IO]; /* dense */
    graph_values values[RUNS];
    double spreads[FORMATS][RUNS][MAX_IO]; /* of outputs */
} problem;

static void make_inputs(problem *p, uint32_t run)
{
    for (uint32_t i = 0; i < p->in_count; i++) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        assert_ok(
            hsched_graph_tensor_info(p->graph, hsched_graph_input(p->graph, i), &info));
        p->inputs[run][i] = malloc(info.byte_size);
        assert_non_null(p->inputs[run][i]);
        random_graph_fill(p->seed + i + 1000003 * run, &info, p->inputs[run][i]);
    }
}

static problem *make_problem(uint64_t seed)
{
    problem *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->seed = seed;
    assert_ok(random_graph_make(seed, 4 + (uint32_t)(seed % 20), &p->graph));
    p->in_count = hsched_graph_input_count(p->graph);
    p->out_count = hsched_graph_output_count(p->graph);
    assert_true(p->in_count <= MAX_IO && p->out_count <= MAX_IO);
    for (uint32_t r = 0; r < RUNS; r++) {
        const void *const *inputs = (const void *const *)p->inputs[r];
        make_inputs(p, r);
        assert_true(graph_eval(p->graph, inputs, &p->values[r]));
        for (int f = 0; f < FORMATS; f++)
            assert_true(graph_rounding_spread(p->graph, inputs, &p->values[r],
                                              &formats[f].rounding, seed + r,
                                              p->spreads[f][r]));
    }
    return p;
}

static void free_problem(problem *p)
{
    for (uint32_t r = 0; r < RUNS; r++) {
        graph_values_free(&p->values[r]);
        for (uint32_t i = 0; i < p->in_count; i++)
            free(p->inputs[r][i]);
    }
    hsched_graph_destroy(p->graph);
    free(p);
}

/* ---- A runtime, and memory for its runs ----------------------------------- */

typedef struct fixture {
    hsched_runtime *rt;
    user_memory memories[USER_MEMORY_KINDS];
    int only_hosts; /* no outputs that the library keeps, and nothing in the GPU's memory: for
                       those it needs calls of CUDA that must not fail */
    uint32_t largest_batch;
    dice dice;
} fixture;

/* With few streams runs have to wait for each other, and are joined. */
static void open_fixture(fixture *f, int only_hosts)
{
    *f = (fixture){ .only_hosts = only_hosts, .dice = { .random = 1, .stay = 5 } };
    const hsched_policy_plugin plugin = dice_policy(&f->dice);
    f->rt = gpu_runtime_open(&(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT,
                                                       .cpu_workers = 2, .gpu_streams = 2,
                                                       .policy_plugin = &plugin });
    for (int k = 0; k < USER_MEMORY_KINDS; k++)
        user_memory_create(&f->memories[k], f->rt, (user_memory_kind)k, MEMORY_SIZE);
}

static void close_fixture(fixture *f)
{
    for (int k = 0; k < USER_MEMORY_KINDS; k++)
        user_memory_destroy(&f->memories[k]);
    hsched_runtime_destroy(f->rt);
}

/* ---- A model of the graph -------------------------------------------------- */

typedef struct place {
    user_memory *memory; /* NULL: the library keeps the output */
    size_t at;
} place;

typedef struct trial {
    fixture *f;
    const problem *p;
    int format;
    hsched_model_config config;
    hsched_model *model;
    uint64_t random;
    int round;
    hsched_tensor_info in[MAX_IO], out[MAX_IO];
    place ins[RUNS][MAX_IO], outs[RUNS][MAX_IO];
    void *results[RUNS][MAX_IO]; /* in the outputs' layout */
    void *first[RUNS][MAX_IO];   /* those of the first round */
    char text[256];
} trial;

static int chance(trial *t, int percent)
{
    return random_graph_range(&t->random, 0, 99) < percent;
}

static void choose_config(trial *t, hsched_policy policy)
{
    static const uint32_t batches[] = { 1, 2, 8 };
    hsched_model_config *c = &t->config;
    *c = (hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = policy,
                                .math = formats[t->format].math };
    c->input_layout = chance(t, 50) ? HSCHED_LAYOUT_NHWC : HSCHED_LAYOUT_DENSE;
    c->output_layout = chance(t, 50) ? HSCHED_LAYOUT_NHWC : HSCHED_LAYOUT_DENSE;
    c->max_batch = batches[random_graph_range(&t->random, 0, 2)];
    c->batch_wait_us = chance(t, 30) ? 300 : 0;
    /* Another placement gives other bits. */
    c->flags =
        (chance(t, 25) && policy != HSCHED_POLICY_PLUGIN ? HSCHED_MODEL_DETERMINISTIC
                                                         : 0) |
        (chance(t, 15) ? HSCHED_MODEL_NO_FUSION : 0) |
        (chance(t, 15) ? HSCHED_MODEL_STEP_JOBS : 0);
    snprintf(t->text, sizeof t->text,
             "HSCHED_TEST_SEED=%llu %s %s, inputs %s, outputs %s, max_batch %u, wait %u "
             "us%s%s%s",
             (unsigned long long)t->p->seed, policy_name(policy), formats[t->format].name,
             c->input_layout ? "nhwc" : "dense", c->output_layout ? "nhwc" : "dense",
             c->max_batch, c->batch_wait_us,
             c->flags & HSCHED_MODEL_DETERMINISTIC ? ", deterministic" : "",
             c->flags & HSCHED_MODEL_NO_FUSION ? ", without fusion" : "",
             c->flags & HSCHED_MODEL_STEP_JOBS ? ", step by step" : "");
}

static trial *make_trial(fixture *f, const problem *p, hsched_policy policy, int format)
{
    trial *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->f = f;
    t->p = p;
    t->format = format;
    t->random = p->seed * 64 + (uint64_t)policy * 8 + (uint64_t)format;
    choose_config(t, policy);
    if (hsched_model_compile(f->rt, p->graph, &t->config, &t->model) != HSCHED_OK)
        fail_msg("%s: not compiled: %s", t->text, hsched_error_detail());
    for (uint32_t i = 0; i < p->in_count; i++) {
        t->in[i] = (hsched_tensor_info){ HSCHED_TENSOR_INFO_INIT };
        assert_ok(hsched_model_input_info(t->model, i, &t->in[i]));
    }
    for (uint32_t i = 0; i < p->out_count; i++) {
        t->out[i] = (hsched_tensor_info){ HSCHED_TENSOR_INFO_INIT };
        assert_ok(hsched_model_output_info(t->model, i, &t->out[i]));
        for (uint32_t r = 0; r < RUNS; r++) {
            t->results[r][i] = malloc(t->out[i].byte_size);
            t->first[r][i] = malloc(t->out[i].byte_size);
            assert_true(t->results[r][i] && t->first[r][i]);
        }
    }
    return t;
}

static void free_trial(trial *t)
{
    for (uint32_t r = 0; r < RUNS; r++)
        for (uint32_t i = 0; i < t->p->out_count; i++) {
            free(t->results[r][i]);
            free(t->first[r][i]);
        }
    hsched_model_release(t->model);
    free(t);
}

/* ---- Memory of a round ------------------------------------------------------ */

/* Often as aligned as can be, else to the element only. */
static place choose_place(trial *t, const hsched_tensor_info *info)
{
    const int last = t->f->only_hosts ? USER_MEMORY_WRAPPED : USER_MEMORY_ON_GPU;
    user_memory *memory = &t->f->memories[random_graph_range(&t->random, 0, last)];
    const size_t residue = chance(t, 60) ? 0
                                         : (size_t)random_graph_range(&t->random, 1, 20) *
                                               hsched_dtype_size(info->dtype);
    return (place){ memory, user_memory_place(memory, info->byte_size, residue) };
}

static void place_run(trial *t, uint32_t run)
{
    for (uint32_t i = 0; i < t->p->in_count; i++) {
        place *to = &t->ins[run][i];
        *to = choose_place(t, &t->in[i]);
        graph_to_layout(&t->in[i], t->p->inputs[run][i], to->memory->image + to->at);
    }
    for (uint32_t i = 0; i < t->p->out_count; i++)
        t->outs[run][i] = !t->f->only_hosts && chance(t, 15)
                              ? (place){ NULL, 0 }
                              : choose_place(t, &t->out[i]);
}

static void bind(const place *places, const hsched_tensor_info *infos, uint32_t count,
                 hsched_binding *bindings)
{
    for (uint32_t i = 0; i < count; i++)
        bindings[i] =
            places[i].memory
                ? user_memory_binding(places[i].memory, places[i].at, infos[i].byte_size)
                : (hsched_binding){ .buffer = NULL };
}

/* Fetches what the runs have written, and notices what they should not have. */
static void fetch_results(trial *t, uint32_t runs)
{
    for (int k = 0; k < USER_MEMORY_KINDS; k++)
        user_memory_fetch(&t->f->memories[k]);
    for (uint32_t r = 0; r < runs; r++)
        for (uint32_t i = 0; i < t->p->out_count; i++) {
            const place *from = &t->outs[r][i];
            if (!from->memory)
                continue;
            memcpy(t->results[r][i], from->memory->held + from->at, t->out[i].byte_size);
            memcpy(from->memory->image + from->at, t->results[r][i], t->out[i].byte_size);
        }
    for (int k = 0; k < USER_MEMORY_KINDS; k++) {
        const user_memory *m = &t->f->memories[k];
        for (size_t i = 0; i < m->used; i++)
            if (m->held[i] != m->image[i])
                fail_msg(
                    "%s, round %d: byte %zu of memory of kind %d is no output and was "
                    "changed from 0x%02x to 0x%02x",
                    t->text, t->round, i, k, m->image[i], m->held[i]);
    }
}

/* ---- Runs -------------------------------------------------------------------- */

static hsched_run *submit(trial *t, uint32_t run)
{
    hsched_binding in[MAX_IO], out[MAX_IO];
    hsched_run *handle;
    bind(t->ins[run], t->in, t->p->in_count, in);
    bind(t->outs[run], t->out, t->p->out_count, out);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = in, .outputs = out };
    if (hsched_submit(t->model, &config, &handle) != HSCHED_OK)
        fail_msg("%s, round %d, run %u: not submitted: %s", t->text, t->round, run,
                 hsched_error_detail());
    return handle;
}

static void check_batch(trial *t, uint32_t run, hsched_run *handle)
{
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    const int deterministic = (t->config.flags & HSCHED_MODEL_DETERMINISTIC) != 0;
    assert_ok(hsched_run_get_times(handle, &times));
    if (times.batch > (deterministic ? 1 : t->config.max_batch))
        fail_msg("%s, round %d, run %u: in a batch of %u", t->text, t->round, run,
                 times.batch);
    if (times.batch > t->f->largest_batch)
        t->f->largest_batch = times.batch;
}

static void finish(trial *t, uint32_t run, hsched_run *handle)
{
    if (hsched_run_wait(handle, HSCHED_FOREVER) != HSCHED_OK)
        fail_msg("%s, round %d, run %u: %s", t->text, t->round, run,
                 hsched_error_detail());
    check_batch(t, run, handle);
    for (uint32_t i = 0; i < t->p->out_count; i++) {
        const void *data;
        if (t->outs[run][i].memory)
            continue;
        assert_ok(hsched_run_output(handle, i, &data, NULL));
        memcpy(t->results[run][i], data, t->out[i].byte_size);
    }
    hsched_run_release(handle);
}

static void check_output(const trial *t, uint32_t run, uint32_t i)
{
    const problem *p = t->p;
    void *dense = malloc(t->out[i].byte_size);
    double norm;
    assert_non_null(dense);
    graph_to_dense(&t->out[i], t->results[run][i], dense);
    const double error = graph_error(
        &t->out[i], dense, p->values[run].data[hsched_graph_output(p->graph, i)], &norm);
    const double allowed = GRAPH_TOLERANCE * norm + GRAPH_FLOOR +
                           TIMES_SPREAD * p->spreads[t->format][run][i];
    if (!(error <= allowed))
        fail_msg("%s, round %d, run %u, output '%s': error %g, not %g, of %g", t->text,
                 t->round, run, t->out[i].name, error, allowed, norm);
    free(dense);
}

/* A deterministic model gives the bits of its first round in every round. */
static void check_bits(trial *t, uint32_t run, uint32_t i)
{
    const size_t bytes = t->out[i].byte_size;
    if (t->round == 0)
        memcpy(t->first[run][i], t->results[run][i], bytes);
    else if (memcmp(t->first[run][i], t->results[run][i], bytes) != 0)
        fail_msg("%s, round %d, run %u, output '%s': other bits than in round 0", t->text,
                 t->round, run, t->out[i].name);
}

/* The first `runs` runs, one after the other or all at once. */
static void run_round(trial *t, uint32_t runs, int at_once)
{
    hsched_run *handles[RUNS];
    for (int k = 0; k < USER_MEMORY_KINDS; k++)
        user_memory_clear(&t->f->memories[k]);
    for (uint32_t r = 0; r < runs; r++)
        place_run(t, r);
    for (int k = 0; k < USER_MEMORY_KINDS; k++)
        user_memory_send(&t->f->memories[k]);
    for (uint32_t r = 0; r < runs; r++) {
        handles[r] = submit(t, r);
        if (!at_once)
            finish(t, r, handles[r]);
    }
    for (uint32_t r = 0; at_once && r < runs; r++)
        finish(t, r, handles[r]);
    fetch_results(t, runs);
    for (uint32_t r = 0; r < runs; r++)
        for (uint32_t i = 0; i < t->p->out_count; i++)
            check_output(t, r, i);
}

/* ---- Nothing fails ------------------------------------------------------------ */

/* Directly first, then as CUDA graphs and in batches, which are made in the background. */
static void try_model(fixture *f, const problem *p, hsched_policy policy, int format)
{
    trial *t = make_trial(f, p, policy, format);
    const uint32_t some = (uint32_t)random_graph_range(&t->random, 2, RUNS);
    const struct {
        uint32_t runs;
        int at_once;
    } rounds[] = { { RUNS, 0 }, { RUNS, 1 }, { RUNS, 1 }, { some, 1 } };
    for (t->round = 0; t->round < (int)(sizeof rounds / sizeof rounds[0]); t->round++) {
        run_round(t, rounds[t->round].runs, rounds[t->round].at_once);
        if (t->config.flags & HSCHED_MODEL_DETERMINISTIC)
            for (uint32_t r = 0; r < rounds[t->round].runs; r++)
                for (uint32_t i = 0; i < p->out_count; i++)
                    check_bits(t, r, i);
        assert_ok(hsched_runtime_settle(f->rt));
    }
    free_trial(t);
}

static void try_graph(fixture *f, uint64_t seed, hsched_policy policy)
{
    problem *p = make_problem(seed);
    /* For when the program dies or hangs. */
    print_message("# HSCHED_TEST_SEED=%llu %s\n", (unsigned long long)seed,
                  policy_name(policy));
    for (int format = 0; format < FORMATS; format++)
        try_model(f, p, policy, format);
    free_problem(p);
}

/* Nothing went to the CPU that was meant for the GPU. */
static void check_stats(const fixture *f)
{
    hsched_runtime_stats all = { HSCHED_RUNTIME_STATS_INIT };
    hsched_device_stats gpu = { HSCHED_DEVICE_STATS_INIT };
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    assert_ok(hsched_runtime_get_stats(f->rt, &all));
    assert_ok(hsched_runtime_get_device_stats(f->rt, GPU, &gpu));
    assert_ok(hsched_runtime_device_info(f->rt, GPU, &info));
    assert_int_equal(all.runs_failed, 0);
    assert_int_equal(all.runs_restarted, 0);
    assert_int_equal(all.jobs_moved, 0);
    assert_int_equal(info.lost, 0);
    assert_true(gpu.jobs > 0);
    print_message(
        "# %llu runs, %llu joined, in batches of up to %u; %llu jobs on the GPU, "
        "%llu as graphs\n",
        (unsigned long long)all.runs_succeeded, (unsigned long long)all.runs_joined,
        f->largest_batch, (unsigned long long)gpu.jobs,
        (unsigned long long)gpu.graph_launches);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    return getenv(name) ? strtoull(getenv(name), NULL, 10) : otherwise;
}

/* The first seed, and how many there are to try. */
static uint64_t seeds(uint64_t otherwise, uint64_t *count)
{
    const uint64_t seed = number_from("HSCHED_TEST_SEED", 0);
    *count = seed ? 1 : number_from("HSCHED_TEST_GRAPHS", otherwise);
    return seed ? seed : 1;
}

static void graphs_agree(void **state)
{
    const hsched_policy policy = *(const hsched_policy *)*state;
    const int limited = !getenv("HSCHED_TEST_SEED") && !getenv("HSCHED_TEST_GRAPHS");
    const time_t end = time(NULL) + SECONDS;
    uint64_t graphs, done = 0;
    const uint64_t seed = seeds(GRAPHS, &graphs);
    fixture f;
    hsi_cuda_fail_call(0, 0);
    open_fixture(&f, 0);
    for (; done < graphs && !(limited && time(NULL) > end); done++)
        try_graph(&f, seed + done, policy);
    print_message("# %llu of %llu graphs\n", (unsigned long long)done,
                  (unsigned long long)graphs);
    check_stats(&f);
    if (policy == HSCHED_POLICY_GPU_ONLY && done >= ENOUGH_TO_JOIN)
        assert_true(f.largest_batch > 2);
    close_fixture(&f);
}

/* ---- Calls fail --------------------------------------------------------------- */

/* The k-th call fails, as for want of memory, while a model is loaded and its first runs are
 * under way. Its runs after that are right, too. */
static void fail_loading(fixture *f, const problem *p, hsched_policy policy)
{
    uint64_t k = 1;
    for (int n = 0; n < FAULTS; n++, k += (uint64_t)(1 + n)) {
        hsi_cuda_fail_call(k, 0);
        trial *t = make_trial(f, p, policy, n % FORMATS);
        run_round(t, RUNS, 1);
        hsi_cuda_fail_call(0, 0);
        assert_ok(hsched_runtime_settle(f->rt));
        t->round++;
        run_round(t, RUNS, 1);
        free_trial(t);
    }
}

static void fail_running(fixture *f, const problem *p, hsched_policy policy)
{
    trial *t = make_trial(f, p, policy, (int)(p->seed % FORMATS));
    for (uint64_t k = 1; k <= FAULTS; k++, t->round++) {
        hsi_cuda_fail_call(k, 0);
        run_round(t, RUNS, 1);
        hsi_cuda_fail_call(0, 0);
        assert_ok(hsched_runtime_settle(f->rt));
    }
    free_trial(t);
}

static void a_failing_call_costs_no_run(void **state)
{
    const hsched_policy policy = *(const hsched_policy *)*state;
    uint64_t graphs;
    const uint64_t seed = seeds(FAULT_GRAPHS, &graphs);
    fixture f;
    hsi_cuda_fail_call(0, 0);
    open_fixture(&f, 1);
    for (uint64_t s = seed; s < seed + graphs; s++) {
        problem *p = make_problem(s);
        fail_loading(&f, p, policy);
        fail_running(&f, p, policy);
        free_problem(p);
    }
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    assert_ok(hsched_runtime_device_info(f.rt, GPU, &info));
    assert_int_equal(info.lost, 0);
    close_fixture(&f);
}

/* The context is poisoned while runs are under way: they end on the CPU, and so do those of
 * this model and of others from then on. */
static int lose_gpu(fixture *f, const problem *p, uint64_t k, hsched_policy policy)
{
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    trial *t = make_trial(f, p, policy, (int)(p->seed % FORMATS));
    run_round(t, RUNS, 1);
    hsi_cuda_fail_call(k, 1);
    for (t->round = 1; t->round < 3; t->round++)
        run_round(t, RUNS, 1);
    hsi_cuda_fail_call(0, 0);
    assert_ok(hsched_runtime_device_info(f->rt, GPU, &info));
    free_trial(t);
    t = make_trial(f, p, policy, 0);
    run_round(t, RUNS, 1);
    free_trial(t);
    return info.lost;
}

/* What the k-th call is depends on the timing: it is tried until one has been noticed. */
static void a_lost_gpu_costs_no_run(void **state)
{
    (void)state;
    uint64_t graphs;
    const uint64_t seed = seeds(FAULT_GRAPHS, &graphs);
    int lost = 0;
    fixture f;
    hsi_cuda_fail_call(0, 0);
    open_fixture(&f, 1);
    for (uint64_t s = seed; s < seed + graphs; s++) {
        problem *p = make_problem(s);
        for (uint64_t k = 4; k < 20 && !lost; k += 3)
            lost = lose_gpu(&f, p, k, HSCHED_POLICY_GPU_ONLY);
        lose_gpu(&f, p, 0, HSCHED_POLICY_LAYER_TYPE);
        free_problem(p);
    }
    assert_true(lost);
    close_fixture(&f);
}

int main(void)
{
    static hsched_policy gpu_only = HSCHED_POLICY_GPU_ONLY,
                         layer_type = HSCHED_POLICY_LAYER_TYPE,
                         dice_thrown = HSCHED_POLICY_PLUGIN;
    const struct CMUnitTest tests[] = {
        { "graphs_agree_gpu_only", graphs_agree, NULL, NULL, &gpu_only },
        { "graphs_agree_layer_type", graphs_agree, NULL, NULL, &layer_type },
        { "graphs_agree_dice", graphs_agree, NULL, NULL, &dice_thrown },
        { "a_failing_call_costs_no_run_gpu_only", a_failing_call_costs_no_run, NULL, NULL,
          &gpu_only },
        { "a_failing_call_costs_no_run_layer_type", a_failing_call_costs_no_run, NULL,
          NULL, &layer_type },
        { "a_failing_call_costs_no_run_dice", a_failing_call_costs_no_run, NULL, NULL,
          &dice_thrown },
        cmocka_unit_test(a_lost_gpu_costs_no_run),
    };
    if (getenv("HSCHED_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HSCHED_TEST_FILTER"));
    return cmocka_run_group_tests_name("random graphs on a GPU", tests, NULL, NULL);
}
