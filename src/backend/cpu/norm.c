/* NORM by rows, and the choice between this and the other way (norm.h). */
#include "backend/cpu/norm.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "backend/cpu/isa.h"

#define LANES 64

/* ---- Statistics ----------------------------------------------------------- */

/* n <= HSI_BLOCK neighbours: their mean, or 0 if `rms`, and the sum of squares about it. */
HSI_ISA_INLINE hsi_norm_sum block_inline(const float *x, int64_t n, int rms)
{
    float lane[LANES] = { 0 }, square[LANES] = { 0 };
    const double part = 1 / (double)n;
    double total = 0, squares = 0;
    float about = 0;
    int64_t i = 0;
    if (!rms) {
        for (; i + LANES <= n; i += LANES)
            for (int k = 0; k < LANES; k++)
                lane[k] += x[i + k];
        for (int k = 0; i < n; i++, k++)
            lane[k] += x[i];
        /* Next to the mean: what it lacks shows in the sum of the differences. */
        about = (float)((double)hsi_isa_sum(lane, LANES) * part);
    }
    for (int k = 0; k < LANES; k++)
        lane[k] = 0;
    for (i = 0; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            const float d = x[i + k] - about;
            lane[k] += d;
            square[k] += d * d;
        }
    for (int k = 0; i < n; i++, k++) {
        const float d = x[i] - about;
        lane[k] += d;
        square[k] += d * d;
    }
    squares = (double)hsi_isa_sum(square, LANES);
    if (rms)
        return (hsi_norm_sum){ (double)n, 0, squares };
    total = (double)hsi_isa_sum(lane, LANES);
    return (hsi_norm_sum){ (double)n, (double)about + total * part,
                           squares - total * total * part };
}

HSI_ISA_INLINE void add_row_body(const float *x, int64_t n, int rms, hsi_norm_sum *sum)
{
    for (int64_t i = 0; i < n; i += HSI_BLOCK) {
        const hsi_norm_sum block =
            block_inline(x + i, n - i < HSI_BLOCK ? n - i : HSI_BLOCK, rms);
        hsi_norm_join(sum, block.count, block.mean, block.squares);
    }
}
HSI_ISA_DISPATCH(add_row, (const float *x, int64_t n, int rms, hsi_norm_sum *sum),
                 (x, n, rms, sum))

static void add_run(const hsi_norm *s, const float *x, int64_t stride, int64_t n,
                    hsi_norm_sum *sum)
{
    float buffer[HSI_BLOCK];
    if (stride == 1) {
        add_row(x, n, s->rms, sum);
        return;
    }
    for (int64_t i = 0; i < n; i += HSI_BLOCK) {
        const int64_t count = n - i < HSI_BLOCK ? n - i : HSI_BLOCK;
        add_row(hsi_gather(x + i * stride, stride, count, buffer), count, s->rms, sum);
    }
}

static hsi_norm_sum sum_of(const hsi_norm *s, const float *x)
{
    hsi_norm_sum sum = { 0 };
    hsi_cursor cursor;
    hsi_tile t;
    hsi_cursor_begin(&cursor, &s->read, 0, s->read.total);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++)
            add_run(s, x + t.offset[0] + r * t.row_stride[0], t.col_stride[0], t.cols,
                    &sum);
    return sum;
}

/* Adds up x - mean, or its square, over a column. */
static double sum_column(const hsi_norm *s, const float *x, double mean, int squared)
{
    double sum = 0;
    hsi_cursor cursor;
    hsi_tile t;
    hsi_cursor_begin(&cursor, &s->read, 0, s->read.total);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++) {
            const float *row = x + t.offset[0] + r * t.row_stride[0];
            for (int64_t c = 0; c < t.cols; c++) {
                const double d = (double)row[c * t.col_stride[0]] - mean;
                sum += squared ? d * d : d;
            }
        }
    return sum;
}

hsi_norm_sum hsi_norm_sum_slowly(const hsi_norm *s, const float *x, int64_t members,
                                 double count)
{
    hsi_norm_sum sum = { count, 0, 0 };
    for (int64_t k = 0; k < members && !s->rms; k++)
        sum.mean += sum_column(s, x + k, 0, 0);
    sum.mean /= count;
    for (int64_t k = 0; k < members; k++)
        sum.squares += sum_column(s, x + k, sum.mean, 1);
    return sum;
}

/* ---- Applying them -------------------------------------------------------- */

/* Strides of scale and bias are 0 or 1. */
HSI_ISA_INLINE void apply_body(hsi_norm_map m, const float *restrict x,
                               const float *restrict scale, int64_t scale_stride,
                               const float *restrict bias, int64_t bias_stride,
                               float *restrict y, int64_t n)
{
    if (scale_stride && bias_stride) {
        for (int64_t i = 0; i < n; i++)
            y[i] = ((x[i] - m.mean) * m.inverse + m.rest) * scale[i] + bias[i];
        return;
    }
    if (scale_stride) {
        const float add = *bias;
        for (int64_t i = 0; i < n; i++)
            y[i] = ((x[i] - m.mean) * m.inverse + m.rest) * scale[i] + add;
        return;
    }
    const float factor = m.inverse * *scale, rest = m.rest * *scale;
    if (bias_stride) {
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - m.mean) * factor + rest + bias[i];
        return;
    }
    const float add = rest + *bias;
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - m.mean) * factor + add;
}
HSI_ISA_DISPATCH(apply,
                 (hsi_norm_map m, const float *restrict x, const float *restrict scale,
                  int64_t scale_stride, const float *restrict bias, int64_t bias_stride,
                  float *restrict y, int64_t n),
                 (m, x, scale, scale_stride, bias, bias_stride, y, n))

/* Rows of neighbours, x_pitch and y_pitch apart, each a group; scale and bias are the same for
 * all. */
HSI_ISA_INLINE void plain_rows_body(const hsi_norm *s, const float *x, int64_t x_pitch,
                                    const float *scale, int64_t scale_stride,
                                    const float *bias, int64_t bias_stride, float *y,
                                    int64_t y_pitch, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, x += x_pitch, y += y_pitch) {
        hsi_norm_sum sum = { 0 };
        if (n <= HSI_BLOCK)
            sum = block_inline(x, n, s->rms);
        else
            add_row_body(x, n, s->rms, &sum);
        const hsi_norm_map map = hsi_norm_make_map(s, sum, x, 1);
        apply_body(map, x, scale, scale_stride, bias, bias_stride, y, n);
    }
}
HSI_ISA_DISPATCH(plain_rows,
                 (const hsi_norm *s, const float *x, int64_t x_pitch, const float *scale,
                  int64_t scale_stride, const float *bias, int64_t bias_stride, float *y,
                  int64_t y_pitch, int64_t rows, int64_t n),
                 (s, x, x_pitch, scale, scale_stride, bias, bias_stride, y, y_pitch, rows,
                  n))

static const float *parameters(const float *p, int64_t *stride, int64_t n, float *buffer)
{
    if (*stride == 0)
        return p;
    p = hsi_gather(p, *stride, n, buffer);
    *stride = 1;
    return p;
}

/* The row of a tile whose first elements are at[k]. */
static void apply_run(const hsi_norm *s, hsi_norm_map m, const float *const *at, float *y,
                      const int64_t *stride, int64_t n)
{
    float buffers[4][HSI_BLOCK];
    for (int64_t i = 0; i < n; i += HSI_BLOCK) {
        const int64_t count = n - i < HSI_BLOCK ? n - i : HSI_BLOCK;
        int64_t of_scale = stride[HSI_NORM_SCALE], of_bias = stride[HSI_NORM_BIAS];
        const float *x = hsi_gather(at[HSI_NORM_X] + i * stride[HSI_NORM_X],
                                    stride[HSI_NORM_X], count, buffers[0]);
        const float *scale =
            parameters(at[HSI_NORM_SCALE] + i * of_scale, &of_scale, count, buffers[1]);
        const float *bias =
            parameters(at[HSI_NORM_BIAS] + i * of_bias, &of_bias, count, buffers[2]);
        float *to = y + i * stride[HSI_NORM_Y];
        float *made = stride[HSI_NORM_Y] == 1 ? to : buffers[3];
        apply(m, x, scale, of_scale, bias, of_bias, made, count);
        if (s->act.kind != HSCHED_ACTIVATION_NONE)
            hsi_cpu_activate(s->act, made, (size_t)count);
        if (made != to)
            hsi_scatter(made, to, stride[HSI_NORM_Y], count);
    }
}

/* One group; operand k begins at at[k], y being the last. */
static void run_group(const hsi_norm *s, const float *const *at, float *y)
{
    hsi_cursor cursor;
    hsi_tile t;
    const hsi_norm_map m =
        hsi_norm_make_map(s, sum_of(s, at[HSI_NORM_X]), at[HSI_NORM_X], 1);
    hsi_cursor_begin(&cursor, &s->inside, 0, s->inside.total);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++) {
            const float *row[3];
            for (int k = 0; k < 3; k++)
                row[k] = at[k] + t.offset[k] + r * t.row_stride[k];
            apply_run(s, m, row, y + t.offset[HSI_NORM_Y] + r * t.row_stride[HSI_NORM_Y],
                      t.col_stride, t.cols);
        }
}

/* A row of a tile of groups. */
static void run_groups(const hsi_norm *s, const float *const *at, float *y,
                       const int64_t *pitch, int64_t groups)
{
    if (s->plain && pitch[HSI_NORM_SCALE] == 0 && pitch[HSI_NORM_BIAS] == 0) {
        plain_rows(s, at[HSI_NORM_X], pitch[HSI_NORM_X], at[HSI_NORM_SCALE],
                   hsi_loop_inner(&s->inside, HSI_NORM_SCALE), at[HSI_NORM_BIAS],
                   hsi_loop_inner(&s->inside, HSI_NORM_BIAS), y, pitch[HSI_NORM_Y],
                   groups, s->inside.total);
        return;
    }
    for (int64_t c = 0; c < groups; c++) {
        const float *group[3];
        for (int k = 0; k < 3; k++)
            group[k] = at[k] + c * pitch[k];
        run_group(s, group, y + c * pitch[HSI_NORM_Y]);
    }
}

static void run_rows(const hsi_norm *s, const float *const *operands, float *y,
                     int64_t begin, int64_t end)
{
    hsi_cursor cursor;
    hsi_tile t;
    hsi_cursor_begin(&cursor, &s->kept, begin, end);
    while (hsi_cursor_next(&cursor, &t))
        for (int64_t r = 0; r < t.rows; r++) {
            const float *at[3];
            for (int k = 0; k < 3; k++)
                at[k] = operands[k] + t.offset[k] + r * t.row_stride[k];
            run_groups(s, at, y + t.offset[HSI_NORM_Y] + r * t.row_stride[HSI_NORM_Y],
                       t.col_stride, t.cols);
        }
}

/* ---- The kernel ----------------------------------------------------------- */

static hsched_status norm_run(const hsched_step *step, const void *state,
                              void *slot_state, void *const *operands, uint32_t part,
                              void *scratch)
{
    static const float one = 1, zero = 0;
    const hsi_norm *s = state;
    const float *in[3] = { operands[0], &one, &zero };
    float *y = operands[step->input_count];
    int64_t begin, end;
    (void)slot_state;
    (void)scratch;
    for (uint32_t i = 1; i < step->input_count; i++)
        if (operands[i] != NULL)
            in[i] = operands[i];
    hsi_part_range(s->units, part, step->parts, &begin, &end);
    if (s->across)
        hsi_norm_run_across(s, in[0], in[1], in[2], y, begin, end);
    else
        run_rows(s, in, y, begin, end);
    return HSCHED_OK;
}

/* Loops over groups, and over what is in one. `channels`: over columns of channels instead, the
 * axis being left out of both. */
static void make_loops(hsi_norm *s, const hsched_step *step, int channels)
{
    const uint32_t axis = step->u.norm.axis, rank = step->out.rank;
    const int64_t groups = step->u.norm.groups, members = step->out.dims[axis] / groups;
    int64_t kept[HSCHED_MAX_DIMS], inside[HSCHED_MAX_DIMS], strides[4][HSCHED_MAX_DIMS],
        of_groups[4][HSCHED_MAX_DIMS];
    memset(strides, 0, sizeof strides);
    for (uint32_t k = 0; k < 4; k++) {
        const hsched_operand *op = k == HSI_NORM_Y ? &step->out : &step->in[k];
        if (k == HSI_NORM_Y || (k < step->input_count && op->dtype != HSCHED_DTYPE_NONE))
            memcpy(strides[k], op->strides, sizeof strides[k]);
        memcpy(of_groups[k], strides[k], sizeof of_groups[k]);
        of_groups[k][axis] *= members;
    }
    for (uint32_t d = 0; d < rank; d++) {
        kept[d] = d < axis ? step->out.dims[d] : d == axis && !channels ? groups : 1;
        inside[d] = d < axis ? 1 : d > axis ? step->out.dims[d] : channels ? 1 : members;
    }
    hsi_loop_init(&s->kept, rank, kept, 4,
                  (const int64_t *const[]){ of_groups[0], of_groups[1], of_groups[2],
                                            of_groups[3] });
    hsi_loop_init(
        &s->inside, rank, inside, 4,
        (const int64_t *const[]){ strides[0], strides[1], strides[2], strides[3] });
    hsi_loop_init(&s->read, rank, inside, 1, (const int64_t *const[]){ strides[0] });
}

/* Groups side by side become the columns. */
static void take_columns(hsi_norm *s)
{
    const uint32_t inner = s->kept.rank - 1;
    s->columns = s->kept.dims[inner];
    s->members = 1;
    s->scale_stride = s->kept.strides[HSI_NORM_SCALE][inner];
    s->bias_stride = s->kept.strides[HSI_NORM_BIAS][inner];
    s->kept.total /= s->columns;
    s->kept.dims[inner] = 1; /* its strides are never walked */
}

static int is_zero_or_one(int64_t stride)
{
    return stride == 0 || stride == 1;
}

static int is_folded(const hsi_norm *s)
{
    for (uint32_t d = 0; d < s->inside.rank; d++)
        if (s->inside.dims[d] > 1 && (s->inside.strides[HSI_NORM_SCALE][d] != 0 ||
                                      s->inside.strides[HSI_NORM_BIAS][d] != 0))
            return 0;
    return 1;
}

static int is_plain(const hsi_norm *s)
{
    return s->inside.rank == 1 && hsi_loop_inner(&s->inside, HSI_NORM_X) == 1 &&
           hsi_loop_inner(&s->inside, HSI_NORM_Y) == 1 &&
           is_zero_or_one(hsi_loop_inner(&s->inside, HSI_NORM_SCALE)) &&
           is_zero_or_one(hsi_loop_inner(&s->inside, HSI_NORM_BIAS)) &&
           s->act.kind == HSCHED_ACTIVATION_NONE;
}

static void choose(hsi_norm *s, const hsched_step *step)
{
    const uint32_t axis = step->u.norm.axis;
    const int64_t columns = step->out.dims[axis];
    make_loops(s, step, 0);
    s->units = s->kept.total;
    s->plain = is_plain(s);
    if (s->read.rank == 1 && hsi_loop_inner(&s->read, 0) == 1)
        return;
    if (s->kept.dims[s->kept.rank - 1] > 1 && hsi_loop_inner(&s->kept, HSI_NORM_X) == 1 &&
        hsi_loop_inner(&s->kept, HSI_NORM_Y) == 1) {
        take_columns(s);
    } else if (columns > 1 && step->in[0].strides[axis] == 1 &&
               step->out.strides[axis] == 1) {
        make_loops(s, step, 1);
        s->columns = columns;
        s->members = columns / step->u.norm.groups;
        s->scale_stride = s->bias_stride = 0;
        if (step->input_count > 1 && step->in[1].dtype != HSCHED_DTYPE_NONE)
            s->scale_stride = step->in[1].strides[axis];
        if (step->input_count > 2 && step->in[2].dtype != HSCHED_DTYPE_NONE)
            s->bias_stride = step->in[2].strides[axis];
    } else {
        return;
    }
    s->across = is_zero_or_one(s->scale_stride) && is_zero_or_one(s->bias_stride);
    if (!s->across) {
        make_loops(s, step, 0);
        return;
    }
    s->folded = is_folded(s);
    const int64_t groups = s->columns / s->members;
    s->groups_each = s->members < HSI_NORM_ACROSS ? HSI_NORM_ACROSS / s->members : 1;
    s->units = s->kept.total * ((groups + s->groups_each - 1) / s->groups_each);
}

static int norm_supports(const hsched_step *step)
{
    return hsi_is_float(&step->in[0]) && hsi_is_float(&step->out) &&
           step->u.norm.axis < step->out.rank;
}

static hsched_status norm_prepare(const hsi_cpu_prepare_context *context,
                                  hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    hsi_norm *s = HSI_NEW(hsi_norm);
    if (s == NULL)
        return hsi_out_of_memory("the plan of a norm step");
    s->epsilon = (double)step->u.norm.epsilon;
    s->rms = step->u.norm.rms != 0;
    s->act = step->act;
    choose(s, step);
    prepared->state = s;
    hsi_lower_parts(step, 2.0 * sizeof(float) * hsi_operand_count(&step->out), s->units);
    return HSCHED_OK;
}

static const hsi_cpu_kernel norm_kernel = {
    .name = "own/norm",
    .kind = HSCHED_STEP_NORM,
    .library = HSCHED_LIBRARY_OWN,
    .supports = norm_supports,
    .prepare = norm_prepare,
    .destroy = hsi_free,
    .run = norm_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_norm[] = { &norm_kernel,
                                                       &hsi_cpu_kernel_norm_double,
                                                       NULL };
