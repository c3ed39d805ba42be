/*
 * What fails on a simulated device with a queue costs no run: calls that fail one after the
 * other, memory that there is not, a device that is lost in every state. And ends: runs that
 * are cancelled, models and runtimes that go while work is under way.
 */
#include "common/queue_runs.h"

#include <pthread.h>

#include "base/alloc.h"
#include "common/support.h"

enum {
    RUNS = 6,
    /* On a copy between the device's memory and the CPU's, and on the user's event, a run may
     * depend wholly; see a_copy_that_fails. */
    DISPENSABLE = QUEUE_CALL_ANY & ~QUEUE_CALL_COPY & ~QUEUE_CALL_WAIT
};

static const hsched_policy both[] = { HSCHED_POLICY_GPU_ONLY, HSCHED_POLICY_LAYER_TYPE };

static void expect_no_failures(hsched_runtime *rt)
{
    assert_int_equal(queue_runtime_stats(rt).runs_failed, 0);
    assert_int_equal(queue_runtime_stats(rt).runs_cancelled, 0);
}

/* ---- Calls that fail ------------------------------------------------------------- */

/* Runs with plain memory and with outputs that the library keeps, at once and one by one. */
static void load_and_run(hsched_runtime *rt, hsched_policy policy)
{
    queue_net net;
    queue_trial trials[RUNS];
    queue_net_tiny(&net, rt, policy);
    for (uint32_t i = 0; i < RUNS; i++)
        queue_trial_make(&trials[i], &net, USER_TENSOR_PLAIN,
                         i % 2 ? USER_TENSOR_KEPT : USER_TENSOR_PLAIN, i);
    for (uint32_t i = 0; i < RUNS; i++)
        queue_trial_submit(&trials[i]);
    queue_trials_finish(trials, RUNS);
    assert_ok(hsched_runtime_settle(rt));
    for (uint32_t i = 0; i < RUNS; i++)
        queue_trial_run(&trials[i]);
    queue_trials_free(trials, RUNS);
    queue_net_free(&net);
}

static void every_call_may_fail(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt = queue_runtime_open(NULL, NULL);
        uint64_t k = 0;
        do {
            queue_device_fail_call(++k, DISPENSABLE, HSCHED_ERROR_OUT_OF_MEMORY);
            load_and_run(rt, both[p]);
        } while (queue_device_has_failed());
        assert_true(k > 20);
        queue_device_fail_call(0, 0, HSCHED_OK);
        expect_no_failures(rt);
        assert_int_equal(queue_is_lost(rt), 0);
        queue_runtime_close(rt);
    }
}

static void the_device_may_be_lost_in_every_call(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        uint64_t k = 0;
        int lost;
        do {
            hsched_runtime *rt = queue_runtime_open(NULL, NULL);
            queue_device_fail_call(++k, QUEUE_CALL_ANY, HSCHED_ERROR_DEVICE);
            load_and_run(rt, both[p]);
            lost = queue_device_has_failed();
            queue_device_fail_call(0, 0, HSCHED_OK);
            load_and_run(rt, both[p]); /* loading and running go on, on the CPU */
            expect_no_failures(rt);
            queue_runtime_close(rt);
        } while (lost);
        assert_true(k > 20);
    }
}

static void the_device_may_be_lost_in_every_job(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++)
        for (uint64_t k = 1; k < 16; k++) {
            hsched_runtime *rt =
                queue_runtime_open(&(queue_device_script){ .seed = k, .ready = 4 }, NULL);
            queue_device_lose_in_job(k);
            for (int round = 0; round < 3; round++)
                load_and_run(rt, both[p]);
            assert_true(queue_is_lost(rt));
            assert_true(queue_runtime_stats(rt).runs_restarted > 0);
            expect_no_failures(rt);
            queue_runtime_close(rt);
        }
}

/* A run whose input is in the device's memory needs the copy if the CPU is to read it: the run
 * fails with the copy, and only it. */
static void a_copy_that_fails(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt = queue_runtime_open(NULL, NULL);
        queue_net net;
        queue_trial t;
        queue_net_tiny(&net, rt, both[p]);
        queue_trial_make(&t, &net, USER_TENSOR_ON_DEVICE, USER_TENSOR_ON_DEVICE, 1);
        for (uint64_t k = 1; k < 6; k++) {
            queue_device_fail_call(k, QUEUE_CALL_COPY, HSCHED_ERROR_OUT_OF_MEMORY);
            queue_trial_submit(&t);
            const hsched_status status = hsched_run_wait(t.run, HSCHED_FOREVER);
            queue_device_fail_call(0, 0, HSCHED_OK);
            if (status == HSCHED_OK) {
                queue_trial_finish(&t);
            } else {
                assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
                hsched_run_release(t.run);
            }
            queue_trial_run(&t);
        }
        queue_trial_free(&t);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* Memory that is lost with the device: the run fails, and does not hang. */
static void memory_of_a_lost_device(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt = queue_runtime_open(NULL, NULL);
        queue_net net;
        queue_trial t;
        queue_net_tiny(&net, rt, both[p]);
        queue_trial_make(&t, &net, USER_TENSOR_ON_DEVICE, USER_TENSOR_ON_DEVICE, 1);
        queue_device_lose_in_job(1);
        for (int round = 0; round < 3; round++) {
            queue_trial_submit(&t);
            assert_int_equal(hsched_run_wait(t.run, HSCHED_FOREVER), HSCHED_ERROR_DEVICE);
            hsched_run_release(t.run);
        }
        assert_true(queue_is_lost(rt));
        queue_trial_free(&t);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* Buffers can be made as before: of memory that is copied for the device, if there were one. */
static void buffers_for_a_lost_device(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    queue_net net;
    queue_trial first, then;
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_trial_make(&first, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
    queue_device_lose_in_job(1);
    queue_trial_run(&first);
    assert_true(queue_is_lost(rt));
    queue_trial_make(&then, &net, USER_TENSOR_SHARED, USER_TENSOR_SHARED, 2);
    queue_trial_run(&then);
    queue_trial_free(&first);
    queue_trial_free(&then);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* ---- Too many runs ---------------------------------------------------------- */

static void no_more_runs_than_the_most(void **state)
{
    enum {
        MOST = 40 /* more than there are lanes */
    };
    (void)state;
    const hsched_runtime_config few = { HSCHED_RUNTIME_CONFIG_INIT, .max_runs = MOST };
    hsched_runtime *rt = queue_runtime_open(NULL, &few);
    queue_net net;
    queue_trial trials[MOST], more;
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_trials_make(trials, MOST, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    queue_trial_make(&more, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 99);
    const uint64_t before = queue_runtime_stats(rt).runs_submitted;
    queue_device_close_gate(QUEUE_GATE_JOBS);
    for (uint32_t i = 0; i < MOST; i++)
        queue_trial_submit(&trials[i]);
    for (int again = 0; again < 3; again++)
        assert_fails(queue_trial_try(&more), HSCHED_ERROR_BUSY, "max_runs");
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(trials, MOST);
    queue_trial_run(&more);
    assert_int_equal(queue_runtime_stats(rt).runs_submitted - before, MOST + 1);
    queue_trial_free(&more);
    queue_trials_free(trials, MOST);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

/* ---- Memory that there is not ------------------------------------------------------- */

/* Without an arena that both reach no tensor can cross: such runs are the CPU's. */
static void an_arena_that_cannot_be_mapped(void **state)
{
    (void)state;
    hsched_runtime *rt =
        queue_runtime_open(&(queue_device_script){ .never_maps = 1 }, NULL);
    load_and_run(rt, HSCHED_POLICY_LAYER_TYPE);
    assert_int_equal(queue_runtime_stats(rt).runs_restarted, 2 * RUNS);
    load_and_run(rt, HSCHED_POLICY_GPU_ONLY); /* none crosses */
    assert_int_equal(queue_runtime_stats(rt).runs_restarted, 2 * RUNS);
    expect_no_failures(rt);
    queue_runtime_close(rt);
}

/* The next run has more luck with the same slot. */
static void an_arena_that_could_not_be_mapped_once(void **state)
{
    (void)state;
    queue_single s;
    queue_single_open(&s, HSCHED_POLICY_LAYER_TYPE, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    queue_device_fail_call(1, QUEUE_CALL_CREATE, HSCHED_ERROR_OUT_OF_MEMORY);
    for (int round = 0; round < 3; round++) {
        queue_trial_run(&s.trial);
        assert_int_equal(queue_runtime_stats(s.runtime).runs_restarted, 1);
    }
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    assert_ok(hsched_model_get_stats(s.net.model, &stats));
    assert_int_equal(stats.slots, 1);
    queue_single_close(&s);
}

static void a_limit_without_room_for_a_slot(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt = queue_runtime_open(
            NULL, &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT,
                                            .gpu_memory_limit = 1000 });
        load_and_run(rt, both[p]);
        assert_int_equal(queue_runtime_stats(rt).runs_restarted, 2 * RUNS);
        assert_true(queue_device_stats(rt).memory_peak <= 1000);
        expect_no_failures(rt);
        queue_runtime_close(rt);
    }
}

/* Each allocation of the library's fails once: calls say so, or the runs are right all the
 * same, and nothing leaks. */
static hsched_status live(hsched_graph *g, hsched_policy policy, const float *x, float *y)
{
    hsched_runtime *rt = NULL;
    hsched_model *model = NULL;
    hsched_binding in = HSCHED_DATA(x, 3 * 8 * 8 * sizeof *x);
    hsched_run_config run_config = { HSCHED_RUN_CONFIG_INIT, .inputs = &in };
    hsched_run *runs[2] = { NULL };
    const void *data;
    queue_device_begin(NULL);
    hsched_status status = hsched_runtime_create(
        &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                  .flags = HSCHED_RUNTIME_REFERENCE, .policy = policy },
        &rt);
    if (status == HSCHED_OK)
        status = hsched_model_compile(rt, g, NULL, &model);
    for (int i = 0; i < 2 && status == HSCHED_OK; i++)
        status = hsched_submit(model, &run_config, &runs[i]);
    for (int i = 0; i < 2 && status == HSCHED_OK; i++)
        status = hsched_run_wait(runs[i], HSCHED_FOREVER);
    if (status == HSCHED_OK)
        status = hsched_run_output(runs[1], 0, &data, NULL);
    if (status == HSCHED_OK)
        memcpy(y, data, 10 * sizeof *y);
    for (int i = 0; i < 2; i++)
        hsched_run_release(runs[i]);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    queue_device_end();
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    float x[3 * 8 * 8], want[10], got[10];
    fill(x, 3 * 8 * 8, 3);
    for (int p = 0; p < 2; p++) {
        hsched_graph *g = tiny_network(8, 1);
        assert_ok(live(g, both[p], x, want));
        uint64_t last = 0;
        for (uint64_t k = 1; k <= last + 40; k++) {
            const uint64_t held = hsi_alloc_bytes();
            hsi_alloc_fail_after(k);
            const hsched_status status = live(g, both[p], x, got);
            hsi_alloc_fail_after(0);
            assert_int_equal(hsi_alloc_bytes(), held);
            if (status == HSCHED_OK) {
                assert_memory_equal(got, want, sizeof want);
                continue;
            }
            assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
            last = k;
        }
        assert_true(last > 50);
        hsched_graph_destroy(g);
    }
}

/* ---- Events --------------------------------------------------------------------------- */

/* The event of a job that did not end well says nothing about the run, which the CPU does. */
static void a_restarted_run_has_no_event(void **state)
{
    (void)state;
    queue_single s;
    void *event;
    queue_single_open(&s, HSCHED_POLICY_GPU_ONLY, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    queue_device_fail_call(1, QUEUE_CALL_FINISH, HSCHED_ERROR_OUT_OF_MEMORY);
    queue_trial_submit(&s.trial);
    assert_ok(hsched_run_wait(s.trial.run, HSCHED_FOREVER));
    assert_int_equal(queue_runtime_stats(s.runtime).runs_restarted, 1);
    assert_fails(hsched_run_get_event(s.trial.run, &event), HSCHED_ERROR_UNSUPPORTED,
                 "CPU");
    queue_trial_finish(&s.trial);
    queue_single_close(&s);
}

/* Who waits for the event of a run that never gets a job on the device is not left waiting. */
static void a_run_that_went_to_the_cpu_has_no_event(void **state)
{
    (void)state;
    queue_single s;
    void *event;
    queue_single_open(&s, HSCHED_POLICY_GPU_ONLY, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    queue_device_fail_call(1, QUEUE_CALL_SUBMIT, HSCHED_ERROR_OUT_OF_MEMORY);
    queue_trial_submit(&s.trial);
    assert_fails(hsched_run_get_event(s.trial.run, &event), HSCHED_ERROR_UNSUPPORTED,
                 "CPU");
    queue_trial_finish(&s.trial);
    queue_single_close(&s);
}

/* ---- Cancelling --------------------------------------------------------------------------- */

static void cancel_while_executing(hsched_policy policy)
{
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    queue_net net;
    queue_trial t;
    queue_net_tiny(&net, rt, policy);
    queue_trial_make(&t, &net, USER_TENSOR_ON_DEVICE, USER_TENSOR_ON_DEVICE, 1);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    queue_trial_submit(&t);
    queue_device_await(QUEUE_COUNT_STARTED, 1);
    hsched_run_cancel(t.run);
    assert_int_equal(hsched_run_wait(t.run, 1),
                     HSCHED_ERROR_TIMEOUT); /* it is executing */
    queue_device_open_gate(QUEUE_GATE_JOBS);
    if (policy == HSCHED_POLICY_GPU_ONLY) { /* it was its last job */
        queue_trial_finish(&t);
    } else {
        assert_int_equal(hsched_run_wait(t.run, HSCHED_FOREVER), HSCHED_ERROR_CANCELLED);
        hsched_run_release(t.run);
    }
    queue_trial_run(&t);
    queue_trial_free(&t);
    queue_net_free(&net);
    queue_runtime_close(rt);
}

static void a_run_is_cancelled_while_it_executes(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++)
        cancel_while_executing(both[p]);
}

/* Cancelled when its device is lost: it does not start again. */
static void a_cancelled_run_is_not_restarted(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        hsched_runtime *rt = queue_runtime_open(NULL, NULL);
        queue_net net;
        queue_trial t;
        queue_net_tiny(&net, rt, both[p]);
        queue_trial_make(&t, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN, 1);
        queue_device_close_gate(QUEUE_GATE_JOBS);
        queue_device_lose_in_job(1);
        queue_trial_submit(&t);
        queue_device_await(QUEUE_COUNT_STARTED, 1);
        hsched_run_cancel(t.run);
        queue_device_open_gate(QUEUE_GATE_JOBS);
        assert_int_equal(hsched_run_wait(t.run, HSCHED_FOREVER), HSCHED_ERROR_CANCELLED);
        assert_int_equal(queue_runtime_stats(rt).runs_restarted, 0);
        hsched_run_release(t.run);
        queue_trial_free(&t);
        queue_net_free(&net);
        queue_runtime_close(rt);
    }
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void submit_many(queue_trial *trials)
{
    for (uint32_t i = 0; i < RUNS; i++)
        queue_trial_submit(&trials[i]);
}

/* A model goes while a batch size of it is being made. */
static void a_model_goes_during_its_background_work(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    for (int round = 0; round < 3; round++) {
        queue_net net;
        queue_trial trials[RUNS];
        const uint64_t pieces = queue_device_count(QUEUE_COUNT_BACKGROUND);
        queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
        queue_trials_make(trials, RUNS, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
        queue_device_close_gate(QUEUE_GATE_BACKGROUND);
        queue_device_close_gate(QUEUE_GATE_JOBS);
        submit_many(trials);
        queue_device_await(QUEUE_COUNT_BACKGROUND, pieces + 1);
        queue_device_open_gate(QUEUE_GATE_JOBS);
        queue_trials_finish(trials, RUNS);
        queue_trials_free(trials, RUNS);
        queue_net_free(&net); /* the gate is still closed */
        queue_device_open_gate(QUEUE_GATE_BACKGROUND);
    }
    queue_runtime_close(rt);
}

/* So does a runtime, before its models. */
static void a_runtime_goes_during_background_work(void **state)
{
    (void)state;
    hsched_runtime *rt = queue_runtime_open(NULL, NULL);
    queue_net net;
    queue_trial trials[RUNS];
    queue_net_tiny(&net, rt, HSCHED_POLICY_GPU_ONLY);
    queue_trials_make(trials, RUNS, &net, USER_TENSOR_PLAIN, USER_TENSOR_KEPT);
    queue_device_close_gate(QUEUE_GATE_BACKGROUND);
    queue_device_close_gate(QUEUE_GATE_JOBS);
    submit_many(trials);
    queue_device_await(QUEUE_COUNT_BACKGROUND, 1);
    queue_device_open_gate(QUEUE_GATE_JOBS);
    queue_trials_finish(trials, RUNS);
    hsched_runtime_destroy(rt);
    assert_fails(queue_trial_try(&trials[0]), HSCHED_ERROR_STATE, "destroyed");
    assert_int_equal(queue_device_open_count(), 1); /* the models keep it */
    queue_trials_free(trials, RUNS);
    queue_net_free(&net);
    assert_int_equal(queue_device_open_count(), 0);
    queue_device_end();
}

/* Runs in every state: executing, queued, held back. They end, well or cancelled. */
static void a_runtime_goes_with_runs_in_flight(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        hsched_runtime *rt = queue_runtime_open(
            &(queue_device_script){ .seed = seed, .ready = 4 },
            &(hsched_runtime_config){ HSCHED_RUNTIME_CONFIG_INIT, .gpu_streams = 1 });
        queue_net nets[2];
        queue_trial trials[2][RUNS];
        for (int p = 0; p < 2; p++) {
            queue_net_tiny(&nets[p], rt, both[p]);
            queue_trials_make(trials[p], RUNS, &nets[p], USER_TENSOR_ON_DEVICE,
                              USER_TENSOR_ON_DEVICE);
        }
        for (int p = 0; p < 2; p++)
            submit_many(trials[p]);
        hsched_runtime_destroy(rt);
        for (int p = 0; p < 2; p++) {
            for (uint32_t i = 0; i < RUNS; i++) {
                const hsched_status status = hsched_run_wait(trials[p][i].run, 0);
                if (status != HSCHED_OK)
                    assert_int_equal(status, HSCHED_ERROR_CANCELLED);
                hsched_run_release(trials[p][i].run);
            }
            queue_trials_free(trials[p], RUNS);
            queue_net_free(&nets[p]);
        }
        queue_device_end();
    }
}

static void *wait_for_run(void *run)
{
    return (void *)(intptr_t)hsched_run_wait(run, HSCHED_FOREVER);
}

/* Threads wait for runs that are held back, one of them attending to the queue, when the runtime
 * goes. */
static void a_runtime_goes_while_threads_wait(void **state)
{
    enum {
        WAITERS = 2
    };
    (void)state;
    for (int round = 0; round < 20; round++) {
        hsched_runtime *rt = queue_runtime_open(NULL, NULL);
        queue_net net;
        queue_trial trials[WAITERS];
        pthread_t threads[WAITERS];
        queue_net_make(&net, rt, tiny_network(8, 1),
                       &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                               .batch_wait_us = 1000000000 });
        queue_trials_make(trials, WAITERS, &net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
        for (int i = 0; i < WAITERS; i++) {
            queue_trial_submit(&trials[i]);
            assert_int_equal(
                pthread_create(&threads[i], NULL, wait_for_run, trials[i].run), 0);
        }
        hsched_runtime_destroy(rt);
        for (int i = 0; i < WAITERS; i++) {
            void *status;
            pthread_join(threads[i], &status);
            assert_int_equal((intptr_t)status, HSCHED_ERROR_CANCELLED);
            hsched_run_release(trials[i].run);
        }
        queue_trials_free(trials, WAITERS);
        queue_net_free(&net);
        queue_device_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_may_fail),
        cmocka_unit_test(the_device_may_be_lost_in_every_call),
        cmocka_unit_test(the_device_may_be_lost_in_every_job),
        cmocka_unit_test(a_copy_that_fails),
        cmocka_unit_test(memory_of_a_lost_device),
        cmocka_unit_test(no_more_runs_than_the_most),
        cmocka_unit_test(buffers_for_a_lost_device),
        cmocka_unit_test(an_arena_that_cannot_be_mapped),
        cmocka_unit_test(an_arena_that_could_not_be_mapped_once),
        cmocka_unit_test(a_limit_without_room_for_a_slot),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_restarted_run_has_no_event),
        cmocka_unit_test(a_run_that_went_to_the_cpu_has_no_event),
        cmocka_unit_test(a_run_is_cancelled_while_it_executes),
        cmocka_unit_test(a_cancelled_run_is_not_restarted),
        cmocka_unit_test(a_model_goes_during_its_background_work),
        cmocka_unit_test(a_runtime_goes_during_background_work),
        cmocka_unit_test(a_runtime_goes_with_runs_in_flight),
        cmocka_unit_test(a_runtime_goes_while_threads_wait),
    };
    if (getenv("HSCHED_TEST_FILTER"))
        cmocka_set_test_filter(getenv("HSCHED_TEST_FILTER"));
    hsched_log_set(NULL, NULL, HSCHED_LOG_ERROR); /* what fails here is meant to */
    return cmocka_run_group_tests_name("faults of a device with a queue", tests, NULL,
                                       NULL);
}
