/*
 * RESIZE of one or two dimensions, A before B. An output row (all of B, of one index in every
 * other dimension) is made in two passes: the rows of x that A's taps name are blended into
 * one in scratch, and elements of that row into those of the output. Where another dimension
 * is innermost on both sides (channels-last), "elements" are rows along it.
 *
 * Which elements, with what weights, is in tables made in prepare.
 */
#include <string.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/resize.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

typedef struct table {
    int64_t size, taps;
    int64_t *index; /* [size][taps], times x's stride */
    float *weight;
    unsigned char *outside;
    int any_outside;
} table;

typedef struct resize_state {
    hsi_loop rows; /* over what is neither B nor inner: A's place; x, only but for A; y */
    table a, b;    /* a.size == 0: B alone is resized */
    int64_t a_stride;       /* units of `rows` per index of A */
    int64_t b_in, b_x, b_y; /* B's size in x and its strides */
    int64_t inner;          /* contiguous elements that belong together */
    size_t element;         /* bytes */
    int copies;             /* nearest */
    int doubles;            /* each float along B becomes two, both sides contiguous */
} resize_state;

static void free_table(table *t)
{
    hsi_free(t->index);
    hsi_free(t->weight);
    hsi_free(t->outside);
}

static void resize_destroy(void *pointer)
{
    resize_state *s = pointer;
    free_table(&s->a);
    free_table(&s->b);
    hsi_free(s);
}

static int make_table(const hsched_step *step, uint32_t axis, int64_t stride, table *t)
{
    t->size = step->out.dims[axis];
    for (int64_t i = 0; i < t->size; i++) {
        const int64_t taps = hsi_resize_at(step, axis, i).taps;
        t->taps = taps > t->taps ? taps : t->taps;
    }
    const size_t count = (size_t)t->size * (size_t)t->taps;
    t->index = HSI_NEW_ARRAY(int64_t, count);
    t->weight = HSI_NEW_ARRAY(float, count);
    t->outside = HSI_NEW_ARRAY(unsigned char, (size_t)t->size);
    if (t->index == NULL || t->weight == NULL || t->outside == NULL)
        return 0;
    for (int64_t i = 0; i < t->size; i++) {
        const hsi_resize_place p = hsi_resize_at(step, axis, i);
        t->outside[i] = p.outside != 0;
        t->any_outside |= p.outside != 0;
        for (int64_t k = 0; k < p.taps; k++) {
            t->index[i * t->taps + k] = hsi_resize_index(step, axis, &p, k) * stride;
            t->weight[i * t->taps + k] = hsi_resize_weight(step, axis, &p, k);
        }
    }
    return 1;
}

/* ---- Rows of floats ------------------------------------------------------- */

/* y = a * wa + b * wb, and that added to y. */
HSI_ISA_INLINE void blend2_body(const float *restrict a, const float *restrict b,
                                float wa, float wb, float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * wa + b[i] * wb;
}
HSI_ISA_DISPATCH(blend2,
                 (const float *restrict a, const float *restrict b, float wa, float wb,
                  float *restrict y, int64_t n),
                 (a, b, wa, wb, y, n))

HSI_ISA_INLINE void blend_body(const float *const *taps, const float *weights,
                               int64_t count, float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = taps[0][i] * weights[0];
    for (int64_t k = 1; k < count; k++) {
        const float *x = taps[k];
        for (int64_t i = 0; i < n; i++)
            y[i] += x[i] * weights[k];
    }
}
HSI_ISA_DISPATCH(blend,
                 (const float *const *taps, const float *weights, int64_t count,
                  float *restrict y, int64_t n),
                 (taps, weights, count, y, n))

/* Elements that are rows of `n` neighbours. */
HSI_ISA_INLINE void pixels2_body(const table *t, const float *x, float *y,
                                 int64_t y_stride, int64_t n)
{
    if (n == 1) {
        const int64_t *restrict index = t->index;
        const float *restrict weight = t->weight;
        float *restrict to = y;
        for (int64_t o = 0; o < t->size; o++)
            to[o * y_stride] =
                x[index[2 * o]] * weight[2 * o] + x[index[2 * o + 1]] * weight[2 * o + 1];
        return;
    }
    for (int64_t o = 0; o < t->size; o++) {
        const float *restrict a = x + t->index[2 * o], *restrict b =
                                                           x + t->index[2 * o + 1];
        const float wa = t->weight[2 * o], wb = t->weight[2 * o + 1];
        float *restrict to = y + o * y_stride;
        for (int64_t i = 0; i < n; i++)
            to[i] = a[i] * wa + b[i] * wb;
    }
}
HSI_ISA_DISPATCH(pixels2,
                 (const table *t, const float *x, float *y, int64_t y_stride, int64_t n),
                 (t, x, y, y_stride, n))

HSI_ISA_INLINE void pixels_body(const table *t, const float *x, float *y,
                                int64_t y_stride, int64_t n)
{
    for (int64_t o = 0; o < t->size; o++) {
        const int64_t *index = t->index + o * t->taps;
        const float *weight = t->weight + o * t->taps;
        float *restrict to = y + o * y_stride;
        for (int64_t i = 0; i < n; i++) {
            float sum = 0;
            for (int64_t k = 0; k < t->taps; k++)
                sum += x[index[k] + i] * weight[k];
            to[i] = sum;
        }
    }
}
HSI_ISA_DISPATCH(pixels,
                 (const table *t, const float *x, float *y, int64_t y_stride, int64_t n),
                 (t, x, y, y_stride, n))

/* ---- Runs ----------------------------------------------------------------- */

/* Rows of x blended over A's taps; dense in `row`. */
static void blend_rows(const resize_state *s, const float *x, int64_t at, float *row)
{
    const int64_t *index = s->a.index + at * s->a.taps;
    const float *weight = s->a.weight + at * s->a.taps;
    const int dense = s->b_x == s->inner;
    const int64_t n = dense ? s->b_in * s->inner : s->inner;
    for (int64_t b = 0; b < (dense ? 1 : s->b_in); b++) {
        const float *from = x + b * s->b_x;
        float *to = row + b * s->inner;
        if (s->a.taps == 2) {
            blend2(from + index[0], from + index[1], weight[0], weight[1], to, n);
            continue;
        }
        for (int64_t k = 0; k < s->a.taps; k += 8) { /* a few taps at a time */
            const float *taps[9];
            float weights[9];
            int64_t count = 0;
            for (int64_t j = k; j < s->a.taps && j < k + 8; j++, count++) {
                taps[count] = from + index[j];
                weights[count] = weight[j];
            }
            if (k == 0) {
                blend(taps, weights, count, to, n);
                continue;
            }
            for (int64_t j = 0; j < count; j++)
                for (int64_t i = 0; i < n; i++)
                    to[i] += taps[j][i] * weights[j];
        }
    }
}

static void interpolate_row(const hsched_step *step, const resize_state *s,
                            const float *x, float *y, int64_t at, float *row)
{
    const float value = step->u.resize.extrapolation_value;
    if (s->a.size > 0 && s->a.outside[at]) {
        for (int64_t b = 0; b < s->b.size; b++)
            for (int64_t i = 0; i < s->inner; i++)
                y[b * s->b_y + i] = value;
        return;
    }
    if (s->a.size > 0) {
        blend_rows(s, x, at, row);
        x = row;
    }
    if (s->b.taps == 2)
        pixels2(&s->b, x, y, s->b_y, s->inner);
    else
        pixels(&s->b, x, y, s->b_y, s->inner);
    for (int64_t b = 0; s->b.any_outside && b < s->b.size; b++)
        for (int64_t i = 0; s->b.outside[b] && i < s->inner; i++)
            y[b * s->b_y + i] = value;
}

/* Each of n floats twice. */
HSI_ISA_INLINE void double_row_body(const float *restrict x, float *restrict y, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n;
         i += 8) /* rows are short: small vectors, and few of them are left */
        for (int k = 0; k < 8; k++)
            y[2 * (i + k)] = y[2 * (i + k) + 1] = x[i + k];
    for (; i < n; i++)
        y[2 * i] = y[2 * i + 1] = x[i];
}
HSI_ISA_DISPATCH(double_row, (const float *restrict x, float *restrict y, int64_t n),
                 (x, y, n))

static int doubles_b(const resize_state *s)
{
    if (!s->copies || s->element != sizeof(float) || s->inner != 1 || s->b_x != 1 ||
        s->b_y != 1 || s->b.size != 2 * s->b_in)
        return 0;
    for (int64_t b = 0; b < s->b.size; b++)
        if (s->b.index[b] != b / 2)
            return 0;
    return 1;
}

#define COPY_ROW(type)                                                                   \
    for (int64_t b = 0; b < s->b.size; b++)                                              \
    ((type *)y)[b * s->b_y] = ((const type *)x)[s->b.index[b]]

static void copy_row(const hsched_step *step, const resize_state *s, const char *x,
                     char *y, int64_t at)
{
    const int64_t size = (int64_t)s->element;
    if (s->a.size > 0)
        x += s->a.index[at] * size;
    if (s->inner > 1)
        for (int64_t b = 0; b < s->b.size; b++)
            memcpy(y + b * s->b_y * size, x + s->b.index[b] * size,
                   (size_t)(s->inner * size));
    else if (s->doubles)
        double_row((const float *)(const void *)x, (float *)(void *)y, s->b_in);
    else if (size == 4)
        COPY_ROW(uint32_t);
    else if (size == 1)
        COPY_ROW(uint8_t);
    else if (size == 2)
        COPY_ROW(uint16_t);
    else
        COPY_ROW(uint64_t);
    if (step->u.resize.coordinates != HSCHED_RESIZE_CROP)
        return;
    for (int64_t b = 0; b < s->b.size; b++)
        for (int64_t i = 0;
             (s->b.outside[b] || (s->a.size > 0 && s->a.outside[at])) && i < s->inner;
             i++)
            ((float *)(void *)y)[b * s->b_y + i] = step->u.resize.extrapolation_value;
}

static hsched_status resize_run(const hsched_step *step, const void *state,
                                void *slot_state, void *const *operands, uint32_t part,
                                void *scratch)
{
    const resize_state *s = state;
    const char *x = operands[0];
    char *y = operands[1];
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    hsi_loop_part(&s->rows, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->rows, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            for (int64_t c = 0; c < t.cols; c++) {
                const int64_t size = (int64_t)s->element;
                const char *from =
                    x + (t.offset[1] + r * t.row_stride[1] + c * t.col_stride[1]) * size;
                char *to =
                    y + (t.offset[2] + r * t.row_stride[2] + c * t.col_stride[2]) * size;
                const int64_t at =
                    t.offset[0] + r * t.row_stride[0] + c * t.col_stride[0];
                if (s->copies)
                    copy_row(step, s, from, to, at);
                else
                    interpolate_row(step, s, (const float *)(const void *)from,
                                    (float *)(void *)to, at, scratch);
            }
    return HSCHED_OK;
}

/* ---- Choice --------------------------------------------------------------- */

/* The dimensions that are resized, at most two; 0 if there are more, or none. */
static uint32_t find_axes(const hsched_step *step, uint32_t axes[2])
{
    uint32_t count = 0;
    for (uint32_t d = 0; d < step->out.rank; d++)
        if (!hsi_resize_is_identity(step, d)) {
            if (count == 2)
                return 0;
            axes[count++] = d;
        }
    return count;
}

static int resize_supports(const hsched_step *step)
{
    uint32_t axes[2];
    const size_t size = hsched_dtype_size(step->out.dtype);
    return step->in[0].rank == step->out.rank && step->in[0].dtype == step->out.dtype &&
           (size == 1 || size == 2 || size == 4 || size == 8) &&
           step->act.kind == HSCHED_ACTIVATION_NONE && find_axes(step, axes) > 0;
}

/* The dimension along which both sides are contiguous, or rank. */
static uint32_t inner_dimension(const hsched_step *step, const uint32_t *axes,
                                uint32_t count)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    for (uint32_t d = 0; d < y->rank; d++)
        if (y->dims[d] > 1 && x->strides[d] == 1 && y->strides[d] == 1 && d != axes[0] &&
            d != axes[count - 1])
            return d;
    return y->rank;
}

static hsched_status resize_prepare(const hsi_cpu_prepare_context *context,
                                    hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    uint32_t axes[2];
    const uint32_t count = find_axes(step, axes), b = axes[count - 1];
    const uint32_t inner = inner_dimension(step, axes, count);
    int64_t dims[HSCHED_MAX_DIMS], from[HSCHED_MAX_DIMS], at[HSCHED_MAX_DIMS] = { 0 };
    (void)context;
    resize_state *s = HSI_NEW(resize_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a resizing");
    for (uint32_t d = 0; d < y->rank; d++) {
        dims[d] = d == b || d == inner ? 1 : y->dims[d];
        from[d] = count == 2 && d == axes[0] ? 0 : x->strides[d];
        at[d] = count == 2 && d == axes[0];
    }
    /* The output last: its rows are made in the order of memory. */
    const int64_t *strides[3] = { at, from, y->strides };
    hsi_loop_init(&s->rows, y->rank, dims, 3, strides);
    s->copies = step->u.resize.mode == HSCHED_RESIZE_NEAREST;
    s->element = hsched_dtype_size(y->dtype);
    s->inner = inner < y->rank ? y->dims[inner] : 1;
    s->b_in = x->dims[b];
    s->b_x = x->strides[b];
    s->b_y = y->strides[b];
    /* Blended rows are dense. */
    const int64_t b_stride = count == 2 && !s->copies ? s->inner : s->b_x;
    size_t scratch = 0;
    if (!make_table(step, b, b_stride, &s->b) ||
        (count == 2 && !make_table(step, axes[0], x->strides[axes[0]], &s->a)) ||
        !hsi_mul_size((size_t)s->b_in, (size_t)s->inner * sizeof(float), &scratch)) {
        resize_destroy(s);
        return hsi_out_of_memory("the tables of a resizing");
    }
    s->doubles = doubles_b(s);
    prepared->scratch_size = count == 2 && !s->copies ? scratch : 0;
    prepared->state = s;
    hsi_lower_parts(step, hsi_operand_count(y) * s->element, s->rows.total);
    return HSCHED_OK;
}

static const hsi_cpu_kernel resize_kernel = {
    .name = "own/resize",
    .kind = HSCHED_STEP_RESIZE,
    .library = HSCHED_LIBRARY_OWN,
    .supports = resize_supports,
    .prepare = resize_prepare,
    .destroy = resize_destroy,
    .run = resize_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_resize[] = { &resize_kernel, NULL };
