/* Random steps on indices: TUPLE_INDEX. */
#include "backend/random_maker.h"

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
