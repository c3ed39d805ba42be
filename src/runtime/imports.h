/*
 * Imported buffers that a run is bound to. It holds them until it is given back, so that their
 * memory stays mapped as long as its outputs can be read, and brackets its accesses to dma-bufs:
 * from its submission to its end, before anybody hears of that. Both calls may take a while (the
 * kernel waits for devices and works on caches), so neither is made under the scheduler lock.
 */
#ifndef HSI_RUNTIME_IMPORTS_H
#define HSI_RUNTIME_IMPORTS_H

#include "runtime/runtime.h"

/* `buffer`, which may be NULL or not imported, is bound to an input or, behind those, output. */
void hsi_imports_keep(hsched_run *run, uint32_t io, hsched_buffer *buffer);
/* Sets run->accessing if there is something to end. Errors: SYSTEM. */
hsched_status hsi_imports_begin(hsched_run *run);
void hsi_imports_end(hsched_run *run);
/* Nothing refers to the run any more. */
void hsi_imports_release(hsched_run *run);

#endif
