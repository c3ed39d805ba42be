/* Shapes and errors of convolution, pooling and camera frames. */
#include "test_graph.h"

static void conv_shapes(void **state)
{
    (void)state;
    static const struct {
        int64_t x[4], w[4], strides[2], pads[4], dilations[2], groups;
        hsched_auto_pad auto_pad;
        int64_t y[4], resolved[4];
    } cases[] = {
        /* ResNet's stem; AlexNet's first; a 1x1; a depthwise one; a grouped one. */
        { { 1, 3, 224, 224 },
          { 64, 3, 7, 7 },
          { 2, 2 },
          { 3, 3, 3, 3 },
          .y = { 1, 64, 112, 112 },
          .resolved = { 3, 3, 3, 3 } },
        { { 2, 3, 227, 227 }, { 96, 3, 11, 11 }, { 4, 4 }, .y = { 2, 96, 55, 55 } },
        { { 1, 8, 5, 6 }, { 4, 8, 1, 1 }, .y = { 1, 4, 5, 6 } },
        { { 1, 8, 9, 9 }, { 8, 1, 3, 3 }, .groups = 8, .y = { 1, 8, 7, 7 } },
        { { 1, 96, 27, 27 },
          { 256, 48, 5, 5 },
          .pads = { 2, 2, 2, 2 },
          .groups = 2,
          .y = { 1, 256, 27, 27 },
          .resolved = { 2, 2, 2, 2 } },
        /* Dilation 2 makes 3 taps cover 5; each axis on its own; uneven pads. */
        { { 1, 1, 7, 9 }, { 1, 1, 3, 3 }, .dilations = { 2, 1 }, .y = { 1, 1, 3, 7 } },
        { { 1, 1, 7, 9 },
          { 1, 1, 3, 2 },
          { 2, 3 },
          { 1, 0, 0, 2 },
          .y = { 1, 1, 3, 4 },
          .resolved = { 1, 0, 0, 2 } },
        /* ONNX's test_conv_with_autopad_same: 5x5, 3x3, stride 2. */
        { { 1, 1, 5, 5 },
          { 1, 1, 3, 3 },
          { 2, 2 },
          .auto_pad = HSCHED_PAD_SAME_LOWER,
          .y = { 1, 1, 3, 3 },
          .resolved = { 1, 1, 1, 1 } },
        /* 3 pixels of padding: the odd one at the end, or at the start. */
        { { 1, 1, 6, 6 },
          { 1, 1, 4, 4 },
          .auto_pad = HSCHED_PAD_SAME_UPPER,
          .y = { 1, 1, 6, 6 },
          .resolved = { 1, 1, 2, 2 } },
        { { 1, 1, 6, 6 },
          { 1, 1, 4, 4 },
          .auto_pad = HSCHED_PAD_SAME_LOWER,
          .y = { 1, 1, 6, 6 },
          .resolved = { 2, 2, 1, 1 } },
        /* A stride beyond the kernel needs none; dilation counts; VALID has none. */
        { { 1, 1, 7, 7 },
          { 1, 1, 1, 1 },
          { 3, 3 },
          .auto_pad = HSCHED_PAD_SAME_UPPER,
          .y = { 1, 1, 3, 3 } },
        { { 1, 1, 8, 8 },
          { 1, 1, 3, 3 },
          .dilations = { 2, 3 },
          .auto_pad = HSCHED_PAD_SAME_UPPER,
          .y = { 1, 1, 8, 8 },
          .resolved = { 2, 3, 2, 3 } },
        { { 1, 1, 8, 8 },
          { 1, 1, 3, 3 },
          { 2, 2 },
          .auto_pad = HSCHED_PAD_VALID,
          .y = { 1, 1, 3, 3 } },
        /* Windows that see padding only are zeros of a convolution, no error. */
        { { 1, 1, 1, 1 },
          { 1, 1, 1, 1 },
          .pads = { 3, 3, 3, 3 },
          .y = { 1, 1, 7, 7 },
          .resolved = { 3, 3, 3, 3 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hsched_graph *g = new_graph();
        hsched_conv2d_config c = { HSCHED_CONV2D_CONFIG_INIT };
        hsched_tensor y, x = input(g, 4, cases[i].x), w = constant(g, 4, cases[i].w);
        hsched_tensor bias = i % 2 ? constant(g, 1, cases[i].w) : NONE;
        memcpy(c.strides, cases[i].strides, sizeof c.strides);
        memcpy(c.pads, cases[i].pads, sizeof c.pads);
        memcpy(c.dilations, cases[i].dilations, sizeof c.dilations);
        c.groups = cases[i].groups;
        c.auto_pad = cases[i].auto_pad;
        OK(hsched_graph_add_conv2d(g, "conv", x, w, bias, &c, &y));
        expect_shape(g, y, 4, cases[i].y);
        const hsched_conv2d_config *a = &attrs_of(g, y)->conv2d;
        assert_memory_equal(a->pads, cases[i].resolved, sizeof a->pads);
        assert_int_equal(a->auto_pad, HSCHED_PAD_EXPLICIT);
        assert_true(a->groups >= 1 && a->strides[0] >= 1 && a->dilations[1] >= 1);
        assert_int_equal(g->layers[0].given.conv2d.auto_pad, cases[i].auto_pad);
        hsched_graph_destroy(g);
    }
}

static void conv_errors(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(1, 4, 8, 8)), w = constant(g, DIMS(6, 4, 3, 3));
    hsched_tensor flat = input(g, DIMS(1, 4)),
                  bytes = typed_input(g, HSCHED_UINT8, DIMS(1, 4, 8, 8));
    hsched_tensor b6 = constant(g, DIMS(6)), b4 = constant(g, DIMS(4));
#define CONV(x, w, b, ...)                                                               \
    hsched_graph_add_conv2d(                                                             \
        g, "c1", (x), (w), (b),                                                          \
        &(hsched_conv2d_config){ HSCHED_CONV2D_CONFIG_INIT, __VA_ARGS__ }, &y)
    FAILS(g, y, CONV(flat, w, NONE, .groups = 1), HSCHED_ERROR_SHAPE,
          "'c1'|conv2d|[1,4]|[N,C,H,W]");
    FAILS(g, y, CONV(bytes, w, NONE, .groups = 1), HSCHED_ERROR_SHAPE,
          "'c1'|uint8|float32");
    FAILS(g, y, CONV(x, bytes, NONE, .groups = 1), HSCHED_ERROR_SHAPE,
          "'c1'|weights|uint8");
    FAILS(g, y, CONV(x, b6, NONE, .groups = 1), HSCHED_ERROR_SHAPE, "'c1'|weights|[6]");
    FAILS(g, y, CONV(x, w, x, .groups = 1), HSCHED_ERROR_SHAPE,
          "'c1'|bias|[1,4,8,8]|[6]");
    FAILS(g, y, CONV(x, w, b4, .groups = 1), HSCHED_ERROR_SHAPE, "'c1'|bias|[4]|[6]");
    FAILS(g, y, CONV(x, w, NONE, .groups = 2), HSCHED_ERROR_SHAPE,
          "'c1'|[1,4,8,8]|[6,4,3,3]|2 channels in each of 2 groups");
    FAILS(g, y, CONV(x, w, NONE, .groups = 3), HSCHED_ERROR_SHAPE, "'c1'|3 groups");
    FAILS(g, y, CONV(x, w, NONE, .groups = -1), HSCHED_ERROR_INVALID_ARGUMENT,
          "'c1'|-1 groups");
    FAILS(g, y, CONV(x, w, NONE, .strides = { 1, -1 }), HSCHED_ERROR_INVALID_ARGUMENT,
          "'c1'|strides[1]|-1");
    FAILS(g, y, CONV(x, w, NONE, .dilations = { -2, 1 }), HSCHED_ERROR_INVALID_ARGUMENT,
          "'c1'|dilations[0]|-2");
    FAILS(g, y, CONV(x, w, NONE, .pads = { 0, 0, -1, 0 }), HSCHED_ERROR_INVALID_ARGUMENT,
          "'c1'|pads[2] (bottom)|-1");
    FAILS(g, y, CONV(x, w, NONE, .strides = { INT64_MAX, 1 }), HSCHED_ERROR_LIMIT,
          "'c1'|limit");
    FAILS(g, y, CONV(x, w, NONE, .pads = { INT64_MAX }), HSCHED_ERROR_LIMIT,
          "'c1'|limit");
    FAILS(g, y, CONV(x, w, NONE, .auto_pad = 9), HSCHED_ERROR_INVALID_ARGUMENT,
          "'c1'|auto_pad");
    FAILS(g, y, CONV(x, w, NONE, .auto_pad = HSCHED_PAD_SAME_UPPER, .pads = { 1 }),
          HSCHED_ERROR_INVALID_ARGUMENT, "'c1'|[1,0,0,0]|auto_pad");
    FAILS(g, y, CONV(x, w, NONE, .dilations = { 1, 4 }), HSCHED_ERROR_SHAPE,
          "'c1'|width|[1,4,8,8]|[6,4,3,3]|covers 9");
    FAILS(g, y, CONV(NONE, w, NONE, .groups = 1), HSCHED_ERROR_INVALID_ARGUMENT,
          "'c1'|x (input 0)|HSCHED_NO_TENSOR");
    FAILS(g, y, CONV(x, 99, NONE, .groups = 1), HSCHED_ERROR_INVALID_ARGUMENT,
          "'c1'|weights (input 1)|99");
    OK(CONV(x, w, b6, .groups = 1));
    expect_shape(g, y, DIMS(1, 6, 6, 6));
#undef CONV
    hsched_graph_destroy(g);
}

static void pool_shapes(void **state)
{
    (void)state;
    static const struct {
        int64_t in[2], kernel[2], strides[2], pads[4], dilations[2];
        hsched_auto_pad auto_pad;
        int ceil_mode;
        int64_t out[2];
    } cases[] = {
        { { 112, 112 },
          { 3, 3 },
          { 2, 2 },
          { 1, 1, 1, 1 },
          .out = { 56, 56 } },                                 /* ResNet */
        { { 55, 55 }, { 3, 3 }, { 2, 2 }, .out = { 27, 27 } }, /* AlexNet */
        { { 112, 112 },
          { 3, 3 },
          { 2, 2 },
          .ceil_mode = 1,
          .out = { 56, 56 } }, /* GoogLeNet */
        { { 112, 112 }, { 3, 3 }, { 2, 2 }, .out = { 55, 55 } },
        /* ONNX's node tests: maxpool_2d_ceil, _dilations, _pads,
           averagepool_2d_same_upper. */
        { { 4, 4 }, { 3, 3 }, { 2, 2 }, .ceil_mode = 1, .out = { 2, 2 } },
        { { 4, 4 }, { 2, 2 }, .dilations = { 2, 2 }, .out = { 2, 2 } },
        { { 28, 28 }, { 3, 3 }, .pads = { 2, 2, 2, 2 }, .out = { 30, 30 } },
        { { 32, 32 }, { 2, 2 }, .auto_pad = HSCHED_PAD_SAME_UPPER, .out = { 32, 32 } },
        { { 5, 5 },
          { 3, 3 },
          { 2, 2 },
          .auto_pad = HSCHED_PAD_SAME_UPPER,
          .out = { 3, 3 } },
        /* maxpool_2d_ceil_output_size_reduce_by_one,
           averagepool_2d_ceil_last_window_starts_on_pad */
        { { 2, 2 }, { 1, 1 }, { 2, 2 }, .ceil_mode = 1, .out = { 1, 1 } },
        { { 2, 2 }, { 3, 3 }, { 3, 3 }, { 1, 1, 1, 1 }, .ceil_mode = 1, .out = { 1, 1 } },
        /* Rounding up lets one window in that is larger than the input. */
        { { 2, 5 }, { 3, 2 }, { 2, 2 }, .ceil_mode = 1, .out = { 1, 3 } },
        { { 7, 8 }, { 2, 3 }, { 2, 3 }, .auto_pad = HSCHED_PAD_VALID, .out = { 3, 2 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hsched_graph *g = new_graph();
        hsched_pool2d_config c = { HSCHED_POOL2D_CONFIG_INIT };
        hsched_tensor y, x = input(g, DIMS(2, 3, cases[i].in[0], cases[i].in[1]));
        memcpy(c.kernel, cases[i].kernel, sizeof c.kernel);
        memcpy(c.strides, cases[i].strides, sizeof c.strides);
        memcpy(c.pads, cases[i].pads, sizeof c.pads);
        memcpy(c.dilations, cases[i].dilations, sizeof c.dilations);
        c.auto_pad = cases[i].auto_pad;
        c.ceil_mode = cases[i].ceil_mode;
        OK(hsched_graph_add_pool2d(g, NULL, HSCHED_POOL_MAX, x, &c, &y));
        expect_shape(g, y, DIMS(2, 3, cases[i].out[0], cases[i].out[1]));
        hsched_graph_destroy(g);
    }
}

/* One axis as the definition has it, by trying one window after the other. 0: not
 * possible. */
static int64_t count_windows(int64_t in, int64_t kernel, int64_t stride, int64_t before,
                             int64_t after, int64_t dilation, int ceil_mode)
{
    int64_t count = 0, end = before + in + after;
    for (int64_t start = 0;; start += stride) {
        int64_t stop = start + (kernel - 1) * dilation + 1;
        if (!ceil_mode && stop > end)
            break;
        /* Rounding up goes on while the window before did not reach the end. */
        if (ceil_mode && (start >= in + before || (count > 0 && stop - stride >= end)))
            break;
        /* A window of which not one stride is covered is no rounding up. */
        if (ceil_mode && stop - end >= stride)
            break;
        int seen = 0;
        for (int64_t k = 0; k < kernel; k++) {
            int64_t at = start + k * dilation - before;
            seen |= at >= 0 && at < in;
        }
        if (!seen)
            return 0;
        count++;
    }
    return count;
}

static void pool_agrees_with_definition(void **state)
{
    (void)state;
    uint32_t random = 12345, possible = 0;
    for (int i = 0; i < 20000; i++) {
        int64_t v[7];
        static const int64_t most[7] = { 9, 4, 4, 5, 5, 4, 2 };
        for (int k = 0; k < 7; k++) {
            random = random * 1664525u + 1013904223u;
            v[k] = random / 65536 % most[k];
        }
        int64_t in = v[0] + 1, kernel = v[1] + 1, stride = v[2] + 1, dilation = v[5] + 1;
        int64_t want = count_windows(in, kernel, stride, v[3], v[4], dilation, (int)v[6]);
        hsched_graph *g = new_graph();
        hsched_tensor y, x = input(g, DIMS(1, 1, in, 1));
        hsched_status status = hsched_graph_add_pool2d(
            g, "p", HSCHED_POOL_AVERAGE, x,
            &(hsched_pool2d_config){
                HSCHED_POOL2D_CONFIG_INIT, .kernel = { kernel, 1 },
                .strides = { stride, 1 }, .pads = { v[3], 0, v[4], 0 },
                .dilations = { dilation, 1 }, .ceil_mode = (int)v[6] },
            &y);
        if (status != (want ? HSCHED_OK : HSCHED_ERROR_SHAPE))
            fail_msg(
                "in %d kernel %d stride %d pads %d %d dilation %d ceil %d: wanted %d, %s",
                (int)in, (int)kernel, (int)stride, (int)v[3], (int)v[4], (int)dilation,
                (int)v[6], (int)want, hsched_error_detail());
        if (want) {
            expect_shape(g, y, DIMS(1, 1, want, 1));
            possible++;
        }
        hsched_graph_destroy(g);
    }
    assert_true(possible > 5000 && possible < 19000);
}

static void pool_errors(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(1, 4, 8, 8)), flat = input(g, DIMS(1, 4, 8)),
                     row = input(g, DIMS(4, 8));
#define POOL(kind, x, ...)                                                               \
    hsched_graph_add_pool2d(                                                             \
        g, "p1", kind, x,                                                                \
        &(hsched_pool2d_config){ HSCHED_POOL2D_CONFIG_INIT, __VA_ARGS__ }, &y)
    FAILS(g, y, hsched_graph_add_pool2d(g, "p1", HSCHED_POOL_MAX, x, NULL, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'p1'|pool2d|kernel's height");
    FAILS(g, y, POOL(HSCHED_POOL_MAX, x, .kernel = { 2, -2 }),
          HSCHED_ERROR_INVALID_ARGUMENT, "'p1'|kernel's width");
    FAILS(g, y, POOL(7, x, .kernel = { 2, 2 }), HSCHED_ERROR_INVALID_ARGUMENT,
          "'p1'|kind 7");
    FAILS(g, y, POOL(HSCHED_POOL_MAX, flat, .kernel = { 2, 2 }), HSCHED_ERROR_SHAPE,
          "'p1'|[1,4,8]");
    FAILS(g, y, POOL(HSCHED_POOL_MAX, x, .kernel = { 9, 2 }), HSCHED_ERROR_SHAPE,
          "'p1'|height");
    FAILS(g, y, POOL(HSCHED_POOL_MAX, x, .kernel = { 2, 2 }, .pads = { 0, 2, 0, 0 }),
          HSCHED_ERROR_SHAPE, "'p1'|width|padding only");
    FAILS(g, y, POOL(HSCHED_POOL_MAX, x, .kernel = { 2, 2 }, .pads = { 0, 0, 2, 0 }),
          HSCHED_ERROR_SHAPE, "'p1'|height|padding only");
    FAILS(g, y, POOL(HSCHED_POOL_MAX, x, .kernel = { 2000000, 2 }), HSCHED_ERROR_LIMIT,
          "'p1'");
    /* A config of a newer library is taken unless it uses what is not known here. */
    struct {
        hsched_pool2d_config config;
        int64_t more;
    } newer = { { sizeof newer, .kernel = { 2, 2 } }, 1 };
    FAILS(g, y, hsched_graph_add_pool2d(g, "p1", HSCHED_POOL_MAX, x, &newer.config, &y),
          HSCHED_ERROR_UNSUPPORTED, "'p1'|hsched_pool2d_config");
    newer.more = 0;
    OK(hsched_graph_add_pool2d(g, "p1", HSCHED_POOL_MAX, x, &newer.config, &y));
    expect_shape(g, y, DIMS(1, 4, 7, 7));
    FAILS(g, y,
          hsched_graph_add_pool2d(g, "p2", HSCHED_POOL_MAX, x,
                                  &(hsched_pool2d_config){ .kernel = { 2, 2 } }, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'p2'|struct_size");
    FAILS(g, y, hsched_graph_add_global_pool(g, "g1", 0, x, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'g1'|global_pool|kind 0");
    FAILS(g, y, hsched_graph_add_global_pool(g, "g1", HSCHED_POOL_MAX, row, &y),
          HSCHED_ERROR_SHAPE, "'g1'|[4,8]");
    OK(hsched_graph_add_global_pool(g, "g0", HSCHED_POOL_MAX, flat, &y));
    expect_shape(g, y, DIMS(1, 4, 1));
    OK(hsched_graph_add_global_pool(g, "g1", HSCHED_POOL_MAX, x, &y));
    expect_shape(g, y, DIMS(1, 4, 1, 1));
#undef POOL
    hsched_graph_destroy(g);
}

/* One to three spatial dimensions. */
static void any_dimensions(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y,
        line = input(g, DIMS(2, 4, 9)), volume = input(g, DIMS(1, 4, 5, 6, 7)),
        image = input(g, DIMS(1, 4, 6, 6)), row = input(g, DIMS(4, 8)),
        w1 = constant(g, DIMS(6, 2, 3)), w3 = constant(g, DIMS(6, 4, 3, 1, 3)),
        w2 = constant(g, DIMS(4, 3, 4, 2));
#define CONV(name, x, w, ...)                                                            \
    hsched_graph_add_conv(g, name, x, w, HSCHED_NO_TENSOR,                               \
                          &(hsched_conv_config){ HSCHED_CONV_CONFIG_INIT, __VA_ARGS__ }, \
                          &y)
#define BACK(name, x, w, ...)                                                            \
    hsched_graph_add_conv_transpose(                                                     \
        g, name, x, w, HSCHED_NO_TENSOR,                                                 \
        &(hsched_conv_transpose_config){ HSCHED_CONV_TRANSPOSE_CONFIG_INIT,              \
                                         __VA_ARGS__ },                                  \
        &y)
#define POOL(name, x, ...)                                                               \
    hsched_graph_add_pool(g, name, HSCHED_POOL_MAX, x,                                   \
                          &(hsched_pool_config){ HSCHED_POOL_CONFIG_INIT, __VA_ARGS__ }, \
                          &y)
    OK(CONV("c1", line, w1, .groups = 2, .strides = { 2 }, .pads = { 1, 0 }));
    expect_shape(g, y, DIMS(2, 6, 4));
    OK(CONV("c3", volume, w3, .auto_pad = HSCHED_PAD_SAME_UPPER, .strides = { 1, 2, 1 }));
    expect_shape(g, y, DIMS(1, 6, 5, 3, 7));
    FAILS(g, y, CONV("c4", row, w1, .groups = 1), HSCHED_ERROR_SHAPE, "'c4'|[4,8]");
    FAILS(g, y, CONV("c4", line, w3, .groups = 1), HSCHED_ERROR_SHAPE, "'c4'|[N,C,L]");
    FAILS(g, y, CONV("c4", image, w2, .strides = { 1, 1, 2 }),
          HSCHED_ERROR_INVALID_ARGUMENT, "'c4'|third");
    OK(POOL("p1", line, .kernel = { 3 }, .strides = { 2 }, .ceil_mode = 1));
    expect_shape(g, y, DIMS(2, 4, 4));
    OK(POOL("p3", volume, .kernel = { 2, 3, 3 }, .pads = { 1, 0, 0, 0, 0, 1 }));
    expect_shape(g, y, DIMS(1, 4, 5, 4, 6));
    FAILS(g, y, POOL("p4", volume, .kernel = { 2, 3 }), HSCHED_ERROR_INVALID_ARGUMENT,
          "'p4'|kernel's width");
    OK(BACK("t2", image, w2, .strides = { 2, 3 }, .pads = { 1, 0, 1, 0 },
            .output_padding = { 0, 2 }));
    expect_shape(g, y, DIMS(1, 3, 12, 19));
    OK(BACK("t3", image, w2, .strides = { 2, 2 }, .auto_pad = HSCHED_PAD_SAME_LOWER));
    expect_shape(g, y, DIMS(1, 3, 12, 12));
    OK(BACK("t4", image, w2, .groups = 2, .output_sizes = { 8, 9 }));
    expect_shape(g, y, DIMS(1, 6, 8, 9));
    FAILS(g, y, BACK("t5", image, w2, .pads = { 5, 0, 4, 0 }), HSCHED_ERROR_SHAPE,
          "'t5'|height|nothing");
    FAILS(g, y, BACK("t5", image, w2, .strides = { 1000000, 1000000 }),
          HSCHED_ERROR_LIMIT, "'t5'|strides");
    FAILS(g, y, BACK("t5", image, w2, .output_padding = { -1 }),
          HSCHED_ERROR_INVALID_ARGUMENT, "'t5'|output_padding[0]");
#undef CONV
#undef BACK
#undef POOL
    hsched_graph_destroy(g);
}

static void resizing(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(1, 2, 5, 6)),
                     bytes = typed_input(g, HSCHED_UINT8, DIMS(4, 3));
#define RESIZE(name, x, ...)                                                             \
    hsched_graph_add_resize(                                                             \
        g, name, x, &(hsched_resize_config){ HSCHED_RESIZE_CONFIG_INIT, __VA_ARGS__ },   \
        &y)
    OK(RESIZE("r1", x, .mode = HSCHED_RESIZE_LINEAR, .scales = { 0, 0, 2, 0.6f }));
    expect_shape(g, y, DIMS(1, 2, 10, 3));
    OK(RESIZE("r2", bytes, .mode = HSCHED_RESIZE_NEAREST, .sizes = { 0, 7 }));
    expect_shape(g, y, DIMS(4, 7));
    FAILS(g, y, RESIZE("r3", bytes, .mode = HSCHED_RESIZE_CUBIC, .sizes = { 0, 7 }),
          HSCHED_ERROR_SHAPE, "'r3'|uint8");
    FAILS(g, y, RESIZE("r3", x, .scales = { 1, 1, 2, 2 }), HSCHED_ERROR_INVALID_ARGUMENT,
          "'r3'|mode 0");
    FAILS(g, y,
          RESIZE("r3", x, .mode = HSCHED_RESIZE_LINEAR, .scales = { 1, 1, 0.1f, 1 }),
          HSCHED_ERROR_SHAPE, "'r3'|dimension 2");
    FAILS(g, y, RESIZE("r3", x, .mode = HSCHED_RESIZE_LINEAR, .sizes = { 1, -2 }),
          HSCHED_ERROR_INVALID_ARGUMENT, "'r3'|size -2");
    FAILS(g, y, RESIZE("r3", x, .mode = HSCHED_RESIZE_NEAREST, .antialias = 1),
          HSCHED_ERROR_INVALID_ARGUMENT, "'r3'|antialias");
#undef RESIZE
    hsched_graph_destroy(g);
}

static void image_inputs(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, frame;
    hsched_image_config c = { HSCHED_IMAGE_CONFIG_INIT, .mean = { 1, 2, 3 },
                              .scale = { 0.5f }, .swap_red_blue = 1 };
    OK(hsched_graph_add_image_input(g, "cam", 2, 480, 640, 3, &c, &y));
    expect_shape(g, y, DIMS(2, 3, 480, 640));
    assert_int_equal(hsched_graph_input_count(g), 1);
    OK(hsched_graph_find_tensor(g, "cam", &frame));
    assert_int_equal(hsched_graph_input(g, 0), frame);
    expect_shape(g, frame, DIMS(2, 480, 640, 3));
    assert_int_equal(g->tensors[frame].dtype, HSCHED_UINT8);
    assert_string_equal(g->tensors[y].name, "cam/image");
    assert_true(attrs_of(g, y)->image.scale[0] == 0.5f &&
                attrs_of(g, y)->image.scale[2] == 1);
    FAILS(g, y, hsched_graph_add_image_input(g, "c2", 1, 8, 8, 5, NULL, &y),
          HSCHED_ERROR_SHAPE, "'c2/image'|image_input|5 channels");
    FAILS(g, y, hsched_graph_add_image_input(g, "c2", 1, 8, 8, 2, &c, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'c2/image'|swap_red_blue");
    c.mean[1] = 1.0f / 0.0f;
    FAILS(g, y, hsched_graph_add_image_input(g, "c2", 1, 8, 8, 3, &c, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'c2/image'|channel 1");
    FAILS(g, y, hsched_graph_add_image_input(g, "c2", 1, 0, 8, 3, NULL, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'c2'|dimension is 0|[1,0,8,3]");
    FAILS(g, y, hsched_graph_add_image_input(g, "cam", 1, 8, 8, 3, NULL, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'cam'|already");
    OK(hsched_graph_add_image_input(g, "c2", 1, 8, 8, 1, NULL,
                                    &y)); /* the name is free again */
    expect_shape(g, y, DIMS(1, 1, 8, 8));
    hsched_graph_destroy(g);
}

static void input_becomes_image(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor other, data, r1, r2, found;
    OK(hsched_graph_add_input(g, "other", HSCHED_FLOAT32, DIMS(1, 3, 4, 5), &other));
    OK(hsched_graph_add_input(g, "data", HSCHED_FLOAT32, DIMS(1, 3, 4, 5), &data));
    OK(hsched_graph_add_activation(g, "r1", data,
                                   (hsched_activation){ HSCHED_ACTIVATION_RELU }, &r1));
    OK(hsched_graph_add_binary(g, "data/image", HSCHED_BINARY_ADD, r1, other, &r2));
    OK(hsched_graph_add_output(g, r2));
    OK(hsched_graph_convert_input_to_image(g, "data", NULL));
    /* The users of the float tensor keep it; its name is new and free. */
    assert_int_equal(hsched_graph_layer_count(g), 3);
    assert_int_equal(hsched_graph_layer_input(g, 1, 0), data);
    assert_string_equal(g->tensors[data].name, "data/image_2");
    assert_string_equal(g->layers[0].name, "data/image_2");
    expect_shape(g, data, DIMS(1, 3, 4, 5));
    OK(hsched_graph_find_tensor(g, "data", &found));
    assert_int_equal(hsched_graph_input(g, 0), other);
    assert_int_equal(hsched_graph_input(g, 1), found);
    expect_shape(g, found, DIMS(1, 4, 5, 3));
    assert_int_equal(g->tensors[found].dtype, HSCHED_UINT8);
    OK(hsched_graph_find_tensor(g, "data/image_2", &found));
    assert_int_equal(found, data);
    OK(hsched_graph_convert_input_to_image(g, "other", NULL));
    /* Layers stand in topological order, and outputs know their layers. */
    for (uint32_t i = 0; i < g->layer_count; i++) {
        assert_int_equal(g->tensors[g->layers[i].output].producer, i);
        for (uint32_t k = 0; k < g->layers[i].input_count; k++) {
            uint32_t producer = g->tensors[g->layers[i].inputs[k]].producer;
            assert_true(producer == HSI_NO_INDEX || producer < i);
        }
    }
    hsched_graph_destroy(g);
}

static void input_stays_no_image(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor t;
    OK(hsched_graph_add_input(g, "wide", HSCHED_FLOAT32, DIMS(1, 5, 4, 4), &t));
    OK(hsched_graph_add_input(g, "flat", HSCHED_FLOAT32, DIMS(1, 3), &t));
    OK(hsched_graph_add_input(g, "two", HSCHED_FLOAT32, DIMS(1, 2, 4, 4), &t));
    OK(hsched_graph_add_activation(g, "r", t,
                                   (hsched_activation){ HSCHED_ACTIVATION_RELU }, &t));
    static const struct {
        const char *name;
        hsched_status status;
        const char *words;
    } cases[] = { { NULL, HSCHED_ERROR_INVALID_ARGUMENT, "NULL" },
                  { "none", HSCHED_ERROR_NOT_FOUND, "'none'|'net'" },
                  { "r", HSCHED_ERROR_INVALID_ARGUMENT, "'r'|not an input" },
                  { "wide", HSCHED_ERROR_SHAPE, "'wide'|[1,5,4,4]" },
                  { "flat", HSCHED_ERROR_SHAPE, "'flat'|[1,3]" },
                  { "two", HSCHED_ERROR_INVALID_ARGUMENT, "'two'|swap_red_blue" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        counts before = counts_of(g);
        hsched_image_config c = { HSCHED_IMAGE_CONFIG_INIT, .swap_red_blue = 1 };
        assert_int_equal(hsched_graph_convert_input_to_image(g, cases[i].name, &c),
                         cases[i].status);
        expect_detail(cases[i].words);
        expect_unchanged(g, before);
        assert_true(g->tensors[2].is_input);
    }
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_shapes),
        cmocka_unit_test(conv_errors),
        cmocka_unit_test(pool_shapes),
        cmocka_unit_test(pool_agrees_with_definition),
        cmocka_unit_test(pool_errors),
        cmocka_unit_test(any_dimensions),
        cmocka_unit_test(resizing),
        cmocka_unit_test(image_inputs),
        cmocka_unit_test(input_becomes_image),
        cmocka_unit_test(input_stays_no_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
