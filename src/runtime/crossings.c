/* What passes between steps, and what of that crosses between devices in a run that is placed: each
 * tensor, and all together. */
#include "base/alloc.h"
#include "base/status.h"
#include "plan/describe.h"
#include "runtime/explain.h"

typedef struct listing {
    hsched_explanation *explanation;
    const hsi_plan *plan;
    const hsi_placement_problem *problem;
    const uint8_t *devices;
    uint32_t *
        read_by; /* per step: the last section that was seen to read its result, plus 1 */
    uint32_t *there; /* per section: devices that have taken its results over, as bits */
} listing;

/* `begins`: what passes with it pays for the hand-over as well. */
static hsched_status add(listing *l, hsched_explained_crossing *c, int begins)
{
    hsched_explanation *e = l->explanation;
    const hsi_placement_link *link = &l->problem->links[c->from_device][c->to_device];
    c->struct_size = sizeof *c;
    if (!c->there && c->bytes > 0)
        c->us = link->us_per_byte * (double)c->bytes + (begins ? link->us : 0);
    if (!HSI_GROW(e->crossings, e->info.crossings, e->crossing_capacity))
        return hsi_out_of_memory("an explanation's crossings");
    e->crossings[e->info.crossings++] = *c;
    if (c->from_step == HSCHED_EXPLAINED_USER || c->to_step == HSCHED_EXPLAINED_USER) {
        e->info.io_bytes += c->bytes;
        e->info.io_us += c->us;
    } else if (!c->there) {
        e->info.crossing_bytes += c->bytes;
        e->info.crossing_us += c->us;
    }
    return HSCHED_OK;
}

/* What `section` reads of another. Only the first of a device has to wait for it to pass. */
static hsched_status add_results(listing *l, uint32_t from, uint32_t section)
{
    const hsi_plan *plan = l->plan;
    const uint32_t here = l->devices[section];
    const int there = (int)(l->there[from] >> here & 1);
    uint32_t added = 0;
    hsched_status status = HSCHED_OK;
    const hsi_plan_section *s = &plan->sections[section];
    for (uint32_t i = s->first_step; i < s->first_step + s->step_count; i++)
        for (uint32_t k = 0; k < plan->steps[i].step.input_count; k++)
            for (uint32_t w = 0; w < plan->steps[i].writer_count[k]; w++) {
                const uint32_t writer = plan->steps[i].writers[k][w];
                if (plan->steps[writer].section != from ||
                    l->read_by[writer] == section + 1 || status != HSCHED_OK)
                    continue;
                l->read_by[writer] = section + 1;
                hsched_explained_crossing c = {
                    .tensor = plan->steps[writer].step.name,
                    .from_step = writer,
                    .from_section = from,
                    .from_device = l->devices[from],
                    .to_step = i,
                    .to_section = section,
                    .to_device = here,
                    .bytes = hsi_plan_result_bytes(plan, writer),
                    .there = there,
                };
                status = add(l, &c, added++ == 0);
            }
    l->there[from] |= added ? UINT32_C(1) << here : 0;
    return status;
}

static hsched_status add_inputs(listing *l, uint32_t section)
{
    const hsi_plan *plan = l->plan;
    const hsi_plan_section *s = &plan->sections[section];
    uint32_t added = 0;
    hsched_status status = HSCHED_OK;
    for (uint32_t i = s->first_step; i < s->first_step + s->step_count; i++)
        for (uint32_t k = 0; k < plan->steps[i].step.input_count; k++) {
            if (status != HSCHED_OK || !hsi_plan_takes_input(plan, i, k))
                continue;
            const hsi_plan_io *io = &plan->inputs[plan->steps[i].in[k].index];
            hsched_explained_crossing c = { .tensor = io->name,
                                            .from_step = HSCHED_EXPLAINED_USER,
                                            .from_section = HSCHED_EXPLAINED_USER,
                                            .to_step = i,
                                            .to_section = section,
                                            .to_device = l->devices[section],
                                            .bytes = io->byte_size };
            status = add(l, &c, added++ == 0);
        }
    return status;
}

static hsched_status add_outputs(listing *l, uint32_t section)
{
    const hsi_plan *plan = l->plan;
    const hsi_plan_section *s = &plan->sections[section];
    uint32_t added = 0;
    hsched_status status = HSCHED_OK;
    for (uint32_t i = s->first_step;
         i < s->first_step + s->step_count && status == HSCHED_OK; i++) {
        if (plan->steps[i].out.storage != HSCHED_STORAGE_OUTPUT)
            continue;
        hsched_explained_crossing c = { .tensor =
                                            plan->outputs[plan->steps[i].out.index].name,
                                        .from_step = i,
                                        .from_section = section,
                                        .from_device = l->devices[section],
                                        .to_step = HSCHED_EXPLAINED_USER,
                                        .to_section = HSCHED_EXPLAINED_USER,
                                        .bytes = hsi_plan_result_bytes(plan, i) };
        status = add(l, &c, added++ == 0);
    }
    return status;
}

static hsched_status add_section(listing *l, uint32_t section)
{
    const hsi_plan_section *s = &l->plan->sections[section];
    hsched_status status = HSCHED_OK;
    if (l->devices[section] != 0)
        status = add_inputs(l, section);
    for (uint32_t i = 0; i < s->dep_count && status == HSCHED_OK; i++)
        if (l->devices[s->deps[i]] != l->devices[section])
            status = add_results(l, s->deps[i], section);
    if (status == HSCHED_OK && l->devices[section] != 0)
        status = add_outputs(l, section);
    return status;
}

hsched_status hsi_explain_crossings(hsched_explanation *explanation,
                                    const hsi_placement_problem *problem,
                                    const uint8_t *devices)
{
    const hsi_plan *plan = explanation->model->plan;
    listing l = { .explanation = explanation,
                  .plan = plan,
                  .problem = problem,
                  .devices = devices,
                  .read_by = HSI_NEW_ARRAY(uint32_t, plan->step_count),
                  .there = HSI_NEW_ARRAY(uint32_t, plan->section_count) };
    hsched_status status = l.read_by && l.there
                               ? HSCHED_OK
                               : hsi_out_of_memory("an explanation's crossings");
    for (uint32_t s = 0; s < plan->section_count && status == HSCHED_OK; s++)
        status = add_section(&l, s);
    hsi_free(l.read_by);
    hsi_free(l.there);
    return status;
}

/* ---- Edges ---------------------------------------------------------------- */

static hsched_status add_edge(hsched_explanation *e, const char *tensor, uint32_t from,
                              uint32_t to, uint64_t bytes)
{
    if (!HSI_GROW(e->edges, e->info.edges, e->edge_capacity))
        return hsi_out_of_memory("an explanation's edges");
    e->edges[e->info.edges++] =
        (hsched_explained_edge){ HSCHED_EXPLAINED_EDGE_INIT, .tensor = tensor,
                                 .from_step = from, .to_step = to, .bytes = bytes };
    return HSCHED_OK;
}

/* 1 if an operand before the k-th is the same input of the model. */
static int takes_before(const hsi_plan_step *s, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++)
        if (s->in[i].storage == HSCHED_STORAGE_INPUT && s->in[i].index == s->in[k].index)
            return 1;
    return 0;
}

static hsched_status add_edges_to(hsched_explanation *e, uint32_t step, uint32_t *read_by)
{
    const hsi_plan *plan = e->model->plan;
    const hsi_plan_step *s = &plan->steps[step];
    hsched_status status = HSCHED_OK;
    for (uint32_t k = 0; k < s->step.input_count && status == HSCHED_OK; k++) {
        if (s->in[k].storage == HSCHED_STORAGE_INPUT && !takes_before(s, k))
            status = add_edge(e, plan->inputs[s->in[k].index].name, HSCHED_EXPLAINED_USER,
                              step, plan->inputs[s->in[k].index].byte_size);
        for (uint32_t w = 0; w < s->writer_count[k] && status == HSCHED_OK; w++) {
            const uint32_t writer = s->writers[k][w];
            if (read_by[writer] == step + 1)
                continue;
            read_by[writer] = step + 1;
            status = add_edge(e, plan->steps[writer].step.name, writer, step,
                              hsi_plan_result_bytes(plan, writer));
        }
    }
    if (status == HSCHED_OK && s->out.storage == HSCHED_STORAGE_OUTPUT)
        status = add_edge(e, plan->outputs[s->out.index].name, step,
                          HSCHED_EXPLAINED_USER, hsi_plan_result_bytes(plan, step));
    return status;
}

hsched_status hsi_explain_edges(hsched_explanation *explanation)
{
    const hsi_plan *plan = explanation->model->plan;
    uint32_t *read_by = HSI_NEW_ARRAY(uint32_t, plan->step_count);
    hsched_status status =
        read_by ? HSCHED_OK : hsi_out_of_memory("an explanation's edges");
    for (uint32_t i = 0; i < plan->step_count && status == HSCHED_OK; i++)
        status = add_edges_to(explanation, i, read_by);
    hsi_free(read_by);
    return status;
}
