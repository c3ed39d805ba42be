/* Plans as a whole: descriptions, errors, sections, the life of constants, failing
 * allocations. */
#include "unit/plan_build.h"

#include "base/alloc.h"
#include "unit/random_graph.h"

static void test_errors(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = image(g, 3, 4, 4);
    hsi_plan *plan = (hsi_plan *)g;
    hsi_plan_config config = { .max_parts = 1 };
    assert_fails(hsi_plan_create(g, &config, &plan), HSCHED_ERROR_STATE, "no outputs");
    assert_null(plan);
    assert_ok(hsched_graph_add_output(g, conv(g, "conv", x, 4, 3)));
    const char *taps[2] = { "conv", "nothing" };
    config.taps = taps;
    config.tap_count = 2;
    assert_fails(hsi_plan_create(g, &config, &plan), HSCHED_ERROR_NOT_FOUND, "'nothing'");
    assert_null(plan);
    hsi_plan_destroy(NULL);
    hsched_graph_destroy(g);
}

static void test_descriptions(void **state)
{
    (void)state;
    hsched_graph *g = new_graph(), *special;
    int64_t batch;
    hsi_plan *plan;
    assert_ok(hsched_graph_set_symbol(g, "batch", 1, &batch));
    hsched_tensor y, x = input(g, "x", 4, (int64_t[]){ batch, 3, 4, 5 });
    const hsched_image_config frame = { HSCHED_IMAGE_CONFIG_INIT };
    assert_ok(hsched_graph_add_image_input(g, "frame", 1, 4, 5, 3, &frame, &y));
    assert_ok(hsched_graph_add_output(g, binary(g, "sum", HSCHED_BINARY_ADD, x, y)));
    const hsched_symbol three = { "batch", 3 };
    assert_ok(hsi_graph_specialise(g, &three, 1, &special));
    const hsi_plan_config config = { .max_parts = 1, .input_layout = HSCHED_LAYOUT_NHWC };
    assert_ok(hsi_plan_create(special, &config, &plan));
    assert_null(plan_compare(special, plan, 3, 0));
    hsched_graph_destroy(special);
    hsched_graph_destroy(g);
    /* The plan stands on its own but for constants. */
    assert_int_equal(plan->input_count, 2);
    assert_string_equal(plan->inputs[0].name, "x");
    assert_string_equal(plan->inputs[0].symbols[0], "batch");
    assert_null(plan->inputs[0].symbols[1]);
    assert_int_equal(plan->inputs[0].dims[0], 3);
    assert_int_equal(plan->inputs[0].layout, HSCHED_LAYOUT_NHWC);
    assert_int_equal(plan->inputs[0].byte_size, 3 * 3 * 4 * 5 * 4);
    /* A frame is height by width by channels by itself. */
    assert_int_equal(plan->inputs[1].dtype, HSCHED_UINT8);
    assert_int_equal(plan->inputs[1].layout, HSCHED_LAYOUT_DENSE);
    assert_int_equal(plan->inputs[1].byte_size, 4 * 5 * 3);
    assert_int_equal(plan->output_count, 1);
    assert_string_equal(plan->outputs[0].name, "sum");
    assert_null(plan->outputs[0].symbols[0]);
    hsi_plan_destroy(plan);
}

/* An input that is an output, through nothing but views. */
static void test_input_as_output(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y, x = image(g, 2, 3, 4);
    assert_ok(hsched_graph_add_output(g, x));
    assert_ok(hsched_graph_add_transpose(g, "turned", x, NULL, &y));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    assert_int_equal(plan->step_count, 2);
    assert_int_equal(plan->arena_size, 0);
    assert_int_equal(plan->section_count, 1);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* What no output needs is not computed. */
static void test_dead_layers(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = image(g, 3, 4, 4);
    hsched_tensor y = relu(g, "used", x);
    relu(g, "after", conv(g, "dead", x, 3, 3));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    assert_int_equal(plan->step_count, 1);
    hsi_plan_destroy(plan);
    const char *tap = "dead";
    const hsi_plan_config config = { .max_parts = 1, .taps = &tap, .tap_count = 1 };
    plan = plan_of(g, &config);
    step_named(plan, "dead");
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_UNARY), 1);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_packed(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    const int64_t w = 4;
    hsched_tensor y = batch_norm(g, "bn", conv(g, "conv", image(g, 3, 4, 4), 4, 3));
    y = binary(g, "max", HSCHED_BINARY_MAX, y, constant(g, 1, &w, 1, 1));
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    const hsi_plan_step *s = step_named(plan, "conv+bn");
    const uint64_t held = hsi_alloc_bytes();
    const void *constants = plan->constants;
    hsi_plan_packed(plan, 1);
    assert_non_null(s->step.in[1].constant);
    assert_int_equal(hsi_alloc_bytes(), held);
    hsi_plan_packed(plan, 0);
    assert_null(s->step.in[1].constant);
    assert_null(s->step.in[2].constant);
    assert_true(hsi_alloc_bytes() < held);
    assert_ptr_equal(plan->constants, constants);
    assert_int_equal(plan->constants_size, 64);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* ---- Sections ---- */

static hsched_graph *long_network(void)
{
    hsched_graph *g = new_graph();
    hsched_tensor y = conv(g, NULL, image(g, 3, 24, 24), 16, 3);
    for (int k = 0; k < 80; k++)
        y = k % 20 == 19 ? max_pool(g, NULL, y) : relu(g, NULL, conv(g, NULL, y, 16, 3));
    assert_ok(hsched_graph_add_output(g, y));
    return g;
}

static int apart(uint32_t before, uint32_t after)
{
    return ((before ^ after) & HSCHED_CLASS_CONVOLUTION) != 0;
}

static void test_sections(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor y = image(g, 16, 24, 24);
    for (int k = 0; k < 30;
         k++) { /* residual blocks of 2.7 million multiply-accumulates */
        hsched_tensor x = y;
        y = relu(g, NULL, conv(g, NULL, x, 16, 3));
        y = relu(g, NULL, binary(g, NULL, HSCHED_BINARY_ADD, x, conv(g, NULL, y, 16, 3)));
    }
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(
        g, &(hsi_plan_config){ .max_parts = 2, .input_layout = HSCHED_LAYOUT_NHWC });
    assert_in_range(plan->section_count, 10, 64);
    for (uint32_t s = 1; s < plan->section_count; s++) {
        /* One tensor lives between blocks, two inside of them. */
        assert_int_equal(plan->sections[s].dep_count, 1);
        assert_int_equal(plan->sections[s].deps[0], s - 1);
        assert_int_equal(plan->sections[s].crossing_counts[0], 1);
    }
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_forced_cuts(void **state)
{
    (void)state;
    hsched_graph *g = long_network();
    hsi_plan_config config = { .max_parts = 1, .cut = apart };
    hsi_plan *plan = plan_of(g, &config);
    for (uint32_t s = 0; s < plan->section_count; s++) {
        const uint32_t bits = plan->sections[s].class_bits;
        assert_true(bits == HSCHED_CLASS_CONVOLUTION ||
                    !(bits & HSCHED_CLASS_CONVOLUTION));
    }
    assert_true(plan->section_count >= 8);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* Branches that meet again do not depend on one another. */
static void test_branches_are_independent(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    hsched_tensor x = conv(g, "stem", image(g, 16, 32, 32), 16, 3), ends[3];
    for (int k = 0; k < 3; k++)
        ends[k] = relu(g, NULL, conv(g, NULL, x, 16, 3));
    hsched_tensor y = conv(g, "last", concat(g, "join", ends, 3, 1), 16, 3);
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan *plan = plan_of(g, NULL);
    const hsi_plan_section *last = &plan->sections[step_named(plan, "last")->section];
    const uint32_t stem = step_named(plan, "stem")->section;
    assert_int_equal(last->dep_count, 3);
    for (uint32_t d = 0; d < 3; d++) {
        const hsi_plan_section *branch = &plan->sections[last->deps[d]];
        assert_int_equal(last->crossing_counts[d], 1);
        assert_int_equal(branch->dep_count, 1);
        assert_int_equal(branch->deps[0], stem);
    }
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* More than can be kept as a DAG with ancestors: they form a chain. */
static int always(uint32_t before, uint32_t after)
{
    (void)before;
    (void)after;
    return 1;
}

static void test_very_many_sections(void **state)
{
    (void)state;
    hsched_graph *g = new_graph();
    const int64_t dims[2] = { 1, 4 };
    hsched_tensor x = input(g, "x", 2, dims), y = x;
    for (int k = 0; k < 9000; k++)
        y = relu(g, NULL, y);
    assert_ok(hsched_graph_add_output(g, y));
    hsi_plan_config config = { .max_parts = 1, .cut = always };
    hsi_plan *plan;
    assert_ok(hsi_plan_create(g, &config, &plan));
    assert_null(plan_check(plan, &config));
    assert_int_equal(plan->section_count, 9000);
    assert_int_equal(plan->arena_size, 64); /* all in place */
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* ---- Memory ---- */

static void test_arena_is_reused(void **state)
{
    (void)state;
    hsched_graph *g = long_network();
    hsi_plan *plan = plan_of(g, NULL);
    const size_t largest = 24 * 24 * 16 * sizeof(float);
    assert_true(plan->arena_size <= 2 * largest);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        hsched_graph *g;
        assert_ok(random_graph_make(seed, 25, &g));
        const char *const taps[] = { "image" };
        const hsi_plan_config config = { .max_parts = 2, .taps = taps, .tap_count = 1 };
        const uint64_t held = hsi_alloc_bytes();
        hsi_plan *plan = NULL;
        hsched_status status = HSCHED_ERROR_OUT_OF_MEMORY;
        uint64_t k = 0;
        while (status != HSCHED_OK) {
            hsi_alloc_fail_after(++k);
            status = hsi_plan_create(g, &config, &plan);
            hsi_alloc_fail_after(0);
            if (status == HSCHED_OK)
                break;
            assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
            assert_null(plan);
            assert_int_equal(hsi_alloc_bytes(), held);
        }
        assert_true(k > 4);
        hsi_plan_destroy(plan);
        assert_int_equal(hsi_alloc_bytes(), held);
        hsched_graph_destroy(g);
    }
}

/* Steps that go by indices broadcast them, and what they scatter into: what an expansion would
 * write is not there. */
static void what_is_expanded_for_indices_is_read_as_it_is(void **state)
{
    (void)state;
    static const int64_t which[4] = { 2, 0, -1, 1 };
    for (int k = 0; k < 8; k++) {
        const int scatters = k & 1, constant = k >> 1 & 1, shown = k >> 2;
        const int64_t one[2] = { 1, 4 }, all[2] = { 3, 4 };
        hsched_graph *g = new_graph();
        hsched_tensor t, y, room, x = input(g, "x", 2, all);
        if (constant)
            assert_ok(hsched_graph_add_constant(g, NULL, HSCHED_INT64, 1, one + 1, which,
                                                sizeof which, HSCHED_DATA_COPY, &t));
        else
            assert_ok(hsched_graph_add_input(g, "i", HSCHED_INT64, 2, one, &t));
        assert_ok(hsched_graph_add_expand(g, "wide", t, 2, all, &t));
        assert_ok(hsched_graph_add_constant(g, NULL, HSCHED_FLOAT32, 0, NULL,
                                            (float[]){ 0.5f }, 4, HSCHED_DATA_COPY,
                                            &room));
        assert_ok(hsched_graph_add_expand(g, NULL, room, 2, all, &room));
        if (scatters)
            assert_ok(hsched_graph_add_scatter_elements(g, "y", room, t, x, 1,
                                                        HSCHED_SCATTER_ADD, &y));
        else
            assert_ok(hsched_graph_add_gather_elements(g, "y", x, t, 1, &y));
        assert_ok(hsched_graph_add_output(g, y));
        if (shown)
            assert_ok(hsched_graph_add_output(g, t));
        hsi_plan *plan = plan_of(g, NULL);
        assert_int_equal(plan->step_count, 1 + shown);
        const hsched_step *s = &step_named(plan, "y")->step;
        assert_int_equal(s->in[1].strides[0], 0);
        assert_true(!scatters || (s->in[0].strides[0] == 0 && s->in[0].strides[1] == 0));
        hsi_plan_destroy(plan);
        hsched_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_input_as_output),
        cmocka_unit_test(test_dead_layers),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_forced_cuts),
        cmocka_unit_test(test_branches_are_independent),
        cmocka_unit_test(test_very_many_sections),
        cmocka_unit_test(test_arena_is_reused),
        cmocka_unit_test(test_every_allocation_fails_once),
        cmocka_unit_test(what_is_expanded_for_indices_is_read_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
