/*
 * What devices draw, measured by their meters while a model is measured: with nothing to do for a
 * while, and then with as many runs at once as the device takes, one after the other.
 */
#include <math.h>
#include <time.h>

#include "base/sync.h"
#include "runtime/meters.h"
#include "runtime/profile.h"

#define LONGEST_S                                                                        \
    0.3 /* of each of the two; meters are behind by up to a tenth of a second */
#define SHARE      0.05  /* of all the time that there is */
#define BETWEEN_US 10000 /* meters that know watts only are read so often */

enum {
    RUNS_MOST = 8 /* at once on a device with a queue */
};

/* Nothing to synchronise with: that time passes is what is wanted. */
static void let_pass(double seconds)
{
    const struct timespec time = { .tv_sec = (time_t)seconds,
                                   .tv_nsec = (long)(fmod(seconds, 1) * 1e9) };
    nanosleep(&time, NULL);
}

/* 0: the meter says nothing. */
static double mean_watts(const hsi_metered *before, const hsi_metered *after)
{
    const double us = (double)(after->at_us - before->at_us);
    return (after->known & HSCHED_METERS_JOULES) && us > 0
               ? 1e6 * (after->joules - before->joules) / us
               : 0;
}

static hsched_status run_for(const hsi_profile_power *p, const hsi_profile_shape *shape,
                             uint32_t runs, hsi_metered *after)
{
    hsched_runtime *rt = p->input->model->runtime;
    const uint64_t until_us = hsi_now_us() + (uint64_t)(p->seconds * 1e6);
    uint64_t now_us;
    hsched_status status;
    do {
        status = hsi_profile_run(p->input, shape, p->probes, runs);
        now_us = hsi_now_us();
        if (now_us > after->at_us + BETWEEN_US)
            hsi_meters_read(rt, shape->device, after);
    } while (status == HSCHED_OK && now_us < until_us);
    if (status == HSCHED_OK)
        hsi_meters_read(rt, shape->device, after);
    return status;
}

static hsched_status measure_active(const hsi_profile_power *p, uint32_t device,
                                    double *watts)
{
    hsched_model *model = p->input->model;
    hsched_runtime *rt = model->runtime;
    const uint32_t lanes = rt->workers[device],
                   most = device == 0 ? HSI_PROFILE_RUNS : RUNS_MOST,
                   runs = lanes < most ? lanes : most;
    hsi_profile_shape shape;
    hsi_metered before, after;
    hsched_status status = hsi_profile_shape_init(&shape, model, device, 0, 1);
    for (uint32_t i = 0; i < runs; i++)
        *p->probes[i] = (hsi_exec_probe){ .workers = 1 };
    if (status ==
        HSCHED_OK) /* makes slots; what is prepared in the background is not wanted */
        status = hsi_profile_run(p->input, &shape, p->probes, runs);
    if (status == HSCHED_OK)
        status = hsched_runtime_settle(rt);
    *watts = 0;
    if (status == HSCHED_OK && hsi_meters_read(rt, device, &before)) {
        after = before;
        status = run_for(p, &shape, runs, &after);
        *watts = mean_watts(&before, &after);
    }
    hsi_profile_shape_clear(&shape);
    return status;
}

hsched_status hsi_profile_measure_power(const hsi_profile_power *p, uint32_t device,
                                        int *measured)
{
    hsched_runtime *rt = p->input->model->runtime;
    hsi_metered before, after;
    hsi_watts used;
    double watts;
    *measured = 0;
    if (!hsi_meters_read(rt, device, &before))
        return HSCHED_OK;
    let_pass(p->seconds);
    const double idle_watts =
        hsi_meters_read(rt, device, &after) ? mean_watts(&before, &after) : 0;
    hsched_status status = measure_active(p, device, &watts);
    if (status != HSCHED_OK || !(watts > 0))
        return status;
    pthread_mutex_lock(&rt->costs.mutex);
    /* Within what a meter is wrong by, working may seem to take less than idling. */
    status = hsi_cost_table_put_watts(rt->costs.table, rt->costs.devices[device], watts,
                                      idle_watts < watts ? idle_watts : watts, 1);
    pthread_mutex_unlock(&rt->costs.mutex);
    *measured = status == HSCHED_OK;
    return status == HSCHED_OK ? hsi_power_update(rt, &used) : status;
}

double hsi_profile_power_seconds(double total)
{
    return total * SHARE < LONGEST_S ? total * SHARE : LONGEST_S;
}
