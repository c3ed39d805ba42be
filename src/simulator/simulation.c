/* The public API of the simulator. */
#include "simulator/simulation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

#define AGEING_US 200000u /* a runtime's default */
#define RUNS_MAX  (UINT64_C(1) << 24)
#define TIME_MAX  1e12 /* eleven days: microseconds are exact to a thousandth then */
/* As in a runtime: two batches of a model keep a device busier than one. */
#define BATCHES_AT_ONCE 2
#define JOIN_GAP_US     10
#define JOIN_MOST_US    100

static int is_time(double us)
{
    return us >= 0 && us <= TIME_MAX; /* which NaN is not */
}

/* ---- Platforms ------------------------------------------------------------ */

HSCHED_API hsched_status hsched_simulation_create(const char *platform_path,
                                                  hsched_simulation **simulation)
{
    if (!platform_path || !simulation)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_create: path or simulation is NULL");
    *simulation = NULL;
    hsched_simulation *sim = HSI_NEW(hsched_simulation);
    if (!sim)
        return hsi_out_of_memory("a simulation");
    hsched_status status = hsi_platform_load(platform_path, &sim->platform);
    if (status == HSCHED_OK && sim->platform->measured)
        status = hsi_measured_open(sim->platform, &sim->measured);
    if (status != HSCHED_OK) {
        hsched_simulation_destroy(sim);
        return status;
    }
    for (uint32_t d = 0; d < sim->platform->device_count; d++) {
        const hsi_platform_device *device = &sim->platform->devices[d];
        sim->stretch[d] = device->stretch;
        if (sim->measured)
            hsi_measured_stretch(sim->measured->table, sim->measured->numbers[d],
                                 device->workers, &sim->stretch[d]);
    }
    *simulation = sim;
    return HSCHED_OK;
}

HSCHED_API void hsched_simulation_destroy(hsched_simulation *sim)
{
    if (!sim)
        return;
    for (uint32_t i = 0; i < sim->model_count; i++) {
        hsi_simulated_model_destroy(sim->models[i]->model);
        hsi_free(sim->models[i]->latencies);
        hsi_free(sim->models[i]);
    }
    for (uint32_t d = 0; d < HSI_PLACEMENT_DEVICES; d++)
        hsi_free(sim->loads[d].steps);
    hsi_free(sim->models);
    hsi_free(sim->streams);
    hsi_measured_close(sim->measured);
    hsi_platform_destroy(sim->platform);
    hsi_free(sim->machine);
    if (sim->release)
        sim->release(sim->owner);
    hsi_free(sim);
}

/* ---- Models --------------------------------------------------------------- */

static hsched_status find_policy(const hsched_simulation *sim, const char *name,
                                 const hsi_policy **policy)
{
    char known[256] = "";
    if (!name)
        name = sim->platform->device_count > 1 ? "cost" : "cpu_only";
    *policy = hsi_policy_find(name);
    if (*policy)
        return HSCHED_OK;
    for (uint32_t i = 0; hsi_policy_get(i); i++) {
        const size_t length = strlen(known);
        snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                 hsi_policy_get(i)->name);
    }
    return hsi_error(HSCHED_ERROR_NOT_FOUND,
                     "hsched_simulation_add: there is no policy '%.80s'; use one of %s",
                     name, known);
}

static hsched_status check_objective(hsched_objective objective, const hsi_policy *policy)
{
    if (objective == HSCHED_OBJECTIVE_DEFAULT)
        return HSCHED_OK;
    if ((unsigned)objective > HSCHED_OBJECTIVE_POWER_CAP)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_simulation_add: objective %d is not HSCHED_OBJECTIVE_...",
            (int)objective);
    if (objective == HSCHED_OBJECTIVE_POWER_CAP)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_simulation_add: a power cap is of all devices; set it in "
            "hsched_simulation_config");
    if (!policy->choose)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_add: the policy '%s' has no objectives; use "
                         "'cost', or leave objective out",
                         policy->name);
    return HSCHED_OK;
}

hsched_status hsi_simulation_take(hsched_simulation *sim, hsi_simulated_model *model,
                                  const hsi_policy *policy, hsched_objective objective)
{
    hsi_simulated *made = HSI_NEW(hsi_simulated);
    if (!made || !HSI_GROW(sim->models, sim->model_count, sim->model_capacity)) {
        hsi_free(made);
        hsi_simulated_model_destroy(model);
        return hsi_out_of_memory("a simulated model");
    }
    *made = (hsi_simulated){ .model = model,
                             .policy = policy->name,
                             .chooses = policy->choose != NULL,
                             .objective = objective };
    model->engine.user = made;
    sim->models[sim->model_count++] = made;
    return HSCHED_OK;
}

static hsched_status add(hsched_simulation *sim, hsched_graph *graph,
                         const hsi_simulated_model_config *config,
                         hsched_objective objective)
{
    hsi_simulated_model *model;
    hsched_status status =
        hsi_simulated_model_create(sim->platform, sim->measured, graph, config, &model);
    return status == HSCHED_OK
               ? hsi_simulation_take(sim, model, config->policy, objective)
               : status;
}

HSCHED_API hsched_status
hsched_simulation_add(hsched_simulation *sim, hsched_graph *graph,
                      const hsched_simulation_model_config *user_config, uint32_t *model)
{
    hsched_simulation_model_config config;
    const hsi_policy *policy;
    if (!sim || !graph || !model)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_add: simulation, graph or model is NULL");
    if (sim->machine)
        return hsi_error(
            HSCHED_ERROR_STATE,
            "hsched_simulation_add: this simulation is of a runtime, and takes "
            "what was compiled for that; use hsched_simulation_add_model");
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    if (status != HSCHED_OK)
        return status;
    if ((unsigned)config.math > HSCHED_MATH_BF16)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_add: math %d is not HSCHED_MATH_...",
                         (int)config.math);
    if (config.max_batch > HSI_ENGINE_BATCH)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_add: max_batch is %u; at most %d",
                         config.max_batch, HSI_ENGINE_BATCH);
    if (config.symbol_count > 0 && !config.symbols)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_simulation_add: symbol_count is set and symbols is NULL");
    if (graph->output_count == 0)
        return hsi_error(HSCHED_ERROR_STATE,
                         "graph '%s' has no outputs; mark one with "
                         "hsched_graph_add_output",
                         graph->name);
    status = find_policy(sim, config.policy, &policy);
    if (status == HSCHED_OK)
        status = check_objective(config.objective, policy);
    if (status == HSCHED_OK)
        status = add(sim, graph,
                     &(hsi_simulated_model_config){ .name = config.name,
                                                    .policy = policy,
                                                    .math = config.math,
                                                    .max_batch = config.max_batch,
                                                    .batch_wait_us = config.batch_wait_us,
                                                    .symbols = config.symbols,
                                                    .symbol_count = config.symbol_count },
                     config.objective);
    if (status == HSCHED_OK)
        *model = sim->model_count - 1;
    return status;
}

/* ---- What happens --------------------------------------------------------- */

static hsched_status check_stream(const hsched_simulation *sim,
                                  const hsched_simulation_stream *s)
{
    if (s->model >= sim->model_count)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "hsched_simulation_submit: there is no model %u of %u; add it "
                         "first",
                         s->model, sim->model_count);
    if (!is_time(s->first_us) || !is_time(s->period_us) || !is_time(s->deadline_us) ||
        !is_time(s->first_us + s->period_us * s->runs))
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_simulation_submit: first_us %g, period_us %g and "
            "deadline_us %g must be times from 0 to 1e12 us, and so must the "
            "last submission",
            s->first_us, s->period_us, s->deadline_us);
    if (s->priority < HSCHED_PRIORITY_MIN || s->priority > HSCHED_PRIORITY_MAX)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_submit: priority %d is not from %d to %d",
                         s->priority, HSCHED_PRIORITY_MIN, HSCHED_PRIORITY_MAX);
    if (s->late != HSCHED_LATE_FINISH && s->late != HSCHED_LATE_DROP)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_submit: late %d is not HSCHED_LATE_...",
                         (int)s->late);
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_simulation_submit(
    hsched_simulation *sim, const hsched_simulation_stream *user_stream)
{
    hsched_simulation_stream s;
    if (!sim || !user_stream)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_submit: simulation or stream is NULL");
    hsched_status status = HSI_CONFIG_READ(user_stream, &s);
    if (status != HSCHED_OK)
        return status;
    s.instances = s.instances ? s.instances : 1;
    s.runs = s.runs ? s.runs : 1;
    status = check_stream(sim, &s);
    if (status != HSCHED_OK)
        return status;
    const uint64_t runs = (uint64_t)s.instances * s.runs;
    if (runs > RUNS_MAX || sim->runs + runs > RUNS_MAX)
        return hsi_error(HSCHED_ERROR_LIMIT,
                         "hsched_simulation_submit: more than %llu runs; simulate less",
                         (unsigned long long)RUNS_MAX);
    if (!HSI_GROW(sim->streams, sim->stream_count, sim->stream_capacity))
        return hsi_out_of_memory("a simulation's runs");
    sim->streams[sim->stream_count++] =
        (hsi_engine_stream){ .model = &sim->models[s.model]->model->engine,
                             .instances = s.instances,
                             .runs = s.runs,
                             .first_us = s.first_us,
                             .period_us = s.period_us,
                             .deadline_us = s.deadline_us,
                             .priority = s.priority,
                             .drop_late = s.late == HSCHED_LATE_DROP };
    sim->runs += runs;
    return HSCHED_OK;
}

static hsched_status no_device(const hsched_simulation *sim, const char *device)
{
    char known[HSI_PLACEMENT_DEVICES * (HSI_PLATFORM_NAME + 2)] = "";
    for (uint32_t d = 0; d < sim->platform->device_count; d++) {
        const size_t length = strlen(known);
        snprintf(known + length, sizeof known - length, "%s%s", d ? ", " : "",
                 sim->platform->devices[d].name);
    }
    return hsi_error(HSCHED_ERROR_NOT_FOUND,
                     "hsched_simulation_set_load: %s has no device '%.80s'; it has %s",
                     sim->platform->path, device, known);
}

HSCHED_API hsched_status hsched_simulation_set_load(hsched_simulation *sim,
                                                    const char *device, double from_us,
                                                    double factor)
{
    if (!sim || !device)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_set_load: simulation or device is NULL");
    const uint32_t d = hsi_platform_find_device(sim->platform, device);
    if (d == UINT32_MAX)
        return no_device(sim, device);
    hsi_load_steps *steps = &sim->loads[d];
    if (!is_time(from_us) || !(factor >= 1e-3 && factor <= 1e6))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_set_load: factor %g from %g us on; give a "
                         "factor from 0.001 to 1e6 and a time from 0 to 1e12 us",
                         factor, from_us);
    if (steps->count > 0 && steps->steps[steps->count - 1].from_us >= from_us)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_set_load: a step at %g us comes after one at "
                         "%g us; give those of a device in the order of time",
                         from_us, steps->steps[steps->count - 1].from_us);
    if (!HSI_GROW(steps->steps, steps->count, steps->capacity))
        return hsi_out_of_memory("a simulation's loads");
    steps->steps[steps->count++] =
        (hsi_engine_load){ .from_us = from_us, .factor = factor };
    return HSCHED_OK;
}

/* ---- Running -------------------------------------------------------------- */

static void set_loads(const hsched_simulation *sim, hsi_engine_config *config)
{
    for (uint32_t d = 0; d < config->device_count; d++) {
        config->devices[d].loads = sim->loads[d].steps;
        config->devices[d].load_count = sim->loads[d].count;
    }
}

/* As a runtime sets up its core. */
static void configure(const hsched_simulation *sim, hsi_engine_config *config)
{
    const hsi_platform *platform = sim->platform;
    uint32_t workers = 0, joinable = 0;
    for (uint32_t d = 0; d < platform->device_count; d++) {
        const hsi_platform_device *p = &platform->devices[d];
        workers += p->workers;
        joinable += p->max_batch > 1 ? p->max_batch : 0;
        config->devices[d] = (hsi_engine_device){
            .core = { .workers = p->workers,
                      .max_sections_per_job = d == 0 ? 1 : p->sections_per_job,
                      .max_batch = p->max_batch,
                      .max_batches = p->max_batch > 1 ? BATCHES_AT_ONCE : 0,
                      .join_gap_us = JOIN_GAP_US,
                      .join_most_us = JOIN_MOST_US,
                      .strict = 1,
                      .reserved = p->max_batch > 1 && p->workers > 1,
                      .watts = p->watts,
                      .idle_watts = p->idle_watts },
            .stretch = sim->stretch[d],
            .team = d == 0 ? p->team : 1,
        };
    }
    config->device_count = platform->device_count;
    config->ageing_us = AGEING_US;
    config->active_limit = 2 * workers + 2 + joinable;
}

static void fill_report(const hsched_simulation *sim, hsched_simulation_report *report)
{
    *report = (hsched_simulation_report){
        HSCHED_SIMULATION_REPORT_INIT,
        .platform = sim->platform->name,
        .description = sim->platform->description ? sim->platform->description : "",
        .measured = sim->platform->measured,
        .makespan_us = sim->totals.end_us,
        .deadline_misses = sim->totals.core.missed,
        .jobs = sim->totals.core.jobs,
        .crossings = sim->totals.core.crossings,
        .model_count = sim->model_count,
        .device_count = sim->platform->device_count,
    };
    int all_known = 1;
    for (uint32_t d = 0; d < sim->platform->device_count; d++) {
        report->joules += hsi_simulation_joules(sim, d);
        all_known &= sim->platform->devices[d].watts > 0;
    }
    if (!all_known)
        report->joules = 0;
    for (uint32_t i = 0; i < sim->model_count; i++) {
        report->runs_succeeded += sim->models[i]->succeeded;
        report->runs_dropped += sim->models[i]->dropped;
    }
}

HSCHED_API hsched_status
hsched_simulation_run(hsched_simulation *sim, const hsched_simulation_config *user_config,
                      hsched_simulation_report *report)
{
    hsched_simulation_config config;
    if (!sim)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_run: simulation is NULL");
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    if (status != HSCHED_OK)
        return status;
    if (!(config.jitter >= 0 && config.jitter < 1))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_run: jitter is %g; give 0 to below 1",
                         config.jitter);
    if (sim->stream_count == 0)
        return hsi_error(HSCHED_ERROR_STATE,
                         "hsched_simulation_run: there is nothing to run; call "
                         "hsched_simulation_submit first");
    status = hsi_simulation_set_objectives(sim, &config);
    if (status != HSCHED_OK)
        return status;
    hsi_engine_config engine = { 0 };
    if (sim->machine)
        engine = *sim->machine;
    else
        configure(sim, &engine);
    set_loads(sim, &engine);
    if (config.power_cap_watts > 0)
        engine.power_cap_watts = config.power_cap_watts;
    engine.jitter = config.jitter;
    engine.seed = config.seed;
    engine.job_ended = hsi_simulation_note_job;
    engine.run_ended = hsi_simulation_note_run;
    engine.user = sim;
    hsi_simulation_reset(sim);
    if (config.trace)
        status = hsi_simulation_trace_begin(sim, config.trace);
    if (status == HSCHED_OK)
        status =
            hsi_engine_run_all(&engine, sim->streams, sim->stream_count, &sim->totals);
    status = hsi_simulation_trace_end(sim, status);
    hsi_simulation_finish(sim);
    if (status != HSCHED_OK || !report)
        return status;
    hsched_simulation_report filled;
    fill_report(sim, &filled);
    return hsi_info_write(report, &filled, sizeof filled, "hsched_simulation_report");
}
