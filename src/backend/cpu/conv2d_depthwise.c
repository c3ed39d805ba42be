/*
 * Depthwise convolution: x [n,c,h,w], weights [c,1,kh,kw] packed as [kh*kw,c], y
 * [n,c,oh,ow].
 *
 * For a row of y and a vector of channels, all pixels in turn: the rows of x that they
 * share stay in the first-level cache, and for 3x3 kernels the nine weight vectors stay
 * in registers.
 */
#include "backend/cpu/conv2d.h"
#include "base/alloc.h"
#include "base/status.h"

typedef struct depthwise_state {
    hsi_conv2d conv;
    float *weights; /* [kh*kw][c] */
    const float *bias;
    void *owned_bias;
    float lo, hi; /* act, if it is a clamp */
    int clamp;
    int64_t inner_begin, inner_end; /* pixels of a row whose taps are all inside x; if
                                       there are none inner_begin is no pixel */
} depthwise_state;

/* One row of y: the kernel rows [k_begin, k_end) are those inside x. */
typedef struct depthwise_row {
    const float *x; /* row k_begin of x, first pixel */
    float *y;
    const float *residual; /* or NULL */
    int64_t k_begin, k_end;
} depthwise_row;

/* Taps [*begin, *end) of a kernel row lie inside x for pixel p of y. */
static inline void taps_inside(const hsi_conv2d *conv, int64_t p, int64_t *begin,
                               int64_t *end)
{
    int64_t column = p * conv->stride_w - conv->pad_left;
    *begin = 0;
    *end = conv->kw;
    while (*begin < *end && column + *begin * conv->dilation_w < 0)
        ++*begin;
    while (*end > *begin && column + (*end - 1) * conv->dilation_w >= conv->w)
        --*end;
}

/* All pixels of one channel, for channels that do not fill a vector. */
static void single_channel(const depthwise_state *state, const depthwise_row *row,
                           int64_t c)
{
    const hsi_conv2d *conv = &state->conv;
    int64_t residual_pixel =
        conv->residual_in_place ? conv->y_pixel : conv->residual_pixel;
    for (int64_t p = 0; p < conv->ow; p++) {
        float sum = state->bias ? state->bias[c] : 0.0f;
        int64_t column = p * conv->stride_w - conv->pad_left, begin, end;
        taps_inside(conv, p, &begin, &end);
        for (int64_t k = row->k_begin; k < row->k_end; k++)
            for (int64_t j = begin; j < end; j++) {
                int64_t pixel = (k - row->k_begin) * conv->dilation_h * conv->w + column +
                                j * conv->dilation_w;
                sum += row->x[pixel * conv->x_pixel + c] *
                       state->weights[(k * conv->kw + j) * conv->c + c];
            }
        if (row->residual)
            sum += row->residual[p * residual_pixel + c];
        sum = sum < state->lo ? state->lo : sum;
        row->y[p * conv->y_pixel + c] = sum > state->hi ? state->hi : sum;
    }
}

#define VECTOR_SOURCE "backend/cpu/depthwise_row.h"
#include "backend/cpu/vector_variants.h"

static void compute_row(const depthwise_state *state, const depthwise_row *row)
{
#if HSI_ISA_X86
    hsi_isa isa = hsi_isa_best();
    if (isa == HSI_ISA_AVX512) {
        row_avx512(state, row);
        return;
    }
    if (isa == HSI_ISA_AVX2) {
        row_avx2(state, row);
        return;
    }
#endif
    row_base(state, row);
}

static int depthwise_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && conv.groups == conv.c && conv.o == conv.c;
}

/* 3x3 kernels, full vectors and rows so long that their edges do not count: there
 * oneDNN's kernels took 5-30% longer (AVX-512, one thread). On small maps they take as
 * little as half the time, and mostly less on 5x5 kernels. */
#define WIDE 28

static int depthwise_likely(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && conv.kh == 3 && conv.kw == 3 &&
           conv.ow >= WIDE && conv.c % 16 == 0;
}

static void depthwise_destroy(void *pointer)
{
    depthwise_state *state = pointer;
    if (!state)
        return;
    hsi_free(state->weights);
    hsi_free(state->owned_bias);
    hsi_free(state);
}

static void find_inner(depthwise_state *state)
{
    const hsi_conv2d *conv = &state->conv;
    state->inner_begin = state->inner_end = conv->ow;
    for (int64_t p = conv->ow; p-- > 0;) {
        int64_t begin, end;
        taps_inside(conv, p, &begin, &end);
        if (end - begin < conv->kw)
            continue;
        if (state->inner_end == conv->ow && state->inner_begin == conv->ow)
            state->inner_end = p + 1;
        state->inner_begin = p;
    }
}

static hsched_status depthwise_prepare(const hsi_cpu_prepare_context *context,
                                       hsched_step *step, hsi_cpu_prepared *prepared)
{
    depthwise_state *state = HSI_NEW(depthwise_state);
    if (!state)
        return hsi_out_of_memory("a depthwise convolution");
    hsched_status status = HSCHED_OK;
    hsi_conv2d_read(step, &state->conv);
    int64_t taps = state->conv.kh * state->conv.kw, c = state->conv.c;
    size_t size = (size_t)(taps * c) * sizeof(float);
    state->weights = hsi_alloc_aligned(size);
    if (!state->weights)
        status = hsi_out_of_memory("packed weights of a depthwise convolution");
    if (status == HSCHED_OK && state->conv.has_bias)
        state->bias = hsi_cpu_keep_constant(context, &step->in[2], &state->owned_bias,
                                            &prepared->weight_bytes, &status);
    if (status != HSCHED_OK) {
        depthwise_destroy(state);
        return status;
    }
    const float *given = step->in[1].constant;
    for (int64_t i = 0; i < c; i++)
        for (int64_t k = 0; k < taps; k++)
            state->weights[k * c + i] = given[i * taps + k];
    state->clamp = hsi_cpu_activation_is_clamp(step->act, &state->lo, &state->hi);
    find_inner(state);
    step->parts = hsi_cpu_parts(step, (uint64_t)(state->conv.n * state->conv.oh));
    prepared->weight_bytes += size;
    prepared->state = state;
    return HSCHED_OK;
}

static hsched_status depthwise_run(const hsched_step *step, const void *pointer,
                                   void *slot_state, void *const *operands, uint32_t part,
                                   void *scratch)
{
    (void)slot_state;
    (void)scratch;
    const depthwise_state *state = pointer;
    const hsi_conv2d *conv = &state->conv;
    const float *x = operands[0];
    float *y = operands[step->input_count];
    const float *residual = conv->residual_in_place ? y
                            : conv->has_residual    ? operands[3]
                                                    : NULL;
    int64_t residual_pixel =
        conv->residual_in_place ? conv->y_pixel : conv->residual_pixel;
    hsi_cpu_epilogue activation = { .act = step->act };
    int64_t end = hsi_cpu_part_begin(conv->n * conv->oh, part + 1, step->parts);
    for (int64_t i = hsi_cpu_part_begin(conv->n * conv->oh, part, step->parts); i < end;
         i++) {
        int64_t first =
            i % conv->oh * conv->stride_h - conv->pad_top; /* row of x, may be < 0 */
        depthwise_row row = { .x = x, .k_end = conv->kh };
        while (row.k_begin < conv->kh && first + row.k_begin * conv->dilation_h < 0)
            row.k_begin++;
        while (row.k_end > row.k_begin &&
               first + (row.k_end - 1) * conv->dilation_h >= conv->h)
            row.k_end--;
        int64_t image = i / conv->oh;
        if (row.k_begin < row.k_end)
            row.x = x + (image * conv->h + first + row.k_begin * conv->dilation_h) *
                            conv->w * conv->x_pixel;
        row.y = y + i * conv->ow * conv->y_pixel;
        row.residual = residual ? residual + i * conv->ow * residual_pixel : NULL;
        compute_row(state, &row);
        if (!state->clamp)
            hsi_cpu_epilogue_run(&activation, row.y, conv->y_pixel, NULL, 0, conv->ow,
                                 conv->c);
    }
    return HSCHED_OK;
}

const hsi_cpu_kernel hsi_cpu_conv2d_depthwise = {
    .name = "own/depthwise",
    .kind = HSCHED_STEP_CONV2D,
    .library = HSCHED_LIBRARY_OWN,
    .supports = depthwise_supports,
    .likely = depthwise_likely,
    .prepare = depthwise_prepare,
    .destroy = depthwise_destroy,
    .run = depthwise_run,
};
