/* Binding a run's inputs and outputs to memory. */
#ifndef HSI_RUNTIME_BIND_H
#define HSI_RUNTIME_BIND_H

#include "runtime/runtime.h"

/* Sets run->exec.inputs and retains upstream runs (also on failure: release them). count
 * 0: the model's. Errors: INVALID_ARGUMENT, SHAPE; the detail names the input. */
hsched_status hsi_bind_inputs(hsched_run *run, const hsched_binding *bindings,
                              uint32_t count);
hsched_status hsi_bind_outputs(hsched_run *run, const hsched_binding *bindings,
                               uint32_t count);

#endif
