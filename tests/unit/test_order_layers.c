/* Comparing the elements along an axis, from the graph to the result. */
#include "unit/run_graph.h"

#include <math.h>

#include "backend/cpu/isa.h"

static hsched_graph *graph(hsched_dtype type, uint32_t rank, const int64_t *dims,
                           hsched_tensor *x)
{
    hsched_graph *g;
    assert_ok(hsched_graph_create("order", &g));
    assert_ok(hsched_graph_add_input(g, "x", type, rank, dims, x));
    return g;
}

static const float table[] = { 1, 7, 7, -2, 0, -2, NAN, 3, NAN };

static void places_of_extremes(void **state)
{
    (void)state;
    const struct {
        hsched_arg_kind kind;
        int axis, last;
        int64_t expected[3];
    } cases[] = {
        { HSCHED_ARG_MAX, 1, 0, { 1, 1, 0 } },  { HSCHED_ARG_MAX, 1, 1, { 2, 1, 2 } },
        { HSCHED_ARG_MIN, -1, 0, { 0, 0, 0 } }, { HSCHED_ARG_MIN, -1, 1, { 0, 2, 2 } },
        { HSCHED_ARG_MAX, 0, 0, { 2, 0, 2 } },  { HSCHED_ARG_MIN, 0, 0, { 2, 1, 2 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int keep = 0; keep < 2; keep++) {
            int64_t y[3];
            hsched_tensor x, t;
            hsched_graph *g = graph(HSCHED_FLOAT32, 2, (int64_t[]){ 3, 3 }, &x);
            assert_ok(hsched_graph_add_arg(g, "y", cases[k].kind, x, cases[k].axis, keep,
                                           cases[k].last, &t));
            assert_ok(hsched_graph_add_output(g, t));
            run_graph_of_one(g, table, sizeof table, y, sizeof y);
            for (int i = 0; i < 3; i++)
                if (y[i] != cases[k].expected[i])
                    fail_msg("case %zu, result %d: %lld", k, i, (long long)y[i]);
        }
}

/* The place in a column of x [n,m], by definition. */
static int64_t place(const float *x, int n, int m, int column, int smallest, int last)
{
    int64_t best = 0;
    for (int i = 1; i < n; i++) {
        const float v = x[i * m + column], b = x[best * m + column];
        const int ahead = isnan(v) ? !isnan(b) : smallest ? v < b : v > b;
        const int same = isnan(v) ? isnan(b) : v == b;
        if (ahead || (last && same))
            best = i;
    }
    return best;
}

/* With what every processor has and with what this one has, along either axis. */
static void not_a_number_is_found(void **state)
{
    (void)state;
    enum {
        M = 37
    };
    static const int lengths[] = { 3, 63, 64, 200 };
    static float x[200 * M], turned[200 * M];
    const hsi_isa best = hsi_isa_limit;
    for (int k = 0; k < 4 * 4 * 3; k++) {
        const int n = lengths[k % 4], smallest = k >> 2 & 1, last = k >> 3 & 1;
        hsi_isa_limit = (hsi_isa)(HSI_ISA_BASE + k / 16);
        for (int i = 0; i < n * M; i++) {
            x[i] = i % M % 3 && i * 7919 % 101 < 4 ? NAN : (float)(i * 31 % 53);
            turned[i % M * n + i / M] = x[i];
        }
        for (int axis = 0; axis < 2; axis++) {
            int64_t y[M], dims[2] = { axis ? M : n, axis ? n : M };
            hsched_tensor a, t;
            hsched_graph *g = graph(HSCHED_FLOAT32, 2, dims, &a);
            assert_ok(hsched_graph_add_arg(g, "y",
                                           smallest ? HSCHED_ARG_MIN : HSCHED_ARG_MAX, a,
                                           axis, 0, last, &t));
            assert_ok(hsched_graph_add_output(g, t));
            run_graph_of_one(g, axis ? turned : x, (size_t)n * M * sizeof *x, y,
                             sizeof y);
            for (int c = 0; c < M; c++)
                assert_int_equal(y[c], place(x, n, M, c, smallest, last));
        }
    }
    hsi_isa_limit = best;
}

/* Numbers that a double does not tell apart. */
static void places_in_integers(void **state)
{
    (void)state;
    const int64_t x[] = { INT64_MAX - 1, INT64_MAX, INT64_MIN, INT64_MIN + 1 };
    int64_t y;
    for (int least = 0; least < 2; least++) {
        hsched_tensor a, t;
        hsched_graph *g = graph(HSCHED_INT64, 1, (int64_t[]){ 4 }, &a);
        assert_ok(hsched_graph_add_arg(g, "y", least ? HSCHED_ARG_MIN : HSCHED_ARG_MAX, a,
                                       0, 0, 0, &t));
        assert_ok(hsched_graph_add_output(g, t));
        run_graph_of_one(g, x, sizeof x, &y, sizeof y);
        assert_int_equal(y, 1 + least);
    }
}

static void the_first_of_them(void **state)
{
    (void)state;
    const float values[2][6] = { { 7, 7, 0, -2, NAN, NAN }, { 1, 7, -2, -2, 3, NAN } };
    const int64_t places[2][6] = { { 1, 2, 1, 0, 0, 2 }, { 0, 1, 0, 2, 1, 0 } };
    for (int smallest = 0; smallest < 2; smallest++) {
        float v[6];
        int64_t i[6];
        hsched_tensor x, picked, indices;
        hsched_graph *g = graph(HSCHED_FLOAT32, 2, (int64_t[]){ 3, 3 }, &x);
        assert_ok(
            hsched_graph_add_top_k(g, "top", x, 2, -1, !smallest, &picked, &indices));
        assert_ok(hsched_graph_add_output(g, indices));
        run_graph_of_one(g, table, sizeof table, i, sizeof i);
        assert_memory_equal(i, places[smallest], sizeof i);
        g = graph(HSCHED_FLOAT32, 2, (int64_t[]){ 3, 3 }, &x);
        assert_ok(
            hsched_graph_add_top_k(g, "top", x, 2, 1, !smallest, &picked, &indices));
        assert_ok(hsched_graph_add_output(g, picked));
        run_graph_of_one(g, table, sizeof table, v, sizeof v);
        for (int k = 0; k < 6; k++)
            assert_true(isnan(values[smallest][k]) ? isnan(v[k])
                                                   : v[k] == values[smallest][k]);
    }
}

static void sums_up_to_each(void **state)
{
    (void)state;
    const int32_t x[] = { 1, 2, 3, 4, 5, INT32_MAX };
    static const int32_t expected[2][2][2][6] = {
        { { { 1, 2, 3, 5, 7, INT32_MIN + 2 }, { 5, 7, INT32_MIN + 2, 4, 5, INT32_MAX } },
          { { 0, 0, 0, 1, 2, 3 }, { 4, 5, INT32_MAX, 0, 0, 0 } } },
        { { { 1, 3, 6, 4, 9, INT32_MIN + 8 },
            { 6, 5, 3, INT32_MIN + 8, INT32_MIN + 4, INT32_MAX } },
          { { 0, 1, 3, 0, 4, 9 }, { 5, 3, 0, INT32_MIN + 4, INT32_MAX, 0 } } },
    };
    for (int k = 0; k < 8; k++) {
        const int axis = k >> 2, exclusive = k >> 1 & 1, reverse = k & 1;
        int32_t y[6];
        hsched_tensor a, t;
        hsched_graph *g = graph(HSCHED_INT32, 2, (int64_t[]){ 2, 3 }, &a);
        assert_ok(hsched_graph_add_cumsum(g, "y", a, axis, exclusive, reverse, &t));
        assert_ok(hsched_graph_add_output(g, t));
        run_graph_of_one(g, x, sizeof x, y, sizeof y);
        assert_memory_equal(y, expected[axis][exclusive][reverse], sizeof y);
    }
}

static void products_up_to_each(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, -6 };
    static const float expected[2][2][2][6] = {
        { { { 1, 2, 3, 4, 10, -18 }, { 4, 10, -18, 4, 5, -6 } },
          { { 1, 1, 1, 1, 2, 3 }, { 4, 5, -6, 1, 1, 1 } } },
        { { { 1, 2, 6, 4, 20, -120 }, { 6, 6, 3, -120, -30, -6 } },
          { { 1, 1, 2, 1, 4, 20 }, { 6, 3, 1, -30, -6, 1 } } },
    };
    for (int k = 0; k < 8; k++) {
        const int axis = k >> 2, exclusive = k >> 1 & 1, reverse = k & 1;
        float y[6];
        hsched_tensor a, t;
        hsched_graph *g = graph(HSCHED_FLOAT32, 2, (int64_t[]){ 2, 3 }, &a);
        assert_ok(hsched_graph_add_cumprod(g, "y", a, axis, exclusive, reverse, &t));
        assert_ok(hsched_graph_add_output(g, t));
        run_graph_of_one(g, x, sizeof x, y, sizeof y);
        assert_memory_equal(y, expected[axis][exclusive][reverse], sizeof y);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    hsched_tensor a, b, t;
    hsched_graph *g = graph(HSCHED_FLOAT32, 2, (int64_t[]){ 3, 3 }, &a);
    assert_ok(hsched_graph_add_input(g, "b", HSCHED_BOOL, 1, (int64_t[]){ 4 }, &b));
    assert_fails(hsched_graph_add_arg(g, "y", (hsched_arg_kind)3, a, 0, 0, 0, &t),
                 HSCHED_ERROR_INVALID_ARGUMENT, "arg kind 3");
    assert_fails(hsched_graph_add_arg(g, "y", HSCHED_ARG_MAX, a, 2, 0, 0, &t),
                 HSCHED_ERROR_INVALID_ARGUMENT, "axis 2");
    assert_fails(hsched_graph_add_arg(g, "y", HSCHED_ARG_MAX, b, 0, 0, 0, &t),
                 HSCHED_ERROR_SHAPE, "is bool");
    assert_fails(hsched_graph_add_cumsum(g, "y", b, 0, 0, 0, &t), HSCHED_ERROR_SHAPE,
                 "is bool");
    hsched_tensor u;
    assert_fails(hsched_graph_add_top_k(g, "y", a, 4, 0, 1, &t, &u), HSCHED_ERROR_SHAPE,
                 "4 elements");
    assert_fails(hsched_graph_add_top_k(g, "y", a, 0, 0, 1, &t, &u), HSCHED_ERROR_SHAPE,
                 "0 elements");
    assert_fails(hsched_graph_add_top_k(g, "b", a, 1, 0, 1, &t, &u),
                 HSCHED_ERROR_INVALID_ARGUMENT, "'b'");
    assert_fails(hsched_graph_add_top_k(g, "y", a, 1, 0, 1, &t, NULL),
                 HSCHED_ERROR_INVALID_ARGUMENT, "y_indices");
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_of_extremes),
        cmocka_unit_test(not_a_number_is_found),
        cmocka_unit_test(places_in_integers),
        cmocka_unit_test(the_first_of_them),
        cmocka_unit_test(sums_up_to_each),
        cmocka_unit_test(products_up_to_each),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
