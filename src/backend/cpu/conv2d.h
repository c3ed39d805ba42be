/* What the convolution kernels share. */
#ifndef HSI_BACKEND_CPU_CONV2D_H
#define HSI_BACKEND_CPU_CONV2D_H

#include "backend/cpu/kernel.h"

/*
 * A CONV2D step, read: x [n,c,h,w] with x_pixel floats from pixel to pixel, weights
 * [o,c/groups,kh,kw], y and the residual [n,o,oh,ow]. The element of padded row r, 0 <=
 * r, lies in row r - pad_top of x.
 */
typedef struct hsi_conv2d {
    int64_t n, c, h, w, o, oh, ow, kh, kw;
    int64_t stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left;
    int64_t groups, group_c, group_o;
    int64_t x_pixel, y_pixel, residual_pixel;
    int has_bias, has_residual;
    int residual_in_place; /* y holds it already */
} hsi_conv2d;

/* 1, or 0 if the step is not a float32 convolution of channels-last tensors with
 * constants. */
int hsi_conv2d_read(const hsched_step *step, hsi_conv2d *conv);

extern const hsi_cpu_kernel hsi_cpu_conv2d_onednn;       /* conv2d_onednn.c */
extern const hsi_cpu_kernel hsi_cpu_conv2d_bf16;         /* conv2d_onednn.c */
extern const hsi_cpu_kernel hsi_cpu_conv2d_int8;         /* conv2d_int8.c */
extern const hsi_cpu_kernel hsi_cpu_conv2d_direct;       /* conv2d_direct.c */
extern const hsi_cpu_kernel hsi_cpu_conv2d_winograd_4x4; /* conv2d_winograd.c */
extern const hsi_cpu_kernel hsi_cpu_conv2d_winograd_2x2; /* conv2d_winograd.c */
extern const hsi_cpu_kernel hsi_cpu_conv2d_depthwise;    /* conv2d_depthwise.c */
extern const hsi_cpu_kernel hsi_cpu_conv2d_1x1;          /* conv2d_openblas.c */
extern const hsi_cpu_kernel hsi_cpu_conv2d_im2col;       /* conv2d_openblas.c */

#endif
