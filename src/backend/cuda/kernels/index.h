/* Parameters of kernels/index.cu. Indices are int64 where `wide_index`, else int32. */
#ifndef HSI_BACKEND_CUDA_KERNELS_INDEX_H
#define HSI_BACKEND_CUDA_KERNELS_INDEX_H

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_INDEX_THREADS 128

/* gather_BYTES: nest operands are out, in and indices; in does not move along the axis. Strides of
 * out and in are in words of so many bytes. */
typedef struct hsi_cuda_gather_params {
    hsi_cuda_nest nest;
    int64_t size, stride; /* in's along the axis */
    int32_t wide_index;
} hsi_cuda_gather_params;

/* tuple_index: nest operands are out and in. */
typedef struct hsi_cuda_tuple_params {
    hsi_cuda_nest nest;
    uint32_t length; /* of a tuple */
    int64_t stride;  /* in's along it */
    int64_t dims[HSI_CUDA_NEST_DIMS];
    int64_t all; /* places */
    int32_t wide_index;
} hsi_cuda_tuple_params;

/*
 * scatter_...: dimensions of out, the innermost first. Along `axis` indices and updates do not
 * move; they have `updates` elements there.
 */
typedef struct hsi_cuda_scatter_params {
    uint32_t rank, count, axis, updates;
    hsi_cuda_divisor dims[HSI_CUDA_NEST_DIMS];
    int64_t update_dims[HSI_CUDA_NEST_DIMS]; /* along the axis: out's */
    int64_t out_strides[HSI_CUDA_NEST_DIMS], in_strides[HSI_CUDA_NEST_DIMS];
    int64_t index_strides[HSI_CUDA_NEST_DIMS], update_strides[HSI_CUDA_NEST_DIMS];
    int64_t size; /* out's along the axis */
    int64_t index_stride, update_stride;
    int32_t kind; /* hsched_scatter_kind */
    int32_t wide_index;
} hsi_cuda_scatter_params;

#endif
