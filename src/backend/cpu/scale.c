/*
 * SCALE: out[n,c,...] = act(x[n,c,...] * scale[c] + shift[c]), any strides.
 *
 * scale and shift take part in the loop as operands with stride 0 in all dimensions but
 * c. So a tile is: channels-last, rows are pixels (with any pixel stride on both sides)
 * and columns are channels; dense, rows are channels and columns are the pixels of one.
 * Anything else goes through blocks on the stack.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"

enum {
    X = 0,
    FACTOR = 1,
    SHIFT = 2,
    OUT = 3
};

typedef struct scale_state {
    hsi_loop loop;
    const float *scale, *shift;
    float *owned; /* memory of both, unless the constants stay */
} scale_state;

/* Rows [rows, n] with the same scale and shift [n] in each: four rows at a time share the
 * loads. */
HSI_ISA_INLINE void scale_rows_body(const float *x, int64_t xr, const float *scale,
                                    const float *shift, float *y, int64_t yr,
                                    int64_t rows, int64_t n, int relu)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4, x += 4 * xr, y += 4 * yr) {
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)
        {
            float s = scale[i], t = shift[i];
            float a = x[i] * s + t, b = x[xr + i] * s + t;
            float c = x[2 * xr + i] * s + t, d = x[3 * xr + i] * s + t;
            y[i] = relu && a < 0 ? 0 : a;
            y[yr + i] = relu && b < 0 ? 0 : b;
            y[2 * yr + i] = relu && c < 0 ? 0 : c;
            y[3 * yr + i] = relu && d < 0 ? 0 : d;
        }
    }
    for (; r < rows; r++, x += xr, y += yr) {
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)
        {
            float a = x[i] * scale[i] + shift[i];
            y[i] = relu && a < 0 ? 0 : a;
        }
    }
}

HSI_ISA_INLINE void scale_by_column_body(const float *x, int64_t xr, const float *scale,
                                         const float *shift, float *y, int64_t yr,
                                         int64_t rows, int64_t n, int relu)
{
    if (relu)
        scale_rows_body(x, xr, scale, shift, y, yr, rows, n, 1);
    else
        scale_rows_body(x, xr, scale, shift, y, yr, rows, n, 0);
}
HSI_ISA_DISPATCH(scale_by_column,
                 (const float *x, int64_t xr, const float *scale, const float *shift,
                  float *y, int64_t yr, int64_t rows, int64_t n, int relu),
                 (x, xr, scale, shift, y, yr, rows, n, relu))

/* One row with one scale and shift. */
HSI_ISA_INLINE void scale_row_body(const float *x, float scale, float shift, float *y,
                                   int64_t n, int relu)
{
    if (relu) {
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)
        {
            float a = x[i] * scale + shift;
            y[i] = a < 0 ? 0 : a;
        }
    } else {
        _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale + shift;
    }
}
HSI_ISA_DISPATCH(scale_row,
                 (const float *x, float scale, float shift, float *y, int64_t n,
                  int relu),
                 (x, scale, shift, y, n, relu))

/* Channels are columns: a tile in blocks that stay in the cache for the activation. */
static void run_columns(const hsi_tile *t, hsched_activation act, const float *x,
                        const float *scale, const float *shift, float *y)
{
    int relu = act.kind == HSCHED_ACTIVATION_RELU;
    if (relu || act.kind == HSCHED_ACTIVATION_NONE) {
        scale_by_column(x, t->row_stride[X], scale, shift, y, t->row_stride[OUT], t->rows,
                        t->cols, relu);
        return;
    }
    for (int64_t r = 0; r < t->rows; r += 4) {
        int64_t n = t->rows - r < 4 ? t->rows - r : 4;
        float *to = y + r * t->row_stride[OUT];
        scale_by_column(x + r * t->row_stride[X], t->row_stride[X], scale, shift, to,
                        t->row_stride[OUT], n, t->cols, 0);
        if (t->row_stride[OUT] == t->cols) {
            hsi_cpu_activate(act, to, (size_t)(n * t->cols));
            continue;
        }
        for (int64_t k = 0; k < n; k++)
            hsi_cpu_activate(act, to + k * t->row_stride[OUT], (size_t)t->cols);
    }
}

/* One row, any strides. */
static void run_row(const hsi_tile *t, hsched_activation act, const float *x,
                    const float *scale, const float *shift, float *y)
{
    float x_block[HSI_BLOCK], s_block[HSI_BLOCK], t_block[HSI_BLOCK], y_block[HSI_BLOCK];
    int64_t xs = t->col_stride[X], ys = t->col_stride[OUT], cs = t->col_stride[FACTOR];
    int relu = act.kind == HSCHED_ACTIVATION_RELU;
    for (int64_t c = 0; c < t->cols; c += HSI_BLOCK) {
        int64_t n = t->cols - c < HSI_BLOCK ? t->cols - c : HSI_BLOCK;
        const float *from = hsi_gather(x + c * xs, xs, n, x_block);
        float *to = ys == 1 ? y + c : y_block;
        if (cs == 0) {
            scale_row(from, *scale, *shift, to, n, relu);
        } else {
            const float *s = hsi_gather(scale + c * cs, cs, n, s_block);
            const float *u = hsi_gather(shift + c * cs, cs, n, t_block);
            scale_by_column(from, 0, s, u, to, 0, 1, n, relu);
        }
        if (!relu)
            hsi_cpu_activate(act, to, (size_t)n);
        if (ys != 1)
            hsi_scatter(to, y + c * ys, ys, n);
    }
}

static hsched_status scale_run(const hsched_step *step, const void *state,
                               void *slot_state, void *const *operands, uint32_t part,
                               void *scratch)
{
    const scale_state *s = state;
    const hsi_loop *loop = &s->loop;
    const float *x = operands[0];
    float *y = operands[3];
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    (void)scratch;
    int by_column = hsi_loop_inner(loop, X) == 1 && hsi_loop_inner(loop, OUT) == 1 &&
                    hsi_loop_inner(loop, FACTOR) == 1;
    hsi_loop_part(loop, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, loop, begin, end);
    while (hsi_cursor_next(&cursor, &t)) {
        const float *scale = s->scale + t.offset[FACTOR],
                    *shift = s->shift + t.offset[SHIFT];
        if (by_column && t.row_stride[FACTOR] == 0) {
            run_columns(&t, step->act, x + t.offset[X], scale, shift, y + t.offset[OUT]);
            continue;
        }
        for (int64_t r = 0; r < t.rows; r++)
            run_row(&t, step->act, x + t.offset[X] + r * t.row_stride[X],
                    scale + r * t.row_stride[FACTOR], shift + r * t.row_stride[SHIFT],
                    y + t.offset[OUT] + r * t.row_stride[OUT]);
    }
    return HSCHED_OK;
}

static int scale_supports(const hsched_step *step)
{
    if (!hsi_is_float(&step->in[0]) || !hsi_is_float(&step->out) || step->out.rank < 2)
        return 0;
    for (uint32_t k = 1; k <= 2; k++) {
        const hsched_operand *in = &step->in[k];
        if (!hsi_is_float(in) || in->constant == NULL || in->rank != 1 ||
            in->dims[0] != step->out.dims[1])
            return 0;
    }
    return 1;
}

static void scale_destroy(void *state)
{
    scale_state *s = state;
    if (s != NULL)
        hsi_free(s->owned);
    hsi_free(s);
}

/* Points the state at the constants, or at a dense copy of them. */
static hsched_status keep_constants(const hsi_cpu_prepare_context *context,
                                    const hsched_step *step, scale_state *s,
                                    uint64_t *bytes)
{
    const float *scale = step->in[1].constant, *shift = step->in[2].constant;
    int64_t channels = step->out.dims[1];
    size_t size;
    if (context->constants_stay && hsi_is_unit(&step->in[1], 0) &&
        hsi_is_unit(&step->in[2], 0)) {
        s->scale = scale;
        s->shift = shift;
        return HSCHED_OK;
    }
    if (!hsi_mul_size((size_t)channels, 2 * sizeof(float), &size) ||
        (s->owned = hsi_alloc_aligned(size + 1)) == NULL) /* + 1: also for no channels */
        return hsi_out_of_memory("the scale and shift of a step");
    for (int64_t c = 0; c < channels; c++) {
        s->owned[c] = scale[c * step->in[1].strides[0]];
        s->owned[channels + c] = shift[c * step->in[2].strides[0]];
    }
    s->scale = s->owned;
    s->shift = s->owned + channels;
    *bytes = size;
    return HSCHED_OK;
}

static hsched_status scale_prepare(const hsi_cpu_prepare_context *context,
                                   hsched_step *step, hsi_cpu_prepared *prepared)
{
    const int64_t by_channel[HSCHED_MAX_DIMS] = { 0, 1 };
    const int64_t *strides[4] = { step->in[0].strides, by_channel, by_channel,
                                  step->out.strides };
    scale_state *s = HSI_NEW(scale_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a scale step");
    hsched_status status = keep_constants(context, step, s, &prepared->weight_bytes);
    if (status != HSCHED_OK) {
        scale_destroy(s);
        return status;
    }
    hsi_loop_init(&s->loop, step->out.rank, step->out.dims, 4, strides);
    hsi_lower_parts(step, (double)s->loop.total * 2 * sizeof(float),
                    (s->loop.total + 63) / 64);
    prepared->state = s;
    return HSCHED_OK;
}

static const hsi_cpu_kernel scale_kernel = {
    .name = "own/scale",
    .kind = HSCHED_STEP_SCALE,
    .library = HSCHED_LIBRARY_OWN,
    .supports = scale_supports,
    .prepare = scale_prepare,
    .destroy = scale_destroy,
    .run = scale_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_scale[] = { &scale_kernel, NULL };
