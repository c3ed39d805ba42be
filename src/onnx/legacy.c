/*
 * Forms of operators from before opset 7, written as today's: an operand that was aligned
 * by an axis, a Reshape with its shape in an attribute, and so on. What one attribute
 * says, like whether a Dropout trains, is read where the operator is.
 */
#include "onnx/flat.h"

#include <string.h>

#include "base/status.h"
#include "onnx/model.h"

static const char *const data_types[] = {
    "UNDEFINED", "FLOAT",  "UINT8", "INT8",    "UINT16", "INT16",  "INT32",
    "INT64",     "STRING", "BOOL",  "FLOAT16", "DOUBLE", "UINT32", "UINT64",
};

static int is_one_of(const char *op, const char *list)
{
    size_t length = strlen(op);
    for (const char *at = list; (at = strstr(at, op)) != NULL; at++)
        if (at > list && at[-1] == ' ' && at[length] == ' ')
            return 1;
    return 0;
}

static Onnx__AttributeProto *find(const Onnx__NodeProto *node, const char *name)
{
    for (size_t k = 0; k < node->n_attribute; k++)
        if (node->attribute[k]->name && strcmp(node->attribute[k]->name, name) == 0)
            return node->attribute[k];
    return NULL;
}

static void drop(Onnx__NodeProto *node, const char *name)
{
    size_t count = 0;
    for (size_t k = 0; k < node->n_attribute; k++)
        if (!node->attribute[k]->name || strcmp(node->attribute[k]->name, name) != 0)
            node->attribute[count++] = node->attribute[k];
    node->n_attribute = count;
}

/* A copy whose inputs, of which there may be one more, and attributes can be changed. */
static Onnx__NodeProto *copy(hsi_onnx_arena *arena, const Onnx__NodeProto *node)
{
    Onnx__NodeProto *made = HSI_ONNX_NEW(arena, Onnx__NodeProto);
    char **inputs = HSI_ONNX_NEW_ARRAY(arena, char *, node->n_input + 1);
    Onnx__AttributeProto **attrs =
        HSI_ONNX_NEW_ARRAY(arena, Onnx__AttributeProto *, node->n_attribute);
    if (!made || !inputs || !attrs)
        return NULL;
    *made = *node;
    made->input = inputs;
    made->attribute = attrs;
    if (node->n_input)
        memcpy(inputs, node->input, node->n_input * sizeof *inputs);
    for (size_t k = 0; k < node->n_attribute; k++) {
        attrs[k] = HSI_ONNX_NEW(arena, Onnx__AttributeProto);
        if (!attrs[k])
            return NULL;
        *attrs[k] = *node->attribute[k];
    }
    return made;
}

/* The second input becomes one whose dimensions begin at dimension `axis` of the first:
 * trailing ones are added once the ranks are known. */
static hsched_status align(hsi_onnx_flattening *f, Onnx__NodeProto *node, int64_t axis)
{
    const char *aligned;
    if (node->n_input != 2)
        return HSCHED_OK; /* refused as what it is */
    const char *inputs[2] = { node->input[1], node->input[0] };
    hsched_status status =
        hsi_onnx_flat_name(f, hsi_onnx_prefix(node), "aligned", &aligned);
    if (!status)
        status = hsi_onnx_push_made(f, "Align", hsi_onnx_own_domain, inputs, 2, aligned,
                                    "axis", axis);
    node->input[1] = (char *)(uintptr_t)aligned;
    return status;
}

/* `broadcast` without an axis aligns the last dimensions, as is done today. */
static hsched_status broadcast(hsi_onnx_flattening *f, Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *on = find(node, "broadcast"), *axis = find(node, "axis");
    hsched_status status = HSCHED_OK;
    if (on && on->i && axis)
        status = align(f, node, axis->i);
    drop(node, "axis");
    return status;
}

static hsched_status shape_input(hsi_onnx_flattening *f, Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *shape = find(node, "shape");
    const char *name;
    if (!shape || node->n_input != 1)
        return HSCHED_OK;
    hsched_status status = hsi_onnx_push_ints(f, hsi_onnx_prefix(node), 1, shape->ints,
                                              shape->n_ints, 0, &name);
    if (status)
        return status;
    node->input[node->n_input++] = (char *)(uintptr_t)name;
    drop(node, "shape");
    return HSCHED_OK;
}

/* The type was a text. */
static void cast_type(const Onnx__NodeProto *node)
{
    Onnx__AttributeProto *to = find(node, "to");
    if (!to || !to->has_s)
        return;
    to->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    to->has_i = 1;
    to->i = 0;
    for (size_t k = 0; k < sizeof data_types / sizeof *data_types; k++)
        if (strlen(data_types[k]) == to->s.len &&
            memcmp(data_types[k], to->s.data, to->s.len) == 0)
            to->i = (int64_t)k;
}

hsched_status hsi_onnx_push_legacy(hsi_onnx_flattening *f, const Onnx__NodeProto *proto,
                                   const hsi_onnx_opsets *opsets, int64_t version)
{
    const char *op = proto->op_type;
    Onnx__NodeProto *node = copy(&f->model->arena, proto);
    hsched_status status = HSCHED_OK;
    if (!node)
        return hsi_onnx_arena_error(&f->model->arena, "the nodes");
    if (version < 6)
        drop(node, "consumed_inputs"); /* which memory could be used again: a hint */
    if (is_one_of(op, " Add Sub Mul Div Pow And Or Xor Equal Greater Less "))
        status = broadcast(f, node);
    else if (strcmp(op, "PRelu") == 0)
        status = align(f, node, 1);
    else if (strcmp(op, "Gemm") == 0)
        drop(node, "broadcast");
    else if (strcmp(op, "Reshape") == 0 && version < 5)
        status = shape_input(f, node);
    else if (strcmp(op, "Cast") == 0 && version < 6)
        cast_type(node);
    else if (strcmp(op, "Pad") == 0 && version < 2 && find(node, "paddings"))
        find(node, "paddings")->name = (char *)(uintptr_t) "pads";
    return status ? status : hsi_onnx_push_node(f, node, opsets);
}
