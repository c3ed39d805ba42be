/* Appending a layer to a graph: whole or not at all. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "graph/build.h"
#include "graph/infer.h"

hsched_status hsi_draft_fail(const hsi_draft *draft, hsched_status status)
{
    if (draft->y)
        *draft->y = HSCHED_NO_TENSOR;
    return hsi_error_prefix(
        status, "layer '%.200s' (%s): ", draft->name ? draft->name : "(unnamed)",
        hsi_layer_kind_name(draft->kind));
}

static hsched_status check_input(const hsi_draft *d, uint32_t place)
{
    hsched_tensor tensor = d->inputs[place];
    const char *role = hsi_input_role(d->kind, place);
    if (tensor < d->graph->tensor_count && hsi_graph_is_empty(&d->graph->tensors[tensor]))
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "%s " HSI_TENSOR_FMT " has no elements, and can only be an "
                         "output",
                         role, HSI_TENSOR_ARGS(&d->graph->tensors[tensor]));
    if (tensor < d->graph->tensor_count)
        return HSCHED_OK;
    if (tensor != HSCHED_NO_TENSOR)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "%s (input %u) is tensor %u, but graph '%.200s' has %u tensors; pass "
            "one that this graph gave",
            role, place, tensor, d->graph->name, d->graph->tensor_count);
    if (hsi_input_optional(d->kind, place))
        return HSCHED_OK;
    return hsi_error(
        HSCHED_ERROR_INVALID_ARGUMENT,
        "%s (input %u) is HSCHED_NO_TENSOR but is required; see whether the call "
        "that should have made it failed",
        role, place);
}

hsched_status hsi_draft_begin(hsi_draft *draft)
{
    hsched_status status = HSCHED_OK;
    /* An initialiser need not reach all of a union. */
    memset(&draft->given, 0, sizeof draft->given);
    if (!draft->y)
        status = hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                           "the place for the output is NULL; pass the address of an "
                           "hsched_tensor");
    if (status == HSCHED_OK)
        status = hsi_graph_check_mutable(draft->graph);
    for (uint32_t i = 0; status == HSCHED_OK && i < draft->input_count; i++)
        status = check_input(draft, i);
    return status == HSCHED_OK ? HSCHED_OK : hsi_draft_fail(draft, status);
}

/* The layer's name, copies of its inputs and its name, and room for it and its output. */
static hsched_status reserve_layer(hsi_draft *d, hsi_layer *layer, char **output_name)
{
    hsched_graph *graph = d->graph;
    hsched_status status = hsi_graph_reserve_tensor(graph);
    if (status != HSCHED_OK)
        return status;
    *output_name = hsi_strdup(layer->name);
    layer->inputs = HSI_NEW_ARRAY(hsched_tensor, d->input_count);
    if (!*output_name || !layer->inputs ||
        !HSI_GROW(graph->layers, graph->layer_count, graph->layer_capacity))
        return hsi_out_of_memory("a layer of a graph");
    memcpy(layer->inputs, d->inputs, d->input_count * sizeof *layer->inputs);
    return HSCHED_OK;
}

hsched_status hsi_draft_append(hsi_draft *draft)
{
    hsched_graph *graph = draft->graph;
    char *output_name = NULL;
    hsi_layer layer = { .kind = draft->kind,
                        .input_count = draft->input_count,
                        .given = draft->given };
    hsi_infer f = { .tensors = graph->tensors,
                    .symbols = graph->symbols,
                    .symbol_count = graph->symbol_count,
                    .inputs = draft->inputs,
                    .input_count = draft->input_count,
                    .given = &layer.given,
                    .attrs = &layer.attrs };
    hsched_status status = hsi_names_choose(
        graph, draft->name, hsi_layer_kind_name(draft->kind), &layer.name);
    if (status == HSCHED_OK)
        status = hsi_infer_layer(draft->kind, &f);
    if (status == HSCHED_OK)
        status = reserve_layer(draft, &layer, &output_name);
    if (status != HSCHED_OK) {
        hsi_draft named = *draft;
        named.name = layer.name ? layer.name : draft->name;
        status = hsi_draft_fail(&named, status);
        hsi_free(layer.name);
        hsi_free(layer.inputs);
        hsi_free(output_name);
        return status;
    }
    hsi_graph_tensor y = { .name = output_name,
                           .dtype = f.dtype,
                           .rank = f.rank,
                           .producer = graph->layer_count };
    memcpy(y.dims, f.dims, sizeof y.dims);
    for (uint32_t i = 0; i < HSCHED_MAX_DIMS; i++)
        y.symbols[i] = HSI_NO_INDEX;
    layer.output = hsi_graph_commit_tensor(graph, &y);
    graph->layers[graph->layer_count++] = layer;
    *draft->y = layer.output;
    return HSCHED_OK;
}
