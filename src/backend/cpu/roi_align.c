/* ROI_ALIGN: bin by bin, for all channels at a time. Parts share the rows of bins. */
#include <string.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"
#include "backend/roi.h"

/* What a sample of four elements of every channel, `pitch` apart, adds. */
HSI_ISA_INLINE void add_some(const float *const x[4], const float w[4], int64_t pitch,
                             int max, float *restrict sums, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        const float a = x[0][c * pitch] * w[0], b = x[1][c * pitch] * w[1],
                    d = x[2][c * pitch] * w[2], e = x[3][c * pitch] * w[3];
        if (max) {
            const float ab = a > b ? a : b, de = d > e ? d : e, all = ab > de ? ab : de;
            sums[c] = all > sums[c] ? all : sums[c];
        } else {
            sums[c] += a + b + d + e;
        }
    }
}

HSI_ISA_INLINE void add_sample_body(const float *const x[4], const float w[4],
                                    int64_t pitch, int max, float *sums, int64_t n)
{
    if (pitch == 1 && max)
        add_some(x, w, 1, 1, sums, n);
    else if (pitch == 1)
        add_some(x, w, 1, 0, sums, n);
    else
        add_some(x, w, pitch, max, sums, n);
}
HSI_ISA_DISPATCH(add_sample,
                 (const float *const x[4], const float w[4], int64_t pitch, int max,
                  float *sums, int64_t n),
                 (x, w, pitch, max, sums, n))

static void find_bin(const hsched_step *step, const hsi_roi *r, const float *x,
                     int64_t row, int64_t column, float *sums, float *y)
{
    const hsched_operand *xop = &step->in[0];
    const int64_t channels = xop->dims[1], y_channel = step->out.strides[1];
    const int max = step->u.roi_align.max;
    int64_t rows[2], columns[2], inside = 0;
    for (int64_t c = 0; c < channels; c++)
        sums[c] = max ? -INFINITY : 0;
    hsi_roi_range(r, 0, row, xop->dims[2], &rows[0], &rows[1]);
    hsi_roi_range(r, 1, column, xop->dims[3], &columns[0], &columns[1]);
    for (int64_t i = rows[0]; i < rows[1]; i++) {
        int64_t h[2], w[2];
        float wh[2], ww[2];
        if (!hsi_roi_sample(r, 0, row, i, xop->dims[2], h, wh))
            continue;
        for (int64_t k = columns[0]; k < columns[1]; k++) {
            const float *taps[4];
            float weights[4];
            if (!hsi_roi_sample(r, 1, column, k, xop->dims[3], w, ww))
                continue;
            for (int a = 0; a < 4; a++) {
                taps[a] = x + h[a / 2] * xop->strides[2] + w[a % 2] * xop->strides[3];
                weights[a] = wh[a / 2] * ww[a % 2];
            }
            add_sample(taps, weights, xop->strides[1], max, sums, channels);
            inside++;
        }
    }
    const double all = (double)r->grid[0] * (double)r->grid[1];
    const float share = all > 0 ? (float)(1 / all) : 0;
    for (int64_t c = 0; c < channels; c++)
        y[c * y_channel] = !max                                     ? sums[c] * share
                           : (double)inside < all && !(sums[c] > 0) ? 0
                           : inside == 0                            ? 0
                                                                    : sums[c];
}

static hsched_status roi_align_run(const hsched_step *step, const void *state,
                                   void *slot_state, void *const *operands, uint32_t part,
                                   void *scratch)
{
    const hsched_operand *x = &step->in[0], *rois = &step->in[1], *y = &step->out;
    const hsi_roi_way way = hsi_roi_way_of(step);
    int64_t begin, end;
    (void)state;
    (void)slot_state;
    hsi_part_range(y->dims[0] * y->dims[2], part, step->parts, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t roi = unit / y->dims[2], row = unit % y->dims[2];
        const int64_t at = roi * step->in[2].strides[0];
        const int64_t image = step->in[2].dtype == HSCHED_INT32
                                  ? ((const int32_t *)operands[2])[at]
                                  : ((const int64_t *)operands[2])[at];
        const int known = image >= 0 && image < x->dims[0];
        hsi_roi r = hsi_roi_of(&way, (const float *)operands[1] + roi * rois->strides[0],
                               rois->strides[1]);
        if (!known)
            r.grid[0] = r.grid[1] = 0;
        for (int64_t column = 0; column < y->dims[3]; column++)
            find_bin(step, &r,
                     (const float *)operands[0] + (known ? image : 0) * x->strides[0],
                     row, column, scratch,
                     (float *)operands[3] + roi * y->strides[0] + row * y->strides[2] +
                         column * y->strides[3]);
    }
    return HSCHED_OK;
}

static int roi_align_supports(const hsched_step *step)
{
    return hsi_ref_fault(step) == NULL;
}

static hsched_status roi_align_prepare(const hsi_cpu_prepare_context *context,
                                       hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *y = &step->out;
    const double samples = step->u.roi_align.sampling_ratio > 0
                               ? (double)step->u.roi_align.sampling_ratio *
                                     (double)step->u.roi_align.sampling_ratio
                               : 4;
    (void)context;
    prepared->scratch_size = ((size_t)y->dims[1] * sizeof(float) + 63) / 64 * 64;
    hsi_lower_parts(step, 4 * samples * sizeof(float) * hsi_operand_count(y),
                    y->dims[0] * y->dims[2]);
    return HSCHED_OK;
}

static const hsi_cpu_kernel roi_align_kernel = {
    .name = "own/roi_align",
    .kind = HSCHED_STEP_ROI_ALIGN,
    .library = HSCHED_LIBRARY_OWN,
    .supports = roi_align_supports,
    .prepare = roi_align_prepare,
    .run = roi_align_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_roi_align[] = { &roi_align_kernel, NULL };
