/*
 * Background work: ops for batch sizes that were wanted, graphs, and better kernels. One piece
 * at a time, on one thread; jobs go on meanwhile with what there is.
 */
#include "backend/cuda/slot.h"

#include <time.h>

#include "backend/cuda/background.h"
#include "backend/cuda/host.h"
#include "backend/cuda/tune.h"

/* ---- Batch sizes ---------------------------------------------------------- */

enum {
    OFTEN = 8 /* a size that was wanted so often is worth ops of its own */
};

/* The smallest of 1 to 8, 10, 12, 14, 16, 20, ... for so many runs. */
static uint32_t fitting_size(uint32_t runs)
{
    uint32_t step = 1;
    while (8 * step < runs)
        step *= 2;
    return (runs + step - 1) / step * step;
}

static int is_refined(const hsched_backend_section *section, const hsi_cuda_variant *v)
{
    return section->device->tuning == HSCHED_GPU_TUNING_NONE ||
           v->refined == section->step_count;
}

/* Every size costs ops and graphs, and a batch that is not full costs what it lacks: so powers
 * of two are made at once. What lies between is made if it was wanted often, with the kernels of
 * the next power of two, once those are tuned. */
static void wish_for(hsched_backend_section *section, uint32_t runs)
{
    if (runs > section->max_batch)
        runs = section->max_batch;
    uint32_t size = fitting_size(runs);
    if (size > section->max_batch)
        size = runs;
    const uint32_t tuned = hsi_cuda_tuned_size(section, size);
    const hsi_cuda_variant *like = hsi_cuda_variant_find(section, tuned);
    if (section->wanted[size - 1] < OFTEN)
        section->wanted[size - 1]++;
    if (section->wanted[size - 1] < OFTEN || !like || !is_refined(section, like))
        size = tuned;
    if (size == 1 || hsi_cuda_variant_find(section, size))
        return;
    section->wishes |= UINT64_C(1) << (size - 1);
    atomic_store(&section->device->has_work, 1);
}

uint32_t hsi_cuda_queue_batch(hsched_backend_section *section, uint32_t joined,
                              uint32_t others, uint32_t *members)
{
    uint32_t ready = 1;
    *members = joined;
    if (!section->joinable)
        return 1;
    pthread_mutex_lock(&section->device->use);
    wish_for(section, joined + others);
    *members = UINT32_MAX;
    for (const hsi_cuda_variant *v = section->variants; v; v = v->next) {
        if (v->members > ready)
            ready = v->members;
        if (v->members >= joined && v->members < *members)
            *members = v->members;
    }
    pthread_mutex_unlock(&section->device->use);
    return ready;
}

/* Between two steps jobs get their turn: a library takes milliseconds for some. Entered, and again
 * afterwards, even if it fails; `tuning` is the device's meanwhile. BUSY: somebody waits for the
 * end of all background work. */
static hsched_status let_jobs_go(hsi_cuda_device *d)
{
    d->tuning = d->usual_tuning;
    hsi_cuda_leave(d);
    nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
    pthread_mutex_lock(&d->use);
    d->tuning = HSCHED_GPU_TUNING_NONE;
    const hsched_status status =
        CU_CHECK("making the context current", cuCtxPushCurrent, d->context);
    return status == HSCHED_OK && atomic_load(&d->yield) ? HSCHED_ERROR_BUSY : status;
}

static hsched_status make_batch_size(hsched_backend_section *section)
{
    hsi_cuda_variant *variant;
    const uint32_t size = (uint32_t)__builtin_ctzll(section->wishes) + 1;
    section->wishes &= section->wishes - 1;
    hsi_cuda_device *d = section->device;
    /* By the cache or a guess: timing would hold up the jobs; it comes later, step by step. */
    d->usual_tuning = d->tuning;
    d->tuning = HSCHED_GPU_TUNING_NONE;
    hsched_status status = hsi_cuda_variant_get(section, size, let_jobs_go, &variant);
    d->tuning = d->usual_tuning;
    if (status == HSCHED_ERROR_BUSY) { /* another time */
        section->wishes |= UINT64_C(1) << (size - 1);
        status = HSCHED_OK;
    }
    if (status == HSCHED_ERROR_UNSUPPORTED || status == HSCHED_ERROR_OUT_OF_MEMORY) {
        section->max_batch = size - 1; /* smaller ones must do */
        status = HSCHED_OK;
    }
    return status;
}

/* ---- Better kernels ------------------------------------------------------- */

static int may_improve(const hsi_cuda_device *d, const hsi_cuda_variant *v)
{
    if (d->tuning == HSCHED_GPU_TUNING_NONE || v->like)
        return 0;
    /* What was tuned when the model was loaded is only gone through again in full. */
    return v->members > 1 || d->tuning == HSCHED_GPU_TUNING_FULL;
}

static int is_tunable(const hsi_cuda_step *step)
{
    return step->step.kind == HSCHED_STEP_CONV2D || step->step.kind == HSCHED_STEP_FC ||
           step->step.kind == HSCHED_STEP_MATMUL;
}

/* Tunes the next step of a variant. Called without `use`; section->busy is held. */
static hsched_status improve_step(hsched_backend_section *s, hsi_cuda_variant *v,
                                  atomic_int *yield)
{
    hsi_cuda_op *better = NULL;
    while (v->refined < s->step_count &&
           (!v->ops[v->refined] || !is_tunable(&v->steps[v->refined])))
        v->refined++;
    if (v->refined == s->step_count)
        return HSCHED_OK;
    const uint32_t i = v->refined++;
    hsi_cuda_locate_constants(s, i, &v->steps[i]); /* `busy` keeps them there */
    hsched_status status = hsi_cuda_retune(&v->steps[i], v->ops[i], yield, &better);
    if (status == HSCHED_OK && atomic_load(yield))
        v->refined = i; /* another time */
    if (status != HSCHED_OK || !better)
        return status;
    /* A slot grows between runs; a run with several jobs may be in the middle. */
    if (s->split &&
        HSI_CUDA_COUNTERS + better->workspace - better->zeroed > v->workspace_bytes) {
        better->destroy(better);
        return HSCHED_OK;
    }
    status = hsi_cuda_enter(s->device);
    if (status != HSCHED_OK) {
        better->destroy(better);
        return status;
    }
    status = hsi_cuda_replace_op(s, v, i, better);
    hsi_cuda_leave(s->device);
    return status;
}

/* ---- The next piece ------------------------------------------------------- */

typedef struct piece {
    hsched_backend_section *section;
    hsched_backend_slot *slot; /* to capture */
    hsi_cuda_variant *variant; /* to improve */
    int batch;
} piece;

static int wants_capture(const hsched_backend_slot *slot)
{
    if (!slot->memory || !hsi_cuda_has_weights(slot->section))
        return 0;
    for (const hsi_cuda_graph *g = slot->graphs; g; g = g->next)
        if (g->wanted)
            return 1;
    return 0;
}

static int find_piece(hsi_cuda_device *d, piece *p)
{
    for (p->section = d->sections; p->section; p->section = p->section->next) {
        for (p->slot = p->section->slots; p->slot; p->slot = p->slot->next)
            if (wants_capture(p->slot))
                return 1;
        p->batch = p->section->wishes != 0 && hsi_cuda_has_weights(p->section);
        if (p->batch)
            return 1;
    }
    for (p->section = d->sections; p->section; p->section = p->section->next)
        for (p->variant = p->section->variants; p->variant; p->variant = p->variant->next)
            if (may_improve(d, p->variant) && hsi_cuda_has_weights(p->section) &&
                p->variant->refined < p->section->step_count)
                return 1;
    return 0;
}

/* A process that does not end well should not have tuned for nothing. */
static void save_choices(hsi_cuda_device *d)
{
    if (d->tune_cache && hsi_tune_cache_save(d->tune_cache) != HSCHED_OK)
        hsi_cuda_host->log(HSCHED_LOG_INFO, "GPU: the tuning cache could not be written");
}

hsched_status hsi_cuda_background(hsi_cuda_device *d, int *did)
{
    piece p = { 0 };
    hsched_status status = HSCHED_OK;
    *did = 0;
    atomic_store(&d->yield, 0);
    if (atomic_load(&d->lost) || atomic_load(&d->stopping))
        return HSCHED_OK;
    status = hsi_cuda_enter(d);
    if (status != HSCHED_OK)
        return status;
    while (d->interrupting)
        pthread_cond_wait(&d->changed, &d->use);
    atomic_store(&d->has_work, 0); /* what is wanted from now on sets it again */
    *did = find_piece(d, &p);
    if (*did) {
        d->in_background = 1;
        p.section->busy++;
        if (p.slot)
            p.slot->capturing = 1; /* it stays while `use` is given up */
        if (p.batch)
            status = make_batch_size(p.section);
    }
    hsi_cuda_leave(d);
    if (!*did) {
        save_choices(d);
        return status;
    }
    int captured;
    if (p.slot)
        status = hsi_cuda_capture(p.slot, &captured);
    else if (p.variant)
        status = improve_step(p.section, p.variant, &d->yield);
    if (status == HSCHED_ERROR_DEVICE)
        atomic_store(&d->lost, 1);
    pthread_mutex_lock(&d->use);
    if (p.slot)
        p.slot->capturing = 0;
    p.section->busy--;
    d->in_background = 0;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->use);
    return status;
}

int hsi_cuda_has_background(const hsi_cuda_device *d)
{
    return atomic_load_explicit(&d->has_work, memory_order_relaxed);
}

void hsi_cuda_background_stop(hsi_cuda_device *d)
{
    atomic_store(&d->stopping, 1);
    atomic_store(&d->yield, 1);
}

int hsi_cuda_background_interrupt(hsi_cuda_device *d)
{
    if (!d->in_background)
        return 0;
    atomic_store(&d->yield, 1);
    d->interrupting++;
    while (d->in_background)
        pthread_cond_wait(&d->changed, &d->use);
    d->interrupting--;
    pthread_cond_broadcast(&d->changed);
    return 1;
}
