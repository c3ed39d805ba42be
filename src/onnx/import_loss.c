/* Losses: what a label picks of the logarithms of probabilities, weighted, and its sum or mean. */
#include "onnx/compose.h"
#include "onnx/ops.h"

#include <string.h>

enum input {
    LABELS = 1,
    WEIGHTS = 2
};

typedef struct loss {
    hsi_composer c;
    hsched_tensor x, labels; /* [N,C,...] and [N,...] */
    hsched_tensor ignored;   /* bool, by label; HSCHED_NO_TENSOR: none is */
    hsched_tensor weights;   /* by label; HSCHED_NO_TENSOR: all are 1 */
} loss;

static int attr_is(hsi_composer *c, const char *text)
{
    int equal = 0;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_is(c->node, "reduction", "mean", text, &equal);
    return equal;
}

/* Dimension k of the labels, which is dimension `of` of x, for other values of symbols, too. */
static void check_dimension(loss *l, uint32_t k, uint32_t of)
{
    hsi_composer *c = &l->c;
    if (hsi_compose_size(c, l->labels, k) != hsi_compose_size(c, l->x, of)) {
        c->status = hsi_onnx_malformed(c->node, "its labels do not fit dimension %u", of);
    } else if (hsi_onnx_dim_tag(c->im, l->labels, k) !=
               hsi_onnx_dim_tag(c->im, l->x, of)) {
        hsi_compose_fixed(c, l->labels, k);
        hsi_compose_fixed(c, l->x, of);
    }
}

static void read_inputs(loss *l)
{
    hsi_composer *c = &l->c;
    l->x = hsi_compose_input(c, 0);
    l->labels = hsi_compose_input(c, LABELS);
    const uint32_t rank = hsi_compose_rank(c, l->x);
    if (c->status == HSCHED_OK &&
        (rank < 2 || hsi_compose_rank(c, l->labels) != rank - 1))
        c->status =
            hsi_onnx_malformed(c->node, "its labels do not fit %u dimensions", rank);
    for (uint32_t k = 0; c->status == HSCHED_OK && k + 1 < rank; k++)
        check_dimension(l, k, k + (k > 0));
}

/* x where a label is not ignored, else 0. */
static hsched_tensor kept(loss *l, hsched_tensor x)
{
    if (l->ignored == HSCHED_NO_TENSOR)
        return x;
    return hsi_compose_where(&l->c, l->ignored,
                             hsi_compose_number(&l->c, hsi_compose_dtype(&l->c, l->x), 0),
                             x);
}

static void read_weights(loss *l)
{
    hsi_composer *c = &l->c;
    int64_t label = 0;
    l->ignored = l->weights = HSCHED_NO_TENSOR;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_int(c->node, "ignore_index", 0, &label);
    if (hsi_onnx_attr(c->node, "ignore_index")) {
        hsched_tensor number = hsi_compose_constant(c, HSCHED_INT64, 0, NULL, &label);
        l->ignored = hsi_compose_pair(
            c, HSCHED_BINARY_EQUAL, hsi_compose_cast(c, l->labels, HSCHED_INT64), number);
    }
    if (!hsi_onnx_has_input(c->node, WEIGHTS))
        return;
    hsched_tensor given = hsi_compose_input(c, WEIGHTS);
    if (c->status == HSCHED_OK &&
        (hsi_compose_rank(c, given) != 1 ||
         hsi_compose_size(c, given, 0) != hsi_compose_size(c, l->x, 1)))
        c->status = hsi_onnx_malformed(c->node, "its weights are not one for each class");
    l->weights = kept(l, hsi_compose_gather(c, given, l->labels, 0));
}

static hsched_tensor over_all(loss *l, hsched_reduce_kind kind, hsched_tensor x)
{
    int64_t axes[HSCHED_MAX_DIMS];
    const uint32_t rank = hsi_compose_rank(&l->c, x);
    for (uint32_t k = 0; k < rank; k++)
        axes[k] = k;
    return hsi_compose_reduce(&l->c, kind, x, rank, axes, 0);
}

/* Of losses that are weighted already, by what the weights amount to. */
static hsched_tensor mean(loss *l, hsched_tensor losses)
{
    hsi_composer *c = &l->c;
    hsched_tensor weights = l->weights;
    if (weights == HSCHED_NO_TENSOR && l->ignored == HSCHED_NO_TENSOR)
        return over_all(l, HSCHED_REDUCE_MEAN, losses);
    if (weights == HSCHED_NO_TENSOR)
        weights = kept(l, hsi_compose_number(c, hsi_compose_dtype(c, l->x), 1));
    return hsi_compose_pair(c, HSCHED_BINARY_DIV, over_all(l, HSCHED_REDUCE_SUM, losses),
                            over_all(l, HSCHED_REDUCE_SUM, weights));
}

hsched_status hsi_onnx_build_loss(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    static const int64_t class_axis[1] = { 1 };
    loss l = { .c = { im, node, HSCHED_OK } };
    hsi_composer *c = &l.c;
    read_inputs(&l);
    read_weights(&l);
    if (strcmp(node->op, "SoftmaxCrossEntropyLoss") == 0) {
        l.x = hsi_compose_log_softmax(c, l.x, 1);
        if (c->status == HSCHED_OK && hsi_onnx_output_used(im, node, 1))
            hsi_compose_output(c, 1, l.x);
    }
    hsched_tensor y = hsi_compose_gather_elements(
        c, l.x, hsi_compose_unsqueeze(c, l.labels, 1, class_axis), 1);
    y = hsi_compose_act(c, HSCHED_ACTIVATION_NEG,
                        hsi_compose_squeeze(c, y, 1, class_axis));
    y = kept(&l, y);
    if (l.weights != HSCHED_NO_TENSOR)
        y = hsi_compose_pair(c, HSCHED_BINARY_MUL, y, l.weights);
    if (attr_is(c, "mean"))
        y = mean(&l, y);
    else if (attr_is(c, "sum"))
        y = over_all(&l, HSCHED_REDUCE_SUM, y);
    else if (!attr_is(c, "none") && c->status == HSCHED_OK)
        c->status = hsi_onnx_malformed(node, "its reduction is none");
    hsi_compose_output(c, 0, y);
    return c->status;
}
