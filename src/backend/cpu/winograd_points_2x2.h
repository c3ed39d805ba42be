/*
 * Between tiles and points of F(2x2, 3x3), in one dimension: sources for vectors
 * (vector_variants.h). The points are 0, 1, -1 and infinity.
 */
/* to[i * stride] = (B^T d)[i]: a column or a row of four. */
TARGET HSI_ISA_INLINE void JOIN(to_points, SUFFIX)(const VECTOR *d, VECTOR *to,
                                                   const int stride)
{
    to[0 * stride] = d[0] - d[2];
    to[1 * stride] = d[1] + d[2];
    to[2 * stride] = d[2] - d[1];
    to[3 * stride] = d[3] - d[1];
}

/* to[i * stride] = (A^T m)[i]: two of four. */
TARGET HSI_ISA_INLINE void JOIN(from_points, SUFFIX)(const VECTOR *m, VECTOR *to,
                                                     const int stride)
{
    to[0 * stride] = m[0] + m[1] + m[2];
    to[1 * stride] = m[1] - m[2] + m[3];
}

/* Four of three: (G g)[i]. */
TARGET HSI_ISA_INLINE void JOIN(kernel_points, SUFFIX)(const DOUBLES *g, const int stride,
                                                       DOUBLES *to, const int to_stride)
{
    const DOUBLES even = g[0] + g[2 * stride];
    to[0 * to_stride] = g[0];
    to[1 * to_stride] = (even + g[stride]) * 0.5;
    to[2 * to_stride] = (even - g[stride]) * 0.5;
    to[3 * to_stride] = g[2 * stride];
}
