/*
 * UNARY: out = act(in[0]), and BINARY: out = act(op(in[0], in[1])), any strides, in place
 * too.
 *
 * Both walk over tiles of merged dimensions. Where the inner strides are 1 (or 0 for an
 * operand that is broadcast) a tile is computed in place; anything else goes through
 * blocks on the stack. The activation follows block by block while the block is in the
 * first-level cache.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"

/* ---- One row of an operation ---------------------------------------------- */

/*
 * y may be a or b: each element is read before it is written, so there is no dependency
 * between iterations, which is what ivdep promises. Strides are 0 or 1.
 */
#define ROW_LOOP(expression)                                                             \
    if (as == 1 && bs == 1) {                                                            \
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                             \
        {                                                                                \
            float u = a[i], v = b[i];                                                    \
            y[i] = (expression);                                                         \
        }                                                                                \
    } else if (as == 1) {                                                                \
        float v = b[0];                                                                  \
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                             \
        {                                                                                \
            float u = a[i];                                                              \
            y[i] = (expression);                                                         \
        }                                                                                \
    } else {                                                                             \
        float u = a[0];                                                                  \
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                             \
        {                                                                                \
            float v = b[i * bs];                                                         \
            y[i] = (expression);                                                         \
        }                                                                                \
    }

/* What a row computes: the binary kinds, and addition with ReLU in the same pass.
 * Comparisons are written so that a NaN passes through. */
enum {
    OP_ADD_RELU = 100
};

HSI_ISA_INLINE void op_rows_of(int op, const float *a, int64_t ar, int64_t as,
                               const float *b, int64_t br, int64_t bs, float *y,
                               int64_t yr, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, a += ar, b += br, y += yr) {
        switch (op) {
        case HSCHED_BINARY_ADD:
            ROW_LOOP(u + v)
            break;
        case OP_ADD_RELU:
            ROW_LOOP(u + v < 0 ? 0 : u + v)
            break;
        case HSCHED_BINARY_SUB:
            ROW_LOOP(u - v)
            break;
        case HSCHED_BINARY_MUL:
            ROW_LOOP(u * v)
            break;
        case HSCHED_BINARY_DIV:
            ROW_LOOP(u / v)
            break;
        case HSCHED_BINARY_MIN:
            ROW_LOOP((u < v) | (u != u) ? u : v)
            break;
        case HSCHED_BINARY_MAX:
            ROW_LOOP((u > v) | (u != u) ? u : v)
            break;
        case HSCHED_BINARY_PRELU:
            ROW_LOOP(u < 0 ? u * v : u)
            break;
        }
    }
}

HSI_ISA_INLINE void op_rows_body(int op, const float *a, int64_t ar, int64_t as,
                                 const float *b, int64_t br, int64_t bs, float *y,
                                 int64_t yr, int64_t rows, int64_t n)
{
    if (n == 2) /* corners of boxes: a loop would take longer than what it does */
        op_rows_of(op, a, ar, as, b, br, bs, y, yr, rows, 2);
    else
        op_rows_of(op, a, ar, as, b, br, bs, y, yr, rows, n);
}
HSI_ISA_DISPATCH(op_rows,
                 (int op, const float *a, int64_t ar, int64_t as, const float *b,
                  int64_t br, int64_t bs, float *y, int64_t yr, int64_t rows, int64_t n),
                 (op, a, ar, as, b, br, bs, y, yr, rows, n))

/* powf is a call per element, whatever the instruction set. */
static void pow_rows(const float *a, int64_t ar, int64_t as, const float *b, int64_t br,
                     int64_t bs, float *y, int64_t yr, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, a += ar, b += br, y += yr) {
        if (bs == 0 && *b == 2.0f) {
            for (int64_t i = 0; i < n; i++)
                y[i] = a[i * as] * a[i * as];
            continue;
        }
        for (int64_t i = 0; i < n; i++)
            y[i] = powf(a[i * as], b[i * bs]);
    }
}

static void compute_rows(int op, const float *a, int64_t ar, int64_t as, const float *b,
                         int64_t br, int64_t bs, float *y, int64_t yr, int64_t rows,
                         int64_t n)
{
    if (op == HSCHED_BINARY_POW)
        pow_rows(a, ar, as, b, br, bs, y, yr, rows, n);
    else
        op_rows(op, a, ar, as, b, br, bs, y, yr, rows, n);
}

/* ---- BINARY --------------------------------------------------------------- */

enum {
    A = 0,
    B = 1,
    OUT = 2
};

/* A tile whose inner strides are 1 in the output and 0 or 1 in the operands: rows in one
 * call, as many as fit into a block if an activation has to pass over them again. */
static void binary_direct(int op, hsched_activation act, const hsi_tile *t,
                          const float *a, const float *b, float *y)
{
    int64_t cols = t->cols, rows = t->rows;
    if (act.kind != HSCHED_ACTIVATION_NONE) {
        cols = cols < HSI_BLOCK ? cols : HSI_BLOCK;
        rows = HSI_BLOCK / cols < rows ? HSI_BLOCK / cols : rows;
    }
    for (int64_t r = 0; r < t->rows; r += rows) {
        int64_t rn = t->rows - r < rows ? t->rows - r : rows;
        for (int64_t c = 0; c < t->cols; c += cols) {
            int64_t cn = t->cols - c < cols ? t->cols - c : cols;
            float *to = y + r * t->row_stride[OUT] + c;
            compute_rows(
                op, a + r * t->row_stride[A] + c * t->col_stride[A], t->row_stride[A],
                t->col_stride[A], b + r * t->row_stride[B] + c * t->col_stride[B],
                t->row_stride[B], t->col_stride[B], to, t->row_stride[OUT], rn, cn);
            if (act.kind == HSCHED_ACTIVATION_NONE)
                continue;
            if (cn == t->row_stride[OUT] || rn == 1) {
                hsi_cpu_activate(act, to, (size_t)(rn * cn));
                continue;
            }
            for (int64_t k = 0; k < rn; k++)
                hsi_cpu_activate(act, to + k * t->row_stride[OUT], (size_t)cn);
        }
    }
}

/* Any inner strides, through blocks on the stack. */
static void binary_strided(int op, hsched_activation act, const hsi_tile *t,
                           const float *a, const float *b, float *y)
{
    float a_block[HSI_BLOCK], b_block[HSI_BLOCK], y_block[HSI_BLOCK];
    int64_t as = t->col_stride[A], bs = t->col_stride[B], ys = t->col_stride[OUT];
    for (int64_t r = 0; r < t->rows; r++) {
        for (int64_t c = 0; c < t->cols; c += HSI_BLOCK) {
            int64_t n = t->cols - c < HSI_BLOCK ? t->cols - c : HSI_BLOCK;
            float *to = y + r * t->row_stride[OUT] + c * ys;
            const float *u =
                hsi_gather(a + r * t->row_stride[A] + c * as, as, n, a_block);
            const float *v =
                hsi_gather(b + r * t->row_stride[B] + c * bs, bs, n, b_block);
            float *w = ys == 1 ? to : y_block;
            compute_rows(op, u, 0, 1, v, 0, 1, w, 0, 1, n);
            hsi_cpu_activate(act, w, (size_t)n);
            if (w != to)
                hsi_scatter(w, to, ys, n);
        }
    }
}

static hsched_status binary_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    const hsi_loop *loop = state;
    const float *a = operands[0], *b = operands[1];
    float *y = operands[2];
    hsched_activation act = step->act;
    int op = (int)step->u.binary.kind;
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    if (op == HSCHED_BINARY_ADD && act.kind == HSCHED_ACTIVATION_RELU) {
        op = OP_ADD_RELU;
        act.kind = HSCHED_ACTIVATION_NONE;
    }
    int direct = hsi_loop_inner(loop, OUT) == 1;
    for (uint32_t k = A; k <= B; k++)
        direct &= hsi_loop_inner(loop, k) == 0 || hsi_loop_inner(loop, k) == 1;
    hsi_loop_part(loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, loop, begin, end);
    while (hsi_cursor_next(&cursor, &t)) {
        if (direct)
            binary_direct(op, act, &t, a + t.offset[A], b + t.offset[B],
                          y + t.offset[OUT]);
        else
            binary_strided(op, act, &t, a + t.offset[A], b + t.offset[B],
                           y + t.offset[OUT]);
    }
    return HSCHED_OK;
}

static int binary_supports(const hsched_step *step)
{
    return hsi_is_float(&step->in[0]) && hsi_is_float(&step->in[1]) &&
           hsi_is_float(&step->out) && step->u.binary.kind >= HSCHED_BINARY_ADD &&
           step->u.binary.kind <= HSCHED_BINARY_PRELU;
}

/* Makes the loop over the inputs and the output of a step, which is all the state there
 * is. */
static hsched_status prepare_loop(hsched_step *step, uint32_t inputs,
                                  hsi_cpu_prepared *prepared)
{
    const int64_t *strides[3] = { 0 };
    double count = hsi_operand_count(&step->out);
    hsi_loop *loop = HSI_NEW(hsi_loop);
    if (loop == NULL)
        return hsi_out_of_memory("the plan of an element-wise step");
    for (uint32_t k = 0; k < inputs; k++) {
        strides[k] = step->in[k].strides;
        count += hsi_operand_count(&step->in[k]);
    }
    strides[inputs] = step->out.strides;
    hsi_loop_init(loop, step->out.rank, step->out.dims, inputs + 1, strides);
    if (inputs == 1) /* an image of few channels that is made channels-last meanwhile */
        hsi_loop_lengthen_rows(loop);
    hsi_lower_parts(step, count * sizeof(float), (loop->total + 63) / 64);
    prepared->state = loop;
    return HSCHED_OK;
}

static hsched_status binary_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    return prepare_loop(step, 2, prepared);
}

static const hsi_cpu_kernel binary_kernel = {
    .name = "own/binary",
    .kind = HSCHED_STEP_BINARY,
    .library = HSCHED_LIBRARY_OWN,
    .supports = binary_supports,
    .prepare = binary_prepare,
    .destroy = hsi_free,
    .run = binary_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_binary[] = { &binary_kernel,
                                                         &hsi_cpu_kernel_binary_typed,
                                                         NULL };

/* ---- UNARY
 * -------------------------------------------------------------------------------------
 */

HSI_ISA_INLINE void relu_row_body(const float *x, float *y, int64_t n)
{
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++) y[i] = x[i] < 0 ? 0 : x[i];
}
HSI_ISA_DISPATCH(relu_row, (const float *x, float *y, int64_t n), (x, y, n))

/* What is activated at once: for sines and cosines, large elements make all of it slow. */
#define LONG_ROW 16384

static void unary_row(hsched_activation act, const float *x, int64_t xs, float *y,
                      int64_t ys, int64_t n)
{
    float block[HSI_BLOCK];
    if (act.kind == HSCHED_ACTIVATION_RELU && xs == 1 && ys == 1) {
        relu_row(x, y, n);
        return;
    }
    if (xs == 1 && ys == 1) {
        for (int64_t i = 0; i < n; i += LONG_ROW)
            hsi_cpu_activate_to(act, x + i, y + i,
                                (size_t)(n - i < LONG_ROW ? n - i : LONG_ROW));
        return;
    }
    for (int64_t i = 0; i < n; i += HSI_BLOCK) {
        int64_t count = n - i < HSI_BLOCK ? n - i : HSI_BLOCK;
        float *w = ys == 1 ? y + i : block;
        const float *from = hsi_gather(x + i * xs, xs, count, w);
        hsi_cpu_activate_to(act, from, w, (size_t)count);
        if (ys != 1)
            hsi_scatter(w, y + i * ys, ys, count);
    }
}

static hsched_status unary_run(const hsched_step *step, const void *state,
                               void *slot_state, void *const *operands, uint32_t part,
                               void *scratch)
{
    const hsi_loop *loop = state;
    const float *x = operands[0];
    float *y = operands[1];
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    hsi_loop_part(loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, loop, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            unary_row(step->act, x + t.offset[0] + r * t.row_stride[0], t.col_stride[0],
                      y + t.offset[1] + r * t.row_stride[1], t.col_stride[1], t.cols);
    return HSCHED_OK;
}

static int unary_supports(const hsched_step *step)
{
    return hsi_is_float(&step->in[0]) && hsi_is_float(&step->out);
}

static hsched_status unary_prepare(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    return prepare_loop(step, 1, prepared);
}

static const hsi_cpu_kernel unary_kernel = {
    .name = "own/unary",
    .kind = HSCHED_STEP_UNARY,
    .library = HSCHED_LIBRARY_OWN,
    .supports = unary_supports,
    .prepare = unary_prepare,
    .destroy = hsi_free,
    .run = unary_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_unary[] = {
    &unary_kernel, &hsi_cpu_kernel_unary_typed, &hsi_cpu_kernel_unary_double, NULL
};
