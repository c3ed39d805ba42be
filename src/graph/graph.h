/*
 * The graph as the user wrote it. Layers stand in the order of their making, which is a
 * topological order, since a layer can only use tensors that exist; the layer that turns
 * an input into an image comes first, so that this stays true. Tensor numbers never
 * change and imply no order.
 *
 * Invariants: every tensor's shape is concrete and checked (symbols stand for their
 * present values), has no dimension below 1 and at most PTRDIFF_MAX bytes; layer
 * attributes are stored with all defaults filled in; names are unique among layers and
 * among tensors, and a layer and its output have the same one.
 */
#ifndef HSI_GRAPH_GRAPH_H
#define HSI_GRAPH_GRAPH_H

#include <hsched/hsched.h>

/* X(NAME, "name") */
#define HSI_LAYER_LIST(X)                                                                \
    X(CONV2D, "conv2d")                                                                  \
    X(FULLY_CONNECTED, "fully_connected")                                                \
    X(MATMUL, "matmul")                                                                  \
    X(POOL2D, "pool2d")                                                                  \
    X(GLOBAL_POOL, "global_pool")                                                        \
    X(BATCH_NORM, "batch_norm")                                                          \
    X(LRN, "lrn")                                                                        \
    X(SOFTMAX, "softmax")                                                                \
    X(NORM, "norm")                                                                      \
    X(ACTIVATION, "activation")                                                          \
    X(BINARY, "binary")                                                                  \
    X(CONCAT, "concat")                                                                  \
    X(SLICE, "slice")                                                                    \
    X(PAD, "pad")                                                                        \
    X(RESHAPE, "reshape")                                                                \
    X(FLATTEN, "flatten")                                                                \
    X(SQUEEZE, "squeeze")                                                                \
    X(UNSQUEEZE, "unsqueeze")                                                            \
    X(TRANSPOSE, "transpose")                                                            \
    X(REDUCE, "reduce")                                                                  \
    X(CONV, "conv")                                                                      \
    X(POOL, "pool")                                                                      \
    X(CONV_TRANSPOSE, "conv_transpose")                                                  \
    X(RESIZE, "resize")                                                                  \
    X(RECURRENT, "recurrent")                                                            \
    X(CAST, "cast")                                                                      \
    X(WHERE, "where")                                                                    \
    X(EXPAND, "expand")                                                                  \
    X(GATHER, "gather")                                                                  \
    X(GATHER_ELEMENTS, "gather_elements")                                                \
    X(GATHER_ND, "gather_nd")                                                            \
    X(SCATTER_ELEMENTS, "scatter_elements")                                              \
    X(SCATTER_ND, "scatter_nd")                                                          \
    X(ARG, "arg")                                                                        \
    X(TOP_K, "top_k")                                                                    \
    X(CUMSUM, "cumsum")                                                                  \
    X(GRID_SAMPLE, "grid_sample")                                                        \
    X(NMS, "non_max_suppression")                                                        \
    X(MAX_POOL_INDICES, "max_pool_indices")                                              \
    X(ROI_ALIGN, "roi_align")                                                            \
    X(IMAGE_INPUT, "image_input")

typedef enum hsi_layer_kind {
#define HSI_LAYER_ENUM(name, text) HSI_LAYER_##name,
    HSI_LAYER_LIST(HSI_LAYER_ENUM)
#undef HSI_LAYER_ENUM
    HSI_LAYER_KINDS
} hsi_layer_kind;

typedef enum hsi_norm_kind {
    HSI_NORM_LAYER = 0,
    HSI_NORM_RMS,
    HSI_NORM_INSTANCE,
    HSI_NORM_GROUP
} hsi_norm_kind;

#define HSI_NO_INDEX UINT32_MAX

typedef struct hsi_graph_tensor {
    char *name;
    hsched_dtype dtype;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    uint32_t symbols[HSCHED_MAX_DIMS]; /* of an input: index into the symbols, or
                                          HSI_NO_INDEX */
    const void *data;                  /* of a constant, else NULL */
    int owns_data;
    uint32_t producer; /* layer, or HSI_NO_INDEX for inputs and constants */
    int is_input;
} hsi_graph_tensor;

typedef union hsi_layer_attrs {
    hsched_conv2d_config conv2d;  /* auto_pad resolved into pads */
    hsched_pool_kind global_pool; /* its kind */
    struct {
        /* auto_pad resolved; the output's size is in its tensor */
        hsched_pool2d_config config;
        hsched_pool_kind kind;
    } pool2d;
    struct {
        float epsilon;
    } batch_norm;
    hsched_lrn_config lrn;
    struct {
        int axis; /* not negative */
        int log;  /* SOFTMAX */
    } softmax;    /* and GATHER, GATHER_ELEMENTS */
    struct {
        hsi_norm_kind kind;
        int axis;       /* LAYER, RMS; not negative */
        int64_t groups; /* GROUP */
        float epsilon;
    } norm;
    struct {
        int axis; /* not negative */
        hsched_arg_kind kind;
        int keep_dims, select_last;
    } arg;
    struct {
        int axis; /* not negative */
        int largest;
        int64_t k;
    } top_k;
    struct {
        int axis; /* not negative */
        int exclusive, reverse, product;
    } cumsum;
    int batch_dims; /* GATHER_ND */
    struct {
        int axis; /* not negative */
        hsched_scatter_kind kind;
    } scatter; /* SCATTER_ELEMENTS, SCATTER_ND */
    hsched_activation activation;
    hsched_binary_kind binary;
    hsched_dtype cast;
    struct {
        int axis; /* not negative */
    } concat;
    struct {
        /* One entry for each dimension of x: a start inside it, and a step, 1 where the
         * output has one element. The counts are the output's dims. */
        int64_t starts[HSCHED_MAX_DIMS], steps[HSCHED_MAX_DIMS];
        /* Only in `given`, where entry k of all four is about dimension axes[k]: */
        int64_t ends[HSCHED_MAX_DIMS], axes[HSCHED_MAX_DIMS];
        uint32_t count;
    } slice;
    struct {
        int64_t before[HSCHED_MAX_DIMS];
        int64_t after[HSCHED_MAX_DIMS];
        hsched_pad_mode mode;
        float value;
    } pad;
    struct {
        uint32_t rank;
        /* As the user gave them: sizes, 0, HSCHED_DIM_INFER, symbols' codes. */
        int64_t dims[HSCHED_MAX_DIMS];
    } reshape; /* and EXPAND */
    struct {
        int axis; /* 0 to the rank of x */
    } flatten;
    struct {
        uint32_t count;
        int64_t axes[HSCHED_MAX_DIMS]; /* SQUEEZE, UNSQUEEZE, REDUCE; not negative,
                                          sorted, all of them written out */
        int keep_dims;
        hsched_reduce_kind reduce; /* REDUCE */
    } axes;
    struct {
        int64_t perm[HSCHED_MAX_DIMS];
    } transpose;
    hsched_recurrent_config recurrent; /* resolved: hidden size, activations */
    hsched_image_config image;
    hsched_conv_config conv; /* 1 or 3 spatial dimensions; auto_pad resolved into pads */
    hsched_conv_transpose_config conv_transpose; /* auto_pad and output_sizes likewise */
    struct {
        /* 1 or 3 spatial dimensions; as in pool2d */
        hsched_pool_config config;
        hsched_pool_kind kind;
        int column_major; /* MAX_POOL_INDICES, which may have 2 of them as well */
    } pool;
    hsched_resize_config resize; /* all scales set; the output's size is in its tensor */
    hsched_grid_sample_config grid_sample;
    hsched_roi_align_config roi_align; /* all defaults filled in */
    hsched_nms_config nms;             /* max_per_class at most the number of boxes */
} hsi_layer_attrs;

/*
 * Inputs by place, HSCHED_NO_TENSOR where an optional one is absent: conv2d, conv,
 * conv_transpose, fully_connected x, weights, bias; batch_norm x, scale, shift, mean,
 * variance; norm x, scale, bias; matmul, binary a, b; recurrent x, weights, recurrent
 * weights, bias, lengths, initial h and c; where condition, a, b; concat all; others x.
 * Every layer has one output.
 */
typedef struct hsi_layer {
    hsi_layer_kind kind;
    char *name;
    hsched_tensor *inputs;
    uint32_t input_count;
    hsched_tensor output;
    hsi_layer_attrs attrs;
    hsi_layer_attrs given; /* before symbols, auto_pad and negative axes were resolved */
} hsi_layer;

typedef struct hsi_symbol {
    char *name;
    int64_t value;
    int was_set; /* by the user, not by default */
} hsi_symbol;

/* Memory that constants point into (a mapped file): freed with the last graph or model
 * using it. */
typedef struct hsi_source hsi_source;
struct hsi_source {
    int references; /* atomic */
    void (*destroy)(hsi_source *source);
    hsi_source *next; /* in the graph's list */
};

struct hsched_graph {
    char *name;
    hsi_graph_tensor *tensors;
    uint32_t tensor_count, tensor_capacity;
    hsi_layer *layers;
    uint32_t layer_count, layer_capacity;
    hsched_tensor *inputs;
    uint32_t input_count, input_capacity;
    hsched_tensor *outputs;
    uint32_t output_count, output_capacity;
    hsi_symbol *symbols;
    uint32_t symbol_count, symbol_capacity;
    hsi_source *sources;
    struct hsi_name_index *name_index; /* name -> tensor */
    int frozen;                        /* no call may change it any more */
    int borrows; /* a specialised copy: names, constants, the layers' inputs and
                    the index belong to the graph it was made from */
};

/* The code of symbol k wherever a dimension is asked for; HSCHED_DIM_INFER is -1. */
#define HSI_SYMBOL_CODE(k)      (-2 - (int64_t)(k))
#define HSI_IS_SYMBOL_CODE(dim) ((dim) <= -2)
#define HSI_SYMBOL_INDEX(dim)   ((uint32_t)(-2 - (dim)))

const char *hsi_layer_kind_name(hsi_layer_kind kind);

/* Hands a source, with the caller's reference, to the graph, which releases it in
 * destroy. A source is in one graph's list at most. Not for frozen graphs. */
void hsi_graph_add_source(hsched_graph *graph, hsi_source *source);
void hsi_source_retain(hsi_source *source);
void hsi_source_release(hsi_source *source); /* NULL does nothing */

/* The code of a symbol, made with value 1 and was_set 0 if the graph does not have it
 * yet. */
hsched_status hsi_graph_declare_symbol(hsched_graph *graph, const char *name,
                                       int64_t *dim);

/*
 * A copy of the graph with other symbol values: shapes inferred and checked anew.
 * Constants, names and sources are shared with `graph` by reference: data is borrowed, so
 * `graph` must outlive the copy. Symbols neither in `symbols` nor set before are logged
 * with the value they have. An unknown name in `symbols` is HSCHED_ERROR_NOT_FOUND. The
 * copy is frozen; its numbers are those of `graph`. Any thread, as long as nobody changes
 * `graph`.
 */
hsched_status hsi_graph_specialise(const hsched_graph *graph,
                                   const hsched_symbol *symbols, uint32_t symbol_count,
                                   hsched_graph **copy);

/* Multiply-accumulates of a layer, 0 for those that have none (UINT64_MAX if they do not
 * fit). */
uint64_t hsi_layer_macs(const hsched_graph *graph, const hsi_layer *layer);

#endif
