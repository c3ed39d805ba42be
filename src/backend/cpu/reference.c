/*
 * The plain reference kernel as a kernel of this backend: for devices opened with
 * `reference`, and for steps that no other kernel takes. One part, exact and slow.
 */
#include "backend/backend.h"
#include "backend/cpu/kernel.h"
#include "base/alloc.h"
#include "base/status.h"

typedef struct reference_state {
    hsched_step step; /* with constants that stay */
    void *owned[HSCHED_STEP_MAX_INPUTS];
} reference_state;

static void reference_destroy(void *pointer)
{
    reference_state *state = pointer;
    if (!state)
        return;
    for (uint32_t i = 0; i < HSCHED_STEP_MAX_INPUTS; i++)
        hsi_free(state->owned[i]);
    hsi_free(state);
}

static hsched_status reference_prepare(const hsi_cpu_prepare_context *context,
                                       hsched_step *step, hsi_cpu_prepared *prepared)
{
    step->parts = 1;
    reference_state *state = HSI_NEW(reference_state);
    if (!state)
        return hsi_out_of_memory("a reference kernel");
    state->step = *step;
    for (uint32_t i = 0; i < step->input_count; i++) {
        hsched_status status;
        state->step.in[i].constant = hsi_cpu_keep_constant(
            context, &step->in[i], &state->owned[i], &prepared->weight_bytes, &status);
        if (status != HSCHED_OK) {
            reference_destroy(state);
            return status;
        }
    }
    prepared->state = state;
    return HSCHED_OK;
}

static hsched_status reference_run(const hsched_step *step, const void *pointer,
                                   void *slot_state, void *const *operands, uint32_t part,
                                   void *scratch)
{
    (void)slot_state;
    (void)part;
    (void)scratch;
    const reference_state *state = pointer;
    const void *inputs[HSCHED_STEP_MAX_INPUTS] = { 0 };
    for (uint32_t i = 0; i < step->input_count; i++)
        inputs[i] = operands[i];
    return hsi_ref_run(&state->step, inputs, operands[step->input_count]);
}

const hsi_cpu_kernel hsi_cpu_kernel_reference = {
    .name = "reference",
    .library = HSCHED_LIBRARY_OWN,
    .prepare = reference_prepare,
    .destroy = reference_destroy,
    .run = reference_run,
};
