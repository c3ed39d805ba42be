/*
 * Having the devices prepare a model's sections. The CPU prepares every step, as one, so
 * that there is always a device that can run a section; an accelerator prepares the
 * sections that the policy would give it.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "runtime/placing.h"
#include "worker/pieces.h"
#include "worker/queue.h"

static int device_supports(const hsi_exec_device *device, const hsi_plan *plan,
                           const hsi_plan_section *section)
{
    for (uint32_t i = 0; i < section->step_count; i++)
        if (!device->backend->supports(device->handle,
                                       &plan->steps[section->first_step + i].step))
            return 0;
    return 1;
}

int hsi_model_find_groups(const hsched_runtime *rt, const hsi_policy *policy,
                          const hsi_plan *plan, uint32_t *groups)
{
    const hsched_policy_plugin *hooks =
        policy == &rt->plugin.policy ? &rt->plugin.hooks : NULL;
    uint32_t side = 0; /* changes where the user's policy cuts */
    int mixed = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        if (i > 0 && hooks && hooks->cut &&
            hooks->cut(hooks->user, hsched_step_kind_class(plan->steps[i - 1].step.kind),
                       hsched_step_kind_class(plan->steps[i].step.kind)))
            side ^= UINT32_C(1) << HSI_MAX_DEVICES;
        groups[i] = side;
        for (uint32_t d = 1; d < rt->device_count; d++)
            if (rt->devices[d].backend->supports(rt->devices[d].handle,
                                                 &plan->steps[i].step))
                groups[i] |= 1u << d;
        mixed |= i > 0 && plan->steps[i].section == plan->steps[i - 1].section &&
                 groups[i] != groups[i - 1];
    }
    return mixed;
}

static uint32_t find_able(const hsched_model *model, uint32_t section)
{
    const hsched_runtime *rt = model->runtime;
    uint32_t mask = 1;
    for (uint32_t d = 1; d < rt->device_count; d++)
        if (device_supports(&rt->devices[d], model->plan,
                            &model->plan->sections[section]))
            mask |= 1u << d;
    return mask;
}

uint32_t hsi_model_ask_policy(const hsched_model *model, uint32_t section,
                              uint32_t device_mask, const uint32_t *backlog)
{
    const uint32_t count = model->runtime->device_count;
    const hsi_place_query query = { .model = &model->core,
                                    .section = section,
                                    .device_mask = device_mask,
                                    .available = (1u << count) - 1,
                                    .device_count = count,
                                    .backlog = backlog };
    const uint32_t device = model->core.policy->place(&query);
    return device < count && device_mask >> device & 1u ? device : 0;
}

/* The accelerators that the policy may place this section on, as bits: where it would go with
 * nothing else to do, and where if what it chose before is very busy. */
static uint32_t choose_devices(const hsched_model *model, uint32_t section)
{
    uint32_t backlog[HSI_MAX_DEVICES] = { 0 };
    const uint32_t mask = model->able[section];
    uint32_t chosen = 0;
    if (model->core.policy->anywhere)
        return mask & ~1u;
    for (;;) {
        const uint32_t device = hsi_model_ask_policy(model, section, mask, backlog);
        if (device == 0 || (chosen >> device & 1u))
            return chosen;
        chosen |= 1u << device;
        backlog[device] = UINT32_MAX / 2;
    }
}

/* A device with memory of its own copies the other constants, too. */
static void point_to_constants(const hsi_plan *plan, hsched_step *steps)
{
    for (uint32_t i = 0; i < plan->step_count; i++)
        for (uint32_t k = 0; k < HSCHED_STEP_MAX_INPUTS; k++)
            if (plan->steps[i].in[k].storage == HSCHED_STORAGE_CONSTANT)
                steps[i].in[k].constant =
                    (const char *)plan->constants + plan->steps[i].in[k].offset;
}

/* `config`: what the device's kind of preparing needs beside the steps. */
static hsched_status prepare_steps(hsched_model *model, uint32_t device,
                                   uint32_t first_step, uint32_t step_count,
                                   hsched_section_config *config)
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
    if (d->has_queue)
        point_to_constants(model->plan, p->steps);
    config->struct_size = sizeof *config;
    config->steps = p->steps;
    config->step_count = step_count;
    config->constants_stay = model->constants_stay;
    config->share_pieces = hsi_worker_pool_share_pieces;
    config->workers = model->runtime->pool;
    config->keep_packed = model->cache_weights;
    hsched_status status = d->backend->section_prepare(d->handle, config, &p->section);
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
    model->core = (hsi_core_model){ .name = model->name,
                                    .section_count = plan->section_count,
                                    .sections = model->core_sections,
                                    .policy = policy,
                                    .followed = &model->followed,
                                    .max_sections_per_job = model->step_jobs ? 1 : 0 };
    return HSCHED_OK;
}

static hsched_status prepare_section(hsched_model *model, uint32_t section,
                                     uint32_t device)
{
    const hsi_plan_section *s = &model->plan->sections[section];
    hsched_section_config config = { .math = model->math };
    model->exec.section_prepared[section * model->exec.device_count + device] =
        model->exec.prepared_count;
    model->core_sections[section].device_mask |= 1u << device;
    return prepare_steps(model, device, s->first_step, s->step_count, &config);
}

/* ---- Devices with queues: all of their sections at once ------------------- */

typedef struct queue_plan {
    uint32_t device;
    uint8_t *here; /* per section */
    int floats;    /* the policy decides run by run */
    hsched_step_places *places;
    size_t *io_bytes;
    hsched_dtype *io_types;
} queue_plan;

static void clear_queue_plan(queue_plan *q)
{
    hsi_free(q->here);
    hsi_free(q->places);
    hsi_free(q->io_bytes);
    hsi_free(q->io_types);
}

static void describe_places(const hsi_plan *plan, queue_plan *q)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const hsi_plan_step *s = &plan->steps[i];
        hsched_step_places *places = &q->places[i];
        memcpy(places->in, s->in, sizeof places->in);
        places->out = s->out;
        places->here = q->here[s->section];
        places->floats = q->floats;
        places->section = s->section;
        for (uint32_t k = 0; k < HSCHED_STEP_MAX_INPUTS; k++) {
            places->writers[k] = s->writers[k];
            places->writer_count[k] = s->writer_count[k];
            for (uint32_t w = 0; w < s->writer_count[k]; w++)
                if (!places->here ||
                    (q->floats && plan->steps[s->writers[k][w]].section != s->section))
                    q->places[s->writers[k][w]].exported = 1;
        }
    }
}

static void describe_ios(const hsi_plan *plan, queue_plan *q)
{
    for (uint32_t i = 0; i < plan->input_count; i++) {
        q->io_bytes[i] = plan->inputs[i].byte_size;
        q->io_types[i] = plan->inputs[i].dtype;
    }
    for (uint32_t i = 0; i < plan->output_count; i++) {
        q->io_bytes[plan->input_count + i] = plan->outputs[i].byte_size;
        q->io_types[plan->input_count + i] = plan->outputs[i].dtype;
    }
}

static hsched_status prepare_queue(hsched_model *model, queue_plan *q)
{
    const hsi_plan *plan = model->plan;
    const uint32_t ios = plan->input_count + plan->output_count;
    q->places = HSI_NEW_ARRAY(hsched_step_places, plan->step_count);
    q->io_bytes = HSI_NEW_ARRAY(size_t, ios);
    q->io_types = HSI_NEW_ARRAY(hsched_dtype, ios);
    if (!q->places || !q->io_bytes || !q->io_types)
        return hsi_out_of_memory("a model's places");
    describe_places(plan, q);
    describe_ios(plan, q);
    hsched_section_config config = {
        .places = q->places,
        .arena_size = plan->arena_size,
        .input_count = plan->input_count,
        .output_count = plan->output_count,
        .input_bytes = q->io_bytes,
        .output_bytes = q->io_bytes + plan->input_count,
        .input_types = q->io_types,
        .output_types = q->io_types + plan->input_count,
        .math = model->math,
        .deterministic = model->deterministic,
        .max_batch = model->deterministic ? 1 : model->max_batch,
    };
    return prepare_steps(model, q->device, 0, plan->step_count, &config);
}

/* The device has prepared its sections: they may be placed on it. */
static void adopt_queue(hsched_model *model, const queue_plan *q)
{
    hsi_exec_model *exec = &model->exec;
    const uint32_t prepared = exec->prepared_count - 1;
    int all = 1;
    for (uint32_t s = 0; s < model->plan->section_count; s++) {
        all &= q->here[s];
        if (!q->here[s])
            continue;
        exec->section_prepared[s * exec->device_count + q->device] = prepared;
        model->core_sections[s].device_mask |= 1u << q->device;
    }
    const hsi_exec_prepared *p = &exec->prepared[prepared];
    exec->mapper = &model->runtime->devices[q->device];
    exec->crosses |= !all;
    exec->floats = q->floats;
    exec->joinable |= all && p->backend->joinable(p->section);
}

/* Has a device with a queue prepare the sections that the policy may give it. What it cannot
 * take, for want of memory for example, stays with the CPU. */
static hsched_status try_queue(hsched_model *model, uint32_t device,
                               const uint32_t *masks)
{
    const uint32_t count = model->plan->section_count;
    queue_plan q = { .device = device,
                     .here = HSI_NEW_ARRAY(uint8_t, count),
                     .floats = model->core.policy->anywhere };
    if (!q.here)
        return hsi_out_of_memory("a model's places");
    uint32_t any = 0;
    for (uint32_t s = 0; s < count; s++) {
        q.here[s] = masks[s] >> device & 1u;
        any |= q.here[s];
    }
    hsched_status status = any ? prepare_queue(model, &q) : HSCHED_OK;
    if (any && status == HSCHED_OK) {
        adopt_queue(model, &q);
    } else if (status == HSCHED_ERROR_UNSUPPORTED ||
               status == HSCHED_ERROR_OUT_OF_MEMORY || status == HSCHED_ERROR_DEVICE) {
        hsi_log(HSCHED_LOG_WARNING, "model '%s' runs without the GPU: %s", model->name,
                hsched_error_detail());
        status = HSCHED_OK;
    }
    clear_queue_plan(&q);
    return status;
}

/* ---- All devices ---------------------------------------------------------- */

static hsched_status prepare_devices(hsched_model *model, const uint32_t *masks)
{
    const hsched_runtime *rt = model->runtime;
    hsched_status status = HSCHED_OK;
    for (uint32_t d = 1; d < rt->device_count && status == HSCHED_OK; d++) {
        if (rt->devices[d].has_queue) {
            status = try_queue(model, d, masks);
            continue;
        }
        for (uint32_t s = 0; s < model->plan->section_count && status == HSCHED_OK; s++)
            if (masks[s] >> d & 1u)
                status = prepare_section(model, s, d);
    }
    return status;
}

/* Room for what the scheduler needs to join runs, and to expect when jobs end. */
static hsched_status prepare_queue_records(hsched_model *model)
{
    hsi_exec_model *exec = &model->exec;
    if (!exec->mapper)
        return HSCHED_OK;
    exec->expectations = model->plan->section_count + HSI_QUEUE_BATCH;
    exec->expected_us = HSI_NEW_ARRAY(float, exec->expectations * exec->device_count);
    exec->cut_us = HSI_NEW_ARRAY(float, exec->expectations * exec->device_count);
    exec->starting_us = HSI_NEW_ARRAY(float, exec->device_count);
    float *work = HSI_NEW_ARRAY(float, model->plan->section_count);
    exec->section_work = work;
    if (!exec->expected_us || !exec->cut_us || !exec->starting_us || !work)
        return hsi_out_of_memory("a model's records");
    for (uint32_t s = 0; s < model->plan->section_count; s++) {
        const hsi_plan_section *section = &model->plan->sections[s];
        work[s] =
            (float)hsi_placing_weight(model, section->first_step, section->step_count);
    }
    if (!exec->joinable)
        return HSCHED_OK;
    model->batch_queues = HSI_NEW_ARRAY(hsi_batch_queue, exec->device_count);
    if (!model->batch_queues)
        return hsi_out_of_memory("a model's batch queues");
    for (uint32_t d = 0; d < exec->device_count; d++)
        model->batch_queues[d].ready = 1;
    model->core.batch_queues = model->batch_queues;
    model->core.max_batch = model->max_batch;
    model->core.batch_wait_us = model->batch_wait_us;
    return HSCHED_OK;
}

hsched_status hsi_model_prepare(hsched_model *model, const hsi_policy *policy)
{
    const hsi_plan *plan = model->plan;
    hsi_exec_model *exec = &model->exec;
    uint32_t *masks = NULL;
    hsched_status status = fill_core_model(model, policy);
    if (status != HSCHED_OK)
        return status;
    exec->plan = plan;
    exec->device_count = model->runtime->device_count;
    exec->prepared = HSI_NEW_ARRAY(hsi_exec_prepared,
                                   (size_t)plan->section_count * exec->device_count + 1);
    exec->section_prepared =
        HSI_NEW_ARRAY(uint32_t, (size_t)plan->section_count * exec->device_count);
    masks = HSI_NEW_ARRAY(uint32_t, plan->section_count);
    model->able = HSI_NEW_ARRAY(uint32_t, plan->section_count);
    if (!exec->prepared || !exec->section_prepared || !masks || !model->able) {
        hsi_free(masks);
        return hsi_out_of_memory("a model's sections");
    }
    for (uint32_t s = 0; s < plan->section_count; s++) {
        model->able[s] = find_able(model, s);
        masks[s] = choose_devices(model, s);
        for (uint32_t d = 0; d < exec->device_count; d++)
            exec->section_prepared[s * exec->device_count + d] = d ? HSI_NOT_PREPARED : 0;
    }
    hsched_section_config cpu = { .math = model->math };
    status = prepare_steps(model, 0, 0, plan->step_count, &cpu);
    if (status == HSCHED_OK)
        status = prepare_devices(model, masks);
    hsi_free(masks);
    if (status == HSCHED_OK)
        status = prepare_queue_records(model);
    if (status == HSCHED_OK)
        status = hsi_exec_model_init(exec);
    if (status == HSCHED_OK)
        hsi_worker_pool_reserve_scratch(model->runtime->pool, exec->scratch_size);
    if (status == HSCHED_OK && exec->mapper)
        hsi_background_poke(model->runtime);
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
    hsi_free(model->exec.expected_us);
    hsi_free(model->exec.cut_us);
    hsi_free(model->exec.starting_us);
    hsi_free((float *)model->exec.section_work);
    hsi_free(model->core_sections);
    hsi_free(model->able);
    hsi_free(model->batch_queues);
}
