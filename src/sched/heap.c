#include "sched/heap.h"

#include "base/alloc.h"

#define SMALLEST_CAPACITY 16u

int hsi_heap_reserve(hsi_heap *heap, uint32_t capacity)
{
    if (capacity <= heap->capacity)
        return 1;
    /* At least twice as large, so that a slowly rising peak costs few heap calls. */
    uint32_t larger = capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : capacity;
    if (heap->capacity <= UINT32_MAX / 2 && larger < 2 * heap->capacity)
        larger = 2 * heap->capacity;
    hsi_heap_entry *entries = hsi_realloc_array(heap->entries, larger, sizeof *entries);
    if (!entries)
        return 0;
    heap->entries = entries;
    heap->capacity = larger;
    return 1;
}

void hsi_heap_clear(hsi_heap *heap)
{
    hsi_free(heap->entries);
    *heap = (hsi_heap){ 0 };
}

static void put(hsi_heap *heap, uint32_t index, hsi_heap_entry entry)
{
    heap->entries[index] = entry;
    *entry.heap_index = index;
}

/* Fills the hole at `index` with `entry` or with ancestors that must go after it. */
static void sift_up(hsi_heap *heap, uint32_t index, hsi_heap_entry entry)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / HSI_HEAP_WIDTH;
        if (!hsi_heap_before(&entry, &heap->entries[parent]))
            break;
        put(heap, index, heap->entries[parent]);
        index = parent;
    }
    put(heap, index, entry);
}

/* Fills the hole at `index` with `entry` or with descendants that must go before it. */
static void sift_down(hsi_heap *heap, uint32_t index, hsi_heap_entry entry)
{
    for (;;) {
        uint64_t child = HSI_HEAP_WIDTH * (uint64_t)index + 1;
        if (child >= heap->count)
            break;
        const uint64_t last = child + HSI_HEAP_WIDTH - 1;
        for (uint64_t other = child + 1; other <= last && other < heap->count; other++)
            if (hsi_heap_before(&heap->entries[other], &heap->entries[child]))
                child = other;
        if (!hsi_heap_before(&heap->entries[child], &entry))
            break;
        put(heap, index, heap->entries[child]);
        index = (uint32_t)child;
    }
    put(heap, index, entry);
}

void hsi_heap_push(hsi_heap *heap, hsi_heap_entry entry)
{
    sift_up(heap, heap->count++, entry);
}

void hsi_heap_remove(hsi_heap *heap, uint32_t index)
{
    hsi_heap_entry last = heap->entries[--heap->count];
    if (index == heap->count)
        return;
    if (index > 0 && hsi_heap_before(&last, &heap->entries[(index - 1) / HSI_HEAP_WIDTH]))
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}
