/* What one run of a source takes of which device: by the cost table, or by what the application
 * says. */
#ifndef HSI_RUNTIME_DEMAND_H
#define HSI_RUNTIME_DEMAND_H

#include "runtime/source.h"
#include "sched/periodic.h"

/* Takes the scheduler lock and the table's. Errors: OUT_OF_MEMORY; clearing is then allowed. */
hsched_status hsi_demand_describe(const hsched_source *source, hsi_periodic_task *task);
void hsi_demand_clear(hsi_periodic_task *task); /* zeroed, too: nothing */

#endif
