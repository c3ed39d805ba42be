#include "cli/costs.h"

#include "cli/cli.h"

int cli_cost_measured(hsched_model *model, const hsched_cost_query *query,
                      hsched_cost *cost)
{
    *cost = (hsched_cost){ HSCHED_COST_INIT };
    hsched_status status = hsched_model_get_cost(model, query, cost);
    if (status == HSCHED_OK)
        return cost->source == HSCHED_COST_MEASURED;
    cli_failed(CLI_WRONG, status, hsched_model_name(model));
    return -1;
}

uint32_t cli_cost_next(uint32_t number, uint32_t most)
{
    return number >= most ? 0 : 2 * number < most ? 2 * number : most;
}

/* *complete: all `count` of them were measured. */
static int sum_of(hsched_model *model, hsched_cost_query query, uint32_t count,
                  double *sum_us, int *complete)
{
    *sum_us = 0;
    *complete = count > 0;
    for (query.index = 0; query.index < count; query.index++) {
        hsched_cost cost;
        const int found = cli_cost_measured(model, &query, &cost);
        if (found < 0)
            return -1;
        *sum_us += cost.us;
        *complete &= found;
    }
    return 1;
}

int cli_cost_of_whole(hsched_model *model, const hsched_cost_query *device_query,
                      cli_cost_whole *whole)
{
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    hsched_cost_query query = *device_query;
    query.unit = HSCHED_COST_RUN;
    query.index = 0;
    *whole = (cli_cost_whole){ 0 };
    const int found = cli_cost_measured(model, &query, &whole->run);
    if (found != 1 || query.batch > 1)
        return found;
    query.unit = HSCHED_COST_STEP;
    if (sum_of(model, query, hsched_model_step_count(model), &whole->sum_us,
               &whole->has_sum) < 0)
        return -1;
    if (!whole->has_sum) {
        query.unit = HSCHED_COST_SECTION;
        whole->of_sections = 1;
        hsched_status status = hsched_model_get_stats(model, &stats);
        if (status != HSCHED_OK) {
            cli_failed(CLI_WRONG, status, hsched_model_name(model));
            return -1;
        }
        if (sum_of(model, query, stats.sections, &whole->sum_us, &whole->has_sum) < 0)
            return -1;
    }
    whole->difference = whole->sum_us / whole->run.us - 1;
    return 1;
}
