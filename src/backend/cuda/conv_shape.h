/* What the makers of convolutions and fully connected layers find out about a step. */
#ifndef HSI_BACKEND_CUDA_CONV_SHAPE_H
#define HSI_BACKEND_CUDA_CONV_SHAPE_H

#include "backend/cuda/kernels/conv_shape.h"
#include "backend/cuda/op.h"

/* As in kernels/conv_tile.cu: m numbers the pixels of out. An FC is a 1x1 convolution of
 * images of one pixel. */
typedef struct hsi_cuda_conv {
    hsi_cuda_window window;
    int32_t m, n, k; /* n: channels of out; k: kh * kw * window.channels */
    int32_t groups;
    int32_t out_pixel, residual_pixel; /* pixel strides in elements */
    int has_bias, has_residual;
} hsi_cuda_conv;

/* UNSUPPORTED: not channels-last, or 2^31 elements or more. */
hsched_status hsi_cuda_find_conv(const hsi_cuda_step *step, hsi_cuda_conv *conv);

/* 1 if `width` channels at once can be read from x, or of out and the residual: alignment,
 * pixel strides and channel counts are multiples of that. */
int hsi_cuda_conv_reads_wide(const hsi_cuda_step *step, const hsi_cuda_conv *conv,
                             int32_t width);
int hsi_cuda_conv_writes_wide(const hsi_cuda_step *step, const hsi_cuda_conv *conv,
                              int32_t width);

/* Where the kernel puts its results, without and with the addresses. */
hsi_cuda_conv_out hsi_cuda_conv_output(const hsi_cuda_step *step,
                                       const hsi_cuda_conv *conv);
void hsi_cuda_conv_addresses(hsi_cuda_conv_out *out, const hsi_cuda_call *call);

/* A launch on a grid of x * y blocks. */
typedef struct hsi_cuda_grid {
    uint32_t x, y; /* y 0: 1 */
    uint32_t threads, shared_bytes;
    uint32_t cluster_y; /* blocks along y that form a cluster; 0 or 1: none */
    int early; /* the kernel calls grid_wait() (kernels/launch.cuh): it may begin early */
} hsi_cuda_grid;

/* 1 if this kernel was compiled for clusters and early launches (compute capability 9.0),
 * not translated from older code. */
int hsi_cuda_is_kernel_90(const hsi_cuda_device *device, CUfunction function);

hsched_status hsi_cuda_conv_launch(const char *name, CUfunction function,
                                   const hsi_cuda_grid *grid, const hsi_cuda_call *call,
                                   void *params);

#endif
