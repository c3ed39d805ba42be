/* Random recurrent steps. */
#include <string.h>

#include "backend/random_maker.h"

static hsched_activation gate_activation(random_maker *m, int k, int gates)
{
    hsched_activation act = { .kind = k == 0 && gates > 1 ? HSCHED_ACTIVATION_SIGMOID
                                                          : HSCHED_ACTIVATION_TANH };
    if (chance(m, 75))
        return act;
    /* Bounded, so that states stay of size one. */
    act.kind = (hsched_activation_kind)PICK(
        m, HSCHED_ACTIVATION_SIGMOID, HSCHED_ACTIVATION_TANH, HSCHED_ACTIVATION_SOFTSIGN,
        HSCHED_ACTIVATION_HARD_SIGMOID, HSCHED_ACTIVATION_CLIP);
    act.a = act.kind == HSCHED_ACTIVATION_CLIP ? -0.5f : 0.2f;
    act.b = 0.5f;
    return act;
}

static void attributes(random_maker *m, int gates)
{
    hsched_step *s = &m->made->step;
    s->u.recurrent.kind = gates == 4   ? HSCHED_RECURRENT_LSTM
                          : gates == 3 ? HSCHED_RECURRENT_GRU
                                       : HSCHED_RECURRENT_RNN;
    s->u.recurrent.direction = (hsched_recurrent_direction)range(m, 0, 2);
    s->u.recurrent.clip = chance(m, 25) ? uniform(m, 0.2, 1) : 0;
    s->u.recurrent.linear_before_reset = gates == 3 && chance(m, 50);
    s->u.recurrent.input_forget = gates == 4 && chance(m, 25);
    for (int d = 0; d < 2; d++)
        for (int k = 0; k < 3; k++)
            s->u.recurrent.activations[d][k] = gate_activation(m, k, gates);
}

static void set_operand(random_maker *m, uint32_t i, uint32_t rank, const int64_t *dims)
{
    hsched_operand *op = &m->made->step.in[i];
    random_set_shape(op, HSCHED_FLOAT32, rank, dims);
    random_set_dense(op, NULL);
}

static void make_lengths(random_maker *m, int64_t steps, int64_t n)
{
    hsched_operand *op = &m->made->step.in[4];
    random_set_shape(op, HSCHED_INT32, 1, &n);
    random_set_dense(op, NULL);
    random_input(m, 4, 0, 0);
    random_memory *memory = &m->made->in[4];
    for (int64_t i = 0; i < n; i++) {
        int32_t length = (int32_t)range(m, chance(m, 20) ? 0 : 1, steps);
        size_t at = memory->first + (size_t)i * sizeof length;
        memcpy(memory->block + at, &length, sizeof length);
    }
}

void random_make_recurrent(random_maker *m)
{
    hsched_step *s = &m->made->step;
    const int64_t gates = PICK(m, 1, 3, 4), t = range(m, 1, 9), n = PICK(m, 1, 2, 5, 13),
                  in = range(m, 1, 20), h = PICK(m, 1, 3, 16, 17, 40, 64);
    attributes(m, (int)gates);
    const int64_t d = s->u.recurrent.direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
    const int has_bias = chance(m, 75), has_lengths = chance(m, 50);
    const int has_h = chance(m, 50), has_c = gates == 4 && chance(m, 50);
    s->input_count = 7;
    s->macs = (uint64_t)(t * n * d * gates * h * (in + h));
    set_operand(m, 0, 3, (const int64_t[]){ t, n, in });
    set_operand(m, 1, 3, (const int64_t[]){ d, gates * h, in });
    set_operand(m, 2, 3, (const int64_t[]){ d, gates * h, h });
    random_set_shape(&s->out, HSCHED_FLOAT32, 4,
                     (const int64_t[]){ t + (gates == 4 ? 2 : 1), d, n, h });
    random_set_dense(&s->out, NULL);
    NOTE(m, "gates %d direction %d clip %g before %d forget %d bias %d lengths %d",
         (int)gates, (int)s->u.recurrent.direction, (double)s->u.recurrent.clip,
         s->u.recurrent.linear_before_reset, s->u.recurrent.input_forget, has_bias,
         has_lengths);
    random_output(m);
    random_input(m, 0, -1, 1);
    random_constant(m, 1, RANDOM_ROLE_WEIGHT, random_weight_bound(m, in));
    random_constant(m, 2, RANDOM_ROLE_WEIGHT, random_weight_bound(m, h));
    if (has_bias) {
        set_operand(m, 3, 2, (const int64_t[]){ d, 2 * gates * h });
        random_constant(m, 3, RANDOM_ROLE_BIAS, 0.5);
    }
    if (has_lengths)
        make_lengths(m, t, n);
    for (uint32_t i = 5; i < 7; i++)
        if (i == 5 ? has_h : has_c) {
            set_operand(m, i, 3, (const int64_t[]){ d, n, h });
            random_input(m, i, -1, 1);
        }
}
