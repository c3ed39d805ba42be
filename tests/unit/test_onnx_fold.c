/* The evaluator: constants computed while importing, compared with numbers written down
 * here. */
#include "onnx_build.h"

#include <math.h>

#include "graph/graph.h"

/* Float constants of a graph come through as y = x + c: gives c as the graph holds it. */
static const float *added_constant(const hsched_graph *graph, const char *dims)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    hsched_tensor c = hsched_graph_layer_input(graph, 0, 1);
    size_t rank;
    int64_t *sizes = ob_numbers(dims, &rank);
    assert_int_equal(hsched_graph_layer_count(graph), 1);
    assert_int_equal(hsched_graph_tensor_info(graph, c, &info), HSCHED_OK);
    assert_int_equal(info.dtype, HSCHED_FLOAT32);
    assert_int_equal(info.rank, rank);
    for (size_t k = 0; k < rank; k++)
        assert_int_equal(info.dims[k], sizes[k]);
    return graph->tensors[c].data;
}

/* What the nodes so far compute into "c" (any numeric type) is exactly `wanted`. */
static void expect_values(ob_model *b, const char *dims, const double *wanted)
{
    Onnx__NodeProto *cast = ob_node(b, "Cast", "c", "cf");
    ob_int(cast, "to", 1);
    ob_node(b, "Add", "x,cf", "y");
    hsched_graph *graph = ob_graph(b, NULL);
    const float *values = added_constant(graph, dims);
    size_t rank, count = 1;
    int64_t *sizes = ob_numbers(dims, &rank);
    for (size_t k = 0; k < rank; k++)
        count *= (size_t)sizes[k];
    for (size_t k = 0; k < count; k++)
        assert_true(values[k] == (float)wanted[k]);
    hsched_graph_destroy(graph);
}

static void begin(ob_model *b, int64_t opset)
{
    ob_begin(b, opset);
    ob_input(b, "x", 1, "1");
    ob_output(b, "y");
}

#define VALUES(...)                                                                      \
    (const double[])                                                                     \
    {                                                                                    \
        __VA_ARGS__                                                                      \
    }

static void test_integer_arithmetic(void **state)
{
    (void)state;
    static ob_model b;
    static const struct {
        const char *op;
        double values[4]; /* of -7,7,-8,9 with 2,-3,2,3 */
    } cases[] = {
        { "Add", { -5, 4, -6, 12 } },
        { "Sub", { -9, 10, -10, 6 } },
        { "Mul", { -14, -21, -16, 27 } },
        { "Div", { -3, -2, -4, 3 } }, /* towards zero */
        { "Mod", { 1, -2, 0, 0 } },   /* the divisor's sign */
        { "Min", { -7, -3, -8, 3 } },
        { "Max", { 2, 7, 2, 9 } },
        { "Equal", { 0, 0, 0, 0 } },
        { "Less", { 1, 0, 1, 0 } },
        { "GreaterOrEqual", { 0, 1, 0, 1 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        begin(&b, 13);
        ob_list(&b, "a", "-7,7,-8,9");
        ob_list(&b, "b", "2,-3,2,3");
        ob_node(&b, cases[k].op, "a,b", "c");
        expect_values(&b, "4", cases[k].values);
    }
}

static void test_division_by_zero_is_an_error(void **state)
{
    (void)state;
    static ob_model b;
    for (int mod = 0; mod < 2; mod++) {
        begin(&b, 13);
        ob_list(&b, "a", "1");
        ob_list(&b, "b", "0");
        ob_node(&b, mod ? "Mod" : "Div", "a,b", "c");
        ob_node(&b, "Reshape", "x,c", "y");
        ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "divided by zero");
    }
    /* The one other quotient that does not exist wraps. */
    begin(&b, 13);
    ob_list(&b, "a", "-9223372036854775808");
    ob_list(&b, "b", "-1");
    ob_node(&b, "Div", "a,b", "c");
    expect_values(&b, "1", VALUES(-9223372036854775808.0));
}

static void test_broadcast(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13);
    ob_list(&b, "s", "2,1");
    ob_list(&b, "a", "10,20");
    ob_list(&b, "b", "1,2,3");
    ob_node(&b, "Reshape", "a,s", "a2");
    ob_node(&b, "Add", "a2,b", "c");
    expect_values(&b, "2,3", VALUES(11, 12, 13, 21, 22, 23));
    begin(&b, 13);
    ob_list(&b, "a", "1,2");
    ob_list(&b, "b", "1,2,3");
    ob_node(&b, "Add", "a,b", "c");
    ob_node(&b, "Reshape", "x,c", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_SHAPE, "do not broadcast");
}

static void test_floats(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13);
    ob_floats(&b, "a", "3"); /* 0.5 1.5 2.5 */
    ob_node(&b, "Floor", "a", "f");
    ob_node(&b, "Sqrt", "f", "s");
    ob_node(&b, "Neg", "s", "n");
    ob_node(&b, "Pow", "n,a", "p"); /* 0^0.5 */
    ob_node(&b, "Mul", "n,n", "c");
    expect_values(&b, "3", VALUES(0, 1, (double)(sqrtf(2) * sqrtf(2))));
    begin(&b, 13);
    ob_floats(&b, "a", "3");
    ob_node(&b, "Ceil", "a", "c");
    expect_values(&b, "3", VALUES(1, 2, 3));
    for (int fmod_like = 0; fmod_like < 2; fmod_like++) {
        begin(&b, 28);
        ob_floats(&b, "a", "3");
        ob_node(&b, "Neg", "a", "n"); /* -0.5 -1.5 -2.5, to be divided by 1 3 5 */
        ob_node(&b, "Add", "a,a", "d");
        ob_int(ob_node(&b, "Mod", "n,d", "c"), "fmod", fmod_like);
        expect_values(&b, "3",
                      fmod_like ? VALUES(-0.5, -1.5, -2.5) : VALUES(0.5, 1.5, 2.5));
    }
}

static void test_slice(void **state)
{
    (void)state;
    static ob_model b;
    static const struct {
        const char *start, *end, *step;
        size_t count;
        double values[6]; /* of 0..5 */
    } cases[] = {
        { "1", "4", "1", 3, { 1, 2, 3 } },
        { "-2", "100", "1", 2, { 4, 5 } },
        { "-100", "3", "2", 2, { 0, 2 } },
        { "9223372036854775807", "-9223372036854775808", "-1", 6, { 5, 4, 3, 2, 1, 0 } },
        { "4", "0", "-3", 2, { 4, 1 } },
        { "0", "9223372036854775807", "9223372036854775807", 1, { 0 } },
        { "5", "-9223372036854775808", "-9223372036854775808", 1, { 5 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char dims[8];
        begin(&b, 13);
        ob_list(&b, "a", "0,1,2,3,4,5");
        ob_list(&b, "from", cases[k].start);
        ob_list(&b, "to", cases[k].end);
        ob_list(&b, "axes", "-1");
        ob_list(&b, "by", cases[k].step);
        ob_node(&b, "Slice", "a,from,to,axes,by", "c");
        snprintf(dims, sizeof dims, "%zu", cases[k].count);
        expect_values(&b, dims, cases[k].values);
    }
}

static void test_moving_elements(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13);
    ob_list(&b, "a", "0,1,2,3,4,5");
    ob_list(&b, "s", "2,3");
    ob_node(&b, "Reshape", "a,s", "m");
    ob_node(&b, "Transpose", "m", "c");
    expect_values(&b, "3,2", VALUES(0, 3, 1, 4, 2, 5));

    begin(&b, 13);
    ob_list(&b, "a", "0,1,2,3,4,5");
    ob_list(&b, "s", "2,3");
    ob_list(&b, "i", "2,-3");
    ob_node(&b, "Reshape", "a,s", "m");
    ob_int(ob_node(&b, "Gather", "m,i", "c"), "axis", 1);
    expect_values(&b, "2,2", VALUES(2, 0, 5, 3));

    begin(&b, 13);
    ob_list(&b, "a", "0,1,2,3,4,5");
    ob_list(&b, "s", "2,3");
    ob_node(&b, "Reshape", "a,s", "m");
    ob_int(ob_node(&b, "Concat", "m,m", "c"), "axis", -1);
    expect_values(&b, "2,6", VALUES(0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5));

    begin(&b, 13);
    ob_list(&b, "a", "0,7,0,-1,0,2");
    ob_list(&b, "s", "2,3");
    ob_node(&b, "Reshape", "a,s", "m");
    ob_node(&b, "NonZero", "m", "c");
    expect_values(&b, "2,3", VALUES(0, 1, 1, 1, 0, 2));

    begin(&b, 13);
    ob_number(&b, "a", 7); /* of no dimensions: seen as one of one element */
    ob_node(&b, "NonZero", "a", "c");
    expect_values(&b, "1,1", VALUES(0));

    begin(&b, 13);
    ob_list(&b, "a", "0,1,2,3,4,5");
    ob_list(&b, "sizes", "1,2,3");
    ob_node(&b, "Split", "a,sizes", "p,q,c");
    expect_values(&b, "3", VALUES(3, 4, 5));

    begin(&b, 13);
    ob_list(&b, "a", "1,2");
    ob_list(&b, "r", "3");
    ob_node(&b, "Tile", "a,r", "c");
    expect_values(&b, "6", VALUES(1, 2, 1, 2, 1, 2));
}

static void test_making_elements(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13);
    ob_number(&b, "from", 7);
    ob_number(&b, "to", 0);
    ob_number(&b, "by", -3);
    ob_node(&b, "Range", "from,to,by", "c");
    expect_values(&b, "3", VALUES(7, 4, 1));

    begin(&b, 13);
    ob_list(&b, "s", "2,2");
    ob_list(&b, "row", "5,-1");
    ob_list(&b, "zero", "0");
    ob_list(&b, "nine", "9");
    ob_node(&b, "Less", "row,zero", "cond");
    ob_node(&b, "Where", "cond,nine,row", "w");
    ob_node(&b, "Expand", "w,s", "c");
    expect_values(&b, "2,2", VALUES(5, 9, 5, 9));

    begin(&b, 13);
    ob_list(&b, "a", "2,3,4");
    ob_int(ob_node(&b, "ReduceProd", "a", "c"), "keepdims", 0);
    expect_values(&b, "", VALUES(24));
}

/* Shape, and its start and end, of a tensor that is known only at run time. */
static void test_shape(void **state)
{
    (void)state;
    static ob_model b;
    ob_begin(&b, 15);
    ob_input(&b, "x", 1, "1");
    ob_input(&b, "z", 1, "2,3,5,7");
    ob_output(&b, "y");
    Onnx__NodeProto *shape = ob_node(&b, "Shape", "z", "c");
    ob_int(shape, "start", -3);
    ob_int(shape, "end", -1);
    expect_values(&b, "2", VALUES(3, 5));
    ob_begin(&b, 15);
    ob_input(&b, "x", 1, "1");
    ob_input(&b, "z", 1, "2,3,5,7");
    ob_output(&b, "y");
    ob_node(&b, "Size", "z", "c");
    expect_values(&b, "", VALUES(210));
}

static void test_constant_forms(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13);
    ob_ints(ob_node(&b, "Constant", "", "c"), "value_ints", "3,-4");
    expect_values(&b, "2", VALUES(3, -4));
    begin(&b, 13);
    ob_int(ob_node(&b, "Constant", "", "c"), "value_int", 11);
    expect_values(&b, "", VALUES(11));
    begin(&b, 13);
    ob_float(ob_node(&b, "Constant", "", "c"), "value_float", 1.25f);
    expect_values(&b, "", VALUES(1.25));
    /* int8 numbers live in int32_data, float16 ones may be raw. */
    begin(&b, 13);
    Onnx__TensorProto *small = ob_tensor("c", ONNX__TENSOR_PROTO__DATA_TYPE__INT8, "2");
    int32_t numbers[2] = { -128, 127 };
    small->int32_data = numbers;
    small->n_int32_data = 2;
    b.tensors[b.graph.n_initializer++] = small;
    expect_values(&b, "2", VALUES(-128, 127));
    begin(&b, 13);
    const uint16_t halves[4] = { 0x3c00, 0xc000, 0x0001, 0x7bff };
    ob_raw(&b, "c", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16, "4", halves, sizeof halves);
    expect_values(&b, "4", VALUES(1, -2, 5.9604644775390625e-8, 65504));
}

static void test_what_is_computed_is_bounded(void **state)
{
    (void)state;
    static ob_model b;
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .max_bytes = 1 << 20 };
    begin(&b, 13);
    ob_list(&b, "s", "1000,1000");
    ob_node(&b, "ConstantOfShape", "s", "c");
    ob_node(&b, "Add", "x,c", "y");
    ob_fails(&b, &config, HSCHED_ERROR_LIMIT, "max_bytes");
    begin(&b, 13);
    ob_list(&b, "s", "4611686018427387904,4611686018427387904");
    ob_node(&b, "ConstantOfShape", "s", "c");
    ob_node(&b, "Add", "x,c", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_LIMIT, "max_bytes");
    begin(&b, 13);
    ob_number(&b, "from", 0);
    ob_number(&b, "to", INT64_MAX);
    ob_number(&b, "by", 1);
    ob_node(&b, "Range", "from,to,by", "c");
    ob_node(&b, "Reshape", "x,c", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "Range");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_arithmetic),
        cmocka_unit_test(test_division_by_zero_is_an_error),
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_moving_elements),
        cmocka_unit_test(test_making_elements),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_constant_forms),
        cmocka_unit_test(test_what_is_computed_is_bounded),
    };
    return cmocka_run_group_tests_name("onnx_fold", tests, NULL, NULL);
}
