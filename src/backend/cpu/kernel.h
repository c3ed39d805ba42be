/*
 * The CPU backend's kernels: several may exist for one step kind. Of those whose library is enabled
 * and whose `supports` says yes one is taken (choose.c). A kernel that fails to prepare with
 * HSCHED_ERROR_UNSUPPORTED passes the step on to the next one; since the whole may still
 * succeed it returns that status alone, with no error detail. Where no kernel is left, the
 * reference kernel (reference.c) takes the step.
 */
#ifndef HSI_BACKEND_CPU_KERNEL_H
#define HSI_BACKEND_CPU_KERNEL_H

#include <hsched/backend.h>

typedef struct hsi_cpu_prepare_context {
    int constants_stay; /* step->in[i].constant stays valid until destroy */
    uint32_t libraries; /* HSCHED_LIBRARY_... enabled */
    /* STRICT: nothing but sums of products. BF16: kernels that are for it may round operands to
     * bfloat16. FP16 is as DEFAULT. */
    hsched_math math;
    /* As in hsched_section_config; for packing.h. */
    void (*share_pieces)(void *workers, uint32_t count, hsched_piece *piece, void *user);
    void *workers;
    struct hsi_cpu_store *store; /* packed weights on disk; NULL: none are kept */
} hsi_cpu_prepare_context;

/* What prepare makes of one step. */
typedef struct hsi_cpu_prepared {
    void *state;        /* the kernel's own: packed weights, primitives; then immutable */
    const char *detail; /* after the kernel's name in kernel_name: "jit:avx512_core", or
                           NULL; lives as long as state */
    uint64_t weight_bytes;
    size_t scratch_size; /* bytes of scratch that run needs for one part; aligned to 64 */
} hsi_cpu_prepared;

#define HSI_CPU_MATH(math) (1u << (math))

typedef struct hsi_cpu_kernel {
    const char *name; /* "openblas/im2col" */
    hsched_step_kind kind;
    uint32_t library; /* HSCHED_LIBRARY_... */
    /* For models of these: HSI_CPU_MATH(HSCHED_MATH_...), added; 0: all. */
    uint32_t maths;
    int (*supports)(const hsched_step *step);
    /* NULL: always. Where nothing is measured, the first in the list of its kind is taken that
     * supports a step and is likely to be the fastest, else the first that supports it. */
    int (*likely)(const hsched_step *step);
    /* Packs, chooses, and may lower step->parts (never below 1). NULL if there is nothing
     * to do: the step then keeps its parts, and state is NULL. */
    hsched_status (*prepare)(const hsi_cpu_prepare_context *context, hsched_step *step,
                             hsi_cpu_prepared *prepared);
    void (*destroy)(void *state);
    /* Optional: per-slot objects (library handles that are not to be shared), one set per
     * slot. */
    hsched_status (*slot_create)(const hsched_step *step, const void *state,
                                 void **slot_state);
    void (*slot_destroy)(void *slot_state);
    /* Computes one part; parts of a step may run at the same time on different threads.
     * `scratch` is the calling thread's, with anything in it. operands as in
     * hsched_backend.run_part. */
    hsched_status (*run)(const hsched_step *step, const void *state, void *slot_state,
                         void *const *operands, uint32_t part, void *scratch);
} hsi_cpu_kernel;

/* Lists ended by NULL, the best ones first. Each is defined in the file of that name. */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_conv2d[];      /* conv2d.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_fc[];          /* fc.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_matmul[];      /* matmul.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_pool2d[];      /* pool2d.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_scale[];       /* scale.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_lrn[];         /* lrn.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_softmax[];     /* softmax.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_norm[];        /* norm.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_unary[];       /* elementwise.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_binary[];      /* elementwise.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_copy[];        /* copy.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_pad[];         /* pad.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_reduce[];      /* reduce.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_image[];       /* image.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_resize[];      /* resize.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_gather[];      /* gather.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_arg[];         /* arg.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_top_k[];       /* top_k.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_tuple_index[]; /* tuple_index.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_scatter[];     /* scatter.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_cumsum[];      /* cumsum.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_grid_sample[]; /* grid_sample.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_roi_align[];   /* roi_align.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_pool_index[];  /* pool_index.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_nms[];         /* nms.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_recurrent[];   /* recurrent.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_rotary[];      /* rotary.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_separable_conv2d[];

extern const hsi_cpu_kernel *const hsi_cpu_kernels_cast[];  /* cast.c */
extern const hsi_cpu_kernel *const hsi_cpu_kernels_where[]; /* where.c */

/* For integers and bool, and what elementwise.c does not do; arithmetic.c. */
extern const hsi_cpu_kernel hsi_cpu_kernel_unary_typed, hsi_cpu_kernel_binary_typed;
extern const hsi_cpu_kernel hsi_cpu_kernel_unary_double;   /* unary_double.c */
extern const hsi_cpu_kernel hsi_cpu_kernel_softmax_double; /* softmax_double.c */
extern const hsi_cpu_kernel hsi_cpu_kernel_norm_double;    /* norm_double.c */

extern const hsi_cpu_kernel hsi_cpu_kernel_reduce_any; /* reduce_any.c */
extern const hsi_cpu_kernel hsi_cpu_kernel_reference;  /* any kind; reference.c */

/* Applies an activation in place to n contiguous floats (activation.c). NONE does
 * nothing. */
void hsi_cpu_activate(hsched_activation act, float *y, size_t n);
/* y = act(x), x not in place or all in place. */
void hsi_cpu_activate_to(hsched_activation act, const float *x, float *y, size_t n);
/* That of FAKE_QUANTIZE alone (quantise.c). */
void hsi_cpu_fake_quantize(const float *from, float *y, size_t n, float a, float b);
/* 1 if the activation is min(max(x, lo), hi), NONE included: then kernels can do it
 * themselves. */
int hsi_cpu_activation_is_clamp(hsched_activation act, float *lo, float *hi);

/*
 * How many parts a step should be cut into: step->parts, but not more than `units` (rows,
 * columns) and not so many that handing a part over would take as long as computing it
 * (prepare.c).
 */
uint32_t hsi_cpu_parts(const hsched_step *step, uint64_t units);
/* Where part `part` of `parts` begins among `units`: part + 1 gives its end. The first ones are
 * larger by one where they are not all alike. */
static inline int64_t hsi_cpu_part_begin(int64_t units, uint32_t part, uint32_t parts)
{
    const int64_t each = units / parts, more = units % parts;
    return each * part + (part < more ? part : more);
}

static inline int64_t hsi_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t hsi_most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Bytes from an operand's first element to the end of its last one; 0 on overflow
 * (prepare.c). */
size_t hsi_cpu_operand_span(const hsched_operand *operand);

/*
 * A constant operand for the time after prepare: a packed copy if it does not stay (then
 * *owned is it, to be freed with hsi_free), else the pointer itself. Strides are kept.
 * NULL with *status OK if the operand is absent or no constant (prepare.c).
 */
const float *hsi_cpu_keep_constant(const hsi_cpu_prepare_context *context,
                                   const hsched_operand *operand, void **owned,
                                   uint64_t *weight_bytes, hsched_status *status);

/* What follows a matrix product or a convolution: y = act(y + bias + residual), for a
 * tile of `rows` rows of `columns` floats at any row stride (epilogue.c). bias and
 * residual may be NULL. */
typedef struct hsi_cpu_epilogue {
    const float *bias; /* [columns] */
    hsched_activation act;
} hsi_cpu_epilogue;
void hsi_cpu_epilogue_run(const hsi_cpu_epilogue *epilogue, float *y, int64_t y_stride,
                          const float *residual, int64_t residual_stride, int64_t rows,
                          int64_t columns);
/* y[rows, columns] = x[rows, columns], any row strides (epilogue.c). */
void hsi_cpu_copy_rows(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                       int64_t rows, int64_t columns);

#endif
