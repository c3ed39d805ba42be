/*
 * Between tiles and points of F(4x4, 3x3), in one dimension: sources for vectors
 * (vector_variants.h). The points are 0, P, -P, Q, -Q and infinity. With 1 and 2, the usual ones,
 * errors are twice as large.
 */
#define P 0.75f
#define Q 1.5f

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

#undef P
#undef Q
