/*
 * Priorities on a simulated device with a queue: jobs that are executed in segments while a higher
 * priority is in use, what goes between, and the lane that is kept free. Gates and events hold
 * jobs, so nothing here depends on time; a segment of at most 1 us is one section.
 */
#include "common/both_policies.h"
#include "common/queue_runs.h"

#include <sched.h>
#include <stdatomic.h>

#include "common/dice_policy.h"
#include "common/support.h"
#include "runtime/runtime.h"
#include "sched/internal.h"

enum {
    LAYERS = 4, /* a section each */
    CHANNELS = 16,
    SIZE = 32,
    RUNS = 6,
    HIGH = 10
};

typedef struct fixture {
    hsched_runtime *rt;
    queue_net net, other; /* two models of the same graph */
    queue_trial low[RUNS], high;
} fixture;

static hsched_graph *make_graph(uint32_t layers)
{
    static float weights[CHANNELS * CHANNELS * 9];
    const int64_t dims[] = { 1, CHANNELS, SIZE, SIZE };
    const int64_t kernel[] = { CHANNELS, CHANNELS, 3, 3 };
    hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT, .pads = { 1, 1, 1, 1 } };
    hsched_graph *graph;
    hsched_tensor x, w;
    assert_ok(hsched_graph_create("chain", &graph));
    assert_ok(hsched_graph_add_input(graph, "x", HSCHED_FLOAT32, 4, dims, &x));
    for (uint32_t i = 0; i < layers; i++) {
        char name[16];
        snprintf(name, sizeof name, "conv%u", i);
        fill(weights, CHANNELS * CHANNELS * 9, 3 + i);
        assert_ok(hsched_graph_add_constant(graph, NULL, HSCHED_FLOAT32, 4, kernel,
                                            weights, sizeof weights, HSCHED_DATA_COPY,
                                            &w));
        assert_ok(
            hsched_graph_add_conv2d(graph, name, x, w, HSCHED_NO_TENSOR, &config, &x));
    }
    assert_ok(hsched_graph_add_output(graph, x));
    return graph;
}

/* Else the higher priority would be out of use 2 s after its last run, which is not long where a
 * sanitizer checks every step. */
static void keep_priorities_in_use(hsched_runtime *rt)
{
    pthread_mutex_lock(&rt->pool->lock);
    rt->core->config.class_memory_us = UINT64_C(3600000000);
    pthread_mutex_unlock(&rt->pool->lock);
}

static void open_with(fixture *f, const queue_device_script *script,
                      const hsched_runtime_config *config,
                      const hsched_model_config *model)
{
    f->rt = queue_runtime_open(script, config);
    keep_priorities_in_use(f->rt);
    queue_net_make(&f->net, f->rt, make_graph(LAYERS), model);
    queue_net_make(&f->other, f->rt, make_graph(LAYERS), model);
    queue_trials_make(f->low, RUNS, &f->net, USER_TENSOR_PLAIN, USER_TENSOR_SHARED);
    queue_trial_make(&f->high, &f->other, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 9);
    f->high.priority = HIGH;
    /* What they take is known after this, and the higher priority is in use. */
    queue_trial_run(&f->low[0]);
    queue_trial_run(&f->high);
}

static void open_fixture(fixture *f, uint32_t max_segment_us, uint32_t lanes)
{
    open_with(f, &(queue_device_script){ .ready = 64 },
              &(hsched_runtime_config){
                  HSCHED_RUNTIME_CONFIG_INIT, .max_segment_us = max_segment_us,
                  .gpu_streams = lanes, .cache_dir = "/dev/null/hsched" },
              &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = used_policy });
    /* Smaller layers would share a section: there would be nothing to cut. */
    assert_int_equal(f->net.model->plan->section_count, LAYERS);
}

static void close_fixture(fixture *f)
{
    queue_trials_free(f->low, RUNS);
    queue_trial_free(&f->high);
    queue_net_free(&f->net);
    queue_net_free(&f->other);
    queue_runtime_close(f->rt);
}

static queue_device_job job_of(uint64_t k)
{
    queue_device_job job = { 0 };
    if (!queue_device_get_job(k, &job))
        fail_msg("there was no job %u", (unsigned)k);
    return job;
}

static uint64_t job_count(void)
{
    return queue_device_count(QUEUE_COUNT_STARTED);
}

static void await_pauses(hsched_runtime *rt, uint64_t count)
{
    while (queue_device_stats(rt).pauses < count)
        sched_yield();
}

/* ---- Rules ------------------------------------------------------------------- */

static void a_job_is_executed_section_by_section(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 1, 0);
    const uint64_t first = job_count();
    const uint32_t steps = job_of(0).step_count;
    queue_trial_run(&f.low[1]);
    uint32_t done = 0;
    for (uint64_t k = first; k < job_count(); k++) {
        assert_int_equal(job_of(k).first_step, done);
        assert_int_equal(job_of(k).members, 1);
        done += job_of(k).step_count;
    }
    assert_int_equal(done, steps);
    assert_int_equal(job_count() - first, LAYERS);
    const hsched_device_stats stats = queue_device_stats(f.rt);
    assert_int_equal(stats.pauses, LAYERS - 1);
    assert_true(stats.long_segments >= 1); /* sections take longer than 1 us */
    assert_int_equal(stats.jobs, 3);
    queue_expect_no_restarts(f.rt);
    close_fixture(&f);
}

/* The most urgent runs are never cut, nor is anything if that is not wanted. */
static void others_are_executed_whole(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 1, 0);
    queue_trial_run(&f.high);
    assert_int_equal(queue_device_stats(f.rt).pauses, 0);
    close_fixture(&f);
    open_fixture(&f, HSCHED_NEVER, 0);
    queue_trial_run(&f.low[1]);
    assert_int_equal(job_count(), 3);
    assert_int_equal(queue_device_stats(f.rt).pauses, 0);
    assert_int_equal(queue_device_stats(f.rt).long_segments, 0);
    close_fixture(&f);
}

/* It starts at once beside the segment that is executing; the next one comes when it has ended. */
static void a_more_urgent_run_goes_between(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 1, 0);
    const uint64_t first = job_count();
    queue_device_close_gate(QUEUE_GATE_JOBS);
    queue_trial_submit(&f.low[1]);
    queue_device_await(QUEUE_COUNT_STARTED, first + 1);
    queue_trial_submit(&f.high);
    queue_device_await(QUEUE_COUNT_STARTED, first + 2);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trial_finish(&f.high);
    queue_trial_finish(&f.low[1]);
    assert_int_equal(job_count() - first, LAYERS + 1);
    assert_int_equal(job_of(first + 1).priority, HIGH);
    for (uint64_t k = first; k < job_count(); k++)
        assert_int_equal(job_of(k).priority, k == first + 1 ? HIGH : 0);
    queue_expect_no_restarts(f.rt);
    close_fixture(&f);
}

/* A batch goes on as the batch that it was. */
static void a_batch_is_executed_in_segments(void **state)
{
    (void)state;
    fixture f;
    uint32_t done = 0, joined = 0;
    open_fixture(&f, 1, 1); /* one lane */
    queue_device_close_gate(QUEUE_GATE_JOBS);
    queue_trial_submit(&f.high);
    for (int i = 0; i < RUNS; i++)
        queue_trial_submit(&f.low[i]);
    const uint64_t first = job_count();
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trial_finish(&f.high);
    for (int i = 0; i < RUNS; i++)
        assert_int_equal(queue_trial_batch(&f.low[i]), RUNS);
    queue_trials_finish(f.low, RUNS);
    for (uint64_t k = first; k < job_count(); k++) {
        const queue_device_job job = job_of(k);
        assert_int_equal(job.first_step, done);
        done += job.step_count;
        joined += job.members == RUNS;
    }
    assert_int_equal(joined, LAYERS);
    assert_int_equal(job_count() - first, LAYERS);
    queue_expect_no_restarts(f.rt);
    close_fixture(&f);
}

/* The last free lane is for the highest priority in use. */
static void a_lane_is_kept_free(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 2);
    const uint64_t first = job_count();
    queue_trial another;
    queue_trial_make(&another, &f.other, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 4);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    queue_trial_submit(&f.low[1]);
    queue_device_await(QUEUE_COUNT_STARTED, first + 1);
    queue_trial_submit(&another); /* of another model: nothing joins it */
    queue_trial_submit(&f.high);
    queue_device_await(QUEUE_COUNT_STARTED, first + 2);
    assert_int_equal(job_of(first + 1).priority, HIGH);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trial_finish(&f.high);
    queue_trial_finish(&f.low[1]);
    queue_trial_finish(&another);
    queue_trial_free(&another);
    close_fixture(&f);
}

typedef struct told {
    atomic_int alone, joined;
} told;

static void count_long(void *user, hsched_log_level level, const char *message)
{
    told *t = user;
    (void)level;
    if (strstr(message, "longer than max_segment_us"))
        atomic_fetch_add(strstr(message, "max_batch") ? &t->joined : &t->alone, 1);
}

/* Where there is nothing to cut: a model of one section. */
static void a_section_that_is_too_long_is_told_once(void **state)
{
    (void)state;
    told t = { 0 };
    queue_net net;
    queue_trial low, high;
    hsched_log_set(count_long, &t, HSCHED_LOG_INFO);
    hsched_runtime *rt =
        queue_runtime_open(NULL, &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT,
                                                           .max_segment_us = 1 });
    queue_net_make(&net, rt, make_graph(1), NULL);
    queue_trial_make(&low, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_make(&high, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 2);
    high.priority = HIGH;
    queue_trial_run(&low);
    queue_trial_run(&high);
    assert_int_equal(atomic_load(&t.alone), 0);
    for (int i = 0; i < 3; i++)
        queue_trial_run(&low);
    assert_int_equal(atomic_load(&t.alone), 1); /* no batch could be any smaller */
    assert_int_equal(atomic_load(&t.joined), 0);
    assert_int_equal(queue_device_stats(rt).pauses, 0);
    queue_trial_free(&low);
    queue_trial_free(&high);
    queue_net_free(&net);
    queue_runtime_close(rt);
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
}

/* Behind a job that the only lane is busy with runs are joined. */
static void smaller_batches_are_shorter(void **state)
{
    (void)state;
    enum {
        BATCH = 3
    };
    told t = { 0 };
    fixture f;
    hsched_log_set(count_long, &t, HSCHED_LOG_INFO);
    open_fixture(&f, 1, 1);
    queue_net net;
    queue_trial joined[BATCH];
    queue_net_make(
        &net, f.rt, make_graph(1),
        &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = used_policy });
    queue_trials_make(joined, BATCH, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    for (int i = 0; i < 3; i++) {
        queue_trial_run(&f.high); /* is in use from then on */
        const uint64_t first = job_count();
        queue_device_close_gate(QUEUE_GATE_JOBS);
        queue_trial_submit(&f.low[0]);
        queue_device_await(QUEUE_COUNT_STARTED, first + 1);
        /* At first alone: then larger batches are ready, and what they take is known. */
        for (int k = 0; k < (i == 0 ? 1 : BATCH); k++)
            queue_trial_submit(&joined[k]);
        queue_device_open_gate(QUEUE_GATE_JOBS);
        for (int k = 0; k < (i == 0 ? 1 : BATCH); k++)
            queue_trial_finish(&joined[k]);
        queue_trial_finish(&f.low[0]);
    }
    assert_int_equal(atomic_load(&t.alone), 1); /* of what keeps the lane busy */
    assert_int_equal(atomic_load(&t.joined), 1);
    queue_trials_free(joined, BATCH);
    queue_net_free(&net);
    close_fixture(&f);
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
}

/* ---- Ends ---------------------------------------------------------------------- */

/* While the more urgent run waits for its event on the device, the other has paused. */
static void pause_behind_event(fixture *f, queue_event *event)
{
    const uint64_t first = job_count();
    queue_device_close_gate(QUEUE_GATE_JOBS);
    queue_trial_submit(&f->low[1]);
    queue_device_await(QUEUE_COUNT_STARTED, first + 1);
    f->high.wait_event = event;
    queue_trial_submit(&f->high);
    queue_device_await(QUEUE_COUNT_STARTED, first + 2);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    await_pauses(f->rt, 1);
}

static void a_paused_run_is_cancelled_at_once(void **state)
{
    (void)state;
    fixture f;
    queue_event *event = queue_event_create();
    open_fixture(&f, 1, 0);
    pause_behind_event(&f, event);
    hsched_run_cancel(f.low[1].run);
    assert_int_equal(hsched_run_wait(f.low[1].run, HSCHED_FOREVER),
                     HSCHED_ERROR_CANCELLED);
    assert_int_equal(hsched_run_poll(f.high.run), 0);
    hsched_run_release(f.low[1].run);
    f.low[1].run = NULL;
    queue_event_set(event);
    queue_trial_finish(&f.high);
    queue_trial_run(&f.low[2]); /* its slot is another's now */
    close_fixture(&f);
    queue_event_destroy(event);
}

/* The device is lost in the second segment: the run starts again on the CPU. */
static void a_device_is_lost_between_segments(void **state)
{
    (void)state;
    fixture f;
    for (uint64_t k = 1; k <= LAYERS; k++) {
        open_fixture(&f, 1, 0);
        queue_device_lose_in_job(k);
        queue_trial_run(&f.low[1]);
        assert_true(queue_is_lost(f.rt));
        assert_int_equal(queue_runtime_stats(f.rt).runs_restarted, 1);
        close_fixture(&f);
    }
}

/* Any call of any segment may fail. */
static void a_segment_that_fails_restarts_the_run(void **state)
{
    (void)state;
    fixture f;
    for (uint64_t k = 1; k <= LAYERS; k++) {
        open_fixture(&f, 1, 0);
        queue_device_fail_call(k, QUEUE_CALL_SUBMIT, HSCHED_ERROR_OUT_OF_MEMORY);
        queue_trial_run(&f.low[1]);
        assert_true(queue_device_has_failed());
        assert_int_equal(queue_runtime_stats(f.rt).runs_restarted, 1);
        close_fixture(&f);
    }
}

/* Placed run by run: a run that is on the device as a whole stays in its slot; what is on the
 * device of others passes through the host's arena, between segments of one job, too. */
static void runs_that_could_be_anywhere_are_cut(void **state)
{
    (void)state;
    fixture f;
    dice d = { .stay = 8, .device = QUEUE_DEVICE };
    const hsched_policy_plugin plugin = dice_policy(&d);
    open_with(&f, NULL,
              &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .max_segment_us = 1,
                                        .policy_plugin = &plugin,
                                        .policy = HSCHED_POLICY_PLUGIN },
              &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                      .policy = HSCHED_POLICY_PLUGIN });
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(f.net.model, &stats));
    assert_true(stats.sections >= LAYERS);
    queue_trial_run(&f.low[1]);
    queue_trial_run(&f.low[2]);
    assert_int_equal(queue_device_stats(f.rt).pauses, 2 * (stats.sections - 1));
    d.stay = 4;
    for (int i = 0; i < 40; i++)
        queue_trial_run(&f.low[i % RUNS]);
    queue_expect_no_restarts(f.rt);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_POLICIES(a_job_is_executed_section_by_section),
        WITH_POLICIES(others_are_executed_whole),
        WITH_POLICIES(a_more_urgent_run_goes_between),
        WITH_POLICIES(a_batch_is_executed_in_segments),
        WITH_POLICIES(a_lane_is_kept_free),
        WITH_POLICIES(a_section_that_is_too_long_is_told_once),
        WITH_POLICIES(smaller_batches_are_shorter),
        WITH_POLICIES(a_paused_run_is_cancelled_at_once),
        WITH_POLICIES(a_device_is_lost_between_segments),
        WITH_POLICIES(a_segment_that_fails_restarts_the_run),
        cmocka_unit_test(runs_that_could_be_anywhere_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
