/* Saving graphs as ONNX: what stands in the file, that it reads back as the same network,
 * and that a file appears whole or not at all. */
#include "onnx_build.h"

#include <dirent.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "graph/graph.h"

#define OK(call) assert_int_equal((call), HSCHED_OK)
#define DIMS(...)                                                                        \
    (const int64_t[])                                                                    \
    {                                                                                    \
        __VA_ARGS__                                                                      \
    }

static char folder[] = "/tmp/hsched-save-XXXXXX";
static char path[sizeof folder + 16];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails if a temporary file is left */
}

static hsched_tensor constant(hsched_graph *graph, uint32_t rank, const int64_t *dims)
{
    float data[512];
    size_t count = 1;
    hsched_tensor tensor;
    for (uint32_t k = 0; k < rank; k++)
        count *= (size_t)dims[k];
    assert_true(count <= 512);
    for (size_t k = 0; k < count; k++)
        data[k] = 0.25f + (float)k;
    OK(hsched_graph_add_constant(graph, NULL, HSCHED_FLOAT32, rank, dims, data,
                                 count * sizeof *data, HSCHED_DATA_COPY, &tensor));
    return tensor;
}

static unsigned char *read_file(size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char *bytes = malloc(1 << 20);
    assert_non_null(bytes);
    *size = fread(bytes, 1, 1 << 20, file);
    assert_true(*size > 0 && *size < 1 << 20);
    fclose(file);
    return bytes;
}

/* The file as protobuf-c understands it, without the importer. */
static Onnx__ModelProto *saved_model(void)
{
    size_t size;
    unsigned char *bytes = read_file(&size);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    free(bytes);
    assert_non_null(model);
    assert_int_equal(model->ir_version, 8);
    assert_int_equal(model->n_opset_import, 1);
    assert_int_equal(model->opset_import[0]->version, 13);
    return model;
}

/* "Op Op Op", in the order of the nodes. */
static void expect_ops(const Onnx__ModelProto *model, const char *wanted)
{
    char ops[512] = "";
    for (size_t k = 0; k < model->graph->n_node; k++) {
        strcat(ops, k ? " " : "");
        strcat(ops, model->graph->node[k]->op_type);
    }
    assert_string_equal(ops, wanted);
}

static const Onnx__AttributeProto *attribute(const Onnx__NodeProto *node,
                                             const char *name)
{
    for (size_t k = 0; k < node->n_attribute; k++)
        if (strcmp(node->attribute[k]->name, name) == 0)
            return node->attribute[k];
    fail_msg("no attribute '%s'", name);
    return NULL;
}

static void expect_ints(const Onnx__NodeProto *node, const char *name, const char *list)
{
    const Onnx__AttributeProto *attr = attribute(node, name);
    size_t count;
    ob_used = 0;
    int64_t *wanted = ob_numbers(list, &count);
    assert_int_equal(attr->n_ints, count);
    for (size_t k = 0; k < count; k++)
        assert_int_equal(attr->ints[k], wanted[k]);
}

/* Saves, destroys, loads again, and checks that the outputs have kept name and shape. */
static hsched_graph *save_and_load(hsched_graph *graph)
{
    hsched_graph *loaded;
    hsched_status status = hsched_graph_save_onnx(graph, path);
    if (!status)
        status = hsched_graph_load_onnx(path, NULL, &loaded);
    if (status)
        print_message("%s: %s\n", hsched_status_name(status), hsched_error_detail());
    OK(status);
    assert_int_equal(loaded->input_count, graph->input_count);
    assert_int_equal(loaded->output_count, graph->output_count);
    for (uint32_t k = 0; k < graph->output_count; k++) {
        const hsi_graph_tensor *a = &graph->tensors[graph->outputs[k]];
        const hsi_graph_tensor *b = &loaded->tensors[loaded->outputs[k]];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->dtype, b->dtype);
        assert_int_equal(a->rank, b->rank);
        assert_memory_equal(a->dims, b->dims, a->rank * sizeof *a->dims);
    }
    hsched_graph_destroy(graph);
    return loaded;
}

static hsched_graph *new_graph(const int64_t *dims, uint32_t rank, hsched_tensor *x)
{
    hsched_graph *graph;
    OK(hsched_graph_create("net", &graph));
    OK(hsched_graph_add_input(graph, "x", HSCHED_FLOAT32, rank, dims, x));
    return graph;
}

/* Layers that ONNX has as they are come back as the same layers with the same attributes.
 */
static void test_round_trip(void **state)
{
    (void)state;
    hsched_tensor x, y;
    hsched_graph *graph = new_graph(DIMS(2, 4, 9, 10), 4, &x);
    hsched_conv2d_config conv = { HSCHED_CONV2D_CONFIG_INIT, .groups = 2,
                                  .auto_pad = HSCHED_PAD_SAME_UPPER,
                                  .strides = { 2, 1 } };
    hsched_lrn_config lrn = { HSCHED_LRN_CONFIG_INIT, .size = 3, .alpha = 0.5f };
    hsched_tensor w = constant(graph, 4, DIMS(6, 2, 3, 3)),
                  c6 = constant(graph, 1, DIMS(6));
    OK(hsched_graph_add_conv2d(graph, "conv", x, w, c6, &conv, &y));
    OK(hsched_graph_add_batch_norm(graph, "bn", y, c6, c6, c6, c6, 0.125f, &y));
    OK(hsched_graph_add_lrn(graph, "lrn", y, &lrn, &y));
    OK(hsched_graph_add_slice(graph, "slice", y, 1, DIMS(-1), DIMS(-100), DIMS(3),
                              DIMS(-2), &y));
    OK(hsched_graph_add_pad(graph, "pad", y, DIMS(0, 0, 1, 2), DIMS(0, 0, 0, 1),
                            HSCHED_PAD_MODE_REFLECT, 0, &y));
    OK(hsched_graph_add_concat(graph, "concat", (hsched_tensor[]){ y, y }, 2, 1, &y));
    OK(hsched_graph_add_transpose(graph, "transpose", y, DIMS(0, 2, 3, 1), &y));
    OK(hsched_graph_add_reduce_mean(graph, "mean", y, 2, DIMS(1, 2), 1, &y));
    OK(hsched_graph_add_squeeze(graph, "squeeze", y, 1, DIMS(1), &y));
    OK(hsched_graph_add_unsqueeze(graph, "unsqueeze", y, 1, DIMS(-1), &y));
    OK(hsched_graph_add_flatten(graph, "flatten", y, 2, &y));
    OK(hsched_graph_add_softmax(graph, "softmax", y, -1, &y));
    OK(hsched_graph_add_reshape(graph, "reshape", y, 3, DIMS(2, -1, 1), &y));
    OK(hsched_graph_add_matmul(graph, "matmul", y, constant(graph, 2, DIMS(1, 3)), &y));
    OK(hsched_graph_add_fully_connected(graph, "fc", y, constant(graph, 2, DIMS(5, 36)),
                                        constant(graph, 1, DIMS(5)), &y));
    OK(hsched_graph_add_output(graph, y));
    uint32_t layers = graph->layer_count;
    static const hsi_layer_kind kinds[] = {
        HSI_LAYER_CONV2D,          HSI_LAYER_BATCH_NORM, HSI_LAYER_LRN,
        HSI_LAYER_SLICE,           HSI_LAYER_PAD,        HSI_LAYER_CONCAT,
        HSI_LAYER_TRANSPOSE,       HSI_LAYER_REDUCE,     HSI_LAYER_SQUEEZE,
        HSI_LAYER_UNSQUEEZE,       HSI_LAYER_FLATTEN,    HSI_LAYER_SOFTMAX,
        HSI_LAYER_RESHAPE,         HSI_LAYER_MATMUL,     HSI_LAYER_FLATTEN,
        HSI_LAYER_FULLY_CONNECTED,
    };
    hsched_graph *loaded = save_and_load(graph);
    assert_int_equal(loaded->layer_count,
                     layers + 1); /* fc flattens by a layer of its own */
    for (uint32_t k = 0; k < loaded->layer_count; k++)
        assert_int_equal(loaded->layers[k].kind, kinds[k]);
    const hsi_layer *l = loaded->layers;
    assert_int_equal(l[0].attrs.conv2d.groups, 2);
    assert_int_equal(l[0].attrs.conv2d.pads[2],
                     1); /* explicit now: 9 rows in steps of 2 */
    assert_true(l[1].attrs.batch_norm.epsilon == 0.125f);
    assert_true(l[2].attrs.lrn.alpha == 0.5f && l[2].attrs.lrn.beta == 0.75f);
    assert_int_equal(l[3].attrs.slice.steps[3], -2);
    assert_int_equal(l[3].attrs.slice.starts[3], 9);
    assert_int_equal(l[4].attrs.pad.mode, HSCHED_PAD_MODE_REFLECT);
    assert_int_equal(l[4].attrs.pad.before[3], 2);
    assert_int_equal(l[6].attrs.transpose.perm[1], 2);
    const hsi_graph_tensor *weights = &loaded->tensors[l[0].inputs[1]];
    assert_false(weights->owns_data); /* saved where they need no copy */
    for (int k = 0; k < 108; k++)
        assert_true(((const float *)weights->data)[k] == 0.25f + (float)k);
    hsched_graph_destroy(loaded);
}

/* Every activation is written so that it loads; what opset 13 has is one node. */
static void test_activations(void **state)
{
    (void)state;
    for (int kind = HSCHED_ACTIVATION_NONE; kind <= HSCHED_ACTIVATION_FAKE_QUANTIZE;
         kind++) {
        hsched_tensor x, y;
        hsched_graph *graph = new_graph(DIMS(2, 3), 2, &x);
        OK(hsched_graph_add_activation(
            graph, "y", x, (hsched_activation){ (hsched_activation_kind)kind, 0.25f, 2 },
            &y));
        OK(hsched_graph_add_output(graph, y));
        hsched_graph *loaded = save_and_load(graph);
        int composed = kind == HSCHED_ACTIVATION_HARD_SWISH ||
                       kind == HSCHED_ACTIVATION_GELU || kind == HSCHED_ACTIVATION_SILU ||
                       kind == HSCHED_ACTIVATION_MISH ||
                       kind == HSCHED_ACTIVATION_GELU_TANH ||
                       kind == HSCHED_ACTIVATION_FAKE_QUANTIZE; /* above a zero point */
        if (composed) {
            assert_true(loaded->layer_count > 1);
            assert_int_equal(loaded->layers[loaded->layer_count - 1].kind,
                             HSI_LAYER_BINARY);
        } else {
            const hsched_activation *a = &loaded->layers[0].attrs.activation;
            assert_int_equal(loaded->layer_count, 1);
            assert_int_equal(a->kind, kind);
            if (kind == HSCHED_ACTIVATION_CLIP ||
                kind == HSCHED_ACTIVATION_HARD_SIGMOID || kind == HSCHED_ACTIVATION_SELU)
                assert_true(a->a == 0.25f && a->b == 2);
            if (kind == HSCHED_ACTIVATION_LEAKY_RELU || kind == HSCHED_ACTIVATION_ELU ||
                kind == HSCHED_ACTIVATION_THRESHOLDED_RELU)
                assert_true(a->a == 0.25f);
        }
        hsched_graph_destroy(loaded);
    }
}

/* Levels of 8 bits are QuantizeLinear and DequantizeLinear, which become one layer again. */
static void test_fake_quantize(void **state)
{
    (void)state;
    for (int low = -256; low <= 1; low++) {
        hsched_tensor x, y;
        hsched_graph *graph = new_graph(DIMS(2, 3), 2, &x);
        const hsched_activation act = { HSCHED_ACTIVATION_FAKE_QUANTIZE, 0.37f,
                                        (float)low };
        OK(hsched_graph_add_activation(graph, "y", x, act, &y));
        OK(hsched_graph_add_output(graph, y));
        hsched_graph *loaded = save_and_load(graph);
        const hsched_activation *a = &loaded->layers[0].attrs.activation;
        if (low < -255 || low > 0) {
            assert_true(loaded->layer_count > 1);
        } else {
            assert_int_equal(loaded->layer_count, 1);
            assert_int_equal(a->kind, HSCHED_ACTIVATION_FAKE_QUANTIZE);
            assert_true(a->a == 0.37f && a->b == (float)low);
        }
        hsched_graph_destroy(loaded);
    }
}

static void test_binaries(void **state)
{
    (void)state;
    for (int kind = HSCHED_BINARY_ADD; kind <= HSCHED_BINARY_PRELU; kind++) {
        hsched_tensor x, y;
        hsched_graph *graph = new_graph(DIMS(2, 3), 2, &x);
        OK(hsched_graph_add_binary(graph, "y", (hsched_binary_kind)kind, x,
                                   constant(graph, 1, DIMS(3)), &y));
        OK(hsched_graph_add_output(graph, y));
        hsched_graph *loaded = save_and_load(graph);
        assert_int_equal(loaded->layer_count, 1);
        assert_int_equal(loaded->layers[0].attrs.binary, kind);
        hsched_graph_destroy(loaded);
    }
}

static hsched_graph *pooled(hsched_pool_kind kind, const hsched_pool2d_config *config)
{
    hsched_tensor x, y;
    hsched_graph *graph = new_graph(DIMS(1, 2, 8, 8), 4, &x);
    OK(hsched_graph_add_pool2d(graph, "y", kind, x, config, &y));
    OK(hsched_graph_add_output(graph, y));
    return graph;
}

static void expect_saved_ops(const char *wanted)
{
    Onnx__ModelProto *model = saved_model();
    expect_ops(model, wanted);
    onnx__model_proto__free_unpacked(model, NULL);
}

/* Opset 13 has no arithmetic on bytes, and ONNX no shifts of signed integers. */
static void test_narrow_integers(void **state)
{
    (void)state;
    static const struct {
        hsched_dtype dtype;
        hsched_binary_kind kind;
        const char *ops; /* NULL: refused */
    } cases[] = {
        { HSCHED_INT8, HSCHED_BINARY_MUL, "Cast Cast Mul Cast" },
        { HSCHED_UINT8, HSCHED_BINARY_SUB, "Cast Cast Sub Cast" },
        { HSCHED_UINT8, HSCHED_BINARY_MAX, "Max" },
        { HSCHED_INT32, HSCHED_BINARY_ADD, "Add" },
        { HSCHED_UINT8, HSCHED_BINARY_SHIFT_LEFT, "BitShift" },
        { HSCHED_INT32, HSCHED_BINARY_SHIFT_RIGHT, NULL },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        hsched_graph *graph;
        hsched_tensor x, y;
        OK(hsched_graph_create("net", &graph));
        OK(hsched_graph_add_input(graph, "x", cases[k].dtype, 1, DIMS(3), &x));
        OK(hsched_graph_add_binary(graph, "y", cases[k].kind, x, x, &y));
        OK(hsched_graph_add_output(graph, y));
        if (cases[k].ops) {
            hsched_graph_destroy(save_and_load(graph));
            expect_saved_ops(cases[k].ops);
        } else {
            assert_int_equal(hsched_graph_save_onnx(graph, path),
                             HSCHED_ERROR_UNSUPPORTED);
            hsched_graph_destroy(graph);
        }
    }
}

static void test_activations_of_integers(void **state)
{
    (void)state;
    static const struct {
        hsched_dtype dtype;
        hsched_activation_kind kind;
        const char *ops;
    } cases[] = {
        { HSCHED_INT64, HSCHED_ACTIVATION_RELU, "Max" },
        { HSCHED_INT8, HSCHED_ACTIVATION_NEG, "Neg" },
        { HSCHED_UINT8, HSCHED_ACTIVATION_NEG, "Cast Neg Cast" },
        { HSCHED_UINT8, HSCHED_ACTIVATION_ABS, "Abs" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        hsched_graph *graph;
        hsched_tensor x, y;
        OK(hsched_graph_create("net", &graph));
        OK(hsched_graph_add_input(graph, "x", cases[k].dtype, 1, DIMS(3), &x));
        OK(hsched_graph_add_activation(graph, "y", x,
                                       (hsched_activation){ cases[k].kind }, &y));
        OK(hsched_graph_add_output(graph, y));
        hsched_graph_destroy(save_and_load(graph));
        expect_saved_ops(cases[k].ops);
    }
}

/* ceil_mode is written as padding: 8 in windows of 3 and steps of 2 is 4 windows, one
 * over the end. */
static void test_pooling(void **state)
{
    (void)state;
    hsched_pool2d_config config = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 3, 3 },
                                    .strides = { 2, 2 }, .ceil_mode = 1 };
    hsched_graph_destroy(save_and_load(pooled(HSCHED_POOL_MAX, &config)));
    Onnx__ModelProto *model = saved_model();
    expect_ops(model, "MaxPool");
    expect_ints(model->graph->node[0], "pads", "0,0,1,1");
    onnx__model_proto__free_unpacked(model, NULL);

    config.count_include_pad = 1;
    config.pads[0] = 1;
    hsched_graph_destroy(save_and_load(pooled(HSCHED_POOL_AVERAGE, &config)));
    model = saved_model();
    /* The last column's windows hang over by one, which is not counted. */
    expect_ops(model, "Conv Div");
    const Onnx__TensorProto *covered = model->graph->initializer[1];
    const float *area = (const float *)(const void *)covered->raw_data.data;
    assert_int_equal(covered->raw_data.len, 16 * sizeof(float));
    for (int k = 0; k < 16; k++)
        assert_true(area[k] == (k % 4 == 3 ? 6.0f : 9.0f));
    onnx__model_proto__free_unpacked(model, NULL);

    config.ceil_mode = 0;
    hsched_graph_destroy(save_and_load(pooled(HSCHED_POOL_AVERAGE, &config)));
    model = saved_model();
    expect_ops(model, "AveragePool");
    expect_ints(model->graph->node[0], "pads", "1,0,0,0");
    assert_int_equal(attribute(model->graph->node[0], "count_include_pad")->i, 1);
    onnx__model_proto__free_unpacked(model, NULL);

    /* No average with dilations in opset 13: a sum over what is there, divided by how
     * much that is. */
    hsched_pool2d_config dilated = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 2, 1 },
                                     .dilations = { 3, 1 }, .pads = { 3, 0, 0, 0 } };
    hsched_graph_destroy(save_and_load(pooled(HSCHED_POOL_AVERAGE, &dilated)));
    model = saved_model();
    expect_ops(model, "Conv Div");
    const Onnx__TensorProto *counts = model->graph->initializer[1];
    const float *numbers = (const float *)(const void *)counts->raw_data.data;
    assert_int_equal(counts->raw_data.len, 64 * sizeof(float));
    for (int h = 0; h < 8; h++)
        assert_true(numbers[8 * h] == (h < 3 ? 1.0f : 2.0f));
    onnx__model_proto__free_unpacked(model, NULL);

    /* Pads as large as the kernel: readers of MaxPool refuse them. */
    hsched_pool2d_config wide = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 2, 2 },
                                  .dilations = { 3, 3 }, .pads = { 2, 2, 2, 2 } };
    hsched_graph_destroy(save_and_load(pooled(HSCHED_POOL_MAX, &wide)));
    model = saved_model();
    expect_ops(model, "Pad MaxPool");
    onnx__model_proto__free_unpacked(model, NULL);
}

static void test_image_input(void **state)
{
    (void)state;
    hsched_graph *graph;
    hsched_tensor y;
    hsched_image_config config = { HSCHED_IMAGE_CONFIG_INIT, .mean = { 1, 2, 3 },
                                   .scale = { 0.5f, 0.25f, 0.125f }, .swap_red_blue = 1 };
    OK(hsched_graph_create("camera", &graph));
    OK(hsched_graph_add_image_input(graph, "frame", 1, 4, 5, 3, &config, &y));
    OK(hsched_graph_add_output(graph, y));
    OK(hsched_graph_save_onnx(graph, path));
    hsched_graph_destroy(graph);
    Onnx__ModelProto *model = saved_model();
    expect_ops(model, "Cast Gather Sub Mul Transpose");
    const Onnx__TypeProto__Tensor *type = model->graph->input[0]->type->tensor_type;
    assert_int_equal(type->elem_type, ONNX__TENSOR_PROTO__DATA_TYPE__UINT8);
    assert_int_equal(type->shape->dim[1]->dim_value, 4);
    assert_string_equal(model->graph->input[0]->name, "frame");
    onnx__model_proto__free_unpacked(model, NULL);
}

/* Symbols are dim_params, and a Reshape to one reads it from the input at run time. */
static void test_symbols(void **state)
{
    (void)state;
    hsched_graph *graph, *other;
    hsched_tensor x, y;
    int64_t n;
    OK(hsched_graph_create("net", &graph));
    OK(hsched_graph_set_symbol(graph, "N", 3, &n));
    OK(hsched_graph_add_input(graph, "x", HSCHED_FLOAT32, 3, DIMS(n, 2, 5), &x));
    OK(hsched_graph_add_reshape(graph, "y", x, 2, DIMS(n, -1), &y));
    OK(hsched_graph_add_output(graph, y));
    OK(hsched_graph_save_onnx(graph, path));
    hsched_graph_destroy(graph);
    Onnx__ModelProto *model = saved_model();
    expect_ops(model, "Shape Gather Concat Reshape");
    assert_string_equal(
        model->graph->input[0]->type->tensor_type->shape->dim[0]->dim_param, "N");
    onnx__model_proto__free_unpacked(model, NULL);
    OK(hsched_graph_load_onnx(path, NULL, &graph));
    hsched_symbol seven = { "N", 7 };
    OK(hsi_graph_specialise(graph, &seven, 1, &other));
    ob_used = 0;
    ob_expect(other, "y", "7,10");
    hsched_graph_destroy(other);
    hsched_graph_destroy(graph);
}

static unsigned files_in_folder(void)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* A failing save leaves the old file, and no other. */
static void test_whole_or_not_at_all(void **state)
{
    (void)state;
    hsched_tensor x, y;
    hsched_graph *graph = new_graph(DIMS(2, 3), 2, &x);
    assert_int_equal(hsched_graph_save_onnx(graph, path), HSCHED_ERROR_STATE);
    OK(hsched_graph_add_activation(
        graph, "y", x, (hsched_activation){ HSCHED_ACTIVATION_MISH, 0, 0 }, &y));
    OK(hsched_graph_add_binary(graph, "z", HSCHED_BINARY_ADD, y,
                               constant(graph, 1, DIMS(3)), &y));
    OK(hsched_graph_add_output(graph, y));
    unlink(path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs("old", file) >= 0);
    fclose(file);
    uint64_t before = hsi_alloc_bytes();
    hsched_status status = HSCHED_ERROR_OUT_OF_MEMORY;
    unsigned failures = 0;
    for (uint64_t k = 1; status; k++) {
        assert_true(k < 1000);
        hsi_alloc_fail_after(k);
        status = hsched_graph_save_onnx(graph, path);
        hsi_alloc_fail_after(0);
        assert_int_equal(hsi_alloc_bytes(), before);
        assert_int_equal(files_in_folder(), 1);
        struct stat info;
        assert_int_equal(stat(path, &info), 0);
        if (status == HSCHED_ERROR_OUT_OF_MEMORY)
            assert_int_equal(info.st_size, 3);
        failures += status != HSCHED_OK;
    }
    assert_true(failures > 5);
    char missing[sizeof path + 8];
    snprintf(missing, sizeof missing, "%s/no/m.onnx", folder);
    assert_int_equal(hsched_graph_save_onnx(graph, missing), HSCHED_ERROR_IO);
    assert_non_null(strstr(hsched_error_detail(), missing));
    /* A folder stands where the file should be. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(hsched_graph_save_onnx(graph, path), HSCHED_ERROR_IO);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(files_in_folder(), 0);
    hsched_graph_destroy(graph);
}

/* More than 2 GiB is refused before anything is written; the borrowed bytes are never
 * touched. */
static void test_limit(void **state)
{
    (void)state;
    hsched_tensor x, y, c;
    hsched_graph *graph = new_graph(DIMS(1, 1), 2, &x);
    static const float nothing;
    const int64_t dims[2] = { 1 << 15, 1 << 14 }; /* 2^31 bytes */
    OK(hsched_graph_add_constant(graph, "c", HSCHED_FLOAT32, 2, dims, &nothing,
                                 (size_t)1 << 31, HSCHED_DATA_BORROW, &c));
    OK(hsched_graph_add_binary(graph, "y", HSCHED_BINARY_ADD, x, c, &y));
    OK(hsched_graph_add_output(graph, y));
    assert_int_equal(hsched_graph_save_onnx(graph, path), HSCHED_ERROR_LIMIT);
    assert_int_equal(files_in_folder(), 0);
    hsched_graph_destroy(graph);
}

/* All that a recurrent layer can be given comes back; its output is joined from those of the
 * node, of which the slices of the original take parts again. */
static void test_recurrent(void **state)
{
    (void)state;
    hsched_graph *graph;
    hsched_tensor x, lengths, h, y, y_h, y_c;
    OK(hsched_graph_create("net", &graph));
    OK(hsched_graph_add_input(graph, "x", HSCHED_FLOAT32, 3, DIMS(4, 2, 3), &x));
    OK(hsched_graph_add_input(graph, "lengths", HSCHED_INT32, 1, DIMS(2), &lengths));
    OK(hsched_graph_add_input(graph, "h", HSCHED_FLOAT32, 3, DIMS(2, 2, 2), &h));
    hsched_recurrent_config c = { HSCHED_RECURRENT_CONFIG_INIT,
                                  .kind = HSCHED_RECURRENT_LSTM,
                                  .direction = HSCHED_RECURRENT_BIDIRECTIONAL,
                                  .clip = 0.5f, .input_forget = 1 };
    c.activations[0][1] = (hsched_activation){ HSCHED_ACTIVATION_ELU, 0.25f, 0 };
    c.activations[1][0] =
        (hsched_activation){ HSCHED_ACTIVATION_HARD_SIGMOID, 0.125f, 0.75f };
    OK(hsched_graph_add_recurrent(graph, "r", x, constant(graph, 3, DIMS(2, 8, 3)),
                                  constant(graph, 3, DIMS(2, 8, 2)), HSCHED_NO_TENSOR,
                                  lengths, h, HSCHED_NO_TENSOR, &c, &y, &y_h, &y_c));
    OK(hsched_graph_add_output(graph, y));
    OK(hsched_graph_add_output(graph, y_h));
    OK(hsched_graph_add_output(graph, y_c));
    hsched_graph *loaded = save_and_load(graph);
    const hsi_layer *l = &loaded->layers[0];
    assert_int_equal(l->kind, HSI_LAYER_RECURRENT);
    assert_int_equal(l->inputs[3], HSCHED_NO_TENSOR);
    assert_int_not_equal(l->inputs[4], HSCHED_NO_TENSOR);
    assert_int_not_equal(l->inputs[5], HSCHED_NO_TENSOR);
    assert_int_equal(l->inputs[6], HSCHED_NO_TENSOR);
    const hsched_recurrent_config *r = &l->attrs.recurrent;
    assert_int_equal(r->direction, HSCHED_RECURRENT_BIDIRECTIONAL);
    assert_true(r->clip == 0.5f && r->input_forget && r->hidden_size == 2);
    assert_int_equal(r->activations[0][0].kind, HSCHED_ACTIVATION_SIGMOID);
    assert_true(r->activations[0][1].kind == HSCHED_ACTIVATION_ELU &&
                r->activations[0][1].a == 0.25f);
    assert_true(r->activations[1][0].kind == HSCHED_ACTIVATION_HARD_SIGMOID &&
                r->activations[1][0].a == 0.125f && r->activations[1][0].b == 0.75f);
    assert_int_equal(r->activations[1][2].kind, HSCHED_ACTIVATION_TANH);
    hsched_graph_destroy(loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_fake_quantize),
        cmocka_unit_test(test_binaries),
        cmocka_unit_test(test_narrow_integers),
        cmocka_unit_test(test_activations_of_integers),
        cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_image_input),
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_recurrent),
        cmocka_unit_test(test_whole_or_not_at_all),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests_name("onnx_export", tests, make_folder, remove_folder);
}
