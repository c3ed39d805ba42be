#include "cli/objective.h"

#include <stdlib.h>
#include <string.h>

static int find(const char *name, hsched_objective *objective)
{
    for (int o = HSCHED_OBJECTIVE_MAKESPAN; o <= HSCHED_OBJECTIVE_POWER_CAP; o++)
        if (strcmp(hsched_objective_name((hsched_objective)o), name) == 0) {
            *objective = (hsched_objective)o;
            return 1;
        }
    cli_error("--objective '%s' is none of makespan, latency, energy and power_cap",
              name);
    return 0;
}

/* "gpu=60:12"; the idle part may be left out. *length: of the name. */
static int parse_watts(const char *text, size_t *length, hsched_device_watts *watts)
{
    const char *equals = strchr(text, '=');
    const char *colon = equals ? strchr(equals, ':') : NULL;
    char active[32] = "";
    *length = equals ? (size_t)(equals - text) : 0;
    const size_t digits = !equals ? 0
                          : colon ? (size_t)(colon - equals) - 1
                                  : strlen(equals + 1);
    if (digits < sizeof active && equals)
        memcpy(active, equals + 1, digits);
    if (*length > 0 && digits < sizeof active &&
        cli_parse_positive(&watts->watts, active) &&
        (!colon || (cli_parse_number(&watts->idle_watts, colon + 1) &&
                    watts->idle_watts >= 0 && watts->idle_watts <= watts->watts)))
        return 1;
    cli_error("--device-watts '%s' is not DEVICE=WATTS or DEVICE=WATTS:IDLE, as in "
              "gpu=60:12",
              text);
    return 0;
}

int cli_objective_check(cli_objective *o, const char **policy)
{
    for (uint32_t i = 0; i < o->watts_texts.count; i++) {
        hsched_device_watts watts;
        size_t length;
        if (!parse_watts(o->watts_texts.values[i], &length, &watts))
            return CLI_USAGE;
    }
    if (!o->name && o->power_cap_watts > 0)
        o->name = "power_cap";
    if (!o->name)
        return CLI_OK;
    if (!find(o->name, &o->value))
        return CLI_USAGE;
    if (!*policy)
        *policy = "cost";
    if ((o->value == HSCHED_OBJECTIVE_POWER_CAP) == (o->power_cap_watts > 0))
        return CLI_OK;
    cli_error("--power-cap WATTS and --objective power_cap go together");
    return CLI_USAGE;
}

int cli_objective_make_watts(const cli_objective *o, hsched_device_watts **watts)
{
    *watts = NULL;
    if (o->watts_texts.count == 0)
        return CLI_OK;
    *watts = calloc(o->watts_texts.count, sizeof **watts);
    for (uint32_t i = 0; *watts && i < o->watts_texts.count; i++) {
        size_t length;
        hsched_device_watts *w = &(*watts)[i];
        const char *text = o->watts_texts.values[i];
        if (!parse_watts(text, &length, w) || !(w->device = strndup(text, length))) {
            cli_objective_free_watts(o, *watts);
            *watts = NULL;
        }
    }
    return *watts ? CLI_OK : cli_no_memory();
}

void cli_objective_free_watts(const cli_objective *o, hsched_device_watts *watts)
{
    for (uint32_t i = 0; watts && i < o->watts_texts.count; i++)
        free((char *)watts[i].device);
    free(watts);
}
