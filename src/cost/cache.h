/*
 * The file in which costs outlive the process: costs.txt, in the folder of the GPU's tuning cache.
 *
 * A line that names the format, then lines as in line.h, the oldest first. What does not parse is
 * left out and counted; what is of other devices or machines is kept, and not loaded. Any number of
 * processes and threads may read and write the same file: it is only ever replaced as a whole,
 * under a lock file, after what others have written meanwhile was read again.
 */
#ifndef HSI_COST_CACHE_H
#define HSI_COST_CACHE_H

#include "cost/cost.h"

enum {
    HSI_COST_CACHE_LINES = 20000, /* points and stretches; more: the oldest go */
    HSI_COST_CACHE_DEVICES = 256  /* likewise */
};

typedef struct hsi_cost_cache_report {
    size_t loaded, foreign, damaged; /* lines */
} hsi_cost_cache_report;

/*
 * Puts what the file has on the table's devices into the table, where it does not have it yet.
 * `folder` NULL: $HSCHED_CACHE_DIR, else $XDG_CACHE_HOME/hsched, else ~/.cache/hsched. A missing
 * file is an empty one, and so is a file of another kind or version. Errors: IO, OUT_OF_MEMORY,
 * LIMIT (of the table).
 */
hsched_status hsi_cost_cache_load(const char *folder, hsi_cost_table *table,
                                  hsi_cost_cache_report *report);

/*
 * Adds the records, in place of what the file has for the same; makes the folder if need be. The
 * file appears whole or stays as it was. Needs no lock of the table's. Errors: IO (the detail names
 * file and cause), OUT_OF_MEMORY, NOT_FOUND (there is no folder to write to).
 */
hsched_status hsi_cost_cache_save(const char *folder, const hsi_cost_record *records,
                                  size_t count);

#endif
