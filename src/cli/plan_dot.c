/* A plan as a picture: a cluster for each section, coloured by its device, its steps inside; edges
 * where tensors pass, with their bytes where they pass between devices. */
#include <string.h>

#include "cli/plan.h"
#include "cli/table.h"

static const char *const colours[] = { "#dbe9f6", "#fde0c5", "#d9efd5", "#f3d9ec",
                                       "#fbf3c4", "#d6efee", "#e6dcf2", "#e8e4dc" };

static const char *colour_of(uint32_t device)
{
    return colours[device % (sizeof colours / sizeof colours[0])];
}

/* In quotes, so that a name of a file's can end nothing. */
static void write_text(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', file);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, file);
    }
}

static void write_head(const cli_plan *p, FILE *file)
{
    fprintf(file, "digraph plan {\n  label=\"");
    write_text(file, hsched_model_name(p->model));
    fprintf(file, ", policy %s", p->info.policy);
    if (p->info.predicted_us > 0)
        fprintf(file, ", predicted %.1f us", p->info.predicted_us);
    fprintf(file, "\";\n  labelloc=t;\n  node [shape=box, style=filled, "
                  "fillcolor=white, fontsize=10];\n  edge [fontsize=9];\n");
}

static int write_section(const cli_plan *p, FILE *file, uint32_t index)
{
    hsched_explained_section s;
    int status = cli_plan_section(p, index, &s);
    if (status != CLI_OK)
        return status;
    fprintf(file, "  subgraph cluster_%u {\n    label=\"section %u: ", index, index);
    write_text(file, p->devices[s.device].name);
    if (s.predicted_us > 0)
        fprintf(file, ", %.1f us", s.predicted_us);
    fprintf(file, "\";\n    tooltip=\"");
    write_text(file, s.reason_text);
    fprintf(file, "\";\n    style=filled;\n    fillcolor=\"%s\";\n", colour_of(s.device));
    for (uint32_t i = s.first_step; i < s.first_step + s.step_count; i++) {
        hsched_explained_step info;
        hsched_step_info step;
        status = cli_plan_step(p, i, &info, &step);
        if (status != CLI_OK)
            return status;
        fprintf(file, "    s%u [label=\"", i);
        write_text(file, step.name);
        fprintf(file, "\\n%s", step.kind);
        if (info.predicted_us > 0)
            fprintf(file, " %.1f us", info.predicted_us);
        fprintf(file, "\"];\n");
    }
    fprintf(file, "  }\n");
    return CLI_OK;
}

static void write_end(FILE *file, const hsched_explained_edge *edge, uint32_t step)
{
    if (step != HSCHED_EXPLAINED_USER) {
        fprintf(file, "s%u", step);
        return;
    }
    fputc('"', file);
    write_text(file, edge->tensor);
    fprintf(file, edge->from_step == step ? " (input)\"" : " (output)\"");
}

/* The crossing that this edge is, 1; or it is none: 0; CLI_OK and others in *status. */
static int find_crossing(const cli_plan *p, const hsched_explained_edge *edge,
                         hsched_explained_crossing *crossing, int *status)
{
    *status = CLI_OK;
    for (uint32_t i = 0; i < p->info.crossings && *status == CLI_OK; i++) {
        *status = cli_plan_crossing(p, i, crossing);
        if (*status == CLI_OK && crossing->from_step == edge->from_step &&
            crossing->to_step == edge->to_step &&
            strcmp(crossing->tensor, edge->tensor) == 0)
            return 1;
    }
    return 0;
}

static int write_edges(const cli_plan *p, FILE *file)
{
    for (uint32_t i = 0; i < p->info.edges; i++) {
        hsched_explained_edge edge;
        hsched_explained_crossing crossing;
        char bytes[CLI_SHORT_MAX];
        int status = cli_plan_edge(p, i, &edge);
        if (status != CLI_OK)
            return status;
        const int crosses = find_crossing(p, &edge, &crossing, &status);
        if (status != CLI_OK)
            return status;
        fprintf(file, "  ");
        write_end(file, &edge, edge.from_step);
        fprintf(file, " -> ");
        write_end(file, &edge, edge.to_step);
        if (crosses)
            fprintf(file, " [color=red, penwidth=2%s, label=\"%s\\n%.1f us\"]",
                    crossing.there ? ", style=dashed" : "",
                    cli_short_bytes((double)crossing.bytes, bytes), crossing.us);
        fprintf(file, ";\n");
    }
    return CLI_OK;
}

int cli_plan_write_dot(const cli_plan *p, FILE *file)
{
    int status = CLI_OK;
    write_head(p, file);
    for (uint32_t s = 0; s < p->info.sections && status == CLI_OK; s++)
        status = write_section(p, file, s);
    if (status == CLI_OK)
        status = write_edges(p, file);
    fprintf(file, "}\n");
    return status;
}
