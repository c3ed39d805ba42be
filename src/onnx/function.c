/* The model's own functions: calls of them are replaced by their nodes. */
#include "onnx/flat.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "onnx/model.h"

typedef struct function_key {
    const char *domain, *name, *overload;
} function_key;

static const char *or_empty(const char *t)
{
    return t ? t : "";
}

static int compare_keys(const function_key *a, const function_key *b)
{
    int order = strcmp(a->domain, b->domain);
    if (!order)
        order = strcmp(a->name, b->name);
    return order ? order : strcmp(a->overload, b->overload);
}

static function_key key_of(const hsi_onnx_function *f)
{
    return (function_key){ hsi_onnx_domain(f->proto->domain), or_empty(f->proto->name),
                           or_empty(f->proto->overload) };
}

static int compare_functions(const void *a, const void *b)
{
    function_key x = key_of(a), y = key_of(b);
    return compare_keys(&x, &y);
}

static int compare_with_key(const void *key, const void *function)
{
    function_key y = key_of(function);
    return compare_keys(key, &y);
}

hsched_status hsi_onnx_sort_functions(hsi_onnx_model *model)
{
    const Onnx__ModelProto *proto = model->proto;
    hsi_onnx_flat *flat = &model->flat;
    flat->functions =
        HSI_ONNX_NEW_ARRAY(&model->arena, hsi_onnx_function, proto->n_functions);
    if (!flat->functions)
        return hsi_onnx_arena_error(&model->arena, "the functions");
    for (size_t k = 0; k < proto->n_functions; k++)
        flat->functions[k] =
            (hsi_onnx_function){ proto->functions[k],
                                 { proto->functions[k]->opset_import,
                                   proto->functions[k]->n_opset_import } };
    flat->function_count = (uint32_t)proto->n_functions;
    qsort(flat->functions, flat->function_count, sizeof *flat->functions,
          compare_functions);
    for (uint32_t k = 1; k < flat->function_count; k++)
        if (compare_functions(&flat->functions[k - 1], &flat->functions[k]) == 0)
            return hsi_error(HSCHED_ERROR_FORMAT, "the model has two functions '%.128s'",
                             or_empty(flat->functions[k].proto->name));
    return HSCHED_OK;
}

static hsched_status check_call(const hsi_onnx_flattening *f, const Onnx__NodeProto *call,
                                const hsi_onnx_function *function)
{
    const char *label = hsi_onnx_prefix(call);
    for (uint32_t k = 0; k < f->calls; k++)
        if (f->active[k] == function)
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "node '%.128s': function '%.128s' calls itself; ONNX "
                             "functions do not",
                             label, call->op_type);
    if (f->calls == sizeof f->active / sizeof *f->active)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "node '%.128s': functions call each other more than %zu deep; "
                         "simplify the model",
                         label, sizeof f->active / sizeof *f->active);
    if (call->n_input > function->proto->n_input ||
        call->n_output > function->proto->n_output)
        return hsi_error(HSCHED_ERROR_FORMAT,
                         "node '%.128s' has more inputs or outputs than its function "
                         "'%.128s'",
                         label, call->op_type);
    return HSCHED_OK;
}

static hsched_status add_body(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                              const hsi_onnx_function *function)
{
    const Onnx__FunctionProto *proto = function->proto;
    const Onnx__NodeProto *call = s->call;
    const char *const *inside = (const char *const *)proto->output;
    const char *const *outside = (const char *const *)call->output;
    hsched_status status = hsi_onnx_bind_nodes(f, s, proto->node, proto->n_node);
    for (size_t k = 0; k < proto->n_input && !status; k++) {
        if (hsi_onnx_names_get(&s->names, or_empty(proto->input[k])))
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "function '%.128s' writes to its input '%.128s' or has two "
                             "of that name",
                             call->op_type, proto->input[k]);
        status = hsi_onnx_bind(f, s, proto->input[k],
                               k < call->n_input ? or_empty(call->input[k]) : "");
    }
    if (!status)
        status = hsi_onnx_bind_results(f, s, proto->node, proto->n_node, inside, outside,
                                       call->n_output);
    if (!status)
        status = hsi_onnx_add_copies(f, s, proto->node, proto->n_node, &function->opsets);
    return status ? status : hsi_onnx_pass_results(f, s, inside, outside, call->n_output);
}

hsched_status hsi_onnx_inline(hsi_onnx_flattening *f, const Onnx__NodeProto *call,
                              int *done)
{
    function_key key = { hsi_onnx_domain(call->domain), call->op_type,
                         or_empty(call->overload) };
    const hsi_onnx_flat *flat = f->flat;
    const hsi_onnx_function *function =
        flat->function_count ? bsearch(&key, flat->functions, flat->function_count,
                                       sizeof *flat->functions, compare_with_key)
                             : NULL;
    *done = function != NULL;
    hsched_status status = function ? check_call(f, call, function) : HSCHED_OK;
    if (!function || status)
        return status;
    hsi_onnx_scope s = { .prefix = hsi_onnx_prefix(call),
                         .function = function->proto,
                         .call = call };
    f->active[f->calls++] = function;
    status = add_body(f, &s, function);
    f->calls--;
    hsi_onnx_names_free(&s.names);
    return status;
}
