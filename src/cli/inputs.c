#include "cli/inputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/npy.h"
#include "cli/random.h"
#include "cli/table.h"

/* ---- Options -------------------------------------------------------------- */

/* "V" for all channels or "R,G,B". */
static int parse_channels(void *target, const char *value)
{
    float *channels = target, parsed[3];
    uint32_t count = 0;
    for (const char *at = value; count < 3;) {
        char *end;
        parsed[count++] = strtof(at, &end);
        if (end == at || (*end != ',' && *end != '\0'))
            return 0;
        if (*end == '\0')
            break;
        if (count == 3)
            return 0;
        at = end + 1;
    }
    if (count == 2)
        return 0;
    for (uint32_t c = 0; c < 3; c++)
        channels[c] = parsed[count == 1 ? 0 : c];
    return 1;
}

void cli_input_options_table(cli_input_options *inputs,
                             cli_option options[CLI_INPUT_OPTIONS])
{
    const cli_option table[CLI_INPUT_OPTIONS] = {
        { "input", "[NAME=]FILE",
          "a .npy file, or a JPEG image, for the next input or the\n"
          "named one; may be repeated (default: made from --seed)",
          cli_parse_append, &inputs->files },
        { "mean", "M or R,G,B", "images: subtracted from pixels of 0..255 (0)",
          parse_channels, inputs->image.mean },
        { "scale", "S or R,G,B", "images: then multiplied with (1/255 = 0.00392157)",
          parse_channels, inputs->image.scale },
        { "bgr", NULL, "images: the network wants blue first", cli_parse_flag,
          &inputs->image.bgr },
        { 0 },
    };
    memcpy(options, table, sizeof table);
}

void cli_input_options_free(cli_input_options *inputs)
{
    cli_list_free(&inputs->files);
    free(inputs->used);
    inputs->used = NULL;
}

/* ---- Finding the file of an input ----------------------------------------- */

/* Where FILE begins in "NAME=FILE", and the length of NAME; paths with a '=' after a '/'
 * are files. */
static const char *split_name(const char *text, size_t *name_length)
{
    const char *equals = strchr(text, '='), *slash = strchr(text, '/');
    if (!equals || equals == text || (slash && slash < equals)) {
        *name_length = 0;
        return text;
    }
    *name_length = (size_t)(equals - text);
    return equals + 1;
}

/* The file for input `index`, called `name`; NULL if the command line names none. */
static const char *find_file(const cli_input_options *options, uint32_t index,
                             const char *name)
{
    uint32_t place = 0;
    const char *found = NULL;
    for (uint32_t i = 0; i < options->files.count; i++) {
        size_t length;
        const char *file = split_name(options->files.values[i], &length);
        int matches = length ? strlen(name) == length &&
                                   strncmp(options->files.values[i], name, length) == 0
                             : place++ == index;
        if (!matches)
            continue;
        options->used[i] = 1;
        found = file;
        if (length)
            break; /* a name wins over a place */
    }
    return found;
}

int cli_inputs_check_used(const cli_input_options *options)
{
    for (uint32_t i = 0; i < options->files.count; i++) {
        if (options->used && options->used[i])
            continue;
        cli_error("--input %s: no model has such an input", options->files.values[i]);
        return CLI_USAGE;
    }
    return CLI_OK;
}

/* ---- Data ----------------------------------------------------------------- */

static void fill_random(const hsched_tensor_info *info, uint64_t seed, void *data)
{
    if (info->dtype == HSCHED_FLOAT32) {
        float *values = data;
        for (size_t i = 0; i < info->byte_size / sizeof *values; i++)
            values[i] =
                (float)((int32_t)(cli_random_next(&seed) >> 39) - (1 << 24)) / (1 << 24);
    } else if (info->dtype == HSCHED_FLOAT64) {
        double *values = data;
        for (size_t i = 0; i < info->byte_size / sizeof *values; i++)
            values[i] = (double)(int64_t)(cli_random_next(&seed) >> 10) / 0x1p53 - 1;
    } else if (info->dtype == HSCHED_UINT8) {
        for (size_t i = 0; i < info->byte_size; i++)
            ((uint8_t *)data)[i] = (uint8_t)(cli_random_next(&seed) >> 56);
    } else if (info->dtype == HSCHED_INT64) { /* indices, in any vocabulary or mask */
        int64_t *values = data;
        for (size_t i = 0; i < info->byte_size / sizeof *values; i++)
            values[i] = (int64_t)(cli_random_next(&seed) >> 63);
    } else if (info->dtype == HSCHED_INT32) {
        int32_t *values = data;
        for (size_t i = 0; i < info->byte_size / sizeof *values; i++)
            values[i] = (int32_t)(cli_random_next(&seed) >> 63);
    } else if (info->dtype == HSCHED_BOOL) {
        for (size_t i = 0; i < info->byte_size; i++)
            ((uint8_t *)data)[i] = (uint8_t)(cli_random_next(&seed) >> 63);
    } /* others stay zero */
}

static int read_npy(const char *path, const hsched_tensor_info *info, void *data)
{
    cli_array array;
    if (!cli_npy_read(path, &array))
        return 0;
    int fits = array.dtype == info->dtype && array.rank == info->rank &&
               memcmp(array.dims, info->dims, info->rank * sizeof *info->dims) == 0;
    if (fits) {
        memcpy(data, array.data, array.size);
    } else {
        hsched_tensor_info found = { .rank = array.rank };
        char wanted_text[CLI_SHAPE_MAX], found_text[CLI_SHAPE_MAX];
        memcpy(found.dims, array.dims, sizeof found.dims);
        cli_error("%s: input '%s' is %s %s, the file holds %s %s; see also --symbol",
                  path, info->name, hsched_dtype_name(info->dtype),
                  cli_shape(info, wanted_text), hsched_dtype_name(array.dtype),
                  cli_shape(&found, found_text));
    }
    free(array.data);
    return fits;
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcasecmp(text + length - end_length, end) == 0;
}

static int read_file(const char *path, const cli_image_options *image,
                     const hsched_tensor_info *info, void *data)
{
    if (ends_with(path, ".npy"))
        return read_npy(path, info, data);
    if (ends_with(path, ".jpg") || ends_with(path, ".jpeg"))
        return cli_image_read(path, image, info, data);
    cli_error("%s: inputs are .npy, .jpg or .jpeg files", path);
    return 0;
}

int cli_inputs_make(const hsched_model *model, cli_input_options *options, uint64_t seed,
                    cli_inputs *inputs)
{
    uint32_t count = hsched_model_input_count(model);
    *inputs = (cli_inputs){ calloc(count ? count : 1, sizeof *inputs->bindings), count };
    if (!options->used)
        options->used = calloc(options->files.count + 1, sizeof *options->used);
    if (!inputs->bindings || !options->used)
        return cli_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        hsched_tensor_info info = { HSCHED_TENSOR_INFO_INIT };
        hsched_status status = hsched_model_input_info(model, i, &info);
        if (status != HSCHED_OK)
            return cli_failed(CLI_LOAD, status, hsched_model_name(model));
        void *data = calloc(1, info.byte_size ? info.byte_size : 1);
        if (!data)
            return cli_no_memory();
        inputs->bindings[i].data = data;
        inputs->bindings[i].size = info.byte_size;
        const char *file = find_file(options, i, info.name);
        if (!file)
            fill_random(&info, seed + i, data);
        else if (!read_file(file, &options->image, &info, data))
            return CLI_LOAD;
    }
    return CLI_OK;
}

void cli_inputs_free(cli_inputs *inputs)
{
    for (uint32_t i = 0; inputs->bindings && i < inputs->count; i++)
        free(inputs->bindings[i].data);
    free(inputs->bindings);
    *inputs = (cli_inputs){ 0 };
}
