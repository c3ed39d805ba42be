/* CONV2D: x [N,C,H,W] * w [O,C/groups,kh,kw] (+ bias [O]) (+ residual [N,O,H',W']); and
 * SEPARABLE_CONV2D, two of them. */
#include "backend/ref/ref.h"

#include "backend/separable.h"

/* One output element before bias: the sum over the window at (y, x) and the channels of
 * o's group. */
static double window_sum(const hsched_step *step, const float *x, const float *w,
                         int64_t n, int64_t o, int64_t oy, int64_t ox)
{
    const hsched_operand *xop = &step->in[0], *wop = &step->in[1];
    int64_t group_outputs = step->out.dims[1] / step->u.conv2d.groups;
    int64_t first_c = o / group_outputs * wop->dims[1];
    int64_t top = oy * step->u.conv2d.strides[0] - step->u.conv2d.pads[0];
    int64_t left = ox * step->u.conv2d.strides[1] - step->u.conv2d.pads[1];
    double sum = 0;
    for (int64_t c = 0; c < wop->dims[1]; c++) {
        for (int64_t ky = 0; ky < wop->dims[2]; ky++) {
            int64_t h = top + ky * step->u.conv2d.dilations[0];
            if (h < 0 || h >= xop->dims[2])
                continue;
            for (int64_t kx = 0; kx < wop->dims[3]; kx++) {
                int64_t v = left + kx * step->u.conv2d.dilations[1];
                if (v < 0 || v >= xop->dims[3])
                    continue;
                sum += (double)x[hsi_ref_offset4(xop, n, first_c + c, h, v)] *
                       (double)w[hsi_ref_offset4(wop, o, c, ky, kx)];
            }
        }
    }
    return sum;
}

void hsi_ref_conv2d(const hsched_step *step, const void *const *inputs, void *out)
{
    const float *x = inputs[0], *w = inputs[1], *bias = inputs[2], *residual = inputs[3];
    const hsched_operand *yop = &step->out;
    float *y = out;
    for (int64_t n = 0; n < yop->dims[0]; n++) {
        for (int64_t o = 0; o < yop->dims[1]; o++) {
            for (int64_t oy = 0; oy < yop->dims[2]; oy++) {
                for (int64_t ox = 0; ox < yop->dims[3]; ox++) {
                    double sum = window_sum(step, x, w, n, o, oy, ox);
                    if (bias)
                        sum += bias[o * step->in[2].strides[0]];
                    if (residual) /* read before the store: it may be the same element */
                        sum += residual[hsi_ref_offset4(&step->in[3], n, o, oy, ox)];
                    y[hsi_ref_offset4(yop, n, o, oy, ox)] =
                        (float)hsi_ref_activate(step->act, sum);
                }
            }
        }
    }
}

/* What a pointwise convolution gives at one pixel for outputs [o, o_end), at most as many as there
 * are sums: each of the depthwise one's results is computed once for all of them. */
enum {
    OUTPUTS_AT_ONCE = 256
};

static void separable_sums(const hsched_step *depthwise, const hsched_step *pointwise,
                           const void *const *inputs, const int64_t at[3], int64_t o,
                           int64_t o_end, double *sums)
{
    const float *bias = inputs[2], *w = inputs[3];
    for (int64_t k = o; k < o_end; k++)
        sums[k - o] = 0;
    for (int64_t c = 0; c < pointwise->in[0].dims[1]; c++) {
        double t = window_sum(depthwise, inputs[0], inputs[1], at[0], c, at[1], at[2]);
        if (bias)
            t += bias[c * depthwise->in[2].strides[0]];
        t = hsi_ref_activate(depthwise->act, t);
        for (int64_t k = o; k < o_end; k++)
            sums[k - o] += t * (double)w[hsi_ref_offset4(&pointwise->in[1], k, c, 0, 0)];
    }
}

void hsi_ref_separable_conv2d(const hsched_step *step, const void *const *inputs,
                              void *out)
{
    const float *bias = inputs[4], *residual = inputs[5];
    const hsched_operand *yop = &step->out;
    hsched_step depthwise, pointwise;
    double sums[OUTPUTS_AT_ONCE];
    float *y = out;
    hsi_separable_split(step, &depthwise, &pointwise);
    const int64_t pixels = yop->dims[2] * yop->dims[3];
    for (int64_t p = 0; p < yop->dims[0] * pixels; p++) {
        const int64_t at[3] = { p / pixels, p % pixels / yop->dims[3], p % yop->dims[3] };
        for (int64_t o = 0, end; o < yop->dims[1]; o = end) {
            end = o + OUTPUTS_AT_ONCE < yop->dims[1] ? o + OUTPUTS_AT_ONCE : yop->dims[1];
            separable_sums(&depthwise, &pointwise, inputs, at, o, end, sums);
            for (int64_t k = o; k < end; k++) {
                double sum = sums[k - o];
                if (bias)
                    sum += bias[k * step->in[4].strides[0]];
                if (residual) /* read before the store: it may be the same element */
                    sum +=
                        residual[hsi_ref_offset4(&step->in[5], at[0], k, at[1], at[2])];
                y[hsi_ref_offset4(yop, at[0], k, at[1], at[2])] =
                    (float)hsi_ref_activate(step->act, sum);
            }
        }
    }
}
