/* Buffers made for a runtime: of memory that its devices can use in place. */
#include "base/status.h"
#include "buffer/buffer.h"
#include "runtime/runtime.h"

static void release_owner(void *runtime)
{
    hsi_runtime_release(runtime);
}

static hsched_status create_memory(void *object, size_t size, int on_device,
                                   hsched_memory *memory)
{
    const hsi_exec_device *d = object;
    return d->backend->memory_create(d->handle, size, on_device, memory);
}

static hsched_status map_memory(void *object, void *host, size_t size,
                                hsched_memory *memory)
{
    const hsi_exec_device *d = object;
    return d->backend->memory_register(d->handle, host, size, memory);
}

static void destroy_memory(void *object, hsched_memory *memory)
{
    const hsi_exec_device *d = object;
    d->backend->memory_destroy(d->handle, memory);
}

hsi_exec_device *hsi_runtime_mapper(hsched_runtime *rt)
{
    for (uint32_t i = 0; i < rt->device_count; i++)
        if (rt->devices[i].has_queue)
            return &rt->devices[i];
    return NULL;
}

static hsi_buffer_mapper mapper_of(hsi_exec_device *device)
{
    if (!device)
        return (hsi_buffer_mapper){ 0 };
    return (hsi_buffer_mapper){ device, create_memory, map_memory, destroy_memory };
}

static hsched_status check_arguments(hsched_runtime *rt, hsched_buffer **buffer,
                                     const char *function)
{
    if (!buffer)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT, "%s: buffer is NULL", function);
    *buffer = NULL;
    if (!rt)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT, "%s: runtime is NULL", function);
    return HSCHED_OK;
}

static hsched_status check_device(hsched_runtime *rt, uint32_t device,
                                  const char *function)
{
    if (device >= rt->device_count)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "%s: there is no device %u; there are %u", function, device,
                         rt->device_count);
    if (!rt->devices[device].has_queue)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "%s: device %u has no memory of its own; use "
                         "hsched_buffer_create",
                         function, device);
    return HSCHED_OK;
}

/* A buffer that was made holds a reference of its runtime. */
static hsched_status finish(hsched_runtime *rt, hsched_status status)
{
    if (status == HSCHED_OK)
        hsi_runtime_retain(rt);
    return status;
}

HSCHED_API hsched_status hsched_buffer_create(hsched_runtime *rt, size_t size,
                                              hsched_buffer **buffer)
{
    hsched_status status = check_arguments(rt, buffer, "hsched_buffer_create");
    if (status != HSCHED_OK)
        return status;
    hsi_buffer_mapper mapper = mapper_of(hsi_runtime_mapper(rt));
    return finish(rt, hsi_buffer_create((hsi_buffer_owner){ rt, release_owner }, &mapper,
                                        size, 0, buffer));
}

HSCHED_API hsched_status hsched_buffer_wrap(hsched_runtime *rt, void *data, size_t size,
                                            void (*released)(void *user, void *data),
                                            void *user, hsched_buffer **buffer)
{
    hsched_status status = check_arguments(rt, buffer, "hsched_buffer_wrap");
    if (status != HSCHED_OK)
        return status;
    hsi_buffer_mapper mapper = mapper_of(hsi_runtime_mapper(rt));
    return finish(rt, hsi_buffer_wrap((hsi_buffer_owner){ rt, release_owner }, &mapper,
                                      data, 0, size, released, user, buffer));
}

HSCHED_API hsched_status hsched_buffer_import_fd(hsched_runtime *rt, int fd,
                                                 uint64_t offset, size_t size,
                                                 uint32_t flags, hsched_buffer **buffer)
{
    hsched_status status = check_arguments(rt, buffer, "hsched_buffer_import_fd");
    if (status != HSCHED_OK)
        return status;
    hsi_buffer_mapper mapper = mapper_of(hsi_runtime_mapper(rt));
    return finish(rt, hsi_buffer_import((hsi_buffer_owner){ rt, release_owner }, &mapper,
                                        fd, offset, size, flags, buffer));
}

HSCHED_API hsched_status hsched_buffer_create_on(hsched_runtime *rt, uint32_t device,
                                                 size_t size, hsched_buffer **buffer)
{
    hsched_status status = check_arguments(rt, buffer, "hsched_buffer_create_on");
    if (status == HSCHED_OK)
        status = check_device(rt, device, "hsched_buffer_create_on");
    if (status != HSCHED_OK)
        return status;
    hsi_buffer_mapper mapper = mapper_of(&rt->devices[device]);
    return finish(rt, hsi_buffer_create((hsi_buffer_owner){ rt, release_owner }, &mapper,
                                        size, 1, buffer));
}

HSCHED_API hsched_status hsched_buffer_wrap_on(hsched_runtime *rt, uint32_t device,
                                               uintptr_t address, size_t size,
                                               void (*released)(void *user, void *data),
                                               void *user, hsched_buffer **buffer)
{
    hsched_status status = check_arguments(rt, buffer, "hsched_buffer_wrap_on");
    if (status == HSCHED_OK)
        status = check_device(rt, device, "hsched_buffer_wrap_on");
    if (status != HSCHED_OK)
        return status;
    hsi_buffer_mapper mapper = mapper_of(&rt->devices[device]);
    return finish(rt, hsi_buffer_wrap((hsi_buffer_owner){ rt, release_owner }, &mapper,
                                      NULL, address, size, released, user, buffer));
}
