/* Random steps that compare the elements along an axis: ARG, TOP_K; or add them up:
 * CUMSUM. */
#include "backend/random_maker.h"

#include "base/element.h"

static const hsched_dtype types[] = { HSCHED_FLOAT32, HSCHED_INT64, HSCHED_INT32,
                                      HSCHED_FLOAT64, HSCHED_UINT8, HSCHED_INT8 };

/* x of any type and strides and the indices of out; along the axis, which is at times long, out
 * has `kept` elements, or some of x's where that is 0. */
static uint32_t shapes(random_maker *m, int64_t kept)
{
    hsched_step *s = &m->made->step;
    const uint32_t rank = (uint32_t)range(m, 1, 5),
                   axis = (uint32_t)range(m, 0, rank - 1);
    int64_t dims[HSCHED_MAX_DIMS];
    random_dims(m, rank, 3000, dims);
    if (chance(m, 40))
        dims[axis] = range(m, 1, 300);
    s->input_count = 1;
    random_set_shape(&s->in[0], types[m->index % RANDOM_COUNT(types)], rank, dims);
    random_set_any_strides(m, &s->in[0], 1);
    dims[axis] = kept ? kept : range(m, 1, dims[axis]);
    random_set_shape(&s->out, HSCHED_INT64, rank, dims);
    random_set_any_strides(m, &s->out, 0);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    return axis;
}

/* Few values, so that there are several equal ones, or many. */
static void fill(random_maker *m)
{
    const hsched_dtype type = m->made->step.in[0].dtype;
    const int few = chance(m, 50);
    m->values = few ? RANDOM_VALUES_GRID : RANDOM_VALUES_PLAIN;
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    if (hsi_is_real(type) && chance(m, 25))
        random_not_numbers(m, 0, (int)range(m, 1, 60));
    if (few && !hsi_is_real(type))
        random_small_integers(m, 0, type == HSCHED_UINT8 ? 0 : -3, 3);
}

void random_make_arg(random_maker *m)
{
    hsched_step *s = &m->made->step;
    s->u.arg.axis = shapes(m, 1);
    s->u.arg.smallest = chance(m, 50);
    s->u.arg.last = chance(m, 50);
    NOTE(m, "%s%s of %s along %u", s->u.arg.last ? "last " : "",
         s->u.arg.smallest ? "smallest" : "largest", hsched_dtype_name(s->in[0].dtype),
         s->u.arg.axis);
    fill(m);
}

void random_make_top_k(random_maker *m)
{
    hsched_step *s = &m->made->step;
    s->u.top_k.axis = shapes(m, 0);
    s->u.top_k.smallest = chance(m, 50);
    NOTE(m, "%s of %s along %u", s->u.top_k.smallest ? "smallest" : "largest",
         hsched_dtype_name(s->in[0].dtype), s->u.top_k.axis);
    fill(m);
}

void random_make_cumsum(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const uint32_t rank = (uint32_t)range(m, 1, 5);
    const hsched_dtype type = types[m->index % 4]; /* not the bytes */
    int64_t dims[HSCHED_MAX_DIMS];
    s->u.cumsum.axis = (uint32_t)range(m, 0, rank - 1);
    s->u.cumsum.exclusive = chance(m, 50);
    s->u.cumsum.reverse = chance(m, 50);
    s->u.cumsum.product = chance(m, 30);
    random_dims(m, rank, 3000, dims);
    if (chance(m, 40))
        dims[s->u.cumsum.axis] = range(m, 1, 300);
    s->input_count = 1;
    random_set_shape(&s->in[0], type, rank, dims);
    random_set_any_strides(m, &s->in[0], 1);
    random_set_shape(&s->out, type, rank, dims);
    random_set_any_strides(m, &s->out, 0);
    NOTE(m, "along %u%s%s%s", s->u.cumsum.axis, s->u.cumsum.product ? " product" : "",
         s->u.cumsum.exclusive ? " exclusive" : "",
         s->u.cumsum.reverse ? " reverse" : "");
    m->made->compare = RANDOM_COMPARE_BITS; /* both add up doubles, in order */
    random_output(m);
    m->values = RANDOM_VALUES_GRID;
    if (type ==
        HSCHED_FLOAT64) /* what is exact in any order: there is nothing to round it to */
        random_input_role(m, 0,
                          s->u.cumsum.product ? RANDOM_ROLE_WEIGHT : RANDOM_ROLE_DATA, 1);
    else
        random_input(m, 0, -1, 1);
}
