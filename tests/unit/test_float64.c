/* Layers on float64, on the CPU: what is computed has more digits than float32 holds, with an
 * operation fused by nobody and constants that are not rounded. */
#include "unit/test_graph.h"

#include <math.h>

/* Makes y the graph's only output, runs the graph on x, destroys it, and compares with
 * `count` numbers, at 1e-14 of their size. */
static void expect_doubles(hsched_graph *g, hsched_tensor y, const double *x,
                           size_t x_bytes, const double *expected, size_t count)
{
    hsched_runtime *rt = cpu_runtime();
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

/* x [2,3] * weights^T + bias, and the logarithm of a sum of exponentials that are beyond what
 * float32 holds. */
static void sums_keep_digits(void **state)
{
    (void)state;
    static const double x[] = { 1, 2, 1e-10, 1e300, 0, 3 };
    static const double w[] = { 1, 1, 1, 0, -1, 1e10 }, bias[] = { 0x1p-40, 4 };
    static const double product[] = { 3 + 1e-10 + 0x1p-40, 3, 1e300, 3e10 + 4 };
    static const double largest[] = { 3 + 0x1p-40, 3e10 + 4 };
    hsched_graph *g = new_graph();
    hsched_tensor in = typed_input(g, HSCHED_FLOAT64, DIMS(2, 3)), y;
    const hsched_tensor weights = doubles(g, 2, LIST(2, 3), w, sizeof w),
                        addend = doubles(g, 1, LIST(2), bias, sizeof bias);
    OK(hsched_graph_add_fully_connected(g, "y", in, weights, addend, &y));
    EXPECT(g, y, x, product);
    g = new_graph();
    in = typed_input(g, HSCHED_FLOAT64, DIMS(2, 2));
    OK(hsched_graph_add_reduce(g, "y", HSCHED_REDUCE_LOG_SUM_EXP, in, 1, LIST(1), 0, &y));
    EXPECT(g, y, ((const double[]){ 3 + 0x1p-40, -1e300, 3e10 + 4, 5 }), largest);
    g = new_graph();
    in = typed_input(g, HSCHED_FLOAT64, DIMS(1, 2));
    OK(hsched_graph_add_reduce(g, "y", HSCHED_REDUCE_LOG_SUM_EXP, in, 1, LIST(1), 0, &y));
    EXPECT(g, y, ((const double[]){ 1e300, -1e300 }), ((const double[]){ 1e300 }));
}

/* Comparisons, and what stands where, of numbers that are one float32. */
static void orders_tell_apart(void **state)
{
    (void)state;
    static const double x[] = { 1 + 0x1p-45, 1 + 0x1p-44, 1, 1 + 0x1p-46 };
    static const double sorted[] = { 1 + 0x1p-44, 1 + 0x1p-45, 1 + 0x1p-46 };
    hsched_graph *g = new_graph();
    hsched_tensor in = typed_input(g, HSCHED_FLOAT64, DIMS(4)), y, places;
    OK(hsched_graph_add_top_k(g, "y", in, 3, 0, 1, &y, &places));
    EXPECT(g, y, x, sorted);
}

/* What has no kernels of float64 says so, and how to go on. */
static void others_refuse(void **state)
{
    (void)state;
    static const char reason[] = "'bad'|float64|convert the model to float32";
    hsched_graph *g = new_graph();
    const hsched_pool2d_config window = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 2, 2 } };
    const hsched_lrn_config lrn = { HSCHED_LRN_CONFIG_INIT, .size = 3 };
    const hsched_resize_config resize = { HSCHED_RESIZE_CONFIG_INIT,
                                          .mode = HSCHED_RESIZE_LINEAR,
                                          .scales = { 1, 1, 2, 2 } };
    static const double w[4] = { 1 };
    hsched_tensor y, x = typed_input(g, HSCHED_FLOAT64, DIMS(1, 1, 4, 4)),
                     narrow = input(g, DIMS(4, 4));
    const hsched_tensor weights = doubles(g, 4, LIST(1, 1, 2, 2), w, sizeof w),
                        channel = doubles(g, 1, LIST(1), w, sizeof *w);
    FAILS(g, y, hsched_graph_add_conv2d(g, "bad", x, weights, HSCHED_NO_TENSOR, NULL, &y),
          HSCHED_ERROR_SHAPE, reason);
    FAILS(g, y, hsched_graph_add_pool2d(g, "bad", HSCHED_POOL_MAX, x, &window, &y),
          HSCHED_ERROR_SHAPE, reason);
    FAILS(g, y, hsched_graph_add_global_pool(g, "bad", HSCHED_POOL_MAX, x, &y),
          HSCHED_ERROR_SHAPE, reason);
    FAILS(g, y, hsched_graph_add_lrn(g, "bad", x, &lrn, &y), HSCHED_ERROR_SHAPE, reason);
    FAILS(g, y, hsched_graph_add_resize(g, "bad", x, &resize, &y), HSCHED_ERROR_SHAPE,
          reason);
    FAILS(g, y,
          hsched_graph_add_batch_norm(g, "bad", x, channel, channel, channel, channel, 0,
                                      &y),
          HSCHED_ERROR_SHAPE, reason);
    FAILS(g, y, hsched_graph_add_matmul(g, "bad", x, narrow, &y), HSCHED_ERROR_SHAPE,
          "'bad'|float64|float32|cast");
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(arithmetic_keeps_digits),
                                        cmocka_unit_test(activations_keep_digits),
                                        cmocka_unit_test(sums_keep_digits),
                                        cmocka_unit_test(orders_tell_apart),
                                        cmocka_unit_test(others_refuse) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
