/* How runs end: cancelled, failed, after a lost device, because of other runs. */
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
    test_model_chain(&chain, 3, 3, &scripted);
    test_model_init(&wide, 3, 3, &scripted);
    memset(answers, 0, sizeof answers);
    return 0;
}

static void place_all(uint32_t device)
{
    for (uint32_t s = 0; s < TEST_SECTIONS; s++)
        answers[s] = device;
}

static hsi_core_stats stats_of(const hsi_core *core)
{
    hsi_core_stats stats;
    hsi_core_get_stats(core, &stats);
    return stats;
}

/* ---- Cancel ---- */

static void test_cancel_not_active(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 1);
    test_run active = { 0 }, waiting = { 0 }, blocked = { 0 }, idle = { 0 };
    test_submit(core, &active, &chain, 0, 0);
    test_submit(core, &waiting, &chain, 0, 0);
    test_submit_after(core, &blocked, &chain, 0, 0, (hsi_core_run *[]){ &active.run }, 1);
    assert_int_equal(blocked.run.state, HSI_RUN_BLOCKED);
    assert_int_equal(stats_of(core).blocked_runs, 1);
    hsi_core_cancel(core, &idle.run, 1);
    test_none_ended(core);
    hsi_core_cancel(core, &blocked.run, 7);
    test_ended(core, &blocked, HSCHED_ERROR_CANCELLED);
    assert_int_equal(blocked.run.ended_us, 7);
    assert_int_equal(stats_of(core).blocked_runs, 0);
    hsi_core_cancel(core, &waiting.run, 8);
    test_check(core);
    test_ended(core, &waiting, HSCHED_ERROR_CANCELLED);
    assert_int_equal(stats_of(core).waiting_runs, 0);
    hsi_core_cancel(core, &waiting.run, 9); /* once more: no effect */
    test_none_ended(core);
    assert_int_equal(waiting.run.ended_us, 8);
    for (uint32_t s = 0; s < 3; s++)
        test_step(core, 0, &active, s);
    test_ended(core, &active, HSCHED_OK);
    test_none_ended(core);
    hsi_core_destroy(core);
}

/* Whoever waits can be taken back as if it had never been there. */
static void test_what_has_begun(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 1);
    test_run active = { 0 }, waiting = { 0 }, blocked = { 0 }, idle = { 0 };
    test_submit(core, &active, &chain, 0, 0);
    test_submit(core, &waiting, &chain, 0, 0);
    test_submit_after(core, &blocked, &chain, 0, 0, (hsi_core_run *[]){ &active.run }, 1);
    assert_int_equal(active.run.state, HSI_RUN_ACTIVE);
    assert_int_equal(hsi_core_waits(&active.run), 1); /* queued */
    assert_int_equal(hsi_core_waits(&waiting.run), 1);
    assert_int_equal(hsi_core_waits(&blocked.run), 1);
    assert_int_equal(hsi_core_waits(&idle.run), 0);
    hsi_job *job = test_take(core, 0, &active, 0, 1);
    assert_int_equal(hsi_core_waits(&active.run), 0);
    test_job_ended(core, job, HSCHED_OK);
    assert_int_equal(hsi_core_waits(&active.run), 0); /* between its sections */
    hsi_core_cancel(core, &active.run, 1);
    test_ended(core, &active, HSCHED_ERROR_CANCELLED);
    test_ended(core, &blocked, HSCHED_ERROR_UPSTREAM);
    assert_int_equal(hsi_core_waits(&active.run) + hsi_core_waits(&blocked.run), 0);
    assert_int_equal(hsi_core_waits(&waiting.run), 1);
    hsi_core_cancel(core, &waiting.run, 2);
    test_ended(core, &waiting, HSCHED_ERROR_CANCELLED);
    assert_int_equal(hsi_core_waits(&waiting.run), 0);
    hsi_core_destroy(core);
}

static void test_cancel_active(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 1);
    test_run run = { 0 }, next = { 0 };
    test_submit(core, &run, &wide, 0, 0);
    test_submit(core, &next, &chain, 0, 0);
    hsi_job *job = test_take(core, 0, &run, 0, 1);
    hsi_core_cancel(core, &run.run, 1);
    test_check(core);
    test_idle(core, 0); /* sections 1 and 2 were withdrawn */
    test_none_ended(core);
    assert_null(hsi_core_check_run(core, &run.run));
    hsi_core_cancel(core, &run.run, 2);
    test_none_ended(core);
    test_job_ended(core, job, HSCHED_OK);
    test_ended(core, &run, HSCHED_ERROR_CANCELLED);
    assert_int_equal(next.run.state, HSI_RUN_ACTIVE); /* its place in admission is free */
    hsi_core_cancel(core, &next.run, 3); /* nothing of it is running: at once */
    test_ended(core, &next, HSCHED_ERROR_CANCELLED);
    test_idle(core, 0);
    hsi_core_destroy(core);
}

static void test_cancel_too_late(void **state)
{
    (void)state;
    hsi_core *core = test_core(2, 4, 1);
    place_all(1);
    test_run run = { 0 };
    test_submit(core, &run, &chain, 0, 0);
    hsi_job *job = test_take(core, 1, &run, 0, 3);
    hsi_core_cancel(core, &run.run, 1);
    test_job_ended(core, job, HSCHED_OK);
    test_ended(core, &run, HSCHED_OK);
    hsi_core_destroy(core);
}

/* What came first counts: the cancel, or the failure. */
static void test_cancel_and_failure(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 1);
    test_run run = { 0 };
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        test_submit(core, &run, &wide, 0, 0);
        hsi_job *a = test_take(core, 0, &run, 0, 1), *b = test_take(core, 0, &run, 1, 1);
        if (cancel_first)
            hsi_core_cancel(core, &run.run, 1);
        test_job_ended(core, a, HSCHED_ERROR_IO);
        hsi_core_cancel(core, &run.run, 1);
        assert_int_equal(run.run.cancel_requested, cancel_first);
        test_none_ended(core);
        test_job_ended(core, b, HSCHED_OK);
        test_ended(core, &run, cancel_first ? HSCHED_ERROR_CANCELLED : HSCHED_ERROR_IO);
    }
    hsi_core_destroy(core);
}

/* ---- Failure ---- */

static void test_first_failure_counts(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 1);
    test_run run = { 0 };
    test_submit(core, &run, &wide, 0, 0);
    hsi_job *a = test_take(core, 0, &run, 0, 1), *b = test_take(core, 0, &run, 1, 1);
    test_job_ended(core, b, HSCHED_ERROR_OUT_OF_MEMORY);
    test_idle(core, 0);
    test_none_ended(core);
    assert_int_equal(run.run.status, HSCHED_ERROR_OUT_OF_MEMORY);
    test_job_ended(core, a, HSCHED_ERROR_IO);
    test_ended(core, &run, HSCHED_ERROR_OUT_OF_MEMORY);
    assert_int_equal(run.run.jobs_run, 0);
    hsi_core_destroy(core);
}

static void test_failure_of_the_cpu(void **state)
{
    (void)state;
    hsi_core *core = test_core(2, 1, 1);
    test_run run = { 0 };
    test_submit(core, &run, &chain, 0, 0);
    test_job_ended(core, test_take(core, 0, &run, 0, 1), HSCHED_ERROR_DEVICE);
    test_ended(core, &run, HSCHED_ERROR_DEVICE);
    hsi_core_device_lost(core, 0, 0); /* it cannot be */
    hsi_core_device_lost(core, 99, 0);
    assert_int_equal(hsi_core_lost_devices(core), 0);
    test_submit(core, &run, &chain, 0, 0);
    for (uint32_t s = 0; s < 3; s++)
        test_step(core, 0, &run, s);
    test_ended(core, &run, HSCHED_OK);
    assert_int_equal(run.run.moved, 0);
    hsi_core_destroy(core);
}

/* ---- Lost devices ---- */

static void test_queued_jobs_move(void **state)
{
    (void)state;
    hsi_core *core = test_core(3, 2, 4);
    place_all(1);
    test_run run = { 0 }, other = { 0 };
    test_submit(core, &run, &chain, 0, 0);
    test_submit(core, &other, &chain, 1, 0);
    assert_int_equal(hsi_core_queued(core, 1), 2);
    hsi_core_device_lost(core, 1, 5);
    test_check(core);
    test_idle(core, 1);
    assert_int_equal(hsi_core_lost_devices(core), 2);
    assert_int_equal(hsi_core_queued(core, 0), 2);
    hsi_core_device_lost(core, 1, 5); /* again: nothing more to do */
    assert_int_equal(stats_of(core).jobs_moved, 2);
    answers[1] =
        2; /* no matter: section 1 was part of a moved job, and goes where the job went */
    answers[2] = 2; /* section 2 was not */
    test_step(core, 0, &other, 0);
    test_step(core, 0, &other, 1);
    test_step(core, 2, &other, 2);
    test_ended(core, &other, HSCHED_OK);
    assert_int_equal(other.run.moved, 1);
    assert_int_equal(other.run.crossings, 1);
    hsi_core_cancel(core, &run.run, 0);
    test_ended(core, &run, HSCHED_ERROR_CANCELLED);
    hsi_core_destroy(core);
}

static void test_running_job_runs_again(void **state)
{
    (void)state;
    hsi_core *core = test_core(2, 3, 4);
    place_all(1);
    answers[0] = 0;
    test_run run = { 0 }, queued = { 0 };
    test_submit(core, &run, &chain, 0, 0);
    test_step(core, 0, &run, 0);
    hsi_job *job = test_take(core, 1, &run, 1, 2);
    assert_int_equal(job->crossings, 1);
    place_all(1);
    test_submit(core, &queued, &chain, 0, 0);
    test_job_ended(core, job, HSCHED_ERROR_DEVICE);
    assert_int_equal(hsi_core_lost_devices(core), 2);
    test_idle(core, 1);
    test_none_ended(core);
    job = test_take(core, 0, &run, 1, 1);
    assert_int_equal(job->crossings, 0);
    test_step(core, 0, &queued, 0);
    test_job_ended(core, job, HSCHED_OK);
    test_step(core, 0, &run, 2);
    test_ended(core, &run, HSCHED_OK);
    test_step(core, 0, &queued, 1);
    test_step(core, 0, &queued, 2);
    test_ended(core, &queued, HSCHED_OK);
    assert_int_equal(run.run.moved, 1);
    assert_int_equal(run.run.jobs_run, 3);
    assert_int_equal(run.run.crossings, 0);
    assert_int_equal(stats_of(core).jobs_moved, 2);
    hsi_core_destroy(core);
}

/* The device is known to be lost while a job runs there; it may still end well, or not.
 */
static void test_lost_under_a_running_job(void **state)
{
    (void)state;
    hsi_core *core = test_core(2, 1, 4);
    place_all(1);
    test_run well = { 0 }, ill = { 0 };
    test_submit(core, &well, &chain, 0, 0);
    test_submit(core, &ill, &chain, 0, 0);
    hsi_job *a = test_take(core, 1, &well, 0, 1), *b = test_take(core, 1, &ill, 0, 1);
    hsi_core_device_lost(core, 1, 0);
    test_idle(core, 0);
    test_job_ended(core, a, HSCHED_OK);
    test_job_ended(core, b, HSCHED_ERROR_DEVICE);
    hsi_job *job = test_take(core, 0, &well, 1, 1);
    assert_int_equal(job->crossings, 1);
    test_step(core, 0, &ill, 0);
    test_job_ended(core, job, HSCHED_OK);
    test_step(core, 0, &well, 2);
    test_ended(core, &well, HSCHED_OK);
    test_step(core, 0, &ill, 1);
    test_step(core, 0, &ill, 2);
    test_ended(core, &ill, HSCHED_OK);
    assert_int_equal(stats_of(core).jobs_moved, 1);
    hsi_core_destroy(core);
}

static void test_cancelled_or_failed_and_lost(void **state)
{
    (void)state;
    hsi_core *core = test_core(3, 1, 4);
    place_all(1);
    test_run cancelled = { 0 }, failed = { 0 };
    test_submit(core, &cancelled, &chain, 1, 0);
    answers[1] = 0;
    test_submit(core, &failed, &wide, 0, 0);
    hsi_job *job = test_take(core, 1, &cancelled, 0, 1);
    hsi_job *one = test_take(core, 1, &failed, 0, 1),
            *two = test_take(core, 0, &failed, 1, 1);
    hsi_core_cancel(core, &cancelled.run, 0);
    test_job_ended(core, two, HSCHED_ERROR_IO);
    test_job_ended(core, job, HSCHED_ERROR_DEVICE);
    test_ended(core, &cancelled, HSCHED_ERROR_CANCELLED);
    assert_int_equal(hsi_core_lost_devices(core), 2);
    test_job_ended(core, one, HSCHED_ERROR_DEVICE);
    test_ended(core, &failed, HSCHED_ERROR_IO);
    assert_int_equal(stats_of(core).jobs_moved, 0);
    test_idle(core, 0);
    hsi_core_destroy(core);
}

/* ---- Runs that wait for runs ---- */

static void run_through(hsi_core *core, const test_run *run)
{
    for (uint32_t s = 0; s < 3; s++)
        test_step(core, 0, run, s);
    test_ended(core, run, HSCHED_OK);
}

static void test_upstream_ends_well(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 8);
    test_run a = { 0 }, b = { 0 }, after = { 0 }, later = { 0 }, between = { 0 };
    test_submit(core, &a, &chain, 0, 0);
    test_submit(core, &b, &chain, 0, 0);
    test_submit_after(core, &after, &chain, 0, 10,
                      (hsi_core_run *[]){ &a.run, &b.run, &a.run, &a.run }, 4);
    test_submit(core, &between, &chain, 0, 11);
    assert_int_equal(after.run.blockers, 4);
    run_through(core, &a);
    assert_int_equal(after.run.state, HSI_RUN_BLOCKED);
    run_through(core, &b);
    run_through(core, &after); /* the time of submission counts: before `between` */
    test_submit_after(core, &later, &chain, 5, 12,
                      (hsi_core_run *[]){ &a.run, &after.run }, 2);
    assert_int_equal(later.run.state, HSI_RUN_ACTIVE);
    run_through(core, &later);
    run_through(core, &between);
    test_none_ended(core);
    hsi_core_destroy(core);
}

static void test_upstream_fails(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 8);
    test_run bad = { 0 }, good = { 0 }, d[4], after = { 0 };
    memset(d, 0, sizeof d);
    test_submit(core, &bad, &chain, 0, 0);
    test_submit(core, &good, &chain, -1, 0);
    /* d0 <- good, bad twice; d1 <- bad; d2 <- d0, good; d3 <- d2 */
    test_submit_after(core, &d[0], &chain, 0, 0,
                      (hsi_core_run *[]){ &bad.run, &good.run, &bad.run }, 3);
    test_submit_after(core, &d[1], &chain, 0, 0, (hsi_core_run *[]){ &bad.run }, 1);
    test_submit_after(core, &d[2], &chain, 0, 0,
                      (hsi_core_run *[]){ &d[0].run, &good.run }, 2);
    test_submit_after(core, &d[3], &chain, 0, 0, (hsi_core_run *[]){ &d[2].run }, 1);
    test_job_ended(core, test_take(core, 0, &bad, 0, 1), HSCHED_ERROR_LIMIT);
    test_ended(core, &bad, HSCHED_ERROR_LIMIT);
    test_ended(core, &d[0], HSCHED_ERROR_UPSTREAM);
    test_ended(core, &d[1], HSCHED_ERROR_UPSTREAM);
    test_ended(core, &d[2], HSCHED_ERROR_UPSTREAM);
    test_ended(core, &d[3], HSCHED_ERROR_UPSTREAM);
    test_none_ended(core);
    assert_null(good.run.dependents); /* the core refers to none of them any more */
    test_submit_after(core, &after, &chain, 0, 3,
                      (hsi_core_run *[]){ &good.run, &d[3].run }, 2);
    test_ended(core, &after, HSCHED_ERROR_UPSTREAM);
    assert_int_equal(after.run.ended_us, 3);
    memset(d, 0xa5, sizeof d);
    memset(&after, 0xa5, sizeof after);
    run_through(core, &good);
    test_none_ended(core);
    hsi_core_destroy(core);
}

static void test_upstream_cancelled(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 1);
    test_run a = { 0 }, b = { 0 }, c = { 0 };
    test_submit(core, &a, &chain, 0, 0);
    test_submit_after(core, &b, &chain, 0, 0, (hsi_core_run *[]){ &a.run }, 1);
    test_submit_after(core, &c, &chain, 0, 0, (hsi_core_run *[]){ &a.run, &b.run }, 2);
    hsi_core_cancel(core, &b.run, 0); /* in the middle of a's list */
    test_ended(core, &b, HSCHED_ERROR_CANCELLED);
    test_ended(core, &c, HSCHED_ERROR_UPSTREAM);
    assert_null(a.run.dependents);
    test_submit_after(core, &b, &chain, 0, 0, (hsi_core_run *[]){ &a.run }, 1);
    hsi_core_cancel(core, &a.run, 0);
    test_ended(core, &a, HSCHED_ERROR_CANCELLED);
    test_ended(core, &b, HSCHED_ERROR_UPSTREAM);
    test_none_ended(core);
    hsi_core_destroy(core);
}

/* Of all that become able to start at once, the best key is admitted, not the first in
 * the list. */
static void test_unblocked_together(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 1);
    test_run a = { 0 }, low = { 0 }, high = { 0 };
    test_submit(core, &a, &chain, 3, 0);
    test_submit_after(core, &low, &chain, 0, 0, (hsi_core_run *[]){ &a.run }, 1);
    test_submit_after(core, &high, &chain, 2, 1, (hsi_core_run *[]){ &a.run }, 1);
    run_through(core, &a);
    assert_int_equal(high.run.state, HSI_RUN_ACTIVE);
    assert_int_equal(low.run.state, HSI_RUN_WAITING);
    run_through(core, &high);
    run_through(core, &low);
    hsi_core_destroy(core);
}

#define LONG_CHAIN 100000

/* A failure runs down a chain of any length without recursion. */
static void test_long_chain(void **state)
{
    (void)state;
    static hsi_core_run runs[LONG_CHAIN];
    static hsi_core_edge edges[LONG_CHAIN];
    static hsi_job jobs[LONG_CHAIN];
    test_model one;
    test_model_init(&one, 1, 1, &hsi_policy_cpu_only);
    hsi_core *core = test_core(1, 1, 2);
    for (uint32_t i = 0; i < LONG_CHAIN; i++) {
        runs[i] = (hsi_core_run){ .model = &one.core, .jobs = &jobs[i] };
        hsi_core_run *upstream = i > 0 ? &runs[i - 1] : NULL;
        assert_int_equal(hsi_core_submit(core, &runs[i], &upstream, &edges[i], i > 0, i),
                         HSCHED_OK);
    }
    hsi_core_job_ended(core, hsi_core_take(core, 0), HSCHED_ERROR_IO, LONG_CHAIN);
    for (uint32_t i = 0; i < LONG_CHAIN; i++) {
        assert_ptr_equal(hsi_core_next_ended(core), &runs[i]);
        assert_int_equal(runs[i].status,
                         i == 0 ? HSCHED_ERROR_IO : HSCHED_ERROR_UPSTREAM);
    }
    test_none_ended(core);
    test_check(core);
    hsi_core_destroy(core);
}

/* A model whose users contradict its deps ends with an error and does not run for ever.
 */
static void test_contradicting_model(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 1);
    test_model model;
    test_model_chain(&model, 2, 1, &hsi_policy_cpu_only);
    model.sections[0].user_count = 0;
    test_run run = { 0 };
    test_submit(core, &run, &model, 0, 0);
    test_step(core, 0, &run, 0);
    test_ended(core, &run, HSCHED_ERROR_INTERNAL);
    hsi_core_destroy(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_cancel_not_active, setup),
        cmocka_unit_test_setup(test_what_has_begun, setup),
        cmocka_unit_test_setup(test_cancel_active, setup),
        cmocka_unit_test_setup(test_cancel_too_late, setup),
        cmocka_unit_test_setup(test_cancel_and_failure, setup),
        cmocka_unit_test_setup(test_first_failure_counts, setup),
        cmocka_unit_test_setup(test_failure_of_the_cpu, setup),
        cmocka_unit_test_setup(test_queued_jobs_move, setup),
        cmocka_unit_test_setup(test_running_job_runs_again, setup),
        cmocka_unit_test_setup(test_lost_under_a_running_job, setup),
        cmocka_unit_test_setup(test_cancelled_or_failed_and_lost, setup),
        cmocka_unit_test_setup(test_upstream_ends_well, setup),
        cmocka_unit_test_setup(test_upstream_fails, setup),
        cmocka_unit_test_setup(test_upstream_cancelled, setup),
        cmocka_unit_test_setup(test_unblocked_together, setup),
        cmocka_unit_test_setup(test_long_chain, setup),
        cmocka_unit_test_setup(test_contradicting_model, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
