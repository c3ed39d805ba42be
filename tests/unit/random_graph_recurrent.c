/* Random recurrent layers. */
#include <math.h>
#include <string.h>

#include "unit/random_graph_maker.h"

enum {
    MOST_STEPS = 12,
    MOST_INPUTS = 48
};

/* Bounded, so that states stay of size one; often the usual ones. */
static hsched_activation any_activation(maker *m)
{
    static const hsched_activation choices[] = {
        { HSCHED_ACTIVATION_SIGMOID },
        { HSCHED_ACTIVATION_TANH },
        { HSCHED_ACTIVATION_SOFTSIGN },
        { HSCHED_ACTIVATION_HARD_SIGMOID, 0.2f, 0.5f },
        { HSCHED_ACTIVATION_CLIP, -0.5f, 0.8f },
    };
    const hsched_activation usual = { HSCHED_ACTIVATION_NONE };
    return maker_chance(m, 70) ? usual : choices[maker_range(m, 0, 4)];
}

static void choose(maker *m, hsched_recurrent_config *config)
{
    config->kind =
        (hsched_recurrent_kind)maker_range(m, HSCHED_RECURRENT_RNN, HSCHED_RECURRENT_GRU);
    config->direction = (hsched_recurrent_direction)maker_range(m, 0, 2);
    config->clip = maker_chance(m, 20) ? 0.7f : 0;
    config->linear_before_reset =
        config->kind == HSCHED_RECURRENT_GRU && maker_chance(m, 60);
    config->input_forget = config->kind == HSCHED_RECURRENT_LSTM && maker_chance(m, 20);
    const int directions = config->direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
    const int count = config->kind == HSCHED_RECURRENT_LSTM  ? 3
                      : config->kind == HSCHED_RECURRENT_GRU ? 2
                                                             : 1;
    for (int d = 0; d < directions; d++)
        for (int k = 0; k < count; k++)
            config->activations[d][k] = any_activation(m);
}

/* x as sequences [T,N,I]: as it is, or its elements in that shape. */
static item *sequences(maker *m, item *x)
{
    const int64_t count = maker_elements(x->rank, x->dims), steps = x->dims[0];
    if (steps > MOST_STEPS)
        return NULL;
    if (x->rank == 3 && x->dims[2] <= MOST_INPUTS)
        return x;
    int64_t n = maker_range(m, 1, 3);
    if (count / steps % n != 0)
        n = 1;
    const int64_t dims[3] = { steps, n, count / steps / n };
    hsched_tensor y;
    if (dims[2] > MOST_INPUTS)
        return NULL;
    x->used = 1;
    return maker_made(m, hsched_graph_add_reshape(m->graph, NULL, x->tensor, 3, dims, &y),
                      &y, x->size);
}

/* For N sequences of T steps: constant, or the first of some integers. */
static hsched_tensor lengths(maker *m, int64_t n, int64_t steps)
{
    static const int64_t start = 0, all = -1;
    hsched_tensor y;
    item *x = maker_chance(m, 50) ? maker_pick_integers(m, 1, 4) : NULL;
    if (x == NULL || maker_elements(x->rank, x->dims) < n)
        return maker_integers_constant(m, HSCHED_INT32, 1, &n, 0, steps);
    x->used = 1;
    x = maker_made(m, hsched_graph_add_reshape(m->graph, NULL, x->tensor, 1, &all, &y),
                   &y, x->size);
    if (x != NULL) {
        x->used = 1;
        x = maker_made(m,
                       hsched_graph_add_slice(m->graph, NULL, x->tensor, 1, &start, &n,
                                              NULL, NULL, &y),
                       &y, x->size);
    }
    x = maker_modulo(m, x, steps + 1, HSCHED_INT32);
    return x ? x->tensor : HSCHED_NO_TENSOR;
}

/* The parts of the output that are wanted, at least one. */
static item *keep(maker *m, const hsched_tensor *parts, const int *wanted, double size)
{
    item *last = NULL;
    for (int i = 0; i < 3; i++)
        if (wanted[i])
            last = maker_made(m, m->status, &parts[i], i == 2 ? size : 1);
    return last;
}

item *maker_add_recurrent(maker *m, item *x)
{
    hsched_recurrent_config config = { HSCHED_RECURRENT_CONFIG_INIT };
    if (x == NULL || x->size > MAX_SIZE / 2 || (x = sequences(m, x)) == NULL)
        return NULL;
    const int64_t steps = x->dims[0], n = x->dims[1], inputs = x->dims[2];
    const int64_t hidden = maker_range(m, 1, 9);
    choose(m, &config);
    const int lstm = config.kind == HSCHED_RECURRENT_LSTM;
    const int64_t gates = lstm                                  ? 4
                          : config.kind == HSCHED_RECURRENT_GRU ? 3
                                                                : 1,
                  d = config.direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
    if ((steps + 2) * d * n * hidden > MAX_ELEMENTS)
        return NULL;
    const double wide = 1 / sqrt((double)inputs), narrow = 1 / sqrt((double)hidden);
    const int64_t states[3] = { d, n, hidden }, rows = gates * hidden;
    const hsched_tensor weights = maker_constant(
                            m, 3, (const int64_t[]){ d, rows, inputs }, -wide, wide),
                        recurrent = maker_constant(
                            m, 3, (const int64_t[]){ d, rows, hidden }, -narrow, narrow);
    hsched_tensor bias = HSCHED_NO_TENSOR, length = HSCHED_NO_TENSOR,
                  h = HSCHED_NO_TENSOR, c = HSCHED_NO_TENSOR, parts[3];
    x->used = 1;
    const hsched_tensor from = x->tensor;
    if (maker_chance(m, 60))
        bias = maker_constant(m, 2, (const int64_t[]){ d, 2 * rows }, -0.5, 0.5);
    if (maker_chance(m, 40))
        length = lengths(m, n, steps);
    if (maker_chance(m, 40))
        h = maker_constant(m, 3, states, -1, 1);
    if (lstm && maker_chance(m, 40))
        c = maker_constant(m, 3, states, -1, 1);
    int wanted[3] = { maker_chance(m, 70), maker_chance(m, 50),
                      lstm && maker_chance(m, 50) };
    wanted[0] |= !wanted[1] && !wanted[2];
    if (m->status == HSCHED_OK)
        m->status = hsched_graph_add_recurrent(
            m->graph, NULL, from, weights, recurrent, bias, length, h, c, &config,
            wanted[0] ? &parts[0] : NULL, wanted[1] ? &parts[1] : NULL,
            wanted[2] ? &parts[2] : NULL);
    return keep(m, parts, wanted, (double)steps + 1);
}
