/* Traces: starting and stopping them, and what the controller records. */
#ifndef HSI_RUNTIME_TRACING_H
#define HSI_RUNTIME_TRACING_H

#include "runtime/runtime.h"

/* What traces will say about the model, whose plan has been made. Errors: OUT_OF_MEMORY. */
hsched_status hsi_tracing_describe(hsched_model *model);

/* The runtime goes: the trace, if there is one, is stopped. Nothing is in flight. */
void hsi_tracing_close(hsched_runtime *rt);

/* All of these under the scheduler lock, and only while there is a trace (rt->pool->trace). */

/* Events have happened: counters, and what became of runs and devices thereby. */
void hsi_tracing_observe(hsched_runtime *rt);
void hsi_tracing_run_cancelled(hsched_run *run); /* or is about to be */
void hsi_tracing_run_ended(hsched_run *run);

#endif
