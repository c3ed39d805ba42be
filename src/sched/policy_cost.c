#include "sched/policy_cost.h"

#define MUST_GAIN 0.9 /* of the expected time, to change a choice that was begun */
/* A run on several devices cannot be joined with others, and counts on there being no others: it is
 * to end so many times earlier than on one. */
#define PARTED 1.2

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

/* What one more whole run adds to those that wait to be joined. */
static double joined_us(const hsi_choices *c, uint32_t device, uint32_t waiting,
                        double alone_us)
{
    const uint32_t sizes = c->batch_count[device];
    if (sizes < 2 || waiting == 0)
        return alone_us;
    const uint32_t most = 1u << (sizes - 1), k = waiting % most;
    if (k == 0)
        return alone_us;
    const double more = at_size(c->batch_us[device], sizes, k + 1) -
                        at_size(c->batch_us[device], sizes, k);
    return more > 0 ? more : 0;
}

/* The run's own work there: a whole run may be joined. */
static double own_work_us(const hsi_place_query *q, uint32_t choice, uint32_t device)
{
    const hsi_choices *c = q->model->choices;
    const double us = (double)rest_of(c, choice, q->section)[device];
    if (device == 0 || q->section > 0 || c->list[choice].uses != 1u << device ||
        !q->model->batch_queues || q->model->max_batch < 2)
        return us;
    return joined_us(c, device, q->model->batch_queues[device].count, us);
}

/* How long the CPU takes for work of one worker, with the help of those that idle. */
static double helped(const hsi_place_query *q, double us)
{
    const hsi_choices *c = q->model->choices;
    const uint32_t workers = q->devices[0].workers, others = q->backlog[0];
    if (c->team_count < 2 || others + 1 >= workers)
        return us;
    return us * at_size(c->team, c->team_count, workers / (others + 1));
}

/* A worker that idles begins at once; else all share what is there. */
static double wait_us(const hsi_place_query *q, uint32_t device)
{
    const hsi_core_device *d = &q->devices[device];
    if (device == 0 && q->backlog[0] < d->workers)
        return 0;
    return q->ahead_us[device] * d->load / d->capacity;
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
        double own = own_work_us(q, choice, d);
        if (d == 0)
            own = helped(q, own);
        end += own * q->devices[d].load;
        const double longest = wait_us(q, d);
        if (longest > wait)
            wait = longest;
    }
    return end + wait;
}

static int is_possible(const hsi_place_query *q, uint32_t choice)
{
    const uint32_t all = (1u << q->device_count) - 1;
    return !(q->model->choices->list[choice].uses & all & ~q->available);
}

static void choose(const hsi_place_query *q, hsi_core_run *run)
{
    const hsi_choices *c = q->model->choices;
    if (!c || c->count == 0)
        return;
    const int begun = run->sections_left < q->model->section_count || run->jobs_out > 0;
    uint32_t best = 0;
    double end = -1;
    if (begun && run->choice < c->count && is_possible(q, run->choice)) {
        best = run->choice;
        end = end_us(q, best) * MUST_GAIN;
    }
    for (uint32_t k = 0; k < c->count; k++) {
        if (!is_possible(q, k))
            continue;
        double us = end_us(q, k);
        if (!begun && (c->list[k].uses & (c->list[k].uses - 1)))
            us *= PARTED;
        if (end < 0 || us < end) {
            best = k;
            end = us;
        }
    }
    run->choice = (uint8_t)best;
    for (uint32_t d = 0; d < c->device_count; d++)
        run->work_us[d] = (float)own_work_us(q, best, d);
}

static uint32_t place(const hsi_place_query *q)
{
    const hsi_choices *c = q->model->choices;
    if (!c || c->count == 0 || !q->run)
        return hsi_policy_gpu_only.place(q);
    const uint32_t choice = q->run->choice < c->count ? q->run->choice : 0;
    const uint32_t device = c->list[choice].devices[q->section];
    return q->device_mask >> device & 1 ? device : 0;
}

static int cut(uint32_t class_before, uint32_t class_after)
{
    (void)class_before;
    (void)class_after;
    return 0;
}

const hsi_policy hsi_policy_cost = {
    .name = "cost",
    .anywhere = 1,
    .place = place,
    .choose = choose,
    .cut = cut,
};
