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
    char *arena;
    void **operands;
    hsched_backend_slot **backend_slots; /* per prepared */
    patch *patches;
    uint32_t patch_count;
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

static void destroy_slot(const hsi_exec_model *model, hsi_exec_slot *slot)
{
    for (uint32_t i = 0; slot->backend_slots && i < model->prepared_count; i++)
        if (slot->backend_slots[i])
            model->prepared[i].backend->slot_destroy(slot->backend_slots[i]);
    hsi_free(slot->backend_slots);
    hsi_free(slot->patches);
    hsi_free(slot->operands);
    hsi_free(slot->arena);
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
                          const hsi_place *place)
{
    switch (place->storage) {
    case HSI_STORAGE_NONE:
        break;
    case HSI_STORAGE_ARENA:
        slot->operands[operand] = slot->arena + place->offset;
        break;
    case HSI_STORAGE_CONSTANT:
        slot->operands[operand] = (char *)plan->constants + place->offset;
        break;
    case HSI_STORAGE_INPUT:
    case HSI_STORAGE_OUTPUT:
        slot->patches[slot->patch_count++] =
            (patch){ .operand = operand,
                     .index = place->index,
                     .offset = place->offset,
                     .is_output = place->storage == HSI_STORAGE_OUTPUT };
        break;
    }
}

static int is_bound(const hsi_place *place)
{
    return place->storage == HSI_STORAGE_INPUT || place->storage == HSI_STORAGE_OUTPUT;
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

static hsched_status create_slot(const hsi_exec_model *model, hsi_exec_slot **result)
{
    const hsi_plan *plan = model->plan;
    hsched_status status = HSCHED_OK;
    hsi_exec_slot *slot = HSI_NEW(hsi_exec_slot);
    if (!slot)
        return hsi_out_of_memory("a slot");
    slot->arena = hsi_alloc_aligned(plan->arena_size);
    slot->operands = HSI_NEW_ARRAY(void *, model->operand_count);
    slot->patches = HSI_NEW_ARRAY(patch, count_patches(plan));
    slot->backend_slots = HSI_NEW_ARRAY(hsched_backend_slot *, model->prepared_count);
    if (!slot->arena || !slot->operands || !slot->patches || !slot->backend_slots) {
        status = hsi_error(HSCHED_ERROR_OUT_OF_MEMORY,
                           "no memory for a slot of %zu bytes; keep fewer runs in flight",
                           plan->arena_size);
        goto done;
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const hsi_plan_step *s = &plan->steps[i];
        uint32_t first = model->first_operand[i];
        for (uint32_t k = 0; k < s->step.input_count; k++)
            place_operand(plan, slot, first + k, &s->in[k]);
        place_operand(plan, slot, first + s->step.input_count, &s->out);
    }
    for (uint32_t i = 0; i < model->prepared_count && status == HSCHED_OK; i++)
        status = model->prepared[i].backend->slot_create(model->prepared[i].section,
                                                         &slot->backend_slots[i]);
done:
    if (status != HSCHED_OK) {
        destroy_slot(model, slot);
        return status;
    }
    *result = slot;
    return HSCHED_OK;
}

static void apply_patches(hsi_exec_run *run)
{
    hsi_exec_slot *slot = run->slot;
    for (uint32_t i = 0; i < slot->patch_count; i++) {
        const patch *p = &slot->patches[i];
        char *base = (p->is_output ? run->outputs : run->inputs)[p->index];
        slot->operands[p->operand] = base + p->offset;
    }
}

static hsi_exec_slot *pop_slot(hsi_exec_model *model)
{
    pthread_mutex_lock(&model->slot_mutex);
    hsi_exec_slot *slot = model->free_slots;
    if (slot)
        model->free_slots = slot->next;
    pthread_mutex_unlock(&model->slot_mutex);
    return slot;
}

hsched_status hsi_exec_acquire_slot(hsi_exec_run *run)
{
    hsi_exec_model *model = run->model;
    hsched_status status = HSCHED_OK;
    /* A second job of the same run waits here until the first has found or made the slot.
     */
    pthread_mutex_lock(&model->make_mutex);
    if (!run->slot) {
        hsi_exec_slot *slot = pop_slot(model);
        if (!slot) {
            status = create_slot(model, &slot);
            pthread_mutex_lock(&model->slot_mutex);
            model->slot_count += status == HSCHED_OK;
            pthread_mutex_unlock(&model->slot_mutex);
        }
        if (status == HSCHED_OK) {
            run->slot = slot;
            apply_patches(run);
        }
    }
    pthread_mutex_unlock(&model->make_mutex);
    return status;
}

void hsi_exec_release_slot(hsi_exec_run *run)
{
    hsi_exec_model *model = run->model;
    pthread_mutex_lock(&model->slot_mutex);
    if (run->slot) {
        run->slot->next = model->free_slots;
        model->free_slots = run->slot;
        run->slot = NULL;
    }
    pthread_mutex_unlock(&model->slot_mutex);
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
