/* Which operands of steps are known to lie on levels. */
#include "unit/plan_build.h"

#define STEP   0.03125f
#define LOWEST -100.0f

static hsched_tensor quantise(hsched_graph *g, const char *name, hsched_tensor x,
                              float step, float lowest)
{
    hsched_tensor y;
    const hsched_activation act = { HSCHED_ACTIVATION_FAKE_QUANTIZE, step, lowest };
    assert_ok(hsched_graph_add_activation(g, name, x, act, &y));
    return y;
}

static hsched_tensor quantised_conv(hsched_graph *g, const char *name, hsched_tensor x)
{
    return quantise(g, "q", conv(g, name, x, 4, 3), STEP, LOWEST);
}

/* y is read by a convolution: are its levels known there? */
static void expect_levels(hsched_graph *g, hsched_tensor y, float step)
{
    assert_ok(hsched_graph_add_output(g, conv(g, "reader", y, 4, 3)));
    hsi_plan *plan = plan_of(g, NULL);
    const hsched_operand *x = &step_named(plan, "reader")->step.in[0];
    assert_true(x->levels.step == step);
    assert_true(x->levels.lowest == (step != 0 ? LOWEST : 0));
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void nothing_is_known_of_an_input(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    expect_levels(g, image(g, 3, 8, 8), 0);
}

static void a_quantised_result_is_on_its_levels(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    expect_levels(g, quantised_conv(g, "conv", image(g, 3, 8, 8)), STEP);
    g = new_graph();
    expect_levels(g, quantise(g, "q", image(g, 3, 8, 8), STEP, LOWEST), STEP);
}

static void moved_and_picked_ones_are_on_them(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y = quantised_conv(g, "conv", image(g, 3, 8, 8));
    assert_ok(hsched_graph_add_transpose(g, "turn", y, (int64_t[]){ 0, 1, 3, 2 }, &y));
    y = relu(g, "relu", max_pool(g, "pool", y));
    expect_levels(g, y, STEP);
}

static void sums_are_not(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y = quantised_conv(g, "conv", image(g, 3, 8, 8));
    expect_levels(g, binary(g, "add", HSCHED_BINARY_ADD, y, y), 0);
    g = new_graph();
    y = quantised_conv(g, "conv", image(g, 3, 8, 8));
    expect_levels(g, conv(g, "between", y, 4, 1), 0);
}

/* Joined ones are if all are on the same. */
static void joined_ones_are_on_common_levels(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        hsched_graph *g = new_graph();
        hsched_tensor x = image(g, 3, 8, 8);
        const hsched_tensor two[] = { quantised_conv(g, "a", x),
                                      quantise(g, "p", conv(g, "b", x, 4, 1),
                                               same ? STEP : STEP / 2, LOWEST) };
        expect_levels(g, concat(g, "join", two, 2, 1), same ? STEP : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_of_an_input),
        cmocka_unit_test(a_quantised_result_is_on_its_levels),
        cmocka_unit_test(moved_and_picked_ones_are_on_them),
        cmocka_unit_test(sums_are_not),
        cmocka_unit_test(joined_ones_are_on_common_levels),
    };
    return cmocka_run_group_tests_name("plan levels", tests, NULL, NULL);
}
