/* BatchNormalization that trains: by mean and variance of the batch; running ones follow. */
#include "onnx/compose.h"
#include "onnx/ops.h"

enum input {
    SCALE = 1,
    BIAS = 2,
    RUNNING_MEAN = 3,
    RUNNING_VARIANCE = 4
};

typedef struct batch {
    hsi_composer c;
    uint32_t rank;
    int64_t others[HSCHED_MAX_DIMS]; /* axes but that of the channels: rank - 1 */
} batch;

/* Along all axes but that of the channels, [1,C,1,...]. */
static hsched_tensor mean(batch *b, hsched_tensor x)
{
    return hsi_compose_reduce(&b->c, HSCHED_REDUCE_MEAN, x, b->rank - 1, b->others, 1);
}

/* Input k, [C], to go with [N,C,...]. */
static hsched_tensor channels(batch *b, uint32_t k)
{
    return hsi_compose_unsqueeze(&b->c, hsi_compose_input(&b->c, k), b->rank - 1,
                                 b->others);
}

/* Input k where somebody needs its new value, which becomes output `output`. */
static void update(batch *b, uint32_t k, uint32_t output, double momentum,
                   hsched_tensor value)
{
    hsi_composer *c = &b->c;
    if (c->status != HSCHED_OK || !hsi_onnx_output_used(c->im, c->node, output))
        return;
    const hsched_dtype dtype = hsi_compose_dtype(c, value);
    value = hsi_compose_squeeze(c, value, b->rank - 1, b->others);
    value = hsi_compose_pair(c, HSCHED_BINARY_MUL, value,
                             hsi_compose_number(c, dtype, 1 - momentum));
    hsched_tensor old = hsi_compose_pair(c, HSCHED_BINARY_MUL, hsi_compose_input(c, k),
                                         hsi_compose_number(c, dtype, momentum));
    hsi_compose_output(c, output, hsi_compose_pair(c, HSCHED_BINARY_ADD, old, value));
}

hsched_status hsi_onnx_train_batch_norm(hsi_onnx_import *im, const hsi_onnx_node *node,
                                        float epsilon)
{
    batch b = { .c = { im, node, HSCHED_OK } };
    hsi_composer *c = &b.c;
    float momentum = 0;
    hsched_tensor x = hsi_compose_input(c, 0);
    b.rank = hsi_compose_rank(c, x);
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_attr_float(node, "momentum", 0.9f, &momentum);
    if (c->status == HSCHED_OK && b.rank < 2)
        c->status = hsi_onnx_unsupported(im, node, "an input of %u dimensions", b.rank);
    if (c->status != HSCHED_OK)
        return c->status;
    for (uint32_t k = 1; k + 1 < b.rank; k++)
        b.others[k] = k + 1;
    hsched_tensor average = mean(&b, x);
    x = hsi_compose_pair(c, HSCHED_BINARY_SUB, x, average);
    hsched_tensor variance = mean(&b, hsi_compose_pair(c, HSCHED_BINARY_MUL, x, x));
    update(&b, RUNNING_MEAN, 1, (double)momentum, average);
    update(&b, RUNNING_VARIANCE, 2, (double)momentum, variance);
    variance = hsi_compose_pair(
        c, HSCHED_BINARY_ADD, variance,
        hsi_compose_number(c, hsi_compose_dtype(c, variance), (double)epsilon));
    hsched_tensor factor =
        hsi_compose_pair(c, HSCHED_BINARY_DIV, channels(&b, SCALE),
                         hsi_compose_act(c, HSCHED_ACTIVATION_SQRT, variance));
    x = hsi_compose_pair(c, HSCHED_BINARY_MUL, x, factor);
    hsi_compose_output(c, 0,
                       hsi_compose_pair(c, HSCHED_BINARY_ADD, x, channels(&b, BIAS)));
    return c->status;
}
