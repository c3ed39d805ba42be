/* The best placement: exactly for chains, else from several starts by local search. */
#include "plan/placement_judge.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

enum {
    STARTS = HSI_PLACEMENT_DEVICES + 2, /* each device, and both of placement_starts.c */
    IMPROVED = 4 /* the best of them; more are hardly ever of use */
};

/* Of hsi_placement_judge.steps, for one search: some 20 ms. Models of up to about 40 sections need
 * fewer. */
#define STEPS_MAX UINT64_C(2000000)

typedef struct searcher {
    const hsi_placement_problem *problem;
    hsi_placement_judge judge;
    uint64_t steps_end;  /* of the judge's: until then from the present start */
    uint32_t *orders[2]; /* of the sections, which moves are ranges of */
    uint32_t order_count;
    uint8_t *starts; /* [start * section_count + section] */
    hsi_placement_score scores[STARTS];
    uint32_t start_count;
    uint8_t *saved; /* what a move has changed */
} searcher;

static int is_better(const hsi_placement_score *a, const hsi_placement_score *than)
{
    return a->latency_us < than->latency_us ||
           (a->latency_us == than->latency_us && a->effort_us < than->effort_us);
}

/* ---- Orders --------------------------------------------------------------- */

/* Depth first, so that the sections of a branch stand together, those of the branches inside
 * it too, however they are mixed with others by their indices. */
static void order_by_branch(searcher *search, uint32_t *order)
{
    const hsi_placement_problem *p = search->problem;
    hsi_placement_judge *judge = &search->judge;
    uint32_t *stack = judge->open, depth = 0, count = 0;
    for (uint32_t s = p->section_count; s-- > 0;) {
        judge->waiting[s] = p->sections[s].dep_count;
        if (judge->waiting[s] == 0)
            stack[depth++] = s;
    }
    while (depth > 0) {
        const uint32_t s = stack[--depth];
        order[count++] = s;
        for (uint32_t r = judge->first_reader[s + 1]; r-- > judge->first_reader[s];)
            if (--judge->waiting[judge->readers[r].section] == 0)
                stack[depth++] = judge->readers[r].section;
    }
}

static void make_orders(searcher *search)
{
    const uint32_t count = search->problem->section_count;
    for (uint32_t s = 0; s < count; s++)
        search->orders[0][s] = s;
    order_by_branch(search, search->orders[1]);
    search->order_count =
        memcmp(search->orders[0], search->orders[1], count * sizeof(uint32_t)) != 0 ? 2
                                                                                    : 1;
}

/* ---- Local search --------------------------------------------------------- */

/* Moves those of the sections that can be there to the device. Gives whether that was better;
 * if not, it is undone. */
static int try_move(searcher *search, const uint32_t *sections, uint32_t count,
                    uint32_t device, uint8_t *devices, hsi_placement_score *score)
{
    int moved = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t s = sections[i];
        search->saved[i] = devices[s];
        if (devices[s] != device && hsi_placement_can(search->problem, s, device)) {
            devices[s] = (uint8_t)device;
            moved = 1;
        }
    }
    if (!moved)
        return 0;
    const hsi_placement_score after =
        hsi_placement_judge_score(&search->judge, devices, score->latency_us);
    if (is_better(&after, score)) {
        *score = after;
        return 1;
    }
    for (uint32_t i = 0; i < count; i++)
        devices[sections[i]] = search->saved[i];
    return 0;
}

/* Ranges of this length, long ones not at every place. Gives whether one was worth it. */
static int try_ranges(searcher *search, const uint32_t *order, uint32_t length,
                      uint8_t *devices, hsi_placement_score *score)
{
    const hsi_placement_problem *p = search->problem;
    const uint32_t stride = length < 8 ? 1 : length / 4;
    int improved = 0;
    for (uint32_t first = 0; first + length <= p->section_count; first += stride)
        for (uint32_t d = 0; d < p->device_count; d++) {
            if (search->judge.steps >= search->steps_end)
                return improved;
            improved |= try_move(search, order + first, length, d, devices, score);
        }
    return improved;
}

static void improve(searcher *search, uint8_t *devices, hsi_placement_score *score)
{
    int improved;
    do {
        improved = 0;
        for (uint32_t length = 1; length < search->problem->section_count;
             length += length < 4 ? 1 : length / 2)
            for (uint32_t o = 0; o < search->order_count; o++)
                improved |= try_ranges(search, search->orders[o], length, devices, score);
    } while (improved && search->judge.steps < search->steps_end);
}

/* ---- Starts --------------------------------------------------------------- */

static uint8_t *start_devices(const searcher *search, uint32_t start)
{
    return search->starts + (size_t)start * search->problem->section_count;
}

/* The starts stand by their scores, the best first. */
static void add_start(searcher *search, const uint8_t *devices)
{
    const size_t size = search->problem->section_count;
    for (uint32_t i = 0; i < search->start_count; i++)
        if (memcmp(start_devices(search, i), devices, size) == 0)
            return;
    const hsi_placement_score score =
        hsi_placement_judge_score(&search->judge, devices, INFINITY);
    uint32_t at = search->start_count;
    for (; at > 0 && is_better(&score, &search->scores[at - 1]); at--) {
        search->scores[at] = search->scores[at - 1];
        memcpy(start_devices(search, at), start_devices(search, at - 1), size);
    }
    search->scores[at] = score;
    memcpy(start_devices(search, at), devices, size);
    search->start_count++;
}

static hsched_status find_starts(searcher *search, uint8_t *devices)
{
    const hsi_placement_problem *p = search->problem;
    hsched_status status = hsi_placement_solve_serial(&search->judge, devices);
    if (status != HSCHED_OK)
        return status;
    add_start(search, devices);
    hsi_placement_solve_earliest(&search->judge, devices);
    add_start(search, devices);
    for (uint32_t d = 0; d < p->device_count; d++) {
        for (uint32_t s = 0; s < p->section_count; s++)
            devices[s] = (uint8_t)(hsi_placement_can(p, s, d) ? d : 0);
        add_start(search, devices);
    }
    return HSCHED_OK;
}

static hsched_status search_init(searcher *search, const hsi_placement_problem *problem)
{
    const size_t count = problem->section_count;
    size_t size;
    search->problem = problem;
    search->orders[0] = HSI_NEW_ARRAY(uint32_t, count);
    search->orders[1] = HSI_NEW_ARRAY(uint32_t, count);
    search->saved = HSI_NEW_ARRAY(uint8_t, count);
    if (hsi_mul_size(count, (size_t)problem->device_count + 2, &size))
        search->starts = HSI_NEW_ARRAY(uint8_t, size);
    if (!search->orders[0] || !search->orders[1] || !search->saved || !search->starts)
        return hsi_out_of_memory("the search for a placement");
    return hsi_placement_judge_init(&search->judge, problem);
}

static hsched_status search_branches(const hsi_placement_problem *problem,
                                     uint8_t *devices)
{
    searcher search = { 0 };
    hsched_status status = search_init(&search, problem);
    if (status == HSCHED_OK)
        status = find_starts(&search, devices);
    if (status != HSCHED_OK)
        goto done;
    make_orders(&search);
    const uint64_t end = search.judge.steps + STEPS_MAX;
    uint32_t best = 0;
    /* The best start first: of what is left, a quarter is kept for the others. */
    for (uint32_t i = 0; i < search.start_count && i < IMPROVED; i++) {
        const uint64_t steps = search.judge.steps;
        search.steps_end = steps < end ? end - (end - steps) / 4 : steps;
        improve(&search, start_devices(&search, i), &search.scores[i]);
        if (is_better(&search.scores[i], &search.scores[best]))
            best = i;
    }
    memcpy(devices, start_devices(&search, best), problem->section_count);
done:
    hsi_placement_judge_clear(&search.judge);
    hsi_free(search.orders[0]);
    hsi_free(search.orders[1]);
    hsi_free(search.saved);
    hsi_free(search.starts);
    return status;
}

hsched_status hsi_placement_search(const hsi_placement_problem *problem, uint8_t *devices,
                                   hsi_placement_totals *totals)
{
    *totals = (hsi_placement_totals){ 0 };
    hsched_status status = hsi_placement_is_chain(problem)
                               ? hsi_placement_solve_chain(problem, devices)
                               : search_branches(problem, devices);
    return status == HSCHED_OK ? hsi_placement_evaluate(problem, devices, totals)
                               : status;
}
