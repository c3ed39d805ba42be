/* What devices draw, as commands print it. */
#ifndef CLI_METERS_H
#define CLI_METERS_H

#include <hsched/experimental.h>
#include <jansson.h>

/* What the device has drawn since the runtime was made; < 0: nothing measures that. */
double cli_meter_joules(hsched_runtime *runtime, uint32_t device);

/* "NVML: 71.5 W, 60% used"; 0: there is no meter. */
int cli_meter_text(hsched_runtime *runtime, uint32_t device, char *text, size_t size);
/* null: there is none. */
json_t *cli_meter_json(hsched_runtime *runtime, uint32_t device);

#endif
