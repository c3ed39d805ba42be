/* Random steps on indices: TUPLE_INDEX, SCATTER. */
#include "backend/random_maker.h"

static const hsched_dtype types[] = { HSCHED_FLOAT32, HSCHED_INT64, HSCHED_INT32,
                                      HSCHED_UINT8,   HSCHED_INT8,  HSCHED_FLOAT64,
                                      HSCHED_FLOAT16, HSCHED_BOOL };

/* Some are out of range. */
void random_make_tuple_index(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const uint32_t rank = (uint32_t)range(m, 1, 5), last = rank - 1;
    int64_t dims[HSCHED_MAX_DIMS], *sizes = s->u.tuple_index.dims;
    random_dims(m, rank, 3000, dims);
    dims[last] = range(m, 1, HSCHED_MAX_DIMS);
    s->input_count = 1;
    random_set_shape(&s->in[0], chance(m, 50) ? HSCHED_INT64 : HSCHED_INT32, rank, dims);
    random_set_any_strides(m, &s->in[0], 1);
    const int64_t size = range(m, 1, 9);
    for (int64_t k = 0; k < dims[last]; k++)
        sizes[k] = size + range(m, 0, 3);
    NOTE(m, "%d of %d and more", (int)dims[last], (int)size);
    dims[last] = 1;
    random_set_shape(&s->out, HSCHED_INT64, rank, dims);
    random_set_any_strides(m, &s->out, 0);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, 0, 0);
    const int outside = chance(m, 50);
    random_small_integers(m, 0, -size - outside, size - 1 + outside);
}

static void put_index(random_maker *m, int64_t at, int64_t value)
{
    const int narrow = m->made->step.in[1].dtype == HSCHED_INT32;
    const int32_t short_value = (int32_t)value;
    uint8_t *first = m->made->in[1].block + m->made->in[1].first;
    if (narrow)
        memcpy(first + at * 4, &short_value, 4);
    else
        memcpy(first + at * 8, &value, 8);
}

/* Rows that share their indices, which name neighbours one after the other, or none; as many as
 * kernels do not look at together. */
static void make_shared_runs(random_maker *m, hsched_dtype type)
{
    hsched_step *s = &m->made->step;
    const int64_t rows = range(m, 1, 5), places = range(m, 20, 400),
                  count = PICK(m, 1, 9, 300, 2048, 2049, 5000),
                  most = PICK(m, 1, 12, 100);
    s->u.scatter.axis = 1;
    s->input_count = 3;
    random_set_shape(&s->out, type, 2, (const int64_t[]){ rows, places });
    random_set_shape(&s->in[2], type, 2, (const int64_t[]){ rows, count });
    random_set_shape(&s->in[1], chance(m, 50) ? HSCHED_INT64 : HSCHED_INT32, 2,
                     (const int64_t[]){ rows, count });
    for (uint32_t i = 1; i < 3; i++)
        random_set_dense(&s->in[i], NULL);
    random_set_dense(&s->out, NULL);
    s->in[0] = s->out;
    s->in[1].strides[0] = 0;
    NOTE(m, "kind %d, runs of up to %d", (int)s->u.scatter.kind, (int)most);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
    random_input(m, 1, 0, 0);
    random_input(m, 2, -1, 1);
    for (int64_t at = 0; at < count;) {
        /* From before the first place to behind the last one; often negative. */
        int64_t index = range(m, -places - 3, places), n = range(m, 1, most);
        for (; n > 0 && at < count && index <= places; n--)
            put_index(m, at++, index++);
    }
}

/* Elements of their own, or rows of them for one index; of the kind SET only for the types behind
 * the first six; often many for one place; at times in place. */
void random_make_scatter(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const uint32_t type = m->index % RANDOM_COUNT(types);
    const uint32_t rank = (uint32_t)range(m, 1, 5),
                   axis = (uint32_t)range(m, 0, rank - 1);
    int64_t dims[HSCHED_MAX_DIMS];
    s->u.scatter.kind =
        (hsched_scatter_kind)(type < 6 ? range(m, HSCHED_SCATTER_SET, HSCHED_SCATTER_MIN)
                                       : HSCHED_SCATTER_SET);
    if (chance(m, 25)) {
        make_shared_runs(m, types[type]);
        return;
    }
    random_dims(m, rank, 3000, dims);
    s->input_count = 3;
    s->u.scatter.axis = axis;
    random_set_shape(&s->out, types[type], rank, dims);
    random_set_any_strides(m, &s->out, 0);
    const int64_t places = dims[axis];
    const int rows = chance(m, 50), whole = chance(m, 50);
    for (uint32_t d = 0; d < rank; d++)
        dims[d] = d == axis ? range(m, 1, 9) : whole ? dims[d] : range(m, 1, dims[d]);
    random_set_shape(&s->in[1], chance(m, 50) ? HSCHED_INT64 : HSCHED_INT32, rank, dims);
    random_set_any_strides(m, &s->in[1], 1);
    for (uint32_t d = 0; rows && d < rank; d++)
        if (d != axis)
            s->in[1].strides[d] = 0;
    random_set_shape(&s->in[2], types[type], rank, dims);
    random_set_any_strides(m, &s->in[2], 1);
    s->in[0] = s->out;
    if (chance(m, 30))
        s->out_aliases = 0;
    else
        random_set_any_strides(m, &s->in[0], 1);
    NOTE(m, "kind %d along %u", (int)s->u.scatter.kind, axis);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
    random_input(m, 1, 0, 0);
    const int outside = chance(m, 50);
    random_small_integers(m, 1, -places - outside, places - 1 + outside);
    random_input(m, 2, -1, 1);
}
