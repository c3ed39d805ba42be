/* HSCHED_MATH_BF16 on the CPU: networks beside HSCHED_MATH_STRICT. */
#include "common/support.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/bf16.h"
#include "backend/cpu/choose.h"
#include "zoo/zoo.h"

/* Of the largest result: products are off by 2^-8 or so, and partly make up for each other. */
#define TOLERANCE 0.1

#define CLASSES 1000
#define PIXELS  ((size_t)3 * 224 * 224)

typedef struct outcome {
    float y[CLASSES];
    uint32_t convolutions, in_bf16; /* of those, and of fully connected steps */
} outcome;

static void run(const char *name, hsched_math math, const float *x, outcome *o)
{
    const hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2,
                                           .policy = HSCHED_POLICY_CPU_ONLY,
                                           .cpu_tuning = HSCHED_CPU_TUNING_NONE };
    const hsched_model_config model_config = { HSCHED_MODEL_CONFIG_INIT, .math = math };
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
        o->in_bf16 += strstr(step.kernel, "bf16") != NULL;
    }
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
}

/* Kernels in bfloat16 are taken wherever there is one, fast or not. */
static void compare(const char *name)
{
    static outcome strict, half;
    float *x = malloc(PIXELS * sizeof *x);
    assert_non_null(x);
    fill(x, PIXELS, 1);
    run(name, HSCHED_MATH_STRICT, x, &strict);
    hsi_cpu_choose_only = "onednn/bf16";
    run(name, HSCHED_MATH_BF16, x, &half);
    hsi_cpu_choose_only = NULL;
    free(x);
    double largest = 0, worst = 0;
    for (int i = 0; i < CLASSES; i++) {
        largest = fmax(largest, fabsf(strict.y[i]));
        worst = fmax(worst, fabs((double)half.y[i] - strict.y[i]));
    }
    print_message("%s: %u convolutions, %u steps in bfloat16, %.4f of %.4f\n", name,
                  half.convolutions, half.in_bf16, worst, largest);
    assert_true(largest > 0 && isfinite(largest) && worst <= TOLERANCE * largest);
    assert_int_equal(strict.in_bf16, 0);
    if (!hsi_cpu_has_bf16()) {
        print_message("  the processor has no bfloat16: all was computed in float32\n");
        assert_int_equal(half.in_bf16, 0);
        return;
    }
    assert_true(worst > 0);
#if HSI_HAVE_ONEDNN
    assert_true(half.in_bf16 > half.convolutions / 2);
#endif
}

static void networks_are_near_to_strict_ones(void **state)
{
    (void)state;
    compare("resnet18");
    compare("mobilenet_v2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_are_near_to_strict_ones),
    };
    return cmocka_run_group_tests_name("cpu bf16", tests, NULL, NULL);
}
