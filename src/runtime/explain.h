/* Explanations: what is kept in one, and how it is found what the scheduler does with a run. */
#ifndef HSI_RUNTIME_EXPLAIN_H
#define HSI_RUNTIME_EXPLAIN_H

#include <hsched/experimental.h>

#include "runtime/foreseen.h"

struct hsched_explanation {
    hsched_model *model;
    hsched_explanation_info info;
    hsched_explained_section *sections;
    hsched_explained_step *steps;
    hsched_explained_crossing *crossings;
    hsched_explained_edge *edges;
    uint32_t crossing_capacity, edge_capacity;
};

typedef struct hsi_outlook_section {
    uint32_t job;
    double begin_us, us;
} hsi_outlook_section;

/*
 * outlook.c. Runs of a model that are submitted together to a machine that has nothing else to do:
 * the scheduler core with its policy in virtual time (simulator/engine.h), with the devices and
 * costs of a runtime.
 */
typedef struct hsi_outlook {
    hsi_foreseen seen; /* first: the policy of moved sections finds the rest by it */
    hsi_engine_config config;
    hsi_engine_load loads[HSI_MAX_DEVICES];
    uint32_t runs;
    uint32_t moved_section, moved_to;
    /* What the policy did. */
    uint8_t *devices;              /* [run * section_count + section] */
    hsi_outlook_section *sections; /* of the first run */
    uint32_t jobs, tensors;        /* likewise */
} hsi_outlook;

/* `loads`: per device; the others as hsi_foreseen_init takes them. Errors: OUT_OF_MEMORY; then it
 * is cleared. */
hsched_status hsi_outlook_init(hsi_outlook *outlook, hsched_model *model,
                               const hsi_placing *placing, const hsi_choices *sizes,
                               const double *loads, uint32_t runs);
void hsi_outlook_clear(hsi_outlook *outlook);
/* Has the policy place the runs; *end_us: when the last has ended. */
hsched_status hsi_outlook_ask(hsi_outlook *outlook, double *end_us);
/* The same runs after that with one section on another device, which can execute it. */
hsched_status hsi_outlook_move(hsi_outlook *outlook, uint32_t section, uint32_t device,
                               double *end_us);

/* crossings.c. Lists what steps read and write. Errors: OUT_OF_MEMORY. */
hsched_status hsi_explain_edges(hsched_explanation *explanation);
/* Lists what crosses in the first run, and adds it up. Errors: OUT_OF_MEMORY. */
hsched_status hsi_explain_crossings(hsched_explanation *explanation,
                                    const hsi_placement_problem *problem,
                                    const uint8_t *devices);

#endif
