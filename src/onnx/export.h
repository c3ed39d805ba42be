/* Layers as ONNX nodes of opset 13: what the exporting functions share. */
#ifndef HSI_ONNX_EXPORT_H
#define HSI_ONNX_EXPORT_H

#include "graph/graph.h"
#include "onnx/arena.h"
#include "onnx/writer.h"

#include "onnx.pb-c.h"

#define HSI_ONNX_EXPORT_OPSET 13
#define HSI_ONNX_EXPORT_IR    8

typedef struct hsi_onnx_export {
    const hsched_graph *graph;
    hsi_onnx_arena arena;  /* made-up names */
    hsi_onnx_buffer nodes; /* fields of the GraphProto: nodes and small initialisers */
    size_t node_begun;     /* where the node being written starts */
    uint32_t made_names;
} hsi_onnx_export;

/* ---- Names ---------------------------------------------------------------- */

const char *hsi_onnx_tensor_name(const hsi_onnx_export *e, hsched_tensor tensor);
/* A name that no tensor has; "" when memory ran out, which the arena remembers. */
const char *hsi_onnx_new_name(hsi_onnx_export *e, const char *base);

/* ---- Nodes: begin, attributes, end ---------------------------------------- */

/* Up to three inputs; the first NULL ends them; "" leaves one out. */
void hsi_onnx_node_begin(hsi_onnx_export *e, const char *op, const char *output,
                         const char *a, const char *b, const char *c);
void hsi_onnx_node_input(hsi_onnx_export *e, const char *name);  /* more inputs */
void hsi_onnx_node_output(hsi_onnx_export *e, const char *name); /* more outputs */
void hsi_onnx_node_int(hsi_onnx_export *e, const char *name, int64_t value);
void hsi_onnx_node_ints(hsi_onnx_export *e, const char *name, const int64_t *values,
                        uint32_t count);
void hsi_onnx_node_float(hsi_onnx_export *e, const char *name, float value);
void hsi_onnx_node_floats(hsi_onnx_export *e, const char *name, const float *values,
                          uint32_t count);
void hsi_onnx_node_texts(hsi_onnx_export *e, const char *name, const char *const *texts,
                         uint32_t count);
void hsi_onnx_node_text(hsi_onnx_export *e, const char *name, const char *text);
void hsi_onnx_node_end(hsi_onnx_export *e);

/* A node without attributes: to `output`, or to a new name if that is NULL; gives the
 * name. */
const char *hsi_onnx_put(hsi_onnx_export *e, const char *op, const char *output,
                         const char *a, const char *b);

/* Likewise; x as another type. */
const char *hsi_onnx_put_cast(hsi_onnx_export *e, const char *output, const char *x,
                              hsched_dtype dtype);

/* ---- Small constants; each gives its name --------------------------------- */

const char *hsi_onnx_put_ints(hsi_onnx_export *e, const char *base, const int64_t *values,
                              uint32_t count);
const char *hsi_onnx_put_floats(hsi_onnx_export *e, const char *base, uint32_t rank,
                                const int64_t *dims, const float *values);
const char *hsi_onnx_put_scalar(hsi_onnx_export *e, const char *base, float value);
/* Of this type: float32, float64, integers or bool. */
const char *hsi_onnx_put_number(hsi_onnx_export *e, const char *base, hsched_dtype dtype,
                                double value);
/* A list of `count` times the value, of float32 or float64; "" where memory ran out. */
const char *hsi_onnx_put_repeated(hsi_onnx_export *e, const char *base,
                                  hsched_dtype dtype, int64_t count, double value);

/* ---- Layers --------------------------------------------------------------- */

hsched_status hsi_onnx_export_layer(hsi_onnx_export *e, const hsi_layer *layer);
/* 1 if opset 13 lacks it, so that it is written as several nodes, or with constants. */
int hsi_onnx_is_composed(hsched_activation_kind kind);
void hsi_onnx_export_activation(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_resize(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_grid_sample(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_roi_align(hsi_onnx_export *e, const hsi_layer *layer);
void hsi_onnx_export_nms(hsi_onnx_export *e, const hsi_layer *layer);
void hsi_onnx_export_arg(hsi_onnx_export *e, const hsi_layer *layer);
void hsi_onnx_export_top_k(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_scatter(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_cumsum(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_norm(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_gather(hsi_onnx_export *e, const hsi_layer *layer);
/* UNSUPPORTED: a constant index of such a layer is out of range. */
hsched_status hsi_onnx_check_indices(const hsi_onnx_export *e, const hsi_layer *layer);
void hsi_onnx_export_conv(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_pool(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_pool_indices(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_reshape(hsi_onnx_export *e, const hsi_layer *layer);
hsched_status hsi_onnx_export_recurrent(hsi_onnx_export *e, const hsi_layer *layer);
/* The data type that ONNX numbers so. */
int32_t hsi_onnx_type_of(hsched_dtype dtype);

#endif
