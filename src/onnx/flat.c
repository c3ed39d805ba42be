#include "onnx/flat.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "onnx/model.h"

const char hsi_onnx_own_domain[] = "hsched";

/* What the library writes itself: before lists of axes became inputs. */
static Onnx__OperatorSetIdProto made_opset = { .has_version = 1, .version = 11 };
static Onnx__OperatorSetIdProto *const made_sets[] = { &made_opset };
static const hsi_onnx_opsets made_opsets = { made_sets, 1 };

const char *hsi_onnx_domain(const char *domain)
{
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

int64_t hsi_onnx_version(const hsi_onnx_opsets *opsets, const char *domain)
{
    for (size_t k = 0; k < opsets->count; k++)
        if (strcmp(hsi_onnx_domain(opsets->sets[k]->domain), domain) == 0)
            return opsets->sets[k]->version;
    return 0;
}

const char *hsi_onnx_prefix(const Onnx__NodeProto *proto)
{
    if (proto->name && *proto->name)
        return proto->name;
    for (size_t k = 0; k < proto->n_output; k++)
        if (proto->output[k] && *proto->output[k])
            return proto->output[k];
    return proto->op_type;
}

/* ---- Names ---------------------------------------------------------------- */

static int use_name(hsi_onnx_flat *flat, const char *name)
{
    return !name || !*name || hsi_onnx_names_put(&flat->names, name, name);
}

/* Collected once a name must be made: most models need none. */
static hsched_status collect_names(hsi_onnx_flattening *f)
{
    hsi_onnx_flat *flat = f->flat;
    const Onnx__GraphProto *graph = f->model->proto->graph;
    int ok = 1;
    for (size_t k = 0; k < graph->n_input && ok; k++)
        ok = use_name(flat, graph->input[k]->name);
    for (size_t k = 0; k < graph->n_initializer && ok; k++)
        ok = use_name(flat, graph->initializer[k]->name);
    for (size_t k = 0; k < graph->n_node; k++)
        for (size_t i = 0; i < graph->node[k]->n_output && ok; i++)
            ok = use_name(flat, graph->node[k]->output[i]);
    return ok ? HSCHED_OK : hsi_out_of_memory("the names of the model");
}

hsched_status hsi_onnx_flat_name(hsi_onnx_flattening *f, const char *prefix,
                                 const char *name, const char **made)
{
    hsi_onnx_arena *arena = &f->model->arena;
    hsched_status status = f->flat->names.count ? HSCHED_OK : collect_names(f);
    if (status)
        return status;
    *made = hsi_onnx_format(arena, "%s/%s", prefix, name);
    for (uint32_t k = 2; *made && hsi_onnx_names_get(&f->flat->names, *made); k++)
        *made = hsi_onnx_format(arena, "%s/%s_%u", prefix, name, k);
    if (!*made)
        return hsi_onnx_arena_error(arena, "the names of inlined nodes");
    return use_name(f->flat, *made) ? HSCHED_OK
                                    : hsi_out_of_memory("the names of the model");
}

/* ---- The lists ------------------------------------------------------------ */

hsched_status hsi_onnx_push_node(hsi_onnx_flattening *f, const Onnx__NodeProto *proto,
                                 const hsi_onnx_opsets *opsets)
{
    hsi_onnx_flat *flat = f->flat;
    if (flat->node_count == HSI_ONNX_MAX_NODES)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "with its functions and loops written out the model has more "
                         "than %d nodes; simplify the model",
                         HSI_ONNX_MAX_NODES);
    if (!HSI_GROW(flat->nodes, flat->node_count, flat->node_capacity))
        return hsi_out_of_memory("the list of nodes");
    flat->nodes[flat->node_count++] = (hsi_onnx_flat_node){ proto, opsets };
    return HSCHED_OK;
}

hsched_status hsi_onnx_push_tensor(hsi_onnx_flattening *f, const char *name,
                                   const Onnx__TensorProto *proto)
{
    hsi_onnx_flat *flat = f->flat;
    if (flat->tensor_count == HSI_ONNX_MAX_TENSORS)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "with its functions and loops written out the model has more "
                         "than %d tensors; simplify the model",
                         HSI_ONNX_MAX_TENSORS);
    if (!HSI_GROW(flat->tensors, flat->tensor_count, flat->tensor_capacity))
        return hsi_out_of_memory("the list of initializers");
    flat->tensors[flat->tensor_count++] = (hsi_onnx_flat_tensor){ name, proto, NULL };
    return HSCHED_OK;
}

/* protobuf-c's structs have no const; nothing writes to them. */
static char *text(const char *t)
{
    return (char *)(uintptr_t)t;
}

static Onnx__AttributeProto *int_attribute(hsi_onnx_arena *arena, const char *name,
                                           int64_t value)
{
    Onnx__AttributeProto *attr = HSI_ONNX_NEW(arena, Onnx__AttributeProto);
    int64_t *list = HSI_ONNX_NEW(arena, int64_t);
    if (!attr || !list)
        return NULL;
    onnx__attribute_proto__init(attr);
    attr->name = text(name);
    attr->has_type = 1;
    if (strcmp(name, "axes") == 0) {
        attr->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        *list = value;
        attr->ints = list;
        attr->n_ints = 1;
    } else {
        attr->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        attr->has_i = 1;
        attr->i = value;
    }
    return attr;
}

hsched_status hsi_onnx_push_made(hsi_onnx_flattening *f, const char *op,
                                 const char *domain, const char *const *inputs,
                                 size_t input_count, const char *output,
                                 const char *attribute, int64_t value)
{
    hsi_onnx_arena *arena = &f->model->arena;
    Onnx__NodeProto *node = HSI_ONNX_NEW(arena, Onnx__NodeProto);
    char **names = HSI_ONNX_NEW_ARRAY(arena, char *, input_count + 1);
    Onnx__AttributeProto **attrs = HSI_ONNX_NEW(arena, Onnx__AttributeProto *);
    if (!node || !names || !attrs ||
        (attribute && !(attrs[0] = int_attribute(arena, attribute, value))))
        return hsi_onnx_arena_error(arena, "inlined nodes");
    onnx__node_proto__init(node);
    for (size_t k = 0; k < input_count; k++)
        names[k] = text(inputs[k]);
    names[input_count] = text(output);
    node->op_type = text(op);
    node->domain = text(domain);
    node->input = names;
    node->n_input = input_count;
    node->output = names + input_count;
    node->n_output = 1;
    node->attribute = attrs;
    node->n_attribute = attribute != NULL;
    return hsi_onnx_push_node(f, node, &made_opsets);
}

hsched_status hsi_onnx_push_ints(hsi_onnx_flattening *f, const char *prefix,
                                 uint32_t rank, const int64_t *values, size_t count,
                                 int is_bool, const char **name)
{
    hsi_onnx_arena *arena = &f->model->arena;
    Onnx__TensorProto *tensor = HSI_ONNX_NEW(arena, Onnx__TensorProto);
    int64_t *list = HSI_ONNX_NEW_ARRAY(arena, int64_t, count + 1);
    int32_t *flag = HSI_ONNX_NEW(arena, int32_t);
    if (!tensor || !list || !flag)
        return hsi_onnx_arena_error(arena, "constants of inlined nodes");
    onnx__tensor_proto__init(tensor);
    if (count)
        memcpy(list, values, count * sizeof *list);
    tensor->has_data_type = 1;
    if (is_bool) {
        tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
        *flag = values[0] != 0;
        tensor->int32_data = flag;
        tensor->n_int32_data = 1;
    } else {
        tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
        tensor->int64_data = list;
        tensor->n_int64_data = count;
    }
    if (rank == 1) {
        int64_t *dims = HSI_ONNX_NEW(arena, int64_t);
        if (!dims)
            return hsi_onnx_arena_error(arena, "constants of inlined nodes");
        *dims = (int64_t)count;
        tensor->dims = dims;
        tensor->n_dims = 1;
    }
    hsched_status status = hsi_onnx_flat_name(f, prefix, "constant", name);
    return status ? status : hsi_onnx_push_tensor(f, *name, tensor);
}

/* ---- The whole ------------------------------------------------------------ */

hsched_status hsi_onnx_add_node(hsi_onnx_flattening *f, const Onnx__NodeProto *proto,
                                const hsi_onnx_opsets *opsets)
{
    int done = 0;
    if (!proto->op_type || !*proto->op_type)
        return hsi_error(HSCHED_ERROR_FORMAT, "node %u ('%.128s') has no operator type",
                         f->flat->node_count, proto->name ? proto->name : "");
    hsched_status status = hsi_onnx_inline(f, proto, &done);
    if (status || done)
        return status;
    if (*hsi_onnx_domain(proto->domain))
        return hsi_onnx_push_node(f, proto, opsets);
    int64_t version = hsi_onnx_version(opsets, "");
    if (version == 0) {
        opsets = &f->flat->opsets; /* a function that does not say */
        version = f->model->opset;
    }
    return version < 7 ? hsi_onnx_push_legacy(f, proto, opsets, version)
                       : hsi_onnx_push_node(f, proto, opsets);
}

hsched_status hsi_onnx_flatten(hsi_onnx_model *model)
{
    const Onnx__GraphProto *graph = model->proto->graph;
    hsi_onnx_flattening f = { .model = model, .flat = &model->flat };
    model->flat.opsets =
        (hsi_onnx_opsets){ model->proto->opset_import, model->proto->n_opset_import };
    hsched_status status = hsi_onnx_sort_functions(model);
    for (size_t k = 0; k < graph->n_initializer && !status; k++)
        status =
            hsi_onnx_push_tensor(&f, graph->initializer[k]->name, graph->initializer[k]);
    for (size_t k = 0; k < graph->n_node && !status; k++)
        status = hsi_onnx_add_node(&f, graph->node[k], &model->flat.opsets);
    return status;
}

hsched_status hsi_onnx_flatten_chosen(hsi_onnx_model *model, const int64_t *choices)
{
    hsi_onnx_flattening f = { .model = model, .flat = &model->flat };
    hsi_onnx_flat *flat = &model->flat;
    hsi_onnx_flat_node *before = flat->nodes;
    uint32_t count = flat->node_count;
    flat->nodes = NULL;
    flat->node_count = flat->node_capacity = 0;
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < count && !status; k++)
        status = choices[k] == HSI_ONNX_OPEN
                     ? hsi_onnx_push_node(&f, before[k].proto, before[k].opsets)
                     : hsi_onnx_add_chosen(&f, &before[k], choices[k]);
    hsi_free(before);
    return status;
}

void hsi_onnx_flat_free(hsi_onnx_flat *flat)
{
    hsi_free(flat->nodes);
    hsi_free(flat->tensors);
    hsi_onnx_names_free(&flat->names);
    *flat = (hsi_onnx_flat){ 0 };
}
