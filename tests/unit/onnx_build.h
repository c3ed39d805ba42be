/*
 * ONNX models for tests, put together with the generated protobuf-c structs, which know
 * nothing of the importer's own reading and writing. Memory comes from a pool that is
 * reset by ob_begin.
 */
#ifndef TESTS_UNIT_ONNX_BUILD_H
#define TESTS_UNIT_ONNX_BUILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hsched/hsched.h>

#include "onnx.pb-c.h"

enum {
    OB_MAX = 64,
    OB_POOL = 1 << 22
};

typedef struct ob_model {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset;
    Onnx__OperatorSetIdProto *opsets[1];
    Onnx__NodeProto *nodes[OB_MAX];
    Onnx__TensorProto *tensors[OB_MAX];
    Onnx__ValueInfoProto *inputs[OB_MAX], *outputs[OB_MAX];
} ob_model;

static unsigned char ob_pool[OB_POOL] __attribute__((aligned(16)));
static size_t ob_used;

static inline void *ob_alloc(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    assert_true(size <= OB_POOL - ob_used);
    void *memory = ob_pool + ob_used;
    memset(memory, 0, size);
    ob_used += size;
    return memory;
}

static inline char *ob_text(const char *text, size_t length)
{
    char *copy = ob_alloc(length + 1);
    memcpy(copy, text, length);
    return copy;
}

/* "a,b,c" cut at its commas; "" is no entry at all; ",b" leaves the first one empty. */
static inline size_t ob_split(const char *list, char **entries)
{
    size_t count = 0;
    if (!*list)
        return 0;
    for (;;) {
        size_t length = strcspn(list, ",");
        assert_true(count < OB_MAX);
        entries[count++] = ob_text(list, length);
        if (!list[length])
            return count;
        list += length + 1;
    }
}

static inline int64_t *ob_numbers(const char *list, size_t *count)
{
    char *entries[OB_MAX] = { NULL };
    *count = ob_split(list, entries);
    int64_t *numbers = ob_alloc(*count * sizeof *numbers);
    for (size_t k = 0; k < *count; k++)
        numbers[k] = strtoll(entries[k], NULL, 10);
    return numbers;
}

static inline void ob_begin(ob_model *b, int64_t opset)
{
    ob_used = 0;
    onnx__model_proto__init(&b->model);
    onnx__graph_proto__init(&b->graph);
    onnx__operator_set_id_proto__init(&b->opset);
    b->model.has_ir_version = 1;
    b->model.ir_version = 8;
    b->model.graph = &b->graph;
    b->model.n_opset_import = 1;
    b->model.opset_import = b->opsets;
    b->opsets[0] = &b->opset;
    b->opset.has_version = 1;
    b->opset.version = opset;
    b->graph.name = ob_text("test", 4);
    b->graph.node = b->nodes;
    b->graph.initializer = b->tensors;
    b->graph.input = b->inputs;
    b->graph.output = b->outputs;
}

static inline Onnx__ValueInfoProto *ob_value(const char *name)
{
    Onnx__ValueInfoProto *value = ob_alloc(sizeof *value);
    onnx__value_info_proto__init(value);
    value->name = ob_text(name, strlen(name));
    return value;
}

/* dims: "N,3,?,8": a number, a symbol, or nothing known. */
static inline void ob_input(ob_model *b, const char *name, int32_t type, const char *dims)
{
    char *entries[OB_MAX] = { NULL };
    Onnx__ValueInfoProto *value = ob_value(name);
    Onnx__TensorShapeProto *shape = ob_alloc(sizeof *shape);
    onnx__tensor_shape_proto__init(shape);
    shape->n_dim = ob_split(dims, entries);
    shape->dim = ob_alloc(shape->n_dim * sizeof *shape->dim);
    for (size_t k = 0; k < shape->n_dim; k++) {
        Onnx__TensorShapeProto__Dimension *dim = shape->dim[k] = ob_alloc(sizeof *dim);
        onnx__tensor_shape_proto__dimension__init(dim);
        if (strchr("-0123456789", entries[k][0])) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = strtoll(entries[k], NULL, 10);
        } else if (entries[k][0] != '?') {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = entries[k];
        }
    }
    value->type = ob_alloc(sizeof *value->type);
    onnx__type_proto__init(value->type);
    value->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    Onnx__TypeProto__Tensor *tensor = value->type->tensor_type = ob_alloc(sizeof *tensor);
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = 1;
    tensor->elem_type = type;
    tensor->shape = shape;
    b->inputs[b->graph.n_input++] = value;
}

static inline void ob_output(ob_model *b, const char *name)
{
    b->outputs[b->graph.n_output++] = ob_value(name);
}

/* inputs and outputs: "a,b". */
static inline Onnx__NodeProto *ob_node(ob_model *b, const char *op, const char *inputs,
                                       const char *outputs)
{
    char *entries[OB_MAX] = { NULL };
    Onnx__NodeProto *node = ob_alloc(sizeof *node);
    onnx__node_proto__init(node);
    node->op_type = ob_text(op, strlen(op));
    node->n_input = ob_split(inputs, entries);
    node->input = ob_alloc(node->n_input * sizeof(char *));
    memcpy(node->input, entries, node->n_input * sizeof(char *));
    node->n_output = ob_split(outputs, entries);
    node->output = ob_alloc(node->n_output * sizeof(char *));
    memcpy(node->output, entries, node->n_output * sizeof(char *));
    node->attribute = ob_alloc(16 * sizeof *node->attribute);
    assert_true(b->graph.n_node < OB_MAX);
    b->nodes[b->graph.n_node++] = node;
    return node;
}

static inline Onnx__AttributeProto *ob_attr(Onnx__NodeProto *node, const char *name,
                                            Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *attr = ob_alloc(sizeof *attr);
    onnx__attribute_proto__init(attr);
    attr->name = ob_text(name, strlen(name));
    attr->has_type = 1;
    attr->type = type;
    assert_true(node->n_attribute < 16);
    node->attribute[node->n_attribute++] = attr;
    return attr;
}

static inline void ob_int(Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *attr =
        ob_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attr->has_i = 1;
    attr->i = value;
}

static inline void ob_ints(Onnx__NodeProto *node, const char *name, const char *list)
{
    Onnx__AttributeProto *attr =
        ob_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attr->ints = ob_numbers(list, &attr->n_ints);
}

static inline void ob_float(Onnx__NodeProto *node, const char *name, float value)
{
    Onnx__AttributeProto *attr =
        ob_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    attr->has_f = 1;
    attr->f = value;
}

static inline void ob_string(Onnx__NodeProto *node, const char *name, const char *text)
{
    Onnx__AttributeProto *attr =
        ob_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    attr->has_s = 1;
    attr->s.len = strlen(text);
    attr->s.data = (uint8_t *)ob_text(text, attr->s.len);
}

static inline Onnx__TensorProto *ob_tensor(const char *name, int32_t type,
                                           const char *dims)
{
    Onnx__TensorProto *tensor = ob_alloc(sizeof *tensor);
    onnx__tensor_proto__init(tensor);
    tensor->name = ob_text(name, strlen(name));
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->dims = ob_numbers(dims, &tensor->n_dims);
    return tensor;
}

/* Raw data: `size` bytes copied from `data`. */
static inline Onnx__TensorProto *ob_raw(ob_model *b, const char *name, int32_t type,
                                        const char *dims, const void *data, size_t size)
{
    Onnx__TensorProto *tensor = ob_tensor(name, type, dims);
    tensor->has_raw_data = 1;
    tensor->raw_data.len = size;
    tensor->raw_data.data = ob_alloc(size);
    if (size)
        memcpy(tensor->raw_data.data, data, size);
    assert_true(b->graph.n_initializer < OB_MAX);
    b->tensors[b->graph.n_initializer++] = tensor;
    return tensor;
}

/* Floats 0.5, 1.5, 2.5, ... as raw data. */
static inline Onnx__TensorProto *ob_floats(ob_model *b, const char *name,
                                           const char *dims)
{
    size_t rank, count = 1;
    int64_t *sizes = ob_numbers(dims, &rank);
    for (size_t k = 0; k < rank; k++)
        count *= (size_t)sizes[k];
    float *values = ob_alloc(count * sizeof *values);
    for (size_t k = 0; k < count; k++)
        values[k] = (float)k + 0.5f;
    return ob_raw(b, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, dims, values,
                  count * sizeof *values);
}

/* A list of int64 in int64_data. */
static inline void ob_list(ob_model *b, const char *name, const char *list)
{
    char dims[32];
    size_t count;
    int64_t *values = ob_numbers(list, &count);
    snprintf(dims, sizeof dims, "%zu", count);
    Onnx__TensorProto *tensor =
        ob_tensor(name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, dims);
    tensor->int64_data = values;
    tensor->n_int64_data = count;
    b->tensors[b->graph.n_initializer++] = tensor;
}

/* One int64 without dimensions. */
static inline void ob_number(ob_model *b, const char *name, int64_t value)
{
    Onnx__TensorProto *tensor = ob_tensor(name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, "");
    tensor->int64_data = ob_alloc(sizeof value);
    tensor->int64_data[0] = value;
    tensor->n_int64_data = 1;
    b->tensors[b->graph.n_initializer++] = tensor;
}

static inline void *ob_pack(ob_model *b, size_t *size)
{
    *size = onnx__model_proto__get_packed_size(&b->model);
    void *bytes = ob_alloc(*size);
    assert_int_equal(onnx__model_proto__pack(&b->model, bytes), *size);
    return bytes;
}

/* Packs and imports. The graph borrows weights from the pool: destroy it before ob_begin.
 */
static inline hsched_status ob_parse(ob_model *b, const hsched_onnx_config *config,
                                     hsched_graph **graph)
{
    size_t size;
    void *bytes = ob_pack(b, &size);
    return hsched_graph_parse_onnx(bytes, size, config, graph);
}

static inline hsched_graph *ob_graph(ob_model *b, const hsched_onnx_config *config)
{
    hsched_graph *graph;
    hsched_status status = ob_parse(b, config, &graph);
    if (status)
        print_message("%s: %s\n", hsched_status_name(status), hsched_error_detail());
    assert_int_equal(status, HSCHED_OK);
    return graph;
}

/* Expects an import to fail with `expected` and a detail that contains `text`. */
static inline void ob_fails(ob_model *b, const hsched_onnx_config *config,
                            hsched_status expected, const char *text)
{
    hsched_graph *graph = (hsched_graph *)1;
    hsched_status status = ob_parse(b, config, &graph);
    if (status != expected || !strstr(hsched_error_detail(), text))
        print_message("got %s: %s\nwanted %s: %s\n", hsched_status_name(status),
                      status ? hsched_error_detail() : "", hsched_status_name(expected),
                      text);
    assert_int_equal(status, expected);
    assert_non_null(strstr(hsched_error_detail(), text));
    assert_null(graph);
}

/* Expects a tensor of that name and shape: "2,3". */
static inline hsched_tensor ob_expect(const hsched_graph *graph, const char *name,
                                      const char *dims)
{
    hsched_tensor tensor;
    hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
    size_t rank;
    int64_t *sizes = ob_numbers(dims, &rank);
    assert_int_equal(hsched_graph_find_tensor(graph, name, &tensor), HSCHED_OK);
    assert_int_equal(hsched_graph_tensor_info(graph, tensor, &info), HSCHED_OK);
    assert_int_equal(info.rank, rank);
    for (size_t k = 0; k < rank; k++)
        assert_int_equal(info.dims[k], sizes[k]);
    return tensor;
}

#endif
