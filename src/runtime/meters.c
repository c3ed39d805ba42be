#include "runtime/meters.h"

#include <math.h>
#include <stdlib.h>

#include <hsched/experimental.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/sync.h"
#include "meter/meter.h"
#include "runtime/planner.h"
#include "worker/queue.h"

enum {
    PERIOD_US = 100000,
    COST_SHARE = 1000, /* reading takes at most such a part of the time */
    /* Drivers tell the use of up to the last second: of a time in which we did nothing. */
    OURS_US = 1000000,
    WITNESS_US = 300000, /* it is believed for so long, */
    WITNESS_JOBS = 8     /* and until so many jobs have shown how it is */
};
/* Within that the cost table would call it no load either; and what others leave is not nothing. */
#define LEAST_USE 0.13
#define MOST_USE  0.95

typedef struct device_meter {
    hsi_metered reading;
    uint32_t sources[HSI_METERS_MAX], source_count; /* files that add up to it */
    uint64_t before[HSI_METERS_MAX];                /* their counters */
    int by_backend;
    int backend_counts;    /* the last reading had its counter, */
    double backend_joules; /*   which was that */
} device_meter;

struct hsi_meter_set {
    pthread_mutex_t
        mutex; /* a leaf lock, but for what backends do to read: guards the rest */
    hsi_meters files;
    device_meter devices[HSI_MAX_DEVICES];
    uint32_t metered; /* devices, as bits; set when it is opened */
    double cost_us;   /* of reading all, lately */
};

/* ---- Opening ----------------------------------------------------------------- */

static void find_files(hsi_meter_set *m, uint32_t device, hsi_meter_of of)
{
    device_meter *d = &m->devices[device];
    hsi_meter_reading reading;
    for (uint32_t i = 0; i < m->files.count; i++) {
        const hsi_meter *meter = &m->files.list[i];
        /* Counters count everything; a rail beside them would count it twice. */
        if (meter->of != of || !hsi_meter_read(meter, &reading) ||
            (d->source_count > 0 &&
             !meter->energy[0] != !m->files.list[d->sources[0]].energy[0]))
            continue;
        d->before[d->source_count] = reading.energy_uj;
        d->sources[d->source_count++] = i;
        d->reading.name = m->files.list[d->sources[0]].name;
    }
}

static void find_meter(const hsched_runtime *rt, uint32_t device)
{
    hsi_meter_set *m = rt->meters;
    device_meter *d = &m->devices[device];
    const hsi_exec_device *e = &rt->devices[device];
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    hsched_meters told = { .struct_size = sizeof told };
    e->backend->device_info(e->handle, &info);
    if (e->backend->read_meters &&
        e->backend->read_meters(e->handle, &told) == HSCHED_OK && told.known) {
        d->by_backend = 1;
        d->backend_counts = (told.known & HSCHED_METERS_JOULES) != 0;
        d->backend_joules = told.joules;
        d->reading.name = told.name;
    } else if (device == 0) {
        find_files(m, device, HSI_METER_OF_CPU);
    } else if (info.kind == HSCHED_DEVICE_GPU) {
        find_files(m, device, HSI_METER_OF_GPU);
    }
    d->reading.at_us = hsi_now_us();
    if (d->by_backend || d->source_count > 0)
        m->metered |= 1u << device;
}

hsched_status hsi_meters_open(hsched_runtime *rt)
{
    const char *root = getenv("HSCHED_METERS_ROOT");
    hsi_meter_set *m = HSI_NEW(hsi_meter_set);
    if (!m)
        return hsi_out_of_memory("a runtime's meters");
    if (pthread_mutex_init(&m->mutex, NULL) != 0) {
        hsi_free(m);
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    }
    rt->meters = m;
    hsi_meters_find(root ? root : "", &m->files);
    for (uint32_t d = 0; d < rt->device_count; d++)
        find_meter(rt, d);
    return HSCHED_OK;
}

void hsi_meters_close(hsched_runtime *rt)
{
    if (!rt->meters)
        return;
    pthread_mutex_destroy(&rt->meters->mutex);
    hsi_free(rt->meters);
    rt->meters = NULL;
}

int hsi_meters_any(const hsched_runtime *rt)
{
    return rt->meters && rt->meters->metered != 0;
}

/* ---- Reading ----------------------------------------------------------------- */

/* Watts that nobody adds up: as if they had been so since the reading before. */
static void add_up(hsi_metered *r, uint64_t now_us)
{
    r->joules += r->watts * (double)(now_us - r->at_us) / 1e6;
    r->known |= HSCHED_METERS_JOULES;
}

/* What a counter has gained is watts, too, if its meter knows none. */
static void add_gain(hsi_metered *r, double joules, uint64_t now_us)
{
    r->joules += joules;
    r->known |= HSCHED_METERS_JOULES;
    if (!(r->known & HSCHED_METERS_WATTS) && now_us > r->at_us) {
        r->watts = 1e6 * joules / (double)(now_us - r->at_us);
        r->known |= HSCHED_METERS_WATTS;
    }
}

/* A counter that the reading before did not have counts from now on: of the time until now watts
 * are added up, if they are known. One that has gone back was begun anew, with its driver. */
static void add_told(device_meter *d, const hsched_meters *told, uint64_t now_us)
{
    hsi_metered *r = &d->reading;
    const int counts = (told->known & HSCHED_METERS_JOULES) != 0;
    const double gained = told->joules - d->backend_joules;
    if (counts && d->backend_counts)
        add_gain(r, gained > 0 ? gained : 0, now_us);
    else if (told->known & HSCHED_METERS_WATTS)
        add_up(r, now_us);
    d->backend_counts = counts;
    d->backend_joules = told->joules;
}

static int read_backend(const hsi_exec_device *e, device_meter *d, uint64_t now_us)
{
    hsched_meters told = { .struct_size = sizeof told };
    hsi_metered *r = &d->reading;
    if (e->backend->read_meters(e->handle, &told) != HSCHED_OK || !told.known)
        return 0;
    r->known = told.known & (HSCHED_METERS_WATTS | HSCHED_METERS_USE);
    r->watts = told.watts;
    r->use = told.use;
    add_told(d, &told, now_us);
    return 1;
}

static int read_files(const hsi_meter_set *m, device_meter *d, uint64_t now_us)
{
    hsi_metered *r = &d->reading;
    hsi_meter_reading readings[HSI_METERS_MAX];
    double joules = 0, watts = 0;
    int counts = 0;
    for (uint32_t i = 0; i < d->source_count; i++)
        if (!hsi_meter_read(&m->files.list[d->sources[i]], &readings[i]))
            return 0;
    for (uint32_t i = 0; i < d->source_count; i++) {
        const hsi_meter *meter = &m->files.list[d->sources[i]];
        counts |= readings[i].has_energy;
        watts += readings[i].watts;
        joules += readings[i].has_energy
                      ? (double)hsi_meter_gained_uj(meter, d->before[i],
                                                    readings[i].energy_uj) /
                            1e6
                      : 0;
        d->before[i] = readings[i].energy_uj;
    }
    r->known = counts ? 0 : HSCHED_METERS_WATTS;
    if (counts) {
        add_gain(r, joules, now_us);
    } else {
        r->watts = watts;
        add_up(r, now_us);
    }
    return 1;
}

int hsi_meters_read(hsched_runtime *rt, uint32_t device, hsi_metered *reading)
{
    hsi_meter_set *m = rt->meters;
    if (!(m->metered >> device & 1))
        return 0;
    pthread_mutex_lock(&m->mutex);
    device_meter *d = &m->devices[device];
    const uint64_t now_us = hsi_now_us();
    const int done = d->by_backend ? read_backend(&rt->devices[device], d, now_us)
                                   : read_files(m, d, now_us);
    if (done)
        d->reading.at_us = now_us;
    *reading = d->reading;
    pthread_mutex_unlock(&m->mutex);
    return done;
}

uint64_t hsi_meters_period_us(const hsched_runtime *rt)
{
    hsi_meter_set *m = rt->meters;
    pthread_mutex_lock(&m->mutex);
    const double period = m->cost_us * COST_SHARE;
    pthread_mutex_unlock(&m->mutex);
    return period > PERIOD_US ? (uint64_t)period : PERIOD_US;
}

/* ---- What follows ------------------------------------------------------------- */

/* Under the scheduler lock. */
static int has_been_ours(const hsched_runtime *rt, uint32_t device, uint64_t now_us)
{
    const hsi_queue *queue = rt->pool->queues[device];
    const uint32_t executing = queue ? queue->running : rt->pool->executing[device];
    const uint64_t ended_us = rt->witness[device].job_ended_us;
    return executing > 0 || (ended_us > 0 && now_us < ended_us + OURS_US);
}

static void note_use(hsched_runtime *rt, uint32_t device, const hsi_metered *r)
{
    if (!(r->known & HSCHED_METERS_USE) || has_been_ours(rt, device, r->at_us))
        return;
    const double use = fmin(r->use, MOST_USE);
    rt->witness[device].load = use > LEAST_USE ? 1 / (1 - use) : 1;
    rt->witness[device].at_us = r->at_us;
    rt->witness[device].jobs = 0;
}

/* Under the scheduler lock. */
static void note_drawn(hsched_runtime *rt, uint32_t device, const hsi_metered *r)
{
    const double before = rt->witness[device].joules;
    const uint64_t since_us = rt->witness[device].joules_us;
    if (!(r->known & HSCHED_METERS_JOULES) || r->at_us <= since_us)
        return;
    rt->witness[device].joules = r->joules;
    rt->witness[device].joules_us = r->at_us;
    if (since_us > 0)
        hsi_core_set_drawn(rt->core, device,
                           1e6 * (r->joules - before) / (double)(r->at_us - since_us),
                           r->at_us);
}

void hsi_meters_work(hsched_runtime *rt)
{
    hsi_meter_set *m = rt->meters;
    hsi_metered readings[HSI_MAX_DEVICES];
    uint32_t read = 0;
    const uint64_t began_us = hsi_now_us();
    for (uint32_t d = 0; d < rt->device_count; d++)
        read |= (uint32_t)hsi_meters_read(rt, d, &readings[d]) << d;
    pthread_mutex_lock(&m->mutex);
    m->cost_us = (double)(hsi_now_us() - began_us);
    pthread_mutex_unlock(&m->mutex);
    pthread_mutex_lock(&rt->pool->lock);
    for (uint32_t d = 0; d < rt->device_count; d++) {
        if (!(read >> d & 1))
            continue;
        note_use(rt, d, &readings[d]);
        note_drawn(rt, d, &readings[d]);
    }
    hsi_observe_refresh(rt, 0);
    hsi_worker_pool_after_events(rt->pool);
    pthread_mutex_unlock(&rt->pool->lock);
}

double hsi_meters_load(const hsched_runtime *rt, uint32_t device, uint64_t now_us)
{
    if (!(rt->witness[device].load > 1) || rt->witness[device].jobs >= WITNESS_JOBS ||
        now_us > rt->witness[device].at_us + WITNESS_US)
        return 1;
    return rt->witness[device].load;
}

/* ---- Asking -------------------------------------------------------------------- */

_Static_assert((int)HSCHED_METER_WATTS == (int)HSCHED_METERS_WATTS &&
                   (int)HSCHED_METER_JOULES == (int)HSCHED_METERS_JOULES &&
                   (int)HSCHED_METER_USE == (int)HSCHED_METERS_USE,
               "the backends' bits are the public ones");

HSCHED_API hsched_status hsched_runtime_read_meter(hsched_runtime *rt, uint32_t device,
                                                   hsched_meter_reading *reading)
{
    hsi_metered read;
    if (!rt || !reading)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_runtime_read_meter: runtime or reading is NULL");
    if (device >= rt->device_count)
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "hsched_runtime_read_meter: there is no device %u; there are %u",
                         device, rt->device_count);
    if (!hsi_meters_read(rt, device, &read))
        return hsi_error(
            HSCHED_ERROR_NOT_FOUND,
            "hsched_runtime_read_meter: nothing measures device %u: there is no NVML, "
            "RAPL "
            "(/sys/class/powercap, readable by root only on many systems) or INA3221 "
            "(/sys/class/hwmon) for it that this process can read",
            device);
    const hsched_meter_reading filled = { HSCHED_METER_READING_INIT, .name = read.name,
                                          .known = read.known,       .watts = read.watts,
                                          .joules = read.joules,     .use = read.use };
    return hsi_info_write(reading, &filled, sizeof filled, "hsched_meter_reading");
}
