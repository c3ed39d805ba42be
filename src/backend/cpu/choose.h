/* Which kernel executes a step. */
#ifndef HSI_BACKEND_CPU_CHOOSE_H
#define HSI_BACKEND_CPU_CHOOSE_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/kernel.h"

typedef struct hsi_cpu_choice {
    const hsi_cpu_kernel *kernel; /* NULL: none yet */
    hsi_cpu_prepared prepared;
    char *name;
} hsi_cpu_choice;

/* Chooses and prepares; may lower step->parts. The step's constants are aligned. */
hsched_status hsi_cpu_choose(const hsched_backend_device *device,
                             const hsi_cpu_prepare_context *context, hsched_step *step,
                             hsi_cpu_choice *choice);
void hsi_cpu_choice_clear(hsi_cpu_choice *choice);

/* For tests, which set it while nothing is prepared: the name of a kernel that is taken wherever it
 * supports the step; or NULL. */
extern const char *hsi_cpu_choose_only;

#endif
