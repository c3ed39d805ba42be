/*
 * Tiles of a product with packed weights: a source for vectors (vector_variants.h). Sums, a row of
 * weights and a broadcast have to fit the registers.
 */
/* Rows of weights that are fetched ahead: the fewer pixels the sooner they are needed. With one the
 * instructions would take as long as they gain. */
#define AHEAD(pixels) ((pixels) <= 2 ? 64 : (pixels) <= 4 ? 32 : 16)
/* y and the residual of a tile's last vector are its first `last` columns. */
TARGET HSI_ISA_INLINE void JOIN(finish_tile, SUFFIX)(const hsi_panel_tile *t,
                                                     VECTOR sum[][4], const int pixels,
                                                     const int vectors)
{
    const VECTOR zero = { 0 }, lo = zero + t->lo, hi = zero + t->hi;
    const int whole = t->columns == vectors * LANES, full = vectors - 1;
    const int64_t last = t->columns - full * LANES;
    const float *residual = t->residual;
    float *y = t->y;
#pragma GCC unroll 12
    for (int p = 0; p < pixels; p++, y += t->y_pixel) {
        if (residual) {
#pragma GCC unroll 4
            for (int v = 0; v < full; v++)
                sum[p][v] += READ(residual + v * LANES);
            sum[p][full] += whole ? READ(residual + full * LANES)
                                  : (VECTOR)READ_FIRST(residual + full * LANES, last);
            residual += t->residual_pixel;
        }
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[p][v] = VECTOR_MIN(hi, VECTOR_MAX(lo, sum[p][v]));
#pragma GCC unroll 4
        for (int v = 0; v < full; v++)
            AT(y + v * LANES) = sum[p][v];
        if (whole)
            AT(y + full * LANES) = sum[p][full];
        else
            WRITE_FIRST(y + full * LANES, last, sum[p][full]);
    }
}

/* Rows of weights of a narrow panel at a time, as many as fit the registers: else the pointers of
 * x's rows, which are more than the processor holds, would be read as often as x. */
#define AT_ONCE(vectors) ((vectors) == 1 ? 4 : (vectors) == 2 && REGISTERS == 32 ? 2 : 1)
TARGET HSI_ISA_INLINE void JOIN(add_rows, SUFFIX)(VECTOR sum[][4],
                                                  const float *const *row, int64_t k,
                                                  const float *weights, const int pixels,
                                                  const int vectors, const int count)
{
    const VECTOR zero = { 0 };
    VECTOR weight[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < count; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            weight[i][v] = READ(weights + (i * vectors + v) * LANES);
            if (pixels > 1)
                __builtin_prefetch(weights + ((AHEAD(pixels) + i) * vectors + v) * LANES);
        }
#pragma GCC unroll 12
    for (int p = 0; p < pixels; p++) {
        const float *at = row[p] + k;
#pragma GCC unroll 4
        for (int i = 0; i < count; i++) {
            const VECTOR x = at[i] - zero; /* nothing but a broadcast */
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[p][v] += x * weight[i][v];
        }
    }
}

/* `pixels` and `vectors` are constants: the loops over them unroll, and sums stay in registers. */
TARGET HSI_ISA_INLINE void JOIN(tile_of, SUFFIX)(const hsi_panel_tile *t,
                                                 const int pixels, const int vectors)
{
    VECTOR sum[HSI_PANEL_MAX_PIXELS][4];
    const int at_once = pixels > 4 ? AT_ONCE(vectors) : 1;
#pragma GCC unroll 12
    for (int p = 0; p < pixels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[p][v] = READ(t->bias + v * LANES);

    const float *weights = t->weights, *next = t->next;
    const float *const *rows = t->rows;
    for (int64_t run = 0; run < t->runs; run++, rows += t->row_stride) {
        const float *row[HSI_PANEL_MAX_PIXELS];
#pragma GCC unroll 12
        for (int p = 0; p < pixels; p++)
            row[p] = rows[p] + t->offset;
        int64_t k = 0;
        for (; at_once > 1 && k + at_once <= t->depth; k += at_once) {
#pragma GCC unroll 4
            for (int i = 0; i < at_once; i++, next += t->next_step)
                __builtin_prefetch(next, 0, 2);
            JOIN(add_rows, SUFFIX)(sum, row, k, weights, pixels, vectors, at_once);
            weights += at_once * vectors * LANES;
        }
/* Else GCC 12 moves the sums of few pixels from register to register. */
#pragma GCC unroll 2
        for (; k < t->depth; k++, weights += vectors * LANES, next += t->next_step) {
            __builtin_prefetch(next, 0, 2);
            JOIN(add_rows, SUFFIX)(sum, row, k, weights, pixels, vectors, 1);
        }
    }
    JOIN(finish_tile, SUFFIX)(t, sum, pixels, vectors);
}

#define TILE(vectors, pixels)                                                            \
    TARGET HSI_ISA_OPTIMIZE static void JOIN(tile_##vectors##x##pixels,                  \
                                             SUFFIX)(const hsi_panel_tile *t)            \
    {                                                                                    \
        JOIN(tile_of, SUFFIX)(t, pixels, vectors);                                       \
    }
#define AT_MOST_6(vectors, X)                                                            \
    X(vectors, 1) X(vectors, 2) X(vectors, 3) X(vectors, 4) X(vectors, 5) X(vectors, 6)

#define AT_MOST_9(vectors, X)                                                            \
    AT_MOST_6(vectors, X) X(vectors, 7) X(vectors, 8) X(vectors, 9)
#define AT_MOST_12(vectors, X)                                                           \
    AT_MOST_9(vectors, X) X(vectors, 10) X(vectors, 11) X(vectors, 12)
#if REGISTERS == 32
AT_MOST_12(1, TILE)
AT_MOST_12(2, TILE)
AT_MOST_9(3, TILE)
AT_MOST_6(4, TILE)
#else
AT_MOST_6(1, TILE)
AT_MOST_6(2, TILE)
#endif

#define ENTRY(vectors, pixels) [pixels] = JOIN(tile_##vectors##x##pixels, SUFFIX),
static const hsi_panel_kernels JOIN(panel_kernels, SUFFIX) = {
    .lanes = LANES,
#if REGISTERS == 32
    .vectors = 4,
    .pixels = { 0, 12, 12, 9, 6 },
    .tile = { { NULL },
              { AT_MOST_12(1, ENTRY) },
              { AT_MOST_12(2, ENTRY) },
              { AT_MOST_9(3, ENTRY) },
              { AT_MOST_6(4, ENTRY) } },
#else
    .vectors = 2,
    .pixels = { 0, 6, 6 },
    .tile = { { NULL }, { AT_MOST_6(1, ENTRY) }, { AT_MOST_6(2, ENTRY) } },
#endif
};

#undef TILE
#undef AT_ONCE
#undef AHEAD
#undef ENTRY
#undef AT_MOST_6
#undef AT_MOST_9
#undef AT_MOST_12
