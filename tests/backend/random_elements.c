/* Random steps that take several types: CAST, WHERE, and arithmetic on integers and bool. */
#include "backend/random_maker.h"

#include "base/element.h"

static const hsched_dtype types[] = { HSCHED_FLOAT32, HSCHED_FLOAT16, HSCHED_BFLOAT16,
                                      HSCHED_FLOAT64, HSCHED_INT64,   HSCHED_INT32,
                                      HSCHED_INT8,    HSCHED_UINT8,   HSCHED_BOOL };

/* Inputs and out of one shape and any strides; some dimensions of one input repeat. */
static void shapes(random_maker *m, uint32_t inputs, const hsched_dtype *in,
                   hsched_dtype out)
{
    hsched_step *s = &m->made->step;
    const uint32_t rank = chance(m, 40) ? 4 : (uint32_t)range(m, 0, 6);
    int64_t dims[HSCHED_MAX_DIMS];
    random_dims(m, rank, 6000, dims);
    s->input_count = inputs;
    random_set_shape(&s->out, out, rank, dims);
    random_set_any_strides(m, &s->out, 0);
    for (uint32_t i = 0; i < inputs; i++) {
        random_set_shape(&s->in[i], in[i], rank, dims);
        if (chance(m, 30))
            memcpy(s->in[i].strides, s->out.strides, sizeof s->out.strides);
        else
            random_set_any_strides(m, &s->in[i], 1);
        const int whole = chance(m, 10), some = chance(m, 25);
        for (uint32_t d = 0; d < rank; d++)
            if (whole || (some && chance(m, 50)))
                s->in[i].strides[d] = 0;
    }
}

/* Makes an input of out's type share out's memory at times. */
static void try_in_place(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const uint32_t i = (uint32_t)range(m, 0, s->input_count - 1);
    if (s->in[i].dtype != s->out.dtype || !chance(m, 35))
        return;
    s->in[i] = s->out;
    s->out_aliases = (int)i;
}

void random_make_cast(random_maker *m)
{
    static const double sizes[] = { 1, 3, 200, 7e4, 5e9, 1e20 };
    const hsched_dtype from = types[m->index % RANDOM_COUNT(types)];
    hsched_dtype to = types[m->index / RANDOM_COUNT(types) % RANDOM_COUNT(types)];
    if (to == from)
        to = from == HSCHED_FLOAT32 ? HSCHED_INT32 : HSCHED_FLOAT32;
    const double size = sizes[range(m, 0, (int64_t)RANDOM_COUNT(sizes) - 1)];
    shapes(m, 1, &from, to);
    NOTE(m, "from %s", hsched_dtype_name(from));
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -size, size); /* of other types: any bits */
    if (from == HSCHED_FLOAT64 && chance(m, 30))
        random_any_bits(m, 0);
}

void random_make_where(random_maker *m)
{
    const hsched_dtype type = types[m->index % RANDOM_COUNT(types)];
    shapes(m, 3, (const hsched_dtype[]){ HSCHED_BOOL, type, type }, type);
    try_in_place(m);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    for (uint32_t i = 0; i < 3; i++)
        random_input(m, i, -1, 1);
}

/* Some indices are out of range. */
void random_make_gather(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const hsched_dtype type = types[m->index % RANDOM_COUNT(types)];
    const uint32_t rank = (uint32_t)range(m, 1, 5),
                   axis = (uint32_t)range(m, 0, rank - 1);
    int64_t dims[HSCHED_MAX_DIMS];
    random_dims(m, rank, 3000, dims);
    s->input_count = 2;
    s->u.gather.axis = axis;
    random_set_shape(&s->out, type, rank, dims);
    random_set_any_strides(m, &s->out, 0);
    random_set_shape(&s->in[1], chance(m, 50) ? HSCHED_INT64 : HSCHED_INT32, rank, dims);
    random_set_any_strides(m, &s->in[1], 1);
    const int rows = chance(m, 50);
    for (uint32_t d = 0; d < rank; d++) {
        if (rows && d != axis)
            s->in[1].strides[d] = 0;
        dims[d] = d == axis ? range(m, 1, 9) : dims[d] + (rows ? 0 : range(m, 0, 2));
    }
    random_set_shape(&s->in[0], type, rank, dims);
    random_set_any_strides(m, &s->in[0], 1);
    NOTE(m, "axis %u of %d", axis, (int)dims[axis]);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
    random_input(m, 1, 0, 0);
    random_small_integers(m, 1, -dims[axis] - 1, dims[axis]);
}

void random_make_typed_unary(random_maker *m)
{
    static const hsched_activation_kind kinds[] = {
        HSCHED_ACTIVATION_NONE, HSCHED_ACTIVATION_RELU, HSCHED_ACTIVATION_ABS,
        HSCHED_ACTIVATION_NEG, HSCHED_ACTIVATION_SIGN
    };
    const hsched_dtype type = types[range(m, 4, 7)];
    if (chance(m, 60)) {
        random_make_unary_of(m, HSCHED_FLOAT64);
        return;
    }
    shapes(m, 1, &type, type);
    m->made->step.act.kind = kinds[range(m, 0, (int64_t)RANDOM_COUNT(kinds) - 1)];
    try_in_place(m);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, 0, 0);
}

/* Floats where the result is bool: integers, so that equal ones meet. Of float64 everything is
 * computed by the same operations as the reference does. */
void random_make_typed_binary(random_maker *m)
{
    hsched_step *s = &m->made->step;
    hsched_binary_kind kind;
    hsched_dtype type;
    do {
        kind = (hsched_binary_kind)range(m, HSCHED_BINARY_ADD, HSCHED_BINARY_SHIFT_RIGHT);
        type = types[range(m, 0, (int64_t)RANDOM_COUNT(types) - 1)];
    } while (!hsi_binary_takes(kind, type) ||
             (type == HSCHED_FLOAT32 && kind <= HSCHED_BINARY_PRELU));
    shapes(m, 2, (const hsched_dtype[]){ type, type },
           hsi_binary_compares(kind) ? HSCHED_BOOL : type);
    s->u.binary.kind = kind;
    try_in_place(m);
    NOTE(m, "op %d of %s", (int)kind, hsched_dtype_name(type));
    m->made->compare =
        s->out.dtype == HSCHED_FLOAT32 ? RANDOM_COMPARE_ELEMENTS : RANDOM_COMPARE_BITS;
    random_output(m);
    m->values = RANDOM_VALUES_GRID;
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    if (type == HSCHED_FLOAT32 &&
        !hsi_binary_compares(kind)) /* remainders by 0 are none */
        random_input(m, 1, 0.3, 3);
    else
        random_input_role(m, 1, RANDOM_ROLE_DATA, 1);
    if (!hsi_is_integer(type) || s->out_aliases == 1 || chance(m, 40))
        return;
    /* Small numbers, zeros among them, as divisors, exponents and widths of shifts. */
    random_small_integers(m, 1, -3, chance(m, 50) ? 9 : 70);
}
