/*
 * Rows times a packed matrix, added to y, for one instruction set: included by recurrent.c
 * with LANES (floats in a vector), ROWS (rows that a block takes at once, 6 at most),
 * ONE_ROW, MANY_ROWS, SUFFIX and TARGET.
 *
 * The matrix is in panels of up to 64 columns, each [depth][width], width a multiple of 16;
 * a block of up to ROWS rows and MANY_ROWS columns, or of one row and ONE_ROW columns, is
 * summed up in registers.
 */
#define ROWS_NAME_(name, suffix) name##_##suffix
#define ROWS_NAME(name, suffix)  ROWS_NAME_(name, suffix)
#define NAME(name)               ROWS_NAME(name, SUFFIX)

typedef float NAME(lanes) __attribute__((vector_size(4 * LANES), aligned(4)));

/* `rows` and `vectors` are constants after inlining: `sums` is registers. */
static inline __attribute__((always_inline)) TARGET void NAME(block)(
    const float *const *x, int64_t depth, const float *panel, int64_t width,
    float *const *y, const int rows, const int vectors)
{
    typedef NAME(lanes) lanes;
    lanes sums[ROWS][64 / LANES];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; v++)
            sums[r][v] = *(const lanes *)(y[r] + v * LANES);
/* Unrolled, GCC 12 keeps the sums of two or three rows where they are: half of the time. */
#pragma GCC unroll 2
    for (int64_t k = 0; k < depth; k++) {
#pragma GCC unroll 16
        for (int v = 0; v < vectors; v++) {
            const lanes weights = *(const lanes *)(panel + k * width + v * LANES);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++)
                sums[r][v] += weights * x[r][k];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; v++)
            *(lanes *)(y[r] + v * LANES) = sums[r][v];
}

/* All `width` columns of a panel, of `rows` rows. */
static inline __attribute__((always_inline)) TARGET void NAME(blocks)(
    const float *const *x, int64_t depth, const float *panel, int64_t width,
    float *const *y, const int rows, const int vectors)
{
    float *at[ROWS];
    for (int64_t c = 0; c < width; c += vectors * LANES) {
        for (int r = 0; r < rows; r++)
            at[r] = y[r] + c;
        NAME(block)(x, depth, panel + c, width, at, rows, vectors);
    }
}

/* Any number of rows: each case is a loop of its own. */
#define CASE(n)                                                                          \
    case n:                                                                              \
        if (ROWS < n)                                                                    \
            break;                                                                       \
        if (width == 64)                                                                 \
            NAME(blocks)                                                                 \
        (x, depth, panel, width, y, ROWS < n ? 1 : n,                                    \
         (n == 1 ? ONE_ROW : MANY_ROWS) / LANES);                                        \
        else NAME(blocks)(x, depth, panel, width, y, ROWS < n ? 1 : n, 16 / LANES);      \
        break
TARGET HSI_ISA_OPTIMIZE static void NAME(rows)(const float *const *x, int rows,
                                               int64_t depth, const float *panel,
                                               int64_t width, float *const *y)
{
    while (rows > 0) {
        const int n = rows < ROWS ? rows : ROWS;
        switch (n) {
            CASE(1);
            CASE(2);
            CASE(3);
            CASE(4);
            CASE(5);
            CASE(6);
        }
        rows -= n;
        x += n;
        y += n;
    }
}

#undef CASE
#undef NAME
#undef ROWS_NAME
#undef ROWS_NAME_
#undef LANES
#undef ROWS
#undef ONE_ROW
#undef MANY_ROWS
#undef SUFFIX
#undef TARGET
