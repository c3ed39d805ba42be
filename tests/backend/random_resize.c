/* Random RESIZE steps. */
#include <string.h>

#include "backend/random_maker.h"

void random_make_resize(random_maker *m)
{
    hsched_step *s = &m->made->step;
    int64_t x[HSCHED_MAX_DIMS], y[HSCHED_MAX_DIMS];
    const int image = chance(m, 60);
    const uint32_t rank = image ? 4 : (uint32_t)range(m, 1, 5);
    const uint32_t axes[2] = { image ? 2 : (uint32_t)range(m, 0, rank - 1),
                               image ? 3 : (uint32_t)range(m, 0, rank - 1) };
    s->u.resize.mode = (hsched_resize_mode)range(m, 1, 3);
    s->u.resize.coordinates = (hsched_resize_coordinates)range(m, 0, HSCHED_RESIZE_CROP);
    s->u.resize.rounding = (hsched_resize_rounding)range(m, 0, HSCHED_RESIZE_CEIL);
    s->u.resize.exclude_outside = chance(m, 20);
    s->u.resize.antialias = chance(m, 30);
    s->u.resize.cubic_a = chance(m, 70) ? -0.75f : -0.5f;
    s->u.resize.extrapolation_value = 0.5f;
    random_dims(m, rank, 1500, x);
    memcpy(y, x, sizeof y);
    for (uint32_t d = 0; d < rank; d++) {
        s->u.resize.scales[d] = s->u.resize.roi_end[d] = 1;
        s->u.resize.lengths[d] = (float)x[d];
    }
    for (int i = 0; i < 2; i++) {
        const uint32_t d = axes[i];
        y[d] = chance(m, 40) ? 2 * x[d] : range(m, 1, 2 * x[d] + 1);
        s->u.resize.scales[d] = (float)y[d] / (float)x[d];
        s->u.resize.lengths[d] = (float)y[d];
        s->u.resize.roi_start[d] = uniform(m, -0.3, 0.4);
        s->u.resize.roi_end[d] = uniform(m, 0.6, 1.3);
    }
    s->input_count = 1;
    random_set_shape(&s->in[0], HSCHED_FLOAT32, rank, x);
    random_set_shape(&s->out, HSCHED_FLOAT32, rank, y);
    random_set_any_strides(m, &s->in[0], 1);
    random_set_any_strides(m, &s->out, 0);
    NOTE(m, "mode %d coordinates %d rounding %d antialias %d exclude %d",
         (int)s->u.resize.mode, (int)s->u.resize.coordinates, (int)s->u.resize.rounding,
         s->u.resize.antialias, s->u.resize.exclude_outside);
    if (s->u.resize.mode == HSCHED_RESIZE_NEAREST)
        m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
}
