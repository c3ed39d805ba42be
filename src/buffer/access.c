#include "buffer/access.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"

static int synchronise(int fd, uint64_t flags)
{
    struct dma_buf_sync sync = { .flags = flags };
    int result;
    do
        result = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
    while (result != 0 && (errno == EINTR || errno == EAGAIN));
    return result;
}

/* Drivers of devices give ioctl numbers meanings of their own: those are not asked. */
static int is_dma_buf(int fd)
{
    struct stat s;
    if (fstat(fd, &s) != 0 || S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode))
        return 0;
    return synchronise(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ) == 0 &&
           synchronise(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ) == 0;
}

hsched_status hsi_access_init(hsi_access *a, int fd)
{
    *a = (hsi_access){ .fd = -1 };
    if (pthread_mutex_init(&a->mutex, NULL) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM, "a mutex could not be made");
    if (!is_dma_buf(fd))
        return HSCHED_OK;
    a->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (a->fd >= 0)
        return HSCHED_OK;
    const int error = errno;
    pthread_mutex_destroy(&a->mutex);
    return hsi_error(HSCHED_ERROR_SYSTEM,
                     "descriptor %d could not be duplicated: %s; close others", fd,
                     strerror(error));
}

void hsi_access_clear(hsi_access *a)
{
    if (a->fd >= 0)
        close(a->fd);
    pthread_mutex_destroy(&a->mutex);
}

static hsched_status close_bracket(hsi_access *a)
{
    const uint64_t open = a->open;
    a->open = 0;
    if (open && synchronise(a->fd, DMA_BUF_SYNC_END | open) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM,
                         "DMA_BUF_IOCTL_SYNC: an access could not be ended: %s",
                         strerror(errno));
    return HSCHED_OK;
}

static hsched_status open_bracket(hsi_access *a, uint64_t flags)
{
    if (synchronise(a->fd, DMA_BUF_SYNC_START | flags) != 0)
        return hsi_error(HSCHED_ERROR_SYSTEM,
                         "DMA_BUF_IOCTL_SYNC: an access could not be begun: %s",
                         strerror(errno));
    a->open = flags;
    return HSCHED_OK;
}

/* Writers read as well: what lies beside their data in the same line of the cache, and tensors
 * that later steps need. */
static uint64_t bracket_of(int writes)
{
    return writes ? DMA_BUF_SYNC_RW : DMA_BUF_SYNC_READ;
}

hsched_status hsi_access_begin(hsi_access *a, uint32_t access)
{
    const int writes = (access & HSCHED_ACCESS_WRITE) != 0;
    hsched_status status = HSCHED_OK;
    if (a->fd < 0)
        return HSCHED_OK;
    pthread_mutex_lock(&a->mutex);
    if (a->writers == 0) {
        status = close_bracket(a);
        if (status == HSCHED_OK)
            status = open_bracket(a, bracket_of(writes));
    }
    if (status == HSCHED_OK) {
        a->users++;
        a->writers += (uint32_t)writes;
    }
    pthread_mutex_unlock(&a->mutex);
    return status;
}

hsched_status hsi_access_end(hsi_access *a, uint32_t access)
{
    const int writes = (access & HSCHED_ACCESS_WRITE) != 0;
    hsched_status status = HSCHED_OK;
    if (a->fd < 0)
        return HSCHED_OK;
    pthread_mutex_lock(&a->mutex);
    if (writes ? a->writers == 0 : a->users == a->writers) {
        status = hsi_error(HSCHED_ERROR_STATE, "no such access was begun");
    } else {
        a->users--;
        a->writers -= (uint32_t)writes;
        if (a->users == 0 || (writes && a->writers == 0))
            status = close_bracket(a);
        if (status == HSCHED_OK && a->users > 0 && !a->open)
            status = open_bracket(a, DMA_BUF_SYNC_READ);
    }
    pthread_mutex_unlock(&a->mutex);
    return status;
}
