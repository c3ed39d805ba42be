/* TensorProto -> constant: where the data lie, and whether there are as many as the shape
 * says. */
#include "onnx/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/tensor.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw_data is little endian");

#define MAX_EXTERNAL_FILES 1024

typedef struct reading {
    hsi_onnx_model *model;
    const Onnx__TensorProto *proto;
    const char *what, *name;
    hsi_onnx_constant *constant;
} reading;

hsched_dtype hsi_onnx_dtype(int32_t data_type)
{
    switch (data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        return HSCHED_FLOAT32;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
        return HSCHED_UINT8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
        return HSCHED_INT8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        return HSCHED_INT32;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        return HSCHED_INT64;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
        return HSCHED_BOOL;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
        return HSCHED_FLOAT16;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
        return HSCHED_BFLOAT16;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        return HSCHED_FLOAT64;
    default:
        return HSCHED_DTYPE_NONE;
    }
}

const char *hsi_onnx_type_name(int32_t data_type)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &onnx__tensor_proto__data_type__descriptor, data_type);
    return value ? value->name : "an unknown type";
}

static hsched_status wrong(const reading *r, const char *cause)
{
    return hsi_error(HSCHED_ERROR_FORMAT, "%s '%.128s' of shape %s: %s", r->what, r->name,
                     hsi_shape_text(r->constant->rank, r->constant->dims), cause);
}

int hsi_onnx_check_shape(hsi_onnx_constant *c)
{
    int64_t product = (int64_t)hsched_dtype_size(c->dtype);
    for (uint32_t k = 0; k < c->rank; k++)
        if (c->dims[k] < 0 ||
            !hsi_mul_i64(product, c->dims[k] ? c->dims[k] : 1, &product))
            return 0;
    return hsi_element_count(c->rank, c->dims, &c->count) &&
           hsi_byte_size(c->dtype, c->rank, c->dims, &c->size);
}

static hsched_status read_shape(const reading *r)
{
    const Onnx__TensorProto *proto = r->proto;
    hsi_onnx_constant *c = r->constant;
    if (proto->segment)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "%s '%.128s' is stored in segments; store it in one piece",
                         r->what, r->name);
    c->dtype = hsi_onnx_dtype(proto->data_type);
    if (c->dtype == HSCHED_DTYPE_NONE)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "%s '%.128s' has the element type %s, which is not supported",
                         r->what, r->name, hsi_onnx_type_name(proto->data_type));
    if (proto->n_dims > HSCHED_MAX_DIMS)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "%s '%.128s' has %zu dimensions; at most %d are supported",
                         r->what, r->name, proto->n_dims, HSCHED_MAX_DIMS);
    c->rank = (uint32_t)proto->n_dims;
    for (uint32_t k = 0; k < c->rank; k++) {
        c->dims[k] = proto->dims[k];
        if (c->dims[k] < 0)
            return wrong(r, "a dimension is negative");
    }
    if (!hsi_onnx_check_shape(c) ||
        c->size > r->model->max_bytes - r->model->tensor_bytes)
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "%s '%.128s' of shape %s: all tensors together have more than %llu bytes; "
            "raise hsched_onnx_config.max_bytes if the model can be trusted",
            r->what, r->name, hsi_shape_text(c->rank, c->dims),
            (unsigned long long)r->model->max_bytes);
    r->model->tensor_bytes += c->size;
    return HSCHED_OK;
}

/* ---- External data -------------------------------------------------------- */

static hsched_status external_number(const reading *r, const char *key, const char *text,
                                     uint64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return hsi_error(
            HSCHED_ERROR_FORMAT,
            "%s '%.128s': the %s of its external data, '%.64s', is no number", r->what,
            r->name, key, text);
    *value = number;
    return HSCHED_OK;
}

static hsched_status external_file(const reading *r, const char *location,
                                   hsi_onnx_file **file)
{
    hsi_onnx_model *model = r->model;
    for (uint32_t k = 0; k < model->external_count; k++)
        if (strcmp(model->externals[k].location, location) == 0) {
            *file = model->externals[k].file;
            return HSCHED_OK;
        }
    if (model->external_count == MAX_EXTERNAL_FILES)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "%s '%.128s': more than %d files of external data", r->what,
                         r->name, MAX_EXTERNAL_FILES);
    if (!HSI_GROW(model->externals, model->external_count, model->external_capacity))
        return hsi_out_of_memory("the table of external files");
    hsched_status status = hsi_onnx_file_map_external(model->path, location, file);
    if (status)
        return hsi_error_prefix(status, "%s '%.128s': ", r->what, r->name);
    model->externals[model->external_count++] = (hsi_onnx_external){ location, *file };
    return HSCHED_OK;
}

static hsched_status read_external(const reading *r)
{
    const char *location = NULL;
    uint64_t offset = 0, length = r->constant->size;
    hsched_status status = HSCHED_OK;
    for (size_t k = 0; k < r->proto->n_external_data && !status; k++) {
        const Onnx__StringStringEntryProto *entry = r->proto->external_data[k];
        const char *key = entry->key ? entry->key : "",
                   *text = entry->value ? entry->value : "";
        if (strcmp(key, "location") == 0)
            location = text;
        else if (strcmp(key, "offset") == 0)
            status = external_number(r, key, text, &offset);
        else if (strcmp(key, "length") == 0)
            status = external_number(r, key, text, &length);
    }
    if (status)
        return status;
    if (!r->model->allow_external)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "%s '%.128s' is stored in another file ('%.128s'); allow that with "
            "hsched_onnx_config.allow_external_data",
            r->what, r->name, location ? location : "");
    if (!r->model->path)
        return hsi_error(
            HSCHED_ERROR_UNSUPPORTED,
            "%s '%.128s' is stored in another file, but a model in memory has no "
            "folder; load it from its file",
            r->what, r->name);
    if (!location)
        return wrong(r, "its external data has no location");
    if (length != r->constant->size)
        return wrong(r, "its external data has another length than its shape needs");
    hsi_onnx_file *file;
    status = external_file(r, location, &file);
    if (status)
        return status;
    if (offset > file->size || length > file->size - offset)
        return hsi_error(
            HSCHED_ERROR_FORMAT,
            "%s '%.128s' needs bytes %llu to %llu of '%.128s', which has only %zu",
            r->what, r->name, (unsigned long long)offset,
            (unsigned long long)offset + (unsigned long long)length, location,
            file->size);
    r->constant->data = file->data + offset;
    r->constant->lasting = 1;
    return HSCHED_OK;
}

/* ---- Data inside the model ------------------------------------------------ */

static hsched_status read_raw(const reading *r)
{
    uint32_t index = 0;
    if (r->proto->raw_data.len != HSI_ONNX_RAW_INDEX_SIZE)
        return hsi_error(HSCHED_ERROR_INTERNAL, "raw data was not replaced by its index");
    for (unsigned k = 0; k < HSI_ONNX_RAW_INDEX_SIZE; k++)
        index |= (uint32_t)r->proto->raw_data.data[k] << (8 * k);
    const hsi_onnx_raw *raw = &r->model->scan.raws[index];
    if (raw->size != r->constant->size)
        return hsi_error(
            HSCHED_ERROR_FORMAT,
            "offset %zu: %s '%.128s' of shape %s needs %zu bytes, but has %zu",
            raw->offset, r->what, r->name,
            hsi_shape_text(r->constant->rank, r->constant->dims), r->constant->size,
            raw->size);
    r->constant->data = r->model->data + raw->offset;
    r->constant->lasting = 1;
    return HSCHED_OK;
}

/* int32_data holds every type of at most 32 bits but float32. */
static hsched_status narrow(const reading *r)
{
    hsi_onnx_constant *c = r->constant;
    size_t width = hsched_dtype_size(c->dtype);
    unsigned char *data = hsi_onnx_alloc(&r->model->arena, c->count, width);
    if (!data)
        return hsi_onnx_arena_error(&r->model->arena, r->name);
    for (size_t k = 0; k < c->count; k++) {
        int32_t v = r->proto->int32_data[k];
        int fits = c->dtype == HSCHED_INT8    ? v >= INT8_MIN && v <= INT8_MAX
                   : c->dtype == HSCHED_UINT8 ? v >= 0 && v <= UINT8_MAX
                   : c->dtype == HSCHED_BOOL  ? v == 0 || v == 1
                                              : v >= 0 && v <= UINT16_MAX;
        if (!fits)
            return wrong(r, "a number does not fit its element type");
        memcpy(data + k * width, &v, width);
    }
    c->data = data;
    return HSCHED_OK;
}

static hsched_status read_typed(const reading *r)
{
    const Onnx__TensorProto *proto = r->proto;
    hsi_onnx_constant *c = r->constant;
    size_t found;
    switch (c->dtype) {
    case HSCHED_FLOAT32:
        found = proto->n_float_data;
        c->data = proto->float_data;
        break;
    case HSCHED_INT64:
        found = proto->n_int64_data;
        c->data = proto->int64_data;
        break;
    case HSCHED_FLOAT64:
        found = proto->n_double_data;
        c->data = proto->double_data;
        break;
    default:
        found = proto->n_int32_data;
        c->data = proto->int32_data;
    }
    if (found != c->count)
        return hsi_error(
            HSCHED_ERROR_FORMAT,
            "%s '%.128s' of shape %s and type %s needs %zu numbers, but has %zu", r->what,
            r->name, hsi_shape_text(c->rank, c->dims), hsched_dtype_name(c->dtype),
            c->count, found);
    if (found && hsched_dtype_size(c->dtype) < sizeof(int32_t))
        return narrow(r);
    return HSCHED_OK;
}

hsched_status hsi_onnx_read_tensor(hsi_onnx_model *model, const Onnx__TensorProto *proto,
                                   const char *what, const char *name,
                                   const hsi_onnx_constant **constant)
{
    reading r = { model, proto, what, name,
                  HSI_ONNX_NEW(&model->arena, hsi_onnx_constant) };
    if (!r.constant)
        return hsi_onnx_arena_error(&model->arena, name);
    hsched_status status = read_shape(&r);
    if (status)
        return status;
    if (proto->has_data_location &&
        proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        status = read_external(&r);
    else if (proto->has_raw_data)
        status = read_raw(&r);
    else
        status = read_typed(&r);
    if (status)
        return status;
    if (!r.constant->data)
        r.constant->data = ""; /* no elements */
    *constant = r.constant;
    return HSCHED_OK;
}
