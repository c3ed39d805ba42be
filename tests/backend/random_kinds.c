/* Random steps of all other kinds, and the table of all. */
#include <string.h>

#include "backend/random_maker.h"
#include "base/element.h"

/* ---- normalisation ---- */

/* x and out of one shape and any strides. */
static void same_shapes(random_maker *m, uint32_t low_rank, uint32_t high_rank)
{
    hsched_step *s = &m->made->step;
    uint32_t rank =
        chance(m, 50) && low_rank <= 4 ? 4 : (uint32_t)range(m, low_rank, high_rank);
    int64_t dims[HSCHED_MAX_DIMS];
    random_dims(m, rank, 6000, dims);
    s->input_count = 1;
    random_set_shape(&s->in[0], HSCHED_FLOAT32, rank, dims);
    random_set_any_strides(m, &s->in[0], 1);
    random_set_shape(&s->out, HSCHED_FLOAT32, rank, dims);
    random_set_any_strides(m, &s->out, 0);
}

static void make_scale(random_maker *m)
{
    hsched_step *s = &m->made->step;
    same_shapes(m, 2, 5);
    random_fused_activation(m);
    s->input_count = 3;
    for (int i = 1; i < 3; i++) {
        random_set_shape(&s->in[i], HSCHED_FLOAT32, 1, &s->in[0].dims[1]);
        random_set_dense(&s->in[i], NULL);
    }
    m->made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    random_constant(m, 1, RANDOM_ROLE_DATA, 1);
    random_constant(m, 2, RANDOM_ROLE_BIAS, 1);
}

static void make_lrn(random_maker *m)
{
    hsched_step *s = &m->made->step;
    same_shapes(m, 2, 5);
    s->u.lrn.size = range(m, 1, 7);
    s->u.lrn.alpha = chance(m, 50) ? 1e-4f : uniform(m, 0.1, 2);
    s->u.lrn.beta = chance(m, 50) ? 0.75f : uniform(m, 0.3, 1.2);
    s->u.lrn.bias = chance(m, 50) ? 1 : uniform(m, 0.5, 2);
    NOTE(m, "size %d alpha %g beta %g bias %g", (int)s->u.lrn.size, s->u.lrn.alpha,
         s->u.lrn.beta, s->u.lrn.bias);
    random_output(m);
    random_input(m, 0, -2, 2);
}

static void make_softmax(random_maker *m)
{
    hsched_step *s = &m->made->step;
    same_shapes(m, 1, 5);
    s->u.softmax.axis = (uint32_t)range(m, 0, s->out.rank - 1);
    if (chance(m, 40))
        s->u.softmax.axis = s->out.rank - 1;
    s->u.softmax.log = chance(m, 30);
    if (chance(m, 20))
        s->in[0].dtype = s->out.dtype = HSCHED_FLOAT64;
    NOTE(m, "axis %u%s", s->u.softmax.axis, s->u.softmax.log ? " log" : "");
    m->made->compare =
        s->u.softmax.log ? RANDOM_COMPARE_NORM : RANDOM_COMPARE_NORM_NO_FLOOR;
    random_output(m);
    if (chance(m, 20))
        random_input(m, 0, 500, 520); /* exp of these is infinite */
    else
        random_input(m, 0, -8, 8);
}

/* ---- element by element ---- */

/* Makes input i share out's memory at times. */
static void try_in_place(random_maker *m, uint32_t i)
{
    hsched_step *s = &m->made->step;
    if (!chance(m, 35))
        return;
    s->in[i] = s->out;
    s->out_aliases = (int)i;
}

void random_make_unary_of(random_maker *m, hsched_dtype dtype)
{
    hsched_step *s = &m->made->step;
    same_shapes(m, 0, 5);
    if (chance(m, 10)) { /* as many dimensions as there can be */
        int64_t dims[HSCHED_MAX_DIMS];
        for (int d = 0; d < HSCHED_MAX_DIMS; d++)
            dims[d] = range(m, 1, 3);
        random_set_shape(&s->in[0], HSCHED_FLOAT32, HSCHED_MAX_DIMS, dims);
        random_set_scattered(m, &s->in[0], 1);
        random_set_shape(&s->out, HSCHED_FLOAT32, HSCHED_MAX_DIMS, dims);
        random_set_scattered(m, &s->out, 0);
    }
    s->in[0].dtype = s->out.dtype = dtype;
    random_set_activation(
        m, (hsched_activation_kind)(m->index % (dtype == HSCHED_FLOAT64 ? 39 : 40)));
    try_in_place(m, 0);
    m->made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    switch (s->act.kind) {
    case HSCHED_ACTIVATION_EXP:
        random_input(m, 0, -12, 12);
        break;
    case HSCHED_ACTIVATION_LOG:
    case HSCHED_ACTIVATION_SQRT:
    case HSCHED_ACTIVATION_RECIPROCAL:
        random_input(m, 0, 0.05, 8);
        break;
    case HSCHED_ACTIVATION_ASIN:
    case HSCHED_ACTIVATION_ACOS:
    case HSCHED_ACTIVATION_ATANH:
        random_input(m, 0, -0.99, 0.99);
        break;
    case HSCHED_ACTIVATION_ACOSH:
        random_input(m, 0, 1.01, 30);
        break;
    case HSCHED_ACTIVATION_TAN: /* between two poles */
        random_input(m, 0, -1.5, 1.5);
        break;
    case HSCHED_ACTIVATION_SIN: /* what several quarters, and several ways, are for */
    case HSCHED_ACTIVATION_COS:
        random_input(m, 0, -5, chance(m, 50) ? 5 : 9000);
        break;
    case HSCHED_ACTIVATION_SINH:
    case HSCHED_ACTIVATION_COSH:
        random_input(m, 0, -12, 12);
        break;
    default: /* into saturation, and where a careless exp overflows */
        random_input(m, 0, chance(m, 20) ? -120 : -5, chance(m, 20) ? 120 : 5);
        break;
    }
}

/* Values that suit the operation and, behind it, the activation. */
static void make_unary(random_maker *m)
{
    if (chance(m, 25))
        random_make_typed_unary(m);
    else
        random_make_unary_of(m, HSCHED_FLOAT32);
}

static void binary_data(random_maker *m)
{
    hsched_step *s = &m->made->step;
    if (m->values == RANDOM_VALUES_GRID) {
        random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
        random_input_role(m, 1, RANDOM_ROLE_DATA, 1);
    } else if (s->u.binary.kind == HSCHED_BINARY_POW &&
               m->values == RANDOM_VALUES_PLAIN &&
               chance(m, 40)) { /* squares and cubes of negative numbers exist */
        const double exponent = (double)range(m, 0, 3);
        random_input(m, 0, -3, 3);
        random_input(m, 1, exponent, exponent);
    } else if (m->values == RANDOM_VALUES_POSITIVE ||
               s->u.binary.kind == HSCHED_BINARY_POW) {
        random_input(m, 0, 0.2, 2);
        random_input(m, 1, 0.5, 2);
    } else if (s->u.binary.kind == HSCHED_BINARY_DIV) {
        random_input(m, 0, -3, 3);
        if (chance(m, 50))
            random_input(m, 1, 0.3, 3);
        else
            random_input(m, 1, -3, -0.3);
    } else {
        random_input(m, 0, -3, 3);
        random_input(m, 1, -3, 3);
    }
}

static void make_binary(random_maker *m)
{
    hsched_step *s = &m->made->step;
    if (chance(m, 50)) {
        random_make_typed_binary(m);
        return;
    }
    same_shapes(m, 0, 5);
    s->u.binary.kind =
        (hsched_binary_kind)range(m, HSCHED_BINARY_ADD, HSCHED_BINARY_PRELU);
    random_fused_activation(m);
    /* Quotients and powers are not exact on a grid; differences are not positive. */
    if (m->values == RANDOM_VALUES_GRID &&
        (s->u.binary.kind == HSCHED_BINARY_DIV || s->u.binary.kind == HSCHED_BINARY_POW))
        s->u.binary.kind = HSCHED_BINARY_MUL;
    if (m->values == RANDOM_VALUES_POSITIVE && s->u.binary.kind == HSCHED_BINARY_SUB)
        s->u.binary.kind = HSCHED_BINARY_ADD;
    s->input_count = 2;
    s->in[1] = s->in[0];
    if (chance(m, 60))
        random_set_any_strides(m, &s->in[1], 1);
    else if (chance(m, 30))
        s->in[1] = s->out; /* all three alike, but for the memory */
    if (chance(m, 60)) {   /* one operand broadcast: all of it, or some dimensions */
        hsched_operand *op = &s->in[chance(m, 80)];
        const int whole = chance(m, 20);
        for (uint32_t d = 0; d < op->rank; d++)
            if (whole || chance(m, 50))
                op->strides[d] = 0;
    }
    try_in_place(m, (uint32_t)range(m, 0, 1));
    NOTE(m, "op %d", (int)s->u.binary.kind);
    m->made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    binary_data(m);
}

/* ---- data ---- */

/* Permutation number k of `rank` dimensions. */
static void permutation(uint32_t rank, uint32_t k, uint32_t *order)
{
    uint32_t left[HSCHED_MAX_DIMS];
    for (uint32_t d = 0; d < rank; d++)
        left[d] = d;
    for (uint32_t n = rank; n > 0; n--) {
        uint32_t at = k % n;
        k /= n;
        order[rank - n] = left[at];
        memmove(&left[at], &left[at + 1], (n - at - 1) * sizeof left[0]);
    }
}

/* Types in turn; the first half of the steps goes through all permutations of four
 * dimensions. */
static void make_copy(random_maker *m)
{
    hsched_step *s = &m->made->step;
    static const hsched_dtype dtypes[] = {
        HSCHED_FLOAT32, HSCHED_UINT8,    HSCHED_INT64, HSCHED_INT32,  HSCHED_BOOL,
        HSCHED_FLOAT16, HSCHED_BFLOAT16, HSCHED_INT8,  HSCHED_FLOAT64
    };
    const hsched_dtype dtype =
        chance(m, 50) ? HSCHED_FLOAT32 : dtypes[m->index % RANDOM_COUNT(dtypes)];
    same_shapes(m, 0, 6);
    s->in[0].dtype = s->out.dtype = dtype;
    if (m->index % 2 == 0 && s->out.rank == 4) {
        uint32_t order[HSCHED_MAX_DIMS];
        permutation(4, m->index / 2 % 24, order);
        random_set_dense(&s->in[0], order);
        permutation(4, (uint32_t)range(m, 0, 23), order);
        random_set_dense(&s->out, chance(m, 50) ? NULL : order);
    }
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
}

static void make_pad(random_maker *m)
{
    hsched_step *s = &m->made->step;
    static const hsched_dtype types[] = {
        HSCHED_FLOAT32, HSCHED_FLOAT32, HSCHED_INT64,
        HSCHED_INT32,   HSCHED_INT8,    HSCHED_FLOAT64
    };
    same_shapes(m, 1, 5);
    s->in[0].dtype = s->out.dtype = types[range(m, 0, (int64_t)RANDOM_COUNT(types) - 1)];
    s->u.pad.mode =
        (hsched_pad_mode)range(m, HSCHED_PAD_MODE_CONSTANT, HSCHED_PAD_MODE_EDGE);
    s->u.pad.value = chance(m, 50) ? 0 : uniform(m, -2, 2);
    for (uint32_t d = 0; d < s->out.rank; d++) {
        int64_t most = chance(m, 40) ? 0 : 4;
        if (s->u.pad.mode == HSCHED_PAD_MODE_REFLECT && most > s->in[0].dims[d] - 1)
            most = s->in[0].dims[d] - 1;
        s->u.pad.before[d] = range(m, 0, most);
        s->out.dims[d] += s->u.pad.before[d] + range(m, 0, most);
    }
    random_set_any_strides(m, &s->out, 0);
    const int64_t *b = s->u.pad.before;
    NOTE(m, "mode %d before %d,%d,%d,%d,%d", (int)s->u.pad.mode, (int)b[0], (int)b[1],
         (int)b[2], (int)b[3], (int)b[4]);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
}

static void make_reduce(random_maker *m)
{
    hsched_step *s = &m->made->step;
    static const hsched_dtype types[] = { HSCHED_FLOAT32, HSCHED_FLOAT32, HSCHED_FLOAT64,
                                          HSCHED_INT64,   HSCHED_INT32,   HSCHED_UINT8,
                                          HSCHED_INT8 };
    same_shapes(m, 1, 5);
    s->u.reduce.kind =
        (hsched_reduce_kind)range(m, HSCHED_REDUCE_MEAN, HSCHED_REDUCE_PROD);
    const int extreme =
        s->u.reduce.kind == HSCHED_REDUCE_MAX || s->u.reduce.kind == HSCHED_REDUCE_MIN;
    s->in[0].dtype = s->out.dtype = types[range(m, 0, extreme ? 6 : 4)];
    if (!hsi_is_real(s->in[0].dtype))
        m->made->compare = RANDOM_COMPARE_BITS;
    const int spatial = s->out.rank == 4 && chance(m, 40), all = chance(m, 15);
    for (uint32_t d = 0; d < s->out.rank; d++)
        if (all || (spatial ? d >= 2 : chance(m, 50)))
            s->out.dims[d] = 1;
    random_set_any_strides(m, &s->out, 0);
    random_output(m);
    random_input(m, 0, chance(m, 50) ? 0.2 : -1, 1);
}

static void make_image(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t n = range(m, 1, 2), h = range(m, 1, 23), w = range(m, 1, 23),
                  c = range(m, 1, 4);
    s->input_count = 1;
    random_set_shape(&s->in[0], HSCHED_UINT8, 4, (const int64_t[]){ n, h, w, c });
    random_set_dense(&s->in[0], NULL);
    random_set_shape(&s->out, HSCHED_FLOAT32, 4, (const int64_t[]){ n, c, h, w });
    random_set_any_strides(m, &s->out, 0);
    for (int k = 0; k < 4; k++) {
        s->u.image.mean[k] = chance(m, 50) ? 0 : uniform(m, 0, 255);
        s->u.image.scale[k] = chance(m, 50) ? 1 / 255.0f : uniform(m, -2, 2);
    }
    s->u.image.swap_red_blue = c >= 3 && chance(m, 50);
    NOTE(m, "swap %d", s->u.image.swap_red_blue);
    m->made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    random_input(m, 0, 0, 0);
}

static void (*const makers[])(random_maker *) = {
    [HSCHED_STEP_CONV2D] = random_make_conv2d,
    [HSCHED_STEP_FC] = random_make_fc,
    [HSCHED_STEP_MATMUL] = random_make_matmul,
    [HSCHED_STEP_POOL2D] = random_make_pool2d,
    [HSCHED_STEP_SCALE] = make_scale,
    [HSCHED_STEP_LRN] = make_lrn,
    [HSCHED_STEP_SOFTMAX] = make_softmax,
    [HSCHED_STEP_NORM] = random_make_norm,
    [HSCHED_STEP_UNARY] = make_unary,
    [HSCHED_STEP_BINARY] = make_binary,
    [HSCHED_STEP_COPY] = make_copy,
    [HSCHED_STEP_PAD] = make_pad,
    [HSCHED_STEP_REDUCE] = make_reduce,
    [HSCHED_STEP_IMAGE] = make_image,
    [HSCHED_STEP_CAST] = random_make_cast,
    [HSCHED_STEP_WHERE] = random_make_where,
    [HSCHED_STEP_GATHER] = random_make_gather,
    [HSCHED_STEP_ARG] = random_make_arg,
    [HSCHED_STEP_TOP_K] = random_make_top_k,
    [HSCHED_STEP_TUPLE_INDEX] = random_make_tuple_index,
    [HSCHED_STEP_SCATTER] = random_make_scatter,
    [HSCHED_STEP_CUMSUM] = random_make_cumsum,
    [HSCHED_STEP_GRID_SAMPLE] = random_make_grid_sample,
    [HSCHED_STEP_POOL_INDEX] = random_make_pool_index,
    [HSCHED_STEP_ROI_ALIGN] = random_make_roi_align,
    [HSCHED_STEP_NMS] = random_make_nms,
    [HSCHED_STEP_RESIZE] = random_make_resize,
    [HSCHED_STEP_RECURRENT] = random_make_recurrent,
    [HSCHED_STEP_ROTARY] = random_make_rotary,
    [HSCHED_STEP_SEPARABLE_CONV2D] = random_make_separable_conv2d,
};

int random_kind_has_maker(hsched_step_kind kind)
{
    return (size_t)kind < RANDOM_COUNT(makers) && makers[kind] != NULL;
}

void random_kind_make(random_maker *maker, hsched_step_kind kind)
{
    makers[kind](maker);
}
