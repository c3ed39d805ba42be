/* Picking by indices, from the graph to the result. */
#include "unit/run_graph.h"

static hsched_graph *graph(hsched_dtype type, uint32_t rank, const int64_t *dims,
                           hsched_dtype index, uint32_t index_rank,
                           const int64_t *index_dims, hsched_tensor *x,
                           hsched_tensor *indices)
{
    hsched_graph *g;
    assert_ok(hsched_graph_create("gather", &g));
    assert_ok(hsched_graph_add_input(g, "x", type, rank, dims, x));
    assert_ok(hsched_graph_add_input(g, "i", index, index_rank, index_dims, indices));
    return g;
}

/* Words of two sentences: rows of a table, by numbers that come at run time. */
static void rows_of_a_table(void **state)
{
    (void)state;
    const float x[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    const int64_t words[] = { 3, 0, -1, 2, 9, -5 };
    const float expected[] = { 7, 8, 1, 2, 7, 8, 5, 6, 0, 0, 0, 0 };
    float y[12];
    hsched_tensor table, indices, t;
    hsched_graph *g = graph(HSCHED_FLOAT32, 2, (int64_t[]){ 4, 2 }, HSCHED_INT64, 2,
                            (int64_t[]){ 2, 3 }, &table, &indices);
    assert_ok(hsched_graph_add_gather(g, "y", table, indices, 0, &t));
    assert_ok(hsched_graph_add_output(g, t));
    run_graph(
        g,
        (hsched_binding[]){ HSCHED_DATA(x, sizeof x), HSCHED_DATA(words, sizeof words) },
        2, y, sizeof y);
    assert_memory_equal(y, expected, sizeof y);
}

static void along_the_last_axis(void **state)
{
    (void)state;
    const uint8_t x[] = { 1, 2, 3, 4, 5, 6 };
    const int32_t which[] = { 2, 0 };
    const uint8_t expected[] = { 3, 1, 6, 4 };
    uint8_t y[4];
    hsched_tensor a, indices, t;
    hsched_graph *g = graph(HSCHED_UINT8, 2, (int64_t[]){ 2, 3 }, HSCHED_INT32, 1,
                            (int64_t[]){ 2 }, &a, &indices);
    assert_ok(hsched_graph_add_gather(g, "y", a, indices, -1, &t));
    assert_ok(hsched_graph_add_output(g, t));
    run_graph(
        g,
        (hsched_binding[]){ HSCHED_DATA(x, sizeof x), HSCHED_DATA(which, sizeof which) },
        2, y, sizeof y);
    assert_memory_equal(y, expected, sizeof y);
}

static void element_by_element(void **state)
{
    (void)state;
    const int64_t x[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    const int64_t which[] = { 1, 2, 0, 2, 0, -3 };
    const int64_t expected[] = { 4, 8, 3, 7, 2, 3 };
    int64_t y[6];
    hsched_tensor a, indices, t;
    hsched_graph *g = graph(HSCHED_INT64, 2, (int64_t[]){ 3, 3 }, HSCHED_INT64, 2,
                            (int64_t[]){ 2, 3 }, &a, &indices);
    assert_ok(hsched_graph_add_gather_elements(g, "y", a, indices, 0, &t));
    assert_ok(hsched_graph_add_output(g, t));
    run_graph(
        g,
        (hsched_binding[]){ HSCHED_DATA(x, sizeof x), HSCHED_DATA(which, sizeof which) },
        2, y, sizeof y);
    assert_memory_equal(y, expected, sizeof y);
}

/* Rows of each batch, by row and column; the last tuple is out of range. */
static void by_tuples(void **state)
{
    (void)state;
    float x[2 * 2 * 3 * 2], y[12];
    for (int i = 0; i < 24; i++)
        x[i] = (float)i;
    const int64_t which[] = { 0, 2, 1, 0, -1, -1, 1, 1, 0, 0, 0, 3 };
    const float expected[] = { 4, 5, 6, 7, 10, 11, 20, 21, 12, 13, 0, 0 };
    hsched_tensor a, indices, t;
    hsched_graph *g = graph(HSCHED_FLOAT32, 4, (int64_t[]){ 2, 2, 3, 2 }, HSCHED_INT64, 3,
                            (int64_t[]){ 2, 3, 2 }, &a, &indices);
    assert_ok(hsched_graph_add_gather_nd(g, "y", a, indices, 1, &t));
    assert_ok(hsched_graph_add_output(g, t));
    run_graph(
        g,
        (hsched_binding[]){ HSCHED_DATA(x, sizeof x), HSCHED_DATA(which, sizeof which) },
        2, y, sizeof y);
    assert_memory_equal(y, expected, sizeof y);
}

/* The same place twice, places from the end, and none. */
static void into_elements(void **state)
{
    (void)state;
    static const struct {
        hsched_scatter_kind kind;
        float expected[6];
    } cases[] = {
        { HSCHED_SCATTER_SET, { 20, 2, 3, 4, 5, 40 } },
        { HSCHED_SCATTER_ADD, { 31, 2, 3, 4, 5, 46 } },
        { HSCHED_SCATTER_MUL, { 200, 2, 3, 4, 5, 240 } },
        { HSCHED_SCATTER_MAX, { 20, 2, 3, 4, 5, 40 } },
        { HSCHED_SCATTER_MIN, { 1, 2, 3, 4, 5, 6 } },
    };
    const float x[] = { 1, 2, 3, 4, 5, 6 }, updates[] = { 10, 20, 30, 40 };
    const int64_t which[] = { 0, 0, 3, -1 };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        float y[6];
        hsched_tensor a, indices, u, t;
        hsched_graph *g = graph(HSCHED_FLOAT32, 2, (int64_t[]){ 2, 3 }, HSCHED_INT64, 2,
                                (int64_t[]){ 2, 2 }, &a, &indices);
        assert_ok(
            hsched_graph_add_input(g, "u", HSCHED_FLOAT32, 2, (int64_t[]){ 2, 2 }, &u));
        assert_ok(hsched_graph_add_scatter_elements(g, "y", a, indices, u, 1,
                                                    cases[k].kind, &t));
        assert_ok(hsched_graph_add_output(g, t));
        run_graph(g,
                  (hsched_binding[]){ HSCHED_DATA(x, sizeof x),
                                      HSCHED_DATA(which, sizeof which),
                                      HSCHED_DATA(updates, sizeof updates) },
                  3, y, sizeof y);
        assert_memory_equal(y, cases[k].expected, sizeof y);
    }
}

/* Rows of a computed table, which the step may take over. */
static void into_rows(void **state)
{
    (void)state;
    const float x[] = { -1, 2, 3, -4, 5, 6 }, updates[] = { 10, 20, 30, 40, 50, 60 };
    const int32_t which[] = { 2, -2, 7 };
    const float expected[] = { 1, 2, 30, 40, 10, 20 };
    float y[6];
    hsched_tensor a, indices, u, t;
    hsched_graph *g = graph(HSCHED_FLOAT32, 2, (int64_t[]){ 3, 2 }, HSCHED_INT32, 2,
                            (int64_t[]){ 3, 1 }, &a, &indices);
    assert_ok(hsched_graph_add_input(g, "u", HSCHED_FLOAT32, 2, (int64_t[]){ 3, 2 }, &u));
    assert_ok(hsched_graph_add_activation(
        g, NULL, a, (hsched_activation){ .kind = HSCHED_ACTIVATION_ABS }, &t));
    assert_ok(
        hsched_graph_add_scatter_nd(g, NULL, t, indices, u, HSCHED_SCATTER_SET, &t));
    assert_ok(hsched_graph_add_activation(
        g, "y", t, (hsched_activation){ .kind = HSCHED_ACTIVATION_RELU }, &t));
    assert_ok(hsched_graph_add_output(g, t));
    run_graph(g,
              (hsched_binding[]){ HSCHED_DATA(x, sizeof x),
                                  HSCHED_DATA(which, sizeof which),
                                  HSCHED_DATA(updates, sizeof updates) },
              3, y, sizeof y);
    assert_memory_equal(y, expected, sizeof y);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    hsched_tensor a, indices, t;
    hsched_graph *g = graph(HSCHED_FLOAT32, 2, (int64_t[]){ 3, 3 }, HSCHED_INT64, 2,
                            (int64_t[]){ 2, 4 }, &a, &indices);
    assert_fails(hsched_graph_add_gather(g, "y", indices, a, 0, &t), HSCHED_ERROR_SHAPE,
                 "int64 or int32");
    assert_fails(hsched_graph_add_gather(g, "y", a, indices, 2, &t),
                 HSCHED_ERROR_INVALID_ARGUMENT, "axis 2");
    assert_fails(hsched_graph_add_gather_elements(g, "y", a, indices, 0, &t),
                 HSCHED_ERROR_SHAPE, "do not lie within");
    assert_fails(hsched_graph_add_scatter_elements(g, "y", a, indices, a, 1,
                                                   HSCHED_SCATTER_SET, &t),
                 HSCHED_ERROR_SHAPE, "not as many as updates");
    assert_fails(hsched_graph_add_scatter_elements(g, "y", a, indices, indices, 1,
                                                   HSCHED_SCATTER_SET, &t),
                 HSCHED_ERROR_SHAPE, "of one type");
    assert_fails(
        hsched_graph_add_scatter_nd(g, "y", a, indices, a, HSCHED_SCATTER_SET, &t),
        HSCHED_ERROR_SHAPE, "are not what indices");
    assert_fails(hsched_graph_add_gather_nd(g, "y", a, indices, 0, &t),
                 HSCHED_ERROR_SHAPE, "do not name places");
    assert_fails(hsched_graph_add_gather_nd(g, "y", a, indices, -1, &t),
                 HSCHED_ERROR_SHAPE, "do not name places");
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_table),
        cmocka_unit_test(along_the_last_axis),
        cmocka_unit_test(element_by_element),
        cmocka_unit_test(by_tuples),
        cmocka_unit_test(into_elements),
        cmocka_unit_test(into_rows),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
