#include "plan/describe.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "cost/hash.h"

/* ---- Work ----------------------------------------------------------------- */

static double bytes_of(const hsched_operand *operand)
{
    double bytes = (double)hsched_dtype_size(operand->dtype); /* 0: absent */
    for (uint32_t i = 0; i < operand->rank; i++)
        bytes *= (double)operand->dims[i];
    return bytes;
}

hsi_cost_work hsi_plan_work(const hsi_plan *plan, uint32_t first, uint32_t count)
{
    hsi_cost_work work = { 0 };
    for (uint32_t i = first; i < first + count; i++) {
        const hsched_step *s = &plan->steps[i].step;
        work.flops += 2 * (double)s->macs;
        work.bytes += bytes_of(&s->out);
        for (uint32_t k = 0; k < s->input_count; k++)
            work.bytes += bytes_of(&s->in[k]);
    }
    return work;
}

uint64_t hsi_plan_crossing_bytes(const hsi_plan *plan, uint32_t from, uint32_t to,
                                 uint32_t *read_by)
{
    const hsi_plan_section *section = &plan->sections[to];
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < section->step_count; i++) {
        const hsi_plan_step *s = &plan->steps[section->first_step + i];
        for (uint32_t k = 0; k < s->step.input_count; k++)
            for (uint32_t w = 0; w < s->writer_count[k]; w++) {
                const uint32_t writer = s->writers[k][w];
                if (plan->steps[writer].section != from || read_by[writer] == to + 1)
                    continue;
                read_by[writer] = to + 1;
                bytes += (uint64_t)bytes_of(&plan->steps[writer].step.out);
            }
    }
    return bytes;
}

uint64_t hsi_plan_result_bytes(const hsi_plan *plan, uint32_t step)
{
    return (uint64_t)bytes_of(&plan->steps[step].step.out);
}

int hsi_plan_takes_input(const hsi_plan *plan, uint32_t step, uint32_t k)
{
    const hsched_place *place = &plan->steps[step].in[k];
    if (place->storage != HSCHED_STORAGE_INPUT)
        return 0;
    for (uint32_t i = plan->sections[plan->steps[step].section].first_step; i <= step;
         i++) {
        const uint32_t count = i < step ? plan->steps[i].step.input_count : k;
        for (uint32_t j = 0; j < count; j++)
            if (plan->steps[i].in[j].storage == HSCHED_STORAGE_INPUT &&
                plan->steps[i].in[j].index == place->index)
                return 0;
    }
    return 1;
}

void hsi_plan_io_bytes(const hsi_plan *plan, uint32_t section, uint64_t *input_bytes,
                       uint64_t *output_bytes)
{
    const hsi_plan_section *s = &plan->sections[section];
    *input_bytes = *output_bytes = 0;
    for (uint32_t i = s->first_step; i < s->first_step + s->step_count; i++) {
        for (uint32_t k = 0; k < plan->steps[i].step.input_count; k++)
            if (hsi_plan_takes_input(plan, i, k))
                *input_bytes += plan->inputs[plan->steps[i].in[k].index].byte_size;
        if (plan->steps[i].out.storage == HSCHED_STORAGE_OUTPUT)
            *output_bytes += hsi_plan_result_bytes(plan, i);
    }
}

/* ---- For traces ----------------------------------------------------------- */

static hsi_trace_model_size size_of(const hsi_plan *plan, const char *name)
{
    hsi_trace_model_size size = { .steps = plan->step_count,
                                  .sections = plan->section_count,
                                  .text = strlen(name) + 1 };
    for (uint32_t i = 0; i < plan->step_count; i++)
        size.text += strlen(plan->steps[i].step.name) + 1;
    for (uint32_t s = 0; s < plan->section_count; s++)
        size.deps += plan->sections[s].dep_count;
    return size;
}

hsched_status hsi_plan_describe(const hsi_plan *plan, const char *name,
                                hsi_trace_model **result)
{
    const hsi_trace_model_size size = size_of(plan, name);
    uint32_t *read_by = HSI_NEW_ARRAY(uint32_t, plan->step_count);
    hsi_trace_model *made = read_by ? hsi_trace_model_create(&size, name) : NULL;
    for (uint32_t i = 0; made && i < plan->step_count; i++)
        hsi_trace_model_add_step(made, plan->steps[i].step.name,
                                 hsched_step_kind_name(plan->steps[i].step.kind));
    for (uint32_t s = 0; made && s < plan->section_count; s++) {
        const hsi_plan_section *section = &plan->sections[s];
        hsi_trace_model_add_section(made);
        for (uint32_t d = 0; d < section->dep_count; d++)
            hsi_trace_model_add_dep(
                made, section->deps[d],
                hsi_plan_crossing_bytes(plan, section->deps[d], s, read_by));
    }
    hsi_free(read_by);
    *result = made;
    return made ? HSCHED_OK : hsi_out_of_memory("a model's names");
}

/* ---- For the cost table --------------------------------------------------- */

uint64_t hsi_plan_hash(const hsi_plan *plan, const hsi_plan_identity *identity)
{
    uint64_t hash = hsi_cost_mix(identity->graph_hash, identity->input_layout);
    hash = hsi_cost_mix(hash, identity->output_layout);
    hash = hsi_cost_mix(hash, (uint64_t)identity->deterministic);
    hash = hsi_cost_mix(hash, plan->output_count);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const hsi_plan_step *s = &plan->steps[i];
        hash = hsi_cost_mix_text(hash, hsched_step_kind_name(s->step.kind));
        hash = hsi_cost_mix(hash, (uint64_t)s->section << 32 | s->step.parts);
        hash = hsi_cost_mix(hash, s->step.out.rank);
        for (uint32_t k = 0; k < s->step.out.rank; k++) {
            hash = hsi_cost_mix(hash, (uint64_t)s->step.out.dims[k]);
            hash = hsi_cost_mix(hash, (uint64_t)s->step.out.strides[k]);
        }
    }
    return hash;
}
