/*
 * Compiling: from a graph of layers to steps in execution order, grouped into sections,
 * every tensor with its place in memory. Pure: no device is touched and nothing is
 * executed, so all of this is tested alone.
 *
 * Passes, in the order in which they run, one file each (passes.h says what holds between
 * them):
 *
 * - lower: layers -> steps with logical shapes; constants folded (BatchNorm into scale
 *   and shift)
 * - fuse: conv/fc/matmul + BatchNorm + residual add + activation; scale + activation; ...
 * - levels: what lies on levels of 8 bits
 * - separable: depthwise + pointwise convolution
 * - layout: channels-last or dense for each tensor
 * - views: reshape, slice, transpose, squeeze become strided views of their input where
 *   they can; copies inserted where a view or a step needs what its operand is not
 *   (contract: hsched/backend.h)
 * - concat: inputs of a concat get their place inside the joint tensor, and outputs
 *   theirs in the user's memory, so that producers write there; what cannot is copied
 * - sections: cut points, dependencies
 * - alias: steps in place
 * - memory: offsets in the arena, by liveness over the DAG of sections
 * - emit: the steps as backends see them
 */
#ifndef HSI_PLAN_PLAN_H
#define HSI_PLAN_PLAN_H

#include <hsched/backend.h>

#include "graph/graph.h"

typedef struct hsi_plan_step {
    hsched_step step; /* name and constants are owned or borrowed by the plan */
    hsched_place in[HSCHED_STEP_MAX_INPUTS];
    hsched_place out;
    /* The steps whose results in[k] consists of, where it is no input or constant. */
    uint32_t *writers[HSCHED_STEP_MAX_INPUTS];
    uint32_t writer_count[HSCHED_STEP_MAX_INPUTS];
    uint32_t section;
    hsched_tensor
        tensor; /* of the graph: the tensor that this step completes, or NO_TENSOR */
} hsi_plan_step;

typedef struct hsi_plan_section {
    uint32_t first_step, step_count; /* consecutive steps */
    uint32_t class_bits;
    uint32_t dep_count;
    uint32_t *deps;            /* sections whose results this one reads, ascending */
    uint32_t *crossing_counts; /* tensors per dep */
    uint32_t user_count;
    uint32_t *users;
} hsi_plan_section;

typedef struct hsi_plan_io { /* an input or output as the user binds it */
    char *name;
    hsched_dtype dtype;
    hsched_layout layout;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    char *symbols[HSCHED_MAX_DIMS]; /* or NULL */
    size_t byte_size;
} hsi_plan_io;

typedef struct hsi_plan {
    hsi_plan_step *steps;
    uint32_t step_count;
    hsi_plan_section *sections;
    uint32_t section_count;
    hsi_plan_io *inputs, *outputs;
    uint32_t input_count, output_count;
    size_t arena_size; /* bytes, 64-byte aligned places inside */
    void *constants;   /* block for HSCHED_STORAGE_CONSTANT */
    size_t constants_size;
    void *pass_memory; /* the passes' own: folded weights, names; see hsi_plan_packed */
} hsi_plan;

typedef struct hsi_plan_config {
    hsched_layout input_layout, output_layout;
    const char *const *taps;
    uint32_t tap_count;
    int no_fusion;
    uint64_t
        without; /* bits 1 << HSCHED_STEP_... of kinds that take several steps' place:
                         those are left as they are. ROTARY, SEPARABLE_CONV2D */
    int step_sections;  /* each step is a section */
    uint32_t max_parts; /* >= 1 */
    int (*cut)(uint32_t class_before,
               uint32_t class_after); /* must cut there; may be NULL */
    const uint32_t *groups; /* of the steps, as an earlier plan of the same graph numbers
                               them: it must cut between different ones; may be NULL */
    int preserve_section_inputs; /* what a section reads stays intact until the section
                                    ends, so that it can be run again elsewhere (no
                                    in-place step on it, no reuse) */
    int parallel_steps; /* steps of a section may run beside each other where no data pass
                           between them: their memory is kept apart, too */
} hsi_plan_config;

/*
 * Compiles a graph whose symbols have been set (hsi_graph_specialise). The plan borrows
 * constants from the graph until hsi_plan_packed. Outputs are the graph's, then the taps.
 */
hsched_status hsi_plan_create(const hsched_graph *graph, const hsi_plan_config *config,
                              hsi_plan **plan);

/* What a model of such math is made without: alone, a pointwise convolution may be of bfloat16. */
static inline uint64_t hsi_plan_without(hsched_math math)
{
    return math == HSCHED_MATH_BF16 ? UINT64_C(1) << HSCHED_STEP_SEPARABLE_CONV2D : 0;
}

/*
 * That several steps are one may be what keeps a device from them: which kinds of the plan one of
 * the devices 1 to count - 1 cannot take, but steps like those in whose place they are. The plan is
 * then to be made without these.
 */
uint64_t hsi_plan_lacking(const hsi_plan *plan, uint32_t count,
                          int (*supports)(const void *user, uint32_t device,
                                          const hsched_step *step),
                          const void *user);

/* All backends have packed their constants: drops folded weights and clears the steps'
 * constant pointers, unless `constants_stay`. The graph may go afterwards. */
void hsi_plan_packed(hsi_plan *plan, int constants_stay);
void hsi_plan_destroy(hsi_plan *plan);

/* ---- The memory planner, usable alone ------------------------------------- */

typedef struct hsi_memory_item {
    size_t size;
    size_t offset; /* result, a multiple of 64 */
} hsi_memory_item;

/*
 * Gives every item an offset so that items that conflict never overlap, and returns the
 * total size through `total`. Greedy by size (Pisarchyk and Lee, "Efficient Memory
 * Management for Deep Neural Net Inference", 2020). Errors: OUT_OF_MEMORY, LIMIT (sizes
 * overflow).
 */
hsched_status hsi_memory_plan(hsi_memory_item *items, uint32_t count,
                              int (*conflict)(void *user, uint32_t a, uint32_t b),
                              void *user, size_t *total);

#endif
