/*
 * Tiles of a product of bytes for one instruction set: included once for each (int8.c), hence no
 * include guard, with LANES, PIXELS (at most, so that all sums are registers), NAME, SUFFIX, TARGET
 * and its intrinsics defined.
 */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b)  JOIN_(a, b)

/* The level next to x. The quotient is as a division would round it, without one: after Markstein,
 * Computation of elementary functions on the IBM RISC System/6000 processor, 1990. Limits are
 * whole, so that rounding may come after them. */
TARGET HSI_ISA_INLINE FLOATS JOIN(quantise, SUFFIX)(FLOATS x, const hsi_int8_finish *f)
{
    const FLOATS step = SPREAD(f->step), inverse = SPREAD(f->inverse);
    const FLOATS low = SPREAD(f->lowest), high = SPREAD(f->lowest + 255.0f);
    const FLOATS magic = SPREAD(12582912.0f);
    FLOATS q = x * inverse;
    q = FMA(FNMA(q, step, x), inverse, q);
    q = MIN(high, MAX(low, q));
    return step * ((q + magic) - magic);
}

/* `pixels` and `vectors` are constants: the loops over them unroll, and sums stay in registers. */
TARGET HSI_ISA_INLINE void JOIN(tile_of, SUFFIX)(const hsi_int8_tile *t, const int pixels,
                                                 const int vectors)
{
    INTS sum[HSI_INT8_MAX_PIXELS][2], weight[2];
#pragma GCC unroll 12
    for (int p = 0; p < pixels; p++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            sum[p][v] = READ_INTS(t->shift + v * LANES);

    const int8_t *weights = t->weights, *next = t->next;
    for (int64_t run = 0; run < t->run_count; run++) {
        const uint8_t *row[HSI_INT8_MAX_PIXELS];
#pragma GCC unroll 12
        for (int p = 0; p < pixels; p++)
            row[p] = t->rows[p] + t->runs[run];
        for (int64_t k = 0; k < 4 * t->depth; k += 4, weights += 4 * vectors * LANES) {
            __builtin_prefetch(next, 0, 2);
            next += t->next_step;
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                weight[v] = READ_INTS(weights + 4 * v * LANES);
#pragma GCC unroll 12
            for (int p = 0; p < pixels; p++) {
                const INTS x = SPREAD_INT(*(const four_bytes *)(row[p] + k));
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++)
                    sum[p][v] = DOT(sum[p][v], x, weight[v]);
            }
        }
    }

    const FLOATS lo = SPREAD(t->finish->lo), hi = SPREAD(t->finish->hi);
    const float *residual = t->residual;
    float *y = t->y;
#pragma GCC unroll 12
    for (int p = 0; p < pixels; p++, y += t->y_pixel) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            FLOATS z = FMA(TO_FLOATS(sum[p][v]), READ(t->scale + v * LANES),
                           READ(t->bias + v * LANES));
            if (residual)
                z += READ(residual + v * LANES);
            z = MIN(hi, MAX(lo, z));
            if (t->finish->quantises)
                z = JOIN(quantise, SUFFIX)(z, t->finish);
            WRITE(y + v * LANES, z);
        }
        if (residual)
            residual += t->residual_pixel;
    }
}

#define TILE(vectors, pixels)                                                            \
    TARGET HSI_ISA_OPTIMIZE static void JOIN(tile_##vectors##x##pixels,                  \
                                             SUFFIX)(const hsi_int8_tile *t)             \
    {                                                                                    \
        JOIN(tile_of, SUFFIX)(t, pixels, vectors);                                       \
    }
#define ENTRY(vectors, pixels) [pixels] = JOIN(tile_##vectors##x##pixels, SUFFIX),
#define AT_MOST_6(vectors, X)                                                            \
    X(vectors, 1) X(vectors, 2) X(vectors, 3) X(vectors, 4) X(vectors, 5) X(vectors, 6)
#if PIXELS == 12
#define ALL(vectors, X)                                                                  \
    AT_MOST_6(vectors, X)                                                                \
    X(vectors, 7)                                                                        \
    X(vectors, 8) X(vectors, 9) X(vectors, 10) X(vectors, 11) X(vectors, 12)
#else
#define ALL(vectors, X) AT_MOST_6(vectors, X)
#endif
ALL(1, TILE)
ALL(2, TILE)

static const hsi_int8_kernels JOIN(kernels, SUFFIX) = {
    .name = NAME,
    .lanes = LANES,
    .pixels = PIXELS,
    .tile = { { NULL }, { ALL(1, ENTRY) }, { ALL(2, ENTRY) } },
};

#undef TILE
#undef ENTRY
#undef AT_MOST_6
#undef ALL
#undef JOIN_
#undef JOIN
#undef LANES
#undef PIXELS
#undef NAME
#undef SUFFIX
#undef TARGET
#undef INTS
#undef FLOATS
#undef SPREAD
#undef SPREAD_INT
#undef READ
#undef WRITE
#undef READ_INTS
#undef TO_FLOATS
#undef DOT
#undef FMA
#undef FNMA
#undef MIN
#undef MAX
