/* SCALE and LRN on x [N,C,...], SOFTMAX and NORM on any shape. */
#include "backend/ref/ref.h"
#include "backend/ref/types.h"

#include <math.h>
#include <string.h>

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

/* One row along the axis, from elements x and y on: exp(x - max) / sum, or its logarithm. */
static void softmax_row(const hsched_step *step, const void *from, int64_t x, void *to,
                        int64_t y)
{
    const uint32_t axis = step->u.softmax.axis;
    const int64_t n = step->out.dims[axis], x_stride = step->in[0].strides[axis],
                  y_stride = step->out.strides[axis];
    const hsched_dtype type = step->out.dtype;
    double max = hsi_ref_get_real(type, from, x), sum = 0;
    for (int64_t k = 1; k < n; k++) {
        const double v = hsi_ref_get_real(type, from, x + k * x_stride);
        max = v > max ? v : max;
    }
    for (int64_t k = 0; k < n; k++)
        sum += exp(hsi_ref_get_real(type, from, x + k * x_stride) - max);
    for (int64_t k = 0; k < n; k++) {
        const double v = hsi_ref_get_real(type, from, x + k * x_stride) - max;
        hsi_ref_put_real(type, to, y + k * y_stride,
                         step->u.softmax.log ? v - log(sum) : exp(v) / sum);
    }
}

void hsi_ref_softmax(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *yop = &step->out;
    int64_t dims[HSCHED_MAX_DIMS], index[HSCHED_MAX_DIMS] = { 0 };
    for (uint32_t d = 0; d < yop->rank; d++)
        dims[d] = d == step->u.softmax.axis ? 1 : yop->dims[d]; /* one visit per row */
    do {
        softmax_row(step, inputs[0], hsi_ref_offset(&step->in[0], index), out,
                    hsi_ref_offset(yop, index));
    } while (hsi_ref_next(yop->rank, dims, index));
}

/* Mean, or 0 if `rms`, and variance about it of the window from element `first` on. */
static void statistics(const hsched_operand *xop, const void *x, int64_t first,
                       const int64_t *window, int rms, double *mean, double *variance)
{
    int64_t k[HSCHED_MAX_DIMS] = { 0 };
    double sum = 0, squares = 0, count = 0;
    do {
        sum += hsi_ref_get_real(xop->dtype, x, first + hsi_ref_offset(xop, k));
        count++;
    } while (hsi_ref_next(xop->rank, window, k));
    *mean = rms ? 0 : sum / count;
    do {
        const double less =
            hsi_ref_get_real(xop->dtype, x, first + hsi_ref_offset(xop, k)) - *mean;
        squares += less * less;
    } while (hsi_ref_next(xop->rank, window, k));
    *variance = squares / count;
}

void hsi_ref_norm(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *xop = &step->in[0], *yop = &step->out;
    const uint32_t axis = step->u.norm.axis;
    const int64_t members = yop->dims[axis] / step->u.norm.groups;
    const hsched_dtype type = yop->dtype;
    int64_t outer[HSCHED_MAX_DIMS], window[HSCHED_MAX_DIMS],
        group[HSCHED_MAX_DIMS] = { 0 };
    for (uint32_t d = 0; d < yop->rank; d++) {
        outer[d] = d < axis ? yop->dims[d] : d == axis ? step->u.norm.groups : 1;
        window[d] = d < axis ? 1 : d == axis ? members : yop->dims[d];
    }
    do {
        int64_t first[HSCHED_MAX_DIMS], k[HSCHED_MAX_DIMS] = { 0 };
        double mean, variance;
        memcpy(first, group, sizeof first);
        first[axis] *= members;
        const int64_t x = hsi_ref_offset(xop, first);
        statistics(xop, inputs[0], x, window, step->u.norm.rms, &mean, &variance);
        do {
            int64_t at[HSCHED_MAX_DIMS];
            for (uint32_t d = 0; d < yop->rank; d++)
                at[d] = first[d] + k[d];
            double value =
                (hsi_ref_get_real(type, inputs[0], x + hsi_ref_offset(xop, k)) - mean) /
                sqrt(variance + (double)step->u.norm.epsilon);
            if (hsi_ref_has(step, 1))
                value *=
                    hsi_ref_get_real(type, inputs[1], hsi_ref_offset(&step->in[1], at));
            if (hsi_ref_has(step, 2))
                value +=
                    hsi_ref_get_real(type, inputs[2], hsi_ref_offset(&step->in[2], at));
            hsi_ref_put_real(type, out, hsi_ref_offset(yop, at),
                             hsi_ref_activate(step->act, value));
        } while (hsi_ref_next(yop->rank, window, k));
    } while (hsi_ref_next(yop->rank, outer, group));
}
