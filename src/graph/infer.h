/*
 * Shape inference: from the inputs' shapes and the attributes as given, the attributes
 * with everything resolved and the output's type and shape. Pure: the same code serves
 * adding a layer, changing a symbol's value and specialising a graph. Errors do not name
 * the layer; the caller puts that in front.
 */
#ifndef HSI_GRAPH_INFER_H
#define HSI_GRAPH_INFER_H

#include "base/status.h"
#include "base/tensor.h"
#include "graph/graph.h"

/* Kernels, strides, dilations and pads are at most this: products of two of them and a
 * dimension then stay far inside 64 bits. */
#define HSI_MAX_WINDOW ((int64_t)1 << 20)

typedef struct hsi_infer {
    const hsi_graph_tensor *tensors;
    const hsi_symbol *symbols;
    uint32_t symbol_count;
    const hsched_tensor
        *inputs; /* in range, or HSCHED_NO_TENSOR where one may be absent */
    uint32_t input_count;
    const hsi_layer_attrs *given;
    hsi_layer_attrs *attrs; /* a copy of *given at first, resolved in the end */
    hsched_dtype dtype;     /* the output's */
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
} hsi_infer;

/* Infers one layer. Errors: INVALID_ARGUMENT, SHAPE, LIMIT. */
hsched_status hsi_infer_layer(hsi_layer_kind kind, hsi_infer *f);

/* What the inputs of a layer are called in messages: "weights". */
const char *hsi_input_role(hsi_layer_kind kind, uint32_t place);
/* 1 if that input may be HSCHED_NO_TENSOR. */
int hsi_input_optional(hsi_layer_kind kind, uint32_t place);

/* The value of a dimension that the user gave: >= 1, or a symbol's code (then *symbol is
 * its index, else HSI_NO_INDEX). */
hsched_status hsi_resolve_dim(const hsi_symbol *symbols, uint32_t symbol_count,
                              int64_t dim, int64_t *value, uint32_t *symbol);

/* LIMIT unless a tensor of that type and shape can be addressed. */
hsched_status hsi_check_size(hsched_dtype dtype, uint32_t rank, const int64_t *dims);

/* INVALID_ARGUMENT for an unknown kind or parameters that are no numbers; those that the
 * kind does not name become 0. */
hsched_status hsi_resolve_activation(hsched_activation *activation);

/* ---- For the files infer_*.c ---------------------------------------------- */

#define HSI_TENSOR_FMT     "'%.200s' %s"
#define HSI_TENSOR_ARGS(t) (t)->name, hsi_shape_text((t)->rank, (t)->dims)

/* The tensor at a place, or NULL where it is absent. */
static inline const hsi_graph_tensor *hsi_infer_input(const hsi_infer *f, uint32_t place)
{
    hsched_tensor tensor = f->inputs[place];
    return tensor == HSCHED_NO_TENSOR ? NULL : &f->tensors[tensor];
}

/* Or a narrower float that is computed as float32: float16, bfloat16. That all are of one
 * type, and the output's type, is seen to for all layers alike. */
hsched_status hsi_expect_float32(const hsi_graph_tensor *t, const char *role);
/* Or float64: the layer computes on it, too. */
hsched_status hsi_expect_real(const hsi_graph_tensor *t, const char *role);
hsched_status hsi_expect_constant(const hsi_graph_tensor *t, const char *role);
/* `form` says what the dimensions are: "[N,C,H,W]". */
hsched_status hsi_expect_rank(const hsi_graph_tensor *t, const char *role, uint32_t rank,
                              const char *form);
hsched_status hsi_expect_rank_min(const hsi_graph_tensor *t, const char *role,
                                  uint32_t rank, const char *form);
/* Of shape [size], of any type; `why` says where the size comes from. */
hsched_status hsi_expect_length(const hsi_graph_tensor *t, const char *role, int64_t size,
                                const char *why);
/* A constant float32 of shape [size]; `why` says where the size comes from. */
hsched_status hsi_expect_vector(const hsi_graph_tensor *t, const char *role, int64_t size,
                                const char *why);
/* The same, be it constant or not. */
hsched_status hsi_expect_per_channel(const hsi_graph_tensor *t, const char *role,
                                     int64_t size, const char *why);

/* -rank..rank-1 to 0..rank-1. */
hsched_status hsi_resolve_axis(int64_t axis, uint32_t rank, int64_t *resolved);
/* All of them, sorted in place; two the same are an error. */
hsched_status hsi_resolve_axes(int64_t *axes, uint32_t count, uint32_t rank);

/* The shape that both broadcast to, as in numpy; 0 if they do not. Ranks are at most the
 * maximum. */
int hsi_infer_broadcast(uint32_t rank_a, const int64_t *a, uint32_t rank_b,
                        const int64_t *b, uint32_t *rank, int64_t *dims);

/* The output has this type and shape. */
void hsi_infer_set(hsi_infer *f, hsched_dtype dtype, uint32_t rank, const int64_t *dims);
static inline void hsi_infer_same(hsi_infer *f, const hsi_graph_tensor *t)
{
    hsi_infer_set(f, t->dtype, t->rank, t->dims);
}

hsched_status hsi_infer_conv2d(hsi_infer *f);
hsched_status hsi_infer_pool2d(hsi_infer *f);
hsched_status hsi_infer_global_pool(hsi_infer *f);
hsched_status hsi_infer_image_input(hsi_infer *f);

hsched_status hsi_infer_conv(hsi_infer *f);
hsched_status hsi_infer_pool(hsi_infer *f);
hsched_status hsi_infer_max_pool_indices(hsi_infer *f);
hsched_status hsi_infer_conv_transpose(hsi_infer *f);
hsched_status hsi_infer_resize(hsi_infer *f);
hsched_status hsi_infer_grid_sample(hsi_infer *f);
hsched_status hsi_infer_roi_align(hsi_infer *f);
hsched_status hsi_infer_nms(hsi_infer *f);

hsched_status hsi_infer_fully_connected(hsi_infer *f);
hsched_status hsi_infer_matmul(hsi_infer *f);
hsched_status hsi_infer_batch_norm(hsi_infer *f);
hsched_status hsi_infer_lrn(hsi_infer *f);
hsched_status hsi_infer_softmax(hsi_infer *f);
hsched_status hsi_infer_norm(hsi_infer *f);
hsched_status hsi_infer_activation(hsi_infer *f);
hsched_status hsi_infer_binary(hsi_infer *f);
hsched_status hsi_infer_reduce(hsi_infer *f);
/* 1 if the kind has integers of that type. */
int hsi_reduce_takes(hsched_reduce_kind kind, hsched_dtype dtype);

hsched_status hsi_infer_recurrent(hsi_infer *f);
hsched_status hsi_infer_cast(hsi_infer *f);
hsched_status hsi_infer_where(hsi_infer *f);

hsched_status hsi_infer_concat(hsi_infer *f);
hsched_status hsi_infer_slice(hsi_infer *f);
hsched_status hsi_infer_pad(hsi_infer *f);
hsched_status hsi_infer_reshape(hsi_infer *f);
hsched_status hsi_infer_expand(hsi_infer *f);
hsched_status hsi_infer_gather(hsi_infer *f);
hsched_status hsi_infer_gather_elements(hsi_infer *f);
hsched_status hsi_infer_arg(hsi_infer *f);
hsched_status hsi_infer_top_k(hsi_infer *f);
hsched_status hsi_infer_gather_nd(hsi_infer *f);
hsched_status hsi_infer_scatter_elements(hsi_infer *f);
hsched_status hsi_infer_scatter_nd(hsi_infer *f);
hsched_status hsi_expect_indices(const hsi_graph_tensor *indices);
hsched_status hsi_infer_cumsum(hsi_infer *f);
hsched_status hsi_infer_flatten(hsi_infer *f);
hsched_status hsi_infer_squeeze(hsi_infer *f);
hsched_status hsi_infer_unsqueeze(hsi_infer *f);
hsched_status hsi_infer_transpose(hsi_infer *f);

#endif
