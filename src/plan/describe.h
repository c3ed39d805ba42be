/* What others ask about a plan: how much work it is, what passes between its sections, what it is
 * known by in traces and in the cost table. Pure, but for the memory that is given back. */
#ifndef HSI_PLAN_DESCRIBE_H
#define HSI_PLAN_DESCRIBE_H

#include "cost/cost.h"
#include "plan/plan.h"
#include "trace/model.h"

/* Of `count` steps from `first` on, for one run. */
hsi_cost_work hsi_plan_work(const hsi_plan *plan, uint32_t first, uint32_t count);

/* Bytes of what section `to` reads of section `from`; each step's result counts once, as a whole.
 * `read_by`: for the plan's steps, zeroed before the first call; calls with ascending `to` may
 * share it. */
uint64_t hsi_plan_crossing_bytes(const hsi_plan *plan, uint32_t from, uint32_t to,
                                 uint32_t *read_by);

/* Bytes of the model's inputs that the section reads, each once and as a whole, and of the model's
 * outputs that it writes. */
void hsi_plan_io_bytes(const hsi_plan *plan, uint32_t section, uint64_t *input_bytes,
                       uint64_t *output_bytes);
/* 1 if the k-th operand of the step is an input of the model that no earlier step of its section
 * reads. */
int hsi_plan_takes_input(const hsi_plan *plan, uint32_t step, uint32_t k);
/* Of what the step writes. */
uint64_t hsi_plan_result_bytes(const hsi_plan *plan, uint32_t step);

/* What traces say about it. Errors: OUT_OF_MEMORY. */
hsched_status hsi_plan_describe(const hsi_plan *plan, const char *name,
                                hsi_trace_model **result);

typedef struct hsi_plan_identity { /* what else shapes the times of a model */
    uint64_t graph_hash;           /* hsi_cost_model_hash */
    hsched_layout input_layout, output_layout;
    int deterministic;
} hsi_plan_identity;

/* What the model is known by in the cost table: the graph's hash, and what of the plan does not
 * follow from the graph. Parts and steps are as the plan has them: a backend's choice of fewer
 * parts follows from its device's text. */
uint64_t hsi_plan_hash(const hsi_plan *plan, const hsi_plan_identity *identity);

#endif
