/* Layers that were written as their formulas, and what only looks like them. */
#include <math.h>
#include <string.h>

#include "unit/plan_build.h"

static hsched_tensor number(hsched_graph *g, double value)
{
    const float v = (float)value;
    hsched_tensor t;
    assert_ok(hsched_graph_add_constant(g, NULL, HSCHED_FLOAT32, 0, NULL, &v, sizeof v,
                                        HSCHED_DATA_COPY, &t));
    return t;
}

static hsched_tensor act(hsched_graph *g, hsched_activation_kind kind, hsched_tensor x)
{
    hsched_tensor y;
    const hsched_activation a = { .kind = kind };
    assert_ok(hsched_graph_add_activation(g, NULL, x, a, &y));
    return y;
}

static hsched_tensor pair(hsched_graph *g, hsched_binary_kind kind, hsched_tensor a,
                          hsched_tensor b)
{
    return binary(g, NULL, kind, a, b);
}

static hsched_tensor mean(hsched_graph *g, hsched_tensor x, uint32_t count)
{
    const int64_t axes[] = { -1, -2, -3 };
    hsched_tensor y;
    assert_ok(
        hsched_graph_add_reduce(g, NULL, HSCHED_REDUCE_MEAN, x, count, axes, 1, &y));
    return y;
}

/* How the formula is written; what is wrong with it. */
typedef struct form {
    uint32_t axes;
    int pow, rms, inverse, epsilon_first;
    enum {
        RIGHT = 0,
        OTHER_AXES,
        OTHER_POWER,
        OTHER_MEAN, /* is taken away than x's own */
        TAPPED,     /* the variance is an output, too */
        NEGATIVE    /* epsilon */
    } fault;
} form;

static hsched_tensor square(hsched_graph *g, hsched_tensor x, const form *f)
{
    if (!f->pow)
        return pair(g, HSCHED_BINARY_MUL, x, x);
    return pair(g, HSCHED_BINARY_POW, x, number(g, f->fault == OTHER_POWER ? 4 : 2));
}

static hsched_tensor normalised(hsched_graph *g, hsched_tensor x, const form *f)
{
    hsched_tensor d = x;
    if (!f->rms)
        d = pair(g, HSCHED_BINARY_SUB, x,
                 mean(g, f->fault == OTHER_MEAN ? act(g, HSCHED_ACTIVATION_ABS, x) : x,
                      f->axes));
    hsched_tensor v =
        mean(g, square(g, d, f), f->axes + (f->fault == OTHER_AXES ? 1 : 0));
    const hsched_tensor e = number(g, f->fault == NEGATIVE ? -1e-5 : 0.125);
    if (f->fault == TAPPED)
        assert_ok(hsched_graph_add_output(g, v));
    v = f->epsilon_first ? pair(g, HSCHED_BINARY_ADD, e, v)
                         : pair(g, HSCHED_BINARY_ADD, v, e);
    v = act(g, HSCHED_ACTIVATION_SQRT, v);
    if (f->inverse == 0)
        return pair(g, HSCHED_BINARY_DIV, d, v);
    v = f->inverse == 1 ? act(g, HSCHED_ACTIVATION_RECIPROCAL, v)
                        : pair(g, HSCHED_BINARY_DIV, number(g, 1), v);
    return f->inverse == 1 ? pair(g, HSCHED_BINARY_MUL, d, v)
                           : pair(g, HSCHED_BINARY_MUL, v, d);
}

static void norms_are_found(void **state)
{
    (void)state;
    for (int k = 0; k < 2 * 2 * 2 * 3 * 4; k++) {
        const form f = { .axes = 1 + (uint32_t)(k & 1),
                         .pow = k >> 1 & 1,
                         .rms = k >> 2 & 1,
                         .epsilon_first = k & 1,
                         .inverse = (k >> 3) % 3 };
        const int parameters = (k >> 3) / 3;
        hsched_graph *g = new_graph();
        hsched_tensor y = normalised(g, input(g, "x", 3, (int64_t[]){ 2, 5, 8 }), &f);
        if (parameters & 1)
            y = pair(g, HSCHED_BINARY_MUL, constant(g, 1, (int64_t[]){ 8 }, 1, 3), y);
        if (parameters & 2)
            y = pair(g, HSCHED_BINARY_ADD, y, constant(g, 2, (int64_t[]){ 5, 8 }, 1, 4));
        assert_ok(hsched_graph_add_output(g, y));
        hsi_plan *plan = plan_of(g, NULL);
        assert_int_equal(plan->step_count, 1);
        const hsched_step *s = &plan->steps[0].step;
        assert_int_equal(s->kind, HSCHED_STEP_NORM);
        assert_int_equal(s->u.norm.axis, 3 - f.axes);
        assert_int_equal(s->u.norm.rms, f.rms);
        assert_int_equal(s->in[1].dtype != HSCHED_DTYPE_NONE, parameters & 1);
        assert_int_equal(s->in[2].dtype != HSCHED_DTYPE_NONE, parameters >> 1);
        assert_true(s->u.norm.epsilon == 0.125f);
        hsi_plan_destroy(plan);
        hsched_graph_destroy(g);
    }
}

static void norms_of_images_are_found(void **state)
{
    (void)state;
    const form f = { .axes = 2 };
    hsched_graph *g = new_graph();
    hsched_tensor x = conv(g, "conv", image(g, 4, 6, 6), 4, 1);
    hsched_tensor y = normalised(g, x, &f);
    y = pair(g, HSCHED_BINARY_MUL, y, constant(g, 3, (int64_t[]){ 4, 1, 1 }, 1, 3));
    assert_ok(hsched_graph_add_output(g, conv(g, "last", y, 4, 1)));
    hsi_plan *plan = plan_of(g, NULL);
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_NORM), 1);
    assert_int_equal(plan->steps[plan->step_count - 3].step.u.norm.groups, 4);
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_BINARY), 0);
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_POOL2D), 0);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void norms_of_groups_are_found(void **state)
{
    (void)state;
    for (int fault = 0; fault < 3; fault++) {
        hsched_graph *g = new_graph();
        const int64_t apart[3] = { 2, 3, -1 }, dims[4] = { 2, 6, 4, 4 };
        float ones[3] = { 1, 1, fault == 1 ? 2 : 1 };
        hsched_tensor scale, y, x = input(g, "x", 4, dims);
        assert_ok(hsched_graph_add_constant(g, NULL, HSCHED_FLOAT32, 1, (int64_t[]){ 3 },
                                            ones, sizeof ones, HSCHED_DATA_COPY, &scale));
        assert_ok(hsched_graph_add_reshape(g, NULL, x, 3, apart, &y));
        assert_ok(hsched_graph_add_instance_norm(g, NULL, y, scale, HSCHED_NO_TENSOR,
                                                 0.25f, &y));
        if (fault == 2)
            assert_ok(hsched_graph_add_output(g, y));
        assert_ok(hsched_graph_add_reshape(g, NULL, y, 4, dims, &y));
        y = pair(g, HSCHED_BINARY_MUL, y, constant(g, 3, (int64_t[]){ 6, 1, 1 }, 1, 3));
        y = pair(g, HSCHED_BINARY_ADD, y, constant(g, 3, (int64_t[]){ 6, 1, 1 }, 1, 4));
        assert_ok(hsched_graph_add_output(g, y));
        hsi_plan *plan = plan_of(g, NULL);
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_NORM), 1);
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_BINARY), fault ? 2 : 0);
        assert_int_equal(plan->steps[0].step.out.rank, fault ? 3 : 4);
        assert_int_equal(plan->steps[0].step.u.norm.groups, 3);
        hsi_plan_destroy(plan);
        hsched_graph_destroy(g);
    }
}

static void what_is_no_norm_is_left(void **state)
{
    (void)state;
    for (int fault = OTHER_AXES; fault <= NEGATIVE; fault++) {
        const form f = { .axes = 1, .pow = 1, .fault = fault };
        hsched_graph *g = new_graph();
        assert_ok(hsched_graph_add_output(
            g, normalised(g, input(g, "x", 3, (int64_t[]){ 2, 5, 8 }), &f)));
        hsi_plan *plan = plan_of(g, NULL);
        /* By another mean, what is left is divided by its root mean square. */
        const uint32_t found = fault == OTHER_MEAN || fault == OTHER_AXES;
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_NORM), found);
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_BINARY), found ? 1 : 4);
        for (uint32_t s = 0; s < plan->step_count && found; s++)
            assert_true(plan->steps[s].step.kind != HSCHED_STEP_NORM ||
                        plan->steps[s].step.u.norm.rms);
        hsi_plan_destroy(plan);
        hsched_graph_destroy(g);
    }
}

/* A tensor of x's size that is computed is no parameter: it stays a sum, here a residual's. */
static void residuals_are_no_parameters(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, "x", 2, (int64_t[]){ 3, 8 });
    assert_ok(hsched_graph_add_layer_norm(g, "norm", x, HSCHED_NO_TENSOR,
                                          HSCHED_NO_TENSOR, -1, 0.5f, &y));
    assert_ok(hsched_graph_add_output(g, pair(g, HSCHED_BINARY_ADD, x, y)));
    hsi_plan *plan = plan_of(g, NULL);
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_BINARY), 1);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* ---- Activations ---------------------------------------------------------- */

typedef struct gate {
    int tanh, order, divides, cube;
    double factor, one, half;
} gate;

static hsched_tensor cubed(hsched_graph *g, hsched_tensor x, int way)
{
    if (way == 0)
        return pair(g, HSCHED_BINARY_POW, x, number(g, 3));
    const hsched_tensor square = pair(g, HSCHED_BINARY_MUL, x, x);
    return way == 1 ? pair(g, HSCHED_BINARY_MUL, square, x)
                    : pair(g, HSCHED_BINARY_MUL, x, square);
}

static hsched_tensor gelu(hsched_graph *g, hsched_tensor x, const gate *f)
{
    const hsched_tensor half = number(g, f->half);
    hsched_tensor t;
    if (f->tanh) {
        t = pair(g, HSCHED_BINARY_MUL, cubed(g, x, f->cube), number(g, 0.044715));
        t = f->divides ? pair(g, HSCHED_BINARY_ADD, x, t)
                       : pair(g, HSCHED_BINARY_ADD, t, x);
        t = pair(g, HSCHED_BINARY_MUL, t, number(g, f->factor * 0.79788456080286536));
    } else {
        t = f->divides ? pair(g, HSCHED_BINARY_DIV, x, number(g, f->factor * sqrt(2)))
                       : pair(g, HSCHED_BINARY_MUL, number(g, f->factor * sqrt(0.5)), x);
    }
    t = act(g, f->tanh ? HSCHED_ACTIVATION_TANH : HSCHED_ACTIVATION_ERF, t);
    t = pair(g, HSCHED_BINARY_ADD, t, number(g, f->one));
    if (f->order == 0)
        return pair(g, HSCHED_BINARY_MUL, pair(g, HSCHED_BINARY_MUL, x, t), half);
    if (f->order == 1)
        return pair(g, HSCHED_BINARY_MUL, pair(g, HSCHED_BINARY_MUL, half, x), t);
    return pair(g, HSCHED_BINARY_MUL, x, pair(g, HSCHED_BINARY_MUL, t, half));
}

static void expect_activation(hsched_graph *g, hsched_tensor y,
                              hsched_activation_kind kind)
{
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    if (kind != HSCHED_ACTIVATION_NONE) {
        assert_int_equal(plan->step_count, 1);
        assert_int_equal(plan->steps[0].step.kind, HSCHED_STEP_UNARY);
        assert_int_equal(plan->steps[0].step.act.kind, kind);
    } else {
        assert_true(plan->step_count > 1);
    }
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void activations_are_found(void **state)
{
    (void)state;
    for (int k = 0; k < 2 * 3 * 2 * 3; k++) {
        const gate f = { k & 1, (k >> 1) % 3, (k / 6) & 1, k / 12, 1, 1, 0.5 };
        hsched_graph *g = new_graph();
        expect_activation(g, gelu(g, input(g, "x", 2, (int64_t[]){ 3, 8 }), &f),
                          f.tanh ? HSCHED_ACTIVATION_GELU_TANH : HSCHED_ACTIVATION_GELU);
    }
    for (int k = 0; k < 6; k++) {
        hsched_graph *g = new_graph();
        const hsched_tensor x = input(g, "x", 2, (int64_t[]){ 3, 8 });
        hsched_tensor t = x;
        if (k >> 1 == 2) {
            const hsched_activation a = { HSCHED_ACTIVATION_HARD_SIGMOID, 1 / 6.0f,
                                          0.5f };
            assert_ok(hsched_graph_add_activation(g, NULL, x, a, &t));
        } else if (k >> 1 == 1) {
            t = act(g, HSCHED_ACTIVATION_TANH, act(g, HSCHED_ACTIVATION_SOFTPLUS, x));
        } else {
            t = act(g, HSCHED_ACTIVATION_SIGMOID, x);
        }
        t = k & 1 ? pair(g, HSCHED_BINARY_MUL, x, t) : pair(g, HSCHED_BINARY_MUL, t, x);
        expect_activation(
            g, t,
            (hsched_activation_kind[]){ HSCHED_ACTIVATION_SILU, HSCHED_ACTIVATION_MISH,
                                        HSCHED_ACTIVATION_HARD_SWISH }[k >> 1]);
    }
}

static void what_is_none_is_left(void **state)
{
    (void)state;
    static const double faults[][3] = { { 1.01, 1, 0.5 },
                                        { 1, 1.001, 0.5 },
                                        { 1, 1, 0.501 } };
    for (int k = 0; k < 6; k++) {
        const double *fault = faults[k >> 1];
        const gate f = { k & 1, k % 3, 0, 0, fault[0], fault[1], fault[2] };
        hsched_graph *g = new_graph();
        expect_activation(g, gelu(g, input(g, "x", 2, (int64_t[]){ 3, 8 }), &f),
                          HSCHED_ACTIVATION_NONE);
    }
    /* Times another tensor; used twice. */
    for (int k = 0; k < 2; k++) {
        hsched_graph *g = new_graph();
        const hsched_tensor x = input(g, "x", 2, (int64_t[]){ 3, 8 }),
                            z = input(g, "z", 2, (int64_t[]){ 3, 8 });
        const hsched_tensor t = act(g, HSCHED_ACTIVATION_SIGMOID, x);
        if (k == 1)
            assert_ok(hsched_graph_add_output(g, t));
        expect_activation(g, pair(g, HSCHED_BINARY_MUL, t, k == 0 ? z : x),
                          HSCHED_ACTIVATION_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_are_found),
        cmocka_unit_test(norms_of_images_are_found),
        cmocka_unit_test(norms_of_groups_are_found),
        cmocka_unit_test(what_is_no_norm_is_left),
        cmocka_unit_test(residuals_are_no_parameters),
        cmocka_unit_test(activations_are_found),
        cmocka_unit_test(what_is_none_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
