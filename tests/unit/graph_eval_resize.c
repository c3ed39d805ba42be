/* Resizing by its definition, one dimension after the other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "unit/graph_eval_call.h"

typedef struct line {
    const hsched_resize_config *config;
    int64_t in, out;
    double scale, length, start, end;
} line;

static double coordinate(const line *l, int64_t i)
{
    const double x = (double)i, in = (double)l->in;
    switch (l->config->coordinates) {
    case HSCHED_RESIZE_HALF_PIXEL:
        return (x + 0.5) / l->scale - 0.5;
    case HSCHED_RESIZE_HALF_PIXEL_SYMMETRIC:
        return in / 2 * (1 - (double)l->out / l->length) + (x + 0.5) / l->scale - 0.5;
    case HSCHED_RESIZE_ALIGN_CORNERS:
        return l->length == 1 ? 0 : x * (in - 1) / (l->length - 1);
    case HSCHED_RESIZE_ASYMMETRIC:
        return x / l->scale;
    case HSCHED_RESIZE_PYTORCH_HALF_PIXEL:
        return l->length > 1 ? (x + 0.5) / l->scale - 0.5 : 0;
    case HSCHED_RESIZE_TF_HALF_PIXEL:
        return (x + 0.5) / l->scale;
    case HSCHED_RESIZE_CROP:
        return l->length > 1 ? l->start * (in - 1) +
                                   x * (l->end - l->start) * (in - 1) / (l->length - 1)
                             : 0.5 * (l->start + l->end) * (in - 1);
    }
    return NAN;
}

static double kernel(const hsched_resize_config *c, double x)
{
    const double a = c->cubic_a;
    x = fabs(x);
    if (c->mode == HSCHED_RESIZE_LINEAR)
        return x < 1 ? 1 - x : 0;
    return x <= 1  ? (a + 2) * x * x * x - (a + 3) * x * x + 1
           : x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a
                   : 0;
}

/* Element i of a line whose elements are `stride` apart. */
static double element(const line *l, int64_t i, const double *x, int64_t stride)
{
    const hsched_resize_config *c = l->config;
    const double at = coordinate(l, i);
    if (c->coordinates == HSCHED_RESIZE_CROP && (at < 0 || at > (double)(l->in - 1)))
        return c->extrapolation_value;
    if (c->mode == HSCHED_RESIZE_NEAREST) {
        const double near = c->rounding == HSCHED_RESIZE_ROUND_DOWN ? ceil(at - 0.5)
                            : c->rounding == HSCHED_RESIZE_ROUND_UP ? floor(at + 0.5)
                            : c->rounding == HSCHED_RESIZE_FLOOR    ? floor(at)
                                                                    : ceil(at);
        return x[(int64_t)fmin(fmax(near, 0), (double)(l->in - 1)) * stride];
    }
    const double shrink = c->antialias && l->scale < 1 ? l->scale : 1;
    double sum = 0, weights = 0;
    for (double j = floor(at - 3 / shrink); j <= at + 3 / shrink; j++) {
        const int inside = j >= 0 && j < (double)l->in;
        const double w = c->exclude_outside && !inside ? 0 : kernel(c, (j - at) * shrink);
        weights += w;
        sum += w * x[(int64_t)fmin(fmax(j, 0), (double)(l->in - 1)) * stride];
    }
    return sum / weights;
}

void eval_resize(const call *c)
{
    const hsi_graph_tensor *in = c->in[0];
    const hsched_resize_config *config = &c->layer->attrs.resize;
    int64_t count = element_count(in);
    double *x = calloc((size_t)count, sizeof *x);
    for (int64_t k = 0; x != NULL && k < count; k++)
        x[k] = c->x[0][k];
    for (uint32_t d = 0; d < in->rank && x != NULL; d++) {
        line l = { config, in->dims[d], c->out->dims[d], config->scales[d] };
        int64_t inner = 1;
        for (uint32_t k = d + 1; k < in->rank; k++)
            inner *= in->dims[k];
        l.length =
            c->layer->given.resize.scales[d] > 0 ? l.scale * (double)l.in : (double)l.out;
        l.start = config->roi_start[d];
        l.end = config->roi_end[d];
        if (l.in == l.out && l.scale == 1 &&
            (config->coordinates != HSCHED_RESIZE_CROP || (l.start == 0 && l.end == 1)))
            continue;
        count = count / l.in * l.out;
        double *y = calloc((size_t)count, sizeof *y);
        for (int64_t k = 0; y != NULL && k < count; k++)
            y[k] = element(&l, k / inner % l.out,
                           x + k / inner / l.out * l.in * inner + k % inner, inner);
        free(x);
        x = y;
    }
    for (int64_t k = 0; k < element_count(c->out); k++)
        c->y[k] = x != NULL ? (float)x[k] : NAN;
    free(x);
}
