/* Looking into a graph. */
#include "base/status.h"
#include "base/tensor.h"
#include "graph/build.h"

HSCHED_API const char *hsched_graph_name(const hsched_graph *graph)
{
    return graph ? graph->name : "";
}

HSCHED_API uint32_t hsched_graph_input_count(const hsched_graph *graph)
{
    return graph ? graph->input_count : 0;
}

HSCHED_API uint32_t hsched_graph_output_count(const hsched_graph *graph)
{
    return graph ? graph->output_count : 0;
}

HSCHED_API hsched_tensor hsched_graph_input(const hsched_graph *graph, uint32_t index)
{
    return graph && index < graph->input_count ? graph->inputs[index] : HSCHED_NO_TENSOR;
}

HSCHED_API hsched_tensor hsched_graph_output(const hsched_graph *graph, uint32_t index)
{
    return graph && index < graph->output_count ? graph->outputs[index]
                                                : HSCHED_NO_TENSOR;
}

static hsched_status null_graph(const char *function)
{
    return hsi_error(
        HSCHED_ERROR_INVALID_ARGUMENT,
        "%s: the graph or another required pointer is NULL; pass all of them", function);
}

HSCHED_API hsched_status hsched_graph_find_tensor(const hsched_graph *graph,
                                                  const char *name, hsched_tensor *tensor)
{
    if (tensor)
        *tensor = HSCHED_NO_TENSOR;
    if (!graph || !name || !tensor)
        return null_graph("hsched_graph_find_tensor");
    *tensor = hsi_names_find(graph, name);
    if (*tensor != HSCHED_NO_TENSOR)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_NOT_FOUND,
                     "graph '%.200s' has no tensor '%.200s'; names are those of inputs, "
                     "constants and layers",
                     graph->name, name);
}

HSCHED_API hsched_status hsched_graph_tensor_info(const hsched_graph *graph,
                                                  hsched_tensor tensor,
                                                  hsched_tensor_info *info)
{
    if (!graph)
        return null_graph("hsched_graph_tensor_info");
    if (tensor >= graph->tensor_count)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "graph '%.200s' has no tensor %u, it has %u; pass one that this "
                         "graph gave",
                         graph->name, tensor, graph->tensor_count);
    const hsi_graph_tensor *t = &graph->tensors[tensor];
    hsched_tensor_info filled = { HSCHED_TENSOR_INFO_INIT, .name = t->name,
                                  .dtype = t->dtype, .layout = HSCHED_LAYOUT_DENSE,
                                  .rank = t->rank };
    for (uint32_t i = 0; i < t->rank; i++) {
        filled.dims[i] = t->dims[i];
        if (t->symbols[i] != HSI_NO_INDEX)
            filled.symbols[i] = graph->symbols[t->symbols[i]].name;
    }
    hsi_byte_size(t->dtype, t->rank, t->dims,
                  &filled.byte_size); /* fits: checked when made */
    return hsi_info_write(info, &filled, sizeof filled, "hsched_tensor_info");
}

HSCHED_API uint32_t hsched_graph_layer_count(const hsched_graph *graph)
{
    return graph ? graph->layer_count : 0;
}

HSCHED_API hsched_status hsched_graph_layer_info(const hsched_graph *graph,
                                                 uint32_t index, hsched_layer_info *info)
{
    if (!graph)
        return null_graph("hsched_graph_layer_info");
    if (index >= graph->layer_count)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "graph '%.200s' has no layer %u, it has %u; pass a smaller index",
            graph->name, index, graph->layer_count);
    const hsi_layer *layer = &graph->layers[index];
    hsched_layer_info filled = { HSCHED_LAYER_INFO_INIT,
                                 .name = layer->name,
                                 .kind = hsi_layer_kind_name(layer->kind),
                                 .input_count = layer->input_count,
                                 .output = layer->output,
                                 .macs = hsi_layer_macs(graph, layer) };
    for (uint32_t i = 0; i < layer->input_count; i++) {
        if (layer->inputs[i] == HSCHED_NO_TENSOR)
            continue;
        const hsi_graph_tensor *t = &graph->tensors[layer->inputs[i]];
        size_t count;
        if (!t->data)
            continue;
        hsi_element_count(t->rank, t->dims, &count); /* fits: checked when made */
        filled.parameters += count;
        filled.parameter_bytes += count * hsched_dtype_size(t->dtype);
    }
    return hsi_info_write(info, &filled, sizeof filled, "hsched_layer_info");
}

HSCHED_API hsched_tensor hsched_graph_layer_input(const hsched_graph *graph,
                                                  uint32_t layer, uint32_t index)
{
    if (!graph || layer >= graph->layer_count ||
        index >= graph->layers[layer].input_count)
        return HSCHED_NO_TENSOR;
    return graph->layers[layer].inputs[index];
}
