#include "unit/placement_problem.h"

#include <math.h>

#include "plan/placement_judge.h"
#include "unit/random_graph.h"

/* ---- Making them ---------------------------------------------------------- */

void placement_case_init(placement_case *c, uint32_t sections, uint32_t devices)
{
    assert_true(sections <= PROBLEM_SECTIONS && devices <= HSI_PLACEMENT_DEVICES);
    memset(c, 0, sizeof *c);
    c->problem.section_count = sections;
    c->problem.device_count = devices;
    c->problem.sections = c->sections;
    c->problem.us = c->us;
    for (uint32_t s = 0; s < sections; s++) {
        c->sections[s].device_mask = (UINT32_C(1) << devices) - 1;
        c->sections[s].deps = c->deps[s];
        c->sections[s].dep_bytes = c->bytes[s];
    }
    for (uint32_t d = 0; d < devices; d++) {
        c->problem.workers[d] = 1;
        c->problem.weight[d] = 1;
    }
}

void placement_case_read(placement_case *c, uint32_t section, uint32_t dep,
                         uint64_t bytes)
{
    const uint32_t at = c->sections[section].dep_count++;
    assert_true(dep < section && at < PROBLEM_DEPS);
    c->deps[section][at] = dep;
    c->bytes[section][at] = bytes;
}

void placement_case_chain(placement_case *c, uint64_t bytes)
{
    for (uint32_t s = 1; s < c->problem.section_count; s++)
        placement_case_read(c, s, s - 1, bytes);
}

void placement_case_links(placement_case *c, double us, double us_per_byte)
{
    for (uint32_t from = 0; from < c->problem.device_count; from++)
        for (uint32_t to = 0; to < c->problem.device_count; to++)
            c->problem.links[from][to] =
                (hsi_placement_link){ .us = us, .us_per_byte = us_per_byte };
}

void placement_case_us(placement_case *c, uint32_t section, const double *us)
{
    for (uint32_t d = 0; d < c->problem.device_count; d++)
        c->us[section * c->problem.device_count + d] = us[d];
}

/* ---- Random ones ---------------------------------------------------------- */

static uint32_t pick(uint64_t *state, uint32_t count)
{
    return (uint32_t)random_graph_range(state, 0, count - 1);
}

static void read_some(placement_case *c, uint32_t section, uint32_t dep, uint64_t *state)
{
    placement_case_read(c, section, dep,
                        pick(state, 5) ? 64 * (1 + pick(state, 100)) : 0);
}

static void random_reads(placement_case *c, placement_shape shape, uint32_t section,
                         uint64_t *state)
{
    const uint32_t in_fork = section % 8, near = section < 6 ? section : 6;
    if (shape == SHAPE_CHAIN || shape == SHAPE_SKIPS) {
        read_some(c, section, section - 1, state);
        if (shape == SHAPE_SKIPS && section >= 3 && pick(state, 3) == 0)
            read_some(c, section, section - 3, state);
    } else if (shape == SHAPE_RANDOM)
        for (uint32_t i = pick(state, 4); i > 0; i--)
            read_some(c, section, section - 1 - pick(state, near), state);
    else if (in_fork == 0)
        for (uint32_t i = 1; i <= 3; i++)
            read_some(c, section, section - i, state);
    else
        read_some(c, section, section - (in_fork < 3 ? in_fork : 3), state);
}

void placement_case_random(placement_case *c, placement_shape shape, uint32_t sections,
                           uint32_t devices, uint64_t seed)
{
    static const double scales[] = { 0.125, 1, 4 }, weights[] = { 0.25, 1, 1, 4 };
    uint64_t state = seed;
    placement_case_init(c, sections, devices);
    const double scale = scales[pick(&state, 3)];
    for (uint32_t d = 0; d < devices; d++) {
        c->problem.job_us[d] = 4 * pick(&state, 4);
        c->problem.workers[d] = 1 + pick(&state, d == 0 ? 4 : 2);
        c->problem.weight[d] = weights[pick(&state, 4)];
        for (uint32_t to = 0; to < devices; to++)
            c->problem.links[d][to] =
                (hsi_placement_link){ .us = scale * (1 + pick(&state, 16)),
                                      .us_per_byte = scale * pick(&state, 16) / 1024 };
    }
    for (uint32_t s = 0; s < sections; s++) {
        hsi_placement_section *section = &c->sections[s];
        if (pick(&state, 3) == 0)
            section->device_mask = 1 | pick(&state, UINT32_C(1) << devices);
        section->input_bytes = pick(&state, 4) ? 0 : 64 * pick(&state, 100);
        section->output_bytes = pick(&state, 4) ? 0 : 64 * pick(&state, 100);
        for (uint32_t d = 0; d < devices; d++)
            c->us[s * devices + d] =
                section->device_mask >> d & 1 ? (double)pick(&state, d ? 60 : 100) : -1;
        if (s > 0)
            random_reads(c, shape, s, &state);
    }
}

void placement_random(const placement_case *c, uint8_t *devices, uint64_t *state)
{
    for (uint32_t s = 0; s < c->problem.section_count; s++)
        do
            devices[s] = (uint8_t)pick(state, c->problem.device_count);
        while (!(c->sections[s].device_mask >> devices[s] & 1));
}

int placement_is_possible(const hsi_placement_problem *p, const uint8_t *devices)
{
    for (uint32_t s = 0; s < p->section_count; s++)
        if (devices[s] >= p->device_count ||
            !(p->sections[s].device_mask >> devices[s] & 1))
            return 0;
    return 1;
}

/* ---- What a placement amounts to, without the search's code --------------- */

typedef struct follower {
    const hsi_placement_problem *p;
    const uint8_t *devices;
    int started[PROBLEM_SECTIONS];
    double end[PROBLEM_SECTIONS];
    uint64_t passes[PROBLEM_SECTIONS][HSI_PLACEMENT_DEVICES]; /* of each one's result */
} follower;

static double link_us(const follower *f, uint32_t from, uint32_t to, uint64_t bytes)
{
    if (from == to || bytes == 0)
        return 0;
    return f->p->links[from][to].us + (double)bytes * f->p->links[from][to].us_per_byte;
}

/* When all that it reads is there; INFINITY: not known yet. */
static double arrival(const follower *f, uint32_t s)
{
    const hsi_placement_section *section = &f->p->sections[s];
    const uint32_t here = f->devices[s];
    double at = link_us(f, 0, here, section->input_bytes);
    for (uint32_t i = 0; i < section->dep_count; i++) {
        const uint32_t dep = section->deps[i];
        if (!f->started[dep])
            return INFINITY;
        at = fmax(at,
                  f->end[dep] + link_us(f, f->devices[dep], here, f->passes[dep][here]));
    }
    return at;
}

static int has_free_worker(const follower *f, uint32_t device, double now)
{
    uint32_t busy = 0;
    for (uint32_t s = 0; s < f->p->section_count; s++)
        busy += f->started[s] && f->devices[s] == device && f->end[s] > now;
    return busy < f->p->workers[device];
}

/* Starts the first section that can start now. */
static int start_one(follower *f, double now)
{
    for (uint32_t s = 0; s < f->p->section_count; s++) {
        const uint32_t here = f->devices[s];
        if (f->started[s] || arrival(f, s) > now || !has_free_worker(f, here, now))
            continue;
        double us = f->p->us[s * f->p->device_count + here];
        if (s == 0 || f->devices[s - 1] != here)
            us += f->p->job_us[here];
        f->started[s] = 1;
        f->end[s] = now + f->p->weight[here] * us;
        return 1;
    }
    return 0;
}

static double next_event(const follower *f, double now)
{
    double next = INFINITY;
    for (uint32_t s = 0; s < f->p->section_count; s++) {
        const double at = f->started[s] ? f->end[s] : arrival(f, s);
        if (at > now && at < next)
            next = at;
    }
    return next;
}

static double follow(follower *f)
{
    double latency = 0;
    for (uint32_t s = 0; s < f->p->section_count; s++)
        for (uint32_t i = 0; i < f->p->sections[s].dep_count; i++) {
            uint64_t *passes = &f->passes[f->p->sections[s].deps[i]][f->devices[s]];
            if (f->devices[f->p->sections[s].deps[i]] != f->devices[s] &&
                *passes < f->p->sections[s].dep_bytes[i])
                *passes = f->p->sections[s].dep_bytes[i];
        }
    for (double now = 0; now < INFINITY; now = next_event(f, now))
        while (start_one(f, now))
            ;
    for (uint32_t s = 0; s < f->p->section_count; s++) {
        assert_true(f->started[s]);
        latency = fmax(latency, f->end[s] + link_us(f, f->devices[s], 0,
                                                    f->p->sections[s].output_bytes));
    }
    return latency;
}

void placement_follow(const hsi_placement_problem *p, const uint8_t *devices,
                      hsi_placement_totals *totals)
{
    static follower f;
    f = (follower){ .p = p, .devices = devices };
    *totals = (hsi_placement_totals){ .latency_us = follow(&f) };
    for (uint32_t s = 0; s < p->section_count; s++) {
        const uint32_t here = devices[s];
        const int begins = s == 0 || devices[s - 1] != here;
        totals->jobs += begins ? 1 : 0;
        totals->work_us[here] +=
            p->us[s * p->device_count + here] + (begins ? p->job_us[here] : 0);
        totals->crossing_us += link_us(&f, 0, here, p->sections[s].input_bytes) +
                               link_us(&f, here, 0, p->sections[s].output_bytes);
        if (here != 0)
            totals->crossing_bytes +=
                p->sections[s].input_bytes + p->sections[s].output_bytes;
        for (uint32_t d = 0; d < p->device_count; d++) {
            totals->crossings += f.passes[s][d] > 0;
            totals->crossing_bytes += f.passes[s][d];
            totals->crossing_us += link_us(&f, here, d, f.passes[s][d]);
        }
    }
}

/* ---- The best there is ---------------------------------------------------- */

double placement_best(const hsi_placement_problem *p)
{
    hsi_placement_judge judge;
    uint8_t devices[PROBLEM_SECTIONS] = { 0 };
    double best = INFINITY;
    assert_ok(hsi_placement_judge_init(&judge, p));
    for (uint32_t s = 0; s < p->section_count;) {
        if (placement_is_possible(p, devices))
            best = fmin(best,
                        hsi_placement_judge_score(&judge, devices, INFINITY).latency_us);
        /* The next one: counting up, the first section's device the lowest digit. */
        for (s = 0; s < p->section_count && ++devices[s] == p->device_count; s++)
            devices[s] = 0;
    }
    hsi_placement_judge_clear(&judge);
    return best;
}

double placement_best_single(const hsi_placement_problem *p)
{
    uint8_t devices[PROBLEM_SECTIONS];
    double best = INFINITY;
    for (uint32_t d = 0; d < p->device_count; d++) {
        hsi_placement_totals totals;
        for (uint32_t s = 0; s < p->section_count; s++)
            devices[s] = (uint8_t)(p->sections[s].device_mask >> d & 1 ? d : 0);
        placement_follow(p, devices, &totals);
        best = fmin(best, totals.latency_us);
    }
    return best;
}
