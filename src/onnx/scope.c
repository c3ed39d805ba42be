/* Copies of nodes with other names: what functions and subgraphs become outside. */
#include "onnx/flat.h"

#include <string.h>

#include "base/status.h"
#include "onnx/model.h"

static char *text(const char *t)
{
    return (char *)(uintptr_t)t;
}

static hsched_status no_memory(const hsi_onnx_flattening *f)
{
    return hsi_onnx_arena_error(&f->model->arena, "inlined nodes");
}

/* ---- Names ---------------------------------------------------------------- */

hsched_status hsi_onnx_bind(hsi_onnx_flattening *f, hsi_onnx_scope *s, const char *name,
                            const char *made)
{
    if (!name || !*name)
        return HSCHED_OK;
    if (++f->flat->work > HSI_ONNX_MAX_FIELDS)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "writing out the model's functions and loops takes more than %d "
                         "names; simplify the model",
                         HSI_ONNX_MAX_FIELDS);
    return hsi_onnx_names_put(&s->names, name, made)
               ? HSCHED_OK
               : hsi_out_of_memory("the names of inlined nodes");
}

const char *hsi_onnx_resolve(const hsi_onnx_scope *s, const char *name)
{
    if (!name || !*name)
        return "";
    for (;; s = s->outer) {
        const char *found = hsi_onnx_names_get(&s->names, name);
        if (found)
            return found;
        if (!s->outer)
            return s->open ? name : NULL;
    }
}

/* A name that the body makes: new outside, and written once. */
static hsched_status bind_new(hsi_onnx_flattening *f, hsi_onnx_scope *s, const char *name)
{
    const char *made;
    if (!name || !*name)
        return HSCHED_OK;
    if (hsi_onnx_names_get(&s->names, name))
        return hsi_error(HSCHED_ERROR_FORMAT,
                         "in '%.128s': '%.128s' is made twice; every tensor is written "
                         "once",
                         s->prefix, name);
    hsched_status status = hsi_onnx_flat_name(f, s->prefix, name, &made);
    return status ? status : hsi_onnx_bind(f, s, name, made);
}

hsched_status hsi_onnx_bind_nodes(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                  Onnx__NodeProto *const *nodes, size_t count)
{
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < nodes[k]->n_output && !status; i++)
            status = bind_new(f, s, nodes[k]->output[i]);
    return status;
}

hsched_status hsi_onnx_bind_graph(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                  const Onnx__GraphProto *graph)
{
    hsched_status status = HSCHED_OK;
    if (graph->n_sparse_initializer)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "'%.128s' has sparse initializers; store them as dense ones",
                         s->prefix);
    for (size_t k = 0; k < graph->n_initializer && !status; k++)
        status = bind_new(f, s, graph->initializer[k]->name);
    return status ? status : hsi_onnx_bind_nodes(f, s, graph->node, graph->n_node);
}

/* ---- Copies --------------------------------------------------------------- */

static hsched_status copy_node(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                               const Onnx__NodeProto *node, Onnx__NodeProto **result);

static hsched_status copy_values(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                 Onnx__ValueInfoProto *const *values, size_t count,
                                 Onnx__ValueInfoProto ***result)
{
    hsi_onnx_arena *arena = &f->model->arena;
    *result = HSI_ONNX_NEW_ARRAY(arena, Onnx__ValueInfoProto *, count);
    if (!*result)
        return no_memory(f);
    for (size_t k = 0; k < count; k++) {
        Onnx__ValueInfoProto *copy = HSI_ONNX_NEW(arena, Onnx__ValueInfoProto);
        const char *name = hsi_onnx_resolve(s, values[k]->name);
        if (!copy)
            return no_memory(f);
        if (!name)
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "a subgraph in '%.128s' has '%.128s', which nothing makes",
                             s->prefix, values[k]->name);
        *copy = *values[k];
        copy->name = text(name);
        (*result)[k] = copy;
    }
    return HSCHED_OK;
}

static hsched_status copy_tensors(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                  Onnx__GraphProto *graph)
{
    hsi_onnx_arena *arena = &f->model->arena;
    Onnx__TensorProto **tensors =
        HSI_ONNX_NEW_ARRAY(arena, Onnx__TensorProto *, graph->n_initializer);
    if (!tensors)
        return no_memory(f);
    for (size_t k = 0; k < graph->n_initializer; k++) {
        tensors[k] = HSI_ONNX_NEW(arena, Onnx__TensorProto);
        if (!tensors[k])
            return no_memory(f);
        *tensors[k] = *graph->initializer[k];
        tensors[k]->name = text(hsi_onnx_resolve(s, tensors[k]->name));
    }
    graph->initializer = tensors;
    return HSCHED_OK;
}

static hsched_status copy_graph_in(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                   Onnx__GraphProto *copy)
{
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < copy->n_input && !status; k++)
        status = bind_new(f, s, copy->input[k]->name);
    if (!status)
        status = hsi_onnx_bind_graph(f, s, copy);
    if (!status)
        status = copy_values(f, s, copy->input, copy->n_input, &copy->input);
    if (!status)
        status = copy_values(f, s, copy->output, copy->n_output, &copy->output);
    if (!status)
        status = copy_tensors(f, s, copy);
    if (status)
        return status;
    Onnx__NodeProto **nodes =
        HSI_ONNX_NEW_ARRAY(&f->model->arena, Onnx__NodeProto *, copy->n_node);
    if (!nodes)
        return no_memory(f);
    for (size_t k = 0; k < copy->n_node && !status; k++)
        status = copy_node(f, s, copy->node[k], &nodes[k]);
    copy->node = nodes;
    return status;
}

/* A subgraph that stays one for now, with the names that it captures changed. */
static hsched_status copy_graph(hsi_onnx_flattening *f, const hsi_onnx_scope *outer,
                                const Onnx__GraphProto *graph, Onnx__GraphProto **result)
{
    hsi_onnx_scope s = { .outer = outer,
                         .prefix = outer->prefix,
                         .function = outer->function,
                         .call = outer->call };
    *result = HSI_ONNX_NEW(&f->model->arena, Onnx__GraphProto);
    if (!*result)
        return no_memory(f);
    **result = *graph;
    hsched_status status = copy_graph_in(f, &s, *result);
    hsi_onnx_names_free(&s.names);
    return status;
}

/* What a reference to one of the function's attributes stands for; NULL: it was left out.
 */
static const Onnx__AttributeProto *referred(const hsi_onnx_scope *s, const char *name)
{
    for (size_t k = 0; s->call && k < s->call->n_attribute; k++)
        if (s->call->attribute[k]->name && strcmp(s->call->attribute[k]->name, name) == 0)
            return s->call->attribute[k];
    for (size_t k = 0; s->function && k < s->function->n_attribute_proto; k++)
        if (s->function->attribute_proto[k]->name &&
            strcmp(s->function->attribute_proto[k]->name, name) == 0)
            return s->function->attribute_proto[k];
    return NULL;
}

static hsched_status copy_attributes(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                     Onnx__NodeProto *node)
{
    hsi_onnx_arena *arena = &f->model->arena;
    Onnx__AttributeProto *const *given = node->attribute;
    Onnx__AttributeProto **attrs =
        HSI_ONNX_NEW_ARRAY(arena, Onnx__AttributeProto *, node->n_attribute);
    size_t count = 0, given_count = node->n_attribute;
    if (!attrs)
        return no_memory(f);
    for (size_t k = 0; k < given_count; k++) {
        const Onnx__AttributeProto *from = given[k];
        int refers = s->function && from->ref_attr_name && *from->ref_attr_name;
        if (refers && !(from = referred(s, from->ref_attr_name)))
            continue;
        Onnx__AttributeProto *copy = HSI_ONNX_NEW(arena, Onnx__AttributeProto);
        if (!copy)
            return no_memory(f);
        *copy = *from;
        copy->name = given[k]->name;
        attrs[count++] = copy;
        if (!from->g || refers) /* the caller's subgraphs have final names */
            continue;
        hsched_status status = copy_graph(f, s, from->g, &copy->g);
        if (status)
            return status;
    }
    node->attribute = attrs;
    node->n_attribute = count;
    return HSCHED_OK;
}

static hsched_status copy_names(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                char *const *names, size_t count, char ***result)
{
    *result = HSI_ONNX_NEW_ARRAY(&f->model->arena, char *, count);
    if (!*result)
        return no_memory(f);
    for (size_t k = 0; k < count; k++) {
        const char *name = hsi_onnx_resolve(s, names[k]);
        if (!name)
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "a node in '%.128s' reads '%.128s', which nothing makes "
                             "there",
                             s->prefix, names[k]);
        (*result)[k] = text(name);
    }
    return HSCHED_OK;
}

static hsched_status copy_node(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                               const Onnx__NodeProto *node, Onnx__NodeProto **result)
{
    hsi_onnx_arena *arena = &f->model->arena;
    Onnx__NodeProto *copy = HSI_ONNX_NEW(arena, Onnx__NodeProto);
    *result = copy;
    if (!copy)
        return no_memory(f);
    f->flat->work += 1 + node->n_input + node->n_attribute;
    *copy = *node;
    if (node->name && *node->name &&
        !(copy->name = text(hsi_onnx_format(arena, "%s/%s", s->prefix, node->name))))
        return no_memory(f);
    hsched_status status = copy_names(f, s, node->input, node->n_input, &copy->input);
    if (!status)
        status = copy_names(f, s, node->output, node->n_output, &copy->output);
    return status ? status : copy_attributes(f, s, copy);
}

hsched_status hsi_onnx_add_copies(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                  Onnx__NodeProto *const *nodes, size_t count,
                                  const hsi_onnx_opsets *opsets)
{
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < count && !status; k++) {
        Onnx__NodeProto *copy;
        status = copy_node(f, s, nodes[k], &copy);
        if (!status)
            status = hsi_onnx_add_node(f, copy, opsets);
    }
    return status;
}

/* ---- Results -------------------------------------------------------------- */

static hsched_status name_results(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                  const hsi_onnx_names *made, hsi_onnx_names *taken,
                                  const char *const *inside, const char *const *outside,
                                  size_t count)
{
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < count && !status; k++) {
        if (!inside[k] || !outside[k] || !*outside[k] ||
            !hsi_onnx_names_get(made, inside[k]) || hsi_onnx_names_get(taken, inside[k]))
            continue;
        if (!hsi_onnx_names_put(taken, inside[k], inside[k]))
            return hsi_out_of_memory("the names of inlined nodes");
        status = hsi_onnx_bind(f, s, inside[k], outside[k]);
    }
    return status;
}

hsched_status hsi_onnx_bind_results(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                    Onnx__NodeProto *const *nodes, size_t node_count,
                                    const char *const *inside, const char *const *outside,
                                    size_t count)
{
    hsi_onnx_names made = { 0 }, taken = { 0 };
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < node_count; k++)
        for (size_t i = 0; i < nodes[k]->n_output && !status; i++) {
            const char *name = nodes[k]->output[i];
            if (name && *name && !hsi_onnx_names_put(&made, name, name))
                status = hsi_out_of_memory("the names of inlined nodes");
        }
    if (!status)
        status = name_results(f, s, &made, &taken, inside, outside, count);
    hsi_onnx_names_free(&made);
    hsi_onnx_names_free(&taken);
    return status;
}

hsched_status hsi_onnx_pass_results(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                    const char *const *inside, const char *const *outside,
                                    size_t count)
{
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < count && !status; k++) {
        if (!outside[k] || !*outside[k])
            continue;
        const char *from = hsi_onnx_resolve(s, inside[k]);
        if (!from || !*from)
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "result '%.128s' of '%.128s' is made by nothing there",
                             inside[k] ? inside[k] : "", s->prefix);
        if (strcmp(from, outside[k]) != 0)
            status = hsi_onnx_push_made(f, "Identity", "", &from, 1, outside[k], NULL, 0);
    }
    return status;
}
