#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "runtime/explain.h"
#include "simulator/measured.h"

/* ---- The machine ---------------------------------------------------------- */

/* Under the table's lock. */
static void describe_devices(hsi_outlook *o, const double *loads)
{
    const hsched_runtime *rt = o->model->runtime;
    hsi_core_config core;
    hsi_runtime_core_config(rt, &core);
    o->config.device_count = core.device_count;
    o->config.ageing_us = core.ageing_us;
    o->config.active_limit = core.active_limit;
    o->config.power_cap_watts = core.power_cap_watts;
    for (uint32_t d = 0; d < core.device_count; d++) {
        hsi_engine_device *device = &o->config.devices[d];
        o->loads[d] = (hsi_engine_load){ .from_us = 0, .factor = loads[d] };
        *device = (hsi_engine_device){ .core = core.devices[d],
                                       .team = d == 0 ? rt->workers[0] : 1,
                                       .loads = &o->loads[d],
                                       .load_count = 1 };
        hsi_measured_stretch(rt->costs.table, rt->costs.devices[d], rt->workers[d],
                             &device->stretch);
    }
}

/* Under the scheduler lock. What devices draw may have been measured after the core was made. */
static void take_watts(hsi_outlook *o)
{
    for (uint32_t d = 0; d < o->config.device_count; d++)
        hsi_core_get_watts(o->model->runtime->core, d, &o->config.devices[d].core.watts,
                           &o->config.devices[d].core.idle_watts);
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
static void find_times(hsi_outlook *o)
{
    const hsi_placement_problem *p = &o->placing->problem;
    const size_t times = (size_t)p->section_count * p->device_count;
    memcpy(o->us, p->us, times * sizeof *o->us);
    for (uint32_t d = 0; d < p->device_count; d++) {
        if (o->model->runtime->devices[d].has_queue)
            continue;
        const double factor = run_by_sections(o->model, d, 1);
        for (uint32_t s = 0; s < p->section_count; s++)
            o->us[(size_t)s * p->device_count + d] *= factor;
    }
    o->problem = *p;
    o->problem.us = o->us;
}

/* So that all workers together take what they were measured to take, be it more than one takes. */
static double share_of(double alone_us, double all_us, uint32_t workers)
{
    if (workers < 2 || !(alone_us > 0) || !(all_us > 0))
        return 0;
    return (1 - all_us / alone_us) / (1 - 1.0 / workers);
}

/* Under the table's lock. How much of each section CPU workers can share: as of the whole run where
 * that alone is known, nothing where that is not either, as the policy `cost` takes it. */
static void find_parallel(hsi_outlook *o)
{
    const hsched_model *model = o->model;
    const uint32_t workers = model->runtime->workers[0];
    const hsi_cost one = hsi_placing_look_up(model, HSI_COST_RUN, 0, 0, 1, 1);
    const hsi_cost all = hsi_placing_look_up(model, HSI_COST_RUN, 0, 0, 1, workers);
    const int known = all.source >= HSI_COST_INTERPOLATED;
    const double whole = known ? share_of(one.us, all.us, workers) : 0;
    const double factor = run_by_sections(model, 0, workers);
    for (uint32_t s = 0; s < model->plan->section_count; s++) {
        const double alone_us = o->us[(size_t)s * o->problem.device_count];
        const hsi_cost shared =
            hsi_placing_look_up(model, HSI_COST_SECTION, s, 0, 1, workers);
        const int own = shared.source >= HSI_COST_INTERPOLATED;
        o->parallel[s] = own ? share_of(alone_us, factor * shared.us, workers) : whole;
        o->unshared |= !own && !known;
    }
}

/* Of a job of so many runs, from what the policy `cost` knows of them. */
static void fill_batches(hsi_outlook *o, const hsi_choices *sizes)
{
    for (uint32_t d = 1; d < o->config.device_count; d++)
        for (uint32_t k = 0; k < sizes->batch_count[d]; k++) {
            hsi_curve *curve = &o->batch[d];
            curve->at[curve->count] = 1u << k;
            curve->factor[curve->count++] =
                (double)sizes->batch_us[d][k] / (double)sizes->batch_us[d][0];
        }
}

/* What the policy chooses from, but for what is lost: it would pass that over. */
static void take_choices(hsi_outlook *o)
{
    o->planned = hsi_planner_get((hsched_model *)o->model);
    if (!o->planned)
        return;
    o->choices = o->planned->chosen.choices;
    o->choices.count = 0;
    for (uint32_t k = 0; k < o->planned->chosen.choices.count; k++)
        if (!(o->planned->chosen.choices.list[k].uses & o->lost))
            o->choices.list[o->choices.count++] = o->planned->chosen.choices.list[k];
    o->engine.core.choices = &o->choices;
}

/* As the core has it, with storage of its own. */
static void describe_model(hsi_outlook *o)
{
    const hsched_model *model = o->model;
    for (uint32_t s = 0; s < model->plan->section_count; s++) {
        o->core_sections[s] = model->core_sections[s];
        o->core_sections[s].device_mask &= ~o->lost;
    }
    o->engine = (hsi_engine_model){ .core = model->core,
                                    .costs = &o->problem,
                                    .batch = o->batch,
                                    .section_parallel = o->parallel };
    o->engine.core.sections = o->core_sections;
    o->engine.core.batch_queues = model->core.batch_queues ? o->queues : NULL;
}

hsched_status hsi_outlook_init(hsi_outlook *o, hsched_model *model,
                               const hsi_placing *placing, const hsi_choices *sizes,
                               const double *loads, uint32_t runs)
{
    hsched_runtime *rt = model->runtime;
    const uint32_t sections = model->plan->section_count;
    *o = (hsi_outlook){ .model = model,
                        .placing = placing,
                        .runs = runs,
                        .core_sections = HSI_NEW_ARRAY(hsi_core_section, sections),
                        .parallel = HSI_NEW_ARRAY(double, sections),
                        .us = HSI_NEW_ARRAY(double, (size_t)sections * rt->device_count),
                        .devices = HSI_NEW_ARRAY(uint8_t, (size_t)runs * sections),
                        .sections = HSI_NEW_ARRAY(hsi_outlook_section, sections) };
    if (!o->core_sections || !o->parallel || !o->us || !o->devices || !o->sections) {
        hsi_outlook_clear(o);
        return hsi_out_of_memory("an explanation");
    }
    pthread_mutex_lock(&rt->costs.mutex);
    describe_devices(o, loads);
    pthread_mutex_unlock(&rt->costs.mutex);
    pthread_mutex_lock(&rt->pool->lock);
    o->lost = hsi_core_lost_devices(rt->core);
    describe_model(o);
    take_watts(o);
    pthread_mutex_unlock(&rt->pool->lock);
    take_choices(o);
    pthread_mutex_lock(&rt->costs.mutex);
    find_times(o);
    find_parallel(o);
    pthread_mutex_unlock(&rt->costs.mutex);
    fill_batches(o, sizes);
    return HSCHED_OK;
}

void hsi_outlook_clear(hsi_outlook *o)
{
    hsi_planned_release(o->planned);
    hsi_free(o->core_sections);
    hsi_free(o->parallel);
    hsi_free(o->us);
    hsi_free(o->devices);
    hsi_free(o->sections);
    *o = (hsi_outlook){ 0 };
}

/* ---- What happens --------------------------------------------------------- */

/* The first run's job: its time without the start and the crossings is its sections', as they have
 * it alone. */
static void note_sections(hsi_outlook *o, const hsi_engine_job *job)
{
    const hsi_placement_problem *p = &o->problem;
    const double took = job->end_us - job->begin_us - job->fixed_us;
    double sum = 0;
    for (uint32_t s = job->section; s < job->section + job->count; s++)
        sum += p->us[(size_t)s * p->device_count + job->device];
    for (uint32_t s = job->section; s < job->section + job->count; s++) {
        const double us = p->us[(size_t)s * p->device_count + job->device];
        o->sections[s] = (hsi_outlook_section){ .job = o->jobs,
                                                .begin_us = job->begin_us,
                                                .us = sum > 0 ? took * us / sum : 0 };
    }
    o->sections[job->section].us += p->job_us[job->device];
    o->jobs++;
}

static hsched_status note_job(void *user, const hsi_engine_job *job)
{
    hsi_outlook *o = user;
    const size_t count = o->model->plan->section_count;
    for (uint32_t m = 0; m < job->members; m++) {
        memset(&o->devices[(size_t)(job->runs[m] - 1) * count + job->section],
               (int)job->device, job->count);
        if (job->runs[m] == 1)
            note_sections(o, job);
    }
    return HSCHED_OK;
}

static hsched_status note_run(void *user, const hsi_engine_run *run)
{
    hsi_outlook *o = user;
    if (run->number == 1)
        o->tensors = run->crossings;
    return run->status;
}

static hsched_status simulate(hsi_outlook *o, double *end_us)
{
    hsi_engine_totals totals;
    const hsi_engine_stream stream = { .model = &o->engine,
                                       .instances = o->runs,
                                       .runs = 1 };
    memset(o->queues, 0, sizeof o->queues);
    hsched_status status = hsi_engine_run_all(&o->config, &stream, 1, &totals);
    *end_us = totals.end_us;
    return status;
}

hsched_status hsi_outlook_ask(hsi_outlook *o, double *end_us)
{
    o->config.job_ended = note_job;
    o->config.run_ended = note_run;
    o->config.user = o;
    return simulate(o, end_us);
}

/* ---- One section elsewhere ------------------------------------------------ */

/* Runs are numbered alike each time: they are submitted in the same order. */
static uint32_t place_moved(const hsi_place_query *query)
{
    const hsi_outlook *o = (const hsi_outlook *)query->model;
    if (query->section == o->moved_section)
        return o->moved_to;
    return o->devices[(query->run->sequence - 1) * o->model->plan->section_count +
                      query->section];
}

static const hsi_policy policy_moved = { .name = "moved", .place = place_moved };

hsched_status hsi_outlook_move(hsi_outlook *o, uint32_t section, uint32_t device,
                               double *end_us)
{
    const hsi_policy *own = o->engine.core.policy;
    o->config.job_ended = NULL;
    o->config.run_ended = NULL;
    o->engine.core.policy = &policy_moved;
    o->moved_section = section;
    o->moved_to = device;
    hsched_status status = simulate(o, end_us);
    o->engine.core.policy = own;
    return status;
}
