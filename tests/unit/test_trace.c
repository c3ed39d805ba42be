/* Traces of a runtime with CPU workers: what is in the file, and when there is none. */
#include "common/trace_reader.h"

#include <pthread.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sync.h"
#include "common/dice_policy.h"
#include "common/support.h"
#include "runtime/runtime.h"
#include "trace/trace.h"

enum {
    SIZE = 16,
    INPUT = 3 * SIZE * SIZE,
    OUTPUT = 10
};

static const float x[INPUT];
static float y[OUTPUT];

static hsched_runtime *open_runtime(uint32_t workers)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = workers };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    return rt;
}

static void start(hsched_runtime *rt, uint32_t events)
{
    hsched_trace_config config = { HSCHED_TRACE_CONFIG_INIT, .path = trace_path(),
                                   .events_per_thread = events };
    assert_ok(hsched_trace_start(rt, &config));
}

static json_t *stop(hsched_runtime *rt, hsched_trace_stats *stats)
{
    hsched_trace_stats ignored = { HSCHED_TRACE_STATS_INIT };
    assert_ok(hsched_trace_stop(rt, stats ? stats : &ignored));
    return trace_read();
}

static void infer(hsched_model *model, int times)
{
    hsched_binding in = HSCHED_DATA(x, sizeof x), out = HSCHED_DATA(y, sizeof y);
    for (int i = 0; i < times; i++)
        assert_ok(hsched_infer(model, &in, 1, &out, 1));
}

static hsched_run *submit(hsched_model *model, const hsched_run_config *with)
{
    static const hsched_binding in = HSCHED_DATA(x, sizeof x);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT };
    hsched_run *run;
    if (with)
        config = *with;
    config.inputs = &in;
    assert_ok(hsched_submit(model, &config, &run));
    return run;
}

static hsched_runtime_stats stats_of(hsched_runtime *rt)
{
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &stats));
    return stats;
}

static uint64_t steps_of(hsched_runtime *rt, uint32_t device)
{
    hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
    assert_ok(hsched_runtime_get_device_stats(rt, device, &stats));
    return stats.steps;
}

/* ---- What is in the file --------------------------------------------------- */

static void counts_are_those_of_the_statistics(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(2);
    hsched_model *models[] = { tiny_model(rt, SIZE, 1, NULL),
                               tiny_model(rt, SIZE, 2, NULL) };
    infer(models[0], 3); /* before the trace */
    const hsched_runtime_stats before = stats_of(rt);
    const uint64_t steps = steps_of(rt, 0);
    hsched_trace_stats stats = { HSCHED_TRACE_STATS_INIT };
    start(rt, 0);
    for (int i = 0; i < 5; i++) {
        infer(models[0], 1);
        infer(models[1], 2);
    }
    json_t *trace = stop(rt, &stats);
    const hsched_runtime_stats after = stats_of(rt);
    assert_int_equal(trace_jobs(trace), after.jobs - before.jobs);
    assert_int_equal(trace_count(trace, "X", "step", NULL), steps_of(rt, 0) - steps);
    assert_int_equal(trace_count(trace, "b", "run", NULL), 15);
    assert_int_equal(trace_count_text(trace, "b", "run", "status", "HSCHED_OK"), 15);
    assert_int_equal(trace_sum(trace, "b", "run", NULL, "jobs", 0), trace_jobs(trace));
    assert_int_equal(stats.dropped, 0);
    assert_int_equal(trace_other(trace, "dropped_events"), 0);
    assert_int_equal(trace_other(trace, "events"), stats.events);
    for (uint32_t i = 0; i < hsched_model_step_count(models[0]); i++) {
        hsched_step_info info = { HSCHED_STEP_INFO_INIT };
        assert_ok(hsched_model_step_info(models[0], i, &info));
        assert_int_equal(trace_count(trace, "X", "step", info.name), 15);
    }
    assert_true(trace_count(trace, "C", NULL, "active runs") > 0);
    assert_true(trace_count(trace, "C", NULL, "queued jobs") > 0);
    json_decref(trace);
    for (int i = 0; i < 2; i++)
        hsched_model_release(models[i]);
    hsched_runtime_destroy(rt);
}

/* Without models of the policy `cost` nothing but this test tells the core of loads. */
static void loads_are_told(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(2);
    hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
    assert_ok(hsched_runtime_get_device_stats(rt, 0, &stats));
    assert_true(stats.load == 1);
    start(rt, 0);
    for (int k = 0; k < 3; k++) { /* the second is the same, and no news */
        pthread_mutex_lock(&rt->pool->lock);
        hsi_core_set_speed(rt->core, 0, k < 2 ? 2.504 : 1, 0, hsi_now_us());
        hsi_worker_pool_after_events(rt->pool);
        pthread_mutex_unlock(&rt->pool->lock);
        assert_ok(hsched_runtime_get_device_stats(rt, 0, &stats));
        assert_true(stats.load == (k < 2 ? 2.504 : 1));
    }
    json_t *trace = stop(rt, NULL);
    assert_int_equal(trace_count(trace, "C", NULL, "load"), 3);
    assert_int_equal(trace_sum(trace, "C", NULL, "load", "percent", 0), 100 + 250 + 100);
    json_decref(trace);
    hsched_runtime_destroy(rt);
}

/* Each section but the first takes something from another one: an arrow leads to each job. */
static void arrows_lead_along_a_run(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(1);
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    hsched_model_stats info = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(model, &info));
    start(rt, 0);
    infer(model, 2);
    json_t *trace = stop(rt, NULL);
    assert_int_equal(trace_jobs(trace), 2 * info.sections);
    assert_true(trace_count(trace, "s", "flow", "next job") >= 2 * (info.sections - 1));
    assert_int_equal(trace_count(trace, "s", "flow", "crossing"), 0);
    json_decref(trace);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* The convolutions on a simulated accelerator, which is lost after three jobs. */
static void a_lost_device_is_told(void **state)
{
    (void)state;
    hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT,
                              .layer_classes = HSCHED_CLASS_CONVOLUTION,
                              .fail_after_jobs = 3 };
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2,
                                     .policy = HSCHED_POLICY_LAYER_TYPE, .sims = &sim,
                                     .sim_count = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    start(rt, 0);
    infer(model, 3);
    json_t *trace = stop(rt, NULL);
    const hsched_runtime_stats stats = stats_of(rt);
    assert_int_equal(trace_jobs(trace), stats.jobs);
    assert_int_equal(trace_count(trace, "i", NULL, "device lost"), 1);
    assert_true(stats.jobs_moved > 0);
    assert_int_equal(trace_sum(trace, "i", NULL, "job moved", "jobs", 0),
                     stats.jobs_moved);
    assert_int_equal(trace_count_text(trace, "X", "job", "status", "HSCHED_ERROR_DEVICE"),
                     1);
    /* One tensor was taken over in vain. */
    assert_int_equal(trace_sum(trace, "X", "job", NULL, "crossings", 0),
                     stats.crossings + 1);
    assert_true(trace_count(trace, "s", "flow", "crossing") > 0);
    assert_true(trace_sum(trace, "s", "flow", "crossing", "bytes", 0) > 0);
    json_decref(trace);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void count_sections(void *user, const json_t *event)
{
    const json_t *args = json_object_get(event, "args");
    *(json_int_t *)user += json_integer_value(json_object_get(args, "last_section")) -
                           json_integer_value(json_object_get(args, "first_section")) + 1;
}

/* A simulated accelerator stops after each section while a higher priority is in use: each segment
 * is told as what it is, and all of them are one job. The policy cuts where classes meet. */
static void segments_are_told(void **state)
{
    (void)state;
    dice d = { .stay = 8, .device = 1 };
    const hsched_policy_plugin plugin = dice_policy(&d);
    const hsched_sim_config sim = { HSCHED_SIM_CONFIG_INIT, .gflops = 0.01 };
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT,
                                           .cpu_workers = 1,
                                           .sims = &sim,
                                           .sim_count = 1,
                                           .policy_plugin = &plugin,
                                           .policy = HSCHED_POLICY_PLUGIN,
                                           .max_segment_us = 1 };
    const hsched_run_config urgent = { HSCHED_RUN_CONFIG_INIT, .priority = 7 };
    hsched_device_stats before = { HSCHED_DEVICE_STATS_INIT }, after = before;
    hsched_model_stats info = { HSCHED_MODEL_STATS_INIT };
    hsched_runtime *rt;
    json_int_t sections = 0;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    assert_ok(hsched_model_get_stats(model, &info));
    hsched_run *run = submit(model, &urgent); /* of a priority that is in use now */
    assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
    hsched_run_release(run);
    assert_ok(hsched_runtime_get_device_stats(rt, 1, &before));
    const uint64_t jobs = stats_of(rt).jobs, crossings = stats_of(rt).crossings;
    start(rt, 0);
    infer(model, 1);
    json_t *trace = stop(rt, NULL);
    assert_ok(hsched_runtime_get_device_stats(rt, 1, &after));
    assert_true(after.pauses > before.pauses);
    trace_visit(trace, "X", "job", NULL, count_sections, &sections);
    assert_int_equal(sections, info.sections);
    assert_int_equal(after.jobs - before.jobs, stats_of(rt).jobs - jobs);
    assert_int_equal(trace_jobs(trace),
                     after.jobs - before.jobs + after.pauses - before.pauses);
    assert_int_equal(trace_sum(trace, "X", "job", NULL, "crossings", 0),
                     stats_of(rt).crossings - crossings);
    json_decref(trace);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void count_call(void *user, hsched_run *run, hsched_status status)
{
    (void)run, (void)status;
    ++*(int *)user;
}

/* The last of several runs is cancelled: once, though asked twice, unless it has ended by then. */
static void cancels_and_priorities_are_told(void **state)
{
    (void)state;
    int calls = 0;
    hsched_runtime *rt = open_runtime(1);
    hsched_model *model = tiny_model(rt, 224, 1, NULL);
    const size_t bytes = 3 * 224 * 224 * sizeof(float);
    float *large = calloc(1, bytes);
    const hsched_binding in = HSCHED_DATA(large, bytes);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in, .priority = 7,
                                 .callback = count_call, .callback_user = &calls };
    hsched_run *runs[8];
    start(rt, 0);
    for (int i = 0; i < 8; i++)
        assert_ok(hsched_submit(model, &config, &runs[i]));
    uint64_t cancelled = 0;
    hsched_run_cancel(runs[7]);
    hsched_run_cancel(runs[7]);
    for (int i = 0; i < 8; i++) {
        cancelled += hsched_run_wait(runs[i], HSCHED_FOREVER) == HSCHED_ERROR_CANCELLED;
        hsched_run_release(runs[i]);
    }
    json_t *trace = stop(rt, NULL);
    assert_in_range(trace_count(trace, "i", NULL, "cancel"), cancelled, 1);
    assert_int_equal(
        trace_count_text(trace, "b", "run", "status", "HSCHED_ERROR_CANCELLED"),
        cancelled);
    assert_int_equal(trace_sum(trace, "b", "run", NULL, "priority", 0), 8 * 7);
    json_decref(trace);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    free(large);
    assert_int_equal(calls, 8);
}

/* No run takes less than a microsecond. */
static void deadlines_are_told(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(2);
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    const hsched_run_config near = { HSCHED_RUN_CONFIG_INIT, .deadline_us = 1 },
                            far = { HSCHED_RUN_CONFIG_INIT, .deadline_us = 3600000000 };
    const hsched_run_config *const configs[] = { &near, &far, NULL };
    start(rt, 0);
    for (int i = 0; i < 6; i++) {
        hsched_run *run = submit(model, configs[i % 3]);
        assert_ok(hsched_run_wait(run, HSCHED_FOREVER));
        hsched_run_release(run);
    }
    json_t *trace = stop(rt, NULL);
    assert_int_equal(stats_of(rt).deadline_misses, 2);
    assert_int_equal(trace_count(trace, "i", NULL, "deadline missed"), 2);
    assert_int_equal(trace_sum(trace, "b", "run", NULL, "deadline_us", 0),
                     2 + 2 * 3600000000);
    json_decref(trace);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* Binds its input when the run's deadline, of one microsecond, is past; then stops its source. */
typedef struct late_fill {
    hsched_source *source;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int ended;
} late_fill;

static int fill_late(void *user, uint64_t release_us, hsched_binding *inputs,
                     hsched_binding *outputs)
{
    late_fill *l = user;
    (void)outputs;
    while (hsi_now_us() <= release_us + 1)
        ;
    inputs[0] = (hsched_binding)HSCHED_DATA(x, sizeof x);
    hsched_source_stop(l->source);
    return 0;
}

static void late_ended(void *user, uint64_t release_us, hsched_run *run,
                       hsched_status status)
{
    late_fill *l = user;
    (void)release_us, (void)run, (void)status;
    pthread_mutex_lock(&l->mutex);
    l->ended++;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

static void a_deadline_may_be_past_at_once(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(1);
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    late_fill l = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                    .changed = PTHREAD_COND_INITIALIZER };
    const hsched_source_config config = { HSCHED_SOURCE_CONFIG_INIT,
                                          .period_us = 1000,
                                          .deadline_us = 1,
                                          .flags = HSCHED_SOURCE_NO_ADMISSION,
                                          .fill = fill_late,
                                          .callback = late_ended,
                                          .user = &l };
    assert_ok(hsched_source_create(model, &config, &l.source));
    start(rt, 0);
    assert_ok(hsched_source_start(l.source, 0));
    pthread_mutex_lock(&l.mutex);
    while (l.ended == 0)
        pthread_cond_wait(&l.changed, &l.mutex);
    pthread_mutex_unlock(&l.mutex);
    hsched_source_destroy(l.source);
    json_t *trace = stop(rt, NULL);
    assert_int_equal(trace_count(trace, "i", NULL, "deadline missed"), 1);
    assert_int_equal(trace_sum(trace, "b", "run", NULL, "deadline_us", 0), 1);
    json_decref(trace);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* Names are any bytes; the model is gone when the file is written. */
static void names_outlive_their_model(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(1);
    hsched_model_config config = { HSCHED_MODEL_CONFIG_INIT,
                                   .name =
                                       "a \"name\"\\ \n\x01 \xc3\xa4 \xff \xed\xa0\x80" };
    hsched_model *model = tiny_model(rt, SIZE, 1, &config);
    start(rt, 0);
    infer(model, 1);
    hsched_model_release(model);
    json_t *trace = stop(rt, NULL);
    assert_int_equal(trace_count(trace, "X", "job",
                                 "a \"name\"\\ \n\x01 \xc3\xa4 \xef\xbf\xbd "
                                 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"),
                     trace_jobs(trace));
    assert_int_equal(trace_count(trace, "X", "step", "conv1+relu1"), 1);
    json_decref(trace);
    hsched_runtime_destroy(rt);
}

/* ---- Room ------------------------------------------------------------------- */

/* With one worker and one run at a time, every trace has the same events. */
static void what_finds_no_room_is_counted(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(1);
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    hsched_trace_stats all = { HSCHED_TRACE_STATS_INIT }, stats = all;
    infer(model, 1);
    start(rt, 0);
    infer(model, 4);
    json_t *trace = stop(rt, &all);
    const uint64_t of_worker = trace_count(trace, "X", NULL, NULL);
    const uint64_t others = all.events - of_worker;
    assert_int_equal(all.dropped, 0);
    json_decref(trace);
    const uint32_t rooms[] = { 1, 2, 7, (uint32_t)of_worker - 1, (uint32_t)of_worker };
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        const uint64_t room = rooms[i];
        start(rt, rooms[i]);
        infer(model, 4);
        trace = stop(rt, &stats);
        const uint64_t expected =
            (room < of_worker ? room : of_worker) + (room < others ? room : others);
        assert_int_equal(stats.events, expected);
        assert_int_equal(stats.events + stats.dropped, all.events);
        assert_int_equal(trace_other(trace, "dropped_events"), stats.dropped);
        assert_int_equal(
            trace_sum(trace, "i", NULL, "events dropped from here on", "events", 0),
            stats.dropped);
        json_decref(trace);
    }
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* Nothing is taken from the heap while tracing, by runs that need nothing else either. */
static void nothing_is_allocated_while_tracing(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(2);
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    infer(model, 20);
    start(rt, 0);
    const uint64_t before = stats_of(rt).allocations;
    infer(model, 50);
    assert_int_equal(stats_of(rt).allocations, before);
    json_decref(stop(rt, NULL));
    start(rt, 4); /* nor when there is no room */
    const uint64_t full = stats_of(rt).allocations;
    infer(model, 50);
    assert_int_equal(stats_of(rt).allocations, full);
    json_decref(stop(rt, NULL));
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* ---- Starting and stopping --------------------------------------------------- */

static void wrong_uses_leave_everything_as_it_was(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(1);
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    hsched_trace_stats stats = { HSCHED_TRACE_STATS_INIT };
    hsched_trace_config config = { HSCHED_TRACE_CONFIG_INIT };
    assert_fails(hsched_trace_stop(rt, &stats), HSCHED_ERROR_STATE, "no trace");
    assert_fails(hsched_trace_start(NULL, &config), HSCHED_ERROR_INVALID_ARGUMENT,
                 "NULL");
    assert_fails(hsched_trace_stop(NULL, NULL), HSCHED_ERROR_INVALID_ARGUMENT, "NULL");
    assert_fails(hsched_trace_start(rt, NULL), HSCHED_ERROR_INVALID_ARGUMENT, "path");
    assert_fails(hsched_trace_start(rt, &config), HSCHED_ERROR_INVALID_ARGUMENT, "path");
    config.path = "/no/such/folder/trace.json";
    assert_fails(hsched_trace_start(rt, &config), HSCHED_ERROR_IO, "No such file");
    config.path = "/";
    assert_fails(hsched_trace_start(rt, &config), HSCHED_ERROR_IO, "directory");
    assert_fails(hsched_trace_stop(rt, &stats), HSCHED_ERROR_STATE, "no trace");
    start(rt, 0);
    infer(model, 2);
    config.path = trace_path();
    assert_fails(hsched_trace_start(rt, &config), HSCHED_ERROR_STATE, "already");
    infer(model, 2);
    json_t *trace = stop(rt, &stats);
    assert_int_equal(trace_count(trace, "b", "run", NULL), 4);
    json_decref(trace);
    config.path = "/dev/full"; /* told when it is written; the next one works */
    assert_ok(hsched_trace_start(rt, &config));
    infer(model, 1);
    assert_fails(hsched_trace_stop(rt, NULL), HSCHED_ERROR_IO, "No space left");
    start(rt, 0);
    json_decref(stop(rt, NULL));
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void memory_for_a_trace_may_be_lacking(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(2);
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    hsched_trace_config config = { HSCHED_TRACE_CONFIG_INIT, .path = trace_path() };
    infer(model, 1);
    const uint64_t before = stats_of(rt).bytes_in_use;
    uint64_t k = 0;
    hsched_status status;
    do {
        hsi_alloc_fail_after(++k);
        status = hsched_trace_start(rt, &config);
        hsi_alloc_fail_after(0);
        assert_true(status == HSCHED_OK || status == HSCHED_ERROR_OUT_OF_MEMORY);
        if (status != HSCHED_OK) {
            assert_int_equal(access(trace_path(), F_OK), -1);
            assert_int_equal(stats_of(rt).bytes_in_use, before);
        }
    } while (status != HSCHED_OK);
    assert_true(k > 5);
    infer(model, 1);
    hsi_alloc_fail_after(1);
    assert_fails(hsched_trace_stop(rt, NULL), HSCHED_ERROR_OUT_OF_MEMORY, "file");
    hsi_alloc_fail_after(0);
    unlink(trace_path());
    start(rt, 0);
    infer(model, 1);
    json_decref(stop(rt, NULL));
    assert_int_equal(stats_of(rt).bytes_in_use, before);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

typedef struct stopper {
    hsched_runtime *rt;
    hsched_status status;
} stopper;

static void stop_trace(void *user, hsched_run *run, hsched_status status)
{
    (void)run, (void)status;
    stopper *s = user;
    s->status = hsched_trace_stop(s->rt, NULL);
}

/* In a callback, while other runs are in flight. */
static void a_callback_may_stop_it(void **state)
{
    (void)state;
    stopper s = { open_runtime(2), HSCHED_ERROR_INTERNAL };
    hsched_model *model = tiny_model(s.rt, SIZE, 1, NULL);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .callback = stop_trace,
                                 .callback_user = &s };
    start(s.rt, 0);
    hsched_run *runs[10];
    for (int i = 0; i < 10; i++)
        runs[i] = submit(model, i == 0 ? &config : NULL);
    for (int i = 0; i < 10; i++) {
        assert_ok(hsched_run_wait(runs[i], HSCHED_FOREVER));
        hsched_run_release(runs[i]);
    }
    hsched_model_release(model);
    hsched_runtime_destroy(s.rt); /* returns when every callback has returned */
    assert_int_equal(s.status, HSCHED_OK);
    json_t *trace = trace_read();
    assert_true(trace_count_text(trace, "b", "run", "status", "HSCHED_OK") > 0);
    json_decref(trace);
}

/* Its runs are cancelled; the file is there when it has returned. */
static void a_runtime_that_ends_stops_its_trace(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(1);
    hsched_model *model = tiny_model(rt, SIZE, 1, NULL);
    start(rt, 0);
    hsched_run *runs[20];
    for (int i = 0; i < 20; i++)
        runs[i] = submit(model, NULL);
    hsched_runtime_destroy(rt);
    json_t *trace = trace_read();
    assert_int_equal(trace_count(trace, "b", "run", NULL), 20);
    assert_int_equal(trace_count_text(trace, "b", "run", "status", "in flight"), 0);
    json_decref(trace);
    for (int i = 0; i < 20; i++)
        hsched_run_release(runs[i]);
    hsched_model_release(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_the_statistics),
        cmocka_unit_test(loads_are_told),
        cmocka_unit_test(arrows_lead_along_a_run),
        cmocka_unit_test(a_lost_device_is_told),
        cmocka_unit_test(segments_are_told),
        cmocka_unit_test(cancels_and_priorities_are_told),
        cmocka_unit_test(deadlines_are_told),
        cmocka_unit_test(a_deadline_may_be_past_at_once),
        cmocka_unit_test(names_outlive_their_model),
        cmocka_unit_test(what_finds_no_room_is_counted),
        cmocka_unit_test(nothing_is_allocated_while_tracing),
        cmocka_unit_test(wrong_uses_leave_everything_as_it_was),
        cmocka_unit_test(memory_for_a_trace_may_be_lacking),
        cmocka_unit_test(a_callback_may_stop_it),
        cmocka_unit_test(a_runtime_that_ends_stops_its_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
