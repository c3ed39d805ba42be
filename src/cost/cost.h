/*
 * The cost table: how long sections and steps take, on which device, in which number format, for
 * how many runs joined and with how many CPU workers; and how jobs stretch when a device executes
 * several of them. Filled by measuring, read by whoever plans, corrected by what jobs really took.
 *
 * A pure data structure: no threads, no clock, no I/O. The caller locks. Looking up and observing
 * make no heap call, but for the first observation of what the table does not know. Times are
 * microseconds; what is called `now_us` is any clock that does not go back.
 *
 * docs/design/cost.md says which algorithms are used, and why.
 */
#ifndef HSI_COST_COST_H
#define HSI_COST_COST_H

#include <hsched/hsched.h>

#include "cost/correct.h"
#include "cost/load.h"

enum {
    HSI_COST_DEVICES_MAX = 32,
    HSI_COST_POINTS_MAX = 1 << 16,
    HSI_COST_DEVICE_TEXT = 320, /* bytes of a device's text, the 0 at the end included */
    HSI_COST_STRETCH_MAX = 16,
    HSI_COST_COUNT_MAX = 65535, /* of a batch, of workers, of jobs at once */
    HSI_COST_WATTS_MAX = 1000000
};

typedef enum hsi_cost_unit {
    HSI_COST_STEP = 1,
    HSI_COST_SECTION = 2,
    HSI_COST_RUN = 3, /* all of a model in one job, or as one run; index 0 */
    /* No time: `us` is how many times as long as alone a job of the model takes with `batch` of
     * them on the device; index 0. */
    HSI_COST_AT_ONCE = 4
} hsi_cost_unit;

typedef struct hsi_cost_key {
    uint64_t model; /* hsi_cost_model_hash, mixed with what else shapes its plan */
    hsi_cost_unit unit;
    uint32_t index;
    uint32_t device;  /* as hsi_cost_table_add_device numbers them */
    hsched_math math; /* hsi_cost_math */
    uint32_t batch;   /* runs joined, at least 1 */
    uint32_t
        workers; /* CPU workers that share its parts, at least 1; 1 on other devices */
} hsi_cost_key;

/* The CPU computes the same with FP16 as with DEFAULT. So do simulated devices, and processors
 * without bfloat16, with BF16, but costs are known by the name of what a model asks for. */
static inline hsched_math hsi_cost_math(int has_queue, hsched_math math)
{
    return !has_queue && math == HSCHED_MATH_FP16 ? HSCHED_MATH_DEFAULT : math;
}

/* Of runs joined, of workers and of jobs at once 1, 2, 4, ... and `most` are measured: the one
 * after `number`; 0 after `most`. */
static inline uint32_t hsi_cost_next_number(uint32_t number, uint32_t most)
{
    return number >= most ? 0 : 2 * number < most ? 2 * number : most;
}

/* What is computed and moved, for one run: floating point operations, and bytes of operands,
 * weights and results. Zeros: not known. */
typedef struct hsi_cost_work {
    double flops, bytes;
} hsi_cost_work;

typedef struct hsi_cost_point {
    hsi_cost_key key;
    double us;        /* the median, alone on an unloaded device; > 0 */
    double spread_us; /* from the first to the third quartile; >= 0 */
    uint32_t samples;
    hsi_cost_work work;
    int observed; /* nobody measured it: it was made from the first job that was seen */
    hsi_cost_correction correction;
} hsi_cost_point;

/* From bad to good. */
typedef enum hsi_cost_source {
    HSI_COST_UNKNOWN = 0,
    HSI_COST_ESTIMATED,    /* from the work, or beyond what was measured */
    HSI_COST_INTERPOLATED, /* between measured batches, workers or jobs at once */
    HSI_COST_OBSERVED,     /* from jobs only */
    HSI_COST_MEASURED
} hsi_cost_source;

typedef struct hsi_cost {
    double us; /* on an unloaded device, corrected, stretched; 0 if unknown */
    double spread_us;
    double stretch;    /* the factor that us contains for the jobs at once */
    double correction; /* the factor that us contains for being mis-measured */
    hsi_cost_source source;
} hsi_cost;

typedef struct hsi_cost_table hsi_cost_table;

hsched_status hsi_cost_table_create(hsi_cost_table **table);
void hsi_cost_table_destroy(hsi_cost_table *table); /* NULL: nothing */

/*
 * Registers a device by a text that says all that its times depend on: hardware, libraries,
 * versions. The same text gives the same number again. `cores`: so many jobs do not share
 * anything that a measurement would have to tell (CPU: its workers; else 1). Characters that a
 * line of the cache file cannot hold become '_'. Errors: INVALID_ARGUMENT (empty or too long),
 * LIMIT, OUT_OF_MEMORY.
 */
hsched_status hsi_cost_table_add_device(hsi_cost_table *table, const char *text,
                                        uint32_t cores, uint32_t *device);
uint32_t hsi_cost_table_device_count(const hsi_cost_table *table);
const char *hsi_cost_table_device_text(const hsi_cost_table *table, uint32_t device);

/*
 * Stores a measurement in place of what the table had for the key; the correction in it counts
 * on (a new measurement has none). `dirty`: the cache file does not have it yet.
 * Errors: INVALID_ARGUMENT (a key, time or count out of range), LIMIT, OUT_OF_MEMORY; the table is
 * then as it was.
 */
hsched_status hsi_cost_table_put(hsi_cost_table *table, const hsi_cost_point *point,
                                 int dirty);
/* The same for a job on this device with `jobs` of them at once, 2 or more: it takes `factor`
 * times as long as alone. Errors: as above. */
hsched_status hsi_cost_table_put_stretch(hsi_cost_table *table, uint32_t device,
                                         uint32_t jobs, double factor, int dirty);

/* What a device draws when all of it works, and when it idles. Errors: INVALID_ARGUMENT. */
hsched_status hsi_cost_table_put_watts(hsi_cost_table *table, uint32_t device,
                                       double watts, double idle_watts, int dirty);
/* 0 if that is not known; both are 0 then. */
int hsi_cost_table_watts(const hsi_cost_table *table, uint32_t device, double *watts,
                         double *idle_watts);

/* Exactly this entry, corrections included; NULL: there is none. Valid until the next put or
 * observation. */
const hsi_cost_point *hsi_cost_table_get(const hsi_cost_table *table,
                                         const hsi_cost_key *key);

/*
 * How long a job of this key takes on an unloaded device, with `jobs` (itself included) there at
 * once. The source is the worst of what the answer was made of. `work`, of one run: what to
 * estimate from where nothing was measured; NULL: then the answer is UNKNOWN.
 *
 * Between batches: linear in the batch. Between workers: linear in 1/workers. Beyond the largest
 * batch: in proportion; below the smallest: as long as that one. More workers than measured: no
 * faster; fewer: slower in proportion. Jobs at once: linear between measured points, in proportion
 * beyond the last one.
 */
void hsi_cost_table_find(const hsi_cost_table *table, const hsi_cost_key *key,
                         uint32_t jobs, const hsi_cost_work *work, hsi_cost *cost);
/*
 * The factor alone. *source as above. A model's own, where that was measured (HSI_COST_AT_ONCE),
 * else the device's. Joined runs at once: no less than all of them joined would take, compared
 * with these.
 */
double hsi_cost_table_stretch_of(const hsi_cost_table *table, const hsi_cost_key *key,
                                 double jobs, hsi_cost_source *source);
/*
 * So many such jobs' work is done at the same time, at best, if up to `most_jobs` are there; 0: not
 * known. At least 1: they need not be there at the same time. More than were measured count where
 * each has a core of its own.
 */
double hsi_cost_table_capacity_of(const hsi_cost_table *table, const hsi_cost_key *key,
                                  uint32_t most_jobs);
/* The device's: that of the model which was measured last. */
double hsi_cost_table_stretch(const hsi_cost_table *table, uint32_t device, double jobs,
                              hsi_cost_source *source);

/*
 * A job that ended at now_us took so long, with `jobs` on the device at once, on the whole. What
 * the table does not know yet it has afterwards, as an `observed` entry. Errors: as for put, for
 * such an entry only; the observation then counts for nothing.
 */
hsched_status hsi_cost_table_observe(hsi_cost_table *table, uint64_t now_us,
                                     const hsi_cost_key *key, double jobs,
                                     double took_us);

/* The device's present load: what is there takes so many times as long as the table says, for
 * reasons outside. 1: none is noticed. */
double hsi_cost_table_load(const hsi_cost_table *table, uint32_t device, uint64_t now_us);

/* ---- For the cache file --------------------------------------------------- */

typedef struct
    hsi_cost_record {     /* a point, or (point.us is 0) watts, or (0, too) a stretch */
    const char *device;   /* its text; lives as long as the table */
    hsi_cost_point point; /* others: key.device only */
    uint32_t jobs;
    double factor;
    double watts, idle_watts;
} hsi_cost_record;

/* What is dirty, to be freed with hsi_free, and no longer is; hsi_cost_table_mark_dirty takes
 * that back if it could not be saved. Errors: OUT_OF_MEMORY. */
hsched_status hsi_cost_table_take_dirty(hsi_cost_table *table, hsi_cost_record **records,
                                        size_t *count);
void hsi_cost_table_mark_dirty(hsi_cost_table *table, const hsi_cost_record *records,
                               size_t count);

#endif
