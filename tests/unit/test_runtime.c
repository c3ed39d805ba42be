/* The runtime through the public API: submitting, waiting, binding, chaining, cancelling,
 * ending. */
#include "common/support.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include <hsched/experimental.h>

enum {
    SIZE = 16,
    INPUT = 3 * SIZE * SIZE,
    OUTPUT = 10
};

typedef struct fixture {
    hsched_runtime *rt;
    hsched_model *model;
    float x[INPUT];
} fixture;

/* CPU workers beside a simulated accelerator that gets the convolutions. */
static hsched_runtime *simulated_runtime(uint32_t workers, const hsched_sim_config *sim)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = workers,
                                     .policy = HSCHED_POLICY_LAYER_TYPE, .sims = sim,
                                     .sim_count = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    return rt;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2 };
    assert_ok(hsched_runtime_create(&config, &f->rt));
    f->model = tiny_model(f->rt, SIZE, 7, NULL);
    fill(f->x, INPUT, 99);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    hsched_model_release(f->model);
    hsched_runtime_destroy(f->rt);
    free(f);
    return 0;
}

/* What the plain reference kernels make of the same network. */
static void expected_output(const float *x, float *y)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                     .flags = HSCHED_RUNTIME_REFERENCE };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, SIZE, 7, NULL);
    hsched_binding in = HSCHED_DATA(x, INPUT * sizeof *x);
    hsched_binding out = HSCHED_DATA(y, OUTPUT * sizeof *y);
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void assert_close(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-5f))
            fail_msg("element %zu: %g is not %g", i, (double)a[i], (double)b[i]);
}

static void infer_agrees_with_reference(void **state)
{
    fixture *f = *state;
    float y[OUTPUT], expected[OUTPUT], sum = 0;
    memset(y, 0xff, sizeof y);
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    expected_output(f->x, expected);
    assert_close(y, expected, OUTPUT);
    for (int i = 0; i < OUTPUT; i++)
        sum += y[i];
    assert_true(fabsf(sum - 1) < 1e-5f); /* a softmax, so the test cannot pass on zeros */
}

static void outputs_that_are_not_bound_are_kept(void **state)
{
    fixture *f = *state;
    float y[OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    hsched_run *run;
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    assert_ok(hsched_submit(f->model, &config, &run));
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    assert_int_equal(hsched_run_poll(run), 1);
    const void *data;
    size_t size;
    assert_ok(hsched_run_output(run, 0, &data, &size));
    assert_int_equal(size, sizeof y);
    assert_memory_equal(data, y, sizeof y);
    assert_fails(hsched_run_output(run, 1, &data, &size), HSCHED_ERROR_NOT_FOUND, "tiny");
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    assert_ok(hsched_run_get_times(run, &times));
    assert_true(times.submitted_us > 0 && times.started_us >= times.submitted_us);
    assert_true(times.ended_us >= times.started_us && times.jobs >= 1);
    hsched_run_release(run);
}

static void buffers_are_used_in_place(void **state)
{
    fixture *f = *state;
    float y[OUTPUT];
    hsched_binding plain_in = HSCHED_DATA(f->x, sizeof f->x),
                   plain_out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &plain_in, 1, &plain_out, 1));

    hsched_buffer *in_buffer, *out_buffer;
    static float wrapped[8 + OUTPUT];
    void *mapped;
    assert_ok(hsched_buffer_create(f->rt, 64 + sizeof f->x, &in_buffer));
    assert_ok(hsched_buffer_map(in_buffer, &mapped));
    assert_int_equal((uintptr_t)mapped % 64, 0);
    memcpy((char *)mapped + 64, f->x, sizeof f->x);
    assert_ok(
        hsched_buffer_wrap(f->rt, wrapped, sizeof wrapped, NULL, NULL, &out_buffer));
    hsched_binding in = { .buffer = in_buffer, .offset = 64 };
    hsched_binding out = { .buffer = out_buffer, .offset = 8 * sizeof(float) };
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_memory_equal(wrapped + 8, y, sizeof y);
    for (int i = 0; i < 8; i++)
        assert_true(wrapped[i] == 0);

    in.offset = 128; /* too far */
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_SHAPE,
                 "input 'x'");
    in.offset = 65; /* not aligned */
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_SHAPE,
                 "input 'x'");
    in.offset = 62;
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_INVALID_ARGUMENT,
                 "not aligned");
    hsched_buffer_release(in_buffer);
    hsched_buffer_release(out_buffer);
}

static void count_release(void *user, void *data)
{
    assert_non_null(data);
    ++*(int *)user;
}

static void wrapped_memory_is_released_once(void **state)
{
    fixture *f = *state;
    int released = 0;
    float memory[4];
    hsched_buffer *b;
    assert_ok(
        hsched_buffer_wrap(f->rt, memory, sizeof memory, count_release, &released, &b));
    assert_ptr_equal(hsched_buffer_retain(b), b);
    hsched_buffer_release(b);
    assert_int_equal(released, 0);
    hsched_buffer_release(b);
    assert_int_equal(released, 1);
}

static void bad_bindings_are_explained(void **state)
{
    fixture *f = *state;
    float y[OUTPUT];
    hsched_run *run;
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT };
    assert_fails(hsched_submit(f->model, &config, &run), HSCHED_ERROR_INVALID_ARGUMENT,
                 "inputs is NULL");
    assert_null(run);
    assert_fails(hsched_infer(f->model, &in, 2, &out, 1), HSCHED_ERROR_INVALID_ARGUMENT,
                 "1 input");
    in.size = 8;
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_SHAPE,
                 "[1,3,16,16]");
    in = (hsched_binding){ 0 };
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_INVALID_ARGUMENT,
                 "exactly one");
    in = (hsched_binding)HSCHED_DATA(f->x, sizeof f->x);
    config =
        (hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = &in, .priority = 101 };
    assert_fails(hsched_submit(f->model, &config, &run), HSCHED_ERROR_INVALID_ARGUMENT,
                 "priority 101");
    config.struct_size = 3;
    assert_fails(hsched_submit(f->model, &config, &run), HSCHED_ERROR_INVALID_ARGUMENT,
                 "struct_size");
    /* A caller compiled against a newer header: fine as long as the new members are zero.
     */
    struct {
        hsched_run_config known;
        uint64_t newer;
    } larger = { { .struct_size = sizeof larger, .inputs = &in }, 0 };
    assert_ok(hsched_submit(f->model, &larger.known, &run));
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    hsched_run_release(run);
    larger.newer = 1;
    assert_fails(hsched_submit(f->model, &larger.known, &run), HSCHED_ERROR_UNSUPPORTED,
                 "newer libhsched");
}

typedef struct counter {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int calls;
    hsched_status last;
} counter;

static void count_call(void *user, hsched_run *run, hsched_status status)
{
    counter *c = user;
    assert_int_equal(hsched_run_poll(run), 1);
    pthread_mutex_lock(&c->mutex);
    c->calls++;
    c->last = status;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

static void callbacks_come_once(void **state)
{
    fixture *f = *state;
    static counter c = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0,
                         HSCHED_OK };
    enum {
        RUNS = 50
    };
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                 .callback = count_call, .callback_user = &c };
    for (int i = 0; i < RUNS; i++) {
        hsched_run *run;
        assert_ok(hsched_submit(f->model, &config, &run));
        hsched_run_release(run); /* at once: it still ends and calls back */
    }
    pthread_mutex_lock(&c.mutex);
    while (c.calls < RUNS)
        pthread_cond_wait(&c.changed, &c.mutex);
    pthread_mutex_unlock(&c.mutex);
    assert_int_equal(c.last, HSCHED_OK);
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(f->model, &stats));
    assert_int_equal(stats.runs_succeeded, RUNS);
    assert_true(stats.latency_p50_us > 0 && stats.latency_p99_us >= stats.latency_p50_us);
    assert_int_equal(c.calls, RUNS);
}

/* y = x + h, h' = y: a network with a state. */
static hsched_model *accumulator(hsched_runtime *rt)
{
    hsched_graph *g;
    hsched_tensor x, h, y;
    hsched_model *model;
    assert_ok(hsched_graph_create("accumulator", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 1, (int64_t[]){ 4 }, &x));
    assert_ok(hsched_graph_add_input(g, "h", HSCHED_FLOAT32, 1, (int64_t[]){ 4 }, &h));
    assert_ok(hsched_graph_add_binary(g, "y", HSCHED_BINARY_ADD, x, h, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    hsched_graph_destroy(g);
    return model;
}

static void a_state_feeds_the_next_run(void **state)
{
    fixture *f = *state;
    hsched_model *model = accumulator(f->rt);
    enum {
        RUNS = 200
    };
    float x[4] = { 1, 2, 3, 4 }, zero[4] = { 0 };
    hsched_run *previous = NULL;
    for (int i = 0; i < RUNS; i++) {
        hsched_binding in[2] = { HSCHED_DATA(x, sizeof x),
                                 HSCHED_DATA(zero, sizeof zero) };
        if (previous)
            in[1] = (hsched_binding)HSCHED_RUN_OUTPUT(previous, 0);
        hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = in };
        hsched_run *run;
        assert_ok(hsched_submit(model, &config, &run));
        hsched_run_release(previous); /* the library keeps it as long as it is needed */
        previous = run;
    }
    assert_ok(hsched_run_wait(previous, HSCHED_FOREVER));
    const void *data;
    assert_ok(hsched_run_output(previous, 0, &data, NULL));
    for (int i = 0; i < 4; i++)
        assert_true(((const float *)data)[i] == (float)RUNS * x[i]);
    hsched_run_release(previous);
    hsched_model_release(model);
}

static void chained_shapes_must_agree(void **state)
{
    fixture *f = *state;
    hsched_model *model = accumulator(f->rt);
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    hsched_run *run, *second;
    float x[4] = { 0 };
    assert_ok(hsched_submit(f->model, &config, &run));
    hsched_binding both[2] = { HSCHED_DATA(x, sizeof x), HSCHED_RUN_OUTPUT(run, 0) };
    config.inputs = both;
    assert_fails(hsched_submit(model, &config, &second), HSCHED_ERROR_SHAPE,
                 "must agree");
    assert_null(second);
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    hsched_run_release(run);
    hsched_model_release(model);
}

/* Holds the controller's thread, so that what is submitted in between is certainly in
 * flight. */
typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int entered, open;
} gate;

static void wait_at_gate(void *user, hsched_run *run, hsched_status status)
{
    gate *g = user;
    (void)run;
    (void)status;
    pthread_mutex_lock(&g->mutex);
    g->entered = 1;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static void waiting_can_time_out(void **state)
{
    fixture *f = *state;
    /* A simulated device at a speed that makes the run last some 200 ms at least. */
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .gflops = 0.002,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION };
    hsched_runtime *rt = simulated_runtime(1, &sim);
    hsched_model *model = tiny_model(rt, SIZE, 7, NULL);
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    hsched_run *run;
    const void *data;
    assert_ok(hsched_submit(model, &run_config, &run));
    assert_int_equal(hsched_run_poll(run), 0);
    assert_fails(hsched_run_wait(run, 1000), HSCHED_ERROR_TIMEOUT, "goes on");
    assert_fails(hsched_run_output(run, 0, &data, NULL), HSCHED_ERROR_STATE, "tiny");
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    hsched_run_release(run);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void cancelled_runs_end_and_so_do_their_dependents(void **state)
{
    fixture *f = *state;
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .gflops = 0.001,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION };
    hsched_runtime *rt = simulated_runtime(1, &sim);
    hsched_model *model = tiny_model(rt, SIZE, 7, NULL), *next;
    hsched_graph *g;
    hsched_tensor x, y;
    assert_ok(hsched_graph_create("next", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 2, (int64_t[]){ 1, 10 }, &x));
    assert_ok(hsched_graph_add_softmax(g, "y", x, 1, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_model_compile(rt, g, NULL, &next));
    hsched_graph_destroy(g);

    counter c = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, HSCHED_OK };
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                     .callback = count_call, .callback_user = &c };
    hsched_run *run, *dependent;
    assert_ok(hsched_submit(model, &run_config, &run));
    hsched_binding chained = HSCHED_RUN_OUTPUT(run, 0);
    run_config = (hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = &chained };
    assert_ok(hsched_submit(next, &run_config, &dependent));
    hsched_run_cancel(run);
    hsched_run_cancel(run);
    assert_fails(hsched_run_wait(run, HSCHED_FOREVER), HSCHED_ERROR_CANCELLED, "tiny");
    assert_fails(hsched_run_wait(dependent, HSCHED_FOREVER), HSCHED_ERROR_UPSTREAM,
                 "next");
    pthread_mutex_lock(&c.mutex);
    while (c.calls == 0)
        pthread_cond_wait(&c.changed, &c.mutex);
    assert_int_equal(c.last, HSCHED_ERROR_CANCELLED);
    pthread_mutex_unlock(&c.mutex);
    hsched_run_cancel(run); /* after its end: nothing */
    hsched_run_release(run);
    hsched_run_release(dependent);
    hsched_model_release(model);
    hsched_model_release(next);
    hsched_runtime_destroy(rt);
    assert_int_equal(c.calls, 1);
}

static void destroying_ends_what_is_in_flight(void **state)
{
    fixture *f = *state;
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, SIZE, 7, NULL);
    enum {
        RUNS = 100
    };
    hsched_run *runs[RUNS];
    counter c = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, HSCHED_OK };
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                     .callback = count_call, .callback_user = &c };
    for (int i = 0; i < RUNS; i++)
        assert_ok(hsched_submit(model, &run_config, &runs[i]));
    hsched_buffer *buffer;
    assert_ok(hsched_buffer_create(rt, 100, &buffer));
    hsched_runtime_destroy(rt);
    assert_int_equal(c.calls, RUNS);
    for (int i = 0; i < RUNS; i++) {
        hsched_status status = hsched_run_wait(runs[i], 0);
        assert_true(status == HSCHED_OK || status == HSCHED_ERROR_CANCELLED);
        hsched_run_release(runs[i]);
    }
    hsched_run *late;
    assert_fails(hsched_submit(model, &run_config, &late), HSCHED_ERROR_STATE,
                 "destroyed");
    hsched_model_release(
        model); /* what is left of the runtime goes with the last of these */
    hsched_buffer_release(buffer);
}

static void urgent_runs_go_first(void **state)
{
    fixture *f = *state;
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, SIZE, 7, NULL);
    enum {
        RUNS = 60
    };
    hsched_run *low[RUNS], *urgent;
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    for (int i = 0; i < RUNS; i++)
        assert_ok(hsched_submit(model, &run_config, &low[i]));
    run_config.priority = 50;
    assert_ok(hsched_submit(model, &run_config, &urgent));
    assert_ok(hsched_run_wait(urgent, HSCHED_FOREVER));
    hsched_run_times it = { HSCHED_RUN_TIMES_INIT };
    assert_ok(hsched_run_get_times(urgent, &it));
    int overtaken_by = 0;
    for (int i = 0; i < RUNS; i++) {
        hsched_run_times other = { HSCHED_RUN_TIMES_INIT };
        assert_ok(hsched_run_wait(low[i], HSCHED_FOREVER));
        assert_ok(hsched_run_get_times(low[i], &other));
        overtaken_by +=
            other.started_us > it.submitted_us && other.started_us < it.started_us;
        hsched_run_release(low[i]);
    }
    /* One may have been taken between the reading of the clock and the submission. */
    assert_true(overtaken_by <= 1);
    hsched_run_release(urgent);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void warm_runs_do_not_allocate(void **state)
{
    fixture *f = *state;
    float y[OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    hsched_runtime_stats before = { HSCHED_RUNTIME_STATS_INIT }, after = before;
    for (int i = 0; i < 20; i++)
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_ok(hsched_runtime_get_stats(f->rt, &before));
    for (int i = 0; i < 100; i++)
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_ok(hsched_runtime_get_stats(f->rt, &after));
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.runs_succeeded, before.runs_succeeded + 100);
}

/* CPU time of the library's own threads, in ms; OpenBLAS starts one that polls for a
 * while. */
static double own_threads_ms(void)
{
    double total = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        unsigned long long ns = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file || !fgets(name, sizeof name, file) || strncmp(name, "hsched-", 7) != 0)
            name[0] = '\0';
        if (file)
            fclose(file);
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", entry->d_name);
        file = name[0] ? fopen(path, "r") : NULL;
        if (file && fscanf(file, "%llu", &ns) == 1)
            total += (double)ns / 1e6;
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return total;
}

static void idle_workers_sleep(void **state)
{
    fixture *f = *state;
    float y[OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    struct timespec pause = { .tv_nsec = 300000000 };
    double before = own_threads_ms();
    if (before <= 0)
        skip();              /* a kernel without schedstat */
    nanosleep(&pause, NULL); /* the time that is measured, not a synchronisation */
    double used = own_threads_ms() - before;
    if (used > 3) /* 1% of a core: a polling worker would take 100% */
        fail_msg("an idle runtime used %.1f ms of 300", used);
}

static void a_lost_device_loses_no_run(void **state)
{
    fixture *f = *state;
    float y[OUTPUT], expected[OUTPUT];
    expected_output(f->x, expected);
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .name = "frail",
                              .fail_after_jobs = 7,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION };
    hsched_log_set(NULL, NULL, HSCHED_LOG_ERROR);
    hsched_runtime *rt = simulated_runtime(2, &sim);
    hsched_model *model = tiny_model(rt, SIZE, 7, NULL);
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    for (int i = 0; i < 10; i++) {
        memset(y, 0xff, sizeof y);
        assert_ok(hsched_infer(model, &in, 1, &out, 1));
        assert_close(y, expected, OUTPUT);
    }
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    assert_ok(hsched_runtime_device_info(rt, 1, &info));
    assert_string_equal(info.name, "frail");
    assert_int_equal(info.lost, 1);
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &stats));
    assert_true(stats.jobs_moved >= 1 && stats.crossings >= 1);
    assert_int_equal(stats.runs_failed, 0);
    hsched_device_stats device = { HSCHED_DEVICE_STATS_INIT };
    assert_ok(hsched_runtime_get_device_stats(rt, 1, &device));
    assert_true(device.jobs >= 7);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
}

/* Convolutions in a row, cut into several sections that make one job on an accelerator.
 */
static hsched_model *row_of_convolutions(hsched_runtime *rt,
                                         const hsched_model_config *config)
{
    hsched_graph *g;
    hsched_tensor t;
    hsched_conv2d_config same = { HSCHED_CONV2D_CONFIG_INIT, .pads = { 1, 1, 1, 1 } };
    assert_ok(hsched_graph_create("row", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4,
                                     (int64_t[]){ 1, 24, 24, 24 }, &t));
    for (uint32_t i = 0; i < 6; i++)
        assert_ok(hsched_graph_add_conv2d(
            g, NULL, t, constant(g, 4, (int64_t[]){ 24, 24, 3, 3 }, 0.1f, i + 1),
            HSCHED_NO_TENSOR, &same, &t));
    assert_ok(hsched_graph_add_global_pool(g, "y", HSCHED_POOL_AVERAGE, t, &t));
    assert_ok(hsched_graph_add_output(g, t));
    hsched_model *model;
    assert_ok(hsched_model_compile(rt, g, config, &model));
    hsched_graph_destroy(g);
    return model;
}

/* Sections of a job that ended before its device was lost do not run again: what they
 * read may be overwritten by those behind them. */
static void a_device_may_be_lost_inside_a_job(void **state)
{
    enum {
        COUNT = 24
    };
    (void)state;
    static float x[COUNT * 24 * 24];
    float y[COUNT], expected[COUNT];
    fill(x, sizeof x / sizeof *x, 3);
    hsched_binding in = HSCHED_DATA(x, sizeof x);
    hsched_log_set(NULL, NULL, HSCHED_LOG_ERROR);
    for (uint64_t jobs = 0; jobs < 6; jobs++) { /* 0: never lost */
        hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .fail_after_jobs = jobs,
                                  .layer_classes = HSCHED_CLASS_CONVOLUTION };
        hsched_runtime *rt = simulated_runtime(2, &sim);
        hsched_model *model = row_of_convolutions(rt, NULL);
        hsched_binding out = HSCHED_DATA(jobs ? y : expected, sizeof y);
        for (int i = 0; i < 2; i++) { /* the second run takes the first one's record */
            memset(y, 0xff, sizeof y);
            assert_ok(hsched_infer(model, &in, 1, &out, 1));
            if (jobs)
                assert_close(y, expected, COUNT);
        }
        hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
        assert_ok(hsched_runtime_get_stats(rt, &stats));
        assert_int_equal(stats.jobs_moved, jobs != 0);
        hsched_model_release(model);
        hsched_runtime_destroy(rt);
    }
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
}

/* One worker executes a chain; the other one has nothing to do and sleeps on. */
static void chains_of_sections_wake_nobody(void **state)
{
    enum {
        RUNS = 100
    };
    (void)state;
    static float x[24 * 24 * 24];
    float y[24];
    hsched_binding in = HSCHED_DATA(x, sizeof x), out = HSCHED_DATA(y, sizeof y);
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2 };
    hsched_model_config whole = { HSCHED_MODEL_CONFIG_INIT, .max_parts = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = row_of_convolutions(rt, &whole);
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(model, &stats));
    assert_true(stats.sections >= 5);
    struct rusage before, after;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    for (int i = 0; i < RUNS; i++)
        assert_ok(hsched_infer(model, &in, 1, &out, 1));
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    /* This thread and the worker sleep once a run; waking another for every section would
     * make it at least stats.sections. */
    assert_true(after.ru_nvcsw - before.ru_nvcsw < 4 * RUNS);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void taps_show_inner_tensors(void **state)
{
    fixture *f = *state;
    hsched_model *tapped =
        tiny_model(f->rt, SIZE, 7,
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .taps = (const char *[]){ "relu1", "conv2" },
                                           .tap_count = 2 });
    assert_int_equal(hsched_model_output_count(tapped), 3);
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    assert_ok(hsched_model_output_info(tapped, 1, &info));
    assert_string_equal(info.name, "relu1");
    assert_int_equal(info.byte_size, 16 * SIZE * SIZE * 4);
    float y[OUTPUT], same[OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    hsched_binding outs[3] = { HSCHED_DATA(same, sizeof same) };
    hsched_run *run;
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in, .outputs = outs };
    assert_ok(hsched_submit(tapped, &config, &run));
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    assert_close(same, y, OUTPUT);
    const void *data;
    assert_ok(hsched_run_output(run, 1, &data, NULL));
    int positive = 0;
    for (int i = 0; i < 16 * SIZE * SIZE; i++) {
        assert_true(((const float *)data)[i] >= 0);
        positive += ((const float *)data)[i] > 0;
    }
    assert_true(positive > 16 * SIZE * SIZE / 10);
    hsched_run_release(run);
    hsched_model_release(tapped);
    hsched_graph *g = tiny_network(SIZE, 7);
    hsched_model *none;
    hsched_model_config bad = { HSCHED_MODEL_CONFIG_INIT,
                                .taps = (const char *[]){ "nowhere" }, .tap_count = 1 };
    assert_fails(hsched_model_compile(f->rt, g, &bad, &none), HSCHED_ERROR_NOT_FOUND,
                 "nowhere");
    hsched_graph_destroy(g);
}

static void layouts_of_inputs_can_be_chosen(void **state)
{
    fixture *f = *state;
    hsched_model *nhwc =
        tiny_model(f->rt, SIZE, 7,
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .input_layout = HSCHED_LAYOUT_NHWC });
    float y[OUTPUT], same[OUTPUT], turned[INPUT];
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < SIZE * SIZE; p++)
            turned[p * 3 + c] = f->x[c * SIZE * SIZE + p];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    in = (hsched_binding)HSCHED_DATA(turned, sizeof turned);
    out = (hsched_binding)HSCHED_DATA(same, sizeof same);
    assert_ok(hsched_infer(nhwc, &in, 1, &out, 1));
    assert_memory_equal(same, y, sizeof y);
    hsched_model_release(nhwc);
}

static void a_gate_in_a_callback_does_not_stop_workers(void **state)
{
    fixture *f = *state;
    /* static: the callback may still be leaving when this function has returned */
    static gate g = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 };
    float y[OUTPUT];
    hsched_binding in = HSCHED_DATA(f->x, sizeof f->x), out = HSCHED_DATA(y, sizeof y);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in,
                                 .callback = wait_at_gate, .callback_user = &g };
    hsched_run *run;
    assert_ok(hsched_submit(f->model, &config, &run));
    pthread_mutex_lock(&g.mutex);
    while (!g.entered)
        pthread_cond_wait(&g.changed, &g.mutex);
    pthread_mutex_unlock(&g.mutex);
    for (int i = 0; i < 10; i++)
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    pthread_mutex_lock(&g.mutex);
    g.open = 1;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.mutex);
    hsched_run_release(run);
}

/* An array of structs that are larger than the library's, as a later header's are. */
static void sims_of_another_size_are_all_read(void **state)
{
    (void)state;
    struct {
        hsched_sim_config known;
        uint64_t later;
    } sims[] = { { .known = { .struct_size = sizeof sims[0], .name = "first" } },
                 { .known = { .struct_size = sizeof sims[0], .name = "second" } } };
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                     .sims = &sims[0].known, .sim_count = 2 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    assert_ok(hsched_runtime_device_info(rt, 2, &info));
    assert_string_equal(info.name, "second");
    hsched_runtime_destroy(rt);
}

static int ignore_check(void *user, const hsched_step_check *check)
{
    (void)user;
    (void)check;
    return 0;
}

static void verify_reads_no_more_bindings_than_given(void **state)
{
    fixture *f = *state;
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                   .flags = HSCHED_MODEL_KEEP_CONSTANTS };
    hsched_graph *g;
    hsched_tensor a, b, y;
    hsched_model *model;
    assert_ok(hsched_graph_create("sum", &g));
    assert_ok(
        hsched_graph_add_input(g, "a", HSCHED_FLOAT32, 1, (int64_t[]){ OUTPUT }, &a));
    assert_ok(
        hsched_graph_add_input(g, "b", HSCHED_FLOAT32, 1, (int64_t[]){ OUTPUT }, &b));
    assert_ok(hsched_graph_add_binary(g, "y", HSCHED_BINARY_ADD, a, b, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_model_compile(f->rt, g, &config, &model));
    /* The second stands for whatever lies behind the caller's array. */
    hsched_binding in[] = { HSCHED_DATA(f->x, sizeof f->x),
                            { .run = (hsched_run *)(void *)f->x } };
    assert_fails(hsched_model_verify(model, in, 1, ignore_check, NULL),
                 HSCHED_ERROR_INVALID_ARGUMENT, "has 2 inputs, not 1");
    assert_fails(hsched_model_verify(model, in, 2, ignore_check, NULL),
                 HSCHED_ERROR_INVALID_ARGUMENT, "another run");
    hsched_model_release(model);
    hsched_graph_destroy(g);
}

static void configs_are_checked(void **state)
{
    (void)state;
    hsched_runtime *rt;
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT,
                                     .policy = (hsched_policy)77 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "policy 77");
    assert_null(rt);
    config = (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 100000 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "100000");
    config = (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_count = 1 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "cpus");
    int none[] = { 1000 };
    config = (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpus = none,
                                      .cpu_count = 1 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "CPU 1000");
    config = (hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .flags = 1u << 30 };
    assert_fails(hsched_runtime_create(&config, &rt), HSCHED_ERROR_INVALID_ARGUMENT,
                 "flags");
    hsched_runtime_destroy(NULL);
    hsched_model_release(NULL);
    hsched_run_release(NULL);
    hsched_buffer_release(NULL);
    hsched_graph_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(infer_agrees_with_reference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outputs_that_are_not_bound_are_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(buffers_are_used_in_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrapped_memory_is_released_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bad_bindings_are_explained, set_up, tear_down),
        cmocka_unit_test_setup_teardown(callbacks_come_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_state_feeds_the_next_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chained_shapes_must_agree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_can_time_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled_runs_end_and_so_do_their_dependents,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(destroying_ends_what_is_in_flight, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(urgent_runs_go_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(warm_runs_do_not_allocate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idle_workers_sleep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_device_loses_no_run, set_up, tear_down),
        cmocka_unit_test(a_device_may_be_lost_inside_a_job),
        cmocka_unit_test_setup_teardown(taps_show_inner_tensors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(layouts_of_inputs_can_be_chosen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_gate_in_a_callback_does_not_stop_workers,
                                        set_up, tear_down),
        cmocka_unit_test(sims_of_another_size_are_all_read),
        cmocka_unit_test(chains_of_sections_wake_nobody),
        cmocka_unit_test_setup_teardown(verify_reads_no_more_bindings_than_given, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(configs_are_checked, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("runtime", tests, NULL, NULL);
}
