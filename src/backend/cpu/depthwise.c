#include "backend/cpu/depthwise.h"

#include "base/alloc.h"
#include "base/status.h"

/* At most so many pixels of a row are computed at once, of all channels. */
#define DEPTHWISE_TILE 8
/* And so many rows in turn. */
#define ROWS_AT_ONCE 8

/* One row of y: the kernel rows [k_begin, k_end) are those inside x. */
typedef struct depthwise_row {
    const float *x; /* row k_begin of x, first pixel */
    float *y;
    const float *residual; /* or NULL */
    int64_t residual_pixel;
    int64_t k_begin, k_end;
} depthwise_row;

/* Pixels [pixel, pixel + pixels) of a row. Of the columns of x that are in their windows, from
 * `column` on, which may be < 0, those in [first, end) are inside x. */
typedef struct depthwise_tile {
    int64_t pixel, pixels, column, first, end;
    int is_wide; /* there are kernels for so many pixels */
} depthwise_tile;

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

/* One channel of a tile, where they do not fill a vector. */
static void single_channel(const hsi_depthwise *state, const depthwise_row *row,
                           const depthwise_tile *t, int64_t c)
{
    const hsi_conv2d *conv = &state->conv;
    for (int64_t p = t->pixel; p < t->pixel + t->pixels; p++) {
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
            sum += row->residual[p * row->residual_pixel + c];
        sum = sum < state->lo ? state->lo : sum;
        row->y[p * conv->y_pixel + c] = sum > state->hi ? state->hi : sum;
    }
}

#define VECTOR_SOURCE "backend/cpu/depthwise_row.h"
#include "backend/cpu/vector_variants.h"

typedef void tile_kernel(const hsi_depthwise *, const depthwise_row *,
                         const depthwise_tile *);

static tile_kernel *tile_kernel_best(void)
{
#if HSI_ISA_X86
    hsi_isa isa = hsi_isa_best();
    if (isa == HSI_ISA_AVX512)
        return tile_of_all_avx512;
    if (isa == HSI_ISA_AVX2)
        return tile_of_all_avx2;
#endif
    return tile_of_all_base;
}

int hsi_depthwise_supports(const hsched_step *step)
{
    hsi_conv2d conv;
    return hsi_conv2d_read(step, &conv) && conv.groups == conv.c && conv.o == conv.c;
}

void hsi_depthwise_clear(hsi_depthwise *depthwise)
{
    hsi_free(depthwise->weights);
    hsi_free(depthwise->owned_bias);
}

hsched_status hsi_depthwise_init(hsi_depthwise *depthwise,
                                 const hsi_cpu_prepare_context *context,
                                 const hsched_step *step, uint64_t *weight_bytes)
{
    hsched_status status = HSCHED_OK;
    hsi_conv2d_read(step, &depthwise->conv);
    const int64_t taps = depthwise->conv.kh * depthwise->conv.kw, c = depthwise->conv.c;
    const size_t size = (size_t)(taps * c) * sizeof(float);
    depthwise->weights = hsi_alloc_aligned(size);
    if (!depthwise->weights)
        return hsi_out_of_memory("packed weights of a depthwise convolution");
    if (depthwise->conv.has_bias)
        depthwise->bias = hsi_cpu_keep_constant(
            context, &step->in[2], &depthwise->owned_bias, weight_bytes, &status);
    if (status != HSCHED_OK)
        return status;
    const float *given = step->in[1].constant;
    for (int64_t i = 0; i < c; i++)
        for (int64_t k = 0; k < taps; k++)
            depthwise->weights[k * c + i] = given[i * taps + k];
    depthwise->act = step->act;
    depthwise->clamp =
        hsi_cpu_activation_is_clamp(step->act, &depthwise->lo, &depthwise->hi);
    *weight_bytes += size;
    return HSCHED_OK;
}

/* Where row `i` of y, counted over all images, reads x. */
static depthwise_row find_row(const hsi_conv2d *conv, const float *x, int64_t i)
{
    const int64_t image = i / conv->oh, first = i % conv->oh * conv->stride_h -
                                                conv->pad_top; /* row of x, may be < 0 */
    depthwise_row row = { .x = x, .k_end = conv->kh };
    while (row.k_begin < conv->kh && first + row.k_begin * conv->dilation_h < 0)
        row.k_begin++;
    while (row.k_end > row.k_begin &&
           first + (row.k_end - 1) * conv->dilation_h >= conv->h)
        row.k_end--;
    if (row.k_begin < row.k_end)
        row.x = x + (image * conv->h + first + row.k_begin * conv->dilation_h) * conv->w *
                        conv->x_pixel;
    return row;
}

/* The k-th of `tiles` of a row, which are even. */
static depthwise_tile find_tile(const hsi_conv2d *conv, int64_t k, int64_t tiles)
{
    const int64_t begin = conv->ow * k / tiles, end = conv->ow * (k + 1) / tiles;
    const int64_t column = begin * conv->stride_w - conv->pad_left;
    return (depthwise_tile){
        .pixel = begin,
        .pixels = end - begin,
        .column = column,
        .first = hsi_most(-column, 0),
        .end = conv->w - column,
        .is_wide = conv->kw == 3 && conv->dilation_w == 1 && conv->stride_w <= 2,
    };
}

/* Tile by tile, each of all rows: what they share of x is in the first-level cache. */
static void compute_rows(const hsi_depthwise *depthwise, const depthwise_row *rows,
                         int64_t count)
{
    const hsi_conv2d *conv = &depthwise->conv;
    const int64_t tiles = (conv->ow - 1) / DEPTHWISE_TILE + 1;
    tile_kernel *const compute = tile_kernel_best();
    for (int64_t k = 0; k < tiles; k++) {
        const depthwise_tile tile = find_tile(conv, k, tiles);
        for (int64_t r = 0; r < count; r++)
            compute(depthwise, &rows[r], &tile);
    }
}

void hsi_depthwise_rows(const hsi_depthwise *depthwise, const float *x,
                        const float *residual, float *y, int64_t begin, int64_t end)
{
    const hsi_conv2d *conv = &depthwise->conv;
    const hsi_cpu_epilogue activation = { .act = depthwise->act };
    const int64_t y_row = conv->ow * conv->y_pixel,
                  residual_pixel =
                      conv->residual_in_place ? conv->y_pixel : conv->residual_pixel;
    if (conv->residual_in_place)
        residual = y;
    for (int64_t i = begin; i < end; i += ROWS_AT_ONCE) {
        depthwise_row rows[ROWS_AT_ONCE];
        const int64_t count = hsi_least(end - i, ROWS_AT_ONCE);
        for (int64_t r = 0; r < count; r++) {
            const int64_t at = i - begin + r;
            rows[r] = find_row(conv, x, i + r);
            rows[r].y = y + at * y_row;
            rows[r].residual_pixel = residual_pixel;
            rows[r].residual =
                residual ? residual + at * conv->ow * residual_pixel : NULL;
        }
        compute_rows(depthwise, rows, count);
    }
    if (!depthwise->clamp)
        hsi_cpu_epilogue_run(&activation, y, conv->y_pixel, NULL, 0,
                             (end - begin) * conv->ow, conv->c);
}
