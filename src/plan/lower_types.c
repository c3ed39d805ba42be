/*
 * Element types. Tensors of float16 and bfloat16 are computed as float32: inside, a value
 * of float32 stands for each of them. Casts at inputs and outputs convert, constants are
 * converted here, once. What a layer makes is not rounded in between; only where the graph
 * casts to a narrow type itself it is, there and back.
 */
#include "plan/passes.h"

#include <string.h>

#include "base/element.h"
#include "base/tensor.h"

hsched_dtype hsi_lower_dtype(hsched_dtype dtype)
{
    return hsi_is_narrow_float(dtype) ? HSCHED_FLOAT32 : dtype;
}

hsi_value *hsi_lower_cast_value(hsi_ir *ir, const char *name, hsi_value *x,
                                hsched_dtype dtype, hsched_tensor tensor)
{
    hsi_value *out = hsi_ir_value(ir, dtype, x->rank, x->dims);
    hsi_op *op = out != NULL ? hsi_ir_op(ir, HSCHED_STEP_CAST, name, 1, out) : NULL;
    if (op == NULL)
        return NULL;
    op->in[0] = x;
    op->tensor = tensor;
    return hsi_lower_add(ir, op) == HSCHED_OK ? out : NULL;
}

static int is_read(const hsi_ir *ir, const hsi_value *value)
{
    for (const hsi_op *op = ir->first; op != NULL; op = op->next)
        for (uint32_t i = 0; i < op->in_count; i++)
            if (op->in[i] == value)
                return 1;
    return 0;
}

/* Where x was widened from that type it is what it was made of, and the widening goes if
 * nothing else reads it. */
hsi_value *hsi_lower_narrow_output(hsi_ir *ir, const char *name, hsi_value *x,
                                   hsched_dtype dtype)
{
    hsi_op *widening = x->producer;
    if (widening == NULL || widening->kind != HSCHED_STEP_CAST ||
        widening->in[0]->dtype != dtype || widening->in[0]->producer == NULL)
        return hsi_lower_cast_value(ir, name, x, dtype, HSCHED_NO_TENSOR);
    const int linked = widening->previous != NULL || ir->first == widening;
    if (linked && !is_read(ir, x)) {
        widening->in[0]->producer->tensor = widening->tensor;
        hsi_ir_remove(ir, widening);
    }
    return widening->in[0];
}

hsi_value *hsi_lower_narrow_constant(hsi_ir *ir, const hsi_graph_tensor *tensor)
{
    float *wide;
    size_t count;
    hsi_value *value = hsi_ir_weights(ir, tensor->rank, tensor->dims, &wide);
    if (value == NULL || !hsi_element_count(tensor->rank, tensor->dims, &count))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        uint16_t bits; /* a mapped file's data may lie at any address */
        memcpy(&bits, (const char *)tensor->data + i * sizeof bits, sizeof bits);
        wide[i] = tensor->dtype == HSCHED_FLOAT16 ? hsi_float_of_half(bits)
                                                  : hsi_float_of_bfloat(bits);
    }
    return value;
}

hsched_status hsi_lower_cast(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                             hsi_value *out)
{
    const hsched_dtype from = ir->graph->tensors[layer->inputs[0]].dtype;
    const hsched_dtype to = layer->attrs.cast;
    if (hsi_is_narrow_float(to) && from != to) {
        x = hsi_lower_cast_value(ir, layer->name, x, to, HSCHED_NO_TENSOR);
        if (x == NULL)
            return hsi_ir_no_memory();
    }
    if (x->dtype == out->dtype)
        return hsi_lower_reshape(ir, layer->name, x, out) != NULL ? HSCHED_OK
                                                                  : hsi_ir_no_memory();
    hsi_op *op = hsi_ir_op(ir, HSCHED_STEP_CAST, layer->name, 1, out);
    if (op == NULL)
        return hsi_ir_no_memory();
    op->in[0] = x;
    op->tensor = layer->output;
    return hsi_lower_add(ir, op);
}
