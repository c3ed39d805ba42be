/* The file of costs: kept, merged, bounded, of this machine's devices only. */
#include "common/cost_cache.h"

#include <math.h>
#include <sys/stat.h>

#include "cost/line.h"

static void all_of_an_entry_is_kept(void **state)
{
    (void)state;
    hsi_cost_cache_report report;
    hsi_cost_table *table = new_table("gpu: card");
    hsi_cost_point point = { .key = { UINT64_C(0x0123456789abcdef), HSI_COST_RUN, 0, 0,
                                      HSCHED_MATH_BF16, 64, 1 },
                             .us = 1234567.891234,
                             .spread_us = 0.25,
                             .samples = 31,
                             .work = { 7.2e12, 123456789 },
                             .observed = 1,
                             .correction = { -0.125, 77 } };
    assert_ok(hsi_cost_table_put(table, &point, 1));
    point.key.batch = 1;
    point.us = 0.5;
    point.correction.log = 3.5;
    point.observed = 0;
    assert_ok(hsi_cost_table_put(table, &point, 1));
    assert_ok(hsi_cost_table_put_stretch(table, 0, 8, 3.141593, 1));
    assert_ok(save_to(folder, table));
    hsi_cost_table_destroy(table);

    table = load_for("gpu: card", &report);
    assert_int_equal(report.loaded, 3);
    assert_int_equal(report.foreign + report.damaged, 0);
    const hsi_cost_point *found = hsi_cost_table_get(table, &point.key);
    assert_non_null(found);
    assert_true(found->us == 0.5 && found->spread_us == 0.25 && found->samples == 31);
    assert_true(found->work.flops == 7.2e12 && found->work.bytes == 123456789);
    assert_true(found->correction.log == 3.5 && found->correction.count == 77);
    assert_int_equal(found->observed, 0);
    point.key.batch = 64;
    found = hsi_cost_table_get(table, &point.key);
    assert_non_null(found);
    assert_true(fabs(found->us - 1234567.891234) < 1e-6);
    assert_true(found->correction.log == -0.125 && found->correction.count == 77);
    assert_int_equal(found->observed, 1);
    hsi_cost_source source;
    assert_true(fabs(hsi_cost_table_stretch(table, 0, 8, &source) - 3.141593) < 1e-9);
    assert_int_equal(source, HSI_COST_MEASURED);
    /* What came from the file is not written again. */
    assert_int_equal(remove(file_path("costs.txt")), 0);
    assert_ok(save_to(folder, table));
    assert_int_not_equal(access(file_path("costs.txt"), F_OK), 0);
    hsi_cost_table_destroy(table);
    assert_int_equal(warnings, 0);
}

static void other_devices_keep_theirs(void **state)
{
    (void)state;
    hsi_cost_cache_report report;
    hsi_cost_table *one = new_table("one"), *two = new_table("two");
    put_at(one, 1, 10);
    put_at(one, 2, 20);
    put_at(two, 1, 30);
    assert_ok(save_to(folder, one));
    assert_ok(save_to(folder, two));
    put_at(one, 2, 25);
    assert_ok(save_to(folder, one));
    hsi_cost_table_destroy(one);
    hsi_cost_table_destroy(two);
    one = load_for("one", &report);
    assert_int_equal(report.loaded, 2);
    assert_int_equal(report.foreign, 1);
    assert_true(us_at(one, 1) == 10 && us_at(one, 2) == 25);
    two = load_for("two", &report);
    assert_int_equal(report.loaded, 1);
    assert_true(us_at(two, 1) == 30);
    hsi_cost_table_destroy(one);
    hsi_cost_table_destroy(two);
    one = load_for("three", &report);
    assert_int_equal(report.foreign, 3);
    assert_int_equal(report.loaded, 0);
    hsi_cost_table_destroy(one);
}

static void what_the_table_has_stays(void **state)
{
    (void)state;
    hsi_cost_cache_report report;
    hsi_cost_table *table = new_table("one");
    put_at(table, 1, 10);
    assert_ok(hsi_cost_table_put_stretch(table, 0, 2, 1.5, 1));
    assert_ok(save_to(folder, table));
    put_at(table, 1, 99);
    assert_ok(hsi_cost_table_put_stretch(table, 0, 2, 1.75, 1));
    assert_ok(hsi_cost_cache_load(folder, table, &report));
    hsi_cost_source source;
    assert_true(us_at(table, 1) == 99);
    assert_true(hsi_cost_table_stretch(table, 0, 2, &source) == 1.75);
    hsi_cost_table_destroy(table);
}

/* Watts are lines of their own; what a table has been told later stays. */
static void watts_are_kept(void **state)
{
    (void)state;
    hsi_cost_cache_report report;
    double watts, idle_watts;
    hsi_cost_table *table = new_table("one");
    assert_int_equal(hsi_cost_table_watts(table, 0, &watts, &idle_watts), 0);
    assert_true(watts == 0 && idle_watts == 0);
    assert_fails(hsi_cost_table_put_watts(table, 0, 5, 6, 1),
                 HSCHED_ERROR_INVALID_ARGUMENT, "no more when it idles");
    assert_fails(hsi_cost_table_put_watts(table, 1, 5, 1, 1),
                 HSCHED_ERROR_INVALID_ARGUMENT, "device 1 of 1");
    assert_ok(hsi_cost_table_put_watts(table, 0, 30.5, 2.25, 1));
    assert_ok(save_to(folder, table));
    hsi_cost_table_destroy(table);
    table = load_for("one", &report);
    assert_int_equal(report.loaded, 1);
    assert_int_equal(report.damaged, 0);
    assert_int_equal(hsi_cost_table_watts(table, 0, &watts, &idle_watts), 1);
    assert_true(watts == 30.5 && idle_watts == 2.25);
    assert_ok(hsi_cost_table_put_watts(table, 0, 31, 2, 1));
    assert_ok(hsi_cost_cache_load(folder, table, &report));
    assert_ok(save_to(folder, table));
    hsi_cost_table_destroy(table);
    table = load_for("one", &report);
    assert_int_equal(report.loaded, 1);
    hsi_cost_table_watts(table, 0, &watts, &idle_watts);
    assert_true(watts == 31 && idle_watts == 2);
    hsi_cost_table_destroy(table);
}

static void the_oldest_go(void **state)
{
    (void)state;
    hsi_cost_cache_report report;
    hsi_cost_table *table = new_table("one");
    for (uint32_t i = 0; i < HSI_COST_CACHE_LINES; i++)
        put_at(table, i, 1 + i);
    assert_ok(save_to(folder, table));
    for (uint32_t i = 0; i < 100; i++)
        put_at(table, HSI_COST_CACHE_LINES + i, 5);
    assert_ok(save_to(folder, table));
    hsi_cost_table_destroy(table);
    table = load_for("one", &report);
    assert_int_equal(report.loaded, HSI_COST_CACHE_LINES);
    for (uint32_t i = 0; i < 100; i++)
        assert_true(us_at(table, HSI_COST_CACHE_LINES + i) == 5);
    hsi_cost_table_destroy(table);
}

/* Their lines say only what ids stand for. */
static void the_oldest_devices_go(void **state)
{
    (void)state;
    hsi_cost_table *table;
    assert_ok(hsi_cost_table_create(&table));
    hsi_cost_record *records =
        calloc(HSI_COST_CACHE_DEVICES + 10, sizeof(hsi_cost_record));
    char(*texts)[30] = calloc(HSI_COST_CACHE_DEVICES + 10, sizeof *texts);
    assert_true(records && texts);
    for (int i = 0; i < HSI_COST_CACHE_DEVICES + 10; i++) {
        snprintf(texts[i], sizeof texts[i], "device %d", i);
        records[i] = (hsi_cost_record){ .device = texts[i], .point.key = key_at(1) };
        records[i].point.us = 5;
    }
    assert_ok(hsi_cost_cache_save(folder, records, HSI_COST_CACHE_DEVICES + 9));
    assert_ok(hsi_cost_cache_save(folder, records + HSI_COST_CACHE_DEVICES + 9, 1));
    FILE *file = fopen(file_path("costs.txt"), "r");
    static char line[HSI_COST_LINE_LENGTH + 2];
    int devices = 0, others = 0;
    while (fgets(line, sizeof line, file))
        ++*(strncmp(line, "device", 6) == 0 ? &devices : &others);
    fclose(file);
    assert_int_equal(devices, HSI_COST_CACHE_DEVICES);
    assert_int_equal(others, HSI_COST_CACHE_DEVICES + 10 + 1); /* and the header */
    free(texts);
    free(records);
    hsi_cost_table_destroy(table);
}

static void the_folder_is_the_users(void **state)
{
    (void)state;
    char deep[300];
    struct stat info;
    hsi_cost_cache_report report;
    snprintf(deep, sizeof deep, "%s/a/b", folder);
    hsi_cost_table *table = new_table("one");
    put_at(table, 1, 10);
    assert_int_equal(setenv("HSCHED_CACHE_DIR", deep, 1), 0);
    assert_ok(hsi_cost_cache_load(NULL, table, &report)); /* there is nothing yet */
    assert_ok(save_to(NULL, table));
    unsetenv("HSCHED_CACHE_DIR");
    assert_int_equal(stat(deep, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    strcat(deep, "/costs.txt");
    assert_int_equal(stat(deep, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    hsi_cost_table_destroy(table);
}

static void lines_are_ordered_by_what_they_are_about(void **state)
{
    (void)state;
    hsi_cost_line a = { .kind = HSI_COST_LINE_POINT, .device = 1, .point.us = 5 }, b = a;
    b.point.us = 6;
    assert_int_equal(hsi_cost_line_compare(&a, &b), 0);
    b.point.key.workers = 2;
    assert_int_equal(hsi_cost_line_compare(&a, &b), -1);
    assert_int_equal(hsi_cost_line_compare(&b, &a), 1);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(all_of_an_entry_is_kept),
        IN_FOLDER(other_devices_keep_theirs),
        IN_FOLDER(what_the_table_has_stays),
        IN_FOLDER(watts_are_kept),
        IN_FOLDER(the_oldest_go),
        IN_FOLDER(the_oldest_devices_go),
        IN_FOLDER(the_folder_is_the_users),
        IN_FOLDER(lines_are_ordered_by_what_they_are_about),
    };
    return cmocka_run_group_tests_name("cost cache", tests, NULL, NULL);
}
