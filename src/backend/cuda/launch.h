/* Ops of one kernel launch: all but the libraries' are that. */
#ifndef HSI_BACKEND_CUDA_LAUNCH_H
#define HSI_BACKEND_CUDA_LAUNCH_H

#include "backend/cuda/op.h"

/* "f32", "f16" or "bf16": what kernels of this type end in. */
const char *hsi_cuda_type_suffix(hsi_cuda_type type);

/*
 * A kernel `void k(const __grid_constant__ P params, const __grid_constant__
 * hsi_cuda_addresses addresses)` and how it is launched. The grid is blocks x rows.
 */
typedef struct hsi_cuda_kernel_launch {
    hsi_cuda_device *device;
    hsi_cuda_module module;
    uint64_t blocks;
    uint32_t rows;      /* 0: 1 */
    uint32_t threads;   /* a block */
    const void *params; /* copied */
    size_t params_size;
} hsi_cuda_kernel_launch;

/* `kernel` is the name of the function, `format` gives the op's name for people. */
hsched_status hsi_cuda_make_launch(const hsi_cuda_kernel_launch *launch,
                                   const char *kernel, hsi_cuda_op **op,
                                   const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Sets the error, "GPU: <why>", and returns UNSUPPORTED. */
hsched_status hsi_cuda_unsupported(const char *why);

/* Blocks for `items` with `each` to a block. */
static inline uint64_t hsi_cuda_blocks(uint64_t items, uint32_t each)
{
    return (items + each - 1) / each;
}

/* The same for kernels that loop over the grid: no more blocks than keep the GPU full for
 * long. */
uint64_t hsi_cuda_loop_blocks(const hsi_cuda_device *device, uint64_t items,
                              uint32_t each);

#endif
