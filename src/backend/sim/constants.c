#include "backend/sim/constants.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/*
 * The bytes from the lowest to behind the highest element of an operand, and where in
 * them the element with index 0 lies (not at the start if strides are negative). 0 on
 * overflow.
 */
static int operand_span(const hsched_operand *op, size_t *size, size_t *first)
{
    int64_t low = 0, high = 0;
    for (uint32_t d = 0; d < op->rank; d++) {
        int64_t reach;
        if (!hsi_mul_i64(op->dims[d] - 1, op->strides[d], &reach) ||
            !hsi_add_i64(reach < 0 ? low : high, reach, reach < 0 ? &low : &high))
            return 0;
    }
    int64_t elements;
    size_t element = hsched_dtype_size(op->dtype);
    return !__builtin_sub_overflow(high, low, &elements) &&
           hsi_add_i64(elements, 1, &elements) &&
           hsi_mul_size((size_t)elements, element, size) &&
           hsi_mul_size((size_t)-low, element, first);
}

/* One pass over the constants: adds up the sizes and, if there is a block, fills it. */
static int place_constants(hsi_sim_constants *constants,
                           const hsched_section_config *config, size_t *total)
{
    *total = 0;
    for (uint32_t s = 0; s < config->step_count; s++) {
        const hsched_step *step = &config->steps[s];
        for (uint32_t i = 0; i < step->input_count; i++) {
            const hsched_operand *op = &step->in[i];
            size_t size, first;
            if (op->dtype == HSCHED_DTYPE_NONE || !op->constant)
                continue;
            if (!operand_span(op, &size, &first))
                return 0;
            if (constants->block) {
                char *copy = (char *)constants->block + *total;
                memcpy(copy, (const char *)op->constant - first, size);
                constants->entries[(size_t)s * HSCHED_STEP_MAX_INPUTS + i] = copy + first;
            }
            if (!hsi_round_up_size(size, 64, &size) || !hsi_add_size(*total, size, total))
                return 0;
        }
    }
    return 1;
}

hsched_status hsi_sim_constants_init(hsi_sim_constants *constants,
                                     const hsched_section_config *config)
{
    size_t count, total;
    if (!hsi_mul_size(config->step_count, HSCHED_STEP_MAX_INPUTS, &count))
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "a section has too many steps (%u); split the model",
                         config->step_count);
    constants->entries = HSI_NEW_ARRAY(const void *, count > 0 ? count : 1);
    if (!constants->entries)
        return hsi_out_of_memory("the constants of a simulated device");
    if (config->constants_stay) {
        for (uint32_t s = 0; s < config->step_count; s++)
            for (uint32_t i = 0; i < config->steps[s].input_count; i++)
                if (config->steps[s].in[i].dtype != HSCHED_DTYPE_NONE)
                    constants->entries[(size_t)s * HSCHED_STEP_MAX_INPUTS + i] =
                        config->steps[s].in[i].constant;
        return HSCHED_OK;
    }
    if (!place_constants(constants, config, &total))
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "a section's constants are too large to address; "
                         "split the model");
    if (total == 0)
        return HSCHED_OK;
    constants->block = hsi_alloc_aligned(total);
    if (!constants->block)
        return hsi_out_of_memory("the constants of a simulated device");
    constants->bytes = total;
    place_constants(constants, config, &total); /* the same sizes again: cannot fail */
    return HSCHED_OK;
}

void hsi_sim_constants_clear(hsi_sim_constants *constants)
{
    hsi_free((void *)constants->entries);
    hsi_free(constants->block);
}
