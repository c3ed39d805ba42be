/*
 * Depthwise convolution by own kernels: x [n,c,h,w], weights [c,1,kh,kw] packed as [kh*kw,c], y
 * [n,c,oh,ow].
 *
 * Some pixels of a row of y at a time, of all channels: what is read of x lies side by side. For
 * kernels three columns wide sums are in registers, and what neighbours share is read once.
 */
#ifndef HSI_BACKEND_CPU_DEPTHWISE_H
#define HSI_BACKEND_CPU_DEPTHWISE_H

#include "backend/cpu/conv2d.h"

typedef struct hsi_depthwise {
    hsi_conv2d conv;
    hsched_activation act;
    float *weights; /* [kh*kw][c] */
    const float *bias;
    void *owned_bias;
    float lo, hi; /* act, if it is a clamp */
    int clamp;    /* else the activation follows */
} hsi_depthwise;

/* 1 if the step is a CONV2D that can be computed so. */
int hsi_depthwise_supports(const hsched_step *step);
/* Of such a step; `depthwise` is zeroed, and is cleared whatever the result. */
hsched_status hsi_depthwise_init(hsi_depthwise *depthwise,
                                 const hsi_cpu_prepare_context *context,
                                 const hsched_step *step, uint64_t *weight_bytes);
void hsi_depthwise_clear(hsi_depthwise *depthwise);
/* Rows [begin, end) of y, counted over all images; x: all of it, y and the residual (NULL: there
 * is none, and y is it if residual_in_place): from row `begin` on. */
void hsi_depthwise_rows(const hsi_depthwise *depthwise, const float *x,
                        const float *residual, float *y, int64_t begin, int64_t end);

#endif
