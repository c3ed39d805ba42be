/*
 * COPY: out = in[0], any strides, elements of 1, 2, 4 or 8 bytes. After merging
 * dimensions the copy is one of: rows (both sides contiguous), rows of one value each, a
 * transposition (the output is contiguous along one dimension, the input along another: dense
 * to channels-last and back), or neither.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"

enum {
    OPERAND_IN = 0,
    OPERAND_OUT = 1
};

typedef enum copy_mode {
    COPY_ROWS,
    COPY_FILL, /* the input stands still along rows of the output */
    COPY_TRANSPOSE,
    COPY_STRIDED
} copy_mode;

/* TRANSPOSE: dimension t is contiguous in the input, dimension c in the output; `outer`
 * is the loop over all others. A unit of work is a block of t_block x c_block elements.
 */
typedef struct copy_state {
    copy_mode mode;
    size_t size; /* of an element */
    hsi_loop loop;
    hsi_loop outer;
    int64_t t_count, t_out_stride, t_block, t_blocks;
    int64_t c_count, c_in_stride, c_block, c_blocks;
    int strips; /* blocks are not as wide as a line of the cache, and far apart */
} copy_state;

/* ---- Transposing a block: y[t * ys + c] = x[c * xs + t] ------------------- */

typedef float lane4 __attribute__((vector_size(16)));
typedef float lane4_unaligned __attribute__((vector_size(16), aligned(4), may_alias));
typedef int mask4 __attribute__((vector_size(16)));
typedef uint32_t word32 __attribute__((may_alias));

#define LOAD4(p)     (*(const lane4_unaligned *)(p))
#define STORE4(p, v) (*(lane4_unaligned *)(p) = (v))

/* Four by four, in registers. Only moves bits: any type of four bytes may be called
 * float. */
HSI_ISA_INLINE void transpose_4x4(const float *x, int64_t xs, float *y, int64_t ys)
{
    lane4 a = LOAD4(x), b = LOAD4(x + xs), c = LOAD4(x + 2 * xs), d = LOAD4(x + 3 * xs);
    lane4 ab_low = __builtin_shuffle(a, b, (mask4){ 0, 4, 1, 5 });
    lane4 ab_high = __builtin_shuffle(a, b, (mask4){ 2, 6, 3, 7 });
    lane4 cd_low = __builtin_shuffle(c, d, (mask4){ 0, 4, 1, 5 });
    lane4 cd_high = __builtin_shuffle(c, d, (mask4){ 2, 6, 3, 7 });
    STORE4(y, __builtin_shuffle(ab_low, cd_low, (mask4){ 0, 1, 4, 5 }));
    STORE4(y + ys, __builtin_shuffle(ab_low, cd_low, (mask4){ 2, 3, 6, 7 }));
    STORE4(y + 2 * ys, __builtin_shuffle(ab_high, cd_high, (mask4){ 0, 1, 4, 5 }));
    STORE4(y + 3 * ys, __builtin_shuffle(ab_high, cd_high, (mask4){ 2, 3, 6, 7 }));
}

#define TRANSPOSE_SCALAR(type, x, xs, y, ys, t0, t1, c0, c1)                             \
    for (int64_t t = (t0); t < (t1); t++)                                                \
        for (int64_t c = (c0); c < (c1); c++)                                            \
    ((type *)(y))[t * (ys) + c] = ((const type *)(x))[c * (xs) + t]

/* With k = c_count channels, or t_count: constants here, so that the compiler can
 * shuffle. */
HSI_ISA_INLINE void interleave(const word32 *restrict x, int64_t xs, word32 *restrict y,
                               int64_t ys, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < k; c++)
            y[i * ys + c] = x[c * xs + i];
}

HSI_ISA_INLINE void deinterleave(const word32 *restrict x, int64_t xs, word32 *restrict y,
                                 int64_t ys, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t t = 0; t < k; t++)
            y[t * ys + i] = x[i * xs + t];
}

/* Two rows of x become pairs, as far apart as it may be. */
HSI_ISA_INLINE void pair_rows(const float *x, int64_t xs, float *y, int64_t ys, int64_t n)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const lane4 a = LOAD4(x + i), b = LOAD4(x + xs + i);
        const lane4 low = __builtin_shuffle(a, b, (mask4){ 0, 4, 1, 5 });
        const lane4 high = __builtin_shuffle(a, b, (mask4){ 2, 6, 3, 7 });
        memcpy(y + i * ys, &low, 8);
        memcpy(y + (i + 1) * ys, (const char *)&low + 8, 8);
        memcpy(y + (i + 2) * ys, &high, 8);
        memcpy(y + (i + 3) * ys, (const char *)&high + 8, 8);
    }
    TRANSPOSE_SCALAR(word32, x, xs, y, ys, i, n, 0, 2);
}

HSI_ISA_INLINE void transpose_any_body(const void *x, int64_t xs, void *y, int64_t ys,
                                       int64_t tn, int64_t cn)
{
    const float *xf = x;
    float *yf = y;
    if (cn == 2 && ys == 2) {
        interleave(x, xs, y, 2, tn, 2);
        return;
    }
    if (cn == 3 && ys == 3) {
        interleave(x, xs, y, 3, tn, 3);
        return;
    }
    if (tn == 2 && xs == 2) {
        deinterleave(x, 2, y, ys, cn, 2);
        return;
    }
    if (tn == 3 && xs == 3) {
        deinterleave(x, 3, y, ys, cn, 3);
        return;
    }
    if (cn == 2) {
        pair_rows(x, xs, y, ys, tn);
        return;
    }
    int64_t tv = tn & ~(int64_t)3, cv = cn & ~(int64_t)3;
    for (int64_t t = 0; t < tv; t += 4)
        for (int64_t c = 0; c < cv; c += 4)
            transpose_4x4(xf + c * xs + t, xs, yf + t * ys + c, ys);
    TRANSPOSE_SCALAR(word32, x, xs, y, ys, 0, tv, cv, cn);
    TRANSPOSE_SCALAR(word32, x, xs, y, ys, tv, tn, 0, cn);
}
HSI_ISA_DISPATCH(transpose_any,
                 (const void *x, int64_t xs, void *y, int64_t ys, int64_t tn, int64_t cn),
                 (x, xs, y, ys, tn, cn))

#if HSI_ISA_X86
typedef float lane16 __attribute__((vector_size(64)));
typedef float lane16_unaligned __attribute__((vector_size(64), aligned(4), may_alias));
typedef int mask16 __attribute__((vector_size(64)));

/* Sixteen by sixteen: as with bytes below, by moving the eight bits of row and column around. */
HSI_TARGET_AVX512 HSI_ISA_OPTIMIZE static void transpose_wide(const float *x, int64_t xs,
                                                              float *y, int64_t ys,
                                                              int64_t tn, int64_t cn)
{
    const mask16 low = { 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23 };
    const mask16 high = low + 8;
    lane16 a[16], b[16];
    for (int64_t t = 0; t < tn; t += 16)
        for (int64_t c = 0; c < cn; c += 16) {
            for (int k = 0; k < 16; k++)
                a[k] = *(const lane16_unaligned *)(x + (c + k) * xs + t);
            for (int twice = 0; twice < 2; twice++) {
                for (int k = 0; k < 8; k++) {
                    b[2 * k] = __builtin_shuffle(a[k], a[k + 8], low);
                    b[2 * k + 1] = __builtin_shuffle(a[k], a[k + 8], high);
                }
                for (int k = 0; k < 8; k++) {
                    a[2 * k] = __builtin_shuffle(b[k], b[k + 8], low);
                    a[2 * k + 1] = __builtin_shuffle(b[k], b[k + 8], high);
                }
            }
            for (int k = 0; k < 16; k++)
                *(lane16_unaligned *)(y + (t + k) * ys + c) = a[k];
        }
}

static void transpose32(const void *x, int64_t xs, void *y, int64_t ys, int64_t tn,
                        int64_t cn)
{
    const float *xf = x;
    float *yf = y;
    const int64_t tv = tn & ~(int64_t)15, cv = cn & ~(int64_t)15;
    if (tv == 0 || cv == 0 || hsi_isa_best() != HSI_ISA_AVX512) {
        transpose_any(x, xs, y, ys, tn, cn);
        return;
    }
    transpose_wide(xf, xs, yf, ys, tv, cv);
    if (cv < cn)
        transpose_any(xf + cv * xs, xs, yf + cv, ys, tv, cn - cv);
    if (tv < tn)
        transpose_any(xf + tv, xs, yf + tv * ys, ys, tn - tv, cn);
}
#else
static void transpose32(const void *x, int64_t xs, void *y, int64_t ys, int64_t tn,
                        int64_t cn)
{
    transpose_any(x, xs, y, ys, tn, cn);
}
#endif

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint8_t bytes16_unaligned __attribute__((vector_size(16), aligned(1), may_alias));

/* An element's row and column are four bits each; this moves all eight of them up by one, and
 * the topmost to the bottom. */
HSI_ISA_INLINE void rotate_16x16(const bytes16 *from, bytes16 *to)
{
    for (int k = 0; k < 8; k++) {
        to[2 * k] = __builtin_shuffle(
            from[k], from[k + 8],
            (bytes16){ 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23 });
        to[2 * k + 1] = __builtin_shuffle(
            from[k], from[k + 8],
            (bytes16){ 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31 });
    }
}

HSI_ISA_INLINE void transpose_16x16(const uint8_t *x, int64_t xs, uint8_t *y, int64_t ys)
{
    bytes16 a[16], b[16];
    for (int k = 0; k < 16; k++)
        a[k] = *(const bytes16_unaligned *)(x + k * xs);
    rotate_16x16(a, b);
    rotate_16x16(b, a);
    rotate_16x16(a, b);
    rotate_16x16(b, a);
    for (int k = 0; k < 16; k++)
        *(bytes16_unaligned *)(y + k * ys) = a[k];
}

HSI_ISA_INLINE void transpose8_body(const void *x, int64_t xs, void *y, int64_t ys,
                                    int64_t tn, int64_t cn)
{
    const uint8_t *xb = x;
    uint8_t *yb = y;
    int64_t tv = tn & ~(int64_t)15, cv = cn & ~(int64_t)15;
    for (int64_t t = 0; t < tv; t += 16)
        for (int64_t c = 0; c < cv; c += 16)
            transpose_16x16(xb + c * xs + t, xs, yb + t * ys + c, ys);
    TRANSPOSE_SCALAR(uint8_t, x, xs, y, ys, 0, tv, cv, cn);
    TRANSPOSE_SCALAR(uint8_t, x, xs, y, ys, tv, tn, 0, cn);
}
HSI_ISA_DISPATCH(transpose8,
                 (const void *x, int64_t xs, void *y, int64_t ys, int64_t tn, int64_t cn),
                 (x, xs, y, ys, tn, cn))

static void transpose_block(size_t size, const void *x, int64_t xs, void *y, int64_t ys,
                            int64_t tn, int64_t cn)
{
    switch (size) {
    case 1:
        transpose8(x, xs, y, ys, tn, cn);
        break;
    case 2:
        TRANSPOSE_SCALAR(uint16_t, x, xs, y, ys, 0, tn, 0, cn);
        break;
    case 4:
        transpose32(x, xs, y, ys, tn, cn);
        break;
    default:
        TRANSPOSE_SCALAR(uint64_t, x, xs, y, ys, 0, tn, 0, cn);
        break;
    }
}

/* Blocks [begin, end) of one place of `outer`. */
static void transpose_blocks(const copy_state *s, const char *x, char *y, int64_t begin,
                             int64_t end)
{
    const int64_t size = (int64_t)s->size;
    if (s->t_blocks == 1 && s->c_blocks == 1 &&
        begin < end) { /* small: no divisions for it */
        transpose_block(s->size, x, s->c_in_stride, y, s->t_out_stride, s->t_count,
                        s->c_count);
        return;
    }
    for (int64_t block = begin; block < end; block++) {
        int64_t t = block / s->c_blocks * s->t_block;
        int64_t c = block % s->c_blocks * s->c_block;
        int64_t tn = s->t_count - t < s->t_block ? s->t_count - t : s->t_block;
        int64_t cn = s->c_count - c < s->c_block ? s->c_count - c : s->c_block;
        transpose_block(s->size, x + (c * s->c_in_stride + t) * size, s->c_in_stride,
                        y + (t * s->t_out_stride + c) * size, s->t_out_stride, tn, cn);
    }
}

/* Narrow blocks side by side in the output, `STRIP` of its rows at a time, since all its rows
 * would compete for the same few lines of the cache. */
#define STRIP 8

static void run_strips(const copy_state *s, const char *x, char *y, int64_t begin,
                       int64_t end)
{
    const int64_t size = (int64_t)s->size;
    hsi_cursor cursor;
    hsi_tile t;
    hsi_cursor_begin(&cursor, &s->outer, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            for (int64_t k = 0; k < s->t_count; k += STRIP)
                for (int64_t c = 0; c < t.cols; c++) {
                    const int64_t from = t.offset[OPERAND_IN] +
                                         r * t.row_stride[OPERAND_IN] +
                                         c * t.col_stride[OPERAND_IN] + k;
                    const int64_t to =
                        t.offset[OPERAND_OUT] + r * t.row_stride[OPERAND_OUT] +
                        c * t.col_stride[OPERAND_OUT] + k * s->t_out_stride;
                    transpose_block(s->size, x + from * size, s->c_in_stride,
                                    y + to * size, s->t_out_stride,
                                    s->t_count - k < STRIP ? s->t_count - k : STRIP,
                                    s->c_count);
                }
}

static void run_transpose(const copy_state *s, const char *x, char *y, int64_t begin,
                          int64_t end)
{
    const int64_t size = (int64_t)s->size, blocks = s->t_blocks * s->c_blocks;
    int64_t first = begin % blocks, left = end - begin;
    hsi_cursor cursor;
    hsi_tile t;
    hsi_cursor_begin(&cursor, &s->outer, begin / blocks, (end + blocks - 1) / blocks);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            for (int64_t c = 0; c < t.cols; c++) {
                const int64_t from = t.offset[OPERAND_IN] + r * t.row_stride[OPERAND_IN] +
                                     c * t.col_stride[OPERAND_IN];
                const int64_t to = t.offset[OPERAND_OUT] + r * t.row_stride[OPERAND_OUT] +
                                   c * t.col_stride[OPERAND_OUT];
                const int64_t n = left < blocks - first ? left : blocks - first;
                transpose_blocks(s, x + from * size, y + to * size, first, first + n);
                left -= n;
                first = 0;
            }
}

/* ---- Rows and anything ---------------------------------------------------- */

HSI_ISA_INLINE void short_rows_body(const char *x, int64_t xs, char *y, int64_t ys,
                                    int64_t rows, size_t bytes)
{
    for (int64_t r = 0; r < rows; r++, x += xs, y += ys) {
        size_t i = 0;
        for (; i + 64 <= bytes; i += 64)
            memcpy(y + i, x + i, 64);
        for (; i + 16 <= bytes; i += 16)
            memcpy(y + i, x + i, 16);
        for (; i + 4 <= bytes; i += 4)
            memcpy(y + i, x + i, 4);
        for (; i < bytes; i++)
            y[i] = x[i];
    }
}
HSI_ISA_DISPATCH(short_rows,
                 (const char *x, int64_t xs, char *y, int64_t ys, int64_t rows,
                  size_t bytes),
                 (x, xs, y, ys, rows, bytes))

static void copy_rows(const hsi_tile *tile, size_t size, const char *x, char *y)
{
    size_t bytes = (size_t)tile->cols * size;
    int64_t xs = tile->row_stride[OPERAND_IN] * (int64_t)size;
    int64_t ys = tile->row_stride[OPERAND_OUT] * (int64_t)size;
    if (bytes < 1024)
        short_rows(x, xs, y, ys, tile->rows, bytes);
    else
        for (int64_t r = 0; r < tile->rows; r++)
            memcpy(y + r * ys, x + r * xs, bytes);
}

#define FILL_TILE(type)                                                                  \
    for (int64_t r = 0; r < rows; r++) {                                                 \
        const type value = ((const type *)x)[r * xs];                                    \
        type *restrict to = (type *)y + r * ys;                                          \
        for (int64_t i = 0; i < cols; i++)                                               \
            to[i] = value;                                                               \
    }

HSI_ISA_INLINE void fill_rows_body(size_t size, const void *x, int64_t xs, void *y,
                                   int64_t ys, int64_t rows, int64_t cols)
{
    if (size == 1)
        FILL_TILE(uint8_t)
    else if (size == 2)
        FILL_TILE(uint16_t)
    else if (size == 4)
        FILL_TILE(word32)
    else
        FILL_TILE(uint64_t)
}
HSI_ISA_DISPATCH(fill_rows,
                 (size_t size, const void *x, int64_t xs, void *y, int64_t ys,
                  int64_t rows, int64_t cols),
                 (size, x, xs, y, ys, rows, cols))

#define COPY_STRIDED_TILE(type)                                                          \
    for (int64_t r = 0; r < tile->rows; r++) {                                           \
        const type *from = (const type *)x + r * xr;                                     \
        type *to = (type *)y + r * yr;                                                   \
        for (int64_t i = 0; i < tile->cols; i++)                                         \
            to[i * yc] = from[i * xc];                                                   \
    }

static void copy_strided(const hsi_tile *tile, size_t size, const void *x, void *y)
{
    int64_t xr = tile->row_stride[OPERAND_IN], yr = tile->row_stride[OPERAND_OUT];
    int64_t xc = tile->col_stride[OPERAND_IN], yc = tile->col_stride[OPERAND_OUT];
    switch (size) {
    case 1:
        COPY_STRIDED_TILE(uint8_t)
        break;
    case 2:
        COPY_STRIDED_TILE(uint16_t)
        break;
    case 4:
        COPY_STRIDED_TILE(uint32_t)
        break;
    default:
        COPY_STRIDED_TILE(uint64_t)
        break;
    }
}

static hsched_status copy_run(const hsched_step *step, const void *state,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch)
{
    const copy_state *s = state;
    const char *x = operands[0];
    char *y = operands[1];
    int64_t begin, end, size = (int64_t)s->size;
    (void)slot_state;
    (void)scratch;
    if (s->mode == COPY_TRANSPOSE) {
        hsi_part_range(s->outer.total * s->t_blocks * s->c_blocks, part, step->parts,
                       &begin, &end);
        (s->strips ? run_strips : run_transpose)(s, x, y, begin, end);
        return HSCHED_OK;
    }
    hsi_cursor cursor;
    hsi_tile tile;
    hsi_loop_part(&s->loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->loop, begin, end);
    while (hsi_cursor_next(&cursor, &tile)) {
        const char *from = x + tile.offset[OPERAND_IN] * size;
        char *to = y + tile.offset[OPERAND_OUT] * size;
        if (s->mode == COPY_ROWS)
            copy_rows(&tile, s->size, from, to);
        else if (s->mode == COPY_FILL)
            fill_rows(s->size, from, tile.row_stride[OPERAND_IN], to,
                      tile.row_stride[OPERAND_OUT], tile.rows, tile.cols);
        else
            copy_strided(&tile, s->size, from, to);
    }
    return HSCHED_OK;
}

/* ---- Preparing ------------------------------------------------------------ */

/* The dimension, other than the inner one, along which the input is contiguous, or -1. */
static int find_transposed(const hsi_loop *loop)
{
    for (uint32_t d = 0; d + 1 < loop->rank; d++)
        if (loop->strides[OPERAND_IN][d] == 1)
            return (int)d;
    return -1;
}

static void prepare_transpose(copy_state *s, uint32_t t)
{
    const hsi_loop *loop = &s->loop;
    const int64_t *strides[2] = { loop->strides[0], loop->strides[1] };
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t c = loop->rank - 1;
    s->mode = COPY_TRANSPOSE;
    s->t_count = loop->dims[t];
    s->t_out_stride = loop->strides[OPERAND_OUT][t];
    s->c_count = loop->dims[c];
    s->c_in_stride = loop->strides[OPERAND_IN][c];
    for (uint32_t d = 0; d < loop->rank; d++)
        dims[d] = d == t || d == c ? 1 : loop->dims[d];
    hsi_loop_init(&s->outer, loop->rank, dims, 2, strides);
    /* Rows of the input long enough to be fetched ahead; fewer of them where they are a power of
     * two apart, since those compete for the same few lines of the cache. */
    const int64_t apart = s->c_in_stride * (int64_t)s->size;
    s->t_block = s->c_count <= 8 ? 1024 : 256;
    s->c_block = s->t_count <= 8 ? 1024 : apart % 1024 == 0 ? 32 : 64;
    s->t_blocks = (s->t_count + s->t_block - 1) / s->t_block;
    s->c_blocks = (s->c_count + s->c_block - 1) / s->c_block;
    s->strips = s->c_count <= 8 && s->t_blocks == 1 && s->t_count > STRIP &&
                s->t_out_stride * (int64_t)s->size % 4096 == 0;
}

static int copy_supports(const hsched_step *step)
{
    size_t size = hsched_dtype_size(step->out.dtype);
    return step->act.kind == HSCHED_ACTIVATION_NONE &&
           step->in[0].dtype == step->out.dtype &&
           (size == 1 || size == 2 || size == 4 || size == 8);
}

static hsched_status copy_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    copy_state *s = HSI_NEW(copy_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a copy");
    const int64_t *strides[2] = { step->in[0].strides, step->out.strides };
    s->size = hsched_dtype_size(step->out.dtype);
    hsi_loop_init(&s->loop, step->out.rank, step->out.dims, 2, strides);
    int64_t in_inner = hsi_loop_inner(&s->loop, OPERAND_IN);
    int64_t out_inner = hsi_loop_inner(&s->loop, OPERAND_OUT);
    int t = find_transposed(&s->loop);
    int64_t units = s->loop.total;
    if (in_inner == 1 && out_inner == 1) {
        s->mode = COPY_ROWS;
        units = (units + 63) / 64;
    } else if (in_inner == 0 && out_inner == 1) {
        s->mode = COPY_FILL;
        units = (units + 63) / 64;
    } else if (out_inner == 1 && t >= 0) {
        prepare_transpose(s, (uint32_t)t);
        units = s->outer.total * s->t_blocks * s->c_blocks;
    } else {
        s->mode = COPY_STRIDED;
        units = (units + 63) / 64;
    }
    hsi_lower_parts(step, (double)s->loop.total * (double)s->size * 2, units);
    prepared->state = s;
    return HSCHED_OK;
}

static const hsi_cpu_kernel copy_kernel = {
    .name = "own/copy",
    .kind = HSCHED_STEP_COPY,
    .library = HSCHED_LIBRARY_OWN,
    .supports = copy_supports,
    .prepare = copy_prepare,
    .destroy = hsi_free,
    .run = copy_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_copy[] = { &copy_kernel, NULL };
