/* Matrix products: with constant right operands they are fully connected layers. */
#include "plan/passes.h"

#include <string.h>

#include "base/tensor.h"

/* Rank 2 at least: a vector on the left is a row, on the right a column. */
static hsi_value *as_matrix(hsi_ir *ir, const hsi_layer *layer, hsi_value *x, int is_left)
{
    if (x->rank != 1)
        return x;
    int64_t dims[2] = { is_left ? 1 : x->dims[0], is_left ? x->dims[0] : 1 };
    return hsi_lower_reshape(ir, layer->name, x, hsi_ir_value(ir, x->dtype, 2, dims));
}

/* a [..., K] as [M, K], times the constant b [K, N]: FC with weights [N, K]. */
static hsched_status lower_as_fc(hsi_ir *ir, const hsi_layer *layer, hsi_value *a,
                                 hsi_value *b, hsi_value *out)
{
    const int64_t inner = b->dims[b->rank - 2], width = b->dims[b->rank - 1];
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < a->rank; i++)
        rows *= a->dims[i];
    float *weights;
    hsi_value *w = hsi_ir_weights(ir, 2, (int64_t[]){ width, inner }, &weights);
    if (w == NULL)
        return hsi_ir_no_memory();
    const float *from = b->data;
    for (int64_t k = 0; k < inner; k++)
        for (int64_t n = 0; n < width; n++)
            weights[n * inner + k] = from[k * width + n];

    const int64_t x_dims[2] = { rows, inner }, y_dims[2] = { rows, width };
    hsi_value *x = a, *y = out;
    if (a->rank != 2)
        x = hsi_lower_reshape(ir, layer->name, a, hsi_ir_value(ir, a->dtype, 2, x_dims));
    if (out->rank != 2 || out->dims[0] != rows || out->dims[1] != width)
        y = hsi_ir_value(ir, out->dtype, 2, y_dims);
    hsi_op *op =
        x != NULL && y != NULL ? hsi_ir_op(ir, HSCHED_STEP_FC, layer->name, 3, y) : NULL;
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->in[1] = w;
    op->tensor = layer->output;
    op->macs = hsi_layer_macs(ir->graph, layer);
    hsched_status status = hsi_lower_add(ir, op);
    if (status == HSCHED_OK && y != out &&
        hsi_lower_reshape(ir, layer->name, y, out) == NULL)
        status = hsi_ir_no_memory();
    return status;
}

/* x [M,K], weights [O,K] and bias [O], which is an addition. */
hsched_status hsi_lower_fc_of_float64(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                      hsi_value *out)
{
    hsi_value *w = in[1], *bias = in[2], *y = out;
    hsi_value *turned =
        hsi_ir_value(ir, w->dtype, 2, (const int64_t[2]){ w->dims[1], w->dims[0] });
    hsi_op *turn =
        turned != NULL ? hsi_ir_op(ir, HSI_OP_TRANSPOSE, layer->name, 1, turned) : NULL;
    if (turn == NULL)
        return hsi_ir_no_memory();
    turn->in[0] = w;
    turn->perm[0] = 1;
    turn->perm[1] = 0;
    hsched_status status = hsi_lower_add(ir, turn);
    if (status == HSCHED_OK && bias != NULL)
        y = hsi_ir_value(ir, out->dtype, out->rank, out->dims);
    if (y == NULL)
        return hsi_ir_no_memory();
    if (status == HSCHED_OK)
        status = hsi_lower_matmul(ir, layer, in[0], turned, y);
    if (status != HSCHED_OK || bias == NULL)
        return status;
    hsi_op *add = hsi_ir_op(ir, HSCHED_STEP_BINARY, layer->name, 2, out);
    if (add == NULL)
        return hsi_ir_no_memory();
    add->in[0] = y;
    add->in[1] = bias;
    add->step.u.binary.kind = HSCHED_BINARY_ADD;
    add->tensor = layer->output;
    return hsi_lower_add(ir, add);
}

hsched_status hsi_lower_matmul(hsi_ir *ir, const hsi_layer *layer, hsi_value *a,
                               hsi_value *b, hsi_value *out)
{
    a = as_matrix(ir, layer, a, 1);
    b = b != NULL ? as_matrix(ir, layer, b, 0) : NULL;
    if (a == NULL || b == NULL)
        return hsi_ir_no_memory();
    int64_t matrices = 1;
    for (uint32_t i = 0; i + 2 < b->rank; i++)
        matrices *= b->dims[i];
    if (b->data != NULL && a->data == NULL && matrices == 1 && a->dtype == HSCHED_FLOAT32)
        return lower_as_fc(ir, layer, a, b, out);

    /* The step's output has the last two dimensions, even where numpy drops them. */
    uint32_t rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dims[HSCHED_MAX_DIMS];
    for (uint32_t i = 0; i + 2 < rank; i++) {
        int64_t from_a = i + a->rank >= rank ? a->dims[i + a->rank - rank] : 1;
        int64_t from_b = i + b->rank >= rank ? b->dims[i + b->rank - rank] : 1;
        dims[i] = from_a > from_b ? from_a : from_b;
    }
    dims[rank - 2] = a->dims[a->rank - 2];
    dims[rank - 1] = b->dims[b->rank - 1];
    hsi_value *y = out;
    if (out->rank != rank)
        y = hsi_ir_value(ir, out->dtype, rank, dims);
    hsi_op *op = y != NULL ? hsi_ir_op(ir, HSCHED_STEP_MATMUL, layer->name, 2, y) : NULL;
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = a;
    op->in[1] = b;
    op->tensor = layer->output;
    op->macs = hsi_layer_macs(ir->graph, layer);
    hsched_status status = hsi_lower_add(ir, op);
    if (status == HSCHED_OK && y != out &&
        hsi_lower_reshape(ir, layer->name, y, out) == NULL)
        status = hsi_ir_no_memory();
    return status;
}
