/* What the kernels of matrix products share. */
#ifndef HSI_BACKEND_CPU_MATMUL_H
#define HSI_BACKEND_CPU_MATMUL_H

#include "backend/cpu/kernel.h"

/*
 * A MATMUL step, read: `batch` products of a [m,k] and b [k,n], whose element (i, j) is at
 * i * row + j * column. Leading dimensions over which b is the same and the rows of a and out go
 * on evenly are rows of one product.
 */
typedef struct hsi_matmul {
    int64_t size; /* of an element */
    int64_t batch, m, k, n;
    uint32_t batch_rank;
    int64_t batch_dims[HSCHED_MAX_DIMS], a_strides[HSCHED_MAX_DIMS],
        b_strides[HSCHED_MAX_DIMS], out_strides[HSCHED_MAX_DIMS];
    int64_t a_row, a_column, b_row, b_column, out_row;
} hsi_matmul;

/* 1, or 0 if it is none whose out has rows of floats side by side, that do not overlap. */
int hsi_matmul_read(const hsched_step *step, hsi_matmul *matmul);
/* Where matrices number `index` of the batch begin. */
void hsi_matmul_offsets(const hsi_matmul *matmul, int64_t index, int64_t *a, int64_t *b,
                        int64_t *out);
/* act(y), for `rows` rows of out, which are float32: behind doubles there is none. */
void hsi_matmul_activate(hsched_activation act, float *y, int64_t rows,
                         const hsi_matmul *matmul);
/* A matrix of elements of `size` bytes, row by row without gaps. */
void hsi_matmul_copy(const void *from, int64_t row, int64_t column, int64_t size,
                     int64_t rows, int64_t columns, void *to);

extern const hsi_cpu_kernel hsi_cpu_matmul_packed;      /* matmul_packed.c */
extern const hsi_cpu_kernel hsi_cpu_matmul_onednn_bf16; /* matmul_bf16.c */

#endif
