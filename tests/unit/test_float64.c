/* Layers on float64, on the CPU: what is computed has more digits than float32 holds, with an
 * operation fused by nobody and constants that are not rounded. */
#include "unit/test_graph.h"

#include <math.h>

static hsched_runtime *open_runtime(void)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                     .policy = HSCHED_POLICY_CPU_ONLY };
    hsched_runtime *rt;
    OK(hsched_runtime_create(&config, &rt));
    return rt;
}

/* Makes y the graph's only output, runs the graph on x, destroys it, and compares with
 * `count` numbers, at 1e-14 of their size. */
static void expect_doubles(hsched_graph *g, hsched_tensor y, const double *x,
                           size_t x_bytes, const double *expected, size_t count)
{
    hsched_runtime *rt = open_runtime();
    hsched_model *model;
    double result[64];
    assert_true(count <= sizeof result / sizeof *result);
    memset(result, 0xa5, sizeof result);
    assert_int_equal(g->tensors[y].dtype, HSCHED_FLOAT64);
    OK(hsched_graph_add_output(g, y));
    OK(hsched_model_compile(rt, g, NULL, &model));
    const hsched_binding in = HSCHED_DATA((void *)x, x_bytes);
    hsched_binding out = HSCHED_DATA(result, count * sizeof(double));
    OK(hsched_infer(model, &in, 1, &out, 1));
    for (size_t i = 0; i < count; i++)
        if (!(fabs(result[i] - expected[i]) <= 1e-14 * fabs(expected[i])))
            fail_msg("element %zu is %.17g, not %.17g", i, result[i], expected[i]);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
}
#define EXPECT(g, y, x, expected)                                                        \
    expect_doubles(g, y, x, sizeof(x), expected, sizeof(expected) / sizeof *(expected))

static hsched_tensor doubles(hsched_graph *g, uint32_t rank, const int64_t *dims,
                             const double *data, size_t bytes)
{
    hsched_tensor t;
    OK(hsched_graph_add_constant(g, NULL, HSCHED_FLOAT64, rank, dims, data, bytes,
                                 HSCHED_DATA_COPY, &t));
    return t;
}

/* relu(x * c + d), which for float32 is less than four steps. */
static void arithmetic_keeps_digits(void **state)
{
    (void)state;
    static const double x[] = { 1, -1, 1.0 / 3, 1e300 };
    static const double c[] = { 1 + 0x1p-40 }, d[] = { 0x1p-45, 0, 1e-12, 1e290 };
    static const double expected[] = { 1 + 0x1p-40 + 0x1p-45, 0,
                                       (1 + 0x1p-40) / 3 + 1e-12,
                                       1e300 * (1 + 0x1p-40) + 1e290 };
    hsched_graph *g = new_graph();
    hsched_tensor in = typed_input(g, HSCHED_FLOAT64, DIMS(2, 2)), y;
    OK(hsched_graph_add_binary(g, "product", HSCHED_BINARY_MUL, in,
                               doubles(g, 1, LIST(1), c, sizeof c), &y));
    OK(hsched_graph_add_binary(g, "sum", HSCHED_BINARY_ADD, y,
                               doubles(g, 2, LIST(2, 2), d, sizeof d), &y));
    OK(hsched_graph_add_activation(
        g, "y", y, (hsched_activation){ .kind = HSCHED_ACTIVATION_RELU }, &y));
    EXPECT(g, y, x, expected);
}

static void activations_keep_digits(void **state)
{
    (void)state;
    static const double x[] = { 0.1, -0.7, 2.5 };
    static const struct {
        hsched_activation act;
        double (*function)(double);
    } cases[] = { { { HSCHED_ACTIVATION_EXP, 0, 0 }, exp },
                  { { HSCHED_ACTIVATION_TANH, 0, 0 }, tanh },
                  { { HSCHED_ACTIVATION_ERF, 0, 0 }, erf },
                  { { HSCHED_ACTIVATION_ABS, 0, 0 }, fabs },
                  { { HSCHED_ACTIVATION_FLOOR, 0, 0 }, floor },
                  { { HSCHED_ACTIVATION_ASINH, 0, 0 }, asinh } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double expected[3];
        hsched_graph *g = new_graph();
        hsched_tensor in = typed_input(g, HSCHED_FLOAT64, DIMS(3)), y;
        for (int k = 0; k < 3; k++)
            expected[k] = cases[i].function(x[k]);
        OK(hsched_graph_add_activation(g, "y", in, cases[i].act, &y));
        EXPECT(g, y, x, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(arithmetic_keeps_digits),
                                        cmocka_unit_test(activations_keep_digits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
