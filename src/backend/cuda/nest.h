/* Making the loop nests that kernels walk (kernels/nest.h). */
#ifndef HSI_BACKEND_CUDA_NEST_H
#define HSI_BACKEND_CUDA_NEST_H

#include <hsched/backend.h>

#include "backend/cuda/kernels/nest.h"

/* 1 <= divisor < 2^31 */
hsi_cuda_divisor hsi_cuda_divide_by(uint32_t divisor);

/* The dimensions by the size of their strides, the largest (outermost) first; of equal
 * ones the first first. */
void hsi_cuda_order_dims(uint32_t rank, const int64_t *strides, uint32_t *order);

/*
 * A nest over dims[rank], its operands' strides in strides[0..operands-1] (the rest of the
 * nest's are 0). The first operand decides the order: its smallest stride is innermost.
 * UNSUPPORTED, with the error set, for 2^31 elements or more.
 */
hsched_status hsi_cuda_nest_make(hsi_cuda_nest *nest, uint32_t rank, const int64_t *dims,
                                 uint32_t operands, const int64_t *const *strides);

/* The nest without its dimension d. */
void hsi_cuda_nest_drop(const hsi_cuda_nest *nest, uint32_t d, hsi_cuda_nest *rest);

/*
 * 1 if the nest can be walked `width` elements at a time, as far as this operand goes: they
 * lie one behind the other, and every group of them begins at a multiple of `width`
 * elements from the operand's first. `may_repeat`: an operand that does not move along the
 * innermost dimension will do as well.
 */
int hsi_cuda_nest_is_wide(const hsi_cuda_nest *nest, uint32_t operand, uint32_t width,
                          int may_repeat);

#endif
