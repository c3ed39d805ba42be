/* Random steps that sample images, and choose boxes or elements: GRID_SAMPLE, ROI_ALIGN, NMS,
 * POOL_INDEX. */
#include <math.h>

#include "backend/random_maker.h"

static int64_t count_of(uint32_t rank, const int64_t *dims)
{
    int64_t all = 1;
    for (uint32_t d = 0; d < rank; d++)
        all *= dims[d];
    return all;
}

/* Coordinates reach a good way beyond the image; at times none lies in it. */
void random_make_grid_sample(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const uint32_t rank = chance(m, 70) ? 4 : 5;
    int64_t x[HSCHED_MAX_DIMS], y[HSCHED_MAX_DIMS], grid[HSCHED_MAX_DIMS];
    random_dims(m, rank, 2000, x);
    random_dims(m, rank, 2000, y);
    if (chance(m, 20)) /* more than one block of points */
        y[2] = range(m, 20, 60);
    y[0] = grid[0] = x[0];
    y[1] = x[1];
    for (uint32_t d = 2; d < rank; d++) /* many channels have few points */
        while (y[d] > 1 && count_of(rank, y) > 20000)
            y[d] /= 2;
    for (uint32_t d = 2; d < rank; d++)
        grid[d - 1] = y[d];
    grid[rank - 1] = rank - 2;
    s->u.grid_sample.mode = (hsched_resize_mode)(1 + m->index % 3);
    s->u.grid_sample.padding = (hsched_grid_padding)range(m, 0, HSCHED_GRID_REFLECTION);
    s->u.grid_sample.align_corners = chance(m, 50);
    s->u.grid_sample.pixels = chance(m, 20);
    s->input_count = 2;
    random_set_shape(&s->in[0], HSCHED_FLOAT32, rank, x);
    random_set_any_strides(m, &s->in[0], 1);
    random_set_shape(&s->in[1], HSCHED_FLOAT32, rank, grid);
    random_set_any_strides(m, &s->in[1], 1);
    random_set_shape(&s->out, HSCHED_FLOAT32, rank, y);
    random_set_any_strides(m, &s->out, 0);
    NOTE(m, "mode %d padding %d corners %d pixels %d", (int)s->u.grid_sample.mode,
         (int)s->u.grid_sample.padding, s->u.grid_sample.align_corners,
         s->u.grid_sample.pixels);
    random_output(m);
    random_input(m, 0, -1, 1);
    const double reach = s->u.grid_sample.pixels ? 9 : chance(m, 20) ? 40 : 1.6;
    random_input(m, 1, -reach, reach);
}

/* Boxes of which many overlap; scores of which some are equal, or below the threshold. */
void random_make_nms(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t b = range(m, 1, 3), c = range(m, 1, 5),
                  n = chance(m, 20) ? range(m, 100, 400) : range(m, 1, 40);
    s->u.nms.iou_threshold = chance(m, 20) ? 0 : uniform(m, 0, 1);
    s->u.nms.score_threshold = chance(m, 40) ? -INFINITY : uniform(m, -0.5, 0.9);
    s->u.nms.center = chance(m, 50);
    s->input_count = 2;
    random_set_shape(&s->in[0], HSCHED_FLOAT32, 3, (const int64_t[]){ b, n, 4 });
    random_set_any_strides(m, &s->in[0], 1);
    random_set_shape(&s->in[1], HSCHED_FLOAT32, 3, (const int64_t[]){ b, c, n });
    random_set_any_strides(m, &s->in[1], 1);
    random_set_shape(&s->out, HSCHED_INT64, 3,
                     (const int64_t[]){ b, c, chance(m, 50) ? n : range(m, 1, n) });
    random_set_any_strides(m, &s->out, 0);
    NOTE(m, "iou %g score %g center %d", (double)s->u.nms.iou_threshold,
         (double)s->u.nms.score_threshold, s->u.nms.center);
    m->values = chance(m, 50) ? RANDOM_VALUES_GRID : RANDOM_VALUES_PLAIN;
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, s->u.nms.center ? 0 : -1, 1);
    random_input_role(m, 1, RANDOM_ROLE_DATA, 1);
    if (chance(m, 30))
        random_not_numbers(m, 1, 10);
}

/* Few different values, so that windows have several largest ones. */
void random_make_pool_index(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const uint32_t rank = (uint32_t)range(m, 3, 5);
    int64_t x[HSCHED_MAX_DIMS], y[HSCHED_MAX_DIMS];
    random_dims(m, rank, 2000, x);
    if (chance(m, 20))
        x[rank - 1] = range(m, 100, 300);
    memcpy(y, x, sizeof y);
    for (uint32_t d = 0; d + 2 < rank; d++) {
        s->u.pool_index.kernel[d] = range(m, 1, 4);
        s->u.pool_index.strides[d] = range(m, 1, 3);
        s->u.pool_index.dilations[d] = chance(m, 70) ? 1 : range(m, 1, 3);
        s->u.pool_index.before[d] = range(m, 0, 2);
        y[2 + d] = range(m, 0, x[2 + d] + 1) / s->u.pool_index.strides[d] + 1;
    }
    s->u.pool_index.column_major = chance(m, 30);
    s->input_count = 1;
    random_set_shape(&s->in[0], HSCHED_FLOAT32, rank, x);
    random_set_any_strides(m, &s->in[0], 1);
    random_set_shape(&s->out, HSCHED_INT64, rank, y);
    random_set_any_strides(m, &s->out, 0);
    NOTE(m, "kernel %d stride %d in the first%s", (int)s->u.pool_index.kernel[0],
         (int)s->u.pool_index.strides[0],
         s->u.pool_index.column_major ? ", by columns" : "");
    m->values = chance(m, 50) ? RANDOM_VALUES_GRID : RANDOM_VALUES_PLAIN;
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    if (chance(m, 30))
        random_not_numbers(m, 0, 10);
}

/* Regions in images and beyond, some turned around; some images are not there. */
void random_make_roi_align(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t n = range(m, 1, 3), c = range(m, 1, 20), h = range(m, 1, 15),
                  w = range(m, 1, 15), r = range(m, 1, 5);
    s->u.roi_align.max = chance(m, 40);
    s->u.roi_align.half_pixel = chance(m, 50);
    s->u.roi_align.sampling_ratio = chance(m, 50) ? 0 : range(m, 1, 3);
    s->u.roi_align.scale = uniform(m, 2, 12);
    s->input_count = 3;
    random_set_shape(&s->in[0], HSCHED_FLOAT32, 4, (const int64_t[]){ n, c, h, w });
    random_set_any_strides(m, &s->in[0], 1);
    random_set_shape(&s->in[1], HSCHED_FLOAT32, 2, (const int64_t[]){ r, 4 });
    random_set_any_strides(m, &s->in[1], 1);
    random_set_shape(&s->in[2], chance(m, 50) ? HSCHED_INT64 : HSCHED_INT32, 1, &r);
    random_set_any_strides(m, &s->in[2], 1);
    random_set_shape(&s->out, HSCHED_FLOAT32, 4,
                     (const int64_t[]){ r, c, range(m, 1, 5), range(m, 1, 5) });
    random_set_any_strides(m, &s->out, 0);
    NOTE(m, "max %d half %d samples %d", s->u.roi_align.max, s->u.roi_align.half_pixel,
         (int)s->u.roi_align.sampling_ratio);
    random_output(m);
    random_input(m, 0, -1, 1);
    random_input(m, 1, -0.3, 1.5);
    random_input(m, 2, 0, 0);
    random_small_integers(m, 2, chance(m, 30) ? -1 : 0, n - 1);
}
