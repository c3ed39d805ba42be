#include "runtime/foreseen.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "simulator/measured.h"

/* ---- Devices --------------------------------------------------------------- */

void hsi_foreseen_devices(hsched_runtime *rt, hsi_engine_config *config)
{
    hsi_core_config core;
    hsi_runtime_core_config(rt, &core);
    config->device_count = core.device_count;
    config->ageing_us = core.ageing_us;
    config->active_limit = core.active_limit;
    config->power_cap_watts = core.power_cap_watts;
    config->gather_share = core.gather_share;
    pthread_mutex_lock(&rt->costs.mutex);
    for (uint32_t d = 0; d < core.device_count; d++) {
        hsi_engine_device *device = &config->devices[d];
        *device = (hsi_engine_device){ .core = core.devices[d],
                                       .team = d == 0 ? rt->workers[0] : 1 };
        hsi_measured_stretch(rt->costs.table, rt->costs.devices[d], rt->workers[d],
                             &device->stretch);
    }
    pthread_mutex_unlock(&rt->costs.mutex);
    /* What devices draw may have been measured after the core was made. */
    pthread_mutex_lock(&rt->pool->lock);
    for (uint32_t d = 0; d < core.device_count; d++)
        hsi_core_get_watts(rt->core, d, &config->devices[d].core.watts,
                           &config->devices[d].core.idle_watts);
    pthread_mutex_unlock(&rt->pool->lock);
}

/* ---- The model ------------------------------------------------------------ */

/* By how much a whole run differs from its sections together, shared by so many workers; 1 if that
 * is not known. Clocks were read inside of the sections, and what comes between them is in the run
 * alone. What jobs have taught of sections since they were measured is left in them. */
static double run_by_sections(const hsched_model *model, uint32_t device,
                              uint32_t workers)
{
    const hsi_cost run = hsi_placing_look_up(model, HSI_COST_RUN, 0, device, 1, workers);
    double sum_us = 0;
    if (run.source < HSI_COST_INTERPOLATED)
        return 1;
    for (uint32_t s = 0; s < model->plan->section_count; s++) {
        const hsi_cost cost =
            hsi_placing_look_up(model, HSI_COST_SECTION, s, device, 1, workers);
        if (cost.source < HSI_COST_INTERPOLATED ||
            !(model->core_sections[s].device_mask >> device & 1))
            return 1;
        sum_us += cost.us / cost.correction;
    }
    return sum_us > 0 ? run.us / run.correction / sum_us : 1;
}

/* Under the table's lock. Devices with a queue have had that done already. */
static void find_times(hsi_foreseen *f, const hsi_placement_problem *p)
{
    const size_t times = (size_t)p->section_count * p->device_count;
    memcpy(f->us, p->us, times * sizeof *f->us);
    for (uint32_t d = 0; d < p->device_count; d++) {
        if (f->model->runtime->devices[d].has_queue)
            continue;
        const double factor = run_by_sections(f->model, d, 1);
        for (uint32_t s = 0; s < p->section_count; s++)
            f->us[(size_t)s * p->device_count + d] *= factor;
    }
    f->problem = *p;
    f->problem.us = f->us;
}

static void add_team(hsi_curve *curve, uint32_t workers, double factor)
{
    if (curve->count == HSI_CURVE_MAX)
        return;
    curve->at[curve->count] = workers;
    curve->factor[curve->count++] = factor;
}

/* Under the table's lock. What so many workers make of each section: as of the whole run where that
 * alone is known, nothing where that is not either, as the policy `cost` takes it. All together
 * they take what the run was measured to take, be it more than one worker takes. */
static void find_teams(hsi_foreseen *f)
{
    const hsched_model *model = f->model;
    const uint32_t most = model->runtime->workers[0];
    const hsi_cost one = hsi_placing_look_up(model, HSI_COST_RUN, 0, 0, 1, 1);
    for (uint32_t k = 1; (k = hsi_cost_next_number(k, most)) > 0;) {
        const hsi_cost all = hsi_placing_look_up(model, HSI_COST_RUN, 0, 0, 1, k);
        const int known = all.source >= HSI_COST_INTERPOLATED && one.us > 0;
        const double factor = run_by_sections(model, 0, k);
        for (uint32_t s = 0; s < model->plan->section_count; s++) {
            const double alone_us = f->us[(size_t)s * f->problem.device_count];
            const hsi_cost shared =
                hsi_placing_look_up(model, HSI_COST_SECTION, s, 0, 1, k);
            const int own = shared.source >= HSI_COST_INTERPOLATED && alone_us > 0;
            if (own)
                add_team(&f->team[s], k, factor * shared.us / alone_us);
            else if (known)
                add_team(&f->team[s], k, all.us / one.us);
            f->unshared |= !own && !known;
        }
    }
}

/* Of the work of a job of so many runs, from what the policy `cost` knows of such jobs: starting
 * one takes as long for any number. */
static void fill_batches(hsi_foreseen *f, const hsi_choices *sizes)
{
    for (uint32_t d = 1; d < f->problem.device_count; d++)
        for (uint32_t k = 0; k < sizes->batch_count[d]; k++) {
            const double start_us = f->problem.job_us[d], one_us = sizes->batch_us[d][0],
                         all_us = sizes->batch_us[d][k];
            const double factor = one_us > start_us && all_us > start_us
                                      ? (all_us - start_us) / (one_us - start_us)
                                      : all_us / one_us;
            hsi_curve *curve = &f->batch[d];
            curve->at[curve->count] = 1u << k;
            curve->factor[curve->count++] = factor;
        }
}

/* Under the table's lock. */
static void find_stretches(hsi_foreseen *f)
{
    const hsched_runtime *rt = f->model->runtime;
    for (uint32_t d = 0; d < rt->device_count; d++) {
        const hsi_cost_key key = hsi_costs_key(f->model, HSI_COST_AT_ONCE, 0, d);
        hsi_measured_stretch_of(rt->costs.table, &key, rt->workers[d], &f->stretch[d]);
    }
}

/* What the policy chooses from, but for what is lost: it would pass that over. */
static void take_choices(hsi_foreseen *f)
{
    f->planned = hsi_planner_get(f->model);
    if (!f->planned)
        return;
    f->choices = f->planned->chosen.choices;
    f->choices.count = 0;
    for (uint32_t k = 0; k < f->planned->chosen.choices.count; k++)
        if (!(f->planned->chosen.choices.list[k].uses & f->lost))
            f->choices.list[f->choices.count++] = f->planned->chosen.choices.list[k];
    f->engine.core.choices = &f->choices;
}

/* As the core has it, with storage of its own. */
static void describe_model(hsi_foreseen *f)
{
    const hsched_model *model = f->model;
    for (uint32_t s = 0; s < model->plan->section_count; s++) {
        f->core_sections[s] = model->core_sections[s];
        f->core_sections[s].device_mask &= ~f->lost;
    }
    f->engine = (hsi_engine_model){ .core = model->core,
                                    .costs = &f->problem,
                                    .batch = f->batch,
                                    .stretch = f->stretch,
                                    .starting_us = f->starting_us,
                                    .team = f->team };
    f->engine.core.sections = f->core_sections;
    for (uint32_t d = 0; model->exec.starting_us && d < model->exec.device_count; d++)
        f->starting_us[d] = model->exec.starting_us[d];
    f->followed = model->followed;
    f->engine.core.followed = &f->followed;
    f->engine.core.batch_queues = model->core.batch_queues ? f->queues : NULL;
}

hsched_status hsi_foreseen_init(hsi_foreseen *f, hsched_model *model,
                                const hsi_placing *placing, const hsi_choices *sizes)
{
    hsched_runtime *rt = model->runtime;
    const uint32_t sections = model->plan->section_count;
    *f = (hsi_foreseen){ .model = model,
                         .core_sections = HSI_NEW_ARRAY(hsi_core_section, sections),
                         .team = HSI_NEW_ARRAY(hsi_curve, sections),
                         .us =
                             HSI_NEW_ARRAY(double, (size_t)sections * rt->device_count) };
    if (!f->core_sections || !f->team || !f->us) {
        hsi_foreseen_clear(f);
        return hsi_out_of_memory("a model's outlook");
    }
    pthread_mutex_lock(&rt->pool->lock);
    f->lost = hsi_core_lost_devices(rt->core);
    describe_model(f);
    pthread_mutex_unlock(&rt->pool->lock);
    take_choices(f);
    pthread_mutex_lock(&rt->costs.mutex);
    find_times(f, &placing->problem);
    find_teams(f);
    find_stretches(f);
    pthread_mutex_unlock(&rt->costs.mutex);
    fill_batches(f, sizes);
    return HSCHED_OK;
}

void hsi_foreseen_clear(hsi_foreseen *f)
{
    hsi_planned_release(f->planned);
    hsi_free(f->core_sections);
    hsi_free(f->team);
    hsi_free(f->us);
    *f = (hsi_foreseen){ 0 };
}
