/* Random steps that sample images: GRID_SAMPLE. */
#include "backend/random_maker.h"

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
