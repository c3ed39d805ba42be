/*
 * POOL_INDEX: row by row of the output, tap by tap: all windows of a stretch of the row look at
 * one element each, where they have it.
 */
#include <string.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/ref/ref.h"

#define STRETCH 128

typedef struct row {
    float largest[STRETCH];
    int32_t best[STRETCH]; /* within an image's channel; -1: nothing seen yet */
} row;

/* x: the element of window `first`, `stride` apart; its number, `number` apart. */
HSI_ISA_INLINE void look_some(const float *x, int64_t stride, int32_t number,
                              int32_t numbers, row *r, int64_t first, int64_t end)
{
    for (int64_t k = first; k < end; k++) {
        const float v = x[(k - first) * stride], old = r->largest[k];
        const int take = (r->best[k] < 0) | (v > old) | ((v != v) & (old == old));
        r->largest[k] = take ? v : old;
        r->best[k] = take ? number + (int32_t)(k - first) * numbers : r->best[k];
    }
}

HSI_ISA_INLINE void look_body(const float *x, int64_t stride, int32_t number,
                              int32_t numbers, row *r, int64_t first, int64_t end)
{
    if (stride == 1)
        look_some(x, 1, number, numbers, r, first, end);
    else
        look_some(x, stride, number, numbers, r, first, end);
}
HSI_ISA_DISPATCH(look,
                 (const float *x, int64_t stride, int32_t number, int32_t numbers, row *r,
                  int64_t first, int64_t end),
                 (x, stride, number, numbers, r, first, end))

/* What the numbers of neighbours along the dimensions differ by. */
static void find_numbers(const hsched_step *step, int64_t numbers[3])
{
    const hsched_operand *x = &step->in[0];
    const uint32_t spatial = x->rank - 2;
    int64_t all = 1;
    for (uint32_t i = 0; i < spatial; i++) {
        const uint32_t d = step->u.pool_index.column_major ? i : spatial - 1 - i;
        numbers[d] = all;
        all *= x->dims[2 + d];
    }
}

/* One tap of the windows [begin, end) of a row; `tap` is that of the last dimension, x and number
 * are those of the row that the tap is in. */
static void look_at_tap(const hsched_step *step, const float *x, int64_t number,
                        int64_t numbers, int64_t tap, int64_t begin, int64_t end, row *r)
{
    const uint32_t last = step->in[0].rank - 3;
    const int64_t stride = step->u.pool_index.strides[last],
                  x_stride = step->in[0].strides[2 + last];
    const int64_t offset =
        tap * step->u.pool_index.dilations[last] - step->u.pool_index.before[last];
    const int64_t room =
        step->in[0].dims[2 + last] - 1 - offset; /* for window * stride */
    int64_t first = offset < 0 ? (-offset + stride - 1) / stride : 0;
    int64_t behind = room < 0 ? 0 : room / stride + 1;
    first = first < begin ? begin : first;
    behind = behind > end ? end : behind;
    if (first >= behind)
        return;
    const int64_t at = first * stride + offset;
    look(x + at * x_stride, stride * x_stride, (int32_t)(number + at * numbers),
         (int32_t)(stride * numbers), r, first - begin, behind - begin);
}

/* All taps; `out` is the row's index, without the last dimension. */
static void find_row(const hsched_step *step, const float *x, const int64_t *out,
                     const int64_t numbers[3], int64_t begin, int64_t end, row *r)
{
    const uint32_t last = step->in[0].rank - 3;
    const int64_t *kernel = step->u.pool_index.kernel;
    int64_t tap[3] = { 0 };
    for (int64_t k = 0; k < end - begin; k++)
        r->best[k] = -1;
    do {
        int64_t from = 0, number = 0;
        int inside = 1;
        for (uint32_t d = 0; d < last; d++) {
            const int64_t at = out[d] * step->u.pool_index.strides[d] -
                               step->u.pool_index.before[d] +
                               tap[d] * step->u.pool_index.dilations[d];
            inside &= at >= 0 && at < step->in[0].dims[2 + d];
            from += at * step->in[0].strides[2 + d];
            number += at * numbers[d];
        }
        for (int64_t t = 0; inside && t < kernel[last]; t++)
            look_at_tap(step, x + from, number, numbers[last], t, begin, end, r);
    } while (hsi_ref_next(last, kernel, tap));
}

static hsched_status pool_index_run(const hsched_step *step, const void *state,
                                    void *slot_state, void *const *operands,
                                    uint32_t part, void *scratch)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    const uint32_t last = y->rank - 1;
    int64_t numbers[3], begin, end, size = 1, rows = 1;
    (void)state;
    (void)slot_state;
    (void)scratch;
    find_numbers(step, numbers);
    for (uint32_t d = 0; d < last; d++)
        rows *= y->dims[d];
    for (uint32_t d = 2; d <= last; d++)
        size *= x->dims[d];
    hsi_part_range(rows, part, step->parts, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t at[HSCHED_MAX_DIMS] = { 0 }, rest = unit;
        for (uint32_t d = last; d-- > 0; rest /= y->dims[d])
            at[d] = rest % y->dims[d];
        const float *image =
            (const float *)operands[0] + at[0] * x->strides[0] + at[1] * x->strides[1];
        const int64_t base = (at[0] * x->dims[1] + at[1]) * size;
        int64_t *to = (int64_t *)operands[1] + hsi_ref_offset(y, at);
        for (int64_t from = 0; from < y->dims[last]; from += STRETCH) {
            const int64_t count =
                y->dims[last] - from < STRETCH ? y->dims[last] - from : STRETCH;
            row r;
            find_row(step, image, at + 2, numbers, from, from + count, &r);
            for (int64_t k = 0; k < count; k++)
                to[(from + k) * y->strides[last]] = r.best[k] < 0 ? -1 : base + r.best[k];
        }
    }
    return HSCHED_OK;
}

/* The numbers of an image's channel are in 32 bits. */
static int pool_index_supports(const hsched_step *step)
{
    int64_t size = 1;
    if (hsi_ref_fault(step) != NULL)
        return 0;
    for (uint32_t d = 2; d < step->in[0].rank; d++)
        if (__builtin_mul_overflow(size, step->in[0].dims[d], &size) || size > INT32_MAX)
            return 0;
    return 1;
}

static hsched_status pool_index_prepare(const hsi_cpu_prepare_context *context,
                                        hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *y = &step->out;
    double taps = 1;
    int64_t rows = 1;
    (void)context;
    (void)prepared;
    for (uint32_t d = 0; d + 1 < y->rank; d++)
        rows *= y->dims[d];
    for (uint32_t d = 0; d + 2 < y->rank; d++)
        taps *= (double)step->u.pool_index.kernel[d];
    hsi_lower_parts(step, taps * sizeof(float) * hsi_operand_count(y), rows);
    return HSCHED_OK;
}

static const hsi_cpu_kernel pool_index_kernel = {
    .name = "own/pool_index",
    .kind = HSCHED_STEP_POOL_INDEX,
    .library = HSCHED_LIBRARY_OWN,
    .supports = pool_index_supports,
    .prepare = pool_index_prepare,
    .run = pool_index_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_pool_index[] = { &pool_index_kernel, NULL };
