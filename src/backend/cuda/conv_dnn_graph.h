/*
 * A convolution with residual, bias and activation as a graph of cuDNN's operations, and the
 * descriptors of which such things are made.
 */
#ifndef HSI_BACKEND_CUDA_CONV_DNN_GRAPH_H
#define HSI_BACKEND_CUDA_CONV_DNN_GRAPH_H

#include "backend/cuda/op.h"

#define HSI_DNN_POOL_MAX 64 /* descriptors of one op: 20 and a knob choice each */

typedef cudnnBackendDescriptor_t hsi_dnn_desc;

extern const char hsi_dnn_doing[]; /* for errors */

/*
 * Descriptors that live and die together. Once something has failed, all else does nothing:
 * `status` is looked at in the end. All are kept as long as the plan that was made of them,
 * since cuDNN does not say which of them it copies.
 */
typedef struct hsi_dnn_pool {
    hsi_dnn_desc items[HSI_DNN_POOL_MAX];
    uint32_t count;
    hsched_status status;
} hsi_dnn_pool;

void hsi_dnn_destroy_desc(hsi_dnn_desc d);
void hsi_dnn_pool_end(hsi_dnn_pool *p);
hsi_dnn_desc hsi_dnn_create(hsi_dnn_pool *p, cudnnBackendDescriptorType_t type);
void hsi_dnn_set(hsi_dnn_pool *p, hsi_dnn_desc d, cudnnBackendAttributeName_t name,
                 cudnnBackendAttributeType_t type, int64_t count, const void *values);
void hsi_dnn_set_desc(hsi_dnn_pool *p, hsi_dnn_desc d, cudnnBackendAttributeName_t name,
                      hsi_dnn_desc value);
void hsi_dnn_finalize(hsi_dnn_pool *p, hsi_dnn_desc d);

/* Names of tensors: in[i] is i + 1; virtual ones follow. */
enum {
    HSI_DNN_X = 1,
    HSI_DNN_WEIGHTS,
    HSI_DNN_BIAS,
    HSI_DNN_RESIDUAL,
    HSI_DNN_OUT,
    HSI_DNN_VIRTUAL
};

/* UNSUPPORTED, with that in the error. */
hsched_status hsi_dnn_refuse(const char *why);
int hsi_dnn_is_present(const hsched_step *s, uint32_t input);
/* Is it a convolution that a graph can express? */
hsched_status hsi_dnn_check_step(const hsi_cuda_step *step);
/* 1 if the activation can be part of the graph. */
int hsi_dnn_can_fuse(const hsi_cuda_step *step);
int hsi_dnn_graph_has_bias(const hsi_cuda_step *step, int fused);
/* The finished graph; the activation is part of it if `fused`. */
hsi_dnn_desc hsi_dnn_make_graph(hsi_dnn_pool *p, const hsi_cuda_step *step, int fused);

#endif
