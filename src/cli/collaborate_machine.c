/* Machines of `hsched bench collaborate`: loading networks in several ways, timing sets of runs. */
#include <hsched/experimental.h>
#include <hsched/policy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clock.h"
#include "cli/collaborate.h"
#include "cli/costs.h"

/* ---- The policy of CLI_WAY_SPLIT ------------------------------------------- */

static uint32_t place_split(void *user, const hsched_policy_section *section)
{
    const cli_machine *m = user;
    for (uint32_t i = 0; i < m->network_count; i++) {
        const cli_split *split = &m->splits[i];
        if (strcmp(split->name, section->run->model) != 0)
            continue;
        const uint32_t device = (section->section < split->at) == split->gpu_first;
        return section->device_mask >> device & 1 ? device : 0;
    }
    return 0;
}

/* ---- Runtimes -------------------------------------------------------------- */

static int start(cli_machine *m, int steps, hsched_runtime **runtime)
{
    const hsched_policy_plugin plugin = { HSCHED_POLICY_PLUGIN_INIT, .name = "split",
                                          .user = m, .place = place_split };
    cli_session session = *m->session;
    session.gpu_sms = m->sms;
    session.workers = m->workers;
    session.policy = HSCHED_POLICY_DEFAULT;
    session.runtime = NULL;
    if (steps) {
        session.gpu_streams = 1;
        session.runtime_flags = HSCHED_RUNTIME_NO_GRAPHS;
    } else {
        session.policy_plugin = &plugin;
    }
    const int status = cli_session_start(&session);
    *runtime = session.runtime;
    return status;
}

static hsched_runtime *runtime_of(const cli_machine *m, cli_way way)
{
    return way == CLI_WAY_STEPS ? m->steps_runtime : m->runtime;
}

/* ---- Models ---------------------------------------------------------------- */

static hsched_status load_way(cli_machine *m, uint32_t network, cli_way way,
                              hsched_graph *graph)
{
    static const hsched_policy policies[CLI_WAYS] = {
        [CLI_WAY_GPU] = HSCHED_POLICY_GPU_ONLY,
        [CLI_WAY_CPU] = HSCHED_POLICY_CPU_ONLY,
        [CLI_WAY_LAYER_TYPE] = HSCHED_POLICY_LAYER_TYPE,
        [CLI_WAY_SPLIT] = HSCHED_POLICY_PLUGIN,
        [CLI_WAY_COST] = HSCHED_POLICY_COST,
        [CLI_WAY_STEPS] = HSCHED_POLICY_GPU_ONLY,
    };
    hsched_model_config config = {
        HSCHED_MODEL_CONFIG_INIT,
        .name = m->splits[network].name,
        .policy = policies[way],
        .math = m->session->math,
        .max_batch = m->session->max_batch,
        .flags = m->session->no_fusion ? HSCHED_MODEL_NO_FUSION : 0u,
    };
    if (way == CLI_WAY_STEPS) {
        config.flags |= HSCHED_MODEL_STEP_JOBS | HSCHED_MODEL_NO_FUSION;
        config.max_batch = 1;
    }
    return hsched_model_compile(runtime_of(m, way), graph, &config,
                                &m->models[network][way]);
}

static int bind_inputs(cli_machine *m, uint32_t network, cli_way way)
{
    const int which = way == CLI_WAY_STEPS;
    if (m->inputs[network][which])
        return CLI_OK;
    cli_input_options none = { .image = { CLI_IMAGE_OPTIONS_INIT } };
    cli_inputs made = { 0 };
    int status = cli_inputs_make(m->models[network][way], &none, m->session->seed, &made);
    if (status == CLI_OK) {
        m->input_count[network] = made.count;
        m->inputs[network][which] =
            calloc(made.count ? made.count : 1, sizeof(hsched_binding));
        status = m->inputs[network][which] ? CLI_OK : cli_no_memory();
    }
    for (uint32_t i = 0; i < made.count && status == CLI_OK; i++) {
        void *data;
        hsched_buffer *buffer;
        hsched_status made_one =
            hsched_buffer_create(runtime_of(m, way), made.bindings[i].size, &buffer);
        if (made_one == HSCHED_OK) {
            m->inputs[network][which][i] = (hsched_binding)HSCHED_BUFFER(buffer);
            made_one = hsched_buffer_map(buffer, &data);
        }
        if (made_one == HSCHED_OK)
            memcpy(data, made.bindings[i].data, made.bindings[i].size);
        else
            status = cli_failed(CLI_SYSTEM, made_one, m->networks[network]);
    }
    cli_inputs_free(&made);
    return status;
}

static int load(cli_machine *m, uint32_t network, uint32_t ways)
{
    hsched_graph *graph = NULL;
    int status = cli_session_graph(m->session, m->networks[network], &graph);
    cli_short_name(m->networks[network], m->splits[network].name,
                   sizeof m->splits[network].name);
    for (int way = 0; way < CLI_WAYS && status == CLI_OK; way++) {
        if (!(ways >> way & 1))
            continue;
        const hsched_status loaded = load_way(m, network, (cli_way)way, graph);
        if (loaded != HSCHED_OK)
            status = cli_failed(CLI_LOAD, loaded, m->networks[network]);
        else
            status = bind_inputs(m, network, (cli_way)way);
    }
    hsched_graph_destroy(graph);
    if (status != CLI_OK || !(ways >> CLI_WAY_SPLIT & 1))
        return status;
    hsched_model_stats stats = { HSCHED_MODEL_STATS_INIT };
    const hsched_status known =
        hsched_model_get_stats(m->models[network][CLI_WAY_SPLIT], &stats);
    m->splits[network].sections = stats.sections;
    return known == HSCHED_OK ? CLI_OK
                              : cli_failed(CLI_LOAD, known, m->networks[network]);
}

int cli_machine_open(cli_machine *m, cli_session *session, uint32_t sms, uint32_t workers,
                     const char *const *networks, uint32_t network_count, uint32_t ways)
{
    *m = (cli_machine){ .session = session,
                        .sms = sms,
                        .workers = workers,
                        .networks = networks,
                        .network_count = network_count };
    int status = start(m, 0, &m->runtime);
    if (status == CLI_OK && hsched_runtime_device_count(m->runtime) < 2) {
        cli_error(
            "there is no accelerator beside the CPU: hsched info says why; --sim adds "
            "a simulated one");
        status = CLI_SYSTEM;
    }
    if (status == CLI_OK && ways >> CLI_WAY_STEPS & 1)
        status = start(m, 1, &m->steps_runtime);
    for (uint32_t i = 0; i < network_count && status == CLI_OK; i++) {
        fprintf(stderr, "loading %s\n", networks[i]);
        status = load(m, i, ways);
    }
    if (status != CLI_OK)
        cli_machine_close(m);
    return status;
}

void cli_machine_close(cli_machine *m)
{
    for (uint32_t i = 0; i < m->network_count; i++) {
        for (int way = 0; way < CLI_WAYS; way++)
            hsched_model_release(m->models[i][way]);
        for (int which = 0; which < 2; which++) {
            for (uint32_t k = 0; m->inputs[i][which] && k < m->input_count[i]; k++)
                hsched_buffer_release(m->inputs[i][which][k].buffer);
            free(m->inputs[i][which]);
        }
    }
    hsched_runtime_destroy(m->runtime);
    hsched_runtime_destroy(m->steps_runtime);
    *m = (cli_machine){ 0 };
}

/* ---- Costs ----------------------------------------------------------------- */

/* Of the whole model: 1, measured on all devices; 0; -1: an error was printed. */
static int is_measured(hsched_model *model, uint32_t devices)
{
    for (uint32_t d = 0; d < devices; d++) {
        hsched_cost_query query = { HSCHED_COST_QUERY_INIT, .unit = HSCHED_COST_RUN,
                                    .device = d };
        hsched_cost cost = { HSCHED_COST_INIT };
        const int found = cli_cost_measured(model, &query, &cost);
        if (found != 1)
            return found;
    }
    return 1;
}

/* Enough to simulate it: 1; 0; -1: an error was printed. */
static int can_be_simulated(const cli_machine *m, hsched_model *model)
{
    hsched_simulation *simulation;
    uint32_t number;
    hsched_status status = hsched_simulation_create_of(m->runtime, &simulation);
    if (status == HSCHED_OK) {
        status = hsched_simulation_add_model(simulation, model, &number);
        hsched_simulation_destroy(simulation);
    }
    if (status == HSCHED_OK || status == HSCHED_ERROR_NOT_FOUND)
        return status == HSCHED_OK;
    cli_failed(CLI_WRONG, status, hsched_model_name(model));
    return -1;
}

static int profile(const cli_machine *m, uint32_t network, cli_way way, double seconds)
{
    hsched_model *model = m->models[network][way];
    const int known = !model ? 1
                      : way == CLI_WAY_COST
                          ? is_measured(model, hsched_runtime_device_count(m->runtime))
                          : can_be_simulated(m, model);
    if (known != 0)
        return known > 0 ? CLI_OK : CLI_WRONG;
    fprintf(stderr, "measuring what %s costs%s\n", m->networks[network],
            way == CLI_WAY_COST ? "" : ", as another policy cuts it");
    const hsched_profile_config config = { HSCHED_PROFILE_CONFIG_INIT, .seconds = seconds,
                                           .inputs = m->inputs[network][0],
                                           .input_count = m->input_count[network] };
    const hsched_status status = hsched_model_profile(model, &config, NULL);
    if (status == HSCHED_ERROR_IO)
        cli_warning("what was measured could not be kept: %s", hsched_error_detail());
    else if (status != HSCHED_OK)
        return cli_failed(CLI_WRONG, status, m->networks[network]);
    return CLI_OK;
}

/* The way `cost` comes first: others that are cut like it need nothing more then. */
int cli_machine_profile(cli_machine *m, double seconds, int all)
{
    int status = CLI_OK;
    for (uint32_t i = 0; i < m->network_count && status == CLI_OK; i++) {
        status = profile(m, i, CLI_WAY_COST, seconds);
        for (int way = 0; all && way < CLI_WAY_COST && status == CLI_OK; way++)
            status = profile(m, i, (cli_way)way, seconds);
    }
    return status;
}

/* ---- Timing ---------------------------------------------------------------- */

cli_shares cli_shares_all(const cli_mix *mix, cli_way way)
{
    cli_shares shares = { 0 };
    for (uint32_t i = 0; i < mix->count; i++)
        shares.runs[i][way] = (uint8_t)mix->instances[i];
    return shares;
}

static hsched_status submit(const cli_machine *m, uint32_t network, cli_way way,
                            hsched_run **run)
{
    const hsched_run_config config = {
        HSCHED_RUN_CONFIG_INIT,
        .inputs = m->inputs[network][way == CLI_WAY_STEPS],
        .input_count = m->input_count[network],
    };
    return hsched_submit(m->models[network][way], &config, run);
}

/* Instances of the networks in turn, so that none starts ahead of the others. */
static hsched_status submit_all(const cli_machine *m, const cli_mix *mix,
                                cli_shares shares, hsched_run **runs, uint32_t *count)
{
    *count = 0;
    for (int any = 1; any;) {
        any = 0;
        for (uint32_t i = 0; i < mix->count; i++)
            for (int way = 0; way < CLI_WAYS; way++) {
                if (shares.runs[i][way] == 0)
                    continue;
                const hsched_status status =
                    submit(m, mix->network[i], (cli_way)way, &runs[*count]);
                if (status != HSCHED_OK)
                    return status;
                shares.runs[i][way]--;
                ++*count;
                any = 1;
            }
    }
    return HSCHED_OK;
}

int cli_machine_time(cli_machine *m, const cli_mix *mix, const cli_shares *shares,
                     double *us)
{
    hsched_run *runs[CLI_NETWORKS_MAX * CLI_INSTANCES_MAX];
    uint32_t count;
    uint64_t first = UINT64_MAX, last = 0, last_submitted = 0;
    hsched_status status = submit_all(m, mix, *shares, runs, &count);
    if (status != HSCHED_OK)
        cli_failed(CLI_WRONG, status, mix->text);
    for (uint32_t i = 0; i < count; i++) {
        hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
        hsched_status ended = hsched_run_wait(runs[i], HSCHED_FOREVER);
        if (ended == HSCHED_OK)
            ended = hsched_run_get_times(runs[i], &times);
        if (ended != HSCHED_OK && status == HSCHED_OK) {
            status = ended;
            cli_failed(CLI_WRONG, status, mix->text);
        }
        first = times.submitted_us < first ? times.submitted_us : first;
        last = times.ended_us > last ? times.ended_us : last;
        if (times.submitted_us > last_submitted)
            last_submitted = times.submitted_us;
        hsched_run_release(runs[i]);
    }
    *us = status == HSCHED_OK && count > 0 ? (double)(last - first) : 0;
    m->submit_us = status == HSCHED_OK && count > 1
                       ? (double)(last_submitted - first) / (count - 1)
                       : 0;
    return status == HSCHED_OK ? CLI_OK : CLI_WRONG;
}

int cli_machine_warm(cli_machine *m, const cli_mix *mix, const cli_shares *shares,
                     double seconds)
{
    const double end = cli_now_s() + seconds;
    double us;
    int status;
    do
        status = cli_machine_time(m, mix, shares, &us);
    while (status == CLI_OK && cli_now_s() < end);
    return status;
}

int cli_machine_samples(cli_machine *m, const cli_mix *mix, const cli_shares *shares,
                        uint32_t warm, double *samples, uint32_t count)
{
    for (uint32_t i = 0; i < warm + count; i++) {
        double us;
        const int status = cli_machine_time(m, mix, shares, &us);
        if (status != CLI_OK)
            return status;
        if (i >= warm)
            samples[i - warm] = us;
    }
    return CLI_OK;
}
