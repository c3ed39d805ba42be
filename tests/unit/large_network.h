/* A network for tests of packing: weights of some megabytes. */
#ifndef TESTS_UNIT_LARGE_NETWORK_H
#define TESTS_UNIT_LARGE_NETWORK_H

#include "common/support.h"

enum {
    LARGE_INPUT = 64 * 16 * 16,
    LARGE_OUTPUT = 1000
};

/* Every kind of packing; of 17 and 200 columns, whose last panels are
 * not full. */
static inline hsched_graph *large_network(void)
{
    hsched_graph *g;
    hsched_tensor x, y;
    const hsched_conv2d_config same = { HSCHED_CONV2D_CONFIG_INIT,
                                        .pads = { 1, 1, 1, 1 } };
    const hsched_conv2d_config half = { HSCHED_CONV2D_CONFIG_INIT, .pads = { 1, 1, 1, 1 },
                                        .strides = { 2, 2 }, .groups = 2 };
    assert_ok(hsched_graph_create("large", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4,
                                     (int64_t[]){ 1, 64, 16, 16 }, &x));
    assert_ok(hsched_graph_add_conv2d(
        g, "winograd", x, constant(g, 4, (int64_t[]){ 200, 64, 3, 3 }, .1f, 1),
        constant(g, 1, (int64_t[]){ 200 }, .1f, 2), &same, &y));
    assert_ok(hsched_graph_add_conv2d(
        g, "groups", y, constant(g, 4, (int64_t[]){ 512, 100, 3, 3 }, .1f, 3),
        HSCHED_NO_TENSOR, &half, &y));
    assert_ok(hsched_graph_add_conv2d(
        g, "direct", y, constant(g, 4, (int64_t[]){ 17, 512, 1, 1 }, .1f, 4),
        HSCHED_NO_TENSOR, NULL, &y));
    assert_ok(hsched_graph_add_reshape(g, NULL, y, 2, (int64_t[]){ 1, 17 * 64 }, &y));
    assert_ok(hsched_graph_add_fully_connected(
        g, "fc", y, constant(g, 2, (int64_t[]){ 1000, 17 * 64 }, .1f, 5),
        constant(g, 1, (int64_t[]){ 1000 }, .1f, 6), &y));
    assert_ok(hsched_graph_add_output(g, y));
    return g;
}

#endif
