/* A depthwise convolution and the pointwise one behind it become one step where that is faster. */
#include "unit/plan_build.h"

enum {
    CHANNELS = 16,
    OUTPUTS = 5,
    LARGE = 7, /* rows from which on it is worth while, for two workers */
    WIDTH = 9
};

/* What is unlike a pair that becomes one step. */
typedef enum flaw {
    NONE = 0,
    FEW_ROWS,
    TAPPED,         /* what is between the two is an output, too */
    TWO_USERS,      /* it is read once more */
    SUMMED,         /* the depthwise one has a residual */
    STRIDED,        /* the pointwise one has strides */
    PADDED,         /*   or pads */
    THREE_WIDE,     /*   or is none */
    GROUPED,        /*   or has groups */
    SEVERAL,        /* two outputs of each channel */
    COMPUTED,       /* weights come at run time */
    QUANTISED,      /* x lies on levels */
    QUANTISED_LATE, /* what is between does */
    POOLED,         /* something is between */
    FIVE_WIDE,      /* the depthwise one is of another size */
    DILATED,
    FAR_STRIDES,
    FLAWS
} flaw;

typedef struct form {
    int64_t stride, pad;
    int normalised, clipped, residual, biased;
    flaw flaw;
} form;

static int64_t kernel_of(const form *f)
{
    return f->flaw == FIVE_WIDE ? 5 : 3;
}

static int64_t dilation_of(const form *f)
{
    return f->flaw == DILATED ? 2 : 1;
}

static int64_t stride_of(const form *f)
{
    return f->flaw == FAR_STRIDES ? 3 : f->stride;
}

static hsched_tensor quantise(hsched_graph *g, hsched_tensor x)
{
    const hsched_activation act = { .kind = HSCHED_ACTIVATION_FAKE_QUANTIZE,
                                    .a = 0.01f,
                                    .b = -128 };
    hsched_tensor y;
    assert_ok(hsched_graph_add_activation(g, NULL, x, act, &y));
    return y;
}

static hsched_tensor weights(hsched_graph *g, const form *f, int64_t o, int64_t c,
                             int64_t kernel)
{
    const int64_t dims[4] = { o, c, kernel, kernel };
    return f->flaw == COMPUTED ? input(g, "w", 4, dims) : constant(g, 4, dims, 0.3f, 7);
}

static hsched_tensor depthwise(hsched_graph *g, const form *f, hsched_tensor x)
{
    const int64_t o = f->flaw == SEVERAL ? 2 * CHANNELS : CHANNELS;
    const hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT,
                                          .strides = { stride_of(f), stride_of(f) },
                                          .dilations = { dilation_of(f), dilation_of(f) },
                                          .pads = { f->pad, f->pad, f->pad, f->pad },
                                          .groups = CHANNELS };
    hsched_tensor y;
    assert_ok(hsched_graph_add_conv2d(
        g, "depthwise", x, weights(g, f, o, 1, kernel_of(f)),
        f->biased ? constant(g, 1, &o, 1, 5) : HSCHED_NO_TENSOR, &config, &y));
    if (f->flaw == SUMMED)
        y = binary(g, NULL, HSCHED_BINARY_ADD, y, x);
    if (f->normalised)
        y = batch_norm(g, NULL, y);
    if (f->clipped)
        y = relu(g, NULL, y);
    return f->flaw == QUANTISED_LATE ? quantise(g, y) : y;
}

static hsched_tensor pointwise(hsched_graph *g, const form *f, hsched_tensor t)
{
    const int64_t c = info_of(g, t).dims[1], o = f->flaw == GROUPED ? 4 : OUTPUTS,
                  stride = f->flaw == STRIDED ? 2 : 1, pad = f->flaw == PADDED;
    const hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT,
                                          .strides = { stride, stride },
                                          .pads = { pad, pad, pad, pad },
                                          .groups = f->flaw == GROUPED ? 2 : 1 };
    const form still = { .flaw = NONE };
    hsched_tensor y;
    assert_ok(hsched_graph_add_conv2d(
        g, "pointwise", t,
        weights(g, &still, o, f->flaw == GROUPED ? c / 2 : c,
                f->flaw == THREE_WIDE ? 3 : 1),
        f->biased ? constant(g, 1, &o, 1, 6) : HSCHED_NO_TENSOR, &config, &y));
    return y;
}

static hsched_graph *network(const form *f)
{
    hsched_graph *g = new_graph();
    /* Rows of what the depthwise one gives. */
    const int64_t rows = f->flaw == FEW_ROWS ? LARGE - 1 : LARGE;
    const int64_t reach = dilation_of(f) * (kernel_of(f) - 1) + 1;
    hsched_tensor x = image(g, CHANNELS, (rows - 1) * stride_of(f) + reach - 2 * f->pad,
                            WIDTH * stride_of(f) + reach);
    if (f->flaw == QUANTISED)
        x = quantise(g, x);
    hsched_tensor t = depthwise(g, f, x);
    if (f->flaw == TAPPED)
        assert_ok(hsched_graph_add_output(g, t));
    if (f->flaw == TWO_USERS)
        assert_ok(hsched_graph_add_output(g, max_pool(g, NULL, t)));
    if (f->flaw == POOLED)
        t = max_pool(g, NULL, t);
    hsched_tensor y = pointwise(g, f, t);
    if (f->residual) {
        const hsched_tensor_info info = info_of(g, y);
        y = binary(g, NULL, HSCHED_BINARY_ADD, y, input(g, "sum", 4, info.dims));
    }
    assert_ok(hsched_graph_add_output(g, f->clipped ? relu(g, NULL, y) : y));
    return g;
}

static form usual_form(void)
{
    return (form){ .stride = 1, .pad = 1 };
}

static const hsched_step *separable_of(const hsi_plan *plan)
{
    for (uint32_t s = 0; s < plan->step_count; s++)
        if (plan->steps[s].step.kind == HSCHED_STEP_SEPARABLE_CONV2D)
            return &plan->steps[s].step;
    fail_msg("there is none");
    return NULL;
}

static void pairs_are_one_step(void **state)
{
    (void)state;
    for (int k = 0; k < 1 << 5; k++) {
        const form f = { .stride = 1 + (k & 1),
                         .pad = k & 1,
                         .normalised = k >> 1 & 1,
                         .clipped = k >> 2 & 1,
                         .residual = k >> 3 & 1,
                         .biased = k >> 4 };
        hsched_graph *g = network(&f);
        hsi_plan *plan = plan_of(g, NULL);
        const hsched_step *step = separable_of(plan);
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_SEPARABLE_CONV2D), 1);
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_CONV2D), 0);
        assert_int_equal(step->in[5].dtype,
                         f.residual ? HSCHED_FLOAT32 : HSCHED_DTYPE_NONE);
        const int64_t *out = step->out.dims;
        assert_int_equal(step->macs, out[2] * out[3] * CHANNELS * (3 * 3 + OUTPUTS));
        hsi_plan_destroy(plan);
        hsched_graph_destroy(g);
    }
}

static void others_stay_two(void **state)
{
    (void)state;
    for (int k = NONE; k < FLAWS; k++) {
        form f = usual_form();
        f.flaw = (flaw)k;
        hsched_graph *g = network(&f);
        hsi_plan *plan = plan_of(g, NULL);
        if (steps_of_kind(plan, HSCHED_STEP_SEPARABLE_CONV2D) != (k == NONE))
            fail_msg("flaw %d", k);
        hsi_plan_destroy(plan);
        hsched_graph_destroy(g);
    }
}

static void not_where_it_is_not_wanted(void **state)
{
    (void)state;
    const form f = usual_form();
    hsched_graph *g = network(&f);
    const char *taps[] = { "depthwise" };
    const hsi_plan_config configs[] = {
        { .max_parts = 2, .no_fusion = 1 },
        { .max_parts = 2, .without = hsi_plan_without(HSCHED_MATH_BF16) },
        { .max_parts = 2, .taps = taps, .tap_count = 1 },
    };
    for (size_t k = 0; k < sizeof configs / sizeof configs[0]; k++) {
        hsi_plan *plan = plan_of(g, &configs[k]);
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_SEPARABLE_CONV2D), 0);
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_CONV2D), 2);
        hsi_plan_destroy(plan);
    }
    assert_true(hsi_plan_without(HSCHED_MATH_STRICT) == 0);
    hsched_graph_destroy(g);
}

static void not_of_few_channels(void **state)
{
    (void)state;
    const int64_t few = CHANNELS - 1;
    const hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT, .groups = few };
    const form f = usual_form();
    hsched_graph *g = new_graph();
    hsched_tensor t;
    assert_ok(
        hsched_graph_add_conv2d(g, "depthwise", image(g, few, LARGE + 2, WIDTH),
                                constant(g, 4, (int64_t[]){ few, 1, 3, 3 }, 0.3f, 7),
                                HSCHED_NO_TENSOR, &config, &t));
    assert_ok(hsched_graph_add_output(g, pointwise(g, &f, t)));
    hsi_plan *plan = plan_of(g, NULL);
    assert_int_equal(steps_of_kind(plan, HSCHED_STEP_CONV2D), 2);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* Parts are rows: there have to be some for each. */
static void not_for_many_workers(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 2; n++)
        for (uint32_t workers = 1; workers <= 5; workers++) {
            const form f = usual_form();
            hsched_graph *g = new_graph();
            const hsched_tensor x =
                input(g, "x", 4, (int64_t[]){ n, CHANNELS, LARGE, WIDTH });
            assert_ok(hsched_graph_add_output(g, pointwise(g, &f, depthwise(g, &f, x))));
            const hsi_plan_config config = { .max_parts = workers };
            hsi_plan *plan = plan_of(g, &config);
            assert_int_equal(steps_of_kind(plan, HSCHED_STEP_SEPARABLE_CONV2D),
                             n * LARGE >= 3 * workers);
            hsi_plan_destroy(plan);
            hsched_graph_destroy(g);
        }
}

/* The residual's memory becomes the sum's, if nobody needs it any more. */
static void sums_in_place(void **state)
{
    (void)state;
    form f = usual_form();
    hsched_graph *g = new_graph();
    const hsched_tensor x = relu(g, NULL, image(g, CHANNELS, LARGE, WIDTH)),
                        other = conv(g, "other", x, OUTPUTS, 1),
                        y = pointwise(g, &f, depthwise(g, &f, x));
    assert_ok(hsched_graph_add_output(
        g, max_pool(g, NULL, binary(g, "sum", HSCHED_BINARY_ADD, y, other))));
    hsi_plan *plan = plan_of(g, NULL);
    const hsi_plan_step *step = step_named(plan, "depthwise+pointwise+sum");
    assert_int_equal(step->step.kind, HSCHED_STEP_SEPARABLE_CONV2D);
    assert_int_equal(step->step.out_aliases, 5);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* ---- Devices without the step ------------------------------------------------ */

typedef struct device {
    int separable, depthwise, pointwise;
} device;

static int supports(const void *user, uint32_t index, const hsched_step *step)
{
    const device *d = (const device *)user + index;
    if (step->kind == HSCHED_STEP_SEPARABLE_CONV2D)
        return d->separable;
    assert_int_equal(step->kind, HSCHED_STEP_CONV2D);
    return step->u.conv2d.groups > 1 ? d->depthwise : d->pointwise;
}

static void a_device_without_it_is_asked_for(void **state)
{
    (void)state;
    const form f = usual_form();
    hsched_graph *g = network(&f);
    hsi_plan *plan = plan_of(g, NULL);
    const device all[2] = { { 0, 1, 1 }, { 1, 1, 1 } },
                 lacking[3] = { { 1, 1, 1 }, { 1, 1, 1 }, { 0, 1, 1 } },
                 no_depthwise[2] = { { 1, 1, 1 }, { 0, 0, 1 } },
                 no_pointwise[2] = { { 1, 1, 1 }, { 0, 1, 0 } };
    const uint64_t separable = UINT64_C(1) << HSCHED_STEP_SEPARABLE_CONV2D;
    assert_true(hsi_plan_lacking(plan, 2, supports, all) == 0);
    assert_true(hsi_plan_lacking(plan, 3, supports, lacking) == separable);
    assert_true(hsi_plan_lacking(plan, 2, supports, lacking) == 0);
    assert_true(hsi_plan_lacking(plan, 2, supports, no_depthwise) == 0);
    assert_true(hsi_plan_lacking(plan, 2, supports, no_pointwise) == 0);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_one_step),
        cmocka_unit_test(others_stay_two),
        cmocka_unit_test(not_where_it_is_not_wanted),
        cmocka_unit_test(not_of_few_channels),
        cmocka_unit_test(not_for_many_workers),
        cmocka_unit_test(sums_in_place),
        cmocka_unit_test(a_device_without_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
