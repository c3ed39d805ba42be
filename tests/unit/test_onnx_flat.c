/* Functions, ifs and loops of ONNX models, written out; what they compute is compared in
 * tests/conformance. */
#include "onnx_control.h"

#include "base/alloc.h"

static ob_model b, sub;

static void test_control(void **state)
{
    (void)state;
    ob_control(&b);
    hsched_graph *graph = ob_graph(&b, NULL);
    ob_expect(graph, "y", "2,3");
    ob_expect(graph, "all", "2,2,3");
    ob_expect(graph, "y/0/w", "2,3"); /* loop, iteration, what it is there */
    /* Each iteration is an activation and a sum; two unsqueezes and a concat collect. */
    assert_int_equal(hsched_graph_layer_count(graph), 7);
    hsched_graph_destroy(graph);
}

/* A name that inlining would make is taken. */
static void test_made_names_are_unique(void **state)
{
    (void)state;
    ob_begin(&b, 18);
    ob_input(&b, "x", 1, "2");
    ob_output(&b, "y");
    ob_subgraph(&sub, "", "");
    ob_node(&sub, "Neg", "a", "n");
    ob_node(&sub, "Exp", "n", "e");
    ob_function(&b, &sub, "f", "a", "e");
    ob_call(&b, "f", "x", "p");
    ob_node(&b, "Abs", "p", "p/n");
    ob_node(&b, "Sqrt", "p/n", "y");
    hsched_graph *graph = ob_graph(&b, NULL);
    ob_expect(graph, "p/n_2", "2");
    assert_int_equal(hsched_graph_layer_count(graph), 4);
    hsched_graph_destroy(graph);
}

/* 2^25 calls of a function without nodes: what they take is bounded, too. */
static void test_work_is_bounded(void **state)
{
    (void)state;
    static ob_model levels[7];
    char name[8], next[8];
    ob_begin(&b, 18);
    ob_input(&b, "x", 1, "2");
    ob_output(&b, "y");
    for (int k = 0; k < 7; k++) {
        ob_subgraph(&levels[k], "", "");
        snprintf(name, sizeof name, "f%d", k);
        snprintf(next, sizeof next, "f%d", k + 1);
        for (int i = 0; i < 30 && k < 6; i++) {
            char made[8];
            snprintf(made, sizeof made, "m%d", i);
            ob_call(&levels[k], next, "a", made);
        }
        ob_function(&b, &levels[k], name, "a", "a");
    }
    ob_call(&b, "f0", "x", "y");
    ob_fails(&b, NULL, HSCHED_ERROR_LIMIT, "simplify the model");
}

static void test_versions_of_functions(void **state)
{
    (void)state;
    static Onnx__OperatorSetIdProto older, unknown;
    static Onnx__OperatorSetIdProto *older_list[] = { &older },
                                    *unknown_list[] = { &unknown };
    onnx__operator_set_id_proto__init(&older);
    onnx__operator_set_id_proto__init(&unknown);
    older.has_version = unknown.has_version = 1;
    older.version = 6;
    unknown.version = 99;
    for (int k = 0; k < 2; k++) {
        ob_begin(&b, 18);
        ob_input(&b, "x", 1, "2,3,4");
        ob_output(&b, "y");
        ob_floats(&b, "c", "3");
        ob_subgraph(&sub, "", "");
        Onnx__NodeProto *add = ob_node(&sub, "Add", "p,q", "r");
        ob_int(add, "broadcast", 1);
        ob_int(add, "axis", 1);
        Onnx__FunctionProto *f = ob_function(&b, &sub, "old", "p,q", "r");
        f->n_opset_import = 1;
        f->opset_import = k ? unknown_list : older_list;
        ob_call(&b, "old", "x,c", "y");
        if (k) {
            ob_fails(&b, NULL, HSCHED_ERROR_UNSUPPORTED, "function of opset 99");
            continue;
        }
        hsched_graph *graph = ob_graph(&b, NULL);
        ob_expect(graph, "y", "2,3,4");
        hsched_graph_destroy(graph);
    }
}

static void test_wrong_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *inputs, *outputs, *text;
    } cases[] = {
        { "i,go", "go,w", "do not fit" },     { "i,go,v", "go", "do not fit" },
        { "i,go,v,v", "go,w", "do not fit" }, { "i,go,i", "go,w", "made twice" },
        { "i,go,w", "go,w", "made twice" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        ob_begin(&b, 18);
        ob_input(&b, "x", 1, "2");
        ob_output(&b, "y");
        ob_number(&b, "two", 2);
        ob_subgraph(&sub, cases[k].inputs, cases[k].outputs);
        ob_node(&sub, "Neg", "x", "w");
        ob_graph_attr(ob_node(&b, "Loop", "two,,x", "y"), "body", &sub);
        ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, cases[k].text);
    }
    ob_begin(&b, 18);
    ob_input(&b, "x", 1, "2");
    ob_output(&b, "y");
    ob_number(&b, "two", 2);
    ob_int(ob_node(&b, "Loop", "two,,x", "y"), "body", 3);
    ob_fails(&b, NULL, HSCHED_ERROR_FORMAT, "is no graph");
}

static void test_out_of_memory(void **state)
{
    (void)state;
    size_t size;
    ob_control(&b);
    void *bytes = ob_pack(&b, &size);
    hsched_graph *graph;
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
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_made_names_are_unique),
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_versions_of_functions),
        cmocka_unit_test(test_wrong_bodies),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("onnx_flat", tests, NULL, NULL);
}
