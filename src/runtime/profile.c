/*
 * hsched_model_profile: series of measurements, each repeated while its share of the time lasts.
 * What is timed where, and what the figures are good for: docs/design/cost.md.
 */
#include "runtime/planner.h"
#include "runtime/profile.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/sync.h"
#include "cost/samples.h"

enum {
    REPETITIONS = 31,
    REPETITIONS_MAX = 1000,
    WARM_UPS = 4, /* a batch may have to be prepared in the background first */
    JOBS_MAX = 8, /* at once on a device with a queue */
    ENOUGH = 3    /* samples for a median to drop an outlier */
};

typedef struct series {
    uint32_t device;
    uint32_t workers; /* CPU workers that share steps */
    uint32_t jobs;    /* runs at once, not joined */
    uint32_t batch;   /* runs joined */
    int by_section;   /* device with a queue: each section is a job */
} series;

/* Samples of one number: [row * repetitions + k]. */
typedef struct samples {
    double *values;
    uint32_t *counts; /* per row */
    uint32_t rows;
} samples;

typedef struct profile {
    hsched_model *model;
    hsi_profile_input input;
    hsched_binding *zeros; /* made up, or NULL */
    uint32_t repetitions;
    uint64_t began_ns, deadline_ns;
    uint32_t series_left;
    hsi_exec_probe *probes[HSI_PROFILE_RUNS];
    /* Rows: steps, then sections, then the run as a whole, all of them microseconds; then the
     * stretch, a factor. */
    samples samples;
    hsched_profile_report report;
} profile;

static uint32_t step_row(const profile *p, uint32_t step)
{
    (void)p;
    return step;
}

static uint32_t section_row(const profile *p, uint32_t section)
{
    return p->model->plan->step_count + section;
}

static uint32_t run_row(const profile *p)
{
    return p->model->plan->step_count + p->model->plan->section_count;
}

static uint32_t stretch_row(const profile *p)
{
    return run_row(p) + 1;
}

/* 0 is none. */
static void add_sample(profile *p, uint32_t row, double value)
{
    samples *s = &p->samples;
    if (value > 0 && s->counts[row] < p->repetitions)
        s->values[(size_t)row * p->repetitions + s->counts[row]++] = value;
}

/* 0: there are none. */
static double median_of(profile *p, uint32_t row, double *spread)
{
    const uint32_t count = p->samples.counts[row];
    *spread = 0;
    return count ? hsi_cost_median(&p->samples.values[(size_t)row * p->repetitions],
                                   count, spread)
                 : 0;
}

/* ---- What the model is like on a device ------------------------------------ */

static int is_on(const hsched_model *model, uint32_t section, uint32_t device)
{
    return model->exec.section_prepared[section * model->exec.device_count + device] !=
           HSI_NOT_PREPARED;
}

static uint32_t sections_on(const hsched_model *model, uint32_t device)
{
    uint32_t count = 0;
    for (uint32_t s = 0; s < model->plan->section_count; s++)
        count += (uint32_t)is_on(model, s, device);
    return count;
}

/* Steps of devices that account for whole sections take no time of their own. */
static int has_steps(const hsched_model *model, uint32_t device)
{
    const hsched_backend *backend = model->runtime->devices[device].backend;
    return !backend->queue_submit && !backend->job_boundary;
}

/* ---- Storing -------------------------------------------------------------- */

/* One or two samples, for want of time, are no better than what the table has from more; what has
 * changed since jobs teach it. Under the table's lock. */
static int has_better(const profile *p, const hsi_cost_point *point)
{
    const hsi_cost_point *known =
        hsi_cost_table_get(p->model->runtime->costs.table, &point->key);
    return known && !known->observed && known->samples >= ENOUGH &&
           point->samples < ENOUGH && point->samples < p->repetitions;
}

static hsched_status put(profile *p, const hsi_cost_point *point)
{
    hsched_runtime *rt = p->model->runtime;
    hsched_status status = HSCHED_OK;
    pthread_mutex_lock(&rt->costs.mutex);
    const int better = has_better(p, point);
    if (!better)
        status = hsi_cost_table_put(rt->costs.table, point, 1);
    if (!better && status == HSCHED_OK && point->key.unit == HSI_COST_AT_ONCE)
        status = hsi_cost_table_put_stretch(rt->costs.table, point->key.device,
                                            point->key.batch, point->us, 1);
    pthread_mutex_unlock(&rt->costs.mutex);
    p->report.measured += status == HSCHED_OK && !better;
    return status;
}

static hsched_status store(profile *p, hsi_cost_unit unit, uint32_t index,
                           const series *s, uint32_t row)
{
    double spread;
    const double us = median_of(p, row, &spread);
    hsi_cost_point point = { .key = hsi_costs_key(p->model, unit, index, s->device),
                             .us = us,
                             .spread_us = spread,
                             .samples = p->samples.counts[row],
                             .work = hsi_costs_work(p->model, unit, index) };
    if (us <= 0)
        return HSCHED_OK;
    point.key.workers = s->workers;
    point.key.batch = s->batch;
    return put(p, &point);
}

static hsched_status store_stretch(profile *p, const series *s)
{
    double spread;
    /* Below 1 it is chance: nobody is faster for the others. */
    const double measured = median_of(p, stretch_row(p), &spread),
                 factor = measured > 0 && measured < 1 ? 1 : measured;
    hsi_cost_point point = { .key =
                                 hsi_costs_key(p->model, HSI_COST_AT_ONCE, 0, s->device),
                             .us = factor,
                             .spread_us = spread,
                             .samples = p->samples.counts[stretch_row(p)] };
    if (factor <= 0)
        return HSCHED_OK;
    point.key.batch = s->jobs;
    return put(p, &point);
}

static hsched_status store_all(profile *p, const series *s)
{
    const hsi_plan *plan = p->model->plan;
    if (s->jobs > 1)
        return store_stretch(p, s);
    hsched_status status = HSCHED_OK;
    for (uint32_t i = 0; i < plan->step_count && status == HSCHED_OK; i++)
        status = store(p, HSI_COST_STEP, i, s, step_row(p, i));
    for (uint32_t i = 0; i < plan->section_count && status == HSCHED_OK; i++)
        status = store(p, HSI_COST_SECTION, i, s, section_row(p, i));
    if (status == HSCHED_OK && !s->by_section &&
        sections_on(p->model, s->device) == plan->section_count)
        status = store(p, HSI_COST_RUN, 0, s, run_row(p));
    return status;
}

/* ---- One repetition ------------------------------------------------------- */

static hsched_status execute(profile *p, const series *s, const hsi_profile_shape *shape,
                             uint32_t runs, uint64_t *step_ns, uint64_t *section_ns,
                             uint64_t *job_ns)
{
    for (uint32_t i = 0; i < runs; i++) {
        hsi_exec_probe *probe = p->probes[i];
        probe->workers = s->workers;
        probe->step_ns = i == 0 ? step_ns : NULL;
        probe->section_ns = i == 0 ? section_ns : NULL;
        probe->job_ns = i == 0 ? job_ns : NULL;
    }
    return hsi_profile_run(&p->input, shape, p->probes, runs);
}

/* 1 if all runs were joined as they should be. */
static int was_joined(const profile *p, const series *s)
{
    for (uint32_t i = 0; i < s->batch; i++)
        if (p->probes[i]->batch != s->batch)
            return 0;
    return 1;
}

/* The times inside of jobs are from runs of their own: clocks are read in those. */
static hsched_status repeat_inside(profile *p, const series *s,
                                   const hsi_profile_shape *shape, uint64_t *times)
{
    const hsi_plan *plan = p->model->plan;
    const int queue = p->model->runtime->devices[s->device].has_queue;
    uint64_t *step_ns = times, *section_ns = times + plan->step_count;
    memset(times, 0, (plan->step_count + plan->section_count) * sizeof *times);
    hsched_status status = execute(p, s, shape, 1, queue ? NULL : step_ns,
                                   queue ? NULL : section_ns, queue ? section_ns : NULL);
    if (status != HSCHED_OK)
        return status;
    for (uint32_t i = 0; i < plan->section_count; i++) {
        if (!is_on(p->model, i, s->device))
            continue;
        add_sample(p, section_row(p, i), (double)section_ns[i] / 1000);
        for (uint32_t k = 0; k < plan->sections[i].step_count; k++)
            if (has_steps(p->model, s->device))
                add_sample(p, step_row(p, plan->sections[i].first_step + k),
                           (double)step_ns[plan->sections[i].first_step + k] / 1000);
    }
    return HSCHED_OK;
}

static hsched_status repeat_whole(profile *p, const series *s,
                                  const hsi_profile_shape *shape, int *counts)
{
    hsched_status status = execute(p, s, shape, s->batch, NULL, NULL, NULL);
    *counts = status == HSCHED_OK && was_joined(p, s);
    if (*counts)
        add_sample(p, run_row(p),
                   (double)(p->probes[0]->ended_ns - p->probes[0]->began_ns) / 1000);
    return status;
}

static uint64_t queue_busy_ns(const hsched_runtime *rt, uint32_t device)
{
    pthread_mutex_lock(&rt->pool->lock);
    const uint64_t busy_ns = hsi_queue_busy_ns(rt->pool->queues[device], hsi_now_ns());
    pthread_mutex_unlock(&rt->pool->lock);
    return busy_ns;
}

/*
 * What jobs of so many runs take. Where they are queued: until all have ended, however the device
 * serves them; one after the other they take half as long on average, and no more gets done. CPU
 * workers have a core each, and who is done early leaves it to others: the average.
 */
static hsched_status time_jobs(profile *p, const series *s,
                               const hsi_profile_shape *shape, uint32_t runs, double *ns)
{
    const hsched_runtime *rt = p->model->runtime;
    const int queue = rt->devices[s->device].has_queue;
    const uint64_t before_ns = queue ? queue_busy_ns(rt, s->device) : 0;
    hsched_status status = execute(p, s, shape, runs, NULL, NULL, NULL);
    *ns = 0;
    if (queue)
        *ns = (double)(queue_busy_ns(rt, s->device) - before_ns);
    for (uint32_t i = 0; i < runs && !queue && status == HSCHED_OK; i++)
        *ns += (double)p->probes[i]->device_ns[s->device] / runs;
    return status;
}

/* One run alone, then several: who compares what he measured a minute ago measures what the
 * machine did in between. */
static hsched_status repeat_stretch(profile *p, const series *s,
                                    const hsi_profile_shape *shape)
{
    double alone, together = 0;
    hsched_status status = time_jobs(p, s, shape, 1, &alone);
    if (status == HSCHED_OK)
        status = time_jobs(p, s, shape, s->jobs, &together);
    if (status == HSCHED_OK && alone > 0)
        add_sample(p, stretch_row(p), together / alone);
    return status;
}

static hsched_status repeat(profile *p, const series *s, const hsi_profile_shape *shape,
                            uint64_t *times, int *counts)
{
    const int queue = p->model->runtime->devices[s->device].has_queue;
    const int inside = s->batch == 1 && (s->by_section || !queue);
    hsched_status status = HSCHED_OK;
    *counts = 1;
    if (s->jobs > 1)
        return repeat_stretch(p, s, shape);
    if (inside)
        status = repeat_inside(p, s, shape, times);
    if (status == HSCHED_OK && !s->by_section)
        status = repeat_whole(p, s, shape, counts);
    return status;
}

/* ---- A series ------------------------------------------------------------- */

/* The first runs make slots, and have batches prepared and graphs captured. */
static hsched_status warm_up(profile *p, const series *s, const hsi_profile_shape *shape,
                             uint64_t *times, int *counts)
{
    hsched_status status = HSCHED_OK;
    *counts = 0;
    for (int i = 0; i < WARM_UPS && !*counts && status == HSCHED_OK; i++) {
        status = repeat(p, s, shape, times, counts);
        if (status == HSCHED_OK && p->model->runtime->devices[s->device].has_queue) {
            status = hsched_runtime_settle(p->model->runtime);
            *counts &= i > 0; /* once more with what was prepared meanwhile */
        }
    }
    memset(p->samples.counts, 0, p->samples.rows * sizeof *p->samples.counts);
    return status;
}

/* What nothing can be planned without. */
static int is_alone(const series *s)
{
    return s->workers == 1 && s->jobs == 1 && s->batch == 1;
}

static hsched_status repeat_in_time(profile *p, const series *s,
                                    const hsi_profile_shape *shape, uint64_t *times)
{
    int counts;
    hsched_status status = warm_up(p, s, shape, times, &counts);
    const uint64_t now = hsi_now_ns();
    if (status != HSCHED_OK)
        return status;
    if (!counts || (now >= p->deadline_ns && !is_alone(s))) {
        p->report.skipped++;
        return HSCHED_OK;
    }
    const uint64_t left = now < p->deadline_ns ? p->deadline_ns - now : 0;
    const uint64_t until = now + left / p->series_left;
    for (uint32_t i = 0; i < p->repetitions && status == HSCHED_OK; i++) {
        status = repeat(p, s, shape, times, &counts);
        if (hsi_now_ns() >= until)
            break;
    }
    return status == HSCHED_OK ? store_all(p, s) : status;
}

static hsched_status measure(profile *p, const series *s)
{
    const hsi_plan *plan = p->model->plan;
    hsi_profile_shape shape;
    if (hsi_now_ns() >= p->deadline_ns && !is_alone(s)) {
        p->report.skipped++;
        p->series_left--;
        return HSCHED_OK;
    }
    uint64_t *times =
        HSI_NEW_ARRAY(uint64_t, (size_t)plan->step_count + plan->section_count);
    hsched_status status =
        hsi_profile_shape_init(&shape, p->model, s->device, s->by_section, s->batch);
    if (status == HSCHED_OK && !times)
        status = hsi_out_of_memory("measurements");
    if (status == HSCHED_OK)
        status = repeat_in_time(p, s, &shape, times);
    if (status ==
        HSCHED_ERROR_DEVICE) { /* it is lost, or would not do this: others go on */
        p->report.skipped++;
        status = HSCHED_OK;
    }
    hsi_profile_shape_clear(&shape);
    hsi_free(times);
    p->series_left--;
    return status;
}

/* ---- All series ----------------------------------------------------------- */

/* In the order of what a plan needs most. */
typedef enum series_pass {
    PASS_ALONE = 0, /* measured whatever the time */
    PASS_SHARED,    /* by several workers, or for several runs */
    PASS_AT_ONCE,
    PASSES
} series_pass;

/* Every series of a device, to `visit`. */
typedef hsched_status visitor(profile *p, const series *s);

static hsched_status visit_host(profile *p, uint32_t device, series_pass pass,
                                visitor *visit)
{
    const uint32_t workers = device == 0 ? p->model->runtime->workers[0] : 1;
    const uint32_t runs = workers < HSI_PROFILE_RUNS ? workers : HSI_PROFILE_RUNS;
    hsched_status status = HSCHED_OK;
    series s = { .device = device, .workers = 1, .jobs = 1, .batch = 1 };
    uint32_t *const number = pass == PASS_AT_ONCE ? &s.jobs : &s.workers;
    const uint32_t most = pass == PASS_AT_ONCE ? runs : workers;
    if (pass == PASS_ALONE)
        return visit(p, &s);
    while ((*number = hsi_cost_next_number(*number, most)) && status == HSCHED_OK)
        status = visit(p, &s);
    return status;
}

static hsched_status visit_queue(profile *p, uint32_t device, series_pass pass,
                                 visitor *visit)
{
    const hsched_model *model = p->model;
    const uint32_t lanes = model->runtime->workers[device];
    const uint32_t jobs = lanes < JOBS_MAX ? lanes : JOBS_MAX;
    const uint32_t batch = model->exec.joinable ? model->max_batch : 1;
    hsched_status status = HSCHED_OK;
    series s = { .device = device, .workers = 1, .jobs = 1, .batch = 1 };
    uint32_t *const number = pass == PASS_AT_ONCE ? &s.jobs : &s.batch;
    if (pass == PASS_ALONE) {
        status = visit(p, &s);
        s.by_section = 1;
        return status == HSCHED_OK ? visit(p, &s) : status;
    }
    while (
        (*number = hsi_cost_next_number(*number, pass == PASS_AT_ONCE ? jobs : batch)) &&
        status == HSCHED_OK)
        status = visit(p, &s);
    return status;
}

/* The CPU comes last: its series take longest, and time may run out. */
static hsched_status visit_all(profile *p, visitor *visit)
{
    const hsched_runtime *rt = p->model->runtime;
    hsched_status status = HSCHED_OK;
    for (int pass = 0; pass < PASSES; pass++)
        for (uint32_t d = rt->device_count; d-- > 0 && status == HSCHED_OK;)
            if (sections_on(p->model, d) > 0)
                status = (rt->devices[d].has_queue ? visit_queue : visit_host)(
                    p, d, (series_pass)pass, visit);
    return status;
}

static hsched_status count_series(profile *p, const series *s)
{
    (void)s;
    p->series_left++;
    return HSCHED_OK;
}

/* ---- The call ------------------------------------------------------------- */

static hsched_status make_zeros(profile *p)
{
    const hsi_plan *plan = p->model->plan;
    p->zeros = HSI_NEW_ARRAY(hsched_binding, (size_t)plan->input_count + 1);
    if (!p->zeros)
        return hsi_out_of_memory("inputs");
    for (uint32_t i = 0; i < plan->input_count; i++) {
        p->zeros[i].size = plan->inputs[i].byte_size;
        p->zeros[i].data = hsi_alloc_aligned(plan->inputs[i].byte_size);
        if (!p->zeros[i].data)
            return hsi_out_of_memory("inputs");
    }
    p->input.inputs = p->zeros;
    p->input.input_count = plan->input_count;
    return HSCHED_OK;
}

static hsched_status make(profile *p)
{
    p->samples.rows = stretch_row(p) + 1;
    p->samples.counts = HSI_NEW_ARRAY(uint32_t, p->samples.rows);
    p->samples.values = HSI_NEW_ARRAY(double, (size_t)p->samples.rows * p->repetitions);
    if (!p->samples.counts || !p->samples.values)
        return hsi_out_of_memory("measurements");
    for (uint32_t i = 0; i < HSI_PROFILE_RUNS; i++) {
        p->probes[i] = HSI_NEW(hsi_exec_probe);
        if (!p->probes[i])
            return hsi_out_of_memory("measurements");
    }
    return p->input.inputs ? HSCHED_OK : make_zeros(p);
}

static void clear(profile *p)
{
    for (uint32_t i = 0; p->zeros && i < p->model->plan->input_count; i++)
        hsi_free(p->zeros[i].data);
    hsi_free(p->zeros);
    for (uint32_t i = 0; i < HSI_PROFILE_RUNS; i++)
        hsi_free(p->probes[i]);
    hsi_free(p->samples.counts);
    hsi_free(p->samples.values);
}

static hsched_status check_config(const hsched_model *model,
                                  const hsched_profile_config *config)
{
    if (!(config->seconds >= 0) || isinf(config->seconds) ||
        config->repetitions > REPETITIONS_MAX ||
        (config->flags & ~(uint32_t)HSCHED_PROFILE_NOT_SAVED))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_profile_config: seconds is %g (0: the default), "
                         "repetitions %u (at most %d), flags 0x%x",
                         config->seconds, config->repetitions, REPETITIONS_MAX,
                         config->flags);
    const uint32_t given =
        config->input_count ? config->input_count : model->plan->input_count;
    for (uint32_t i = 0; config->inputs && i < given; i++)
        if (config->inputs[i].run)
            return hsi_error(
                HSCHED_ERROR_INVALID_ARGUMENT,
                "hsched_model_profile: input %u is another run's output; give data", i);
    return HSCHED_OK;
}

/* Nothing else runs, and nothing keeps jobs back: waiting for the power cap would be measured as
 * work, and what a device draws as what it may. */
static hsched_status check_runtime(hsched_runtime *rt)
{
    if (rt->power.cap_watts > 0)
        return hsi_error(
            HSCHED_ERROR_STATE,
            "hsched_model_profile: this runtime keeps jobs back for its power "
            "cap of %g W, which would be measured with them; profile in a "
            "runtime without one, which fills the same cost cache",
            rt->power.cap_watts);
    pthread_mutex_lock(&rt->pool->lock);
    const uint64_t in_flight = rt->in_flight_count;
    pthread_mutex_unlock(&rt->pool->lock);
    return in_flight == 0
               ? HSCHED_OK
               : hsi_error(HSCHED_ERROR_STATE,
                           "hsched_model_profile: %llu runs are in flight; wait for them",
                           (unsigned long long)in_flight);
}

/* Before the series, which take all the time that there is. What the runs of this teach nobody. */
static hsched_status measure_power(profile *p, double seconds)
{
    const hsi_profile_power power = { .input = &p->input,
                                      .probes = p->probes,
                                      .seconds = hsi_profile_power_seconds(seconds) };
    hsched_status status = HSCHED_OK;
    for (uint32_t d = p->model->runtime->device_count; d-- > 0 && status == HSCHED_OK;) {
        int measured = 0;
        if (sections_on(p->model, d) == p->model->plan->section_count)
            status = hsi_profile_measure_power(&power, d, &measured);
        p->report.metered += (uint32_t)measured;
        if (status == HSCHED_ERROR_DEVICE) { /* it is lost: others go on */
            p->report.skipped++;
            status = HSCHED_OK;
        }
    }
    return status;
}

/* One at a time. */
static hsched_status profile_model(profile *p, const hsched_profile_config *config)
{
    hsched_runtime *rt = p->model->runtime;
    hsched_status status = check_runtime(rt);
    if (status == HSCHED_OK)
        status = hsi_costs_load(rt);
    if (status == HSCHED_OK)
        status = make(p);
    if (status != HSCHED_OK)
        return status;
    const double seconds = fmin(config->seconds > 0 ? config->seconds : 10, 1e9);
    p->began_ns = hsi_now_ns();
    p->deadline_ns = p->began_ns + (uint64_t)(seconds * 1e9);
    status = measure_power(p, seconds);
    visit_all(p, count_series);
    if (status == HSCHED_OK)
        status = visit_all(p, measure);
    p->report.seconds = (double)(hsi_now_ns() - p->began_ns) / 1e9;
    /* What was measured before something went wrong is not worth less. */
    if (!(config->flags & HSCHED_PROFILE_NOT_SAVED) &&
        p->report.measured + p->report.metered > 0) {
        hsched_status saved = hsi_costs_save(rt);
        status = status == HSCHED_OK ? saved : status;
    }
    if (p->model->core.policy->choose) {
        hsched_status planned = hsi_planner_plan(p->model);
        status = status == HSCHED_OK ? planned : status;
    }
    return status;
}

HSCHED_API hsched_status hsched_model_profile(hsched_model *model,
                                              const hsched_profile_config *user_config,
                                              hsched_profile_report *report)
{
    hsched_profile_config config;
    if (!model)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "hsched_model_profile: model is NULL");
    hsched_status status = HSI_CONFIG_READ(user_config, &config);
    if (status == HSCHED_OK)
        status = check_config(model, &config);
    if (status != HSCHED_OK)
        return status;
    profile p = { .model = model,
                  .input = { model, config.inputs, config.input_count },
                  .repetitions = config.repetitions ? config.repetitions : REPETITIONS,
                  .report = { HSCHED_PROFILE_REPORT_INIT } };
    pthread_mutex_lock(&model->runtime->costs.profiling);
    status = profile_model(&p, &config);
    pthread_mutex_unlock(&model->runtime->costs.profiling);
    clear(&p);
    if (!report)
        return status;
    hsched_status told =
        hsi_info_write(report, &p.report, sizeof p.report, "hsched_profile_report");
    return status == HSCHED_OK ? told : status;
}
