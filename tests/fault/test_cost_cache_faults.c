/* The file of costs, whatever lies there and whatever goes wrong: a damaged line is never taken for
 * a measurement, nothing of another writer is lost, a failure leaves the file as it was. */
#include "common/cost_cache.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    ENTRIES = 6
};

/* A good file, and its bytes: header, device, ENTRIES points, one stretch. */
static char *good_file(size_t *size)
{
    static char copy[1 << 14];
    hsi_cost_table *table = new_table("one");
    for (uint32_t i = 0; i < ENTRIES; i++)
        put_at(table, i, 100 + i);
    assert_ok(hsi_cost_table_put_stretch(table, 0, 2, 1.5, 1));
    assert_ok(save_to(folder, table));
    hsi_cost_table_destroy(table);
    memcpy(copy, read_bytes(size), sizeof copy);
    assert_true(*size < sizeof copy);
    return copy;
}

/* What is loaded is as it was written, or it is not there. Returns how many are. */
static size_t check_loaded(hsi_cost_cache_report *report)
{
    size_t there = 0;
    hsi_cost_source source;
    hsi_cost_table *table = load_for("one", report);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        const double us = us_at(table, i);
        if (us != 0 && us != 100 + i)
            fail_msg("entry %u is %g", i, us);
        there += us != 0;
    }
    const double factor = hsi_cost_table_stretch(table, 0, 2, &source);
    if (source == HSI_COST_MEASURED) {
        assert_true(factor == 1.5);
        there++;
    }
    assert_int_equal(report->loaded, there);
    hsi_cost_table_destroy(table);
    return there;
}

/* It can be written to again, and is whole then. */
static void check_usable(void)
{
    hsi_cost_cache_report report;
    hsi_cost_table *table = new_table("one");
    put_at(table, 0, 100);
    assert_ok(save_to(folder, table));
    hsi_cost_table_destroy(table);
    assert_true(check_loaded(&report) >= 1);
    assert_int_equal(report.damaged, 0);
}

static void cut_off_at_every_byte(void **state)
{
    (void)state;
    size_t size;
    const char *good = good_file(&size);
    hsi_cost_cache_report report;
    size_t before = 0;
    for (size_t length = 0; length <= size; length++) {
        write_bytes(good, length);
        const size_t there = check_loaded(&report);
        assert_true(there >= before && there <= before + 1);
        assert_true(report.damaged <= 1);
        before = there;
        if (length % 397 == 0)
            check_usable();
    }
    assert_int_equal(before, ENTRIES + 1);
}

static void every_bit_flipped(void **state)
{
    (void)state;
    size_t size;
    char *good = good_file(&size);
    hsi_cost_cache_report report;
    const size_t header = (size_t)(strchr(good, '\n') - good);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        good[bit / 8] ^= (char)(1 << bit % 8);
        write_bytes(good, size);
        const size_t there = check_loaded(&report);
        if (bit / 8 <= header)
            assert_int_equal(there, 0);
        else if (bit / 8 + 1 < size) /* a flipped last end mark spoils its line, too */
            assert_true(report.damaged >= 1);
        assert_true(bit / 8 <= header || there >= ENTRIES - 1);
        good[bit / 8] ^= (char)(1 << bit % 8);
    }
    write_bytes(good, size);
    assert_int_equal(check_loaded(&report), ENTRIES + 1);
}

static void random_damage(void **state)
{
    (void)state;
    size_t size;
    const char *good = good_file(&size);
    char *bad = malloc(2 * size);
    assert_non_null(bad);
    const char *given = getenv("HSCHED_TEST_SEED");
    uint32_t seed = given ? (uint32_t)atoi(given) : 1;
    hsi_cost_cache_report report;
    for (int round = 0; round < 3000; round++) {
        size_t length = size;
        memcpy(bad, good, size);
        for (int k = 0; k <= round % 8; k++) {
            const size_t at = (size_t)((next_float(&seed) + 1) / 2 * (double)length);
            const size_t many = (size_t)((next_float(&seed) + 1) * 20);
            switch (round % 4) {
            case 0: /* other bytes */
                bad[at] = (char)(next_float(&seed) * 128);
                break;
            case 1: /* a piece is missing */
                if (at + many < length) {
                    memmove(bad + at, bad + at + many, length - at - many);
                    length -= many;
                }
                break;
            case 2: /* pieces change places */
                if (at + many < length)
                    memmove(bad + at, bad + length - many, many);
                break;
            default: /* a piece is there twice */
                if (at + many < length && length + many < 2 * size) {
                    memmove(bad + at + many, bad + at, length - at);
                    length += many;
                }
            }
        }
        write_bytes(bad, length);
        check_loaded(&report);
        if (round % 500 == 0)
            check_usable();
    }
    free(bad);
}

static void lines_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n",
        "hsched costs 0\n",
        "hsched costs 2",
        "hsched costs 2\n\n",
        "hsched costs 2\npoint\n",
        "hsched costs 2\n\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\n",
        "hsched costs 2\n\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\n",
        "hsched costs 2\nstretch\t0123456789abcdef\t2\t1.500000\t00000000\n",
        "hsched gpu tuning 1\nGPU\tk\ttile:9\t1.000\t1\n",
    };
    hsi_cost_cache_report report;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_bytes(bad[i], strlen(bad[i]));
        assert_int_equal(check_loaded(&report), 0);
        check_usable();
    }
    static char junk[300000];
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (char)(i * 2654435761u >> 13);
    memcpy(junk, "hsched costs 2\n", 15);
    write_bytes(junk, sizeof junk);
    assert_int_equal(check_loaded(&report), 0);
    check_usable();
}

/* ---- The file system ------------------------------------------------------ */

static void what_is_no_file(void **state)
{
    (void)state;
    hsi_cost_cache_report report;
    hsi_cost_table *table = new_table("one");
    put_at(table, 1, 10);
    assert_int_equal(mkdir(file_path("costs.txt"), 0700), 0);
    assert_ok(hsi_cost_cache_load(folder, table, &report));
    assert_true(warnings > 0);
    assert_fails(save_to(folder, table), HSCHED_ERROR_IO, "costs.txt");
    assert_int_equal(rmdir(file_path("costs.txt")), 0);
    assert_int_equal(mkfifo(file_path("costs.txt"), 0600), 0);
    assert_ok(hsi_cost_cache_load(folder, table, &report)); /* and does not wait */
    assert_ok(save_to(folder, table)); /* what could not be saved before is still there */
    hsi_cost_table_destroy(table);
    table = load_for("one", &report);
    assert_true(us_at(table, 1) == 10);
    hsi_cost_table_destroy(table);
}

/* Links could make us write over somebody's file. */
static void links_are_not_followed(void **state)
{
    (void)state;
    hsi_cost_table *table = new_table("one");
    put_at(table, 1, 10);
    assert_int_equal(symlink("/tmp", file_path("costs.txt.tmp")), 0);
    assert_fails(save_to(folder, table), HSCHED_ERROR_IO, "costs.txt.tmp");
    assert_int_equal(unlink(file_path("costs.txt.tmp")), 0);
    assert_int_equal(unlink(file_path("costs.txt.lock")), 0);
    assert_int_equal(symlink("/tmp", file_path("costs.txt.lock")), 0);
    assert_fails(save_to(folder, table), HSCHED_ERROR_IO, "costs.txt.lock");
    hsi_cost_table_destroy(table);
}

static void folders_that_cannot_be_written(void **state)
{
    (void)state;
    hsi_cost_table *table = new_table("one");
    put_at(table, 1, 10);
    assert_fails(save_to("/proc/hsched", table), HSCHED_ERROR_IO, "/proc/hsched");
    assert_fails(save_to("/dev/null/hsched", table), HSCHED_ERROR_IO, "/dev/null");
    char *long_name = malloc(10000);
    assert_non_null(long_name);
    memset(long_name, 'x', 9999);
    long_name[9999] = '\0';
    assert_fails(save_to(long_name, table), HSCHED_ERROR_NOT_FOUND, "folder");
    free(long_name);
    if (geteuid() != 0) { /* root may write everywhere */
        assert_int_equal(chmod(folder, 0500), 0);
        assert_fails(save_to(folder, table), HSCHED_ERROR_IO, folder);
        assert_int_equal(chmod(folder, 0700), 0);
    }
    assert_ok(save_to(folder, table));
    hsi_cost_table_destroy(table);
}

/* A write that fails halfway, as on a full disk: the limit on a file's size stands for it. */
static void a_full_disk(void **state)
{
    (void)state;
    size_t size, after;
    const char *good = good_file(&size);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (rlim_t limit = 0; limit < size + 100; limit += 50) {
        hsi_cost_table *table = new_table("one");
        for (uint32_t i = 0; i < 20; i++)
            put_at(table, 100 + i, 7);
        small = before;
        small.rlim_cur = limit;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        hsched_status status = save_to(folder, table);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(status, HSCHED_ERROR_IO);
        assert_non_null(strstr(hsched_error_detail(), "costs.txt.tmp"));
        assert_memory_equal(read_bytes(&after), good, size);
        assert_int_equal(after, size);
        assert_int_not_equal(access(file_path("costs.txt.tmp"), F_OK), 0);
        hsi_cost_table_destroy(table);
    }
    signal(SIGXFSZ, SIG_DFL);
}

static void without_memory(void **state)
{
    (void)state;
    size_t size, after;
    const char *good = good_file(&size);
    for (uint64_t k = 1;; k++) {
        hsi_cost_cache_report report;
        hsi_cost_table *table = new_table("one");
        put_at(table, 50, 3);
        hsi_cost_record *records;
        size_t count;
        assert_ok(hsi_cost_table_take_dirty(table, &records, &count));
        hsi_alloc_fail_after(k);
        hsched_status status = hsi_cost_cache_load(folder, table, &report);
        if (status == HSCHED_OK)
            status = hsi_cost_cache_save(folder, records, count);
        hsi_alloc_fail_after(0);
        hsi_free(records);
        hsi_cost_table_destroy(table);
        if (status == HSCHED_OK)
            break;
        assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
        assert_memory_equal(read_bytes(&after), good, size);
    }
}

/* ---- Several writers ------------------------------------------------------ */

enum {
    WRITERS = 4,
    SAVES = 8
};

/* Each writer has entries of its own, saved one by one; and all write one that is the same. */
static void write_much(uint32_t writer)
{
    hsi_cost_table *table = new_table("one");
    for (uint32_t i = 0; i < SAVES; i++) {
        put_at(table, 1000 * writer + i, 10 + writer);
        put_at(table, 999999, 1 + writer);
        assert_ok(save_to(folder, table));
    }
    hsi_cost_table_destroy(table);
}

static void check_all_there(void)
{
    hsi_cost_cache_report report;
    hsi_cost_table *table = load_for("one", &report);
    assert_int_equal(report.damaged, 0);
    for (uint32_t writer = 1; writer <= WRITERS; writer++)
        for (uint32_t i = 0; i < SAVES; i++)
            assert_true(us_at(table, 1000 * writer + i) == 10 + writer);
    assert_true(us_at(table, 999999) >= 2);
    hsi_cost_table_destroy(table);
}

static void processes_at_once(void **state)
{
    (void)state;
    pid_t children[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            write_much(i + 1);
            _exit(0);
        }
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    check_all_there();
}

static void *thread_main(void *argument)
{
    write_much(*(uint32_t *)argument);
    return NULL;
}

static void threads_at_once(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    uint32_t numbers[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++) {
        numbers[i] = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, thread_main, &numbers[i]), 0);
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    check_all_there();
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(cut_off_at_every_byte),
        IN_FOLDER(every_bit_flipped),
        IN_FOLDER(random_damage),
        IN_FOLDER(lines_that_are_none),
        IN_FOLDER(what_is_no_file),
        IN_FOLDER(links_are_not_followed),
        IN_FOLDER(folders_that_cannot_be_written),
        IN_FOLDER(a_full_disk),
        IN_FOLDER(without_memory),
        IN_FOLDER(processes_at_once),
        IN_FOLDER(threads_at_once),
    };
    return cmocka_run_group_tests_name("cost cache: faults", tests, NULL, NULL);
}
