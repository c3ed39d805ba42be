/*
 * Background work: ops for batch sizes that were wanted, graphs, and better kernels. One piece
 * at a time, on one thread; jobs go on meanwhile with what there is.
 */
#include "backend/cuda/slot.h"

#include "backend/cuda/background.h"
#include "backend/cuda/host.h"
#include "backend/cuda/tune.h"

/* ---- Batch sizes ---------------------------------------------------------- */

/* The size for so many: a power of two that is at least three quarters full, else the one below. */
static uint32_t fitting_size(uint32_t runs, uint32_t most)
{
    uint32_t size = 1;
    while (size < runs)
        size *= 2;
    if (size > most || 4 * runs < 3 * size)
        size /= 2;
    return size;
}

uint32_t hsi_cuda_queue_batch(hsched_backend_section *section, uint32_t joined,
                              uint32_t waiting, uint32_t *members)
{
    uint32_t ready = 1;
    *members = joined;
    if (!section->joinable)
        return 1;
    pthread_mutex_lock(&section->device->use);
    if (joined + waiting > 1) {
        uint32_t size = fitting_size(joined + waiting, section->max_batch);
        if (size > 1 && !hsi_cuda_variant_find(section, size)) {
            section->wishes |= UINT64_C(1) << __builtin_ctz(size);
            atomic_store(&section->device->has_work, 1);
        }
    }
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

static hsched_status make_batch_size(hsched_backend_section *section)
{
    hsi_cuda_variant *variant;
    const uint32_t wish = (uint32_t)__builtin_ctzll(section->wishes);
    section->wishes &= section->wishes - 1;
    hsi_cuda_device *d = section->device;
    /* By the cache or a guess: timing would hold up the jobs; it comes later, step by step. */
    const int tuning = d->tuning;
    d->tuning = HSCHED_GPU_TUNING_NONE;
    hsched_status status = hsi_cuda_variant_get(section, 1u << wish, &variant);
    d->tuning = tuning;
    if (status == HSCHED_ERROR_UNSUPPORTED || status == HSCHED_ERROR_OUT_OF_MEMORY) {
        section->max_batch = 1u << (wish - 1); /* smaller ones must do */
        status = HSCHED_OK;
    }
    return status;
}

/* ---- Better kernels ------------------------------------------------------- */

static int may_improve(const hsi_cuda_device *d, const hsi_cuda_variant *v)
{
    if (d->tuning == HSCHED_GPU_TUNING_NONE)
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
                                  atomic_int *stop)
{
    hsi_cuda_op *better = NULL;
    while (v->refined < s->step_count &&
           (!v->ops[v->refined] || !is_tunable(&v->steps[v->refined])))
        v->refined++;
    if (v->refined == s->step_count)
        return HSCHED_OK;
    const uint32_t i = v->refined++;
    hsched_status status = hsi_cuda_retune(&v->steps[i], v->ops[i], stop, &better);
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
    if (!slot->memory || !slot->section->weights)
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
        p->batch = p->section->wishes != 0;
        if (p->batch)
            return 1;
    }
    for (p->section = d->sections; p->section; p->section = p->section->next)
        for (p->variant = p->section->variants; p->variant; p->variant = p->variant->next)
            if (may_improve(d, p->variant) &&
                p->variant->refined < p->section->step_count)
                return 1;
    return 0;
}

hsched_status hsi_cuda_background(hsi_cuda_device *d, int *did)
{
    piece p = { 0 };
    hsched_status status = HSCHED_OK;
    *did = 0;
    if (atomic_load(&d->lost))
        return HSCHED_OK;
    status = hsi_cuda_enter(d);
    if (status != HSCHED_OK)
        return status;
    atomic_store(&d->has_work, 0); /* what is wanted from now on sets it again */
    *did = find_piece(d, &p);
    if (*did) {
        p.section->busy++;
        if (p.slot)
            p.slot->capturing = 1; /* it stays while `use` is given up */
        if (p.batch)
            status = make_batch_size(p.section);
    }
    hsi_cuda_leave(d);
    if (!*did)
        return status;
    int captured;
    if (p.slot)
        status = hsi_cuda_capture(p.slot, &captured);
    else if (p.variant)
        status = improve_step(p.section, p.variant, &d->stopping);
    if (status == HSCHED_ERROR_DEVICE)
        atomic_store(&d->lost, 1);
    pthread_mutex_lock(&d->use);
    if (p.slot)
        p.slot->capturing = 0;
    p.section->busy--;
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
}
