#include "sched/periodic.h"

#include <math.h>

enum {
    STEPS_MAX = 10000,   /* of a busy period's iteration */
    POINTS_MAX = 2000000 /* where demand is compared, times tasks: some 10 ms */
};

/* Costs are measured: what is this much beyond a bound is not. */
#define SLACK 1e-9

static int exceeds(double value, double bound)
{
    return value > bound + SLACK * bound;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* Releases in a half-open interval of this length, at most. */
static double releases(const hsi_periodic_task *t, double length)
{
    return ceil(length / t->period_us * (1 - SLACK));
}

/* A part of the task is executed on another device. */
static int is_elsewhere(const hsi_periodic_set *set, const hsi_periodic_task *t,
                        uint32_t device)
{
    for (uint32_t d = 0; d < set->device_count; d++)
        if (d != device && t->on[d].cost_us > 0)
            return 1;
    return 0;
}

/* Deadlines beyond the window count as if they lay at its end: to be met, those must be. */
static double order_deadline(const hsi_periodic_set *set, const hsi_periodic_task *t)
{
    return smaller(t->deadline_us, set->window_us);
}

/* ---- In any order --------------------------------------------------------- */

/*
 * How long a device that works while there is work can be busy without a pause: the smallest L with
 * L = blocked + sum of releases(L) * cost, over tasks of at least this priority. INFINITY: that is
 * not found, or beyond `most`.
 */
static double busy_period(const hsi_periodic_set *set, uint32_t device, int priority,
                          double blocked, double most)
{
    double length = blocked;
    for (uint32_t i = 0; i < set->task_count; i++)
        if (set->tasks[i].priority >= priority)
            length += set->tasks[i].on[device].cost_us;
    for (int step = 0; step < STEPS_MAX && !exceeds(length, most); step++) {
        double next = blocked;
        for (uint32_t i = 0; i < set->task_count; i++)
            if (set->tasks[i].priority >= priority)
                next +=
                    releases(&set->tasks[i], length) * set->tasks[i].on[device].cost_us;
        if (!exceeds(next, length))
            return length;
        length = next;
    }
    return INFINITY;
}

/* No run waits beyond the busy period that it is released in: if that is short enough, the order
 * does not matter, nor does it if several are executed at once and share the device. */
static int proven_in_any_order(const hsi_periodic_set *set, uint32_t device)
{
    double due = INFINITY;
    for (uint32_t i = 0; i < set->task_count; i++)
        if (set->tasks[i].on[device].cost_us > 0)
            due = smaller(due, set->tasks[i].due_us);
    return busy_period(set, device, INT32_MIN, 0, due) < INFINITY;
}

/* ---- On one worker: by priority, then by deadline ------------------------- */

/*
 * Must be executed within an interval of this length, if it begins with the release of one that is
 * at least as urgent as `priority` and ends with the deadline of one of that priority: all that is
 * released there with a higher priority, of its own what has its deadline there, and the longest
 * job of others, which had begun before. `after`: an instant later, releases at its end included.
 */
static double demand(const hsi_periodic_set *set, uint32_t device, int priority,
                     double length, int after)
{
    double sum = 0, blocked = 0;
    for (uint32_t i = 0; i < set->task_count; i++) {
        const hsi_periodic_task *t = &set->tasks[i];
        const hsi_periodic_demand *on = &t->on[device];
        const double first = order_deadline(set, t);
        if (t->priority > priority)
            sum += on->cost_us * (after ? floor(length / t->period_us * (1 + SLACK)) + 1
                                        : releases(t, length));
        else if (t->priority == priority && !exceeds(first, length))
            sum +=
                on->cost_us * (floor((length - first) / t->period_us * (1 + SLACK)) + 1);
        else if (on->block_us > blocked)
            blocked = on->block_us;
    }
    return sum + blocked;
}

/* All instants where demand grows: `points` counts down what may still be looked at. */
static int meets_demand(const hsi_periodic_set *set, uint32_t device, int priority,
                        double horizon, double *points)
{
    double earliest = INFINITY;
    for (uint32_t i = 0; i < set->task_count; i++)
        if (set->tasks[i].priority == priority && set->tasks[i].on[device].cost_us > 0)
            earliest = smaller(earliest, order_deadline(set, &set->tasks[i]));
    for (uint32_t i = 0; i < set->task_count; i++) {
        const hsi_periodic_task *t = &set->tasks[i];
        if (t->priority < priority || !(t->on[device].cost_us > 0))
            continue;
        const int after = t->priority > priority;
        const double first = after ? 0 : order_deadline(set, t);
        for (double k = 0; first + k * t->period_us <= horizon; k++) {
            const double at = first + k * t->period_us;
            *points -= set->task_count;
            if (*points < 0)
                return 0;
            if (at >= earliest && exceeds(demand(set, device, priority, at, after), at))
                return 0;
        }
    }
    return 1;
}

/* Do all of one priority meet their deadlines? */
static int level_is_proven(const hsi_periodic_set *set, uint32_t device, int priority,
                           double *points)
{
    double blocked = 0;
    for (uint32_t i = 0; i < set->task_count; i++)
        if (set->tasks[i].priority <= priority)
            blocked = fmax(blocked, set->tasks[i].on[device].block_us);
    const double horizon = busy_period(set, device, priority, blocked, 1e15);
    return horizon < INFINITY && meets_demand(set, device, priority, horizon, points);
}

static int proven_on_one(const hsi_periodic_set *set, uint32_t device)
{
    double points = POINTS_MAX;
    for (uint32_t i = 0; i < set->task_count; i++)
        if (set->tasks[i].on[device].cost_us > 0 &&
            !level_is_proven(set, device, set->tasks[i].priority, &points))
            return 0;
    return 1;
}

/* ---- On several workers: densities ---------------------------------------- */

/* Sum of C / min(D, T) <= m - (m - 1) * the largest of them (Goossens, Funk and Baruah, 2003),
 * where D and T are less by what the run may be kept waiting by jobs behind it in the order
 * (Baruah, 2006), once for each of its own jobs. */
static int proven_on_several(const hsi_periodic_set *set, uint32_t device)
{
    const hsi_periodic_device *d = &set->devices[device];
    const hsi_periodic_task *any = NULL;
    double blocked = 0, sum = 0, largest = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->task_count; i++) {
        const hsi_periodic_task *t = &set->tasks[i];
        if (!(t->on[device].cost_us > 0))
            continue;
        if (any && any->priority != t->priority)
            return 0;
        any = t;
        count++;
        blocked = fmax(blocked, t->on[device].block_us * d->stretch);
    }
    for (uint32_t i = 0; i < set->task_count; i++) {
        const hsi_periodic_task *t = &set->tasks[i];
        const hsi_periodic_demand *on = &t->on[device];
        if (!(on->cost_us > 0))
            continue;
        const double room = smaller(order_deadline(set, t), t->period_us) -
                            (count > 1 ? blocked * fmax(on->pieces, 1) : 0);
        const double density = on->cost_us * d->stretch / room;
        if (room <= 0 || exceeds(density, 1))
            return 0;
        sum += density;
        largest = fmax(largest, density);
    }
    return !exceeds(sum, d->workers - (d->workers - 1) * largest);
}

/* ---- All of it ------------------------------------------------------------ */

double hsi_periodic_used(const hsi_periodic_set *set, uint32_t device)
{
    double sum = 0;
    for (uint32_t i = 0; i < set->task_count; i++)
        if (!set->tasks[i].anywhere_us)
            sum += set->tasks[i].on[device].least_us / set->tasks[i].period_us;
    return sum;
}

/* Runs of it may come to the device, or not. */
static int may_come(const hsi_periodic_set *set, const hsi_periodic_task *t,
                    uint32_t device)
{
    for (uint32_t s = 0; t->anywhere_us && s < t->section_count; s++)
        if (t->anywhere_us[(size_t)s * set->device_count + device] < INFINITY)
            return 1;
    return 0;
}

static int is_proven(const hsi_periodic_set *set, uint32_t device)
{
    const hsi_periodic_device *d = &set->devices[device];
    int in_time = 1; /* who meets the deadlines of the order loses no release */
    for (uint32_t i = 0; i < set->task_count; i++) {
        const hsi_periodic_task *t = &set->tasks[i];
        if (t->may_move || may_come(set, t, device))
            return 0;
        if (!(t->on[device].cost_us > 0))
            continue;
        if (is_elsewhere(set, t, device)) /* when it comes here is not known */
            return 0;
        in_time &= !exceeds(order_deadline(set, t), t->due_us);
    }
    if (proven_in_any_order(set, device))
        return 1;
    if (!d->one_by_one || !(set->window_us > 0) || !in_time)
        return 0;
    return d->workers == 1 ? proven_on_one(set, device) : proven_on_several(set, device);
}

hsi_periodic_result hsi_periodic_admit(const hsi_periodic_set *set)
{
    hsi_periodic_result unknown = { .verdict = HSI_PERIODIC_PROVEN };
    int anywhere = 0;
    for (uint32_t i = set->task_count; i-- > 0;) {
        const hsi_periodic_task *t = &set->tasks[i];
        if (exceeds(t->span_us, t->deadline_us))
            return (hsi_periodic_result){ .verdict = HSI_PERIODIC_TOO_LONG, .task = i };
        anywhere |= t->anywhere_us != NULL;
        if (!t->known)
            unknown = (hsi_periodic_result){ .verdict = HSI_PERIODIC_UNKNOWN, .task = i };
    }
    for (uint32_t d = 0; d < set->device_count; d++)
        if (exceeds(hsi_periodic_used(set, d), set->devices[d].capacity))
            return (hsi_periodic_result){ .verdict = HSI_PERIODIC_TOO_MUCH,
                                          .device = d,
                                          .used = hsi_periodic_used(set, d) };
    const double needed = anywhere ? hsi_periodic_needed(set) : 0;
    if (exceeds(needed, 1))
        return (hsi_periodic_result){ .verdict = HSI_PERIODIC_TOO_MUCH_ANYWHERE,
                                      .used = needed };
    if (unknown.verdict == HSI_PERIODIC_UNKNOWN)
        return unknown;
    for (uint32_t d = 0; d < set->device_count; d++)
        if (!is_proven(set, d))
            return (hsi_periodic_result){ .verdict = HSI_PERIODIC_POSSIBLE, .device = d };
    return (hsi_periodic_result){ .verdict = HSI_PERIODIC_PROVEN };
}
