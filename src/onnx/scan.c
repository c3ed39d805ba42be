#include "onnx/scan.h"

#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

#include "onnx.pb-c.h"

enum {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_BYTES = 2,
    WIRE_32 = 5
};

/* Lengths in the skeleton take always five bytes, so that they can be filled in
 * afterwards. */
#define LENGTH_WIDTH 5

typedef struct frame {
    const ProtobufCMessageDescriptor *message;
    size_t end;       /* offset of its end in the input */
    size_t length_at; /* where its length stands in the skeleton */
    uint64_t seen;    /* fields that may come once: bit by place in the descriptor */
    int seen_choice;  /* a member of its oneof was seen */
} frame;

typedef struct scanner {
    const uint8_t *data;
    size_t position;
    frame stack[HSI_ONNX_MAX_DEPTH];
    uint32_t depth;
    hsi_onnx_scan *out;
} scanner;

typedef struct field {
    const ProtobufCFieldDescriptor *known; /* NULL: dropped */
    uint32_t number, wire;
    size_t start, payload,
        size; /* offsets of the tag and the contents; bytes of the contents */
} field;

static hsched_status malformed(size_t offset, const frame *f, const char *what)
{
    return hsi_error(HSCHED_ERROR_FORMAT,
                     "offset %zu, in a %s: %s; the file is damaged or not an ONNX model",
                     offset, f->message->short_name, what);
}

static hsched_status too_many(size_t offset, const char *what, unsigned long limit)
{
    return hsi_error(HSCHED_ERROR_LIMIT,
                     "offset %zu: more than %lu %s; simplify the model", offset, limit,
                     what);
}

/* 1 and the value, or 0 if it does not end before `end` or has more than ten bytes. */
static int read_varint(const uint8_t *data, size_t *position, size_t end, uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (*position >= end)
            return 0;
        uint8_t byte = data[(*position)++];
        if (shift < 63)
            result |= (uint64_t)(byte & 0x7f) << shift;
        else
            result |= (uint64_t)(byte & 1) << 63;
        if (!(byte & 0x80)) {
            *value = result;
            return 1;
        }
    }
    return 0;
}

/* ---- Writing the skeleton ------------------------------------------------- */

static hsched_status emit(hsi_onnx_scan *out, const void *bytes, size_t size)
{
    size_t need;
    if (!hsi_add_size(out->skeleton_size, size, &need))
        return hsi_error(HSCHED_ERROR_LIMIT, "the model is too large");
    if (need > out->skeleton_capacity) {
        size_t capacity = out->skeleton_capacity ? out->skeleton_capacity : 4096;
        while (capacity < need)
            if (!hsi_mul_size(capacity, 2, &capacity))
                return hsi_error(HSCHED_ERROR_LIMIT, "the model is too large");
        uint8_t *grown = hsi_realloc_array(out->skeleton, capacity, 1);
        if (!grown)
            return hsi_out_of_memory("the model without its weights");
        out->skeleton = grown;
        out->skeleton_capacity = capacity;
    }
    if (size)
        memcpy(out->skeleton + out->skeleton_size, bytes, size);
    out->skeleton_size = need;
    return HSCHED_OK;
}

static size_t put_varint(uint8_t *at, uint64_t value)
{
    size_t n = 0;
    do {
        at[n] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        n++;
    } while (value);
    return n;
}

static void put_length(uint8_t *at, size_t length)
{
    for (int k = 0; k < LENGTH_WIDTH; k++)
        at[k] = (uint8_t)((length >> (7 * k) & 0x7f) | (k + 1 < LENGTH_WIDTH ? 0x80 : 0));
}

static hsched_status emit_head(hsi_onnx_scan *out, const field *f, size_t length)
{
    uint8_t head[10 + LENGTH_WIDTH];
    size_t n = put_varint(head, (uint64_t)f->number << 3 | f->wire);
    if (f->wire == WIRE_BYTES) {
        put_length(head + n, length);
        n += LENGTH_WIDTH;
    }
    return emit(out, head, n);
}

/* ---- Checking one field --------------------------------------------------- */

static uint32_t wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return WIRE_32;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    default:
        return WIRE_VARINT;
    }
}

/* What the importer never looks at is not unpacked. */
static int is_dropped(const ProtobufCMessageDescriptor *message,
                      const ProtobufCFieldDescriptor *known)
{
    if (strcmp(known->name, "doc_string") == 0 ||
        strcmp(known->name, "metadata_props") == 0)
        return 1;
    if (message == &onnx__model_proto__descriptor)
        return strcmp(known->name, "training_info") == 0;
    if (message == &onnx__function_proto__descriptor)
        return strcmp(known->name, "value_info") == 0;
    if (message == &onnx__graph_proto__descriptor)
        return strcmp(known->name, "value_info") == 0 ||
               strcmp(known->name, "quantization_annotation") == 0;
    return 0;
}

/* The numbers of a packed field end where the field ends. */
static hsched_status check_packed(const scanner *s, const frame *top, const field *f)
{
    uint32_t wire = wire_of(f->known->type);
    if ((wire == WIRE_32 && f->size % 4) || (wire == WIRE_64 && f->size % 8))
        return malformed(f->start, top,
                         "a packed field's size is not a multiple of its numbers'");
    if (wire != WIRE_VARINT)
        return HSCHED_OK;
    size_t at = f->payload, end = f->payload + f->size;
    uint64_t ignored;
    while (at < end) {
        size_t start = at;
        if (!read_varint(s->data, &at, end, &ignored))
            return malformed(start, top, "a packed number does not end inside its field");
    }
    return HSCHED_OK;
}

static hsched_status check_known(const scanner *s, frame *top, const field *f)
{
    const ProtobufCFieldDescriptor *known = f->known;
    uint32_t wire = wire_of(known->type);
    if (f->wire != wire) {
        if (f->wire == WIRE_BYTES && known->label == PROTOBUF_C_LABEL_REPEATED)
            return check_packed(s, top, f);
        return malformed(f->start, top, "a field has the wrong wire type");
    }
    if (known->type == PROTOBUF_C_TYPE_STRING && memchr(s->data + f->payload, 0, f->size))
        return malformed(f->start, top, "a text contains a zero byte");
    if (known->type != PROTOBUF_C_TYPE_MESSAGE ||
        known->label == PROTOBUF_C_LABEL_REPEATED)
        return HSCHED_OK;
    /* protobuf-c would merge the two recursively; no writer does this. */
    uint64_t bit = UINT64_C(1) << ((size_t)(known - top->message->fields) & 63);
    int choice = (known->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (top->seen & bit || (choice && top->seen_choice))
        return malformed(f->start, top, "a message that may come once comes twice");
    top->seen |= bit;
    top->seen_choice |= choice;
    return HSCHED_OK;
}

static hsched_status read_field(scanner *s, frame *top, field *f)
{
    uint64_t tag, length;
    *f = (field){ .start = s->position };
    if (!read_varint(s->data, &s->position, top->end, &tag) || tag > UINT32_MAX ||
        tag >> 3 == 0)
        return malformed(f->start, top, "a field's tag is not valid");
    f->number = (uint32_t)(tag >> 3);
    f->wire = (uint32_t)(tag & 7);
    f->payload = s->position;
    switch (f->wire) {
    case WIRE_VARINT:
        if (!read_varint(s->data, &s->position, top->end, &length))
            return malformed(f->start, top, "a number does not end inside its message");
        f->size = s->position - f->payload;
        break;
    case WIRE_64:
    case WIRE_32:
        f->size = f->wire == WIRE_64 ? 8 : 4;
        if (f->size > top->end - s->position)
            return malformed(f->start, top, "a number does not end inside its message");
        s->position += f->size;
        break;
    case WIRE_BYTES:
        if (!read_varint(s->data, &s->position, top->end, &length) ||
            length > top->end - s->position)
            return malformed(f->start, top,
                             "a field is longer than the message around it");
        f->payload = s->position;
        f->size = (size_t)length;
        s->position += f->size;
        break;
    default:
        return malformed(f->start, top, "a field has a wire type that ONNX does not use");
    }
    f->known = protobuf_c_message_descriptor_get_field(top->message, f->number);
    if (f->known && is_dropped(top->message, f->known))
        f->known = NULL;
    return f->known ? check_known(s, top, f) : HSCHED_OK;
}

/* ---- The walk ------------------------------------------------------------- */

static hsched_status count_message(scanner *s, const field *f,
                                   const ProtobufCMessageDescriptor *message)
{
    hsi_onnx_scan *out = s->out;
    if (++out->messages > HSI_ONNX_MAX_MESSAGES)
        return too_many(f->start, "messages", HSI_ONNX_MAX_MESSAGES);
    if (message == &onnx__node_proto__descriptor && ++out->nodes > HSI_ONNX_MAX_NODES)
        return too_many(f->start, "nodes", HSI_ONNX_MAX_NODES);
    if (message == &onnx__tensor_proto__descriptor &&
        ++out->tensors > HSI_ONNX_MAX_TENSORS)
        return too_many(f->start, "tensors", HSI_ONNX_MAX_TENSORS);
    return HSCHED_OK;
}

static hsched_status enter(scanner *s, const frame *top, const field *f)
{
    const ProtobufCMessageDescriptor *message = f->known->descriptor;
    hsched_status status = count_message(s, f, message);
    if (status)
        return status;
    if (s->depth == HSI_ONNX_MAX_DEPTH)
        return malformed(f->start, top, "messages are nested too deeply");
    status = emit_head(s->out, f, 0);
    if (status)
        return status;
    s->stack[s->depth++] = (frame){ .message = message,
                                    .end = f->payload + f->size,
                                    .length_at = s->out->skeleton_size - LENGTH_WIDTH };
    s->position = f->payload;
    return HSCHED_OK;
}

static hsched_status emit_raw(scanner *s, const field *f)
{
    hsi_onnx_scan *out = s->out;
    uint32_t index = out->raw_count;
    if (index == HSI_ONNX_MAX_TENSORS)
        return too_many(f->start, "tensors", HSI_ONNX_MAX_TENSORS);
    if (!HSI_GROW(out->raws, out->raw_count, out->raw_capacity))
        return hsi_out_of_memory("the table of weights");
    out->raws[out->raw_count++] = (hsi_onnx_raw){ f->payload, f->size };
    uint8_t bytes[HSI_ONNX_RAW_INDEX_SIZE];
    for (unsigned k = 0; k < HSI_ONNX_RAW_INDEX_SIZE; k++)
        bytes[k] = (uint8_t)(index >> (8 * k));
    hsched_status status = emit_head(out, f, sizeof bytes);
    return status ? status : emit(out, bytes, sizeof bytes);
}

static hsched_status keep(scanner *s, const frame *top, const field *f)
{
    if (++s->out->fields > HSI_ONNX_MAX_FIELDS)
        return too_many(f->start, "fields", HSI_ONNX_MAX_FIELDS);
    if (f->known->type == PROTOBUF_C_TYPE_MESSAGE)
        return enter(s, top, f);
    if (top->message == &onnx__tensor_proto__descriptor &&
        strcmp(f->known->name, "raw_data") == 0)
        return emit_raw(s, f);
    hsched_status status = emit_head(s->out, f, f->size);
    return status ? status : emit(s->out, s->data + f->payload, f->size);
}

static void leave(scanner *s)
{
    const frame *top = &s->stack[--s->depth];
    if (s->depth > 0) /* the model itself has no length */
        put_length(s->out->skeleton + top->length_at,
                   s->out->skeleton_size - top->length_at - LENGTH_WIDTH);
}

hsched_status hsi_onnx_scan_model(const void *data, size_t size, hsi_onnx_scan *scan)
{
    *scan = (hsi_onnx_scan){ 0 };
    if (size == 0)
        return hsi_error(HSCHED_ERROR_FORMAT,
                         "the model is empty; give a complete ONNX file");
    if (size > HSI_ONNX_MAX_MODEL_BYTES)
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "the model has %zu bytes, more than the %zu that ONNX allows; keep its "
            "weights in external data",
            size, HSI_ONNX_MAX_MODEL_BYTES);
    scanner s = { .data = data, .depth = 1, .out = scan };
    s.stack[0] = (frame){ .message = &onnx__model_proto__descriptor, .end = size };
    hsched_status status = HSCHED_OK;
    while (s.depth > 0 && !status) {
        frame *top = &s.stack[s.depth - 1];
        if (s.position == top->end) {
            leave(&s);
            continue;
        }
        field f;
        status = read_field(&s, top, &f);
        if (!status && f.known)
            status = keep(&s, top, &f);
    }
    if (!status && scan->skeleton_size > HSI_ONNX_MAX_MODEL_BYTES)
        status = hsi_error(HSCHED_ERROR_LIMIT, "the model's structure is too large");
    if (status)
        hsi_onnx_scan_free(scan);
    return status;
}

void hsi_onnx_scan_free(hsi_onnx_scan *scan)
{
    hsi_free(scan->skeleton);
    hsi_free(scan->raws);
    *scan = (hsi_onnx_scan){ 0 };
}
