/*
 * Loop nests over strided tensors: what makers prepare and kernels walk. A nest visits the
 * elements of one shape in up to four tensors at once; dimensions of size 1 are left out and
 * those that lie one behind the other in all tensors are one. Included by C and CUDA.
 */
#ifndef HSI_BACKEND_CUDA_KERNELS_NEST_H
#define HSI_BACKEND_CUDA_KERNELS_NEST_H

#include <stdint.h>

#define HSI_CUDA_NEST_DIMS     8
#define HSI_CUDA_NEST_OPERANDS 4

/* Divides numbers below 2^31 by multiplication: n / divisor == (umulhi(n, multiplier) + n)
 * >> shift. */
typedef struct hsi_cuda_divisor {
    uint32_t divisor, multiplier, shift;
} hsi_cuda_divisor;

typedef struct hsi_cuda_nest {
    uint32_t rank;
    uint32_t count;                            /* elements in all, 1 to 2^31 - 1 */
    hsi_cuda_divisor dims[HSI_CUDA_NEST_DIMS]; /* the innermost first */
    int64_t strides[HSI_CUDA_NEST_OPERANDS][HSI_CUDA_NEST_DIMS];
} hsi_cuda_nest;

/* A kernel's second argument: what is known only when it is launched. */
typedef struct hsi_cuda_addresses {
    uint64_t in[4], out, workspace;
} hsi_cuda_addresses;

#endif
