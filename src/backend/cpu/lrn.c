/*
 * LRN: out[c] = x[c] / (bias + alpha / size * sum of x[j]^2, j in a window of `size`
 * around c)^beta, along dimension 1 of [N,C,...].
 *
 * Positions are rows of C floats: in place where channels are neighbours in memory,
 * gathered into scratch memory otherwise. Scratch: the squares with zeros around them,
 * one row of sums, and for strided tensors the row itself.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"

/* Windows up to this size are summed directly (vectors of channels), larger ones by
 * differences of prefix sums in double. */
#define DIRECT_WINDOW 32

typedef struct lrn_state {
    hsi_loop positions; /* over all dimensions but 1: x, out */
    int64_t channels, x_stride, y_stride;
    int64_t before, after; /* neighbours in the window, clipped to what can exist */
    float factor;          /* alpha / size */
    float beta, bias;
    size_t squares_size, sums_size, row_size; /* bytes of the pieces of scratch memory */
} lrn_state;

/* sums[c] = bias + factor * (squares[c] + ... + squares[c + window - 1]) */
HSI_ISA_INLINE void lrn_sums_body(const float *restrict x, float *restrict squares,
                                  float *restrict sums, int64_t n, int64_t before,
                                  int64_t window, float factor, float bias)
{
    float *middle = squares + before;
    for (int64_t c = 0; c < n; c++)
        middle[c] = x[c] * x[c];
    if (window == 5) {
        for (int64_t c = 0; c < n; c++)
            sums[c] = bias + factor * (((squares[c] + squares[c + 1]) +
                                        (squares[c + 2] + squares[c + 3])) +
                                       squares[c + 4]);
        return;
    }
    for (int64_t c = 0; c < n; c++)
        sums[c] = squares[c];
    for (int64_t k = 1; k < window; k++)
        for (int64_t c = 0; c < n; c++)
            sums[c] += squares[c + k];
    for (int64_t c = 0; c < n; c++)
        sums[c] = bias + factor * sums[c];
}
HSI_ISA_DISPATCH(lrn_sums,
                 (const float *restrict x, float *restrict squares, float *restrict sums,
                  int64_t n, int64_t before, int64_t window, float factor, float bias),
                 (x, squares, sums, n, before, window, factor, bias))

/* The same for wide windows; prefix[c] is the sum of all squares before c, and 0
 * throughout if there are infinities or NaNs, which must not reach windows that they do
 * not lie in. */
static double window_sum(const float *x, const double *prefix, int64_t first, int64_t end,
                         int finite)
{
    double sum = prefix[end] - prefix[first];
    for (int64_t c = first; c < end && !finite; c++)
        sum += (double)x[c] * x[c];
    return sum;
}

static void lrn_sums_wide(const float *x, double *prefix, float *sums, const lrn_state *s)
{
    prefix[0] = 0;
    for (int64_t c = 0; c < s->channels; c++)
        prefix[c + 1] = prefix[c] + (double)x[c] * x[c];
    int finite = isfinite(prefix[s->channels]);
    if (!finite)
        memset(prefix, 0, (size_t)(s->channels + 1) * sizeof *prefix);
    for (int64_t c = 0; c < s->channels; c++) {
        int64_t first = c > s->before ? c - s->before : 0;
        int64_t end = s->channels - c > s->after ? c + s->after + 1 : s->channels;
        sums[c] =
            (float)(s->bias + s->factor * window_sum(x, prefix, first, end, finite));
    }
}

/* y = x / sums^0.75 */
HSI_ISA_INLINE void lrn_three_quarters_body(const float *x, const float *sums, float *y,
                                            int64_t n)
{
    _Pragma("GCC ivdep") for (int64_t c = 0; c < n; c++)
    {
        float root = __builtin_sqrtf(sums[c]);
        y[c] = x[c] / (root * __builtin_sqrtf(root));
    }
}
HSI_ISA_DISPATCH(lrn_three_quarters,
                 (const float *x, const float *sums, float *y, int64_t n),
                 (x, sums, y, n))

static void lrn_row(const lrn_state *s, const float *x, float *y, char *scratch)
{
    float *sums = (float *)(scratch + s->squares_size);
    int64_t window = s->before + 1 + s->after;
    if (window <= DIRECT_WINDOW)
        lrn_sums(x, (float *)scratch, sums, s->channels, s->before, window, s->factor,
                 s->bias);
    else
        lrn_sums_wide(x, (double *)scratch, sums, s);
    if (s->beta == 0.75f) {
        lrn_three_quarters(x, sums, y, s->channels);
        return;
    }
    for (int64_t c = 0; c < s->channels; c++)
        y[c] = x[c] * powf(sums[c], -s->beta);
}

static hsched_status lrn_run(const hsched_step *step, const void *state, void *slot_state,
                             void *const *operands, uint32_t part, void *scratch)
{
    const lrn_state *s = state;
    const float *x = operands[0];
    float *y = operands[1],
          *row = (float *)((char *)scratch + s->squares_size + s->sums_size);
    int64_t begin, end;
    hsi_cursor cursor;
    hsi_tile t;
    (void)slot_state;
    memset(scratch, 0, s->squares_size); /* the zeros around the squares */
    hsi_part_range(s->positions.total, part, step->parts, &begin, &end);
    hsi_cursor_begin(&cursor, &s->positions, begin, end);
    while (hsi_cursor_next(&cursor, &t)) {
        for (int64_t i = 0; i < t.rows * t.cols; i++) {
            int64_t r = i / t.cols, c = i % t.cols;
            const float *from =
                x + t.offset[0] + r * t.row_stride[0] + c * t.col_stride[0];
            float *to = y + t.offset[1] + r * t.row_stride[1] + c * t.col_stride[1];
            if (s->row_size == 0) {
                lrn_row(s, from, to, scratch);
                continue;
            }
            for (int64_t k = 0; k < s->channels; k++)
                row[k] = from[k * s->x_stride];
            lrn_row(s, row, row, scratch);
            hsi_scatter(row, to, s->y_stride, s->channels);
        }
    }
    return HSCHED_OK;
}

static int lrn_supports(const hsched_step *step)
{
    return hsi_is_float(&step->in[0]) && hsi_is_float(&step->out) &&
           step->out.rank >= 2 && step->act.kind == HSCHED_ACTIVATION_NONE &&
           step->u.lrn.size >= 1;
}

static size_t round_up_64(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

static hsched_status lrn_prepare(const hsi_cpu_prepare_context *context,
                                 hsched_step *step, hsi_cpu_prepared *prepared)
{
    const int64_t *strides[2] = { step->in[0].strides, step->out.strides };
    int64_t dims[HSCHED_MAX_DIMS],
        most = step->out.dims[1] > 0 ? step->out.dims[1] - 1 : 0;
    int64_t before = (step->u.lrn.size - 1) / 2, after = step->u.lrn.size / 2;
    (void)context;
    lrn_state *s = HSI_NEW(lrn_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of an LRN step");
    for (uint32_t d = 0; d < step->out.rank; d++)
        dims[d] = d == 1 ? 1 : step->out.dims[d];
    hsi_loop_init(&s->positions, step->out.rank, dims, 2, strides);
    s->channels = step->out.dims[1];
    s->x_stride = step->in[0].strides[1];
    s->y_stride = step->out.strides[1];
    s->before = before < most ? before : most;
    s->after = after < most ? after : most;
    s->factor = step->u.lrn.alpha / (float)step->u.lrn.size;
    s->beta = step->u.lrn.beta;
    s->bias = step->u.lrn.bias;
    size_t n = (size_t)s->channels;
    if (s->before + 1 + s->after <= DIRECT_WINDOW)
        s->squares_size = round_up_64((n + DIRECT_WINDOW) * sizeof(float));
    else
        s->squares_size = round_up_64((n + 1) * sizeof(double));
    s->sums_size = round_up_64(n * sizeof(float));
    s->row_size =
        hsi_is_unit(&step->in[0], 1) && hsi_is_unit(&step->out, 1) ? 0 : s->sums_size;
    prepared->scratch_size = s->squares_size + s->sums_size + s->row_size;
    prepared->state = s;
    hsi_lower_parts(step, 2.0 * sizeof(float) * (double)s->positions.total * (double)n,
                    s->positions.total);
    return HSCHED_OK;
}

static const hsi_cpu_kernel lrn_kernel = {
    .name = "own/lrn",
    .kind = HSCHED_STEP_LRN,
    .library = HSCHED_LIBRARY_OWN,
    .supports = lrn_supports,
    .prepare = lrn_prepare,
    .destroy = hsi_free,
    .run = lrn_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_lrn[] = { &lrn_kernel, NULL };
