#include "sched/objective.h"

#include <math.h>

#include "sched/internal.h"

/* A run on several devices cannot be joined with others, and counts on there being no others: it is
 * to end so many times earlier than on one. */
#define PARTED 1.2
/* What a run saves of devices' work is worth such a share of what it ends earlier. */
#define SAVED 0.1
#define ALL   0.999 /* but for rounding */

static const float *rest_of(const hsi_choices *c, uint32_t choice, uint32_t section)
{
    return c->list[choice].rest_us + (size_t)section * (c->device_count + 1);
}

/* Between powers of two in proportion. `count` is at least 1. */
static double at_size(const float *table, uint32_t entries, uint32_t count)
{
    uint32_t k = 31 - (uint32_t)__builtin_clz(count);
    if (k + 1 >= entries)
        return (double)table[entries - 1];
    const double part = (double)(count - (1u << k)) / (double)(1u << k);
    return (double)table[k] + part * ((double)table[k + 1] - (double)table[k]);
}

/* ---- Joining -------------------------------------------------------------- */

static int is_joined(const hsi_place_query *q, uint32_t choice, uint32_t device)
{
    return device != 0 && q->section == 0 &&
           q->model->choices->list[choice].uses == 1u << device &&
           hsi_batch_limit_now(q->devices, q->model, device) > 1 &&
           q->model->choices->batch_count[device] > 1;
}

/* What a batch takes, all together; beyond the largest that is known, in proportion, as the cost
 * table has it. Some size is known. */
static double batch_us(const hsi_choices *c, uint32_t device, uint32_t count)
{
    const uint32_t sizes = c->batch_count[device], most = 1u << (sizes - 1);
    const double us = at_size(c->batch_us[device], sizes, count);
    return count > most ? us * count / most : us;
}

/* What one more whole run adds to those that wait to be joined. The batches ahead of the last are
 * full. */
static double added_us(const hsi_place_query *q, uint32_t device, double alone_us)
{
    const hsi_choices *c = q->model->choices;
    const uint32_t most = hsi_batch_limit_now(q->devices, q->model, device),
                   k = q->model->batch_queues[device].count % most;
    if (k == 0)
        return alone_us;
    const double more = batch_us(c, device, k + 1) - batch_us(c, device, k);
    return more > 0 ? more : 0;
}

/* m batches one after the other, some at the same time: the mean of their ends. */
static double mean_end_us(const hsi_choices *c, uint32_t device, double capacity,
                          uint32_t waiting, uint32_t batch)
{
    const double batches = (double)((waiting + batch - 1) / batch);
    const double turns = (batches + 1) / 2 / capacity;
    return batch_us(c, device, batch) * (turns > 1 ? turns : 1);
}

uint32_t hsi_objective_batch(const hsi_choices *c, uint32_t device, double capacity,
                             uint32_t waiting, uint32_t limit)
{
    uint32_t best = 1;
    const uint32_t most = limit < waiting ? limit : waiting;
    if (!c || c->count == 0 || c->batch_count[device] < 2)
        return most > 0 ? most : 1;
    double least = mean_end_us(c, device, capacity, waiting, 1);
    for (uint32_t next = 2; best < most && next / 2 < most; next *= 2) {
        const uint32_t size = next < most ? next : most;
        const double mean = mean_end_us(c, device, capacity, waiting, size);
        if (mean < least) {
            least = mean;
            best = size;
        }
    }
    return best;
}

/* The batch that the run will be in, if its end is what counts. */
static uint32_t own_batch(const hsi_place_query *q, uint32_t device)
{
    return hsi_objective_batch(q->model->choices, device, q->devices[device].capacity,
                               q->model->batch_queues[device].count + 1,
                               hsi_batch_limit_now(q->devices, q->model, device));
}

double hsi_objective_work_us(const hsi_place_query *q, uint32_t choice, uint32_t device)
{
    const hsi_choices *c = q->model->choices;
    const double us = (double)rest_of(c, choice, q->section)[device];
    if (!is_joined(q, choice, device))
        return us;
    if (q->model->objective != HSCHED_OBJECTIVE_LATENCY)
        return added_us(q, device, us);
    const uint32_t batch = own_batch(q, device);
    return batch_us(c, device, batch) / batch;
}

/* ---- Ends ----------------------------------------------------------------- */

/* CPU workers that share the run's steps: it, and those that idle. */
static uint32_t team_of(const hsi_place_query *q)
{
    const uint32_t workers = q->devices[0].workers, others = q->backlog[0];
    if (q->model->choices->team_count < 2 || others + 1 >= workers)
        return 1;
    return workers / (others + 1);
}

static double of_team(const hsi_choices *c, uint32_t team)
{
    return team > 1 ? at_size(c->team, c->team_count, team) : 1;
}

/* What a run beside those on the CPU takes of what it takes alone on one worker: as its team was
 * measured to do alone, but no less than its share of what all workers do together, who may have
 * to wait for the same memory. */
static double share_on_cpu(const hsi_place_query *q)
{
    const hsi_core_device *cpu = &q->devices[0];
    const uint32_t runs = q->backlog[0] + 1,
                   busy = runs < cpu->workers ? runs : cpu->workers;
    const double alone = of_team(q->model->choices, team_of(q)),
                 share = busy / cpu->capacity;
    return share > alone ? share : alone;
}

/* A worker that idles begins at once; else all share what is there. */
static double wait_us(const hsi_place_query *q, uint32_t device)
{
    const hsi_core_device *d = &q->devices[device];
    if (device == 0 && q->backlog[0] < d->workers)
        return 0;
    return q->ahead_us[device] * d->load / d->capacity;
}

/* How long the run itself is at work on the device. */
static double own_us(const hsi_place_query *q, uint32_t choice, uint32_t device)
{
    const hsi_choices *c = q->model->choices;
    if (device == 0)
        return (double)rest_of(c, choice, q->section)[0] * share_on_cpu(q);
    if (q->model->objective != HSCHED_OBJECTIVE_LATENCY || !is_joined(q, choice, device))
        return hsi_objective_work_us(q, choice, device);
    return batch_us(c, device, own_batch(q, device));
}

/* When the rest of a run, from this section on, is expected to end with a choice; microseconds
 * from now. */
static double end_us(const hsi_place_query *q, uint32_t choice)
{
    const hsi_choices *c = q->model->choices;
    double end = (double)rest_of(c, choice, q->section)[c->device_count], wait = 0;
    for (uint32_t d = 0; d < c->device_count; d++) {
        if (!(rest_of(c, choice, q->section)[d] > 0))
            continue;
        end += own_us(q, choice, d) * q->devices[d].load;
        const double longest = wait_us(q, d);
        if (longest > wait)
            wait = longest;
    }
    return end + wait;
}

/* When all other runs are expected to have ended. */
static double others_end_us(const hsi_place_query *q)
{
    double end = 0;
    for (uint32_t d = 0; d < q->device_count; d++) {
        const double us = q->work_us[d] * q->devices[d].load / q->devices[d].capacity;
        if (us > end)
            end = us;
    }
    return end;
}

/* Do all others go before this run? Then it delays none of them. */
static int is_last(const hsi_place_query *q)
{
    for (uint32_t d = 0; d < q->device_count; d++)
        if (q->ahead_us[d] < q->work_us[d] * ALL)
            return 0;
    return 1;
}

/* The devices' time that it takes, which others could have. */
static double taken_us(const hsi_place_query *q, uint32_t choice)
{
    double us = 0;
    for (uint32_t d = 0; d < q->model->choices->device_count; d++)
        us += hsi_objective_work_us(q, choice, d) * q->devices[d].load /
              q->devices[d].capacity;
    return us;
}

static double makespan_us(const hsi_place_query *q, uint32_t choice, int begun,
                          double end)
{
    if (!begun && !is_last(q))
        return end;
    const double others = others_end_us(q);
    return (end > others ? end : others) + SAVED * taken_us(q, choice);
}

static int is_late(const hsi_place_query *q, const hsi_core_run *run, double end)
{
    return run->deadline_us > 0 && (double)q->now_us + end > (double)run->deadline_us;
}

/* ---- Which devices suit ---------------------------------------------------- */

/* Of a run of so many that may be joined. */
static double spent_us(const hsi_core_device *devices, const hsi_core_model *model,
                       uint32_t choice, uint32_t runs)
{
    const hsi_choices *c = model->choices;
    const uint32_t uses = c->list[choice].uses;
    double us = 0;
    for (uint32_t d = 0; d < c->device_count; d++) {
        double own = (double)rest_of(c, choice, 0)[d];
        if (d > 0 && uses == 1u << d && c->batch_count[d] > 1) {
            const uint32_t limit = hsi_batch_limit_now(devices, model, d);
            const uint32_t batch = runs < limit ? runs : limit;
            own = batch > 1 ? batch_us(c, d, batch) / batch : own;
        }
        us += own * devices[d].load / devices[d].capacity;
    }
    return us;
}

double hsi_objective_loss(const hsi_core_device *devices, uint32_t available,
                          const hsi_core_model *model, uint32_t runs)
{
    const hsi_choices *c = model->choices;
    double spent[HSI_CHOICES_MAX], least = INFINITY, other = INFINITY;
    uint32_t best = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        spent[k] =
            c->list[k].uses & ~available ? INFINITY : spent_us(devices, model, k, runs);
        if (spent[k] < least) {
            least = spent[k];
            best = k;
        }
    }
    for (uint32_t k = 0; k < c->count; k++)
        if (!(c->list[k].uses & c->list[best].uses) && spent[k] < other)
            other = spent[k];
    return least > 0 && least < INFINITY ? other / least : INFINITY;
}

double hsi_objective_fill(const hsi_core_model *model, uint32_t device, uint32_t runs)
{
    const hsi_choices *c = model->choices;
    uint32_t known = 0;
    while (c && known < HSI_CHOICE_SIZES && c->fill[device][known] > 0)
        known++;
    return known > 0 ? at_size(c->fill[device], known, runs) : 1;
}

/* ---- Energy --------------------------------------------------------------- */

static double active_watts(const hsi_core_device *device)
{
    return device->watts > device->idle_watts ? device->watts - device->idle_watts : 0;
}

/* Of the run's own work: a share of a device that does several jobs' work at once. */
static double active_uj(const hsi_place_query *q, uint32_t choice)
{
    const hsi_choices *c = q->model->choices;
    double uj = 0;
    for (uint32_t d = 0; d < c->device_count; d++) {
        const double us = hsi_objective_work_us(q, choice, d);
        if (!(us > 0))
            continue;
        const uint32_t team = team_of(q);
        const double share = d > 0 ? 1 / q->devices[d].capacity
                                   : team * of_team(c, team) / q->devices[0].workers;
        uj += active_watts(&q->devices[d]) * us * share;
    }
    return uj;
}

static double energy_uj(const hsi_place_query *q, uint32_t choice, double end)
{
    const double longer = end - others_end_us(q);
    double idle_watts = 0;
    for (uint32_t d = 0; d < q->device_count; d++)
        idle_watts += q->devices[d].idle_watts;
    return active_uj(q, choice) + (longer > 0 ? idle_watts * longer : 0);
}

/* When the cap will have allowed what goes first, and the run. */
static double paid_us(const hsi_place_query *q, uint32_t choice)
{
    double uj = q->owed_uj + active_uj(q, choice);
    for (uint32_t d = 0; d < q->device_count; d++)
        uj += active_watts(&q->devices[d]) * q->ahead_us[d] /
              (d > 0 ? q->devices[d].capacity : q->devices[d].workers);
    return uj / q->spare_watts;
}

/* ---- What it is worth ------------------------------------------------------- */

hsi_worth hsi_objective_worth(const hsi_place_query *q, const hsi_core_run *run,
                              uint32_t choice, int begun)
{
    const uint32_t uses = q->model->choices->list[choice].uses;
    const double parted = !begun && (uses & (uses - 1)) ? PARTED : 1;
    const double end = end_us(q, choice);
    hsi_worth worth = { 0, end };
    switch (q->model->objective) {
    case HSCHED_OBJECTIVE_LATENCY:
        return worth;
    case HSCHED_OBJECTIVE_ENERGY:
        worth.late = is_late(q, run, end);
        if (!worth.late)
            worth.value = energy_uj(q, choice, end);
        return worth;
    case HSCHED_OBJECTIVE_POWER_CAP:
    case HSCHED_OBJECTIVE_DEFAULT:
    case HSCHED_OBJECTIVE_MAKESPAN:
        break;
    }
    const double paid =
        q->model->objective == HSCHED_OBJECTIVE_POWER_CAP && q->spare_watts > 0
            ? paid_us(q, choice)
            : 0;
    if (run->deadline_us == 0) {
        worth.value = fmax(makespan_us(q, choice, begun, end * parted), paid);
        return worth;
    }
    worth.value = fmax(end, paid);
    worth.late = is_late(q, run, worth.value);
    if (!worth.late)
        worth.value = taken_us(q, choice) * parted;
    return worth;
}
