/* Reductions: steps of the kinds that have kernels, with element-wise ones around them for the
 * others. */
#include "plan/passes.h"

#include <float.h>
#include <string.h>

/* `out`: the layer's own, or NULL for a value between. */
static hsi_value *add_step(hsi_ir *ir, const hsi_layer *layer, int kind,
                           uint32_t in_count, hsi_value *const *in, const int64_t *dims,
                           hsi_value *out, hsi_op **made)
{
    for (uint32_t i = 0; i < in_count; i++)
        if (in[i] == NULL)
            return NULL;
    hsi_value *y = out != NULL ? out : hsi_ir_value(ir, in[0]->dtype, in[0]->rank, dims);
    hsi_op *op = y != NULL ? hsi_ir_op(ir, kind, layer->name, in_count, y) : NULL;
    if (op == NULL)
        return NULL;
    memcpy(op->in, in, in_count * sizeof *in);
    if (out != NULL && out->tensor == layer->output)
        op->tensor = layer->output;
    *made = op;
    return y;
}

static hsi_value *unary(hsi_ir *ir, const hsi_layer *layer, hsched_activation_kind kind,
                        hsi_value *x, hsi_value *out)
{
    hsi_op *op;
    hsi_value *y = add_step(ir, layer, HSCHED_STEP_UNARY, 1, &x,
                            x != NULL ? x->dims : NULL, out, &op);
    if (y == NULL)
        return NULL;
    op->step.act.kind = kind;
    return hsi_lower_add(ir, op) == HSCHED_OK ? y : NULL;
}

/* In a's shape, to which b broadcasts. */
static hsi_value *binary(hsi_ir *ir, const hsi_layer *layer, hsched_binary_kind kind,
                         hsi_value *a, hsi_value *b, hsi_value *out)
{
    hsi_op *op;
    hsi_value *const in[2] = { a, b };
    hsi_value *y = add_step(ir, layer, HSCHED_STEP_BINARY, 2, in,
                            a != NULL ? a->dims : NULL, out, &op);
    if (y == NULL)
        return NULL;
    op->step.u.binary.kind = kind;
    return hsi_lower_add(ir, op) == HSCHED_OK ? y : NULL;
}

/* 1 if only H and W of an image are reduced: a pooling then, which is the faster step. */
static int is_pooling(const hsi_value *x, const int64_t *dims)
{
    return x->dtype == HSCHED_FLOAT32 && x->rank == 4 && dims[0] == x->dims[0] &&
           dims[1] == x->dims[1] && dims[2] == 1 && dims[3] == 1;
}

static hsi_value *reduce(hsi_ir *ir, const hsi_layer *layer, hsched_reduce_kind kind,
                         hsi_value *x, const int64_t *dims, hsi_value *out)
{
    hsi_op *op;
    const int pools = x != NULL && is_pooling(x, dims) &&
                      (kind == HSCHED_REDUCE_MEAN || kind == HSCHED_REDUCE_MAX);
    hsi_value *y = add_step(ir, layer, pools ? HSCHED_STEP_POOL2D : HSCHED_STEP_REDUCE, 1,
                            &x, dims, out, &op);
    if (y == NULL)
        return NULL;
    if (pools) {
        op->step.u.pool2d.kind =
            kind == HSCHED_REDUCE_MAX ? HSCHED_POOL_MAX : HSCHED_POOL_AVERAGE;
        for (int i = 0; i < 2; i++) {
            op->step.u.pool2d.kernel[i] = x->dims[2 + i];
            op->step.u.pool2d.strides[i] = 1;
            op->step.u.pool2d.dilations[i] = 1;
        }
    } else {
        op->step.u.reduce.kind = kind;
    }
    return hsi_lower_add(ir, op) == HSCHED_OK ? y : NULL;
}

/* The same of float64, whose bounds no activation holds. */
static hsi_value *finite_double(hsi_ir *ir, const hsi_layer *layer, hsi_value *x)
{
    static const double least = -DBL_MAX, most = DBL_MAX;
    hsi_value *low = hsi_ir_constant(ir, HSCHED_FLOAT64, 0, NULL, &least),
              *high = hsi_ir_constant(ir, HSCHED_FLOAT64, 0, NULL, &most);
    return binary(ir, layer, HSCHED_BINARY_MIN,
                  binary(ir, layer, HSCHED_BINARY_MAX, x, low, NULL), high, NULL);
}

/* The nearest finite number. */
static hsi_value *finite(hsi_ir *ir, const hsi_layer *layer, hsi_value *x)
{
    hsi_op *op;
    if (x != NULL && x->dtype == HSCHED_FLOAT64)
        return finite_double(ir, layer, x);
    hsi_value *y = add_step(ir, layer, HSCHED_STEP_UNARY, 1, &x,
                            x != NULL ? x->dims : NULL, NULL, &op);
    if (y == NULL)
        return NULL;
    op->step.act = (hsched_activation){ HSCHED_ACTIVATION_CLIP, -FLT_MAX, FLT_MAX };
    return hsi_lower_add(ir, op) == HSCHED_OK ? y : NULL;
}

/* log(sum(exp(x - m))) + m with the largest m, so that nothing overflows; it is made finite,
 * since the difference of two infinities is no number. */
static hsi_value *log_sum_exp(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                              const int64_t *dims, hsi_value *out)
{
    hsi_value *most =
        finite(ir, layer, reduce(ir, layer, HSCHED_REDUCE_MAX, x, dims, NULL));
    hsi_value *less = binary(ir, layer, HSCHED_BINARY_SUB, x, most, NULL);
    hsi_value *exponentials = unary(ir, layer, HSCHED_ACTIVATION_EXP, less, NULL);
    hsi_value *sum = reduce(ir, layer, HSCHED_REDUCE_SUM, exponentials, dims, NULL);
    hsi_value *log = unary(ir, layer, HSCHED_ACTIVATION_LOG, sum, NULL);
    return binary(ir, layer, HSCHED_BINARY_ADD, log, most, out);
}

/* What is reduced to `dims`, of x's rank. */
static hsi_value *by_kind(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                          const int64_t *dims, hsi_value *out)
{
    const hsched_reduce_kind kind = layer->attrs.axes.reduce, sum = HSCHED_REDUCE_SUM;
    hsi_value *inner;
    switch (kind) {
    case HSCHED_REDUCE_L1:
        inner = unary(ir, layer, HSCHED_ACTIVATION_ABS, x, NULL);
        return reduce(ir, layer, sum, inner, dims, out);
    case HSCHED_REDUCE_SUM_SQUARE:
        inner = binary(ir, layer, HSCHED_BINARY_MUL, x, x, NULL);
        return reduce(ir, layer, sum, inner, dims, out);
    case HSCHED_REDUCE_L2:
        inner = binary(ir, layer, HSCHED_BINARY_MUL, x, x, NULL);
        inner = reduce(ir, layer, sum, inner, dims, NULL);
        return unary(ir, layer, HSCHED_ACTIVATION_SQRT, inner, out);
    case HSCHED_REDUCE_LOG_SUM:
        inner = reduce(ir, layer, sum, x, dims, NULL);
        return unary(ir, layer, HSCHED_ACTIVATION_LOG, inner, out);
    case HSCHED_REDUCE_LOG_SUM_EXP:
        return log_sum_exp(ir, layer, x, dims, out);
    default:
        return reduce(ir, layer, kind, x, dims, out);
    }
}

/* Dropped dimensions go by a reshape. */
hsched_status hsi_lower_reduce(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                               hsi_value *out)
{
    int64_t dims[HSCHED_MAX_DIMS];
    memcpy(dims, x->dims, sizeof dims);
    for (uint32_t i = 0; i < layer->attrs.axes.count; i++)
        dims[layer->attrs.axes.axes[i]] = 1;
    hsi_value *kept =
        out->rank == x->rank ? out : hsi_ir_value(ir, x->dtype, x->rank, dims);
    if (kept == NULL || by_kind(ir, layer, x, dims, kept) == NULL)
        return hsi_ir_no_memory();
    if (kept != out && hsi_lower_reshape(ir, layer->name, kept, out) == NULL)
        return hsi_ir_no_memory();
    return HSCHED_OK;
}
