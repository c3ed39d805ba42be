/* The admission test of periodic sources: cases that can be worked out by hand, and random sets, of
 * which what is called proven is simulated. HSCHED_TEST_SEED makes other sets. */
#include "common/support.h"

#include "sched/periodic.h"

enum {
    WINDOW = 1000,
    TASKS = 10, /* of a random set */
    JOBS = 8    /* of one of them at once: before there are more, one is late */
};

/* A task on device 0 alone, executed as one job. */
static hsi_periodic_task task(double cost, double period, double deadline, int priority)
{
    return (hsi_periodic_task){
        .period_us = period,
        .deadline_us = deadline,
        .due_us = deadline,
        .priority = priority,
        .known = 1,
        .span_us = cost,
        .on[0] = { .cost_us = cost, .least_us = cost, .block_us = cost, .pieces = 1 }
    };
}

static hsi_periodic_task in_pieces(hsi_periodic_task t, uint32_t pieces)
{
    t.on[0].pieces = pieces;
    t.on[0].block_us = t.on[0].cost_us / pieces;
    return t;
}

static hsi_periodic_set set_of(const hsi_periodic_task *tasks, uint32_t count,
                               uint32_t workers)
{
    return (hsi_periodic_set){ .tasks = tasks,
                               .task_count = count,
                               .devices[0] = { .workers = workers,
                                               .capacity = workers,
                                               .stretch = 1,
                                               .one_by_one = 1 },
                               .device_count = 1,
                               .window_us = WINDOW };
}

static hsi_periodic_verdict verdict(const hsi_periodic_task *tasks, uint32_t count,
                                    uint32_t workers)
{
    const hsi_periodic_set set = set_of(tasks, count, workers);
    return hsi_periodic_admit(&set).verdict;
}

#define VERDICT(workers, ...)                                                            \
    verdict((hsi_periodic_task[]){ __VA_ARGS__ },                                        \
            sizeof((hsi_periodic_task[]){ __VA_ARGS__ }) / sizeof(hsi_periodic_task),    \
            (workers))

/* ---- Refused -------------------------------------------------------------- */

static void longer_than_its_deadline(void **state)
{
    (void)state;
    assert_int_equal(VERDICT(1, task(10, 20, 10, 0)), HSI_PERIODIC_PROVEN);
    const hsi_periodic_task tasks[] = { task(1, 20, 20, 0), task(11, 20, 10, 0) };
    const hsi_periodic_set set = set_of(tasks, 2, 4);
    const hsi_periodic_result result = hsi_periodic_admit(&set);
    assert_int_equal(result.verdict, HSI_PERIODIC_TOO_LONG);
    assert_int_equal(result.task, 1);
    /* What all workers share takes less from beginning to end. */
    hsi_periodic_task shared = task(11, 20, 10, 0);
    shared.span_us = 5;
    assert_int_equal(VERDICT(4, shared), HSI_PERIODIC_POSSIBLE);
}

static void more_than_a_device_can_do(void **state)
{
    (void)state;
    const hsi_periodic_task tasks[] = { task(6, 10, 10, 0), task(12, 24, 24, 3) };
    hsi_periodic_set set = set_of(tasks, 2, 1);
    const hsi_periodic_result result = hsi_periodic_admit(&set);
    assert_int_equal(result.verdict, HSI_PERIODIC_TOO_MUCH);
    assert_int_equal(result.device, 0);
    assert_true(result.used > 1.0999 && result.used < 1.1001);
    set.devices[0].workers = 2;
    set.devices[0].capacity = 2;
    assert_true(hsi_periodic_admit(&set).verdict > HSI_PERIODIC_TOO_MUCH);
    /* All of a device's time can be asked for. */
    assert_int_equal(VERDICT(1, task(5, 10, 10, 0), task(5, 10, 10, 0)),
                     HSI_PERIODIC_PROVEN);
    /* Runs that are joined take less. */
    hsi_periodic_task joined = task(12, 10, 30, 0);
    joined.on[0].least_us = 8;
    assert_int_equal(VERDICT(1, joined), HSI_PERIODIC_POSSIBLE);
    joined.on[0].least_us = 10.5;
    assert_int_equal(VERDICT(1, joined), HSI_PERIODIC_TOO_MUCH);
}

/* What is not known is no reason to refuse; what is known of the others may be. */
static void not_all_is_known(void **state)
{
    (void)state;
    hsi_periodic_task unknown = { .period_us = 10, .deadline_us = 10, .due_us = 10 };
    const hsi_periodic_task tasks[] = { task(1, 10, 10, 0), unknown, unknown };
    const hsi_periodic_set set = set_of(tasks, 3, 1);
    const hsi_periodic_result result = hsi_periodic_admit(&set);
    assert_int_equal(result.verdict, HSI_PERIODIC_UNKNOWN);
    assert_int_equal(result.task, 1);
    assert_int_equal(VERDICT(1, unknown, task(11, 10, 12, 0)), HSI_PERIODIC_TOO_MUCH);
    unknown.span_us = 11;
    assert_int_equal(VERDICT(1, unknown), HSI_PERIODIC_TOO_LONG);
}

/* ---- Proven, or not ------------------------------------------------------- */

/* By the earliest deadline, one job at a time: whoever is released just behind a long job waits. */
static void a_long_job_blocks(void **state)
{
    (void)state;
    assert_int_equal(VERDICT(1, task(2, 5, 5, 0), task(3, 20, 20, 0)),
                     HSI_PERIODIC_PROVEN);
    assert_int_equal(VERDICT(1, task(2, 5, 5, 0), task(4, 20, 20, 0)),
                     HSI_PERIODIC_POSSIBLE);
    assert_int_equal(VERDICT(1, task(2, 5, 5, 0), in_pieces(task(4, 20, 20, 0), 2)),
                     HSI_PERIODIC_PROVEN);
}

/* A higher priority goes first, whatever the deadlines. */
static void priorities_count(void **state)
{
    (void)state;
    const hsi_periodic_task often = in_pieces(task(2, 5, 5, 0), 2);
    const hsi_periodic_task rare = in_pieces(task(4, 20, 20, 0), 4);
    hsi_periodic_task urgent = rare;
    urgent.priority = 1;
    assert_int_equal(VERDICT(1, often, rare), HSI_PERIODIC_PROVEN);
    assert_int_equal(VERDICT(1, often, urgent), HSI_PERIODIC_POSSIBLE); /* 4 + 2 > 5 */
    urgent.on[0].cost_us = urgent.on[0].least_us = 3;
    assert_int_equal(VERDICT(1, often, urgent), HSI_PERIODIC_PROVEN); /* 3 + 2 */
}

/* If nothing is busy for longer than the shortest deadline, the order does not matter: nor do
 * priorities, nor whether it is known. */
static void in_any_order(void **state)
{
    (void)state;
    const hsi_periodic_task tasks[] = { task(3, 10, 10, 0), task(3, 20, 20, 9),
                                        task(4, 30, 30, 5) };
    hsi_periodic_set set = set_of(tasks, 3, 8);
    set.window_us = 0;
    set.devices[0].one_by_one = 0;
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_PROVEN);
    const hsi_periodic_task longer[] = { task(3, 10, 10, 0), task(3, 20, 20, 9),
                                         task(4.5, 30, 30, 5) };
    set.tasks = longer;
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_POSSIBLE);
}

/* Beyond the window all deadlines are alike: only what is met at its end is proven. */
static void deadlines_beyond_the_window(void **state)
{
    (void)state;
    const hsi_periodic_task tasks[] = { in_pieces(task(40, 100, 100, 0), 40),
                                        in_pieces(task(150, 300, 300, 0), 150) };
    hsi_periodic_set set = set_of(tasks, 2, 1);
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_PROVEN);
    set.window_us = 100;
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_POSSIBLE);
}

/* A run that is still there when the next one comes costs one of them. */
static void releases_are_not_to_be_lost(void **state)
{
    (void)state;
    hsi_periodic_task t = in_pieces(task(3, 10, 30, 0), 3);
    hsi_periodic_task other = in_pieces(task(9, 30, 30, 0), 9);
    assert_int_equal(VERDICT(1, t, other), HSI_PERIODIC_PROVEN);
    t.due_us = 10;
    assert_int_equal(VERDICT(1, t, other), HSI_PERIODIC_POSSIBLE);
}

static void several_workers(void **state)
{
    (void)state;
    const hsi_periodic_task half = task(5, 10, 10, 0);
    assert_int_equal(VERDICT(2, half), HSI_PERIODIC_PROVEN);
    /* Two may be kept waiting for 5 by the third, and have no time left then. */
    assert_int_equal(VERDICT(2, half, half, half), HSI_PERIODIC_POSSIBLE);
    /* So may whoever comes behind a long one on each. */
    const hsi_periodic_task little = task(0.2, 10, 10, 0);
    assert_int_equal(VERDICT(2, little, little, little, little, task(9.5, 10, 10, 0)),
                     HSI_PERIODIC_POSSIBLE);
    /* Two that go first, on both workers, and one that needs nearly all of its time (Dhall). */
    hsi_periodic_task first = task(2, 10, 10, 0), most = task(10, 10.5, 10.5, 0);
    first.on[0].block_us = most.on[0].block_us = 0;
    assert_int_equal(VERDICT(2, first, first, most), HSI_PERIODIC_POSSIBLE);
    assert_int_equal(VERDICT(4, first, first, most), HSI_PERIODIC_POSSIBLE);
    assert_int_equal(VERDICT(2, first, first, first, first, first, first),
                     HSI_PERIODIC_PROVEN); /* 6 * 0.2 <= 2 - 0.2 */
    const hsi_periodic_task small = task(2, 20, 20, 0);
    assert_int_equal(VERDICT(2, small, small, small, small, small, small, small, small,
                             small, small, small),
                     HSI_PERIODIC_PROVEN); /* 11 * 2 / 18 <= 2 - 2 / 18 */
    hsi_periodic_task urgent = small;
    urgent.priority = 1;
    assert_int_equal(VERDICT(2, small, small, small, small, small, small, small, small,
                             small, small, urgent),
                     HSI_PERIODIC_POSSIBLE);
}

/* What comes from another device comes at any time. */
static void two_devices(void **state)
{
    (void)state;
    hsi_periodic_task both = task(1, 10, 10, 0), one = task(1, 10, 10, 0);
    hsi_periodic_set set = set_of(&one, 1, 1);
    set.device_count = 2;
    set.devices[1] = set.devices[0];
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_PROVEN);
    both.on[1] = (hsi_periodic_demand){ 2, 2, 2, 1 };
    set.tasks = &both;
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_POSSIBLE);
    both.on[1].least_us = 11;
    const hsi_periodic_result result = hsi_periodic_admit(&set);
    assert_int_equal(result.verdict, HSI_PERIODIC_TOO_MUCH);
    assert_int_equal(result.device, 1);
}

/* Where looking at everything would take for ever, nothing is proven, and it ends. */
static void an_endless_search_ends(void **state)
{
    (void)state;
    const hsi_periodic_task tasks[] = { task(500, 1000, 1000, 0),
                                        task(499.999, 1000.003, 1000, 0),
                                        in_pieces(task(1e-3, 1e9, 900, 0), 1) };
    hsi_periodic_set set = set_of(tasks, 3, 1);
    set.window_us = 999;
    const hsi_periodic_verdict v = hsi_periodic_admit(&set).verdict;
    assert_int_equal(v, HSI_PERIODIC_POSSIBLE);
    const hsi_periodic_task full[] = { task(0.5, 1, 1, 0), task(1e6, 2e6, 2e6, 1) };
    set = set_of(full, 2, 1);
    set.window_us = 1e9;
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_POSSIBLE);
}

/* ---- Random sets, simulated ----------------------------------------------- */

typedef struct sim_job {
    int there, running;
    long release, left; /* of its present job */
    uint32_t piece;
} sim_job;

typedef struct sim_task {
    long period, deadline, due, phase;
    long pieces[3];
    uint32_t piece_count;
    int priority;
    sim_job jobs[JOBS];
} sim_task;

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % below);
}

/* The scheduler's key, whose ageing is twice the window. */
static long key_of(const sim_task *t, const sim_job *job, long window)
{
    const long near = t->deadline < window ? window - t->deadline : 0;
    return job->release - 2 * window * t->priority - near;
}

static sim_job *best_job(sim_task *tasks, uint32_t count, long window, sim_task **of)
{
    sim_job *best = NULL;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < JOBS; k++) {
            sim_job *job = &tasks[i].jobs[k];
            if (!job->there || job->running ||
                (best && key_of(*of, best, window) <= key_of(&tasks[i], job, window)))
                continue;
            best = job;
            *of = &tasks[i];
        }
    return best;
}

static int release_jobs(sim_task *tasks, uint32_t count, long now)
{
    for (uint32_t i = 0; i < count; i++) {
        sim_task *t = &tasks[i];
        if (now < t->phase || (now - t->phase) % t->period != 0)
            continue;
        uint32_t k = 0;
        while (k < JOBS && t->jobs[k].there)
            k++;
        if (k == JOBS)
            return 0;
        t->jobs[k] = (sim_job){ .there = 1, .release = now, .left = t->pieces[0] };
    }
    return 1;
}

/* A unit of time passes. 0: a run ended too late. */
static int pass(sim_task *t, sim_job *job, long now)
{
    if (--job->left > 0)
        return 1;
    job->running = 0;
    if (++job->piece < t->piece_count) {
        job->left = t->pieces[job->piece];
        return 1;
    }
    job->there = 0;
    return now + 1 - job->release <= t->due;
}

/* 1 if all runs of a long time end when they should. */
static int simulate(sim_task *tasks, uint32_t count, uint32_t workers, long window)
{
    for (long now = 0; now < 3 * 240; now++) {
        uint32_t running = 0;
        sim_task *of = NULL;
        sim_job *job;
        if (!release_jobs(tasks, count, now))
            return 0;
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t k = 0; k < JOBS; k++)
                running += tasks[i].jobs[k].there && tasks[i].jobs[k].running;
        for (; running < workers && (job = best_job(tasks, count, window, &of));
             running++)
            job->running = 1;
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t k = 0; k < JOBS; k++)
                if (tasks[i].jobs[k].there && tasks[i].jobs[k].running &&
                    !pass(&tasks[i], &tasks[i].jobs[k], now))
                    return 0;
    }
    return 1;
}

static void make_random(sim_task *s, hsi_periodic_task *t, uint32_t levels)
{
    static const long periods[] = { 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 40, 48, 60, 80 };
    long cost = 0, longest = 0;
    memset(s, 0, sizeof *s);
    s->period = periods[any(14)];
    s->phase = any((uint32_t)s->period);
    s->piece_count = 1 + any(3);
    for (uint32_t p = 0; p < s->piece_count; p++) {
        s->pieces[p] = 1 + any((uint32_t)s->period / 8 + 1);
        cost += s->pieces[p];
        longest = s->pieces[p] > longest ? s->pieces[p] : longest;
    }
    s->deadline = cost + any((uint32_t)(3 * s->period / 2));
    s->due = any(2) && s->deadline > s->period ? s->period : s->deadline;
    s->priority = (int)any(levels);
    *t = task((double)cost, (double)s->period, (double)s->deadline, s->priority);
    t->due_us = (double)s->due;
    t->on[0].block_us = (double)longest;
    t->on[0].pieces = s->piece_count;
}

/* Of one worker the test is to prove most of what is never late, of several it proves less. */
static void what_is_proven_is_never_late(void **state)
{
    (void)state;
    const char *seed = getenv("HSCHED_TEST_SEED");
    random_state = seed ? strtoull(seed, NULL, 0) : 1;
    uint32_t proven[4] = { 0 }, late[4] = { 0 }, refused = 0;
    for (uint32_t i = 0; i < 12000; i++) {
        sim_task sim[TASKS];
        hsi_periodic_task tasks[TASKS];
        const uint32_t workers = 1 + i % 3, count = 1 + any(4 + 2 * workers);
        const uint32_t levels = workers == 1 ? 1 + any(3) : 1;
        const long window = any(4) ? 400 : 5 + any(60);
        for (uint32_t k = 0; k < count; k++)
            make_random(&sim[k], &tasks[k], levels);
        hsi_periodic_set set = set_of(tasks, count, workers);
        set.window_us = (double)window;
        const hsi_periodic_verdict v = hsi_periodic_admit(&set).verdict;
        refused += v == HSI_PERIODIC_TOO_MUCH;
        const int well = simulate(sim, count, workers, window);
        if (v == HSI_PERIODIC_PROVEN && !well)
            fail_msg("set %u on %u worker(s) is called proven, and is late", i, workers);
        proven[workers] += v == HSI_PERIODIC_PROVEN;
        late[workers] += !well;
    }
    print_message("# proven %u, %u, %u; late %u, %u, %u; refused %u\n", proven[1],
                  proven[2], proven[3], late[1], late[2], late[3], refused);
    for (uint32_t w = 1; w <= 3; w++)
        assert_true(proven[w] > 300 && late[w] > 100);
    assert_true(refused > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longer_than_its_deadline),
        cmocka_unit_test(more_than_a_device_can_do),
        cmocka_unit_test(not_all_is_known),
        cmocka_unit_test(a_long_job_blocks),
        cmocka_unit_test(priorities_count),
        cmocka_unit_test(in_any_order),
        cmocka_unit_test(deadlines_beyond_the_window),
        cmocka_unit_test(releases_are_not_to_be_lost),
        cmocka_unit_test(several_workers),
        cmocka_unit_test(two_devices),
        cmocka_unit_test(an_endless_search_ends),
        cmocka_unit_test(what_is_proven_is_never_late),
    };
    return cmocka_run_group_tests_name("admission of periodic sources", tests, NULL,
                                       NULL);
}
