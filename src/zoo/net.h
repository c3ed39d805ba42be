/*
 * What the families of the zoo build with: thin functions over the graph API that make
 * the weights, name the constants and remember the first error, so that a network reads
 * as a list of layers. After an error every call does nothing and gives HSCHED_NO_TENSOR.
 */
#ifndef ZOO_NET_H
#define ZOO_NET_H

#include <hsched/hsched.h>

#define ZOO_NAME_MAX  96 /* of a layer */
#define ZOO_BLOCK_MAX 48 /* of a block, which layers' names begin with */

typedef struct zoo_net {
    hsched_graph *graph;
    hsched_status status; /* of the first failing call */
    uint64_t random;      /* state of the generator */
    float *scratch;       /* holds one constant while it is made */
    size_t scratch_count;
} zoo_net;

/* What the input of a convolution or a fully connected layer looks like; it decides how
 * large the weights must be for the values to keep their size from layer to layer. */
typedef enum zoo_from {
    ZOO_FROM_RELU = 0,  /* not negative */
    ZOO_FROM_LINEAR = 1 /* around zero: the network's input, a linear bottleneck */
} zoo_from;

typedef struct zoo_conv {
    int64_t out, kernel;
    int64_t stride;    /* 0: 1 */
    int64_t pad;       /* on all four sides */
    int64_t width;     /* not 0: the kernel is `kernel` high and so wide, */
    int64_t pad_width; /* with `pad` above and below and so much left and right */
    int64_t groups;    /* 0: 1 */
    int bias;
    zoo_from from;
    float gain; /* factor on the size of the result; 0: 1 */
} zoo_conv;

typedef struct zoo_pool {
    int64_t kernel, stride, pad;
    int ceil_mode;
    int count_include_pad; /* averages */
    int same;              /* the result is ceil(size / stride); `pad` is not used */
} zoo_pool;

/* Batch normalization and what follows it; activation NONE: nothing does. */
typedef struct zoo_norm {
    float epsilon, gain;
    hsched_activation activation;
} zoo_norm;

void zoo_net_init(zoo_net *net, const char *name, uint64_t seed);
/* Hands out the graph, or destroys it and says why. */
hsched_status zoo_net_finish(zoo_net *net, hsched_graph **graph);

/* The input "input", float32 but for tokens. */
hsched_tensor zoo_image(zoo_net *net); /* [1,3,224,224] */
hsched_tensor zoo_square(zoo_net *net, int64_t size);
/* Numbers of tokens, int64 [1,length]. */
hsched_tensor zoo_tokens(zoo_net *net, int64_t length);
hsched_tensor zoo_vector(zoo_net *net, int64_t length);

hsched_tensor zoo_conv2d(zoo_net *net, const char *name, hsched_tensor x,
                         const zoo_conv *conv);
hsched_tensor zoo_fc(zoo_net *net, const char *name, hsched_tensor x, int64_t out,
                     float gain);
/* `gain` multiplies the scale; 1 keeps the size of the values. */
hsched_tensor zoo_batch_norm(zoo_net *net, const char *name, hsched_tensor x,
                             float epsilon, float gain);
/* Convolution, normalization and activation; their names begin with block and part. */
hsched_tensor zoo_unit(zoo_net *net, const char *block, const char *part, hsched_tensor x,
                       const zoo_conv *conv, const zoo_norm *norm);
hsched_tensor zoo_activation(zoo_net *net, const char *name, hsched_tensor x,
                             hsched_activation function);
hsched_tensor zoo_relu(zoo_net *net, const char *name, hsched_tensor x);
hsched_tensor zoo_relu6(zoo_net *net, const char *name, hsched_tensor x);
hsched_tensor zoo_max_pool(zoo_net *net, const char *name, hsched_tensor x,
                           const zoo_pool *pool);
hsched_tensor zoo_average_pool(zoo_net *net, const char *name, hsched_tensor x,
                               const zoo_pool *pool);
hsched_tensor zoo_global_average(zoo_net *net, const char *name, hsched_tensor x);
hsched_tensor zoo_add(zoo_net *net, const char *name, hsched_tensor a, hsched_tensor b);
hsched_tensor zoo_binary(zoo_net *net, const char *name, hsched_binary_kind kind,
                         hsched_tensor a, hsched_tensor b);
/* Along the channels. */
hsched_tensor zoo_concat(zoo_net *net, const char *name, const hsched_tensor *x,
                         uint32_t count);
hsched_tensor zoo_concat_along(zoo_net *net, const char *name, const hsched_tensor *x,
                               uint32_t count, int axis);
hsched_tensor zoo_flatten(zoo_net *net, const char *name, hsched_tensor x);
hsched_tensor zoo_reshape(zoo_net *net, const char *name, hsched_tensor x, uint32_t rank,
                          const int64_t *dims);
hsched_tensor zoo_transpose(zoo_net *net, const char *name, hsched_tensor x,
                            const int64_t *perm);
hsched_tensor zoo_matmul(zoo_net *net, const char *name, hsched_tensor a,
                         hsched_tensor b);
hsched_tensor zoo_softmax(zoo_net *net, const char *name, hsched_tensor x, int axis);
/* Elements `start` to before `end` along one axis. */
hsched_tensor zoo_slice(zoo_net *net, const char *name, hsched_tensor x, int64_t axis,
                        int64_t start, int64_t end);
/* An image twice as high and wide, of the nearest pixels. */
hsched_tensor zoo_upsample(zoo_net *net, const char *name, hsched_tensor x);
/* The same, by a learned transposed convolution of 2x2 with stride 2. */
hsched_tensor zoo_conv_transpose(zoo_net *net, const char *name, hsched_tensor x,
                                 int64_t out);
/* The rows of a table [vocabulary,width] that the tokens name. */
hsched_tensor zoo_embedding(zoo_net *net, const char *name, hsched_tensor tokens,
                            int64_t vocabulary, int64_t width);
/* A recurrent layer over the sequence x [T,N,I], of `hidden` units with biases; y [T,D,N,H],
 * y_h [D,N,H], either of which may be NULL. */
void zoo_recurrent(zoo_net *net, const char *name, hsched_recurrent_kind kind,
                   hsched_recurrent_direction direction, hsched_tensor x, int64_t hidden,
                   hsched_tensor *y, hsched_tensor *y_h);
/* Given numbers rather than random ones. */
hsched_tensor zoo_constant(zoo_net *net, const char *name, uint32_t rank,
                           const int64_t *dims, const float *values);
/* Marks a tensor as an output of the network. */
void zoo_mark(zoo_net *net, hsched_tensor x);
/* Softmax over the classes under the name "output", marked as the network's output. */
void zoo_output(zoo_net *net, hsched_tensor x);
/* Global average, flatten, the fully connected layer `name` and the output. */
void zoo_classifier(zoo_net *net, const char *name, hsched_tensor x, float gain);

/* Channels of a tensor of the graph, 0 after an error. */
int64_t zoo_channels(zoo_net *net, hsched_tensor x);
/* Any dimension of it. */
int64_t zoo_dim(zoo_net *net, hsched_tensor x, uint32_t axis);

/* ---- Shared by the files that these functions are in ---------------------- */

/* Keeps the status of a call; gives the tensor it made. By address: the call is an
 * argument as well, and the order in which arguments are evaluated is open. */
hsched_tensor zoo_made(zoo_net *net, hsched_status status, const hsched_tensor *y);
/* The constant "layer.role", of values that are even in [-radius, radius). */
hsched_tensor zoo_weights(zoo_net *net, const char *layer, const char *role,
                          uint32_t rank, const int64_t *dims, float radius);
/* The same, a vector of values in [middle - radius, middle + radius). */
hsched_tensor zoo_weights_around(zoo_net *net, const char *layer, const char *role,
                                 int64_t count, float middle, float radius);

/* The families: one file each. */
void zoo_alexnet(zoo_net *net);
void zoo_vgg16(zoo_net *net);
void zoo_resnet18(zoo_net *net);
void zoo_resnet50(zoo_net *net);
void zoo_resnet152(zoo_net *net);
void zoo_densenet121(zoo_net *net);
void zoo_densenet201(zoo_net *net);
void zoo_googlenet(zoo_net *net);
void zoo_mobilenet_v1(zoo_net *net);
void zoo_mobilenet_v2(zoo_net *net);
void zoo_squeezenet1_1(zoo_net *net);
void zoo_mlp(zoo_net *net);
void zoo_inception_v3(zoo_net *net);
void zoo_efficientnet_b0(zoo_net *net);
void zoo_shufflenet_v2(zoo_net *net);
void zoo_unet(zoo_net *net);
void zoo_yolov3_tiny(zoo_net *net);
void zoo_yolov3(zoo_net *net);
void zoo_yolov3_tiny_nms(zoo_net *net);
void zoo_yolov3_nms(zoo_net *net);
void zoo_text_bilstm(zoo_net *net);
void zoo_text_gru(zoo_net *net);
void zoo_vit_tiny(zoo_net *net);

#endif
