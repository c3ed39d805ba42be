/*
 * One pass over an ONNX model that builds a graph of it: nodes are folded where all they
 * read is known, else turned into layers. What operators share while being imported.
 */
#ifndef HSI_ONNX_IMPORT_H
#define HSI_ONNX_IMPORT_H

#include "graph/graph.h"
#include "onnx/model.h"

/*
 * Which symbols a number depends on: bit k for symbol k; with HSI_ONNX_EXACT the number
 * is that one symbol's value. 0: on none. Numbers that are a symbol stay symbolic where
 * the graph can say so (Reshape); where a shape is computed from a symbol in another way,
 * the symbol is pinned: the model is imported anew with its value as a plain number,
 * since the graph could not be inferred again for another one.
 */
#define HSI_ONNX_EXACT       (UINT64_C(1) << 63)
#define HSI_ONNX_MAX_SYMBOLS 62

typedef struct hsi_onnx_symbol {
    const char *name;
    int64_t value;
    int64_t code; /* of the graph */
    int declared; /* in this pass */
    int given;    /* its value is the user's */
} hsi_onnx_symbol;

/* A list of tensors. There are none in a graph: its items are known while importing. */
typedef struct hsi_onnx_sequence {
    uint32_t count;
    const struct hsi_onnx_state *items; /* each a constant or a tensor */
} hsi_onnx_sequence;

/* What is known of a model's value in this pass: nothing yet, or one of these. */
typedef struct hsi_onnx_state {
    const hsi_onnx_constant *constant;
    hsched_tensor tensor; /* HSCHED_NO_TENSOR: none (yet, for a constant) */
    const hsi_onnx_sequence *sequence;
    int nothing; /* an optional without an element */
    struct hsi_onnx_levels
        *levels; /* of quantised numbers, a tensor once it is asked for */
    int missing; /* its node is not supported */
} hsi_onnx_state;

typedef struct hsi_onnx_dim_tags {
    uint64_t tags[HSCHED_MAX_DIMS];
} hsi_onnx_dim_tags;

typedef struct hsi_onnx_import {
    hsi_onnx_model *model;
    hsi_onnx_arena arena; /* of this pass */
    hsched_graph *graph;
    hsi_onnx_state *states;   /* by value */
    hsi_onnx_symbol *symbols; /* lives through all passes */
    uint32_t symbol_count;
    uint64_t fixed;  /* symbols that are numbers in this pass */
    uint64_t pinned; /* symbols that must be so in the next one */
    hsi_onnx_dim_tags
        *dim_tags; /* by tensor of the graph; NULL if there are no symbols */
    uint32_t tracked_tensors, tracked_capacity, tracked_layers;
    struct hsi_onnx_complaint *complaints; /* operators that are not supported */
    uint32_t complaint_count;
    int64_t *choices; /* by node: see hsi_onnx_flatten_chosen; NULL: all open */
    int chosen;       /* there is one, so that the model must be imported anew */
    uint32_t made_names;
    uint64_t folded_bytes;
} hsi_onnx_import;

/* ---- Inputs and outputs of a node ----------------------------------------- */

int hsi_onnx_has_input(const hsi_onnx_node *node, uint32_t k);
/* The constant that input k is, or NULL. */
const hsi_onnx_constant *hsi_onnx_constant_input(const hsi_onnx_import *im,
                                                 const hsi_onnx_node *node, uint32_t k);
/* Input k as a tensor of the graph; constants are added to it the first time. */
hsched_status hsi_onnx_input(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k,
                             hsched_tensor *tensor);
/* Levels as a tensor under their value's name: quant.c. */
hsched_status hsi_onnx_make_levels(hsi_onnx_import *im, uint32_t value);
/* Input k, which must be a constant of float32; HSCHED_NO_TENSOR if it is left out. */
hsched_status hsi_onnx_weights(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k,
                               hsched_tensor *tensor);
/* Input k, which must be a constant list of integers; *values is NULL if it is left out.
 */
hsched_status hsi_onnx_ints_input(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  uint32_t k, const int64_t **values, uint32_t *count);
/* Input k, which must be a constant number. */
hsched_status hsi_onnx_float_input(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   uint32_t k, float fallback, float *value);
/* The list from attribute `name` before opset `since`, from input k afterwards; NULL if
 * left out. */
hsched_status hsi_onnx_ints(hsi_onnx_import *im, const hsi_onnx_node *node,
                            const char *name, int64_t since, uint32_t k,
                            const int64_t **values, uint32_t *count);

/* The name of output k, which becomes the layer's; made up if the output has none. */
const char *hsi_onnx_output_name(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 uint32_t k);
/* A new name that no tensor of the model has. NULL: out of memory. */
const char *hsi_onnx_made_name(hsi_onnx_import *im, const char *base, const char *suffix);
void hsi_onnx_set_tensor(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k,
                         hsched_tensor tensor);
void hsi_onnx_set_constant(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k,
                           const hsi_onnx_constant *constant);
/* Output k is input 0 under another name. */
hsched_status hsi_onnx_alias(hsi_onnx_import *im, const hsi_onnx_node *node, uint32_t k);
/* 1 if somebody needs output k. */
int hsi_onnx_output_used(const hsi_onnx_import *im, const hsi_onnx_node *node,
                         uint32_t k);

/* Makes a float32 constant of the graph from `data` (copied). */
hsched_status hsi_onnx_add_floats(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  const char *suffix, uint32_t rank, const int64_t *dims,
                                  const float *data, hsched_tensor *tensor);

/* Adds a constant to the graph under that name. */
hsched_status hsi_onnx_add_constant(hsi_onnx_import *im, const hsi_onnx_node *node,
                                    const char *name, const hsi_onnx_constant *c,
                                    hsched_tensor *tensor);
/* Makes a number of that type a constant of the graph. */
hsched_status hsi_onnx_add_number(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  hsched_dtype dtype, double value,
                                  hsched_tensor *tensor);
/* A layer of the node's: the last one has its output's name, others have made-up ones. */
hsched_status hsi_onnx_add_pair(hsi_onnx_import *im, const hsi_onnx_node *node, int last,
                                hsched_binary_kind kind, hsched_tensor a, hsched_tensor b,
                                hsched_tensor *y);
hsched_status hsi_onnx_add_act(hsi_onnx_import *im, const hsi_onnx_node *node, int last,
                               hsched_activation act, hsched_tensor x, hsched_tensor *y);

/* ---- Shapes --------------------------------------------------------------- */

uint32_t hsi_onnx_rank(const hsi_onnx_import *im, hsched_tensor tensor);
/* Copies rank dimensions. */
void hsi_onnx_dims(const hsi_onnx_import *im, hsched_tensor tensor, int64_t *dims);
/* Copies the dimensions as a Reshape may name them: symbols as their codes; others are
 * pinned. */
void hsi_onnx_symbolic_dims(hsi_onnx_import *im, hsched_tensor tensor, int64_t *dims);
/* What dimension k depends on. */
uint64_t hsi_onnx_dim_tag(const hsi_onnx_import *im, hsched_tensor tensor, uint32_t k);
/* A number with this tag was used for good. */
void hsi_onnx_pin(hsi_onnx_import *im, uint64_t tag);
/* The code for a number that is exactly one symbol, else the number itself, pinned. */
int64_t hsi_onnx_symbolic(hsi_onnx_import *im, int64_t value, uint64_t tag);
/* Follows symbols through the layers added since the last call. */
hsched_status hsi_onnx_track(hsi_onnx_import *im);

/* Output k is a tensor of no elements; `tags` says what its dimensions depend on, unless it is
 * NULL. */
hsched_status hsi_onnx_set_empty(hsi_onnx_import *im, const hsi_onnx_node *node,
                                 uint32_t k, hsched_dtype dtype, uint32_t rank,
                                 const int64_t *dims, const uint64_t *tags);
/* The same for what has x's type and, but for sizes, its dimensions. */
hsched_status hsi_onnx_empty_part(hsi_onnx_import *im, const hsi_onnx_node *node,
                                  uint32_t k, hsched_tensor x, const int64_t *dims);
/* Shapes of inputs of no elements are numbers from here on, where the node uses them. */
void hsi_onnx_pin_empty(hsi_onnx_import *im, const hsi_onnx_node *node);
/* Such an input of the model is none of the graph. */
hsched_status hsi_onnx_empty_input(hsi_onnx_import *im, uint32_t value,
                                   hsched_dtype dtype, uint32_t rank,
                                   const int64_t *dims);

/* Adds the model's inputs and, for them, its symbols. */
hsched_status hsi_onnx_add_inputs(hsi_onnx_import *im);
/* Lists the symbols of the model and takes their values from the config; before the first
 * pass. */
hsched_status hsi_onnx_find_symbols(hsi_onnx_model *model,
                                    const hsched_onnx_config *config,
                                    hsi_onnx_symbol **symbols, uint32_t *count);

/* Brings a negative axis into 0..rank-1; `limit` is rank, or rank + 1 where that is a
 * place too. */
hsched_status hsi_onnx_axis(const hsi_onnx_node *node, int64_t axis, uint32_t rank,
                            uint32_t limit, uint32_t *result);

/* How Split cuts a dimension of `size`: one entry for each output of the node. */
#define HSI_ONNX_MAX_SPLIT 1024
hsched_status hsi_onnx_split_sizes(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   int64_t size, int64_t *sizes);

/* ---- Errors --------------------------------------------------------------- */

/*
 * Notes that the node is not supported and why, and returns UNSUPPORTED: the import goes
 * on with the other nodes, to name all such nodes in one error.
 */
hsched_status hsi_onnx_unsupported(hsi_onnx_import *im, const hsi_onnx_node *node,
                                   const char *reason, ...)
    __attribute__((format(printf, 3, 4)));
/* The one error, if there was any such node. */
hsched_status hsi_onnx_complain(const hsi_onnx_import *im);
/* FORMAT, with the node's name in front. */
hsched_status hsi_onnx_malformed(const hsi_onnx_node *node, const char *cause, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts the node in front of the detail of an error, which is returned; HSCHED_OK stays as
 * it is. What the graph calls an invalid argument is FORMAT. */
hsched_status hsi_onnx_at_node(const hsi_onnx_node *node, hsched_status status);
hsched_status hsi_onnx_no_memory(const hsi_onnx_import *im, const hsi_onnx_node *node);

#endif
