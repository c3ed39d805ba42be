/* Which device the layers of a model get. */
#include "common/tiny.h"

static hsched_runtime *open_runtime(hsched_policy policy, const uint32_t *classes,
                                    uint32_t count)
{
    hsched_sim_config sims[2];
    for (uint32_t i = 0; i < count; i++)
        sims[i] =
            (hsched_sim_config){ HSCHED_SIM_CONFIG_INIT, .name = i ? "second" : "first",
                                 .layer_classes = classes[i] };
    hsched_runtime_config config = { HSCHED_RUNTIME_CONFIG_INIT, .cpu_workers = 2,
                                     .policy = policy, .sims = sims, .sim_count = count };
    hsched_runtime *rt;
    assert_ok(hsched_runtime_create(&config, &rt));
    return rt;
}

/* The steps of this kind are on this device, and there are some. */
static void expect_on(const hsched_model *model, const char *kind, uint32_t device)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < hsched_model_step_count(model); i++) {
        hsched_step_info info = { HSCHED_STEP_INFO_INIT };
        assert_ok(hsched_model_step_info(model, i, &info));
        if (strcmp(info.kind, kind) != 0)
            continue;
        found++;
        if (info.device != device)
            fail_msg("step %u '%s' (%s) is on device %u, not %u", i, info.name, kind,
                     info.device, device);
    }
    assert_true(found > 0);
}

/* A small network is one section; what the accelerator cannot take must not keep the rest from
 * it. */
static void gpu_only_leaves_the_cpu_what_it_must(void **state)
{
    (void)state;
    hsched_runtime *rt =
        open_runtime(HSCHED_POLICY_GPU_ONLY, (uint32_t[]){ HSCHED_CLASS_CONVOLUTION }, 1);
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    expect_on(model, "conv2d", 1);
    expect_on(model, "pool2d", 0);
    expect_on(model, "softmax", 0);
    tiny_expect_cpus_result(rt, model);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void each_accelerator_gets_what_only_it_can(void **state)
{
    (void)state;
    hsched_runtime *rt =
        open_runtime(HSCHED_POLICY_GPU_ONLY,
                     (uint32_t[]){ HSCHED_CLASS_CONVOLUTION, HSCHED_CLASS_POOLING }, 2);
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    expect_on(model, "conv2d", 1);
    expect_on(model, "pool2d", 2);
    expect_on(model, "softmax", 0);
    tiny_expect_cpus_result(rt, model);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

static void what_takes_all_gets_all_in_one_section(void **state)
{
    (void)state;
    hsched_runtime *rt = open_runtime(HSCHED_POLICY_GPU_ONLY, (uint32_t[]){ 0 }, 1);
    hsched_model *model = tiny_model(rt, TINY_SIZE, TINY_SEED, NULL);
    for (uint32_t i = 0; i < hsched_model_step_count(model); i++) {
        hsched_step_info info = { HSCHED_STEP_INFO_INIT };
        assert_ok(hsched_model_step_info(model, i, &info));
        assert_int_equal(info.device, 1);
        assert_int_equal(info.section, 0);
    }
    tiny_expect_cpus_result(rt, model);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpu_only_leaves_the_cpu_what_it_must),
        cmocka_unit_test(each_accelerator_gets_what_only_it_can),
        cmocka_unit_test(what_takes_all_gets_all_in_one_section),
    };
    return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
