/* COPY and PAD on any shape, IMAGE from uint8 [N,H,W,C] to float [N,C,H,W]. */
#include "backend/ref/ref.h"

#include <string.h>

void hsi_ref_copy(const hsched_step *step, const void *const *inputs, void *out)
{
    const size_t size = hsched_dtype_size(step->out.dtype);
    const char *x = inputs[0];
    char *y = out;
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        memcpy(y + hsi_ref_offset(&step->out, index) * (int64_t)size,
               x + hsi_ref_offset(&step->in[0], index) * (int64_t)size, size);
    } while (hsi_ref_next(step->out.rank, step->out.dims, index));
}

/* The position in a dimension of n elements that position i, possibly outside, stands
 * for; -1 if it is the constant. Reflection leaves the border element out and goes on as
 * often as it takes. */
static int64_t padded_position(int64_t i, int64_t n, hsched_pad_mode mode)
{
    if (i >= 0 && i < n)
        return i;
    if (mode == HSCHED_PAD_MODE_CONSTANT)
        return -1;
    if (mode == HSCHED_PAD_MODE_EDGE)
        return i < 0 ? 0 : n - 1;
    if (n == 1)
        return 0;
    const int64_t period = 2 * (n - 1);
    i %= period;
    if (i < 0)
        i += period;
    return i < n ? i : period - i;
}

void hsi_ref_pad_value(const hsched_step *step, char *bytes)
{
    const double value = (double)step->u.pad.value;
    switch (step->out.dtype) {
    case HSCHED_FLOAT64:
        memcpy(bytes, &value, sizeof value);
        break;
    case HSCHED_INT64:
        memcpy(bytes, &(int64_t){ (int64_t)value }, sizeof(int64_t));
        break;
    case HSCHED_INT32:
        memcpy(bytes, &(int32_t){ (int32_t)value }, sizeof(int32_t));
        break;
    case HSCHED_INT8:
        memcpy(bytes, &(int8_t){ (int8_t)value }, sizeof(int8_t));
        break;
    case HSCHED_UINT8:
    case HSCHED_BOOL:
        memcpy(bytes, &(uint8_t){ (uint8_t)value }, sizeof(uint8_t));
        break;
    default:
        memcpy(bytes, &step->u.pad.value, sizeof(float));
        break;
    }
}

void hsi_ref_pad(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *xop = &step->in[0], *yop = &step->out;
    const size_t size = hsched_dtype_size(yop->dtype);
    const char *x = inputs[0];
    char *y = out, value[8];
    hsi_ref_pad_value(step, value);
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        int64_t from[HSCHED_MAX_DIMS] = { 0 };
        int constant = 0;
        for (uint32_t d = 0; d < yop->rank; d++) {
            from[d] = padded_position(index[d] - step->u.pad.before[d], xop->dims[d],
                                      step->u.pad.mode);
            constant |= from[d] < 0;
        }
        const char *element = x;
        if (!constant)
            element += hsi_ref_offset(xop, from) * (int64_t)size;
        memcpy(y + hsi_ref_offset(yop, index) * (int64_t)size, constant ? value : element,
               size);
    } while (hsi_ref_next(yop->rank, yop->dims, index));
}

void hsi_ref_image(const hsched_step *step, const void *const *inputs, void *out)
{
    const uint8_t *x = inputs[0];
    float *y = out;
    int64_t i[HSCHED_MAX_DIMS] = { 0 }; /* n, c, h, w */
    do {
        const int64_t c = step->u.image.swap_red_blue && i[1] < 3 ? 2 - i[1] : i[1];
        const double pixel = x[hsi_ref_offset4(&step->in[0], i[0], i[2], i[3], c)];
        y[hsi_ref_offset(&step->out, i)] =
            (float)((pixel - step->u.image.mean[i[1]]) * step->u.image.scale[i[1]]);
    } while (hsi_ref_next(4, step->out.dims, i));
}
