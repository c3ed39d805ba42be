/* The shape of a resized tensor. */
#include <math.h>

#include "graph/infer.h"

static hsched_status check_config(const hsi_graph_tensor *x,
                                  const hsched_resize_config *c)
{
    if (c->mode < HSCHED_RESIZE_NEAREST || c->mode > HSCHED_RESIZE_CUBIC ||
        (unsigned)c->coordinates > HSCHED_RESIZE_CROP ||
        (unsigned)c->rounding > HSCHED_RESIZE_CEIL)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "mode %d, coordinates %d or rounding %d is not known; use the "
                         "HSCHED_RESIZE_ values",
                         (int)c->mode, (int)c->coordinates, (int)c->rounding);
    if (c->antialias && c->mode == HSCHED_RESIZE_NEAREST)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "antialias is for linear and cubic interpolation; leave it 0");
    if (!isfinite(c->cubic_a))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "cubic_a is not finite; give another value");
    if (c->mode != HSCHED_RESIZE_NEAREST || c->coordinates == HSCHED_RESIZE_CROP)
        return hsi_expect_float32(x, "x");
    return HSCHED_OK;
}

/* Size and scale of one dimension. */
static hsched_status resize_axis(hsi_infer *f, const hsi_graph_tensor *x, uint32_t k)
{
    hsched_resize_config *c = &f->attrs->resize;
    const int64_t in = x->dims[k];
    const float scale = c->scales[k];
    if (c->sizes[k] < 0 || !isfinite(scale) || scale < 0 || !isfinite(c->roi_start[k]) ||
        !isfinite(c->roi_end[k]))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "dimension %u: size %lld, scale %g, region %g to %g; give finite "
            "numbers, sizes and scales not negative",
            k, (long long)c->sizes[k], (double)scale, (double)c->roi_start[k],
            (double)c->roi_end[k]);
    double out = (double)in;
    if (c->sizes[k] > 0)
        out = (double)c->sizes[k];
    else if (scale > 0)
        out = floor((double)in * (double)scale);
    if (out < 1 || out > (double)((int64_t)1 << 40))
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "dimension %u of x " HSI_TENSOR_FMT
                         " would have %g elements; give another scale",
                         k, HSI_TENSOR_ARGS(x), out);
    f->dims[k] = (int64_t)out;
    if (scale == 0)
        c->scales[k] = (float)f->dims[k] / (float)in;
    if (c->scales[k] < 1e-6f && c->antialias)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "scale %g of dimension %u is too small for antialias",
                         (double)c->scales[k], k);
    return HSCHED_OK;
}

/* x [...] -> the same number of dimensions */
hsched_status hsi_infer_resize(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0);
    hsched_resize_config *c = &f->attrs->resize;
    hsched_status status = check_config(x, c);
    if (status != HSCHED_OK)
        return status;
    hsi_infer_same(f, x);
    if (c->cubic_a == 0)
        c->cubic_a = -0.75f;
    for (uint32_t k = 0; k < x->rank && status == HSCHED_OK; k++)
        status = resize_axis(f, x, k);
    return status;
}
