/*
 * A depthwise convolution and the pointwise one that alone reads it become one step, so that what
 * is between them need not go through memory, where that is faster.
 */
#include "plan/passes.h"

#include <string.h>

enum {
    MIN_CHANNELS = 16, /* a vector, of the longest ones */
    MIN_ROWS = 7,
    ROWS_PER_PART = 3
};

static int is_static(const hsi_op *op)
{
    return op->in[0]->data == NULL && op->in[1]->data != NULL &&
           (op->in[2] == NULL || op->in[2]->data != NULL);
}

static int is_depthwise(const hsi_op *op)
{
    return op->kind == HSCHED_STEP_CONV2D && is_static(op) &&
           op->step.u.conv2d.groups == op->in[0]->dims[1] &&
           op->out->dims[1] == op->in[0]->dims[1] &&
           (op->in_count < 4 || op->in[3] == NULL);
}

static int is_pointwise(const hsi_op *op)
{
    const int64_t *pads = op->step.u.conv2d.pads, *strides = op->step.u.conv2d.strides;
    return op->kind == HSCHED_STEP_CONV2D && is_static(op) &&
           op->step.u.conv2d.groups == 1 && op->in[1]->dims[2] == 1 &&
           op->in[1]->dims[3] == 1 && strides[0] == 1 && strides[1] == 1 &&
           pads[0] == 0 && pads[1] == 0 && pads[2] == 0 && pads[3] == 0;
}

/* The windows and channels that it is made for: others have faster kernels, each for itself. */
static int is_common(const hsi_op *depthwise)
{
    const int64_t *kernel = depthwise->in[1]->dims + 2,
                  *strides = depthwise->step.u.conv2d.strides,
                  *dilations = depthwise->step.u.conv2d.dilations;
    return kernel[0] == 3 && kernel[1] == 3 && strides[0] <= 2 && strides[1] <= 2 &&
           dilations[0] == 1 && dilations[1] == 1 &&
           depthwise->out->dims[1] >= MIN_CHANNELS;
}

/* What lies on levels of 8 bits has kernels of its own. Parts are rows: of a few each, workers
 * would wait for those that have one more. */
static int is_worth_while(const hsi_ir *ir, const hsi_op *depthwise)
{
    const int64_t *out = depthwise->out->dims;
    return is_common(depthwise) && depthwise->in[0]->levels.step == 0 &&
           depthwise->out->levels.step == 0 && out[2] >= MIN_ROWS &&
           out[0] * out[2] >= (int64_t)ROWS_PER_PART * ir->config->max_parts;
}

/* The depthwise one's work becomes the pointwise one's, where that stands: its residual is there
 * then. */
static hsched_status join(hsi_ir *ir, hsi_op *depthwise, hsi_op *pointwise)
{
    hsi_value *const in[6] = {
        depthwise->in[0], depthwise->in[1],
        depthwise->in[2], pointwise->in[1],
        pointwise->in[2], pointwise->in_count > 3 ? pointwise->in[3] : NULL,
    };
    hsched_step step = { .act = pointwise->step.act };
    step.u.separable_conv2d.depthwise_act = depthwise->step.act;
    memcpy(step.u.separable_conv2d.strides, depthwise->step.u.conv2d.strides,
           sizeof step.u.separable_conv2d.strides);
    memcpy(step.u.separable_conv2d.pads, depthwise->step.u.conv2d.pads,
           sizeof step.u.separable_conv2d.pads);
    memcpy(step.u.separable_conv2d.dilations, depthwise->step.u.conv2d.dilations,
           sizeof step.u.separable_conv2d.dilations);
    pointwise->name = hsi_ir_join_names(ir, depthwise->name, pointwise->name);
    if (pointwise->name == NULL)
        return hsi_ir_no_memory();
    pointwise->kind = HSCHED_STEP_SEPARABLE_CONV2D;
    pointwise->step = step;
    pointwise->in_count = 6;
    memcpy(pointwise->in, in, sizeof in);
    pointwise->macs += depthwise->macs;
    hsi_ir_remove(ir, depthwise);
    return HSCHED_OK;
}

hsched_status hsi_pass_separable(hsi_ir *ir)
{
    if (ir->config->without >> HSCHED_STEP_SEPARABLE_CONV2D & 1)
        return HSCHED_OK;
    hsched_status status = hsi_ir_link_users(ir);
    hsi_op *next;
    for (hsi_op *op = ir->first; op != NULL && status == HSCHED_OK; op = next) {
        next = op->next;
        if (!is_depthwise(op) || op->out->user_count != 1)
            continue;
        hsi_op *user = op->out->users[0];
        if (is_pointwise(user) && user->in[0] == op->out && is_worth_while(ir, op))
            status = join(ir, op, user);
    }
    return status;
}
