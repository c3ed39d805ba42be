/*
 * Range between numbers that are computed: how many there are must be known, which it is where both
 * ends are the same number but for constants that were added. Of integers only, which add exactly.
 */
#include "onnx/compose.h"
#include "onnx/ops.h"

#define MAX_STEPS 16 /* followed back from an end */

/* A number as another one plus a constant. */
typedef struct sum {
    hsched_tensor base;
    int64_t offset;
} sum;

static int is_one(const hsi_graph_tensor *t)
{
    for (uint32_t k = 0; k < t->rank; k++)
        if (t->dims[k] != 1)
            return 0;
    return t->dtype == HSCHED_INT64 || t->dtype == HSCHED_INT32;
}

static int known(const hsi_onnx_import *im, hsched_tensor x, int64_t *value)
{
    const hsi_graph_tensor *t = &im->graph->tensors[x];
    if (!t->data || !is_one(t))
        return 0;
    *value =
        t->dtype == HSCHED_INT64 ? *(const int64_t *)t->data : *(const int32_t *)t->data;
    return *value > -((int64_t)1 << 40) && *value < (int64_t)1 << 40;
}

/* One step back from s->base, if it is such a sum or only another shape. */
static int step_back(const hsi_onnx_import *im, sum *s)
{
    const hsi_graph_tensor *t = &im->graph->tensors[s->base];
    int64_t value;
    if (t->producer == HSI_NO_INDEX)
        return 0;
    const hsi_layer *layer = &im->graph->layers[t->producer];
    const hsched_tensor *in = layer->inputs;
    switch (layer->kind) {
    case HSI_LAYER_RESHAPE:
    case HSI_LAYER_SQUEEZE:
    case HSI_LAYER_UNSQUEEZE:
        s->base = in[0];
        return is_one(&im->graph->tensors[in[0]]);
    case HSI_LAYER_BINARY:
        if (layer->attrs.binary == HSCHED_BINARY_ADD && known(im, in[0], &value)) {
            s->base = in[1];
            s->offset += value;
        } else if (layer->attrs.binary == HSCHED_BINARY_ADD && known(im, in[1], &value)) {
            s->base = in[0];
            s->offset += value;
        } else if (layer->attrs.binary == HSCHED_BINARY_SUB && known(im, in[1], &value)) {
            s->base = in[0];
            s->offset -= value;
        } else {
            return 0;
        }
        return is_one(&im->graph->tensors[s->base]);
    default:
        return 0;
    }
}

/* Whether the distance from start to limit is known. */
static int distance_of(const hsi_onnx_import *im, hsched_tensor start,
                       hsched_tensor limit, int64_t *distance)
{
    sum from = { start, 0 };
    for (int i = 0; i < MAX_STEPS; i++) {
        sum to = { limit, 0 };
        for (int k = 0; k < MAX_STEPS && to.base != from.base; k++)
            if (!step_back(im, &to))
                break;
        if (to.base == from.base) {
            *distance = to.offset - from.offset;
            return 1;
        }
        if (!step_back(im, &from))
            return 0;
    }
    return 0;
}

/* 0, step, 2 * step, ... */
static hsched_tensor steps_of(hsi_composer *c, hsched_dtype dtype, int64_t count,
                              int64_t step)
{
    hsi_onnx_draft *draft;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_draft_make(c->im, c->node, dtype, 1, &count, 0, &draft);
    if (c->status != HSCHED_OK)
        return HSCHED_NO_TENSOR;
    for (int64_t k = 0; k < count; k++)
        hsi_onnx_put_int(draft, (size_t)k, k * step);
    return hsi_compose_constant(c, dtype, 1, &count, draft->data);
}

hsched_status hsi_onnx_build_range(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    hsi_composer c = { im, node, HSCHED_OK };
    int64_t distance = 0, step = 0;
    hsched_tensor in[3];
    for (uint32_t k = 0; k < 3; k++)
        in[k] = hsi_compose_input(&c, k);
    if (c.status != HSCHED_OK)
        return c.status;
    for (uint32_t k = 0; k < 3; k++)
        if (!is_one(&im->graph->tensors[in[k]]) || hsi_compose_rank(&c, in[k]) > 1 ||
            hsi_compose_dtype(&c, in[k]) != hsi_compose_dtype(&c, in[0]))
            step = -1;
    if (step < 0 || !known(im, in[2], &step) || !distance_of(im, in[0], in[1], &distance))
        return hsi_onnx_unsupported(im, node,
                                    "supported only where it can be computed from "
                                    "constants and shapes while importing");
    if (step == 0)
        return hsi_onnx_malformed(node, "its step is 0");
    const int64_t rest = distance % step, count = distance / step + (rest != 0);
    if (distance == 0 || (distance > 0) != (step > 0)) {
        const int64_t none = 0;
        return hsi_onnx_set_empty(im, node, 0, hsi_compose_dtype(&c, in[0]), 1, &none,
                                  NULL);
    }
    hsi_compose_output(
        &c, 0,
        hsi_compose_pair(&c, HSCHED_BINARY_ADD, in[0],
                         steps_of(&c, hsi_compose_dtype(&c, in[0]), count, step)));
    return c.status;
}
