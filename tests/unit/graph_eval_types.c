/* Layers on integers and bool: arithmetic of 64 bits, of which a type keeps its low ones. */
#include "unit/graph_eval_call.h"

int64_t eval_get(hsched_dtype dtype, const void *data, int64_t k)
{
    switch (dtype) {
    case HSCHED_INT64:
        return ((const int64_t *)data)[k];
    case HSCHED_INT32:
        return ((const int32_t *)data)[k];
    case HSCHED_INT8:
        return ((const int8_t *)data)[k];
    case HSCHED_UINT8:
        return ((const uint8_t *)data)[k];
    default: /* bool */
        return ((const uint8_t *)data)[k] != 0;
    }
}

void eval_put(hsched_dtype dtype, void *data, int64_t k, int64_t value)
{
    const uint64_t bits = (uint64_t)value;
    switch (dtype) {
    case HSCHED_INT64:
        ((int64_t *)data)[k] = value;
        break;
    case HSCHED_INT32:
        ((uint32_t *)data)[k] = (uint32_t)bits;
        break;
    case HSCHED_INT8:
    case HSCHED_UINT8:
        ((uint8_t *)data)[k] = (uint8_t)bits;
        break;
    default:
        ((uint8_t *)data)[k] = value != 0;
        break;
    }
}

/* From integers and bool, or between floats; random graphs make no other. */
void eval_cast(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++)
        if (c->in[0]->dtype == HSCHED_FLOAT32)
            copy_element(c, k, 0, k);
        else if (c->out->dtype == HSCHED_FLOAT32)
            c->y[k] = (float)eval_get(c->in[0]->dtype, c->x[0], k);
        else
            eval_put(c->out->dtype, c->y, k, eval_get(c->in[0]->dtype, c->x[0], k));
}

static int activate(hsched_activation_kind kind, int64_t v, int64_t *y)
{
    switch (kind) {
    case HSCHED_ACTIVATION_NONE:
        *y = v;
        return 1;
    case HSCHED_ACTIVATION_RELU:
        *y = v < 0 ? 0 : v;
        return 1;
    case HSCHED_ACTIVATION_ABS:
        *y = v < 0 ? (int64_t)(0 - (uint64_t)v) : v;
        return 1;
    case HSCHED_ACTIVATION_NEG:
        *y = (int64_t)(0 - (uint64_t)v);
        return 1;
    case HSCHED_ACTIVATION_SIGN:
        *y = (v > 0) - (v < 0);
        return 1;
    default:
        return 0;
    }
}

/* The remainder that has the divisor's sign, or the dividend's. */
static int64_t modulo(int64_t a, int64_t b, int of_divisor)
{
    if (b == 0 || b == -1)
        return 0;
    const int64_t rest = a % b;
    return of_divisor && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static int combine(hsched_binary_kind kind, int64_t a, int64_t b, int64_t *y)
{
    const uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
    switch (kind) {
    case HSCHED_BINARY_ADD:
        *y = (int64_t)(ua + ub);
        return 1;
    case HSCHED_BINARY_SUB:
        *y = (int64_t)(ua - ub);
        return 1;
    case HSCHED_BINARY_MUL:
        *y = (int64_t)(ua * ub);
        return 1;
    case HSCHED_BINARY_DIV:
        *y = b == 0 ? 0 : b == -1 ? (int64_t)(0 - ua) : a / b;
        return 1;
    case HSCHED_BINARY_MIN:
        *y = a < b ? a : b;
        return 1;
    case HSCHED_BINARY_MAX:
        *y = a > b ? a : b;
        return 1;
    case HSCHED_BINARY_MOD:
    case HSCHED_BINARY_FMOD:
        *y = modulo(a, b, kind == HSCHED_BINARY_MOD);
        return 1;
    case HSCHED_BINARY_EQUAL:
        *y = a == b;
        return 1;
    case HSCHED_BINARY_GREATER:
        *y = a > b;
        return 1;
    case HSCHED_BINARY_GREATER_OR_EQUAL:
        *y = a >= b;
        return 1;
    case HSCHED_BINARY_LESS:
        *y = a < b;
        return 1;
    case HSCHED_BINARY_LESS_OR_EQUAL:
        *y = a <= b;
        return 1;
    case HSCHED_BINARY_AND: /* of 0 and 1 */
    case HSCHED_BINARY_BIT_AND:
        *y = a & b;
        return 1;
    case HSCHED_BINARY_OR:
    case HSCHED_BINARY_BIT_OR:
        *y = a | b;
        return 1;
    case HSCHED_BINARY_XOR:
    case HSCHED_BINARY_BIT_XOR:
        *y = a ^ b;
        return 1;
    default:
        return 0;
    }
}

int eval_typed(const call *c)
{
    for (int64_t k = 0; k < element_count(c->out); k++) {
        int64_t at[HSCHED_MAX_DIMS], v[2] = { 0 }, y;
        unflatten(c->out, k, at);
        for (uint32_t i = 0; i < c->layer->input_count; i++)
            v[i] = eval_get(c->in[i]->dtype, c->x[i],
                            broadcast_index(c->in[i], c->out->rank, at));
        if (c->layer->kind == HSI_LAYER_ACTIVATION
                ? !activate(c->layer->attrs.activation.kind, v[0], &y)
                : !combine(c->layer->attrs.binary, v[0], v[1], &y))
            return 0;
        eval_put(c->out->dtype, c->y, k, y);
    }
    return 1;
}

static int is_reduced(const call *c, uint32_t d)
{
    for (uint32_t i = 0; i < c->layer->attrs.axes.count; i++)
        if (c->layer->attrs.axes.axes[i] == d)
            return 1;
    return 0;
}

/* Which element of y has a share of x's number k. */
static int64_t reduced_index(const call *c, int64_t k)
{
    int64_t at[HSCHED_MAX_DIMS], to = 0;
    unflatten(c->in[0], k, at);
    for (uint32_t d = 0; d < c->in[0]->rank; d++)
        if (!is_reduced(c, d))
            to = to * c->in[0]->dims[d] + at[d];
    return to;
}

int eval_typed_reduce(const call *c)
{
    const hsched_reduce_kind kind = c->layer->attrs.axes.reduce;
    const hsched_binary_kind with = kind == HSCHED_REDUCE_SUM   ? HSCHED_BINARY_ADD
                                    : kind == HSCHED_REDUCE_MAX ? HSCHED_BINARY_MAX
                                                                : HSCHED_BINARY_MIN;
    if (with == HSCHED_BINARY_MIN && kind != HSCHED_REDUCE_MIN)
        return 0;
    const int64_t size = element_count(c->in[0]);
    for (int64_t k = size; k-- > 0;) /* any, to begin with */
        eval_put(c->out->dtype, c->y, reduced_index(c, k),
                 kind == HSCHED_REDUCE_SUM ? 0 : eval_get(c->in[0]->dtype, c->x[0], k));
    for (int64_t k = 0; k < size; k++) {
        const int64_t to = reduced_index(c, k);
        int64_t y;
        combine(with, eval_get(c->out->dtype, c->y, to),
                eval_get(c->in[0]->dtype, c->x[0], k), &y);
        eval_put(c->out->dtype, c->y, to, y);
    }
    return 1;
}
