/*
 * The oracle itself, against literal numbers: examples of the ONNX operator documentation
 * where it has them, else small cases worked out by hand. Nothing here shares code with
 * src/backend/ref.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A literal shape: rank and dims. */
#define SHAPE(...)                                                                       \
    (uint32_t) COUNT(((const int64_t[]){ __VA_ARGS__ })), (const int64_t[])              \
    {                                                                                    \
        __VA_ARGS__                                                                      \
    }

/* A dense row-major operand. */
static hsched_operand dense(hsched_dtype dtype, uint32_t rank, const int64_t *dims)
{
    hsched_operand op = { .dtype = dtype, .rank = rank };
    int64_t stride = 1;
    for (uint32_t d = rank; d-- > 0;) {
        op.dims[d] = dims[d];
        op.strides[d] = stride;
        stride *= dims[d];
    }
    return op;
}

static hsched_operand floats(uint32_t rank, const int64_t *dims)
{
    return dense(HSCHED_FLOAT32, rank, dims);
}

static hsched_step step_of(hsched_step_kind kind, hsched_operand x, hsched_operand out)
{
    return (hsched_step){ .struct_size = sizeof(hsched_step),
                          .kind = kind,
                          .name = "step",
                          .input_count = 1,
                          .in = { x },
                          .out = out,
                          .out_aliases = -1,
                          .parts = 1 };
}

static void add_input(hsched_step *step, hsched_operand op)
{
    step->in[step->input_count++] = op;
}

/* Runs the step into poisoned memory and compares with `expected`, `count` dense floats.
 */
static void expect(const hsched_step *step, const void *a, const void *b, const void *c,
                   const void *d, const float *expected, size_t count)
{
    const void *inputs[] = { a, b, c, d };
    float y[256];
    assert_true(count < COUNT(y));
    memset(y, 0xff, sizeof y); /* a NaN */
    assert_int_equal(hsi_ref_run(step, inputs, y), HSCHED_OK);
    for (size_t i = 0; i < count; i++) {
        if (!(fabs((double)y[i] - (double)expected[i]) <=
              2e-7 * fmax(1, fabs(expected[i]))))
            fail_msg("element %zu is %.9g, expected %.9g", i, y[i], expected[i]);
    }
    for (size_t i = count; i < COUNT(y); i++)
        assert_true(isnan(y[i]));
}

#define EXPECT1(step, x, ...)                                                            \
    expect(step, x, NULL, NULL, NULL, (const float[]){ __VA_ARGS__ },                    \
           COUNT(((const float[]){ __VA_ARGS__ })))
#define EXPECT2(step, a, b, ...)                                                         \
    expect(step, a, b, NULL, NULL, (const float[]){ __VA_ARGS__ },                       \
           COUNT(((const float[]){ __VA_ARGS__ })))

static void count_up(float *x, size_t n, float first)
{
    for (size_t i = 0; i < n; i++)
        x[i] = first + (float)i;
}

/* ---- conv2d ---- */

static hsched_step conv_step(hsched_operand x, hsched_operand w, hsched_operand out)
{
    hsched_step step = step_of(HSCHED_STEP_CONV2D, x, out);
    add_input(&step, w);
    step.u.conv2d.strides[0] = step.u.conv2d.strides[1] = 1;
    step.u.conv2d.dilations[0] = step.u.conv2d.dilations[1] = 1;
    step.u.conv2d.groups = 1;
    return step;
}

static const float ones9[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };

/* Conv: test_basic_conv_with_padding, test_basic_conv_without_padding. */
static void conv_onnx_basic(void **state)
{
    (void)state;
    float x[25];
    count_up(x, 25, 0);
    hsched_step s = conv_step(floats(SHAPE(1, 1, 5, 5)), floats(SHAPE(1, 1, 3, 3)),
                              floats(SHAPE(1, 1, 5, 5)));
    for (int k = 0; k < 4; k++)
        s.u.conv2d.pads[k] = 1;
    EXPECT2(&s, x, ones9, 12, 21, 27, 33, 24, 33, 54, 63, 72, 51, 63, 99, 108, 117, 81,
            93, 144, 153, 162, 111, 72, 111, 117, 123, 84);
    s = conv_step(floats(SHAPE(1, 1, 5, 5)), floats(SHAPE(1, 1, 3, 3)),
                  floats(SHAPE(1, 1, 3, 3)));
    EXPECT2(&s, x, ones9, 54, 63, 72, 99, 108, 117, 144, 153, 162);
}

/* Conv: test_conv_with_strides_padding, ..._no_padding, ..._and_asymmetric_padding. */
static void conv_onnx_strides(void **state)
{
    (void)state;
    float x[35];
    count_up(x, 35, 0);
    hsched_step s = conv_step(floats(SHAPE(1, 1, 7, 5)), floats(SHAPE(1, 1, 3, 3)),
                              floats(SHAPE(1, 1, 4, 3)));
    s.u.conv2d.strides[0] = s.u.conv2d.strides[1] = 2;
    for (int k = 0; k < 4; k++)
        s.u.conv2d.pads[k] = 1;
    EXPECT2(&s, x, ones9, 12, 27, 24, 63, 108, 81, 123, 198, 141, 112, 177, 124);

    s.out = floats(SHAPE(1, 1, 3, 2));
    memset(s.u.conv2d.pads, 0, sizeof s.u.conv2d.pads);
    EXPECT2(&s, x, ones9, 54, 72, 144, 162, 234, 252);

    s.out = floats(SHAPE(1, 1, 4, 2));
    s.u.conv2d.pads[0] = s.u.conv2d.pads[2] = 1;
    EXPECT2(&s, x, ones9, 21, 33, 99, 117, 189, 207, 171, 183);
}

/* Two groups of one input and two outputs each, 1x1, with bias, residual and ReLU; the
 * operands channels-last, x in slices of 3 and out in slices of 5. */
static void conv_groups_bias_residual(void **state)
{
    (void)state;
    const float x[] = { 1, 10, NAN, 2, 20, NAN };
    const float w[] = { 1, -1, 2, 3 }, bias[] = { 0.5f, 1, -50, 0 };
    const float residual[] = { 100, 0, 0, -100, 0, 0, 0, 0 };
    hsched_step s = conv_step(floats(SHAPE(1, 2, 1, 2)), floats(SHAPE(4, 1, 1, 1)),
                              floats(SHAPE(1, 4, 1, 2)));
    const int64_t x_strides[] = { 6, 1, 6, 3 }, r_strides[] = { 8, 1, 8, 4 },
                  y_strides[] = { 10, 1, 10, 5 };
    memcpy(s.in[0].strides, x_strides, sizeof x_strides);
    memcpy(s.out.strides, y_strides, sizeof y_strides);
    add_input(&s, floats(SHAPE(4)));
    add_input(&s, s.out);
    memcpy(s.in[3].strides, r_strides, sizeof r_strides);
    s.u.conv2d.groups = 2;
    s.act.kind = HSCHED_ACTIVATION_RELU;
    float y[10];
    memset(y, 0xff, sizeof y);
    const void *inputs[] = { x, w, bias, residual };
    assert_int_equal(hsi_ref_run(&s, inputs, y), HSCHED_OK);
    const float expected[] = { 101.5f, 0, 0, 0, NAN, 2.5f, 0, 0, 60, NAN };
    for (size_t i = 0; i < COUNT(y); i++)
        assert_true(isnan(expected[i]) ? isnan(y[i]) : y[i] == expected[i]);

    /* The same with the residual in out's own memory, and constants from the step. */
    memset(y, 0xff, sizeof y);
    for (int i = 0; i < 8; i++)
        y[i / 4 * 5 + i % 4] = residual[i];
    memcpy(s.in[3].strides, y_strides, sizeof y_strides);
    s.out_aliases = 3;
    s.in[1].constant = w;
    s.in[2].constant = bias;
    const void *aliased[] = { x, NULL, NULL, y };
    assert_int_equal(hsi_ref_run(&s, aliased, y), HSCHED_OK);
    for (size_t i = 0; i < COUNT(y); i++)
        assert_true(isnan(expected[i]) ? isnan(y[i]) : y[i] == expected[i]);
}

/* Two input channels, a 2x1 kernel dilated by 2, stride 1x2: every position tells where
 * it was read. */
static void conv_channels_dilation(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9,
                        /* second channel */
                        10, 20, 30, 40, 50, 60, 70, 80, 90 };
    const float w[] = { 1, 1000, 0.5f, 0.25f };
    hsched_step s = conv_step(floats(SHAPE(1, 2, 3, 3)), floats(SHAPE(1, 2, 2, 1)),
                              floats(SHAPE(1, 1, 1, 2)));
    s.u.conv2d.dilations[0] = 2;
    s.u.conv2d.strides[1] = 2;
    /* 1 + 7000 + 5 + 17.5; 3 + 9000 + 15 + 22.5 */
    EXPECT2(&s, x, w, 7023.5f, 9040.5f);
}

/* ---- fully connected, matmul ---- */

static void fc_by_hand(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, NAN, 4, 5, 6, NAN }, w[] = { 1, 0, -1, 2, 2, 2 };
    const float bias[] = { 10, -20 };
    hsched_step s = step_of(HSCHED_STEP_FC, floats(SHAPE(2, 3)), floats(SHAPE(2, 2)));
    s.in[0].strides[0] = 4;
    add_input(&s, floats(SHAPE(2, 3)));
    EXPECT2(&s, x, w, -2, 12, -2, 30);
    add_input(&s, floats(SHAPE(2)));
    s.act.kind = HSCHED_ACTIVATION_RELU;
    const float expected[] = { 8, 0, 8, 10 };
    expect(&s, x, w, bias, NULL, expected, 4);
}

static void matmul_by_hand(void **state)
{
    (void)state;
    const float a[] = { 1, 2, 3, 4, 5, 6 }, b[] = { 7, 8, 9, 10, 11, 12 };
    hsched_step s = step_of(HSCHED_STEP_MATMUL, floats(SHAPE(2, 3)), floats(SHAPE(2, 2)));
    add_input(&s, floats(SHAPE(3, 2)));
    EXPECT2(&s, a, b, 58, 64, 139, 154);

    /* a as [2,1,3] against b broadcast over the batch, read transposed. */
    s = step_of(HSCHED_STEP_MATMUL, floats(SHAPE(2, 1, 3)), floats(SHAPE(2, 1, 2)));
    add_input(&s, floats(SHAPE(2, 3, 2)));
    s.in[1].strides[0] = 0;
    s.in[1].strides[1] = 1;
    s.in[1].strides[2] = 3;
    s.act = (hsched_activation){ HSCHED_ACTIVATION_CLIP, 0, 100 };
    EXPECT2(&s, a, b, 50, 68, 100, 100);
}

/* ---- pooling ---- */

static hsched_step pool_step(hsched_pool_kind kind, int64_t side, int64_t out,
                             int64_t kernel, int64_t stride, int64_t pad)
{
    hsched_step s = step_of(HSCHED_STEP_POOL2D, floats(SHAPE(1, 1, side, side)),
                            floats(SHAPE(1, 1, out, out)));
    s.u.pool2d.kind = kind;
    for (int d = 0; d < 2; d++) {
        s.u.pool2d.kernel[d] = kernel;
        s.u.pool2d.strides[d] = stride;
        s.u.pool2d.dilations[d] = 1;
        s.u.pool2d.pads[d] = s.u.pool2d.pads[2 + d] = pad;
    }
    return s;
}

/* MaxPool: ..._precomputed_pads, ..._precomputed_strides, ..._ceil, ..._dilations. */
static void max_pool_onnx(void **state)
{
    (void)state;
    float x[25];
    count_up(x, 25, 1);
    hsched_step s = pool_step(HSCHED_POOL_MAX, 5, 5, 5, 1, 2);
    EXPECT1(&s, x, 13, 14, 15, 15, 15, 18, 19, 20, 20, 20, 23, 24, 25, 25, 25, 23, 24, 25,
            25, 25, 23, 24, 25, 25, 25);
    s = pool_step(HSCHED_POOL_MAX, 5, 2, 2, 2, 0);
    EXPECT1(&s, x, 7, 9, 17, 19);
    s = pool_step(HSCHED_POOL_MAX, 4, 2, 3, 2, 0); /* rounded up */
    EXPECT1(&s, x, 11, 12, 15, 16);
    s = pool_step(HSCHED_POOL_MAX, 4, 2, 2, 1, 0);
    s.u.pool2d.dilations[0] = s.u.pool2d.dilations[1] = 2;
    EXPECT1(&s, x, 11, 12, 15, 16);
    /* Padding is not a zero that beats negative values. */
    for (int i = 0; i < 25; i++)
        x[i] = -x[i];
    s = pool_step(HSCHED_POOL_MAX, 2, 2, 2, 2, 1);
    EXPECT1(&s, x, -1, -2, -3, -4);
}

/* AveragePool: ..._precomputed_pads (without and with count_include_pad), ..._ceil. */
static void average_pool_onnx(void **state)
{
    (void)state;
    float x[25];
    count_up(x, 25, 1);
    hsched_step s = pool_step(HSCHED_POOL_AVERAGE, 5, 5, 5, 1, 2);
    EXPECT1(&s, x, 7, 7.5f, 8, 8.5f, 9, 9.5f, 10, 10.5f, 11, 11.5f, 12, 12.5f, 13, 13.5f,
            14, 14.5f, 15, 15.5f, 16, 16.5f, 17, 17.5f, 18, 18.5f, 19);
    s.u.pool2d.count_include_pad = 1;
    EXPECT1(&s, x, 2.52f, 3.6f, 4.8f, 4.08f, 3.24f, 4.56f, 6.4f, 8.4f, 7.04f, 5.52f, 7.2f,
            10, 13, 10.8f, 8.4f, 6.96f, 9.6f, 12.4f, 10.24f, 7.92f, 6.12f, 8.4f, 10.8f,
            8.88f, 6.84f);
    s = pool_step(HSCHED_POOL_AVERAGE, 4, 2, 3, 2, 0);
    EXPECT1(&s, x, 6, 7.5f, 12, 13.5f);
}

/* Pads on one side only, and a window that differs by dimension. */
static void pool_asymmetric(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, 6 };
    hsched_step s =
        step_of(HSCHED_STEP_POOL2D, floats(SHAPE(1, 1, 2, 3)), floats(SHAPE(1, 1, 3, 2)));
    s.u.pool2d.kind = HSCHED_POOL_AVERAGE;
    s.u.pool2d.kernel[0] = 1;
    s.u.pool2d.kernel[1] = 2;
    s.u.pool2d.strides[0] = 1;
    s.u.pool2d.strides[1] = 2;
    s.u.pool2d.dilations[0] = s.u.pool2d.dilations[1] = 1;
    s.u.pool2d.pads[1] = 1;
    s.out = floats(SHAPE(1, 1, 2, 2));
    EXPECT1(&s, x, 1, 2.5f, 4, 5.5f);
    s.u.pool2d.count_include_pad = 1;
    EXPECT1(&s, x, 0.5f, 2.5f, 2, 5.5f);
}

/* ---- normalisation ---- */

static void scale_by_hand(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, 6, 7, 8 }, scale[] = { 2, -1 },
                shift[] = { 0.5f, 10 };
    hsched_step s =
        step_of(HSCHED_STEP_SCALE, floats(SHAPE(2, 2, 2)), floats(SHAPE(2, 2, 2)));
    add_input(&s, floats(SHAPE(2)));
    add_input(&s, floats(SHAPE(2)));
    s.act = (hsched_activation){ HSCHED_ACTIVATION_CLIP, 3, 12 };
    const float expected[] = { 3, 4.5f, 7, 6, 10.5f, 12, 3, 3 };
    expect(&s, x, scale, shift, NULL, expected, 8);
}

static void lrn_by_hand(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3 };
    hsched_step s =
        step_of(HSCHED_STEP_LRN, floats(SHAPE(1, 3, 1, 1)), floats(SHAPE(1, 3, 1, 1)));
    s.u.lrn.size = 3;
    s.u.lrn.alpha = 3;
    s.u.lrn.beta = 1;
    s.u.lrn.bias = 1;
    EXPECT1(&s, x, 1.0f / 6, 2.0f / 15, 3.0f / 14);
    s.u.lrn.size = 2; /* c and the next one */
    s.u.lrn.alpha = 2;
    EXPECT1(&s, x, 1.0f / 6, 2.0f / 14, 3.0f / 10);
    s.u.lrn.size = 1;
    s.u.lrn.alpha = 1;
    s.u.lrn.beta = 0.5f;
    s.u.lrn.bias = 0;
    EXPECT1(&s, x, 1, 1, 1);
    /* One channel among zeros with the defaults of ONNX: 1 / (1 + 1e-4 / 5)^0.75. */
    s.u.lrn.size = 5;
    s.u.lrn.alpha = 1e-4f;
    s.u.lrn.beta = 0.75f;
    s.u.lrn.bias = 1;
    const float one[] = { 0, 1, 0 };
    EXPECT1(&s, one, 0, 0.999985f, 0);
}

/* Softmax: test_softmax_example, test_softmax_large_number; then along the first axis. */
static void softmax_onnx(void **state)
{
    (void)state;
    const float x[] = { -1, 0, 1 };
    hsched_step s =
        step_of(HSCHED_STEP_SOFTMAX, floats(SHAPE(1, 3)), floats(SHAPE(1, 3)));
    s.u.softmax.axis = 1;
    EXPECT1(&s, x, 0.09003057f, 0.24472848f, 0.66524094f);
    const float large[] = { 0, 1, 2, 3, 10000, 10001, 10002, 10003 };
    s = step_of(HSCHED_STEP_SOFTMAX, floats(SHAPE(2, 4)), floats(SHAPE(2, 4)));
    s.u.softmax.axis = 1;
    EXPECT1(&s, large, 0.0320586f, 0.08714432f, 0.23688284f, 0.64391428f, 0.0320586f,
            0.08714432f, 0.23688284f, 0.64391428f);
    const float columns[] = { 0, 5, 0, 5 };
    s = step_of(HSCHED_STEP_SOFTMAX, floats(SHAPE(2, 2)), floats(SHAPE(2, 2)));
    s.u.softmax.axis = 0;
    EXPECT1(&s, columns, 0.5f, 0.5f, 0.5f, 0.5f);
}

/* ---- element by element ---- */

static void activations(void **state)
{
    (void)state;
    static const struct {
        hsched_activation act;
        float x, y;
    } cases[] = {
        { { HSCHED_ACTIVATION_NONE, 0, 0 }, -1.5f, -1.5f },
        { { HSCHED_ACTIVATION_RELU, 0, 0 }, -1, 0 },
        { { HSCHED_ACTIVATION_RELU, 0, 0 }, 1.5f, 1.5f },
        { { HSCHED_ACTIVATION_LEAKY_RELU, 0.1f, 0 }, -1, -0.1f },
        { { HSCHED_ACTIVATION_LEAKY_RELU, 0.1f, 0 }, 2, 2 },
        { { HSCHED_ACTIVATION_CLIP, -1, 1 }, -2, -1 },
        { { HSCHED_ACTIVATION_CLIP, -1, 1 }, 0.25f, 0.25f },
        { { HSCHED_ACTIVATION_CLIP, -1, 1 }, 2, 1 },
        { { HSCHED_ACTIVATION_SIGMOID, 0, 0 }, -1, 0.26894143f },
        { { HSCHED_ACTIVATION_SIGMOID, 0, 0 }, 0, 0.5f },
        { { HSCHED_ACTIVATION_SIGMOID, 0, 0 }, -200, 0 },
        { { HSCHED_ACTIVATION_TANH, 0, 0 }, 1, 0.76159418f },
        { { HSCHED_ACTIVATION_TANH, 0, 0 }, -100, -1 },
        { { HSCHED_ACTIVATION_HARD_SIGMOID, 0.5f, 0.6f }, -1, 0.1f },
        { { HSCHED_ACTIVATION_HARD_SIGMOID, 0.5f, 0.6f }, 0, 0.6f },
        { { HSCHED_ACTIVATION_HARD_SIGMOID, 0.5f, 0.6f }, 1, 1 },
        { { HSCHED_ACTIVATION_HARD_SIGMOID, 0.5f, 0.6f }, -3, 0 },
        { { HSCHED_ACTIVATION_HARD_SWISH, 0, 0 }, 1, 0.66666667f },
        { { HSCHED_ACTIVATION_HARD_SWISH, 0, 0 }, -4, 0 },
        { { HSCHED_ACTIVATION_HARD_SWISH, 0, 0 }, 4, 4 },
        { { HSCHED_ACTIVATION_ELU, 2, 0 }, -1, -1.2642411f },
        { { HSCHED_ACTIVATION_ELU, 2, 0 }, 1, 1 },
        { { HSCHED_ACTIVATION_SELU, 2, 3 }, -1, -3.7927232f },
        { { HSCHED_ACTIVATION_SELU, 2, 3 }, 1, 3 },
        { { HSCHED_ACTIVATION_GELU, 0, 0 }, 1, 0.84134474f },
        { { HSCHED_ACTIVATION_GELU, 0, 0 }, -1, -0.15865526f },
        { { HSCHED_ACTIVATION_SILU, 0, 0 }, 1, 0.73105858f },
        { { HSCHED_ACTIVATION_SILU, 0, 0 }, -1, -0.26894143f },
        { { HSCHED_ACTIVATION_SOFTPLUS, 0, 0 }, 0, 0.69314718f },
        { { HSCHED_ACTIVATION_SOFTPLUS, 0, 0 }, 1, 1.3132616f },
        { { HSCHED_ACTIVATION_SOFTPLUS, 0, 0 }, 1000, 1000 },
        { { HSCHED_ACTIVATION_SOFTSIGN, 0, 0 }, -1, -0.5f },
        { { HSCHED_ACTIVATION_SOFTSIGN, 0, 0 }, 3, 0.75f },
        { { HSCHED_ACTIVATION_MISH, 0, 0 }, 1, 0.86509839f },
        { { HSCHED_ACTIVATION_MISH, 0, 0 }, -1, -0.30340146f },
        { { HSCHED_ACTIVATION_ABS, 0, 0 }, -2.5f, 2.5f },
        { { HSCHED_ACTIVATION_NEG, 0, 0 }, -2.5f, 2.5f },
        { { HSCHED_ACTIVATION_EXP, 0, 0 }, 1, 2.7182818f },
        { { HSCHED_ACTIVATION_LOG, 0, 0 }, 10, 2.3025851f },
        { { HSCHED_ACTIVATION_SQRT, 0, 0 }, 2, 1.4142136f },
        { { HSCHED_ACTIVATION_RECIPROCAL, 0, 0 }, -4, -0.25f },
        { { HSCHED_ACTIVATION_ERF, 0, 0 }, 1, 0.84270079f },
        { { HSCHED_ACTIVATION_ERF, 0, 0 }, -0.5f, -0.52049988f },
        { { HSCHED_ACTIVATION_FLOOR, 0, 0 }, -1.5f, -2 },
        { { HSCHED_ACTIVATION_CEIL, 0, 0 }, -1.5f, -1 },
        { { HSCHED_ACTIVATION_GELU_TANH, 0, 0 }, 1, 0.84119199f },
        { { HSCHED_ACTIVATION_GELU_TANH, 0, 0 }, -1, -0.15880801f },
        { { HSCHED_ACTIVATION_THRESHOLDED_RELU, 2, 0 }, 2, 0 },
        { { HSCHED_ACTIVATION_THRESHOLDED_RELU, 2, 0 }, 2.2f, 2.2f },
        { { HSCHED_ACTIVATION_ROUND, 0, 0 }, 2.5f, 2 },
        { { HSCHED_ACTIVATION_ROUND, 0, 0 }, -1.5f, -2 },
        { { HSCHED_ACTIVATION_SIGN, 0, 0 }, -1.5f, -1 },
        { { HSCHED_ACTIVATION_SIGN, 0, 0 }, 0, 0 },
        { { HSCHED_ACTIVATION_SIN, 0, 0 }, 1, 0.84147098f },
        { { HSCHED_ACTIVATION_COS, 0, 0 }, 1, 0.54030231f },
        { { HSCHED_ACTIVATION_TAN, 0, 0 }, 1, 1.5574077f },
        { { HSCHED_ACTIVATION_ASIN, 0, 0 }, 0.5f, 0.52359878f },
        { { HSCHED_ACTIVATION_ACOS, 0, 0 }, 0.5f, 1.0471976f },
        { { HSCHED_ACTIVATION_ATAN, 0, 0 }, 1, 0.78539816f },
        { { HSCHED_ACTIVATION_SINH, 0, 0 }, 1, 1.1752012f },
        { { HSCHED_ACTIVATION_COSH, 0, 0 }, 1, 1.5430806f },
        { { HSCHED_ACTIVATION_ASINH, 0, 0 }, 1, 0.88137359f },
        { { HSCHED_ACTIVATION_ACOSH, 0, 0 }, 2, 1.3169579f },
        { { HSCHED_ACTIVATION_ATANH, 0, 0 }, 0.5f, 0.54930614f },
        { { HSCHED_ACTIVATION_FAKE_QUANTIZE, 0.5f, -3 }, 1.25f, 1 },
        { { HSCHED_ACTIVATION_FAKE_QUANTIZE, 0.5f, -3 }, -9, -1.5f },
        { { HSCHED_ACTIVATION_FAKE_QUANTIZE, 0.5f, -3 }, 900, 126 },
    };
    uint64_t seen = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        hsched_step s = step_of(HSCHED_STEP_UNARY, floats(0, NULL), floats(0, NULL));
        s.act = cases[i].act;
        expect(&s, &cases[i].x, NULL, NULL, NULL, &cases[i].y, 1);
        seen |= UINT64_C(1) << cases[i].act.kind;
    }
    uint64_t all = 0;
#define SEEN(name, value, text, formula) all |= UINT64_C(1) << value;
    HSCHED_ACTIVATION_LIST(SEEN)
#undef SEEN
    assert_int_equal(seen, all);
}

static void binaries(void **state)
{
    (void)state;
    static const struct {
        hsched_binary_kind kind;
        float y[4];
    } cases[] = {
        { HSCHED_BINARY_ADD, { 3, 5, 0, -1 } },
        { HSCHED_BINARY_SUB, { -1, 1, -4, -5 } },
        { HSCHED_BINARY_MUL, { 2, 6, -4, -6 } },
        { HSCHED_BINARY_DIV, { 0.5f, 1.5f, -1, -1.5f } },
        { HSCHED_BINARY_MIN, { 1, 2, -2, -3 } },
        { HSCHED_BINARY_MAX, { 2, 3, 2, 2 } },
        { HSCHED_BINARY_POW, { 1, 9, 4, 9 } },
        { HSCHED_BINARY_PRELU, { 1, 3, -4, -6 } },
        { HSCHED_BINARY_MOD, { 1, 1, 0, 1 } },
        { HSCHED_BINARY_FMOD, { 1, 1, 0, -1 } },
    };
    const float a[] = { 1, 3, -2, -3 }, two = 2;
    for (size_t i = 0; i < COUNT(cases); i++) {
        hsched_step s =
            step_of(HSCHED_STEP_BINARY, floats(SHAPE(2, 2)), floats(SHAPE(2, 2)));
        add_input(&s, floats(SHAPE(2, 2)));
        s.in[1].strides[0] = s.in[1].strides[1] = 0;
        s.u.binary.kind = cases[i].kind;
        expect(&s, a, &two, NULL, NULL, cases[i].y, 4);
    }
    assert_int_equal(COUNT(cases), HSCHED_BINARY_FMOD); /* every kind that gives floats */
    /* A row and a column, then ReLU. */
    const float row[] = { 1, 2, 3 }, column[] = { -2, 10 };
    hsched_step s = step_of(HSCHED_STEP_BINARY, floats(SHAPE(2, 3)), floats(SHAPE(2, 3)));
    add_input(&s, floats(SHAPE(2, 3)));
    s.in[0].strides[0] = 0;
    s.in[1].strides[0] = 1;
    s.in[1].strides[1] = 0;
    s.u.binary.kind = HSCHED_BINARY_ADD;
    s.act.kind = HSCHED_ACTIVATION_RELU;
    EXPECT2(&s, row, column, 0, 0, 1, 11, 12, 13);
}

/* ---- data ---- */

static void copy_by_hand(void **state)
{
    (void)state;
    /* A transpose, and every second element backwards. */
    const float x[] = { 1, 2, 3, 4, 5, 6 };
    hsched_step s = step_of(HSCHED_STEP_COPY, floats(SHAPE(3, 2)), floats(SHAPE(3, 2)));
    s.in[0].strides[0] = 1;
    s.in[0].strides[1] = 3;
    EXPECT1(&s, x, 1, 4, 2, 5, 3, 6);
    s = step_of(HSCHED_STEP_COPY, floats(SHAPE(3)), floats(SHAPE(3)));
    s.in[0].strides[0] = -2;
    EXPECT1(&s, x + 5, 6, 4, 2);

    const int64_t wide[] = { INT64_C(1) << 40, -7 };
    int64_t wide_out[] = { 0, 0, 99 };
    const void *inputs[] = { wide };
    s = step_of(HSCHED_STEP_COPY, dense(HSCHED_INT64, SHAPE(2)),
                dense(HSCHED_INT64, SHAPE(2)));
    assert_int_equal(hsi_ref_run(&s, inputs, wide_out), HSCHED_OK);
    assert_true(wide_out[0] == wide[0] && wide_out[1] == -7 && wide_out[2] == 99);

    const uint8_t bytes[] = { 1, 2, 3, 4 };
    uint8_t bytes_out[] = { 9, 9, 9, 9 };
    inputs[0] = bytes;
    s = step_of(HSCHED_STEP_COPY, dense(HSCHED_UINT8, SHAPE(2)),
                dense(HSCHED_UINT8, SHAPE(2)));
    s.out.strides[0] = 3;
    assert_int_equal(hsi_ref_run(&s, inputs, bytes_out), HSCHED_OK);
    assert_memory_equal(bytes_out, ((uint8_t[]){ 1, 9, 9, 2 }), 4);
}

/* Pad: the three examples of the operator's documentation, then both ends of a vector. */
static void pad_onnx(void **state)
{
    (void)state;
    const float x[] = { 1.0f, 1.2f, 2.3f, 3.4f, 4.5f, 5.7f };
    hsched_step s = step_of(HSCHED_STEP_PAD, floats(SHAPE(3, 2)), floats(SHAPE(3, 4)));
    s.u.pad.before[1] = 2;
    EXPECT1(&s, x, 0, 0, 1.0f, 1.2f, 0, 0, 2.3f, 3.4f, 0, 0, 4.5f, 5.7f);
    s.u.pad.mode = HSCHED_PAD_MODE_REFLECT;
    EXPECT1(&s, x, 1.0f, 1.2f, 1.0f, 1.2f, 2.3f, 3.4f, 2.3f, 3.4f, 4.5f, 5.7f, 4.5f,
            5.7f);
    s.u.pad.mode = HSCHED_PAD_MODE_EDGE;
    EXPECT1(&s, x, 1.0f, 1.0f, 1.0f, 1.2f, 2.3f, 2.3f, 2.3f, 3.4f, 4.5f, 4.5f, 4.5f,
            5.7f);

    const float v[] = { 1, 2, 3 };
    s = step_of(HSCHED_STEP_PAD, floats(SHAPE(3)), floats(SHAPE(7)));
    s.u.pad.before[0] = 2;
    s.u.pad.value = 9;
    EXPECT1(&s, v, 9, 9, 1, 2, 3, 9, 9);
    s.u.pad.mode = HSCHED_PAD_MODE_REFLECT;
    EXPECT1(&s, v, 3, 2, 1, 2, 3, 2, 1);
    s.u.pad.mode = HSCHED_PAD_MODE_EDGE;
    EXPECT1(&s, v, 1, 1, 1, 2, 3, 3, 3);
}

/* ReduceMean: the example of the documentation, over axis 1 and over all. */
static void reduce_onnx(void **state)
{
    (void)state;
    const float x[] = { 5, 1, 20, 2, 30, 1, 40, 2, 55, 1, 60, 2 };
    hsched_step s =
        step_of(HSCHED_STEP_REDUCE, floats(SHAPE(3, 2, 2)), floats(SHAPE(3, 1, 2)));
    s.u.reduce.kind = HSCHED_REDUCE_MAX;
    EXPECT1(&s, x, 20, 2, 40, 2, 60, 2);
    s.u.reduce.kind = HSCHED_REDUCE_PROD;
    EXPECT1(&s, x, 100, 2, 1200, 2, 3300, 2);
    s.u.reduce.kind = HSCHED_REDUCE_SUM;
    EXPECT1(&s, x, 25, 3, 70, 3, 115, 3);
    s.u.reduce.kind = HSCHED_REDUCE_MEAN;
    EXPECT1(&s, x, 12.5f, 1.5f, 35, 1.5f, 57.5f, 1.5f);
    s.out = floats(SHAPE(1, 1, 1));
    EXPECT1(&s, x, 18.25f);
}

static void image_by_hand(void **state)
{
    (void)state;
    /* Two pixels of B, G, R, A. */
    const uint8_t x[] = { 10, 20, 30, 40, 255, 0, 5, 7 };
    hsched_step s = step_of(HSCHED_STEP_IMAGE, dense(HSCHED_UINT8, SHAPE(1, 1, 2, 4)),
                            floats(SHAPE(1, 4, 1, 2)));
    const float mean[] = { 1, 2, 3, 4 }, scale[] = { 1, 0.5f, 2, 0.25f };
    memcpy(s.u.image.mean, mean, sizeof mean);
    memcpy(s.u.image.scale, scale, sizeof scale);
    EXPECT1(&s, x, 9, 254, 9, -1, 54, 4, 9, 0.75f);
    s.u.image.swap_red_blue = 1;
    EXPECT1(&s, x, 29, 4, 9, -1, 14, 504, 9, 0.75f);
}

/* ---- refusals ---- */

static void expect_fault(const hsched_step *step, const char *text)
{
    float x[64] = { 0 }, y[64];
    const void *inputs[] = { x, x, x, x };
    assert_int_equal(hsi_ref_run(step, inputs, y), HSCHED_ERROR_INTERNAL);
    if (!strstr(hsched_error_detail(), text) || !strstr(hsched_error_detail(), "'step'"))
        fail_msg("'%s' should name the step and say '%s'", hsched_error_detail(), text);
}

static void faults_are_named(void **state)
{
    (void)state;
    const hsched_step good = conv_step(
        floats(SHAPE(1, 2, 3, 3)), floats(SHAPE(2, 2, 3, 3)), floats(SHAPE(1, 2, 1, 1)));
    hsched_step s = good;
    s.u.conv2d.groups = 2;
    expect_fault(&s, "groups");
    s = good;
    s.out.dims[2] = 2;
    expect_fault(&s, "height and width");
    s = good;
    s.u.conv2d.strides[1] = 0;
    expect_fault(&s, "strides");
    s = good;
    add_input(&s, floats(SHAPE(3)));
    expect_fault(&s, "bias");
    s = good;
    s.in[0].dims[0] = 0;
    expect_fault(&s, "dimension below 1");
    s = good;
    s.kind = (hsched_step_kind)99;
    expect_fault(&s, "unknown kind");
    s = good;
    s.act.kind = (hsched_activation_kind)99;
    expect_fault(&s, "unknown activation");
    s = step_of(HSCHED_STEP_COPY, floats(SHAPE(4)), dense(HSCHED_INT64, SHAPE(4)));
    expect_fault(&s, "same shape and type");
    s = step_of(HSCHED_STEP_COPY, floats(SHAPE(4)), floats(SHAPE(4)));
    s.act.kind = HSCHED_ACTIVATION_RELU;
    expect_fault(&s, "takes no activation");
    s = step_of(HSCHED_STEP_SOFTMAX, floats(SHAPE(4)), floats(SHAPE(4)));
    s.u.softmax.axis = 1;
    expect_fault(&s, "axis");
    s = step_of(HSCHED_STEP_IMAGE, dense(HSCHED_UINT8, SHAPE(1, 2, 2, 1)),
                floats(SHAPE(1, 1, 2, 2)));
    s.u.image.swap_red_blue = 1;
    expect_fault(&s, "at least 3 to swap");
}

static void missing_data_is_named(void **state)
{
    (void)state;
    const hsched_step s = conv_step(floats(SHAPE(1, 1, 3, 3)), floats(SHAPE(1, 1, 3, 3)),
                                    floats(SHAPE(1, 1, 1, 1)));
    float y = 0;
    const void *no_weights[] = { ones9, NULL };
    assert_int_equal(hsi_ref_run(&s, no_weights, &y), HSCHED_ERROR_INTERNAL);
    assert_non_null(strstr(hsched_error_detail(), "input 1"));
    const void *all[] = { ones9, ones9 };
    assert_int_equal(hsi_ref_run(&s, all, NULL), HSCHED_ERROR_INTERNAL);
    assert_non_null(strstr(hsched_error_detail(), "output"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_onnx_basic),
        cmocka_unit_test(conv_onnx_strides),
        cmocka_unit_test(conv_groups_bias_residual),
        cmocka_unit_test(conv_channels_dilation),
        cmocka_unit_test(fc_by_hand),
        cmocka_unit_test(matmul_by_hand),
        cmocka_unit_test(max_pool_onnx),
        cmocka_unit_test(average_pool_onnx),
        cmocka_unit_test(pool_asymmetric),
        cmocka_unit_test(scale_by_hand),
        cmocka_unit_test(lrn_by_hand),
        cmocka_unit_test(softmax_onnx),
        cmocka_unit_test(activations),
        cmocka_unit_test(binaries),
        cmocka_unit_test(copy_by_hand),
        cmocka_unit_test(pad_onnx),
        cmocka_unit_test(reduce_onnx),
        cmocka_unit_test(image_by_hand),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(missing_data_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
