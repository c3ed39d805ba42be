/* Models, batch sizes and slots of the simulated device with a queue. */
#include "common/queue_internal.h"

#include <string.h>

#include "backend/ref/ref.h"

/* ---- Models ----------------------------------------------------------------- */

int queue_supports(const hsched_backend_device *device, const hsched_step *step)
{
    (void)device;
    return !(queue_the.script.unsupported >> step->kind & 1u) && !hsi_ref_fault(step);
}

static void free_section(hsched_backend_section *s)
{
    hsi_sim_constants_clear(&s->constants);
    queue_the.host->free(s->places);
    queue_the.host->free(s->writers);
    queue_the.host->free(s->last_readers);
    queue_the.host->free(s->io_bytes);
    queue_the.host->free(s);
}

/* The places and their lists of writers are valid during prepare only. */
static hsched_status copy_places(hsched_backend_section *s,
                                 const hsched_section_config *config)
{
    size_t count = 0;
    for (uint32_t i = 0; i < config->step_count; i++)
        for (uint32_t k = 0; k < HSCHED_STEP_MAX_INPUTS; k++)
            count += config->places[i].writer_count[k];
    s->places = queue_the.host->alloc(config->step_count * sizeof *s->places);
    s->writers = queue_the.host->alloc((count + 1) * sizeof *s->writers);
    s->last_readers = queue_the.host->alloc(config->step_count * sizeof *s->last_readers);
    if (!s->places || !s->writers || !s->last_readers)
        return queue_out_of_memory("a model");
    memcpy(s->places, config->places, config->step_count * sizeof *s->places);
    uint32_t *next = s->writers;
    for (uint32_t i = 0; i < config->step_count; i++)
        for (uint32_t k = 0; k < HSCHED_STEP_MAX_INPUTS; k++) {
            const uint32_t writers = config->places[i].writer_count[k];
            if (writers)
                memcpy(next, config->places[i].writers[k], writers * sizeof *next);
            for (uint32_t w = 0; w < writers; w++)
                s->last_readers[next[w]] = i;
            s->places[i].writers[k] = next;
            next += writers;
        }
    return HSCHED_OK;
}

static hsched_status copy_ios(hsched_backend_section *s,
                              const hsched_section_config *config)
{
    const size_t ios = (size_t)config->input_count + config->output_count;
    s->io_bytes = queue_the.host->alloc((ios + 1) * sizeof *s->io_bytes);
    if (!s->io_bytes)
        return queue_out_of_memory("a model");
    for (uint32_t i = 0; i < config->input_count; i++)
        s->io_bytes[i] = config->input_bytes[i];
    for (uint32_t i = 0; i < config->output_count; i++)
        s->io_bytes[config->input_count + i] = config->output_bytes[i];
    return HSCHED_OK;
}

static int is_joinable(const hsched_backend_section *s)
{
    for (uint32_t i = 0; i < s->step_count; i++)
        if (!s->places[i].here)
            return 0;
    return s->max_batch > 1;
}

/* Powers of two up to what the script says. */
static uint64_t ready_sizes(const hsched_backend_section *s)
{
    uint64_t sizes = 1;
    for (uint32_t size = 2; size <= queue_the.script.ready && size <= s->max_batch;
         size *= 2)
        sizes |= UINT64_C(1) << (size - 1);
    return sizes;
}

static hsched_status fill_section(hsched_backend_section *s,
                                  const hsched_section_config *config)
{
    hsched_status status = hsi_sim_constants_init(&s->constants, config);
    if (status == HSCHED_OK)
        status = copy_places(s, config);
    if (status == HSCHED_OK)
        status = copy_ios(s, config);
    if (status != HSCHED_OK)
        return status;
    s->joinable = is_joinable(s);
    s->ready = ready_sizes(s);
    return HSCHED_OK;
}

hsched_status queue_section_prepare(hsched_backend_device *d,
                                    hsched_section_config *config,
                                    hsched_backend_section **section)
{
    *section = NULL;
    queue_lock();
    hsched_status status = queue_enter(d, QUEUE_CALL_PREPARE);
    queue_unlock();
    if (status != HSCHED_OK)
        return status;
    hsched_backend_section *s = queue_the.host->alloc(sizeof *s);
    if (!s)
        return queue_out_of_memory("a model");
    s->device = d;
    s->step_count = config->step_count;
    s->steps = config->steps;
    s->arena_size = config->arena_size;
    s->input_count = config->input_count;
    s->output_count = config->output_count;
    s->max_batch = config->max_batch;
    status = fill_section(s, config);
    if (status != HSCHED_OK) {
        free_section(s);
        return status;
    }
    for (uint32_t i = 0; i < config->step_count; i++)
        config->steps[i].parts = 1;
    queue_lock();
    s->next = d->sections;
    d->sections = s;
    queue_the.now.sections++;
    queue_unlock();
    *section = s;
    return HSCHED_OK;
}

void queue_section_destroy(hsched_backend_section *s)
{
    if (!s)
        return;
    queue_lock();
    if (s->slots)
        queue_complain("a section is destroyed that has slots");
    s->going = 1;
    queue_changed();
    while (s->busy)
        queue_wait();
    hsched_backend_section **at = &s->device->sections;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    queue_the.now.sections--;
    queue_unlock();
    free_section(s);
}

const char *queue_kernel_name(const hsched_backend_section *section, uint32_t step)
{
    return section->places[step].here ? "queue/ref" : "none";
}

uint64_t queue_weight_bytes(const hsched_backend_section *section)
{
    return section->constants.bytes;
}

int queue_joinable(const hsched_backend_section *section)
{
    return section->joinable;
}

/* ---- Sizes of batches, made in the background -------------------------------- */

static void wish_for(hsched_backend_section *s, uint32_t runs)
{
    uint32_t size = 1;
    while (size < runs)
        size *= 2;
    if (size > s->max_batch)
        size = s->max_batch;
    s->wishes |= UINT64_C(1) << (size - 1) & ~s->ready;
}

uint32_t queue_batch(hsched_backend_section *s, uint32_t joined, uint32_t others,
                     uint32_t *members)
{
    *members = joined;
    if (!s->joinable)
        return 1;
    queue_lock();
    wish_for(s, joined + others);
    const uint64_t fitting = s->ready >> (joined - 1);
    *members = fitting ? joined + (uint32_t)__builtin_ctzll(fitting) : UINT32_MAX;
    const uint32_t largest = 64 - (uint32_t)__builtin_clzll(s->ready);
    queue_unlock();
    return largest;
}

static hsched_backend_section *first_with_wishes(const hsched_backend_device *d)
{
    hsched_backend_section *s = d->sections;
    while (s && !s->wishes)
        s = s->next;
    return s;
}

static void make_size(hsched_backend_device *d, hsched_backend_section *s)
{
    s->busy = 1;
    queue_count_up(QUEUE_COUNT_BACKGROUND);
    while (queue_the.closed_gates[QUEUE_GATE_BACKGROUND] && !s->going &&
           !d->background_stopped)
        queue_wait();
    s->ready |= s->wishes & -s->wishes;
    s->wishes &= s->wishes - 1;
    d->tunings++;
    s->busy = 0;
    queue_changed();
}

hsched_status queue_background(hsched_backend_device *d, int *did)
{
    *did = 0;
    queue_lock();
    hsched_backend_section *s = d->background_stopped ? NULL : first_with_wishes(d);
    hsched_status status = s ? queue_enter(d, QUEUE_CALL_BACKGROUND) : HSCHED_OK;
    if (s && status == HSCHED_OK) {
        *did = 1;
        make_size(d, s);
    }
    queue_unlock();
    return status;
}

int queue_has_background(const hsched_backend_device *d)
{
    queue_lock();
    const int has = first_with_wishes(d) != NULL;
    queue_unlock();
    return has;
}

void queue_background_stop(hsched_backend_device *d)
{
    queue_lock();
    d->background_stopped = 1;
    queue_changed();
    queue_unlock();
}

/* ---- Slots --------------------------------------------------------------------- */

static size_t rounded(size_t size)
{
    return (size + 63) / 64 * 64;
}

static void free_slot(hsched_backend_slot *slot)
{
    const hsched_backend_section *s = slot->section;
    const size_t ios = (size_t)s->input_count + s->output_count;
    for (size_t i = 0; slot->stages && i < slot->members * ios; i++)
        queue_the.host->free(slot->stages[i]);
    queue_give(s->device, slot->memory, slot->members * slot->member_bytes);
    queue_the.host->free(slot->staged);
    queue_the.host->free(slot->stages);
    queue_the.host->free(slot->ios);
    queue_the.host->free(slot->io_offsets);
    queue_the.host->free(slot);
}

static hsched_status fill_slot(hsched_backend_slot *slot)
{
    const hsched_backend_section *s = slot->section;
    const size_t ios = (size_t)s->input_count + s->output_count;
    slot->io_offsets = queue_the.host->alloc((ios + 1) * sizeof *slot->io_offsets);
    slot->ios = queue_the.host->alloc((slot->members * ios + 1) * sizeof *slot->ios);
    slot->stages =
        queue_the.host->alloc((slot->members * ios + 1) * sizeof *slot->stages);
    slot->staged = queue_the.host->alloc(s->step_count);
    if (!slot->io_offsets || !slot->ios || !slot->stages || !slot->staged)
        return queue_out_of_memory("a slot");
    slot->member_bytes = rounded(s->arena_size);
    for (size_t i = 0; i < ios; i++) {
        slot->io_offsets[i] = slot->member_bytes;
        slot->member_bytes += rounded(s->io_bytes[i]);
    }
    return queue_take(s->device, slot->members * slot->member_bytes, &slot->memory);
}

hsched_status queue_slot_create(hsched_backend_section *s, uint32_t members,
                                hsched_backend_slot **result)
{
    *result = NULL;
    if (members < 1 || members > s->max_batch)
        queue_complain("a slot for %u members; at most %u", members, s->max_batch);
    queue_lock();
    hsched_status status = queue_enter(s->device, QUEUE_CALL_SLOT);
    queue_unlock();
    if (status != HSCHED_OK)
        return status;
    hsched_backend_slot *slot = queue_the.host->alloc(sizeof *slot);
    if (!slot)
        return queue_out_of_memory("a slot");
    slot->section = s;
    slot->members = members;
    status = fill_slot(slot);
    if (status != HSCHED_OK) {
        free_slot(slot);
        return status;
    }
    queue_lock();
    s->slots++;
    queue_the.now.slots++;
    queue_unlock();
    *result = slot;
    return HSCHED_OK;
}

/* A lane that works for the slot, or will. Under the mutex. */
static int is_in_lane(const hsched_backend_slot *slot)
{
    const hsched_backend_device *d = slot->section->device;
    for (uint32_t i = 0; i < d->lane_count; i++)
        if (d->lanes[i].slot == slot &&
            (d->lanes[i].state == LANE_PENDING || d->lanes[i].state == LANE_EXECUTING))
            return 1;
    return 0;
}

void queue_slot_destroy(hsched_backend_slot *slot)
{
    if (!slot)
        return;
    queue_lock();
    if (is_in_lane(slot))
        queue_complain("a slot is destroyed while a job is in it");
    slot->section->slots--;
    queue_the.now.slots--;
    queue_unlock();
    free_slot(slot);
}

void queue_slot_idle(hsched_backend_slot *slot)
{
    queue_lock();
    if (is_in_lane(slot))
        queue_complain("a slot is idle while a job is in it");
    slot->in_run = 0;
    queue_unlock();
}
