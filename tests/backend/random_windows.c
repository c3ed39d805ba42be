/* Random steps of the kinds that sum: conv2d, separable conv2d, fully connected, matmul, pool2d. */
#include <string.h>

#include "backend/random_maker.h"

/* At times x lies on levels, and weights are mostly such as 8 bits hold. What lies on a grid
 * (RANDOM_VALUES_GRID) is of these levels, and of such weights, in any case. */
static void try_levels(random_maker *m)
{
    hsched_levels levels = { 0.25f, (float)range(m, -243, -12) };
    if (!chance(m, 40))
        return;
    if (m->values == RANDOM_VALUES_POSITIVE)
        levels = (hsched_levels){ uniform(m, 0.004, 0.02), 0 };
    else if (m->values == RANDOM_VALUES_PLAIN)
        levels = (hsched_levels){ uniform(m, 0.002, 0.01), (float)range(m, -255, 0) };
    random_put_on_levels(m, levels);
    if (m->values != RANDOM_VALUES_GRID && chance(m, 90))
        random_quantise_weights(m, (int)range(m, 1, 128));
}

/* ---- conv2d ---- */

typedef struct conv_shape {
    int64_t n, c, o, groups, size[2], kernel[2], strides[2], dilations[2], pads[4],
        out[2];
} conv_shape;

static void conv_channels(random_maker *m, conv_shape *s)
{
    int64_t way = range(m, 1, 100);
    s->c = PICK(m, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 32, 33, 48, 64, 150, 1100);
    s->o = PICK(m, 1, 2, 3, 5, 8, 9, 15, 16, 17, 24, 32, 33, 40, 64, 65, 129);
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

void random_make_conv2d(random_maker *m)
{
    hsched_step *s = &m->made->step;
    conv_shape c;
    do {
        c.n = chance(m, 70) ? 1 : range(m, 2, 3);
        conv_channels(m, &c);
        conv_window(m, &c);
    } while (!conv_valid(&c, &s->macs));
    if (chance(m, 50))
        s->macs *= 32; /* so that backends find it worth cutting into parts */
    random_fused_activation(m);
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
    random_set_shape(&s->in[0], HSCHED_FLOAT32, 4, x);
    random_set_channels_last(m, &s->in[0]);
    random_set_shape(&s->in[1], HSCHED_FLOAT32, 4, w);
    random_set_dense(&s->in[1], NULL);
    random_set_shape(&s->out, HSCHED_FLOAT32, 4, y);
    random_set_channels_last(m, &s->out);
    const int has_residual = chance(m, 40),
              has_bias = m->values != RANDOM_VALUES_PLAIN || chance(m, 70);
    s->input_count = has_residual ? 4
                     : has_bias   ? (uint32_t)range(m, 3, 4)
                                  : PICK(m, 2, 3, 4);
    if (has_bias) {
        random_set_shape(&s->in[2], HSCHED_FLOAT32, 1, &c.o);
        random_set_dense(&s->in[2], NULL);
    }
    if (has_residual) {
        random_set_shape(&s->in[3], HSCHED_FLOAT32, 4, y);
        random_set_channels_last(m, &s->in[3]);
        if (chance(m, 50)) {
            s->in[3] = s->out;
            s->out_aliases = 3;
        }
    }
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    random_constant(m, 1, RANDOM_ROLE_WEIGHT, random_weight_bound(m, w[1] * w[2] * w[3]));
    try_levels(m);
    if (has_bias)
        random_constant(m, 2, RANDOM_ROLE_BIAS, 1);
    if (has_residual)
        random_input_role(m, 3, RANDOM_ROLE_DATA, 1);
}

/* ---- separable conv2d ---- */

static void optional_bias(random_maker *m, uint32_t i, int64_t size, int percent)
{
    hsched_operand *bias = &m->made->step.in[i];
    if (!chance(m, percent))
        return;
    random_set_shape(bias, HSCHED_FLOAT32, 1, &size);
    random_set_dense(bias, NULL);
    random_constant(m, i, RANDOM_ROLE_BIAS, 1);
}

/* What is on a grid stays on one, and what is positive stays so. */
static void between(random_maker *m)
{
    static const hsched_activation_kind kinds[] = { HSCHED_ACTIVATION_NONE,
                                                    HSCHED_ACTIVATION_RELU,
                                                    HSCHED_ACTIVATION_CLIP,
                                                    HSCHED_ACTIVATION_HARD_SWISH };
    const int64_t count = m->values == RANDOM_VALUES_PLAIN ? 4 : 2;
    m->made->step.u.separable_conv2d.depthwise_act =
        (hsched_activation){ .kind = kinds[range(m, 0, count - 1)], .a = 0, .b = 1 };
}

/* Rows of several tiles, and maps of several blocks, at times. */
static void separable_size(random_maker *m, conv_shape *s)
{
    if (chance(m, 30))
        s->size[chance(m, 50)] = range(m, 16, 60);
    if (chance(m, 10))
        s->c = PICK(m, 150, 160, 400);
}

static int separable_valid(conv_shape *s, uint64_t *macs)
{
    conv_shape depthwise = *s;
    depthwise.o = depthwise.groups = s->c;
    if (!conv_valid(&depthwise, macs))
        return 0;
    memcpy(s->out, depthwise.out, sizeof s->out);
    const uint64_t pointwise = (uint64_t)(s->n * s->c * s->o * s->out[0] * s->out[1]);
    *macs += pointwise;
    return pointwise <= 1500000;
}

void random_make_separable_conv2d(random_maker *m)
{
    hsched_step *s = &m->made->step;
    conv_shape c;
    do {
        c.n = chance(m, 70) ? 1 : range(m, 2, 3);
        conv_channels(m, &c);
        conv_window(m, &c);
        separable_size(m, &c);
    } while (!separable_valid(&c, &s->macs));
    if (chance(m, 50))
        s->macs *= 32;
    random_fused_activation(m);
    between(m);
    memcpy(s->u.separable_conv2d.strides, c.strides, sizeof c.strides);
    memcpy(s->u.separable_conv2d.pads, c.pads, sizeof c.pads);
    memcpy(s->u.separable_conv2d.dilations, c.dilations, sizeof c.dilations);
    NOTE(m, "strides %d,%d pads %d,%d,%d,%d dilations %d,%d depthwise act %d",
         (int)c.strides[0], (int)c.strides[1], (int)c.pads[0], (int)c.pads[1],
         (int)c.pads[2], (int)c.pads[3], (int)c.dilations[0], (int)c.dilations[1],
         (int)s->u.separable_conv2d.depthwise_act.kind);

    const int64_t y[] = { c.n, c.o, c.out[0], c.out[1] };
    random_set_shape(&s->in[0], HSCHED_FLOAT32, 4,
                     (const int64_t[]){ c.n, c.c, c.size[0], c.size[1] });
    random_set_channels_last(m, &s->in[0]);
    random_set_shape(&s->in[1], HSCHED_FLOAT32, 4,
                     (const int64_t[]){ c.c, 1, c.kernel[0], c.kernel[1] });
    random_set_dense(&s->in[1], NULL);
    random_set_shape(&s->in[3], HSCHED_FLOAT32, 4, (const int64_t[]){ c.o, c.c, 1, 1 });
    random_set_dense(&s->in[3], NULL);
    random_set_shape(&s->out, HSCHED_FLOAT32, 4, y);
    random_set_channels_last(m, &s->out);
    const int has_residual = chance(m, 40);
    s->input_count = has_residual ? 6 : (uint32_t)range(m, 5, 6);
    if (has_residual) {
        random_set_shape(&s->in[5], HSCHED_FLOAT32, 4, y);
        random_set_channels_last(m, &s->in[5]);
        if (chance(m, 50)) {
            s->in[5] = s->out;
            s->out_aliases = 5;
        }
    }
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    random_constant(m, 1, RANDOM_ROLE_WEIGHT,
                    random_weight_bound(m, c.kernel[0] * c.kernel[1]));
    optional_bias(m, 2, c.c, m->values == RANDOM_VALUES_PLAIN ? 70 : 0);
    random_constant(m, 3, RANDOM_ROLE_WEIGHT, random_weight_bound(m, c.c));
    optional_bias(m, 4, c.o, m->values == RANDOM_VALUES_PLAIN ? 70 : 100);
    if (has_residual)
        random_input_role(m, 5, RANDOM_ROLE_DATA, 1);
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

void random_make_fc(random_maker *m)
{
    hsched_step *s = &m->made->step;
    int64_t rows = PICK(m, 1, 1, 1, 2, 3, 4, 5, 8, 17, 37, 65, 170),
            k = PICK(m, 1, 2, 3, 7, 16, 64, 130, 515, 1301);
    int64_t o = PICK(m, 1, 2, 3, 10, 16, 33, 100, 301);
    if (chance(m, 50)) {
        k = range(m, 1, 260);
        o = range(m, 1, 130);
    }
    random_fused_activation(m);
    s->macs = (uint64_t)(rows * k * o);
    random_set_shape(&s->in[0], HSCHED_FLOAT32, 2, (const int64_t[]){ rows, k });
    set_rows(m, &s->in[0], 1);
    random_set_shape(&s->in[1], HSCHED_FLOAT32, 2, (const int64_t[]){ o, k });
    random_set_dense(&s->in[1], NULL);
    random_set_shape(&s->out, HSCHED_FLOAT32, 2, (const int64_t[]){ rows, o });
    set_rows(m, &s->out, 0);
    const int has_bias = m->values != RANDOM_VALUES_PLAIN || chance(m, 70);
    s->input_count = has_bias ? 3 : (uint32_t)range(m, 2, 3);
    if (has_bias) {
        random_set_shape(&s->in[2], HSCHED_FLOAT32, 1, &o);
        random_set_dense(&s->in[2], NULL);
    }
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    random_constant(m, 1, RANDOM_ROLE_WEIGHT, random_weight_bound(m, k));
    try_levels(m);
    if (has_bias)
        random_constant(m, 2, RANDOM_ROLE_BIAS, 1);
}

void random_make_matmul(random_maker *m)
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
    const hsched_dtype type = chance(m, 25) ? HSCHED_FLOAT64 : HSCHED_FLOAT32;
    if (type == HSCHED_FLOAT32)
        random_fused_activation(m);
    s->macs = (uint64_t)(batch * rows * k * columns);
    s->input_count = 2;
    for (int i = 0; i < 2; i++) {
        random_set_shape(&s->in[i], type, rank, dims[i]);
        if (chance(m, 60))
            random_set_dense(&s->in[i], NULL);
        else
            random_set_scattered(m, &s->in[i], 1);
        for (uint32_t d = 0; d + 2 < rank; d++)
            if (chance(m, 25)) /* broadcast */
                s->in[i].strides[d] = 0;
    }
    random_set_shape(&s->out, type, rank, dims[2]);
    if (chance(m, 60))
        random_set_dense(&s->out, NULL);
    else
        random_set_matrices(m, &s->out);
    random_output(m);
    random_input_role(m, 0, RANDOM_ROLE_DATA, 1);
    random_input_role(m, 1, RANDOM_ROLE_WEIGHT, random_weight_bound(m, k));
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

void random_make_pool2d(random_maker *m)
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
    random_set_shape(&s->in[0], HSCHED_FLOAT32, 4, x);
    random_set_channels_last(m, &s->in[0]);
    random_set_shape(&s->out, HSCHED_FLOAT32, 4, y);
    random_set_channels_last(m, &s->out);
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
