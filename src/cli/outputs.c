#include "cli/outputs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/npy.h"

int cli_make_folder(const char *path)
{
    struct stat found;
    if (mkdir(path, 0777) == 0 ||
        (errno == EEXIST && stat(path, &found) == 0 && S_ISDIR(found.st_mode)))
        return CLI_OK;
    cli_error("%s: %s", path, strerror(errno));
    return CLI_SYSTEM;
}

/* Character `i` of an output's name as its file has it: none could leave the folder. */
static char safe(const char *name, size_t i)
{
    return name[i] == '/' || (name[i] && (unsigned char)name[i] < ' ') ||
                   (name[i] == '.' && i == 0)
               ? '_'
               : name[i];
}

static int same_file(const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] && safe(a, i) == safe(b, i))
        i++;
    return safe(a, i) == safe(b, i);
}

/* "folder/name.npy", or "folder/name-N.npy" for the N-th output of that name. */
static int output_path(const char *folder, const char *name, uint32_t number, char *path,
                       size_t size)
{
    char suffix[16] = "";
    size_t start = strlen(folder) + 1;
    if (number > 1)
        snprintf(suffix, sizeof suffix, "-%u", (unsigned)number);
    int length =
        snprintf(path, size, "%s/%s%s.npy", folder, name[0] ? name : "output", suffix);
    if (length < 0 || (size_t)length >= size) {
        cli_error("%s: the name of output '%s' is too long for a file", folder, name);
        return 0;
    }
    for (size_t i = 0; name[i]; i++)
        path[start + i] = safe(name, i);
    return 1;
}

/* How many of the outputs from `first` to `index` go by the file name of the last. */
static uint32_t count_same(const hsched_model *model, uint32_t first, uint32_t index,
                           const char *name)
{
    uint32_t same = 1;
    for (uint32_t i = first; i < index; i++) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        if (hsched_model_output_info(model, i, &info) == HSCHED_OK)
            same += (uint32_t)same_file(info.name, name);
    }
    return same;
}

int cli_outputs_write(const char *folder, hsched_run *run, const hsched_model *model,
                      uint32_t first, uint32_t end)
{
    char path[4096];
    for (uint32_t i = first; i < end; i++) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        const void *data;
        size_t size;
        hsched_status status = hsched_model_output_info(model, i, &info);
        if (status == HSCHED_OK)
            status = hsched_run_output(run, i, &data, &size);
        if (status != HSCHED_OK)
            return cli_failed(CLI_SYSTEM, status, hsched_model_name(model));
        cli_array array = { .dtype = info.dtype,
                            .rank = info.rank,
                            .data = (void *)data,
                            .size = info.byte_size };
        memcpy(array.dims, info.dims, sizeof array.dims);
        uint32_t number = count_same(model, first, i, info.name);
        if (!output_path(folder, info.name, number, path, sizeof path) ||
            !cli_npy_write(path, &array))
            return CLI_SYSTEM;
    }
    return CLI_OK;
}

/* Element i as a double; types that have no plain C counterpart give NaN. */
static double element(hsched_dtype dtype, const void *data, size_t i)
{
    switch (dtype) {
    case HSCHED_FLOAT32:
        return (double)((const float *)data)[i];
    case HSCHED_FLOAT64:
        return ((const double *)data)[i];
    case HSCHED_INT64:
        return (double)((const int64_t *)data)[i];
    case HSCHED_INT32:
        return ((const int32_t *)data)[i];
    case HSCHED_INT8:
        return ((const int8_t *)data)[i];
    case HSCHED_UINT8:
    case HSCHED_BOOL:
        return ((const uint8_t *)data)[i];
    default:
        return NAN;
    }
}

cli_summary cli_summarise(const hsched_tensor_info *info, const void *data)
{
    cli_summary s = { 0 };
    size_t size = hsched_dtype_size(info->dtype);
    double sum = 0;
    for (size_t i = 0; size && i < info->byte_size / size; i++) {
        double value = element(info->dtype, data, i);
        if (!isfinite(value)) {
            s.not_finite++;
            continue;
        }
        s.min = s.finite == 0 || value < s.min ? value : s.min;
        s.max = s.finite == 0 || value > s.max ? value : s.max;
        sum += value;
        s.finite++;
    }
    s.mean = s.finite ? sum / (double)s.finite : 0;
    return s;
}

json_t *cli_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_json_text(const char *text)
{
    json_t *string = json_string(text);
    char *copy = string ? NULL : strdup(text);
    if (!copy)
        return string;
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    string = json_string(copy);
    free(copy);
    return string;
}

void cli_json_append(json_t **array, json_t *item)
{
    if (*array && json_array_append_new(*array, item) == 0)
        return;
    if (!*array)
        json_decref(item);
    json_decref(*array);
    *array = NULL;
}

json_t *cli_json_shape(const hsched_tensor_info *info)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < info->rank; i++)
        cli_json_append(&shape, json_integer(info->dims[i]));
    return shape;
}

static const size_t json_flags = JSON_INDENT(2) | JSON_REAL_PRECISION(12);

static int json_made(const json_t *root)
{
    if (!root)
        cli_error("the results could not be put together as JSON, for want of memory");
    return root != NULL;
}

int cli_json_print(json_t *root)
{
    if (!json_made(root))
        return CLI_SYSTEM;
    int failed = json_dumpf(root, stdout, json_flags) != 0;
    json_decref(root);
    putchar('\n');
    return failed ? cli_no_memory() : CLI_OK;
}

int cli_json_write(json_t *root, const char *path)
{
    if (!path) {
        json_decref(root);
        return CLI_OK;
    }
    if (!json_made(root))
        return CLI_SYSTEM;
    FILE *file = fopen(path, "we");
    int failed =
        !file || json_dumpf(root, file, json_flags) != 0 || fputc('\n', file) == EOF;
    int error = errno;
    json_decref(root);
    if (file && fclose(file) != 0 && !failed) {
        failed = 1;
        error = errno;
    }
    if (failed)
        cli_error("--json %s: %s", path, strerror(error));
    return failed ? CLI_SYSTEM : CLI_OK;
}
