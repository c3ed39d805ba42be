/* The tree behind batch queues and choices, compared with a search through an unsorted array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/tree.h"

#define ELEMENTS 200

typedef struct element {
    hsi_tree_node node; /* first: the node's address is the element's */
    int inside;
    int64_t own, left; /* what it brings, and all to its left below it */
} element;

static element elements[ELEMENTS];
static uint64_t random_state = 7;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) * n >> 31);
}

static element *of(hsi_tree_node *node)
{
    return (element *)(void *)node;
}

static void raised(hsi_tree_node *node, hsi_tree_node *parent)
{
    if (parent->left == node)
        of(parent)->left -= of(node)->left + of(node)->own;
    else
        of(node)->left += of(parent)->left + of(parent)->own;
}

static void add(element *e, int64_t more)
{
    e->own += more;
    for (hsi_tree_node *node = &e->node; node->parent; node = node->parent)
        if (node->parent->left == node)
            of(node->parent)->left += more;
}

static int64_t sum_before(element *e)
{
    int64_t sum = e->left;
    for (hsi_tree_node *node = &e->node; node->parent; node = node->parent)
        if (node->parent->right == node)
            sum += of(node->parent)->left + of(node->parent)->own;
    return sum;
}

static element *searched_before(const element *e)
{
    element *best = NULL;
    for (uint32_t i = 0; i < ELEMENTS; i++)
        if (elements[i].inside && hsi_tree_before(&elements[i].node, &e->node) &&
            (!best || hsi_tree_before(&best->node, &elements[i].node)))
            best = &elements[i];
    return best;
}

static int64_t searched_sum(const element *e)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < ELEMENTS; i++)
        if (elements[i].inside && hsi_tree_before(&elements[i].node, &e->node))
            sum += elements[i].own;
    return sum;
}

static uint32_t depth_of(const hsi_tree_node *node)
{
    uint32_t depth = 0;
    for (; node; node = node->parent)
        depth++;
    return depth;
}

static void expect_sums(void)
{
    for (uint32_t i = 0; i < ELEMENTS; i++)
        if (elements[i].inside)
            assert_int_equal(sum_before(&elements[i]), searched_sum(&elements[i]));
}

static void test_random_elements(void **state)
{
    (void)state;
    hsi_tree tree = { .raised = raised };
    for (uint64_t i = 1; i <= 20000; i++) {
        element *e = &elements[random_below(ELEMENTS)];
        if (e->inside && random_below(3) == 0) {
            add(e, -e->own);
            hsi_tree_remove(&tree, &e->node);
            e->inside = 0;
        } else if (e->inside) {
            add(e, (int64_t)random_below(1000) - e->own);
        } else {
            *e = (element){ .node = { .key = (int64_t)random_below(50) - 25,
                                      .sequence = i } };
            element *before = searched_before(e);
            assert_ptr_equal(hsi_tree_insert(&tree, &e->node),
                             before ? &before->node : NULL);
            e->inside = 1;
            add(e, random_below(1000));
        }
        if (i % 50 == 0)
            expect_sums();
    }
    expect_sums();
}

/* In the order of keys a plain tree would be a list: 20000 deep. */
static void test_depth_in_order(void **state)
{
    (void)state;
    static hsi_tree_node nodes[20000];
    hsi_tree tree = { .root = NULL };
    uint32_t deepest = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        nodes[i] = (hsi_tree_node){ .key = i, .sequence = i + 1 };
        assert_ptr_equal(hsi_tree_insert(&tree, &nodes[i]), i ? &nodes[i - 1] : NULL);
    }
    for (uint32_t i = 0; i < 20000; i++)
        deepest = depth_of(&nodes[i]) > deepest ? depth_of(&nodes[i]) : deepest;
    assert_in_range(deepest, 15, 60);
    for (uint32_t i = 0; i < 20000; i++)
        hsi_tree_remove(&tree, &nodes[i]);
    assert_null(tree.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_elements),
        cmocka_unit_test(test_depth_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
