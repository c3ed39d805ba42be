/* Parameters of kernels/copy.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_COPY_H
#define HSI_BACKEND_CUDA_KERNELS_COPY_H

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_COPY_THREADS 128

/* copy_BYTES: nest operands are out and in, in words of so many bytes. */
typedef struct hsi_cuda_copy_params {
    hsi_cuda_nest nest;
} hsi_cuda_copy_params;

/*
 * Tiles of 1024 elements, 2^rows_log2 rows of 2^(10 - rows_log2) columns, for tensors whose
 * innermost dimensions differ: along `rows` the slot's elements lie one behind the other,
 * along `columns` the member's.
 */
#define HSI_CUDA_TILE_THREADS 256
typedef struct hsi_cuda_tile_params {
    uint32_t rows, columns;
    uint32_t rows_log2;                       /* 2 to 7 */
    hsi_cuda_divisor row_tiles, column_tiles; /* numbers of tiles */
    int64_t member_row, slot_column;          /* the other strides */
    hsi_cuda_nest rest; /* all other dimensions: operands are member and slot */
    int32_t wide;       /* the member's strides allow four columns at a time */
    int32_t to_slot;
    int64_t slot_stride; /* transfers: from one member to the next */
} hsi_cuda_tile_params;

/* transfer_...: nest operands are member and slot. */
typedef struct hsi_cuda_transfer_params {
    hsi_cuda_nest nest;
    int32_t wide; /* the strides allow 16 bytes of the member at a time */
    int32_t to_slot;
    int64_t slot_stride;
} hsi_cuda_transfer_params;

/* pad_BYTES: dimensions of out in words of so many bytes, the innermost first, each with its own
 * bounds. */
typedef struct hsi_cuda_pad_params {
    uint32_t rank, count;
    int32_t mode;     /* hsched_pad_mode */
    uint32_t fill[4]; /* the constant as it is stored, repeated */
    hsi_cuda_divisor dims[HSI_CUDA_NEST_DIMS];
    int64_t in_dims[HSI_CUDA_NEST_DIMS], before[HSI_CUDA_NEST_DIMS];
    int64_t in_strides[HSI_CUDA_NEST_DIMS], out_strides[HSI_CUDA_NEST_DIMS];
} hsi_cuda_pad_params;

/* image_...: a block takes so many pixels of one image. */
#define HSI_CUDA_IMAGE_THREADS 256
#define HSI_CUDA_IMAGE_PIXELS  512
typedef struct hsi_cuda_image_params {
    int32_t from_table; /* in[0] is a table of addresses, one for `images_each` images */
    uint32_t images_each;
    uint32_t pixels;   /* of an image */
    uint32_t channels; /* 1 to 4 */
    hsi_cuda_divisor width;
    int64_t image_bytes;
    int64_t strides[4]; /* out's n, c, h, w */
    uint32_t source[4]; /* channel of in that channel c of out is made from */
    float mean[4], scale[4];
} hsi_cuda_image_params;

#endif
