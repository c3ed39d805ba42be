/* What several commands do first: take the options that shape the runtime and the models,
 * start the runtime, load models by file or by name. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/objective.h"

enum {
    CLI_SIMS_MAX = 8,
    CLI_GPUS_MAX = 15
};

typedef struct cli_session {
    /* from the command line */
    uint32_t workers;
    const char *policy_name, *library_names, *math_name, *tuning_name, *gpu_memory_text;
    uint32_t gpu_sms, max_batch;
    int no_gpu;
    cli_list gpu_texts;
    cli_objective objective;
    cli_list sim_texts, symbol_texts;
    int fix_symbols; /* those given become plain numbers of the graph */
    int reference, no_pinning, no_fusion, cache_weights;
    uint64_t seed;
    /* What the command itself asks for: HSCHED_MODEL_... and HSCHED_RUNTIME_..., and as in
     * hsched_runtime_config. */
    uint32_t model_flags, runtime_flags, gpu_streams, ageing_us;
    const struct hsched_policy_plugin *policy_plugin;
    /* made of it */
    hsched_policy policy;
    hsched_math math;
    hsched_gpu_tuning tuning;
    uint64_t gpu_memory;
    hsched_symbol *symbols;
    unsigned char *symbol_used; /* by a model that was loaded */
    hsched_runtime *runtime;    /* NULL before cli_session_start */
} cli_session;

#define CLI_SESSION_INIT .seed = 1

/* Fills the table of options, with the entry that ends it. */
enum {
    CLI_SESSION_OPTIONS = 21
};
void cli_session_options(cli_session *session, cli_option options[CLI_SESSION_OPTIONS]);

/* Checks the options' values. Gives CLI_OK or CLI_USAGE (CLI_SYSTEM: no memory). */
int cli_session_check(cli_session *session);
/* Starts the runtime, after cli_session_check. Gives CLI_OK or CLI_SYSTEM. */
int cli_session_start(cli_session *session);
void cli_session_end(cli_session *session);

/* The graph of MODEL: an ONNX file, else a network of the zoo. Gives CLI_OK or CLI_LOAD.
 */
int cli_session_graph(const cli_session *session, const char *model,
                      hsched_graph **graph);
/* "some/folder/face.onnx" is called "face". */
void cli_short_name(const char *model, char *name, size_t size);
/* Compiles it under a short form of MODEL's name. Gives CLI_OK or CLI_LOAD. The graph
 * outlives the model if model_flags has HSCHED_MODEL_KEEP_CONSTANTS. */
int cli_session_compile(const cli_session *session, const char *model,
                        hsched_graph *graph, const cli_list *taps,
                        hsched_model **compiled);
/* Both; the graph is gone afterwards. */
int cli_session_model(const cli_session *session, const char *model,
                      hsched_model **compiled);
/* After all models: CLI_LOAD if a --symbol is of none of them, else CLI_OK. */
int cli_session_symbols_used(const cli_session *session);

#endif
