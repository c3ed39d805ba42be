/* Normalisations by statistics of their input, and logarithms of softmaxes: from the graph to the
 * result, and through ONNX. */
#include "common/support.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/graph_eval.h"

#define NONE HSCHED_NO_TENSOR

static hsched_graph *graph(uint32_t rank, const int64_t *dims, hsched_tensor *x)
{
    hsched_graph *g;
    assert_ok(hsched_graph_create("norms", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, rank, dims, x));
    return g;
}

static hsched_tensor numbers(hsched_graph *g, const char *name, uint32_t rank,
                             const int64_t *dims)
{
    float values[64];
    int64_t count = 1;
    hsched_tensor t;
    for (uint32_t d = 0; d < rank; d++)
        count *= dims[d];
    assert_true(count <= 64);
    for (int64_t k = 0; k < count; k++)
        values[k] = (float)((k * 7 + 3) % 11) / 4 - 1;
    assert_ok(hsched_graph_add_constant(g, name, HSCHED_FLOAT32, rank, dims, values,
                                        (size_t)count * sizeof *values, HSCHED_DATA_COPY,
                                        &t));
    return t;
}

static void run(hsched_graph *g, const void *x, size_t x_bytes, void *y, size_t y_bytes)
{
    hsched_runtime *rt;
    hsched_model *model;
    hsched_binding in = HSCHED_DATA(x, x_bytes), out = HSCHED_DATA(y, y_bytes);
    assert_ok(hsched_runtime_create(NULL, &rt));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void expect_near(const float *a, const float *b, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= tolerance))
            fail_msg("element %zu: %.9g is not %.9g", i, (double)a[i], (double)b[i]);
}

/* What the graph gives, what its layers say, and what it gives after it was ONNX. */
static void check(hsched_graph *g, size_t count)
{
    char path[] = "/tmp/hsched-norm-XXXXXX";
    const int file = mkstemp(path);
    float *x = malloc(count * sizeof *x), *y = malloc(count * sizeof *y),
          *again = malloc(count * sizeof *y);
    const void *inputs[] = { x };
    graph_values values;
    hsched_graph *read;
    assert_true(x && y && again && file >= 0);
    assert_int_equal(close(file), 0);
    for (size_t k = 0; k < count; k++)
        x[k] = (float)((k * 37 + k / 5) % 23) / 3 + 40;
    assert_true(graph_eval(g, inputs, &values));
    run(g, x, count * sizeof *x, y, count * sizeof *y);
    expect_near(y, values.data[hsched_graph_output(g, 0)], count, 1e-4);
    assert_ok(hsched_graph_save_onnx(g, path));
    assert_ok(hsched_graph_load_onnx(path, NULL, &read));
    run(read, x, count * sizeof *x, again, count * sizeof *y);
    expect_near(again, y, count, 1e-4);
    assert_int_equal(remove(path), 0);
    graph_values_free(&values);
    hsched_graph_destroy(read);
    hsched_graph_destroy(g);
    free(x);
    free(y);
    free(again);
}

static void of_layers(void **state)
{
    (void)state;
    const int64_t dims[4] = { 2, 3, 5, 4 };
    for (int k = 0; k < 2 * 2 * 2 * 4; k++) {
        const int rms = k & 1, scaled = k >> 1 & 1, shifted = k >> 2 & 1, axis = k >> 3;
        hsched_tensor x, y, scale = NONE, bias = NONE;
        hsched_graph *g = graph(4, dims, &x);
        const uint32_t rank = (uint32_t)(4 - (axis ? axis : 1));
        if (scaled)
            scale = numbers(g, "scale", rank, dims + 4 - rank);
        if (shifted)
            bias = numbers(g, "bias", 1, dims + 3);
        assert_ok((rms ? hsched_graph_add_rms_norm : hsched_graph_add_layer_norm)(
            g, "y", x, scale, bias, axis - 4, 1e-3f, &y));
        assert_ok(hsched_graph_add_output(g, y));
        check(g, 120);
    }
}

static void of_channels(void **state)
{
    (void)state;
    static const int64_t shapes[][5] = { { 2, 6, 5, 4 }, { 1, 6 }, { 2, 6, 3, 2, 3 } };
    static const uint32_t ranks[] = { 4, 2, 5 };
    for (int k = 0; k < 3 * 5 * 4; k++) {
        const int shape = k % 3, way = k / 3 % 5, given = k / 15;
        const int64_t *dims = shapes[shape];
        hsched_tensor x, y, scale = NONE, bias = NONE;
        hsched_graph *g = graph(ranks[shape], dims, &x);
        size_t count = 1;
        for (uint32_t d = 0; d < ranks[shape]; d++)
            count *= (size_t)dims[d];
        if (given & 1)
            scale = numbers(g, "scale", 1, dims + 1);
        if (given & 2)
            bias = numbers(g, "bias", 1, dims + 1);
        if (way == 4)
            assert_ok(hsched_graph_add_instance_norm(g, "y", x, scale, bias, 1e-3f, &y));
        else
            assert_ok(hsched_graph_add_group_norm(
                g, "y", x, (int64_t[]){ 1, 2, 3, 6 }[way], scale, bias, 1e-3f, &y));
        assert_ok(hsched_graph_add_output(g, y));
        check(g, count);
    }
}

/* Scale and bias need not be constants: here they are x's own first rows. */
static void computed_parameters(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 9, 0, 5, 5, 5 };
    float y[6];
    hsched_tensor t, parameters[2], z;
    hsched_graph *g = graph(2, (int64_t[]){ 3, 3 }, &t);
    for (int k = 0; k < 2; k++) {
        const int64_t starts[] = { k + 1 }, ends[] = { k + 2 }, axes[] = { 0 };
        assert_ok(hsched_graph_add_slice(g, NULL, t, 1, starts, ends, axes, NULL,
                                         &parameters[k]));
        assert_ok(hsched_graph_add_reshape(g, NULL, parameters[k], 1, (int64_t[]){ 3 },
                                           &parameters[k]));
    }
    assert_ok(hsched_graph_add_slice(g, NULL, t, 1, (int64_t[]){ 0 }, (int64_t[]){ 1 },
                                     (int64_t[]){ 0 }, NULL, &z));
    assert_ok(
        hsched_graph_add_layer_norm(g, "y", z, parameters[0], parameters[1], 1, 0, &z));
    assert_ok(hsched_graph_add_output(g, z));
    run(g, x, sizeof x, y, 3 * sizeof *y);
    const float r = sqrtf(1.5f);
    expect_near(y, (float[]){ 5 - 4 * r, 5, 5 }, 3, 1e-5);
    hsched_graph_destroy(g);
}

/* The variance is exact for a large mean; floats whose squares are none of them. */
static void numbers_of_any_size(void **state)
{
    (void)state;
    static const float offsets[] = { 1e6f, 0, 0, 0 },
                       units[] = { 1, 1e25f, 1e-25f, FLT_MIN };
    for (int k = 0; k < 4; k++) {
        float x[100], y[100], expected[100];
        hsched_tensor t;
        hsched_graph *g = graph(2, (int64_t[]){ 2, 50 }, &t);
        for (int i = 0; i < 100; i++) {
            x[i] = offsets[k] + units[k] * (float)(i % 2 ? 3 : 1);
            expected[i] = i % 2 ? 1 : -1;
        }
        assert_ok(hsched_graph_add_layer_norm(g, "y", t, NONE, NONE, -1, 0, &t));
        assert_ok(hsched_graph_add_output(g, t));
        run(g, x, sizeof x, y, sizeof y);
        expect_near(y, expected, 100, 1e-5);
        hsched_graph_destroy(g);
    }
}

static void logarithms_of_softmaxes(void **state)
{
    (void)state;
    const float x[] = { 1e4f, 1e4f + 1, 1e4f - 200, 0, -INFINITY, 0 };
    float y[6];
    hsched_tensor t;
    hsched_graph *g = graph(2, (int64_t[]){ 2, 3 }, &t);
    assert_ok(hsched_graph_add_log_softmax(g, "y", t, -1, &t));
    assert_ok(hsched_graph_add_output(g, t));
    run(g, x, sizeof x, y, sizeof y);
    const float l = (float)log(1 + exp(-1)), half = (float)log(0.5);
    expect_near(y, (float[]){ -1 - l, -l, -201 - l, half }, 4, 1e-5);
    assert_true(y[4] == -INFINITY);
    assert_float_equal(y[5], half, 1e-6);
    hsched_graph_destroy(g);
    g = graph(3, (int64_t[]){ 3, 4, 5 }, &t);
    assert_ok(hsched_graph_add_log_softmax(g, "y", t, 1, &t));
    assert_ok(hsched_graph_add_output(g, t));
    check(g, 60);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    hsched_tensor x, y, whole;
    hsched_graph *g = graph(3, (int64_t[]){ 2, 6, 4 }, &x);
    const hsched_tensor four = numbers(g, "four", 1, (int64_t[]){ 4 }),
                        wide = numbers(g, "wide", 4, (int64_t[]){ 1, 1, 1, 4 }),
                        six = numbers(g, "six", 1, (int64_t[]){ 6 });
    assert_ok(
        hsched_graph_add_input(g, "whole", HSCHED_INT64, 1, (int64_t[]){ 4 }, &whole));
    assert_fails(hsched_graph_add_layer_norm(g, "y", x, four, NONE, 3, 0, &y),
                 HSCHED_ERROR_INVALID_ARGUMENT, "axis 3");
    assert_fails(hsched_graph_add_layer_norm(g, "y", x, six, NONE, 2, 0, &y),
                 HSCHED_ERROR_SHAPE, "scale");
    assert_fails(hsched_graph_add_rms_norm(g, "y", x, four, wide, 2, 0, &y),
                 HSCHED_ERROR_SHAPE, "bias");
    assert_fails(hsched_graph_add_layer_norm(g, "y", x, four, NONE, 2, -1, &y),
                 HSCHED_ERROR_INVALID_ARGUMENT, "epsilon");
    assert_fails(hsched_graph_add_layer_norm(g, "y", x, four, whole, 2, 0, &y),
                 HSCHED_ERROR_SHAPE, "int64");
    assert_fails(hsched_graph_add_instance_norm(g, "y", x, four, NONE, 0, &y),
                 HSCHED_ERROR_SHAPE, "[6]");
    assert_fails(hsched_graph_add_instance_norm(g, "y", six, NONE, NONE, 0, &y),
                 HSCHED_ERROR_SHAPE, "at least 2");
    assert_fails(hsched_graph_add_group_norm(g, "y", x, 4, six, six, 0, &y),
                 HSCHED_ERROR_SHAPE, "4 groups");
    assert_fails(hsched_graph_add_group_norm(g, "y", x, 0, six, six, 0, &y),
                 HSCHED_ERROR_SHAPE, "0 groups");
    assert_fails(hsched_graph_add_log_softmax(g, "y", x, 3, &y),
                 HSCHED_ERROR_INVALID_ARGUMENT, "axis 3");
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_layers),
        cmocka_unit_test(of_channels),
        cmocka_unit_test(computed_parameters),
        cmocka_unit_test(numbers_of_any_size),
        cmocka_unit_test(logarithms_of_softmaxes),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
