/* Who goes first: keys, ageing, ties, admission; and what submit refuses. */
#include "unit/test_core_model.h"

#include "base/alloc.h"
#include "sched/internal.h"

static test_model chain1, chain2, wide;

static int setup(void **state)
{
    (void)state;
    test_model_chain(&chain1, 1, 1, &hsi_policy_cpu_only);
    test_model_chain(&chain2, 2, 1, &hsi_policy_cpu_only);
    test_model_init(&wide, 3, 1, &hsi_policy_cpu_only);
    return 0;
}

static void drain_one(hsi_core *core, test_run *run)
{
    test_step(core, 0, run, 0);
    test_ended(core, run, HSCHED_OK);
}

static void test_create_refuses(void **state)
{
    (void)state;
    const hsi_core_config good = {
        .device_count = 2,
        .devices = { { 1, 1 }, { 1, 4 } },
        .ageing_us = 1,
        .active_limit = 1,
    };
    hsi_core *core;
    for (int wrong = 0; wrong < 10; wrong++) {
        hsi_core_config config = good;
        if (wrong == 0)
            config.device_count = 0;
        if (wrong == 1)
            config.device_count = HSI_MAX_DEVICES + 1;
        if (wrong == 2)
            config.devices[1].workers = 0;
        if (wrong == 3)
            config.devices[0].max_sections_per_job = 2;
        if (wrong == 4)
            config.ageing_us = 0;
        if (wrong == 5)
            config.ageing_us = HSI_AGEING_MAX_US + 1;
        if (wrong == 6)
            config.active_limit = 0;
        if (wrong == 8)
            config.devices[0].max_batch = 2;
        if (wrong == 9)
            config.devices[0].own_memory = 1;
        if (wrong == 7)
            hsi_alloc_fail_after(1);
        core = (hsi_core *)&config;
        assert_int_equal(hsi_core_create(&config, &core),
                         wrong == 7 ? HSCHED_ERROR_OUT_OF_MEMORY
                                    : HSCHED_ERROR_INVALID_ARGUMENT);
        assert_null(core);
        assert_true(hsched_error_detail()[0] != '\0');
    }
    assert_int_equal(hsi_core_create(&good, &core), HSCHED_OK);
    hsi_core_destroy(core);
    hsi_core_destroy(NULL);
}

static void test_priority_then_submission(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run low = { 0 }, first = { 0 }, second = { 0 }, high = { 0 };
    test_submit(core, &low, &chain1, -1, 100);
    test_submit(core, &first, &chain1, 0, 100);
    test_submit(core, &second, &chain1, 0, 100);
    test_submit(core, &high, &chain1, 1, 100);
    assert_int_equal(hsi_core_queued(core, 0), 4);
    drain_one(core, &high);
    drain_one(core, &first);
    drain_one(core, &second);
    drain_one(core, &low);
    test_idle(core, 0);
    hsi_core_destroy(core);
}

/* Equal keys by different ways: priority 1 at 2000 and priority 0 at 1000 (ageing is
 * 1000). */
static void test_ageing_is_worth_a_level(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run old = { 0 }, newer = { 0 }, newest = { 0 }, early = { 0 };
    test_submit(core, &old, &chain1, 0, 1000);
    test_submit(core, &early, &chain1, 1, 1999);
    test_submit(core, &newer, &chain1, 1, 2000);
    test_submit(core, &newest, &chain1, 1, 2001);
    drain_one(core, &early);
    drain_one(core, &old);
    drain_one(core, &newer);
    drain_one(core, &newest);
    hsi_core_destroy(core);
}

static void test_time_does_not_go_back(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run a = { 0 }, b = { 0 };
    test_submit(core, &a, &chain1, 0, 500);
    test_submit(core, &b, &chain1, 0, 400);
    assert_int_equal(b.run.submitted_us, 500);
    drain_one(core, &a);
    drain_one(core, &b);
    assert_int_equal(b.run.ended_us, 500);
    hsi_core_destroy(core);
}

/*
 * A stream of urgent runs that fills the worker cannot keep the least urgent one waiting
 * for longer than the distance of their priorities times the ageing, whether it waits for
 * a worker (it came first) or for admission (it came last). Service takes 50 us; nine
 * runs are outstanding.
 */
static void starve(uint32_t limit, int low_first)
{
    hsi_core *core = test_core(1, 1, limit);
    static test_run urgent[8];
    memset(urgent, 0, sizeof urgent);
    test_run low = { 0 };
    uint64_t now = 1, bound = now + 200 * 1000;
    if (low_first)
        test_submit(core, &low, &chain1, HSCHED_PRIORITY_MIN, now);
    for (uint32_t i = 0; i < 8; i++)
        test_submit(core, &urgent[i], &chain1, HSCHED_PRIORITY_MAX, now);
    if (!low_first)
        test_submit(core, &low, &chain1, HSCHED_PRIORITY_MIN, now);
    hsi_job *job;
    while ((job = hsi_core_take(core, 0)) != NULL && job->run != &low.run) {
        assert_true(now <= bound + 50 * 9);
        now += 50;
        hsi_core_job_ended(core, job, HSCHED_OK, now);
        hsi_core_run *run = hsi_core_next_ended(core);
        assert_non_null(run);
        test_submit(core, (test_run *)run, &chain1, HSCHED_PRIORITY_MAX, now);
    }
    assert_non_null(job);
    assert_true(now >=
                bound); /* nor does it overtake those that priority puts before it */
    hsi_core_job_ended(core, job, HSCHED_OK, now);
    test_ended(core, &low, HSCHED_OK);
    while ((job = hsi_core_take(core, 0)) != NULL) {
        hsi_core_job_ended(core, job, HSCHED_OK, now);
        assert_non_null(hsi_core_next_ended(core));
    }
    hsi_core_destroy(core);
}

static void test_no_starvation(void **state)
{
    (void)state;
    for (uint32_t limit = 1; limit <= 64; limit *= 4) {
        starve(limit, 1);
        starve(limit, 0);
    }
}

static void test_sections_in_order(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 16);
    test_run run = { 0 };
    test_submit(core, &run, &wide, 0, 0);
    for (uint32_t s = 0; s < 3; s++)
        test_step(core, 0, &run, s);
    test_ended(core, &run, HSCHED_OK);
    assert_int_equal(run.run.jobs_run, 3);
    hsi_core_destroy(core);
}

static void test_admission_limit(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 2);
    test_run runs[5];
    memset(runs, 0, sizeof runs);
    for (uint32_t i = 0; i < 5; i++)
        test_submit(core, &runs[i], &chain2, 0, 10 + i);
    hsi_core_stats stats;
    hsi_core_get_stats(core, &stats);
    assert_int_equal(stats.active_runs, 2);
    assert_int_equal(stats.waiting_runs, 3);
    assert_int_equal(runs[1].run.state, HSI_RUN_ACTIVE);
    assert_int_equal(runs[2].run.state, HSI_RUN_WAITING);
    test_step(core, 0, &runs[0], 0);
    assert_int_equal(runs[2].run.state, HSI_RUN_WAITING);
    hsi_core_job_ended(core, test_take(core, 0, &runs[0], 1, 1), HSCHED_OK, 99);
    test_ended(core, &runs[0], HSCHED_OK);
    assert_int_equal(runs[2].run.state, HSI_RUN_ACTIVE);
    assert_int_equal(runs[2].run.admitted_us, 99);
    assert_int_equal(runs[3].run.state, HSI_RUN_WAITING);
    for (uint32_t i = 1; i < 5; i++) {
        test_step(core, 0, &runs[i], 0);
        test_step(core, 0, &runs[i], 1);
        test_ended(core, &runs[i], HSCHED_OK);
    }
    hsi_core_get_stats(core, &stats);
    assert_int_equal(stats.active_runs + stats.waiting_runs, 0);
    assert_int_equal(stats.jobs, 10);
    hsi_core_destroy(core);
}

/* Urgent runs do not count less urgent ones; the others count all that are as urgent or
 * more. */
static void test_admission_by_priority(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 2);
    test_run low[3], high[3], middle = { 0 };
    memset(low, 0, sizeof low);
    memset(high, 0, sizeof high);
    for (uint32_t i = 0; i < 3; i++)
        test_submit(core, &low[i], &chain1, -5, 0);
    for (uint32_t i = 0; i < 3; i++)
        test_submit(core, &high[i], &chain1, 5, 0);
    test_submit(core, &middle, &chain1, 0, 0);
    assert_int_equal(low[1].run.state, HSI_RUN_ACTIVE);
    assert_int_equal(low[2].run.state, HSI_RUN_WAITING);
    assert_int_equal(high[1].run.state, HSI_RUN_ACTIVE);
    assert_int_equal(high[2].run.state, HSI_RUN_WAITING);
    assert_int_equal(middle.run.state, HSI_RUN_WAITING);
    drain_one(core, &high[0]); /* its place goes to the best key: high[2] */
    assert_int_equal(high[2].run.state, HSI_RUN_ACTIVE);
    assert_int_equal(middle.run.state, HSI_RUN_WAITING);
    drain_one(core, &high[1]);
    assert_int_equal(middle.run.state, HSI_RUN_ACTIVE);
    assert_int_equal(low[2].run.state, HSI_RUN_WAITING);
    drain_one(core, &high[2]);
    assert_int_equal(low[2].run.state,
                     HSI_RUN_WAITING); /* middle, low[0] and low[1] are active */
    drain_one(core, &middle);
    drain_one(core, &low[0]);
    assert_int_equal(low[2].run.state, HSI_RUN_ACTIVE);
    drain_one(core, &low[1]);
    drain_one(core, &low[2]);
    hsi_core_destroy(core);
}

static void test_submit_refuses(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 2);
    test_run run = { 0 }, other = { 0 };
    run.run = (hsi_core_run){ .model = &chain1.core, .jobs = run.jobs, .priority = 101 };
    assert_int_equal(hsi_core_submit(core, &run.run, NULL, NULL, 0, 0),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    run.run.priority = -101;
    assert_int_equal(hsi_core_submit(core, &run.run, NULL, NULL, 0, 0),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    run.run.priority = 0;
    hsi_core_run *upstream = &run.run;
    assert_int_equal(hsi_core_submit(core, &run.run, &upstream, run.edges, 1, 0),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    upstream = &other.run; /* never submitted */
    assert_int_equal(hsi_core_submit(core, &run.run, &upstream, run.edges, 1, 0),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    assert_int_equal(run.run.state, HSI_RUN_IDLE);
    assert_int_equal(hsi_core_submit(core, &run.run, NULL, NULL, 0, 0), HSCHED_OK);
    assert_int_equal(hsi_core_submit(core, &run.run, NULL, NULL, 0, 0),
                     HSCHED_ERROR_STATE);
    drain_one(core, &run);
    upstream = &run.run; /* ended well, but its storage is about to be used anew */
    assert_int_equal(hsi_core_submit(core, &run.run, &upstream, run.edges, 1, 0),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    assert_int_equal(run.run.state, HSI_RUN_ENDED);
    test_none_ended(core);
    hsi_core_destroy(core);
}

/* Wherever the heap fails, submit changes nothing; when it succeeds, nothing later needs
 * the heap. */
static void test_submit_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t k = 1;; k++) {
        hsi_core *core = test_core(1, 1, 2);
        test_run run = { 0 };
        run.run = (hsi_core_run){ .model = &wide.core, .jobs = run.jobs };
        hsi_alloc_fail_after(k);
        hsched_status status = hsi_core_submit(core, &run.run, NULL, NULL, 0, 0);
        hsi_alloc_fail_after(0);
        if (status == HSCHED_OK) {
            assert_true(k > 2);
            hsi_core_cancel(core, &run.run, 0);
            test_ended(core, &run, HSCHED_ERROR_CANCELLED);
            hsi_core_destroy(core);
            return;
        }
        assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
        assert_int_equal(run.run.state, HSI_RUN_IDLE);
        test_check(core);
        test_idle(core, 0);
        test_none_ended(core);
        hsi_core_destroy(core);
    }
}

#define MANY 65536

/* So many runs of one priority, and then one that may have so many jobs queued at once.
 */
static void test_submit_limit(void **state)
{
    (void)state;
    static test_run one;
    static hsi_core_run many[MANY];
    static hsi_job jobs[MANY], wide_jobs[MANY];
    static hsi_core_section sections[MANY];
    hsi_core *core = test_core(1, 1, UINT32_MAX);
    for (uint32_t i = 0; i < MANY; i++)
        many[i] = (hsi_core_run){ .model = &chain1.core, .jobs = &jobs[i] };
    for (uint32_t i = 0; i < MANY - 1; i++)
        assert_int_equal(hsi_core_submit(core, &many[i], NULL, NULL, 0, 0), HSCHED_OK);
    hsi_core_model huge = { .section_count = MANY, .sections = sections };
    hsi_core_run wide_run = { .model = &huge, .jobs = wide_jobs };
    assert_int_equal(hsi_core_submit(core, &wide_run, NULL, NULL, 0, 0),
                     HSCHED_ERROR_LIMIT);
    assert_int_equal(wide_run.state, HSI_RUN_IDLE);
    test_submit(core, &one, &chain1, 0, 0);
    for (uint32_t i = 0; i < MANY - 1; i++)
        hsi_core_cancel(core, &many[i], 0);
    while (hsi_core_next_ended(core))
        ;
    drain_one(core, &one);
    hsi_core_destroy(core);
}

/* A chain of sections has one job queued at a time, however long it is; so room is made
 * for as many jobs as a run can have queued at once. */
static void test_room_for_jobs(void **state)
{
    (void)state;
    static test_run runs[1000];
    test_model long_chain, branches; /* 0 -> {1 -> 3 -> 5, 2 -> 4 -> 6} -> 7 */
    test_model_chain(&long_chain, TEST_SECTIONS, 1, &hsi_policy_cpu_only);
    test_model_init(&branches, 8, 1, &hsi_policy_cpu_only);
    test_model_edge(&branches, 0, 1, 1);
    for (uint32_t s = 0; s < 5; s++)
        test_model_edge(&branches, s, s + 2, 1);
    test_model_edge(&branches, 5, 7, 1);
    test_model_edge(&branches, 6, 7, 1);
    hsi_core *core = test_core(1, 1, 1000);
    memset(runs, 0, sizeof runs);
    for (uint32_t i = 0; i < 1000; i++)
        test_submit(core, &runs[i], &long_chain, 0, 0);
    assert_int_equal(core->job_capacity, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        hsi_core_cancel(core, &runs[i].run, 0);
        test_ended(core, &runs[i], HSCHED_ERROR_CANCELLED);
    }
    test_submit(core, &runs[0], &branches, 0, 0);
    assert_in_range(core->job_capacity, 2 * 1000, 4 * 1000);
    assert_in_range(core->queues[0].capacity, 2 * 1000, 4 * 1000);
    hsi_core_cancel(core, &runs[0].run, 0);
    test_ended(core, &runs[0], HSCHED_ERROR_CANCELLED);
    test_submit(core, &runs[0], &wide, 1, 0); /* a level of its own: three more */
    assert_in_range(core->job_capacity, 2 * 1000 + 3, 4 * 1000 + 3);
    hsi_core_cancel(core, &runs[0].run, 0);
    hsi_core_destroy(core);
}

/* Storage grows with the peak of outstanding runs and never after. */
static void test_warm_without_heap(void **state)
{
    (void)state;
    hsi_core *core = test_core(1, 1, 4);
    static test_run runs[40];
    memset(runs, 0, sizeof runs);
    uint64_t calls = 0;
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 40; i++)
            test_submit(core, &runs[i], i % 2 ? &wide : &chain2, (int)(i % 3), round);
        hsi_job *job;
        while ((job = hsi_core_take(core, 0)) != NULL)
            test_job_ended(core, job, HSCHED_OK);
        for (uint32_t i = 0; i < 40; i++)
            assert_int_equal(hsi_core_next_ended(core)->status, HSCHED_OK);
        if (round > 0)
            assert_int_equal(hsi_alloc_count(), calls);
        calls = hsi_alloc_count();
    }
    hsi_core_destroy(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_refuses),
        cmocka_unit_test(test_priority_then_submission),
        cmocka_unit_test(test_ageing_is_worth_a_level),
        cmocka_unit_test(test_time_does_not_go_back),
        cmocka_unit_test(test_no_starvation),
        cmocka_unit_test(test_sections_in_order),
        cmocka_unit_test(test_admission_limit),
        cmocka_unit_test(test_admission_by_priority),
        cmocka_unit_test(test_submit_refuses),
        cmocka_unit_test(test_submit_out_of_memory),
        cmocka_unit_test(test_submit_limit),
        cmocka_unit_test(test_room_for_jobs),
        cmocka_unit_test(test_warm_without_heap),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
