#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "plan/describe.h"
#include "simulator/model.h"

/* ---- Sections ------------------------------------------------------------- */

static uint32_t devices_of(const hsi_problem_source *source,
                           const hsi_plan_section *section)
{
    uint32_t mask = 1;
    for (uint32_t d = 1; d < source->platform->device_count; d++) {
        int can = 1;
        for (uint32_t i = 0; i < section->step_count && can; i++) {
            const hsched_step *step = &source->plan->steps[section->first_step + i].step;
            can = source->measured
                      ? hsi_measured_supports(source->measured, d, step)
                      : hsi_platform_supports(&source->platform->devices[d], step);
        }
        mask |= (uint32_t)can << d;
    }
    return mask;
}

/* Where costs are measured, passing the model's inputs and outputs was measured with the
 * sections. */
static hsched_status fill_sections(const hsi_problem_source *source,
                                   hsi_placement_section *places)
{
    const hsi_plan *plan = source->plan;
    uint32_t *read_by = HSI_NEW_ARRAY(uint32_t, plan->step_count);
    for (uint32_t s = 0; read_by && s < plan->section_count; s++) {
        const hsi_plan_section *section = &plan->sections[s];
        uint64_t *bytes = HSI_NEW_ARRAY(uint64_t, section->dep_count + 1);
        if (!bytes)
            break;
        places[s] = (hsi_placement_section){ .device_mask = devices_of(source, section),
                                             .dep_count = section->dep_count,
                                             .deps = section->deps,
                                             .dep_bytes = bytes };
        for (uint32_t d = 0; d < section->dep_count; d++)
            bytes[d] = hsi_plan_crossing_bytes(plan, section->deps[d], s, read_by);
        if (!source->measured)
            hsi_plan_io_bytes(plan, s, &places[s].input_bytes, &places[s].output_bytes);
    }
    const int done = read_by && places[plan->section_count - 1].dep_bytes;
    hsi_free(read_by);
    return done ? HSCHED_OK : hsi_out_of_memory("a simulated model");
}

/* ---- Times ---------------------------------------------------------------- */

static double section_us(const hsi_problem_source *source, uint32_t section,
                         uint32_t device)
{
    const hsi_plan_section *s = &source->plan->sections[section];
    double us = 0;
    for (uint32_t i = s->first_step; i < s->first_step + s->step_count; i++) {
        const hsi_cost_work work = hsi_plan_work(source->plan, i, 1);
        us += hsi_platform_step_us(&source->platform->devices[device], source->math,
                                   &source->plan->steps[i].step, work.flops, work.bytes);
    }
    return us;
}

static hsched_status fill_measured(const hsi_problem_source *source,
                                   const hsi_placement_problem *problem, double *us,
                                   hsi_problem_curves *curves, hsi_problem_teams *teams)
{
    const uint32_t sections = problem->section_count, devices = problem->device_count;
    uint8_t *wanted = HSI_NEW_ARRAY(uint8_t, sections);
    double *row = HSI_NEW_ARRAY(double, sections);
    hsi_measured_query query = { .name = source->name,
                                 .model = source->hash,
                                 .sections = sections,
                                 .math = source->math,
                                 .max_batch = source->max_batch,
                                 .workers = source->platform->devices[0].workers };
    teams->sections = HSI_NEW_ARRAY(hsi_curve, sections);
    hsched_status status = wanted && row && teams->sections
                               ? HSCHED_OK
                               : hsi_out_of_memory("a simulated model");
    for (uint32_t d = 0; d < devices && status == HSCHED_OK; d++) {
        hsi_measured_times times = { .us = row,
                                     .wanted = wanted,
                                     .team = teams->sections };
        for (uint32_t s = 0; s < sections; s++)
            wanted[s] = problem->sections[s].device_mask >> d & 1;
        query.jobs = source->platform->devices[d].workers;
        status = hsi_measured_find(source->measured, d, &query, &times);
        for (uint32_t s = 0; s < sections && status == HSCHED_OK; s++)
            us[s * devices + d] = wanted[s] ? row[s] : 0;
        curves->batch[d] = times.batch;
        curves->stretch[d] = times.stretch;
        if (d == 0)
            teams->run = times.run_team;
    }
    hsi_free(wanted);
    hsi_free(row);
    return status;
}

static hsched_status fill_times(const hsi_problem_source *source,
                                const hsi_placement_problem *problem, double *us,
                                hsi_problem_curves *curves, hsi_problem_teams *teams)
{
    const uint32_t devices = problem->device_count;
    if (source->measured)
        return fill_measured(source, problem, us, curves, teams);
    for (uint32_t s = 0; s < problem->section_count; s++)
        for (uint32_t d = 0; d < devices; d++)
            if (problem->sections[s].device_mask >> d & 1)
                us[s * devices + d] = section_us(source, s, d);
    for (uint32_t d = 0; d < devices; d++)
        curves->batch[d] = source->platform->devices[d].batch;
    teams->parallel = source->platform->devices[0].parallel;
    return HSCHED_OK;
}

hsched_status hsi_problem_fill(const hsi_problem_source *source,
                               hsi_placement_problem *problem, hsi_problem_curves *curves,
                               hsi_problem_teams *teams)
{
    const hsi_platform *platform = source->platform;
    const uint32_t sections = source->plan->section_count,
                   devices = platform->device_count;
    hsi_placement_section *places = HSI_NEW_ARRAY(hsi_placement_section, sections);
    double *us = HSI_NEW_ARRAY(double, (size_t)sections *devices);
    *problem = (hsi_placement_problem){
        .section_count = sections, .device_count = devices, .sections = places, .us = us
    };
    for (uint32_t d = 0; d < devices; d++) {
        problem->job_us[d] = platform->devices[d].job_us;
        problem->workers[d] = platform->devices[d].workers;
        problem->weight[d] = 1;
    }
    memcpy(problem->links, platform->links, sizeof problem->links);
    hsched_status status = places && us ? fill_sections(source, places)
                                        : hsi_out_of_memory("a simulated model");
    if (status == HSCHED_OK)
        status = fill_times(source, problem, us, curves, teams);
    if (status != HSCHED_OK)
        hsi_problem_clear(problem);
    return status;
}

void hsi_problem_clear(hsi_placement_problem *problem)
{
    for (uint32_t s = 0; problem->sections && s < problem->section_count; s++)
        hsi_free((void *)problem->sections[s].dep_bytes);
    hsi_free((void *)problem->sections);
    hsi_free((void *)problem->us);
    *problem = (hsi_placement_problem){ 0 };
}
