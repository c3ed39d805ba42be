/*
 * Objectives of a runtime and its models, and what its devices draw: the user's word, else what was
 * measured, which the cost table knows. An objective that has to know and cannot is an error.
 */
#include <stdio.h>
#include <string.h>

#include <hsched/experimental.h>

#include "base/status.h"
#include "base/sync.h"
#include "runtime/runtime.h"

#define WATTS_MAX 1e6

static void device_info(const hsched_runtime *rt, uint32_t device,
                        hsched_device_info *info)
{
    *info = (hsched_device_info){ HSCHED_DEVICE_INFO_INIT };
    rt->devices[device].backend->device_info(rt->devices[device].handle, info);
}

/* ---- What devices draw ----------------------------------------------------- */

static hsched_status no_such_device(const hsched_runtime *rt, const char *name)
{
    char known[512] = "";
    hsched_device_info info;
    for (uint32_t d = 0; d < rt->device_count; d++) {
        const size_t length = strlen(known);
        device_info(rt, d, &info);
        snprintf(known + length, sizeof known - length, "%s%s", d ? ", " : "", info.name);
    }
    return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                     "hsched_device_watts: this runtime has no device '%.80s'; it has %s",
                     name, known);
}

static hsched_status take_watts(hsched_runtime *rt, const hsched_device_watts *given,
                                uint32_t index)
{
    hsched_device_info info;
    uint32_t d = 0;
    if (!given->device)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_device_watts: number %u has no device", index);
    for (; d < rt->device_count; d++) {
        device_info(rt, d, &info);
        if (strcmp(info.name, given->device) == 0)
            break;
    }
    if (d == rt->device_count)
        return no_such_device(rt, given->device);
    if (!(given->watts > 0 && given->watts <= WATTS_MAX) || !(given->idle_watts >= 0) ||
        given->idle_watts > given->watts)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_device_watts: '%s' draws %g W, %g W when it idles; give "
                         "more than 0, and no more when it idles",
                         given->device, given->watts, given->idle_watts);
    rt->power.watts[d] = given->watts;
    rt->power.idle_watts[d] = given->idle_watts;
    rt->power.told |= 1u << d;
    return HSCHED_OK;
}

/* What the user has said, which never changes, else what the table knows; 0: neither. Under
 * costs.mutex. */
static void look_up_watts(const hsched_runtime *rt, hsi_watts *found)
{
    for (uint32_t d = 0; d < rt->device_count; d++) {
        found->active[d] = rt->power.watts[d];
        found->idle[d] = rt->power.idle_watts[d];
        if (!(rt->power.told >> d & 1))
            hsi_cost_table_watts(rt->costs.table, rt->costs.devices[d], &found->active[d],
                                 &found->idle[d]);
    }
}

/* An error if some device's are not known. */
static hsched_status check_known(const hsched_runtime *rt, hsched_objective objective,
                                 const hsi_watts *found)
{
    hsched_device_info info;
    hsched_status status = HSCHED_OK;
    for (uint32_t d = 0; d < rt->device_count && status == HSCHED_OK; d++) {
        if (found->active[d] > 0)
            continue;
        device_info(rt, d, &info);
        status = hsi_error(
            HSCHED_ERROR_NOT_FOUND,
            "the objective %s has to know what devices draw, and of '%s' it is not "
            "known; "
            "have it measured where there is a meter (hsched profile; hsched info shows "
            "meters), or give it as hsched_runtime_config.device_watts (--device-watts)",
            hsched_objective_name(objective), info.name);
    }
    return status;
}

static hsched_status check_idle(const hsched_runtime *rt, double cap_watts,
                                const hsi_watts *found)
{
    double idle_watts = 0;
    for (uint32_t d = 0; d < rt->device_count; d++)
        idle_watts += found->idle[d];
    if (!(cap_watts > 0) || cap_watts > idle_watts)
        return HSCHED_OK;
    return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                     "the devices draw %g W when they idle, so that nothing could run "
                     "below hsched_runtime_config.power_cap_watts, which is %g W; allow "
                     "more",
                     idle_watts, cap_watts);
}

/* Both locks at once: of two that come here at the same time the later tells the newer. The
 * table's first: under the scheduler's it is only ever tried (observe.c). */
hsched_status hsi_power_update(hsched_runtime *rt, hsi_watts *used)
{
    hsi_watts found;
    pthread_mutex_lock(&rt->costs.mutex);
    pthread_mutex_lock(&rt->pool->lock);
    look_up_watts(rt, &found);
    hsched_status status = check_idle(rt, rt->power.cap_watts, &found);
    for (uint32_t d = 0; d < rt->device_count; d++) {
        if (status == HSCHED_OK && found.active[d] > 0)
            hsi_core_set_watts(rt->core, d, found.active[d], found.idle[d], hsi_now_us());
        hsi_core_get_watts(rt->core, d, &used->active[d], &used->idle[d]);
    }
    hsi_worker_pool_after_events(rt->pool); /* the cap may allow more */
    pthread_mutex_unlock(&rt->pool->lock);
    pthread_mutex_unlock(&rt->costs.mutex);
    return status;
}

/* ---- The runtime's ----------------------------------------------------------- */

static hsched_status check_cap(const hsched_runtime_config *config)
{
    const int is_cap = config->objective == HSCHED_OBJECTIVE_POWER_CAP;
    if (is_cap != (config->power_cap_watts > 0) || !(config->power_cap_watts >= 0) ||
        config->power_cap_watts > WATTS_MAX)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_create: power_cap_watts is %g and the objective "
                         "is %s; a cap above 0 and POWER_CAP go together",
                         config->power_cap_watts,
                         hsched_objective_name(config->objective));
    return HSCHED_OK;
}

static hsched_status check_objective(const hsched_runtime *rt, hsched_objective objective)
{
    if ((unsigned)objective > HSCHED_OBJECTIVE_POWER_CAP)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "objective %d is not known to version %s; use one of "
                         "HSCHED_OBJECTIVE_...",
                         (int)objective, HSCHED_VERSION_STRING);
    if (objective != HSCHED_OBJECTIVE_DEFAULT && rt->policy != HSCHED_POLICY_COST)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_create: the objective %s is the policy COST's; "
                         "set policy = HSCHED_POLICY_COST",
                         hsched_objective_name(objective));
    return HSCHED_OK;
}

hsched_status hsi_power_create(hsched_runtime *rt, const hsched_runtime_config *config)
{
    const hsched_objective objective = config->objective;
    const int needs =
        objective == HSCHED_OBJECTIVE_ENERGY || objective == HSCHED_OBJECTIVE_POWER_CAP;
    hsi_watts found = { 0 };
    hsched_status status = check_objective(rt, objective);
    if (status == HSCHED_OK && config->device_watts_count > 0 && !config->device_watts)
        status = hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                           "hsched_runtime_create: device_watts_count is %u and "
                           "device_watts is NULL",
                           config->device_watts_count);
    for (uint32_t i = 0; i < config->device_watts_count && status == HSCHED_OK; i++)
        status = take_watts(rt, &config->device_watts[i], i);
    if (status == HSCHED_OK && needs)
        status = hsi_costs_load(rt);
    if (status == HSCHED_OK && needs) {
        pthread_mutex_lock(&rt->costs.mutex);
        look_up_watts(rt, &found);
        pthread_mutex_unlock(&rt->costs.mutex);
        status = check_known(rt, objective, &found);
    }
    for (uint32_t d = 0; d < rt->device_count && status == HSCHED_OK && needs; d++) {
        rt->power.watts[d] = found.active[d];
        rt->power.idle_watts[d] = found.idle[d];
    }
    if (status == HSCHED_OK)
        status = check_cap(config);
    if (status == HSCHED_OK)
        status = check_idle(rt, config->power_cap_watts, &found);
    rt->power.objective = objective;
    rt->power.cap_watts = config->power_cap_watts;
    return status;
}

/* ---- Models' ------------------------------------------------------------------ */

/* What was not known when the runtime was made may have been measured since. */
static hsched_status learn_watts(hsched_runtime *rt)
{
    hsi_watts used;
    hsched_status status = hsi_costs_load(rt);
    if (status == HSCHED_OK)
        status = hsi_power_update(rt, &used);
    return status == HSCHED_OK ? check_known(rt, HSCHED_OBJECTIVE_ENERGY, &used) : status;
}

hsched_status hsi_power_model_objective(hsched_runtime *rt,
                                        const hsched_model_config *config,
                                        hsched_objective *objective)
{
    const hsched_policy policy = hsi_model_policy(rt, config);
    *objective = HSCHED_OBJECTIVE_DEFAULT;
    if ((unsigned)config->objective > HSCHED_OBJECTIVE_ENERGY)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         config->objective == HSCHED_OBJECTIVE_POWER_CAP
                             ? "hsched_model_config: objective is POWER_CAP (%d), and a "
                               "cap is of all devices; set it in hsched_runtime_config"
                             : "hsched_model_config: objective %d is not "
                               "HSCHED_OBJECTIVE_...",
                         (int)config->objective);
    if (config->objective != HSCHED_OBJECTIVE_DEFAULT && policy != HSCHED_POLICY_COST)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_model_config: the objective %s is the policy COST's; set "
            "policy = HSCHED_POLICY_COST",
            hsched_objective_name(config->objective));
    if (policy != HSCHED_POLICY_COST)
        return HSCHED_OK;
    *objective = config->objective != HSCHED_OBJECTIVE_DEFAULT ? config->objective
                                                               : rt->power.objective;
    if (*objective == HSCHED_OBJECTIVE_LATENCY && config->batch_wait_us > 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_config: batch_wait_us is %u, and the objective is "
                         "LATENCY, for which nothing waits; leave one of them out",
                         config->batch_wait_us);
    return *objective == HSCHED_OBJECTIVE_ENERGY ? learn_watts(rt) : HSCHED_OK;
}

/* ---- Asking -------------------------------------------------------------------- */

HSCHED_API hsched_status hsched_runtime_get_watts(hsched_runtime *rt, uint32_t device,
                                                  double *active_watts,
                                                  double *idle_watts)
{
    hsi_watts used;
    if (!rt)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_get_watts: runtime is NULL");
    if (device >= rt->device_count)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "hsched_runtime_get_watts: there is no device %u; there are %u",
                         device, rt->device_count);
    hsched_status status = hsi_costs_load(rt);
    if (status == HSCHED_OK)
        status = hsi_power_update(rt, &used);
    if (status == HSCHED_OK && !(used.active[device] > 0))
        status = hsi_error(HSCHED_ERROR_NOT_FOUND,
                           "hsched_runtime_get_watts: what device %u draws is neither "
                           "given (device_watts) nor measured (hsched_model_profile)",
                           device);
    if (active_watts)
        *active_watts = status == HSCHED_OK ? used.active[device] : 0;
    if (idle_watts)
        *idle_watts = status == HSCHED_OK ? used.idle[device] : 0;
    return status;
}
