/* What becomes one step, and what must not. */
#include "unit/plan_build.h"

static void test_conv_bn_relu(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y = conv(g, "conv", image(g, 3, 6, 6), 4, 3);
    y = relu(g, "relu", batch_norm(g, "bn", y));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    const hsi_plan_step *s = step_named(plan, "conv+bn+relu");
    assert_int_equal(s->step.act.kind, HSCHED_ACTIVATION_RELU);
    assert_int_equal(s->step.input_count, 3);
    assert_int_equal(s->tensor, y);
    assert_int_equal(s->step.macs, 6 * 6 * 4 * 3 * 9);
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_SCALE), 0);
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_UNARY), 0);
    hsi_plan_destroy(plan);
    const hsi_plan_config plain = { .max_parts = 1, .no_fusion = 1 };
    plan = plan_of(g, &plain);
    step_named(plan, "conv");
    step_named(plan, "bn");
    step_named(plan, "relu");
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_norm_relu(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y;
    assert_ok(hsched_graph_add_instance_norm(
        g, "norm", image(g, 3, 6, 6), HSCHED_NO_TENSOR, HSCHED_NO_TENSOR, 1e-5f, &y));
    assert_ok(hsched_graph_add_output(g, relu(g, "relu", y)));
    hsi_plan *plan = plan_of(g, NULL);
    const hsi_plan_step *s = step_named(plan, "norm+relu");
    assert_int_equal(s->step.kind, HSCHED_STEP_NORM);
    assert_int_equal(s->step.act.kind, HSCHED_ACTIVATION_RELU);
    assert_int_equal(s->step.u.norm.groups, 3);
    assert_int_equal(plan->step_count, 1);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* Identity block: the residual is there before and dies, so the sum is in place. */
static void test_residual(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = relu(g, "first", conv(g, "stem", image(g, 3, 6, 6), 4, 3));
    hsched_tensor y = relu(g, "relu1", conv(g, "conv1", x, 4, 3));
    y = batch_norm(g, "bn", conv(g, "conv2", y, 4, 3));
    y = relu(g, "relu2", binary(g, "add", HSCHED_BINARY_ADD, x, y));
    y = conv(g, "last", y, 2, 1);
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    const hsi_plan_step *s = step_named(plan, "conv2+bn+add+relu2");
    assert_int_equal(s->step.input_count, 4);
    assert_int_equal(s->step.out_aliases, 3);
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_BINARY), 0);
    hsi_plan_destroy(plan);

    /* A section each: nothing may overwrite what another section made. */
    hsi_plan_config config = { .max_parts = 1, .preserve_section_inputs = 1 };
    plan = plan_of(g, &config);
    assert_int_equal(plan->section_count, 1);
    assert_int_equal(step_named(plan, "conv2+bn+add+relu2")->step.out_aliases, 3);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static int cut_everywhere(uint32_t before, uint32_t after)
{
    (void)before;
    (void)after;
    return 1;
}

static void test_preserved_inputs_are_not_overwritten(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = conv(g, "stem", image(g, 3, 6, 6), 4, 3);
    hsched_tensor y = conv(g, "conv1", relu(g, "relu0", conv(g, "conv0", x, 4, 1)), 4, 3);
    y = binary(g, "add", HSCHED_BINARY_ADD, x, y);
    hsched_tensor z;
    assert_ok(hsched_graph_add_softmax(g, "softmax", y, 1, &z));
    z = relu(g, "relu", z);
    assert_ok(hsched_graph_add_output(g, conv(g, "last", z, 2, 1)));
    hsi_plan_config config = { .max_parts = 1, .cut = cut_everywhere };
    hsi_plan *plan = plan_of(g, &config);
    assert_int_equal(plan->section_count, plan->step_count);
    assert_int_equal(step_named(plan, "conv1+add")->step.out_aliases, 3);
    assert_int_equal(step_named(plan, "relu")->step.out_aliases, 0);
    hsi_plan_destroy(plan);
    config.preserve_section_inputs = 1;
    plan = plan_of(g, &config);
    assert_int_equal(step_named(plan, "conv1+add")->step.out_aliases, -1);
    assert_int_equal(step_named(plan, "relu")->step.out_aliases, -1);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* A convolution must not overwrite what it still reads. */
static void test_own_input_as_residual(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = conv(g, "stem", image(g, 3, 6, 6), 4, 3);
    hsched_tensor y = binary(g, "add", HSCHED_BINARY_ADD, x, conv(g, "conv", x, 4, 3));
    assert_ok(hsched_graph_add_output(g, conv(g, "last", y, 2, 1)));
    hsi_plan *plan = plan_of(g, NULL);
    assert_int_equal(step_named(plan, "conv+add")->step.out_aliases, -1);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* The other operand of the sum comes later: its own convolution takes it, or this one
 * moves. */
/* A block with a projection: the sum is the longer branch's, and the projection waits for none of
 * it; nor does its memory. */
static void test_projection_runs_beside(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = relu(g, "stem", conv(g, "first", image(g, 4, 6, 6), 4, 3));
    hsched_tensor y = relu(g, "relu1", conv(g, "conv1", x, 4, 3));
    y = batch_norm(g, "bn2", conv(g, "conv2", y, 4, 3));
    hsched_tensor side = batch_norm(g, "side_bn", conv(g, "side", x, 4, 1));
    y = relu(g, "relu2", binary(g, "add", HSCHED_BINARY_ADD, y, side));
    assert_ok(hsched_graph_add_output(g, conv(g, "last", y, 4, 1)));
    hsi_plan_config config = { .max_parts = 1, .parallel_steps = 1 };
    hsi_plan *plan = plan_of(g, &config);
    const hsi_plan_step *sum = step_named(plan, "conv2+bn2+add+relu2");
    const hsi_plan_step *projection = step_named(plan, "side+side_bn");
    const hsi_plan_step *first = step_named(plan, "conv1+relu1");
    assert_int_equal(sum->step.input_count, 4);
    assert_int_equal(projection->writer_count[0], 1);
    assert_true(projection->writers[0][0] == first->writers[0][0]);
    assert_true(projection->out.offset != first->out.offset);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_residual_that_comes_later(void **state)
{
    (void)state;
    for (int with_pool = 0; with_pool < 2; with_pool++) {
        hsched_graph *g = new_graph();
        hsched_tensor x = relu(g, "stem", image(g, 4, 6, 6));
        hsched_tensor main_path = batch_norm(g, "bn", conv(g, "main", x, 4, 3));
        hsched_tensor side;
        hsched_pool2d_config same = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 3, 3 },
                                      .pads = { 1, 1, 1, 1 } };
        if (with_pool)
            assert_ok(
                hsched_graph_add_pool2d(g, "side", HSCHED_POOL_MAX, x, &same, &side));
        else
            side = batch_norm(g, "side_bn", conv(g, "side", x, 4, 1));
        hsched_tensor y = binary(g, "add", HSCHED_BINARY_ADD, main_path, side);
        assert_ok(hsched_graph_add_output(g, relu(g, "relu", y)));
        hsi_plan *plan = plan_of(g, NULL);
        step_named(plan, with_pool ? "main+bn+add+relu" : "side+side_bn+add+relu");
        step_named(plan, with_pool ? "side" : "main+bn");
        hsi_plan_destroy(plan);
        hsched_graph_destroy(g);
    }
}

/* What somebody else wants to see stays as it is. */
static void test_users_and_taps_stop_fusion(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor c = conv(g, "conv", image(g, 3, 6, 6), 4, 3);
    hsched_tensor y = relu(g, "relu", batch_norm(g, "bn", c));
    assert_ok(hsched_graph_add_output(g, y));
    const char *tap = "conv";
    hsi_plan_config config = { .max_parts = 1, .taps = &tap, .tap_count = 1 };
    hsi_plan *plan = plan_of(g, &config);
    assert_int_equal(plan->output_count, 2);
    assert_string_equal(plan->outputs[1].name, "conv");
    step_named(plan, "conv");
    step_named(plan, "bn+relu");
    hsi_plan_destroy(plan);
    tap = "bn";
    plan = plan_of(g, &config);
    step_named(plan, "conv+bn");
    step_named(plan, "relu");
    hsi_plan_destroy(plan);
    tap = "relu"; /* an output already: it is there twice */
    plan = plan_of(g, &config);
    step_named(plan, "conv+bn+relu");
    hsi_plan_destroy(plan);

    hsched_tensor other;
    assert_ok(hsched_graph_add_softmax(g, "other", c, 1, &other));
    assert_ok(hsched_graph_add_output(g, other));
    plan = plan_of(g, NULL);
    step_named(plan, "conv");
    step_named(plan, "bn+relu");
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_constant_arithmetic_is_folded(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    const int64_t channels[3] = { 4, 1, 1 }, one = 1;
    hsched_tensor y = conv(g, "conv", image(g, 3, 5, 5), 4, 3);
    y = binary(g, "mul", HSCHED_BINARY_MUL, y, constant(g, 3, channels, 1, 1));
    y = binary(g, "sub", HSCHED_BINARY_SUB, constant(g, 1, &one, 1, 2), y);
    y = binary(g, "add", HSCHED_BINARY_ADD, y, constant(g, 3, channels, 1, 3));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    step_named(plan, "conv+mul+sub+add");
    assert_int_equal(plan->constants_size, 0);
    hsi_plan_destroy(plan);

    /* Along W it is no affine map of the channels. */
    const int64_t width = 5;
    y = binary(g, "wide", HSCHED_BINARY_ADD, y, constant(g, 1, &width, 1, 3));
    assert_ok(hsched_graph_add_output(g, y));
    plan = plan_of(g, NULL);
    step_named(plan, "wide");
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* A transformer's projection: [B,S,K] x [K,N] + bias, GELU. */
static void test_matmul_with_constant(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    const int64_t x_dims[3] = { 2, 3, 8 }, w_dims[2] = { 8, 6 }, n = 6;
    hsched_tensor y, x = input(g, "x", 3, x_dims);
    assert_ok(
        hsched_graph_add_matmul(g, "project", x, constant(g, 2, w_dims, 0.5f, 1), &y));
    y = binary(g, "bias", HSCHED_BINARY_ADD, y, constant(g, 1, &n, 0.5f, 2));
    const hsched_activation gelu = { .kind = HSCHED_ACTIVATION_GELU };
    assert_ok(hsched_graph_add_activation(g, "gelu", y, gelu, &y));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    const hsi_plan_step *s = step_named(plan, "project+bias+gelu");
    assert_int_equal(plan->step_count, 1);
    assert_int_equal(s->step.kind, HSCHED_STEP_FC);
    assert_int_equal(s->step.out.dims[0], 6);
    assert_int_equal(s->out.storage, HSCHED_STORAGE_OUTPUT);
    assert_int_equal(s->step.macs, 2 * 3 * 8 * 6);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_zero_pad_joins_the_convolution(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    const int64_t before[4] = { 0, 0, 0, 1 }, after[4] = { 0, 0, 1, 0 };
    hsched_tensor y, x = image(g, 3, 6, 6);
    hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT, .strides = { 2, 2 } };
    const int64_t dims[4] = { 4, 3, 3, 3 };
    assert_ok(hsched_graph_add_pad(g, "pad", x, before, after, HSCHED_PAD_MODE_CONSTANT,
                                   0, &y));
    assert_ok(hsched_graph_add_conv2d(g, "conv", y, constant(g, 4, dims, 0.2f, 1),
                                      HSCHED_NO_TENSOR, &config, &y));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    const int64_t *pads = step_named(plan, "pad+conv")->step.u.conv2d.pads;
    assert_true(pads[0] == 0 && pads[1] == 1 && pads[2] == 1 && pads[3] == 0);
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_PAD), 0);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_constants_are_evaluated(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    const int64_t dims[2] = { 4, 6 }, turned_dims[2] = { 6, 4 };
    hsched_tensor c = constant(g, 2, dims, 1, 1), y, x = input(g, "x", 2, turned_dims);
    assert_ok(hsched_graph_add_transpose(g, "turn", c, NULL, &y));
    y = relu(g, "relu", y);
    y = concat(g, "join", (hsched_tensor[]){ y, y }, 2, 1);
    assert_ok(hsched_graph_add_slice(g, "slice", y, 1, (int64_t[]){ 2 }, (int64_t[]){ 6 },
                                     (int64_t[]){ 1 }, NULL, &y));
    assert_ok(hsched_graph_add_output(g, binary(g, "max", HSCHED_BINARY_MAX, x, y)));
    const char *taps[2] = { "slice", "join" };
    hsi_plan *plan = plan_of(g, NULL);
    assert_int_equal(plan->step_count, 1);
    assert_int_equal(plan->steps[0].in[1].storage, HSCHED_STORAGE_CONSTANT);
    assert_null(plan->steps[0].step.in[1].constant);
    hsi_plan_destroy(plan);
    hsi_plan_config config = { .max_parts = 1, .taps = taps, .tap_count = 2 };
    plan = plan_of(g, &config); /* compares the folded constants */
    assert_int_equal(plan->step_count, 3);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_bn_relu),
        cmocka_unit_test(test_norm_relu),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_preserved_inputs_are_not_overwritten),
        cmocka_unit_test(test_own_input_as_residual),
        cmocka_unit_test(test_projection_runs_beside),
        cmocka_unit_test(test_residual_that_comes_later),
        cmocka_unit_test(test_users_and_taps_stop_fusion),
        cmocka_unit_test(test_constant_arithmetic_is_folded),
        cmocka_unit_test(test_matmul_with_constant),
        cmocka_unit_test(test_zero_pad_joins_the_convolution),
        cmocka_unit_test(test_constants_are_evaluated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
