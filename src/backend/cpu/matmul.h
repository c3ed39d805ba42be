/* What the kernels of matrix products share. */
#ifndef HSI_BACKEND_CPU_MATMUL_H
#define HSI_BACKEND_CPU_MATMUL_H

#include "backend/cpu/kernel.h"

/* How a library sees a matrix of which element (i, j) is at i * row + j * column. */
typedef struct hsi_blas_matrix {
    int64_t row, column; /* strides */
    int transposed;      /* column-contiguous */
    int copied;          /* to scratch, dense, first */
    int64_t lead;        /* leading dimension, as it is given to the library */
    const char *constant;
    void *owned;
} hsi_blas_matrix;

/* A MATMUL step, read; with the kernel's copies of constants. */
typedef struct hsi_matmul {
    int64_t size; /* of an element */
    int64_t batch, m, k, n;
    uint32_t batch_rank;
    int64_t batch_dims[HSCHED_MAX_DIMS], a_strides[HSCHED_MAX_DIMS],
        b_strides[HSCHED_MAX_DIMS], out_strides[HSCHED_MAX_DIMS];
    int64_t out_row;
    hsi_blas_matrix a, b;
    size_t b_offset; /* in scratch; the copy of a is at 0 */
} hsi_matmul;

/* Shapes and strides; leading dimensions over which b is the same and the rows of a and out
 * go on evenly become rows of one product. 1, or 0 if the rows of out are not contiguous
 * (matmul.c). */
int hsi_matmul_read(const hsched_step *step, hsi_matmul *matmul);

/* Where matrices number `index` of the batch begin, in elements (matmul.c). */
void hsi_matmul_offsets(const hsi_matmul *matmul, int64_t index, int64_t *a, int64_t *b,
                        int64_t *out);

/* act(y), for `rows` rows of out, which are float32: behind doubles there is none (matmul.c). */
void hsi_matmul_activate(hsched_activation act, float *y, int64_t rows,
                         const hsi_matmul *matmul);

extern const hsi_cpu_kernel hsi_cpu_matmul_onednn_bf16; /* matmul_bf16.c */

#endif
