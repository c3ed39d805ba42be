/* Random steps, kind by kind: odd shapes and all attributes, within the contract. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/random_step.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define NOTE(m, ...) snprintf((m)->note, sizeof(m)->note, __VA_ARGS__)

static int64_t range(random_maker *m, int64_t low, int64_t high)
{
    return random_range(&m->rng, low, high);
}

static int chance(random_maker *m, int percent)
{
    return random_chance(&m->rng, percent);
}

static float uniform(random_maker *m, double low, double high)
{
    return (float)random_uniform(&m->rng, low, high);
}

static int64_t pick(random_maker *m, const int64_t *values, size_t count)
{
    return values[range(m, 0, (int64_t)count - 1)];
}
#define PICK(m, ...)                                                                     \
    pick((m), (const int64_t[]){ __VA_ARGS__ }, COUNT(((const int64_t[]){ __VA_ARGS__ })))

/* ---- Operands ---- */

static void set_shape(hsched_operand *op, hsched_dtype dtype, uint32_t rank,
                      const int64_t *dims)
{
    op->dtype = dtype;
    op->rank = rank;
    for (uint32_t d = 0; d < rank; d++)
        op->dims[d] = dims[d];
}

/* Row-major; `order[k]` is the k-th dimension from the outside, NULL: in order. */
static void set_dense(hsched_operand *op, const uint32_t *order)
{
    int64_t stride = 1;
    for (uint32_t k = op->rank; k-- > 0;) {
        uint32_t d = order ? order[k] : k;
        op->strides[d] = stride;
        stride *= op->dims[d];
    }
}

/* Channels-last with a pixel stride of C or, as a slice of a joint tensor, more. */
static void set_channels_last(random_maker *m, hsched_operand *op)
{
    int64_t pixel = op->dims[1] + (chance(m, 50) ? 0 : range(m, 1, 9));
    op->strides[0] = op->dims[2] * op->dims[3] * pixel;
    op->strides[1] = 1;
    op->strides[2] = op->dims[3] * pixel;
    op->strides[3] = pixel;
}

static void shuffle(random_maker *m, uint32_t *order, uint32_t rank)
{
    for (uint32_t d = 0; d < rank; d++)
        order[d] = d;
    for (uint32_t d = rank; d > 1; d--) {
        uint32_t k = (uint32_t)range(m, 0, d - 1), t = order[d - 1];
        order[d - 1] = order[k];
        order[k] = t;
    }
}

/* Any order of dimensions, any gaps; inputs also backwards and broadcast. */
static void set_scattered(random_maker *m, hsched_operand *op, int is_input)
{
    uint32_t order[HSCHED_MAX_DIMS];
    shuffle(m, order, op->rank);
    int64_t stride = chance(m, 25) ? range(m, 2, 3) : 1;
    for (uint32_t k = op->rank; k-- > 0;) {
        uint32_t d = order[k];
        op->strides[d] = stride;
        stride = stride * op->dims[d] + (chance(m, 30) ? range(m, 1, 5) : 0);
        if (is_input && chance(m, 15))
            op->strides[d] = -op->strides[d];
        else if (is_input && chance(m, 10))
            op->strides[d] = 0;
        if (op->dims[d] == 1 && chance(m, 30)) /* says nothing: only index 0 exists */
            op->strides[d] = range(m, 0, 1000);
    }
}

/* For operands of "any strides": often dense or channels-last, which kernels treat
 * specially. */
static void set_any_strides(random_maker *m, hsched_operand *op, int is_input)
{
    int64_t way = range(m, 1, 100);
    if (way <= 35)
        set_dense(op, NULL);
    else if (way <= 65 && op->rank == 4)
        set_channels_last(m, op);
    else
        set_scattered(m, op, is_input);
}

static void random_dims(random_maker *m, uint32_t rank, int64_t most_elements,
                        int64_t *dims)
{
    for (;;) {
        int64_t count = 1;
        for (uint32_t d = 0; d < rank; d++) {
            dims[d] = chance(m, 15)   ? 1
                      : chance(m, 15) ? range(m, 16, 70)
                                      : range(m, 1, 17);
            count *= dims[d];
        }
        if (count <= most_elements)
            return;
    }
}

static void constant(random_maker *m, uint32_t i, random_role role, double bound)
{
    random_input_role(m, i, role, bound);
    m->made->step.in[i].constant = m->made->in[i].block + m->made->in[i].first;
}

/* ---- Activations ---- */

/* The data that sums must be made of for the tolerance to mean something behind this
 * activation. */
static random_sums data_for(hsched_activation_kind kind)
{
    switch (kind) {
    case HSCHED_ACTIVATION_EXP:
    case HSCHED_ACTIVATION_LOG:
    case HSCHED_ACTIVATION_SQRT:
    case HSCHED_ACTIVATION_RECIPROCAL:
        return RANDOM_DATA_POSITIVE;
    case HSCHED_ACTIVATION_FLOOR:
    case HSCHED_ACTIVATION_CEIL:
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
        return RANDOM_DATA_GRID;
    default:
        return RANDOM_DATA_PLAIN;
    }
}

static void set_activation(random_maker *m, hsched_activation_kind kind)
{
    hsched_activation *act = &m->made->step.act;
    act->kind = kind;
    /* Members that a kind does not name hold garbage. */
    act->a = uniform(m, -9, 9);
    act->b = uniform(m, -9, 9);
    switch (kind) {
    case HSCHED_ACTIVATION_LEAKY_RELU:
        act->a = uniform(m, 0.01, 0.5);
        break;
    case HSCHED_ACTIVATION_CLIP:
        act->a = chance(m, 50) ? 0 : uniform(m, -0.5, 0.1);
        act->b = chance(m, 50) ? 6 : uniform(m, 0.2, 1);
        break;
    case HSCHED_ACTIVATION_HARD_SIGMOID:
        act->a = uniform(m, 0.1, 0.5);
        act->b = uniform(m, 0.3, 0.7);
        break;
    case HSCHED_ACTIVATION_ELU:
        act->a = uniform(m, 0.5, 1.5);
        break;
    case HSCHED_ACTIVATION_SELU:
        act->a = 1.6732632f;
        act->b = 1.0507010f;
        break;
    case HSCHED_ACTIVATION_THRESHOLDED_RELU: /* off the grid of 1/16 */
        act->a = 0.28f + 0.25f * (float)range(m, -4, 4);
        break;
    default:
        break;
    }
    m->data = data_for(kind);
}

/* One behind a step of another kind: often none or ReLU, else any of them in turn. */
static void fused_activation(random_maker *m)
{
    int64_t way = range(m, 1, 100);
    if (way <= 25)
        set_activation(m, HSCHED_ACTIVATION_NONE);
    else if (way <= 45)
        set_activation(m, HSCHED_ACTIVATION_RELU);
    else
        set_activation(m, (hsched_activation_kind)(m->index % 26));
}

/* The bound of weights that makes sums over k products of size about one. */
static double weight_bound(const random_maker *m, int64_t k)
{
    return m->data == RANDOM_DATA_POSITIVE ? 2.0 / (double)k : 1.7 / sqrt((double)k);
}

/* ---- conv2d ---- */

typedef struct conv_shape {
    int64_t n, c, o, groups, size[2], kernel[2], strides[2], dilations[2], pads[4],
        out[2];
} conv_shape;

static void conv_channels(random_maker *m, conv_shape *s)
{
    int64_t way = range(m, 1, 100);
    s->c = PICK(m, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 32, 33, 48, 64);
    s->o = PICK(m, 1, 2, 3, 5, 8, 9, 15, 16, 17, 24, 32, 33, 40, 64, 65);
    s->groups = 1;
    if (way <= 20) { /* depthwise, sometimes with several outputs a channel */
        s->groups = s->c;
        s->o = s->c * (chance(m, 75) ? 1 : range(m, 2, 3));
    } else if (way <= 40) {
        s->groups = PICK(m, 2, 3, 4, 8);
        s->c = s->groups * PICK(m, 1, 2, 3, 4, 8, 16);
        s->o = s->groups * PICK(m, 1, 2, 3, 5, 8, 16);
    }
}

static void conv_window(random_maker *m, conv_shape *s)
{
    const int pointwise = chance(m, 25), usual = chance(m, 40);
    const int tiny = chance(m, 8); /* the last layers of small networks */
    for (int d = 0; d < 2; d++) {
        s->size[d] = tiny            ? range(m, 1, 2)
                     : chance(m, 20) ? range(m, 14, 30)
                                     : range(m, 1, 15);
        s->kernel[d] = pointwise ? 1 : usual ? 3 : PICK(m, 1, 2, 3, 3, 4, 5, 7);
        s->strides[d] = usual ? 1 : PICK(m, 1, 1, 2, 2, 3);
        s->dilations[d] = usual ? 1 : PICK(m, 1, 1, 1, 2, 3);
        /* Up to wider than the window: it then sees nothing but padding at times. */
        s->pads[d] = usual ? s->kernel[d] / 2 : range(m, 0, s->kernel[d]);
        s->pads[2 + d] = usual ? s->kernel[d] / 2 : range(m, 0, s->kernel[d]);
    }
    if (usual && chance(m, 40))
        s->strides[0] = s->strides[1] = 2;
    if (pointwise && chance(m, 70))
        memset(s->pads, 0, sizeof s->pads);
}

/* 0 if the kernel does not fit or it takes too long. */
static int conv_valid(conv_shape *s, uint64_t *macs)
{
    *macs = (uint64_t)(s->n * s->o * (s->c / s->groups));
    for (int d = 0; d < 2; d++) {
        int64_t room = s->size[d] + s->pads[d] + s->pads[2 + d] -
                       s->dilations[d] * (s->kernel[d] - 1) - 1;
        if (room < 0)
            return 0;
        s->out[d] = room / s->strides[d] + 1;
        *macs *= (uint64_t)(s->out[d] * s->kernel[d]);
    }
    return *macs <= 1500000;
}

static void make_conv2d(random_maker *m)
{
    hsched_step *s = &m->made->step;
    conv_shape c;
    do {
        c.n = chance(m, 70) ? 1 : range(m, 2, 3);
        conv_channels(m, &c);
        conv_window(m, &c);
    } while (!conv_valid(&c, &s->macs));
    fused_activation(m);
    memcpy(s->u.conv2d.strides, c.strides, sizeof c.strides);
    memcpy(s->u.conv2d.pads, c.pads, sizeof c.pads);
    memcpy(s->u.conv2d.dilations, c.dilations, sizeof c.dilations);
    s->u.conv2d.groups = c.groups;
    NOTE(m, "strides %d,%d pads %d,%d,%d,%d dilations %d,%d groups %d", (int)c.strides[0],
         (int)c.strides[1], (int)c.pads[0], (int)c.pads[1], (int)c.pads[2],
         (int)c.pads[3], (int)c.dilations[0], (int)c.dilations[1], (int)c.groups);

    const int64_t x[] = { c.n, c.c, c.size[0], c.size[1] };
    const int64_t w[] = { c.o, c.c / c.groups, c.kernel[0], c.kernel[1] };
    const int64_t y[] = { c.n, c.o, c.out[0], c.out[1] };
    set_shape(&s->in[0], HSCHED_FLOAT32, 4, x);
    set_channels_last(m, &s->in[0]);
    set_shape(&s->in[1], HSCHED_FLOAT32, 4, w);
    set_dense(&s->in[1], NULL);
    set_shape(&s->out, HSCHED_FLOAT32, 4, y);
    set_channels_last(m, &s->out);
    const int has_residual = chance(m, 40),
              has_bias = m->data != RANDOM_DATA_PLAIN || chance(m, 70);
    s->input_count = has_residual ? 4
                     : has_bias   ? (uint32_t)range(m, 3, 4)
                                  : PICK(m, 2, 3, 4);
    if (has_bias) {
        set_shape(&s->in[2], HSCHED_FLOAT32, 1, &c.o);
        set_dense(&s->in[2], NULL);
    }
    if (has_residual) {
        set_shape(&s->in[3], HSCHED_FLOAT32, 4, y);
        set_channels_last(m, &s->in[3]);
        if (chance(m, 50)) {
            s->in[3] = s->out;
            s->out_aliases = 3;
        }
    }
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    constant(m, 1, RANDOM_ROLE_WEIGHT, weight_bound(m, w[1] * w[2] * w[3]));
    if (has_bias)
        constant(m, 2, RANDOM_ROLE_BIAS, 1);
    if (has_residual)
        random_input_role(m, 3, RANDOM_ROLE_DATA, 1);
}

/* ---- fully connected, matmul ---- */

/* Rows of stride-1 elements. */
static void set_rows(random_maker *m, hsched_operand *op, int is_input)
{
    op->strides[1] = 1;
    op->strides[0] = op->dims[1] + (chance(m, 50) ? 0 : range(m, 1, 20));
    if (is_input && chance(m, 6))
        op->strides[0] = chance(m, 50) ? 0 : -op->strides[0];
}

static void make_fc(random_maker *m)
{
    hsched_step *s = &m->made->step;
    int64_t rows = PICK(m, 1, 1, 1, 2, 3, 4, 5, 8, 17),
            k = PICK(m, 1, 2, 3, 7, 16, 64, 130, 515);
    int64_t o = PICK(m, 1, 2, 3, 10, 16, 33, 100, 301);
    if (chance(m, 50)) {
        k = range(m, 1, 260);
        o = range(m, 1, 130);
    }
    fused_activation(m);
    s->macs = (uint64_t)(rows * k * o);
    set_shape(&s->in[0], HSCHED_FLOAT32, 2, (const int64_t[]){ rows, k });
    set_rows(m, &s->in[0], 1);
    set_shape(&s->in[1], HSCHED_FLOAT32, 2, (const int64_t[]){ o, k });
    set_dense(&s->in[1], NULL);
    set_shape(&s->out, HSCHED_FLOAT32, 2, (const int64_t[]){ rows, o });
    set_rows(m, &s->out, 0);
    const int has_bias = m->data != RANDOM_DATA_PLAIN || chance(m, 70);
    s->input_count = has_bias ? 3 : (uint32_t)range(m, 2, 3);
    if (has_bias) {
        set_shape(&s->in[2], HSCHED_FLOAT32, 1, &o);
        set_dense(&s->in[2], NULL);
    }
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    constant(m, 1, RANDOM_ROLE_WEIGHT, weight_bound(m, k));
    if (has_bias)
        constant(m, 2, RANDOM_ROLE_BIAS, 1);
}

static void make_matmul(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const uint32_t rank = (uint32_t)range(m, 2, 5);
    int64_t dims[3][HSCHED_MAX_DIMS]; /* a, b, out */
    int64_t batch = 1;
    for (uint32_t d = 0; d + 2 < rank; d++) {
        int64_t n = range(m, 1, 4);
        dims[0][d] = dims[1][d] = dims[2][d] = n;
        batch *= n;
    }
    int64_t rows = range(m, 1, 40), k = range(m, 1, 70), columns = range(m, 1, 40);
    if (chance(m, 15))
        rows = 1;
    dims[0][rank - 2] = dims[2][rank - 2] = rows;
    dims[0][rank - 1] = dims[1][rank - 2] = k;
    dims[1][rank - 1] = dims[2][rank - 1] = columns;
    fused_activation(m);
    s->macs = (uint64_t)(batch * rows * k * columns);
    s->input_count = 2;
    for (int i = 0; i < 2; i++) {
        set_shape(&s->in[i], HSCHED_FLOAT32, rank, dims[i]);
        if (chance(m, 60))
            set_dense(&s->in[i], NULL);
        else
            set_scattered(m, &s->in[i], 1);
        for (uint32_t d = 0; d + 2 < rank; d++)
            if (chance(m, 25)) /* broadcast */
                s->in[i].strides[d] = 0;
    }
    set_shape(&s->out, HSCHED_FLOAT32, rank, dims[2]);
    set_dense(&s->out, NULL);
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    random_input_role(m, 1, RANDOM_ROLE_WEIGHT, weight_bound(m, k));
}

/* ---- pool2d ---- */

/* One dimension's pads, and the size of out, rounded up or down. 0 if a window sees no
 * pixel. */
static int pool_dimension(random_maker *m, hsched_step *s, int d, int64_t size,
                          int64_t *out)
{
    const int64_t kernel = s->u.pool2d.kernel[d], stride = s->u.pool2d.strides[d];
    const int64_t dilation = s->u.pool2d.dilations[d],
                  reach = dilation * (kernel - 1) + 1;
    const int64_t before = s->u.pool2d.pads[d], after = s->u.pool2d.pads[2 + d];
    int64_t room = size + before + after - reach;
    if (room < 0)
        return 0;
    *out = room / stride + 1;
    if (room % stride != 0 && chance(m, 50) && *out * stride < size + before)
        *out += 1; /* rounded up: the last window starts within the input or its leading
                      padding */
    for (int64_t y = 0; y < *out; y++) {
        int inside = 0;
        for (int64_t k = 0; k < kernel; k++) {
            int64_t at = y * stride - before + k * dilation;
            inside |= at >= 0 && at < size;
        }
        if (!inside)
            return 0;
    }
    return 1;
}

static void make_pool2d(random_maker *m)
{
    hsched_step *s = &m->made->step;
    int64_t x[4], y[4];
    s->u.pool2d.kind = chance(m, 50) ? HSCHED_POOL_MAX : HSCHED_POOL_AVERAGE;
    s->u.pool2d.count_include_pad = chance(m, 50);
    x[0] = y[0] = range(m, 1, 3);
    x[1] = y[1] = PICK(m, 1, 2, 3, 4, 7, 8, 15, 16, 17, 33, 64, 65);
    const int global = chance(m, 15), usual = chance(m, 30);
    for (int d = 0; d < 2; d++) {
        do {
            x[2 + d] = range(m, 1, 17);
            s->u.pool2d.kernel[d] = global  ? x[2 + d]
                                    : usual ? range(m, 2, 3)
                                            : range(m, 1, 5);
            s->u.pool2d.strides[d] = global ? 1 : usual ? 2 : range(m, 1, 4);
            s->u.pool2d.dilations[d] = global || usual ? 1 : PICK(m, 1, 1, 2);
            s->u.pool2d.pads[d] = global ? 0 : range(m, 0, s->u.pool2d.kernel[d] - 1);
            s->u.pool2d.pads[2 + d] = global ? 0 : range(m, 0, s->u.pool2d.kernel[d] - 1);
        } while (!pool_dimension(m, s, d, x[2 + d], &y[2 + d]));
    }
    s->input_count = 1;
    set_shape(&s->in[0], HSCHED_FLOAT32, 4, x);
    set_channels_last(m, &s->in[0]);
    set_shape(&s->out, HSCHED_FLOAT32, 4, y);
    set_channels_last(m, &s->out);
    const int64_t *p = s->u.pool2d.pads;
    NOTE(m,
         "%s kernel %d,%d strides %d,%d pads %d,%d,%d,%d dilations %d,%d include_pad %d",
         s->u.pool2d.kind == HSCHED_POOL_MAX ? "max" : "average",
         (int)s->u.pool2d.kernel[0], (int)s->u.pool2d.kernel[1],
         (int)s->u.pool2d.strides[0], (int)s->u.pool2d.strides[1], (int)p[0], (int)p[1],
         (int)p[2], (int)p[3], (int)s->u.pool2d.dilations[0],
         (int)s->u.pool2d.dilations[1], s->u.pool2d.count_include_pad);
    if (s->u.pool2d.kind == HSCHED_POOL_MAX)
        m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, chance(m, 20) ? -0.5 : 1); /* sometimes all below zero */
}

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
    set_shape(&s->in[0], HSCHED_FLOAT32, rank, dims);
    set_any_strides(m, &s->in[0], 1);
    set_shape(&s->out, HSCHED_FLOAT32, rank, dims);
    set_any_strides(m, &s->out, 0);
}

static void make_scale(random_maker *m)
{
    hsched_step *s = &m->made->step;
    same_shapes(m, 2, 5);
    fused_activation(m);
    s->input_count = 3;
    for (int i = 1; i < 3; i++) {
        set_shape(&s->in[i], HSCHED_FLOAT32, 1, &s->in[0].dims[1]);
        set_dense(&s->in[i], NULL);
    }
    m->made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    constant(m, 1, RANDOM_ROLE_DATA, 1);
    constant(m, 2, RANDOM_ROLE_BIAS, 1);
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
    NOTE(m, "axis %u", s->u.softmax.axis);
    m->made->compare = RANDOM_COMPARE_NORM_NO_FLOOR;
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

static void make_unary(random_maker *m)
{
    hsched_step *s = &m->made->step;
    same_shapes(m, 0, 5);
    if (chance(m, 10)) { /* as many dimensions as there can be */
        int64_t dims[HSCHED_MAX_DIMS];
        for (int d = 0; d < HSCHED_MAX_DIMS; d++)
            dims[d] = range(m, 1, 3);
        set_shape(&s->in[0], HSCHED_FLOAT32, HSCHED_MAX_DIMS, dims);
        set_scattered(m, &s->in[0], 1);
        set_shape(&s->out, HSCHED_FLOAT32, HSCHED_MAX_DIMS, dims);
        set_scattered(m, &s->out, 0);
    }
    set_activation(m, (hsched_activation_kind)(m->index % 26));
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
    default: /* into saturation, and where a careless exp overflows */
        random_input(m, 0, chance(m, 20) ? -120 : -5, chance(m, 20) ? 120 : 5);
        break;
    }
}

/* Values that suit the operation and, behind it, the activation. */
static void binary_data(random_maker *m)
{
    hsched_step *s = &m->made->step;
    if (m->data == RANDOM_DATA_GRID) {
        random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
        random_input_role(m, 1, RANDOM_ROLE_DATA, 1);
    } else if (s->u.binary.kind == HSCHED_BINARY_POW && m->data == RANDOM_DATA_PLAIN &&
               chance(m, 40)) { /* squares and cubes of negative numbers exist */
        const double exponent = (double)range(m, 0, 3);
        random_input(m, 0, -3, 3);
        random_input(m, 1, exponent, exponent);
    } else if (m->data == RANDOM_DATA_POSITIVE || s->u.binary.kind == HSCHED_BINARY_POW) {
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
    same_shapes(m, 0, 5);
    s->u.binary.kind =
        (hsched_binary_kind)range(m, HSCHED_BINARY_ADD, HSCHED_BINARY_PRELU);
    fused_activation(m);
    /* Quotients and powers are not exact on a grid; differences are not positive. */
    if (m->data == RANDOM_DATA_GRID &&
        (s->u.binary.kind == HSCHED_BINARY_DIV || s->u.binary.kind == HSCHED_BINARY_POW))
        s->u.binary.kind = HSCHED_BINARY_MUL;
    if (m->data == RANDOM_DATA_POSITIVE && s->u.binary.kind == HSCHED_BINARY_SUB)
        s->u.binary.kind = HSCHED_BINARY_ADD;
    s->input_count = 2;
    s->in[1] = s->in[0];
    if (chance(m, 60))
        set_any_strides(m, &s->in[1], 1);
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
        chance(m, 50) ? HSCHED_FLOAT32 : dtypes[m->index % COUNT(dtypes)];
    same_shapes(m, 0, 6);
    s->in[0].dtype = s->out.dtype = dtype;
    if (m->index % 2 == 0 && s->out.rank == 4) {
        uint32_t order[HSCHED_MAX_DIMS];
        permutation(4, m->index / 2 % 24, order);
        set_dense(&s->in[0], order);
        permutation(4, (uint32_t)range(m, 0, 23), order);
        set_dense(&s->out, chance(m, 50) ? NULL : order);
    }
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
}

static void make_pad(random_maker *m)
{
    hsched_step *s = &m->made->step;
    same_shapes(m, 1, 5);
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
    set_any_strides(m, &s->out, 0);
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
    same_shapes(m, 1, 5);
    const int spatial = s->out.rank == 4 && chance(m, 40), all = chance(m, 15);
    for (uint32_t d = 0; d < s->out.rank; d++)
        if (all || (spatial ? d >= 2 : chance(m, 50)))
            s->out.dims[d] = 1;
    set_any_strides(m, &s->out, 0);
    random_output(m);
    random_input(m, 0, chance(m, 50) ? 0.2 : -1, 1);
}

static void make_image(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t n = range(m, 1, 2), h = range(m, 1, 23), w = range(m, 1, 23),
                  c = range(m, 1, 4);
    s->input_count = 1;
    set_shape(&s->in[0], HSCHED_UINT8, 4, (const int64_t[]){ n, h, w, c });
    set_dense(&s->in[0], NULL);
    set_shape(&s->out, HSCHED_FLOAT32, 4, (const int64_t[]){ n, c, h, w });
    set_any_strides(m, &s->out, 0);
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

void random_kind_make(random_maker *maker, hsched_step_kind kind)
{
    static void (*const makers[RANDOM_STEP_KINDS + 1])(random_maker *) = {
        [HSCHED_STEP_CONV2D] = make_conv2d,   [HSCHED_STEP_FC] = make_fc,
        [HSCHED_STEP_MATMUL] = make_matmul,   [HSCHED_STEP_POOL2D] = make_pool2d,
        [HSCHED_STEP_SCALE] = make_scale,     [HSCHED_STEP_LRN] = make_lrn,
        [HSCHED_STEP_SOFTMAX] = make_softmax, [HSCHED_STEP_UNARY] = make_unary,
        [HSCHED_STEP_BINARY] = make_binary,   [HSCHED_STEP_COPY] = make_copy,
        [HSCHED_STEP_PAD] = make_pad,         [HSCHED_STEP_REDUCE] = make_reduce,
        [HSCHED_STEP_IMAGE] = make_image,
    };
    makers[kind](maker);
}
