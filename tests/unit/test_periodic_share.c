/* The admission test where runs may be executed anywhere: what they need however they are shared
 * out, against what can be worked out by hand, exactly for two devices, and by trying all for
 * three. HSCHED_TEST_SEED makes other sets. */
#include "common/support.h"

#include <math.h>

#include "sched/periodic.h"

enum {
    TASKS = 3,
    SECTIONS = 4, /* of a task */
    DEVICES = 3
};

static hsi_periodic_set set_of(const hsi_periodic_task *tasks, uint32_t count,
                               uint32_t devices)
{
    hsi_periodic_set set = {
        .tasks = tasks, .task_count = count, .device_count = devices, .window_us = 1e6
    };
    for (uint32_t d = 0; d < devices; d++)
        set.devices[d] = (hsi_periodic_device){
            .workers = 1, .capacity = 1, .stretch = 1, .one_by_one = 1
        };
    return set;
}

static hsi_periodic_task anywhere(const double *us, uint32_t sections, double period)
{
    return (hsi_periodic_task){ .period_us = period,
                                .deadline_us = 1e5,
                                .due_us = 1e5,
                                .known = 1,
                                .anywhere_us = us,
                                .section_count = sections };
}

static hsi_periodic_task fixed(uint32_t device, double cost, double period)
{
    hsi_periodic_task t = { .period_us = period,
                            .deadline_us = period,
                            .due_us = period,
                            .known = 1,
                            .span_us = cost };
    t.on[device] = (hsi_periodic_demand){ cost, cost, cost, 1 };
    return t;
}

/* ---- By hand ---- */

static void it_is_shared_out_as_well_as_can_be(void **state)
{
    (void)state;
    const double us[] = { 400, 100 };
    hsi_periodic_task tasks[] = { anywhere(us, 1, 100), anywhere(us, 1, 100),
                                  anywhere(us, 1, 100) };
    hsi_periodic_set set = set_of(tasks, 1, 2);
    assert_true(fabs(hsi_periodic_needed(&set) - 0.8) < 0.01); /* 4/5 there */
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_POSSIBLE);
    set.task_count = 2;
    const hsi_periodic_result result = hsi_periodic_admit(&set);
    assert_int_equal(result.verdict, HSI_PERIODIC_TOO_MUCH_ANYWHERE);
    assert_true(fabs(result.used - 1.6) < 0.02);
    set.devices[1].capacity = 2.5; /* twice 0.4 fits beside it */
    assert_true(fabs(hsi_periodic_needed(&set) - 8 / 11.0) < 0.01);
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_POSSIBLE);
}

/* Those that have no choice go before in this. */
static void what_is_certain_takes_its_share(void **state)
{
    (void)state;
    const double us[] = { 400, 100 }, there[] = { INFINITY, 60 };
    hsi_periodic_task tasks[] = { fixed(1, 50, 100), anywhere(us, 1, 100) };
    hsi_periodic_set set = set_of(tasks, 2, 2);
    assert_true(fabs(hsi_periodic_needed(&set) - 1.2) < 0.015);
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_TOO_MUCH_ANYWHERE);
    tasks[1] = anywhere(there, 1, 100);
    assert_true(fabs(hsi_periodic_needed(&set) - 1.1) < 0.01);
    tasks[0] = fixed(0, 50, 100);
    assert_true(fabs(hsi_periodic_needed(&set) - 0.6) < 0.01);
    tasks[0] = fixed(0, 101, 100);
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_TOO_LONG);
    tasks[0].deadline_us = 1000;
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_TOO_MUCH);
}

/* A device that they may come to has nothing proven on it, another may. */
static void nothing_is_proven_where_they_may_come(void **state)
{
    (void)state;
    const double us[] = { INFINITY, 1, INFINITY };
    hsi_periodic_task tasks[] = { fixed(0, 10, 100), anywhere(us, 1, 100),
                                  fixed(2, 10, 100) };
    const hsi_periodic_set set = set_of(tasks, 3, 3);
    const hsi_periodic_result result = hsi_periodic_admit(&set);
    assert_int_equal(result.verdict, HSI_PERIODIC_POSSIBLE);
    assert_int_equal(result.device, 1);
    tasks[1].known = 0; /* something else is not */
    tasks[1].anywhere_us = NULL;
    assert_int_equal(hsi_periodic_admit(&set).verdict, HSI_PERIODIC_UNKNOWN);
}

/* ---- Random sets ---- */

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(random_state >> 33) % below;
}

typedef struct random_set {
    hsi_periodic_task tasks[TASKS];
    double us[TASKS][SECTIONS * DEVICES];
    hsi_periodic_set set;
    /* The sections of those that may go anywhere, per microsecond. */
    double part[TASKS * SECTIONS][DEVICES];
    uint32_t parts;
} random_set;

static void make_random(random_set *r, uint32_t devices)
{
    memset(r, 0, sizeof *r);
    for (uint32_t i = 0; i < TASKS; i++) {
        const double period = 100 + any(1000);
        if (i > 0 && any(4) == 0) {
            r->tasks[i] = fixed(any(devices), 1 + any(100), period);
            continue;
        }
        const uint32_t sections = 1 + any(devices == 2 ? SECTIONS : 2);
        for (uint32_t s = 0; s < sections; s++, r->parts++)
            for (uint32_t d = 0; d < devices; d++) {
                const double us = d > 0 && any(5) == 0 ? INFINITY : 1 + any(400);
                r->us[i][s * devices + d] = us;
                r->part[r->parts][d] = us / period;
            }
        r->tasks[i] = anywhere(r->us[i], sections, period);
    }
    r->set = set_of(r->tasks, TASKS, devices);
    for (uint32_t d = 0; d < devices; d++)
        r->set.devices[d].capacity = 1 + any(8) / 2.0;
}

/* The least load of device 1 if device 0 takes no more than so much: what costs device 1 most, by
 * what it costs device 0, stays there. */
static double rest_of(const random_set *r, double room)
{
    double rest = hsi_periodic_used(&r->set, 1);
    int done[TASKS * SECTIONS] = { 0 };
    room -= hsi_periodic_used(&r->set, 0);
    if (room < 0)
        return INFINITY;
    for (uint32_t k = 0; k < r->parts; k++) {
        int best = -1;
        for (uint32_t i = 0; i < r->parts; i++)
            if (!done[i] && (best < 0 || r->part[i][1] / r->part[i][0] >
                                             r->part[best][1] / r->part[best][0]))
                best = (int)i;
        const double *part = r->part[best];
        const double here = fmin(1, room / part[0]);
        done[best] = 1;
        room -= here * part[0];
        if (here < 1)
            rest += (1 - here) * part[1];
    }
    return rest;
}

static double exact(const random_set *r)
{
    double low = 0, high = 1e6;
    for (int i = 0; i < 100; i++) {
        const double middle = (low + high) / 2;
        if (rest_of(r, middle * r->set.devices[0].capacity) <=
            middle * r->set.devices[1].capacity)
            high = middle;
        else
            low = middle;
    }
    return high;
}

static void two_devices_as_exactly_as_can_be(void **state)
{
    (void)state;
    uint32_t refused = 0;
    double worst = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        random_set r;
        make_random(&r, 2);
        const double wanted = exact(&r), needed = hsi_periodic_needed(&r.set);
        if (needed > wanted * (1 + 1e-9))
            fail_msg("set %u: %g is needed at the least, not %g", i, wanted, needed);
        worst = fmax(worst, 1 - needed / wanted);
        refused += needed > 1;
    }
    print_message("# %u refused; %.2f%% too little is found at worst\n", refused,
                  100 * worst);
    assert_true(refused > 100 && refused < 1900);
    assert_true(worst < 0.03);
}

/* Whole sections cannot do better than parts of them. */
static double best_of_all(const random_set *r, uint32_t part, double *load)
{
    double best = INFINITY;
    if (part == r->parts) {
        best = 0;
        for (uint32_t d = 0; d < DEVICES; d++)
            best = fmax(best, load[d] / r->set.devices[d].capacity);
        return best;
    }
    for (uint32_t d = 0; d < DEVICES; d++) {
        if (isinf(r->part[part][d]))
            continue;
        const double before = load[d];
        load[d] += r->part[part][d];
        best = fmin(best, best_of_all(r, part + 1, load));
        load[d] = before;
    }
    return best;
}

static void nothing_that_can_be_done_is_refused(void **state)
{
    (void)state;
    uint32_t close = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        random_set r;
        double load[DEVICES];
        make_random(&r, DEVICES);
        for (uint32_t d = 0; d < DEVICES; d++)
            load[d] = hsi_periodic_used(&r.set, d);
        const double whole = best_of_all(&r, 0, load),
                     needed = hsi_periodic_needed(&r.set);
        if (needed > whole * (1 + 1e-9))
            fail_msg("set %u can be done with %g, not %g", i, whole, needed);
        close += needed > 0.6 * whole;
    }
    assert_true(close > 500);
}

int main(void)
{
    const char *seed = getenv("HSCHED_TEST_SEED");
    random_state = seed ? strtoull(seed, NULL, 0) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_shared_out_as_well_as_can_be),
        cmocka_unit_test(what_is_certain_takes_its_share),
        cmocka_unit_test(nothing_is_proven_where_they_may_come),
        cmocka_unit_test(two_devices_as_exactly_as_can_be),
        cmocka_unit_test(nothing_that_can_be_done_is_refused),
    };
    return cmocka_run_group_tests_name("admission of runs that may go anywhere", tests,
                                       NULL, NULL);
}
