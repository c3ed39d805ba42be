#include "worker/exec.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

typedef struct patch {
    uint32_t operand; /* into the slot's table */
    uint32_t index;   /* of the input or output */
    size_t offset;
    int is_output;
} patch;

struct hsi_exec_slot {
    hsi_exec_slot *next; /* in the pool */
    uint32_t members;
    hsched_memory arena;                 /* of the host; host NULL: not made yet */
    void **operands;                     /* NULL: not made yet */
    hsched_backend_slot **backend_slots; /* per prepared */
    patch *patches;
    uint32_t patch_count;
    const hsi_exec_run *patched_for; /* whose inputs and outputs are in `operands` */
};

hsched_status hsi_exec_model_init(hsi_exec_model *model)
{
    const hsi_plan *plan = model->plan;
    model->first_operand = HSI_NEW_ARRAY(uint32_t, plan->step_count + 1);
    if (!model->first_operand)
        return hsi_out_of_memory("a model's operand tables");
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        model->first_operand[i] = count;
        count += plan->steps[i].step.input_count + 1;
    }
    model->operand_count = count;
    for (uint32_t i = 0; i < model->prepared_count; i++) {
        const hsi_exec_prepared *p = &model->prepared[i];
        size_t size = p->backend->scratch_size ? p->backend->scratch_size(p->section) : 0;
        if (size > model->scratch_size)
            model->scratch_size = size;
    }
    if (pthread_mutex_init(&model->make_mutex, NULL) != 0)
        goto no_mutex;
    if (pthread_mutex_init(&model->slot_mutex, NULL) != 0) {
        pthread_mutex_destroy(&model->make_mutex);
        goto no_mutex;
    }
    return HSCHED_OK;
no_mutex:
    hsi_free(model->first_operand);
    model->first_operand = NULL;
    return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
}

static void free_arena(const hsi_exec_model *model, hsi_exec_slot *slot)
{
    if (slot->arena.handle)
        model->mapper->backend->memory_destroy(model->mapper->handle, &slot->arena);
    else
        hsi_free(slot->arena.host);
}

static void destroy_slot(const hsi_exec_model *model, hsi_exec_slot *slot)
{
    for (uint32_t i = 0; slot->backend_slots && i < model->prepared_count; i++)
        if (slot->backend_slots[i])
            model->prepared[i].backend->slot_destroy(slot->backend_slots[i]);
    hsi_free(slot->backend_slots);
    hsi_free(slot->patches);
    hsi_free(slot->operands);
    free_arena(model, slot);
    hsi_free(slot);
}

void hsi_exec_model_clear(hsi_exec_model *model)
{
    if (!model->first_operand)
        return;
    while (model->free_slots) {
        hsi_exec_slot *slot = model->free_slots;
        model->free_slots = slot->next;
        destroy_slot(model, slot);
    }
    pthread_mutex_destroy(&model->slot_mutex);
    pthread_mutex_destroy(&model->make_mutex);
    hsi_free(model->first_operand);
    model->first_operand = NULL;
}

/* Sets one entry of the operand table, or notes it down as a patch. */
static void place_operand(const hsi_plan *plan, hsi_exec_slot *slot, uint32_t operand,
                          const hsched_place *place)
{
    switch (place->storage) {
    case HSCHED_STORAGE_NONE:
        break;
    case HSCHED_STORAGE_ARENA:
        slot->operands[operand] = (char *)slot->arena.host + place->offset;
        break;
    case HSCHED_STORAGE_CONSTANT:
        slot->operands[operand] = (char *)plan->constants + place->offset;
        break;
    case HSCHED_STORAGE_INPUT:
    case HSCHED_STORAGE_OUTPUT:
        slot->patches[slot->patch_count++] =
            (patch){ .operand = operand,
                     .index = place->index,
                     .offset = place->offset,
                     .is_output = place->storage == HSCHED_STORAGE_OUTPUT };
        break;
    }
}

static int is_bound(const hsched_place *place)
{
    return place->storage == HSCHED_STORAGE_INPUT ||
           place->storage == HSCHED_STORAGE_OUTPUT;
}

static uint32_t count_patches(const hsi_plan *plan)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const hsi_plan_step *s = &plan->steps[i];
        for (uint32_t k = 0; k < s->step.input_count; k++)
            count += (uint32_t)is_bound(&s->in[k]);
        count += (uint32_t)is_bound(&s->out);
    }
    return count;
}

static hsched_status create_slot(const hsi_exec_model *model, uint32_t members,
                                 hsi_exec_slot **result)
{
    hsi_exec_slot *slot = HSI_NEW(hsi_exec_slot);
    if (!slot)
        return hsi_out_of_memory("a slot");
    slot->members = members;
    slot->backend_slots = HSI_NEW_ARRAY(hsched_backend_slot *, model->prepared_count);
    if (!slot->backend_slots) {
        destroy_slot(model, slot);
        return hsi_out_of_memory("a slot");
    }
    *result = slot;
    return HSCHED_OK;
}

/* With memory that the mapper cannot reach all of a run's sections are the CPU's: it does not fail
 * for want of that. */
static hsched_status make_arena(const hsi_exec_model *model, hsi_exec_slot *slot)
{
    const size_t size = model->plan->arena_size ? model->plan->arena_size : 1;
    if (slot->arena.host)
        return HSCHED_OK;
    if (model->mapper && (model->crosses || model->floats) &&
        model->mapper->backend->memory_create(model->mapper->handle, size, 0,
                                              &slot->arena) == HSCHED_OK)
        return HSCHED_OK;
    slot->arena = (hsched_memory){ 0 };
    slot->arena.host = hsi_alloc_aligned(size);
    if (!slot->arena.host)
        return hsi_error(HSCHED_ERROR_OUT_OF_MEMORY,
                         "no memory for a slot of %zu bytes; keep fewer runs in flight",
                         size);
    return HSCHED_OK;
}

static hsched_status make_operands(const hsi_exec_model *model, hsi_exec_slot *slot)
{
    const hsi_plan *plan = model->plan;
    hsched_status status = make_arena(model, slot);
    if (status != HSCHED_OK || slot->operands)
        return status;
    void **operands = HSI_NEW_ARRAY(void *, model->operand_count);
    slot->patches = HSI_NEW_ARRAY(patch, count_patches(plan));
    if (!operands || !slot->patches) {
        hsi_free(operands);
        hsi_free(slot->patches);
        slot->patches = NULL;
        return hsi_out_of_memory("a slot");
    }
    slot->operands = operands;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const hsi_plan_step *s = &plan->steps[i];
        uint32_t first = model->first_operand[i];
        for (uint32_t k = 0; k < s->step.input_count; k++)
            place_operand(plan, slot, first + k, &s->in[k]);
        place_operand(plan, slot, first + s->step.input_count, &s->out);
    }
    return HSCHED_OK;
}

static void apply_patches(const hsi_exec_run *run)
{
    hsi_exec_slot *slot = run->slot;
    for (uint32_t i = 0; i < slot->patch_count; i++) {
        const patch *p = &slot->patches[i];
        char *base = (p->is_output ? run->outputs : run->inputs)[p->index].host;
        slot->operands[p->operand] = base + p->offset;
    }
    slot->patched_for = run;
}

/* The next run may have more luck with an arena that the mapper reaches. */
static void forget_unmapped(const hsi_exec_model *model, hsi_exec_slot *slot)
{
    if (!model->mapper || !(model->crosses || model->floats) || !slot->arena.host ||
        slot->arena.handle)
        return;
    hsi_free(slot->arena.host);
    hsi_free(slot->operands);
    hsi_free(slot->patches);
    slot->arena = (hsched_memory){ 0 };
    slot->operands = NULL;
    slot->patches = NULL;
    slot->patch_count = 0;
}

static hsi_exec_slot *pop_slot(hsi_exec_model *model, uint32_t members)
{
    pthread_mutex_lock(&model->slot_mutex);
    hsi_exec_slot **at = &model->free_slots;
    while (*at && (*at)->members != members)
        at = &(*at)->next;
    hsi_exec_slot *slot = *at;
    if (slot)
        *at = slot->next;
    pthread_mutex_unlock(&model->slot_mutex);
    return slot;
}

hsched_status hsi_exec_acquire_slot(hsi_exec_run *run, uint32_t members)
{
    hsi_exec_model *model = run->model;
    hsched_status status = HSCHED_OK;
    /* A second job of the same run waits here until the first has found or made the slot.
     */
    pthread_mutex_lock(&model->make_mutex);
    if (!run->slot) {
        hsi_exec_slot *slot = pop_slot(model, members);
        if (!slot) {
            status = create_slot(model, members, &slot);
            pthread_mutex_lock(&model->slot_mutex);
            model->slot_count += status == HSCHED_OK;
            pthread_mutex_unlock(&model->slot_mutex);
        }
        if (status == HSCHED_OK) {
            forget_unmapped(model, slot);
            run->slot = slot;
        }
    }
    pthread_mutex_unlock(&model->make_mutex);
    return status;
}

static hsched_status make_backend_slot(hsi_exec_run *run, uint32_t prepared)
{
    const hsi_exec_prepared *p = &run->model->prepared[prepared];
    hsi_exec_slot *slot = run->slot;
    if (slot->backend_slots[prepared])
        return HSCHED_OK;
    if (p->backend->queue_submit)
        return p->backend->queue_slot_create(p->section, slot->members,
                                             &slot->backend_slots[prepared]);
    return p->backend->slot_create(p->section, &slot->backend_slots[prepared]);
}

/* The objects of all sections that the device has prepared: a device that prepares section by
 * section has several. */
static hsched_status make_backend_slots(hsi_exec_run *run, uint32_t device)
{
    const hsi_exec_model *model = run->model;
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < model->prepared_count && status == HSCHED_OK; i++)
        if (model->prepared[i].device == device)
            status = make_backend_slot(run, i);
    return status;
}

hsched_status hsi_exec_need_host(hsi_exec_run *run, uint32_t device)
{
    hsi_exec_model *model = run->model;
    pthread_mutex_lock(&model->make_mutex);
    hsched_status status = make_operands(model, run->slot);
    if (status == HSCHED_OK)
        status = make_backend_slots(run, device);
    if (status == HSCHED_OK && run->slot->patched_for != run)
        apply_patches(run);
    pthread_mutex_unlock(&model->make_mutex);
    return status;
}

hsched_status hsi_exec_queue_slot(hsi_exec_run *run, uint32_t device,
                                  hsched_backend_slot **slot)
{
    hsi_exec_model *model = run->model;
    *slot = NULL;
    hsched_status status = HSCHED_OK;
    pthread_mutex_lock(&model->make_mutex);
    for (uint32_t i = 0; i < model->prepared_count && status == HSCHED_OK; i++)
        if (model->prepared[i].device == device) {
            status = make_backend_slot(run, i);
            *slot = run->slot->backend_slots[i];
        }
    pthread_mutex_unlock(&model->make_mutex);
    return status;
}

hsched_status hsi_exec_arena(hsi_exec_run *run, const hsched_memory **arena)
{
    hsi_exec_model *model = run->model;
    pthread_mutex_lock(&model->make_mutex);
    hsched_status status = make_arena(model, run->slot);
    pthread_mutex_unlock(&model->make_mutex);
    *arena = &run->slot->arena;
    if (status == HSCHED_OK && !run->slot->arena.device)
        status = hsi_error(HSCHED_ERROR_OUT_OF_MEMORY,
                           "memory for tensors that pass between devices could not be "
                           "mapped");
    return status;
}

void hsi_exec_release_slot(hsi_exec_run *run)
{
    hsi_exec_model *model = run->model;
    pthread_mutex_lock(&model->slot_mutex);
    if (run->slot) {
        hsi_exec_slot *slot = run->slot;
        slot->patched_for = NULL;
        for (uint32_t i = 0; i < model->prepared_count; i++)
            if (slot->backend_slots[i] && model->prepared[i].backend->queue_slot_idle)
                model->prepared[i].backend->queue_slot_idle(slot->backend_slots[i]);
        slot->next = model->free_slots;
        model->free_slots = slot;
        run->slot = NULL;
    }
    pthread_mutex_unlock(&model->slot_mutex);
}

/* ---- Memory that the CPU cannot reach ------------------------------------- */

static hsched_memory *memory_of(const hsi_exec_run *run, uint32_t io)
{
    const uint32_t inputs = run->model->plan->input_count;
    return io < inputs ? &run->inputs[io] : &run->outputs[io - inputs];
}

static size_t size_of(const hsi_exec_run *run, uint32_t io)
{
    const hsi_plan *plan = run->model->plan;
    return io < plan->input_count ? plan->inputs[io].byte_size
                                  : plan->outputs[io - plan->input_count].byte_size;
}

static hsched_status shadow_one(hsi_exec_run *run, uint32_t io)
{
    hsched_memory *memory = memory_of(run, io);
    const hsi_exec_owned *owned = &run->owned[io];
    if (!run->shadows[io])
        run->shadows[io] = hsi_alloc_aligned(size_of(run, io));
    if (!run->shadows[io])
        return hsi_out_of_memory("a copy of a buffer of the GPU's");
    if (io < run->model->plan->input_count) {
        hsched_status status = owned->device->backend->memory_copy(
            owned->device->handle, owned->address, run->shadows[io], size_of(run, io), 0);
        if (status != HSCHED_OK)
            return status;
    }
    *memory = (hsched_memory){ .host = run->shadows[io] };
    return HSCHED_OK;
}

int hsi_exec_is_elsewhere(const hsi_exec_run *run, const hsi_exec_device *device)
{
    const hsi_plan *plan = run->model->plan;
    for (uint32_t io = 0;
         run->device_bound && io < plan->input_count + plan->output_count; io++)
        if (run->owned[io].device && run->owned[io].device != device)
            return 1;
    return 0;
}

hsched_status hsi_exec_shadow(hsi_exec_run *run)
{
    hsi_exec_model *model = run->model;
    const uint32_t ios = model->plan->input_count + model->plan->output_count;
    hsched_status status = HSCHED_OK;
    if (!run->device_bound)
        return HSCHED_OK;
    pthread_mutex_lock(&model->make_mutex);
    if (!run->shadowed && run->wait_event)
        status = run->event_device->backend->wait_event(run->event_device->handle,
                                                        run->wait_event);
    for (uint32_t io = 0; io < ios && !run->shadowed && status == HSCHED_OK; io++)
        if (run->owned[io].device)
            status = shadow_one(run, io);
    if (!run->shadowed && status == HSCHED_OK) /* else another job's end may be looking */
        run->shadowed = 1;
    pthread_mutex_unlock(&model->make_mutex);
    return status;
}

int hsi_exec_must_unshadow(const hsi_exec_run *run, uint32_t sections)
{
    return run->shadowed && run->core.sections_left == sections;
}

hsched_status hsi_exec_unshadow(hsi_exec_run *run)
{
    const hsi_plan *plan = run->model->plan;
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < plan->output_count && status == HSCHED_OK; i++) {
        const uint32_t io = plan->input_count + i;
        const hsi_exec_owned *owned = &run->owned[io];
        if (owned->device)
            status = owned->device->backend->memory_copy(owned->device->handle,
                                                         owned->address, run->shadows[io],
                                                         size_of(run, io), 1);
    }
    return status;
}

static const hsi_exec_prepared *find_prepared(const hsi_exec_model *model,
                                              uint32_t section, uint32_t device,
                                              uint32_t *index)
{
    *index = model->section_prepared[section * model->device_count + device];
    return &model->prepared[*index];
}

void hsi_exec_describe_step(const hsi_exec_run *run, uint32_t device, uint32_t index,
                            hsi_exec_step *step)
{
    const hsi_exec_model *model = run->model;
    uint32_t k;
    const hsi_exec_prepared *p =
        find_prepared(model, model->plan->steps[index].section, device, &k);
    step->backend = p->backend;
    step->slot = run->slot->backend_slots[k];
    step->operands = run->slot->operands + model->first_operand[index];
    step->step = index - p->first_step;
    step->parts = p->steps[step->step].parts;
    step->trace = NULL;
}

hsched_status hsi_exec_boundary(const hsi_exec_run *run, uint32_t device,
                                uint32_t section, int began)
{
    uint32_t k;
    const hsi_exec_prepared *p = find_prepared(run->model, section, device, &k);
    if (!p->backend->job_boundary)
        return HSCHED_OK;
    return p->backend->job_boundary(run->slot->backend_slots[k], began);
}
