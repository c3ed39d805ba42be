/* Loading ONNX: the passes over the nodes, and the public functions. */
#include "onnx/ops.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "base/tensor.h"
#include "graph/build.h"

#define MAX_FOLLOWED 64

/* ---- One node ------------------------------------------------------------- */

static hsched_status check_attributes(hsi_onnx_import *im, const hsi_onnx_node *node,
                                      const hsi_onnx_op *op)
{
    for (size_t k = 0; k < node->proto->n_attribute; k++) {
        const char *name = node->proto->attribute[k]->name;
        if (!name || !hsi_onnx_knows_attr(op, name))
            return hsi_onnx_unsupported(im, node, "attribute '%.64s'", name ? name : "");
    }
    return HSCHED_OK;
}

static int reads_missing(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    for (uint32_t k = 0; k < node->input_count; k++)
        if (node->inputs[k] != HSI_ONNX_NONE && im->states[node->inputs[k]].missing)
            return 1;
    return 0;
}

static int all_constant(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    for (uint32_t k = 0; k < node->input_count; k++)
        if (node->inputs[k] != HSI_ONNX_NONE && !im->states[node->inputs[k]].constant)
            return 0;
    return 1;
}

/* 1 if every output that somebody needs has been set. */
static int is_computed(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    for (uint32_t k = 0; k < node->output_count; k++) {
        const hsi_onnx_state *state =
            node->outputs[k] == HSI_ONNX_NONE ? NULL : &im->states[node->outputs[k]];
        if (state && hsi_onnx_output_used(im, node, k) && !state->constant &&
            state->tensor == HSCHED_NO_TENSOR && !state->sequence && !state->nothing &&
            !state->levels)
            return 0;
    }
    return 1;
}

/* Only some operators know sequences and optionals. */
static hsched_status check_sequences(hsi_onnx_import *im, const hsi_onnx_node *node,
                                     const hsi_onnx_op *op)
{
    for (uint32_t k = 0; k < node->input_count && !op->sequences; k++)
        if (node->inputs[k] != HSI_ONNX_NONE && im->states[node->inputs[k]].sequence)
            return hsi_onnx_unsupported(im, node, "input %u is a sequence", k);
        else if (node->inputs[k] != HSI_ONNX_NONE && im->states[node->inputs[k]].nothing)
            return hsi_onnx_unsupported(im, node, "input %u is an empty optional", k);
    return HSCHED_OK;
}

/* Levels are tensors for operators that do not know them, but for the first input if it need not
 * be. */
static hsched_status make_levels(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 const hsi_onnx_op *op, int moves)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t k = moves; k < node->input_count && !op->levels && !status; k++) {
        const uint32_t value = node->inputs[k];
        if (value != HSI_ONNX_NONE && im->states[value].levels &&
            im->states[value].tensor == HSCHED_NO_TENSOR)
            status = hsi_onnx_make_levels(im, value);
    }
    return status;
}

/* 1 for an If or Loop that will be gone when the model is imported anew. */
static int is_chosen(const hsi_onnx_import *im, const hsi_onnx_node *node)
{
    return im->choices && im->choices[node - im->model->nodes] != HSI_ONNX_OPEN;
}

static hsched_status make_node(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_op *op = node->domain == hsi_onnx_own_domain
                                ? hsi_onnx_find_own_op(node->op)
                            : strcmp(node->domain, "com.microsoft") == 0
                                ? hsi_onnx_find_microsoft_op(node->op)
                            : *node->domain ? NULL
                                            : hsi_onnx_find_op(node->op);
    if (!op)
        return hsi_onnx_unsupported(im, node, "%s", "");
    if (node->version < op->since)
        return hsi_onnx_unsupported(
            im, node, "it is read in the form of opset %" PRId64 " and later", op->since);
    if (op->before && node->version >= op->before)
        return hsi_onnx_unsupported(
            im, node, "opset %" PRId64 " changed it; only older forms are read",
            op->before);
    hsched_status status = check_attributes(im, node, op);
    if (!status)
        status = check_sequences(im, node, op);
    if (status || reads_missing(im, node))
        return status ? status : HSCHED_ERROR_UNSUPPORTED;
    hsi_onnx_pin_empty(im, node);
    const int moves = op->moves && hsi_onnx_may_move_levels(im, node);
    status = make_levels(im, node, op, moves);
    if (status)
        return status;
    if (op->fold && (op->folds_always || all_constant(im, node))) {
        status = op->fold(im, node);
        if (status || is_computed(im, node))
            return status;
    }
    if (!op->build)
        return hsi_onnx_unsupported(im, node,
                                    "supported only where it can be computed from "
                                    "constants and shapes while importing");
    if (moves) {
        status = hsi_onnx_move_levels(im, node, op->build);
    } else {
        status = hsi_onnx_build_empty(im, node, op->build);
        if (!status && !is_computed(im, node))
            status = op->build(im, node);
    }
    if (!status && is_chosen(im, node))
        return HSCHED_ERROR_UNSUPPORTED;
    if (!status && !is_computed(im, node))
        status = hsi_onnx_unsupported(im, node, "an output besides the first one");
    return status ? status : hsi_onnx_track(im);
}

static void mark_missing(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    for (uint32_t k = 0; k < node->output_count; k++)
        if (node->outputs[k] != HSI_ONNX_NONE)
            im->states[node->outputs[k]].missing = 1;
}

/* Nodes that are not supported do not end the pass: the user is told of all of them at
 * once. */
static hsched_status import_node(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    uint32_t complaints = im->complaint_count;
    hsched_status status = make_node(im, node);
    if (status != HSCHED_ERROR_UNSUPPORTED)
        return status;
    if (im->complaint_count == complaints && !reads_missing(im, node) &&
        !is_chosen(im, node)) {
        /* The graph refused it: its reason counts. */
        status = hsi_onnx_unsupported(im, node, "%s", hsched_error_detail());
        if (status != HSCHED_ERROR_UNSUPPORTED)
            return status;
    }
    mark_missing(im, node);
    return HSCHED_OK;
}

/* ---- Outputs -------------------------------------------------------------- */

/* The constant `value` under a name of its own, to be copied to the output by a layer. */
static hsched_status constant_output(hsi_onnx_import *im, uint32_t value,
                                     hsched_tensor *tensor)
{
    const hsi_onnx_constant *c = im->states[value].constant;
    if (c->count == 0) {
        for (uint32_t d = 0; c->dim_tags && d < c->rank; d++)
            hsi_onnx_pin(im, c->dim_tags[d]);
        return hsi_graph_add_empty(im->graph, im->model->values[value].name, c->dtype,
                                   c->rank, c->dims, tensor);
    }
    for (size_t k = 0; c->tags && k < c->count; k++)
        hsi_onnx_pin(im, c->tags[k]);
    const char *made = hsi_onnx_made_name(im, im->model->values[value].name, "constant");
    if (!made)
        return hsi_onnx_arena_error(&im->arena, "an output");
    hsched_status status =
        hsched_graph_add_constant(im->graph, made, c->dtype, c->rank, c->dims, c->data,
                                  c->size, HSCHED_DATA_COPY, tensor);
    return status ? status : hsi_onnx_track(im);
}

/* *tensor again, under another name. */
static hsched_status copy_as(hsi_onnx_import *im, const char *name, hsched_tensor *tensor)
{
    static const hsched_activation none = { .kind = HSCHED_ACTIVATION_NONE };
    int64_t dims[HSCHED_MAX_DIMS];
    hsched_status status;
    if (im->graph->tensors[*tensor].dtype == HSCHED_FLOAT32) {
        status = hsched_graph_add_activation(im->graph, name, *tensor, none, tensor);
    } else {
        hsi_onnx_symbolic_dims(im, *tensor, dims);
        status = hsched_graph_add_reshape(im->graph, name, *tensor,
                                          hsi_onnx_rank(im, *tensor), dims, tensor);
    }
    return status ? status : hsi_onnx_track(im);
}

/* The value as a tensor that bears its name, which aliases and constants do not. */
static hsched_status named_tensor(hsi_onnx_import *im, uint32_t value,
                                  hsched_tensor *tensor)
{
    const char *name = im->model->values[value].name;
    hsched_status status = HSCHED_OK;
    if (im->states[value].levels && im->states[value].tensor == HSCHED_NO_TENSOR)
        status = hsi_onnx_make_levels(im, value);
    if (status)
        return status;
    *tensor = im->states[value].tensor;
    if (im->states[value].sequence)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "output '%.128s' is a sequence; only tensors can be outputs",
                         name);
    if (im->states[value].nothing)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "output '%.128s' is an empty optional; only tensors can be "
                         "outputs",
                         name);
    if (*tensor == HSCHED_NO_TENSOR)
        status = constant_output(im, value, tensor);
    if (!status && strcmp(im->graph->tensors[*tensor].name, name) != 0)
        status = copy_as(im, name, tensor);
    return status ? hsi_error_prefix(status, "output '%.128s': ", name) : HSCHED_OK;
}

static hsched_status add_outputs(hsi_onnx_import *im)
{
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < im->model->output_count && !status; k++) {
        hsched_tensor tensor;
        status = named_tensor(im, im->model->outputs[k], &tensor);
        if (!status)
            status = hsched_graph_add_output(im->graph, tensor);
    }
    return status;
}

/* ---- Passes --------------------------------------------------------------- */

static hsched_status begin_pass(hsi_onnx_import *im)
{
    const hsi_onnx_model *model = im->model;
    const char *name = model->proto->graph->name;
    hsi_onnx_arena_init(&im->arena, model->arena.budget);
    hsched_status status = hsched_graph_create(name && *name ? name : "onnx", &im->graph);
    if (status)
        return status;
    for (uint32_t k = 0; k < model->external_count; k++) {
        hsi_source_retain(&model->externals[k].file->source);
        hsi_graph_add_source(im->graph, &model->externals[k].file->source);
    }
    im->states = HSI_ONNX_NEW_ARRAY(&im->arena, hsi_onnx_state, model->value_count);
    if (!im->states)
        return hsi_onnx_arena_error(&im->arena, "the values");
    for (uint32_t k = 0; k < model->value_count; k++)
        im->states[k] = (hsi_onnx_state){ .constant = model->values[k].constant,
                                          .tensor = HSCHED_NO_TENSOR };
    return hsi_onnx_add_inputs(im);
}

static void end_pass(hsi_onnx_import *im)
{
    hsi_onnx_arena_free(&im->arena);
    hsi_free(im->dim_tags);
    im->dim_tags = NULL;
}

static hsched_status run_pass(hsi_onnx_import *im)
{
    hsched_status status = begin_pass(im);
    for (uint32_t k = 0; k < im->model->node_count && !status; k++) {
        const hsi_onnx_node *node = &im->model->nodes[im->model->order[k]];
        if (node->needed)
            status = import_node(im, node);
    }
    if (status || im->chosen)
        return status;
    status = hsi_onnx_complain(im);
    if (!status)
        status = add_outputs(im);
    return status;
}

static void log_pinned(const hsi_onnx_import *im, uint64_t pinned)
{
    for (uint32_t k = 0; k < im->symbol_count; k++)
        if (pinned >> k & 1)
            hsi_log(HSCHED_LOG_INFO,
                    "ONNX: dimension '%.128s' is fixed at %lld: the model computes "
                    "shapes from it",
                    im->symbols[k].name, (long long)im->symbols[k].value);
}

/* The symbols that the user wants as plain numbers. */
static uint64_t fixed_by_user(const hsched_onnx_config *config,
                              const hsi_onnx_symbol *symbols, uint32_t count)
{
    uint64_t fixed = 0;
    for (uint32_t i = 0; config->fix_symbols && i < config->symbol_count; i++)
        for (uint32_t k = 0; k < count; k++)
            if (strcmp(config->symbols[i].name, symbols[k].name) == 0)
                fixed |= UINT64_C(1) << k;
    return fixed;
}

/* Writes out the ifs and loops whose way this pass has found. */
static hsched_status follow(hsi_onnx_import *im, uint32_t *followed)
{
    if (++*followed > MAX_FOLLOWED)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "the model's ifs and loops depend on each other more than %d "
                         "deep; simplify the model",
                         MAX_FOLLOWED);
    return hsi_onnx_model_choose(im->model, im->choices);
}

/* Each pass fixes at least one symbol more or follows an If or Loop, so this ends. */
static hsched_status run_passes(hsi_onnx_model *model, const hsched_onnx_config *config,
                                hsched_graph **graph)
{
    hsi_onnx_symbol *symbols;
    uint32_t symbol_count;
    uint64_t fixed = 0;
    uint32_t followed = 0;
    hsched_status status = hsi_onnx_find_symbols(model, config, &symbols, &symbol_count);
    if (!status)
        fixed = fixed_by_user(config, symbols, symbol_count);
    for (uint32_t k = 0; k < symbol_count && !status; k++)
        if (symbols[k].value == 0) /* of no elements: decided while loading */
            fixed |= UINT64_C(1) << k;
    while (!status) {
        hsi_onnx_import im = { .model = model,
                               .symbols = symbols,
                               .symbol_count = symbol_count,
                               .fixed = fixed };
        status = run_pass(&im);
        uint64_t more = im.pinned & ~fixed;
        log_pinned(&im, more);
        if (!status && im.chosen)
            status = follow(&im, &followed);
        end_pass(&im);
        if (!status && !more && !im.chosen) {
            *graph = im.graph;
            return HSCHED_OK;
        }
        hsched_graph_destroy(im.graph);
        fixed |= more;
    }
    return status;
}

/* ---- The public functions ------------------------------------------------- */

static hsched_status import_model(const void *data, size_t size, const char *path,
                                  const hsched_onnx_config *config, hsched_graph **graph)
{
    hsi_onnx_model model;
    hsched_status status = hsi_onnx_model_read(data, size, path, config, &model);
    if (status)
        return status;
    status = run_passes(&model, config, graph);
    hsi_onnx_model_free(&model);
    return status;
}

static hsched_status read_config(const hsched_onnx_config *config,
                                 hsched_onnx_config *read)
{
    hsched_status status = HSI_CONFIG_READ(config, read);
    if (!status && read->symbol_count && !read->symbols)
        status = hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                           "hsched_onnx_config.symbols is NULL, but symbol_count is %u",
                           read->symbol_count);
    return status;
}

HSCHED_API hsched_status hsched_graph_parse_onnx(const void *data, size_t size,
                                                 const hsched_onnx_config *config,
                                                 hsched_graph **graph)
{
    hsched_onnx_config read;
    if (!graph || (!data && size))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_graph_parse_onnx: %s is NULL; give the model's bytes and a place "
            "for the graph",
            graph ? "data" : "graph");
    *graph = NULL;
    hsched_status status = read_config(config, &read);
    return status ? status : import_model(data, size, NULL, &read, graph);
}

HSCHED_API hsched_status hsched_graph_load_onnx(const char *path,
                                                const hsched_onnx_config *config,
                                                hsched_graph **graph)
{
    hsched_onnx_config read;
    hsi_onnx_file *file;
    if (!graph || !path)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_graph_load_onnx: %s is NULL; give a file's path and a place for the "
            "graph",
            graph ? "path" : "graph");
    *graph = NULL;
    hsched_status status = read_config(config, &read);
    if (!status)
        status = hsi_onnx_file_map(path, &file);
    if (status)
        return status;
    status = import_model(file->data, file->size, path, &read, graph);
    if (!status)
        hsi_graph_add_source(*graph, &file->source);
    else
        hsi_source_release(&file->source);
    return status ? hsi_error_prefix(status, "%.512s: ", path) : HSCHED_OK;
}
