/* hsched_model_explain: where a run's sections go, why, and what that is expected to cost. */
#include "runtime/explain.h"

#include <math.h>

#include "base/alloc.h"
#include "base/status.h"

enum {
    RUNS_MAX = HSI_ENGINE_BATCH
};

typedef struct explaining {
    hsched_explanation *made;
    hsched_model *model;
    double loads[HSI_MAX_DEVICES];
    hsi_choices sizes;
    hsi_placing placing;
    hsi_outlook outlook;
    double end_us;
} explaining;

static uint32_t section_count(const explaining *x)
{
    return x->model->plan->section_count;
}

static uint32_t device_of(const explaining *x, uint32_t section)
{
    return x->outlook.devices[section]; /* of the first run */
}

/* What one CPU worker takes is an estimate of what all do. */
static hsi_cost_source source_of(const explaining *x, uint32_t section, uint32_t device)
{
    const hsi_cost_source source =
        x->placing.sources[(size_t)section * x->placing.problem.device_count + device];
    return device == 0 && x->outlook.seen.unshared && source > HSI_COST_ESTIMATED
               ? HSI_COST_ESTIMATED
               : source;
}

/* ---- Reasons -------------------------------------------------------------- */

/* Would the policy have it on an accelerator if there were one that can execute it? */
static int wants_accelerator(const explaining *x, uint32_t section)
{
    static const uint32_t idle[HSI_MAX_DEVICES];
    const uint32_t all = (1u << x->model->runtime->device_count) - 1;
    return hsi_model_ask_policy(x->model, section, all, idle) != 0;
}

static hsched_placement_reason reason_of(const explaining *x, uint32_t section)
{
    const hsi_policy *policy = x->model->core.policy;
    const uint32_t able = x->model->able[section],
                   usable = x->outlook.seen.core_sections[section].device_mask;
    const int alone = x->model->runtime->device_count == 1;
    if (alone || (able == 1 && wants_accelerator(x, section)))
        return HSCHED_PLACED_AS_ONLY_ONE;
    if (device_of(x, section) == 0 && usable == 1 && wants_accelerator(x, section))
        return able & x->outlook.seen.lost ? HSCHED_PLACED_AFTER_LOSS
                                           : HSCHED_PLACED_UNPREPARED;
    if (!policy->choose)
        return HSCHED_PLACED_BY_POLICY;
    return x->outlook.seen.choices.count > 0 ? HSCHED_PLACED_BY_COST
                                             : HSCHED_PLACED_WITHOUT_COSTS;
}

static const char *text_of_policy(const explaining *x, uint32_t section)
{
    const hsi_policy *policy = x->model->core.policy;
    if (policy == &hsi_policy_layer_type)
        return device_of(x, section) != 0
                   ? "layer_type: convolutions go to the first accelerator"
                   : "layer_type: all but convolutions goes to the CPU";
    if (policy == &hsi_policy_gpu_only)
        return "gpu_only: an accelerator can execute it";
    return "cpu_only: everything goes to the CPU";
}

/* What the policy `cost` has looked for. */
static const char *text_of_objective(hsched_objective objective)
{
    switch (objective) {
    case HSCHED_OBJECTIVE_ENERGY:
        return "cost: the run is expected to take the least energy like this";
    case HSCHED_OBJECTIVE_POWER_CAP:
        return "cost: the run is expected to end first like this, under the power cap";
    case HSCHED_OBJECTIVE_DEFAULT:
    case HSCHED_OBJECTIVE_MAKESPAN:
    case HSCHED_OBJECTIVE_LATENCY:
        break;
    }
    return "cost: the run is expected to end first like this";
}

static const char *text_of(const explaining *x, uint32_t section,
                           hsched_placement_reason reason)
{
    switch (reason) {
    case HSCHED_PLACED_AS_ONLY_ONE:
        return x->model->runtime->device_count == 1
                   ? "there is no other device"
                   : "falls back: no accelerator can execute it";
    case HSCHED_PLACED_BY_POLICY:
        return text_of_policy(x, section);
    case HSCHED_PLACED_BY_COST:
        return text_of_objective(x->model->core.objective);
    case HSCHED_PLACED_WITHOUT_COSTS:
        return "cost: too little was measured, so as gpu_only";
    case HSCHED_PLACED_UNPREPARED:
        return "an accelerator could execute it, but could not prepare it";
    case HSCHED_PLACED_AFTER_LOSS:
        return "the accelerator that could execute it is lost";
    }
    return "";
}

HSCHED_API const char *hsched_placement_reason_name(hsched_placement_reason reason)
{
    switch (reason) {
    case HSCHED_PLACED_AS_ONLY_ONE:
        return "only_one";
    case HSCHED_PLACED_BY_POLICY:
        return "policy";
    case HSCHED_PLACED_BY_COST:
        return "cost";
    case HSCHED_PLACED_WITHOUT_COSTS:
        return "without_costs";
    case HSCHED_PLACED_UNPREPARED:
        return "unprepared";
    case HSCHED_PLACED_AFTER_LOSS:
        return "after_loss";
    }
    return "unknown";
}

/* ---- Measured ------------------------------------------------------------- */

/* Under the table's lock. Shared by all CPU workers, as a run alone is; 0: it was not measured. */
static double measured(const explaining *x, hsi_cost_unit unit, uint32_t index,
                       uint32_t device, uint32_t batch, double *spread_us)
{
    const uint32_t workers = device == 0 ? x->model->runtime->workers[0] : 1;
    const hsi_cost cost =
        hsi_placing_look_up(x->model, unit, index, device, batch, workers);
    *spread_us = cost.source == HSI_COST_MEASURED ? cost.spread_us : 0;
    return cost.source == HSI_COST_MEASURED ? cost.us : 0;
}

/* The device that has all of the first run, or -1. */
static int only_device(const explaining *x)
{
    for (uint32_t s = 1; s < section_count(x); s++)
        if (device_of(x, s) != device_of(x, 0))
            return -1;
    return (int)device_of(x, 0);
}

/* Under the table's lock. Runs that are not joined have no entry of all together. */
static void find_measured_run(const explaining *x, int device)
{
    hsched_explanation_info *info = &x->made->info;
    if (device < 0 || (device == 0 && info->batch > 1) ||
        (info->batch > 1 && x->model->core.max_batch < info->batch))
        return;
    info->measured_us = measured(x, HSI_COST_RUN, 0, (uint32_t)device, info->batch,
                                 &info->measured_spread_us);
}

/* ---- Sections and steps --------------------------------------------------- */

static void explain_section(const explaining *x, uint32_t section)
{
    const hsi_plan_section *s = &x->model->plan->sections[section];
    const hsi_outlook_section *seen = &x->outlook.sections[section];
    const uint32_t device = device_of(x, section);
    hsched_explained_section *made = &x->made->sections[section];
    *made = (hsched_explained_section){
        HSCHED_EXPLAINED_SECTION_INIT,
        .device = device,
        .first_step = s->first_step,
        .step_count = s->step_count,
        .job = seen->job,
        .reason = reason_of(x, section),
        .begin_us = seen->begin_us,
        .source = (hsched_cost_source)source_of(x, section, device),
        .runner_up = UINT32_MAX,
    };
    made->reason_text = text_of(x, section, made->reason);
    made->predicted_us = made->source != HSCHED_COST_UNKNOWN ? seen->us : 0;
    made->measured_us =
        measured(x, HSI_COST_SECTION, section, device, 1, &made->measured_spread_us);
    if (made->reason == HSCHED_PLACED_AS_ONLY_ONE &&
        x->model->runtime->device_count > 1) {
        x->made->info.fallback_sections++;
        x->made->info.fallback_steps += s->step_count;
    }
}

static const char *kernel_of(const hsched_model *model, uint32_t section, uint32_t step,
                             uint32_t device)
{
    const hsi_exec_model *exec = &model->exec;
    const uint32_t at = exec->section_prepared[section * exec->device_count + device];
    if (at == HSI_NOT_PREPARED)
        return NULL;
    const hsi_exec_prepared *p = &exec->prepared[at];
    return p->backend->kernel_name(p->section, step - p->first_step);
}

/* A section's time among its steps: as they were measured, else by their work. */
static void explain_steps(const explaining *x, uint32_t section)
{
    const hsched_explained_section *s = &x->made->sections[section];
    const uint32_t end = s->first_step + s->step_count;
    double sum_us = 0, sum_work = 0;
    int all = 1;
    for (uint32_t i = s->first_step; i < end; i++) {
        hsched_explained_step *step = &x->made->steps[i];
        *step = (hsched_explained_step){ HSCHED_EXPLAINED_STEP_INIT, .section = section,
                                         .device = s->device, .source = s->source,
                                         .kernel =
                                             kernel_of(x->model, section, i, s->device) };
        step->measured_us =
            measured(x, HSI_COST_STEP, i, s->device, 1, &step->measured_spread_us);
        all &= step->measured_us > 0;
        sum_us += step->measured_us;
        sum_work += hsi_placing_weight(x->model, i, 1);
    }
    for (uint32_t i = s->first_step; i < end; i++) {
        hsched_explained_step *step = &x->made->steps[i];
        const double share = all ? step->measured_us / sum_us
                                 : hsi_placing_weight(x->model, i, 1) / sum_work;
        step->predicted_us = s->predicted_us * share;
        if (!all && s->step_count > 1 && step->source > HSCHED_COST_ESTIMATED)
            step->source = HSCHED_COST_ESTIMATED;
    }
}

/* ---- Runners-up ----------------------------------------------------------- */

/* Where the section would do least harm, if it were not where it is. A time that is not known says
 * nothing, but the device is one of those that could. */
static hsched_status find_runner_up(explaining *x, uint32_t section)
{
    hsched_explained_section *made = &x->made->sections[section];
    hsched_status status = HSCHED_OK;
    for (uint32_t d = 0; d < x->model->runtime->device_count && status == HSCHED_OK;
         d++) {
        double end_us;
        if (d == made->device ||
            !(x->outlook.seen.core_sections[section].device_mask >> d & 1))
            continue;
        if (x->made->info.source == HSCHED_COST_UNKNOWN ||
            source_of(x, section, d) == HSI_COST_UNKNOWN) {
            if (made->runner_up == UINT32_MAX)
                made->runner_up = d;
            continue;
        }
        status = hsi_outlook_move(&x->outlook, section, d, &end_us);
        if (status == HSCHED_OK &&
            (!(made->runner_up_us > 0) || end_us < made->runner_up_us)) {
            made->runner_up = d;
            made->runner_up_us = end_us;
        }
    }
    return status;
}

/* ---- The whole ------------------------------------------------------------ */

/* Under the table's lock. */
static hsi_cost_source source_of_run(const explaining *x, int device)
{
    const uint32_t batch = x->made->info.batch;
    hsi_cost_source worst = HSI_COST_MEASURED;
    /* How a known whole is shared by its sections makes no difference to it. */
    if (device > 0 && x->placing.run_us[device] > 0)
        worst = x->placing.run_source[device];
    else
        for (uint32_t r = 0; r < x->outlook.runs; r++)
            for (uint32_t s = 0; s < section_count(x); s++) {
                const hsi_cost_source source =
                    source_of(x, s, x->outlook.devices[r * section_count(x) + s]);
                worst = source < worst ? source : worst;
            }
    if (device > 0 && batch > 1 && worst > HSI_COST_UNKNOWN) {
        const hsi_cost_source joined =
            hsi_placing_look_up(x->model, HSI_COST_RUN, 0, (uint32_t)device, batch, 1)
                .source;
        worst = joined < worst ? joined : worst;
        worst = worst == HSI_COST_UNKNOWN ? HSI_COST_ESTIMATED : worst;
    }
    return worst;
}

static void explain_run(explaining *x)
{
    hsched_explanation_info *info = &x->made->info;
    const int device = only_device(x);
    info->source = (hsched_cost_source)source_of_run(x, device);
    info->predicted_us = info->source != HSCHED_COST_UNKNOWN ? x->end_us : 0;
    info->jobs = x->outlook.jobs;
    info->tensors = x->outlook.tensors;
    info->candidates = x->outlook.seen.choices.count;
    find_measured_run(x, device);
}

static hsched_status explain(explaining *x)
{
    hsched_runtime *rt = x->model->runtime;
    hsched_status status = hsi_outlook_ask(&x->outlook, &x->end_us);
    if (status != HSCHED_OK)
        return status;
    pthread_mutex_lock(&rt->costs.mutex);
    explain_run(x);
    for (uint32_t s = 0; s < section_count(x); s++) {
        explain_section(x, s);
        explain_steps(x, s);
    }
    pthread_mutex_unlock(&rt->costs.mutex);
    status = hsi_explain_crossings(x->made, &x->placing.problem, x->outlook.devices);
    for (uint32_t s = 0; s < section_count(x) && status == HSCHED_OK; s++)
        status = find_runner_up(x, s);
    return status;
}

static hsched_status check_config(hsched_model *model,
                                  const hsched_explain_config *config, double *loads)
{
    const hsched_runtime *rt = model->runtime;
    if (model->core.policy == &rt->plugin.policy)
        return hsi_error(HSCHED_ERROR_UNSUPPORTED,
                         "hsched_model_explain: model '%s' has the policy '%s', which is "
                         "the application's: it can only be asked about runs that there "
                         "are; trace runs instead (hsched_trace_start)",
                         model->name, rt->plugin_name);
    if (config->batch > RUNS_MAX)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_explain_config: batch is %u; give 1 to %d",
                         config->batch, RUNS_MAX);
    if (config->load_count > rt->device_count ||
        (config->load_count > 0 && !config->loads))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_explain_config: loads is %s and load_count %u; give one "
                         "for each of the runtime's %u devices",
                         config->loads ? "set" : "NULL", config->load_count,
                         rt->device_count);
    for (uint32_t d = 0; d < rt->device_count; d++) {
        loads[d] = d < config->load_count && config->loads[d] != 0 ? config->loads[d] : 1;
        if (!(loads[d] >= 1e-3 && loads[d] <= 1e6))
            return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                             "hsched_explain_config: the load of device %u is %g; give a "
                             "factor from 0.001 to 1e6, or 0 for 1",
                             d, loads[d]);
    }
    return HSCHED_OK;
}

static hsched_status create(hsched_model *model, uint32_t batch,
                            hsched_explanation **made)
{
    const hsi_plan *plan = model->plan;
    *made = HSI_NEW(hsched_explanation);
    if (!*made)
        return hsi_out_of_memory("an explanation");
    (*made)->model = hsched_model_retain(model);
    (*made)->sections = HSI_NEW_ARRAY(hsched_explained_section, plan->section_count);
    (*made)->steps = HSI_NEW_ARRAY(hsched_explained_step, plan->step_count);
    (*made)->info = (hsched_explanation_info){
        HSCHED_EXPLANATION_INFO_INIT, .policy = model->core.policy->name, .batch = batch,
        .sections = plan->section_count, .steps = plan->step_count
    };
    return (*made)->sections && (*made)->steps ? hsi_explain_edges(*made)
                                               : hsi_out_of_memory("an explanation");
}

HSCHED_API hsched_status hsched_model_explain(hsched_model *model,
                                              const hsched_explain_config *user_config,
                                              hsched_explanation **explanation)
{
    hsched_explain_config config;
    explaining x = { .model = model };
    if (!model || !explanation)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_explain: model or explanation is NULL");
    *explanation = NULL;
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    if (status == HSCHED_OK)
        status = check_config(model, &config, x.loads);
    if (status == HSCHED_OK)
        status = hsi_costs_load(model->runtime);
    if (status != HSCHED_OK)
        return status;
    const uint32_t batch = config.batch ? config.batch : 1;
    status = create(model, batch, &x.made);
    if (status == HSCHED_OK)
        status = hsi_placing_make(model, &x.placing, &x.sizes);
    if (status == HSCHED_OK)
        status =
            hsi_outlook_init(&x.outlook, model, &x.placing, &x.sizes, x.loads, batch);
    if (status == HSCHED_OK)
        status = explain(&x);
    hsi_outlook_clear(&x.outlook);
    hsi_placing_clear(&x.placing);
    if (status != HSCHED_OK) {
        hsched_explanation_destroy(x.made);
        return status;
    }
    *explanation = x.made;
    return HSCHED_OK;
}

HSCHED_API void hsched_explanation_destroy(hsched_explanation *explanation)
{
    if (!explanation)
        return;
    hsi_free(explanation->sections);
    hsi_free(explanation->steps);
    hsi_free(explanation->crossings);
    hsi_free(explanation->edges);
    hsched_model_release(explanation->model);
    hsi_free(explanation);
}

/* ---- Reading -------------------------------------------------------------- */

static hsched_status find(const hsched_explanation *explanation, uint32_t index,
                          uint32_t count, const char *function)
{
    if (!explanation)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT, "%s: explanation is NULL",
                         function);
    if (index >= count)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "%s: there is no number %u; there are %u", function, index,
                         count);
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_explanation_get_info(
    const hsched_explanation *explanation, hsched_explanation_info *info)
{
    hsched_status status = find(explanation, 0, 1, "hsched_explanation_get_info");
    return status != HSCHED_OK
               ? status
               : hsi_info_write(info, &explanation->info, sizeof explanation->info,
                                "hsched_explanation_info");
}

HSCHED_API hsched_status
hsched_explanation_get_section(const hsched_explanation *explanation, uint32_t section,
                               hsched_explained_section *info)
{
    hsched_status status =
        find(explanation, section, explanation ? explanation->info.sections : 0,
             "hsched_explanation_get_section");
    return status != HSCHED_OK ? status
                               : hsi_info_write(info, &explanation->sections[section],
                                                sizeof *explanation->sections,
                                                "hsched_explained_section");
}

HSCHED_API hsched_status hsched_explanation_get_step(
    const hsched_explanation *explanation, uint32_t step, hsched_explained_step *info)
{
    hsched_status status =
        find(explanation, step, explanation ? explanation->info.steps : 0,
             "hsched_explanation_get_step");
    return status != HSCHED_OK
               ? status
               : hsi_info_write(info, &explanation->steps[step],
                                sizeof *explanation->steps, "hsched_explained_step");
}

HSCHED_API hsched_status hsched_explanation_get_edge(
    const hsched_explanation *explanation, uint32_t edge, hsched_explained_edge *info)
{
    hsched_status status =
        find(explanation, edge, explanation ? explanation->info.edges : 0,
             "hsched_explanation_get_edge");
    return status != HSCHED_OK
               ? status
               : hsi_info_write(info, &explanation->edges[edge],
                                sizeof *explanation->edges, "hsched_explained_edge");
}

HSCHED_API hsched_status
hsched_explanation_get_crossing(const hsched_explanation *explanation, uint32_t crossing,
                                hsched_explained_crossing *info)
{
    hsched_status status =
        find(explanation, crossing, explanation ? explanation->info.crossings : 0,
             "hsched_explanation_get_crossing");
    return status != HSCHED_OK ? status
                               : hsi_info_write(info, &explanation->crossings[crossing],
                                                sizeof *explanation->crossings,
                                                "hsched_explained_crossing");
}
