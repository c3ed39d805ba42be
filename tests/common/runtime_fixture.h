/* What tests of the runtime begin with: a tiny model in one, or a simulated accelerator. */
#ifndef TESTS_COMMON_RUNTIME_FIXTURE_H
#define TESTS_COMMON_RUNTIME_FIXTURE_H

#include "common/tiny.h"

typedef struct fixture {
    hsched_runtime *rt; /* two CPU workers */
    hsched_model *model;
    float x[TINY_INPUT]; /* tiny_input */
} fixture;

static inline int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2 };
    assert_ok(hsched_runtime_create(&config, &f->rt));
    f->model = tiny_model(f->rt, TINY_SIZE, TINY_SEED, NULL);
    tiny_input(f->x);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    fixture *f = *state;
    hsched_model_release(f->model);
    hsched_runtime_destroy(f->rt);
    free(f);
    return 0;
}

/* What the plain reference kernels make of the same network and input. */
static inline void tiny_expected(float *y)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 1,
                                     .flags = HSCHED_RUNTIME_REFERENCE };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    tiny_infer(model, y);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

/* CPU workers beside a simulated accelerator that gets the convolutions. */
static inline hsched_runtime *simulated_runtime(uint32_t workers,
                                                const hsched_sim_config *sim)
{
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = workers,
                                     .policy = HSCHED_POLICY_LAYER_TYPE, .sims = sim,
                                     .sim_count = 1 };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    return rt;
}

#endif
