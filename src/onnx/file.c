#include "onnx/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

static void unmap_file(hsi_source *source)
{
    hsi_onnx_file *file = (hsi_onnx_file *)source;
    if (file->size)
        munmap((void *)(uintptr_t)file->data, file->size);
    hsi_free(file);
}

static hsched_status io_error(const char *path, const char *what)
{
    return hsi_error(HSCHED_ERROR_IO,
                     "%.512s: %s: %s; check the path and its permissions", path, what,
                     strerror(errno));
}

/* Maps an open file and closes it in any case. An empty file has data NULL. */
static hsched_status map_and_close(int fd, const char *path, hsi_onnx_file **result)
{
    struct stat info;
    hsched_status status = HSCHED_OK;
    hsi_onnx_file *file = HSI_NEW(hsi_onnx_file);
    if (!file) {
        status = hsi_out_of_memory("a mapped file");
        goto done;
    }
    file->source.references = 1;
    file->source.destroy = unmap_file;
    if (fstat(fd, &info) != 0) {
        status = io_error(path, "cannot be examined");
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        status = hsi_error(HSCHED_ERROR_IO,
                           "%.512s is not a regular file; give a model file", path);
        goto done;
    }
    if (info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = io_error(path, "cannot be mapped");
            goto done;
        }
        file->data = data;
        file->size = (size_t)info.st_size;
    }
    *result = file;
    file = NULL;
done:
    hsi_free(file);
    close(fd);
    return status;
}

hsched_status hsi_onnx_file_map(const char *path, hsi_onnx_file **file)
{
    *file = NULL;
    /* Opening a pipe would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return io_error(path, "cannot be opened");
    return map_and_close(fd, path, file);
}

static hsched_status refuse(const char *location, const char *what)
{
    return hsi_error(
        HSCHED_ERROR_FORMAT,
        "external data '%.512s' %s; it must be a file inside the model's folder",
        location, what);
}

/* The folder that holds the model itself. */
static int open_folder(const char *model_path)
{
    const char *slash = strrchr(model_path, '/');
    char *folder = slash ? hsi_strndup(model_path, (size_t)(slash - model_path) + 1)
                         : hsi_strdup(".");
    if (!folder) {
        errno = ENOMEM;
        return -1;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int saved = errno;
    hsi_free(folder);
    errno = saved;
    return fd;
}

/* Opens one component below `folder`, which is closed. -1 with errno on failure. */
static int open_below(int folder, const char *name, int is_last)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = openat(folder, name, is_last ? flags : flags | O_DIRECTORY);
    int saved = errno;
    close(folder);
    errno = saved;
    return fd;
}

/* Cuts `path` at its slashes and goes down step by step, so that what was checked is what
 * is used. */
static hsched_status walk(const char *model_path, const char *location, char *path,
                          int *result)
{
    int fd = open_folder(model_path);
    if (fd < 0)
        return io_error(model_path, "its folder cannot be opened");
    char *part = path;
    for (;;) {
        char *slash = strchr(part, '/');
        if (slash)
            *slash = 0;
        if (strcmp(part, "..") == 0 ||
            (!slash && (*part == 0 || strcmp(part, ".") == 0))) {
            close(fd);
            return refuse(location, "does not name a file below it");
        }
        if (*part && strcmp(part, ".") != 0) {
            fd = open_below(fd, part, slash == NULL);
            if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
                return refuse(location,
                              "leads through a symbolic link or not through folders");
            if (fd < 0)
                return io_error(location, "external data cannot be opened");
        }
        if (!slash)
            break;
        part = slash + 1;
    }
    *result = fd;
    return HSCHED_OK;
}

hsched_status hsi_onnx_file_map_external(const char *model_path, const char *location,
                                         hsi_onnx_file **file)
{
    *file = NULL;
    if (location[0] == '/' || location[0] == 0)
        return refuse(location, location[0] ? "is an absolute path" : "has no name");
    char *path = hsi_strdup(location);
    if (!path)
        return hsi_out_of_memory("the path of external data");
    int fd = -1;
    hsched_status status = walk(model_path, location, path, &fd);
    hsi_free(path);
    return status ? status : map_and_close(fd, location, file);
}

/* ---- Memory of a graph ---------------------------------------------------- */

typedef struct memory_source {
    hsi_source source;
    void *data;
} memory_source;

static void free_memory(hsi_source *source)
{
    memory_source *memory = (memory_source *)source;
    hsi_free(memory->data);
    hsi_free(memory);
}

void *hsi_onnx_graph_memory(hsched_graph *graph, size_t size)
{
    memory_source *memory = HSI_NEW(memory_source);
    if (!memory)
        return NULL;
    memory->data = hsi_alloc_aligned(size);
    if (!memory->data) {
        hsi_free(memory);
        return NULL;
    }
    memory->source.references = 1;
    memory->source.destroy = free_memory;
    hsi_graph_add_source(graph, &memory->source);
    return memory->data;
}
