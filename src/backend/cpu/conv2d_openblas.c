/*
 * Convolution as a matrix product of OpenBLAS, a chunk of pixels at a time:
 *
 *     y [pixels, o] = a [pixels, k] * weights [o, k]^T,   k = kh * kw * c
 *
 * for each group. A 1x1 kernel with stride 1 takes x itself as a; else the rows of a are
 * gathered in scratch (im2col). y is written in place at any pixel stride, so slices of a
 * joint tensor cost nothing. Bias, residual and activation follow while a chunk is in the
 * cache.
 */
#include <limits.h>
#include <string.h>

#include <cblas.h>

#include "backend/cpu/conv2d.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

#define SCRATCH_BYTES (1024 * 1024)
#define MIN_CHUNK     8 /* pixels, however deep the product */
#define DIRECT_BYTES  (512 * 1024)
#define MIN_DIRECT_CHUNK                                                                 \
    192 /* pixels: each call packs the weights anew, which must pay */

typedef struct openblas_state {
    hsi_conv2d conv;
    int64_t depth; /* k */
    int64_t chunk; /* pixels */
    int direct;
    const float *weights; /* [o][kh][kw][c/groups] */
    void *owned_weights;
    hsi_cpu_epilogue epilogue;
    void *owned_bias;
} openblas_state;

static int fits_blas(const hsi_conv2d *conv)
{
    int64_t pixels, depth;
    return hsi_mul_i64(conv->kh * conv->kw, conv->group_c, &depth) && depth <= INT_MAX &&
           conv->x_pixel <= INT_MAX && conv->y_pixel <= INT_MAX &&
           hsi_mul_i64(conv->n * conv->oh, conv->ow, &pixels) && pixels <= INT_MAX;
}

static int is_direct(const hsi_conv2d *conv)
{
    return conv->kh == 1 && conv->kw == 1 && conv->stride_h == 1 && conv->stride_w == 1 &&
           conv->pad_top == 0 && conv->pad_left == 0 && conv->oh == conv->h &&
           conv->ow == conv->w;
}

static int direct_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && fits_blas(&conv) && is_direct(&conv);
}

static int im2col_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && fits_blas(&conv);
}

static void openblas_destroy(void *pointer)
{
    openblas_state *state = pointer;
    if (!state)
        return;
    hsi_free(state->owned_weights);
    hsi_free(state->owned_bias);
    hsi_free(state);
}

/* [o][c][kh][kw] to [o][kh][kw][c]; a 1x1 kernel is so already. */
static hsched_status pack_weights(const hsi_cpu_prepare_context *context,
                                  const hsched_operand *weights, openblas_state *state,
                                  uint64_t *weight_bytes)
{
    const hsi_conv2d *conv = &state->conv;
    int64_t taps = conv->kh * conv->kw, c = conv->group_c;
    hsched_status status;
    if (taps == 1) {
        state->weights = hsi_cpu_keep_constant(context, weights, &state->owned_weights,
                                               weight_bytes, &status);
        return status;
    }
    size_t size = (size_t)(conv->o * state->depth) * sizeof(float);
    float *packed = hsi_alloc_aligned(size);
    if (!packed)
        return hsi_out_of_memory("packed weights of a convolution");
    const float *given = weights->constant;
    for (int64_t o = 0; o < conv->o; o++)
        for (int64_t i = 0; i < c; i++)
            for (int64_t k = 0; k < taps; k++)
                packed[(o * taps + k) * c + i] = given[(o * c + i) * taps + k];
    state->weights = state->owned_weights = packed;
    *weight_bytes += size;
    return HSCHED_OK;
}

static hsched_status openblas_prepare(const hsi_cpu_prepare_context *context,
                                      hsched_step *step, hsi_cpu_prepared *prepared)
{
    openblas_state *state = HSI_NEW(openblas_state);
    if (!state)
        return hsi_out_of_memory("a convolution");
    hsi_conv2d *conv = &state->conv;
    hsi_conv2d_read(step, conv);
    state->direct = is_direct(conv);
    state->depth = conv->kh * conv->kw * conv->group_c;
    state->epilogue.act = step->act;
    hsched_status status =
        pack_weights(context, &step->in[1], state, &prepared->weight_bytes);
    if (status == HSCHED_OK && conv->has_bias)
        state->epilogue.bias = hsi_cpu_keep_constant(
            context, &step->in[2], &state->owned_bias, &prepared->weight_bytes, &status);
    if (status != HSCHED_OK) {
        openblas_destroy(state);
        return status;
    }
    step->parts = hsi_cpu_parts(step, (uint64_t)(conv->n * conv->oh));
    if (state->direct) {
        state->chunk = DIRECT_BYTES / ((conv->c + conv->o) * (int64_t)sizeof(float));
        if (state->chunk < MIN_DIRECT_CHUNK)
            state->chunk = MIN_DIRECT_CHUNK;
    } else {
        state->chunk = SCRATCH_BYTES / (state->depth * (int64_t)sizeof(float));
        if (state->chunk < MIN_CHUNK)
            state->chunk = MIN_CHUNK;
        prepared->scratch_size = (size_t)(state->chunk * state->depth) * sizeof(float);
    }
    prepared->state = state;
    return HSCHED_OK;
}

/* The c/groups channels of all taps of one kernel row: for a row of x, or NULL for
 * padding. */
static float *gather_row(const hsi_conv2d *conv, const float *row, int64_t column,
                         float *a)
{
    int64_t c = conv->group_c, width = (conv->kw - 1) * conv->dilation_w + 1;
    if (!row) {
        memset(a, 0, (size_t)(conv->kw * c) * sizeof *a);
        return a + conv->kw * c;
    }
    if (column >= 0 && column + width <= conv->w && conv->dilation_w == 1 &&
        conv->x_pixel == c) {
        memcpy(a, row + column * c, (size_t)(conv->kw * c) * sizeof *a);
        return a + conv->kw * c;
    }
    for (int64_t k = 0; k < conv->kw; k++, a += c) {
        int64_t at = column + k * conv->dilation_w;
        if (at >= 0 && at < conv->w)
            memcpy(a, row + at * conv->x_pixel, (size_t)c * sizeof *a);
        else
            memset(a, 0, (size_t)c * sizeof *a);
    }
    return a;
}

/* The rows of a for pixels [begin, begin + count) of all images; x points at the group's
 * channels. */
static void gather(const hsi_conv2d *conv, const float *x, int64_t begin, int64_t count,
                   float *a)
{
    for (int64_t i = begin; i < begin + count; i++) {
        int64_t column = i % conv->ow * conv->stride_w - conv->pad_left;
        int64_t row = i / conv->ow % conv->oh * conv->stride_h - conv->pad_top;
        const float *image =
            x + i / conv->ow / conv->oh * conv->h * conv->w * conv->x_pixel;
        for (int64_t k = 0; k < conv->kh; k++) {
            int64_t at = row + k * conv->dilation_h;
            int inside = at >= 0 && at < conv->h;
            a = gather_row(conv, inside ? image + at * conv->w * conv->x_pixel : NULL,
                           column, a);
        }
    }
}

static hsched_status openblas_run(const hsched_step *step, const void *pointer,
                                  void *slot_state, void *const *operands, uint32_t part,
                                  void *scratch)
{
    (void)slot_state;
    const openblas_state *state = pointer;
    const hsi_conv2d *conv = &state->conv;
    int64_t rows = conv->n * conv->oh;
    int64_t at = hsi_cpu_part_begin(rows, part, step->parts) * conv->ow;
    int64_t end = hsi_cpu_part_begin(rows, part + 1, step->parts) * conv->ow;
    const float *x = operands[0];
    for (; at < end; at += state->chunk) {
        int64_t pixels = end - at < state->chunk ? end - at : state->chunk;
        float *y = (float *)operands[step->input_count] + at * conv->y_pixel;
        for (int64_t g = 0; g < conv->groups; g++) {
            const float *a = x + at * conv->x_pixel + g * conv->group_c;
            int64_t a_stride = conv->x_pixel;
            if (!state->direct) {
                gather(conv, x + g * conv->group_c, at, pixels, scratch);
                a = scratch;
                a_stride = state->depth;
            }
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)pixels,
                        (int)conv->group_o, (int)state->depth, 1.0f, a, (int)a_stride,
                        state->weights + g * conv->group_o * state->depth,
                        (int)state->depth, conv->residual_in_place ? 1.0f : 0.0f,
                        y + g * conv->group_o, (int)conv->y_pixel);
        }
        const float *residual = NULL;
        if (conv->has_residual && !conv->residual_in_place)
            residual = (const float *)operands[3] + at * conv->residual_pixel;
        hsi_cpu_epilogue_run(&state->epilogue, y, conv->y_pixel, residual,
                             conv->residual_pixel, pixels, conv->o);
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_conv2d_1x1 = {
    .name = "openblas/1x1",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_OPENBLAS,
    .supports = direct_supports,
    .prepare = openblas_prepare,
    .destroy = openblas_destroy,
    .run = openblas_run,
};

const hsi_cpu_kernel hsi_cpu_conv2d_im2col = {
    .name = "openblas/im2col",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_OPENBLAS,
    .supports = im2col_supports,
    .prepare = openblas_prepare,
    .destroy = openblas_destroy,
    .run = openblas_run,
};
