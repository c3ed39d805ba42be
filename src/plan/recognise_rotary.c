/*
 * Rotations of pairs, which tell an attention the places of its words: of the numbers of a head
 *
 * - the halves a, b, or every other one, joined after a * cos - b * sin and b * cos + a * sin;
 * - x * cos + turned(x) * sin, where turned(x) joins -b and a;
 *
 * with pairs half a head apart, or side by side, joined then along a dimension of their own.
 */
#include "plan/recognise.h"

#include <string.h>

typedef struct rotation {
    hsi_formula formula;
    hsi_value *x;
    uint32_t axis; /* of x, that of a head's numbers, from `start` on `count` pairs */
    int64_t start, count;
    int beside;
    hsi_value *cosine, *sine; /* broadcast to x, or to half of it */
} rotation;

/* ---- Views of x ------------------------------------------------------------ */

/* Every `step`-th element along `axis`; the others are all there. */
static int is_slice_along(const hsi_op *op, uint32_t axis, int64_t step)
{
    const hsi_value *x = op->in[0];
    if (op->kind != HSI_OP_SLICE || axis >= x->rank || op->steps[axis] != step)
        return 0;
    for (uint32_t d = 0; d < x->rank; d++)
        if (d != axis &&
            (op->starts[d] != 0 || op->steps[d] != 1 || op->out->dims[d] != x->dims[d]))
            return 0;
    return 1;
}

/* a and b are the first and the second ones of r's pairs, of some x. */
static int match_pairs(const hsi_value *a, const hsi_value *b, rotation *r)
{
    const hsi_op *first = a->producer, *second = b->producer;
    const int64_t step = r->beside ? 2 : 1;
    if (first == NULL || second == NULL || !is_slice_along(first, r->axis, step) ||
        !is_slice_along(second, r->axis, step) || first->in[0] != second->in[0] ||
        !hsi_same_dims(a, b))
        return 0;
    r->x = first->in[0];
    r->start = first->starts[r->axis];
    r->count = a->dims[r->axis];
    return second->starts[r->axis] == r->start + (r->beside ? 1 : r->count);
}

/* `op` adds a dimension of size 1. */
static int is_widened(const hsi_op *op, uint32_t axis)
{
    const hsi_value *narrow = op->in[0], *wide = op->out;
    if (narrow->rank + 1 != wide->rank || wide->dims[axis] != 1)
        return 0;
    for (uint32_t d = 0; d < narrow->rank; d++)
        if (narrow->dims[d] != wide->dims[d < axis ? d : d + 1])
            return 0;
    return 1;
}

/* What `join` joins: of pairs side by side each with a dimension of its own, where it joins. */
static int match_join(const hsi_op *join, hsi_value **parts, rotation *r)
{
    if (join->kind != HSI_OP_CONCAT || join->in_count != 2)
        return 0;
    hsi_op *const widened[2] = { hsi_inner(join->in[0], HSI_OP_RESHAPE, 1),
                                 hsi_inner(join->in[1], HSI_OP_RESHAPE, 1) };
    r->beside = widened[0] != NULL && widened[1] != NULL && join->axis > 0 &&
                is_widened(widened[0], join->axis) && is_widened(widened[1], join->axis);
    r->axis = join->axis - (r->beside ? 1 : 0);
    for (int i = 0; i < 2; i++) {
        parts[i] = r->beside ? widened[i]->in[0] : join->in[i];
        if (r->beside)
            hsi_take_in(&r->formula, widened[i]);
    }
    return 1;
}

/* ---- Halves that are turned and joined ------------------------------------- */

/* A product that is as large as what is multiplied. */
static hsi_op *product(const hsi_value *value)
{
    return hsi_inner_binary(value, HSCHED_BINARY_MUL, 1);
}

/* first = a * cos - b * sin, second = a * sin + b * cos; `swap`: which operands a and b are. */
static int match_turned(const hsi_op *first, const hsi_op *second, int swap, rotation *r)
{
    const hsi_op *ac = product(first->in[0]), *bs = product(first->in[1]);
    const hsi_op *u = product(second->in[0]), *v = product(second->in[1]);
    const hsi_value *a = ac->in[swap & 1], *b = bs->in[swap >> 1];
    r->cosine = ac->in[1 - (swap & 1)];
    r->sine = bs->in[1 - (swap >> 1)];
    if (!match_pairs(a, b, r) || !hsi_same_dims(a, first->out) ||
        !hsi_same_dims(a, second->out))
        return 0;
    return (hsi_is_product(u, a, r->sine) && hsi_is_product(v, b, r->cosine)) ||
           (hsi_is_product(v, a, r->sine) && hsi_is_product(u, b, r->cosine));
}

static int match_halves(const hsi_op *op, rotation *r)
{
    hsi_value *parts[2];
    if (!match_join(op, parts, r))
        return 0;
    hsi_op *const sums[2] = { hsi_inner_binary(parts[0], HSCHED_BINARY_SUB, 1),
                              hsi_inner_binary(parts[1], HSCHED_BINARY_ADD, 1) };
    for (int i = 0; i < 2; i++) {
        if (sums[i] == NULL || product(sums[i]->in[0]) == NULL ||
            product(sums[i]->in[1]) == NULL)
            return 0;
        hsi_take_in(&r->formula, sums[i]);
        hsi_take_in(&r->formula, product(sums[i]->in[0]));
        hsi_take_in(&r->formula, product(sums[i]->in[1]));
    }
    for (int swap = 0; swap < 4; swap++)
        if (match_turned(sums[0], sums[1], swap, r))
            return 1;
    return 0;
}

/* ---- x and what it is turned by a right angle ------------------------------- */

/* `value` is -b and a joined, of all of x. */
static int match_right_angle(const hsi_value *value, const hsi_value *x, rotation *r)
{
    hsi_value *parts[2];
    hsi_op *flat = hsi_inner(value, HSI_OP_RESHAPE, 1);
    hsi_op *join = hsi_inner(flat != NULL ? flat->in[0] : value, HSI_OP_CONCAT, 1);
    if (join == NULL || !match_join(join, parts, r) || (flat != NULL) != r->beside)
        return 0;
    hsi_op *minus = hsi_inner_unary(parts[0], HSCHED_ACTIVATION_NEG);
    if (minus == NULL || !match_pairs(parts[1], minus->in[0], r) || r->x != x ||
        r->start != 0 || 2 * r->count != x->dims[r->axis] || !hsi_same_dims(value, x))
        return 0;
    if (flat != NULL)
        hsi_take_in(&r->formula, flat);
    hsi_take_in(&r->formula, join);
    hsi_take_in(&r->formula, minus);
    return 1;
}

static int match_whole(const hsi_op *op, rotation *r)
{
    hsi_op *terms[2];
    if (!hsi_is_binary(op, HSCHED_BINARY_ADD) || op->out->rank == HSCHED_MAX_DIMS)
        return 0;
    for (int i = 0; i < 2; i++)
        if ((terms[i] = product(op->in[i])) == NULL)
            return 0;
    for (int k = 0; k < 8; k++) {
        const hsi_op *plain = terms[k & 1], *turned = terms[1 - (k & 1)];
        hsi_value *x = plain->in[k >> 1 & 1];
        *r = (rotation){ { { terms[0], terms[1] }, 2 }, 0 };
        if (!hsi_same_dims(x, op->out) || !match_right_angle(turned->in[k >> 2], x, r))
            continue;
        r->cosine = plain->in[1 - (k >> 1 & 1)];
        r->sine = turned->in[1 - (k >> 2)];
        return 1;
    }
    return 0;
}

/* ---- The step ---------------------------------------------------------------- */

static hsi_value *add_op(hsi_ir *ir, const hsi_op *before, int kind, hsi_value *x,
                         uint32_t rank, const int64_t *dims, hsi_op **made)
{
    hsi_value *y = hsi_ir_value(ir, x->dtype, rank, dims);
    hsi_op *op = y != NULL ? hsi_ir_op(ir, kind, before->name, 1, y) : NULL;
    if (op == NULL)
        return NULL;
    op->in[0] = x;
    hsi_ir_insert_before(ir, op, (hsi_op *)before);
    *made = op;
    return y;
}

/* Dimension `axis` of `value` in two: pairs, and where they stand. */
static hsi_value *split(hsi_ir *ir, const hsi_op *before, hsi_value *value, int64_t axis,
                        const rotation *r)
{
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_op *op;
    if (axis < 0) /* broadcast along it */
        return value;
    const int64_t size = value->dims[axis];
    const int64_t pairs = size == 2 * r->count ? r->count : size; /* or it has no pairs */
    memcpy(dims, value->dims, (size_t)axis * sizeof *dims);
    dims[axis] = r->beside ? pairs : size / pairs;
    dims[axis + 1] = r->beside ? size / pairs : pairs;
    memcpy(dims + axis + 2, value->dims + axis + 1,
           (value->rank - (size_t)axis - 1) * sizeof *dims);
    hsi_value *y = add_op(ir, before, HSI_OP_RESHAPE, value, value->rank + 1, dims, &op);
    return y != NULL && hsi_fold_constants(ir, op) == HSCHED_OK ? y : NULL;
}

/* Those of x's numbers that are turned. */
static hsi_value *turned_part(hsi_ir *ir, const hsi_op *before, const rotation *r)
{
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_op *op;
    if (2 * r->count == r->x->dims[r->axis])
        return r->x;
    memcpy(dims, r->x->dims, sizeof dims);
    dims[r->axis] = 2 * r->count;
    hsi_value *y = add_op(ir, before, HSI_OP_SLICE, r->x, r->x->rank, dims, &op);
    for (uint32_t d = 0; y != NULL && d < r->x->rank; d++) {
        op->starts[d] = d == r->axis ? r->start : 0;
        op->steps[d] = 1;
    }
    return y;
}

hsched_status hsi_recognise_rotary(hsi_ir *ir, hsi_op *op)
{
    rotation r = { 0 };
    if (!match_halves(op, &r) && !match_whole(op, &r))
        return HSCHED_OK;
    if (r.x->rank == HSCHED_MAX_DIMS || r.x->dtype != HSCHED_FLOAT32)
        return HSCHED_OK;
    hsi_value *in[3] = { turned_part(ir, op, &r), r.cosine, r.sine };
    for (int k = 0; k < 3; k++) {
        /* Dimensions are counted from the last one, as broadcasting does. */
        const int64_t axis =
            in[k] != NULL ? (int64_t)in[k]->rank - r.x->rank + r.axis : 0;
        in[k] = in[k] != NULL ? split(ir, op, in[k], axis, &r) : NULL;
        if (in[k] == NULL)
            return hsi_ir_no_memory();
    }
    hsi_op *step;
    hsi_value *y =
        add_op(ir, op, HSCHED_STEP_ROTARY, in[0], in[0]->rank, in[0]->dims, &step);
    if (y == NULL)
        return hsi_ir_no_memory();
    memcpy(step->in, in, sizeof in);
    step->in_count = 3;
    step->step.u.rotary.axis = r.axis + (r.beside ? 1 : 0);
    step->tensor = op->tensor;
    return hsi_replace(ir, &r.formula, op, HSI_OP_RESHAPE, 1, &y);
}
