/* Executes what was planned, so that the prediction can be compared with something. */
#include <stdlib.h>

#include "cli/plan.h"
#include "cli/statistics.h"

enum {
    WARM_UPS = 3, /* make slots; on GPUs have batches prepared and graphs captured */
    RUNS_MAX = 64 /* of an explanation's batch */
};

typedef struct measuring {
    cli_plan *plan;
    const cli_inputs *inputs;
    hsched_run *runs[RUNS_MAX];
    uint64_t first_us, last_us;
} measuring;

static int failed(const measuring *m, hsched_status status)
{
    return cli_failed(CLI_WRONG, status, hsched_model_name(m->plan->model));
}

static int submit(measuring *m, uint32_t *submitted)
{
    const hsched_run_config config = { HSCHED_RUN_CONFIG_INIT,
                                       .inputs = m->inputs->bindings,
                                       .input_count = m->inputs->count };
    for (*submitted = 0; *submitted < m->plan->info.batch; ++*submitted) {
        const hsched_status status =
            hsched_submit(m->plan->model, &config, &m->runs[*submitted]);
        if (status != HSCHED_OK)
            return failed(m, status);
    }
    return CLI_OK;
}

static int take_times(measuring *m, uint32_t index)
{
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    const hsched_status status = hsched_run_get_times(m->runs[index], &times);
    if (status != HSCHED_OK)
        return failed(m, status);
    if (index == 0) {
        m->first_us = times.submitted_us;
        m->last_us = times.ended_us;
        m->plan->measured.tensors = times.crossings;
        m->plan->measured.jobs = times.jobs;
    }
    if (times.ended_us > m->last_us)
        m->last_us = times.ended_us;
    return CLI_OK;
}

/* All that were submitted end, whatever became of others. */
static int execute(measuring *m)
{
    uint32_t submitted;
    int exit_status = submit(m, &submitted);
    for (uint32_t i = 0; i < submitted; i++) {
        const hsched_status status = hsched_run_wait(m->runs[i], HSCHED_FOREVER);
        if (status != HSCHED_OK && exit_status == CLI_OK)
            exit_status = failed(m, status);
        if (exit_status == CLI_OK)
            exit_status = take_times(m, i);
    }
    for (uint32_t i = 0; i < submitted; i++)
        hsched_run_release(m->runs[i]);
    return exit_status;
}

/* Between two of them in proportion, as profiles have it. */
static double quantile(const double *sorted, uint32_t count, double part)
{
    const double at = part * (count - 1);
    const uint32_t below = (uint32_t)at;
    return below + 1 < count
               ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below])
               : sorted[below];
}

static int measure(measuring *m, double *values, uint32_t count)
{
    int status = CLI_OK;
    for (int i = 0; i < WARM_UPS && status == CLI_OK; i++) {
        status = execute(m);
        if (status == CLI_OK) {
            const hsched_status settled = hsched_runtime_settle(m->plan->runtime);
            status = settled == HSCHED_OK ? CLI_OK : failed(m, settled);
        }
    }
    for (uint32_t i = 0; i < count && status == CLI_OK; i++) {
        status = execute(m);
        values[i] = (double)(m->last_us - m->first_us);
    }
    return status;
}

int cli_plan_measure(cli_plan *plan, uint32_t count, uint64_t seed)
{
    cli_inputs inputs = { 0 };
    cli_input_options none = { .image = { CLI_IMAGE_OPTIONS_INIT } };
    measuring m = { .plan = plan, .inputs = &inputs };
    double *values = calloc(count, sizeof *values);
    if (!values)
        return cli_no_memory();
    int status = cli_inputs_make(plan->model, &none, seed, &inputs);
    if (status == CLI_OK)
        status = measure(&m, values, count);
    if (status == CLI_OK) {
        plan->measured.runs = count;
        plan->measured.us = cli_median(values, count);
        plan->measured.spread_us =
            quantile(values, count, 0.75) - quantile(values, count, 0.25);
    }
    cli_inputs_free(&inputs);
    cli_input_options_free(&none);
    free(values);
    return status;
}
