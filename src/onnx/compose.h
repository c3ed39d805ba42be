/*
 * Operators that become several layers: each call adds one and gives its output. The first error
 * stays in `status`, and nothing more is added once there is one, so that it need be looked at
 * only before numbers of a tensor are used and at the end.
 */
#ifndef HSI_ONNX_COMPOSE_H
#define HSI_ONNX_COMPOSE_H

#include "onnx/import.h"

typedef struct hsi_composer {
    hsi_onnx_import *im;
    const hsi_onnx_node *node;
    hsched_status status;
} hsi_composer;

/* Input k of the node, which has it. */
hsched_tensor hsi_compose_input(hsi_composer *c, uint32_t k);
/* Makes y the node's output k, under that output's name. */
void hsi_compose_output(hsi_composer *c, uint32_t k, hsched_tensor y);

/* The tensor's type and shape; HSCHED_DTYPE_NONE and rank 0 once there is an error. */
hsched_dtype hsi_compose_dtype(const hsi_composer *c, hsched_tensor x);
uint32_t hsi_compose_rank(const hsi_composer *c, hsched_tensor x);
/* Dimension k: its present size, and the same as a Reshape may name it, which may pin. */
int64_t hsi_compose_size(const hsi_composer *c, hsched_tensor x, uint32_t k);
int64_t hsi_compose_dim(hsi_composer *c, hsched_tensor x, uint32_t k);
/* Dimension k, of which something is made that holds for this size only. */
int64_t hsi_compose_fixed(hsi_composer *c, hsched_tensor x, uint32_t k);

hsched_tensor hsi_compose_number(hsi_composer *c, hsched_dtype dtype, double value);
/* The data is copied. */
hsched_tensor hsi_compose_constant(hsi_composer *c, hsched_dtype dtype, uint32_t rank,
                                   const int64_t *dims, const void *data);
hsched_tensor hsi_compose_pair(hsi_composer *c, hsched_binary_kind kind, hsched_tensor a,
                               hsched_tensor b);
hsched_tensor hsi_compose_act(hsi_composer *c, hsched_activation_kind kind,
                              hsched_tensor x);
hsched_tensor hsi_compose_where(hsi_composer *c, hsched_tensor condition, hsched_tensor a,
                                hsched_tensor b);
hsched_tensor hsi_compose_cast(hsi_composer *c, hsched_tensor x, hsched_dtype dtype);
hsched_tensor hsi_compose_matmul(hsi_composer *c, hsched_tensor a, hsched_tensor b);
hsched_tensor hsi_compose_softmax(hsi_composer *c, hsched_tensor x, int axis);
hsched_tensor hsi_compose_log_softmax(hsi_composer *c, hsched_tensor x, int axis);
hsched_tensor hsi_compose_reduce(hsi_composer *c, hsched_reduce_kind kind,
                                 hsched_tensor x, uint32_t count, const int64_t *axes,
                                 int keep_dims);
/* Nothing is added where that would change nothing. */
hsched_tensor hsi_compose_transpose(hsi_composer *c, hsched_tensor x,
                                    const int64_t *perm);
hsched_tensor hsi_compose_reshape(hsi_composer *c, hsched_tensor x, uint32_t rank,
                                  const int64_t *dims);
hsched_tensor hsi_compose_unsqueeze(hsi_composer *c, hsched_tensor x, uint32_t count,
                                    const int64_t *axes);
hsched_tensor hsi_compose_squeeze(hsi_composer *c, hsched_tensor x, uint32_t count,
                                  const int64_t *axes);
hsched_tensor hsi_compose_join(hsi_composer *c, hsched_tensor a, hsched_tensor b,
                               int axis);
hsched_tensor hsi_compose_concat(hsi_composer *c, const hsched_tensor *x, uint32_t count,
                                 int axis);
hsched_tensor hsi_compose_slice(hsi_composer *c, hsched_tensor x, int64_t axis,
                                int64_t start, int64_t stop, int64_t step);
/* So many more elements of that value at the axis' start and end. */
hsched_tensor hsi_compose_pad(hsi_composer *c, hsched_tensor x, uint32_t axis,
                              int64_t before, int64_t after, float value);
/* 0 to count - 1 as int64, with `behind` dimensions of 1 behind; at most 7. */
hsched_tensor hsi_compose_places(hsi_composer *c, int64_t count, uint32_t behind);
hsched_tensor hsi_compose_expand(hsi_composer *c, hsched_tensor x, uint32_t rank,
                                 const int64_t *dims);
/* x, but for the elements that the updates replace. */
hsched_tensor hsi_compose_put(hsi_composer *c, hsched_tensor x, hsched_tensor indices,
                              hsched_tensor updates, int axis);
/* A convolution of [N,C,L] by constant weights [C,1,k] without padding. */
hsched_tensor hsi_compose_depthwise(hsi_composer *c, hsched_tensor x,
                                    hsched_tensor weights, hsched_tensor bias);
hsched_tensor hsi_compose_gather(hsi_composer *c, hsched_tensor x, hsched_tensor indices,
                                 int axis);
hsched_tensor hsi_compose_gather_elements(hsi_composer *c, hsched_tensor x,
                                          hsched_tensor indices, int axis);

#endif
