/* Simulations of a runtime: its devices and models, in virtual time. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "plan/describe.h"
#include "runtime/foreseen.h"
#include "simulator/simulation.h"

/* ---- Devices -------------------------------------------------------------- */

static void release_runtime(void *runtime)
{
    hsi_runtime_release(runtime);
}

static hsi_platform_kind kind_of(hsched_device_kind kind)
{
    switch (kind) {
    case HSCHED_DEVICE_CPU:
        return HSI_PLATFORM_CPU;
    case HSCHED_DEVICE_GPU:
        return HSI_PLATFORM_GPU;
    case HSCHED_DEVICE_SIM:
        break;
    }
    return HSI_PLATFORM_SIM;
}

/* What reports and errors say of the devices; what they are is in sim->machine. */
static void describe_devices(const hsched_runtime *rt, const hsi_engine_config *machine,
                             hsi_platform *platform)
{
    uint32_t numbers[HSI_PLATFORM_SIM + 1] = { 0 };
    platform->device_count = rt->device_count;
    platform->measured = 1;
    for (uint32_t d = 0; d < rt->device_count; d++) {
        hsi_platform_device *made = &platform->devices[d];
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        rt->devices[d].backend->device_info(rt->devices[d].handle, &info);
        made->kind = kind_of(info.kind);
        made->workers = rt->workers[d];
        made->watts = machine->devices[d].core.watts;
        made->idle_watts = machine->devices[d].core.idle_watts;
        const uint32_t number = ++numbers[made->kind];
        if (number == 1)
            snprintf(made->name, sizeof made->name, "%s",
                     hsi_platform_kind_name(made->kind));
        else
            snprintf(made->name, sizeof made->name, "%s%u",
                     hsi_platform_kind_name(made->kind), number);
    }
}

HSCHED_API hsched_status hsched_simulation_create_of(hsched_runtime *rt,
                                                     hsched_simulation **simulation)
{
    if (!rt || !simulation)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_create_of: runtime or simulation is NULL");
    *simulation = NULL;
    hsched_simulation *sim = HSI_NEW(hsched_simulation);
    if (!sim)
        return hsi_out_of_memory("a simulation");
    sim->machine = HSI_NEW(hsi_engine_config);
    sim->platform = HSI_NEW(hsi_platform);
    if (sim->platform) {
        sim->platform->path = hsi_strdup("the runtime");
        sim->platform->name = hsi_strdup("runtime");
    }
    if (!sim->machine || !sim->platform || !sim->platform->path || !sim->platform->name) {
        hsched_simulation_destroy(sim);
        return hsi_out_of_memory("a simulation");
    }
    hsched_status status = hsi_costs_load(rt);
    if (status != HSCHED_OK) {
        hsched_simulation_destroy(sim);
        return status;
    }
    hsi_foreseen_devices(rt, sim->machine);
    if (rt->plugin.hooks.order) {
        sim->machine->order = hsi_policy_plugin_order;
        sim->machine->order_user = &rt->plugin;
    }
    describe_devices(rt, sim->machine, sim->platform);
    hsi_runtime_retain(rt);
    sim->owner = rt;
    sim->release = release_runtime;
    *simulation = sim;
    return HSCHED_OK;
}

/* ---- Models --------------------------------------------------------------- */

typedef struct foreseen_model { /* the owner of a simulated model */
    hsched_model *model;
    hsi_placing placing;
    hsi_foreseen seen;
} foreseen_model;

static void release_model(void *owner)
{
    foreseen_model *made = owner;
    hsi_foreseen_clear(&made->seen);
    hsi_placing_clear(&made->placing);
    hsched_model_release(made->model);
    hsi_free(made);
}

/* Devices on which the policy could place a section, and not all of what it has there is known. */
static hsched_status check_known(const hsched_model *model, const hsi_placing *placing)
{
    uint32_t used = 0;
    for (uint32_t s = 0; s < model->plan->section_count; s++)
        used |= model->core_sections[s].device_mask;
    const uint32_t missing = used & placing->unknown;
    if (missing == 0)
        return HSCHED_OK;
    const uint32_t device = (uint32_t)__builtin_ctz(missing);
    return hsi_error(
        HSCHED_ERROR_NOT_FOUND,
        "model '%s', policy %s: how long its sections take on device %u (%.100s) was "
        "never measured; call hsched_model_profile for it",
        model->name, model->core.policy->name, device,
        hsi_cost_table_device_text(model->runtime->costs.table,
                                   model->runtime->costs.devices[device]));
}

static hsched_status foresee(hsched_model *model, foreseen_model *made)
{
    hsi_choices sizes = { 0 };
    hsched_status status = hsi_placing_make(model, &made->placing, &sizes);
    if (status == HSCHED_OK)
        status = check_known(model, &made->placing);
    if (status != HSCHED_OK)
        return status;
    return hsi_foreseen_init(&made->seen, model, &made->placing, &sizes);
}

HSCHED_API hsched_status hsched_simulation_add_model(hsched_simulation *sim,
                                                     hsched_model *model,
                                                     uint32_t *number)
{
    if (!sim || !model || !number)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_simulation_add_model: simulation, model or number is NULL");
    if (!sim->machine)
        return hsi_error(
            HSCHED_ERROR_STATE,
            "hsched_simulation_add_model: this simulation is of the platform "
            "%s; use hsched_simulation_add",
            sim->platform->path);
    if (model->runtime != sim->owner)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_add_model: model '%s' is of another runtime "
                         "than the simulation",
                         model->name);
    foreseen_model *made = HSI_NEW(foreseen_model);
    hsi_simulated_model *simulated = HSI_NEW(hsi_simulated_model);
    if (!made || !simulated) {
        hsi_free(made);
        hsi_free(simulated);
        return hsi_out_of_memory("a simulated model");
    }
    made->model = hsched_model_retain(model);
    simulated->owner = made;
    simulated->release = release_model;
    simulated->name = hsi_strdup(model->name);
    hsched_status status =
        simulated->name ? foresee(model, made) : hsi_out_of_memory("a simulated model");
    if (status != HSCHED_OK) {
        hsi_simulated_model_destroy(simulated);
        return status;
    }
    simulated->math = model->math;
    simulated->engine = made->seen.engine;
    /* The model's own is for traces of the runtime, which may be running. */
    status = hsi_plan_describe(model->plan, model->name, &simulated->trace);
    if (status != HSCHED_OK) {
        hsi_simulated_model_destroy(simulated);
        return status;
    }
    status = hsi_simulation_take(sim, simulated, model->core.policy, model->objective);
    if (status == HSCHED_OK)
        *number = sim->model_count - 1;
    return status;
}
