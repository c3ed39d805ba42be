/* What the recorded runs and loads say about each step. */
#include <math.h>
#include <stdlib.h>

#include "cli/bench_loadstep.h"

#define MUCH 1.15 /* as src/cost/load.c: less is not told from chance */
#define MOST 0.5  /* of the time that a load, or that there is none, has to hold */

enum {
    HOLD_US = 100000,
    RUNS_SHOWN = 5000
};

int cli_loadstep_add_run(cli_loadstep *l, const cli_step_run *run)
{
    if (l->run_count == l->run_capacity) {
        const size_t capacity = l->run_capacity ? 2 * l->run_capacity : 4096;
        cli_step_run *grown = realloc(l->runs, capacity * sizeof *grown);
        if (!grown)
            return 0;
        l->runs = grown;
        l->run_capacity = capacity;
    }
    l->runs[l->run_count++] = *run;
    return 1;
}

int cli_loadstep_add_sample(cli_loadstep *l, const cli_step_sample *sample)
{
    if (l->sample_count == l->sample_capacity) {
        const size_t capacity = l->sample_capacity ? 2 * l->sample_capacity : 1024;
        cli_step_sample *grown = realloc(l->samples, capacity * sizeof *grown);
        if (!grown)
            return 0;
        l->samples = grown;
        l->sample_capacity = capacity;
    }
    l->samples[l->sample_count++] = *sample;
    return 1;
}

size_t cli_loadstep_stride(const cli_loadstep *l)
{
    return 1 + l->run_count / RUNS_SHOWN;
}

/* From `since` to `time`; 0 if that was before, since a program may be there before it says so. */
static double delay_ms(uint64_t since, uint64_t time)
{
    return time > since ? (double)(time - since) / 1e3 : 0;
}

/* ---- Loads ---------------------------------------------------------------- */

/* The first sample after that time; samples are in the order of time, and there may be many. */
static size_t first_after(const cli_loadstep *l, uint64_t time)
{
    size_t low = 0, high = l->sample_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (l->samples[middle].time_us <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static double load_at(const cli_loadstep *l, uint32_t device, uint64_t time)
{
    for (size_t i = first_after(l, time); i-- > 0;)
        if (l->samples[i].device == device)
            return l->samples[i].load;
    return 1;
}

/* The share of the time from `from` to `to` with at least that load, and the highest one. */
static double time_above(const cli_loadstep *l, uint32_t device, uint64_t from,
                         uint64_t to, double level, double *highest)
{
    double load = load_at(l, device, from), above = 0;
    uint64_t since = from;
    *highest = load;
    for (size_t i = first_after(l, from); i < l->sample_count; i++) {
        const cli_step_sample *s = &l->samples[i];
        if (s->time_us >= to)
            break;
        if (s->device != device)
            continue;
        above += load >= level ? (double)(s->time_us - since) : 0;
        load = s->load;
        since = s->time_us;
        *highest = fmax(*highest, load);
    }
    above += load >= level ? (double)(to - since) : 0;
    return to > from ? above / (double)(to - from) : 0;
}

/* From `from` to `to`: the first time at which the device's load is at least (`up`) or below that
 * level, and stays so for most of the time after it; 0: never. On a machine with other users loads
 * flicker, and a flicker is not what is looked for. */
static uint64_t find_load(const cli_loadstep *l, uint32_t device, uint64_t from,
                          uint64_t to, double level, int up)
{
    double load = load_at(l, device, from), highest;
    uint64_t at = from;
    for (size_t i = first_after(l, from);; i++) {
        const uint64_t until = at + HOLD_US < to ? at + HOLD_US : to;
        const double above = time_above(l, device, at, until, level, &highest);
        if (up ? load >= level && above >= MOST : load < level && above <= 1 - MOST)
            return at;
        while (i < l->sample_count &&
               (l->samples[i].device != device || l->samples[i].time_us <= at))
            i++;
        if (i == l->sample_count || l->samples[i].time_us >= to)
            return 0;
        load = l->samples[i].load;
        at = l->samples[i].time_us;
    }
}

/* Was it up when the program came? Then nothing can be said about what that did. */
static int was_up(const cli_loadstep *l, const cli_step *step, uint32_t device)
{
    const uint64_t from = step->began_us - step->quiet_us > HOLD_US
                              ? step->began_us - HOLD_US
                              : step->quiet_us;
    double highest;
    return time_above(l, device, from, step->began_us, MUCH, &highest) >= MOST;
}

/* Where, and when, a load was noticed first. */
static uint64_t find_noticed(const cli_loadstep *l, const cli_step *step,
                             cli_step_findings *f)
{
    uint64_t first = 0;
    for (uint32_t d = 0; d < l->device_count; d++) {
        if (was_up(l, step, d)) {
            f->was_up = 1;
            continue;
        }
        const uint64_t at = find_load(l, d, step->began_us, step->asked_us, MUCH, 1);
        if (at != 0 && (first == 0 || at < first)) {
            first = at;
            f->device = (int)d;
        }
    }
    return first;
}

/* ---- Runs ----------------------------------------------------------------- */

static int began_within(const cli_step_run *run, uint64_t from, uint64_t to)
{
    return run->started_us >= from && run->started_us < to;
}

/* The first one that began at `from` or later and ended, with other devices than `devices` unless
 * that is 0; 0: there is none before `to`. */
static uint64_t find_run(const cli_loadstep *l, uint64_t from, uint64_t to,
                         uint32_t devices)
{
    uint64_t first = 0;
    for (size_t i = 0; i < l->run_count; i++) {
        const cli_step_run *run = &l->runs[i];
        if (began_within(run, from, to) && (devices == 0 || run->devices != devices) &&
            (first == 0 || run->started_us < first))
            first = run->started_us;
    }
    return first;
}

/* The devices that more runs were executed on than on any others; 0: there are no runs. */
static uint32_t usual_devices(const cli_loadstep *l, uint64_t from, uint64_t to)
{
    enum {
        KINDS =
            64 /* more combinations than that are not told apart from there being none */
    };
    uint32_t devices[KINDS], best = 0;
    size_t counts[KINDS], kinds = 0;
    for (size_t i = 0; i < l->run_count; i++) {
        if (!began_within(&l->runs[i], from, to))
            continue;
        size_t k = 0;
        while (k < kinds && devices[k] != l->runs[i].devices)
            k++;
        if (k == KINDS)
            continue;
        if (k == kinds) {
            devices[k] = l->runs[i].devices;
            counts[kinds++] = 0;
        }
        counts[k]++;
        best = counts[k] > counts[best] ? (uint32_t)k : best;
    }
    return kinds > 0 ? devices[best] : 0;
}

/* Of the runs that were in flight only then: the median latency, and how many there are. */
static int latency(const cli_loadstep *l, uint64_t from, uint64_t to, double *median_ms,
                   uint64_t *count, double use[CLI_STEP_DEVICES])
{
    double *values = calloc(l->run_count + 1, sizeof *values);
    size_t runs = 0;
    if (!values)
        return cli_no_memory();
    for (size_t i = 0; i < l->run_count; i++) {
        const cli_step_run *run = &l->runs[i];
        if (run->submitted_us < from || run->ended_us > to)
            continue;
        values[runs++] = (double)(run->ended_us - run->submitted_us) / 1e3;
        for (uint32_t d = 0; use && d < l->device_count; d++)
            use[d] += run->devices >> d & 1;
    }
    for (uint32_t d = 0; use && d < l->device_count && runs > 0; d++)
        use[d] /= (double)runs;
    *median_ms = cli_median(values, runs);
    *count = runs;
    free(values);
    return CLI_OK;
}

/* ---- A step --------------------------------------------------------------- */

static void find_begin(const cli_loadstep *l, const cli_step *step, cli_step_findings *f)
{
    const uint32_t usual = usual_devices(l, step->quiet_us, step->began_us);
    const uint64_t moved = usual ? find_run(l, step->began_us, step->asked_us, usual) : 0;
    const uint64_t noticed = find_noticed(l, step, f);
    if (moved != 0)
        f->moved_ms = delay_ms(step->ready_us, moved);
    if (noticed == 0)
        return;
    const uint64_t placed = find_run(l, noticed, step->asked_us, 0);
    f->noticed_ms = delay_ms(step->ready_us, noticed);
    f->known_before = time_above(l, (uint32_t)f->device, step->quiet_us, step->began_us,
                                 MUCH, &f->highest);
    f->known = time_above(l, (uint32_t)f->device, step->ready_us, step->asked_us, MUCH,
                          &f->highest);
    if (placed != 0)
        f->placed_ms = delay_ms(step->ready_us, placed);
}

static void find_end(const cli_loadstep *l, const cli_step *step, cli_step_findings *f)
{
    if (f->device < 0)
        return;
    const uint64_t back =
        find_load(l, (uint32_t)f->device, step->gone_us, step->over_us, MUCH, 0);
    const uint64_t placed = back ? find_run(l, back, step->over_us, 0) : 0;
    if (back != 0)
        f->back_ms = delay_ms(step->gone_us, back);
    if (placed != 0)
        f->placed_back_ms = delay_ms(step->gone_us, placed);
}

int cli_loadstep_find(const cli_loadstep *l, uint32_t step_index,
                      cli_step_findings *findings)
{
    const cli_step *step = &l->steps[step_index];
    cli_step_findings f = { .device = -1,
                            .noticed_ms = NAN,
                            .placed_ms = NAN,
                            .moved_ms = NAN,
                            .back_ms = NAN,
                            .placed_back_ms = NAN };
    find_begin(l, step, &f);
    find_end(l, step, &f);
    int status = latency(l, step->quiet_us, step->began_us, &f.before_ms, &f.runs_before,
                         f.use_before);
    if (status == CLI_OK)
        status = latency(l, step->ready_us, step->asked_us, &f.during_ms, &f.runs_during,
                         f.use_during);
    if (status == CLI_OK)
        status =
            latency(l, step->gone_us, step->over_us, &f.after_ms, &f.runs_after, NULL);
    *findings = f;
    return status;
}
