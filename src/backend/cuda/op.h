/*
 * An op: one step as the GPU executes it, for one batch size and one number format.
 *
 * Each family of kernels has a maker that looks at the step, chooses and describes its
 * launch, and returns an op; enqueue() then only launches. Tensors are described by the
 * step's operands (logical shape, strides in elements), as in hsched/backend.h, with two
 * differences: the batch is already multiplied in, and what the step calls
 * HSCHED_FLOAT32 is stored as `type`. Addresses are given at enqueue time and are aligned
 * to the element only, unless the maker finds more in `alignment`.
 */
#ifndef HSI_BACKEND_CUDA_OP_H
#define HSI_BACKEND_CUDA_OP_H

#include "backend/cuda/device.h"
#include "backend/cuda/host.h"

/* How float tensors are stored in the GPU's memory, and what multiplies them:
 * F32: float; tensor cores in tf32 unless `strict`. F16, BF16: half, bfloat16; sums float. */
typedef enum hsi_cuda_type {
    HSI_CUDA_F32 = 0,
    HSI_CUDA_F16 = 1,
    HSI_CUDA_BF16 = 2
} hsi_cuda_type;

static inline size_t hsi_cuda_type_size(hsi_cuda_type type)
{
    return type == HSI_CUDA_F32 ? 4 : 2;
}

/* Bytes of an element of this operand in the GPU's memory. */
static inline size_t hsi_cuda_element_size(const hsched_operand *operand,
                                           hsi_cuda_type type)
{
    return operand->dtype == HSCHED_FLOAT32 ? hsi_cuda_type_size(type)
                                            : hsi_cuda_dtype_size(operand->dtype);
}

/* Stores a float as `type` is stored, in host memory. weights.c */
void hsi_cuda_store_float(void *to, hsi_cuda_type type, float value);

typedef struct hsi_cuda_step {
    hsi_cuda_device *device;
    hsched_step step; /* operands with the batch multiplied in; constants are NULL */
    hsi_cuda_type type;
    int strict; /* F32 only: plain float arithmetic, no tf32 */
    int deterministic;
    int rnn; /* RECURRENT: the weights are packed for cuDNN (recurrent.h) */
    /* Constants in the GPU's memory (0: the operand is none), always 256-byte aligned:
     * CONV2D in[1]: [O][kh][kw][C/groups] of `type`, except when groups == C == O
     *   (depthwise): [kh][kw][O]; CONV2D in[2], FC in[2]: float [O];
     * FC in[1]: [O][K] of `type`; SCALE in[1], in[2]: float [C];
     * RECURRENT in[1], if `rnn`: cuDNN's weight space, with in[2] and in[3] in it;
     * other kinds: the operand itself, dense or with its strides, float as `type`. */
    CUdeviceptr constants[HSCHED_STEP_MAX_INPUTS];
    /* What every address of in[i] / out will be a multiple of, in bytes (a power of two). */
    uint32_t alignment[HSCHED_STEP_MAX_INPUTS], out_alignment;
} hsi_cuda_step;

typedef struct hsi_cuda_recorder hsi_cuda_recorder; /* record.h */

/* One launch of an op. Addresses are those of the elements with index 0, constants
 * included; 0 for absent operands. */
typedef struct hsi_cuda_call {
    CUstream stream;
    hsi_cuda_recorder
        *recorder; /* NULL: launch; else record, and the stream is not used */
    CUdeviceptr in[HSCHED_STEP_MAX_INPUTS];
    CUdeviceptr out;
    CUdeviceptr outside; /* transfers to and from the host's arena: the tensor there */
    CUdeviceptr
        workspace; /* op->workspace bytes, 256-byte aligned; contents undefined, but
                              for the first op->zeroed bytes, see below */
} hsi_cuda_call;

typedef struct hsi_cuda_op hsi_cuda_op;
struct hsi_cuda_op {
    char name[64];    /* for people: "own/tile 64x64 k4 tf32", "cudnn/eng 38" */
    size_t workspace; /* bytes; at most 64 MiB. Shared by the ops of a slot, which run
                           one after the other */
    size_t zeroed;    /* the first so many bytes of the workspace are counters: they are 0
                           before every launch, and the op leaves them 0 again */
    /* Launches or records the op's kernels, in order: nothing else. No allocation, no
     * synchronisation. The device was entered. */
    hsched_status (*enqueue)(const hsi_cuda_op *op, const hsi_cuda_call *call);
    void (*destroy)(hsi_cuda_op *op); /* frees op */
};

/* Makers. *op is NULL on failure; UNSUPPORTED: this family cannot, try the next. The device
 * was entered. host->alloc and host->free for memory. */
typedef hsched_status hsi_cuda_maker(const hsi_cuda_step *step, hsi_cuda_op **op);

hsi_cuda_maker hsi_cuda_make_copy;           /* COPY */
hsi_cuda_maker hsi_cuda_make_pad;            /* PAD */
hsi_cuda_maker hsi_cuda_make_image;          /* IMAGE */
hsi_cuda_maker hsi_cuda_make_unary;          /* UNARY */
hsi_cuda_maker hsi_cuda_make_binary;         /* BINARY */
hsi_cuda_maker hsi_cuda_make_scale;          /* SCALE */
hsi_cuda_maker hsi_cuda_make_softmax;        /* SOFTMAX */
hsi_cuda_maker hsi_cuda_make_norm;           /* NORM */
hsi_cuda_maker hsi_cuda_make_lrn;            /* LRN */
hsi_cuda_maker hsi_cuda_make_reduce;         /* REDUCE */
hsi_cuda_maker hsi_cuda_make_cast;           /* CAST */
hsi_cuda_maker hsi_cuda_make_where;          /* WHERE */
hsi_cuda_maker hsi_cuda_make_resize;         /* RESIZE */
hsi_cuda_maker hsi_cuda_make_gather;         /* GATHER */
hsi_cuda_maker hsi_cuda_make_tuple_index;    /* TUPLE_INDEX */
hsi_cuda_maker hsi_cuda_make_scatter;        /* SCATTER */
hsi_cuda_maker hsi_cuda_make_arg;            /* ARG */
hsi_cuda_maker hsi_cuda_make_top_k;          /* TOP_K */
hsi_cuda_maker hsi_cuda_make_cumsum;         /* CUMSUM */
hsi_cuda_maker hsi_cuda_make_rotary;         /* ROTARY */
hsi_cuda_maker hsi_cuda_make_pool;           /* POOL2D */
hsi_cuda_maker hsi_cuda_make_pool_index;     /* POOL_INDEX */
hsi_cuda_maker hsi_cuda_make_grid_sample;    /* GRID_SAMPLE */
hsi_cuda_maker hsi_cuda_make_roi_align;      /* ROI_ALIGN */
hsi_cuda_maker hsi_cuda_make_matmul;         /* MATMUL and FC, any strides: own kernels */
hsi_cuda_maker hsi_cuda_make_recurrent;      /* RECURRENT, any: own kernels */
hsi_cuda_maker hsi_cuda_make_rnn;            /* RECURRENT, packed for cuDNN */
hsi_cuda_maker hsi_cuda_make_conv_direct;    /* CONV2D, any */
hsi_cuda_maker hsi_cuda_make_conv_depthwise; /* CONV2D with groups == C == O */

/* 1 if the maker of that kind takes the step. */
int hsi_cuda_takes_resize(const hsched_step *step);
int hsi_cuda_takes_scatter(const hsched_step *step);
int hsi_cuda_takes_top_k(const hsched_step *step);

/*
 * Makers of CONV2D, FC and MATMUL that offer several variants. `variants` lists what is
 * worth trying for this step, best guess first, as short texts without spaces; `make` makes
 * one of them, also from a text that was stored by an earlier process (which it checks:
 * UNSUPPORTED or FORMAT, never a crash).
 */
#define HSI_CUDA_VARIANT_LENGTH 96
typedef struct hsi_cuda_family {
    const char *name; /* "tile", "cudnn", "lt": the first word of a variant "tile:..." */
    uint32_t (*variants)(const hsi_cuda_step *step, uint32_t most,
                         char (*texts)[HSI_CUDA_VARIANT_LENGTH]);
    hsched_status (*make)(const hsi_cuda_step *step, const char *text, hsi_cuda_op **op);
} hsi_cuda_family;

extern const hsi_cuda_family hsi_cuda_family_tile;  /* CONV2D, FC: own implicit GEMM */
extern const hsi_cuda_family hsi_cuda_family_rows;  /* FC of few rows: own dot products */
extern const hsi_cuda_family hsi_cuda_family_cudnn; /* CONV2D */
extern const hsi_cuda_family hsi_cuda_family_lt;    /* FC, MATMUL */

/* Tunes: chooses among the families' variants for this step, by the cache, by timing, or by
 * guess (tune.h). With `like`, a step that differs in the batch alone: its choice. */
hsched_status hsi_cuda_make_tuned(const hsi_cuda_step *step, const hsi_cuda_step *like,
                                  hsi_cuda_op **op);

/*
 * Entry and exit of a batch: copies one tensor of every member between the members' own
 * memory and a block of the slot. `table` is the address of `members` addresses (8 bytes
 * each, in memory that the GPU reads), element 0 of each member's tensor; `member` describes
 * one member's tensor there (dtype float32 stored as float32), `slot` the same tensor in the
 * slot (float stored as `type`), whose member i begins i * slot_stride elements after the
 * first. to_slot: entry. Member memory may be mapped host memory: it is read and written
 * in wide, coalesced accesses wherever the strides allow it.
 */
typedef struct hsi_cuda_transfer {
    hsi_cuda_device *device;
    hsi_cuda_type type;
    uint32_t members;
    int to_slot;
    hsched_operand member, slot; /* same dims */
    int64_t slot_stride;
} hsi_cuda_transfer;
hsched_status hsi_cuda_make_transfer(const hsi_cuda_transfer *transfer, hsi_cuda_op **op);
/* enqueue: call.in[0] is the table, call.out the slot's tensor (also when it is read). */

/*
 * The entry of a camera frame, fused: an IMAGE step whose in[0] is read through a table as
 * above (uint8 [members*N,H,W,C], member by member), and whose out is in the slot.
 */
hsched_status hsi_cuda_make_image_entry(const hsi_cuda_step *step, uint32_t members,
                                        hsi_cuda_op **op);

#endif
