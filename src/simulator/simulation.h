/* Behind the public API: what a simulation holds, and what it notes down while it runs. */
#ifndef HSI_SIMULATOR_SIMULATION_H
#define HSI_SIMULATOR_SIMULATION_H

#include <hsched/experimental.h>

#include "simulator/model.h"
#include "trace/trace.h"

typedef struct hsi_simulated { /* a model of it, and what became of its runs */
    hsi_simulated_model *model;
    const char *policy;
    int chooses; /* the policy has objectives; its own one, or DEFAULT: */
    hsched_objective objective;
    uint64_t succeeded, dropped, missed, jobs, crossings;
    double *latencies; /* of those that succeeded; sorted when all have ended */
    uint32_t latency_count, latency_capacity;
} hsi_simulated;

typedef struct hsi_load_steps {
    hsi_engine_load *steps;
    uint32_t count, capacity;
} hsi_load_steps;

struct hsched_simulation {
    hsi_platform *platform;
    hsi_measured *measured; /* NULL: costs are rates, or a runtime's */
    /* Of a runtime (runtime/simulate.c): its devices without loads, and the owner of what they, and
     * the models, are. The platform has their names. NULL: the devices are the platform's. */
    hsi_engine_config *machine;
    void *owner;
    void (*release)(void *owner);
    hsi_curve stretch[HSI_PLACEMENT_DEVICES];
    hsi_load_steps loads[HSI_PLACEMENT_DEVICES];
    hsi_simulated **models;
    uint32_t model_count, model_capacity;
    hsi_engine_stream *streams;
    uint32_t stream_count, stream_capacity;
    uint64_t runs; /* that all streams will submit */
    /* Of the last run. */
    hsi_engine_totals totals;
    uint64_t device_jobs[HSI_PLACEMENT_DEVICES];
    hsi_trace *trace; /* while it runs, if there is one */
    char *track_names[HSI_PLACEMENT_DEVICES];
};

/* Takes the model over, also if it fails. Errors: OUT_OF_MEMORY. */
hsched_status hsi_simulation_take(hsched_simulation *simulation,
                                  hsi_simulated_model *model, const hsi_policy *policy,
                                  hsched_objective objective);

/* report.c: forgets the last run; notes; makes what was noted ready to be asked for. */
void hsi_simulation_reset(hsched_simulation *simulation);
hsched_status hsi_simulation_note_job(void *simulation, const hsi_engine_job *job);
hsched_status hsi_simulation_note_run(void *simulation, const hsi_engine_run *run);
void hsi_simulation_finish(hsched_simulation *simulation);

/* objective.c: sets those of the models for a simulation. Errors: INVALID_ARGUMENT, NOT_FOUND. */
hsched_status hsi_simulation_set_objectives(hsched_simulation *simulation,
                                            const hsched_simulation_config *config);
/* What a device has drawn in the last run; 0: its watts are not known. */
double hsi_simulation_joules(const hsched_simulation *simulation, uint32_t device);

/* trace.c: a trace that says that its times are simulated. */
hsched_status hsi_simulation_trace_begin(hsched_simulation *simulation, const char *path);
hsched_status hsi_simulation_trace_job(hsched_simulation *simulation,
                                       const hsi_engine_job *job);
hsched_status hsi_simulation_trace_run(hsched_simulation *simulation,
                                       const hsi_engine_run *run);
/* Writes the file if `status` is OK, and frees the trace. Gives the first error. */
hsched_status hsi_simulation_trace_end(hsched_simulation *simulation,
                                       hsched_status status);

#endif
