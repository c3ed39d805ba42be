/*
 * PAD: out's element i is in[0]'s i - before, or, outside of it, a constant, the nearest
 * element (edge) or the mirrored one (reflect: the edge itself is not repeated). Any
 * strides.
 *
 * Output rows (the innermost dimension in memory) are written one by one: filled, or
 * copied between what lies before and after. Dimensions are merged first where that keeps
 * the rule the same.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

typedef struct pad_dim {
    int64_t out, in, before;
    int64_t x_stride, y_stride;
} pad_dim;

typedef struct pad_state {
    uint32_t rank; /* at least 1 */
    pad_dim dims[HSCHED_MAX_DIMS];
    int64_t rows; /* product of all dims but the last */
    hsched_pad_mode mode;
    size_t size;   /* of an element */
    char value[8]; /* one, for CONSTANT */
} pad_state;

/* The input position for output position i, or -1 for the constant. */
static int64_t source(const pad_dim *dim, hsched_pad_mode mode, int64_t i)
{
    int64_t k = i - dim->before, last = dim->in - 1;
    if (k >= 0 && k <= last)
        return k;
    if (mode == HSCHED_PAD_MODE_CONSTANT)
        return -1;
    if (mode == HSCHED_PAD_MODE_EDGE)
        return k < 0 ? 0 : last;
    if (last == 0)
        return 0;
    k %= 2 * last;
    if (k < 0)
        k += 2 * last;
    return k <= last ? k : 2 * last - k;
}

/* Where reflection begins, for positions before the input or behind it: i's is that less i; -1 if
 * some would be reflected more than once. */
static inline int64_t mirror_of(const pad_dim *dim, int64_t begin, int64_t end)
{
    const int64_t last = dim->in - 1;
    const int64_t mirror = dim->before + (begin < dim->before ? 0 : 2 * last);
    return mirror - begin <= last && mirror - (end - 1) >= 0 ? mirror : -1;
}

/* For elements of each size: rows that are filled, and rows of x with what is around them. */
#define PAD_ROWS(type)                                                                   \
    static void fill_##type(const pad_dim *dim, const void *value, void *row,            \
                            int64_t begin, int64_t end)                                  \
    {                                                                                    \
        type *y = row, v;                                                                \
        memcpy(&v, value, sizeof v);                                                     \
        for (int64_t i = begin; i < end; i++)                                            \
            y[i * dim->y_stride] = v;                                                    \
    }                                                                                    \
                                                                                         \
    /* Positions [begin, end) of an output row that do not lie inside the input's. */    \
    static void border_##type(const pad_dim *dim, const pad_state *s, const void *from,  \
                              void *row, int64_t begin, int64_t end)                     \
    {                                                                                    \
        const type *x = from;                                                            \
        type *y = row;                                                                   \
        if (s->mode != HSCHED_PAD_MODE_REFLECT) {                                        \
            const int64_t k = source(dim, s->mode, begin);                               \
            fill_##type(dim, k < 0 ? (const void *)s->value : &x[k * dim->x_stride], y,  \
                        begin, end);                                                     \
            return;                                                                      \
        }                                                                                \
        const int64_t mirror = begin < end ? mirror_of(dim, begin, end) : 0;             \
        for (int64_t i = begin; i < end && mirror >= 0; i++)                             \
            y[i * dim->y_stride] = x[(mirror - i) * dim->x_stride];                      \
        for (int64_t i = begin; i < end && mirror < 0; i++)                              \
            y[i * dim->y_stride] = x[source(dim, s->mode, i) * dim->x_stride];           \
    }                                                                                    \
                                                                                         \
    static void row_##type(const pad_dim *dim, const pad_state *s, const void *from,     \
                           void *row)                                                    \
    {                                                                                    \
        const type *x = from;                                                            \
        int64_t begin = dim->before < dim->out ? dim->before : dim->out;                 \
        int64_t end = dim->out - begin < dim->in ? dim->out : begin + dim->in;           \
        type *to = (type *)row + begin * dim->y_stride;                                  \
        border_##type(dim, s, x, row, 0, begin);                                         \
        if (dim->x_stride == 1 && dim->y_stride == 1)                                    \
            memcpy(to, x, (size_t)(end - begin) * sizeof *to);                           \
        else                                                                             \
            for (int64_t i = 0; i < end - begin; i++)                                    \
                to[i * dim->y_stride] = x[i * dim->x_stride];                            \
        border_##type(dim, s, x, row, end, dim->out);                                    \
    }

PAD_ROWS(uint8_t)
PAD_ROWS(uint16_t)
PAD_ROWS(uint32_t)
PAD_ROWS(uint64_t)

typedef struct pad_rows {
    void (*fill)(const pad_dim *dim, const void *value, void *row, int64_t begin,
                 int64_t end);
    void (*row)(const pad_dim *dim, const pad_state *s, const void *from, void *row);
} pad_rows;

static const pad_rows rows_by_size[] = { [1] = { fill_uint8_t, row_uint8_t },
                                         [2] = { fill_uint16_t, row_uint16_t },
                                         [4] = { fill_uint32_t, row_uint32_t },
                                         [8] = { fill_uint64_t, row_uint64_t } };

/* The place of a row in all dimensions but the last, and that of the next one. */
static void first_row(const pad_state *s, int64_t row, int64_t *index)
{
    for (uint32_t d = s->rank - 1; d-- > 0 && s->rows > 0; row /= s->dims[d].out)
        index[d] = row % s->dims[d].out;
}

static void next_row(const pad_state *s, int64_t *index)
{
    for (uint32_t d = s->rank - 1; d-- > 0; index[d] = 0)
        if (++index[d] < s->dims[d].out)
            return;
}

static hsched_status pad_run(const hsched_step *step, const void *state, void *slot_state,
                             void *const *operands, uint32_t part, void *scratch)
{
    const pad_state *s = state;
    const pad_dim *inner = &s->dims[s->rank - 1];
    const pad_rows *rows = &rows_by_size[s->size];
    int64_t begin, end, index[HSCHED_MAX_DIMS];
    (void)slot_state;
    (void)scratch;
    hsi_part_range(s->rows, part, step->parts, &begin, &end);
    first_row(s, begin, index);
    for (int64_t row = begin; row < end; row++, next_row(s, index)) {
        int64_t x_offset = 0, y_offset = 0;
        int outside = 0;
        for (uint32_t d = 0; d + 1 < s->rank; d++) {
            const pad_dim *dim = &s->dims[d];
            const int64_t k = source(dim, s->mode, index[d]);
            outside |= k < 0;
            x_offset += k * dim->x_stride;
            y_offset += index[d] * dim->y_stride;
        }
        char *y = (char *)operands[1] + y_offset * (int64_t)s->size;
        const char *x = (const char *)operands[0] + x_offset * (int64_t)s->size;
        if (outside)
            rows->fill(inner, s->value, y, 0, inner->out);
        else
            rows->row(inner, s, x, y);
    }
    return HSCHED_OK;
}

static int pad_supports(const hsched_step *step)
{
    const hsched_operand *in = &step->in[0], *out = &step->out;
    if (in->dtype != out->dtype || in->rank != out->rank ||
        step->act.kind != HSCHED_ACTIVATION_NONE ||
        step->u.pad.mode < HSCHED_PAD_MODE_CONSTANT ||
        step->u.pad.mode > HSCHED_PAD_MODE_EDGE)
        return 0;
    for (uint32_t d = 0; d < in->rank; d++)
        if (in->dims[d] == 0 && step->u.pad.mode != HSCHED_PAD_MODE_CONSTANT)
            return 0; /* nothing to repeat */
    return 1;
}

/* 1 if positions of `outer` and `inner` together follow one rule: the inner one is not
 * padded (so that a position outside is a whole row of it), and repeats nothing. */
static int can_merge(const hsched_step *step, const pad_dim *outer, const pad_dim *inner)
{
    if (inner->before != 0 || inner->in != inner->out)
        return 0;
    if (step->u.pad.mode != HSCHED_PAD_MODE_CONSTANT &&
        (outer->before != 0 || outer->in != outer->out))
        return 0;
    return outer->x_stride == inner->x_stride * inner->in &&
           outer->y_stride == inner->y_stride * inner->out;
}

static void collect_dims(const hsched_step *step, pad_state *s)
{
    const hsched_operand *in = &step->in[0], *out = &step->out;
    pad_dim sorted[HSCHED_MAX_DIMS];
    uint32_t count = 0;
    for (uint32_t d = 0; d < out->rank;
         d++) { /* outermost in the output's memory first */
        pad_dim dim = { out->dims[d], in->dims[d], step->u.pad.before[d], in->strides[d],
                        out->strides[d] };
        if (dim.out == 1 && dim.in == 1 && dim.before == 0)
            continue;
        uint32_t at = count++;
        for (; at > 0 && sorted[at - 1].y_stride < dim.y_stride; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = dim;
    }
    s->rank = 0;
    for (uint32_t d = 0; d < count; d++) {
        pad_dim *last = s->rank > 0 ? &s->dims[s->rank - 1] : NULL;
        if (last == NULL || !can_merge(step, last, &sorted[d])) {
            s->dims[s->rank++] = sorted[d];
            continue;
        }
        last->out *= sorted[d].out;
        last->in *= sorted[d].in;
        last->before *= sorted[d].in;
        last->x_stride = sorted[d].x_stride;
        last->y_stride = sorted[d].y_stride;
    }
    if (s->rank == 0)
        s->dims[s->rank++] = (pad_dim){ 1, 1, 0, 1, 1 };
    s->rows = 1;
    for (uint32_t d = 0; d + 1 < s->rank; d++)
        s->rows *= s->dims[d].out;
}

static hsched_status pad_prepare(const hsi_cpu_prepare_context *context,
                                 hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    pad_state *s = HSI_NEW(pad_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a pad");
    collect_dims(step, s);
    s->mode = step->u.pad.mode;
    s->size = hsched_dtype_size(step->out.dtype);
    hsi_ref_pad_value(step, s->value);
    prepared->state = s;
    double count = hsi_operand_count(&step->in[0]) + hsi_operand_count(&step->out);
    hsi_lower_parts(step, count * (double)s->size, s->rows);
    return HSCHED_OK;
}

static const hsi_cpu_kernel pad_kernel = {
    .name = "own/pad",
    .kind = HSCHED_STEP_PAD,
    .library = HSCHED_LIBRARY_OWN,
    .supports = pad_supports,
    .prepare = pad_prepare,
    .destroy = hsi_free,
    .run = pad_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_pad[] = { &pad_kernel, NULL };
