#include "backend/resize.h"

#include <math.h>

int hsi_resize_is_identity(const hsched_step *step, uint32_t axis)
{
    const int crops = step->u.resize.coordinates == HSCHED_RESIZE_CROP;
    return step->in[0].dims[axis] == step->out.dims[axis] &&
           step->u.resize.scales[axis] == 1 &&
           (!crops ||
            (step->u.resize.roi_start[axis] == 0 && step->u.resize.roi_end[axis] == 1));
}

/* The coordinate in the input of element `index` of the output. */
static float coordinate(const hsched_step *step, uint32_t axis, int64_t index)
{
    const float scale = step->u.resize.scales[axis], x = (float)index;
    const float in = (float)step->in[0].dims[axis];
    const float out = step->u.resize.lengths[axis]; /* not rounded */
    const float start = step->u.resize.roi_start[axis],
                end = step->u.resize.roi_end[axis];
    switch (step->u.resize.coordinates) {
    case HSCHED_RESIZE_HALF_PIXEL_SYMMETRIC: {
        const float adjustment = (float)step->out.dims[axis] / out;
        return in / 2 * (1 - adjustment) + (x + 0.5f) / scale - 0.5f;
    }
    case HSCHED_RESIZE_PYTORCH_HALF_PIXEL:
        return out > 1 ? (x + 0.5f) / scale - 0.5f : 0;
    case HSCHED_RESIZE_ALIGN_CORNERS:
        return out == 1 ? 0 : x * (in - 1) / (out - 1);
    case HSCHED_RESIZE_ASYMMETRIC:
        return x / scale;
    case HSCHED_RESIZE_TF_HALF_PIXEL:
        return (x + 0.5f) / scale;
    case HSCHED_RESIZE_CROP:
        return out > 1 ? start * (in - 1) + x * (end - start) * (in - 1) / (out - 1)
                       : 0.5f * (start + end) * (in - 1);
    case HSCHED_RESIZE_HALF_PIXEL:
    default:
        return (x + 0.5f) / scale - 0.5f;
    }
}

static int64_t nearest(hsched_resize_rounding rounding, float at)
{
    switch (rounding) {
    case HSCHED_RESIZE_ROUND_UP:
        return (int64_t)floorf(at + 0.5f);
    case HSCHED_RESIZE_FLOOR:
        return (int64_t)floorf(at);
    case HSCHED_RESIZE_CEIL:
        return (int64_t)ceilf(at);
    case HSCHED_RESIZE_ROUND_DOWN:
    default:
        return (int64_t)ceilf(at - 0.5f);
    }
}

/* How much wider than usual windows are: where the output is smaller, they see all. */
static float stretch(const hsched_step *step, uint32_t axis)
{
    const float scale = step->u.resize.scales[axis];
    return step->u.resize.antialias && scale < 1 ? scale : 1;
}

/* Keys' cubic kernel; or a triangle. */
static float window(const hsched_step *step, float x)
{
    const float a = step->u.resize.cubic_a;
    x = fabsf(x);
    if (step->u.resize.mode == HSCHED_RESIZE_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static float raw_weight(const hsched_step *step, uint32_t axis,
                        const hsi_resize_place *place, int64_t k)
{
    const int64_t index = place->first + k;
    if (step->u.resize.exclude_outside && (index < 0 || index >= step->in[0].dims[axis]))
        return 0;
    return window(step, ((float)index - place->at) * stretch(step, axis));
}

hsi_resize_place hsi_resize_at(const hsched_step *step, uint32_t axis, int64_t index)
{
    hsi_resize_place p = { .at = coordinate(step, axis, index), .taps = 1, .sum = 1 };
    if (step->u.resize.coordinates == HSCHED_RESIZE_CROP)
        p.outside = !(p.at >= 0 && p.at <= (float)(step->in[0].dims[axis] - 1));
    if (step->u.resize.mode == HSCHED_RESIZE_NEAREST) {
        p.first = nearest(step->u.resize.rounding, p.at);
        return p;
    }
    const float reach = step->u.resize.mode == HSCHED_RESIZE_LINEAR ? 1 : 2;
    const float low = floorf(-reach / stretch(step, axis)) + 1;
    p.first = (int64_t)(floorf(p.at) + low);
    p.taps = (int64_t)(2 - 2 * low);
    p.sum = 0;
    for (int64_t k = 0; k < p.taps; k++)
        p.sum += raw_weight(step, axis, &p, k);
    if (p.sum == 0) /* all of it excluded: the nearest edge */
        p.taps = 1;
    return p;
}

int64_t hsi_resize_index(const hsched_step *step, uint32_t axis,
                         const hsi_resize_place *place, int64_t k)
{
    const int64_t index = place->first + k, last = step->in[0].dims[axis] - 1;
    return index < 0 ? 0 : index > last ? last : index;
}

float hsi_resize_weight(const hsched_step *step, uint32_t axis,
                        const hsi_resize_place *place, int64_t k)
{
    if (step->u.resize.mode == HSCHED_RESIZE_NEAREST || place->sum == 0)
        return 1;
    return raw_weight(step, axis, place, k) / place->sum;
}
