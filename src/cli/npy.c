#include "cli/npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum {
    HEADER_MAX = 1 << 16
};
#define DATA_MAX (UINT64_C(8) << 30)

static const struct {
    const char *code; /* after the byte order */
    hsched_dtype dtype;
} types[] = {
    { "f4", HSCHED_FLOAT32 }, { "u1", HSCHED_UINT8 },   { "i8", HSCHED_INT64 },
    { "i4", HSCHED_INT32 },   { "b1", HSCHED_BOOL },    { "f2", HSCHED_FLOAT16 },
    { "i1", HSCHED_INT8 },    { "f8", HSCHED_FLOAT64 },
};
enum {
    TYPES = sizeof types / sizeof types[0]
};

/* ---- Reading -------------------------------------------------------------- */

/* The text after 'key': in the header's dictionary, blanks skipped, or NULL. */
static const char *find_value(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (!at)
        return NULL;
    at += strlen(key);
    at += strspn(at, " ");
    if (*at != ':')
        return NULL;
    return at + 1 + strspn(at + 1, " ");
}

static const char *parse_type(const char *header, cli_array *array)
{
    const char *at = find_value(header, "'descr'");
    if (!at || at[0] != '\'')
        return "its header names no element type";
    if (at[1] == '>')
        return "its values are big-endian; save them in native order";
    for (int i = 0; i < TYPES; i++)
        if (at[1] && strncmp(at + 2, types[i].code, 2) == 0 && at[4] == '\'')
            array->dtype = types[i].dtype;
    return array->dtype == HSCHED_DTYPE_NONE ? "its element type is not supported" : NULL;
}

static const char *parse_shape(const char *header, cli_array *array)
{
    const char *at = find_value(header, "'shape'");
    uint64_t size = hsched_dtype_size(array->dtype);
    if (!at || *at != '(')
        return "its header has no shape";
    at += 1 + strspn(at + 1, " ");
    while (*at != ')') {
        char *end;
        errno = 0;
        long long dim = strtoll(at, &end, 10);
        if (end == at || errno != 0 || dim < 0)
            return "its shape is malformed";
        if (array->rank == HSCHED_MAX_DIMS)
            return "it has more than 8 dimensions";
        if (dim > 0 && size > DATA_MAX / (uint64_t)dim)
            return "it is larger than 8 GiB";
        array->dims[array->rank++] = dim;
        size *= (uint64_t)dim;
        at = end + strspn(end, " ");
        if (*at == ',')
            at += 1 + strspn(at + 1, " ");
        else if (*at != ')')
            return "its shape is malformed";
    }
    array->size = (size_t)size;
    return NULL;
}

static const char *parse_header(const char *header, cli_array *array)
{
    const char *order = find_value(header, "'fortran_order'");
    const char *problem = parse_type(header, array);
    if (!problem)
        problem = parse_shape(header, array);
    if (!problem && (!order || (array->rank > 1 && strncmp(order, "False", 5) != 0)))
        problem = "it is not in row-major order; save numpy.ascontiguousarray(x)";
    return problem;
}

/* Everything up to the values. */
static const char *read_header(FILE *file, cli_array *array)
{
    unsigned char start[12];
    if (fread(start, 10, 1, file) != 1 || memcmp(start, "\x93NUMPY", 6) != 0)
        return "it is not a .npy file";
    size_t length = start[8] | (size_t)start[9] << 8;
    if (start[6] < 1 || start[6] > 3)
        return "its version is not 1, 2 or 3";
    if (start[6] > 1) {
        if (fread(start + 10, 2, 1, file) != 1)
            return "it ends inside its header";
        length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
    }
    if (length >= HEADER_MAX)
        return "its header is too long";
    char *header = calloc(1, length + 1);
    if (!header)
        return "out of memory";
    const char *problem = fread(header, 1, length, file) != length
                              ? "it ends inside its header"
                              : parse_header(header, array);
    free(header);
    return problem;
}

static const char *read_values(FILE *file, cli_array *array)
{
    array->data = malloc(array->size ? array->size : 1);
    if (!array->data)
        return "out of memory";
    if (fread(array->data, 1, array->size, file) != array->size)
        return "it ends before its last value";
    return fgetc(file) == EOF ? NULL : "there are bytes after its last value";
}

int cli_npy_read(const char *path, cli_array *array)
{
    *array = (cli_array){ 0 };
    FILE *file = fopen(path, "rb");
    if (!file) {
        cli_error("%s: %s", path, strerror(errno));
        return 0;
    }
    const char *problem = read_header(file, array);
    if (!problem)
        problem = read_values(file, array);
    fclose(file);
    if (!problem)
        return 1;
    cli_error("%s: %s", path, problem);
    free(array->data);
    *array = (cli_array){ 0 };
    return 0;
}

/* ---- Writing -------------------------------------------------------------- */

/* The header's text without its padding; its length, or 0 if the type has no counterpart.
 */
static size_t format_header(const cli_array *array, char *text, size_t size)
{
    const char *code = NULL;
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == array->dtype)
            code = types[i].code;
    if (!code)
        return 0;
    const char *order = hsched_dtype_size(array->dtype) > 1 ? "<" : "|";
    size_t used = (size_t)snprintf(
        text, size, "{'descr': '%s%s', 'fortran_order': False, 'shape': (", order, code);
    for (uint32_t i = 0; i < array->rank; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%lld,%s",
                             (long long)array->dims[i], i + 1 < array->rank ? " " : "");
    used += (size_t)snprintf(text + used, size - used, "), }");
    return used;
}

int cli_npy_write(const char *path, const cli_array *array)
{
    char header[512];
    size_t used = format_header(array, header + 10, sizeof header - 10);
    if (used == 0) {
        cli_error("%s: .npy files cannot hold %s", path, hsched_dtype_name(array->dtype));
        return 0;
    }
    /* The values begin at a multiple of 64, the text ends with a newline. */
    size_t total = (10 + used + 1 + 63) / 64 * 64;
    memset(header + 10 + used, ' ', total - 10 - used);
    header[total - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((total - 10) & 0xff);
    header[9] = (char)((total - 10) >> 8);
    FILE *file = fopen(path, "wb");
    int ok = file && fwrite(header, total, 1, file) == 1 &&
             fwrite(array->data, 1, array->size, file) == array->size;
    int problem = errno;
    if (file && fclose(file) != 0) {
        problem = ok ? errno : problem;
        ok = 0;
    }
    if (!ok)
        cli_error("%s: %s", path, strerror(problem));
    return ok;
}
