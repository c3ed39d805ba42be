/* Devices with a memory of their own: jobs that end badly there and lost devices restart
 * runs. */
#include "unit/test_core_model.h"

static uint32_t answers[TEST_SECTIONS];

static uint32_t place_answers(const hsi_place_query *query)
{
    return query->device_mask >> answers[query->section] & 1 ? answers[query->section]
                                                             : 0;
}

static const hsi_policy scripted = { .name = "scripted", .place = place_answers };

static test_model chain, wide; /* of three sections; wide has no edges */

static int setup(void **state)
{
    (void)state;
    test_model_chain(&chain, 3, 4, &scripted);
    test_model_init(&wide, 3, 4, &scripted);
    memset(answers, 0, sizeof answers);
    return 0;
}

static void place(uint32_t first, uint32_t second, uint32_t third)
{
    answers[0] = first;
    answers[1] = second;
    answers[2] = third;
}

/* Devices 1 and 2 have a memory of their own, 3 works on the host's. */
static hsi_core *make_core(uint32_t active_limit)
{
    const hsi_core_device accelerators[] = {
        { .workers = 2, .max_sections_per_job = UINT32_MAX, .own_memory = 1 },
        { .workers = 2, .max_sections_per_job = 1, .own_memory = 1 },
        { .workers = 2, .max_sections_per_job = 1 },
    };
    return test_core_of(accelerators, 3, active_limit);
}

static hsi_core_stats stats_of(const hsi_core *core)
{
    hsi_core_stats stats;
    hsi_core_get_stats(core, &stats);
    return stats;
}

static void run_on_cpu(hsi_core *core, const test_run *run)
{
    for (uint32_t s = 0; s < 3; s++)
        test_step(core, 0, run, s);
    test_ended(core, run, HSCHED_OK);
}

/* Whatever the status is, the device goes on and the run begins anew; what was done on
 * the CPU as well. Once it is on the CPU, failures count. */
static void test_failure_restarts(void **state)
{
    (void)state;
    hsi_core *core = make_core(8);
    static const hsched_status statuses[] = { HSCHED_ERROR_OUT_OF_MEMORY,
                                              HSCHED_ERROR_UNSUPPORTED, HSCHED_ERROR_IO,
                                              HSCHED_ERROR_INTERNAL };
    for (uint32_t i = 0; i < 4; i++) {
        test_run run = { 0 }, other = { 0 };
        place(0, 1, 1);
        test_submit(core, &run, &chain, 0, 0);
        test_step(core, 0, &run, 0);
        hsi_job *job = test_take(core, 1, &run, 1, 2);
        place(1, 1, 1);
        test_submit(core, &other, &chain, 0, 0);
        test_job_ended(core, job, statuses[i]);
        test_none_ended(core);
        assert_int_equal(run.run.restarts, 1);
        assert_int_equal(run.run.moved, 1);
        assert_int_equal(run.run.status, HSCHED_OK);
        assert_null(hsi_core_check_run(core, &run.run));
        assert_int_equal(hsi_core_lost_devices(core), 0);
        assert_int_equal(hsi_core_queued(core, 1), 1);
        test_job_ended(core, test_take(core, 1, &other, 0, 3), HSCHED_OK);
        test_ended(core, &other, HSCHED_OK);
        assert_int_equal(other.run.restarts, 0);
        if (i % 2) {
            run_on_cpu(core, &run);
            assert_int_equal(run.run.jobs_run, 4);
        } else {
            test_step(core, 0, &run, 0);
            test_job_ended(core, test_take(core, 0, &run, 1, 1), statuses[i]);
            test_ended(core, &run, statuses[i]);
        }
        assert_int_equal(stats_of(core).restarts, i + 1);
        assert_int_equal(stats_of(core).jobs_moved, i + 1);
    }
    hsi_core_destroy(core);
}

/* Jobs that run elsewhere end first, well or not; queued ones are withdrawn. */
static void test_running_jobs_drain(void **state)
{
    (void)state;
    static const hsched_status statuses[] = { HSCHED_OK, HSCHED_ERROR_IO,
                                              HSCHED_ERROR_DEVICE };
    for (uint32_t i = 0; i < 3; i++) {
        hsi_core *core = make_core(8);
        test_run run = { 0 };
        place(2, 0, 3);
        test_submit(core, &run, &wide, 0, 0);
        hsi_job *one = test_take(core, 2, &run, 0, 1),
                *two = test_take(core, 0, &run, 1, 1);
        test_job_ended(core, one, HSCHED_ERROR_OUT_OF_MEMORY);
        test_idle(core, 3);
        test_idle(core, 0);
        assert_int_equal(run.run.restarts, 0);
        assert_int_equal(run.run.moved, 2);
        assert_null(hsi_core_check_run(core, &run.run));
        test_none_ended(core);
        test_job_ended(core, two, statuses[i]);
        assert_int_equal(run.run.restarts, 1);
        assert_int_equal(run.run.moved, 2);
        run_on_cpu(core, &run);
        assert_int_equal(hsi_core_lost_devices(core), 0);
        hsi_core_destroy(core);
    }
}

/* Another accelerator's job may be among those that drain, and lose its device. */
static void test_draining_job_loses_its_device(void **state)
{
    (void)state;
    for (uint32_t device = 2; device <= 3; device++) {
        hsi_core *core = make_core(8);
        test_run run = { 0 }, other = { 0 };
        place(1, device, 0);
        test_submit(core, &run, &wide, 0, 0);
        hsi_job *one = test_take(core, 1, &run, 0, 1),
                *two = test_take(core, device, &run, 1, 1);
        place(device, 0, 0);
        test_submit(core, &other, &chain, 1, 0);
        test_job_ended(core, one, HSCHED_ERROR_OUT_OF_MEMORY);
        test_job_ended(core, two, HSCHED_ERROR_DEVICE);
        assert_int_equal(hsi_core_lost_devices(core), 1u << device);
        assert_int_equal(run.run.restarts, 1);
        assert_int_equal(run.run.moved, 2);
        assert_int_equal(other.run.restarts, device == 2);
        assert_int_equal(other.run.moved, 1);
        run_on_cpu(core, &other);
        run_on_cpu(core, &run);
        hsi_core_destroy(core);
    }
}

/* All that has touched the lost device begins anew, and nothing else. */
static void test_loss_restarts_its_users(void **state)
{
    (void)state;
    for (int by_job = 0; by_job < 2; by_job++) {
        hsi_core *core = make_core(6);
        test_run done = { 0 }, queued = { 0 }, running = { 0 }, other = { 0 },
                 gpu2 = { 0 };
        test_run waiting = { 0 }, cause = { 0 };
        place(2, 0, 0);
        test_submit(core, &done, &chain, 5, 0);
        test_step(core, 2, &done, 0); /* its section 1 waits for the CPU */
        test_submit(core, &running, &chain, 4, 0);
        hsi_job *job = test_take(core, 2, &running, 0, 1);
        test_submit(core, &cause, &chain, 3, 0);
        hsi_job *end = test_take(core, 2, &cause, 0, 1);
        test_submit(core, &queued, &chain, 2, 0);
        place(1, 1, 1);
        test_submit(core, &gpu2, &chain, 1, 0);
        place(0, 2, 0);
        test_submit(core, &other, &chain, 0, 0);
        place(2, 2, 2);
        test_submit(core, &waiting, &chain, -1, 0);
        assert_int_equal(waiting.run.state, HSI_RUN_WAITING);

        if (by_job) {
            test_job_ended(core, end, HSCHED_ERROR_DEVICE);
        } else {
            hsi_core_device_lost(core, 2, 0);
            test_check(core);
            assert_int_equal(cause.run.restarts, 0); /* until its job ends */
            test_job_ended(core, end, HSCHED_OK);
        }
        assert_int_equal(hsi_core_lost_devices(core), 4);
        test_idle(core, 2);
        assert_int_equal(done.run.restarts, 1);
        assert_int_equal(done.run.moved, 0); /* it was queued on the CPU */
        assert_int_equal(cause.run.restarts, 1);
        assert_int_equal(cause.run.moved, by_job);
        assert_int_equal(queued.run.restarts, 1);
        assert_int_equal(queued.run.moved, 1);
        assert_int_equal(running.run.restarts, 0);
        test_job_ended(core, job, by_job ? HSCHED_OK : HSCHED_ERROR_DEVICE);
        assert_int_equal(running.run.restarts, 1);
        assert_int_equal(running.run.moved, !by_job);
        assert_int_equal(stats_of(core).restarts, 4);
        run_on_cpu(core, &done);
        run_on_cpu(core, &running);
        run_on_cpu(core, &cause);
        run_on_cpu(core, &queued);
        test_job_ended(core, test_take(core, 1, &gpu2, 0, 3), HSCHED_OK);
        test_ended(core, &gpu2, HSCHED_OK);
        run_on_cpu(core, &other);
        run_on_cpu(core, &waiting);
        assert_int_equal(stats_of(core).restarts, 4);
        hsi_core_destroy(core);
    }
}

/* A job that ran on when its device was lost, or when another of its run had failed, was
 * the last and ends well: nothing is missing. */
static void test_last_job_ends_well(void **state)
{
    (void)state;
    hsi_core *core = make_core(8);
    test_run run = { 0 };
    place(1, 1, 1);
    test_submit(core, &run, &chain, 0, 0);
    hsi_job *job = test_take(core, 1, &run, 0, 3);
    hsi_core_device_lost(core, 1, 0);
    hsi_core_device_lost(core, 1, 0);
    test_check(core);
    test_none_ended(core);
    test_job_ended(core, job, HSCHED_OK);
    test_ended(core, &run, HSCHED_OK);
    assert_int_equal(run.run.restarts + run.run.moved, 0);
    hsi_core_destroy(core);
}

/* The CPU finds that it cannot fetch its input: it tells of the loss first. */
static void test_cpu_finds_the_loss(void **state)
{
    (void)state;
    hsi_core *core = make_core(8);
    test_run run = { 0 };
    place(2, 0, 0);
    test_submit(core, &run, &chain, 0, 0);
    test_step(core, 2, &run, 0);
    hsi_job *job = test_take(core, 0, &run, 1, 1);
    hsi_core_device_lost(core, 2, 0);
    assert_int_equal(run.run.restarts, 0);
    test_job_ended(core, job, HSCHED_ERROR_DEVICE);
    test_none_ended(core);
    assert_int_equal(run.run.restarts, 1);
    assert_int_equal(run.run.moved, 0);
    run_on_cpu(core, &run);
    hsi_core_destroy(core);
}

/* Runs that were cancelled or had failed do not begin anew; nor do those cancelled while
 * they drain. */
static void test_stopping_runs_end(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        hsched_status status = lost ? HSCHED_ERROR_DEVICE : HSCHED_ERROR_OUT_OF_MEMORY;
        hsi_core *core = make_core(8);
        test_run cancelled = { 0 }, failed = { 0 }, late = { 0 };
        place(2, 0, 2);
        test_submit(core, &cancelled, &wide, 0, 0);
        hsi_job *one = test_take(core, 2, &cancelled, 0, 1);
        hsi_core_cancel(core, &cancelled.run, 0);
        test_submit(core, &failed, &wide, 1, 0);
        hsi_job *two = test_take(core, 2, &failed, 0, 1);
        test_job_ended(core, test_take(core, 0, &failed, 1, 1), HSCHED_ERROR_IO);
        test_submit(core, &late, &wide, 2, 0);
        hsi_job *three = test_take(core, 2, &late, 0, 1);
        hsi_job *four = test_take(core, 0, &late, 1, 1);

        test_job_ended(core, one, status);
        test_ended(core, &cancelled, HSCHED_ERROR_CANCELLED);
        test_job_ended(core, two, status);
        test_ended(core, &failed, HSCHED_ERROR_IO);
        test_job_ended(core, three, status);
        test_none_ended(core);
        hsi_core_cancel(core, &late.run, 0);
        test_none_ended(core);
        test_job_ended(core, four, HSCHED_ERROR_IO);
        test_ended(core, &late, HSCHED_ERROR_CANCELLED);
        assert_int_equal(stats_of(core).restarts, 0);
        assert_int_equal(hsi_core_lost_devices(core), lost ? 4 : 0);
        for (uint32_t d = 0; d < 4; d++)
            test_idle(core, d);
        hsi_core_destroy(core);
    }
}

/* Nobody who waits for the run notices; its place in admission stays its own. */
static void test_dependents_wait_on(void **state)
{
    (void)state;
    hsi_core *core = make_core(1);
    test_run run = { 0 }, after = { 0 }, next = { 0 };
    place(1, 1, 1);
    test_submit(core, &run, &chain, 0, 0);
    test_submit_after(core, &after, &chain, 0, 0, (hsi_core_run *[]){ &run.run }, 1);
    test_submit(core, &next, &chain, 0, 0);
    test_job_ended(core, test_take(core, 1, &run, 0, 3), HSCHED_ERROR_DEVICE);
    assert_int_equal(after.run.state, HSI_RUN_BLOCKED);
    assert_int_equal(next.run.state, HSI_RUN_WAITING);
    run_on_cpu(core, &run);
    run_on_cpu(core, &after); /* the device is lost: it was never there */
    run_on_cpu(core, &next);
    assert_int_equal(after.run.restarts, 0);
    test_submit(core, &run, &chain, 0, 0); /* again: counted from 0 */
    assert_int_equal(run.run.restarts + run.run.moved, 0);
    run_on_cpu(core, &run);
    hsi_core_destroy(core);
}

/* A run that a lost device without memory of its own had moved in part. */
static void test_moved_then_restarted(void **state)
{
    (void)state;
    hsi_core *core = make_core(8);
    test_run run = { 0 };
    place(3, 2, 0);
    test_submit(core, &run, &chain, 0, 0);
    hsi_core_device_lost(core, 3, 0);
    test_step(core, 0, &run, 0);
    test_job_ended(core, test_take(core, 2, &run, 1, 1), HSCHED_ERROR_DEVICE);
    assert_int_equal(hsi_core_lost_devices(core), 12);
    run_on_cpu(core, &run);
    assert_int_equal(run.run.moved, 2);
    assert_int_equal(run.run.restarts, 1);
    hsi_core_destroy(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_failure_restarts, setup),
        cmocka_unit_test_setup(test_running_jobs_drain, setup),
        cmocka_unit_test_setup(test_draining_job_loses_its_device, setup),
        cmocka_unit_test_setup(test_loss_restarts_its_users, setup),
        cmocka_unit_test_setup(test_last_job_ends_well, setup),
        cmocka_unit_test_setup(test_cpu_finds_the_loss, setup),
        cmocka_unit_test_setup(test_stopping_runs_end, setup),
        cmocka_unit_test_setup(test_dependents_wait_on, setup),
        cmocka_unit_test_setup(test_moved_then_restarted, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
