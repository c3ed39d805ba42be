/* Choosing boxes, from the graph to the result; and against a plain loop over all. */
#include "common/support.h"

#include <math.h>

#include "backend/cpu/isa.h"

typedef struct problem {
    int64_t images, boxes, classes;
    hsched_nms_config config;
} problem;

static void run(const problem *p, const float *boxes, const float *scores, int64_t *rows,
                size_t bytes)
{
    hsched_runtime *rt;
    hsched_model *model;
    hsched_graph *g;
    hsched_tensor b, s, t;
    const int64_t box_dims[] = { p->images, p->boxes, 4 },
                  score_dims[] = { p->images, p->classes, p->boxes };
    assert_ok(hsched_graph_create("boxes", &g));
    assert_ok(hsched_graph_add_input(g, "b", HSCHED_FLOAT32, 3, box_dims, &b));
    assert_ok(hsched_graph_add_input(g, "s", HSCHED_FLOAT32, 3, score_dims, &s));
    assert_ok(hsched_graph_add_non_max_suppression(g, "y", b, s, &p->config, &t));
    assert_ok(hsched_graph_add_output(g, t));
    const size_t size = (size_t)(p->images * p->boxes) * sizeof(float);
    const hsched_binding in[] = { HSCHED_DATA(boxes, 4 * size),
                                  HSCHED_DATA(scores, (size_t)p->classes * size) },
                         out = HSCHED_DATA(rows, bytes);
    assert_ok(hsched_runtime_create(NULL, &rt));
    assert_ok(hsched_model_compile(rt, g, NULL, &model));
    assert_ok(hsched_infer(model, in, 2, &out, 1));
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    hsched_graph_destroy(g);
}

/* Two that overlap by a third of both, one inside the first, one far away, one empty. */
static void overlapping_boxes_go(void **state)
{
    (void)state;
    const float boxes[] = { 0, 0, 2, 2, /* corners in either order */ 2,
                            1, 0, 3, 0, 0,
                            1, 2, 9, 9, 8,
                            8, 0, 0, 0, 2 };
    const float scores[2][5] = { { 0.5f, 0.9f, 0.8f, 0.2f, 0.7f },
                                 { NAN, 0.6f, 0.6f, 0.6f, -1 } };
    problem p = { 1,
                  5,
                  2,
                  { HSCHED_NMS_CONFIG_INIT, .max_per_class = 9, .iou_threshold = 0.4f,
                    .score_threshold = 0.3f } };
    int64_t y[10 * 3];
    /* The half of the first one suppresses it. */
    const int64_t some[] = { 0, 0, 1, 0, 0, 2, 0, 0, 4, 0, 1, 1, 0, 1, 2, 0, 1, 3 };
    run(&p, boxes, scores[0], y, sizeof y);
    assert_memory_equal(y, some, sizeof some);
    for (size_t k = sizeof some / sizeof *some; k < 30; k++)
        assert_int_equal(y[k], -1);
    p.config.max_per_class = 1;
    run(&p, boxes, scores[0], y, 6 * sizeof *y);
    assert_memory_equal(y, ((const int64_t[]){ 0, 0, 1, 0, 1, 1 }), 6 * sizeof *y);
    /* A third is not more than a third, and everything may be chosen. */
    p.config = (hsched_nms_config){ HSCHED_NMS_CONFIG_INIT, .max_per_class = 9,
                                    .iou_threshold = 0.5f, .score_threshold = -INFINITY };
    const int64_t all[] = { 0, 0, 1, 0, 0, 2, 0, 0, 4, 0, 0, 0, 0, 0, 3 };
    run(&p, boxes, scores[0], y, sizeof y);
    assert_memory_equal(y, all, sizeof all);
}

#define BOXES   300
#define CLASSES 7
#define IMAGES  2

static float area_shared(const float *a, const float *b)
{
    const float w =
        fminf(a[0] + a[2] / 2, b[0] + b[2] / 2) - fmaxf(a[0] - a[2] / 2, b[0] - b[2] / 2);
    const float h =
        fminf(a[1] + a[3] / 2, b[1] + b[3] / 2) - fmaxf(a[1] - a[3] / 2, b[1] - b[3] / 2);
    return w > 0 && h > 0 ? w * h : 0;
}

/* One class: takes the best that is left, and strikes out what overlaps with it. */
static int64_t choose_plainly(const problem *p, const float *boxes, const float *scores,
                              int64_t image, int64_t label, int64_t *rows)
{
    int struck[BOXES] = { 0 };
    int64_t count = 0;
    while (count < p->config.max_per_class) {
        int64_t best = -1;
        for (int64_t i = 0; i < BOXES; i++)
            if (!struck[i] && scores[i] > p->config.score_threshold &&
                (best < 0 || scores[i] > scores[best]))
                best = i;
        if (best < 0)
            break;
        struck[best] = 1;
        for (int64_t i = 0; i < BOXES; i++) {
            const float *a = boxes + 4 * best, *b = boxes + 4 * i;
            const float shared = area_shared(a, b);
            struck[i] |=
                shared / (a[2] * a[3] + b[2] * b[3] - shared) > p->config.iou_threshold;
        }
        rows[3 * count] = image;
        rows[3 * count + 1] = label;
        rows[3 * count++ + 2] = best;
    }
    return count;
}

/* Centres and sizes on a grid, so that areas are exact and some scores equal. */
static void as_a_plain_loop(void **state)
{
    (void)state;
    static float boxes[IMAGES * BOXES * 4], scores[IMAGES * CLASSES * BOXES];
    static int64_t expected[IMAGES * CLASSES * BOXES * 3],
        y[IMAGES * CLASSES * BOXES * 3];
    const int64_t limits[] = { 1, 20, BOXES };
    uint32_t seed = 5;
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        seed = seed * 1664525 + 1013904223;
        boxes[i] = (float)(seed >> 26) * (i % 4 < 2 ? 2 : 0.5f) + 2;
    }
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        seed = seed * 1664525 + 1013904223;
        scores[i] = (float)(seed >> 23) / 512;
    }
    for (int isa = HSI_ISA_BASE; isa <= HSI_ISA_AVX512; isa++)
        for (int k = 0; k < 3; k++) {
            const problem p = { IMAGES,
                                BOXES,
                                CLASSES,
                                { HSCHED_NMS_CONFIG_INIT, limits[k], 0.3f, 0.25f, 1 } };
            int64_t count = 0;
            for (int64_t b = 0; b < IMAGES; b++)
                for (int64_t c = 0; c < CLASSES; c++)
                    count += choose_plainly(&p, boxes + b * BOXES * 4,
                                            scores + (b * CLASSES + c) * BOXES, b, c,
                                            expected + 3 * count);
            const int64_t rows = IMAGES * CLASSES * limits[k];
            hsi_isa_limit = (hsi_isa)isa;
            run(&p, boxes, scores, y, (size_t)rows * 3 * sizeof *y);
            hsi_isa_limit = HSI_ISA_AVX512;
            assert_memory_equal(y, expected, (size_t)count * 3 * sizeof *y);
            for (int64_t i = 3 * count; i < 3 * rows; i++)
                assert_int_equal(y[i], -1);
        }
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    hsched_graph *g;
    hsched_tensor boxes, scores, t;
    const hsched_nms_config one = { HSCHED_NMS_CONFIG_INIT, .max_per_class = 1 };
    assert_ok(hsched_graph_create("boxes", &g));
    assert_ok(hsched_graph_add_input(g, "b", HSCHED_FLOAT32, 3,
                                     (const int64_t[]){ 1, 6, 4 }, &boxes));
    assert_ok(hsched_graph_add_input(g, "s", HSCHED_FLOAT32, 3,
                                     (const int64_t[]){ 1, 2, 5 }, &scores));
    assert_fails(hsched_graph_add_non_max_suppression(g, "y", boxes, scores, &one, &t),
                 HSCHED_ERROR_SHAPE, "[B,N,4]");
    assert_fails(hsched_graph_add_non_max_suppression(g, "y", boxes, scores, NULL, &t),
                 HSCHED_ERROR_INVALID_ARGUMENT, "at most 0 boxes");
    hsched_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlapping_boxes_go),
        cmocka_unit_test(as_a_plain_loop),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
