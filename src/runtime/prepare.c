/*
 * Having the devices prepare a model's sections. The CPU prepares every step, as one, so
 * that there is always a device that can run a section; an accelerator prepares the
 * sections that the policy would give it.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "runtime/runtime.h"

static int device_supports(const hsi_exec_device *device, const hsi_plan *plan,
                           const hsi_plan_section *section)
{
    for (uint32_t i = 0; i < section->step_count; i++)
        if (!device->backend->supports(device->handle,
                                       &plan->steps[section->first_step + i].step))
            return 0;
    return 1;
}

/* The one accelerator, if any, that the policy places this section on when nothing else
 * runs. */
static uint32_t choose_device(const hsched_model *model, uint32_t section)
{
    static const uint32_t no_backlog[HSI_MAX_DEVICES];
    const hsched_runtime *rt = model->runtime;
    uint32_t mask = 1;
    for (uint32_t d = 1; d < rt->device_count; d++)
        if (device_supports(&rt->devices[d], model->plan,
                            &model->plan->sections[section]))
            mask |= 1u << d;
    hsi_place_query query = { .model = &model->core,
                              .section = section,
                              .device_mask = mask,
                              .backlog = no_backlog };
    uint32_t device = model->core.policy->place(&query);
    return device < rt->device_count && (mask >> device & 1u) ? device : 0;
}

static hsched_status prepare_steps(hsched_model *model, uint32_t device,
                                   uint32_t first_step, uint32_t step_count)
{
    const hsi_exec_device *d = &model->runtime->devices[device];
    hsi_exec_prepared *p = &model->exec.prepared[model->exec.prepared_count];
    *p = (hsi_exec_prepared){ .backend = d->backend,
                              .first_step = first_step,
                              .step_count = step_count,
                              .device = device };
    p->steps = HSI_NEW_ARRAY(hsched_step, step_count);
    if (!p->steps)
        return hsi_out_of_memory("a model's steps");
    for (uint32_t i = 0; i < step_count; i++)
        p->steps[i] = model->plan->steps[first_step + i].step;
    hsched_section_config config = { .struct_size = sizeof config,
                                     .steps = p->steps,
                                     .step_count = step_count,
                                     .constants_stay = model->constants_stay };
    hsched_status status = d->backend->section_prepare(d->handle, &config, &p->section);
    if (status != HSCHED_OK) {
        hsi_free(p->steps);
        p->steps = NULL;
        return hsi_error_prefix(status, "model '%s', device %u: ", model->name, device);
    }
    if (!model->constants_stay) { /* packed: what they pointed to may go */
        for (uint32_t i = 0; i < step_count; i++)
            for (uint32_t k = 0; k < HSCHED_STEP_MAX_INPUTS; k++)
                p->steps[i].in[k].constant = NULL;
    }
    model->weight_bytes += d->backend->weight_bytes(p->section);
    model->exec.prepared_count++;
    return HSCHED_OK;
}

static hsched_status fill_core_model(hsched_model *model, const hsi_policy *policy)
{
    const hsi_plan *plan = model->plan;
    model->core_sections = HSI_NEW_ARRAY(hsi_core_section, plan->section_count);
    if (!model->core_sections)
        return hsi_out_of_memory("a model's sections");
    for (uint32_t i = 0; i < plan->section_count; i++) {
        const hsi_plan_section *s = &plan->sections[i];
        model->core_sections[i] =
            (hsi_core_section){ .class_bits = s->class_bits,
                                .device_mask = 1,
                                .dep_count = s->dep_count,
                                .deps = s->deps,
                                .user_count = s->user_count,
                                .users = s->users,
                                .crossing_counts = s->crossing_counts };
    }
    model->core = (hsi_core_model){ .section_count = plan->section_count,
                                    .sections = model->core_sections,
                                    .policy = policy };
    return HSCHED_OK;
}

static hsched_status prepare_section(hsched_model *model, uint32_t section)
{
    const hsi_plan_section *s = &model->plan->sections[section];
    uint32_t *row = model->exec.section_prepared + section * model->exec.device_count;
    for (uint32_t d = 1; d < model->exec.device_count; d++)
        row[d] = HSI_NOT_PREPARED;
    row[0] = 0;
    uint32_t device = choose_device(model, section);
    if (device == 0)
        return HSCHED_OK;
    row[device] = model->exec.prepared_count;
    model->core_sections[section].device_mask |= 1u << device;
    return prepare_steps(model, device, s->first_step, s->step_count);
}

hsched_status hsi_model_prepare(hsched_model *model, const hsi_policy *policy)
{
    const hsi_plan *plan = model->plan;
    hsi_exec_model *exec = &model->exec;
    hsched_status status = fill_core_model(model, policy);
    if (status != HSCHED_OK)
        return status;
    exec->plan = plan;
    exec->device_count = model->runtime->device_count;
    exec->prepared = HSI_NEW_ARRAY(hsi_exec_prepared, plan->section_count + 1);
    exec->section_prepared =
        HSI_NEW_ARRAY(uint32_t, plan->section_count * exec->device_count);
    if (!exec->prepared || !exec->section_prepared)
        return hsi_out_of_memory("a model's sections");
    status = prepare_steps(model, 0, 0, plan->step_count);
    for (uint32_t i = 0; i < plan->section_count && status == HSCHED_OK; i++)
        status = prepare_section(model, i);
    if (status == HSCHED_OK)
        status = hsi_exec_model_init(exec);
    if (status == HSCHED_OK)
        hsi_worker_pool_reserve_scratch(model->runtime->pool, exec->scratch_size);
    return status;
}

void hsi_model_unprepare(hsched_model *model)
{
    hsi_exec_model_clear(&model->exec);
    for (uint32_t i = 0; i < model->exec.prepared_count; i++) {
        hsi_exec_prepared *p = &model->exec.prepared[i];
        p->backend->section_destroy(p->section);
        hsi_free(p->steps);
    }
    hsi_free(model->exec.prepared);
    hsi_free(model->exec.section_prepared);
    hsi_free(model->core_sections);
}
