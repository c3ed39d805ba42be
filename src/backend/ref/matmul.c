/* FC: x [M,K] * w [O,K]^T (+ bias [O]).  MATMUL: a [...,M,K] * b [...,K,N]. */
#include "backend/ref/ref.h"
#include "backend/ref/types.h"

void hsi_ref_fc(const hsched_step *step, const void *const *inputs, void *out)
{
    const float *x = inputs[0], *w = inputs[1], *bias = inputs[2];
    const int64_t *xs = step->in[0].strides, *ws = step->in[1].strides,
                  *ys = step->out.strides;
    float *y = out;
    for (int64_t m = 0; m < step->out.dims[0]; m++) {
        for (int64_t o = 0; o < step->out.dims[1]; o++) {
            double sum = bias ? bias[o * step->in[2].strides[0]] : 0;
            for (int64_t k = 0; k < step->in[0].dims[1]; k++)
                sum +=
                    (double)x[m * xs[0] + k * xs[1]] * (double)w[o * ws[0] + k * ws[1]];
            y[m * ys[0] + o * ys[1]] = (float)hsi_ref_activate(step->act, sum);
        }
    }
}

void hsi_ref_matmul(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *aop = &step->in[0], *bop = &step->in[1], *yop = &step->out;
    const uint32_t rank = yop->rank;
    const hsched_dtype type = yop->dtype;
    int64_t index[HSCHED_MAX_DIMS] = { 0 }; /* of y: ..., m, n */
    do {
        int64_t a_at[HSCHED_MAX_DIMS], b_at[HSCHED_MAX_DIMS];
        for (uint32_t d = 0; d < rank; d++)
            a_at[d] = b_at[d] = index[d];
        double sum = 0;
        for (int64_t k = 0; k < aop->dims[rank - 1]; k++) {
            a_at[rank - 1] = k;
            b_at[rank - 2] = k;
            sum += hsi_ref_get_real(type, inputs[0], hsi_ref_offset(aop, a_at)) *
                   hsi_ref_get_real(type, inputs[1], hsi_ref_offset(bop, b_at));
        }
        hsi_ref_put_real(type, out, hsi_ref_offset(yop, index),
                         hsi_ref_activate(step->act, sum));
    } while (hsi_ref_next(rank, yop->dims, index));
}
