/* Shapes and errors of the layers that move data. They take any type and carry it. */
#include "test_graph.h"

static void concat(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, a = input(g, DIMS(2, 3, 4)), b = input(g, DIMS(2, 5, 4));
    hsched_tensor c = input(g, DIMS(2, 3)),
                  d = typed_input(g, HSCHED_INT64, DIMS(2, 5, 4));
    OK(hsched_graph_add_concat(g, NULL, (hsched_tensor[]){ a, b, a }, 3, -2, &y));
    expect_shape(g, y, DIMS(2, 11, 4));
    assert_int_equal(attrs_of(g, y)->concat.axis, 1);
    OK(hsched_graph_add_concat(g, NULL, &d, 1, 0, &y));
    expect_shape(g, y, DIMS(2, 5, 4));
    assert_int_equal(g->tensors[y].dtype, HSCHED_INT64);
    /* The place of the output may be where the inputs are read from. */
    hsched_tensor place = a;
    OK(hsched_graph_add_concat(g, NULL, &place, 1, 0, &place));
    assert_true(place != a);
    expect_shape(g, place, DIMS(2, 3, 4));
#define CONCAT(axis, count, ...)                                                         \
    hsched_graph_add_concat(g, "cat", (hsched_tensor[]){ __VA_ARGS__ }, count, axis, &y)
    FAILS(g, y, CONCAT(0, 2, a, b), HSCHED_ERROR_SHAPE,
          "'cat'|concat|input 1|[2,5,4]|[2,3,4]");
    FAILS(g, y, CONCAT(1, 2, a, c), HSCHED_ERROR_SHAPE, "'cat'|[2,3]");
    FAILS(g, y, CONCAT(1, 2, a, d), HSCHED_ERROR_SHAPE, "'cat'|int64|float32");
    FAILS(g, y, CONCAT(3, 2, a, b), HSCHED_ERROR_INVALID_ARGUMENT, "'cat'|axis 3");
    FAILS(g, y, CONCAT(1, 2, a, NONE), HSCHED_ERROR_INVALID_ARGUMENT, "'cat'|input 1");
    FAILS(g, y, CONCAT(1, 0, a), HSCHED_ERROR_INVALID_ARGUMENT, "'cat'|no inputs");
    FAILS(g, y, hsched_graph_add_concat(g, "cat", NULL, 2, 1, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'cat'|NULL");
    hsched_tensor big = typed_input(g, HSCHED_UINT8, DIMS(INT64_MAX / 2));
    FAILS(g, y, CONCAT(0, 3, big, big, big), HSCHED_ERROR_LIMIT, "'cat'|axis 0");
    hsched_tensor large = input(g, DIMS(INT64_MAX / 8));
    FAILS(g, y, CONCAT(0, 3, large, large, large), HSCHED_ERROR_LIMIT, "'cat'|bytes");
#undef CONCAT
    hsched_graph_destroy(g);
}

static void slice(void **state)
{
    (void)state;
    /* On a dimension of 10, as x[start:end:step] in numpy. count 0: empty. */
    static const struct {
        int64_t start, end, step, count, first;
    } cases[] = {
        { 0, 10, 1, 10, 0 },
        { 2, 5, 1, 3, 2 },
        { 2, 6, 2, 2, 2 },
        { 2, 7, 2, 3, 2 },
        { -3, 10, 1, 3, 7 },
        { 1, -1, 1, 8, 1 },
        { -100, 100, 1, 10, 0 },
        { 0, INT64_MAX, 3, 4, 0 },
        { INT64_MIN, INT64_MAX, INT64_MAX, 1, 0 },
        { 9, 10, 5, 1, 9 },
        { 10, 20, 1, 0, 0 },
        { 5, 5, 1, 0, 0 },
        { 6, 2, 1, 0, 0 },
        { -1, INT64_MIN, -1, 10, 9 },
        { 20, -20, -1, 10, 9 },
        { 8, 2, -2, 3, 8 },
        { 8, 1, -2, 4, 8 },
        { 3, INT64_MIN, -3, 2, 3 },
        { 0, INT64_MIN, -1, 1, 0 },
        { -1, -4, -1, 3, 9 },
        { 9, -1, -1, 0, 0 }, /* -1 is the last element, not the one before the first */
        { 2, 8, -1, 0, 0 },
        { INT64_MAX, INT64_MIN, INT64_MIN, 1, 9 },
        { -100, -200, -1, 1,
          0 }, /* both are clamped, the start to 0, the end to before it */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hsched_graph *g = new_graph();
        hsched_tensor y, x = typed_input(g, HSCHED_INT32, DIMS(3, 10));
        const int64_t axis = i % 2 ? 1 : -1;
#define SLICE()                                                                          \
    hsched_graph_add_slice(g, "s", x, 1, &cases[i].start, &cases[i].end, &axis,          \
                           &cases[i].step, &y)
        if (cases[i].count == 0) {
            FAILS(g, y, SLICE(), HSCHED_ERROR_SHAPE, "'s'|slice|[3,10]|axis 1|empty");
        } else {
            OK(SLICE());
            expect_shape(g, y, DIMS(3, cases[i].count));
            assert_int_equal(attrs_of(g, y)->slice.starts[0], 0);
            assert_int_equal(attrs_of(g, y)->slice.steps[0], 1);
            assert_int_equal(attrs_of(g, y)->slice.starts[1], cases[i].first);
            assert_int_equal(attrs_of(g, y)->slice.steps[1],
                             cases[i].count == 1 ? 1 : cases[i].step);
            assert_int_equal(g->tensors[y].dtype, HSCHED_INT32);
        }
#undef SLICE
        hsched_graph_destroy(g);
    }
}

static void slice_lists(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(4, 6, 8));
    OK(hsched_graph_add_slice(g, NULL, x, 2, LIST(1, 2), LIST(3, 5), NULL, NULL, &y));
    expect_shape(g, y, DIMS(2, 3, 8));
    OK(hsched_graph_add_slice(g, NULL, x, 2, LIST(7, 0), LIST(0, 2), LIST(2, 0),
                              LIST(-2, 1), &y));
    expect_shape(g, y, DIMS(2, 6, 4));
    OK(hsched_graph_add_slice(g, NULL, x, 0, NULL, NULL, NULL, NULL, &y));
    expect_shape(g, y, DIMS(4, 6, 8));
#define SLICE(...) hsched_graph_add_slice(g, "s", x, __VA_ARGS__, &y)
    FAILS(g, y, SLICE(2, LIST(0, 0), LIST(1, 1), LIST(1, -2), NULL),
          HSCHED_ERROR_INVALID_ARGUMENT, "'s'|axis 1|twice");
    FAILS(g, y, SLICE(1, LIST(0), LIST(1), LIST(3), NULL), HSCHED_ERROR_INVALID_ARGUMENT,
          "'s'|axis 3|[4,6,8]");
    FAILS(g, y, SLICE(1, LIST(0), LIST(1), NULL, LIST(0)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'s'|step|axis 0");
    FAILS(g, y, SLICE(4, LIST(0, 0, 0, 0), LIST(1, 1, 1, 1), NULL, NULL),
          HSCHED_ERROR_INVALID_ARGUMENT, "'s'|axis 3");
    FAILS(g, y, SLICE(1, NULL, LIST(1), NULL, NULL), HSCHED_ERROR_INVALID_ARGUMENT,
          "'s'|starts");
    FAILS(g, y, SLICE(1, LIST(1), NULL, NULL, NULL), HSCHED_ERROR_INVALID_ARGUMENT,
          "'s'|ends");
    FAILS(g, y, SLICE(9, LIST(1), LIST(1), NULL, NULL), HSCHED_ERROR_INVALID_ARGUMENT,
          "'s'|9 entries");
#undef SLICE
    hsched_graph_destroy(g);
}

static void pad(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(2, 3)),
                     i8 = typed_input(g, HSCHED_INT8, DIMS(2, 3));
#define PAD(x, b, a, mode, value)                                                        \
    hsched_graph_add_pad(g, NULL, x, b, a, HSCHED_PAD_MODE_##mode, value, &y)
    OK(PAD(x, LIST(1, 0), LIST(2, 5), CONSTANT, 0.5f));
    expect_shape(g, y, DIMS(5, 8));
    OK(PAD(x, LIST(1, 2), LIST(1, 0), REFLECT, 0));
    expect_shape(g, y, DIMS(4, 5));
    OK(PAD(i8, LIST(9, 9), LIST(9, 9), EDGE, 0.5f));
    expect_shape(g, y, DIMS(20, 21));
    assert_int_equal(g->tensors[y].dtype, HSCHED_INT8);
    OK(PAD(i8, LIST(1, 0), LIST(0, 0), CONSTANT, -128));
    OK(PAD(input(g, 0, NULL), NULL, NULL, CONSTANT, 0));
    expect_shape(g, y, 0, NULL);
#undef PAD
#define PAD(x, b, a, mode, value) hsched_graph_add_pad(g, "pd", x, b, a, mode, value, &y)
    FAILS(g, y, PAD(x, LIST(0, 3), LIST(0, 0), HSCHED_PAD_MODE_REFLECT, 0),
          HSCHED_ERROR_SHAPE, "'pd'|pad|axis 1|[2,3]");
    FAILS(g, y, PAD(x, LIST(0, 0), LIST(2, 0), HSCHED_PAD_MODE_REFLECT, 0),
          HSCHED_ERROR_SHAPE, "'pd'|axis 0");
    FAILS(g, y, PAD(x, LIST(0, -1), LIST(0, 0), HSCHED_PAD_MODE_EDGE, 0),
          HSCHED_ERROR_INVALID_ARGUMENT, "'pd'|-1|axis 1");
    FAILS(g, y, PAD(x, LIST(0, INT64_MAX), LIST(0, 0), HSCHED_PAD_MODE_EDGE, 0),
          HSCHED_ERROR_LIMIT, "'pd'|axis 1");
    FAILS(g, y, PAD(x, LIST(0, 0), LIST(INT64_MAX / 4, 0), HSCHED_PAD_MODE_EDGE, 0),
          HSCHED_ERROR_LIMIT, "'pd'|bytes");
    FAILS(g, y, PAD(x, LIST(0, 0), NULL, HSCHED_PAD_MODE_EDGE, 0),
          HSCHED_ERROR_INVALID_ARGUMENT, "'pd'|after is NULL");
    FAILS(g, y, PAD(x, LIST(0, 0), LIST(0, 0), 3, 0), HSCHED_ERROR_INVALID_ARGUMENT,
          "'pd'|pad mode 3");
    FAILS(g, y, PAD(i8, LIST(0, 0), LIST(0, 0), HSCHED_PAD_MODE_CONSTANT, 128),
          HSCHED_ERROR_INVALID_ARGUMENT, "'pd'|128|int8");
    FAILS(g, y, PAD(i8, LIST(0, 0), LIST(0, 0), HSCHED_PAD_MODE_CONSTANT, 0.5f),
          HSCHED_ERROR_INVALID_ARGUMENT, "'pd'|0.5|int8");
#undef PAD
    hsched_graph_destroy(g);
}

static void reshape(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = typed_input(g, HSCHED_UINT8, DIMS(2, 3, 4));
    OK(hsched_graph_add_reshape(g, NULL, x, DIMS(4, 6), &y));
    expect_shape(g, y, DIMS(4, 6));
    assert_int_equal(g->tensors[y].dtype, HSCHED_UINT8);
    OK(hsched_graph_add_reshape(g, NULL, x, DIMS(0, -1), &y));
    expect_shape(g, y, DIMS(2, 12));
    OK(hsched_graph_add_reshape(g, NULL, x, DIMS(-1), &y));
    expect_shape(g, y, DIMS(24));
    OK(hsched_graph_add_reshape(g, NULL, x, DIMS(1, 0, 8, -1), &y));
    expect_shape(g, y, DIMS(1, 3, 8, 1));
    OK(hsched_graph_add_reshape(g, NULL, input(g, DIMS(1, 1)), 0, NULL, &y));
    expect_shape(g, y, 0, NULL);
    OK(hsched_graph_add_reshape(g, NULL, y, DIMS(1, -1), &y));
    expect_shape(g, y, DIMS(1, 1));
#define RESHAPE(...) hsched_graph_add_reshape(g, "rs", x, __VA_ARGS__, &y)
    FAILS(g, y, RESHAPE(DIMS(5, 5)), HSCHED_ERROR_SHAPE, "'rs'|reshape|[2,3,4]|24|[5,5]");
    FAILS(g, y, RESHAPE(DIMS(5, -1)), HSCHED_ERROR_SHAPE, "'rs'|[5,-1]");
    FAILS(g, y, RESHAPE(DIMS(48, -1)), HSCHED_ERROR_SHAPE, "'rs'|[48,-1]");
    FAILS(g, y, RESHAPE(DIMS(-1, -1)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'rs'|HSCHED_DIM_INFER");
    FAILS(g, y, RESHAPE(DIMS(2, 3, 4, 0)), HSCHED_ERROR_INVALID_ARGUMENT,
          "'rs'|dimension 3");
    FAILS(g, y, RESHAPE(DIMS(-2, 12)), HSCHED_ERROR_INVALID_ARGUMENT, "'rs'|-2|symbol");
    FAILS(g, y, RESHAPE(DIMS(INT64_MAX, INT64_MAX)), HSCHED_ERROR_SHAPE, "'rs'|[2,3,4]");
    FAILS(g, y, RESHAPE(2, NULL), HSCHED_ERROR_INVALID_ARGUMENT, "'rs'|dims is NULL");
    FAILS(g, y, RESHAPE(9, LIST(24)), HSCHED_ERROR_INVALID_ARGUMENT, "'rs'|9 entries");
#undef RESHAPE
    hsched_graph_destroy(g);
}

static void flatten(void **state)
{
    (void)state;
    static const struct {
        int axis;
        int64_t dims[2];
    } cases[] = { { 0, { 1, 120 } }, { 1, { 2, 60 } },  { 3, { 24, 5 } },
                  { 4, { 120, 1 } }, { -1, { 24, 5 } }, { -4, { 1, 120 } } };
    hsched_graph *g = new_graph();
    hsched_tensor y, x = input(g, DIMS(2, 3, 4, 5));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OK(hsched_graph_add_flatten(g, NULL, x, cases[i].axis, &y));
        expect_shape(g, y, 2, cases[i].dims);
        assert_true(attrs_of(g, y)->flatten.axis ==
                    (cases[i].axis + 4 * (cases[i].axis < 0)));
    }
    OK(hsched_graph_add_flatten(g, NULL, input(g, 0, NULL), 0, &y));
    expect_shape(g, y, DIMS(1, 1));
    FAILS(g, y, hsched_graph_add_flatten(g, "fl", x, 5, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'fl'|flatten|axis 5|[2,3,4,5]");
    FAILS(g, y, hsched_graph_add_flatten(g, "fl", x, -5, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'fl'|axis -5");
    hsched_graph_destroy(g);
}

static void squeeze_and_unsqueeze(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = typed_input(g, HSCHED_BOOL, DIMS(1, 3, 1, 5));
    OK(hsched_graph_add_squeeze(g, NULL, x, 0, NULL, &y));
    expect_shape(g, y, DIMS(3, 5));
    assert_memory_equal(attrs_of(g, y)->axes.axes, LIST(0, 2), 2 * sizeof(int64_t));
    assert_int_equal(g->tensors[y].dtype, HSCHED_BOOL);
    OK(hsched_graph_add_squeeze(g, NULL, x, 1, LIST(-2), &y));
    expect_shape(g, y, DIMS(1, 3, 5));
    OK(hsched_graph_add_squeeze(g, NULL, x, 2, LIST(2, 0), &y));
    expect_shape(g, y, DIMS(3, 5));
    FAILS(g, y, hsched_graph_add_squeeze(g, "sq", x, 1, LIST(1), &y), HSCHED_ERROR_SHAPE,
          "'sq'|squeeze|axis 1|[1,3,1,5]");
    FAILS(g, y, hsched_graph_add_squeeze(g, "sq", x, 2, LIST(0, -4), &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'sq'|twice");
    FAILS(g, y, hsched_graph_add_squeeze(g, "sq", x, 1, LIST(4), &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'sq'|axis 4");
    FAILS(g, y, hsched_graph_add_squeeze(g, "sq", x, 1, NULL, &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'sq'|axes is NULL");

    x = typed_input(g, HSCHED_INT64, DIMS(3, 5));
    OK(hsched_graph_add_unsqueeze(g, NULL, x, 3, LIST(-1, 0, 2), &y));
    expect_shape(g, y, DIMS(1, 3, 1, 5, 1));
    assert_memory_equal(attrs_of(g, y)->axes.axes, LIST(0, 2, 4), 3 * sizeof(int64_t));
    assert_int_equal(g->tensors[y].dtype, HSCHED_INT64);
    OK(hsched_graph_add_unsqueeze(g, NULL, input(g, 0, NULL), 1, LIST(0), &y));
    expect_shape(g, y, DIMS(1));
    FAILS(g, y, hsched_graph_add_unsqueeze(g, "us", x, 2, LIST(1, -3), &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'us'|unsqueeze|twice|[3,5]");
    FAILS(g, y, hsched_graph_add_unsqueeze(g, "us", x, 1, LIST(3), &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'us'|axis 3");
    FAILS(g, y, hsched_graph_add_unsqueeze(g, "us", x, 7, LIST(0, 1, 2, 3, 4, 5, 6), &y),
          HSCHED_ERROR_LIMIT, "'us'|[3,5]");
    hsched_graph_destroy(g);
}

static void transpose(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = typed_input(g, HSCHED_FLOAT16, DIMS(2, 3, 4, 5));
    OK(hsched_graph_add_transpose(g, NULL, x, LIST(0, 2, 3, 1), &y));
    expect_shape(g, y, DIMS(2, 4, 5, 3));
    assert_int_equal(g->tensors[y].dtype, HSCHED_FLOAT16);
    OK(hsched_graph_add_transpose(g, NULL, x, NULL, &y));
    expect_shape(g, y, DIMS(5, 4, 3, 2));
    assert_memory_equal(attrs_of(g, y)->transpose.perm, LIST(3, 2, 1, 0),
                        4 * sizeof(int64_t));
    FAILS(g, y, hsched_graph_add_transpose(g, "tr", x, LIST(0, 2, 2, 1), &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'tr'|transpose|[0,2,2,1]|entry 2");
    FAILS(g, y, hsched_graph_add_transpose(g, "tr", x, LIST(0, 1, 2, 4), &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'tr'|[0,1,2,4]|entry 3");
    FAILS(g, y, hsched_graph_add_transpose(g, "tr", x, LIST(-1, 1, 2, 0), &y),
          HSCHED_ERROR_INVALID_ARGUMENT, "'tr'|entry 0");
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concat),      cmocka_unit_test(slice),
        cmocka_unit_test(slice_lists), cmocka_unit_test(pad),
        cmocka_unit_test(reshape),     cmocka_unit_test(flatten),
        cmocka_unit_test(transpose),   cmocka_unit_test(squeeze_and_unsqueeze),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
