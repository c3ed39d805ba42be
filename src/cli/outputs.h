/* Results: as files and as numbers for people. */
#ifndef CLI_OUTPUTS_H
#define CLI_OUTPUTS_H

#include <hsched/hsched.h>
#include <jansson.h>

/* Makes the folder if it is not there. Gives CLI_OK or CLI_SYSTEM. */
int cli_make_folder(const char *path);
/* FOLDER/NAME.npy for outputs [first, end) of a run that succeeded; characters of names
 * that paths cannot have become '_', and the second of two that are then the same is
 * NAME-2. Gives CLI_OK or CLI_SYSTEM. */
int cli_outputs_write(const char *folder, hsched_run *run, const hsched_model *model,
                      uint32_t first, uint32_t end);

typedef struct cli_summary { /* of the elements that are finite */
    double min, max, mean;
    uint64_t finite, not_finite;
} cli_summary;
cli_summary cli_summarise(const hsched_tensor_info *info, const void *data);

/* Infinities and NaN, for which JSON has no number, become null. */
json_t *cli_json_real(double value);
/* A string, with '?' for bytes that are no UTF-8: names in model files may be anything.
 */
json_t *cli_json_text(const char *text);
/* Appends `item`, which it takes over. If memory ran out, for this or when `item` was
 * made, *array becomes NULL and so does everything json_pack makes with it:
 * cli_json_print then says so. */
void cli_json_append(json_t **array, json_t *item);
json_t *cli_json_shape(const hsched_tensor_info *info);
/* To standard output. Gives CLI_OK, or CLI_SYSTEM if `root` is NULL for want of memory;
 * frees it. */
int cli_json_print(json_t *root);
/* To a file, the value of --json; NULL: nothing is written. As above otherwise. */
int cli_json_write(json_t *root, const char *path);

#endif
