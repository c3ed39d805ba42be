/*
 * GRID_SAMPLE: for a block of points, where their taps lie and what they weigh is found once,
 * for all channels. Then either every point is a sum of pixels, where channels are innermost on
 * both sides, or channels are gathered point by point, some at a time.
 */
#include <string.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "backend/cpu/loop.h"
#include "backend/grid.h"
#include "backend/ref/ref.h"
#include "base/alloc.h"
#include "base/status.h"

#define MOST_TAPS   1024 /* of all points of a block */
#define MOST_POINTS 128
#define ALL_TAPS    (HSI_GRID_TAPS * HSI_GRID_TAPS * HSI_GRID_TAPS) /* of a point */
#define TOGETHER    4 /* channels that share the look at a point's taps */

typedef struct grid_state {
    int64_t points, block, blocks; /* of an image; points in a block */
    int64_t taps;                  /* of a point */
    int pixels;                    /* channels are innermost */
} grid_state;

typedef struct grid_block {
    int64_t whole, count;     /* the first points have no tap of weight 0; of all */
    int32_t index[MOST_TAPS]; /* [point][tap], elements from the image's start */
    float weight[MOST_TAPS];
    int64_t to[MOST_POINTS]; /* where the points lie in the output */
} grid_block;

/* ---- Some channels at all points ------------------------------------------ */

HSI_ISA_INLINE void gather_points(const grid_block *b, int64_t first, int64_t end,
                                  int taps, int checks, int channels, const float *x,
                                  int64_t x_channel, float *y, int64_t y_channel)
{
    for (int64_t p = first; p < end; p++) {
        const int32_t *index = b->index + p * taps;
        const float *weight = b->weight + p * taps;
        float sums[TOGETHER] = { 0 };
        for (int k = 0; k < taps; k++) {
            if (checks && weight[k] == 0)
                continue;
            for (int c = 0; c < channels; c++)
                sums[c] += weight[k] * x[index[k] + c * x_channel];
        }
        for (int c = 0; c < channels; c++)
            y[b->to[p] + c * y_channel] = sums[c];
    }
}

HSI_ISA_INLINE void gather_some(const grid_block *b, int taps, int64_t channels,
                                const float *x, int64_t x_channel, float *y,
                                int64_t y_channel)
{
    int64_t c = 0;
    for (; c + TOGETHER <= channels; c += TOGETHER) {
        const float *from = x + c * x_channel;
        float *to = y + c * y_channel;
        gather_points(b, 0, b->whole, taps, 0, TOGETHER, from, x_channel, to, y_channel);
        gather_points(b, b->whole, b->count, taps, 1, TOGETHER, from, x_channel, to,
                      y_channel);
    }
    for (; c < channels; c++)
        gather_points(b, 0, b->count, taps, 1, 1, x + c * x_channel, x_channel,
                      y + c * y_channel, y_channel);
}

HSI_ISA_INLINE void write_channels_body(const hsched_step *step, const grid_state *s,
                                        const grid_block *b, const float *x, float *y)
{
    const int64_t channels = step->out.dims[1], x_channel = step->in[0].strides[1],
                  y_channel = step->out.strides[1];
    if (s->taps == 1) /* their number is known to the compiler where that is worth it */
        gather_some(b, 1, channels, x, x_channel, y, y_channel);
    else if (s->taps == 4)
        gather_some(b, 4, channels, x, x_channel, y, y_channel);
    else
        gather_some(b, (int)s->taps, channels, x, x_channel, y, y_channel);
}
HSI_ISA_DISPATCH(write_channels,
                 (const hsched_step *step, const grid_state *s, const grid_block *b,
                  const float *x, float *y),
                 (step, s, b, x, y))

/* ---- One point of all channels -------------------------------------------- */

HSI_ISA_INLINE void pixel_body(const float *const *taps, const float *weights,
                               int64_t count, float *restrict y, int64_t n)
{
    if (count == 4) {
        const float *restrict a = taps[0], *restrict b = taps[1], *restrict c = taps[2],
                              *restrict d = taps[3];
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i] * weights[0] + b[i] * weights[1] + c[i] * weights[2] +
                   d[i] * weights[3];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = count > 0 ? taps[0][i] * weights[0] : 0;
    for (int64_t k = 1; k < count; k++) {
        const float *x = taps[k], w = weights[k];
        for (int64_t i = 0; i < n; i++)
            y[i] += x[i] * w;
    }
}
HSI_ISA_DISPATCH(pixel,
                 (const float *const *taps, const float *weights, int64_t count,
                  float *restrict y, int64_t n),
                 (taps, weights, count, y, n))

static void write_pixels(const hsched_step *step, const grid_state *s,
                         const grid_block *b, const float *x, float *y)
{
    for (int64_t p = 0; p < b->count; p++) {
        const float *taps[ALL_TAPS];
        float weights[ALL_TAPS];
        int64_t count = 0;
        for (int64_t k = 0; k < s->taps; k++) {
            if (b->weight[p * s->taps + k] == 0)
                continue;
            taps[count] = x + b->index[p * s->taps + k];
            weights[count++] = b->weight[p * s->taps + k];
        }
        pixel(taps, weights, count, y + b->to[p], step->out.dims[1]);
    }
}

/* ---- Blocks --------------------------------------------------------------- */

/* The taps of one point; 1 if all of them count. */
HSI_ISA_INLINE int put_taps(const hsi_grid_place *places, const int64_t *strides,
                            uint32_t spatial, int taps, int32_t *index, float *weight)
{
    const hsi_grid_place *rows = &places[spatial - 2], *columns = &places[spatial - 1];
    const int32_t row = (int32_t)strides[spatial - 2],
                  column = (int32_t)strides[spatial - 1];
    int whole = 1, k = 0;
    for (int d = 0; d < (spatial == 3 ? taps : 1); d++) {
        const int32_t plane =
            spatial == 3 ? (int32_t)(places[0].index[d] * strides[0]) : 0;
        const float w = spatial == 3 ? places[0].weight[d] : 1;
        for (int r = 0; r < taps; r++)
            for (int c = 0; c < taps; c++, k++) {
                index[k] = plane + (int32_t)rows->index[r] * row +
                           (int32_t)columns->index[c] * column;
                weight[k] = w * rows->weight[r] * columns->weight[c];
                whole &= weight[k] != 0;
            }
    }
    return whole;
}

/* The points from `first` on of the image whose grid is given: whole ones from the front, the
 * others from the back. */
HSI_ISA_INLINE void fill_some(const hsched_step *step, const grid_state *s,
                              const float *grid, int64_t first, uint32_t spatial,
                              int taps, grid_block *b)
{
    const hsched_operand *g = &step->in[1], *x = &step->in[0], *y = &step->out;
    const hsi_grid_way way = hsi_grid_way_of(step);
    const int all = spatial == 3 ? taps * taps * taps : taps * taps;
    int64_t at[3] = { 0 }, rest = first, back;
    back = b->count = s->points - first < s->block ? s->points - first : s->block;
    b->whole = 0;
    for (uint32_t d = spatial; d-- > 0;) {
        at[d] = rest % y->dims[2 + d];
        rest /= y->dims[2 + d];
    }
    while (b->whole < back) {
        int32_t index[ALL_TAPS];
        float weight[ALL_TAPS];
        hsi_grid_place places[3];
        int64_t from = 0, to = 0;
        for (uint32_t d = 0; d < spatial; d++) {
            from += at[d] * g->strides[1 + d];
            to += at[d] * y->strides[2 + d];
        }
        for (uint32_t d = 0; d < spatial; d++)
            hsi_grid_at(&way, taps,
                        grid[from + (spatial - 1 - d) * g->strides[spatial + 1]],
                        x->dims[2 + d], &places[d]);
        const int whole = put_taps(places, x->strides + 2, spatial, taps, index, weight);
        const int64_t p = whole ? b->whole++ : --back;
        b->to[p] = to;
        memcpy(b->index + p * all, index, (size_t)all * sizeof *index);
        memcpy(b->weight + p * all, weight, (size_t)all * sizeof *weight);
        for (uint32_t d = spatial; d-- > 0;) {
            if (++at[d] < y->dims[2 + d])
                break;
            at[d] = 0;
        }
    }
}

/* Not for better instruction sets: where halves are rounded to depends on every bit. */
__attribute__((optimize("O3"))) static void fill(const hsched_step *step,
                                                 const grid_state *s, const float *grid,
                                                 int64_t first, grid_block *b)
{
    const int taps = hsi_grid_taps(step->u.grid_sample.mode);
    if (step->out.rank == 4 && taps == 2)
        fill_some(step, s, grid, first, 2, 2, b);
    else if (step->out.rank == 4 && taps == 1)
        fill_some(step, s, grid, first, 2, 1, b);
    else if (step->out.rank == 4)
        fill_some(step, s, grid, first, 2, 4, b);
    else
        fill_some(step, s, grid, first, 3, taps, b);
}

static hsched_status grid_run(const hsched_step *step, const void *state,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch)
{
    const grid_state *s = state;
    const float *x = operands[0], *grid = operands[1];
    float *y = operands[2];
    grid_block *b = scratch;
    int64_t begin, end;
    (void)slot_state;
    hsi_part_range(step->out.dims[0] * s->blocks, part, step->parts, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t n = unit / s->blocks, first = unit % s->blocks * s->block;
        const float *image = x + n * step->in[0].strides[0];
        float *to = y + n * step->out.strides[0];
        fill(step, s, grid + n * step->in[1].strides[0], first, b);
        if (s->pixels)
            write_pixels(step, s, b, image, to);
        else
            write_channels(step, s, b, image, to);
    }
    return HSCHED_OK;
}

/* What is addressed must fit into the table's numbers. */
static int grid_supports(const hsched_step *step)
{
    const hsched_operand *x = &step->in[0];
    int64_t reach = 0;
    if (hsi_ref_fault(step) != NULL)
        return 0;
    for (uint32_t d = 2; d < x->rank; d++) {
        int64_t far;
        if (__builtin_mul_overflow(x->dims[d] - 1, x->strides[d], &far))
            return 0;
        reach = far < 0 ? reach - far : reach + far;
        if (far > INT32_MAX || far < -INT32_MAX || reach > INT32_MAX)
            return 0;
    }
    return 1;
}

static hsched_status grid_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    const hsched_operand *x = &step->in[0], *y = &step->out;
    (void)context;
    grid_state *s = HSI_NEW(grid_state);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a grid sampling");
    s->points = s->taps = 1;
    for (uint32_t d = y->rank; d-- > 2;) {
        s->points *= y->dims[d];
        s->taps *= hsi_grid_taps(step->u.grid_sample.mode);
    }
    s->block = MOST_TAPS / s->taps < MOST_POINTS ? MOST_TAPS / s->taps : MOST_POINTS;
    s->blocks = (s->points + s->block - 1) / s->block;
    s->pixels = x->strides[1] == 1 && y->strides[1] == 1 && y->dims[1] > 1;
    prepared->state = s;
    prepared->scratch_size = (sizeof(grid_block) + 63) / 64 * 64;
    hsi_lower_parts(step, hsi_operand_count(y) * (double)s->taps * sizeof(float),
                    y->dims[0] * s->blocks);
    return HSCHED_OK;
}

static const hsi_cpu_kernel grid_kernel = {
    .name = "own/grid_sample",
    .kind = HSCHED_STEP_GRID_SAMPLE,
    .library = HSCHED_LIBRARY_OWN,
    .supports = grid_supports,
    .prepare = grid_prepare,
    .destroy = hsi_free,
    .run = grid_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_grid_sample[] = { &grid_kernel, NULL };
