#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "zoo/zoo.h"

/* ---- Options -------------------------------------------------------------- */

void cli_session_options(cli_session *s, cli_option options[CLI_SESSION_OPTIONS])
{
    const cli_option table[CLI_SESSION_OPTIONS] = {
        { "workers", "N", "CPU worker threads (default: one per CPU)", cli_parse_count,
          &s->workers },
        { "policy", "POLICY",
          "cpu_only; gpu_only; layer_type: convolutions to the\n"
          "first accelerator; or cost: where runs end first by what\n"
          "`hsched profile` has measured, as gpu_only until it has\n"
          "(default: cost where there is a GPU, else cpu_only;\n"
          "layer_type with --sim)",
          cli_parse_string, &s->policy_name },
        { "objective", "NAME",
          "of the policy cost, which it implies: makespan, latency,\n"
          "energy or power_cap (makespan)",
          cli_parse_string, &s->objective.name },
        { "power-cap", "WATTS", "keep what devices draw below it, on the average",
          cli_parse_positive, &s->objective.power_cap_watts },
        { "device-watts", "DEVICE=W[:IDLE]",
          "what a device draws when it works, and when it idles,\n"
          "instead of what was measured; may be repeated",
          cli_parse_append, &s->objective.watts_texts },
        { "math", "MATH", "default, strict, bf16 or, on GPUs, fp16", cli_parse_string,
          &s->math_name },
        { "gpu", "N", "use GPU N; may be repeated (default: the first)", cli_parse_append,
          &s->gpu_texts },
        { "no-gpu", NULL, "use no GPU", cli_parse_flag, &s->no_gpu },
        { "gpu-memory", "SIZE", "use at most so much GPU memory, as in 800M or 4G",
          cli_parse_string, &s->gpu_memory_text },
        { "gpu-sms", "N", "stay on N multiprocessors of the GPU", cli_parse_count,
          &s->gpu_sms },
        { "tuning", "HOW", "choose kernels by measuring: none, quick or full",
          cli_parse_string, &s->tuning_name },
        { "max-batch", "N", "join at most N waiting runs of a model on the GPU (16)",
          cli_parse_count, &s->max_batch },
        { "sim", "CLASSES:GFLOPS",
          "add a simulated accelerator for conv, matmul, pool,\n"
          "norm, elementwise, data (joined by commas) or all;\n"
          "may be repeated",
          cli_parse_append, &s->sim_texts },
        { "symbol", "NAME=VALUE", "set a named dimension; may be repeated",
          cli_parse_append, &s->symbol_texts },
        { "libraries", "LIST",
          "of own, openblas, onednn, xnnpack (default: all there are)", cli_parse_string,
          &s->library_names },
        { "reference", NULL, "compute with the plain reference kernels", cli_parse_flag,
          &s->reference },
        { "cache-weights", NULL,
          "keep packed weights on disk, and map them in later loads", cli_parse_flag,
          &s->cache_weights },
        { "no-fusion", NULL, "one step per layer", cli_parse_flag, &s->no_fusion },
        { "no-pinning", NULL, "leave the placement of workers to the system",
          cli_parse_flag, &s->no_pinning },
        { "seed", "N",
          "of the zoo's weights and of inputs not given, integers 0 or 1 (1)",
          cli_parse_uint64, &s->seed },
        { 0 },
    };
    memcpy(options, table, sizeof table);
}

typedef struct named_bit {
    const char *name;
    uint32_t bits;
} named_bit;

/* A list of names joined by commas, `length` characters, as bits; 0 if one is unknown or
 * it is empty. */
static uint32_t parse_bits(const char *text, size_t length, const named_bit *names)
{
    uint32_t bits = 0;
    while (length > 0) {
        size_t word = 0;
        while (word < length && text[word] != ',')
            word++;
        const named_bit *n = names;
        while (n->name && (strlen(n->name) != word || strncmp(n->name, text, word) != 0))
            n++;
        if (!n->name)
            return 0;
        bits |= n->bits;
        word += word < length; /* the comma */
        text += word;
        length -= word;
    }
    return bits;
}

static const named_bit classes[] = {
    { "conv", HSCHED_CLASS_CONVOLUTION },
    { "matmul", HSCHED_CLASS_MATMUL },
    { "pool", HSCHED_CLASS_POOLING },
    { "norm", HSCHED_CLASS_NORMALIZATION },
    { "elementwise", HSCHED_CLASS_ELEMENTWISE },
    { "data", HSCHED_CLASS_DATA },
    { "all", HSCHED_CLASS_CONVOLUTION | HSCHED_CLASS_MATMUL | HSCHED_CLASS_POOLING |
                 HSCHED_CLASS_NORMALIZATION | HSCHED_CLASS_ELEMENTWISE |
                 HSCHED_CLASS_DATA },
    { NULL, 0 },
};
static const named_bit libraries[] = {
    { "own", HSCHED_LIBRARY_OWN },
    { "openblas", HSCHED_LIBRARY_OPENBLAS },
    { "onednn", HSCHED_LIBRARY_ONEDNN },
    { "xnnpack", HSCHED_LIBRARY_XNNPACK },
    { NULL, 0 },
};

static int parse_sim(const char *text, hsched_sim_config *sim)
{
    const char *colon = strchr(text, ':');
    *sim = (hsched_sim_config){ HSCHED_SIM_CONFIG_INIT };
    if (colon)
        sim->layer_classes = parse_bits(text, (size_t)(colon - text), classes);
    if (sim->layer_classes && cli_parse_positive(&sim->gflops, colon + 1))
        return 1;
    cli_error("--sim '%s' is not CLASSES:GFLOPS, as in conv,matmul:100", text);
    return 0;
}

/* "name=value" into a symbol whose name is allocated. */
static int parse_symbol(const char *text, hsched_symbol *symbol)
{
    const char *equals = strchr(text, '=');
    uint64_t value;
    if (!equals || equals == text || !cli_parse_uint64(&value, equals + 1) ||
        value > UINT32_MAX) {
        cli_error("--symbol '%s' is not NAME=VALUE with a value of 0 or more", text);
        return CLI_USAGE;
    }
    symbol->value = (int64_t)value;
    symbol->name = strndup(text, (size_t)(equals - text));
    return symbol->name ? CLI_OK : cli_no_memory();
}

typedef struct cli_word {
    const char *word;
    int value;
} cli_word;

static int find_word(const cli_word *words, const char *text, int *value)
{
    for (; words->word; words++)
        if (strcmp(words->word, text) == 0) {
            *value = words->value;
            return 1;
        }
    return 0;
}

static int check_policy(cli_session *s)
{
    s->policy = s->sim_texts.count ? HSCHED_POLICY_LAYER_TYPE : HSCHED_POLICY_DEFAULT;
    if (!s->policy_name)
        return CLI_OK;
    static const cli_word words[] = { { "cpu_only", HSCHED_POLICY_CPU_ONLY },
                                      { "gpu_only", HSCHED_POLICY_GPU_ONLY },
                                      { "layer_type", HSCHED_POLICY_LAYER_TYPE },
                                      { "cost", HSCHED_POLICY_COST },
                                      { NULL, 0 } };
    int value;
    if (!find_word(words, s->policy_name, &value)) {
        cli_error("--policy '%s' is none of cpu_only, gpu_only, layer_type and cost",
                  s->policy_name);
        return CLI_USAGE;
    }
    s->policy = (hsched_policy)value;
    return CLI_OK;
}

static int check_math(cli_session *s)
{
    static const cli_word words[] = { { "default", HSCHED_MATH_DEFAULT },
                                      { "strict", HSCHED_MATH_STRICT },
                                      { "fp16", HSCHED_MATH_FP16 },
                                      { "bf16", HSCHED_MATH_BF16 },
                                      { NULL, 0 } };
    int value = HSCHED_MATH_DEFAULT;
    if (s->math_name && !find_word(words, s->math_name, &value)) {
        cli_error("--math '%s' is none of default, strict, fp16 and bf16", s->math_name);
        return CLI_USAGE;
    }
    s->math = (hsched_math)value;
    return CLI_OK;
}

static int check_tuning(cli_session *s)
{
    static const cli_word words[] = { { "none", HSCHED_GPU_TUNING_NONE },
                                      { "quick", HSCHED_GPU_TUNING_QUICK },
                                      { "full", HSCHED_GPU_TUNING_FULL },
                                      { NULL, 0 } };
    int value = HSCHED_GPU_TUNING_DEFAULT;
    if (s->tuning_name && !find_word(words, s->tuning_name, &value)) {
        cli_error("--tuning '%s' is none of none, quick and full", s->tuning_name);
        return CLI_USAGE;
    }
    s->tuning = (hsched_gpu_tuning)value;
    return CLI_OK;
}

/* A number with K, M or G behind it (powers of 1024). */
static int check_gpu_memory(cli_session *s)
{
    static const char units[] = "KMG";
    if (!s->gpu_memory_text)
        return CLI_OK;
    char *end;
    double size = strtod(s->gpu_memory_text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (unit) {
        for (const char *u = units; u <= unit; u++)
            size *= 1024;
        end++;
    }
    if (end == s->gpu_memory_text || *end || !(size >= 1) || size > 1e18) {
        cli_error("--gpu-memory '%s' is not a size, as in 800M or 4G",
                  s->gpu_memory_text);
        return CLI_USAGE;
    }
    s->gpu_memory = (uint64_t)size;
    return CLI_OK;
}

static int parse_gpu(const char *text, int *ordinal)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < 0 || value > 1000) {
        cli_error("--gpu '%s' is not the number of a GPU, counted from 0", text);
        return 0;
    }
    *ordinal = (int)value;
    return 1;
}

static int check_gpus(cli_session *s)
{
    int ordinal;
    for (uint32_t i = 0; i < s->gpu_texts.count; i++)
        if (!parse_gpu(s->gpu_texts.values[i], &ordinal))
            return CLI_USAGE;
    if (s->gpu_texts.count > CLI_GPUS_MAX) {
        cli_error("at most %d GPUs", CLI_GPUS_MAX);
        return CLI_USAGE;
    }
    if (check_math(s) != CLI_OK || check_tuning(s) != CLI_OK)
        return CLI_USAGE;
    return check_gpu_memory(s);
}

int cli_session_check(cli_session *s)
{
    if (cli_objective_check(&s->objective, &s->policy_name) != CLI_OK ||
        check_policy(s) != CLI_OK || check_gpus(s) != CLI_OK)
        return CLI_USAGE;
    if (s->library_names &&
        !parse_bits(s->library_names, strlen(s->library_names), libraries)) {
        cli_error("--libraries '%s' is not a list of own, openblas, onednn, xnnpack",
                  s->library_names);
        return CLI_USAGE;
    }
    if (s->sim_texts.count > CLI_SIMS_MAX) {
        cli_error("at most %d simulated accelerators", CLI_SIMS_MAX);
        return CLI_USAGE;
    }
    for (uint32_t i = 0; i < s->sim_texts.count; i++) {
        hsched_sim_config sim;
        if (!parse_sim(s->sim_texts.values[i], &sim))
            return CLI_USAGE;
    }
    if (s->symbol_texts.count == 0)
        return CLI_OK;
    s->symbols = calloc(s->symbol_texts.count, sizeof *s->symbols);
    s->symbol_used = calloc(s->symbol_texts.count, sizeof *s->symbol_used);
    if (!s->symbols || !s->symbol_used)
        return cli_no_memory();
    for (uint32_t i = 0; i < s->symbol_texts.count; i++) {
        int status = parse_symbol(s->symbol_texts.values[i], &s->symbols[i]);
        if (status != CLI_OK)
            return status;
    }
    return CLI_OK;
}

/* ---- Runtime -------------------------------------------------------------- */

int cli_session_start(cli_session *s)
{
    hsched_sim_config sims[CLI_SIMS_MAX];
    char names[CLI_SIMS_MAX][16];
    for (uint32_t i = 0; i < s->sim_texts.count; i++) {
        if (!parse_sim(s->sim_texts.values[i], &sims[i]))
            return CLI_USAGE;
        snprintf(names[i], sizeof names[i], i ? "sim%u" : "sim", (unsigned)i);
        sims[i].name = names[i];
    }
    int gpus[CLI_GPUS_MAX];
    for (uint32_t i = 0; i < s->gpu_texts.count; i++)
        if (!parse_gpu(s->gpu_texts.values[i], &gpus[i]))
            return CLI_USAGE;
    hsched_device_watts *watts;
    int made = cli_objective_make_watts(&s->objective, &watts);
    if (made != CLI_OK)
        return made;
    hsched_runtime_config config = {
        HSCHED_RUNTIME_CONFIG_INIT,
        .objective = s->objective.value,
        .power_cap_watts = s->objective.power_cap_watts,
        .device_watts = watts,
        .device_watts_count = s->objective.watts_texts.count,
        .cpu_workers = s->workers,
        .flags = s->runtime_flags | (s->no_pinning ? HSCHED_RUNTIME_NO_PINNING : 0u) |
                 (s->reference ? HSCHED_RUNTIME_REFERENCE : 0u) |
                 (s->no_gpu ? HSCHED_RUNTIME_NO_GPU : 0u),
        .gpus = s->gpu_texts.count ? gpus : NULL,
        .gpu_count = s->gpu_texts.count,
        .gpu_memory_limit = s->gpu_memory,
        .gpu_sm_count = s->gpu_sms,
        .gpu_streams = s->gpu_streams,
        .gpu_tuning = s->tuning,
        .cpu_tuning = s->tuning == HSCHED_GPU_TUNING_NONE ? HSCHED_CPU_TUNING_NONE
                                                          : HSCHED_CPU_TUNING_DEFAULT,
        .policy = s->policy,
        .policy_plugin = s->policy_plugin,
        .ageing_us = s->ageing_us,
        .sims = s->sim_texts.count ? sims : NULL,
        .sim_count = s->sim_texts.count,
    };
    if (s->library_names)
        config.cpu_libraries =
            parse_bits(s->library_names, strlen(s->library_names), libraries);
    hsched_status status = hsched_runtime_create(&config, &s->runtime);
    cli_objective_free_watts(&s->objective, watts);
    return status == HSCHED_OK ? CLI_OK : cli_failed(CLI_SYSTEM, status, "the runtime");
}

void cli_session_end(cli_session *s)
{
    hsched_runtime_destroy(s->runtime);
    for (uint32_t i = 0; s->symbols && i < s->symbol_texts.count; i++)
        free((char *)s->symbols[i].name);
    free(s->symbols);
    free(s->symbol_used);
    cli_list_free(&s->gpu_texts);
    cli_list_free(&s->objective.watts_texts);
    cli_list_free(&s->sim_texts);
    cli_list_free(&s->symbol_texts);
    s->runtime = NULL;
    s->symbols = NULL;
    s->symbol_used = NULL;
}

/* ---- Models --------------------------------------------------------------- */

/* With those of the symbols that the file knows: others may be of other models. */
static hsched_status load_file(const cli_session *s, const char *path,
                               hsched_graph **graph)
{
    uint32_t count = s->symbol_texts.count, known_count = 0;
    /* External weights are taken from the model's own folder only. */
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .symbols = s->symbols,
                                  .symbol_count = count, .allow_external_data = 1,
                                  .fix_symbols = s->fix_symbols };
    hsched_status status = hsched_graph_load_onnx(path, &config, graph);
    if (count == 0 || status != HSCHED_ERROR_NOT_FOUND) {
        if (count > 0)
            memset(s->symbol_used, 1, count);
        return status;
    }
    hsched_symbol *known = calloc(count, sizeof *known);
    if (!known)
        return HSCHED_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) { /* each tried alone */
        hsched_graph *tried = NULL;
        config.symbols = &s->symbols[i];
        config.symbol_count = 1;
        if (hsched_graph_load_onnx(path, &config, &tried) != HSCHED_ERROR_NOT_FOUND) {
            known[known_count++] = s->symbols[i];
            s->symbol_used[i] = 1;
        }
        hsched_graph_destroy(tried);
    }
    config.symbols = known;
    config.symbol_count = known_count;
    status = hsched_graph_load_onnx(path, &config, graph);
    free(known);
    return status;
}

int cli_session_symbols_used(const cli_session *s)
{
    for (uint32_t i = 0; i < s->symbol_texts.count; i++) {
        if (s->symbol_used[i])
            continue;
        cli_error("--symbol %s: no input of a model has a dimension of that name; hsched "
                  "inspect MODEL shows them",
                  s->symbol_texts.values[i]);
        return CLI_LOAD;
    }
    return CLI_OK;
}

int cli_session_graph(const cli_session *s, const char *model, hsched_graph **graph)
{
    struct stat found;
    hsched_status status = HSCHED_ERROR_NOT_FOUND;
    int exists = stat(model, &found) == 0;
    /* A folder hides no network: run --output makes folders of those names. */
    if (!exists || S_ISDIR(found.st_mode))
        status = zoo_build(model, s->seed, graph);
    if (status == HSCHED_ERROR_NOT_FOUND) {
        if (!exists) {
            cli_error("there is no file '%s' and no network of that name; see hsched zoo",
                      model);
            return CLI_LOAD;
        }
        status = load_file(s, model, graph);
    }
    return status == HSCHED_OK ? CLI_OK : cli_failed(CLI_LOAD, status, model);
}

void cli_short_name(const char *model, char *name, size_t size)
{
    const char *slash = strrchr(model, '/');
    snprintf(name, size, "%s", slash ? slash + 1 : model);
    size_t length = strlen(name);
    if (length > 5 && strcmp(name + length - 5, ".onnx") == 0)
        name[length - 5] = '\0';
}

int cli_session_compile(const cli_session *s, const char *model, hsched_graph *graph,
                        const cli_list *taps, hsched_model **compiled)
{
    char name[256];
    cli_short_name(model, name, sizeof name);
    hsched_model_config config = {
        HSCHED_MODEL_CONFIG_INIT,
        .name = name,
        .policy = s->policy,
        .flags = s->model_flags | (s->no_fusion ? HSCHED_MODEL_NO_FUSION : 0u) |
                 (s->cache_weights ? HSCHED_MODEL_CACHE_WEIGHTS : 0u),
        .taps = taps ? taps->values : NULL,
        .tap_count = taps ? taps->count : 0,
        .math = s->math,
        .max_batch = s->max_batch,
    };
    hsched_status status = hsched_model_compile(s->runtime, graph, &config, compiled);
    return status == HSCHED_OK ? CLI_OK : cli_failed(CLI_LOAD, status, model);
}

int cli_session_model(const cli_session *s, const char *model, hsched_model **compiled)
{
    hsched_graph *graph = NULL;
    int status = cli_session_graph(s, model, &graph);
    if (status == CLI_OK)
        status = cli_session_compile(s, model, graph, NULL, compiled);
    hsched_graph_destroy(graph);
    return status;
}
