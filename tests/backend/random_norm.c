/* Random NORM steps: layers, groups of channels, instances, root mean squares. */
#include "backend/random_maker.h"

/* As a layer lays it out, with any strides, often the way that images lie. */
static void shapes(random_maker *m, hsched_dtype type)
{
    hsched_step *s = &m->made->step;
    const uint32_t rank = chance(m, 50) ? 4 : (uint32_t)range(m, 1, 6);
    int64_t dims[HSCHED_MAX_DIMS];
    const int wide = chance(m, 30);
    random_dims(m, rank, wide ? 500 : 6000, dims);
    s->u.norm.axis = (uint32_t)range(m, 0, rank - 1);
    if (chance(m, 50))
        s->u.norm.axis = rank > 1;
    s->u.norm.groups = 1;
    if (wide)
        dims[s->u.norm.axis] = range(m, 1, 9) * range(m, 1, 40);
    if (chance(m, 60)) {
        s->u.norm.groups = chance(m, 50) ? dims[s->u.norm.axis] : range(m, 1, 6);
        if (dims[s->u.norm.axis] % s->u.norm.groups != 0)
            s->u.norm.groups = dims[s->u.norm.axis];
    }
    s->input_count = (uint32_t)range(m, 1, 3);
    random_set_shape(&s->in[0], type, rank, dims);
    random_set_any_strides(m, &s->in[0], 1);
    random_set_shape(&s->out, type, rank, dims);
    random_set_any_strides(m, &s->out, 0);
    if (rank == 4 && chance(m, 30)) {
        random_set_channels_last(m, &s->in[0]);
        random_set_channels_last(m, &s->out);
    }
}

/* Of a layer's shape, of channels, or of any. */
static void parameters(random_maker *m, uint32_t i, int way)
{
    hsched_step *s = &m->made->step;
    random_set_shape(&s->in[i], s->out.dtype, s->out.rank, s->out.dims);
    if (way == 2) {
        random_set_scattered(m, &s->in[i], 1);
        return;
    }
    int64_t stride = 1;
    for (uint32_t d = s->out.rank; d-- > 0;) {
        const int used = way == 0 ? d >= s->u.norm.axis : d == s->u.norm.axis;
        s->in[i].strides[d] = used ? stride : 0;
        stride *= used ? s->out.dims[d] : 1;
    }
}

void random_make_norm(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int way = (int)range(m, 0, 2), far = chance(m, 20);
    shapes(m, chance(m, 20) ? HSCHED_FLOAT64 : HSCHED_FLOAT32);
    s->u.norm.epsilon = chance(m, 50) ? 1e-2f : uniform(m, 0.05, 1);
    s->u.norm.rms = chance(m, 25);
    if (s->out.dtype == HSCHED_FLOAT32 &&
        chance(m, 25)) /* none that amplifies: the sums are not of size one */
        s->act.kind = chance(m, 50) ? HSCHED_ACTIVATION_RELU : HSCHED_ACTIVATION_SILU;
    for (uint32_t i = 1; i < s->input_count; i++)
        parameters(m, i, way);
    if (s->input_count == 3 && chance(m, 15))
        memset(&s->in[1], 0, sizeof s->in[1]);
    NOTE(m, "axis %u groups %d%s epsilon %g, %u inputs, way %d", s->u.norm.axis,
         (int)s->u.norm.groups, s->u.norm.rms ? " rms" : "", (double)s->u.norm.epsilon,
         s->input_count, way);
    random_output(m);
    /* Far from 0 the variance is lost to who squares first; the tolerance of float64 leaves no
     * room for what the sum loses there. */
    const double least = !far || s->u.norm.rms            ? -2
                         : s->out.dtype == HSCHED_FLOAT64 ? 10
                                                          : 1000;
    random_input(m, 0, least, least + (least < 0 ? 4 : 2));
    for (uint32_t i = 1; i < s->input_count; i++)
        if (s->in[i].dtype != HSCHED_DTYPE_NONE)
            random_input(m, i, -1, 1);
}
