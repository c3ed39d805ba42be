#include "simulator/model.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/status.h"
#include "cost/hash.h"
#include "plan/describe.h"

typedef struct machine {
    const hsi_platform *platform;
    const hsi_measured *measured; /* or NULL */
} machine;

static int supports(const void *user, uint32_t device, const hsched_step *step)
{
    const machine *m = user;
    return m->measured ? hsi_measured_supports(m->measured, device, step)
                       : hsi_platform_supports(&m->platform->devices[device], step);
}

/* Which devices can execute each step, as bits; 1 if that differs within a section. As
 * hsi_model_find_groups of a runtime does it, so that the sections are the same. */
static int find_groups(const machine *m, const hsi_plan *plan, uint32_t *groups)
{
    int mixed = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        groups[i] = 0;
        for (uint32_t d = 1; d < m->platform->device_count; d++)
            if (supports(m, d, &plan->steps[i].step))
                groups[i] |= 1u << d;
        mixed |= i > 0 && plan->steps[i].section == plan->steps[i - 1].section &&
                 groups[i] != groups[i - 1];
    }
    return mixed;
}

static hsched_status make_plan(hsi_simulated_model *model, const hsi_platform *platform,
                               const hsi_measured *measured,
                               const hsi_simulated_model_config *wanted)
{
    const machine m = { platform, measured };
    const hsi_policy *policy = wanted->policy;
    hsi_plan_config config = { .max_parts = platform->devices[0].workers,
                               .without = hsi_plan_without(wanted->math) |
                                          (measured ? hsi_cpu_slower_kinds(0) : 0),
                               .cut = policy->cut };
    hsched_status status = hsi_plan_create(model->graph, &config, &model->plan);
    if (status != HSCHED_OK || policy == &hsi_policy_cpu_only ||
        platform->device_count < 2)
        return status;
    const uint64_t lacking =
        hsi_plan_lacking(model->plan, platform->device_count, supports, &m);
    if (lacking) {
        hsi_plan_destroy(model->plan);
        model->plan = NULL;
        config.without |= lacking;
        status = hsi_plan_create(model->graph, &config, &model->plan);
        if (status != HSCHED_OK)
            return status;
    }
    uint32_t *groups = HSI_NEW_ARRAY(uint32_t, model->plan->step_count);
    if (!groups)
        return hsi_out_of_memory("a simulated model");
    if (find_groups(&m, model->plan, groups)) {
        hsi_plan_destroy(model->plan);
        model->plan = NULL;
        config.groups = groups;
        status = hsi_plan_create(model->graph, &config, &model->plan);
    }
    hsi_free(groups);
    return status;
}

static uint32_t most_joined(const hsi_platform *platform)
{
    uint32_t most = 1;
    for (uint32_t d = 1; d < platform->device_count; d++)
        if (platform->devices[d].max_batch > most)
            most = platform->devices[d].max_batch;
    return most;
}

static hsched_status fill_core(hsi_simulated_model *model,
                               const hsi_simulated_model_config *config,
                               uint32_t device_count, uint32_t max_batch)
{
    const hsi_plan *plan = model->plan;
    model->sections = HSI_NEW_ARRAY(hsi_core_section, plan->section_count);
    if (!model->sections)
        return hsi_out_of_memory("a simulated model");
    for (uint32_t i = 0; i < plan->section_count; i++) {
        const hsi_plan_section *s = &plan->sections[i];
        model->sections[i] =
            (hsi_core_section){ .class_bits = s->class_bits,
                                .device_mask = model->problem.sections[i].device_mask,
                                .dep_count = s->dep_count,
                                .deps = s->deps,
                                .user_count = s->user_count,
                                .users = s->users,
                                .crossing_counts = s->crossing_counts };
    }
    model->engine.core = (hsi_core_model){ .name = model->name,
                                           .section_count = plan->section_count,
                                           .sections = model->sections,
                                           .policy = config->policy };
    if (max_batch > 1) {
        for (uint32_t d = 0; d < device_count; d++)
            model->queues[d].ready = max_batch;
        model->engine.core.batch_queues = model->queues;
        model->engine.core.max_batch = max_batch;
        model->engine.core.batch_wait_us = config->batch_wait_us;
    }
    return HSCHED_OK;
}

/* With what the engine will do as the expectation: the policy is judged, not the table. */
static hsched_status fill_choices(hsi_simulated_model *model,
                                  const hsi_platform *platform, uint32_t max_batch)
{
    hsi_placement_problem *p = &model->problem;
    hsi_choices *c = &model->chosen.choices;
    const hsi_problem_teams *teams = &model->teams;
    const double shared = teams->parallel;
    for (uint32_t d = 0; d < p->device_count; d++) {
        p->weight[d] = 1;
        p->workers[d] = platform->devices[d].workers;
    }
    for (uint32_t k = 0; k < HSI_CHOICE_SIZES && 1u << k <= platform->devices[0].team;
         k++) {
        c->team[k] = (float)(teams->sections ? hsi_curve_shared_at(&teams->run, 1u << k)
                                             : 1 - shared + shared / (1u << k));
        c->team_count = k + 1;
    }
    for (uint32_t d = 1; d < p->device_count && max_batch > 1; d++) {
        double whole = p->job_us[d];
        for (uint32_t s = 0; s < p->section_count; s++)
            whole += p->us[s * p->device_count + d];
        for (uint32_t k = 0; k < HSI_CHOICE_SIZES && 1u << k <= max_batch; k++) {
            c->batch_us[d][k] =
                (float)(whole * hsi_curve_at(&model->curves.batch[d], 1u << k));
            c->batch_count[d] = k + 1;
        }
    }
    model->engine.core.choices = c;
    return hsi_choices_make(p, &model->chosen);
}

static hsched_status fill(hsi_simulated_model *model, const hsi_platform *platform,
                          const hsi_measured *measured,
                          const hsi_simulated_model_config *config)
{
    const uint32_t joined = most_joined(platform),
                   max_batch = config->max_batch > 0 && config->max_batch < joined
                                   ? config->max_batch
                                   : joined;
    hsched_status status = make_plan(model, platform, measured, config);
    if (status != HSCHED_OK)
        return status;
    const hsi_plan_identity identity = { .graph_hash =
                                             hsi_cost_model_hash(model->graph) };
    const hsi_problem_source source = {
        .platform = platform,
        .measured = measured,
        .plan = model->plan,
        .name = model->name,
        .hash = hsi_plan_hash(model->plan, &identity),
        .math = config->math,
        .max_batch = max_batch,
    };
    status = hsi_problem_fill(&source, &model->problem, &model->curves, &model->teams);
    if (status == HSCHED_OK)
        status = fill_core(model, config, platform->device_count, max_batch);
    if (status == HSCHED_OK)
        status = hsi_plan_describe(model->plan, model->name, &model->trace);
    if (status == HSCHED_OK && config->policy->choose)
        status = fill_choices(model, platform, max_batch);
    model->engine.costs = &model->problem;
    model->engine.batch = model->curves.batch;
    model->engine.stretch = model->curves.stretch;
    model->engine.parallel = model->teams.parallel;
    model->engine.team = model->teams.sections;
    return status;
}

hsched_status hsi_simulated_model_create(const hsi_platform *platform,
                                         const hsi_measured *measured,
                                         hsched_graph *graph,
                                         const hsi_simulated_model_config *config,
                                         hsi_simulated_model **result)
{
    *result = NULL;
    hsi_simulated_model *model = HSI_NEW(hsi_simulated_model);
    if (!model)
        return hsi_out_of_memory("a simulated model");
    graph->frozen = 1;
    model->math = config->math;
    model->name = hsi_strdup(config->name ? config->name : graph->name);
    hsched_status status = model->name
                               ? hsi_graph_specialise(graph, config->symbols,
                                                      config->symbol_count, &model->graph)
                               : hsi_out_of_memory("a simulated model");
    if (status == HSCHED_OK)
        status = fill(model, platform, measured, config);
    if (status != HSCHED_OK) {
        hsi_simulated_model_destroy(model);
        return status;
    }
    /* What has been planned needs no weights any more. */
    hsi_plan_packed(model->plan, 0);
    hsched_graph_destroy(model->graph);
    model->graph = NULL;
    *result = model;
    return HSCHED_OK;
}

void hsi_simulated_model_destroy(hsi_simulated_model *model)
{
    if (!model)
        return;
    if (model->release)
        model->release(model->owner);
    hsi_choices_clear(&model->chosen);
    hsi_problem_clear(&model->problem);
    hsi_free(model->teams.sections);
    hsi_trace_model_release(model->trace);
    hsi_free(model->sections);
    hsi_plan_destroy(model->plan);
    hsched_graph_destroy(model->graph);
    hsi_free(model->name);
    hsi_free(model);
}
