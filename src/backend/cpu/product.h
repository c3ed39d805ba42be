/*
 * Products of matrices by a library: oneDNN's, compiled for the processor that it meets, or
 * OpenBLAS's, which has kernels for the processors that it knows by name: for one that is
 * newer than itself it takes those of a very old one, at a fifth of the speed.
 */
#ifndef HSI_BACKEND_CPU_PRODUCT_H
#define HSI_BACKEND_CPU_PRODUCT_H

#include "backend/cpu/kernel.h"

/* c [m,n] = a [m,k] * b [k,n], row after row. A matrix that is flipped lies in memory as its
 * transpose; leads are the distances of rows in memory, at least a row. All fit an int. The
 * elements are floats, or doubles where the function says so. */
typedef struct hsi_product {
    int64_t m, k, n;
    const void *a, *b;
    void *c;
    int64_t a_lead, b_lead, c_lead;
    int a_flip, b_flip;
} hsi_product;

typedef hsched_status hsi_multiply(const hsi_product *p);

hsched_status hsi_openblas_multiply(const hsi_product *p);
hsched_status hsi_openblas_multiply_doubles(const hsi_product *p);

/* 1 if oneDNN is built in, and has fast products for this processor. */
int hsi_onednn_multiplies(void);
/* The first product of a process takes some 30 ms, in which oneDNN compiles its kernels: done
 * here. Any thread. */
void hsi_onednn_warm_up(void);
hsched_status hsi_onednn_multiply(const hsi_product *p);

#endif
