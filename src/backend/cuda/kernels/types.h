/* Parameters of kernels/types.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_TYPES_H
#define HSI_BACKEND_CUDA_KERNELS_TYPES_H

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_TYPES_THREADS 128

/* How elements are stored: a model's float32 as its math says, all else as what it is. */
typedef enum hsi_cuda_stored {
    HSI_CUDA_STORED_F32,
    HSI_CUDA_STORED_F16,
    HSI_CUDA_STORED_BF16,
    HSI_CUDA_STORED_F64,
    HSI_CUDA_STORED_I64,
    HSI_CUDA_STORED_I32,
    HSI_CUDA_STORED_I8,
    HSI_CUDA_STORED_U8,
    HSI_CUDA_STORED_BOOL
} hsi_cuda_stored;

/* cast: nest operands are out and in. */
typedef struct hsi_cuda_cast_params {
    hsi_cuda_nest nest;
    int32_t from, to;   /* hsi_cuda_stored */
    int32_t to_float32; /* the result is float32 before it is anything narrower */
} hsi_cuda_cast_params;

/* where_BYTES: nest operands are out, the condition, and what is chosen from. */
typedef struct hsi_cuda_where_params {
    hsi_cuda_nest nest;
} hsi_cuda_where_params;

/* unary_whole, binary_whole, compare: nest operands are out and the inputs. */
typedef struct hsi_cuda_typed_params {
    hsi_cuda_nest nest;
    int32_t stored; /* hsi_cuda_stored, of the inputs */
    int32_t bits;   /* of an element of theirs */
    int32_t kind;   /* hsched_activation_kind or hsched_binary_kind */
} hsi_cuda_typed_params;

#endif
