/* NMS: what a box is, and when one suppresses another. All kernels do the same in floats, since
 * whether one box is chosen changes all that follow. */
#ifndef HSI_BACKEND_NMS_H
#define HSI_BACKEND_NMS_H

#include <math.h>

#include <hsched/backend.h>

typedef struct hsi_nms_box {
    float left, top, right, bottom, area;
} hsi_nms_box;

/* The box whose four numbers are `stride` apart. */
static inline hsi_nms_box hsi_nms_box_at(const hsched_step *step, const float *numbers,
                                         int64_t stride)
{
    const float a = numbers[0], b = numbers[stride], c = numbers[2 * stride],
                d = numbers[3 * stride];
    hsi_nms_box box;
    if (step->u.nms.center) {
        const float x = c / 2, y = d / 2;
        box = (hsi_nms_box){ a - x, b - y, a + x, b + y, 0 };
    } else {
        box = (hsi_nms_box){ b < d ? b : d, a < c ? a : c, b < d ? d : b, a < c ? c : a,
                             0 };
    }
    box.area = (box.right - box.left) * (box.bottom - box.top);
    return box;
}

/* 1 if the boxes share more of their union than the threshold. */
static inline int hsi_nms_suppresses(float threshold, hsi_nms_box a, hsi_nms_box b)
{
    const float left = a.left > b.left ? a.left : b.left,
                right = a.right < b.right ? a.right : b.right,
                top = a.top > b.top ? a.top : b.top,
                bottom = a.bottom < b.bottom ? a.bottom : b.bottom;
    const float width = right - left, height = bottom - top, shared = width * height;
    const float all = a.area + b.area - shared;
    return (width > 0) & (height > 0) & (a.area > 0) & (b.area > 0) & (all > 0) &
           (shared / all > threshold);
}

/* Can a box of that score be chosen at all? */
static inline int hsi_nms_scores(const hsched_step *step, float score)
{
    const float least = step->u.nms.score_threshold;
    return score > least || (least == -INFINITY && score == least);
}

#endif
