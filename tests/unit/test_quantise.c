/* What is quantised on the CPU is, bit for bit, what divisions would give. */
#include "common/support.h"

#include <math.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"

enum {
    COUNT = 1 << 14
};

static float level_of(float x, float a, float b)
{
    return a * nearbyintf(fminf(fmaxf(x / a, b), b + 255));
}

static uint32_t next(uint32_t *state)
{
    return *state = *state * 1664525u + 1013904223u;
}

/* Some next to the middle of two levels, some anywhere. */
static void make_values(float *x, float a, float b, uint32_t *state)
{
    for (int i = 0; i < COUNT; i++) {
        const float half = b + (float)(next(state) >> 24) + 0.5f;
        x[i] = i % 4 == 0 ? a * (float)(int32_t)next(state) * 0x1p-22f : a * half;
        for (uint32_t k = next(state) >> 30; i % 4 > 1 && k > 0; k--)
            x[i] = nextafterf(x[i], i % 4 == 2 ? INFINITY : -INFINITY);
    }
    x[0] = INFINITY;
    x[4] = -INFINITY;
    x[8] = 3e38f;
    x[12] = 1e-42f;
    x[16] = -0.0f;
}

static void quotients_are_those_of_a_division(void **state)
{
    static float x[COUNT], y[COUNT];
    uint32_t seed = 1;
    (void)state;
    for (int isa = HSI_ISA_BASE; isa <= HSI_ISA_AVX512; isa++)
        for (int round = 0; round < 200; round++) {
            const float a = ldexpf(1 + (float)(next(&seed) >> 9) * 0x1p-23f,
                                   (int)(next(&seed) >> 26) - 40 +
                                       (round % 3 == 0   ? 100
                                        : round % 3 == 1 ? -85
                                                         : 0));
            const float b = (float)(int32_t)(next(&seed) >> 24) - 255;
            hsi_isa_limit = (hsi_isa)isa;
            make_values(x, a, b, &seed);
            hsi_cpu_fake_quantize(x, y, COUNT, a, b);
            for (int i = 0; i < COUNT; i++)
                if (!(y[i] == level_of(x[i], a, b)))
                    fail_msg("%a in steps of %a from %g on is %a, not %a", (double)x[i],
                             (double)a, (double)b, (double)y[i],
                             (double)level_of(x[i], a, b));
        }
    hsi_isa_limit = HSI_ISA_AVX512;
}

static void what_is_no_number_stays_none(void **state)
{
    float x[40], y[40];
    (void)state;
    for (int i = 0; i < 40; i++)
        x[i] = i % 3 ? 1 : NAN;
    hsi_cpu_fake_quantize(x, y, 40, 0.1f, -128);
    for (int i = 0; i < 40; i++)
        assert_int_equal(isnan(y[i]) != 0, i % 3 == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotients_are_those_of_a_division),
        cmocka_unit_test(what_is_no_number_stays_none),
    };
    return cmocka_run_group_tests_name("quantise", tests, NULL, NULL);
}
