/* Memory that is known by a file descriptor, mapped: a dma-buf, or memory shared by processes. */
#ifndef HSI_BUFFER_IMPORT_H
#define HSI_BUFFER_IMPORT_H

#include "buffer/access.h"

typedef struct hsi_import {
    void *base; /* the mapping: whole pages */
    size_t length;
    size_t inset; /* of the buffer in it */
    int read_only;
    hsi_access access;
} hsi_import;

/* `flags`: HSCHED_IMPORT_...; the descriptor is not needed any more afterwards. Errors:
 * INVALID_ARGUMENT, UNSUPPORTED (cannot be mapped), OUT_OF_MEMORY, SYSTEM. */
hsched_status hsi_import_open(int fd, uint64_t offset, size_t size, uint32_t flags,
                              hsi_import **import);
void hsi_import_close(hsi_import *import); /* takes NULL */

#endif
