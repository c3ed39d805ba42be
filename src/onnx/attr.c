/* Attributes of nodes, by name and type. */
#include "onnx/model.h"

#include <string.h>

#include "base/status.h"

const Onnx__AttributeProto *hsi_onnx_attr(const hsi_onnx_node *node, const char *name)
{
    for (size_t k = 0; k < node->proto->n_attribute; k++) {
        const Onnx__AttributeProto *attr = node->proto->attribute[k];
        if (attr->name && strcmp(attr->name, name) == 0)
            return attr;
    }
    return NULL;
}

/* Writers leave out numbers that are zero, and old ones the type: either tells. */
static int has_type(const Onnx__AttributeProto *attr,
                    Onnx__AttributeProto__AttributeType type, int has_field)
{
    if (attr->ref_attr_name && *attr->ref_attr_name)
        return 0; /* only inside functions */
    return attr->has_type &&
                   attr->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED
               ? attr->type == type
               : has_field;
}

static hsched_status wrong_type(const hsi_onnx_node *node, const char *name,
                                const char *type)
{
    return hsi_error(HSCHED_ERROR_FORMAT,
                     "node '%.128s' (%.64s): attribute '%s' is not %s", node->label,
                     node->op, name, type);
}

hsched_status hsi_onnx_attr_int(const hsi_onnx_node *node, const char *name,
                                int64_t fallback, int64_t *value)
{
    const Onnx__AttributeProto *attr = hsi_onnx_attr(node, name);
    *value = fallback;
    if (!attr)
        return HSCHED_OK;
    if (!has_type(attr, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT, attr->has_i))
        return wrong_type(node, name, "an integer");
    *value = attr->i;
    return HSCHED_OK;
}

hsched_status hsi_onnx_attr_float(const hsi_onnx_node *node, const char *name,
                                  float fallback, float *value)
{
    const Onnx__AttributeProto *attr = hsi_onnx_attr(node, name);
    *value = fallback;
    if (!attr)
        return HSCHED_OK;
    if (!has_type(attr, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT, attr->has_f))
        return wrong_type(node, name, "a float");
    *value = attr->f;
    return HSCHED_OK;
}

hsched_status hsi_onnx_attr_ints(const hsi_onnx_node *node, const char *name,
                                 const int64_t **values, uint32_t *count)
{
    static const int64_t none;
    const Onnx__AttributeProto *attr = hsi_onnx_attr(node, name);
    *values = NULL;
    *count = 0;
    if (!attr)
        return HSCHED_OK;
    if (!has_type(attr, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS, attr->n_ints > 0) ||
        attr->n_ints > UINT32_MAX)
        return wrong_type(node, name, "a list of integers");
    *values = attr->n_ints ? attr->ints : &none;
    *count = (uint32_t)attr->n_ints;
    return HSCHED_OK;
}

hsched_status hsi_onnx_attr_is(const hsi_onnx_node *node, const char *name,
                               const char *fallback, const char *text, int *equal)
{
    const Onnx__AttributeProto *attr = hsi_onnx_attr(node, name);
    *equal = strcmp(fallback, text) == 0;
    if (!attr)
        return HSCHED_OK;
    if (!has_type(attr, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING, attr->has_s))
        return wrong_type(node, name, "a text");
    size_t length = strlen(text);
    *equal =
        attr->s.len == length && (length == 0 || memcmp(attr->s.data, text, length) == 0);
    return HSCHED_OK;
}
