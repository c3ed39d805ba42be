/* Named dimensions: which there are, their values, and where they go through the layers.
 */
#include "onnx/import.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "base/tensor.h"

/* ---- The model's inputs --------------------------------------------------- */

static const Onnx__TypeProto__Tensor *tensor_type(const Onnx__ValueInfoProto *input)
{
    const Onnx__TypeProto *type = input->type;
    return type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
               ? type->tensor_type
               : NULL;
}

static hsched_status check_input(const Onnx__ValueInfoProto *input)
{
    const Onnx__TypeProto__Tensor *type = tensor_type(input);
    if (!type)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "input '%.128s' is not declared as a tensor; only tensors are supported",
            input->name);
    if (hsi_onnx_dtype(type->elem_type) == HSCHED_DTYPE_NONE)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "input '%.128s' has the element type %s, which is not supported; convert "
            "the model to FLOAT",
            input->name, hsi_onnx_type_name(type->elem_type));
    if (!type->shape)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "input '%.128s' does not say how many dimensions it has; export the model "
            "with a shape for it",
            input->name);
    if (type->shape->n_dim > HSCHED_MAX_DIMS)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "input '%.128s' has %zu dimensions; at most %d are supported",
                         input->name, type->shape->n_dim, HSCHED_MAX_DIMS);
    return HSCHED_OK;
}

/* The symbol's name if the dimension is one, or NULL if it is a number; made up if it has
 * none. */
static const char *symbol_name(hsi_onnx_model *model, const Onnx__ValueInfoProto *input,
                               size_t k)
{
    const Onnx__TensorShapeProto__Dimension *dim = tensor_type(input)->shape->dim[k];
    switch (dim->value_case) {
    case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE:
        if (dim->dim_value >= 0)
            return NULL;
        break; /* -1, as some exporters write what is open */
    case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM:
        if (*dim->dim_param)
            return dim->dim_param;
        break;
    default:
        break;
    }
    const char *made = hsi_onnx_format(&model->arena, "%.128s_dim%zu", input->name, k);
    return made ? made : "";
}

static hsi_onnx_symbol *find(hsi_onnx_symbol *symbols, uint32_t count, const char *name)
{
    for (uint32_t k = 0; k < count; k++)
        if (strcmp(symbols[k].name, name) == 0)
            return &symbols[k];
    return NULL;
}

static hsched_status apply_config(const hsched_onnx_config *config,
                                  hsi_onnx_symbol *symbols, uint32_t count)
{
    for (uint32_t k = 0; k < config->symbol_count; k++) {
        const hsched_symbol *given = &config->symbols[k];
        if (!given->name || given->value < 0)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "hsched_onnx_config.symbols[%u]: needs a name and a value of at least 0",
                k);
        hsi_onnx_symbol *symbol = find(symbols, count, given->name);
        if (!symbol)
            return hsi_error(HSCHED_ERROR_NOT_FOUND,
                             "hsched_onnx_config.symbols[%u]: no input has a dimension "
                             "named '%.128s'; "
                             "%s%.128s",
                             k, given->name,
                             count ? "there is for instance " : "all are numbers",
                             count ? symbols[0].name : "");
        if (symbol->given)
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "hsched_onnx_config.symbols[%u]: '%.128s' is given twice", k,
                             given->name);
        symbol->value = given->value;
        symbol->given = 1;
    }
    for (uint32_t k = 0; k < count; k++)
        if (!symbols[k].given) {
            symbols[k].value = 1;
            hsi_log(HSCHED_LOG_INFO,
                    "ONNX: dimension '%.128s' was not set and is taken as 1",
                    symbols[k].name);
        }
    return HSCHED_OK;
}

hsched_status hsi_onnx_find_symbols(hsi_onnx_model *model,
                                    const hsched_onnx_config *config,
                                    hsi_onnx_symbol **result, uint32_t *result_count)
{
    hsi_onnx_symbol *symbols = NULL;
    uint32_t count = 0;
    if (model->input_count) {
        symbols =
            HSI_ONNX_NEW_ARRAY(&model->arena, hsi_onnx_symbol, HSI_ONNX_MAX_SYMBOLS);
        if (!symbols)
            return hsi_onnx_arena_error(&model->arena, "the symbols");
    }
    for (uint32_t i = 0; i < model->input_count; i++) {
        const Onnx__ValueInfoProto *input = model->values[model->inputs[i]].input;
        hsched_status status = check_input(input);
        if (status)
            return status;
        for (size_t k = 0; k < tensor_type(input)->shape->n_dim; k++) {
            const char *name = symbol_name(model, input, k);
            if (!name || find(symbols, count, name))
                continue;
            if (!*name)
                return hsi_onnx_arena_error(&model->arena, "the symbols");
            if (count == HSI_ONNX_MAX_SYMBOLS)
                return hsi_error(
                    HSCHED_ERROR_LIMIT,
                    "the model's inputs have more than %d dimensions without a number",
                    HSI_ONNX_MAX_SYMBOLS);
            symbols[count++].name = name;
        }
    }
    *result = symbols;
    *result_count = count;
    return apply_config(config, symbols, count);
}

static hsched_status declare(hsi_onnx_import *im, hsi_onnx_symbol *symbol)
{
    if (symbol->declared)
        return HSCHED_OK;
    symbol->declared = 1;
    return hsched_graph_set_symbol(im->graph, symbol->name, symbol->value, &symbol->code);
}

static hsched_status add_input(hsi_onnx_import *im, uint32_t value)
{
    const Onnx__ValueInfoProto *input = im->model->values[value].input;
    const Onnx__TypeProto__Tensor *type = tensor_type(input);
    int64_t dims[HSCHED_MAX_DIMS], sizes[HSCHED_MAX_DIMS];
    hsi_onnx_dim_tags tags = { { 0 } };
    uint32_t rank = (uint32_t)type->shape->n_dim;
    for (uint32_t k = 0; k < rank; k++) {
        const char *name = symbol_name(im->model, input, k);
        if (!name) {
            dims[k] = sizes[k] = type->shape->dim[k]->dim_value;
            continue;
        }
        hsi_onnx_symbol *symbol = find(im->symbols, im->symbol_count, name);
        if (!symbol)
            return hsi_onnx_arena_error(&im->model->arena, "the symbols");
        uint64_t bit = UINT64_C(1) << (symbol - im->symbols);
        dims[k] = sizes[k] = symbol->value;
        if (im->fixed & bit)
            continue;
        hsched_status status = declare(im, symbol);
        if (status)
            return status;
        dims[k] = symbol->code;
        tags.tags[k] = bit | HSI_ONNX_EXACT;
    }
    size_t bytes;
    if (!hsi_byte_size(hsi_onnx_dtype(type->elem_type), rank, sizes, &bytes) ||
        bytes > im->model->max_bytes)
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "input '%.128s' of shape %s has more than hsched_onnx_config.max_bytes, "
            "%llu bytes",
            input->name, hsi_shape_text(rank, sizes),
            (unsigned long long)im->model->max_bytes);
    if (bytes == 0)
        return hsi_onnx_empty_input(im, value, hsi_onnx_dtype(type->elem_type), rank,
                                    sizes);
    hsched_tensor tensor;
    hsched_status status = hsched_graph_add_input(
        im->graph, input->name, hsi_onnx_dtype(type->elem_type), rank, dims, &tensor);
    if (status)
        return status;
    im->states[value].tensor = tensor;
    status = hsi_onnx_track(im);
    if (!status && im->dim_tags)
        im->dim_tags[tensor] = tags;
    return status;
}

hsched_status hsi_onnx_add_inputs(hsi_onnx_import *im)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < im->symbol_count; k++)
        im->symbols[k].declared = 0;
    for (uint32_t k = 0; k < im->model->input_count && !status; k++)
        status = add_input(im, im->model->inputs[k]);
    return status;
}

/* ---- Using numbers that may be symbols ------------------------------------ */

void hsi_onnx_pin(hsi_onnx_import *im, uint64_t tag)
{
    im->pinned |= tag & ~HSI_ONNX_EXACT;
}

int64_t hsi_onnx_symbolic(hsi_onnx_import *im, int64_t value, uint64_t tag)
{
    if (tag & HSI_ONNX_EXACT)
        return im->symbols[__builtin_ctzll(tag)].code;
    hsi_onnx_pin(im, tag);
    return value;
}

uint64_t hsi_onnx_dim_tag(const hsi_onnx_import *im, hsched_tensor tensor, uint32_t k)
{
    return im->dim_tags ? im->dim_tags[tensor].tags[k] : 0;
}

void hsi_onnx_symbolic_dims(hsi_onnx_import *im, hsched_tensor tensor, int64_t *dims)
{
    hsi_onnx_dims(im, tensor, dims);
    for (uint32_t k = 0; k < hsi_onnx_rank(im, tensor); k++)
        dims[k] = hsi_onnx_symbolic(im, dims[k], hsi_onnx_dim_tag(im, tensor, k));
}
