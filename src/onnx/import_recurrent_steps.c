/*
 * RNN, GRU and LSTM written out step by step, where the layer will not do: with peepholes, and with
 * weights that are computed. What the inputs add to the gates is one product for all steps.
 */
#include "onnx/compose.h"
#include "onnx/recurrent.h"

#define MAX_STEPS 512

enum input {
    X = 0,
    WEIGHTS = 1,
    RECURRENT_WEIGHTS = 2,
    BIAS = 3,
    LENGTHS = 4,
    INITIAL_H = 5,
    INITIAL_C = 6,
    PEEPHOLES = 7
};

typedef struct network {
    hsi_composer c;
    const hsched_recurrent_config *config;
    int layout;
    int64_t steps, hidden, gates;
    hsched_tensor x;       /* [T,B,I] */
    hsched_tensor lengths; /* [B,1]; HSCHED_NO_TENSOR: all have all steps */
    /* Of one direction: */
    int64_t direction;
    hsched_tensor inputs;  /* [T,B,gates*H]: what they add to the gates */
    hsched_tensor weights; /* [H,gates*H] */
    hsched_tensor bias;    /* [gates*H], of the recurrent products; or HSCHED_NO_TENSOR */
    hsched_tensor peepholes; /* [3*H]; or HSCHED_NO_TENSOR */
    hsched_tensor h, cell;   /* [B,H] */
} network;

static int64_t directions_of(const network *n)
{
    return n->config->direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
}

static hsched_tensor add(network *n, hsched_tensor a, hsched_tensor b)
{
    return b == HSCHED_NO_TENSOR ? a : hsi_compose_pair(&n->c, HSCHED_BINARY_ADD, a, b);
}

static hsched_tensor times(network *n, hsched_tensor a, hsched_tensor b)
{
    return hsi_compose_pair(&n->c, HSCHED_BINARY_MUL, a, b);
}

/* x of the first gate to the one before `to`, along the last dimension. */
static hsched_tensor gates_of(network *n, hsched_tensor x, int64_t first, int64_t to)
{
    if (x == HSCHED_NO_TENSOR || (first == 0 && to == n->gates))
        return x;
    return hsi_compose_slice(&n->c, x, (int64_t)hsi_compose_rank(&n->c, x) - 1,
                             first * n->hidden, to * n->hidden, 1);
}

static hsched_tensor gate(network *n, hsched_tensor x, int64_t k)
{
    return gates_of(n, x, k, k + 1);
}

/* Element k of dimension 0, without that dimension. */
static hsched_tensor element(network *n, hsched_tensor x, int64_t k)
{
    static const int64_t first[1] = { 0 };
    return hsi_compose_squeeze(&n->c, hsi_compose_slice(&n->c, x, 0, k, k + 1, 1), 1,
                               first);
}

/* Input k of this direction; HSCHED_NO_TENSOR where the node has none. */
static hsched_tensor of_direction(network *n, uint32_t k)
{
    if (!hsi_onnx_has_input(n->c.node, k))
        return HSCHED_NO_TENSOR;
    return element(n, hsi_compose_input(&n->c, k), n->direction);
}

/* Activation f, g or h of x, which is clipped before where a gate is. */
static hsched_tensor activated(network *n, int which, int clipped, hsched_tensor x)
{
    hsi_composer *c = &n->c;
    hsched_activation act = n->config->activations[n->direction][which];
    const hsched_dtype dtype = hsi_compose_dtype(c, x);
    const double clip = (double)n->config->clip;
    if (act.kind == HSCHED_ACTIVATION_NONE)
        act.kind = which == 0 && n->config->kind != HSCHED_RECURRENT_RNN
                       ? HSCHED_ACTIVATION_SIGMOID
                       : HSCHED_ACTIVATION_TANH;
    if (clipped && clip > 0) {
        x = hsi_compose_pair(c, HSCHED_BINARY_MAX, x,
                             hsi_compose_number(c, dtype, -clip));
        x = hsi_compose_pair(c, HSCHED_BINARY_MIN, x, hsi_compose_number(c, dtype, clip));
    }
    hsched_tensor y = HSCHED_NO_TENSOR;
    if (c->status == HSCHED_OK)
        c->status = hsi_onnx_add_act(c->im, c->node, 0, act, x, &y);
    return y;
}

/* ---- One step of each kind ------------------------------------------------------- */

/* Products of the gates [first,to) with h. */
static hsched_tensor recurrent(network *n, hsched_tensor h, int64_t first, int64_t to)
{
    hsched_tensor y = hsi_compose_matmul(&n->c, h, gates_of(n, n->weights, first, to));
    return add(n, y, gates_of(n, n->bias, first, to));
}

static hsched_tensor rnn_step(network *n, hsched_tensor x)
{
    return activated(n, 0, 1, add(n, x, recurrent(n, n->h, 0, 1)));
}

static hsched_tensor gru_step(network *n, hsched_tensor x)
{
    hsi_composer *c = &n->c;
    hsched_tensor both =
        activated(n, 0, 1, add(n, gates_of(n, x, 0, 2), recurrent(n, n->h, 0, 2)));
    hsched_tensor z = gate(n, both, 0), r = gate(n, both, 1);
    hsched_tensor y = n->config->linear_before_reset
                          ? times(n, r, recurrent(n, n->h, 2, 3))
                          : recurrent(n, times(n, r, n->h), 2, 3);
    y = activated(n, 1, 1, add(n, gate(n, x, 2), y));
    /* (1 - z) y + z h */
    return add(n, y, times(n, z, hsi_compose_pair(c, HSCHED_BINARY_SUB, n->h, y)));
}

/* Gate k as input, output or forget gate, which looks at the cell through peephole k. */
static hsched_tensor lstm_gate(network *n, hsched_tensor x, int64_t k, hsched_tensor cell)
{
    x = gate(n, x, k);
    if (n->peepholes != HSCHED_NO_TENSOR)
        x = add(n, x, times(n, gate(n, n->peepholes, k), cell));
    return activated(n, 0, 1, x);
}

static hsched_tensor lstm_step(network *n, hsched_tensor x, hsched_tensor *cell)
{
    hsi_composer *c = &n->c;
    x = add(n, x, recurrent(n, n->h, 0, 4));
    hsched_tensor in = lstm_gate(n, x, 0, n->cell), forget;
    if (n->config->input_forget)
        forget = hsi_compose_pair(c, HSCHED_BINARY_SUB,
                                  hsi_compose_number(c, hsi_compose_dtype(c, in), 1), in);
    else
        forget = lstm_gate(n, x, 2, n->cell);
    hsched_tensor candidate = activated(n, 1, 1, gate(n, x, 3));
    *cell = add(n, times(n, forget, n->cell), times(n, in, candidate));
    return times(n, lstm_gate(n, x, 1, *cell), activated(n, 2, 0, *cell));
}

/* ---- One direction ----------------------------------------------------------------- */

static hsched_tensor initial_state(network *n, uint32_t k)
{
    hsi_composer *c = &n->c;
    const int64_t dims[2] = { hsi_compose_dim(c, n->x, 1), n->hidden };
    if (!hsi_onnx_has_input(c->node, k))
        return hsi_compose_expand(c, hsi_compose_number(c, hsi_compose_dtype(c, n->x), 0),
                                  2, dims);
    static const int64_t swap[3] = { 1, 0, 2 };
    hsched_tensor x = hsi_compose_input(c, k);
    if (c->status == HSCHED_OK && hsi_compose_rank(c, x) != 3)
        c->status = hsi_onnx_malformed(c->node, "input %u has not three dimensions", k);
    if (n->layout)
        x = hsi_compose_transpose(c, x, swap);
    if (c->status == HSCHED_OK &&
        (hsi_compose_size(c, x, 0) != directions_of(n) ||
         hsi_compose_size(c, x, 1) != hsi_compose_size(c, n->x, 1) ||
         hsi_compose_size(c, x, 2) != n->hidden))
        c->status = hsi_onnx_malformed(c->node, "the shape of input %u does not fit", k);
    return element(n, x, n->direction);
}

static void begin_direction(network *n, int64_t direction)
{
    static const int64_t swap[2] = { 1, 0 };
    hsi_composer *c = &n->c;
    n->direction = direction;
    hsched_tensor w = hsi_compose_transpose(c, of_direction(n, WEIGHTS), swap);
    n->weights = hsi_compose_transpose(c, of_direction(n, RECURRENT_WEIGHTS), swap);
    n->inputs = hsi_compose_matmul(c, n->x, w);
    hsched_tensor bias = of_direction(n, BIAS);
    n->bias = HSCHED_NO_TENSOR;
    if (bias != HSCHED_NO_TENSOR) {
        const int64_t half = n->gates * n->hidden;
        n->inputs = add(n, n->inputs, hsi_compose_slice(c, bias, 0, 0, half, 1));
        n->bias = hsi_compose_slice(c, bias, 0, half, 2 * half, 1);
    }
    n->peepholes = of_direction(n, PEEPHOLES);
    n->h = initial_state(n, INITIAL_H);
    n->cell = n->config->kind == HSCHED_RECURRENT_LSTM ? initial_state(n, INITIAL_C)
                                                       : HSCHED_NO_TENSOR;
}

/* Step t; gives the row of the result, which is 0 where a sequence has ended. */
static hsched_tensor step(network *n, int64_t t)
{
    hsi_composer *c = &n->c;
    hsched_tensor x = element(n, n->inputs, t), cell = n->cell, h, row;
    h = n->config->kind == HSCHED_RECURRENT_LSTM  ? lstm_step(n, x, &cell)
        : n->config->kind == HSCHED_RECURRENT_GRU ? gru_step(n, x)
                                                  : rnn_step(n, x);
    row = h;
    if (n->lengths != HSCHED_NO_TENSOR) {
        hsched_tensor now =
            hsi_compose_number(c, hsi_compose_dtype(c, n->lengths), (double)t);
        hsched_tensor valid = hsi_compose_pair(c, HSCHED_BINARY_LESS, now, n->lengths);
        row = hsi_compose_where(c, valid, h,
                                hsi_compose_number(c, hsi_compose_dtype(c, h), 0));
        h = hsi_compose_where(c, valid, h, n->h);
        if (cell != HSCHED_NO_TENSOR)
            cell = hsi_compose_where(c, valid, cell, n->cell);
    }
    n->h = h;
    n->cell = cell;
    return row;
}

/* y [T,1,B,H], h and the cell [1,B,H] of one direction. */
static void run_direction(network *n, int64_t direction, hsched_tensor *results)
{
    static const int64_t front[2] = { 0, 1 };
    hsi_composer *c = &n->c;
    hsched_tensor rows[MAX_STEPS];
    const int backwards =
        direction == 1 || n->config->direction == HSCHED_RECURRENT_REVERSE;
    begin_direction(n, direction);
    for (int64_t k = 0; k < n->steps && c->status == HSCHED_OK; k++) {
        const int64_t t = backwards ? n->steps - 1 - k : k;
        rows[t] = hsi_compose_unsqueeze(c, step(n, t), 2, front);
    }
    results[0] = hsi_compose_concat(c, rows, (uint32_t)n->steps, 0);
    results[1] = hsi_compose_unsqueeze(c, n->h, 1, front);
    results[2] = n->cell == HSCHED_NO_TENSOR
                     ? HSCHED_NO_TENSOR
                     : hsi_compose_unsqueeze(c, n->cell, 1, front);
}

/* ---- All of it ---------------------------------------------------------------------- */

static void check_shape(network *n, uint32_t k, uint32_t rank, int64_t rows)
{
    hsi_composer *c = &n->c;
    if (!hsi_onnx_has_input(c->node, k))
        return;
    hsched_tensor x = hsi_compose_input(c, k);
    if (c->status == HSCHED_OK && (hsi_compose_rank(c, x) != rank ||
                                   hsi_compose_fixed(c, x, 0) != directions_of(n) ||
                                   hsi_compose_fixed(c, x, 1) != rows))
        c->status = hsi_onnx_malformed(c->node, "the shape of input %u does not fit", k);
}

static void read_inputs(network *n)
{
    static const int64_t swap[3] = { 1, 0, 2 }, last[1] = { 1 };
    hsi_composer *c = &n->c;
    n->x = hsi_compose_input(c, X);
    if (c->status == HSCHED_OK && hsi_compose_rank(c, n->x) != 3)
        c->status = hsi_onnx_malformed(c->node, "its input has not three dimensions");
    if (n->layout)
        n->x = hsi_compose_transpose(c, n->x, swap);
    n->steps = hsi_compose_fixed(c, n->x, 0);
    if (c->status == HSCHED_OK && n->steps > MAX_STEPS)
        c->status = hsi_onnx_unsupported(c->im, c->node,
                                         "%lld steps with peepholes or with weights that "
                                         "are computed; at most %d are written out",
                                         (long long)n->steps, MAX_STEPS);
    n->hidden = hsi_compose_fixed(c, hsi_compose_input(c, RECURRENT_WEIGHTS), 2);
    n->gates = n->config->kind == HSCHED_RECURRENT_LSTM  ? 4
               : n->config->kind == HSCHED_RECURRENT_GRU ? 3
                                                         : 1;
    check_shape(n, WEIGHTS, 3, n->gates * n->hidden);
    check_shape(n, RECURRENT_WEIGHTS, 3, n->gates * n->hidden);
    check_shape(n, BIAS, 2, 2 * n->gates * n->hidden);
    check_shape(n, PEEPHOLES, 2, 3 * n->hidden);
    n->lengths = HSCHED_NO_TENSOR;
    if (hsi_onnx_has_input(c->node, LENGTHS))
        n->lengths = hsi_compose_unsqueeze(c, hsi_compose_input(c, LENGTHS), 1, last);
    if (n->lengths != HSCHED_NO_TENSOR &&
        (hsi_compose_rank(c, n->lengths) != 2 ||
         hsi_compose_size(c, n->lengths, 0) != hsi_compose_size(c, n->x, 1)))
        c->status = hsi_onnx_malformed(c->node, "its lengths are not one for each "
                                                "sequence");
}

hsched_status hsi_onnx_write_out_recurrent(hsi_onnx_import *im, const hsi_onnx_node *node,
                                           const hsched_recurrent_config *config,
                                           int layout)
{
    static const int64_t rows[4] = { 2, 0, 1, 3 }, state[3] = { 1, 0, 2 };
    network n = { .c = { im, node, HSCHED_OK }, .config = config, .layout = layout };
    hsi_composer *c = &n.c;
    hsched_tensor results[2][3];
    read_inputs(&n);
    for (int d = 0; d < directions_of(&n) && c->status == HSCHED_OK; d++)
        run_direction(&n, d, results[d]);
    for (uint32_t k = 0; k < 3 && c->status == HSCHED_OK; k++) {
        if (!hsi_onnx_output_used(im, node, k))
            continue;
        if (k == 2 && config->kind != HSCHED_RECURRENT_LSTM)
            return hsi_onnx_malformed(node, "it has no third output");
        hsched_tensor y = results[0][k];
        if (directions_of(&n) == 2)
            y = hsi_compose_join(c, y, results[1][k], k == 0);
        if (layout)
            y = hsi_compose_transpose(c, y, k == 0 ? rows : state);
        hsi_compose_output(c, k, y);
    }
    return c->status;
}
