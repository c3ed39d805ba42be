/* If, Loop and Scan, once it is known which way they go: the branch or both of them, or all
 * iterations. */
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

/* One branch, what it gives under names of its own. */
static hsched_status add_candidate(hsi_onnx_flattening *f, const hsi_onnx_flat_node *node,
                                   const char *which, const char **made)
{
    const Onnx__GraphProto *graph = subgraph(node->proto, which);
    const char *outer = hsi_onnx_prefix(node->proto);
    hsi_onnx_scope s = { .open = 1 };
    const char **inside = output_names(f, graph);
    s.prefix = hsi_onnx_format(&f->model->arena, "%s/%s", outer, which);
    if (!inside || !s.prefix)
        return hsi_onnx_arena_error(&f->model->arena, "inlined nodes");
    hsched_status status = hsi_onnx_bind_graph(f, &s, graph);
    if (!status)
        status = add_graph(f, &s, graph, node->opsets);
    for (size_t k = 0; k < node->proto->n_output && !status; k++) {
        made[k] = hsi_onnx_resolve(&s, inside[k]);
        if (!made[k] || !*made[k])
            status = hsi_error(HSCHED_ERROR_FORMAT,
                               "result '%.128s' of '%.128s' is made by nothing there",
                               inside[k], s.prefix);
    }
    hsi_onnx_names_free(&s.names);
    return status;
}

/* The condition is only known at run time: both are computed, and one is chosen. */
static hsched_status add_both(hsi_onnx_flattening *f, const hsi_onnx_flat_node *node)
{
    const Onnx__NodeProto *proto = node->proto;
    hsi_onnx_arena *arena = &f->model->arena;
    const char **yes = HSI_ONNX_NEW_ARRAY(arena, const char *, proto->n_output);
    const char **no = HSI_ONNX_NEW_ARRAY(arena, const char *, proto->n_output);
    if (!yes || !no)
        return hsi_onnx_arena_error(arena, "inlined nodes");
    hsched_status status = add_candidate(f, node, "then_branch", yes);
    if (!status)
        status = add_candidate(f, node, "else_branch", no);
    for (size_t k = 0; k < proto->n_output && !status; k++) {
        const char *inputs[] = { proto->input[0], yes[k], no[k] };
        if (proto->output[k] && *proto->output[k])
            status = hsi_onnx_push_made(f, "Choose", hsi_onnx_own_domain, inputs, 3,
                                        proto->output[k], NULL, 0);
    }
    return status;
}

/* ---- Loop and Scan ---------------------------------------------------------- */

/* A list of integers; NULL if it is left out. */
static const int64_t *int_list(const Onnx__NodeProto *node, const char *name,
                               size_t count)
{
    for (size_t k = 0; k < node->n_attribute; k++)
        if (node->attribute[k]->name && strcmp(node->attribute[k]->name, name) == 0)
            return node->attribute[k]->n_ints == count ? node->attribute[k]->ints : NULL;
    return NULL;
}

static size_t scan_inputs(const Onnx__NodeProto *node)
{
    for (size_t k = 0; k < node->n_attribute; k++)
        if (node->attribute[k]->name &&
            strcmp(node->attribute[k]->name, "num_scan_inputs") == 0)
            return (size_t)node->attribute[k]->i;
    return 0;
}

typedef struct loop {
    const hsi_onnx_flat_node *node;
    const Onnx__GraphProto *body;
    size_t lead;          /* inputs before the carried ones: 2 of Loop, none of Scan */
    size_t carried;       /* values that go from iteration to iteration */
    size_t sliced;        /* inputs of which each iteration gets a part: of Scan */
    size_t scanned;       /* outputs that collect a value of each iteration */
    const char **results; /* the body's outputs but for the condition: carried, scanned */
    const char **now;     /* the carried values before an iteration */
    const char **collected; /* [scanned][iterations] */
    int64_t iterations;
    int ends; /* its condition may end it before: values that are carried stay then */
    const char *alive; /* whether it has not ended; NULL: it has not */
} loop;

static hsched_status prepare_loop(hsi_onnx_flattening *f, loop *l)
{
    const Onnx__NodeProto *node = l->node->proto;
    hsi_onnx_arena *arena = &f->model->arena;
    const int scans = strcmp(node->op_type, "Scan") == 0;
    l->lead = scans ? 0 : 2;
    l->sliced = scans ? scan_inputs(node) : 0;
    l->carried = l->body->n_input - l->lead - l->sliced;
    l->scanned = l->body->n_output - !scans - l->carried;
    l->results = output_names(f, l->body);
    if (l->results && !scans)
        l->results++;
    l->now = HSI_ONNX_NEW_ARRAY(arena, const char *, l->carried);
    l->collected =
        HSI_ONNX_NEW_ARRAY(arena, const char *, l->scanned *(size_t)l->iterations);
    if (!l->results || !l->now || !l->collected)
        return hsi_onnx_arena_error(arena, "inlined nodes");
    for (size_t k = 0; k < l->carried; k++)
        l->now[k] = node->input[l->lead + k];
    return HSCHED_OK;
}

/* Element `iteration` of the axis of an input, or as far from its end. */
static hsched_status slice_input(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                 const loop *l, size_t which, int64_t iteration,
                                 const char **name)
{
    const Onnx__NodeProto *node = l->node->proto;
    const int64_t *axes = int_list(node, "scan_input_axes", l->sliced);
    const int64_t *reversed = int_list(node, "scan_input_directions", l->sliced);
    if (!reversed) /* opset 8 */
        reversed = int_list(node, "directions", l->sliced);
    const char *from[2] = { node->input[l->carried + which], NULL };
    int64_t at = reversed && reversed[which] ? l->iterations - 1 - iteration : iteration;
    hsched_status status = hsi_onnx_push_ints(f, s->prefix, 0, &at, 1, 0, &from[1]);
    if (!status)
        status = hsi_onnx_flat_name(f, s->prefix, "slice", name);
    return status ? status
                  : hsi_onnx_push_made(f, "Gather", "", from, 2, *name, "axis",
                                       axes ? axes[which] : 0);
}

static hsched_status bind_inputs(hsi_onnx_flattening *f, hsi_onnx_scope *s, const loop *l,
                                 int64_t iteration)
{
    const char *lead[2] = { NULL, NULL }, *slice = NULL; /* number, condition */
    int64_t yes = 1;
    hsched_status status = HSCHED_OK;
    if (l->lead)
        status = hsi_onnx_push_ints(f, s->prefix, 0, &iteration, 1, 0, &lead[0]);
    if (!status && l->lead)
        status = hsi_onnx_push_ints(f, s->prefix, 0, &yes, 1, 1, &lead[1]);
    for (size_t k = 0; k < l->body->n_input && !status; k++) {
        const char *name = l->body->input[k]->name;
        if (name && hsi_onnx_names_get(&s->names, name))
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "in '%.128s': '%.128s' is made twice; every tensor is "
                             "written once",
                             s->prefix, name);
        const size_t after = l->lead + l->carried;
        if (k >= after)
            status = slice_input(f, s, l, k - after, iteration, &slice);
        if (!status)
            status = hsi_onnx_bind(f, s, name,
                                   k < l->lead ? lead[k]
                                   : k < after ? l->now[k - l->lead]
                                               : slice);
    }
    return status;
}

static const char **copied_names(hsi_onnx_flattening *f, const char *const *names,
                                 size_t count)
{
    const char **copy = HSI_ONNX_NEW_ARRAY(&f->model->arena, const char *, count + 1);
    for (size_t k = 0; copy && k < count; k++)
        copy[k] = names[k];
    return copy;
}

/* What the iteration made of the carried values counts only where there was one. */
static hsched_status keep_carried(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                  const loop *l, const char **before)
{
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < l->carried && l->alive && !status; k++) {
        const char *const inputs[] = { l->alive, l->now[k], before[k] };
        status = hsi_onnx_flat_name(f, s->prefix, "kept", &l->now[k]);
        if (!status)
            status = hsi_onnx_push_made(f, "Choose", hsi_onnx_own_domain, inputs, 3,
                                        l->now[k], NULL, 0);
    }
    return status;
}

/* Whether there is another iteration after this one. */
static hsched_status go_on(hsi_onnx_flattening *f, const hsi_onnx_scope *s, loop *l)
{
    const char *inputs[] = { l->alive, hsi_onnx_resolve(s, l->body->output[0]->name) };
    if (!inputs[1] || !*inputs[1])
        return hsi_error(HSCHED_ERROR_FORMAT,
                         "the condition of '%.128s' is made by nothing there", s->prefix);
    if (!l->alive) {
        l->alive = inputs[1];
        return HSCHED_OK;
    }
    hsched_status status = hsi_onnx_flat_name(f, s->prefix, "alive", &l->alive);
    return status ? status
                  : hsi_onnx_push_made(f, "And", "", inputs, 2, l->alive, NULL, 0);
}

/* An iteration of a loop that may have ended. */
static hsched_status end_iteration(hsi_onnx_flattening *f, const hsi_onnx_scope *s,
                                   loop *l, const char **before, int last)
{
    hsched_status status = keep_carried(f, s, l, before);
    return status || last ? status : go_on(f, s, l);
}

static hsched_status add_iteration(hsi_onnx_flattening *f, hsi_onnx_scope *s, loop *l,
                                   int64_t iteration)
{
    const Onnx__GraphProto *body = l->body;
    const char *const *outside = (const char *const *)l->node->proto->output;
    int last = iteration + 1 == l->iterations;
    hsched_status status = hsi_onnx_bind_graph(f, s, body);
    if (!status)
        status = bind_inputs(f, s, l, iteration);
    if (!status && last && !l->ends)
        status = hsi_onnx_bind_results(f, s, body->node, body->n_node, l->results,
                                       outside, l->carried);
    if (!status)
        status = add_graph(f, s, body, l->node->opsets);
    const char **before = l->ends ? copied_names(f, l->now, l->carried) : NULL;
    if (!status && l->ends && !before)
        status = hsi_onnx_arena_error(&f->model->arena, "inlined nodes");
    for (size_t k = 0; k < l->carried + l->scanned && !status; k++) {
        const char *name = hsi_onnx_resolve(s, l->results[k]);
        if (!name || !*name)
            return hsi_error(HSCHED_ERROR_FORMAT,
                             "result '%.128s' of '%.128s' is made by nothing there",
                             l->results[k], s->prefix);
        if (k < l->carried)
            l->now[k] = name;
        else
            l->collected[(k - l->carried) * (size_t)l->iterations + (size_t)iteration] =
                name;
    }
    return status || !l->ends ? status : end_iteration(f, s, l, before, last);
}

/* What each iteration gave, one behind the other along a new dimension: the first, but for a
 * Scan that says otherwise. */
static hsched_status join_collected(hsi_onnx_flattening *f, const loop *l, size_t which,
                                    const char *prefix, const char *output)
{
    const Onnx__NodeProto *node = l->node->proto;
    const int64_t *axes = int_list(node, "scan_output_axes", l->scanned);
    const int64_t *reversed = int_list(node, "scan_output_directions", l->scanned);
    const int64_t axis = axes && !l->lead ? axes[which] : 0;
    const char **parts = l->collected + which * (size_t)l->iterations;
    hsched_status status = HSCHED_OK;
    for (int64_t k = 0, n = l->iterations; reversed && reversed[which] && k < n / 2;
         k++) {
        const char *kept = parts[k];
        parts[k] = parts[n - 1 - k];
        parts[n - 1 - k] = kept;
    }
    for (int64_t k = 0; k < l->iterations && !status; k++) {
        const char *made;
        status = hsi_onnx_flat_name(f, prefix, "collected", &made);
        if (!status)
            status =
                hsi_onnx_push_made(f, "Unsqueeze", "", &parts[k], 1, made, "axes", axis);
        parts[k] = made;
    }
    return status ? status
                  : hsi_onnx_push_made(f, "Concat", "", parts, (size_t)l->iterations,
                                       output, "axis", axis);
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
        if (k >= l->carried && l->ends)
            continue; /* nobody reads it */
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
    if (HSI_ONNX_IS_AT_MOST(iterations)) {
        const Onnx__NodeProto *proto = node->proto;
        iterations = l.iterations = HSI_ONNX_AT_MOST(iterations);
        l.ends = 1;
        l.alive = proto->n_input > 1 && *proto->input[1] ? proto->input[1] : NULL;
    }
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

/* ---- Scan of opset 8 --------------------------------------------------------- */

/* The node for one batch, as a Scan of today: without lengths, and each input and output without
 * its dimension of batches. */
static hsched_status batch_node(hsi_onnx_flattening *f, const Onnx__NodeProto *node,
                                int64_t batch, Onnx__NodeProto *made)
{
    hsi_onnx_arena *arena = &f->model->arena;
    const char *prefix =
        hsi_onnx_format(arena, "%s/%lld", hsi_onnx_prefix(node), (long long)batch);
    const char **inputs = HSI_ONNX_NEW_ARRAY(arena, const char *, node->n_input);
    const char **outputs = HSI_ONNX_NEW_ARRAY(arena, const char *, node->n_output);
    const char *from[2] = { NULL, NULL };
    if (!prefix || !inputs || !outputs)
        return hsi_onnx_arena_error(arena, "inlined nodes");
    *made = *node;
    made->name = (char *)(uintptr_t)prefix;
    made->n_input = node->n_input - 1;
    made->input = (char **)(uintptr_t)inputs;
    made->output = (char **)(uintptr_t)outputs;
    hsched_status status = hsi_onnx_push_ints(f, prefix, 0, &batch, 1, 0, &from[1]);
    for (size_t k = 0; k < made->n_input && !status; k++) {
        from[0] = node->input[1 + k];
        status = hsi_onnx_flat_name(f, prefix, "input", &inputs[k]);
        if (!status)
            status = hsi_onnx_push_made(f, "Gather", "", from, 2, inputs[k], "axis", 0);
    }
    for (size_t k = 0; k < made->n_output && !status; k++) {
        outputs[k] = "";
        if (node->output[k] && *node->output[k])
            status = hsi_onnx_flat_name(f, prefix, "output", &outputs[k]);
    }
    return status;
}

/* What the batches gave for output k, one behind the other. */
static hsched_status join_batches(hsi_onnx_flattening *f, const Onnx__NodeProto *node,
                                  const Onnx__NodeProto *batches, size_t count, size_t k)
{
    const char *prefix = hsi_onnx_prefix(node);
    const char **parts = HSI_ONNX_NEW_ARRAY(&f->model->arena, const char *, count);
    hsched_status status = HSCHED_OK;
    if (!parts)
        return hsi_onnx_arena_error(&f->model->arena, "inlined nodes");
    for (size_t b = 0; b < count && !status; b++) {
        const char *from = batches[b].output[k];
        status = hsi_onnx_flat_name(f, prefix, "batch", &parts[b]);
        if (!status)
            status =
                hsi_onnx_push_made(f, "Unsqueeze", "", &from, 1, parts[b], "axes", 0);
    }
    return status ? status
                  : hsi_onnx_push_made(f, "Concat", "", parts, count, node->output[k],
                                       "axis", 0);
}

static hsched_status add_batches(hsi_onnx_flattening *f, const hsi_onnx_flat_node *node,
                                 int64_t count, int64_t iterations)
{
    const Onnx__NodeProto *proto = node->proto;
    Onnx__NodeProto *batches =
        HSI_ONNX_NEW_ARRAY(&f->model->arena, Onnx__NodeProto, (size_t)count);
    hsched_status status =
        batches ? HSCHED_OK : hsi_onnx_arena_error(&f->model->arena, "inlined nodes");
    for (int64_t b = 0; b < count && !status; b++) {
        const hsi_onnx_flat_node one = { &batches[b], node->opsets };
        status = batch_node(f, proto, b, &batches[b]);
        if (!status)
            status = add_loop(f, &one, subgraph(proto, "body"), iterations);
    }
    for (size_t k = 0; k < proto->n_output && !status; k++)
        if (proto->output[k] && *proto->output[k])
            status = join_batches(f, proto, batches, (size_t)count, k);
    return status;
}

hsched_status hsi_onnx_add_chosen(hsi_onnx_flattening *f, const hsi_onnx_flat_node *node,
                                  int64_t choice)
{
    const Onnx__NodeProto *proto = node->proto;
    if (strcmp(proto->op_type, "Scan") == 0 && hsi_onnx_version(node->opsets, "") < 9)
        return add_batches(f, node, choice >> 32, choice & UINT32_MAX);
    if (strcmp(proto->op_type, "If") != 0)
        return add_loop(f, node, subgraph(proto, "body"), choice);
    if (choice == HSI_ONNX_BOTH)
        return add_both(f, node);
    hsi_onnx_scope s = { .open = 1, .prefix = hsi_onnx_prefix(proto) };
    hsched_status status =
        add_branch(f, &s, node, subgraph(proto, choice ? "then_branch" : "else_branch"));
    hsi_onnx_names_free(&s.names);
    return status;
}
