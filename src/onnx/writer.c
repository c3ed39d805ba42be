#include "onnx/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/status.h"

/* ---- Wire format ---------------------------------------------------------- */

enum {
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
    WIRE_32 = 5
};

void hsi_onnx_buffer_free(hsi_onnx_buffer *buffer)
{
    hsi_free(buffer->bytes);
    *buffer = (hsi_onnx_buffer){ 0 };
}

static int make_room(hsi_onnx_buffer *buffer, size_t size)
{
    size_t need, capacity = buffer->capacity ? buffer->capacity : 4096;
    if (buffer->failed)
        return 0;
    int fits = hsi_add_size(buffer->size, size, &need);
    while (fits && capacity < need)
        fits = hsi_mul_size(capacity, 2, &capacity);
    if (fits && capacity > buffer->capacity) {
        uint8_t *grown = hsi_realloc_array(buffer->bytes, capacity, 1);
        if (grown) {
            buffer->bytes = grown;
            buffer->capacity = capacity;
        } else {
            fits = 0;
        }
    }
    buffer->failed = !fits;
    return fits;
}

void hsi_onnx_write_bytes(hsi_onnx_buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0 || !make_room(buffer, size))
        return;
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
}

static size_t encode(uint8_t *at, uint64_t value)
{
    size_t n = 0;
    do {
        at[n] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        n++;
    } while (value);
    return n;
}

size_t hsi_onnx_varint_size(uint64_t value)
{
    uint8_t bytes[10];
    return encode(bytes, value);
}

void hsi_onnx_write_varint(hsi_onnx_buffer *buffer, uint64_t value)
{
    uint8_t bytes[10];
    hsi_onnx_write_bytes(buffer, bytes, encode(bytes, value));
}

void hsi_onnx_write_int(hsi_onnx_buffer *buffer, uint32_t field, int64_t value)
{
    hsi_onnx_write_varint(buffer, (uint64_t)field << 3 | WIRE_VARINT);
    hsi_onnx_write_varint(buffer, (uint64_t)value);
}

void hsi_onnx_write_float(hsi_onnx_buffer *buffer, uint32_t field, float value)
{
    hsi_onnx_write_varint(buffer, (uint64_t)field << 3 | WIRE_32);
    hsi_onnx_write_bytes(buffer, &value, sizeof value);
}

void hsi_onnx_write_data(hsi_onnx_buffer *buffer, uint32_t field, const void *data,
                         size_t size)
{
    hsi_onnx_write_varint(buffer, (uint64_t)field << 3 | WIRE_BYTES);
    hsi_onnx_write_varint(buffer, size);
    hsi_onnx_write_bytes(buffer, data, size);
}

void hsi_onnx_write_text(hsi_onnx_buffer *buffer, uint32_t field, const char *text)
{
    hsi_onnx_write_data(buffer, field, text, strlen(text));
}

size_t hsi_onnx_write_begin(hsi_onnx_buffer *buffer, uint32_t field)
{
    hsi_onnx_write_varint(buffer, (uint64_t)field << 3 | WIRE_BYTES);
    return buffer->size;
}

/* The length goes in front of what was written; messages inside a model's graph are
 * small. */
void hsi_onnx_write_end(hsi_onnx_buffer *buffer, size_t begun)
{
    uint8_t length[10];
    if (buffer->failed)
        return;
    size_t size = buffer->size - begun, width = encode(length, size);
    if (!make_room(buffer, width))
        return;
    memmove(buffer->bytes + begun + width, buffer->bytes + begun, size);
    memcpy(buffer->bytes + begun, length, width);
    buffer->size += width;
}

/* ---- Files ---------------------------------------------------------------- */

#define MAX_ATTEMPTS 100

static hsched_status io_error(const char *path, const char *what, int error)
{
    return hsi_error(
        HSCHED_ERROR_IO,
        "%.512s: %s: %s; check the folder, its permissions and its free space", path,
        what, strerror(error));
}

/* A new file beside `path`; its name in *name. -1 with errno. */
static int open_temporary(const char *path, char **name)
{
    static atomic_uint
        counter; /* tells the files of this process's threads apart; nothing else */
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        unsigned number = atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
        *name = hsi_asprintf("%s.%ld-%u.tmp", path, (long)getpid(), number);
        if (!*name) {
            errno = ENOMEM;
            return -1;
        }
        int fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        int error = errno;
        hsi_free(*name);
        *name = NULL;
        errno = error;
        if (error != EEXIST)
            return -1;
    }
    return -1;
}

static int write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return 0;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

/* After a crash the folder still has the new name only if the folder itself was written.
 */
static int sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? hsi_strndup(path, (size_t)(slash - path) + 1) : hsi_strdup(".");
    if (!folder) {
        errno = ENOMEM;
        return 0;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    hsi_free(folder);
    if (fd < 0)
        return errno ==
               EACCES; /* a folder that may be written, but not read, cannot be synced */
    int ok = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
    int error = errno;
    close(fd);
    errno = error;
    return ok;
}

static hsched_status write_beside(const char *path, const hsi_onnx_piece *pieces,
                                  size_t count)
{
    char *name = NULL;
    const char *failed = NULL;
    int error = 0, fd = open_temporary(path, &name);
    if (fd < 0 && errno == ENOMEM)
        return hsi_out_of_memory("a file's name");
    if (fd < 0)
        return io_error(path, "cannot be created", errno);
    for (size_t k = 0; k < count && !failed; k++)
        if (!write_all(fd, pieces[k].data, pieces[k].size))
            failed = "cannot be written";
    if (!failed && fsync(fd) != 0)
        failed = "cannot be written to the disk";
    if (failed)
        error = errno;
    if (close(fd) != 0 && !failed) {
        failed = "cannot be closed";
        error = errno;
    }
    if (!failed && rename(name, path) != 0) {
        failed = "cannot be put in place";
        error = errno;
    }
    if (failed)
        unlink(name);
    else if (!sync_folder(path)) {
        failed = "was written, but its folder cannot be synced";
        error = errno;
    }
    hsi_free(name);
    return failed ? io_error(path, failed, error) : HSCHED_OK;
}

hsched_status hsi_onnx_write_file(const char *path, const hsi_onnx_piece *pieces,
                                  size_t count)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return write_beside(path, pieces, count);
    /* A rename would put a file in the place of a device, a pipe or a symbolic link. */
    if (!S_ISREG(info.st_mode))
        return hsi_error(HSCHED_ERROR_IO,
                         "%.512s: exists and is not a regular file; give another path",
                         path);
    char *target = realpath(path, NULL);
    if (!target)
        return io_error(path, "cannot be found", errno);
    hsched_status status = write_beside(target, pieces, count);
    free(target); /* of the C library's heap */
    return status;
}
