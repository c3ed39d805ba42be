/*
 * Saving a graph: one GraphProto of nodes, inputs, outputs and weights. The weights are
 * written from where they are; only the rest is put together in memory.
 */
#include "onnx/export.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/element.h"
#include "base/status.h"
#include "graph/build.h"

/* Field numbers of the schema (onnx.proto). */
enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER_NAME = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_GRAPH = 7,
    MODEL_OPSET_IMPORT = 8,
    OPSET_VERSION = 2,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    ATTR_NAME = 1,
    ATTR_F = 2,
    ATTR_I = 3,
    ATTR_S = 4,
    ATTR_FLOATS = 7,
    ATTR_INTS = 8,
    ATTR_STRINGS = 9,
    ATTR_TYPE = 20,
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_DOC_STRING = 12,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_ELEM = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_PARAM = 2
};

#define WIRE_BYTES   2
#define ALIGNMENT    64
#define LENGTH_WIDTH 5 /* of the graph's length, which is known last */
#define NAME_BUDGET  ((size_t)1 << 30)

int32_t hsi_onnx_type_of(hsched_dtype dtype)
{
    switch (dtype) {
    case HSCHED_FLOAT32:
        return ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    case HSCHED_UINT8:
        return ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    case HSCHED_INT64:
        return ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    case HSCHED_INT32:
        return ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
    case HSCHED_BOOL:
        return ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
    case HSCHED_FLOAT16:
        return ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
    case HSCHED_INT8:
        return ONNX__TENSOR_PROTO__DATA_TYPE__INT8;
    case HSCHED_BFLOAT16:
        return ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
    case HSCHED_FLOAT64:
        return ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    default:
        return ONNX__TENSOR_PROTO__DATA_TYPE__UNDEFINED;
    }
}

/* ---- Names ---------------------------------------------------------------- */

const char *hsi_onnx_tensor_name(const hsi_onnx_export *e, hsched_tensor tensor)
{
    return tensor == HSCHED_NO_TENSOR ? "" : e->graph->tensors[tensor].name;
}

const char *hsi_onnx_new_name(hsi_onnx_export *e, const char *base)
{
    for (;;) {
        const char *name =
            hsi_onnx_format(&e->arena, "%s/onnx_%u", base, e->made_names++);
        if (!name)
            return "";
        if (hsi_names_find(e->graph, name) == HSCHED_NO_TENSOR)
            return name;
    }
}

/* ---- Nodes ---------------------------------------------------------------- */

void hsi_onnx_node_input(hsi_onnx_export *e, const char *name)
{
    hsi_onnx_write_text(&e->nodes, NODE_INPUT, name);
}

void hsi_onnx_node_output(hsi_onnx_export *e, const char *name)
{
    hsi_onnx_write_text(&e->nodes, NODE_OUTPUT, name);
}

void hsi_onnx_node_begin(hsi_onnx_export *e, const char *op, const char *output,
                         const char *a, const char *b, const char *c)
{
    const char *inputs[3] = { a, b, c };
    e->node_begun = hsi_onnx_write_begin(&e->nodes, GRAPH_NODE);
    hsi_onnx_write_text(&e->nodes, NODE_OP_TYPE, op);
    hsi_onnx_write_text(&e->nodes, NODE_NAME, output);
    hsi_onnx_write_text(&e->nodes, NODE_OUTPUT, output);
    for (int k = 0; k < 3 && inputs[k]; k++)
        hsi_onnx_node_input(e, inputs[k]);
}

void hsi_onnx_node_end(hsi_onnx_export *e)
{
    hsi_onnx_write_end(&e->nodes, e->node_begun);
}

static size_t attribute(hsi_onnx_export *e, const char *name,
                        Onnx__AttributeProto__AttributeType type)
{
    size_t begun = hsi_onnx_write_begin(&e->nodes, NODE_ATTRIBUTE);
    hsi_onnx_write_text(&e->nodes, ATTR_NAME, name);
    hsi_onnx_write_int(&e->nodes, ATTR_TYPE, (int64_t)type);
    return begun;
}

void hsi_onnx_node_int(hsi_onnx_export *e, const char *name, int64_t value)
{
    size_t begun = attribute(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    hsi_onnx_write_int(&e->nodes, ATTR_I, value);
    hsi_onnx_write_end(&e->nodes, begun);
}

void hsi_onnx_node_ints(hsi_onnx_export *e, const char *name, const int64_t *values,
                        uint32_t count)
{
    size_t begun = attribute(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    for (uint32_t k = 0; k < count; k++)
        hsi_onnx_write_int(&e->nodes, ATTR_INTS, values[k]);
    hsi_onnx_write_end(&e->nodes, begun);
}

void hsi_onnx_node_float(hsi_onnx_export *e, const char *name, float value)
{
    size_t begun = attribute(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    hsi_onnx_write_float(&e->nodes, ATTR_F, value);
    hsi_onnx_write_end(&e->nodes, begun);
}

void hsi_onnx_node_text(hsi_onnx_export *e, const char *name, const char *text)
{
    size_t begun = attribute(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    hsi_onnx_write_text(&e->nodes, ATTR_S, text);
    hsi_onnx_write_end(&e->nodes, begun);
}

void hsi_onnx_node_floats(hsi_onnx_export *e, const char *name, const float *values,
                          uint32_t count)
{
    size_t begun = attribute(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    for (uint32_t k = 0; k < count; k++)
        hsi_onnx_write_float(&e->nodes, ATTR_FLOATS, values[k]);
    hsi_onnx_write_end(&e->nodes, begun);
}

void hsi_onnx_node_texts(hsi_onnx_export *e, const char *name, const char *const *texts,
                         uint32_t count)
{
    size_t begun = attribute(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS);
    for (uint32_t k = 0; k < count; k++)
        hsi_onnx_write_text(&e->nodes, ATTR_STRINGS, texts[k]);
    hsi_onnx_write_end(&e->nodes, begun);
}

const char *hsi_onnx_put(hsi_onnx_export *e, const char *op, const char *output,
                         const char *a, const char *b)
{
    const char *name = output ? output : hsi_onnx_new_name(e, a);
    hsi_onnx_node_begin(e, op, name, a, b, NULL);
    hsi_onnx_node_end(e);
    return name;
}

const char *hsi_onnx_put_cast(hsi_onnx_export *e, const char *output, const char *x,
                              hsched_dtype dtype)
{
    const char *y = output ? output : hsi_onnx_new_name(e, x);
    hsi_onnx_node_begin(e, "Cast", y, x, NULL, NULL);
    hsi_onnx_node_int(e, "to", hsi_onnx_type_of(dtype));
    hsi_onnx_node_end(e);
    return y;
}

/* ---- Constants ------------------------------------------------------------ */

static const char *small_constant(hsi_onnx_export *e, const char *base, int32_t type,
                                  uint32_t rank, const int64_t *dims, const void *data,
                                  size_t size)
{
    const char *name = hsi_onnx_new_name(e, base);
    size_t begun = hsi_onnx_write_begin(&e->nodes, GRAPH_INITIALIZER);
    for (uint32_t k = 0; k < rank; k++)
        hsi_onnx_write_int(&e->nodes, TENSOR_DIMS, dims[k]);
    hsi_onnx_write_int(&e->nodes, TENSOR_DATA_TYPE, type);
    hsi_onnx_write_text(&e->nodes, TENSOR_NAME, name);
    hsi_onnx_write_data(&e->nodes, TENSOR_RAW_DATA, data, size);
    hsi_onnx_write_end(&e->nodes, begun);
    return name;
}

const char *hsi_onnx_put_ints(hsi_onnx_export *e, const char *base, const int64_t *values,
                              uint32_t count)
{
    int64_t dims[1] = { count };
    return small_constant(e, base, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, dims, values,
                          count * sizeof *values);
}

const char *hsi_onnx_put_floats(hsi_onnx_export *e, const char *base, uint32_t rank,
                                const int64_t *dims, const float *values)
{
    size_t count = 1;
    for (uint32_t k = 0; k < rank; k++)
        count *= (size_t)dims[k]; /* of arrays that exist */
    return small_constant(e, base, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims,
                          values, count * sizeof *values);
}

const char *hsi_onnx_put_scalar(hsi_onnx_export *e, const char *base, float value)
{
    return hsi_onnx_put_floats(e, base, 0, NULL, &value);
}

const char *hsi_onnx_put_number(hsi_onnx_export *e, const char *base, hsched_dtype dtype,
                                double value)
{
    const float narrow = (float)value;
    const int64_t whole = hsi_is_real(dtype) ? 0 : (int64_t)value;
    const void *data = dtype == HSCHED_FLOAT32   ? (const void *)&narrow
                       : dtype == HSCHED_FLOAT64 ? (const void *)&value
                                                 : &whole; /* its low bytes come first */
    return small_constant(e, base, hsi_onnx_type_of(dtype), 0, NULL, data,
                          hsched_dtype_size(dtype));
}

const char *hsi_onnx_put_repeated(hsi_onnx_export *e, const char *base,
                                  hsched_dtype dtype, int64_t count, double value)
{
    const size_t size = hsched_dtype_size(dtype);
    const float narrow = (float)value;
    char *values = hsi_calloc((size_t)count, size);
    if (!values)
        return "";
    for (int64_t k = 0; k < count; k++)
        memcpy(values + (size_t)k * size,
               dtype == HSCHED_FLOAT64 ? (const void *)&value : &narrow, size);
    const char *name = small_constant(e, base, hsi_onnx_type_of(dtype), 1, &count, values,
                                      (size_t)count * size);
    hsi_free(values);
    return name;
}

/* ---- Inputs and outputs --------------------------------------------------- */

/* Which symbols an output's dimensions depend on is not recorded: with symbols in the
 * graph they are left open. */
static void write_value(hsi_onnx_export *e, uint32_t field, hsched_tensor tensor)
{
    const hsi_graph_tensor *t = &e->graph->tensors[tensor];
    hsi_onnx_buffer *b = &e->nodes;
    size_t value = hsi_onnx_write_begin(b, field);
    hsi_onnx_write_text(b, VALUE_NAME, t->name);
    size_t type = hsi_onnx_write_begin(b, VALUE_TYPE);
    size_t tensor_type = hsi_onnx_write_begin(b, TYPE_TENSOR);
    hsi_onnx_write_int(b, TENSOR_TYPE_ELEM, hsi_onnx_type_of(t->dtype));
    size_t shape = hsi_onnx_write_begin(b, TENSOR_TYPE_SHAPE);
    for (uint32_t k = 0; k < t->rank; k++) {
        size_t dim = hsi_onnx_write_begin(b, SHAPE_DIM);
        if (t->is_input && t->symbols[k] != HSI_NO_INDEX)
            hsi_onnx_write_text(b, DIM_PARAM, e->graph->symbols[t->symbols[k]].name);
        else if (t->is_input || e->graph->symbol_count == 0)
            hsi_onnx_write_int(b, DIM_VALUE, t->dims[k]);
        hsi_onnx_write_end(b, dim);
    }
    hsi_onnx_write_end(b, shape);
    hsi_onnx_write_end(b, tensor_type);
    hsi_onnx_write_end(b, type);
    hsi_onnx_write_end(b, value);
}

/* ---- The file ------------------------------------------------------------- */

typedef struct pieces {
    hsi_onnx_buffer head,
        heads; /* the model's start; the tensors' starts, one after another */
    hsi_onnx_piece *list;
    size_t *head_offsets;     /* of each tensor's start in heads */
    uint32_t count, capacity; /* tensors */
    size_t total;             /* bytes of the file so far */
} pieces;

/* A weight's start, padded by its documentation so that its data are aligned in the file
 * and need no copy when loaded. */
static void write_tensor_head(hsi_onnx_buffer *b, const hsi_graph_tensor *t, size_t size,
                              size_t position)
{
    static const char spaces[2 * ALIGNMENT + 1] =
        "                                                                "
        "                                                                ";
    hsi_onnx_buffer body = { 0 };
    for (uint32_t k = 0; k < t->rank; k++)
        hsi_onnx_write_int(&body, TENSOR_DIMS, t->dims[k]);
    hsi_onnx_write_int(&body, TENSOR_DATA_TYPE, hsi_onnx_type_of(t->dtype));
    hsi_onnx_write_text(&body, TENSOR_NAME, t->name);
    size_t tail = 1 + hsi_onnx_varint_size(size), rest = body.size + tail + size;
    /* The padding changes the message's length, but hardly ever how long that is written:
     * try. */
    for (size_t pad = 0; pad <= 2 * ALIGNMENT; pad++) {
        size_t doc = pad + 2, length = rest + doc;
        size_t start =
            position + 1 + hsi_onnx_varint_size(length) + body.size + doc + tail;
        if (pad >= 0x80 || start % ALIGNMENT)
            continue;
        hsi_onnx_write_data(&body, TENSOR_DOC_STRING, spaces, pad);
        break;
    }
    hsi_onnx_write_varint(b, GRAPH_INITIALIZER << 3 | WIRE_BYTES);
    hsi_onnx_write_varint(b, body.size + tail + size);
    hsi_onnx_write_bytes(b, body.bytes, body.size);
    hsi_onnx_write_varint(b, TENSOR_RAW_DATA << 3 | WIRE_BYTES);
    hsi_onnx_write_varint(b, size);
    b->failed |= body.failed;
    hsi_onnx_buffer_free(&body);
}

static hsched_status too_large(void)
{
    return hsi_error(
        HSCHED_ERROR_LIMIT,
        "the model is larger than the 2 GiB that an ONNX file may have; split the "
        "network");
}

static hsched_status add_weights(hsi_onnx_export *e, pieces *p)
{
    for (uint32_t k = 0; k < e->graph->tensor_count; k++) {
        const hsi_graph_tensor *t = &e->graph->tensors[k];
        size_t size = hsched_dtype_size(t->dtype), before = p->heads.size;
        if (!t->data && !hsi_graph_is_empty(t)) /* an output that no node makes */
            continue;
        for (uint32_t d = 0; d < t->rank; d++)
            size *= (size_t)t->dims[d]; /* checked when it was added */
        if (size > INT32_MAX)
            return too_large();
        write_tensor_head(&p->heads, t, size, p->total);
        p->head_offsets[p->count] = before;
        p->list[2 * (size_t)p->count + 3] = (hsi_onnx_piece){ size ? t->data : "", size };
        p->count++;
        if (!hsi_add_size(p->total, size + (p->heads.size - before), &p->total) ||
            p->total > INT32_MAX)
            return too_large();
    }
    return HSCHED_OK;
}

/* Everything of the model before the graph's contents. */
static void write_model_head(hsi_onnx_buffer *b)
{
    hsi_onnx_write_int(b, MODEL_IR_VERSION, HSI_ONNX_EXPORT_IR);
    hsi_onnx_write_text(b, MODEL_PRODUCER_NAME, "libhsched");
    hsi_onnx_write_text(b, MODEL_PRODUCER_VERSION, HSCHED_VERSION_STRING);
    size_t opset = hsi_onnx_write_begin(b, MODEL_OPSET_IMPORT);
    hsi_onnx_write_text(b, 1, ""); /* the standard domain */
    hsi_onnx_write_int(b, OPSET_VERSION, HSI_ONNX_EXPORT_OPSET);
    hsi_onnx_write_end(b, opset);
    hsi_onnx_write_varint(b, MODEL_GRAPH << 3 | WIRE_BYTES);
    hsi_onnx_write_bytes(b, "\x80\x80\x80\x80\x00", LENGTH_WIDTH);
}

static void set_graph_length(hsi_onnx_buffer *head, size_t length)
{
    uint8_t *at = head->bytes + head->size - LENGTH_WIDTH;
    for (int k = 0; k < LENGTH_WIDTH; k++)
        at[k] = (uint8_t)((length >> (7 * k) & 0x7f) | (k + 1 < LENGTH_WIDTH ? 0x80 : 0));
}

static hsched_status write_pieces(hsi_onnx_export *e, const char *path, pieces *p)
{
    write_model_head(&p->head);
    p->total = p->head.size + e->nodes.size;
    if (p->head.failed || e->nodes.failed || e->arena.refused)
        return hsi_out_of_memory("an ONNX model");
    hsched_status status = add_weights(e, p);
    if (!status && p->heads.failed)
        status = hsi_out_of_memory("an ONNX model");
    if (status)
        return status;
    set_graph_length(&p->head, p->total - p->head.size);
    p->list[0] = (hsi_onnx_piece){ p->head.bytes, p->head.size };
    p->list[1] = (hsi_onnx_piece){ e->nodes.bytes, e->nodes.size };
    for (uint32_t k = 0; k < p->count; k++) {
        size_t end = k + 1 < p->count ? p->head_offsets[k + 1] : p->heads.size;
        p->list[2 * (size_t)k + 2] =
            (hsi_onnx_piece){ p->heads.bytes + p->head_offsets[k],
                              end - p->head_offsets[k] };
    }
    return hsi_onnx_write_file(path, p->list, 2 * (size_t)p->count + 2);
}

static hsched_status write_model(hsi_onnx_export *e, const char *path)
{
    size_t tensors = e->graph->tensor_count;
    pieces p = { .list = HSI_NEW_ARRAY(hsi_onnx_piece, 2 * tensors + 2),
                 .head_offsets = HSI_NEW_ARRAY(size_t, tensors + 1) };
    hsched_status status = p.list && p.head_offsets ? write_pieces(e, path, &p)
                                                    : hsi_out_of_memory("an ONNX model");
    hsi_onnx_buffer_free(&p.head);
    hsi_onnx_buffer_free(&p.heads);
    hsi_free(p.list);
    hsi_free(p.head_offsets);
    return status;
}

HSCHED_API hsched_status hsched_graph_save_onnx(const hsched_graph *graph,
                                                const char *path)
{
    if (!graph || !path)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_graph_save_onnx: %s is NULL; give a graph and a path",
                         graph ? "path" : "graph");
    if (graph->output_count == 0)
        return hsi_error(
            HSCHED_ERROR_STATE,
            "the graph has no outputs; add one with hsched_graph_add_output");
    hsi_onnx_export e = { .graph = graph };
    hsi_onnx_arena_init(&e.arena, NAME_BUDGET);
    hsched_status status = HSCHED_OK;
    hsi_onnx_write_text(&e.nodes, GRAPH_NAME, graph->name);
    for (uint32_t k = 0; k < graph->layer_count && !status; k++) {
        status = hsi_onnx_export_layer(&e, &graph->layers[k]);
        if (status)
            hsi_error_prefix(status, "layer '%.128s' (%s): ", graph->layers[k].name,
                             hsi_layer_kind_name(graph->layers[k].kind));
    }
    for (uint32_t k = 0; k < graph->input_count; k++)
        write_value(&e, GRAPH_INPUT, graph->inputs[k]);
    for (uint32_t k = 0; k < graph->output_count; k++)
        write_value(&e, GRAPH_OUTPUT, graph->outputs[k]);
    if (!status)
        status = write_model(&e, path);
    hsi_onnx_buffer_free(&e.nodes);
    hsi_onnx_arena_free(&e.arena);
    return status;
}
