#include "runtime/demand.h"

#include <math.h>

#include "base/alloc.h"
#include "base/status.h"
#include "runtime/explain.h"

/* ---- Costs ---------------------------------------------------------------- */

/* Under costs.mutex: microseconds, if they were measured or seen, or lie between such; else 0. An
 * estimate from the work is no reason to refuse anything. */
static double known_cost(const hsched_model *model, hsi_cost_unit unit, uint32_t index,
                         uint32_t device, uint32_t workers, uint32_t batch)
{
    hsi_cost cost;
    hsi_cost_key key = hsi_costs_key(model, unit, index, device);
    key.workers = workers;
    key.batch = batch;
    hsi_cost_table_find(model->runtime->costs.table, &key, 1, NULL, &cost);
    return cost.source >= HSI_COST_INTERPOLATED ? cost.us : 0;
}

static double run_cost(const hsched_model *model, uint32_t device, uint32_t workers)
{
    return known_cost(model, HSI_COST_RUN, 0, device, workers, 1);
}

/* Under costs.mutex: adds up sections on the devices where they are. 0: some are not known. */
static int add_sections(const hsched_model *model, const uint8_t *where,
                        hsi_periodic_demand *on)
{
    for (uint32_t i = 0; i < model->plan->section_count; i++) {
        hsi_periodic_demand *d = &on[where[i]];
        const double us = known_cost(model, HSI_COST_SECTION, i, where[i], 1, 1);
        if (!(us > 0))
            return 0;
        d->cost_us += us;
        d->pieces++;
        if (us > d->block_us)
            d->block_us = us;
    }
    return 1;
}

/* The least that one of several joined runs takes. */
static double joined_cost(const hsched_source *s, uint32_t device, double alone)
{
    const hsched_model *model = s->model;
    double least = alone;
    for (uint32_t b = 2; b <= model->core.max_batch && b <= s->config.max_in_flight;
         b++) {
        const double us = known_cost(model, HSI_COST_RUN, 0, device, 1, b) / b;
        if (us > 0 && us < least)
            least = us;
    }
    return least;
}

/* ---- Places --------------------------------------------------------------- */

static int has_one(uint32_t mask)
{
    return (mask & (mask - 1)) == 0;
}

typedef enum reach {
    CPU_ALONE, /* whatever the policy */
    ONE_PLACE, /* each section has one, which the policy knows beforehand */
    CHOSEN,    /* for each run anew, by what it costs and what waits */
    NOT_KNOWN  /* by what else there is, or by a policy of the user's */
} reach;

/* Of several accelerators the least loaded is taken. */
static int has_one_other(const hsched_model *model)
{
    int one = 1;
    for (uint32_t i = 0; i < model->plan->section_count; i++)
        one &= has_one(model->core_sections[i].device_mask & ~1u);
    return one;
}

static reach reach_of(const hsched_model *model)
{
    int cpu_alone = 1;
    for (uint32_t i = 0; i < model->plan->section_count; i++)
        cpu_alone &= (model->core_sections[i].device_mask & ~1u) == 0;
    if (cpu_alone)
        return CPU_ALONE;
    if (model->core.policy->choose)
        return CHOSEN;
    return has_one_other(model) && !model->core.policy->anywhere ? ONE_PLACE : NOT_KNOWN;
}

/* How many times as long jobs take on each device at present. */
static void find_loads(hsched_runtime *rt, double *loads)
{
    pthread_mutex_lock(&rt->pool->lock);
    hsi_observe_refresh(rt, 0);
    for (uint32_t d = 0; d < rt->device_count; d++)
        loads[d] = hsi_core_load(rt->core, d);
    hsi_worker_pool_after_events(rt->pool);
    pthread_mutex_unlock(&rt->pool->lock);
}

/* Where the policy has a run that is alone; to be cleared, both. */
static hsched_status look_out(hsched_model *model, hsi_placing *placing,
                              hsi_outlook *outlook)
{
    double loads[HSI_MAX_DEVICES], end_us;
    hsi_choices sizes = { 0 };
    find_loads(model->runtime, loads);
    hsched_status status = hsi_placing_make(model, placing, &sizes);
    if (status == HSCHED_OK)
        status = hsi_outlook_init(outlook, model, placing, &sizes, loads, 1);
    if (status == HSCHED_OK)
        status = hsi_outlook_ask(outlook, &end_us);
    return status;
}

/* ---- What a source needs -------------------------------------------------- */

/* All of it is on one device. Under costs.mutex. */
static void demand_of_one(const hsched_source *s, uint32_t device, hsi_periodic_task *t)
{
    const hsched_model *model = s->model;
    const hsched_runtime *rt = model->runtime;
    hsi_periodic_demand *on = &t->on[device];
    const double sum = on->cost_us, wcet = (double)s->config.wcet_us;
    const double measured = run_cost(model, device, 1);
    on->cost_us = wcet > 0 ? wcet : measured > 0 ? measured : sum;
    t->known = on->cost_us > 0;
    if (!t->known)
        return;
    on->least_us = joined_cost(s, device, on->cost_us);
    t->span_us = on->cost_us;
    if (device != 0 || sum == 0) { /* no other is let in between sections */
        on->block_us = on->cost_us;
        on->pieces = 1;
    } else {
        on->block_us *= on->cost_us / sum;
    }
    if (device == 0 && rt->workers[0] > 1) {
        const double all = run_cost(model, 0, rt->workers[0]);
        t->span_us *= measured > 0 && all > 0 && all < measured ? all / measured
                                                                : 1.0 / rt->workers[0];
    }
}

/* Under costs.mutex; `on` has the sums of sections. Sections on different devices may be executed
 * at the same time. */
static void demand_of_several(const hsched_source *s, hsi_periodic_task *t)
{
    const hsched_runtime *rt = s->model->runtime;
    double sum = 0;
    for (uint32_t d = 0; d < rt->device_count; d++)
        sum += t->on[d].cost_us;
    const double factor = s->config.wcet_us ? (double)s->config.wcet_us / sum : 1;
    for (uint32_t d = 0; d < rt->device_count; d++) {
        hsi_periodic_demand *on = &t->on[d];
        on->cost_us *= factor;
        on->block_us *= factor;
        on->least_us = on->cost_us;
        const double span = on->cost_us / (d == 0 ? rt->workers[0] : 1);
        t->span_us = span > t->span_us ? span : t->span_us;
    }
    t->known = 1;
}

/* ---- What a source may need anywhere -------------------------------------- */

/* A section's time at the very least, wherever it is executed: the CPU with as many workers as are
 * fastest. */
static double least_of(const hsi_foreseen *f, const double *row, uint32_t section)
{
    const hsi_curve *team = &f->team[section];
    double least = f->unshared ? row[0] / f->model->runtime->workers[0] : row[0];
    for (uint32_t k = 0; k < team->count; k++)
        least = fmin(least, row[0] * team->factor[k]);
    for (uint32_t d = 1; d < f->problem.device_count; d++)
        least = fmin(least, row[d]);
    return least;
}

/* The longest way through the sections. `end`: room for each. */
static double span_of(const hsi_foreseen *f, const double *us, double *end)
{
    const hsi_placement_problem *p = &f->problem;
    double span = 0;
    for (uint32_t s = 0; s < p->section_count; s++) {
        const hsi_placement_section *section = &p->sections[s];
        double begin = 0;
        for (uint32_t i = 0; i < section->dep_count; i++)
            begin = fmax(begin, end[section->deps[i]]);
        end[s] = begin + least_of(f, us + (size_t)s * p->device_count, s);
        span = fmax(span, end[s]);
    }
    return span;
}

/* Under costs.mutex: of a run alone, what one of several joined ones takes at the least. */
static double joined_share(const hsched_source *s, uint32_t device)
{
    const double alone = device > 0 ? run_cost(s->model, device, 1) : 0;
    return alone > 0 ? joined_cost(s, device, alone) / alone : 1;
}

/* What the policy may have each section take. 0: of some it is an estimate, or not known. */
static int fill_anywhere(const hsched_source *s, const hsi_foreseen *f,
                         const hsi_placing *placing, double *us)
{
    const hsi_placement_problem *p = &f->problem;
    double joined[HSI_MAX_DEVICES];
    pthread_mutex_lock(&s->model->runtime->costs.mutex);
    for (uint32_t d = 0; d < p->device_count; d++)
        joined[d] = joined_share(s, d);
    pthread_mutex_unlock(&s->model->runtime->costs.mutex);
    for (uint32_t i = 0; i < p->section_count; i++)
        for (uint32_t d = 0; d < p->device_count; d++) {
            const size_t at = (size_t)i * p->device_count + d;
            const uint32_t mask =
                p->sections[i].device_mask & f->core_sections[i].device_mask;
            us[at] = mask >> d & 1 ? joined[d] * p->us[at] : INFINITY;
            if ((mask >> d & 1) && placing->sources[at] < HSI_COST_INTERPOLATED)
                return 0;
        }
    return 1;
}

/* Where a run that is alone is expected; all together. */
static double expect(const hsi_outlook *o, hsi_periodic_task *t)
{
    const hsi_placement_problem *p = &o->seen.problem;
    double sum = 0;
    for (uint32_t s = 0; s < p->section_count; s++) {
        const uint32_t d = o->devices[s];
        const int begins = s == 0 || o->devices[s - 1] != d;
        const double us =
            p->us[(size_t)s * p->device_count + d] + (begins ? p->job_us[d] : 0);
        t->on[d].cost_us += us;
        t->on[d].least_us += us;
        sum += us;
    }
    return sum;
}

/* The longest that a run takes is said of where it is expected; elsewhere it is in proportion. */
static void scale(hsi_periodic_task *t, double *us, size_t count, double factor)
{
    t->span_us *= factor;
    for (size_t i = 0; i < count; i++)
        us[i] *= factor;
    for (uint32_t d = 0; d < HSI_MAX_DEVICES; d++) {
        t->on[d].cost_us *= factor;
        t->on[d].least_us *= factor;
    }
}

static hsched_status describe_choosing(const hsched_source *s, const hsi_outlook *o,
                                       const hsi_placing *placing, hsi_periodic_task *t)
{
    const hsi_foreseen *f = &o->seen;
    const size_t sections = f->problem.section_count,
                 count = sections * f->problem.device_count;
    if (f->choices.count == 0)
        return HSCHED_OK;
    double *us = HSI_NEW_ARRAY(double, count + sections);
    if (!us)
        return hsi_out_of_memory("a source");
    if (!fill_anywhere(s, f, placing, us)) {
        hsi_free(us);
        return HSCHED_OK;
    }
    t->anywhere_us = us;
    t->section_count = (uint32_t)sections;
    t->span_us = span_of(f, us, us + count);
    const double expected = expect(o, t);
    if (s->config.wcet_us > 0 && expected > 0)
        scale(t, us, count, (double)s->config.wcet_us / expected);
    t->known = 1;
    return HSCHED_OK;
}

/* A run that ends later than this costs a release: the next one is skipped, or takes its place. */
static double due_of(const hsched_source_config *c)
{
    const uint32_t periods = c->flags & HSCHED_SOURCE_LATEST_ONLY ? 1 : c->max_in_flight;
    const double due = (double)c->period_us * periods;
    return due < (double)c->deadline_us ? due : (double)c->deadline_us;
}

/* Where all sections have their places. */
static void describe_fixed(const hsched_source *s, const uint8_t *where,
                           hsi_periodic_task *t)
{
    const hsched_model *model = s->model;
    hsched_runtime *rt = model->runtime;
    uint32_t devices = 0;
    for (uint32_t i = 0; i < model->plan->section_count; i++)
        devices |= 1u << where[i];
    pthread_mutex_lock(&rt->costs.mutex);
    const int all = add_sections(model, where, t->on);
    if (!all)
        for (uint32_t d = 0; d < rt->device_count; d++)
            t->on[d] = (hsi_periodic_demand){ 0 };
    if (has_one(devices))
        demand_of_one(s, (uint32_t)__builtin_ctz(devices), t);
    else if (all)
        demand_of_several(s, t);
    pthread_mutex_unlock(&rt->costs.mutex);
}

static hsched_status describe_by_outlook(const hsched_source *s, int chooses,
                                         hsi_periodic_task *t)
{
    hsi_placing placing = { 0 };
    hsi_outlook outlook = { 0 };
    hsched_status status = look_out(s->model, &placing, &outlook);
    /* With nothing to choose from yet each section has its place, as with gpu_only. */
    t->may_move = chooses && outlook.seen.choices.count == 0 && has_one_other(s->model);
    if (status == HSCHED_OK && chooses && !t->may_move)
        status = describe_choosing(s, &outlook, &placing, t);
    else if (status == HSCHED_OK)
        describe_fixed(s, outlook.devices, t);
    hsi_outlook_clear(&outlook);
    hsi_placing_clear(&placing);
    return status;
}

static hsched_status describe_on_cpu(const hsched_source *s, hsi_periodic_task *t)
{
    uint8_t *where = HSI_NEW_ARRAY(uint8_t, s->model->plan->section_count);
    if (!where)
        return hsi_out_of_memory("a source");
    describe_fixed(s, where, t);
    hsi_free(where);
    return HSCHED_OK;
}

hsched_status hsi_demand_describe(const hsched_source *s, hsi_periodic_task *t)
{
    *t = (hsi_periodic_task){ .period_us = (double)s->config.period_us,
                              .deadline_us = (double)s->config.deadline_us,
                              .due_us = due_of(&s->config),
                              .priority = s->config.priority };
    switch (reach_of(s->model)) {
    case CPU_ALONE:
        return describe_on_cpu(s, t);
    case ONE_PLACE:
        return describe_by_outlook(s, 0, t);
    case CHOSEN:
        return describe_by_outlook(s, 1, t);
    case NOT_KNOWN:
        break;
    }
    return HSCHED_OK;
}

void hsi_demand_clear(hsi_periodic_task *t)
{
    hsi_free((void *)t->anywhere_us);
    t->anywhere_us = NULL;
}
