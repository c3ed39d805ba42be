/* The shape of recurrent layers. */
#include "graph/infer.h"

#include <math.h>

static hsched_status expect_cube(const hsi_graph_tensor *t, const char *role, int64_t a,
                                 int64_t b, int64_t c, const char *form)
{
    hsched_status status = hsi_expect_float32(t, role);
    if (status == HSCHED_OK)
        status = hsi_expect_rank(t, role, 3, form);
    if (status != HSCHED_OK || (t->dims[0] == a && t->dims[1] == b && t->dims[2] == c))
        return status;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "%s " HSI_TENSOR_FMT " must be %s, here [%lld,%lld,%lld]; give a "
                     "tensor of that shape",
                     role, HSI_TENSOR_ARGS(t), form, (long long)a, (long long)b,
                     (long long)c);
}

/* How many of the activations f, g, h a kind has. */
static int activation_count(hsched_recurrent_kind kind)
{
    return kind == HSCHED_RECURRENT_LSTM ? 3 : kind == HSCHED_RECURRENT_GRU ? 2 : 1;
}

static hsched_status resolve_config(hsched_recurrent_config *c)
{
    if (c->kind < HSCHED_RECURRENT_RNN || c->kind > HSCHED_RECURRENT_GRU ||
        c->direction < HSCHED_RECURRENT_FORWARD ||
        c->direction > HSCHED_RECURRENT_BIDIRECTIONAL)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "kind %d or direction %d is not known; use the "
                         "HSCHED_RECURRENT_ values",
                         (int)c->kind, (int)c->direction);
    if (!isfinite(c->clip) || c->clip < 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "clip is %g and must be finite and not negative; 0 is none",
                         (double)c->clip);
    const int count = activation_count(c->kind);
    const int directions = c->direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
    for (int d = 0; d < 2; d++)
        for (int k = 0; k < 3; k++) {
            hsched_activation *act = &c->activations[d][k];
            if (d >= directions || k >= count)
                *act = (hsched_activation){ .kind = HSCHED_ACTIVATION_NONE };
            else if (act->kind == HSCHED_ACTIVATION_NONE)
                act->kind = k == 0 && count > 1 ? HSCHED_ACTIVATION_SIGMOID
                                                : HSCHED_ACTIVATION_TANH;
            hsched_status status = hsi_resolve_activation(act);
            if (status != HSCHED_OK)
                return status;
        }
    if (c->kind != HSCHED_RECURRENT_GRU)
        c->linear_before_reset = 0;
    if (c->kind != HSCHED_RECURRENT_LSTM)
        c->input_forget = 0;
    return HSCHED_OK;
}

static hsched_status check_lengths(const hsi_graph_tensor *lengths, int64_t n)
{
    if (lengths->dtype == HSCHED_INT32 && lengths->rank == 1 && lengths->dims[0] == n)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "lengths " HSI_TENSOR_FMT " is %s and must be int32 [%lld], one for "
                     "each sequence",
                     HSI_TENSOR_ARGS(lengths), hsched_dtype_name(lengths->dtype),
                     (long long)n);
}

/* Weights, recurrent weights and bias; H is the last dimension of the second. */
static hsched_status check_weights(const hsi_infer *f, int64_t directions, int64_t gates,
                                   int64_t inputs, int64_t *hidden)
{
    const hsi_graph_tensor *w = hsi_infer_input(f, 1), *r = hsi_infer_input(f, 2),
                           *bias = hsi_infer_input(f, 3);
    hsched_status status = hsi_expect_constant(w, "weights");
    if (status == HSCHED_OK)
        status = hsi_expect_constant(r, "recurrent weights");
    if (status == HSCHED_OK)
        status = hsi_expect_rank(r, "recurrent weights", 3, "[D,G*H,H]");
    if (status != HSCHED_OK)
        return status;
    const int64_t h = *hidden = r->dims[2];
    if (h > INT64_MAX / 16)
        return hsi_error(HSCHED_ERROR_LIMIT, "%lld hidden values are too many",
                         (long long)h);
    status = expect_cube(r, "recurrent weights", directions, gates * h, h, "[D,G*H,H]");
    if (status == HSCHED_OK)
        status = expect_cube(w, "weights", directions, gates * h, inputs, "[D,G*H,I]");
    if (status != HSCHED_OK || !bias)
        return status;
    status = hsi_expect_constant(bias, "bias");
    if (status == HSCHED_OK)
        status = hsi_expect_float32(bias, "bias");
    if (status == HSCHED_OK)
        status = hsi_expect_rank(bias, "bias", 2, "[D,2*G*H]");
    if (status != HSCHED_OK ||
        (bias->dims[0] == directions && bias->dims[1] == 2 * gates * h))
        return status;
    return hsi_error(HSCHED_ERROR_SHAPE,
                     "bias " HSI_TENSOR_FMT " must be of shape [%lld,%lld]; give a "
                     "constant of that shape",
                     HSI_TENSOR_ARGS(bias), (long long)directions,
                     (long long)(2 * gates * h));
}

/* x [T,N,I] -> [T+1,D,N,H], of an LSTM [T+2,D,N,H] */
hsched_status hsi_infer_recurrent(hsi_infer *f)
{
    const hsi_graph_tensor *x = hsi_infer_input(f, 0), *lengths = hsi_infer_input(f, 4);
    hsched_recurrent_config *c = &f->attrs->recurrent;
    int64_t hidden = 0;
    hsched_status status = resolve_config(c);
    if (status == HSCHED_OK)
        status = hsi_expect_float32(x, "x");
    if (status == HSCHED_OK)
        status = hsi_expect_rank(x, "x", 3, "[T,N,I]");
    if (status != HSCHED_OK)
        return status;
    const int lstm = c->kind == HSCHED_RECURRENT_LSTM;
    const int64_t gates = lstm ? 4 : c->kind == HSCHED_RECURRENT_GRU ? 3 : 1;
    const int64_t directions = c->direction == HSCHED_RECURRENT_BIDIRECTIONAL ? 2 : 1;
    status = check_weights(f, directions, gates, x->dims[2], &hidden);
    if (status == HSCHED_OK && c->hidden_size != 0 && c->hidden_size != hidden)
        status =
            hsi_error(HSCHED_ERROR_SHAPE,
                      "hidden_size is %lld, but the recurrent weights say %lld; give "
                      "0 or that",
                      (long long)c->hidden_size, (long long)hidden);
    c->hidden_size = hidden;
    if (status == HSCHED_OK && lengths)
        status = check_lengths(lengths, x->dims[1]);
    for (uint32_t i = 5; i < 7 && status == HSCHED_OK; i++) {
        if (!hsi_infer_input(f, i))
            continue;
        if (i == 6 && !lstm)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "initial c is given, but only an LSTM has a cell state; pass "
                "HSCHED_NO_TENSOR");
        status =
            expect_cube(hsi_infer_input(f, i), hsi_input_role(HSI_LAYER_RECURRENT, i),
                        directions, x->dims[1], hidden, "[D,N,H]");
    }
    if (status != HSCHED_OK)
        return status;
    hsi_infer_set(
        f, HSCHED_FLOAT32, 4,
        (const int64_t[4]){ x->dims[0] + 1 + lstm, directions, x->dims[1], hidden });
    return HSCHED_OK;
}
