/* The best placement of a chain: dynamic programming over its sections and their devices. */
#include "plan/placement_judge.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

int hsi_placement_is_chain(const hsi_placement_problem *problem)
{
    for (uint32_t s = 0; s < problem->section_count; s++) {
        const hsi_placement_section *section = &problem->sections[s];
        if ((section->dep_count == 0) != (s == 0))
            return 0;
        for (uint32_t i = 0; i < section->dep_count; i++)
            if (section->deps[i] + 1 != s)
                return 0;
    }
    return 1;
}

typedef struct chain_state {
    double end;    /* of the section on this device, at best; INFINITY: there is no way */
    uint32_t from; /* the device of the section before it, on that way */
} chain_state;

static uint64_t largest_dep(const hsi_placement_section *section)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < section->dep_count; i++)
        if (bytes < section->dep_bytes[i])
            bytes = section->dep_bytes[i];
    return bytes;
}

/* When section `s` on device `here` ends at best: `before` are the states of the section before
 * it, NULL for the first. */
static chain_state step(const hsi_placement_problem *p, uint32_t s, uint32_t here,
                        const chain_state *before)
{
    const hsi_placement_section *section = &p->sections[s];
    const double input_at = hsi_placement_pass_us(p, 0, here, section->input_bytes);
    if (!before)
        return (chain_state){ .end = input_at + hsi_placement_execute_us(p, s, here, 1) };
    const uint64_t bytes = largest_dep(section);
    chain_state best = { .end = INFINITY };
    for (uint32_t from = 0; from < p->device_count; from++) {
        const double at = before[from].end + hsi_placement_pass_us(p, from, here, bytes);
        const double end = (at > input_at ? at : input_at) +
                           hsi_placement_execute_us(p, s, here, from != here);
        if (end < best.end)
            best = (chain_state){ .end = end, .from = from };
    }
    return best;
}

/* Of the placements with all outputs before `bound` the one whose last section's come first. Gives
 * its latency, or INFINITY and nothing: there is none. */
static double solve_below(const hsi_placement_problem *p, double bound,
                          chain_state *states, uint8_t *devices)
{
    const uint32_t last = p->section_count - 1;
    double latency = INFINITY, out_us;
    uint32_t device = 0;
    for (uint32_t s = 0; s <= last; s++)
        for (uint32_t d = 0; d < p->device_count; d++) {
            chain_state *state = &states[(size_t)s * p->device_count + d];
            *state = (chain_state){ .end = INFINITY };
            if (!hsi_placement_can(p, s, d))
                continue;
            *state = step(p, s, d, s > 0 ? state - d - p->device_count : NULL);
            out_us = hsi_placement_pass_us(p, d, 0, p->sections[s].output_bytes);
            if (state->end + out_us >= bound)
                state->end = INFINITY;
            else if (s == last && state->end + out_us < latency) {
                latency = state->end + out_us;
                device = d;
            }
        }
    if (latency == INFINITY)
        return INFINITY;
    for (uint32_t s = last + 1; s-- > 0;) {
        const chain_state *state = &states[(size_t)s * p->device_count + device];
        out_us = hsi_placement_pass_us(p, device, 0, p->sections[s].output_bytes);
        if (latency < state->end + out_us)
            latency = state->end + out_us;
        devices[s] = (uint8_t)device;
        device = state->from;
    }
    return latency;
}

/*
 * A run ends when its last section has ended and the last of its outputs is with the user. The
 * earliest end of a section on a device follows from those of the section before it, but the
 * way there may have late outputs. So placements are sought with all outputs before a bound,
 * which is lowered to what was found until there is no better one. Each time at least the
 * state that the latency came from is lost for good, since ends only become later: this ends.
 * If only the last section has outputs there are two passes.
 */
hsched_status hsi_placement_solve_chain(const hsi_placement_problem *problem,
                                        uint8_t *devices)
{
    size_t count;
    chain_state *states = NULL;
    if (hsi_mul_size(problem->section_count, problem->device_count, &count))
        states = HSI_NEW_ARRAY(chain_state, count);
    if (!states)
        return hsi_out_of_memory("the search for a placement");
    memset(devices, 0, problem->section_count);
    double latency = INFINITY;
    do
        latency = solve_below(problem, latency, states, devices);
    while (latency < INFINITY);
    hsi_free(states);
    return HSCHED_OK;
}
