/* What C tests share: cmocka in the right order, checks of statuses, small networks. */
#ifndef TESTS_COMMON_SUPPORT_H
#define TESTS_COMMON_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hsched/hsched.h>

/* Fails the test with the library's own explanation. */
#define assert_ok(call)                                                                  \
    do {                                                                                 \
        hsched_status status_ = (call);                                                  \
        if (status_ != HSCHED_OK)                                                        \
            fail_msg("%s: %s (%s)", #call, hsched_status_name(status_),                  \
                     hsched_error_detail());                                             \
    } while (0)

/* The call fails with this status, and the detail contains the text. */
#define assert_fails(call, expected, text)                                               \
    do {                                                                                 \
        hsched_status status_ = (call);                                                  \
        if (status_ != (expected) || !strstr(hsched_error_detail(), (text)))             \
            fail_msg("%s: %s (%s), not %s with '%s'", #call,                             \
                     hsched_status_name(status_), hsched_error_detail(), #expected,      \
                     (text));                                                            \
    } while (0)

/* Deterministic numbers in [-1, 1). */
static inline float next_float(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state / 2147483648.0f;
}

static inline void fill(float *data, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++)
        data[i] = next_float(&seed);
}

static inline hsched_tensor constant(hsched_graph *g, uint32_t rank, const int64_t *dims,
                                     float scale, uint32_t seed)
{
    size_t count = 1;
    for (uint32_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    float *data = malloc(count * sizeof *data);
    assert_non_null(data);
    fill(data, count, seed);
    for (size_t i = 0; i < count; i++)
        data[i] *= scale;
    hsched_tensor t;
    assert_ok(hsched_graph_add_constant(g, NULL, HSCHED_FLOAT32, rank, dims, data,
                                        count * sizeof *data, HSCHED_DATA_COPY, &t));
    free(data);
    return t;
}

/* A network with a residual, a concat and a classifier: input "x" [1,3,size,size] -> "y"
 * [1,10]. */
static inline hsched_graph *tiny_network(int64_t size, uint32_t seed)
{
    hsched_graph *g;
    hsched_tensor x, a, b, c, y;
    hsched_activation relu = { .kind = HSCHED_ACTIVATION_RELU };
    hsched_conv2d_config same = { HSCHED_CONV2D_CONFIG_INIT, .pads = { 1, 1, 1, 1 } };
    hsched_pool2d_config half = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 2, 2 },
                                  .strides = { 2, 2 } };
    assert_ok(hsched_graph_create("tiny", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4,
                                     (int64_t[]){ 1, 3, size, size }, &x));
    assert_ok(hsched_graph_add_conv2d(
        g, "conv1", x, constant(g, 4, (int64_t[]){ 16, 3, 3, 3 }, 0.3f, seed),
        constant(g, 1, (int64_t[]){ 16 }, 0.1f, seed + 1), &same, &a));
    assert_ok(hsched_graph_add_activation(g, "relu1", a, relu, &a));
    assert_ok(hsched_graph_add_pool2d(g, "pool1", HSCHED_POOL_MAX, a, &half, &a));
    assert_ok(hsched_graph_add_conv2d(
        g, "conv2", a, constant(g, 4, (int64_t[]){ 16, 16, 3, 3 }, 0.2f, seed + 2),
        HSCHED_NO_TENSOR, &same, &b));
    assert_ok(hsched_graph_add_binary(g, "add", HSCHED_BINARY_ADD, a, b, &b));
    assert_ok(hsched_graph_add_activation(g, "relu2", b, relu, &b));
    assert_ok(hsched_graph_add_conv2d(
        g, "conv3", b, constant(g, 4, (int64_t[]){ 8, 16, 1, 1 }, 0.3f, seed + 3),
        HSCHED_NO_TENSOR, NULL, &c));
    assert_ok(hsched_graph_add_concat(g, "concat", (hsched_tensor[]){ b, c }, 2, 1, &c));
    assert_ok(hsched_graph_add_global_pool(g, "gap", HSCHED_POOL_AVERAGE, c, &c));
    assert_ok(hsched_graph_add_fully_connected(
        g, "fc", c, constant(g, 2, (int64_t[]){ 10, 24 }, 1.0f, seed + 4),
        constant(g, 1, (int64_t[]){ 10 }, 0.1f, seed + 5), &y));
    assert_ok(hsched_graph_add_softmax(g, "y", y, 1, &y));
    assert_ok(hsched_graph_add_output(g, y));
    return g;
}

static inline hsched_model *tiny_model(hsched_runtime *rt, int64_t size, uint32_t seed,
                                       const hsched_model_config *config)
{
    hsched_graph *g = tiny_network(size, seed);
    hsched_model *model;
    assert_ok(hsched_model_compile(rt, g, config, &model));
    hsched_graph_destroy(g);
    return model;
}

#endif
