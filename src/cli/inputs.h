/* The inputs of a model: from files, or made up. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include "cli/image.h"
#include "cli/options.h"

/* What the command line says about inputs. */
typedef struct cli_input_options {
    cli_list
        files; /* "FILE" for the inputs in order, "NAME=FILE" for the one of that name */
    cli_image_options image;
    int *used; /* for each of the files: some model took it */
} cli_input_options;

enum {
    CLI_INPUT_OPTIONS = 5
};
void cli_input_options_table(cli_input_options *inputs,
                             cli_option options[CLI_INPUT_OPTIONS]);
void cli_input_options_free(cli_input_options *inputs);

typedef struct cli_inputs {
    hsched_binding *bindings; /* one per input of the model; data owned */
    uint32_t count;
} cli_inputs;

/*
 * Reads the files; inputs without one are made from `seed`: floats even in [-1, 1), bytes
 * in [0, 255], other types zero. Gives CLI_OK, CLI_LOAD or CLI_SYSTEM.
 */
int cli_inputs_make(const hsched_model *model, cli_input_options *options, uint64_t seed,
                    cli_inputs *inputs);
void cli_inputs_free(cli_inputs *inputs);

/* After all models took theirs: CLI_USAGE, with an error, if a file was taken by none. */
int cli_inputs_check_used(const cli_input_options *options);

#endif
