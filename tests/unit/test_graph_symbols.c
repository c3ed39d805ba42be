/* Named dimensions: declaring them, changing them, specialising a graph. */
#include "test_graph.h"

static hsched_activation relu = { HSCHED_ACTIVATION_RELU };

/* Messages logged, joined. */
static char logged[1000];
static void keep_log(void *user, hsched_log_level level, const char *message)
{
    (void)user;
    if (level == HSCHED_LOG_INFO)
        strncat(logged, message, sizeof logged - strlen(logged) - 1);
}

static hsched_tensor find(const hsched_graph *g, const char *name)
{
    hsched_tensor tensor;
    OK(hsched_graph_find_tensor(g, name, &tensor));
    return tensor;
}

static void declaring(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x;
    int64_t n, h, again;
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    OK(hsched_graph_set_symbol(g, "n", 2, &n));
    OK(hsched_graph_set_symbol(g, "h", 7, &h));
    OK(hsched_graph_set_symbol(g, "n", 2, &again));
    assert_true(n != h && again == n && n < -1 && h < -1);
    OK(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, DIMS(n, 3, h, 5), &x));
    expect_shape(g, x, DIMS(2, 3, 7, 5));
    OK(hsched_graph_tensor_info(g, x, &info));
    assert_string_equal(info.symbols[0], "n");
    assert_null(info.symbols[1]);
    assert_string_equal(info.symbols[2], "h");
    OK(hsched_graph_set_symbol(g, "h", 9, NULL));
    expect_shape(g, x, DIMS(2, 3, 9, 5));
    counts before = counts_of(g);
    assert_int_equal(hsched_graph_set_symbol(g, "z", 0, &n),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    expect_detail("'z'|0");
    assert_int_equal(n, 0);
    assert_int_equal(hsched_graph_set_symbol(g, "h", -4, &n),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    assert_int_equal(hsched_graph_set_symbol(g, "", 1, &n),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    assert_int_equal(hsched_graph_set_symbol(g, NULL, 1, &n),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    assert_int_equal(hsched_graph_set_symbol(g, "h", INT64_MAX, NULL),
                     HSCHED_ERROR_LIMIT);
    expect_detail("'h'|input 'x'");
    /* Codes of symbols that do not exist, one of them 2^32 away from one that does. */
    FAILS(g, x, hsched_graph_add_input(g, "y", HSCHED_FLOAT32, DIMS(-4), &x),
          HSCHED_ERROR_INVALID_ARGUMENT, "'y'|-4");
    FAILS(
        g, x,
        hsched_graph_add_input(g, "y", HSCHED_FLOAT32, DIMS(-2 - ((int64_t)1 << 32)), &x),
        HSCHED_ERROR_INVALID_ARGUMENT, "'y'|symbol");
    expect_unchanged(g, before);
    expect_shape(g, find(g, "x"), DIMS(2, 3, 9, 5));
    hsched_graph_destroy(g);
}

static void limit(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    char name[16];
    for (int i = 0; i < 4096; i++) {
        name[0] = 's';
        for (int k = 0; k < 3; k++)
            name[1 + k] = (char)('a' + (i >> 4 * k) % 16);
        name[4] = '\0';
        OK(hsched_graph_set_symbol(g, name, 1, NULL));
    }
    assert_int_equal(hsched_graph_set_symbol(g, "more", 1, NULL), HSCHED_ERROR_LIMIT);
    expect_detail("'more'|4096");
    hsched_graph_destroy(g);
}

/* A network whose every shape hangs on the batch, the height and the width. */
static hsched_graph *symbolic(void)
{
    hsched_graph *g = new_graph();
    hsched_tensor x, y;
    int64_t n, h, w;
    OK(hsched_graph_set_symbol(g, "n", 1, &n));
    OK(hsched_graph_set_symbol(g, "h", 9, &h));
    OK(hsched_graph_set_symbol(g, "w", 8, &w));
    OK(hsched_graph_add_image_input(g, "cam", n, h, w, 3, NULL, &x));
    OK(hsched_graph_add_conv2d(
        g, "conv", x, constant(g, DIMS(4, 3, 3, 3)), NONE,
        &(hsched_conv2d_config){ HSCHED_CONV2D_CONFIG_INIT, .strides = { 2, 2 },
                                 .auto_pad = HSCHED_PAD_SAME_UPPER },
        &y));
    OK(hsched_graph_add_slice(g, "last", y, 1, LIST(-2), LIST(INT64_MAX), LIST(2), NULL,
                              &x));
    OK(hsched_graph_add_reshape(g, "rows", y, DIMS(n, 4, -1), &y));
    OK(hsched_graph_add_softmax(g, "out", y, -1, &y));
    OK(hsched_graph_add_output(g, y));
    return g;
}

static void specialising(void **state)
{
    (void)state;
    hsched_graph *g = symbolic(), *copy;
    const hsched_symbol values[] = { { "h", 12 }, { "n", 5 } };
    const hsi_layer *conv = &g->layers[1];
    assert_memory_equal(conv->attrs.conv2d.pads, LIST(1, 0, 1, 1), 4 * sizeof(int64_t));
    OK(hsi_graph_specialise(g, values, 2, &copy));
    expect_shape(copy, find(copy, "cam"), DIMS(5, 12, 8, 3));
    expect_shape(copy, find(copy, "cam/image"), DIMS(5, 3, 12, 8));
    expect_shape(copy, find(copy, "conv"), DIMS(5, 4, 6, 4));
    expect_shape(copy, find(copy, "last"), DIMS(5, 4, 2, 4));
    expect_shape(copy, find(copy, "rows"), DIMS(5, 4, 24));
    expect_shape(copy, find(copy, "out"), DIMS(5, 4, 24));
    /* Attributes are resolved anew: other pads, another start. */
    assert_memory_equal(copy->layers[1].attrs.conv2d.pads, LIST(0, 0, 1, 1),
                        4 * sizeof(int64_t));
    assert_int_equal(copy->layers[2].attrs.slice.starts[2], 4);
    /* The graph itself stays as it was, and the copy shares its constants. */
    expect_shape(g, find(g, "out"), DIMS(1, 4, 20));
    assert_memory_equal(conv->attrs.conv2d.pads, LIST(1, 0, 1, 1), 4 * sizeof(int64_t));
    hsched_tensor weights = copy->layers[1].inputs[1];
    assert_ptr_equal(copy->tensors[weights].data, g->tensors[weights].data);
    /* The copy may not change. */
    hsched_tensor y;
    FAILS(copy, y, hsched_graph_add_activation(copy, "r", 0, relu, &y),
          HSCHED_ERROR_STATE, "frozen");
    hsched_graph *second;
    OK(hsi_graph_specialise(copy, &(hsched_symbol){ "w", 16 }, 1, &second));
    expect_shape(second, find(second, "out"), DIMS(5, 4, 48));
    hsched_graph_destroy(second);
    hsched_graph_destroy(copy);
    g->frozen = 1; /* as after compiling */
    OK(hsi_graph_specialise(g, NULL, 0, &copy));
    expect_shape(copy, find(copy, "out"), DIMS(1, 4, 20));
    hsched_graph_destroy(copy);
    hsched_graph_destroy(g);
}

static void fails_to_specialise(const hsched_graph *g, const hsched_symbol *symbols,
                                uint32_t count, hsched_status status, const char *words)
{
    hsched_graph *copy = (hsched_graph *)(uintptr_t)1;
    assert_int_equal(hsi_graph_specialise(g, symbols, count, &copy), status);
    assert_null(copy);
    expect_detail(words);
}

static void specialising_fails(void **state)
{
    (void)state;
    hsched_graph *g = symbolic();
    fails_to_specialise(g, &(hsched_symbol){ "zz", 3 }, 1, HSCHED_ERROR_NOT_FOUND,
                        "'net'|'zz'|n, h, w");
    fails_to_specialise(g, &(hsched_symbol){ "n", 0 }, 1, HSCHED_ERROR_INVALID_ARGUMENT,
                        "'n'|0");
    fails_to_specialise(g, &(hsched_symbol){ NULL, 1 }, 1, HSCHED_ERROR_INVALID_ARGUMENT,
                        "name");
    fails_to_specialise(g, NULL, 2, HSCHED_ERROR_INVALID_ARGUMENT, "symbols is NULL");
    fails_to_specialise(g, (hsched_symbol[]){ { "n", 2 }, { "n", 3 } }, 2,
                        HSCHED_ERROR_INVALID_ARGUMENT, "'n'|twice");
    fails_to_specialise(g, &(hsched_symbol){ "h", INT64_MAX / 16 }, 1, HSCHED_ERROR_LIMIT,
                        "'net'|'cam'|bytes");
    hsched_graph_destroy(g);

    /* Shapes that fit only with the values given at first. */
    int64_t n, c;
    hsched_tensor x, y;
    g = new_graph();
    OK(hsched_graph_set_symbol(g, "n", 4, &n));
    OK(hsched_graph_set_symbol(g, "c", 1, &c));
    OK(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, DIMS(n, 6, c), &x));
    OK(hsched_graph_add_reshape(g, "two", x, DIMS(2, -1), &y));
    OK(hsched_graph_add_reshape(g, "eights", x, DIMS(-1, 8), &y));
    OK(hsched_graph_add_squeeze(g, "sq", x, 0, NULL, &y));
    fails_to_specialise(g, &(hsched_symbol){ "n", 3 }, 1, HSCHED_ERROR_SHAPE,
                        "layer 'eights' (reshape)|[3,6,1]|[-1,8]");
    fails_to_specialise(g, &(hsched_symbol){ "c", 2 }, 1, HSCHED_ERROR_SHAPE,
                        "layer 'sq' (squeeze)|[4,6]|[4,6,2]|dimensions");
    /* The same when the graph's own symbol is set, and then nothing has changed. */
    assert_int_equal(hsched_graph_set_symbol(g, "n", 3, NULL), HSCHED_ERROR_SHAPE);
    expect_detail("symbol 'n' = 3|layer 'eights'");
    expect_shape(g, x, DIMS(4, 6, 1));
    expect_shape(g, find(g, "two"), DIMS(2, 12));
    assert_int_equal(g->symbols[0].value, 4);
    OK(hsched_graph_set_symbol(g, "n", 8, NULL));
    expect_shape(g, find(g, "two"), DIMS(2, 24));
    expect_shape(g, find(g, "eights"), DIMS(6, 8));
    OK(hsched_graph_add_activation(g, "r", find(g, "two"), relu,
                                   &y)); /* and can be added to */
    expect_shape(g, y, DIMS(2, 24));
    hsched_graph_destroy(g);
}

static void logs_what_nobody_set(void **state)
{
    (void)state;
    hsched_graph *g = new_graph(), *copy;
    hsched_tensor x;
    int64_t a, b, c, again;
    OK(hsi_graph_declare_symbol(g, "alpha", &a));
    OK(hsi_graph_declare_symbol(g, "beta", &b));
    OK(hsched_graph_set_symbol(g, "gamma", 3, &c));
    OK(hsi_graph_declare_symbol(g, "gamma", &again));
    assert_int_equal(again, c);
    OK(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, DIMS(a, b, c), &x));
    expect_shape(g, x, DIMS(1, 1, 3));
    hsched_log_set(keep_log, NULL, HSCHED_LOG_INFO);
    logged[0] = '\0';
    OK(hsi_graph_specialise(g, &(hsched_symbol){ "beta", 6 }, 1, &copy));
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
    expect_shape(copy, x, DIMS(1, 6, 3));
    assert_non_null(strstr(logged, "'alpha' was not set and is 1"));
    assert_null(strstr(logged, "beta"));
    assert_null(strstr(logged, "gamma"));
    hsched_graph_destroy(copy);
    g->frozen = 1;
    assert_int_equal(hsi_graph_declare_symbol(g, "delta", &a), HSCHED_ERROR_STATE);
    hsched_graph_destroy(g);
}

static void image_takes_symbols_over(void **state)
{
    (void)state;
    hsched_graph *g = new_graph(), *copy;
    hsched_tensor x, y;
    int64_t n, h;
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    OK(hsched_graph_set_symbol(g, "n", 1, &n));
    OK(hsched_graph_set_symbol(g, "h", 4, &h));
    OK(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, DIMS(n, 3, h, 5), &x));
    OK(hsched_graph_add_activation(g, "y", x, relu, &y));
    OK(hsched_graph_convert_input_to_image(g, "x", NULL));
    OK(hsched_graph_tensor_info(g, find(g, "x"), &info));
    assert_string_equal(info.symbols[0], "n");
    assert_string_equal(info.symbols[1], "h");
    assert_null(info.symbols[2]);
    assert_null(info.symbols[3]);
    OK(hsi_graph_specialise(g, (hsched_symbol[]){ { "n", 2 }, { "h", 6 } }, 2, &copy));
    expect_shape(copy, find(copy, "x"), DIMS(2, 6, 5, 3));
    expect_shape(copy, y, DIMS(2, 3, 6, 5));
    hsched_graph_destroy(copy);
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declaring),
        cmocka_unit_test(limit),
        cmocka_unit_test(specialising),
        cmocka_unit_test(specialising_fails),
        cmocka_unit_test(logs_what_nobody_set),
        cmocka_unit_test(image_takes_symbols_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
