/* Products of two matrices by the libraries that have them. */
#ifndef HSI_BACKEND_CPU_GEMM_H
#define HSI_BACKEND_CPU_GEMM_H

#include <hsched/hsched.h>

/*
 * out [m,n] = a [m,k] * b [k,n], all at least 1. Rows follow each other at a distance of `lead`
 * elements; of a matrix that is flipped columns do. INT_MAX bounds all numbers.
 */
typedef struct hsi_cpu_product {
    int64_t m, n, k;
    const float *a, *b;
    float *out;
    int64_t a_lead, b_lead, out_lead;
    int a_flip, b_flip;
} hsi_cpu_product;

typedef hsched_status hsi_cpu_gemm(const hsi_cpu_product *p);
hsi_cpu_gemm hsi_cpu_gemm_openblas;
/*
 * oneDNN's, where it is built in: its kernels are made for the processor that there is, which
 * OpenBLAS may not know (it then takes those of an old one). Measured beside OpenBLAS's for AVX-512
 * it takes 0.73 to 0.97 of their time; beside its fallback, a fifth.
 */
hsi_cpu_gemm hsi_cpu_gemm_onednn;
/* 1 if that is built in and has good kernels for this processor. */
int hsi_cpu_gemm_has_onednn(void);

#endif
