#include "gpu/op_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"

int op_has_floats(const hsched_step *step)
{
    int has = step->out.dtype == HSCHED_FLOAT32;
    for (uint32_t i = 0; i < step->input_count; i++)
        has |= step->in[i].dtype == HSCHED_FLOAT32;
    return has;
}

void op_expect_step(random_step *made)
{
    const hsched_step *s = &made->step;
    const void *inputs[HSCHED_STEP_MAX_INPUTS] = { NULL };
    for (uint32_t i = 0; i < s->input_count; i++) {
        const random_memory *from = s->out_aliases == (int)i ? &made->out : &made->in[i];
        if (s->in[i].dtype != HSCHED_DTYPE_NONE)
            inputs[i] = from->block + from->first;
    }
    memcpy(made->expected, made->out.pristine, made->out.size);
    if (hsi_ref_run(s, inputs, made->expected + made->out.first) == HSCHED_OK)
        return;
    fprintf(stderr, "op_steps: %s: %s\n", made->text, hsched_error_detail());
    exit(1);
}

static void keep(random_memory *memory)
{
    if (!memory->block)
        return;
    memory->pristine = random_alloc(memory->size);
    memcpy(memory->pristine, memory->block, memory->size);
}

void op_finish_step(random_step *made)
{
    for (uint32_t i = 0; i < made->step.input_count; i++)
        keep(&made->in[i]);
    keep(&made->out);
    made->expected = random_alloc(made->out.size);
    op_expect_step(made);
}

/* ---- Shapes ---- */

static void set_image(random_maker *m, hsched_operand *op, const int64_t *dims)
{
    const int64_t pixel = dims[1] + (chance(m, 50) ? 0 : 8 * range(m, 1, 3));
    random_set_shape(op, HSCHED_FLOAT32, 4, dims);
    op->strides[0] = dims[2] * dims[3] * pixel;
    op->strides[1] = 1;
    op->strides[2] = dims[3] * pixel;
    op->strides[3] = pixel;
}

/* x and out: images of one shape. */
static void set_images(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t dims[] = { range(m, 1, 3), 8 * range(m, 1, 9), range(m, 1, 14),
                             range(m, 1, 14) };
    s->input_count = 1;
    set_image(m, &s->in[0], dims);
    set_image(m, &s->out, dims);
}

static void set_vector(hsched_operand *op, int64_t size)
{
    random_set_shape(op, HSCHED_FLOAT32, 1, &size);
    op->strides[0] = 1;
}

/* Often none; levels among which most of what is between -1 and 1 is. */
static void set_activation(random_maker *m)
{
    static const hsched_activation acts[] = {
        { HSCHED_ACTIVATION_NONE, 0, 0 },
        { HSCHED_ACTIVATION_RELU, 0, 0 },
        { HSCHED_ACTIVATION_FAKE_QUANTIZE, 0.02f, -128 },
        { HSCHED_ACTIVATION_FAKE_QUANTIZE, 0.011f, 0 },
    };
    m->made->step.act = acts[PICK(m, 0, 0, 0, 1, 1, 2, 3)];
}

/* ---- Kinds ---- */

static void usual_fc(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t rows = range(m, 1, 18), k = 8 * PICK(m, 3, 32, 64, 150, 300),
                  o = PICK(m, 1, 10, 33, 64, 100);
    s->input_count = chance(m, 70) ? 3 : 2;
    random_set_shape(&s->in[0], HSCHED_FLOAT32, 2, (const int64_t[]){ rows, k });
    random_set_dense(&s->in[0], NULL);
    s->in[0].strides[0] += 8 * range(m, 0, 1);
    random_set_shape(&s->in[1], HSCHED_FLOAT32, 2, (const int64_t[]){ o, k });
    random_set_dense(&s->in[1], NULL);
    if (s->input_count > 2)
        set_vector(&s->in[2], o);
    random_set_shape(&s->out, HSCHED_FLOAT32, 2, (const int64_t[]){ rows, o });
    random_set_dense(&s->out, NULL);
    set_activation(m);
    random_output(m);
    random_input(m, 0, -1, 1);
    random_constant(m, 1, RANDOM_ROLE_WEIGHT, random_weight_bound(m, k));
    if (s->input_count > 2)
        random_constant(m, 2, RANDOM_ROLE_BIAS, 1);
}

static void usual_pool(random_maker *m)
{
    hsched_step *s = &m->made->step;
    set_images(m);
    const int global = chance(m, 30);
    int64_t dims[4];
    memcpy(dims, s->in[0].dims, sizeof dims);
    s->u.pool2d.kind = chance(m, 50) ? HSCHED_POOL_MAX : HSCHED_POOL_AVERAGE;
    s->u.pool2d.count_include_pad = chance(m, 50);
    for (int d = 0; d < 2; d++) {
        const int64_t size = dims[2 + d];
        s->u.pool2d.kernel[d] = global ? size : 3;
        s->u.pool2d.pads[d] = s->u.pool2d.pads[2 + d] = global ? 0 : 1;
        s->u.pool2d.strides[d] = global ? 1 : 2;
        s->u.pool2d.dilations[d] = 1;
        dims[2 + d] = global ? 1 : (size - 1) / 2 + 1;
    }
    set_image(m, &s->out, dims);
    if (s->u.pool2d.kind == HSCHED_POOL_MAX)
        m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
}

static void usual_scale(random_maker *m)
{
    hsched_step *s = &m->made->step;
    set_images(m);
    s->input_count = 3;
    set_vector(&s->in[1], s->out.dims[1]);
    set_vector(&s->in[2], s->out.dims[1]);
    set_activation(m);
    m->made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    random_input(m, 0, -1, 1);
    random_constant(m, 1, RANDOM_ROLE_DATA, 1);
    random_constant(m, 2, RANDOM_ROLE_BIAS, 1);
}

static void usual_lrn(random_maker *m)
{
    hsched_step *s = &m->made->step;
    set_images(m);
    s->u.lrn.size = range(m, 1, 6);
    s->u.lrn.alpha = 0.5f;
    s->u.lrn.beta = 0.75f;
    s->u.lrn.bias = 1;
    random_output(m);
    random_input(m, 0, -2, 2);
}

/* Rows that a warp has in its registers, that a block has, and longer ones. */
static void usual_softmax(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t dims[] = { range(m, 1, 6),
                             PICK(m, 10, 256, 257, 1000, 2048, 2049, 5000) };
    s->input_count = 1;
    random_set_shape(&s->in[0], HSCHED_FLOAT32, 2, dims);
    random_set_dense(&s->in[0], NULL);
    random_set_shape(&s->out, HSCHED_FLOAT32, 2, dims);
    random_set_dense(&s->out, NULL);
    s->u.softmax.axis = 1;
    s->u.softmax.log = chance(m, 30);
    m->made->compare =
        s->u.softmax.log ? RANDOM_COMPARE_NORM : RANDOM_COMPARE_NORM_NO_FLOOR;
    random_output(m);
    random_input(m, 0, -8, 8);
}

/* Rows that a warp takes, and longer ones; groups of channels. */
static void usual_norm(random_maker *m)
{
    hsched_step *s = &m->made->step;
    s->u.norm.groups = 1;
    s->input_count = 3;
    if (chance(m, 50)) {
        set_images(m);
        s->input_count = 3;
        s->u.norm.axis = 1;
        s->u.norm.groups = chance(m, 50) ? s->out.dims[1] : 8;
    } else {
        const int64_t dims[] = { range(m, 1, 6), PICK(m, 64, 768, 1024, 1025, 5000) };
        random_set_shape(&s->in[0], HSCHED_FLOAT32, 2, dims);
        random_set_dense(&s->in[0], NULL);
        random_set_shape(&s->out, HSCHED_FLOAT32, 2, dims);
        random_set_dense(&s->out, NULL);
        s->u.norm.axis = 1;
        s->u.norm.rms = chance(m, 50);
    }
    for (uint32_t i = 1; i < 3; i++) {
        random_set_shape(&s->in[i], HSCHED_FLOAT32, s->out.rank, s->out.dims);
        for (uint32_t d = 0; d < s->out.rank; d++)
            s->in[i].strides[d] = d == 1;
    }
    s->u.norm.epsilon = 1e-3f;
    s->act.kind = chance(m, 50) ? HSCHED_ACTIVATION_SILU : HSCHED_ACTIVATION_NONE;
    random_output(m);
    random_input(m, 0, -2, 2);
    random_input(m, 1, -1, 1);
    random_input(m, 2, -1, 1);
}

static void usual_unary(random_maker *m)
{
    set_images(m);
    m->made->step.act.kind = HSCHED_ACTIVATION_SILU;
    if (chance(m, 60))
        set_activation(m);
    if (chance(m, 30)) {
        m->made->step.in[0] = m->made->step.out;
        m->made->step.out_aliases = 0;
    }
    m->made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    random_input(m, 0, -5, 5);
}

/* A residual; a factor per channel; one per pixel, or image. */
static void usual_binary(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t way = range(m, 0, 3);
    set_images(m);
    s->input_count = 2;
    set_image(m, &s->in[1], s->out.dims);
    for (int d = 0; d < 4; d++)
        if ((way == 1 && d >= 2) || (way == 2 && d == 1) || way == 3)
            s->in[1].strides[d] = 0;
    s->u.binary.kind = way == 0 ? HSCHED_BINARY_ADD : HSCHED_BINARY_MUL;
    set_activation(m);
    if (chance(m, 30)) {
        s->in[0] = s->out;
        s->out_aliases = 0;
    }
    m->made->compare = RANDOM_COMPARE_ELEMENTS;
    random_output(m);
    random_input(m, 0, -3, 3);
    random_input(m, 1, -3, 3);
}

/* Slices and joints of images, and to and from their dense order. */
static void usual_copy(random_maker *m)
{
    hsched_step *s = &m->made->step;
    set_images(m);
    if (chance(m, 25))
        random_set_dense(&s->in[0], NULL);
    else if (chance(m, 25))
        random_set_dense(&s->out, NULL);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
}

static void usual_pad(random_maker *m)
{
    hsched_step *s = &m->made->step;
    set_images(m);
    int64_t dims[4];
    memcpy(dims, s->in[0].dims, sizeof dims);
    s->u.pad.mode =
        (hsched_pad_mode)range(m, HSCHED_PAD_MODE_CONSTANT, HSCHED_PAD_MODE_EDGE);
    s->u.pad.value = 0.25f;
    for (int d = 2; d < 4; d++) {
        s->u.pad.before[d] = dims[d] > 1 ? 1 : 0;
        dims[d] += 2 * s->u.pad.before[d];
    }
    set_image(m, &s->out, dims);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
}

static void usual_reduce(random_maker *m)
{
    hsched_step *s = &m->made->step;
    set_images(m);
    int64_t dims[4];
    memcpy(dims, s->in[0].dims, sizeof dims);
    if (chance(m, 75))
        dims[2] = dims[3] = 1;
    else
        dims[1] = 1;
    set_image(m, &s->out, dims);
    s->u.reduce.kind = chance(m, 50) ? HSCHED_REDUCE_MEAN
                                     : (hsched_reduce_kind)range(m, HSCHED_REDUCE_SUM,
                                                                 HSCHED_REDUCE_PROD);
    random_output(m);
    random_input(m, 0, -1, 1);
}

static void set_dense(hsched_operand *op, uint32_t rank, const int64_t *dims)
{
    random_set_shape(op, HSCHED_FLOAT32, rank, dims);
    random_set_dense(op, NULL);
}

/* What cuDNN has: the usual activations, all steps of all sequences. */
static void usual_recurrent(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t gates = PICK(m, 1, 3, 4), t = range(m, 1, 12), n = PICK(m, 1, 2, 8, 19),
                  in = 4 * range(m, 1, 30), h = PICK(m, 8, 32, 64, 100, 128);
    const int is_rnn = gates == 1, relu = is_rnn && chance(m, 50);
    s->u.recurrent.kind = gates == 4   ? HSCHED_RECURRENT_LSTM
                          : gates == 3 ? HSCHED_RECURRENT_GRU
                                       : HSCHED_RECURRENT_RNN;
    s->u.recurrent.direction = (hsched_recurrent_direction)range(m, 0, 2);
    s->u.recurrent.linear_before_reset = gates == 3;
    for (int d = 0; d < 2; d++)
        for (int k = 0; k < 3; k++)
            s->u.recurrent.activations[d][k].kind = relu ? HSCHED_ACTIVATION_RELU
                                                    : k > 0 || is_rnn
                                                        ? HSCHED_ACTIVATION_TANH
                                                        : HSCHED_ACTIVATION_SIGMOID;
    const int64_t d = s->u.recurrent.direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
    const int has_bias = chance(m, 75), has_h = chance(m, 50),
              has_c = gates == 4 && chance(m, 50);
    s->input_count = 7;
    set_dense(&s->in[0], 3, (const int64_t[]){ t, n, in });
    set_dense(&s->in[1], 3, (const int64_t[]){ d, gates * h, in });
    set_dense(&s->in[2], 3, (const int64_t[]){ d, gates * h, h });
    set_dense(&s->out, 4, (const int64_t[]){ t + (gates == 4 ? 2 : 1), d, n, h });
    random_output(m);
    random_input(m, 0, -1, 1);
    /* Half of the usual bound: with relu, states grow no further. */
    random_constant(m, 1, RANDOM_ROLE_WEIGHT, random_weight_bound(m, in));
    random_constant(m, 2, RANDOM_ROLE_WEIGHT, random_weight_bound(m, h) / 2);
    if (has_bias) {
        set_dense(&s->in[3], 2, (const int64_t[]){ d, 2 * gates * h });
        random_constant(m, 3, RANDOM_ROLE_BIAS, 0.5);
    }
    for (uint32_t i = 5; i < 7; i++)
        if (i == 5 ? has_h : has_c) {
            set_dense(&s->in[i], 3, (const int64_t[]){ d, n, h });
            random_input(m, i, -1, 1);
        }
}

/* Images that grow, the channels as they are; also volumes, and the other types of copies. */
static void usual_resize(random_maker *m)
{
    static const hsched_dtype types[] = { HSCHED_FLOAT32, HSCHED_INT64, HSCHED_UINT8,
                                          HSCHED_FLOAT16 };
    hsched_step *s = &m->made->step;
    const int volume = chance(m, 25);
    const uint32_t rank = volume ? 5 : 4;
    int64_t dims[5] = { range(m, 1, 3), 8 * range(m, 1, 5), range(m, 1, 5),
                        range(m, 1, 5), range(m, 1, 4) };
    static const uint32_t last[] = { 0, 2, 3, 1 }, volume_last[] = { 0, 2, 3, 4, 1 };
    s->input_count = 1;
    s->u.resize.mode =
        (hsched_resize_mode)range(m, HSCHED_RESIZE_NEAREST, HSCHED_RESIZE_CUBIC);
    const int copies = s->u.resize.mode == HSCHED_RESIZE_NEAREST;
    const hsched_dtype type = copies ? types[range(m, 0, 3)] : HSCHED_FLOAT32;
    s->u.resize.coordinates = (hsched_resize_coordinates)range(
        m, HSCHED_RESIZE_HALF_PIXEL, HSCHED_RESIZE_TF_HALF_PIXEL);
    s->u.resize.cubic_a = -0.75f;
    random_set_shape(&s->in[0], type, rank, dims);
    random_set_dense(&s->in[0], volume ? volume_last : last);
    for (uint32_t d = 0; d < rank; d++) {
        const int64_t from = dims[d];
        if (d >= 2)
            dims[d] = chance(m, 60) ? 2 * from : range(m, 1, 2 * from);
        s->u.resize.scales[d] = (float)dims[d] / (float)from;
        s->u.resize.lengths[d] = (float)dims[d];
        s->u.resize.roi_end[d] = 1;
    }
    random_set_shape(&s->out, type, rank, dims);
    random_set_dense(&s->out, volume ? volume_last : last);
    if (copies)
        m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
}

/* Rows of a table, one for each of many indices. */
static void usual_gather(random_maker *m)
{
    static const hsched_dtype types[] = { HSCHED_FLOAT32, HSCHED_INT64, HSCHED_UINT8,
                                          HSCHED_FLOAT16 };
    hsched_step *s = &m->made->step;
    const hsched_dtype type = types[range(m, 0, 3)];
    const int64_t size = range(m, 1, 30), rows = range(m, 1, 40),
                  width = 8 * range(m, 1, 12);
    s->input_count = 2;
    random_set_shape(&s->in[0], type, 2, (const int64_t[]){ size, width });
    random_set_dense(&s->in[0], NULL);
    random_set_shape(&s->in[1], chance(m, 50) ? HSCHED_INT64 : HSCHED_INT32, 2,
                     (const int64_t[]){ rows, width });
    s->in[1].strides[0] = 1;
    s->in[1].strides[1] = 0;
    random_set_shape(&s->out, type, 2, (const int64_t[]){ rows, width });
    random_set_dense(&s->out, NULL);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
    random_input(m, 1, 0, 0);
    random_small_integers(m, 1, -size - 1, size);
}

/* Long lines, of which few are kept; seldom almost all. Often many are equal. */
static void usual_top_k(random_maker *m)
{
    static const hsched_dtype types[] = { HSCHED_FLOAT32, HSCHED_INT64, HSCHED_UINT8 };
    hsched_step *s = &m->made->step;
    const hsched_dtype type = types[range(m, 0, 2)];
    const int most = chance(m, 10);
    const int64_t lines = range(m, 1, 2), size = most ? 2100 : PICK(m, 300, 4500, 9000),
                  kept = most ? PICK(m, 2047, 2048) : PICK(m, 1, 5, 100);
    s->input_count = 1;
    s->u.top_k.axis = 1;
    s->u.top_k.smallest = chance(m, 30);
    random_set_shape(&s->in[0], type, 2, (const int64_t[]){ lines, size });
    random_set_dense(&s->in[0], NULL);
    random_set_shape(&s->out, HSCHED_INT64, 2, (const int64_t[]){ lines, kept });
    random_set_dense(&s->out, NULL);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
    if (type == HSCHED_INT64)
        random_small_integers(m, 0, -500, 500);
}

/* Lines of classes, or of what is known of each pixel. */
static void usual_arg(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int images = chance(m, 30);
    s->u.arg.axis = 1;
    s->u.arg.last = chance(m, 50);
    if (images) {
        set_images(m);
        int64_t dims[4];
        memcpy(dims, s->in[0].dims, sizeof dims);
        dims[1] = 1;
        random_set_shape(&s->out, HSCHED_INT64, 4, dims);
    } else {
        const int64_t lines = range(m, 1, 4), size = PICK(m, 10, 1000, 1025, 5000);
        s->input_count = 1;
        random_set_shape(&s->in[0], HSCHED_FLOAT32, 2, (const int64_t[]){ lines, size });
        random_set_dense(&s->in[0], NULL);
        random_set_shape(&s->out, HSCHED_INT64, 2, (const int64_t[]){ lines, 1 });
    }
    random_set_dense(&s->out, NULL);
    m->made->compare = RANDOM_COMPARE_BITS;
    random_output(m);
    random_input(m, 0, -1, 1);
}

/* Images at the places of a grid, all of their channels at once. */
static void usual_grid_sample(random_maker *m)
{
    hsched_step *s = &m->made->step;
    set_images(m);
    int64_t dims[4];
    memcpy(dims, s->in[0].dims, sizeof dims);
    dims[2] = range(m, 1, 20);
    dims[3] = range(m, 1, 20);
    set_image(m, &s->out, dims);
    s->input_count = 2;
    set_dense(&s->in[1], 4, (const int64_t[]){ dims[0], dims[2], dims[3], 2 });
    s->u.grid_sample.mode =
        (hsched_resize_mode)range(m, HSCHED_RESIZE_NEAREST, HSCHED_RESIZE_CUBIC);
    s->u.grid_sample.padding =
        (hsched_grid_padding)range(m, HSCHED_GRID_ZEROS, HSCHED_GRID_REFLECTION);
    s->u.grid_sample.align_corners = chance(m, 50);
    random_output(m);
    random_input(m, 0, -1, 1);
    random_input(m, 1, -1.2, 1.2);
}

/* Regions of few images, whose corners are numbers of elements. */
static void usual_roi_align(random_maker *m)
{
    hsched_step *s = &m->made->step;
    set_images(m);
    const int64_t regions = range(m, 1, 12);
    const int64_t dims[] = { regions, s->in[0].dims[1], 7, 7 };
    set_image(m, &s->out, dims);
    s->input_count = 3;
    set_dense(&s->in[1], 2, (const int64_t[]){ regions, 4 });
    random_set_shape(&s->in[2], HSCHED_INT64, 1, &regions);
    random_set_dense(&s->in[2], NULL);
    s->u.roi_align.max = chance(m, 30);
    s->u.roi_align.half_pixel = chance(m, 70);
    s->u.roi_align.sampling_ratio = PICK(m, 0, 2);
    s->u.roi_align.scale = 0.25f;
    random_output(m);
    random_input(m, 0, -1, 1);
    random_input(m, 1, 0, 60);
    random_input(m, 2, 0, 0);
    random_small_integers(m, 2, 0, s->in[0].dims[0] - 1);
}

static void (*const usual[RANDOM_STEP_KINDS + 1])(random_maker *) = {
    [HSCHED_STEP_FC] = usual_fc,
    [HSCHED_STEP_POOL2D] = usual_pool,
    [HSCHED_STEP_SCALE] = usual_scale,
    [HSCHED_STEP_LRN] = usual_lrn,
    [HSCHED_STEP_SOFTMAX] = usual_softmax,
    [HSCHED_STEP_NORM] = usual_norm,
    [HSCHED_STEP_UNARY] = usual_unary,
    [HSCHED_STEP_BINARY] = usual_binary,
    [HSCHED_STEP_COPY] = usual_copy,
    [HSCHED_STEP_PAD] = usual_pad,
    [HSCHED_STEP_REDUCE] = usual_reduce,
    [HSCHED_STEP_RECURRENT] = usual_recurrent,
    [HSCHED_STEP_RESIZE] = usual_resize,
    [HSCHED_STEP_GATHER] = usual_gather,
    [HSCHED_STEP_TOP_K] = usual_top_k,
    [HSCHED_STEP_ARG] = usual_arg,
    [HSCHED_STEP_GRID_SAMPLE] = usual_grid_sample,
    [HSCHED_STEP_ROI_ALIGN] = usual_roi_align,
};

int op_has_usual_step(hsched_step_kind kind)
{
    return usual[kind] != NULL;
}

void op_usual_step(random_step *made, hsched_step_kind kind, uint64_t seed,
                   uint32_t index)
{
    memset(made, 0, sizeof *made);
    random_maker m = { .made = made,
                       .rng = seed * 41 + (uint64_t)kind * 1000003 + index };
    hsched_step *s = &made->step;
    s->struct_size = sizeof *s;
    s->kind = kind;
    s->name = "usual";
    s->out_aliases = -1;
    s->parts = 1;
    usual[kind](&m);
    size_t n = (size_t)snprintf(made->text, sizeof made->text,
                                "HSCHED_TEST_SEED=%llu usual step %u of kind %d, x",
                                (unsigned long long)seed, index, (int)kind);
    for (uint32_t d = 0; d < s->in[0].rank; d++)
        n +=
            (size_t)snprintf(made->text + n, sizeof made->text - n, " %lld/%lld",
                             (long long)s->in[0].dims[d], (long long)s->in[0].strides[d]);
    n += (size_t)snprintf(made->text + n, sizeof made->text - n, ", out");
    for (uint32_t d = 0; d < s->out.rank; d++)
        n += (size_t)snprintf(made->text + n, sizeof made->text - n, " %lld/%lld",
                              (long long)s->out.dims[d], (long long)s->out.strides[d]);
    op_finish_step(made);
}
