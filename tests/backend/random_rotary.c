/* Random ROTARY steps: pairs apart, side by side, and in any strides. */
#include "backend/random_maker.h"

/* Halves of heads, or pairs side by side, with tables that all heads share. */
static void usual_shapes(random_maker *m, int beside)
{
    hsched_step *s = &m->made->step;
    const int64_t heads = range(m, 1, 4), places = range(m, 1, 12), n = range(m, 1, 40);
    const int64_t apart_dims[] = { heads, places, 2, n },
                  beside_dims[] = { heads, places, n, 2 };
    const int whole = chance(m, 50); /* tables have an angle for each of a pair */
    s->u.rotary.axis = beside ? 3 : 2;
    for (uint32_t k = 0; k < 4; k++) {
        hsched_operand *op = k < 3 ? &s->in[k] : &s->out;
        random_set_shape(op, HSCHED_FLOAT32, 4, beside ? beside_dims : apart_dims);
        random_set_dense(op, NULL);
        if (k == 0 || k == 3)
            continue;
        op->strides[0] = 0;
        if (whole)
            continue;
        op->strides[1] = n;
        op->strides[beside ? 2 : 3] = 1;
        op->strides[s->u.rotary.axis] = 0;
    }
}

static void any_shapes(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const uint32_t rank = (uint32_t)range(m, 1, 6);
    int64_t dims[HSCHED_MAX_DIMS];
    random_dims(m, rank, 3000, dims);
    s->u.rotary.axis = (uint32_t)range(m, 0, rank - 1);
    dims[s->u.rotary.axis] = 2;
    for (uint32_t k = 0; k < 4; k++) {
        hsched_operand *op = k < 3 ? &s->in[k] : &s->out;
        random_set_shape(op, HSCHED_FLOAT32, rank, dims);
        random_set_any_strides(m, op, k < 3);
        for (uint32_t d = 0; d < rank; d++)
            if ((k == 1 || k == 2) && chance(m, 30))
                op->strides[d] = 0;
    }
}

void random_make_rotary(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int way = (int)range(m, 0, 2);
    s->input_count = 3;
    if (way < 2)
        usual_shapes(m, way);
    else
        any_shapes(m);
    if (chance(m, 30)) {
        s->in[0] = s->out;
        s->out_aliases = 0;
    }
    NOTE(m, "axis %u, way %d", s->u.rotary.axis, way);
    m->made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    for (uint32_t k = 0; k < 3; k++)
        random_input(m, k, -1, 1);
}
