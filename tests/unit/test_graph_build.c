/* Graphs themselves: tensors, names, outputs, sources, what a graph tells about itself.
 */
#include <stdio.h>

#include "test_graph.h"

#include "graph/build.h"

static hsched_activation relu = { HSCHED_ACTIVATION_RELU };

static void inputs(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x, y;
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    OK(hsched_graph_add_input(g, "in", HSCHED_INT64, DIMS(2, 3), &x));
    OK(hsched_graph_tensor_info(g, x, &info));
    assert_string_equal(info.name, "in");
    assert_int_equal(info.dtype, HSCHED_INT64);
    assert_int_equal(info.layout, HSCHED_LAYOUT_DENSE);
    assert_int_equal(info.byte_size, 48);
    assert_null(info.symbols[0]);
    OK(hsched_graph_add_input(g, NULL, HSCHED_FLOAT32, 0, NULL, &y));
    OK(hsched_graph_tensor_info(g, y, &info));
    assert_int_equal(info.byte_size, 4);
    assert_true(strlen(info.name) > 0);
#define INPUT(...) hsched_graph_add_input(g, "bad", __VA_ARGS__, &y)
    FAILS(g, y, INPUT(HSCHED_FLOAT32, DIMS(1, 0)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'bad'|[1,0]|dimension is 0");
    FAILS(g, y, INPUT(HSCHED_FLOAT32, DIMS(1, -1)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'bad'|-1");
    FAILS(g, y, INPUT(HSCHED_FLOAT32, DIMS(-2)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'bad'|-2|symbol");
    FAILS(g, y, INPUT(HSCHED_FLOAT32, DIMS(INT64_MIN)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'bad'|symbol");
    FAILS(g, y, INPUT(HSCHED_FLOAT32, 2, NULL), HSCHED_ERROR_INVALID_ARGUMENT,
          "'bad'|dims");
    FAILS(g, y, INPUT(HSCHED_FLOAT32, 9, LIST(1)), HSCHED_ERROR_LIMIT,
          "'bad'|9 dimensions");
    FAILS(g, y, INPUT(HSCHED_DTYPE_NONE, DIMS(1)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'bad'|type 0");
    FAILS(g, y, INPUT(55, DIMS(1)), HSCHED_ERROR_INVALID_ARGUMENT, "'bad'|type 55");
    FAILS(g, y, INPUT(HSCHED_FLOAT32, DIMS(INT64_MAX)), HSCHED_ERROR_LIMIT,
          "'bad'|bytes");
    FAILS(g, y, INPUT(HSCHED_UINT8, DIMS(INT64_MAX, 2)), HSCHED_ERROR_LIMIT,
          "'bad'|bytes");
    FAILS(g, y, INPUT(HSCHED_FLOAT32, DIMS(INT64_MAX, INT64_MAX)), HSCHED_ERROR_LIMIT,
          "'bad'");
#undef INPUT
    uint32_t count = g->tensor_count;
    g->tensor_count = HSI_MAX_TENSORS; /* as if there were so many */
    FAILS(g, y, hsched_graph_add_input(g, "zz", HSCHED_FLOAT32, DIMS(1), &y),
          HSCHED_ERROR_LIMIT, "'zz'|limit");
    g->tensor_count = count;
    hsched_graph_destroy(g);
}

static void constants(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor a, b, c, y;
    float data[8] = { 1, 2, 3, 4 };
    int64_t batch;
    OK(hsched_graph_set_symbol(g, "batch", 2, &batch));
#define CONSTANT(name, dims, data, size, how)                                            \
    hsched_graph_add_constant(g, name, HSCHED_FLOAT32, dims, data, size, how, &y)
    FAILS(g, y, CONSTANT("k", DIMS(2, 2), NULL, 16, HSCHED_DATA_COPY),
          HSCHED_ERROR_INVALID_ARGUMENT, "'k'|data is NULL");
    FAILS(g, y, CONSTANT("k", DIMS(2, 2), data, 12, HSCHED_DATA_COPY),
          HSCHED_ERROR_INVALID_ARGUMENT, "'k'|12|[2,2]|16");
    FAILS(g, y, CONSTANT("k", DIMS(2, 2), data, 20, HSCHED_DATA_BORROW),
          HSCHED_ERROR_INVALID_ARGUMENT, "'k'|20");
    FAILS(g, y, CONSTANT("k", DIMS(2, 2), data, 16, 7), HSCHED_ERROR_INVALID_ARGUMENT,
          "'k'|ownership 7");
    FAILS(g, y, CONSTANT("k", DIMS(2, 0), data, 0, HSCHED_DATA_COPY),
          HSCHED_ERROR_INVALID_ARGUMENT, "'k'|dimension is 0");
    FAILS(g, y, CONSTANT("k", DIMS(batch, 2), data, 16, HSCHED_DATA_COPY),
          HSCHED_ERROR_INVALID_ARGUMENT, "'k'|'batch'");
    OK(CONSTANT("copied", DIMS(2, 2), data, 16, HSCHED_DATA_COPY));
    a = y;
    OK(CONSTANT("borrowed", DIMS(2, 2), data, 16, HSCHED_DATA_BORROW));
    b = y;
    /* Not aligned to a float, so it cannot be used in place. */
    OK(CONSTANT("crooked", DIMS(2, 2), (char *)data + 1, 16, HSCHED_DATA_BORROW));
    c = y;
#undef CONSTANT
    data[0] = 9;
    assert_true(*(const float *)g->tensors[a].data == 1);
    assert_ptr_equal(g->tensors[b].data, data);
    assert_int_equal((uintptr_t)g->tensors[c].data % sizeof(float), 0);
    assert_int_equal(hsched_graph_input_count(g), 0);
    hsched_graph_destroy(g);
}

static void names(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x, y, found;
    char name[32];
    OK(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, DIMS(1), &x));
    FAILS(g, y, hsched_graph_add_input(g, "x", HSCHED_FLOAT32, DIMS(1), &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'x'|already|'net'");
    FAILS(g, y, hsched_graph_add_activation(g, "x", x, relu, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'x'|already");
    FAILS(g, y, hsched_graph_add_activation(g, "", x, relu, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "name is empty");
    /* Names made up avoid those that are taken. */
    OK(hsched_graph_add_activation(g, "activation_2", x, relu, &y));
    OK(hsched_graph_add_activation(g, NULL, x, relu, &y));
    OK(hsched_graph_add_activation(g, NULL, x, relu, &y));
    assert_string_not_equal(g->layers[1].name, g->layers[2].name);
    assert_string_equal(g->layers[1].name, g->tensors[g->layers[1].output].name);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "layer %d", i);
        OK(hsched_graph_add_activation(g, name, x, relu, &y));
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "layer %d", i);
        OK(hsched_graph_find_tensor(g, name, &found));
        assert_string_equal(g->tensors[found].name, name);
        assert_int_equal(g->tensors[found].producer, 3 + i);
    }
    assert_int_equal(hsched_graph_find_tensor(g, "layer 1000", &found),
                     HSCHED_ERROR_NOT_FOUND);
    assert_int_equal(found, NONE);
    expect_detail("'layer 1000'|'net'");
    assert_int_equal(hsched_graph_find_tensor(g, NULL, &found),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    hsched_graph_destroy(g);
    g = new_graph(); /* an empty one */
    assert_int_equal(hsched_graph_find_tensor(g, "x", &found), HSCHED_ERROR_NOT_FOUND);
    hsched_graph_destroy(g);
}

static void outputs(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(1)), k = constant(g, DIMS(1));
    OK(hsched_graph_add_activation(g, "y", x, relu, &y));
    OK(hsched_graph_add_output(g, y));
    OK(hsched_graph_add_output(g, x));
    counts before = counts_of(g);
    assert_int_equal(hsched_graph_add_output(g, y), HSCHED_ERROR_INVALID_ARGUMENT);
    expect_detail("'y'|output 0 already");
    assert_int_equal(hsched_graph_add_output(g, k), HSCHED_ERROR_INVALID_ARGUMENT);
    expect_detail("constant");
    assert_int_equal(hsched_graph_add_output(g, 77), HSCHED_ERROR_INVALID_ARGUMENT);
    expect_detail("77|'net'");
    assert_int_equal(hsched_graph_add_output(g, NONE), HSCHED_ERROR_INVALID_ARGUMENT);
    expect_unchanged(g, before);
    assert_int_equal(hsched_graph_output_count(g), 2);
    assert_int_equal(hsched_graph_output(g, 0), y);
    assert_int_equal(hsched_graph_output(g, 1), x);
    assert_int_equal(hsched_graph_output(g, 2), NONE);
    hsched_graph_destroy(g);
}

static void looking(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(1));
    hsched_layer_info layer = { HSCHED_LAYER_INFO_INIT };
    hsched_tensor_info tensor = { HSCHED_TENSOR_INFO_INIT };
    OK(hsched_graph_add_activation(g, "y", x, relu, &y));
    assert_string_equal(hsched_graph_name(g), "net");
    assert_int_equal(hsched_graph_layer_count(g), 1);
    assert_int_equal(hsched_graph_layer_input(g, 0, 0), x);
    assert_int_equal(hsched_graph_layer_input(g, 0, 1), NONE);
    assert_int_equal(hsched_graph_layer_input(g, 1, 0), NONE);
    assert_int_equal(hsched_graph_input(g, 1), NONE);
    assert_int_equal(hsched_graph_layer_info(g, 1, &layer),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    expect_detail("no layer 1");
    assert_int_equal(hsched_graph_tensor_info(g, 5, &tensor),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    expect_detail("no tensor 5");
    assert_int_equal(hsched_graph_layer_info(g, 0, NULL), HSCHED_ERROR_INVALID_ARGUMENT);
    tensor.struct_size = 0;
    assert_int_equal(hsched_graph_tensor_info(g, x, &tensor),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    /* An older caller's struct ends after the name. */
    struct {
        size_t struct_size;
        const char *name;
        uint64_t guard;
    } older = { offsetof(hsched_tensor_info, dtype), NULL, 42 };
    OK(hsched_graph_tensor_info(g, y, (hsched_tensor_info *)(void *)&older));
    assert_string_equal(older.name, "y");
    assert_int_equal(older.guard, 42);
    assert_int_equal(hsched_graph_input_count(NULL) + hsched_graph_output_count(NULL) +
                         hsched_graph_layer_count(NULL),
                     0);
    assert_int_equal(hsched_graph_input(NULL, 0), NONE);
    assert_int_equal(hsched_graph_tensor_info(NULL, 0, &tensor),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    assert_int_equal(hsched_graph_layer_info(NULL, 0, &layer),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    hsched_graph_destroy(g);
    hsched_graph_destroy(NULL);
    assert_int_equal(hsched_graph_create("g", NULL), HSCHED_ERROR_INVALID_ARGUMENT);
    OK(hsched_graph_create(NULL, &g));
    assert_string_equal(hsched_graph_name(g), "graph");
    hsched_graph_destroy(g);
}

/* Every function that adds something, on a graph that may not change, and on no graph. */
static void check_refused(hsched_graph *g, hsched_tensor x, hsched_tensor k,
                          hsched_status want)
{
    hsched_tensor y;
    int64_t dim;
    hsched_pool2d_config pool = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 1, 1 } };
    hsched_lrn_config lrn = { HSCHED_LRN_CONFIG_INIT, .size = 1 };
    const float one = 1;
#define REFUSED(call)                                                                    \
    do {                                                                                 \
        y = 12345;                                                                       \
        assert_int_equal((call), want);                                                  \
        assert_int_equal(y, NONE);                                                       \
        expect_detail(want == HSCHED_ERROR_STATE ? "frozen|'net'" : "NULL");             \
    } while (0)
    REFUSED(hsched_graph_add_input(g, "n", HSCHED_FLOAT32, DIMS(1), &y));
    REFUSED(hsched_graph_add_constant(g, "n", HSCHED_FLOAT32, 0, NULL, &one, 4,
                                      HSCHED_DATA_COPY, &y));
    REFUSED(hsched_graph_add_conv2d(g, "n", x, k, NONE, NULL, &y));
    REFUSED(hsched_graph_add_fully_connected(g, "n", x, k, NONE, &y));
    REFUSED(hsched_graph_add_matmul(g, "n", x, x, &y));
    REFUSED(hsched_graph_add_pool2d(g, "n", HSCHED_POOL_MAX, x, &pool, &y));
    REFUSED(hsched_graph_add_global_pool(g, "n", HSCHED_POOL_MAX, x, &y));
    REFUSED(hsched_graph_add_batch_norm(g, "n", x, k, k, k, k, 0, &y));
    REFUSED(hsched_graph_add_lrn(g, "n", x, &lrn, &y));
    REFUSED(hsched_graph_add_softmax(g, "n", x, 1, &y));
    REFUSED(hsched_graph_add_activation(g, "n", x, relu, &y));
    REFUSED(hsched_graph_add_binary(g, "n", HSCHED_BINARY_ADD, x, x, &y));
    REFUSED(hsched_graph_add_concat(g, "n", &x, 1, 0, &y));
    REFUSED(hsched_graph_add_slice(g, "n", x, 0, NULL, NULL, NULL, NULL, &y));
    REFUSED(
        hsched_graph_add_pad(g, "n", x, LIST(0, 0, 0, 0), LIST(0, 0, 0, 0), 0, 0, &y));
    REFUSED(hsched_graph_add_reshape(g, "n", x, DIMS(-1), &y));
    REFUSED(hsched_graph_add_flatten(g, "n", x, 1, &y));
    REFUSED(hsched_graph_add_squeeze(g, "n", x, 0, NULL, &y));
    REFUSED(hsched_graph_add_unsqueeze(g, "n", x, 1, LIST(0), &y));
    REFUSED(hsched_graph_add_transpose(g, "n", x, NULL, &y));
    REFUSED(hsched_graph_add_reduce_mean(g, "n", x, 0, NULL, 0, &y));
    REFUSED(hsched_graph_add_image_input(g, "n", 1, 1, 1, 1, NULL, &y));
#undef REFUSED
    assert_int_equal(hsched_graph_add_output(g, x), want);
    assert_int_equal(hsched_graph_convert_input_to_image(g, "x", NULL), want);
    dim = 5;
    assert_int_equal(hsched_graph_set_symbol(g, "s", 1, &dim), want);
    assert_int_equal(dim, 0);
}

static void refusals(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x, k = constant(g, DIMS(1, 1, 1, 1));
    OK(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, DIMS(1, 1, 1, 1), &x));
    counts before = counts_of(g);
    g->frozen = 1;
    check_refused(g, x, k, HSCHED_ERROR_STATE);
    expect_unchanged(g, before);
    check_refused(NULL, x, k, HSCHED_ERROR_INVALID_ARGUMENT);
    g->frozen = 0;
    /* Without a place for the result nothing is added either. */
    assert_int_equal(hsched_graph_add_softmax(g, "sm", x, 0, NULL),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    expect_detail("'sm'|output is NULL");
    assert_int_equal(hsched_graph_add_input(g, "in", HSCHED_FLOAT32, DIMS(1), NULL),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    expect_detail("'in'");
    assert_int_equal(hsched_graph_add_image_input(g, "im", 1, 1, 1, 1, NULL, NULL),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    expect_unchanged(g, before);
    hsched_graph_destroy(g);
}

static void failure_leaves_detail_bounded(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(1));
    char *name = malloc(100000);
    assert_non_null(name);
    memset(name, 'n', 99999);
    name[99999] = '\0';
    /* A name of any length leaves room for the rest of the message. */
    FAILS(g, y, hsched_graph_add_softmax(g, name, x, 3, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "softmax|axis 3");
    OK(hsched_graph_add_softmax(g, name, x, 0, &y));
    FAILS(g, y, hsched_graph_add_softmax(g, name, x, 0, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "already|choose another name");
    free(name);
    hsched_graph_destroy(g);
}

static int destroyed;
static void count_destroyed(hsi_source *source)
{
    (void)source;
    destroyed++;
}

static void sources(void **state)
{
    (void)state;
    hsched_graph *g = new_graph(), *copy;
    hsi_source a = { 1, count_destroyed }, b = { 1, count_destroyed };
    destroyed = 0;
    hsi_graph_add_source(g, &a);
    hsi_graph_add_source(g, &b);
    hsi_source_retain(&b); /* a model that uses the mapping */
    OK(hsi_graph_specialise(g, NULL, 0, &copy));
    hsched_graph_destroy(copy);
    assert_int_equal(destroyed, 0);
    hsched_graph_destroy(g);
    assert_int_equal(destroyed, 1);
    hsi_source_release(&b);
    assert_int_equal(destroyed, 2);
    hsi_source_retain(NULL);
    hsi_source_release(NULL);
}

static void kinds(void **state)
{
    (void)state;
    assert_string_equal(hsi_layer_kind_name(HSI_LAYER_CONV2D), "conv2d");
    assert_string_equal(hsi_layer_kind_name(HSI_LAYER_IMAGE_INPUT), "image_input");
    assert_string_equal(hsi_layer_kind_name(HSI_LAYER_KINDS), "unknown");
    for (int i = 0; i < HSI_LAYER_KINDS; i++)
        assert_non_null(hsi_layer_kind_name((hsi_layer_kind)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs),   cmocka_unit_test(constants),
        cmocka_unit_test(names),    cmocka_unit_test(outputs),
        cmocka_unit_test(looking),  cmocka_unit_test(failure_leaves_detail_bounded),
        cmocka_unit_test(refusals), cmocka_unit_test(sources),
        cmocka_unit_test(kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
