/* For tests of the compiler: small networks in few words, and questions about plans. */
#ifndef TESTS_UNIT_PLAN_BUILD_H
#define TESTS_UNIT_PLAN_BUILD_H

#include "common/support.h"

#include "plan/plan.h"
#include "unit/plan_run.h"

static inline hsched_graph *new_graph(void)
{
    hsched_graph *g;
    assert_ok(hsched_graph_create("test", &g));
    return g;
}

static inline hsched_tensor input(hsched_graph *g, const char *name, uint32_t rank,
                                  const int64_t *dims)
{
    hsched_tensor t;
    assert_ok(hsched_graph_add_input(g, name, HSCHED_FLOAT32, rank, dims, &t));
    return t;
}

static inline hsched_tensor image(hsched_graph *g, int64_t c, int64_t h, int64_t w)
{
    return input(g, "x", 4, (int64_t[]){ 1, c, h, w });
}

static inline hsched_tensor_info info_of(const hsched_graph *g, hsched_tensor t)
{
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    assert_ok(hsched_graph_tensor_info(g, t, &info));
    return info;
}

/* Same size, stride 1, no bias. */
static inline hsched_tensor conv(hsched_graph *g, const char *name, hsched_tensor x,
                                 int64_t filters, int64_t kernel)
{
    const int64_t dims[4] = { filters, info_of(g, x).dims[1], kernel, kernel };
    const int64_t pad = kernel / 2;
    hsched_conv2d_config config = { HSCHED_CONV2D_CONFIG_INIT,
                                    .pads = { pad, pad, pad, pad } };
    hsched_tensor y;
    assert_ok(hsched_graph_add_conv2d(g, name, x, constant(g, 4, dims, 0.2f, 7),
                                      HSCHED_NO_TENSOR, &config, &y));
    return y;
}

static inline hsched_tensor batch_norm(hsched_graph *g, const char *name, hsched_tensor x)
{
    const int64_t c = info_of(g, x).dims[1];
    float ones[64];
    hsched_tensor variance, y;
    assert_true(c <= 64);
    for (int64_t i = 0; i < c; i++)
        ones[i] = 0.5f + (float)i / 64;
    assert_ok(hsched_graph_add_constant(g, NULL, HSCHED_FLOAT32, 1, &c, ones,
                                        (size_t)c * sizeof *ones, HSCHED_DATA_COPY,
                                        &variance));
    assert_ok(hsched_graph_add_batch_norm(g, name, x, constant(g, 1, &c, 1, 3),
                                          constant(g, 1, &c, 1, 4),
                                          constant(g, 1, &c, 1, 5), variance, 1e-5f, &y));
    return y;
}

static inline hsched_tensor relu(hsched_graph *g, const char *name, hsched_tensor x)
{
    hsched_tensor y;
    const hsched_activation act = { .kind = HSCHED_ACTIVATION_RELU };
    assert_ok(hsched_graph_add_activation(g, name, x, act, &y));
    return y;
}

static inline hsched_tensor binary(hsched_graph *g, const char *name,
                                   hsched_binary_kind kind, hsched_tensor a,
                                   hsched_tensor b)
{
    hsched_tensor y;
    assert_ok(hsched_graph_add_binary(g, name, kind, a, b, &y));
    return y;
}

static inline hsched_tensor max_pool(hsched_graph *g, const char *name, hsched_tensor x)
{
    hsched_tensor y;
    hsched_pool2d_config config = { HSCHED_POOL2D_CONFIG_INIT, .kernel = { 2, 2 },
                                    .strides = { 2, 2 } };
    assert_ok(hsched_graph_add_pool2d(g, name, HSCHED_POOL_MAX, x, &config, &y));
    return y;
}

static inline hsched_tensor concat(hsched_graph *g, const char *name,
                                   const hsched_tensor *x, uint32_t count, int axis)
{
    hsched_tensor y;
    assert_ok(hsched_graph_add_concat(g, name, x, count, axis, &y));
    return y;
}

/* Compiles, checks all contracts and the results, and gives the plan. */
static inline hsi_plan *plan_of(const hsched_graph *g, const hsi_plan_config *config)
{
    const hsi_plan_config usual = { .max_parts = 2 };
    hsched_graph *special;
    hsi_plan *plan;
    assert_ok(hsi_graph_specialise(g, NULL, 0, &special));
    assert_ok(hsi_plan_create(special, config != NULL ? config : &usual, &plan));
    const char *wrong = plan_check(plan, config != NULL ? config : &usual);
    if (wrong == NULL)
        wrong = plan_compare(special, plan, 1,
                             config != NULL && config->preserve_section_inputs ? 20 : 0);
    if (wrong != NULL)
        fail_msg("%s", wrong);
    hsched_graph_destroy(special);
    return plan;
}

static inline uint32_t steps_of_kind(const hsi_plan *plan, hsched_step_kind kind)
{
    uint32_t count = 0;
    for (uint32_t s = 0; s < plan->step_count; s++)
        count += plan->steps[s].step.kind == kind;
    return count;
}

static inline const hsi_plan_step *step_named(const hsi_plan *plan, const char *name)
{
    for (uint32_t s = 0; s < plan->step_count; s++)
        if (strcmp(plan->steps[s].step.name, name) == 0)
            return &plan->steps[s];
    for (uint32_t s = 0; s < plan->step_count; s++)
        print_message("step '%s'\n", plan->steps[s].step.name);
    fail_msg("there is no step '%s'", name);
    return NULL;
}

#endif
