/* Networks whose depthwise and pointwise convolutions are one step, beside the same ones layer by
 * layer. */
#include "common/support.h"

#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "zoo/zoo.h"

#define CLASSES   1000
#define PIXELS    ((size_t)3 * 224 * 224)
#define TOLERANCE 1e-4 /* of the largest result */

typedef struct outcome {
    float y[CLASSES];
    uint32_t separable, convolutions;
} outcome;

static void run(const char *name, uint32_t flags, hsched_math math, uint32_t workers,
                const float *x, outcome *o)
{
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT,
                                           .cpu_workers = workers,
                                           .policy = HSCHED_POLICY_CPU_ONLY,
                                           .cpu_tuning = HSCHED_CPU_TUNING_NONE };
    const hsched_model_config model_config = { HSCHED_MODEL_CONFIG_INIT, .flags = flags,
                                               .math = math };
    hsched_graph *g;
    hsched_runtime *rt;
    hsched_model *model;
    memset(o, 0, sizeof *o);
    assert_ok(zoo_build(name, 1, &g));
    assert_ok(hsched_runtime_create(&config, &rt));
    assert_ok(hsched_model_compile(rt, g, &model_config, &model));
    const hsched_binding in = HSCHED_DATA((void *)x, PIXELS * sizeof *x),
                         out = HSCHED_DATA(o->y, sizeof o->y);
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
    hsched_step_info step = { HSCHED_STEP_INFO_INIT };
    for (uint32_t i = 0; hsched_model_step_info(model, i, &step) == HSCHED_OK; i++) {
        o->convolutions += !strcmp(step.kind, "conv2d");
        o->separable += !strcmp(step.kind, "separable_conv2d");
        if (!strcmp(step.kind, "separable_conv2d"))
            assert_string_equal(step.kernel, "own/separable");
    }
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
}

static void compare(const char *name, uint32_t convolutions)
{
    static outcome plain, fused;
    float *x = malloc(PIXELS * sizeof *x);
    assert_non_null(x);
    fill(x, PIXELS, 1);
    run(name, HSCHED_MODEL_NO_FUSION, HSCHED_MATH_STRICT, 1, x, &plain);
    assert_int_equal(plain.separable, 0);
    assert_int_equal(plain.convolutions, convolutions);
    for (uint32_t workers = 1; workers <= 2; workers++) {
        double largest = 0, worst = 0;
        run(name, 0, HSCHED_MATH_STRICT, workers, x, &fused);
        assert_int_equal(fused.separable > 0, hsi_cpu_slower_kinds(0) == 0);
        assert_int_equal(fused.convolutions + 2 * fused.separable, convolutions);
        for (int i = 0; i < CLASSES; i++) {
            largest = fmax(largest, fabsf(plain.y[i]));
            worst = fmax(worst, fabs((double)fused.y[i] - plain.y[i]));
        }
        assert_true(largest > 0 && worst <= TOLERANCE * largest);
    }
    run(name, 0, HSCHED_MATH_BF16, 1, x, &fused); /* see hsi_plan_without */
    assert_int_equal(fused.separable, 0);
    free(x);
}

static void networks_are_the_same(void **state)
{
    (void)state;
    compare("mobilenet_v1", 27);
    compare("mobilenet_v2", 52);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_are_the_same),
    };
    return cmocka_run_group_tests_name("separable", tests, NULL, NULL);
}
