#include "onnx/model.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

#define DEFAULT_MAX_BYTES (UINT64_C(8) << 30)
#define FIRST_OPSET       1
#define LAST_OPSET        28

/* ---- Names ---------------------------------------------------------------- */

/* Seeded by the table's address, so that a file cannot choose names that collide. */
static uint32_t name_hash(const hsi_onnx_model *model, const char *name)
{
    uint64_t hash = (uint64_t)(uintptr_t)model->names * UINT64_C(0x9e3779b97f4a7c15);
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 16);
}

/* The table's place for the name: of its value, or the free one where it belongs. */
static uint32_t *name_slot(const hsi_onnx_model *model, const char *name)
{
    uint32_t at = name_hash(model, name) & model->names_mask;
    while (model->names[at] != HSI_ONNX_NONE &&
           strcmp(model->values[model->names[at]].name, name) != 0)
        at = (at + 1) & model->names_mask;
    return &model->names[at];
}

uint32_t hsi_onnx_find_value(const hsi_onnx_model *model, const char *name)
{
    return *name_slot(model, name);
}

/* The value of that name, made if there is none yet; the tables have room for all. */
static uint32_t intern(hsi_onnx_model *model, const char *name)
{
    uint32_t *slot = name_slot(model, name);
    if (*slot == HSI_ONNX_NONE) {
        *slot = model->value_count++;
        model->values[*slot] =
            (hsi_onnx_value){ .name = name, .producer = HSI_ONNX_NONE };
    }
    return *slot;
}

static hsched_status make_name_tables(hsi_onnx_model *model,
                                      const Onnx__GraphProto *graph)
{
    size_t names = graph->n_input + graph->n_output + graph->n_initializer;
    for (size_t k = 0; k < graph->n_node; k++)
        names += graph->node[k]->n_input + graph->node[k]->n_output;
    size_t slots = 16;
    while (slots < 2 * names)
        slots *= 2;
    model->values = HSI_ONNX_NEW_ARRAY(&model->arena, hsi_onnx_value, names);
    model->names = HSI_ONNX_NEW_ARRAY(&model->arena, uint32_t, slots);
    if (!model->values || !model->names)
        return hsi_onnx_arena_error(&model->arena, "the table of names");
    memset(model->names, 0xff, slots * sizeof *model->names);
    model->names_mask = (uint32_t)(slots - 1);
    return HSCHED_OK;
}

/* ---- The parts of a graph ------------------------------------------------- */

static hsched_status duplicate(const char *what, const char *name)
{
    return hsi_error(
        HSCHED_ERROR_FORMAT,
        "%s '%.128s': the name is taken by another tensor; names must be unique", what,
        name);
}

static hsched_status read_initializers(hsi_onnx_model *model,
                                       const Onnx__GraphProto *graph)
{
    if (graph->n_sparse_initializer)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "the model has sparse initializers; store them as dense ones");
    for (size_t k = 0; k < graph->n_initializer; k++) {
        const Onnx__TensorProto *tensor = graph->initializer[k];
        if (!tensor->name || !*tensor->name)
            return hsi_error(HSCHED_ERROR_FORMAT, "initializer %zu has no name", k);
        hsi_onnx_value *value = &model->values[intern(model, tensor->name)];
        if (value->constant)
            return duplicate("initializer", tensor->name);
        hsched_status status = hsi_onnx_read_tensor(model, tensor, "initializer",
                                                    tensor->name, &value->constant);
        if (status)
            return status;
    }
    return HSCHED_OK;
}

/* Inputs that are also initialisers are constants: their default is what they are. */
static hsched_status read_inputs(hsi_onnx_model *model, const Onnx__GraphProto *graph)
{
    model->inputs = HSI_ONNX_NEW_ARRAY(&model->arena, uint32_t, graph->n_input);
    uint8_t *seen =
        HSI_ONNX_NEW_ARRAY(&model->arena, uint8_t, graph->n_input + graph->n_initializer);
    if (!model->inputs || !seen)
        return hsi_onnx_arena_error(&model->arena, "the inputs");
    for (size_t k = 0; k < graph->n_input; k++) {
        const Onnx__ValueInfoProto *input = graph->input[k];
        if (!input->name || !*input->name)
            return hsi_error(HSCHED_ERROR_FORMAT, "input %zu of the model has no name",
                             k);
        uint32_t index = intern(model, input->name);
        if (seen[index]++)
            return duplicate("input", input->name);
        if (model->values[index].constant)
            continue;
        model->values[index].input = input;
        model->inputs[model->input_count++] = index;
    }
    return HSCHED_OK;
}

static const char *node_label(hsi_onnx_model *model, const Onnx__NodeProto *proto,
                              uint32_t index)
{
    if (proto->name && *proto->name)
        return proto->name;
    for (size_t k = 0; k < proto->n_output; k++)
        if (proto->output[k] && *proto->output[k])
            return proto->output[k];
    return hsi_onnx_format(&model->arena, "%.64s_%u", proto->op_type, index);
}

static int64_t domain_version(const hsi_onnx_model *model, const char *domain)
{
    if (!*domain)
        return model->opset;
    for (size_t k = 0; k < model->proto->n_opset_import; k++) {
        const Onnx__OperatorSetIdProto *set = model->proto->opset_import[k];
        if (set->domain && strcmp(set->domain, domain) == 0)
            return set->version;
    }
    return 0;
}

static hsched_status read_outputs_of_node(hsi_onnx_model *model, uint32_t index)
{
    hsi_onnx_node *node = &model->nodes[index];
    for (uint32_t k = 0; k < node->output_count; k++) {
        const char *name = node->proto->output[k];
        node->outputs[k] = HSI_ONNX_NONE;
        if (!name || !*name)
            continue;
        node->outputs[k] = intern(model, name);
        hsi_onnx_value *value = &model->values[node->outputs[k]];
        if (value->constant || value->input || value->producer != HSI_ONNX_NONE)
            return hsi_error(
                HSCHED_ERROR_FORMAT,
                "node '%.128s' (%.64s): its output '%.128s' is already made elsewhere; "
                "every tensor is written once",
                node->label, node->op, name);
        value->producer = index;
    }
    return HSCHED_OK;
}

static hsched_status read_node(hsi_onnx_model *model, const Onnx__NodeProto *proto,
                               uint32_t index)
{
    hsi_onnx_node *node = &model->nodes[index];
    if (!proto->op_type || !*proto->op_type)
        return hsi_error(HSCHED_ERROR_FORMAT, "node %u ('%.128s') has no operator type",
                         index, proto->name ? proto->name : "");
    if (proto->n_input > UINT32_MAX / 2 || proto->n_output > UINT32_MAX / 2)
        return hsi_error(HSCHED_ERROR_LIMIT, "node %u has too many inputs or outputs",
                         index);
    *node = (hsi_onnx_node){ .proto = proto,
                             .op = proto->op_type,
                             .domain = proto->domain ? proto->domain : "",
                             .label = node_label(model, proto, index),
                             .input_count = (uint32_t)proto->n_input,
                             .output_count = (uint32_t)proto->n_output };
    if (strcmp(node->domain, "ai.onnx") == 0)
        node->domain = "";
    node->version = domain_version(model, node->domain);
    node->inputs = HSI_ONNX_NEW_ARRAY(&model->arena, uint32_t, proto->n_input);
    node->outputs = HSI_ONNX_NEW_ARRAY(&model->arena, uint32_t, proto->n_output);
    if (!node->label || !node->inputs || !node->outputs)
        return hsi_onnx_arena_error(&model->arena, "the nodes");
    return read_outputs_of_node(model, index);
}

static hsched_status resolve_inputs(hsi_onnx_model *model, hsi_onnx_node *node)
{
    for (uint32_t k = 0; k < node->input_count; k++) {
        const char *name = node->proto->input[k];
        node->inputs[k] = HSI_ONNX_NONE;
        if (!name || !*name)
            continue;
        node->inputs[k] = hsi_onnx_find_value(model, name);
        if (node->inputs[k] == HSI_ONNX_NONE)
            return hsi_error(
                HSCHED_ERROR_FORMAT,
                "node '%.128s' (%.64s) reads '%.128s', which is no input, initializer or "
                "output of a node",
                node->label, node->op, name);
    }
    return HSCHED_OK;
}

static hsched_status read_nodes(hsi_onnx_model *model, const Onnx__GraphProto *graph)
{
    model->nodes = HSI_ONNX_NEW_ARRAY(&model->arena, hsi_onnx_node, graph->n_node);
    if (!model->nodes)
        return hsi_onnx_arena_error(&model->arena, "the nodes");
    model->node_count = (uint32_t)graph->n_node; /* at most HSI_ONNX_MAX_NODES */
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < model->node_count && !status; k++)
        status = read_node(model, graph->node[k], k);
    for (uint32_t k = 0; k < model->node_count && !status; k++)
        status = resolve_inputs(model, &model->nodes[k]);
    return status;
}

static hsched_status read_outputs(hsi_onnx_model *model, const Onnx__GraphProto *graph)
{
    if (graph->n_output == 0)
        return hsi_error(HSCHED_ERROR_FORMAT,
                         "the model has no outputs; nothing could be computed");
    model->outputs = HSI_ONNX_NEW_ARRAY(&model->arena, uint32_t, graph->n_output);
    uint8_t *seen = HSI_ONNX_NEW_ARRAY(&model->arena, uint8_t, model->value_count);
    if (!model->outputs || !seen)
        return hsi_onnx_arena_error(&model->arena, "the outputs");
    for (size_t k = 0; k < graph->n_output; k++) {
        const char *name = graph->output[k]->name;
        uint32_t index = name && *name ? hsi_onnx_find_value(model, name) : HSI_ONNX_NONE;
        if (index == HSI_ONNX_NONE)
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "output %zu of the model ('%.128s') is produced by no node",
                             k, name ? name : "");
        if (seen[index]++)
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "output '%.128s' of the model is listed twice", name);
        model->values[index].is_output = 1;
        model->outputs[model->output_count++] = index;
    }
    return HSCHED_OK;
}

/* ---- The whole ------------------------------------------------------------ */

static hsched_status read_opset(hsi_onnx_model *model)
{
    const Onnx__ModelProto *proto = model->proto;
    if (!proto->graph)
        return hsi_error(HSCHED_ERROR_FORMAT,
                         "the model has no graph; is this an ONNX file?");
    if (proto->has_ir_version && proto->ir_version < 3)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "IR version %lld is older than ONNX 1.0; convert the model with a current "
            "exporter",
            (long long)proto->ir_version);
    int64_t version = 0;
    for (size_t k = 0; k < proto->n_opset_import; k++) {
        const Onnx__OperatorSetIdProto *set = proto->opset_import[k];
        if (set->domain && *set->domain && strcmp(set->domain, "ai.onnx") != 0)
            continue;
        if (version && version != set->version)
            return hsi_error(
                HSCHED_ERROR_FORMAT,
                "the model imports opset %lld and opset %lld of ai.onnx at once",
                (long long)version, (long long)set->version);
        version = set->version;
    }
    if (version == 0)
        return hsi_error(HSCHED_ERROR_FORMAT,
                         "the model does not say which opset of ai.onnx it uses");
    if (version < FIRST_OPSET || version > LAST_OPSET)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "the model uses opset %lld; this version reads opsets %d to %d: convert it "
            "with onnx.version_converter or export it anew",
            (long long)version, FIRST_OPSET, LAST_OPSET);
    model->opset = version;
    return HSCHED_OK;
}

static size_t clamp_size(uint64_t value)
{
    return value < SIZE_MAX ? (size_t)value : SIZE_MAX;
}

static hsched_status unpack(hsi_onnx_model *model)
{
    hsched_status status = hsi_onnx_scan_model(model->data, model->size, &model->scan);
    if (status)
        return status;
    /* A packed number of one byte becomes eight; a small message becomes some 200 bytes,
     * and the scan bounds their count. */
    uint64_t budget = (UINT64_C(512) << 20) + UINT64_C(12) * model->scan.skeleton_size;
    hsi_onnx_arena_init(&model->proto_arena, clamp_size(budget));
    model->proto = onnx__model_proto__unpack(
        &model->proto_arena.allocator, model->scan.skeleton_size, model->scan.skeleton);
    hsi_free(model->scan.skeleton);
    model->scan.skeleton = NULL;
    if (model->proto)
        return HSCHED_OK;
    if (model->proto_arena.refused)
        return hsi_onnx_arena_error(&model->proto_arena, "the model's structure");
    return hsi_error(
        HSCHED_ERROR_FORMAT,
        "the model cannot be decoded; the file is damaged or not an ONNX model");
}

hsched_status hsi_onnx_model_read(const void *data, size_t size, const char *path,
                                  const hsched_onnx_config *config, hsi_onnx_model *model)
{
    *model = (hsi_onnx_model){ .data = data,
                               .size = size,
                               .path = path,
                               .allow_external = config->allow_external_data,
                               .max_bytes = config->max_bytes ? config->max_bytes
                                                              : DEFAULT_MAX_BYTES };
    hsi_onnx_arena_init(&model->arena, clamp_size(model->max_bytes));
    hsched_status status = unpack(model);
    if (!status)
        status = read_opset(model);
    if (status)
        goto done;
    const Onnx__GraphProto *graph = model->proto->graph;
    status = make_name_tables(model, graph);
    if (!status)
        status = read_initializers(model, graph);
    if (!status)
        status = read_inputs(model, graph);
    if (!status)
        status = read_nodes(model, graph);
    if (!status)
        status = read_outputs(model, graph);
    if (!status)
        status = hsi_onnx_sort_nodes(model);
done:
    if (status)
        hsi_onnx_model_free(model);
    return status;
}

void hsi_onnx_model_free(hsi_onnx_model *model)
{
    for (uint32_t k = 0; k < model->external_count; k++)
        if (model->externals[k].file)
            hsi_source_release(&model->externals[k].file->source);
    hsi_free(model->externals);
    hsi_onnx_scan_free(&model->scan);
    hsi_onnx_arena_free(&model->proto_arena);
    hsi_onnx_arena_free(&model->arena);
    *model = (hsi_onnx_model){ 0 };
}
