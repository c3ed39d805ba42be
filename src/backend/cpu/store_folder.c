#include "backend/cpu/store_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct oldest_file {
    char name[NAME_MAX + 1];
    struct timespec used;
    uint64_t size;
} oldest_file;

static int is_before(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* mkdir -p; folders that are made are the user's only. */
static int make_folder(const char *folder)
{
    char path[PATH_MAX];
    const int length = snprintf(path, sizeof path, "%s/", folder);
    if (length < 2 || length >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return 0;
    }
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return 0;
        *at = '/';
    }
    return 1;
}

/* Of a process that ended while it wrote: who writes makes it newer. */
static int is_left_over(const char *name, const struct stat *info)
{
    const time_t hour = 3600, now = time(NULL);
    return strstr(name, ".packed" HSI_CPU_STORE_TEMPORARY) != NULL &&
           now > info->st_mtim.tv_sec && now - info->st_mtim.tv_sec > hour;
}

/* Bytes of all files, and which was not used for the longest time. What is left over goes. */
static uint64_t measure(DIR *folder, oldest_file *oldest)
{
    uint64_t total = 0;
    const struct dirent *entry;
    oldest->name[0] = '\0';
    rewinddir(folder);
    while ((entry = readdir(folder)) != NULL) {
        struct stat info;
        if (!strstr(entry->d_name, ".packed") ||
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(info.st_mode))
            continue;
        if (is_left_over(entry->d_name, &info) &&
            unlinkat(dirfd(folder), entry->d_name, 0) == 0)
            continue;
        total += (uint64_t)info.st_size;
        if (!oldest->name[0] || is_before(info.st_mtim, oldest->used)) {
            snprintf(oldest->name, sizeof oldest->name, "%s", entry->d_name);
            oldest->used = info.st_mtim;
            oldest->size = (uint64_t)info.st_size;
        }
    }
    return total;
}

int hsi_cpu_store_trim(const char *path, uint64_t size, uint64_t limit)
{
    if (size > limit) {
        errno = EFBIG;
        return 0;
    }
    if (!make_folder(path))
        return 0;
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    oldest_file oldest;
    int fine = 1;
    while (fine && measure(folder, &oldest) > limit - size)
        /* ENOENT: another process was faster */
        fine = oldest.name[0] &&
               (unlinkat(dirfd(folder), oldest.name, 0) == 0 || errno == ENOENT);
    const int why = errno;
    closedir(folder);
    errno = why;
    return fine;
}
