/*
 * Dot products of some rows of x with four rows of weights, for one instruction set:
 * included once for each with LANES (floats in a vector), ROWS (how many rows of x fit
 * its registers), SUFFIX and TARGET defined, hence no include guard.
 *
 * out[r * 4 + i] = sum over k of x[r * x_row + k] * weights[i * stride + k], i < 4. A
 * product of one row is the same whether it is computed alone or with others.
 */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b)  JOIN_(a, b)
#define VECTOR      JOIN(vector, SUFFIX)
#define AT(pointer) (*(const VECTOR *)(pointer))

typedef float VECTOR __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

/* `rows` is a constant where this is inlined; the sums are then registers. */
TARGET HSI_ISA_INLINE void JOIN(dots, SUFFIX)(const float *x, int64_t x_row,
                                              const float *weights, int64_t stride,
                                              int64_t depth, float *out, const int rows)
{
    VECTOR even[ROWS][4], odd[ROWS][4];
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < 4; i++)
            even[r][i] = odd[r][i] = (VECTOR){ 0 };
    int64_t k = 0;
    for (; k + 2 * LANES <= depth; k += 2 * LANES) {
        for (int i = 0; i < 4; i++) {
            VECTOR w = AT(weights + i * stride + k);
            for (int r = 0; r < rows; r++)
                even[r][i] += AT(x + r * x_row + k) * w;
        }
        for (int i = 0; i < 4; i++) {
            VECTOR w = AT(weights + i * stride + k + LANES);
            for (int r = 0; r < rows; r++)
                odd[r][i] += AT(x + r * x_row + k + LANES) * w;
        }
    }
    for (int r = 0; r < rows; r++) {
        four_floats part[4];
        for (int i = 0; i < 4; i++) {
            VECTOR lanes = even[r][i] + odd[r][i];
            four_floats groups[LANES / 4];
            __builtin_memcpy(groups, &lanes, sizeof groups);
            part[i] = groups[0];
            for (int g = 1; g < LANES / 4; g++)
                part[i] += groups[g];
        }
        /* The sums of the four parts' lanes. */
        four_floats u = __builtin_shuffle(part[0], part[1], (four_ints){ 0, 4, 1, 5 }) +
                        __builtin_shuffle(part[0], part[1], (four_ints){ 2, 6, 3, 7 });
        four_floats v = __builtin_shuffle(part[2], part[3], (four_ints){ 0, 4, 1, 5 }) +
                        __builtin_shuffle(part[2], part[3], (four_ints){ 2, 6, 3, 7 });
        four_floats sum = __builtin_shuffle(u, v, (four_ints){ 0, 1, 4, 5 }) +
                          __builtin_shuffle(u, v, (four_ints){ 2, 3, 6, 7 });
        for (int64_t j = k; j < depth; j++) {
            const float *w = weights + j;
            sum += x[r * x_row + j] *
                   (four_floats){ w[0], w[stride], w[2 * stride], w[3 * stride] };
        }
        __builtin_memcpy(out + r * 4, &sum, sizeof sum);
    }
}

TARGET HSI_ISA_OPTIMIZE static void JOIN(dots_one, SUFFIX)(const float *x, int64_t x_row,
                                                           const float *weights,
                                                           int64_t stride, int64_t depth,
                                                           float *out)
{
    JOIN(dots, SUFFIX)(x, x_row, weights, stride, depth, out, 1);
}

TARGET HSI_ISA_OPTIMIZE static void JOIN(dots_all, SUFFIX)(const float *x, int64_t x_row,
                                                           const float *weights,
                                                           int64_t stride, int64_t depth,
                                                           float *out)
{
    JOIN(dots, SUFFIX)(x, x_row, weights, stride, depth, out, ROWS);
}

static const dot_functions JOIN(dot_functions, SUFFIX) = {
    .one = JOIN(dots_one, SUFFIX),
    .all = JOIN(dots_all, SUFFIX),
    .rows = ROWS,
};

#undef JOIN_
#undef JOIN
#undef VECTOR
#undef AT
#undef LANES
#undef ROWS
#undef SUFFIX
#undef TARGET
