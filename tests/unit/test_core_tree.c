/* The trees behind batch queues and choices, compared with a search through an unsorted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "sched/tree.h"

enum {
    ELEMENTS = 3000,
    NUMBERS = 2
};

typedef struct element {
    hsi_tree_place place;
    int inside;
    int64_t own[NUMBERS];
} element;

static element elements[ELEMENTS];
static uint64_t random_state = 7;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) * n >> 31);
}

static void empty_elements(void)
{
    for (uint32_t i = 0; i < ELEMENTS; i++)
        elements[i] = (element){ .inside = 0 };
}

/* ---- What the tree should say ---------------------------------------------- */

static element *searched_next(const hsi_tree_place *after)
{
    element *best = NULL;
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        element *e = &elements[i];
        if (e->inside && (!after || hsi_tree_before(*after, e->place)) &&
            (!best || hsi_tree_before(e->place, best->place)))
            best = e;
    }
    return best;
}

static int64_t searched_sum(hsi_tree_place place, uint32_t number)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < ELEMENTS; i++)
        if (elements[i].inside && hsi_tree_before(elements[i].place, place))
            sum += elements[i].own[number];
    return sum;
}

static void expect_sound(const hsi_tree_pool *pool, const hsi_tree_node *root)
{
    uint32_t nodes = 0;
    const char *wrong = hsi_tree_check(pool, root, &nodes);
    if (wrong)
        fail_msg("%s", wrong);
    assert_in_range(nodes, 0, pool->capacity);
}

/* ---- Entries with numbers --------------------------------------------------- */

static void add(const hsi_tree_pool *pool, hsi_tree_node *root, element *e)
{
    int64_t more[NUMBERS];
    hsi_tree_path path;
    for (uint32_t n = 0; n < NUMBERS; n++)
        e->own[n] += more[n] = (int64_t)random_below(2000) - 1000;
    hsi_tree_find(root, e->place, &path);
    hsi_tree_add(pool, &path, more);
}

static void put_in(hsi_tree_pool *pool, hsi_tree_node *root, element *e,
                   uint64_t sequence)
{
    hsi_tree_path path, again;
    *e = (element){ .place = { (int64_t)random_below(50) - 25, sequence }, .inside = 1 };
    hsi_tree_insert(pool, root, e->place, e, &path);
    hsi_tree_find(root, e->place, &again);
    assert_int_equal(path.length, again.length);
    for (uint32_t i = 0; i < path.length; i++) {
        assert_ptr_equal(path.steps[i].node, again.steps[i].node);
        assert_int_equal(path.steps[i].slot, again.steps[i].slot);
    }
    add(pool, root, e);
}

static void expect_answers(const hsi_tree_pool *pool, hsi_tree_node *root,
                           hsi_tree_place place)
{
    int64_t sums[NUMBERS];
    hsi_tree_path path;
    assert_ptr_equal(hsi_tree_first(root), searched_next(NULL));
    assert_ptr_equal(hsi_tree_next(root, place), searched_next(&place));
    hsi_tree_find(root, place, &path);
    hsi_tree_sum_before(pool, &path, sums);
    for (uint32_t n = 0; n < NUMBERS; n++)
        assert_int_equal(sums[n], searched_sum(place, n));
}

static void random_elements(void **state)
{
    (void)state;
    hsi_tree_pool pool = { .numbers = NUMBERS };
    hsi_tree_node *root = hsi_tree_create(&pool);
    assert_non_null(root);
    assert_true(hsi_tree_reserve(&pool, ELEMENTS));
    empty_elements();
    for (uint64_t i = 1; i <= 60000; i++) {
        element *e = &elements[random_below(ELEMENTS)];
        /* It grows for a while, then shrinks, so that nodes are split and joined. */
        const int shrinks = i / 10000 % 2 == 1;
        if (!e->inside && (!shrinks || random_below(4) == 0)) {
            put_in(&pool, root, e, i);
        } else if (e->inside && random_below(shrinks ? 2 : 8) == 0) {
            hsi_tree_remove(&pool, root, e->place, e->own);
            e->inside = 0;
        } else if (e->inside) {
            add(&pool, root, e);
        }
        if (i % 97 == 0) {
            expect_sound(&pool, root);
            expect_answers(&pool, root, e->place);
            expect_answers(&pool, root,
                           (hsi_tree_place){ (int64_t)random_below(60) - 30, i });
        }
    }
    hsi_tree_clear(&pool);
    hsi_free(root);
}

/* ---- Entries without -------------------------------------------------------- */

/* Two trees of one pool, as of two models. */
static void the_first_are_taken(void **state)
{
    (void)state;
    hsi_tree_pool pool = { .numbers = 0 };
    hsi_tree_node roots[2] = { { 0 }, { 0 } };
    uint64_t sequence = 0;
    assert_true(hsi_tree_reserve(&pool, ELEMENTS));
    empty_elements();
    for (int round = 0; round < 200; round++) {
        hsi_tree_path path;
        for (uint32_t k = random_below(100); k > 0; k--) {
            element *e = &elements[random_below(ELEMENTS / 2)];
            if (e->inside)
                continue;
            *e = (element){ .place = { (int64_t)random_below(9), ++sequence },
                            .inside = 1 };
            hsi_tree_insert(&pool, &roots[0], e->place, e, &path);
            hsi_tree_insert(&pool, &roots[1], e->place, e, &path);
        }
        void *taken[64];
        const uint32_t wanted = random_below(64);
        const uint32_t count = hsi_tree_take(&pool, &roots[0], taken, wanted);
        for (uint32_t i = 0; i < count; i++) {
            element *e = taken[i];
            assert_ptr_equal(e, searched_next(NULL));
            hsi_tree_remove(&pool, &roots[1], e->place, NULL);
            e->inside = 0;
        }
        assert_true(count == wanted || !searched_next(NULL));
        expect_sound(&pool, &roots[0]);
        expect_sound(&pool, &roots[1]);
    }
    hsi_tree_clear(&pool);
}

/* In the order of keys a plain tree would be a list. */
static void depth_in_order(void **state)
{
    (void)state;
    hsi_tree_pool pool = { .numbers = 0 };
    hsi_tree_node root = { 0 };
    hsi_tree_path path;
    const uint32_t entries = 100000;
    assert_true(hsi_tree_reserve(&pool, entries));
    for (uint32_t i = 0; i < entries; i++)
        hsi_tree_insert(&pool, &root, (hsi_tree_place){ i, i }, &elements[0], &path);
    expect_sound(&pool, &root);
    assert_in_range(path.length, 3, 5);
    for (uint32_t i = entries; i-- > 0;)
        hsi_tree_remove(&pool, &root, (hsi_tree_place){ i, i }, NULL);
    assert_null(hsi_tree_first(&root));
    assert_int_equal(root.height, 0);
    hsi_tree_clear(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_elements),
        cmocka_unit_test(the_first_are_taken),
        cmocka_unit_test(depth_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
