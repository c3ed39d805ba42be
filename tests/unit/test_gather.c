/*
 * Runs that come together are placed together: in the core, in virtual time, by made-up costs. An
 * accelerator that joins runs, a CPU of four workers, and two networks: `dense`, which the CPU
 * executes at half the accelerator's pace, and `wide`, for which it takes eight times as long.
 */
#include "unit/test_core_model.h"

#include "sched/policy_cost.h"

enum {
    DEVICES = 2,
    CPU = 0,
    GPU,
    BATCH = 4,
    WORKERS = 4,
    MOST_RUNS = 40,
    WIDE_US = 1000,
    DENSE_US = 1000,
    WINDOW_US = 50 /* gather_share of either */
};

typedef struct network {
    test_model model;
    hsi_choices choices;
    uint8_t devices[DEVICES][1], followed;
    float rest[DEVICES][DEVICES + 1], section_us[DEVICES];
} network;

static network wide, dense;
static test_run runs[MOST_RUNS];
static hsi_core *core;
static uint64_t now;

static void make_network(network *n, float cpu_us, float gpu_us)
{
    memset(n, 0, sizeof *n);
    test_model_init(&n->model, 1, DEVICES, &hsi_policy_cost);
    n->choices = (hsi_choices){ .count = DEVICES,
                                .section_count = 1,
                                .device_count = DEVICES,
                                .section_us = n->section_us,
                                .least_us = gpu_us };
    n->section_us[CPU] = cpu_us;
    n->section_us[GPU] = gpu_us;
    for (uint32_t d = 0; d < DEVICES; d++) {
        n->devices[d][0] = (uint8_t)d;
        n->rest[d][d] = n->section_us[d];
        n->choices.list[d] = (hsi_choice){ .uses = 1u << d,
                                           .devices = n->devices[d],
                                           .rest_us = n->rest[d] };
    }
    n->model.core.choices = &n->choices;
    n->model.core.max_batch = BATCH;
    n->model.core.followed = &n->followed;
}

static int set_up(void **state)
{
    (void)state;
    const hsi_core_config config = {
        .device_count = DEVICES,
        .devices = { { .workers = WORKERS, .max_sections_per_job = 1 },
                     { .workers = 2,
                       .max_sections_per_job = UINT32_MAX,
                       .max_batch = BATCH } },
        .ageing_us = 200000,
        .active_limit = MOST_RUNS,
        .gather_share = 0.05,
    };
    memset(runs, 0, sizeof runs);
    make_network(&wide, 8 * WIDE_US * WORKERS, WIDE_US);
    make_network(&dense, 2 * DENSE_US, DENSE_US);
    now = 1000;
    assert_int_equal(hsi_core_create(&config, &core), HSCHED_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MOST_RUNS; i++)
        hsi_core_cancel(core, &runs[i].run, now);
    while (hsi_core_next_ended(core))
        ;
    hsi_core_destroy(core);
    return 0;
}

static void submit(uint32_t i, const network *n, uint64_t later_us)
{
    now += later_us;
    test_submit(core, &runs[i], &n->model, 0, now);
    test_check(core);
}

static uint32_t gathered(void)
{
    hsi_core_stats stats;
    hsi_core_get_stats(core, &stats);
    return stats.gathered_runs;
}

static int is_on(uint32_t i, uint32_t device)
{
    const hsi_job *job = &runs[i].jobs[0];
    return !runs[i].run.gathered && job->state == HSI_JOB_QUEUED && job->device == device;
}

/* All that is in flight ends, a while later. */
static void end_all(void)
{
    hsi_job *jobs[BATCH];
    now += 100000;
    hsi_core_place_gathered(core, now);
    for (int more = 1; more;) {
        more = 0;
        for (uint32_t d = 0; d < DEVICES; d++) {
            const uint32_t count = hsi_core_take_batch(core, d, jobs, BATCH, now);
            for (uint32_t i = 0; i < count; i++)
                hsi_core_job_ended(core, jobs[i], HSCHED_OK, now);
            more |= count > 0;
        }
    }
    while (hsi_core_next_ended(core))
        ;
    now += 100000;
}

/* Its runs were followed by others, `times` times. */
static void teach(const network *n, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++) {
        submit(0, n, 0);
        submit(1, n, 1);
        end_all();
    }
}

static void none_waits_before_it_is_known(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        submit(0, &wide, 0);
        assert_int_equal(gathered(), 0);
        submit(1, &wide, WINDOW_US);
        assert_int_equal(gathered(), 0);
        end_all();
    }
    submit(0, &wide, 0);
    assert_int_equal(gathered(), 1);
    assert_int_equal(hsi_core_queued(core, GPU), 0);
    assert_null(hsi_core_take(core, GPU));
}

static void who_is_not_followed_stops_waiting(void **state)
{
    (void)state;
    teach(&wide, 2);
    submit(0, &wide, 0);
    assert_int_equal(gathered(), 1);
    end_all(); /* none came */
    submit(0, &wide, 0);
    assert_int_equal(gathered(), 0);
    submit(1, &wide, WINDOW_US + 1); /* too late */
    end_all();
    teach(&wide, 2);
    submit(0, &wide, 0);
    assert_int_equal(gathered(), 1);
}

static void until_who_submits_waits(void **state)
{
    (void)state;
    teach(&wide, 2);
    for (uint32_t i = 0; i < BATCH; i++)
        submit(i, &wide, 5);
    assert_int_equal(gathered(), BATCH);
    hsi_core_place_gathered(core, now);
    assert_int_equal(gathered(), 0);
    hsi_job *jobs[BATCH];
    assert_int_equal(hsi_core_take_batch(core, GPU, jobs, BATCH, now), BATCH);
    for (uint32_t i = 0; i < BATCH; i++) {
        assert_ptr_equal(jobs[i]->run, &runs[i].run);
        hsi_core_job_ended(core, jobs[i], HSCHED_OK, now);
    }
}

static void until_none_has_come_for_a_while(void **state)
{
    (void)state;
    teach(&wide, 2);
    submit(0, &wide, 0);
    submit(1, &wide, 30);
    assert_int_equal(hsi_core_next_tick(core), now + WINDOW_US);
    hsi_core_tick(core, now + WINDOW_US - 1);
    assert_int_equal(gathered(), 2);
    now += WINDOW_US;
    hsi_core_tick(core, now);
    assert_int_equal(gathered(), 0);
    assert_true(is_on(0, GPU) && is_on(1, GPU));
    assert_int_equal(hsi_core_next_tick(core), UINT64_MAX);
}

/* Of three that take 1000 us the first waits for at most 150. */
static void no_longer_than_all_of_them_are_worth(void **state)
{
    (void)state;
    teach(&wide, 2);
    submit(0, &wide, 0);
    const uint64_t first = now;
    submit(1, &wide, WINDOW_US - 1);
    submit(2, &wide, WINDOW_US - 1);
    assert_int_equal(hsi_core_next_tick(core), now + WINDOW_US);
    wide.choices.least_us = 20 * 12; /* the next ones allow less for their own part */
    submit(3, &wide, WINDOW_US - 1);
    assert_int_equal(hsi_core_next_tick(core), first + 3 * WINDOW_US + 12);
    /* Taking is a tick, too. */
    now = first + 3 * WINDOW_US + 12;
    hsi_job *jobs[BATCH];
    assert_int_equal(hsi_core_take_batch(core, GPU, jobs, BATCH, now), BATCH);
    for (uint32_t i = 0; i < BATCH; i++)
        hsi_core_job_ended(core, jobs[i], HSCHED_OK, now);
}

/* The first would go to the accelerator, where it is not lost; alone it does. */
static void who_loses_most_elsewhere_is_placed_first(void **state)
{
    (void)state;
    teach(&dense, 2);
    submit(0, &dense, 0);
    submit(1, &wide, 5);
    submit(2, &wide, 5);
    hsi_core_place_gathered(core, now);
    assert_true(is_on(0, CPU) && is_on(1, GPU) && is_on(2, GPU));
    end_all();
    teach(&dense, 2);
    submit(0, &dense, 0);
    hsi_core_place_gathered(core, now);
    assert_true(is_on(0, GPU));
}

static void a_run_that_may_not_wait_does_not(void **state)
{
    (void)state;
    teach(&wide, 2);
    runs[0].run.deadline_us = now + 1000000;
    submit(0, &wide, 0);
    assert_true(is_on(0, GPU));
    end_all();
    runs[0].run.deadline_us = 0;

    teach(&wide, 2);
    wide.model.core.objective = HSCHED_OBJECTIVE_LATENCY;
    submit(0, &wide, 0);
    assert_true(is_on(0, GPU));
    end_all();
    wide.model.core.objective = HSCHED_OBJECTIVE_DEFAULT;

    teach(&wide, 2);
    wide.choices.least_us = 100; /* a share of which is over before anyone comes */
    submit(0, &wide, 0);
    assert_true(is_on(0, GPU));
}

/* Only those of one priority wait together. */
static void another_priority_goes_its_way(void **state)
{
    (void)state;
    teach(&wide, 2);
    submit(0, &wide, 0);
    test_submit(core, &runs[1], &wide.model, 1, now);
    test_submit(core, &runs[2], &wide.model, -1, now);
    test_check(core);
    assert_int_equal(gathered(), 1);
    assert_true(!is_on(0, GPU) && is_on(1, GPU) && is_on(2, GPU));
}

static void many_are_placed_at_once(void **state)
{
    (void)state;
    teach(&wide, 2);
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(gathered(), i);
        submit(i, &wide, 0);
    }
    assert_int_equal(gathered(), 0);
    hsi_core_stats stats;
    hsi_core_get_stats(core, &stats);
    assert_int_equal(stats.gathered, 32);
    assert_int_equal(hsi_core_queued(core, GPU) + hsi_core_queued(core, CPU), 32);
}

static void a_gathered_run_is_cancelled(void **state)
{
    (void)state;
    teach(&wide, 2);
    for (uint32_t i = 0; i < 3; i++)
        submit(i, &wide, 1);
    assert_true(hsi_core_waits(&runs[1].run));
    hsi_core_cancel(core, &runs[1].run, now);
    assert_ptr_equal(hsi_core_next_ended(core), &runs[1].run);
    assert_int_equal(runs[1].run.status, HSCHED_ERROR_CANCELLED);
    test_check(core);
    assert_int_equal(gathered(), 2);
    hsi_core_cancel(core, &runs[0].run, now); /* who came first, too */
    assert_ptr_equal(hsi_core_next_ended(core), &runs[0].run);
    hsi_core_place_gathered(core, now);
    assert_true(is_on(2, GPU));
}

static void a_device_is_lost_meanwhile(void **state)
{
    (void)state;
    teach(&wide, 2);
    submit(0, &wide, 0);
    submit(1, &wide, 1);
    hsi_core_device_lost(core, GPU, now);
    test_check(core);
    hsi_core_place_gathered(core, now);
    assert_true(is_on(0, CPU) && is_on(1, CPU));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(none_waits_before_it_is_known),
        TEST(who_is_not_followed_stops_waiting),
        TEST(until_who_submits_waits),
        TEST(until_none_has_come_for_a_while),
        TEST(no_longer_than_all_of_them_are_worth),
        TEST(who_loses_most_elsewhere_is_placed_first),
        TEST(a_run_that_may_not_wait_does_not),
        TEST(another_priority_goes_its_way),
        TEST(many_are_placed_at_once),
        TEST(a_gathered_run_is_cancelled),
        TEST(a_device_is_lost_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
