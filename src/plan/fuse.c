/*
 * One step for what one step can do. A value disappears only if nothing else uses it;
 * taps and outputs are uses (OUTPUT operations), so what the user asked for is never
 * swallowed.
 *
 * - PAD with zeros + CONV2D: pads of the convolution.
 * - CONV2D, FC or SCALE + per-channel affine map: folded into its constants. Maps are
 *   SCALE, and ADD, SUB, MUL, DIV by a constant of one element per channel or in all.
 * - CONV2D + ADD of another tensor: the convolution's residual.
 * - Any of these, NORM, BINARY or MATMUL + activation: act.
 */
#include "plan/passes.h"

#include <string.h>

#include "base/status.h"

/* The only user of a value, or NULL. */
static hsi_op *only_user(const hsi_value *value)
{
    return value->user_count == 1 ? value->users[0] : NULL;
}

/* ---- Bookkeeping ---------------------------------------------------------- */

/* `op` has taken over what `user` did; `last` is op, or the reshape between the two,
 * whose value becomes user's. */
static hsched_status absorb(hsi_ir *ir, hsi_op *op, hsi_op *last, hsi_op *user)
{
    op->name = hsi_ir_join_names(ir, op->name, user->name);
    if (op->name == NULL)
        return hsi_ir_no_memory();
    last->out = user->out;
    last->out->producer = last;
    last->tensor = user->tensor;
    op->tensor = user->tensor;
    op->macs += user->macs;
    hsi_ir_remove(ir, user);
    return HSCHED_OK;
}

/* ---- Per-channel affine maps ---------------------------------------------- */

typedef struct affine {
    int64_t channels;
    double *factor, *addend;
} affine;

/* A constant that has one element, or one per index of dimension `axis` of `shape`; it
 * does not enlarge the shape. */
static int is_per_channel(const hsi_value *constant, const hsi_value *shape,
                          uint32_t axis)
{
    if (constant->data == NULL || constant->dtype != HSCHED_FLOAT32 ||
        constant->rank > shape->rank)
        return 0;
    for (uint32_t i = 0; i < constant->rank; i++) {
        uint32_t d = i + shape->rank - constant->rank;
        if (constant->dims[i] != 1 && (d != axis || constant->dims[i] != shape->dims[d]))
            return 0;
    }
    return 1;
}

static float constant_at(const hsi_value *constant, int64_t channel)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < constant->rank; i++)
        count *= constant->dims[i];
    return ((const float *)constant->data)[count == 1 ? 0 : channel];
}

static int binary_as_affine(const hsi_op *op, const hsi_value *x, uint32_t axis,
                            affine *map)
{
    const int x_first = op->in[0] == x;
    const hsi_value *constant = op->in[x_first ? 1 : 0];
    if (constant == x || !hsi_same_dims(x, op->out) || !is_per_channel(constant, x, axis))
        return 0;
    for (int64_t c = 0; c < map->channels; c++) {
        const double k = constant_at(constant, c);
        switch (op->step.u.binary.kind) {
        case HSCHED_BINARY_ADD:
            map->addend[c] = k;
            break;
        case HSCHED_BINARY_SUB:
            map->factor[c] = x_first ? 1 : -1;
            map->addend[c] = x_first ? -k : k;
            break;
        case HSCHED_BINARY_MUL:
            map->factor[c] = k;
            break;
        case HSCHED_BINARY_DIV:
            if (!x_first || k == 0)
                return 0;
            map->factor[c] = 1 / k;
            break;
        default:
            return 0;
        }
    }
    return 1;
}

/* What `user` does to x as factor and addend per index of dimension `axis`; 0 if it is no
 * such thing. */
static int as_affine(const hsi_op *user, const hsi_value *x, uint32_t axis, affine *map)
{
    if (user->step.act.kind != HSCHED_ACTIVATION_NONE)
        return 0;
    for (int64_t c = 0; c < map->channels; c++) {
        map->factor[c] = 1;
        map->addend[c] = 0;
    }
    if (user->kind == HSCHED_STEP_BINARY)
        return binary_as_affine(user, x, axis, map);
    if (user->kind != HSCHED_STEP_SCALE || axis != 1)
        return 0;
    const float *factor = user->in[1]->data, *addend = user->in[2]->data;
    for (int64_t c = 0; c < map->channels; c++) {
        map->factor[c] = factor[c];
        map->addend[c] = addend[c];
    }
    return 1;
}

/* New constants for `op` so that it does `map` as well. For SCALE in[1] is a factor per
 * channel, for the others a row of weights; they stay as they are where only something is
 * added. */
static hsched_status fold_affine(hsi_ir *ir, hsi_op *op, const affine *map)
{
    const hsi_value *old_weights = op->in[1], *old_bias = op->in[2];
    float *weights, *bias;
    hsi_value *new_bias = hsi_ir_weights(ir, 1, &map->channels, &bias);
    if (new_bias == NULL)
        return hsi_ir_no_memory();
    int only_adds = 1;
    for (int64_t c = 0; c < map->channels; c++) {
        double b = old_bias != NULL ? ((const float *)old_bias->data)[c] : 0;
        bias[c] = (float)(b * map->factor[c] + map->addend[c]);
        only_adds &= map->factor[c] == 1;
    }
    op->in[2] = new_bias;
    if (only_adds)
        return HSCHED_OK;
    op->in[1] = hsi_ir_weights(ir, old_weights->rank, old_weights->dims, &weights);
    if (op->in[1] == NULL)
        return hsi_ir_no_memory();
    const float *from = old_weights->data;
    int64_t row = 1;
    for (uint32_t i = 1; i < old_weights->rank; i++)
        row *= old_weights->dims[i];
    for (int64_t c = 0; c < map->channels; c++)
        for (int64_t i = 0; i < row; i++)
            weights[c * row + i] = (float)(from[c * row + i] * map->factor[c]);
    return HSCHED_OK;
}

static int takes_affine(const hsi_op *op)
{
    return (op->kind == HSCHED_STEP_CONV2D || op->kind == HSCHED_STEP_FC ||
            op->kind == HSCHED_STEP_SCALE) &&
           op->step.act.kind == HSCHED_ACTIVATION_NONE &&
           (op->in_count < 4 || op->in[3] == NULL);
}

/* Folds the affine operations that follow; those behind a reshape of an FC's rows as
 * well, as far as they go along the last dimension. */
static hsched_status fuse_affine(hsi_ir *ir, hsi_op *op)
{
    affine map = { .channels = op->out->dims[1] };
    hsched_status status = HSCHED_OK;
    while (status == HSCHED_OK) {
        hsi_op *last = op, *user = only_user(op->out);
        uint32_t axis = 1;
        if (user != NULL && op->kind == HSCHED_STEP_FC && user->kind == HSI_OP_RESHAPE &&
            user->out->rank > 0 && user->out->dims[user->out->rank - 1] == map.channels) {
            last = user;
            axis = last->out->rank - 1;
            user = only_user(last->out);
        }
        if (user == NULL ||
            (user->kind != HSCHED_STEP_SCALE && user->kind != HSCHED_STEP_BINARY))
            return HSCHED_OK;
        if (map.factor == NULL) {
            map.factor = HSI_POOL_ARRAY(&ir->temporary, double, (size_t)map.channels);
            map.addend = HSI_POOL_ARRAY(&ir->temporary, double, (size_t)map.channels);
            if (map.factor == NULL || map.addend == NULL)
                return hsi_ir_no_memory();
        }
        if (!as_affine(user, last->out, axis, &map))
            return HSCHED_OK;
        status = fold_affine(ir, op, &map);
        if (status == HSCHED_OK)
            status = absorb(ir, op, last, user);
    }
    return status;
}

/* ---- Padding -------------------------------------------------------------- */

static int is_zero_image_pad(const hsi_op *op)
{
    const int64_t *before = op->step.u.pad.before;
    return op->kind == HSCHED_STEP_PAD && op->out->rank == 4 &&
           op->step.u.pad.mode == HSCHED_PAD_MODE_CONSTANT && op->step.u.pad.value == 0 &&
           before[0] == 0 && before[1] == 0 && op->in[0]->dims[0] == op->out->dims[0] &&
           op->in[0]->dims[1] == op->out->dims[1];
}

static hsched_status fuse_pad(hsi_ir *ir, hsi_op *pad)
{
    hsi_op *conv = only_user(pad->out);
    if (conv == NULL || conv->kind != HSCHED_STEP_CONV2D || conv->in[0] != pad->out)
        return HSCHED_OK;
    int64_t pads[4];
    for (int i = 0; i < 2; i++) {
        const int64_t before = pad->step.u.pad.before[2 + i];
        const int64_t after = pad->out->dims[2 + i] - pad->in[0]->dims[2 + i] - before;
        pads[i] = conv->step.u.conv2d.pads[i] + before;
        pads[2 + i] = conv->step.u.conv2d.pads[2 + i] + after;
        /* A window that sees padding only is nothing that kernels are made for. */
        const int64_t reach =
            conv->step.u.conv2d.dilations[i] * (conv->in[1]->dims[2 + i] - 1);
        if (pads[i] > reach || pads[2 + i] > reach)
            return HSCHED_OK;
    }
    conv->name = hsi_ir_join_names(ir, pad->name, conv->name);
    if (conv->name == NULL)
        return hsi_ir_no_memory();
    memcpy(conv->step.u.conv2d.pads, pads, sizeof pads);
    conv->in[0] = pad->in[0];
    for (uint32_t i = 0; i < pad->in[0]->user_count; i++)
        if (pad->in[0]->users[i] == pad)
            pad->in[0]->users[i] = conv;
    hsi_ir_remove(ir, pad);
    return HSCHED_OK;
}

/* ---- Residuals ------------------------------------------------------------ */

static int takes_residual(const hsi_op *op)
{
    return op->kind == HSCHED_STEP_CONV2D && takes_affine(op);
}

static uint32_t begins_after(const hsi_op *op)
{
    return op->in[0]->producer != NULL ? op->in[0]->producer->position : 0;
}

/* The sum `out(conv) + other` becomes conv's residual. The other tensor has to be there
 * before: where it comes later, either its own convolution takes the sum instead, or this
 * one moves behind it. Of two convolutions the one takes the sum that can begin last, so
 * that the other does not wait for it: a projection runs beside the main branch. */
static hsched_status fuse_residual(hsi_ir *ir, hsi_op *conv)
{
    hsi_op *add = only_user(conv->out);
    if (add == NULL || add->kind != HSCHED_STEP_BINARY ||
        add->step.u.binary.kind != HSCHED_BINARY_ADD ||
        add->step.act.kind != HSCHED_ACTIVATION_NONE)
        return HSCHED_OK;
    hsi_value *other = add->in[add->in[0] == conv->out ? 1 : 0];
    if (other == conv->out || other->data != NULL || !hsi_same_dims(other, conv->out))
        return HSCHED_OK;
    const hsi_op *source = other->producer;
    const int is_later = source != NULL && source->position > conv->position;
    if (is_later && takes_residual(source) && only_user(other) == add &&
        begins_after(source) >= begins_after(conv))
        return HSCHED_OK;
    if (is_later) {
        hsi_ir_remove(ir, conv);
        hsi_ir_insert_before(ir, conv, add);
        conv->position = add->position;
    }
    conv->in[3] = other;
    conv->in_count = 4;
    for (uint32_t i = 0; i < other->user_count; i++)
        if (other->users[i] == add)
            other->users[i] = conv;
    return absorb(ir, conv, conv, add);
}

/* ---- Activations ---------------------------------------------------------- */

static int takes_activation(const hsi_op *op)
{
    switch (op->kind) {
    case HSCHED_STEP_CONV2D:
    case HSCHED_STEP_FC:
    case HSCHED_STEP_MATMUL:
    case HSCHED_STEP_SCALE:
    case HSCHED_STEP_NORM:
    case HSCHED_STEP_BINARY:
        return op->step.act.kind == HSCHED_ACTIVATION_NONE &&
               op->out->dtype == HSCHED_FLOAT32;
    default:
        return 0;
    }
}

static hsched_status fuse_activation(hsi_ir *ir, hsi_op *op)
{
    hsi_op *last = op, *user = only_user(op->out);
    if (user != NULL && user->kind == HSI_OP_RESHAPE) {
        last = user;
        user = only_user(last->out);
    }
    if (user == NULL || user->kind != HSCHED_STEP_UNARY)
        return HSCHED_OK;
    op->step.act = user->step.act;
    return absorb(ir, op, last, user);
}

hsched_status hsi_pass_fuse(hsi_ir *ir)
{
    hsched_status status = hsi_ir_link_users(ir);
    hsi_op *next;
    hsi_ir_number(ir);
    for (hsi_op *op = ir->first; op != NULL && status == HSCHED_OK; op = next) {
        next = op->next;
        if (is_zero_image_pad(op))
            status = fuse_pad(ir, op);
    }
    for (hsi_op *op = ir->first; op != NULL && status == HSCHED_OK; op = op->next)
        if (takes_affine(op))
            status = fuse_affine(ir, op);
    for (hsi_op *op = ir->first; op != NULL && status == HSCHED_OK; op = next) {
        const uint32_t position = op->position;
        next = op->next;
        if (takes_residual(op))
            status = fuse_residual(ir, op);
        if (status == HSCHED_OK && takes_activation(op))
            status = fuse_activation(ir, op);
        /* What followed is gone if it was absorbed, unless this step moved behind it. */
        if (op->position == position)
            next = op->next;
    }
    return status;
}
