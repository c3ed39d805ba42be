/*
 * The GPU's kernels. Each kernels/NAME.cu is compiled to one fat binary, embedded in the
 * plug-in and loaded when a kernel of it is first asked for. Kernels are extern "C".
 */
#ifndef HSI_BACKEND_CUDA_MODULE_H
#define HSI_BACKEND_CUDA_MODULE_H

#include <cuda.h>
#include <hsched/backend.h>

/* X(NAME, file): kernels/file.cu */
#define HSI_CUDA_MODULE_LIST(X)                                                          \
    X(COPY, copy)               /* copies, pad, image, entry and exit of a batch */      \
    X(ELEMENTWISE, elementwise) /* unary, binary, scale */                               \
    X(NORM, norm)               /* softmax, norm, LRN */                                 \
    X(REDUCE, reduce)                                                                    \
    X(RESIZE, resize)                                                                    \
    X(SAMPLE, sample) /* grid_sample, roi_align */                                       \
    X(INDEX, index)   /* gather, tuple_index, scatter */                                 \
    X(AXIS, axis)     /* arg, top_k, cumsum */                                           \
    X(ROTARY, rotary)                                                                    \
    X(TYPES, types) /* cast, where, integers and bool */                                 \
    X(POOL, pool)                                                                        \
    X(POOL_INDEX, pool_index)                                                            \
    X(MATMUL, matmul) /* any strides; FC of few rows */                                  \
    X(RECURRENT, recurrent)                                                              \
    X(CONV_DIRECT, conv_direct) /* any convolution; depthwise */                         \
    X(CONV_TILE, conv_tile)     /* implicit GEMM on tensor cores */

typedef enum hsi_cuda_module {
#define HSI_CUDA_MODULE_ENUM(name, file) HSI_CUDA_MODULE_##name,
    HSI_CUDA_MODULE_LIST(HSI_CUDA_MODULE_ENUM)
#undef HSI_CUDA_MODULE_ENUM
    HSI_CUDA_MODULE_COUNT
} hsi_cuda_module;

/*
 * Finds a kernel by name. `shared_bytes`: dynamic shared memory that it will be launched with
 * (the limit is raised when it is above 48 KiB). The CUfunction stays valid as long as the
 * device. Any thread; the device's context is current.
 */
hsched_status hsi_cuda_kernel(hsched_backend_device *device, hsi_cuda_module module,
                              const char *name, uint32_t shared_bytes,
                              CUfunction *function);

#endif
