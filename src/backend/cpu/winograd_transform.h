/*
 * The transforms of Winograd's convolution F(4x4, 3x3): a source for vectors (vector_variants.h). A
 * vector holds LANES channels; every channel is a transform of its own.
 */
/* to[i * stride] = (B^T d)[i]: a column or a row of six. */
TARGET HSI_ISA_INLINE void JOIN(to_points, SUFFIX)(const VECTOR *d, VECTOR *to,
                                                   const int stride)
{
    const VECTOR even_p = d[4] - Q * Q * d[2], odd_p = P * (d[3] - Q * Q * d[1]),
                 even_q = d[4] - P * P * d[2], odd_q = Q * (d[3] - P * P * d[1]);
    to[0 * stride] = P * P * Q * Q * d[0] - (P * P + Q * Q) * d[2] + d[4];
    to[1 * stride] = even_p + odd_p;
    to[2 * stride] = even_p - odd_p;
    to[3 * stride] = even_q + odd_q;
    to[4 * stride] = even_q - odd_q;
    to[5 * stride] = P * P * Q * Q * d[1] - (P * P + Q * Q) * d[3] + d[5];
}

/* to[i * stride] = (A^T m)[i]: four of six. */
TARGET HSI_ISA_INLINE void JOIN(from_points, SUFFIX)(const VECTOR *m, VECTOR *to,
                                                     const int stride)
{
    const VECTOR even_p = m[1] + m[2], odd_p = m[1] - m[2], even_q = m[3] + m[4],
                 odd_q = m[3] - m[4];
    to[0 * stride] = m[0] + even_p + even_q;
    to[1 * stride] = P * odd_p + Q * odd_q;
    to[2 * stride] = P * P * even_p + Q * Q * even_q;
    to[3 * stride] = P * P * P * odd_p + Q * Q * Q * odd_q + m[5];
}

TARGET HSI_ISA_INLINE void JOIN(transform_in_at, SUFFIX)(const float *const *taps,
                                                         int64_t c, float *to,
                                                         int64_t plane)
{
    VECTOR columns[36], points[6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
        VECTOR column[6];
        for (int i = 0; i < 6; i++)
            column[i] = READ(taps[6 * i + j] + c);
        JOIN(to_points, SUFFIX)(column, columns + j, 6);
    }
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
        JOIN(to_points, SUFFIX)(columns + 6 * i, points, 1);
        for (int j = 0; j < 6; j++)
            AT(to + (6 * i + j) * plane + c) = points[j];
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

/* LANES channels, to 4x4 vectors. */
TARGET HSI_ISA_INLINE void JOIN(transform_out_at, SUFFIX)(const float *from,
                                                          int64_t plane,
                                                          const float *bias, VECTOR *to)
{
    VECTOR columns[24];
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
        VECTOR column[6];
        for (int i = 0; i < 6; i++)
            column[i] = READ(from + (6 * i + j) * plane);
        JOIN(from_points, SUFFIX)(column, columns + j, 6);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        JOIN(from_points, SUFFIX)(columns + 6 * i, to + 4 * i, 1);
    for (int i = 0; i < 16; i++)
        to[i] += READ(bias);
}

TARGET HSI_ISA_OPTIMIZE static void JOIN(transform_out,
                                         SUFFIX)(const hsi_winograd_out *out)
{
    const VECTOR zero = { 0 }, lo = zero + out->lo, hi = zero + out->hi;
    for (int64_t c = 0; c < out->channels; c += LANES) {
        VECTOR tile[16];
        const int64_t left = out->channels - c;
        JOIN(transform_out_at, SUFFIX)(out->from + c, out->plane, out->bias + c, tile);
        for (int64_t i = 0; i < out->rows; i++)
            for (int64_t j = 0; j < out->columns; j++) {
                float *y = out->y + i * out->y_row + j * out->y_pixel + c;
                const float *residual = out->residual
                                            ? out->residual + i * out->residual_row +
                                                  j * out->residual_pixel + c
                                            : NULL;
                VECTOR v = tile[4 * i + j];
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

#define DOUBLES JOIN(doubles, SUFFIX)
#define SINGLES JOIN(singles, SUFFIX)
typedef double DOUBLES __attribute__((vector_size(LANES * 4)));
typedef float SINGLES __attribute__((vector_size(LANES * 2), aligned(4), may_alias));

/* Six of three: (G g)[i]. */
TARGET HSI_ISA_INLINE void JOIN(kernel_points, SUFFIX)(const DOUBLES *g, const int stride,
                                                       DOUBLES *to, const int to_stride)
{
    const double pp = (double)P * P, qq = (double)Q * Q;
    const DOUBLES even_p = g[0] + pp * g[2 * stride], odd_p = P * g[stride],
                  even_q = g[0] + qq * g[2 * stride], odd_q = Q * g[stride];
    to[0 * to_stride] = g[0] * (1 / (pp * qq));
    to[1 * to_stride] = (even_p + odd_p) * (1 / (2 * pp * (pp - qq)));
    to[2 * to_stride] = (even_p - odd_p) * (1 / (2 * pp * (pp - qq)));
    to[3 * to_stride] = (even_q + odd_q) * (1 / (2 * qq * (qq - pp)));
    to[4 * to_stride] = (even_q - odd_q) * (1 / (2 * qq * (qq - pp)));
    to[5 * to_stride] = g[2 * stride];
}

/* LANES / 2 kernels, to 36 vectors. */
TARGET HSI_ISA_INLINE void JOIN(transform_kernels_at, SUFFIX)(const DOUBLES *taps,
                                                              DOUBLES *to)
{
    DOUBLES columns[18];
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++)
        JOIN(kernel_points, SUFFIX)(taps + j, 3, columns + j, 3);
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++)
        JOIN(kernel_points, SUFFIX)(columns + 3 * i, 1, to + 6 * i, 1);
}

TARGET HSI_ISA_OPTIMIZE static void JOIN(transform_kernels,
                                         SUFFIX)(const float *given, int64_t stride,
                                                 int64_t count, float *to, int64_t plane)
{
    for (int64_t at = 0; at < count; at += LANES / 2) {
        const int64_t some = count - at < LANES / 2 ? count - at : LANES / 2;
        DOUBLES taps[9] = { { 0 } }, points[36];
        for (int64_t k = 0; k < some; k++)
            for (int i = 0; i < 9; i++)
                taps[i][k] = given[(at + k) * stride + i];
        JOIN(transform_kernels_at, SUFFIX)(taps, points);
        for (int p = 0; p < 36; p++) {
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
