/* hsched bench deadlines: periodic networks, with and without the scheduler knowing deadlines. */
#include "cli/bench_deadlines.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/bench.h"
#include "cli/files.h"
#include "cli/outputs.h"
#include "cli/progress.h"

enum {
    COPIES_MAX = 256,
    AGEING_PERIODS = 20 /* see make_ageing */
};

static const char usual_set[] =
    "mobilenet_v2@60,squeezenet1_1@30,googlenet@15,resnet18@10";

static const char help_text[] =
    "A set of networks, each released periodically, as a robot has them. Before each\n"
    "round it is measured what share of the machine the set takes at its rates, and all\n"
    "rates are multiplied so that it takes the wanted share (--load). Where the machine\n"
    "could do more at the rates given, there are several sources of each network\n"
    "(--copies). At each load the same releases happen under each of --policies:\n"
    "  deadlines   equal priorities, the scheduler knows the deadlines\n"
    "  fifo        equal priorities, no deadlines: as they are submitted\n"
    "  priorities  rate-monotonic priorities (of streams, too, on a GPU), no deadlines\n"
    "in turns of short rounds, with other phases in each round. Before the first one\n"
    "each order has a turn at each load that does not count: batches are prepared when\n"
    "they are first wanted. After a turn of priorities nothing happens until these are\n"
    "out of use.\n\n"
    "A deadline is missed if the run had not ended by then, or could not even begin\n"
    "because two of its source were still in flight; that is counted here, in the same\n"
    "way for all. Intervals are of 95%, over the rounds; of fewer than 6 rounds there "
    "is\n"
    "no such interval, and heads say what it is of. OF A ROUND is the median of the\n"
    "rounds: where others use the machine, too, it is not what it was measured to be in\n"
    "some of them.\n\n"
    "exit status: 0 success; 1 a run failed; 2 wrong usage; 3 a model could not be\n"
    "loaded; 4 the runtime could not start, a file could not be written, or no memory.\n";

typedef struct deadlines_command {
    cli_session session;
    cli_list positional;
    const char *set, *loads, *orders, *json, *svg_path;
    double measure_seconds;
    uint32_t copies; /* 0: as many as are needed */
    cli_deadlines d;
} deadlines_command;

double cli_deadlines_measured(const cli_deadlines *d, cli_interval *interval)
{
    double *sorted = calloc(d->rounds, sizeof *sorted);
    double median = NAN;
    *interval = cli_median_interval(d->measured, d->rounds);
    if (sorted) {
        memcpy(sorted, d->measured, d->rounds * sizeof *sorted);
        median = cli_median(sorted, d->rounds);
    }
    free(sorted);
    return median;
}

double cli_deadlines_rate(const cli_deadlines *d, uint32_t load, uint32_t round)
{
    return d->loads[load] / (d->measured[round] * d->copies);
}

double cli_deadlines_usual_rate(const cli_deadlines *d, uint32_t load)
{
    cli_interval interval;
    return d->loads[load] / (cli_deadlines_measured(d, &interval) * d->copies);
}

/* ---- What is asked for ---------------------------------------------------- */

static int parse_loads(deadlines_command *c)
{
    char *list = strdup(c->loads), *rest = NULL;
    int status = list ? CLI_OK : cli_no_memory();
    for (char *item = list ? strtok_r(list, ",", &rest) : NULL; item && status == CLI_OK;
         item = strtok_r(NULL, ",", &rest)) {
        double load;
        if (!cli_parse_positive(&load, item) || load > 10 ||
            c->d.load_count == CLI_LOADS_MAX) {
            cli_error("--load '%s' is not a list of at most %d shares, as in 0.7,0.9",
                      c->loads, CLI_LOADS_MAX);
            status = CLI_USAGE;
        } else {
            c->d.loads[c->d.load_count++] = load;
        }
    }
    free(list);
    if (status == CLI_OK && c->d.load_count == 0) {
        cli_error("--load '%s' names no share, as in 0.7,0.9", c->loads);
        return CLI_USAGE;
    }
    return status;
}

static int has_order(const cli_deadlines *d, cli_order order)
{
    for (uint32_t i = 0; i < d->order_count; i++)
        if (d->orders[i] == order)
            return 1;
    return 0;
}

static int parse_orders(deadlines_command *c)
{
    const char *at = c->orders;
    for (;;) {
        const size_t length = strcspn(at, ",");
        cli_order order;
        if (!cli_order_find(at, length, &order) || has_order(&c->d, order)) {
            cli_error("--policies '%s' is not a list of deadlines, fifo and priorities, "
                      "each once",
                      c->orders);
            return CLI_USAGE;
        }
        c->d.orders[c->d.order_count++] = order;
        if (at[length] == '\0')
            return CLI_OK;
        at += length + 1;
    }
}

/* Deadlines are compared within half of ageing_us (docs/design/scheduler.md). So that all of the
 * set's are, also where rates are lowered, it is made a multiple of the longest period. */
static void make_ageing(deadlines_command *c)
{
    double longest = 0;
    for (uint32_t i = 0; i < c->d.set.count; i++)
        longest = fmax(longest, 1e6 / c->d.set.networks[i].hz);
    longest = AGEING_PERIODS * fmax(longest, longest * c->d.deadline);
    c->session.ageing_us = longest > 4e9 ? 4000000000u : (uint32_t)longest;
    if (c->session.ageing_us < 200000)
        c->session.ageing_us = 200000;
}

static int check(deadlines_command *c)
{
    if (c->positional.count > 0) {
        cli_error("unexpected argument '%s'; networks are given by --set",
                  c->positional.values[0]);
        return CLI_USAGE;
    }
    if (c->copies > COPIES_MAX) {
        cli_error("--copies: at most %d", COPIES_MAX);
        return CLI_USAGE;
    }
    int status = cli_set_parse(&c->d.set, c->set);
    if (status == CLI_OK)
        status = parse_loads(c);
    if (status == CLI_OK)
        status = parse_orders(c);
    if (status == CLI_OK)
        status = cli_session_check(&c->session);
    if (status == CLI_OK)
        make_ageing(c);
    return status;
}

/* ---- Measuring ------------------------------------------------------------ */

static int make_cells(cli_deadlines *d)
{
    d->measured = calloc(d->rounds, sizeof *d->measured);
    if (!d->measured)
        return cli_no_memory();
    for (uint32_t l = 0; l < d->load_count; l++)
        for (uint32_t o = 0; o < d->order_count; o++) {
            cli_deadlines_cell *cell = &d->cells[l][o];
            cell->missed = calloc(d->rounds, sizeof *cell->missed);
            cell->released = calloc(d->rounds, sizeof *cell->released);
            if (!cell->missed || !cell->released)
                return cli_no_memory();
            for (uint32_t i = 0; i < d->set.count; i++) {
                cell->medians_us[i] = calloc(d->rounds, sizeof *cell->medians_us[i]);
                if (!cell->medians_us[i])
                    return cli_no_memory();
            }
        }
    return CLI_OK;
}

static cli_periodic periodic_of(const deadlines_command *c, uint32_t load, uint32_t order,
                                uint32_t round)
{
    const cli_deadlines *d = &c->d;
    return (cli_periodic){
        .set = &d->set,
        .order = d->orders[order],
        .rate = cli_deadlines_rate(d, load, round),
        .copies = d->copies,
        .seconds = d->seconds / d->rounds,
        .deadline = d->deadline,
        .seed = c->session.seed + round, /* the same for all orders */
    };
}

static int run_cell(deadlines_command *c, uint32_t load, uint32_t order, uint32_t round)
{
    cli_deadlines *d = &c->d;
    cli_deadlines_cell *cell = &d->cells[load][order];
    cli_periodic_tally tallies[CLI_SET_MAX] = { { 0 } };
    const cli_periodic periodic = periodic_of(c, load, order, round);
    int status = cli_periodic_run(&periodic, tallies);
    for (uint32_t i = 0; i < d->set.count; i++) {
        cell->missed[round] += (double)cli_periodic_missed(&tallies[i]);
        cell->released[round] += (double)tallies[i].releases;
        cell->medians_us[i][round] =
            cli_median(tallies[i].responses_us, tallies[i].count);
        const int added = cli_periodic_tally_add(&cell->tallies[i], &tallies[i]);
        status = status == CLI_OK ? added : status;
        cli_periodic_tally_free(&tallies[i]);
    }
    return status;
}

/* As many of each network as it takes to reach the highest load without going beyond the rates that
 * were given. */
static void choose_copies(deadlines_command *c)
{
    double highest = 0;
    for (uint32_t l = 0; l < c->d.load_count; l++)
        highest = fmax(highest, c->d.loads[l]);
    const double needed = ceil(highest / c->d.measured[0] * 0.999);
    c->d.copies = c->copies             ? c->copies
                  : needed < 1          ? 1
                  : needed > COPIES_MAX ? COPIES_MAX
                                        : (uint32_t)needed;
}

/* Before each round, since on a machine that others use, too, the load would soon be another. */
static int measure_load(deadlines_command *c, uint32_t round)
{
    const int status = cli_set_measure(&c->d.set, &c->session, c->measure_seconds,
                                       &c->d.measured[round]);
    if (status == CLI_OK && round == 0)
        choose_copies(c);
    return status;
}

/* Priorities stay in use for a while after their last run, and jobs of lower ones are cut into
 * segments as long: the next turn is not to pay for the order of the one before. */
static void await_disuse(const deadlines_command *c, uint32_t order)
{
    const struct timespec while_in_use = { .tv_sec = 2, .tv_nsec = 200000000 };
    if (c->d.orders[order] == CLI_ORDER_PRIORITIES)
        nanosleep(&while_in_use, NULL);
}

/* Each order at each load once, which does not count: how many runs are joined on a GPU, and where
 * jobs are cut, comes with these, and is prepared when it is first wanted. */
static int warm_up(deadlines_command *c)
{
    const cli_deadlines *d = &c->d;
    int status = CLI_OK;
    for (uint32_t i = 0; i < d->load_count * d->order_count && status == CLI_OK; i++) {
        cli_periodic_tally tallies[CLI_SET_MAX] = { { 0 } };
        const uint32_t order = i % d->order_count;
        const cli_periodic periodic = periodic_of(c, i / d->order_count, order, 0);
        status = cli_periodic_run(&periodic, tallies);
        await_disuse(c, order);
        for (uint32_t n = 0; n < d->set.count; n++)
            cli_periodic_tally_free(&tallies[n]);
    }
    const hsched_status settled = hsched_runtime_settle(c->session.runtime);
    if (settled != HSCHED_OK && status == CLI_OK)
        status = cli_failed(CLI_SYSTEM, settled, "the runtime");
    return status;
}

/* ABC, BCA, CAB, ...: what changes in the machine meanwhile meets all alike. Gives CLI_WRONG if a
 * run failed while it was counted: nothing else is to be lost by it. *over: there can be no further
 * round, and no results. */
static int run_round(deadlines_command *c, uint32_t round, cli_progress *bar, int *over)
{
    cli_deadlines *d = &c->d;
    const uint64_t each = (uint64_t)d->load_count * d->order_count;
    uint64_t done = round * each;
    int failed = 0;
    const int measured = measure_load(c, round);
    *over = measured != CLI_OK; /* what the rates should be is not known */
    if (*over)
        return measured;
    if (round == 0) {
        const int warm = warm_up(c);
        *over = warm == CLI_SYSTEM;
        if (*over)
            return warm;
        failed |= warm != CLI_OK;
    }
    for (uint32_t load = 0; load < d->load_count; load++)
        for (uint32_t i = 0; i < d->order_count; i++) {
            const uint32_t order = (round + i) % d->order_count;
            const int ran = run_cell(c, load, order, round);
            await_disuse(c, order);
            *over = ran == CLI_SYSTEM;
            if (*over)
                return ran;
            failed |= ran != CLI_OK;
            cli_progress_show(bar, ++done, each * d->rounds);
        }
    return failed ? CLI_WRONG : CLI_OK;
}

/* *over: as above. */
static int measure(deadlines_command *c, int *over)
{
    cli_deadlines *d = &c->d;
    cli_progress bar;
    int status = make_cells(d);
    *over = status != CLI_OK;
    cli_progress_begin(&bar, 0);
    for (uint32_t round = 0; round < d->rounds && !*over; round++) {
        const int ran = run_round(c, round, &bar, over);
        status = ran != CLI_OK ? ran : status;
    }
    cli_progress_end(&bar);
    for (uint32_t l = 0; l < d->load_count; l++)
        for (uint32_t o = 0; o < d->order_count; o++)
            for (uint32_t i = 0; i < d->set.count; i++) {
                cli_periodic_tally *t = &d->cells[l][o].tallies[i];
                cli_sort(t->responses_us, t->count);
                cli_sort(t->shares, t->count);
            }
    return status;
}

/* ---- Command -------------------------------------------------------------- */

static int report(deadlines_command *c, cli_svg *svg)
{
    int status = cli_deadlines_print(&c->d);
    if (status == CLI_OK && c->json)
        status = cli_json_write(cli_deadlines_json(&c->d), c->json);
    if (status == CLI_OK && svg)
        status = cli_deadlines_draw(&c->d, svg);
    if (status == CLI_OK)
        return cli_svg_close(svg);
    cli_svg_discard(svg);
    return status;
}

static int execute(deadlines_command *c)
{
    int status = check(c);
    if (status == CLI_OK)
        status = cli_check_writable("--json", c->json);
    if (status != CLI_OK)
        return status;
    cli_svg *svg = cli_svg_open(c->svg_path);
    status = c->svg_path && !svg ? CLI_SYSTEM : cli_session_start(&c->session);
    if (status == CLI_OK)
        status = cli_set_load(&c->d.set, &c->session);
    if (status == CLI_OK) {
        c->d.runtime = c->session.runtime;
        c->d.policy = c->session.policy_name;
        /* Kernels are chosen and graphs captured before anything is timed. */
        const hsched_status settled = hsched_runtime_settle(c->session.runtime);
        if (settled != HSCHED_OK)
            status = cli_failed(CLI_SYSTEM, settled, "the runtime");
    }
    int over = status != CLI_OK;
    if (!over)
        status = measure(c, &over);
    if (over) {
        cli_svg_discard(svg);
        return status;
    }
    const int reported = report(c, svg); /* also if some runs failed */
    return status != CLI_OK ? status : reported;
}

static void free_all(deadlines_command *c)
{
    for (uint32_t l = 0; l < CLI_LOADS_MAX; l++)
        for (uint32_t o = 0; o < CLI_ORDERS; o++) {
            cli_deadlines_cell *cell = &c->d.cells[l][o];
            for (uint32_t i = 0; i < CLI_SET_MAX; i++) {
                cli_periodic_tally_free(&cell->tallies[i]);
                free(cell->medians_us[i]);
            }
            free(cell->missed);
            free(cell->released);
        }
    free(c->d.measured);
    cli_set_free(&c->d.set);
    cli_session_end(&c->session);
    cli_list_free(&c->positional);
    free(c);
}

static int run(int argc, char **argv);

static const cli_command deadlines_command_info = {
    "bench deadlines", "",
    "Deadlines missed by periodic networks: by deadlines, by arrival, by priorities", run
};
const cli_bench cli_bench_deadlines = { "deadlines", &deadlines_command_info };

static int run(int argc, char **argv)
{
    deadlines_command *c = calloc(1, sizeof *c);
    if (!c)
        return cli_no_memory();
    c->session = (cli_session){ CLI_SESSION_INIT };
    c->set = usual_set;
    c->loads = "0.7,0.9,1.0";
    c->orders = "deadlines,fifo,priorities";
    c->measure_seconds = 1;
    c->d.rounds = 10;
    c->d.seconds = 20;
    c->d.deadline = 1;
    const cli_option own[] = {
        { "set", "MODEL@HZ,...",
          "the networks and their rates (mobilenet_v2@60,\n"
          "squeezenet1_1@30,googlenet@15,resnet18@10)",
          cli_parse_string, &c->set },
        { "load", "SHARE,...", "of what the machine can do (0.7,0.9,1.0)",
          cli_parse_string, &c->loads },
        { "policies", "NAME,...", "in which order runs go (deadlines,fifo,priorities)",
          cli_parse_string, &c->orders },
        { "seconds", "S", "for each load and policy, all rounds together (20)",
          cli_parse_positive, &c->d.seconds },
        { "rounds", "N", "in so many rounds (10)", cli_parse_count, &c->d.rounds },
        { "measure", "S", "for measuring what the machine can do, in each round (1)",
          cli_parse_positive, &c->measure_seconds },
        { "deadline", "SHARE", "of the period, from the release (1)", cli_parse_positive,
          &c->d.deadline },
        { "copies", "N", "sources of each network (as many as are needed)",
          cli_parse_count, &c->copies },
        { "json", "FILE", "write the results as JSON", cli_parse_string, &c->json },
        { "svg", "FILE", "write them as charts", cli_parse_string, &c->svg_path },
        { 0 },
    };
    cli_option session[CLI_SESSION_OPTIONS];
    cli_session_options(&c->session, session);
    const cli_option *const tables[] = { own, session, NULL };
    int status;
    if (cli_parse_options(&deadlines_command_info, tables, help_text, argc, argv,
                          &c->positional, &status))
        status = execute(c);
    free_all(c);
    return status;
}
