/* Picking by indices: one step, for which whole rows are elements of three dimensions. */
#include "plan/passes.h"

#include <string.h>

static hsched_status add_step(hsi_ir *ir, const hsi_layer *layer, uint32_t axis,
                              hsi_value *x, hsi_value *indices, hsi_value *out)
{
    hsi_op *op = x != NULL && indices != NULL && out != NULL
                     ? hsi_ir_op(ir, HSCHED_STEP_GATHER, layer->name, 2, out)
                     : NULL;
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->in[1] = indices;
    op->step.u.gather.axis = axis;
    if (out->tensor == layer->output)
        op->tensor = layer->output;
    return hsi_lower_add(ir, op);
}

/* Along the second of three dimensions; `indices` are [x[0] or 1, count, 1]. */
static hsched_status gather_rows(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                 const int64_t *dims, hsi_value *indices, int64_t count,
                                 hsi_value *out)
{
    const int64_t y[3] = { dims[0], count, dims[2] };
    hsi_value *picked = out->rank == 3 && memcmp(out->dims, y, sizeof y) == 0
                            ? out
                            : hsi_ir_value(ir, out->dtype, 3, y);
    hsched_status status = add_step(
        ir, layer, 1, hsi_lower_reshape_to(ir, layer->name, x, 3, dims), indices, picked);
    if (status == HSCHED_OK && picked != out &&
        hsi_lower_reshape(ir, layer->name, picked, out) == NULL)
        status = hsi_ir_no_memory();
    return status;
}

/* x as [before, axis, behind], indices as [1, all of them, 1]. */
hsched_status hsi_lower_gather(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                               hsi_value *out)
{
    const uint32_t axis = (uint32_t)layer->attrs.softmax.axis;
    if (layer->kind == HSI_LAYER_GATHER_ELEMENTS)
        return add_step(ir, layer, axis, in[0], in[1], out);
    int64_t x[3] = { 1, in[0]->dims[axis], 1 }, indices[3] = { 1, 1, 1 };
    for (uint32_t d = 0; d < in[0]->rank; d++)
        if (d != axis)
            x[d < axis ? 0 : 2] *= in[0]->dims[d];
    for (uint32_t d = 0; d < in[1]->rank; d++)
        indices[1] *= in[1]->dims[d];
    return gather_rows(ir, layer, in[0], x,
                       hsi_lower_reshape_to(ir, layer->name, in[1], 3, indices),
                       indices[1], out);
}

hsi_value *hsi_lower_tuples(hsi_ir *ir, const hsi_layer *layer, hsi_value *tuples,
                            const int64_t *dims)
{
    if (tuples == NULL)
        return NULL;
    const int64_t y[3] = { tuples->dims[0], tuples->dims[1], 1 };
    hsi_value *places = hsi_ir_value(ir, HSCHED_INT64, 3, y);
    hsi_op *op = places != NULL
                     ? hsi_ir_op(ir, HSCHED_STEP_TUPLE_INDEX, layer->name, 1, places)
                     : NULL;
    if (op == NULL)
        return NULL;
    op->in[0] = tuples;
    memcpy(op->step.u.tuple_index.dims, dims, (size_t)tuples->dims[2] * sizeof *dims);
    return hsi_lower_add(ir, op) == HSCHED_OK ? places : NULL;
}

/* x as [batch, what tuples are about, behind], tuples as [batch, all of them, m]. */
hsched_status hsi_lower_gather_nd(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                  hsi_value *out)
{
    const uint32_t batch = (uint32_t)layer->attrs.batch_dims, last = in[1]->rank - 1;
    const int64_t m = in[1]->dims[last];
    int64_t x[3] = { 1, 1, 1 }, tuples[3] = { 1, 1, m };
    for (uint32_t d = 0; d < in[0]->rank; d++)
        x[d < batch ? 0 : d < batch + m ? 1 : 2] *= in[0]->dims[d];
    for (uint32_t d = 0; d < last; d++)
        tuples[d < batch ? 0 : 1] *= in[1]->dims[d];
    hsi_value *places = hsi_lower_tuples(
        ir, layer, hsi_lower_reshape_to(ir, layer->name, in[1], 3, tuples),
        in[0]->dims + batch);
    return gather_rows(ir, layer, in[0], x, places, tuples[1], out);
}
