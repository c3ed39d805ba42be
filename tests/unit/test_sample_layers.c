/* Sampling images at places that come at run time, from the graph to the result. */
#include "unit/run_graph.h"

#include <math.h>

/* One row of four at these places along it. */
static void sample(const hsched_grid_sample_config *config, const float *places,
                   uint32_t count, float *y)
{
    const float x[4] = { 1, 2, 4, 8 };
    float grid[16];
    hsched_graph *g;
    hsched_tensor a, at, t;
    for (uint32_t k = 0; k < count; k++) {
        grid[2 * k] = places[k];
        grid[2 * k + 1] = 0;
    }
    assert_ok(hsched_graph_create("sample", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4, (int64_t[]){ 1, 1, 1, 4 }, &a));
    assert_ok(hsched_graph_add_input(g, "grid", HSCHED_FLOAT32, 4,
                                     (int64_t[]){ 1, 1, count, 2 }, &at));
    assert_ok(hsched_graph_add_grid_sample(g, "y", a, at, config, &t));
    assert_ok(hsched_graph_add_output(g, t));
    run_graph(g,
              (hsched_binding[]){ HSCHED_DATA(x, sizeof x),
                                  HSCHED_DATA(grid, 2 * count * sizeof *grid) },
              2, y, count * sizeof *y);
}

static void expect(const float *y, const float *expected, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++)
        assert_true(fabsf(y[k] - expected[k]) < 1e-5f);
}

/* By default -1 and 1 are the ends of the outer elements: middles are at +-0.25, +-0.75. */
static void between_elements(void **state)
{
    (void)state;
    const float places[] = { -0.75f, -0.5f, 0, 0.75f, 1, -1 };
    float y[6];
    sample(NULL, places, 6, y);
    expect(y, (const float[]){ 1, 1.5f, 3, 8, 4, 0.5f }, 6);
    sample(&(hsched_grid_sample_config){ HSCHED_GRID_SAMPLE_CONFIG_INIT,
                                         .align_corners = 1 },
           places, 6, y);
    expect(y, (const float[]){ 1.375f, 1.75f, 3, 6.5f, 8, 1 }, 6);
}

static void outside_of_the_image(void **state)
{
    (void)state;
    const float places[] = { 1.25f, -1.75f, 9, NAN };
    static const struct {
        hsched_grid_padding padding;
        float expected[4];
    } cases[] = {
        { HSCHED_GRID_ZEROS, { 0, 0, 0, 0 } },
        { HSCHED_GRID_BORDER, { 8, 1, 8, 1 } },
        { HSCHED_GRID_REFLECTION, { 8, 2, 3, 1 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        float y[4];
        sample(&(hsched_grid_sample_config){ HSCHED_GRID_SAMPLE_CONFIG_INIT,
                                             .padding = cases[k].padding },
               places, cases[k].padding == HSCHED_GRID_REFLECTION ? 2 : 4, y);
        expect(y, cases[k].expected, cases[k].padding == HSCHED_GRID_REFLECTION ? 2 : 4);
    }
}

/* Halves go to the even element. */
static void the_nearest(void **state)
{
    (void)state;
    float y[4];
    sample(&(hsched_grid_sample_config){ HSCHED_GRID_SAMPLE_CONFIG_INIT,
                                         .mode = HSCHED_RESIZE_NEAREST },
           (const float[]){ -0.5f, 0, 0.5f, 0.6f }, 4, y);
    expect(y, (const float[]){ 1, 4, 4, 8 }, 4);
}

/* A ramp: samples are where they are. The second region's image is not there. */
static void regions_of_images(void **state)
{
    (void)state;
    float x[2 * 4 * 8], y[2 * 2];
    const float regions[] = { 2, 1, 6, 3, 0, 0, 4, 4 };
    const int32_t images[] = { 1, 2 };
    static const struct {
        int output_half_pixel;
        hsched_pool_kind kind;
        float expected[4];
    } cases[] = {
        { 0, 0, { 117.5f, 119.5f, 0, 0 } },
        { 1, 0, { 123, 125, 0, 0 } },
    };
    for (int k = 0; k < 64; k++)
        x[k] = (float)(100 * (k / 32) + 10 * (k / 8 % 4) + k % 8);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        hsched_graph *g;
        hsched_tensor a, r, i, t;
        assert_ok(hsched_graph_create("sample", &g));
        assert_ok(hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4,
                                         (int64_t[]){ 2, 1, 4, 8 }, &a));
        assert_ok(
            hsched_graph_add_input(g, "r", HSCHED_FLOAT32, 2, (int64_t[]){ 2, 4 }, &r));
        assert_ok(hsched_graph_add_input(g, "i", HSCHED_INT32, 1, (int64_t[]){ 2 }, &i));
        assert_ok(hsched_graph_add_roi_align(
            g, "y", a, r, i,
            &(hsched_roi_align_config){ HSCHED_ROI_ALIGN_CONFIG_INIT,
                                        .kind = cases[k].kind, .width = 2,
                                        .output_half_pixel = cases[k].output_half_pixel },
            &t));
        assert_ok(hsched_graph_add_output(g, t));
        run_graph(g,
                  (hsched_binding[]){ HSCHED_DATA(x, sizeof x),
                                      HSCHED_DATA(regions, sizeof regions),
                                      HSCHED_DATA(images, sizeof images) },
                  3, y, sizeof y);
        expect(y, cases[k].expected, 4);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    hsched_graph *g;
    hsched_tensor a, b, t;
    assert_ok(hsched_graph_create("sample", &g));
    assert_ok(
        hsched_graph_add_input(g, "x", HSCHED_FLOAT32, 4, (int64_t[]){ 1, 2, 5, 4 }, &a));
    assert_ok(hsched_graph_add_input(g, "grid", HSCHED_FLOAT32, 4,
                                     (int64_t[]){ 1, 3, 3, 3 }, &b));
    assert_fails(hsched_graph_add_grid_sample(g, "y", a, b, NULL, &t), HSCHED_ERROR_SHAPE,
                 "[N,H',W',2]");
    assert_fails(hsched_graph_add_roi_align(g, "y", a, b, b, NULL, &t),
                 HSCHED_ERROR_SHAPE, "int64 or int32");
    assert_fails(hsched_graph_add_grid_sample(
                     g, "y", a, b,
                     &(hsched_grid_sample_config){ HSCHED_GRID_SAMPLE_CONFIG_INIT,
                                                   .mode = (hsched_resize_mode)9 },
                     &t),
                 HSCHED_ERROR_INVALID_ARGUMENT, "mode 9");
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_elements),
        cmocka_unit_test(outside_of_the_image),
        cmocka_unit_test(the_nearest),
        cmocka_unit_test(regions_of_images),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
