/* The walk over the wire format: what it keeps, where weights lie, what it refuses and
 * where. */
#include "onnx_build.h"

#include "base/alloc.h"
#include "onnx/scan.h"

/* A field of `number` with `size` bytes in front of what is in `at` already, which grows
 * backwards. */
typedef struct tail {
    unsigned char bytes[1 << 16];
    size_t start;
} tail;

static void push(tail *t, unsigned char byte)
{
    assert_true(t->start > 0);
    t->bytes[--t->start] = byte;
}

static void push_varint(tail *t, size_t value)
{
    unsigned char digits[10];
    int n = 0;
    do {
        digits[n++] = value & 0x7f;
        value >>= 7;
    } while (value);
    for (int k = n - 1; k >= 0; k--)
        push(t, digits[k] | (k < n - 1 ? 0x80 : 0));
}

static void wrap(tail *t, unsigned number)
{
    push_varint(t, sizeof t->bytes - t->start);
    push_varint(t, number << 3 | 2);
}

static void expect_error(const void *data, size_t size, hsched_status expected,
                         const char *text)
{
    hsi_onnx_scan scan;
    hsched_status status = hsi_onnx_scan_model(data, size, &scan);
    assert_int_equal(status, expected);
    if (!strstr(hsched_error_detail(), text))
        print_message("got: %s\nwanted: %s\n", hsched_error_detail(), text);
    assert_non_null(strstr(hsched_error_detail(), text));
    assert_null(scan.skeleton);
    assert_null(scan.raws);
}

static void test_weights_are_found_in_place(void **state)
{
    (void)state;
    static ob_model b;
    size_t size;
    ob_begin(&b, 13);
    float a[3] = { 1, 2, 3 };
    int64_t c[2] = { 7, 8 };
    ob_raw(&b, "a", 1, "3", a, sizeof a);
    ob_raw(&b, "c", 7, "2", c, sizeof c);
    b.model.doc_string = ob_text("not kept", 8);
    unsigned char *bytes = ob_pack(&b, &size);
    hsi_onnx_scan scan;
    assert_int_equal(hsi_onnx_scan_model(bytes, size, &scan), HSCHED_OK);
    assert_int_equal(scan.raw_count, 2);
    assert_int_equal(scan.raws[0].size, sizeof a);
    assert_memory_equal(bytes + scan.raws[0].offset, a, sizeof a);
    assert_int_equal(scan.raws[1].size, sizeof c);
    assert_memory_equal(bytes + scan.raws[1].offset, c, sizeof c);
    Onnx__ModelProto *model =
        onnx__model_proto__unpack(NULL, scan.skeleton_size, scan.skeleton);
    assert_non_null(model);
    assert_null(model->doc_string);
    assert_int_equal(model->graph->n_initializer, 2);
    assert_string_equal(model->graph->initializer[1]->name, "c");
    assert_int_equal(model->graph->initializer[1]->raw_data.len, HSI_ONNX_RAW_INDEX_SIZE);
    assert_int_equal(model->graph->initializer[1]->raw_data.data[0], 1);
    assert_int_equal(model->opset_import[0]->version, 13);
    onnx__model_proto__free_unpacked(model, NULL);
    hsi_onnx_scan_free(&scan);
}

/* Everything but raw_data, unknown fields and documentation comes through unchanged. */
static void test_skeleton_is_the_same_model(void **state)
{
    (void)state;
    static ob_model b;
    size_t size;
    ob_begin(&b, 9);
    ob_input(&b, "x", 1, "N,3,?,8");
    ob_output(&b, "y");
    Onnx__NodeProto *node = ob_node(&b, "Op", "x,,w", "y");
    ob_ints(node, "pads", "1,-2,9223372036854775807,-9223372036854775808");
    ob_float(node, "alpha", 0.25f);
    ob_string(node, "mode", "edge");
    ob_list(&b, "w", "5,-6,7");
    void *bytes = ob_pack(&b, &size);
    hsi_onnx_scan scan;
    assert_int_equal(hsi_onnx_scan_model(bytes, size, &scan), HSCHED_OK);
    Onnx__ModelProto *model =
        onnx__model_proto__unpack(NULL, scan.skeleton_size, scan.skeleton);
    assert_non_null(model);
    assert_int_equal(onnx__model_proto__get_packed_size(model), size);
    void *again = ob_alloc(size);
    onnx__model_proto__pack(model, again);
    assert_memory_equal(again, bytes, size);
    onnx__model_proto__free_unpacked(model, NULL);
    hsi_onnx_scan_free(&scan);
}

/* Every prefix of a model is an error or a shorter model, never a read beyond its end. */
static void test_truncation(void **state)
{
    (void)state;
    static ob_model b;
    size_t size, refused = 0;
    ob_begin(&b, 13);
    ob_input(&b, "x", 1, "1,3");
    ob_node(&b, "Relu", "x", "y");
    ob_floats(&b, "w", "2,2");
    ob_output(&b, "y");
    unsigned char *bytes = ob_pack(&b, &size);
    for (size_t k = 0; k < size; k++) {
        unsigned char *exact = malloc(k ? k : 1);
        assert_non_null(exact);
        memcpy(exact, bytes, k);
        hsi_onnx_scan scan;
        hsched_status status = hsi_onnx_scan_model(exact, k, &scan);
        assert_true(status == HSCHED_OK || status == HSCHED_ERROR_FORMAT);
        refused += status != HSCHED_OK;
        if (!status)
            hsi_onnx_scan_free(&scan);
        free(exact);
    }
    assert_true(refused > size / 2);
}

/* Subgraphs in attributes in nodes in graphs: 3000 levels make protobuf-c 1.4.1 overflow
 * its stack. */
static void test_depth(void **state)
{
    (void)state;
    static tail t;
    t.start = sizeof t.bytes;
    for (int k = 0; k < 3000; k++) {
        wrap(&t, 6); /* AttributeProto.g */
        wrap(&t, 5); /* NodeProto.attribute */
        wrap(&t, 1); /* GraphProto.node */
    }
    wrap(&t, 7); /* ModelProto.graph */
    expect_error(t.bytes + t.start, sizeof t.bytes - t.start, HSCHED_ERROR_FORMAT,
                 "nested too deeply");
    /* A model as deep as real ones is accepted. */
    t.start = sizeof t.bytes;
    for (int k = 0; k < 10; k++) {
        wrap(&t, 6);
        wrap(&t, 5);
        wrap(&t, 1);
    }
    wrap(&t, 7);
    hsi_onnx_scan scan;
    assert_int_equal(
        hsi_onnx_scan_model(t.bytes + t.start, sizeof t.bytes - t.start, &scan),
        HSCHED_OK);
    assert_int_equal(scan.nodes, 10);
    hsi_onnx_scan_free(&scan);
}

static void test_too_many(void **state)
{
    (void)state;
    size_t count = HSI_ONNX_MAX_NODES + 1, inner = 2 * count, at = 0;
    unsigned char *bytes = malloc(inner + 16);
    assert_non_null(bytes);
    bytes[at++] = 7 << 3 | 2;
    for (size_t rest = inner; rest; rest >>= 7)
        bytes[at++] = (unsigned char)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    for (size_t k = 0; k < count; k++) {
        bytes[at++] = 1 << 3 | 2;
        bytes[at++] = 0;
    }
    expect_error(bytes, at, HSCHED_ERROR_LIMIT, "nodes");
    free(bytes);
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
        { "", 0, "empty" },
        { "\x3a\x05\x0a", 3, "offset 0, in a ModelProto: a field is longer" },
        { "\x3a\x02\x0a\x05", 4, "offset 2, in a GraphProto: a field is longer" },
        { "\x3a\x00\x3a\x00", 4,
          "offset 2, in a ModelProto: a message that may come once" },
        { "\x3a\x04\x12\x02"
          "a\0",
          6, "offset 2, in a GraphProto: a text contains a zero byte" },
        { "\x38\x01", 2, "wrong wire type" },                    /* graph as a number */
        { "\x0a\x01\x01", 3, "wrong wire type" },                /* ir_version as bytes */
        { "\x3b\x3c", 2, "a wire type that ONNX does not use" }, /* groups */
        { "\x00\x01", 2, "tag is not valid" },                   /* field 0 */
        { "\x08\xff", 2, "does not end inside" },
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "does not end inside" },
        { "\x3a\x07\x2a\x05\x22\x03\0\0\0", 9,
          "not a multiple" }, /* float_data of 3 bytes */
        { "\x3a\x05\x2a\x03\x3a\x01\x80", 7, "a packed number does not end" },
        { "\xa5\x01\x00\x00", 4, "does not end inside" }, /* an unknown field, cut */
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        expect_error(cases[k].bytes, cases[k].size, HSCHED_ERROR_FORMAT, cases[k].text);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static ob_model b;
    size_t size;
    ob_begin(&b, 13);
    for (int k = 0; k < 40; k++)
        ob_floats(&b, "w", "2");
    void *bytes = ob_pack(&b, &size);
    uint64_t before = hsi_alloc_bytes();
    hsched_status status = HSCHED_ERROR_OUT_OF_MEMORY;
    for (uint64_t k = 1; status; k++) {
        hsi_onnx_scan scan;
        assert_true(k < 100);
        hsi_alloc_fail_after(k);
        status = hsi_onnx_scan_model(bytes, size, &scan);
        hsi_alloc_fail_after(0);
        assert_true(status == HSCHED_OK || status == HSCHED_ERROR_OUT_OF_MEMORY);
        if (!status)
            hsi_onnx_scan_free(&scan);
        assert_int_equal(hsi_alloc_bytes(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_are_found_in_place),
        cmocka_unit_test(test_skeleton_is_the_same_model),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("onnx_scan", tests, NULL, NULL);
}
