/* Deadlines of runs, through the public API, on a simulated device whose jobs are held. */
#include "common/queue_runs.h"

#include "common/call_counter.h"
#include "common/support.h"

enum {
    MOST_LANES = 32
};

/* Runs that hold all lanes of the device until the gate opens; none is joined. */
typedef struct fixture {
    hsched_runtime *rt;
    queue_net net, small;
    queue_trial blockers[MOST_LANES];
    uint32_t lanes;
} fixture;

static hsched_graph *one_step(void)
{
    hsched_graph *g;
    hsched_tensor x;
    assert_ok(hsched_graph_create("small", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 2, (int64_t[]){ 1, 10 }, &x));
    assert_ok(hsched_graph_add_softmax(g, "y", x, 1, &x));
    assert_ok(hsched_graph_add_output(g, x));
    return g;
}

static void hold_lanes(fixture *f)
{
    const hsched_model_config alone = { HSCHED_MODEL_CONFIG_INIT, .max_batch = 1 };
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    f->rt = queue_runtime_open(NULL, NULL);
    queue_net_make(&f->net, f->rt, tiny_network(8, 1), &alone);
    queue_net_make(&f->small, f->rt, one_step(), &alone);
    assert_ok(hsched_runtime_device_info(f->rt, QUEUE_DEVICE, &info));
    f->lanes = info.workers;
    assert_in_range(f->lanes, 1, MOST_LANES);
    queue_trials_make(f->blockers, f->lanes, &f->net, USER_TENSOR_PLAIN,
                      USER_TENSOR_PLAIN);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    for (uint32_t i = 0; i < f->lanes; i++)
        queue_trial_submit(&f->blockers[i]);
    queue_device_await(QUEUE_COUNT_STARTED, f->lanes);
}

static void release_lanes(fixture *f)
{
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(f->blockers, f->lanes);
}

static void close_all(fixture *f)
{
    queue_trials_free(f->blockers, f->lanes);
    queue_net_free(&f->net);
    queue_net_free(&f->small);
    queue_runtime_close(f->rt);
}

/* Nobody submits, takes or ends anything: the controller notices. */
static void a_late_run_is_dropped_though_nothing_happens(void **state)
{
    (void)state;
    fixture f;
    queue_trial late;
    call_counter c = CALL_COUNTER_INIT;
    hold_lanes(&f);
    queue_trial_make(&late, &f.small, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    late.deadline_us = 1000;
    late.late = HSCHED_LATE_DROP;
    late.callback = count_call;
    late.callback_user = &c;
    queue_trial_submit(&late);
    assert_fails(hsched_run_wait(late.run, HSCHED_FOREVER), HSCHED_ERROR_DEADLINE,
                 "small");
    await_calls(&c, 1);
    assert_int_equal(c.last, HSCHED_ERROR_DEADLINE);
    hsched_run_release(late.run);
    release_lanes(&f);
    assert_int_equal(queue_device_stats(f.rt).jobs, f.lanes);

    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(f.small.model, &stats));
    assert_int_equal(stats.deadline_misses, 1);
    assert_int_equal(stats.runs_dropped, 1);
    assert_int_equal(stats.runs_failed + stats.runs_cancelled + stats.runs_succeeded, 0);
    const hsched_runtime_stats all = queue_runtime_stats(f.rt);
    assert_int_equal(all.deadline_misses, 1);
    assert_int_equal(all.runs_dropped, 1);
    assert_int_equal(all.runs_failed, 0);
    queue_trial_free(&late);
    close_all(&f);
    assert_int_equal(c.calls, 1);
}

/* By default a run goes on, and its results are right. */
static void a_late_run_ends_well(void **state)
{
    (void)state;
    fixture f;
    queue_trial late;
    hold_lanes(&f);
    queue_trial_make(&late, &f.small, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    late.deadline_us = 1;
    queue_trial_submit(&late);
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    assert_fails(hsched_run_wait(late.run, 1000), HSCHED_ERROR_TIMEOUT, "goes on");
    release_lanes(&f);
    assert_ok(hsched_run_wait(late.run, HSCHED_FOREVER));
    assert_ok(hsched_run_get_times(late.run, &times));
    assert_true(times.deadline_us >= times.submitted_us &&
                times.deadline_us <= times.submitted_us + 1);
    assert_true(times.ended_us > times.deadline_us);
    queue_trial_finish(&late);
    assert_int_equal(queue_runtime_stats(f.rt).deadline_misses, 1);
    assert_int_equal(queue_runtime_stats(f.rt).runs_dropped, 0);
    queue_trial_free(&late);
    close_all(&f);
}

/* Both wait for a lane; the one that was submitted later has the nearer deadline. */
static void the_earliest_deadline_is_executed_first(void **state)
{
    (void)state;
    fixture f;
    queue_trial far, near;
    queue_device_job job;
    hold_lanes(&f);
    const uint32_t small_steps = hsched_model_step_count(f.small.model);
    assert_true(small_steps != hsched_model_step_count(f.net.model));
    queue_trial_make(&far, &f.net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_trial_make(&near, &f.small, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 2);
    far.deadline_us = 99000;
    near.deadline_us = 50;
    queue_trial_submit(&far);
    queue_trial_submit(&near);
    release_lanes(&f);
    queue_trial_finish(&far);
    queue_trial_finish(&near);
    assert_int_equal(queue_device_get_job(f.lanes, &job), 1);
    assert_int_equal(job.step_count, small_steps);
    queue_trial_free(&far);
    queue_trial_free(&near);
    close_all(&f);
}

static void what_late_may_be(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    queue_net net;
    queue_trial t;
    queue_net_make(&net, rt, one_step(), NULL);
    queue_trial_make(&t, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    t.late = (hsched_late)7;
    assert_fails(queue_trial_try(&t), HSCHED_ERROR_INVALID_ARGUMENT, "hsched_late");
    t.late = HSCHED_LATE_DROP;
    queue_trial_run(&t); /* without a deadline it cannot be late */
    t.deadline_us = UINT64_MAX;
    queue_trial_run(&t);
    queue_trial_free(&t);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_run_is_dropped_though_nothing_happens),
        cmocka_unit_test(a_late_run_ends_well),
        cmocka_unit_test(the_earliest_deadline_is_executed_first),
        cmocka_unit_test(what_late_may_be),
    };
    return cmocka_run_group_tests_name("deadlines of runs", tests, NULL, NULL);
}
