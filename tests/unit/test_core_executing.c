/* Priorities on a busy device: strict devices, workers that are kept, jobs that pause. */
#include "unit/test_core_model.h"

#include "base/status.h"

enum {
    LOW = 0,
    HIGH = 10,
    SECTIONS = 4
};

static test_model model;
static test_run low[3], high[2];

/* An accelerator that takes and joins whole runs. */
static hsi_core *make_core(hsi_core_device device)
{
    device.workers = 3;
    device.max_sections_per_job = UINT32_MAX;
    device.max_batch = 4;
    hsi_core_config config = { .device_count = 2,
                               .devices = { { .workers = 1 }, device },
                               .ageing_us = 1000,
                               .active_limit = 16,
                               .max_segment_us = 500,
                               .class_memory_us = 100 };
    hsi_core *core;
    test_model_chain(&model, SECTIONS, 2, &hsi_policy_gpu_only);
    memset(low, 0, sizeof low);
    memset(high, 0, sizeof high);
    assert_int_equal(hsi_core_create(&config, &core), HSCHED_OK);
    return core;
}

static void expect_ended(hsi_core *core, test_run *run, hsched_status status)
{
    test_ended(core, run, status);
    test_check(core);
}

static void test_nothing_is_begun_beside_a_higher_priority(void **state)
{
    (void)state;
    hsi_core *core = make_core((hsi_core_device){ .strict = 1 });
    test_submit(core, &high[0], &model, HIGH, 1);
    hsi_job *urgent = test_take(core, 1, &high[0], 0, SECTIONS);
    test_submit(core, &low[0], &model, LOW, 2);
    assert_null(hsi_core_take(core, 1));
    assert_int_equal(hsi_core_next_due(core, 1), UINT64_MAX);
    assert_int_equal(hsi_core_startable(core, 1), 0);
    assert_int_equal(hsi_core_executing(core, 1), HIGH);
    assert_int_equal(hsi_core_executing_count(core, 1), 1);
    test_submit(core, &high[1], &model, HIGH, 3); /* its own priority may be beside it */
    hsi_job *other = test_take(core, 1, &high[1], 0, SECTIONS);
    assert_int_equal(hsi_core_executing_count(core, 1), 2);
    test_job_ended(core, urgent, HSCHED_OK);
    assert_int_equal(hsi_core_executing_count(core, 1), 1);
    assert_int_equal(hsi_core_executing_count(core, 0), 0);
    assert_null(hsi_core_take(core, 1));
    test_job_ended(core, other, HSCHED_OK);
    assert_int_equal(hsi_core_next_due(core, 1), 0);
    hsi_job *late = test_take(core, 1, &low[0], 0, SECTIONS);
    test_submit(core, &high[0], &model, HIGH,
                4); /* and a higher one beside a lower one */
    test_job_ended(core, test_take(core, 1, &high[0], 0, SECTIONS), HSCHED_OK);
    test_job_ended(core, late, HSCHED_OK);
    hsi_core_destroy(core);
}

static void test_a_worker_is_kept_while_a_priority_is_in_use(void **state)
{
    (void)state;
    hsi_core *core = make_core((hsi_core_device){ .reserved = 1 });
    hsi_job *jobs[3];
    model.core.max_batch = 1;
    for (int i = 0; i < 2; i++) {
        test_submit(core, &low[i], &model, LOW, 1);
        jobs[i] = test_take(core, 1, &low[i], 0, SECTIONS);
    }
    test_submit(core, &high[0], &model, HIGH, 2);
    jobs[2] = test_take(core, 1, &high[0], 0, SECTIONS);
    test_job_ended(core, jobs[2], HSCHED_OK); /* at 2 */
    test_submit(core, &low[2], &model, LOW, 3);
    assert_null(hsi_core_take(core, 1));
    assert_int_equal(hsi_core_next_due(core, 1), 102); /* then it was long ago */
    hsi_core_tick(core, 101);
    assert_null(hsi_core_take(core, 1));
    hsi_core_tick(core, 102);
    jobs[2] = test_take(core, 1, &low[2], 0, SECTIONS);
    for (int i = 0; i < 3; i++)
        test_job_ended(core, jobs[i], HSCHED_OK);
    hsi_core_destroy(core);
}

static void test_segments_are_for_priorities_that_are_not_the_highest(void **state)
{
    (void)state;
    hsi_core *core = make_core((hsi_core_device){ 0 });
    test_submit(core, &low[0], &model, LOW, 1);
    assert_true(hsi_core_segment_us(core, LOW) == UINT64_MAX);
    test_submit(core, &high[0], &model, HIGH, 2);
    assert_true(hsi_core_segment_us(core, LOW) == 500);
    assert_true(hsi_core_segment_us(core, HIGH - 1) == 500);
    assert_true(hsi_core_segment_us(core, HIGH) == UINT64_MAX);
    hsi_core_cancel(core, &high[0].run, 10);
    hsi_core_tick(core, 109);
    assert_true(hsi_core_segment_us(core, LOW) == 500);
    hsi_core_tick(core, 110);
    assert_true(hsi_core_segment_us(core, LOW) == UINT64_MAX);
    hsi_core_cancel(core, &low[0].run, 110);
    hsi_core_destroy(core);
}

/* Three runs as one, before and after a run that goes between. */
static void test_a_batch_pauses_and_goes_on(void **state)
{
    (void)state;
    hsi_core *core = make_core((hsi_core_device){ .strict = 1 });
    hsi_job *batch[4], *again[4];
    model.core.max_batch = 4;
    for (int i = 0; i < 3; i++)
        test_submit(core, &low[i], &model, LOW, 1);
    assert_int_equal(hsi_core_take_batch(core, 1, batch, 4, 1), 3);
    test_submit(core, &high[0], &model, HIGH, 2);
    hsi_core_job_paused(core, batch, 3, 1, 3);
    test_check(core);
    assert_int_equal(hsi_core_queued(core, 1), 4);
    assert_int_equal(hsi_core_waits(&low[0].run), 0);
    hsi_job *urgent = test_take(core, 1, &high[0], 0, SECTIONS);
    assert_int_equal(hsi_core_take_batch(core, 1, again, 4, 4), 0);
    test_job_ended(core, urgent, HSCHED_OK);
    expect_ended(core, &high[0], HSCHED_OK);
    assert_int_equal(hsi_core_take_batch(core, 1, again, 2, 5), 0); /* no room */
    assert_int_equal(hsi_core_take_batch(core, 1, again, 4, 5), 3);
    assert_memory_equal(batch, again, 3 * sizeof batch[0]);
    assert_int_equal(again[0]->done, 1);
    hsi_core_job_paused(core, again, 3, 2, 6);
    assert_int_equal(hsi_core_take_batch(core, 1, again, 4, 6), 3);
    assert_int_equal(again[2]->done, 3);
    for (int i = 0; i < 3; i++)
        test_job_ended(core, again[i], HSCHED_OK);
    for (int i = 0; i < 3; i++)
        expect_ended(core, &low[i], HSCHED_OK);
    test_idle(core, 1);
    hsi_core_destroy(core);
}

/* One that is cancelled ends with the others, all at once when all are. */
static void test_a_paused_batch_is_over_when_nobody_wants_it(void **state)
{
    (void)state;
    hsi_core *core = make_core((hsi_core_device){ .own_memory = 1 });
    hsi_job *batch[4];
    model.core.max_batch = 4;
    for (int i = 0; i < 2; i++)
        test_submit(core, &low[i], &model, LOW, 1);
    assert_int_equal(hsi_core_take_batch(core, 1, batch, 4, 1), 2);
    hsi_core_job_paused(core, batch, 2, 1, 2);
    hsi_core_cancel(core, &low[0].run, 3);
    test_none_ended(core);
    test_check(core);
    hsi_core_cancel(core, &low[1].run, 4);
    expect_ended(core, &low[0], HSCHED_ERROR_CANCELLED);
    expect_ended(core, &low[1], HSCHED_ERROR_CANCELLED);
    test_idle(core, 1);
    /* One that is cancelled before it pauses is over then. */
    test_submit(core, &low[2], &model, LOW, 5);
    assert_int_equal(hsi_core_take_batch(core, 1, batch, 4, 5), 1);
    hsi_core_cancel(core, &low[2].run, 6);
    test_none_ended(core);
    hsi_core_job_paused(core, batch, 1, 1, 7);
    expect_ended(core, &low[2], HSCHED_ERROR_CANCELLED);
    hsi_core_destroy(core);
}

/* With its memory the run starts again; without, its sections go to the CPU. */
static void test_a_paused_jobs_device_is_lost(void **state)
{
    (void)state;
    for (int own_memory = 0; own_memory < 2; own_memory++) {
        hsi_core *core = make_core((hsi_core_device){ .own_memory = own_memory });
        hsi_job *job;
        test_submit(core, &low[0], &model, LOW, 1);
        assert_int_equal(hsi_core_take_batch(core, 1, &job, 1, 1), 1);
        hsi_core_job_paused(core, &job, 1, 2, 2);
        hsi_core_device_lost(core, 1, 3);
        test_check(core);
        assert_int_equal(low[0].run.restarts, own_memory);
        assert_int_equal(low[0].run.moved, 1);
        for (uint32_t s = 0; s < SECTIONS; s++)
            test_step(core, 0, &low[0], s);
        expect_ended(core, &low[0], HSCHED_OK);
        hsi_core_destroy(core);
    }
}

/* While it has paused a power cap is paid back, and it goes on no sooner than any other. */
static void test_a_paused_job_draws_nothing(void **state)
{
    (void)state;
    hsi_core_config config = { .device_count = 2,
                               .devices = { { .workers = 1 },
                                            { .workers = 1,
                                              .max_sections_per_job = UINT32_MAX,
                                              .watts = 100,
                                              .idle_watts = 10 } },
                               .ageing_us = 1000,
                               .active_limit = 16,
                               .power_cap_watts = 50 };
    hsi_core *core;
    hsi_job *job;
    hsi_core_stats stats;
    test_model_chain(&model, SECTIONS, 2, &hsi_policy_gpu_only);
    memset(low, 0, sizeof low);
    assert_int_equal(hsi_core_create(&config, &core), HSCHED_OK);
    test_submit(core, &low[0], &model, LOW, 1);
    assert_int_equal(hsi_core_take_batch(core, 1, &job, 1, 1), 1);
    hsi_core_job_paused(core, &job, 1, 1, 11);
    hsi_core_get_stats(core, &stats);
    assert_true(stats.owed_uj == (100 - 50) * 10);
    assert_int_equal(hsi_core_startable(core, 1), 0);
    const uint64_t paid = 11 + 1 + 13; /* 500 uJ by 40 W */
    assert_int_equal(hsi_core_next_due(core, 1), paid);
    assert_int_equal(hsi_core_next_tick(core), paid);
    assert_int_equal(hsi_core_take_batch(core, 1, &job, 1, paid - 2), 0);
    assert_int_equal(hsi_core_take_batch(core, 1, &job, 1, paid), 1);
    assert_int_equal(job->done, 1);
    test_job_ended(core, job, HSCHED_OK);
    expect_ended(core, &low[0], HSCHED_OK);
    hsi_core_destroy(core);
}

static void test_not_all_workers_can_be_kept(void **state)
{
    (void)state;
    const hsi_core_config config = { .device_count = 1,
                                     .devices = { { .workers = 2, .reserved = 2 } },
                                     .ageing_us = 1,
                                     .active_limit = 1 };
    hsi_core *core;
    assert_int_equal(hsi_core_create(&config, &core), HSCHED_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(hsched_error_detail(), "reserved"));
    assert_null(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_begun_beside_a_higher_priority),
        cmocka_unit_test(test_a_worker_is_kept_while_a_priority_is_in_use),
        cmocka_unit_test(test_segments_are_for_priorities_that_are_not_the_highest),
        cmocka_unit_test(test_a_batch_pauses_and_goes_on),
        cmocka_unit_test(test_a_paused_batch_is_over_when_nobody_wants_it),
        cmocka_unit_test(test_a_paused_jobs_device_is_lost),
        cmocka_unit_test(test_a_paused_job_draws_nothing),
        cmocka_unit_test(test_not_all_workers_can_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
