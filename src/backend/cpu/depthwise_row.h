/*
 * One row of a depthwise convolution: a source for vectors (vector_variants.h).
 *
 * y[p, c] = clamp(bias[c] + residual[p, c] + sum over taps of x[tap of p, c] *
 * weights[tap, c])
 */
/* Pixels [begin, end) of channels [c, c + LANES), taps [tap_begin, tap_begin + taps) of
 * each of the row's `rows` kernel rows. Where those are small constants the compiler
 * unrolls, with the weights in registers. */
TARGET HSI_ISA_INLINE void JOIN(pixels_of, SUFFIX)(const depthwise_state *state,
                                                   const depthwise_row *row, int64_t c,
                                                   int64_t begin, int64_t end,
                                                   int64_t tap_begin, const int64_t rows,
                                                   const int64_t taps, const int constant)
{
    const hsi_conv2d *conv = &state->conv;
    int64_t x_row = conv->dilation_h * conv->w * conv->x_pixel;
    int64_t x_step = conv->stride_w * conv->x_pixel,
            x_tap = conv->dilation_w * conv->x_pixel;
    int64_t residual_pixel =
        conv->residual_in_place ? conv->y_pixel : conv->residual_pixel;
    int64_t column = begin * conv->stride_w - conv->pad_left; /* of tap 0; may be < 0 */
    const float *x = row->x + (column + tap_begin * conv->dilation_w) * conv->x_pixel +
                     c; /* tap_begin */
    float *y = row->y + begin * conv->y_pixel + c;
    const float *residual =
        row->residual ? row->residual + begin * residual_pixel + c : NULL;
    const float *weights =
        state->weights + (row->k_begin * conv->kw + tap_begin) * conv->c + c;
    VECTOR zero = { 0 }, lo = zero + state->lo, hi = zero + state->hi, bias = zero;
    if (state->bias)
        bias = READ(state->bias + c);

    VECTOR w[3][3];
    for (int64_t k = 0; constant && k < rows; k++)
        for (int64_t j = 0; j < taps; j++)
            w[k][j] = READ(weights + (k * conv->kw + j) * conv->c);
    for (int64_t p = begin; p < end; p++, x += x_step, y += conv->y_pixel) {
        VECTOR sum = bias,
               more = zero; /* two sums, to hide the latency of the multiply-adds */
        for (int64_t k = 0; k < rows; k++)
            for (int64_t j = 0; j < taps; j++) {
                VECTOR product =
                    READ(x + k * x_row + j * x_tap) *
                    (constant ? w[k][j] : READ(weights + (k * conv->kw + j) * conv->c));
                if (j % 2)
                    more += product;
                else
                    sum += product;
            }
        sum += more;
        if (residual) {
            sum += READ(residual);
            residual += residual_pixel;
        }
        sum = VECTOR_MAX(lo, sum);
        AT(y) = VECTOR_MIN(hi, sum);
    }
}

TARGET HSI_ISA_OPTIMIZE static void JOIN(pixels, SUFFIX)(const depthwise_state *state,
                                                         const depthwise_row *row,
                                                         int64_t c, int64_t begin,
                                                         int64_t end, int64_t tap_begin,
                                                         int64_t tap_end)
{
    int64_t rows = row->k_end - row->k_begin, taps = tap_end - tap_begin;
    if (rows == 3 && taps == 3)
        JOIN(pixels_of, SUFFIX)(state, row, c, begin, end, tap_begin, 3, 3, 1);
    else if (rows == 3 && taps == 2)
        JOIN(pixels_of, SUFFIX)(state, row, c, begin, end, tap_begin, 3, 2, 1);
    else if (rows == 2 && taps == 3)
        JOIN(pixels_of, SUFFIX)(state, row, c, begin, end, tap_begin, 2, 3, 1);
    else
        JOIN(pixels_of, SUFFIX)(state, row, c, begin, end, tap_begin, rows, taps, 0);
}

/* All pixels of channels [c, c + LANES): those whose taps are all inside x in one go,
 * those at the edges one by one. */
static void JOIN(channels, SUFFIX)(const depthwise_state *state, const depthwise_row *row,
                                   int64_t c)
{
    for (int64_t p = 0; p < state->conv.ow;) {
        int64_t end = p == state->inner_begin ? state->inner_end : p + 1, tap_begin,
                tap_end;
        taps_inside(&state->conv, p, &tap_begin, &tap_end);
        JOIN(pixels, SUFFIX)(state, row, c, p, end, tap_begin, tap_end);
        p = end;
    }
}

static void JOIN(row, SUFFIX)(const depthwise_state *state, const depthwise_row *row)
{
    int64_t c = 0, all = state->conv.c;
    for (; c + LANES <= all; c += LANES)
        JOIN(channels, SUFFIX)(state, row, c);
    if (c == all)
        return;
    /* The last vector overlaps the one before, unless computing it twice would add a
     * residual twice. */
    if (all >= LANES && !state->conv.residual_in_place)
        JOIN(channels, SUFFIX)(state, row, all - LANES);
    else
        for (; c < all; c++)
            single_channel(state, row, c);
}
