/*
 * Joining runs on a simulated device with a queue, through the public API: which runs share a
 * job, in which order, and that each keeps its own result. Gates in the device hold jobs back,
 * so nothing here depends on time.
 */
#include "common/both_policies.h"
#include "common/queue_runs.h"

#include <pthread.h>

#include "common/support.h"

enum {
    RUNS = 14,
    READY = 64 /* all sizes */
};

typedef struct fixture {
    hsched_runtime *rt;
    queue_net net;
    queue_trial trials[RUNS];
    pthread_t submitter;
} fixture;

static void open_fixture(fixture *f, uint32_t ready, const hsched_model_config *config)
{
    f->rt = queue_runtime_open(
        &(queue_device_script){ .ready = ready },
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .policy = used_policy });
    queue_net_make(&f->net, f->rt, tiny_network(8, 1), config);
    queue_trials_make(f->trials, RUNS, &f->net, USER_TENSOR_PLAIN, USER_TENSOR_SHARED);
}

static void close_fixture(fixture *f)
{
    queue_trials_free(f->trials, RUNS);
    queue_net_free(&f->net);
    queue_runtime_close(f->rt);
}

/* The library learns how many may be joined when it starts a job of the model. */
static void start_one_before(fixture *f)
{
    queue_trial_run(&f->trials[0]);
}

static void *submit_first(void *argument)
{
    fixture *f = argument;
    return (void *)(intptr_t)queue_trial_try(&f->trials[0]);
}

/* The first run is about to be started while the others are submitted. */
static void submit_all(fixture *f)
{
    const uint64_t submits = queue_device_count(QUEUE_COUNT_SUBMITS);
    void *status;
    queue_device_close_gate(QUEUE_GATE_SUBMIT);
    assert_int_equal(pthread_create(&f->submitter, NULL, submit_first, f), 0);
    queue_device_await(QUEUE_COUNT_SUBMITS, submits + 1);
    for (int i = 1; i < RUNS; i++)
        queue_trial_submit(&f->trials[i]);
    queue_device_open_gate(QUEUE_GATE_SUBMIT);
    pthread_join(f->submitter, &status);
    assert_null(status);
}

static uint32_t members_of(uint64_t k)
{
    queue_device_job job = { 0 };
    if (!queue_device_get_job(k, &job))
        fail_msg("there was no job %u", (unsigned)k);
    return job.members;
}

static uint64_t job_count(void)
{
    uint64_t count = 0;
    queue_device_job job;
    while (queue_device_get_job(count, &job))
        count++;
    return count;
}

/* ---- Rules ------------------------------------------------------------------- */

/* One, then all others beside it. */
static void the_first_goes_alone_and_the_rest_together(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, READY, NULL);
    start_one_before(&f);
    submit_all(&f);
    assert_int_equal(queue_trial_batch(&f.trials[0]), 1);
    for (int i = 1; i < RUNS; i++)
        assert_int_equal(queue_trial_batch(&f.trials[i]), RUNS - 1);
    queue_trials_finish(f.trials, RUNS);
    assert_int_equal(job_count(), 3);
    assert_int_equal(members_of(1), 1);
    assert_int_equal(members_of(2), RUNS - 1);
    assert_int_equal(queue_runtime_stats(f.rt).runs_joined, RUNS - 1);
    assert_int_equal(queue_runtime_stats(f.rt).runs_restarted, 0);
    close_fixture(&f);
}

/* Two batches of one run each execute and do not end; the other runs come behind them. */
static void hold_two_and_submit_all(fixture *f)
{
    queue_device_close_gate(QUEUE_GATE_JOBS);
    for (int i = 0; i < 2; i++) {
        queue_trial_submit(&f->trials[i]);
        queue_device_await(QUEUE_COUNT_STARTED, (uint64_t)i + 2);
    }
    for (int i = 2; i < RUNS; i++)
        queue_trial_submit(&f->trials[i]);
}

/* Two batches of a model execute; what comes then waits until one has ended. */
static void two_batches_execute_at_most(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, READY, NULL);
    start_one_before(&f);
    hold_two_and_submit_all(&f);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    for (int i = 2; i < RUNS; i++)
        assert_int_equal(queue_trial_batch(&f.trials[i]), RUNS - 2);
    queue_trials_finish(f.trials, RUNS);
    assert_int_equal(queue_device_most_jobs(), 2);
    assert_int_equal(members_of(3), RUNS - 2);
    close_fixture(&f);
}

static void a_batch_has_no_more_than_the_models_limit(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, READY,
                 &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .max_batch = 4 });
    start_one_before(&f);
    submit_all(&f);
    queue_trials_finish(f.trials, RUNS);
    assert_int_equal(members_of(1), 1);
    for (uint64_t k = 2; k < 5; k++)
        assert_int_equal(members_of(k), 4);
    assert_int_equal(members_of(5), 1);
    assert_int_equal(job_count(), 6);
    close_fixture(&f);
}

/* The first run's; then the highest of those that were joined. */
static void a_job_has_the_highest_priority_of_its_runs(void **state)
{
    (void)state;
    fixture f;
    queue_device_job job;
    open_fixture(&f, READY, NULL);
    start_one_before(&f);
    for (int i = 0; i < RUNS; i++)
        f.trials[i].priority = i == 5 ? 7 : -3;
    submit_all(&f);
    queue_trials_finish(f.trials, RUNS);
    for (uint64_t k = 1; k < 3; k++) {
        assert_true(queue_device_get_job(k, &job));
        assert_int_equal(job.members, k == 1 ? 1 : RUNS - 1);
        assert_int_equal(job.priority, k == 1 ? -3 : 7);
    }
    close_fixture(&f);
}

/* Each alone, beside each other. */
static void some_models_are_never_joined(void **state)
{
    static const hsched_model_config configs[] = {
        { HSCHED_MODEL_CONFIG_INIT, .max_batch = 1 },
        { HSCHED_MODEL_CONFIG_INIT, .flags = HSCHED_MODEL_DETERMINISTIC },
        { HSCHED_MODEL_CONFIG_INIT, .policy = HSCHED_POLICY_LAYER_TYPE },
    };
    (void)state;
    for (int c = 0; c < 3; c++) {
        fixture f;
        open_fixture(&f, READY, &configs[c]);
        start_one_before(&f);
        submit_all(&f);
        queue_trials_finish(f.trials, RUNS);
        for (uint64_t k = 0; k < job_count(); k++)
            assert_int_equal(members_of(k), 1);
        assert_int_equal(queue_runtime_stats(f.rt).runs_joined, 0);
        close_fixture(&f);
    }
}

/* A model with batch_wait_us is held back until its batch is full. (The first run of all goes
 * alone, since it is not known yet how many may be joined.) */
static void a_full_batch_waits_no_longer(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, READY,
                 &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .max_batch = 4,
                                         .batch_wait_us = 1000000000 });
    for (int i = 0; i < 13; i++)
        queue_trial_submit(&f.trials[i]);
    queue_trials_finish(f.trials, 13);
    assert_int_equal(job_count(), 4);
    assert_int_equal(members_of(0), 1);
    for (uint64_t k = 1; k < 4; k++)
        assert_int_equal(members_of(k), 4);
    close_fixture(&f);
}

/* ---- Sizes that are made in the background -------------------------------------- */

static void batches_come_when_their_sizes_are_made(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 1, NULL);
    queue_device_close_gate(QUEUE_GATE_BACKGROUND);
    submit_all(&f);
    queue_trials_finish(f.trials, RUNS);
    for (uint64_t k = 0; k < RUNS; k++) /* there are no other sizes yet */
        assert_int_equal(members_of(k), 1);
    assert_int_equal(queue_runtime_stats(f.rt).runs_joined, 0);
    queue_device_open_gate(QUEUE_GATE_BACKGROUND);
    assert_ok(hsched_runtime_settle(f.rt));
    assert_true(queue_device_stats(f.rt).tunings > 0);
    start_one_before(&f);
    const uint64_t before = job_count();
    submit_all(&f);
    queue_trials_finish(f.trials, RUNS);
    assert_int_equal(members_of(before), 1);
    assert_true(members_of(before + 1) > 1);
    assert_int_equal(queue_runtime_stats(f.rt).runs_restarted, 0);
    close_fixture(&f);
}

/* ---- What becomes of the runs of a batch ------------------------------------------ */

/* Whatever fails, all of them go to the CPU, and each gets its own result there. */
static void a_batch_that_fails_costs_no_run(void **state)
{
    static const uint32_t calls[] = { QUEUE_CALL_SLOT, QUEUE_CALL_SUBMIT,
                                      QUEUE_CALL_FINISH };
    (void)state;
    for (int c = 0; c < 3; c++) {
        fixture f;
        open_fixture(&f, READY, NULL);
        start_one_before(&f);
        /* The first such call is for the run that goes alone, except for its slot. */
        queue_device_fail_call(calls[c] == QUEUE_CALL_SLOT ? 1 : 2, calls[c],
                               HSCHED_ERROR_OUT_OF_MEMORY);
        submit_all(&f);
        queue_trials_finish(f.trials, RUNS);
        assert_true(queue_device_has_failed());
        const uint64_t restarts = queue_runtime_stats(f.rt).runs_restarted;
        assert_true(restarts == RUNS - 1 || restarts == 1);
        assert_true(calls[c] == QUEUE_CALL_FINISH || restarts == RUNS - 1);
        assert_int_equal(queue_is_lost(f.rt), 0);
        submit_all(&f); /* and the next ones go to the device again */
        queue_trials_finish(f.trials, RUNS);
        assert_int_equal(queue_runtime_stats(f.rt).runs_restarted, restarts);
        close_fixture(&f);
    }
}

/* In the batch that is executing, in one that is held back, and alone. */
static void a_device_lost_with_batches_costs_no_run(void **state)
{
    (void)state;
    for (uint64_t k = 1; k <= 3; k++) {
        fixture f;
        open_fixture(&f, READY,
                     &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .max_batch = 4 });
        start_one_before(&f);
        queue_device_lose_in_job(k);
        submit_all(&f);
        queue_trials_finish(f.trials, RUNS);
        assert_true(queue_is_lost(f.rt));
        assert_true(queue_runtime_stats(f.rt).runs_restarted > 0);
        assert_int_equal(queue_runtime_stats(f.rt).runs_failed, 0);
        for (int i = 0; i < RUNS; i++)
            queue_trial_run(&f.trials[i]);
        close_fixture(&f);
    }
}

/* A cancelled run ends as such or well; the others of its batch do not notice. */
static void a_run_of_a_batch_is_cancelled(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, READY, NULL);
    start_one_before(&f);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    submit_all(&f);
    queue_device_await(QUEUE_COUNT_STARTED, 3);
    for (int i = 0; i < RUNS; i += 3)
        hsched_run_cancel(f.trials[i].run);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(f.trials, RUNS); /* these jobs were their last */
    close_fixture(&f);
}

static void a_run_that_is_held_back_is_cancelled(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, READY, NULL);
    start_one_before(&f);
    hold_two_and_submit_all(&f);
    for (int i = 3; i < RUNS; i++) { /* they end at once: the device is still held */
        hsched_run_cancel(f.trials[i].run);
        assert_int_equal(hsched_run_wait(f.trials[i].run, HSCHED_FOREVER),
                         HSCHED_ERROR_CANCELLED);
        hsched_run_release(f.trials[i].run);
    }
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(f.trials, 3);
    assert_int_equal(members_of(3), 1);
    close_fixture(&f);
}

/* Runs of a batch wait for their own events; the batch for all. */
static void a_batch_waits_for_all_events(void **state)
{
    (void)state;
    fixture f;
    queue_event *events[2];
    open_fixture(&f, READY, NULL);
    start_one_before(&f);
    for (int i = 0; i < 2; i++) {
        events[i] = queue_event_create();
        assert_non_null(events[i]);
        f.trials[3 + i].wait_event = events[i];
    }
    submit_all(&f);
    queue_device_await(QUEUE_COUNT_STARTED, 3);
    queue_trial_finish(&f.trials[0]);
    queue_event_set(events[1]);
    for (int i = 1; i < RUNS; i++)
        assert_int_equal(hsched_run_poll(f.trials[i].run), 0);
    queue_event_set(events[0]);
    queue_trials_finish(f.trials + 1, RUNS - 1);
    for (int i = 0; i < 2; i++)
        queue_event_destroy(events[i]);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_POLICIES(the_first_goes_alone_and_the_rest_together),
        WITH_POLICIES(two_batches_execute_at_most),
        WITH_POLICIES(a_batch_has_no_more_than_the_models_limit),
        WITH_POLICIES(a_job_has_the_highest_priority_of_its_runs),
        WITH_POLICIES(some_models_are_never_joined),
        WITH_POLICIES(a_full_batch_waits_no_longer),
        WITH_POLICIES(batches_come_when_their_sizes_are_made),
        WITH_POLICIES(a_batch_that_fails_costs_no_run),
        WITH_POLICIES(a_device_lost_with_batches_costs_no_run),
        WITH_POLICIES(a_run_of_a_batch_is_cancelled),
        WITH_POLICIES(a_run_that_is_held_back_is_cancelled),
        WITH_POLICIES(a_batch_waits_for_all_events),
    };
    if (getenv("HSCHED_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HSCHED_TEST_FILTER"));
    return cmocka_run_group_tests_name("joining on a device with a queue", tests, NULL,
                                       NULL);
}
