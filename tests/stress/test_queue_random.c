/*
 * Seeded random networks of all layer kinds on a simulated device with a queue
 * (tests/common/queue_device.h), against an evaluation of the graph by plain loops: with the
 * policies gpu_only and layer_type and one that throws dice, with kinds of steps that the device
 * cannot execute, in all kinds of memory, on one device or two, several models and runs at once,
 * jobs executed in random order; and while calls fail, or the device is lost, and some runs are
 * cancelled.
 *
 * HSCHED_TEST_SEED=N tries one seed, HSCHED_TEST_GRAPHS=N so many.
 */
#include "common/queue_runs.h"

#include "common/dice_policy.h"
#include "common/support.h"
#include "unit/graph_compare.h"
#include "unit/graph_eval.h"
#include "unit/random_graph.h"

enum {
    MODELS =
        4, /* of one graph: gpu_only, layer_type, cost, and wherever chance will have it */
    RUNS = 5, /* of each at once */
    ROUNDS = 3
};

typedef enum world_kind {
    WORLD_SOUND,
    WORLD_CALLS_FAIL, /* for want of memory */
    WORLD_LOST,       /* the device is, sooner or later */
} world_kind;

typedef struct world {
    uint64_t seed, random;
    world_kind kind;
    int may_be_lost; /* the device, by now */
    dice dice;
    hsched_runtime *rt;
    hsched_graph *graph;
    hsched_model *models[MODELS];
    uint32_t in_count, out_count;
    hsched_tensor_info in[QUEUE_MAX_IO], out[QUEUE_MAX_IO]; /* the same for all models */
    void *inputs[RUNS][QUEUE_MAX_IO];                       /* dense */
    graph_values values[RUNS];
} world;

typedef struct job {
    user_tensor in[QUEUE_MAX_IO], out[QUEUE_MAX_IO];
    hsched_run *run;
    int cancelled;
} job;

static int64_t choose(world *w, int64_t low, int64_t high)
{
    return random_graph_range(&w->random, low, high);
}

/* ---- A graph, and what is right ------------------------------------------------- */

static void make_graph(world *w)
{
    assert_ok(random_graph_make(w->seed, 4 + (uint32_t)(w->seed % 20), &w->graph));
    w->in_count = hsched_graph_input_count(w->graph);
    w->out_count = hsched_graph_output_count(w->graph);
    assert_true(w->in_count <= QUEUE_MAX_IO && w->out_count <= QUEUE_MAX_IO);
    for (uint32_t r = 0; r < RUNS; r++) {
        for (uint32_t i = 0; i < w->in_count; i++) {
            hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
            assert_ok(hsched_graph_tensor_info(w->graph, hsched_graph_input(w->graph, i),
                                               &info));
            w->inputs[r][i] = malloc(info.byte_size);
            assert_non_null(w->inputs[r][i]);
            random_graph_fill(w->seed + i + 1000003 * r, &info, w->inputs[r][i]);
        }
        assert_true(
            graph_eval(w->graph, (const void *const *)w->inputs[r], &w->values[r]));
    }
}

static void free_graph(world *w)
{
    for (uint32_t r = 0; r < RUNS; r++) {
        graph_values_free(&w->values[r]);
        for (uint32_t i = 0; i < w->in_count; i++)
            free(w->inputs[r][i]);
    }
    hsched_graph_destroy(w->graph);
}

/* ---- A runtime and models ---------------------------------------------------------- */

static uint32_t choose_unsupported(world *w)
{
    uint32_t kinds = 0;
    if (choose(w, 0, 2) != 0)
        return 0;
    for (int n = (int)choose(w, 1, 3); n > 0; n--)
        kinds |= 1u << choose(w, HSCHED_STEP_CONV2D, HSCHED_STEP_IMAGE);
    return kinds;
}

static void open_world(world *w)
{
    const uint32_t devices = choose(w, 0, 2) == 0 ? 2 : 1;
    const queue_device_script script = {
        .devices = devices,
        .seed = w->seed,
        .unsupported = choose_unsupported(w),
        .ready = (uint32_t)choose(w, 1, 8),
        .never_registers = choose(w, 0, 3) == 0,
    };
    w->dice = (dice){ .random = w->seed, .stay = (uint32_t)choose(w, 0, 8) };
    const hsched_policy_plugin plugin = dice_policy(&w->dice);
    const hsched_runtime_config config = {
        HSCHED_RUNTIME_CONFIG_INIT,    .cpu_workers = 2,
        .policy_plugin = &plugin,      .gpu_streams = (uint32_t)choose(w, 1, 3),
        .gpus = (const int[]){ 0, 1 }, .gpu_count = devices
    };
    w->rt = queue_runtime_open(&script, &config);
}

static void load_models(world *w)
{
    static const hsched_policy policies[MODELS] = { HSCHED_POLICY_GPU_ONLY,
                                                    HSCHED_POLICY_LAYER_TYPE,
                                                    HSCHED_POLICY_PLUGIN,
                                                    HSCHED_POLICY_COST };
    const hsched_layout layout =
        choose(w, 0, 1) ? HSCHED_LAYOUT_NHWC : HSCHED_LAYOUT_DENSE;
    for (int m = 0; m < MODELS; m++)
        assert_ok(hsched_model_compile(
            w->rt, w->graph,
            &(hsched_model_config){
                HSCHED_MODEL_CONFIG_INIT, .policy = policies[m], .input_layout = layout,
                .output_layout = layout, .max_batch = (uint32_t)choose(w, 1, RUNS),
                .batch_wait_us = choose(w, 0, 3) == 0 ? 200 : 0,
                .flags = (choose(w, 0, 5) == 0 ? HSCHED_MODEL_NO_FUSION : 0) |
                         (choose(w, 0, 5) == 0 ? HSCHED_MODEL_STEP_JOBS : 0) },
            &w->models[m]));
    for (uint32_t i = 0; i < w->in_count; i++) {
        w->in[i] = (hsched_tensor_info){ HSCHED_TENSOR_INFO_INIT };
        assert_ok(hsched_model_input_info(w->models[0], i, &w->in[i]));
    }
    for (uint32_t i = 0; i < w->out_count; i++) {
        w->out[i] = (hsched_tensor_info){ HSCHED_TENSOR_INFO_INIT };
        assert_ok(hsched_model_output_info(w->models[0], i, &w->out[i]));
    }
}

/* ---- Runs -------------------------------------------------------------------------------- */

/* What lies in the memory of a device that fails may be lost with it, and a lost device makes no
 * more buffers. */
static user_tensor_kind choose_kind(world *w, int is_output)
{
    const user_tensor_kind last = is_output ? USER_TENSOR_KEPT : USER_TENSOR_ON_DEVICE;
    const user_tensor_kind kind = (user_tensor_kind)choose(w, 0, last);
    if (kind == USER_TENSOR_ON_DEVICE && w->kind != WORLD_SOUND)
        return USER_TENSOR_PLAIN;
    return kind == USER_TENSOR_SHARED && w->may_be_lost ? USER_TENSOR_WRAPPED : kind;
}

static void make_job(world *w, uint32_t r, job *j)
{
    *j = (job){ .run = NULL };
    for (uint32_t i = 0; i < w->in_count; i++) {
        void *data = malloc(w->in[i].byte_size);
        assert_non_null(data);
        graph_to_layout(&w->in[i], w->inputs[r][i], data);
        user_tensor_make(&j->in[i], w->rt, choose_kind(w, 0), w->in[i].byte_size);
        user_tensor_put(&j->in[i], data);
        free(data);
    }
    for (uint32_t i = 0; i < w->out_count; i++)
        user_tensor_make(&j->out[i], w->rt, choose_kind(w, 1), w->out[i].byte_size);
}

static void free_job(const world *w, job *j)
{
    for (uint32_t i = 0; i < w->in_count; i++)
        user_tensor_free(&j->in[i]);
    for (uint32_t i = 0; i < w->out_count; i++)
        user_tensor_free(&j->out[i]);
}

static void submit_job(world *w, uint32_t model, job *j)
{
    hsched_binding in[QUEUE_MAX_IO], out[QUEUE_MAX_IO];
    for (uint32_t i = 0; i < w->in_count; i++)
        in[i] = user_tensor_binding(&j->in[i]);
    for (uint32_t i = 0; i < w->out_count; i++)
        out[i] = user_tensor_binding(&j->out[i]);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = in, .outputs = out,
                                 .priority = (int)choose(w, -2, 2) };
    assert_ok(hsched_submit(w->models[model], &config, &j->run));
}

static void check_output(const world *w, uint32_t r, const job *j, uint32_t i)
{
    void *held = malloc(w->out[i].byte_size), *dense = malloc(w->out[i].byte_size);
    double norm;
    assert_true(held && dense);
    user_tensor_get(&j->out[i], j->run, i, held);
    graph_to_dense(&w->out[i], held, dense);
    const double error = graph_error(
        &w->out[i], dense, w->values[r].data[hsched_graph_output(w->graph, i)], &norm);
    if (!(error <= GRAPH_TOLERANCE * norm + GRAPH_FLOOR))
        fail_msg("HSCHED_TEST_SEED=%llu, run %u, output '%s' in memory of kind %d: error "
                 "%g of %g",
                 (unsigned long long)w->seed, r, w->out[i].name, (int)j->out[i].kind,
                 error, norm);
    free(held);
    free(dense);
}

static void finish_job(const world *w, uint32_t r, job *j)
{
    const hsched_status status = hsched_run_wait(j->run, HSCHED_FOREVER);
    if (status != HSCHED_OK && !(j->cancelled && status == HSCHED_ERROR_CANCELLED))
        fail_msg("HSCHED_TEST_SEED=%llu, run %u: %s (%s)", (unsigned long long)w->seed, r,
                 hsched_status_name(status), hsched_error_detail());
    for (uint32_t i = 0; i < w->out_count && status == HSCHED_OK; i++)
        check_output(w, r, j, i);
    hsched_run_release(j->run);
}

static void arm_faults(world *w)
{
    const uint64_t k = (uint64_t)choose(w, 1, 40);
    w->may_be_lost = w->kind == WORLD_LOST;
    if (w->kind == WORLD_CALLS_FAIL)
        queue_device_fail_call(k, QUEUE_CALL_ANY, HSCHED_ERROR_OUT_OF_MEMORY);
    else if (w->kind == WORLD_LOST && choose(w, 0, 1))
        queue_device_fail_call(k, QUEUE_CALL_ANY, HSCHED_ERROR_DEVICE);
    else if (w->kind == WORLD_LOST)
        queue_device_lose_in_job(k);
}

static void run_round(world *w)
{
    static job jobs[MODELS][RUNS];
    for (int m = 0; m < MODELS; m++)
        for (uint32_t r = 0; r < RUNS; r++)
            make_job(w, r, &jobs[m][r]);
    arm_faults(w);
    for (uint32_t r = 0; r < RUNS; r++)
        for (uint32_t m = 0; m < MODELS; m++)
            submit_job(w, m, &jobs[m][r]);
    for (uint32_t m = 0; m < MODELS; m++)
        if (choose(w, 0, 2) == 0) {
            job *j = &jobs[m][choose(w, 0, RUNS - 1)];
            j->cancelled = 1;
            hsched_run_cancel(j->run);
        }
    for (int m = 0; m < MODELS; m++)
        for (uint32_t r = 0; r < RUNS; r++)
            finish_job(w, r, &jobs[m][r]);
    queue_device_fail_call(0, 0, HSCHED_OK);
    for (int m = 0; m < MODELS; m++)
        for (uint32_t r = 0; r < RUNS; r++)
            free_job(w, &jobs[m][r]);
}

/* ---- What all of them have done: nothing is left out unnoticed ------------------- */

typedef struct totals {
    uint64_t jobs, joined, crossings, restarts, cancelled;
} totals;

static void add_totals(hsched_runtime *rt, totals *all)
{
    const hsched_runtime_stats stats = queue_runtime_stats(rt);
    all->jobs += queue_device_stats(rt).jobs;
    all->joined += stats.runs_joined;
    all->crossings += stats.crossings;
    all->restarts += stats.runs_restarted;
    all->cancelled += stats.runs_cancelled;
}

static void check_totals(const totals *all, world_kind kind)
{
    print_message("# %llu jobs, %llu runs joined, %llu crossings, %llu restarts, %llu "
                  "cancelled\n",
                  (unsigned long long)all->jobs, (unsigned long long)all->joined,
                  (unsigned long long)all->crossings, (unsigned long long)all->restarts,
                  (unsigned long long)all->cancelled);
    assert_true(all->jobs > 0 && all->joined > 0 && all->crossings > 0);
    assert_true(kind == WORLD_SOUND || all->restarts > 0);
}

/* ---- Worlds ---------------------------------------------------------------------- */

static void check_stats(const world *w)
{
    const hsched_runtime_stats stats = queue_runtime_stats(w->rt);
    assert_int_equal(stats.runs_failed, 0);
    if (w->kind != WORLD_LOST)
        assert_int_equal(queue_is_lost(w->rt), 0);
    if (w->kind ==
        WORLD_SOUND) /* nothing went to the CPU that was meant for the device */
        assert_int_equal(stats.runs_restarted, 0);
}

static void try_seed(uint64_t seed, world_kind kind, totals *all)
{
    static world the;
    world *w = &the;
    *w = (world){ .seed = seed, .random = seed * 8 + kind, .kind = kind };
    make_graph(w);
    open_world(w);
    load_models(w);
    for (int round = 0; round < ROUNDS; round++) {
        run_round(w);
        if (choose(w, 0, 1))
            assert_ok(hsched_runtime_settle(w->rt));
    }
    check_stats(w);
    add_totals(w->rt, all);
    for (int m = 0; m < MODELS; m++)
        hsched_model_release(w->models[m]);
    queue_runtime_close(w->rt);
    free_graph(w);
}

static void try_seeds(void **state)
{
    const world_kind kind = *(const world_kind *)*state;
    totals all = { 0 };
    const char *seed = getenv("HSCHED_TEST_SEED"), *graphs = getenv("HSCHED_TEST_GRAPHS");
    const char *mode = getenv("HSCHED_TEST_MODE");
    if (seed) {
        try_seed(strtoull(seed, NULL, 10), kind, &all);
        return;
    }
    uint64_t count = mode && strcmp(mode, "all") != 0 ? 30 : 120;
    if (graphs)
        count = strtoull(graphs, NULL, 10);
    for (uint64_t s = 1; s <= count; s++)
        try_seed(s, kind, &all);
    if (count >= 30)
        check_totals(&all, kind);
}

int main(void)
{
    static world_kind sound = WORLD_SOUND, fail = WORLD_CALLS_FAIL, lost = WORLD_LOST;
    const struct CMUnitTest tests[] = {
        { "graphs_agree", try_seeds, NULL, NULL, &sound },
        { "calls_that_fail_cost_no_run", try_seeds, NULL, NULL, &fail },
        { "a_lost_device_costs_no_run", try_seeds, NULL, NULL, &lost },
    };
    if (getenv("HSCHED_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HSCHED_TEST_FILTER"));
    hsched_log_set(NULL, NULL, HSCHED_LOG_ERROR); /* what fails here is meant to */
    return cmocka_run_group_tests_name("random graphs on a device with a queue", tests,
                                       NULL, NULL);
}
