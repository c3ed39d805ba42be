/*
 * Layers that were written as their formulas: what the files that find them share. A formula is
 * one step if it is all there, in any of the forms that exporters write, and nothing else uses a
 * value inside of it.
 */
#ifndef HSI_PLAN_RECOGNISE_H
#define HSI_PLAN_RECOGNISE_H

#include "plan/passes.h"

/* The operations of a formula but the last one. */
typedef struct hsi_formula {
    hsi_op *inner[16];
    uint32_t count;
} hsi_formula;

/* The operation that makes `value`, to be one of a formula's: of that kind, without an activation
 * of its own, `users` uses of what it makes. NULL if it is none. */
static inline hsi_op *hsi_inner(const hsi_value *value, int kind, uint32_t users)
{
    hsi_op *op = value->producer;
    if (op == NULL || op->kind != kind || value->user_count != users)
        return NULL;
    return kind == HSCHED_STEP_UNARY || op->step.act.kind == HSCHED_ACTIVATION_NONE
               ? op
               : NULL;
}

static inline int hsi_is_binary(const hsi_op *op, hsched_binary_kind kind)
{
    return op->kind == HSCHED_STEP_BINARY && op->step.u.binary.kind == kind &&
           op->step.act.kind == HSCHED_ACTIVATION_NONE &&
           op->out->dtype == HSCHED_FLOAT32;
}

static inline hsi_op *hsi_inner_binary(const hsi_value *value, hsched_binary_kind kind,
                                       uint32_t users)
{
    hsi_op *op = hsi_inner(value, HSCHED_STEP_BINARY, users);
    return op != NULL && hsi_is_binary(op, kind) ? op : NULL;
}

static inline hsi_op *hsi_inner_unary(const hsi_value *value, hsched_activation_kind kind)
{
    hsi_op *op = hsi_inner(value, HSCHED_STEP_UNARY, 1);
    return op != NULL && op->step.act.kind == kind ? op : NULL;
}

static inline void hsi_take_in(hsi_formula *f, hsi_op *op)
{
    f->inner[f->count++] = op;
}

/* Of a pair's operands the one that is not `value`. */
static inline hsi_value *hsi_other(const hsi_op *op, const hsi_value *value)
{
    return op->in[op->in[0] == value ? 1 : 0];
}

/* 1 if it is a constant of one float, which does not enlarge the other operand. */
int hsi_is_number(const hsi_value *value, double *number);
/* 1 if it is that one, as far as a narrow float holds it. */
int hsi_is_about(const hsi_value *value, double number);
/* The operand beside such a number; NULL if there is none. */
hsi_value *hsi_beside(const hsi_op *op, double number);

/* Whether `op` multiplies these two, in either order. */
static inline int hsi_is_product(const hsi_op *op, const hsi_value *a, const hsi_value *b)
{
    return (op->in[0] == a && op->in[1] == b) || (op->in[0] == b && op->in[1] == a);
}

/* `last` becomes a step of that kind with these inputs, and the others are gone. */
hsched_status hsi_replace(hsi_ir *ir, const hsi_formula *f, hsi_op *last, int kind,
                          uint32_t in_count, hsi_value *const *in);

/* Each looks at whether `op` is the last of such a formula; *op is then what it became. */
hsched_status hsi_recognise_norm(hsi_ir *ir, hsi_op *op); /* recognise_norm.c */
hsched_status hsi_recognise_activation(hsi_ir *ir,
                                       hsi_op *op);         /* recognise_activation.c */
hsched_status hsi_recognise_rotary(hsi_ir *ir, hsi_op *op); /* recognise_rotary.c */

#endif
