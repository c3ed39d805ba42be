/* The placements worth having: those found for many weights, and all on the CPU. */
#include "plan/placement_judge.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

enum {
    WHOLE_MOST =
        HSI_PLACEMENTS_MAX / 2, /* devices: with more, a placement on each would leave no
                                            room for others */
    WEIGHT_FIRST = -3,          /* powers of two: 1/8 to 64 */
    WEIGHT_LAST = 6,
    /* Found with weight 1, all on the CPU, the other weights, each accelerator alone made dear, all
     * that it can on each. */
    CANDIDATES = WEIGHT_LAST - WEIGHT_FIRST + 2 + HSI_PLACEMENT_DEVICES - 1 + WHOLE_MOST
};

typedef struct candidate {
    uint8_t *devices;
    hsi_placement_totals totals; /* with all weights 1 */
    int is_kept;                 /* whatever the others are */
} candidate;

typedef struct candidates {
    hsi_placement_problem problem; /* with the weights in turn */
    uint32_t count;
    candidate list[CANDIDATES];
    uint8_t *devices; /* of all of them */
} candidates;

/* ---- Finding them --------------------------------------------------------- */

static void set_weights(hsi_placement_problem *problem, double weight)
{
    problem->weight[0] = 1;
    for (uint32_t d = 1; d < problem->device_count; d++)
        problem->weight[d] = weight;
}

/* What stands at the end of the list is one more, unless it is there already. */
static hsched_status add(candidates *all, int is_kept)
{
    const size_t size = all->problem.section_count;
    candidate *made = &all->list[all->count];
    for (uint32_t i = 0; i < all->count; i++)
        if (memcmp(all->list[i].devices, made->devices, size) == 0)
            return HSCHED_OK;
    set_weights(&all->problem, 1);
    made->is_kept = is_kept;
    hsched_status status =
        hsi_placement_evaluate(&all->problem, made->devices, &made->totals);
    all->count += status == HSCHED_OK;
    return status;
}

static hsched_status search_and_add(candidates *all, int is_kept)
{
    candidate *made = &all->list[all->count];
    hsched_status status =
        hsi_placement_search(&all->problem, made->devices, &made->totals);
    return status == HSCHED_OK ? add(all, is_kept) : status;
}

static hsched_status find(candidates *all)
{
    const uint32_t devices = all->problem.device_count;
    memset(all->list[0].devices, 0, all->problem.section_count);
    hsched_status status = add(all, 1);
    set_weights(&all->problem, 1);
    if (status == HSCHED_OK)
        status = search_and_add(all, 1);
    for (int w = WEIGHT_FIRST; w <= WEIGHT_LAST && status == HSCHED_OK; w++)
        if (w != 0) {
            set_weights(&all->problem, ldexp(1, w));
            status = search_and_add(all, 0);
        }
    /* With one accelerator that is what has just been done. */
    for (uint32_t d = 1; d < devices && devices > 2 && status == HSCHED_OK; d++) {
        set_weights(&all->problem, 1);
        all->problem.weight[d] = ldexp(1, WEIGHT_LAST);
        status = search_and_add(all, 0);
    }
    /* The least energy may be with a device that is never the fastest. */
    for (uint32_t d = 1;
         d < devices && devices > 2 && devices <= WHOLE_MOST && status == HSCHED_OK;
         d++) {
        candidate *made = &all->list[all->count];
        for (uint32_t s = 0; s < all->problem.section_count; s++)
            made->devices[s] =
                (uint8_t)(all->problem.sections[s].device_mask >> d & 1 ? d : 0);
        status = add(all, 1);
    }
    return status;
}

/* ---- Choosing among them -------------------------------------------------- */

/* How much two differ in what they let the devices do. */
static double distance(const candidate *a, const candidate *b)
{
    double us = 0;
    for (uint32_t d = 0; d < HSI_PLACEMENT_DEVICES; d++)
        us += fabs(a->totals.work_us[d] - b->totals.work_us[d]);
    return us;
}

static void take_out(candidates *all, uint32_t index)
{
    all->count--;
    for (uint32_t i = index; i < all->count; i++)
        all->list[i] = all->list[i + 1];
}

/* Of the two that differ least the one that takes longer is given up, so that what is left
 * is spread. */
static void thin_out(candidates *all)
{
    double least = INFINITY;
    uint32_t drop = all->count - 1;
    for (uint32_t a = 0; a < all->count; a++)
        for (uint32_t b = a + 1; b < all->count; b++) {
            const candidate *first = &all->list[a], *second = &all->list[b];
            const double apart = distance(first, second);
            if (second->is_kept || apart >= least)
                continue;
            least = apart;
            drop = !first->is_kept && first->totals.latency_us > second->totals.latency_us
                       ? a
                       : b;
        }
    take_out(all, drop);
}

static int is_before(const candidate *a, const candidate *b, size_t size)
{
    if (a->totals.work_us[0] != b->totals.work_us[0])
        return a->totals.work_us[0] < b->totals.work_us[0];
    if (a->totals.latency_us != b->totals.latency_us)
        return a->totals.latency_us < b->totals.latency_us;
    return memcmp(a->devices, b->devices, size) < 0;
}

static void sort(candidates *all)
{
    for (uint32_t i = 1; i < all->count; i++) {
        const candidate moved = all->list[i];
        uint32_t at = i;
        for (;
             at > 0 && is_before(&moved, &all->list[at - 1], all->problem.section_count);
             at--)
            all->list[at] = all->list[at - 1];
        all->list[at] = moved;
    }
}

static void fill(const candidates *all, hsi_placement_set *set)
{
    const uint32_t sections = all->problem.section_count;
    set->count = all->count;
    set->section_count = sections;
    set->device_count = all->problem.device_count;
    for (uint32_t i = 0; i < all->count; i++) {
        memcpy(set->devices + (size_t)i * sections, all->list[i].devices, sections);
        set->totals[i] = all->list[i].totals;
    }
}

/* ---- The set -------------------------------------------------------------- */

hsched_status hsi_placement_set_make(const hsi_placement_problem *problem,
                                     hsi_placement_set *set)
{
    const size_t sections = problem->section_count;
    size_t size;
    hsched_status status = HSCHED_OK;
    *set = (hsi_placement_set){ 0 };
    candidates *all = HSI_NEW(candidates);
    if (all && hsi_mul_size(sections, CANDIDATES, &size))
        all->devices = HSI_NEW_ARRAY(uint8_t, size);
    if (!all || !all->devices) {
        status = hsi_out_of_memory("the placements of a model");
        goto done;
    }
    all->problem = *problem;
    for (uint32_t i = 0; i < CANDIDATES; i++)
        all->list[i].devices = all->devices + i * sections;
    status = find(all);
    if (status != HSCHED_OK)
        goto done;
    while (all->count > HSI_PLACEMENTS_MAX)
        thin_out(all);
    sort(all);
    set->devices = HSI_NEW_ARRAY(uint8_t, all->count * sections);
    if (!set->devices) {
        status = hsi_out_of_memory("the placements of a model");
        goto done;
    }
    fill(all, set);
done:
    if (all)
        hsi_free(all->devices);
    hsi_free(all);
    return status;
}

void hsi_placement_set_clear(hsi_placement_set *set)
{
    hsi_free(set->devices);
    *set = (hsi_placement_set){ 0 };
}
