/*
 * The compiler's intermediate form, shared by the passes of this folder.
 *
 * A program is a list of operations in execution order. Each makes one value from others.
 * A value has a logical shape and, once it is placed, a root (a piece of memory), an
 * offset and strides. There are three sorts of operation:
 *
 * - steps (kinds of hsched/backend.h) compute; their values are owners: they have a root
 *   of their own or a place inside a joint one;
 * - views (RESHAPE, TRANSPOSE, SLICE, WINDOW) compute nothing: their value is another's
 *   memory seen through other strides, of WINDOW many elements at several places;
 * - joins (CONCAT, OUTPUT) compute nothing either, but demand a place: input i must be
 *   in a given slice of the result. Who cannot be made to write there is copied.
 *
 * Inputs and constants are values without a producer. What holds after each pass:
 *
 * - lower: every live layer is operations; what follows cheaply from constants is one
 * - recognise: layers that were written as their formulas are what they are
 * - fuse: chains that one step can do are one step
 * - levels: values know on which levels they lie, if they were quantised
 * - separable: a depthwise convolution and the pointwise one behind it are one step
 * - layout: every owner knows whether it is channels-last
 * - views: every value has a place; no step reads what its contract forbids
 * - concat: owners moved to where joins want them, copies for the others (then views once
 *   more, since owners have moved)
 * - sections: steps numbered, cut into sections; which section precedes which
 * - alias: in-place steps share a root
 * - memory: arena roots have offsets
 * - emit: the plan's own arrays are filled
 */
#ifndef HSI_PLAN_PASSES_H
#define HSI_PLAN_PASSES_H

#include "plan/plan.h"

/* ---- Memory that is freed all at once ------------------------------------- */

typedef struct hsi_pool_block hsi_pool_block;
typedef struct hsi_pool {
    hsi_pool_block *blocks;
} hsi_pool;

/* Zeroed; aligned to 16 bytes, and to 64 from 4 KiB on; NULL when there is none. */
void *hsi_pool_alloc(hsi_pool *pool, size_t count, size_t size);
char *hsi_pool_strdup(hsi_pool *pool, const char *text);
void hsi_pool_free(hsi_pool *pool);
#define HSI_POOL_ARRAY(pool, type, count)                                                \
    ((type *)hsi_pool_alloc((pool), (count), sizeof(type)))

/* Behind hsi_plan.pass_memory. */
typedef struct hsi_plan_memory {
    hsi_pool keep;    /* the plan's arrays and names */
    hsi_pool weights; /* folded weights, until hsi_plan_packed */
} hsi_plan_memory;

/* ---- Values and operations ------------------------------------------------ */

typedef struct hsi_root hsi_root;
typedef struct hsi_value hsi_value;
typedef struct hsi_op hsi_op;

struct hsi_root {
    hsched_storage storage;
    uint32_t index; /* of the input or output */
    size_t bytes;
    const void *data; /* of a constant */
    /* Sections pass: the steps that write and read it, in execution order (arena and
     * output roots). */
    hsi_op **writers, **readers;
    uint32_t writer_count, reader_count;
    hsi_root *merged; /* alias pass: whose memory this one has taken over, or NULL */
    hsi_root *latest; /* alias pass: the last one merged into this one, or NULL */
    size_t place;     /* offset in the arena or in the constants */
    int placed;       /* constants: `place` is valid */
};

struct hsi_value {
    hsched_tensor tensor; /* of the graph, or HSCHED_NO_TENSOR */
    hsched_dtype dtype;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    hsi_op *producer; /* NULL: an input or a constant */
    const void *data; /* of a constant */
    hsched_levels levels;
    int channels_last; /* of an owner or input */

    hsi_op **users; /* hsi_ir_link_users; one entry per use */
    uint32_t user_count;

    hsi_root *root; /* place: NULL before the views pass */
    int64_t offset; /* in elements */
    int64_t strides[HSCHED_MAX_DIMS];
    int in_joint;  /* the place was given by a join */
    hsi_op *joint; /* the join that it lies in as input `joint_position`, or NULL */
    uint32_t joint_position;
    hsi_value *dense_copy, *channels_last_copy; /* made where a step needed one */

    hsi_op **writers; /* sections pass: the steps that write it */
    uint32_t writer_count;
};

/* Beyond the step kinds of backend.h. */
enum {
    HSI_OP_RESHAPE = 101,
    HSI_OP_TRANSPOSE,
    HSI_OP_SLICE,
    HSI_OP_WINDOW, /* [N,C,D1..Dk] -> [N,C,k1..kk,o1..ok] */
    HSI_OP_CONCAT,
    HSI_OP_OUTPUT
};

struct hsi_op {
    int kind; /* hsched_step_kind or HSI_OP_... */
    const char *name;
    hsched_tensor tensor; /* of the graph, completed by it, or HSCHED_NO_TENSOR */
    uint32_t in_count;
    hsi_value **in;     /* absent ones are NULL; steps: room for HSCHED_STEP_MAX_INPUTS */
    hsi_value **wanted; /* joins: the inputs before copies took their places */
    hsi_value *out;
    uint64_t macs;
    hsched_step step;              /* steps: act and u */
    int64_t perm[HSCHED_MAX_DIMS]; /* TRANSPOSE */
    /* SLICE; of WINDOW the dilations and strides */
    int64_t starts[HSCHED_MAX_DIMS], steps[HSCHED_MAX_DIMS];
    uint32_t axis; /* CONCAT */
    hsi_op *next, *previous;
    uint32_t position;   /* in the list, when it was last numbered */
    uint32_t step_index; /* sections pass */
    uint32_t section;
    uint32_t mark;   /* the last section that was seen to read it, plus 1 */
    int out_aliases; /* memory pass */
};

typedef struct hsi_ir {
    const hsched_graph *graph;
    const hsi_plan_config *config;
    hsi_plan *plan;
    hsi_pool temporary; /* the intermediate form */
    hsi_plan_memory *memory;
    hsi_op *first, *last;
    hsched_tensor *output_tensors; /* of the graph: its outputs, then the taps */
    hsi_value **tensors;           /* by the graph's tensor index; NULL: not used */

    hsi_op **steps; /* sections pass: in execution order */
    uint32_t step_count;
    hsi_root **roots; /* the arena and output roots in use, in order of first use */
    uint32_t root_count;
    uint64_t *ancestors; /* section_count rows of ancestor_words words; NULL: all smaller
                            ones */
    size_t ancestor_words;
} hsi_ir;

/* ---- ir.c ----------------------------------------------------------------- */

hsched_status hsi_ir_no_memory(void);
hsi_value *hsi_ir_value(hsi_ir *ir, hsched_dtype dtype, uint32_t rank,
                        const int64_t *dims);
/* A float constant in the plan's folded weights, to be filled through `data`. */
hsi_value *hsi_ir_weights(hsi_ir *ir, uint32_t rank, const int64_t *dims, float **data);
hsi_value *hsi_ir_constant(hsi_ir *ir, hsched_dtype dtype, uint32_t rank,
                           const int64_t *dims, const void *data);
/* Not in the list yet; out's producer becomes the operation. */
hsi_op *hsi_ir_op(hsi_ir *ir, int kind, const char *name, uint32_t in_count,
                  hsi_value *out);
void hsi_ir_insert_before(hsi_ir *ir, hsi_op *op,
                          hsi_op *before); /* before NULL: at the end */
void hsi_ir_remove(hsi_ir *ir, hsi_op *op);
/* "a+b", of one step that does what two did; NULL when memory has run out. */
const char *hsi_ir_join_names(hsi_ir *ir, const char *a, const char *b);
hsi_root *hsi_ir_root(hsi_ir *ir, hsched_storage storage, size_t bytes);
/* Gives an owner its own root, in its layout. */
hsched_status hsi_ir_own_root(hsi_ir *ir, hsi_value *value);
/* A copy step from `from` to a new value of the same shape, before `before`. */
hsi_value *hsi_ir_insert_copy(hsi_ir *ir, hsi_op *before, hsi_value *from);
hsched_status hsi_ir_link_users(hsi_ir *ir);
void hsi_ir_number(hsi_ir *ir);
int hsi_is_step(const hsi_op *op);
int hsi_is_view(const hsi_op *op);
int hsi_same_dims(const hsi_value *a, const hsi_value *b);

/* ---- strides.c ------------------------------------------------------------ */

/* Strides of a reshaped view, if there are any; 1 or 0. */
int hsi_reshape_strides(uint32_t rank, const int64_t *dims, const int64_t *strides,
                        uint32_t new_rank, const int64_t *new_dims, int64_t *new_strides);
int hsi_same_place(const hsi_value *value, const hsi_root *root, int64_t offset,
                   const int64_t *strides);
/* What a step kind demands of operand `index`, or of its output. */
typedef enum hsi_demand {
    HSI_DEMAND_NONE = 0,
    HSI_DEMAND_CHANNELS_LAST,
    HSI_DEMAND_ROWS,     /* rank 2, inner stride 1, rows that do not overlap */
    HSI_DEMAND_MATRICES, /* the same for the last two dimensions, others as they are */
    HSI_DEMAND_DENSE
} hsi_demand;
hsi_demand hsi_demand_of_input(int kind, uint32_t index);
hsi_demand hsi_demand_of_output(int kind);
int hsi_meets(hsi_demand demand, uint32_t rank, const int64_t *dims,
              const int64_t *strides);
/* The constant is packed by the backend in prepare. */
int hsi_is_packed(int kind, uint32_t index);
/* Offset and strides of a view's value, from those of its input; 0 if it has none. */
int hsi_view_strides(const hsi_op *op, int64_t offset, const int64_t *strides,
                     int64_t *out_offset, int64_t *out_strides);
/* The other way round, for RESHAPE and TRANSPOSE: how the input must lie so that the
 * output lies so. */
int hsi_view_strides_back(const hsi_op *op, const int64_t *out_strides, int64_t *strides);

/* Makes `value` lie at the given place by moving the owner that it is a view of; 0 if its maker
 * cannot write so. Views in between lie right after the next views pass. In concat.c. */
int hsi_move_owner(hsi_value *value, hsi_root *root, int64_t offset,
                   const int64_t *strides);

/* ---- build.c: steps from operations --------------------------------------- */

void hsi_build_step(const hsi_op *op, hsched_step *step);
/* Evaluates `op`, whose inputs are all constants, if it is cheap to do; its value then is
 * a constant and the operation is out of the list. */
hsched_status hsi_fold_constants(hsi_ir *ir, hsi_op *op);

/* ---- The passes ----------------------------------------------------------- */

hsched_status hsi_pass_lower(hsi_ir *ir);
/* lower.c calls it for a matrix product; in lower_matmul.c. */
hsched_status hsi_lower_matmul(hsi_ir *ir, const hsi_layer *layer, hsi_value *a,
                               hsi_value *b, hsi_value *out);
/* And a fully connected layer of float64, for which no step is made. */
hsched_status hsi_lower_fc_of_float64(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                      hsi_value *out);
/* lower_types.c: the type that stands for a graph's inside; x as another type; as the
 * type of an output, after all layers; a constant of a narrow float as float32; and a cast
 * layer. */
hsched_dtype hsi_lower_dtype(hsched_dtype dtype);
hsi_value *hsi_lower_cast_value(hsi_ir *ir, const char *name, hsi_value *x,
                                hsched_dtype dtype, hsched_tensor tensor);
hsi_value *hsi_lower_narrow_output(hsi_ir *ir, const char *name, hsi_value *x,
                                   hsched_dtype dtype);
hsi_value *hsi_lower_narrow_constant(hsi_ir *ir, const hsi_graph_tensor *tensor);
hsched_status hsi_lower_cast(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                             hsi_value *out);
hsched_status hsi_lower_add(hsi_ir *ir, hsi_op *op); /* appends, folding constants */
hsi_value *hsi_lower_reshape(hsi_ir *ir, const char *name, hsi_value *x, hsi_value *out);

/* lower_view.c: views of x; x itself where they would change nothing. NULL for NULL, and when
 * memory has run out. */
hsi_value *hsi_lower_reshape_to(hsi_ir *ir, const char *name, hsi_value *x, uint32_t rank,
                                const int64_t *dims);
hsi_value *hsi_lower_transpose(hsi_ir *ir, const char *name, hsi_value *x,
                               const int64_t *perm);
hsi_value *hsi_lower_slice(hsi_ir *ir, const char *name, hsi_value *x, uint32_t axis,
                           int64_t start, int64_t step, int64_t count);
hsi_value *hsi_lower_pad(hsi_ir *ir, const char *name, hsi_value *x, uint32_t axis,
                         int64_t before, int64_t after, float value); /* a step */
/* An image [N,C,D1..Dk], k = 1, 2 or 3, as one [D*N,C,H,W], depth-major, D and H being 1
 * where it has none; and the way back. */
hsi_value *hsi_lower_to_planes(hsi_ir *ir, const char *name, hsi_value *x);
hsched_status hsi_lower_from_planes(hsi_ir *ir, const char *name, hsi_value *planes,
                                    hsi_value *out);
/* lower_conv.c, lower_pool.c */
hsched_status hsi_lower_conv(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                             hsi_value *out);
hsched_status hsi_lower_conv_transpose(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                       hsi_value *out);
/* With weights that are computed, and no bias: lower_computed_conv.c. */
hsched_status hsi_lower_computed_conv(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                      hsi_value *out);
hsched_status hsi_lower_computed_conv_transpose(hsi_ir *ir, const hsi_layer *layer,
                                                hsi_value **in, hsi_value *out);
/* Weights of O filters in groups times columns [N,(groups,taps),points]. */
hsched_status hsi_lower_columns_product(hsi_ir *ir, const hsi_layer *layer,
                                        hsi_value *columns, hsi_value *weights,
                                        int64_t groups, hsi_value *out);
/* A number [C] for each channel, added. */
hsched_status hsi_lower_add_bias(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                 hsi_value *bias, hsi_value *out);
hsched_status hsi_lower_pool(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                             hsi_value *out);
hsched_status hsi_lower_pool_indices(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                     hsi_value *out);
hsched_status hsi_lower_resize(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                               hsi_value *out); /* lower_resize.c */
hsched_status hsi_lower_grid_sample(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                    hsi_value *out); /* lower_sample.c */
hsched_status hsi_lower_roi_align(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                  hsi_value *out);
hsched_status hsi_lower_nms(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                            hsi_value *out); /* lower_nms.c */
hsched_status hsi_lower_gather(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                               hsi_value *out); /* lower_gather.c */
hsched_status hsi_lower_gather_nd(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                  hsi_value *out);
hsched_status hsi_lower_scatter(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                                hsi_value *out); /* lower_scatter.c */
/* Tuples [B,M,m] of indices into a tensor of m dims as places [B,M,1] in it. */
hsi_value *hsi_lower_tuples(hsi_ir *ir, const hsi_layer *layer, hsi_value *tuples,
                            const int64_t *dims);
hsched_status hsi_lower_arg(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                            hsi_value *out); /* lower_order.c */
hsched_status hsi_lower_top_k(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                              hsi_value *out);
hsched_status hsi_lower_cumsum(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                               hsi_value *out);
hsched_status hsi_lower_norm(hsi_ir *ir, const hsi_layer *layer, hsi_value **in,
                             hsi_value *out); /* lower_norm.c */
hsched_status hsi_lower_reduce(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                               hsi_value *out); /* lower_reduce.c */
hsched_status hsi_lower_global_pool(hsi_ir *ir, const hsi_layer *layer, hsi_value *x,
                                    hsi_value *out);
hsched_status hsi_pass_recognise(hsi_ir *ir);
hsched_status hsi_pass_fuse(hsi_ir *ir);
void hsi_pass_levels(hsi_ir *ir);
hsched_status hsi_pass_separable(hsi_ir *ir);
hsched_status hsi_pass_layout(hsi_ir *ir);
hsched_status hsi_pass_views(hsi_ir *ir, int final);
hsched_status hsi_pass_concat(hsi_ir *ir);
hsched_status hsi_pass_sections(hsi_ir *ir);
hsched_status hsi_sections_cut(hsi_ir *ir); /* in cuts.c: sets the steps' sections */
/* 1 if step a has ended before step b begins, whatever the order in which ready sections
 * run. */
int hsi_comes_before(const hsi_ir *ir, const hsi_op *a, const hsi_op *b);
void hsi_pass_alias(hsi_ir *ir);
hsi_root *hsi_standing_for(hsi_root *root); /* whose memory it is, after the alias pass */
hsched_status hsi_pass_memory(hsi_ir *ir);
hsched_status hsi_pass_emit(hsi_ir *ir);

#endif
