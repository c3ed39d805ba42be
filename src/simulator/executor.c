#include "simulator/executor.h"

#include <math.h>

#include "base/alloc.h"
#include "base/status.h"

/* What is left below this is rounding: nothing that is simulated takes a picosecond. */
#define NOTHING_US 1e-6

hsched_status hsi_executor_init(hsi_executor *executor, const hsi_engine_device *device,
                                int is_cpu)
{
    const uint32_t most = device->core.max_batch > 0 ? device->core.max_batch : 1;
    *executor = (hsi_executor){ .device = device, .is_cpu = is_cpu, .most = most };
    executor->workers = HSI_NEW_ARRAY(hsi_executor_worker, device->core.workers);
    executor->members = HSI_NEW_ARRAY(hsi_job *, (size_t)device->core.workers * most);
    if (!executor->workers || !executor->members)
        return hsi_out_of_memory("a simulated device");
    for (uint32_t i = 0; i < device->core.workers; i++)
        executor->workers[i].members = executor->members + (size_t)i * most;
    return HSCHED_OK;
}

void hsi_executor_clear(hsi_executor *executor)
{
    hsi_free(executor->workers);
    hsi_free(executor->members);
}

hsi_executor_worker *hsi_executor_idle(hsi_executor *executor, double now_us)
{
    if (executor->busy == executor->device->core.workers ||
        now_us < executor->starting_until_us)
        return NULL;
    hsi_executor_worker *worker = executor->workers;
    while (worker->count > 0)
        worker++;
    return worker;
}

static const hsi_engine_model *model_of(const hsi_executor_worker *worker)
{
    return (const hsi_engine_model *)worker->members[0]->run->model;
}

void hsi_executor_begin(hsi_executor *executor, hsi_executor_worker *worker,
                        double now_us, double fixed_us, double work_us)
{
    worker->began_us = now_us;
    worker->fixed_us = worker->fixed_left = fixed_us;
    worker->work_us = worker->work_left = work_us;
    worker->speed = 0;
    executor->busy++;
    const hsi_job *job = worker->members[0];
    const hsi_engine_model *model = model_of(worker);
    if (model->starting_us && job->count == model->core.section_count)
        executor->starting_until_us = now_us + (double)model->starting_us[job->device];
}

void hsi_executor_end(hsi_executor *executor, hsi_executor_worker *worker)
{
    worker->count = 0;
    executor->busy--;
}

static int is_at_work(const hsi_executor_worker *worker)
{
    return worker->count > 0 && worker->fixed_left == 0;
}

double hsi_executor_load(const hsi_executor *executor, double now_us)
{
    const hsi_engine_device *device = executor->device;
    double factor = 1;
    for (uint32_t i = 0; i < device->load_count && device->loads[i].from_us <= now_us;
         i++)
        factor = device->loads[i].factor;
    return factor;
}

/* On the CPU, whose jobs are of one section. */
static double speed_up(const hsi_executor_worker *worker, uint32_t team)
{
    const hsi_engine_model *model = model_of(worker);
    const uint32_t section = worker->members[0]->section;
    const double p = model->parallel;
    return 1 / (model->team ? hsi_curve_shared_at(&model->team[section], team)
                            : 1 - p + p / team);
}

/* Of the worker's model; NULL: it was not measured. */
static const hsi_curve *own_curve(const hsi_executor_worker *worker)
{
    const hsi_engine_model *model = model_of(worker);
    const hsi_curve *own =
        model->stretch ? &model->stretch[worker->members[0]->device] : NULL;
    return own && own->count > 0 ? own : NULL;
}

/* That its jobs at once go by. */
static const hsi_curve *curve_of(const hsi_executor *executor,
                                 const hsi_executor_worker *worker)
{
    const hsi_curve *own = own_curve(worker);
    return own ? own : &executor->device->stretch;
}

/* So many such jobs the device does at the same time, at best. */
static double capacity_of(const hsi_executor_worker *worker, const hsi_curve *own)
{
    const hsi_curve *batch = &model_of(worker)->batch[worker->members[0]->device];
    double most = 1;
    for (uint32_t i = 0; i < batch->count && worker->count > 1; i++) {
        const double jobs = (double)batch->at[i] / worker->count;
        const double stretch = batch->factor[i] / hsi_curve_at(batch, worker->count);
        most = fmax(most, jobs / stretch);
    }
    return worker->count > 1 ? fmin(most, hsi_curve_capacity(own))
                             : hsi_curve_capacity(own);
}

/* What its job takes up of the device; all of it where that is not known. */
static double fill_of(const hsi_executor_worker *worker)
{
    const hsi_curve *own = own_curve(worker);
    return own ? 1 / capacity_of(worker, own) : 1;
}

/*
 * How many times as long the worker's job takes because of the others. What a model leaves of the
 * device is of use to its own jobs, and half of it to others': small kernels of one network wait
 * for the large ones of another. So a job of another model counts as as many of its own as the
 * device does at once, less half of what its model leaves (worker/share.c has the same rule).
 */
static double stretch_of(const hsi_executor *executor, const hsi_executor_worker *worker,
                         uint32_t jobs)
{
    const hsi_engine_model *model = model_of(worker);
    const hsi_curve *own = own_curve(worker);
    const hsi_curve *curve = curve_of(executor, worker);
    if (jobs == 1)
        return hsi_curve_at(curve, jobs);
    const double most = own ? capacity_of(worker, own) : 1;
    double alike = 0, runs = 0;
    for (uint32_t i = 0; i < executor->device->core.workers; i++) {
        const hsi_executor_worker *other = &executor->workers[i];
        if (!is_at_work(other))
            continue;
        const int same = model_of(other) == model;
        const double as = same ? 1 : most * (1 + fill_of(other)) / 2;
        alike += as;
        if (same || own)
            runs += same ? other->count : as * worker->count;
    }
    const double stretch = hsi_curve_at(curve, alike);
    if (model->core.max_batch < 2)
        return stretch;
    const hsi_curve *batch = &model->batch[worker->members[0]->device];
    const double joined = hsi_curve_at(batch, runs) / hsi_curve_at(batch, worker->count);
    return joined > stretch ? joined : stretch;
}

/* Of a job on the CPU that has a team of so many, while so many workers are busy: a team was
 * measured with nobody else, so that what its own members do to each other is in its time. */
static double cpu_stretch_of(const hsi_executor *executor,
                             const hsi_executor_worker *worker, uint32_t team,
                             uint32_t busy)
{
    const hsi_curve *curve = curve_of(executor, worker);
    const double stretch = hsi_curve_at(curve, busy) / hsi_curve_at(curve, team);
    return stretch > 1 ? stretch : 1;
}

static uint32_t jobs_at_work(const hsi_executor *executor)
{
    uint32_t jobs = 0;
    for (uint32_t i = 0; i < executor->device->core.workers; i++)
        jobs += is_at_work(&executor->workers[i]) != 0;
    return jobs;
}

/* Workers that help so many jobs. */
static uint32_t count_helpers(const hsi_executor *executor, uint32_t jobs)
{
    const hsi_engine_device *device = executor->device;
    if (!executor->is_cpu || device->team < 2)
        return 0;
    const uint32_t idle = device->core.workers - executor->busy,
                   most = jobs * (device->team - 1);
    return idle < most ? idle : most;
}

/* Jobs that are unlike each other's, a short one and a batch, slow each other down by what was
 * measured of jobs alike. Together they are never slower than one after the other. */
static void keep_busy(hsi_executor *executor)
{
    double sum = 0;
    for (uint32_t i = 0; i < executor->device->core.workers; i++)
        sum += is_at_work(&executor->workers[i]) ? executor->workers[i].speed : 0;
    for (uint32_t i = 0; sum < 1 && i < executor->device->core.workers; i++)
        executor->workers[i].speed /= sum;
}

/* They help evenly; those left over help the first. */
void hsi_executor_set_speeds(hsi_executor *executor, double now_us)
{
    const uint32_t workers = executor->device->core.workers;
    const uint32_t jobs = jobs_at_work(executor);
    executor->helpers = 0;
    if (jobs == 0)
        return;
    const uint32_t helpers = executor->helpers = count_helpers(executor, jobs);
    const double load = hsi_executor_load(executor, now_us);
    for (uint32_t i = 0, nth = 0; i < workers; i++) {
        hsi_executor_worker *worker = &executor->workers[i];
        if (!is_at_work(worker))
            continue;
        const uint32_t team = 1 + helpers / jobs + (nth++ < helpers % jobs);
        worker->speed = executor->is_cpu
                            ? speed_up(worker, team) /
                                  cpu_stretch_of(executor, worker, team, jobs + helpers)
                            : 1 / stretch_of(executor, worker, jobs);
    }
    if (!executor->is_cpu)
        keep_busy(executor);
    for (uint32_t i = 0; i < workers; i++)
        executor->workers[i].speed /= load;
}

/* How long until this worker's phase ends. */
static double phase_left(const hsi_executor_worker *worker)
{
    return worker->fixed_left > 0 ? worker->fixed_left
                                  : worker->work_left / worker->speed;
}

double hsi_executor_next(const hsi_executor *executor, double now_us)
{
    double next = INFINITY;
    if (executor->busy == 0)
        return next;
    for (uint32_t i = 0; i < executor->device->core.workers; i++) {
        const hsi_executor_worker *worker = &executor->workers[i];
        if (worker->count > 0 && now_us + phase_left(worker) < next)
            next = now_us + phase_left(worker);
    }
    if (executor->starting_until_us > now_us && executor->starting_until_us < next)
        next = executor->starting_until_us;
    for (uint32_t i = 0; i < executor->device->load_count; i++) {
        const double from_us = executor->device->loads[i].from_us;
        if (from_us > now_us && from_us < next)
            next = from_us;
    }
    return next;
}

void hsi_executor_advance(hsi_executor *executor, double now_us, double then_us)
{
    const double took = then_us - now_us;
    if (executor->busy == 0)
        return;
    executor->busy_us += took;
    executor->worker_us += took * (executor->busy + executor->helpers);
    for (uint32_t i = 0; i < executor->device->core.workers; i++) {
        hsi_executor_worker *worker = &executor->workers[i];
        if (worker->count == 0)
            continue;
        /* Whose phase ends is found as hsi_executor_next found it, so that time goes on however
         * the rest is rounded. */
        const int ends = now_us + phase_left(worker) <= then_us;
        double *left = worker->fixed_left > 0 ? &worker->fixed_left : &worker->work_left;
        *left -= left == &worker->work_left ? took * worker->speed : took;
        if (ends || *left < NOTHING_US)
            *left = 0;
    }
}

hsi_executor_worker *hsi_executor_done(hsi_executor *executor)
{
    if (executor->busy == 0)
        return NULL;
    for (uint32_t i = 0; i < executor->device->core.workers; i++) {
        hsi_executor_worker *worker = &executor->workers[i];
        if (is_at_work(worker) && worker->work_left == 0)
            return worker;
    }
    return NULL;
}
