/* Zero-copy buffers: reference-counted memory that all devices use in place. */
#ifndef HSI_BUFFER_BUFFER_H
#define HSI_BUFFER_BUFFER_H

#include <hsched/hsched.h>

/* `owner` is kept alive by the buffer: owner_release(owner) is called when the buffer is
 * gone. */
typedef struct hsi_buffer_owner {
    void *object;
    void (*release)(void *object);
} hsi_buffer_owner;

hsched_status hsi_buffer_create(hsi_buffer_owner owner, size_t size,
                                hsched_buffer **buffer);
hsched_status hsi_buffer_wrap(hsi_buffer_owner owner, void *data, size_t size,
                              void (*released)(void *user, void *data), void *user,
                              hsched_buffer **buffer);
void *hsi_buffer_data(const hsched_buffer *buffer);

#endif
