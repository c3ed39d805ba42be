#include "cost/device.h"

#include <stdio.h>
#include <unistd.h>

void hsi_cost_describe_device(const hsi_cost_device_facts *facts,
                              char text[HSI_COST_DEVICE_TEXT])
{
    const hsched_device_info *info = &facts->info, *cpu = &facts->cpu;
    const char *libraries = info->libraries ? info->libraries : "";
    char used[32] = "";
    if (facts->is_cpu && facts->reference)
        libraries = "reference kernels";
    else if (facts->is_cpu && facts->cpu_libraries)
        snprintf(used, sizeof used, " (of them 0x%x)", facts->cpu_libraries);
    else if (info->sm_count > 0)
        snprintf(used, sizeof used, " on %u SMs", info->sm_count);
    snprintf(text, HSI_COST_DEVICE_TEXT, "%.20s: %.70s; %.110s%s; %.60s, %ld CPUs; %s",
             info->name, info->description ? info->description : "", libraries, used,
             !facts->is_cpu && cpu->description ? cpu->description : "this processor",
             sysconf(_SC_NPROCESSORS_CONF), HSCHED_VERSION_STRING);
}
