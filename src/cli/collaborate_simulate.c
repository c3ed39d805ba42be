/* Sets of `hsched bench collaborate` in virtual time: as the runtime would execute them, by what
 * was measured of each network alone. */
#include <hsched/experimental.h>
#include <stdio.h>
#include <string.h>

#include "cli/collaborate.h"
#include "cli/collaborate_report.h"

typedef struct simulating {
    const cli_machine *machine;
    hsched_simulation *simulation;
    uint32_t numbers[CLI_NETWORKS_MAX]
                    [CLI_WAYS]; /* of models; UINT32_MAX: not added yet */
    double at_us, submit_us;
} simulating;

/* One run, a little after the one before. */
static hsched_status submit(simulating *s, uint32_t network, cli_way way)
{
    uint32_t *number = &s->numbers[network][way];
    hsched_status status = HSCHED_OK;
    if (way == CLI_WAY_STEPS)
        return HSCHED_ERROR_UNSUPPORTED;
    if (*number == UINT32_MAX)
        status = hsched_simulation_add_model(s->simulation,
                                             s->machine->models[network][way], number);
    if (status != HSCHED_OK)
        return status;
    const hsched_simulation_stream stream = { HSCHED_SIMULATION_STREAM_INIT,
                                              .model = *number, .first_us = s->at_us };
    s->at_us += s->submit_us;
    return hsched_simulation_submit(s->simulation, &stream);
}

/* In the order of cli_machine_time. */
static hsched_status submit_all(simulating *s, const cli_mix *mix, cli_shares shares)
{
    hsched_status status = HSCHED_OK;
    for (int any = 1; any;) {
        any = 0;
        for (uint32_t i = 0; i < mix->count; i++)
            for (int way = 0; way < CLI_WAYS && status == HSCHED_OK; way++) {
                if (shares.runs[i][way] == 0)
                    continue;
                status = submit(s, mix->network[i], (cli_way)way);
                shares.runs[i][way]--;
                any = 1;
            }
    }
    return status;
}

static hsched_status set_loads(const simulating *s, const double *loads)
{
    const uint32_t count = hsched_runtime_device_count(s->machine->runtime);
    hsched_status status = HSCHED_OK;
    for (uint32_t d = 0; d < count && status == HSCHED_OK; d++) {
        hsched_simulation_device_report device = { HSCHED_SIMULATION_DEVICE_REPORT_INIT };
        status = hsched_simulation_get_device(s->simulation, d, &device);
        if (status == HSCHED_OK)
            status = hsched_simulation_set_load(s->simulation, device.name, 0, loads[d]);
    }
    return status;
}

hsched_status cli_machine_simulate(const cli_machine *machine, const cli_mix *mix,
                                   const cli_shares *shares, const double *loads,
                                   double submit_us, double *us)
{
    simulating s = { .machine = machine, .submit_us = submit_us };
    hsched_simulation_report report = { HSCHED_SIMULATION_REPORT_INIT };
    memset(s.numbers, 0xff, sizeof s.numbers);
    *us = 0;
    hsched_status status = hsched_simulation_create_of(machine->runtime, &s.simulation);
    if (status != HSCHED_OK)
        return status;
    status = set_loads(&s, loads);
    if (status == HSCHED_OK)
        status = submit_all(&s, mix, *shares);
    if (status == HSCHED_OK)
        status = hsched_simulation_run(s.simulation, NULL, &report);
    if (status == HSCHED_OK)
        *us = report.makespan_us;
    hsched_simulation_destroy(s.simulation);
    return status;
}

/* ---- A cell ---------------------------------------------------------------- */

int cli_cell_note_loads(cli_cell *cell, const cli_machine *machine)
{
    cell->device_count = hsched_runtime_device_count(machine->runtime);
    if (cell->load_samples == CLI_LOADS_MAX)
        return CLI_OK;
    for (uint32_t d = 0; d < cell->device_count; d++) {
        hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
        const hsched_status status =
            hsched_runtime_get_device_stats(machine->runtime, d, &stats);
        if (status != HSCHED_OK)
            return cli_failed(CLI_WRONG, status, cell->mix);
        cell->sensed[d][cell->load_samples] = stats.load;
    }
    cell->load_samples++;
    return CLI_OK;
}

void cli_cell_simulate(cli_cell *cell, const cli_machine *machine, const cli_mix *mix,
                       uint32_t series, const cli_shares *shares)
{
    cli_series *s = &cell->series[series];
    for (uint32_t d = 0; d < cell->device_count; d++)
        cell->loads[d] =
            cell->load_samples > 0 ? cli_median(cell->sensed[d], cell->load_samples) : 1;
    const double submit_us = s->count > 0 ? s->submit_sum_us / s->count : 0;
    const hsched_status status = cli_machine_simulate(machine, mix, shares, cell->loads,
                                                      submit_us, &s->simulated_us);
    cell->simulated = 1;
    if (status == HSCHED_OK)
        return;
    snprintf(s->not_simulated, sizeof s->not_simulated, "%s",
             hsched_error_detail()[0] ? hsched_error_detail()
                                      : hsched_status_name(status));
}
