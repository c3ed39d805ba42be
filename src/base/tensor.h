/* Arithmetic on shapes and strides, shared by all that handle tensors. */
#ifndef HSI_BASE_TENSOR_H
#define HSI_BASE_TENSOR_H

#include <hsched/hsched.h>

/* A text "[1,3,224,224]" in a rotating per-thread buffer (eight live at a time). */
const char *hsi_shape_text(uint32_t rank, const int64_t *dims);

/* Number of elements; 0 returned on overflow or a negative dimension, else 1. */
int hsi_element_count(uint32_t rank, const int64_t *dims, size_t *count);
int hsi_byte_size(hsched_dtype dtype, uint32_t rank, const int64_t *dims, size_t *bytes);

/* Row-major strides in elements; channels-last strides of a rank-4 N,C,H,W shape. */
void hsi_dense_strides(uint32_t rank, const int64_t *dims, int64_t *strides);
void hsi_nhwc_strides(const int64_t *dims, int64_t pixel_stride, int64_t *strides);

/* 1 if the strides address the same elements as dense ones (dimensions of size 1 do not
 * matter). */
int hsi_is_dense(uint32_t rank, const int64_t *dims, const int64_t *strides);
/* 1 if rank is 4 and the strides are channels-last (any pixel stride >= C; it is then
 * stored). */
int hsi_is_nhwc(uint32_t rank, const int64_t *dims, const int64_t *strides,
                int64_t *pixel_stride);

#endif
