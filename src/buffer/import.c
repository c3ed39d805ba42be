#include "buffer/import.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

static hsched_status check_arguments(uint64_t offset, size_t size, uint32_t flags)
{
    if (size == 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "size is 0; give memory to import");
    if (flags & ~(uint32_t)HSCHED_IMPORT_READ_ONLY)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "flags 0x%x has bits that are not HSCHED_IMPORT_...", flags);
    uint64_t end;
    if (__builtin_add_overflow(offset, size, &end) || end > INT64_MAX)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "offset %llu + size %zu is larger than any file",
                         (unsigned long long)offset, size);
    return HSCHED_OK;
}

/* Can it be read, and written? */
static hsched_status check_descriptor(int fd, int *read_only)
{
    const int mode = fcntl(fd, F_GETFL);
    if (mode < 0)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "%d is not an open file descriptor", fd);
    if (mode & O_PATH || (mode & O_ACCMODE) == O_WRONLY)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "descriptor %d does not allow reading, which mapping needs; "
                         "open it with O_RDWR",
                         fd);
    *read_only |= (mode & O_ACCMODE) == O_RDONLY;
    return HSCHED_OK;
}

/* Touching what lies beyond the end would kill the process later. A dma-buf tells its end by
 * seeking only; drivers of devices check in mmap. */
static hsched_status check_end(int fd, int is_dma_buf, uint64_t offset, size_t size)
{
    struct stat s;
    int64_t end = -1;
    if (is_dma_buf)
        end = lseek(fd, 0, SEEK_END);
    else if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode))
        end = s.st_size;
    if (end >= 0 && offset + size > (uint64_t)end)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT,
                         "offset %llu + size %zu is beyond the end of descriptor %d, "
                         "which has %lld bytes",
                         (unsigned long long)offset, size, fd, (long long)end);
    return HSCHED_OK;
}

/* Huge pages are mapped and unmapped as a whole. */
static size_t page_size(int fd)
{
    struct statfs s;
    if (fstatfs(fd, &s) == 0 && s.f_type == HUGETLBFS_MAGIC && s.f_bsize > 0)
        return (size_t)s.f_bsize;
    return (size_t)sysconf(_SC_PAGESIZE);
}

static hsched_status not_mapped(int fd, int error)
{
    const hsched_status status =
        error == ENOMEM ? HSCHED_ERROR_OUT_OF_MEMORY
        : error == ENODEV || error == EACCES || error == EPERM || error == EINVAL
            ? HSCHED_ERROR_UNSUPPORTED
            : HSCHED_ERROR_SYSTEM;
    return hsi_error(status,
                     "descriptor %d could not be mapped: %s; give a dma-buf, a memfd, "
                     "shared memory or a file",
                     fd, strerror(error));
}

/* A descriptor may be open for writing and still not let its memory be written: a seal. */
static hsched_status map(hsi_import *m, int fd, uint64_t offset, size_t size)
{
    const size_t page = page_size(fd);
    m->inset = (size_t)(offset % page);
    if (!hsi_add_size(size, m->inset, &m->length) ||
        !hsi_round_up_size(m->length, page, &m->length))
        return not_mapped(fd, ENOMEM);
    const off_t from = (off_t)(offset - m->inset);
    void *base = MAP_FAILED;
    if (!m->read_only)
        base = mmap(NULL, m->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, from);
    if (base == MAP_FAILED && (m->read_only || errno == EACCES || errno == EPERM)) {
        m->read_only = 1;
        base = mmap(NULL, m->length, PROT_READ, MAP_SHARED, fd, from);
    }
    if (base == MAP_FAILED)
        return not_mapped(fd, errno);
    m->base = base;
    return HSCHED_OK;
}

static hsched_status open_checked(hsi_import *m, int fd, uint64_t offset, size_t size)
{
    hsched_status status = hsi_access_init(&m->access, fd);
    if (status != HSCHED_OK)
        return status;
    status = check_end(fd, m->access.fd >= 0, offset, size);
    if (status == HSCHED_OK)
        status = map(m, fd, offset, size);
    if (status != HSCHED_OK)
        hsi_access_clear(&m->access);
    return status;
}

hsched_status hsi_import_open(int fd, uint64_t offset, size_t size, uint32_t flags,
                              hsi_import **import)
{
    int read_only = (flags & HSCHED_IMPORT_READ_ONLY) != 0;
    *import = NULL;
    hsched_status status = check_arguments(offset, size, flags);
    if (status == HSCHED_OK)
        status = check_descriptor(fd, &read_only);
    if (status != HSCHED_OK)
        return status;
    hsi_import *m = HSI_NEW(hsi_import);
    if (!m)
        return hsi_out_of_memory("an imported buffer");
    m->read_only = read_only;
    status = open_checked(m, fd, offset, size);
    if (status != HSCHED_OK) {
        hsi_free(m);
        return status;
    }
    *import = m;
    return HSCHED_OK;
}

void hsi_import_close(hsi_import *import)
{
    if (!import)
        return;
    munmap(import->base, import->length);
    hsi_access_clear(&import->access);
    hsi_free(import);
}
