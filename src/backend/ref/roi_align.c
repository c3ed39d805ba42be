/* ROI_ALIGN: the mean, or the largest, of a bin's samples. */
#include "backend/ref/ref.h"

#include "backend/roi.h"

static int64_t image_of(const hsched_step *step, const void *images, int64_t roi)
{
    const int64_t at = roi * step->in[2].strides[0];
    return step->in[2].dtype == HSCHED_INT32 ? ((const int32_t *)images)[at]
                                             : ((const int64_t *)images)[at];
}

/* One bin of one channel, which begins at x. */
static double bin(const hsched_step *step, const hsi_roi *r, const int64_t *out,
                  const float *x)
{
    const hsched_operand *xop = &step->in[0];
    int64_t begin[2], end[2], inside = 0;
    double sum = 0, most = 0;
    for (int axis = 0; axis < 2; axis++)
        hsi_roi_range(r, axis, out[2 + axis], xop->dims[2 + axis], &begin[axis],
                      &end[axis]);
    for (int64_t i = begin[0]; i < end[0]; i++)
        for (int64_t k = begin[1]; k < end[1]; k++) {
            int64_t h[2], w[2];
            float wh[2], ww[2];
            if (!hsi_roi_sample(r, 0, out[2], i, xop->dims[2], h, wh) ||
                !hsi_roi_sample(r, 1, out[3], k, xop->dims[3], w, ww))
                continue;
            for (int a = 0; a < 4; a++) {
                const double v =
                    (double)wh[a / 2] * (double)ww[a % 2] *
                    (double)x[h[a / 2] * xop->strides[2] + w[a % 2] * xop->strides[3]];
                sum += v;
                most = (inside == 0 && a == 0) || v > most ? v : most;
            }
            inside++;
        }
    const double all = (double)r->grid[0] * (double)r->grid[1];
    if (step->u.roi_align.max)
        return (double)inside < all && most < 0 ? 0 : most;
    return all > 0 ? sum / all : 0;
}

void hsi_ref_roi_align(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *x = &step->in[0], *rois = &step->in[1], *y = &step->out;
    const hsi_roi_way way = hsi_roi_way_of(step);
    int64_t at[HSCHED_MAX_DIMS] = { 0 };
    do {
        const hsi_roi r = hsi_roi_of(
            &way, (const float *)inputs[1] + at[0] * rois->strides[0], rois->strides[1]);
        const int64_t image = image_of(step, inputs[2], at[0]);
        float *to = (float *)out + hsi_ref_offset(y, at);
        *to = 0;
        if (image >= 0 && image < x->dims[0])
            *to = (float)bin(step, &r, at,
                             (const float *)inputs[0] + image * x->strides[0] +
                                 at[1] * x->strides[1]);
    } while (hsi_ref_next(4, y->dims, at));
}
