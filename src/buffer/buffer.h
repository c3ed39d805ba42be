/* Zero-copy buffers: reference-counted memory that all devices use in place. */
#ifndef HSI_BUFFER_BUFFER_H
#define HSI_BUFFER_BUFFER_H

#include <hsched/backend.h>

#include "buffer/import.h"

/* `owner` is kept alive by the buffer: owner_release(owner) is called when the buffer is
 * gone. */
typedef struct hsi_buffer_owner {
    void *object;
    void (*release)(void *object);
} hsi_buffer_owner;

/* How devices reach memory; all NULL: only the CPU does. */
typedef struct hsi_buffer_mapper {
    void *object;
    /* Memory of the device (on_device) or of the host, mapped. */
    hsched_status (*create)(void *object, size_t size, int on_device,
                            hsched_memory *memory);
    hsched_status (*map)(void *object, void *host, size_t size, hsched_memory *memory);
    void (*destroy)(void *object, hsched_memory *memory);
} hsi_buffer_mapper;

/* On success the buffer has taken over one reference of the owner. */
hsched_status hsi_buffer_create(hsi_buffer_owner owner, const hsi_buffer_mapper *mapper,
                                size_t size, int on_device, hsched_buffer **buffer);
/* address 0: `data` is host memory; else the device's memory. */
hsched_status hsi_buffer_wrap(hsi_buffer_owner owner, const hsi_buffer_mapper *mapper,
                              void *data, uint64_t address, size_t size,
                              void (*released)(void *user, void *data), void *user,
                              hsched_buffer **buffer);
/* Memory of a descriptor; see hsi_import_open. */
hsched_status hsi_buffer_import(hsi_buffer_owner owner, const hsi_buffer_mapper *mapper,
                                int fd, uint64_t offset, size_t size, uint32_t flags,
                                hsched_buffer **buffer);
/* What it was imported as, or NULL. */
hsi_import *hsi_buffer_imported(const hsched_buffer *buffer);
/* Where it lies, and whose memory it is if the CPU cannot reach it (mapper->object). */
const hsched_memory *hsi_buffer_memory(const hsched_buffer *buffer);
void *hsi_buffer_device(const hsched_buffer *buffer);

#endif
