/* The shape of what is chosen of boxes. */
#include <math.h>

#include "graph/infer.h"

/* boxes [B,N,4], scores [B,C,N] -> [B*C*M,3] */
hsched_status hsi_infer_nms(hsi_infer *f)
{
    const hsi_graph_tensor *boxes = hsi_infer_input(f, 0),
                           *scores = hsi_infer_input(f, 1);
    hsched_nms_config *c = &f->attrs->nms;
    hsched_status status = hsi_expect_float32(boxes, "boxes");
    if (status == HSCHED_OK)
        status = hsi_expect_float32(scores, "scores");
    if (status != HSCHED_OK)
        return status;
    if (c->max_per_class < 1 || isnan(c->iou_threshold) || isnan(c->score_threshold))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "at most %lld boxes per class, thresholds %g and %g: give one box "
            "at least, and numbers",
            (long long)c->max_per_class, (double)c->iou_threshold,
            (double)c->score_threshold);
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 ||
        boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2])
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "boxes " HSI_TENSOR_FMT " and scores " HSI_TENSOR_FMT
                         " are not [B,N,4] and [B,C,N]; give such tensors",
                         HSI_TENSOR_ARGS(boxes), HSI_TENSOR_ARGS(scores));
    if (c->max_per_class > boxes->dims[1])
        c->max_per_class = boxes->dims[1];
    const int64_t dims[4] = { scores->dims[0], scores->dims[1], c->max_per_class, 3 };
    status = hsi_check_size(HSCHED_INT64, 4, dims);
    if (status == HSCHED_OK)
        hsi_infer_set(f, HSCHED_INT64, 2,
                      (const int64_t[2]){ dims[0] * dims[1] * dims[2], 3 });
    return status;
}
