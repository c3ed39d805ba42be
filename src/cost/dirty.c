/* What the cache file does not have yet. */
#include "base/alloc.h"
#include "base/status.h"
#include "cost/table.h"

/* Counts; with `records` also copies, and what is copied is no longer dirty. */
static size_t collect_points(hsi_cost_table *table, hsi_cost_record *records)
{
    size_t count = 0;
    for (uint32_t i = 0; i < table->series_count; i++)
        for (uint32_t k = 0; k < table->series[i].count; k++) {
            hsi_cost_place *place = &table->series[i].places[k];
            if (!place->dirty)
                continue;
            if (records) {
                records[count] = (hsi_cost_record){
                    .device = table->devices[place->point.key.device]->text,
                    .point = place->point,
                };
                place->dirty = 0;
            }
            count++;
        }
    return count;
}

static size_t collect_stretches(hsi_cost_table *table, hsi_cost_record *records)
{
    size_t count = 0;
    for (uint32_t d = 0; d < table->device_count; d++)
        for (uint32_t k = 0; k < table->devices[d]->stretch_count; k++) {
            hsi_cost_stretch_point *stretch = &table->devices[d]->stretch[k];
            if (!stretch->dirty)
                continue;
            if (records) {
                records[count] = (hsi_cost_record){ .device = table->devices[d]->text,
                                                    .point.key.device = d,
                                                    .jobs = stretch->jobs,
                                                    .factor = stretch->factor };
                stretch->dirty = 0;
            }
            count++;
        }
    return count;
}

static size_t collect_watts(hsi_cost_table *table, hsi_cost_record *records)
{
    size_t count = 0;
    for (uint32_t d = 0; d < table->device_count; d++) {
        hsi_cost_device *device = table->devices[d];
        if (!device->watts_dirty)
            continue;
        if (records) {
            records[count] = (hsi_cost_record){ .device = device->text,
                                                .point.key.device = d,
                                                .watts = device->watts,
                                                .idle_watts = device->idle_watts };
            device->watts_dirty = 0;
        }
        count++;
    }
    return count;
}

hsched_status hsi_cost_table_take_dirty(hsi_cost_table *table, hsi_cost_record **records,
                                        size_t *count)
{
    const size_t points = collect_points(table, NULL);
    const size_t stretches = collect_stretches(table, NULL);
    *count = points + stretches + collect_watts(table, NULL);
    *records = HSI_NEW_ARRAY(hsi_cost_record, *count + 1);
    if (!*records) {
        *count = 0;
        return hsi_out_of_memory("what the cost cache does not have yet");
    }
    collect_points(table, *records);
    collect_stretches(table, *records + points);
    collect_watts(table, *records + points + stretches);
    return HSCHED_OK;
}

void hsi_cost_table_mark_dirty(hsi_cost_table *table, const hsi_cost_record *records,
                               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const hsi_cost_record *r = &records[i];
        if (r->point.us > 0) {
            hsi_cost_place *place = hsi_cost_find_place(table, &r->point.key);
            if (place)
                place->dirty = 1;
            continue;
        }
        hsi_cost_device *d = table->devices[r->point.key.device];
        d->watts_dirty |= r->watts > 0;
        for (uint32_t k = 0; k < d->stretch_count; k++)
            d->stretch[k].dirty |= d->stretch[k].jobs == r->jobs;
    }
}
