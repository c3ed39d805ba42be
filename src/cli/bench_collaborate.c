/* hsched bench collaborate: sets of networks on a GPU and the CPU, by all policies, beside other
 * programs. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/clock.h"
#include "cli/collaborate_report.h"
#include "cli/process.h"

static const char help_text[] =
    "A SET is networks that run at once, as in densenet201:8 or vgg16:2,alexnet:2; all "
    "runs\n"
    "are submitted together, and what is measured is the time until the last has ended.\n"
    "Without one: the sets of the paper that the policy layer_type is from, and one of\n"
    "different networks. Every cell of the grid (set, machine, background) is measured\n"
    "for each policy, taking turns:\n\n"
    "  gpu_only, cpu_only, layer_type, cost   the library's policies\n"
    "  static          the best placement that a search by measuring finds\n"
    "  layer by layer  the GPU without joining, fusion and CUDA graphs: a job for each\n"
    "                  layer, one at a time\n"
    "  peer ...        another program, if --peer is given\n\n"
    "Each turn, but a peer's, begins with 250 ms that do not count: others had the\n"
    "machine before.\n\n"
    "The library's policies are then simulated, by what the networks were measured to "
    "take\n"
    "alone and beside the loads that the runtime sensed, and compared.\n\n"
    "A BACKGROUND is none; hog:SHARE, a program that has the GPU for that share of the\n"
    "time; or stream, walk, stencil, eliminate, bodies, paths, programs that compute\n"
    "something on it. `make gpu-programs` builds both.\n"
    "A peer is a program that answers each line `time SET PRECISION HOW ROUNDS` on its\n"
    "standard input with one of JSON, {\"samples_us\": [...]}, after a first one;\n"
    "HSCHED_BENCH_SMS in its environment says how many multiprocessors it may use.\n\n"
    "exit status: 0 success; 1 a run failed; 2 wrong usage; 3 a model could not be\n"
    "loaded; 4 the runtime or a program could not start, a file could not be written.\n";

static const char *const usual_sets[] = { "densenet201:8", "resnet152:14",
                                          "densenet201:2,resnet152:2,vgg16:2,alexnet:2" };
static const char *const usual_backgrounds[] = { "none", "hog:0.4", "hog:0.6" };

#define HOG_PERIOD_US "2000"

enum {
    MACHINES_MAX = 16,
    BACKGROUNDS_MAX = 16,
    SETS_MAX = 16,
    BURST = 4, /* samples of a policy before it is the next one's turn */
    LEAST_ROUNDS = 3,
    MOST_ROUNDS = 12,
    ALL_WAYS = (1 << CLI_WAYS) - 1
};

/* Of each turn, before what counts: others had the machine for seconds. As long as the policy cost
 * may take to notice a load, and the same for all. */
#define TURN_BEGINS_S 0.25

typedef struct collaborate_command {
    cli_session session;
    cli_list positional, backgrounds, machine_texts;
    const char *programs, *peer, *peer_ways, *json, *svg;
    double seconds, search_seconds, profile_seconds;
    int no_steps, no_simulation;
    /* made of it */
    const char *networks[CLI_NETWORKS_MAX]; /* owned */
    uint32_t network_count;
    cli_mix mixes[SETS_MAX];
    uint32_t mix_count;
    struct {
        uint32_t sms, workers;
    } machines[MACHINES_MAX];
    uint32_t machine_count;
    char peer_names[4][48]; /* "peer eager" */
    uint32_t peer_count;
    cli_cell *cells;
    uint32_t cell_count;
    cli_svg *chart;
} collaborate_command;

/* ---- What is asked for ------------------------------------------------------ */

static int find_network(collaborate_command *c, const char *name, size_t length,
                        uint32_t *index)
{
    for (uint32_t i = 0; i < c->network_count; i++)
        if (strlen(c->networks[i]) == length &&
            strncmp(c->networks[i], name, length) == 0) {
            *index = i;
            return CLI_OK;
        }
    if (c->network_count == CLI_NETWORKS_MAX) {
        cli_error("at most %d different networks", CLI_NETWORKS_MAX);
        return CLI_USAGE;
    }
    *index = c->network_count;
    c->networks[c->network_count] = strndup(name, length);
    return c->networks[c->network_count++] ? CLI_OK : cli_no_memory();
}

static int parse_set(collaborate_command *c, const char *text)
{
    cli_mix *mix = &c->mixes[c->mix_count++];
    *mix = (cli_mix){ .text = text };
    for (const char *at = text; *at;) {
        const size_t length = strcspn(at, ",");
        const char *colon = memchr(at, ':', length);
        char number[16] = "1";
        uint32_t instances;
        if (colon)
            snprintf(number, sizeof number, "%.*s",
                     (int)(length - (size_t)(colon - at) - 1), colon + 1);
        if (colon == at || length == 0 || !cli_parse_count(&instances, number) ||
            instances > CLI_INSTANCES_MAX || mix->count == CLI_NETWORKS_MAX) {
            cli_error(
                "'%s' is not a set of networks, as in vgg16:2,alexnet:2 (at most %d, "
                "of each at most %d)",
                text, CLI_NETWORKS_MAX, CLI_INSTANCES_MAX);
            return CLI_USAGE;
        }
        const int status = find_network(c, at, colon ? (size_t)(colon - at) : length,
                                        &mix->network[mix->count]);
        if (status != CLI_OK)
            return status;
        mix->instances[mix->count++] = instances;
        at += length + (at[length] == ',');
    }
    return CLI_OK;
}

/* "8:16": 8 multiprocessors and 16 workers; "all" for either. */
static int parse_machine(collaborate_command *c, const char *text)
{
    uint32_t numbers[2] = { 0, 0 };
    const char *colon = strchr(text, ':');
    for (int i = 0; colon && i < 2; i++) {
        char part[16];
        snprintf(part, sizeof part, "%.*s", i ? 15 : (int)(colon - text),
                 i ? colon + 1 : text);
        if (strcmp(part, "all") != 0 && !cli_parse_count(&numbers[i], part))
            colon = NULL;
    }
    if (!colon) {
        cli_error("--machine '%s' is not SMS:WORKERS, as in 8:16 or all:all", text);
        return CLI_USAGE;
    }
    c->machines[c->machine_count].sms = numbers[0];
    c->machines[c->machine_count++].workers = numbers[1];
    return CLI_OK;
}

static int parse_peer_ways(collaborate_command *c)
{
    const char *text = c->peer_ways ? c->peer_ways : "eager,streams";
    while (c->peer && *text) {
        const size_t length = strcspn(text, ",");
        if (length == 0 || length > 32 ||
            c->peer_count == sizeof c->peer_names / sizeof c->peer_names[0]) {
            cli_error("--peer-ways '%s' is not a list of up to 4 words", c->peer_ways);
            return CLI_USAGE;
        }
        snprintf(c->peer_names[c->peer_count], sizeof c->peer_names[0], "peer %.*s",
                 (int)length, text);
        c->peer_count++;
        text += length + (text[length] == ',');
    }
    return CLI_OK;
}

static int parse_all(collaborate_command *c)
{
    const uint32_t sets = c->positional.count ? c->positional.count
                                              : sizeof usual_sets / sizeof usual_sets[0];
    if (sets > SETS_MAX || c->machine_texts.count > MACHINES_MAX ||
        c->backgrounds.count > BACKGROUNDS_MAX) {
        cli_error("at most %d sets, %d machines and %d backgrounds", SETS_MAX,
                  MACHINES_MAX, BACKGROUNDS_MAX);
        return CLI_USAGE;
    }
    int status = CLI_OK;
    for (uint32_t i = 0; i < sets && status == CLI_OK; i++)
        status =
            parse_set(c, c->positional.count ? c->positional.values[i] : usual_sets[i]);
    for (uint32_t i = 0; i < c->machine_texts.count && status == CLI_OK; i++)
        status = parse_machine(c, c->machine_texts.values[i]);
    if (c->machine_count == 0) {
        c->machines[0].sms = c->session.gpu_sms;
        c->machines[0].workers = c->session.workers;
        c->machine_count = 1;
    }
    return status == CLI_OK ? parse_peer_ways(c) : status;
}

static uint32_t background_count(const collaborate_command *c)
{
    return c->backgrounds.count ? c->backgrounds.count
                                : sizeof usual_backgrounds / sizeof usual_backgrounds[0];
}

static const char *background_at(const collaborate_command *c, uint32_t i)
{
    return c->backgrounds.count ? c->backgrounds.values[i] : usual_backgrounds[i];
}

/* ---- Other programs --------------------------------------------------------- */

/* The command line of a background; "" for none. */
static int background_command(const collaborate_command *c, const char *name,
                              char *command, size_t size)
{
    char path[4096];
    const int hog = strncmp(name, "hog:", 4) == 0;
    command[0] = '\0';
    if (strcmp(name, "none") == 0)
        return CLI_OK;
    const int status =
        cli_process_find(c->programs, hog ? "hog" : "gpu_load", path, sizeof path);
    if (status != CLI_OK)
        return status;
    if (hog)
        snprintf(command, size, "exec '%s' %s " HOG_PERIOD_US, path, name + 4);
    else
        snprintf(command, size, "exec '%s' %s", path, name);
    return CLI_OK;
}

static int start_background(const collaborate_command *c, const char *name, char *command,
                            size_t size, cli_process *process)
{
    *process = (cli_process){ 0 };
    int status = background_command(c, name, command, size);
    if (status != CLI_OK || command[0] == '\0')
        return status;
    status = cli_process_start(process, command);
    if (status != CLI_OK)
        return status;
    char *ready = cli_process_ask(process, NULL);
    if (!ready || strcmp(ready, "ready") != 0)
        status = CLI_SYSTEM;
    if (ready && status != CLI_OK)
        cli_error("'%s' said '%s' instead of ready", command, ready);
    free(ready);
    if (status != CLI_OK)
        cli_process_end(process);
    return status;
}

/* The peer's samples are added to the series. */
static int ask_peer(cli_process *peer, const cli_mix *mix, const char *precision,
                    cli_series *series, uint32_t rounds)
{
    char line[512];
    snprintf(line, sizeof line, "time %s %s %s %u", mix->text, precision,
             series->name + strlen("peer "), rounds);
    char *answer = cli_process_ask(peer, line);
    if (!answer)
        return CLI_SYSTEM;
    json_t *root = json_loads(answer, 0, NULL);
    json_t *samples = json_object_get(root, "samples_us");
    if (!json_is_array(samples)) {
        cli_error("the peer answered '%s' to '%s'", answer, line);
        json_decref(root);
        free(answer);
        return CLI_SYSTEM;
    }
    for (size_t i = 0; i < json_array_size(samples) && i < rounds; i++)
        series->samples[series->count++] = json_number_value(json_array_get(samples, i));
    json_decref(root);
    free(answer);
    return CLI_OK;
}

static int start_peer(const collaborate_command *c, uint32_t sms, cli_process *peer)
{
    char number[16];
    *peer = (cli_process){ 0 };
    if (!c->peer)
        return CLI_OK;
    snprintf(number, sizeof number, "%u", sms);
    if (setenv("HSCHED_BENCH_SMS", number, 1) != 0)
        return cli_no_memory();
    const int status = cli_process_start(peer, c->peer);
    if (status != CLI_OK)
        return status;
    char *hello = cli_process_ask(peer, NULL);
    if (!hello)
        cli_process_end(peer);
    free(hello);
    return hello ? CLI_OK : CLI_SYSTEM;
}

/* ---- A cell ----------------------------------------------------------------- */

typedef struct arrangement {
    cli_shares shares;
    int is_static; /* with the splits of it */
} arrangement;

static cli_series *add_series(cli_cell *cell, const char *name, int ours)
{
    cli_series *s = &cell->series[cell->series_count++];
    *s = (cli_series){ .name = name, .ours = ours };
    s->samples = calloc(MOST_ROUNDS * BURST, sizeof *s->samples);
    return s->samples ? s : NULL;
}

/* Ours, then the peer's. */
static int list_series(const collaborate_command *c, const cli_mix *mix, cli_cell *cell,
                       arrangement *arrangements)
{
    static const struct {
        const char *name;
        int ours;
        cli_way way;
    } policies[] = { { "gpu_only", 1, CLI_WAY_GPU },
                     { "cpu_only", 1, CLI_WAY_CPU },
                     { "layer_type", 1, CLI_WAY_LAYER_TYPE },
                     { "static", 1, CLI_WAYS },
                     { "cost", 0, CLI_WAY_COST },
                     { "layer by layer", 0, CLI_WAY_STEPS } };
    for (int i = 0; i < 6 - c->no_steps; i++) {
        arrangement *a = &arrangements[cell->series_count];
        if (!add_series(cell, policies[i].name, policies[i].ours))
            return cli_no_memory();
        a->is_static = policies[i].way == CLI_WAYS;
        a->shares =
            a->is_static ? cell->best.shares : cli_shares_all(mix, policies[i].way);
    }
    for (uint32_t i = 0; i < c->peer_count; i++)
        if (!add_series(cell, c->peer_names[i], 0))
            return cli_no_memory();
    return CLI_OK;
}

static const char *precision_of(const collaborate_command *c)
{
    return c->session.math == HSCHED_MATH_FP16 ? "fp16" : "tf32";
}

/* Begins with TURN_BEGINS_S that do not count. What devices are loaded with is asked while `cost`
 * tells of them. */
static int measure_turn(cli_machine *machine, const cli_mix *mix, cli_cell *cell,
                        cli_series *s, const cli_shares *shares)
{
    const int is_cost = strcmp(s->name, "cost") == 0;
    int status = cli_machine_warm(machine, mix, shares, TURN_BEGINS_S);
    for (uint32_t k = 0; k < BURST && status == CLI_OK; k++) {
        status = cli_machine_samples(machine, mix, shares, 0, s->samples + s->count, 1);
        if (status != CLI_OK)
            return status;
        s->count++;
        s->submit_sum_us += machine->submit_us;
        if (is_cost)
            status = cli_cell_note_loads(cell, machine);
    }
    return status;
}

/* Each of the series takes its turn. */
static int measure_round(const collaborate_command *c, cli_machine *machine,
                         const cli_mix *mix, cli_cell *cell,
                         const arrangement *arrangements, cli_process *peer)
{
    int status = CLI_OK;
    for (uint32_t i = 0; i < cell->series_count && status == CLI_OK; i++) {
        cli_series *s = &cell->series[i];
        if (i >= cell->series_count - c->peer_count) {
            status = ask_peer(peer, mix, precision_of(c), s, BURST);
            continue;
        }
        status = measure_turn(machine, mix, cell, s, &arrangements[i].shares);
    }
    return status;
}

static void describe_placement(const collaborate_command *c, const cli_mix *mix,
                               cli_cell *cell)
{
    static const char *const names[] = { "gpu", "cpu", "layer_type", "split" };
    size_t used = 0;
    for (uint32_t i = 0; i < mix->count; i++)
        for (int way = 0; way <= CLI_WAY_SPLIT; way++) {
            const uint32_t runs = cell->best.shares.runs[i][way];
            const cli_split *split = &cell->best.splits[mix->network[i]];
            if (runs == 0 || used >= sizeof cell->placement)
                continue;
            used += (size_t)snprintf(
                cell->placement + used, sizeof cell->placement - used, "%s%s %s %u",
                used ? ", " : "", c->networks[mix->network[i]], names[way], runs);
            if (way == CLI_WAY_SPLIT && used < sizeof cell->placement)
                used += (size_t)snprintf(
                    cell->placement + used, sizeof cell->placement - used,
                    " (%s until section %u of %u)", split->gpu_first ? "gpu" : "cpu",
                    split->at, split->sections);
        }
}

static int measure_cell(const collaborate_command *c, cli_machine *machine,
                        const cli_mix *mix, cli_cell *cell, cli_process *peer)
{
    arrangement arrangements[CLI_SERIES_MAX] = { 0 };
    double warm[3];
    fprintf(stderr, "%s beside %s on %s\n", cell->mix, cell->background, cell->machine);
    int status = cli_best_find(machine, mix, c->search_seconds, &cell->best);
    if (status == CLI_OK)
        status = list_series(c, mix, cell, arrangements);
    for (uint32_t i = 0; status == CLI_OK && i < cell->series_count - c->peer_count; i++)
        status = cli_machine_samples(machine, mix, &arrangements[i].shares, 3, warm, 0);
    if (status != CLI_OK)
        return status;
    const hsched_status settled = hsched_runtime_settle(machine->runtime);
    if (settled != HSCHED_OK)
        return cli_failed(CLI_WRONG, settled, mix->text);
    describe_placement(c, mix, cell);
    const double end = cli_now_s() + c->seconds;
    for (int round = 0; status == CLI_OK && round < MOST_ROUNDS &&
                        (round < LEAST_ROUNDS || cli_now_s() < end);
         round++)
        status = measure_round(c, machine, mix, cell, arrangements, peer);
    if (status != CLI_OK)
        return status;
    cli_cell_finish(cell);
    for (uint32_t i = 0; i < cell->series_count - c->peer_count && !c->no_simulation; i++)
        if (strcmp(cell->series[i].name, "layer by layer") != 0)
            cli_cell_simulate(cell, machine, mix, i, &arrangements[i].shares);
    return CLI_OK;
}

/* ---- The grid --------------------------------------------------------------- */

static void name_machine(const cli_machine *machine, char *name, size_t size)
{
    hsched_device_info cpu = { HSCHED_DEVICE_INFO_INIT },
                       other = { HSCHED_DEVICE_INFO_INIT };
    hsched_runtime_device_info(machine->runtime, 0, &cpu);
    hsched_runtime_device_info(machine->runtime, 1, &other);
    if (other.kind == HSCHED_DEVICE_GPU)
        snprintf(name, size, "%u of %u SMs, %u workers", other.sm_count, other.sm_total,
                 cpu.workers);
    else
        snprintf(name, size, "%s, %u workers", other.name, cpu.workers);
}

static void say(const cli_cell *cell)
{
    const cli_series *cost = cli_cell_find(cell, "cost");
    const cli_series *best = cli_cell_best_other(cell);
    fprintf(stderr,
            "%s, %s, beside %s: cost %.3f ms, optimum %.3f, best of others %.3f (%s)\n",
            cell->machine, cell->mix, cell->background, cost->median_us / 1000,
            cell->best.optimum_us / 1000, best->median_us / 1000, best->name);
}

static int measure_machine(collaborate_command *c, cli_machine *machine,
                           cli_process *peer)
{
    char command[4200];
    int status = CLI_OK;
    for (uint32_t s = 0; s < c->mix_count && status == CLI_OK; s++)
        for (uint32_t b = 0; b < background_count(c) && status == CLI_OK; b++) {
            cli_cell *cell = &c->cells[c->cell_count++];
            cli_process background;
            cell->mix = c->mixes[s].text;
            cell->background = background_at(c, b);
            name_machine(machine, cell->machine, sizeof cell->machine);
            status = start_background(c, cell->background, command, sizeof command,
                                      &background);
            if (status != CLI_OK)
                return status;
            status = measure_cell(c, machine, &c->mixes[s], cell, peer);
            cli_process_end(&background);
            if (status == CLI_OK)
                say(cell);
            /* What there is stays if something goes wrong later. */
            if (status == CLI_OK && c->json && strcmp(c->json, "-") != 0)
                status = cli_grid_json(c->json, c->cells, c->cell_count);
        }
    return status;
}

static int measure_grid(collaborate_command *c)
{
    int status = CLI_OK;
    c->cells = calloc((size_t)c->machine_count * c->mix_count * background_count(c),
                      sizeof *c->cells);
    if (!c->cells)
        return cli_no_memory();
    for (uint32_t m = 0; m < c->machine_count && status == CLI_OK; m++) {
        cli_machine machine;
        cli_process peer;
        status = cli_machine_open(&machine, &c->session, c->machines[m].sms,
                                  c->machines[m].workers, c->networks, c->network_count,
                                  ALL_WAYS & ~(c->no_steps ? 1u << CLI_WAY_STEPS : 0u));
        if (status != CLI_OK)
            return status;
        status = cli_machine_profile(&machine, c->profile_seconds, !c->no_simulation);
        if (status == CLI_OK)
            status = start_peer(c, c->machines[m].sms, &peer);
        if (status == CLI_OK) {
            status = measure_machine(c, &machine, &peer);
            cli_process_end(&peer);
        }
        cli_machine_close(&machine);
    }
    return status;
}

/* ---- Command ---------------------------------------------------------------- */

/* Before the time is spent. */
static int check_backgrounds(const collaborate_command *c)
{
    char command[4200];
    int status = CLI_OK;
    for (uint32_t b = 0; b < background_count(c) && status == CLI_OK; b++)
        status = background_command(c, background_at(c, b), command, sizeof command);
    return status;
}

static int report(const collaborate_command *c)
{
    int status = CLI_OK;
    if (!c->json || strcmp(c->json, "-") != 0)
        status = cli_grid_print(c->cells, c->cell_count);
    if (status == CLI_OK && c->json && strcmp(c->json, "-") == 0)
        status = cli_grid_json(c->json, c->cells, c->cell_count);
    if (status == CLI_OK && c->chart)
        status = cli_grid_svg(c->chart, c->cells, c->cell_count);
    return status;
}

static int execute(collaborate_command *c)
{
    int status = cli_session_check(&c->session);
    if (status == CLI_OK && c->session.policy_name) {
        cli_error("--policy: this benchmark measures all policies; leave it out");
        status = CLI_USAGE;
    }
    if (status == CLI_OK)
        status = parse_all(c);
    if (status == CLI_OK)
        status = check_backgrounds(c);
    if (status != CLI_OK)
        return status;
    c->chart = cli_svg_open(c->svg);
    if (c->svg && !c->chart)
        return CLI_SYSTEM;
    status = measure_grid(c);
    if (status == CLI_OK)
        status = report(c);
    if (status != CLI_OK) {
        cli_svg_discard(c->chart);
        return status;
    }
    return cli_svg_close(c->chart);
}

static const cli_command command;

static int run(int argc, char **argv)
{
    collaborate_command c = { .session = { CLI_SESSION_INIT },
                              .seconds = 5,
                              .search_seconds = 10,
                              .profile_seconds = 30 };
    const cli_option own[] = {
        { "machine", "SMS:WORKERS",
          "multiprocessors of the GPU and CPU workers to use, a number\n"
          "or all; may be repeated (default: --gpu-sms and --workers)",
          cli_parse_append, &c.machine_texts },
        { "background", "BACKGROUND",
          "may be repeated (default: none, hog:0.4 and hog:0.6)", cli_parse_append,
          &c.backgrounds },
        { "seconds", "S", "to measure each cell for, at least 3 rounds (5)",
          cli_parse_positive, &c.seconds },
        { "search-seconds", "S", "to look for the best placement in each cell (10)",
          cli_parse_positive, &c.search_seconds },
        { "profile-seconds", "S",
          "to measure each network for, if it is not in the cost\n"
          "cache yet (30)",
          cli_parse_positive, &c.profile_seconds },
        { "no-layer-by-layer", NULL, "leave that arrangement out", cli_parse_flag,
          &c.no_steps },
        { "no-simulation", NULL,
          "do not simulate what was measured, nor measure what only\n"
          "that needs",
          cli_parse_flag, &c.no_simulation },
        { "programs", "DIR", "where hog and gpu_load are (bench/ beside hsched)",
          cli_parse_string, &c.programs },
        { "peer", "COMMAND", "a program to compare with", cli_parse_string, &c.peer },
        { "peer-ways", "LIST", "what to ask it for (eager,streams)", cli_parse_string,
          &c.peer_ways },
        { "json", "FILE", "write all samples as JSON; -: print them, and no tables",
          cli_parse_string, &c.json },
        { "svg", "FILE", "write a chart", cli_parse_string, &c.svg },
        { 0 },
    };
    cli_option session[CLI_SESSION_OPTIONS];
    cli_session_options(&c.session, session);
    const cli_option *const tables[] = { own, session, NULL };
    int status;
    if (cli_parse_options(&command, tables, help_text, argc, argv, &c.positional,
                          &status))
        status = execute(&c);
    for (uint32_t i = 0; i < c.cell_count; i++)
        cli_cell_clear(&c.cells[i]);
    free(c.cells);
    for (uint32_t i = 0; i < c.network_count; i++)
        free((char *)c.networks[i]);
    cli_session_end(&c.session);
    cli_list_free(&c.positional);
    cli_list_free(&c.backgrounds);
    cli_list_free(&c.machine_texts);
    return status;
}

static const cli_command command = {
    "bench collaborate", "[SET...]",
    "Sets of networks on a GPU and the CPU, by all policies, beside other programs", run
};

const cli_bench cli_bench_collaborate = { "collaborate", &command };
