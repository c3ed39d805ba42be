/*
 * Where the search over a model with branches starts: two constructions along the order of the
 * sections. One sees all that is to come, but no overlap; the other sees overlap, but not
 * what is to come.
 */
#include "plan/placement_judge.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* ---- As if it were executed one after the other ---------------------------- */

typedef struct serial_state {
    double us;     /* of all sections so far; INFINITY: there is no way */
    uint8_t *path; /* their devices */
} serial_state;

static int is_there(const hsi_placement_judge *judge, const uint8_t *path, uint32_t dep,
                    uint32_t section, uint32_t device)
{
    for (uint32_t r = judge->first_reader[dep]; r < judge->first_reader[dep + 1]; r++) {
        const hsi_placement_reader *reader = &judge->readers[r];
        if (reader->section >= section)
            return 0;
        if (path[reader->section] == device && reader->bytes > 0)
            return 1;
    }
    return 0;
}

/* What reaches the section from other devices, if the sections before it are where `path` says,
 * less what an earlier one on the same device has fetched. */
static double fetch_us(const hsi_placement_judge *judge, const uint8_t *path,
                       uint32_t section, uint32_t device)
{
    const hsi_placement_problem *p = judge->problem;
    const hsi_placement_section *reader = &p->sections[section];
    double us = 0;
    for (uint32_t i = 0; i < reader->dep_count; i++) {
        const uint32_t dep = reader->deps[i];
        if (path[dep] != device && !is_there(judge, path, dep, section, device))
            us += hsi_placement_pass_us(p, path[dep], device, reader->dep_bytes[i]);
    }
    return us;
}

static void extend(const hsi_placement_judge *judge, uint32_t s, uint32_t device,
                   const serial_state *before, serial_state *after)
{
    const hsi_placement_problem *p = judge->problem;
    const hsi_placement_section *section = &p->sections[s];
    uint32_t best = 0;
    after->us = INFINITY;
    if (!hsi_placement_can(p, s, device))
        return;
    for (uint32_t from = 0; from < p->device_count; from++) {
        if (before[from].us == INFINITY)
            continue;
        const double us =
            before[from].us + fetch_us(judge, before[from].path, s, device) +
            hsi_placement_execute_us(p, s, device, s == 0 || from != device);
        if (us < after->us) {
            after->us = us;
            best = from;
        }
    }
    after->us += hsi_placement_pass_us(p, 0, device, section->input_bytes) +
                 hsi_placement_pass_us(p, device, 0, section->output_bytes);
    memcpy(after->path, before[best].path, s);
    after->path[s] = (uint8_t)device;
}

hsched_status hsi_placement_solve_serial(const hsi_placement_judge *judge,
                                         uint8_t *devices)
{
    const hsi_placement_problem *p = judge->problem;
    serial_state states[2][HSI_PLACEMENT_DEVICES];
    size_t size;
    uint8_t *paths = NULL;
    if (hsi_mul_size(p->section_count, 2 * (size_t)p->device_count, &size))
        paths = HSI_NEW_ARRAY(uint8_t, size);
    if (!paths)
        return hsi_out_of_memory("the search for a placement");
    for (uint32_t d = 0; d < p->device_count; d++)
        for (size_t half = 0; half < 2; half++)
            states[half][d] =
                (serial_state){ .path =
                                    paths + (2 * d + half) * (size_t)p->section_count };
    for (uint32_t s = 0; s < p->section_count; s++)
        for (uint32_t d = 0; d < p->device_count; d++)
            extend(judge, s, d, states[s % 2], &states[(s + 1) % 2][d]);
    const serial_state *ends = states[p->section_count % 2], *best = ends;
    for (uint32_t d = 1; d < p->device_count; d++)
        if (ends[d].us < best->us)
            best = &ends[d];
    memcpy(devices, best->path, p->section_count);
    hsi_free(paths);
    return HSCHED_OK;
}

/* ---- Each section where it ends first ------------------------------------- */

static double ready_at(const hsi_placement_judge *judge, const uint8_t *devices,
                       uint32_t section, uint32_t device)
{
    const hsi_placement_problem *p = judge->problem;
    const hsi_placement_section *reader = &p->sections[section];
    double ready = hsi_placement_pass_us(p, 0, device, reader->input_bytes);
    for (uint32_t i = 0; i < reader->dep_count; i++) {
        const uint32_t dep = reader->deps[i];
        const double at = judge->end[dep] + hsi_placement_pass_us(p, devices[dep], device,
                                                                  reader->dep_bytes[i]);
        if (ready < at)
            ready = at;
    }
    return ready;
}

void hsi_placement_solve_earliest(hsi_placement_judge *judge, uint8_t *devices)
{
    const hsi_placement_problem *p = judge->problem;
    hsi_placement_judge_reset(judge);
    for (uint32_t s = 0; s < p->section_count; s++) {
        double best = INFINITY;
        devices[s] = 0;
        for (uint32_t d = 0; d < p->device_count; d++) {
            if (!hsi_placement_can(p, s, d))
                continue;
            const double ready = ready_at(judge, devices, s, d);
            const double free_at = judge->free_at[judge->first_worker[d]];
            const double end =
                (ready > free_at ? ready : free_at) +
                hsi_placement_execute_us(p, s, d, s == 0 || devices[s - 1] != d);
            const double out_at =
                end + hsi_placement_pass_us(p, d, 0, p->sections[s].output_bytes);
            if (out_at < best) {
                best = out_at;
                judge->end[s] = end;
                devices[s] = (uint8_t)d;
            }
        }
        hsi_placement_judge_occupy(judge, devices[s], judge->end[s]);
    }
}
