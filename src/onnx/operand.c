/* Inputs and outputs of a node that is being imported. */
#include "onnx/import.h"

#include <stdint.h>
#include <string.h>

#include "base/status.h"
#include "base/tensor.h"

#include "onnx/fold.h"

/* Weights of float64 are converted only where they are few. */
#define MAX_CONVERTED 65536

int hsi_onnx_has_input(const hsi_onnx_node *node, uint32_t k)
{
    return k < node->input_count && node->inputs[k] != HSI_ONNX_NONE;
}

const hsi_onnx_constant *hsi_onnx_constant_input(const hsi_onnx_import *im,
                                                 const hsi_onnx_node *node, uint32_t k)
{
    return hsi_onnx_has_input(node, k) ? im->states[node->inputs[k]].constant : NULL;
}

static hsched_status check_present(const hsi_onnx_node *node, uint32_t k)
{
    if (hsi_onnx_has_input(node, k))
        return HSCHED_OK;
    return hsi_onnx_malformed(node, "input %u is missing", k);
}

/* ---- Constants as tensors of the graph ------------------------------------ */

/* A graph holds numbers; those that came from symbols are numbers from now on. */
static void pin_all(hsi_onnx_import *im, const hsi_onnx_constant *c)
{
    for (size_t k = 0; c->tags && k < c->count; k++)
        hsi_onnx_pin(im, c->tags[k]);
}

static hsched_status add_constant(hsi_onnx_import *im, const char *name,
                                  const hsi_onnx_constant *c, hsched_tensor *tensor)
{
    pin_all(im, c);
    /* In the file, data may lie anywhere; kernels want it at multiples of its element's
     * size. */
    int aligned = (uintptr_t)c->data % hsched_dtype_size(c->dtype) == 0;
    hsched_status status = hsched_graph_add_constant(
        im->graph, name, c->dtype, c->rank, c->dims, c->data, c->size,
        c->lasting && aligned ? HSCHED_DATA_BORROW : HSCHED_DATA_COPY, tensor);
    return status ? status : hsi_onnx_track(im);
}

hsched_status hsi_onnx_add_constant(hsi_onnx_import *im, const hsi_onnx_node *node,
                                    const char *name, const hsi_onnx_constant *c,
                                    hsched_tensor *tensor)
{
    if (c->count == 0)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "node '%.128s' (%.64s): input '%.128s' is empty, %s",
                         node->label, node->op, name, hsi_shape_text(c->rank, c->dims));
    return hsi_onnx_at_node(node, add_constant(im, name, c, tensor));
}

static hsched_status constant_tensor(hsi_onnx_import *im, const hsi_onnx_node *node,
                                     uint32_t k)
{
    hsi_onnx_state *state = &im->states[node->inputs[k]];
    const hsi_onnx_value *value = &im->model->values[node->inputs[k]];
    const char *name = value->name;
    if (value->is_output) /* its name belongs to the layer that will make the output */
        name = hsi_onnx_made_name(im, name, "constant");
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_add_constant(im, node, name, state->constant, &state->tensor);
}

hsched_status hsi_onnx_input(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k,
                             hsched_tensor *tensor)
{
    *tensor = HSCHED_NO_TENSOR;
    hsched_status status = check_present(node, k);
    if (status)
        return status;
    const hsi_onnx_state *state = &im->states[node->inputs[k]];
    if (state->tensor == HSCHED_NO_TENSOR && state->constant)
        status = constant_tensor(im, node, k);
    else if (state->tensor == HSCHED_NO_TENSOR && state->levels)
        status = hsi_onnx_make_levels(im, node->inputs[k]);
    *tensor = state->tensor;
    return status;
}

/* Another tensor than what others see of the constant, which stays float64 for them. */
static hsched_status narrow_weights(hsi_onnx_import *im, const hsi_onnx_node *node,
                                    const hsi_onnx_constant *c, hsched_tensor *tensor)
{
    if (c->count > MAX_CONVERTED)
        return hsi_onnx_unsupported(im, node,
                                    "weights of %s; convert the model to float32",
                                    hsched_dtype_name(c->dtype));
    hsched_status status = hsi_onnx_cast(im, node, c, HSCHED_FLOAT32, &c);
    if (status)
        return status;
    const char *name = hsi_onnx_made_name(im, node->label, "narrow");
    return name ? hsi_onnx_add_constant(im, node, name, c, tensor)
                : hsi_onnx_no_memory(im, node);
}

hsched_status hsi_onnx_weights(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k,
                               hsched_tensor *tensor)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, k);
    *tensor = HSCHED_NO_TENSOR;
    if (!hsi_onnx_has_input(node, k))
        return HSCHED_OK;
    if (!c)
        return hsi_onnx_unsupported(im, node,
                                    "input %u is computed at run time, not constant", k);
    return c->dtype == HSCHED_FLOAT64 ? narrow_weights(im, node, c, tensor)
                                      : hsi_onnx_input(im, node, k, tensor);
}

hsched_status hsi_onnx_add_floats(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  const char *suffix, uint32_t rank, const int64_t *dims,
                                  const float *data, hsched_tensor *tensor)
{
    hsi_onnx_constant c = { .dtype = HSCHED_FLOAT32, .rank = rank, .data = data };
    if (rank)
        memcpy(c.dims, dims, rank * sizeof *dims);
    *tensor = HSCHED_NO_TENSOR;
    if (!hsi_byte_size(c.dtype, rank, dims, &c.size))
        return hsi_error(HSCHED_ERROR_LIMIT, "node '%.128s': a constant is too large",
                         node->label);
    const char *name = hsi_onnx_made_name(im, node->label, suffix);
    if (!name)
        return hsi_onnx_no_memory(im, node);
    return hsi_onnx_at_node(node, add_constant(im, name, &c, tensor));
}

/* ---- Constants as numbers ------------------------------------------------- */

hsched_status hsi_onnx_ints_input(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  uint32_t k, const int64_t **values, uint32_t *count)
{
    *values = NULL;
    *count = 0;
    if (!hsi_onnx_has_input(node, k))
        return HSCHED_OK;
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, k);
    if (!c)
        return hsi_onnx_unsupported(im, node,
                                    "input %u is computed at run time, not constant", k);
    if ((c->dtype != HSCHED_INT64 && c->dtype != HSCHED_INT32) || c->rank > 1 ||
        c->count > UINT32_MAX)
        return hsi_onnx_malformed(
            node, "input %u is no list of integers, but %s of shape %s", k,
            hsched_dtype_name(c->dtype), hsi_shape_text(c->rank, c->dims));
    int64_t *list = HSI_ONNX_NEW_ARRAY(&im->arena, int64_t, c->count);
    if (!list)
        return hsi_onnx_no_memory(im, node);
    for (size_t i = 0; i < c->count; i++)
        list[i] = hsi_onnx_get_int(c, i);
    pin_all(im, c);
    *values = list;
    *count = (uint32_t)c->count;
    return HSCHED_OK;
}

hsched_status hsi_onnx_ints(hsi_onnx_import *im, const hsi_onnx_node *node,
                            const char *name, int64_t since, uint32_t k,
                            const int64_t **values, uint32_t *count)
{
    return node->version < since ? hsi_onnx_attr_ints(node, name, values, count)
                                 : hsi_onnx_ints_input(im, node, k, values, count);
}

hsched_status hsi_onnx_float_input(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   uint32_t k, float fallback, float *value)
{
    *value = fallback;
    if (!hsi_onnx_has_input(node, k))
        return HSCHED_OK;
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, k);
    if (!c)
        return hsi_onnx_unsupported(im, node,
                                    "input %u is computed at run time, not constant", k);
    if (c->count != 1)
        return hsi_onnx_malformed(node, "input %u has %zu numbers instead of one", k,
                                  c->count);
    pin_all(im, c);
    *value = (float)hsi_onnx_get_float(c, 0);
    return HSCHED_OK;
}

/* ---- Outputs -------------------------------------------------------------- */

const char *hsi_onnx_made_name(hsi_onnx_import *im, const char *base, const char *suffix)
{
    for (;;) {
        const char *name =
            hsi_onnx_format(&im->arena, "%.128s/%s_%u", base, suffix, im->made_names++);
        if (!name || hsi_onnx_find_value(im->model, name) == HSI_ONNX_NONE)
            return name;
    }
}

const char *hsi_onnx_output_name(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 uint32_t k)
{
    if (k < node->output_count && node->outputs[k] != HSI_ONNX_NONE)
        return im->model->values[node->outputs[k]].name;
    return hsi_onnx_made_name(im, node->label, "output");
}

void hsi_onnx_set_tensor(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k,
                         hsched_tensor tensor)
{
    if (k < node->output_count && node->outputs[k] != HSI_ONNX_NONE)
        im->states[node->outputs[k]].tensor = tensor;
}

void hsi_onnx_set_constant(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k,
                           const hsi_onnx_constant *constant)
{
    if (k < node->output_count && node->outputs[k] != HSI_ONNX_NONE)
        im->states[node->outputs[k]].constant = constant;
}

hsched_status hsi_onnx_alias(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, 0);
    hsched_tensor x;
    if (c) {
        hsi_onnx_set_constant(im, node, k, c);
        return HSCHED_OK;
    }
    if (hsi_onnx_has_input(node, 0) && im->states[node->inputs[0]].sequence) {
        if (k < node->output_count && node->outputs[k] != HSI_ONNX_NONE)
            im->states[node->outputs[k]].sequence = im->states[node->inputs[0]].sequence;
        return HSCHED_OK;
    }
    if (hsi_onnx_has_input(node, 0) && im->states[node->inputs[0]].nothing) {
        if (k < node->output_count && node->outputs[k] != HSI_ONNX_NONE)
            im->states[node->outputs[k]].nothing = 1;
        return HSCHED_OK;
    }
    hsched_status status = hsi_onnx_input(im, node, 0, &x);
    if (!status)
        hsi_onnx_set_tensor(im, node, k, x);
    return status;
}

int hsi_onnx_output_used(const hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k)
{
    return k < node->output_count && node->outputs[k] != HSI_ONNX_NONE &&
           im->model->values[node->outputs[k]].used;
}

/* ---- Shapes --------------------------------------------------------------- */

uint32_t hsi_onnx_rank(const hsi_onnx_import *im, hsched_tensor tensor)
{
    return im->graph->tensors[tensor].rank;
}

void hsi_onnx_dims(const hsi_onnx_import *im, hsched_tensor tensor, int64_t *dims)
{
    memcpy(dims, im->graph->tensors[tensor].dims,
           hsi_onnx_rank(im, tensor) * sizeof *dims);
}

hsched_status hsi_onnx_axis(const hsi_onnx_node *node, int64_t axis, uint32_t rank,
                            uint32_t limit, uint32_t *result)
{
    if (axis < -(int64_t)rank || axis >= (int64_t)limit)
        return hsi_onnx_malformed(node, "axis %lld is outside a tensor of %u dimensions",
                                  (long long)axis, rank);
    *result = (uint32_t)(axis < 0 ? axis + rank : axis);
    return HSCHED_OK;
}
