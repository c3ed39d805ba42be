/*
 * GRID_SAMPLE along one axis: which elements of the input a coordinate is interpolated of, and
 * with what weights. A tap that is not in the input has index 0 and weight 0; taps of weight 0
 * do not count, whatever the input has there.
 */
#ifndef HSI_BACKEND_GRID_H
#define HSI_BACKEND_GRID_H

#include <math.h>

#include <hsched/backend.h>

#include "backend/host_device.h"

#define HSI_GRID_TAPS 4 /* the most along one axis */
#define HSI_GRID_FAR  16777216.0f

typedef struct hsi_grid_place {
    int64_t index[HSI_GRID_TAPS];
    float weight[HSI_GRID_TAPS];
} hsi_grid_place;

/* What a step says of its coordinates. */
typedef struct hsi_grid_way {
    hsched_grid_padding padding;
    int align_corners, pixels;
} hsi_grid_way;

static inline hsi_grid_way hsi_grid_way_of(const hsched_step *step)
{
    hsi_grid_way way;
    way.padding = step->u.grid_sample.padding;
    way.align_corners = step->u.grid_sample.align_corners;
    way.pixels = step->u.grid_sample.pixels;
    return way;
}

static inline int hsi_grid_taps(hsched_resize_mode mode)
{
    return mode == HSCHED_RESIZE_NEAREST ? 1 : mode == HSCHED_RESIZE_LINEAR ? 2 : 4;
}

/* Brings `at` between the borders, turning back at each. */
static inline HSI_HOST_DEVICE float hsi_grid_reflect(float at, float low, float high)
{
    const float range = high - low;
    if (at >= low && at <= high)
        return at;
    if (!(range > 0))
        return 0;
    const float away = at < low ? low - at : at - high;
    const float turns = truncf(away / range), rest = away - turns * range;
    const int even = fmodf(turns, 2) == 0;
    return (at < low) == even ? low + rest : high - rest;
}

/* Along an axis of `size` elements, a coordinate of -1 to 1, or in elements if `pixels`. One that
 * is not a number lies before all others. `taps` are those of the step's mode. */
static inline __attribute__((always_inline)) HSI_HOST_DEVICE void hsi_grid_at(
    const hsi_grid_way *way, int taps, float coordinate, int64_t size,
    hsi_grid_place *place)
{
    const hsched_grid_padding padding = way->padding;
    const int corners = way->align_corners;
    const float length = (float)size, last = length - 1;
    const float low = corners ? 0 : -0.5f, high = corners ? last : length - 0.5f;
    float at = coordinate;
    if (!way->pixels)
        at = corners ? (coordinate + 1) / 2 * last : ((coordinate + 1) * length - 1) / 2;
    /* Beyond this, floats have no neighbours at a distance of 1. */
    at = !(at > -HSI_GRID_FAR) ? -HSI_GRID_FAR : at > HSI_GRID_FAR ? HSI_GRID_FAR : at;
    if (taps == 1)
        at = (float)lrintf(at);
    if (padding == HSCHED_GRID_REFLECTION)
        at = hsi_grid_reflect(at, low, high);
    else if (padding == HSCHED_GRID_BORDER && taps < 4 && (at < low || at > high))
        at = at < low ? 0 : last;
    int32_t base = (int32_t)at;
    base -= (float)base > at;
    const float t = at - (float)base;
    if (taps == 1) {
        place->weight[0] = 1;
    } else if (taps == 2) {
        place->weight[0] = 1 - t;
        place->weight[1] = t;
    } else {
        const float a = -0.75f, u = 1 - t;
        place->weight[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
        place->weight[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
        place->weight[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
        place->weight[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
    }
    const int64_t first = base - (taps == 4);
    for (int k = 0; k < taps; k++) {
        int64_t i = first + k;
        if (i < 0 || i >= size) {
            if (padding == HSCHED_GRID_REFLECTION)
                i = (int64_t)hsi_grid_reflect((float)i, low, high);
            else if (padding == HSCHED_GRID_ZEROS)
                place->weight[k] = 0;
            i = padding == HSCHED_GRID_ZEROS || i < 0 ? 0 : i >= size ? size - 1 : i;
        }
        place->index[k] = i;
    }
}

#endif
