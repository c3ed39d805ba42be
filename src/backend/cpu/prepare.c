/*
 * Sections and slots of the CPU: each step gets a kernel when the section is prepared and
 * its per-slot objects when a slot is made; running a part is then one indirect call.
 */
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/libraries.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* Fewer multiply-accumulates take less time than handing a part to another thread gains.
 */
#define MIN_MACS_PER_PART 2000000

typedef struct prepared_step {
    const hsi_cpu_kernel *kernel; /* NULL: not prepared yet */
    hsi_cpu_prepared prepared;
    char *name;
} prepared_step;

struct hsched_backend_section {
    const hsched_step *steps;
    uint32_t step_count;
    size_t scratch_size; /* the most that a part of any step needs */
    uint64_t weight_bytes;
    prepared_step items[];
};

struct hsched_backend_slot {
    hsched_backend_section *section;
    void *states[];
};

static const hsi_cpu_kernel *const *const kernel_lists[] = {
    [HSCHED_STEP_CONV2D] = hsi_cpu_kernels_conv2d,
    [HSCHED_STEP_FC] = hsi_cpu_kernels_fc,
    [HSCHED_STEP_MATMUL] = hsi_cpu_kernels_matmul,
    [HSCHED_STEP_POOL2D] = hsi_cpu_kernels_pool2d,
    [HSCHED_STEP_SCALE] = hsi_cpu_kernels_scale,
    [HSCHED_STEP_LRN] = hsi_cpu_kernels_lrn,
    [HSCHED_STEP_SOFTMAX] = hsi_cpu_kernels_softmax,
    [HSCHED_STEP_NORM] = hsi_cpu_kernels_norm,
    [HSCHED_STEP_UNARY] = hsi_cpu_kernels_unary,
    [HSCHED_STEP_BINARY] = hsi_cpu_kernels_binary,
    [HSCHED_STEP_COPY] = hsi_cpu_kernels_copy,
    [HSCHED_STEP_PAD] = hsi_cpu_kernels_pad,
    [HSCHED_STEP_REDUCE] = hsi_cpu_kernels_reduce,
    [HSCHED_STEP_IMAGE] = hsi_cpu_kernels_image,
    [HSCHED_STEP_RESIZE] = hsi_cpu_kernels_resize,
    [HSCHED_STEP_GATHER] = hsi_cpu_kernels_gather,
    [HSCHED_STEP_ARG] = hsi_cpu_kernels_arg,
    [HSCHED_STEP_TOP_K] = hsi_cpu_kernels_top_k,
    [HSCHED_STEP_TUPLE_INDEX] = hsi_cpu_kernels_tuple_index,
    [HSCHED_STEP_SCATTER] = hsi_cpu_kernels_scatter,
    [HSCHED_STEP_CUMSUM] = hsi_cpu_kernels_cumsum,
    [HSCHED_STEP_GRID_SAMPLE] = hsi_cpu_kernels_grid_sample,
    [HSCHED_STEP_ROI_ALIGN] = hsi_cpu_kernels_roi_align,
    [HSCHED_STEP_POOL_INDEX] = hsi_cpu_kernels_pool_index,
    [HSCHED_STEP_NMS] = hsi_cpu_kernels_nms,
    [HSCHED_STEP_RECURRENT] = hsi_cpu_kernels_recurrent,
    [HSCHED_STEP_ROTARY] = hsi_cpu_kernels_rotary,
    [HSCHED_STEP_CAST] = hsi_cpu_kernels_cast,
    [HSCHED_STEP_WHERE] = hsi_cpu_kernels_where,
};

uint32_t hsi_cpu_parts(const hsched_step *step, uint64_t units)
{
    uint64_t parts = step->parts ? step->parts : 1;
    uint64_t worth = step->macs / MIN_MACS_PER_PART;
    if (parts > worth)
        parts = worth;
    if (parts > units)
        parts = units;
    return parts ? (uint32_t)parts : 1;
}

/* Bytes from an operand's first element to the end of its last one; 0 on overflow. */
static size_t operand_span(const hsched_operand *operand)
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
    size_t size = operand_span(operand);
    void *copy = size ? hsi_alloc_aligned(size) : NULL;
    if (!copy) {
        *status = hsi_out_of_memory("a copy of weights");
        return NULL;
    }
    memcpy(copy, operand->constant, size);
    *weight_bytes += size;
    return *owned = copy;
}

/* Tries one kernel; UNSUPPORTED passes the step on as it was. */
static hsched_status try_kernel(const hsi_cpu_prepare_context *context,
                                const hsi_cpu_kernel *kernel, hsched_step *step,
                                prepared_step *item)
{
    uint32_t parts = step->parts;
    item->prepared = (hsi_cpu_prepared){ 0 };
    hsched_status status =
        kernel->prepare ? kernel->prepare(context, step, &item->prepared) : HSCHED_OK;
    if (status != HSCHED_OK) {
        step->parts = parts;
        return status;
    }
    item->kernel = kernel;
    item->name = item->prepared.detail
                     ? hsi_asprintf("%s/%s", kernel->name, item->prepared.detail)
                     : hsi_strdup(kernel->name);
    return item->name ? HSCHED_OK : hsi_out_of_memory("a kernel's name");
}

static hsched_status choose_kernel(const hsched_backend_device *device,
                                   const hsi_cpu_prepare_context *context,
                                   hsched_step *step, prepared_step *item)
{
    if (step->parts < 1)
        step->parts = 1;
    const hsi_cpu_kernel *const *list = kernel_lists[step->kind];
    for (uint32_t i = 0; !device->reference && list[i]; i++) {
        if (!(context->libraries & list[i]->library) ||
            (list[i]->supports && !list[i]->supports(step)))
            continue;
        hsched_status status = try_kernel(context, list[i], step, item);
        if (status != HSCHED_ERROR_UNSUPPORTED)
            return status;
    }
    return try_kernel(context, &hsi_cpu_kernel_reference, step, item);
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
        size_t size = operand_span(&step->in[i]);
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
                                  const hsched_section_config *config, hsched_step *step,
                                  prepared_step *item)
{
    hsi_cpu_prepare_context context = { .constants_stay = config->constants_stay,
                                        .libraries = device->libraries };
    const void *given[HSCHED_STEP_MAX_INPUTS];
    void *copies[HSCHED_STEP_MAX_INPUTS] = { 0 };
    for (uint32_t i = 0; i < HSCHED_STEP_MAX_INPUTS; i++)
        given[i] = step->in[i].constant;
    hsched_status status = align_constants(step, copies, &context);
    if (status == HSCHED_OK)
        status = choose_kernel(device, &context, step, item);
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
    hsched_status status = HSCHED_OK;
    int threads = hsi_cpu_openmp_hold();
    for (uint32_t i = 0; i < config->step_count && status == HSCHED_OK; i++) {
        hsched_step *step = &config->steps[i];
        prepared_step *item = &made->items[i];
        status = check_step(device, step);
        if (status == HSCHED_OK)
            status = prepare_step(device, config, step, item);
        if (item->prepared.scratch_size > made->scratch_size)
            made->scratch_size = item->prepared.scratch_size;
        made->weight_bytes += item->prepared.weight_bytes;
    }
    hsi_cpu_openmp_restore(threads);
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
    for (uint32_t i = 0; i < section->step_count; i++) {
        prepared_step *item = &section->items[i];
        if (item->kernel && item->kernel->destroy && item->prepared.state)
            item->kernel->destroy(item->prepared.state);
        hsi_free(item->name);
    }
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
        const prepared_step *item = &section->items[i];
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
    const prepared_step *item = &section->items[step];
    hsi_cpu_worker_enter();
    return item->kernel->run(&section->steps[step], item->prepared.state,
                             slot->states[step], operands, part, scratch);
}
