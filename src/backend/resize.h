/*
 * RESIZE along one axis: which elements of the input an element of the output is made of, and
 * with what weights. Coordinates are computed in float, as those who made the models did.
 */
#ifndef HSI_BACKEND_RESIZE_H
#define HSI_BACKEND_RESIZE_H

#include <hsched/backend.h>

/* An element of the output: taps first .. first + taps - 1 of the input, some of which may lie
 * outside of it (they are its edge, or have no weight). */
typedef struct hsi_resize_place {
    int64_t first;
    int64_t taps;
    float at;    /* the coordinate in the input */
    float sum;   /* of the weights before they are divided by it */
    int outside; /* the whole element is the extrapolation value */
} hsi_resize_place;

/* 1 if the output has the input's elements along this axis. */
int hsi_resize_is_identity(const hsched_step *step, uint32_t axis);
hsi_resize_place hsi_resize_at(const hsched_step *step, uint32_t axis, int64_t index);
/* The index of tap k inside the input, and its weight. */
int64_t hsi_resize_index(const hsched_step *step, uint32_t axis,
                         const hsi_resize_place *place, int64_t k);
float hsi_resize_weight(const hsched_step *step, uint32_t axis,
                        const hsi_resize_place *place, int64_t k);

#endif
