/* hsched sim: several models at once on a machine that is not there. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/sim_report.h"

static const char help_text[] =
    "PLATFORM is a file that describes a machine (examples/platforms); a NETWORK is a\n"
    "MODEL, and COUNT of it run at once. Everything is submitted at 0: each instance "
    "runs\n"
    "--iterations times, one run after the other or, with --period, one every so often.\n"
    "Times are simulated: nothing is computed, and what is not known is estimated as "
    "the\n"
    "platform file says. docs/design/simulator.md says what this leaves out.\n\n"
    "exit status: 0 success; 2 wrong usage; 3 the platform or a model could not be\n"
    "loaded; 4 a file could not be written, or no memory.\n";

typedef struct sim_command {
    cli_session session; /* of it: symbols, seed */
    cli_list positional, loads;
    const char *policy, *precision, *trace;
    cli_objective objective;
    double period_us, deadline_us, jitter, priority;
    uint32_t iterations;
    uint64_t seed;
    int json, drop_late;
    hsched_math math;
    hsched_simulation *simulation;
} sim_command;

/* ---- What is asked for ---------------------------------------------------- */

/* "gpu=2.5@40": 2.5 times as long from 40 ms on. */
static int set_load(const sim_command *c, const char *text)
{
    const char *equals = strchr(text, '=');
    const char *at = equals ? strchr(equals, '@') : NULL;
    char factor_text[32];
    double factor, from_ms = 0;
    const size_t length = !equals ? 0
                          : at    ? (size_t)(at - equals) - 1
                                  : strlen(equals + 1);
    if (equals && length < sizeof factor_text)
        snprintf(factor_text, sizeof factor_text, "%.*s", (int)length, equals + 1);
    if (!equals || equals == text || length >= sizeof factor_text ||
        !cli_parse_positive(&factor, factor_text) ||
        (at && (!cli_parse_number(&from_ms, at + 1) || from_ms < 0))) {
        cli_error(
            "--load '%s' is not DEVICE=FACTOR or DEVICE=FACTOR@MS, as in gpu=2.5@40",
            text);
        return CLI_USAGE;
    }
    char *device = strndup(text, (size_t)(equals - text));
    if (!device)
        return cli_no_memory();
    const hsched_status status =
        hsched_simulation_set_load(c->simulation, device, 1000 * from_ms, factor);
    free(device);
    return status == HSCHED_OK ? CLI_OK : cli_failed(CLI_USAGE, status, text);
}

static int check_precision(sim_command *c)
{
    static const struct {
        const char *name;
        hsched_math math;
    } names[] = { { "default", HSCHED_MATH_DEFAULT },
                  { "strict", HSCHED_MATH_STRICT },
                  { "fp16", HSCHED_MATH_FP16 },
                  { "bf16", HSCHED_MATH_BF16 } };
    for (int i = 0; i < 4; i++)
        if (!c->precision || strcmp(c->precision, names[i].name) == 0) {
            c->math = names[i].math;
            return CLI_OK;
        }
    cli_error("--precision '%s' is none of default, strict, fp16 and bf16", c->precision);
    return CLI_USAGE;
}

static int check(sim_command *c)
{
    if (c->positional.count < 2) {
        cli_error("sim takes a PLATFORM and at least one NETWORK; see hsched sim --help");
        return CLI_USAGE;
    }
    if (c->priority < HSCHED_PRIORITY_MIN || c->priority > HSCHED_PRIORITY_MAX ||
        c->priority != (int)c->priority) {
        cli_error("--priority is not a whole number from %d to %d", HSCHED_PRIORITY_MIN,
                  HSCHED_PRIORITY_MAX);
        return CLI_USAGE;
    }
    if (c->drop_late && c->deadline_us <= 0) {
        cli_error("--drop-late needs a --deadline");
        return CLI_USAGE;
    }
    if (c->jitter < 0 || c->jitter >= 1) {
        cli_error("--jitter is not from 0 to below 1");
        return CLI_USAGE;
    }
    if (cli_objective_check(&c->objective, &c->policy) != CLI_OK)
        return CLI_USAGE;
    return check_precision(c);
}

/* ---- Networks ------------------------------------------------------------- */

static int add_network(const sim_command *c, const char *name, uint32_t instances)
{
    hsched_graph *graph = NULL;
    char short_name[256];
    cli_short_name(name, short_name, sizeof short_name);
    const hsched_simulation_model_config config = {
        HSCHED_SIMULATION_MODEL_CONFIG_INIT,
        .name = short_name,
        .policy = c->policy,
        .math = c->math,
        .max_batch = c->session.max_batch,
    };
    hsched_simulation_stream stream = {
        HSCHED_SIMULATION_STREAM_INIT,
        .instances = instances,
        .runs = c->iterations,
        .period_us = c->period_us,
        .deadline_us = c->deadline_us,
        .priority = (int)c->priority,
        .late = c->drop_late ? HSCHED_LATE_DROP : HSCHED_LATE_FINISH,
    };
    int exit_status = cli_session_graph(&c->session, name, &graph);
    if (exit_status != CLI_OK)
        return exit_status;
    hsched_status status =
        hsched_simulation_add(c->simulation, graph, &config, &stream.model);
    hsched_graph_destroy(graph);
    if (status == HSCHED_OK)
        status = hsched_simulation_submit(c->simulation, &stream);
    if (status == HSCHED_OK)
        return CLI_OK;
    return cli_failed(status == HSCHED_ERROR_OUT_OF_MEMORY ? CLI_SYSTEM : CLI_LOAD,
                      status, name);
}

/* NETWORK[:COUNT][,NETWORK[:COUNT]]...; changed meanwhile. */
static int add_networks(const sim_command *c, char *list)
{
    char *rest = NULL;
    int status = CLI_OK;
    for (char *name = strtok_r(list, ",", &rest); name && status == CLI_OK;
         name = strtok_r(NULL, ",", &rest)) {
        char *colon = strrchr(name, ':');
        uint32_t count = 1;
        if (colon) {
            *colon = '\0';
            if (colon == name || !cli_parse_count(&count, colon + 1)) {
                cli_error("'%s:%s' is not NETWORK:COUNT, as in densenet201:8", name,
                          colon + 1);
                return CLI_USAGE;
            }
        }
        status = add_network(c, name, count);
    }
    return status;
}

static int add_all(const sim_command *c)
{
    int status = CLI_OK;
    for (uint32_t i = 1; i < c->positional.count && status == CLI_OK; i++) {
        char *list = strdup(c->positional.values[i]);
        status = list ? add_networks(c, list) : cli_no_memory();
        free(list);
    }
    return status == CLI_OK ? cli_session_symbols_used(&c->session) : status;
}

/* ---- Command -------------------------------------------------------------- */

static int simulate(sim_command *c)
{
    const char *platform = c->positional.values[0];
    hsched_status status = hsched_simulation_create(platform, &c->simulation);
    if (status != HSCHED_OK)
        return cli_failed(status == HSCHED_ERROR_OUT_OF_MEMORY ? CLI_SYSTEM : CLI_LOAD,
                          status, platform);
    int exit_status = CLI_OK;
    for (uint32_t i = 0; i < c->loads.count && exit_status == CLI_OK; i++)
        exit_status = set_load(c, c->loads.values[i]);
    if (exit_status == CLI_OK)
        exit_status = add_all(c);
    if (exit_status != CLI_OK)
        return exit_status;
    const hsched_simulation_config config = { HSCHED_SIMULATION_CONFIG_INIT,
                                              .jitter = c->jitter,
                                              .seed = c->seed,
                                              .trace = c->trace,
                                              .objective = c->objective.value,
                                              .power_cap_watts =
                                                  c->objective.power_cap_watts };
    hsched_simulation_report report = { HSCHED_SIMULATION_REPORT_INIT };
    status = hsched_simulation_run(c->simulation, &config, &report);
    if (status != HSCHED_OK)
        return cli_failed(status == HSCHED_ERROR_INVALID_ARGUMENT ? CLI_USAGE
                          : status == HSCHED_ERROR_NOT_FOUND      ? CLI_LOAD
                                                                  : CLI_SYSTEM,
                          status, "the simulation");
    return c->json ? cli_sim_print_json(c->simulation, &report, c->trace)
                   : cli_sim_print(c->simulation, &report, c->trace);
}

static int run(int argc, char **argv)
{
    sim_command c = { .session = { CLI_SESSION_INIT }, .iterations = 1, .seed = 1 };
    const cli_option own[] = {
        { "policy", "POLICY",
          "cpu_only, gpu_only, layer_type or cost (cost where\n"
          "there is more than a CPU)",
          cli_parse_string, &c.policy },
        { "objective", "NAME",
          "of the policy cost, which it implies: makespan, latency,\n"
          "energy or power_cap (makespan)",
          cli_parse_string, &c.objective.name },
        { "power-cap", "WATTS", "keep what is drawn below it, on the average",
          cli_parse_positive, &c.objective.power_cap_watts },
        { "precision", "MATH",
          "what accelerators compute with: default (tf32), strict,\n"
          "fp16 or bf16",
          cli_parse_string, &c.precision },
        { "max-batch", "N", "join at most N waiting runs of a network", cli_parse_count,
          &c.session.max_batch },
        { "iterations", "N", "runs of each instance (1)", cli_parse_count,
          &c.iterations },
        { "period", "US", "each instance submits a run every US microseconds",
          cli_parse_positive, &c.period_us },
        { "deadline", "US", "of each run, from its submission", cli_parse_positive,
          &c.deadline_us },
        { "drop-late", NULL, "runs that have missed it are dropped", cli_parse_flag,
          &c.drop_late },
        { "priority", "N", "of all runs, -100 to 100 (0)", cli_parse_number,
          &c.priority },
        { "load", "DEVICE=FACTOR[@MS]",
          "the device takes FACTOR times as long, from MS on; may be\n"
          "repeated",
          cli_parse_append, &c.loads },
        { "jitter", "SHARE", "vary each job's work by up to this share (0)",
          cli_parse_number, &c.jitter },
        { "symbol", "NAME=VALUE", "set a named dimension; may be repeated",
          cli_parse_append, &c.session.symbol_texts },
        { "seed", "N", "of the jitter (1)", cli_parse_uint64, &c.seed },
        { "trace", "FILE", "write what ran where and when, for ui.perfetto.dev",
          cli_parse_string, &c.trace },
        { "json", NULL, "print the results as JSON", cli_parse_flag, &c.json },
        { 0 },
    };
    const cli_option *const tables[] = { own, NULL };
    int status;
    if (cli_parse_options(&cli_sim_command, tables, help_text, argc, argv, &c.positional,
                          &status)) {
        status = check(&c);
        if (status == CLI_OK)
            status = cli_session_check(&c.session);
        if (status == CLI_OK)
            status = simulate(&c);
    }
    hsched_simulation_destroy(c.simulation);
    cli_session_end(&c.session);
    cli_list_free(&c.loads);
    cli_list_free(&c.positional);
    return status;
}

const cli_command cli_sim_command = {
    "sim", "PLATFORM NETWORK[:COUNT][,...]...",
    "Simulate networks on a machine that a file describes", run
};
