/* What the files of this folder share to build graphs. */
#ifndef HSI_GRAPH_BUILD_H
#define HSI_GRAPH_BUILD_H

#include "graph/graph.h"

/* Numbers of tensors, layers and symbols that a graph may hold. */
#define HSI_MAX_TENSORS ((uint32_t)1 << 24)
#define HSI_MAX_SYMBOLS ((uint32_t)4096)

/* INVALID_ARGUMENT for NULL, STATE for a frozen graph. */
hsched_status hsi_graph_check_mutable(const hsched_graph *graph);

/* ---- Layers: a draft is checked, then appended whole or not at all -------- */

typedef struct hsi_draft {
    hsched_graph *graph;
    hsi_layer_kind kind;
    const char *name; /* NULL: made up */
    const hsched_tensor *inputs;
    uint32_t input_count;
    hsched_tensor *y; /* written last: it may be one of the inputs */
    hsi_layer_attrs given;
} hsi_draft;

/* Checks everything but `given`; the inputs may be looked at afterwards. */
hsched_status hsi_draft_begin(hsi_draft *draft);
/* Infers the shape and appends layer and output. */
hsched_status hsi_draft_append(hsi_draft *draft);
/* Sets *y to HSCHED_NO_TENSOR and puts the layer's name and kind in front of the error's
 * detail; returns `status`. */
hsched_status hsi_draft_fail(const hsi_draft *draft, hsched_status status);

/* ---- Tensors -------------------------------------------------------------- */

/* Room for one more tensor; a later commit cannot fail. */
hsched_status hsi_graph_reserve_tensor(hsched_graph *graph);
/* Appends a tensor, whose name it takes over, in the room reserved, and indexes the name.
 */
hsched_tensor hsi_graph_commit_tensor(hsched_graph *graph,
                                      const hsi_graph_tensor *tensor);
/* Takes back an input that was added last, to which nothing refers yet. */
void hsi_graph_drop_last_input(hsched_graph *graph);
/* A tensor of no elements, which can only become an output; dimensions are numbers. Nothing makes
 * it: nothing of it could be written. */
hsched_status hsi_graph_add_empty(hsched_graph *graph, const char *name,
                                  hsched_dtype dtype, uint32_t rank, const int64_t *dims,
                                  hsched_tensor *tensor);
int hsi_graph_is_empty(const hsi_graph_tensor *tensor);

/* Takes back all tensors and layers but the first so many; no output is among them. */
void hsi_graph_rewind(hsched_graph *graph, uint32_t tensor_count, uint32_t layer_count);

/* ---- Names of tensors ----------------------------------------------------- */

/* HSCHED_NO_TENSOR if there is none. */
hsched_tensor hsi_names_find(const hsched_graph *graph, const char *name);
/* Room for one more name. 0: out of memory. */
int hsi_names_reserve(hsched_graph *graph);
void hsi_names_insert(hsched_graph *graph, hsched_tensor tensor);
/* After a tensor was renamed or taken away. */
void hsi_names_rebuild(hsched_graph *graph);
void hsi_names_destroy(hsched_graph *graph);
/* A copy of `wanted` if that is free, or, if it is NULL, a free name "<stem>_<number>".
 */
hsched_status hsi_names_choose(const hsched_graph *graph, const char *wanted,
                               const char *stem, char **name);
/* "<base>/<part>", or with a number behind it if that is taken. */
hsched_status hsi_names_choose_like(const hsched_graph *graph, const char *base,
                                    const char *part, char **name);

/* ---- Symbols -------------------------------------------------------------- */

/*
 * Infers and checks the whole graph with other values of its symbols. Writes to `tensors`
 * and `layers`, copies of the graph's (or its own); undefined contents on failure. A
 * tensor's rank may not change. Errors: SHAPE, INVALID_ARGUMENT, LIMIT.
 */
hsched_status hsi_graph_infer_all(const hsched_graph *graph, const hsi_symbol *symbols,
                                  hsi_graph_tensor *tensors, hsi_layer *layers);

/* The layer that makes float32 [N,C,H,W] of an input uint8 [N,H,W,C] that exists already. */
hsched_status hsi_graph_add_image(hsched_graph *graph, const char *name,
                                  hsched_tensor frame, const hsched_image_config *config,
                                  hsched_tensor *y);

/* A recurrent layer with its own output, the packed one; inputs as in hsi_layer. */
hsched_status hsi_graph_add_recurrent(hsched_graph *graph, const char *name,
                                      const hsched_tensor inputs[7],
                                      const hsched_recurrent_config *config,
                                      hsched_tensor *packed);
/* What of it is what: rows [0,T), or, of one row, last hidden or cell state. */
typedef enum hsi_recurrent_rows {
    HSI_RECURRENT_Y,
    HSI_RECURRENT_Y_H,
    HSI_RECURRENT_Y_C
} hsi_recurrent_rows;
/* As layers of these names (the slice's is for Y_H and Y_C only); NULL: made up. */
hsched_status hsi_graph_add_recurrent_rows(hsched_graph *graph, const char *slice_name,
                                           const char *name, hsched_tensor packed,
                                           hsched_recurrent_kind kind,
                                           hsi_recurrent_rows rows, hsched_tensor *y);

#endif
