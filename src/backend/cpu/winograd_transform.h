/*
 * The transforms of Winograd's convolution F(TILE x TILE, 3x3): a source for vectors
 * (vector_variants.h). A vector holds LANES channels; every channel is a transform of its own.
 * WINOGRAD_POINTS is the header with what they are in one dimension.
 */
#define DOUBLES JOIN(doubles, SUFFIX)
#define SINGLES JOIN(singles, SUFFIX)
typedef double DOUBLES __attribute__((vector_size(LANES * 4)));
typedef float SINGLES __attribute__((vector_size(LANES * 2), aligned(4), may_alias));
#include WINOGRAD_POINTS

TARGET HSI_ISA_INLINE void JOIN(transform_in_at, SUFFIX)(const float *const *taps,
                                                         int64_t c, float *to,
                                                         int64_t plane)
{
    VECTOR columns[SIDE * SIDE], points[SIDE];
#pragma GCC unroll 6
    for (int j = 0; j < SIDE; j++) {
        VECTOR column[SIDE];
        for (int i = 0; i < SIDE; i++)
            column[i] = READ(taps[SIDE * i + j] + c);
        JOIN(to_points, SUFFIX)(column, columns + j, SIDE);
    }
#pragma GCC unroll 6
    for (int i = 0; i < SIDE; i++) {
        JOIN(to_points, SUFFIX)(columns + SIDE * i, points, 1);
        for (int j = 0; j < SIDE; j++)
            AT(to + (SIDE * i + j) * plane + c) = points[j];
    }
}

/* The last vector overlaps the one before; there are LANES channels or more. */
TARGET HSI_ISA_OPTIMIZE static void JOIN(transform_in, SUFFIX)(const float *const *taps,
                                                               int64_t channels,
                                                               float *to, int64_t plane)
{
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES)
        JOIN(transform_in_at, SUFFIX)(taps, c, to, plane);
    if (c < channels)
        JOIN(transform_in_at, SUFFIX)(taps, channels - LANES, to, plane);
}

/* LANES channels, to TILE x TILE vectors. */
TARGET HSI_ISA_INLINE void JOIN(transform_out_at, SUFFIX)(const float *from,
                                                          int64_t plane,
                                                          const float *bias, VECTOR *to)
{
    VECTOR columns[TILE * SIDE];
#pragma GCC unroll 6
    for (int j = 0; j < SIDE; j++) {
        VECTOR column[SIDE];
        for (int i = 0; i < SIDE; i++)
            column[i] = READ(from + (SIDE * i + j) * plane);
        JOIN(from_points, SUFFIX)(column, columns + j, SIDE);
    }
#pragma GCC unroll 4
    for (int i = 0; i < TILE; i++)
        JOIN(from_points, SUFFIX)(columns + SIDE * i, to + TILE * i, 1);
    for (int i = 0; i < TILE * TILE; i++)
        to[i] += READ(bias);
}

TARGET HSI_ISA_OPTIMIZE static void JOIN(transform_out,
                                         SUFFIX)(const hsi_winograd_out *out)
{
    const VECTOR zero = { 0 }, lo = zero + out->lo, hi = zero + out->hi;
    for (int64_t c = 0; c < out->channels; c += LANES) {
        VECTOR tile[TILE * TILE];
        const int64_t left = out->channels - c;
        JOIN(transform_out_at, SUFFIX)(out->from + c, out->plane, out->bias + c, tile);
        for (int64_t i = 0; i < out->rows; i++)
            for (int64_t j = 0; j < out->columns; j++) {
                float *y = out->y + i * out->y_row + j * out->y_pixel + c;
                const float *residual = out->residual
                                            ? out->residual + i * out->residual_row +
                                                  j * out->residual_pixel + c
                                            : NULL;
                VECTOR v = tile[TILE * i + j];
                if (left >= LANES) {
                    if (residual)
                        v += READ(residual);
                    AT(y) = VECTOR_MIN(hi, VECTOR_MAX(lo, v));
                    continue;
                }
                float some[LANES] = { 0 };
                for (int64_t k = 0; residual && k < left; k++)
                    some[k] = residual[k];
                v += READ(some);
                AT(some) = VECTOR_MIN(hi, VECTOR_MAX(lo, v));
                for (int64_t k = 0; k < left; k++)
                    y[k] = some[k];
            }
    }
}

/* ---- Kernels, in doubles: they are transformed once ----------------------- */

/* LANES / 2 kernels, to SIDE x SIDE vectors. */
TARGET HSI_ISA_INLINE void JOIN(transform_kernels_at, SUFFIX)(const DOUBLES *taps,
                                                              DOUBLES *to)
{
    DOUBLES columns[3 * SIDE];
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++)
        JOIN(kernel_points, SUFFIX)(taps + j, 3, columns + j, 3);
#pragma GCC unroll 6
    for (int i = 0; i < SIDE; i++)
        JOIN(kernel_points, SUFFIX)(columns + 3 * i, 1, to + SIDE * i, 1);
}

TARGET HSI_ISA_OPTIMIZE static void JOIN(transform_kernels,
                                         SUFFIX)(const float *given, int64_t stride,
                                                 int64_t count, float *to, int64_t plane)
{
    for (int64_t at = 0; at < count; at += LANES / 2) {
        const int64_t some = count - at < LANES / 2 ? count - at : LANES / 2;
        DOUBLES taps[9] = { { 0 } }, points[SIDE * SIDE];
        for (int64_t k = 0; k < some; k++)
            for (int i = 0; i < 9; i++)
                taps[i][k] = given[(at + k) * stride + i];
        JOIN(transform_kernels_at, SUFFIX)(taps, points);
        for (int p = 0; p < SIDE * SIDE; p++) {
            const SINGLES rounded = __builtin_convertvector(points[p], SINGLES);
            if (some == LANES / 2)
                *(SINGLES *)(to + p * plane + at) = rounded;
            else
                memcpy(to + p * plane + at, &rounded, (size_t)some * sizeof *to);
        }
    }
}
#undef DOUBLES
#undef SINGLES
