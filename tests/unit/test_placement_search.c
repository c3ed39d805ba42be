/* The placement search on problems whose answers are known by thinking. */
#include "unit/placement_problem.h"

#include "base/alloc.h"

static placement_case c;
static hsi_placement_problem *const p = &c.problem;

/* The search finds this placement, and this is how long it takes. */
static void expect_found(const uint8_t *devices, double latency_us)
{
    uint8_t found[PROBLEM_SECTIONS];
    hsi_placement_totals totals;
    assert_ok(hsi_placement_search(p, found, &totals));
    for (uint32_t s = 0; s < p->section_count; s++)
        if (found[s] != devices[s])
            fail_msg("section %u is on device %u, not %u", s, found[s], devices[s]);
    assert_true(totals.latency_us == latency_us);
}

/* ---- Chains --------------------------------------------------------------- */

/* Of three sections the accelerator does two in half the time, the one between them in twice the
 * time. */
static void three_sections(double link_us)
{
    placement_case_init(&c, 3, 2);
    placement_case_chain(&c, 1000);
    placement_case_links(&c, link_us, 0);
    placement_case_us(&c, 0, (double[]){ 20, 10 });
    placement_case_us(&c, 1, (double[]){ 20, 40 });
    placement_case_us(&c, 2, (double[]){ 20, 10 });
}

static void crossings_decide(void **state)
{
    (void)state;
    three_sections(1);
    expect_found((uint8_t[]){ 1, 0, 1 }, 10 + 1 + 20 + 1 + 10);
    three_sections(100);
    expect_found((uint8_t[]){ 0, 0, 0 }, 60);
    /* The same, by the bytes. */
    three_sections(1);
    placement_case_links(&c, 1, 0.125);
    expect_found((uint8_t[]){ 0, 0, 0 }, 60);
}

static void nothing_to_hand_over_costs_nothing(void **state)
{
    (void)state;
    three_sections(100);
    memset(c.bytes, 0, sizeof c.bytes);
    expect_found((uint8_t[]){ 1, 0, 1 }, 40);
    hsi_placement_totals totals;
    assert_ok(hsi_placement_evaluate(p, (uint8_t[]){ 1, 0, 1 }, &totals));
    assert_int_equal(totals.crossings, 0);
}

static void a_job_is_begun_once_for_its_sections(void **state)
{
    (void)state;
    hsi_placement_totals totals;
    three_sections(1);
    p->job_us[1] = 4;
    assert_ok(hsi_placement_evaluate(p, (uint8_t[]){ 1, 1, 1 }, &totals));
    assert_true(totals.latency_us == 4 + 60);
    assert_int_equal(totals.jobs, 1);
    assert_ok(hsi_placement_evaluate(p, (uint8_t[]){ 1, 0, 1 }, &totals));
    assert_true(totals.latency_us == 4 + 10 + 1 + 20 + 1 + 4 + 10);
    assert_int_equal(totals.jobs, 3);
    assert_true(totals.work_us[0] == 20);
    assert_true(totals.work_us[1] == 2 * (4 + 10));
    /* Beginning two jobs costs more than the accelerator gains; it would not cost that for one. */
    p->job_us[1] = 10;
    expect_found((uint8_t[]){ 0, 0, 0 }, 60);
    placement_case_us(&c, 1, (double[]){ 20, 20 });
    expect_found((uint8_t[]){ 1, 1, 1 }, 10 + 40);
    /* The CPU's count as well. */
    p->job_us[1] = 0;
    p->job_us[0] = 7;
    assert_ok(hsi_placement_evaluate(p, (uint8_t[]){ 0, 1, 0 }, &totals));
    assert_true(totals.latency_us == 27 + 1 + 20 + 1 + 27);
}

static void a_weight_tips(void **state)
{
    (void)state;
    three_sections(1);
    p->weight[1] = 2;
    expect_found((uint8_t[]){ 0, 0, 0 }, 60);
    /* Crossings do not take longer because the device is busy. */
    p->weight[1] = 1.5;
    expect_found((uint8_t[]){ 1, 0, 1 }, 15 + 1 + 20 + 1 + 15);
    /* The work is given without weights. */
    hsi_placement_totals totals;
    assert_ok(hsi_placement_evaluate(p, (uint8_t[]){ 1, 0, 1 }, &totals));
    assert_true(totals.work_us[1] == 20);
    /* A busy CPU drives out the section that it is better at. */
    p->weight[0] = 4;
    expect_found((uint8_t[]){ 1, 1, 1 }, 15 + 60 + 15);
}

static void what_a_device_cannot_is_elsewhere(void **state)
{
    (void)state;
    three_sections(1);
    placement_case_us(&c, 1, (double[]){ 20, 1 });
    expect_found((uint8_t[]){ 1, 1, 1 }, 21);
    c.sections[1].device_mask = 1;
    expect_found((uint8_t[]){ 1, 0, 1 }, 42);
    /* The way there and back is not worth the rest. */
    placement_case_links(&c, 15, 0);
    expect_found((uint8_t[]){ 0, 0, 0 }, 60);
    /* Of three devices the third can do it all. */
    placement_case_init(&c, 3, 3);
    placement_case_chain(&c, 1000);
    placement_case_links(&c, 15, 0);
    for (uint32_t s = 0; s < 3; s++)
        placement_case_us(&c, s, (double[]){ 20, 1, 10 });
    c.sections[1].device_mask = 1 | 4;
    expect_found((uint8_t[]){ 2, 2, 2 }, 30);
}

static void inputs_and_outputs_lie_with_the_cpu(void **state)
{
    (void)state;
    three_sections(1);
    placement_case_us(&c, 1, (double[]){ 20, 10 });
    placement_case_links(&c, 1, 0.0625);
    expect_found((uint8_t[]){ 1, 1, 1 }, 30);
    c.sections[0].input_bytes = c.sections[2].output_bytes = 160;
    expect_found((uint8_t[]){ 1, 1, 1 }, 11 + 30 + 11);
    c.sections[0].input_bytes = 480;
    expect_found((uint8_t[]){ 0, 0, 0 }, 60);
    hsi_placement_totals totals;
    assert_ok(hsi_placement_evaluate(p, (uint8_t[]){ 1, 1, 1 }, &totals));
    assert_true(totals.crossing_us == 31 + 11);
    assert_int_equal(totals.crossing_bytes, 480 + 160);
    assert_int_equal(totals.crossings, 0);
    /* While the input of the last section is on its way, the others are executed. */
    c.sections[0].input_bytes = 0;
    c.sections[2].input_bytes = 304;
    expect_found((uint8_t[]){ 1, 1, 1 }, 20 + 10 + 11);
}

/* The accelerator would end the run first, but the first section's output would come late. */
static void an_output_in_between_may_be_the_last(void **state)
{
    (void)state;
    placement_case_init(&c, 2, 2);
    placement_case_chain(&c, 64);
    placement_case_links(&c, 5, 0);
    placement_case_us(&c, 0, (double[]){ 20, 5 });
    placement_case_us(&c, 1, (double[]){ 10, 10 });
    expect_found((uint8_t[]){ 1, 1 }, 15);
    p->links[1][0].us = 50;
    c.sections[0].output_bytes = 64;
    expect_found((uint8_t[]){ 0, 0 }, 30);
    p->links[1][0].us = 20;
    expect_found((uint8_t[]){ 1, 1 }, 25);
}

/* ---- Branches ------------------------------------------------------------- */

/* 1 and 2 read 0, and 3 reads both; each takes 10 us everywhere. */
static void fork_of_two(uint32_t devices)
{
    placement_case_init(&c, 4, devices);
    placement_case_read(&c, 1, 0, 64);
    placement_case_read(&c, 2, 0, 128);
    placement_case_read(&c, 3, 1, 64);
    placement_case_read(&c, 3, 2, 64);
    placement_case_links(&c, 1, 0);
    for (uint32_t i = 0; i < 4 * devices; i++)
        c.us[i] = 10;
}

static void branches_overlap(void **state)
{
    (void)state;
    uint8_t found[4];
    hsi_placement_totals totals;
    fork_of_two(2);
    assert_ok(hsi_placement_search(p, found, &totals));
    assert_true(totals.latency_us == 10 + (1 + 10) + 10);
    assert_int_not_equal(found[1], found[2]);
    /* Two workers of one device need not hand anything over. */
    p->workers[0] = 2;
    expect_found((uint8_t[]){ 0, 0, 0, 0 }, 30);
    p->workers[0] = 1;
    p->workers[1] = 2;
    expect_found((uint8_t[]){ 1, 1, 1, 1 }, 30);
}

/* A worker that waits for what one section reads executes another meanwhile. */
static void a_worker_takes_what_is_there(void **state)
{
    (void)state;
    hsi_placement_totals totals;
    fork_of_two(2);
    /* Section 1 waits for its input until 100. */
    placement_case_links(&c, 100, 0);
    c.sections[1].input_bytes = 64;
    assert_ok(hsi_placement_evaluate(p, (uint8_t[]){ 1, 1, 1, 1 }, &totals));
    assert_true(totals.latency_us == 100 + 10 + 10);
}

static void what_two_read_crosses_once(void **state)
{
    (void)state;
    hsi_placement_totals totals;
    fork_of_two(3);
    placement_case_links(&c, 1, 0.0625);
    assert_ok(hsi_placement_evaluate(p, (uint8_t[]){ 0, 1, 1, 1 }, &totals));
    assert_int_equal(totals.crossings, 1);
    assert_int_equal(totals.crossing_bytes, 128); /* what the one reads that reads more */
    assert_true(totals.crossing_us == 9);
    assert_true(totals.latency_us == 10 + 9 + 30);
    /* To two devices it passes twice. */
    assert_ok(hsi_placement_evaluate(p, (uint8_t[]){ 0, 1, 2, 2 }, &totals));
    assert_int_equal(totals.crossings, 3);
    assert_int_equal(totals.crossing_bytes, 64 + 128 + 64);
    assert_true(totals.latency_us == 10 + (5 + 10 + 5) + 10);
}

/* Of two placements that end at the same time the one that costs less: section 1 is faster on the
 * accelerator, but nobody waits for it. */
static void nothing_is_moved_for_no_gain(void **state)
{
    (void)state;
    fork_of_two(2);
    p->workers[0] = 2;
    placement_case_us(&c, 1, (double[]){ 10, 9 });
    placement_case_us(&c, 2, (double[]){ 40, 90 });
    expect_found((uint8_t[]){ 0, 0, 0, 0 }, 10 + 40 + 10);
}

/* ---- Sets ----------------------------------------------------------------- */

static void expect_placement(const hsi_placement_set *set, uint32_t index,
                             const uint8_t *devices, double latency_us)
{
    assert_memory_equal(set->devices + index * set->section_count, devices,
                        set->section_count);
    assert_true(set->totals[index].latency_us == latency_us);
}

static void a_set_has_what_each_load_needs(void **state)
{
    (void)state;
    hsi_placement_set set;
    three_sections(1);
    p->weight[0] = p->weight[1] = -1; /* not looked at */
    assert_ok(hsi_placement_set_make(p, &set));
    assert_int_equal(set.count, 3);
    assert_int_equal(set.section_count, 3);
    assert_int_equal(set.device_count, 2);
    expect_placement(&set, 0, (uint8_t[]){ 1, 1, 1 }, 60);
    expect_placement(&set, 1, (uint8_t[]){ 1, 0, 1 }, 42);
    expect_placement(&set, 2, (uint8_t[]){ 0, 0, 0 }, 60);
    assert_true(set.totals[1].work_us[0] == 20);
    hsi_placement_set_clear(&set);
    assert_null(set.devices);
    hsi_placement_set_clear(&set);
}

static void a_set_of_the_cpu_alone_is_one_placement(void **state)
{
    (void)state;
    hsi_placement_set set;
    three_sections(1);
    for (uint32_t s = 0; s < 3; s++)
        c.sections[s].device_mask = 1;
    assert_ok(hsi_placement_set_make(p, &set));
    assert_int_equal(set.count, 1);
    expect_placement(&set, 0, (uint8_t[]){ 0, 0, 0 }, 60);
    hsi_placement_set_clear(&set);
    placement_case_init(&c, 1, 1);
    placement_case_us(&c, 0, (double[]){ 5 });
    assert_ok(hsi_placement_set_make(p, &set));
    assert_int_equal(set.count, 1);
    expect_placement(&set, 0, (uint8_t[]){ 0 }, 5);
    hsi_placement_set_clear(&set);
}

/* Two accelerators of the same kind, each better than the CPU: if one alone is busy there is a
 * placement without it, on the other. */
static void a_set_avoids_each_accelerator(void **state)
{
    (void)state;
    hsi_placement_set set;
    int is_without[3] = { 0 };
    placement_case_init(&c, 3, 3);
    placement_case_chain(&c, 64);
    placement_case_links(&c, 1, 0);
    for (uint32_t s = 0; s < 3; s++)
        placement_case_us(&c, s, (double[]){ 100, 20, s == 1 ? 10 : 21 });
    assert_ok(hsi_placement_set_make(p, &set));
    for (uint32_t i = 0; i < set.count; i++) {
        const double *work = set.totals[i].work_us;
        is_without[1] |= work[0] == 0 && work[1] == 0;
        is_without[2] |= work[0] == 0 && work[2] == 0;
    }
    assert_true(is_without[1] && is_without[2]);
    hsi_placement_set_clear(&set);
}

/*
 * Section s is best on device s + 1, takes twice as long on other accelerators, and the larger
 * their weight, the more sections are left to the CPU. There are 18 placements; the one
 * without device 1 hardly differs from the best, nor that for the largest weight from the CPU's.
 */
static void a_full_set_is_spread(void **state)
{
    (void)state;
    enum {
        ACCELERATORS = 11
    };
    hsi_placement_set set;
    uint32_t is_best = 0, is_cpu = 0, is_nearly_cpu = 0, is_without_last = 0;
    placement_case_init(&c, ACCELERATORS, ACCELERATORS + 1);
    placement_case_chain(&c, 0);
    for (uint32_t s = 0; s < ACCELERATORS; s++) {
        const double own = s == 0 ? 1 / 64.0 : 16;
        const double cpu = s == 0 ? 2 : 24 << (s < 6 ? s - 1 : 5);
        for (uint32_t d = 0; d <= ACCELERATORS; d++)
            c.us[s * (ACCELERATORS + 1) + d] = d == 0 ? cpu : d == s + 1 ? own : 2 * own;
    }
    assert_ok(hsi_placement_set_make(p, &set));
    assert_int_equal(set.count, HSI_PLACEMENTS_MAX);
    for (uint32_t i = 0; i < set.count; i++) {
        const hsi_placement_totals *totals = &set.totals[i];
        uint32_t on_cpu = 0;
        for (uint32_t s = 0; s < ACCELERATORS; s++)
            on_cpu += set.devices[i * ACCELERATORS + s] == 0;
        is_best += totals->latency_us == 160 + 1 / 64.0;
        is_cpu += on_cpu == ACCELERATORS;
        is_nearly_cpu += on_cpu == ACCELERATORS - 1;
        is_without_last += on_cpu == 0 && totals->work_us[ACCELERATORS] == 0;
    }
    assert_int_equal(is_best, 1);
    assert_int_equal(is_cpu, 1);
    assert_int_equal(is_nearly_cpu, 0);
    assert_int_equal(is_without_last, 1);
    hsi_placement_set_clear(&set);
}

/* ---- Memory --------------------------------------------------------------- */

static hsched_status search_it(void)
{
    uint8_t devices[4];
    hsi_placement_totals totals;
    return hsi_placement_search(p, devices, &totals);
}

static hsched_status evaluate_it(void)
{
    hsi_placement_totals totals;
    return hsi_placement_evaluate(p, (uint8_t[]){ 0, 1, 0, 1 }, &totals);
}

static hsched_status make_and_clear_it(void)
{
    hsi_placement_set set;
    memset(&set, 0xa5, sizeof set);
    hsched_status status = hsi_placement_set_make(p, &set);
    if (status != HSCHED_OK) {
        assert_null(set.devices);
        assert_int_equal(set.count, 0);
    }
    hsi_placement_set_clear(&set);
    return status;
}

/* Every allocation fails once. */
static void expect_it_bears_failures(hsched_status (*call)(void))
{
    const uint64_t held = hsi_alloc_bytes();
    hsched_status status = HSCHED_ERROR_OUT_OF_MEMORY;
    uint64_t k = 0;
    while (status != HSCHED_OK) {
        hsi_alloc_fail_after(++k);
        status = call();
        if (status != HSCHED_OK)
            assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
        assert_int_equal(hsi_alloc_bytes(), held);
    }
    hsi_alloc_fail_after(0);
    assert_true(k > 1);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    three_sections(1);
    expect_it_bears_failures(search_it);
    expect_it_bears_failures(make_and_clear_it);
    fork_of_two(3);
    expect_it_bears_failures(evaluate_it);
    expect_it_bears_failures(search_it);
    expect_it_bears_failures(make_and_clear_it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crossings_decide),
        cmocka_unit_test(nothing_to_hand_over_costs_nothing),
        cmocka_unit_test(a_job_is_begun_once_for_its_sections),
        cmocka_unit_test(a_weight_tips),
        cmocka_unit_test(what_a_device_cannot_is_elsewhere),
        cmocka_unit_test(inputs_and_outputs_lie_with_the_cpu),
        cmocka_unit_test(an_output_in_between_may_be_the_last),
        cmocka_unit_test(branches_overlap),
        cmocka_unit_test(a_worker_takes_what_is_there),
        cmocka_unit_test(what_two_read_crosses_once),
        cmocka_unit_test(nothing_is_moved_for_no_gain),
        cmocka_unit_test(a_set_has_what_each_load_needs),
        cmocka_unit_test(a_set_of_the_cpu_alone_is_one_placement),
        cmocka_unit_test(a_set_avoids_each_accelerator),
        cmocka_unit_test(a_full_set_is_spread),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests_name("placement search", tests, NULL, NULL);
}
