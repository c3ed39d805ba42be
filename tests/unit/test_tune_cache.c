/* The file of tuned choices: kept, merged, bounded, and proof against whatever lies there. */
#include "common/support.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/tune_cache.h"
#include "base/alloc.h"

static char folder[200];
static int warnings; /* messages of the log */

static void count_message(void *user, hsched_log_level level, const char *message)
{
    (void)level;
    assert_non_null(message);
    ++*(int *)user;
}

static int remove_one(const char *path, const struct stat *info, int type,
                      struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hsched-tune-XXXXXX");
    warnings = 0;
    hsched_log_set(count_message, &warnings, HSCHED_LOG_WARNING);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    hsched_log_set(NULL, NULL, HSCHED_LOG_WARNING);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- Helpers -------------------------------------------------------------- */

static hsched_status open_in(const char *path, const char *device, hsi_tune_cache **cache)
{
    const hsi_tune_cache_config config = {
        .host = &hsi_backend_host, .kind = "gpu", .folder = path, .device_key = device
    };
    return hsi_tune_cache_open(&config, cache);
}

static hsi_tune_cache *open_for(const char *device)
{
    hsi_tune_cache *cache;
    assert_ok(open_in(folder, device, &cache));
    assert_non_null(cache);
    return cache;
}

static const char *file_path(const char *name)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *data, size_t size)
{
    FILE *file = fopen(file_path("gpu-tuning.txt"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *text)
{
    write_bytes(text, strlen(text));
}

static char *read_text(void)
{
    static char text[1 << 16];
    FILE *file = fopen(file_path("gpu-tuning.txt"), "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static int count_lines(void)
{
    int lines = 0, c;
    FILE *file = fopen(file_path("gpu-tuning.txt"), "rb");
    assert_non_null(file);
    while ((c = getc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    return lines;
}

/* The key has this choice, or none where `expected` is NULL. */
static void expect(hsi_tune_cache *cache, const char *key, const char *expected)
{
    char text[HSI_TUNE_VARIANT] = "";
    float microseconds = -1;
    int full = -1;
    const int found = hsi_tune_cache_get(cache, key, text, &microseconds, &full);
    assert_int_equal(found, expected != NULL);
    if (!expected)
        return;
    assert_string_equal(text, expected);
    assert_true(microseconds > 0);
    assert_true(full == 0 || full == 1);
}

#define HEADER "hsched gpu tuning 1\n"

/* ---- Tests ---------------------------------------------------------------- */

static void choices_are_kept(void **state)
{
    (void)state;
    char text[HSI_TUNE_VARIANT];
    float microseconds;
    int full;
    hsi_tune_cache *cache = open_for("GPU one");
    expect(cache, "k1", NULL);
    hsi_tune_cache_put(cache, "k1", "tile:64", 12.3456f, 0);
    hsi_tune_cache_put(cache, "k2", "cudnn:38:2=1,12=0", 0.25f, 1);
    expect(cache, "k1", "tile:64");
    hsi_tune_cache_close(cache);

    cache = open_for("GPU one");
    assert_true(hsi_tune_cache_get(cache, "k1", text, &microseconds, &full));
    assert_string_equal(text, "tile:64");
    assert_float_equal(microseconds, 12.346f, 0.0005f);
    assert_int_equal(full, 0);
    assert_true(hsi_tune_cache_get(cache, "k2", text, &microseconds, &full));
    assert_string_equal(text, "cudnn:38:2=1,12=0");
    assert_float_equal(microseconds, 0.25f, 0.0005f);
    assert_int_equal(full, 1);
    hsi_tune_cache_close(cache);
    hsi_tune_cache_close(NULL);
    assert_int_equal(warnings, 0);
}

static void other_devices_keep_their_choices(void **state)
{
    (void)state;
    hsi_tune_cache *one = open_for("GPU one"), *two = open_for("GPU two");
    hsi_tune_cache_put(one, "k", "tile:1", 1, 1);
    hsi_tune_cache_put(two, "k", "tile:2", 2, 1);
    hsi_tune_cache_close(one);
    hsi_tune_cache_close(two);
    one = open_for("GPU one");
    expect(one, "k", "tile:1");
    hsi_tune_cache_close(one);
    two = open_for("GPU two");
    expect(two, "k", "tile:2");
    hsi_tune_cache_close(two);
    hsi_tune_cache *three = open_for("GPU");
    expect(three, "k", NULL);
    hsi_tune_cache_close(three);
}

static void full_searches_stand(void **state)
{
    (void)state;
    hsi_tune_cache *a = open_for("GPU"), *b = open_for("GPU");
    hsi_tune_cache_put(a, "here", "tile:full", 1, 1);
    hsi_tune_cache_put(a, "here", "tile:quick", 1, 0);
    expect(a, "here", "tile:full");
    hsi_tune_cache_put(a, "there", "tile:full", 1, 1);
    assert_ok(hsi_tune_cache_save(a));
    hsi_tune_cache_put(b, "there", "tile:quick", 1, 0);
    hsi_tune_cache_put(b, "new", "tile:quick", 1, 0);
    assert_ok(hsi_tune_cache_save(b));
    expect(b, "there", "tile:full"); /* what another process has found in full */
    hsi_tune_cache_put(a, "new", "tile:better", 1, 1);
    hsi_tune_cache_close(a);
    hsi_tune_cache_close(b);
    a = open_for("GPU");
    expect(a, "here", "tile:full");
    expect(a, "there", "tile:full");
    expect(a, "new", "tile:better");
    hsi_tune_cache_close(a);
    assert_int_equal(count_lines(), 4);
}

static void saving_nothing_new_writes_nothing(void **state)
{
    (void)state;
    hsi_tune_cache *cache = open_for("GPU");
    assert_ok(hsi_tune_cache_save(cache));
    assert_int_not_equal(access(file_path("gpu-tuning.txt"), F_OK), 0);
    hsi_tune_cache_put(cache, "k", "tile:1", 1, 0);
    assert_ok(hsi_tune_cache_save(cache));
    assert_int_equal(remove(file_path("gpu-tuning.txt")), 0);
    hsi_tune_cache_close(cache); /* all of it is saved */
    assert_int_not_equal(access(file_path("gpu-tuning.txt"), F_OK), 0);
}

static void bad_lines_are_left_out(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "GPU\tk\ttile:1\t1.000",       /* a field is missing */
        "GPU\tk\ttile:1\t1.000\t1\t1", /* one too many */
        "GPU\tk\ttile:1\t1.000\t2",    /* neither 0 nor 1 */
        "GPU\tk\ttile:1\t1.000\t01",
        "GPU\tk\ttile:1\t1.000\t1 ",
        "GPU\tk\ttile:1\t1\t1", /* times are "0.000" */
        "GPU\tk\ttile:1\t1.00\t1",
        "GPU\tk\ttile:1\t1,000\t1",
        "GPU\tk\ttile:1\t-1.000\t1",
        "GPU\tk\ttile:1\t.000\t1",
        "GPU\tk\ttile:1\t0.000\t1",
        "GPU\tk\ttile:1\t1e9.000\t1",
        "GPU\tk\ttile:1\tnan\t1",
        "GPU\tk\ttile:1\t99999999999.000\t1",
        "GPU\tk\ttile:1\t18446744073709551617.000\t1",
        "GPU\tk\ttile:1\t\t1",
        "GPU\tk\t\t1.000\t1", /* empty fields */
        "GPU\t\ttile:1\t1.000\t1",
        "\tk\ttile:1\t1.000\t1",
        "GPU\tk k\ttile:1\t1.000\t1", /* blanks */
        "GPU\tk\ttile: 1\t1.000\t1",
        "GPU\tk\ttile:\x01\t1.000\t1", /* characters */
        "GPU\tk\ttile:\xc3\xa4\t1.000\t1",
        "GPU\tk\r\ttile:1\t1.000\t1",
        "GPU\tk\ttile:1\t1.000\t1\r",
        "",
        "\t\t\t\t",
        "GPU",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 HEADER "GPU\tbefore\ttile:1\t1.000\t1\n%s\nGPU\tafter\ttile:2\t1.000\t0",
                 bad[i]);
        write_text(text);
        warnings = 0;
        hsi_tune_cache *cache = open_for("GPU");
        assert_int_equal(warnings, 1);
        expect(cache, "k", NULL);
        expect(cache, "before", "tile:1");
        expect(cache, "after", "tile:2"); /* without a newline at the end */
        hsi_tune_cache_put(cache, "new", "tile:3", 1, 0);
        hsi_tune_cache_close(cache);
        assert_string_equal(read_text(), HEADER "GPU\tbefore\ttile:1\t1.000\t1\n"
                                                "GPU\tafter\ttile:2\t1.000\t0\n"
                                                "GPU\tnew\ttile:3\t1.000\t0\n");
    }
}

static void long_fields_and_lines_are_left_out(void **state)
{
    (void)state;
    static char text[1 << 20], filler[1 << 19];
    memset(filler, 'x', sizeof filler - 1);
    const struct {
        int device, key, variant; /* lengths */
        int valid;
    } cases[] = {
        { 1, HSI_TUNE_STEP_KEY - 1, 1, 1 },   { 1, HSI_TUNE_STEP_KEY, 1, 0 },
        { 1, 1, HSI_TUNE_VARIANT - 1, 1 },    { 1, 1, HSI_TUNE_VARIANT, 0 },
        { HSI_TUNE_DEVICE_KEY - 1, 1, 1, 1 }, { HSI_TUNE_DEVICE_KEY, 1, 1, 0 },
        { 1, 1, sizeof filler - 1, 0 },       { 1, 1023, 1, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char device[HSI_TUNE_DEVICE_KEY], key[HSI_TUNE_STEP_KEY];
        snprintf(text, sizeof text, HEADER "%.*s\t%.*s\t%.*s\t1.000\t1\n",
                 cases[i].device, filler, cases[i].key, filler, cases[i].variant, filler);
        write_text(text);
        snprintf(device, sizeof device, "%.*s", cases[i].device, filler);
        snprintf(key, sizeof key, "%.*s", cases[i].key, filler);
        warnings = 0;
        hsi_tune_cache *cache = open_for(device);
        assert_int_equal(warnings, !cases[i].valid);
        char variant[HSI_TUNE_VARIANT];
        float microseconds;
        int full;
        assert_int_equal(hsi_tune_cache_get(cache, key, variant, &microseconds, &full),
                         cases[i].valid);
        hsi_tune_cache_close(cache);
    }
}

/* Whatever the bytes are: opened, and replaced by a good file. */
static void check_replaced(const char *data, size_t size)
{
    write_bytes(data, size);
    hsi_tune_cache *cache = open_for("GPU");
    hsi_tune_cache_put(cache, "k", "tile:1", 1, 1);
    hsi_tune_cache_close(cache);
    warnings = 0;
    cache = open_for("GPU");
    assert_int_equal(warnings, 0);
    expect(cache, "k", "tile:1");
    hsi_tune_cache_close(cache);
}

static void check_replaced_text(const char *text)
{
    check_replaced(text, strlen(text));
}

static void files_of_another_kind_are_replaced(void **state)
{
    (void)state;
    static char junk[100000];
    uint32_t seed = 1;
    check_replaced_text("");
    check_replaced_text("\n");
    check_replaced_text("hsched gpu tuning 2\nGPU\tk\ttile:9\t1.000\t1\n");
    check_replaced_text("hsched gpu tuning");
    check_replaced_text("GPU\tk\ttile:9\t1.000\t1\n");
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof junk; i++)
            junk[i] = (char)(next_float(&seed) * 128);
        if (round % 2)
            memcpy(junk, HEADER, strlen(HEADER));
        check_replaced(junk, sizeof junk);
    }
    memset(junk, 0, sizeof junk);
    check_replaced(junk, sizeof junk);
    memset(junk, '\n', sizeof junk);
    memcpy(junk, HEADER, strlen(HEADER));
    check_replaced(junk, sizeof junk);
}

/* Cut off anywhere, a file still gives the lines that are whole. */
static void truncated_files_give_what_is_whole(void **state)
{
    (void)state;
    static const char whole[] =
        HEADER "GPU\tk1\ttile:1\t1.000\t1\nGPU\tk2\ttile:2\t2.500\t0\n";
    const size_t header = strlen(HEADER), first = header + 22;
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        write_bytes(whole, size);
        hsi_tune_cache *cache = open_for("GPU");
        expect(cache, "k1", size + 1 >= first ? "tile:1" : NULL);
        expect(cache, "k2", size + 1 == sizeof whole - 1 ? "tile:2" : NULL);
        hsi_tune_cache_close(cache);
    }
}

static void choices_that_cannot_stand_in_a_line_are_refused(void **state)
{
    (void)state;
    char longer[400];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    hsi_tune_cache *cache = open_for("GPU\twith\na tab");
    hsi_tune_cache_put(cache, "a key", "tile:1", 1, 1);
    hsi_tune_cache_put(cache, "a\tkey", "tile:1", 1, 1);
    hsi_tune_cache_put(cache, "", "tile:1", 1, 1);
    hsi_tune_cache_put(cache, longer, "tile:1", 1, 1);
    hsi_tune_cache_put(cache, "k", "tile\n", 1, 1);
    hsi_tune_cache_put(cache, "k", "", 1, 1);
    hsi_tune_cache_put(cache, "k", longer, 1, 1);
    assert_int_equal(warnings, 7);
    expect(cache, "k", NULL);
    hsi_tune_cache_put(cache, "nan", "tile:1", 0.0f / 0.0f, 1);
    hsi_tune_cache_put(cache, "less", "tile:1", -1, 1);
    hsi_tune_cache_put(cache, "more", "tile:1", 1e30f, 1);
    hsi_tune_cache_close(cache);
    warnings = 0;
    cache = open_for("GPU\twith\na tab"); /* the device's key was made to fit */
    assert_int_equal(warnings, 0);
    expect(cache, "nan", "tile:1");
    expect(cache, "less", "tile:1");
    expect(cache, "more", "tile:1");
    hsi_tune_cache_close(cache);
}

enum {
    WRITERS = 4,
    ROUNDS = 10,
    KEYS = 5
};

/* In a child process, where assertions would be no use: 1 if all went well. */
static int write_as(int writer)
{
    char key[40];
    int fine = 1;
    for (int round = 0; round < ROUNDS && fine; round++) {
        hsi_tune_cache *cache;
        if (open_in(folder, writer % 2 ? "GPU one" : "GPU two", &cache) != HSCHED_OK)
            return 0;
        for (int k = 0; k < KEYS; k++) {
            snprintf(key, sizeof key, "w%d;r%d;k%d", writer, round, k);
            hsi_tune_cache_put(cache, key, "tile:1", 1, 1);
        }
        fine = hsi_tune_cache_save(cache) == HSCHED_OK;
        hsi_tune_cache_close(cache);
    }
    return fine && warnings == 0;
}

static void check_written(void)
{
    char key[40];
    hsi_tune_cache *caches[2] = { open_for("GPU two"), open_for("GPU one") };
    for (int writer = 0; writer < WRITERS; writer++)
        for (int round = 0; round < ROUNDS; round++)
            for (int k = 0; k < KEYS; k++) {
                snprintf(key, sizeof key, "w%d;r%d;k%d", writer, round, k);
                expect(caches[writer % 2], key, "tile:1");
            }
    hsi_tune_cache_close(caches[0]);
    hsi_tune_cache_close(caches[1]);
    assert_int_equal(warnings, 0);
    assert_int_equal(count_lines(), 1 + WRITERS * ROUNDS * KEYS);
}

static void processes_write_at_the_same_time(void **state)
{
    (void)state;
    pid_t children[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(!write_as(i));
    }
    for (int i = 0; i < WRITERS; i++) {
        int result = -1;
        assert_int_equal(waitpid(children[i], &result, 0), children[i]);
        assert_int_equal(result, 0);
    }
    check_written();
}

typedef struct sharer {
    hsi_tune_cache *cache;
    int number;
} sharer;

static void *share(void *argument)
{
    const sharer *s = argument;
    char key[40], text[HSI_TUNE_VARIANT];
    float microseconds;
    int full;
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "t%d;%d", s->number, i);
        hsi_tune_cache_put(s->cache, key, "tile:1", 1, 0);
        hsi_tune_cache_put(s->cache, "joint", "tile:2", 1, i == 100);
        hsi_tune_cache_get(s->cache, "joint", text, &microseconds, &full);
        if (i % 50 == 0 && hsi_tune_cache_save(s->cache) != HSCHED_OK)
            return NULL;
    }
    return argument;
}

static void threads_share_a_cache(void **state)
{
    (void)state;
    pthread_t threads[4];
    sharer sharers[4];
    char key[40];
    void *result;
    hsi_tune_cache *cache = open_for("GPU");
    for (int i = 0; i < 4; i++) {
        sharers[i] = (sharer){ cache, i };
        assert_int_equal(pthread_create(&threads[i], NULL, share, &sharers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    hsi_tune_cache_close(cache);
    cache = open_for("GPU");
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "t%d;199", i);
        expect(cache, key, "tile:1");
    }
    hsi_tune_cache_close(cache);
    assert_int_equal(count_lines(), 1 + 4 * 200 + 1);
}

static void the_oldest_of_too_many_go(void **state)
{
    (void)state;
    enum {
        MORE = 10
    };
    FILE *file = fopen(file_path("gpu-tuning.txt"), "w");
    assert_non_null(file);
    fprintf(file, HEADER);
    for (int i = 0; i < HSI_TUNE_CACHE_LINES + MORE; i++)
        fprintf(file, "%s\tk%d\ttile:%d\t1.000\t0\n", i % 2 ? "GPU" : "other", i, i);
    assert_int_equal(fclose(file), 0);
    hsi_tune_cache *cache = open_for("GPU");
    expect(cache, "k9", NULL); /* the first ten are not even read */
    expect(cache, "k11", "tile:11");
    hsi_tune_cache_put(cache, "new1", "tile:1", 1, 0);
    hsi_tune_cache_put(cache, "new2", "tile:2", 1, 0);
    hsi_tune_cache_close(cache);
    assert_int_equal(count_lines(), 1 + HSI_TUNE_CACHE_LINES);
    cache = open_for("GPU");
    expect(cache, "k11", NULL);
    expect(cache, "k13", "tile:13");
    expect(cache, "k100009", "tile:100009");
    expect(cache, "new1", "tile:1");
    expect(cache, "new2", "tile:2");
    hsi_tune_cache_close(cache);
    assert_int_equal(warnings, 0);
}

static void memory_is_bounded_too(void **state)
{
    (void)state;
    char key[40];
    hsi_tune_cache *cache = open_for("GPU");
    for (int i = 0; i < HSI_TUNE_CACHE_LINES + 2; i++) {
        snprintf(key, sizeof key, "k%d", i);
        hsi_tune_cache_put(cache, key, "tile:1", 1, 0);
    }
    expect(cache, "k1", NULL);
    expect(cache, "k2", "tile:1");
    hsi_tune_cache_close(cache);
    assert_int_equal(count_lines(), 1 + HSI_TUNE_CACHE_LINES);
}

/* The parent is a file, so that root cannot make it either. */
static void a_folder_that_cannot_be_made_is_an_error_of_save(void **state)
{
    (void)state;
    char path[300];
    hsi_tune_cache *cache;
    write_text("not a folder");
    snprintf(path, sizeof path, "%s/gpu-tuning.txt/below", folder);
    assert_ok(open_in(path, "GPU", &cache));
    warnings = 0;
    hsi_tune_cache_put(cache, "k", "tile:1", 1, 0);
    assert_fails(hsi_tune_cache_save(cache), HSCHED_ERROR_IO, "folder");
    expect(cache, "k", "tile:1");
    hsi_tune_cache_close(cache);
    assert_int_equal(warnings, 1);
    assert_string_equal(read_text(), "not a folder");
}

/* In a child process: 1 if the error was one and nothing was forgotten. */
static int save_where_it_is_forbidden(void)
{
    hsi_tune_cache *cache;
    if ((geteuid() == 0 && setuid(65534) != 0) || chmod(folder, 0500) != 0 ||
        open_in(folder, "GPU", &cache) != HSCHED_OK)
        return 0;
    hsi_tune_cache_put(cache, "k", "tile:1", 1, 0);
    int fine = hsi_tune_cache_save(cache) == HSCHED_ERROR_IO &&
               strstr(hsched_error_detail(), folder) != NULL;
    fine = chmod(folder, 0700) == 0 && fine;
    fine = hsi_tune_cache_save(cache) == HSCHED_OK && fine;
    hsi_tune_cache_close(cache);
    return fine;
}

/* Root may write anywhere, so it is not root who does. */
static void an_unwritable_folder_is_an_error_of_save(void **state)
{
    (void)state;
    int result = -1;
    if (geteuid() == 0)
        assert_int_equal(chown(folder, 65534, 65534), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(!save_where_it_is_forbidden());
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    hsi_tune_cache *cache = open_for("GPU");
    expect(cache, "k", "tile:1");
    hsi_tune_cache_close(cache);
}

static void what_is_no_file_is_left_alone(void **state)
{
    (void)state;
    struct stat info;
    assert_int_equal(mkdir(file_path("gpu-tuning.txt"), 0700), 0);
    hsi_tune_cache *cache = open_for("GPU");
    assert_int_equal(warnings, 1);
    hsi_tune_cache_put(cache, "k", "tile:1", 1, 0);
    assert_fails(hsi_tune_cache_save(cache), HSCHED_ERROR_IO, "gpu-tuning.txt");
    hsi_tune_cache_close(cache);
    assert_int_equal(stat(file_path("gpu-tuning.txt"), &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_not_equal(access(file_path("gpu-tuning.tmp"), F_OK), 0);
}

static void the_folder_is_made_for_the_user_only(void **state)
{
    (void)state;
    char path[300];
    struct stat info;
    hsi_tune_cache *cache;
    snprintf(path, sizeof path, "%s/a/b/", folder);
    assert_ok(open_in(path, "GPU", &cache));
    hsi_tune_cache_put(cache, "k", "tile:1", 1, 0);
    hsi_tune_cache_close(cache);
    assert_int_equal(stat(file_path("a/b/gpu-tuning.txt"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(file_path("a/b"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(file_path("a"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(warnings, 0);
}

/* Opens by default, puts a choice, closes: where is the file then? */
static void check_default(const char *expected)
{
    hsi_tune_cache *cache;
    assert_ok(open_in(NULL, "GPU", &cache));
    hsi_tune_cache_put(cache, "k", "tile:1", 1, 0);
    hsi_tune_cache_close(cache);
    if (expected)
        assert_int_equal(access(file_path(expected), R_OK), 0);
}

static void the_environment_names_the_folder(void **state)
{
    (void)state;
    const char *const home = getenv("HOME");
    char old_home[300];
    snprintf(old_home, sizeof old_home, "%s", home ? home : "");
    setenv("HSCHED_CACHE_DIR", file_path("mine"), 1);
    setenv("XDG_CACHE_HOME", file_path("xdg"), 1);
    setenv("HOME", file_path("home"), 1);
    check_default("mine/gpu-tuning.txt");
    unsetenv("HSCHED_CACHE_DIR");
    check_default("xdg/hsched/gpu-tuning.txt");
    setenv("XDG_CACHE_HOME", "not/absolute", 1);
    check_default("home/.cache/hsched/gpu-tuning.txt");
    assert_int_equal(warnings, 0);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    check_default(NULL); /* in memory only, and said so */
    assert_int_equal(warnings, 1);
    if (home)
        setenv("HOME", old_home, 1);
}

/* Each allocation fails in turn: nothing leaks, and what is stored is whole. */
static void lack_of_memory_loses_choices_only(void **state)
{
    (void)state;
    write_text(HEADER "GPU\tk1\ttile:1\t1.000\t1\nGPU\tk2\ttile:2\t1.000\t1\n");
    for (uint64_t k = 1; k <= 20; k++) {
        char text[HSI_TUNE_VARIANT];
        float microseconds;
        int full;
        hsi_tune_cache *cache;
        hsi_alloc_fail_after(k);
        hsched_status status = open_in(folder, "GPU", &cache);
        if (status == HSCHED_OK) {
            hsi_tune_cache_put(cache, "k3", "tile:3", 1, 1);
            if (hsi_tune_cache_get(cache, "k1", text, &microseconds, &full))
                assert_string_equal(text, "tile:1");
        } else {
            assert_int_equal(status, HSCHED_ERROR_OUT_OF_MEMORY);
            assert_null(cache);
        }
        hsi_tune_cache_close(cache);
        hsi_alloc_fail_after(0);
        cache = open_for("GPU");
        expect(cache, "k1", "tile:1");
        expect(cache, "k2", "tile:2");
        hsi_tune_cache_close(cache);
    }
}

#define IN_A_FOLDER(test)                                                                \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(choices_are_kept),
        IN_A_FOLDER(other_devices_keep_their_choices),
        IN_A_FOLDER(full_searches_stand),
        IN_A_FOLDER(saving_nothing_new_writes_nothing),
        IN_A_FOLDER(bad_lines_are_left_out),
        IN_A_FOLDER(long_fields_and_lines_are_left_out),
        IN_A_FOLDER(files_of_another_kind_are_replaced),
        IN_A_FOLDER(truncated_files_give_what_is_whole),
        IN_A_FOLDER(choices_that_cannot_stand_in_a_line_are_refused),
        IN_A_FOLDER(processes_write_at_the_same_time),
        IN_A_FOLDER(threads_share_a_cache),
        IN_A_FOLDER(the_oldest_of_too_many_go),
        IN_A_FOLDER(memory_is_bounded_too),
        IN_A_FOLDER(a_folder_that_cannot_be_made_is_an_error_of_save),
        IN_A_FOLDER(an_unwritable_folder_is_an_error_of_save),
        IN_A_FOLDER(what_is_no_file_is_left_alone),
        IN_A_FOLDER(the_folder_is_made_for_the_user_only),
        IN_A_FOLDER(the_environment_names_the_folder),
        IN_A_FOLDER(lack_of_memory_loses_choices_only),
    };
    return cmocka_run_group_tests_name("tune_cache", tests, NULL, NULL);
}
