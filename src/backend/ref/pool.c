/* POOL2D: windows over x [N,C,H,W], out [N,C,H',W']. */
#include "backend/ref/ref.h"

#include <math.h>

/*
 * One window. Padding never takes part in a maximum; averages divide by the pixels inside
 * the input or, with count_include_pad, by those inside the input and its padding (which
 * ceil_mode lets a window leave at the end). A window that lies wholly in the padding
 * gives -infinity or 0.
 */
static double window(const hsched_step *step, const float *x, const int64_t *at)
{
    const hsched_operand *xop = &step->in[0];
    const int64_t *kernel = step->u.pool2d.kernel;
    int64_t top = at[2] * step->u.pool2d.strides[0] - step->u.pool2d.pads[0];
    int64_t left = at[3] * step->u.pool2d.strides[1] - step->u.pool2d.pads[1];
    double max = -INFINITY, sum = 0;
    int64_t inside = 0, padded = 0;
    int64_t bottom = xop->dims[2] + step->u.pool2d.pads[2];
    int64_t right = xop->dims[3] + step->u.pool2d.pads[3];
    for (int64_t ky = 0; ky < kernel[0]; ky++) {
        int64_t h = top + ky * step->u.pool2d.dilations[0];
        for (int64_t kx = 0; kx < kernel[1]; kx++) {
            int64_t w = left + kx * step->u.pool2d.dilations[1];
            padded += h < bottom && w < right;
            if (h < 0 || h >= xop->dims[2] || w < 0 || w >= xop->dims[3])
                continue;
            double value = x[hsi_ref_offset4(xop, at[0], at[1], h, w)];
            if (value > max ||
                isnan(value)) /* a NaN wins and stays: nothing exceeds it */
                max = value;
            sum += value;
            inside++;
        }
    }
    if (step->u.pool2d.kind == HSCHED_POOL_MAX)
        return max;
    if (step->u.pool2d.count_include_pad)
        return padded > 0 ? sum / (double)padded : 0;
    return inside > 0 ? sum / (double)inside : 0;
}

void hsi_ref_pool2d(const hsched_step *step, const void *const *inputs, void *out)
{
    const float *x = inputs[0];
    float *y = out;
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        y[hsi_ref_offset(&step->out, index)] = (float)window(step, x, index);
    } while (hsi_ref_next(4, step->out.dims, index));
}
