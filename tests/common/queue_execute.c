/*
 * Executing steps on the simulated device. What a step reads from outside (inputs, tensors
 * that steps elsewhere have written) is brought to the slot before it, what others will read
 * (outputs, exported tensors) is written right after it. Whatever the steps' places do not
 * tell stays as it is in the slot: NaNs.
 */
#include "common/queue_internal.h"

#include <string.h>

#include "backend/backend.h"

static uint32_t io_count(const hsched_backend_section *s)
{
    return s->input_count + s->output_count;
}

static uint32_t io_of(const hsched_backend_section *s, const hsched_place *place)
{
    return place->storage == HSCHED_STORAGE_OUTPUT ? s->input_count + place->index
                                                   : place->index;
}

/* ---- Tensors -------------------------------------------------------------------- */

/* Between two blocks in which the tensor lies alike; strides are not negative. */
static void copy_tensor(const hsched_operand *t, uint32_t dim, char *to, const char *from)
{
    const size_t element = hsched_dtype_size(t->dtype);
    if (dim == t->rank) {
        memcpy(to, from, element);
        return;
    }
    for (int64_t i = 0; i < t->dims[dim]; i++) {
        const int64_t at = i * t->strides[dim] * (int64_t)element;
        copy_tensor(t, dim + 1, to + at, from + at);
    }
}

/* Where an operand lies in the slot. */
static char *inside(const hsched_backend_slot *slot, uint32_t member,
                    const hsched_place *place)
{
    char *memory = slot->memory + member * slot->member_bytes;
    switch (place->storage) {
    case HSCHED_STORAGE_ARENA:
        return memory + place->offset;
    case HSCHED_STORAGE_INPUT:
    case HSCHED_STORAGE_OUTPUT:
        return memory + slot->io_offsets[io_of(slot->section, place)] + place->offset;
    default:
        return NULL;
    }
}

/* Where it lies outside: the start of the memory bound to an input or output, or of the host's
 * arena, as the device reaches it. */
static char *outside(const hsched_backend_slot *slot, uint32_t member,
                     const hsched_place *place)
{
    const hsched_backend_section *s = slot->section;
    if (place->storage == HSCHED_STORAGE_ARENA)
        return queue_translate(s->device, slot->arena.device, s->arena_size);
    const uint32_t io = io_of(s, place), at = member * io_count(s) + io;
    if (slot->ios[at].device)
        return queue_translate(s->device, slot->ios[at].device, s->io_bytes[io]);
    return slot->stages[at];
}

/* A step's result, from outside to the slot or back. */
static hsched_status pass(const hsched_backend_slot *slot, uint32_t member, uint32_t step,
                          int to_slot)
{
    const hsched_place *place = &slot->section->places[step].out;
    char *there = outside(slot, member, place);
    char *here = inside(slot, member, place);
    if (!there || !here)
        return queue_the.host->set_error(HSCHED_ERROR_INTERNAL,
                                         "simulated queue: a tensor is nowhere");
    there += place->offset;
    copy_tensor(&slot->section->steps[step].out, 0, to_slot ? here : there,
                to_slot ? there : here);
    return HSCHED_OK;
}

/* ---- A step ------------------------------------------------------------------------ */

static hsched_status bring_input(const hsched_backend_slot *slot, uint32_t member,
                                 const hsched_place *place)
{
    const hsched_backend_section *s = slot->section;
    const char *there = outside(slot, member, place);
    if (!there)
        return queue_the.host->set_error(HSCHED_ERROR_INTERNAL,
                                         "simulated queue: an input is nowhere");
    const hsched_place whole = { .storage = place->storage, .index = place->index };
    memcpy(inside(slot, member, &whole), there, s->io_bytes[place->index]);
    return HSCHED_OK;
}

/* Was it, or will it be, executed outside of the job, where its result is not in this slot? All
 * jobs of a run without an arena are the slot's. */
static int is_elsewhere(const hsched_backend_slot *slot, uint32_t first, uint32_t count,
                        uint32_t step)
{
    const hsched_backend_section *s = slot->section;
    if (!s->places[step].here)
        return 1;
    return s->places[step].floats && slot->arena.device != 0 &&
           (step < first || step >= first + count);
}

static hsched_status bring_operand(const hsched_backend_slot *slot, const queue_lane *job,
                                   uint32_t member, uint32_t step, uint32_t k)
{
    const hsched_backend_section *s = slot->section;
    const hsched_step_places *places = &s->places[step];
    if (places->in[k].storage == HSCHED_STORAGE_INPUT)
        return bring_input(slot, member, &places->in[k]);
    hsched_status status = HSCHED_OK;
    for (uint32_t w = 0; w < places->writer_count[k] && status == HSCHED_OK; w++)
        if (is_elsewhere(slot, job->first_step, job->step_count, places->writers[k][w]))
            status = pass(slot, member, places->writers[k][w], 1);
    return status;
}

static int leaves(const hsched_backend_slot *slot, const queue_lane *job, uint32_t step)
{
    const hsched_backend_section *s = slot->section;
    const hsched_step_places *places = &s->places[step];
    if (places->out.storage == HSCHED_STORAGE_OUTPUT)
        return 1;
    return places->exported &&
           (!places->floats ||
            is_elsewhere(slot, job->first_step, job->step_count, s->last_readers[step]));
}

hsched_status queue_execute_step(hsched_backend_slot *slot, const queue_lane *job,
                                 uint32_t member, uint32_t index)
{
    const hsched_backend_section *s = slot->section;
    const hsched_step *step = &s->steps[index];
    const hsched_step_places *places = &s->places[index];
    const void *inputs[HSCHED_STEP_MAX_INPUTS] = { NULL };
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < step->input_count && status == HSCHED_OK; k++) {
        const void *constant = hsi_sim_constants_get(&s->constants, index, k);
        inputs[k] = constant ? constant : inside(slot, member, &places->in[k]);
        status = bring_operand(slot, job, member, index, k);
    }
    if (status == HSCHED_OK)
        status = hsi_ref_run(step, inputs, inside(slot, member, &places->out));
    if (status == HSCHED_OK && leaves(slot, job, index))
        status = pass(slot, member, index, 0);
    return status;
}

/* ---- Stages --------------------------------------------------------------------------- */

hsched_status queue_make_stages(hsched_backend_slot *slot, uint32_t members)
{
    const hsched_backend_section *s = slot->section;
    for (uint32_t at = 0; at < members * io_count(s); at++) {
        const size_t size = s->io_bytes[at % io_count(s)];
        if (slot->ios[at].device || slot->stages[at])
            continue;
        slot->stages[at] = queue_the.host->alloc(size ? size : 1);
        if (!slot->stages[at])
            return queue_out_of_memory("a stage");
    }
    return HSCHED_OK;
}

void queue_stage_inputs(hsched_backend_slot *slot, uint32_t members)
{
    const hsched_backend_section *s = slot->section;
    for (uint32_t at = 0; at < members * io_count(s); at++) {
        const uint32_t io = at % io_count(s);
        if (io >= s->input_count || slot->ios[at].device)
            continue;
        memcpy(slot->stages[at], slot->ios[at].host, s->io_bytes[io]);
        atomic_fetch_add(&s->device->staged_bytes, s->io_bytes[io]);
    }
}

/* A step's result between the user's memory and its stage, if it is an output that has one. */
static void stage_result(hsched_backend_slot *slot, const hsched_queue_job *job,
                         uint32_t step, int to_slot)
{
    const hsched_backend_section *s = slot->section;
    const hsched_place *place = &s->places[step].out;
    if (place->storage != HSCHED_STORAGE_OUTPUT)
        return;
    const uint32_t io = io_of(s, place);
    for (uint32_t m = 0; m < job->members; m++) {
        char *user = job->outputs[m][place->index].host;
        char *stage = slot->stages[m * io_count(s) + io];
        if (job->outputs[m][place->index].device)
            continue;
        user += place->offset;
        stage += place->offset;
        copy_tensor(&s->steps[step].out, 0, to_slot ? stage : user,
                    to_slot ? user : stage);
        atomic_fetch_add(&s->device->staged_bytes, s->io_bytes[io]);
    }
}

/* What steps elsewhere have written to outputs and a step of the job reads. Once: an earlier job of
 * the run, which is executing, may be reading it, too. */
static void stage_read_results(hsched_backend_slot *slot, const hsched_queue_job *job,
                               uint32_t step)
{
    const hsched_backend_section *s = slot->section;
    const hsched_step_places *places = &s->places[step];
    for (uint32_t k = 0; k < s->steps[step].input_count; k++)
        for (uint32_t w = 0; w < places->writer_count[k]; w++) {
            const uint32_t writer = places->writers[k][w];
            if (!is_elsewhere(slot, job->first_step, job->step_count, writer) ||
                slot->staged[writer])
                continue;
            slot->staged[writer] = 1;
            stage_result(slot, job, writer, 1);
        }
}

void queue_stage_job(hsched_backend_slot *slot, const hsched_queue_job *job, int to_slot)
{
    for (uint32_t i = 0; i < job->step_count; i++) {
        if (to_slot)
            stage_read_results(slot, job, job->first_step + i);
        else
            stage_result(slot, job, job->first_step + i, 0);
    }
}
