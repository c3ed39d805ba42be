/* Named dimensions, and inferring a graph again when their values change. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "base/tensor.h"
#include "graph/build.h"
#include "graph/infer.h"

static uint32_t find_symbol(const hsched_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->symbol_count; i++)
        if (strcmp(graph->symbols[i].name, name) == 0)
            return i;
    return HSI_NO_INDEX;
}

static hsched_status check_value(const char *name, int64_t value)
{
    if (!name || !*name)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "a symbol has no name; give one of at least one character");
    if (value < 1)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "symbol '%.200s' cannot have the value %lld; give at least 1",
                         name, (long long)value);
    return HSCHED_OK;
}

static hsched_status append_symbol(hsched_graph *graph, const char *name, int64_t value,
                                   int was_set)
{
    if (graph->symbol_count >= HSI_MAX_SYMBOLS)
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "graph '%.200s' has %u symbols, which is the limit, so there is no "
            "room for '%.200s'; use numbers",
            graph->name, graph->symbol_count, name);
    char *copy = hsi_strdup(name);
    if (!copy || !HSI_GROW(graph->symbols, graph->symbol_count, graph->symbol_capacity)) {
        hsi_free(copy);
        return hsi_out_of_memory("a symbol of a graph");
    }
    graph->symbols[graph->symbol_count++] = (hsi_symbol){ copy, value, was_set };
    return HSCHED_OK;
}

/* Infers one layer again; its output keeps its rank. */
static hsched_status infer_again(const hsi_symbol *symbols, uint32_t symbol_count,
                                 hsi_graph_tensor *tensors, hsi_layer *layer)
{
    hsi_graph_tensor *y = &tensors[layer->output];
    hsi_infer f = { .tensors = tensors,
                    .symbols = symbols,
                    .symbol_count = symbol_count,
                    .inputs = layer->inputs,
                    .input_count = layer->input_count,
                    .given = &layer->given,
                    .attrs = &layer->attrs };
    hsched_status status = hsi_infer_layer(layer->kind, &f);
    /* Attributes of the layers behind have one entry for each dimension. */
    if (status == HSCHED_OK && f.rank != y->rank)
        status =
            hsi_error(HSCHED_ERROR_SHAPE,
                      "the output's shape changes from %s to %s and so to another number "
                      "of dimensions; name the axes to be dropped",
                      hsi_shape_text(y->rank, y->dims), hsi_shape_text(f.rank, f.dims));
    if (status != HSCHED_OK)
        return hsi_error_prefix(
            status, "with other values of symbols, layer '%.200s' (%s): ", layer->name,
            hsi_layer_kind_name(layer->kind));
    memcpy(y->dims, f.dims, sizeof y->dims);
    return HSCHED_OK;
}

hsched_status hsi_graph_infer_all(const hsched_graph *graph, const hsi_symbol *symbols,
                                  hsi_graph_tensor *tensors, hsi_layer *layers)
{
    for (uint32_t k = 0; k < graph->input_count; k++) {
        hsi_graph_tensor *t = &tensors[graph->inputs[k]];
        for (uint32_t i = 0; i < t->rank; i++)
            if (t->symbols[i] != HSI_NO_INDEX)
                t->dims[i] = symbols[t->symbols[i]].value;
        hsched_status status = hsi_check_size(t->dtype, t->rank, t->dims);
        if (status != HSCHED_OK)
            return hsi_error_prefix(
                status, "with other values of symbols, input '%.200s': ", t->name);
    }
    for (uint32_t i = 0; i < graph->layer_count; i++) {
        hsched_status status =
            infer_again(symbols, graph->symbol_count, tensors, &layers[i]);
        if (status != HSCHED_OK)
            return status;
    }
    return HSCHED_OK;
}

/* A copy of an array with room for `capacity` elements; an empty one is fine. */
static void *copy_array(const void *array, uint32_t count, uint32_t capacity, size_t size)
{
    void *copy = hsi_calloc(capacity, size);
    if (copy && count)
        memcpy(copy, array, count * size);
    return copy;
}

/* Infers on copies, which then take the place of the graph's arrays. */
static hsched_status change_symbol(hsched_graph *graph, uint32_t symbol, int64_t value)
{
    hsi_symbol *symbols = copy_array(graph->symbols, graph->symbol_count,
                                     graph->symbol_capacity, sizeof *symbols);
    hsi_graph_tensor *tensors = copy_array(graph->tensors, graph->tensor_count,
                                           graph->tensor_capacity, sizeof *tensors);
    hsi_layer *layers = copy_array(graph->layers, graph->layer_count,
                                   graph->layer_capacity, sizeof *layers);
    hsched_status status = HSCHED_OK;
    if (!symbols || !tensors || !layers) {
        status = hsi_out_of_memory("a copy of a graph, to infer its shapes again");
        goto done;
    }
    symbols[symbol].value = value;
    symbols[symbol].was_set = 1;
    status = hsi_graph_infer_all(graph, symbols, tensors, layers);
    if (status == HSCHED_OK) {
        hsi_symbol *old_symbols = graph->symbols;
        hsi_graph_tensor *old_tensors = graph->tensors;
        hsi_layer *old_layers = graph->layers;
        graph->symbols = symbols;
        graph->tensors = tensors;
        graph->layers = layers;
        symbols = old_symbols;
        tensors = old_tensors;
        layers = old_layers;
    }
done:
    hsi_free(symbols);
    hsi_free(tensors);
    hsi_free(layers);
    return status;
}

HSCHED_API hsched_status hsched_graph_set_symbol(hsched_graph *graph, const char *name,
                                                 int64_t value, int64_t *dim)
{
    if (dim)
        *dim = 0;
    hsched_status status = hsi_graph_check_mutable(graph);
    if (status == HSCHED_OK)
        status = check_value(name, value);
    if (status != HSCHED_OK)
        return status;
    uint32_t symbol = find_symbol(graph, name);
    if (symbol == HSI_NO_INDEX) {
        symbol = graph->symbol_count;
        status = append_symbol(graph, name, value, 1);
    } else if (graph->symbols[symbol].value == value) {
        graph->symbols[symbol].was_set = 1;
    } else {
        status = change_symbol(graph, symbol, value);
    }
    if (status != HSCHED_OK)
        return hsi_error_prefix(status, "symbol '%.200s' = %lld: ", name,
                                (long long)value);
    if (dim)
        *dim = HSI_SYMBOL_CODE(symbol);
    return HSCHED_OK;
}

hsched_status hsi_graph_declare_symbol(hsched_graph *graph, const char *name,
                                       int64_t *dim)
{
    *dim = 0;
    hsched_status status = hsi_graph_check_mutable(graph);
    if (status == HSCHED_OK)
        status = check_value(name, 1);
    if (status != HSCHED_OK)
        return status;
    uint32_t symbol = find_symbol(graph, name);
    if (symbol == HSI_NO_INDEX) {
        symbol = graph->symbol_count;
        status = append_symbol(graph, name, 1, 0);
    }
    if (status == HSCHED_OK)
        *dim = HSI_SYMBOL_CODE(symbol);
    return status;
}

/* The names of the graph's symbols, for a message; as many as fit. */
static const char *symbol_names(const hsched_graph *graph, char *text, size_t size)
{
    size_t used = 0;
    snprintf(text, size, "none");
    for (uint32_t i = 0; i < graph->symbol_count; i++) {
        int length = snprintf(text + used, size - used, "%s%s", i ? ", " : "",
                              graph->symbols[i].name);
        if (length < 0 || (size_t)length >= size - used) {
            memcpy(text + size - 4, "...", 4);
            break;
        }
        used += (size_t)length;
    }
    return text;
}

/* Gives a copy's symbols their values and logs those that nobody ever set. */
static hsched_status set_values(hsched_graph *copy, const hsched_symbol *symbols,
                                uint32_t symbol_count)
{
    char known[400];
    if (symbol_count > 0 && !symbols)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "symbols is NULL, but symbol_count is %u; pass an array",
                         symbol_count);
    for (uint32_t i = 0; i < symbol_count; i++) {
        hsched_status status = check_value(symbols[i].name, symbols[i].value);
        if (status != HSCHED_OK)
            return status;
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(symbols[k].name, symbols[i].name) == 0)
                return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                                 "symbol '%.200s' is given twice; give one value",
                                 symbols[i].name);
        uint32_t symbol = find_symbol(copy, symbols[i].name);
        if (symbol == HSI_NO_INDEX)
            return hsi_error(
                HSCHED_ERROR_NOT_FOUND,
                "there is no symbol '%.200s' (there are: %s); correct the name "
                "or leave it out",
                symbols[i].name, symbol_names(copy, known, sizeof known));
        copy->symbols[symbol].value = symbols[i].value;
        copy->symbols[symbol].was_set = 1;
    }
    for (uint32_t i = 0; i < copy->symbol_count; i++)
        if (!copy->symbols[i].was_set)
            hsi_log(HSCHED_LOG_INFO, "graph '%s': symbol '%s' was not set and is %lld",
                    copy->name, copy->symbols[i].name, (long long)copy->symbols[i].value);
    return HSCHED_OK;
}

hsched_status hsi_graph_specialise(const hsched_graph *graph,
                                   const hsched_symbol *symbols, uint32_t symbol_count,
                                   hsched_graph **copy)
{
    *copy = NULL;
    hsched_graph *made = HSI_NEW(hsched_graph);
    if (!made)
        return hsi_out_of_memory("a specialised graph");
    *made = *graph; /* names and the index are shared, see `borrows` */
    made->borrows = 1;
    made->frozen = 1;
    made->sources = NULL;
    made->tensor_capacity = made->tensor_count;
    made->layer_capacity = made->layer_count;
    made->input_capacity = made->input_count;
    made->output_capacity = made->output_count;
    made->symbol_capacity = made->symbol_count;
    made->tensors = copy_array(graph->tensors, graph->tensor_count, graph->tensor_count,
                               sizeof *made->tensors);
    made->layers = copy_array(graph->layers, graph->layer_count, graph->layer_count,
                              sizeof *made->layers);
    made->inputs = copy_array(graph->inputs, graph->input_count, graph->input_count,
                              sizeof *made->inputs);
    made->outputs = copy_array(graph->outputs, graph->output_count, graph->output_count,
                               sizeof *made->outputs);
    made->symbols = copy_array(graph->symbols, graph->symbol_count, graph->symbol_count,
                               sizeof *made->symbols);
    hsched_status status = HSCHED_OK;
    if (!made->tensors || !made->layers || !made->inputs || !made->outputs ||
        !made->symbols)
        status = hsi_out_of_memory("a specialised graph");
    for (uint32_t i = 0; status == HSCHED_OK && i < made->tensor_count; i++)
        made->tensors[i].owns_data = 0;
    if (status == HSCHED_OK)
        status = set_values(made, symbols, symbol_count);
    if (status == HSCHED_OK)
        status = hsi_graph_infer_all(made, made->symbols, made->tensors, made->layers);
    if (status != HSCHED_OK) {
        hsched_graph_destroy(made);
        return hsi_error_prefix(status, "graph '%.200s': ", graph->name);
    }
    *copy = made;
    return HSCHED_OK;
}
