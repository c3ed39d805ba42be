#include "base/tensor.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

HSCHED_API size_t hsched_dtype_size(hsched_dtype dtype)
{
    switch (dtype) {
    case HSCHED_FLOAT32:
    case HSCHED_INT32:
        return 4;
    case HSCHED_INT64:
    case HSCHED_FLOAT64:
        return 8;
    case HSCHED_FLOAT16:
    case HSCHED_BFLOAT16:
        return 2;
    case HSCHED_UINT8:
    case HSCHED_INT8:
    case HSCHED_BOOL:
        return 1;
    default:
        return 0;
    }
}

HSCHED_API const char *hsched_dtype_name(hsched_dtype dtype)
{
    static const char *const names[] = {
        [HSCHED_DTYPE_NONE] = "none",   [HSCHED_FLOAT32] = "float32",
        [HSCHED_UINT8] = "uint8",       [HSCHED_INT64] = "int64",
        [HSCHED_INT32] = "int32",       [HSCHED_BOOL] = "bool",
        [HSCHED_FLOAT16] = "float16",   [HSCHED_INT8] = "int8",
        [HSCHED_BFLOAT16] = "bfloat16", [HSCHED_FLOAT64] = "float64",
    };
    if ((size_t)dtype >= sizeof names / sizeof *names)
        return "unknown";
    return names[dtype];
}

const char *hsi_shape_text(uint32_t rank, const int64_t *dims)
{
    enum {
        LIVE = 8,
        LENGTH = HSCHED_MAX_DIMS * 21 + 8
    };
    static _Thread_local char buffers[LIVE][LENGTH];
    static _Thread_local unsigned next;
    char *text = buffers[next++ % LIVE];
    size_t used = 0;
    text[used++] = '[';
    for (uint32_t i = 0; i < rank && i < HSCHED_MAX_DIMS; i++)
        used += (size_t)snprintf(text + used, LENGTH - used, "%s%lld", i ? "," : "",
                                 (long long)dims[i]);
    text[used++] = ']';
    text[used] = '\0';
    return text;
}

int hsi_element_count(uint32_t rank, const int64_t *dims, size_t *count)
{
    size_t product = 1;
    *count = 0;
    for (uint32_t i = 0; i < rank; i++)
        if (dims[i] < 0 || !hsi_mul_size(product, (size_t)dims[i], &product))
            return 0;
    *count = product;
    return 1;
}

int hsi_byte_size(hsched_dtype dtype, uint32_t rank, const int64_t *dims, size_t *bytes)
{
    size_t count;
    *bytes = 0;
    return hsi_element_count(rank, dims, &count) &&
           hsi_mul_size(count, hsched_dtype_size(dtype), bytes);
}

void hsi_dense_strides(uint32_t rank, const int64_t *dims, int64_t *strides)
{
    int64_t stride = 1;
    for (uint32_t i = rank; i-- > 0;) {
        strides[i] = stride;
        stride *= dims[i];
    }
}

void hsi_nhwc_strides(const int64_t *dims, int64_t pixel_stride, int64_t *strides)
{
    strides[0] = dims[2] * dims[3] * pixel_stride;
    strides[1] = 1;
    strides[2] = dims[3] * pixel_stride;
    strides[3] = pixel_stride;
}

int hsi_is_dense(uint32_t rank, const int64_t *dims, const int64_t *strides)
{
    int64_t stride = 1;
    for (uint32_t i = rank; i-- > 0;) {
        if (dims[i] != 1 && strides[i] != stride)
            return 0;
        stride *= dims[i];
    }
    return 1;
}

int hsi_is_nhwc(uint32_t rank, const int64_t *dims, const int64_t *strides,
                int64_t *pixel_stride)
{
    if (rank != 4 || (dims[1] != 1 && strides[1] != 1))
        return 0;
    /* The innermost spatial dimension larger than 1 tells the pixel stride. */
    int64_t pixel = dims[1];
    if (dims[3] != 1)
        pixel = strides[3];
    else if (dims[2] != 1)
        pixel = strides[2];
    else if (dims[0] != 1)
        pixel = strides[0];
    if (pixel < dims[1] || (dims[2] != 1 && strides[2] != dims[3] * pixel) ||
        (dims[0] != 1 && strides[0] != dims[2] * dims[3] * pixel))
        return 0;
    *pixel_stride = pixel;
    return 1;
}
