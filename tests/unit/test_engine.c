/* The simulator's engine: makespans that can be computed by hand. */
#include "unit/test_engine.h"

static engine_world world;
static engine_model a, b;

static void one_job_takes_its_start_and_its_work(void **state)
{
    (void)state;
    engine_init(&world, 2, 1, 1);
    engine_model_chain(&a, 3, 2, 100, &hsi_policy_gpu_only);
    a.costs.job_us[1] = 7;
    const hsi_engine_stream s = engine_burst(&a, 1);
    assert_us(engine_run(&world, &s, 1), 307); /* one job of three sections */
    assert_int_equal(world.job_count, 1);
    assert_int_equal(world.jobs[0].count, 3);
    assert_us(world.totals.busy_us[1], 307);
    assert_us(world.totals.busy_us[0], 0);
    a.model.core.policy = &hsi_policy_cpu_only; /* three jobs, of no start */
    assert_us(engine_run(&world, &s, 1), 300);
    assert_int_equal(world.job_count, 3);
}

static void jobs_share_a_device(void **state)
{
    (void)state;
    engine_init(&world, 2, 1, 4);
    engine_model_init(&a, 1, 2, 100, &hsi_policy_gpu_only);
    engine_model_init(&b, 1, 2, 300, &hsi_policy_gpu_only);
    const hsi_engine_stream s[] = { engine_burst(&a, 1), engine_burst(&b, 1) };
    /* Nothing stretches: both as if alone. */
    assert_us(engine_run(&world, s, 2), 300);
    /* Two at once take twice as long: a ends at 200, b has done 100 of 300 then. */
    world.config.devices[1].stretch =
        (hsi_curve){ .count = 1, .at = { 2 }, .factor = { 2 } };
    assert_us(engine_run(&world, s, 2), 400);
    assert_us(world.runs[0].end_us, 200);
    /* 1.5 times: a ends at 150, b has 200 left. */
    world.config.devices[1].stretch.factor[0] = 1.5;
    assert_us(engine_run(&world, s, 2), 350);
    assert_us(world.runs[0].end_us, 150);
}

static void what_is_being_started_takes_nothing_of_the_device(void **state)
{
    (void)state;
    engine_init(&world, 2, 1, 4);
    world.config.devices[1].stretch =
        (hsi_curve){ .count = 1, .at = { 2 }, .factor = { 2 } };
    engine_model_init(&a, 1, 2, 100, &hsi_policy_gpu_only);
    a.costs.job_us[1] = 40;
    hsi_engine_stream s[] = { engine_burst(&a, 1), engine_burst(&a, 1) };
    s[1].first_us = 50;
    /* The first is alone until 90 (50 done), then both share: its other 50 take 100, until 190;
     * the second has 50 left then, alone. */
    assert_us(engine_run(&world, s, 2), 240);
    assert_us(world.runs[0].end_us, 190);
}

static void a_load_comes_in_the_middle(void **state)
{
    (void)state;
    engine_init(&world, 1, 1, 1);
    const hsi_engine_load loads[] = { { 40, 3 }, { 100, 1 } };
    world.config.devices[0].loads = loads;
    world.config.devices[0].load_count = 2;
    engine_model_init(&a, 1, 1, 100, &hsi_policy_cpu_only);
    const hsi_engine_stream s = engine_burst(&a, 1);
    /* 40 done at 40, 20 more at 100, the other 40 at 140. */
    assert_us(engine_run(&world, &s, 1), 140);
}

static void what_crosses_takes_time(void **state)
{
    (void)state;
    engine_init(&world, 2, 1, 1);
    engine_model_chain(&a, 3, 2, 100, &hsi_policy_layer_type);
    a.sections[1].class_bits = HSCHED_CLASS_POOLING; /* GPU, CPU, GPU */
    a.costs.job_us[1] = 5;
    a.costs.links[1][0] = (hsi_placement_link){ 10, 0.01 };
    a.costs.links[0][1] = (hsi_placement_link){ 20, 0.002 };
    a.places[0].input_bytes = 500;
    a.places[2].output_bytes = 100;
    const hsi_engine_stream s = engine_burst(&a, 1);
    /* In: 20 + 1. 1000 bytes there and back: 10 + 10, 20 + 2. Out: 10 + 1. Two starts of 5. */
    assert_us(engine_run(&world, &s, 1), 300 + 21 + 20 + 22 + 11 + 10);
    assert_int_equal(world.totals.core.crossings, 2);
    assert_int_equal(world.runs[0].crossings, 2);
    assert_us(world.jobs[0].fixed_us, 26);
    assert_us(world.jobs[0].work_us, 100);
}

static void what_has_crossed_is_there(void **state)
{
    (void)state;
    engine_init(&world, 2, 1, 1);
    engine_model_chain(&a, 3, 2, 100, &hsi_policy_layer_type); /* GPU, CPU, CPU */
    engine_model_edge(&a, 0, 2, 1000);
    a.sections[1].class_bits = a.sections[2].class_bits = HSCHED_CLASS_POOLING;
    a.costs.links[1][0] = (hsi_placement_link){ 10, 0.01 };
    const hsi_engine_stream s = engine_burst(&a, 1);
    assert_us(engine_run(&world, &s, 1), 300 + 20);
    assert_int_equal(world.runs[0].crossings,
                     2); /* the core counts tensors as jobs read them */
}

static void idle_workers_help(void **state)
{
    (void)state;
    engine_init(&world, 1, 4, 1);
    engine_model_init(&a, 1, 1, 120, &hsi_policy_cpu_only);
    a.model.parallel = 0.5;
    hsi_engine_stream s[2] = { engine_burst(&a, 1) };
    assert_us(engine_run(&world, s, 1), 120); /* no team */
    world.config.devices[0].team = 4;
    assert_us(engine_run(&world, s, 1), 120 * (0.5 + 0.5 / 4));
    assert_us(world.totals.worker_us[0], 4 * 75);
    world.config.devices[0].team = 2;
    assert_us(engine_run(&world, s, 1), 120 * (0.5 + 0.5 / 2));
    /* Three jobs: one idle worker, which helps the first. It ends at 90; the other two have 30
     * left, and each has a helper. */
    world.config.devices[0].team = 4;
    s[0] = engine_burst(&a, 3);
    assert_us(engine_run(&world, s, 1), 90 + 30 * 0.75);
    assert_us(world.runs[0].end_us, 90);
}

/* Cores slow each other down by how many are busy, be it with jobs of their own or as helpers. */
static void teams_slow_each_other_down(void **state)
{
    (void)state;
    engine_init(&world, 1, 4, 1);
    world.config.devices[0].team = 4;
    world.config.devices[0].stretch =
        (hsi_curve){ .count = 2, .at = { 2, 4 }, .factor = { 1.25, 2 } };
    engine_model_init(&a, 1, 1, 120, &hsi_policy_cpu_only);
    a.model.parallel = 1;
    hsi_engine_stream s = engine_burst(&a, 1);
    assert_us(engine_run(&world, &s, 1), 120.0 / 4); /* as measured: with its own */
    s = engine_burst(&a, 2);
    assert_us(engine_run(&world, &s, 1), 120.0 / 2 * 2 / 1.25);
    s = engine_burst(&a, 4);
    assert_us(engine_run(&world, &s, 1), 120 * 2);
}

static void teams_are_what_they_were_measured_to_be(void **state)
{
    (void)state;
    /* One section gains more than Amdahl would say of it; the other loses with four. */
    const hsi_curve team[] = {
        { .count = 2, .at = { 2, 4 }, .factor = { 0.6, 0.2 } },
        { .count = 2, .at = { 2, 4 }, .factor = { 0.9, 1.5 } },
    };
    engine_init(&world, 1, 4, 1);
    world.config.devices[0].team = 4;
    engine_model_chain(&a, 2, 1, 120, &hsi_policy_cpu_only);
    a.model.team = team;
    const hsi_engine_stream s = engine_burst(&a, 1);
    assert_us(engine_run(&world, &s, 1), 120 * 0.2 + 120 * 1.5);
    world.config.devices[0].team = 3; /* between: linear in 1 / workers */
    assert_us(engine_run(&world, &s, 1),
              120 * (0.6 - 0.4 * 2 / 3) + 120 * (0.9 + 0.6 * 2 / 3));
    world.config.devices[0].core.workers = 8;
    world.config.devices[0].team = 8; /* beyond: no faster */
    assert_us(engine_run(&world, &s, 1), 120 * 0.2 + 120 * 1.5);
}

/* Two batches at once are no faster than one of all their runs; of different models, the curve of
 * jobs is all that is known. */
static void batches_at_once_gain_no_more_than_one(void **state)
{
    (void)state;
    engine_init(&world, 2, 1, 2);
    world.config.devices[1].stretch =
        (hsi_curve){ .count = 1, .at = { 2 }, .factor = { 1.1 } };
    for (int i = 0; i < 2; i++) {
        engine_model *m = i ? &b : &a;
        engine_model_init(m, 1, 2, 100, &hsi_policy_gpu_only);
        engine_model_join(&world, m, 4);
        m->batch[1] = (hsi_curve){ .count = 2, .at = { 4, 8 }, .factor = { 1.5, 2.7 } };
    }
    hsi_engine_stream s[] = { engine_burst(&a, 8), engine_burst(&b, 4) };
    assert_us(engine_run(&world, s, 1), 270);
    assert_int_equal(world.job_count, 2);
    s[0].instances = 4;
    assert_us(engine_run(&world, s, 2), 150 * 1.1);
}

/* While one is being started those that come are joined. */
static void jobs_are_started_one_after_the_other(void **state)
{
    (void)state;
    const float starting_us[] = { 0, 20 };
    engine_init(&world, 2, 1, 4);
    engine_model_init(&a, 1, 2, 100, &hsi_policy_gpu_only);
    engine_model_join(&world, &a, 4);
    a.model.starting_us = starting_us;
    hsi_engine_stream s[] = { engine_burst(&a, 1), engine_burst(&a, 1),
                              engine_burst(&a, 1) };
    s[1].first_us = 5;
    s[2].first_us = 10;
    assert_us(engine_run(&world, s, 3), 120);
    assert_int_equal(world.job_count, 2);
    assert_us(world.runs[0].end_us, 100);
}

/* Of what a model leaves of a device others have half. */
static void models_leave_half_to_others(void **state)
{
    (void)state;
    const hsi_curve room[] = { { 0 },
                               { .count = 2, .at = { 2, 4 }, .factor = { 1, 2 } } };
    const hsi_curve none[] = { { 0 }, { .count = 1, .at = { 2 }, .factor = { 2 } } };
    engine_init(&world, 2, 1, 2);
    engine_model_init(&a, 1, 2, 100, &hsi_policy_gpu_only);
    engine_model_init(&b, 1, 2, 100, &hsi_policy_gpu_only);
    a.model.stretch = b.model.stretch = room;
    const hsi_engine_stream s[] = { engine_burst(&a, 1), engine_burst(&b, 1) };
    /* Each is to the other as one and a half of its own: 2.5 at once. */
    assert_us(engine_run(&world, s, 2), 125);
    b.model.stretch = none;
    /* 3 at once for a, which ends at 150; 1.75 for b, which has 100 - 150 / 1.75 left then. */
    assert_us(engine_run(&world, s, 2), 250 - 150 / 1.75);
    assert_us(world.runs[0].end_us, 150);
}

/* One run, and those that came while it was at work as one batch: together they take what both do
 * one after the other, however the batch would fare beside another batch. */
static void jobs_that_differ_are_no_slower_than_in_turn(void **state)
{
    (void)state;
    engine_init(&world, 2, 1, 2);
    engine_model_init(&a, 1, 2, 100, &hsi_policy_gpu_only);
    engine_model_join(&world, &a, 4);
    a.batch[1] = (hsi_curve){ .count = 1, .at = { 4 }, .factor = { 4 } };
    const hsi_curve stretch[] = { { 0 }, { .count = 1, .at = { 2 }, .factor = { 2 } } };
    a.model.stretch = stretch;
    hsi_engine_stream s[] = { engine_burst(&a, 1), engine_burst(&a, 4) };
    s[1].first_us = 1e-3;
    /* Rates of 1/5 for the one, beside 1/2 for the four: 7/10 of the device. */
    assert_us(engine_run(&world, s, 2), 500);
    assert_int_equal(world.job_count, 2);
}

static void runs_are_joined(void **state)
{
    (void)state;
    engine_init(&world, 2, 1, 1);
    engine_model_chain(&a, 2, 2, 50, &hsi_policy_gpu_only);
    engine_model_join(&world, &a, 8);
    a.batch[1] = (hsi_curve){ .count = 2, .at = { 2, 4 }, .factor = { 1.2, 1.6 } };
    a.costs.job_us[1] = 10;
    a.costs.links[0][1] = (hsi_placement_link){ 1, 0.01 };
    a.places[0].input_bytes = 100;
    hsi_engine_stream s = engine_burst(&a, 4);
    assert_us(engine_run(&world, &s, 1), 10 + (1 + 4) + 160);
    assert_int_equal(world.job_count, 1);
    assert_int_equal(world.jobs[0].members, 4);
    s.instances = 3; /* between the points */
    assert_us(engine_run(&world, &s, 1), 10 + (1 + 3) + 140);
    s.instances = 8; /* beyond them: in proportion */
    assert_us(engine_run(&world, &s, 1), 10 + (1 + 8) + 320);
}

static void a_late_run_is_dropped_and_another_only_misses(void **state)
{
    (void)state;
    engine_init(&world, 1, 1, 1);
    engine_model_chain(&a, 2, 1, 100, &hsi_policy_cpu_only);
    hsi_engine_stream s = engine_burst(&a, 2);
    s.deadline_us = 250;
    /* Of one priority and deadline: in the order of submission, the sections of the first first. */
    assert_us(engine_run(&world, &s, 1), 400);
    assert_int_equal(world.runs[0].missed, 0);
    assert_int_equal(world.runs[1].missed, 1);
    assert_int_equal(world.runs[1].status, HSCHED_OK);
    s.drop_late = 1;
    /* Its first section runs from 200 to 300, its second is not begun. */
    assert_us(engine_run(&world, &s, 1), 300);
    assert_int_equal(world.runs[1].status, HSCHED_ERROR_DEADLINE);
    assert_int_equal(world.totals.core.dropped, 1);
    /* With nothing to execute it ends at its deadline. */
    s.instances = 3;
    s.deadline_us = 150;
    engine_run(&world, &s, 1);
    assert_int_equal(world.run_count, 3);
    assert_in_range((uint64_t)world.runs[0].end_us, 150, 152);
    assert_us(world.runs[2].end_us, 200);
}

static void priorities_go_first(void **state)
{
    (void)state;
    engine_init(&world, 1, 1, 1);
    engine_model_init(&a, 1, 1, 100, &hsi_policy_cpu_only);
    hsi_engine_stream s[] = { engine_burst(&a, 3), engine_burst(&a, 1) };
    s[1].first_us = 50;
    s[1].priority = 10;
    assert_us(engine_run(&world, s, 2), 400);
    /* The first of the three is under way; then the urgent one. */
    assert_int_equal(world.runs[1].number, 4);
    assert_us(world.runs[1].end_us, 200);
}

static void streams_submit_by_the_clock_or_one_after_the_other(void **state)
{
    (void)state;
    engine_init(&world, 1, 1, 1);
    engine_model_init(&a, 1, 1, 100, &hsi_policy_cpu_only);
    hsi_engine_stream s = {
        .model = &a.model, .instances = 1, .runs = 3, .first_us = 20, .period_us = 150
    };
    assert_us(engine_run(&world, &s, 1), 420);
    assert_us(world.runs[2].submit_us, 320);
    s.period_us = 0;
    s.instances = 2;
    assert_us(engine_run(&world, &s, 1), 620);
    assert_int_equal(world.run_count, 6);
    assert_us(world.runs[5].submit_us, 420); /* when its instance's second run ended */
}

static hsched_status refuse(void *user, const hsi_engine_run *run)
{
    (void)user;
    return run->number == 2 ? HSCHED_ERROR_LIMIT : HSCHED_OK;
}

static void a_callbacks_error_ends_it(void **state)
{
    (void)state;
    engine_init(&world, 2, 2, 2);
    world.config.run_ended = refuse;
    engine_model_chain(&a, 4, 2, 10, &hsi_policy_layer_type);
    const hsi_engine_stream s = engine_burst(&a, 20);
    assert_int_equal(hsi_engine_run_all(&world.config, &s, 1, &world.totals),
                     HSCHED_ERROR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_job_takes_its_start_and_its_work),
        cmocka_unit_test(jobs_share_a_device),
        cmocka_unit_test(what_is_being_started_takes_nothing_of_the_device),
        cmocka_unit_test(a_load_comes_in_the_middle),
        cmocka_unit_test(what_crosses_takes_time),
        cmocka_unit_test(what_has_crossed_is_there),
        cmocka_unit_test(idle_workers_help),
        cmocka_unit_test(teams_are_what_they_were_measured_to_be),
        cmocka_unit_test(batches_at_once_gain_no_more_than_one),
        cmocka_unit_test(jobs_are_started_one_after_the_other),
        cmocka_unit_test(models_leave_half_to_others),
        cmocka_unit_test(jobs_that_differ_are_no_slower_than_in_turn),
        cmocka_unit_test(teams_slow_each_other_down),
        cmocka_unit_test(runs_are_joined),
        cmocka_unit_test(a_late_run_is_dropped_and_another_only_misses),
        cmocka_unit_test(priorities_go_first),
        cmocka_unit_test(streams_submit_by_the_clock_or_one_after_the_other),
        cmocka_unit_test(a_callbacks_error_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
