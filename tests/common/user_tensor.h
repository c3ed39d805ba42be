/* Memory of all kinds that a user may bind an input or output of a run to. */
#ifndef TESTS_COMMON_USER_TENSOR_H
#define TESTS_COMMON_USER_TENSOR_H

#include <hsched/hsched.h>

typedef enum user_tensor_kind {
    USER_TENSOR_PLAIN = 0, /* of the heap */
    USER_TENSOR_SHARED,    /* hsched_buffer_create */
    USER_TENSOR_WRAPPED,   /* hsched_buffer_wrap */
    USER_TENSOR_ON_DEVICE, /* hsched_buffer_create_on device 1, the simulated queue */
    USER_TENSOR_KEPT,      /* outputs only: the library's */
    USER_TENSOR_KINDS
} user_tensor_kind;

typedef struct user_tensor {
    user_tensor_kind kind;
    size_t bytes;
    hsched_buffer *buffer;
    void *data; /* NULL: not the CPU's */
} user_tensor;

/* It holds NaNs. */
void user_tensor_make(user_tensor *tensor, hsched_runtime *runtime, user_tensor_kind kind,
                      size_t bytes);
void user_tensor_free(user_tensor *tensor);
hsched_binding user_tensor_binding(const user_tensor *tensor);
void user_tensor_put(const user_tensor *tensor, const void *data);
/* `run`: it ended well, and the tensor is its output `index`. */
void user_tensor_get(const user_tensor *tensor, hsched_run *run, uint32_t index,
                     void *data);

#endif
