/* hsched bench loadstep: how soon is it noticed that another program has come, or gone? */
#include "cli/bench_loadstep.h"

#include <hsched/experimental.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/files.h"
#include "cli/outputs.h"

enum {
    INSTANCES_MAX = 1024
};

/* Where there is no GPU: networks that a simulated one could execute in reasonable time. */
static const char usual_model[] = "resnet50:4", usual_cpu_model[] = "mlp:4",
                  usual_sim[] = "all:2";

static const char help_text[] =
    "Of each MODEL, N instances run on and on under the policy `cost`, while another\n"
    "program comes and goes --steps times: it runs for --seconds, then it does not for\n"
    "as long. Told is how long after each the load was noticed (it was 15% up, or no\n"
    "longer, and so for most of the next 100 ms, as hsched_device_stats.load has it);\n"
    "when the first run began after that; and when the first one that was executed\n"
    "elsewhere than most. UP is the share of the time in which it was up; what is "
    "before\n"
    "is chance. Of a device whose load is up when the program comes nothing is said.\n"
    "The program: COMMAND, which is to run until it is terminated and to print `ready`\n"
    "when it has begun; by default bench/hog beside this program where there is a GPU\n"
    "(60% of it), else one busy process for each CPU. A trace is of the first step.\n"
    "First the models are measured, as by `hsched profile`, for this run only. The\n"
    "default MODEL is resnet50:4, or mlp:4 where there is no GPU: there a simulated\n"
    "accelerator (--sim all:2) is what runs could go to.\n\n"
    "exit status: 0 success; 1 a run failed; 2 wrong usage; 3 a model could not be\n"
    "loaded; 4 the runtime or the program could not start, a file could not be written,\n"
    "or no memory.\n";

typedef struct loadstep_command {
    cli_session session;
    cli_list models;
    const char *command, *json, *svg_path;
    char *usual_command; /* if it is bench/hog */
    double profile_seconds;
    cli_trace trace;
    cli_background background;
    cli_loadstep l;
} loadstep_command;

/* ---- Models --------------------------------------------------------------- */

/* MODEL[:N] */
static int parse_model(cli_step_lane *lane, const char *text)
{
    lane->model = strdup(text);
    lane->instances = 1;
    if (!lane->model)
        return cli_no_memory();
    char *colon = strrchr(lane->model, ':');
    if (!colon)
        return CLI_OK;
    *colon = '\0';
    if (colon == lane->model || !cli_parse_count(&lane->instances, colon + 1) ||
        lane->instances > INSTANCES_MAX) {
        cli_error("'%s' is not MODEL:N, as in mobilenet_v2:4, with N up to %d", text,
                  INSTANCES_MAX);
        return CLI_USAGE;
    }
    return CLI_OK;
}

static int parse_models(loadstep_command *c, const char *const *texts, uint32_t count)
{
    c->l.lanes = calloc(count, sizeof *c->l.lanes);
    if (!c->l.lanes)
        return cli_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        c->l.lane_count++;
        const int status = parse_model(&c->l.lanes[i], texts[i]);
        if (status != CLI_OK)
            return status;
    }
    return CLI_OK;
}

/* What the policy does not know, it cannot compare the load with. */
static int profile(const loadstep_command *c, const cli_step_lane *lane)
{
    const hsched_profile_config config = { HSCHED_PROFILE_CONFIG_INIT,
                                           .seconds = c->profile_seconds,
                                           .inputs = lane->inputs.bindings,
                                           .input_count = lane->inputs.count,
                                           .flags = HSCHED_PROFILE_NOT_SAVED };
    if (c->profile_seconds == 0)
        return CLI_OK;
    const hsched_status status = hsched_model_profile(lane->compiled, &config, NULL);
    return status == HSCHED_OK ? CLI_OK : cli_failed(CLI_WRONG, status, lane->model);
}

static int load_models(loadstep_command *c)
{
    cli_input_options inputs = { .image = { CLI_IMAGE_OPTIONS_INIT } };
    int status = CLI_OK;
    for (uint32_t i = 0; i < c->l.lane_count && status == CLI_OK; i++) {
        cli_step_lane *lane = &c->l.lanes[i];
        status = cli_session_model(&c->session, lane->model, &lane->compiled);
        if (status == CLI_OK)
            status =
                cli_inputs_make(lane->compiled, &inputs, c->session.seed, &lane->inputs);
        if (status == CLI_OK)
            status = profile(c, lane);
    }
    cli_input_options_free(&inputs);
    return status == CLI_OK ? cli_session_symbols_used(&c->session) : status;
}

/* ---- Command -------------------------------------------------------------- */

/* The policy `cost` looks at loads only where there is something to choose from. */
static int start(loadstep_command *c)
{
    int status = cli_session_start(&c->session);
    if (status != CLI_OK || hsched_runtime_device_count(c->session.runtime) > 1)
        return status;
    cli_warning(
        "there is nothing but the CPU: a simulated accelerator stands in for what "
        "runs could go to (--sim %s)",
        usual_sim);
    hsched_runtime_destroy(c->session.runtime);
    c->session.runtime = NULL;
    return cli_parse_append(&c->session.sim_texts, usual_sim)
               ? cli_session_start(&c->session)
               : CLI_SYSTEM;
}

static int find_devices(loadstep_command *c, int *has_gpu)
{
    c->l.device_count = hsched_runtime_device_count(c->session.runtime);
    for (uint32_t d = 0; d < c->l.device_count && d < CLI_STEP_DEVICES; d++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        const hsched_status status =
            hsched_runtime_device_info(c->session.runtime, d, &info);
        if (status != HSCHED_OK)
            return cli_failed(CLI_SYSTEM, status, "device");
        c->l.devices[d] = info.name;
        *has_gpu |= info.kind == HSCHED_DEVICE_GPU;
    }
    return CLI_OK;
}

/* bench/hog lies beside this program where it was built. */
static int choose_background(loadstep_command *c, int has_gpu)
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    c->l.background = c->command ? c->command : "busy processes, one for each CPU";
    if (!c->command && has_gpu && length > 0) {
        path[length] = '\0';
        char *slash = strrchr(path, '/');
        *slash = '\0';
        if (asprintf(&c->usual_command, "'%s/bench/hog' 0.6 2000", path) < 0) {
            c->usual_command = NULL;
            return cli_no_memory();
        }
        strncat(path, "/bench/hog", sizeof path - strlen(path) - 1);
        if (access(path, X_OK) == 0)
            c->l.background = c->command = c->usual_command;
        else
            cli_warning("there is no %s (make build/bench/hog): the program beside the "
                        "networks keeps the CPUs busy, not the GPU",
                        path);
    }
    cli_background_choose(&c->background, c->command);
    return CLI_OK;
}

static int report(loadstep_command *c, cli_svg *svg)
{
    cli_step_findings *findings = calloc(c->l.step_count + 1, sizeof *findings);
    int status = findings ? CLI_OK : cli_no_memory();
    for (uint32_t i = 0; i < c->l.step_count && status == CLI_OK; i++)
        status = cli_loadstep_find(&c->l, i, &findings[i]);
    if (status == CLI_OK)
        status = cli_loadstep_print(&c->l, findings);
    if (status == CLI_OK)
        cli_trace_print(&c->trace);
    if (status == CLI_OK && c->json)
        status = cli_json_write(cli_loadstep_json(&c->l, findings, &c->trace), c->json);
    if (status == CLI_OK && svg)
        status = cli_loadstep_draw(&c->l, findings, svg);
    free(findings);
    if (status == CLI_OK)
        return cli_svg_close(svg);
    cli_svg_discard(svg);
    return status;
}

static int check(loadstep_command *c)
{
    if (c->profile_seconds < 0) {
        cli_error("--profile: less than no time");
        return CLI_USAGE;
    }
    if (!c->session.policy_name)
        c->session.policy_name = "cost";
    c->l.policy = c->session.policy_name;
    int status = cli_session_check(&c->session);
    if (status == CLI_OK && c->models.count > 0)
        status = parse_models(c, c->models.values, c->models.count);
    if (status == CLI_OK)
        status = cli_check_writable("--json", c->json);
    return status == CLI_OK ? cli_trace_check(&c->trace) : status;
}

static int prepare(loadstep_command *c)
{
    int has_gpu = 0;
    int status = CLI_OK;
    if (!c->command) /* before there are threads */
        status = cli_background_make(&c->background);
    if (status == CLI_OK)
        status = start(c);
    if (status == CLI_OK)
        status = find_devices(c, &has_gpu);
    if (status == CLI_OK && c->l.lane_count == 0) {
        const char *const usual = has_gpu ? usual_model : usual_cpu_model;
        status = parse_models(c, &usual, 1);
    }
    if (status == CLI_OK)
        status = choose_background(c, has_gpu);
    if (status == CLI_OK)
        status = load_models(c);
    if (status != CLI_OK)
        return status;
    const hsched_status settled = hsched_runtime_settle(c->session.runtime);
    return settled == HSCHED_OK ? CLI_OK : cli_failed(CLI_SYSTEM, settled, "the runtime");
}

static int execute(loadstep_command *c)
{
    int status = check(c);
    if (status != CLI_OK)
        return status;
    cli_svg *svg = cli_svg_open(c->svg_path);
    status = c->svg_path && !svg ? CLI_SYSTEM : prepare(c);
    if (status == CLI_OK)
        status = cli_loadstep_run(&c->l, c->session.runtime, &c->background, &c->trace);
    if (status != CLI_OK && (status != CLI_WRONG || c->l.step_count == 0)) {
        cli_svg_discard(svg);
        return status;
    }
    const int reported = report(c, svg); /* also if a run has failed */
    if (status == CLI_OK)
        status = reported;
    return status != CLI_OK ? status : c->trace.exit_status;
}

static void free_all(loadstep_command *c)
{
    cli_background_free(&c->background);
    for (uint32_t i = 0; i < c->l.lane_count; i++) {
        hsched_model_release(c->l.lanes[i].compiled);
        cli_inputs_free(&c->l.lanes[i].inputs);
        free(c->l.lanes[i].model);
    }
    free(c->l.lanes);
    free(c->l.steps);
    free(c->l.runs);
    free(c->l.samples);
    free(c->usual_command);
    cli_session_end(&c->session);
    cli_list_free(&c->models);
}

static int run(int argc, char **argv);

static const cli_command loadstep_info = {
    "bench loadstep", "[MODEL[:N]]...",
    "How soon another program on a device is noticed, and that it has gone", run
};
const cli_bench cli_bench_loadstep = { "loadstep", &loadstep_info };

static int run(int argc, char **argv)
{
    loadstep_command c = { .session = { CLI_SESSION_INIT },
                           .profile_seconds = 3,
                           .trace = { .events = 262144 },
                           .background = { CLI_BACKGROUND_INIT },
                           .l = { .seconds = 2, .steps_wanted = 5 } };
    const cli_option own[] = {
        { "background", "COMMAND", "the program that comes and goes", cli_parse_string,
          &c.command },
        { "steps", "N", "times that it does (5)", cli_parse_count, &c.l.steps_wanted },
        { "seconds", "S", "that it runs, and that it does not (2)", cli_parse_positive,
          &c.l.seconds },
        { "profile", "S",
          "for measuring each model first (3); 0: what earlier profiles\n"
          "say is used",
          cli_parse_number, &c.profile_seconds },
        { "json", "FILE", "write the results as JSON", cli_parse_string, &c.json },
        { "svg", "FILE", "write them as charts", cli_parse_string, &c.svg_path },
        { "trace", "FILE", "write what ran where and when, for ui.perfetto.dev",
          cli_parse_string, &c.trace.path },
        { "trace-events", "N", "room for so many events of each thread (262144)",
          cli_parse_count, &c.trace.events },
        { 0 },
    };
    cli_option session[CLI_SESSION_OPTIONS];
    cli_session_options(&c.session, session);
    const cli_option *const tables[] = { own, session, NULL };
    int status;
    if (cli_parse_options(&loadstep_info, tables, help_text, argc, argv, &c.models,
                          &status))
        status = execute(&c);
    free_all(&c);
    return status;
}
