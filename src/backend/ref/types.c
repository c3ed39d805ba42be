/* CAST and WHERE on any shape, and elements of any type. */
#include "backend/ref/types.h"

#include <string.h>

#include "backend/ref/ref.h"
#include "base/element.h"

int64_t hsi_ref_get_int(hsched_dtype dtype, const void *data, int64_t offset)
{
    switch (dtype) {
    case HSCHED_INT64:
        return ((const int64_t *)data)[offset];
    case HSCHED_INT32:
        return ((const int32_t *)data)[offset];
    case HSCHED_INT8:
        return ((const int8_t *)data)[offset];
    case HSCHED_UINT8:
        return ((const uint8_t *)data)[offset];
    default:
        return ((const uint8_t *)data)[offset] != 0;
    }
}

double hsi_ref_get_real(hsched_dtype dtype, const void *data, int64_t offset)
{
    switch (dtype) {
    case HSCHED_FLOAT32:
        return ((const float *)data)[offset];
    case HSCHED_FLOAT64:
        return ((const double *)data)[offset];
    case HSCHED_FLOAT16:
        return hsi_float_of_half(((const uint16_t *)data)[offset]);
    case HSCHED_BFLOAT16:
        return hsi_float_of_bfloat(((const uint16_t *)data)[offset]);
    default:
        return (double)hsi_ref_get_int(dtype, data, offset);
    }
}

void hsi_ref_put_int(hsched_dtype dtype, void *data, int64_t offset, int64_t value)
{
    switch (dtype) {
    case HSCHED_INT64:
        ((int64_t *)data)[offset] = value;
        break;
    case HSCHED_INT32:
        ((uint32_t *)data)[offset] = (uint32_t)(uint64_t)value;
        break;
    case HSCHED_INT8:
    case HSCHED_UINT8:
        ((uint8_t *)data)[offset] = (uint8_t)(uint64_t)value;
        break;
    case HSCHED_FLOAT32: /* at once: a double in between would round twice */
        ((float *)data)[offset] = (float)value;
        break;
    case HSCHED_BOOL:
        ((uint8_t *)data)[offset] = value != 0;
        break;
    default:
        hsi_ref_put_real(dtype, data, offset, (double)value);
    }
}

void hsi_ref_put_real(hsched_dtype dtype, void *data, int64_t offset, double value)
{
    switch (dtype) {
    case HSCHED_FLOAT32:
        ((float *)data)[offset] = (float)value;
        break;
    case HSCHED_FLOAT64:
        ((double *)data)[offset] = value;
        break;
    case HSCHED_FLOAT16:
        ((uint16_t *)data)[offset] = hsi_half_of_double(value);
        break;
    case HSCHED_BFLOAT16:
        ((uint16_t *)data)[offset] = hsi_bfloat_of_double(value);
        break;
    case HSCHED_INT64:
        ((int64_t *)data)[offset] = hsi_int64_of_double(value);
        break;
    case HSCHED_INT32:
        ((int32_t *)data)[offset] = hsi_int32_of_double(value);
        break;
    case HSCHED_INT8:
        ((int8_t *)data)[offset] = hsi_int8_of_double(value);
        break;
    case HSCHED_UINT8:
        ((uint8_t *)data)[offset] = hsi_uint8_of_double(value);
        break;
    default:
        ((uint8_t *)data)[offset] = value != 0;
    }
}

void hsi_ref_cast(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_dtype from = step->in[0].dtype, to = step->out.dtype;
    const int exact = hsi_is_integer(from) || from == HSCHED_BOOL;
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        const int64_t x = hsi_ref_offset(&step->in[0], index);
        const int64_t y = hsi_ref_offset(&step->out, index);
        if (exact)
            hsi_ref_put_int(to, out, y, hsi_ref_get_int(from, inputs[0], x));
        else
            hsi_ref_put_real(to, out, y, hsi_ref_get_real(from, inputs[0], x));
    } while (hsi_ref_next(step->out.rank, step->out.dims, index));
}

void hsi_ref_where(const hsched_step *step, const void *const *inputs, void *out)
{
    const int64_t size = (int64_t)hsched_dtype_size(step->out.dtype);
    const uint8_t *condition = inputs[0];
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        const uint32_t k = condition[hsi_ref_offset(&step->in[0], index)] != 0 ? 1 : 2;
        memmove((char *)out + hsi_ref_offset(&step->out, index) * size,
                (const char *)inputs[k] + hsi_ref_offset(&step->in[k], index) * size,
                (size_t)size);
    } while (hsi_ref_next(step->out.rank, step->out.dims, index));
}
