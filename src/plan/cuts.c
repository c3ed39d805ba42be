/*
 * Where the steps are cut into sections: where few tensors are live, so that little has
 * to pass from one device to another or be kept for a restart; not so often that handing
 * over jobs costs more than it gains; wherever the policy says that the kind of work
 * changes; and where steps that one device can execute meet others.
 */
#include "plan/passes.h"

#include <string.h>

#include "base/tensor.h"

enum {
    WANTED_SECTIONS = 48, /* about so many in a large network */
    WORK_PER_ELEMENT = 8 /* an element written costs about so many multiply-accumulates */
};
static const uint64_t min_section_work = 2000000;

static uint64_t work_of(const hsi_op *op)
{
    size_t count;
    if (!hsi_element_count(op->out->rank, op->out->dims, &count))
        count = 0; /* not reached: own_root has checked it */
    return op->macs + (uint64_t)count * WORK_PER_ELEMENT;
}

static uint32_t class_of(const hsi_op *op)
{
    return hsched_step_kind_class((hsched_step_kind)op->kind);
}

/* live[i]: tensors that a cut after step i would separate from their readers. A joint
 * tensor counts from when it is complete or is first read. */
static void count_live(const hsi_ir *ir, int32_t *live)
{
    for (uint32_t r = 0; r < ir->root_count; r++) {
        const hsi_root *root = ir->roots[r];
        if (root->reader_count == 0)
            continue;
        uint32_t first = root->writers[0]->step_index;
        const uint32_t complete = root->writers[root->writer_count - 1]->step_index;
        const uint32_t first_read = root->readers[0]->step_index;
        const uint32_t last = root->readers[root->reader_count - 1]->step_index;
        const uint32_t matters = complete < first_read ? complete : first_read;
        if (first < matters)
            first = matters;
        if (first < last) {
            live[first]++;
            live[last]--;
        }
    }
    for (uint32_t s = 1; s < ir->step_count; s++)
        live[s] += live[s - 1];
}

/* A cut that separates k tensors must be worth k * k sections. */
static int is_cut(uint64_t work, uint64_t rest, uint64_t least, int32_t live)
{
    const uint64_t k = live > 1 ? (uint64_t)live : 1;
    return rest >= least && work / (k * k) >= least;
}

static int is_forced(const hsi_ir *ir, uint32_t s)
{
    const hsi_plan_config *config = ir->config;
    if (config->step_sections)
        return 1;
    if (config->groups != NULL && config->groups[s] != config->groups[s + 1])
        return 1;
    return config->cut != NULL &&
           config->cut(class_of(ir->steps[s]), class_of(ir->steps[s + 1]));
}

hsched_status hsi_sections_cut(hsi_ir *ir)
{
    hsi_plan *plan = ir->plan;
    int32_t *live = HSI_POOL_ARRAY(&ir->temporary, int32_t, (size_t)ir->step_count + 1);
    if (live == NULL)
        return hsi_ir_no_memory();
    count_live(ir, live);
    uint64_t rest = 0, work = 0;
    for (uint32_t s = 0; s < ir->step_count; s++)
        rest += work_of(ir->steps[s]);
    uint64_t least = rest / WANTED_SECTIONS;
    if (least < min_section_work)
        least = min_section_work;
    uint32_t section = 0;
    for (uint32_t s = 0; s < ir->step_count; s++) {
        hsi_op *op = ir->steps[s];
        op->section = section;
        work += work_of(op);
        rest -= work_of(op);
        if (s + 1 == ir->step_count)
            break;
        if (is_forced(ir, s) || is_cut(work, rest, least, live[s])) {
            section++;
            work = 0;
        }
    }
    plan->section_count = section + 1;
    plan->sections =
        HSI_POOL_ARRAY(&ir->memory->keep, hsi_plan_section, plan->section_count);
    if (plan->sections == NULL)
        return hsi_ir_no_memory();
    for (uint32_t s = 0; s < ir->step_count; s++) {
        hsi_plan_section *of = &plan->sections[ir->steps[s]->section];
        if (of->step_count++ == 0)
            of->first_step = s;
        of->class_bits |= class_of(ir->steps[s]);
    }
    return HSCHED_OK;
}
