/*
 * Which way If, Loop and Scan go. They make no layers: what they do is written out in the list
 * of nodes (branch.c), and the model is imported anew. That is possible where the
 * condition and the number of iterations are known while importing.
 */
#include "onnx/ops.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"

enum {
    MAX_ITERATIONS = 64,
    MAX_SCANNED = 256,
    MAX_UNROLLED = 1 << 16, /* nodes of all iterations of one loop */
    MAX_STEPS = 16          /* followed back from a loop's condition */
};

static hsched_status choose(hsi_onnx_import *im, const hsi_onnx_node *node,
                            int64_t choice)
{
    uint32_t count = im->model->node_count;
    if (!im->choices) {
        im->choices = HSI_ONNX_NEW_ARRAY(&im->arena, int64_t, count);
        if (!im->choices)
            return hsi_onnx_no_memory(im, node);
        for (uint32_t k = 0; k < count; k++)
            im->choices[k] = HSI_ONNX_OPEN;
    }
    im->choices[node - im->model->nodes] = choice;
    im->chosen = 1;
    return HSCHED_OK;
}

static hsched_status subgraph(const hsi_onnx_node *node, const char *name,
                              const Onnx__GraphProto **graph)
{
    const Onnx__AttributeProto *attr = hsi_onnx_attr(node, name);
    *graph = attr ? attr->g : NULL;
    return *graph ? HSCHED_OK
                  : hsi_onnx_malformed(node, "attribute '%s' is no graph", name);
}

/* Input k as one number; *known is 0 where it is only computed at run time. */
static hsched_status number_input(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  uint32_t k, int64_t fallback, int64_t *value,
                                  int *known)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, k);
    *value = fallback;
    *known = !hsi_onnx_has_input(node, k);
    if (!c)
        return HSCHED_OK;
    if (c->count != 1)
        return hsi_onnx_malformed(node, "input %u has %zu elements instead of one", k,
                                  c->count);
    if (c->tags)
        hsi_onnx_pin(im, c->tags[0]);
    *value = hsi_onnx_get_int(c, 0);
    *known = 1;
    return HSCHED_OK;
}

static hsched_status check_branch(const hsi_onnx_node *node, const char *name)
{
    const Onnx__GraphProto *branch;
    hsched_status status = subgraph(node, name, &branch);
    if (!status && branch->n_output < node->output_count)
        status = hsi_onnx_malformed(node, "its branch has %zu results for %u outputs",
                                    branch->n_output, node->output_count);
    for (size_t k = 0; !status && k < branch->n_node; k++)
        if (!branch->node[k]->op_type)
            status =
                hsi_onnx_malformed(node, "a node of its branch has no operator type");
    return status;
}

/* What is computed changes nothing but its result, so that both branches may be. */
hsched_status hsi_onnx_build_if(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    int64_t condition;
    int known;
    if (!hsi_onnx_has_input(node, 0))
        return hsi_onnx_malformed(node, "its condition is missing");
    hsched_status status = number_input(im, node, 0, 0, &condition, &known);
    if (status)
        return status;
    condition = condition != 0;
    if (!known || condition)
        status = check_branch(node, "then_branch");
    if (!status && (!known || !condition))
        status = check_branch(node, "else_branch");
    return status ? status : choose(im, node, known ? condition : HSI_ONNX_BOTH);
}

static hsched_status choose_known(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  const hsi_onnx_constant *condition)
{
    const uint32_t k = hsi_onnx_get_int(condition, 0) ? 1 : 2;
    if (condition->tags)
        hsi_onnx_pin(im, condition->tags[0]);
    if (!hsi_onnx_has_input(node, k))
        return hsi_onnx_malformed(node, "input %u is missing", k);
    if (node->output_count && node->outputs[0] != HSI_ONNX_NONE)
        im->states[node->outputs[0]] = im->states[node->inputs[k]];
    return HSCHED_OK;
}

/* Own operator: one of two tensors of one shape, by a condition. Written by branch.c. */
hsched_status hsi_onnx_build_choose(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const hsi_onnx_constant *known = hsi_onnx_constant_input(im, node, 0);
    hsched_tensor in[3], y;
    hsched_status status = HSCHED_OK;
    if (known && known->count == 1)
        return choose_known(im, node, known);
    for (uint32_t k = 0; k < 3 && !status; k++)
        status = hsi_onnx_input(im, node, k, &in[k]);
    if (status)
        return status;
    const hsi_graph_tensor *t = im->graph->tensors;
    const hsi_graph_tensor *a = &t[in[1]], *b = &t[in[2]];
    if (t[in[0]].dtype != HSCHED_BOOL || t[in[0]].rank > 1 ||
        (t[in[0]].rank == 1 && t[in[0]].dims[0] != 1))
        return hsi_onnx_malformed(node, "the condition is not one bool");
    if (a->dtype != b->dtype || a->rank != b->rank ||
        memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) != 0)
        return hsi_onnx_unsupported(im, node,
                                    "an If whose condition or a Loop whose end is "
                                    "computed at run time, and that gives different "
                                    "shapes or types");
    for (uint32_t k = 0; k < a->rank; k++) { /* they may be equal by chance */
        const uint64_t tags[2] = { hsi_onnx_dim_tag(im, in[1], k),
                                   hsi_onnx_dim_tag(im, in[2], k) };
        if (tags[0] != tags[1]) {
            hsi_onnx_pin(im, tags[0]);
            hsi_onnx_pin(im, tags[1]);
        }
    }
    if (t[in[0]].rank == 1) {
        const char *name = hsi_onnx_made_name(im, node->label, "condition");
        status = name ? hsched_graph_add_reshape(im->graph, name, in[0], 0, NULL, &in[0])
                      : hsi_onnx_no_memory(im, node);
    }
    if (!status)
        status = hsched_graph_add_where(im->graph, hsi_onnx_output_name(im, node, 0),
                                        in[0], in[1], in[2], &y);
    if (!status)
        hsi_onnx_set_tensor(im, node, 0, y);
    return hsi_onnx_at_node(node, status);
}

/* ---- Loop ----------------------------------------------------------------- */

static const Onnx__TensorProto *initializer(const Onnx__GraphProto *graph,
                                            const char *name)
{
    for (size_t k = 0; k < graph->n_initializer; k++)
        if (graph->initializer[k]->name && strcmp(graph->initializer[k]->name, name) == 0)
            return graph->initializer[k];
    return NULL;
}

static const Onnx__NodeProto *producer(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t k = 0; k < graph->n_node; k++)
        for (size_t i = 0; i < graph->node[k]->n_output; i++)
            if (graph->node[k]->output[i] && strcmp(graph->node[k]->output[i], name) == 0)
                return graph->node[k];
    return NULL;
}

static const Onnx__TensorProto *constant_value(const Onnx__NodeProto *node)
{
    for (size_t k = 0; k < node->n_attribute; k++)
        if (node->attribute[k]->name && strcmp(node->attribute[k]->name, "value") == 0)
            return node->attribute[k]->t;
    return NULL;
}

static hsched_status read_flag(hsi_onnx_import *im, const hsi_onnx_node *node,
                               const Onnx__TensorProto *tensor, int *flag)
{
    const hsi_onnx_constant *c;
    hsched_status status =
        hsi_onnx_read_tensor(im->model, tensor, "condition of", node->label, &c);
    if (!status && c->count != 1)
        status = hsi_onnx_malformed(node, "its condition has %zu elements", c->count);
    if (!status)
        *flag = hsi_onnx_get_int(c, 0) != 0;
    return status;
}

/*
 * The condition that the body ends with, followed back through what changes no value:
 * 1, 0, or -1 where the body computes it. The condition that the body is begun with is 1.
 */
static hsched_status body_condition(hsi_onnx_import *im, const hsi_onnx_node *node,
                                    const Onnx__GraphProto *body, int *flag)
{
    const char *name = body->output[0]->name, *start = body->input[1]->name;
    *flag = -1;
    for (int step = 0; name && *name && step < MAX_STEPS; step++) {
        const Onnx__TensorProto *tensor = initializer(body, name);
        if (start && strcmp(name, start) == 0) {
            *flag = 1;
            return HSCHED_OK;
        }
        if (tensor)
            return read_flag(im, node, tensor, flag);
        const Onnx__NodeProto *from = producer(body, name);
        if (!from) { /* captured */
            uint32_t value = hsi_onnx_find_value(im->model, name);
            const hsi_onnx_constant *c =
                value == HSI_ONNX_NONE ? NULL : im->states[value].constant;
            if (c && c->count == 1 && !c->tags)
                *flag = hsi_onnx_get_int(c, 0) != 0;
            return HSCHED_OK;
        }
        if (strcmp(from->op_type, "Constant") == 0 && constant_value(from))
            return read_flag(im, node, constant_value(from), flag);
        if ((strcmp(from->op_type, "Identity") != 0 &&
             strcmp(from->op_type, "Cast") != 0) ||
            from->n_input != 1)
            return HSCHED_OK;
        name = from->input[0];
    }
    return HSCHED_OK;
}

static hsched_status check_body(const hsi_onnx_node *node, const Onnx__GraphProto *body)
{
    size_t carried = node->input_count < 2 ? 0 : node->input_count - 2;
    if (body->n_input != 2 + carried || body->n_output < 1 + carried ||
        node->output_count > body->n_output - 1)
        return hsi_onnx_malformed(
            node, "its body has %zu inputs and %zu results, which do not fit it",
            body->n_input, body->n_output);
    for (size_t k = 0; k < body->n_node; k++)
        if (!body->node[k]->op_type)
            return hsi_onnx_malformed(node, "a node of its body has no operator type");
    return HSCHED_OK;
}

/* How often the loop runs, or at most, where its condition is computed at run time (*ends). */
static hsched_status count_iterations(hsi_onnx_import *im, const hsi_onnx_node *node,
                                      const Onnx__GraphProto *body, int64_t *count,
                                      int *ends)
{
    int64_t most, condition;
    int most_known, condition_known, goes_on;
    hsched_status status = number_input(im, node, 0, INT64_MAX, &most, &most_known);
    if (!status)
        status = number_input(im, node, 1, 1, &condition, &condition_known);
    if (!status)
        status = body_condition(im, node, body, &goes_on);
    if (status)
        return status;
    *ends = (!condition_known || condition) && (!condition_known || goes_on < 0);
    if (!most_known || (*ends && !hsi_onnx_has_input(node, 0)))
        return hsi_onnx_unsupported(im, node,
                                    "a number of iterations or a condition that is "
                                    "computed at run time, of which nothing says the "
                                    "most");
    const int none = condition_known && !condition;
    *count = none || most < 0 ? 0 : goes_on ? most : most < 1 ? most : 1;
    return HSCHED_OK;
}

hsched_status hsi_onnx_build_loop(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    const Onnx__GraphProto *body;
    int64_t count = 0;
    int ends = 0;
    hsched_status status = subgraph(node, "body", &body);
    if (!status)
        status = check_body(node, body);
    if (!status)
        status = count_iterations(im, node, body, &count, &ends);
    if (status)
        return status;
    if (count > MAX_ITERATIONS || count * (int64_t)body->n_node > MAX_UNROLLED)
        return hsi_onnx_unsupported(im, node,
                                    "%" PRId64
                                    " iterations of %zu nodes; at most %d, and "
                                    "%d nodes in all, are written out",
                                    count, body->n_node, MAX_ITERATIONS, MAX_UNROLLED);
    for (size_t k = body->n_input - 2; (count == 0 || ends) && k < node->output_count;
         k++)
        if (hsi_onnx_output_used(im, node, (uint32_t)k))
            return hsi_onnx_unsupported(
                im, node,
                count == 0 ? "no iterations, so that an output is empty"
                           : "a condition that is computed at run time, and an output "
                             "that collects what each iteration gives");
    return choose(im, node, ends ? HSI_ONNX_AT_MOST(count) : count);
}

/* ---- Scan ------------------------------------------------------------------- */

/* How long axis `given` of an input is, which is a number from here on. */
static hsched_status length_of(hsi_onnx_import *im, const hsi_onnx_node *node,
                               uint32_t input, int64_t given, int64_t *length)
{
    const hsi_onnx_constant *c = hsi_onnx_constant_input(im, node, input);
    uint32_t axis;
    hsched_status status = HSCHED_OK;
    if (!hsi_onnx_has_input(node, input))
        return hsi_onnx_malformed(node, "input %u is missing", input);
    if (c) {
        status = hsi_onnx_axis(node, given, c->rank, c->rank, &axis);
        if (!status)
            *length = c->dims[axis];
        return status;
    }
    const hsched_tensor x = im->states[node->inputs[input]].tensor;
    const hsi_graph_tensor *t = &im->graph->tensors[x];
    status = hsi_onnx_axis(node, given, t->rank, t->rank, &axis);
    if (!status) {
        hsi_onnx_pin(im, hsi_onnx_dim_tag(im, x, axis));
        *length = t->dims[axis];
    }
    return status;
}

/* A Scan: of opset 8, its first input are lengths, and all others have batches in front. */
typedef struct scan {
    const Onnx__GraphProto *body;
    uint32_t lead, states, inputs; /* inputs before the states; of states; scanned */
    int64_t length, batches;
} scan;

/* Lists of Scan have one entry for each input or output that they are about, or none. */
static hsched_status check_lists(const hsi_onnx_node *node, const scan *s, size_t outputs)
{
    static const char *const names[] = { "directions", "scan_input_axes",
                                         "scan_input_directions", "scan_output_axes",
                                         "scan_output_directions" };
    for (int k = 0; k < 5; k++) {
        const int64_t *values;
        uint32_t count;
        hsched_status status = hsi_onnx_attr_ints(node, names[k], &values, &count);
        if (!status && values && count != (k < 3 ? s->inputs : outputs))
            status = hsi_onnx_malformed(node, "attribute '%s' has %u entries", names[k],
                                        count);
        if (status)
            return status;
    }
    return HSCHED_OK;
}

static hsched_status read_scan(const hsi_onnx_node *node, scan *s)
{
    int64_t scanned;
    hsched_status status = subgraph(node, "body", &s->body);
    if (!status)
        status = hsi_onnx_attr_int(node, "num_scan_inputs", 0, &scanned);
    if (status)
        return status;
    const Onnx__GraphProto *body = s->body;
    s->lead = node->version < 9;
    if (scanned < 1 || scanned > (int64_t)node->input_count - s->lead ||
        body->n_input != node->input_count - s->lead ||
        body->n_output < body->n_input - (size_t)scanned ||
        node->output_count > body->n_output)
        return hsi_onnx_malformed(
            node, "its body has %zu inputs and %zu results, which do not fit it",
            body->n_input, body->n_output);
    for (size_t k = 0; k < body->n_node; k++)
        if (!body->node[k]->op_type)
            return hsi_onnx_malformed(node, "a node of its body has no operator type");
    s->inputs = (uint32_t)scanned;
    s->states = (uint32_t)body->n_input - s->inputs;
    return check_lists(node, s, body->n_output - s->states);
}

static hsched_status read_lengths(hsi_onnx_import *im, const hsi_onnx_node *node, scan *s)
{
    const int64_t *axes = NULL;
    int64_t other = 0;
    uint32_t count;
    hsched_status status = hsi_onnx_attr_ints(node, "scan_input_axes", &axes, &count);
    for (uint32_t k = 0; !status && k < s->inputs; k++) {
        status = length_of(im, node, s->lead + s->states + k, axes ? axes[k] : s->lead,
                           &other);
        if (!status && k > 0 && other != s->length)
            status = hsi_onnx_malformed(node, "its inputs have different lengths");
        s->length = other;
    }
    s->batches = 1;
    for (uint32_t k = s->lead; !status && s->lead && k < node->input_count; k++) {
        status = length_of(im, node, k, 0, &other);
        if (!status && k > s->lead && other != s->batches)
            status = hsi_onnx_malformed(node, "its inputs have different batches");
        s->batches = other;
    }
    return status;
}

hsched_status hsi_onnx_build_scan(hsi_onnx_import *im, const hsi_onnx_node *node)
{
    scan s = { .length = 0 };
    hsched_status status = read_scan(node, &s);
    if (!status)
        status = read_lengths(im, node, &s);
    if (status)
        return status;
    if (s.lead && hsi_onnx_has_input(node, 0))
        return hsi_onnx_unsupported(im, node, "sequences of different lengths");
    if (s.length < 1 || s.length > MAX_SCANNED || s.batches < 1 ||
        s.batches > MAX_UNROLLED ||
        s.batches * s.length * (int64_t)s.body->n_node > MAX_UNROLLED)
        return hsi_onnx_unsupported(im, node,
                                    "%" PRId64 " iterations of %zu nodes; 1 to %d, and "
                                    "%d nodes in all, are written out",
                                    s.length, s.body->n_node, MAX_SCANNED, MAX_UNROLLED);
    return choose(im, node, s.lead ? HSI_ONNX_BATCHES(s.batches, s.length) : s.length);
}
