/*
 * A model as one GPU has it: weights, and ops for each batch size in use.
 *
 * Memory of one member (one run) in a slot, in bytes of the plan (float32): the arena's
 * blocks at their offsets, behind it a copy of each input and output that steps cannot
 * reach directly. With `members` of them, block [root, root + size) becomes
 * [root * members, ...), member by member, so every tensor of a batch is its single form
 * with one more outer dimension (batch.c). In half formats float blocks shrink to half their
 * offsets and sizes; blocks of other types then lie in an area of their own.
 *
 * What passes between the slot and memory outside (the runs' inputs and outputs, the host's
 * arena) goes through ports: entries of a table of addresses in the slot, filled in at
 * submit. Graphs refer to the table only, so they serve any user memory.
 */
#ifndef HSI_BACKEND_CUDA_SECTION_H
#define HSI_BACKEND_CUDA_SECTION_H

#include "backend/cuda/op.h"

typedef enum hsi_cuda_port_kind {
    HSI_CUDA_PORT_INPUT,  /* memory bound to input `index` */
    HSI_CUDA_PORT_OUTPUT, /* to output `index` */
    HSI_CUDA_PORT_ARENA   /* the host's arena */
} hsi_cuda_port_kind;

typedef struct hsi_cuda_port {
    hsi_cuda_port_kind kind;
    uint32_t index;
    size_t offset; /* bytes from the start of that memory to element 0 */
    int to_slot;   /* read, else written */
    uint32_t step; /* whose operand it is; UINT32_MAX: a whole input */
    uint32_t
        last_reader; /* arena, written: the last step here or elsewhere that reads it */
    int fused;       /* the step itself reads or writes through the table */
    int mapped;      /* steps read or write it in the host's arena, if members == 1 */
    hsched_operand tensor; /* as it lies outside */
    hsched_place place;    /* and inside; unused if fused */
} hsi_cuda_port;

/* Operands of a step that it uses where they lie in the host's arena: bit k for input k. */
#define HSI_CUDA_MAPPED_OUT (UINT32_C(1) << 31)

/* What is to be done before a step (entries, imports) and after it (exports, exits). */
typedef struct hsi_cuda_actions {
    uint32_t before_count, after_count;
    uint32_t *before, *after; /* ports */
} hsi_cuda_actions;

/*
 * A slot's workspace begins with HSI_CUDA_COUNTERS bytes that are zero between ops; scratch
 * memory follows. An op with counters gets the last `zeroed` bytes of them and what follows, so
 * that no op's scratch overlaps another's counters.
 */
#define HSI_CUDA_COUNTERS 65536

/* The ops for one batch size. Immutable but for ops[], which tuning may replace: then
 * `generation` grows and graphs captured before are captured anew. */
typedef struct hsi_cuda_variant {
    struct hsi_cuda_variant *next;
    uint32_t members;
    const struct hsi_cuda_variant
        *like;               /* of a tuned size: its kernels are taken; or NULL */
    hsi_cuda_step *steps;    /* per step */
    hsi_cuda_op **ops;       /* per step; NULL: not here */
    hsi_cuda_op **transfers; /* per port; NULL: it needs none */
    size_t arena_bytes, io_bytes, workspace_bytes; /* of a slot; in this order there */
    uint32_t generation;
    uint32_t refined; /* steps before this one were tuned in full */
} hsi_cuda_variant;

struct hsched_backend_section {
    hsi_cuda_device *device;
    struct hsched_backend_section *next; /* in the device's list */
    uint32_t step_count;
    const hsched_step *steps;
    hsched_step_places *places; /* a copy; writers are not kept */
    hsi_cuda_type type;
    int strict, deterministic, joinable;
    int split; /* some steps are elsewhere, or float: a run has several jobs, maybe at the
                  same time */
    uint32_t max_batch;

    size_t arena_size; /* one member's, as the plan has it */
    int other_types;   /* some arena tensors are not float */
    uint32_t input_count, output_count;
    size_t *io_bytes; /* per input, then output: one member's, as bound */
    hsched_dtype *io_types;
    uint32_t port_count;
    hsi_cuda_port *ports;
    hsi_cuda_actions *actions; /* per step */
    uint32_t *mapped;          /* per step: hsi_cuda_mapped() */

    /* Weights and other constants, one block. */
    size_t weight_bytes;
    CUdeviceptr weights;   /* 0: evicted */
    void *weights_on_host; /* kept to bring them back; NULL: they are never evicted */
    size_t (
        *constants)[HSCHED_STEP_MAX_INPUTS]; /* per step: offset + 1 in the block, or 0 */

    /* Guarded by the device's `use`. */
    hsi_cuda_variant *variants;
    struct hsched_backend_slot *slots;
    uint64_t
        wishes; /* bit k: a batch of k + 1 was wanted and there are no ops for it yet */
    uint8_t
        wanted[64]; /* [k]: how often a batch of k + 1 would have fitted, up to a limit */
    uint64_t last_used;
    uint32_t
        busy; /* background work or a submission under way: not to be destroyed or evicted */
    hsi_cuda_op **retired; /* replaced ops, until the section goes */
    uint32_t retired_count;
};

/* What it needs of them is in the GPU's memory. Evicted ones come back with the next job. */
static inline int hsi_cuda_has_weights(const hsched_backend_section *section)
{
    return section->weights || section->weight_bytes == 0;
}

/* Bytes of an operand's element in the slot, and a size in the plan's bytes as it is there. */
static inline size_t hsi_cuda_scaled(const hsched_backend_section *section,
                                     hsched_dtype dtype, size_t plan_bytes)
{
    return dtype == HSCHED_FLOAT32 && section->type != HSI_CUDA_F32 ? plan_bytes / 2
                                                                    : plan_bytes;
}

/* A step's operands that a job of so many members uses where they lie in the host's arena. */
static inline uint32_t hsi_cuda_mapped(const hsched_backend_section *section,
                                       uint32_t members, uint32_t step)
{
    return members == 1 ? section->mapped[step] : 0;
}

/* Does a job of so many members bring this port's tensor in or out by a launch of its own? Joined
 * runs are executed as a whole: nothing of them is in the host's arena. */
static inline int hsi_cuda_is_transferred(const hsi_cuda_port *port, uint32_t members)
{
    return !port->fused &&
           (members == 1 ? !port->mapped : port->kind != HSI_CUDA_PORT_ARENA);
}

/* ---- batch.c --------------------------------------------------------------- */

/* The distance between members of the memory that an operand lies in, in the plan's bytes. */
size_t hsi_cuda_member_bytes(const hsched_backend_section *section,
                             const hsched_place *place);
/* Multiplies `members` into a step, as one more outer dimension or into the outermost one.
 * 0: this kind cannot with such operands. */
int hsi_cuda_batch_step(const hsched_backend_section *section, uint32_t index,
                        uint32_t members, hsched_step *step);
/* The offset of an operand's element 0 from the start of a slot's memory of so many members. */
size_t hsi_cuda_slot_offset(const hsched_backend_section *section, uint32_t members,
                            const hsched_place *place, hsched_dtype dtype);
/* Sizes of a slot's memory: the arena, then the inputs' and outputs' copies. */
void hsi_cuda_slot_sizes(const hsched_backend_section *section, uint32_t members,
                         size_t *arena_bytes, size_t *io_bytes);

/* ---- ports.c: what passes in and out, from the steps' places --------------- */

hsched_status hsi_cuda_make_ports(hsched_backend_section *section,
                                  const hsched_section_config *config);
void hsi_cuda_free_ports(hsched_backend_section *section);
/* Does anything pass there in a job of steps [first, first + count)? Inputs, and what steps that
 * are not here have made: always, that is cheap. `stays`: the job has no arena, so that of its run,
 * if it floats, all jobs are the slot's, which keeps what passes between them. */
int hsi_cuda_port_is_used(const hsched_backend_section *section,
                          const hsi_cuda_port *port, uint32_t first, uint32_t count,
                          int stays);
/* Through which the step itself reads or writes what lies outside, or NULL. */
const hsi_cuda_port *hsi_cuda_fused_port(const hsched_backend_section *section,
                                         uint32_t step);

/* ---- weights.c ------------------------------------------------------------- */

hsched_status hsi_cuda_pack_weights(hsched_backend_section *section,
                                    const hsched_section_config *config);
/* Brings evicted weights back. Entered. */
hsched_status hsi_cuda_load_weights(hsched_backend_section *section);
void hsi_cuda_drop_weights(hsched_backend_section *section);

/* ---- variant.c: ops for a batch size --------------------------------------- */

/* Called between two steps, entered; it may leave meanwhile. If it fails, nothing is made. */
typedef hsched_status hsi_cuda_rest(hsi_cuda_device *device);
/* Finds or makes. Entered. `rest` may be NULL; with it, the section is busy. */
hsched_status hsi_cuda_variant_get(hsched_backend_section *section, uint32_t members,
                                   hsi_cuda_rest *rest, hsi_cuda_variant **variant);
hsi_cuda_variant *hsi_cuda_variant_find(hsched_backend_section *section,
                                        uint32_t members);
/* Tells a step where its constants are now: nowhere, if the weights are evicted. */
void hsi_cuda_locate_constants(const hsched_backend_section *section, uint32_t index,
                               hsi_cuda_step *step);
/* The size from `members` on for which kernels are tuned: a power of two, or the largest. */
uint32_t hsi_cuda_tuned_size(const hsched_backend_section *section, uint32_t members);
/* Sets workspace_bytes: counters and the scratch memory of the greediest op. */
hsched_status hsi_cuda_variant_measure(const hsched_backend_section *section,
                                       hsi_cuda_variant *variant);
/* Another op for a step from now on, whose owner the variant becomes; the old one stays for
 * graphs and launches that have it. Entered. */
hsched_status hsi_cuda_replace_op(hsched_backend_section *section,
                                  hsi_cuda_variant *variant, uint32_t step,
                                  hsi_cuda_op *other);
void hsi_cuda_variant_destroy(hsched_backend_section *section, hsi_cuda_variant *variant);

/* ---- enqueue.c -------------------------------------------------------------- */

/* Launches the ops of steps [first, first + count) and what passes in and out, in order.
 * `memory`: the slot's block; `table`: its table of addresses. Entered. */
typedef struct hsi_cuda_launch {
    CUstream stream;
    hsi_cuda_recorder *recorder; /* as in hsi_cuda_call */
    CUdeviceptr memory, workspace, table;
    CUdeviceptr
        arena; /* the host's, if the job has one: it is part of a graph, too; else 0 */
    uint32_t first, count;
} hsi_cuda_launch;
hsched_status hsi_cuda_variant_launch(hsched_backend_section *section,
                                      hsi_cuda_variant *variant,
                                      const hsi_cuda_launch *launch);

/* ---- section.c: the backend's functions ------------------------------------ */

int hsi_cuda_supports(const hsched_backend_device *device, const hsched_step *step);
hsched_status hsi_cuda_section_prepare(hsched_backend_device *device,
                                       hsched_section_config *config,
                                       hsched_backend_section **section);
void hsi_cuda_section_destroy(hsched_backend_section *section);
const char *hsi_cuda_kernel_name(const hsched_backend_section *section, uint32_t step);
uint64_t hsi_cuda_weight_bytes(const hsched_backend_section *section);
int hsi_cuda_joinable(const hsched_backend_section *section);

#endif
