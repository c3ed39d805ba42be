#include "cli/trace.h"

#include <stdio.h>

#include "cli/files.h"
#include "cli/outputs.h"

int cli_trace_check(const cli_trace *trace)
{
    return cli_check_writable("--trace", trace->path);
}

int cli_trace_start(const cli_trace *trace, hsched_runtime *runtime)
{
    const hsched_trace_config config = { HSCHED_TRACE_CONFIG_INIT, .path = trace->path,
                                         .events_per_thread = trace->events };
    if (!trace->path)
        return CLI_OK;
    hsched_status status = hsched_trace_start(runtime, &config);
    return status == HSCHED_OK ? CLI_OK : cli_failed(CLI_SYSTEM, status, "--trace");
}

void cli_trace_stop(cli_trace *trace, hsched_runtime *runtime)
{
    if (!trace->path)
        return;
    trace->stats = (hsched_trace_stats){ HSCHED_TRACE_STATS_INIT };
    hsched_status status = hsched_trace_stop(runtime, &trace->stats);
    if (status != HSCHED_OK)
        trace->exit_status = cli_failed(CLI_SYSTEM, status, "--trace");
    else if (trace->stats.dropped > 0)
        cli_warning("the trace lacks %llu events for which there was no room; see "
                    "--trace-events",
                    (unsigned long long)trace->stats.dropped);
}

void cli_trace_print(const cli_trace *trace)
{
    if (trace->path && trace->exit_status == CLI_OK)
        printf("\ntrace: %s, %llu events; open it with https://ui.perfetto.dev\n",
               trace->path, (unsigned long long)trace->stats.events);
}

json_t *cli_trace_json(const cli_trace *trace)
{
    if (!trace->path || trace->exit_status != CLI_OK)
        return NULL;
    return json_pack("{s:o, s:I, s:I}", "file", cli_json_text(trace->path), "events",
                     (json_int_t)trace->stats.events, "dropped",
                     (json_int_t)trace->stats.dropped);
}
