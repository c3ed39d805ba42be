#include "buffer/buffer.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"

struct hsched_buffer {
    atomic_int references;
    hsi_buffer_owner owner;
    hsi_buffer_mapper mapper;
    hsched_memory memory;
    size_t size;
    int own_memory;     /* of the heap */
    hsi_import *import; /* or NULL */
    void *data;         /* the user's */
    void (*released)(void *user, void *data);
    void *user;
};

static hsched_status make(hsi_buffer_owner owner, const hsi_buffer_mapper *mapper,
                          size_t size, hsched_buffer **buffer)
{
    hsched_buffer *b = HSI_NEW(hsched_buffer);
    if (!b)
        return hsi_out_of_memory("a buffer");
    atomic_init(&b->references, 1);
    b->owner = owner;
    b->mapper = *mapper;
    b->size = size;
    *buffer = b;
    return HSCHED_OK;
}

/* Host memory that the device will not give is taken from the heap, and copied for it. */
static hsched_status take_memory(hsched_buffer *b, int on_device)
{
    hsched_status status = HSCHED_OK;
    if (b->mapper.create)
        status = b->mapper.create(b->mapper.object, b->size, on_device, &b->memory);
    if (on_device || (b->mapper.create && status == HSCHED_OK))
        return status;
    if (status != HSCHED_OK)
        hsi_log(HSCHED_LOG_INFO,
                "hsched_buffer_create: %zu bytes will be copied for the GPU (%s)",
                b->size, hsched_error_detail());
    b->memory = (hsched_memory){ 0 };
    b->memory.host = hsi_alloc_aligned(b->size);
    b->own_memory = 1;
    if (!b->memory.host)
        return hsi_error(HSCHED_ERROR_OUT_OF_MEMORY, "there is no memory");
    return HSCHED_OK;
}

hsched_status hsi_buffer_create(hsi_buffer_owner owner, const hsi_buffer_mapper *mapper,
                                size_t size, int on_device, hsched_buffer **buffer)
{
    *buffer = NULL;
    if (size == 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_buffer_create: size is 0; ask for at least one byte");
    hsched_buffer *b;
    hsched_status status = make(owner, mapper, size, &b);
    if (status != HSCHED_OK)
        return status;
    status = take_memory(b, on_device);
    if (status != HSCHED_OK) {
        hsi_free(b);
        return hsi_error_prefix(status, "hsched_buffer_create: %zu bytes: ", size);
    }
    *buffer = b;
    return HSCHED_OK;
}

/* Makes host memory known to the devices. Where that is refused the buffer is used all the same,
 * by way of copies. */
static void register_memory(hsched_buffer *b, void *host, size_t size,
                            const char *function)
{
    b->memory = (hsched_memory){ .host = host };
    if (!b->mapper.map ||
        b->mapper.map(b->mapper.object, host, size, &b->memory) == HSCHED_OK)
        return;
    b->memory = (hsched_memory){ .host = host };
    hsi_log(HSCHED_LOG_INFO, "%s: %p will be copied for the GPU (%s)", function, host,
            hsched_error_detail());
}

hsched_status hsi_buffer_wrap(hsi_buffer_owner owner, const hsi_buffer_mapper *mapper,
                              void *data, uint64_t address, size_t size,
                              void (*released)(void *user, void *data), void *user,
                              hsched_buffer **buffer)
{
    *buffer = NULL;
    if ((!data && !address) || size == 0)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_buffer_wrap: data is NULL or size is 0; give memory to wrap");
    hsched_buffer *b;
    hsched_status status = make(owner, mapper, size, &b);
    if (status != HSCHED_OK)
        return status;
    b->data = data ? data : (void *)(uintptr_t)address;
    b->released = released;
    b->user = user;
    if (data)
        register_memory(b, data, size, "hsched_buffer_wrap");
    else
        b->memory = (hsched_memory){ .device = address };
    *buffer = b;
    return HSCHED_OK;
}

hsched_status hsi_buffer_import(hsi_buffer_owner owner, const hsi_buffer_mapper *mapper,
                                int fd, uint64_t offset, size_t size, uint32_t flags,
                                hsched_buffer **buffer)
{
    *buffer = NULL;
    hsched_buffer *b;
    hsched_status status = make(owner, mapper, size, &b);
    if (status != HSCHED_OK)
        return status;
    status = hsi_import_open(fd, offset, size, flags, &b->import);
    if (status != HSCHED_OK) {
        hsi_free(b);
        return hsi_error_prefix(status, "hsched_buffer_import_fd: ");
    }
    const hsi_import *m = b->import;
    register_memory(b, m->base, m->length, "hsched_buffer_import_fd");
    b->memory.host = (char *)m->base + m->inset;
    if (b->memory.device)
        b->memory.device += m->inset;
    *buffer = b;
    return HSCHED_OK;
}

hsi_import *hsi_buffer_imported(const hsched_buffer *buffer)
{
    return buffer->import;
}

const hsched_memory *hsi_buffer_memory(const hsched_buffer *buffer)
{
    return &buffer->memory;
}

void *hsi_buffer_device(const hsched_buffer *buffer)
{
    return buffer->mapper.object;
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
        hsi_free(buffer->memory.host);
    else if (buffer->memory.handle)
        buffer->mapper.destroy(buffer->mapper.object, &buffer->memory);
    hsi_import_close(buffer->import);
    if (buffer->released)
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

HSCHED_API uintptr_t hsched_buffer_device_address(const hsched_buffer *buffer)
{
    return buffer && !buffer->memory.host ? (uintptr_t)buffer->memory.device : 0;
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
    if (!buffer->memory.host)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "hsched_buffer_map: the buffer is memory of a device, which the CPU "
            "cannot address; make it with hsched_buffer_create instead");
    *data = buffer->memory.host;
    return HSCHED_OK;
}

static hsched_status check_access(const hsched_buffer *buffer, uint32_t access,
                                  const char *function)
{
    const uint32_t known = HSCHED_ACCESS_READ | HSCHED_ACCESS_WRITE;
    if (!buffer)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT, "%s: buffer is NULL", function);
    if (access == 0 || access & ~known)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "%s: access is 0x%x; set bits of HSCHED_ACCESS_...", function,
                         access);
    if (access & HSCHED_ACCESS_WRITE && buffer->import && buffer->import->read_only)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "%s: the buffer was imported without write access; import a "
                         "descriptor opened with O_RDWR",
                         function);
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_buffer_begin_access(hsched_buffer *buffer,
                                                    uint32_t access)
{
    hsched_status status = check_access(buffer, access, "hsched_buffer_begin_access");
    if (status != HSCHED_OK || !buffer->import)
        return status;
    status = hsi_access_begin(&buffer->import->access, access);
    return status == HSCHED_OK ? status
                               : hsi_error_prefix(status, "hsched_buffer_begin_access: ");
}

HSCHED_API hsched_status hsched_buffer_end_access(hsched_buffer *buffer, uint32_t access)
{
    hsched_status status = check_access(buffer, access, "hsched_buffer_end_access");
    if (status != HSCHED_OK || !buffer->import)
        return status;
    status = hsi_access_end(&buffer->import->access, access);
    return status == HSCHED_OK ? status
                               : hsi_error_prefix(status, "hsched_buffer_end_access: ");
}
