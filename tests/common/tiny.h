/* tiny_network with an input: is what it gives in a runtime what it should be? */
#ifndef TESTS_COMMON_TINY_H
#define TESTS_COMMON_TINY_H

#include <math.h>

#include "common/support.h"

enum {
    TINY_SIZE = 16,
    TINY_SEED = 7,
    TINY_INPUT = 3 * TINY_SIZE * TINY_SIZE,
    TINY_OUTPUT = 10
};

static inline void assert_close(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-5f))
            fail_msg("element %zu: %g is not %g", i, (double)a[i], (double)b[i]);
}

static inline void tiny_input(float *x)
{
    fill(x, TINY_INPUT, 99);
}

static inline void tiny_infer(hsched_model *model, float *y)
{
    float x[TINY_INPUT];
    tiny_input(x);
    memset(y, 0xff, TINY_OUTPUT * sizeof *y);
    hsched_binding in = HSCHED_DATA(x, sizeof x);
    hsched_binding out = HSCHED_DATA(y, TINY_OUTPUT * sizeof *y);
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
}

/* `model`: tiny_model of TINY_SIZE and TINY_SEED in this runtime. */
static inline void tiny_expect_cpus_result(hsched_runtime *rt, hsched_model *model)
{
    float got[TINY_OUTPUT], want[TINY_OUTPUT];
    tiny_infer(model, got);
    hsched_model *on_cpu =
        tiny_model(rt, TINY_SIZE, TINY_SEED,
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT,
                                           .policy = HSCHED_POLICY_CPU_ONLY });
    tiny_infer(on_cpu, want);
    assert_close(got, want, TINY_OUTPUT);
    hsched_model_release(on_cpu);
}

#endif
