/* Traces of a device with a queue: lanes, joined runs, crossings, restarts, what is in flight. */
#include "common/queue_runs.h"
#include "common/trace_reader.h"

#include "common/support.h"

static const hsched_policy both[] = { HSCHED_POLICY_GPU_ONLY, HSCHED_POLICY_LAYER_TYPE };

static void start(hsched_runtime *rt)
{
    hsched_trace_config config = { HSCHED_TRACE_CONFIG_INIT, .path = trace_path() };
    assert_ok(hsched_trace_start(rt, &config));
}

static json_t *stop(hsched_runtime *rt)
{
    assert_ok(hsched_trace_stop(rt, NULL));
    return trace_read();
}

static void jobs_in_lanes_and_crossings(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt = queue_runtime_open(NULL, NULL);
        queue_net net;
        queue_trial t;
        queue_net_tiny(&net, rt, both[p]);
        queue_trial_make(&t, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
        queue_trial_run(&t);
        const hsched_runtime_stats before = queue_runtime_stats(rt);
        const uint64_t on_device = queue_device_stats(rt).jobs;
        start(rt);
        for (int round = 0; round < 4; round++)
            queue_trial_run(&t);
        json_t *trace = stop(rt);
        const hsched_runtime_stats after = queue_runtime_stats(rt);
        const uint64_t crossings = after.crossings - before.crossings;
        assert_int_equal(trace_jobs(trace), after.jobs - before.jobs);
        assert_true(queue_device_stats(rt).jobs > on_device);
        assert_int_equal(trace_count(trace, "b", "run", NULL), 4);
        assert_int_equal(trace_sum(trace, "X", "job", NULL, "crossings", 0), crossings);
        assert_int_equal(crossings > 0, p == 1);
        assert_int_equal(trace_count(trace, "s", "flow", "crossing") > 0, p == 1);
        assert_int_equal(trace_sum(trace, "s", "flow", "crossing", "bytes", 0) > 0,
                         p == 1);
        json_decref(trace);
        queue_trial_free(&t);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* Runs that wait while the device is busy are joined: one slice for all of them. */
static void joined_runs_share_a_slice(void **state)
{
    (void)state;
    enum {
        RUNS = 9
    };
    hsched_runtime *rt = queue_runtime_open(&(queue_device_script){ .ready = 4 }, NULL);
    queue_net net;
    queue_trial trials[RUNS];
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_trials_make(trials, RUNS, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    start(rt);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    for (uint32_t i = 0; i < RUNS; i++)
        queue_trial_submit(&trials[i]);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(trials, RUNS);
    json_t *trace = stop(rt);
    const hsched_runtime_stats stats = queue_runtime_stats(rt);
    assert_true(stats.runs_joined > 0);
    assert_int_equal(trace_jobs(trace), RUNS);
    assert_int_equal(trace_sum(trace, "X", "job", NULL, "batch", 0), stats.runs_joined);
    assert_true(trace_count(trace, "X", "job", NULL) < RUNS);
    json_decref(trace);
    queue_trials_free(trials, RUNS);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* Whatever job the device is lost in: the counts are those of the statistics. */
static void restarts_are_told(void **state)
{
    (void)state;
    enum {
        RUNS = 6
    };
    for (uint64_t k = 1; k < 12; k++) {
        hsched_runtime *rt =
            queue_runtime_open(&(queue_device_script){ .seed = k, .ready = 4 }, NULL);
        queue_net net;
        queue_trial trials[RUNS];
        queue_net_tiny(&net, rt, both[k % 2]);
        queue_trials_make(trials, RUNS, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
        const uint64_t jobs = queue_runtime_stats(rt).jobs;
        start(rt);
        queue_device_lose_in_job(k);
        for (int round = 0; round < 2; round++) {
            for (uint32_t i = 0; i < RUNS; i++)
                queue_trial_submit(&trials[i]);
            queue_trials_finish(trials, RUNS);
        }
        json_t *trace = stop(rt);
        const hsched_runtime_stats stats = queue_runtime_stats(rt);
        assert_int_equal(trace_count(trace, "i", NULL, "device lost"), queue_is_lost(rt));
        assert_int_equal(trace_count(trace, "i", NULL, "run restarted"),
                         stats.runs_restarted);
        assert_int_equal(trace_sum(trace, "b", "run", NULL, "restarts", 0),
                         stats.runs_restarted);
        assert_int_equal(trace_sum(trace, "i", NULL, "job moved", "jobs", 0),
                         stats.jobs_moved);
        assert_int_equal(trace_jobs(trace), stats.jobs - jobs);
        assert_int_equal(trace_count_text(trace, "b", "run", "status", "HSCHED_OK"),
                         2 * RUNS);
        json_decref(trace);
        queue_trials_free(trials, RUNS);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* What is in flight when a trace ends is in it as it is then, and goes on; the next trace has
 * its end. */
static void what_is_in_flight_is_cut_short(void **state)
{
    (void)state;
    queue_single s;
    queue_single_open(&s, HSCHED_POLICY_GPU_ONLY, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    start(s.runtime);
    queue_trial_submit(&s.trial); /* returns when the job is in its lane */
    json_t *trace = stop(s.runtime);
    assert_int_equal(trace_count_text(trace, "b", "run", "status", "in flight"), 1);
    assert_int_equal(trace_count(trace, "X", "job", NULL), 1);
    assert_int_equal(trace_jobs(trace), 0);
    json_decref(trace);
    start(s.runtime);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trial_finish(&s.trial);
    trace = stop(s.runtime);
    assert_int_equal(trace_count_text(trace, "b", "run", "status", "HSCHED_OK"), 1);
    assert_int_equal(trace_jobs(trace), 1);
    json_decref(trace);
    queue_single_close(&s);
}

/* A trace takes nothing of the heap or the device while it records. */
static void nothing_is_allocated_while_tracing(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt = queue_runtime_open(NULL, NULL);
        queue_net net;
        queue_trial t;
        queue_net_tiny(&net, rt, both[p]);
        queue_trial_make(&t, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
        for (int round = 0; round < 5; round++)
            queue_trial_run(&t);
        assert_ok(hsched_runtime_settle(rt));
        start(rt);
        const uint64_t heap = queue_runtime_stats(rt).allocations;
        for (int round = 0; round < 20; round++)
            queue_trial_run(&t);
        assert_int_equal(queue_runtime_stats(rt).allocations, heap);
        json_decref(stop(rt));
        queue_trial_free(&t);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_in_lanes_and_crossings),
        cmocka_unit_test(joined_runs_share_a_slice),
        cmocka_unit_test(restarts_are_told),
        cmocka_unit_test(what_is_in_flight_is_cut_short),
        cmocka_unit_test(nothing_is_allocated_while_tracing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
