/* Where tensors lie: layouts, views, joint tensors, outputs; and that nothing is copied
 * in vain. */
#include "unit/plan_build.h"

static const hsi_plan_config nhwc_input = { .max_parts = 2,
                                            .input_layout = HSCHED_LAYOUT_NHWC };

static void assert_copies(const hsi_plan *plan, uint32_t expected)
{
    if (steps_of_kind(plan, HSCHED_STEP_COPY) == expected)
        return;
    for (uint32_t s = 0; s < plan->step_count; s++)
        print_message("step '%s'\n", plan->steps[s].step.name);
    fail_msg("%u copies, not %u", steps_of_kind(plan, HSCHED_STEP_COPY), expected);
}

/* Compiles for channels-last inputs and expects no more copies than given. */
static void assert_copies_of(const hsched_graph *g, uint32_t expected)
{
    hsi_plan *plan = plan_of(g, &nhwc_input);
    assert_copies(plan, expected);
    hsi_plan_destroy(plan);
}

static void test_input_is_converted_once(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = image(g, 3, 6, 6);
    hsched_tensor a = conv(g, "a", x, 4, 3), b = conv(g, "b", x, 4, 1);
    assert_ok(hsched_graph_add_output(g, binary(g, "add", HSCHED_BINARY_ADD, a, b)));
    hsi_plan *plan = plan_of(g, NULL);
    assert_copies(plan, 2); /* the input and, channels-last inside, the output */
    hsi_plan_destroy(plan);
    hsi_plan_config config = nhwc_input;
    config.output_layout = HSCHED_LAYOUT_NHWC;
    plan = plan_of(g, &config);
    assert_copies(plan, 0);
    assert_int_equal(plan->inputs[0].layout, HSCHED_LAYOUT_NHWC);
    assert_int_equal(plan->outputs[0].layout, HSCHED_LAYOUT_NHWC);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* With one channel or one pixel both layouts are the same. */
static void test_layouts_that_are_the_same(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y = conv(g, "conv", image(g, 1, 6, 6), 4, 3);
    assert_ok(hsched_graph_add_global_pool(g, "pool", HSCHED_POOL_AVERAGE, y, &y));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    assert_copies(plan, 0);
    assert_int_equal(plan->step_count, 2);
    assert_int_equal(plan->steps[1].out.storage, HSCHED_STORAGE_OUTPUT);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_flatten_before_fc_permutes_weights(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    const int64_t w[2] = { 5, 4 * 3 * 3 };
    hsched_tensor y = max_pool(g, "pool", conv(g, "conv", image(g, 3, 6, 6), 4, 3));
    assert_ok(hsched_graph_add_flatten(g, "flat", y, 1, &y));
    assert_ok(hsched_graph_add_fully_connected(g, "fc", y, constant(g, 2, w, 0.3f, 1),
                                               HSCHED_NO_TENSOR, &y));
    assert_ok(hsched_graph_add_output(g, y));
    assert_copies_of(g, 0);
    /* Somebody else wants the flat tensor in its logical order. */
    hsched_tensor soft;
    assert_ok(hsched_graph_find_tensor(g, "flat", &y));
    assert_ok(hsched_graph_add_softmax(g, "softmax", y, 1, &soft));
    assert_ok(hsched_graph_add_output(g, soft));
    assert_copies_of(g, 1);
    hsched_graph_destroy(g);
}

/* Squeeze and expand, the 1x1 and the 3x3 half of a fire module joined by channels. */
static void test_channel_concat_is_in_place(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y = image(g, 3, 8, 8);
    for (int k = 0; k < 3; k++) {
        y = relu(g, NULL, conv(g, NULL, y, 4, 1));
        hsched_tensor halves[2] = { relu(g, NULL, conv(g, NULL, y, 6, 1)),
                                    relu(g, NULL, conv(g, NULL, y, 7, 3)) };
        y = concat(g, NULL, halves, 2, 1);
    }
    y = conv(g, "classes", y, 5, 1);
    assert_ok(hsched_graph_add_global_pool(g, "pool", HSCHED_POOL_AVERAGE, y, &y));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, &nhwc_input);
    assert_copies(plan, 0);
    assert_int_equal(plan->step_count, 11);
    assert_int_equal(plan->steps[1].step.out.strides[3],
                     13); /* a pixel of the joint tensor */
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* Joins of joins, inside out. */
static void test_nested_concat(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = relu(g, "stem", conv(g, "conv", image(g, 3, 5, 5), 4, 3)), y = x;
    for (int k = 0; k < 4; k++)
        y = concat(g, NULL, (hsched_tensor[]){ y, conv(g, NULL, y, 3, 3) }, 2, 1);
    assert_ok(hsched_graph_add_output(g, conv(g, "last", y, 1, 1)));
    assert_copies_of(g, 0);
    hsched_graph_destroy(g);
}

/* Every layer reads the join of all before it: one joint tensor serves all joins. */
static void test_dense_block(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor all[6] = { max_pool(g, "stem", image(g, 4, 10, 10)) };
    for (uint32_t k = 1; k < 6; k++) {
        hsched_tensor y = k == 1 ? all[0] : concat(g, NULL, all, k, 1);
        y = conv(g, NULL, relu(g, NULL, batch_norm(g, NULL, y)), 8, 1);
        all[k] = conv(g, NULL, relu(g, NULL, batch_norm(g, NULL, y)), 3, 3);
    }
    hsched_tensor y = concat(g, "all", all, 6, 1);
    y = conv(g, "transition", relu(g, NULL, batch_norm(g, NULL, y)), 1, 1);
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, &nhwc_input);
    assert_copies(plan, 0);
    assert_int_equal(plan->step_count, 1 + 5 * 3 + 2);
    assert_int_equal(plan->steps[0].step.out.strides[3], 4 + 5 * 3);
    hsi_plan_destroy(plan);

    /* The first of the joined is the network's input, which stays where it is: one copy.
     */
    hsched_graph_destroy(g);
    g = new_graph();
    all[0] = image(g, 4, 5, 5);
    for (uint32_t k = 1; k < 4; k++)
        all[k] = conv(g, NULL, k == 1 ? all[0] : concat(g, NULL, all, k, 1), 3, 3);
    y = conv(g, "last", concat(g, "all", all, 4, 1), 1, 1);
    assert_ok(hsched_graph_add_output(g, y));
    assert_copies_of(g, 1);
    hsched_graph_destroy(g);
}

/* A detector: heads of each scale are turned to rows and joined; convolutions write the
 * rows. */
static void test_detector_heads(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = relu(g, NULL, conv(g, NULL, image(g, 3, 16, 12), 8, 3));
    hsched_tensor rows[2][3];
    for (int scale = 0; scale < 3; scale++) {
        for (int head = 0; head < 2; head++) {
            const int64_t perm[4] = { 0, 2, 3, 1 },
                          dims[3] = { 1, -1, head == 0 ? 2 : 4 };
            hsched_tensor y = conv(g, NULL, x, 3 * dims[2], 3);
            assert_ok(hsched_graph_add_transpose(g, NULL, y, perm, &y));
            assert_ok(hsched_graph_add_reshape(g, NULL, y, 3, dims, &rows[head][scale]));
        }
        x = relu(g, NULL, conv(g, NULL, max_pool(g, NULL, x), 8, 3));
    }
    hsched_tensor scores = concat(g, "all_scores", rows[0], 3, 1);
    assert_ok(hsched_graph_add_softmax(g, "scores", scores, 2, &scores));
    assert_ok(hsched_graph_add_output(g, scores));
    assert_ok(hsched_graph_add_output(g, concat(g, "boxes", rows[1], 3, 1)));
    hsi_plan *plan = plan_of(g, &nhwc_input);
    assert_copies(plan, 0);
    uint32_t into_outputs = 0;
    for (uint32_t s = 0; s < plan->step_count; s++)
        into_outputs += plan->steps[s].out.storage == HSCHED_STORAGE_OUTPUT;
    assert_int_equal(into_outputs, 4); /* softmax, and the three box heads */
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* Models made for channels-last tensors: transposes around every network are views. */
static void test_transposed_input(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    const int64_t dims[4] = { 1, 6, 5, 3 };
    hsched_tensor y = input(g, "x", 4, dims);
    assert_ok(hsched_graph_add_transpose(g, "in", y, (int64_t[]){ 0, 3, 1, 2 }, &y));
    y = conv(g, "conv", y, 4, 3);
    assert_ok(hsched_graph_add_transpose(g, "out", y, (int64_t[]){ 0, 2, 3, 1 }, &y));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    assert_copies(plan, 0);
    assert_int_equal(plan->step_count, 1);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* What cannot lie in two places is copied to the second. */
static void test_copies_that_must_be(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = image(g, 2, 4, 4), c = conv(g, "conv", x, 3, 3);
    const hsched_tensor twice[3] = { c, x, c };
    assert_ok(hsched_graph_add_output(
        g, conv(g, "last", concat(g, "join", twice, 3, 1), 1, 1)));
    assert_copies_of(g, 2);

    const char *const taps[] = { "x", "join", "conv", "conv" };
    hsi_plan_config config = nhwc_input;
    config.output_layout = HSCHED_LAYOUT_NHWC;
    config.taps = taps;
    config.tap_count = 4;
    hsi_plan *plan = plan_of(g, &config);
    /* Taps: the input; conv twice, of which one or the slice of join is the original. */
    assert_copies(plan, 5);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_slices_are_views(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor c = conv(g, "conv", image(g, 3, 6, 6), 8, 3), halves[2];
    for (int64_t k = 0; k < 2; k++)
        assert_ok(hsched_graph_add_slice(g, NULL, c, 1, (int64_t[]){ 4 * k },
                                         (int64_t[]){ 4 * k + 4 }, (int64_t[]){ 1 }, NULL,
                                         &halves[k]));
    hsched_tensor y =
        binary(g, "add", HSCHED_BINARY_ADD, conv(g, "left", halves[0], 4, 3), halves[1]);
    assert_ok(hsched_graph_add_global_pool(g, "pool", HSCHED_POOL_MAX, y, &y));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, &nhwc_input);
    assert_copies(plan, 0);
    assert_int_equal(step_named(plan, "left+add")->step.in[3].strides[3], 8);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* Heads of an attention: parts of one product with the weights, read where they are; what they see
 * is written to where the next product reads rows. `seen_twice`: not where others read it, too. */
static hsi_plan *plan_of_heads(hsched_graph *g, int seen_twice)
{
    const int64_t weights[2] = { 24, 72 }, back[2] = { 24, 24 };
    hsched_tensor x = input(g, "x", 3, (int64_t[]){ 2, 5, 24 }), part[3], y;
    assert_ok(hsched_graph_add_matmul(g, "qkv", x, constant(g, 2, weights, 0.2f, 1), &y));
    assert_ok(hsched_graph_add_reshape(g, NULL, y, 5, (int64_t[]){ 2, 5, 3, 4, 6 }, &y));
    assert_ok(hsched_graph_add_transpose(g, NULL, y, (int64_t[]){ 2, 0, 3, 1, 4 }, &y));
    for (int64_t k = 0; k < 3; k++) {
        assert_ok(hsched_graph_add_slice(g, NULL, y, 1, &k, (int64_t[]){ k + 1 }, NULL,
                                         NULL, &part[k]));
        assert_ok(
            hsched_graph_add_squeeze(g, NULL, part[k], 1, (int64_t[]){ 0 }, &part[k]));
    }
    assert_ok(hsched_graph_add_transpose(g, NULL, part[1], (int64_t[]){ 0, 1, 3, 2 },
                                         &part[1]));
    assert_ok(hsched_graph_add_matmul(g, "scores", part[0], part[1], &y));
    assert_ok(hsched_graph_add_softmax(g, "softmax", y, 3, &y));
    assert_ok(hsched_graph_add_matmul(g, "seen", y, part[2], &y));
    if (seen_twice)
        assert_ok(hsched_graph_add_output(g, y));
    assert_ok(hsched_graph_add_transpose(g, NULL, y, (int64_t[]){ 0, 2, 1, 3 }, &y));
    assert_ok(hsched_graph_add_reshape(g, NULL, y, 3, (int64_t[]){ 2, 5, 24 }, &y));
    assert_ok(hsched_graph_add_matmul(g, "proj", y, constant(g, 2, back, 0.2f, 2), &y));
    assert_ok(hsched_graph_add_output(g, y));
    return plan_of(g, NULL);
}

static void test_heads_are_written_into_their_columns(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsi_plan *plan = plan_of_heads(g, 0);
    assert_copies(plan, 0);
    const int64_t *strides = step_named(plan, "seen")->step.out.strides;
    assert_int_equal(strides[1], 6);
    assert_int_equal(strides[2], 24);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
    g = new_graph();
    plan = plan_of_heads(g, 1);
    assert_copies(plan, 1);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* BatchNorm and a pooling of whole images read dense ones as they are. */
static void test_dense_images_stay(void **state)
{
    (void)state;
    for (int with_conv = 0; with_conv < 2; with_conv++) {
        hsched_graph *g = new_graph();
        hsched_tensor y = image(g, 3, 6, 6);
        if (with_conv)
            y = max_pool(g, "inner", conv(g, "conv", y, 4, 3));
        y = batch_norm(g, "norm", y);
        assert_ok(hsched_graph_add_global_pool(g, "pool", HSCHED_POOL_AVERAGE, y, &y));
        assert_ok(hsched_graph_add_output(g, y));
        hsi_plan *plan = plan_of(g, NULL);
        const hsched_step *pool = &step_named(plan, "pool")->step;
        assert_copies(plan, with_conv);
        assert_int_equal(pool->kind, with_conv ? HSCHED_STEP_POOL2D : HSCHED_STEP_REDUCE);
        if (!with_conv)
            assert_int_equal(pool->u.reduce.kind, HSCHED_REDUCE_MEAN);
        hsi_plan_destroy(plan);
        hsched_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_is_converted_once),
        cmocka_unit_test(test_layouts_that_are_the_same),
        cmocka_unit_test(test_flatten_before_fc_permutes_weights),
        cmocka_unit_test(test_channel_concat_is_in_place),
        cmocka_unit_test(test_nested_concat),
        cmocka_unit_test(test_dense_block),
        cmocka_unit_test(test_detector_heads),
        cmocka_unit_test(test_transposed_input),
        cmocka_unit_test(test_copies_that_must_be),
        cmocka_unit_test(test_slices_are_views),
        cmocka_unit_test(test_heads_are_written_into_their_columns),
        cmocka_unit_test(test_dense_images_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
