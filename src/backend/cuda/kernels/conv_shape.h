/* How a convolution's windows lie in x, and where its results go: for the kernels. */
#ifndef HSI_BACKEND_CUDA_KERNELS_CONV_SHAPE_H
#define HSI_BACKEND_CUDA_KERNELS_CONV_SHAPE_H

#include <stdint.h>

#include <hsched/hsched.h>

#include "backend/cuda/kernels/nest.h"

/* x is channels-last; a pixel of out with index m = (n * out_height + oy) * out_width + ox
 * has its window at (oy * stride_h - pad_top, ox * stride_w - pad_left). */
typedef struct hsi_cuda_window {
    int32_t channels;             /* that one output channel sees: C / groups */
    int32_t height, width, pixel; /* of x; the stride between pixels, in elements */
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
    int32_t out_height, out_width, out_image; /* out_image: their product */
    hsi_cuda_divisor by_channels, by_kernel_w, by_out_width, by_out_image;
} hsi_cuda_window;

/* out[m][n] = act(sum + bias[n] + residual[m][n]) */
typedef struct hsi_cuda_conv_out {
    uint64_t bias, residual, out;      /* 0: none */
    int32_t m, n;                      /* pixels and channels of out */
    int32_t out_pixel, residual_pixel; /* pixel strides in elements */
    int32_t wide;   /* out, residual and n allow access to 4 channels at once */
    int32_t clamps; /* the activation is: between low and high */
    float low, high;
    hsched_activation act;
} hsi_cuda_conv_out;

#endif
