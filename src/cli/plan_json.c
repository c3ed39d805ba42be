/* A plan for programs; docs/man/hsched.1 says what each member means. */
#include <jansson.h>

#include "cli/outputs.h"
#include "cli/plan.h"

/* Times of which nothing is known are null. */
static json_t *known(double us)
{
    return us > 0 ? cli_json_real(us) : json_null();
}

static json_t *runner_up_json(const cli_plan *p, const hsched_explained_section *s)
{
    if (s->runner_up == UINT32_MAX)
        return json_null();
    return json_pack("{s:s, s:o, s:o}", "device", p->devices[s->runner_up].name, "run_us",
                     known(s->runner_up_us), "difference_us",
                     s->runner_up_us > 0
                         ? cli_json_real(s->runner_up_us - p->info.predicted_us)
                         : json_null());
}

static int add_sections(const cli_plan *p, json_t **list)
{
    for (uint32_t i = 0; i < p->info.sections; i++) {
        hsched_explained_section s;
        const int status = cli_plan_section(p, i, &s);
        if (status != CLI_OK)
            return status;
        cli_json_append(
            list,
            json_pack("{s:i, s:i, s:i, s:s, s:i, s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:o}",
                      "index", (int)i, "first_step", (int)s.first_step, "steps",
                      (int)s.step_count, "device", p->devices[s.device].name, "job",
                      (int)s.job, "reason", hsched_placement_reason_name(s.reason),
                      "reason_text", s.reason_text, "begin_us",
                      p->info.predicted_us > 0 ? cli_json_real(s.begin_us) : json_null(),
                      "predicted_us", known(s.predicted_us), "costs",
                      hsched_cost_source_name(s.source), "profiled_us",
                      known(s.measured_us), "profiled_spread_us",
                      s.measured_us > 0 ? cli_json_real(s.measured_spread_us)
                                        : json_null(),
                      "runner_up", runner_up_json(p, &s)));
    }
    return CLI_OK;
}

static int add_steps(const cli_plan *p, json_t **list)
{
    for (uint32_t i = 0; i < p->info.steps; i++) {
        hsched_explained_step info;
        hsched_step_info step;
        const int status = cli_plan_step(p, i, &info, &step);
        if (status != CLI_OK)
            return status;
        cli_json_append(
            list, json_pack("{s:i, s:o, s:s, s:s, s:i, s:s, s:o, s:s, s:o, s:o}", "index",
                            (int)i, "name", cli_json_text(step.name), "kind", step.kind,
                            "kernel", info.kernel ? info.kernel : "", "section",
                            (int)info.section, "device", p->devices[info.device].name,
                            "predicted_us", known(info.predicted_us), "costs",
                            hsched_cost_source_name(info.source), "profiled_us",
                            known(info.measured_us), "profiled_spread_us",
                            info.measured_us > 0 ? cli_json_real(info.measured_spread_us)
                                                 : json_null()));
    }
    return CLI_OK;
}

/* The application is null. */
static json_t *end_json(const cli_plan *p, uint32_t step, uint32_t section,
                        uint32_t device)
{
    if (step == HSCHED_EXPLAINED_USER)
        return json_null();
    return json_pack("{s:i, s:i, s:s}", "step", (int)step, "section", (int)section,
                     "device", p->devices[device].name);
}

static int add_crossings(const cli_plan *p, json_t **list)
{
    for (uint32_t i = 0; i < p->info.crossings; i++) {
        hsched_explained_crossing c;
        const int status = cli_plan_crossing(p, i, &c);
        if (status != CLI_OK)
            return status;
        cli_json_append(
            list,
            json_pack("{s:o, s:o, s:o, s:I, s:o, s:b}", "tensor", cli_json_text(c.tensor),
                      "from", end_json(p, c.from_step, c.from_section, c.from_device),
                      "to", end_json(p, c.to_step, c.to_section, c.to_device), "bytes",
                      (json_int_t)c.bytes, "us", cli_json_real(c.us), "there", c.there));
    }
    return CLI_OK;
}

static json_t *measured_json(const cli_plan *p)
{
    const cli_plan_measured *m = &p->measured;
    if (m->runs == 0)
        return json_null();
    return json_pack("{s:i, s:o, s:o, s:i, s:i, s:o}", "runs", (int)m->runs, "median_us",
                     cli_json_real(m->us), "spread_us", cli_json_real(m->spread_us),
                     "jobs", (int)m->jobs, "tensors", (int)m->tensors, "difference",
                     p->info.predicted_us > 0
                         ? cli_json_real(p->info.predicted_us / m->us - 1)
                         : json_null());
}

static json_t *devices_json(const cli_plan *p)
{
    json_t *list = json_array();
    for (uint32_t d = 0; d < p->device_count; d++)
        cli_json_append(&list, json_pack("{s:s, s:i, s:o}", "name", p->devices[d].name,
                                         "workers", (int)p->devices[d].workers, "load",
                                         cli_json_real(p->loads[d])));
    return list;
}

static json_t *crossings_json(const cli_plan *p, json_t *list)
{
    const hsched_explanation_info *i = &p->info;
    return json_pack("{s:i, s:I, s:o, s:I, s:o, s:o}", "tensors", (int)i->tensors,
                     "bytes", (json_int_t)i->crossing_bytes, "us",
                     cli_json_real(i->crossing_us), "io_bytes", (json_int_t)i->io_bytes,
                     "io_us", cli_json_real(i->io_us), "list", list);
}

int cli_plan_write_json(const cli_plan *p, FILE *file)
{
    const hsched_explanation_info *i = &p->info;
    json_t *sections = json_array(), *steps = json_array(), *crossings = json_array();
    int status = add_sections(p, &sections);
    if (status == CLI_OK)
        status = add_steps(p, &steps);
    if (status == CLI_OK)
        status = add_crossings(p, &crossings);
    json_t *root = json_pack(
        "{s:o, s:s, s:i, s:i, s:i, s:o, s:o, s:s, s:o, s:o, s:o, s:{s:i, s:i}, s:o, s:o, "
        "s:o}",
        "model", cli_json_text(hsched_model_name(p->model)), "policy", i->policy, "batch",
        (int)i->batch, "jobs", (int)i->jobs, "candidates", (int)i->candidates, "devices",
        devices_json(p), "predicted_us", known(i->predicted_us), "costs",
        hsched_cost_source_name(i->source), "profiled_us", known(i->measured_us),
        "profiled_spread_us",
        i->measured_us > 0 ? cli_json_real(i->measured_spread_us) : json_null(),
        "measured", measured_json(p), "fallback", "sections", (int)i->fallback_sections,
        "steps", (int)i->fallback_steps, "crossings", crossings_json(p, crossings),
        "sections", sections, "steps", steps);
    if (status == CLI_OK &&
        (!root || json_dumpf(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) != 0))
        status = ferror(file) ? CLI_OK : cli_no_memory();
    json_decref(root);
    fputc('\n', file);
    return status;
}
