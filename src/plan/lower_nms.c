/*
 * Choosing boxes: a step chooses for each class, [B,C,M]; what it has chosen is then moved to the
 * front, as rows (image, class, box), by counting how many come before.
 */
#include "plan/passes.h"

static hsi_value *add_op(hsi_ir *ir, const hsi_layer *layer, hsi_op *op,
                         hsi_value *const *in)
{
    if (op == NULL)
        return NULL;
    for (uint32_t i = 0; i < op->in_count; i++) {
        if (in[i] == NULL)
            return NULL;
        op->in[i] = in[i];
    }
    if (op->out->tensor == layer->output)
        op->tensor = layer->output;
    return hsi_lower_add(ir, op) == HSCHED_OK ? op->out : NULL;
}

static hsi_op *new_op(hsi_ir *ir, const hsi_layer *layer, int kind, uint32_t inputs,
                      hsched_dtype dtype, uint32_t rank, const int64_t *dims)
{
    hsi_value *y = hsi_ir_value(ir, dtype, rank, dims);
    return y != NULL ? hsi_ir_op(ir, kind, layer->name, inputs, y) : NULL;
}

static hsi_value *number(hsi_ir *ir, int64_t value)
{
    int64_t *data = HSI_POOL_ARRAY(&ir->memory->weights, int64_t, 1);
    if (data == NULL)
        return NULL;
    *data = value;
    return hsi_ir_constant(ir, HSCHED_INT64, 0, NULL, data);
}

/* [B*C*M,2]: the image and class of every place; or [B*C*M,3] of -1. */
static hsi_value *table(hsi_ir *ir, const int64_t sizes[3], int64_t columns)
{
    const int64_t dims[2] = { sizes[0] * sizes[1] * sizes[2], columns };
    int64_t *data =
        HSI_POOL_ARRAY(&ir->memory->weights, int64_t, (size_t)(dims[0] * columns));
    if (data == NULL)
        return NULL;
    for (int64_t r = 0; r < dims[0]; r++)
        for (int64_t k = 0; k < columns; k++)
            data[r * columns + k] = columns == 3 ? -1
                                    : k == 0     ? r / (sizes[1] * sizes[2])
                                                 : r / sizes[2] % sizes[1];
    return hsi_ir_constant(ir, HSCHED_INT64, 2, dims, data);
}

/* Where in the result each of the chosen boxes goes; behind its end for none. */
static hsi_value *find_rows(hsi_ir *ir, const hsi_layer *layer, hsi_value *chosen)
{
    const int64_t *count = chosen->dims;
    hsi_op *is = new_op(ir, layer, HSCHED_STEP_BINARY, 2, HSCHED_BOOL, 1, count);
    if (is != NULL)
        is->step.u.binary.kind = HSCHED_BINARY_GREATER_OR_EQUAL;
    hsi_value *taken = add_op(ir, layer, is, (hsi_value *[]){ chosen, number(ir, 0) });
    hsi_op *cast = new_op(ir, layer, HSCHED_STEP_CAST, 1, HSCHED_INT64, 1, count);
    hsi_value *ones = add_op(ir, layer, cast, (hsi_value *[]){ taken });
    hsi_op *sum = new_op(ir, layer, HSCHED_STEP_CUMSUM, 1, HSCHED_INT64, 1, count);
    if (sum != NULL)
        sum->step.u.cumsum.exclusive = 1;
    hsi_value *before = add_op(ir, layer, sum, (hsi_value *[]){ ones });
    hsi_op *where = new_op(ir, layer, HSCHED_STEP_WHERE, 3, HSCHED_INT64, 1, count);
    return add_op(ir, layer, where,
                  (hsi_value *[]){ taken, before, number(ir, count[0]) });
}

hsched_status hsi_lower_nms(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                            hsi_value *out)
{
    const hsched_nms_config *c = &layer->attrs.nms;
    const char *name = layer->name;
    const int64_t images = in[1]->dims[0], classes = in[1]->dims[1];
    const int64_t sizes[3] = { images, classes, out->dims[0] / (images * classes) };
    const int64_t rows[2] = { out->dims[0], 1 };
    hsi_op *op = new_op(ir, layer, HSCHED_STEP_NMS, 2, HSCHED_INT64, 3, sizes);
    if (op == NULL)
        return hsi_ir_no_memory();
    op->step.u.nms.iou_threshold = c->iou_threshold;
    op->step.u.nms.score_threshold = c->score_threshold;
    op->step.u.nms.center = c->center_point_box != 0;
    hsi_value *chosen = add_op(ir, layer, op, in);
    hsi_value *flat = hsi_lower_reshape_to(ir, name, chosen, 1, rows);
    hsi_value *at = flat != NULL ? find_rows(ir, layer, flat) : NULL;
    hsi_op *join = new_op(ir, layer, HSI_OP_CONCAT, 2, HSCHED_INT64, 2, out->dims);
    if (join != NULL)
        join->axis = 1;
    hsi_value *all =
        add_op(ir, layer, join,
               (hsi_value *[]){ table(ir, sizes, 2),
                                hsi_lower_reshape_to(ir, name, flat, 2, rows) });
    hsi_op *put = hsi_ir_op(ir, HSCHED_STEP_SCATTER, name, 3, out);
    if (put != NULL)
        put->step.u.scatter.kind = HSCHED_SCATTER_SET;
    hsi_value *y =
        add_op(ir, layer, put,
               (hsi_value *[]){ table(ir, sizes, 3),
                                hsi_lower_reshape_to(ir, name, at, 2, rows), all });
    return y != NULL ? HSCHED_OK : hsi_ir_no_memory();
}
