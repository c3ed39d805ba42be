/*
 * Recurrent layers. The products of inputs are made for some time steps at once, the
 * recurrent ones step by step and added to them in place; then the gates. Both matrices are
 * packed in panels, so that a product reads them once and in order.
 *
 * A part is one direction, or both, of some of the sequences: it shares nothing with others.
 * In a part, time is counted as its direction sees it: step k of a reversed sequence of
 * length L is row L - 1 - k.
 *
 * Gates of H values take `padded` (a multiple of 16) columns; those in excess have weights
 * and biases of 0, are computed along and never stored.
 */
#include <string.h>

#include "backend/cpu/isa.h"
#include "backend/cpu/kernel.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/tensor.h"

#define PANEL 64
/* Rows of gates between two products of inputs: they stay in the cache. */
#define CHUNK_ROWS 192
/* Sequences that a part of its own is worth. */
#define MIN_PART_ROWS 4
/* What one call of a rows_function is given at most: a panel is read once for all of them. */
#define CALL_ROWS CHUNK_ROWS

typedef void rows_function(const float *const *x, int rows, int64_t depth,
                           const float *panel, int64_t width, float *const *y);

#if HSI_ISA_X86
#define LANES     16
#define ROWS      6
#define ONE_ROW   64
#define MANY_ROWS 64
#define SUFFIX    avx512
#define TARGET    HSI_TARGET_AVX512
#include "backend/cpu/recurrent_rows.h"

#define LANES     8
#define ROWS      4
#define ONE_ROW   64
#define MANY_ROWS 16
#define SUFFIX    avx2
#define TARGET    HSI_TARGET_AVX2
#include "backend/cpu/recurrent_rows.h"
#endif

#define LANES     4
#define ROWS      2
#define ONE_ROW   32
#define MANY_ROWS 16
#define SUFFIX    base
#define TARGET
#include "backend/cpu/recurrent_rows.h"

static rows_function *choose_rows(void)
{
#if HSI_ISA_X86
    hsi_isa isa = hsi_isa_best();
    if (isa == HSI_ISA_AVX512)
        return rows_avx512;
    if (isa == HSI_ISA_AVX2)
        return rows_avx2;
#endif
    return rows_base;
}

typedef struct packed_matrix {
    int64_t depth, columns; /* columns: a multiple of 16 */
    float *data;
} packed_matrix;

typedef struct direction_state {
    packed_matrix input, hidden; /* GRU: `hidden` is of z and r */
    packed_matrix candidate;     /* GRU: the recurrent matrix of h */
    float *bias;           /* [gates * padded], of both products where they are added */
    float *candidate_bias; /* GRU, linear_before_reset: of the recurrent product of h */
} direction_state;

typedef struct recurrent_state {
    int64_t steps, batch, inputs, hidden, padded, gates, directions;
    int64_t groups;                       /* parts of a direction */
    int64_t part_rows;                    /* the most sequences of a part */
    int64_t chunk;                        /* time steps between two products of inputs */
    int split_directions;                 /* a part is of one direction */
    size_t gates_at, h_at, c_at, work_at; /* in scratch, in floats */
    direction_state of[2];
} recurrent_state;

/* ---- Preparation ---------------------------------------------------------- */

static int make_packed(packed_matrix *m, int64_t depth, int64_t columns, uint64_t *bytes)
{
    size_t size;
    m->depth = depth;
    m->columns = columns;
    if (!hsi_mul_size((size_t)depth, (size_t)columns, &size) ||
        !hsi_mul_size(size, sizeof(float), &size))
        return 0;
    m->data = hsi_alloc_aligned(size);
    if (m->data)
        memset(m->data, 0, size);
    *bytes += size;
    return m->data != NULL;
}

/* Rows of `weights` [hidden][depth], the columns of gate `gate`. */
static void pack_gate(const packed_matrix *m, const recurrent_state *state, int64_t gate,
                      const float *weights)
{
    for (int64_t j = 0; j < state->hidden; j++) {
        int64_t column = gate * state->padded + j, first = column / PANEL * PANEL;
        int64_t width = m->columns - first < PANEL ? m->columns - first : PANEL;
        float *to = m->data + first * m->depth + column - first;
        for (int64_t k = 0; k < m->depth; k++)
            to[k * width] = weights[j * m->depth + k];
    }
}

static void pack_bias(const hsched_step *step, const recurrent_state *state,
                      direction_state *d, const float *bias)
{
    const int64_t h = state->hidden, padded = state->padded;
    const int after = step->u.recurrent.kind == HSCHED_RECURRENT_GRU &&
                      step->u.recurrent.linear_before_reset;
    if (!bias)
        return;
    for (int64_t gate = 0; gate < state->gates; gate++)
        for (int64_t j = 0; j < h; j++) {
            float own = bias[gate * h + j], other = bias[(state->gates + gate) * h + j];
            d->bias[gate * padded + j] = after && gate == 2 ? own : own + other;
            if (after && gate == 2)
                d->candidate_bias[j] = other;
        }
}

static hsched_status pack_direction(const hsched_step *step, const recurrent_state *state,
                                    int64_t index, direction_state *d, uint64_t *bytes)
{
    const int gru = step->u.recurrent.kind == HSCHED_RECURRENT_GRU;
    const int64_t h = state->hidden, all = state->gates * state->padded;
    const int64_t beside = gru ? 2 : state->gates; /* gates of `hidden` */
    const float *w = step->in[1].constant, *r = step->in[2].constant,
                *b = step->input_count > 3 ? step->in[3].constant : NULL;
    d->bias = hsi_calloc((size_t)(all + state->padded), sizeof(float));
    if (!d->bias || !make_packed(&d->input, state->inputs, all, bytes) ||
        !make_packed(&d->hidden, h, beside * state->padded, bytes) ||
        (gru && !make_packed(&d->candidate, h, state->padded, bytes)))
        return hsi_out_of_memory("packed weights of a recurrent step");
    d->candidate_bias = d->bias + all;
    w += index * state->gates * h * state->inputs;
    r += index * state->gates * h * h;
    for (int64_t gate = 0; gate < state->gates; gate++) {
        pack_gate(&d->input, state, gate, w + gate * h * state->inputs);
        if (gate < beside)
            pack_gate(&d->hidden, state, gate, r + gate * h * h);
        else
            pack_gate(&d->candidate, state, 0, r + gate * h * h);
    }
    pack_bias(step, state, d, b ? b + index * 2 * state->gates * h : NULL);
    return HSCHED_OK;
}

static void recurrent_destroy(void *pointer)
{
    recurrent_state *state = pointer;
    for (int d = 0; state && d < 2; d++) {
        hsi_free(state->of[d].input.data);
        hsi_free(state->of[d].hidden.data);
        hsi_free(state->of[d].candidate.data);
        hsi_free(state->of[d].bias);
    }
    hsi_free(state);
}

static int is_dense_or_absent(const hsched_operand *operand)
{
    return operand->dtype == HSCHED_DTYPE_NONE ||
           hsi_is_dense(operand->rank, operand->dims, operand->strides);
}

static int recurrent_supports(const hsched_step *step)
{
    for (uint32_t i = 0; i < step->input_count; i++)
        if (!is_dense_or_absent(&step->in[i]) ||
            (i >= 1 && i <= 3 && step->in[i].dtype != HSCHED_DTYPE_NONE &&
             !step->in[i].constant))
            return 0;
    return step->input_count >= 3 && is_dense_or_absent(&step->out) &&
           step->out.dims[3] <= INT32_MAX / 16;
}

/* Parts, chunks of time and where things lie in scratch. */
static int lay_out(hsched_step *step, recurrent_state *state, size_t *scratch)
{
    int64_t worth = state->batch / MIN_PART_ROWS > 1 ? state->batch / MIN_PART_ROWS : 1;
    int64_t parts = hsi_cpu_parts(step, (uint64_t)(state->directions * worth));
    state->split_directions = parts >= state->directions;
    state->groups = state->split_directions ? parts / state->directions : 1;
    step->parts =
        (uint32_t)(state->split_directions ? state->groups * state->directions : 1);
    const int64_t rows = state->part_rows =
        (state->batch + state->groups - 1) / state->groups;
    state->chunk = CHUNK_ROWS / rows > 1 ? CHUNK_ROWS / rows : 1;
    if (state->chunk > state->steps)
        state->chunk = state->steps;
    size_t values, one;
    if (!hsi_mul_size((size_t)rows, (size_t)state->padded, &one) ||
        !hsi_mul_size(one, (size_t)(state->chunk * state->gates), &values))
        return 0;
    state->gates_at = 0;
    state->h_at = values;
    state->c_at = state->h_at + one;
    state->work_at = state->c_at + one;
    return hsi_mul_size(state->work_at + one, sizeof(float), scratch) &&
           hsi_round_up_size(*scratch, 64, scratch);
}

static hsched_status recurrent_prepare(const hsi_cpu_prepare_context *context,
                                       hsched_step *step, hsi_cpu_prepared *prepared)
{
    (void)context;
    recurrent_state *state = HSI_NEW(recurrent_state);
    if (!state)
        return hsi_out_of_memory("a recurrent step");
    state->steps = step->in[0].dims[0];
    state->batch = step->in[0].dims[1];
    state->inputs = step->in[0].dims[2];
    state->directions = step->out.dims[1];
    state->hidden = step->out.dims[3];
    state->padded = (state->hidden + 15) / 16 * 16;
    state->gates = step->in[1].dims[1] / state->hidden;
    hsched_status status = HSCHED_OK;
    if (!lay_out(step, state, &prepared->scratch_size))
        status = hsi_error(HSCHED_ERROR_LIMIT,
                           "the gates of %lld sequences of %lld values overflow; use "
                           "smaller ones",
                           (long long)state->batch, (long long)state->hidden);
    for (int64_t d = 0; d < state->directions && status == HSCHED_OK; d++)
        status = pack_direction(step, state, d, &state->of[d], &prepared->weight_bytes);
    if (status != HSCHED_OK) {
        recurrent_destroy(state);
        return status;
    }
    prepared->state = state;
    return HSCHED_OK;
}

/* ---- Execution ------------------------------------------------------------ */

/* One part, in one direction. */
typedef struct pass {
    const hsched_step *step;
    const recurrent_state *state;
    const direction_state *of;
    int direction, reverse;
    int64_t first, rows; /* its sequences */
    const float *x;
    const int32_t *lengths;
    float *out, *gates, *h, *c, *work;
    rows_function *multiply;
} pass;

static int64_t length_of(const pass *p, int64_t row)
{
    int64_t length = p->lengths ? p->lengths[p->first + row] : p->state->steps;
    return length < 0 ? 0 : length > p->state->steps ? p->state->steps : length;
}

/* The row of time of step k of a sequence; any where there is none. */
static int64_t time_of(const pass *p, int64_t row, int64_t k)
{
    int64_t length = length_of(p, row);
    return p->reverse && k < length ? length - 1 - k : k;
}

static float *out_row(const pass *p, int64_t t, int64_t row)
{
    const recurrent_state *s = p->state;
    return p->out +
           ((t * s->directions + p->direction) * s->batch + p->first + row) * s->hidden;
}

/* y[rows] += x[rows] * m */
static void product(const pass *p, const packed_matrix *m, const float *const *x,
                    float *const *y, int rows)
{
    float *at[CALL_ROWS];
    for (int64_t c = 0; c < m->columns; c += PANEL) {
        for (int r = 0; r < rows; r++)
            at[r] = y[r] + c;
        p->multiply(x, rows, m->depth, m->data + c * m->depth,
                    m->columns - c < PANEL ? m->columns - c : PANEL, at);
    }
}

/* The biases and products of inputs of steps [k, k + count). */
static void input_products(const pass *p, int64_t k, int64_t count)
{
    const recurrent_state *s = p->state;
    const int64_t columns = s->gates * s->padded, total = count * p->rows;
    for (int64_t i = 0; i < total; i += CALL_ROWS) {
        const float *x[CALL_ROWS];
        float *y[CALL_ROWS];
        int rows = (int)(total - i < CALL_ROWS ? total - i : CALL_ROWS);
        for (int r = 0; r < rows; r++) {
            int64_t row = (i + r) % p->rows;
            int64_t t = time_of(p, row, k + (i + r) / p->rows);
            x[r] = p->x + (t * s->batch + p->first + row) * s->inputs;
            y[r] = p->gates + (i + r) * columns;
            memcpy(y[r], p->of->bias, (size_t)columns * sizeof(float));
        }
        product(p, &p->of->input, x, y, rows);
    }
}

/* Adds the product of the rows of `from` [rows][padded] to those of `to`. */
static void hidden_products(const pass *p, const packed_matrix *m, const float *from,
                            float *to, int64_t to_row)
{
    for (int64_t i = 0; i < p->rows; i += CALL_ROWS) {
        const float *x[CALL_ROWS];
        float *y[CALL_ROWS];
        int rows = (int)(p->rows - i < CALL_ROWS ? p->rows - i : CALL_ROWS);
        for (int r = 0; r < rows; r++) {
            x[r] = from + (i + r) * p->state->padded;
            y[r] = to + (i + r) * to_row;
        }
        product(p, m, x, y, rows);
    }
}

static void activate(const pass *p, int which, float *y, int64_t n)
{
    const float clip = p->step->u.recurrent.clip;
    if (clip > 0)
        hsi_cpu_activate(
            (hsched_activation){ .kind = HSCHED_ACTIVATION_CLIP, .a = -clip, .b = clip },
            y, (size_t)n);
    hsi_cpu_activate(p->step->u.recurrent.activations[p->direction][which], y, (size_t)n);
}

HSI_ISA_INLINE void cell_body(float *restrict c, const float *restrict g, int64_t n,
                              int joint)
{
    const float *in = g, *forget = g + 2 * n, *new = g + 3 * n;
    for (int64_t j = 0; j < n; j++)
        c[j] = (joint ? 1.0f - in[j] : forget[j]) * c[j] + in[j] * new[j];
}
HSI_ISA_DISPATCH(cell, (float *restrict c, const float *restrict g, int64_t n, int joint),
                 (c, g, n, joint))

HSI_ISA_INLINE void multiply_body(float *restrict y, const float *restrict a,
                                  const float *restrict b, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        y[j] = a[j] * b[j];
}
HSI_ISA_DISPATCH(multiply,
                 (float *restrict y, const float *restrict a, const float *restrict b,
                  int64_t n),
                 (y, a, b, n))

HSI_ISA_INLINE void add_product_body(float *restrict y, const float *restrict a,
                                     const float *restrict b, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        y[j] += a[j] * b[j];
}
HSI_ISA_DISPATCH(add_product,
                 (float *restrict y, const float *restrict a, const float *restrict b,
                  int64_t n),
                 (y, a, b, n))

HSI_ISA_INLINE void mix_body(float *restrict h, const float *restrict update,
                             const float *restrict candidate, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        h[j] = (1.0f - update[j]) * candidate[j] + update[j] * h[j];
}
HSI_ISA_DISPATCH(mix,
                 (float *restrict h, const float *restrict update,
                  const float *restrict candidate, int64_t n),
                 (h, update, candidate, n))

/* Each takes the sums of one step, [rows][gates][padded], to the new state; a sequence that
 * has ended (alive 0) keeps its own. */
static void lstm_gates(const pass *p, float *gates, int64_t row, int alive)
{
    const int64_t n = p->state->padded;
    float *g = gates + row * 4 * n, *c = p->c + row * n, *h = p->h + row * n;
    if (!alive)
        return;
    activate(p, 0, g, 3 * n);
    activate(p, 1, g + 3 * n, n);
    cell(c, g, n, p->step->u.recurrent.input_forget);
    memcpy(h, c, (size_t)n * sizeof *h);
    hsi_cpu_activate(p->step->u.recurrent.activations[p->direction][2], h, (size_t)n);
    memcpy(g, h, (size_t)n * sizeof *h);
    multiply(h, g, g + n, n);
}

static void gru_gates(const pass *p, float *gates, int64_t k)
{
    const int64_t n = p->state->padded;
    const int after = p->step->u.recurrent.linear_before_reset;
    for (int64_t row = 0; row < p->rows; row++) {
        float *g = gates + row * 3 * n, *work = p->work + row * n;
        activate(p, 0, g, 2 * n);
        if (after)
            memcpy(work, p->of->candidate_bias, (size_t)n * sizeof *work);
        else
            multiply(work, g + n, p->h + row * n, n);
    }
    if (after)
        hidden_products(p, &p->of->candidate, p->h, p->work, n);
    else
        hidden_products(p, &p->of->candidate, p->work, gates + 2 * n, 3 * n);
    for (int64_t row = 0; row < p->rows; row++) {
        float *g = gates + row * 3 * n;
        if (k >= length_of(p, row))
            continue;
        if (after)
            add_product(g + 2 * n, g + n, p->work + row * n, n);
        activate(p, 1, g + 2 * n, n);
        mix(p->h + row * n, g, g + 2 * n, n);
    }
}

static void one_step(const pass *p, int64_t k, float *gates)
{
    const recurrent_state *s = p->state;
    const int64_t n = s->padded, columns = s->gates * n;
    const hsched_recurrent_kind kind = p->step->u.recurrent.kind;
    hidden_products(p, &p->of->hidden, p->h, gates, columns);
    if (kind == HSCHED_RECURRENT_GRU)
        gru_gates(p, gates, k);
    for (int64_t row = 0; row < p->rows; row++) {
        int alive = k < length_of(p, row);
        if (kind == HSCHED_RECURRENT_LSTM) {
            lstm_gates(p, gates, row, alive);
        } else if (kind == HSCHED_RECURRENT_RNN && alive) {
            activate(p, 0, gates + row * n, n);
            memcpy(p->h + row * n, gates + row * n, (size_t)n * sizeof(float));
        }
        float *to = out_row(p, time_of(p, row, k), row);
        if (alive)
            memcpy(to, p->h + row * n, (size_t)s->hidden * sizeof *to);
        else
            memset(to, 0, (size_t)s->hidden * sizeof *to);
    }
}

/* What lies beyond H in a state is not read by products. */
static void load_state(const pass *p, const float *initial, float *to)
{
    const recurrent_state *s = p->state;
    memset(to, 0, (size_t)(p->rows * s->padded) * sizeof *to);
    for (int64_t row = 0; initial && row < p->rows; row++)
        memcpy(to + row * s->padded,
               initial + (p->direction * s->batch + p->first + row) * s->hidden,
               (size_t)s->hidden * sizeof *to);
}

static void run_pass(const pass *p, void *const *operands)
{
    const recurrent_state *s = p->state;
    const uint32_t inputs = p->step->input_count;
    const int lstm = p->step->u.recurrent.kind == HSCHED_RECURRENT_LSTM;
    load_state(p, inputs > 5 ? operands[5] : NULL, p->h);
    load_state(p, lstm && inputs > 6 ? operands[6] : NULL, p->c);
    for (int64_t k = 0; k < s->steps; k += s->chunk) {
        int64_t count = s->steps - k < s->chunk ? s->steps - k : s->chunk;
        input_products(p, k, count);
        for (int64_t i = 0; i < count; i++)
            one_step(p, k + i, p->gates + i * p->rows * s->gates * s->padded);
    }
    for (int64_t row = 0; row < p->rows; row++) {
        size_t size = (size_t)s->hidden * sizeof(float);
        memcpy(out_row(p, s->steps, row), p->h + row * s->padded, size);
        if (lstm)
            memcpy(out_row(p, s->steps + 1, row), p->c + row * s->padded, size);
    }
}

static hsched_status recurrent_run(const hsched_step *step, const void *pointer,
                                   void *slot_state, void *const *operands, uint32_t part,
                                   void *scratch)
{
    (void)slot_state;
    const recurrent_state *state = pointer;
    float *room = scratch;
    uint32_t group = part % (uint32_t)state->groups;
    pass p = { .step = step,
               .state = state,
               .first = hsi_cpu_part_begin(state->batch, group, (uint32_t)state->groups),
               .x = operands[0],
               .lengths = step->input_count > 4 ? operands[4] : NULL,
               .out = operands[step->input_count],
               .gates = room + state->gates_at,
               .h = room + state->h_at,
               .c = room + state->c_at,
               .work = room + state->work_at,
               .multiply = choose_rows() };
    p.rows =
        hsi_cpu_part_begin(state->batch, group + 1, (uint32_t)state->groups) - p.first;
    int begin = state->split_directions ? (int)(part / (uint32_t)state->groups) : 0;
    int end = state->split_directions ? begin + 1 : (int)state->directions;
    for (p.direction = begin; p.direction < end; p.direction++) {
        p.of = &state->of[p.direction];
        p.reverse =
            p.direction == 1 || step->u.recurrent.direction == HSCHED_RECURRENT_REVERSE;
        run_pass(&p, operands);
    }
    return HSCHED_OK;
}

static const hsi_cpu_kernel own_recurrent = {
    .name = "own/recurrent",
    .kind = HSCHED_STEP_RECURRENT,
    .library = HSCHED_LIBRARY_OWN,
    .supports = recurrent_supports,
    .prepare = recurrent_prepare,
    .destroy = recurrent_destroy,
    .run = recurrent_run,
};

const hsi_cpu_kernel *const hsi_cpu_kernels_recurrent[] = { &own_recurrent, NULL };
