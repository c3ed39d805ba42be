/*
 * Memory with the addresses of a simulated device. They are the host's plus an offset that
 * makes them invalid on the CPU, so whatever takes one for the other's crashes; those of
 * mapped host memory and those of the device's own differ in the offset.
 */
#include "common/queue_internal.h"

#include <stdlib.h>
#include <string.h>

#define MAPPED_AT (UINT64_C(1) << 60)
#define OWN_AT    (UINT64_C(1) << 61)
#define PAGE      4096u

typedef struct piece {
    struct piece *next;
    hsched_backend_device *device;
    char *host;
    size_t size;
    uint64_t address;
    int owned; /* else the user's */
    int on_device;
} piece;

static piece *pieces; /* guarded by the world's mutex */

uint32_t queue_memory_count(void)
{
    uint32_t count = 0;
    for (const piece *p = pieces; p; p = p->next)
        count++;
    return count;
}

void *queue_translate(const hsched_backend_device *device, uint64_t address, size_t size)
{
    void *host = NULL;
    queue_lock();
    for (const piece *p = pieces; p && !host; p = p->next)
        if ((p->device == device || !p->on_device || !device) && address >= p->address &&
            address - p->address <= p->size && size <= p->size - (address - p->address))
            host = p->host + (address - p->address);
    queue_unlock();
    if (!host)
        queue_complain("%zu bytes at 0x%llx are no memory of the device's", size,
                       (unsigned long long)address);
    return host;
}

/* As for the driver of a GPU, no page may be registered twice. Under the mutex. */
static int pages_are_taken(const char *host, size_t size)
{
    const uintptr_t first = (uintptr_t)host / PAGE,
                    last = ((uintptr_t)host + size - 1) / PAGE;
    for (const piece *p = pieces; p; p = p->next)
        if (!p->on_device && first <= ((uintptr_t)p->host + p->size - 1) / PAGE &&
            last >= (uintptr_t)p->host / PAGE)
            return 1;
    return 0;
}

static void account(hsched_backend_device *d, size_t size)
{
    d->allocations++;
    d->memory_bytes += size;
    if (d->memory_bytes > d->memory_peak)
        d->memory_peak = d->memory_bytes;
}

static int passes_limit(const hsched_backend_device *d, size_t size)
{
    return d->memory_limit && d->memory_bytes + size > d->memory_limit;
}

/* Under the mutex. */
static hsched_status take(hsched_backend_device *d, piece *p)
{
    if (p->on_device && passes_limit(d, p->size))
        return queue_out_of_memory("a buffer, within the limit");
    if (p->owned) {
        p->host = aligned_alloc(PAGE, (p->size + PAGE - 1) / PAGE * PAGE);
        if (!p->host)
            return queue_out_of_memory("a buffer");
        memset(p->host, 0xff, p->size);
    } else if (pages_are_taken(p->host, p->size)) {
        return queue_the.host->set_error(HSCHED_ERROR_UNSUPPORTED,
                                         "simulated queue: a page is registered already");
    }
    p->address = (uintptr_t)p->host + (p->on_device ? OWN_AT : MAPPED_AT);
    if (p->on_device)
        account(d, p->size);
    else
        d->allocations++;
    p->next = pieces;
    pieces = p;
    return HSCHED_OK;
}

static hsched_status make(hsched_backend_device *d, const piece *wanted, queue_call call,
                          int refused, hsched_status refusal, hsched_memory *memory)
{
    piece *p = malloc(sizeof *p);
    *memory = (hsched_memory){ .host = wanted->host };
    if (!p)
        return queue_out_of_memory("a buffer");
    *p = *wanted;
    queue_lock();
    hsched_status status = queue_enter(d, call);
    if (status == HSCHED_OK && refused)
        status = queue_the.host->set_error(refusal, "simulated queue: refused");
    if (status == HSCHED_OK)
        status = take(d, p);
    queue_unlock();
    if (status != HSCHED_OK) {
        free(p);
        return status;
    }
    *memory = (hsched_memory){ .host = p->on_device ? NULL : p->host,
                               .device = p->address,
                               .handle = p };
    return HSCHED_OK;
}

hsched_status queue_memory_create(hsched_backend_device *d, size_t size, int on_device,
                                  hsched_memory *memory)
{
    const piece wanted = {
        .device = d, .size = size, .owned = 1, .on_device = on_device
    };
    return make(d, &wanted, QUEUE_CALL_CREATE, !on_device && queue_the.script.never_maps,
                HSCHED_ERROR_OUT_OF_MEMORY, memory);
}

hsched_status queue_memory_register(hsched_backend_device *d, void *host, size_t size,
                                    hsched_memory *memory)
{
    const piece wanted = { .device = d, .host = host, .size = size };
    return make(d, &wanted, QUEUE_CALL_REGISTER, queue_the.script.never_registers,
                HSCHED_ERROR_UNSUPPORTED, memory);
}

void queue_memory_destroy(hsched_backend_device *d, hsched_memory *memory)
{
    piece *p = memory->handle;
    queue_lock();
    piece **at = &pieces;
    while (*at && *at != p)
        at = &(*at)->next;
    if (*at) {
        *at = p->next;
        if (p->on_device)
            d->memory_bytes -= p->size;
        if (p->device != d)
            queue_complain("memory is destroyed by another device than made it");
    } else {
        queue_complain("memory is destroyed that is none, or not any more");
        p = NULL;
    }
    queue_unlock();
    if (p && p->owned)
        free(p->host);
    free(p);
    *memory = (hsched_memory){ 0 };
}

hsched_status queue_memory_copy(hsched_backend_device *d, uint64_t address, void *host,
                                size_t size, int to_device)
{
    queue_lock();
    const hsched_status status = queue_enter(d, QUEUE_CALL_COPY);
    queue_unlock();
    if (status != HSCHED_OK)
        return status;
    void *inside = queue_translate(d, address, size);
    if (!inside)
        return queue_the.host->set_error(HSCHED_ERROR_INTERNAL,
                                         "simulated queue: a copy of no memory");
    memcpy(to_device ? inside : host, to_device ? host : inside, size);
    return HSCHED_OK;
}

hsched_status queue_take(hsched_backend_device *d, size_t size, char **memory)
{
    *memory = malloc(size ? size : 1);
    if (!*memory)
        return queue_out_of_memory("a slot");
    hsched_status status = HSCHED_OK;
    queue_lock();
    if (passes_limit(d, size))
        status = queue_out_of_memory("a slot, within the limit");
    else
        account(d, size);
    queue_unlock();
    if (status != HSCHED_OK) {
        free(*memory);
        *memory = NULL;
    }
    return status;
}

void queue_give(hsched_backend_device *d, char *memory, size_t size)
{
    if (!memory)
        return;
    queue_lock();
    d->memory_bytes -= size;
    queue_unlock();
    free(memory);
}

/* ---- For tests ---------------------------------------------------------------- */

void queue_device_write(uint64_t address, const void *data, size_t size)
{
    void *inside = queue_translate(NULL, address, size);
    if (inside)
        memcpy(inside, data, size);
}

void queue_device_read(uint64_t address, void *data, size_t size)
{
    const void *inside = queue_translate(NULL, address, size);
    if (inside)
        memcpy(data, inside, size);
}
