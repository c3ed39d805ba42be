/* Making, starting, stopping and ending sources, and what they count. */
#include "runtime/source.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/sync.h"

enum {
    MAX_IN_FLIGHT = 1024,
    DEFAULT_IN_FLIGHT = 2
};

#define MAX_PERIOD_US (UINT64_C(1) << 40)
#define MAX_TIME_US   (UINT64_C(1) << 62)

/* ---- Checking ------------------------------------------------------------- */

static hsched_status check_config(const hsched_model *model,
                                  const hsched_source_config *config)
{
    const uint32_t known = HSCHED_SOURCE_LATEST_ONLY | HSCHED_SOURCE_NO_ADMISSION;
    if (config->flags & ~known)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_source_config: flags 0x%x has bits that are not "
                         "HSCHED_SOURCE_...",
                         config->flags);
    if (config->period_us == 0 || config->period_us > MAX_PERIOD_US)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "hsched_source_config: period_us is %llu; set it, to 2^40 at most",
            (unsigned long long)config->period_us);
    if (config->max_in_flight > MAX_IN_FLIGHT)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_source_config: max_in_flight is %u; at most %d",
                         config->max_in_flight, MAX_IN_FLIGHT);
    if (!config->inputs && !config->fill && model->plan->input_count > 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_source_config: model '%s' has %u input(s), and there is "
                         "nothing to give them: set inputs or fill",
                         model->name, model->plan->input_count);
    return hsi_run_check_order(model, config->priority, config->late);
}

/* Copies bindings that hold for every run. *bound: some are set. */
static hsched_status copy_bindings(const hsched_model *model, const char *what,
                                   const hsched_binding *from, uint32_t given,
                                   uint32_t count, hsched_binding *to, int *bound)
{
    if (given != 0 && given != count)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_source_config: model '%s' has %u %ss, not %u",
                         model->name, count, what, given);
    for (uint32_t i = 0; i < count && from; i++) {
        if (from[i].run)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "hsched_source_config: %s %u is bound to a run, and runs end; "
                "have fill bind it",
                what, i);
        *bound |= from[i].buffer || from[i].data;
        to[i] = from[i];
    }
    return HSCHED_OK;
}

/* Without a fill bindings are what they will be: a run that is not submitted shows whether they
 * fit. */
static hsched_status try_bindings(const hsched_source *s)
{
    hsched_run *run;
    const hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = s->fixed,
                                       .outputs = s->fixed + s->input_count };
    hsched_status status = hsi_run_make(s->model, &config, &run);
    if (status == HSCHED_OK)
        hsi_run_dispose(run);
    return status;
}

static hsched_status bind(hsched_source *s)
{
    int inputs_bound = 0, outputs_bound = 0;
    hsched_source_config *c = &s->config;
    hsched_status status = copy_bindings(s->model, "input", c->inputs, c->input_count,
                                         s->input_count, s->fixed, &inputs_bound);
    if (status == HSCHED_OK)
        status =
            copy_bindings(s->model, "output", c->outputs, c->output_count,
                          s->output_count, s->fixed + s->input_count, &outputs_bound);
    if (status == HSCHED_OK && !c->fill)
        status = try_bindings(s);
    if (status != HSCHED_OK)
        return status;
    c->inputs = c->outputs = NULL;
    const int shared = outputs_bound && !c->fill;
    if (shared && c->max_in_flight > 1)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_source_config: max_in_flight is %u, and all runs would "
                         "write to the same outputs; make it 1, or have fill bind them",
                         c->max_in_flight);
    if (c->max_in_flight == 0)
        c->max_in_flight = shared ? 1 : DEFAULT_IN_FLIGHT;
    return HSCHED_OK;
}

/* ---- Making --------------------------------------------------------------- */

static void free_source(hsched_source *s)
{
    hsched_model_release(s->model);
    hsi_free(s->name);
    hsi_free(s->fixed);
    hsi_free(s->working);
    hsi_free(s->releases);
    hsi_free(s);
}

static hsched_status make_releases(hsched_source *s)
{
    s->release_count =
        s->config.max_in_flight + ((s->config.flags & HSCHED_SOURCE_LATEST_ONLY) != 0);
    s->releases = HSI_NEW_ARRAY(hsi_release, s->release_count);
    if (!s->releases)
        return hsi_out_of_memory("a source");
    for (uint32_t i = s->release_count; i-- > 0;) {
        s->releases[i].next_free = s->free_releases;
        s->free_releases = &s->releases[i];
    }
    return HSCHED_OK;
}

/* Everything but admission. `s` has its model and config. */
static hsched_status build(hsched_source *s)
{
    s->input_count = s->model->plan->input_count;
    s->output_count = s->model->plan->output_count;
    const size_t bindings = (size_t)s->input_count + s->output_count;
    s->name = hsi_strdup(s->config.name ? s->config.name : s->model->name);
    s->fixed = HSI_NEW_ARRAY(hsched_binding, bindings);
    s->working = HSI_NEW_ARRAY(hsched_binding, bindings);
    if (!s->name || !s->fixed || !s->working)
        return hsi_out_of_memory("a source");
    s->config.name = s->name;
    if (s->config.deadline_us == 0)
        s->config.deadline_us = s->config.period_us;
    hsched_status status = bind(s);
    return status == HSCHED_OK ? make_releases(s) : status;
}

static hsched_status ensure_thread(hsched_runtime *rt)
{
    pthread_mutex_lock(&rt->sources.mutex);
    hsched_status status =
        rt->sources.stopping
            ? hsi_error(HSCHED_ERROR_STATE, "the runtime was destroyed; it can have no "
                                            "more sources")
            : hsi_sources_start_thread(rt);
    pthread_mutex_unlock(&rt->sources.mutex);
    return status;
}

HSCHED_API hsched_status hsched_source_create(hsched_model *model,
                                              const hsched_source_config *user_config,
                                              hsched_source **result)
{
    hsched_source_config config;
    if (!model || !result)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_source_create: model or source is NULL");
    *result = NULL;
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    if (status == HSCHED_OK)
        status = check_config(model, &config);
    if (status != HSCHED_OK)
        return status;
    hsched_source *s = HSI_NEW(hsched_source);
    if (!s)
        return hsi_out_of_memory("a source");
    s->model = hsched_model_retain(model);
    s->config = config;
    status = build(s);
    if (status == HSCHED_OK)
        status = ensure_thread(model->runtime);
    if (status == HSCHED_OK)
        status = hsi_source_admit(s);
    if (status != HSCHED_OK) {
        free_source(s);
        return status;
    }
    *result = s;
    return HSCHED_OK;
}

/* ---- Starting and stopping ------------------------------------------------ */

/* The first release that is not past. 0: it cannot be that late. */
static uint64_t first_release(const hsched_source *s, uint64_t start_us, uint64_t now_us)
{
    uint64_t first;
    if (__builtin_add_overflow(start_us ? start_us : now_us, s->config.offset_us,
                               &first) ||
        first > MAX_TIME_US)
        return 0;
    if (first >= now_us)
        return first;
    const uint64_t past = now_us - first, period = s->config.period_us;
    return first + (past + period - 1) / period * period;
}

/* Under the mutex. */
static hsched_status start(hsched_source *s, uint64_t start_us)
{
    hsched_runtime *rt = s->model->runtime;
    if (rt->sources.stopping)
        return hsi_error(HSCHED_ERROR_STATE,
                         "source '%s': its runtime was destroyed; it cannot be started",
                         s->name);
    if (s->is_started)
        return hsi_error(HSCHED_ERROR_STATE,
                         "source '%s' is started already; stop it first", s->name);
    const uint64_t first = first_release(s, start_us, hsi_now_us());
    if (first == 0)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "source '%s': start_us %llu and offset_us %llu are no time; both "
            "are microseconds, the first on CLOCK_MONOTONIC",
            s->name, (unsigned long long)start_us,
            (unsigned long long)s->config.offset_us);
    s->next_us = first;
    s->is_started = 1;
    s->complained = 0;
    s->next_started = rt->sources.started;
    rt->sources.started = s;
    pthread_cond_signal(&rt->sources.wake);
    return HSCHED_OK;
}

HSCHED_API hsched_status hsched_source_start(hsched_source *s, uint64_t start_us)
{
    if (!s)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_source_start: source is NULL");
    pthread_mutex_t *mutex = &s->model->runtime->sources.mutex;
    pthread_mutex_lock(mutex);
    hsched_status status = start(s, start_us);
    pthread_mutex_unlock(mutex);
    return status;
}

HSCHED_API void hsched_source_stop(hsched_source *s)
{
    if (!s)
        return;
    hsched_runtime *rt = s->model->runtime;
    pthread_mutex_lock(&rt->sources.mutex);
    for (hsched_source **at = &rt->sources.started; *at; at = &(*at)->next_started)
        if (*at == s) {
            *at = s->next_started;
            break;
        }
    s->is_started = 0;
    pthread_mutex_unlock(&rt->sources.mutex);
    hsi_source_await_release(s);
}

/* ---- Ending --------------------------------------------------------------- */

/* A run of the source that was not cancelled yet, with a reference; NULL: there is none. */
static hsched_run *next_to_cancel(hsched_source *s)
{
    hsched_run *run = NULL;
    pthread_mutex_t *mutex = &s->model->runtime->sources.mutex;
    pthread_mutex_lock(mutex);
    for (uint32_t i = 0; i < s->release_count && !run; i++) {
        hsi_release *r = &s->releases[i];
        if (r->in_use && r->run && !r->cancelled) {
            r->cancelled = 1;
            run = hsched_run_retain(r->run);
        }
    }
    pthread_mutex_unlock(mutex);
    return run;
}

HSCHED_API void hsched_source_destroy(hsched_source *s)
{
    hsched_run *run;
    if (!s)
        return;
    hsched_runtime *rt = s->model->runtime;
    hsched_source_stop(s);
    while ((run = next_to_cancel(s)) != NULL) {
        hsched_run_cancel(run);
        hsched_run_release(run);
    }
    pthread_mutex_lock(&rt->sources.mutex);
    while (s->used > 0)
        pthread_cond_wait(&rt->sources.quiet, &rt->sources.mutex);
    pthread_mutex_unlock(&rt->sources.mutex);
    hsi_source_forget(s);
    free_source(s);
}

HSCHED_API hsched_status hsched_source_get_stats(const hsched_source *source,
                                                 hsched_source_stats *stats)
{
    if (!source)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_source_get_stats: source is NULL");
    pthread_mutex_t *mutex = &source->model->runtime->sources.mutex;
    pthread_mutex_lock(mutex);
    hsched_source_stats filled = source->stats;
    const hsi_histogram *h = &source->latency;
    filled.struct_size = sizeof filled;
    filled.in_flight = (uint32_t)(filled.released - filled.completed - filled.failed -
                                  filled.cancelled - filled.dropped - filled.replaced);
    filled.latency_mean_us = h->count ? (double)h->sum / (double)h->count : 0;
    filled.latency_p50_us = hsi_histogram_percentile(h, 0.50);
    filled.latency_p99_us = hsi_histogram_percentile(h, 0.99);
    filled.latency_max_us = (double)h->max;
    pthread_mutex_unlock(mutex);
    filled.admission = source->admission;
    return hsi_info_write(stats, &filled, sizeof filled, "hsched_source_stats");
}
