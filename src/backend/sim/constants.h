/* The constants of a section's steps, kept for as long as the section lives. */
#ifndef HSI_BACKEND_SIM_CONSTANTS_H
#define HSI_BACKEND_SIM_CONSTANTS_H

#include <hsched/backend.h>

typedef struct hsi_sim_constants {
    const void *
        *entries;   /* [step * HSCHED_STEP_MAX_INPUTS + input], NULL: not a constant */
    void *block;    /* the copies, NULL if the originals stay */
    uint64_t bytes; /* of the copies */
} hsi_sim_constants;

/* Copies them unless config->constants_stay. After a failure `constants` is still to be
 * cleared. Errors: OUT_OF_MEMORY, LIMIT (sizes overflow). */
hsched_status hsi_sim_constants_init(hsi_sim_constants *constants,
                                     const hsched_section_config *config);
void hsi_sim_constants_clear(hsi_sim_constants *constants);

/* The address of the first element of an input, or NULL if it is not a constant. */
static inline const void *hsi_sim_constants_get(const hsi_sim_constants *constants,
                                                uint32_t step, uint32_t input)
{
    return constants->entries[(size_t)step * HSCHED_STEP_MAX_INPUTS + input];
}

#endif
