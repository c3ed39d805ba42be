#include "buffer/buffer.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/status.h"

struct hsched_buffer {
    atomic_int references;
    hsi_buffer_owner owner;
    void *data;
    size_t size;
    int own_memory;
    void (*released)(void *user, void *data);
    void *user;
};

static hsched_status make(hsi_buffer_owner owner, void *data, size_t size,
                          hsched_buffer **buffer)
{
    hsched_buffer *b = HSI_NEW(hsched_buffer);
    if (!b)
        return hsi_out_of_memory("a buffer");
    atomic_init(&b->references, 1);
    b->owner = owner;
    b->data = data;
    b->size = size;
    *buffer = b;
    return HSCHED_OK;
}

hsched_status hsi_buffer_create(hsi_buffer_owner owner, size_t size,
                                hsched_buffer **buffer)
{
    *buffer = NULL;
    if (size == 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_buffer_create: size is 0; ask for at least one byte");
    void *data = hsi_alloc_aligned(size);
    if (!data)
        return hsi_error(HSCHED_ERROR_OUT_OF_MEMORY,
                         "hsched_buffer_create: no memory for %zu bytes", size);
    hsched_status status = make(owner, data, size, buffer);
    if (status != HSCHED_OK)
        hsi_free(data);
    else
        (*buffer)->own_memory = 1;
    return status;
}

hsched_status hsi_buffer_wrap(hsi_buffer_owner owner, void *data, size_t size,
                              void (*released)(void *user, void *data), void *user,
                              hsched_buffer **buffer)
{
    *buffer = NULL;
    if (!data || size == 0)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_buffer_wrap: data is NULL or size is 0; give memory to wrap");
    hsched_status status = make(owner, data, size, buffer);
    if (status == HSCHED_OK) {
        (*buffer)->released = released;
        (*buffer)->user = user;
    }
    return status;
}

void *hsi_buffer_data(const hsched_buffer *buffer)
{
    return buffer->data;
}

HSCHED_API hsched_buffer *hsched_buffer_retain(hsched_buffer *buffer)
{
    if (buffer)
        atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    return buffer;
}

HSCHED_API void hsched_buffer_release(hsched_buffer *buffer)
{
    /* acq_rel: whoever frees sees all that the other holders did with the memory. */
    if (!buffer ||
        atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) != 1)
        return;
    if (buffer->own_memory)
        hsi_free(buffer->data);
    else if (buffer->released)
        buffer->released(buffer->user, buffer->data);
    hsi_buffer_owner owner = buffer->owner;
    hsi_free(buffer);
    if (owner.release)
        owner.release(owner.object);
}

HSCHED_API size_t hsched_buffer_size(const hsched_buffer *buffer)
{
    return buffer ? buffer->size : 0;
}

HSCHED_API hsched_status hsched_buffer_map(hsched_buffer *buffer, void **data)
{
    if (!data)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_buffer_map: data is NULL");
    *data = NULL;
    if (!buffer)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_buffer_map: buffer is NULL");
    *data = buffer->data;
    return HSCHED_OK;
}
