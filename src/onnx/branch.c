/* If and Loop, once it is known which way they go: the branch, or all iterations. */
#include "onnx/flat.h"

#include <string.h>

#include "base/status.h"
#include "onnx/model.h"

static const Onnx__GraphProto *subgraph(const Onnx__NodeProto *node, const char *name)
{
    for (size_t k = 0; k < node->n_attribute; k++)
        if (node->attribute[k]->name && strcmp(node->attribute[k]->name, name) == 0)
            return node->attribute[k]->g;
    return NULL;
}

/* The names of a graph's outputs. */
static const char **output_names(hsi_onnx_flattening *f, const Onnx__GraphProto *graph)
{
    const char **names =
        HSI_ONNX_NEW_ARRAY(&f->model->arena, const char *, graph->n_output);
    for (size_t k = 0; names && k < graph->n_output; k++)
        names[k] = graph->output[k]->name ? graph->output[k]->name : "";
    return names;
}

/* The body's initialisers and nodes, under the names of the scope. */
static hsched_status add_graph(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                               const Onnx__GraphProto *graph,
                               const hsi_onnx_opsets *opsets)
{
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < graph->n_initializer && !status; k++)
        status = hsi_onnx_push_tensor(f, hsi_onnx_resolve(s, graph->initializer[k]->name),
                                      graph->initializer[k]);
    return status ? status
                  : hsi_onnx_add_copies(f, s, graph->node, graph->n_node, opsets);
}

/* ---- If ------------------------------------------------------------------- */

static hsched_status add_branch(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                const hsi_onnx_flat_node *node,
                                const Onnx__GraphProto *graph)
{
    const char *const *outside = (const char *const *)node->proto->output;
    const char **inside = output_names(f, graph);
    size_t count = node->proto->n_output;
    if (!inside)
        return hsi_onnx_arena_error(&f->model->arena, "inlined nodes");
    hsched_status status = hsi_onnx_bind_graph(f, s, graph);
    if (!status)
        status = hsi_onnx_bind_results(f, s, graph->node, graph->n_node, inside, outside,
                                       count);
    if (!status)
        status = add_graph(f, s, graph, node->opsets);
    return status ? status : hsi_onnx_pass_results(f, s, inside, outside, count);
}

/* ---- Loop ----------------------------------------------------------------- */

typedef struct loop {
    const hsi_onnx_flat_node *node;
    const Onnx__GraphProto *body;
    size_t carried;         /* values that go from iteration to iteration */
    size_t scanned;         /* outputs that collect a value of each iteration */
    const char **results;   /* the body's outputs: condition, carried, scanned */
    const char **now;       /* the carried values before an iteration */
    const char **collected; /* [scanned][iterations] */
    int64_t iterations;
} loop;

static hsched_status prepare_loop(hsi_onnx_flattening *f, loop *l)
{
    const Onnx__NodeProto *node = l->node->proto;
    hsi_onnx_arena *arena = &f->model->arena;
    l->carried = l->body->n_input - 2;
    l->scanned = l->body->n_output - 1 - l->carried;
    l->results = output_names(f, l->body);
    l->now = HSI_ONNX_NEW_ARRAY(arena, const char *, l->carried);
    l->collected =
        HSI_ONNX_NEW_ARRAY(arena, const char *, l->scanned *(size_t)l->iterations);
    if (!l->results || !l->now || !l->collected)
        return hsi_onnx_arena_error(arena, "inlined nodes");
    for (size_t k = 0; k < l->carried; k++)
        l->now[k] = node->input[2 + k];
    return HSCHED_OK;
}

static hsched_status bind_inputs(hsi_onnx_flattening *f, hsi_onnx_scope *s, const loop *l,
                                 int64_t iteration)
{
    const char *number, *condition;
    int64_t yes = 1;
    hsched_status status = hsi_onnx_push_ints(f, s->prefix, 0, &iteration, 1, 0, &number);
    if (!status)
        status = hsi_onnx_push_ints(f, s->prefix, 0, &yes, 1, 1, &condition);
    for (size_t k = 0; k < l->body->n_input && !status; k++) {
        const char *name = l->body->input[k]->name;
        if (name && hsi_onnx_names_get(&s->names, name))
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "in '%.128s': '%.128s' is made twice; every tensor is "
                             "written once",
                             s->prefix, name);
        status = hsi_onnx_bind(f, s, name,
                               k == 0   ? number
                               : k == 1 ? condition
                                        : l->now[k - 2]);
    }
    return status;
}

static hsched_status add_iteration(hsi_onnx_flattening *f, hsi_onnx_scope *s,
                                   const loop *l, int64_t iteration)
{
    const Onnx__GraphProto *body = l->body;
    const char *const *outside = (const char *const *)l->node->proto->output;
    int last = iteration + 1 == l->iterations;
    hsched_status status = hsi_onnx_bind_graph(f, s, body);
    if (!status)
        status = bind_inputs(f, s, l, iteration);
    if (!status && last)
        status = hsi_onnx_bind_results(f, s, body->node, body->n_node, l->results + 1,
                                       outside, l->carried);
    if (!status)
        status = add_graph(f, s, body, l->node->opsets);
    for (size_t k = 0; k < l->carried + l->scanned && !status; k++) {
        const char *name = hsi_onnx_resolve(s, l->results[1 + k]);
        if (!name || !*name)
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "result '%.128s' of '%.128s' is made by nothing there",
                             l->results[1 + k], s->prefix);
        if (k < l->carried)
            l->now[k] = name;
        else
            l->collected[(k - l->carried) * (size_t)l->iterations + (size_t)iteration] =
                name;
    }
    return status;
}

/* What each iteration gave, one behind the other along a new first dimension. */
static hsched_status join_collected(hsi_onnx_flattening *f, const loop *l, size_t which,
                                    const char *prefix, const char *output)
{
    const char **parts = l->collected + which * (size_t)l->iterations;
    hsched_status status = HSCHED_OK;
    for (int64_t k = 0; k < l->iterations && !status; k++) {
        const char *made;
        status = hsi_onnx_flat_name(f, prefix, "collected", &made);
        if (!status)
            status =
                hsi_onnx_push_made(f, "Unsqueeze", "", &parts[k], 1, made, "axes", 0);
        parts[k] = made;
    }
    return status ? status
                  : hsi_onnx_push_made(f, "Concat", "", parts, (size_t)l->iterations,
                                       output, "axis", 0);
}

static hsched_status add_results(hsi_onnx_flattening *f, const loop *l,
                                 const char *prefix)
{
    const Onnx__NodeProto *node = l->node->proto;
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < node->n_output && !status; k++) {
        const char *output = node->output[k];
        if (!output || !*output)
            continue;
        if (k >= l->carried)
            status = join_collected(f, l, k - l->carried, prefix, output);
        else if (strcmp(l->now[k], output) != 0)
            status =
                hsi_onnx_push_made(f, "Identity", "", &l->now[k], 1, output, NULL, 0);
    }
    return status;
}

static hsched_status add_loop(hsi_onnx_flattening *f, const hsi_onnx_flat_node *node,
                              const Onnx__GraphProto *body, int64_t iterations)
{
    loop l = { .node = node, .body = body, .iterations = iterations };
    const char *prefix = hsi_onnx_prefix(node->proto);
    hsched_status status = prepare_loop(f, &l);
    for (int64_t k = 0; k < iterations && !status; k++) {
        hsi_onnx_scope s = { .open = 1 };
        s.prefix = hsi_onnx_format(&f->model->arena, "%s/%lld", prefix, (long long)k);
        status = s.prefix ? add_iteration(f, &s, &l, k)
                          : hsi_onnx_arena_error(&f->model->arena, "inlined nodes");
        hsi_onnx_names_free(&s.names);
    }
    return status ? status : add_results(f, &l, prefix);
}

hsched_status hsi_onnx_add_chosen(hsi_onnx_flattening *f, const hsi_onnx_flat_node *node,
                                  int64_t choice)
{
    const Onnx__NodeProto *proto = node->proto;
    if (strcmp(proto->op_type, "Loop") == 0)
        return add_loop(f, node, subgraph(proto, "body"), choice);
    hsi_onnx_scope s = { .open = 1, .prefix = hsi_onnx_prefix(proto) };
    hsched_status status =
        add_branch(f, &s, node, subgraph(proto, choice ? "then_branch" : "else_branch"));
    hsi_onnx_names_free(&s.names);
    return status;
}
