/*
 * An ONNX model as the importer works with it: names resolved to numbers, nodes in an
 * order in which they can be executed, constants found in place. Immutable once read.
 */
#ifndef HSI_ONNX_MODEL_H
#define HSI_ONNX_MODEL_H

#include "onnx/arena.h"
#include "onnx/file.h"
#include "onnx/flat.h"
#include "onnx/scan.h"

#include "onnx.pb-c.h"

#define HSI_ONNX_NONE UINT32_MAX

/*
 * A constant known while importing: an initialiser or what a node computed from
 * constants. `tags`, if not NULL, holds for each element which symbols its value came
 * from (see symbols.h).
 */
typedef struct hsi_onnx_constant {
    hsched_dtype dtype;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    size_t count, size; /* elements, bytes */
    const void *data;
    const uint64_t *tags;
    const uint64_t
        *dim_tags; /* of no elements only: what the dimensions depend on, or NULL */
    int lasting;   /* data stays as long as the graph does, but may not be aligned */
} hsi_onnx_constant;

typedef struct hsi_onnx_value {
    const char *name;
    uint32_t producer;                 /* node, or HSI_ONNX_NONE */
    const hsi_onnx_constant *constant; /* of an initialiser, else NULL */
    const Onnx__ValueInfoProto *input; /* of an input of the graph that is no constant */
    int used;      /* a node that is needed reads it, or it is an output */
    int is_output; /* of the model */
} hsi_onnx_value;

typedef struct hsi_onnx_node {
    const Onnx__NodeProto *proto;
    const char *op, *domain; /* domain "" is the standard one */
    const char *label;       /* for people: its name, else its output's, else "Op_k" */
    int64_t version;         /* of the operator set that it belongs to; 0: not imported */
    uint32_t *inputs, *outputs; /* values; HSI_ONNX_NONE where left out */
    uint32_t input_count, output_count;
    int needed; /* an output of the model depends on it */
} hsi_onnx_node;

typedef struct hsi_onnx_external {
    const char *location;
    hsi_onnx_file *file;
} hsi_onnx_external;

typedef struct hsi_onnx_model {
    hsi_onnx_arena proto_arena, arena;
    hsi_onnx_scan scan;
    Onnx__ModelProto *proto;
    const unsigned char *data; /* the model's bytes */
    size_t size;
    const char *path; /* NULL if the model came from memory */
    int allow_external;
    uint64_t max_bytes, tensor_bytes; /* allowed, and found so far */
    int64_t opset;
    hsi_onnx_flat flat;
    hsi_onnx_node *nodes;
    uint32_t node_count;
    uint32_t *order; /* nodes in an executable order */
    hsi_onnx_value *values;
    uint32_t value_count;
    uint32_t *names; /* hash table of values */
    uint32_t names_mask;
    uint32_t *inputs, input_count;
    uint32_t *outputs, output_count;
    hsi_onnx_external *externals; /* files mapped so far */
    uint32_t external_count, external_capacity;
} hsi_onnx_model;

/*
 * Reads a model; `data` must outlive it and, for constants, the graph. On failure there
 * is nothing to free. Errors: FORMAT, UNSUPPORTED (opset, types), LIMIT, IO,
 * OUT_OF_MEMORY.
 */
hsched_status hsi_onnx_model_read(const void *data, size_t size, const char *path,
                                  const hsched_onnx_config *config,
                                  hsi_onnx_model *model);
void hsi_onnx_model_free(hsi_onnx_model *model);
/* Reads it anew with the ifs and loops written out whose way has been found: see
 * hsi_onnx_flatten_chosen. After errors the model can only be freed. */
hsched_status hsi_onnx_model_choose(hsi_onnx_model *model, const int64_t *choices);

/* Gives the value of that name, or HSI_ONNX_NONE. */
uint32_t hsi_onnx_find_value(const hsi_onnx_model *model, const char *name);

/* A TensorProto as a constant in model->arena; `what` and `name` say in errors what it
 * is. */
hsched_status hsi_onnx_read_tensor(hsi_onnx_model *model, const Onnx__TensorProto *proto,
                                   const char *what, const char *name,
                                   const hsi_onnx_constant **constant);

/*
 * Counts elements and bytes of a constant's shape; 0 on overflow. Products of any of its
 * dimensions then fit too, even if there is a zero among them.
 */
int hsi_onnx_check_shape(hsi_onnx_constant *constant);

/* Finds an executable order (the file's where it is one) and which nodes are needed.
 * FORMAT with a node's name if there is a cycle. */
hsched_status hsi_onnx_sort_nodes(hsi_onnx_model *model);

/* The library's type of an ONNX data type, or HSCHED_DTYPE_NONE; and ONNX's name for it.
 */
hsched_dtype hsi_onnx_dtype(int32_t data_type);
const char *hsi_onnx_type_name(int32_t data_type);

/* ---- Attributes of a node. A missing one gives the fallback; one of another type is
 * FORMAT. ---- */

const Onnx__AttributeProto *hsi_onnx_attr(const hsi_onnx_node *node, const char *name);
hsched_status hsi_onnx_attr_int(const hsi_onnx_node *node, const char *name,
                                int64_t fallback, int64_t *value);
hsched_status hsi_onnx_attr_float(const hsi_onnx_node *node, const char *name,
                                  float fallback, float *value);
/* *values is NULL if the attribute is missing. */
hsched_status hsi_onnx_attr_ints(const hsi_onnx_node *node, const char *name,
                                 const int64_t **values, uint32_t *count);
/* 1 in *equal if the attribute (or, if missing, the fallback) is `text`. */
hsched_status hsi_onnx_attr_is(const hsi_onnx_node *node, const char *name,
                               const char *fallback, const char *text, int *equal);

#endif
