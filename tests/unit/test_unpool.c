/* Where a pooling's largest elements are, and putting elements back there. */
#include "unit/run_graph.h"

#include <math.h>

static hsched_graph *graph(uint32_t rank, const int64_t *dims, hsched_tensor *x)
{
    hsched_graph *g;
    assert_ok(hsched_graph_create("unpool", &g));
    assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, rank, dims, x));
    return g;
}

/* Two channels of 3 rows of 4: equal elements, infinities and a not-a-number. */
static const float image[24] = { 1,         5,      5,      2,   /**/ 0, 9,        3,
                                 3,         /**/ 7, 7,      7,   7,      0,        0,
                                 0,         0,      /**/ 0, NAN, 0,      INFINITY, /**/
                                 -INFINITY, 0,      0,      0 };

static void by_rows_and_by_columns(void **state)
{
    (void)state;
    static const hsched_pool_config config = {
        HSCHED_POOL_CONFIG_INIT, { 2, 2 }, { 1, 2 }, { 1, 0, 0, 0 }
    };
    static const int64_t expected[2][12] = {
        { 1, 2, 5, 2, 5, 8 + 2, 12, 14, 17, 19, 17, 19 },
        { 3, 6, 4, 6, 4, 8, 12, 18, 16, 22, 16, 22 },
    };
    for (int by_columns = 0; by_columns < 2; by_columns++) {
        int64_t y[12];
        hsched_tensor x, t;
        hsched_graph *g = graph(4, (const int64_t[]){ 1, 2, 3, 4 }, &x);
        assert_ok(hsched_graph_add_max_pool_indices(g, "y", x, &config, by_columns, &t));
        assert_ok(hsched_graph_add_output(g, t));
        run_graph_of_one(g, image, sizeof image, y, sizeof y);
        for (int k = 0; k < 12; k++)
            assert_int_equal(y[k], expected[by_columns][k]);
    }
}

static void of_a_length(void **state)
{
    (void)state;
    const float x[] = { -INFINITY, -INFINITY, 3, 1, 2, 2, 9 };
    int64_t y[4];
    hsched_tensor a, t;
    hsched_graph *g = graph(3, (const int64_t[]){ 1, 1, 7 }, &a);
    assert_ok(hsched_graph_add_max_pool_indices(
        g, "y", a,
        &(hsched_pool_config){ HSCHED_POOL_CONFIG_INIT, { 2 }, { 2 }, { 1, 0 }, { 1 } },
        0, &t));
    assert_ok(hsched_graph_add_output(g, t));
    run_graph_of_one(g, x, sizeof x, y, sizeof y);
    assert_int_equal(y[0], 0); /* the padding is never the largest */
    assert_int_equal(y[1], 2);
    assert_int_equal(y[2], 4);
    assert_int_equal(y[3], 6);
}

/* As MaxUnpool is imported: what was pooled back to where it was, zeros elsewhere. */
static void back_to_their_places(void **state)
{
    (void)state;
    static const hsched_pool_config config = { HSCHED_POOL_CONFIG_INIT,
                                               { 3, 2 },
                                               { 3, 2 } };
    static const float zeros[24] = { 0 };
    static const int64_t flat = HSCHED_DIM_INFER, whole = 24;
    float y[24];
    hsched_tensor x, pooled, at, room, t;
    hsched_graph *g = graph(4, (const int64_t[]){ 1, 2, 3, 4 }, &x);
    assert_ok(hsched_graph_add_pool(g, "pool", HSCHED_POOL_MAX, x, &config, &pooled));
    assert_ok(hsched_graph_add_max_pool_indices(g, "at", x, &config, 0, &at));
    assert_ok(hsched_graph_add_reshape(g, "elements", pooled, 1, &flat, &pooled));
    assert_ok(hsched_graph_add_reshape(g, "places", at, 1, &flat, &at));
    assert_ok(hsched_graph_add_constant(g, "zeros", HSCHED_FLOAT32, 1, &whole, zeros,
                                        sizeof zeros, HSCHED_DATA_COPY, &room));
    assert_ok(hsched_graph_add_scatter_elements(g, "y", room, at, pooled, 0,
                                                HSCHED_SCATTER_SET, &t));
    assert_ok(hsched_graph_add_output(g, t));
    run_graph_of_one(g, image, sizeof image, y, sizeof y);
    for (int k = 0; k < 24; k++) {
        if (k == 17)
            assert_true(isnan(y[k]));
        else
            assert_true(y[k] == (k == 5 || k == 10 || k == 19 ? image[k] : 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_rows_and_by_columns),
        cmocka_unit_test(of_a_length),
        cmocka_unit_test(back_to_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
