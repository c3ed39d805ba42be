#include "cost/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

#define FILE_BYTES_MAX ((off_t)16 << 20)
#define LOCK_TRIES     500 /* of 10 ms */

int hsi_cost_file_folder(const char *folder, char *path, size_t size)
{
    const char *base = folder, *below = "";
    if (!base)
        base = getenv("HSCHED_CACHE_DIR");
    if (!base || !base[0]) {
        base = getenv("XDG_CACHE_HOME");
        below = "/hsched";
        if (!base || base[0] != '/') {
            base = getenv("HOME");
            below = "/.cache/hsched";
        }
    }
    if (!base || !base[0])
        return 0;
    const int length = snprintf(path, size, "%s%s", base, below);
    return length > 0 && (size_t)length < size;
}

static hsched_status io_error(const char *what, const char *path)
{
    return hsi_error(HSCHED_ERROR_IO, "%s %s: %s", what, path, strerror(errno));
}

static hsched_status read_all(int file, const char *path, char **data, size_t *size)
{
    struct stat info;
    if (fstat(file, &info) != 0)
        return io_error("reading", path);
    if (!S_ISREG(info.st_mode) || info.st_size > FILE_BYTES_MAX)
        return hsi_error(HSCHED_ERROR_FORMAT, "%s is no file of at most %lld bytes", path,
                         (long long)FILE_BYTES_MAX);
    if (info.st_size == 0)
        return HSCHED_OK;
    *data = hsi_calloc((size_t)info.st_size, 1);
    if (!*data)
        return hsi_out_of_memory("the cost cache");
    while (*size < (size_t)info.st_size) {
        const ssize_t got = read(file, *data + *size, (size_t)info.st_size - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return io_error("reading", path);
        if (got == 0) /* somebody has cut it off meanwhile */
            break;
        *size += (size_t)got;
    }
    return HSCHED_OK;
}

hsched_status hsi_cost_file_read(const char *path, char **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return errno == ENOENT || errno == ENOTDIR ? HSCHED_OK
                                                   : io_error("opening", path);
    hsched_status status = read_all(file, path, data, size);
    close(file);
    if (status != HSCHED_OK) {
        hsi_free(*data);
        *data = NULL;
        *size = 0;
    }
    return status;
}

/* mkdir -p of the folder that the file is in; what is made is the user's only. */
static hsched_status make_folder_of(const char *file)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", file);
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return io_error("making the folder", path);
        *at = '/';
    }
    return HSCHED_OK;
}

hsched_status hsi_cost_file_lock(const char *path, int *lock)
{
    char name[PATH_MAX + 8];
    *lock = -1;
    hsched_status status = make_folder_of(path);
    if (status != HSCHED_OK)
        return status;
    snprintf(name, sizeof name, "%s.lock", path);
    const int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return io_error("opening", name);
    for (int i = 0; flock(file, LOCK_EX | LOCK_NB) != 0; i++) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || i == LOCK_TRIES) {
            status = io_error("locking", name);
            close(file);
            return status;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    *lock = file;
    return HSCHED_OK;
}

hsched_status hsi_cost_file_replace(const char *path,
                                    void (*write)(FILE *out, void *user), void *user)
{
    char temporary[PATH_MAX + 8];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    const int handle =
        open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *file = handle >= 0 ? fdopen(handle, "w") : NULL;
    if (!file) {
        hsched_status status = io_error("writing", temporary);
        if (handle >= 0)
            close(handle);
        return status;
    }
    errno = 0; /* stdio may not say anew why an earlier write failed */
    write(file, user);
    const int fine = fflush(file) == 0 && !ferror(file) && fsync(handle) == 0;
    hsched_status status = fine ? HSCHED_OK : io_error("writing", temporary);
    if (fclose(file) != 0 && fine)
        status = io_error("writing", temporary);
    if (status == HSCHED_OK && rename(temporary, path) != 0)
        status = io_error("renaming to", path);
    if (status != HSCHED_OK)
        unlink(temporary);
    return status;
}
