/* What devices draw. */
#include "base/status.h"
#include "cost/table.h"

hsched_status hsi_cost_table_put_watts(hsi_cost_table *table, uint32_t device,
                                       double watts, double idle_watts, int dirty)
{
    if (device >= table->device_count || !(watts > 0 && watts <= HSI_COST_WATTS_MAX) ||
        !(idle_watts >= 0 && idle_watts <= watts))
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "cost table: device %u of %u draws %g W, %g W when it idles; "
                         "give more than 0 and no more when it idles",
                         device, table->device_count, watts, idle_watts);
    hsi_cost_device *d = table->devices[device];
    d->watts = watts;
    d->idle_watts = idle_watts;
    d->watts_dirty = dirty;
    return HSCHED_OK;
}

int hsi_cost_table_watts(const hsi_cost_table *table, uint32_t device, double *watts,
                         double *idle_watts)
{
    const int known = device < table->device_count && table->devices[device]->watts > 0;
    *watts = known ? table->devices[device]->watts : 0;
    *idle_watts = known ? table->devices[device]->idle_watts : 0;
    return known;
}
