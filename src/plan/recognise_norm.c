/*
 * Normalisations:
 *
 * - layers: (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon), over the last dimensions;
 * - root mean squares: x / sqrt(mean(x^2) + epsilon);
 * - groups: instances of a reshaped x, reshaped back;
 *
 * each with a factor and an addend that follow.
 */
#include "plan/recognise.h"

#include <string.h>

/* ---- Means ---------------------------------------------------------------- */

/* A mean over whole images is a pooling (lower_reduce.c). */
static int is_mean(const hsi_op *op)
{
    const hsi_value *x = op->in[0];
    if (op->kind == HSCHED_STEP_REDUCE)
        return op->step.u.reduce.kind == HSCHED_REDUCE_MEAN && x->dtype == HSCHED_FLOAT32;
    if (op->kind != HSCHED_STEP_POOL2D || op->step.u.pool2d.kind != HSCHED_POOL_AVERAGE)
        return 0;
    for (int i = 0; i < 2; i++)
        if (op->step.u.pool2d.kernel[i] != x->dims[2 + i] || op->out->dims[2 + i] != 1 ||
            op->step.u.pool2d.pads[i] != 0 || op->step.u.pool2d.pads[2 + i] != 0)
            return 0;
    return 1;
}

/* The mean that is `value`, over the dimensions from *axis on; NULL if it is none. */
static hsi_op *mean_of_last(const hsi_value *value, uint32_t *axis)
{
    hsi_op *op = value->producer;
    if (op == NULL || value->user_count != 1 || !is_mean(op) ||
        op->in[0]->rank != value->rank)
        return NULL;
    *axis = 0;
    while (*axis < value->rank && value->dims[*axis] == op->in[0]->dims[*axis])
        (*axis)++;
    for (uint32_t d = *axis; d < value->rank; d++)
        if (value->dims[d] != 1)
            return NULL;
    return *axis < value->rank ? op : NULL;
}

/* ---- Layers and root mean squares ----------------------------------------- */

typedef struct written {
    hsi_formula formula;
    hsi_value *centred; /* what is squared, and divided */
    hsi_value *x;
    uint32_t axis, squared_uses;
    double epsilon;
    int rms;
} written;

/* `value` is the mean of the squares of *centred. */
static int match_variance(const hsi_value *value, written *w)
{
    hsi_op *mean = mean_of_last(value, &w->axis);
    if (mean == NULL)
        return 0;
    hsi_op *square = hsi_inner_binary(mean->in[0], HSCHED_BINARY_MUL, 1);
    w->squared_uses = 2;
    if (square != NULL && square->in[0] != square->in[1])
        return 0;
    if (square == NULL) {
        square = hsi_inner_binary(mean->in[0], HSCHED_BINARY_POW, 1);
        w->squared_uses = 1;
        if (square == NULL || !hsi_is_about(square->in[1], 2))
            return 0;
    }
    w->centred = square->in[0];
    hsi_take_in(&w->formula, mean);
    hsi_take_in(&w->formula, square);
    return hsi_same_dims(w->centred, mean->in[0]);
}

/* `value` is sqrt(variance + epsilon), and that alone is what it is for. */
static int match_deviation(const hsi_value *value, written *w)
{
    hsi_op *root = hsi_inner_unary(value, HSCHED_ACTIVATION_SQRT);
    hsi_op *sum =
        root != NULL ? hsi_inner_binary(root->in[0], HSCHED_BINARY_ADD, 1) : NULL;
    if (sum == NULL)
        return 0;
    const int second = hsi_is_number(sum->in[1], &w->epsilon);
    if ((!second && !hsi_is_number(sum->in[0], &w->epsilon)) || !(w->epsilon >= 0))
        return 0;
    const hsi_value *variance = sum->in[second ? 0 : 1];
    hsi_take_in(&w->formula, root);
    hsi_take_in(&w->formula, sum);
    return hsi_same_dims(variance, sum->out) && match_variance(variance, w);
}

/* 1 / deviation. */
static int match_inverse(const hsi_value *value, written *w)
{
    double one;
    hsi_op *op = hsi_inner_unary(value, HSCHED_ACTIVATION_RECIPROCAL);
    const hsi_value *deviation = op != NULL ? op->in[0] : NULL;
    if (op == NULL) {
        op = hsi_inner_binary(value, HSCHED_BINARY_DIV, 1);
        if (op == NULL || !hsi_is_number(op->in[0], &one) || one != 1)
            return 0;
        deviation = op->in[1];
    }
    hsi_take_in(&w->formula, op);
    return hsi_same_dims(deviation, value) && match_deviation(deviation, w);
}

/* What is centred is x less its mean, which nothing else uses; else x itself it is. */
static void match_centre(written *w)
{
    uint32_t axis;
    hsi_op *less = hsi_inner_binary(w->centred, HSCHED_BINARY_SUB, w->squared_uses + 1);
    hsi_op *mean = less != NULL ? mean_of_last(less->in[1], &axis) : NULL;
    w->x = w->centred;
    w->rms = 1;
    if (mean == NULL || mean->in[0] != less->in[0] || axis != w->axis ||
        !hsi_same_dims(less->in[0], less->out))
        return;
    hsi_take_in(&w->formula, less);
    hsi_take_in(&w->formula, mean);
    w->x = less->in[0];
    w->rms = 0;
}

static int match_formula(const hsi_op *op, written *w)
{
    if (hsi_is_binary(op, HSCHED_BINARY_DIV)) {
        if (!match_deviation(op->in[1], w) || op->in[0] != w->centred)
            return 0;
    } else if (hsi_is_binary(op, HSCHED_BINARY_MUL)) {
        const int second = match_inverse(op->in[1], w);
        if (!second)
            *w = (written){ 0 };
        if ((!second && !match_inverse(op->in[0], w)) ||
            op->in[second ? 0 : 1] != w->centred)
            return 0;
    } else {
        return 0;
    }
    match_centre(w);
    return hsi_same_dims(w->x, op->out);
}

/* Of whole images each channel is a group: they may lie as images do then. */
static void set_dimensions(hsi_op *norm, uint32_t axis)
{
    const int of_images = norm->out->rank == 4 && axis == 2;
    norm->step.u.norm.axis = of_images ? 1 : axis;
    norm->step.u.norm.groups = of_images ? norm->out->dims[1] : 1;
}

/* ---- Groups --------------------------------------------------------------- */

static int is_all(const hsi_value *value, float number)
{
    int64_t count = 1;
    if (value == NULL)
        return 1;
    if (value->data == NULL)
        return 0;
    for (uint32_t d = 0; d < value->rank; d++)
        count *= value->dims[d];
    for (int64_t k = 0; k < count; k++)
        if (((const float *)value->data)[k] != number)
            return 0;
    return 1;
}

static hsched_status match_groups(hsi_ir *ir, hsi_op *back)
{
    hsi_op *norm =
        back->kind == HSI_OP_RESHAPE ? hsi_inner(back->in[0], HSCHED_STEP_NORM, 1) : NULL;
    if (norm == NULL || norm->out->dtype != HSCHED_FLOAT32 || norm->out->rank != 3 ||
        norm->step.u.norm.axis != 1 || norm->step.u.norm.groups != norm->out->dims[1] ||
        !is_all(norm->in[1], 1) || !is_all(norm->in[2], 0))
        return HSCHED_OK;
    hsi_op *apart = norm->in[0]->producer;
    if (apart == NULL || apart->kind != HSI_OP_RESHAPE)
        return HSCHED_OK;
    hsi_value *x = apart->in[0];
    const int64_t groups = norm->step.u.norm.groups;
    if (!hsi_same_dims(x, back->out) || x->rank < 2 || x->dims[0] != norm->out->dims[0] ||
        x->dims[1] % groups != 0)
        return HSCHED_OK;
    const hsched_step step = norm->step;
    hsi_formula f = { { norm }, 1 };
    if (apart->out->user_count == 1)
        hsi_take_in(&f, apart);
    hsched_status status =
        hsi_replace(ir, &f, back, HSCHED_STEP_NORM, 3, (hsi_value *[3]){ x });
    back->step = step;
    return status;
}

/* ---- A factor, an addend -------------------------------------------------- */

/* A tensor of x's size that is computed is left to be multiplied or added: it may have better to
 * do. */
static int is_parameter(const hsi_value *value, const hsi_op *user)
{
    return value->dtype == HSCHED_FLOAT32 &&
           (value->data != NULL || !hsi_same_dims(value, user->out));
}

static hsched_status match_parameter(hsi_ir *ir, hsi_op *op)
{
    const int scales = hsi_is_binary(op, HSCHED_BINARY_MUL);
    if (!scales && !hsi_is_binary(op, HSCHED_BINARY_ADD))
        return HSCHED_OK;
    for (int i = 0; i < 2; i++) {
        hsi_op *norm = hsi_inner(op->in[i], HSCHED_STEP_NORM, 1);
        if (norm == NULL || norm->in[2] != NULL || (scales && norm->in[1] != NULL) ||
            !hsi_same_dims(norm->out, op->out) || !is_parameter(op->in[1 - i], op))
            continue;
        const hsched_step step = norm->step;
        const hsi_formula f = { { norm }, 1 };
        hsi_value *const in[3] = { norm->in[0], scales ? op->in[1 - i] : norm->in[1],
                                   scales ? NULL : op->in[1 - i] };
        hsched_status status = hsi_replace(ir, &f, op, HSCHED_STEP_NORM, 3, in);
        op->step = step;
        return status;
    }
    return HSCHED_OK;
}

hsched_status hsi_recognise_norm(hsi_ir *ir, hsi_op *op)
{
    written w = { 0 };
    if (match_formula(op, &w)) {
        hsched_status status =
            hsi_replace(ir, &w.formula, op, HSCHED_STEP_NORM, 3, (hsi_value *[3]){ w.x });
        set_dimensions(op, w.axis);
        op->step.u.norm.epsilon = (float)w.epsilon;
        op->step.u.norm.rms = w.rms;
        return status;
    }
    hsched_status status = match_groups(ir, op);
    return status == HSCHED_OK ? match_parameter(ir, op) : status;
}
