/*
 * Objectives of the policy `cost`, and the power cap, in the core by made-up costs: a CPU, a fast
 * and hungry accelerator, a slow and thrifty one.
 */
#include "unit/test_core_model.h"

#include <math.h>

#include "sched/objective.h"

enum {
    SECTIONS = 2,
    DEVICES = 3,
    CPU = 0,
    FAST,
    THRIFTY,
    SPLIT, /* one section on each accelerator */
    CHOICES,
    BATCH = 4,
    MOST_RUNS = 16
};

/* The split one ends first, by less than what a split one must gain for the makespan. */
static const float times[CHOICES][DEVICES] = {
    { 300, 0, 0 }, { 0, 100, 0 }, { 0, 0, 220 }, { 0, 60, 30 }
};
static const double idle_watts[DEVICES] = { 1, 2, 0.5 },
                    active_watts[DEVICES] = { 2, 28, 3.5 };
#define IDLE_WATTS 3.5 /* of all */

static test_model model;
static test_run runs[MOST_RUNS];
static hsi_choices choices;
static uint8_t placed[CHOICES][SECTIONS];
static float rest[CHOICES][SECTIONS * (DEVICES + 1)], section_us[SECTIONS * DEVICES];

static int set_up(void **state)
{
    (void)state;
    memset(runs, 0, sizeof runs);
    test_model_chain(&model, SECTIONS, DEVICES, &hsi_policy_cost);
    choices = (hsi_choices){ .count = CHOICES,
                             .section_count = SECTIONS,
                             .device_count = DEVICES,
                             .section_us = section_us };
    for (uint32_t s = 0; s < SECTIONS; s++)
        for (uint32_t d = 0; d < DEVICES; d++)
            section_us[s * DEVICES + d] = times[d][d] / SECTIONS;
    for (uint32_t k = 0; k < CHOICES; k++) {
        hsi_choice *c = &choices.list[k];
        *c = (hsi_choice){ .devices = placed[k], .rest_us = rest[k] };
        for (uint32_t s = 0; s < SECTIONS; s++) {
            placed[k][s] = (uint8_t)(k < SPLIT ? k : s == 0 ? FAST : THRIFTY);
            c->uses |= 1u << placed[k][s];
            for (uint32_t d = 0; d < DEVICES; d++)
                rest[k][s * (DEVICES + 1) + d] =
                    k < SPLIT || s == 0 || d == THRIFTY
                        ? times[k][d] * (k < SPLIT ? (float)(SECTIONS - s) / SECTIONS : 1)
                        : 0;
        }
    }
    model.core.choices = &choices;
    return 0;
}

static hsi_core *open_core(double power_cap_watts, uint32_t max_batch)
{
    hsi_core_config config = { .device_count = DEVICES,
                               .ageing_us = 200000,
                               .active_limit = MOST_RUNS,
                               .power_cap_watts = power_cap_watts };
    hsi_core *core;
    for (uint32_t d = 0; d < DEVICES; d++)
        config.devices[d] =
            (hsi_core_device){ .workers = 1,
                               .max_sections_per_job = d == CPU ? 1 : UINT32_MAX,
                               .max_batch = d == CPU ? 1 : max_batch,
                               .watts = idle_watts[d] + active_watts[d],
                               .idle_watts = idle_watts[d] };
    assert_int_equal(hsi_core_create(&config, &core), HSCHED_OK);
    return core;
}

static void cancel_all(hsi_core *core, uint64_t now)
{
    for (uint32_t i = 0; i < MOST_RUNS; i++)
        hsi_core_cancel(core, &runs[i].run, now);
    while (hsi_core_next_ended(core))
        ;
    hsi_core_destroy(core);
}

/* Where one run goes that is alone. */
static uint32_t chosen(hsched_objective objective, double power_cap_watts,
                       uint64_t deadline_us)
{
    hsi_core *core = open_core(power_cap_watts, 1);
    model.core.objective = objective;
    runs[0].run.deadline_us = deadline_us;
    test_submit(core, &runs[0], &model, 0, 0);
    const uint32_t choice = runs[0].run.choice;
    cancel_all(core, 0);
    return choice;
}

/* ---- Choosing ---- */

static void each_objective_has_its_own_choice(void **state)
{
    (void)state;
    assert_int_equal(chosen(HSCHED_OBJECTIVE_DEFAULT, 0, 0), FAST);
    assert_int_equal(chosen(HSCHED_OBJECTIVE_MAKESPAN, 0, 0), FAST);
    assert_int_equal(chosen(HSCHED_OBJECTIVE_LATENCY, 0, 0), SPLIT);
    /* 3.5 * 220 + idle 3.5 * 220; the CPU 2 * 300 + 3.5 * 300 */
    assert_int_equal(chosen(HSCHED_OBJECTIVE_ENERGY, 0, 0), THRIFTY);
    /* Of 2 W: the thrifty one takes 385 us for its 770 uJ, the CPU 300 for its 600. */
    assert_int_equal(chosen(HSCHED_OBJECTIVE_POWER_CAP, IDLE_WATTS + 2, 0), CPU);
}

static void energy_meets_deadlines_where_it_can(void **state)
{
    (void)state;
    assert_int_equal(chosen(HSCHED_OBJECTIVE_ENERGY, 0, 1000), THRIFTY);
    assert_int_equal(chosen(HSCHED_OBJECTIVE_ENERGY, 0, 219), SPLIT); /* 2100 uJ */
    assert_int_equal(chosen(HSCHED_OBJECTIVE_ENERGY, 0, 10), SPLIT);  /* the first */
}

/* Where a run goes that has so much time, behind two that the fast device executes first. */
static uint32_t chosen_behind(uint64_t time_us)
{
    const uint64_t now = 1000;
    hsi_core *core = open_core(0, 1);
    model.core.objective = HSCHED_OBJECTIVE_MAKESPAN;
    for (uint32_t i = 0; i < 3; i++) {
        runs[i].run.deadline_us = now + (i < 2 ? 500 : time_us);
        choices.count = i < 2 ? THRIFTY : SPLIT; /* no split ones */
        test_submit(core, &runs[i], &model, i < 2, now);
    }
    assert_int_equal(runs[0].run.choice, FAST);
    assert_int_equal(runs[1].run.choice, FAST);
    const uint32_t choice = runs[2].run.choice;
    cancel_all(core, now);
    return choice;
}

/* What ends in time has no use for ending earlier: it leaves the others what they may need. */
static void who_is_in_time_takes_the_least(void **state)
{
    (void)state;
    assert_int_equal(chosen_behind(300), FAST);
    assert_int_equal(chosen_behind(299), THRIFTY); /* 220 us, and twice the work */
    assert_int_equal(chosen_behind(220), THRIFTY);
    assert_int_equal(chosen_behind(100), THRIFTY); /* late anyway: the earliest */
}

static void a_cap_chooses_by_what_it_leaves(void **state)
{
    (void)state;
    assert_int_equal(chosen(HSCHED_OBJECTIVE_POWER_CAP, IDLE_WATTS + 3, 0), THRIFTY);
    assert_int_equal(chosen(HSCHED_OBJECTIVE_POWER_CAP, IDLE_WATTS + 20, 0), SPLIT);
    assert_int_equal(chosen(HSCHED_OBJECTIVE_POWER_CAP, 1000, 0), FAST);
}

/* While the thrifty device has work for long, other devices idle for longer anyway: the idle
 * power counts for what a run adds to that only. */
static void idling_counts_once(void **state)
{
    (void)state;
    hsi_core *core = open_core(0, 1);
    uint32_t on_cpu = 0;
    model.core.objective = HSCHED_OBJECTIVE_ENERGY;
    for (uint32_t i = 0; i < 3; i++) {
        test_submit(core, &runs[i], &model, 0, 0);
        on_cpu += runs[i].run.choice == CPU;
    }
    assert_int_equal(runs[0].run.choice, THRIFTY);
    assert_int_equal(on_cpu, 1); /* 600 uJ beside it, 80 us longer, not 300 */
    cancel_all(core, 0);
}

static void sums_of_work_follow_the_objective(void **state)
{
    (void)state;
    hsi_core *core = open_core(0, 1);
    model.core.objective = HSCHED_OBJECTIVE_LATENCY;
    test_submit(core, &runs[0], &model, 0, 0);
    assert_true(runs[0].run.work_us[FAST] == 60 && runs[0].run.work_us[THRIFTY] == 30);
    cancel_all(core, 0);
}

/* ---- Joining ---- */

static void set_batches(const float *us)
{
    for (uint32_t k = 0; k < 3; k++)
        choices.batch_us[FAST][k] = us[k];
    choices.batch_count[FAST] = 3;
    choices.list[0] = choices.list[FAST]; /* nowhere else to go */
    choices.count = 1;
    model.core.max_batch = BATCH;
}

static void a_batch_is_as_large_as_helps_the_mean(void **state)
{
    (void)state;
    set_batches((const float[]){ 100, 110, 130 });
    assert_int_equal(hsi_objective_batch(&choices, FAST, 1, 1, BATCH), 1);
    assert_int_equal(hsi_objective_batch(&choices, FAST, 1, 2, BATCH), 2); /* 110, 150 */
    assert_int_equal(hsi_objective_batch(&choices, FAST, 1, 9, BATCH), 4);
    assert_int_equal(hsi_objective_batch(&choices, FAST, 1, 9, 3), 3);
    assert_int_equal(hsi_objective_batch(&choices, FAST, 3, 3, BATCH),
                     1); /* all at once */
    set_batches((const float[]){ 100, 190, 370 });
    assert_int_equal(hsi_objective_batch(&choices, FAST, 1, 4, BATCH), 1); /* 250, 285 */
    choices.batch_count[FAST] = 0; /* nothing is known */
    assert_int_equal(hsi_objective_batch(&choices, FAST, 1, 4, 3), 3);
    assert_int_equal(hsi_objective_batch(NULL, FAST, 1, 1, 3), 1);
}

static uint32_t taken_of(uint32_t submitted)
{
    hsi_core *core = open_core(0, BATCH);
    hsi_job *jobs[BATCH];
    for (uint32_t i = 0; i < submitted; i++)
        test_submit(core, &runs[i], &model, 0, 0);
    const uint32_t count = hsi_core_take_batch(core, FAST, jobs, BATCH, 0);
    test_check(core);
    for (uint32_t i = 0; i < count; i++)
        hsi_core_job_ended(core, jobs[i], HSCHED_OK, 10);
    cancel_all(core, 10);
    return count;
}

static void latency_joins_no_more_than_that(void **state)
{
    (void)state;
    set_batches((const float[]){ 100, 190, 370 });
    model.core.objective = HSCHED_OBJECTIVE_MAKESPAN;
    assert_int_equal(taken_of(4), 4);
    model.core.objective = HSCHED_OBJECTIVE_LATENCY;
    assert_int_equal(taken_of(4), 1);
    set_batches((const float[]){ 100, 110, 130 });
    assert_int_equal(taken_of(4), 4);
}

/* Four runs, one after the other: what each adds to the fast device, rounded. */
static void expect_added(uint32_t max_batch, uint32_t ready, const int us[4])
{
    hsi_core *core = open_core(0, max_batch);
    model.batch_queues[FAST].ready = ready;
    for (uint32_t i = 0; i < 4; i++) {
        test_submit(core, &runs[i], &model, 0, 0);
        assert_int_equal((int)lround((double)runs[i].run.work_us[FAST]), us[i]);
    }
    model.batch_queues[FAST].ready = 0;
    cancel_all(core, 0);
}

/* Costs of larger batches may be known than the device joins, or is ready for yet, or the model
 * allows. */
static void work_counts_batches_that_there_can_be(void **state)
{
    (void)state;
    set_batches((const float[]){ 100, 120, 160 });
    model.core.objective = HSCHED_OBJECTIVE_MAKESPAN;
    expect_added(BATCH, 0, (const int[]){ 100, 20, 20, 20 });
    expect_added(2, 0, (const int[]){ 100, 20, 100, 20 });
    expect_added(BATCH, 2, (const int[]){ 100, 20, 100, 20 });
    expect_added(BATCH, 1, (const int[]){ 100, 100, 100, 100 });
    expect_added(1, 0, (const int[]){ 100, 100, 100, 100 });
    model.core.max_batch = 3;
    expect_added(BATCH, 0, (const int[]){ 100, 20, 20, 100 });
    model.core.max_batch = BATCH;
    model.core.objective =
        HSCHED_OBJECTIVE_LATENCY; /* a share of the batch that it is in */
    expect_added(BATCH, 0, (const int[]){ 100, 60, 47, 40 });
    expect_added(2, 0, (const int[]){ 100, 60, 60, 60 });
    expect_added(BATCH, 2, (const int[]){ 100, 60, 60, 60 });
}

/* Nothing is gained beyond what is known. */
static void batches_that_nobody_measured_are_in_proportion(void **state)
{
    (void)state;
    set_batches((const float[]){ 100, 120, 160 });
    choices.batch_count[FAST] = 2;
    model.core.objective = HSCHED_OBJECTIVE_MAKESPAN;
    expect_added(BATCH, 0, (const int[]){ 100, 20, 60, 60 });
    assert_int_equal(hsi_objective_batch(&choices, FAST, 1, 4, BATCH), 2);
}

/* While a batch of the model is executing others are held back, to be joined; not for this. */
static void latency_is_not_held_back(void **state)
{
    (void)state;
    set_batches((const float[]){ 100, 110, 130 });
    for (int latency = 0; latency < 2; latency++) {
        hsi_core_config config = { .device_count = DEVICES,
                                   .ageing_us = 200000,
                                   .active_limit = MOST_RUNS };
        hsi_core *core;
        hsi_job *jobs[BATCH], *more[BATCH];
        for (uint32_t d = 0; d < DEVICES; d++)
            config.devices[d] =
                (hsi_core_device){ .workers = 2,
                                   .max_sections_per_job = d == CPU ? 1 : UINT32_MAX,
                                   .max_batch = d == CPU ? 1 : BATCH,
                                   .max_batches = d == CPU ? 0 : 1 };
        assert_int_equal(hsi_core_create(&config, &core), HSCHED_OK);
        model.core.objective =
            latency ? HSCHED_OBJECTIVE_LATENCY : HSCHED_OBJECTIVE_MAKESPAN;
        test_submit(core, &runs[0], &model, 0, 0);
        assert_int_equal(hsi_core_take_batch(core, FAST, jobs, BATCH, 0), 1);
        test_submit(core, &runs[1], &model, 0, 1);
        assert_int_equal(hsi_core_take_batch(core, FAST, more, BATCH, 1), latency);
        for (int i = 0; i < latency; i++)
            hsi_core_job_ended(core, more[i], HSCHED_OK, 2);
        hsi_core_job_ended(core, jobs[0], HSCHED_OK, 2);
        cancel_all(core, 3);
    }
}

/* ---- The power cap ---- */

/* Runs on the fast device, one after the other, for as long as they are allowed to; microjoules. */
static double work_off(hsi_core *core, uint32_t count, uint64_t *now)
{
    double uj = 0;
    for (uint32_t i = 0; i < count; i++)
        test_submit(core, &runs[i], &model, 0, *now);
    for (uint32_t i = 0; i < count; i++) {
        hsi_job *jobs[BATCH];
        const uint64_t due = hsi_core_next_due(core, FAST);
        if (due > *now) {
            assert_int_equal(hsi_core_startable(core, FAST), 0);
            assert_int_equal(hsi_core_queued(core, FAST), count - i);
            assert_int_equal(hsi_core_take_batch(core, FAST, jobs, 1, *now), 0);
            assert_true(hsi_core_next_tick(core) <= due);
            uj += IDLE_WATTS * (double)(due - *now);
            *now = due;
            hsi_core_tick(core, *now);
        }
        assert_int_equal(hsi_core_startable(core, FAST), count - i);
        assert_int_equal(hsi_core_take_batch(core, FAST, jobs, 1, *now), 1);
        *now += 100;
        uj += (IDLE_WATTS + active_watts[FAST]) * 100;
        hsi_core_job_ended(core, jobs[0], HSCHED_OK, *now);
        test_check(core);
        while (hsi_core_next_ended(core))
            ;
    }
    return uj;
}

static void only_the_fast_one(void)
{
    choices.list[0] = choices.list[FAST];
    choices.count = 1;
    model.core.objective = HSCHED_OBJECTIVE_POWER_CAP;
}

static void the_average_is_below_the_cap(void **state)
{
    (void)state;
    only_the_fast_one();
    for (double cap = IDLE_WATTS + 0.5; cap < 40; cap += 3) {
        hsi_core *core = open_core(cap, 1);
        uint64_t now = 5;
        const uint64_t begin = now;
        const double uj = work_off(core, MOST_RUNS, &now);
        const double job_uj = (IDLE_WATTS + active_watts[FAST] - cap) * 100;
        assert_true(uj <= cap * (double)(now - begin) + (job_uj > 0 ? job_uj : 0) + 50);
        if (cap > IDLE_WATTS + active_watts[FAST]) /* nothing to keep back */
            assert_int_equal(now - begin, 100 * MOST_RUNS);
        else /* and no more kept back than that takes */
            assert_true(uj > cap * (double)(now - begin) * 0.98);
        cancel_all(core, now);
    }
}

/* What is within the cap begins although another device has drawn too much. */
static void who_fits_does_not_wait(void **state)
{
    (void)state;
    static test_model thrifty;
    only_the_fast_one();
    test_model_init(&thrifty, 1, DEVICES, &hsi_policy_gpu_only);
    thrifty.sections[0].device_mask = 1u << THRIFTY | 1;
    hsi_core *core = open_core(IDLE_WATTS + 10, 1);
    test_submit(core, &runs[0], &model, 0, 0);
    test_submit(core, &runs[1], &model, 0, 0);
    hsi_job *job = hsi_core_take(core, FAST);
    assert_non_null(job);
    test_submit(core, &runs[2], &thrifty, 0, 50); /* 18 W too much are drawn already */
    assert_null(hsi_core_take(core, THRIFTY));
    hsi_core_job_ended(core, job, HSCHED_OK, 100);
    assert_null(hsi_core_take(core, FAST));
    job = hsi_core_take(core, THRIFTY);
    assert_non_null(job);
    /* 1800 uJ are owed; 6.5 W pay them back */
    assert_int_equal(hsi_core_next_due(core, FAST), 100 + 1 + (uint64_t)ceil(1800 / 6.5));
    hsi_core_job_ended(core, job, HSCHED_OK, 150);
    cancel_all(core, 150);
}

/* What meters say counts instead of what was thought. */
static void what_is_measured_counts(void **state)
{
    (void)state;
    only_the_fast_one();
    hsi_core *core = open_core(IDLE_WATTS + 10, 1);
    hsi_core_stats stats;
    uint64_t now = 0;
    work_off(core, 1, &now);
    hsi_core_get_stats(core, &stats);
    assert_true(fabs(stats.owed_uj - 1800) < 1e-6);
    hsi_core_set_drawn(core, FAST, 20, now); /* instead of 30 */
    hsi_core_get_stats(core, &stats);
    assert_true(fabs(stats.owed_uj - 800) < 1e-6);
    /* It draws 10 W less than thought, also while it idles: but not less than nothing. */
    hsi_core_tick(core, now + 50);
    hsi_core_get_stats(core, &stats);
    assert_true(fabs(stats.owed_uj - (800 - 12 * 50)) < 1e-6);
    cancel_all(core, now + 50);
}

/* What somebody else draws cannot be saved, and does not stop everything. */
static void others_do_not_starve_us(void **state)
{
    (void)state;
    only_the_fast_one();
    hsi_core *core = open_core(IDLE_WATTS + 10, 1);
    hsi_core_stats stats;
    uint64_t now = 10000000;
    hsi_core_set_drawn(core, FAST, 500, now);
    hsi_core_get_stats(core, &stats);
    assert_true(stats.owed_uj <= (IDLE_WATTS + 10) * 1e6); /* of a second, at most */
    test_submit(core, &runs[0], &model, 0, now);
    test_submit(core, &runs[1], &model, 0, now);
    hsi_job *job = hsi_core_take(core, FAST);
    assert_non_null(job);
    assert_null(hsi_core_take(core, FAST)); /* one at a time */
    assert_int_equal(hsi_core_next_due(core, FAST), UINT64_MAX);
    hsi_core_job_ended(core, job, HSCHED_OK, now += 100);
    assert_non_null(job = hsi_core_take(core, FAST));
    hsi_core_job_ended(core, job, HSCHED_OK, now += 100);
    cancel_all(core, now);
}

/* By the last bit of a double below the cap: what a job drew is paid back in a time that no clock
 * shows. */
static void what_is_hardly_paid_back_is_far_off(void **state)
{
    (void)state;
    only_the_fast_one();
    hsi_core *core = open_core(nextafter(IDLE_WATTS, 4), 1);
    const uint64_t now = 1000;
    test_submit(core, &runs[0], &model, 0, 0);
    test_submit(core, &runs[1], &model, 0, 0);
    hsi_job *job = hsi_core_take(core, FAST);
    assert_non_null(job);
    hsi_core_job_ended(core, job, HSCHED_OK, now);
    assert_null(hsi_core_take(core, FAST));
    assert_int_equal(hsi_core_next_due(core, FAST), now + 1 + UINT64_C(1000000000000000));
    assert_int_equal(hsi_core_next_tick(core), hsi_core_next_due(core, FAST));
    cancel_all(core, now);
}

static void a_negative_cap_is_refused(void **state)
{
    (void)state;
    hsi_core_config config = { .device_count = 1,
                               .devices = { { .workers = 1 } },
                               .ageing_us = 1,
                               .active_limit = 1,
                               .power_cap_watts = -1 };
    hsi_core *core;
    assert_int_equal(hsi_core_create(&config, &core), HSCHED_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(hsched_error_detail(), "power cap"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_objective_has_its_own_choice, set_up),
        cmocka_unit_test_setup(energy_meets_deadlines_where_it_can, set_up),
        cmocka_unit_test_setup(who_is_in_time_takes_the_least, set_up),
        cmocka_unit_test_setup(a_cap_chooses_by_what_it_leaves, set_up),
        cmocka_unit_test_setup(idling_counts_once, set_up),
        cmocka_unit_test_setup(sums_of_work_follow_the_objective, set_up),
        cmocka_unit_test_setup(a_batch_is_as_large_as_helps_the_mean, set_up),
        cmocka_unit_test_setup(latency_joins_no_more_than_that, set_up),
        cmocka_unit_test_setup(work_counts_batches_that_there_can_be, set_up),
        cmocka_unit_test_setup(batches_that_nobody_measured_are_in_proportion, set_up),
        cmocka_unit_test_setup(latency_is_not_held_back, set_up),
        cmocka_unit_test_setup(the_average_is_below_the_cap, set_up),
        cmocka_unit_test_setup(who_fits_does_not_wait, set_up),
        cmocka_unit_test_setup(what_is_measured_counts, set_up),
        cmocka_unit_test_setup(others_do_not_starve_us, set_up),
        cmocka_unit_test_setup(what_is_hardly_paid_back_is_far_off, set_up),
        cmocka_unit_test_setup(a_negative_cap_is_refused, set_up),
    };
    return cmocka_run_group_tests_name("objectives", tests, NULL, NULL);
}
