/* The zoo against what is published about its networks: layers, shapes, parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "zoo/zoo.h"

/* How a paper counts a network. "Convolutions" and the rest are layers of the graph, so
 * the projections on the skip connections of a ResNet are among them. */
typedef struct make_up {
    uint32_t convs, fcs, max_pools, average_pools, softmaxes, batch_norms, concats, adds;
    uint32_t projections; /* convolutions named "downsample" */
    uint64_t parameters; /* learnable: without the running statistics of normalizations */
    uint64_t macs;       /* of one run */
    int64_t image;       /* expected only: height and width, 0: 224 */
} make_up;

static hsched_graph *build(const char *name, uint64_t seed)
{
    hsched_graph *graph = NULL;
    assert_int_equal(zoo_build(name, seed, &graph), HSCHED_OK);
    assert_non_null(graph);
    return graph;
}

static make_up count(const hsched_graph *graph)
{
    make_up m = { 0 };
    for (uint32_t i = 0; i < hsched_graph_layer_count(graph); i++) {
        hsched_layer_info info = { HSCHED_LAYER_INFO_INIT };
        assert_int_equal(hsched_graph_layer_info(graph, i, &info), HSCHED_OK);
        const hsi_layer *layer = &graph->layers[i];
        int normalization = strcmp(info.kind, "batch_norm") == 0;
        m.parameters += normalization ? info.parameters / 2 : info.parameters;
        m.macs += info.macs;
        m.batch_norms += normalization;
        m.convs += strcmp(info.kind, "conv2d") == 0;
        m.projections += strstr(info.name, "downsample.0") != NULL;
        m.fcs += strcmp(info.kind, "fully_connected") == 0;
        m.softmaxes += strcmp(info.kind, "softmax") == 0;
        m.concats += strcmp(info.kind, "concat") == 0;
        m.adds +=
            layer->kind == HSI_LAYER_BINARY && layer->attrs.binary == HSCHED_BINARY_ADD;
        if (layer->kind == HSI_LAYER_POOL2D) {
            m.max_pools += layer->attrs.pool2d.kind == HSCHED_POOL_MAX;
            m.average_pools += layer->attrs.pool2d.kind == HSCHED_POOL_AVERAGE;
        }
        if (layer->kind == HSI_LAYER_GLOBAL_POOL)
            m.average_pools += layer->attrs.global_pool == HSCHED_POOL_AVERAGE;
    }
    return m;
}

static void check_typed(const hsched_graph *graph, hsched_tensor tensor, const char *name,
                        hsched_dtype dtype, uint32_t rank, const int64_t *dims)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    assert_int_equal(hsched_graph_tensor_info(graph, tensor, &info), HSCHED_OK);
    assert_string_equal(info.name, name);
    assert_int_equal(info.dtype, dtype);
    assert_int_equal(info.rank, rank);
    assert_memory_equal(info.dims, dims, rank * sizeof(int64_t));
}

static void check_tensor(const hsched_graph *graph, hsched_tensor tensor,
                         const char *name, uint32_t rank, const int64_t *dims)
{
    check_typed(graph, tensor, name, HSCHED_FLOAT32, rank, dims);
}

static void check_image(const hsched_graph *graph, int64_t size)
{
    assert_int_equal(hsched_graph_input_count(graph), 1);
    check_tensor(graph, hsched_graph_input(graph, 0), "input", 4,
                 (const int64_t[]){ 1, 3, size, size });
}

static void check_output(const hsched_graph *graph, uint32_t rank, const int64_t *dims)
{
    assert_int_equal(hsched_graph_output_count(graph), 1);
    check_tensor(graph, hsched_graph_output(graph, 0), "output", rank, dims);
}

static void compare(const hsched_graph *graph, const make_up *expected)
{
    make_up m = count(graph);
    print_message("%s\n", hsched_graph_name(graph));
    assert_int_equal(m.convs, expected->convs);
    assert_int_equal(m.projections, expected->projections);
    assert_int_equal(m.fcs, expected->fcs);
    assert_int_equal(m.max_pools, expected->max_pools);
    assert_int_equal(m.average_pools, expected->average_pools);
    assert_int_equal(m.softmaxes, expected->softmaxes);
    assert_int_equal(m.batch_norms, expected->batch_norms);
    assert_int_equal(m.concats, expected->concats);
    assert_int_equal(m.adds, expected->adds);
    assert_int_equal(m.parameters, expected->parameters);
}

/* A classifier of images. */
static void check_make_up(const char *name, const make_up *expected)
{
    hsched_graph *graph = build(name, 1);
    compare(graph, expected);
    check_image(graph, expected->image ? expected->image : 224);
    check_output(graph, 2, (const int64_t[]){ 1, 1000 });
    hsched_graph_destroy(graph);
}

/*
 * The four networks of M. Kim (2021), whose table counts: AlexNet conv 5, FC 3, max pool
 * 3, softmax 1; VGG16 conv 13, FC 3, max pool 5, softmax 1; DenseNet201 conv 201, pooling
 * 4+1, softmax 1, dense connections 98; ResNet152 conv 152, max pool 1, average pool 1,
 * softmax 1, skip connections 50.
 *
 * DenseNet201: 1 + 2*98 + 3 convolutions and the classifier, a 1x1 convolution: 201.
 * Pooling: the max pool and three transitions, 4, and the global average, +1. Each dense
 * layer ends in one concat. ResNet152: the name's 152 are the weighted layers on the main
 * path: 1 + 3*50 convolutions and the fully connected classifier; the four projections on
 * skip connections are not counted there.
 */
static void counts_agree_with_kim_2021(void **state)
{
    (void)state;
    check_make_up("alexnet", &(make_up){ .convs = 5,
                                         .fcs = 3,
                                         .max_pools = 3,
                                         .softmaxes = 1,
                                         .parameters = 61100840 });
    check_make_up("vgg16", &(make_up){ .convs = 13,
                                       .fcs = 3,
                                       .max_pools = 5,
                                       .softmaxes = 1,
                                       .parameters = 138357544 });
    check_make_up("densenet201", &(make_up){ .convs = 201,
                                             .max_pools = 1,
                                             .average_pools = 3 + 1,
                                             .softmaxes = 1,
                                             .batch_norms = 201,
                                             .concats = 98,
                                             .parameters = 20013928 });
    check_make_up("resnet152", &(make_up){ .convs = 152 - 1 + 4,
                                           .projections = 4,
                                           .fcs = 1,
                                           .max_pools = 1,
                                           .average_pools = 1,
                                           .softmaxes = 1,
                                           .batch_norms = 155,
                                           .adds = 50,
                                           .parameters = 60192808 });
}

static void counts_agree_with_torchvision(void **state)
{
    (void)state;
    check_make_up("resnet18", &(make_up){ .convs = 20,
                                          .projections = 3,
                                          .fcs = 1,
                                          .max_pools = 1,
                                          .average_pools = 1,
                                          .softmaxes = 1,
                                          .batch_norms = 20,
                                          .adds = 8,
                                          .parameters = 11689512 });
    check_make_up("resnet50", &(make_up){ .convs = 53,
                                          .projections = 4,
                                          .fcs = 1,
                                          .max_pools = 1,
                                          .average_pools = 1,
                                          .softmaxes = 1,
                                          .batch_norms = 53,
                                          .adds = 16,
                                          .parameters = 25557032 });
    check_make_up("densenet121", &(make_up){ .convs = 121,
                                             .max_pools = 1,
                                             .average_pools = 4,
                                             .softmaxes = 1,
                                             .batch_norms = 121,
                                             .concats = 58,
                                             .parameters = 7978856 });
    check_make_up("googlenet", &(make_up){ .convs = 57,
                                           .fcs = 1,
                                           .max_pools = 4 + 9,
                                           .average_pools = 1,
                                           .softmaxes = 1,
                                           .batch_norms = 57,
                                           .concats = 9,
                                           .parameters = 6624904 });
    check_make_up("mobilenet_v1", &(make_up){ .convs = 27,
                                              .fcs = 1,
                                              .average_pools = 1,
                                              .softmaxes = 1,
                                              .batch_norms = 27,
                                              .parameters = 4231976 });
    check_make_up("mobilenet_v2", &(make_up){ .convs = 52,
                                              .fcs = 1,
                                              .average_pools = 1,
                                              .softmaxes = 1,
                                              .batch_norms = 52,
                                              .adds = 10,
                                              .parameters = 3504872 });
    check_make_up("squeezenet1_1", &(make_up){ .convs = 26,
                                               .max_pools = 3,
                                               .average_pools = 1,
                                               .softmaxes = 1,
                                               .concats = 8,
                                               .parameters = 1235496 });
}

static void the_mlp_is_as_described(void **state)
{
    (void)state;
    hsched_graph *graph = build("mlp", 1);
    compare(graph, &(make_up){ .fcs = 3,
                               .softmaxes = 1,
                               .parameters = 785 * 1024 + 1025 * 1024 + 1025 * 10 });
    assert_int_equal(hsched_graph_input_count(graph), 1);
    check_tensor(graph, hsched_graph_input(graph, 0), "input", 2,
                 (const int64_t[]){ 1, 784 });
    check_output(graph, 2, (const int64_t[]){ 1, 10 });
    hsched_graph_destroy(graph);
}

/* As torchvision says; MACs are its "GFLOPS", rounded as there. Inception's parameters are
 * 27,161,264 with the auxiliary head, of which that has 3,326,696. */
static void newer_counts_agree_with_torchvision(void **state)
{
    (void)state;
    check_make_up("inception_v3", &(make_up){ .convs = 94,
                                              .fcs = 1,
                                              .max_pools = 4,
                                              .average_pools = 9 + 1,
                                              .softmaxes = 1,
                                              .batch_norms = 94,
                                              .concats = 11 + 4,
                                              .parameters = 27161264 - 3326696,
                                              .image = 299 });
    check_make_up("efficientnet_b0", &(make_up){ .convs = 81,
                                                 .fcs = 1,
                                                 .average_pools = 16 + 1,
                                                 .softmaxes = 1,
                                                 .batch_norms = 49,
                                                 .adds = 9,
                                                 .parameters = 5288548 });
    check_make_up("shufflenet_v2", &(make_up){ .convs = 56,
                                               .fcs = 1,
                                               .max_pools = 1,
                                               .average_pools = 1,
                                               .softmaxes = 1,
                                               .batch_norms = 56,
                                               .concats = 16,
                                               .parameters = 2278604 });
}

/* The transposed convolutions have their biases; they are not among "convs". */
static void the_unet_is_as_described(void **state)
{
    (void)state;
    hsched_graph *graph = build("unet", 1);
    uint64_t expected = 0;
    for (uint64_t in = 3, out = 64; out <= 1024; in = out, out *= 2)
        expected += 9 * (in * out + out * out) + 4 * out;
    for (uint64_t out = 512; out >= 64; out /= 2)
        expected += 4 * 2 * out * out + out + 9 * (2 * out * out + out * out) + 4 * out;
    expected += 64 * 2 + 2;
    compare(graph, &(make_up){ .convs = 18 + 1,
                               .max_pools = 4,
                               .softmaxes = 1,
                               .batch_norms = 18,
                               .concats = 4,
                               .parameters = expected });
    assert_int_equal(expected, 31037698);
    check_image(graph, 256);
    check_output(graph, 4, (const int64_t[]){ 1, 2, 256, 256 });
    hsched_graph_destroy(graph);
}

static void check_detector(const char *name, const make_up *expected, int64_t boxes)
{
    hsched_graph *graph = build(name, 1);
    compare(graph, expected);
    check_image(graph, 416);
    assert_int_equal(hsched_graph_output_count(graph), 2);
    check_tensor(graph, hsched_graph_output(graph, 0), "boxes", 3,
                 (const int64_t[]){ 1, boxes, 4 });
    check_tensor(graph, hsched_graph_output(graph, 1), "scores", 3,
                 (const int64_t[]){ 1, boxes, 80 });
    hsched_graph_destroy(graph);
}

/*
 * The weight files hold what is counted here and two running statistics for each normalized
 * channel, after 20 bytes of header: 35,434,956 bytes for tiny, of 3,184 such channels, and
 * 248,007,048 for the large one, of 26,304. The concats beside those of the network are two
 * for the outputs and one for the corners of each head, and each head adds the cell and the
 * half; strides and anchors are constants of the decoding.
 */
static void detectors_agree_with_their_weight_files(void **state)
{
    (void)state;
    const uint64_t tiny_constants = 2 + 2 * 6 + 2 * (13 * 13 + 26 * 26);
    const uint64_t constants = 3 + 3 * 6 + 2 * (13 * 13 + 26 * 26 + 52 * 52);
    check_detector(
        "yolov3_tiny",
        &(make_up){ .convs = 13,
                    .max_pools = 6,
                    .batch_norms = 11,
                    .concats = 1 + 2 + 2,
                    .adds = 2 * 2,
                    .parameters = (35434956 - 20) / 4 - 2 * 3184 + tiny_constants },
        2535);
    check_detector(
        "yolov3",
        &(make_up){ .convs = 75,
                    .batch_norms = 72,
                    .concats = 2 + 3 + 2,
                    .adds = 23 + 3 * 2,
                    .parameters = (248007048 - 20) / 4 - 2 * 26304 + constants },
        10647);
}

static void detectors_choose_boxes(void **state)
{
    (void)state;
    static const char *const names[] = { "yolov3_tiny_nms", "yolov3_nms" };
    for (int k = 0; k < 2; k++) {
        hsched_graph *graph = build(names[k], 1);
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        assert_int_equal(hsched_graph_output_count(graph), 3);
        assert_int_equal(
            hsched_graph_tensor_info(graph, hsched_graph_output(graph, 2), &info),
            HSCHED_OK);
        assert_string_equal(info.name, "selected");
        assert_int_equal(info.dtype, HSCHED_INT64);
        assert_int_equal(info.dims[0], 80 * 100);
        hsched_graph_destroy(graph);
    }
}

/* As PyTorch counts them: each gate has weights for inputs and states, and two biases. The
 * vocabulary has 25000 tokens of 300 numbers. */
static void text_classifiers_are_as_described(void **state)
{
    (void)state;
    static const char *const names[] = { "text_bilstm", "text_gru" };
    const uint64_t parameters[] = {
        25000 * 300 + 2 * 4 * 256 * (300 + 256 + 2) + 4 * (512 + 1),
        25000 * 300 + 3 * 256 * (300 + 256 + 2) + 3 * 256 * (256 + 256 + 2) +
            4 * (256 + 1),
    };
    for (int i = 0; i < 2; i++) {
        hsched_graph *graph = build(names[i], 1);
        compare(graph,
                &(make_up){ .fcs = 1, .softmaxes = 1, .parameters = parameters[i] });
        assert_int_equal(hsched_graph_input_count(graph), 1);
        check_typed(graph, hsched_graph_input(graph, 0), "input", HSCHED_INT64, 2,
                    (const int64_t[]){ 1, 64 });
        check_output(graph, 2, (const int64_t[]){ 1, 4 });
        hsched_graph_destroy(graph);
    }
}

/* As timm counts deit_tiny_patch16_224; the factor of the queries in each block is counted
 * besides. */
static void the_vision_transformer_agrees_with_timm(void **state)
{
    (void)state;
    check_make_up("vit_tiny", &(make_up){ .convs = 1,
                                          .fcs = 1,
                                          .softmaxes = 12 + 1,
                                          .concats = 1,
                                          .adds = 1 + 12 * (2 + 4),
                                          .parameters = 5717416 + 12 });
}

static void check_macs(const char *name, double expected, double tolerance)
{
    hsched_graph *graph = build(name, 1);
    double macs = (double)count(graph).macs / 1e9;
    print_message("%s: %.3f GMAC, published %.3f\n", name, macs, expected);
    assert_true(macs > expected - tolerance && macs < expected + tolerance);
    hsched_graph_destroy(graph);
}

static void macs_agree_with_publications(void **state)
{
    (void)state;
    check_macs("inception_v3", 5.713, 0.001);
    check_macs("efficientnet_b0", 0.386, 0.001);
    check_macs("shufflenet_v2", 0.145, 0.001);
    check_macs("vit_tiny", 1.26, 0.01);
    /* Half of what Darknet prints as BFLOPs, 5.56 and 65.86. */
    check_macs("yolov3_tiny", 2.78, 0.02);
    check_macs("yolov3", 32.93, 0.05);
}

/* FNV-1a over the bits of all constants. */
static uint64_t digest(const hsched_graph *graph, uint64_t *elements)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    *elements = 0;
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        const hsi_graph_tensor *tensor = &graph->tensors[t];
        if (!tensor->data)
            continue;
        size_t size = hsched_dtype_size(tensor->dtype);
        for (uint32_t i = 0; i < tensor->rank; i++)
            size *= (size_t)tensor->dims[i];
        const unsigned char *bytes = tensor->data;
        for (size_t i = 0; i < size; i++)
            hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
        *elements += size / hsched_dtype_size(tensor->dtype);
    }
    return hash;
}

static void weights_depend_on_the_seed_alone(void **state)
{
    (void)state;
    static const char *const names[] = { "squeezenet1_1", "mobilenet_v2" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        hsched_graph *a = build(names[i], 7), *b = build(names[i], 7),
                     *c = build(names[i], 8);
        uint64_t elements_a, elements_b, elements_c;
        uint64_t digest_a = digest(a, &elements_a);
        assert_true(elements_a > 1000000);
        assert_true(digest_a == digest(b, &elements_b));
        assert_true(digest_a != digest(c, &elements_c));
        assert_true(elements_a == elements_b && elements_a == elements_c);
        hsched_graph_destroy(a);
        hsched_graph_destroy(b);
        hsched_graph_destroy(c);
    }
}

/* The first weights of a seed, as splitmix64's reference program gives them: pins the
 * bits for other machines and compilers. */
static void weights_are_pinned(void **state)
{
    (void)state;
    hsched_graph *graph = build("mlp", 0);
    hsched_tensor weights;
    assert_int_equal(hsched_graph_find_tensor(graph, "fc1.weight", &weights), HSCHED_OK);
    const float *w = graph->tensors[weights].data;
    /* splitmix64 from 0: e220a8397b1dcdaf, 6e789e6aa1b965f4; all weights of a filter lose
     * its mean, so differences show the generator: 2^-24 * radius * (difference of the 25
     * bits). */
    int32_t first[4] = { 0xe220a8397b1dcdafull >> 39, 0xe220a8397b1dcdafull & 0x1ffffff,
                         0x6e789e6aa1b965f4ull >> 39, 0x6e789e6aa1b965f4ull & 0x1ffffff };
    double radius = 0.1059556; /* sqrt(3 * 2.933884 / 784) */
    for (int i = 1; i < 4; i++) {
        double expected = radius * (first[i] - first[0]) / 16777216.0;
        assert_true((w[i] - w[0]) - expected < 1e-6 && expected - (w[i] - w[0]) < 1e-6);
    }
    hsched_graph_destroy(graph);
}

static void unknown_names_are_refused(void **state)
{
    (void)state;
    hsched_graph *graph = (hsched_graph *)state; /* anything but NULL */
    assert_int_equal(zoo_build("resnet", 1, &graph), HSCHED_ERROR_NOT_FOUND);
    assert_null(graph);
    assert_int_equal(zoo_build(NULL, 1, &graph), HSCHED_ERROR_INVALID_ARGUMENT);
    assert_int_equal(zoo_build("mlp", 1, NULL), HSCHED_ERROR_INVALID_ARGUMENT);
    assert_int_equal(zoo_count(), 23);
    assert_null(zoo_name(zoo_count()));
    assert_null(zoo_describe(zoo_count()));
    for (uint32_t i = 0; i < zoo_count(); i++)
        assert_true(strlen(zoo_name(i)) > 0 && strlen(zoo_describe(i)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_agree_with_kim_2021),
        cmocka_unit_test(counts_agree_with_torchvision),
        cmocka_unit_test(newer_counts_agree_with_torchvision),
        cmocka_unit_test(the_mlp_is_as_described),
        cmocka_unit_test(the_unet_is_as_described),
        cmocka_unit_test(detectors_agree_with_their_weight_files),
        cmocka_unit_test(detectors_choose_boxes),
        cmocka_unit_test(text_classifiers_are_as_described),
        cmocka_unit_test(the_vision_transformer_agrees_with_timm),
        cmocka_unit_test(macs_agree_with_publications),
        cmocka_unit_test(weights_depend_on_the_seed_alone),
        cmocka_unit_test(weights_are_pinned),
        cmocka_unit_test(unknown_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
