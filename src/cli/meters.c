#include "cli/meters.h"

#include <stdio.h>

#include "cli/outputs.h"

static int read_meter(hsched_runtime *runtime, uint32_t device,
                      hsched_meter_reading *reading)
{
    *reading = (hsched_meter_reading){ HSCHED_METER_READING_INIT };
    return hsched_runtime_read_meter(runtime, device, reading) == HSCHED_OK;
}

double cli_meter_joules(hsched_runtime *runtime, uint32_t device)
{
    hsched_meter_reading r;
    if (!read_meter(runtime, device, &r) || !(r.known & HSCHED_METER_JOULES))
        return -1;
    return r.joules;
}

int cli_meter_text(hsched_runtime *runtime, uint32_t device, char *text, size_t size)
{
    hsched_meter_reading r;
    char watts[40] = "", use[40] = "";
    if (!read_meter(runtime, device, &r))
        return 0;
    if (r.known & HSCHED_METER_WATTS)
        snprintf(watts, sizeof watts, ": %.1f W", r.watts);
    if (r.known & HSCHED_METER_USE)
        snprintf(use, sizeof use, "%s %.0f%% used", watts[0] ? "," : ":", 100 * r.use);
    snprintf(text, size, "%s%s%s", r.name, watts, use);
    return 1;
}

json_t *cli_meter_json(hsched_runtime *runtime, uint32_t device)
{
    hsched_meter_reading r;
    if (!read_meter(runtime, device, &r))
        return json_null();
    return json_pack("{s:s, s:o, s:o}", "name", r.name, "watts",
                     r.known & HSCHED_METER_WATTS ? cli_json_real(r.watts) : json_null(),
                     "use",
                     r.known & HSCHED_METER_USE ? cli_json_real(r.use) : json_null());
}
