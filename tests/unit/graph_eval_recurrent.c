/* Recurrent layers by ONNX's formulas, one sequence after the other, in double. */
#include <math.h>
#include <stdlib.h>

#include "unit/graph_eval_call.h"

typedef struct network {
    const call *c;
    const hsched_recurrent_config *a;
    int64_t steps, sequences, inputs, hidden, directions, gates;
    int64_t d, n;      /* the sequence at hand */
    double *of_input;  /* [gates][hidden]: products, with their biases */
    double *of_hidden; /* the same */
    double *h, *cell;
} network;

static double dot(const float *w, const float *x, const double *h, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += w[i] * (x ? (double)x[i] : h[i]);
    return sum;
}

static double bias(const network *w, int64_t gate, int64_t j)
{
    return w->c->x[3] == NULL
               ? 0
               : (double)w->c->x[3][(w->d * 2 * w->gates + gate) * w->hidden + j];
}

static double product(const network *w, int64_t gate, int64_t j, const double *h)
{
    return dot(w->c->x[2] + ((w->d * w->gates + gate) * w->hidden + j) * w->hidden, NULL,
               h, w->hidden) +
           bias(w, w->gates + gate, j);
}

static double act(const network *w, int which, double x)
{
    if (w->a->clip > 0)
        x = fmin(fmax(x, -(double)w->a->clip), (double)w->a->clip);
    return eval_activation(w->a->activations[w->d][which], x);
}

static double gate(const network *w, int64_t g, int64_t j)
{
    return act(w, 0, w->of_input[g * w->hidden + j] + w->of_hidden[g * w->hidden + j]);
}

static void step_lstm(network *w)
{
    for (int64_t j = 0; j < w->hidden; j++) {
        const double in = gate(w, 0, j), out = gate(w, 1, j),
                     forget = w->a->input_forget ? 1 - in : gate(w, 2, j);
        const double candidate =
            act(w, 1, w->of_input[3 * w->hidden + j] + w->of_hidden[3 * w->hidden + j]);
        w->cell[j] = forget * w->cell[j] + in * candidate;
        w->h[j] = out * eval_activation(w->a->activations[w->d][2], w->cell[j]);
    }
}

/* `cell` is scratch: what the reset gates leave of h. */
static void step_gru(network *w)
{
    for (int64_t j = 0; j < w->hidden; j++)
        w->cell[j] = gate(w, 1, j) * w->h[j];
    if (!w->a->linear_before_reset)
        for (int64_t j = 0; j < w->hidden; j++)
            w->of_hidden[2 * w->hidden + j] = product(w, 2, j, w->cell);
    for (int64_t j = 0; j < w->hidden; j++) {
        const double update = gate(w, 0, j), reset = gate(w, 1, j);
        const double of_hidden =
            w->of_hidden[2 * w->hidden + j] * (w->a->linear_before_reset ? reset : 1);
        const double candidate = act(w, 1, w->of_input[2 * w->hidden + j] + of_hidden);
        w->h[j] = (1 - update) * candidate + update * w->h[j];
    }
}

static void step_at(network *w, int64_t t)
{
    const float *x = w->c->x[0] + (t * w->sequences + w->n) * w->inputs;
    for (int64_t g = 0; g < w->gates; g++)
        for (int64_t j = 0; j < w->hidden; j++) {
            const float *row =
                w->c->x[1] + ((w->d * w->gates + g) * w->hidden + j) * w->inputs;
            w->of_input[g * w->hidden + j] = dot(row, x, NULL, w->inputs) + bias(w, g, j);
            w->of_hidden[g * w->hidden + j] = product(w, g, j, w->h);
        }
    if (w->a->kind == HSCHED_RECURRENT_LSTM)
        step_lstm(w);
    else if (w->a->kind == HSCHED_RECURRENT_GRU)
        step_gru(w);
    else
        for (int64_t j = 0; j < w->hidden; j++)
            w->h[j] = gate(w, 0, j);
}

/* Where the states of the sequence at hand are in row t of y, or in an operand. */
static int64_t states_at(const network *w, int64_t t)
{
    return ((t * w->directions + w->d) * w->sequences + w->n) * w->hidden;
}

static void store(const network *w, int64_t t, const double *states)
{
    for (int64_t j = 0; j < w->hidden; j++)
        w->c->y[states_at(w, t) + j] = states ? (float)states[j] : 0;
}

static void run_sequence(network *w)
{
    const int reverse = w->d == 1 || w->a->direction == HSCHED_RECURRENT_REVERSE;
    int64_t length = w->steps;
    if (w->c->x[4] != NULL)
        length = ((const int32_t *)w->c->x[4])[w->n];
    length = length < 0 ? 0 : length > w->steps ? w->steps : length;
    for (int64_t j = 0; j < w->hidden; j++) {
        w->h[j] = w->c->x[5] ? (double)w->c->x[5][states_at(w, 0) + j] : 0;
        w->cell[j] = w->c->x[6] ? (double)w->c->x[6][states_at(w, 0) + j] : 0;
    }
    for (int64_t t = length; t < w->steps; t++)
        store(w, t, NULL);
    for (int64_t k = 0; k < length; k++) {
        const int64_t t = reverse ? length - 1 - k : k;
        step_at(w, t);
        store(w, t, w->h);
    }
    store(w, w->steps, w->h);
    if (w->a->kind == HSCHED_RECURRENT_LSTM)
        store(w, w->steps + 1, w->cell);
}

int eval_recurrent(const call *c)
{
    const int64_t *x = c->in[0]->dims, *y = c->out->dims;
    network w = { .c = c, .a = &c->layer->attrs.recurrent };
    w.steps = x[0];
    w.sequences = x[1];
    w.inputs = x[2];
    w.directions = y[1];
    w.hidden = y[3];
    w.gates = w.a->kind == HSCHED_RECURRENT_LSTM  ? 4
              : w.a->kind == HSCHED_RECURRENT_GRU ? 3
                                                  : 1;
    double *all = calloc((size_t)((2 * w.gates + 2) * w.hidden), sizeof *all);
    if (all == NULL)
        return 0;
    w.of_input = all;
    w.of_hidden = w.of_input + w.gates * w.hidden;
    w.h = w.of_hidden + w.gates * w.hidden;
    w.cell = w.h + w.hidden;
    for (w.d = 0; w.d < w.directions; w.d++)
        for (w.n = 0; w.n < w.sequences; w.n++)
            run_sequence(&w);
    free(all);
    return 1;
}
