/*
 * RECURRENT: one sequence, one direction, one step, one hidden value at a time. States are
 * kept in the output, rounded to float: hidden states where they belong, the cell state in its
 * row, and in the row of the last hidden state, until that is known, what a GRU's reset gate
 * has left of the hidden state.
 */
#include "backend/ref/ref.h"

#include <math.h>

typedef struct sequence {
    const hsched_step *step;
    const float *x, *weights, *recurrent, *bias;
    float *out;
    int64_t steps, inputs, hidden, gates, direction, n;
    const float *before; /* the hidden state before a step; NULL: zeros */
    int64_t before_stride;
} sequence;

static double clipped(const sequence *s, double v)
{
    const double clip = s->step->u.recurrent.clip;
    return clip > 0 ? fmax(-clip, fmin(clip, v)) : v;
}

static double act(const sequence *s, int which, double v)
{
    return hsi_ref_activate(s->step->u.recurrent.activations[s->direction][which], v);
}

static int64_t at3(const hsched_operand *op, int64_t a, int64_t b, int64_t c)
{
    return a * op->strides[0] + b * op->strides[1] + c * op->strides[2];
}

static float *state(const sequence *s, int64_t row, int64_t j)
{
    const int64_t *strides = s->step->out.strides;
    return s->out + row * strides[0] + s->direction * strides[1] + s->n * strides[2] +
           j * strides[3];
}

static double bias(const sequence *s, int64_t row)
{
    return s->bias ? s->bias[s->direction * s->step->in[3].strides[0] +
                             row * s->step->in[3].strides[1]]
                   : 0;
}

/* Row `gate`, j of the input product at time t, with its bias. */
static double of_input(const sequence *s, int64_t t, int64_t gate, int64_t j)
{
    const int64_t row = gate * s->hidden + j;
    double sum = bias(s, row);
    for (int64_t i = 0; i < s->inputs; i++)
        sum += (double)s->x[at3(&s->step->in[0], t, s->n, i)] *
               (double)s->weights[at3(&s->step->in[1], s->direction, row, i)];
    return sum;
}

static double before(const sequence *s, int64_t j)
{
    return s->before ? s->before[j * s->before_stride] : 0;
}

/* The same of the hidden state; `reset`: of what the reset gate has left of it. */
static double of_hidden(const sequence *s, int reset, int64_t gate, int64_t j)
{
    const int64_t row = gate * s->hidden + j;
    double sum = bias(s, s->gates * s->hidden + row);
    for (int64_t i = 0; i < s->hidden; i++)
        sum += (reset ? (double)*state(s, s->steps, i) : before(s, i)) *
               (double)s->recurrent[at3(&s->step->in[2], s->direction, row, i)];
    return sum;
}

static double gate(const sequence *s, int64_t t, int64_t g, int64_t j)
{
    return clipped(s, of_input(s, t, g, j) + of_hidden(s, 0, g, j));
}

static void lstm(const sequence *s, int64_t t)
{
    for (int64_t j = 0; j < s->hidden; j++) {
        float *cell = state(s, s->steps + 1, j);
        double in = act(s, 0, gate(s, t, 0, j)), out = act(s, 0, gate(s, t, 1, j));
        double forget =
            s->step->u.recurrent.input_forget ? 1 - in : act(s, 0, gate(s, t, 2, j));
        double c = forget * (double)*cell + in * act(s, 1, gate(s, t, 3, j));
        *cell = (float)c;
        *state(s, t, j) = (float)(out * act(s, 2, c));
    }
}

static void gru(const sequence *s, int64_t t)
{
    const int after = s->step->u.recurrent.linear_before_reset;
    for (int64_t j = 0; j < s->hidden; j++)
        *state(s, s->steps, j) = (float)(act(s, 0, gate(s, t, 1, j)) * before(s, j));
    for (int64_t j = 0; j < s->hidden; j++) {
        double update = act(s, 0, gate(s, t, 0, j));
        double of_h = after ? act(s, 0, gate(s, t, 1, j)) * of_hidden(s, 0, 2, j)
                            : of_hidden(s, 1, 2, j);
        double candidate = act(s, 1, clipped(s, of_input(s, t, 2, j) + of_h));
        *state(s, t, j) = (float)((1 - update) * candidate + update * before(s, j));
    }
}

static void run_sequence(sequence *s, int64_t length, int reverse)
{
    const hsched_recurrent_kind kind = s->step->u.recurrent.kind;
    for (int64_t k = 0; k < length; k++) {
        int64_t t = reverse ? length - 1 - k : k;
        if (kind == HSCHED_RECURRENT_LSTM)
            lstm(s, t);
        else if (kind == HSCHED_RECURRENT_GRU)
            gru(s, t);
        else
            for (int64_t j = 0; j < s->hidden; j++)
                *state(s, t, j) = (float)act(s, 0, gate(s, t, 0, j));
        s->before = state(s, t, 0);
        s->before_stride = s->step->out.strides[3];
    }
    for (int64_t j = 0; j < s->hidden; j++) {
        *state(s, s->steps, j) = (float)before(s, j);
        for (int64_t t = length; t < s->steps; t++)
            *state(s, t, j) = 0;
    }
}

void hsi_ref_recurrent(const hsched_step *step, const void *const *inputs, void *out)
{
    const int64_t steps = step->in[0].dims[0], hidden = step->out.dims[3];
    const float *h = inputs[5], *c = inputs[6];
    const int32_t *lengths = inputs[4];
    sequence s = { .step = step,
                   .x = inputs[0],
                   .weights = inputs[1],
                   .recurrent = inputs[2],
                   .bias = inputs[3],
                   .out = out,
                   .steps = steps,
                   .inputs = step->in[0].dims[2],
                   .hidden = hidden,
                   .gates = step->in[1].dims[1] / hidden };
    for (s.direction = 0; s.direction < step->out.dims[1]; s.direction++)
        for (s.n = 0; s.n < step->out.dims[2]; s.n++) {
            int64_t length = lengths ? lengths[s.n * step->in[4].strides[0]] : steps;
            length = length < 0 ? 0 : length > steps ? steps : length;
            s.before = h ? h + at3(&step->in[5], s.direction, s.n, 0) : NULL;
            s.before_stride = step->in[5].strides[2];
            int is_lstm = step->u.recurrent.kind == HSCHED_RECURRENT_LSTM;
            for (int64_t j = 0; is_lstm && j < hidden; j++)
                *state(&s, steps + 1, j) =
                    c ? c[at3(&step->in[6], s.direction, s.n, j)] : 0;
            run_sequence(&s, length,
                         s.direction == 1 ||
                             step->u.recurrent.direction == HSCHED_RECURRENT_REVERSE);
        }
}
