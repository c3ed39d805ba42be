/* The memory planner alone: random lifetimes against overlap, alignment and lower bounds.
 */
#include "common/support.h"

#include "base/alloc.h"
#include "plan/plan.h"

enum {
    MAX_ITEMS = 120
};

typedef struct lifetimes {
    uint32_t first[MAX_ITEMS], last[MAX_ITEMS];
} lifetimes;

static int overlap_in_time(void *user, uint32_t a, uint32_t b)
{
    const lifetimes *l = user;
    return l->first[a] <= l->last[b] && l->first[b] <= l->last[a];
}

static int always(void *user, uint32_t a, uint32_t b)
{
    (void)user;
    return a != b;
}

static int never(void *user, uint32_t a, uint32_t b)
{
    (void)user;
    (void)a;
    (void)b;
    return 0;
}

static uint32_t next(uint32_t *state, uint32_t limit)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % limit;
}

static size_t rounded(size_t size)
{
    return (size + 63) / 64 * 64;
}

/* No plan can be smaller than what is alive at one time. */
static size_t most_alive(const hsi_memory_item *items, uint32_t count, const lifetimes *l)
{
    size_t most = 0;
    for (uint32_t t = 0; t < 64; t++) {
        size_t sum = 0;
        for (uint32_t i = 0; i < count; i++)
            if (l->first[i] <= t && t <= l->last[i])
                sum += rounded(items[i].size);
        most = sum > most ? sum : most;
    }
    return most;
}

static void check(const hsi_memory_item *items, uint32_t count, lifetimes *l,
                  size_t total)
{
    size_t end = 0;
    for (uint32_t a = 0; a < count; a++) {
        assert_int_equal(items[a].offset % 64, 0);
        if (items[a].offset + items[a].size > end)
            end = items[a].offset + items[a].size;
        for (uint32_t b = 0; b < a; b++)
            if (items[a].size > 0 && items[b].size > 0 && overlap_in_time(l, a, b))
                assert_true(items[a].offset + items[a].size <= items[b].offset ||
                            items[b].offset + items[b].size <= items[a].offset);
    }
    assert_int_equal(total, rounded(end));
}

static void test_random_lifetimes(void **state)
{
    (void)state;
    uint32_t random = 1;
    double used = 0, needed = 0;
    for (int round = 0; round < 500; round++) {
        hsi_memory_item items[MAX_ITEMS];
        lifetimes l;
        size_t total;
        const uint32_t count = 1 + next(&random, MAX_ITEMS);
        for (uint32_t i = 0; i < count; i++) {
            l.first[i] = next(&random, 60);
            l.last[i] = l.first[i] + next(&random, 1 + next(&random, 20));
            l.last[i] = l.last[i] > 63 ? 63 : l.last[i];
            items[i] =
                (hsi_memory_item){ next(&random, 10) == 0 ? 0 : next(&random, 5000) };
        }
        assert_ok(hsi_memory_plan(items, count, overlap_in_time, &l, &total));
        check(items, count, &l, total);
        const size_t least = most_alive(items, count, &l);
        assert_true(total >= least);
        used += (double)total;
        needed += (double)least;
    }
    /* Greedy by size is known to stay close to the lower bound. */
    assert_true(used < 1.25 * needed);
}

static void test_extremes(void **state)
{
    (void)state;
    hsi_memory_item items[3] = { { 100 }, { 64 }, { 1 } };
    size_t total = 1;
    assert_ok(hsi_memory_plan(items, 0, always, NULL, &total));
    assert_int_equal(total, 0);
    assert_ok(hsi_memory_plan(items, 3, never, NULL, &total));
    assert_int_equal(total, 128);
    assert_ok(hsi_memory_plan(items, 3, always, NULL, &total));
    assert_int_equal(total, 256);
}

static void test_overflow(void **state)
{
    (void)state;
    size_t total;
    hsi_memory_item one = { SIZE_MAX - 3 };
    assert_fails(hsi_memory_plan(&one, 1, always, NULL, &total), HSCHED_ERROR_LIMIT,
                 "large");
    hsi_memory_item two[2] = { { PTRDIFF_MAX - 64 }, { PTRDIFF_MAX - 64 } };
    assert_fails(hsi_memory_plan(two, 2, always, NULL, &total), HSCHED_ERROR_LIMIT,
                 "large");
    assert_int_equal(total, 0);
}

static void test_no_memory(void **state)
{
    (void)state;
    hsi_memory_item items[2] = { { 10 }, { 20 } };
    for (uint64_t k = 1; k <= 2; k++) {
        size_t total;
        const uint64_t held = hsi_alloc_bytes();
        hsi_alloc_fail_after(k);
        assert_int_equal(hsi_memory_plan(items, 2, always, NULL, &total),
                         HSCHED_ERROR_OUT_OF_MEMORY);
        hsi_alloc_fail_after(0);
        assert_int_equal(hsi_alloc_bytes(), held);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_lifetimes),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
