/* Shapes, strides and activations of random steps. */
#include <math.h>

#include "backend/random_maker.h"

void random_set_shape(hsched_operand *op, hsched_dtype dtype, uint32_t rank,
                      const int64_t *dims)
{
    op->dtype = dtype;
    op->rank = rank;
    for (uint32_t d = 0; d < rank; d++)
        op->dims[d] = dims[d];
}

/* Row-major; `order[k]` is the k-th dimension from the outside, NULL: in order. */
void random_set_dense(hsched_operand *op, const uint32_t *order)
{
    int64_t stride = 1;
    for (uint32_t k = op->rank; k-- > 0;) {
        uint32_t d = order ? order[k] : k;
        op->strides[d] = stride;
        stride *= op->dims[d];
    }
}

/* Channels-last with a pixel stride of C or, as a slice of a joint tensor, more. */
void random_set_channels_last(random_maker *m, hsched_operand *op)
{
    int64_t pixel = op->dims[1] + (chance(m, 50) ? 0 : range(m, 1, 9));
    op->strides[0] = op->dims[2] * op->dims[3] * pixel;
    op->strides[1] = 1;
    op->strides[2] = op->dims[3] * pixel;
    op->strides[3] = pixel;
}

static void shuffle(random_maker *m, uint32_t *order, uint32_t rank)
{
    for (uint32_t d = 0; d < rank; d++)
        order[d] = d;
    for (uint32_t d = rank; d > 1; d--) {
        uint32_t k = (uint32_t)range(m, 0, d - 1), t = order[d - 1];
        order[d - 1] = order[k];
        order[k] = t;
    }
}

/* Any order of dimensions, any gaps; inputs also backwards and broadcast. */
void random_set_scattered(random_maker *m, hsched_operand *op, int is_input)
{
    uint32_t order[HSCHED_MAX_DIMS];
    shuffle(m, order, op->rank);
    int64_t stride = chance(m, 25) ? range(m, 2, 3) : 1;
    for (uint32_t k = op->rank; k-- > 0;) {
        uint32_t d = order[k];
        op->strides[d] = stride;
        stride = stride * op->dims[d] + (chance(m, 30) ? range(m, 1, 5) : 0);
        if (is_input && chance(m, 15))
            op->strides[d] = -op->strides[d];
        else if (is_input && chance(m, 10))
            op->strides[d] = 0;
        if (op->dims[d] == 1 && chance(m, 30)) /* says nothing: only index 0 exists */
            op->strides[d] = range(m, 0, 1000);
    }
}

/* Inner stride 1, the other dimensions in any order with any gaps. */
void random_set_matrices(random_maker *m, hsched_operand *op)
{
    uint32_t order[HSCHED_MAX_DIMS];
    const uint32_t last = op->rank - 1;
    shuffle(m, order, last);
    int64_t stride = op->dims[last] + (chance(m, 30) ? range(m, 1, 5) : 0);
    op->strides[last] = 1;
    for (uint32_t k = last; k-- > 0;) {
        op->strides[order[k]] = stride;
        stride = stride * op->dims[order[k]] + (chance(m, 30) ? range(m, 1, 5) : 0);
    }
}

/* For operands of "any strides": often dense or channels-last, which kernels treat
 * specially. */
void random_set_any_strides(random_maker *m, hsched_operand *op, int is_input)
{
    int64_t way = range(m, 1, 100);
    if (way <= 35)
        random_set_dense(op, NULL);
    else if (way <= 65 && op->rank == 4)
        random_set_channels_last(m, op);
    else
        random_set_scattered(m, op, is_input);
}

void random_dims(random_maker *m, uint32_t rank, int64_t most_elements, int64_t *dims)
{
    for (;;) {
        int64_t count = 1;
        for (uint32_t d = 0; d < rank; d++) {
            dims[d] = chance(m, 15)   ? 1
                      : chance(m, 15) ? range(m, 16, 70)
                                      : range(m, 1, 17);
            count *= dims[d];
        }
        if (count <= most_elements)
            return;
    }
}

void random_constant(random_maker *m, uint32_t i, random_role role, double bound)
{
    random_input_role(m, i, role, bound);
    m->made->step.in[i].constant = m->made->in[i].block + m->made->in[i].first;
}

/* ---- Activations ---- */

/* The data that sums must be made of for the tolerance to mean something behind this
 * activation. */
static random_values data_for(hsched_activation_kind kind)
{
    switch (kind) {
    case HSCHED_ACTIVATION_EXP:
    case HSCHED_ACTIVATION_LOG:
    case HSCHED_ACTIVATION_SQRT:
    case HSCHED_ACTIVATION_RECIPROCAL:
        return RANDOM_VALUES_POSITIVE;
    case HSCHED_ACTIVATION_FLOOR:
    case HSCHED_ACTIVATION_CEIL:
    case HSCHED_ACTIVATION_THRESHOLDED_RELU:
    case HSCHED_ACTIVATION_ROUND:
    case HSCHED_ACTIVATION_SIGN:
    case HSCHED_ACTIVATION_FAKE_QUANTIZE:
        return RANDOM_VALUES_GRID;
    default:
        return RANDOM_VALUES_PLAIN;
    }
}

void random_set_activation(random_maker *m, hsched_activation_kind kind)
{
    hsched_activation *act = &m->made->step.act;
    act->kind = kind;
    /* Members that a kind does not name hold garbage. */
    act->a = uniform(m, -9, 9);
    act->b = uniform(m, -9, 9);
    switch (kind) {
    case HSCHED_ACTIVATION_LEAKY_RELU:
        act->a = uniform(m, 0.01, 0.5);
        break;
    case HSCHED_ACTIVATION_CLIP:
        act->a = chance(m, 50) ? 0 : uniform(m, -0.5, 0.1);
        act->b = chance(m, 50) ? 6 : uniform(m, 0.2, 1);
        break;
    case HSCHED_ACTIVATION_HARD_SIGMOID:
        act->a = uniform(m, 0.1, 0.5);
        act->b = uniform(m, 0.3, 0.7);
        break;
    case HSCHED_ACTIVATION_ELU:
        act->a = uniform(m, 0.5, 1.5);
        break;
    case HSCHED_ACTIVATION_SELU:
        act->a = 1.6732632f;
        act->b = 1.0507010f;
        break;
    case HSCHED_ACTIVATION_THRESHOLDED_RELU: /* off the grid of 1/16 */
        act->a = 0.28f + 0.25f * (float)range(m, -4, 4);
        break;
    case HSCHED_ACTIVATION_FAKE_QUANTIZE: /* ties far from that grid, or on it and exact */
        act->a = chance(m, 50) ? 0.2578125f : 0.125f;
        act->b = (float)range(m, -255, 0);
        break;
    default:
        break;
    }
    m->values = data_for(kind);
}

/* Defined everywhere, and not steep where sums are. */
static int is_tame(hsched_activation_kind kind)
{
    return kind != HSCHED_ACTIVATION_TAN && kind != HSCHED_ACTIVATION_ASIN &&
           kind != HSCHED_ACTIVATION_ACOS && kind != HSCHED_ACTIVATION_ACOSH &&
           kind != HSCHED_ACTIVATION_ATANH;
}

/* One behind a step of another kind: often none or ReLU, else any of them in turn. */
void random_fused_activation(random_maker *m)
{
    int64_t way = range(m, 1, 100);
    if (way <= 25)
        random_set_activation(m, HSCHED_ACTIVATION_NONE);
    else if (way <= 45)
        random_set_activation(m, HSCHED_ACTIVATION_RELU);
    else
        random_set_activation(m, is_tame((hsched_activation_kind)(m->index % 40))
                                     ? (hsched_activation_kind)(m->index % 40)
                                     : HSCHED_ACTIVATION_ATAN);
}

/* The bound of weights that makes sums over k products of size about one. */
double random_weight_bound(const random_maker *m, int64_t k)
{
    return m->values == RANDOM_VALUES_POSITIVE ? 2.0 / (double)k : 1.7 / sqrt((double)k);
}
