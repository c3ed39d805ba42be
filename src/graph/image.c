/* Inputs that are camera frames: uint8 [N,H,W,C] and a layer that makes float32 [N,C,H,W]
 * of it. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "graph/build.h"
#include "graph/infer.h"

hsched_status hsi_graph_add_image(hsched_graph *graph, const char *name,
                                  hsched_tensor frame, const hsched_image_config *config,
                                  hsched_tensor *y)
{
    hsi_draft d = { .graph = graph,
                    .kind = HSI_LAYER_IMAGE_INPUT,
                    .name = name,
                    .inputs = &frame,
                    .input_count = 1,
                    .y = y };
    hsched_status status = hsi_draft_begin(&d);
    if (status != HSCHED_OK)
        return status;
    status = hsi_config_read(config, &d.given.image, sizeof d.given.image,
                             "hsched_image_config");
    return status == HSCHED_OK ? hsi_draft_append(&d) : hsi_draft_fail(&d, status);
}

HSCHED_API hsched_status hsched_graph_add_image_input(
    hsched_graph *graph, const char *name, int64_t n, int64_t height, int64_t width,
    int64_t channels, const hsched_image_config *config, hsched_tensor *y)
{
    hsched_tensor frame;
    char *image_name = NULL;
    const int64_t dims[4] = { n, height, width, channels };
    if (y)
        *y = HSCHED_NO_TENSOR;
    hsched_status status =
        hsched_graph_add_input(graph, name, HSCHED_UINT8, 4, dims, &frame);
    if (status != HSCHED_OK)
        return status;
    status =
        hsi_names_choose_like(graph, graph->tensors[frame].name, "image", &image_name);
    if (status == HSCHED_OK)
        status = hsi_graph_add_image(graph, image_name, frame, config, y);
    if (status != HSCHED_OK)
        hsi_graph_drop_last_input(graph);
    hsi_free(image_name);
    return status;
}

/* The input to be converted, as an index into graph->inputs. */
static hsched_status find_input(const hsched_graph *graph, const char *name,
                                uint32_t *index)
{
    hsched_tensor tensor = name ? hsi_names_find(graph, name) : HSCHED_NO_TENSOR;
    if (!name)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "the name of the input is NULL; pass the name of one of the graph's "
            "inputs");
    if (tensor == HSCHED_NO_TENSOR)
        return hsi_error(
            HSCHED_ERROR_NOT_FOUND,
            "graph '%.200s' has no input '%.200s'; see hsched_graph_input for "
            "those it has",
            graph->name, name);
    const hsi_graph_tensor *t = &graph->tensors[tensor];
    if (!t->is_input)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "tensor " HSI_TENSOR_FMT
                         " is not an input of the graph; name one "
                         "that is",
                         HSI_TENSOR_ARGS(t));
    if (t->dtype != HSCHED_FLOAT32 || t->rank != 4 || t->dims[1] > 4)
        return hsi_error(HSCHED_ERROR_SHAPE,
                         "input " HSI_TENSOR_FMT
                         " is %s; only float32 [N,C,H,W] with 1 to 4 "
                         "channels can become a camera frame; leave it as it is",
                         HSI_TENSOR_ARGS(t), hsched_dtype_name(t->dtype));
    for (*index = 0; graph->inputs[*index] != tensor;)
        ++*index;
    return HSCHED_OK;
}

/* A uint8 [N,H,W,C] tensor that stands for float32 [N,C,H,W], symbols included. */
static hsi_graph_tensor frame_of(const hsi_graph_tensor *image)
{
    static const int from[4] = { 0, 2, 3, 1 };
    hsi_graph_tensor frame = *image;
    frame.name = NULL;
    frame.dtype = HSCHED_UINT8;
    for (int i = 0; i < 4; i++) {
        frame.dims[i] = image->dims[from[i]];
        frame.symbols[i] = image->symbols[from[i]];
    }
    return frame;
}

/* Makes everything that the conversion needs; the graph's shape is not changed yet. */
static hsched_status prepare_conversion(hsched_graph *graph, hsi_graph_tensor *frame,
                                        const char *name, hsi_layer *layer,
                                        char **image_name)
{
    const hsched_tensor only = 0;
    hsi_infer f = { .tensors = frame,
                    .symbols = graph->symbols,
                    .symbol_count = graph->symbol_count,
                    .inputs = &only,
                    .input_count = 1,
                    .given = &layer->given,
                    .attrs = &layer->attrs };
    frame->name = hsi_strdup(name);
    if (!frame->name)
        return hsi_out_of_memory("a name");
    hsched_status status = hsi_infer_layer(HSI_LAYER_IMAGE_INPUT, &f);
    if (status == HSCHED_OK)
        status = hsi_names_choose_like(graph, name, "image", image_name);
    if (status == HSCHED_OK)
        status = hsi_graph_reserve_tensor(graph);
    if (status != HSCHED_OK)
        return status;
    layer->name = hsi_strdup(*image_name);
    layer->inputs = HSI_NEW_ARRAY(hsched_tensor, 1);
    if (!layer->name || !layer->inputs ||
        !HSI_GROW(graph->layers, graph->layer_count, graph->layer_capacity))
        return hsi_out_of_memory("a layer of a graph");
    return HSCHED_OK;
}

/*
 * Cannot fail. The float tensor keeps its number, so that its users need no change; it
 * becomes the output of a new layer, which stands first, so that layers stay in
 * topological order.
 */
static void commit_conversion(hsched_graph *graph, uint32_t input,
                              hsi_graph_tensor *frame, hsi_layer *layer, char *image_name)
{
    hsched_tensor image = graph->inputs[input];
    memmove(graph->layers + 1, graph->layers, graph->layer_count * sizeof *graph->layers);
    graph->layer_count++;
    for (uint32_t i = 0; i < graph->tensor_count; i++)
        if (graph->tensors[i].producer != HSI_NO_INDEX)
            graph->tensors[i].producer++;
    hsi_graph_tensor *t = &graph->tensors[image];
    hsi_free(t->name);
    t->name = image_name;
    t->is_input = 0;
    t->producer = 0;
    for (uint32_t i = 0; i < HSCHED_MAX_DIMS; i++)
        t->symbols[i] = HSI_NO_INDEX;
    hsi_names_rebuild(graph);
    hsched_tensor number = hsi_graph_commit_tensor(graph, frame);
    graph->inputs[input] = number;
    layer->inputs[0] = number;
    layer->output = image;
    graph->layers[0] = *layer;
}

HSCHED_API hsched_status hsched_graph_convert_input_to_image(
    hsched_graph *graph, const char *name, const hsched_image_config *config)
{
    hsi_layer layer = { .kind = HSI_LAYER_IMAGE_INPUT, .input_count = 1 };
    hsi_graph_tensor frame = { 0 };
    char *image_name = NULL;
    uint32_t input = 0;
    hsched_status status = hsi_graph_check_mutable(graph);
    if (status == HSCHED_OK)
        status = hsi_config_read(config, &layer.given.image, sizeof layer.given.image,
                                 "hsched_image_config");
    if (status == HSCHED_OK)
        status = find_input(graph, name, &input);
    if (status == HSCHED_OK) {
        frame = frame_of(&graph->tensors[graph->inputs[input]]);
        status = prepare_conversion(graph, &frame, name, &layer, &image_name);
    }
    if (status != HSCHED_OK) {
        hsi_free(frame.name);
        hsi_free(layer.name);
        hsi_free(layer.inputs);
        hsi_free(image_name);
        return hsi_error_prefix(status,
                                "image input '%.200s': ", name ? name : "(unnamed)");
    }
    commit_conversion(graph, input, &frame, &layer, image_name);
    return HSCHED_OK;
}
