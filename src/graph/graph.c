/* Graphs, their inputs, constants and outputs. */
#include "graph/graph.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/tensor.h"
#include "graph/build.h"
#include "graph/infer.h"

HSCHED_API hsched_status hsched_graph_create(const char *name, hsched_graph **graph)
{
    if (!graph)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_graph_create: the place for the graph is NULL; pass the "
                         "address of a pointer");
    *graph = NULL;
    hsched_graph *made = HSI_NEW(hsched_graph);
    if (made)
        made->name = hsi_strdup(name ? name : "graph");
    if (!made || !made->name) {
        hsi_free(made);
        return hsi_out_of_memory("a graph");
    }
    *graph = made;
    return HSCHED_OK;
}

/* Names, constants, the layers' inputs and the index: what a specialised copy only
 * borrows. */
static void free_contents(hsched_graph *graph)
{
    for (uint32_t i = 0; i < graph->tensor_count; i++) {
        if (graph->tensors[i].owns_data)
            hsi_free((void *)graph->tensors[i].data);
        hsi_free(graph->tensors[i].name);
    }
    for (uint32_t i = 0; i < graph->layer_count; i++) {
        hsi_free(graph->layers[i].name);
        hsi_free(graph->layers[i].inputs);
    }
    for (uint32_t i = 0; i < graph->symbol_count; i++)
        hsi_free(graph->symbols[i].name);
    hsi_names_destroy(graph);
    hsi_free(graph->name);
}

HSCHED_API void hsched_graph_destroy(hsched_graph *graph)
{
    if (!graph)
        return;
    if (!graph->borrows)
        free_contents(graph);
    while (graph->sources) {
        hsi_source *source = graph->sources;
        graph->sources = source->next;
        hsi_source_release(source);
    }
    hsi_free(graph->tensors);
    hsi_free(graph->layers);
    hsi_free(graph->inputs);
    hsi_free(graph->outputs);
    hsi_free(graph->symbols);
    hsi_free(graph);
}

void hsi_graph_rewind(hsched_graph *graph, uint32_t tensor_count, uint32_t layer_count)
{
    while (graph->layer_count > layer_count) {
        hsi_layer *layer = &graph->layers[--graph->layer_count];
        hsi_free(layer->name);
        hsi_free(layer->inputs);
    }
    while (graph->tensor_count > tensor_count) {
        hsi_graph_tensor *tensor = &graph->tensors[--graph->tensor_count];
        if (tensor->owns_data)
            hsi_free((void *)tensor->data);
        hsi_free(tensor->name);
    }
    hsi_names_rebuild(graph);
}

hsched_status hsi_graph_check_mutable(const hsched_graph *graph)
{
    if (!graph)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "the graph is NULL; make one with hsched_graph_create");
    if (graph->frozen)
        return hsi_error(
            HSCHED_ERROR_STATE,
            "graph '%.200s' is frozen, because a model was compiled from it; build "
            "another graph",
            graph->name);
    return HSCHED_OK;
}

hsched_status hsi_graph_reserve_tensor(hsched_graph *graph)
{
    if (graph->tensor_count >= HSI_MAX_TENSORS)
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "graph '%.200s' has %u tensors, which is the limit; use a smaller "
            "network",
            graph->name, graph->tensor_count);
    if (!HSI_GROW(graph->tensors, graph->tensor_count, graph->tensor_capacity) ||
        !hsi_names_reserve(graph))
        return hsi_out_of_memory("a tensor of a graph");
    return HSCHED_OK;
}

hsched_tensor hsi_graph_commit_tensor(hsched_graph *graph, const hsi_graph_tensor *tensor)
{
    hsched_tensor number = graph->tensor_count++;
    graph->tensors[number] = *tensor;
    hsi_names_insert(graph, number);
    return number;
}

/* Type, rank and dims as the user gave them, checked. */
static hsched_status describe_tensor(const hsched_graph *graph, hsched_dtype dtype,
                                     uint32_t rank, const int64_t *dims,
                                     hsi_graph_tensor *tensor)
{
    *tensor =
        (hsi_graph_tensor){ .dtype = dtype, .rank = rank, .producer = HSI_NO_INDEX };
    if (hsched_dtype_size(dtype) == 0)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "type %d is not known; use HSCHED_FLOAT32 or another hsched_dtype",
            (int)dtype);
    if (rank > HSCHED_MAX_DIMS)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "the tensor has %u dimensions, and the limit is %d; join some",
                         rank, HSCHED_MAX_DIMS);
    if (rank > 0 && !dims)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "dims is NULL for a tensor of %u dimensions; pass their sizes",
                         rank);
    for (uint32_t i = 0; i < HSCHED_MAX_DIMS; i++) {
        tensor->symbols[i] = HSI_NO_INDEX;
        if (i >= rank)
            continue;
        hsched_status status =
            hsi_resolve_dim(graph->symbols, graph->symbol_count, dims[i],
                            &tensor->dims[i], &tensor->symbols[i]);
        if (status != HSCHED_OK)
            return hsi_error_prefix(status, "dims %s: ", hsi_shape_text(rank, dims));
    }
    return hsi_check_size(dtype, rank, tensor->dims);
}

static const char *shown(const char *name)
{
    return name ? name : "(unnamed)";
}

/* For functions that add a tensor: its place, set to HSCHED_NO_TENSOR, and the graph. */
static hsched_status begin(const hsched_graph *graph, hsched_tensor *tensor)
{
    if (!tensor)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "the place for the tensor is NULL; pass the address of an "
                         "hsched_tensor");
    *tensor = HSCHED_NO_TENSOR;
    return hsi_graph_check_mutable(graph);
}

HSCHED_API hsched_status hsched_graph_add_input(hsched_graph *graph, const char *name,
                                                hsched_dtype dtype, uint32_t rank,
                                                const int64_t *dims,
                                                hsched_tensor *tensor)
{
    hsi_graph_tensor made = { 0 };
    hsched_status status = begin(graph, tensor);
    if (status == HSCHED_OK)
        status = describe_tensor(graph, dtype, rank, dims, &made);
    if (status == HSCHED_OK)
        status = hsi_names_choose(graph, name, "input", &made.name);
    if (status == HSCHED_OK)
        status = hsi_graph_reserve_tensor(graph);
    if (status == HSCHED_OK &&
        !HSI_GROW(graph->inputs, graph->input_count, graph->input_capacity))
        status = hsi_out_of_memory("an input of a graph");
    if (status != HSCHED_OK) {
        hsi_free(made.name);
        return hsi_error_prefix(status, "input '%.200s': ", shown(name));
    }
    made.is_input = 1;
    *tensor = hsi_graph_commit_tensor(graph, &made);
    graph->inputs[graph->input_count++] = *tensor;
    return HSCHED_OK;
}

void hsi_graph_drop_last_input(hsched_graph *graph)
{
    graph->input_count--;
    graph->tensor_count--;
    hsi_free(graph->tensors[graph->tensor_count].name);
    hsi_names_rebuild(graph);
}

/* Takes the data over as `ownership` says; `made` then owns what it must free. */
static hsched_status take_data(hsi_graph_tensor *made, const void *data, size_t size,
                               hsched_data_ownership ownership)
{
    size_t needed, element = hsched_dtype_size(made->dtype);
    hsi_byte_size(made->dtype, made->rank, made->dims, &needed); /* checked before */
    if (!data)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "data is NULL; pass the %zu bytes of the constant", needed);
    if (size != needed)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "size is %zu bytes, but a %s tensor of shape %s has %zu; pass exactly "
            "these",
            size, hsched_dtype_name(made->dtype), hsi_shape_text(made->rank, made->dims),
            needed);
    if (ownership != HSCHED_DATA_COPY && ownership != HSCHED_DATA_BORROW)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "ownership %d is not known; use HSCHED_DATA_COPY or "
                         "HSCHED_DATA_BORROW",
                         (int)ownership);
    /* Data that its type's accesses cannot reach (in a mapped file) is copied all the
     * same. */
    if (ownership == HSCHED_DATA_BORROW && (uintptr_t)data % element == 0) {
        made->data = data;
        return HSCHED_OK;
    }
    void *copy = hsi_alloc_aligned(size);
    if (!copy)
        return hsi_out_of_memory("a copy of a constant's data");
    memcpy(copy, data, size);
    made->data = copy;
    made->owns_data = 1;
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_graph_add_constant(hsched_graph *graph, const char *name,
                                                   hsched_dtype dtype, uint32_t rank,
                                                   const int64_t *dims, const void *data,
                                                   size_t size,
                                                   hsched_data_ownership ownership,
                                                   hsched_tensor *tensor)
{
    hsi_graph_tensor made = { 0 };
    hsched_status status = begin(graph, tensor);
    if (status == HSCHED_OK)
        status = describe_tensor(graph, dtype, rank, dims, &made);
    for (uint32_t i = 0; status == HSCHED_OK && i < rank; i++)
        if (made.symbols[i] != HSI_NO_INDEX)
            status = hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "dimension %u is symbol '%.200s', but the data of a constant has "
                "one size; give a number",
                i, graph->symbols[made.symbols[i]].name);
    if (status == HSCHED_OK)
        status = hsi_names_choose(graph, name, "constant", &made.name);
    if (status == HSCHED_OK)
        status = hsi_graph_reserve_tensor(graph);
    if (status == HSCHED_OK)
        status = take_data(&made, data, size, ownership);
    if (status != HSCHED_OK) {
        hsi_free(made.name);
        return hsi_error_prefix(status, "constant '%.200s': ", shown(name));
    }
    *tensor = hsi_graph_commit_tensor(graph, &made);
    return HSCHED_OK;
}

int hsi_graph_is_empty(const hsi_graph_tensor *tensor)
{
    for (uint32_t k = 0; k < tensor->rank; k++)
        if (tensor->dims[k] == 0)
            return 1;
    return 0;
}

hsched_status hsi_graph_add_empty(hsched_graph *graph, const char *name,
                                  hsched_dtype dtype, uint32_t rank, const int64_t *dims,
                                  hsched_tensor *tensor)
{
    hsi_graph_tensor made = { .dtype = dtype, .rank = rank, .producer = HSI_NO_INDEX };
    hsched_status status = begin(graph, tensor);
    for (uint32_t k = 0; k < HSCHED_MAX_DIMS; k++) {
        made.symbols[k] = HSI_NO_INDEX;
        if (k < rank)
            made.dims[k] = dims[k];
    }
    if (status == HSCHED_OK)
        status = hsi_names_choose(graph, name, "empty", &made.name);
    if (status == HSCHED_OK)
        status = hsi_graph_reserve_tensor(graph);
    if (status != HSCHED_OK) {
        hsi_free(made.name);
        return hsi_error_prefix(status, "output '%.200s': ", shown(name));
    }
    *tensor = hsi_graph_commit_tensor(graph, &made);
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_graph_add_output(hsched_graph *graph,
                                                 hsched_tensor tensor)
{
    hsched_status status = hsi_graph_check_mutable(graph);
    if (status != HSCHED_OK)
        return status;
    if (tensor >= graph->tensor_count)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "graph '%.200s' has no tensor %u to make an output of; pass one that "
            "a hsched_graph_add_ function gave",
            graph->name, tensor);
    const hsi_graph_tensor *t = &graph->tensors[tensor];
    if (t->data)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "output " HSI_TENSOR_FMT " is a constant; outputs are inputs or "
                         "results of layers",
                         HSI_TENSOR_ARGS(t));
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] == tensor)
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "tensor " HSI_TENSOR_FMT
                             " is output %u already; for a second "
                             "one add an activation layer of kind NONE",
                             HSI_TENSOR_ARGS(t), i);
    if (!HSI_GROW(graph->outputs, graph->output_count, graph->output_capacity))
        return hsi_out_of_memory("an output of a graph");
    graph->outputs[graph->output_count++] = tensor;
    return HSCHED_OK;
}
