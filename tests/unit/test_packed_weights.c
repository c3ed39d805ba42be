/* HSCHED_MODEL_CACHE_WEIGHTS: packed weights on disk (backend/cpu/store.h). */
#include "common/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend/cpu/content.h"
#include "backend/cpu/store.h"
#include "base/alloc.h"
#include "unit/large_network.h"

enum {
    FILES = 3, /* packed weights of the network that are large enough */
    PAGE = 4096
};

static char folder[64], below[96];
static uint32_t warnings;
static char last_warning[1024];
static float x[LARGE_INPUT], expected[LARGE_OUTPUT];

static void note_log(void *user, hsched_log_level level, const char *message)
{
    (void)user;
    if (level != HSCHED_LOG_WARNING)
        return;
    warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", message);
}

/* Loads, computes, and gives what the model held on the heap. */
static hsched_status load_and_infer(hsched_graph *g, uint32_t flags, float *y,
                                    uint64_t *held)
{
    hsched_runtime_config config = {
        HSCHED_RUNTIME_CONFIG_INIT,           .cpu_workers = 2,
        .flags = HSCHED_RUNTIME_NO_GPU,       .cpu_libraries = HSCHED_LIBRARY_OWN,
        .cpu_tuning = HSCHED_CPU_TUNING_NONE, .cache_dir = folder
    };
    const hsched_model_config model_config = { HSCHED_MODEL_CONFIG_INIT, .flags = flags,
                                               .max_parts = 1 };
    hsched_runtime *rt = NULL;
    hsched_model *model = NULL;
    hsched_status status = hsched_runtime_create(&config, &rt);
    const uint64_t before = hsi_alloc_bytes();
    if (status == HSCHED_OK)
        status = hsched_model_compile(rt, g, &model_config, &model);
    *held = hsi_alloc_bytes() - before;
    const hsched_binding in = { .data = x, .size = sizeof x },
                         out = { .data = y, .size = sizeof expected };
    if (status == HSCHED_OK)
        status = hsched_infer(model, &in, 1, &out, 1);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    return status;
}

/* Its results are the expected ones; gives what it held. */
static uint64_t check_load(uint32_t flags)
{
    static float y[LARGE_OUTPUT];
    uint64_t held;
    hsched_graph *g = large_network();
    memset(y, 0xff, sizeof y);
    assert_ok(load_and_infer(g, flags, y, &held));
    assert_memory_equal(y, expected, sizeof y);
    hsched_graph_destroy(g);
    return held;
}

/* ---- The folder ---- */

typedef struct found {
    uint32_t files, others;
    uint64_t bytes;
    char names[16][160];
} found;

static found look(void)
{
    found f = { 0 };
    DIR *directory = opendir(below);
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL) {
        struct stat info;
        if (entry->d_name[0] == '.')
            continue;
        const size_t length = strlen(entry->d_name), ending = strlen(".packed");
        if (length < ending || strcmp(entry->d_name + length - ending, ".packed") != 0) {
            f.others++;
            continue;
        }
        assert_true(f.files < 16);
        snprintf(f.names[f.files], sizeof f.names[0], "%s/%.60s", below, entry->d_name);
        assert_int_equal(stat(f.names[f.files], &info), 0);
        f.bytes += (uint64_t)info.st_size;
        f.files++;
    }
    if (directory)
        closedir(directory);
    return f;
}

static void remove_all(void)
{
    const found f = look();
    for (uint32_t i = 0; i < f.files; i++)
        unlink(f.names[i]);
    rmdir(below);
}

static int set_up(void **state)
{
    (void)state;
    uint64_t held;
    snprintf(folder, sizeof folder, "/tmp/hsched-packed-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(below, sizeof below, "%s/packed-weights", folder);
    hsched_log_set(note_log, NULL, HSCHED_LOG_WARNING);
    fill(x, LARGE_INPUT, 3);
    hsched_graph *g = large_network();
    assert_ok(load_and_infer(g, 0, expected, &held));
    hsched_graph_destroy(g);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_all();
    rmdir(folder);
    return 0;
}

static int start_anew(void **state)
{
    (void)state;
    remove_all();
    warnings = 0;
    return 0;
}

/* ---- Tests ---- */

static void test_off(void **state)
{
    (void)state;
    check_load(0);
    assert_int_equal(access(below, F_OK), -1);
}

static void test_written_once_and_mapped(void **state)
{
    (void)state;
    const uint64_t packed = check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    const found first = look();
    assert_int_equal(first.files, FILES);
    assert_int_equal(first.others, 0);
    struct stat before, after;
    assert_int_equal(stat(first.names[0], &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    const uint64_t mapped = check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    /* But for what keeps account of the mappings. */
    assert_true(packed + PAGE >= mapped + first.bytes - FILES * PAGE);
    assert_int_equal(stat(first.names[0], &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(warnings, 0);
}

static void overwrite(const char *path, long at, const void *data, size_t size)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A load says that a file is made anew, and it is; the next one maps. */
static void check_repaired(uint64_t bytes)
{
    warnings = 0;
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(last_warning, "made anew"));
    const found f = look();
    assert_int_equal(f.files, FILES);
    assert_int_equal(f.others, 0);
    assert_int_equal(f.bytes, bytes);
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    assert_int_equal(warnings, 1);
}

static void test_damaged(void **state)
{
    (void)state;
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    const found f = look();
    for (uint32_t i = 0; i < FILES; i++) {
        assert_int_equal(truncate(f.names[i], i == 0 ? 0 : i == 1 ? 100 : 5 * PAGE), 0);
        check_repaired(f.bytes);
        overwrite(f.names[i], 3, "?", 1);
        check_repaired(f.bytes);
        overwrite(f.names[i], PAGE - 1, "?", 1);
        check_repaired(f.bytes);
    }
}

/* Written by another version of the library under this name: its own checksum is right. */
static void test_other_version(void **state)
{
    (void)state;
    unsigned char page[PAGE];
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    const found f = look();
    FILE *file = fopen(f.names[0], "rb");
    assert_non_null(file);
    assert_int_equal(fread(page, 1, PAGE, file), PAGE);
    fclose(file);
    uint64_t checksum = 0;
    const size_t at =
        16 + 320 + 16; /* of the checksum: behind the magic, the key, two sizes */
    memcpy(&checksum, page + at, sizeof checksum);
    memset(page + at, 0, sizeof checksum);
    assert_int_equal(hsi_cpu_content_hash(page, PAGE, 0), checksum);
    assert_memory_equal(page + 16, HSCHED_VERSION_STRING, strlen(HSCHED_VERSION_STRING));
    page[16] = '9';
    checksum = hsi_cpu_content_hash(page, PAGE, 0);
    memcpy(page + at, &checksum, sizeof checksum);
    overwrite(f.names[0], 0, page, PAGE);
    check_repaired(f.bytes);
}

/* A folder cannot be made: a file has its name. */
static void test_cannot_be_written(void **state)
{
    (void)state;
    FILE *file = fopen(below, "w");
    assert_non_null(file);
    fclose(file);
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(last_warning, below));
    assert_non_null(strstr(last_warning, "cannot be kept"));
    unlink(below);
}

static void make_file(const char *path, time_t age)
{
    const struct timespec then = { .tv_sec = time(NULL) - age },
                          times[2] = { then, then };
    const int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(file >= 0);
    assert_int_equal(futimens(file, times), 0);
    assert_int_equal(close(file), 0);
}

/* The first test: the names of this process' files are known, as another container's would be. */
static void test_left_over(void **state)
{
    (void)state;
    enum {
        TAKEN = 5
    };
    char path[sizeof last_warning];
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    const found f = look();
    assert_int_equal(f.files, FILES);
    for (unsigned k = 0; k < FILES; k++)
        for (unsigned n = 0; n < TAKEN; n++) {
            snprintf(path, sizeof path, "%s.%ld-%u", f.names[k], (long)getpid(),
                     FILES + n);
            make_file(path, 60);
        }
    for (unsigned k = 0; k < FILES; k++)
        unlink(f.names[k]);
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    assert_int_equal(look().files, FILES);
    assert_int_equal(look().others, FILES * TAKEN); /* may be somebody's still */
    assert_int_equal(warnings, 0);

    for (unsigned k = 0; k < FILES; k++)
        for (unsigned n = 0; n < TAKEN; n++) {
            snprintf(path, sizeof path, "%s.%ld-%u", f.names[k], (long)getpid(),
                     FILES + n);
            unlink(path);
        }
    snprintf(path, sizeof path, "%s.1-0", f.names[0]);
    make_file(path, 7200); /* nobody's any more */
    unlink(f.names[0]);
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    assert_int_equal(look().files, FILES);
    assert_int_equal(look().others, 0);
}

static void test_limit(void **state)
{
    (void)state;
    const uint64_t limit = hsi_cpu_store_limit;
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    const uint64_t all = look().bytes;
    remove_all();
    hsi_cpu_store_limit = all - 1;
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    found f = look();
    assert_true(f.files > 0 && f.files < FILES);
    assert_true(f.bytes < all);
    assert_int_equal(warnings, 0);
    remove_all();
    hsi_cpu_store_limit = PAGE; /* not even one */
    check_load(HSCHED_MODEL_CACHE_WEIGHTS);
    assert_int_equal(look().files, 0);
    assert_int_equal(warnings, 1);
    hsi_cpu_store_limit = limit;
}

static void *load_some(void *user)
{
    hsched_graph *g = user;
    static _Thread_local float y[LARGE_OUTPUT];
    uint64_t held;
    uintptr_t bad = 0;
    for (int i = 0; i < 3; i++) {
        bad += load_and_infer(g, HSCHED_MODEL_CACHE_WEIGHTS, y, &held) != HSCHED_OK ||
               memcmp(y, expected, sizeof y) != 0;
    }
    return (void *)bad;
}

/* Two processes of two threads each, from nothing. */
static void test_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        remove_all();
        const pid_t child = fork();
        assert_true(child >= 0);
        hsched_graph *g[2] = { large_network(), large_network() };
        pthread_t other;
        void *bad[2] = { NULL, NULL };
        assert_int_equal(pthread_create(&other, NULL, load_some, g[1]), 0);
        bad[0] = load_some(g[0]);
        pthread_join(other, &bad[1]);
        if (child == 0)
            _exit(bad[0] || bad[1] || warnings);
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_null(bad[0]);
        assert_null(bad[1]);
        for (int i = 0; i < 2; i++)
            hsched_graph_destroy(g[i]);
        const found f = look();
        assert_int_equal(f.files, FILES);
        assert_int_equal(f.others, 0);
        assert_int_equal(warnings, 0);
    }
}

/* Every heap call fails once, while files are written and while they are mapped. */
static void test_no_memory(void **state)
{
    (void)state;
    static float y[LARGE_OUTPUT];
    hsched_graph *g = large_network();
    uint64_t ignored, last = 0;
    for (uint64_t k = 1; k < last + 8; k++) {
        if (k % 2)
            remove_all();
        const uint64_t before = hsi_alloc_bytes();
        hsi_alloc_fail_after(k);
        const hsched_status status =
            load_and_infer(g, HSCHED_MODEL_CACHE_WEIGHTS, y, &ignored);
        hsi_alloc_fail_after(0);
        assert_int_equal(hsi_alloc_bytes(), before);
        if (status == HSCHED_OK) {
            assert_memory_equal(y, expected, sizeof y);
            continue;
        }
        assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
        last = k;
    }
    assert_true(last > 50);
    hsched_graph_destroy(g);
}

/* Of the reference implementation of XXH64. */
static void test_hash(void **state)
{
    (void)state;
    const char *text = "Nobody inspects the spammish repetition";
    assert_true(hsi_cpu_content_hash("", 0, 0) == UINT64_C(0xef46db3751d8e999));
    assert_true(hsi_cpu_content_hash("abc", 3, 0) == UINT64_C(0x44bc2cf5ad770999));
    assert_true(hsi_cpu_content_hash(text, strlen(text), 0) ==
                UINT64_C(0xfbcea83c8a378bf1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_left_over, start_anew),
        cmocka_unit_test_setup(test_off, start_anew),
        cmocka_unit_test_setup(test_written_once_and_mapped, start_anew),
        cmocka_unit_test_setup(test_damaged, start_anew),
        cmocka_unit_test_setup(test_other_version, start_anew),
        cmocka_unit_test_setup(test_cannot_be_written, start_anew),
        cmocka_unit_test_setup(test_limit, start_anew),
        cmocka_unit_test_setup(test_at_once, start_anew),
        cmocka_unit_test_setup(test_no_memory, start_anew),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
