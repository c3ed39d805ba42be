/*
 * Sections and slots of the CPU: each step gets a kernel when the section is prepared and
 * its per-slot objects when a slot is made; running a part is then one indirect call.
 */
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/choose.h"
#include "backend/cpu/cpu.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/libraries.h"
#include "backend/cpu/packing.h"
#include "backend/cpu/store.h"
#include "backend/cpu/tuned.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* A part should take some microseconds: a helper that waits for the next step takes a part up
 * within a fraction of one, but then fetches what the part reads from another core's cache. */
#define MIN_MACS_PER_PART  200000
#define MIN_BYTES_PER_PART (128 * 1024)

struct hsched_backend_section {
    const hsched_step *steps;
    uint32_t step_count;
    size_t scratch_size; /* the most that a part of any step needs */
    uint64_t weight_bytes;
    hsi_cpu_store store; /* what of the weights is mapped */
    hsi_cpu_choice items[];
};

struct hsched_backend_slot {
    hsched_backend_section *section;
    void *states[];
};

uint32_t hsi_cpu_parts(const hsched_step *step, uint64_t units)
{
    uint64_t parts = step->parts ? step->parts : 1,
             bytes = hsi_cpu_operand_span(&step->out);
    for (uint32_t i = 0; i < step->input_count; i++)
        if (step->in[i].dtype != HSCHED_DTYPE_NONE)
            bytes += hsi_cpu_operand_span(&step->in[i]);
    const uint64_t by_macs = step->macs / MIN_MACS_PER_PART,
                   by_bytes = bytes / MIN_BYTES_PER_PART,
                   worth = by_macs > by_bytes ? by_macs : by_bytes;
    if (parts > worth)
        parts = worth;
    if (parts > units)
        parts = units;
    return parts ? (uint32_t)parts : 1;
}

size_t hsi_cpu_operand_span(const hsched_operand *operand)
{
    size_t span = 1, step, bytes;
    for (uint32_t i = 0; i < operand->rank; i++) {
        if (operand->dims[i] < 1)
            return 0;
        if (operand->strides[i] < 0 ||
            !hsi_mul_size((size_t)(operand->dims[i] - 1), (size_t)operand->strides[i],
                          &step) ||
            !hsi_add_size(span, step, &span))
            return 0;
    }
    return hsi_mul_size(span, hsched_dtype_size(operand->dtype), &bytes) ? bytes : 0;
}

/* A unit is so many bytes, the last one of what is left. */
#define COPY_UNIT 4096

static void copy_constant(const void *how, void *to, int64_t begin, int64_t end)
{
    const hsched_operand *operand = how;
    const size_t size = hsi_cpu_operand_span(operand), from = (size_t)begin * COPY_UNIT,
                 until = (size_t)end * COPY_UNIT;
    memcpy((char *)to + from, (const char *)operand->constant + from,
           (until < size ? until : size) - from);
}

const float *hsi_cpu_keep_constant(const hsi_cpu_prepare_context *context,
                                   const hsched_operand *operand, void **owned,
                                   uint64_t *weight_bytes, hsched_status *status)
{
    *status = HSCHED_OK;
    *owned = NULL;
    if (operand->dtype == HSCHED_DTYPE_NONE || !operand->constant)
        return NULL;
    if (context->constants_stay)
        return operand->constant;
    const size_t size = hsi_cpu_operand_span(operand);
    const hsi_cpu_packing copying = { .bytes = size,
                                      .units = (int64_t)((size - 1) / COPY_UNIT + 1),
                                      .pack = copy_constant,
                                      .how = operand,
                                      .what = "a copy of weights",
                                      .layout = "copy/1",
                                      .from = operand };
    const float *copy = NULL;
    *status = size ? hsi_cpu_pack(context, &copying, &copy, owned, weight_bytes)
                   : hsi_out_of_memory(copying.what);
    return copy;
}

static int is_misaligned(const hsched_operand *operand)
{
    size_t size = hsched_dtype_size(operand->dtype);
    return operand->constant && size > 1 && (uintptr_t)operand->constant % size != 0;
}

/* Constants in a mapped file may lie at any address; kernels see aligned copies of such,
 * which do not stay. */
static hsched_status align_constants(hsched_step *step, void **copies,
                                     hsi_cpu_prepare_context *context)
{
    for (uint32_t i = 0; i < step->input_count; i++) {
        if (!is_misaligned(&step->in[i]))
            continue;
        size_t size = hsi_cpu_operand_span(&step->in[i]);
        copies[i] = size ? hsi_alloc_aligned(size) : NULL;
        if (!copies[i])
            return hsi_out_of_memory("an aligned copy of weights");
        memcpy(copies[i], step->in[i].constant, size);
        step->in[i].constant = copies[i];
        context->constants_stay = 0;
    }
    return HSCHED_OK;
}

static hsched_status prepare_step(const hsched_backend_device *device,
                                  const hsched_section_config *config,
                                  hsi_cpu_store *store, hsched_step *step,
                                  hsi_cpu_choice *item)
{
    hsi_cpu_prepare_context context = { .constants_stay = config->constants_stay,
                                        .libraries = device->libraries,
                                        .math = config->math,
                                        .share_pieces = config->share_pieces,
                                        .workers = config->workers,
                                        .store = store->folder ? store : NULL };
    const void *given[HSCHED_STEP_MAX_INPUTS];
    void *copies[HSCHED_STEP_MAX_INPUTS] = { 0 };
    for (uint32_t i = 0; i < HSCHED_STEP_MAX_INPUTS; i++)
        given[i] = step->in[i].constant;
    hsched_status status = align_constants(step, copies, &context);
    if (status == HSCHED_OK)
        status = hsi_cpu_choose(device, &context, step, item);
    for (uint32_t i = 0; i < HSCHED_STEP_MAX_INPUTS; i++) {
        step->in[i].constant = given[i];
        hsi_free(copies[i]);
    }
    if (status != HSCHED_OK)
        return hsi_error_prefix(status,
                                "step '%s' on the CPU: ", step->name ? step->name : "");
    return HSCHED_OK;
}

static hsched_status check_step(const hsched_backend_device *device,
                                const hsched_step *step)
{
    if (hsi_backend_cpu.supports(device, step))
        return HSCHED_OK;
    return hsi_error(
        HSCHED_ERROR_UNSUPPORTED,
        "step '%s': the CPU cannot execute kind %d with these types; most layers compute "
        "on float32, images are uint8",
        step->name ? step->name : "", (int)step->kind);
}

hsched_status hsi_cpu_section_prepare(hsched_backend_device *device,
                                      hsched_section_config *config,
                                      hsched_backend_section **section)
{
    *section = NULL;
    hsched_backend_section *made =
        hsi_calloc(1, sizeof *made + (size_t)config->step_count * sizeof made->items[0]);
    if (!made)
        return hsi_out_of_memory("a section of the CPU");
    made->steps = config->steps;
    made->step_count = config->step_count;
    made->store.folder = config->keep_packed ? device->packed_folder : NULL;
    hsched_status status = HSCHED_OK;
    int threads = hsi_backend_cpu_enter();
    for (uint32_t i = 0; i < config->step_count && status == HSCHED_OK; i++) {
        hsched_step *step = &config->steps[i];
        hsi_cpu_choice *item = &made->items[i];
        status = check_step(device, step);
        if (status == HSCHED_OK)
            status = prepare_step(device, config, &made->store, step, item);
        if (item->prepared.scratch_size > made->scratch_size)
            made->scratch_size = item->prepared.scratch_size;
        made->weight_bytes += item->prepared.weight_bytes;
    }
    hsi_backend_cpu_leave(threads);
    if (device->measures)
        hsi_cpu_tuned_save(device->tuned);
    if (status != HSCHED_OK) {
        hsi_cpu_section_destroy(made);
        return status;
    }
    *section = made;
    return HSCHED_OK;
}

void hsi_cpu_section_destroy(hsched_backend_section *section)
{
    if (!section)
        return;
    for (uint32_t i = 0; i < section->step_count; i++)
        hsi_cpu_choice_clear(&section->items[i]);
    hsi_cpu_store_clear(&section->store);
    hsi_free(section);
}

const char *hsi_cpu_kernel_name(const hsched_backend_section *section, uint32_t step)
{
    return section->items[step].name;
}

uint64_t hsi_cpu_weight_bytes(const hsched_backend_section *section)
{
    return section->weight_bytes;
}

size_t hsi_cpu_scratch_size(const hsched_backend_section *section)
{
    return section->scratch_size;
}

hsched_status hsi_cpu_slot_create(hsched_backend_section *section,
                                  hsched_backend_slot **slot)
{
    *slot = NULL;
    hsched_backend_slot *made = hsi_calloc(1, sizeof *made + (size_t)section->step_count *
                                                                 sizeof made->states[0]);
    if (!made)
        return hsi_out_of_memory("a slot of the CPU");
    made->section = section;
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < section->step_count && status == HSCHED_OK; i++) {
        const hsi_cpu_choice *item = &section->items[i];
        if (item->kernel->slot_create)
            status = item->kernel->slot_create(&section->steps[i], item->prepared.state,
                                               &made->states[i]);
    }
    if (status != HSCHED_OK) {
        hsi_cpu_slot_destroy(made);
        return status;
    }
    *slot = made;
    return HSCHED_OK;
}

void hsi_cpu_slot_destroy(hsched_backend_slot *slot)
{
    if (!slot)
        return;
    const hsched_backend_section *section = slot->section;
    for (uint32_t i = 0; i < section->step_count; i++)
        if (slot->states[i] && section->items[i].kernel->slot_destroy)
            section->items[i].kernel->slot_destroy(slot->states[i]);
    hsi_free(slot);
}

hsched_status hsi_cpu_run_part(hsched_backend_slot *slot, uint32_t step,
                               void *const *operands, uint32_t part, void *scratch)
{
    const hsched_backend_section *section = slot->section;
    const hsi_cpu_choice *item = &section->items[step];
    hsi_cpu_worker_enter();
    return item->kernel->run(&section->steps[step], item->prepared.state,
                             slot->states[step], operands, part, scratch);
}
