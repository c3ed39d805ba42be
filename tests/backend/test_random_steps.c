/* Random steps are of all kinds, and have all values of what steps choose among. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/random_maker.h"

enum {
    STEPS = 600, /* of each kind */
    MOST_VALUES = 64
};

static void test_all_kinds(void **state)
{
    static const struct {
        hsched_step_kind kind;
        const char *name;
    } kinds[] = {
#define KIND(name, value, text, layer_class) { HSCHED_STEP_##name, text },
        HSCHED_STEP_LIST(KIND)
#undef KIND
    };
    (void)state;
    for (size_t i = 0; i < RANDOM_COUNT(kinds); i++) {
        if ((int)kinds[i].kind > RANDOM_STEP_KINDS)
            fail_msg("RANDOM_STEP_KINDS is less than the number of %s", kinds[i].name);
        if (!random_kind_has_maker(kinds[i].kind))
            fail_msg("no maker for %s: give it one in random_kinds.c", kinds[i].name);
    }
}

/* ---- Values ---- */

static int activation(const hsched_step *s)
{
    return (int)s->act.kind;
}

static int binary(const hsched_step *s)
{
    return (int)s->u.binary.kind;
}

static int pool(const hsched_step *s)
{
    return (int)s->u.pool2d.kind;
}

static int pad(const hsched_step *s)
{
    return (int)s->u.pad.mode;
}

static int reduce(const hsched_step *s)
{
    return (int)s->u.reduce.kind;
}

static int scatter(const hsched_step *s)
{
    return (int)s->u.scatter.kind;
}

static int resize(const hsched_step *s)
{
    return (int)s->u.resize.mode;
}

static int coordinates(const hsched_step *s)
{
    return (int)s->u.resize.coordinates;
}

static int rounding(const hsched_step *s)
{
    return (int)s->u.resize.rounding;
}

static int recurrent(const hsched_step *s)
{
    return (int)s->u.recurrent.kind;
}

static int direction(const hsched_step *s)
{
    return (int)s->u.recurrent.direction;
}

static int arg(const hsched_step *s)
{
    return 2 * s->u.arg.smallest + s->u.arg.last;
}

static int cumsum(const hsched_step *s)
{
    return 2 * s->u.cumsum.exclusive + s->u.cumsum.reverse;
}

static const struct {
    hsched_step_kind kind;
    int (*value)(const hsched_step *step);
    int first, last;
} choices[] = {
    { HSCHED_STEP_UNARY, activation, HSCHED_ACTIVATION_NONE,
      HSCHED_ACTIVATION_FAKE_QUANTIZE },
    { HSCHED_STEP_BINARY, binary, HSCHED_BINARY_ADD, HSCHED_BINARY_SHIFT_RIGHT },
    { HSCHED_STEP_POOL2D, pool, HSCHED_POOL_MAX, HSCHED_POOL_AVERAGE },
    { HSCHED_STEP_PAD, pad, HSCHED_PAD_MODE_CONSTANT, HSCHED_PAD_MODE_EDGE },
    { HSCHED_STEP_REDUCE, reduce, HSCHED_REDUCE_MEAN, HSCHED_REDUCE_PROD },
    { HSCHED_STEP_SCATTER, scatter, HSCHED_SCATTER_SET, HSCHED_SCATTER_MIN },
    { HSCHED_STEP_RESIZE, resize, HSCHED_RESIZE_NEAREST, HSCHED_RESIZE_CUBIC },
    { HSCHED_STEP_RESIZE, coordinates, HSCHED_RESIZE_HALF_PIXEL, HSCHED_RESIZE_CROP },
    { HSCHED_STEP_RESIZE, rounding, HSCHED_RESIZE_ROUND_DOWN, HSCHED_RESIZE_CEIL },
    { HSCHED_STEP_RECURRENT, recurrent, HSCHED_RECURRENT_RNN, HSCHED_RECURRENT_GRU },
    { HSCHED_STEP_RECURRENT, direction, HSCHED_RECURRENT_FORWARD,
      HSCHED_RECURRENT_BIDIRECTIONAL },
    { HSCHED_STEP_ARG, arg, 0, 3 },
    { HSCHED_STEP_CUMSUM, cumsum, 0, 3 },
};

static void test_all_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < RANDOM_COUNT(choices); i++) {
        uint32_t met[MOST_VALUES] = { 0 };
        for (uint32_t k = 0; k < STEPS; k++) {
            random_step made;
            random_step_make(&made, choices[i].kind, 1, k);
            const int value = choices[i].value(&made.step);
            assert_in_range(value, 0, MOST_VALUES - 1);
            met[value]++;
            random_step_free(&made);
        }
        for (int value = choices[i].first; value <= choices[i].last; value++)
            if (met[value] == 0)
                fail_msg("%d random steps of %s, choice %zu: none has value %d", STEPS,
                         hsched_step_kind_name(choices[i].kind), i, value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all_kinds),
                                        cmocka_unit_test(test_all_values) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
