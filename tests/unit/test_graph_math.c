/* Shapes and errors of the layers that compute without a window. */
#include <math.h>

#include "test_graph.h"

static void fully_connected(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(2, 3, 4)), w = constant(g, DIMS(5, 12));
    hsched_tensor row = input(g, DIMS(12)), b5 = constant(g, DIMS(5)),
                  b1 = constant(g, DIMS(1, 5)), narrow = constant(g, DIMS(5, 4));
    hsched_tensor whole = typed_input(g, HSCHED_INT64, DIMS(2, 12));
#define FC(x, w, b) hsched_graph_add_fully_connected(g, "fc", (x), (w), (b), &y)
    FAILS(g, y, FC(row, w, NONE), HSCHED_ERROR_SHAPE,
          "'fc'|fully_connected|[12]|at least 2");
    FAILS(g, y, FC(x, x, NONE), HSCHED_ERROR_INVALID_ARGUMENT, "'fc'|weights|constant");
    FAILS(g, y, FC(x, b5, NONE), HSCHED_ERROR_SHAPE, "'fc'|weights|[5]|[O,K]");
    FAILS(g, y, FC(x, narrow, NONE), HSCHED_ERROR_SHAPE, "'fc'|[2,3,4]|[5,4]|[O,12]");
    FAILS(g, y, FC(x, w, b1), HSCHED_ERROR_SHAPE, "'fc'|bias|[1,5]|[5]");
    FAILS(g, y, FC(x, NONE, NONE), HSCHED_ERROR_INVALID_ARGUMENT,
          "'fc'|weights (input 1)");
    FAILS(g, y, FC(whole, w, NONE), HSCHED_ERROR_SHAPE, "'fc'|int64");
    OK(FC(x, w, b5));
    expect_shape(g, y, DIMS(2, 5));
    OK(hsched_graph_add_fully_connected(g, NULL, input(g, DIMS(7, 12)), w, NONE, &y));
    expect_shape(g, y, DIMS(7, 5));
#undef FC
    hsched_graph_destroy(g);
}

typedef struct shape {
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
} shape;

static void matmul(void **state)
{
    (void)state;
    static const struct {
        shape a, b, y; /* y.rank 99: does not fit */
    } cases[] = {
        { { 2, { 2, 3 } }, { 2, { 3, 4 } }, { 2, { 2, 4 } } },
        { { 1, { 3 } }, { 1, { 3 } }, { 0 } },
        { { 1, { 3 } }, { 2, { 3, 4 } }, { 1, { 4 } } },
        { { 2, { 2, 3 } }, { 1, { 3 } }, { 1, { 2 } } },
        { { 1, { 3 } }, { 4, { 5, 6, 3, 4 } }, { 3, { 5, 6, 4 } } },
        { { 4, { 5, 6, 2, 3 } }, { 1, { 3 } }, { 3, { 5, 6, 2 } } },
        { { 4, { 5, 1, 2, 3 } }, { 3, { 6, 3, 4 } }, { 4, { 5, 6, 2, 4 } } },
        { { 3, { 1, 2, 3 } }, { 2, { 3, 4 } }, { 3, { 1, 2, 4 } } },
        { { 2, { 2, 3 } }, { 2, { 4, 3 } }, { 99 } },
        { { 3, { 2, 2, 3 } }, { 3, { 3, 3, 4 } }, { 99 } },
        { { 0 }, { 2, { 3, 4 } }, { 99 } },
        { { 2, { 3, 4 } }, { 0 }, { 99 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hsched_graph *g = new_graph();
        hsched_tensor y, a = input(g, cases[i].a.rank, cases[i].a.dims);
        hsched_tensor b = input(g, cases[i].b.rank, cases[i].b.dims);
        if (cases[i].y.rank == 99) {
            FAILS(g, y, hsched_graph_add_matmul(g, "mm", a, b, &y), HSCHED_ERROR_SHAPE,
                  "'mm'|matmul");
            expect_detail(hsi_shape_text(cases[i].b.rank == 0 ? 0 : cases[i].a.rank,
                                         cases[i].a.dims));
        } else {
            OK(hsched_graph_add_matmul(g, "mm", a, b, &y));
            expect_shape(g, y, cases[i].y.rank, cases[i].y.dims);
        }
        hsched_graph_destroy(g);
    }
}

static void binary(void **state)
{
    (void)state;
    static const struct {
        shape a, b, y;
        int prelu; /* 1 if a PReLU of a with slopes b is possible */
    } cases[] = {
        { { 4, { 2, 3, 4, 5 } }, { 4, { 2, 3, 4, 5 } }, { 4, { 2, 3, 4, 5 } }, 1 },
        { { 4, { 2, 3, 4, 5 } }, { 0 }, { 4, { 2, 3, 4, 5 } }, 1 },
        { { 4, { 2, 3, 4, 5 } }, { 1, { 5 } }, { 4, { 2, 3, 4, 5 } }, 1 },
        { { 4, { 2, 3, 4, 5 } }, { 3, { 3, 1, 1 } }, { 4, { 2, 3, 4, 5 } }, 1 },
        { { 4, { 2, 3, 4, 5 } }, { 2, { 4, 1 } }, { 4, { 2, 3, 4, 5 } }, 1 },
        { { 2, { 4, 5 } }, { 4, { 2, 3, 4, 5 } }, { 4, { 2, 3, 4, 5 } }, 0 },
        { { 4, { 1, 4, 5, 1 } }, { 4, { 2, 1, 1, 1 } }, { 4, { 2, 4, 5, 1 } }, 0 },
        { { 2, { 4, 1 } }, { 2, { 1, 5 } }, { 2, { 4, 5 } }, 0 },
        { { 1, { 5 } }, { 2, { 1, 1 } }, { 2, { 1, 5 } }, 0 },
        { { 0 }, { 0 }, { 0 }, 1 },
        { { 4, { 2, 3, 4, 5 } },
          { 1, { 3 } },
          { 99 },
          0 }, /* a C that stands at W's place */
        { { 1, { 2 } }, { 1, { 3 } }, { 99 }, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hsched_graph *g = new_graph();
        hsched_tensor y, a = input(g, cases[i].a.rank, cases[i].a.dims);
        hsched_tensor b = constant(g, cases[i].b.rank, cases[i].b.dims);
        hsched_tensor whole = typed_input(g, HSCHED_INT32, DIMS(1));
        if (cases[i].y.rank == 99) {
            FAILS(g, y, hsched_graph_add_binary(g, "add", HSCHED_BINARY_ADD, a, b, &y),
                  HSCHED_ERROR_SHAPE, "'add'|binary|broadcast");
            expect_detail(hsi_shape_text(cases[i].a.rank, cases[i].a.dims));
            expect_detail(hsi_shape_text(cases[i].b.rank, cases[i].b.dims));
        } else {
            OK(hsched_graph_add_binary(g, "add", HSCHED_BINARY_ADD, a, b, &y));
            expect_shape(g, y, cases[i].y.rank, cases[i].y.dims);
        }
        if (cases[i].prelu) {
            OK(hsched_graph_add_binary(g, "pr", HSCHED_BINARY_PRELU, a, b, &y));
            expect_shape(g, y, cases[i].a.rank, cases[i].a.dims);
        } else {
            FAILS(g, y, hsched_graph_add_binary(g, "pr", HSCHED_BINARY_PRELU, a, b, &y),
                  HSCHED_ERROR_SHAPE, "'pr'");
        }
        FAILS(g, y, hsched_graph_add_binary(g, "bad", 24, a, a, &y),
              HSCHED_ERROR_INVALID_ARGUMENT, "'bad'|kind 24");
        FAILS(g, y, hsched_graph_add_binary(g, "bad", 0, a, a, &y),
              HSCHED_ERROR_INVALID_ARGUMENT, "'bad'|kind 0");
        FAILS(g, y, hsched_graph_add_binary(g, "bad", HSCHED_BINARY_ADD, a, whole, &y),
              HSCHED_ERROR_SHAPE, "'bad'|int32");
        hsched_graph_destroy(g);
    }
}

static void normalizations(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(2, 3, 4, 5)), row = input(g, DIMS(3));
    hsched_tensor c3 = constant(g, DIMS(3)), c4 = constant(g, DIMS(4));
    hsched_tensor scalar = input(g, 0, NULL);
#define BN(x, a, b, c, d, e) hsched_graph_add_batch_norm(g, "bn", x, a, b, c, d, e, &y)
    FAILS(g, y, BN(row, c3, c3, c3, c3, 0), HSCHED_ERROR_SHAPE,
          "'bn'|batch_norm|[3]|[N,C,...]");
    FAILS(g, y, BN(x, c4, c3, c3, c3, 0), HSCHED_ERROR_SHAPE, "'bn'|scale|[4]|[3]");
    FAILS(g, y, BN(x, c3, row, c3, c3, 0), HSCHED_ERROR_INVALID_ARGUMENT,
          "'bn'|shift|constant");
    FAILS(g, y, BN(x, c3, c3, c4, c3, 0), HSCHED_ERROR_SHAPE, "'bn'|mean");
    FAILS(g, y, BN(x, c3, c3, c3, NONE, 0), HSCHED_ERROR_INVALID_ARGUMENT,
          "'bn'|variance");
    FAILS(g, y, BN(x, c3, c3, c3, c3, -1), HSCHED_ERROR_INVALID_ARGUMENT, "'bn'|epsilon");
    FAILS(g, y, BN(x, c3, c3, c3, c3, NAN), HSCHED_ERROR_INVALID_ARGUMENT,
          "'bn'|epsilon");
    OK(BN(x, c3, c3, c3, c3, 1e-5f));
    expect_shape(g, y, DIMS(2, 3, 4, 5));
    assert_true(attrs_of(g, y)->batch_norm.epsilon == 1e-5f);
#undef BN
#define LRN(x, ...)                                                                      \
    hsched_graph_add_lrn(                                                                \
        g, "lrn", x, &(hsched_lrn_config){ HSCHED_LRN_CONFIG_INIT, __VA_ARGS__ }, &y)
    FAILS(g, y, hsched_graph_add_lrn(g, "lrn", x, NULL, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'lrn'|size");
    FAILS(g, y, LRN(x, .size = -3), HSCHED_ERROR_INVALID_ARGUMENT, "'lrn'|-3");
    FAILS(g, y, LRN(x, .size = INT64_MAX), HSCHED_ERROR_LIMIT, "'lrn'|limit");
    FAILS(g, y, LRN(x, .size = 5, .beta = INFINITY), HSCHED_ERROR_INVALID_ARGUMENT,
          "'lrn'|beta");
    FAILS(g, y, LRN(row, .size = 5), HSCHED_ERROR_SHAPE, "'lrn'|[3]");
    OK(LRN(x, .size = 5));
    const hsched_lrn_config *c = &attrs_of(g, y)->lrn;
    assert_true(c->alpha == 1e-4f && c->beta == 0.75f && c->bias == 1 && c->size == 5);
    expect_shape(g, y, DIMS(2, 3, 4, 5));
#undef LRN
    FAILS(g, y, hsched_graph_add_softmax(g, "sm", x, 4, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'sm'|softmax|axis 4|[2,3,4,5]");
    FAILS(g, y, hsched_graph_add_softmax(g, "sm", x, -5, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'sm'|axis -5");
    FAILS(g, y, hsched_graph_add_softmax(g, "sm", scalar, 0, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'sm'|without dimensions");
    OK(hsched_graph_add_softmax(g, "sm", x, -3, &y));
    assert_int_equal(attrs_of(g, y)->softmax.axis, 1);
    expect_shape(g, y, DIMS(2, 3, 4, 5));
    hsched_graph_destroy(g);
}

static void activations(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(2, 3));
    hsched_tensor truth = typed_input(g, HSCHED_BOOL, DIMS(1));
    static const struct {
        hsched_activation_kind kind;
        const char *name;
        int parameters;
    } cases[] = {
        { HSCHED_ACTIVATION_NONE, "none", 0 },
        { HSCHED_ACTIVATION_RELU, "relu", 0 },
        { HSCHED_ACTIVATION_LEAKY_RELU, "leaky_relu", 1 },
        { HSCHED_ACTIVATION_CLIP, "clip", 2 },
        { HSCHED_ACTIVATION_HARD_SIGMOID, "hard_sigmoid", 2 },
        { HSCHED_ACTIVATION_HARD_SWISH, "hard_swish", 0 },
        { HSCHED_ACTIVATION_ELU, "elu", 1 },
        { HSCHED_ACTIVATION_SELU, "selu", 2 },
        { HSCHED_ACTIVATION_GELU_TANH, "gelu_tanh", 0 },
        { HSCHED_ACTIVATION_THRESHOLDED_RELU, "thresholded_relu", 1 },
        { HSCHED_ACTIVATION_ATANH, "atanh", 0 },
        { HSCHED_ACTIVATION_FAKE_QUANTIZE, "fake_quantize", 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OK(hsched_graph_add_activation(g, NULL, x,
                                       (hsched_activation){ cases[i].kind, 3, 4 }, &y));
        const hsched_activation *a = &attrs_of(g, y)->activation;
        assert_true(a->a == (cases[i].parameters >= 1 ? 3 : 0));
        assert_true(a->b == (cases[i].parameters == 2 ? 4 : 0));
        expect_shape(g, y, DIMS(2, 3));
        assert_string_equal(hsched_activation_name(cases[i].kind), cases[i].name);
    }
    assert_string_equal(hsched_activation_name(77), "unknown");
    FAILS(g, y, hsched_graph_add_activation(g, "act", x, (hsched_activation){ 77 }, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'act'|activation|77");
    FAILS(g, y,
          hsched_graph_add_activation(
              g, "act", x, (hsched_activation){ HSCHED_ACTIVATION_CLIP, 0, NAN }, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'act'|clip");
    FAILS(g, y,
          hsched_graph_add_activation(g, "act", truth,
                                      (hsched_activation){ HSCHED_ACTIVATION_RELU }, &y),
          HSCHED_ERROR_SHAPE, "'act'|bool");
    const hsched_activation unlike[] = {
        { HSCHED_ACTIVATION_FAKE_QUANTIZE, 0, -128 },
        { HSCHED_ACTIVATION_FAKE_QUANTIZE, -1, -128 },
        { HSCHED_ACTIVATION_FAKE_QUANTIZE, INFINITY, -128 },
        { HSCHED_ACTIVATION_FAKE_QUANTIZE, 1, -0.5f },
        { HSCHED_ACTIVATION_FAKE_QUANTIZE, 1, 65537 },
    };
    for (size_t i = 0; i < sizeof unlike / sizeof *unlike; i++)
        FAILS(g, y, hsched_graph_add_activation(g, "act", x, unlike[i], &y),
              HSCHED_ERROR_INVALID_ARGUMENT, "'act'|fake_quantize");
    /* No bound on one side is fine, and parameters that are ignored may be anything. */
    OK(hsched_graph_add_activation(
        g, "clip", x, (hsched_activation){ HSCHED_ACTIVATION_CLIP, 0, INFINITY }, &y));
    OK(hsched_graph_add_activation(
        g, "relu", x, (hsched_activation){ HSCHED_ACTIVATION_RELU, NAN, NAN }, &y));
    hsched_graph_destroy(g);
}

static void reduce_mean(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(2, 3, 4, 5));
    hsched_tensor whole = typed_input(g, HSCHED_INT8, DIMS(1));
    OK(hsched_graph_add_reduce_mean(g, NULL, x, 2, LIST(-1, 2), 1, &y));
    expect_shape(g, y, DIMS(2, 3, 1, 1));
    assert_memory_equal(attrs_of(g, y)->axes.axes, LIST(2, 3), 2 * sizeof(int64_t));
    OK(hsched_graph_add_reduce_mean(g, NULL, x, 2, LIST(3, 0), 0, &y));
    expect_shape(g, y, DIMS(3, 4));
    OK(hsched_graph_add_reduce_mean(g, NULL, x, 0, NULL, 0, &y));
    expect_shape(g, y, 0, NULL);
    assert_int_equal(attrs_of(g, y)->axes.count, 4);
    OK(hsched_graph_add_reduce_mean(g, NULL, x, 0, NULL, 1, &y));
    expect_shape(g, y, DIMS(1, 1, 1, 1));
#define REDUCE(x, ...) hsched_graph_add_reduce_mean(g, "rm", x, __VA_ARGS__, 1, &y)
    FAILS(g, y, REDUCE(x, 1, LIST(4)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'rm'|reduce|axis 4|[2,3,4,5]");
    FAILS(g, y, REDUCE(x, 2, LIST(1, -3)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'rm'|-3|twice");
    FAILS(g, y, REDUCE(x, 1, NULL), HSCHED_ERROR_INVALID_ARGUMENT, "'rm'|axes is NULL");
    FAILS(g, y, REDUCE(x, 9, LIST(0, 0, 0, 0, 0, 0, 0, 0, 0)),
          HSCHED_ERROR_INVALID_ARGUMENT, "'rm'|9 entries");
    FAILS(g, y, REDUCE(whole, 1, LIST(0)), HSCHED_ERROR_SHAPE, "'rm'|int8");
#undef REDUCE
    hsched_graph_destroy(g);
}

static uint64_t macs(hsched_graph *g, hsched_tensor y)
{
    hsched_layer_info info = { HSCHED_LAYER_INFO_INIT };
    OK(hsched_graph_layer_info(g, g->tensors[y].producer, &info));
    return info.macs;
}

static void work(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_layer_info info = { HSCHED_LAYER_INFO_INIT };
    hsched_tensor y, x = input(g, DIMS(2, 4, 8, 8)), w = constant(g, DIMS(6, 2, 3, 3));
    hsched_conv2d_config c = { HSCHED_CONV2D_CONFIG_INIT, .groups = 2 };
    OK(hsched_graph_add_conv2d(g, "conv", x, w, constant(g, DIMS(6)), &c, &y));
    OK(hsched_graph_layer_info(g, 0, &info));
    assert_string_equal(info.name, "conv");
    assert_string_equal(info.kind, "conv2d");
    assert_int_equal(info.input_count, 3);
    assert_int_equal(info.output, y);
    assert_int_equal(info.macs, 2 * 6 * 6 * 6 * (2 * 3 * 3));
    assert_int_equal(info.parameters, 6 * 2 * 3 * 3 + 6);
    assert_int_equal(info.parameter_bytes, 4 * (6 * 2 * 3 * 3 + 6));
    OK(hsched_graph_add_fully_connected(g, "fc", y, constant(g, DIMS(10, 216)), NONE,
                                        &y));
    assert_int_equal(macs(g, y), 2 * 10 * 216);
    OK(hsched_graph_add_matmul(g, "mm", input(g, DIMS(5, 1, 2, 3)),
                               input(g, DIMS(7, 3, 4)), &y));
    assert_int_equal(macs(g, y), 5 * 7 * 2 * 3 * 4);
    OK(hsched_graph_add_matmul(g, "dot", input(g, DIMS(3)), input(g, DIMS(3)), &y));
    assert_int_equal(macs(g, y), 3);
    OK(hsched_graph_add_softmax(g, "sm", x, 1, &y));
    assert_int_equal(macs(g, y), 0);
    /* More than 64 bits of work is shown as the most there is. */
    int64_t big = (int64_t)1 << 29;
    OK(hsched_graph_add_matmul(g, "big", input(g, DIMS(big, big)),
                               input(g, DIMS(big, big)), &y));
    assert_true(macs(g, y) == UINT64_MAX);
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fully_connected),
        cmocka_unit_test(matmul),
        cmocka_unit_test(binary),
        cmocka_unit_test(normalizations),
        cmocka_unit_test(activations),
        cmocka_unit_test(reduce_mean),
        cmocka_unit_test(work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
