/* A runtime with a GPU for tests, which skip where there is none; and memory of all kinds that
 * a user may bind to its runs. */
#ifndef TESTS_GPU_GPU_RUNTIME_H
#define TESTS_GPU_GPU_RUNTIME_H

#include <hsched/hsched.h>

#define GPU 1 /* the device's index in the runtime */

/* Without tuning, unless `config` asks for it. Skips the test, saying why, without a GPU. */
hsched_runtime *gpu_runtime_open(const hsched_runtime_config *config);

/* ---- Memory of users ---- */

typedef enum user_memory_kind {
    USER_MEMORY_PLAIN = 0,   /* of the heap: the library copies */
    USER_MEMORY_SHARED = 1,  /* hsched_buffer_create */
    USER_MEMORY_WRAPPED = 2, /* hsched_buffer_wrap */
    USER_MEMORY_ON_GPU = 3,  /* hsched_buffer_create_on */
    USER_MEMORY_KINDS = 4
} user_memory_kind;

/* One piece of it, in which tensors get their places. */
typedef struct user_memory {
    user_memory_kind kind;
    hsched_buffer *buffer; /* NULL: plain */
    uint8_t *data;         /* NULL: on the GPU */
    uint8_t *image;        /* what it holds, or is to hold */
    uint8_t *held;         /* what it did hold at the last user_memory_fetch */
    size_t size, used;
} user_memory;

void user_memory_create(user_memory *memory, hsched_runtime *runtime,
                        user_memory_kind kind, size_t size);
void user_memory_destroy(user_memory *memory);
/* Forgets what is in it: 0xff everywhere, which is a NaN. */
void user_memory_clear(user_memory *memory);
/* Room for `bytes`, which begin `residue` bytes behind a multiple of 256: its offset. */
size_t user_memory_place(user_memory *memory, size_t bytes, size_t residue);
hsched_binding user_memory_binding(const user_memory *memory, size_t at, size_t bytes);

/* From the image to the memory, and from there to `held`. No run may use it meanwhile. */
void user_memory_send(user_memory *memory);
void user_memory_fetch(user_memory *memory);

#endif
