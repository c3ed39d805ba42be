/*
 * Admission of sources: what there is of each device, what runs of all take of it (demand.h), and
 * what is said about the answer. The test itself is sched/periodic.h.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "runtime/demand.h"

/* ---- Devices -------------------------------------------------------------- */

/* Under costs.mutex. The most that the device does at the same time, of any of the sources' models:
 * one's small kernels leave it more room than another's large ones. 0: of none it was measured. */
static double most_at_once(const hsched_source *const *sources, uint32_t count,
                           uint32_t d)
{
    double most = 0;
    for (uint32_t i = 0; i < count; i++) {
        const hsched_runtime *rt = sources[i]->model->runtime;
        const hsi_cost_key key = hsi_costs_key(sources[i]->model, HSI_COST_AT_ONCE, 0, d);
        const double own =
            hsi_cost_table_capacity_of(rt->costs.table, &key, rt->workers[d]);
        most = own > most ? own : most;
    }
    return most;
}

/* Jobs on a queue's device share it: what they do to each other was measured, or nothing is sure.
 * CPU workers have a core each, so at most as much is done as they are. */
static hsi_periodic_device describe_device(hsched_runtime *rt, uint32_t d,
                                           const hsched_source *const *sources,
                                           uint32_t count)
{
    const uint32_t workers = rt->workers[d], number = rt->costs.devices[d];
    const int queue = rt->devices[d].has_queue;
    hsi_periodic_device device = { .workers = workers,
                                   .capacity = workers,
                                   .one_by_one = !queue };
    hsi_cost_source source;
    pthread_mutex_lock(&rt->costs.mutex);
    device.stretch = hsi_cost_table_stretch(rt->costs.table, number, workers, &source);
    const double most = queue ? most_at_once(sources, count, d) : 0;
    pthread_mutex_unlock(&rt->costs.mutex);
    if (most > 0)
        device.capacity = most;
    return device;
}

/* ---- What is said about it ------------------------------------------------ */

typedef struct text {
    char data[2048];
    size_t used;
} text;

static void add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(t->data + t->used, sizeof t->data - t->used, format, args);
    va_end(args);
    if (length > 0)
        t->used += (size_t)length;
    if (t->used >= sizeof t->data)
        t->used = sizeof t->data - 1;
}

static const char *device_name(const hsched_runtime *rt, uint32_t d)
{
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    rt->devices[d].backend->device_info(rt->devices[d].handle, &info);
    return info.name;
}

/* What each source takes of the device. */
static void add_shares(text *t, const hsi_periodic_set *set,
                       const hsched_source *const *sources, uint32_t device)
{
    for (uint32_t i = 0; i < set->task_count; i++) {
        const hsi_periodic_task *task = &set->tasks[i];
        const double us = task->on[device].least_us;
        if (us > 0)
            add(t, "; '%s' %s %.3f ms every %.3f ms, which is %.2f", sources[i]->name,
                task->anywhere_us ? "is expected to take" : "takes", us / 1e3,
                task->period_us / 1e3, us / task->period_us);
    }
}

/* The same of all devices. */
static void add_all_shares(text *t, const hsi_periodic_set *set,
                           const hsched_source *const *sources)
{
    const hsched_runtime *rt = sources[0]->model->runtime;
    for (uint32_t d = 0; d < set->device_count; d++) {
        text shares = { .used = 0 };
        add_shares(&shares, set, sources, d);
        if (shares.used > 0)
            add(t, "; of '%s', which does %.2f%s", device_name(rt, d),
                set->devices[d].capacity, shares.data);
    }
}

static hsched_status refuse_anywhere(const hsi_periodic_set *set,
                                     const hsi_periodic_result *result,
                                     const hsched_source *const *sources)
{
    text shares = { .used = 0 };
    add_all_shares(&shares, set, sources);
    return hsi_error(
        HSCHED_ERROR_LIMIT,
        "source '%s' is refused: however the policy COST shared its runs out, "
        "sources would need %.2f times what some device can do; make a period "
        "longer or a network smaller, destroy a source, or create this one "
        "with HSCHED_SOURCE_NO_ADMISSION%s",
        sources[set->task_count - 1]->name, result->used, shares.data);
}

static hsched_status refuse(const hsi_periodic_set *set,
                            const hsi_periodic_result *result,
                            const hsched_source *const *sources)
{
    const hsched_source *s = sources[set->task_count - 1];
    const hsched_runtime *rt = s->model->runtime;
    if (result->verdict == HSI_PERIODIC_TOO_LONG) {
        const hsi_periodic_task *t = &set->tasks[result->task];
        return hsi_error(
            HSCHED_ERROR_LIMIT,
            "source '%s' is refused: a run of '%s' takes %.3f ms at least, and "
            "its deadline is %.3f ms after its release; give it a later "
            "deadline or a faster device, or create it with "
            "HSCHED_SOURCE_NO_ADMISSION",
            s->name, sources[result->task]->name, t->span_us / 1e3, t->deadline_us / 1e3);
    }
    if (result->verdict == HSI_PERIODIC_TOO_MUCH_ANYWHERE)
        return refuse_anywhere(set, result, sources);
    text shares = { .used = 0 };
    const hsi_periodic_device *d = &set->devices[result->device];
    add_shares(&shares, set, sources, result->device);
    return hsi_error(HSCHED_ERROR_LIMIT,
                     "source '%s' is refused: sources would need %.2f of the time of "
                     "device '%s', which does %.2f with %u worker(s)%s; make a period "
                     "longer or a network smaller, destroy a source, or create this one "
                     "with HSCHED_SOURCE_NO_ADMISSION",
                     s->name, result->used, device_name(rt, result->device), d->capacity,
                     d->workers, shares.data);
}

/* With no lock held. */
static void tell(const hsched_source *s, const text *message)
{
    if (message->used > 0)
        hsi_log(s->admission == HSCHED_ADMISSION_POSSIBLE ? HSCHED_LOG_WARNING
                                                          : HSCHED_LOG_INFO,
                "%s", message->data);
}

/* What is to be logged once the locks are given up; nothing if all is well. */
static void explain(const hsi_periodic_set *set, const hsi_periodic_result *result,
                    const hsched_source *const *sources, text *t)
{
    const hsched_source *s = sources[set->task_count - 1];
    const hsched_source *unknown = sources[result->task];
    const hsi_policy *policy = unknown->model->core.policy;
    if (result->verdict == HSI_PERIODIC_UNKNOWN && policy->choose) {
        add(t,
            "source '%s' is admitted without knowing whether there is time: the policy "
            "%s places runs of model '%s' of source '%s' by what was measured of its "
            "sections, and of some nothing was; `hsched profile` or hsched_model_profile "
            "measures them",
            s->name, policy->name, unknown->model->name, unknown->name);
    } else if (result->verdict == HSI_PERIODIC_UNKNOWN) {
        add(t,
            "source '%s' is admitted without knowing whether there is time: how long "
            "model "
            "'%s' of source '%s' takes, or where it runs, is not known; `hsched profile` "
            "or "
            "hsched_model_profile measures it, or set wcet_us",
            s->name, unknown->model->name, unknown->name);
    } else if (result->verdict == HSI_PERIODIC_POSSIBLE) {
        add(t,
            "source '%s' is admitted, but it is not proven that all deadlines are met on "
            "device '%s'",
            s->name, device_name(s->model->runtime, result->device));
        add_shares(t, set, sources, result->device);
    }
}

/* ---- Deciding ------------------------------------------------------------- */

typedef struct gathered {
    const hsched_source **sources; /* the new one is the last */
    hsi_periodic_task *tasks;
    hsi_periodic_set set;
} gathered;

static void clear(gathered *g)
{
    for (uint32_t i = 0; g->tasks && i < g->set.task_count; i++)
        hsi_demand_clear(&g->tasks[i]);
    hsi_free((void *)g->sources);
    hsi_free(g->tasks);
}

/* Under sources.admission. Costs may have become known, or changed, since the others came. */
static hsched_status gather(const hsched_source *new_one, gathered *g)
{
    hsched_runtime *rt = new_one->model->runtime;
    hsched_status status = HSCHED_OK;
    uint32_t count = 1;
    for (const hsched_source *s = rt->sources.all; s; s = s->next_admitted)
        count++;
    *g = (gathered){ .sources = HSI_NEW_ARRAY(const hsched_source *, count),
                     .tasks = HSI_NEW_ARRAY(hsi_periodic_task, count) };
    g->set.task_count = count;
    if (!g->sources || !g->tasks) {
        clear(g);
        return hsi_out_of_memory("a source");
    }
    uint32_t i = 0;
    for (const hsched_source *s = rt->sources.all; s; s = s->next_admitted)
        g->sources[i++] = s;
    g->sources[i] = new_one;
    for (i = 0; i < count && status == HSCHED_OK; i++)
        status = hsi_demand_describe(g->sources[i], &g->tasks[i]);
    if (status != HSCHED_OK) {
        clear(g);
        return status;
    }
    g->set = (hsi_periodic_set){
        .tasks = g->tasks,
        .task_count = count,
        .device_count = rt->device_count,
        .window_us = rt->plugin.hooks.order ? 0 : (double)(rt->ageing_us / 2),
    };
    for (uint32_t d = 0; d < rt->device_count; d++)
        g->set.devices[d] = describe_device(rt, d, g->sources, count);
    return HSCHED_OK;
}

/* Under sources.admission. */
static hsched_status decide(hsched_source *s, text *message)
{
    gathered g;
    hsched_status status = gather(s, &g);
    if (status != HSCHED_OK)
        return status;
    const hsi_periodic_result result = hsi_periodic_admit(&g.set);
    if (result.verdict <= HSI_PERIODIC_TOO_MUCH_ANYWHERE)
        status = refuse(&g.set, &result, g.sources);
    else
        explain(&g.set, &result, g.sources, message);
    s->admission = result.verdict == HSI_PERIODIC_PROVEN     ? HSCHED_ADMISSION_PROVEN
                   : result.verdict == HSI_PERIODIC_POSSIBLE ? HSCHED_ADMISSION_POSSIBLE
                                                             : HSCHED_ADMISSION_UNKNOWN;
    clear(&g);
    return status;
}

hsched_status hsi_source_admit(hsched_source *s)
{
    hsched_runtime *rt = s->model->runtime;
    text message = { .used = 0 };
    if (s->config.flags & HSCHED_SOURCE_NO_ADMISSION)
        return HSCHED_OK;
    hsched_status status = hsi_costs_load(rt);
    if (status != HSCHED_OK)
        return status;
    pthread_mutex_lock(&rt->sources.admission);
    status = decide(s, &message);
    if (status == HSCHED_OK) {
        s->next_admitted = rt->sources.all;
        rt->sources.all = s;
    }
    pthread_mutex_unlock(&rt->sources.admission);
    if (status == HSCHED_OK)
        tell(s, &message);
    return status;
}

void hsi_source_forget(hsched_source *s)
{
    hsched_runtime *rt = s->model->runtime;
    pthread_mutex_lock(&rt->sources.admission);
    for (hsched_source **at = &rt->sources.all; *at; at = &(*at)->next_admitted)
        if (*at == s) {
            *at = s->next_admitted;
            break;
        }
    pthread_mutex_unlock(&rt->sources.admission);
}
