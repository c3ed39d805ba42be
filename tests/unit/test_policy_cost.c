/*
 * The policy `cost` in the core: where runs go, in virtual time, by made-up costs. A chain of
 * sections that an accelerator executes four times as fast as a CPU worker.
 */
#include "unit/test_core_model.h"

#include "sched/policy_cost.h"

enum {
    SECTIONS = 4,
    DEVICES = 2,
    WORKERS = 2, /* of the CPU */
    CPU_US = 400,
    GPU_US = 100,
    MOST_RUNS = 64,
    ALL_CPU = 0,
    ALL_GPU,
    HALF, /* the first half on the accelerator */
    CHOICES
};

static test_model model;
static test_run runs[MOST_RUNS];
static hsi_choices choices;
static uint8_t devices[CHOICES][SECTIONS];
static float rest[CHOICES][SECTIONS * (DEVICES + 1)], section_us[SECTIONS * DEVICES];

static void make_choice(int k)
{
    const uint32_t width = DEVICES + 1;
    hsi_choice *c = &choices.list[k];
    *c = (hsi_choice){ .devices = devices[k], .rest_us = rest[k] };
    for (uint32_t s = SECTIONS; s-- > 0;) {
        const uint32_t d = k == ALL_GPU || (k == HALF && s < SECTIONS / 2);
        devices[k][s] = (uint8_t)d;
        c->uses |= 1u << d;
        for (uint32_t i = 0; i < width; i++)
            rest[k][s * width + i] = s + 1 < SECTIONS ? rest[k][(s + 1) * width + i] : 0;
        rest[k][s * width + d] += section_us[s * DEVICES + d];
        if (s > 0 && s == SECTIONS / 2 && k == HALF)
            rest[k][s * width + DEVICES] += 5;
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(runs, 0, sizeof runs);
    memset(rest, 0, sizeof rest);
    test_model_chain(&model, SECTIONS, DEVICES, &hsi_policy_cost);
    choices = (hsi_choices){ .count = CHOICES,
                             .section_count = SECTIONS,
                             .device_count = DEVICES,
                             .section_us = section_us };
    for (uint32_t s = 0; s < SECTIONS; s++) {
        section_us[s * DEVICES] = (float)CPU_US / SECTIONS;
        section_us[s * DEVICES + 1] = (float)GPU_US / SECTIONS;
    }
    for (int k = 0; k < CHOICES; k++)
        make_choice(k);
    model.core.choices = &choices;
    return 0;
}

static hsi_core *open_core(void)
{
    const hsi_core_config config = {
        .device_count = DEVICES,
        .devices = { { .workers = WORKERS, .max_sections_per_job = 1 },
                     { .workers = 1, .max_sections_per_job = UINT32_MAX } },
        .ageing_us = 200000,
        .active_limit = MOST_RUNS,
    };
    hsi_core *core;
    assert_int_equal(hsi_core_create(&config, &core), HSCHED_OK);
    return core;
}

/* ---- A machine of three workers ---- */

typedef struct machine {
    hsi_core *core;
    uint64_t now;
    double slow[DEVICES]; /* really */
    struct {
        uint32_t device;
        hsi_job *job;
        uint64_t end;
    } workers[WORKERS + 1];
    uint64_t sections[DEVICES]; /* executed there */
} machine;

static void start_all(machine *m)
{
    for (uint32_t w = 0; w <= WORKERS; w++) {
        const uint32_t d = w == WORKERS;
        if (m->workers[w].job)
            continue;
        hsi_job *job = hsi_core_take(m->core, d);
        if (!job)
            continue;
        double us = 0;
        for (uint32_t i = 0; i < job->count; i++)
            us += (double)section_us[(job->section + i) * DEVICES + d];
        m->workers[w].device = d;
        m->workers[w].job = job;
        m->workers[w].end = m->now + (uint64_t)(us * m->slow[d]);
        m->sections[d] += job->count;
    }
}

/* The next job ends. 0: none is running. */
static int advance(machine *m)
{
    uint32_t first = UINT32_MAX;
    start_all(m);
    for (uint32_t w = 0; w <= WORKERS; w++)
        if (m->workers[w].job &&
            (first == UINT32_MAX || m->workers[w].end < m->workers[first].end))
            first = w;
    if (first == UINT32_MAX)
        return 0;
    hsi_job *job = m->workers[first].job;
    m->now = m->workers[first].end;
    m->workers[first].job = NULL;
    hsi_core_job_ended(m->core, job, HSCHED_OK, m->now);
    test_check(m->core);
    while (hsi_core_next_ended(m->core))
        ;
    return 1;
}

static uint64_t makespan(machine *m, uint32_t count)
{
    const uint64_t begin = m->now;
    for (uint32_t i = 0; i < count; i++)
        test_submit(m->core, &runs[i], &model, 0, m->now);
    while (advance(m))
        ;
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(runs[i].run.status, HSCHED_OK);
    return m->now - begin;
}

static machine open_machine(double gpu_slow)
{
    return (machine){ .core = open_core(), .slow = { 1, gpu_slow } };
}

/* ---- Tests ---- */

static void one_run_goes_where_it_is_fastest(void **state)
{
    (void)state;
    machine m = open_machine(1);
    assert_int_equal(makespan(&m, 1), GPU_US);
    assert_int_equal(m.sections[0], 0);
    hsi_core_destroy(m.core);
}

/* Perfect sharing of T_gpu and T_cpu is T_gpu T_cpu / (T_gpu + T_cpu); one run's work more, at
 * most, since some run ends last. */
static void many_runs_share_all_devices(void **state)
{
    (void)state;
    static const double slow[] = { 1, 2, 4, 10, 0.25 };
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        machine m = open_machine(slow[i]);
        hsi_core_set_speed(m.core, 1, slow[i], 1, 0);
        const uint32_t count = 60;
        const double gpu = count * GPU_US * slow[i],
                     cpu = (double)count * CPU_US / WORKERS;
        const double perfect = gpu * cpu / (gpu + cpu);
        const double us = (double)makespan(&m, count);
        assert_true(us >= perfect * 0.99);
        assert_true(us <= perfect * 1.15);
        hsi_core_destroy(m.core);
    }
}

static void who_knows_nothing_uses_the_accelerator(void **state)
{
    (void)state;
    choices.count = 0;
    machine m = open_machine(1);
    assert_int_equal(makespan(&m, 8), 8 * GPU_US);
    model.core.choices = NULL;
    assert_int_equal(makespan(&m, 8), 8 * GPU_US);
    assert_int_equal(m.sections[0], 0);
    hsi_core_destroy(m.core);
}

/* The oldest runs keep their places on a device that became a little slower, the youngest go. */
static void who_came_first_stays(void **state)
{
    (void)state;
    machine m = open_machine(1);
    for (uint32_t i = 0; i < 12; i++)
        test_submit(m.core, &runs[i], &model, 0, 0);
    hsi_core_set_speed(m.core, 1, 1.5, 1, 10);
    test_check(m.core);
    assert_int_equal(runs[0].run.choice, ALL_GPU);
    assert_int_equal(runs[1].run.choice, ALL_GPU);
    uint32_t on_cpu = 0;
    for (uint32_t i = 0; i < 12; i++)
        on_cpu += runs[i].run.choice == ALL_CPU;
    assert_true(on_cpu > 0);
    while (advance(&m))
        ;
    hsi_core_destroy(m.core);
}

/* What waits is placed anew when a device turns out to be slow, and again when it is not. */
static void a_change_of_load_moves_what_has_not_started(void **state)
{
    (void)state;
    machine m = open_machine(50);
    for (uint32_t i = 0; i < 20; i++)
        test_submit(m.core, &runs[i], &model, 0, 0);
    const uint32_t before = hsi_core_queued(m.core, 1);
    assert_true(before > 10);
    start_all(&m);
    hsi_core_set_speed(m.core, 1, 50, 1, 10);
    test_check(m.core);
    assert_int_equal(hsi_core_queued(m.core, 1), 0);
    hsi_core_stats stats;
    hsi_core_get_stats(m.core, &stats);
    assert_true(stats.replaced > 10);
    hsi_core_set_speed(m.core, 1, 45, 1, 20); /* not much */
    hsi_core_stats after;
    hsi_core_get_stats(m.core, &after);
    assert_int_equal(after.replaced, stats.replaced);
    hsi_core_set_speed(m.core, 1, 1, 1, 30);
    test_check(m.core);
    assert_true(hsi_core_queued(m.core, 1) > 5);
    while (advance(&m))
        ;
    hsi_core_destroy(m.core);
}

/* The accelerator is faster than it was thought to be: when it has no more to do it takes over
 * the rest of what the CPU has begun with. */
static void the_rest_of_a_run_moves_to_who_is_idle(void **state)
{
    (void)state;
    machine m = open_machine(0.5);
    for (uint32_t i = 0; i < 6; i++)
        test_submit(m.core, &runs[i], &model, 0, 0);
    while (advance(&m))
        ;
    uint32_t moved = 0;
    for (uint32_t i = 0; i < 6; i++)
        moved += runs[i].jobs[0].device == 0 && runs[i].jobs[SECTIONS - 1].device == 1;
    assert_true(moved > 0);
    assert_true(m.now < CPU_US);
    hsi_core_destroy(m.core);
}

/* Two workers that do no more together than one does alone: beside another run it takes twice as
 * long on the CPU as alone, and less on the slow accelerator. */
static void workers_that_share_memory_are_not_counted_twice(void **state)
{
    (void)state;
    for (int capacity = 1; capacity <= 2; capacity++) {
        machine m = open_machine(1);
        hsi_core_set_speed(m.core, 0, 1, capacity, 0);
        hsi_core_set_speed(m.core, 1, 6, 1, 0);
        for (uint32_t i = 0; i < 2; i++)
            test_submit(m.core, &runs[i], &model, 0, 0);
        assert_int_equal(runs[0].run.choice, ALL_CPU);
        assert_int_equal(runs[1].run.choice, capacity == 1 ? ALL_GPU : ALL_CPU);
        while (advance(&m))
            ;
        hsi_core_destroy(m.core);
        memset(runs, 0, sizeof runs);
    }
}

/* An urgent run looks at what goes before it only. */
static void urgent_runs_do_not_count_what_waits(void **state)
{
    (void)state;
    machine m = open_machine(1);
    for (uint32_t i = 0; i < 20; i++)
        test_submit(m.core, &runs[i], &model, 0, 0);
    test_submit(m.core, &runs[20], &model, 50, 1);
    test_submit(m.core, &runs[21], &model, -50, 1);
    assert_int_equal(runs[20].run.choice, ALL_GPU);
    assert_int_equal(hsi_core_take(m.core, 1)->run, &runs[20].run);
    while (advance(&m) || hsi_core_queued(m.core, 1) > 0)
        if (!m.workers[WORKERS].job && runs[20].jobs[0].state == HSI_JOB_RUNNING)
            hsi_core_job_ended(m.core, &runs[20].jobs[0], HSCHED_OK, m.now);
    hsi_core_destroy(m.core);
}

static void choices_of_lost_devices_are_none(void **state)
{
    (void)state;
    machine m = open_machine(1);
    hsi_core_device_lost(m.core, 1, 0);
    assert_int_equal(makespan(&m, 4), 4 * CPU_US / WORKERS);
    assert_int_equal(m.sections[1], 0);
    hsi_core_stats stats;
    hsi_core_get_stats(m.core, &stats);
    assert_int_equal(stats.invalid_placements, 0);
    hsi_core_destroy(m.core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_run_goes_where_it_is_fastest, set_up),
        cmocka_unit_test_setup(many_runs_share_all_devices, set_up),
        cmocka_unit_test_setup(who_knows_nothing_uses_the_accelerator, set_up),
        cmocka_unit_test_setup(who_came_first_stays, set_up),
        cmocka_unit_test_setup(a_change_of_load_moves_what_has_not_started, set_up),
        cmocka_unit_test_setup(the_rest_of_a_run_moves_to_who_is_idle, set_up),
        cmocka_unit_test_setup(workers_that_share_memory_are_not_counted_twice, set_up),
        cmocka_unit_test_setup(urgent_runs_do_not_count_what_waits, set_up),
        cmocka_unit_test_setup(choices_of_lost_devices_are_none, set_up),
    };
    return cmocka_run_group_tests_name("policy cost", tests, NULL, NULL);
}
