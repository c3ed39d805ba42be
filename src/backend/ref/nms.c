/* NMS: boxes in the order of their scores, found one after the other by looking at all. */
#include "backend/ref/ref.h"

#include "backend/nms.h"

/* Scores and boxes of one class. */
typedef struct class
{
    const float *scores, *boxes;
    int64_t score_stride, box_stride, number_stride, count;
} class;

/* The next box behind `last` (-1: the first) in the order of scores; -1 if there is none. */
static int64_t next_box(const hsched_step *step, const class *c, int64_t last)
{
    const float bound = last < 0 ? 0 : c->scores[last * c->score_stride];
    int64_t best = -1;
    for (int64_t i = 0; i < c->count; i++) {
        const float score = c->scores[i * c->score_stride];
        if (!hsi_nms_scores(step, score) ||
            (last >= 0 && (score > bound || (score == bound && i <= last))))
            continue;
        if (best < 0 || score > c->scores[best * c->score_stride])
            best = i;
    }
    return best;
}

static hsi_nms_box box_at(const hsched_step *step, const class *c, int64_t i)
{
    return hsi_nms_box_at(step, c->boxes + i * c->box_stride, c->number_stride);
}

static void choose(const hsched_step *step, const class *c, int64_t *y, int64_t y_stride)
{
    const int64_t most = step->out.dims[2];
    int64_t chosen = 0;
    for (int64_t i = next_box(step, c, -1); i >= 0 && chosen < most;
         i = next_box(step, c, i)) {
        int suppressed = 0;
        for (int64_t k = 0; k < chosen && !suppressed; k++)
            suppressed = hsi_nms_suppresses(step->u.nms.iou_threshold, box_at(step, c, i),
                                            box_at(step, c, y[k * y_stride]));
        if (!suppressed)
            y[chosen++ * y_stride] = i;
    }
    while (chosen < most)
        y[chosen++ * y_stride] = -1;
}

void hsi_ref_nms(const hsched_step *step, const void *const *inputs, void *out)
{
    const hsched_operand *boxes = &step->in[0], *scores = &step->in[1], *y = &step->out;
    for (int64_t b = 0; b < y->dims[0]; b++)
        for (int64_t c = 0; c < y->dims[1]; c++) {
            const class one = {
                (const float *)inputs[1] + b * scores->strides[0] +
                    c * scores->strides[1],
                (const float *)inputs[0] + b * boxes->strides[0],
                scores->strides[2],
                boxes->strides[1],
                boxes->strides[2],
                boxes->dims[1],
            };
            choose(step, &one, (int64_t *)out + b * y->strides[0] + c * y->strides[1],
                   y->strides[2]);
        }
}
