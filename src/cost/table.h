/* The cost table's own: what its files share. */
#ifndef HSI_COST_TABLE_H
#define HSI_COST_TABLE_H

#include "cost/cost.h"

typedef struct hsi_cost_place { /* a point in its series */
    hsi_cost_point point;
    int dirty;
} hsi_cost_place;

/* All points of one section, step or model on one device in one number format, sorted by
 * workers, then by batch. */
typedef struct hsi_cost_series {
    hsi_cost_key key; /* batch and workers: 0 */
    hsi_cost_place *places;
    uint32_t count, capacity;
} hsi_cost_series;

/* What was measured alone, one run, one worker: sums, for the rates that estimates are made
 * with. Arithmetic: entries that have flops. */
typedef struct hsi_cost_rates {
    double arithmetic_us, flops;
    double movement_us, bytes;
} hsi_cost_rates;

typedef struct hsi_cost_stretch_point {
    uint32_t jobs;
    double factor;
    int dirty;
} hsi_cost_stretch_point;

typedef struct hsi_cost_device {
    char text[HSI_COST_DEVICE_TEXT];
    uint32_t cores;
    uint32_t stretch_count;
    hsi_cost_stretch_point stretch[HSI_COST_STRETCH_MAX]; /* jobs ascending */
    hsi_cost_rates rates[HSCHED_MATH_BF16 + 1];
    double watts, idle_watts; /* 0: not known */
    int watts_dirty;
    hsi_cost_load load;
} hsi_cost_device;

struct hsi_cost_table {
    hsi_cost_device *devices[HSI_COST_DEVICES_MAX];
    uint32_t device_count;
    hsi_cost_series *series;
    uint32_t series_count, series_capacity;
    /* Open addressing: a series' number plus 1, or 0; a power of two, at most half full. */
    uint32_t *buckets;
    uint32_t bucket_count;
    uint32_t point_count;
};

/* NULL: the table has none for the key, whatever its batch and workers. */
hsi_cost_series *hsi_cost_find_series(const hsi_cost_table *table,
                                      const hsi_cost_key *key);
hsi_cost_place *hsi_cost_find_place(const hsi_cost_table *table, const hsi_cost_key *key);

/* estimate.c: a point of the table counts (sign 1), or does not any more (-1). */
void hsi_cost_count_rates(hsi_cost_table *table, const hsi_cost_point *point, int sign);
/* One run, one worker; 0: nothing to tell it from. */
double hsi_cost_estimate(const hsi_cost_table *table, const hsi_cost_key *key,
                         const hsi_cost_work *work);

#endif
