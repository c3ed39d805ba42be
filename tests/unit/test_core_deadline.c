/* Deadlines in the core: who goes first, who has missed, who is dropped. Ageing is worth a level in
 * 1000 us (test_core_of), so deadlines count up to 500 us ahead. */
#include "unit/test_core_model.h"

#include "base/alloc.h"
#include "sched/internal.h"

enum {
    NONE = 0
};

static test_model chain1, chain2;

static int setup(void **state)
{
    (void)state;
    test_model_chain(&chain1, 1, 2, &hsi_policy_cpu_only);
    test_model_chain(&chain2, 2, 2, &hsi_policy_cpu_only);
    return 0;
}

static void submit(hsi_core *core, test_run *run, const test_model *model, int priority,
                   uint64_t now, uint64_t deadline, int drop)
{
    run->run.deadline_us = deadline;
    run->run.drop_late = (uint8_t)drop;
    test_submit(core, run, model, priority, now);
}

/* The runs are executed in this order, one section each. */
static void expect_order(hsi_core *core, test_run *runs, const uint32_t *order,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        test_step(core, 0, &runs[order[i]], 0);
        test_ended(core, &runs[order[i]], HSCHED_OK);
    }
    test_idle(core, 0);
}

/* No deadline counts as one in 500 us. */
static void the_earliest_deadline_goes_first(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run runs[5] = { 0 };
    submit(core, &runs[0], &chain1, 0, 1000, NONE, 0);
    submit(core, &runs[1], &chain1, 0, 1100, 1600, 0);
    submit(core, &runs[2], &chain1, 0, 1200, 1400, 0);
    submit(core, &runs[3], &chain1, 0, 1300, 1500, 0);
    submit(core, &runs[4], &chain1, 0, 1350, 1400, 0); /* equal: as they came */
    expect_order(core, runs, (uint32_t[]){ 2, 4, 0, 3, 1 }, 5);
    hsi_core_destroy(core);
}

/* 500 us is as near as no deadline at all: what is farther away goes as it came. */
static void far_deadlines_go_as_they_came(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run runs[4] = { 0 };
    submit(core, &runs[0], &chain1, 0, 1000, 9000, 0);
    submit(core, &runs[1], &chain1, 0, 1001, 5000, 0);
    submit(core, &runs[2], &chain1, 0, 1002, NONE, 0);
    submit(core, &runs[3], &chain1, 0, 1003, 1503, 0);
    expect_order(core, runs, (uint32_t[]){ 0, 1, 2, 3 }, 4);
    hsi_core_destroy(core);
}

/* No deadline passes a run of a higher priority that has waited less than half a level less. */
static void priorities_come_first(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run runs[4] = { 0 };
    submit(core, &runs[0], &chain1, 0, 1000, 1001, 0); /* key 1000 - 499 */
    submit(core, &runs[1], &chain1, 1, 1500, NONE, 0); /* key 500 */
    submit(core, &runs[2], &chain1, 0, 2000, 2000, 0); /* key 1500 */
    submit(core, &runs[3], &chain1, 1, 2501, NONE, 0); /* key 1501 */
    expect_order(core, runs, (uint32_t[]){ 1, 0, 2, 3 }, 4);
    hsi_core_destroy(core);
}

static void expect_counts(const hsi_core *core, uint64_t missed, uint64_t dropped)
{
    hsi_core_stats stats;
    hsi_core_get_stats(core, &stats);
    assert_int_equal(stats.missed, missed);
    assert_int_equal(stats.dropped, dropped);
}

static void a_late_run_goes_on_and_is_counted(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run runs[3] = { 0 };
    submit(core, &runs[0], &chain1, 0, 1000, 1200, 0);
    submit(core, &runs[1], &chain1, 0, 1000, 1201, 0);
    submit(core, &runs[2], &chain1, 0, 1000, NONE, 0);
    assert_int_equal(hsi_core_next_tick(core), 1201);
    hsi_core_tick(core, 1200); /* it may still end at its deadline */
    expect_counts(core, 0, 0);
    hsi_core_tick(core, 1201);
    expect_counts(core, 1, 0);
    assert_int_equal(hsi_core_next_tick(core), 1202);
    test_none_ended(core);
    hsi_job *first = test_take(core, 0, &runs[0], 0, 1);
    hsi_core_job_ended(core, first, HSCHED_OK, 1201);
    test_ended(core, &runs[0], HSCHED_OK);
    hsi_job *second = test_take(core, 0, &runs[1], 0, 1);
    hsi_core_job_ended(core, second, HSCHED_OK, 1300); /* nobody has noticed before */
    test_ended(core, &runs[1], HSCHED_OK);
    assert_true(runs[0].run.missed && runs[1].run.missed);
    test_step(core, 0, &runs[2], 0);
    test_ended(core, &runs[2], HSCHED_OK);
    assert_false(runs[2].run.missed);
    expect_counts(core, 2, 0);
    assert_int_equal(hsi_core_next_tick(core), UINT64_MAX);
    hsi_core_destroy(core);
}

static void who_is_in_time_is_not_counted(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run run = { 0 };
    submit(core, &run, &chain1, 0, 1000, 1200, 1);
    hsi_core_job_ended(core, test_take(core, 0, &run, 0, 1), HSCHED_OK, 1200);
    test_ended(core, &run, HSCHED_OK);
    hsi_core_tick(core, 5000);
    expect_counts(core, 0, 0);
    hsi_core_destroy(core);
}

/* The worker gets the run behind it, and the one that waited for its place. */
static void a_queued_run_is_dropped_before_it_is_taken(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 1);
    test_run runs[3] = { 0 };
    submit(core, &runs[0], &chain2, 0, 1000, 1100, 1);
    submit(core, &runs[1], &chain1, 0, 1000, 1150, 1); /* waits for admission */
    submit(core, &runs[2], &chain1, 0, 1000, NONE, 1);
    hsi_job *job;
    assert_int_equal(hsi_core_take_batch(core, 0, &job, 1, 1151), 1);
    assert_ptr_equal(job->run, &runs[2].run);
    assert_true(hsi_core_has_ended(core));
    test_ended(core, &runs[0], HSCHED_ERROR_DEADLINE);
    test_ended(core, &runs[1], HSCHED_ERROR_DEADLINE);
    assert_false(hsi_core_has_ended(core));
    test_job_ended(core, job, HSCHED_OK);
    test_ended(core, &runs[2], HSCHED_OK);
    expect_counts(core, 2, 2);
    hsi_core_destroy(core);
}

static void a_running_run_is_dropped_when_its_job_has_ended(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run runs[2] = { 0 };
    submit(core, &runs[0], &chain2, 1, 1000, 1100, 1);
    submit(core, &runs[1], &chain1, 1, 1000, 1100, 1);
    hsi_job *first = test_take(core, 0, &runs[0], 0, 1);
    hsi_job *last = test_take(core, 0, &runs[1], 0, 1);
    hsi_core_tick(core, 1101);
    test_none_ended(core);
    test_job_ended(core, first, HSCHED_OK);
    test_ended(core, &runs[0], HSCHED_ERROR_DEADLINE);
    test_job_ended(core, last, HSCHED_OK); /* it was its last: the results are there */
    test_ended(core, &runs[1], HSCHED_OK);
    expect_counts(core, 2, 1);
    hsi_core_destroy(core);
}

static void who_waits_for_a_dropped_run_ends_too(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run first = { 0 }, second = { 0 }, third = { 0 };
    submit(core, &first, &chain1, 0, 1000, 1100, 1);
    second.run.deadline_us = 1100; /* blocked, and dropped itself */
    second.run.drop_late = 1;
    test_submit_after(core, &second, &chain1, 0, 1000, (hsi_core_run *[]){ &first.run },
                      1);
    test_submit_after(core, &third, &chain1, 0, 1000, (hsi_core_run *[]){ &first.run },
                      1);
    hsi_core_tick(core, 2000);
    test_ended(core, &first, HSCHED_ERROR_DEADLINE);
    test_ended(core, &second, HSCHED_ERROR_DEADLINE);
    test_ended(core, &third, HSCHED_ERROR_UPSTREAM);
    test_idle(core, 0);
    hsi_core_destroy(core);
}

static void a_deadline_in_the_past(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run run = { 0 };
    submit(core, &run, &chain1, 0, 5000, 4000, 1);
    assert_null(hsi_core_take(core, 0));
    test_ended(core, &run, HSCHED_ERROR_DEADLINE);
    expect_counts(core, 1, 1);
    hsi_core_destroy(core);
}

/* One deadline more than there is room for: the heap must grow, and cannot. */
static void without_memory_nothing_changes(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    static test_run runs[64];
    uint32_t made = 0;
    memset(runs, 0, sizeof runs);
    do
        submit(core, &runs[made++], &chain1, 0, 1000, 9000, 1);
    while (made < 63 && core->deadlines.count < core->deadlines.capacity);
    test_run *more = &runs[made];
    more->run.model = &chain1.core;
    more->run.jobs = more->jobs;
    more->run.deadline_us = 9000;
    hsi_alloc_fail_after(1);
    assert_int_equal(hsi_core_submit(core, &more->run, NULL, NULL, 0, 1000),
                     HSCHED_ERROR_OUT_OF_MEMORY);
    hsi_alloc_fail_after(0);
    assert_int_equal(more->run.state, HSI_RUN_IDLE);
    test_check(core);
    for (uint32_t i = 0; i < made; i++) {
        test_step(core, 0, &runs[i], 0);
        test_ended(core, &runs[i], HSCHED_OK);
    }
    hsi_core_destroy(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_deadline_goes_first),
        cmocka_unit_test(far_deadlines_go_as_they_came),
        cmocka_unit_test(priorities_come_first),
        cmocka_unit_test(a_late_run_goes_on_and_is_counted),
        cmocka_unit_test(who_is_in_time_is_not_counted),
        cmocka_unit_test(a_queued_run_is_dropped_before_it_is_taken),
        cmocka_unit_test(a_running_run_is_dropped_when_its_job_has_ended),
        cmocka_unit_test(who_waits_for_a_dropped_run_ends_too),
        cmocka_unit_test(a_deadline_in_the_past),
        cmocka_unit_test(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests_name("deadlines", tests, setup, NULL);
}
