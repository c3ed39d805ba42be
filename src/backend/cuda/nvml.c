#include "backend/cuda/nvml.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

/* ---- The library ----------------------------------------------------------- */

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static hsi_nvml_table loaded;
static const char *load_problem = "";

static void load(void)
{
    static const struct {
        const char *name;
        size_t offset;
    } functions[] = {
        { "nvmlInit_v2", offsetof(hsi_nvml_table, init) },
        { "nvmlShutdown", offsetof(hsi_nvml_table, shutdown) },
        { "nvmlDeviceGetHandleByPciBusId_v2", offsetof(hsi_nvml_table, by_bus_id) },
        { "nvmlDeviceGetPowerUsage", offsetof(hsi_nvml_table, power) },
        { "nvmlDeviceGetTotalEnergyConsumption", offsetof(hsi_nvml_table, energy) },
        { "nvmlDeviceGetUtilizationRates", offsetof(hsi_nvml_table, use) },
    };
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        load_problem = "libnvidia-ml.so.1 was not found";
        return;
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *symbol = dlsym(library, functions[i].name);
        if (!symbol)
            load_problem = "libnvidia-ml.so.1 is too old: it lacks a function";
        *(void **)(void *)((char *)&loaded + functions[i].offset) = symbol;
    }
}

const hsi_nvml_table *hsi_nvml_load(const char **why)
{
    pthread_once(&load_once, load);
    *why = load_problem;
    return load_problem[0] == '\0' ? &loaded : NULL;
}

/* ---- A GPU's meter ---------------------------------------------------------- */

int hsi_nvml_open(hsi_nvml *nvml, const hsi_nvml_table *table, const char *bus_id)
{
    *nvml = (hsi_nvml){ 0 };
    if (!table || table->init() != 0)
        return 0;
    if (table->by_bus_id(bus_id, &nvml->gpu) != 0) {
        table->shutdown(); /* which counts the inits */
        return 0;
    }
    nvml->table = table;
    return 1;
}

void hsi_nvml_close(hsi_nvml *nvml)
{
    if (nvml->table)
        nvml->table->shutdown();
    *nvml = (hsi_nvml){ 0 };
}

/* What is not supported (a partition by MIG has no use of its own, old GPUs count no energy) is
 * left out, and so is what fails this time. */
void hsi_nvml_read(const hsi_nvml *nvml, hsched_meters *meters)
{
    unsigned milliwatts;
    unsigned long long millijoules;
    hsi_nvml_use use;
    meters->known = 0;
    if (!nvml->table)
        return;
    meters->name = "NVML";
    if (nvml->table->power(nvml->gpu, &milliwatts) == 0) {
        meters->known |= HSCHED_METERS_WATTS;
        meters->watts = milliwatts / 1e3;
    }
    if (nvml->table->energy(nvml->gpu, &millijoules) == 0) {
        meters->known |= HSCHED_METERS_JOULES;
        meters->joules = (double)millijoules / 1e3;
    }
    if (nvml->table->use(nvml->gpu, &use) == 0) {
        meters->known |= HSCHED_METERS_USE;
        meters->use = use.gpu <= 100 ? use.gpu / 100.0 : 1;
    }
}
