#include "backend/tune_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM         1
#define uthash_malloc(size)       cache->host->alloc(size)  /* where the table is used, */
#define uthash_free(memory, size) cache->host->free(memory) /* it is of `cache` */
#include <uthash.h>

#define LINE_LENGTH     1024
#define FILE_BYTES_MAX  ((off_t)64 << 20)
#define NANOSECONDS_MAX UINT64_C(1000000000000) /* of a launch: 1000 s */
#define LOCK_TRIES      500                     /* of 10 ms */

typedef struct entry {
    char key[HSI_TUNE_STEP_KEY];
    char text[HSI_TUNE_VARIANT];
    uint64_t nanoseconds;
    int full;
    int dirty; /* not in the file yet */
    UT_hash_handle hh;
} entry;

struct hsi_tune_cache {
    const hsched_backend_host *host;
    char kind[8];               /* "gpu" */
    char header[32];            /* the first line of a file of this version */
    pthread_mutex_t mutex;      /* for all below; held while a file is written */
    char folder[PATH_MAX - 64]; /* "": there is none, nothing is saved */
    char device_key[HSI_TUNE_DEVICE_KEY];
    entry *entries; /* of this device, oldest first */
};

/* ---- Lines ---------------------------------------------------------------- */

/* 1 if text[length] is 1 to most - 1 printable characters, without blanks unless `blanks`. */
static int printable(const char *text, size_t length, size_t most, int blanks)
{
    if (length == 0 || length >= most)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (text[i] > '~' || text[i] < ' ' || (text[i] == ' ' && !blanks))
            return 0;
    return 1;
}

/* "12.345", whatever the locale: 1 and the thousandths, or 0. */
static int parse_time(const char *text, size_t length, uint64_t *nanoseconds)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < length && text[i] != '.'; i++) {
        if (text[i] < '0' || text[i] > '9' || i >= 10)
            return 0;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (i == 0 || length != i + 4)
        return 0;
    for (i++; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *nanoseconds = value;
    return value > 0 && value <= NANOSECONDS_MAX;
}

typedef struct line {
    const char *device, *key, *text; /* not terminated */
    size_t device_length, key_length, text_length;
    uint64_t nanoseconds;
    int full;
} line;

static int parse_line(const char *text, size_t length, line *out)
{
    const char *fields[5];
    size_t lengths[5];
    const char *const end = text + length;
    if (length >= LINE_LENGTH)
        return 0;
    for (int i = 0; i < 5; i++) {
        const char *tab = memchr(text, '\t', (size_t)(end - text));
        if ((tab != NULL) != (i < 4))
            return 0;
        fields[i] = text;
        lengths[i] = (size_t)((tab ? tab : end) - text);
        text = tab ? tab + 1 : end;
    }
    *out = (line){ .device = fields[0],
                   .device_length = lengths[0],
                   .key = fields[1],
                   .key_length = lengths[1],
                   .text = fields[2],
                   .text_length = lengths[2],
                   .full = lengths[4] == 1 && fields[4][0] == '1' };
    return printable(fields[0], lengths[0], HSI_TUNE_DEVICE_KEY, 1) &&
           printable(fields[1], lengths[1], HSI_TUNE_STEP_KEY, 0) &&
           printable(fields[2], lengths[2], HSI_TUNE_VARIANT, 0) &&
           parse_time(fields[3], lengths[3], &out->nanoseconds) &&
           (out->full || (lengths[4] == 1 && fields[4][0] == '0'));
}

/* ---- Reading -------------------------------------------------------------- */

static hsched_status io_error(const hsi_tune_cache *cache, const char *what,
                              const char *path)
{
    return cache->host->set_error(HSCHED_ERROR_IO, "%s: %s %s: %s", cache->kind, what,
                                  path, strerror(errno));
}

static hsched_status no_memory(const hsched_backend_host *host)
{
    return host->set_error(HSCHED_ERROR_OUT_OF_MEMORY, "no memory for the tuning cache");
}

/* The path of the file with that ending, into path[PATH_MAX]: ".txt"; ".tmp", which is written
 * under the lock only; ".lock". */
static const char *path_of(const hsi_tune_cache *cache, const char *ending, char *path)
{
    snprintf(path, PATH_MAX, "%s/%s-tuning%s", cache->folder, cache->kind, ending);
    return path;
}

/* The whole file, to be freed; NULL and 0 bytes if there is none. */
static hsched_status read_file(const hsi_tune_cache *cache, const char *path, char **data,
                               size_t *size)
{
    struct stat info;
    hsched_status status = HSCHED_OK;
    *data = NULL;
    *size = 0;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return errno == ENOENT || errno == ENOTDIR ? HSCHED_OK
                                                   : io_error(cache, "opening", path);
    if (fstat(file, &info) != 0)
        status = io_error(cache, "reading", path);
    else if (!S_ISREG(info.st_mode) || info.st_size > FILE_BYTES_MAX)
        status = cache->host->set_error(
            HSCHED_ERROR_FORMAT, "%s: %s is no tuning cache (not a file, or too large)",
            cache->kind, path);
    if (status != HSCHED_OK || info.st_size == 0)
        goto done;
    *data = cache->host->alloc((size_t)info.st_size);
    if (!*data) {
        status = no_memory(cache->host);
        goto done;
    }
    while (*size < (size_t)info.st_size) {
        const ssize_t got = read(file, *data + *size, (size_t)info.st_size - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = io_error(cache, "reading", path);
        if (got <= 0)
            break;
        *size += (size_t)got;
    }
done:
    close(file);
    if (status != HSCHED_OK) {
        cache->host->free(*data);
        *data = NULL;
        *size = 0;
    }
    return status;
}

/* Takes the next line off *at (its end mark is not part of it); 0 at the end. */
static int next_line(const char **at, const char *end, const char **text, size_t *length)
{
    if (*at >= end)
        return 0;
    const char *mark = memchr(*at, '\n', (size_t)(end - *at));
    *text = *at;
    *length = (size_t)((mark ? mark : end) - *at);
    *at = mark ? mark + 1 : end;
    return 1;
}

/* Lines with which at[..end] begins that are valid; *bad: that are not. Fills lines[], if given,
 * but for the first `skip` valid ones. */
static size_t parse_lines(const char *at, const char *end, size_t skip, line *lines,
                          size_t *bad)
{
    const char *text;
    size_t length, valid = 0;
    line l;
    *bad = 0;
    while (next_line(&at, end, &text, &length)) {
        if (!parse_line(text, length, &l)) {
            (*bad)++;
            continue;
        }
        if (lines && valid >= skip)
            lines[valid - skip] = l;
        valid++;
    }
    return valid;
}

/* The valid lines of a file's text, to be freed, in the file's order; of too many the last. */
static hsched_status parse_file(const hsi_tune_cache *cache, const char *path,
                                const char *data, size_t size, line **lines,
                                size_t *count)
{
    const char *at = data, *text;
    const char *const end = data + size;
    size_t length, bad;
    *lines = NULL;
    *count = 0;
    if (!next_line(&at, end, &text, &length))
        return HSCHED_OK;
    if (length != strlen(cache->header) || memcmp(text, cache->header, length) != 0) {
        cache->host->log(HSCHED_LOG_WARNING,
                         "%s: %s is not of this version's format and is ignored",
                         cache->kind, path);
        return HSCHED_OK;
    }
    const size_t valid = parse_lines(at, end, 0, NULL, &bad);
    const size_t skip = valid > HSI_TUNE_CACHE_LINES ? valid - HSI_TUNE_CACHE_LINES : 0;
    *lines = cache->host->alloc((valid - skip + 1) * sizeof **lines);
    if (!*lines)
        return no_memory(cache->host);
    *count = valid - skip;
    parse_lines(at, end, skip, *lines, &bad);
    if (bad > 0)
        cache->host->log(HSCHED_LOG_WARNING,
                         "%s: %s: %zu of %zu lines are not valid and are ignored",
                         cache->kind, path, bad, bad + valid);
    return HSCHED_OK;
}

/* ---- The table ------------------------------------------------------------ */

static entry *find(hsi_tune_cache *cache, const char *key, size_t length)
{
    entry *found;
    HASH_FIND(hh, cache->entries, key, length, found);
    return found;
}

static void forget(hsi_tune_cache *cache, entry *old)
{
    HASH_DEL(cache->entries, old);
    cache->host->free(old);
}

/* Adds or replaces; 0 if there is no memory. Of too many the oldest goes. */
static int store(hsi_tune_cache *cache, const line *new, int dirty)
{
    entry *e = find(cache, new->key, new->key_length);
    if (!e) {
        if (HASH_COUNT(cache->entries) >= HSI_TUNE_CACHE_LINES)
            forget(cache, cache->entries);
        e = cache->host->alloc(sizeof *e);
        if (!e)
            return 0;
        memcpy(e->key, new->key, new->key_length);
        HASH_ADD_KEYPTR(hh, cache->entries, e->key, new->key_length, e);
        if (!find(cache, new->key, new->key_length)) { /* the table had no memory */
            cache->host->free(e);
            return 0;
        }
    } else if (e->full && !new->full) {
        return 1;
    }
    memset(e->text, 0, sizeof e->text);
    memcpy(e->text, new->text, new->text_length);
    e->nanoseconds = new->nanoseconds;
    e->full = new->full;
    e->dirty = dirty;
    return 1;
}

static int is_ours(const hsi_tune_cache *cache, const line *l)
{
    return l->device_length == strlen(cache->device_key) &&
           memcmp(l->device, cache->device_key, l->device_length) == 0;
}

static hsched_status load(hsi_tune_cache *cache)
{
    char path[PATH_MAX], *data;
    size_t size, count = 0;
    line *lines = NULL;
    hsched_status status = read_file(cache, path_of(cache, ".txt", path), &data, &size);
    if (status == HSCHED_OK)
        status = parse_file(cache, path, data, size, &lines, &count);
    for (size_t i = 0; i < count && status == HSCHED_OK; i++)
        if (is_ours(cache, &lines[i]) && !store(cache, &lines[i], 0))
            status = no_memory(cache->host);
    cache->host->free(lines);
    cache->host->free(data);
    return status;
}

/* ---- Writing -------------------------------------------------------------- */

/* mkdir -p; folders that are made are the user's only. */
static hsched_status make_folder(const hsi_tune_cache *cache)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", cache->folder);
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return io_error(cache, "making the folder", path);
        *at = '/';
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return io_error(cache, "making the folder", path);
    return HSCHED_OK;
}

/* The lock file, locked; closing it unlocks. Who holds it only writes a file: not for long. */
static hsched_status take_lock(const hsi_tune_cache *cache, const char *path, int *lock)
{
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*lock < 0)
        return io_error(cache, "opening", path);
    for (int i = 0; flock(*lock, LOCK_EX | LOCK_NB) != 0; i++) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || i == LOCK_TRIES) {
            const hsched_status status = io_error(cache, "locking", path);
            close(*lock);
            *lock = -1;
            return status;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    return HSCHED_OK;
}

static void write_line(FILE *file, const char *device, int device_length, const line *l)
{
    fprintf(file, "%.*s\t%.*s\t%.*s\t%" PRIu64 ".%03u\t%d\n", device_length, device,
            (int)l->key_length, l->key, (int)l->text_length, l->text,
            l->nanoseconds / 1000, (unsigned)(l->nanoseconds % 1000), l->full);
}

static line line_of(const entry *e)
{
    return (line){ .key = e->key,
                   .key_length = strlen(e->key),
                   .text = e->text,
                   .text_length = strlen(e->text),
                   .nanoseconds = e->nanoseconds,
                   .full = e->full };
}

/*
 * What is on disk and is not replaced by something newer of ours stays, in its order; what is
 * ours and new comes last, so that it is the oldest that goes when there are too many.
 */
static void write_merged(hsi_tune_cache *cache, FILE *file, const line *lines,
                         size_t count)
{
    size_t total = 0, skip = 0;
    for (int pass = 0; pass < 2; pass++) { /* first counts, then writes */
        if (pass == 1) {
            skip = total > HSI_TUNE_CACHE_LINES ? total - HSI_TUNE_CACHE_LINES : 0;
            fprintf(file, "%s\n", cache->header);
        }
        total = 0;
        for (size_t i = 0; i < count; i++) {
            const entry *e = is_ours(cache, &lines[i])
                                 ? find(cache, lines[i].key, lines[i].key_length)
                                 : NULL;
            if (e && e->dirty)
                continue;
            if (total++ >= skip && pass == 1)
                write_line(file, lines[i].device, (int)lines[i].device_length, &lines[i]);
        }
        for (const entry *e = cache->entries; e; e = e->hh.next) {
            const line l = line_of(e);
            if (e->dirty && total++ >= skip && pass == 1)
                write_line(file, cache->device_key, (int)strlen(cache->device_key), &l);
        }
    }
}

static hsched_status replace_file(hsi_tune_cache *cache, const line *lines, size_t count)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    path_of(cache, ".txt", path);
    path_of(cache, ".tmp", temporary);
    const int handle =
        open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *file = handle >= 0 ? fdopen(handle, "w") : NULL;
    if (!file) {
        const hsched_status status = io_error(cache, "writing", temporary);
        if (handle >= 0)
            close(handle);
        return status;
    }
    write_merged(cache, file, lines, count);
    int fine = fflush(file) == 0 && !ferror(file) && fsync(handle) == 0;
    hsched_status status = fine ? HSCHED_OK : io_error(cache, "writing", temporary);
    if (fclose(file) != 0 && fine)
        status = io_error(cache, "writing", temporary);
    if (status == HSCHED_OK && rename(temporary, path) != 0)
        status = io_error(cache, "renaming to", path);
    if (status != HSCHED_OK)
        unlink(temporary);
    return status;
}

/* The mutex is held. */
static hsched_status save(hsi_tune_cache *cache)
{
    char path[PATH_MAX], *data = NULL;
    size_t size, count = 0, dirty = 0;
    line *lines = NULL;
    int lock = -1;
    for (const entry *e = cache->entries; e; e = e->hh.next)
        dirty += (size_t)e->dirty;
    if (dirty == 0 || !cache->folder[0])
        return HSCHED_OK;
    hsched_status status = make_folder(cache);
    if (status == HSCHED_OK)
        status = take_lock(cache, path_of(cache, ".lock", path), &lock);
    if (status != HSCHED_OK)
        return status;
    status = read_file(cache, path_of(cache, ".txt", path), &data, &size);
    if (status == HSCHED_OK)
        status = parse_file(cache, path, data, size, &lines, &count);
    else if (status == HSCHED_ERROR_FORMAT)
        status = HSCHED_OK; /* what is no cache is replaced */
    /* Another process may have searched fully meanwhile: its choice stands then. */
    for (size_t i = 0; i < count; i++)
        if (is_ours(cache, &lines[i]) && lines[i].full) {
            entry *e = find(cache, lines[i].key, lines[i].key_length);
            if (e && !e->full)
                store(cache, &lines[i], 0);
        }
    if (status == HSCHED_OK)
        status = replace_file(cache, lines, count);
    if (status == HSCHED_OK)
        for (entry *e = cache->entries; e; e = e->hh.next)
            e->dirty = 0;
    cache->host->free(lines);
    cache->host->free(data);
    close(lock);
    return status;
}

/* ---- The interface -------------------------------------------------------- */

/* 0 if there is none or its name is too long. */
static int choose_folder(const char *folder, char *path, size_t size)
{
    int length;
    const char *base = NULL, *below = "";
    if (folder) {
        base = folder;
    } else if ((base = getenv("HSCHED_CACHE_DIR")) && base[0]) {
    } else if ((base = getenv("XDG_CACHE_HOME")) && base[0] == '/') {
        below = "/hsched";
    } else {
        base = getenv("HOME");
        below = "/.cache/hsched";
    }
    if (!base || !base[0])
        return 0;
    length = snprintf(path, size, "%s%s", base, below);
    return length > 0 && (size_t)length < size;
}

hsched_status hsi_tune_cache_open(const hsi_tune_cache_config *config,
                                  hsi_tune_cache **cache)
{
    *cache = NULL;
    hsi_tune_cache *c = config->host->alloc(sizeof *c);
    if (!c)
        return no_memory(config->host);
    c->host = config->host;
    snprintf(c->kind, sizeof c->kind, "%s", config->kind);
    snprintf(c->header, sizeof c->header, "hsched %s tuning 1", c->kind);
    pthread_mutex_init(&c->mutex, NULL);
    snprintf(c->device_key, sizeof c->device_key, "%s", config->device_key);
    for (char *at = c->device_key; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '_';
    if (!c->device_key[0])
        c->device_key[0] = '_';
    if (!choose_folder(config->folder, c->folder, sizeof c->folder)) {
        c->folder[0] = '\0';
        c->host->log(HSCHED_LOG_WARNING,
                     "%s: no folder for the tuning cache: choices are not kept "
                     "(set HSCHED_CACHE_DIR)",
                     c->kind);
    } else if (load(c) != HSCHED_OK) {
        /* The cause, which is this thread's error detail now, is logged without it. */
        c->host->log(
            HSCHED_LOG_WARNING,
            "%s: the tuning cache %s/%s-tuning.txt cannot be read and is ignored",
            c->kind, c->folder, c->kind);
    }
    *cache = c;
    return HSCHED_OK;
}

const char *hsi_tune_cache_folder(const hsi_tune_cache *cache)
{
    return cache->folder;
}

void hsi_tune_cache_close(hsi_tune_cache *cache)
{
    if (!cache)
        return;
    if (hsi_tune_cache_save(cache) != HSCHED_OK)
        cache->host->log(
            HSCHED_LOG_WARNING,
            "%s: the tuning cache %s/%s-tuning.txt cannot be written: choices are "
            "not kept",
            cache->kind, cache->folder, cache->kind);
    while (cache->entries)
        forget(cache, cache->entries);
    pthread_mutex_destroy(&cache->mutex);
    cache->host->free(cache);
}

int hsi_tune_cache_get(hsi_tune_cache *cache, const char *key, char *text,
                       float *microseconds, int *full)
{
    pthread_mutex_lock(&cache->mutex);
    const entry *e = find(cache, key, strlen(key));
    if (e) {
        memcpy(text, e->text, sizeof e->text);
        *microseconds = (float)e->nanoseconds / 1000;
        *full = e->full;
    }
    pthread_mutex_unlock(&cache->mutex);
    return e != NULL;
}

void hsi_tune_cache_put(hsi_tune_cache *cache, const char *key, const char *text,
                        float microseconds, int full)
{
    line l = { .key = key,
               .key_length = strlen(key),
               .text = text,
               .text_length = strlen(text),
               .nanoseconds = 1,
               .full = full != 0 };
    if (microseconds >= (float)(NANOSECONDS_MAX / 1000))
        l.nanoseconds = NANOSECONDS_MAX;
    else if (microseconds >= 0.001f)
        l.nanoseconds = (uint64_t)((double)microseconds * 1000 + 0.5);
    if (!printable(key, l.key_length, HSI_TUNE_STEP_KEY, 0) ||
        !printable(text, l.text_length, HSI_TUNE_VARIANT, 0)) {
        cache->host->log(HSCHED_LOG_ERROR,
                         "%s: the choice \"%s\" for \"%s\" does not fit the tuning "
                         "cache and is not kept",
                         cache->kind, text, key);
        return;
    }
    pthread_mutex_lock(&cache->mutex);
    const int stored = store(cache, &l, 1);
    pthread_mutex_unlock(&cache->mutex);
    if (!stored)
        cache->host->log(HSCHED_LOG_WARNING, "%s: no memory: a tuned choice is not kept",
                         cache->kind);
}

hsched_status hsi_tune_cache_save(hsi_tune_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    const hsched_status status = save(cache);
    pthread_mutex_unlock(&cache->mutex);
    return status;
}
