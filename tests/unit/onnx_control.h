/* A model with functions, an If and a Loop, for tests. */
#ifndef TESTS_UNIT_ONNX_CONTROL_H
#define TESTS_UNIT_ONNX_CONTROL_H

#include "onnx_build.h"

/* A subgraph to be filled with ob_node and so on; its inputs and outputs: "a,b". */
static inline void ob_subgraph(ob_model *s, const char *inputs, const char *outputs)
{
    char *entries[OB_MAX] = { NULL };
    onnx__graph_proto__init(&s->graph);
    s->graph.name = ob_text("body", 4);
    s->graph.node = s->nodes;
    s->graph.initializer = s->tensors;
    s->graph.input = s->inputs;
    s->graph.output = s->outputs;
    size_t count = ob_split(inputs, entries);
    for (size_t k = 0; k < count; k++)
        s->inputs[s->graph.n_input++] = ob_value(entries[k]);
    count = ob_split(outputs, entries);
    for (size_t k = 0; k < count; k++)
        ob_output(s, entries[k]);
}

static inline void ob_graph_attr(Onnx__NodeProto *node, const char *name, ob_model *s)
{
    ob_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH)->g = &s->graph;
}

/* A function of the domain "own"; its nodes are those that `s` has. */
static inline Onnx__FunctionProto *ob_function(ob_model *b, ob_model *s, const char *name,
                                               const char *inputs, const char *outputs)
{
    char *entries[OB_MAX] = { NULL };
    Onnx__FunctionProto *f = ob_alloc(sizeof *f);
    onnx__function_proto__init(f);
    f->name = ob_text(name, strlen(name));
    f->domain = ob_text("own", 3);
    f->n_opset_import = b->model.n_opset_import;
    f->opset_import = b->model.opset_import;
    f->n_input = ob_split(inputs, entries);
    f->input = ob_alloc(f->n_input * sizeof(char *));
    memcpy(f->input, entries, f->n_input * sizeof(char *));
    f->n_output = ob_split(outputs, entries);
    f->output = ob_alloc(f->n_output * sizeof(char *));
    memcpy(f->output, entries, f->n_output * sizeof(char *));
    f->n_node = s->graph.n_node;
    f->node = s->nodes;
    if (!b->model.functions)
        b->model.functions = ob_alloc(8 * sizeof f);
    assert_true(b->model.n_functions < 8);
    b->model.functions[b->model.n_functions++] = f;
    return f;
}

static inline Onnx__NodeProto *ob_call(ob_model *b, const char *name, const char *inputs,
                                       const char *outputs)
{
    Onnx__NodeProto *node = ob_node(b, name, inputs, outputs);
    node->domain = ob_text("own", 3);
    return node;
}

/* y = the loop's last value, after two iterations whose body has an If inside a function.
 */
static inline void ob_control(ob_model *b)
{
    static ob_model f, inner, yes, no, body;
    ob_begin(b, 18);
    ob_input(b, "x", 1, "2,3");
    ob_output(b, "y");
    ob_output(b, "all");
    ob_number(b, "two", 2);

    ob_subgraph(&yes, "", "t");
    ob_node(&yes, "Add", "a,r", "t");
    ob_subgraph(&no, "", "a");
    ob_subgraph(&f, "", "");
    Onnx__AttributeProto *slope = ob_attr(ob_node(&f, "LeakyRelu", "a", "r"), "alpha",
                                          ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    slope->ref_attr_name = ob_text("slope", 5);
    ob_node(&f, "Size", "r", "size");
    ob_int(ob_node(&f, "Cast", "size", "known"), "to", 9);
    Onnx__NodeProto *branch = ob_node(&f, "If", "known", "c");
    ob_graph_attr(branch, "then_branch", &yes);
    ob_graph_attr(branch, "else_branch", &no);
    ob_function(b, &f, "leaky", "a", "c");

    ob_subgraph(&inner, "", "");
    ob_float(ob_call(&inner, "leaky", "v", "u"), "slope", 0.5f);
    ob_function(b, &inner, "outer", "v", "u");

    ob_subgraph(&body, "i,go,v", "go,w,v");
    ob_call(&body, "outer", "v", "w");
    ob_graph_attr(ob_node(b, "Loop", "two,,x", "y,all"), "body", &body);
}

#endif
