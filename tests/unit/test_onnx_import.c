/* ONNX models as graphs: operators, names, symbols, external data, and errors that say
 * what is wrong. */
#include "onnx_build.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "graph/graph.h"
#include "onnx/ops.h"

static const hsi_layer *layer_of(const hsched_graph *graph, const char *name)
{
    for (uint32_t k = 0; k < graph->layer_count; k++)
        if (strcmp(graph->layers[k].name, name) == 0)
            return &graph->layers[k];
    fail_msg("no layer '%s'", name);
    return NULL;
}

static void begin(ob_model *b, int64_t opset, const char *dims)
{
    ob_begin(b, opset);
    ob_input(b, "x", 1, dims);
    ob_output(b, "y");
}

/* ---- Operators ---- */

static void test_table_is_sorted(void **state)
{
    (void)state;
    static const char *const names[] = { "Abs", "LRN", "LeakyRelu", "PRelu",
                                         "Pad", "Xor", "Conv" };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const hsi_onnx_op *op = hsi_onnx_find_op(names[k]);
        assert_non_null(op);
        assert_string_equal(op->name, names[k]);
    }
    assert_null(hsi_onnx_find_op("Resized"));
    const hsi_onnx_op *conv = hsi_onnx_find_op("Conv");
    assert_true(hsi_onnx_knows_attr(conv, "group") &&
                hsi_onnx_knows_attr(conv, "strides"));
    assert_false(hsi_onnx_knows_attr(conv, "grou") || hsi_onnx_knows_attr(conv, ""));
    assert_false(hsi_onnx_knows_attr(conv, "pads strides"));
}

static void test_convolution(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 11, "1,4,9,10");
    ob_floats(&b, "w", "6,2,3,3");
    ob_floats(&b, "bias", "6");
    Onnx__NodeProto *conv = ob_node(&b, "Conv", "x,w,bias", "y");
    ob_int(conv, "group", 2);
    ob_ints(conv, "kernel_shape", "3,3");
    ob_ints(conv, "pads", "1,0,2,1");
    ob_ints(conv, "strides", "2,1");
    ob_ints(conv, "dilations", "1,2");
    hsched_graph *graph = ob_graph(&b, NULL);
    ob_expect(graph, "y", "1,6,5,7");
    const hsi_layer *layer = layer_of(graph, "y");
    assert_int_equal(layer->kind, HSI_LAYER_CONV2D);
    assert_int_equal(layer->attrs.conv2d.groups, 2);
    assert_int_equal(layer->attrs.conv2d.pads[2], 2);
    assert_int_equal(layer->attrs.conv2d.dilations[1], 2);
    hsched_tensor w = ob_expect(graph, "w", "6,2,3,3");
    const float *data = graph->tensors[w].data;
    for (int k = 0; k < 108; k++)
        assert_true(data[k] == (float)k + 0.5f);
    hsched_graph_destroy(graph);
}

/* y = alpha x B + beta C: transposition and factors are in the weights. */
static void test_gemm_folds_factors(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13, "1,2");
    ob_floats(&b, "B", "2,3"); /* 0.5 1.5 2.5 / 3.5 4.5 5.5 */
    ob_floats(&b, "C", "1,3"); /* 0.5 1.5 2.5 */
    Onnx__NodeProto *gemm = ob_node(&b, "Gemm", "x,B,C", "y");
    ob_float(gemm, "alpha", 2);
    ob_float(gemm, "beta", -1);
    hsched_graph *graph = ob_graph(&b, NULL);
    const hsi_layer *layer = layer_of(graph, "y");
    assert_int_equal(layer->kind, HSI_LAYER_FULLY_CONNECTED);
    const hsi_graph_tensor *w = &graph->tensors[layer->inputs[1]];
    static const float weights[6] = { 1, 7, 3, 9, 5, 11 },
                       bias[3] = { -0.5f, -1.5f, -2.5f };
    assert_int_equal(w->dims[0], 3);
    assert_memory_equal(w->data, weights, sizeof weights);
    assert_memory_equal(graph->tensors[layer->inputs[2]].data, bias, sizeof bias);
    hsched_graph_destroy(graph);
}

/* Clip's bounds and Softmax's meaning changed with the opset. */
static void test_opset_differences(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 10, "2,3,4");
    ob_float(ob_node(&b, "Clip", "x", "c"), "max", 6);
    ob_node(&b, "Softmax", "c", "y"); /* axis 1: rows of 12 */
    hsched_graph *graph = ob_graph(&b, NULL);
    assert_true(layer_of(graph, "c")->attrs.activation.b == 6);
    assert_int_equal(layer_of(graph, "y")->kind, HSI_LAYER_RESHAPE);
    assert_int_equal(graph->layer_count, 4);
    assert_int_equal(graph->tensors[graph->layers[2].output].dims[1], 12);
    hsched_graph_destroy(graph);
    begin(&b, 13, "2,3,4");
    float bound = 6;
    ob_raw(&b, "max", 1, "", &bound, sizeof bound);
    ob_node(&b, "Clip", "x,,max", "c");
    ob_node(&b, "Softmax", "c", "y"); /* the last axis */
    graph = ob_graph(&b, NULL);
    assert_true(layer_of(graph, "c")->attrs.activation.b == 6);
    assert_int_equal(layer_of(graph, "y")->attrs.softmax.axis, 2);
    assert_int_equal(graph->layer_count, 2);
    hsched_graph_destroy(graph);
}

/* Before opset 7 an operand could stand at an axis of the other, and training was the default. */
static void test_old_forms(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 6, "2,3,4");
    ob_floats(&b, "v", "3");
    Onnx__NodeProto *add = ob_node(&b, "Add", "x,v", "y");
    ob_int(add, "broadcast", 1);
    ob_int(add, "axis", 1);
    hsched_graph *graph = ob_graph(&b, NULL);
    const hsi_layer *layer = layer_of(graph, "y");
    const hsi_graph_tensor *v = &graph->tensors[layer->inputs[1]];
    assert_int_equal(v->rank, 2); /* [3,1], so that it is the second dimension's */
    assert_int_equal(v->dims[0], 3);
    assert_int_equal(v->dims[1], 1);
    hsched_graph_destroy(graph);

    begin(&b, 6, "2,3,4");
    ob_floats(&b, "v", "4");
    ob_node(&b, "Add", "x,v", "y"); /* without `broadcast` */
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "3 and 1 dimensions");

    begin(&b, 1, "2,3");
    ob_ints(ob_node(&b, "Relu", "x", "y"), "consumed_inputs", "0");
    hsched_graph_destroy(ob_graph(&b, NULL));
    begin(&b, 6, "2,3");
    ob_node(&b, "Dropout", "x", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "training mode");
    begin(&b, 6, "2,3");
    ob_int(ob_node(&b, "Dropout", "x", "y"), "is_test", 1);
    hsched_graph_destroy(ob_graph(&b, NULL));
}

static void test_repeating(void **state)
{
    (void)state;
    static ob_model b;
    const int64_t shape[] = { 4, 1, 3 }, repeats[] = { 3, 1 };
    begin(&b, 13, "2,1");
    ob_raw(&b, "s", 7, "3", shape, sizeof shape);
    ob_node(&b, "Expand", "x,s", "y");
    hsched_graph *graph = ob_graph(&b, NULL);
    const hsi_graph_tensor *y = &graph->tensors[layer_of(graph, "y")->output];
    assert_int_equal(y->rank, 3);
    assert_true(y->dims[0] == 4 && y->dims[1] == 2 && y->dims[2] == 3);
    hsched_graph_destroy(graph);

    begin(&b, 13, "2,5");
    ob_raw(&b, "r", 7, "2", repeats, sizeof repeats);
    ob_node(&b, "Tile", "x,r", "y");
    graph = ob_graph(&b, NULL);
    y = &graph->tensors[layer_of(graph, "y")->output];
    assert_true(y->rank == 2 && y->dims[0] == 6 && y->dims[1] == 5);
    hsched_graph_destroy(graph);

    const int64_t wrong[] = { 3, 2 };
    begin(&b, 13, "2,5");
    ob_raw(&b, "s", 7, "2", wrong, sizeof wrong);
    ob_node(&b, "Expand", "x,s", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_SHAPE, "neither 1 nor");
}

/* Aliases cost no layer, except where an output's own name needs one. */
static void test_identities(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13, "2,3");
    ob_output(&b, "z");
    ob_node(&b, "Relu", "x", "a");
    ob_node(&b, "Identity", "a", "i");
    ob_node(&b, "Dropout", "i", "d");
    ob_int(ob_node(&b, "Cast", "d", "k"), "to", 1);
    ob_node(&b, "Abs", "k", "y");
    ob_node(&b, "Identity", "k", "z");
    hsched_graph *graph = ob_graph(&b, NULL);
    assert_int_equal(graph->layer_count, 3);
    assert_int_equal(layer_of(graph, "y")->inputs[0], layer_of(graph, "a")->output);
    assert_int_equal(graph->output_count, 2);
    assert_string_equal(graph->tensors[graph->outputs[1]].name, "z");
    hsched_graph_destroy(graph);
}

static void test_order_does_not_matter(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13, "2,3");
    ob_node(&b, "Neg", "b", "y");
    ob_node(&b, "Abs", "a", "b");
    ob_node(&b, "Relu", "x", "a");
    ob_node(&b, "NotAnOperator", "a", "unused"); /* nobody needs it */
    hsched_graph *graph = ob_graph(&b, NULL);
    assert_int_equal(graph->layer_count, 3);
    assert_string_equal(graph->layers[0].name, "a");
    assert_string_equal(graph->layers[2].name, "y");
    hsched_graph_destroy(graph);
}

/* Weights are used where they lie; only if they lie unaligned, they are copied. */
static void test_weights_are_not_copied(void **state)
{
    (void)state;
    static ob_model b;
    size_t size;
    begin(&b, 13, "4");
    ob_floats(&b, "w", "4");
    ob_node(&b, "Add", "x,w", "y");
    const unsigned char *packed = ob_pack(&b, &size);
    int borrowed = 0;
    for (size_t shift = 0; shift < 4; shift++) {
        unsigned char *bytes = (unsigned char *)ob_alloc(size + 4) + shift;
        memcpy(bytes, packed, size);
        hsched_graph *graph;
        assert_int_equal(hsched_graph_parse_onnx(bytes, size, NULL, &graph), HSCHED_OK);
        const hsi_graph_tensor *w = &graph->tensors[ob_expect(graph, "w", "4")];
        const unsigned char *data = w->data;
        int inside = data >= bytes && data < bytes + size;
        assert_int_equal(inside, !w->owns_data);
        assert_int_equal((uintptr_t)data % sizeof(float), 0);
        assert_true(((const float *)w->data)[3] == 3.5f);
        borrowed += inside;
        hsched_graph_destroy(graph);
    }
    assert_int_equal(borrowed, 1);
}

/* ---- Symbols ---- */

static char logged[4096];

static void keep_log(void *user, hsched_log_level level, const char *message)
{
    (void)user;
    (void)level;
    strncat(logged, message, sizeof logged - strlen(logged) - 1);
    strncat(logged, "\n", sizeof logged - strlen(logged) - 1);
}

static void test_symbols(void **state)
{
    (void)state;
    static ob_model b;
    hsched_symbol four = { "N", 4 };
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .symbols = &four,
                                  .symbol_count = 1 };
    begin(&b, 13, "N,3,?,-1");
    ob_node(&b, "Relu", "x", "y");
    logged[0] = 0;
    hsched_log_set(keep_log, NULL, HSCHED_LOG_INFO);
    hsched_graph *graph = ob_graph(&b, &config);
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
    ob_expect(graph, "y", "4,3,1,1");
    assert_non_null(strstr(logged, "'x_dim2' was not set"));
    assert_non_null(strstr(logged, "'x_dim3' was not set"));
    assert_null(strstr(logged, "'N'"));
    assert_int_equal(graph->symbol_count, 3);
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    assert_int_equal(hsched_graph_tensor_info(graph, hsched_graph_input(graph, 0), &info),
                     0);
    assert_string_equal(info.symbols[0], "N");
    assert_null(info.symbols[1]);
    hsched_graph_destroy(graph);
    four.name = "M";
    ob_fails(&b, &config, HSCHED_ERROR_NOT_FOUND, "'M'");
    four = (hsched_symbol){ "N", -1 };
    ob_fails(&b, &config, HSCHED_ERROR_INVALID_ARGUMENT, "symbols[0]");
    four = (hsched_symbol){ "N", 0 };
    graph = ob_graph(&b, &config);
    ob_expect(graph, "y", "0,3,1,1");
    assert_int_equal(hsched_graph_input_count(graph), 0);
    hsched_graph_destroy(graph);
}

/* An input of no elements is none of the graph; what nothing is computed of is left out, but for an
 * output, of which no layer can be made. */
static void test_no_elements(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13, "1,0,8,8");
    ob_node(&b, "Relu", "x", "y");
    hsched_graph *graph = ob_graph(&b, NULL);
    ob_expect(graph, "y", "1,0,8,8");
    hsched_tensor y = hsched_graph_output(graph, 0);
    assert_int_equal(hsched_graph_add_flatten(graph, "z", y, 1, &y), HSCHED_ERROR_SHAPE);
    assert_non_null(strstr(hsched_error_detail(), "no elements"));
    hsched_graph_destroy(graph);
    begin(&b, 13, "2,3");
    ob_input(&b, "past", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, "2,P");
    ob_node(&b, "Relu", "past", "r");
    ob_int(ob_node(&b, "Concat", "r,x", "y"), "axis", 1);
    hsched_symbol past = { "P", 0 };
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .symbols = &past,
                                  .symbol_count = 1 };
    graph = ob_graph(&b, &config);
    ob_expect(graph, "y", "2,3");
    assert_int_equal(hsched_graph_input_count(graph), 1);
    assert_int_equal(graph->symbol_count, 0);
    hsched_graph_destroy(graph);
}

/* x and a slice of it that has no elements, joined: `along` which axis it has none. */
static void build_empty_slice(ob_model *b, int along)
{
    begin(b, 13, "N,4");
    ob_list(b, "from", along ? "2" : "3");
    ob_list(b, "to", along ? "2" : "9");
    ob_list(b, "axes", along ? "1" : "0");
    ob_node(b, "Slice", "x,from,to,axes", "none");
    ob_int(ob_node(b, "Concat", "none,x", "y"), "axis", along);
}

static void test_no_elements_pin_what_they_depend_on(void **state)
{
    (void)state;
    static ob_model b;
    hsched_symbol two = { "N", 2 }, six = { "N", 6 };
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .symbols = &two,
                                  .symbol_count = 1 };
    hsched_graph *other;
    build_empty_slice(&b, 1);
    hsched_graph *graph = ob_graph(&b, &config);
    ob_expect(graph, "y", "2,4");
    assert_int_equal(hsi_graph_specialise(graph, &six, 1, &other), HSCHED_OK);
    ob_expect(other, "y", "6,4");
    hsched_graph_destroy(other);
    hsched_graph_destroy(graph);
    build_empty_slice(&b, 0); /* of 6 rows it would have 3 */
    graph = ob_graph(&b, &config);
    ob_expect(graph, "y", "2,4");
    assert_int_equal(graph->symbol_count, 0);
    hsched_graph_destroy(graph);
    build_empty_slice(&b, 1); /* its shape is looked at */
    ob_node(&b, "Shape", "none", "s");
    ob_output(&b, "s");
    graph = ob_graph(&b, &config);
    assert_int_equal(graph->symbol_count, 0);
    hsched_graph_destroy(graph);
}

/* x.view(x.size(0), -1), as exporters write it: the batch stays a symbol. */
static void build_view(ob_model *b, const char *dims, int with_product)
{
    begin(b, 13, dims);
    ob_list(b, "rest", "-1");
    ob_list(b, "zero", "0");
    ob_list(b, "two", "2");
    ob_node(b, "Relu", "x", "r");
    ob_node(b, "Shape", "r", "s");
    ob_node(b, "Gather", "s,zero", "n");
    ob_node(b, "Gather", "s,two", "h");
    ob_node(b, with_product ? "Mul" : "Max", "n,h", "nh");
    ob_int(ob_node(b, "Concat", with_product ? "nh,rest" : "n,rest", "c"), "axis", 0);
    ob_node(b, "Reshape", "r,c", "y");
}

static void test_shapes_stay_symbolic(void **state)
{
    (void)state;
    static ob_model b;
    build_view(&b, "N,3,5,7", 0);
    hsched_graph *graph = ob_graph(&b, NULL), *other;
    ob_expect(graph, "y", "1,105");
    hsched_symbol six = { "N", 6 };
    assert_int_equal(hsi_graph_specialise(graph, &six, 1, &other), HSCHED_OK);
    ob_expect(other, "y", "6,105");
    hsched_graph_destroy(other);
    hsched_graph_destroy(graph);
}

/* A product of two sizes cannot stay symbolic: both become numbers, and say so. */
static void test_symbols_are_pinned(void **state)
{
    (void)state;
    static ob_model b;
    hsched_symbol values[] = { { "N", 2 }, { "H", 5 } };
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .symbols = values,
                                  .symbol_count = 2 };
    build_view(&b, "N,3,H,W", 1);
    logged[0] = 0;
    hsched_log_set(keep_log, NULL, HSCHED_LOG_INFO);
    hsched_graph *graph = ob_graph(&b, &config), *other;
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
    ob_expect(graph, "y", "10,3");
    assert_non_null(strstr(logged, "'N' is fixed at 2"));
    assert_non_null(strstr(logged, "'H' is fixed at 5"));
    assert_null(strstr(logged, "'W' is fixed"));
    assert_int_equal(graph->symbol_count, 1);
    hsched_symbol wide = { "W", 8 };
    assert_int_equal(hsi_graph_specialise(graph, &wide, 1, &other), HSCHED_OK);
    ob_expect(other, "y", "10,24");
    hsched_graph_destroy(other);
    hsched_graph_destroy(graph);
}

/* Places that are given from the end are those of another size, too. */
static void test_places_from_the_end(void **state)
{
    (void)state;
    static ob_model b;
    static const int64_t starts[] = { 6, 0, 5 };
    begin(&b, 13, "N,3");
    ob_list(&b, "places", "-1,0,-2");
    ob_int(ob_node(&b, "Gather", "x,places", "y"), "axis", 0);
    hsched_symbol four = { "N", 4 }, seven = { "N", 7 };
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .symbols = &four,
                                  .symbol_count = 1 };
    hsched_graph *graph = ob_graph(&b, &config), *other;
    assert_int_equal(hsi_graph_specialise(graph, &seven, 1, &other), HSCHED_OK);
    ob_expect(other, "y", "3,3");
    const hsi_layer *joined = layer_of(other, "y");
    assert_int_equal(joined->input_count, 3);
    for (uint32_t k = 0; k < 3; k++) {
        const hsi_layer *pick =
            &other->layers[other->tensors[joined->inputs[k]].producer];
        assert_int_equal(pick->attrs.slice.starts[0], starts[k]);
    }
    hsched_graph_destroy(other);
    hsched_graph_destroy(graph);
}

/* A scale that depends on the sizes of several dimensions makes them numbers. */
static void test_aspect_pins_symbols(void **state)
{
    (void)state;
    static ob_model b;
    static const char *const policies[] = { "stretch", "not_larger" };
    hsched_symbol values[] = { { "H", 4 }, { "W", 6 } };
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .symbols = values,
                                  .symbol_count = 2 };
    for (uint32_t k = 0; k < 2; k++) {
        begin(&b, 18, "1,3,H,W");
        ob_list(&b, "sizes", "7,5");
        Onnx__NodeProto *node = ob_node(&b, "Resize", "x,,,sizes", "y");
        ob_ints(node, "axes", "2,3");
        ob_string(node, "keep_aspect_ratio_policy", policies[k]);
        hsched_graph *graph = ob_graph(&b, &config);
        ob_expect(graph, "y", k ? "1,3,3,5" : "1,3,7,5");
        assert_int_equal(graph->symbol_count, k ? 0 : 2);
        hsched_graph_destroy(graph);
    }
}

/* ---- What is not supported is listed in one error ---- */

static void test_unsupported_is_listed(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13, "1,3,8,8");
    ob_output(&b, "z");
    ob_floats(&b, "w", "1,3,1");
    ob_list(&b, "one", "1");
    ob_node(&b, "MaxRoiPool", "x", "a")->name = ob_text("up1", 3);
    ob_node(&b, "MaxRoiPool", "a", "b")->name = ob_text("up2", 3);
    ob_node(&b, "Relu", "b", "c");
    ob_node(&b, "TfIdfVectorizer", "c", "y");
    ob_node(&b, "Squeeze", "x", "v")->domain = ob_text("com.example", 11);
    ob_node(&b, "Unsqueeze", "v,one", "u");
    ob_int(ob_node(&b, "Relu", "x", "p"), "alpha", 1);
    ob_node(&b, "Sum", "u,p,y", "z");
    hsched_graph *graph;
    assert_int_equal(ob_parse(&b, NULL, &graph), HSCHED_ERROR_UNSUPPORTED);
    const char *detail = hsched_error_detail();
    assert_non_null(strstr(detail, "MaxRoiPool (opset 13); nodes 'up1', 'up2'"));
    assert_non_null(strstr(detail, "TfIdfVectorizer (opset 13); node 'y'"));
    assert_non_null(strstr(detail, "Squeeze (com.example opset 0); node 'v'"));
    assert_non_null(strstr(detail, "Relu (opset 13): attribute 'alpha'; node 'p'"));
    assert_null(strstr(detail, "Unsqueeze"));
    assert_null(strstr(detail, "Sum"));
}

static void test_the_list_is_bounded(void **state)
{
    (void)state;
    static ob_model b;
    char op[40], out[8], in[8];
    begin(&b, 13, "1");
    for (int k = 0; k < 60; k++) {
        snprintf(op, sizeof op, "AnOperatorWithQuiteALongName%d", k);
        snprintf(in, sizeof in, k ? "t%d" : "x", k - 1);
        snprintf(out, sizeof out, k < 59 ? "t%d" : "y", k);
        ob_node(&b, op, in, out)->name =
            ob_text("a node with a name that is not short", 36);
    }
    ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "and others");
    assert_non_null(strstr(hsched_error_detail(), "replace them"));
}

static void test_reasons(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13, "3,8");
    ob_floats(&b, "w", "4,3,3");
    ob_node(&b, "Conv", "x,w", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "2 dimensions");
    begin(&b, 13, "1,3,8,8");
    ob_input(&b, "s", 7, "2");
    ob_node(&b, "Reshape", "x,s", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "run time");
    begin(&b, 13, "1,3,8,8");
    ob_raw(&b, "w", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16, "1,3,1,1", "\0\0\0\0\0\0", 6);
    ob_node(&b, "Conv", "x,w", "y")->name = ob_text("half", 4);
    ob_fails(&b, NULL, HSCHED_ERROR_SHAPE, "float16");
    assert_non_null(strstr(hsched_error_detail(), "'half'"));
    begin(&b, 13, "1,3,8,8");
    ob_node(&b, "MaxPool", "x", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "kernel_shape");
    begin(&b, 13, "1,6,4"); /* rows that stand for no box would be read */
    ob_input(&b, "s", 1, "1,2,6");
    ob_list(&b, "most", "3");
    ob_node(&b, "NonMaxSuppression", "x,s,most", "rows");
    ob_node(&b, "Abs", "rows", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "goes into Abs");
}

static void test_opsets(void **state)
{
    (void)state;
    static ob_model b;
    static const int64_t refused[] = { -1, 29, INT64_MAX };
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) {
        begin(&b, refused[k], "1");
        ob_node(&b, "Relu", "x", "y");
        ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "opsets 1 to 28");
    }
    for (int64_t opset = 1; opset <= 28; opset++) {
        begin(&b, opset, "1");
        ob_node(&b, "Relu", "x", "y")->domain = ob_text("ai.onnx", 7);
        hsched_graph_destroy(ob_graph(&b, NULL));
    }
    begin(&b, 13, "1");
    ob_node(&b, "Gelu", "x", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "opset 20 and later");
    begin(&b, 13, "1");
    ob_node(&b, "Relu", "x", "y");
    b.model.n_opset_import = 0;
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "does not say which opset");
}

/* ---- Malformed models ---- */

static void test_wrong_graphs(void **state)
{
    (void)state;
    static ob_model b;
    begin(&b, 13, "1");
    ob_node(&b, "Add", "x,b", "a");
    ob_node(&b, "Relu", "a", "b")->name = ob_text("loop", 4);
    ob_node(&b, "Neg", "b", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "cycle");
    begin(&b, 13, "1");
    ob_node(&b, "Add", "x,nowhere", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "'nowhere'");
    begin(&b, 13, "1");
    ob_node(&b, "Relu", "x", "z");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "output 0 of the model ('y')");
    begin(&b, 13, "1");
    ob_node(&b, "Relu", "x", "y");
    ob_node(&b, "Abs", "x", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "written once");
    begin(&b, 13, "1");
    ob_node(&b, "Relu", "x", "x");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "written once");
    begin(&b, 13, "1");
    ob_input(&b, "x", 1, "2");
    ob_node(&b, "Relu", "x", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "input 'x'");
    begin(&b, 13, "1");
    ob_floats(&b, "w", "1");
    ob_floats(&b, "w", "1");
    ob_node(&b, "Relu", "x", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "initializer 'w'");
    begin(&b, 13, "1");
    ob_output(&b, "y");
    ob_node(&b, "Relu", "x", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "listed twice");
    begin(&b, 13, "1");
    b.graph.n_output = 0;
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "no outputs");
    begin(&b, 13, "1");
    b.model.graph = NULL;
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "no graph");
}

static void test_wrong_tensors(void **state)
{
    (void)state;
    static ob_model b;
    float value[4] = { 0 };
    begin(&b, 13, "2");
    ob_raw(&b, "w", 1, "3", value, 8);
    ob_node(&b, "Add", "x,w", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "needs 12 bytes, but has 8");
    assert_non_null(strstr(hsched_error_detail(), "offset"));
    begin(&b, 13, "2");
    ob_raw(&b, "w", 1, "-2", value, 8);
    ob_node(&b, "Add", "x,w", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "'w'");
    begin(&b, 13, "2");
    ob_raw(&b, "w", 1, "0", value, 0);
    ob_node(&b, "Add", "x,w", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_SHAPE, "[2] and [0] do not broadcast");
    begin(&b, 13, "2");
    ob_raw(&b, "w", 1, "4611686018427387904,4611686018427387904", value, 8);
    ob_node(&b, "Add", "x,w", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_LIMIT, "'w'");
    begin(&b, 13, "2");
    ob_raw(&b, "w", 1, "1,1,1,1,1,1,1,1,1", value, 4);
    ob_node(&b, "Add", "x,w", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "9 dimensions");
    begin(&b, 13, "2");
    ob_raw(&b, "w", ONNX__TENSOR_PROTO__DATA_TYPE__STRING, "1", value, 4);
    ob_node(&b, "Add", "x,w", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "STRING");
    begin(&b, 13, "9223372036854775807,9223372036854775807");
    ob_node(&b, "Relu", "x", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_LIMIT, "'x'");
    begin(&b, 13, "2");
    ob_floats(&b, "w", "3");
    ob_node(&b, "Add", "x,w", "y")->name = ob_text("sum", 3);
    ob_fails(&b, NULL, HSCHED_ERROR_SHAPE, "node 'sum' (Add)");
}

/* Numbers at the ends of their range. */
static void test_extreme_attributes(void **state)
{
    (void)state;
    static ob_model b;
    static const char *const pads[] = { "-9223372036854775808,0",
                                        "0,-9223372036854775808", "-3,0" };
    for (size_t k = 0; k < sizeof pads / sizeof *pads; k++) {
        begin(&b, 13, "2");
        ob_list(&b, "p", pads[k]);
        ob_node(&b, "Pad", "x,p", "y");
        ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "takes more than dimension 0");
    }
    begin(&b, 13, "2");
    ob_int(ob_node(&b, "Softmax", "x", "y"), "axis", INT64_MIN);
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "axis");
    begin(&b, 13, "2");
    ob_number(&b, "i", INT64_MIN);
    ob_node(&b, "Gather", "x,i", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "index");
    begin(&b, 13, "1,1,4,4");
    Onnx__NodeProto *pool = ob_node(&b, "MaxPool", "x", "y");
    ob_ints(pool, "kernel_shape", "2,2");
    ob_ints(pool, "strides",
            "0,1"); /* not the default, although the graph takes 0 for it */
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "'strides' is not positive");
}

/* ---- Files ---- */

static char folder[] = "/tmp/hsched-onnx-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void entry(Onnx__TensorProto *tensor, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = ob_alloc(sizeof *e);
    onnx__string_string_entry_proto__init(e);
    e->key = ob_text(key, strlen(key));
    e->value = ob_text(value, strlen(value));
    if (!tensor->external_data)
        tensor->external_data = ob_alloc(4 * sizeof e);
    tensor->external_data[tensor->n_external_data++] = e;
}

/* y = x + w, w [4] outside, written to the folder as m.onnx. */
static hsched_status load_external(ob_model *b, const char *location, const char *offset,
                                   const char *length, int allow, hsched_graph **graph)
{
    size_t size;
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .allow_external_data = allow };
    begin(b, 13, "4");
    Onnx__TensorProto *w = ob_tensor("w", 1, "4");
    w->has_data_location = 1;
    w->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    entry(w, "location", location);
    if (offset)
        entry(w, "offset", offset);
    if (length)
        entry(w, "length", length);
    b->tensors[b->graph.n_initializer++] = w;
    ob_node(b, "Add", "x,w", "y");
    void *bytes = ob_pack(b, &size);
    write_file("m.onnx", bytes, size);
    return hsched_graph_load_onnx(in_folder("m.onnx"), &config, graph);
}

static void expect_external(const char *location, const char *offset, const char *length,
                            hsched_status expected, const char *text)
{
    static ob_model b;
    hsched_graph *graph;
    assert_int_equal(load_external(&b, location, offset, length, 1, &graph), expected);
    if (expected) {
        assert_null(graph);
        assert_non_null(strstr(hsched_error_detail(), text));
        assert_non_null(strstr(hsched_error_detail(), "m.onnx"));
        return;
    }
    const hsi_graph_tensor *w = &graph->tensors[ob_expect(graph, "w", "4")];
    const float *data = w->data;
    assert_true(data[0] == 1 && data[3] == 4);
    hsched_graph_destroy(graph);
}

static void test_external_data(void **state)
{
    (void)state;
    static ob_model b;
    hsched_graph *graph;
    float data[6] = { 9, 1, 2, 3, 4, 9 };
    write_file("w.bin", data, sizeof data);
    assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
    write_file("sub/w.bin", data, sizeof data);
    assert_int_equal(symlink("w.bin", in_folder("link.bin")), 0);
    assert_int_equal(symlink("/tmp", in_folder("out")), 0);
    expect_external("w.bin", "4", "16", HSCHED_OK, NULL);
    expect_external("w.bin", "4", NULL, HSCHED_OK, NULL);
    expect_external("./sub//w.bin", "4", "16", HSCHED_OK, NULL);
    expect_external("w.bin", "12", "16", HSCHED_ERROR_FORMAT, "which has only 24");
    expect_external("w.bin", "18446744073709551615", NULL, HSCHED_ERROR_FORMAT,
                    "only 24");
    expect_external("w.bin", "4", "12", HSCHED_ERROR_FORMAT, "another length");
    expect_external("w.bin", "-4", "16", HSCHED_ERROR_FORMAT, "no number");
    expect_external("w.bin", "99999999999999999999", "16", HSCHED_ERROR_FORMAT,
                    "no number");
    expect_external("none.bin", "0", "16", HSCHED_ERROR_IO, "none.bin");
    expect_external("../w.bin", "4", "16", HSCHED_ERROR_FORMAT,
                    "inside the model's folder");
    expect_external("sub/../w.bin", "4", "16", HSCHED_ERROR_FORMAT,
                    "inside the model's folder");
    expect_external("sub/..", "4", "16", HSCHED_ERROR_FORMAT,
                    "inside the model's folder");
    expect_external(in_folder("w.bin"), "4", "16", HSCHED_ERROR_FORMAT, "absolute");
    expect_external("", "4", "16", HSCHED_ERROR_FORMAT, "no name");
    expect_external("sub", "4", "16", HSCHED_ERROR_IO, "not a regular file");
    expect_external("link.bin", "4", "16", HSCHED_ERROR_FORMAT, "symbolic link");
    expect_external("out/x", "4", "16", HSCHED_ERROR_FORMAT, "symbolic link");
    assert_int_equal(load_external(&b, "w.bin", "4", "16", 0, &graph),
                     HSCHED_ERROR_UNSUPPORTED);
    assert_non_null(strstr(hsched_error_detail(), "allow_external_data"));
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .allow_external_data = 1 };
    ob_fails(&b, &config, HSCHED_ERROR_UNSUPPORTED, "no folder");
    static const char *const names[] = { "w.bin", "sub/w.bin", "link.bin", "out",
                                         "m.onnx" };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        assert_int_equal(unlink(in_folder(names[k])), 0);
    assert_int_equal(rmdir(in_folder("sub")), 0);
}

static void test_files(void **state)
{
    (void)state;
    static ob_model b;
    hsched_graph *graph = (hsched_graph *)1;
    assert_int_equal(hsched_graph_load_onnx(in_folder("none.onnx"), NULL, &graph),
                     HSCHED_ERROR_IO);
    assert_null(graph);
    assert_int_equal(hsched_graph_load_onnx(folder, NULL, &graph), HSCHED_ERROR_IO);
    write_file("m.onnx", "", 0);
    assert_int_equal(hsched_graph_load_onnx(in_folder("m.onnx"), NULL, &graph),
                     HSCHED_ERROR_FORMAT);
    assert_non_null(strstr(hsched_error_detail(), "m.onnx: the model is empty"));
    assert_int_equal(hsched_graph_load_onnx(NULL, NULL, &graph),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    assert_int_equal(hsched_graph_parse_onnx("", 0, NULL, NULL),
                     HSCHED_ERROR_INVALID_ARGUMENT);
    /* The graph works on after the file is gone. */
    size_t size;
    begin(&b, 13, "4");
    ob_floats(&b, "w", "4");
    ob_node(&b, "Add", "x,w", "y");
    void *bytes = ob_pack(&b, &size);
    write_file("m.onnx", bytes, size);
    assert_int_equal(hsched_graph_load_onnx(in_folder("m.onnx"), NULL, &graph),
                     HSCHED_OK);
    assert_int_equal(unlink(in_folder("m.onnx")), 0);
    memset(bytes, 0, size);
    const hsi_graph_tensor *w = &graph->tensors[ob_expect(graph, "w", "4")];
    assert_true(((const float *)w->data)[2] == 2.5f);
    hsched_graph_destroy(graph);
}

/* Whichever allocation fails, the import fails cleanly. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static ob_model b;
    size_t size;
    build_view(&b, "N,3,H,7", 1);
    void *bytes = ob_pack(&b, &size);
    hsched_graph *graph;
    assert_int_equal(hsched_graph_parse_onnx(bytes, size, NULL, &graph), HSCHED_OK);
    hsched_graph_destroy(graph);
    uint64_t before = hsi_alloc_bytes(), failures = 0;
    hsched_status status = HSCHED_ERROR_OUT_OF_MEMORY;
    for (uint64_t k = 1; status; k++) {
        assert_true(k < 10000);
        hsi_alloc_fail_after(k);
        status = hsched_graph_parse_onnx(bytes, size, NULL, &graph);
        hsi_alloc_fail_after(0);
        assert_true(status == HSCHED_OK || status == HSCHED_ERROR_OUT_OF_MEMORY);
        hsched_graph_destroy(graph);
        assert_int_equal(hsi_alloc_bytes(), before);
        failures += status != HSCHED_OK;
    }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sorted),
        cmocka_unit_test(test_convolution),
        cmocka_unit_test(test_gemm_folds_factors),
        cmocka_unit_test(test_opset_differences),
        cmocka_unit_test(test_old_forms),
        cmocka_unit_test(test_repeating),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_weights_are_not_copied),
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_no_elements),
        cmocka_unit_test(test_no_elements_pin_what_they_depend_on),
        cmocka_unit_test(test_shapes_stay_symbolic),
        cmocka_unit_test(test_symbols_are_pinned),
        cmocka_unit_test(test_places_from_the_end),
        cmocka_unit_test(test_aspect_pins_symbols),
        cmocka_unit_test(test_unsupported_is_listed),
        cmocka_unit_test(test_the_list_is_bounded),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_opsets),
        cmocka_unit_test(test_wrong_graphs),
        cmocka_unit_test(test_wrong_tensors),
        cmocka_unit_test(test_extreme_attributes),
        cmocka_unit_test(test_external_data),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("onnx_import", tests, make_folder, remove_folder);
}
