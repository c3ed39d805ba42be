/* A plan for people. */
#include "cli/plan.h"
#include "cli/table.h"

/* ---- The whole ------------------------------------------------------------ */

static void print_prediction(const cli_plan *p)
{
    const hsched_explanation_info *i = &p->info;
    const cli_plan_measured *m = &p->measured;
    printf("predicted  ");
    if (i->predicted_us > 0)
        printf("%.1f us (costs %s)\n", i->predicted_us,
               hsched_cost_source_name(i->source));
    else
        printf("unknown\n");
    if (i->measured_us > 0)
        printf("profiled   %.1f us (spread %.1f)\n", i->measured_us,
               i->measured_spread_us);
    if (m->runs == 0)
        return;
    printf("measured   %.1f us (spread %.1f, median of %u)", m->us, m->spread_us,
           m->runs);
    if (i->predicted_us > 0)
        printf("; the prediction is %+.1f%% of that off",
               100 * (i->predicted_us / m->us - 1));
    printf("\n");
    if (m->tensors != i->tensors || m->jobs != i->jobs)
        printf("           the last of them had %u jobs and %u tensors that crossed: the "
               "policy placed it differently\n",
               m->jobs, m->tensors);
}

static void print_loads(const cli_plan *p)
{
    for (uint32_t d = 0; d < p->device_count; d++)
        if (p->loads[d] != 1)
            printf("load       %s takes %g times as long\n", p->devices[d].name,
                   p->loads[d]);
}

static void print_crossing_totals(const cli_plan *p)
{
    const hsched_explanation_info *i = &p->info;
    char bytes[CLI_SHORT_MAX], io[CLI_SHORT_MAX];
    printf("fall back  %u of %u steps, in %u of %u sections\n", i->fallback_steps,
           i->steps, i->fallback_sections, i->sections);
    printf("crossings  %u tensors, %s, %.1f us; inputs and outputs: %s, about %.1f us of "
           "the sections' times\n",
           i->tensors, cli_short_bytes((double)i->crossing_bytes, bytes), i->crossing_us,
           cli_short_bytes((double)i->io_bytes, io), i->io_us);
}

/* What a profile would make better known. */
static int print_unknown(const cli_plan *p)
{
    uint32_t unknown = 0, estimated = 0;
    for (uint32_t s = 0; s < p->info.sections; s++) {
        hsched_explained_section info;
        const int status = cli_plan_section(p, s, &info);
        if (status != CLI_OK)
            return status;
        unknown += info.source == HSCHED_COST_UNKNOWN;
        estimated += info.source == HSCHED_COST_ESTIMATED;
    }
    if (unknown + estimated == 0 && p->info.source > HSCHED_COST_ESTIMATED)
        return CLI_OK;
    printf("not known  ");
    if (unknown + estimated > 0)
        printf("what sections take where they are: %u of %u unknown, %u only estimated",
               unknown, p->info.sections, estimated);
    else
        printf("what %u runs take together", p->info.batch);
    printf("; `hsched profile` with this model and the same options measures it\n");
    return CLI_OK;
}

static int print_head(const cli_plan *p)
{
    const hsched_explanation_info *i = &p->info;
    printf("%s: policy %s; steps %u, sections %u, jobs %u", hsched_model_name(p->model),
           i->policy, i->steps, i->sections, i->jobs);
    if (i->candidates > 0)
        printf(", placements to choose from %u", i->candidates);
    if (i->batch > 1)
        printf(", runs together %u", i->batch);
    printf("\n");
    print_loads(p);
    print_prediction(p);
    print_crossing_totals(p);
    return print_unknown(p);
}

/* ---- Tables --------------------------------------------------------------- */

static void add_us(cli_table *table, double us)
{
    cli_table_cell(table, us > 0 ? "%.1f" : "-", us);
}

static void add_runner_up(const cli_plan *p, cli_table *table,
                          const hsched_explained_section *s)
{
    if (s->runner_up == UINT32_MAX)
        cli_table_cell(table, "-");
    else if (s->runner_up_us > 0)
        cli_table_cell(table, "%s %+.1f", p->devices[s->runner_up].name,
                       s->runner_up_us - p->info.predicted_us);
    else
        cli_table_cell(table, "%s", p->devices[s->runner_up].name);
}

static int finish(cli_table *table, const char *title, int status)
{
    printf("\n%s\n", title);
    const int printed = cli_table_print(table, 2);
    cli_table_destroy(table);
    return status != CLI_OK ? status : printed ? CLI_OK : cli_no_memory();
}

static int print_steps(const cli_plan *p)
{
    static const char *const columns[] = { ">#",        "STEP",      "KIND",
                                           ">SECTION",  "DEVICE",    "KERNEL",
                                           "REASON",    "RUNNER-UP", ">PREDICTED",
                                           ">PROFILED", "COSTS",     NULL };
    cli_table *table = cli_table_create(columns);
    int status = CLI_OK;
    for (uint32_t i = 0; i < p->info.steps && status == CLI_OK; i++) {
        hsched_explained_step info;
        hsched_step_info step;
        hsched_explained_section section;
        status = cli_plan_step(p, i, &info, &step);
        if (status == CLI_OK)
            status = cli_plan_section(p, info.section, &section);
        if (status != CLI_OK)
            break;
        cli_table_cell(table, "%u", i);
        cli_table_cell(table, "%s", step.name);
        cli_table_cell(table, "%s", step.kind);
        cli_table_cell(table, "%u", info.section);
        cli_table_cell(table, "%s", p->devices[info.device].name);
        cli_table_cell(table, "%s", info.kernel ? info.kernel : "");
        cli_table_cell(table, "%s", hsched_placement_reason_name(section.reason));
        add_runner_up(p, table, &section);
        add_us(table, info.predicted_us);
        add_us(table, info.measured_us);
        cli_table_cell(table, "%s", hsched_cost_source_name(info.source));
    }
    return finish(table,
                  "steps (times in us; runner-up: by how much the run would be later "
                  "with the whole section there)",
                  status);
}

static int print_sections(const cli_plan *p)
{
    static const char *const columns[] = { ">#",        "STEPS",     ">JOB",
                                           "DEVICE",    ">BEGIN",    ">PREDICTED",
                                           ">PROFILED", "RUNNER-UP", "REASON",
                                           NULL };
    cli_table *table = cli_table_create(columns);
    int status = CLI_OK;
    for (uint32_t i = 0; i < p->info.sections; i++) {
        hsched_explained_section s;
        status = cli_plan_section(p, i, &s);
        if (status != CLI_OK)
            break;
        cli_table_cell(table, "%u", i);
        cli_table_cell(table, "%u-%u", s.first_step, s.first_step + s.step_count - 1);
        cli_table_cell(table, "%u", s.job);
        cli_table_cell(table, "%s", p->devices[s.device].name);
        cli_table_cell(table, p->info.predicted_us > 0 ? "%.1f" : "-", s.begin_us);
        add_us(table, s.predicted_us);
        add_us(table, s.measured_us);
        add_runner_up(p, table, &s);
        cli_table_cell(table, "%s", s.reason_text);
    }
    return finish(table, "sections", status);
}

/* An end of a crossing: a step, or the application. */
static void add_end(const cli_plan *p, cli_table *table, uint32_t step, uint32_t device)
{
    if (step == HSCHED_EXPLAINED_USER)
        cli_table_cell(table, "application");
    else
        cli_table_cell(table, "step %u, %s", step, p->devices[device].name);
}

static int print_crossings(const cli_plan *p)
{
    static const char *const columns[] = {
        "TENSOR", "FROM", "TO", ">BYTES", ">US", NULL
    };
    cli_table *table = cli_table_create(columns);
    int status = CLI_OK;
    for (uint32_t i = 0; i < p->info.crossings; i++) {
        hsched_explained_crossing c;
        status = cli_plan_crossing(p, i, &c);
        if (status != CLI_OK)
            break;
        cli_table_cell(table, "%s", c.tensor);
        add_end(p, table, c.from_step, c.from_device);
        add_end(p, table, c.to_step, c.to_device);
        cli_table_cell(table, "%llu", (unsigned long long)c.bytes);
        cli_table_cell(table, c.there ? "there" : "%.1f", c.us);
    }
    return finish(table, "crossings", status);
}

int cli_plan_print(const cli_plan *plan)
{
    int status = print_head(plan);
    if (status == CLI_OK)
        status = print_steps(plan);
    if (status == CLI_OK)
        status = print_sections(plan);
    if (status == CLI_OK && plan->info.crossings > 0)
        status = print_crossings(plan);
    return status;
}
