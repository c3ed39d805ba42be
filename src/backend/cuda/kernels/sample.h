/* Parameters of kernels/sample.cu. In wide kernels all moves are in multiples of their width. */
#ifndef HSI_BACKEND_CUDA_KERNELS_SAMPLE_H
#define HSI_BACKEND_CUDA_KERNELS_SAMPLE_H

#include "backend/cuda/kernels/nest.h"
#include "backend/grid.h"
#include "backend/roi.h"

#define HSI_CUDA_SAMPLE_THREADS 128

/* grid_...: nest operands are out, x along images and channels alone, and the grid. */
typedef struct hsi_cuda_grid_params {
    hsi_cuda_nest nest;
    hsi_grid_way way;
    int64_t coordinate_stride;
    int64_t sizes[3], strides[3]; /* of x: planes, if there are any, rows, columns */
} hsi_cuda_grid_params;

/* roi_...: nest operands are out, x along channels alone, the number of the region, and that of
 * the bin, row by row. */
typedef struct hsi_cuda_roi_params {
    hsi_cuda_nest nest;
    hsi_cuda_divisor columns; /* of bins */
    hsi_roi_way way;
    int64_t region_stride, number_stride, index_stride;
    int64_t images, image_stride;
    int64_t sizes[2], strides[2]; /* of x: rows, columns */
    int32_t wide_index;           /* int64, else int32 */
} hsi_cuda_roi_params;

#endif
