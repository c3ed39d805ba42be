/* NumPy's .npy files: reads versions 1 to 3, writes version 1. */
#ifndef CLI_NPY_H
#define CLI_NPY_H

#include <hsched/hsched.h>

typedef struct cli_array {
    hsched_dtype dtype;
    uint32_t rank;
    int64_t dims[HSCHED_MAX_DIMS];
    void *data; /* densely packed, row-major; freed by the owner */
    size_t size;
} cli_array;

/* Both say what went wrong and give 0 then. Little-endian, row-major, at most 8
 * dimensions and 8 GiB; types without a counterpart in the library are refused. */
int cli_npy_read(const char *path, cli_array *array);
int cli_npy_write(const char *path, const cli_array *array);

#endif
