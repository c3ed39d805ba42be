/* Parameters of kernels/resize.cu. */
#ifndef HSI_BACKEND_CUDA_KERNELS_RESIZE_H
#define HSI_BACKEND_CUDA_KERNELS_RESIZE_H

#include "backend/cuda/kernels/nest.h"

#define HSI_CUDA_RESIZE_THREADS 128
#define HSI_CUDA_RESIZE_AXES    3 /* at most, all others stay as they are */

/* What hsched_step's u.resize says of one axis, and its sizes. */
typedef struct hsi_cuda_resize_axis {
    int64_t in_size, out_size, in_stride;
    float scale, length, roi_start, roi_end;
} hsi_cuda_resize_axis;

/*
 * Dimensions of out, the innermost first; axis[d] is which of `axes` dimension d is, or -1.
 * nearest_BYTES: in words of so many bytes. linear and cubic, resize_AXES_...: in elements, of
 * which those kernels that are wide take several, so that dims[0] is no axis.
 */
typedef struct hsi_cuda_resize_params {
    uint32_t rank, count;
    hsi_cuda_divisor dims[HSI_CUDA_NEST_DIMS];
    int64_t in_strides[HSI_CUDA_NEST_DIMS], out_strides[HSI_CUDA_NEST_DIMS];
    int32_t axis[HSI_CUDA_NEST_DIMS];
    uint32_t axis_count;
    hsi_cuda_resize_axis axes[HSI_CUDA_RESIZE_AXES];
    int32_t mode, coordinates, rounding; /* hsched_resize_... */
    int32_t exclude_outside, antialias;
    float cubic_a, extrapolation_value;
    uint32_t fill[4]; /* nearest: that value as it is stored, repeated */
} hsi_cuda_resize_params;

#endif
