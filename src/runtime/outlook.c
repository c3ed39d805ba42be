#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "runtime/explain.h"

hsched_status hsi_outlook_init(hsi_outlook *o, hsched_model *model,
                               const hsi_placing *placing, const hsi_choices *sizes,
                               const double *loads, uint32_t runs)
{
    const uint32_t sections = model->plan->section_count;
    *o = (hsi_outlook){ .runs = runs,
                        .devices = HSI_NEW_ARRAY(uint8_t, (size_t)runs * sections),
                        .sections = HSI_NEW_ARRAY(hsi_outlook_section, sections) };
    hsched_status status = o->devices && o->sections
                               ? hsi_foreseen_init(&o->seen, model, placing, sizes)
                               : hsi_out_of_memory("an explanation");
    if (status != HSCHED_OK) {
        hsi_outlook_clear(o);
        return status;
    }
    hsi_foreseen_devices(model->runtime, &o->config);
    for (uint32_t d = 0; d < o->config.device_count; d++) {
        o->loads[d] = (hsi_engine_load){ .from_us = 0, .factor = loads[d] };
        o->config.devices[d].loads = &o->loads[d];
        o->config.devices[d].load_count = 1;
    }
    return HSCHED_OK;
}

void hsi_outlook_clear(hsi_outlook *o)
{
    hsi_foreseen_clear(&o->seen);
    hsi_free(o->devices);
    hsi_free(o->sections);
    *o = (hsi_outlook){ 0 };
}

/* ---- What happens --------------------------------------------------------- */

/* The first run's job: its time without the start and the crossings is its sections', as they have
 * it alone. */
static void note_sections(hsi_outlook *o, const hsi_engine_job *job)
{
    const hsi_placement_problem *p = &o->seen.problem;
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
    const size_t count = o->seen.model->plan->section_count;
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
    const hsi_engine_stream stream = { .model = &o->seen.engine,
                                       .instances = o->runs,
                                       .runs = 1 };
    memset(o->seen.queues, 0, sizeof o->seen.queues);
    o->seen.followed =
        HSI_FOLLOWED_MOST; /* runs are submitted together again and again */
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
    return o->devices[(query->run->sequence - 1) * o->seen.model->plan->section_count +
                      query->section];
}

static const hsi_policy policy_moved = { .name = "moved", .place = place_moved };

hsched_status hsi_outlook_move(hsi_outlook *o, uint32_t section, uint32_t device,
                               double *end_us)
{
    const hsi_policy *own = o->seen.engine.core.policy;
    o->config.job_ended = NULL;
    o->config.run_ended = NULL;
    o->seen.engine.core.policy = &policy_moved;
    o->moved_section = section;
    o->moved_to = device;
    hsched_status status = simulate(o, end_us);
    o->seen.engine.core.policy = own;
    return status;
}
