/*
 * One row of a depthwise convolution: a source for vectors (vector_variants.h).
 *
 * y[p, c] = clamp(bias[c] + residual[p, c] + sum over taps of x[tap of p, c] *
 * weights[tap, c])
 */

/* Taps [tap_begin, tap_end) of each of the row's kernel rows, for one pixel. */
TARGET HSI_ISA_OPTIMIZE static void JOIN(pixel, SUFFIX)(const hsi_depthwise *state,
                                                        const depthwise_row *row,
                                                        int64_t c, int64_t p,
                                                        int64_t tap_begin,
                                                        int64_t tap_end)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t x_row = conv->dilation_h * conv->w * conv->x_pixel,
                  x_tap = conv->dilation_w * conv->x_pixel;
    const int64_t column = p * conv->stride_w - conv->pad_left; /* of tap 0; may be < 0 */
    const float *x = row->x + column * conv->x_pixel + c;
    const float *weights = state->weights + row->k_begin * conv->kw * conv->c + c;
    const VECTOR zero = { 0 }, lo = zero + state->lo, hi = zero + state->hi;
    VECTOR sum = zero, more = zero; /* two, to hide the latency of the multiply-adds */
    if (state->bias)
        sum = READ(state->bias + c);
    for (int64_t k = row->k_begin; k < row->k_end; k++) {
        for (int64_t j = tap_begin; j < tap_end; j++) {
            const VECTOR product = READ(x + j * x_tap) * READ(weights + j * conv->c);
            if (j % 2)
                more += product;
            else
                sum += product;
        }
        x += x_row;
        weights += conv->kw * conv->c;
    }
    sum += more;
    if (row->residual)
        sum += READ(row->residual + p * row->residual_pixel + c);
    sum = VECTOR_MAX(lo, sum);
    AT(row->y + p * conv->y_pixel + c) = VECTOR_MIN(hi, sum);
}

/* Channels [begin, end), a multiple of LANES, of `pixels` pixels from t->pixel on, of kernels three
 * columns wide: a column of x is read once for all pixels that it is in the window of. `pixels` and
 * `stride` are constants: the loops over them unroll, and sums stay in registers. */
TARGET HSI_ISA_INLINE void JOIN(tile_of, SUFFIX)(const hsi_depthwise *state,
                                                 const depthwise_row *row,
                                                 const depthwise_tile *t, int64_t begin,
                                                 int64_t end, const int pixels,
                                                 const int stride, const int edge)
{
    const hsi_conv2d *conv = &state->conv;
    const int64_t rows = row->k_end - row->k_begin, channels = conv->c,
                  x_pixel = conv->x_pixel, y_pixel = conv->y_pixel,
                  x_row = conv->dilation_h * conv->w * x_pixel,
                  residual_pixel = row->residual_pixel, first = t->first, last = t->end;
    const float *x = row->x + t->column * x_pixel + begin, *bias = state->bias,
                *weights = state->weights + row->k_begin * 3 * channels + begin,
                *residual = row->residual;
    float *y = row->y + t->pixel * y_pixel + begin;
    const VECTOR zero = { 0 }, lo = zero + state->lo, hi = zero + state->hi;
    if (bias)
        bias += begin;
    if (residual)
        residual += t->pixel * residual_pixel + begin;
    for (int64_t c = begin; c < end; c += LANES) {
        VECTOR sum[DEPTHWISE_TILE], start = zero;
        if (bias) {
            start = READ(bias);
            bias += LANES;
        }
#pragma GCC unroll 8
        for (int p = 0; p < pixels; p++)
            sum[p] = start;
        const float *row_at = x, *w_at = weights;
        for (int64_t k = 0; k < rows; k++, row_at += x_row, w_at += 3 * channels) {
            const VECTOR w[3] = { READ(w_at), READ(w_at + channels),
                                  READ(w_at + 2 * channels) };
            const float *at = row_at;
#pragma GCC unroll 17
            for (int j = 0; j < (pixels - 1) * stride + 3; j++, at += x_pixel) {
                if (edge && (j < first || j >= last))
                    continue;
                const VECTOR column = READ(at);
#pragma GCC unroll 8
                for (int p = 0; p < pixels; p++)
                    if (j - p * stride >= 0 && j - p * stride < 3)
                        sum[p] += column * w[j - p * stride];
            }
        }
        float *y_at = y;
        if (residual) {
            const float *residual_at = residual;
#pragma GCC unroll 8
            for (int p = 0; p < pixels; p++, residual_at += residual_pixel)
                sum[p] += READ(residual_at);
            residual += LANES;
        }
#pragma GCC unroll 8
        for (int p = 0; p < pixels; p++, y_at += y_pixel)
            AT(y_at) = VECTOR_MIN(hi, VECTOR_MAX(lo, sum[p]));
        x += LANES;
        y += LANES;
        weights += LANES;
    }
}

/* [begin, end) of a tile's channels, a multiple of LANES. */
#define TILE(pixels, stride)                                                             \
    TARGET HSI_ISA_OPTIMIZE static void JOIN(tile_##pixels##_stride##stride, SUFFIX)(    \
        const hsi_depthwise *state, const depthwise_row *row, const depthwise_tile *t,   \
        int64_t begin, int64_t end)                                                      \
    {                                                                                    \
        if (t->first <= 0 && t->end >= (pixels - 1) * stride + 3)                        \
            JOIN(tile_of, SUFFIX)(state, row, t, begin, end, pixels, stride, 0);         \
        else                                                                             \
            JOIN(tile_of, SUFFIX)(state, row, t, begin, end, pixels, stride, 1);         \
    }
#define EACH(X, stride)                                                                  \
    X(1, stride)                                                                         \
    X(2, stride)                                                                         \
    X(3, stride) X(4, stride) X(5, stride) X(6, stride) X(7, stride) X(8, stride)
EACH(TILE, 1)
EACH(TILE, 2)

#define ENTRY(pixels, stride) [pixels] = JOIN(tile_##pixels##_stride##stride, SUFFIX),

static void JOIN(tile, SUFFIX)(const hsi_depthwise *state, const depthwise_row *row,
                               const depthwise_tile *t, int64_t begin, int64_t end)
{
    static void (*const tiles[2][DEPTHWISE_TILE + 1])(
        const hsi_depthwise *, const depthwise_row *, const depthwise_tile *, int64_t,
        int64_t) = { { NULL, EACH(ENTRY, 1) }, { NULL, EACH(ENTRY, 2) } };
    if (t->is_wide) {
        tiles[state->conv.stride_w - 1][t->pixels](state, row, t, begin, end);
        return;
    }
    for (int64_t p = t->pixel; p < t->pixel + t->pixels; p++) {
        int64_t tap_begin, tap_end;
        taps_inside(&state->conv, p, &tap_begin, &tap_end);
        for (int64_t c = begin; c < end; c += LANES)
            JOIN(pixel, SUFFIX)(state, row, c, p, tap_begin, tap_end);
    }
}

static void JOIN(tile_of_all, SUFFIX)(const hsi_depthwise *state,
                                      const depthwise_row *row, const depthwise_tile *t)
{
    const int64_t all = state->conv.c, whole = all / LANES * LANES;
    JOIN(tile, SUFFIX)(state, row, t, 0, whole);
    if (whole == all)
        return;
    /* The last vector overlaps the one before, unless computing it twice would add a
     * residual twice. */
    if (all >= LANES && !state->conv.residual_in_place)
        JOIN(tile, SUFFIX)(state, row, t, all - LANES, all);
    else
        for (int64_t c = whole; c < all; c++)
            single_channel(state, row, t, c);
}

#undef TILE
#undef EACH
#undef ENTRY
