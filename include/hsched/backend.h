/*
 * The interface between libhsched and what executes steps: CPU kernels, a GPU, a simulated device.
 *
 * SPDX-License-Identifier: MIT
 *
 * Two styles. Steps of a host-executed device run on the library's worker threads, in parts
 * (run_part). A device with queues gets whole jobs and works them off by itself (queue_submit).
 *
 * Four levels: a backend (code) has devices (hardware); a device prepares sections (packs weights,
 * chooses kernels) and executes their steps. Where a section runs is decided elsewhere: a backend
 * only says what it supports.
 *
 * Rules for every slot of the table, unless its comment says otherwise:
 * - No lock of the library is held. The slot may block for the time of its own work only.
 * - Errors are returned as a status after set_error() was called with cause, place and next step.
 * - Tensors are described by logical shape and strides in elements; nothing else says how they lie
 *   in memory. Images are channels-last inside the library: dims N,C,H,W with strides
 *   H*W*p, 1, W*p, p, where the pixel stride p >= C is larger than C in a slice of a joint tensor.
 */
#ifndef HSCHED_BACKEND_H
#define HSCHED_BACKEND_H

#include <hsched/hsched.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HSCHED_BACKEND_ABI 6

/* ---- Steps ---------------------------------------------------------------- */

/*
 * X(NAME, value, "name", class). What each computes, with the operands in[0..] and out:
 *
 * CONV2D     out = act(conv(in[0], in[1]) + in[2] + in[3]); x [N,C,H,W] and out [N,O,H',W'] and the
 *            residual in[3] (out's shape; may be absent) are channels-last with any pixel stride;
 *            weights in[1] [O,C/groups,kh,kw] dense, bias in[2] [O] (may be absent), constants.
 *            If out_aliases == 3, out and in[3] are the same memory with the same strides.
 * FC         out = act(in[0] * in[1]^T + in[2]); x [M,K], out [M,O]: inner stride 1, any row
 *            stride; weights in[1] [O,K] dense and bias in[2] [O] (may be absent) are constants.
 * MATMUL     out = act(in[0] * in[1]); [...,M,K] x [...,K,N]; both have out's rank; leading strides
 *            are 0 where an operand is broadcast; any strides elsewhere; out: inner stride 1, rows
 *            that do not overlap, any other strides. All float32, or float64 with act NONE.
 * POOL2D     x, out channels-last with any pixel stride. pads and the size of out are explicit.
 * SCALE      out = act(in[0] * in[1][c] + in[2][c]), c the index along dimension 1; in[1] and in[2]
 *            are constants [C]; x, out have any strides (channels-last is the fast case).
 * LRN        across dimension 1; any strides (channels-last is the fast case).
 * SOFTMAX    along `axis`, or its logarithm (log); any strides (inner stride 1 along the axis is
 *            the fast case). float32 or float64.
 * UNARY      out = act(in[0]); any strides, same shapes. May be in place (out_aliases == 0).
 *            float32, float64, or integers for the activations that take them (hsched.h).
 * BINARY     out = act(op(in[0], in[1])); operands are given in out's shape, stride 0 where
 *            broadcast; any strides. May be in place (out_aliases 0 or 1). Types as in hsched.h:
 *            both inputs are of one type, out of the same, or bool for comparisons; act is NONE
 *            unless out is float32.
 * COPY       out = in[0]; same shape and dtype (any dtype), any strides: concat, slice, transpose
 *            and layout changes are all this.
 * PAD        out's element i is in[0]'s i - before, or as the mode says; any type, any strides.
 * REDUCE     MEAN, SUM, MAX, MIN or PROD over the dimensions in which out's size is 1 and in[0]'s
 *            is not; both of one type, float32, float64, int64, int32 or, MAX and MIN, uint8, int8;
 *            any strides.
 * RESIZE     out's element i is interpolated from in[0], same rank, dimension by dimension, as
 *            hsched_resize_config says, with all scales set; lengths: in[0]'s sizes times the
 *            scales, not rounded. NEAREST: any dtype; any strides (channels-last is a fast case).
 * GRID_SAMPLE  out [N,C,...] is in[0] [N,C,...], of 2 or 3 more dimensions, at the places that
 *            in[1] [N,out's further ones,2 or 3] names, one coordinate per dimension of in[0], the
 *            last dimension's first: -1 to 1 as hsched_grid_sample_config says, or, if pixels, in
 *            elements, interpolated likewise. What has no weight does not count. Any strides
 *            (channels-last is a fast case).
 * NMS        out [B,C,M], int64: for every class the indices of at most M boxes of in[0] [B,N,4],
 *            those of the largest scores in[1] [B,C,N] above the threshold, in this order, of equal
 *            ones the first; -1 behind them. A box that shares more of the union with a chosen one
 *            than iou_threshold is left out. The numbers are those of two opposite corners, (y, x)
 *            each, or, `center`, x, y, width, height; a score that is not a number is none. Any
 *            strides.
 * POOL_INDEX  out's element, int64, is the number of the largest element of in[0] in a window of
 *            kernel taps, `dilations` apart, that begins at out's index times strides, less before:
 *            of equal ones the first, a not-a-number being larger than all; -1 for a window of no
 *            element. in[0] [N,C,...] and out have 1 to 3 more dimensions; all of in[0] is counted
 *            row by row or, column_major, these so that the first of them changes fastest. Any
 *            strides.
 * ROI_ALIGN  out [R,C,h,w] is, for each of R regions of in[0] [N,C,H,W], h*w bins: the mean of a
 *            bin's samples or, `max`, the largest of their four weighted elements. in[1] [R,4] are
 *            the regions' corners (x, y, x, y), times `scale` in elements of in[0], less a half if
 *            half_pixel; else they are 1 long at least. in[2] [R], int64 or int32, are their
 *            images; of one that is not there all is 0. A bin has sampling_ratio samples along each
 *            side or, if that is 0, as many as it has elements, rounded up; one beyond the elements
 *            around in[0] is 0. Any strides (channels-last is a fast case).
 * IMAGE      in[0] uint8 [N,H,W,C] dense; out float32 [N,C,H,W], any strides:
 *            out[n,c,h,w] = (in[n,h,w,c'] - mean[c]) * scale[c],  c' = c
 *            or, swapped (C >= 3), 2 - c for c < 3.
 * CAST       out = in[0] as out's type, by the rules of hsched_graph_add_cast; same shape, any
 *            strides, any two different types.
 * WHERE      out = in[0] ? in[1] : in[2]; in[0] bool, the others of out's type, which may be any;
 *            given in out's shape, stride 0 where broadcast; any strides. May be in place
 *            (out_aliases 1 or 2, or 0 for bool).
 * GATHER     out's element i is in[0]'s i with in[1]'s i in place of its index along `axis`: int64
 *            or int32, given in out's shape (stride 0 where broadcast), negative ones from the end;
 *            one that is out of range gives zeros. in[0] has out's type, which may be any, and
 *            rank, and in every other dimension at least as many elements; any strides.
 * SCATTER    out is in[0], but that for every element of in[2], in order, the one of out with the
 *            same index but for that along `axis`, which in[1] has at that place, becomes it, or
 *            the sum ... of both, as u.scatter.kind says. in[1] is given in in[2]'s shape (stride 0
 *            where broadcast), int64 or int32, negative from the end; an element whose index is out
 *            of range is left out. in[0] has out's shape, in[2] its rank and in every other
 *            dimension no more elements; all of one type, any for SET, else float32, float64,
 *            int64, int32, uint8 or int8; of MAX and MIN a not-a-number is the result. Any strides;
 *            may be in place (out_aliases == 0).
 * ARG        out's element is the index along `axis` of the largest element of in[0] there, or the
 *            smallest: of several the first, or the last; a not-a-number counts as more, or less,
 *            than all. Along the axis out has 1 element, else as many as in[0], which is float32,
 *            float64, int64, int32, uint8 or int8; out is int64; any strides.
 * CUMSUM     out's element is the sum of in[0]'s from the first along `axis` up to that one, or to
 *            the one before it (exclusive), or from the last one on (reverse); or the product
 *            (product). Both float32, float64, int64 or int32, of one shape; integers wrap around.
 *            Any strides.
 * NORM       out = act((in[0] - mean) / sqrt(variance + epsilon) * in[1] + in[2]), mean and
 *            variance over the dimensions from `axis` on, of which `axis` counts as u.norm.groups
 *            ones that are normalised by themselves (1: as a whole); with `rms` nothing is taken
 *            away, and the variance is the mean of the squares. in[1] and in[2] (may be absent) are
 *            given in out's shape, stride 0 where broadcast; any strides. All float32, or float64
 *            with act NONE.
 * TOP_K      out's elements along `axis` are the indices of as many elements of in[0], the largest
 *            first, or the smallest: of equal ones the first; a not-a-number counts as the largest.
 *            Other dimensions and types as those of ARG; any strides.
 * TUPLE_INDEX  out's element is the place, counted row by row in a tensor of u.tuple_index.dims,
 *            that the elements of in[0] along its last dimension name: int64 or int32, one for each
 *            of dims, negative ones from the end; where one is out of range it is how many places
 *            there are. out is int64 and has 1 in the last dimension, else in[0]'s; any strides.
 * RECURRENT  LSTM, GRU or RNN over a sequence; G = 4, 3, 1 gates in ONNX's order, D directions.
 *            x in[0] [T,N,I], weights in[1] [D,G*H,I], recurrent weights in[2] [D,G*H,H], bias
 *            in[3] [D,2*G*H] (may be absent), int32 lengths in[4] [N] (may be absent; taken as
 *            0..T), initial hidden state in[5] and, LSTM, cell state in[6] [D,N,H] (absent: 0);
 *            all dense, in[1..3] constants. out [T+S,D,N,H], dense: T rows of hidden states, 0
 *            beyond a sequence's length, then the last hidden state and, LSTM (S = 2, else 1),
 *            the last cell state. A reverse direction goes from a sequence's end to its start.
 * ROTARY     out = in[0] with pairs turned: of each two elements a, b along `axis`, where out has
 *            2, the first becomes a * in[1] - b * in[2], the second b * in[1] + a * in[2]. in[0]
 *            has out's shape; in[1], in[2] (cosines, sines) are given in it, stride 0 where
 *            broadcast; any strides. May be in place (out_aliases == 0).
 * SEPARABLE_CONV2D  a depthwise convolution and the pointwise one behind it, as two CONV2D would
 *            compute them: t = depthwise_act(conv(in[0], in[1]) + in[2]), of groups == C, then
 *            out = act(conv(t, in[3]) + in[4] + in[5]). x [N,C,H,W], out [N,O,H',W'] and the
 *            residual in[5] (out's shape; may be absent) are channels-last with any pixel stride;
 *            weights in[1] [C,1,kh,kw] and in[3] [O,C,1,1] dense, biases in[2] [C] and in[4] [O]
 *            (may be absent), constants. If out_aliases == 5, out and in[5] are the same memory
 *            with the same strides.
 *
 * Floats are HSCHED_FLOAT32 where no other type is named. Constants that a backend
 * packs, in[1] and in[2] of CONV2D, FC and SCALE, in[1] to in[3] of RECURRENT and in[1] to in[4] of
 * SEPARABLE_CONV2D, come through hsched_operand.constant and are NULL in the operand table of
 * run_part; any other constant operand is in that table like a computed one.
 */
#define HSCHED_STEP_LIST(X)                                 \
    X(CONV2D, 1, "conv2d", HSCHED_CLASS_CONVOLUTION)        \
    X(FC, 2, "fully_connected", HSCHED_CLASS_MATMUL)        \
    X(MATMUL, 3, "matmul", HSCHED_CLASS_MATMUL)             \
    X(POOL2D, 4, "pool2d", HSCHED_CLASS_POOLING)            \
    X(SCALE, 5, "scale", HSCHED_CLASS_NORMALIZATION)        \
    X(LRN, 6, "lrn", HSCHED_CLASS_NORMALIZATION)            \
    X(SOFTMAX, 7, "softmax", HSCHED_CLASS_NORMALIZATION)    \
    X(UNARY, 8, "activation", HSCHED_CLASS_ELEMENTWISE)     \
    X(BINARY, 9, "binary", HSCHED_CLASS_ELEMENTWISE)        \
    X(COPY, 10, "copy", HSCHED_CLASS_DATA)                  \
    X(PAD, 11, "pad", HSCHED_CLASS_DATA)                    \
    X(REDUCE, 12, "reduce", HSCHED_CLASS_DATA)              \
    X(IMAGE, 13, "image_input", HSCHED_CLASS_DATA)          \
    X(CAST, 14, "cast", HSCHED_CLASS_ELEMENTWISE)           \
    X(WHERE, 15, "where", HSCHED_CLASS_ELEMENTWISE)         \
    X(GATHER, 16, "gather", HSCHED_CLASS_DATA)              \
    X(SCATTER, 17, "scatter", HSCHED_CLASS_DATA)            \
    X(ARG, 18, "arg", HSCHED_CLASS_DATA)                    \
    X(CUMSUM, 19, "cumsum", HSCHED_CLASS_DATA)              \
    X(TOP_K, 20, "top_k", HSCHED_CLASS_DATA)                \
    X(NORM, 21, "norm", HSCHED_CLASS_NORMALIZATION)         \
    X(RESIZE, 22, "resize", HSCHED_CLASS_DATA)              \
    X(RECURRENT, 23, "recurrent", HSCHED_CLASS_MATMUL)      \
    X(GRID_SAMPLE, 24, "grid_sample", HSCHED_CLASS_DATA)    \
    X(TUPLE_INDEX, 26, "tuple_index", HSCHED_CLASS_DATA) \
    X(NMS, 27, "nms", HSCHED_CLASS_DATA) \
    X(POOL_INDEX, 28, "pool_index", HSCHED_CLASS_POOLING) \
    X(ROI_ALIGN, 31, "roi_align", HSCHED_CLASS_POOLING) \
    X(ROTARY, 32, "rotary", HSCHED_CLASS_ELEMENTWISE) \
    X(SEPARABLE_CONV2D, 33, "separable_conv2d", HSCHED_CLASS_CONVOLUTION)

typedef enum hsched_step_kind {
#define HSCHED_STEP_ENUM(name, value, text, layer_class) HSCHED_STEP_##name = value,
    HSCHED_STEP_LIST(HSCHED_STEP_ENUM)
#undef HSCHED_STEP_ENUM
        HSCHED_STEP_FORCE_INT32 = 0x7fffffff
} hsched_step_kind;

/* "conv2d", ...; "unknown" for what is none. */
static inline const char *hsched_step_kind_name(hsched_step_kind kind)
{
    switch (kind) {
#define HSCHED_STEP_TEXT(name, value, text, layer_class) \
    case HSCHED_STEP_##name:                             \
        return text;
        HSCHED_STEP_LIST(HSCHED_STEP_TEXT)
#undef HSCHED_STEP_TEXT
    case HSCHED_STEP_FORCE_INT32:
        break;
    }
    return "unknown";
}

/* HSCHED_CLASS_...; 0 for what is none. */
static inline uint32_t hsched_step_kind_class(hsched_step_kind kind)
{
    switch (kind) {
#define HSCHED_STEP_CLASS(name, value, text, layer_class) \
    case HSCHED_STEP_##name:                              \
        return layer_class;
        HSCHED_STEP_LIST(HSCHED_STEP_CLASS)
#undef HSCHED_STEP_CLASS
    case HSCHED_STEP_FORCE_INT32:
        break;
    }
    return 0;
}

/* What is known of a tensor of floats: every element is step * l with a whole l from lowest to
 * lowest + 255, as after FAKE_QUANTIZE, or not a number. step 0: nothing is known. */
typedef struct hsched_levels {
    float step, lowest;
} hsched_levels;

typedef struct hsched_operand {
    hsched_dtype dtype; /* HSCHED_DTYPE_NONE: absent */
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];    /* logical */
    int64_t strides[HSCHED_MAX_DIMS]; /* in elements; may be 0 or negative for inputs */
    const void *constant; /* weights, valid during prepare only unless constants_stay; else NULL */
    hsched_levels levels; /* of a tensor that is computed */
} hsched_operand;

#define HSCHED_STEP_MAX_INPUTS 8

typedef struct hsched_step {
    size_t struct_size;
    hsched_step_kind kind;
    const char *name; /* "conv1+bn1+relu1" */
    uint32_t input_count; /* places in in[] in use, absent ones included */
    hsched_operand in[HSCHED_STEP_MAX_INPUTS];
    hsched_operand out;
    int out_aliases; /* the input whose memory out shares, or -1 */
    hsched_activation act;
    uint32_t parts;  /* run_part gets part 0..parts-1; the backend may lower it in prepare */
    uint64_t macs;
    union {
        struct {
            int64_t strides[2], pads[4], dilations[2], groups;
        } conv2d;
        struct {
            hsched_pool_kind kind;
            int64_t kernel[2], strides[2], pads[4], dilations[2];
            int count_include_pad;
        } pool2d;
        struct {
            int64_t size;
            float alpha, beta, bias;
        } lrn;
        struct {
            uint32_t axis;
            int log;
        } softmax;
        struct {
            hsched_binary_kind kind;
        } binary;
        struct {
            int64_t before[HSCHED_MAX_DIMS];
            hsched_pad_mode mode;
            float value;
        } pad;
        struct {
            hsched_resize_mode mode;
            hsched_resize_coordinates coordinates;
            hsched_resize_rounding rounding;
            int exclude_outside, antialias;
            float cubic_a, extrapolation_value;
            float scales[HSCHED_MAX_DIMS], lengths[HSCHED_MAX_DIMS];
            float roi_start[HSCHED_MAX_DIMS], roi_end[HSCHED_MAX_DIMS];
        } resize;
        struct {
            hsched_resize_mode mode;
            hsched_grid_padding padding;
            int align_corners, pixels;
        } grid_sample;
        struct {
            float iou_threshold, score_threshold;
            int center;
        } nms;
        struct {
            int64_t kernel[3], strides[3], before[3], dilations[3];
            int column_major;
        } pool_index;
        struct {
            int max, half_pixel;
            int64_t sampling_ratio;
            float scale;
        } roi_align;
        struct {
            hsched_reduce_kind kind;
        } reduce;
        struct {
            uint32_t axis;
        } gather;
        struct {
            uint32_t axis;
            int smallest, last;
        } arg;
        struct {
            uint32_t axis;
            hsched_scatter_kind kind;
        } scatter;
        struct {
            int64_t dims[HSCHED_MAX_DIMS];
        } tuple_index;
        struct {
            uint32_t axis;
            int smallest;
        } top_k;
        struct {
            uint32_t axis;
            int exclusive, reverse, product;
        } cumsum;
        struct {
            uint32_t axis;
            int64_t groups;
            float epsilon;
            int rms;
        } norm;
        struct {
            uint32_t axis;
        } rotary;
        struct { /* of the depthwise one */
            int64_t strides[2], pads[4], dilations[2];
            hsched_activation depthwise_act;
        } separable_conv2d;
        struct {
            float mean[4], scale[4];
            int swap_red_blue;
        } image;
        struct {
            hsched_recurrent_kind kind;
            hsched_recurrent_direction direction;
            float clip;              /* of what goes into the gates' activations; 0: none */
            int linear_before_reset; /* GRU */
            int input_forget;        /* LSTM: the forget gate is 1 - the input gate */
            hsched_activation activations[2][3]; /* per direction: f, g, h of ONNX */
        } recurrent;
    } u;
} hsched_step;

/* ---- Where operands lie, for devices with memory of their own -------------- */

typedef enum hsched_storage {
    HSCHED_STORAGE_NONE = 0, /* an absent operand, or a constant the backend packs */
    HSCHED_STORAGE_ARENA,    /* in the slot's arena */
    HSCHED_STORAGE_CONSTANT, /* a constant; the operand's `constant` is set */
    HSCHED_STORAGE_INPUT,    /* in the memory bound to input `index` of the model */
    HSCHED_STORAGE_OUTPUT    /* in the memory bound to output `index` */
} hsched_storage;

/* Arena: the operand is part of the block [root, root + root_bytes) of the arena. Blocks that are
 * in use at the same time do not overlap. */
typedef struct hsched_place {
    hsched_storage storage;
    uint32_t index;
    size_t offset;     /* bytes from the arena's or the bound memory's start to element 0 */
    size_t root;       /* arena: where the block begins; else 0 */
    size_t root_bytes; /* arena: its size */
} hsched_place;

typedef struct hsched_step_places {
    hsched_place in[HSCHED_STEP_MAX_INPUTS], out;
    /* The steps (indices) whose results in[k] consists of, where it is no input or constant. */
    const uint32_t *writers[HSCHED_STEP_MAX_INPUTS];
    uint32_t writer_count[HSCHED_STEP_MAX_INPUTS];
    int here;      /* the section is prepared for this device; other steps are only described */
    int floats;    /* the section may be executed elsewhere, too, which is decided run by run;
                      of all steps or of none */
    uint32_t section; /* a job holds whole sections */
    /* A step that is not here, or is in another section that floats, reads the result: it must be
     * in host memory, too, when a job that computes it ends, but for a job that has all such
     * readers in itself. What a job reads that was computed outside of it, by a step that is not
     * here or floats, is there when the job begins. */
    int exported;
} hsched_step_places;

/* ---- The table ------------------------------------------------------------ */

/* What the library does for a backend. Valid as long as the backend is loaded; any thread. */
typedef struct hsched_backend_host {
    size_t struct_size;
    /* Sets this thread's error detail and returns `status`. */
    hsched_status (*set_error)(hsched_status status, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
    void (*log)(hsched_log_level level, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
    /* Counted heap memory, aligned to 64 bytes, zeroed; NULL when there is none. */
    void *(*alloc)(size_t size);
    void (*free)(void *pointer);
    size_t (*dtype_size)(hsched_dtype dtype); /* hsched_dtype_size */
} hsched_backend_host;

typedef struct hsched_device_config {
    size_t struct_size;
    const hsched_backend_host *host;
    uint32_t workers;          /* threads that will call run_part at the same time */
    uint32_t cpu_libraries;    /* HSCHED_LIBRARY_...; cpu only */
    int reference;             /* cpu only: plain kernels */
    int keep_openblas_threads; /* cpu only */
    const hsched_sim_config *sim; /* sim only */
    /* Devices with queues only. */
    int ordinal;               /* which of the backend's devices */
    uint64_t memory_limit;     /* 0: none */
    hsched_gpu_pool pool;
    uint32_t sm_count;         /* 0: all */
    hsched_gpu_tuning tuning;
    const char *cache_dir;     /* NULL: the default */
    int no_graphs;             /* jobs are not captured as graphs */
    hsched_cpu_tuning cpu_tuning; /* cpu only; its choices lie in cache_dir, too */
} hsched_device_config;

/* Some of what section_prepare does. Not told to fail: its caller looks. Makes no error detail. */
typedef void hsched_piece(void *user, uint32_t index);

typedef struct hsched_section_config {
    size_t struct_size;
    hsched_step *steps;   /* in execution order; the backend may lower steps[i].parts; the array
                             stays valid until section_destroy, but for operand constants */
    uint32_t step_count;
    int constants_stay;   /* operand constants stay valid until section_destroy */
    /* Devices with queues only: they prepare a whole model at once, and execute those of its
     * sections that are `here`. */
    const hsched_step_places *places; /* one per step; valid during prepare */
    size_t arena_size;
    uint32_t input_count, output_count;
    const size_t *input_bytes, *output_bytes; /* as the user binds them; valid during prepare */
    const hsched_dtype *input_types, *output_types;
    hsched_math math;     /* for all devices */
    int deterministic;
    uint32_t max_batch;   /* runs that may be joined; the backend may lower it (joinable) */
    /* Optional (NULL: none help). Calls piece(user, index) once for each index below count, in any
     * order, on this thread and, while the CPU has no runs to execute, on idle workers as well;
     * returns when all are done. A worker is not there for a run until its piece is done: one
     * should take a millisecond, or a few. Valid during prepare; one call at a time. */
    void (*share_pieces)(void *workers, uint32_t count, hsched_piece *piece, void *user);
    void *workers;
    int keep_packed;      /* HSCHED_MODEL_CACHE_WEIGHTS: packed weights may be kept on disk */
} hsched_section_config;

/* Memory bound to an input or output, or an arena. */
typedef struct hsched_memory {
    void *host;      /* the CPU's address; NULL: the CPU cannot reach it */
    uint64_t device; /* the address that devices of the backend use; 0: they cannot reach it */
    void *handle;    /* the backend's own */
} hsched_memory;

/* A job for a queue: consecutive steps, for one run or for several joined ones. */
typedef struct hsched_queue_job {
    size_t struct_size;
    uint32_t first_step, step_count;
    uint32_t members;
    const hsched_memory *const *inputs;  /* [member][input of the model] */
    const hsched_memory *const *outputs; /* [member][output] */
    /* The host's arena, where tensors cross; NULL: none do. Where sections float, that is said of a
     * run whose jobs are all for this slot, one after the other: what a job of some of the steps
     * leaves in the slot is there for the next one, and nothing is exported. */
    const hsched_memory *arena;
    void *const *wait_events;   /* [member]: an event of the user's or NULL; NULL: none at all */
    int priority;               /* the highest of the members' runs */
} hsched_queue_job;

/* Filled in by queue_stats. */
typedef struct hsched_queue_stats {
    size_t struct_size;
    uint64_t memory_bytes, memory_peak, allocations, tunings, captures, graph_launches,
        direct_launches, evictions, staged_bytes;
} hsched_queue_stats;

enum {
    HSCHED_METERS_WATTS = 1u << 0,
    HSCHED_METERS_JOULES = 1u << 1,
    HSCHED_METERS_USE = 1u << 2
};

/* Filled in by read_meters. */
typedef struct hsched_meters {
    size_t struct_size;
    uint32_t known;   /* bits of HSCHED_METERS_...: which of the following */
    double watts;     /* now, or lately */
    double joules;    /* since some time in the past */
    double use;       /* the share of the time, lately, in which anything executed there: 0 to 1 */
    const char *name; /* "NVML"; lives as long as the device */
} hsched_meters;

typedef struct hsched_backend_device hsched_backend_device;   /* the backend's own */
typedef struct hsched_backend_section hsched_backend_section; /* the backend's own */
typedef struct hsched_backend_slot hsched_backend_slot;       /* the backend's own */

typedef struct hsched_backend {
    size_t struct_size;
    uint32_t abi; /* HSCHED_BACKEND_ABI */
    const char *name;
    hsched_device_kind kind;

    /* Required. One line: libraries and versions, or what is missing; *available says whether
     * device_open can succeed. Any thread. */
    const char *(*describe)(int *available);

    /* Required. Opens a device. Called once per runtime. */
    hsched_status (*device_open)(const hsched_device_config *config,
                                 hsched_backend_device **device);
    /* Required. All sections of the device are destroyed before. */
    void (*device_close)(hsched_backend_device *device);
    /* Required. Strings live until device_close. */
    void (*device_info)(const hsched_backend_device *device, hsched_device_info *info);

    /* Required. 1 if this device can execute the step. Any thread. */
    int (*supports)(const hsched_backend_device *device, const hsched_step *step);

    /* Required. Chooses kernels, packs constants. Afterwards immutable; used by any thread. */
    hsched_status (*section_prepare)(hsched_backend_device *device, hsched_section_config *config,
                                     hsched_backend_section **section);
    void (*section_destroy)(hsched_backend_section *section);
    /* Required. The kernel chosen for a step, for people; lives as long as the section. */
    const char *(*kernel_name)(const hsched_backend_section *section, uint32_t step);
    /* Required. Bytes of packed weights that the section holds. */
    uint64_t (*weight_bytes)(const hsched_backend_section *section);
    /* Optional (NULL: none). Bytes of scratch memory that run_part needs for any step; it belongs
     * to the calling thread, so steps and parts that run at the same time never share it. */
    size_t (*scratch_size)(const hsched_backend_section *section);

    /* Required. What one execution of the section needs besides operands and scratch: library
     * objects that must not be shared. A slot is used by one execution at a time (several threads
     * in it, each with a different part or step). May call the heap; the caller pools slots. */
    hsched_status (*slot_create)(hsched_backend_section *section, hsched_backend_slot **slot);
    void (*slot_destroy)(hsched_backend_slot *slot);

    /*
     * Required for devices whose steps run on the caller's thread. Computes one part
     * of a step. operands: in[0..input_count-1], then out; addresses of their first elements
     * (those with index 0 in every dimension), NULL for packed constants and absent ones. They are
     * aligned to their element type only. Parts of a step may run at the same time on several
     * threads and in any order; the result does not depend on that. `scratch` has scratch_size
     * bytes, aligned to 64. No heap calls of the backend's own.
     */
    hsched_status (*run_part)(hsched_backend_slot *slot, uint32_t step, void *const *operands,
                              uint32_t part, void *scratch);

    /* Optional. Called on the worker's thread before (began = 1) and after (0) the steps of a
     * section, for devices that account for whole sections (sim). HSCHED_ERROR_DEVICE: the device
     * is lost. HSCHED_OK after it: the section's outputs are whole, and in host memory. */
    hsched_status (*job_boundary)(hsched_backend_slot *slot, int began);

    /* ---- Devices with queues ----
     *
     * They execute jobs asynchronously, in numbered lanes (0 to device_info's workers - 1), one job
     * at a time in each. queue_submit not NULL says that a backend is of this kind; then all of the
     * following are required, and slot_create, scratch_size, run_part and job_boundary are not
     * used. queue_submit of one device is called by one thread at a time, which may be a different
     * one each time; all else by any thread, also while others are in a call. What concerns one
     * slot (queue_submit, queue_finish, queue_event, queue_slot_idle) comes in that order, never
     * at the same time.
     */

    /* How many devices there are; ordinals are 0 to count - 1. Any thread. */
    uint32_t (*device_count)(void);
    /* 1 if runs can be joined: section_prepare found that batches keep members apart. */
    int (*joinable)(const hsched_backend_section *section);
    /* A slot for jobs of so many members; section_config.max_batch at most. OUT_OF_MEMORY: the
     * caller gives up idle slots and tries again, or has the CPU do the work. */
    hsched_status (*queue_slot_create)(hsched_backend_section *section, uint32_t members,
                                       hsched_backend_slot **slot);
    /* Batches: `joined` runs are about to start as one job, and `others` of their model, which
     * wait or are executing, might have been with them. *members: the slot's size to use for
     * them (>= joined). Returns the largest batch that is ready; a size that seems worth while
     * is noted, for background. Any thread. */
    uint32_t (*queue_batch)(hsched_backend_section *section, uint32_t joined, uint32_t others,
                            uint32_t *members);
    /* The run that used the slot has ended: what it holds is not needed any more. Takes no
     * lock that is held for long. Any thread. */
    void (*queue_slot_idle)(hsched_backend_slot *slot);
    /* Starts a job on a lane and returns without waiting for it. Failure: nothing was started. */
    hsched_status (*queue_submit)(hsched_backend_slot *slot, const hsched_queue_job *job,
                                  uint32_t lane);
    /* Has the job of this lane ended? *done; not HSCHED_OK: the device is lost. Cheap: it is
     * called in a loop. Any thread. */
    hsched_status (*queue_poll)(hsched_backend_device *device, uint32_t lane, int *done);
    /* After it has ended well: brings results to members' memory that the device cannot reach.
     * Not called with a lock held. */
    hsched_status (*queue_finish)(hsched_backend_slot *slot, const hsched_queue_job *job);
    /* An event (the backend's kind: a CUevent) that the job's end is marked with; valid until the
     * slot is used again. */
    void *(*queue_event)(hsched_backend_slot *slot);
    /* Waits for an event of the user's. Any thread. */
    hsched_status (*wait_event)(hsched_backend_device *device, void *event);
    /* Background work, on a thread of the library's own: does one piece (captures a graph, tunes a
     * step) and says whether it did anything; called until it did not, and again when
     * has_background says so. */
    hsched_status (*background)(hsched_backend_device *device, int *did);
    int (*has_background)(const hsched_backend_device *device); /* cheap */
    void (*background_stop)(hsched_backend_device *device); /* a piece under way ends soon */
    void (*queue_stats)(hsched_backend_device *device, hsched_queue_stats *stats);

    /* Memory; any thread. `on_device`: in the device's own memory, else in the host's, reachable by
     * all devices of the backend. register: the user's host memory; UNSUPPORTED: it cannot be. */
    hsched_status (*memory_create)(hsched_backend_device *device, size_t size, int on_device,
                                   hsched_memory *memory);
    hsched_status (*memory_register)(hsched_backend_device *device, void *host, size_t size,
                                     hsched_memory *memory);
    void (*memory_destroy)(hsched_backend_device *device, hsched_memory *memory);
    /* Copies between the device's memory and the host's, and waits. */
    hsched_status (*memory_copy)(hsched_backend_device *device, uint64_t address, void *host,
                                 size_t size, int to_device);

    /* ---- Any device ---- */

    /* Optional (NULL: none). What the hardware's own meters say of the device, all programs'
     * doings included; what it cannot measure is not in `known`, which is no error. Any thread, one
     * at a time: the lock of the runtime's meters is held, which none but their readers wait for.
     * May block for as long as the driver takes, which is milliseconds. */
    hsched_status (*read_meters)(hsched_backend_device *device, hsched_meters *meters);
} hsched_backend;

/* A plug-in exports one function of this name and type: its table, NULL if `abi` is not its own. */
typedef const hsched_backend *hsched_backend_entry_function(uint32_t abi,
                                                            const hsched_backend_host *host);
#define HSCHED_BACKEND_ENTRY "hsched_backend_entry"


#ifdef __cplusplus
}
#endif
#endif
