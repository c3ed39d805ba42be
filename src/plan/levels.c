/*
 * On which levels the values of a quantised model lie. A step that ends in FAKE_QUANTIZE gives
 * multiples of one number, within a range of 8 bits; what only moves elements, or picks some of
 * them, leaves them on it. Backends may then read them as the bytes that they stand for.
 */
#include "plan/passes.h"

static const hsched_levels none = { 0, 0 };

/* 0 is always a multiple, but it may be out of the range. */
static hsched_levels if_zero_is_one(hsched_levels levels)
{
    return levels.lowest <= 0 && levels.lowest + 255 >= 0 ? levels : none;
}

static hsched_levels common(const hsi_op *op)
{
    const hsched_levels first = op->in[0]->levels;
    for (uint32_t i = 1; i < op->in_count; i++) {
        const hsched_levels other = op->in[i]->levels;
        if (other.step != first.step || other.lowest != first.lowest)
            return none;
    }
    return first;
}

static hsched_levels padded(const hsi_op *op)
{
    if (op->step.u.pad.mode != HSCHED_PAD_MODE_CONSTANT)
        return op->in[0]->levels;
    return op->step.u.pad.value == 0 ? if_zero_is_one(op->in[0]->levels) : none;
}

static hsched_levels activated(const hsi_op *op)
{
    switch (op->step.act.kind) {
    case HSCHED_ACTIVATION_NONE:
        return op->in[0]->levels;
    case HSCHED_ACTIVATION_RELU:
        return if_zero_is_one(op->in[0]->levels);
    default:
        return none;
    }
}

static hsched_levels levels_of(const hsi_op *op)
{
    const hsched_activation act = op->step.act;
    if (op->out->dtype != HSCHED_FLOAT32)
        return none;
    if (hsi_is_step(op) && act.kind == HSCHED_ACTIVATION_FAKE_QUANTIZE)
        return (hsched_levels){ act.a, act.b };
    if (hsi_is_view(op))
        return op->in[0]->levels;
    switch (op->kind) {
    case HSCHED_STEP_COPY:
        return op->in[0]->levels;
    case HSCHED_STEP_UNARY:
        return activated(op);
    case HSCHED_STEP_POOL2D: /* each window sees some of x */
        return op->step.u.pool2d.kind == HSCHED_POOL_MAX ? op->in[0]->levels : none;
    case HSCHED_STEP_PAD:
        return padded(op);
    case HSCHED_STEP_GATHER: /* zeros where an index is out of range */
        return if_zero_is_one(op->in[0]->levels);
    case HSI_OP_CONCAT:
        return common(op);
    default:
        return none;
    }
}

/* Constants and inputs are on none: what is packed of them is looked at by the backend. */
void hsi_pass_levels(hsi_ir *ir)
{
    for (hsi_op *op = ir->first; op != NULL; op = op->next)
        op->out->levels = levels_of(op);
}
