/* SCALE and LRN on x [N,C,...], SOFTMAX on any shape. */
#include "backend/ref/ref.h"

#include <math.h>

void hsi_ref_scale(const hsched_step *step, const void *const *inputs, void *out)
{
    const float *x = inputs[0], *scale = inputs[1], *shift = inputs[2];
    float *y = out;
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        int64_t c = index[1];
        double value = (double)x[hsi_ref_offset(&step->in[0], index)] *
                           (double)scale[c * step->in[1].strides[0]] +
                       (double)shift[c * step->in[2].strides[0]];
        y[hsi_ref_offset(&step->out, index)] = (float)hsi_ref_activate(step->act, value);
    } while (hsi_ref_next(step->out.rank, step->out.dims, index));
}

/* y = x / (bias + alpha / size * s)^beta, s the sum of squares over the channels from
 * c - floor((size - 1) / 2) to c + ceil((size - 1) / 2) that exist: as ONNX has it. */
void hsi_ref_lrn(const hsched_step *step, const void *const *inputs, void *out)
{
    const float *x = inputs[0];
    float *y = out;
    const int64_t size = step->u.lrn.size;
    int64_t index[HSCHED_MAX_DIMS] = { 0 };
    do {
        const int64_t c = index[1];
        int64_t first = c - (size - 1) / 2, last = c + size / 2;
        const float *row =
            x + hsi_ref_offset(&step->in[0], index) - c * step->in[0].strides[1];
        double sum = 0;
        for (int64_t k = first < 0 ? 0 : first; k <= last && k < step->in[0].dims[1];
             k++) {
            double value = row[k * step->in[0].strides[1]];
            sum += value * value;
        }
        double base = step->u.lrn.bias + (double)step->u.lrn.alpha / (double)size * sum;
        y[hsi_ref_offset(&step->out, index)] =
            (float)(row[c * step->in[0].strides[1]] / pow(base, step->u.lrn.beta));
    } while (hsi_ref_next(step->out.rank, step->out.dims, index));
}

/* One row along the axis: exp(x - max) / sum. */
static void softmax_row(const float *x, int64_t x_stride, float *y, int64_t y_stride,
                        int64_t n)
{
    double max = x[0], sum = 0;
    for (int64_t k = 1; k < n; k++)
        max = x[k * x_stride] > max ? x[k * x_stride] : max;
    for (int64_t k = 0; k < n; k++)
        sum += exp(x[k * x_stride] - max);
    for (int64_t k = 0; k < n; k++)
        y[k * y_stride] = (float)(exp(x[k * x_stride] - max) / sum);
}

void hsi_ref_softmax(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *xop = &step->in[0], *yop = &step->out;
    const uint32_t axis = step->u.softmax.axis;
    const float *x = inputs[0];
    float *y = out;
    int64_t dims[HSCHED_MAX_DIMS], index[HSCHED_MAX_DIMS] = { 0 };
    for (uint32_t d = 0; d < yop->rank; d++)
        dims[d] = d == axis ? 1 : yop->dims[d]; /* one visit per row */
    do {
        softmax_row(x + hsi_ref_offset(xop, index), xop->strides[axis],
                    y + hsi_ref_offset(yop, index), yop->strides[axis], yop->dims[axis]);
    } while (hsi_ref_next(yop->rank, dims, index));
}
