/* Every kind of reduction, from the graph to the result, by the formulas of hsched_reduce_kind. */
#include "common/support.h"

#include <math.h>

static void run(hsched_graph *g, const void *x, size_t x_bytes, void *y, size_t y_bytes)
{
    hsched_runtime *rt;
    hsched_model *model;
    assert_ok(hsched_runtime_create(NULL, &rt));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    hsched_binding in = HSCHED_DATA(x, x_bytes), out = HSCHED_DATA(y, y_bytes);
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static hsched_graph *reduction(hsched_dtype dtype, hsched_reduce_kind kind, int axis)
{
    hsched_graph *g;
    hsched_tensor x, y;
    assert_ok(hsched_graph_create("reduction", &g));
    assert_ok(hsched_graph_add_input(g, "x", dtype, 2, (int64_t[]){ 2, 3 }, &x));
    assert_ok(hsched_graph_add_reduce(g, "y", kind, x, 1, (int64_t[]){ axis }, 0, &y));
    assert_ok(hsched_graph_add_output(g, y));
    return g;
}

static void floats(void **state)
{
    (void)state;
    const float x[] = { 1, 2, -3, 4, 0.5f, 6 };
    const double e = log(exp(1) + exp(2) + exp(-3));
    const struct {
        hsched_reduce_kind kind;
        double along[2]; /* of each row */
    } cases[] = {
        { HSCHED_REDUCE_MEAN, { 0, 3.5 } },
        { HSCHED_REDUCE_SUM, { 0, 10.5 } },
        { HSCHED_REDUCE_MAX, { 2, 6 } },
        { HSCHED_REDUCE_MIN, { -3, 0.5 } },
        { HSCHED_REDUCE_PROD, { -6, 12 } },
        { HSCHED_REDUCE_L1, { 6, 10.5 } },
        { HSCHED_REDUCE_L2, { sqrt(14), sqrt(52.25) } },
        { HSCHED_REDUCE_LOG_SUM, { -INFINITY, log(10.5) } },
        { HSCHED_REDUCE_LOG_SUM_EXP, { e, log(exp(4) + exp(0.5) + exp(6)) } },
        { HSCHED_REDUCE_SUM_SQUARE, { 14, 52.25 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        float y[2] = { NAN, NAN };
        hsched_graph *g = reduction(HSCHED_FLOAT32, cases[k].kind, 1);
        run(g, x, sizeof x, y, sizeof y);
        hsched_graph_destroy(g);
        for (int i = 0; i < 2; i++)
            if (!(y[i] == (float)cases[k].along[i] ||
                  fabs(y[i] - cases[k].along[i]) < 1e-5))
                fail_msg("kind %d, row %d: %g is not %g", (int)cases[k].kind, i,
                         (double)y[i], cases[k].along[i]);
    }
}

/* What exp of one of them does not hold. */
static void large_exponents(void **state)
{
    (void)state;
    const float x[] = { 1000, 1000, 1000, -1000, -1000, -1000 };
    float y[2];
    hsched_graph *g = reduction(HSCHED_FLOAT32, HSCHED_REDUCE_LOG_SUM_EXP, 1);
    run(g, x, sizeof x, y, sizeof y);
    assert_float_equal(y[0], 1000 + log(3), 1e-3);
    assert_float_equal(y[1], -1000 + log(3), 1e-3);
    hsched_graph_destroy(g);
}

/* The limits: the logarithm of nothing, and of more than any number. */
static void infinite_exponents(void **state)
{
    (void)state;
    const float x[] = { -INFINITY, -INFINITY, -INFINITY, -INFINITY, 1, INFINITY };
    const float half[] = { -INFINITY, 2, -INFINITY, -INFINITY, NAN, INFINITY };
    float y[2];
    hsched_graph *g = reduction(HSCHED_FLOAT32, HSCHED_REDUCE_LOG_SUM_EXP, 1);
    run(g, x, sizeof x, y, sizeof y);
    assert_true(y[0] == -INFINITY && y[1] == INFINITY);
    run(g, half, sizeof half, y, sizeof y);
    assert_float_equal(y[0], 2, 1e-6);
    assert_true(isnan(y[1]));
    hsched_graph_destroy(g);
}

static void integers(void **state)
{
    (void)state;
    const int64_t x[] = { 7, -2, 3, INT64_C(1) << 40, 5, -9 };
    const struct {
        hsched_reduce_kind kind;
        int64_t across[3]; /* of each column */
    } cases[] = {
        { HSCHED_REDUCE_SUM, { (INT64_C(1) << 40) + 7, 3, -6 } },
        { HSCHED_REDUCE_MEAN, { ((INT64_C(1) << 40) + 7) / 2, 1, -3 } },
        { HSCHED_REDUCE_MAX, { INT64_C(1) << 40, 5, 3 } },
        { HSCHED_REDUCE_MIN, { 7, -2, -9 } },
        { HSCHED_REDUCE_PROD, { INT64_C(7) << 40, -10, -27 } },
        { HSCHED_REDUCE_L1, { (INT64_C(1) << 40) + 7, 7, 12 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t y[3];
        hsched_graph *g = reduction(HSCHED_INT64, cases[k].kind, 0);
        run(g, x, sizeof x, y, sizeof y);
        hsched_graph_destroy(g);
        assert_memory_equal(y, cases[k].across, sizeof y);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    hsched_graph *g;
    hsched_tensor x, y;
    assert_ok(hsched_graph_create("refused", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_INT8, 1, (int64_t[]){ 3 }, &x));
    assert_fails(hsched_graph_add_reduce(g, "r", HSCHED_REDUCE_SUM, x, 0, NULL, 0, &y),
                 HSCHED_ERROR_SHAPE, "int8");
    assert_fails(
        hsched_graph_add_reduce(g, "r", (hsched_reduce_kind)11, x, 0, NULL, 0, &y),
        HSCHED_ERROR_INVALID_ARGUMENT, "kind 11");
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats),
        cmocka_unit_test(large_exponents),
        cmocka_unit_test(infinite_exponents),
        cmocka_unit_test(integers),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
