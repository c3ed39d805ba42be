/*
 * Activations:
 *
 * - gelu: 0.5 * x * (1 + erf(x / sqrt(2))), and gelu_tanh:
 *   0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))), products in any order;
 * - silu: x * sigmoid(x); mish: x * tanh(softplus(x)); hard_swish: x * hard_sigmoid(x) with 1/6 and
 *   1/2.
 */
#include "plan/recognise.h"

#include <math.h>

/* ---- Gelu ----------------------------------------------------------------- */

/* x / sqrt(2) is `value`: x. */
static hsi_value *match_scaled(const hsi_value *value, hsi_formula *f)
{
    hsi_op *op = hsi_inner_binary(value, HSCHED_BINARY_DIV, 1);
    hsi_value *x = NULL;
    if (op != NULL) {
        x = hsi_is_about(op->in[1], sqrt(2)) ? op->in[0] : NULL;
    } else {
        op = hsi_inner_binary(value, HSCHED_BINARY_MUL, 1);
        x = op != NULL ? hsi_beside(op, sqrt(0.5)) : NULL;
    }
    if (x != NULL)
        hsi_take_in(f, op);
    return x;
}

/* x^3 is `value`: x. */
static hsi_value *match_cube(const hsi_value *value, hsi_formula *f)
{
    hsi_op *op = hsi_inner_binary(value, HSCHED_BINARY_POW, 1);
    if (op != NULL && hsi_is_about(op->in[1], 3)) {
        hsi_take_in(f, op);
        return op->in[0];
    }
    op = hsi_inner_binary(value, HSCHED_BINARY_MUL, 1);
    for (int i = 0; i < 2 && op != NULL; i++) {
        hsi_op *square = hsi_inner_binary(op->in[i], HSCHED_BINARY_MUL, 1);
        hsi_value *x = op->in[1 - i];
        if (square == NULL)
            square = hsi_inner_binary(op->in[i], HSCHED_BINARY_POW, 1);
        if (square == NULL || square->in[0] != x ||
            (square->in[1] != x && (square->step.u.binary.kind != HSCHED_BINARY_POW ||
                                    !hsi_is_about(square->in[1], 2))))
            continue;
        hsi_take_in(f, op);
        hsi_take_in(f, square);
        return x;
    }
    return NULL;
}

/* sqrt(2 / pi) * (x + 0.044715 * x^3) is `value`: x. */
static hsi_value *match_cubic(const hsi_value *value, hsi_formula *f)
{
    hsi_op *scaled = hsi_inner_binary(value, HSCHED_BINARY_MUL, 1);
    const hsi_value *sum_value =
        scaled != NULL ? hsi_beside(scaled, sqrt(0.63661977236758134)) : NULL;
    hsi_op *sum =
        sum_value != NULL ? hsi_inner_binary(sum_value, HSCHED_BINARY_ADD, 1) : NULL;
    for (int i = 0; i < 2 && sum != NULL; i++) {
        hsi_op *term = hsi_inner_binary(sum->in[i], HSCHED_BINARY_MUL, 1);
        const hsi_value *cube = term != NULL ? hsi_beside(term, 0.044715) : NULL;
        const uint32_t count = f->count;
        hsi_value *x = cube != NULL ? match_cube(cube, f) : NULL;
        if (x != NULL && x == sum->in[1 - i]) {
            hsi_take_in(f, scaled);
            hsi_take_in(f, sum);
            hsi_take_in(f, term);
            return x;
        }
        f->count = count;
    }
    return NULL;
}

/* 1 + erf(...) or 1 + tanh(...) is `value`: x, and which of them. */
static hsi_value *match_gate(const hsi_value *value, hsched_activation_kind *kind,
                             hsi_formula *f)
{
    hsi_op *sum = hsi_inner_binary(value, HSCHED_BINARY_ADD, 1);
    const hsi_value *inner = sum != NULL ? hsi_beside(sum, 1) : NULL;
    if (inner == NULL)
        return NULL;
    hsi_op *op = hsi_inner_unary(inner, HSCHED_ACTIVATION_ERF);
    *kind = HSCHED_ACTIVATION_GELU;
    hsi_value *x = op != NULL ? match_scaled(op->in[0], f) : NULL;
    if (op == NULL) {
        op = hsi_inner_unary(inner, HSCHED_ACTIVATION_TANH);
        *kind = HSCHED_ACTIVATION_GELU_TANH;
        x = op != NULL ? match_cubic(op->in[0], f) : NULL;
    }
    if (x == NULL)
        return NULL;
    hsi_take_in(f, sum);
    hsi_take_in(f, op);
    return x;
}

/* The factors of a product of three: x, the gate and 1/2, whichever two go first. */
static hsi_value *match_product(const hsi_op *op, hsched_activation_kind *kind,
                                hsi_formula *f)
{
    hsi_value *rest = hsi_beside(op, 0.5), *x;
    hsi_op *pair = rest != NULL ? hsi_inner_binary(rest, HSCHED_BINARY_MUL, 1) : NULL;
    for (int i = 0; i < 2 && pair != NULL; i++) { /* (x * gate) / 2 */
        f->count = 0;
        x = match_gate(pair->in[i], kind, f);
        if (x != NULL && x == pair->in[1 - i]) {
            hsi_take_in(f, pair);
            return x;
        }
    }
    for (int i = 0; i < 2 && rest == NULL; i++) {
        f->count = 0;
        x = match_gate(op->in[i], kind, f); /* gate * (x / 2) */
        pair = hsi_inner_binary(op->in[1 - i], HSCHED_BINARY_MUL, 1);
        if (x != NULL && pair != NULL && hsi_beside(pair, 0.5) == x) {
            hsi_take_in(f, pair);
            return x;
        }
        f->count = 0;
        pair = hsi_inner_binary(op->in[i], HSCHED_BINARY_MUL, 1); /* x * (gate / 2) */
        rest = pair != NULL ? hsi_beside(pair, 0.5) : NULL;
        x = rest != NULL ? match_gate(rest, kind, f) : NULL;
        if (x != NULL && x == op->in[1 - i]) {
            hsi_take_in(f, pair);
            return x;
        }
        rest = NULL;
    }
    return NULL;
}

/* ---- x times a function of x ---------------------------------------------- */

static hsi_value *match_gated(const hsi_op *op, hsched_activation_kind *kind,
                              hsi_formula *f)
{
    for (int i = 0; i < 2; i++) {
        hsi_op *gate = hsi_inner(op->in[i], HSCHED_STEP_UNARY, 1);
        if (gate == NULL)
            continue;
        const hsched_activation act = gate->step.act;
        hsi_value *x = gate->in[0];
        f->count = 0;
        hsi_take_in(f, gate);
        hsi_op *softplus = hsi_inner_unary(x, HSCHED_ACTIVATION_SOFTPLUS);
        if (act.kind == HSCHED_ACTIVATION_SIGMOID) {
            *kind = HSCHED_ACTIVATION_SILU;
        } else if (act.kind == HSCHED_ACTIVATION_HARD_SIGMOID &&
                   fabs((double)act.a - 1.0 / 6) < 1e-6 && act.b == 0.5f) {
            *kind = HSCHED_ACTIVATION_HARD_SWISH;
        } else if (act.kind == HSCHED_ACTIVATION_TANH && softplus != NULL) {
            *kind = HSCHED_ACTIVATION_MISH;
            hsi_take_in(f, softplus);
            x = softplus->in[0];
        } else {
            continue;
        }
        if (x == op->in[1 - i])
            return x;
    }
    return NULL;
}

hsched_status hsi_recognise_activation(hsi_ir *ir, hsi_op *op)
{
    hsi_formula f = { .count = 0 };
    hsched_activation_kind kind;
    if (!hsi_is_binary(op, HSCHED_BINARY_MUL))
        return HSCHED_OK;
    hsi_value *x = match_product(op, &kind, &f);
    if (x == NULL)
        x = match_gated(op, &kind, &f);
    if (x == NULL || !hsi_same_dims(x, op->out))
        return HSCHED_OK;
    hsched_status status = hsi_replace(ir, &f, op, HSCHED_STEP_UNARY, 1, &x);
    op->step.act.kind = kind;
    return status;
}
