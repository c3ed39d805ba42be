/* Places in the arena: roots whose lives do not touch share memory. */
#include "plan/passes.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

enum {
    ALIGNMENT = 64
};

/* ---- The planner ---------------------------------------------------------- */

/* Indices by size, the largest first; equal sizes in the order given. A bottom-up merge
 * sort: stable, and no recursion. */
static void sort_by_size(const hsi_memory_item *items, uint32_t *order, uint32_t *scratch,
                         uint32_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            size_t a = start, b = middle;
            for (size_t k = start; k < end; k++) {
                int take_b = a >= middle ||
                             (b < end && items[order[b]].size > items[order[a]].size);
                scratch[k] = take_b ? order[b++] : order[a++];
            }
        }
        for (size_t k = 0; k < count; k++)
            order[k] = scratch[k];
    }
}

/* The smallest gap that holds the item, between those already placed that it conflicts
 * with; these are looked at in the order of their offsets. */
static hsched_status place_item(hsi_memory_item *items, uint32_t item,
                                const uint32_t *placed, uint32_t placed_count,
                                int (*conflict)(void *user, uint32_t a, uint32_t b),
                                void *user)
{
    size_t size, end = 0, best = 0, best_gap = SIZE_MAX;
    if (!hsi_round_up_size(items[item].size, ALIGNMENT, &size))
        return hsi_error(HSCHED_ERROR_LIMIT, "a tensor of %zu bytes is too large",
                         items[item].size);
    for (uint32_t k = 0; k < placed_count; k++) {
        const hsi_memory_item *other = &items[placed[k]];
        if (other->size == 0 || !conflict(user, item, placed[k]))
            continue;
        if (other->offset > end) {
            size_t gap = other->offset - end;
            if (gap >= size && gap < best_gap) {
                best = end;
                best_gap = gap;
            }
        }
        /* Cannot overflow: it was checked when the other was placed. */
        size_t other_end =
            (other->offset + other->size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
        if (other_end > end)
            end = other_end;
    }
    items[item].offset = best_gap != SIZE_MAX ? best : end;
    size_t sum;
    if (!hsi_add_size(items[item].offset, size, &sum) || sum > PTRDIFF_MAX)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "the model's tensors together are too large for this machine; "
                         "make the network's input smaller");
    return HSCHED_OK;
}

hsched_status hsi_memory_plan(hsi_memory_item *items, uint32_t count,
                              int (*conflict)(void *user, uint32_t a, uint32_t b),
                              void *user, size_t *total)
{
    hsched_status status = HSCHED_OK;
    *total = 0;
    uint32_t *order = HSI_NEW_ARRAY(uint32_t, (size_t)count + 1);
    uint32_t *placed = HSI_NEW_ARRAY(uint32_t, (size_t)count + 1);
    if (order == NULL || placed == NULL) {
        status = hsi_out_of_memory("planning a model's memory");
        goto done;
    }
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    sort_by_size(items, order, placed, count);
    size_t end = 0;
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t item = order[k];
        items[item].offset = 0;
        status = place_item(items, item, placed, k, conflict, user);
        if (status != HSCHED_OK)
            goto done;
        uint32_t at = k; /* `placed` stays sorted by offset */
        for (; at > 0 && items[placed[at - 1]].offset > items[item].offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = item;
        size_t item_end = items[item].offset + items[item].size;
        if (item_end > end)
            end = item_end;
    }
    if (!hsi_round_up_size(end, ALIGNMENT, total))
        status = hsi_error(HSCHED_ERROR_LIMIT, "the model's tensors are too large");

done:
    hsi_free(order);
    hsi_free(placed);
    return status;
}

/* ---- The pass ------------------------------------------------------------- */

typedef struct lives {
    const hsi_ir *ir;
    hsi_root **roots;
} lives;

static const hsi_root *last_of(const hsi_root *root)
{
    return root->latest != NULL ? root->latest : root;
}

/* Must `root` stay whole until the section of `reader` has ended, for a restart of that
 * section? */
static int is_section_input(const hsi_root *root, const hsi_op *reader)
{
    for (uint32_t w = 0; w < root->writer_count; w++)
        if (root->writers[w]->section != reader->section)
            return 1;
    return 0;
}

static int ends_before(const hsi_ir *ir, const hsi_root *a, const hsi_op *toucher,
                       const hsi_root *b)
{
    for (uint32_t w = 0; w < b->writer_count; w++) {
        const hsi_op *writer = b->writers[w];
        if (toucher == writer || !hsi_comes_before(ir, toucher, writer) ||
            (ir->config->preserve_section_inputs && toucher->section == writer->section &&
             is_section_input(a, toucher)))
            return 0;
    }
    return 1;
}

/* Everything that touches a has ended before anything writes b. What was merged into a
 * root lies between its own writers and the last merged one's readers. */
static int is_over_before(const hsi_ir *ir, const hsi_root *a, const hsi_root *b)
{
    const hsi_root *last = last_of(a);
    const uint32_t first_write = b->writers[0]->step_index;
    if (last->writers[last->writer_count - 1]->step_index >= first_write ||
        (last->reader_count > 0 &&
         last->readers[last->reader_count - 1]->step_index >= first_write))
        return 0;
    for (uint32_t w = 0; w < last->writer_count; w++)
        if (!ends_before(ir, last, last->writers[w], b))
            return 0;
    for (uint32_t r = 0; r < last->reader_count; r++)
        if (!ends_before(ir, last, last->readers[r], b))
            return 0;
    return 1;
}

static int do_conflict(void *user, uint32_t a, uint32_t b)
{
    const lives *all = user;
    return !is_over_before(all->ir, all->roots[a], all->roots[b]) &&
           !is_over_before(all->ir, all->roots[b], all->roots[a]);
}

hsched_status hsi_pass_memory(hsi_ir *ir)
{
    uint32_t count = 0;
    lives all = { ir, HSI_POOL_ARRAY(&ir->temporary, hsi_root *, ir->root_count) };
    hsi_memory_item *items =
        HSI_POOL_ARRAY(&ir->temporary, hsi_memory_item, ir->root_count);
    if (all.roots == NULL || items == NULL)
        return hsi_ir_no_memory();
    for (uint32_t r = 0; r < ir->root_count; r++) {
        hsi_root *root = ir->roots[r];
        if (root->storage != HSCHED_STORAGE_ARENA || root->merged != NULL)
            continue;
        items[count].size = root->bytes;
        all.roots[count++] = root;
    }
    hsched_status status =
        hsi_memory_plan(items, count, do_conflict, &all, &ir->plan->arena_size);
    for (uint32_t i = 0; i < count; i++)
        all.roots[i]->place = items[i].offset;
    return status;
}
