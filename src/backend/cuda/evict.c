#include "backend/cuda/slot.h"

static hsched_backend_slot *oldest_slot(hsi_cuda_device *d)
{
    hsched_backend_slot *oldest = NULL;
    for (hsched_backend_section *s = d->sections; s; s = s->next)
        for (hsched_backend_slot *slot = s->slots; slot; slot = slot->next)
            if (slot->memory && !atomic_load(&slot->in_use) && !slot->capturing &&
                (!oldest || slot->last_used < oldest->last_used))
                oldest = slot;
    return oldest;
}

static void empty_slot(hsched_backend_slot *slot)
{
    hsi_cuda_graphs_drop(slot);
    hsi_cuda_memory_free(&slot->section->device->memory, slot->memory,
                         slot->memory_bytes);
    slot->memory = 0;
    slot->memory_bytes = 0;
}

static int has_memory(const hsched_backend_section *section)
{
    for (const hsched_backend_slot *slot = section->slots; slot; slot = slot->next)
        if (slot->memory)
            return 1;
    return 0;
}

/* Weights whose slots are all empty: graphs would hold their address. */
static hsched_backend_section *oldest_weights(hsi_cuda_device *d)
{
    hsched_backend_section *oldest = NULL;
    for (hsched_backend_section *s = d->sections; s; s = s->next)
        if (s->weights && s->weights_on_host && s->busy == 0 && !has_memory(s) &&
            (!oldest || s->last_used < oldest->last_used))
            oldest = s;
    return oldest;
}

int hsi_cuda_evict(hsi_cuda_device *d)
{
    hsched_backend_slot *slot = oldest_slot(d);
    hsched_backend_section *section = slot ? NULL : oldest_weights(d);
    if (slot)
        empty_slot(slot);
    else if (section)
        hsi_cuda_drop_weights(section);
    else
        return 0;
    atomic_fetch_add(&d->evictions, 1);
    return 1;
}
