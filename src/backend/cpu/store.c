#include "backend/cpu/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/cpu/content.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/store_folder.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"

#define MAGIC    "hsched packed 1\n"
#define KEY_SIZE 320
#define TRIES    64 /* for a name that nobody has */

/* Vectors, and panels with them, differ between architectures under the same name. */
#if defined(__x86_64__)
#define ARCHITECTURE "x86-64"
#elif defined(__aarch64__)
#define ARCHITECTURE "aarch64"
#else
#define ARCHITECTURE "other"
#endif

/* The first page of a file; what is packed follows. */
typedef union first_page {
    struct {
        char magic[16], key[KEY_SIZE];
        uint64_t bytes, hash; /* of what is packed; of what it was packed from */
        uint64_t checksum;    /* of the page, with 0 here */
    };
    char page[4096];
} first_page;

struct hsi_cpu_mapping {
    void *at;
    size_t size;
};

uint64_t hsi_cpu_store_limit = UINT64_C(8) << 30;

static void describe(const hsi_cpu_packing *packing, uint64_t hash, first_page *page)
{
    const hsched_operand *from = packing->from;
    *page = (first_page){ .page = { 0 } };
    memcpy(page->magic, MAGIC, sizeof page->magic);
    int length = snprintf(page->key, KEY_SIZE, "%s;" ARCHITECTURE ";%s;%s;%" PRId64,
                          HSCHED_VERSION_STRING, hsi_isa_name(hsi_isa_best()),
                          packing->layout, packing->variant);
    for (uint32_t i = 0; i < from->rank && length < KEY_SIZE; i++)
        length += snprintf(page->key + length, (size_t)(KEY_SIZE - length),
                           ";%" PRId64 "/%" PRId64, from->dims[i], from->strides[i]);
    page->bytes = packing->bytes;
    page->hash = hash;
    page->checksum = hsi_cpu_content_hash(page, sizeof *page, 0);
}

static int path_of(const hsi_cpu_store *store, const first_page *page, const char *ending,
                   char path[PATH_MAX])
{
    const int length = snprintf(path, PATH_MAX, "%s/%016" PRIx64 ".packed%s",
                                store->folder, page->checksum, ending);
    return length > 0 && length < PATH_MAX;
}

/* ---- Reading -------------------------------------------------------------- */

/* It was used: see hsi_cpu_store_trim. That it cannot be said, as in a folder of somebody else's,
 * is no fault. */
static void touch(int file, const struct stat *info)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) == 0 &&
        now.tv_sec - info->st_mtim.tv_sec > 3600)
        (void)futimens(file, NULL);
}

/* The whole file, or NULL with what is wrong with it. */
static void *map_file(int file, const first_page *expected, const char **wrong)
{
    struct stat info;
    const size_t size = sizeof *expected + (size_t)expected->bytes;
    *wrong = "it cannot be read";
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode))
        return NULL;
    *wrong = "its size is not what it should be";
    if ((uint64_t)info.st_size != size)
        return NULL;
    void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    *wrong = "it cannot be mapped";
    if (at == MAP_FAILED)
        return NULL;
    if (memcmp(at, expected, sizeof *expected) == 0) {
        touch(file, &info);
        return at;
    }
    munmap(at, size);
    *wrong = "its first page is damaged";
    return NULL;
}

hsched_status hsi_cpu_store_find(hsi_cpu_store *store, const hsi_cpu_packing *packing,
                                 uint64_t hash, const void **found)
{
    first_page page;
    char path[PATH_MAX];
    const char *wrong;
    *found = NULL;
    describe(packing, hash, &page);
    if (!path_of(store, &page, "", path))
        return HSCHED_OK;
    if (!HSI_GROW(store->mappings, store->count, store->capacity))
        return hsi_out_of_memory("mapped weights");
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            hsi_log(HSCHED_LOG_WARNING, "packed weights %s are made anew: %s", path,
                    strerror(errno));
        return HSCHED_OK;
    }
    void *at = map_file(file, &page, &wrong);
    close(file);
    if (!at) {
        hsi_log(HSCHED_LOG_WARNING, "packed weights %s are made anew: %s", path, wrong);
        return HSCHED_OK;
    }
    store->mappings[store->count++] =
        (struct hsi_cpu_mapping){ at, sizeof page + packing->bytes };
    *found = (const char *)at + sizeof page;
    return HSCHED_OK;
}

/* ---- Writing -------------------------------------------------------------- */

static int write_all(int file, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        const ssize_t written = write(file, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return 0;
        at += written;
        size -= (size_t)written;
    }
    return 1;
}

/* A file under a name that nobody has; -1, with errno. Process numbers come again, and containers
 * that share a folder have the same: such a file may be somebody's, or left of a process that was
 * killed (hsi_cpu_store_trim deletes those). */
static int make_temporary(const hsi_cpu_store *store, const first_page *page,
                          char path[PATH_MAX])
{
    static atomic_uint number; /* of this process' files: no two threads have the same */
    for (int tries = 0; tries < TRIES; tries++) {
        char ending[48];
        snprintf(ending, sizeof ending, HSI_CPU_STORE_TEMPORARY "%ld-%u", (long)getpid(),
                 atomic_fetch_add_explicit(&number, 1, memory_order_relaxed));
        if (!path_of(store, page, ending, path)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        const int file =
            open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

/* 0, with errno: nothing is left of it. */
static int write_file(const hsi_cpu_store *store, const first_page *page,
                      const void *packed)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    if (!path_of(store, page, "", path)) {
        errno = ENAMETOOLONG;
        return 0;
    }
    const int file = make_temporary(store, page, temporary);
    if (file < 0)
        return 0;
    int fine = write_all(file, page, sizeof *page) &&
               write_all(file, packed, (size_t)page->bytes) && fsync(file) == 0;
    int why = errno;
    if (close(file) != 0 && fine) {
        fine = 0;
        why = errno;
    }
    if (fine && rename(temporary, path) != 0) {
        fine = 0;
        why = errno;
    }
    if (!fine)
        unlink(temporary);
    errno = why;
    return fine;
}

void hsi_cpu_store_keep(hsi_cpu_store *store, const hsi_cpu_packing *packing,
                        uint64_t hash, const void *packed)
{
    first_page page;
    describe(packing, hash, &page);
    if (hsi_cpu_store_trim(store->folder, sizeof page + packing->bytes,
                           hsi_cpu_store_limit) &&
        write_file(store, &page, packed))
        return;
    if (!store->told) {
        store->told = 1;
        hsi_log(HSCHED_LOG_WARNING,
                "packed weights cannot be kept in %s: %s; they are packed in every load "
                "(make it writable, or load without HSCHED_MODEL_CACHE_WEIGHTS)",
                store->folder, strerror(errno));
    }
}

void hsi_cpu_store_clear(hsi_cpu_store *store)
{
    for (uint32_t i = 0; i < store->count; i++)
        munmap(store->mappings[i].at, store->mappings[i].size);
    hsi_free(store->mappings);
    *store = (hsi_cpu_store){ 0 };
}
