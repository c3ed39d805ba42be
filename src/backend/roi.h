/*
 * ROI_ALIGN: where in an image a region's bins are sampled. Along each axis (0: rows, 1: columns)
 * a bin has `grid` samples; those outside of the image are zeros, and are not walked over.
 */
#ifndef HSI_BACKEND_ROI_H
#define HSI_BACKEND_ROI_H

#include <math.h>

#include <hsched/backend.h>

#include "backend/host_device.h"

/* What a step says of its regions. */
typedef struct hsi_roi_way {
    int half_pixel;
    float scale;
    int64_t sampling_ratio, bins[2];
} hsi_roi_way;

static inline hsi_roi_way hsi_roi_way_of(const hsched_step *step)
{
    hsi_roi_way way;
    way.half_pixel = step->u.roi_align.half_pixel;
    way.scale = step->u.roi_align.scale;
    way.sampling_ratio = step->u.roi_align.sampling_ratio;
    way.bins[0] = step->out.dims[2];
    way.bins[1] = step->out.dims[3];
    return way;
}

typedef struct hsi_roi {
    float start[2], bin[2]; /* in elements of the image */
    int64_t grid[2];        /* 0: no samples at all */
} hsi_roi;

/* Of the four numbers (x, y, x, y), `stride` apart. */
static inline HSI_HOST_DEVICE hsi_roi hsi_roi_of(const hsi_roi_way *way,
                                                 const float *numbers, int64_t stride)
{
    const float offset = way->half_pixel ? 0.5f : 0;
    hsi_roi r;
    for (int axis = 0; axis < 2; axis++) {
        const float start = numbers[(1 - axis) * stride] * way->scale - offset;
        const float end = numbers[(3 - axis) * stride] * way->scale - offset;
        float size = end - start;
        if (!way->half_pixel && !(size >= 1))
            size = 1;
        r.start[axis] = start;
        r.bin[axis] = size / (float)way->bins[axis];
        const float each =
            way->sampling_ratio > 0 ? (float)way->sampling_ratio : ceilf(r.bin[axis]);
        r.grid[axis] = !(each > 0) || !isfinite(start) || !isfinite(size) ? 0
                       : each > 1e9f                                      ? 1000000000
                                                                          : (int64_t)each;
    }
    return r;
}

/* Sample i of bin p along an axis of `size` elements: two elements with their weights. 0 if it
 * lies outside. */
static inline HSI_HOST_DEVICE int hsi_roi_sample(const hsi_roi *r, int axis, int64_t p,
                                                 int64_t i, int64_t size,
                                                 int64_t index[2], float weight[2])
{
    float at = r->start[axis] + (float)p * r->bin[axis] +
               ((float)i + 0.5f) * r->bin[axis] / (float)r->grid[axis];
    if (!(at >= -1) || at > (float)size)
        return 0;
    at = at > 0 ? at : 0;
    index[0] = (int64_t)at;
    if (index[0] >= size - 1) {
        index[0] = index[1] = size - 1;
        weight[1] = 0;
    } else {
        index[1] = index[0] + 1;
        weight[1] = at - (float)index[0];
    }
    weight[0] = 1 - weight[1];
    return 1;
}

/* A range of samples that has all those inside. */
static inline HSI_HOST_DEVICE void hsi_roi_range(const hsi_roi *r, int axis, int64_t p,
                                                 int64_t size, int64_t *begin,
                                                 int64_t *end)
{
    const double first = (double)r->start[axis] + (double)p * (double)r->bin[axis];
    const double apart = (double)r->bin[axis] / (double)r->grid[axis];
    const int64_t grid = r->grid[axis];
    *begin = 0;
    *end = grid;
    if (!(fabs(apart) > 0) || grid < 64)
        return;
    const double a = (-2 - first) / apart, b = ((double)size + 1 - first) / apart;
    const double low = floor(a < b ? a : b) - 2, high = ceil(a < b ? b : a) + 2;
    *begin = low > (double)grid ? grid : low > 0 ? (int64_t)low : 0;
    *end = high < 0 ? 0 : high < (double)grid ? (int64_t)high : grid;
}

#endif
