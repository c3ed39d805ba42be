/* The heap behind all queues, compared with a search through an unsorted array. */
#include "unit/test_core_model.h"

#include "base/alloc.h"
#include "sched/heap.h"

#define ELEMENTS 300

typedef struct element {
    hsi_heap_entry entry;
    uint32_t heap_index;
    int inside;
} element;

static uint64_t random_state = 88172645463325252u;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

static void expect_order(const hsi_heap *heap, const element *elements)
{
    const element *best = NULL;
    uint32_t inside = 0;
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        const element *e = &elements[i];
        if (!e->inside)
            continue;
        inside++;
        assert_true(e->heap_index < heap->count);
        assert_ptr_equal(heap->entries[e->heap_index].heap_index, &e->heap_index);
        if (!best || e->entry.key < best->entry.key ||
            (e->entry.key == best->entry.key &&
             (e->entry.sequence < best->entry.sequence ||
              (e->entry.sequence == best->entry.sequence &&
               e->entry.section < best->entry.section))))
            best = e;
    }
    assert_int_equal(heap->count, inside);
    if (best)
        assert_ptr_equal(heap->entries[0].heap_index, &best->heap_index);
}

static void test_random_against_search(void **state)
{
    (void)state;
    static element elements[ELEMENTS];
    hsi_heap heap = { 0 };
    assert_true(hsi_heap_reserve(&heap, ELEMENTS));
    uint64_t calls = hsi_alloc_count();
    for (uint32_t n = 0; n < 20000; n++) {
        uint32_t i = random_below(ELEMENTS);
        element *e = &elements[i];
        if (e->inside) {
            hsi_heap_remove(&heap, random_below(3) ? e->heap_index : 0);
            for (uint32_t k = 0; k < ELEMENTS;
                 k++) /* the one that no entry refers to any more */
                if (elements[k].inside &&
                    (elements[k].heap_index >= heap.count ||
                     heap.entries[elements[k].heap_index].heap_index !=
                         &elements[k].heap_index))
                    elements[k].inside = 0;
        } else {
            /* Few keys and sequences, so that ties are common; (sequence, section) is
             * unique. */
            e->entry = (hsi_heap_entry){ (int64_t)random_below(9) - 4, i % 7, i,
                                         &e->heap_index };
            hsi_heap_push(&heap, e->entry);
            e->inside = 1;
        }
        expect_order(&heap, elements);
    }
    assert_int_equal(hsi_alloc_count(), calls);
    hsi_heap_clear(&heap);
}

static void test_reserve(void **state)
{
    (void)state;
    hsi_heap heap = { 0 };
    uint64_t bytes = hsi_alloc_bytes();
    assert_true(hsi_heap_reserve(&heap, 0));
    assert_int_equal(heap.capacity, 0);
    hsi_alloc_fail_after(1);
    assert_false(hsi_heap_reserve(&heap, 1));
    assert_null(heap.entries);
    assert_true(hsi_heap_reserve(&heap, 1));
    uint32_t index = 77;
    hsi_heap_push(&heap, (hsi_heap_entry){ 5, 0, 0, &index });
    hsi_alloc_fail_after(1);
    assert_false(hsi_heap_reserve(&heap, 1000));
    assert_int_equal(heap.count, 1);
    assert_true(hsi_heap_reserve(&heap, 1000));
    assert_true(heap.capacity >= 1000);
    assert_ptr_equal(heap.entries[0].heap_index, &index);
    assert_int_equal(index, 0);
    uint64_t calls = hsi_alloc_count();
    assert_true(hsi_heap_reserve(&heap, 1000));
    assert_int_equal(hsi_alloc_count(), calls);
    for (uint32_t capacity = 1001; capacity <= 100000; capacity++)
        assert_true(hsi_heap_reserve(&heap, capacity));
    assert_true(hsi_alloc_count() - calls <= 8); /* doubling */
    assert_int_equal(heap.count, 1);
    hsi_heap_clear(&heap);
    assert_int_equal(hsi_alloc_bytes(), bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_search),
        cmocka_unit_test(test_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
