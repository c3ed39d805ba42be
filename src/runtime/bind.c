/* Binding a run's inputs and outputs to memory: checks, then addresses; nothing is
 * copied. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/tensor.h"
#include "buffer/buffer.h"
#include "runtime/bind.h"
#include "runtime/imports.h"

/* "model 'm', input 'x' [1,3,8,8] float32", in a per-thread buffer through hsi_error. */
#define PLACE_FORMAT "model '%s', %s '%s' (%s %s): "
#define PLACE(model, what, io)                                                           \
    (model)->name, (what), (io)->name, hsched_dtype_name((io)->dtype),                   \
        hsi_shape_text((io)->rank, (io)->dims)

static hsched_status bind_buffer(const hsched_model *model, const char *what,
                                 const hsi_plan_io *io, const hsched_binding *b,
                                 hsched_memory *memory, const hsi_exec_device **owner)
{
    size_t end;
    if (!hsi_add_size(b->offset, io->byte_size, &end) ||
        end > hsched_buffer_size(b->buffer))
        return hsi_error(HSCHED_ERROR_SHAPE,
                         PLACE_FORMAT
                         "needs %zu bytes, but the buffer has %zu, offset %zu",
                         PLACE(model, what, io), io->byte_size,
                         hsched_buffer_size(b->buffer), b->offset);
    const hsched_memory *whole = hsi_buffer_memory(b->buffer);
    if (whole->host)
        memory->host = (char *)whole->host + b->offset;
    else
        *owner = hsi_buffer_device(b->buffer);
    if (whole->device)
        memory->device = whole->device + b->offset;
    return HSCHED_OK;
}

static hsched_status check_writable(const hsched_model *model, const hsi_plan_io *io,
                                    const hsched_buffer *buffer)
{
    const hsi_import *import = hsi_buffer_imported(buffer);
    if (import && import->read_only)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         PLACE_FORMAT
                         "the buffer was imported without write access, so it can be an "
                         "input only; import a descriptor opened with O_RDWR",
                         PLACE(model, "output", io));
    return HSCHED_OK;
}

static hsched_status bind_data(const hsched_model *model, const char *what,
                               const hsi_plan_io *io, const hsched_binding *b,
                               hsched_memory *memory)
{
    if (b->size < io->byte_size)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         PLACE_FORMAT "needs %zu bytes, but size is %zu; see "
                                      "hsched_model_%s_info",
                         PLACE(model, what, io), io->byte_size, b->size, what);
    memory->host = b->data;
    return HSCHED_OK;
}

static int same_tensor(const hsi_plan_io *a, const hsi_plan_io *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank)
        return 0;
    if (a->rank == 4 && a->layout != b->layout)
        return 0;
    for (uint32_t i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return 0;
    return 1;
}

static hsched_status bind_run(hsched_run *run, const hsi_plan_io *io,
                              const hsched_binding *b, hsched_memory *memory,
                              hsi_exec_owned *owned)
{
    const hsched_model *model = run->model;
    hsched_run *from = b->run;
    const hsi_plan *plan = from->model->plan;
    if (from->model->runtime != model->runtime)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         PLACE_FORMAT
                         "comes from a run of another runtime; use one runtime",
                         PLACE(model, "input", io));
    if (b->run_output >= plan->output_count)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         PLACE_FORMAT "comes from output %u of model '%s', which has %u",
                         PLACE(model, "input", io), b->run_output, from->model->name,
                         plan->output_count);
    const hsi_plan_io *out = &plan->outputs[b->run_output];
    if (!same_tensor(io, out))
        return hsi_error(
            HSCHED_ERROR_SHAPE,
            PLACE_FORMAT "comes from output '%s' of model '%s', which is %s %s; "
                         "types, shapes and layouts must agree",
            PLACE(model, "input", io), out->name, from->model->name,
            hsched_dtype_name(out->dtype), hsi_shape_text(out->rank, out->dims));
    *owned = from->exec.owned[plan->input_count + b->run_output];
    if (owned->device) /* a worker may be putting a shadow in its place there just now */
        *memory = (hsched_memory){ .device = owned->address };
    else
        *memory = from->exec.outputs[b->run_output];
    run->upstream[run->upstream_count++] = hsched_run_retain(from);
    return HSCHED_OK;
}

static hsched_status check_alignment(const hsched_model *model, const char *what,
                                     const hsi_plan_io *io, const hsched_memory *memory)
{
    const uint64_t element = hsched_dtype_size(io->dtype);
    const uint64_t address =
        memory->host ? (uint64_t)(uintptr_t)memory->host : memory->device;
    if (address % element != 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         PLACE_FORMAT
                         "address 0x%llx is not aligned to the element size %llu",
                         PLACE(model, what, io), (unsigned long long)address,
                         (unsigned long long)element);
    return HSCHED_OK;
}

/* Memory of a device: of one that executes the model, or the CPU's copies stand in for it. */
static void note_owner(hsched_run *run, uint32_t io, const hsi_exec_device *owner,
                       const hsched_memory *memory)
{
    run->exec.owned[io] = (hsi_exec_owned){ owner, memory->device };
    run->exec.device_bound |= owner != NULL;
}

static int sources_set(const hsched_binding *b)
{
    return (b->buffer != NULL) + (b->data != NULL) + (b->run != NULL);
}

static hsched_status bind_input(hsched_run *run, uint32_t index, const hsched_binding *b)
{
    const hsched_model *model = run->model;
    const hsi_plan_io *io = &model->plan->inputs[index];
    if (sources_set(b) != 1)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         PLACE_FORMAT "set exactly one of buffer, data and run",
                         PLACE(model, "input", io));
    hsched_memory memory = { 0 };
    hsi_exec_owned owned = { 0 };
    hsched_status status =
        b->buffer ? bind_buffer(model, "input", io, b, &memory, &owned.device)
        : b->data ? bind_data(model, "input", io, b, &memory)
                  : bind_run(run, io, b, &memory, &owned);
    if (status == HSCHED_OK)
        status = check_alignment(model, "input", io, &memory);
    run->exec.inputs[index] = memory;
    note_owner(run, index, owned.device, &memory);
    if (status == HSCHED_OK)
        hsi_imports_keep(
            run, index,
            b->run ? b->run->imports[b->run->model->plan->input_count + b->run_output]
                   : b->buffer);
    return status;
}

static hsched_status check_count(const hsched_model *model, const char *what,
                                 uint32_t given, uint32_t needed)
{
    if (given != 0 && given != needed)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT, "model '%s' has %u %ss, not %u",
                         model->name, needed, what, given);
    return HSCHED_OK;
}

hsched_status hsi_bind_inputs(hsched_run *run, const hsched_binding *bindings,
                              uint32_t count)
{
    const hsched_model *model = run->model;
    uint32_t needed = model->plan->input_count;
    hsched_status status = check_count(model, "input", count, needed);
    if (status == HSCHED_OK && !bindings && needed > 0)
        status = hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                           "model '%s': inputs is NULL; bind its %u input(s)",
                           model->name, needed);
    for (uint32_t i = 0; i < needed && status == HSCHED_OK; i++)
        status = bind_input(run, i, &bindings[i]);
    return status;
}

/* Memory for all outputs in one block, kept with the pooled run. */
static hsched_status keep_outputs(hsched_run *run)
{
    const hsi_plan *plan = run->model->plan;
    size_t total = 0, rounded;
    for (uint32_t i = 0; i < plan->output_count; i++)
        if (!hsi_round_up_size(plan->outputs[i].byte_size, 64, &rounded) ||
            !hsi_add_size(total, rounded, &total))
            return hsi_error(HSCHED_ERROR_LIMIT, "model '%s': its outputs are too large",
                             run->model->name);
    const hsi_exec_device *mapper = hsi_runtime_mapper(run->model->runtime);
    if (mapper && mapper->backend->memory_create(mapper->handle, total ? total : 1, 0,
                                                 &run->kept_outputs) == HSCHED_OK)
        return HSCHED_OK;
    /* Other memory will be copied for a device: no run fails for want of mapped memory, or
     * because the device was lost. */
    run->kept_outputs = (hsched_memory){ 0 };
    run->kept_outputs.host = hsi_alloc_aligned(total ? total : 1);
    return run->kept_outputs.host ? HSCHED_OK : hsi_out_of_memory("a run's outputs");
}

static hsched_status bind_kept(hsched_run *run, uint32_t index)
{
    const hsi_plan *plan = run->model->plan;
    if (!run->kept_outputs.host) {
        hsched_status status = keep_outputs(run);
        if (status != HSCHED_OK)
            return status;
    }
    size_t offset = 0;
    for (uint32_t i = 0; i < index; i++)
        offset += (plan->outputs[i].byte_size + 63) / 64 * 64;
    hsched_memory *memory = &run->exec.outputs[index];
    *memory = (hsched_memory){ .host = (char *)run->kept_outputs.host + offset };
    if (run->kept_outputs.device)
        memory->device = run->kept_outputs.device + offset;
    run->exec.owned[plan->input_count + index] = (hsi_exec_owned){ 0 };
    return HSCHED_OK;
}

static hsched_status bind_output(hsched_run *run, uint32_t index, const hsched_binding *b)
{
    const hsched_model *model = run->model;
    const hsi_plan_io *io = &model->plan->outputs[index];
    if (b->run || sources_set(b) != 1)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         PLACE_FORMAT "set one of buffer and data, or nothing",
                         PLACE(model, "output", io));
    hsched_memory memory = { 0 };
    const hsi_exec_device *owner = NULL;
    hsched_status status = b->buffer
                               ? bind_buffer(model, "output", io, b, &memory, &owner)
                               : bind_data(model, "output", io, b, &memory);
    if (status == HSCHED_OK && b->buffer)
        status = check_writable(model, io, b->buffer);
    if (status == HSCHED_OK)
        status = check_alignment(model, "output", io, &memory);
    run->exec.outputs[index] = memory;
    note_owner(run, model->plan->input_count + index, owner, &memory);
    if (status == HSCHED_OK)
        hsi_imports_keep(run, model->plan->input_count + index, b->buffer);
    return status;
}

hsched_status hsi_bind_outputs(hsched_run *run, const hsched_binding *bindings,
                               uint32_t count)
{
    const hsched_model *model = run->model;
    uint32_t needed = model->plan->output_count;
    hsched_status status = check_count(model, "output", count, needed);
    for (uint32_t i = 0; i < needed && status == HSCHED_OK; i++) {
        if (bindings && sources_set(&bindings[i]) > 0)
            status = bind_output(run, i, &bindings[i]);
        else
            status = bind_kept(run, i);
    }
    return status;
}
