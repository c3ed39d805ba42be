/*
 * NVIDIA's management library: power, energy and use of a GPU. It comes with the driver; where it
 * is missing (boards with an integrated GPU), or does not know, there is no meter. Needs none of
 * CUDA's headers, so that it is tested where there are none.
 */
#ifndef HSI_BACKEND_CUDA_NVML_H
#define HSI_BACKEND_CUDA_NVML_H

#include <hsched/backend.h>

typedef struct hsi_nvml_use { /* as nvmlUtilization_t: percent */
    unsigned gpu, memory;
} hsi_nvml_use;

/* The functions in use, by nvml.h of any version: results are nvmlReturn_t, 0 is success. */
typedef struct hsi_nvml_table {
    int (*init)(void);     /* nvmlInit_v2 */
    int (*shutdown)(void); /* nvmlShutdown */
    int (*by_bus_id)(const char *bus_id,
                     void **gpu);                  /* nvmlDeviceGetHandleByPciBusId_v2 */
    int (*power)(void *gpu, unsigned *milliwatts); /* nvmlDeviceGetPowerUsage */
    int (*energy)(void *gpu, unsigned long long *mj); /* ...GetTotalEnergyConsumption */
    int (*use)(void *gpu, hsi_nvml_use *use);         /* nvmlDeviceGetUtilizationRates */
} hsi_nvml_table;

typedef struct hsi_nvml {
    const hsi_nvml_table *table; /* NULL: there is no meter */
    void *gpu;
} hsi_nvml;

/* The library's, or NULL with *why, one line. Loaded once; any thread. */
const hsi_nvml_table *hsi_nvml_load(const char **why);

/* A meter of the GPU at this address of the PCI bus, "0000:01:00.0". 0: there is none. `table` may
 * be NULL: then there is none. */
int hsi_nvml_open(hsi_nvml *nvml, const hsi_nvml_table *table, const char *bus_id);
void hsi_nvml_close(hsi_nvml *nvml); /* without a meter: nothing */
/* As hsched_backend.read_meters; nothing is known without a meter. */
void hsi_nvml_read(const hsi_nvml *nvml, hsched_meters *meters);

#endif
