/* What makers of steps of several types share. */
#ifndef HSI_BACKEND_CUDA_OP_TYPES_H
#define HSI_BACKEND_CUDA_OP_TYPES_H

#include "backend/cuda/kernels/types.h"
#include "backend/cuda/op.h"

hsi_cuda_stored hsi_cuda_stored_as(hsched_dtype dtype, hsi_cuda_type type);

/* UNARY and BINARY of other types than float32, and BINARY that compares. */
hsi_cuda_maker hsi_cuda_make_typed_unary;
hsi_cuda_maker hsi_cuda_make_typed_binary;

#endif
