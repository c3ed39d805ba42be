/*
 * A heap of things with a place in the scheduler's order: the smallest key first,
 * then the smallest sequence (order of submission), then the smallest section.
 *
 * An entry holds a copy of what it is sorted by, so that comparing touches the heap's own
 * memory only, and the address of the element's `heap_index`, which is kept up to date
 * and by which an element can be taken out of the middle. Pushing never allocates: room
 * is reserved beforehand, at a moment when failing is still possible.
 *
 * Every entry has four below it: what costs time in a large heap is that each element that moves is
 * told so, in memory that nothing else has touched lately, and so there are half as many.
 */
#ifndef HSI_SCHED_HEAP_H
#define HSI_SCHED_HEAP_H

#include <stdint.h>

enum {
    HSI_HEAP_WIDTH = 4
};

typedef struct hsi_heap_entry {
    int64_t key;
    uint64_t sequence;
    uint32_t section;
    uint32_t *heap_index; /* the element's; also what tells which element it is */
} hsi_heap_entry;

typedef struct hsi_heap {
    hsi_heap_entry *entries;
    uint32_t count, capacity;
} hsi_heap;

/* 1 if a goes before b. */
static inline int hsi_heap_before(const hsi_heap_entry *a, const hsi_heap_entry *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    if (a->sequence != b->sequence)
        return a->sequence < b->sequence;
    return a->section < b->section;
}

/* Makes room for `capacity` elements in all; 0 when memory ran out (nothing has changed).
 */
int hsi_heap_reserve(hsi_heap *heap, uint32_t capacity);
void hsi_heap_clear(hsi_heap *heap); /* frees the memory */

/* There is room. */
void hsi_heap_push(hsi_heap *heap, hsi_heap_entry entry);
/* The element at `index` < count leaves; its heap_index keeps its last value. */
void hsi_heap_remove(hsi_heap *heap, uint32_t index);

#endif
