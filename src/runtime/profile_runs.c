#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "runtime/bind.h"
#include "runtime/imports.h"
#include "runtime/profile.h"

/* ---- The shape ------------------------------------------------------------ */

static uint32_t place(const hsi_place_query *query)
{
    const uint32_t device = ((const hsi_profile_shape *)query->model)->device;
    return query->device_mask >> device & 1u ? device : 0;
}

static const hsi_policy policy = { .name = "profile", .place = place };

void hsi_profile_shape_clear(hsi_profile_shape *shape)
{
    hsi_free(shape->sections);
    hsi_free(shape->numbers);
    hsi_free(shape->batch_queues);
    *shape = (hsi_profile_shape){ 0 };
}

/* numbers[0] is 0, the crossings of every link; behind it 0, 1, 2, ... */
static void link_sections(hsi_profile_shape *shape, const hsched_model *model)
{
    const uint32_t count = model->plan->section_count;
    const uint32_t *index = shape->numbers + 1;
    for (uint32_t s = 0; s < count; s++) {
        shape->numbers[s + 1] = s;
        shape->sections[s] = (hsi_core_section){
            .class_bits = model->core_sections[s].class_bits,
            .device_mask = model->core_sections[s].device_mask,
            .dep_count = s > 0,
            .deps = s > 0 ? &index[s - 1] : NULL,
            .user_count = s + 1 < count,
            .users = s + 1 < count ? &index[s + 1] : NULL,
            .crossing_counts = shape->numbers,
        };
    }
}

hsched_status hsi_profile_shape_init(hsi_profile_shape *shape, const hsched_model *model,
                                     uint32_t device, int by_section, uint32_t max_batch)
{
    const uint32_t count = model->plan->section_count;
    *shape = (hsi_profile_shape){
        .device = device,
        .sections = HSI_NEW_ARRAY(hsi_core_section, count),
        .numbers = HSI_NEW_ARRAY(uint32_t, (size_t)count + 1),
        .batch_queues = HSI_NEW_ARRAY(hsi_batch_queue, model->runtime->device_count),
    };
    if (!shape->sections || !shape->numbers || !shape->batch_queues) {
        hsi_profile_shape_clear(shape);
        return hsi_out_of_memory("what a model is measured with");
    }
    link_sections(shape, model);
    for (uint32_t d = 0; d < model->runtime->device_count; d++)
        shape->batch_queues[d].ready = 1;
    shape->core = (hsi_core_model){
        .section_count = count,
        .sections = shape->sections,
        .policy = &policy,
        .max_batch = max_batch,
        .max_sections_per_job = by_section ? 1 : 0,
        .batch_queues = max_batch > 1 ? shape->batch_queues : NULL,
    };
    return HSCHED_OK;
}

/* ---- Runs ----------------------------------------------------------------- */

static void reset(hsi_exec_probe *probe)
{
    probe->began_ns = probe->ended_ns = 0;
    probe->batch = 0;
    memset(probe->device_ns, 0, sizeof probe->device_ns);
}

static hsched_status make_run(const hsi_profile_input *input,
                              const hsi_profile_shape *shape, hsi_exec_probe *probe,
                              hsched_run **result)
{
    hsched_run *run;
    hsched_status status = hsi_run_acquire(input->model, &run);
    if (status != HSCHED_OK)
        return status;
    status = hsi_bind_inputs(run, input->inputs, input->input_count);
    if (status == HSCHED_OK)
        status = hsi_bind_outputs(run, NULL, 0);
    if (status == HSCHED_OK)
        status = hsi_imports_begin(run);
    if (status != HSCHED_OK) {
        hsi_run_dispose(run);
        return status;
    }
    reset(probe);
    run->exec.core.model = &shape->core;
    run->exec.probe = probe;
    *result = run;
    return HSCHED_OK;
}

/* The core refers to the shape until the run has ended, and to the run until its callback was
 * called, which there is none of: a run that is waited for is done with both. */
static hsched_status wait_for(hsched_run *run)
{
    hsched_status status = hsched_run_wait(run, HSCHED_FOREVER);
    if (status == HSCHED_OK && run->exec.core.restarts + run->exec.core.moved > 0)
        status = hsi_error(HSCHED_ERROR_DEVICE,
                           "model '%s': the device gave its work to the CPU",
                           run->model->name);
    hsched_run_release(run);
    return status;
}

hsched_status hsi_profile_run(const hsi_profile_input *input,
                              const hsi_profile_shape *shape,
                              hsi_exec_probe *const *probes, uint32_t count)
{
    hsched_run *runs[HSI_PROFILE_RUNS];
    uint32_t made = 0, submitted = 0;
    hsched_status status = HSCHED_OK;
    while (made < count && status == HSCHED_OK) {
        status = make_run(input, shape, probes[made], &runs[made]);
        made += status == HSCHED_OK;
    }
    if (status == HSCHED_OK)
        status = hsi_runs_submit(runs, made, &submitted);
    for (uint32_t i = submitted; i < made; i++)
        hsi_run_dispose(runs[i]);
    for (uint32_t i = 0; i < submitted; i++) {
        hsched_status waited = wait_for(runs[i]);
        if (status == HSCHED_OK)
            status = waited;
    }
    return status;
}
