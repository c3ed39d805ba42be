/*
 * A few seconds of broken ONNX: seeds that use every operator are damaged by a seeded
 * generator and imported. Whatever comes in, the import ends with a graph or an error
 * that says something, and gives all memory back. fuzz_onnx.c is the same for libFuzzer,
 * without end.
 */
#include "unit/onnx_control.h"

#include "base/alloc.h"
#include "onnx/scan.h"

enum {
    SEEDS = 5,
    SIZE_MAX_SEED = 8192,
    ROUNDS = 6000
};

typedef struct seed {
    unsigned char bytes[SIZE_MAX_SEED];
    size_t size;
} seed;

static seed seeds[SEEDS];
static uint64_t random_state;

/* splitmix64 */
static uint64_t next_random(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t below(size_t limit)
{
    return (size_t)(next_random() % limit);
}

/* ---- Seeds ---- */

static void keep(ob_model *b, seed *s)
{
    size_t size;
    void *bytes = ob_pack(b, &size);
    assert_true(size <= SIZE_MAX_SEED);
    memcpy(s->bytes, bytes, size);
    s->size = size;
}

static void build_images(ob_model *b, int64_t opset)
{
    ob_begin(b, opset);
    ob_input(b, "x", 1, "N,4,9,?");
    ob_output(b, "y");
    ob_floats(b, "w", "4,2,3,3");
    ob_floats(b, "c4", "4");
    Onnx__NodeProto *node = ob_node(b, "Conv", "x,w,c4", "a");
    ob_int(node, "group", 2);
    ob_string(node, "auto_pad", "SAME_UPPER");
    ob_node(b, "BatchNormalization", "a,c4,c4,c4,c4", "b");
    ob_node(b, "Relu", "b", "c");
    node = ob_node(b, "MaxPool", "c", "d");
    ob_ints(node, "kernel_shape", "3,1");
    ob_ints(node, "pads", "1,0,1,0");
    ob_int(node, "ceil_mode", 1);
    node = ob_node(b, "AveragePool", "d", "e");
    ob_ints(node, "kernel_shape", "2,1");
    ob_ints(node, "strides", "2,1");
    ob_int(node, "count_include_pad", 1);
    ob_int(ob_node(b, "LRN", "e", "f"), "size", 3);
    ob_int(ob_node(b, "Concat", "f,f", "g"), "axis", 1);
    ob_int(ob_node(b, "Softmax", "g", "h"), "axis", 1);
    ob_node(b, "GlobalAveragePool", "h", "i");
    ob_node(b, "Flatten", "i", "j");
    ob_floats(b, "m", "8,3");
    ob_floats(b, "c3", "3");
    ob_float(ob_node(b, "Gemm", "j,m,c3", "y"), "alpha", 0.5f);
}

static void build_shapes(ob_model *b)
{
    ob_begin(b, 13);
    ob_input(b, "x", 1, "N,6,4");
    ob_output(b, "y");
    ob_output(b, "z");
    ob_list(b, "zero", "0");
    ob_list(b, "one", "1");
    ob_list(b, "rest", "-1");
    ob_number(b, "five", 5);
    ob_number(b, "number", 1);
    ob_node(b, "Shape", "x", "s");
    ob_node(b, "Gather", "s,zero", "n");
    ob_node(b, "Slice", "s,one,rest,zero,one", "h");
    ob_node(b, "Mul", "n,h", "nh");
    ob_int(ob_node(b, "Concat", "nh,rest", "c"), "axis", 0);
    ob_node(b, "Reshape", "x,c", "r");
    ob_node(b, "Transpose", "r", "t");
    ob_node(b, "Squeeze", "zero,zero", "scalar");
    ob_node(b, "Range", "scalar,five,number", "range");
    ob_node(b, "ConstantOfShape", "range", "empty");
    ob_node(b, "Expand", "one,h", "e");
    ob_node(b, "Tile", "e,one", "tile");
    ob_node(b, "Equal", "tile,e", "eq");
    ob_node(b, "Where", "eq,tile,e", "where");
    ob_node(b, "ReduceProd", "where", "prod");
    ob_int(ob_node(b, "Cast", "prod", "f"), "to", 1);
    ob_node(b, "Div", "t,f", "d");
    ob_int(ob_node(b, "Split", "d", "y,q"), "axis", 0);
    ob_node(b, "Unsqueeze", "q,one", "u");
    ob_node(b, "ReduceMean", "u", "z");
}

static void build_data(ob_model *b)
{
    ob_begin(b, 20);
    ob_input(b, "x", 1, "2,3,4,5");
    ob_output(b, "y");
    ob_list(b, "pads", "0,0,1,0,0,1,-1,2");
    ob_list(b, "from", "-1");
    ob_list(b, "to", "-9223372036854775808");
    ob_list(b, "axes", "2");
    ob_list(b, "by", "-2");
    float bound = 0.5f;
    ob_raw(b, "bound", 1, "", &bound, sizeof bound);
    ob_floats(b, "slope", "3,1,1");
    ob_node(b, "Pad", "x,pads,bound", "a");
    ob_node(b, "Slice", "a,from,to,axes,by", "b");
    ob_node(b, "Clip", "b,,bound", "c");
    ob_string(ob_node(b, "Gelu", "c", "d"), "approximate", "tanh");
    ob_node(b, "Max", "d,bound,d", "e");
    ob_node(b, "Mean", "e,bound", "f");
    ob_node(b, "Dropout", "f", "g");
    ob_node(b, "Identity", "g", "h");
    ob_node(b, "Pow", "h,from", "i");
    ob_node(b, "MatMul", "x,i", "unused");
    Onnx__NodeProto *node = ob_node(b, "Transpose", "i", "j");
    ob_ints(node, "perm", "3,0,1,2");
    ob_node(b, "Selu", "j", "k");
    ob_node(b, "Neg", "k", "y");
}

static int build_seeds(void **state)
{
    (void)state;
    static ob_model b;
    build_images(&b, 10);
    keep(&b, &seeds[0]);
    build_images(&b, 13);
    keep(&b, &seeds[1]);
    build_shapes(&b);
    keep(&b, &seeds[2]);
    build_data(&b);
    keep(&b, &seeds[3]);
    ob_control(&b);
    keep(&b, &seeds[4]);
    return 0;
}

/* ---- Damage ---- */

static size_t damage_once(unsigned char *bytes, size_t size)
{
    static const unsigned char interesting[] = { 0,    1,    2,    0x7f, 0x80,
                                                 0xff, 0x0a, 0x12, 0x3a };
    if (size < 8)
        return size;
    size_t at = below(size), length = 1 + below(8);
    switch (below(7)) {
    case 0:
        bytes[at] ^= (unsigned char)(1u << below(8));
        break;
    case 1:
        bytes[at] = (unsigned char)next_random();
        break;
    case 2:
        bytes[at] = interesting[below(sizeof interesting)];
        break;
    case 3: /* cut off */
        return below(4) ? size : at;
    case 4: /* take out */
        length = length < size - at ? length : size - at;
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length;
    case 5: /* repeat */
        if (size + length > SIZE_MAX_SEED || at + length > size)
            return size;
        memmove(bytes + at + length, bytes + at, size - at);
        return size + length;
    default: /* a number that fills its bytes */
        memset(bytes + at, 0xff, length < size - at ? length : size - at);
    }
    return size;
}

/* Changes one letter of a name or number of a tensor: the wire format stays sound, the
 * model not. */
static void damage_value(unsigned char *bytes, size_t size)
{
    for (int k = 0; k < 64 && size > 0; k++) {
        size_t at = below(size);
        if (bytes[at] >= '0' && bytes[at] <= 'z') {
            bytes[at] = (unsigned char)(bytes[at] + 1 - 2 * below(2));
            return;
        }
    }
}

static hsched_status import_exact(const unsigned char *bytes, size_t size)
{
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .max_bytes = 8 << 20 };
    hsched_graph *graph = (hsched_graph *)1;
    unsigned char *exact = malloc(size ? size : 1); /* so that a read beyond it shows */
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    hsched_status status = hsched_graph_parse_onnx(exact, size, &config, &graph);
    if (status) {
        assert_null(graph);
        assert_true(strlen(hsched_error_detail()) > 10);
        assert_int_not_equal(status, HSCHED_ERROR_INTERNAL);
    }
    hsched_graph_destroy(graph);
    free(exact);
    return status;
}

static void test_seeds_are_valid(void **state)
{
    (void)state;
    for (int k = 0; k < SEEDS; k++) {
        hsched_status status = import_exact(seeds[k].bytes, seeds[k].size);
        if (status)
            print_message("seed %d: %s\n", k, hsched_error_detail());
        assert_int_equal(status, HSCHED_OK);
    }
}

static void test_damaged_models(void **state)
{
    (void)state;
    static unsigned char bytes[SIZE_MAX_SEED];
    unsigned results[32] = { 0 };
    uint64_t before = hsi_alloc_bytes();
    unsigned rounds = 0;
    hsched_log_set(NULL, NULL, HSCHED_LOG_ERROR);
    for (; rounds < ROUNDS; rounds++) {
        random_state = rounds;
        const seed *s = &seeds[below(SEEDS)];
        size_t size = s->size;
        memcpy(bytes, s->bytes, size);
        for (size_t k = 1 + below(4); k > 0; k--) {
            if (below(2))
                damage_value(bytes, size);
            else
                size = damage_once(bytes, size);
        }
        hsched_status status = import_exact(bytes, size);
        assert_true(status < 32);
        results[status]++;
        if (hsi_alloc_bytes() != before)
            fail_msg("round %u leaks", rounds);
    }
    print_message(
        "%u rounds: %u graphs, %u malformed, %u unsupported, %u shapes, %u limits\n",
        rounds, results[HSCHED_OK], results[HSCHED_ERROR_FORMAT],
        results[HSCHED_ERROR_UNSUPPORTED], results[HSCHED_ERROR_SHAPE],
        results[HSCHED_ERROR_LIMIT]);
    /* The damage reaches all layers of the importer, not only the first. */
    assert_true(results[HSCHED_OK] > 0 && results[HSCHED_ERROR_FORMAT] > 0);
    assert_true(results[HSCHED_ERROR_UNSUPPORTED] > 0 && results[HSCHED_ERROR_SHAPE] > 0);
}

/* Bytes without any order. */
static void test_noise(void **state)
{
    (void)state;
    unsigned char bytes[64];
    random_state = 1;
    for (int round = 0; round < 5000; round++) {
        size_t size = below(sizeof bytes);
        for (size_t k = 0; k < size; k++)
            bytes[k] = (unsigned char)next_random();
        if (size > 2 && below(2)) { /* a graph of noise */
            bytes[0] = 0x3a;
            bytes[1] = (unsigned char)(size - 2);
        }
        assert_int_not_equal(import_exact(bytes, size), HSCHED_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds_are_valid),
        cmocka_unit_test(test_damaged_models),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests_name("onnx_fuzz", tests, build_seeds, NULL);
}
