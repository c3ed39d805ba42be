/* bfloat16, the upper half of a float: operands of the kernels for HSCHED_MATH_BF16. */
#ifndef HSI_BACKEND_CPU_BF16_H
#define HSI_BACKEND_CPU_BF16_H

#include <stdint.h>

/* 1 if the processor has instructions for bfloat16: AVX-512 BF16, which those with AMX have, too.
 * Without them there are no kernels for it. Any thread. */
int hsi_cpu_has_bf16(void);

/* 1 if oneDNN is there and may use these instructions. Any thread. */
int hsi_onednn_has_bf16(void);

/* 1 if oneDNN may use AMX, which has 16 times the products of float32, on paper. AVX-512 BF16 alone
 * means little: an Emerald Rapids took twice as long with it as in float32; on other processors
 * it should be half as long. */
int hsi_cpu_has_amx(void);

/* y[rows, columns] = x[rows, columns], rounded to nearest, ties to even; denormal numbers become 0.
 * Any row strides. Only where hsi_cpu_has_bf16. */
void hsi_cpu_to_bf16(uint16_t *y, int64_t y_stride, const float *x, int64_t x_stride,
                     int64_t rows, int64_t columns);

#endif
