/* What a placement amounts to: the list schedule of one run (Graham, 1966). */
#include "plan/placement_judge.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

/* ---- A judge and its memory ----------------------------------------------- */

static void link_readers(hsi_placement_judge *judge)
{
    const hsi_placement_problem *p = judge->problem;
    uint32_t *first = judge->first_reader;
    for (uint32_t s = 0; s < p->section_count; s++)
        for (uint32_t i = 0; i < p->sections[s].dep_count; i++)
            first[p->sections[s].deps[i] + 1]++;
    for (uint32_t s = 0; s < p->section_count; s++)
        first[s + 1] += first[s];
    memcpy(judge->open, first, p->section_count * sizeof *first);
    for (uint32_t s = 0; s < p->section_count; s++)
        for (uint32_t i = 0; i < p->sections[s].dep_count; i++) {
            const uint32_t at = judge->open[p->sections[s].deps[i]]++;
            judge->readers[at] =
                (hsi_placement_reader){ .section = s,
                                        .bytes = p->sections[s].dep_bytes[i] };
        }
}

hsched_status hsi_placement_judge_init(hsi_placement_judge *judge,
                                       const hsi_placement_problem *problem)
{
    const size_t sections = problem->section_count;
    size_t deps = 0, workers = 0;
    *judge = (hsi_placement_judge){ .problem = problem };
    for (size_t s = 0; s < sections; s++)
        deps += problem->sections[s].dep_count;
    for (uint32_t d = 0; d < problem->device_count; d++) {
        /* More of them than sections make no difference. */
        judge->workers[d] =
            problem->workers[d] < sections ? problem->workers[d] : (uint32_t)sections;
        judge->first_worker[d] = (uint32_t)workers;
        workers += judge->workers[d];
    }
    judge->first_reader = HSI_NEW_ARRAY(uint32_t, sections + 1);
    judge->readers = HSI_NEW_ARRAY(hsi_placement_reader, deps);
    judge->waiting = HSI_NEW_ARRAY(uint32_t, sections);
    judge->open = HSI_NEW_ARRAY(uint32_t, sections);
    judge->ready = HSI_NEW_ARRAY(double, sections);
    judge->end = HSI_NEW_ARRAY(double, sections);
    judge->free_at = HSI_NEW_ARRAY(double, workers);
    if (!judge->first_reader || !judge->readers || !judge->waiting || !judge->open ||
        !judge->ready || !judge->end || !judge->free_at)
        return hsi_out_of_memory("the list schedule of a placement");
    link_readers(judge);
    return HSCHED_OK;
}

void hsi_placement_judge_clear(hsi_placement_judge *judge)
{
    hsi_free(judge->first_reader);
    hsi_free(judge->readers);
    hsi_free(judge->waiting);
    hsi_free(judge->open);
    hsi_free(judge->ready);
    hsi_free(judge->end);
    hsi_free(judge->free_at);
    *judge = (hsi_placement_judge){ 0 };
}

/* ---- The list schedule ---------------------------------------------------- */

static int begins_job(const uint8_t *devices, uint32_t section)
{
    return section == 0 || devices[section - 1] != devices[section];
}

void hsi_placement_judge_reset(hsi_placement_judge *judge)
{
    for (uint32_t d = 0; d < judge->problem->device_count; d++)
        memset(judge->free_at + judge->first_worker[d], 0,
               judge->workers[d] * sizeof *judge->free_at);
}

/* The smallest entry of the device's heap is replaced. */
void hsi_placement_judge_occupy(hsi_placement_judge *judge, uint32_t device, double until)
{
    double *heap = judge->free_at + judge->first_worker[device];
    const uint32_t count = judge->workers[device];
    uint32_t at = 0;
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= until)
            break;
        heap[at] = heap[child];
    }
    heap[at] = until;
}

/* Where in `open` the section stands that starts first, of several the one with the smallest
 * index. Since no start is before an earlier one's, each worker takes what it can as early as
 * it can, in the order of the sections. */
static uint32_t find_next(const hsi_placement_judge *judge, const uint8_t *devices,
                          uint32_t open_count, double *start)
{
    uint32_t best = 0;
    *start = INFINITY;
    for (uint32_t i = 0; i < open_count; i++) {
        const uint32_t s = judge->open[i];
        const double free_at = judge->free_at[judge->first_worker[devices[s]]];
        const double at = judge->ready[s] > free_at ? judge->ready[s] : free_at;
        if (at < *start || (at == *start && s < judge->open[best])) {
            *start = at;
            best = i;
        }
    }
    return best;
}

/* The largest part of a section's result that is read on each other device. */
static void find_largest(const hsi_placement_judge *judge, const uint8_t *devices,
                         uint32_t section, uint64_t *bytes)
{
    memset(bytes, 0, judge->problem->device_count * sizeof *bytes);
    for (uint32_t r = judge->first_reader[section]; r < judge->first_reader[section + 1];
         r++) {
        const hsi_placement_reader *reader = &judge->readers[r];
        const uint32_t there = devices[reader->section];
        if (there != devices[section] && bytes[there] < reader->bytes)
            bytes[there] = reader->bytes;
    }
}

/* Its readers get its result at `end`, on other devices after the crossing, which is one for all
 * of a device. Those that have all they read are open. What crosses is added to *effort. */
static uint32_t hand_over(hsi_placement_judge *judge, const uint8_t *devices,
                          uint32_t section, double end, uint32_t open_count,
                          double *effort)
{
    const hsi_placement_problem *p = judge->problem;
    const uint32_t here = devices[section];
    uint64_t bytes[HSI_PLACEMENT_DEVICES];
    double at[HSI_PLACEMENT_DEVICES];
    find_largest(judge, devices, section, bytes);
    for (uint32_t d = 0; d < p->device_count; d++) {
        const double us = hsi_placement_pass_us(p, here, d, bytes[d]);
        at[d] = end + us;
        *effort += us;
    }
    for (uint32_t r = judge->first_reader[section]; r < judge->first_reader[section + 1];
         r++) {
        const uint32_t reader = judge->readers[r].section;
        if (judge->ready[reader] < at[devices[reader]])
            judge->ready[reader] = at[devices[reader]];
        if (--judge->waiting[reader] == 0)
            judge->open[open_count++] = reader;
    }
    return open_count;
}

hsi_placement_score hsi_placement_judge_score(hsi_placement_judge *judge,
                                              const uint8_t *devices, double limit)
{
    const hsi_placement_problem *p = judge->problem;
    hsi_placement_score score = { 0 };
    uint32_t open_count = 0;
    hsi_placement_judge_reset(judge);
    for (uint32_t s = 0; s < p->section_count; s++) {
        const double us =
            hsi_placement_pass_us(p, 0, devices[s], p->sections[s].input_bytes);
        judge->ready[s] = us;
        score.effort_us += us;
        judge->waiting[s] = p->sections[s].dep_count;
        if (judge->waiting[s] == 0)
            judge->open[open_count++] = s;
    }
    judge->steps += p->section_count;
    while (open_count > 0) {
        double start;
        const uint32_t next = find_next(judge, devices, open_count, &start);
        judge->steps += open_count;
        const uint32_t s = judge->open[next], here = devices[s];
        judge->open[next] = judge->open[--open_count];
        const double us = hsi_placement_execute_us(p, s, here, begins_job(devices, s));
        const double out_us =
            hsi_placement_pass_us(p, here, 0, p->sections[s].output_bytes);
        score.effort_us += us + out_us;
        const double end = start + us;
        if (end + out_us > limit)
            return (hsi_placement_score){ .latency_us = INFINITY };
        if (score.latency_us < end + out_us)
            score.latency_us = end + out_us;
        hsi_placement_judge_occupy(judge, here, end);
        open_count = hand_over(judge, devices, s, end, open_count, &score.effort_us);
    }
    return score;
}

/* ---- Totals --------------------------------------------------------------- */

static void add_crossing(const hsi_placement_problem *p, uint32_t from, uint32_t to,
                         uint64_t bytes, hsi_placement_totals *totals)
{
    if (from == to || bytes == 0)
        return;
    totals->crossing_us += hsi_placement_pass_us(p, from, to, bytes);
    totals->crossing_bytes += bytes;
}

hsched_status hsi_placement_evaluate(const hsi_placement_problem *problem,
                                     const uint8_t *devices, hsi_placement_totals *totals)
{
    hsi_placement_judge judge;
    *totals = (hsi_placement_totals){ 0 };
    hsched_status status = hsi_placement_judge_init(&judge, problem);
    if (status != HSCHED_OK)
        goto done;
    totals->latency_us = hsi_placement_judge_score(&judge, devices, INFINITY).latency_us;
    for (uint32_t s = 0; s < problem->section_count; s++) {
        const hsi_placement_section *section = &problem->sections[s];
        const uint32_t here = devices[s];
        uint64_t bytes[HSI_PLACEMENT_DEVICES];
        totals->work_us[here] += problem->us[(size_t)s * problem->device_count + here];
        if (begins_job(devices, s)) {
            totals->jobs++;
            totals->work_us[here] += problem->job_us[here];
        }
        add_crossing(problem, 0, here, section->input_bytes, totals);
        add_crossing(problem, here, 0, section->output_bytes, totals);
        find_largest(&judge, devices, s, bytes);
        for (uint32_t d = 0; d < problem->device_count; d++) {
            totals->crossings += bytes[d] > 0;
            add_crossing(problem, here, d, bytes[d], totals);
        }
    }
done:
    hsi_placement_judge_clear(&judge);
    return status;
}
