/* Layers on tensors of several types: what they take, and what they compute on the CPU,
 * by hand. */
#include "unit/test_graph.h"

#include <math.h>

/* Makes y the graph's only output, runs the graph, which is then destroyed, and compares
 * bytes. */
static void expect_result(hsched_graph *g, hsched_tensor y, const hsched_binding *in,
                          uint32_t count, const void *expected, size_t bytes)
{
    hsched_runtime *rt = cpu_runtime();
    hsched_model *model;
    uint8_t result[256];
    assert_true(bytes <= sizeof result);
    memset(result, 0xa5, sizeof result);
    OK(hsched_graph_add_output(g, y));
    OK(hsched_model_compile(rt, g, NULL, &model));
    hsched_binding out = HSCHED_DATA(result, bytes);
    OK(hsched_infer(model, in, count, &out, 1));
    for (size_t i = 0; i < bytes; i++)
        if (result[i] != ((const uint8_t *)expected)[i])
            fail_msg("byte %zu is %u, not %u", i, result[i],
                     ((const uint8_t *)expected)[i]);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
}

#define BIND(array) HSCHED_DATA((void *)(array), sizeof(array))

static void arithmetic_of_integers(void **state)
{
    (void)state;
    static const struct {
        hsched_binary_kind kind;
        int32_t y[6];
    } cases[] = {
        { HSCHED_BINARY_ADD, { 10, -4, INT32_MIN, 7, -3, INT32_MAX } },
        { HSCHED_BINARY_SUB, { 4, -10, INT32_MAX - 1, 7, -11, -INT32_MAX } },
        { HSCHED_BINARY_MUL, { 21, -21, INT32_MAX, 0, -28, INT32_MIN } },
        { HSCHED_BINARY_DIV, { 2, -2, INT32_MAX, 0, -1, INT32_MIN } },
        { HSCHED_BINARY_MOD, { 1, 2, 0, 0, 1, 0 } },
        { HSCHED_BINARY_FMOD, { 1, -1, 0, 0, -3, 0 } },
        { HSCHED_BINARY_POW, { 343, -343, INT32_MAX, 1, 2401, 0 } },
        { HSCHED_BINARY_BIT_AND, { 3, 1, 1, 0, 0, INT32_MIN } },
        { HSCHED_BINARY_SHIFT_LEFT, { 56, -56, -2, 7, -112, 0 } },
    };
    static const int32_t a[] = { 7, -7, INT32_MAX, 7, -7, INT32_MIN },
                         b[] = { 3, 3, 1, 0, 4, -1 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hsched_graph *g = new_graph();
        hsched_tensor x = typed_input(g, HSCHED_INT32, DIMS(6)),
                      z = typed_input(g, HSCHED_INT32, DIMS(6)), y;
        OK(hsched_graph_add_binary(g, "y", cases[i].kind, x, z, &y));
        const hsched_binding in[] = { BIND(a), BIND(b) };
        expect_result(g, y, in, 2, cases[i].y, sizeof a);
    }
}

static void comparisons_choose(void **state)
{
    (void)state;
    /* x > 0.5 ? x : row of int8 made float */
    static const float x[] = { 1, 0.5f, NAN, 3, -1, 2 };
    static const int8_t row[] = { 10, -20, 30 };
    static const float expected[] = { 1, -20, 30, 3, -20, 2 };
    static const float half = 0.5f;
    hsched_graph *g = new_graph();
    hsched_tensor a = typed_input(g, HSCHED_FLOAT32, DIMS(2, 3)), b, c, y,
                  r = typed_input(g, HSCHED_INT8, DIMS(3));
    OK(hsched_graph_add_constant(g, "half", HSCHED_FLOAT32, 0, NULL, &half, sizeof half,
                                 HSCHED_DATA_COPY, &b));
    OK(hsched_graph_add_binary(g, "more", HSCHED_BINARY_GREATER, a, b, &c));
    OK(hsched_graph_add_cast(g, "row", r, HSCHED_FLOAT32, &r));
    OK(hsched_graph_add_where(g, "y", c, a, r, &y));
    assert_int_equal(g->tensors[c].dtype, HSCHED_BOOL);
    expect_shape(g, y, DIMS(2, 3));
    const hsched_binding in[] = { BIND(x), BIND(row) };
    expect_result(g, y, in, 2, expected, sizeof expected);
}

#define CAST_CASE(from_type, to_type, from, to, ...)                                     \
    do {                                                                                 \
        const from_type x_[] = { __VA_ARGS__ };                                          \
        hsched_graph *g_ = new_graph();                                                  \
        hsched_tensor y_,                                                                \
            t_ = typed_input(g_, from, 1, (const int64_t[]){ sizeof x_ / sizeof *x_ });  \
        OK(hsched_graph_add_cast(g_, "y", t_, to, &y_));                                 \
        const hsched_binding in_ = BIND(x_);                                             \
        expect_result(g_, y_, &in_, 1, expected_##to_type,                               \
                      sizeof x_ / sizeof *x_ * sizeof *expected_##to_type);              \
    } while (0)

static void casts(void **state)
{
    (void)state;
    static const int32_t expected_int32[] = { 1, -1, 0, INT32_MAX, INT32_MIN, 16777216 };
    static const uint8_t expected_uint8[] = { 2, 255, 0, 255, 0, 255 };
    static const uint8_t expected_bool[] = { 1, 1, 1, 1, 0, 0 };
    /* 1, the largest, what rounds to it, infinity, the least, and half of it: to even. */
    static const uint16_t expected_half[] = { 0x3c00, 0x7bff, 0x7bff, 0x7c00, 0x0001, 0 };
    static const uint16_t expected_bfloat[] = { 0x3f80, 0x3f80, 0x3f82, 0x7f80, 0xff80 };
    static const int8_t expected_int8[] = { 44, -128, -1 };
    CAST_CASE(float, int32, HSCHED_FLOAT32, HSCHED_INT32, 1.9f, -1.9f, NAN, 3e9f, -3e9f,
              16777216);
    CAST_CASE(float, uint8, HSCHED_FLOAT32, HSCHED_UINT8, 2.5f, 255.9f, -0.5f, 256, -7,
              INFINITY);
    CAST_CASE(float, bool, HSCHED_FLOAT32, HSCHED_BOOL, 0.25f, -1, NAN, INFINITY, 0,
              -0.0f);
    CAST_CASE(float, half, HSCHED_FLOAT32, HSCHED_FLOAT16, 1, 65504, 65519, 65520,
              0x1p-24f, 0x1p-25f);
    CAST_CASE(float, bfloat, HSCHED_FLOAT32, HSCHED_BFLOAT16, 1, 1.00390625f, 1.01171875f,
              INFINITY, -3.4e38f * 1.1f);
    CAST_CASE(int32_t, int8, HSCHED_INT32, HSCHED_INT8, 300, 128, -1);
    static const float expected_float[] = { 1, 65504, 0x1p-24f, -INFINITY };
    CAST_CASE(uint16_t, float, HSCHED_FLOAT16, HSCHED_FLOAT32, 0x3c00, 0x7bff, 0x0001,
              0xfc00);
    static const double expected_double[] = { 1e15, -5 };
    CAST_CASE(int64_t, double, HSCHED_INT64, HSCHED_FLOAT64, 1000000000000000, -5);
}

/* relu(a + b) in float16, where the sum is rounded once, at the output; the same with the
 * sum made bfloat16 and float16 again, which rounds it in between. */
static void narrow_floats(void **state)
{
    (void)state;
    static const uint16_t a[] = { 0x3c01, 0xbc00, 0x4000, 0x3c00 }; /* 1+2^-10 -1 2 1 */
    static const uint16_t b[] = { 0x3c00, 0x3800, 0x2800, 0x1800 }; /* 1 .5 2^-5 2^-9 */
    static const uint16_t once[] = { 0x4000, 0, 0x4010, 0x3c02 };
    static const uint16_t twice[] = { 0x4000, 0, 0x4010, 0x3c00 };
    static const uint16_t bits[] = { 0x4000, 0, 0x4002, 0x3f80 };
    for (int between = 0; between < 3; between++) {
        hsched_graph *g = new_graph();
        hsched_tensor x = typed_input(g, HSCHED_FLOAT16, DIMS(2, 2)), c, y;
        OK(hsched_graph_add_constant(g, "b", HSCHED_FLOAT16, 2, LIST(2, 2), b, sizeof b,
                                     HSCHED_DATA_COPY, &c));
        OK(hsched_graph_add_binary(g, "sum", HSCHED_BINARY_ADD, x, c, &y));
        assert_int_equal(g->tensors[y].dtype, HSCHED_FLOAT16);
        if (between > 0)
            OK(hsched_graph_add_cast(g, "between", y, HSCHED_BFLOAT16, &y));
        if (between == 1)
            OK(hsched_graph_add_cast(g, "back", y, HSCHED_FLOAT16, &y));
        OK(hsched_graph_add_activation(
            g, "y", y, (hsched_activation){ .kind = HSCHED_ACTIVATION_RELU }, &y));
        const hsched_binding in = BIND(a);
        expect_result(g, y, &in, 1,
                      between == 0   ? once
                      : between == 1 ? twice
                                     : bits,
                      sizeof a);
    }
}

/* What layers take has one float type. */
static void float_types_are_kept_apart(void **state)
{
    (void)state;
    static const int64_t weight_dims[] = { 1, 2, 1, 1 };
    static const uint16_t weights[] = { 0x3c00, 0x4000 };
    hsched_graph *g = new_graph();
    hsched_tensor w, y, wide = input(g, DIMS(1, 2, 3, 3)),
                        narrow = typed_input(g, HSCHED_FLOAT16, DIMS(1, 2, 3, 3)),
                        other = typed_input(g, HSCHED_BFLOAT16, DIMS(1, 2, 3, 3));
    OK(hsched_graph_add_constant(g, "w", HSCHED_FLOAT16, 4, weight_dims, weights,
                                 sizeof weights, HSCHED_DATA_COPY, &w));
    OK(hsched_graph_add_conv2d(g, NULL, narrow, w, NONE, NULL, &y));
    assert_int_equal(g->tensors[y].dtype, HSCHED_FLOAT16);
    FAILS(g, y, hsched_graph_add_conv2d(g, "bad", wide, w, NONE, NULL, &y),
          HSCHED_ERROR_SHAPE, "'bad'|float32|float16|cast");
    FAILS(g, y, hsched_graph_add_conv2d(g, "bad", other, w, NONE, NULL, &y),
          HSCHED_ERROR_SHAPE, "'bad'|bfloat16|float16|cast");
    FAILS(g, y, hsched_graph_add_binary(g, "bad", HSCHED_BINARY_ADD, wide, narrow, &y),
          HSCHED_ERROR_SHAPE, "'bad'|float32|float16|cast");
    OK(hsched_graph_add_softmax(g, NULL, other, 1, &y));
    assert_int_equal(g->tensors[y].dtype, HSCHED_BFLOAT16);
    OK(hsched_graph_add_binary(g, NULL, HSCHED_BINARY_LESS, narrow, narrow, &y));
    assert_int_equal(g->tensors[y].dtype, HSCHED_BOOL);
    hsched_graph_destroy(g);
}

/* A convolution of float16 is that of float32, rounded. */
static void narrow_weights(void **state)
{
    (void)state;
    static const int64_t weight_dims[] = { 1, 2, 1, 1 };
    static const uint16_t weights[] = { 0x3c00, 0x4000 }, bias[] = { 0xbc00 };
    static const uint16_t x[] = { 0x3c00, 0x4000, 0x4200, 0x4400 }; /* 1 2 | 3 4 */
    static const uint16_t expected[] = { 0x4600, 0x4880 };          /* 6 9 */
    hsched_graph *g = new_graph();
    hsched_tensor w, b, y, in = typed_input(g, HSCHED_FLOAT16, DIMS(1, 2, 1, 2));
    OK(hsched_graph_add_constant(g, "w", HSCHED_FLOAT16, 4, weight_dims, weights,
                                 sizeof weights, HSCHED_DATA_COPY, &w));
    OK(hsched_graph_add_constant(g, "b", HSCHED_FLOAT16, 1, LIST(1), bias, sizeof bias,
                                 HSCHED_DATA_COPY, &b));
    OK(hsched_graph_add_conv2d(g, "y", in, w, b, NULL, &y));
    const hsched_binding data = BIND(x);
    expect_result(g, y, &data, 1, expected, sizeof expected);
}

static void types_that_do_not_fit(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, f = input(g, DIMS(2)), i = typed_input(g, HSCHED_INT32, DIMS(2)),
                     t = typed_input(g, HSCHED_BOOL, DIMS(2)),
                     d = typed_input(g, HSCHED_FLOAT64, DIMS(2)),
                     image = typed_input(g, HSCHED_FLOAT64, DIMS(1, 2)),
                     three = input(g, DIMS(3));
    FAILS(g, y, hsched_graph_add_binary(g, "bad", HSCHED_BINARY_ADD, t, t, &y),
          HSCHED_ERROR_SHAPE, "'bad'|bool");
    FAILS(g, y, hsched_graph_add_binary(g, "bad", HSCHED_BINARY_AND, i, i, &y),
          HSCHED_ERROR_SHAPE, "'bad'|int32|bool");
    FAILS(g, y, hsched_graph_add_binary(g, "bad", HSCHED_BINARY_BIT_OR, f, f, &y),
          HSCHED_ERROR_SHAPE, "'bad'|float32|integers");
    FAILS(g, y, hsched_graph_add_binary(g, "bad", HSCHED_BINARY_PRELU, i, i, &y),
          HSCHED_ERROR_SHAPE, "'bad'|int32");
    FAILS(g, y, hsched_graph_add_binary(g, "bad", HSCHED_BINARY_ADD, d, f, &y),
          HSCHED_ERROR_SHAPE, "'bad'|float64|float32|cast");
    FAILS(g, y, hsched_graph_add_binary(g, "bad", HSCHED_BINARY_BIT_OR, d, d, &y),
          HSCHED_ERROR_SHAPE, "'bad'|float64|integers");
    FAILS(g, y, hsched_graph_add_lrn(g, "bad", image, NULL, &y), HSCHED_ERROR_SHAPE,
          "'bad'|float64|convert the model to float32");
    FAILS(g, y,
          hsched_graph_add_activation(
              g, "bad", i, (hsched_activation){ HSCHED_ACTIVATION_EXP, 0, 0 }, &y),
          HSCHED_ERROR_SHAPE, "'bad'|int32");
    FAILS(g, y, hsched_graph_add_where(g, "bad", i, f, f, &y), HSCHED_ERROR_SHAPE,
          "'bad'|condition|int32");
    FAILS(g, y, hsched_graph_add_where(g, "bad", t, f, i, &y), HSCHED_ERROR_SHAPE,
          "'bad'|float32|int32");
    FAILS(g, y, hsched_graph_add_where(g, "bad", t, f, three, &y), HSCHED_ERROR_SHAPE,
          "'bad'|broadcast");
    FAILS(g, y, hsched_graph_add_cast(g, "bad", f, (hsched_dtype)77, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'bad'|77");
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_of_integers),
        cmocka_unit_test(comparisons_choose),
        cmocka_unit_test(casts),
        cmocka_unit_test(narrow_floats),
        cmocka_unit_test(float_types_are_kept_apart),
        cmocka_unit_test(narrow_weights),
        cmocka_unit_test(types_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
