/* Objectives of a simulation: what they need is in the platform file or is an error; energy. */
#include "base/status.h"
#include "simulator/simulation.h"

static hsched_status check_watts(const hsched_simulation *sim, hsched_objective objective)
{
    const hsi_platform *platform = sim->platform;
    for (uint32_t d = 0; d < platform->device_count; d++)
        if (!(platform->devices[d].watts > 0))
            return hsi_error(HSCHED_ERROR_NOT_FOUND,
                             "hsched_simulation_run: the objective %s needs to know what "
                             "devices draw, and [device %s] of %s does not say; add "
                             "'watts = ...' and 'idle_watts = ...' there",
                             hsched_objective_name(objective), platform->devices[d].name,
                             platform->path);
    return HSCHED_OK;
}

static hsched_status check_cap(const hsched_simulation *sim,
                               const hsched_simulation_config *config)
{
    double idle_watts = 0;
    const int is_cap = config->objective == HSCHED_OBJECTIVE_POWER_CAP;
    if (is_cap != (config->power_cap_watts > 0))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_run: power_cap_watts is %g and the objective "
                         "is %s; a cap above 0 and POWER_CAP go together",
                         config->power_cap_watts,
                         hsched_objective_name(config->objective));
    for (uint32_t d = 0; d < sim->platform->device_count; d++)
        idle_watts += sim->platform->devices[d].idle_watts;
    if (is_cap && config->power_cap_watts <= idle_watts)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_run: the devices of %s draw %g W when they "
                         "idle, so that nothing could run below %g W; allow more",
                         sim->platform->path, idle_watts, config->power_cap_watts);
    return HSCHED_OK;
}

hsched_status hsi_simulation_set_objectives(hsched_simulation *sim,
                                            const hsched_simulation_config *config)
{
    uint32_t choosing = 0;
    if ((unsigned)config->objective > HSCHED_OBJECTIVE_POWER_CAP)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_simulation_run: objective %d is not HSCHED_OBJECTIVE_...",
            (int)config->objective);
    hsched_status status = HSCHED_OK;
    if (config->objective == HSCHED_OBJECTIVE_POWER_CAP)
        status = check_watts(sim, config->objective);
    if (status == HSCHED_OK)
        status = check_cap(sim, config);
    for (uint32_t i = 0; i < sim->model_count && status == HSCHED_OK; i++) {
        hsi_simulated *m = sim->models[i];
        if (!m->chooses)
            continue;
        choosing++;
        hsched_objective *objective = &m->model->engine.core.objective;
        *objective =
            m->objective != HSCHED_OBJECTIVE_DEFAULT ? m->objective : config->objective;
        if (*objective == HSCHED_OBJECTIVE_ENERGY)
            status = check_watts(sim, *objective);
    }
    if (status == HSCHED_OK && choosing == 0 &&
        config->objective != HSCHED_OBJECTIVE_DEFAULT)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_simulation_run: the objective %s is the policy 'cost's, "
                         "and no model has it",
                         hsched_objective_name(config->objective));
    return status;
}

double hsi_simulation_joules(const hsched_simulation *sim, uint32_t device)
{
    const hsi_platform_device *d = &sim->platform->devices[device];
    const double busy_us =
        device == 0 ? sim->totals.worker_us[0] / d->workers : sim->totals.busy_us[device];
    return d->watts > 0 ? (d->idle_watts * sim->totals.end_us +
                           (d->watts - d->idle_watts) * busy_us) /
                              1e6
                        : 0;
}
