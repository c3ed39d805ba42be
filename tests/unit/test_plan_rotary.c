/* Rotations of pairs that are written as their formulas become one step, if devices have it. */
#include "unit/plan_build.h"

enum {
    HEADS = 3,
    PLACES = 5,
    NUMBERS = 8
};

/* How the rotation is written; what is wrong with it. */
typedef struct form {
    int whole;    /* x * cos + turned(x) * sin, not halves that are joined */
    int beside;   /* pairs are neighbours */
    int order;    /* of operands: bits */
    int partial;  /* only the first numbers of a head are turned */
    int computed; /* cosines are an input */
    enum {
        RIGHT = 0,
        TAPPED,      /* a product is an output, too */
        OTHER_SIGN,  /* the sum and the difference change places */
        OTHER_PAIR,  /* the same half twice */
        OTHER_TABLE, /* sines in a cosine's place */
        FAULTS
    } fault;
} form;

static hsched_tensor pair(hsched_graph *g, hsched_binary_kind kind, int swap,
                          hsched_tensor a, hsched_tensor b)
{
    return binary(g, NULL, kind, swap ? b : a, swap ? a : b);
}

static hsched_tensor slice(hsched_graph *g, hsched_tensor x, int64_t start, int64_t end,
                           int64_t step)
{
    const int64_t axis = -1;
    hsched_tensor y;
    assert_ok(hsched_graph_add_slice(g, NULL, x, 1, &start, &end, &axis, &step, &y));
    return y;
}

static hsched_tensor reshaped(hsched_graph *g, hsched_tensor x, int64_t n, int64_t k)
{
    const int64_t dims[5] = { 2, HEADS, PLACES, n, k };
    hsched_tensor y;
    assert_ok(hsched_graph_add_reshape(g, NULL, x, k == 0 ? 4 : 5, dims, &y));
    return y;
}

static hsched_tensor joined(hsched_graph *g, const form *f, hsched_tensor a,
                            hsched_tensor b, int64_t n)
{
    hsched_tensor parts[2] = { a, b };
    for (int i = 0; i < 2 && f->beside; i++)
        parts[i] = reshaped(g, parts[i], n, 1);
    hsched_tensor y = concat(g, NULL, parts, 2, f->beside ? 4 : 3);
    return f->beside ? reshaped(g, y, 2 * n, 0) : y;
}

static hsched_tensor table(hsched_graph *g, const form *f, int sine, int64_t size)
{
    const int64_t dims[3] = { 1, PLACES, size };
    if (f->computed)
        return input(g, sine ? "sine" : "cosine", 3, dims);
    return constant(g, 2, dims + 1, 1, 7 + (uint32_t)sine);
}

/* The first 2 * n numbers of x, or of a head's. */
static hsched_tensor rotation(hsched_graph *g, hsched_tensor x, const form *f, int64_t n)
{
    const hsched_tensor cosine = table(g, f, 0, f->whole ? 2 * n : n),
                        sine = table(g, f, 1, f->whole ? 2 * n : n);
    const int step = f->beside ? 2 : 1;
    const hsched_tensor a = slice(g, x, 0, f->beside ? 2 * n : n, step);
    hsched_tensor b = f->beside ? slice(g, x, 1, 2 * n, 2) : slice(g, x, n, 2 * n, 1), y;
    const hsched_binary_kind plus = HSCHED_BINARY_ADD,
                             minus = f->fault == OTHER_SIGN ? plus : HSCHED_BINARY_SUB;
    if (f->fault == OTHER_PAIR)
        b = slice(g, x, 0, f->beside ? 2 * n : n, step);
    if (f->whole) {
        const hsched_activation negation = { .kind = HSCHED_ACTIVATION_NEG };
        assert_ok(hsched_graph_add_activation(g, NULL, b, negation, &y));
        y = f->fault == OTHER_SIGN ? joined(g, f, b, a, n) : joined(g, f, y, a, n);
        y = pair(g, HSCHED_BINARY_MUL, f->order & 1, y, sine);
        if (f->fault == TAPPED)
            assert_ok(hsched_graph_add_output(g, y));
        x = pair(g, HSCHED_BINARY_MUL, f->order >> 1 & 1,
                 f->fault == OTHER_TABLE ? relu(g, NULL, x) : x, cosine);
        return pair(g, plus, f->order >> 2 & 1, x, y);
    }
    const hsched_tensor ac = pair(g, HSCHED_BINARY_MUL, f->order & 1, a, cosine),
                        bs = pair(g, HSCHED_BINARY_MUL, f->order >> 1 & 1, b, sine),
                        as = pair(g, HSCHED_BINARY_MUL, f->order >> 1 & 1, a,
                                  f->fault == OTHER_TABLE ? cosine : sine),
                        bc = pair(g, HSCHED_BINARY_MUL, f->order & 1, b, cosine);
    if (f->fault == TAPPED)
        assert_ok(hsched_graph_add_output(g, as));
    return joined(g, f, pair(g, minus, 0, ac, bs),
                  pair(g, plus, f->order >> 2 & 1, as, bc), n);
}

static hsched_graph *turning(const form *f)
{
    hsched_graph *g = new_graph();
    const hsched_tensor x = input(g, "x", 4, (int64_t[]){ 2, HEADS, PLACES, NUMBERS });
    const int64_t n = f->partial ? NUMBERS / 4 : NUMBERS / 2;
    if (!f->partial) {
        assert_ok(hsched_graph_add_output(g, rotation(g, x, f, n)));
        return g;
    }
    const hsched_tensor part = f->whole ? slice(g, x, 0, 2 * n, 1) : x;
    const hsched_tensor parts[2] = { rotation(g, part, f, n),
                                     slice(g, x, 2 * n, NUMBERS, 1) };
    assert_ok(hsched_graph_add_output(g, concat(g, NULL, parts, 2, 3)));
    return g;
}

static void rotations_are_found(void **state)
{
    (void)state;
    for (int k = 0; k < 1 << 7; k++) {
        const form f = { k & 1, k >> 1 & 1, k >> 2 & 7, k >> 5 & 1, k >> 6, RIGHT };
        hsched_graph *g = turning(&f);
        hsi_plan *plan = plan_of(g, NULL);
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_ROTARY), 1);
        assert_int_equal(plan->step_count,
                         1 + f.partial); /* what is not turned is copied */
        hsi_plan_destroy(plan);
        const hsi_plan_config config = { .max_parts = 2,
                                         .without = UINT64_C(1) << HSCHED_STEP_ROTARY };
        plan = plan_of(g, &config);
        assert_int_equal(steps_of_kind(plan, HSCHED_STEP_ROTARY), 0);
        assert_true(plan->step_count >= 4);
        hsi_plan_destroy(plan);
        hsched_graph_destroy(g);
    }
}

static void what_is_no_rotation_is_left(void **state)
{
    (void)state;
    for (int fault = TAPPED; fault < FAULTS; fault++)
        for (int k = 0; k < 1 << 3; k++) {
            const form f = {
                .whole = k & 1, .beside = k >> 1 & 1, .partial = k >> 2, .fault = fault
            };
            hsched_graph *g = turning(&f);
            hsi_plan *plan = plan_of(g, NULL);
            assert_int_equal(steps_of_kind(plan, HSCHED_STEP_ROTARY), 0);
            hsi_plan_destroy(plan);
            hsched_graph_destroy(g);
        }
}

/* In a run's memory it turns what it is given where that lies. */
static void turns_in_place(void **state)
{
    (void)state;
    const form f = { 0 };
    hsched_graph *g = new_graph();
    const hsched_tensor x = input(g, "x", 4, (int64_t[]){ 2, HEADS, PLACES, NUMBERS });
    const hsched_tensor y = rotation(g, relu(g, NULL, x), &f, NUMBERS / 2);
    assert_ok(hsched_graph_add_output(g, relu(g, NULL, y)));
    hsi_plan *plan = plan_of(g, NULL);
    assert_int_equal(plan->step_count, 3);
    assert_int_equal(plan->steps[1].step.kind, HSCHED_STEP_ROTARY);
    assert_int_equal(plan->steps[1].step.out_aliases, 0);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

/* ---- Devices without the step ------------------------------------------------ */

typedef struct device {
    int rotary, products;
} device;

static int supports(const void *user, uint32_t index, const hsched_step *step)
{
    const device *d = (const device *)user + index;
    return step->kind == HSCHED_STEP_ROTARY ? d->rotary
           : step->kind == HSCHED_STEP_BINARY
               ? d->products && step->u.binary.kind == HSCHED_BINARY_MUL
               : 0;
}

static void a_device_without_it_is_asked_for(void **state)
{
    (void)state;
    const form f = { 0 };
    hsched_graph *g = turning(&f);
    hsi_plan *plan = plan_of(g, NULL);
    const device all[3] = { { 0, 1 }, { 1, 1 }, { 1, 0 } },
                 lacking[3] = { { 1, 1 }, { 1, 1 }, { 0, 1 } },
                 neither[2] = { { 1, 1 }, { 0, 0 } };
    assert_true(hsi_plan_lacking(plan, 3, supports, all) == 0);
    assert_true(hsi_plan_lacking(plan, 3, supports, lacking) ==
                UINT64_C(1) << HSCHED_STEP_ROTARY);
    assert_true(hsi_plan_lacking(plan, 2, supports, lacking) == 0);
    assert_true(hsi_plan_lacking(plan, 2, supports, neither) == 0);
    hsi_plan_destroy(plan);
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotations_are_found),
        cmocka_unit_test(what_is_no_rotation_is_left),
        cmocka_unit_test(turns_in_place),
        cmocka_unit_test(a_device_without_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
