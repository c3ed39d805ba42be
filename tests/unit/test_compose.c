/* Layers that are made of others: cut, repeated, blocks of pixels, one-hot. */
#include "common/support.h"
#include "graph/graph.h"

static hsched_graph *new_graph(uint32_t rank, const int64_t *dims, hsched_tensor *x)
{
    hsched_graph *g;
    assert_ok(hsched_graph_create("net", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_INT32, rank, dims, x));
    return g;
}

/* Runs the graph, whose elements are 0, 1, 2 ..., and destroys it. */
static void expect(hsched_graph *g, size_t count, const hsched_tensor *outputs,
                   uint32_t output_count, const int32_t *const *expected)
{
    int32_t x[256], y[4][256];
    hsched_binding in = HSCHED_DATA(x, count * sizeof *x), out[4];
    hsched_runtime *rt;
    hsched_model *model;
    assert_in_range(count, 1, 256);
    for (size_t i = 0; i < count; i++)
        x[i] = (int32_t)i;
    for (uint32_t k = 0; k < output_count; k++)
        assert_ok(hsched_graph_add_output(g, outputs[k]));
    assert_ok(hsched_runtime_create(NULL, &rt));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    for (uint32_t k = 0; k < output_count; k++) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        assert_ok(hsched_model_output_info(model, k, &info));
        assert_in_range(info.byte_size, 4, sizeof y[k]);
        out[k] = (hsched_binding)HSCHED_DATA(y[k], info.byte_size);
        memset(y[k], 0xff, sizeof y[k]);
    }
    assert_ok(hsched_infer(model, &in, 1, out, output_count));
    for (uint32_t k = 0; k < output_count; k++)
        assert_memory_equal(y[k], expected[k], out[k].size);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
}

static void cut_into_parts(void **state)
{
    (void)state;
    const int32_t first[] = { 0, 4 }, second[] = { 1, 2, 3, 5, 6, 7 };
    const int32_t left[] = { 0, 1, 4, 5 }, right[] = { 2, 3, 6, 7 };
    hsched_tensor x, parts[4];
    hsched_graph *g = new_graph(2, (int64_t[]){ 2, 4 }, &x);
    assert_ok(hsched_graph_add_split(g, "s", x, 1, 2, (int64_t[]){ 1, 3 }, parts));
    assert_ok(hsched_graph_add_split(g, NULL, x, -1, 2, NULL, parts + 2));
    assert_string_equal(g->tensors[parts[1]].name, "s/1");
    expect(g, 8, parts, 4, (const int32_t *[]){ first, second, left, right });
}

static void repeated(void **state)
{
    (void)state;
    const int32_t wide[] = { 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3 };
    const int32_t both[] = { 0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3 };
    hsched_tensor x, y[2];
    hsched_graph *g = new_graph(2, (int64_t[]){ 2, 2 }, &x);
    assert_ok(hsched_graph_add_tile(g, "wide", x, (int64_t[]){ 1, 3 }, &y[0]));
    assert_ok(hsched_graph_add_tile(g, "both", x, (int64_t[]){ 2, 2 }, &y[1]));
    expect(g, 4, y, 2, (const int32_t *[]){ wide, both });
}

/* A dimension that is not repeated stays a symbol, in front of those that are. */
static void repeated_for_any_batch(void **state)
{
    (void)state;
    const int32_t expected[] = { 0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5 };
    hsched_graph *g;
    hsched_tensor x, y;
    hsched_runtime *rt;
    hsched_model *model;
    int64_t batch;
    int32_t in[6] = { 0, 1, 2, 3, 4, 5 }, out[12];
    const hsched_symbol three = { "batch", 3 };
    assert_ok(hsched_graph_create("net", &g));
    assert_ok(hsched_graph_set_symbol(g, "batch", 1, &batch));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_INT32, 2, (int64_t[]){ batch, 2 }, &x));
    assert_ok(hsched_graph_add_tile(g, "y", x, (int64_t[]){ 1, 2 }, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_runtime_create(NULL, &rt));
    assert_ok(hsched_model_compile(rt, g,
                                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                                           .symbols = &three,
                                                           .symbol_count = 1 },
                                   &model));
    hsched_binding from = HSCHED_DATA(in, sizeof in), to = HSCHED_DATA(out, sizeof out);
    assert_ok(hsched_infer(model, &from, 1, &to, 1));
    assert_memory_equal(out, expected, sizeof out);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
}

/* Against loops over the definition; back gives what there was. */
static void blocks_of_pixels(void **state)
{
    (void)state;
    enum {
        N = 2,
        C = 3,
        S = 2,
        H = 2,
        W = 3
    };
    int32_t dcr[N * C * S * S * H * W], crd[N * C * S * S * H * W];
    int32_t same[N * C * S * S * H * W];
    for (int i = 0; i < N * C * S * S * H * W; i++) {
        const int w = i % (W * S), h = i / (W * S) % (H * S);
        const int c = i / (W * S * H * S) % C, n = i / (W * S * H * S * C);
        const int inner = h % S * S + w % S, pixel = h / S * W + w / S;
        dcr[i] = ((n * S * S + inner) * C + c) * H * W + pixel;
        crd[i] = ((n * C + c) * S * S + inner) * H * W + pixel;
        same[i] = i;
    }
    hsched_tensor x, y[4];
    hsched_graph *g = new_graph(4, (int64_t[]){ N, C * S * S, H, W }, &x);
    for (int k = 0; k < 2; k++) {
        const hsched_block_order order =
            k ? HSCHED_BLOCK_ORDER_CRD : HSCHED_BLOCK_ORDER_DCR;
        assert_ok(hsched_graph_add_depth_to_space(g, NULL, x, S, order, &y[k]));
        assert_ok(hsched_graph_add_space_to_depth(g, NULL, y[k], S, order, &y[2 + k]));
    }
    expect(g, sizeof same / sizeof *same, y, 4,
           (const int32_t *[]){ dcr, crd, same, same });
}

/* 0 to 5 as indices into 4 places, and each of them less 3. */
static void one_hot(void **state)
{
    (void)state;
    int32_t across[6 * 4], behind[6 * 4];
    hsched_tensor x, three, less, y[2];
    const int32_t shift = -3;
    hsched_graph *g = new_graph(2, (int64_t[]){ 2, 3 }, &x);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 4; k++) {
            across[(i / 3 * 4 + k) * 3 + i % 3] = i == k;
            behind[i * 4 + k] = i < 3 ? i + 1 == k : i - 3 == k;
        }
    assert_ok(hsched_graph_add_constant(g, "c", HSCHED_INT32, 0, NULL, &shift,
                                        sizeof shift, HSCHED_DATA_COPY, &three));
    assert_ok(hsched_graph_add_binary(g, "l", HSCHED_BINARY_ADD, x, three, &less));
    assert_ok(hsched_graph_add_one_hot(g, "o", x, 4, 1, HSCHED_INT32, &y[0]));
    assert_ok(hsched_graph_add_one_hot(g, NULL, less, 4, -1, HSCHED_INT32, &y[1]));
    expect(g, 6, y, 2, (const int32_t *[]){ across, behind });
}

static void one_hot_of_any_type(void **state)
{
    (void)state;
    const int64_t x[3] = { 1, -4, 7 };
    const float expected[9] = { 0, 1, 0 };
    const uint8_t bits[9] = { 0, 1, 0 };
    float y[9];
    uint8_t z[9];
    hsched_graph *g;
    hsched_tensor a, t[2];
    hsched_runtime *rt;
    hsched_model *model;
    hsched_binding in = HSCHED_DATA((void *)(uintptr_t)x, sizeof x);
    hsched_binding out[2] = { HSCHED_DATA(y, sizeof y), HSCHED_DATA(z, sizeof z) };
    assert_ok(hsched_graph_create("net", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_INT64, 1, (int64_t[]){ 3 }, &a));
    assert_ok(hsched_graph_add_one_hot(g, "y", a, 3, 1, HSCHED_FLOAT32, &t[0]));
    assert_ok(hsched_graph_add_one_hot(g, "z", a, 3, 1, HSCHED_BOOL, &t[1]));
    assert_ok(hsched_graph_add_output(g, t[0]));
    assert_ok(hsched_graph_add_output(g, t[1]));
    assert_ok(hsched_runtime_create(NULL, &rt));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    assert_ok(hsched_infer(model, &in, 1, out, 2));
    assert_memory_equal(y, expected, sizeof y);
    assert_memory_equal(z, bits, sizeof z);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
}

static void refuse(hsched_graph *g, hsched_status status, hsched_status wanted,
                   const char *text)
{
    assert_int_equal(status, wanted);
    if (!strstr(hsched_error_detail(), text))
        fail_msg("'%s' does not say '%s'", hsched_error_detail(), text);
    assert_int_equal(g->layer_count, 1);
    assert_int_equal(g->tensor_count, 2);
}

/* A failed call leaves the graph as it was. */
static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    hsched_tensor x, y, parts[4];
    hsched_graph *g = new_graph(4, (int64_t[]){ 1, 6, 4, 6 }, &x);
    const hsched_block_order dcr = HSCHED_BLOCK_ORDER_DCR;
    assert_ok(hsched_graph_add_transpose(g, "t", x, (int64_t[]){ 0, 1, 3, 2 }, &y));
    refuse(g, hsched_graph_add_depth_to_space(g, "d", x, 4, dcr, &y), HSCHED_ERROR_SHAPE,
           "layer 'd' (depth_to_space): the 6 channels");
    refuse(g, hsched_graph_add_depth_to_space(g, "d", x, 1 << 20, dcr, &y),
           HSCHED_ERROR_INVALID_ARGUMENT, "blocks of 1048576");
    refuse(g, hsched_graph_add_space_to_depth(g, "d", x, 4, dcr, &y), HSCHED_ERROR_SHAPE,
           "no blocks of 4");
    refuse(g, hsched_graph_add_space_to_depth(g, "d", x, 2, (hsched_block_order)7, &y),
           HSCHED_ERROR_INVALID_ARGUMENT, "no hsched_block_order");
    refuse(g, hsched_graph_add_space_to_depth(g, "t", x, 2, dcr, &y),
           HSCHED_ERROR_INVALID_ARGUMENT, "already has");
    assert_int_equal(y, HSCHED_NO_TENSOR);
    refuse(g, hsched_graph_add_tile(g, "r", x, (int64_t[]){ 1, 0, 1, 1 }, &y),
           HSCHED_ERROR_SHAPE, "layer 'r' (tile): dimension 1 is repeated 0 times");
    refuse(g, hsched_graph_add_tile(g, "r", x, (int64_t[]){ 1, INT64_MAX, 1, 1 }, &y),
           HSCHED_ERROR_LIMIT, "too large");
    /* The expansion is too large, when the first layer is there already. */
    refuse(g, hsched_graph_add_tile(g, "r", x, (int64_t[]){ 1, INT64_MAX / 8, 1, 1 }, &y),
           HSCHED_ERROR_LIMIT, "layer 'r' (tile)");
    refuse(g, hsched_graph_add_tile(g, "r", x, NULL, &y), HSCHED_ERROR_INVALID_ARGUMENT,
           "repeats is NULL");
    refuse(g, hsched_graph_add_split(g, "s", x, 1, 2, (int64_t[]){ 4, 3 }, parts),
           HSCHED_ERROR_SHAPE, "part 1 of 3 does not fit");
    refuse(g, hsched_graph_add_split(g, "s", x, 1, 2, (int64_t[]){ 4, 1 }, parts),
           HSCHED_ERROR_SHAPE, "leave 1");
    refuse(g, hsched_graph_add_split(g, "s", x, 3, 4, NULL, parts), HSCHED_ERROR_SHAPE,
           "no 4 equal parts");
    refuse(g, hsched_graph_add_split(g, "s", x, 4, 2, NULL, parts),
           HSCHED_ERROR_INVALID_ARGUMENT, "axis 4");
    assert_int_equal(parts[1], HSCHED_NO_TENSOR);
    refuse(g, hsched_graph_add_one_hot(g, "o", x, 4, 5, HSCHED_FLOAT32, &y),
           HSCHED_ERROR_INVALID_ARGUMENT, "layer 'o' (one_hot): axis 5");
    refuse(g, hsched_graph_add_one_hot(g, "o", x, 0, 1, HSCHED_FLOAT32, &y),
           HSCHED_ERROR_INVALID_ARGUMENT, "depth is 0");
    refuse(g, hsched_graph_add_one_hot(g, "o", x, 4, 1, (hsched_dtype)77, &y),
           HSCHED_ERROR_INVALID_ARGUMENT, "layer 'o' (one_hot)");
    assert_int_equal(y, HSCHED_NO_TENSOR);
    /* The names are free again. */
    assert_ok(hsched_graph_add_depth_to_space(g, "d", x, 1, dcr, &y));
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_into_parts),
        cmocka_unit_test(repeated),
        cmocka_unit_test(repeated_for_any_batch),
        cmocka_unit_test(blocks_of_pixels),
        cmocka_unit_test(one_hot),
        cmocka_unit_test(one_hot_of_any_type),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
