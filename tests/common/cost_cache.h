/* What tests of the cost cache share: a folder of their own, a table with two devices. */
#ifndef TESTS_COMMON_COST_CACHE_H
#define TESTS_COMMON_COST_CACHE_H

#include "common/support.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cost/cache.h"

static char folder[200];
static int warnings; /* messages of the log */

static inline void count_message(void *user, hsched_log_level level, const char *message)
{
    (void)level;
    assert_non_null(message);
    ++*(int *)user;
}

static inline int remove_one(const char *path, const struct stat *info, int type,
                             struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hsched-costs-XXXXXX");
    warnings = 0;
    hsched_log_set(count_message, &warnings, HSCHED_LOG_WARNING);
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file, by its path in the folder, and the folders on the way to it. */
static inline void put_file(const char *path, const char *text)
{
    char full[300];
    snprintf(full, sizeof full, "%s/%s", folder, path);
    for (char *slash = full + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(full, 0700) != 0)
            assert_int_equal(access(full, F_OK), 0);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline const char *file_path(const char *name)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void write_bytes(const char *data, size_t size)
{
    unlink(
        file_path("costs.txt")); /* a file that is cut off is flushed, which takes long */
    FILE *file = fopen(file_path("costs.txt"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Ended by a 0; valid until the next call. */
static inline char *read_bytes(size_t *size)
{
    static char text[1 << 20];
    FILE *file = fopen(file_path("costs.txt"), "rb");
    assert_non_null(file);
    *size = fread(text, 1, sizeof text - 1, file);
    text[*size] = '\0';
    fclose(file);
    return text;
}

static inline hsi_cost_table *new_table(const char *device)
{
    hsi_cost_table *table;
    uint32_t number;
    assert_ok(hsi_cost_table_create(&table));
    assert_ok(hsi_cost_table_add_device(table, device, 1, &number));
    return table;
}

static inline hsi_cost_key key_at(uint32_t index)
{
    return (hsi_cost_key){ .model = UINT64_C(0xfedcba9876543210),
                           .unit = HSI_COST_STEP,
                           .index = index,
                           .math = HSCHED_MATH_FP16,
                           .batch = 1 + index % 3,
                           .workers = 1 };
}

static inline void put_at(hsi_cost_table *table, uint32_t index, double us)
{
    const hsi_cost_point point = { .key = key_at(index),
                                   .us = us,
                                   .spread_us = us / 8,
                                   .samples = index,
                                   .work = { 1e9 * index, 12345 } };
    assert_ok(hsi_cost_table_put(table, &point, 1));
}

static inline hsched_status save_to(const char *where, hsi_cost_table *table)
{
    hsi_cost_record *records;
    size_t count;
    assert_ok(hsi_cost_table_take_dirty(table, &records, &count));
    hsched_status status = hsi_cost_cache_save(where, records, count);
    if (status != HSCHED_OK)
        hsi_cost_table_mark_dirty(table, records, count);
    hsi_free(records);
    return status;
}

static inline hsi_cost_table *load_for(const char *device, hsi_cost_cache_report *report)
{
    hsi_cost_table *table = new_table(device);
    assert_ok(hsi_cost_cache_load(folder, table, report));
    return table;
}

static inline double us_at(const hsi_cost_table *table, uint32_t index)
{
    const hsi_cost_key key = key_at(index);
    const hsi_cost_point *point = hsi_cost_table_get(table, &key);
    return point ? point->us : 0;
}

#endif
